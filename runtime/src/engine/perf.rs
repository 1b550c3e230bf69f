//! The `perf` engine: hardware breakpoints as perf events, whose samples come
//! by way of one ring per CPU. Needs no privilege for one's own processes
//! (kernel.perf_event_paranoid ≤ 2).
//!
//! # What is opened
//!
//! On each thread and CPU an event for each watch and one for the sideband
//! (names, births, ends, mappings), all inherited by what the thread creates
//! later. An inherited event can not be mapped with "any CPU" (EINVAL), hence
//! one per CPU. All are redirected into the ring of their CPU, which belongs
//! to a software event on hwtrace's own arming thread: that thread must live
//! as long as the engine, the target's need not. Where programs are run a watch needs
//! no ring, and one event on each thread.
//!
//! The sideband is apart from the breakpoints since a lost name must not
//! count as a lost hit (PERF_FORMAT_LOST counts all records of an event), and
//! since exec removes the breakpoints before it reports the new name
//! (fs/exec.c, `begin_new_exec`: `perf_event_exec`, then `__set_task_comm`).
//!
//! # Why each thread is armed exactly once
//!
//! An event opened on a thread reaches the threads that it creates afterwards,
//! and no others. So a thread of which we do not know whether it was created
//! before or after its creator's events were opened may neither be left alone
//! nor be opened. The way round: list the threads, open all of them disabled,
//! list again.
//!
//! * If no thread is there that the first listing lacks, then every thread
//!   was there before the first event was opened, so none has inherited one;
//!   each was opened by us, once. Threads created after the second listing
//!   have a creator that is wholly opened, so they inherit everything. (A
//!   thread created in between that has ended again left no thread behind, or
//!   it would be in the listing.)
//! * If there is one, everything is closed and begun again.
//!
//! The events are disabled until then. A child inherits the state as well as
//! the event. Enabling the parent enables its children, but those that are
//! being born to other children meanwhile: they are among them only after
//! (kernel/events/core.c, `inherit_event`, `perf_event_for_each_child`). Hence all are
//! enabled once more when the births have ended that were under way; and so it is with
//! what is switched or moved later (`perf/session/switching.rs`).
//!
//! And where a thread has nothing but what its child inherited, the kernel lets the two
//! change places instead of switching events (`perf_event_context_sched_out`): from then
//! on the creator has the child's, also when the child has ended. It makes no difference
//! where the two are alike.
//!
//! A listing is no snapshot. `/proc/PID/task` walks the list of threads and
//! stops short where the thread at which it stands ends under it
//! (fs/proc/base.c, `next_tid`); threads are appended at the list's end, so
//! it misses none otherwise. Such a listing ends with a thread that is gone,
//! which the next listing therefore lacks. Hence listings are repeated until
//! two in a row are equal and as long as the kernel's own count of threads.
//! And a thread is in no listing while it is born, but has inherited already: so
//! before the second listing births come to their end (`perf/births.rs`).
//!
//! # Several processes, and images after an exec
//!
//! A process that is attached later is armed the same way. What it inherited is
//! known from its births and executions (`perf/family.rs`): an exec ends the
//! watches (`remove_on_exec`) and leaves the sideband, so that the next image is
//! given watches alone. Closing an event ends it for those who inherited it, too,
//! so those of a process that has ended stay as long as somebody has them; the
//! kernel tells when nobody does (POLLHUP, kernel/events/core.c, `is_event_hup`). Of an
//! event without a ring it says so always: that ends with the sideband of its thread, or
//! where there is none with a software event that was opened for that, its witness.
//!
//! A watch moves by PERF_EVENT_IOC_MODIFY_ATTRIBUTES, which reaches those who
//! inherited it. All its events are off before the first is moved, and the time
//! between is what parts the hits of the old address from those of the new.
//!
//! # News
//!
//! What the sideband reports waits for its turn, some milliseconds. Who has to
//! arm a thread or a library before it does much can not wait: with
//! [`PerfOptions::prompt`] a second sideband leads into small rings of its own that
//! wake the reader with each record. Measured on a virtual machine with two CPUs,
//! both busy with other work: a birth is known 55 microseconds after it (median;
//! nine of ten within 70), and the thread has a watch of its own after 70.
//!
//! # Programs in place of samples
//!
//! Made by [`PerfEngine::with_programs`] it is the `bpf` engine: everything here
//! holds, but that hits on processes' watches run a program ([`super::bpf`]) and are no
//! samples. A program is set as soon as its event is open, before the second listing:
//! who inherits the event before that is a thread that the listing shows as new, or has
//! ended. That it can not have changed places with its creator, which would be without
//! programs for good, is what a thread's [anchor](crate::attr::Role::Anchor) is for; it is
//! closed after the listing. Should one be overlooked, its hits are counted and come
//! never: they are lost at the end.
//!
//! # The kernel's data
//!
//! Watches on it are opened on each CPU for all tasks. Their samples are laid out
//! otherwise, with the calls in the kernel and the registers of its code; the
//! identifier, which comes first in both, tells which it is.
//!
//! # What is counted
//!
//! The kernel counts every hit in the event (or in the inherited one, whose
//! count is added to its parent's when the thread ends, when it executes
//! another image, and when it is read) and every record without room in the
//! parent's `lost_samples` (kernel/events/ring_buffer.c,
//! `__perf_output_begin`). So *delivered + lost = counted*, to the unit, once
//! everything is disarmed and drained.
//!
//! # What may still kill a target: a hypervisor that loses DR6
//!
//! KVM before Linux 6.14 on the *host* can enter the guest with an outdated
//! DR6 after an exit that it handled on its fast path ("Load the guest's DR6
//! outside of the innermost .vcpu_run() loop"). A debug trap whose DR6 names
//! no register looks like an INT1 instruction to the guest's kernel, which
//! sends SIGTRAP with TRAP_BRKPT (arch/x86/kernel/traps.c, `exc_debug_user`)
//! and counts no hit. Measured with plain counting and no hwtrace at all, on
//! two busy virtual CPUs: 10 in 12,000,000 stores, each one hit short. No
//! perf event can prevent it; a tracer attached with ptrace could withhold
//! the signal.

