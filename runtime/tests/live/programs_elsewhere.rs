//! Programs at hits of several processes, in another pid namespace, and with too
//! little room.

use std::process::Command;

use hwtrace_runtime::engine::Engine;
use hwtrace_runtime::engine::perf::PerfOptions;
use hwtrace_runtime::plan::{Comparison, Does, Input, Needs, Reads};

use crate::common::{
    Hit, Target, Trace, Tracer, compile, despite_lost_traps, despite_stalls,
    follow_program, is_alone, stores_to,
};
use crate::programs::{ACCESS, COUNT, filter, plan, runs_programs, trace};

#[test]
fn children_have_shadows_of_their_own_which_end_with_them() {
    if !runs_programs() {
        return;
    }
    let source = "
        #include <sys/wait.h>
        #include <unistd.h>
        volatile unsigned long counter;
        __attribute__((noinline)) void store(long base) {
            for (long i = 0; i < 20; i++) counter = base + i;
        }
        int main(void) {
            store(0);
            for (long child = 1; child <= 50; child++)
                if (fork() == 0) { store(child << 32); _exit(0); }
            while (wait(0) > 0) { }
            store(100);
            return 0;
        }";
    let program = compile("programs_forks", source, &[]);
    let watches = [stores_to(&program, "counter")];
    let plans = [plan(
        ACCESS,
        Some(filter(
            Does::Input(Input::Old),
            Comparison::NotEqual,
            Does::Input(Input::New),
        )),
        Reads::NONE,
    )];
    despite_stalls(|| {
        let (pid, trace) = trace(&program, &watches, &plans);
        check_shadows(pid, &trace);
        assert_eq!(trace.account.lost, 0);
        trace.disturbed(52 * 20)
    });
}

fn check_shadows(pid: u32, trace: &Trace) {
    let processes = trace.by_process();
    assert_eq!((processes.len(), processes[&pid]), (51, 40));
    for pid in processes.keys() {
        let hits: Vec<_> = trace.hits.iter().filter(|hit| hit.pid == *pid).collect();
        assert_eq!(hits[0].at_hit.old, None, "nobody saw one");
        for (last, hit) in hits.iter().zip(&hits[1..]) {
            let left = last.at_hit.told.map(|told| told.new).or(last.at_hit.memory);
            assert_eq!(hit.at_hit.old, left);
        }
    }
}

/// Nobody drains: what has no room is counted, and reported once somebody does.
#[test]
fn what_has_no_room_is_lost_and_said() {
    if !runs_programs() {
        return;
    }
    let program = compile("programs_lost", COUNT, &[]);
    let options = PerfOptions { ring_bytes: Some(4096), ..PerfOptions::default() };
    let plans = [plan(ACCESS, None, Reads::NONE)];
    let (_, trace) = despite_lost_traps(|| {
        let tracer = Tracer::with_programs(options.clone(), &plans);
        follow_program(&program, &[stores_to(&program, "counter")], tracer)
    });
    let account = &trace.account;
    assert!(account.lost > 0 && trace.lost > 0, "{account:?}");
    assert_eq!(trace.hits.len() as u64 + account.lost, 100_000);
    assert_eq!(account.counted, [100_000]);
}

/// A waiter is woken once a quarter of the ring is full, and not by what is left
/// there to settle.
#[test]
fn a_quarter_of_a_ring_wakes() {
    if !runs_programs() {
        return;
    }
    let source = "
        #include <stdio.h>
        volatile unsigned long counter;
        int main(void) {
            char line[8];
            puts(\"ready\"); fflush(stdout);
            while (fgets(line, 8, stdin)) {
                for (int i = 0; i < 200; i++) counter = i;
                puts(\"ready\"); fflush(stdout);
            }
            return 0;
        }";
    let program = compile("programs_wakes", source, &[]);
    despite_lost_traps(|| {
        let mut target = Target::start(&program);
        // Two hundred records of 64 bytes are more than a quarter, also where two
        // CPUs have half of them each.
        let options =
            PerfOptions { ring_bytes: Some(16 << 10), ..PerfOptions::default() };
        let plans = [plan(Needs::default(), None, Reads::NONE)];
        let mut tracer = Tracer::with_programs(options, &plans);
        tracer.arm(target.pid(), &[stores_to(&program, "counter")]);
        let waits = |tracer: &Tracer| {
            let wakes = *tracer.engine.wake_fds().last().expect("one");
            let mut ready = [false];
            let wait = Some(std::time::Duration::from_millis(50));
            tracer.kernel.poll(&[wakes], &mut ready, wait).expect("polls");
            ready[0]
        };
        assert!(!waits(&tracer), "nothing was stored");
        target.go();
        assert_eq!(target.line(), "ready");
        assert!(waits(&tracer), "more than a quarter");
        tracer.drain(false);
        assert!(!waits(&tracer), "it was looked at");
        let trace = tracer.finish();
        trace.assert_complete(200);
        Some(())
    });
}

/// Numbers of processes and threads are those of our own namespace.
#[test]
fn numbers_are_those_of_our_pid_namespace() {
    if is_alone() || !nix::unistd::geteuid().is_root() || !runs_programs() {
        return;
    }
    // Made here: it is run with fewer rights to see anything.
    compile("programs_namespace", COUNT, &[]);
    let mut alone = Command::new("unshare");
    alone.args(["--pid", "--fork", "--mount-proc"]);
    alone.arg(std::env::current_exe().expect("our path"));
    alone.args(["--exact", "programs_elsewhere::in_a_pid_namespace", "--nocapture"]);
    let output = alone.env("HWTRACE_ALONE", "1").output().expect("unshare");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
}

#[test]
fn in_a_pid_namespace() {
    if !is_alone() || !runs_programs() {
        return;
    }
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let program = folder.join("programs_namespace");
    let plans = [plan(ACCESS, None, Reads::NONE)];
    despite_stalls(|| {
        let (pid, trace) = trace(&program, &[stores_to(&program, "counter")], &plans);
        assert!(pid < 1000, "a new namespace");
        assert!(trace.hits.iter().all(|hit| (hit.pid, hit.tid) == (pid, pid)));
        let disturbed = trace.disturbed(100_000);
        let told = trace.hits.iter().any(|hit| hit.at_hit.told.is_some());
        // The first drain, which teaches, may be late, too.
        disturbed + u64::from(!told)
    });
}

/// Registers alone, and no values.
#[test]
fn registers_come_where_they_are_asked_for() {
    if !runs_programs() {
        return;
    }
    let program = compile("programs_registers", COUNT, &[]);
    let watches = [stores_to(&program, "counter")];
    let needs = Needs { registers: true, ..Needs::default() };
    despite_stalls(|| {
        let (_, trace) = trace(&program, &watches, &[plan(needs, None, Reads::NONE)]);
        let is_it = |hit: &Hit| hit.registers == 17 && hit.interrupted == 0;
        assert!(trace.hits.iter().all(is_it));
        assert!(trace.hits.iter().all(|hit| hit.at_hit.told.is_none()));
        trace.disturbed(100_000)
    });
}
