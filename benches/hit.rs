//! What a hit costs the target, against plain perf counting of the same
//! stores. The ways take turns in one run, so that noise meets all alike.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use support::counting::count;
use support::{Attached, Loop, median, only_trying};

const WAYS: [(&str, &str); 5] = [
    ("count: n++", r#"global n probe process.data("counter").write { n++ }"#),
    (
        "old, new, tid, ip",
        r#"global n probe process.data("counter").write {
            n[tid(), addr(), $new - $old]++
        }"#,
    ),
    (
        "filter that drops it",
        r#"global n probe process.data("counter").write { if ($new < 0) n++ }"#,
    ),
    (
        "change only, and it changes",
        r#"global n probe process.data("counter").change { n++ }"#,
    ),
    (
        "printf of five fields",
        r#"probe process.data("counter").write {
            printf("%s[%d] %d -> %d at %p\n", execname(), tid(), $old, $new, addr())
        }"#,
    ),
];

const ENGINES: [(&str, &str); 2] = [
    ("bpf", "at most 1.10 with old, new, tid, ip; 1.05 where the filter drops it"),
    ("perf", "at most 1.30"),
];

fn main() {
    let (rounds, stores) = if only_trying() { (1, 100) } else { (11, 40_000) };
    let mut target = Loop::start();
    let mut counting = Vec::new();
    let mut ratios = vec![vec![Vec::new(); WAYS.len()]; ENGINES.len()];
    while counting.len() < rounds {
        let Some((plain, costs)) = round(&mut target, stores) else {
            eprintln!("AGAIN: the machine lost a debug trap and killed the target");
            target = Loop::start();
            continue;
        };
        counting.push(plain);
        for (costs, ratios) in costs.into_iter().zip(&mut ratios) {
            for (cost, ratios) in costs.into_iter().zip(ratios) {
                ratios.push(cost / plain);
            }
        }
    }
    println!("cost of a hit to the target, median of {rounds} rounds of {stores} stores");
    println!("  {:<34} {:>8.0} ns  1.00", "plain perf counting", median(counting));
    for ((engine, aim), ratios) in ENGINES.iter().zip(ratios) {
        println!("engine {engine}: aim {aim}");
        for ((name, _), ratios) in WAYS.iter().zip(ratios) {
            println!("  {name:<34} {:>8}     {:.3}", "", median(ratios));
        }
    }
}

/// The cost of a store counted by perf, and with each engine in each of the ways; none
/// where the target died.
fn round(target: &mut Loop, stores: u64) -> Option<(f64, Vec<Vec<f64>>)> {
    let event = count(target.pid(), target.address_of("counter"));
    let plain = target.store(stores)?;
    drop(event);
    let pid = target.pid().to_string();
    let mut costs = Vec::new();
    for (engine, _) in ENGINES {
        let mut way = |(_, script): &(&str, &str)| {
            let hwtrace = Attached::to(&["-p", &pid, "--engine", engine], script);
            // What is to be taught is taught then.
            target.store(stores / 10)?;
            std::thread::sleep(std::time::Duration::from_millis(30));
            let cost = target.store(stores)?;
            let end = hwtrace.end();
            assert!(end.contains(", 0 lost"), "{end}");
            Some(cost)
        };
        costs.push(WAYS.iter().map(&mut way).collect::<Option<_>>()?);
    }
    Some((plain, costs))
}
