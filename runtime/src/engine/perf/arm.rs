//! Arming: opens the events on every thread, each thread exactly once.

use std::rc::Rc;
use std::time::Duration;

use super::events::{Capture, EventSet};
use super::guard::{CpuRing, PerfEvent, RingError, Source};
use super::session::Rings;
use super::{PerfOptions, births};
use crate::attr::{EventSpec, Features, REGISTERS, Role, SAMPLE_TYPE, Sampled};
use crate::engine::bpf::Programs;
use crate::engine::{ArmError, Shortfall};
use crate::event::Watch;
use crate::kernel::{EVERY, Errno, Kernel, Result as KernelResult};
use crate::plan::Plan;
use crate::record::Layout;

/// So many tries wait for births that are under way. Where threads come faster than that
/// takes, the others do not.
const PATIENT_TRIES: u32 = 64;
/// So many tries begin again where a thread has no free register and the threads change:
/// it may be held by what the try before has closed.
const SHORT_TRIES: u32 = 4;
/// Listings of the threads within one try, at most.
const LISTINGS_MAX: usize = 8;
/// Descriptors that the rest of hwtrace may need besides the events.
const DESCRIPTORS_SPARE: u64 = 256;
/// Bytes of each CPU's ring of news. Some hundred records: they are read at
/// once, or come too late anyway.
const NEWS_BYTES: usize = 32 << 10;

/// What is known of kernel and machine, and how events are opened there.
pub(super) struct Machine {
    pub(super) kernel: Rc<dyn Kernel>,
    cpus: Vec<u32>,
    features: Features,
    options: PerfOptions,
    /// Whether programs are run at hits, in place of samples.
    programs: bool,
}

impl Machine {
    /// Finds out what the kernel takes and lets us do. `pid` is whom errors
    /// are about.
    pub(super) fn probe(
        kernel: &Rc<dyn Kernel>,
        options: &PerfOptions,
        programs: bool,
        pid: u32,
    ) -> Result<Self, ArmError> {
        let cpus = kernel.online_cpus().map_err(|e| system("online CPUs", e))?;
        let first = *cpus.first().ok_or_else(|| system("online CPUs", Errno::EINVAL))?;
        let features = probe_features(kernel, pid, first, options)?;
        let (kernel, options) = (Rc::clone(kernel), options.clone());
        Ok(Self { kernel, cpus, features, options, programs })
    }

    /// Whether an exec ends the watches of who executes.
    pub(super) fn exec_ends_watches(&self) -> bool {
        self.features.remove_on_exec
    }

    /// Opens a ring for each CPU, smaller ones where locked memory is short, for hits
    /// of which this is planned.
    pub(super) fn open_rings(
        &self,
        pid: u32,
        plans: &[Plan],
    ) -> Result<(Rings, Layout), ArmError> {
        let layout = Layout::new(SAMPLE_TYPE, REGISTERS);
        let layout = layout.ok_or_else(|| ArmError::Unsupported {
            reason: "samples of unknown layout".to_owned(),
        })?;
        let mut rings = Rings::default();
        let page = self.kernel.page_size();
        if self.options.prompt {
            // One unread byte is enough to wake.
            rings.news = self.open_rings_of(NEWS_BYTES.div_ceil(page), pid, |_| 1)?;
        }
        let mut pages = self.data_pages(plans);
        if self.programs && self.options.ring_bytes.is_none() {
            // Of hits only those on the kernel's data come by these.
            pages = pages.div_ceil(4);
        }
        // Woken at a quarter, a reader has three quarters left to come.
        let main = self.open_rings_of(pages, pid, |pages| {
            u32::try_from(pages * page / 4).unwrap_or(u32::MAX)
        })?;
        rings.main = main.into_iter().map(Source::Perf).collect();
        Ok((rings, layout))
    }

    /// What runs programs at hits, where that is done, with its rings.
    pub(super) fn open_programs(
        &self,
        rings: &mut Rings,
        plans: &[Plan],
    ) -> Result<Option<Programs>, ArmError> {
        if !self.programs {
            return Ok(None);
        }
        let bytes = self.data_pages(plans) * self.kernel.page_size();
        let insight = self.options.insight;
        let (programs, hits) =
            Programs::open(&self.kernel, &self.cpus, bytes, insight, plans)?;
        rings.main.extend(hits.into_iter().map(Source::Programs));
        Ok(Some(programs))
    }

