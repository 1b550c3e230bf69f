//! How many hits a second compiled handlers take, from records in memory, on
//! one core; against a loop written by hand that does the same.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::hint::black_box;
use std::time::Instant;

use hwtrace::pipeline::Parsed;
use hwtrace_lang::span::Source;
use hwtrace_runtime::abi::Limits;
use hwtrace_runtime::schema::HitRecord;
use hwtrace_runtime::world::World;
use indexmap::IndexMap;
use support::{median, only_trying};

const WAYS: [(&str, &str); 4] = [
    ("n[tid(), addr()]++", "n[tid(), addr()]++"),
    ("n[execname(), addr()]++", "n[execname(), addr()]++"),
    ("if ($new > 100) n2++", "if ($new > 100) n2++"),
    (
        "printf of five fields",
        r#"printf("%s[%d] %d -> %d at %p\n", execname(), tid(), $old, $new, addr())"#,
    ),
];

fn main() {
    let rounds = if only_trying() { 1 } else { 9 };
    let records = records(if only_trying() { 1000 } else { 1 << 20 });
    let by_hand = (0..rounds).map(|_| by_hand(&records)).collect();
    let by_hand = median(by_hand);
    println!(
        "handlers over {} records in memory, median of {rounds} rounds",
        records.len()
    );
    println!("  {:<34} {:>7.1} million/s  1.00", "by hand: n[tid, addr] += 1", by_hand);
    for (name, body) in WAYS {
        let native = median((0..rounds).map(|_| native(body, &records)).collect());
        println!("  {name:<34} {native:>7.1} million/s  {:.2}", native / by_hand);
    }
    println!("  aim: at least 10 million/s for n[tid(), addr()]++");
}

/// Eight threads, sixteen instructions.
fn records(count: u64) -> Vec<HitRecord> {
    let record = |number: u64| HitRecord {
        time: number,
        address: 0x40_1000 + number % 16 * 4,
        old: number,
        new: number + 1,
        pid: 1000,
        tid: 1000 + (number / 3 % 8) as u32,
        ..HitRecord::default()
    };
    (0..count).map(record).collect()
}

/// Million records a second.
fn rate(records: &[HitRecord], start: Instant) -> f64 {
    records.len() as f64 / start.elapsed().as_secs_f64() / 1e6
}

fn by_hand(records: &[HitRecord]) -> f64 {
    let mut map: IndexMap<[u64; 2], u64, foldhash::fast::RandomState> =
        IndexMap::default();
    let start = Instant::now();
    for record in records {
        *map.entry([record.tid.into(), record.address]).or_default() += 1;
    }
    black_box(&map);
    rate(records, start)
}

fn native(body: &str, records: &[HitRecord]) -> f64 {
    // A global that no handler uses has no type of its own: a long.
    let script = format!("global n, n2 probe process.data(\"x\").write {{ {body} }}");
    let parsed = Parsed::parse(Source::new("bench", script), &[]).unwrap();
    let lowered = parsed.check(&[]).unwrap().lower(&Limits::default()).unwrap();
    let compiled = lowered.compile(false).unwrap();
    let mut world = World::new(compiled.program().layout(), &Limits::default());
    let name = world.intern(b"a-program");
    let records: Vec<_> =
        records.iter().map(|record| HitRecord { execname: name, ..*record }).collect();
    let start = Instant::now();
    for record in &records {
        compiled.program().run(0, &mut world, record).unwrap();
        if world.output().len() > 1 << 16 {
            world.output().clear();
        }
    }
    rate(&records, start)
}
