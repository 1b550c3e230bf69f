//! The values that the programs keep: a table that they and we write.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use foldhash::fast::RandomState;

use crate::bpf::board::{
    SHADOW_KEY, SHADOW_KNOWN, SHADOW_PLACE, SHADOW_VALUE, SHADOWS, known, shadow_key,
};
use crate::bpf::shared::Shared;

/// The table's other side. An entry in use may be written by a program at any
/// moment, but of watches that are off.
#[derive(Debug, Default)]
pub(super) struct Shadows {
    /// Values of watches that are off, by owner and watch.
    expected: HashMap<(u32, u32), u64, RandomState>,
    /// Watches that threads have of their own.
    own: Vec<u32>,
    /// Watches have numbers below this.
    watches: u32,
}

impl Shadows {
    /// There is a watch with this number.
    pub(super) fn know(&mut self, watch: u32) {
        self.watches = self.watches.max(watch + 1);
    }

    /// It is one that threads have of their own.
    pub(super) fn add_own(&mut self, watch: u32) {
        if !self.own.contains(&watch) {
            self.own.push(watch);
        }
    }

    /// Watches have numbers below this.
    pub(super) fn watches(&self) -> u32 {
        self.watches
    }

    /// A watch that is off has a value.
    pub(super) fn expect(&mut self, owner: u32, watch: u32, value: u64) {
        self.expected.insert((owner, watch), value);
    }

    /// A watch is armed for the first time, or anew, and still off.
    pub(super) fn begin(&mut self, memory: &Shared, owner: u32, watch: u32) {
        let key = shadow_key(owner, watch);
        match self.expected.remove(&(owner, watch)) {
            Some(value) => set(memory, key, value),
            None => entries(memory, key).for_each(|at| unset(memory, at)),
        }
    }

    /// Nothing is known of a watch that is on.
    pub(super) fn doubt(memory: &Shared, owner: u32, watch: u32) {
        entries(memory, shadow_key(owner, watch)).for_each(|at| unset(memory, at));
    }

    /// The value of a watch, where one is known.
    pub(super) fn held(memory: &Shared, owner: u32, watch: u32) -> Option<u64> {
        let word = |at: usize| memory.word(at).load(Ordering::Acquire);
        let mut known = entries(memory, shadow_key(owner, watch))
            .filter(|at| word(at + SHADOW_KNOWN) != 0);
        known.next().map(|at| word(at + SHADOW_VALUE))
    }

    /// Watches may have other values than before, in whatever process.
    pub(super) fn renew(&mut self, memory: &Shared, watches: &[u32]) {
        of_watches(memory, watches).for_each(|at| unset(memory, at));
        self.expected.retain(|(owner, watch), value| {
            let renewed = watches.contains(watch);
            if renewed {
                set(memory, shadow_key(*owner, *watch), *value);
            }
            !renewed
        });
    }

    /// A watch is there in a process.
    pub(super) fn place(memory: &Shared, (pid, watch): (u32, u32), address: u64) {
        let Some(at) = entry(memory, shadow_key(pid, watch)) else { return };
        let place = memory.word(at + SHADOW_PLACE);
        if place.load(Ordering::Relaxed) != address {
            unset(memory, at);
            place.store(address, Ordering::Release);
        }
    }

    /// Where a watch is is not known in any process.
    pub(super) fn displace(memory: &Shared, watch: u32) {
        of_watches(memory, &[watch]).for_each(|at| unplace(memory, at));
    }

    /// Gives back what a thread had, and with the `last` one its process.
    pub(super) fn end(&mut self, memory: &Shared, (pid, tid): (u32, u32), last: bool) {
        for watch in 0..self.watches {
            let own = self.own.contains(&watch);
            if own || last {
                let key = shadow_key(if own { tid } else { pid }, watch);
                entries(memory, key).for_each(|at| free(memory, at));
            }
        }
        if last {
            self.expected.retain(|(owner, _), _| *owner != pid);
        }
    }
}

/// The entries of a key: one, but where programs made two at once.
fn entries(memory: &Shared, key: u64) -> impl Iterator<Item = usize> {
    let is =
        move |at: &usize| memory.word(at + SHADOW_KEY).load(Ordering::Relaxed) == key;
    SHADOWS.places(key).filter(is)
}

/// Those of watches, in whatever process.
fn of_watches(memory: &Shared, watches: &[u32]) -> impl Iterator<Item = usize> {
    SHADOWS.all().filter(|at| {
        let key = memory.word(at + SHADOW_KEY).load(Ordering::Relaxed);
        watches.iter().any(|watch| key as u32 == shadow_key(0, *watch) as u32)
    })
}

