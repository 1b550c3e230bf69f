//! What a hit costs the target, against plain perf counting of the same
//! stores. The ways take turns in one run, so that noise meets all alike.
#![allow(missing_docs, unsafe_code, clippy::unwrap_used)]

mod support;

use std::os::fd::{FromRawFd, OwnedFd};

use perf_event_open_sys::{bindings as sys, perf_event_open};
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
    let event = count(target.pid(), address_of_counter(target.pid()));
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

/// A counting breakpoint without samples: the yardstick.
fn count(pid: u32, address: u64) -> OwnedFd {
    let mut attr = sys::perf_event_attr {
        type_: sys::PERF_TYPE_BREAKPOINT,
        size: std::mem::size_of::<sys::perf_event_attr>() as u32,
        bp_type: sys::HW_BREAKPOINT_W,
        ..Default::default()
    };
    attr.__bindgen_anon_3.bp_addr = address;
    attr.__bindgen_anon_4.bp_len = 8;
    attr.set_exclude_kernel(1);
    attr.set_exclude_hv(1);
    // SAFETY: the attributes are filled in and live until the call returns.
    let fd = unsafe { perf_event_open(&mut attr, pid as i32, -1, -1, 0) };
    assert!(fd >= 0, "{}", std::io::Error::last_os_error());
    // SAFETY: a fresh descriptor that nobody else has.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn address_of_counter(pid: u32) -> u64 {
    let process = hwtrace_probes::Process::open(pid).unwrap();
    let executable = process.executable().unwrap();
    let counter = executable.elf.find_data("counter").unwrap();
    executable.bias.to_abs(counter.address).0
}
