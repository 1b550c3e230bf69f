//! Programs made of plans: the kernel takes each, and filters mean what the plan
//! says.
#![allow(missing_docs)]

mod plans;
mod types;

use std::collections::HashMap;
use std::rc::Rc;

use hwtrace_runtime::bpf::BpfError;
use hwtrace_runtime::bpf::filter::Trial;
use hwtrace_runtime::bpf::hit::Insight;
use hwtrace_runtime::engine::bpf::{check, probe};
use hwtrace_runtime::event::{Trigger, Watch};
use hwtrace_runtime::kernel::Kernel;
use hwtrace_runtime::kernel::linux::Linux;
use hwtrace_runtime::plan::{ACTS_MAX, Act, Block, Filter, Needs, Next, Plan};
use plans::Memory;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;

/// The kernel, where it lets us; says so aloud where not.
fn kernel() -> Option<Rc<dyn Kernel>> {
    let kernel: Rc<dyn Kernel> = Rc::new(Linux);
    match probe(&kernel) {
        Ok(()) => return Some(kernel),
        Err(error @ (BpfError::NotPermitted | BpfError::Missing(_))) => {
            eprintln!("SKIPPED: {error}");
        }
        Err(error) => panic!("{error}"),
    }
    let required = std::env::var_os("HWTRACE_REQUIRE_LIVE").is_some_and(|it| it == "1");
    assert!(!required || !nix::unistd::geteuid().is_root(), "live tests required");
    None
}

/// So many cases, or as many as `HWTRACE_PLAN_CASES` says.
fn runner(cases: u32) -> TestRunner {
    let asked = std::env::var("HWTRACE_PLAN_CASES").ok();
    let cases = asked.map_or(cases, |asked| asked.parse().expect("a number"));
    TestRunner::new(ProptestConfig { cases, ..ProptestConfig::default() })
}

#[test]
fn the_plainest_programs_load() {
    let Some(kernel) = kernel() else { return };
    let nothing = Needs::default();
    for needs in [
        nothing,
        Needs { access: true, ..nothing },
        Needs { registers: true, ..nothing },
        Needs::ALL,
    ] {
        let plan = Plan { needs, ..Plan::default() };
        for (length, trigger) in [(8, Trigger::Write), (1, Trigger::ReadWrite)] {
            let watch = Watch { address: 8, length, trigger };
            check(&kernel, &watch, &plan, Insight::default()).expect("taken");
        }
    }
}

#[test]
fn the_kernel_takes_every_plan() {
    let Some(kernel) = kernel() else { return };
    let triggers = select(vec![Trigger::Write, Trigger::ReadWrite]);
    let watches = (select(vec![1, 2, 4, 8]), triggers)
        .prop_map(|(length, trigger)| Watch { address: 8, length, trigger });
    let known = [Some(Insight::default()), types::insight(&kernel)];
    for insight in known.into_iter().flatten() {
        let cases = (watches.clone(), plans::plan());
        let ran = runner(100).run(&cases, |(watch, plan)| {
            prop_assert_eq!(check(&kernel, &watch, &plan, insight), Ok(()));
            Ok(())
        });
        ran.expect("taken");
    }
}

#[test]
fn the_kernel_takes_every_act() {
    let Some(kernel) = kernel() else { return };
    let signal = select(vec![1, 10, libc::SIGSTOP, 64]);
    let act =
        (plans::filter(64, 64), signal).prop_map(|(when, signal)| Act { when, signal });
    let acts = proptest::collection::vec(act, 0..=ACTS_MAX);
    let ran = runner(100).run(&(acts, plans::plan()), |(acts, plan)| {
        let watch = Watch { address: 8, length: 4, trigger: Trigger::Write };
        let plan = Plan { acts, ..plan };
        prop_assert_eq!(check(&kernel, &watch, &plan, Insight::default()), Ok(()));
        Ok(())
    });
    ran.expect("taken");
}

#[test]
fn filters_mean_what_the_plan_says() {
    let Some(kernel) = kernel() else { return };
    let bytes: Vec<u8> = (0..=255u8).map(|byte| byte.wrapping_mul(37)).collect();
    // Filters look at the middle, and a little beside it; or far away, where nobody
    // has anything.
    let (start, length) = (bytes.as_ptr() as u64 + 64, 64);
    let memory: Memory = (bytes.as_ptr() as u64, bytes.clone());
    let known = proptest::collection::vec(plans::number(), plans::INPUTS.len());
    let hits = proptest::collection::vec(known, 4);
    let ran = runner(300).run(&(plans::filter(start, length), hits), |(filter, hits)| {
        let trial = Trial::new(&kernel, &filter);
        let trial = trial.map_err(|error| TestCaseError::fail(error.to_string()))?;
        let trial = trial.expect("nothing is left out");
        for known in hits {
            let known: Vec<_> = plans::INPUTS.into_iter().zip(known).collect();
            let given = known.iter().map(|(input, it)| (*input, it.cast_unsigned()));
            let passes = trial.passes(&given.collect::<Vec<_>>()).expect("runs");
            let known: HashMap<_, _> = known.into_iter().collect();
            prop_assert_eq!(passes, plans::passes(&filter, &known, &memory));
        }
        Ok(())
    });
    ran.expect("the same");
}

#[test]
fn what_is_no_filter_is_left_out() {
    let Some(kernel) = kernel() else { return };
    let block = |next| Block { steps: Vec::new(), next };
    let backwards = [block(Next::Go(1)), block(Next::Go(1))];
    let nowhere = [block(Next::Go(1))];
    for blocks in [&backwards[..], &nowhere, &[]] {
        let filter = Filter { slots: 1, blocks: blocks.to_vec() };
        assert!(Trial::new(&kernel, &filter).expect("not asked").is_none());
        let plan = Plan { filter: Some(filter), ..Plan::default() };
        let watch = Watch { address: 8, length: 8, trigger: Trigger::Write };
        check(&kernel, &watch, &plan, Insight::default()).expect("taken without it");
    }
}
