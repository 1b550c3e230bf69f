//! Data of real programs, found by the names that their authors gave it. The
//! figures are certain: the programs themselves say what they did.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::{Ended, Hwtrace, Target, cpp, despite_lost_traps, live, numbers, real};
use nix::sys::signal::Signal;

/// Rounds of work while the target is watched.
const ROUNDS: u64 = 100;

/// What the target did, and what hwtrace saw of it.
struct Traced {
    /// The numbers of the target's answer, in its order.
    facts: Vec<u64>,
    ended: Ended,
}

impl Traced {
    /// The numbers of the line that the script printed at its end.
    #[track_caller]
    fn seen(&self) -> Vec<u64> {
        let [seen] = &self.ended.numbers("seen ")[..] else {
            panic!("{:#?}", self.ended)
        };
        seen.clone()
    }
}

/// Watches a target that has worked a little while it works on.
#[track_caller]
fn trace(program: &Path, script: &str) -> Traced {
    trace_rounds(program, script, ROUNDS)
}

#[track_caller]
fn trace_rounds(program: &Path, script: &str, rounds: u64) -> Traced {
    let script = format!("{script}\nprobe begin {{ println(\"armed\") }}");
    despite_lost_traps(|| {
        let mut target = Target::start(program, &[]);
        target.ask("3");
        let tracing = Hwtrace::attach(&script, &target).start();
        tracing.out().until("armed");
        let answer = target.ask(&rounds.to_string())?;
        tracing.signal(Signal::SIGINT);
        let ended = tracing.finish().expect(0);
        target.finish()?;
        let digits = answer.split(' ').filter(|word| word.starts_with(char::is_numeric));
        let [facts] = &numbers([&*digits.collect::<Vec<_>>().join(" ")].into_iter())[..]
        else {
            panic!("{answer}");
        };
        Some(Traced { facts: facts.clone(), ended })
    })
}

#[test]
fn fields_of_a_connection_of_sqlite() {
    if !live() {
        return;
    }
    let traced = trace(
        &real("sqlite"),
        r#"global changes, last, used
        probe process.data("((sqlite3*)connection)->nTotalChange").change {
            changes++
            last = $new
        }
        probe process.data("sqlite3Stat.nowValue[0]").change { used = $new }
        probe end { printf("seen %d %d %d\n", changes, last, used) }"#,
    );
    let [rows, changes, used] = traced.facts[..] else { panic!("{:?}", traced.facts) };
    assert_eq!((rows, changes), (3 + ROUNDS, 3 + ROUNDS));
    assert_eq!(traced.seen(), [ROUNDS, changes, used]);
}

/// How much memory is in use: added to and taken from at each allocation.
#[test]
fn no_gap_in_the_chain_of_values_of_sqlite() {
    if !live() {
        return;
    }
    const INSERTS: u64 = 20_000;
    let traced = trace_rounds(
        &real("sqlite"),
        r#"global changes, last, gaps, guesses
        probe process.data("sqlite3Stat.nowValue[0]").write {
            gaps += changes && $old != last
            guesses += $new == $old
            last = $new
            changes++
        }
        probe end { printf("seen %d %d %d %d\n", gaps, guesses, last, changes) }"#,
        INSERTS,
    );
    let [rows, _, used] = traced.facts[..] else { panic!("{:?}", traced.facts) };
    assert_eq!(rows, 3 + INSERTS);
    let [gaps, guesses, last, changes] = traced.seen()[..] else { panic!() };
    assert_eq!((gaps, guesses, last), (0, 0, used), "{:#?}", traced.ended);
    assert!(changes > INSERTS, "{changes}");
    assert_eq!(traced.ended.figures().hits, changes);
}

/// From before its main function on: switched on there, and off at the end.
#[test]
fn a_setting_of_sqlite() {
    if !live() {
        return;
    }
    let ended = despite_lost_traps(|| {
        let script = r#"probe process.data("sqlite3Config.bMemstat").write {
            printf("seen %d\n", $new)
        }"#;
        Hwtrace::script(script, real("sqlite")).run_with("7").done("bye")
    });
    assert_eq!(ended.numbers("seen "), [[1], [0]], "{ended:#?}");
    ended.expect_figures(2, 1, 1);
}

/// Two pointers lead to it. Each round stops the collector and lets it go on.
#[test]
fn the_global_state_of_lua() {
    if !live() {
        return;
    }
    let traced = trace(
        &real("lua"),
        r#"global writes, stops
        probe process.data("((lua_State*)interpreter)->l_G->gcstp").write {
            writes++
            stops += $new
        }
        probe end { printf("seen %d %d\n", writes, stops) }"#,
    );
    assert_eq!(traced.facts[0], 3 + ROUNDS);
    assert_eq!(traced.seen(), [2 * ROUNDS, ROUNDS]);
}

