//! A scripted kernel in plain memory: a test tool.
//!
//! It keeps to what the engine relies on: descriptors and mappings that must
//! be given back, rings with room or without, events that count, inherit and
//! are redirected, threads that come and go between listings. Any call can be
//! made to fail, and [`Fake::holdings`] tells what has not been given back.

mod bpf;
mod call;
mod ptrace;
mod rights;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::{CStr, CString};
use std::os::fd::RawFd;
use std::time::Duration;

pub use call::Call;

use super::rights::Capabilities;
use super::{Counter, EVERY, Errno, Forked, Kernel, Result, Taken, Wait};
use crate::attr::{EventSpec, Role};
use crate::bpf::shared::RecordsWriter;
use crate::bpf::{Program, Task};
use crate::event::{Registers, UserStack};
use crate::record::{Sample, write};
use crate::ring::{PlainWriter, RingMemory};

/// What has been taken from the kernel and not given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Holdings {
    /// Open descriptors.
    pub descriptors: usize,
    /// Mapped rings, and what BPF programs share.
    pub mappings: usize,
    /// Children that are neither reaped nor let go.
    pub children: usize,
}

/// What all of the stack holds where it is sampled.
pub const STACK_BYTE: u8 = 0x5a;

/// An access to watched memory, as a test wants it to happen.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// First byte accessed: fires the watches that begin there.
    pub address: u64,
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// CPU.
    pub cpu: u32,
    /// When, nanoseconds.
    pub time: u64,
    /// Instruction pointer to report.
    pub ip: u64,
}

/// An open descriptor.
#[derive(Debug)]
enum Open {
    Event(Event),
    /// Readable where signals have come.
    Signals,
    Process(u32),
    Program(Program),
    /// A map of BPF.
    Map,
    /// What is left to be read of an iterator's file.
    Iterator(VecDeque<Task>),
    Other,
}

#[derive(Debug)]
struct Event {
    spec: EventSpec,
    tid: u32,
    cpu: u32,
    id: u64,
    enabled: bool,
    counter: Counter,
    /// The ring of its own.
    ring: Option<PlainWriter>,
    /// Whose ring it writes to.
    output: Option<RawFd>,
}

/// The kernel. Built by [`Fake::new`] with one process of one thread.
#[derive(Debug)]
pub struct Fake {
    open: RefCell<BTreeMap<RawFd, Open>>,
    next: Cell<RawFd>,
    mappings: Cell<usize>,
    children: Cell<usize>,
    /// Counts of calls, and those that are to fail.
    calls: RefCell<BTreeMap<Call, usize>>,
    failures: RefCell<Vec<(Call, usize, Errno)>>,
    clock: Cell<u64>,
    cpus: Cell<u32>,
    /// The next listings; the last stays.
    listings: RefCell<VecDeque<Vec<u32>>>,
    limit: Cell<(u64, u64)>,
    /// Debug registers of each thread and CPU.
    registers: Cell<usize>,
    /// Those of threads that have another number.
    scarce: RefCell<BTreeMap<u32, usize>>,
    /// Pages that may be mapped in all.
    lockable: Cell<usize>,
    waits: RefCell<VecDeque<Wait>>,
    exec_failure: Cell<Option<Errno>>,
    /// Threads whose events are over.
    ended: RefCell<BTreeSet<u32>>,
    signal_code: Cell<i32>,
    slept: Cell<u32>,
    signals: RefCell<VecDeque<i32>>,
    killed: RefCell<Vec<Killed>>,
    files: RefCell<BTreeMap<String, String>>,
    /// The process group in the terminal's foreground.
    foreground: Cell<u32>,
    /// Whether whoever started us can stop and continue us.
    stoppable: Cell<bool>,
    /// The group in the foreground once we are continued.
    continued_with: Cell<u32>,
    /// What there is of the kernel's memory.
    kernel_memory: RefCell<BTreeMap<u64, u8>>,
    tasks: RefCell<Vec<Task>>,
    own_frame: Cell<Option<u64>>,
    /// The kernel's side of the rings that programs write, by CPU: in the order in
    /// which they are mapped.
    records: RefCell<Vec<RecordsWriter>>,
    user: Cell<u32>,
    capabilities: Cell<Capabilities>,
    tracing: RefCell<ptrace::Tracing>,
}

