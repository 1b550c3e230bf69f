//! hwtrace is killed outright, 200 times, at moments that fall anywhere, by each engine
//! that holds a target in some way. No target is lost.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Command;
use std::rc::Rc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{HANGS, Hwtrace, Target, c, despite_lost_traps, live, skip};
use hwtrace::engines::{Choice, ENGINES};
use hwtrace_runtime::kernel::Kernel;
use hwtrace_runtime::kernel::linux::Linux;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Together for all engines.
const TIMES: u32 = 200;
/// Deaths are within so much of the start, at first and at most.
const WITHIN: Duration = Duration::from_millis(250);
const WITHIN_MOST: Duration = Duration::from_secs(4);

const SCRIPT: &str = r#"global n
    probe begin { println("armed") }
    probe process.data("counter").write { n++ }"#;

/// A number that differs from run to run of this test, and is told if it fails.
fn seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap().as_nanos() as u64
}

/// The moment of the `nth` death after the start, less than so much.
fn moment(seed: u64, nth: u32, within: Duration) -> Duration {
    let mixed = (seed ^ u64::from(nth)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    within.mul_f64((mixed >> 40) as f64 / (1 << 24) as f64)
}

/// What deaths are within from then on: on each machine, be it busy, some of them are to come
/// before it is armed, and twice as many after that.
fn adapted(within: Duration, armed: bool) -> Duration {
    within.mul_f64(if armed { 0.95 } else { 1.1 }).min(WITHIN_MOST)
}

/// hwtrace in a group of its own, with all that it forks in this group.
fn hwtrace(engine: &str, arguments: &[&str]) -> Hwtrace {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hwtrace"));
    command.process_group(0).args(["--engine", engine]);
    Hwtrace::by(command, arguments)
}

/// Kills hwtrace, and by turns its whole group.
fn strike(pid: u32, group: bool) {
    let pid = pid as i32;
    kill(Pid::from_raw(if group { -pid } else { pid }), Signal::SIGKILL).unwrap();
}

/// Gives whether it was armed by then.
fn attached(engine: &str, after: Duration, group: bool) -> Option<bool> {
    let mut target = Target::start(&c("obey"), &[]);
    let pid = target.pid().to_string();
    let mut tracing = hwtrace(engine, &["-e", SCRIPT, "-p", &pid]).start();
    target.say("store 10000");
    sleep(after);
    strike(tracing.pid(), group);
    assert_eq!(tracing.wait().signal(), Some(Signal::SIGKILL as i32));
    target.say("store 1000");
    let rest = target.finish()?;
    assert_eq!(rest.last().unwrap(), "bye, counter is 10999 of 11000");
    Some(tracing.finish().out.iter().any(|line| line == "armed"))
}

/// A command that has begun gets to its end; one that has not is not left hanging.
fn command(engine: &str, after: Duration, group: bool) -> Option<bool> {
    let program = c("obey");
    let program = program.to_str().unwrap();
    let mut tracing = hwtrace(engine, &["-e", SCRIPT, "-c", program]).start();
    sleep(after);
    strike(tracing.pid(), group);
    tracing.wait();
    tracing.say("store 1000");
    let out = tracing.finish().out;
    let begun = out.iter().any(|line| line == "ready");
    let armed = out.iter().any(|line| line == "armed");
    (!begun || out.last().unwrap() == "bye, counter is 999 of 1000").then_some(armed)
}

/// Processes that trace for a hwtrace that has died.
fn guardians() -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").unwrap();
    let ids = processes.filter_map(|it| it.ok()?.file_name().to_str()?.parse().ok());
    let name = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/comm"));
    ids.filter(|pid| name(pid).is_ok_and(|it| it.trim() == "hwt-guardian")).collect()
}

#[test]
fn two_hundred_deaths_leave_every_target_running() {
    if !live() {
        return;
    }
    let kernel: Rc<dyn Kernel> = Rc::new(Linux);
    let can = |name: &&str| match Choice::named(name).unwrap().take(&kernel) {
        Ok(_) => true,
        Err(why) => skip(&why.to_string()),
    };
    let names = ENGINES.iter().map(|engine| engine.name);
    // Steps are the same guardian, and slow.
    let engines: Vec<_> = names.filter(|name| *name != "step").filter(can).collect();
    let (seed, started, before) = (seed(), Instant::now(), guardians());
    let mut within = vec![WITHIN; engines.len()];
    let mut armed = 0;
    for nth in 0..TIMES {
        let engine = engines[nth as usize % engines.len()];
        let within = &mut within[nth as usize % engines.len()];
        let (after, group) = (moment(seed, nth, *within), nth / 2 % 2 == 1);
        eprintln!("{nth}: {engine}, after {after:?}, group {group}, seed {seed}");
        let strike = || match nth % 2 {
            0 => attached(engine, after, group),
            _ => command(engine, after, group),
        };
        let was_armed = match engine {
            // Its guardian takes the traps of such machines for the target.
            "ptrace" => strike().expect("the target lives"),
            _ => despite_lost_traps(strike),
        };
        *within = adapted(*within, was_armed);
        armed += u32::from(was_armed);
    }
    assert!(armed > TIMES / 4, "only {armed} were armed when they died");
    let gone = || guardians().iter().all(|pid| before.contains(pid));
    let struck = Instant::now();
    while !gone() {
        assert!(struck.elapsed() < HANGS, "guardians are left: {:?}", guardians());
        sleep(Duration::from_millis(10));
    }
    eprintln!("{TIMES} deaths, {armed} when armed, in {:?}", started.elapsed());
}
