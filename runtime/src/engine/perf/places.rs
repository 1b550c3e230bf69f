//! Where watches that may be elsewhere are in each process, and were.
//!
//! A register that a new thread inherits while its watch is moved may still be where that was
//! ([`super::turns`]). So hits of such watches tell their address, and what is not where the
//! watch was in that process at that time is nobody's. A process that inherited its watches
//! has them where that has them for which they were opened.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::event::{Event, Watch};

/// By process: since when it has the watches of which arming, the last at the end.
type Homes = HashMap<u32, Vec<(u64, u32)>, RandomState>;

/// The places.
#[derive(Debug, Default)]
pub(super) struct Places {
    homes: Homes,
    /// By number.
    armings: HashMap<u32, Arming, RandomState>,
    next: u32,
}

/// What was armed at once for a process.
#[derive(Debug)]
struct Arming {
    pid: u32,
    /// By watch.
    stays: HashMap<u32, Vec<Stay>, RandomState>,
}

/// A watch was somewhere from some time on.
#[derive(Clone, Copy, Debug)]
struct Stay {
    since: u64,
    address: u64,
}

impl Places {
    /// These watches, of which any may be elsewhere later, are armed for a process from now
    /// on.
    pub(super) fn arm(
        &mut self,
        pid: u32,
        watches: impl Iterator<Item = (u32, Watch)>,
        now: u64,
    ) {
        let first = |watch: Watch| vec![Stay { since: 0, address: watch.address }];
        let stays: HashMap<_, _, _> =
            watches.map(|(number, watch)| (number, first(watch))).collect();
        if stays.is_empty() {
            return;
        }
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.armings.insert(number, Arming { pid, stays });
        self.homes.entry(pid).or_default().push((now, number));
    }

    /// What was armed last for a process was not, after all.
    pub(super) fn take_back(&mut self, pid: u32) {
        let Some(number) = self.own(pid) else { return };
        self.armings.remove(&number);
        let homes = self.homes.get_mut(&pid).into_iter();
        homes.for_each(|homes| homes.retain(|home| home.1 != number));
    }

    /// What was armed last for a process itself.
    fn own(&self, pid: u32) -> Option<u32> {
        let homes = self.homes.get(&pid)?;
        let is_own =
            |number: &u32| self.armings.get(number).is_some_and(|it| it.pid == pid);
        homes.iter().rev().map(|home| home.1).find(is_own)
    }

    /// A watch of a process is elsewhere from this time on.
    pub(super) fn moved(&mut self, (pid, watch): (u32, u32), address: u64, since: u64) {
        let arming = self.own(pid).and_then(|own| self.armings.get_mut(&own));
        if let Some(stays) = arming.and_then(|it| it.stays.get_mut(&watch)) {
            stays.push(Stay { since, address });
        }
    }

    /// Where a watch is in the processes for which it was armed.
    pub(super) fn of(&self, watch: u32) -> impl Iterator<Item = (u32, u64)> {
        self.armings.iter().filter_map(move |(number, arming)| {
            let address = arming.stays.get(&watch)?.last()?.address;
            (self.own(arming.pid) == Some(*number)).then_some((arming.pid, address))
        })
    }

    /// Whether a watch is at an address in a process by now, whoever armed it.
    pub(super) fn is_at(&self, pid: u32, watch: u32, address: u64) -> bool {
        self.was_at((pid, watch), address, u64::MAX)
    }

    /// Whether a watch was at an address at a time. Of a process whose birth nobody told it
    /// is asked whether it was in any.
    pub(super) fn was_at(
        &self,
        (pid, watch): (u32, u32),
        address: u64,
        time: u64,
    ) -> bool {
        let was = |arming: &Arming| {
            let stays = arming.stays.get(&watch)?;
            let stay = stays.iter().rev().find(|stay| stay.since <= time);
            Some(stay.or(stays.first())?.address == address)
        };
        match self.home(pid, time) {
            // What is not among them does not move.
            Some(arming) => was(arming).unwrap_or(true),
            None => {
                let mut known = self.armings.values().filter_map(was).peekable();
                known.peek().is_none() || known.any(|was| was)
            }
        }
    }

    /// What was armed for a process, or for that of which it inherited it.
    fn home(&self, pid: u32, time: u64) -> Option<&Arming> {
        self.armings.get(&home(&self.homes, pid, time)?)
    }

    /// Follows births and ends, in the order of time.
    pub(super) fn note(&mut self, event: &Event<'_>) {
        if self.armings.is_empty() {
            return;
        }
        if let Event::Fork { time, pid, parent_pid, .. } = *event
            && pid != parent_pid
            && let Some(home) = home(&self.homes, parent_pid, time)
        {
            self.homes.entry(pid).or_default().push((time, home));
        }
    }