    /// Pages of each ring.
    fn data_pages(&self, plans: &[Plan]) -> usize {
        let bytes = plans.iter().map(|plan| Sampled::of(plan).stack_bytes).max();
        let (page, cpus) = (self.kernel.page_size(), self.cpus.len());
        self.options.data_pages(page, cpus, bytes.unwrap_or(0))
    }

    fn open_rings_of(
        &self,
        mut pages: usize,
        pid: u32,
        watermark: impl Fn(usize) -> u32,
    ) -> Result<Vec<CpuRing>, ArmError> {
        loop {
            let open = |&cpu| {
                let watermark = watermark(pages);
                CpuRing::open(&self.kernel, self.features, cpu, pages, watermark)
            };
            match self.cpus.iter().map(open).collect() {
                Ok(rings) => return Ok(rings),
                Err(RingError::Open(errno)) => {
                    return Err(own_error(errno, pid, self.cpus.len() as u64));
                }
                Err(RingError::Map(Errno::EPERM | Errno::ENOMEM)) if pages > 1 => {
                    pages /= 2;
                }
                Err(RingError::Map(Errno::EPERM)) => {
                    let kib = self.kernel.page_size() as u64 * 2 / 1024;
                    let limit = "kernel.perf_event_mlock_kb";
                    return Err(ArmError::Limit { limit, needed: kib });
                }
                Err(RingError::Map(errno)) => return Err(system("mmap", errno)),
            }
        }
    }

    /// The CPUs on each of which a role needs an event. Records go into the ring of a CPU.
    /// Where there are none one event serves all: that halves, or more, what is opened,
    /// switched and moved, and what the kernel does at each birth.
    fn cpus_of(&self, role: Role) -> &[u32] {
        match role {
            Role::Programmed { .. } | Role::Anchor => &[EVERY],
            Role::Witness { .. } => &self.cpus[..1],
            _ => &self.cpus,
        }
    }

    /// Opens the events that a role needs for a thread, disabled.
    fn open_set(&self, role: Role, mut set: EventSet) -> KernelResult<EventSet> {
        let spec = EventSpec { role, features: self.features };
        let open = || {
            let on = |&cpu| PerfEvent::open(&self.kernel, spec, set.tid, cpu);
            self.cpus_of(role).iter().map(on).collect::<KernelResult<Vec<_>>>()
        };
        let events = open()?;
        let reports = matches!(role, Role::Sideband | Role::SystemSideband);
        let news = match self.options.prompt && reports {
            true => open()?,
            false => Vec::new(),
        };
        (set.events, set.news) = (events, news);
        Ok(set)
    }

    /// Opens the events of a watch, disabled. Programs are set at once: a thread that
    /// is born before has events without, but is seen by who lists the threads then, and
    /// its creator has [an anchor](Role::Anchor) till then.
    fn open_watch(
        &self,
        watch: Watch,
        capture: Capture,
        own: bool,
        set: EventSet,
    ) -> KernelResult<EventSet> {
        let set = self.open_set(capture.role(watch, own), set)?;
        if let Capture::Program(program) = capture {
            for event in &set.events {
                self.kernel.perf_set_program(event.descriptor(), program)?;
            }
        }
        Ok(set)
    }

    /// Opens one thread's own watch, disabled, with what tells its end, where so many
    /// descriptors are held already.
    pub(super) fn open_own(
        &self,
        (pid, tid): (u32, u32),
        number: u32,
        (watch, capture): (Watch, Capture),
        held: u64,
    ) -> Result<Vec<EventSet>, ArmError> {
        let needed = held + self.descriptors_of(&[capture]);
        self.raise_limit(needed)?;
        let opened = || {
            let set = EventSet::new(pid, tid, Some(number));
            let mut sets = vec![self.open_watch(watch, capture, true, set)?];
            if sets.iter().any(EventSet::is_programmed) {
                self.open_witness(Role::Witness { own: true }, (pid, tid), &mut sets, 0)?;
            }
            Ok(sets)
        };
        let failed = |errno| open_error(errno, pid, tid, number as usize, needed);
        let sets = opened().map_err(failed)?;
        self.may_look_into(pid)?;
        Ok(sets)
    }

    /// Opens for a thread what tells the end of the programmed ones among the sets from
    /// `first` on.
    fn open_witness(
        &self,
        role: Role,
        (pid, tid): (u32, u32),
        sets: &mut Vec<EventSet>,
        first: usize,
    ) -> KernelResult<()> {
        let witness = self.open_set(role, EventSet::new(pid, tid, None))?;
        sets.iter_mut().skip(first).for_each(|set| set.end_with(&witness));
        sets.push(witness);
        Ok(())
    }

