//! Every hit, once, in order, with its values: one thread, many threads,
//! threads from before and after, children, kinds of access.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::fs;

use common::{
    Hwtrace, Recorded, Scratch, Target, c, despite_lost_traps, despite_stalls, live,
    numbers, record, request,
};
use hwtrace::target;
use hwtrace_probes::spec::Mode;
use hwtrace_runtime::schema::AccessKind;

/// Records a target of the test's own; `go` is said to it when all is armed.
/// None where the machine killed it.
fn record_attached(
    mut target: Target,
    mode: Mode,
    name: &str,
    go: &str,
) -> Option<(Recorded, Vec<String>)> {
    let process = target::Target::Process(target.pid());
    let mut target_left = Some(&mut target);
    let recorded = record(&process, vec![request(name, mode)], || {
        if let Some(target) = target_left.take() {
            target.say(go);
            target.close();
        }
    });
    Some((recorded, target.finish()?))
}

#[test]
fn each_of_100_000_stores_in_order_by_the_library() {
    if !live() {
        return;
    }
    despite_stalls(|| {
        let (recorded, answers) = despite_lost_traps(|| {
            let target = Target::start(&c("obey"), &[]);
            record_attached(target, Mode::Write, "counter", "store 100000")
        });
        assert_eq!(answers, ["stored 100000", "bye, counter is 99999 of 100000"]);
        let values = recorded.records().map(|record| [record.old, record.new]);
        assert_each_stored(values, recorded.summary.lost > 0);
        recorded.disturbed(100_000, 1)
    });
}

/// Old and new values of stores of 0, 1, 2 and so on, without some where any are lost: the
/// value before is then that of the hit before, or of the store.
fn assert_each_stored(values: impl Iterator<Item = [u64; 2]>, are_lost: bool) {
    let mut next = 0;
    for [old, new] in values {
        assert!(new == next || (are_lost && new > next), "{new} after {next}");
        let olds = [next, new].map(|number| number.saturating_sub(1));
        assert!(olds.contains(&old), "{old} before {new}, after {next}");
        next = new + 1;
    }
}

#[test]
fn each_of_100_000_stores_in_order_by_a_script() {
    if !live() {
        return;
    }
    let scratch = Scratch::new();
    let file = scratch.file("out", b"", 0o644);
    let script = r#"probe process.data("counter").write {
        printf("%d %d %d %d %d\n", $old, $new, exact(), pid() == target(), tid() == pid())
    }"#;
    despite_stalls(|| {
        let ended = despite_lost_traps(|| {
            let hwtrace = Hwtrace::script(script, c("obey")).writing_to(&file);
            hwtrace.run_with("store 100000").done("bye, counter is 99999 of 100000")
        });
        let lost = ended.expect_figures_but_lost(100_000, 1, 1);
        let text = fs::read_to_string(&file).unwrap();
        let lines = numbers(text.lines());
        assert_eq!(lines.len() as u64 + lost, 100_000);
        assert!(lines.iter().all(|line| line[2..] == [1, 1, 1]));
        assert_each_stored(lines.iter().map(|line| [line[0], line[1]]), lost > 0);
        lost
    });
}

/// What threads.c stores: by thread `number << 32 | sequence`. So many are lost.
#[track_caller]
fn assert_own_values(
    by_thread: &BTreeMap<u64, Vec<u64>>,
    threads: u64,
    stores: u64,
    lost: u64,
) {
    let mut numbers = Vec::new();
    let mut missing = threads * stores;
    for values in by_thread.values() {
        let number = values[0] >> 32;
        let own = number << 32..(number << 32) + stores;
        let in_order = values.is_sorted_by(|one, next| one < next);
        let are_own = values.iter().all(|value| own.contains(value));
        assert!(in_order && are_own, "values of thread {number}");
        missing -= values.len() as u64;
        numbers.push(number);
    }
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..threads));
    assert_eq!(missing, lost);
}

fn values_by_thread(recorded: &Recorded) -> BTreeMap<u64, Vec<u64>> {
    let threads = recorded.threads();
    threads.into_iter().map(|tid| (tid.into(), recorded.stored_by(tid))).collect()
}

#[test]
fn eight_threads_started_by_a_command() {
    if !live() {
        return;
    }
    let scratch = Scratch::new();
    let file = scratch.file("out", b"", 0o644);
    let script = r#"probe process.data("counter").write {
        printf("%d %d %d\n", tid(), $new, exact())
    }"#;
    let command = format!("{} 0 8", c("threads").display());
    despite_stalls(|| {
        let ended = despite_lost_traps(|| {
            Hwtrace::script(script, &command)
                .writing_to(&file)
                .run_with("go")
                .done("done")
        });
        let lost = ended.expect_figures_but_lost(80_000, 9, 1);
        let mut by_thread = BTreeMap::<u64, Vec<u64>>::new();
        for line in numbers(fs::read_to_string(&file).unwrap().lines()) {
            assert_eq!(line[2], 1);
            by_thread.entry(line[0]).or_default().push(line[1]);
        }
        assert_own_values(&by_thread, 8, 10_000, lost);
        lost
    });
}

