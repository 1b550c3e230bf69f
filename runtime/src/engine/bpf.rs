//! What the `bpf` engine has besides the `perf` engine ([`super::perf`]), with which
//! it shares everything else: at each hit of a process's watch a program is run, in
//! place of a sample.
//!
//! A program knows the [plan](crate::plan::Plan) of its watch. It tells the values
//! by what it was taught of the instruction (`rules.rs`), keeps the last one
//! (`shadows.rs`), leaves out what the plan's filter drops, and reads memory at the
//! hit, which later may be another. [`crate::bpf::hit`] says how. Its records come by
//! a ring for each CPU (`ring.rs`), so that each is in the order of time.
//!
//! Hits on the kernel's data are samples as ever.
//!
//! # What is counted
//!
//! The event counts every hit. A program counts those that its filter drops, and
//! those without room. It is not run where another BPF program was interrupted
//! (kernel/events/core.c, `bpf_overflow_handler`): such hits are counted and nothing
//! else, which shows at the end, as *delivered + filtered + lost = counted*.
//!
//! Measured on a virtual machine, against plain counting: 1.08 with a record, 1.05
//! where the filter drops it (`runtime/benches/programs.rs`).

mod ring;
mod rules;
mod shadows;
mod tickets;
mod turns;

use std::collections::HashMap;
use std::os::fd::RawFd;
use std::rc::Rc;

use foldhash::fast::RandomState;

pub(super) use self::ring::HitRing;
pub(super) use self::rules::Rules;
use self::shadows::Shadows;
pub(super) use self::tickets::Counters;
pub use self::tickets::Tickets;
use self::turns::Turns;
use crate::bpf::board::{self, DROPPED, LOST, WATCHES};
use crate::bpf::hit::{Insight, Maps, Rings, Watched, draft_bytes, program};
use crate::bpf::shared::Shared;
use crate::bpf::{BpfError, INITIAL_PID_NAMESPACE, Loaded, Map};
use crate::event::{Trigger, Watch};
use crate::kernel::{Errno, Kernel};
use crate::plan::{Lesson, Needs, Plan, StackCapture};

/// What the programs do, for messages.
const WHAT: &str = "is run at hits";
/// What is done where nobody said what is needed.
static EVERYTHING: Plan = Plan {
    needs: Needs::ALL,
    filter: None,
    gate: None,
    reads: crate::plan::Reads::NONE,
    blind: false,
    moves: false,
    stack: StackCapture { callers: false, bytes: 0 },
    acts: Vec::new(),
};

/// Whether programs can be run at hits here: loads one.
///
/// # Errors
/// [`BpfError::NotPermitted`] without CAP_BPF and CAP_PERFMON,
/// [`BpfError::Missing`] on a kernel that is too old.
pub fn probe(kernel: &Rc<dyn Kernel>) -> Result<(), BpfError> {
    let watch = Watch { address: 8, length: 8, trigger: Trigger::Write };
    check(kernel, &watch, &Plan::default(), Insight::default()).map_err(|error| {
        match error {
            // What the verifier says to functions and instructions that it does not know
            // (kernel/bpf/verifier.c, `check_helper_call`, `do_check`).
            BpfError::Refused { log, .. }
                if [
                    "unknown func",
                    "invalid func",
                    "cannot use helper",
                    "reserved fields",
                ]
                .iter()
                .any(|said| log.contains(said)) =>
            {
                BpfError::Missing("what programs at hits take (Linux 5.15)")
            }
            error => error,
        }
    })
}

/// Whether the kernel takes the program that a plan makes of such a watch, where so much
/// is known of it.
///
/// # Errors
/// As [`probe`]; [`BpfError::Refused`].
pub fn check(
    kernel: &Rc<dyn Kernel>,
    watch: &Watch,
    plan: &Plan,
    insight: Insight,
) -> Result<(), BpfError> {
    let plans = std::slice::from_ref(plan);
    let (programs, _rings) =
        Programs::open(kernel, &[0], kernel.page_size(), insight, plans)?;
    programs.load(Watched::new(0, watch, false), plan).map(drop)
}

/// A map, closed when dropped.
struct OpenMap {
    kernel: Rc<dyn Kernel>,
    descriptor: RawFd,
}

impl OpenMap {
    fn new(kernel: &Rc<dyn Kernel>, map: &Map) -> Result<Self, Errno> {
        let descriptor = kernel.bpf_map(map)?;
        Ok(Self { kernel: Rc::clone(kernel), descriptor })
    }
}

