//! Live tests once more with each engine that they do not run with anyway.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::process::Command;
use std::rc::Rc;

use common::{ENGINE, engine_name, live, skip};
use hwtrace::engines::{Choice, ENGINES};
use hwtrace_runtime::kernel::Kernel;
use hwtrace_runtime::kernel::linux::Linux;

/// The live tests that are run with an engine: all of them with those that are fast, and
/// with others what shows everything in little time. `runtime/tests/traced` has more.
const FILES: [(&str, &[&str]); 4] = [
    ("bpf", &["live_*"]),
    ("perf", &["live_*"]),
    (
        "ptrace",
        &[
            "live_code",
            "live_conditions",
            "live_endings",
            "live_errors",
            "live_follow",
            "live_instructions",
            "live_kernel_data",
            "live_libraries",
            "live_lines",
            "live_own",
            "live_processes",
            "live_registers",
            "live_stacks",
            "live_stacks_real",
            "live_terminal",
            "live_types",
        ],
    ),
    ("step", &["live_conditions", "live_kernel_data", "live_lines", "live_stacks"]),
];

#[test]
fn each_engine_has_its_tests() {
    let names: Vec<_> = ENGINES.iter().map(|engine| engine.name).collect();
    assert_eq!(names, FILES.map(|row| row.0));
}

#[test]
fn the_live_tests_with_the_other_engines() {
    if std::env::var_os(ENGINE).is_some() || !live() {
        return;
    }
    let kernel: Rc<dyn Kernel> = Rc::new(Linux);
    for engine in ENGINES.iter().filter(|engine| engine.name != engine_name()) {
        if let Err(why) = Choice::Only(engine).take(&kernel) {
            // Of a machine where live tests are required root runs them.
            skip(&why.to_string());
            continue;
        }
        let mut tests = Command::new(env!("CARGO"));
        tests.args(["test", "--quiet", "--package", "hwtrace"]);
        let files = FILES.iter().filter(|row| row.0 == engine.name).flat_map(|row| row.1);
        tests.args(files.flat_map(|file| ["--test", file]));
        let ended = tests.env(ENGINE, engine.name).output().unwrap();
        let said = [ended.stdout, ended.stderr].map(|it| String::from_utf8(it).unwrap());
        assert!(ended.status.success(), "{}:\n{}\n{}", engine.name, said[0], said[1]);
    }
}