mod arm;
mod births;
mod events;
mod family;
mod guard;
mod ids;
mod places;
mod probe;
mod session;
mod turns;

use std::os::fd::RawFd;
use std::rc::Rc;

pub use self::probe::probe;

use self::arm::{Machine, Target, system};
use self::events::{Capture, EventSet};
use self::session::Session;
use crate::attr::Sampled;
use crate::bpf::hit::Insight;
use crate::engine::bpf::{Counters, Programs, Tickets};
use crate::engine::{Account, ArmError, Armed, Engine, Flow, Pass, Passed, Turn, Whose};
use crate::event::{Event, Watch};
use crate::kernel::{Errno, Kernel};
use crate::plan::{Lesson, Plan};
use crate::slots;

/// How the engine is set up.
#[derive(Clone, Debug)]
pub struct PerfOptions {
    /// Bytes of each CPU's ring, rounded up to a power of two of pages. None:
    /// as much as bridges some tenths of a second of hits, less on machines
    /// with many CPUs. Smaller rings are taken where the user's locked memory
    /// does not suffice.
    pub ring_bytes: Option<usize>,
    /// Leaves out what the kernel does on a thread's behalf, even where it
    /// could be seen.
    pub user_only: bool,
    /// How often arming begins again while threads come and go.
    pub tries: u32,
    /// Births, ends, names and mappings wake the reader at once, and
    /// [`Engine::news`] shows them. Takes another small ring for each CPU.
    pub prompt: bool,
    /// Reports births, ends, names and mappings of all tasks there are, and not
    /// only of what is armed. Needs CAP_PERFMON, or
    /// kernel.perf_event_paranoid at most 0.
    pub whole_system: bool,
    /// What programs at hits know of the kernel's inside.
    pub insight: Insight,
    /// Threads that have too few free registers are left out, as long as any has enough;
    /// else it is an error that there are such. Threads that they create are not watched.
    pub partial: bool,
}

/// Bytes of all rings together, unless asked for otherwise.
const RINGS_BYTES: usize = 64 << 20;
/// A ring has at least these: with the head page exactly what an unprivileged
/// user may lock per CPU (kernel.perf_event_mlock_kb = 516).
const RING_BYTES_MIN: usize = 512 << 10;
/// And at most these.
const RING_BYTES_MAX: usize = 16 << 20;

/// Rings are so many times as large where hits come with more bytes of stacks than
const STACK_RINGS: usize = 4;
/// these.
const STACK_BYTES_FEW: u32 = 1 << 10;