/// A signal that was sent: the process, whether to its group, and which.
pub type Killed = (u32, bool, i32);

/// Page size of the fake.
const PAGE: usize = 4096;
/// Its own process group.
const OWN_GROUP: u32 = 1;

impl Fake {
    /// A machine with this many CPUs and a process with these threads.
    pub fn new(cpus: u32, threads: &[u32]) -> Self {
        Self {
            open: RefCell::default(),
            next: Cell::new(3),
            mappings: Cell::default(),
            children: Cell::default(),
            calls: RefCell::default(),
            failures: RefCell::default(),
            clock: Cell::new(1_000_000_000),
            cpus: Cell::new(cpus),
            listings: RefCell::new([threads.to_vec()].into()),
            limit: Cell::new((1024, 4096)),
            registers: Cell::new(4),
            scarce: RefCell::default(),
            lockable: Cell::new(usize::MAX),
            waits: RefCell::default(),
            exec_failure: Cell::default(),
            ended: RefCell::default(),
            signal_code: Cell::default(),
            slept: Cell::default(),
            signals: RefCell::default(),
            killed: RefCell::default(),
            files: RefCell::default(),
            foreground: Cell::new(OWN_GROUP),
            stoppable: Cell::new(true),
            continued_with: Cell::new(OWN_GROUP),
            kernel_memory: RefCell::default(),
            tasks: RefCell::default(),
            own_frame: Cell::default(),
            records: RefCell::default(),
            user: Cell::default(),
            capabilities: Cell::default(),
            tracing: RefCell::default(),
        }
    }

    /// Lets the `nth` (from 0) call of this kind from now on fail.
    pub fn fail(&self, call: Call, nth: usize, errno: Errno) {
        let nth = self.calls(call) + nth;
        self.failures.borrow_mut().push((call, nth, errno));
    }

    /// How often this kind of call was made.
    pub fn calls(&self, call: Call) -> usize {
        self.calls.borrow().get(&call).copied().unwrap_or(0)
    }

    /// What has not been given back.
    pub fn holdings(&self) -> Holdings {
        Holdings {
            descriptors: self.open.borrow().len(),
            mappings: self.mappings.get(),
            children: self.children.get(),
        }
    }

    /// The threads that the next listings find, one by one; the last list is
    /// found ever after.
    pub fn set_listings(&self, listings: &[&[u32]]) {
        *self.listings.borrow_mut() = listings.iter().map(|list| list.to_vec()).collect();
    }

    /// Sets the clock, nanoseconds.
    pub fn set_clock(&self, now: u64) {
        self.clock.set(now);
    }

    /// Sets soft and hard limit of descriptors; the soft one is enforced.
    pub fn set_limit(&self, soft: u64, hard: u64) {
        self.limit.set((soft, hard));
    }

    /// Sets how many debug registers each thread has on each CPU.
    pub fn set_registers(&self, count: usize) {
        self.registers.set(count);
    }

    /// Sets how many of them others leave to one thread.
    pub fn set_registers_of(&self, tid: u32, count: usize) {
        self.scarce.borrow_mut().insert(tid, count);
    }

    /// Sets how many pages of rings may be mapped in all.
    pub fn set_lockable_pages(&self, pages: usize) {
        self.lockable.set(pages);
    }

    /// Sets what the next waits for a child give; then it runs on.
    pub fn set_waits(&self, waits: &[Wait]) {
        *self.waits.borrow_mut() = waits.iter().copied().collect();
    }

