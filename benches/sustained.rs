//! Hits as fast as two CPUs can trap, for a minute (HWTRACE_SOAK_SECONDS): what is
//! lost, what hwtrace itself takes of a CPU, and whether its memory grows. And the
//! whole run of a program with a line printed at each hit, against plain counting.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::counting::count;
use support::{Attached, Loop, median, only_trying};

const AGGREGATING: &str =
    r#"global n probe process.data("counter").write { n[tid(), addr()]++ }"#;
const FILTERING: &str = r#"global n probe process.data("counter").write {
    if ($new % 1000 == 0) n++
}"#;
const PRINTING: &str =
    r#"probe process.data("counter").write { printf("%d -> %d\n", $old, $new) }"#;

fn main() {
    let seconds = std::env::var("HWTRACE_SOAK_SECONDS").ok();
    let seconds = seconds.and_then(|it| it.parse().ok()).unwrap_or(60);
    let seconds = if only_trying() { 1 } else { seconds };
    for (name, script) in
        [("n[tid(), addr()]++", AGGREGATING), ("one in 1,000", FILTERING)]
    {
        while !soak(name, script, seconds) {
            eprintln!("AGAIN: the machine lost a debug trap and killed the target");
        }
    }
    println!("  aims: nothing lost, at most 10 % of a CPU, memory flat");
    let (rounds, stores) = if only_trying() { (1, 100) } else { (9, 100_000) };
    let ratios = (0..rounds).filter_map(|_| whole_run(stores)).collect();
    println!(
        "one printf a hit, whole run over plain counting, median of {rounds} rounds"
    );
    println!("  {:<34} {:.2}", "printf(\"%d -> %d\\n\", $old, $new)", median(ratios));
    println!("  aim: at most 1.3");
}

/// Two threads that store as fast as they can; false where they were killed.
fn soak(name: &str, script: &str, seconds: u64) -> bool {
    let mut racer = Racer::start(2, seconds);
    let hwtrace = Attached::to(&["-p", &racer.child.id().to_string()], script);
    let began = (cpu_time(hwtrace.pid()), Instant::now());
    racer.go();
    std::thread::sleep(Duration::from_secs(seconds) / 4);
    let early = hwtrace.resident_kib();
    std::thread::sleep(Duration::from_secs(seconds) / 2);
    let late = hwtrace.resident_kib();
    let used = cpu_time(hwtrace.pid()) - began.0;
    let share = used.as_secs_f64() / began.1.elapsed().as_secs_f64();
    let Some(stores) = racer.end() else { return false };
    let end = hwtrace.finish();
    let rate = stores as f64 / seconds as f64 / 1e3;
    println!(
        "{name}: two threads for {seconds} s, {stores} stores, {rate:.0} thousand a second"
    );
    println!("  {end}");
    println!(
        "  hwtrace took {:.1} % of a CPU; {early} KiB after a quarter, {late} after three",
        share * 100.0
    );
    true
}

/// What a process has used of the CPUs (proc_pid_stat(5)).
fn cpu_time(pid: u32) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after = text.rsplit_once(") ").unwrap().1;
    let fields: Vec<&str> = after.split(' ').collect();
    let ticks: u64 = fields[11..13].iter().map(|it| it.parse::<u64>().unwrap()).sum();
    // A tick is 10 ms wherever Linux runs (USER_HZ).
    Duration::from_millis(ticks * 10)
}

/// tests/targets/race.c
struct Racer {
    child: Child,
}

impl Racer {
    fn start(threads: u32, seconds: u64) -> Self {
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-race");
        let source: PathBuf =
            [env!("CARGO_MANIFEST_DIR"), "tests", "targets", "race.c"].iter().collect();
        let mut cc = Command::new("cc");
        cc.args(["-O2", "-pthread", "-o"]).arg(&program).arg(source);
        assert!(cc.status().unwrap().success());
        let mut command = Command::new(program);
        command.args([threads.to_string(), format!("{seconds}s")]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        // "ready", and nothing after it yet.
        let mut line = [0; 6];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
        Self { child }
    }

    fn go(&mut self) {
        writeln!(self.child.stdin.as_mut().unwrap(), "go").unwrap();
    }

    /// How many stores there were; none where it was killed.
    fn end(mut self) -> Option<u64> {
        let mut line = String::new();
        BufReader::new(self.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        self.child.wait().unwrap();
        line.split(' ').next()?.parse().ok()
    }
}

/// The time of a run with a line for each hit, against one that is only counted;
/// none where the machine killed the program.
fn whole_run(stores: u64) -> Option<f64> {
    let mut target = Loop::start();
    let event = count(target.pid(), target.address_of("counter"));
    let plain = target.store_timed(stores)?.1;
    drop(event);
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-lines");
    let pid = target.pid().to_string();
    let hwtrace = Attached::writing(&["-p", &pid], PRINTING, &out);
    let started = Instant::now();
    target.store_timed(stores)?;
    target.end();
    let end = hwtrace.finish();
    let whole = started.elapsed().as_nanos() as f64 / stores as f64;
    assert!(end.contains(", 0 lost"), "{end}");
    let lines = BufReader::new(std::fs::File::open(&out).unwrap()).lines().count();
    assert_eq!(lines as u64, stores, "{end}");
    Some(whole / plain)
}