    /// Descriptors of the events of watches of one thread, and of their witness.
    fn descriptors_of(&self, captures: &[Capture]) -> u64 {
        let is_programmed = |it: &&Capture| matches!(it, Capture::Program(_));
        let programmed = captures.iter().filter(is_programmed).count();
        let sampled = captures.len() - programmed;
        (programmed + usize::from(programmed > 0) + sampled * self.cpus.len()) as u64
    }

    /// Whether a debugger of ours might read the process. CAP_PERFMON opens events on any
    /// process, and programs at hits read its memory: who has it may not come by more
    /// than by ptrace. To be asked when the events are open and off: those of a program
    /// that gains rights the kernel ends (fs/exec.c, `begin_new_exec`), so that what is
    /// open is of what is looked at here.
    ///
    /// Two system calls begin with that check of the kernel and do nothing else, of which
    /// a filter may forbid the first (kernel/futex/syscalls.c, `get_robust_list`;
    /// fs/proc/base.c, `proc_mem_open`). Yama has no say in it: it is about attaching.
    fn may_look_into(&self, pid: u32) -> Result<(), ArmError> {
        match self.kernel.robust_list(pid) {
            Ok(_) => return Ok(()),
            Err(Errno::ESRCH) => return Err(ArmError::Gone { pid }),
            Err(_) => {}
        }
        match self.kernel.read_file(&format!("/proc/{pid}/auxv"), 1) {
            Ok(_) => Ok(()),
            Err(Errno::ENOENT | Errno::ESRCH) => Err(ArmError::Gone { pid }),
            Err(_) => Err(ArmError::NoAccess { pid }),
        }
    }

    /// Opens watches on the kernel's data, disabled; `sampled` tells what the samples of
    /// each hold, and `held` is as above.
    pub(super) fn open_kernel(
        &self,
        watches: &[Option<Watch>],
        sampled: impl Fn(usize) -> Sampled,
        held: u64,
    ) -> Result<Vec<EventSet>, ArmError> {
        let needed = held + (self.cpus.len() * watches.len()) as u64;
        self.raise_limit(needed)?;
        let mut sets = Vec::new();
        for (number, watch) in numbered(watches) {
            let set = EventSet::new(0, EVERY, Some(number));
            let number = number as usize;
            let sampled = sampled(number);
            let opened = self.open_set(Role::KernelBreakpoint { watch, sampled }, set);
            sets.push(opened.map_err(|errno| match errno {
                Errno::EACCES | Errno::EPERM => {
                    ArmError::KernelPermission { errno: errno as i32 }
                }
                Errno::ENOSPC | Errno::EBUSY => {
                    let (free, short) = (sets.len() as u32, Shortfall::default());
                    ArmError::NoFreeRegister { tid: 0, watch: number, free, short }
                }
                errno => open_error(errno, 0, 0, number, needed),
            })?);
        }
        Ok(sets)
    }

    /// Opens the sideband of all tasks, disabled.
    pub(super) fn open_system_sideband(&self) -> Result<EventSet, ArmError> {
        let set = EventSet::new(0, EVERY, None);
        self.open_set(Role::SystemSideband, set).map_err(|errno| match errno {
            Errno::EACCES | Errno::EPERM => {
                ArmError::SystemPermission { errno: errno as i32 }
            }
            errno => own_error(errno, 0, self.cpus.len() as u64),
        })
    }

    /// Leads the events' records into the rings.
    pub(super) fn connect(
        &self,
        sets: &[EventSet],
        rings: &Rings,
    ) -> Result<(), ArmError> {
        // Also the witnesses, which write no records: of an event without a ring poll(2)
        // says that it is over (kernel/events/core.c, `perf_poll`).
        for set in sets.iter().filter(|set| !set.is_programmed()) {
            let main = rings.main.iter().filter_map(Source::perf);
            let main = set.events.iter().zip(main);
            for (event, ring) in main.chain(set.news.iter().zip(&rings.news)) {
                let led = self.kernel.perf_set_output(event.descriptor(), ring.owner());
                led.map_err(|e| system("PERF_EVENT_IOC_SET_OUTPUT", e))?;
            }
        }
        Ok(())
    }

    /// Whether so many descriptors can be had, and some for all else.
    fn has_room(&self, needed: u64) -> Result<bool, ArmError> {
        let limit = self.kernel.descriptor_limit();
        let (_, hard) = limit.map_err(|errno| system("getrlimit", errno))?;
        Ok(needed + DESCRIPTORS_SPARE <= hard)
    }