    /// Lets execve(2) of children fail.
    pub fn set_exec_failure(&self, errno: Errno) {
        self.exec_failure.set(Some(errno));
    }

    /// Ends a thread: its events are over.
    pub fn end_thread(&self, tid: u32) {
        self.ended.borrow_mut().insert(tid);
    }

    /// Sets why a stopped child is about to get its signal.
    pub fn set_signal_code(&self, code: i32) {
        self.signal_code.set(code);
    }

    /// Addresses of the breakpoints that are enabled on a thread, ascending, one
    /// for each CPU.
    pub fn watched(&self, tid: u32) -> Vec<u64> {
        let mut open = self.open.borrow_mut();
        let events = open.values_mut().filter_map(Open::event);
        let enabled = events.filter(|event| event.enabled && event.tid == tid);
        let mut watched: Vec<_> =
            enabled.filter_map(|event| Some(event.spec.role.watch()?.address)).collect();
        watched.sort_unstable();
        watched
    }

    /// How many breakpoints are open on a thread, on or off.
    pub fn watches(&self, tid: u32) -> usize {
        let mut open = self.open.borrow_mut();
        let events = open.values_mut().filter_map(Open::event);
        let of_it =
            |event: &&mut Event| event.tid == tid && event.spec.role.watch().is_some();
        events.filter(of_it).count()
    }

    /// Lets signals come, in this order.
    pub fn set_signals(&self, signals: &[i32]) {
        *self.signals.borrow_mut() = signals.iter().copied().collect();
    }

    /// Signals that were sent.
    pub fn killed(&self) -> Vec<Killed> {
        self.killed.borrow().clone()
    }

    /// Sets what a file holds; there are no others.
    pub fn set_file(&self, path: &str, text: &str) {
        self.files.borrow_mut().insert(path.to_owned(), text.to_owned());
    }

    /// Sets the process group in the terminal's foreground.
    pub fn set_foreground(&self, group: u32) {
        self.foreground.set(group);
    }

    /// The process group in the terminal's foreground.
    pub fn foreground(&self) -> u32 {
        self.foreground.get()
    }

    /// Sets which group is in the foreground once we were stopped and are
    /// continued; none where nothing stops us.
    pub fn set_continued_with(&self, group: Option<u32>) {
        self.stoppable.set(group.is_some());
        self.continued_with.set(group.unwrap_or(OWN_GROUP));
    }

    /// Puts bytes into the kernel's memory.
    pub fn set_kernel_memory(&self, address: u64, bytes: &[u8]) {
        self.kernel_memory.borrow_mut().extend((address..).zip(bytes.iter().copied()));
    }

    /// Sets the tasks that a BPF program finds.
    pub fn set_tasks(&self, tasks: &[Task]) {
        *self.tasks.borrow_mut() = tasks.to_vec();
    }

    /// How often somebody slept.
    pub fn slept(&self) -> u32 {
        self.slept.get()
    }

    /// Lets an access happen: each enabled breakpoint at the address, on the
    /// thread and CPU, counts it and reports it where there is room. Programs are
    /// not run: see [`Fake::push_record`].
    pub fn access(&self, access: Access) {
        let mut open = self.open.borrow_mut();
        let mut outputs = Vec::new();
        for event in open.values_mut().filter_map(Open::event) {
            let hit =
                event.spec.role.watch().is_some_and(|it| it.address == access.address);
            let here = [access.tid, EVERY].contains(&event.tid)
                && [access.cpu, EVERY].contains(&event.cpu);
            if hit && here && event.enabled {
                event.counter.value += 1;
                if matches!(event.spec.role, Role::Programmed { .. }) {
                    continue;
                }
                outputs.push((event.id, event.output, event.spec.role));
            }
        }
        for (id, output, role) in outputs {
            let record = sample(id, access, role);
            let owner = output.and_then(|owner| open.get_mut(&owner)?.event());
            let ring = owner.and_then(|owner| owner.ring.clone());
            if ring.is_some_and(|ring| ring.push(&record)) {
                continue;
            }
            let events = open.values_mut().filter_map(Open::event);
            for event in events.filter(|event| event.id == id) {
                event.counter.lost = event.counter.lost.map(|lost| lost + 1);
            }
        }
    }

