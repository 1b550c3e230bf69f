//! Accesses that hit several registers of one object: a member across a border of 8 bytes.
//! Each register reports them; they are told as one, with the values of all of it.

use hwtrace_runtime::access::Beyond;
use hwtrace_runtime::schema::{ByteRange, HitRecord};

/// The hits of one access follow upon one another within so many nanoseconds, lest the
/// kernel is kept from it.
const APART_NS: u64 = 1_000_000;

/// A hit whose access hit other registers, too, that have not told of it.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    /// Who asked for it.
    pub(crate) request: usize,
    /// As the request sees it.
    pub(crate) record: HitRecord,
    /// Whether nobody else looks at its register.
    pub(crate) alone: bool,
    /// The object before it, and after it.
    pub(crate) pictures: [Vec<u8>; 2],
    /// Registers, and how many of them the access went on from, each way.
    registers: Vec<u32>,
    beyond: [u32; 2],
}

/// What is held until the rest of it comes.
#[derive(Debug, Default)]
pub(crate) struct Joins {
    held: Vec<Held>,
}

impl Held {
    pub(crate) fn new(
        request: usize,
        record: HitRecord,
        beyond: Beyond,
        pictures: [Vec<u8>; 2],
    ) -> Self {
        let beyond = [beyond.below, beyond.above].map(u32::from);
        let (registers, alone) = (vec![record.watch], false);
        Self { request, record, alone, pictures, registers, beyond }
    }

    /// Whether all registers have told.
    fn is_whole(&self) -> bool {
        self.beyond[0] == self.beyond[1]
    }

    fn is_of(&self, other: &Self) -> bool {
        let of = |it: &Self| (it.request, it.record.tid, it.record.address);
        let fresh = other.record.time.saturating_sub(self.record.time) <= APART_NS;
        fresh && of(self) == of(other) && !self.registers.contains(&other.record.watch)
    }

    /// With what another register tells of the same access.
    fn joined(self, next: Self) -> Self {
        let ([old, _], [_, new]) = (self.pictures, next.pictures);
        let registers = [self.registers, next.registers].concat();
        let [below, above] = [0, 1].map(|way| self.beyond[way] + next.beyond[way]);
        let record = joined(&self.record, &next.record, (&old, &new));
        let pictures = [old, new];
        Self { record, pictures, registers, beyond: [below, above], ..next }
    }
}

/// One record of both: of what fits into its fields with all of it, else of the member that
/// was touched last.
fn joined(first: &HitRecord, next: &HitRecord, (old, new): (&[u8], &[u8])) -> HitRecord {
    let exact = first.exact & next.exact;
    let both = HitRecord { exact, doubts: first.doubts | next.doubts, ..*next };
    let (Some(old_word), Some(new_word)) = (word(old), word(new)) else { return both };
    let all = ByteRange { start: 0, end: old.len() as u8 };
    HitRecord {
        data_address: first.data_address.min(next.data_address),
        data_length: all.length().into(),
        old: old_word,
        new: new_word,
        touched: all,
        told: if exact == 1 { all } else { ByteRange::default() },
        ..both
    }
}

impl Joins {
    /// Takes a hit that is not all of its access: gives it back with what was held of that,
    /// where this was the last.
    pub(crate) fn take(&mut self, hit: Held) -> Option<Held> {
        let before = self.held.iter().position(|held| held.is_of(&hit));
        let hit = match before.map(|at| self.held.remove(at)) {
            Some(held) => held.joined(hit),
            None => hit,
        };
        if hit.is_whole() {
            return Some(hit);
        }
        self.held.push(hit);
        None
    }

    /// What is held and will not be whole: what is older than that takes, and what a thread
    /// did before it executed another instruction.
    pub(crate) fn over(&mut self, time: u64, now: Option<(u32, u64)>) -> Option<Held> {
        let is_over = |held: &Held| {
            let HitRecord { tid, address, .. } = held.record;
            time.saturating_sub(held.record.time) > APART_NS
                || now.is_some_and(|it| it.0 == tid && it.1 != address)
        };
        let at = self.held.iter().position(is_over)?;
        Some(self.held.remove(at))
    }
}

/// Whether an access at these bytes was one below them, too, and counts there: where a
/// register may be off while another is on, that is the one that tells of it.
pub(crate) fn is_from_below(beyond: Beyond) -> bool {
    beyond.below && !beyond.above
}

/// The access beyond a register, as far as others of the object are there.
pub(crate) fn within(beyond: Beyond, beside: Beyond) -> Beyond {
    Beyond { below: beyond.below && beside.below, above: beyond.above && beside.above }
}

/// The number that up to eight bytes are.
pub(crate) fn word(bytes: &[u8]) -> Option<u64> {
    let mut word = [0; 8];
    word.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(u64::from_le_bytes(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BELOW: Beyond = Beyond { below: true, above: false };
    const ABOVE: Beyond = Beyond { below: false, above: true };

    fn hit((tid, watch, time): (u32, u32, u64), beyond: Beyond, values: [u8; 2]) -> Held {
        let record = HitRecord { tid, watch, time, exact: 1, ..HitRecord::default() };
        Held::new(0, record, beyond, values.map(|value| vec![value, 0]))
    }

    #[test]
    fn an_access_to_two_registers_is_one() {
        let mut joins = Joins::default();
        // Whichever comes first; threads do not mix.
        for [first, second] in [[ABOVE, BELOW], [BELOW, ABOVE]] {
            assert!(joins.take(hit((1, 0, 10), first, [1, 2])).is_none());
            assert!(joins.take(hit((2, 0, 10), first, [5, 6])).is_none());
            let all = joins.take(hit((1, 1, 11), second, [2, 3])).expect("both");
            assert_eq!((all.record.old, all.record.new, all.record.exact), (1, 3, 1));
            assert_eq!((all.record.data_length, all.record.touched.end), (2, 2));
            let other = joins.take(hit((2, 1, 12), second, [6, 7])).expect("both");
            assert_eq!((other.record.old, other.record.new), (5, 7));
        }
        assert!(joins.held.is_empty());
    }

    #[test]
    fn what_does_not_become_whole_is_told() {
        let mut joins = Joins::default();
        assert!(joins.take(hit((1, 0, 10), ABOVE, [1, 2])).is_none());
        // The same register again: another access.
        assert!(joins.take(hit((1, 0, 20), ABOVE, [2, 3])).is_none());
        assert!(joins.over(30, Some((1, 0))).is_none(), "the same instruction");
        assert!(joins.over(30, Some((2, 7))).is_none(), "another thread");
        let first = |held: Option<Held>| held.map(|it| it.pictures[0][0]);
        assert_eq!(first(joins.over(30, Some((1, 7)))), Some(1));
        assert_eq!(first(joins.over(APART_NS + 21, None)), Some(2));
        assert!(joins.over(u64::MAX, None).is_none());
    }

    #[test]
    fn it_counts_where_it_began() {
        for (beyond, beside, counts) in [
            (BELOW, BELOW, false),
            (Beyond::SOMEWHERE, BELOW, false),
            (Beyond::SOMEWHERE, ABOVE, true),
            (Beyond::default(), Beyond::SOMEWHERE, true),
        ] {
            assert_eq!(!is_from_below(within(beyond, beside)), counts);
        }
    }
}
