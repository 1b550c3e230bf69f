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
//! as long as the engine, the target's need not.
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
//! the event, and enabling the parent enables its children, under the lock
//! that inheriting takes (kernel/events/core.c, `inherit_event`,
//! `perf_event_for_each_child`): none is left disabled.
//!
//! A listing is no snapshot. `/proc/PID/task` walks the list of threads and
//! stops short where the thread at which it stands ends under it
//! (fs/proc/base.c, `next_tid`); threads are appended at the list's end, so
//! it misses none otherwise. Such a listing ends with a thread that is gone,
//! which the next listing therefore lacks. Hence listings are repeated until
//! two in a row are equal and as long as the kernel's own count of threads.
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
mod guard;
mod ids;
mod session;

use std::os::fd::RawFd;
use std::rc::Rc;

use self::arm::{Target, ThreadEvent, system};
use self::guard::CpuRing;
use self::ids::IdMap;
use self::session::Session;
use crate::engine::{Account, ArmError, Armed, Engine, Flow};
use crate::event::{Event, Watch};
use crate::kernel::{Errno, Kernel};
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
}

/// Bytes of all rings together, unless asked for otherwise.
const RINGS_BYTES: usize = 64 << 20;
/// A ring has at least these: with the head page exactly what an unprivileged
/// user may lock per CPU (kernel.perf_event_mlock_kb = 516).
const RING_BYTES_MIN: usize = 512 << 10;
/// And at most these.
const RING_BYTES_MAX: usize = 16 << 20;

impl Default for PerfOptions {
    fn default() -> Self {
        Self { ring_bytes: None, user_only: false, tries: 200 }
    }
}

impl PerfOptions {
    fn data_pages(&self, page_size: usize, cpus: usize) -> usize {
        let usual = (RINGS_BYTES / cpus.max(1)).clamp(RING_BYTES_MIN, RING_BYTES_MAX);
        let bytes = self.ring_bytes.unwrap_or(usual);
        bytes.div_ceil(page_size).max(1).next_power_of_two()
    }
}

/// The engine. See the head of [`self`].
pub struct PerfEngine {
    kernel: Rc<dyn Kernel>,
    options: PerfOptions,
    session: Option<Session>,
}

impl PerfEngine {
    /// An engine that is not armed yet.
    pub fn new(kernel: Rc<dyn Kernel>, options: PerfOptions) -> Self {
        Self { kernel, options, session: None }
    }

    fn begin(&self, pid: u32, watches: &[Watch]) -> Result<(Session, u32), ArmError> {
        let kernel = &self.kernel;
        let cpus = kernel.online_cpus().map_err(|e| system("online CPUs", e))?;
        let first = *cpus.first().ok_or_else(|| system("online CPUs", Errno::EINVAL))?;
        let options = &self.options;
        let features = arm::probe_features(kernel, pid, first, options)?;
        let target = Target { kernel, pid, watches, cpus: &cpus, features, options };
        let rings = arm::open_rings(&target)?;
        let opened = target.open_events()?;
        let ids = self.connect(&opened.events, &rings)?;
        self.enable(&opened.events)?;
        let session = Session::new(opened.events, rings, ids, watches.len());
        Ok((session, opened.threads))
    }

    /// Leads the events' records into the rings; gives their identifiers.
    fn connect(
        &self,
        events: &[ThreadEvent],
        rings: &[CpuRing],
    ) -> Result<IdMap, ArmError> {
        let mut ids = Vec::with_capacity(events.len());
        for ThreadEvent { event, cpu, watch } in events {
            let output =
                self.kernel.perf_set_output(event.descriptor(), rings[*cpu].owner());
            output.map_err(|e| system("PERF_EVENT_IOC_SET_OUTPUT", e))?;
            if let Some(watch) = *watch {
                let id = self.kernel.perf_id(event.descriptor());
                ids.push((id.map_err(|e| system("PERF_EVENT_IOC_ID", e))?, watch));
            }
        }
        Ok(IdMap::new(ids))
    }

    /// Starts them, the sideband first, that it lacks no name of a hit.
    fn enable(&self, events: &[ThreadEvent]) -> Result<(), ArmError> {
        let (sideband, hits): (Vec<_>, Vec<_>) =
            events.iter().partition(|event| event.watch.is_none());
        for ThreadEvent { event, .. } in sideband.into_iter().chain(hits) {
            let enabled = self.kernel.perf_enable(event.descriptor());
            enabled.map_err(|e| system("PERF_EVENT_IOC_ENABLE", e))?;
        }
        Ok(())
    }
}

impl Engine for PerfEngine {
    fn name(&self) -> &'static str {
        "perf"
    }

    /// Raises the soft limit of descriptors if it must.
    ///
    /// # Errors
    /// As [`Engine::arm`] says; [`ArmError::System`] with EBUSY where the
    /// engine is armed already.
    fn arm(&mut self, pid: u32, watches: &[Watch]) -> Result<Armed, ArmError> {
        if self.session.as_ref().is_some_and(Session::is_armed) {
            return Err(system("arm", Errno::EBUSY));
        }
        self.session = None;
        let (session, threads) = self.begin(pid, watches)?;
        self.session = Some(session);
        let (slots, capacity) = (watches.len() as u32, slots::CAPACITY as u32);
        Ok(Armed { threads, slots, capacity })
    }

    fn drain(
        &mut self,
        all: bool,
        sink: &mut dyn FnMut(Event<'_>) -> Flow,
    ) -> std::io::Result<()> {
        let now = self.kernel.clock();
        match &mut self.session {
            Some(session) => session.drain(now, all, sink),
            None => Ok(()),
        }
    }

    /// Enables or disables the events of a watch, inherited ones included
    /// (kernel/events/core.c, `perf_event_for_each_child`).
    fn switch(&mut self, watch: usize, on: bool) -> std::io::Result<()> {
        match &self.session {
            Some(session) => session.switch(&*self.kernel, watch, on),
            None => Ok(()),
        }
    }

    /// Frees the debug registers; the rings stay, to be drained.
    fn disarm(&mut self) {
        if let Some(session) = &mut self.session {
            session.disarm(&*self.kernel);
        }
    }

    fn account(&mut self) -> Account {
        match &self.session {
            Some(session) => session.account(&*self.kernel),
            None => Account::default(),
        }
    }

    /// One for each CPU. It becomes readable when a quarter of the ring has
    /// been written since it last was, and poll(2) says so once; what is less
    /// than that waits. So drain at least every few tens of milliseconds
    /// besides. Hung up (POLLHUP) once the thread that armed has ended.
    fn wake_fds(&self) -> Vec<RawFd> {
        self.session.as_ref().map(Session::wake_fds).unwrap_or_default()
    }
}
