//! What is too little: rings, registers, permission, processes.

use std::process::{Command, Stdio};
use std::rc::Rc;

use hwtrace_runtime::engine::perf::{PerfEngine, PerfOptions};
use hwtrace_runtime::engine::{ArmError, Engine};
use hwtrace_runtime::event::{Trigger, Watch};
use hwtrace_runtime::kernel::linux::Linux;

use crate::common::{
    Tracer, all_registers, compile, is_alone, is_live, perf_holdings, run_alone,
    stores_to, trace_program,
};

fn engine() -> PerfEngine {
    PerfEngine::new(Rc::new(Linux), PerfOptions::default())
}

/// A process that does nothing until killed, and is killed when dropped.
struct Sleeper(std::process::Child);

impl Sleeper {
    fn start() -> Self {
        let mut command = Command::new("sleep");
        Self(command.arg("60").stdin(Stdio::null()).spawn().expect("sleep"))
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn watch(address: u64) -> Watch {
    Watch { address, length: 8, trigger: Trigger::Write }
}

#[test]
fn what_a_small_ring_loses_is_known_exactly() {
    if !is_live() {
        return;
    }
    let source = "
        #include <pthread.h>
        volatile unsigned long counter;
        static void *work(void *arg) {
            for (int i = 0; i < 20000; i++) counter = i;
            return arg;
        }
        int main(void) {
            pthread_t t[3];
            for (int i = 0; i < 3; i++) pthread_create(&t[i], 0, work, 0);
            for (int i = 0; i < 3; i++) pthread_join(t[i], 0);
            return 0;
        }";
    let program = compile("overflow", source, &[]);
    let options = PerfOptions { ring_bytes: Some(4096), ..PerfOptions::default() };
    let watches = [stores_to(&program, "counter")];
    let (_, trace) = trace_program(&program, &watches, options);
    assert_eq!(trace.account.counted, [60_000]);
    assert!(trace.account.lost > 0);
    assert_eq!(trace.hits.len() as u64 + trace.account.lost, 60_000);
    assert!(trace.times.is_sorted());
}

#[test]
fn the_fifth_watch_is_refused_and_nothing_stays() {
    if !is_alone() {
        if is_live() {
            let _registers = all_registers();
            run_alone("limits::the_fifth_watch_is_refused_and_nothing_stays", false);
        }
        return;
    }
    let sleeper = Sleeper::start();
    let pid = sleeper.0.id();
    let watches: Vec<_> = (0..5).map(|index| watch(0x10000 + index * 8)).collect();
    let mut engine = engine();
    let refused = engine.arm(pid, &watches).expect_err("five of four");
    assert!(
        matches!(refused, ArmError::NoFreeRegister { tid, watch: 4, free: 4, .. } if tid == pid),
        "{refused}"
    );
    assert_eq!(perf_holdings(), (0, 0));
    // All four are free: the refused ones hold none.
    let armed = engine.arm(pid, &watches[..4]).expect("four of four");
    assert_eq!((armed.slots, armed.capacity), (4, 4));
    assert_ne!(perf_holdings().0, 0);
    engine.disarm();
    let other = self::engine().arm(pid, &watches[1..]);
    other.expect("a disarmed engine holds no register");
    drop(engine);
    assert_eq!(perf_holdings(), (0, 0));
}

#[test]
fn bad_watches_and_missing_processes_are_told_apart() {
    if !is_live() {
        return;
    }
    let sleeper = Sleeper::start();
    let pid = sleeper.0.id();
    let odd = [watch(0x10000), watch(0x10001)];
    let refused = engine().arm(pid, &odd).expect_err("misaligned");
    assert!(matches!(refused, ArmError::BadWatch { watch: 1 }), "{refused}");
    let refused = engine().arm(0x3fff_fff0, &odd[..1]).expect_err("nobody");
    assert!(matches!(refused, ArmError::Gone { .. }), "{refused}");
    let mut ended = Command::new("true").spawn().expect("true");
    let number = ended.id();
    while !std::fs::read_to_string(format!("/proc/{number}/stat"))
        .is_ok_and(|stat| stat.contains(") Z "))
    {
        std::thread::yield_now();
    }
    let refused = engine().arm(number, &odd[..1]).expect_err("a zombie");
    assert!(matches!(refused, ArmError::Gone { .. }), "{refused}");
    ended.wait().expect("our child");
}

#[test]
fn nobody_may_not_trace_root() {
    if is_alone() || !is_live() || !nix::unistd::geteuid().is_root() {
        return;
    }
    let _registers = all_registers();
    run_alone("limits::as_nobody", true);
}

#[test]
fn as_nobody() {
    if !is_alone() || !is_live() {
        return;
    }
    let refused = engine().arm(1, &[watch(0x10000)]).expect_err("not ours");
    assert!(matches!(refused, ArmError::Permission { pid: 1, .. }), "{refused}");
    assert_eq!(perf_holdings(), (0, 0));
    // Four engines want four times the memory a user may lock: smaller rings.
    let sleeper = Sleeper::start();
    let mut engines: Vec<_> = (0..4).map(|_| engine()).collect();
    for (index, engine) in engines.iter_mut().enumerate() {
        let watches = [watch(0x10000 + index as u64 * 8)];
        engine.arm(sleeper.0.id(), &watches).expect("a smaller ring");
    }
}

#[test]
fn many_threads_raise_the_limit_of_descriptors() {
    let name = "limits::many_threads_raise_the_limit_of_descriptors";
    if !is_alone() {
        if is_live() {
            run_alone(name, false);
        }
        return;
    }
    let source = "
        #include <pthread.h>
        #include <stdio.h>
        static void *idle(void *arg) { getchar(); return arg; }
        int main(void) {
            pthread_t t;
            for (int i = 0; i < 100; i++) pthread_create(&t, 0, idle, 0);
            puts(\"ready\"); fflush(stdout);
            pthread_join(t, 0);
            return 0;
        }";
    let program = compile("many", source, &[]);
    let mut command = Command::new(program);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut target = command.spawn().expect("started");
    let out = target.stdout.take().expect("a pipe");
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line)
        .expect("a line");
    use nix::sys::resource::{Resource::RLIMIT_NOFILE, getrlimit, setrlimit};
    let (_, hard) = getrlimit(RLIMIT_NOFILE).expect("a limit");
    setrlimit(RLIMIT_NOFILE, 64, hard).expect("lower");
    let mut tracer = Tracer::new(PerfOptions::default());
    let armed = tracer.arm(target.id(), &[watch(0x10000)]);
    assert_eq!(armed.threads, 101);
    drop(tracer);
    setrlimit(RLIMIT_NOFILE, 64, 64).expect("lower");
    let refused = engine().arm(target.id(), &[watch(0x10000)]).expect_err("too many");
    assert!(
        matches!(refused, ArmError::Limit { limit: "RLIMIT_NOFILE", needed: 400.. }),
        "{refused}"
    );
    drop(target.stdin.take());
    assert!(target.wait().expect("our child").success());
}
