//! From the identifier in a sample to the watch.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::RandomState;

/// The kernel numbers events as they are opened (kernel/events/core.c,
/// `perf_event_id`), so those of one arming lie close together: a table from
/// the smallest on, for those that were armed first. What is armed later, or
/// lies too far from there, is in a hash table.
#[derive(Debug, Default)]
pub(super) struct IdMap {
    base: u64,
    dense: Box<[u32]>,
    others: HashMap<u64, u32, RandomState>,
    /// Identifiers of events that are closed, and when: records of them may
    /// still come.
    retired: VecDeque<(u64, u64)>,
}

/// Stands for "no watch" in the table.
const NONE: u32 = u32::MAX;

impl IdMap {
    /// Adds pairs of identifier and watch.
    pub(super) fn add(&mut self, pairs: &[(u64, u32)]) {
        let ids = || pairs.iter().map(|pair| pair.0);
        let (Some(base), Some(last)) = (ids().min(), ids().max()) else { return };
        let span = last - base;
        let is_first = self.dense.is_empty() && self.others.is_empty();
        if !is_first || span > pairs.len() as u64 * 16 + 4096 {
            self.others.extend(pairs.iter().copied());
            return;
        }
        let mut dense = vec![NONE; span as usize + 1];
        for (id, watch) in pairs {
            dense[(id - base) as usize] = *watch;
        }
        (self.base, self.dense) = (base, dense.into());
    }

    /// The event with this identifier was closed at this time.
    pub(super) fn retire(&mut self, id: u64, now: u64) {
        if self.others.contains_key(&id) {
            self.retired.push_back((now, id));
        }
    }

    /// All records up to this time have come: forgets what was closed before.
    pub(super) fn drained(&mut self, bound: u64) {
        while let Some((_, id)) = self.retired.pop_front_if(|first| first.0 < bound) {
            self.others.remove(&id);
        }
    }

    /// The watch of the event with this identifier.
    pub(super) fn watch(&self, id: u64) -> Option<u32> {
        let offset = usize::try_from(id.wrapping_sub(self.base)).ok()?;
        if let Some(&watch) = self.dense.get(offset) {
            return (watch != NONE).then_some(watch);
        }
        self.others.get(&id).copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn dense_and_sparse_give_what_was_put_in(
            ids in proptest::collection::btree_map(any::<u64>(), 0u32..4, 0..50),
            start in any::<u32>(),
            strangers in proptest::collection::vec(any::<u64>(), 0..50),
        ) {
            let near = ids.iter().enumerate().map(|(index, (_, watch))| {
                (u64::from(start) + index as u64 * 3, *watch)
            });
            for pairs in [near.collect::<Vec<_>>(), ids.into_iter().collect()] {
                let mut map = IdMap::default();
                let (first, later) = pairs.split_at(pairs.len() / 2);
                map.add(first);
                map.add(later);
                for (id, watch) in &pairs {
                    prop_assert_eq!(map.watch(*id), Some(*watch));
                }
                for id in &strangers {
                    let there = pairs.iter().find(|pair| pair.0 == *id);
                    prop_assert_eq!(map.watch(*id), there.map(|pair| pair.1));
                }
                let Some((id, watch)) = later.first() else { continue };
                map.retire(*id, 10);
                map.drained(10);
                prop_assert_eq!(map.watch(*id), Some(*watch), "of 10, and may come");
                map.drained(11);
                let stays = map.dense.contains(watch).then_some(*watch);
                prop_assert_eq!(map.watch(*id), stays.filter(|_| first.is_empty()));
            }
        }
    }
}
