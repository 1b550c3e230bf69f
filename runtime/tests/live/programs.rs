//! Programs at hits: values told by instructions, filters, reads, and what is
//! counted.

use std::path::Path;
use std::rc::Rc;

use hwtrace_runtime::bpf::BpfError;
use hwtrace_runtime::engine::bpf::probe;
use hwtrace_runtime::engine::perf::PerfOptions;
use hwtrace_runtime::engine::{Engine, Flow};
use hwtrace_runtime::event::{Captured, Event, Watch};
use hwtrace_runtime::kernel::Kernel;
use hwtrace_runtime::kernel::linux::Linux;
use hwtrace_runtime::plan::{
    Block, Comparison, Does, Filter, Input, Load, Needs, Next, Plan, Reads, Slot, Space,
    Step,
};

use crate::common::{
    Target, Teacher, Trace, Tracer, compile, despite_lost_traps, follow_program, is_live,
    stores_to,
};

const ACCESS: Needs = Needs { access: true, cpu: false, registers: false };

/// Whether programs can be run here; says so aloud where not.
fn runs_programs() -> bool {
    let kernel: Rc<dyn Kernel> = Rc::new(Linux);
    match probe(&kernel) {
        Ok(()) => is_live(),
        Err(error @ (BpfError::NotPermitted | BpfError::Missing(_))) => {
            eprintln!("SKIPPED: {error}");
            let required = std::env::var_os("HWTRACE_REQUIRE_LIVE");
            let root = nix::unistd::geteuid().is_root();
            assert!(!root || required.is_none_or(|it| it != "1"), "live tests required");
            false
        }
        Err(error) => panic!("{error}"),
    }
}

fn plan(needs: Needs, filter: Option<Filter>, reads: Reads) -> Plan {
    Plan { needs, filter, reads }
}

/// A hit passes where these two compare so.
fn filter(left: Does, how: Comparison, right: Does) -> Filter {
    let step = |slot, does| Step { to: Slot(slot), does };
    let compare = Does::Compare(how, Slot(0), Slot(1));
    let first = Block {
        steps: vec![step(0, left), step(1, right), step(2, compare)],
        next: Next::Choose(Slot(2), 1, 2),
    };
    let end = |next| Block { steps: Vec::new(), next };
    Filter { slots: 3, blocks: vec![first, end(Next::Pass), end(Next::Drop)] }
}

/// Only values that differ from those before.
fn change() -> Filter {
    filter(Does::Input(Input::Old), Comparison::NotEqual, Does::Input(Input::New))
}

/// Follows a program whose function `store` makes the accesses.
fn trace(program: &Path, watches: &[Watch], plans: &[Plan]) -> (u32, Trace) {
    trace_functions(program, watches, plans, &["store"])
}

fn trace_functions(
    program: &Path,
    watches: &[Watch],
    plans: &[Plan],
    functions: &[&str],
) -> (u32, Trace) {
    despite_lost_traps(|| {
        let mut tracer = Tracer::with_programs(PerfOptions::default(), plans);
        assert_eq!((tracer.engine.name(), tracer.engine.learns()), ("bpf", true));
        tracer.teacher = Some(Teacher::of(program, functions));
        follow_program(program, watches, tracer)
    })
}

const COUNT: &str = "
    volatile unsigned long counter;
    __attribute__((noinline)) void store(unsigned long n) {
        for (unsigned long i = 0; i < n; i++) counter = i / 10;
    }
    int main(void) { store(100000); return 0; }";

#[test]
fn every_store_has_its_value_and_the_one_before() {
    if !runs_programs() {
        return;
    }
    let program = compile("programs_count", COUNT, &[]);
    let watches = [stores_to(&program, "counter")];
    let plans = [plan(ACCESS, None, Reads::NONE)];
    let (pid, trace) = trace(&program, &watches, &plans);
    trace.assert_complete(100_000);
    let mut told = 0;
    for (number, hit) in trace.hits.iter().enumerate() {
        let value = number as u64 / 10;
        assert_eq!((hit.watch, hit.pid, hit.tid, hit.kernel), (0, pid, pid, false));
        let before = (number > 0).then(|| (number as u64 - 1) / 10);
        assert_eq!(hit.at_hit.old, before, "{number}");
        match hit.at_hit.told {
            Some(it) => {
                assert_eq!((it.new, it.exact, hit.registers), (value, true, 0));
                told += 1;
            }
            None => assert_eq!((hit.at_hit.memory, hit.registers), (Some(value), 17)),
        }
    }
    assert!(told > 90_000, "only {told}");
    assert_eq!(trace.ended, [pid]);
}

