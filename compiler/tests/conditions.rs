//! Conditions of probe points, and how long compiling takes.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::time::Instant;

use common::module;
use hwtrace_compiler::ir::eval::{Datum, Evaluator, Host};
use hwtrace_compiler::jit::Program;
use hwtrace_runtime::abi::{FaultCode, Limits};
use hwtrace_runtime::schema::HitRecord;
use hwtrace_runtime::world::World;
use hwtrace_runtime::world::stacks::Stacks;

struct Nobody;

impl Host for Nobody {
    fn field(&mut self, _: &str) -> Datum {
        Datum::Long(0)
    }

    fn call(&mut self, name: &str, _: &[Datum]) -> Datum {
        panic!("no {name} here")
    }

    fn stacks(&mut self) -> &mut dyn Stacks {
        panic!("no stacks here")
    }
}

#[test]
fn conditions_follow_the_globals() {
    let script = r#"
        global on, n = 3, d = 0.5, name = "", a
        function set(v) { on = v }
        probe process.data(1).write if (on && n > 2) { n-- }
        probe process.data(2).write if (d < 1 && name == "x" && !(5 in a)) { a[5] = 1 }
        probe process.data(3).write if ((1 % on) == 0) { d += 0.25; name = "x" }
        probe process.data(4).write { set(1) }
        probe end { println(n) }"#;
    let limits = Limits::default();
    let module = module(script, &limits);
    let program = Program::compile(&module, false).unwrap();
    let mut world = World::new(program.layout(), &limits);
    let mut evaluator = Evaluator::new(&module);
    let mut holds = |run: Option<usize>| {
        if let Some(handler) = run {
            program.run(handler, &mut world, &HitRecord::default()).unwrap();
            evaluator.run(handler, &mut Nobody).unwrap();
        }
        [0, 1, 2, 3].map(|handler| {
            let native = program.condition(handler, &mut world);
            assert_eq!(evaluator.condition(handler, &mut Nobody), native);
            native.map_err(|fault| fault.code)
        })
    };
    let zero = Err(FaultCode::DivisionByZero);
    assert_eq!(holds(None), [Ok(false), Ok(false), zero, Ok(true)]);
    assert_eq!(holds(Some(3)), [Ok(true), Ok(false), Ok(true), Ok(true)]);
    assert_eq!(holds(Some(2)), [Ok(true), Ok(true), Ok(true), Ok(true)]);
    assert_eq!(holds(Some(0)), [Ok(false), Ok(true), Ok(true), Ok(true)]);
    assert_eq!(holds(Some(1)), [Ok(false), Ok(false), Ok(true), Ok(true)]);
    assert_eq!(
        [0, 1, 2, 3, 4].map(|handler| program.conditions_after(handler).to_vec()),
        [vec![0], vec![1], vec![1], vec![0, 2], vec![]]
    );
    assert!(program.has_condition(0) && !program.has_condition(3));
    let dump = module.to_string();
    assert!(dump.contains("condition of process.data(1).write: long {"), "{dump}");
}

/// `n++` is one addition in memory, also where the script has functions.
#[test]
fn counting_is_one_addition_in_memory() {
    let script = "global n function f() { n-- }
        probe process.data(1).write { n++ } probe end { f(); println(n) }";
    let module = module(script, &Limits::default());
    let program = Program::compile(&module, true).unwrap();
    let assembly = &program.listings()[0].assembly;
    assert!(!assembly.contains(" call"), "{assembly}");
    assert!(
        assembly.contains("addq $0x1, (%") && assembly.lines().count() < 30,
        "{assembly}"
    );
}

fn seconds(lines: usize, one_handler: bool) -> f64 {
    let mut script = String::from("global n, a, t\nfunction f(x) { return x + 1 }\n");
    let line = |number: usize| match number % 5 {
        0 => format!("if ($new > {number}) n++\n"),
        1 => format!("a[tid(), \"k{number}\"] += f(n)\n"),
        2 => format!("printf(\"%d %s {number}\\n\", n, execname())\n"),
        3 => "try { n = 1000 / n } catch { n = 1 }\n".to_owned(),
        _ => format!("t = t . \"{number}\"\n"),
    };
    let per_handler = if one_handler { lines } else { 20 };
    for start in (0..lines).step_by(per_handler) {
        script += "probe process.data(1).write {\n";
        (start..start + per_handler).for_each(|number| script += &line(number));
        script += "}\n";
    }
    let start = Instant::now();
    let module = module(&script, &Limits::default());
    let lowered = start.elapsed().as_secs_f64();
    Program::compile(&module, false).unwrap();
    let all = start.elapsed().as_secs_f64();
    println!("{lines} lines, one handler {one_handler}: {lowered:.3} s, {all:.3} s");
    all
}

/// Growth is linear: eight times the lines take about eight times as long.
#[test]
fn compiling_grows_with_the_script() {
    for one_handler in [false, true] {
        seconds(100, one_handler);
        let (short, long) = (seconds(200, one_handler), seconds(1600, one_handler));
        assert!(long < 8.0 * short * 2.5, "{short} s, {long} s");
    }
}
