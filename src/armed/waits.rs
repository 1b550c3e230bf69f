//! How long the threads that are watched wait for a processor. In that time they are not
//! kept up by hits, and do nothing else either: what they could do without hits is told by
//! the time that is left.

use std::collections::HashMap;

use super::Armed;

/// How the threads waited since they are watched. Times are nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    /// By thread, ended ones too.
    threads: HashMap<u32, Thread>,
    /// When they are looked at next, and after what time again then.
    next: u64,
    gap: u64,
}

#[derive(Clone, Copy, Debug)]
struct Thread {
    first: Look,
    last: Look,
}

/// What a thread had taken of a processor's time until then, and waited for one.
#[derive(Clone, Copy, Debug)]
struct Look {
    time: u64,
    ran: u64,
    waited: u64,
}

/// More threads than these are not looked at.
const THREADS_MAX: usize = 256;
/// They are looked at so often, at first and at most.
const GAP_NS: u64 = 50_000_000;
const GAP_MOST_NS: u64 = 1_000_000_000;
/// Three numbers of up to 20 digits.
const SCHEDSTAT_BYTES: usize = 64;

impl Waits {
    /// A thread is at this point.
    fn note(&mut self, tid: u32, look: Look) {
        let thread = Thread { first: look, last: look };
        self.threads.entry(tid).or_insert(thread).last = look;
    }

    /// The share of the time in which they waited, 0 to 1: that of threads that ran long
    /// counts more, as more hits are theirs.
    fn share(&self) -> f64 {
        let (mut waited, mut ran) = (0.0, 0.0);
        for Thread { first, last } in self.threads.values() {
            let of =
                |what: fn(&Look) -> u64| what(last).saturating_sub(what(first)) as f64;
            let own = of(|look| look.ran);
            ran += own;
            waited +=
                own * (of(|look| look.waited) / of(|look| look.time).max(1.0)).min(1.0);
        }
        if ran > 0.0 { waited / ran } else { 0.0 }
    }
}

/// What `/proc/PID/task/TID/schedstat` says: nanoseconds on a processor, and of waiting for
/// one (Documentation/scheduler/sched-stats.rst).
fn parse(text: &[u8], time: u64) -> Option<Look> {
    let text = std::str::from_utf8(text).ok()?;
    let mut numbers = text.split_whitespace().map(str::parse);
    let (ran, waited) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    Some(Look { time, ran, waited })
}

impl Armed {
    /// Looks how long the threads have waited, where it is time to.
    pub(crate) fn mind_waits(&mut self) {
        let now = self.surroundings.kernel.clock();
        if now < self.waits.next || !self.is_partial() {
            return;
        }
        self.waits.gap = (self.waits.gap * 2).clamp(GAP_NS, GAP_MOST_NS);
        self.waits.next = now + self.waits.gap;
        for (pid, tid) in self.tracker.threads().take(THREADS_MAX) {
            let path = format!("/proc/{pid}/task/{tid}/schedstat");
            // One that has ended has waited as long as it was last seen to have.
            let read = self.surroundings.kernel.read_file(&path, SCHEDSTAT_BYTES);
            if let Some(look) = read.ok().and_then(|text| parse(&text, now)) {
                self.waits.note(tid, look);
            }
        }
        self.counts.borrow_mut().waits(self.waits.share());
    }

    /// Whether anything may be watched part of the time only.
    fn is_partial(&self) -> bool {
        self.relief.is_some() || self.turn_ends_in(0).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_run_count_more() {
        let mut waits = Waits::default();
        assert_eq!(waits.share(), 0.0);
        let look = |time, ran, waited| Look { time, ran, waited };
        // Before they were watched anything may have been.
        waits.note(1, look(1000, 500, 500));
        waits.note(2, look(1000, 0, 1000));
        assert_eq!(waits.share(), 0.0);
        waits.note(1, look(2000, 1100, 900));
        waits.note(2, look(2000, 0, 2000));
        assert_eq!(waits.share(), 0.4);
        waits.note(2, look(3000, 200, 2000));
        // 200 of 2,000 besides 600: half of its time it waited.
        assert_eq!(waits.share(), (600.0 * 0.4 + 200.0 * 0.5) / 800.0);
    }

    #[test]
    fn what_the_kernel_tells_is_read() {
        let own =
            std::fs::read("/proc/thread-self/schedstat").expect("a kernel that tells");
        assert!(parse(&own, 7).is_some_and(|look| look.time == 7));
        let look = parse(b"205666954 58755336 1465\n", 7).expect("two numbers and more");
        assert_eq!((look.ran, look.waited), (205_666_954, 58_755_336));
        assert!(parse(b"", 7).is_none());
        assert!(parse(b"1 x 3", 7).is_none());
    }
}
