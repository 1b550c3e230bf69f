//! Probe points that nothing can arm yet: they parse and check, and are refused
//! with a clear error when they are to be armed, or left out where a `?` or `!`
//! allows it. And the session's own points, which work.
//!
//! `INSTA_UPDATE=always cargo test --test points` blesses what comes out.
#![allow(missing_docs, clippy::unwrap_used)]

use std::process::{Command, Output, Stdio};

/// At accesses to data: `$new` and `access()` are known.
const DATA: &[&str] = &[
    "process.function(\"F\").data(\"LOCAL\").write",
    "process(\"a.out\").function(\"F\").data(\"LOCAL\").length(8).every(2).change",
    "process.function(\"F\").data(\"LOCAL\").limit(3).rw.pinned",
];

/// Everything else.
const OTHERS: &[&str] = &[
    "process.function(\"main\")",
    "process(\"/bin/ls\").function(\"*\").call",
    "process(1).function(\"main\").return",
    "process.statement(\"main@a.c:12\")",
    "process.statement(0x401000)",
    "process.mark(\"start\")",
    "process(\"/bin/ls\").exec(0x401000)",
    "process.exec(\"main\")",
    "kernel.exec(\"schedule\")",
    "process.begin",
    "process(\"/bin/ls\").end",
    "process.thread.begin",
    "process.thread.end",
    "kernel.trace(\"sched:sched_switch\")",
    "kernel.function(\"vfs_read\")",
    "kernel.function(\"vfs_*\").return",
    "syscall.openat",
    "syscall.*.return",
    "perf.type(0).config(1)",
    "perf.type(0).config(1).sample(100000)",
    "timer.profile",
    "timer.jiffies(10).randomize(3)",
];

fn hwtrace(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hwtrace"));
    command.args(["--color", "never"]).args(args).stdin(Stdio::null()).output().unwrap()
}

fn errors(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Prints what a handler printed, and the status.
fn run(script: &str) -> String {
    let output = hwtrace(&["-q", "-e", script]);
    let printed = String::from_utf8(output.stdout.clone()).unwrap();
    format!("{printed}{}status {}", errors(&output), output.status.code().unwrap())
}

#[test]
fn each_checks_and_is_refused_when_it_is_to_be_armed() {
    let data = DATA.iter().map(|point| (point, "println($old, $new, access())"));
    let others = OTHERS.iter().map(|point| (point, "println(pp(), pid(), execname())"));
    for (point, body) in data.chain(others) {
        let script = format!("probe {point} {{ {body} }}");
        let checked = hwtrace(&["--check", "-e", &script]);
        assert_eq!(checked.status.code(), Some(0), "{point}: {}", errors(&checked));
        assert_eq!(errors(&checked), "", "{point}");
        let armed = hwtrace(&["-q", "-e", &script]);
        assert_eq!(armed.status.code(), Some(2), "{point}");
        let told = errors(&armed);
        assert!(told.starts_with("error[E0303]: "), "{point}: {told}");
        assert!(told.contains("  = help: "), "{point}: {told}");
        // Optional, it is left out without a word.
        let script = format!("probe {point} ? {{ {body} }} probe begin {{ exit() }}");
        assert_eq!(run(&script), "status 0", "{point}");
    }
}

#[test]
fn how_the_refusal_looks() {
    insta::assert_snapshot!(
        run("probe process.function(\"F\").data(\"n\").write { n++ }\n\
             probe syscall.read { n++ }"),
        @r#"
    error[E0303]: `process.function("F").data("n").write` is not available yet
     --> <command line>:1:39
      |
    1 | probe process.function("F").data("n").write { n++ }
      |                                       ^^^^^
      |
      = help: only variables with a fixed address can be watched

    error[E0303]: `syscall.read` is not available yet
     --> <command line>:2:15
      |
    2 | probe syscall.read { n++ }
      |               ^^^^
      |
      = help: this version watches data of processes: process.data("EXPR").write
    status 2
    "#
    );
}

/// What belongs to the arguments of a function has no type yet.
#[test]
fn variables_of_code_are_not_known() {
    let output =
        hwtrace(&["--check", "-e", "probe process.function(\"f\") { println($x) }"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(errors(&output).starts_with("error[E0110]: `$x` is not known at"));
}

#[test]
fn points_behind_one_that_cannot_be_armed_stand_in_for_it() {
    let stand_in =
        "probe kernel.data(\"x\").write!, begin { println(\"begins\"); exit() }";
    assert_eq!(run(stand_in), "begins\nstatus 0");
}

#[test]
fn oneshot_and_never() {
    let script = "probe oneshot { println(\"once\") } probe never { println(\"never\") }
                  probe begin(1) { println(\"too late\") } probe end { println(\"end\") }";
    assert_eq!(run(script), "once\nend\nstatus 0");
    let refused = hwtrace(&["--check", "-e", "probe never { println(x) }"]);
    assert!(errors(&refused).starts_with("error[E0101]"), "{}", errors(&refused));
}

#[test]
fn timers_by_frequency_and_with_random_periods() {
    let script = "global n probe timer.hz(200) { n++ } probe timer.ms(4).randomize(2) { m++ }
                  probe timer.ms(200) { println(n > 5 && n < 60, m > 0); exit() } global m";
    assert_eq!(run(script), "11\nstatus 0");
}

/// The two hardware-watch scripts of SystemTap's documentation have this shape.
#[test]
fn the_yardsticks_check() {
    for (script, argument) in
        [("hw_watch_addr", "0xffffffff82a0b0c8"), ("hw_watch_sym", "pid_max")]
    {
        let path = format!("{}/tests/systemtap/{script}.stp", env!("CARGO_MANIFEST_DIR"));
        let checked = hwtrace(&["--check", &path, argument]);
        assert_eq!(checked.status.code(), Some(0), "{}", errors(&checked));
    }
}
