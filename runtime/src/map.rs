//! Arrays of scripts: fixed-layout keys, insertion order, a bound.

use std::cmp::Ordering;
use std::fmt::Debug;

use foldhash::fast::RandomState;
use indexmap::IndexMap;

use crate::abi::FaultCode;
use crate::strings::{StringHandle, Strings};

/// Keys an array may have at most.
pub const KEYS_MAX: usize = 8;

/// What the words of an array are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// For each key whether it is a string (an interned handle).
    pub string_keys: Vec<bool>,
    /// Whether the values are strings.
    pub string_values: bool,
    /// Elements at most.
    pub capacity: usize,
}

/// An array. Its keys are words: longs, and interned handles for strings.
#[derive(Debug)]
pub struct Array {
    shape: Shape,
    table: Box<dyn Table>,
    texts: Texts,
    /// Counts removals, so that a walk knows whether to look for holes.
    removals: u64,
}

/// String values, owned by the array; a value's word is its index here.
#[derive(Debug, Default)]
struct Texts {
    slots: Vec<Vec<u8>>,
    free: Vec<u64>,
}

/// A table with keys of one width. One per number of keys, so that a key is
/// hashed and compared as a plain array of words.
trait Table: Debug {
    fn len(&self) -> usize;
    fn get(&self, key: &[u64]) -> Option<u64>;
    fn contains(&self, key: &[u64]) -> bool;
    /// The value of the key, made as 0 if missing and there is room.
    fn slot(&mut self, key: &[u64], capacity: usize) -> Option<&mut u64>;
    fn remove(&mut self, key: &[u64]) -> Option<u64>;
    fn clear(&mut self);
    fn at(&self, index: usize) -> Option<(&[u64], u64)>;
}

#[derive(Debug, Default)]
struct Fixed<const N: usize> {
    map: IndexMap<[u64; N], u64, RandomState>,
}

impl<const N: usize> Fixed<N> {
    fn key(words: &[u64]) -> &[u64; N] {
        // The compiler gives as many keys as the array has; another number
        // would be its bug, and then no element is met.
        words.try_into().unwrap_or(&[u64::MAX; N])
    }
}

impl<const N: usize> Table for Fixed<N> {
    fn len(&self) -> usize {
        self.map.len()
    }

    fn get(&self, key: &[u64]) -> Option<u64> {
        self.map.get(Self::key(key)).copied()
    }

    fn contains(&self, key: &[u64]) -> bool {
        self.map.contains_key(Self::key(key))
    }

    fn slot(&mut self, key: &[u64], capacity: usize) -> Option<&mut u64> {
        use indexmap::map::Entry;
        let full = self.map.len() >= capacity;
        match self.map.entry(*Self::key(key)) {
            Entry::Occupied(entry) => Some(entry.into_mut()),
            Entry::Vacant(_) if full => None,
            Entry::Vacant(entry) => Some(entry.insert(0)),
        }
    }

    fn remove(&mut self, key: &[u64]) -> Option<u64> {
        // Not swap_remove: what is left must keep its order.
        self.map.shift_remove(Self::key(key))
    }

    fn clear(&mut self) {
        self.map.clear();
    }

    fn at(&self, index: usize) -> Option<(&[u64], u64)> {
        self.map.get_index(index).map(|(key, value)| (&key[..], *value))
    }
}

