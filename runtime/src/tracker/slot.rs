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
    now: Stay,
    /// Those of before, the oldest first: hits of then may still come.
    before: Vec<Stay>,
}

/// A time for which a watch was somewhere, and all its hits were taken.
#[derive(Clone, Copy, Debug, Default)]
struct Stay {
    address: u64,
    /// From when on hits are of this address, and after the shadow was read.
    /// What happened before and is told only now is older than both.
    since: u64,
    /// The last value there; none where it is not known yet.
    shadow: Option<Shadow>,
    doubted: Option<Doubted>,
}

/// A watch was armed, and its value read before and after: what hits in between found is
/// not known, whatever the engine tells.
#[derive(Clone, Copy, Debug)]
struct Doubted {
    /// From when on hits are of it.
    since: u64,
    /// Read before; none once the first hit has it.
    before: Option<u64>,
    /// Read after.
    now: Reading,
    /// Whether the first hit is in doubt whenever it is: nobody saw what stored another
    /// value.
    first: bool,
}

/// What memory held, as read until a time, nanoseconds of CLOCK_MONOTONIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) shadow: Option<Shadow>,
    pub(super) until: u64,
}

/// What a hit has of that which is in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Doubt {
    /// What it held right before its register was there, where this is the first hit.
    pub(super) before: Option<u64>,
    /// What it held when it was read anew, if that was after this hit. There may have been
    /// others by then, so that it is not sure.
    pub(super) now: Option<Shadow>,
}

/// Where and when a hit was.
#[derive(Debug)]
pub(super) struct Place<'s> {
    pub(super) address: u64,
    /// Whether it happened before the shadow was read: that is of later.
    pub(super) belated: bool,
    /// What is not known of it.
    pub(super) doubt: Option<Doubt>,
    /// What was there.
    pub(super) shadow: &'s mut Option<Shadow>,
}

impl Doubted {
    /// What of it is a hit's; the first has it, and all until it was read anew.
    fn at(own: &mut Option<Self>, time: u64) -> Option<Doubt> {
        let doubted = own.as_mut().filter(|it| it.since <= time)?;
        let within = time <= doubted.now.until;
        let first = std::mem::take(&mut doubted.first) || within;
        let now = doubted.now.shadow.filter(|_| within);
        let now = now.map(|shadow| shadow.sure_if(false));
        let doubt = Doubt { before: doubted.before.take(), now };
        if !within {
            *own = None;
        }
        first.then_some(doubt)
    }
}

impl Slot {
    /// One at this address, of which nothing is known.
    pub(super) fn at(address: u64) -> Self {
        Self { now: Stay { address, ..Stay::default() }, before: Vec::new() }
    }

    /// Where it is now.
    pub(super) fn address(&self) -> u64 {
        self.now.address
    }

    /// The last value there; none where it is not known yet.
    pub(super) fn shadow(&self) -> Option<Shadow> {
        self.now.shadow
    }

    /// It holds this now, as it was read.
    pub(super) fn holds(&mut self, shadow: Option<Shadow>) {
        self.now.shadow = shadow;
    }

    /// It holds this now that it is armed; what it held right before is its shadow.
    pub(super) fn armed(&mut self, now: Reading) {
        let (since, before) = (self.now.since, self.now.shadow);
        self.doubt(since, before, now);
        if before != now.shadow {
            self.now.shadow = now.shadow.map(|shadow| shadow.sure_if(false));
        }
    }

    /// What it holds, where that is known.
    pub(super) fn held(&self, whose: Whose, watch: usize) -> Option<Held> {
        Some(Held { whose, watch, value: self.now.shadow?.value })
    }

    /// Whether it is anywhere.
    pub(super) fn is_placed(&self) -> bool {
        self.now.address != Watch::PENDING
    }

    /// What it watches.
    pub(super) fn watch(&self, like: Watch) -> Watch {
        Watch { address: self.now.address, ..like }
    }

    /// What was there before this time is not of it.
    pub(super) fn renew(&mut self, since: u64) {
        self.now.since = since;
    }

    /// It held this before it was armed at this time, and then that.
    pub(super) fn doubt(&mut self, since: u64, before: Option<Shadow>, now: Reading) {
        let value = |shadow: Option<Shadow>| shadow.map(|shadow| shadow.value);
        let first = value(before) != value(now.shadow);
        let before = value(before);
        self.now.doubted = before.map(|_| Doubted { since, before, now, first });
    }

    /// What it holds at this time was read anew: of what was before nothing is in doubt.
    pub(super) fn settle_doubt(&mut self, time: u64) {
        self.now.doubted.take_if(|doubted| doubted.since < time);
    }

