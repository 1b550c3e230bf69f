//! Ends of a session: signals, time, `exit()`, errors, the target's end, and
//! hwtrace's own violent one. Each time the target lives on, and its result is
//! right.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::os::unix::process::ExitStatusExt;
use std::thread::sleep;
use std::time::Duration;

use common::{Ended, Hwtrace, Started, Target, c, despite_lost_traps, live};
use nix::sys::signal::Signal;

/// Says when it is armed and when hits come; shows at the end what it has.
const COUNTS: &str = r#"
    global n, all
    probe begin { println("armed") }
    probe process.data("counter").write {
        if (all++ == 100) println("busy")
        n[$new % 2]++
    }
    probe end { printf("end %d %d\n", all, n[0] + n[1]) }"#;

/// What a session must have left that was ended among the hits.
#[track_caller]
fn assert_ended_in_the_middle(ended: &Ended) {
    let counted = ended.numbers("end ");
    let [[all, in_array]] = [&counted[0][..]].map(|line| [line[0], line[1]]);
    assert!((101..2_000_000).contains(&all), "{ended:#?}");
    assert_eq!((in_array, ended.figures().hits), (all, all), "{ended:#?}");
    assert_eq!(counted.len(), 1, "`end` runs once: {ended:#?}");
}

fn signal_while_attached(signal: Signal) {
    let ended = despite_lost_traps(|| {
        let mut target = Target::start(&c("obey"), &[]);
        let tracing = Hwtrace::attach(COUNTS, &target).start();
        tracing.out().until("armed");
        target.say("store 2000000");
        tracing.out().until("busy");
        tracing.signal(signal);
        let ended = tracing.finish().expect(0);
        let rest = target.finish()?;
        assert_eq!(rest, ["stored 2000000", "bye, counter is 1999999 of 2000000"]);
        Some(ended)
    });
    assert_ended_in_the_middle(&ended);
}

fn signal_while_running_a_command(signal: Signal) {
    let ended = despite_lost_traps(|| {
        let mut tracing = Hwtrace::script(COUNTS, c("obey")).start();
        tracing.out().until("armed");
        tracing.say("store 2000000");
        tracing.out().until("busy");
        tracing.signal(signal);
        tracing.wait();
        // The target still obeys.
        tracing.say("touch");
        let ended = tracing.finish().expect(0);
        ended.says(&["goes on, and is no longer watched"]);
        ended.done("touched")?.done("bye, counter is 1999999 of 2000000")
    });
    assert_ended_in_the_middle(&ended);
}

#[test]
fn an_interrupt_ends_an_attached_session_and_not_the_target() {
    if live() {
        signal_while_attached(Signal::SIGINT);
    }
}

#[test]
fn a_termination_ends_an_attached_session_and_not_the_target() {
    if live() {
        signal_while_attached(Signal::SIGTERM);
    }
}

#[test]
fn an_interrupt_ends_a_commands_session_and_not_the_command() {
    if live() {
        signal_while_running_a_command(Signal::SIGINT);
    }
}

#[test]
fn a_termination_ends_a_commands_session_and_not_the_command() {
    if live() {
        signal_while_running_a_command(Signal::SIGTERM);
    }
}

/// Kills hwtrace outright. The target must do all it is told, before and after.
fn kill_attached(when: impl Fn(&Started, &mut Target)) -> Option<()> {
    let mut target = Target::start(&c("obey"), &[]);
    let mut tracing = Hwtrace::attach(COUNTS, &target).start();
    when(&tracing, &mut target);
    tracing.signal(Signal::SIGKILL);
    assert_eq!(tracing.wait().signal(), Some(Signal::SIGKILL as i32));
    target.say("store 1000");
    let rest = target.finish()?;
    assert_eq!(rest, ["stored 20000", "stored 21000", "bye, counter is 20999 of 21000"]);
    Some(())
}

#[test]
fn killed_while_hits_come_hwtrace_leaves_the_target_running() {
    if live() {
        let busy = |tracing: &Started, target: &mut Target| {
            tracing.out().until("armed");
            target.say("store 20000");
            tracing.out().until("busy");
        };
        despite_lost_traps(|| kill_attached(busy));
    }
}

/// The moments are wherever they fall: before, while and after arming.
#[test]
fn killed_at_any_moment_hwtrace_leaves_the_target_running() {
    if !live() {
        return;
    }
    for moment in 0..40 {
        let moment = Duration::from_micros(moment * 700);
        let then = |_: &Started, target: &mut Target| {
            target.say("store 20000");
            sleep(moment);
        };
        despite_lost_traps(|| kill_attached(then));
    }
}

#[test]
fn killed_when_armed_hwtrace_leaves_its_command_running() {
    if !live() {
        return;
    }
    despite_lost_traps(|| {
        let mut tracing = Hwtrace::script(COUNTS, c("obey")).start();
        tracing.out().until("ready");
        tracing.signal(Signal::SIGKILL);
        tracing.wait();
        tracing.say("store 1000");
        let out = tracing.finish().out;
        // Nobody is left to say what killed the target, if anything did.
        (out.last()? == "bye, counter is 999 of 1000").then_some(())
    });
}

