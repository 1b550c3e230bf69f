//! More watches than registers: they take turns, and what they missed is estimated.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{
    Hwtrace, Lines, Scratch, Target, all_are_free, c, c_with, despite_lost_traps, live,
    live_as_root,
};
use nix::sys::signal::Signal;
use serde_json::Value;

const COUNTERS: usize = 64;

fn counters() -> std::path::PathBuf {
    c_with("counters", &["-g", "-pthread"])
}

/// `watch` of all counters, while they are raised at rates of their own; with what it found
/// and how often each was raised.
fn estimated(options: &[&str]) -> Option<(Value, Vec<f64>)> {
    let folder = Scratch::new();
    let file = folder.file("found.json", b"", 0o644);
    let program = counters();
    let arguments = ["watch", "--mode", "write", "-f", "json", "counters[0..64]"];
    let command = ["--", program.to_str().unwrap(), "pace", "40000"];
    let hwtrace = Hwtrace::new(&arguments).writing_to(&file).with(options);
    let ended = hwtrace.with(&command).run().done(&raised_last())?;
    let found = std::fs::read_to_string(&file).unwrap();
    let raised = ended.out.iter().filter_map(|line| line.parse().ok());
    Some((serde_json::from_str(&found).unwrap(), raised.collect()))
}

/// The fastest counter of a thread is raised at each tick.
fn raised_last() -> String {
    40_000.to_string()
}

#[test]
fn totals_of_64_counters_are_estimated() {
    if !live() {
        return;
    }
    let (found, raised) = despite_lost_traps(|| estimated(&[]));
    assert_eq!((found["lost"].as_u64(), raised.len()), (Some(0), COUNTERS));
    let watches = found["watches"].as_array().unwrap();
    assert_eq!(watches.len(), COUNTERS);
    let (mut near, mut within, mut sum) = (0, 0, 0.0);
    let (mut fair, mut covered) = (0, 0.0);
    for (number, (watch, raised)) in watches.iter().zip(&raised).enumerate() {
        assert_eq!(watch["name"], format!("counters[{number}]"));
        let value = |key: &str| watch[key].as_f64().unwrap();
        let (estimated, error) = (value("estimated"), value("error"));
        let off = (estimated - raised).abs();
        near += usize::from(off < 0.05 * raised);
        within += usize::from(off < error);
        sum += estimated;
        let coverage = value("coverage");
        assert!(coverage > 0.02, "{watch}");
        fair += usize::from((0.04..0.09).contains(&coverage));
        covered += coverage;
        assert!(off < (0.05 * raised).max(1.5 * error), "{raised} were {watch}");
    }
    // Four registers' worth of time, three where another test has one; fairly shared, but when
    // hwtrace is kept from running, those four that have registers keep them meanwhile.
    eprintln!("{fair} of 64 have a fair share of {covered}");
    assert!((2.9..=4.0).contains(&covered), "{covered}");
    assert!(fair >= COUNTERS - 8, "{fair}: {watches:#?}");
    let total: f64 = raised.iter().sum();
    assert!((sum / total - 1.0).abs() < 0.05, "{sum} of {total}");
    eprintln!("{near} of 64 within 5 %, {within} within what is stated");
    assert!(near > COUNTERS / 2 && within > COUNTERS * 9 / 10, "{near}, {within}");
}

/// The first line that ends so.
fn line_with(lines: &Lines, end: &str) -> String {
    let mut all = std::iter::from_fn(|| lines.next());
    all.find(|line| line.ends_with(end)).unwrap()
}

#[test]
fn of_a_million_hits_none_is_of_another_variable() {
    if !live() {
        return;
    }
    let script = r#"global n, wrong
        probe process.data("counters[0..64]").write {
            n++
            if ($new >> 32 != (data_addr() - &@var("counters")) / 8) wrong++
            if (n == 1000000) exit()
        }
        probe end { println(n, " hits, ", wrong, " wrong") }"#;
    let program = counters();
    let command = format!("{} race 200000000", program.to_str().unwrap());
    let said = despite_lost_traps(|| {
        let tracing = Hwtrace::script(script, &command).start();
        let said = line_with(tracing.out(), " wrong");
        // The target would go on for minutes.
        tracing.signal(Signal::SIGINT);
        let ended = tracing.finish();
        assert!(said.ends_with(" hits, 0 wrong"), "{said}");
        let killed = ended.messages.iter().any(|line| line.contains("SIGTRAP"));
        (!killed).then_some(said)
    });
    assert_eq!(said, "1000000 hits, 0 wrong");
}

