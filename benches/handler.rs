//! How many hits a second compiled handlers take, from records in memory, on
//! one core; against a loop written by hand that does the same.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

use hwtrace::environment::Point;
use hwtrace::pipeline::Parsed;
use hwtrace_lang::span::Source;
use hwtrace_probes::spec::Spec;
use hwtrace_runtime::abi::Limits;
use hwtrace_runtime::schema::HitRecord;
use hwtrace_runtime::world::World;
use indexmap::IndexMap;
use support::{median, only_trying};

/// What is measured: a declaration, a handler, and how many million records a
/// second it is to take at least.
struct Way {
    globals: &'static str,
    body: &'static str,
    aim: Option<f64>,
}

const fn way(globals: &'static str, body: &'static str, aim: Option<f64>) -> Way {
    Way { globals, body, aim }
}

const WAYS: [Way; 10] = [
    way("global hits", "if ($new > 100) hits++", Some(50.0)),
    way("global s", "s[tid()] <<< $new", Some(15.0)),
    way("global n", "n[execname(), addr()]++", Some(10.0)),
    way("", PRINTF, Some(2.0)),
    way("global n", "n[tid(), addr()]++", None),
    way("global s", "s <<< $new", None),
    way("global s probe end { print(@hist_log(s)) }", "s <<< $new", None),
    way("global n function f(x) { return x + 1 }", "n = f(n)", None),
    way("global n%[100]", "n[$new] = 1", None),
    way("global d = 1.5", "d += $new", None),
];

const PRINTF: &str =
    r#"printf("%s[%d] %d -> %d at %p\n", execname(), tid(), $old, $new, addr())"#;

fn main() {
    let rounds = if only_trying() { 1 } else { 9 };
    let records = records(if only_trying() { 1000 } else { 1 << 20 });
    let by_hand = median((0..rounds).map(|_| by_hand(&records)).collect());
    println!(
        "handlers over {} records in memory, median of {rounds} rounds; million records a \
         second, and against the loop by hand",
        records.len()
    );
    println!("  {:<46} {by_hand:>7.1}  1.00", "by hand: n[tid, addr] += 1");
    for Way { globals, body, aim } in &WAYS {
        let rates = (0..rounds).map(|_| native(globals, body, &records)).collect();
        let rate = median(rates);
        let aim = aim.map_or(String::new(), |aim| format!("  (aim: {aim})"));
        let shown = match *body {
            PRINTF => "printf of five fields, to /dev/null".to_owned(),
            body if globals.contains("hist") => format!("{body}, for a histogram"),
            body => body.to_owned(),
        };
        println!("  {shown:<46} {rate:>7.1}  {:.2}{aim}", rate / by_hand);
    }
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

fn native(globals: &str, body: &str, records: &[HitRecord]) -> f64 {
    let script = format!("{globals}\nprobe process.data(\"x\").write {{ {body} }}");
    let parsed = Parsed::parse(Source::new("bench", script), &[]).unwrap();
    let lowered = parsed.check(&[]).unwrap().lower(&Limits::default()).unwrap();
    let compiled = lowered.compile(false).unwrap();
    let is_data = |point: &Point| matches!(point.spec, Spec::Data(_));
    let handler = compiled.points().iter().position(is_data).unwrap();
    let mut world = World::new(compiled.program().layout(), &Limits::default());
    let name = world.intern(b"a-program");
    let records: Vec<_> =
        records.iter().map(|record| HitRecord { execname: name, ..*record }).collect();
    let mut nowhere = File::create("/dev/null").unwrap();
    let start = Instant::now();
    for record in &records {
        compiled.program().run(handler, &mut world, record).unwrap();
        if world.output().len() > 1 << 16 {
            nowhere.write_all(world.output()).unwrap();
            world.output().clear();
        }
    }
    rate(&records, start)
}
