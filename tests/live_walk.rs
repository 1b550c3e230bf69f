//! Page tables are walked as the kernel walks them: our own memory, read both ways.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::rc::Rc;
use std::time::Instant;

use hwtrace_probes::btf::Btf;
use hwtrace_probes::kernel::{TASK, member_offset};
use hwtrace_runtime::bpf::Walk;
use hwtrace_runtime::kernel::Kernel;
use hwtrace_runtime::kernel::linux::Linux;

fn offsets() -> Option<(u32, u32)> {
    let types = Btf::running(1).ok()?;
    let member =
        |structure, name| member_offset(&types, structure, name)?.try_into().ok();
    Some((member(TASK, "mm")?, member("struct mm_struct", "pgd")?))
}

#[test]
fn what() {
    let kernel: Rc<dyn Kernel> = Rc::new(Linux);
    let (mm, pgd) = offsets().unwrap();
    let t = Instant::now();
    let walk = Walk::find(&kernel, mm, pgd);
    eprintln!("{mm} {pgd} {walk:x?} {:?}", t.elapsed());
}