#[test]
fn each_byte_of_64_that_lie_askew_is_seen() {
    if !live() {
        return;
    }
    let script = r#"global seen, names, n
        probe process.data("*odd").write {
            if (!(data_addr() in seen)) {
                seen[data_addr()] = 1
                names[data_name()] = 1
                n++
            }
        }
        probe timer.ms(20) { if (n >= 62) exit() }
        probe end {
            println(n, " places")
            foreach (name+ in names) println(name)
        }"#;
    let program = counters();
    let command = format!("{} bytes", program.to_str().unwrap());
    let tracing = Hwtrace::script(script, &command).start();
    let places = line_with(tracing.out(), " places");
    let ended = tracing.finish();
    // 20 and 40 elements, and a number that lies in two registers.
    assert_eq!(places, "62 places", "{ended:#?}");
    for name in ["odd->first[19]", "odd->number", "odd->last[0]", "odd->last[39]"] {
        assert!(ended.out.iter().any(|line| line == name), "no {name}: {ended:#?}");
    }
}

#[test]
fn a_death_amid_turns_leaves_nothing_armed() {
    if !live_as_root() {
        return;
    }
    for nth in 0..30 {
        despite_lost_traps(|| {
            let mut target = Target::start(&c("obey"), &[]);
            let script = r#"probe begin { println("armed") }
                probe process.data("counter").write, process.data("a").rw,
                    process.data("b").rw, process.data("c").write,
                    process.data("d").write, process.data("e").write {}"#;
            let tracing = Hwtrace::attach(script, &target).with(&["--slice", "0.5"]);
            let mut tracing = tracing.start();
            tracing.out().until("armed");
            target.say("store 10000");
            std::thread::sleep(Duration::from_micros(nth * 731));
            tracing.signal(Signal::SIGKILL);
            tracing.wait();
            all_are_free(target.pid())?;
            target.say("store 1000");
            let said = target.finish()?;
            assert_eq!(said.last().unwrap(), "bye, counter is 10999 of 11000");
            Some(())
        });
    }
}

#[test]
fn what_is_pinned_has_its_register_all_the_time() {
    if !live() {
        return;
    }
    let script = r#"
        probe process.data("counters[15]").write.pinned {}
        probe process.data("counters[0..15]").write {}
        probe end {
            printf("%d %d\n", seen("counters[15]"), estimated("counters[15]"))
            printf("%d\n", coverage("counters[0..15]") < 0.3)
        }"#;
    let program = counters();
    let command = format!("{} pace 4000", program.to_str().unwrap());
    let ended =
        despite_lost_traps(|| Hwtrace::script(script, &command).run().done("4000"));
    for line in ["4000 4000", "1"] {
        assert!(ended.out.iter().any(|said| said == line), "no `{line}` in {ended:#?}");
    }
}

#[test]
fn without_turns_a_shortage_is_an_error_that_says_what_to_do() {
    if !live() {
        return;
    }
    let program = counters();
    let arguments = ["watch", "--no-rotate", "counters[0..5]", "--"];
    let hwtrace =
        Hwtrace::new(&arguments).with(&[program.to_str().unwrap(), "pace", "1"]);
    let said = hwtrace.run().expect(2).messages.join("\n");
    assert!(said.contains("debug registers") && said.contains("--no-rotate"), "{said}");
}

#[test]
fn no_more_registers_are_taken_than_are_allowed() {
    if !live() {
        return;
    }
    let program = counters();
    let run = |options: &[&str]| {
        let command = ["--", program.to_str().unwrap(), "pace", "400"];
        Hwtrace::new(&["watch"]).with(options).with(&command).run()
    };
    let allowed = ["--registers", "2", "--no-rotate"];
    let said = run(&[&allowed[..], &["counters[0..3]"]].concat()).expect(2);
    said.says(&[
        "error[E0411]: 3 different watches, but `--registers` allows 2 debug registers",
        "fewer than the 4 that there are: allow more",
        "--no-rotate",
    ]);
    let said = run(&["--registers", "1", "--no-rotate", "counters[0]", "counters[1]"]);
    said.expect(2).says(&["`--registers` allows 1 debug register\n"]);
    let ended =
        despite_lost_traps(|| run(&["--registers", "2", "counters[0..3]"]).done("400"));
    ended.says(&["3 watches by turns on 2 of 4 slots"]);
}

