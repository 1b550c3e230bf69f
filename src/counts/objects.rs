//! Counts of objects that come and go. Most have a few turns, or none: those that are to
//! have as much of a register are counted together.

use std::collections::{BTreeMap, HashMap, VecDeque};

use hwtrace_runtime::slots::coverage::Estimate;
use hwtrace_runtime::slots::coverage::pooled::{Spans, Sums, estimate};

/// The numbers of cells, apart from those of watches.
const FIRST: u32 = 1 << 31;

/// Counts of the cells that objects lie in.
#[derive(Clone, Debug, Default)]
pub(super) struct Objects {
    cells: HashMap<u32, Cell>,
    given: u32,
    strata: BTreeMap<Key, Stratum>,
}

/// Of cells that one request looks at, among which it is chance who has a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    request: usize,
    /// Who take turns with one another: those of a process.
    root: u32,
    /// How much of a register each is to have.
    weight: u32,
}

/// What was counted of them.
#[derive(Clone, Copy, Debug, Default)]
struct Stratum {
    wanted: Spans,
    on: Spans,
    seen: u64,
    /// Of turns in which no more hits are expected.
    turns: Sums,
}

#[derive(Clone, Debug)]
struct Cell {
    root: u32,
    weight: u32,
    /// Whether it has a register.
    on: bool,
    looks: Vec<Look>,
}

/// A request looks at a cell.
#[derive(Clone, Debug)]
struct Look {
    request: usize,
    /// Since when it does so in its stratum.
    since: u64,
    /// Its last turns, in which hits may still fall.
    recent: VecDeque<Turn>,
}

#[derive(Clone, Copy, Debug)]
struct Turn {
    stratum: Key,
    start: u64,
    /// None while it goes on.
    end: Option<u64>,
    count: u64,
}

/// So many of the last turns of a cell are known one by one: more than begin in the 20 ms by
/// which hits come late.
const RECENT: usize = 32;

impl Stratum {
    fn sums(&self, now: u64) -> Sums {
        let (on_ns, wanted_ns) = (self.on.until(now), self.wanted.until(now));
        let mut sums = self.turns;
        (sums.seen, sums.wanted_ns) = (self.seen, wanted_ns);
        sums.on_ns = on_ns.min(wanted_ns);
        sums
    }
}

impl Turn {
    fn length(&self, now: u64) -> u64 {
        self.end.unwrap_or(now).saturating_sub(self.start)
    }
}

impl Cell {
    fn look(&self, request: usize) -> Option<&Look> {
        self.looks.iter().find(|look| look.request == request)
    }
}

impl Look {
    /// A turn begins or ends.
    fn turn(
        &mut self,
        key: Key,
        on: bool,
        now: u64,
        strata: &mut BTreeMap<Key, Stratum>,
    ) {
        let last = self.recent.back_mut().filter(|turn| turn.end.is_none());
        match (last, on) {
            (Some(last), false) => {
                last.end = Some(now);
                let stratum = strata.entry(last.stratum).or_default();
                stratum.on.end(last.start, now);
            }
            (None, true) => {
                strata.entry(key).or_default().on.begin(now);
                let turn = Turn { stratum: key, start: now, end: None, count: 0 };
                self.recent.push_back(turn);
                if self.recent.len() > RECENT {
                    let oldest = self.recent.pop_front();
                    oldest.into_iter().for_each(|turn| turn.is_over(strata));
                }
            }
            _ => {}
        }
    }

    /// The turn in which a hit was; the nearest where it was in none.
    fn at(&self, time: u64) -> Option<usize> {
        let later = self.recent.partition_point(|turn| turn.start <= time);
        (!self.recent.is_empty()).then(|| later.saturating_sub(1))
    }
}

impl Turn {
    /// No more hits are expected in it.
    fn is_over(&self, strata: &mut BTreeMap<Key, Stratum>) {
        let length = self.length(self.start);
        strata.entry(self.stratum).or_default().turns.turn(length, self.count);
    }
}

