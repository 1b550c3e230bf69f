//! Follows threads from stop to stop: what each means, and how it goes on.
//!
//! Knows nothing of other processes, sockets or pipes: tests run it on a kernel in
//! plain memory.

use std::collections::{BTreeSet, HashMap};
use std::os::fd::RawFd;
use std::rc::Rc;

use foldhash::fast::RandomState;

use super::debug::Registers;
use super::proc::{self, Mapping};
use super::reports::Reports;
use super::steps::{Step, Stepper};
use super::wire::Capture;
use crate::engine::ArmError;
use crate::event::Watch;
use crate::kernel::{Errno, Go, Kernel, Wait};
use crate::plan::Act;

pub(super) type Map<K, V> = HashMap<K, V, RandomState>;

/// `si_code` of a SIGTRAP (include/uapi/asm-generic/siginfo.h): of a debug trap that
/// names no register, of a single step, and of a debug register. One that a program sends
/// has 0 or less, that of `int3` SI_KERNEL.
const TRAP_BRKPT: i32 = 1;
const TRAP_TRACE: i32 = 2;
const TRAP_HWBKPT: i32 = 4;
/// What PTRACE_GETSIGINFO gives where a handler is entered by a single step: the
/// signal's number (kernel/signal.c, `ptrace_notify`).
const HANDLER_ENTERED: i32 = libc::SIGTRAP;

/// What a thread stops for where it enters or leaves a system call (ptrace(2),
/// PTRACE_O_TRACESYSGOOD).
const SYSCALL: i32 = libc::SIGTRAP | 0x80;

/// So many stops are looked at before anything else is.
const AT_ONCE: u32 = 256;

/// So long after it was looked at the name of a thread that hits is looked at again.
const NAME_EVERY_NS: u64 = 10_000_000;

/// So long after a hit in code of no file was found to be that, code is not looked for.
const MAPS_EVERY_NS: u64 = 10_000_000;

/// How accesses are noticed.
pub(super) enum Method {
    /// By debug registers.
    Registers,
    /// By single steps.
    Steps(Stepper),
}

/// Everybody who is traced.
pub(super) struct Tracer {
    pub(super) kernel: Rc<dyn Kernel>,
    /// Readable when somebody has stopped or ended.
    pub(super) signals: RawFd,
    pub(super) method: Method,
    /// Whether threads stop at system calls, to tell at once of code that is mapped.
    pub(super) calls: bool,
    /// Whether threads of which others hold too many registers are left out.
    pub(super) partial: bool,
    pub(super) threads: Map<u32, Thread>,
    pub(super) processes: Map<u32, Process>,
    /// New threads that have stopped, and of which their creator has not told yet.
    pub(super) early: Map<u32, Next>,
    /// New threads that their creators told of, and that have not stopped yet.
    pub(super) born: Map<u32, Birth>,
    /// Processes that their parent stopped for us and has not continued yet.
    pub(super) expected: BTreeSet<u32>,
    pub(super) watches: Vec<Figures>,
    pub(super) captures: Vec<Capture>,
    /// What is done to processes at hits, by watch number.
    pub(super) acts: Rc<[Vec<Act>]>,
    pub(super) reports: Reports,
    /// Processes that go on and are reported no more.
    pub(super) dropped: u64,
    /// Threads that were born without a free register.
    pub(super) unarmed: u64,
    /// Whether everybody is to go, newcomers as well.
    pub(super) is_over: bool,
}

/// What a creator told of a new thread.
#[derive(Debug)]
pub(super) struct Birth {
    /// Process and thread of the creator.
    parent: (u32, u32),
    /// Whether that was let go since.
    leaving: bool,
    /// Whether it was reported: before the end of its creator.
    told: bool,
    /// What is known of that process, where it has ended since: as the one in the middle
    /// does of those that become daemons.
    ended: Option<Process>,
}

/// What is known of a watch in all processes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    pub(super) on: bool,
    pub(super) counted: u64,
}

/// A process.
#[derive(Clone, Debug, Default)]
pub(super) struct Process {
    /// The process that was armed and whose watches it has: itself, or who forked it.
    pub(super) root: u32,
    /// By number.
    pub(super) watches: Vec<Option<Watch>>,
    /// Whether its present image inherited or was given watches.
    pub(super) armed: bool,
    /// Whether threads that stop stay so, until what is done is done.
    pub(super) held: bool,
    /// Whether it executes another image and waits to be armed, or not.
    pub(super) waits: bool,
    /// Code of files, as far as it was told of.
    pub(super) code: Vec<Mapping>,
    /// When a hit was last found to be in code of no file.
    no_file: u64,
    /// What watched bytes were last, by address and length, where steps or acts compare
    /// them.
    pub(super) values: Map<(u64, u32), u64>,
}

