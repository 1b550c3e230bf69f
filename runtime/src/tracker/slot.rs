//! A watch in one process, or of one thread: where it is, and what it last held.

use super::Held;
use crate::engine::Whose;
use crate::event::Watch;

/// So many moves are remembered; those of before are as good as over.
const MOVES_MAX: usize = 64;

/// What is last known of a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shadow {
    pub(super) value: u64,
    /// Whether every store up to here was seen, and its value told by the
    /// instruction; else memory was asked, which may have been stored to since.
    pub(super) sure: bool,
}

impl Shadow {
    /// The same, and sure only where this holds, too.
    pub(super) fn sure_if(self, so: bool) -> Self {
        Self { sure: self.sure && so, ..self }
    }
}

/// A watch where it is now, and where it was.
#[derive(Clone, Debug, Default)]
pub(super) struct Slot {
    /// The last value there; none where it is not known yet.
    pub(super) shadow: Option<Shadow>,
    address: u64,
    /// From when on hits are of this address, and after the shadow was read.
    /// What happened before and is told only now is older than both.
    since: u64,
    /// Where it was, and since when: the oldest first. Its hits may still come.
    before: Vec<(u64, u64)>,
    /// From when on it was armed while somebody stored: what was read of it is not what
    /// the first hit from then on found, whatever the engine tells.
    doubted: Option<u64>,
}

/// Of which address a hit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) address: u64,
    /// Whether it happened before the shadow was read: that is of later.
    pub(super) belated: bool,
}

impl Slot {
    /// One at this address, of which nothing is known.
    pub(super) fn at(address: u64) -> Self {
        Self { address, ..Self::default() }
    }

    /// Where it is now.
    pub(super) fn address(&self) -> u64 {
        self.address
    }

    /// What it holds, where that is known.
    pub(super) fn held(&self, whose: Whose, watch: usize) -> Option<Held> {
        Some(Held { whose, watch, value: self.shadow?.value })
    }

    /// Whether it is anywhere.
    pub(super) fn is_placed(&self) -> bool {
        self.address != Watch::PENDING
    }

    /// What it watches.
    pub(super) fn watch(&self, like: Watch) -> Watch {
        Watch { address: self.address, ..like }
    }

    /// What was there before this time is not of it.
    pub(super) fn renew(&mut self, since: u64) {
        self.since = since;
    }

    /// What was read of it is not what the first hit from this time on found.
    pub(super) fn doubt(&mut self, since: u64) {
        self.doubted = Some(since);
    }

    /// The same of what was read for the present place.
    pub(super) fn doubt_all(&mut self) {
        self.doubt(self.since);
    }

    /// Whether it is a hit at this time that found something else; once.
    pub(super) fn take_doubt(&mut self, time: u64) -> bool {
        self.doubted.take_if(|since| *since <= time).is_some()
    }

    /// Whether it held something else at this time.
    pub(super) fn is_younger_than(&self, time: u64) -> bool {
        time < self.since
    }

    /// It moves; hits from before this time are still of where it was.
    pub(super) fn move_to(&mut self, address: u64, since: u64) {
        if self.before.len() == MOVES_MAX {
            self.before.remove(0);
        }
        self.before.push((self.since, self.address));
        (self.address, self.since, self.shadow) = (address, since, None);
    }

    /// Where it was when something hit it. Hits come in the order of time: with
    /// the first of the present place those before it are forgotten.
    pub(super) fn place(&mut self, time: u64) -> Place {
        if time >= self.since {
            self.before.clear();
            return Place { address: self.address, belated: false };
        }
        let then = self.before.iter().rev().find(|(since, _)| *since <= time);
        let address = then.or(self.before.first()).map_or(self.address, |it| it.1);
        Place { address, belated: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_are_of_where_the_watch_was() {
        let mut slot = Slot::at(64);
        slot.move_to(128, 10);
        slot.move_to(192, 20);
        for (time, address) in [(9, 64), (10, 128), (19, 128)] {
            assert_eq!(slot.place(time), Place { address, belated: true });
        }
        assert_eq!(slot.place(20), Place { address: 192, belated: false });
        slot.renew(30);
        assert_eq!(slot.place(25), Place { address: 192, belated: true });
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let mut slot = Slot::default();
        (1..1000).for_each(|time| slot.move_to(time * 8, time));
        assert_eq!(slot.before.len(), MOVES_MAX);
        assert_eq!(slot.place(990).address, 990 * 8);
    }
}
