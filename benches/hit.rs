//! What a hit costs the target, against plain perf counting of the same
//! stores. The ways take turns in one run, so that noise meets all alike.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use support::counting::count;
use support::{Attached, Loop, median, only_trying};

const WAYS: [(&str, &str); 4] = [
    ("count: n++", r#"global n probe process.data("counter").write { n++ }"#),
    (
        "aggregate: n[tid(), addr()]++",
        r#"global n probe process.data("counter").write { n[tid(), addr()]++ }"#,
    ),
    ("change only", r#"global n probe process.data("counter").change { n++ }"#),
    (
        "printf of five fields",
        r#"probe process.data("counter").write {
            printf("%s[%d] %d -> %d at %p\n", execname(), tid(), $old, $new, addr())
        }"#,
    ),
];

fn main() {
    let (rounds, stores) = if only_trying() { (1, 100) } else { (9, 20_000) };
    let mut target = Loop::start();
    let mut counting = Vec::new();
    let mut ratios = vec![Vec::new(); WAYS.len()];
    while counting.len() < rounds {
        let Some((plain, ways)) = round(&mut target, stores) else {
            eprintln!("AGAIN: the machine lost a debug trap and killed the target");
            target = Loop::start();
            continue;
        };
        counting.push(plain);
        for (way, ratios) in ways.into_iter().zip(&mut ratios) {
            ratios.push(way / plain);
        }
    }
    println!("cost of a hit to the target, median of {rounds} rounds of {stores} stores");
    println!("  {:<34} {:>8.0} ns  1.00", "plain perf counting", median(counting));
    for ((name, _), ratios) in WAYS.iter().zip(ratios) {
        println!("  {name:<34} {:>8}     {:.2}", "", median(ratios));
    }
    println!("  aim: at most 1.35 with the perf engine");
}

/// The cost of a store counted by perf, and in each of the ways; none where
/// the target died.
fn round(target: &mut Loop, stores: u64) -> Option<(f64, Vec<f64>)> {
    let event = count(target.pid(), target.address_of("counter"));
    let plain = target.store(stores)?;
    drop(event);
    let way = |(_, script): &(&str, &str)| {
        let hwtrace = Attached::to(["-p", &target.pid().to_string()], script);
        let cost = target.store(stores)?;
        let end = hwtrace.end();
        assert!(end.contains(", 0 lost"), "{end}");
        Some(cost)
    };
    Some((plain, WAYS.iter().map(way).collect::<Option<_>>()?))
}
