//! Native handlers against the evaluator, on generated programs.
//!
//! A generated program is well-typed, uses all of the language, and runs under
//! limits that bite. It goes through the whole pipeline and is run by both on
//! the same hits. After each hit the two must agree on what was printed, on
//! every global, on the fault, its place and its text, on `exit()`, and on the
//! conditions of probe points; and without the hits that plans drop all is the same.
//!
//! What one run of a handler may do beyond its fuel (`World::work`), the bound
//! on waiting output, and the arena for temporary strings are bounds of native
//! code alone; the fuel that programs get here is too little to reach the
//! first two, and cases that reach the third are left out and counted.
//!
//! `HWTRACE_DIFF_CASES=1000000` for a longer run, `HWTRACE_DIFF_SEED=7` for
//! other programs; the seed is fixed otherwise, so that a failure is there
//! again. With `--release` a case takes a millisecond. What fails is shrunk
//! and shown; it becomes a test in `differential/regressions.rs`.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "differential/choices.rs"]
mod choices;
#[path = "differential/filters.rs"]
mod filters;
#[path = "differential/generate.rs"]
mod generate;
#[path = "differential/oracle.rs"]
mod oracle;
#[path = "differential/regressions.rs"]
mod regressions;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use hwtrace_compiler::ir::{BinaryOp, Module, Op};
use hwtrace_lang::builtins::{BUILTINS, Body};
use hwtrace_runtime::abi::FaultCode;

use choices::Random;
use generate::{Case, Hit};
use oracle::Seen;

const CASES: u64 = 3_000;

/// How many times something was seen.
type Counts = BTreeMap<String, u64>;

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |value| value.parse().unwrap())
}

/// The choices of case number `number`.
fn choices(number: u64) -> Vec<u32> {
    Random::new(setting("HWTRACE_DIFF_SEED", 0) << 32 ^ number).choices()
}

/// How far the two agree.
enum Verdict {
    /// What they did, and how many hits the plans' filters drop.
    Agree(Box<Seen>, usize),
    /// The arena was full: it is a bound of native strings alone.
    OutOfArena,
}

fn compare(case: &Case) -> Result<Verdict, String> {
    let (module, program) = oracle::compile(&case.script, &case.limits);
    let native = oracle::native(&module, &program, &case.limits, &case.hits);
    if native.faults.iter().flatten().any(|(code, _)| *code == FaultCode::ArenaFull) {
        return Ok(Verdict::OutOfArena);
    }
    let evaluated = oracle::evaluated(&module, &case.hits);
    if native != evaluated {
        return Err(format!("native {native:#?}\nevaluated {evaluated:#?}"));
    }
    conditions_change_where_they_may(&module, &case.hits, &native)?;
    let dropped = filters::drop_what_does_nothing(&module, &case.hits, &native)?;
    Ok(Verdict::Agree(Box::new(native), dropped))
}

/// A run changes no condition but those that the module says it may.
fn conditions_change_where_they_may(
    module: &Module,
    hits: &[Hit],
    seen: &Seen,
) -> Result<(), String> {
    for (at, pair) in seen.conditions.windows(2).enumerate() {
        let ran = hits[at + 1].handler;
        for (handler, (before, after)) in pair[0].iter().zip(&pair[1]).enumerate() {
            let may = module.conditions_after[ran].contains(&(handler as u32));
            if before != after && !may {
                return Err(format!("handler {ran} changes the condition of {handler}"));
            }
        }
    }
    Ok(())
}

/// The same, where a panic is a failure, too.
fn judge(list: &[u32]) -> Result<Verdict, String> {
    let judged = catch_unwind(AssertUnwindSafe(|| compare(&generate::case(list))));
    judged.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(format!("panicked: {}", text.unwrap_or_default()))
    })
}

fn count(verdict: &Verdict, counts: &mut Counts) {
    let mut seen = |what: String| *counts.entry(what).or_default() += 1;
    match verdict {
        Verdict::OutOfArena => seen("cases out of arena".into()),
        Verdict::Agree(native, dropped) => {
            if *dropped > 0 {
                seen("cases with a hit that is dropped".into());
            }
            for fault in &native.faults {
                seen(fault.map_or("no fault".into(), |(code, _)| format!("{code:?}")));
            }
            let conditions = native.conditions.iter().flatten();
            if conditions.clone().any(|holds| *holds == Ok(false)) {
                seen("cases with a false condition".into());
            }
        }
    }
}

