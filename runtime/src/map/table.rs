//! Tables with keys of one width, in insertion order.
//!
//! A hash table holds key, value and the position of the key in the order, a
//! queue of keys. Removing touches the hash table alone: the key's place in
//! the queue is stale from then on, which shows by the position that the hash
//! table has for it. Stale places are dropped when they are more than the
//! live ones, so removal costs O(1), also of the oldest element and of all,
//! one by one. Reading and adding to an element touch the hash table alone.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::fmt::Debug;
use std::hash::{Hash, Hasher};

use foldhash::fast::RandomState;

use super::KEYS_MAX;

/// A table. One type per number of keys, so that a key is hashed and compared
/// as a plain array of words.
pub(super) trait Table: Debug {
    fn len(&self) -> usize;
    fn get(&self, key: &[u64]) -> Option<u64>;
    fn contains(&self, key: &[u64]) -> bool;
    /// The value of the key, made as 0 if missing and there is room.
    fn slot(&mut self, key: &[u64], capacity: usize) -> Option<&mut u64>;
    fn remove(&mut self, key: &[u64]) -> Option<u64>;
    /// Removes the element that was put in before all others.
    fn remove_oldest(&mut self) -> Option<u64>;
    fn clear(&mut self);
    /// Calls `each` with all elements in the order of insertion.
    fn each(&self, each: &mut dyn FnMut(&[u64], u64));
}

/// A key, hashed word by word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Words<const N: usize>([u64; N]);

impl<const N: usize> Hash for Words<N> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for word in self.0 {
            state.write_u64(word);
        }
    }
}

/// A value, and where its key stands in the order.
#[derive(Debug)]
struct Cell {
    value: u64,
    position: u64,
}

#[derive(Debug, Default)]
struct Fixed<const N: usize> {
    cells: HashMap<Words<N>, Cell, RandomState>,
    /// Keys in the order of insertion, some of them stale.
    order: VecDeque<Words<N>>,
    /// The position of the first key in `order`.
    first: u64,
}

/// An empty table for so many keys.
pub(super) fn table(keys: usize) -> Box<dyn Table> {
    match keys {
        0 | 1 => Box::<Fixed<1>>::default(),
        2 => Box::<Fixed<2>>::default(),
        3 => Box::<Fixed<3>>::default(),
        4 => Box::<Fixed<4>>::default(),
        5 => Box::<Fixed<5>>::default(),
        6 => Box::<Fixed<6>>::default(),
        7 => Box::<Fixed<7>>::default(),
        _ => Box::<Fixed<KEYS_MAX>>::default(),
    }
}

impl<const N: usize> Fixed<N> {
    fn key(words: &[u64]) -> Words<N> {
        // The compiler gives as many keys as the array has; another number
        // would be its bug, and then no element is met.
        Words(words.try_into().unwrap_or([u64::MAX; N]))
    }

    /// The value of the key that stands at `position`, none where it is stale.
    fn live(&self, key: &Words<N>, position: u64) -> Option<u64> {
        let cell = self.cells.get(key)?;
        (cell.position == position).then_some(cell.value)
    }

    /// Drops the stale places where they are too many.
    fn compact(&mut self) {
        const FEW: usize = 64;
        if self.order.len() <= 2 * self.cells.len() + FEW {
            return;
        }
        let old = std::mem::take(&mut self.order);
        let first = self.first;
        self.first = 0;
        for (position, key) in (first..).zip(old) {
            if let Some(cell) = self.cells.get_mut(&key)
                && cell.position == position
            {
                // Renumbered positions may equal old ones of keys that are
                // still ahead; each key is asked for its old one once.
                cell.position = u64::MAX;
                self.order.push_back(key);
            }
        }
        for (position, key) in (0..).zip(&self.order) {
            if let Some(cell) = self.cells.get_mut(key) {
                cell.position = position;
            }
        }
    }
}

impl<const N: usize> Table for Fixed<N> {
    fn len(&self) -> usize {
        self.cells.len()
    }

    fn get(&self, key: &[u64]) -> Option<u64> {
        self.cells.get(&Self::key(key)).map(|cell| cell.value)
    }

    fn contains(&self, key: &[u64]) -> bool {
        self.cells.contains_key(&Self::key(key))
    }

    fn slot(&mut self, key: &[u64], capacity: usize) -> Option<&mut u64> {
        let full = self.cells.len() >= capacity;
        let key = Self::key(key);
        match self.cells.entry(key) {
            Entry::Occupied(entry) => Some(&mut entry.into_mut().value),
            Entry::Vacant(_) if full => None,
            Entry::Vacant(entry) => {
                let position = self.first + self.order.len() as u64;
                self.order.push_back(key);
                Some(&mut entry.insert(Cell { value: 0, position }).value)
            }
        }
    }

    fn remove(&mut self, key: &[u64]) -> Option<u64> {
        let cell = self.cells.remove(&Self::key(key))?;
        self.compact();
        Some(cell.value)
    }

    fn remove_oldest(&mut self) -> Option<u64> {
        while let Some(key) = self.order.pop_front() {
            let position = self.first;
            self.first += 1;
            if let Entry::Occupied(entry) = self.cells.entry(key)
                && entry.get().position == position
            {
                return Some(entry.remove().value);
            }
        }
        None
    }

    fn clear(&mut self) {
        self.cells.clear();
        self.order.clear();
    }

    fn each(&self, each: &mut dyn FnMut(&[u64], u64)) {
        for (position, key) in (self.first..).zip(&self.order) {
            if let Some(value) = self.live(key, position) {
                each(&key.0, value);
            }
        }
    }
}
