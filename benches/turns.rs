//! What it costs that watches take turns: a program that touches none of 64 watched
//! variables, against itself unwatched. And how long arming takes for each thread and
//! watch, against plain perf counting of the same.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use support::counting::count;
use support::{Attached, Loop, median, only_trying};

const ENGINES: [&str; 2] = ["bpf", "perf"];

/// Each of them is a watch.
const IDLE: &str = r#"global n probe process.data("idle[0..64]").write { n++ }"#;
const FOUR: &str = r#"global n probe process.data("a").write, process.data("b").write,
    process.data("c").write, process.data("d").write { n++ }"#;

fn main() {
    turns();
    arming();
}

fn turns() {
    let (rounds, stores) = if only_trying() { (1, 1000) } else { (15, 400_000_000) };
    let mut target = Loop::start();
    let pid = target.pid().to_string();
    let mut ratios = vec![Vec::new(); ENGINES.len()];
    for _ in 0..rounds {
        for (engine, ratios) in ENGINES.iter().zip(&mut ratios) {
            let Some((_, alone)) = target.store_timed(stores) else { continue };
            let hwtrace = Attached::to(&["--engine", engine, "-p", &pid], IDLE);
            let watched = target.store_timed(stores);
            hwtrace.end();
            ratios.extend(watched.map(|(_, watched)| watched / alone));
        }
    }
    println!("a program with 64 watches by turns that it does not hit, against it alone");
    println!("median of {rounds} rounds, turns of 10 ms; aim: at most 1.02");
    for (engine, ratios) in ENGINES.iter().zip(ratios) {
        println!("  {engine:<34} {:.3}", median(ratios));
    }
}

fn arming() {
    let (rounds, few, many) = if only_trying() { (1, 2, 4) } else { (5, 100, 1000) };
    let watches = 4 * (many - few);
    let mut times = vec![Vec::new(); ENGINES.len()];
    let mut plain = Vec::new();
    for _ in 0..rounds {
        let targets = [few, many].map(Threads::start);
        plain.push(opened(&targets[0]) * f64::from(watches) / f64::from(4 * few));
        for (engine, times) in ENGINES.iter().zip(&mut times) {
            let [few, many] = targets.each_ref().map(|target| {
                let start = Instant::now();
                let pid = target.child.id().to_string();
                let hwtrace = Attached::to(&["--engine", engine, "-p", &pid], FOUR);
                let elapsed = start.elapsed().as_secs_f64();
                hwtrace.end();
                elapsed
            });
            times.push(many - few);
        }
    }
    let plain = median(plain);
    let each = |time: f64| time * 1e6 / f64::from(watches);
    println!("arming, for each thread and watch, from {few} to {many} threads with four");
    println!("median of {rounds} rounds; aim: at most 125 us, 2,000 threads in 1 s");
    println!("  {:<34} {:>6.1} us  1.0", "plain perf counting", each(plain));
    for (engine, times) in ENGINES.iter().zip(times) {
        let time = median(times);
        println!("  {engine:<34} {:>6.1} us  {:.1}", each(time), time / plain);
    }
}

/// Seconds in which four counting events are opened on each thread.
fn opened(target: &Threads) -> f64 {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", target.child.id())).unwrap();
    let threads: Vec<u32> = tasks
        .filter_map(|task| task.unwrap().file_name().to_str()?.parse().ok())
        .collect();
    let start = Instant::now();
    let events: Vec<_> = threads
        .iter()
        .flat_map(|tid| [8u64, 16, 24, 32].map(|place| count(*tid, 0x1000 + place)))
        .collect();
    let elapsed = start.elapsed().as_secs_f64();
    drop(events);
    elapsed
}

/// A program with so many threads.
struct Threads {
    child: Child,
}

impl Threads {
    fn start(count: u32) -> Self {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/support/threads.c");
        let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench-threads");
        let mut cc = Command::new("cc");
        cc.args(["-O2", "-pthread", "-o"]).arg(&program).arg(source);
        assert!(cc.status().unwrap().success(), "cc failed");
        let mut command = Command::new(&program);
        command.arg(count.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        assert_ne!(said.read_line(&mut String::new()).unwrap(), 0);
        Self { child }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