/// The value before each change is the one after the last that was told of, also where
/// nobody saw it change.
#[test]
fn changes_that_nobody_saw_are_told_of() {
    if !live() {
        return;
    }
    let script = r#"global last, away, gaps
        probe process.data("counters[0..8]").change {
            name = data_name()
            if ([name] in last && last[name] != $old) gaps++
            if (access() == "away") { away++; if (tid() != 0 || access_count() != 0) gaps++ }
            last[name] = $new
        }
        probe end { printf("away %d, gaps %d\n", away > 20, gaps) }"#;
    let program = counters();
    let command = format!("{} pace 4000", program.to_str().unwrap());
    let ended =
        despite_lost_traps(|| Hwtrace::script(script, &command).run().done("4000"));
    let said = ended.out.iter().find(|line| line.starts_with("away"));
    assert_eq!(said.map(String::as_str), Some("away 1, gaps 0"), "{ended:#?}");
}

/// What `watch` says of eight words that are stored to so often each, with so much work
/// before each store: by word what is estimated, and by how much that may be off.
fn hot(stores: u64, work: u64, options: &[&str]) -> Option<Vec<(f64, Option<f64>)>> {
    let folder = Scratch::new();
    let file = folder.file("found.json", b"", 0o644);
    let program = c_with("hot_many", &["-g"]);
    let arguments = ["watch", "--mode", "write", "-f", "json", "words[0..8]"];
    let (stores, work) = (stores.to_string(), work.to_string());
    let command = ["--", program.to_str().unwrap(), &stores, &work];
    let hwtrace = Hwtrace::new(&arguments).writing_to(&file).with(options);
    let ended = hwtrace.with(&command).run_with("go");
    ended.done("done")?;
    let found: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let watches = found["watches"].as_array().unwrap().iter();
    let figures = watches
        .map(|watch| (watch["estimated"].as_f64().unwrap(), watch["error"].as_f64()));
    Some(figures.collect())
}

/// What is wrong with what is said of them, if anything is.
fn false_of_hot(stores: u64, work: u64, options: &[&str]) -> Option<String> {
    let found = despite_lost_traps(|| hot(stores, work, options));
    assert_eq!(found.len(), 8);
    let all = found.iter().fold((0.0, Some(0.0)), |sum: (f64, Option<f64>), it| {
        (sum.0 + it.0, sum.1.zip(it.1).map(|(sum, error)| sum + error))
    });
    let of_all = (8.0 * stores as f64, all, 1.5);
    // Of one alone few windows tell.
    let of_each = found.iter().map(|it| (stores as f64, *it, 2.0));
    let holds = of_each.chain([of_all]).all(|(there, (estimated, error), most)| {
        match error {
            // One in twenty may be off by more.
            Some(error) => (estimated - there).abs() <= 2.0 * error + 3.0,
            None => estimated <= most * there,
        }
    });
    (!holds).then(|| format!("{stores}, {work} {options:?}: {found:#?}"))
}

/// Where hits keep the target up, what is said to be off holds what there was, also for all
/// together; or nothing is said, and what is estimated is not far too much.
#[test]
fn of_what_hits_slow_down_nothing_false_is_said() {
    if !live() {
        return;
    }
    for options in [&[][..], &["--max-overhead", "5%"]] {
        for (stores, work) in [(60_000, 0), (30_000, 2_000), (10_000, 20_000)] {
            let Some(found) = false_of_hot(stores, work, options) else { continue };
            // One of so many is off by that much now and then, but not two of three.
            eprintln!("AGAIN: off by more than twice what is said: {found}");
            for _ in 0..2 {
                let more = false_of_hot(stores, work, options);
                assert_eq!(more, None, "and before: {found}");
            }
        }
    }
}