impl Default for PerfOptions {
    fn default() -> Self {
        Self {
            ring_bytes: None,
            user_only: false,
            tries: 200,
            prompt: false,
            whole_system: false,
            insight: Insight::default(),
            partial: false,
        }
    }
}

impl PerfOptions {
    /// Pages of each CPU's ring that are tried first, besides its head page, where so many
    /// bytes of stacks come with each hit.
    pub fn data_pages(&self, page_size: usize, cpus: usize, stack_bytes: u32) -> usize {
        let times = if stack_bytes > STACK_BYTES_FEW { STACK_RINGS } else { 1 };
        let usual = (RINGS_BYTES / cpus.max(1)).clamp(RING_BYTES_MIN, RING_BYTES_MAX);
        let usual = usual * times;
        let bytes = self.ring_bytes.unwrap_or(usual);
        bytes.div_ceil(page_size).max(1).next_power_of_two()
    }
}

/// The engine. See the head of [`self`].
pub struct PerfEngine {
    kernel: Rc<dyn Kernel>,
    options: PerfOptions,
    /// Whether programs are run at hits.
    programs: bool,
    plans: Vec<Plan>,
    turns: Vec<Turn>,
    /// Values of watches that are armed first: pid, watch, value.
    expected: Vec<(u32, u32, u64)>,
    /// What hits at gates take.
    counters: Counters,
    armed: Option<(Machine, Session)>,
}

impl PerfEngine {
    /// An engine that is not armed yet, of which hits are samples.
    pub fn new(kernel: Rc<dyn Kernel>, options: PerfOptions) -> Self {
        let (plans, turns, expected) = (Vec::new(), Vec::new(), Vec::new());
        let (programs, counters, armed) = (false, Counters::default(), None);
        Self { kernel, options, programs, plans, turns, expected, counters, armed }
    }

    /// One that runs programs at the hits of processes: the `bpf` engine, where
    /// [`probe`](super::bpf::probe) says that it can be.
    pub fn with_programs(kernel: Rc<dyn Kernel>, options: PerfOptions) -> Self {
        Self { programs: true, ..Self::new(kernel, options) }
    }

    fn programs(&mut self) -> Option<&mut Programs> {
        self.armed.as_mut().and_then(|(_, session)| session.programs())
    }

    fn is_armed(&self) -> bool {
        self.armed.as_ref().is_some_and(|(_, session)| session.is_armed())
    }

    /// Rings, and the sideband of all tasks where asked for. `pid` is whom
    /// errors are about.
    fn begin(&self, pid: u32) -> Result<(Machine, Session), ArmError> {
        let machine = Machine::probe(&self.kernel, &self.options, self.programs, pid)?;
        let (mut rings, layout) = machine.open_rings(pid, &self.plans)?;
        let mut programs = machine.open_programs(&mut rings, &self.plans)?;
        if let Some(programs) = &mut programs {
            programs.count_at(&self.counters);
            for (pid, watch, value) in &self.expected {
                programs.expect(*pid, *watch, *value);
            }
        }
        let exec_ends = machine.exec_ends_watches();
        let mut session = Session::new(rings, layout, exec_ends, programs);
        session.set_plans(&self.plans);
        session.set_turns(&self.turns);
        if self.options.whole_system {
            let sideband = vec![machine.open_system_sideband()?];
            adopt(&machine, &mut session, sideband)?;
        }
        Ok((machine, session))
    }

    /// Does what arms something more, in a new session if there is none.
    fn arm_more<T>(
        &mut self,
        pid: u32,
        arm: impl FnOnce(&Machine, &mut Session) -> Result<T, ArmError>,
    ) -> Result<T, ArmError> {
        if let Some((machine, session)) = self.armed.as_mut().filter(|it| it.1.is_armed())
        {
            return arm(machine, session);
        }
        // The rings of the one before, which take locked memory.
        self.armed = None;
        let (machine, mut session) = self.begin(pid)?;
        let armed = arm(&machine, &mut session)?;
        self.expected.clear();
        self.armed = Some((machine, session));
        Ok(armed)
    }
}

