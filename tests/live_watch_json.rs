//! `hwtrace watch -f json`: the object, and that it is whole however the session ends.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Ended, Hwtrace, Scratch, Target, c, c_with, despite_lost_traps, live};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// The object among what the target printed.
#[track_caller]
fn object(lines: &[String]) -> Value {
    let mut objects = lines.iter().filter(|line| line.starts_with('{'));
    let line = objects.next().unwrap_or_else(|| panic!("no object: {lines:#?}"));
    assert_eq!(objects.next(), None, "one object");
    serde_json::from_str(line).unwrap()
}

fn keys(object: &Value) -> Vec<&String> {
    object.as_object().unwrap().keys().collect()
}

fn accesses(arguments: &[&str]) -> Ended {
    let program = c("accesses");
    despite_lost_traps(|| {
        let hwtrace = Hwtrace::new(&["watch", "watched", "-f", "json"]).with(arguments);
        let hwtrace = hwtrace.with(&["-c", program.to_str().unwrap()]);
        hwtrace.run_with("go").done("done")
    })
}

#[test]
fn figures_are_those_of_the_program() {
    if !live() {
        return;
    }
    let ended = accesses(&[]);
    let report = object(&ended.out);
    let mut expected =
        ["watches", "hits", "lost", "elapsed_s", "engine", "armed", "remarks"];
    expected.sort_unstable();
    assert_eq!(keys(&report), expected);
    assert_eq!((&report["hits"], &report["lost"]), (&json!(251), &json!(0)));
    assert!(ended.summary().contains(report["engine"].as_str().unwrap()));
    assert!(report["elapsed_s"].as_f64().unwrap() > 0.0);
    assert_eq!(report["armed"]["threads"], 1);
    assert_eq!(report["armed"]["watches"], 0);
    assert_eq!(report["remarks"], json!([]));
    let [watch] = &report["watches"].as_array().unwrap()[..] else { panic!("{report}") };
    assert_eq!((&watch["name"], &watch["of"]), (&json!("watched"), &Value::Null));
    assert_eq!((&watch["type"], &watch["length"]), (&Value::Null, &json!(8)));
    assert!(watch["address"].as_str().unwrap().starts_with("0x"));
    assert_eq!((&watch["seen"], &watch["estimated"]), (&json!(251), &json!(251.0)));
    assert_eq!((&watch["error"], &watch["coverage"]), (&json!(0.0), &json!(1.0)));
    assert_eq!(watch["away"], 0);
    let sites = watch["sites"].as_array().unwrap();
    let seen = |access: &str| -> u64 {
        let of = sites.iter().filter(|site| site["access"] == access);
        of.map(|site| site["seen"].as_u64().unwrap()).sum()
    };
    assert_eq!((seen("write"), seen("read"), seen("update")), (150, 51, 50));
    let most = |site: &Value| site["seen"].as_u64().unwrap();
    assert!(sites.is_sorted_by(|left, right| most(left) >= most(right)), "{report}");
    let update = sites.iter().find(|site| site["access"] == "update").unwrap();
    assert_eq!(update["values"], json!({"min": 16, "max": 506}));
    assert!(update["where"].as_str().unwrap().starts_with("main+0x"));
    assert_eq!((&update["member"], &update["line"]), (&Value::Null, &Value::Null));
    assert_eq!((&update["doubtful"], &update["threads"]), (&json!(false), &json!(1)));
}

#[test]
fn it_goes_to_a_file() {
    if !live() {
        return;
    }
    let scratch = Scratch::new();
    let file = scratch.file("report.json", b"", 0o644);
    let ended = accesses(&["-q", "--mode", "write", "-o", file.to_str().unwrap()]);
    assert!(!ended.out.iter().any(|line| line.starts_with('{')), "{ended:#?}");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.ends_with("}\n"), "{text}");
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["watches"][0]["seen"], 200);
}

#[test]
fn an_interrupt_leaves_it_whole() {
    if !live() {
        return;
    }
    let ended = despite_lost_traps(|| {
        let mut target = Target::start(&c("obey"), &[]);
        let pid = target.pid().to_string();
        let watch = ["watch", "counter", "e", "-v", "-f", "json", "--mode", "write"];
        let tracing = Hwtrace::new(&watch).with(&["-p", &pid]).start();
        tracing.messages().until("hwtrace: armed 1 thread, slots 2/4");
        assert_eq!(target.ask("store 250").as_deref(), Some("stored 250"));
        tracing.signal(Signal::SIGINT);
        let ended = tracing.finish().expect(0);
        target.finish()?;
        Some(ended)
    });
    let report = object(&ended.out);
    let figures: Vec<_> = report["watches"]
        .as_array()
        .unwrap()
        .iter()
        .map(|watch| (watch["name"].as_str().unwrap(), watch["seen"].as_u64().unwrap()))
        .collect();
    assert_eq!(figures, [("counter", 250), ("e", 0)]);
    assert_eq!((&report["hits"], &report["lost"]), (&json!(250), &json!(0)));
}

#[test]
fn the_end_of_its_time_leaves_it_whole() {
    if !live() {
        return;
    }
    let program = c("obey");
    let watch = ["watch", "counter", "-f", "json", "-T", "0.2", "--"];
    let mut tracing = Hwtrace::new(&watch).with(&[program.to_str().unwrap()]).start();
    tracing.say("store 10");
    let out = tracing.out().until("stored 10");
    assert!(!out.iter().any(|line| line.starts_with('{')), "too early: {out:#?}");
    assert!(tracing.wait().success());
    let ended = tracing.finish().expect(0);
    let report = object(&ended.out);
    let remarks = report["remarks"].to_string();
    assert!(remarks.contains("goes on, and is no longer watched"), "{remarks}");
    assert!(report["elapsed_s"].as_f64().unwrap() >= 0.2, "{report}");
    assert_eq!(report["watches"][0]["name"], "counter");
}

#[test]
fn each_member_that_changed_while_its_register_was_away_is_told_of() {
    if !live() {
        return;
    }
    let program = c_with("pairs", &["-g"]);
    let ended = despite_lost_traps(|| {
        let watch = ["watch", "pairs", "-f", "json", "-c", program.to_str().unwrap()];
        Hwtrace::new(&watch).run_with("go").done("done")
    });
    let report = object(&ended.out);
    let [watch] = &report["watches"].as_array().unwrap()[..] else { panic!("{report}") };
    let sites = watch["sites"].as_array().unwrap();
    for pair in 0..16 {
        for (member, step) in [("left", 1), ("right", 2)] {
            let name = json!(format!("[{pair}].{member}"));
            let of = |site: &&Value| site["access"] == "away" && site["member"] == name;
            let site =
                sites.iter().find(of).unwrap_or_else(|| panic!("{name}: {report}"));
            let value = |of: &str| site["values"][of].as_i64().unwrap();
            let (least, most) = (value("min"), value("max"));
            assert!(least < most && most <= 3000 * step, "some 75 times: {site}");
            assert_eq!((least % step, most % step), (0, 0), "{site}");
        }
    }
}
