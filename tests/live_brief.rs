//! Threads that come and go by the thousand while they are watched.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Hwtrace, c, despite_lost_traps, live};

const THREADS: u64 = 50_000;
/// So many a second are asked for.
const RATE: u64 = 5_000;

/// What a process holds: descriptors, and KiB of memory.
fn holds(pid: u32) -> (usize, u64) {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let words: Vec<_> = line.split_whitespace().collect();
    (descriptors, words[1].parse().unwrap())
}

/// The least that it holds while some threads come and go.
fn holds_at_least(pid: u32) -> (usize, u64) {
    let readings = (0..10).map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(5));
        holds(pid)
    });
    readings.reduce(|one, other| (one.0.min(other.0), one.1.min(other.1))).unwrap()
}

/// Every store of every thread is counted and seen, by its value; and what hwtrace holds
/// does not grow with the threads that there have been.
#[test]
fn fifty_thousand_threads_come_and_go_and_nothing_is_missed() {
    if !live() {
        return;
    }
    let script = r#"global n, sum, threads
        probe process.data("counter").write {
            n++; sum += $new
            if (($new & 3) == 0 && ($new >> 2) % 10000 == 9999) println("reached")
        }
        probe end { printf("stores %d %d\n", n, sum) }"#;
    let command = format!("{} {THREADS} {RATE}", c("brief").display());
    let (ended, early, late) = despite_lost_traps(|| {
        let tracing = Hwtrace::script(script, &command).start();
        let pid = tracing.pid();
        tracing.out().until("reached");
        let early = holds_at_least(pid);
        (0..3).for_each(|_| drop(tracing.out().until("reached")));
        let late = holds_at_least(pid);
        let ended = tracing.finish().expect(0);
        let lost = ended.messages.iter().any(|line| line.contains("SIGTRAP"));
        (!lost).then_some((ended, early, late))
    });
    let rate = ended.out.iter().find(|line| line.ends_with(" threads a second"));
    eprintln!("{}, held {early:?}, then {late:?}", rate.unwrap());
    let sum = (0..THREADS).map(|number| 3 * (number << 2) + 3).sum::<u64>();
    assert_eq!(ended.numbers("stores "), [[3 * THREADS, sum]]);
    ended.expect_figures(3 * THREADS, THREADS + 1, 1);
    assert_eq!(early.0, late.0, "descriptors");
    assert!(late.1 < early.1 + 4096, "{} KiB, then {} KiB", early.1, late.1);
}