fn table(keys: usize) -> Box<dyn Table> {
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

impl Array {
    /// An empty array.
    pub fn new(shape: Shape) -> Self {
        let table = table(shape.string_keys.len());
        Self { shape, table, texts: Texts::default(), removals: 0 }
    }

    /// What its words are.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The long at `key`, 0 where there is none.
    pub fn get(&self, key: &[u64]) -> i64 {
        self.table.get(key).unwrap_or(0) as i64
    }

    /// The string at `key`, empty where there is none.
    pub fn text(&self, key: &[u64]) -> &[u8] {
        match self.table.get(key) {
            Some(index) => self.texts.get(index),
            None => &[],
        }
    }

    /// Whether there is an element at `key`.
    pub fn contains(&self, key: &[u64]) -> bool {
        self.table.contains(key)
    }

    /// The cell of the long at `key`, made as 0 where missing.
    ///
    /// # Errors
    /// [`FaultCode::ArrayFull`] where it is missing and there is no room.
    pub fn cell(&mut self, key: &[u64]) -> Result<&mut u64, FaultCode> {
        self.table.slot(key, self.shape.capacity).ok_or(FaultCode::ArrayFull)
    }

    /// Sets the string at `key`.
    ///
    /// # Errors
    /// As [`Array::cell`].
    pub fn set_text(&mut self, key: &[u64], text: &[u8]) -> Result<(), FaultCode> {
        if let Some(index) = self.table.get(key) {
            self.texts.replace(index, text);
            return Ok(());
        }
        let slot =
            self.table.slot(key, self.shape.capacity).ok_or(FaultCode::ArrayFull)?;
        *slot = self.texts.add(text);
        Ok(())
    }

    /// Removes the element at `key`, if there is one.
    pub fn remove(&mut self, key: &[u64]) {
        if let Some(value) = self.table.remove(key) {
            self.removals += 1;
            if self.shape.string_values {
                self.texts.remove(value);
            }
        }
    }

    /// Removes all elements.
    pub fn clear(&mut self) {
        self.removals += 1;
        self.table.clear();
        self.texts = Texts::default();
    }
}

impl Texts {
    fn get(&self, index: u64) -> &[u8] {
        self.slots.get(index as usize).map_or(&[], |text| text)
    }

    fn replace(&mut self, index: u64, text: &[u8]) {
        if let Some(slot) = self.slots.get_mut(index as usize) {
            slot.clear();
            slot.extend_from_slice(text);
        }
    }

    fn add(&mut self, text: &[u8]) -> u64 {
        if let Some(index) = self.free.pop() {
            self.replace(index, text);
            return index;
        }
        self.slots.push(text.to_vec());
        self.slots.len() as u64 - 1
    }

    fn remove(&mut self, index: u64) {
        self.replace(index, &[]);
        self.free.push(index);
    }
}

/// What a walk is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortBy {
    /// Not at all: insertion order.
    Insertion,
    /// The value.
    Value,
    /// The key at this position.
    Key(usize),
}

/// A `foreach` on its way: it sees the elements that were there when it
/// began, less those that are removed before their turn.
#[derive(Debug, Default)]
pub struct Walk {
    array: usize,
    keys: Vec<u64>,
    arity: usize,
    next: usize,
    removals: u64,
}

impl Walk {
    /// Starts over on `array` (number `number`), at most `limit` elements.
    /// Equal elements keep their insertion order. The buffers are reused.
    pub fn start(
        &mut self,
        number: usize,
        array: &Array,
        strings: &Strings,
        by: SortBy,
        descending: bool,
        limit: usize,
    ) {
        let mut order: Vec<usize> = (0..array.len()).collect();
        if by != SortBy::Insertion {
            order.sort_by(|left, right| {
                let ordering = compare(array, strings, by, *left, *right);
                if descending { ordering.reverse() } else { ordering }
            });
        }
        self.array = number;
        self.arity = array.shape.string_keys.len();
        self.next = 0;
        self.removals = array.removals;
        self.keys.clear();
        for index in order.into_iter().take(limit) {
            let (key, _) = array.table.at(index).unwrap_or_default();
            self.keys.extend_from_slice(key);
        }
    }

    /// Number of the array that is walked.
    pub fn array(&self) -> usize {
        self.array
    }

    /// Goes to the next element that is still there; false at the end.
    pub fn advance(&mut self, array: &Array) -> bool {
        while self.next * self.arity < self.keys.len() {
            self.next += 1;
            if array.removals == self.removals || array.contains(self.current()) {
                return true;
            }
        }
        false
    }

    /// The keys of the element the walk is at.
    pub fn current(&self) -> &[u64] {
        let end = self.next * self.arity;
        self.keys.get(end.saturating_sub(self.arity)..end).unwrap_or_default()
    }
}

fn compare(
    array: &Array,
    strings: &Strings,
    by: SortBy,
    left: usize,
    right: usize,
) -> Ordering {
    let element = |index| array.table.at(index).unwrap_or_default();
    let ((left_key, left_value), (right_key, right_value)) =
        (element(left), element(right));
    match by {
        SortBy::Insertion => Ordering::Equal,
        SortBy::Value if array.shape.string_values => {
            array.texts.get(left_value).cmp(array.texts.get(right_value))
        }
        SortBy::Value => (left_value as i64).cmp(&(right_value as i64)),
        SortBy::Key(position) => {
            let word = |key: &[u64]| key.get(position).copied().unwrap_or(0);
            let (left, right) = (word(left_key), word(right_key));
            if array.shape.string_keys.get(position).copied().unwrap_or(false) {
                strings.compare(StringHandle(left), StringHandle(right))
            } else {
                (left as i64).cmp(&(right as i64))
            }
        }
    }
}
