//! Data behind pointers: watches that move with them.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::path::PathBuf;

use common::{Ended, Hwtrace, c_with, despite_lost_traps, engine_name, live};

/// Prints each store.
fn stores_to(expression: &str) -> String {
    format!(
        "probe process.data(\"{expression}\").follow.write {{ printf(\"store %d %d\\n\", $old, $new) }}"
    )
}

fn links() -> PathBuf {
    c_with("links", &["-g"])
}

/// Has links.c do this.
fn told(script: &str, orders: &str) -> Ended {
    despite_lost_traps(|| Hwtrace::script(script, links()).run_with(orders).done("bye"))
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
    let ended = despite_lost_traps(|| {
        let watching = Hwtrace::new(&arguments).with(&[program.to_str().unwrap()]);
        watching.run_with("head 1\nstore 1 5\nstore 1 6").done("bye")
    });
    ended.expect_figures(2, 1, 2);
}
