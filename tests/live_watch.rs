//! `hwtrace watch` and `hwtrace demo`: the tables.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Ended, Hwtrace, Target, c, despite_lost_traps, live, rust};
use nix::sys::signal::Signal;

/// The columns of a row: hits, share, access, place, values, threads. (These programs
/// have no debug information, but for the demo.)
type Row = Vec<String>;

/// The title that begins with `name`, and the rows below it.
#[track_caller]
fn table(ended: &Ended, name: &str) -> (String, Vec<Row>) {
    let is_title = |line: &&String| line.starts_with(&format!("{name}: "));
    let position = ended.out.iter().position(|line| is_title(&line));
    let position = position.unwrap_or_else(|| panic!("no table of {name}: {ended:#?}"));
    let lines = ended.out[position + 1..].iter().take_while(|line| !line.is_empty());
    let rows = lines.map(|line| line.split_whitespace().map(str::to_owned).collect());
    (ended.out[position].clone(), rows.collect())
}

#[track_caller]
fn assert_narrow(ended: &Ended) {
    for line in &ended.out {
        assert!(line.chars().count() <= 80, "{line}");
        assert_eq!(line.trim_end(), line);
    }
}

fn crowd() -> Ended {
    let program = rust("crowd", &[]);
    let program = program.to_str().unwrap();
    despite_lost_traps(|| {
        let watch = ["watch", "BUSY", "QUIET", "UNUSED", "--", program];
        Hwtrace::new(&watch).columns(80).run_with("go").done("done")
    })
}

#[test]
fn a_table_for_each_variable() {
    if !live() {
        return;
    }
    let ended = crowd();
    ended.expect_figures(3004, 5, 3);
    assert_narrow(&ended);
    let (title, rows) = table(&ended, "BUSY");
    assert!(title.starts_with("BUSY: 8 bytes at 0x") && title.ends_with(", 3,000 hits"));
    let [headings, stores, loads] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!(headings[..], ["hits", "%", "access", "where", "values", "threads"]);
    // Most hits first.
    assert_eq!(stores[..3], ["2,000", "66.7", "write"]);
    assert!(stores[3].starts_with('…'), "a long name gives way: {stores:?}");
    assert!(stores[3].contains("_whose_name_would_fill_the_line_alone+0x"), "{stores:?}");
    assert_eq!(stores[4..], ["0..499", "4"]);
    assert_eq!(loads[..3], ["1,000", "33.3", "read"]);
    assert!(loads[3].starts_with("crowd::look+0x"), "{loads:?}");
    // What a load meets is the race's; but it is one of the values.
    let (lowest, highest) = loads[4].split_once("..").unwrap();
    assert!(lowest.parse::<u64>().unwrap() < highest.parse().unwrap(), "{loads:?}");
    assert!(highest.parse::<u64>().unwrap() <= 499, "{loads:?}");
    assert_eq!(loads[5], "4");
}

