//! All live tests once more with each engine that they do not run with anyway.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::process::Command;
use std::rc::Rc;

use common::{ENGINE, engine_name, live, skip};
use hwtrace::engines::{Choice, ENGINES};
use hwtrace_runtime::kernel::Kernel;
use hwtrace_runtime::kernel::linux::Linux;

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
        tests.args(["test", "--quiet", "--package", "hwtrace", "--test", "live_*"]);
        let ended = tests.env(ENGINE, engine.name).output().unwrap();
        let said = [ended.stdout, ended.stderr].map(|it| String::from_utf8(it).unwrap());
        assert!(ended.status.success(), "{}:\n{}\n{}", engine.name, said[0], said[1]);
    }
}