#[test]
fn what_a_filter_drops_is_counted() {
    if !runs_programs() {
        return;
    }
    let program = compile("programs_change", COUNT, &[]);
    let watches = [stores_to(&program, "counter")];
    let plans = [plan(ACCESS, Some(change()), Reads::NONE)];
    let (_, trace) = trace(&program, &watches, &plans);
    let account = &trace.account;
    assert_eq!((account.lost, account.late, &account.counted[..]), (0, 0, &[100_000][..]));
    assert_eq!(trace.hits.len() as u64 + account.filtered[0], 100_000);
    assert!(account.filtered[0] > 80_000, "{account:?}");
    // Nothing that changed is missing.
    let values = trace.hits.iter().filter_map(|hit| {
        hit.at_hit.told.map(|told| told.new).or(hit.at_hit.memory)
    });
    let mut values: Vec<_> = values.collect();
    values.dedup();
    assert!(values.iter().copied().eq(0..10_000));
}

#[test]
fn a_filter_of_nothing_but_the_thread_needs_no_values() {
    if !runs_programs() {
        return;
    }
    let program = compile("programs_thread", COUNT, &[]);
    let watches = [stores_to(&program, "counter")];
    let nobody = filter(
        Does::Input(Input::Tid),
        Comparison::NotEqual,
        Does::Input(Input::Pid),
    );
    let plans = [plan(Needs::default(), Some(nobody), Reads::NONE)];
    let (_, trace) = trace(&program, &watches, &plans);
    assert_eq!((trace.hits.len(), &trace.account.filtered[..]), (0, &[100_000][..]));
    assert_eq!(trace.account.lost, 0);
}

/// Two threads store at the same time. What each stored is known, whatever memory
/// held when somebody looked.
#[test]
fn values_of_racing_threads_are_exact() {
    if !runs_programs() {
        return;
    }
    let source = "
        #include <pthread.h>
        volatile unsigned long counter;
        __attribute__((noinline)) void store(unsigned long from) {
            for (unsigned long i = 0; i < 20000; i++) counter = from + i;
        }
        static void *work(void *arg) { store((unsigned long)arg); return 0; }
        int main(void) {
            pthread_t t[4];
            for (long i = 0; i < 4; i++)
                pthread_create(&t[i], 0, work, (void *)((i + 1) << 32));
            for (int i = 0; i < 4; i++) pthread_join(t[i], 0);
            return 0;
        }";
    let program = compile("programs_race", source, &[]);
    let watches = [stores_to(&program, "counter")];
    let plans = [plan(ACCESS, None, Reads::NONE)];
    let (_, trace) = trace(&program, &watches, &plans);
    trace.assert_complete(80_000);
    let mut values = std::collections::BTreeMap::<u32, Vec<u64>>::new();
    let mut told = 0;
    for hit in &trace.hits {
        let value = hit.at_hit.told.filter(|told| told.exact).map(|told| told.new);
        told += usize::from(value.is_some());
        values.entry(hit.tid).or_default().push(value.unwrap_or(u64::MAX));
    }
    assert!(told > 70_000, "only {told}");
    assert_eq!(values.len(), 4);
    for values in values.values() {
        let base = values.iter().find(|it| **it != u64::MAX).expect("told") >> 32 << 32;
        for (number, value) in values.iter().enumerate() {
            assert!(*value == u64::MAX || *value == base + number as u64, "{value:x}");
        }
    }
    // The shadow passes from one to the next, each value once.
    let mut old: Vec<_> = trace.hits.iter().filter_map(|hit| hit.at_hit.old).collect();
    assert_eq!(old.len(), 79_999);
    let told = trace.hits.iter().filter_map(|hit| hit.at_hit.told.map(|it| it.new));
    let told: std::collections::BTreeSet<_> = told.collect();
    old.retain(|old| told.contains(old));
    let unique: std::collections::BTreeSet<_> = old.iter().collect();
    assert_eq!(unique.len(), old.len());
}