/// Leads the events into the rings of a session and starts them there.
fn adopt(
    machine: &Machine,
    session: &mut Session,
    sets: Vec<EventSet>,
) -> Result<(), ArmError> {
    if let Err(error) = machine.connect(&sets, session.rings()) {
        session.part_with(&*machine.kernel, sets);
        return Err(error);
    }
    let adopted = session.adopt(&*machine.kernel, sets);
    adopted.map_err(|errno| system("starting perf events", errno))
}

/// Arms a process within a session.
fn attach(
    machine: &Machine,
    session: &mut Session,
    pid: u32,
    watches: &[Option<Watch>],
) -> Result<Armed, ArmError> {
    if session.family().is_armed(pid) {
        return Err(ArmError::Armed { pid });
    }
    session.know_watches(watches.len());
    let opened = session.opened(watches);
    let (all, watches) = (watches, &opened[..]);
    let sideband = !session.reports_all() && !session.family().reports(pid);
    let held = session.descriptors();
    let captures = session.captures(pid, all, false)?;
    let since = machine.kernel.clock();
    let target = Target { machine, pid, watches, captures: &captures, sideband, held };
    let mut opened = target.open_events()?;
    session.place(pid, all, since);
    session.carry(pid, all, &mut opened.sets);
    adopt(machine, session, opened.sets).inspect_err(|_| session.take_back(pid))?;
    let (threads, left_out) = (opened.threads, opened.short);
    session.family().arm(pid, threads + left_out.threads);
    Ok(Armed { left_out, ..armed(threads, watches) })
}

/// What was armed with these watches.
fn armed(threads: u32, watches: &[Option<Watch>]) -> Armed {
    let slots = watches.iter().flatten().count() as u32;
    Armed { threads, slots, capacity: slots::CAPACITY as u32, ..Armed::default() }
}

