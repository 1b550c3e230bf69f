//! What handlers ask of the hit and its process, natively and in the
//! evaluator alike.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{module, run_with};
use hwtrace_runtime::abi::Limits;
use hwtrace_runtime::abi::registers::REGISTERS;

/// What the script prints at one hit.
fn hit(body: &str) -> common::Seen {
    run_with(&format!("probe process.x {{ {body} }}"), &Limits::default(), 1)
}

#[test]
fn each_register_has_its_value_by_literal_and_by_name() {
    let mut script = String::from("function n(text) { return text } probe process.x {\n");
    let mut expected = String::new();
    for register in REGISTERS {
        let name = register.name;
        script += &format!(
            r#"printf("%d %d %d %d\n", register("{name}"), u_register("{name}"),
                register(n("{name}")), u_register(n("{name}")))"#
        );
        let half = 0x8000_0000 | i64::from(register.number);
        let whole = i64::from(register.number) << 32 | half;
        let (signed, unsigned) =
            if register.narrow { (half - (1 << 32), half) } else { (whole, whole) };
        expected += &format!("{signed} {unsigned} {signed} {unsigned}\n");
    }
    let seen = run_with(&(script + "}"), &Limits::default(), 1);
    assert_eq!(seen.output, expected);
}

#[test]
fn a_literal_name_is_not_looked_up_at_the_hit() {
    let text = |script: &str| module(script, &Limits::default());
    let literal = text(
        r#"global n probe process.x { n = register("eax") exit() }
        probe end { print(n) }"#,
    );
    assert!(literal.layout.registers && literal.layout.constants.is_empty());
    let other = text("probe process.x { println(execname()) }");
    assert!(!other.layout.registers, "registers are copied only where asked for");
}

#[test]
fn unknown_registers_fault() {
    let seen =
        hit(r#"try { register("x" . "0") } catch (what) { println(what) } print_regs()"#);
    assert!(seen.output.starts_with("Unknown register: x0\nRIP: 0000000880000008\n"));
    assert_eq!(seen.output.lines().count(), 8);
}

#[test]
fn signals_are_sent_at_once_and_checked() {
    let seen = hit(
        "stop() signal(64) try { signal(65) } catch (what) { println(what) } signal(-1) signal(1)",
    );
    assert_eq!(seen.signals, [(7, 19), (7, 64)]);
    assert_eq!(seen.output, "there is no signal 65: signals are 1 to 64\n");
    assert_eq!(seen.fault_text, "there is no signal -1: signals are 1 to 64");
    assert_eq!(seen.faults.len(), 1);
}

#[test]
fn names_and_modes() {
    let script = r#"function inside() { return probefunc() . "," . ppfunc() }
        probe process.x { printf("%s %d|", inside(), user_mode()) }
        probe end { printf("%s\n%s %s %s %s\n", inside(), symname(3), symdata(4), modname(5), umodname(6)) }"#;
    let seen = run_with(script, &Limits::default(), 2);
    let expected =
        "0x401000,0x401000 0|0x401004,0x401004 1|,\n0x3 0x4 <unknown> <unknown>\n";
    assert_eq!(seen.output, expected);
}
