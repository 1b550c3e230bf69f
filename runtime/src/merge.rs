//! Merges records of many rings into one stream in the order of time.
//!
//! Each ring is in order by itself: one CPU writes it. Across rings a record
//! may go once no ring can still bring an older one. A record gets its time
//! first and is published after, so at the moment at which a reader looks at
//! all rings, a record older than that moment may still be on its way on
//! another CPU, for as long as its writer needs between the two steps: a
//! microsecond, or as long as an interrupt or a hypervisor holds that CPU.
//!
//! The rule: a round reads the clock, then looks at all rings, and releases
//! what is older than that clock by [`SETTLE_NS`]. (Waiting for "the clock of
//! the previous round" is the same rule with a settling time that depends on
//! how soon the rounds follow each other, down to nothing.) What comes later
//! than that is handed on nevertheless, and counted in [`Merge::late`].

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use crate::engine::Flow;

/// How old a record must be before it is sure that no older one is on its
/// way, nanoseconds.
pub const SETTLE_NS: u64 = 2_000_000;

/// The same for a reader in haste, with a ring more than half full: losing
/// records is worse than a wrong order.
pub const SETTLE_HASTE_NS: u64 = 100_000;

/// Records in the order of time, the first of which can be looked at.
pub trait Cursor {
    /// Time of the first record, or None at the end of what was there when
    /// the round began.
    fn time(&self) -> Option<u64>;

    /// Moves past the first record.
    ///
    /// # Errors
    /// Where what follows makes no sense.
    fn advance(&mut self) -> std::io::Result<()>;
}

/// The state of a merge, kept from round to round.
#[derive(Debug, Default)]
pub struct Merge {
    /// Time of the first record of each cursor that has one, and its index.
    heap: BinaryHeap<Reverse<(u64, usize)>>,
    /// The latest time handed on.
    last: u64,
    late: u64,
}

impl Merge {
    /// A merge of up to `cursors` cursors; rounds allocate nothing.
    pub fn with_capacity(cursors: usize) -> Self {
        Self { heap: BinaryHeap::with_capacity(cursors), last: 0, late: 0 }
    }

    /// Records that were handed on after younger ones.
    pub fn late(&self) -> u64 {
        self.late
    }