    /// Puts a raw record into the ring of a CPU; false without room or ring.
    pub fn push(&self, cpu: u32, record: &[u64]) -> bool {
        let mut open = self.open.borrow_mut();
        let mut events = open.values_mut().filter_map(Open::event);
        let ring = events
            .find_map(|event| event.ring.as_ref().filter(|_| event.cpu == cpu).cloned());
        ring.is_some_and(|ring| ring.push(record))
    }

    /// Notes the call; gives the error it is to have, if any.
    fn call(&self, call: Call) -> Result<()> {
        let mut calls = self.calls.borrow_mut();
        let count = calls.entry(call).or_default();
        let nth = *count;
        *count += 1;
        let failures = self.failures.borrow();
        let failure =
            failures.iter().find(|failure| (failure.0, failure.1) == (call, nth));
        failure.map_or(Ok(()), |failure| Err(failure.2))
    }

    fn give(&self, open: Open) -> Result<RawFd> {
        let mut table = self.open.borrow_mut();
        if table.len() as u64 + 3 >= self.limit.get().0 {
            return Err(Errno::EMFILE);
        }
        let descriptor = self.next.get();
        self.next.set(descriptor + 1);
        table.insert(descriptor, open);
        Ok(descriptor)
    }

    fn with_event<T>(
        &self,
        descriptor: RawFd,
        act: impl FnOnce(&mut Event) -> T,
    ) -> Result<T> {
        let mut table = self.open.borrow_mut();
        let event = table.get_mut(&descriptor).and_then(Open::event);
        event.map(act).ok_or(Errno::EBADF)
    }

    /// Whether a register is left on the thread and CPU.
    fn has_register(&self, tid: u32, cpu: u32) -> bool {
        let mut table = self.open.borrow_mut();
        let events = table.values_mut().filter_map(Open::event);
        let taken = events.filter(|event| {
            let here = [event.cpu, EVERY].contains(&cpu) || event.cpu == EVERY;
            event.spec.role.watch().is_some() && event.tid == tid && here
        });
        let all = self.registers.get();
        taken.count() < self.scarce.borrow().get(&tid).copied().unwrap_or(all)
    }
}

impl Open {
    fn event(&mut self) -> Option<&mut Event> {
        match self {
            Self::Event(event) => Some(event),
            _ => None,
        }
    }
}

/// A sample of an access. Each register holds its place in the sample, and all of the
/// stack holds [`STACK_BYTE`].
fn sample(id: u64, access: Access, role: Role) -> Vec<u64> {
    let kernel = matches!(role, Role::KernelBreakpoint { .. });
    let (sample_type, mask) = role.fields();
    let values: Vec<u64> = (0..u64::from(mask.count_ones())).collect();
    let registers = Registers { mask, values: &values };
    let (callers, bytes) =
        role.sampled().map_or((false, 0), |it| (it.callers, it.stack_bytes));
    let bytes = vec![STACK_BYTE; bytes as usize];
    let callers: &[u64] = if callers { &[access.ip, 9] } else { &[] };
    let sample = Sample {
        id,
        ip: access.ip,
        pid: access.pid,
        tid: access.tid,
        time: access.time,
        address: role.watch().map_or(0, |watch| watch.address),
        cpu: access.cpu,
        kernel,
        registers,
        interrupted: if kernel { registers } else { Registers::default() },
        kernel_stack: if kernel { &[7, 8] } else { &[] },
        user_stack: UserStack { callers, bytes: &bytes },
    };
    write::sample(sample_type, &sample)
}

