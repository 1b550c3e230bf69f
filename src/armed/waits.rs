//! How long the threads that are watched wait for a processor, and how long they are busy.
//! While they wait they are not kept up by hits, and do nothing else either: what they could
//! do without hits is told by the time that is left. Who sleeps is kept up by nothing.

use std::collections::HashMap;

use super::Armed;
use crate::counts::Activity;

/// How the threads waited since they are watched. Times are nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    /// By thread, as they were when they were looked at last.
    threads: HashMap<u32, Thread>,
    /// Of those that have ended.
    ended: Sums,
    /// When they are looked at next, and after what time again then.
    next: u64,
    gap: u64,
}

/// Of several threads.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    /// Nanoseconds on a processor.
    ran: f64,
    /// The same times the share of its time in which each waited, and in which it ran or
    /// waited.
    waited: f64,
    busy: f64,
}

impl Sums {
    fn add(&mut self, Thread { first, last }: &Thread) {
        let of = |what: fn(&Look) -> u64| what(last).saturating_sub(what(first)) as f64;
        let (ran, time) = (of(|look| look.ran), of(|look| look.time).max(1.0));
        let waited = of(|look| look.waited);
        self.ran += ran;
        self.waited += ran * (waited / time).min(1.0);
        self.busy += ran * ((ran + waited) / time).min(1.0);
    }
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
    /// All threads, or those of them that are looked at, are at these points.
    fn note(&mut self, looks: &[(u32, Look)]) {
        let mut before = std::mem::take(&mut self.threads);
        for (tid, look) in looks {
            let known = before.remove(tid);
            // One that has run less than before is another of the same number.
            let same = known.filter(|known| known.last.ran <= look.ran);
            if let (Some(ended), None) = (&known, &same) {
                self.ended.add(ended);
            }
            let first = same.map_or(*look, |known| known.first);
            self.threads.insert(*tid, Thread { first, last: *look });
        }
        before.values().for_each(|ended| self.ended.add(ended));
    }

    /// The share of the time in which they waited, and in which they ran or waited, 0 to 1:
    /// that of threads that ran long counts more, as more hits are theirs.
    fn share(&self) -> Activity {
        let mut all = self.ended;
        self.threads.values().for_each(|thread| all.add(thread));
        let of = |what: f64| if all.ran > 0.0 { what / all.ran } else { 0.0 };
        Activity { waits: of(all.waited), busy: of(all.busy) }
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
    /// Looks how long the threads have waited and how often they were hit, where it is time
    /// to.
    pub(super) fn mind_load(&mut self) {
        let now = self.surroundings.kernel.clock();
        if now >= self.waits.next && self.is_partial() {
            self.waits.gap = (self.waits.gap * 2).clamp(GAP_NS, GAP_MOST_NS);
            self.waits.next = now + self.waits.gap;
            self.note_load();
        }
    }

    /// The same once more before all is disarmed, where it was done before, or was to be.
    pub(crate) fn end_load(&mut self) {
        if self.waits.gap > 0 || self.is_partial() {
            self.note_load();
        }
    }

    fn note_load(&mut self) {
        let kernel = &self.surroundings.kernel;
        let now = kernel.clock();
        let look = |(pid, tid): (u32, u32)| {
            let path = format!("/proc/{pid}/task/{tid}/schedstat");
            let text = kernel.read_file(&path, SCHEDSTAT_BYTES).ok()?;
            Some((tid, parse(&text, now)?))
        };
        let threads = self.tracker.threads().take(THREADS_MAX);
        self.waits.note(&threads.filter_map(look).collect::<Vec<_>>());
        let hits = self.engine.account().counted;
        self.counts.borrow_mut().loaded(&hits, self.waits.share(), now);
    }

    /// Whether anything may be watched part of the time only.
    fn is_partial(&self) -> bool {
        let turns = self.turn_ends_in(0).is_some();
        turns || self.relief.is_some() || self.objects.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_run_count_more() {
        let mut waits = Waits::default();
        let waited = |waits: &Waits| waits.share().waits;
        assert_eq!(waited(&waits), 0.0);
        let look = |time, ran, waited| Look { time, ran, waited };
        // Before they were watched anything may have been.
        waits.note(&[(1, look(1000, 500, 500)), (2, look(1000, 0, 1000))]);
        assert_eq!(waited(&waits), 0.0);
        waits.note(&[(1, look(2000, 1100, 900)), (2, look(2000, 0, 2000))]);
        assert_eq!(waited(&waits), 0.4);
        assert_eq!(waits.share().busy, 1.0, "the first never slept");
        // 200 of 2,000 besides 600: half of its time it waited.
        let both = (600.0 * 0.4 + 200.0 * 0.5) / 800.0;
        waits.note(&[(2, look(3000, 200, 2000))]);
        assert_eq!(waited(&waits), both, "the first has ended");
        assert_eq!(waits.share().busy, (600.0 + 200.0 * 0.6) / 800.0);
        waits.note(&[(2, look(4000, 100, 0))]);
        waits.note(&[]);
        assert_eq!((waited(&waits), waits.threads.len()), (both, 0), "and another came");
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