/// Attaches to threads.c with threads of both kinds.
fn attach_to_threads(before: u64, after: u64) {
    let (before_text, after_text) = (before.to_string(), after.to_string());
    despite_stalls(|| {
        let (recorded, answers) = despite_lost_traps(|| {
            let target = Target::start(&c("threads"), &[&before_text, &after_text]);
            record_attached(target, Mode::Write, "counter", "go")
        });
        assert_eq!(answers, ["done"]);
        let (threads, lost) = (before + after, recorded.summary.lost);
        assert_eq!(u64::from(recorded.summary.armed.threads), before + 1);
        assert_own_values(&values_by_thread(&recorded), threads, 10_000, lost);
        recorded.disturbed(threads * 10_000, threads + 1)
    });
}

#[test]
fn eight_threads_from_before_attaching() {
    if live() {
        attach_to_threads(8, 0);
    }
}

#[test]
fn eight_threads_from_after_attaching() {
    if live() {
        attach_to_threads(0, 8);
    }
}

#[test]
fn four_threads_from_before_and_four_from_after_attaching() {
    if live() {
        attach_to_threads(4, 4);
    }
}

/// A chain of threads grows while hwtrace arms: some are created by threads
/// that are not armed yet. Whichever, each is armed, and once.
#[test]
fn threads_created_while_arming_are_each_armed_once() {
    if !live() {
        return;
    }
    for _ in 0..5 {
        let (recorded, answers) = despite_lost_traps(|| {
            let mut target = Target::start(&c("chain"), &[]);
            assert_eq!(target.ask("begin").as_deref(), Some("begun"));
            record_attached(target, Mode::Write, "counter", "go")
        });
        assert_eq!(answers, ["done"]);
        assert_eq!(recorded.hits.len(), 7500, "{:?}", recorded.summary);
        assert_eq!((recorded.summary.counted, recorded.summary.lost), (7500, 0));
        assert_own_values(&values_by_thread(&recorded), 150, 50, 0);
    }
}

#[test]
fn a_forked_childs_hits_have_its_number_and_begin_at_the_parents_value() {
    if !live() {
        return;
    }
    despite_stalls(|| {
        let (recorded, answers) = despite_lost_traps(|| {
            let target = Target::start(&c("forks"), &[]);
            record_attached(target, Mode::Write, "counter", "go")
        });
        assert_eq!(answers.last().unwrap(), "done");
        assert_eq!(recorded.summary.lost, 0);
        assert_forked(&recorded, &answers);
        recorded.disturbed(2500, 2)
    });
}

fn assert_forked(recorded: &Recorded, answers: &[String]) {
    let child: u32 = answers[0].split(' ').nth(1).unwrap().parse().unwrap();
    let chain = |own: &dyn Fn(u32) -> bool| -> Vec<_> {
        let own = recorded.records().filter(|record| own(record.pid));
        own.map(|record| (record.old, record.new)).collect()
    };
    let childs: Vec<_> = (5000..5500).map(|new| (new - 1, new)).collect();
    let childs = [(999, 5000)].into_iter().chain(childs.into_iter().skip(1));
    assert!(chain(&|pid| pid == child).into_iter().eq(childs));
    let parents = (0..2000u64).map(|new| (new.saturating_sub(1), new));
    assert!(chain(&|pid| pid != child).into_iter().eq(parents));
}

#[test]
fn a_forked_childs_hits_are_counted_under_its_number_by_a_script() {
    if !live() {
        return;
    }
    let script = r#"global n; probe process.data("counter").write { n[pid()]++ }
        probe end { foreach (p in n) printf("hits %d %d %d\n", p, n[p], p == target()) }"#;
    let ended = despite_lost_traps(|| {
        Hwtrace::script(script, c("forks")).run_with("go").done("done")
    });
    ended.expect_figures(2500, 2, 1);
    let line = ended.out.iter().find_map(|line| line.strip_prefix("child ")).unwrap();
    let child: u64 = line.split(' ').next().unwrap().parse().unwrap();
    let hits = ended.numbers("hits ");
    assert_eq!(hits.len(), 2, "{hits:?}");
    assert!(hits.contains(&vec![child, 500, 0]), "{hits:?}, child {child}");
    assert!(hits.iter().any(|line| line[1..] == [2000, 1]), "{hits:?}");
}

#[test]
fn silent_stores_fire_write_and_not_change() {
    if !live() {
        return;
    }
    let script = r#"global writes, changes, bad
        probe process.data("watched").write { if (access() == "write") writes[$new]++ }
        probe process.data("watched").change {
            if (access() == "write") changes[$new]++
            if ($old == $new) bad++
        }
        probe end {
            printf("writes %d %d\n", writes[5], writes[6])
            printf("changes %d %d\n", changes[5], changes[6])
            printf("bad %d\n", bad)
        }"#;
    let ended = despite_lost_traps(|| {
        Hwtrace::script(script, c("accesses")).run_with("go").done("done")
    });
    ended.expect_figures(200, 1, 1);
    assert_eq!(ended.numbers("writes "), [[100, 50]]);
    assert_eq!(ended.numbers("changes "), [[50, 50]]);
    assert_eq!(ended.numbers("bad "), [[0]]);
}