/// The entry of a key, a new one where there is none; none where there is no room.
fn entry(memory: &Shared, key: u64) -> Option<usize> {
    let take = |at: &usize| {
        let word = memory.word(at + SHADOW_KEY);
        word.compare_exchange(0, key, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    };
    let mut there = entries(memory, key);
    there.next().or_else(|| SHADOWS.places(key).find(take))
}

/// Sets a value; where the table has no room, none is known.
fn set(memory: &Shared, key: u64, value: u64) {
    let Some(at) = entry(memory, key) else { return };
    memory.word(at + SHADOW_VALUE).store(value, Ordering::Release);
    memory.word(at + SHADOW_KNOWN).store(known::TOLD as u64, Ordering::Release);
}

fn unset(memory: &Shared, at: usize) {
    memory.word(at + SHADOW_KNOWN).store(0, Ordering::Release);
}

fn unplace(memory: &Shared, at: usize) {
    memory.word(at + SHADOW_PLACE).store(0, Ordering::Release);
    unset(memory, at);
}

fn free(memory: &Shared, at: usize) {
    unplace(memory, at);
    memory.word(at + SHADOW_KEY).store(0, Ordering::Release);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf::board;

    fn value(memory: &Shared, owner: u32, watch: u32) -> Option<u64> {
        let at = entries(memory, shadow_key(owner, watch)).next()?;
        let load = |field| memory.word(at + field).load(Ordering::Relaxed);
        (load(SHADOW_KNOWN) != 0).then(|| load(SHADOW_VALUE))
    }

    fn shadows() -> (Shadows, Shared) {
        let mut shadows = Shadows::default();
        (0..3).for_each(|watch| shadows.know(watch));
        shadows.add_own(2);
        (shadows, Shared::plain(board::bytes(1, 0)))
    }

    #[test]
    fn what_was_expected_is_there_when_the_watch_begins() {
        let (mut shadows, memory) = shadows();
        shadows.expect(10, 0, 5);
        assert_eq!(value(&memory, 10, 0), None);
        shadows.begin(&memory, 10, 0);
        assert_eq!(value(&memory, 10, 0), Some(5));
        shadows.begin(&memory, 10, 0);
        assert_eq!(value(&memory, 10, 0), None, "another image");
    }

    #[test]
    fn a_moved_watch_has_new_values_everywhere() {
        let (mut shadows, memory) = shadows();
        for owner in [10, 11] {
            for watch in [0, 1] {
                shadows.expect(owner, watch, 5);
                shadows.begin(&memory, owner, watch);
            }
        }
        shadows.expect(10, 0, 6);
        shadows.renew(&memory, &[0]);
        let values = |watch| [10, 11].map(|owner| value(&memory, owner, watch));
        assert_eq!((values(0), values(1)), ([Some(6), None], [Some(5); 2]));
    }

    #[test]
    fn a_value_is_of_its_place() {
        let (_, memory) = shadows();
        let key = shadow_key(10, 0);
        let place = |address| {
            set(&memory, key, 5);
            Shadows::place(&memory, (10, 0), address);
            value(&memory, 10, 0)
        };
        assert_eq!([64, 64, 128].map(place), [None, Some(5), None]);
        set(&memory, key, 5);
        Shadows::displace(&memory, 1);
        assert_eq!(value(&memory, 10, 0), Some(5));
        Shadows::displace(&memory, 0);
        assert_eq!((value(&memory, 10, 0), place(128)), (None, None));
    }

    #[test]
    fn who_ends_gives_back_what_is_his() {
        let (mut shadows, memory) = shadows();
        for (owner, watch) in [(10, 0), (10, 2), (11, 2)] {
            shadows.expect(owner, watch, 5);
            shadows.begin(&memory, owner, watch);
        }
        let known = || [(10, 0), (10, 2), (11, 2)].map(|it| value(&memory, it.0, it.1));
        shadows.end(&memory, (10, 10), false);
        assert_eq!(known(), [Some(5), None, Some(5)], "the first thread goes first");
        shadows.end(&memory, (10, 11), true);
        assert_eq!(known(), [None; 3]);
        let left =
            SHADOWS.all().filter(|at| memory.word(*at).load(Ordering::Relaxed) != 0);
        assert_eq!(left.count(), 0);
    }
}
