//! Arming: opens the events on every thread, each thread exactly once.

use std::rc::Rc;
use std::time::Duration;

use super::PerfOptions;
use super::guard::{CpuRing, PerfEvent, RingError};
use crate::attr::{EventSpec, Features, REGISTERS, Role, SAMPLE_TYPE};
use crate::engine::ArmError;
use crate::event::Watch;
use crate::kernel::{Errno, Kernel};
use crate::record::Layout;

/// Listings of the threads within one try, at most.
const LISTINGS_MAX: usize = 8;
/// Descriptors that the rest of hwtrace may need besides the events.
const DESCRIPTORS_SPARE: u64 = 256;

/// An event on a thread and CPU.
pub(super) struct ThreadEvent {
    pub(super) event: PerfEvent,
    /// Index of its CPU.
    pub(super) cpu: usize,
    /// Index of its watch; None for the sideband.
    pub(super) watch: Option<u32>,
}

/// What arming has to know.
pub(super) struct Target<'a> {
    pub(super) kernel: &'a Rc<dyn Kernel>,
    pub(super) pid: u32,
    pub(super) watches: &'a [Watch],
    pub(super) cpus: &'a [u32],
    pub(super) features: Features,
    pub(super) options: &'a PerfOptions,
}

/// Events that are open on all threads, still disabled.
pub(super) struct Opened {
    pub(super) events: Vec<ThreadEvent>,
    pub(super) threads: u32,
}

/// Finds out what the kernel takes and lets us do.
pub(super) fn probe_features(
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

/// Opens a ring for each CPU, smaller ones where locked memory is short.
pub(super) fn open_rings(target: &Target<'_>) -> Result<Vec<CpuRing>, ArmError> {
    let layout = Layout::new(SAMPLE_TYPE, REGISTERS).ok_or_else(|| {
        ArmError::Unsupported { reason: "samples of unknown layout".to_owned() }
    })?;
    let mut pages =
        target.options.data_pages(target.kernel.page_size(), target.cpus.len());
    loop {
        let open =
            |&cpu| CpuRing::open(target.kernel, target.features, layout, cpu, pages);
        match target.cpus.iter().map(open).collect() {
            Ok(rings) => return Ok(rings),
            Err(RingError::Open(errno)) => {
                return Err(own_error(errno, target.pid, target.descriptors_for(1)));
            }
            Err(RingError::Map(Errno::EPERM | Errno::ENOMEM)) if pages > 1 => pages /= 2,
            Err(RingError::Map(Errno::EPERM)) => {
                let kib = target.kernel.page_size() as u64 * 2 / 1024;
                let limit = "kernel.perf_event_mlock_kb";
                return Err(ArmError::Limit { limit, needed: kib });
            }
            Err(RingError::Map(errno)) => return Err(system("mmap", errno)),
        }
    }
}

impl Target<'_> {
    /// Opens all events on all threads, disabled.
    pub(super) fn open_events(&self) -> Result<Opened, ArmError> {
        for attempt in 0..self.options.tries {
            let threads = self.list()?;
            self.raise_limit(self.descriptors_for(threads.len()))?;
            let opened = self.open_threads(&threads)?;
            if self.is_unchanged(&threads)? {
                // Threads without one that could be opened are on their way
                // out, and so is the process.
                let gone = opened.threads == 0;
                return if gone { Err(self.gone()) } else { Ok(opened) };
            }
            drop(opened);
            // At first at once; then at ever other moments, lest we keep
            // step with whatever makes the threads.
            let pause = 10 * u64::from(attempt.saturating_sub(16).min(100));
            if pause > 0 {
                self.kernel.sleep(Duration::from_micros(pause));
            }
        }
        Err(ArmError::Unstable { pid: self.pid })
    }

    fn open_threads(&self, threads: &[u32]) -> Result<Opened, ArmError> {
        let each = self.cpus.len() * (self.watches.len() + 1);
        let mut opened =
            Opened { events: Vec::with_capacity(threads.len() * each), threads: 0 };
        let needed = self.descriptors_for(threads.len());
        for &tid in threads {
            let before = opened.events.len();
            match self.open_thread(tid, &mut opened.events) {
                Ok(()) => opened.threads += 1,
                // It ended since it was listed.
                Err((Errno::ESRCH, _)) => opened.events.truncate(before),
                Err((errno, watch)) => {
                    return Err(open_error(errno, self.pid, tid, watch, needed));
                }
            }
        }
        Ok(opened)
    }

    /// Opens the events of one thread; on an error names the watch too.
    fn open_thread(
        &self,
        tid: u32,
        events: &mut Vec<ThreadEvent>,
    ) -> Result<(), (Errno, usize)> {
        for (cpu, &number) in self.cpus.iter().enumerate() {
            let open = |role| {
                let spec = EventSpec { role, features: self.features };
                PerfEvent::open(self.kernel, spec, tid, number)
            };
            for (index, &watch) in self.watches.iter().enumerate() {
                let event = open(Role::Breakpoint { watch }).map_err(|e| (e, index))?;
                events.push(ThreadEvent { event, cpu, watch: Some(index as u32) });
            }
            let event = open(Role::Sideband).map_err(|errno| (errno, 0))?;
            events.push(ThreadEvent { event, cpu, watch: None });
        }
        Ok(())
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
            let count = self.kernel.thread_count(self.pid);
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
        let threads = self.kernel.threads(self.pid);
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

    fn descriptors_for(&self, threads: usize) -> u64 {
        (self.cpus.len() * (threads * (self.watches.len() + 1) + 1)) as u64
    }

    /// Raises the soft limit of descriptors to the hard one if need be.
    fn raise_limit(&self, needed: u64) -> Result<(), ArmError> {
        let limit = self.kernel.descriptor_limit();
        let (soft, hard) = limit.map_err(|errno| system("getrlimit", errno))?;
        if needed > hard {
            return Err(ArmError::Limit { limit: "RLIMIT_NOFILE", needed });
        }
        if needed + DESCRIPTORS_SPARE <= soft || soft == hard {
            return Ok(());
        }
        let raised = self.kernel.set_descriptor_limit(hard);
        raised.map_err(|errno| system("setrlimit", errno))
    }
}

/// What an error of perf_event_open(2) means for a breakpoint on a thread.
fn open_error(errno: Errno, pid: u32, tid: u32, watch: usize, needed: u64) -> ArmError {
    match errno {
        // EBUSY: a register that another user claims for a whole CPU.
        Errno::ENOSPC | Errno::EBUSY => ArmError::NoFreeRegister { tid, watch },
        Errno::EACCES | Errno::EPERM => ArmError::Permission { pid, errno: errno as i32 },
        Errno::EINVAL => ArmError::BadWatch { watch },
        Errno::ENOENT | Errno::EOPNOTSUPP | Errno::ENODEV | Errno::ENOSYS => {
            ArmError::Unsupported { reason: errno.desc().to_owned() }
        }
        Errno::ESRCH => ArmError::Gone { pid },
        Errno::EMFILE => ArmError::Limit { limit: "RLIMIT_NOFILE", needed },
        Errno::ENFILE => ArmError::Limit { limit: "fs.file-max", needed },
        errno => system("perf_event_open", errno),
    }
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
