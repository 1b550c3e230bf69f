//! What a session waits for: rings, the target's end, signals, timers.

use std::os::fd::RawFd;
use std::rc::Rc;
use std::time::Duration;

use hwtrace_runtime::kernel::Kernel;
use nix::libc::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};

use crate::session::Failure;
use crate::target::Running;

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
const WATCHED: [i32; 4] = [SIGINT, SIGTERM, SIGHUP, SIGCHLD];

/// The signals that would end hwtrace, or tell of a child: ours to read until
/// dropped. To be taken before any child is made, that it learns of its end.
pub(crate) struct Signals {
    kernel: Rc<dyn Kernel>,
    descriptor: RawFd,
}

impl Signals {
    pub(crate) fn take(kernel: &Rc<dyn Kernel>) -> Result<Self, Failure> {
        let descriptor = kernel.take_signals(&WATCHED);
        let descriptor =
            descriptor.map_err(|errno| Failure::System("signalfd", errno.into()))?;
        Ok(Self { kernel: Rc::clone(kernel), descriptor })
    }

    fn next(&self) -> Result<Option<i32>, Failure> {
        let signal = self.kernel.read_signal(self.descriptor);
        signal.map_err(|errno| Failure::System("signalfd", errno.into()))
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // A second Ctrl-C meant the session that has just ended.
        while let Ok(Some(_)) = self.next() {}
        self.kernel.close(self.descriptor);
        // There is nobody to tell, and nothing that could be done.
        let _ = self.kernel.release_signals(&WATCHED);
    }
}

/// Position of the signals in the list of descriptors.
const SIGNALS: usize = 0;
/// Position of the target, where there is one; the rings follow.
const TARGET: usize = 1;

/// Everything a session waits for.
pub(crate) struct Events {
    signals: Rc<Signals>,
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
        signals: Rc<Signals>,
        target: Option<&Running>,
        rings: Vec<RawFd>,
    ) -> Self {
        let target_end = target.map(Running::end_fd);
        let descriptors: Vec<_> =
            [signals.descriptor].into_iter().chain(target_end).chain(rings).collect();
        Self {
            signals,
            has_target: target.is_some(),
            ready: vec![false; descriptors.len()],
            descriptors,
            timers: Vec::new(),
            end: None,
        }
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

    /// Waits until there is something to do; where there are rings to drain,
    /// not for longer than `drain_in`, in nanoseconds.
    pub(crate) fn wait(
        &mut self,
        now: u64,
        drain_in: Option<u64>,
    ) -> Result<Wake, Failure> {
        if let Some(timer) = self.due(now) {
            return Ok(Wake::Timer(timer));
        }
        if self.end.is_some_and(|end| end <= now) {
            return Ok(Wake::End);
        }
        let drain = drain_in.map(|drain_in| now + drain_in);
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
        self.signals
            .kernel
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

    fn signal(&self) -> Result<Option<Wake>, Failure> {
        let wake = |signal| if signal == SIGCHLD { Wake::Child } else { Wake::End };
        Ok(self.signals.next()?.map(wake))
    }
}
