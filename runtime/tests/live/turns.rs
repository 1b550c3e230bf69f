//! Watches that take turns on registers: no hit is of the wrong one, also of threads and
//! processes that are born while registers are passed on.

use std::path::Path;
use std::time::{Duration, Instant};

use hwtrace_runtime::engine::perf::PerfOptions;
use hwtrace_runtime::engine::{Engine, Pass, Turn};
use hwtrace_runtime::event::Watch;

use crate::common::{
    HANGS, Target, Trace, Tracer, compile, despite_lost_traps, is_live, stores_to, symbol,
};

const VARIABLES: usize = 8;
const REGISTERS: usize = 3;

/// Threads that each store to all variables, in a function each, for as long as
/// `TURNS` says; then they are born anew.
const TAKERS: &str = "
    #include <pthread.h>
    #include <stdio.h>
    #include <sys/wait.h>
    #include <unistd.h>
    #define EACH(f) f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7)
    #define VARIABLE(n) volatile unsigned long v##n;
    #define STORE(n) __attribute__((noinline)) void s##n(void) { v##n++; }
    EACH(VARIABLE) EACH(STORE)
    #define CALL(n) s##n();
    static void *work(void *arg) {
        for (long i = 0; i < (long)arg; i++) { EACH(CALL) }
        return 0;
    }
    int main(void) {
        puts(\"ready\"); fflush(stdout);
        for (;;) {
            pthread_t t;
            if (FORKS) {
                if (fork() == 0) { work((void *)TURNS); _exit(0); }
                work((void *)TURNS);
                wait(0);
            } else {
                pthread_create(&t, 0, work, (void *)TURNS);
                work((void *)TURNS);
                pthread_join(t, 0);
            }
        }
    }";

/// Passes registers on all the time; gives what came, and how many passes there were.
fn pass_on(name: &str, turns: u32, forks: bool) -> Trace {
    let flags = [format!("-DTURNS={turns}"), format!("-DFORKS={}", u8::from(forks))];
    let program = compile(name, TAKERS, &[&flags[0], &flags[1]]);
    let names: Vec<_> = (0..VARIABLES).map(|number| format!("v{number}")).collect();
    let watches: Vec<_> = names.iter().map(|name| stores_to(&program, name)).collect();
    let stores: Vec<_> =
        (0..VARIABLES).map(|number| symbol(&program, &format!("s{number}"))).collect();
    let trace = despite_lost_traps(|| follow_turns(&program, &watches));
    for hit in &trace.hits {
        let (start, size) = stores[hit.watch as usize];
        assert!((start..start + size).contains(&hit.ip), "{hit:x?}, {stores:x?}");
    }
    let account = &trace.account;
    let counted = account.counted.iter().sum::<u64>();
    assert_eq!(counted, trace.hits.len() as u64 + account.strays + account.lost);
    trace
}

/// Whether it has more than ten hits of each.
fn has_all(trace: &Trace) -> bool {
    let mut seen = [0; VARIABLES];
    trace.hits.iter().for_each(|hit| seen[hit.watch as usize] += 1);
    seen.iter().all(|seen| *seen > 10)
}

/// None where the program was killed by SIGTRAP.
fn follow_turns(program: &Path, watches: &[Watch]) -> Option<Trace> {
    let mut target = Target::start(program);
    let mut tracer = Tracer::new(PerfOptions::default());
    let mut seats = [Turn::Waits; VARIABLES];
    seats[..REGISTERS].fill(Turn::Has);
    tracer.engine.set_turns(&seats);
    tracer.arm(target.pid(), watches);
    let mut carried: Vec<_> = (0..REGISTERS).collect();
    let begun = Instant::now();
    for round in 0.. {
        if round >= 300 && has_all(&tracer.trace) {
            break;
        }
        assert!(begun.elapsed() < HANGS, "not ten of each");
        let register = round % REGISTERS;
        let (from, mut to) = (carried[register], (round * 5) % VARIABLES);
        while carried.contains(&to) {
            to = (to + 1) % VARIABLES;
        }
        let passed = tracer.engine.pass(&[Pass { from, to }]);
        if target.is_trapped() {
            return None;
        }
        let passed = passed.expect("passed");
        let times = [passed.off[0], passed.since, passed.on[0]];
        assert!(times.is_sorted() && passed.failed.is_empty(), "{passed:?}");
        carried[register] = to;
        tracer.drain(false);
        std::thread::sleep(Duration::from_micros(700));
    }
    target.kill()?;
    Some(tracer.finish())
}

#[test]
fn no_hit_is_of_another_watch_than_had_the_register() {
    if !is_live() {
        return;
    }
    let trace = pass_on("takers", 1_000_000_000, false);
    assert_eq!(trace.account.strays, 0, "nobody is born");
}

#[test]
fn threads_that_are_born_while_registers_are_passed_on_hit_what_they_should() {
    if !is_live() {
        return;
    }
    let trace = pass_on("born_takers", 3, false);
    eprintln!("{} strays of {}", trace.account.strays, trace.hits.len());
}

#[test]
fn so_do_processes() {
    if !is_live() {
        return;
    }
    let trace = pass_on("forked_takers", 3, true);
    eprintln!("{} strays of {}", trace.account.strays, trace.hits.len());
}