/// A thread.
#[derive(Debug)]
pub(super) struct Thread {
    pub(super) pid: u32,
    pub(super) at: At,
    /// What its debug registers hold.
    pub(super) registers: Registers,
    /// Watches that it alone has, by number.
    pub(super) own: Vec<(usize, Watch)>,
    /// Whether it has no registers, as others hold too many of them.
    pub(super) left_out: bool,
    /// Whether it is to be let go when it stops.
    pub(super) leaving: bool,
    /// Whether it waits in vfork(2) for its child, and does nothing until it is woken: it
    /// does not stop before.
    pub(super) vforks: bool,
    /// Whether it was given a SIGTRAP of its own, and stops in the handler of that.
    pub(super) enters: bool,
    /// Whether its process was stopped by a signal when it went on into a trap of ours.
    pub(super) stops_again: bool,
    /// The instruction that it is about to execute, where it goes by steps.
    pub(super) step: Option<Step>,
    name: Vec<u8>,
    /// When the name was looked at.
    named: u64,
}

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Running,
    /// It stands, and would go on so.
    Stopped(Next),
    /// It has ended as the first of its process, which others keep alive: of that
    /// nothing is told until they have ended, too.
    Ended,
}

/// How a thread goes on after a stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Next {
    /// The signal that it gets, 0 for none.
    pub(super) signal: i32,
    /// Whether it stays, as its process is stopped by a signal.
    pub(super) listens: bool,
}

impl Next {
    pub(super) const ON: Self = Self { signal: 0, listens: false };

    /// After a stop for no signal of its own: its process may be stopped by this one.
    fn of_stop(signal: i32) -> Self {
        let listens = [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU]
            .contains(&signal);
        Self { signal: 0, listens }
    }
}

impl Thread {
    pub(super) fn new(pid: u32) -> Self {
        Self {
            pid,
            at: At::Running,
            registers: Registers::default(),
            own: Vec::new(),
            left_out: false,
            leaving: false,
            vforks: false,
            enters: false,
            stops_again: false,
            step: None,
            name: Vec::new(),
            named: 0,
        }
    }
}

impl Process {
    /// Whether its threads stay where they stop.
    pub(super) fn is_held(&self) -> bool {
        self.held || self.waits
    }
}

impl Tracer {
    /// Traces nobody yet.
    pub(super) fn new(
        kernel: Rc<dyn Kernel>,
        signals: RawFd,
        method: Method,
        reports: Reports,
    ) -> Self {
        Self {
            kernel,
            signals,
            method,
            calls: false,
            partial: false,
            threads: Map::default(),
            processes: Map::default(),
            early: Map::default(),
            born: Map::default(),
            expected: BTreeSet::new(),
            watches: Vec::new(),
            captures: Vec::new(),
            acts: Rc::new([]),
            reports,
            dropped: 0,
            unarmed: 0,
            is_over: false,
        }
    }

    /// Whether nobody is traced any more.
    pub(super) fn is_done(&self) -> bool {
        self.is_over
            && self.threads.values().all(|thread| thread.at == At::Ended)
            && self.early.is_empty()
            && self.born.is_empty()
    }

    /// Takes note of who has stopped or ended; says whether there may be more.
    pub(super) fn pump(&mut self) -> bool {
        for _ in 0..AT_ONCE {
            match self.kernel.wait_any() {
                Ok(Some((tid, wait))) => self.handle(tid, wait),
                _ => return false,
            }
        }
        true
    }

