//! Data across a border of 8 bytes takes two registers, and an access to it is one.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Hwtrace, c_with, despite_lost_traps, live, live_and_free};
use serde_json::Value;

fn straddle() -> String {
    c_with("straddle", &["-g"]).to_str().unwrap().to_owned()
}

#[test]
fn an_access_is_told_once_with_all_of_its_value() {
    if !live_and_free() {
        return;
    }
    // The 17th goes over the border; the first sets it.
    let script = r#"
        global n, last, broken
        probe process.data("counters[3].count").write {
            if (n++ && $old != last) broken++
            last = $new
            if (n == 17 || n == 18) printf("%x -> %x, %d bytes\n", $old, $new, data_len())
        }
        probe process.data("counters[3].count").write.every(20).limit(2) { printf("%x\n", $new) }
        probe end { println(n, " stores, ", broken, " broken") }"#;
    let program = straddle();
    let ended =
        despite_lost_traps(|| Hwtrace::script(script, &program).run().done("bye"));
    let expected = [
        "bye",
        "ffffff -> 1000000, 8 bytes",
        "1000000 -> 1000001, 8 bytes",
        "1000003",
        "1000017",
        "41 stores, 0 broken",
    ];
    assert_eq!(ended.out, expected, "{ended:#?}");
}

#[test]
fn the_table_counts_it_once() {
    if !live_and_free() {
        return;
    }
    let program = straddle();
    let ended = despite_lost_traps(|| {
        let arguments = ["watch", "--mode", "write", "counters[3].count", "--", &program];
        Hwtrace::new(&arguments).run().done("bye")
    });
    assert!(ended.out.iter().any(|line| line.ends_with(", 41 hits")), "{ended:#?}");
    ended.expect_figures(41, 1, 2);
}

#[test]
fn so_it_is_by_turns() {
    if !live() {
        return;
    }
    const ROUNDS: u32 = 3000;
    let (program, rounds) = (straddle(), ROUNDS.to_string());
    let ended = despite_lost_traps(|| {
        let arguments =
            ["watch", "--mode", "write", "counters[0..8].count", "-f", "json"];
        let hwtrace = Hwtrace::new(&arguments).with(&["--", &program, &rounds]);
        hwtrace.run().done("bye")
    });
    let told = ended.out.iter().find(|line| line.starts_with('{')).unwrap();
    let told: Value = serde_json::from_str(told).unwrap();
    let watches = told["watches"].as_array().unwrap();
    let estimated: Vec<_> =
        watches.iter().map(|watch| watch["estimated"].as_f64().unwrap()).collect();
    let stores: Vec<_> = (1..=8).map(|it| f64::from(ROUNDS * 10 * it)).collect();
    for (estimated, stores) in estimated.iter().zip(&stores) {
        assert!((0.6..1.5).contains(&(estimated / stores)), "{estimated} of {stores}");
    }
    let (sum, all): (f64, f64) = (estimated.iter().sum(), stores.iter().sum());
    assert!((sum / all - 1.0).abs() < 0.15, "{sum} of {all}: {estimated:?}");
}