impl Drop for OpenMap {
    fn drop(&mut self) {
        self.kernel.close(self.descriptor);
    }
}

/// The [`board`], mapped.
struct Board {
    map: OpenMap,
    /// None only while it is being dropped.
    memory: Option<Shared>,
}

impl Board {
    fn new(kernel: &Rc<dyn Kernel>, cpus: u32, draft_bytes: u32) -> Result<Self, Errno> {
        let bytes = board::bytes(cpus as usize, draft_bytes as usize);
        let bytes = bytes.next_multiple_of(kernel.page_size());
        let map = Map::Shared { bytes: u32::try_from(bytes).map_err(|_| Errno::E2BIG)? };
        let map = OpenMap::new(kernel, &map)?;
        let memory = Some(kernel.map_shared(map.descriptor, bytes)?);
        Ok(Self { map, memory })
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        if let Some(memory) = self.memory.take() {
            self.map.kernel.unmap_shared(memory);
        }
    }
}

/// The programs of a session, and what they share with us.
pub(super) struct Programs {
    kernel: Rc<dyn Kernel>,
    maps: Maps,
    board: Rc<Board>,
    /// The rings, by CPU; of each the reader has a descriptor, too.
    _rings: Option<OpenMap>,
    /// Becomes readable when a ring wakes.
    wakes: OpenMap,
    plans: Vec<Plan>,
    loaded: HashMap<Watched, Loaded, RandomState>,
    rules: Rules,
    shadows: Shadows,
    /// Where watches take turns.
    turns: Option<Turns>,
    /// Hits without room when last asked.
    lost: u64,
}

impl Programs {
    /// Makes the maps, and rings of so many bytes, smaller ones where memory is
    /// short. No plan to come takes more of stacks than these.
    pub(super) fn open(
        kernel: &Rc<dyn Kernel>,
        cpus: &[u32],
        ring_bytes: usize,
        insight: Insight,
        plans: &[Plan],
    ) -> Result<(Self, Vec<HitRing>), BpfError> {
        let (named, array, rings) = Self::open_rings(kernel, cpus, ring_bytes)?;
        let bound = cpus.last().map_or(1, |last| last + 1);
        let draft_bytes = plans.iter().map(draft_bytes).max().unwrap_or(0);
        let board = Board::new(kernel, bound, draft_bytes).map_err(|errno| {
            refused(errno, "BPF arrays that can be mapped (Linux 5.5)")
        })?;
        let failed = |errno| BpfError::Failed { what: WHAT, errno };
        let namespace = kernel.pid_namespace().map_err(failed)?;
        let readers: Vec<_> = rings.iter().map(HitRing::descriptor).collect();
        let wakes = kernel.group(&readers).map_err(failed)?;
        let maps = Maps {
            board: board.map.descriptor,
            rings: named,
            cpus: bound,
            draft_bytes,
            ring_bytes: rings.first().map_or(0, HitRing::bytes) as u32,
            namespace: Some(namespace).filter(|it| it.1 != INITIAL_PID_NAMESPACE),
            insight,
        };
        let programs = Self {
            kernel: Rc::clone(kernel),
            maps,
            board: Rc::new(board),
            _rings: array,
            wakes: OpenMap { kernel: Rc::clone(kernel), descriptor: wakes },
            plans: Vec::new(),
            loaded: HashMap::default(),
            rules: Rules::default(),
            shadows: Shadows::default(),
            turns: None,
            lost: 0,
        };
        Ok((programs, rings))
    }

    fn open_rings(
        kernel: &Rc<dyn Kernel>,
        cpus: &[u32],
        mut bytes: usize,
    ) -> Result<(Rings, Option<OpenMap>, Vec<HitRing>), BpfError> {
        let opened = loop {
            let rings = cpus.iter().map(|cpu| HitRing::open(kernel, *cpu, bytes));
            match rings.collect::<Result<Vec<_>, _>>() {
                Err(Errno::ENOMEM) if bytes > kernel.page_size() => bytes /= 2,
                rings => break rings,
            }
        };
        let missing = |errno| refused(errno, "BPF ring buffers (Linux 5.8)");
        let rings = opened.map_err(missing)?;
        let named = cpus.iter().copied().zip(rings.iter().map(HitRing::descriptor));
        if rings.len() <= Rings::FEW {
            let mut few = [(Rings::NONE, -1); Rings::FEW];
            few.iter_mut().zip(named).for_each(|(place, ring)| *place = ring);
            return Ok((Rings::Few(few), None, rings));
        }
        let like = rings.first().map_or(-1, HitRing::descriptor);
        let count = cpus.last().map_or(1, |last| last + 1);
        let array = OpenMap::new(kernel, &Map::Maps { count, like }).map_err(missing)?;
        for (cpu, ring) in named {
            let put = kernel.bpf_map_put(array.descriptor, cpu, ring);
            put.map_err(missing)?;
        }
        Ok((Rings::Many(array.descriptor), Some(array), rings))
    }

