//! The debug registers of x86-64 as ptrace(2) shows them (SDM vol. 3B, "Debug
//! Registers"; Linux: arch/x86/kernel/ptrace.c).

use crate::event::{Trigger, Watch};
use crate::kernel::{Errno, Kernel, Result};
use crate::slots::CAPACITY;

/// DR6: which registers hit, one bit each from 0 on.
pub(super) const STATUS: usize = 6;
/// DR7: which are on, and what they watch.
const CONTROL: usize = 7;

/// What the four registers of a thread hold: watches by number, none for those that are
/// free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Registers {
    slots: [Option<Slot>; CAPACITY],
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// The watch's number.
    pub(super) number: usize,
    /// Where it is.
    pub(super) watch: Watch,
    /// Whether it hits.
    pub(super) on: bool,
}

impl Registers {
    /// Gives each a register, in this order; the number of the first for which there is
    /// none.
    pub(super) fn of(
        slots: impl Iterator<Item = Slot>,
    ) -> std::result::Result<Self, usize> {
        let mut registers = Self::default();
        for (place, slot) in slots.enumerate() {
            *registers.slots.get_mut(place).ok_or(slot.number)? = Some(slot);
        }
        Ok(registers)
    }

    /// The place of a watch.
    pub(super) fn place(&self, number: usize) -> Option<usize> {
        let is = |slot: &Option<Slot>| slot.is_some_and(|slot| slot.number == number);
        self.slots.iter().position(is)
    }

    /// Those that DR6 says have hit.
    pub(super) fn hit(&self, status: u64) -> impl Iterator<Item = Slot> + use<> {
        let slots = self.slots.into_iter().enumerate();
        slots.filter(move |(place, _)| status >> place & 1 == 1).filter_map(|(_, it)| it)
    }

    /// The only one that is on.
    pub(super) fn only(&self) -> Option<Slot> {
        let mut on = self.slots.iter().flatten().filter(|slot| slot.on);
        on.next().copied().filter(|_| on.next().is_none())
    }

    /// The first that is on.
    pub(super) fn first(&self) -> Option<Slot> {
        self.slots.iter().flatten().find(|slot| slot.on).copied()
    }

    /// Whether none is taken.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.iter().all(Option::is_none)
    }

    fn control(&self) -> u64 {
        let bits = |(place, slot): (usize, &Option<Slot>)| match slot {
            Some(slot) if slot.on => {
                control(place, slot.watch.length, slot.watch.trigger)
            }
            _ => 0,
        };
        self.slots.iter().enumerate().map(bits).fold(0, |all, bits| all | bits)
    }

    /// Has a stopped thread that has `before` have these. All are off while one is
    /// changed.
    ///
    /// # Errors
    /// With the number of the watch that it failed at, if it was one: then `before` says
    /// no longer what it has, but that all are off.
    pub(super) fn set(
        &self,
        kernel: &dyn Kernel,
        tid: u32,
        before: &Self,
    ) -> std::result::Result<(), (Option<usize>, Errno)> {
        if self == before {
            return Ok(());
        }
        let nobody = |errno| (None, errno);
        if before.control() != 0 {
            kernel.set_debug_register(tid, CONTROL, 0).map_err(nobody)?;
        }
        for (place, (slot, old)) in self.slots.iter().zip(&before.slots).enumerate() {
            let address = |slot: &Option<Slot>| slot.map(|slot| slot.watch.address);
            if let Some(slot) = slot.filter(|it| Some(it.watch.address) != address(old)) {
                place_at(kernel, tid, place, slot.watch.address)
                    .map_err(|errno| (Some(slot.number), errno))?;
            }
        }
        match self.control() {
            0 => Ok(()),
            control => {
                kernel.set_debug_register(tid, CONTROL, control).map_err(|errno| {
                    let _ = kernel.set_debug_register(tid, CONTROL, 0);
                    (self.first().map(|slot| slot.number), errno)
                })
            }
        }
    }

    /// Has a stopped thread that has these have none.
    ///
    /// # Errors
    /// ESRCH where it was killed.
    pub(super) fn clear(&self, kernel: &dyn Kernel, tid: u32) -> Result<()> {
        kernel.set_debug_register(tid, CONTROL, 0)?;
        for (place, slot) in self.slots.iter().enumerate() {
            if slot.is_some() {
                // The register stays the thread's; off, it does nothing.
                let _ = kernel.set_debug_register(tid, place, 0);
            }
        }
        kernel.set_debug_register(tid, STATUS, 0)
    }
}

/// Sets an address. The kernel keeps the length that the register had, and refuses an
/// address that is no multiple of it: then it is made short.
fn place_at(kernel: &dyn Kernel, tid: u32, place: usize, address: u64) -> Result<()> {
    match kernel.set_debug_register(tid, place, address) {
        Err(Errno::EINVAL) => {
            let short = control(place, 1, Trigger::Write);
            kernel.set_debug_register(tid, CONTROL, short)?;
            kernel.set_debug_register(tid, CONTROL, 0)?;
            kernel.set_debug_register(tid, place, address)
        }
        result => result,
    }
}

/// The bits of DR7 that switch a register on.
fn control(place: usize, length: u32, trigger: Trigger) -> u64 {
    let kind = match trigger {
        Trigger::Write => 0b01,
        Trigger::ReadWrite => 0b11,
    };
    let length = match length {
        1 => 0b00,
        2 => 0b01,
        4 => 0b11,
        _ => 0b10,
    };
    1 << (2 * place) | (length << 2 | kind) << (16 + 4 * place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_bits_are_the_processors() {
        // Local enable of DR1; R/W1 in bits 20 and 21, LEN1 in 22 and 23.
        assert_eq!(control(1, 8, Trigger::Write), 1 << 2 | 0b1001 << 20);
        assert_eq!(control(0, 4, Trigger::ReadWrite), 1 | 0b1111 << 16);
        assert_eq!(control(3, 2, Trigger::Write), 1 << 6 | 0b0101 << 28);
        assert_eq!(control(2, 1, Trigger::ReadWrite), 1 << 4 | 0b0011 << 24);
    }

    #[test]
    fn the_fifth_has_no_register() {
        let watch = Watch { address: 8, length: 8, trigger: Trigger::Write };
        let slot = |number| Slot { number, watch, on: true };
        assert_eq!(Registers::of((10..15).map(slot)), Err(14));
        let registers = Registers::of((10..14).map(slot)).expect("four");
        let hit: Vec<_> = registers.hit(0b1010).map(|slot| slot.number).collect();
        assert_eq!(hit, [11, 13]);
        assert_eq!(registers.only(), None);
    }
}
