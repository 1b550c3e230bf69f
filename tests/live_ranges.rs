//! Ranges: an array's elements, each watched by itself, in one table and by one probe.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::path::PathBuf;

use common::{Ended, Hwtrace, Target, again, c_with, despite_lost_traps, live};
use serde_json::Value;

fn table() -> PathBuf {
    c_with("table", &["-g"])
}

fn watch(arguments: &[&str], target: &[&str]) -> Ended {
    let program = table();
    despite_lost_traps(|| {
        let hwtrace = Hwtrace::new(&["watch", "--mode", "write"]).with(arguments);
        let hwtrace = hwtrace.with(&["--", program.to_str().unwrap()]).with(target);
        hwtrace.run_with("go").done("done")
    })
}

/// The title that begins with this, and the first words of the rows below it.
#[track_caller]
fn rows(ended: &Ended, title: &str, words: usize) -> (String, Vec<Vec<String>>) {
    let position = ended.out.iter().position(|line| line.starts_with(title));
    let position = position.unwrap_or_else(|| panic!("no `{title}`: {ended:#?}"));
    let is_row = |line: &&String| line.contains(" write ");
    let lines = ended.out[position..].iter().skip_while(|line| !is_row(line));
    let lines = lines.take_while(is_row);
    let row =
        |line: &String| line.split_whitespace().take(words).map(str::to_owned).collect();
    (ended.out[position].clone(), lines.map(row).collect())
}

#[test]
fn all_elements_have_one_table() {
    if !live() {
        return;
    }
    let ended = watch(&["table[..].refs"], &[]);
    let (title, rows) = rows(&ended, "table[..].refs: ", 4);
    assert!(title.contains("4 elements of 8 bytes, the first at 0x"), "{title}");
    assert!(title.ends_with(", 208 hits"), "{title}");
    let expected = [
        ["100", "48.1", "write", "[0].refs"],
        ["50", "24.0", "write", "[1].refs"],
        ["33", "15.9", "write", "[2].refs"],
        ["25", "12.0", "write", "[3].refs"],
    ];
    assert_eq!(rows, expected);
    ended.expect_figures(208, 1, 4);
}

#[test]
fn elements_have_their_members() {
    if !live() {
        return;
    }
    let ended = watch(&["table[1..3].range"], &[]);
    let (_, rows) = rows(&ended, "table[1..3].range: ", 4);
    let expected = [
        ["100", "50.0", "write", "[1].range.high"],
        ["100", "50.0", "write", "[2].range.high"],
    ];
    assert_eq!(rows, expected);
}

#[test]
fn a_probe_fires_for_each_element_and_names_it() {
    if !live() {
        return;
    }
    let script = r#"global n, last
        probe process.data("table[1..].refs").change { n[data_name()]++; last[data_name()] = $new }
        probe end { foreach (name+ in n) println(name, " ", n[name], " ", last[name]) }"#;
    let program = table();
    let ended = despite_lost_traps(|| {
        Hwtrace::script(script, &program).run_with("go").done("done")
    });
    let lines: Vec<_> =
        ended.out.iter().filter(|line| line.starts_with("table[")).collect();
    let expected =
        ["table[1].refs 50 100", "table[2].refs 33 99", "table[3].refs 25 100"];
    assert_eq!(lines, expected);
    assert_eq!(ended.figures().slots, 3);
}

#[test]
fn elements_behind_pointers_that_are_set_are_watched() {
    if !live() {
        return;
    }
    let ended = despite_lost_traps(|| {
        let mut target = Target::start(&table(), &[]);
        let pid = target.pid().to_string();
        let watch = ["watch", "some[..]->refs", "-v", "-p", &pid];
        let tracing = Hwtrace::new(&watch).start();
        tracing.messages().until("hwtrace: armed 1 thread, slots 2/4");
        target.ask("go")?;
        target.finish()?;
        Some(tracing.finish().expect(0))
    });
    let (title, rows) = rows(&ended, "some[..]->refs: ", 4);
    assert!(title.contains("2 elements of 8 bytes"), "{title}");
    let expected =
        [["100", "50.0", "write", "[0]->refs"], ["100", "50.0", "write", "[2]->refs"]];
    assert_eq!(rows, expected);
}