impl Engine for PerfEngine {
    fn name(&self) -> &'static str {
        if self.programs { "bpf" } else { "perf" }
    }

    fn set_plans(&mut self, plans: &[Plan]) {
        self.plans = plans.to_vec();
        if let Some((_, session)) = &mut self.armed {
            session.set_plans(plans);
        }
    }

    fn tell(&mut self, whose: Whose, watch: usize, value: u64) {
        let Some(owner) = whose.owner() else { return };
        let watch = watch as u32;
        match self.armed.as_mut().filter(|(_, session)| session.is_armed()) {
            Some((_, session)) => {
                session
                    .programs()
                    .into_iter()
                    .for_each(|it| it.expect(owner, watch, value));
            }
            None if self.programs => self.expected.push((owner, watch, value)),
            None => {}
        }
    }

    fn doubt(&mut self, whose: Whose, watch: usize) {
        if let (Some(owner), Some(programs)) = (whose.owner(), self.programs()) {
            programs.doubt(owner, watch as u32);
        }
    }

    fn held(&self, whose: Whose, watch: usize) -> Option<u64> {
        let programs = self.armed.as_ref()?.1.programs_known()?;
        programs.held(whose.owner()?, watch as u32)
    }

    fn teach(&mut self, lesson: &Lesson) {
        if let Some(programs) = self.programs() {
            programs.teach(lesson);
        }
    }

    fn forget_code(&mut self, pid: u32) {
        if let Some(programs) = self.programs() {
            programs.forget_code(pid);
        }
    }

    fn tickets(&self, watch: usize) -> Option<Tickets> {
        self.counters.of(watch).filter(|_| self.programs)
    }

    fn learns(&self) -> bool {
        self.programs
    }

    /// Raises the soft limit of descriptors if it must.
    ///
    /// # Errors
    /// As [`Engine::arm`] says; [`ArmError::System`] with EBUSY where the
    /// engine is armed already.
    fn arm(&mut self, pid: u32, watches: &[Watch]) -> Result<Armed, ArmError> {
        if self.is_armed() {
            return Err(system("arm", Errno::EBUSY));
        }
        let watches: Vec<_> = watches.iter().copied().map(Some).collect();
        self.attach(pid, &watches)
    }

    fn listen(&mut self) -> Result<(), ArmError> {
        self.arm_more(0, |_, _| Ok(()))
    }

    fn attach(&mut self, pid: u32, watches: &[Option<Watch>]) -> Result<Armed, ArmError> {
        self.arm_more(pid, |machine, session| attach(machine, session, pid, watches))
    }

    fn arm_thread(
        &mut self,
        (pid, tid): (u32, u32),
        number: usize,
        watch: Watch,
    ) -> Result<(), ArmError> {
        self.arm_more(pid, |machine, session| {
            session.know_watches(number + 1);
            let mut watches = vec![None; number];
            watches.push(Some(watch));
            let captures = session.captures(tid, &watches, true)?;
            let capture = captures.last().copied();
            let capture = capture.unwrap_or(Capture::Sample(Sampled::ALL));
            let sets = machine.open_own(
                (pid, tid),
                number as u32,
                (watch, capture),
                session.descriptors(),
            )?;
            adopt(machine, session, sets)
        })
    }

    fn arm_kernel(&mut self, watches: &[Option<Watch>]) -> Result<Armed, ArmError> {
        let done = self.arm_more(0, |machine, session| {
            session.know_watches(watches.len());
            let held = session.descriptors();
            let opened = session.opened(watches);
            let mut sets =
                machine.open_kernel(&opened, session.sampled_in_kernel(), held)?;
            session.carry(0, watches, &mut sets);
            adopt(machine, session, sets)?;
            Ok(armed(0, &opened))
        });
        // Less is needed to see what all tasks do; it is what is asked for first.
        done.map_err(|error| match error {
            ArmError::SystemPermission { errno } => ArmError::KernelPermission { errno },
            error => error,
        })
    }

    fn retarget(
        &mut self,
        pid: u32,
        watch: usize,
        address: Option<u64>,
    ) -> Result<u64, ArmError> {
        let Some((machine, session)) = &mut self.armed else {
            return Err(ArmError::Gone { pid });
        };
        match session.retarget(&*machine.kernel, (pid, watch), address) {
            Ok(since) => since.ok_or(ArmError::Gone { pid }),
            Err(Errno::EINVAL) => Err(ArmError::BadWatch { watch }),
            Err(errno) => Err(system("PERF_EVENT_IOC_MODIFY_ATTRIBUTES", errno)),
        }
    }

    fn set_turns(&mut self, turns: &[Turn]) {
        self.turns = turns.to_vec();
    }

    fn passes(&self) -> bool {
        true
    }

    fn pass(&mut self, passes: &[Pass]) -> Result<Passed, ArmError> {
        let engine = self.name();
        let passed = self
            .armed
            .as_mut()
            .and_then(|(machine, session)| session.pass(&*machine.kernel, passes));
        passed.ok_or(ArmError::Unable {
            engine,
            what: "pass registers between watches that do not take turns",
        })
    }

    fn detach(&mut self, pid: u32) {
        if let Some((machine, session)) = &mut self.armed {
            session.detach(&*machine.kernel, pid);
        }
    }

    fn drain(
        &mut self,
        all: bool,
        sink: &mut dyn FnMut(Event<'_>) -> Flow,
    ) -> std::io::Result<()> {
        match &mut self.armed {
            Some((machine, session)) => session.drain(&*machine.kernel, all, sink),
            None => Ok(()),
        }
    }

    fn news(&mut self, sink: &mut dyn FnMut(Event<'_>)) -> std::io::Result<()> {
        match &mut self.armed {
            Some((_, session)) => session.news(sink),
            None => Ok(()),
        }
    }

    /// Enables or disables the events of a watch, inherited ones included
    /// (kernel/events/core.c, `perf_event_for_each_child`).
    fn switch(&mut self, watch: usize, on: bool) -> std::io::Result<()> {
        match &mut self.armed {
            Some((machine, session)) => session.switch(&*machine.kernel, watch, on),
            None => Ok(()),
        }
    }

    /// Frees the debug registers; the rings stay, to be drained.
    fn disarm(&mut self) {
        if let Some((machine, session)) = &mut self.armed {
            session.disarm(&*machine.kernel);
        }
    }

    fn account(&mut self) -> Account {
        match &self.armed {
            Some((machine, session)) => session.account(&*machine.kernel),
            None => Account::default(),
        }
    }

    /// One for each CPU, and one more for all where programs run, or two where [`PerfOptions::prompt`] is set. It becomes
    /// readable when a quarter of the ring has been written since it last was,
    /// and poll(2) says so once; what is less than that waits. So drain at least
    /// every few tens of milliseconds besides. Hung up (POLLHUP) once the thread
    /// that armed has ended.
    fn wake_fds(&self) -> Vec<RawFd> {
        self.armed.as_ref().map(|(_, session)| session.wake_fds()).unwrap_or_default()
    }
}