impl Objects {
    /// A cell of a process that waits for a register, of which it is to have so much; gives
    /// its number.
    pub(super) fn add(&mut self, root: u32, weight: u32) -> u32 {
        let number = FIRST | self.given;
        self.given = (self.given + 1) & !FIRST;
        self.cells.insert(number, Cell { root, weight, on: false, looks: Vec::new() });
        number
    }

    /// A request looks at a cell from then on.
    pub(super) fn join(&mut self, number: u32, request: usize, since: u64) {
        let Some(cell) = self.cells.get_mut(&number) else { return };
        if cell.look(request).is_some() {
            return;
        }
        let key = Key { request, root: cell.root, weight: cell.weight };
        self.strata.entry(key).or_default().wanted.begin(since);
        let mut look = Look { request, since, recent: VecDeque::new() };
        look.turn(key, cell.on, since, &mut self.strata);
        cell.looks.push(look);
    }

    /// A cell has a register from now on, or not.
    pub(super) fn turn(&mut self, number: u32, on: bool, now: u64) {
        let Some(cell) = self.cells.get_mut(&number) else { return };
        cell.on = on;
        let (root, weight) = (cell.root, cell.weight);
        for look in &mut cell.looks {
            let key = Key { request: look.request, root, weight };
            look.turn(key, on, now, &mut self.strata);
        }
    }

    /// A cell was chosen to have a register, and is to have so much of one from now on.
    pub(super) fn weigh(&mut self, number: u32, weight: u32, now: u64) {
        let Some(cell) = self.cells.get_mut(&number) else { return };
        let (root, before) = (cell.root, std::mem::replace(&mut cell.weight, weight));
        for look in &mut cell.looks {
            let [from, to] = [before, weight].map(|weight| Key {
                request: look.request,
                root,
                weight,
            });
            look.turn(from, false, now, &mut self.strata);
            self.strata.entry(from).or_default().wanted.end(look.since, now);
            self.strata.entry(to).or_default().wanted.begin(now);
            look.since = now;
            look.turn(to, cell.on, now, &mut self.strata);
        }
    }

    /// Nobody watches a cell any more, since a time at which it may not have had its last
    /// turn yet.
    pub(super) fn remove(&mut self, number: u32, now: u64) {
        let Some(Cell { root, weight, looks, .. }) = self.cells.remove(&number) else {
            return;
        };
        for mut look in looks {
            let key = Key { request: look.request, root, weight };
            look.turn(key, false, now, &mut self.strata);
            self.strata.entry(key).or_default().wanted.end(look.since, now);
            for mut turn in look.recent {
                // It may have ended after the object went, before that was known.
                let late =
                    turn.end.map_or(0, |end| end.saturating_sub(turn.start.max(now)));
                self.strata.entry(turn.stratum).or_default().on.shorten(late);
                turn.end = turn.end.map(|end| end - late);
                turn.is_over(&mut self.strata);
            }
        }
    }

    /// Whether a number is that of a cell.
    pub(super) fn has(number: u32) -> bool {
        number >= FIRST
    }

    pub(super) fn fired(&mut self, request: usize, number: u32, time: u64) {
        let Some(cell) = self.cells.get_mut(&number) else { return };
        let mut key = Key { request, root: cell.root, weight: cell.weight };
        let look = cell.looks.iter_mut().find(|look| look.request == request);
        let Some(look) = look else { return };
        if let Some(turn) = look.at(time).and_then(|at| look.recent.get_mut(at)) {
            turn.count += 1;
            key = turn.stratum;
        }
        self.strata.entry(key).or_default().seen += 1;
    }