#[test]
fn what_can_not_be_watched_is_said_once() {
    if !live() {
        return;
    }
    let program = table();
    let refused = |arguments: &[&str]| {
        let hwtrace = Hwtrace::new(&["watch"]).with(arguments);
        hwtrace.with(&["--", program.to_str().unwrap()]).run()
    };
    let ended = refused(&["some[..]->refs"]).expect(2);
    ended.says(&[
        "`some[0]` is NULL",
        "it is the same with 3 more elements of `some[..]->refs`",
        "name the process with `-p` once it has set the pointers",
    ]);
    let ended = refused(&["table[0..5].refs"]).expect(2);
    ended.says(&[
        "`table[0..5]` goes beyond `table`, which has 4 elements",
        "`table[..]`",
    ]);
    let ended = refused(&["table[0].refs[..]"]).expect(2);
    ended.says(&["`table[0].refs` has no elements: it is of type `long"]);
    let ended = refused(&["some[..]->refs", "--follow"]).expect(2);
    ended.says(&["`--follow` moves one watch, and `some[..]->refs` is several"]);
    let ended = refused(&["many[0..0]"]).expect(2);
    ended.says(&["there is no element in `many[0..0]`", "`many[0..1]`"]);
}

/// The object that `-f json` printed.
#[track_caller]
fn object(ended: &Ended) -> Value {
    let line = ended.out.iter().find(|line| line.starts_with('{'));
    serde_json::from_str(line.unwrap_or_else(|| panic!("no object: {ended:#?}"))).unwrap()
}

#[test]
fn more_elements_than_registers_are_estimated() {
    if !live() {
        return;
    }
    again(|| match share_estimated() {
        // In a second the target or hwtrace may be kept from running for most of the turns.
        share if !(0.7..1.3).contains(&share) => Err(format!("{share} of all")),
        _ => Ok(()),
    });
}

/// How much of what is stored by turns is estimated.
fn share_estimated() -> f64 {
    let each = |ended: &Ended| -> f64 {
        let line = ended.out.iter().find_map(|line| line.strip_prefix("each "));
        line.unwrap().parse().unwrap()
    };
    let ended = watch(&["many[..]", "--engine", "perf", "-f", "json"], &["turns"]);
    let (report, stored) = (object(&ended), each(&ended));
    let watches = report["watches"].as_array().unwrap();
    assert_eq!((watches.len(), &report["armed"]["watches"]), (16, &16.into()));
    let mut estimated = 0.0;
    for watch in watches {
        assert_eq!(watch["of"], "many[..]");
        let coverage = watch["coverage"].as_f64().unwrap();
        assert!(coverage > 0.0 && coverage < 1.0, "{watch}");
        let seen = watch["seen"].as_f64().unwrap();
        assert!(seen > 0.0 && seen < stored, "{watch}: {stored}");
        estimated += watch["estimated"].as_f64().unwrap();
    }
    estimated / (16.0 * stored)
}

#[test]
fn an_overview_comes_before_the_table() {
    if !live() {
        return;
    }
    let ended = watch(&["many[..]"], &["turns"]);
    let headings = ended.out.iter().position(|line| {
        line.split_whitespace().eq(["name", "seen", "coverage", "estimated"])
    });
    let headings = headings.unwrap_or_else(|| panic!("no overview: {ended:#?}"));
    let listed = &ended.out[headings + 1..headings + 17];
    assert!(listed.iter().all(|line| line.starts_with("many[")), "{listed:#?}");
    let (title, rows) = rows(&ended, "many[..]: ", 4);
    assert!(title.contains("16 elements of 8 bytes"), "{title}");
    // One instruction stores to all: it is told once, with its line.
    let [row] = &rows[..] else { panic!("not one row: {ended:#?}") };
    assert!(row[2].contains('.'), "a coverage: {row:?}");
    assert!(ended.out.iter().any(|line| {
        line.contains("many[0..16]")
            || line.contains("  [0..16]  ") && line.contains("table.c:")
    }));
    assert!(ended.out.iter().any(|line| line.starts_with("± is the 95 % interval")));
    assert!(ended.summary().contains("16 watches by turns on 4 of 4 slots"));
}
