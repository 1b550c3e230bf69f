//! `hwtrace doctor`: what works here, and what would make the rest work.

use std::rc::Rc;

use hwtrace::cli::DoctorArgs;
use hwtrace::doctor;
use hwtrace_runtime::kernel::Kernel;
use hwtrace_runtime::kernel::linux::Linux;

use super::{RUN_TIME, put};

pub(crate) fn run(args: &DoctorArgs) -> Result<(), u8> {
    let kernel: Rc<dyn Kernel> = Rc::new(Linux);
    let report = doctor::examine(&kernel);
    put(&if args.json { report.json() } else { report.text() })?;
    if report.usable { Ok(()) } else { Err(RUN_TIME) }
}
