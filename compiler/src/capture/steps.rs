//! Steps that compute what values are made of.

use std::collections::HashMap;

use hwtrace_runtime::plan::{Does, Slot, Step};

use super::symbol::{Made, Symbol, Symbols};

/// Steps that run one after the other, and the slots that they set.
pub(super) struct Steps {
    pub(super) list: Vec<Step>,
    /// What is known by then, and where.
    slots: HashMap<Symbol, Slot>,
    /// The next slot that is free, and the end of them.
    free: std::ops::Range<u16>,
}

/// How far steps had come.
pub(super) struct Mark {
    steps: usize,
    free: u16,
}

impl Steps {
    /// No steps yet, that may set these slots; `known` are set already.
    pub(super) fn new(free: std::ops::Range<u16>, known: HashMap<Symbol, Slot>) -> Self {
        Self { list: Vec::new(), slots: known, free }
    }

    /// The first slot that was not set.
    pub(super) fn first_free(&self) -> u16 {
        self.free.start
    }

    /// The slot that holds this, after steps that compute it; none where that is
    /// not known at a hit, or there are not enough slots.
    pub(super) fn slot(&mut self, symbols: &Symbols, symbol: Symbol) -> Option<Slot> {
        if let Some(slot) = self.slots.get(&symbol) {
            return Some(*slot);
        }
        let does = match symbols.made(symbol) {
            Made::Constant(value) => Does::Constant(value),
            Made::Input(input) => Does::Input(input),
            Made::Unary(op, value) => Does::Unary(op, self.slot(symbols, value)?),
            Made::Binary(op, left, right) => {
                let left = self.slot(symbols, left)?;
                Does::Binary(op, left, self.slot(symbols, right)?)
            }
            Made::Compare(op, left, right) => {
                let left = self.slot(symbols, left)?;
                Does::Compare(op, left, self.slot(symbols, right)?)
            }
            Made::Text(_) | Made::Load(..) | Made::Unknown(_) => return None,
        };
        let slot = self.put(does)?;
        self.slots.insert(symbol, slot);
        Some(slot)
    }

    /// Adds a step that sets the next slot.
    pub(super) fn put(&mut self, does: Does) -> Option<Slot> {
        let to = Slot(self.free.next()?);
        self.list.push(Step { to, does });
        Some(to)
    }

    /// Says where something is from now on.
    pub(super) fn know(&mut self, symbol: Symbol, slot: Slot) {
        self.slots.insert(symbol, slot);
    }

    pub(super) fn mark(&self) -> Mark {
        Mark { steps: self.list.len(), free: self.free.start }
    }

    /// Forgets what came since.
    pub(super) fn back_to(&mut self, mark: &Mark) {
        self.list.truncate(mark.steps);
        self.free.start = mark.free;
        self.slots.retain(|_, slot| slot.0 < mark.free);
    }
}
