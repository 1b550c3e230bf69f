//! `foreach` on its way.

use std::cmp::Ordering;

use super::{Array, Extractor, Kind};
use crate::aggregate::{Aggregate, Histogram, Shape as Statistics};
use crate::strings::{StringHandle, Strings};

/// What a walk is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortBy {
    /// Not at all: insertion order.
    Insertion,
    /// The value; of an aggregate its count.
    Value,
    /// The key at this position.
    Key(usize),
    /// What an extractor gives of the value, an aggregate.
    Extractor(Extractor),
}

/// Which elements a walk sees, and how it goes.
#[derive(Clone, Copy, Debug)]
pub struct Route<'a> {
    /// What they are sorted by; equal ones keep their insertion order.
    pub by: SortBy,
    /// The largest first.
    pub descending: bool,
    /// Elements at most.
    pub limit: usize,
    /// Only those that match.
    pub slice: Slice<'a>,
}

/// Keys of which some may be any.
#[derive(Clone, Copy, Debug)]
pub struct Slice<'a> {
    /// The keys, as many as the array has; those that may be any are there
    /// but say nothing. Empty where all may be any.
    pub keys: &'a [u64],
    /// Bit `n`: the key at position `n` must be equal.
    pub mask: u64,
}

impl Slice<'_> {
    /// All elements.
    pub const ALL: Self = Self { keys: &[], mask: 0 };

    /// Whether the element with this key is meant.
    pub fn matches(&self, key: &[u64]) -> bool {
        let mut pairs = key.iter().zip(self.keys).enumerate();
        pairs.all(|(position, (key, wanted))| {
            self.mask >> position & 1 == 0 || key == wanted
        })
    }
}

/// A `foreach` on its way: it sees the elements that were there when it
/// began, less those that are removed before their turn. Or the buckets of a
/// histogram, that were not empty when it began.
#[derive(Debug, Default)]
pub struct Walk {
    /// The array; none for buckets.
    array: Option<usize>,
    keys: Vec<u64>,
    arity: usize,
    next: usize,
    removals: u64,
}

impl Walk {
    /// Starts over on `array` (number `number`). The buffers are reused.
    pub fn start(
        &mut self,
        number: usize,
        array: &Array,
        strings: &Strings,
        route: Route<'_>,
    ) {
        self.array = Some(number);
        self.arity = array.shape.keys.len();
        self.next = 0;
        self.removals = array.removals;
        self.keys.clear();
        if route.by != SortBy::Insertion {
            return self.sorted(array, strings, route);
        }
        let mut left = route.limit;
        array.table.each(&mut |key, _| {
            if left > 0 && route.slice.matches(key) {
                left -= 1;
                self.keys.extend_from_slice(key);
            }
        });
    }

    fn sorted(&mut self, array: &Array, strings: &Strings, route: Route<'_>) {
        let mut found: Vec<u64> = Vec::new();
        let mut order: Vec<(SortKey<'_>, usize)> = Vec::new();
        array.table.each(&mut |key, value| {
            if route.slice.matches(key) {
                found.extend_from_slice(key);
                order.push((sort_key(array, strings, route.by, key, value), order.len()));
            }
        });
        order.sort_by(|left, right| {
            let ordering = left.0.compare(&right.0);
            if route.descending { ordering.reverse() } else { ordering }
        });
        for (_, index) in order.into_iter().take(route.limit) {
            let start = index * self.arity;
            self.keys.extend_from_slice(&found[start..start + self.arity]);
        }
    }

    /// Starts over on the buckets of a histogram, the empty ones too; on none
    /// where there are no values.
    pub fn start_buckets(
        &mut self,
        aggregate: Option<&Aggregate>,
        shape: &Statistics,
        histogram: Histogram,
        limit: usize,
    ) {
        (self.array, self.arity, self.next) = (None, 1, 0);
        self.keys.clear();
        let Some(aggregate) = aggregate.filter(|aggregate| aggregate.count() > 0) else {
            return;
        };
        let indices = aggregate.buckets(shape, histogram);
        self.keys.extend(indices.take(limit).map(|index| index as u64));
    }

    /// Number of the array that is walked.
    pub fn array(&self) -> Option<usize> {
        self.array
    }

    /// Goes to the next element that is still there in `array`, the one that
    /// is walked; false at the end.
    pub fn advance(&mut self, array: Option<&Array>) -> bool {
        while self.next * self.arity < self.keys.len() {
            self.next += 1;
            let there = array.is_none_or(|array| {
                array.removals == self.removals || array.contains(self.current())
            });
            if there {
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

/// What an element is compared by.
enum SortKey<'a> {
    Long(i64),
    Double(f64),
    Text(&'a [u8]),
}

impl SortKey<'_> {
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Long(left), Self::Long(right)) => left.cmp(right),
            (Self::Double(left), Self::Double(right)) => left.total_cmp(right),
            (Self::Text(left), Self::Text(right)) => left.cmp(right),
            // All elements of an array are of one kind.
            _ => Ordering::Equal,
        }
    }
}

fn sort_key<'a>(
    array: &'a Array,
    strings: &'a Strings,
    by: SortBy,
    key: &[u64],
    value: u64,
) -> SortKey<'a> {
    let (kind, word) = match by {
        SortBy::Key(position) => (
            array.shape.keys.get(position).copied().unwrap_or(Kind::Long),
            key.get(position).copied().unwrap_or(0),
        ),
        _ => (array.shape.values, value),
    };
    let extract = |extractor: Extractor| {
        let aggregate = array.aggregates.get(word);
        let value = aggregate
            .and_then(|aggregate| extractor.of(aggregate, &array.shape.statistics));
        SortKey::Long(value.unwrap_or(0))
    };
    match (by, kind) {
        (SortBy::Extractor(extractor), _) => extract(extractor),
        (_, Kind::Statistics) => extract(Extractor::Count),
        (SortBy::Key(_), Kind::String) => SortKey::Text(strings.get(StringHandle(word))),
        (_, Kind::String) => {
            SortKey::Text(array.texts.get(word).map_or(&[], |text| text))
        }
        (_, Kind::Double) => SortKey::Double(f64::from_bits(word)),
        (_, Kind::Long) => SortKey::Long(word as i64),
    }
}
