//! Probe points with `if (…)`, `?` and `!`: what is armed, and when.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Figures, Hwtrace, Target, c, despite_lost_traps, live};

const GATED: &str = r#"
global on, seen
probe begin { println("armed") }
probe process.data("a").write { on = 1; println("on") }
probe process.data("counter").write if (on) {
    printf("%d -> %d\n", $old, $new)
    if (++seen == 5) { on = 0; println("off") }
}
"#;

/// Hits are taken only while the condition holds: neither handled nor counted
/// otherwise, but for those that were on their way when it ceased to hold.
#[test]
fn a_condition_arms_and_disarms_its_register() {
    if !live() {
        return;
    }
    despite_lost_traps(|| {
        let mut target = Target::start(&c("obey"), &[]);
        let hwtrace = Hwtrace::attach(GATED, &target).start();
        hwtrace.out().until("armed");
        target.ask("store 1000")?;
        target.ask("touch")?;
        hwtrace.out().until("on");
        // The register is armed again, and knows the value of now as the old one.
        target.ask("store 3")?;
        let first = hwtrace.out().until("1001 -> 1002");
        assert_eq!(first, ["999 -> 1000", "1000 -> 1001"]);
        target.ask("store 10")?;
        let last = hwtrace.out().until("off");
        assert_eq!(last, ["1002 -> 1003", "1003 -> 1004"]);
        target.ask("store 1000")?;
        target.finish()?;
        let ended = hwtrace.finish().expect(0);
        // Of the ten the last eight were on their way, or not, when the condition ceased
        // to hold.
        let Figures { hits, lost, armed, slots, .. } = ended.figures();
        assert!((1 + 3 + 2..=1 + 3 + 10).contains(&hits), "{ended:#?}");
        assert_eq!((lost, armed, slots), (0, 1, 2), "{ended:#?}");
        Some(())
    });
}

#[test]
fn a_timer_runs_only_while_its_condition_holds() {
    let script = r#"
        global n = 3
        probe timer.ms(1) if (n > 0) { println(n--) }
        probe timer.ms(50) if (!n) { exit() }
    "#;
    let ended = Hwtrace::new(&["-e", script]).run().expect(0);
    assert_eq!(ended.out, ["3", "2", "1"]);
}

/// `touch` stores once to `a`; which probes does that fire?
#[track_caller]
fn fired(script: &str, slots: u64) -> Vec<String> {
    despite_lost_traps(|| {
        let mut target = Target::start(&c("obey"), &[]);
        let armed = format!("{script} probe begin {{ println(\"armed\") }}");
        let hwtrace = Hwtrace::attach(&armed, &target).start();
        hwtrace.out().until("armed");
        target.ask("touch")?;
        target.finish()?;
        let ended = hwtrace.finish().expect(0);
        if slots > 0 {
            assert_eq!(ended.figures().slots, slots, "{ended:#?}");
        }
        Some(ended.out)
    })
}

#[test]
fn optional_points_are_left_out_where_their_data_is_not_there() {
    if !live() {
        return;
    }
    let both = r#"probe process.data("nosuch").write?, process.data("a").write { println(pp()) }"#;
    assert_eq!(fired(both, 1), [r#"process.data("a").write"#]);
    let none = r#"probe process.data("nosuch").write? { println(pp()) }"#;
    assert_eq!(fired(none, 0), [""; 0]);
    let missing = r#"probe process.data("nosuch").write, process.data("a").write? { }"#;
    let target = Target::start(&c("obey"), &[]);
    Hwtrace::attach(missing, &target).run().expect(2).says(&["error[E0304]", "`nosuch`"]);
}

#[test]
fn a_sufficient_point_makes_those_behind_it_unnecessary() {
    if !live() {
        return;
    }
    let first =
        r#"probe process.data("a").write!, process.data("b").write { println(pp()) }"#;
    assert_eq!(fired(first, 1), [r#"process.data("a").write"#]);
    let second = r#"probe process.data("nosuch").write!, process.data("b").write { println(pp()) }"#;
    assert_eq!(fired(second, 1), [r#"process.data("b").write"#]);
    let begin = r#"probe process.data("a").write!, end { println(pp()) }"#;
    assert_eq!(fired(begin, 1), [r#"process.data("a").write"#]);
}

#[test]
fn commands_of_the_shell_run_only_where_they_are_allowed() {
    let script =
        r#"probe begin { println("before"); system("echo $((6 * 7))"); exit() }"#;
    let ended = Hwtrace::new(&["--unsafe", "-e", script]).run().expect(0);
    assert_eq!(ended.out, ["before", "42"]);
    let ended = Hwtrace::new(&["-e", script]).run().expect(2);
    ended.says(&["error[E0128]", "--unsafe"]);
    assert_eq!(ended.out, [""; 0]);
}

#[test]
fn warnings_go_to_standard_error() {
    let script = r#"probe begin { warn("careful"); log("said"); exit() }"#;
    let ended = Hwtrace::new(&["-e", script]).run().expect(0);
    assert_eq!(ended.out, ["said"]);
    ended.says(&["WARNING: careful"]);
}
