//! Stacks of real programs: at hit after hit hwtrace shows the functions that gdb shows
//! when its own watchpoint stops the same program.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;
#[path = "real/tests/stacks/gdb.rs"]
#[allow(dead_code, reason = "what gdb captures is for those who walk it themselves")]
mod gdb;
#[path = "real/tests/stacks/names.rs"]
mod names;

use std::collections::HashSet;
use std::path::Path;

use common::{Hwtrace, Target, c_with, cpp, despite_lost_traps, live, real, skip};
use gdb::{Hit, Kind, Question};
use nix::sys::signal::Signal;

/// The functions of a stack by gdb.
fn theirs(hit: &Hit) -> Vec<String> {
    // After the access, where an inlined function may have been left.
    let frames = hit.frames.iter().skip_while(|frame| frame.kind == Kind::Inlined);
    let name = |frame: &gdb::Frame| match frame.kind {
        Kind::Signal => "restore_rt".to_owned(),
        _ => names::common(frame.function.as_deref()),
    };
    frames.map(name).collect()
}

/// The functions of the stacks that were printed, each behind a line `stack`.
fn ours(lines: &[String]) -> Vec<Vec<String>> {
    let mut stacks: Vec<Vec<&str>> = Vec::new();
    for line in lines {
        match (line.strip_prefix("  "), stacks.last_mut()) {
            (Some(frame), Some(last)) => last.push(frame),
            _ if line == "stack" => stacks.push(Vec::new()),
            _ => {}
        }
    }
    let of_stack = |stack: Vec<&str>| {
        let outer = stack.iter().skip_while(|line| line.ends_with(" [inlined]"));
        outer.map(|line| names::common(function(line))).collect()
    };
    stacks.into_iter().map(of_stack).collect()
}

/// `name+0x12 (file:7)`, `name (file:7) [inlined]`, `name+0x12 [module]`, `0x1234 [module]`.
fn function(line: &str) -> Option<&str> {
    let line = line.strip_suffix(" [inlined]").unwrap_or(line);
    let place = |line: &str| line.ends_with(']') || line.ends_with(')');
    let opens = if line.ends_with(']') { " [" } else { " (" };
    let line = match line.rfind(opens) {
        Some(at) if place(line) => &line[..at],
        _ => line,
    };
    let name = line.rsplit_once("+0x").map_or(line, |(name, _)| name);
    (!name.starts_with("0x")).then_some(name)
}

/// What prints the stacks of the first hits.
fn script(data: &str, hits: u32) -> String {
    format!(
        r#"global seen
        probe process.data("{data}").rw {{
            if (seen++ < {hits}) printf("stack\n%s\n", ubacktrace())
            if (seen == {hits}) println("all seen")
        }}
        probe begin {{ println("armed") }}"#
    )
}

#[track_caller]
fn agree(ours: &[Vec<String>], theirs: &[Vec<String>], least: usize) {
    // A signal comes while the time is asked for, or a little before or after.
    let apart = |stacks: &[Vec<String>]| {
        let mut stacks = stacks.to_vec();
        stacks.iter_mut().for_each(|stack| stack.retain(|name| name != "clock_gettime"));
        stacks
    };
    let (ours, theirs) = (apart(ours), apart(theirs));
    let hits = ours.len().min(theirs.len());
    assert!(hits >= least, "{} and {} hits only", ours.len(), theirs.len());
    let differ: Vec<_> = (0..hits).filter(|hit| ours[*hit] != theirs[*hit]).collect();
    if let Some(first) = differ.first() {
        panic!(
            "{} of {hits} differ, such as hit {first}:\n  hwtrace {:?}\n  gdb     {:?}",
            differ.len(),
            ours[*first],
            theirs[*first]
        );
    }
    eprintln!("{hits} stacks agree");
}

/// From the start of the program on.
#[track_caller]
fn agree_from_start(program: &Path, data: &str, question: &Question<'_>) {
    if !live() || !gdb::present() && !skip("there is no gdb to compare with") {
        return;
    }
    let theirs: Vec<_> = gdb::ask(program, question).iter().map(theirs).collect();
    let ended = despite_lost_traps(|| {
        let ended = Hwtrace::script(&script(data, question.hits), program)
            .run_with(question.input.trim_end())
            .expect(0);
        (!ended.messages.iter().any(|line| line.contains("SIGTRAP"))).then_some(ended)
    });
    agree(&ours(&ended.out), &theirs, question.least);
}

const C: Question<'_> = Question {
    at: "main",
    watch: "awatch *(long *)&watched",
    hits: 80,
    step: 1,
    least: 30,
    input: "",
    arguments: &[],
};

#[test]
fn frames_of_every_kind() {
    agree_from_start(&c_with("frames", &["-g", "-O2"]), "watched", &C);
}

#[test]
fn exceptions_and_lambdas() {
    let question = Question { watch: "awatch -l watched", hits: 200, ..C };
    agree_from_start(&cpp("throws"), "watched", &question);
}

#[test]
fn sqlite() {
    let watch = "awatch *(long *)&sqlite3Stat.nowValue[0]";
    let question = Question { watch, input: "3\n", hits: 60, ..C };
    agree_from_start(&real("sqlite"), "sqlite3Stat.nowValue[0]", &question);
}

/// What a program does at a time that depends on its memory's addresses, or on its threads,
/// it does in another order each time: hwtrace shows no stack that gdb does not.
#[track_caller]
fn agree_in_some_order(
    program: &Path,
    data: &str,
    question: &Question<'_>,
    ours_of: u32,
) {
    if !live() || !gdb::present() && !skip("there is no gdb to compare with") {
        return;
    }
    let theirs: HashSet<_> = gdb::ask(program, question).iter().map(theirs).collect();
    let rounds = question.input.lines().last().unwrap();
    let lines = despite_lost_traps(|| {
        let mut target = Target::start(program, &[]);
        target.ask("3");
        let tracing = Hwtrace::attach(&script(data, ours_of), &target).start();
        tracing.out().until("armed");
        target.ask(rounds)?;
        let lines = tracing.out().until("all seen");
        tracing.signal(Signal::SIGINT);
        tracing.finish().expect(0);
        target.finish()?;
        Some(lines)
    });
    let ours = ours(&lines);
    assert!(ours.len() >= question.least, "{} hits only", ours.len());
    let others: Vec<_> = ours.iter().filter(|stack| !theirs.contains(*stack)).collect();
    let (count, hits) = (others.len(), ours.len());
    assert!(
        others.is_empty(),
        "{count} of {hits} are not gdb's, such as {:?}",
        others[0]
    );
    eprintln!("{hits} stacks are among {} of gdb", theirs.len());
}

#[test]
fn lua() {
    let question = Question {
        at: "lua_gc",
        watch: "awatch -l L->l_G->GCdebt",
        input: "3\n50\n",
        hits: 600,
        least: 60,
        ..C
    };
    let data = "((lua_State*)interpreter)->l_G->GCdebt";
    agree_in_some_order(&real("lua"), data, &question, 120);
}

#[test]
fn tokio() {
    let watch = "awatch *(long *)&'real_tokio::server::TASKS'";
    let input = "3\n40\n";
    let question = Question { at: "real_tokio::main", watch, input, hits: 200, ..C };
    agree_in_some_order(&real("tokio"), "real_tokio::server::TASKS", &question, 40);
}
