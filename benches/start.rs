//! How long it takes from the start of hwtrace until a small C program is
//! armed, against starting and ending `true`.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::process::Command;
use std::time::Instant;

use support::{Attached, compile_loop, median, only_trying};

const SCRIPT: &str =
    r#"global n probe process.data("counter").write { n[tid(), addr()]++ }"#;

fn main() {
    let rounds = if only_trying() { 1 } else { 25 };
    let program = compile_loop();
    let (mut starts, mut yardstick) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        starts.push(until_armed(program.to_str().unwrap()));
        let start = Instant::now();
        Command::new("true").status().unwrap();
        yardstick.push(start.elapsed().as_secs_f64());
    }
    let (start, yardstick) = (median(starts), median(yardstick));
    println!("from start to armed, median of {rounds} rounds");
    println!("  {:<34} {:>6.1} ms  1.0", "start and end of `true`", yardstick * 1e3);
    println!(
        "  {:<34} {:>6.1} ms  {:.1}",
        "hwtrace armed",
        start * 1e3,
        start / yardstick
    );
    println!("  aim: at most 30 ms");
}

/// Seconds from starting hwtrace until it says that it is armed.
fn until_armed(program: &str) -> f64 {
    let start = Instant::now();
    let hwtrace = Attached::to(&["-c", program], SCRIPT);
    let elapsed = start.elapsed().as_secs_f64();
    hwtrace.end();
    elapsed
}
