//! Data of which each thread has its own.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{Ended, Hwtrace, Target, armed_within, c_with, despite_lost_traps, live};

/// Counts stores by thread, and says whether each value followed the one before.
const BY_THREAD: &str = r#"
    global last, first, n
    probe begin { println("armed") }
    probe process.data("mine").write {
        if (!(tid() in n)) first[tid()] = $old
        else if ($old != last[tid()]) println("not its own")
        last[tid()] = $new
        n[tid()]++
    }
    probe end { foreach (t+ in n) printf("thread %d %d %d\n", n[t], first[t], last[t]) }"#;

/// So long own.c lets each thread wait until it is armed.
const PAUSE: Duration = Duration::from_millis(400);

/// How a C program may be linked.
const LINKED: [&[&str]; 4] = [&["-g"], &["-no-pie"], &["-static"], &["-static-pie"]];

fn of_command(program: &std::path::Path, arguments: &str) -> Ended {
    let command = format!("{} {arguments}", program.display());
    let run = || Hwtrace::script(BY_THREAD, &command).run().done("bye");
    let ended = armed_within(PAUSE, || despite_lost_traps(run));
    assert!(!ended.out.iter().any(|line| line == "not its own"), "{ended:#?}");
    ended
}

/// Those of each thread: 3 of the first, and of the others what they are told.
fn expected(threads: u64, stores: u64) -> Vec<Vec<u64>> {
    let others = (1..=threads).map(|it| vec![stores, 5, it * 1000 + stores - 1]);
    std::iter::once(vec![3, 5, 3]).chain(others).collect()
}

#[test]
fn the_first_thread_is_seen_from_its_first_store() {
    if !live() {
        return;
    }
    for flags in LINKED {
        let ended = of_command(&c_with("own", flags), "");
        assert_eq!(ended.numbers("thread "), expected(0, 0), "{flags:?}: {ended:#?}");
        ended.expect_figures(3, 1, 1);
    }
}

/// A script finds it in the thread of the hit, too.
#[test]
fn the_threads_own_is_meant_by_its_name() {
    if !live() {
        return;
    }
    let script = r#"probe process.data("mine").write {
        try {
            if (tid() == pid()) println(usymaddr("mine") == data_addr(), " ", @var("mine"))
        } catch {}
    }"#;
    let command = format!("{} wait 1 1", c_with("own", &["-g"]).display());
    let seen = despite_lost_traps(|| {
        let mut tracing = Hwtrace::script(script, &command).start();
        // The third store comes at the end, when the thread may be gone.
        let seen = std::iter::from_fn(|| tracing.out().next());
        let seen: Vec<_> = seen.filter(|line| line.starts_with("1 ")).take(2).collect();
        tracing.say("go");
        tracing.finish().done("bye")?;
        Some(seen)
    });
    assert_eq!(seen, ["1 2", "1 2"]);
}

#[test]
fn threads_that_come_later_have_watches_of_their_own() {
    if !live() {
        return;
    }
    for flags in LINKED {
        let ended = of_command(&c_with("own", flags), "3 10");
        let mut threads = ended.numbers("thread ");
        threads.sort_by_key(|thread| thread[2]);
        assert_eq!(threads, expected(3, 10), "{flags:?}: {ended:#?}");
        ended.expect_figures(33, 4, 1);
        ended.says(&["3 threads that started later, each armed up to", "its birth"]);
    }
}

#[test]
fn a_hundred_threads() {
    if !live() {
        return;
    }
    let ended = of_command(&c_with("own", &["-g"]), "100 3");
    ended.expect_figures(303, 101, 1);
    assert_eq!(ended.numbers("thread ").len(), 101, "{ended:#?}");
}

#[test]
fn threads_of_a_process_that_runs() {
    if !live() {
        return;
    }
    for flags in LINKED {
        let ended = despite_lost_traps(|| {
            let mut target = Target::start(&c_with("own", flags), &["wait", "3", "10"]);
            let tracing = Hwtrace::attach(BY_THREAD, &target).start();
            tracing.out().until("armed");
            target.say("go");
            assert_eq!(target.finish()?, ["bye"]);
            Some(tracing.finish().expect(0))
        });
        let mut threads = ended.numbers("thread ");
        threads.sort_by_key(|thread| thread[2]);
        let mut expected = expected(3, 10);
        expected[0] = vec![1, 2, 3];
        assert_eq!(threads, expected, "{flags:?}: {ended:#?}");
        ended.expect_figures(31, 4, 1);
    }
}