    /// A thread has changed its state.
    pub(super) fn handle(&mut self, tid: u32, wait: Wait) {
        let (signal, event) = match wait {
            Wait::Running => return,
            Wait::Exited { .. } | Wait::Signaled { .. } => return self.ended(tid),
            Wait::Stopped { signal, event } => (signal, event),
        };
        if event == libc::PTRACE_EVENT_EXEC {
            self.take_over(tid);
        }
        if !self.threads.contains_key(&tid) {
            return self.came(tid, Next::of_stop(signal));
        }
        let next = match event {
            0 if signal == libc::SIGTRAP => self.trap(tid),
            0 if signal == SYSCALL => self.at_syscall(tid),
            0 => self.signal(tid, signal),
            libc::PTRACE_EVENT_STOP => match self.event_stop(tid, signal) {
                Some(next) => next,
                None => return,
            },
            libc::PTRACE_EVENT_CLONE
            | libc::PTRACE_EVENT_FORK
            | libc::PTRACE_EVENT_VFORK => {
                self.creates(tid);
                self.set_vforks(tid, event == libc::PTRACE_EVENT_VFORK);
                Next::ON
            }
            libc::PTRACE_EVENT_VFORK_DONE => {
                self.set_vforks(tid, false);
                // What changed meanwhile.
                let leaving = self.threads.get(&tid).is_some_and(|it| it.leaving);
                self.dropped += u64::from(!leaving && self.apply(tid).is_err());
                Next::ON
            }
            libc::PTRACE_EVENT_EXEC => {
                self.executed(tid);
                Next::ON
            }
            _ => Next::ON,
        };
        self.go_on(tid, next);
    }

    /// A signal is about to be delivered; it comes as it was sent.
    fn signal(&mut self, tid: u32, signal: i32) -> Next {
        if signal == libc::SIGCONT {
            self.expected.remove(&tid);
        }
        Next { signal, listens: false }
    }

    /// A thread stopped since we asked for it, or with its process, or since that was
    /// continued. None where it goes on already: a trap of ours waits, which is to be
    /// seen before anything is changed, or left behind.
    fn event_stop(&mut self, tid: u32, signal: i32) -> Option<Next> {
        let thread = self.threads.get(&tid)?;
        let held = self.processes.get(&thread.pid).is_some_and(Process::is_held);
        if (held || thread.leaving) && self.kernel.ptrace_trap_waits(tid) == Ok(true) {
            let next = Next::of_stop(signal);
            self.threads.get_mut(&tid)?.stops_again = next.listens;
            let _ = self.kernel.ptrace_go(tid, Go::On, 0);
            return None;
        }
        Some(Next::of_stop(signal))
    }

    /// SIGTRAP is about to be delivered: what it says, where it is ours.
    fn trap(&mut self, tid: u32) -> Next {
        let own = Next { signal: libc::SIGTRAP, listens: false };
        let Ok(code) = self.kernel.ptrace_signal_code(tid) else { return own };
        let steps = matches!(self.method, Method::Steps(_));
        let thread = self.threads.get_mut(&tid);
        let enters = thread.is_some_and(|thread| std::mem::take(&mut thread.enters));
        match code {
            TRAP_HWBKPT if !steps => self.hits(tid),
            TRAP_TRACE | TRAP_BRKPT if steps => self.stepped(tid),
            // It ignores the signal that it was given.
            TRAP_TRACE | TRAP_BRKPT if enters => {}
            TRAP_BRKPT if self.has_lost_status(tid) => self.hits(tid),
            HANDLER_ENTERED if steps || enters => self.in_handler(tid),
            _ => return own,
        }
        Next::ON
    }

    /// A thread begins to run a handler, in which its own signal is blocked, and others
    /// may be. Were SIGTRAP, the next of ours would set the program's disposition of it
    /// back (kernel/signal.c, `force_sig_info_to_task`).
    fn in_handler(&mut self, tid: u32) {
        // One that was killed runs no more.
        let _ = self.kernel.ptrace_unblock_trap(tid);
        self.threads.get_mut(&tid).into_iter().for_each(|thread| thread.step = None);
    }

    /// A thread enters or leaves a system call.
    fn at_syscall(&mut self, tid: u32) -> Next {
        let pid = self.threads.get(&tid).map(|thread| thread.pid);
        if let (Some(pid), Ok(registers)) = (pid, self.kernel.ptrace_registers(tid)) {
            self.called(tid, pid, registers.syscall as u32, registers.general[3]);
        }
        Next::ON
    }

    /// A system call was made that may have given the thread another name, or its process
    /// other code. `third` is its third argument.
    pub(super) fn called(&mut self, tid: u32, pid: u32, number: u32, third: u64) {
        let time = self.kernel.clock();
        let maps = [libc::SYS_mmap, libc::SYS_mprotect].contains(&number.into());
        if maps && third & libc::PROT_EXEC as u64 != 0 {
            self.map_anew(pid, time);
        }
        match number.into() {
            libc::SYS_prctl => self.name_anew(tid, time),
            // As in a handler.
            libc::SYS_rt_sigprocmask => drop(self.kernel.ptrace_unblock_trap(tid)),
            _ => {}
        }
    }