    /// A process has ended, at this time or before.
    pub(super) fn ended(&mut self, pid: u32, time: u64) {
        let Some(homes) = self.homes.get_mut(&pid) else { return };
        // Another may have its number by now.
        homes.retain(|home| home.0 > time);
        if homes.is_empty() {
            self.homes.remove(&pid);
        }
        let homes = &self.homes;
        let is_home = |number: &u32| homes.values().flatten().any(|it| it.1 == *number);
        self.armings.retain(|number, _| is_home(number));
    }

    /// All hits up to this time have come.
    pub(super) fn drained(&mut self, bound: u64) {
        let stays =
            self.armings.values_mut().flat_map(|arming| arming.stays.values_mut());
        for stays in stays.filter(|stays| stays.len() > 1) {
            let over = stays.iter().skip(1).take_while(|stay| stay.since < bound).count();
            stays.drain(..over);
        }
    }
}

/// What a process had at a time; before it had any, its first.
fn home(homes: &Homes, pid: u32, time: u64) -> Option<u32> {
    let homes = homes.get(&pid)?;
    let then = homes.iter().rev().find(|home| home.0 <= time);
    then.or(homes.first()).map(|home| home.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Trigger;

    const ELSEWHERE: u64 = 0x9000;

    fn watch(address: u64) -> Watch {
        Watch { address, length: 8, trigger: Trigger::Write }
    }

    fn born(places: &mut Places, parent_pid: u32, pid: u32, time: u64) {
        let (tid, parent_tid) = (pid, parent_pid);
        places.note(&Event::Fork { time, pid, tid, parent_pid, parent_tid });
    }

    /// Processes 1 and 2 with a watch of one number at other addresses, and a child of 1.
    fn family() -> Places {
        let mut places = Places::default();
        places.arm(1, [(0, watch(0x1000))].into_iter(), 10);
        places.arm(2, [(0, watch(0x2000))].into_iter(), 10);
        born(&mut places, 1, 3, 20);
        places
    }

    #[test]
    fn a_watch_is_where_it_is_in_that_process() {
        let places = family();
        for (pid, address) in [(1, 0x1000), (2, 0x2000), (3, 0x1000)] {
            for other in [0x1000, 0x2000, ELSEWHERE] {
                let was = places.was_at((pid, 0), other, 30);
                assert_eq!(was, address == other, "{pid} {other:x}");
            }
        }
        assert!(places.was_at((3, 7), ELSEWHERE, 30), "it does not move");
        // Its birth was lost.
        assert!(places.was_at((9, 0), 0x2000, 30));
        assert!(!places.was_at((9, 0), ELSEWHERE, 30));
    }

    #[test]
    fn a_watch_moves_with_those_who_inherited_it_and_was_elsewhere_before() {
        let mut places = family();
        places.moved((1, 0), ELSEWHERE, 40);
        for pid in [1, 3] {
            assert!(places.was_at((pid, 0), 0x1000, 39), "{pid}");
            assert!(!places.was_at((pid, 0), 0x1000, 40), "{pid}");
            assert!(places.is_at(pid, 0, ELSEWHERE), "{pid}");
        }
        assert!(places.is_at(2, 0, 0x2000));
        let mut all: Vec<_> = places.of(0).collect();
        all.sort_unstable();
        assert_eq!(all, [(1, ELSEWHERE), (2, 0x2000)]);
        places.drained(40);
        assert!(places.was_at((1, 0), 0x1000, 39), "hits of then may come");
        places.drained(41);
        assert!(!places.was_at((1, 0), 0x1000, 39));
    }

    #[test]
    fn what_was_armed_stays_as_long_as_anybody_has_it() {
        let mut places = family();
        // The child executes another image, and is armed for itself.
        places.arm(3, [(0, watch(0x3000))].into_iter(), 50);
        assert!(places.was_at((3, 0), 0x1000, 49) && places.is_at(3, 0, 0x3000));
        places.moved((3, 0), 0x4000, 60);
        assert!(places.is_at(1, 0, 0x1000) && places.is_at(3, 0, 0x4000));
        places.take_back(3);
        assert!(places.is_at(3, 0, 0x1000));
        places.ended(1, 70);
        assert!(places.is_at(3, 0, 0x1000));
        // Its number is another's that was armed since.
        places.arm(3, [(0, watch(0x5000))].into_iter(), 90);
        places.ended(3, 80);
        assert!(places.is_at(3, 0, 0x5000));
        places.ended(3, 100);
        places.ended(2, 100);
        assert!(places.armings.is_empty() && places.homes.is_empty());
    }
}
