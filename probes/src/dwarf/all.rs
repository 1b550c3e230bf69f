//! All variables of a file, and the one at an address.

use std::collections::HashSet;

use gimli::constants as dw;

use super::Dwarf;
use super::parallel;
use super::parts::Entry;
use super::path::ORIGINS_MAX;
use super::place::Location;
use super::unit::{Unit, flag};
use super::variables::{Found, is_data, is_function};
use super::walk::{Wanted, walk};
use crate::address::VirtOffset;
use crate::symbols::demangle::{data_name, plain};
use crate::types::{Place, Types, Variable};

/// Units that are read before what is in them is handed on: bounds the memory.
const BATCH: usize = 64;
/// Variables that begin before an address and are tried for one that reaches to it.
const OVERLAP_MAX: usize = 8;

/// Variables by their addresses, in order.
pub(super) type ByAddress = Vec<(u64, Entry)>;

impl Dwarf {
    /// Hands on each variable that lies somewhere, thread-locals too, in the order of
    /// the debug information, each place once.
    pub fn all_variables(&self, each: &mut dyn FnMut(Variable)) {
        let mut seen = HashSet::new();
        self.each_unit(&Unit::placed, &mut |found: Vec<Found>| {
            for found in found {
                let variable = self.variable(found);
                if seen.insert(variable.place) {
                    each(variable);
                }
            }
        });
    }

    /// The names of the variables outside of functions that the compiler left no room
    /// for.
    pub fn optimized_out(&self) -> Vec<String> {
        let mut open = Vec::new();
        let mut completed = HashSet::new();
        self.each_unit(&Unit::unplaced, &mut |(unplaced, complete)| {
            open.extend(unplaced);
            completed.extend(complete);
        });
        open.retain(|(entry, _)| !completed.contains(entry));
        open.into_iter().map(|(_, name)| name).collect()
    }

    /// The variable that covers an address.
    pub fn variable_at(&self, address: VirtOffset) -> Option<Variable> {
        let covers = |variable: &Variable| match variable.place {
            Place::Fixed(start) => {
                let types: &dyn Types = self;
                let size = types.size(variable.ty).unwrap_or(1).max(1);
                let distance = address.0.checked_sub(start.0);
                distance.is_some_and(|distance| distance < size)
            }
            _ => false,
        };
        // Where a symbol has its name, all the others need not be read.
        if let Some(symbol) = self.elf.data_at(address) {
            let raw = symbol.raw_text();
            let by_name = |name: &str| self.find_variables(name).into_iter().find(covers);
            let readable = || data_name(&raw).and_then(|name| by_name(&plain(&name)));
            return by_name(&raw).or_else(|| by_name(&plain(&raw))).or_else(readable);
        }
        let all = self.by_address.get_or_init(|| self.read_addresses());
        let after = all.partition_point(|(start, _)| *start <= address.0);
        let before = all[..after].iter().rev().take(OVERLAP_MAX);
        let mut variables = before.filter_map(|(_, entry)| self.variable_of(*entry));
        variables.find(covers)
    }

    fn variable_of(&self, entry: Entry) -> Option<Variable> {
        let unit = self.unit_of(entry)?;
        let die = unit.die(entry.offset)?;
        Some(self.variable(unit.found(&die, &unit.scopes().around(entry.offset))))
    }

    fn read_addresses(&self) -> ByAddress {
        let mut all = ByAddress::new();
        self.each_unit(&Unit::addresses, &mut |addresses| all.extend(addresses));
        all.sort_unstable();
        all
    }

    /// What `read` makes of each unit, in order.
    pub(super) fn each_unit<'a, R: Send>(
        &'a self,
        read: &(dyn Fn(&Unit<'a>) -> R + Sync),
        each: &mut dyn FnMut(R),
    ) {
        for (number, part) in self.parts() {
            let units: Vec<usize> = (0..part.units().all.len()).collect();
            for batch in units.chunks(BATCH) {
                let read = |&index: &usize| Some(read(&self.unit_unkept(number, index)?));
                parallel::map(batch, read).into_iter().flatten().for_each(&mut *each);
            }
        }
    }
}

impl Unit<'_> {
    /// Its variables that lie somewhere.
    fn placed(&self) -> Vec<Found> {
        let mut all = Vec::new();
        walk(self, Wanted::Tagged(is_data), &mut |die, outer| {
            let location = self.location(die);
            if let Location::At(Place::Fixed(_) | Place::ThreadLocal(_)) = location {
                all.push(self.found(die, outer));
            }
        });
        all
    }

    /// Those outside of functions that lie nowhere, as far as the unit tells, with their
    /// names; and the entries that others of the unit complete.
    fn unplaced(&self) -> (Vec<(Entry, String)>, Vec<Entry>) {
        let (mut open, mut completed) = (Vec::new(), Vec::new());
        walk(self, Wanted::Tagged(is_data), &mut |die, outer| {
            let origin = self.origin(die);
            let location = self.location(die);
            let inside = outer.iter().any(|outer| is_function(outer.tag));
            let declaration = flag(die, dw::DW_AT_declaration);
            match location {
                Location::Unsaid | Location::At(Place::OptimizedOut)
                    if !inside && !declaration && origin.is_none() =>
                {
                    let name = self.path(die, outer, ORIGINS_MAX).text();
                    open.push((self.entry(die.offset()), name));
                }
                Location::At(Place::Fixed(_) | Place::ThreadLocal(_)) => {
                    completed.extend(origin);
                }
                _ => {}
            }
        });
        (open, completed)
    }

    fn addresses(&self) -> ByAddress {
        let mut all = ByAddress::new();
        walk(self, Wanted::Tagged(is_data), &mut |die, _| {
            if let Location::At(Place::Fixed(address)) = self.location(die) {
                all.push((address.0, self.entry(die.offset())));
            }
        });
        all
    }
}
