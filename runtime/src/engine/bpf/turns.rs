//! Registers that watches take turns on: which program is run at their hits.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use foldhash::fast::RandomState;

use super::{OpenMap, WHAT, refused};
use crate::bpf::board::{self, WATCHES, turn};
use crate::bpf::hit::{self, Watched};
use crate::bpf::shared::Shared;
use crate::bpf::{BpfError, Loaded, Map};
use crate::kernel::{Errno, Kernel};

/// The programs of the watches that take turns, and those of the registers. Watches that
/// differ in nothing but their numbers are a class, and have one program on each register:
/// loading one takes some milliseconds.
pub(super) struct Turns {
    /// By class and register.
    programs: OpenMap,
    /// By number of the register; None of those that have none yet.
    registers: [Option<Loaded>; turn::REGISTERS],
    /// By class: a watch of it, and the registers that have the program.
    classes: Vec<(Watched, [bool; turn::REGISTERS])>,
    /// By watch: its class.
    class: HashMap<u32, usize, RandomState>,
}

/// So many classes there can be: each watch its own.
const CLASSES: usize = WATCHES;

impl Turns {
    /// Nobody's.
    pub(super) fn new(kernel: &Rc<dyn Kernel>) -> Result<Self, BpfError> {
        let map = Map::Programs { count: (CLASSES * turn::REGISTERS) as u32 };
        let programs = OpenMap::new(kernel, &map)
            .map_err(|errno| refused(errno, "BPF arrays of programs"))?;
        let (classes, class) = (Vec::new(), HashMap::default());
        Ok(Self { programs, registers: Default::default(), classes, class })
    }

    /// A watch takes turns; `like` tells whether what is done at its hits is done at those
    /// of another.
    pub(super) fn classify(&mut self, watched: Watched, like: impl Fn(u32) -> bool) {
        let Self { classes, class, .. } = self;
        class.entry(watched.number).or_insert_with(|| {
            let of = |it: &Watched| (it.length, it.stores, it.own);
            let mut known = classes.iter();
            let same =
                known.position(|(it, _)| of(it) == of(&watched) && like(it.number));
            same.unwrap_or_else(|| {
                classes.push((watched, [false; turn::REGISTERS]));
                classes.len() - 1
            })
        });
    }

    /// Classes whose program a register does not have yet, with a watch of each.
    pub(super) fn missing(&self, register: usize) -> Vec<(usize, Watched)> {
        let classes = self.classes.iter().enumerate();
        let missing =
            classes.filter(|(_, (_, there))| there.get(register) == Some(&false));
        missing.map(|(class, (watched, _))| (class, *watched)).collect()
    }

    /// This is the program of a class on a register.
    pub(super) fn put(
        &mut self,
        class: usize,
        register: usize,
        program: i32,
    ) -> Result<(), BpfError> {
        let Self { programs, classes, .. } = self;
        let place = index(class, register);
        let put = programs.kernel.bpf_map_put(programs.descriptor, place, program);
        put.map_err(|errno| BpfError::Failed { what: WHAT, errno })?;
        classes[class].1[register] = true;
        Ok(())
    }

    /// Which program is run for a watch on a register.
    pub(super) fn program(&self, watch: u32, register: usize) -> Option<u32> {
        self.class.get(&watch).map(|class| index(*class, register))
    }

    /// Other programs are run at their hits from the next arming on.
    pub(super) fn forget(&mut self) {
        self.classes.clear();
        self.class.clear();
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

/// Where the program of a class on a register is.
fn index(class: usize, register: usize) -> u32 {
    (class * turn::REGISTERS + register) as u32
}

/// It is nobody's turn on a register, which is off.
pub(super) fn clear(memory: &Shared, register: usize) {
    let at = board::turn(register) + turn::PROGRAM as usize;
    memory.word(at).store(turn::NONE, Ordering::Release);
}

/// It is a watch's turn, whose program is this, and which has these addresses in the
/// processes that have it.
pub(super) fn set(
    memory: &Shared,
    register: usize,
    (watch, program): (u32, u32),
    addresses: &[u64],
) {
    let at = board::turn(register);
    let last = addresses.last().copied().unwrap_or(u64::MAX);
    let known = addresses.len() <= turn::PLACES;
    // Where it is on already, each hit is compared by itself meanwhile: the first is
    // written last.
    memory.word(at + turn::ADDRESSES as usize).store(0, Ordering::Release);
    for place in (0..turn::PLACES).rev() {
        let address = if known { *addresses.get(place).unwrap_or(&last) } else { 0 };
        let at = at + turn::ADDRESSES as usize + 8 * place;
        memory.word(at).store(address, Ordering::Release);
    }
    memory.word(at + turn::WATCH as usize).store(watch.into(), Ordering::Release);
    memory.word(at + turn::PROGRAM as usize).store(program.into(), Ordering::Release);
}

/// Hits on a register that were nobody's.
pub(super) fn strays(memory: &Shared, register: usize) -> u64 {
    let at = board::turn(register) + turn::STRAYS as usize;
    memory.word(at).load(Ordering::Relaxed)
}