impl Kernel for Fake {
    fn perf_event_open(&self, spec: &EventSpec, tid: u32, cpu: u32) -> Result<RawFd> {
        self.call(Call::PerfEventOpen)?;
        if spec.role.watch().is_some() && !self.has_register(tid, cpu) {
            return Err(Errno::ENOSPC);
        }
        let lost = spec.features.format_lost.then_some(0);
        self.give(Open::Event(Event {
            spec: *spec,
            tid,
            cpu,
            // As the kernel does, from one counter for all.
            id: 1000 + self.next.get() as u64,
            enabled: false,
            counter: Counter { value: 0, lost },
            ring: None,
            output: None,
        }))
    }

    fn perf_enable(&self, event: RawFd) -> Result<()> {
        self.call(Call::PerfEnable)?;
        self.with_event(event, |event| event.enabled = true)
    }

    fn perf_disable(&self, event: RawFd) -> Result<()> {
        self.call(Call::PerfDisable)?;
        self.with_event(event, |event| event.enabled = false)
    }

    fn perf_change(&self, event: RawFd, spec: &EventSpec, on: bool) -> Result<()> {
        self.call(Call::PerfChange)?;
        self.with_event(event, |event| (event.spec, event.enabled) = (*spec, on))
    }

    fn perf_over(&self, events: &[RawFd], over: &mut [bool]) -> Result<()> {
        self.call(Call::PerfOver)?;
        for (over, descriptor) in over.iter_mut().zip(events) {
            let (tid, output) =
                self.with_event(*descriptor, |event| (event.tid, event.output))?;
            *over = output.is_none() || self.ended.borrow().contains(&tid);
        }
        Ok(())
    }

    fn perf_id(&self, event: RawFd) -> Result<u64> {
        self.call(Call::PerfId)?;
        self.with_event(event, |event| event.id)
    }

    fn perf_set_output(&self, event: RawFd, owner: RawFd) -> Result<()> {
        self.call(Call::PerfSetOutput)?;
        let ring_cpu =
            self.with_event(owner, |event| event.ring.is_some().then_some(event.cpu))?;
        self.with_event(event, |event| {
            if ring_cpu != Some(event.cpu) {
                return Err(Errno::EINVAL);
            }
            event.output = Some(owner);
            Ok(())
        })?
    }

    fn perf_read(&self, event: RawFd, _spec: &EventSpec) -> Result<Counter> {
        self.call(Call::PerfRead)?;
        self.with_event(event, |event| event.counter)
    }

    fn map_ring(&self, owner: RawFd, data_pages: usize) -> Result<RingMemory> {
        self.call(Call::MapRing)?;
        let left = self.lockable.get();
        let left = left.checked_sub(data_pages + 1).ok_or(Errno::EPERM)?;
        let (memory, writer) = RingMemory::plain(PAGE, data_pages * PAGE);
        self.with_event(owner, |event| event.ring = Some(writer))?;
        self.lockable.set(left);
        self.mappings.set(self.mappings.get() + 1);
        Ok(memory)
    }

    fn unmap_ring(&self, memory: RingMemory) {
        let pages = memory.mapped_bytes() / PAGE;
        self.lockable.set(self.lockable.get().saturating_add(pages));
        self.mappings.set(self.mappings.get() - 1);
    }

    fn close(&self, descriptor: RawFd) {
        let closed = self.open.borrow_mut().remove(&descriptor);
        assert!(closed.is_some(), "descriptor {descriptor} closed twice");
    }

    fn clock(&self) -> u64 {
        self.clock.get()
    }

    fn sleep(&self, _duration: Duration) {
        self.slept.set(self.slept.get() + 1);
    }

    /// Finds signals ready and nothing else, at once.
    fn poll(
        &self,
        descriptors: &[RawFd],
        ready: &mut [bool],
        _: Option<Duration>,
    ) -> Result<()> {
        let open = self.open.borrow();
        let signals = !self.signals.borrow().is_empty();
        for (ready, descriptor) in ready.iter_mut().zip(descriptors) {
            *ready = signals && matches!(open.get(descriptor), Some(Open::Signals));
        }
        Ok(())
    }