    /// Raises the soft limit of descriptors to the hard one if need be.
    fn raise_limit(&self, needed: u64) -> Result<(), ArmError> {
        let limit = self.kernel.descriptor_limit();
        let (soft, hard) = limit.map_err(|errno| system("getrlimit", errno))?;
        if needed > hard {
            return Err(descriptors_short(needed));
        }
        if needed + DESCRIPTORS_SPARE <= soft || soft == hard {
            return Ok(());
        }
        let raised = self.kernel.set_descriptor_limit(hard);
        raised.map_err(|errno| system("setrlimit", errno))
    }
}

/// The watches that there are, with their numbers.
fn numbered(watches: &[Option<Watch>]) -> impl Iterator<Item = (u32, Watch)> {
    let all = watches.iter().enumerate();
    all.filter_map(|(number, watch)| Some((number as u32, (*watch)?)))
}

/// What arming a process has to know.
pub(super) struct Target<'a> {
    pub(super) machine: &'a Machine,
    pub(super) pid: u32,
    /// By number; none for those that mean nothing in this process.
    pub(super) watches: &'a [Option<Watch>],
    /// By number, too.
    pub(super) captures: &'a [Capture],
    /// Whether its names, births and ends are to be reported: they are not yet.
    pub(super) sideband: bool,
    /// Descriptors that are held for others, the rings included.
    pub(super) held: u64,
}

/// Events that are open on all threads, still disabled.
#[derive(Default)]
pub(super) struct Opened {
    pub(super) sets: Vec<EventSet>,
    /// What is needed until it is known that these are all.
    anchors: Vec<EventSet>,
    /// Whether it is done with anchors: not without programs, and not where descriptors do
    /// not suffice.
    is_anchored: bool,
    pub(super) threads: u32,
    /// Threads on which no watch is.
    pub(super) short: Shortfall,
    /// Of these the one that has the fewest registers: it, how many, and the watch that
    /// was refused.
    fewest: Option<(u32, u32, usize)>,
}

impl Opened {
    /// A thread has fewer free registers than are needed.
    fn lacks(&mut self, tid: u32, free: u32, watch: usize) {
        self.short.add(tid, free);
        if self.fewest.is_none_or(|fewest| free < fewest.1) {
            self.fewest = Some((tid, free, watch));
        }
    }
}

/// Finds out what the kernel takes and lets us do.
fn probe_features(
    kernel: &Rc<dyn Kernel>,
    pid: u32,
    cpu: u32,
    options: &PerfOptions,
) -> Result<Features, ArmError> {
    let opens = |features| {
        PerfEvent::open(kernel, EventSpec { role: Role::Probe, features }, 0, cpu)
            .map(drop)
    };
    let wanted = Features { kernel_hits: !options.user_only, ..Features::ALL };
    if opens(wanted).is_ok() {
        return Ok(wanted);
    }
    // One at a time, to tell them apart; what fails now with none of them is
    // perf itself.
    opens(Features::NONE).map_err(|errno| own_error(errno, pid, 1))?;
    let takes = |features| match opens(features) {
        Ok(()) => Ok(true),
        Err(Errno::EINVAL | Errno::E2BIG | Errno::EACCES | Errno::EPERM) => Ok(false),
        Err(errno) => Err(system("perf_event_open", errno)),
    };
    Ok(Features {
        remove_on_exec: takes(Features { remove_on_exec: true, ..Features::NONE })?,
        format_lost: takes(Features { format_lost: true, ..Features::NONE })?,
        kernel_hits: !options.user_only
            && takes(Features { kernel_hits: true, ..Features::NONE })?,
    })
}

