//! Arrays of scripts: fixed-layout keys, insertion order, a bound.

mod table;
#[cfg(test)]
mod tests;
mod walk;

use crate::abi::FaultCode;
use crate::aggregate::{Aggregate, Shape as Statistics};
use table::Table;
pub use walk::{Route, Slice, SortBy, Walk};

/// Keys an array may have at most.
pub const KEYS_MAX: usize = 8;

/// What a word of an array stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Kind {
    /// A long.
    #[default]
    Long,
    /// A double, by its bits.
    Double,
    /// A string: as a key an interned handle, as a value one of its own.
    String,
    /// An aggregate; never a key.
    Statistics,
}

/// What the words of an array are.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Shape {
    /// The keys, at least one.
    pub keys: Vec<Kind>,
    /// The values.
    pub values: Kind,
    /// What the aggregates keep, where the values are some.
    pub statistics: Statistics,
    /// Elements at most.
    pub capacity: usize,
    /// Where it is full, a new element drops the oldest one.
    pub wraps: bool,
}

/// An array. Its keys are words: longs, doubles, and interned handles for
/// strings.
#[derive(Debug)]
pub struct Array {
    shape: Shape,
    has_string_keys: bool,
    table: Box<dyn Table>,
    texts: Slab<Vec<u8>>,
    aggregates: Slab<Aggregate>,
    /// Counts removals, so that a walk knows whether to look for holes.
    removals: u64,
}

/// Values that do not fit into a word, owned by the array; an element's word
/// is the value's number here, 0 while it has none yet.
#[derive(Debug)]
struct Slab<T> {
    slots: Vec<T>,
    free: Vec<u64>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    fn get(&self, number: u64) -> Option<&T> {
        self.slots.get((number as usize).checked_sub(1)?)
    }

    /// The value of an element whose word this is; made, or what is left of a
    /// removed one made `clean`, where it has none.
    fn make(
        &mut self,
        word: &mut u64,
        make: impl FnOnce() -> T,
        clean: impl FnOnce(&mut T),
    ) -> Option<&mut T> {
        if *word == 0 {
            if let Some(number) = self.free.pop() {
                *word = number;
                let slot = self.slots.get_mut(number as usize - 1)?;
                clean(slot);
                return Some(slot);
            }
            self.slots.push(make());
            *word = self.slots.len() as u64;
        }
        self.slots.get_mut(*word as usize - 1)
    }

    fn remove(&mut self, word: u64) {
        if word != 0 {
            self.free.push(word);
        }
    }
}

impl Array {
    /// An empty array.
    pub fn new(shape: Shape) -> Self {
        Self {
            table: table::table(shape.keys.len()),
            has_string_keys: shape.keys.contains(&Kind::String),
            shape,
            texts: Slab::default(),
            aggregates: Slab::default(),
            removals: 0,
        }
    }