    /// Whether it held something else at this time.
    pub(super) fn is_younger_than(&self, time: u64) -> bool {
        time < self.now.since
    }

    /// It moves, or begins anew where it is; hits from before this time are still of what
    /// it was.
    pub(super) fn move_to(&mut self, address: u64, since: u64) {
        if self.before.len() == MOVES_MAX {
            self.before.remove(0);
        }
        self.before.push(self.now);
        self.now = Stay { address, since, ..Stay::default() };
    }

    /// Where it was when something hit it. Hits come in the order of time: with
    /// the first of the present place those before it are forgotten.
    pub(super) fn place(&mut self, time: u64) -> Place<'_> {
        let stay = match self.before.iter().rposition(|stay| stay.since <= time) {
            _ if time >= self.now.since => {
                self.before.clear();
                &mut self.now
            }
            Some(then) => &mut self.before[then],
            None => self.before.first_mut().unwrap_or(&mut self.now),
        };
        Place {
            address: stay.address,
            belated: time < stay.since,
            doubt: Doubted::at(&mut stay.doubted, time),
            shadow: &mut stay.shadow,
        }
    }

    /// Hits were lost: any value may have changed.
    pub(super) fn lost(&mut self) {
        for stay in self.before.iter_mut().chain([&mut self.now]) {
            stay.shadow = stay.shadow.map(|shadow| shadow.sure_if(false));
        }
    }

    /// The same in a child that was born at this time: what was read later is its parent's.
    /// With `all` all hits are told of; else the engine may know better.
    pub(super) fn inherit(&mut self, time: u64, all: bool) {
        for stay in self.before.iter_mut().chain([&mut self.now]) {
            let shadow = stay.shadow.filter(|_| stay.since <= time);
            stay.shadow = shadow.map(|shadow| shadow.sure_if(all));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(slot: &mut Slot, time: u64) -> (u64, bool) {
        let Place { address, belated, .. } = slot.place(time);
        (address, belated)
    }

    #[test]
    fn hits_are_of_where_the_watch_was() {
        let mut slot = Slot::at(64);
        slot.move_to(128, 10);
        slot.move_to(192, 20);
        for (time, address) in [(9, 64), (10, 128), (19, 128), (9, 64)] {
            assert_eq!(place(&mut slot, time), (address, false));
        }
        assert_eq!(place(&mut slot, 20), (192, false));
        slot.renew(30);
        assert_eq!(place(&mut slot, 25), (192, true), "nothing is known of then");
    }

    #[test]
    fn each_stay_has_values_of_its_own() {
        let shadow = |value, sure| Some(Shadow { value, sure });
        let mut slot = Slot::at(64);
        slot.holds(shadow(1, true));
        slot.move_to(64, 10);
        slot.holds(shadow(9, true));
        let told = slot.place(5);
        assert_eq!((*told.shadow, told.belated), (shadow(1, true), false));
        *told.shadow = shadow(2, true);
        assert_eq!(*slot.place(6).shadow, shadow(2, true));
        let mut child = slot.clone();
        child.inherit(7, true);
        assert_eq!((*child.place(8).shadow, child.shadow()), (shadow(2, true), None));
        slot.lost();
        assert_eq!(*slot.place(9).shadow, shadow(2, false));
        assert_eq!(*slot.place(10).shadow, shadow(9, false));
    }

    #[test]
    fn the_first_hit_alone_is_doubtful() {
        let mut slot = Slot::at(64);
        let [before, now] = [3, 4].map(|value| Some(Shadow { value, sure: true }));
        slot.holds(before);
        slot.armed(Reading { shadow: now, until: 0 });
        assert_eq!(slot.shadow(), Some(Shadow { value: 4, sure: false }));
        let doubt = Doubt { before: Some(3), now: None };
        assert_eq!((slot.place(1).doubt, slot.place(1).doubt), (Some(doubt), None));
    }

    #[test]
    fn hits_before_it_was_read_anew_are_doubtful_also_where_it_holds_the_same() {
        let mut slot = Slot::at(64);
        let held = Some(Shadow { value: 3, sure: true });
        slot.holds(held);
        slot.armed(Reading { shadow: held, until: 10 });
        assert_eq!(slot.shadow(), held);
        let now = held.map(|shadow| shadow.sure_if(false));
        let doubt = |before| Some(Doubt { before, now });
        let doubts = [9, 10, 11, 12].map(|time| slot.place(time).doubt);
        assert_eq!(doubts, [doubt(Some(3)), doubt(None), None, None]);
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let mut slot = Slot::default();
        (1..1000).for_each(|time| slot.move_to(time * 8, time));
        assert_eq!(slot.before.len(), MOVES_MAX);
        assert_eq!(slot.place(990).address, 990 * 8);
    }
}