    /// Hands on, by time, the records up to and including `bound`, until
    /// `take` wants no more. At equal times the lower index goes first.
    ///
    /// # Errors
    /// As [`Cursor::advance`]; the round ends there, the next can go on.
    pub fn round<C: Cursor>(
        &mut self,
        cursors: &mut [C],
        bound: u64,
        mut take: impl FnMut(&C) -> Flow,
    ) -> std::io::Result<()> {
        self.heap.clear();
        for (index, cursor) in cursors.iter().enumerate() {
            if let Some(time) = cursor.time() {
                self.heap.push(Reverse((time, index)));
            }
        }
        while let Some(mut first) = self.heap.peek_mut() {
            let Reverse((time, index)) = *first;
            if time > bound {
                break;
            }
            let Some(cursor) = cursors.get_mut(index) else {
                break;
            };
            if time < self.last {
                self.late += 1;
            } else {
                self.last = time;
            }
            let flow = take(cursor);
            cursor.advance()?;
            match cursor.time() {
                // The heap is put in order again when `first` goes.
                Some(next) => *first = Reverse((next, index)),
                None => drop(PeekMut::pop(first)),
            }
            if flow == Flow::Stop {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Records as (time, number), of which the first `seen` can be seen.
    #[derive(Debug, Default)]
    struct Script {
        records: Vec<(u64, usize)>,
        next: usize,
        seen: usize,
    }

    impl Cursor for Script {
        fn time(&self) -> Option<u64> {
            let seen = &self.records[..self.seen];
            seen.get(self.next).map(|record| record.0)
        }

        fn advance(&mut self) -> std::io::Result<()> {
            self.next += 1;
            Ok(())
        }
    }

    fn drain(merge: &mut Merge, cursors: &mut [Script], bound: u64) -> Vec<(u64, usize)> {
        let mut out = Vec::new();
        let taken = merge.round(cursors, bound, |cursor| {
            out.push(cursor.records[cursor.next]);
            Flow::Continue
        });
        taken.expect("scripts do not fail");
        out
    }

    /// Deals records with ascending times out to cursors.
    fn deal(times: &[u64], cpus: &[usize], count: usize) -> Vec<Script> {
        let mut cursors: Vec<_> = (0..count).map(|_| Script::default()).collect();
        for (number, (time, cpu)) in times.iter().zip(cpus).enumerate() {
            cursors[cpu % count].records.push((*time, number));
        }
        cursors
    }

    #[test]
    fn stop_consumes_the_record_it_stops_at() {
        let mut cursors = deal(&[1, 2, 3], &[0, 1, 0], 2);
        cursors.iter_mut().for_each(|cursor| cursor.seen = cursor.records.len());
        let mut merge = Merge::with_capacity(2);
        let stopped = merge.round(&mut cursors, u64::MAX, |_| Flow::Stop);
        stopped.expect("scripts do not fail");
        assert_eq!(drain(&mut merge, &mut cursors, u64::MAX), [(2, 1), (3, 2)]);
    }

    #[test]
    fn a_late_record_is_handed_on_and_counted() {
        let mut cursors = deal(&[1, 5, 9], &[1, 0, 0], 2);
        cursors[0].seen = 2;
        let mut merge = Merge::with_capacity(2);
        assert_eq!(drain(&mut merge, &mut cursors, 9), [(5, 1), (9, 2)]);
        cursors[1].seen = 1;
        assert_eq!(drain(&mut merge, &mut cursors, 9), [(1, 0)]);
        assert_eq!(merge.late(), 1);
    }

    proptest! {
        /// Records are published up to `delay` after their time; rounds come
        /// at any moments and release what is older by `delay`.
        #[test]
        fn sorted_and_complete_where_the_assumption_holds(
            steps in proptest::collection::vec((0u64..20, 0usize..5, 0u64..30), 1..200),
            rounds in proptest::collection::vec(0u64..100, 0..40),
        ) {
            let delay = 30;
            let mut times = Vec::new();
            let mut now = 1000;
            for (gap, _, _) in &steps {
                now += gap;
                times.push(now);
            }
            let cpus: Vec<usize> = steps.iter().map(|step| step.1).collect();
            let mut cursors = deal(&times, &cpus, 5);
            let mut merge = Merge::with_capacity(5);
            let mut out = Vec::new();
            let mut clock = 1000;
            for gap in rounds {
                clock += gap;
                for cursor in &mut cursors {
                    // In the order of the ring: a record held up holds up
                    // those after it.
                    let published = cursor.records.iter().take_while(|(time, number)| {
                        time + steps[*number].2 <= clock
                    });
                    cursor.seen = published.count().max(cursor.seen);
                }
                out.extend(drain(&mut merge, &mut cursors, clock - delay));
            }
            cursors.iter_mut().for_each(|cursor| cursor.seen = cursor.records.len());
            out.extend(drain(&mut merge, &mut cursors, u64::MAX));
            prop_assert_eq!(merge.late(), 0);
            prop_assert!(out.is_sorted_by_key(|record| record.0));
            let mut numbers: Vec<_> = out.iter().map(|record| record.1).collect();
            numbers.sort_unstable();
            prop_assert_eq!(numbers, (0..steps.len()).collect::<Vec<_>>());
        }

        /// Whatever the times, nothing is lost and nothing comes twice.
        #[test]
        fn complete_in_any_case(
            times in proptest::collection::vec(any::<u64>(), 0..100),
            bounds in proptest::collection::vec(any::<u64>(), 0..10),
        ) {
            let cpus: Vec<usize> = (0..times.len()).collect();
            let mut cursors = deal(&times, &cpus, 3);
            cursors.iter_mut().for_each(|cursor| cursor.seen = cursor.records.len());
            let mut merge = Merge::with_capacity(3);
            let mut out = Vec::new();
            for bound in bounds.into_iter().chain([u64::MAX]) {
                out.extend(drain(&mut merge, &mut cursors, bound));
            }
            let mut numbers: Vec<_> = out.iter().map(|record| record.1).collect();
            numbers.sort_unstable();
            prop_assert_eq!(numbers, (0..times.len()).collect::<Vec<_>>());
        }
    }
}
