use std::time::Duration;

use super::super::turns::{Seat, Turns};
use super::super::{Scope, Slots};
use super::*;

const MS: u64 = 1_000_000;

/// Something that hits one of several watches, and how it is watched.
struct Case {
    watches: usize,
    slots: usize,
    /// When the hits come, in the order of time.
    hits: Vec<u64>,
}

/// How late hits are told.
const LATE: u64 = 25 * MS;

/// What is estimated of the first watch after so many turns, and what is true.
fn watched(case: &Case, turns: u32, seed: u64) -> (Estimate, f64) {
    let seat = Seat { pinned: false, weight: 1, scope: Scope::Tasks };
    let slots = Slots { tasks: case.slots, kernel: 0 };
    let mut order = Turns::new(&vec![seat; case.watches], slots, seed);
    let mut coverage = Coverage::new(case.watches);
    let tally = coverage.tally(0);
    for watch in 0..case.watches {
        coverage.want(watch, true, 0);
        coverage.turn(watch, order.carried()[watch], 0);
    }
    let mut seen = VecDeque::new();
    let mut hits = case.hits.iter().copied().peekable();
    let mut now = 0;
    for _ in 0..turns {
        let end = now + order.slice(Duration::from_millis(10)).as_nanos() as u64;
        while let Some(hit) = hits.next_if(|hit| *hit < end) {
            seen.extend(order.carried()[0].then_some(hit));
        }
        now = end;
        while let Some(hit) = seen.pop_front_if(|hit| *hit + LATE < now) {
            coverage.hit(tally, hit);
        }
        for pass in order.advance() {
            coverage.turn(pass.from, false, now);
            coverage.turn(pass.to, true, now);
        }
    }
    seen.into_iter().for_each(|hit| coverage.hit(tally, hit));
    let truth = case.hits.iter().filter(|hit| **hit < now).count();
    (coverage.estimate(tally, now), truth as f64)
}

/// Numbers between 0 and 1.
fn chance(seed: u64) -> impl FnMut() -> f64 {
    let mut turns = Turns::new(&[], Slots::default(), seed ^ 0xabcd);
    move || turns.slice(Duration::from_secs(2)).as_secs_f64() - 1.5
}

/// Waiting times between hits become times.
fn times(end: u64, mut wait: impl FnMut() -> f64) -> Vec<u64> {
    let mut now = 0.0;
    let next = || {
        now += wait();
        Some(now as u64)
    };
    std::iter::from_fn(next).take_while(|now| *now < end).collect()
}

/// How many of so many times an error is told, and in how many of these the truth is within
/// it; and how far all estimates together are off, as a share.
fn tried(
    (watches, slots, turns): (usize, usize, u32),
    hits: impl Fn(u64) -> Vec<u64>,
) -> (u32, u32, f64) {
    let (mut told, mut within, mut off, mut all) = (0, 0, 0.0, 0.0);
    for seed in 0..TRIES {
        let case = Case { watches, slots, hits: hits(seed) };
        let (estimate, truth) = watched(&case, turns, seed);
        if let Some(error) = estimate.error() {
            told += 1;
            within += u32::from((estimate.estimated - truth).abs() <= error);
        }
        off += estimate.estimated - truth;
        all += truth;
    }
    (told, within, off / all)
}

const TRIES: u64 = 60;

fn exponential(mean: f64, chance: &mut impl FnMut() -> f64) -> f64 {
    -mean * chance().max(1e-9).ln()
}

/// Watches, registers, turns.
const SHARED: [(usize, usize, u32); 3] = [(5, 4, 100), (16, 4, 400), (64, 4, 1600)];

fn holds(what: &str, mean_ms: &[f64], hits: impl Fn(u64, f64, u64) -> Vec<u64>) {
    for shared in SHARED {
        for &ms in mean_ms {
            let end = u64::from(shared.2) * 13 * MS;
            let hits = |seed| hits(seed, ms * MS as f64, end);
            let (told, within, off) = tried(shared, hits);
            let found = format!("{what}, {ms} ms, {shared:?}: {within} of {told}, {off}");
            assert!(told * 10 >= TRIES as u32 * 8, "{found}");
            assert!(within * 10 >= told * 9, "{found}");
            assert!(off.abs() < 0.1, "{found}");
        }
    }
}

