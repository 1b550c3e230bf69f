//! How many records a second handlers take: `cargo test --release -p
//! hwtrace-compiler --test speed -- --ignored --nocapture`.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::time::Instant;

use common::module;
use hwtrace_compiler::jit::Program;
use hwtrace_runtime::abi::Limits;
use hwtrace_runtime::schema::HitRecord;
use hwtrace_runtime::world::World;

fn records(name: u64) -> Vec<HitRecord> {
    let record = |number: u64| HitRecord {
        time: number,
        address: 0x40_1000 + number % 16 * 4,
        old: number,
        new: number + 1,
        execname: name,
        pid: 1000,
        tid: 1000 + (number / 3 % 8) as u32,
        ..HitRecord::default()
    };
    (0..1 << 20).map(record).collect()
}

/// Million records a second, the median of nine rounds.
fn rate(globals: &str, body: &str) -> f64 {
    let script = format!("{globals}\nprobe process.data(1).write {{ {body} }}");
    let module = module(&script, &Limits::default());
    let program = Program::compile(&module, false).unwrap();
    let mut rates: Vec<_> = (0..9)
        .map(|_| {
            let mut world = World::new(program.layout(), &Limits::default());
            let name = world.intern(b"a-program");
            let records = records(name);
            let start = Instant::now();
            for record in &records {
                program.run(0, &mut world, record).unwrap();
                if world.output().len() > 1 << 16 {
                    world.output().clear();
                }
            }
            records.len() as f64 / start.elapsed().as_secs_f64() / 1e6
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    rates[4]
}

#[test]
#[ignore = "measures"]
fn handlers() {
    let ways = [
        ("global n", "n++"),
        ("global n", "if ($new > 100) n++"),
        ("global n", "n[tid(), addr()]++"),
        ("global n", "n[execname(), addr()]++"),
        ("global s", "s[tid()] <<< $new"),
        ("global s", "s <<< $new"),
        ("global n function f(x) { return x + 1 }", "n = f(n)"),
        ("global n%[100]", "n[$new] = 1"),
        ("global d = 1.5", "d += $new"),
    ];
    for (globals, body) in ways {
        println!("{body:<30} {:>7.1} million/s", rate(globals, body));
    }
}
