//! Everything that holds with samples holds with programs: the live tests again, by
//! themselves, since they need all debug registers.

#![allow(missing_docs)]

use std::process::Command;
use std::rc::Rc;

use hwtrace_runtime::engine::bpf::probe;
use hwtrace_runtime::kernel::Kernel;
use hwtrace_runtime::kernel::linux::Linux;

#[test]
fn all_that_holds_with_samples_holds_with_programs() {
    let kernel: Rc<dyn Kernel> = Rc::new(Linux);
    if let Err(error) = probe(&kernel) {
        eprintln!("SKIPPED: {error}");
        let required = std::env::var_os("HWTRACE_REQUIRE_LIVE").is_some();
        assert!(!required, "HWTRACE_REQUIRE_LIVE is set: {error}");
        return;
    }
    let mut tests = Command::new(env!("CARGO"));
    tests.args([
        "test",
        "--quiet",
        "--package",
        "hwtrace-runtime",
        "--test",
        "live",
        "--",
    ]);
    // Nobody may not run programs.
    for skipped in ["programs", "nobody", "everybody"] {
        tests.args(["--skip", skipped]);
    }
    let output = tests.env("HWTRACE_TEST_ENGINE", "bpf").output().expect("runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
}
