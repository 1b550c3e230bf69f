//! How long a script takes from text to native code, by its length; against the
//! time to read its text once, byte by byte, of the same run.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::fmt::Write;
use std::hint::black_box;
use std::time::Instant;

use hwtrace::pipeline::Parsed;
use hwtrace_lang::span::Source;
use hwtrace_runtime::abi::Limits;
use support::{median, only_trying};

/// Lines, and how many milliseconds they are to take at most.
const LENGTHS: [(usize, Option<f64>); 5] =
    [(20, Some(5.0)), (1250, None), (2500, None), (5000, None), (10_000, Some(1000.0))];

/// Lines of one probe with its global, as people write them.
const CHUNK: usize = 10;

fn script(lines: usize) -> String {
    let mut text = String::new();
    for number in 0..lines / CHUNK {
        write!(
            text,
            "global n{number}, times{number}\n\
             probe process.data(\"counter\").write {{\n\
             \x20   # Who, and how far apart?\n\
             \x20   if ($new != $old && tid() != {number}) {{\n\
             \x20       n{number}[execname(), addr()]++\n\
             \x20       times{number} <<< gettimeofday_us() - {number}\n\
             \x20   }}\n\
             \x20   for (i = 0; i < 3; i++) printf(\"%d %s\\n\", $new + i, execname())\n\
             }}\n\
             probe end {{ printf(\"%d\\n\", @count(times{number})) }}\n"
        )
        .unwrap();
    }
    text
}

fn main() {
    let rounds = if only_trying() { 1 } else { 5 };
    println!("text to native code, median of {rounds} rounds, in milliseconds");
    for (lines, aim) in LENGTHS {
        let lines = if only_trying() { lines.min(100) } else { lines };
        let text = script(lines);
        assert_eq!(text.lines().count(), lines);
        let compiled = median((0..rounds).map(|_| compile(&text)).collect());
        let read = median((0..rounds).map(|_| read(&text)).collect());
        let aim = aim.map_or(String::new(), |aim| format!("  (aim: {aim})"));
        println!(
            "  {lines:>6} lines {compiled:>8.2}  {:>6.1} us a line  {:>7.0} times reading it{aim}",
            compiled * 1e3 / lines as f64,
            compiled / read
        );
    }
}

fn compile(text: &str) -> f64 {
    let start = Instant::now();
    let parsed = Parsed::parse(Source::new("bench", text), &[]).unwrap();
    let lowered = parsed.check(&[]).unwrap().lower(&Limits::default()).unwrap();
    black_box(lowered.compile(false).unwrap());
    start.elapsed().as_secs_f64() * 1e3
}

fn read(text: &str) -> f64 {
    let start = Instant::now();
    let sum = black_box(text).bytes().map(u64::from).fold(0, u64::wrapping_add);
    black_box(sum);
    start.elapsed().as_secs_f64() * 1e3
}