#[test]
fn the_truth_of_hits_by_the_clock_is_within_the_error() {
    holds("by the clock", &[0.3, 3.0, 10.0, 40.0, 160.0], |seed, period, end| {
        let mut first = Some(period * chance(seed)());
        times(end, || first.take().unwrap_or(period))
    });
}

#[test]
fn the_truth_of_hits_by_chance_is_within_the_error() {
    holds("by chance", &[0.3, 3.0, 10.0, 40.0], |seed, mean, end| {
        let mut chance = chance(seed);
        times(end, || exponential(mean, &mut chance))
    });
}

#[test]
fn the_truth_of_hits_in_bursts_is_within_the_error() {
    holds("in bursts", &[2.0, 15.0, 30.0], |seed, mean, end| {
        let (mut chance, mut left) = (chance(seed), 0);
        times(end, || match left {
            0 => {
                left = 50;
                exponential(mean, &mut chance)
            }
            _ => {
                left -= 1;
                20_000.0
            }
        })
    });
}

#[test]
fn what_is_always_watched_is_no_estimate() {
    let mut coverage = Coverage::new(1);
    let tally = coverage.tally(0);
    assert_eq!(coverage.estimate(tally, 5).coverage(), 1.0);
    coverage.want(0, true, 10);
    coverage.turn(0, true, 10);
    (0..7).for_each(|time| coverage.hit(tally, 10 + time));
    let whole = Estimate {
        seen: 7,
        on_ns: 90,
        wanted_ns: 90,
        estimated: 7.0,
        variance: Some(0.0),
        bias: 0.0,
    };
    assert_eq!(coverage.estimate(tally, 100), whole);
    // Nobody wants it: neither time counts.
    coverage.want(0, false, 100);
    assert_eq!(coverage.estimate(tally, 900), whole);
}

/// Turns of 10 ms, each 40 after the last one began, from 0 on.
fn in_turns(turns: u64, after_each: impl Fn(&mut Coverage, u64)) -> Coverage {
    let mut coverage = Coverage::new(1);
    coverage.tally(0);
    coverage.want(0, true, 0);
    for turn in 0..turns {
        coverage.turn(0, true, 40 * turn * MS);
        coverage.turn(0, false, (40 * turn + 10) * MS);
        after_each(&mut coverage, turn);
    }
    coverage
}

#[test]
fn a_hit_is_of_the_turn_in_which_it_was() {
    // Told late: when the turn after it is over, or all of them.
    let counted = |coverage: &Coverage| {
        let Tally { seen, count, before, .. } = coverage.tallies[0];
        (seen, count, before.counts_squared, before.estimated)
    };
    let late = in_turns(9, |coverage, turn| {
        for of in turn.checked_sub(1).into_iter().flat_map(|of| vec![of; of as usize]) {
            coverage.hit(0, (40 * of + 9) * MS);
        }
    });
    let mut after = in_turns(9, |_, _| ());
    (0..8).for_each(|of| (0..of).for_each(|_| after.hit(0, 40 * of * MS)));
    // 0 to 7 hits, of which the last are not yet summed up.
    let squares = (0..7).map(|of| f64::from(of * of)).sum();
    assert_eq!(counted(&late), (28, 7, squares, 21.0 * 4.0));
    assert_eq!(counted(&after), counted(&late));
    // In no turn, and of the last one, which goes on.
    after.hit(0, (40 * 7 + 25) * MS);
    assert_eq!(counted(&after).1, 8);
    after.turn(0, true, 400 * MS);
    after.hit(0, 405 * MS);
    after.turn(0, false, 410 * MS);
    assert_eq!(counted(&after), (30, 1, squares + 64.0, (21.0 + 8.0) * 4.0));
    // The last one for half of the time since 330, and for all up to 800.
    assert_eq!(after.estimate(0, 800 * MS).estimated, 29.0 * 4.0 + 43.5);
}

