//! Values that are those of the very instruction, and filters that miss nothing,
//! while threads race on all CPUs.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use common::{
    Figures, Hwtrace, Target, c, despite_lost_traps, despite_stalls, engine, live,
    numbers, request,
};
use hwtrace::session::{Consumer, Context, Failure, Options, Request, Session, Summary};
use hwtrace::target;
use hwtrace_probes::spec::Mode;
use hwtrace_runtime::engine::Flow;
use hwtrace_runtime::schema::HitRecord;

/// Checks each hit of race.c as it comes.
struct Checker<'t> {
    target: &'t mut Target,
    /// By thread: its number in what it stores, and the next of its sequence.
    threads: BTreeMap<u32, (u64, u64)>,
    hits: u64,
    /// Of which none came.
    missing: u64,
    wrong: Vec<HitRecord>,
}

impl Consumer for Checker<'_> {
    fn requests(&self) -> Vec<Request> {
        vec![request("counter", Mode::Write)]
    }

    fn begin(&mut self, _: &Context) -> Result<Flow, Failure> {
        self.target.say("go");
        self.target.close();
        Ok(Flow::Continue)
    }

    fn hit(&mut self, _: usize, record: &HitRecord) -> Result<Flow, Failure> {
        self.hits += 1;
        let (number, sequence) = (record.new >> 32, record.new & 0xffff_ffff);
        let known = self.threads.entry(record.tid).or_insert((number, 0));
        if record.exact != 1 || known.0 != number || known.1 > sequence {
            self.wrong.push(*record);
        }
        self.missing += sequence.saturating_sub(known.1);
        *known = (number, sequence + 1);
        Ok(Flow::Continue)
    }
}

/// Each thread's values are its own, and each that is missing was told to be lost.
fn check(threads: u64, stores: u64) -> Option<(Summary, u64)> {
    let arguments = [threads.to_string(), stores.to_string()];
    let mut target = Target::start(&c("race"), &[&arguments[0], &arguments[1]]);
    let process = target::Target::Process(target.pid());
    let mut checker = Checker {
        target: &mut target,
        threads: BTreeMap::new(),
        hits: 0,
        missing: 0,
        wrong: Vec::new(),
    };
    let options = Options { engine: engine(), ..Options::default() };
    let session = Session::arm(&mut checker, &process, options);
    let (summary, ended) = session.unwrap_or_else(|failure| panic!("{failure:?}")).run();
    ended.unwrap();
    let Checker { hits, missing, wrong, threads: seen, .. } = checker;
    let lines = target.finish()?;
    let thousands = threads * stores.div_ceil(1000);
    assert_eq!(lines, [format!("{} {thousands}", threads * stores)]);
    let first = wrong.first();
    assert!(wrong.is_empty(), "{} of {hits} wrong, the first {first:?}", wrong.len());
    assert_eq!(seen.len() as u64, threads);
    let unfinished = seen.values().map(|(_, next)| stores.checked_sub(*next).unwrap());
    assert_eq!(missing + unfinished.sum::<u64>(), summary.lost, "{summary:?}");
    Some((summary, hits))
}

#[test]
fn two_threads_on_two_cpus_each_with_its_own_values() {
    if !live() {
        return;
    }
    despite_stalls(|| {
        let (summary, hits) = despite_lost_traps(|| check(2, 500_000));
        assert_eq!((hits + summary.lost, summary.counted), (1_000_000, 1_000_000));
        summary.lost
    });
}

/// Seconds that it takes: HWTRACE_SOAK_SECONDS=60 for a real soak.
fn soak_seconds() -> String {
    let seconds = std::env::var("HWTRACE_SOAK_SECONDS");
    format!("{}s", seconds.as_deref().unwrap_or("3"))
}

#[test]
fn eight_threads_at_full_speed_and_a_filter_that_passes_one_in_a_thousand() {
    if !live() {
        return;
    }
    let script = r#"global passed
        probe process.data("counter").write {
            if (($new & 0xffffffff) % 1000 == 0) passed++
        }
        probe begin { println("armed") }
        probe end { println(passed) }"#;
    let filtered = || {
        let mut target = Target::start(&c("race"), &["8", &soak_seconds()]);
        let hwtrace = Hwtrace::attach(script, &target).start();
        hwtrace.out().until("armed");
        target.say("go");
        target.close();
        let lines = target.finish()?;
        let [stored, thousands] = numbers(lines.iter().map(String::as_str))[0][..] else {
            panic!("{lines:?}")
        };
        Some((hwtrace.finish(), stored, thousands))
    };
    despite_stalls(|| {
        let (ended, stored, thousands) = despite_lost_traps(filtered);
        let Figures { hits, lost, .. } = ended.figures();
        assert_eq!(hits + lost, stored, "{ended:?}");
        let passed = numbers(ended.out.iter().map(String::as_str));
        let [[passed]] = passed.iter().map(Vec::as_slice).collect::<Vec<_>>()[..] else {
            panic!("{ended:?}")
        };
        let dropped = thousands.checked_sub(*passed).expect("no more than there were");
        assert!(dropped <= lost, "{ended:?}");
        lost
    });
}