    /// What a request saw of all cells; nothing where it never looked at any.
    pub(super) fn of(&self, request: usize, now: u64) -> Estimate {
        let mut all: BTreeMap<_, _> =
            self.of_request(request).map(|(key, it)| (*key, it.sums(now))).collect();
        let looks = self.cells.values().filter_map(|cell| cell.look(request));
        for turn in looks.flat_map(|look| &look.recent) {
            if let Some(sums) = all.get_mut(&turn.stratum) {
                sums.turn(turn.length(now), turn.count);
            }
        }
        estimate(all.into_iter().map(|(key, sums)| (key.root, sums)))
    }

    fn of_request(&self, request: usize) -> impl Iterator<Item = (&Key, &Stratum)> {
        let first = Key { request, root: 0, weight: 0 };
        let last = Key { request, root: u32::MAX, weight: u32::MAX };
        self.strata.range(first..=last)
    }

    /// The share of the time in which those had a register that are to have as much of one
    /// as a cell was to at a time; of all of its process where these are few.
    pub(super) fn share(&self, number: u32, time: u64) -> f64 {
        let cell = self.cells.get(&number);
        let Some((cell, look)) = cell.and_then(|it| Some((it, it.looks.first()?))) else {
            return 1.0;
        };
        let turn = look.at(time).and_then(|at| look.recent.get(at));
        let key = Key { request: look.request, root: cell.root, weight: cell.weight };
        let key = turn.map_or(key, |turn| turn.stratum);
        let mut sums =
            self.strata.get(&key).map_or_else(Sums::default, |it| it.sums(time));
        if !sums.is_enough() {
            let all = self.of_request(key.request).filter(|(it, _)| it.root == key.root);
            sums = Sums::default();
            all.for_each(|(_, stratum)| sums.join(&stratum.sums(time)));
        }
        match sums.wanted_ns {
            0 => 1.0,
            wanted => sums.on_ns as f64 / wanted as f64,
        }
    }

    /// How many requests may have looked at any.
    pub(super) fn requests(&self) -> usize {
        self.strata.keys().next_back().map_or(0, |last| last.request + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Turns on a few registers by chance, of cells that live for so long each and are hit
    /// so often a turn where `hot`; what is estimated, and how many there were.
    fn lived(
        life: u64,
        alive: usize,
        seed: u64,
        hot: impl Fn(u64) -> u64,
    ) -> (Objects, f64) {
        const SLICE: u64 = 1000;
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = move |below: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random >> 20) as usize % below
        };
        let (mut objects, mut there, mut born) = (Objects::default(), 0, 0);
        let mut cells: Vec<(u32, u64, u64)> = Vec::new();
        for slice in 0..400 {
            let now = slice * SLICE;
            cells.retain(|(cell, _, until)| {
                let stays = *until > now;
                if !stays {
                    objects.remove(*cell, now);
                }
                stays
            });
            while cells.len() < alive {
                let cell = objects.add(1, 5);
                objects.join(cell, 0, now);
                let life = life / 2 + next(life as usize) as u64;
                cells.push((cell, hot(born), now + life));
                born += 1;
            }
            for (number, hits, _) in &cells {
                // One that was seen to be hot has twice the chance from then on.
                let seen = objects.cells[number].on && *hits > 10;
                objects.turn(*number, false, now);
                if seen {
                    objects.weigh(*number, 10, now);
                }
            }
            let chances = |(number, ..): &(u32, _, _)| objects.cells[number].weight / 5;
            let tickets = cells.iter().flat_map(|it| vec![it.0; chances(it) as usize]);
            let tickets: Vec<_> = tickets.collect();
            (0..2).for_each(|_| objects.turn(tickets[next(tickets.len())], true, now));
            for (cell, hits, _) in &cells {
                there += hits;
                if objects.cells[cell].on {
                    (0..*hits).for_each(|hit| objects.fired(0, *cell, now + hit));
                }
            }
        }
        (objects, there as f64)
    }