/// Killed before the command's first instruction there may be no command; but
/// one that has begun gets to its end, and none is left hanging.
#[test]
fn killed_at_any_moment_hwtrace_leaves_a_command_whole_or_not_begun() {
    if !live() {
        return;
    }
    for moment in 0..40 {
        let moment = Duration::from_micros(moment * 700);
        despite_lost_traps(|| {
            let mut tracing = Hwtrace::script(COUNTS, c("obey")).start();
            sleep(moment);
            tracing.signal(Signal::SIGKILL);
            tracing.wait();
            tracing.say("store 1000");
            let out = tracing.finish().out;
            let last = "bye, counter is 999 of 1000";
            let begun = out.iter().any(|line| line == "ready");
            (!begun || out.last().unwrap() == last).then_some(())
        });
    }
}

#[test]
fn the_time_given_ends_the_session_and_not_the_target() {
    if !live() {
        return;
    }
    despite_lost_traps(|| {
        let target = Target::start(&c("obey"), &[]);
        let ended = Hwtrace::attach(COUNTS, &target).with(&["-T", "0.3"]).run().expect(0);
        assert_eq!(ended.out, ["armed", "end 0 0"]);
        ended.expect_figures(0, 1, 1);
        assert_eq!(target.finish()?, ["bye, counter is 0 of 0"]);
        let mut tracing = Hwtrace::script(COUNTS, c("obey")).with(&["-T", "0.3"]).start();
        assert!(tracing.wait().success());
        tracing.say("store 10");
        tracing.finish().done("bye, counter is 9 of 10")
    });
}

#[test]
fn exit_ends_the_session_and_not_the_target() {
    if !live() {
        return;
    }
    let script = r#"global n
        probe begin { println("armed") }
        probe process.data("counter").write { if (++n == 50) exit() }
        probe end { printf("end %d\n", n) }"#;
    let ended = despite_lost_traps(|| {
        let mut target = Target::start(&c("obey"), &[]);
        let tracing = Hwtrace::attach(script, &target).start();
        tracing.out().until("armed");
        target.say("store 3000");
        let ended = tracing.finish().expect(0);
        assert_eq!(target.finish()?, ["stored 3000", "bye, counter is 2999 of 3000"]);
        Some(ended)
    });
    assert_eq!(ended.out, ["end 50"]);
}

/// Neither a hit nor a process that waits for ever.
#[test]
fn exit_in_begin_begins_no_command() {
    if !live() {
        return;
    }
    let script = r#"probe begin { println("begin"); exit() }
        probe process.data("counter").write { println("hit") }"#;
    let ended = Hwtrace::script(script, c("obey")).run_with("store 10").expect(0);
    assert_eq!(ended.out, ["begin"]);
    ended.says(&["the command was not run"]).expect_figures(0, 1, 1);
}

#[test]
fn the_targets_end_ends_the_session() {
    if !live() {
        return;
    }
    despite_lost_traps(|| {
        let mut target = Target::start(&c("obey"), &[]);
        let tracing = Hwtrace::attach(COUNTS, &target).start();
        tracing.out().until("armed");
        assert_eq!(target.ask("store 70").as_deref(), Some("stored 70"));
        target.finish()?;
        let ended = tracing.finish().expect(0);
        assert_eq!(ended.out, ["end 70 70"]);
        Some(())
    });
}

#[test]
fn the_targets_status_is_not_hwtraces() {
    if live() {
        // Without its line of input the program ends with 3.
        let script = r#"probe process.data("counter").write {}"#;
        let mut tracing = Hwtrace::script(script, c("threads")).start();
        tracing.close();
        tracing.finish().expect(0).expect_figures(0, 1, 1);
    }
}

#[test]
fn an_error_at_run_time_shows_what_was_gathered() {
    if !live() {
        return;
    }
    let script = r#"global n, kept
        probe begin { println("armed") }
        probe process.data("counter").write { n++; kept = $new / (40 - $new) }
        probe error { printf("error after %d\n", n) }
        probe end { println("not reached") }"#;
    let ended = despite_lost_traps(|| {
        let mut target = Target::start(&c("obey"), &[]);
        let tracing = Hwtrace::attach(script, &target).start();
        tracing.out().until("armed");
        target.say("store 3000");
        let ended = tracing.finish().expect(1);
        assert_eq!(target.finish()?, ["stored 3000", "bye, counter is 2999 of 3000"]);
        Some(ended)
    });
    // 39 / (40 - 39), of a global that nothing reads.
    assert_eq!(ended.out, ["error after 41", "kept=0x27"]);
    ended.says(&["error[E0501]", "division by 0", "$new / (40 - $new)", "help: "]);
    ended.summary();
}

#[test]
fn a_full_ring_loses_no_count() {
    if !live() {
        return;
    }
    // A slow handler, that the ring fills.
    let script = r#"global n, sum
        probe process.data("counter").write { n++; for (i = 0; i < 20000; i++) sum += i }
        probe end { printf("delivered %d\n", n) }"#;
    let ended = despite_lost_traps(|| {
        let options = ["--ring-size", "4", "-D", "MAXACTION=100000"];
        let hwtrace = Hwtrace::script(script, c("obey")).with(&options);
        hwtrace.run_with("store 20000").done("bye, counter is 19999 of 20000")
    });
    let figures = ended.figures();
    assert!(figures.lost > 0 && figures.hits > 0, "{ended:#?}");
    assert_eq!(figures.hits + figures.lost, 20_000, "{ended:#?}");
    assert_eq!(ended.numbers("delivered "), [[figures.hits]]);
    ended.says(&["hits lost: the rings were full", "--ring-size"]);
}
