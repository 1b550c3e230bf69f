//! From the identifier in a sample to the watch.

/// The kernel numbers events as they are opened (kernel/events/core.c,
/// `perf_event_id`), so those of one arming lie close together: a table from
/// the smallest on. Only where other users of perf have opened many in
/// between is it a sorted list.
#[derive(Debug, Default)]
pub(super) struct IdMap {
    base: u64,
    dense: Box<[u32]>,
    sorted: Box<[(u64, u32)]>,
}

/// Stands for "no watch" in the table.
const NONE: u32 = u32::MAX;

impl IdMap {
    /// A map of these pairs of identifier and watch.
    pub(super) fn new(mut pairs: Vec<(u64, u32)>) -> Self {
        pairs.sort_unstable();
        let (Some(&(base, _)), Some(&(last, _))) = (pairs.first(), pairs.last()) else {
            return Self::default();
        };
        let span = last - base;
        if span > pairs.len() as u64 * 16 + 4096 {
            return Self { base, dense: Box::default(), sorted: pairs.into() };
        }
        let mut dense = vec![NONE; span as usize + 1];
        for (id, watch) in pairs {
            dense[(id - base) as usize] = watch;
        }
        Self { base, dense: dense.into(), sorted: Box::default() }
    }

    /// The watch of the event with this identifier.
    pub(super) fn watch(&self, id: u64) -> Option<u32> {
        let offset = usize::try_from(id.wrapping_sub(self.base)).ok()?;
        if let Some(&watch) = self.dense.get(offset) {
            return (watch != NONE).then_some(watch);
        }
        let at = self.sorted.binary_search_by_key(&id, |pair| pair.0).ok()?;
        Some(self.sorted[at].1)
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
                let map = IdMap::new(pairs.clone());
                for (id, watch) in &pairs {
                    prop_assert_eq!(map.watch(*id), Some(*watch));
                }
                for id in &strangers {
                    let there = pairs.iter().find(|pair| pair.0 == *id);
                    prop_assert_eq!(map.watch(*id), there.map(|pair| pair.1));
                }
            }
        }
    }
}
