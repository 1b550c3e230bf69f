//! Code of which no symbol tells: made by the program as it runs, stripped, or the
//! kernel's.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::cell::RefCell;
use std::collections::BTreeMap;

use common::{
    Hwtrace, Target, c, c_with, despite_lost_traps, live, record_each, request, symbols,
};
use hwtrace::target;
use hwtrace_probes::spec::Mode;
use hwtrace_runtime::schema::AccessKind;

/// The number of the request on the marker.
const MARKER: usize = 1;

/// Where instructions begin nobody says: what they did is known all the same, and
/// their values are not exact.
#[test]
fn what_code_does_that_was_made_as_the_program_runs() {
    if !live() {
        return;
    }
    let (hits, answers) = despite_lost_traps(|| {
        let target = RefCell::new(Some(Target::start(&c("jit"), &[])));
        let say = || target.borrow_mut().as_mut().unwrap().say("next");
        let pid = target.borrow().as_ref().unwrap().pid();
        let requests =
            vec![request("watched", Mode::ReadWrite), request("marker", Mode::Write)];
        let recorded =
            record_each(&target::Target::Process(pid), requests, say, |request, _| {
                if request == MARKER {
                    say();
                }
            });
        Some((recorded.hits, target.take()?.finish()?))
    });
    assert_eq!(answers, ["watched is 7", "done"]);
    let mut phases = hits.split(|(request, _)| *request == MARKER);
    for kind in [
        AccessKind::Write,
        AccessKind::Read,
        AccessKind::Update,
        AccessKind::Update,
        AccessKind::Write,
    ] {
        let hits = phases.next().unwrap();
        assert_eq!(hits.len(), 100);
        for (_, hit) in hits {
            assert_eq!((hit.access, hit.exact), (kind as u32, 0), "{hit:?}");
        }
        let changes = hits.iter().filter(|(_, hit)| hit.old != hit.new).count();
        assert!(kind != AccessKind::Read || changes == 0);
    }
}

#[test]
fn code_of_a_stripped_program_is_known() {
    if !live() {
        return;
    }
    let address = symbols(&c_with("accesses", &["-no-pie"]))["watched"];
    let script = format!(
        r#"global n; probe process.data({address:#x}).length(8).rw {{ n[access(), exact()]++ }}
        probe end {{ foreach ([kind, exact] in n) printf("%s %d %d\n", kind, exact, n[kind, exact]) }}"#
    );
    let ended = despite_lost_traps(|| {
        let program = c_with("accesses", &["-no-pie", "-s"]);
        Hwtrace::script(&script, program).run_with("go").done("done")
    });
    assert_eq!(ended.numbers("write "), [[1, 150]]);
    assert_eq!(ended.numbers("read "), [[1, 51]]);
    assert_eq!(ended.numbers("update "), [[0, 50]]);
}

/// By which system call the kernel stored; how often it is told depends on the engine.
#[test]
fn system_calls_have_names() {
    if !live() {
        return;
    }
    if !nix::unistd::geteuid().is_root() {
        common::skip("only root sees what the kernel stores");
        return;
    }
    let script = r#"global n, own; probe process.data("watched").rw {
        if (user_mode()) own += syscall_name() == "" else n[syscall_name()] += access_count()
    }
    probe end {
        foreach (name in n) printf("by %s %d\n", name, n[name])
        printf("own %d\n", own)
    }"#;
    let ended = despite_lost_traps(|| {
        Hwtrace::script(script, c("calls")).run_with("go").done("done")
    });
    let by: BTreeMap<_, _> = ended
        .out
        .iter()
        .filter_map(|line| line.strip_prefix("by ")?.split_once(' '))
        .map(|(name, count)| (name.to_owned(), count.parse::<u64>().unwrap()))
        .collect();
    assert_eq!(ended.numbers("own "), [[1]]);
    for name in ["read", "readv", "recvfrom", "getrandom"] {
        assert!(by.get(name).is_some_and(|count| *count >= 1), "{name}: {by:?}");
    }
    let named = by.keys().all(|name| {
        ["", "read", "readv", "recvfrom", "getrandom"].contains(&name.as_str())
    });
    assert!(named, "{by:?}");
}
