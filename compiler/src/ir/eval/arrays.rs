//! Arrays of the evaluator, and walks over them.

use hwtrace_runtime::abi::FaultCode;

use super::super::{Op, Type, Value, WalkOrder, type_of};
use super::statistics::extract;
use super::{Datum, Frame, Run, Trap, Walk};

impl Run<'_, '_> {
    pub(super) fn array(&mut self, op: &Op, frame: &Frame) -> Result<Datum, Trap> {
        Ok(match op {
            Op::GetElement(array, keys) => {
                let elements = &self.state.arrays[*array as usize];
                let found = elements.get(&key(frame, keys)).cloned();
                let value = found.unwrap_or_else(|| Datum::zero(self.values(*array)));
                match value {
                    Datum::Text(text) => self.state.cut(text),
                    other => other,
                }
            }
            Op::SetElement(array, keys, value) => {
                let value = frame.get(*value).clone();
                *self.cell(*array, key(frame, keys))? = value;
                Datum::Long(0)
            }
            Op::AddElement(array, keys, value) => {
                let delta = frame.long(*value);
                let cell = self.cell(*array, key(frame, keys))?;
                *cell = Datum::Long(cell.long().wrapping_add(delta));
                cell.clone()
            }
            Op::HasElement(array, keys) => {
                let elements = &self.state.arrays[*array as usize];
                Datum::Long(elements.contains_key(&key(frame, keys)).into())
            }
            Op::HasMatch(array, slice) => {
                let elements = &self.state.arrays[*array as usize];
                let found = elements.keys().any(|key| matches(frame, slice, key));
                Datum::Long(found.into())
            }
            Op::DeleteElement(array, keys) => {
                self.state.arrays[*array as usize].shift_remove(&key(frame, keys));
                Datum::Long(0)
            }
            Op::DeleteMatches(array, slice) => {
                let elements = &mut self.state.arrays[*array as usize];
                elements.retain(|key, _| !matches(frame, slice, key));
                Datum::Long(0)
            }
            Op::Clear(array) => {
                self.state.arrays[*array as usize].clear();
                Datum::Long(0)
            }
            Op::WalkBegin { array, order, slice, limit } => {
                let limit = limit.map_or(i64::MAX, |limit| frame.long(limit));
                self.walk(*array as usize, *order, limit, |key| {
                    slice.is_empty() || matches(frame, slice, key)
                });
                Datum::Long(0)
            }
            Op::WalkNext => Datum::Long(self.advance().into()),
            Op::WalkKey(position) => {
                let walk = self.walks.last();
                let key = walk.and_then(|walk| walk.current.get(*position as usize));
                key.cloned().unwrap_or(Datum::Long(0))
            }
            Op::WalkEnd => {
                self.walks.pop();
                Datum::Long(0)
            }
            _ => return self.statistics(op, frame),
        })
    }

    fn values(&self, array: u32) -> Type {
        type_of(self.state.module.layout.arrays[array as usize].values)
    }

    /// The element with this key, made where there is none.
    pub(super) fn cell(
        &mut self,
        array: u32,
        key: Vec<Datum>,
    ) -> Result<&mut Datum, FaultCode> {
        let zero = Datum::zero(self.values(array));
        let shape = &self.state.module.layout.arrays[array as usize];
        let elements = &mut self.state.arrays[array as usize];
        let is_full = elements.len() >= shape.capacity && !elements.contains_key(&key);
        if is_full && !(shape.wraps && elements.shift_remove_index(0).is_some()) {
            return Err(FaultCode::ArrayFull);
        }
        Ok(elements.entry(key).or_insert(zero))
    }

    fn walk(
        &mut self,
        array: usize,
        order: WalkOrder,
        limit: i64,
        is_meant: impl Fn(&[Datum]) -> bool,
    ) {
        let shape = &self.state.module.layout.arrays[array].statistics;
        let elements = self.state.arrays[array].iter();
        let mut elements: Vec<_> = elements.filter(|(key, _)| is_meant(key)).collect();
        let descending = match order {
            WalkOrder::Insertion => false,
            WalkOrder::Value { descending }
            | WalkOrder::Key { descending, .. }
            | WalkOrder::Extractor { descending, .. } => descending,
        };
        elements.sort_by(|left, right| {
            let ordering = match order {
                WalkOrder::Insertion => return std::cmp::Ordering::Equal,
                WalkOrder::Value { .. } => left.1.order(right.1),
                WalkOrder::Key { position, .. } => {
                    left.0[position as usize].order(&right.0[position as usize])
                }
                WalkOrder::Extractor { extractor, .. } => {
                    let of = |datum: &Datum| {
                        extract(extractor, datum.samples(), shape).unwrap_or(0)
                    };
                    of(left.1).cmp(&of(right.1))
                }
            };
            if descending { ordering.reverse() } else { ordering }
        });
        let limit = usize::try_from(limit).unwrap_or(0);
        let keys: Vec<_> =
            elements.into_iter().map(|(key, _)| key.clone()).take(limit).collect();
        self.start(Some(array), keys);
    }

    pub(super) fn start(&mut self, array: Option<usize>, keys: Vec<Vec<Datum>>) {
        self.walks.push(Walk { array, keys: keys.into_iter(), current: Vec::new() });
    }

    fn advance(&mut self) -> bool {
        let Some(walk) = self.walks.last_mut() else {
            return false;
        };
        let elements = walk.array.map(|array| &self.state.arrays[array]);
        let is_there =
            |key: &Vec<Datum>| elements.is_none_or(|elements| elements.contains_key(key));
        match walk.keys.find(is_there) {
            Some(keys) => {
                walk.current = keys;
                true
            }
            None => false,
        }
    }
}

/// Values as a key.
pub(super) fn key(frame: &Frame, keys: &[Value]) -> Vec<Datum> {
    frame.list(keys).into_iter().map(Datum::into_key).collect()
}

pub(super) fn matches(frame: &Frame, slice: &[Option<Value>], key: &[Datum]) -> bool {
    slice.iter().zip(key).all(|(wanted, key)| {
        wanted.is_none_or(|wanted| frame.get(wanted).clone().into_key() == *key)
    })
}
