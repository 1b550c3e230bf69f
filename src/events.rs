//! What a session waits for: rings, the target's end, signals, timers.

use std::os::fd::{AsRawFd, RawFd};
use std::rc::Rc;
use std::time::Duration;

use hwtrace_runtime::kernel::Kernel;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::session::Failure;
use crate::target::Running;

/// How long hits may wait in a ring that is not full enough to wake us.
const DRAIN_EVERY_NS: u64 = 20_000_000;

/// What there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// Look at the rings.
    Drain,
    /// A child changed its state.
    Child,
    /// This timer is due.
    Timer(usize),
    /// The session ends: time, signal, or the target's end.
    End,
}

/// The signals that a session looks at itself.
fn watched_signals() -> SigSet {
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGCHLD]
        .into_iter()
        .collect()
}

/// Blocks the signals that [`Events`] reads; before any thread or child is
/// made, that none takes them.
pub(crate) fn block_signals() -> Result<(), Failure> {
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&watched_signals()), None)
        .map_err(|errno| Failure::System("sigprocmask", errno.into()))
}

/// Position of the signals in the list of descriptors.
const SIGNALS: usize = 0;
/// Position of the target, where there is one; the rings follow.
const TARGET: usize = 1;

/// Everything a session waits for.
pub(crate) struct Events {
    kernel: Rc<dyn Kernel>,
    signals: SignalFd,
    has_target: bool,
    descriptors: Vec<RawFd>,
    ready: Vec<bool>,
    timers: Vec<Timer>,
    end: Option<u64>,
}

struct Timer {
    period: u64,
    next: u64,
}

impl Events {
    pub(crate) fn new(
        kernel: &Rc<dyn Kernel>,
        target: Option<&Running>,
        rings: Vec<RawFd>,
    ) -> Result<Self, Failure> {
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let signals = SignalFd::with_flags(&watched_signals(), flags)
            .map_err(|errno| Failure::System("signalfd", errno.into()))?;
        let target_end = target.map(Running::end_fd);
        let descriptors: Vec<_> =
            [signals.as_raw_fd()].into_iter().chain(target_end).chain(rings).collect();
        Ok(Self {
            kernel: Rc::clone(kernel),
            signals,
            has_target: target.is_some(),
            ready: vec![false; descriptors.len()],
            descriptors,
            timers: Vec::new(),
            end: None,
        })
    }

    /// Starts timers with these periods.
    pub(crate) fn set_timers(&mut self, periods: &[u64], now: u64) {
        let timer =
            |period: &u64| Timer { period: *period, next: now.saturating_add(*period) };
        self.timers = periods.iter().map(timer).collect();
    }

    /// Ends the session after this time.
    pub(crate) fn set_end(&mut self, duration: Option<Duration>, now: u64) {
        let nanoseconds =
            |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.end = duration.map(|duration| now.saturating_add(nanoseconds(duration)));
    }

    /// Waits until there is something to do. Where something is armed, not
    /// for longer than hits may lie in a ring.
    pub(crate) fn wait(&mut self, now: u64, armed: bool) -> Result<Wake, Failure> {
        if let Some(timer) = self.due(now) {
            return Ok(Wake::Timer(timer));
        }
        if self.end.is_some_and(|end| end <= now) {
            return Ok(Wake::End);
        }
        let drain = armed.then(|| now + DRAIN_EVERY_NS);
        let deadlines =
            self.timers.iter().map(|timer| timer.next).chain(self.end).chain(drain);
        let timeout = deadlines.min().map(|deadline| deadline.saturating_sub(now));
        self.poll(timeout)
    }

    /// The timer that is due longest. One that fell behind does not catch up
    /// with a burst: it goes on from now.
    fn due(&mut self, now: u64) -> Option<usize> {
        let (number, timer) =
            self.timers.iter_mut().enumerate().min_by_key(|(_, timer)| timer.next)?;
        if timer.next > now {
            return None;
        }
        let periods = (now - timer.next) / timer.period.max(1) + 1;
        timer.next = timer.next.saturating_add(periods.saturating_mul(timer.period));
        Some(number)
    }

    fn poll(&mut self, timeout_ns: Option<u64>) -> Result<Wake, Failure> {
        let timeout = timeout_ns.map(Duration::from_nanos);
        self.kernel
            .poll(&self.descriptors, &mut self.ready, timeout)
            .map_err(|errno| Failure::System("poll", errno.into()))?;
        if self.ready[SIGNALS]
            && let Some(wake) = self.signal()?
        {
            return Ok(wake);
        }
        let ended = self.has_target && self.ready[TARGET];
        Ok(if ended { Wake::End } else { Wake::Drain })
    }

    fn signal(&mut self) -> Result<Option<Wake>, Failure> {
        let signal = self.signals.read_signal();
        let signal = signal.map_err(|errno| Failure::System("signalfd", errno.into()))?;
        Ok(signal.map(|signal| {
            if signal.ssi_signo == Signal::SIGCHLD as u32 {
                Wake::Child
            } else {
                Wake::End
            }
        }))
    }
}
