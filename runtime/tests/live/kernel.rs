//! Watches on the kernel's own data.

use std::process::Command;
use std::time::{Duration, Instant};

use hwtrace_runtime::engine::perf::PerfOptions;
use hwtrace_runtime::engine::{ArmError, Engine, Flow};
use hwtrace_runtime::event::{Event, RawHit, Registers, Trigger, Watch};

use crate::common::{
    HANGS, Target, Tracer, all_registers, compile, is_alone, is_live, run_alone,
    stores_to,
};

/// Sets the host's name to what it is, and stores to a variable of its own.
const RENAMES: &str = "
    #include <stdio.h>
    #include <string.h>
    #include <unistd.h>
    volatile unsigned long counter;
    int main(void) {
        char name[65] = {0}, line[8];
        gethostname(name, 64);
        puts(\"ready\"); fflush(stdout);
        if (!fgets(line, 8, stdin)) return 1;
        for (int i = 0; i < 20; i++) {
            if (sethostname(name, strlen(name))) return 1;
            counter = i;
        }
        return 0;
    }";

/// Eight aligned bytes in the middle of the host's name: `init_uts_ns.name`
/// begins with two names of 65 bytes (include/uapi/linux/utsname.h).
fn host_name() -> Option<Watch> {
    let symbols = std::fs::read_to_string("/proc/kallsyms").ok()?;
    let line = symbols.lines().find(|line| line.ends_with(" init_uts_ns"))?;
    let address = u64::from_str_radix(line.split(' ').next()?, 16).ok()?;
    let address = (address + 65).next_multiple_of(8) + 32;
    let watch = Watch { address, length: 8, trigger: Trigger::Write };
    watch.is_kernel().then_some(watch)
}

#[test]
fn what_the_kernel_stores_to_its_own_data_is_seen_with_its_calls() {
    if !is_live() || !nix::unistd::geteuid().is_root() {
        return;
    }
    match host_name() {
        Some(watch) => check_twenty(Target::start(&renamer()), &renamer(), watch),
        None => eprintln!("SKIPPED: this kernel has no address of the host's name"),
    }
}

fn renamer() -> std::path::PathBuf {
    compile("renames", RENAMES, &[])
}

/// Writes to a file in memory, and says on which page it is.
const WRITES: &str = "
    #define _GNU_SOURCE
    #include <fcntl.h>
    #include <stdio.h>
    #include <sys/mman.h>
    #include <unistd.h>
    volatile unsigned long counter;
    int main(void) {
        char line[8]; unsigned long page = 0;
        int file = memfd_create(\"page\", 0);
        if (ftruncate(file, 4096)) return 1;
        char *data = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        data[0] = 1;
        if (mlock(data, 4096)) return 1;
        int pages = open(\"/proc/self/pagemap\", O_RDONLY);
        pread(pages, &page, 8, (unsigned long)data / 4096 * 8);
        printf(\"ready\\n%lx\\n\", page & ((1ul << 55) - 1)); fflush(stdout);
        if (!fgets(line, 8, stdin)) return 1;
        for (long i = 0; i < 20; i++) {
            if (pwrite(file, &i, 8, 64) != 8) return 1;
            counter = i;
        }
        return 0;
    }";

/// A page of a file is the kernel's by another address, at which write(2) stores:
/// known without symbols where the kernel is where it was linked to be
/// (Documentation/arch/x86/x86_64/mm.rst, "direct mapping").
#[test]
fn what_the_kernel_stores_to_its_pages_is_seen_with_its_calls() {
    const DIRECT_MAPPING: u64 = 0xffff_8880_0000_0000;
    let is_linked_place =
        |symbols: String| symbols.contains("ffffffff81000000 T _text\n");
    if !is_live() || !nix::unistd::geteuid().is_root() {
        return;
    }
    let symbols = std::fs::read_to_string("/proc/kallsyms");
    if !symbols.is_ok_and(is_linked_place) {
        eprintln!("SKIPPED: this kernel is not where it was linked to be");
        return;
    }
    let program = compile("writes", WRITES, &[]);
    let mut target = Target::start(&program);
    let page = u64::from_str_radix(&target.line(), 16).expect("a number");
    assert_ne!(page, 0, "hidden");
    let address = DIRECT_MAPPING + page * 4096 + 64;
    let watch = Watch { address, length: 8, trigger: Trigger::Write };
    check_twenty(target, &program, watch);
}

/// A watch on the kernel's data and one on the target's `counter`: twenty hits
/// of each, in turn.
fn check_twenty(mut target: Target, program: &std::path::Path, watch: Watch) {
    let _registers = all_registers();
    let mut tracer = armed_for_kernel(watch);
    let own = stores_to(program, "counter");
    tracer.engine.attach(target.pid(), &[None, Some(own)]).expect("attached");
    target.go();
    assert!(target.child.wait().expect("our child").success());
    tracer.engine.disarm();
    let mut order = Vec::new();
    let drained = tracer.engine.drain(true, &mut |event| {
        match event {
            Event::Hit(hit) if hit.pid == target.pid() => {
                order.push(hit.watch);
                check(&hit);
            }
            _ => {}
        }
        Flow::Continue
    });
    drained.expect("good records");
    let of = |watch| order.iter().filter(|it| **it == watch).count();
    let (kernel, user) = (of(0), of(1));
    assert!(kernel >= 20 && user == 20, "{order:?}");
    order.dedup();
    assert_eq!(order, [0, 1].repeat(20), "in turn");
    let account = tracer.engine.account();
    assert!(account.counted[0] >= kernel as u64, "{account:?}");
    assert_eq!((account.counted[1], account.lost), (20, 0));
}

/// Another program's threads may have all registers for a while.
fn armed_for_kernel(watch: Watch) -> Tracer {
    let begun = Instant::now();
    loop {
        let mut tracer = Tracer::new(PerfOptions::default());
        match tracer.engine.arm_kernel(&[Some(watch)]) {
            Err(ArmError::NoFreeRegister { .. }) if begun.elapsed() < HANGS => {
                eprintln!("AGAIN: somebody has all registers");
                std::thread::sleep(Duration::from_millis(20));
            }
            armed => {
                let armed = armed.expect("armed");
                assert_eq!((armed.threads, armed.slots), (0, 1));
                return tracer;
            }
        }
    }
}

fn check(hit: &RawHit<'_>) {
    // The stack pointer, by perf's number.
    let stack_is = |registers: &Registers<'_>, half| {
        registers.get(7).is_some_and(|stack| stack >> 63 == half)
    };
    assert!(stack_is(&hit.registers, 0));
    if hit.watch == 1 {
        assert!(!hit.kernel && hit.kernel_stack.is_empty());
        assert_eq!(hit.interrupted.mask, 0);
        return;
    }
    assert!(hit.kernel && hit.ip >> 63 == 1);
    assert!(stack_is(&hit.interrupted, 1));
    assert!(hit.kernel_stack.len() > 2, "{:x?}", hit.kernel_stack);
    assert!(hit.kernel_stack.iter().all(|call| call >> 63 == 1));
}

#[test]
fn the_kernels_data_is_not_for_everybody() {
    if is_live() {
        run_alone("kernel::as_nobody", true);
    }
}

#[test]
fn as_nobody() {
    if !is_alone() || nix::unistd::geteuid().is_root() {
        return;
    }
    let address = 0xffff_ffff_8100_0000;
    let watch = Watch { address, length: 8, trigger: Trigger::Write };
    let mut tracer = Tracer::new(PerfOptions::default());
    let error = tracer.engine.arm_kernel(&[Some(watch)]).expect_err("no right");
    assert!(matches!(error, ArmError::KernelPermission { .. }), "{error:?}");
    assert!(Command::new("true").status().expect("a child").success(), "we go on");
}