#[test]
fn rw_shows_loads_and_the_kind_of_each_access() {
    if !live() {
        return;
    }
    let script = r#"global n, loaded; probe process.data("watched").rw {
        n[access()]++
        if (access() == "read" && $old == $new && exact()) loaded[$new]++
    }
    probe end {
        foreach (kind in n) printf("%s %d\n", kind, n[kind])
        printf("loaded %d %d\n", loaded[6], loaded[506])
    }"#;
    let ended = despite_lost_traps(|| {
        Hwtrace::script(script, c("accesses")).run_with("go").done("done")
    });
    // The program loads it once more to print it.
    ended.expect_figures(251, 1, 1);
    assert_eq!(ended.numbers("write "), [[150]]);
    assert_eq!(ended.numbers("update "), [[50]]);
    assert_eq!(ended.numbers("read "), [[51]]);
    assert_eq!(ended.numbers("loaded "), [[50, 1]]);
}

/// An update loads, too, and is no load: `.write` shows it.
#[test]
fn read_fires_at_loads_alone() {
    if !live() {
        return;
    }
    let script = r#"global all, loads, wrong
    probe process.data("watched").read {
        loads[$new]++
        if (access() != "read" || $old != $new || !exact()) wrong++
    }
    probe process.data("watched").rw { all++ }
    probe end { printf("loads %d %d %d %d\n", loads[6], loads[506], wrong, all) }"#;
    let ended = despite_lost_traps(|| {
        Hwtrace::script(script, c("accesses")).run_with("go").done("done")
    });
    ended.expect_figures(251, 1, 1);
    assert_eq!(ended.numbers("loads "), [[50, 1, 0, 251]]);
}

/// Places of instructions within a round of rmw.c.
const XADD: usize = 6;
const XCHG: usize = 8;
const CMPXCHG: usize = 9;

/// The values that rmw.c makes with arithmetic, in its order.
fn values_of_arithmetic() -> Vec<u64> {
    let mut values = Vec::new();
    let mut value = 0;
    for i in 0..200 {
        arithmetic(i, &mut value, &mut values);
    }
    values
}

/// The six instructions without another result than the one in memory.
fn arithmetic(i: u64, value: &mut u64, values: &mut Vec<u64>) {
    let steps: [&dyn Fn(u64) -> u64; 6] = [
        &|value| value.wrapping_add(3),
        &|value| value.wrapping_add(1),
        &|value| value | 1,
        &|value| !value,
        &|value| value.wrapping_sub(i),
        &|value| value.wrapping_sub(1),
    ];
    for step in steps {
        *value = step(*value);
        values.push(*value);
    }
}

/// The values that rmw.c makes with all of its instructions.
fn values_of_rmw() -> Vec<u64> {
    let mut values = Vec::new();
    let mut value = 0;
    for i in 0..200u64 {
        arithmetic(i, &mut value, &mut values);
        let added = value.wrapping_add(i);
        value = i + 1000;
        values.extend([added, added.wrapping_neg(), i * 7, value]);
    }
    values
}

/// The result of a read-modify-write instruction is in no register: it is
/// computed from the value before, or read a moment later and marked so. What
/// `xchg`, `xadd` and `cmpxchg` found is in a register, and told exactly.
#[test]
fn read_modify_write_is_never_wrong_in_silence() {
    if !live() {
        return;
    }
    let (recorded, answers) = despite_lost_traps(|| {
        let target = Target::start(&c("rmw"), &[]);
        record_attached(target, Mode::Write, "watched", "go")
    });
    assert_eq!(answers, ["watched is 1199", "done"]);
    let values = values_of_rmw();
    assert_eq!(recorded.hits.len(), values.len(), "{:?}", recorded.summary);
    let (mut shown, mut stored) = (0, 0);
    for (position, (record, value)) in recorded.records().zip(&values).enumerate() {
        assert_eq!(record.access, AccessKind::Update as u32);
        let finds = matches!(position % 10, XADD | XCHG | CMPXCHG);
        assert_eq!(
            record.old,
            if finds { stored } else { shown },
            "{position}: {record:?}"
        );
        assert!(record.exact == 0 || record.new == *value, "{record:?}, not {value}");
        (shown, stored) = (record.new, *value);
    }
}

/// Arithmetic alone is followed to the last value: each is computed from the
/// one before.
#[test]
fn a_chain_of_arithmetic_is_right_to_the_last_value() {
    if !live() {
        return;
    }
    let (recorded, _) = despite_lost_traps(|| {
        let target = Target::start(&c("rmw"), &["arithmetic"]);
        record_attached(target, Mode::Write, "watched", "go")
    });
    let values = values_of_arithmetic();
    assert_eq!(recorded.hits.len(), values.len(), "{:?}", recorded.summary);
    let shown: Vec<_> = recorded.records().map(|record| record.new).collect();
    assert_eq!(shown, values);
}
