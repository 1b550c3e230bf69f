//! Data of shared libraries: linked, loaded later, loaded again.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::path::PathBuf;
use std::time::Duration;

use common::{
    Ended, Hwtrace, Target, again, all_came, armed_within, c_needing, c_with,
    despite_lost_traps, library, live,
};

/// So long plugs.c waits until it uses what it has loaded, and until it goes on.
const PAUSE: Duration = Duration::from_millis(400);

fn stores_to(expression: &str) -> String {
    format!(
        "probe begin {{ println(\"armed\") }} \
         probe process.data({expression:?}).write {{ printf(\"store %d\\n\", $new) }}"
    )
}

fn shopper() -> PathBuf {
    c_needing("shopper", &library("shelf"))
}

fn of_shopper(expression: &str) -> Ended {
    despite_lost_traps(|| {
        Hwtrace::script(&stores_to(expression), shopper()).run().done("bye")
    })
}

#[test]
fn a_linked_library_is_watched_from_its_constructors_on() {
    if !live() {
        return;
    }
    for expression in ["shelf.so:stock", "stock"] {
        let ended = of_shopper(expression);
        let expected = [[11], [12], [100], [101], [102], [103], [104]];
        assert_eq!(ended.numbers("store "), expected, "{ended:#?}");
        ended.expect_figures(7, 1, 1);
    }
    let ended = of_shopper("shelf.so:taken");
    assert_eq!(ended.numbers("store "), [[200], [201], [202], [203]], "{ended:#?}");
    ended.expect_figures(4, 1, 1);
}

#[test]
fn the_library_of_a_process_that_runs() {
    if !live() {
        return;
    }
    for (expression, first, count) in [("shelf.so:stock", 100, 5), ("taken", 200, 4)] {
        let ended = despite_lost_traps(|| {
            let mut target = Target::start(&shopper(), &["wait"]);
            let tracing = Hwtrace::attach(&stores_to(expression), &target).start();
            tracing.out().until("armed");
            target.say("go");
            assert_eq!(target.finish()?, ["bye"]);
            Some(tracing.finish().expect(0))
        });
        let expected: Vec<_> = (first..first + count).map(|it| vec![it]).collect();
        assert_eq!(ended.numbers("store "), expected, "{ended:#?}");
        ended.expect_figures(count, 1, 1);
    }
}

#[test]
fn a_library_that_is_loaded_twice() {
    if !live() {
        return;
    }
    let (plugs, shelf) = (c_with("plugs", &["-g"]), library("shelf"));
    let of = |name: &str| {
        let expression = format!("\"{}\":{name}", shelf.display());
        let command = format!("{} {}", plugs.display(), shelf.display());
        despite_lost_traps(|| {
            Hwtrace::script(&stores_to(&expression), &command).run().done("bye")
        })
    };
    let ended = armed_within(PAUSE, || of("stock"));
    assert!(ended.out.iter().any(|line| line == "moved"), "{ended:#?}");
    let stores = ended.numbers("store ");
    // What its constructor stores may be seen or not.
    let stores: Vec<_> = stores.into_iter().flatten().filter(|it| *it >= 100).collect();
    let once = [100, 101, 102, 103, 104];
    assert_eq!(stores, [once, once].concat(), "{ended:#?}");
    ended.says(&["came 2 times, each armed up to", "its library was mapped"]);
    assert_eq!(ended.figures().slots, 1, "{ended:#?}");
    // The first access to a thread's own data gives it room.
    let ended = again(|| {
        let ended = of("taken");
        let stores = ended.numbers("store ").into_iter().flatten();
        let stores: Vec<_> = stores.filter(|it| (200..210).contains(it)).collect();
        let once = [200, 201, 202, 203];
        // How late that is nobody tells.
        match all_came(&stores, &[once, once].concat()) {
            true => Ok(ended),
            false => Err(format!("some are missing: {stores:?}")),
        }
    });
    ended.says(&["at the first access to it, which was not seen"]);
    assert_eq!(ended.figures().slots, 1, "{ended:#?}");
}

#[test]
fn names_that_are_not_there() {
    if !live() {
        return;
    }
    let refused = |expression: &str| {
        Hwtrace::script(&stores_to(expression), shopper()).run().expect(2)
    };
    refused("shelf.so:stack").says(&["no variable `stack` in", "did you mean `stock`?"]);
    refused("nolib.so:stock").says(&["no file called `nolib.so`", "named by its path"]);
    let never = format!("\"{}\":stock", library("shelf").display());
    let ended = despite_lost_traps(|| {
        let script = stores_to(&never);
        Hwtrace::script(&script, c_with("links", &["-g"])).run().done("bye")
    });
    ended.expect_figures(0, 1, 1);
    ended.says(&[":stock` never came: no file called `"]);
}