#[test]
fn addresses_in_hexadecimal_and_a_table_without_hits() {
    if !live() {
        return;
    }
    let ended = crowd();
    let (title, rows) = table(&ended, "QUIET");
    assert!(title.ends_with(", 4 hits"), "{title}");
    let [_, row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!(row[..3], ["4", "100.0", "update"]);
    assert!(row[4].ends_with("0x10000000000000"), "{row:?}");
    assert_eq!(row[5], "4");
    let (title, rows) = table(&ended, "UNUSED");
    assert!(title.ends_with(", 0 hits"), "{title}");
    assert!(rows.is_empty() || rows[0][0].parse::<u64>().is_err(), "{rows:?}");
}

#[test]
fn columns_are_aligned() {
    if !live() {
        return;
    }
    let ended = crowd();
    let position = ended.out.iter().position(|line| line.starts_with("BUSY")).unwrap();
    let lines = &ended.out[position + 1..position + 4];
    let column =
        |line: &str, word: &str| line.find(word).map(|at| line[..at].chars().count());
    assert_eq!(column(&lines[1], "write"), column(&lines[0], "access"));
    assert_eq!(column(&lines[2], "read"), column(&lines[0], "access"));
    assert_eq!(column(&lines[1], "…"), column(&lines[0], "where"));
    assert_eq!(column(&lines[2], "crowd"), column(&lines[0], "where"));
    assert_eq!(column(&lines[1], "0..499"), column(&lines[0], "values"));
    let ends: Vec<_> = lines.iter().map(|line| line.chars().count()).collect();
    assert_eq!((ends[0], ends[1]), (ends[1], ends[2]), "numbers end together");
}

#[test]
fn an_interrupt_prints_the_table_and_the_target_goes_on() {
    if !live() {
        return;
    }
    let ended = despite_lost_traps(|| {
        let mut target = Target::start(&c("obey"), &[]);
        let pid = target.pid().to_string();
        let watch = ["watch", "counter", "e", "-v", "--mode", "write", "-p", &pid];
        let tracing = Hwtrace::new(&watch).start();
        tracing.messages().until("hwtrace: armed 1 thread, slots 2/4");
        assert_eq!(target.ask("store 250").as_deref(), Some("stored 250"));
        tracing.signal(Signal::SIGINT);
        let ended = tracing.finish().expect(0);
        assert_eq!(target.ask("store 50").as_deref(), Some("stored 300"));
        target.finish()?;
        Some(ended)
    });
    assert_narrow(&ended);
    ended.expect_figures(250, 1, 2);
    let (title, rows) = table(&ended, "counter");
    assert!(title.ends_with(", 250 hits"), "{title}");
    let [_, row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!(row[..3], ["250", "100.0", "write"]);
    assert!(row[3].starts_with("store+0x"), "{row:?}");
    assert_eq!(row[4..], ["0..249", "1"]);
    let (title, _) = table(&ended, "e");
    assert!(title.ends_with(", 0 hits"), "{title}");
}

#[test]
fn modes_choose_the_accesses() {
    if !live() {
        return;
    }
    let program = c("accesses");
    for (mode, hits, first) in
        [("write", 200, ["150", "write"]), ("rw", 251, ["51", "read"])]
    {
        let ended = despite_lost_traps(|| {
            let watch =
                ["watch", "watched", "--mode", mode, "--", program.to_str().unwrap()];
            Hwtrace::new(&watch).run_with("go").done("done")
        });
        let (title, rows) = table(&ended, "watched");
        assert!(title.ends_with(&format!(", {hits} hits")), "{mode}: {title}");
        let of_access = |row: &&Row| row.get(2).is_some_and(|access| access == first[1]);
        let counted =
            rows.iter().filter(of_access).map(|row| row[0].parse::<u64>().unwrap());
        assert_eq!(counted.sum::<u64>().to_string(), first[0], "{mode}: {rows:?}");
    }
}

#[test]
fn one_byte_of_a_variable_is_watched_alone() {
    if !live() {
        return;
    }
    // Byte 1 of eight: every store of eight bytes overlaps it.
    let program = c("obey");
    let ended = despite_lost_traps(|| {
        let watch = ["watch", "counter+1", "--length", "1", "--mode", "change", "--"];
        let hwtrace = Hwtrace::new(&watch).with(&[program.to_str().unwrap()]);
        hwtrace.run_with("store 1024").done("bye, counter is 1023 of 1024")
    });
    ended.expect_figures(1024, 1, 1);
    let (title, rows) = table(&ended, "counter+1");
    // It changes at 256, 512 and 768.
    assert!(title.starts_with("counter+1: 1 byte at "), "{title}");
    assert!(title.ends_with(", 3 changes"), "{title}");
    assert_eq!(rows[1][4], "1..3");
}

#[test]
fn the_demo_shows_its_culprit() {
    if !live() {
        return;
    }
    let ended = despite_lost_traps(|| {
        let ended = Hwtrace::new(&["demo"]).columns(80).run().expect(0);
        (!ended.messages.iter().any(|line| line.contains("SIGTRAP"))).then_some(ended)
    });
    assert_narrow(&ended);
    ended.expect_figures(8020, 6, 1);
    let (_, rows) = table(&ended, "hwtrace::demo::BALANCE");
    let seen: Vec<_> = rows
        .iter()
        .skip(1)
        .map(|row| (&*row[0], &*row[2], &**row.last().unwrap()))
        .collect();
    let [first, second, third, culprit] = seen[..] else { panic!("{rows:?}") };
    assert_eq!(first, ("4,000", "update", "2"));
    let mut middle = [second, third];
    middle.sort_unstable();
    assert_eq!(middle, [("2,000", "read", "1"), ("2,000", "update", "1")]);
    assert_eq!(culprit, ("20", "write", "1"));
    // Without optimisation they are in functions of the standard library.
    if cfg!(not(debug_assertions)) {
        assert!(rows[4][3].contains("forget_a_round+0x"), "{rows:?}");
        assert!(rows[4][4].starts_with("demo.rs:"), "{rows:?}");
    }
}
