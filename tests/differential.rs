//! Native handlers against the evaluator, on generated programs.
//!
//! A generated program is well-typed, uses all of the language, and runs under
//! limits that bite. It goes through the whole pipeline and is run by both on
//! the same hits. After each hit the two must agree on what was printed, on
//! every global, on the fault and its place, and on `exit()`.
//!
//! `HWTRACE_DIFF_CASES=20000` for a longer run, `HWTRACE_DIFF_SEED=7` for other
//! programs; the seed is fixed otherwise, so that a failure is there again. A
//! counterexample, once shrunk, becomes a test in `differential/regressions.rs`.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "differential/generate.rs"]
mod generate;
#[path = "differential/oracle.rs"]
mod oracle;
#[path = "differential/program.rs"]
mod program;
#[path = "differential/regressions.rs"]
mod regressions;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

use hwtrace_compiler::ir::{BinaryOp, Op};
use hwtrace_runtime::abi::FaultCode;
use hwtrace_runtime::schema::HitRecord;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{
    Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner,
};

use generate::Case;
use oracle::{Hit, Seen};
use program::Program;

const CASES: u32 = 300;

fn setting(name: &str, usual: u32) -> u32 {
    std::env::var(name).map_or(usual, |value| value.parse().unwrap())
}

fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut seed = [0; 32];
    seed[..4].copy_from_slice(&setting("HWTRACE_DIFF_SEED", 0).to_le_bytes());
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed))
}

/// The hits of a case, then the handlers that print the globals.
fn hits(case: &Case) -> Vec<Hit> {
    let probes = case.program.probes.len();
    let runs = case.runs.iter().map(|run| Hit {
        handler: run.probe % probes,
        record: run.record,
        execname: run.execname.into(),
    });
    let dumps = (probes..probes + Program::DUMPS).map(|handler| Hit {
        handler,
        record: HitRecord::default(),
        execname: Vec::new(),
    });
    runs.chain(dumps).collect()
}

/// How far the two agree.
enum Verdict {
    Agree(Seen),
    /// The arena was full: it is a bound of native strings alone.
    OutOfArena,
}

fn compare(case: &Case) -> Result<Verdict, String> {
    let (module, program) = oracle::compile(&case.program.script(), &case.limits);
    let hits = hits(case);
    let native = oracle::native(&program, &case.limits, &hits);
    if native.faults.iter().flatten().any(|(code, _)| *code == FaultCode::ArenaFull) {
        return Ok(Verdict::OutOfArena);
    }
    let evaluated = oracle::evaluated(&module, &hits);
    if native == evaluated {
        return Ok(Verdict::Agree(native));
    }
    Err(format!("native {native:#?}\nevaluated {evaluated:#?}"))
}

#[test]
fn native_handlers_do_what_the_evaluator_says() {
    let cases = setting("HWTRACE_DIFF_CASES", CASES);
    let counts = RefCell::new(BTreeMap::<String, u32>::new());
    let count = |what: String| *counts.borrow_mut().entry(what).or_default() += 1;
    let ended = runner(cases).run(&generate::case(), |case| match compare(&case) {
        Ok(Verdict::Agree(seen)) => {
            for fault in &seen.faults {
                count(fault.map_or("no fault".into(), |(code, _)| format!("{code:?}")));
            }
            Ok(())
        }
        Ok(Verdict::OutOfArena) => {
            count("cases out of arena".into());
            Ok(())
        }
        Err(what) => Err(TestCaseError::fail(what)),
    });
    if let Err(error) = ended {
        let TestError::Fail(reason, case) = error else { panic!("{error}") };
        panic!(
            "{reason}\n{}\n{:?}\n{:#?}",
            case.program.script(),
            case.limits,
            case.runs
        );
    }
    println!("{cases} cases: {:?}", counts.borrow());
    assert_reach(&counts.borrow(), cases);
}

/// Programs that all do nothing would agree, too.
fn assert_reach(counts: &BTreeMap<String, u32>, cases: u32) {
    let share =
        |what: &str| f64::from(counts.get(what).copied().unwrap_or(0)) / f64::from(cases);
    assert!(share("no fault") > 1.0, "most runs reach their end: {counts:?}");
    for fault in ["DivisionByZero", "OutOfFuel", "ArrayFull"] {
        assert!(share(fault) > 0.03, "{fault} is too rare: {counts:?}");
    }
    assert!(share("cases out of arena") < 0.01, "{counts:?}");
}

/// Every kind of instruction is generated: an instruction that is added is
/// missed here until the generator knows it.
#[test]
fn the_generator_reaches_every_instruction() {
    let mut runner = runner(1);
    let strategy = generate::case();
    let (mut ops, mut helpers) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..60 {
        let case = strategy.new_tree(&mut runner).unwrap().current();
        let module = oracle::module(&case.program.script(), &case.limits);
        let blocks = module.handlers.iter().flat_map(|handler| &handler.blocks);
        for instruction in blocks.flat_map(|block| &block.instructions) {
            let shown = format!("{:?}", instruction.op);
            ops.insert(shown.split(['(', ' ']).next().unwrap().to_owned());
            if let Op::Call(helper, _) = &instruction.op {
                helpers.insert(helper.name);
            }
        }
    }
    let ops: Vec<_> = ops.iter().map(String::as_str).collect();
    assert_eq!(
        ops,
        [
            "AddElement",
            "Binary",
            "Call",
            "CaptureBegin",
            "CaptureEnd",
            "Clear",
            "Compare",
            "CompareText",
            "Concat",
            "DeleteElement",
            "EmitLong",
            "EmitString",
            "EmitText",
            "Field",
            "Fuel",
            "GetElement",
            "GetLocal",
            "GetLong",
            "GetText",
            "HasElement",
            "Long",
            "SetElement",
            "SetLocal",
            "SetLong",
            "SetText",
            "Text",
            "Unary",
            "WalkBegin",
            "WalkEnd",
            "WalkKey",
            "WalkNext",
        ]
    );
    let bodies = hwtrace_lang::builtins::BUILTINS.iter().map(|builtin| builtin.body);
    let called = bodies.filter_map(|body| match body {
        hwtrace_lang::builtins::Body::Helper(name) => Some(name),
        hwtrace_lang::builtins::Body::Field(_) => None,
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
    let hits = [Hit { handler: 0, record: HitRecord::default(), execname: Vec::new() }];
    assert_eq!(
        oracle::native(&program, &limits, &hits),
        oracle::evaluated(&module, &hits)
    );
    let instructions = &mut module.handlers[0].blocks[0].instructions;
    for instruction in instructions {
        if let Op::Binary(op @ BinaryOp::Add, ..) = &mut instruction.op {
            *op = BinaryOp::Subtract;
        }
    }
    assert_ne!(
        oracle::native(&program, &limits, &hits),
        oracle::evaluated(&module, &hits)
    );
}