/// Judges the cases on all CPUs; what was seen, or the first choices found to
/// fail.
fn judge_all(cases: u64) -> Result<Counts, Vec<u32>> {
    let next = AtomicU64::new(0);
    let work = || {
        let mut counts = Counts::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= cases {
                return Ok(counts);
            }
            let list = choices(number);
            match judge(&list) {
                Ok(verdict) => count(&verdict, &mut counts),
                Err(_) => {
                    next.store(cases, Ordering::Relaxed);
                    return Err(list);
                }
            }
        }
    };
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cpus).map(|_| scope.spawn(work)).collect();
        let mut all = Counts::new();
        for worker in workers {
            for (what, count) in worker.join().unwrap()? {
                *all.entry(what).or_default() += count;
            }
        }
        Ok(all)
    })
}

#[test]
fn native_handlers_do_what_the_evaluator_says() {
    let cases = setting("HWTRACE_DIFF_CASES", CASES);
    let counts = judge_all(cases).unwrap_or_else(|list| {
        let list = choices::shrink(list, |list| judge(list).is_err());
        let case = generate::case(&list);
        let Err(why) = judge(&list) else { panic!("it fails by chance: {case:#?}") };
        panic!("{why}\n{}\n{:?}\n{:#?}", case.script, case.limits, case.hits);
    });
    println!("{cases} cases: {counts:?}");
    assert_reach(&counts, cases);
}

/// Programs that all do nothing would agree, too.
fn assert_reach(counts: &Counts, cases: u64) {
    let share = |what: &str| counts.get(what).copied().unwrap_or(0) as f64 / cases as f64;
    assert!(share("no fault") > 1.0, "most runs reach their end: {counts:?}");
    for code in FaultCode::ALL {
        let bound_of_native = [
            FaultCode::ArenaFull,
            FaultCode::TooManyStrings,
            FaultCode::TooManyStacks,
            FaultCode::OutputFull,
        ];
        let enough =
            bound_of_native.contains(code) || share(&format!("{code:?}")) > 0.001;
        assert!(enough, "{code:?} is too rare: {counts:?}");
    }
    assert!(share("cases with a false condition") > 0.02, "{counts:?}");
    assert!(share("cases out of arena") < 0.01, "{counts:?}");
    assert!(share("cases with a hit that is dropped") > 0.05, "{counts:?}");
}

/// Every instruction there is: the name of its variant.
const OPS: &str = "Long Double Text Field GetLocal SetLocal GetLong SetLong GetText SetText \
    Unary NegateDouble Binary BinaryDouble Compare CompareDouble CompareText ToDouble Concat \
    Match Call CallFunction GetElement SetElement AddElement HasElement HasMatch \
    DeleteElement DeleteMatches Clear Accumulate Extract Percentile Bucket PrintHistogram \
    ClearStatistics WalkBegin WalkBuckets WalkNext WalkKey WalkEnd EmitText EmitLong \
    EmitDouble EmitString EmitMemory CaptureBegin CaptureEnd Mark Caught Fuel";

/// Every kind of instruction and every builtin is generated: what is added is
/// missed here until the generator knows it.
#[test]
fn the_generator_reaches_everything() {
    let (mut ops, mut helpers) = (BTreeSet::new(), BTreeSet::new());
    for number in 0..1000 {
        let case = generate::case(&choices(number));
        let module = oracle::module(&case.script, &case.limits);
        let blocks = module.codes().flat_map(|code| &code.blocks);
        for instruction in blocks.flat_map(|block| &block.instructions) {
            let shown = format!("{:?}", instruction.op);
            ops.insert(shown.split(['(', ' ']).next().unwrap().to_owned());
            if let Op::Call(helper, _) = &instruction.op {
                helpers.insert(helper.name);
            }
        }
    }
    let known: BTreeSet<_> = OPS.split_whitespace().map(str::to_owned).collect();
    assert_eq!(ops, known);
    let there = BUILTINS.iter().filter(|row| row.is_there());
    let called = there.filter(|row| !row.needs_unsafe).filter_map(|row| match row.body {
        Body::Helper(name) => Some(name),
        Body::Field(_) => None,
    });
    let missing: Vec<_> = called.filter(|name| !helpers.contains(name)).collect();
    assert!(missing.is_empty(), "no program calls {missing:?}");
}

/// The comparison notices a wrong compiler: here one that takes `-` for `+`.
#[test]
fn a_wrong_instruction_is_noticed() {
    let script = "global g0 = 7 probe begin { g0 = g0 + 2; println(g0) }";
    let limits = Default::default();
    let (mut module, program) = oracle::compile(script, &limits);
    let hits = [Hit::default()];
    let native = oracle::native(&module, &program, &limits, &hits);
    assert_eq!(native, oracle::evaluated(&module, &hits));
    for instruction in &mut module.handlers[0].blocks[0].instructions {
        if let Op::Binary(op @ BinaryOp::Add, ..) = &mut instruction.op {
            *op = BinaryOp::Subtract;
        }
    }
    assert_ne!(native, oracle::evaluated(&module, &hits));
}