    /// How a thread goes on that has stopped.
    pub(super) fn go_on(&mut self, tid: u32, next: Next) {
        let Some(thread) = self.threads.get_mut(&tid) else { return };
        thread.at = At::Stopped(next);
        if thread.leaving {
            return self.let_go(tid, next);
        }
        if !self.processes.get(&thread.pid).is_some_and(Process::is_held) {
            self.resume(tid, next);
        }
    }

    /// Lets a stopped thread go on. One that was killed meanwhile does not, and its end
    /// is told.
    pub(super) fn resume(&mut self, tid: u32, next: Next) {
        let enters = next.signal == libc::SIGTRAP;
        let go = match (next.listens, &self.method) {
            (true, _) => Go::Listen,
            (false, Method::Registers) if enters => Go::Step,
            (false, Method::Registers) if self.calls => Go::ToSyscall,
            (false, Method::Registers) => Go::On,
            (false, Method::Steps(_)) => {
                self.prepare_step(tid);
                Go::Step
            }
        };
        if let Some(thread) = self.threads.get_mut(&tid) {
            (thread.at, thread.enters) = (At::Running, enters);
            if std::mem::take(&mut thread.stops_again) {
                // Before it does anything; that stop says whether its process is stopped.
                let _ = self.kernel.ptrace_interrupt(tid);
            }
        }
        let _ = self.kernel.ptrace_go(tid, go, next.signal);
    }

    /// Lets a stopped thread go for good, with nothing of ours left on it.
    fn let_go(&mut self, tid: u32, next: Next) {
        let Some(thread) = self.threads.get_mut(&tid) else { return };
        if !thread.registers.is_empty() {
            // One that was killed does no more.
            let _ = thread.registers.clear(&*self.kernel, tid);
            thread.registers = Registers::default();
        }
        if matches!(self.method, Method::Steps(_)) {
            let _ = self.kernel.ptrace_clear_trap_flag(tid);
        }
        match self.kernel.ptrace_let_go(tid, next.signal) {
            Ok(()) => {
                let born = self.born.values_mut().filter(|birth| birth.parent.1 == tid);
                born.for_each(|birth| birth.leaving = true);
                self.forget(tid);
            }
            // It was killed: its end is told.
            Err(_) => thread.at = At::Running,
        }
    }

    /// A thread is nobody of ours any more; gives its process.
    fn forget(&mut self, tid: u32) -> Option<u32> {
        let pid = self.threads.remove(&tid)?.pid;
        let lives = |thread: &Thread| thread.pid == pid && thread.at != At::Ended;
        if !self.threads.values().any(lives)
            && let Some(process) = self.processes.remove(&pid)
        {
            let born = self.born.values_mut().filter(|birth| birth.parent.0 == pid);
            born.for_each(|birth| birth.ended = Some(process.clone()));
        }
        Some(pid)
    }

    /// Looks which of those that seem to run have ended and are not told of.
    pub(super) fn find_ended(&mut self) {
        for (tid, thread) in &mut self.threads {
            if thread.at == At::Running
                && *tid == thread.pid
                && proc::status(&*self.kernel, *tid).is_ok_and(|status| status.ended)
            {
                thread.at = At::Ended;
            }
        }
    }

    /// A thread has ended.
    fn ended(&mut self, tid: u32) {
        self.early.remove(&tid);
        if let Some(birth) = self.born.remove(&tid) {
            // Killed before it did anything.
            self.adopt(tid, birth);
        }
        self.expected.remove(&tid);
        let time = self.kernel.clock();
        for (child, birth) in &mut self.born {
            if birth.parent.1 == tid && !std::mem::replace(&mut birth.told, true) {
                let status = proc::status(&*self.kernel, *child);
                let pid = status.map_or(birth.parent.0, |status| status.pid);
                self.reports.fork(time, birth.parent, (pid, *child));
            }
        }
        if let Some(pid) = self.forget(tid) {
            self.reports.exit(time, (pid, tid));
        }
    }

    /// A thread that is not known has stopped: it was just created.
    fn came(&mut self, tid: u32, next: Next) {
        match self.born.remove(&tid) {
            Some(birth) => {
                self.adopt(tid, birth);
                self.go_on(tid, next);
            }
            None => drop(self.early.insert(tid, next)),
        }
    }

