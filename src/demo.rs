//! `hwtrace demo`: a small program with several threads that share a balance,
//! and one of them should not touch it. The program is hwtrace itself, started
//! once more with [`TARGET_ARGUMENT`].

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use hwtrace_probes::expr::Expression;
use hwtrace_probes::spec::{DataSpec, Mode, Only, ProcessRef};

/// The argument that makes hwtrace the program that is watched.
pub const TARGET_ARGUMENT: &str = "demo-target";

/// Rounds of each thread: enough to see, few enough to be done at once.
const ROUNDS: u64 = 2_000;

/// What the threads share. It is found by name: no optimiser may take it apart.
#[used]
static BALANCE: AtomicU64 = AtomicU64::new(1_000_000);

/// What the demo watches: the program's balance, loads and stores.
pub fn watched() -> DataSpec {
    let name = concat!(module_path!(), "::BALANCE").to_owned();
    let expression = Expression::name(name);
    let (process, mode) = (ProcessRef::Target, Mode::ReadWrite);
    let only = Only::default();
    DataSpec {
        process,
        expression,
        length: None,
        mode,
        only,
        pinned: false,
        follow: false,
    }
}

/// The program that is watched.
pub fn run_target() {
    let threads: Vec<_> = [deposit as fn(u64), deposit, withdraw, audit, forget_a_round]
        .into_iter()
        .map(|work| thread::spawn(move || (0..ROUNDS).for_each(work)))
        .collect();
    for thread in threads {
        // A thread that panicked has said so; the others are still to be seen.
        let _ = thread.join();
    }
}

#[inline(never)]
fn deposit(round: u64) {
    BALANCE.fetch_add(black_box(round % 7), Ordering::Relaxed);
}

#[inline(never)]
fn withdraw(round: u64) {
    BALANCE.fetch_sub(black_box(round % 5), Ordering::Relaxed);
}

#[inline(never)]
fn audit(_round: u64) {
    black_box(BALANCE.load(Ordering::Relaxed));
}

/// The culprit: now and then it sets the balance back.
#[inline(never)]
fn forget_a_round(round: u64) {
    if round % 100 == 99 {
        BALANCE.store(black_box(1_000_000), Ordering::Relaxed);
    }
}
