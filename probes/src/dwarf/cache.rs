//! What was read is kept for a while, within bounds.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Keeps up to so many values; when there are more, all are given up.
#[derive(Debug)]
pub(super) struct Cache<K, V> {
    kept: Mutex<HashMap<K, V>>,
    max: usize,
}

impl<K: Hash + Eq, V: Clone> Cache<K, V> {
    pub(super) fn new(max: usize) -> Self {
        Self { kept: Mutex::default(), max }
    }

    pub(super) fn get(&self, key: &K) -> Option<V> {
        self.lock().get(key).cloned()
    }

    pub(super) fn insert(&self, key: K, value: V) {
        let mut kept = self.lock();
        if kept.len() >= self.max {
            kept.clear();
        }
        kept.insert(key, value);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, V>> {
        // A map is whole after each of its methods, also if a thread died.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded() {
        let cache = Cache::new(2);
        for key in 0..5 {
            cache.insert(key, key * 10);
            assert_eq!(cache.get(&key), Some(key * 10));
        }
        assert_eq!(cache.get(&0), None);
    }
}
