//! Threads are born while registers are passed on and moved: no hit is told of another
//! variable than was stored to.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Hwtrace, c_with, despite_lost_traps, engine_name, live};

/// Asks of each hit which variable the values name, and which it is told of.
const COMPARED: &str = r#"
    global all, wrong
    function compare(number, new, old) {
        all++
        wrong += (new >> 32) - 1 != number || old && (old >> 32) - 1 != number
    }
    probe end { printf("figures %d %d\n", all, wrong) }"#;

/// Follows births.c, and compares all hits of a point.
fn compare(script: &str, options: &[&str], arguments: &str) {
    // Who watches all processes of a program is to find those of this test alone.
    let own = if script.contains("PROGRAM") { "-DOWN" } else { "-DSHARED" };
    let program = c_with("births", &["-g", "-pthread", "-fPIE", "-pie", own]);
    let script = script.replace("PROGRAM", program.to_str().unwrap());
    let command = format!("{} {arguments}", program.display());
    let ended = despite_lost_traps(|| {
        let hwtrace = Hwtrace::new(&["-e", &format!("{COMPARED} {script}")]);
        let ended = hwtrace.with(options).with(&["-c", &command]).run().expect(0);
        let trapped = ended.messages.iter().any(|line| line.contains("SIGTRAP"));
        (!trapped).then_some(ended)
    });
    let [all, wrong] = ended.numbers("figures ")[0][..] else { panic!() };
    assert!(all > 500 && wrong == 0, "{wrong} of {all}: {ended:#?}");
}

#[test]
fn of_many_processes_with_addresses_of_their_own() {
    if !live() || ["ptrace", "step"].contains(&engine_name()) {
        return;
    }
    let script = r#"
        probe process("PROGRAM").data("v[0..8]").write {
            compare((data_addr() - &@var("v")) / 8, $new, $old)
        }"#;
    compare(script, &["--slice", "0.5"], "3 5");
}

#[test]
fn of_objects_that_take_turns() {
    if !live() || engine_name() == "step" {
        return;
    }
    let script = r#"
        probe begin { for (i = 0; i < 8; i++) watch("o", &@var("v[0]") + 8 * i, 8) }
        probe process.watch("o").write {
            compare((data_addr() - &@var("v[0]")) / 8, $new, $old)
        }"#;
    compare(script, &["--slice", "0.5"], "3");
}

#[test]
fn of_pointers_that_are_followed() {
    if !live() || engine_name() == "step" {
        return;
    }
    let script = r#"
        probe process.data("*place").write.follow {
            compare((data_addr() - &@var("v[0]")) / 8, $new, $old)
        }"#;
    compare(script, &[], "3");
}
