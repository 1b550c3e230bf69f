//! Bytes whose register reports loads, too, are read at the hit without being a hit:
//! by way of page tables, which are walked as the processor walks them.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::rc::Rc;

use common::{
    Recorded, Target, c, despite_lost_traps, despite_stalls, engine_name, live, record,
    request, skip,
};
use hwtrace_probes::btf::Btf;
use hwtrace_probes::kernel::{TASK, offset};
use hwtrace_probes::spec::Mode;
use hwtrace_runtime::bpf::Walk;
use hwtrace_runtime::kernel::Kernel;
use hwtrace_runtime::kernel::linux::Linux;
use hwtrace_runtime::schema::UNSURE_NEW;

/// None where this machine does not let us.
fn walk(kernel: &Rc<dyn Kernel>) -> Option<Walk> {
    let types = Btf::running(1).ok()?;
    let mm = offset(&types, TASK, "mm")?;
    let pgd = offset(&types, "struct mm_struct", "pgd")?;
    Walk::find(kernel, mm, pgd)
}

/// Whether programs are run at hits here, and walk page tables.
fn walks() -> bool {
    let kernel: Rc<dyn Kernel> = Rc::new(Linux);
    if !live() || engine_name() != "bpf" {
        return false;
    }
    if std::fs::read_to_string("/proc/cpuinfo").unwrap().contains(" la57") {
        eprintln!("SKIPPED: page tables have five levels here");
        return false;
    }
    walk(&kernel).is_some() || skip("page tables can not be walked")
}

#[test]
fn our_own_memory_is_read_as_it_is() {
    if !walks() {
        return;
    }
    let kernel: Rc<dyn Kernel> = Rc::new(Linux);
    let walk = walk(&kernel).unwrap();
    let value = Box::new(std::hint::black_box(0x1122_3344_5566_7788_u64));
    let address = std::ptr::from_ref(&*value) as u64;
    for (offset, length, expected) in [
        (0, 8, 0x1122_3344_5566_7788),
        (0, 4, 0x5566_7788),
        (4, 4, 0x1122_3344),
        (6, 2, 0x1122),
        (3, 1, 0x55),
    ] {
        assert_eq!(walk.read_own(&kernel, address + offset, length), Some(expected));
    }
    for nowhere in [8, 1 << 46, 0x7fff_ffff_f000 - 8] {
        assert_eq!(walk.read_own(&kernel, nowhere, 8), None, "{nowhere:x}");
    }
}

/// Pages that nobody has touched are not there, and one that the kernel took a large
/// page for is found at every place in it.
#[test]
fn untouched_pages_are_none_and_large_ones_are_whole() {
    const LARGE: usize = 2 << 20;
    if !walks() {
        return;
    }
    let kernel: Rc<dyn Kernel> = Rc::new(Linux);
    let walk = walk(&kernel).unwrap();
    let mut memory = vec![0_u64; 3 * LARGE / 8];
    let start = memory.as_ptr() as usize;
    let first = (start.next_multiple_of(LARGE) - start) / 8;
    let range = &mut memory[first..first + LARGE / 8];
    let address = |index: usize| (start + (first + index) * 8) as u64;
    assert_eq!(walk.read_own(&kernel, address(512), 8), None);
    prefer_large(range);
    range.iter_mut().enumerate().for_each(|(index, word)| *word = index as u64 * 3);
    std::hint::black_box(&*range);
    for index in (0..LARGE / 8).step_by(4096 / 8 * 7 + 1) {
        let found = walk.read_own(&kernel, address(index), 8);
        assert_eq!(found, Some(index as u64 * 3), "{index}");
    }
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let large = rollup.lines().find(|line| line.starts_with("AnonHugePages")).unwrap();
    if large.contains(" 0 kB") {
        eprintln!("SKIPPED: the kernel took no large page");
    }
}

/// Asks the kernel to take a large page for it.
#[allow(unsafe_code)]
fn prefer_large(memory: &mut [u64]) {
    let bytes = std::mem::size_of_val(memory);
    // SAFETY: the memory is ours, and stays as it is.
    unsafe { libc::madvise(memory.as_mut_ptr().cast(), bytes, libc::MADV_HUGEPAGE) };
}

/// All accesses to a variable of loads.c; it is given this argument.
fn accesses(what: &str, variable: &str, rounds: u64) -> Recorded {
    despite_lost_traps(|| {
        let mut target = Target::start(&c("loads"), &[what, &rounds.to_string()]);
        let process = hwtrace::target::Target::Process(target.pid());
        let recorded = record(&process, vec![request(variable, Mode::ReadWrite)], || {
            target.say("go");
            target.close();
        });
        target.finish()?;
        Some(recorded)
    })
}

/// Gives how many records came late.
#[track_caller]
fn assert_all_known(recorded: &Recorded, hits: u64) -> u64 {
    let summary = &recorded.summary;
    let counted = (summary.hits, summary.counted, summary.lost);
    assert_eq!(counted, (hits, hits, 0), "{summary:?}");
    // What was there before is told, or was read, and what is there after was read: in
    // doubt only where another thread stores.
    let threads = recorded.threads().len();
    let doubts = if threads == 1 { 0 } else { UNSURE_NEW };
    let others = recorded.records().filter(|record| record.doubts & !doubts != 0);
    assert_eq!(others.count(), 0, "{summary:?}");
    summary.late
}

#[test]
fn a_double_that_is_stored_is_known_at_each_hit() {
    if !walks() {
        return;
    }
    let recorded = accesses("double", "real", 2000);
    assert_eq!(assert_all_known(&recorded, 2000), 0, "one thread");
    let values = recorded.records().map(|record| f64::from_bits(record.new));
    assert!(values.eq((0..2000).map(|it| f64::from(it) / 4.0)));
    let before = recorded.records().map(|record| f64::from_bits(record.old));
    assert!(before.skip(1).eq((0..1999).map(|it| f64::from(it) / 4.0)));
}

/// Each value is what one of them found, and no other.
#[test]
fn what_two_threads_add_to_is_known_at_each_hit() {
    const ROUNDS: u64 = 20_000;
    if !walks() {
        return;
    }
    despite_stalls(|| {
        let recorded = accesses("add", "counter", ROUNDS);
        let late = assert_all_known(&recorded, 2 * ROUNDS);
        assert_eq!(recorded.threads().len(), 2);
        let mut found: Vec<_> = recorded.records().map(|record| record.old).collect();
        found.sort_unstable();
        assert!(found.into_iter().eq(0..2 * ROUNDS));
        // Another may have added in between, and never taken away.
        assert!(recorded.records().all(|record| record.new > record.old));
        late
    });
}
