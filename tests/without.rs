//! Machines that refuse something, as containers do: what still works, and what is said
//! where nothing does.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Ended, Target, c, hwtrace_without, live, live_as_root};
use hwtrace::engines::ENGINES;

const STORES: &str = r#"probe process.data("counter").write { println($new) }"#;

/// Engines that need no perf.
fn without_perf() -> impl Iterator<Item = &'static str> {
    let names = ENGINES.iter().map(|row| row.name);
    names.filter(|name| !["bpf", "perf"].contains(name))
}

fn script(calls: &[&str], options: &[&str]) -> Ended {
    let program = c("obey");
    let arguments = ["-e", STORES, "-c", program.to_str().unwrap()];
    hwtrace_without(calls, &arguments).with(options).run_with("store 3")
}

#[track_caller]
fn works(ended: Ended, engine: &str) -> Ended {
    let ended = ended.expect(0);
    assert_eq!(ended.out, ["ready", "stored 3", "bye, counter is 2 of 3", "0", "1", "2"]);
    assert!(ended.summary().contains(&format!("engine {engine},")), "{ended:#?}");
    ended
}

/// The order in which target and hwtrace print is their own.
fn sorted(mut ended: Ended) -> Ended {
    ended.out.sort_by_key(|line| line.parse::<u32>().is_ok());
    ended
}

#[test]
fn without_bpf_perf_is_taken_and_one_line_says_what_bpf_would_take() {
    if !live_as_root() {
        return;
    }
    for calls in ["bpf", "bpf=38"] {
        let ended = works(sorted(script(&[calls], &[])), "perf");
        let lines: Vec<_> =
            ended.messages.iter().filter(|line| line.contains("not bpf")).collect();
        let [line] = *lines else { panic!("{ended:#?}") };
        assert!(line.starts_with("hwtrace: engine perf, "), "{line}");
        let need = if calls == "bpf" { "seccomp=unconfined" } else { "on the host" };
        assert!(line.contains(need), "{line}");
    }
    let quiet = script(&["bpf"], &["-q"]).expect(0);
    assert_eq!(quiet.messages, [""; 0]);
}

#[test]
fn without_perf_whatever_needs_none_is_taken() {
    if !live() {
        return;
    }
    for calls in [["perf", "bpf"], ["perf=38", "bpf=38"]] {
        for engine in without_perf() {
            works(sorted(script(&calls, &["--engine", engine])), engine);
        }
        let Some(best) = without_perf().next() else { continue };
        let demo = hwtrace_without(&calls, &["demo"]).run().expect(0);
        assert!(demo.out[0].contains("BALANCE: 8 bytes"), "{demo:#?}");
        demo.says(&[&format!("hwtrace: engine {best}, "), "not bpf and perf: "]);
    }
}

#[test]
fn an_engine_that_is_asked_for_says_why_it_is_not_to_be_had() {
    if !live() {
        return;
    }
    for (calls, engine, why) in [
        ("perf", "perf", "perf_event_open(2) is not permitted"),
        ("perf=38", "perf", "there is no perf_event_open(2)"),
        ("perf", "bpf", "perf_event_open(2) is not permitted"),
        ("perf=95", "perf", "there are no hardware breakpoints"),
    ] {
        let ended = script(&[calls], &["--engine", engine]).expect(1);
        ended.says(&["error[E0409]", &format!("{engine} can not be used: {why}")]);
        ended.says(&["help: for ", "`hwtrace doctor`"]);
    }
}

/// A process that runs: one of `-c` could not even be held.
#[test]
fn where_everything_is_refused_each_engine_says_why() {
    if !live() {
        return;
    }
    let target = Target::start(&c("obey"), &[]);
    let pid = target.pid().to_string();
    let calls = ["perf", "bpf", "ptrace"];
    let ended = hwtrace_without(&calls, &["watch", "counter", "-p", &pid]).run();
    let ended = ended.expect(1);
    ended.says(&["error[E0409]", "seccomp=unconfined", "`hwtrace doctor`"]);
    let text = ended.messages.join("\n");
    for row in ENGINES {
        assert!(text.contains(row.name), "nothing is said of {}:\n{text}", row.name);
    }
    assert_eq!(target.finish().unwrap(), ["bye, counter is 0 of 0"]);
}

#[test]
fn without_ptrace_a_program_can_not_be_held() {
    if !live() {
        return;
    }
    let ended = script(&["ptrace"], &[]).expect(1);
    ended.says(&["cannot be held before its first instruction", "--cap-add SYS_PTRACE"]);
    ended.says(&["or start ", "`-p PID`"]);
    // Nothing of it ran.
    assert_eq!(ended.out, [""; 0]);
}

/// As those of old container runtimes do; the check of rights then asks /proc.
#[test]
fn a_filter_that_refuses_to_say_whose_a_process_is() {
    if !live() {
        return;
    }
    works(sorted(script(&["robust"], &["--engine", "perf"])), "perf");
}
