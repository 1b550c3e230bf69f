//! Several processes in one session, and processes that become others.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use hwtrace_runtime::engine::perf::PerfOptions;
use hwtrace_runtime::engine::{ArmError, Engine};

use crate::common::{
    Target, Tracer, compile, despite_lost_traps, is_alone, is_live, perf_holdings,
    run_alone, stores_to, trace_program,
};

/// Stores as often as its argument says, each time it is told to, twice.
const TWICE: &str = "
    #include <stdio.h>
    #include <stdlib.h>
    volatile unsigned long counter;
    int main(int argc, char **argv) {
        char line[8];
        puts(\"ready\"); fflush(stdout);
        for (int turn = 0; turn < 2; turn++) {
            if (!fgets(line, 8, stdin)) return 1;
            for (int i = 0; i < atoi(argv[1]); i++) counter = i;
            puts(\"done\"); fflush(stdout);
        }
        return 0;
    }";

#[test]
fn two_processes_are_hit_each_under_its_own_number() {
    if is_live() {
        run_alone("processes::one_ends_before_the_other", false);
    }
}

/// With the end of one its events are closed, and its hits stay counted.
#[test]
fn one_ends_before_the_other() {
    if !is_alone() {
        return;
    }
    let program = compile("twice", TWICE, &[]);
    let watch = stores_to(&program, "counter");
    let mut first = Target::start_with(&program, &["300"]);
    let mut second = Target::start_with(&program, &["200"]);
    let mut tracer = Tracer::new(PerfOptions::default());
    tracer.arm(first.pid(), &[watch]);
    let with_one = perf_holdings().0;
    let armed = tracer.engine.attach(second.pid(), &[Some(watch)]).expect("attached");
    assert_eq!((armed.threads, armed.slots), (1, 1));
    let again = tracer.engine.attach(second.pid(), &[Some(watch)]);
    assert!(matches!(again, Err(ArmError::Armed { .. })), "{again:?}");
    let with_two = perf_holdings().0;
    assert!(with_two > with_one);
    first.go();
    first.go();
    second.go();
    let pid = first.pid();
    tracer.await_that(|trace| trace.ended.contains(&pid));
    while perf_holdings().0 > with_one {
        tracer.drain(false);
        std::thread::sleep(Duration::from_millis(5));
    }
    // Its events end a little before it can be waited for.
    while !first.has_ended() {
        std::thread::yield_now();
    }
    second.go();
    let (first, second_pid) = (first.pid(), second.pid());
    let trace = tracer.follow(|| second.has_ended());
    trace.assert_complete(1000);
    assert_eq!(trace.by_process(), [(first, 600), (second_pid, 400)].into());
    assert_eq!(trace.ended, [first, second_pid]);
}

/// Stores, forks a child that stores, and both become another image that
/// stores once it is told to.
const BECOMES: &str = "
    #include <stdio.h>
    #include <sys/wait.h>
    #include <unistd.h>
    volatile unsigned long counter;
    static void store(int n) { for (int i = 0; i < n; i++) counter = i; }
    int main(int argc, char **argv) {
        char line[8];
        if (argc > 1) {
            write(1, \"again\\n\", 6);
            for (int at = 0; at < 3; at++) if (read(0, line + at, 1) != 1) return 1;
            store(30);
            if (argv[1][0] == 'p') wait(0);
            return 0;
        }
        write(1, \"ready\\n\", 6);
        for (int at = 0; at < 3; at++) if (read(0, line + at, 1) != 1) return 1;
        store(50);
        int child = fork() == 0;
        store(child ? 7 : 5);
        if (!child) usleep(100000);
        execl(\"/proc/self/exe\", \"again\", child ? \"child\" : \"parent\", (char *)0);
        return 1;
    }";

/// Each is armed again after its exec, with the sideband it inherited.
#[test]
fn images_after_an_exec_are_attached_and_reported_once() {
    if !is_live() {
        return;
    }
    let program = compile("becomes", BECOMES, &[]);
    let watch = stores_to(&program, "counter");
    let executed = |count| {
        move |trace: &crate::common::Trace| {
            trace.names.iter().filter(|name| name.2).count() == count
        }
    };
    let (parent, child, trace) = despite_lost_traps(|| {
        let mut target = Target::start(&program);
        let mut tracer = Tracer::new(PerfOptions::default());
        tracer.arm(target.pid(), &[watch]);
        target.go();
        for turn in 1..=2 {
            tracer.await_that(executed(turn));
            let pid = tracer.trace.names.iter().rfind(|name| name.2).expect("one").0;
            tracer.engine.attach(pid, &[Some(watch)]).expect("attached");
            target.says("again")?;
        }
        let (parent, child) = (target.pid(), tracer.trace.born[0]);
        target.go();
        target.go();
        Some((parent, child, target.follow(tracer)?.1))
    });
    assert_eq!(trace.by_process(), [(parent, 85), (child, 37)].into());
    trace.assert_complete(122);
    assert_eq!((trace.ended.len(), trace.born.len()), (2, 1), "each once");
    assert_eq!(trace.names.len(), 2, "{:?}", trace.names);
}

#[test]
fn executions_of_strangers_are_seen_where_asked_for() {
    if !is_live() || !nix::unistd::geteuid().is_root() {
        return;
    }
    let program = compile("twice_stranger", TWICE, &[]);
    despite_lost_traps(|| see_stranger(&program));
}

/// None where the program was killed by SIGTRAP.
fn see_stranger(program: &Path) -> Option<()> {
    let mut target = Target::start_with(program, &["10"]);
    let options = PerfOptions { whole_system: true, ..PerfOptions::default() };
    let mut tracer = Tracer::new(options);
    tracer.arm(target.pid(), &[stores_to(program, "counter")]);
    let mut stranger = std::process::Command::new("true").spawn().expect("a child");
    let is_it = |name: &(u32, String, bool)| (name.1.as_str(), name.2) == ("true", true);
    tracer.await_that(|trace| trace.names.iter().any(is_it));
    stranger.wait().expect("our child");
    target.go();
    target.go();
    let pid = target.pid();
    let (_, trace) = target.follow(tracer)?;
    assert_eq!(trace.by_process(), [(pid, 20)].into());
    assert!(trace.names.iter().any(|name| is_it(name) && name.0 == stranger.id()));
    assert_eq!(trace.ended.iter().filter(|ended| **ended == pid).count(), 1, "once");
    Some(())
}

/// Without the right to it nothing is armed, and it is said which right.
#[test]
fn strangers_are_not_for_everybody() {
    if is_live() {
        run_alone("processes::as_nobody", true);
    }
}

#[test]
fn as_nobody() {
    if !is_alone() || nix::unistd::geteuid().is_root() {
        return;
    }
    let paranoid = std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid");
    if paranoid.expect("/proc").trim().parse::<i32>().expect("a number") <= 0 {
        return;
    }
    let options = PerfOptions { whole_system: true, ..PerfOptions::default() };
    let mut tracer = Tracer::new(options);
    let error = tracer.engine.attach(std::process::id(), &[]).expect_err("no right");
    assert!(matches!(error, ArmError::SystemPermission { .. }), "{error:?}");
}

/// A child of vfork(2) borrows its parent's memory and has its watches.
#[test]
fn a_vforked_child_is_hit_under_its_own_number() {
    if !is_live() {
        return;
    }
    let source = "
        #define _GNU_SOURCE
        #include <sys/wait.h>
        #include <unistd.h>
        volatile unsigned long counter;
        int main(void) {
            int child = vfork();
            if (child == 0) {
                for (int i = 0; i < 40; i++) counter = i;
                execl(\"/bin/true\", \"true\", (char *)0);
                _exit(1);
            }
            for (int i = 0; i < 60; i++) counter = i;
            wait(0);
            return 0;
        }";
    let program = compile("vforks", source, &[]);
    let watches = [stores_to(&program, "counter")];
    let (pid, trace) = trace_program(&program, &watches, PerfOptions::default());
    assert_eq!(trace.by_process(), [(pid, 60), (trace.born[0], 40)].into());
}

/// Threads that exist while a child of vfork(2) borrows the memory are hit under
/// their own numbers, and the child has no threads but its one.
#[test]
fn threads_beside_a_vforked_child_keep_their_numbers() {
    if !is_live() {
        return;
    }
    let source = "
        #define _GNU_SOURCE
        #include <pthread.h>
        #include <sys/wait.h>
        #include <unistd.h>
        volatile unsigned long counter;
        static volatile int going;
        static void *work(void *arg) {
            while (!going) usleep(100);
            for (int i = 0; i < 300; i++) counter = i;
            going = 2;
            return arg;
        }
        int main(void) {
            pthread_t t;
            pthread_create(&t, 0, work, 0);
            int child = vfork();
            if (child == 0) {
                for (int i = 0; i < 40; i++) counter = i;
                going = 1;
                while (going != 2) usleep(100);
                _exit(0);
            }
            pthread_join(t, 0);
            wait(0);
            return 0;
        }";
    let program = compile("vfork_thread", source, &[]);
    let watches = [stores_to(&program, "counter")];
    let (pid, trace) = trace_program(&program, &watches, PerfOptions::default());
    let (thread, child) = (trace.born[0], trace.born[1]);
    assert_eq!(trace.by_process(), [(pid, 300), (child, 40)].into());
    assert_eq!(trace.by_thread(), [(thread, 300), (child, 40)].into());
    trace.assert_complete(340);
}

/// The kernel ends the events of who executes a program that has another user's
/// rights, ours too, though we are root.
#[test]
fn an_exec_that_gains_rights_ends_the_events_and_is_reported() {
    if !is_live() || !nix::unistd::geteuid().is_root() {
        return;
    }
    let inner = "
        #include <unistd.h>
        int main(void) { usleep(300000); return geteuid() == 0 ? 0 : 1; }";
    let inner = compile("gains_inner", inner, &[]);
    let inner = inner.to_str().expect("a path");
    let set_user = std::fs::Permissions::from_mode(0o4755);
    std::fs::set_permissions(inner, set_user).expect("ours");
    let source = format!(
        "#define _GNU_SOURCE
        #include <unistd.h>
        volatile unsigned long counter;
        int main(void) {{
            for (int i = 0; i < 10; i++) counter = i;
            if (setresuid(65534, 65534, 65534)) return 2;
            execl(\"{inner}\", \"inner\", (char *)0);
            return 3;
        }}"
    );
    let program = compile("gains", &source, &[]);
    let watches = [stores_to(&program, "counter")];
    let (pid, trace) = trace_program(&program, &watches, PerfOptions::default());
    trace.assert_complete(10);
    assert!(trace.names.iter().any(|name| name.1 == "gains_inner" && name.2));
    assert_eq!(trace.ended.iter().filter(|ended| **ended == pid).count(), 1);
    assert_eq!(trace.account.dropped, 1);
}