#[test]
fn the_context_of_zstd() {
    if !live() {
        return;
    }
    let traced = trace(
        &real("zstd"),
        r#"global went_in, came_out
        probe process.data("((ZSTD_CCtx*)compressor)->consumedSrcSize").write {
            went_in = $new
        }
        probe process.data("((ZSTD_CCtx*)compressor)->producedCSize").write {
            came_out = $new
        }
        probe end { printf("seen %d %d\n", went_in, came_out) }"#,
    );
    assert_eq!(traced.seen(), traced.facts);
}

#[test]
fn statics_of_a_program_with_tokio() {
    if !live() {
        return;
    }
    let traced = trace(
        &real("tokio"),
        r#"global tasks, most, counted
        probe process.data("server::TASKS").write {
            tasks++
            if ($new > most) most = $new
        }
        probe process.data("COUNTED[0]").write, process.data("COUNTED[1]").write {
            counted++
        }
        probe end { printf("seen %d %d %d\n", tasks, most, counted) }"#,
    );
    let [total, counted, _] = traced.facts[..] else { panic!("{:?}", traced.facts) };
    assert_eq!((total, counted), (3 + ROUNDS, 3 + ROUNDS));
    assert_eq!(traced.seen(), [ROUNDS, total, ROUNDS]);
}

/// Two threads of the runtime have their own, and so has the main thread, which
/// leaves it alone.
#[test]
fn a_thread_local_of_a_program_with_tokio() {
    if !live() {
        return;
    }
    let traced = trace(
        &real("tokio"),
        r#"global of_workers, of_main
        probe process.data("real_tokio::OWN").write {
            if (tid() == pid()) of_main++; else of_workers++
        }
        probe end { printf("seen %d %d\n", of_workers, of_main) }"#,
    );
    assert_eq!(traced.seen(), [ROUNDS, 0]);
}

/// A bit-field changes alone: its neighbours in the same bytes do not.
#[test]
fn members_of_a_class_of_cpp() {
    if !live() {
        return;
    }
    let traced = trace(
        &cpp("shapes"),
        r#"global middle, low, upper, last
        probe process.data("plane::alias.middle").change { middle++ }
        probe process.data("plane::first.low").change { low++ }
        probe process.data("plane::chosen->upper").change { upper++; last = $new }
        probe end { printf("seen %d %d %d %d\n", middle, low, upper, last) }"#,
    );
    assert_eq!(traced.facts, [3 + ROUNDS, 3 + ROUNDS, 3 + ROUNDS]);
    assert_eq!(traced.seen(), [ROUNDS, 0, ROUNDS, 3 + ROUNDS]);
}

#[test]
fn statics_and_thread_locals_of_cpp() {
    if !live() {
        return;
    }
    let traced = trace(
        &cpp("shapes"),
        r#"global pushed, touched, total, hidden
        probe process.data("plane::Ring<plane::Point, 5>::pushed").write { pushed = $new }
        probe process.data("plane::Named::touched").write { touched = $new }
        probe process.data("work()::total").write { total = $new }
        probe process.data("hidden@shapes.cpp").write { hidden = $new }
        probe end { printf("seen %d %d %d %d\n", pushed, touched, total, hidden) }"#,
    );
    let total = 3 + ROUNDS;
    assert_eq!(traced.seen(), [total, total, total, 11 + total]);
}

/// The table names what it watched as the user did.
#[test]
fn a_table_of_a_field_behind_pointers() {
    if !live() {
        return;
    }
    const FIELD: &str = "((sqlite3*)connection)->aDb[0].pSchema->schema_cookie";
    let ended = despite_lost_traps(|| {
        let mut target = Target::start(&real("sqlite"), &[]);
        let pid = target.pid().to_string();
        let tracing = Hwtrace::new(&["watch", FIELD, "-v", "-p", &pid]).start();
        tracing.messages().until("hwtrace: armed 1 thread, slots 1/4");
        target.ask("5")?;
        tracing.signal(Signal::SIGINT);
        let ended = tracing.finish().expect(0);
        target.finish()?;
        Some(ended)
    });
    let title = format!("{FIELD}: int, 4 bytes at 0x");
    assert!(ended.out.iter().any(|line| line.starts_with(&title)), "{ended:#?}");
}
