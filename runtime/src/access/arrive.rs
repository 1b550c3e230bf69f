//! Accesses by what came to an address from elsewhere: calls store where they return
//! to, returns and jumps may load where they go.
//!
//! Asked for where the instruction before the sampled address can not have made the
//! access. Then one of these did, as nothing else touches memory and goes elsewhere:
//!
//! - a call: the eight bytes at the stack pointer are the address behind it;
//! - a return, or a jump or call by way of a pointer in memory: that pointer is the
//!   sampled address. Pointers to code lie aligned.
//!
//! So it was a load, of that very value, where the watched bytes are the sampled address as
//! a whole; a store where they are at the stack pointer and are not part of it; and
//! else nobody knows. What the bytes are must be known for certain: memory may have
//! changed since.

use super::{Access, Beyond, Call, Callee, Recovered};
use crate::event::{Registers, Trigger, Watch};
use crate::schema::{AccessKind, ByteRange};

const SP: u32 = 7;
/// Bytes of a pointer.
const POINTER: u32 = 8;

/// A hit at an address that something came to.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// The sampled address.
    pub ip: u64,
    /// The registers there.
    pub registers: &'a Registers<'a>,
    /// The watch that was hit.
    pub watch: Watch,
    /// What the watched bytes held before or after, where that is certain.
    pub value: Option<u64>,
}

impl Arrival<'_> {
    /// What the access was; `here` is what is known of the instruction before the
    /// sampled address.
    pub fn access(&self, here: &Access) -> Recovered {
        let pushed = self.pushed();
        // Where a call returns to is where it goes to, too.
        let nowhere = !pushed.is_empty() && here.call.is_some();
        match self.is_target() {
            Some(true) if self.watch.length == POINTER && !nowhere => self.loaded(),
            Some(false) if !pushed.is_empty() => Recovered {
                kind: AccessKind::Write,
                touched: pushed,
                ..Recovered::default()
            },
            _ => Recovered::default(),
        }
    }

    /// Whether a call pushed all of the watched bytes.
    pub fn is_pushed(&self) -> bool {
        self.watch.length == POINTER && self.stack_pointer() == Some(self.watch.address)
    }

    /// The call that pushed `value`, which memory held at the hit, with what is known
    /// of the instruction before that address.
    pub fn call(&self, behind: &Access, value: u64) -> Option<Recovered> {
        let Call { instruction, callee } = behind.call?;
        let exact = match callee {
            Callee::Address(target) if target != self.ip => return None,
            Callee::Register(number)
                if self.registers.get(number.into()) != Some(self.ip) =>
            {
                return None;
            }
            Callee::Address(_) | Callee::Register(_) => true,
            Callee::Pointer => false,
        };
        let touched = self.pushed();
        Some(Recovered {
            address: Some(instruction),
            kind: AccessKind::Write,
            old: None,
            new: Some(value),
            exact,
            touched,
            told: if exact { touched } else { ByteRange::default() },
            leans: false,
            goes_on: false,
            beyond: Beyond::default(),
        })
    }

    fn loaded(&self) -> Recovered {
        let all = ByteRange { start: 0, end: POINTER as u8 };
        Recovered {
            address: None,
            kind: AccessKind::Read,
            old: Some(self.ip),
            new: Some(self.ip),
            exact: true,
            touched: all,
            told: all,
            leans: false,
            goes_on: false,
            beyond: Beyond::default(),
        }
    }

    /// Whether the watched bytes are those of the sampled address that would lie there;
    /// none where it is not known what they are. Loads do not fire all registers.
    fn is_target(&self) -> Option<bool> {
        if self.watch.trigger == Trigger::Write {
            return Some(false);
        }
        let offset = self.watch.address % u64::from(POINTER) * 8;
        let mask = u64::MAX >> (64 - 8 * self.watch.length.clamp(1, POINTER));
        Some(self.value? & mask == self.ip >> offset & mask)
    }

    /// Which of the watched bytes a call has stored.
    fn pushed(&self) -> ByteRange {
        let Some(top) = self.stack_pointer() else { return ByteRange::default() };
        let end = u64::from(self.watch.length);
        let first = top.wrapping_sub(self.watch.address);
        let before = self.watch.address.wrapping_sub(top);
        let (start, end) = if first < end {
            (first, end.min(first + u64::from(POINTER)))
        } else if before < POINTER.into() {
            (0, end.min(u64::from(POINTER) - before))
        } else {
            return ByteRange::default();
        };
        ByteRange { start: start as u8, end: end as u8 }
    }

    fn stack_pointer(&self) -> Option<u64> {
        self.registers.get(SP)
    }
}
