//! Accesses in parts: a `rep` string instruction traps after each of its elements, and
//! is one access.
//!
//! At each hit the registers tell whether the instruction will touch the watched bytes
//! again; then its part is kept until the next. Where another access of the thread comes
//! first, the thread ends, or records are missing, the parts that there were are an access
//! of their own.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::schema::{AccessKind, ByteRange, HitRecord, UNSURE_OLD};

/// What the threads have begun.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// By thread: of each register that the instruction hits; the count in the record is that
    /// of the parts.
    begun: HashMap<u32, Vec<HitRecord>, RandomState>,
    /// Those that did not go on, to be told.
    broken: Vec<HitRecord>,
    folded: u64,
}

impl Parts {
    /// Takes what a thread did: gives it back with what it did before, if it is a part
    /// of the same access; none where more will come.
    pub(super) fn take(&mut self, record: HitRecord, goes_on: bool) -> Option<HitRecord> {
        let whole = match self.begun.is_empty() {
            true => record,
            false => self.joined(record),
        };
        if goes_on {
            self.folded += 1;
            self.begun.entry(whole.tid).or_default().push(whole);
            return None;
        }
        Some(whole)
    }

    /// With what its thread has begun, if it is the same; what is of another instruction
    /// does not go on.
    fn joined(&mut self, record: HitRecord) -> HitRecord {
        let Self { begun, broken, .. } = self;
        let Some(all) = begun.get_mut(&record.tid) else { return record };
        let mut whole = record;
        let ends =
            |it: &mut HitRecord| it.watch == record.watch || it.address != record.address;
        for before in all.extract_if(.., ends) {
            match is_same(&before, &record) {
                true => whole = joined(&before, &record),
                false => broken.push(before),
            }
        }
        if all.is_empty() {
            begun.remove(&record.tid);
        }
        whole
    }

    /// A thread does nothing more.
    pub(super) fn end(&mut self, tid: u32) {
        self.broken.extend(self.begun.remove(&tid).into_iter().flatten());
    }

    /// No thread's next part can be relied on.
    pub(super) fn end_all(&mut self) {
        self.broken.extend(self.begun.drain().flat_map(|(_, begun)| begun));
    }

    /// One that did not go on.
    pub(super) fn broken(&mut self) -> Option<HitRecord> {
        let broken = self.broken.pop()?;
        // Its hits were counted; one of them is told after all.
        self.folded -= 1;
        Some(broken)
    }

    /// How many hits were told with others.
    pub(super) fn folded(&self) -> u64 {
        self.folded
    }
}

fn is_same(begun: &HitRecord, next: &HitRecord) -> bool {
    let of = |it: &HitRecord| (it.watch, it.data_address, it.address, it.access, it.pid);
    of(begun) == of(next)
}

/// The values before the first part, and after the last.
fn joined(begun: &HitRecord, last: &HitRecord) -> HitRecord {
    let is_read = begun.access == AccessKind::Read as u32;
    HitRecord {
        old: begun.old,
        doubts: last.doubts & !UNSURE_OLD | begun.doubts & UNSURE_OLD,
        count: begun.count.saturating_add(last.count),
        touched: begun.touched.hull(last.touched),
        // Other parts stored the other bytes.
        exact: last.exact & u32::from(is_read),
        told: if is_read { last.told } else { ByteRange::default() },
        ..*last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(tid: u32, old: u64, new: u64) -> HitRecord {
        let touched = ByteRange { start: new as u8, end: new as u8 + 1 };
        let access = AccessKind::Write as u32;
        HitRecord { tid, old, new, touched, access, count: 1, ..HitRecord::default() }
    }

    #[test]
    fn parts_of_each_thread_are_one_access() {
        let mut parts = Parts::default();
        for number in 1..4 {
            assert_eq!(parts.take(part(1, number - 1, number), true), None);
            assert_eq!(parts.take(part(2, number + 9, number), number < 3), {
                let touched = ByteRange { start: 1, end: 4 };
                let whole = HitRecord { count: 3, touched, ..part(2, 10, 3) };
                (number == 3).then_some(whole)
            });
        }
        let whole = parts.take(part(1, 3, 4), false).expect("the last");
        assert_eq!((whole.old, whole.new, whole.count), (0, 4, 4));
        assert_eq!((parts.folded(), parts.broken()), (5, None));
    }

    #[test]
    fn each_register_that_an_instruction_hits_has_parts_of_its_own() {
        let mut parts = Parts::default();
        let of = |watch, number| HitRecord { watch, ..part(1, number - 1, number) };
        for number in 1..4 {
            for watch in [0, 1] {
                let whole = parts.take(of(watch, number), number < 3);
                assert_eq!(
                    whole.map(|it| (it.count, it.old)),
                    (number == 3).then_some((3, 0))
                );
            }
        }
        assert_eq!((parts.folded(), parts.broken()), (4, None));
    }

    #[test]
    fn what_does_not_go_on_is_told_all_the_same() {
        let mut parts = Parts::default();
        assert_eq!(parts.take(part(1, 0, 1), true), None);
        assert_eq!(parts.take(part(1, 1, 2), true), None);
        let other = HitRecord { address: 7, ..part(1, 2, 3) };
        assert_eq!(parts.take(other, false), Some(other));
        let broken = parts.broken().expect("the two");
        assert_eq!((broken.old, broken.new, broken.count), (0, 2, 2));
        assert_eq!((parts.folded(), parts.broken()), (1, None));
        for tid in [1, 2, 3] {
            assert_eq!(parts.take(part(tid, 0, 1), true), None);
        }
        parts.end(2);
        parts.end(2);
        assert_eq!(parts.broken().map(|it| it.tid), Some(2));
        parts.end_all();
        let left = [parts.broken(), parts.broken()].map(|it| it.map(|it| it.tid));
        assert!(left == [Some(1), Some(3)] || left == [Some(3), Some(1)], "{left:?}");
        assert_eq!((parts.folded(), parts.broken()), (1, None));
    }

    #[test]
    fn a_load_in_parts_is_told_as_its_last_and_a_store_is_not() {
        let mut parts = Parts::default();
        let all = ByteRange { start: 0, end: 1 };
        let told = |access: AccessKind| HitRecord {
            access: access as u32,
            exact: 1,
            told: all,
            touched: all,
            ..part(1, 0, 0)
        };
        for (access, exact) in [(AccessKind::Read, 1), (AccessKind::Write, 0)] {
            assert_eq!(parts.take(told(access), true), None);
            let whole = parts.take(told(access), false).expect("the last");
            assert_eq!((whole.exact, u32::from(whole.told == all)), (exact, exact));
        }
    }
}
