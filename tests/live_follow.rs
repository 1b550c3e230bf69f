//! Data behind pointers: watches that move with them.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use common::{
    Ended, Hwtrace, Started, again, c_with, despite_lost_traps, engine_name, live,
};

/// Prints each store; and the time, by which is seen how far hwtrace has come.
fn stores_to(expression: &str) -> String {
    format!(
        "probe process.data(\"{expression}\").follow.write {{ printf(\"store %d %d\\n\", $old, $new) }}
         probe timer.ms(10) {{ println(\"at \", gettimeofday_ms()) }}"
    )
}

fn links() -> PathBuf {
    c_with("links", &["-g"])
}

/// What hwtrace has read becomes so old before it is handed on, and less, in milliseconds.
const OLD: u128 = 5;

/// Has links.c do this, each order when watches have followed the pointers that it moved
/// before.
fn told(script: &str, orders: &str) -> Ended {
    despite_lost_traps(|| {
        let mut tracing = Hwtrace::script(script, links()).start();
        let mut out = Vec::new();
        for order in orders.lines() {
            tracing.say(order);
            // Whoever ends before its orders do is looked at below.
            if !order.starts_with("store")
                && followed(&tracing, order, &mut out).is_none()
            {
                break;
            }
        }
        let mut ended = tracing.finish();
        ended.out.splice(0..0, out);
        ended.done("bye")
    })
}

/// Waits until pointers have moved, and hwtrace has looked at that: each time before it runs
/// timers. None at its end.
fn followed(tracing: &Started, order: &str, out: &mut Vec<String>) -> Option<()> {
    let mut next = || {
        out.push(tracing.out().next()?);
        out.last().cloned()
    };
    while next()? != "moved" {}
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let mut since = now.unwrap().as_millis();
    // What comes by the thousand it does not look at in one go.
    let mut rounds = if order.starts_with("spin") { 30 } else { 2 };
    while rounds > 0 {
        let line = next()?;
        let at = line.strip_prefix("at ").and_then(|at| at.parse().ok());
        if let Some(at) = at.filter(|at| *at >= since + OLD) {
            (since, rounds) = (at, rounds - 1);
        }
    }
    Some(())
}

#[test]
fn a_watch_follows_its_pointer_from_nothing_to_each_object() {
    if !live() {
        return;
    }
    let orders = "store 0 7\nhead 0\nstore 0 1\nstore 1 9\nstore 0 2\nhead 1\nstore 1 3\n\
                  store 0 9\nhead 3\nstore 0 9\nstore 1 9\nhead 2\nstore 2 4";
    let ended = told(&stores_to("head->value"), orders);
    let expected = [[7, 1], [1, 2], [9, 3], [0, 4]];
    assert_eq!(ended.numbers("store "), expected, "{ended:#?}");
    ended.expect_figures(4, 1, 2);
    ended.says(&["`head->value` moved 3 times with its pointers"]);
}

#[test]
fn pointers_count_among_the_registers_that_are_allowed() {
    if !live() {
        return;
    }
    let run = |registers| {
        let hwtrace = Hwtrace::script(&stores_to("head->next->value"), links());
        hwtrace.with(&["--registers", registers]).run_with("head 0")
    };
    if engine_name() == "step" {
        let ended = run("1").expect(0);
        ended.says(&["`--registers` makes no difference: the engine `step`"]);
        return;
    }
    let said = "takes 3 debug registers, but `--registers` allows 1";
    run("1").expect(2).says(&["error[E0411]", said, "allow more"]);
}

#[test]
fn two_pointers_take_a_register_each() {
    if !live() {
        return;
    }
    let orders = "head 0\nstore 1 9\nnext 0 1\nstore 1 1\nstore 0 9\nnext 0 2\nstore 2 2\n\
                  next 1 0\nhead 1\nstore 0 3\nstore 2 9";
    let ended = told(&stores_to("head->next->value"), orders);
    let expected = [[9, 1], [0, 2], [9, 3]];
    assert_eq!(ended.numbers("store "), expected, "{ended:#?}");
    ended.expect_figures(3, 1, 3);
    ended.says(&["`head->next->value` moved 3 times with its pointers"]);
}

#[test]
fn a_pointer_that_never_rests_is_followed_to_where_it_does() {
    if !live() {
        return;
    }
    let ended = told(&stores_to("head->value"), "spin 5001\nstore 1 9\nstore 0 1");
    assert_eq!(ended.numbers("store "), [[0, 1]], "{ended:#?}");
    ended.expect_figures(1, 1, 2);
}

#[test]
fn the_pointer_can_be_watched_as_well() {
    if !live() {
        return;
    }
    let script = stores_to("head->value")
        + " probe process.data(\"head\").write { println(\"head\") }";
    let ended = told(&script, "head 0\nstore 0 1\nhead 1\nstore 1 2");
    let own = |line: &&String| line.starts_with("head") || line.starts_with("store");
    let lines: Vec<_> = ended.out.iter().filter(own).collect();
    assert_eq!(lines, ["head", "store 0 1", "head", "store 0 2"], "{ended:#?}");
    ended.expect_figures(4, 1, 2);
}

#[test]
fn a_null_pointer_that_is_not_followed_is_an_error_with_the_way_out() {
    if !live() {
        return;
    }
    let script = "probe process.data(\"head->value\").write { }";
    let ended = Hwtrace::script(script, links()).run().expect(2);
    ended.says(&["error[E0130]: `head` is NULL", "`.follow` behind", "--follow"]);
    let program = links();
    let arguments = ["watch", "--follow", "--mode", "write", "head->value", "--"];
    let watching = || {
        let hwtrace = Hwtrace::new(&arguments).with(&[program.to_str().unwrap()]);
        let mut watching = hwtrace.start();
        watching.say("head 1");
        while watching.out().next().is_some_and(|line| line != "moved") {}
        // What it looks at it does not tell.
        std::thread::sleep(Duration::from_millis(300));
        watching.say("store 1 5\nstore 1 6");
        watching.finish().done("bye")
    };
    let ended = again(|| {
        let ended = despite_lost_traps(watching);
        match ended.figures().hits {
            0 | 1 => Err("some are missing".to_owned()),
            _ => Ok(ended),
        }
    });
    ended.expect_figures(2, 1, 2);
}