    /// A thread has created another one, and stands behind that.
    fn creates(&mut self, tid: u32) {
        let Some(pid) = self.threads.get(&tid).map(|thread| thread.pid) else { return };
        let Ok(child) = self.kernel.ptrace_message(tid) else { return };
        let child = child as u32;
        let parent = (pid, tid);
        let birth = Birth { parent, leaving: false, told: false, ended: None };
        if let Some(next) = self.early.remove(&child) {
            self.adopt(child, birth);
            self.go_on(child, next);
        } else if !self.threads.contains_key(&child) && self.is_ours(child) {
            self.born.insert(child, birth);
        }
    }

    /// Whether a new thread is traced still. One that stopped before its creator may have
    /// been let go since, or killed: it is not waited for.
    fn is_ours(&self, tid: u32) -> bool {
        match proc::status(&*self.kernel, tid) {
            Ok(status) => status.tracer == std::process::id(),
            Err(errno) => ![Errno::ENOENT, Errno::ESRCH].contains(&errno),
        }
    }

    fn set_vforks(&mut self, tid: u32, vforks: bool) {
        self.threads.get_mut(&tid).into_iter().for_each(|thread| thread.vforks = vforks);
    }

    /// A new thread has what its creator's process has; a new process the same.
    fn adopt(&mut self, tid: u32, Birth { parent, leaving, told, ended }: Birth) {
        let time = self.kernel.clock();
        // One that is gone already has done nothing: it does not matter whose it was.
        let pid = proc::status(&*self.kernel, tid).map_or(parent.0, |status| status.pid);
        let creator = self.processes.get(&parent.0).cloned().or(ended);
        let creator = creator.unwrap_or_default();
        if pid != parent.0 && !self.processes.contains_key(&pid) {
            let watches = creator.watches.clone();
            self.processes.insert(pid, Process { waits: false, ..creator });
            // Its memory is a copy, of a moment at which other threads may have stored.
            watches.iter().flatten().for_each(|watch| self.remember(pid, watch));
        }
        let mut thread = Thread::new(pid);
        let goes = self.threads.get(&parent.1).is_some_and(|it| it.leaving);
        thread.leaving = self.is_over || leaving || goes;
        let name = self.threads.get(&parent.1).map(|it| it.name.clone());
        thread.name = name.unwrap_or_default();
        thread.at = At::Stopped(Next::ON);
        self.threads.insert(tid, thread);
        if !told {
            self.reports.fork(time, parent, (pid, tid));
        }
        if self.is_over {
            return;
        }
        match self.apply(tid) {
            Ok(()) => {}
            Err(ArmError::NoFreeRegister { .. }) => {
                self.unarmed += 1;
                self.leave_out(tid, true);
            }
            Err(_) => self.dropped += 1,
        }
    }

    /// Who executes another image goes on as the first thread of its process, which we
    /// may not have traced: one that had ended before.
    fn take_over(&mut self, tid: u32) {
        if !self.threads.contains_key(&tid)
            && let Ok(former) = self.kernel.ptrace_message(tid)
            && let Some(thread) = self.threads.remove(&(former as u32))
        {
            self.threads.insert(tid, thread);
        }
    }

    /// A process executes another image: the kernel has taken its registers away, and
    /// ended its other threads.
    fn executed(&mut self, tid: u32) {
        let time = self.kernel.clock();
        let Some(pid) = self.threads.get(&tid).map(|thread| thread.pid) else { return };
        self.threads.retain(|other, thread| thread.pid != pid || *other == tid);
        let name = self.kernel.thread_name(pid, tid).unwrap_or_default();
        if let Some(thread) = self.threads.get_mut(&tid) {
            (thread.name, thread.named) = (name.clone(), time);
            (thread.registers, thread.step) = (Registers::default(), None);
            (thread.vforks, thread.enters, thread.left_out) = (false, false, false);
            thread.own.clear();
        }
        self.reports.comm(time, (pid, tid), &name, true);
        if let Some(process) = self.processes.get_mut(&pid) {
            let waits = !self.is_over;
            *process =
                Process { root: pid, held: process.held, waits, ..Process::default() };
        }
        if let Method::Steps(stepper) = &mut self.method {
            stepper.forget(pid);
        }
        self.map_anew(pid, time);
    }