/// Twice as often while it is on half of the time as while it is on a tenth of it.
#[test]
fn each_turn_stands_for_the_time_around_it() {
    let mut coverage = Coverage::new(1);
    let tally = coverage.tally(0);
    coverage.want(0, true, 0);
    let (mut now, mut there) = (0, 0);
    for turn in 0..400 {
        let (off, hits) = if turn / 20 % 2 == 0 { (10, 20) } else { (90, 10) };
        coverage.turn(0, true, now);
        (0..hits).for_each(|hit| coverage.hit(tally, now + hit));
        now += 10 * MS;
        coverage.turn(0, false, now);
        now += off * MS;
        there += hits * (10 + off) / 10;
    }
    let estimate = coverage.estimate(tally, now);
    let off = estimate.estimated / there as f64 - 1.0;
    assert!(off.abs() < 0.02, "{off}, {estimate:?}");
    let by_share = estimate.seen as f64 / estimate.coverage();
    assert!(by_share > 1.2 * there as f64, "as if it did as much everywhere: {by_share}");
}

/// One hit each so many turns, more than are remembered.
#[test]
fn what_is_rare_is_not_forgotten() {
    let every = 2 * RECENT as u64 + 7;
    let coverage = in_turns(20 * every, |coverage, turn| {
        if turn % every == 5 {
            coverage.hit(0, 40 * turn * MS);
        }
    });
    let estimate = coverage.estimate(0, 40 * 20 * every * MS);
    assert_eq!((estimate.seen, estimate.estimated), (20, 80.0));
}

#[test]
fn what_came_before_the_first_turn_stands_for_itself() {
    let mut coverage = Coverage::new(1);
    let tally = coverage.tally(0);
    coverage.want(0, true, 100 * MS);
    coverage.turn(0, true, 100 * MS);
    (0..50).for_each(|hit| coverage.hit(tally, hit * MS));
    coverage.hit(tally, 105 * MS);
    coverage.turn(0, false, 110 * MS);
    let estimate = coverage.estimate(tally, 200 * MS);
    assert_eq!((estimate.seen, estimate.estimated), (51, 60.0));
}

#[test]
fn what_is_too_short_stands_for_something_with_its_neighbours_only() {
    let mut coverage = Coverage::new(1);
    let tally = coverage.tally(0);
    coverage.want(0, true, 0);
    for (start, length) in [(0, 10_000), (10_000, 5), (90_000, 10_000)] {
        coverage.turn(0, true, start * 1000);
        coverage.hit(tally, start * 1000);
        // Nobody wants it for a while: no time passes.
        coverage.want(0, false, start * 1000);
        coverage.want(0, true, start * 1000);
        coverage.turn(0, false, (start + length) * 1000);
    }
    let three = coverage.estimate(tally, 100 * MS).estimated;
    // The second with the first for 50 of 100 ms, of which they saw 10, and the third, too.
    assert!((14.9..15.1).contains(&three), "{three}");
    let mut short = Coverage::new(1);
    let tally = short.tally(0);
    short.want(0, true, 0);
    short.turn(0, true, 0);
    short.turn(0, false, 100);
    short.turn(0, true, 50 * MS);
    short.hit(tally, 50 * MS);
    short.turn(0, false, 60 * MS);
    let one = short.estimate(tally, 60 * MS).estimated;
    assert!((5.9..6.1).contains(&one), "{one}");
}

#[test]
fn too_little_tells_nothing() {
    let two = in_turns(2, |coverage, turn| coverage.hit(0, 40 * turn * MS));
    assert_eq!(two.estimate(0, 80 * MS).variance, None);
    let none = in_turns(100, |_, _| ());
    let estimate = none.estimate(0, 4000 * MS);
    assert_eq!((estimate.estimated, estimate.coverage()), (0.0, 0.25));
    // Three in the quarter that was seen, so nine, and as uncertain as that.
    let error = estimate.error().expect("told");
    assert!((9.0..12.0).contains(&error), "{error}");
    // All in one turn.
    let heap = in_turns(100, |coverage, turn| {
        (0..turn / 99 * 50).for_each(|_| coverage.hit(0, 40 * turn * MS));
    });
    assert_eq!(heap.estimate(0, 4000 * MS).variance, None);
}
