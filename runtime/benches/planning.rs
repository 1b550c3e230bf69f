//! How long it takes to plan which of many requests share registers, and to say whose turn
//! is next; against sorting as many addresses in the same run.
#![allow(missing_docs)]

use std::hint::black_box;
use std::time::Instant;

use hwtrace_runtime::event::{Trigger, Watch};
use hwtrace_runtime::slots::turns::Turns;
use hwtrace_runtime::slots::{CAPACITY, Claim, Room, Scope, plan};

/// Most requests, for which planning is to take 5 ms at most.
const REQUESTS: u64 = 1000;

/// Where the data of each request is: its address, and its length.
type Lies = fn(u64) -> (u64, u32);

/// How the data lies, so that more and more of it shares.
const WAYS: [(&str, Lies); 4] = [
    ("far apart", |number| (64 * number, 8)),
    ("side by side, of 4 bytes", |number| (4 * number, 4)),
    ("side by side, of 1 byte", |number| (number, 1)),
    ("all in the same 8 bytes", |number| (number % 8, 1)),
];

fn main() {
    let trying = !std::env::args().any(|argument| argument == "--bench");
    let rounds = if trying { 1 } else { 200 };
    println!("median of {rounds} rounds, in microseconds");
    let sizes = [REQUESTS / 4, REQUESTS];
    for (name, lies) in WAYS {
        for requests in sizes {
            let claims: Vec<_> =
                (0..requests).map(|number| claim(lies, number)).collect();
            let planned = median(rounds, || planned(&claims));
            println!("  {requests:>5} requests {name:<26} {planned:>8.1}");
        }
    }
    let mut addresses: Vec<_> =
        (0..REQUESTS).map(|it| it * 0x9e37_79b9 % 65_521).collect();
    addresses.rotate_left(REQUESTS as usize / 3);
    let sorted = median(rounds, || {
        let mut sorted = black_box(&addresses).clone();
        sorted.sort_unstable();
        black_box(sorted);
    });
    println!("  {REQUESTS:>5} addresses sorted {:<19} {sorted:>8.1}", "");
    println!("  aim: at most 5000 for {REQUESTS} requests");
    next(rounds);
}

fn claim(lies: Lies, number: u64) -> Claim {
    let (offset, length) = lies(number);
    let trigger = if number % 7 == 3 { Trigger::ReadWrite } else { Trigger::Write };
    let watch = Watch { address: 0x40_0000 + offset, length, trigger };
    let scope = Scope::Tasks;
    Claim { pieces: vec![watch], scope, pinned: false, weight: 1, fixed: true }
}

const ROOM: Room = Room { capacity: CAPACITY, held: 0, rotate: true };

fn planned(claims: &[Claim]) {
    black_box(plan(black_box(claims), ROOM)).expect("takes turns");
}

/// A turn of as many watches.
fn next(rounds: usize) {
    let claims: Vec<_> = (0..REQUESTS).map(|number| claim(WAYS[0].1, number)).collect();
    let plan = plan(&claims, ROOM).expect("takes turns");
    let mut turns = Turns::new(&plan.seats(), plan.slots, 1);
    const TURNS: usize = 1000;
    let taken = median(rounds, || {
        for _ in 0..TURNS {
            black_box(turns.advance());
        }
    });
    let one = taken / TURNS as f64;
    println!("  {REQUESTS:>5} watches, whose turn is next {:<8} {one:>8.3}", "");
}

fn median(rounds: usize, mut run: impl FnMut()) -> f64 {
    let mut times: Vec<_> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[rounds / 2]
}