impl Target<'_> {
    /// Opens all events on all threads, disabled.
    pub(super) fn open_events(&self) -> Result<Opened, ArmError> {
        for attempt in 0..self.machine.options.tries {
            let threads = self.list()?;
            let mut opened = self.opened(&threads)?;
            self.open_threads(&threads, &mut opened)?;
            let refused = self.refused(&opened);
            let settled = (refused.is_none() || attempt < SHORT_TRIES)
                && self.is_settled(&threads, attempt < PATIENT_TRIES)?;
            match refused {
                Some(refused) if settled || attempt >= SHORT_TRIES => {
                    return Err(refused);
                }
                None if settled => {
                    self.machine.may_look_into(self.pid)?;
                    opened.anchors.clear();
                    return Ok(opened);
                }
                _ => {}
            }
            drop(opened);
            // At first at once; then at ever other moments, lest we keep
            // step with whatever makes the threads.
            let pause = 10 * u64::from(attempt.saturating_sub(16).min(100));
            if pause > 0 {
                self.machine.kernel.sleep(Duration::from_micros(pause));
            }
        }
        Err(ArmError::Unstable { pid: self.pid })
    }

    /// Why what was opened will not do.
    fn refused(&self, opened: &Opened) -> Option<ArmError> {
        match opened.fewest {
            Some((tid, free, watch))
                if opened.threads == 0 || !self.machine.options.partial =>
            {
                let short = opened.short.clone();
                Some(ArmError::NoFreeRegister { tid, watch, free, short })
            }
            Some(_) => None,
            // Threads without one that could be opened are on their way out, and so is
            // the process.
            None => (opened.threads == 0).then(|| self.gone()),
        }
    }

    /// Nothing yet, with room for what is to be opened on so many threads.
    fn opened(&self, threads: &[u32]) -> Result<Opened, ArmError> {
        let needed = self.descriptors_for(threads.len());
        let anchored = needed + threads.len() as u64;
        let is_anchored = self.machine.programs && self.machine.has_room(anchored)?;
        self.machine.raise_limit(if is_anchored { anchored } else { needed })?;
        Ok(Opened { is_anchored, ..Opened::default() })
    }

    /// Opens what it can: threads that have too few registers are noted, with how many
    /// they have.
    fn open_threads(&self, threads: &[u32], opened: &mut Opened) -> Result<(), ArmError> {
        let needed = self.descriptors_for(threads.len());
        for &tid in threads {
            let before = opened.sets.len();
            match self.open_thread(tid, opened) {
                Ok(()) => opened.threads += 1,
                // It ended since it was listed.
                Err((Errno::ESRCH, _)) => opened.sets.truncate(before),
                // EBUSY: a register that another user claims for a whole CPU.
                Err((Errno::ENOSPC | Errno::EBUSY, watch)) => {
                    let free = opened.sets.len() - before;
                    opened.sets.truncate(before);
                    match self.open_sideband(tid, &mut opened.sets) {
                        Ok(()) => opened.lacks(tid, free as u32, watch),
                        Err(Errno::ESRCH) => {}
                        Err(errno) => {
                            return Err(open_error(errno, self.pid, tid, 0, needed));
                        }
                    }
                }
                Err((errno, watch)) => {
                    return Err(open_error(errno, self.pid, tid, watch, needed));
                }
            }
        }
        if opened.short.threads > 0 {
            opened.short.needed = numbered(self.watches).count() as u32;
            opened.short.of = opened.threads + opened.short.threads;
        }
        Ok(())
    }

    /// Opens the sideband of a thread that is left out, if any: that it executes another
    /// image, or ends, is to be known.
    fn open_sideband(&self, tid: u32, sets: &mut Vec<EventSet>) -> KernelResult<()> {
        if self.sideband {
            let set = EventSet::new(self.pid, tid, None);
            sets.push(self.machine.open_set(Role::Sideband, set)?);
        }
        Ok(())
    }

    /// Opens the events of one thread; on an error names the watch too.
    fn open_thread(&self, tid: u32, opened: &mut Opened) -> Result<(), (Errno, usize)> {
        let Opened { sets, anchors, is_anchored, .. } = opened;
        let first = sets.len();
        if *is_anchored {
            let anchor = EventSet::new(self.pid, tid, None);
            let anchor = self.machine.open_set(Role::Anchor, anchor);
            anchors.push(anchor.map_err(|errno| (errno, 0))?);
        }
        for (number, watch) in numbered(self.watches) {
            let set = EventSet::new(self.pid, tid, Some(number));
            let capture = self.capture(number);
            let opened = self.machine.open_watch(watch, capture, false, set);
            sets.push(opened.map_err(|errno| (errno, number as usize))?);
        }
        // Who has the watches has the sideband: an exec leaves it, and ends no more.
        let witness = match self.sideband {
            true => Role::Sideband,
            false if sets[first..].iter().any(EventSet::is_programmed) => {
                Role::Witness { own: false }
            }
            false => return Ok(()),
        };
        let opened = self.machine.open_witness(witness, (self.pid, tid), sets, first);
        opened.map_err(|errno| (errno, 0))
    }

    /// How hits of a watch are captured.
    fn capture(&self, number: u32) -> Capture {
        let capture = self.captures.get(number as usize).copied();
        capture.unwrap_or(Capture::Sample(Sampled::ALL))
    }

    /// Whether it [is unchanged](Self::is_unchanged), with `patient` once the births that
    /// are under way have ended.
    fn is_settled(&self, opened: &[u32], patient: bool) -> Result<bool, ArmError> {
        if patient {
            // In vain where it is known already.
            if self.list()?.iter().any(|tid| opened.binary_search(tid).is_err()) {
                return Ok(false);
            }
            births::settle(&*self.machine.kernel, self.pid, opened);
        }
        self.is_unchanged(opened)
    }

    /// Whether no thread is there that was not listed before its siblings
    /// were opened. See the head of [`super`] for why this suffices.
    fn is_unchanged(&self, opened: &[u32]) -> Result<bool, ArmError> {
        let mut last = opened.to_vec();
        for _ in 0..LISTINGS_MAX {
            let now = self.list()?;
            if now.iter().any(|tid| opened.binary_search(tid).is_err()) {
                return Ok(false);
            }
            let count = self.machine.kernel.thread_count(self.pid);
            let count = count.map_err(|errno| self.list_error(errno))?;
            if now == last && count as usize == now.len() {
                return Ok(true);
            }
            last = now;
        }
        Ok(false)
    }

    /// The threads, ascending.
    fn list(&self) -> Result<Vec<u32>, ArmError> {
        let threads = self.machine.kernel.threads(self.pid);
        let mut threads = threads.map_err(|errno| self.list_error(errno))?;
        threads.sort_unstable();
        Ok(threads)
    }

    fn list_error(&self, errno: Errno) -> ArmError {
        match errno {
            Errno::ENOENT | Errno::ESRCH => self.gone(),
            errno => system("reading /proc/PID/task", errno),
        }
    }

    fn gone(&self) -> ArmError {
        ArmError::Gone { pid: self.pid }
    }

    /// Descriptors of the events of so many threads, and of what there is.
    fn descriptors_for(&self, threads: usize) -> u64 {
        let captures: Vec<_> =
            numbered(self.watches).map(|it| self.capture(it.0)).collect();
        let sidebands = 1 + u64::from(self.machine.options.prompt);
        let sidebands = if self.sideband { sidebands } else { 0 };
        let each = self.machine.descriptors_of(&captures)
            + sidebands * self.machine.cpus.len() as u64;
        self.held + threads as u64 * each
    }
}

