//! What a session waits for: rings, the target's end, signals, timers.

use std::os::fd::RawFd;
use std::rc::Rc;
use std::time::Duration;

use hwtrace_probes::spec;
use hwtrace_runtime::kernel::{Kernel, Taken};
use hwtrace_runtime::world::Random;
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

/// The signals that end a session.
pub(crate) const ENDING: [i32; 3] = [SIGINT, SIGTERM, SIGHUP];

/// The signals that a session looks at itself.
const WATCHED: [i32; 4] = [SIGINT, SIGTERM, SIGHUP, SIGCHLD];

/// The signals that would end hwtrace, or tell of a child: ours to read until
/// dropped. To be taken before any child is made, that it learns of its end.
pub(crate) struct Signals {
    kernel: Rc<dyn Kernel>,
    descriptor: RawFd,
    taken: Taken,
}

impl Signals {
    pub(crate) fn take(kernel: &Rc<dyn Kernel>) -> Result<Self, Failure> {
        let (descriptor, taken) = kernel
            .take_signals(&WATCHED)
            .map_err(|errno| Failure::System("signalfd", errno.into()))?;
        Ok(Self { kernel: Rc::clone(kernel), descriptor, taken })
    }

    /// What a child is not to inherit.
    pub(crate) fn taken(&self) -> &Taken {
        &self.taken
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
        let _ = self.kernel.release_signals(&self.taken);
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
    random: Random,
    end: Option<u64>,
}

struct Timer {
    period: u64,
    /// How much longer or shorter each period is at most.
    spread: u64,
    next: u64,
}

impl Timer {
    /// The length of the next period.
    fn period(&self, random: &mut Random) -> u64 {
        if self.spread == 0 {
            return self.period;
        }
        let numbers = self.spread.saturating_mul(2).saturating_add(1);
        let chosen = random.below(i64::try_from(numbers).unwrap_or(i64::MAX));
        let least = self.period.saturating_sub(self.spread);
        least.saturating_add(chosen.unsigned_abs())
    }
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
            random: Random::from_clock(),
            end: None,
        }
    }

    /// Starts timers.
    pub(crate) fn set_timers(&mut self, timers: &[spec::Timer], now: u64) {
        let random = &mut self.random;
        let timer = |timer: &spec::Timer| {
            let (period, spread) = (timer.period_ns, timer.random_ns);
            let mut timer = Timer { period, spread, next: now };
            timer.next = now.saturating_add(timer.period(random));
            timer
        };
        self.timers = timers.iter().map(timer).collect();
    }

    /// Ends the session after this time.
    pub(crate) fn set_end(&mut self, duration: Option<Duration>, now: u64) {
        let nanoseconds =
            |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.end = duration.map(|duration| now.saturating_add(nanoseconds(duration)));
    }

    /// Whether a signal came that ends the session; for once before a target
    /// is released, of which no news are lost with it.
    pub(crate) fn is_interrupted(&self) -> Result<bool, Failure> {
        while let Some(wake) = self.signal()? {
            if wake == Wake::End {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Waits until there is something to do; where something is armed, not for longer than
    /// `due_in`, in nanoseconds. What ends the session
    /// goes before timers, which might be due each time.
    pub(crate) fn wait(
        &mut self,
        now: u64,
        due_in: Option<u64>,
    ) -> Result<Wake, Failure> {
        if self.end.is_some_and(|end| end <= now) {
            return Ok(Wake::End);
        }
        let due = due_in.map(|due_in| now + due_in);
        let deadlines =
            self.timers.iter().map(|timer| timer.next).chain(self.end).chain(due);
        let timeout = deadlines.min().map(|deadline| deadline.saturating_sub(now));
        match self.poll(timeout)? {
            Wake::Drain => {
                let timer = self.due(self.signals.kernel.clock());
                Ok(timer.map_or(Wake::Drain, Wake::Timer))
            }
            wake => Ok(wake),
        }
    }

    /// The timer that is due longest. One that fell behind does not catch up
    /// with a burst: it goes on from now.
    fn due(&mut self, now: u64) -> Option<usize> {
        let (number, timer) =
            self.timers.iter_mut().enumerate().min_by_key(|(_, timer)| timer.next)?;
        if timer.next > now {
            return None;
        }
        let period = timer.period(&mut self.random);
        let periods = (now - timer.next) / period.max(1) + 1;
        timer.next = timer.next.saturating_add(periods.saturating_mul(period));
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

#[cfg(test)]
mod tests {
    use super::*;
    use hwtrace_runtime::kernel::fake::Fake;

    const SECOND: u64 = 1_000_000_000;

    /// Events of a session that began at the first second, without a target.
    fn events(fake: &Rc<Fake>, periods: &[u64], end: Option<u64>) -> Events {
        fake.set_clock(SECOND);
        let kernel: Rc<dyn Kernel> = fake.clone();
        let signals = Rc::new(Signals::take(&kernel).expect("signals"));
        let mut events = Events::new(signals, None, Vec::new());
        let timer = |period_ns: &u64| spec::Timer { period_ns: *period_ns, random_ns: 0 };
        let timers: Vec<_> = periods.iter().map(timer).collect();
        events.set_timers(&timers, SECOND);
        events.set_end(end.map(Duration::from_nanos), SECOND);
        events
    }

    #[test]
    fn a_timer_that_is_always_due_does_not_keep_the_end_away() {
        let fake = Rc::new(Fake::new(1, &[]));
        let mut events = events(&fake, &[1000], Some(SECOND));
        for now in [SECOND + 5000, 2 * SECOND - 1] {
            fake.set_clock(now);
            assert_eq!(events.wait(now, None).expect("a wake"), Wake::Timer(0));
        }
        let now = 2 * SECOND;
        fake.set_clock(now);
        assert_eq!(events.wait(now, None).expect("a wake"), Wake::End);
    }

    #[test]
    fn signals_go_before_timers() {
        let fake = Rc::new(Fake::new(1, &[]));
        let mut events = events(&fake, &[1000], None);
        let now = 2 * SECOND;
        fake.set_clock(now);
        fake.set_signals(&[SIGCHLD, SIGTERM]);
        let wakes = [(); 3].map(|()| events.wait(now, None).expect("a wake"));
        assert_eq!(wakes, [Wake::Child, Wake::End, Wake::Timer(0)]);
    }

    #[test]
    fn a_timer_that_comes_due_in_the_wait_is_told_of_at_once() {
        let fake = Rc::new(Fake::new(1, &[]));
        let mut events = events(&fake, &[1000], None);
        fake.set_clock(SECOND + 1000);
        assert_eq!(events.wait(SECOND, None).expect("a wake"), Wake::Timer(0));
        assert_eq!(events.wait(SECOND + 1000, None).expect("a wake"), Wake::Drain);
    }

    #[test]
    fn a_random_period_stays_within_its_bounds() {
        let mut random = Random::from_clock();
        let timer = Timer { period: 10, spread: 4, next: 0 };
        let periods: Vec<_> = (0..1000).map(|_| timer.period(&mut random)).collect();
        let (least, most) = (periods.iter().min(), periods.iter().max());
        assert_eq!((least, most), (Some(&6), Some(&14)));
    }

    #[test]
    fn the_last_look_before_the_release_finds_what_ends() {
        let fake = Rc::new(Fake::new(1, &[]));
        let events = events(&fake, &[], None);
        fake.set_signals(&[SIGCHLD]);
        assert!(!events.is_interrupted().expect("no failure"));
        fake.set_signals(&[SIGCHLD, SIGINT, SIGTERM]);
        assert!(events.is_interrupted().expect("no failure"));
    }
}
