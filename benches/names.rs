//! How long it takes from the start of hwtrace until a global of a program with
//! more than 50 MB of debug information is armed, against the time in which gdb has
//! its first watch on it; how much memory that takes; and how long it takes with
//! a small C program.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use support::{Attached, compile_loop, median, only_trying};

/// The global of `benches/large`, as hwtrace and gdb have it.
const GLOBAL: &str = "large::till::TAKINGS";

fn main() {
    let rounds = if only_trying() { 1 } else { 15 };
    let small = compile_loop();
    let round = |_| {
        let (seconds, hwtrace) = armed(&small, "counter");
        hwtrace.end();
        seconds
    };
    let small = (0..rounds).map(round).collect();
    println!("from start to armed, median of {rounds} rounds");
    println!("  {:<34} {:>6.1} ms", "a small C program", median(small) * 1e3);
    println!("  aim: at most 15 ms");
    // Building it takes minutes.
    if !only_trying() {
        large(rounds);
    }
}

fn large(rounds: usize) {
    let program = build_large();
    let megabytes = megabytes_of_debug_information(&program);
    let (mut ours, mut peaks, mut gdbs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (seconds, hwtrace) = armed(&program, GLOBAL);
        ours.push(seconds);
        peaks.extend(hwtrace.peak_kib());
        hwtrace.end();
        gdbs.push(until_gdb_watches(&program));
    }
    let (ours, gdb) = (median(ours), median(gdbs));
    println!("a program with {megabytes:.0} MB of debug information");
    println!("  {:<34} {:>6.1} ms  1.00", "gdb watches", gdb * 1e3);
    println!("  {:<34} {:>6.1} ms  {:.2}", "hwtrace armed", ours * 1e3, ours / gdb);
    println!("  {:<34} {:>6.1} MB", "its memory at most", median(peaks) / 1024.0);
    println!("  aim: at most 0.2 of gdb, 150 ms and 100 MB");
}

/// Seconds from the start of hwtrace until it has armed, and hwtrace.
fn armed(program: &Path, global: &str) -> (f64, Attached) {
    let script = format!(
        "global n probe process.data(\"{global}\").write {{ n[tid(), addr()]++ }}"
    );
    let start = Instant::now();
    let hwtrace = Attached::to(&["-c", program.to_str().unwrap()], &script);
    let seconds = start.elapsed().as_secs_f64();
    (seconds, hwtrace)
}

/// Seconds in which gdb reads the program, sets a watch and ends. It does not even
/// start the program, as hwtrace does.
fn until_gdb_watches(program: &Path) -> f64 {
    let watch = format!("watch -l {GLOBAL}");
    let mut gdb = Command::new("gdb");
    gdb.args(["-nx", "-batch", "-ex", &watch]).arg(program).stdin(Stdio::null());
    let start = Instant::now();
    let output = gdb.output().expect("gdb, of the package of that name");
    let seconds = start.elapsed().as_secs_f64();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("atchpoint 1: "), "{output:?}");
    seconds
}

/// Builds `benches/large`, which cargo does once.
fn build_large() -> PathBuf {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/large/Cargo.toml");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("large");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--locked", "--manifest-path", manifest, "--target-dir"]);
    assert!(cargo.arg(&target).status().unwrap().success(), "cargo failed");
    target.join("debug/large")
}

/// Of its sections that are about debugging.
fn megabytes_of_debug_information(program: &Path) -> f64 {
    use object::{Object, ObjectSection};
    let bytes = std::fs::read(program).unwrap();
    let file = object::File::parse(&*bytes).unwrap();
    let debug = |section: &object::Section<'_, '_>| {
        section.name().is_ok_and(|name| name.starts_with(".debug_"))
    };
    let sections = file.sections().filter(debug);
    sections.map(|section| section.size()).sum::<u64>() as f64 / 1e6
}
