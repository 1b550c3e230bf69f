//! Registers that watches take turns on: which program is run at their hits.

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use foldhash::fast::RandomState;

use super::{OpenMap, WHAT, refused};
use crate::bpf::board::{self, WATCHES, turn};
use crate::bpf::hit;
use crate::bpf::shared::Shared;
use crate::bpf::{BpfError, Loaded, Map};
use crate::kernel::{Errno, Kernel};

/// The programs of all watches that take turns, and those of the registers.
pub(super) struct Turns {
    /// By number of the watch.
    programs: OpenMap,
    /// By number of the register; None of those that have none yet.
    registers: [Option<Loaded>; turn::REGISTERS],
    /// Watches whose programs are in there.
    known: HashSet<u32, RandomState>,
}

impl Turns {
    /// Nobody's.
    pub(super) fn new(kernel: &Rc<dyn Kernel>) -> Result<Self, BpfError> {
        let map = Map::Programs { count: WATCHES as u32 };
        let programs = OpenMap::new(kernel, &map)
            .map_err(|errno| refused(errno, "BPF arrays of programs"))?;
        let known = HashSet::default();
        Ok(Self { programs, registers: Default::default(), known })
    }

    /// A watch takes turns, and this is run at its hits.
    pub(super) fn know(&mut self, watch: u32, program: i32) -> Result<(), BpfError> {
        let Self { programs, known, .. } = self;
        if !known.contains(&watch) {
            let put = programs.kernel.bpf_map_put(programs.descriptor, watch, program);
            put.map_err(|errno| BpfError::Failed { what: WHAT, errno })?;
            known.insert(watch);
        }
        Ok(())
    }

    /// Other programs are run at their hits from the next arming on.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }

    /// What is run at the hits of a register.
    pub(super) fn register(
        &mut self,
        register: usize,
        board: i32,
    ) -> Result<i32, BpfError> {
        let failed = BpfError::Failed { what: WHAT, errno: Errno::E2BIG };
        let Self { programs, registers, .. } = self;
        let place = registers.get_mut(register).ok_or(failed.clone())?;
        if let Some(loaded) = place {
            return Ok(loaded.descriptor());
        }
        let program = hit::turn::program(register, board, programs.descriptor);
        let loaded = Loaded::new(&programs.kernel, &program.ok_or(failed)?, WHAT)?;
        Ok(place.insert(loaded).descriptor())
    }

    pub(super) fn descriptors(&self) -> usize {
        1 + self.registers.iter().flatten().count()
    }
}

/// It is nobody's turn on a register, which is off.
pub(super) fn clear(memory: &Shared, register: usize) {
    let at = board::turn(register) + turn::WATCH as usize;
    memory.word(at).store(turn::NOBODY, Ordering::Release);
}

/// It is a watch's turn, which has these addresses in the processes that have it.
pub(super) fn set(memory: &Shared, register: usize, watch: u32, addresses: &[u64]) {
    let at = board::turn(register);
    let last = addresses.last().copied().unwrap_or(u64::MAX);
    let known = addresses.len() <= turn::PLACES;
    for place in 0..turn::PLACES {
        let address = if known { *addresses.get(place).unwrap_or(&last) } else { 0 };
        let at = at + turn::ADDRESSES as usize + 8 * place;
        memory.word(at).store(address, Ordering::Release);
    }
    memory.word(at + turn::WATCH as usize).store(watch.into(), Ordering::Release);
}

/// Hits on a register that were nobody's.
pub(super) fn strays(memory: &Shared, register: usize) -> u64 {
    let at = board::turn(register) + turn::STRAYS as usize;
    memory.word(at).load(Ordering::Relaxed)
}
