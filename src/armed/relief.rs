//! Watches that are hit so often that the target crawls are on in short windows.

mod cost;
mod throttle;

use std::io;
use std::rc::Rc;

use cost::USUAL_NS;
pub(crate) use cost::{measured, most_ns};
use throttle::{Hot, Seen, Switch, Throttle};

use super::Armed;
use crate::report::grouped;

/// Who decides which watches are off for a while.
pub(crate) struct Relief {
    throttle: Throttle,
    bound: f64,
    /// By watch: whether it is off for a while.
    off: Vec<bool>,
}

impl Relief {
    /// Keeps hits, each of which takes so many nanoseconds, below a share of a
    /// processor's time.
    pub(crate) fn new(bound: f64, cost_ns: f64, watches: usize, now: u64) -> Self {
        let throttle = Throttle::new(bound, cost_ns, watches, now);
        Self { throttle, bound, off: vec![false; watches] }
    }

    /// A watch has a register from now on, or others have it.
    pub(crate) fn turn(&mut self, watch: usize, comes: bool, now: u64) {
        self.throttle.turn(watch, comes, now);
    }

    /// Whether a watch is off for a while.
    pub(super) fn keeps_off(&self, watch: usize) -> bool {
        self.off[watch]
    }
}

impl Armed {
    /// In how many nanoseconds [`Armed::relieve`] has something to do; none where hits may
    /// take all the time.
    pub(super) fn relief_due_in(&self, now: u64) -> Option<u64> {
        self.relief.as_ref().map(|relief| relief.throttle.due_in(now))
    }

    /// Switches off what is hit too often, and on what was off for long enough.
    ///
    /// # Errors
    /// As switching a watch.
    pub(super) fn relieve(&mut self) -> io::Result<()> {
        let begun = self.surroundings.kernel.clock();
        if self.relief_due_in(begun) != Some(0) {
            return Ok(());
        }
        let hits = self.engine.account().counted;
        let now = self.surroundings.kernel.clock();
        let counts = Rc::clone(&self.counts);
        let all_hits = hits.iter().sum();
        let seen = |watch, now| Seen {
            hits: hits.get(watch).copied().unwrap_or(0),
            all_hits,
            on_ns: counts.borrow().coverage.on_ns(watch, now),
        };
        let Some(relief) = &mut self.relief else { return Ok(()) };
        let all: Vec<_> = (0..hits.len()).map(|watch| seen(watch, now)).collect();
        let switches = relief.throttle.look(now, &all);
        relief.throttle.looked(now - begun, now);
        for Switch { watch, on, sampled } in switches {
            let Some(relief) = &mut self.relief else { continue };
            let was_off = std::mem::replace(&mut relief.off[watch], !on);
            let mut counts = self.counts.borrow_mut();
            counts.coverage.sample(watch, sampled, now);
            if let Some(hot) = relief.throttle.hot(watch) {
                counts.keeps_up(watch, hot.kept_up);
            }
            drop(counts);
            if was_off == on {
                self.apply(watch)?;
                self.switched_cells(watch, on);
                let now = self.surroundings.kernel.clock();
                if let Some(relief) = &mut self.relief {
                    relief.throttle.switched(watch, now, seen(watch, now));
                }
            }
        }
        Ok(())
    }

    /// What was watched part of the time, and why.
    pub(super) fn relief_remarks(&self) -> Vec<String> {
        let Some(relief) = &self.relief else { return Vec::new() };
        let now = self.surroundings.kernel.clock();
        let hot = (0..relief.off.len())
            .filter_map(|watch| Some((watch, relief.throttle.hot(watch)?)));
        let mut hot: Vec<_> = hot.collect();
        hot.sort_by(|one, other| other.1.share.total_cmp(&one.1.share));
        let others = match hot.len().saturating_sub(1) {
            0 => String::new(),
            1 => "; another one, too".to_owned(),
            others => format!("; {others} others, too"),
        };
        let remark = |(watch, hot): &(usize, Hot)| {
            let sees = self.registers.sees()[*watch].first()?;
            let data = &self.requests[sees.request()].data;
            let rate = grouped(hot.rate as u64);
            Some(format!(
                "`{data}` was hit {rate} times a second while it was on, which takes {} of a \
                 processor's time: it was watched {} of the time, as `--max-overhead {}` \
                 asks for{others}",
                percent(hot.share),
                percent(self.counts.borrow().share(*watch as u32, now)),
                format_args!("{}%", (relief.bound * 1e6).round() / 1e4),
            ))
        };
        hot.first().and_then(remark).into_iter().collect()
    }
}

/// Above so much of a processor's time hits are worth a remark.
const HEAVY: f64 = 0.5;

/// Who waits for less is not kept up by them.
const LONG_NS: u64 = 1_000_000_000;

/// What is said where hits took much of the time, and nobody asked for less.
pub(crate) fn heavy_remark(hits: u64, elapsed_ns: u64) -> Option<String> {
    let share = hits as f64 * USUAL_NS / elapsed_ns.max(1) as f64;
    (share > HEAVY && elapsed_ns >= LONG_NS).then(|| {
        format!(
            "hits took about {} of a processor's time; with `--max-overhead 5%` they take \
             less, and are estimated",
            percent(share)
        )
    })
}

/// `5.1 %`
fn percent(share: f64) -> String {
    let percent = format!("{:.1}", share * 100.0);
    format!("{} %", percent.trim_end_matches(".0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_that_take_much_are_worth_a_remark() {
        let second = 1_000_000_000;
        assert_eq!(heavy_remark(1000, second), None);
        let hits = (0.8e9 / USUAL_NS) as u64;
        let said = heavy_remark(hits, second).expect("a remark");
        assert!(said.starts_with("hits took about 80 % of"), "{said}");
        assert_eq!(heavy_remark(hits, second / 2), None, "it is over");
        assert_eq!((percent(0.0512).as_str(), percent(0.05).as_str()), ("5.1 %", "5 %"));
    }
}