    #[test]
    fn those_that_had_no_turn_are_in_the_estimate_and_its_error() {
        // Lives of half a slice on average, of five, and of fifty.
        for life in [1000, 5000, 50_000] {
            let (mut within, mut told, mut off) = (0, 0, 0.0);
            for seed in 1..=60 {
                let (objects, there) =
                    lived(life, 20, seed, |born| if born % 3 == 0 { 9 } else { 2 });
                let found = objects.of(0, 400_000);
                off += found.estimated / there - 1.0;
                if let Some(error) = found.error() {
                    told += 1;
                    within += u32::from((found.estimated - there).abs() <= error);
                    assert!(error < 0.4 * there, "{life}: {found:?} of {there}");
                }
            }
            assert_eq!(told, 60, "{life}");
            assert!(
                within >= 54 && (off / 60.0_f64).abs() < 0.05,
                "{life}: {within} {off}"
            );
        }
    }

    #[test]
    fn those_with_more_of_a_register_stand_for_fewer() {
        let mut off = 0.0;
        for seed in 1..=40 {
            let (objects, there) =
                lived(50_000, 20, seed, |born| if born % 2 == 0 { 40 } else { 2 });
            off += (objects.of(0, 400_000).estimated / there - 1.0) / 40.0;
        }
        assert!(off.abs() < 0.05, "{off}");
    }

    #[test]
    fn what_each_hit_stands_for_adds_up() {
        let mut objects = Objects::default();
        let (mut weights, mut number) = (0.0, 0);
        for slice in 0..2000u64 {
            let now = slice * 1000;
            let cells: Vec<_> = (0..10).map(|_| objects.add(1, 5)).collect();
            cells.iter().for_each(|cell| objects.join(*cell, 0, now));
            let on = cells[slice as usize * 7 % 10];
            objects.turn(on, true, now);
            for hit in 1..=3 {
                objects.fired(0, on, now + hit * 300);
                weights += 1.0 / objects.share(on, now + hit * 300);
                number += 1;
            }
            cells.iter().for_each(|cell| objects.remove(*cell, now + 1000));
        }
        let found = objects.of(0, 2_000_000);
        assert_eq!((found.seen, found.estimated.round()), (number, 60_000.0));
        assert!((weights / found.estimated - 1.0).abs() < 0.02, "{weights}");
    }

    #[test]
    fn what_was_seen_stays_when_the_object_has_gone() {
        let mut objects = Objects::default();
        let (first, second) = (objects.add(7, 1), objects.add(7, 1));
        objects.join(first, 1, 0);
        objects.join(second, 1, 0);
        objects.join(second, 1, 0);
        objects.turn(first, true, 0);
        for time in 1..=10 {
            objects.fired(1, first, time);
            objects.fired(0, first, time);
            objects.fired(1, second, time);
        }
        objects.turn(second, true, 50);
        let both = objects.of(1, 100);
        assert_eq!((both.seen, both.on_ns, both.wanted_ns), (20, 150, 200));
        objects.remove(first, 100);
        objects.remove(first, 100);
        assert_eq!(objects.of(1, 100), both);
        assert_eq!(objects.of(1, 200).wanted_ns, 300);
        assert_eq!((objects.of(0, 100).seen, objects.requests()), (0, 2));
        assert!(Objects::has(first) && !Objects::has(1000));
    }

    #[test]
    fn what_is_watched_in_vain_once_it_has_gone_does_not_count() {
        let mut objects = Objects::default();
        let cell = objects.add(7, 1);
        objects.join(cell, 0, 0);
        // It goes at 80, which is known at 200 only.
        objects.turn(cell, true, 60);
        objects.remove(cell, 80);
        let late = objects.add(7, 1);
        objects.join(late, 0, 100);
        objects.turn(late, true, 150);
        objects.remove(late, 120);
        let ended = objects.add(7, 1);
        objects.join(ended, 0, 100);
        objects.turn(ended, true, 110);
        objects.turn(ended, false, 150);
        objects.remove(ended, 120);
        let all = objects.of(0, 200);
        assert_eq!((all.on_ns, all.wanted_ns), (20 + 10, 80 + 20 + 20));
    }
}
