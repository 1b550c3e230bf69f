//! Single threads: each store is a hit, in order.

use hwtrace_runtime::engine::perf::PerfOptions;
use hwtrace_runtime::event::{Trigger, Watch};

use crate::common::{
    Trace, compile, despite_stalls, is_alone, is_live, run_alone, stores_to, symbol,
    trace_program,
};

const COUNT: &str = "
    volatile unsigned long counter;
    __attribute__((noinline)) void store(unsigned long n) {
        for (unsigned long i = 0; i < n; i++) counter = i;
    }
    int main(void) { store(100000); return 0; }";

fn trace_count(name: &str) -> (u32, u64, u64, Trace) {
    let program = compile(name, COUNT, &[]);
    let (start, size) = symbol(&program, "store");
    let watches = [stores_to(&program, "counter")];
    let (pid, trace) = trace_program(&program, &watches, PerfOptions::default());
    (pid, start, size, trace)
}

/// Gives how many records were lost or late.
fn check_count(name: &str) -> u64 {
    let (pid, start, size, trace) = trace_count(name);
    for hit in &trace.hits {
        assert_eq!((hit.watch, hit.pid, hit.tid), (0, pid, pid));
        assert!((start..start + size).contains(&hit.ip), "{:x}", hit.ip);
        assert_eq!((hit.registers, hit.kernel), (17, false), "general ones and FLAGS");
    }
    assert!(trace.ended == [pid] || trace.account.lost_sideband > 0);
    trace.disturbed(100_000)
}

#[test]
fn every_store_is_a_hit_in_order() {
    if is_live() {
        despite_stalls(|| check_count("count"));
    }
}

#[test]
fn every_store_is_a_hit_for_nobody_too() {
    if is_alone() {
        despite_stalls(|| check_count("count_nobody"));
    } else if is_live() {
        // The folder is root's: the program is made here, by its own name.
        compile("count_nobody", COUNT, &[]);
        run_alone("hits::as_nobody", true);
    }
}

#[test]
fn as_nobody() {
    if !is_alone() || !is_live() {
        return;
    }
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let program = folder.join("count_nobody");
    let watches = [stores_to(&program, "counter")];
    despite_stalls(|| {
        let (_, trace) = trace_program(&program, &watches, PerfOptions::default());
        trace.disturbed(100_000)
    });
}

#[test]
fn loads_fire_where_asked_for() {
    if !is_live() {
        return;
    }
    let source = "
        volatile unsigned long a = 1, b;
        int main(void) { for (int i = 0; i < 100; i++) b = a; return 0; }";
    let program = compile("loads", source, &[]);
    let loads = Watch { trigger: Trigger::ReadWrite, ..stores_to(&program, "a") };
    let watches = [loads, stores_to(&program, "a"), stores_to(&program, "b")];
    let (_, trace) = trace_program(&program, &watches, PerfOptions::default());
    trace.assert_complete(200);
    assert_eq!(trace.account.counted, [100, 0, 100]);
}

#[test]
fn what_the_kernel_stores_is_seen_by_the_privileged() {
    if !is_live() || !nix::unistd::geteuid().is_root() {
        return;
    }
    let source = "
        #include <unistd.h>
        unsigned long word;
        int main(void) {
            int ends[2]; long value = 5;
            return pipe(ends) || write(ends[1], &value, 8) != 8
                || read(ends[0], &word, 8) != 8;
        }";
    let program = compile("kernel_store", source, &[]);
    let watches = [stores_to(&program, "word")];
    let (_, trace) = trace_program(&program, &watches, PerfOptions::default());
    assert!(!trace.hits.is_empty());
    assert!(trace.hits.iter().all(|hit| hit.kernel));
    let options = PerfOptions { user_only: true, ..PerfOptions::default() };
    let (_, trace) = trace_program(&program, &watches, options);
    trace.assert_complete(0);
}

#[test]
fn an_exec_ends_the_watches_and_is_reported() {
    if !is_live() {
        return;
    }
    let source = "
        #include <unistd.h>
        volatile unsigned long counter;
        int main(int argc, char **argv) {
            for (int i = 0; i < 50; i++) counter = i;
            if (argc > 1) return 0;
            execl(\"/proc/self/exe\", \"again\", \"again\", (char *)0);
            return 1;
        }";
    let program = compile("execs", source, &[]);
    let watches = [stores_to(&program, "counter")];
    let (pid, trace) = trace_program(&program, &watches, PerfOptions::default());
    // The second image's stores are to the same address, and no hits.
    trace.assert_complete(50);
    assert!(trace.names.iter().any(|name| name.0 == pid && name.2), "{:?}", trace.names);
    assert_eq!(trace.ended, [pid]);
}