    /// What its words are.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Whether a key is a string.
    pub fn has_string_keys(&self) -> bool {
        self.has_string_keys
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The word at `key`, a long or the bits of a double; 0 where there is
    /// none.
    pub fn get(&self, key: &[u64]) -> u64 {
        self.table.get(key).unwrap_or(0)
    }

    /// The string at `key`, empty where there is none.
    pub fn text(&self, key: &[u64]) -> &[u8] {
        let text = self.table.get(key).and_then(|word| self.texts.get(word));
        text.map_or(&[], |text| text)
    }

    /// The aggregate at `key`.
    pub fn aggregate(&self, key: &[u64]) -> Option<&Aggregate> {
        self.aggregates.get(self.table.get(key)?)
    }

    /// The aggregates of all elements that match, added up in their order; one
    /// without samples where none does.
    pub fn merged(&self, slice: Slice<'_>) -> Aggregate {
        let shape = &self.shape.statistics;
        let mut merged = Aggregate::new(shape);
        self.table.each(&mut |key, word| {
            if slice.matches(key)
                && let Some(aggregate) = self.aggregates.get(word)
            {
                merged.merge(shape, aggregate);
            }
        });
        merged
    }

    /// Whether there is an element at `key`.
    pub fn contains(&self, key: &[u64]) -> bool {
        self.table.contains(key)
    }

    /// Whether there is an element that matches.
    pub fn contains_match(&self, slice: Slice<'_>) -> bool {
        let mut found = false;
        self.table.each(&mut |key, _| found |= slice.matches(key));
        found
    }

    /// The cell of the long or double at `key`, made as 0 where missing.
    ///
    /// # Errors
    /// [`FaultCode::ArrayFull`] where it is missing, there is no room, and the
    /// array does not wrap.
    pub fn cell(&mut self, key: &[u64]) -> Result<&mut u64, FaultCode> {
        self.make_room(key);
        self.table.slot(key, self.shape.capacity).ok_or(FaultCode::ArrayFull)
    }

    /// Where the array wraps and is full, drops the oldest for a new element.
    fn make_room(&mut self, key: &[u64]) {
        let full = self.shape.wraps && self.table.len() >= self.shape.capacity;
        if full
            && !self.table.contains(key)
            && let Some(word) = self.table.remove_oldest()
        {
            self.removed(word);
        }
    }

    /// Sets the string at `key`.
    ///
    /// # Errors
    /// As [`Array::cell`].
    pub fn set_text(&mut self, key: &[u64], text: &[u8]) -> Result<(), FaultCode> {
        self.make_room(key);
        let slot = self.table.slot(key, self.shape.capacity);
        let word = slot.ok_or(FaultCode::ArrayFull)?;
        if let Some(own) = self.texts.make(word, Vec::new, |_| {}) {
            own.clear();
            own.extend_from_slice(text);
        }
        Ok(())
    }

    /// Adds to the aggregate at `key`, made empty where missing.
    ///
    /// # Errors
    /// As [`Array::cell`].
    pub fn accumulate(&mut self, key: &[u64], value: i64) -> Result<(), FaultCode> {
        self.make_room(key);
        let slot = self.table.slot(key, self.shape.capacity);
        let word = slot.ok_or(FaultCode::ArrayFull)?;
        let shape = &self.shape.statistics;
        let make = || Aggregate::new(shape);
        if let Some(own) = self.aggregates.make(word, make, Aggregate::clear) {
            own.add(shape, value);
        }
        Ok(())
    }

    /// Removes the element at `key`, if there is one.
    pub fn remove(&mut self, key: &[u64]) {
        if let Some(word) = self.table.remove(key) {
            self.removed(word);
        }
    }

    /// Removes all elements that match.
    pub fn remove_matches(&mut self, slice: Slice<'_>) {
        let arity = self.shape.keys.len();
        let mut keys = Vec::new();
        self.table.each(&mut |key, _| {
            if slice.matches(key) {
                keys.extend_from_slice(key);
            }
        });
        for key in keys.chunks_exact(arity.max(1)) {
            self.remove(key);
        }
    }

    fn removed(&mut self, word: u64) {
        self.removals += 1;
        match self.shape.values {
            Kind::String => self.texts.remove(word),
            Kind::Statistics => self.aggregates.remove(word),
            Kind::Long | Kind::Double => {}
        }
    }

    /// Removes all elements.
    pub fn clear(&mut self) {
        self.removals += 1;
        self.table.clear();
        self.texts = Slab::default();
        self.aggregates = Slab::default();
    }
}

/// What can be asked of an aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Extractor {
    /// `@count`
    Count = 0,
    /// `@sum`
    Sum = 1,
    /// `@min`
    Min = 2,
    /// `@max`
    Max = 3,
    /// `@avg`
    Avg = 4,
    /// `@variance`
    Variance = 5,
}

impl Extractor {
    /// All of them, by their numbers.
    pub const ALL: [Self; 6] =
        [Self::Count, Self::Sum, Self::Min, Self::Max, Self::Avg, Self::Variance];

    /// What it gives of an aggregate of this shape; nothing of an empty one,
    /// but for count and sum.
    pub fn of(self, aggregate: &Aggregate, shape: &Statistics) -> Option<i64> {
        match self {
            Self::Count => Some(aggregate.count()),
            Self::Sum => Some(aggregate.sum()),
            Self::Min => aggregate.min(),
            Self::Max => aggregate.max(),
            Self::Avg => aggregate.avg(),
            Self::Variance => aggregate.variance(shape),
        }
    }

    /// What it gives where there is no aggregate.
    pub fn of_none(self) -> Option<i64> {
        matches!(self, Self::Count | Self::Sum).then_some(0)
    }
}
