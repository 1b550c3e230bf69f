//! Programs made of plans: the kernel takes each, and filters mean what the plan
//! says.



use std::rc::Rc;

use hwtrace_runtime::bpf::BpfError;

use hwtrace_runtime::engine::bpf::{check, probe};
use hwtrace_runtime::kernel::Kernel;
use hwtrace_runtime::kernel::linux::Linux;
use hwtrace_runtime::plan::{Needs, Plan, Reads};


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
        let plan = Plan { needs, filter: None, reads: Reads::NONE };
        check(&kernel, &plan).expect("taken");
    }
}