    fn take_signals(&self, signals: &[i32]) -> Result<(RawFd, Taken)> {
        let taken = Taken { blocked: signals.to_vec(), child_was_ignored: false };
        Ok((self.give(Open::Signals)?, taken))
    }

    fn read_signal(&self, _: RawFd) -> Result<Option<i32>> {
        Ok(self.signals.borrow_mut().pop_front())
    }

    fn release_signals(&self, _: &Taken) -> Result<()> {
        Ok(())
    }

    fn watch_signals(&self, _: &[i32]) -> Result<RawFd> {
        self.give(Open::Signals)
    }

    fn page_size(&self) -> usize {
        PAGE
    }

    fn online_cpus(&self) -> Result<Vec<u32>> {
        self.call(Call::OnlineCpus)?;
        Ok((0..self.cpus.get()).collect())
    }

    fn threads(&self, _pid: u32) -> Result<Vec<u32>> {
        self.call(Call::Threads)?;
        let mut listings = self.listings.borrow_mut();
        let next = match listings.len() {
            0 | 1 => listings.front().cloned(),
            _ => listings.pop_front(),
        };
        next.filter(|threads| !threads.is_empty()).ok_or(Errno::ENOENT)
    }

    fn thread_count(&self, _pid: u32) -> Result<u32> {
        self.call(Call::ThreadCount)?;
        let listings = self.listings.borrow();
        Ok(listings.front().map_or(0, |threads| threads.len() as u32))
    }

    fn thread_name(&self, _pid: u32, tid: u32) -> Result<Vec<u8>> {
        self.call(Call::ThreadName)?;
        Ok(format!("thread-{tid}").into_bytes())
    }

    fn read_file(&self, path: &str, limit: usize) -> Result<Vec<u8>> {
        self.call(Call::ReadFile)?;
        let files = self.files.borrow();
        let text = files.get(path).ok_or(Errno::ENOENT)?;
        Ok(text.bytes().take(limit).collect())
    }

    fn read_memory(&self, _pid: u32, _address: u64, buffer: &mut [u8]) -> Result<usize> {
        self.call(Call::ReadMemory)?;
        buffer.fill(0);
        Ok(buffer.len())
    }

    fn set_nice(&self, _nice: i32) -> Result<i32> {
        Ok(0)
    }

    fn descriptor_limit(&self) -> Result<(u64, u64)> {
        self.call(Call::DescriptorLimit)?;
        Ok(self.limit.get())
    }

    fn set_descriptor_limit(&self, soft: u64) -> Result<()> {
        self.call(Call::SetDescriptorLimit)?;
        let (_, hard) = self.limit.get();
        if soft > hard {
            return Err(Errno::EINVAL);
        }
        self.limit.set((soft, hard));
        Ok(())
    }

    fn pidfd_open(&self, pid: u32) -> Result<RawFd> {
        self.call(Call::PidfdOpen)?;
        self.give(Open::Process(pid))
    }

    fn pidfd_send_signal(&self, process: RawFd, signal: i32) -> Result<()> {
        self.call(Call::PidfdSendSignal)?;
        match self.open.borrow().get(&process) {
            Some(Open::Process(pid)) => {
                self.killed.borrow_mut().push((*pid, false, signal));
                Ok(())
            }
            _ => Err(Errno::EBADF),
        }
    }

    fn fork_exec(&self, _: &CStr, _: &[CString], _: &Taken) -> Result<Forked> {
        self.call(Call::ForkExec)?;
        let go = self.give(Open::Other)?;
        let failure = self.give(Open::Other)?;
        self.children.set(self.children.get() + 1);
        Ok(Forked { pid: 100, go, failure })
    }