/// What an error of perf_event_open(2) means for a breakpoint on a thread.
fn open_error(errno: Errno, pid: u32, tid: u32, watch: usize, needed: u64) -> ArmError {
    match errno {
        Errno::ENOSPC | Errno::EBUSY => {
            let mut short = Shortfall { needed: 1, of: 1, ..Shortfall::default() };
            short.add(tid, 0);
            ArmError::NoFreeRegister { tid, watch, free: 0, short }
        }
        Errno::EACCES | Errno::EPERM => ArmError::Permission { pid, errno: errno as i32 },
        Errno::EINVAL => ArmError::BadWatch { watch },
        Errno::ENOENT | Errno::EOPNOTSUPP | Errno::ENODEV | Errno::ENOSYS => {
            ArmError::Unsupported { reason: errno.desc().to_owned() }
        }
        Errno::ESRCH => ArmError::Gone { pid },
        Errno::EMFILE => descriptors_short(needed),
        Errno::ENFILE => ArmError::Limit { limit: "fs.file-max", needed },
        errno => system("perf_event_open", errno),
    }
}

/// So many are needed for events, and some for all else.
fn descriptors_short(needed: u64) -> ArmError {
    ArmError::Limit { limit: "RLIMIT_NOFILE", needed: needed + DESCRIPTORS_SPARE }
}

/// What an error means for a software event on ourselves, which has neither
/// a register nor an address to be at fault.
fn own_error(errno: Errno, pid: u32, needed: u64) -> ArmError {
    match errno {
        // Attributes that came with Linux 4.1, the clock the last of them.
        Errno::EINVAL | Errno::E2BIG => {
            ArmError::Unsupported { reason: "a kernel older than Linux 4.1".to_owned() }
        }
        Errno::ESRCH | Errno::ENOSPC | Errno::EBUSY => system("perf_event_open", errno),
        errno => open_error(errno, pid, 0, 0, needed),
    }
}

/// A failure that says nothing about the target.
pub(super) fn system(call: &'static str, errno: Errno) -> ArmError {
    ArmError::System { call, error: errno.into() }
}
