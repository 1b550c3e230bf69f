//! The variable at an address.

use super::Dwarf;
use crate::address::VirtOffset;
use crate::symbols::demangle::{data_name, plain};
use crate::types::{Place, Types, Variable};

impl Dwarf {
    /// The variable that covers an address, by the name that its symbol has.
    pub fn variable_at(&self, address: VirtOffset) -> Option<Variable> {
        let symbol = self.elf.data_at(address)?;
        let raw = symbol.raw_text();
        let readable = data_name(&raw);
        let names = [Some(&*raw), readable.as_deref()];
        let mut names = names.into_iter().flatten().map(plain);
        names.find_map(|name| {
            let mut found = self.find_variables(&name).into_iter();
            found.find(|variable| self.covers_place(variable, address))
        })
    }

    fn covers_place(&self, variable: &Variable, address: VirtOffset) -> bool {
        let types: &dyn Types = self;
        let Place::Fixed(start) = variable.place else { return false };
        let size = types.size(variable.ty).unwrap_or(1).max(1);
        let distance = address.0.checked_sub(start.0);
        distance.is_some_and(|distance| distance < size)
    }
}