    /// What is done at the hits of each watch whose program is loaded from now on.
    pub(super) fn set_plans(&mut self, plans: &[Plan]) {
        self.plans = plans.to_vec();
        self.loaded.clear();
        self.turns.iter_mut().for_each(Turns::forget);
    }

    /// Loads what is run at the hits of a watch with a plan.
    fn load(&self, watched: Watched, plan: &Plan) -> Result<Loaded, BpfError> {
        let program = program(watched, self.maps, plan)
            .ok_or(BpfError::Failed { what: WHAT, errno: Errno::E2BIG })?;
        Loaded::new(&self.kernel, &program, WHAT)
    }

    /// The program of a watch.
    pub(super) fn program(&mut self, watched: Watched) -> Result<RawFd, BpfError> {
        if let Some(loaded) = self.loaded.get(&watched) {
            return Ok(loaded.descriptor());
        }
        let loaded = match self.load_planned(watched) {
            // A kernel that does not show who runs: then it is asked.
            Err(BpfError::Refused { .. })
                if self.maps.insight.current.take().is_some() =>
            {
                self.load_planned(watched)
            }
            loaded => loaded,
        }?;
        if watched.own {
            self.shadows.add_own(watched.number);
        }
        self.shadows.know(watched.number);
        let descriptor = loaded.descriptor();
        self.loaded.insert(watched, loaded);
        Ok(descriptor)
    }

    /// What is run at the hits of a register that these watches take turns on.
    pub(super) fn turns(
        &mut self,
        register: usize,
        watches: &[Watched],
    ) -> Result<RawFd, BpfError> {
        let mut turns = match self.turns.take() {
            Some(turns) => turns,
            None => Turns::new(&self.kernel)?,
        };
        let descriptor = self.programs_of_turns(&mut turns, register, watches);
        self.turns = Some(turns);
        descriptor
    }

    fn programs_of_turns(
        &mut self,
        turns: &mut Turns,
        register: usize,
        watches: &[Watched],
    ) -> Result<RawFd, BpfError> {
        for watched in watches {
            self.shadows.know(watched.number);
            let plan = |number: u32| self.plans.get(number as usize);
            let like = |other: u32| plan(other) == plan(watched.number);
            turns.classify(*watched, like);
        }
        for (class, like) in turns.missing(register) {
            let own = Watched { register: Some(register as u32), ..like };
            let program = self.program(own)?;
            turns.put(class, register, program)?;
        }
        turns.register(register, self.maps.board)
    }

    /// It is nobody's turn on a register.
    pub(super) fn clear_turn(&self, register: usize) {
        if let Some(memory) = self.memory() {
            turns::clear(memory, register);
        }
    }

    /// In this process a watch that may be elsewhere is there now. Hits of which programs do
    /// not know that are told by us.
    pub(super) fn place(&self, pid: u32, watch: u32, address: u64) {
        if let Some(memory) = self.memory() {
            Shadows::place(memory, (pid, watch), address);
        }
    }

    /// Where a watch is is not known in any process any more.
    pub(super) fn displace(&self, watch: u32) {
        if let Some(memory) = self.memory() {
            Shadows::displace(memory, watch);
        }
    }

    /// It is a watch's turn on a register; it has these addresses.
    pub(super) fn set_turn(&self, register: usize, watch: u32, addresses: &[u64]) {
        let program = self.turns.as_ref().and_then(|it| it.program(watch, register));
        if let (Some(memory), Some(program)) = (self.memory(), program) {
            turns::set(memory, register, (watch, program), addresses);
        }
    }

    /// Hits on registers that watches take turns on, and that were nobody's.
    pub(super) fn strays(&self) -> u64 {
        let memory = self.turns.as_ref().and_then(|_| self.memory()).into_iter();
        memory
            .flat_map(|memory| {
                (0..board::turn::REGISTERS).map(|it| turns::strays(memory, it))
            })
            .sum()
    }