    fn write(&self, _descriptor: RawFd, bytes: &[u8]) -> Result<usize> {
        self.call(Call::Write)?;
        Ok(bytes.len())
    }

    /// Has no room where a signal has come.
    fn write_unless(&self, _: RawFd, bytes: &[u8], _: RawFd) -> Result<usize> {
        self.call(Call::Write)?;
        Ok(if self.signals.borrow().is_empty() { bytes.len() } else { 0 })
    }

    fn read(&self, descriptor: RawFd, buffer: &mut [u8]) -> Result<usize> {
        self.call(Call::Read)?;
        if let Some(Open::Iterator(tasks)) = self.open.borrow_mut().get_mut(&descriptor) {
            // One task a time, as a kernel may.
            return Ok(tasks.pop_front().map_or(0, |task| write_task(task, buffer)));
        }
        let Some(errno) = self.exec_failure.get() else {
            return Ok(0);
        };
        let bytes = (errno as i32).to_ne_bytes();
        let count = buffer.len().min(bytes.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn ptrace_seize(&self, pid: u32) -> Result<()> {
        self.call(Call::PtraceSeize)?;
        self.hold(pid);
        Ok(())
    }

    fn ptrace_continue(&self, _pid: u32, _signal: i32) -> Result<()> {
        self.call(Call::PtraceContinue)
    }

    fn ptrace_detach(&self, _pid: u32) -> Result<()> {
        self.call(Call::PtraceDetach)?;
        self.children.set(self.children.get().saturating_sub(1));
        Ok(())
    }

    fn ptrace_signal_code(&self, _pid: u32) -> Result<i32> {
        self.call(Call::PtraceSignalCode)?;
        Ok(self.signal_code.get())
    }

    fn robust_list(&self, tid: u32) -> Result<u64> {
        self.call(Call::RobustList)?;
        Ok(u64::from(tid) << 12)
    }

    fn wait_continued(&self, _pid: u32) -> Result<()> {
        Ok(())
    }

    fn wait(&self, pid: u32, _block: bool) -> Result<Wait> {
        self.call(Call::Wait)?;
        let wait = self.waits.borrow_mut().pop_front().unwrap_or(Wait::Running);
        if matches!(wait, Wait::Stopped { .. }) {
            self.hold(pid);
        }
        if matches!(wait, Wait::Exited { .. } | Wait::Signaled { .. }) {
            self.children.set(self.children.get().saturating_sub(1));
        }
        Ok(wait)
    }

    fn kill(&self, pid: u32, group: bool, signal: i32) -> Result<()> {
        self.call(Call::Kill)?;
        self.killed.borrow_mut().push((pid, group, signal));
        if signal == libc::SIGKILL {
            let killed = Wait::Signaled { signal, core: false };
            *self.waits.borrow_mut() = [killed].into();
        }
        Ok(())
    }

    fn terminal_foreground(&self) -> Result<u32> {
        self.call(Call::Terminal)?;
        Ok(self.foreground.get())
    }

    fn set_terminal_foreground(&self, group: u32) -> Result<()> {
        self.call(Call::Terminal)?;
        self.foreground.set(group);
        Ok(())
    }

    fn own_group(&self) -> u32 {
        OWN_GROUP
    }

    fn stop_own_group(&self, signal: i32) -> Result<bool> {
        self.call(Call::StopOwnGroup)?;
        self.killed.borrow_mut().push((OWN_GROUP, true, signal));
        if self.stoppable.get() {
            self.foreground.set(self.continued_with.get());
        }
        Ok(self.stoppable.get())
    }
}

/// The record of a task, as a program writes it.
fn write_task(task: Task, buffer: &mut [u8]) -> usize {
    let mut record = task.address.to_ne_bytes().to_vec();
    record.extend(task.tid.to_ne_bytes());
    record.extend(task.tgid.to_ne_bytes());
    buffer[..record.len()].copy_from_slice(&record);
    record.len()
}
