//! `hwtrace doctor`: its forms, and what it finds as root, as nobody, and where perf is
//! refused.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::fmt::Write;

use common::{
    Hwtrace, Scratch, as_user, hwtrace_without, live, live_as_root, with_capabilities,
};
use hwtrace::engines::{ENGINES, Row};
use serde_json::{Map, Value};

/// What it found, by name.
struct Found {
    usable: bool,
    findings: Vec<Map<String, Value>>,
}

impl Found {
    #[track_caller]
    fn of(hwtrace: Hwtrace) -> Self {
        let ended = hwtrace.with(&["--json"]).run();
        let report: Value = serde_json::from_str(&ended.out.concat()).expect("JSON");
        let usable = report["usable"].as_bool().expect("whether it works");
        let ended = ended.expect(if usable { 0 } else { 1 });
        assert_eq!(ended.messages, [""; 0]);
        let findings = report["findings"].as_array().expect("findings");
        let findings = findings.iter().map(|it| it.as_object().unwrap().clone());
        Self { usable, findings: findings.collect() }
    }

    #[track_caller]
    fn text(&self, name: &str, key: &str) -> &str {
        let of_name = |finding: &&Map<String, Value>| finding["name"] == name;
        let finding = self.findings.iter().find(of_name);
        let finding = finding.unwrap_or_else(|| panic!("nothing is said of {name}"));
        finding[key].as_str().unwrap_or_default()
    }

    #[track_caller]
    fn is(&self, name: &str, state: &str) {
        let why = self.text(name, "why");
        assert_eq!(self.text(name, "state"), state, "{name}: {why}");
    }
}

#[test]
fn each_finding_is_an_object_of_the_same_form() {
    if !live() {
        return;
    }
    let found = Found::of(Hwtrace::new(&["doctor"]));
    for finding in &found.findings {
        let keys: Vec<_> = finding.keys().collect();
        assert_eq!(keys, ["group", "help", "name", "state", "what_for", "why"]);
        for key in ["group", "name", "state", "what_for", "why"] {
            assert!(
                finding[key].as_str().is_some_and(|text| !text.is_empty()),
                "{finding:?}"
            );
        }
        let works = finding["state"] == "ok";
        assert!(works || finding["state"] == "part" || finding["state"] == "no");
        // What does not work has a way to make it work, and nothing else has one.
        assert_eq!(finding["help"].is_null(), works, "{finding:?}");
    }
    for row in ENGINES {
        assert_eq!(found.text(row.name, "group"), "engines");
    }
}

/// What is seen differs from machine to machine; what is looked at does not.
#[test]
fn people_get_a_line_for_each_finding() {
    if !live() {
        return;
    }
    let ended = Hwtrace::new(&["doctor"]).run();
    let mut text = String::new();
    for line in ended.out.iter().filter(|line| !line.trim_start().starts_with("-> ")) {
        let line = match line.strip_prefix("  ") {
            // State, name, and what it is for: what was seen stands between.
            Some(found) => {
                let (state, rest) = found.split_at(6);
                assert!(["ok", "part", "no"].contains(&state.trim()), "{line}");
                let (name, rest) = rest.split_once("  ").unwrap();
                if ENGINES.iter().any(|row| row.name == name) {
                    continue;
                }
                let (_, what_for) = rest.rsplit_once("; for ").expect(line);
                format!("  STATE {name}: {what_for}")
            }
            None => line.clone(),
        };
        writeln!(text, "{line}").unwrap();
    }
    insta::assert_snapshot!(text.trim_end(), @r#"
Machine
  STATE kernel: all engines
  STATE debug registers: watching, up to 8 bytes each

Engines, each tried on a program of hwtrace's own

What can be watched and read besides one's own data
  STATE other users' processes: `-p` with their number
  STATE programs that start: `process("/path")` of programs that others start
  STATE accesses by the kernel: hits of read(2) and the like, into the data of a process
  STATE memory at the hit of a load: the values of watches on loads, exact in engine bpf
  STATE data of the kernel: `kernel.data("…")` and `kernel.task(PID)`
  STATE symbols of the kernel: names of its functions and variables
  STATE types of the kernel: members of its data, and tasks

Rights
  STATE user and capabilities: what is not one's own
  STATE kernel.perf_event_paranoid: perf without privilege
  STATE kernel.yama.ptrace_scope: `-c`, `-p`, and memory read later
  STATE filter of system calls: keeping programs within a container

Limits
  STATE open files (RLIMIT_NOFILE): one for each watch, thread and CPU
  STATE locked memory: a ring of hits on each CPU
  STATE priority (nice): losing fewer hits of who hits as fast as all CPUs can

hwtrace works here.
"#);
}

#[test]
fn root_can_do_everything_that_the_machine_can() {
    if !live_as_root() {
        return;
    }
    let found = Found::of(Hwtrace::new(&["doctor"]));
    assert!(found.usable);
    for engine in ENGINES {
        found.is(engine.name, "ok");
        let why = found.text(engine.name, "why");
        assert!(why.starts_with("3 of 3 stores seen, 3 exact"), "{why}");
    }
    for name in ["programs that start", "accesses by the kernel", "data of the kernel"] {
        found.is(name, "ok");
    }
    found.is("user and capabilities", "ok");
}

#[test]
fn nobody_is_told_what_it_would_take() {
    if !live_as_root() {
        return;
    }
    let scratch = Scratch::new();
    let hwtrace = scratch.copy(env!("CARGO_BIN_EXE_hwtrace"));
    let found = Found::of(Hwtrace::by(as_user(65_534, &hwtrace), &["doctor"]));
    found.is("bpf", "no");
    let help = format!("sudo setcap cap_bpf,cap_perfmon+ep {}", hwtrace.display());
    assert!(found.text("bpf", "help").contains(&help), "{}", found.text("bpf", "help"));
    for name in ["other users' processes", "data of the kernel"] {
        found.is(name, "no");
        assert!(found.text(name, "help").contains("sudo"));
    }
    found.is("programs that start", "part");

    // What it says works.
    let scratch = Scratch::new();
    let hwtrace = with_capabilities(&scratch, &[38, 39]);
    let found = Found::of(Hwtrace::by(as_user(65_534, &hwtrace), &["doctor"]));
    found.is("bpf", "ok");
    found.is("programs that start", "ok");
    found.is("other users' processes", "no");
    assert!(
        found.text("user and capabilities", "why").ends_with("with CAP_BPF, CAP_PERFMON")
    );
}

#[test]
fn a_container_without_perf_is_seen() {
    if !live() {
        return;
    }
    for (calls, why) in [
        (["perf", "bpf"], "perf_event_open(2) is not permitted"),
        (["perf=38", "bpf=38"], "there is no perf_event_open(2)"),
    ] {
        let found = Found::of(hwtrace_without(&calls, &["doctor"]));
        for engine in ["bpf", "perf"] {
            found.is(engine, "no");
            assert!(found.text(engine, "why").starts_with(why));
        }
        found.is("debug registers", "no");
        found.is("filter of system calls", "part");
        let others = ENGINES.iter().filter(|row| !["bpf", "perf"].contains(&row.name));
        let works = |row: &&Row| found.text(row.name, "state") == "ok";
        assert_eq!(found.usable, others.filter(works).count() > 0);
    }
}
