//! Where a variable lies, by its entry.

use gimli::Operation;
use gimli::constants as dw;

use super::sections::Slice;
use super::unit::{Die, Unit, Value};
use crate::address::VirtOffset;
use crate::types::Place;

/// What an entry says of where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Location {
    /// Nothing.
    Unsaid,
    /// Nowhere: the linker left out what it was in.
    Discarded,
    /// There.
    At(Place),
}

impl<'a> Unit<'a> {
    /// Where the variable of an entry lies.
    pub(super) fn location(&self, die: &Die<'a>) -> Location {
        match die.attr_value(dw::DW_AT_location) {
            Some(Value::Exprloc(expression)) => self.evaluate(expression),
            Some(Value::Block(bytes)) => self.evaluate(gimli::Expression(bytes)),
            Some(_) => Location::At(Place::Elsewhere),
            None if die.has_attr(dw::DW_AT_const_value) => {
                Location::At(Place::OptimizedOut)
            }
            None => Location::Unsaid,
        }
    }

    fn evaluate(&self, expression: gimli::Expression<Slice<'a>>) -> Location {
        let mut operations = expression.operations(self.unit.encoding());
        let mut value: Option<u64> = None;
        let mut place = Place::OptimizedOut;
        while let Ok(Some(operation)) = operations.next() {
            let address = |index| self.view.address(&self.unit, index).ok();
            match operation {
                Operation::Address { address } => {
                    value = Some(address);
                    place = Place::Fixed(VirtOffset(address));
                }
                Operation::AddressIndex { index } => {
                    value = address(index);
                    let Some(address) = value else { return Location::Discarded };
                    place = Place::Fixed(VirtOffset(address));
                }
                Operation::ConstantIndex { index } => value = address(index),
                Operation::UnsignedConstant { value: constant } => value = Some(constant),
                Operation::PlusConstant { value: more } => {
                    value = value.map(|value| value.wrapping_add(more));
                    if let (Place::Fixed(_), Some(value)) = (place, value) {
                        place = Place::Fixed(VirtOffset(value));
                    }
                }
                Operation::TLS => match value {
                    Some(value) => place = Place::ThreadLocal(value),
                    None => return Location::At(Place::Elsewhere),
                },
                // Its value is known, and it lies nowhere.
                Operation::StackValue | Operation::ImplicitValue { .. } => {
                    return Location::At(Place::OptimizedOut);
                }
                _ => return Location::At(Place::Elsewhere),
            }
        }
        self.checked(place)
    }

    /// gcc's split DWARF has the address of a thread-local's first value where the
    /// distance from the first thread-local should be.
    fn thread_local(&self, offset: u64) -> Location {
        let Some(block) = &self.dwarf.thread_locals else { return Location::Discarded };
        let size = block.end - block.start;
        let distance = match block.contains(&offset) {
            true if offset >= size => offset - block.start,
            _ => offset,
        };
        match distance < size {
            true => Location::At(Place::ThreadLocal(distance)),
            false => Location::Discarded,
        }
    }

    /// Linkers put a number that is no address where they left something out.
    fn checked(&self, place: Place) -> Location {
        match place {
            Place::Fixed(address)
                if address.0 <= 1 || !self.dwarf.elf.contains(address) =>
            {
                Location::Discarded
            }
            Place::ThreadLocal(offset) => self.thread_local(offset),
            place => Location::At(place),
        }
    }
}