    /// Reports code of files that a process has and that was not told of.
    pub(super) fn map_anew(&mut self, pid: u32, time: u64) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        let now = proc::mappings(&*self.kernel, pid);
        for mapping in now.iter().filter(|mapping| !process.code.contains(mapping)) {
            let Mapping { address, length, offset, path } = mapping;
            self.reports.mmap(time, pid, [*address, *length, *offset], path);
        }
        process.code = now;
    }

    /// Looks whether the thread has another name, and its process other code, than it
    /// was told of: neither is told by ptrace(2). All of its code where no `ip` is given:
    /// the functions on a stack may be in any.
    pub(super) fn look_at(&mut self, tid: u32, ip: Option<u64>, time: u64) {
        let Some(thread) = self.threads.get(&tid) else { return };
        let pid = thread.pid;
        if time >= thread.named + NAME_EVERY_NS {
            self.name_anew(tid, time);
        }
        let sees_calls = self.calls || matches!(self.method, Method::Steps(_));
        let is_told = |process: &Process| match ip {
            Some(ip) => process.code.iter().any(|code| code.holds(ip)),
            None => sees_calls,
        };
        // Code of no file is told by no map.
        let is_due =
            |process: &Process| ip.is_none() || time >= process.no_file + MAPS_EVERY_NS;
        if !self.processes.get(&pid).is_some_and(|it| !is_told(it) && is_due(it)) {
            return;
        }
        self.map_anew(pid, time);
        if let Some(process) = self.processes.get_mut(&pid).filter(|it| !is_told(it)) {
            process.no_file = time;
        }
    }

    /// Reports the name of a thread, if it is another.
    pub(super) fn name_anew(&mut self, tid: u32, time: u64) {
        let Some(thread) = self.threads.get_mut(&tid) else { return };
        thread.named = time;
        if let Ok(name) = self.kernel.thread_name(thread.pid, tid)
            && name != thread.name
        {
            self.reports.comm(time, (thread.pid, tid), &name, false);
            thread.name = name;
        }
    }

    /// Whether a debug trap that names no register can be no instruction's: a
    /// hypervisor lost DR6, see the head of [`crate::engine::perf`].
    fn has_lost_status(&self, tid: u32) -> bool {
        /// `int1`, the one instruction that raises this trap.
        const INT1: u8 = 0xf1;
        let Some(thread) = self.threads.get(&tid) else { return false };
        let mut before = [0];
        let Ok(registers) = self.kernel.ptrace_registers(tid) else { return false };
        let address = registers.ip().wrapping_sub(1);
        let read = self.kernel.read_memory(thread.pid, address, &mut before);
        !thread.registers.is_empty() && read == Ok(1) && before != [INT1]
    }

    /// A process that executed another image goes on as it is.
    pub(super) fn proceed(&mut self, pid: u32) {
        if let Some(process) = self.processes.get_mut(&pid) {
            process.waits = false;
        }
        self.release();
    }

    /// Everybody who is stopped for nothing any more goes on.
    pub(super) fn release(&mut self) {
        let stopped = self.threads.iter().filter_map(|(tid, thread)| match thread.at {
            At::Stopped(next) => Some((*tid, next)),
            At::Running | At::Ended => None,
        });
        for (tid, next) in stopped.collect::<Vec<_>>() {
            self.go_on(tid, next);
        }
    }

    /// Has some threads be let go as soon as they stop, and stop soon.
    pub(super) fn dismiss(&mut self, whom: impl Fn(&Thread) -> bool) {
        let mut stopped = Vec::new();
        for (tid, thread) in self.threads.iter_mut().filter(|(_, it)| whom(it)) {
            thread.leaving = true;
            match thread.at {
                At::Stopped(next) => stopped.push((*tid, next)),
                // One that has ended is told of.
                At::Running => drop(self.kernel.ptrace_interrupt(*tid)),
                At::Ended => {}
            }
        }
        for (tid, next) in stopped {
            self.let_go(tid, next);
        }
    }

    /// Lets everybody go, as they stop: [`Tracer::is_done`] tells when all are gone.
    pub(super) fn dismiss_all(&mut self) {
        self.is_over = true;
        self.dismiss(|_| true);
        // They have no registers, since their creators' are not inherited; of one that
        // was killed the end is told.
        self.early.retain(|tid, _| self.kernel.ptrace_let_go(*tid, 0).is_err());
    }

    /// Continues those who were stopped for us, as who did so is gone.
    pub(super) fn continue_expected(&mut self) {
        for pid in std::mem::take(&mut self.expected) {
            // One that has ended needs it no more.
            let _ = self.kernel.kill(pid, false, libc::SIGCONT);
        }
    }

    /// Whether one of them is stopped still.
    pub(super) fn has_expected(&self) -> bool {
        let status = |pid: &u32| proc::status(&*self.kernel, *pid);
        self.expected.iter().any(|pid| status(pid).is_ok_and(|status| status.stopped))
    }
}