    fn load_planned(&self, watched: Watched) -> Result<Loaded, BpfError> {
        let plan = self.plans.get(watched.number as usize).unwrap_or(&EVERYTHING);
        self.load(watched, plan).or_else(|error| {
            // Too long, or a kernel that takes less: then nothing is left out and
            // read ahead, and the handlers ask and read later.
            let needs = Needs::ALL.and(plan.needs);
            let Plan { blind, moves, stack, .. } = *plan;
            let bare = Plan { needs, blind, moves, stack, ..Plan::default() };
            self.load(watched, &bare).map_err(|_| error)
        })
    }

    /// The memory that programs share with us.
    fn memory(&self) -> Option<&Shared> {
        self.board.memory.as_ref()
    }

    /// The value that a watch of a process has, or of a thread that has its own: for
    /// when it is switched on or moved next.
    pub(super) fn expect(&mut self, owner: u32, watch: u32, value: u64) {
        self.shadows.expect(owner, watch, value);
    }

    /// What was expected may be wrong.
    pub(super) fn doubt(&mut self, owner: u32, watch: u32) {
        if let Some(memory) = &self.board.memory {
            Shadows::doubt(memory, owner, watch);
        }
    }

    /// What its programs take for the value of a watch.
    pub(super) fn held(&self, owner: u32, watch: u32) -> Option<u64> {
        Shadows::held(self.board.memory.as_ref()?, owner, watch)
    }

    /// A watch of a process, or of a thread that has its own, is about to be on.
    pub(super) fn begins(&mut self, owner: u32, watch: u32) {
        if let Some(memory) = &self.board.memory {
            self.shadows.begin(memory, owner, watch);
        }
    }

    /// Watches were off, or were moved: nothing is known of what they hold in any
    /// process but what was expected.
    pub(super) fn renews(&mut self, watches: &[u32]) {
        if let Some(memory) = &self.board.memory {
            self.shadows.renew(memory, watches);
        }
    }

    /// A thread has ended; with `last` its process.
    pub(super) fn ended(&mut self, (pid, tid): (u32, u32), last: bool) {
        if let Some(memory) = &self.board.memory {
            self.shadows.end(memory, (pid, tid), last);
            if last {
                self.rules.end(memory, pid);
            }
        }
    }

    /// Tells the programs what an instruction does.
    pub(super) fn teach(&mut self, lesson: &Lesson) {
        if let Some(memory) = &self.board.memory {
            self.rules.teach(memory, lesson);
        }
    }

    /// What was taught of a process is void.
    pub(super) fn forget_code(&mut self, pid: u32) {
        if let Some(memory) = &self.board.memory {
            self.rules.forget(memory, pid);
        }
    }

    /// The numbers that hits take at gates are taken here from now on.
    pub(super) fn count_at(&self, counters: &Counters) {
        counters.set(&self.board);
    }

    /// The rules by which records are told.
    pub(super) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The descriptor that becomes readable when a ring is a quarter full.
    pub(super) fn wakes(&self) -> RawFd {
        self.wakes.descriptor
    }

    /// Descriptors that it holds, besides those of rings.
    pub(super) fn descriptors(&self) -> usize {
        3 + self.loaded.len() + self.turns.as_ref().map_or(0, Turns::descriptors)
    }

    /// A round begins; gives how many hits had no room since the one before.
    pub(super) fn round(&mut self) -> u64 {
        self.kernel.quiet(self.wakes.descriptor);
        let lost = self.lost();
        lost - std::mem::replace(&mut self.lost, lost)
    }

    /// Hits without room.
    pub(super) fn lost(&self) -> u64 {
        self.counters(LOST).sum()
    }

    /// Hits that filters dropped, by watch.
    pub(super) fn filtered(&self) -> impl Iterator<Item = u64> {
        self.counters(DROPPED)
    }

    fn counters(&self, which: usize) -> impl Iterator<Item = u64> {
        let known = (self.shadows.watches() as usize).min(WATCHES);
        let memory = self.memory().into_iter();
        memory.flat_map(move |memory| {
            let counter = move |watch| memory.word(board::counter(watch, which));
            (0..known)
                .map(move |it| counter(it).load(std::sync::atomic::Ordering::Relaxed))
        })
    }
}

/// Why there is no map.
fn refused(errno: Errno, missing: &'static str) -> BpfError {
    match errno {
        Errno::EPERM => BpfError::NotPermitted,
        Errno::ENOSYS => BpfError::Missing("CONFIG_BPF_SYSCALL"),
        Errno::EINVAL => BpfError::Missing(missing),
        errno => BpfError::Failed { what: WHAT, errno },
    }
}
