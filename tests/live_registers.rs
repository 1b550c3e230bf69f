//! The four debug registers of a thread: all of them, one too many, shared,
//! held by others.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Hwtrace, Started, Target, c, c_with, despite_lost_traps, live_and_free};

/// Counts the stores to each of these variables.
fn counting(names: &[&str]) -> String {
    let mut script = String::from("global n\nprobe begin { println(\"armed\") }\n");
    for name in names {
        script +=
            &format!("probe process.data(\"{name}\").write {{ n[data_name()]++ }}\n");
    }
    script + "probe end { foreach (name in n) printf(\"%s %d\\n\", name, n[name]) }"
}

fn start(names: &[&str], target: &Target) -> Started {
    let tracing = Hwtrace::attach(&counting(names), target).start();
    tracing.out().until("armed");
    tracing
}

#[test]
fn four_variables_take_four_registers_and_each_is_seen() {
    if !live_and_free() {
        return;
    }
    let script = counting(&["a", "b", "c", "counter"]);
    let ended = despite_lost_traps(|| {
        let mut tracing = Hwtrace::script(&script, c("obey")).start();
        tracing.say("touch");
        tracing.say("touch");
        tracing.say("store 30");
        tracing.finish().done("bye, counter is 29 of 30")
    });
    for (name, stores) in [("a ", 2), ("b ", 2), ("c ", 2), ("counter ", 30)] {
        assert_eq!(ended.numbers(name), [[stores]], "{name}: {ended:#?}");
    }
    ended.expect_figures(36, 1, 4);
}

#[test]
fn a_fifth_variable_is_refused_and_the_command_not_begun() {
    if !live_and_free() {
        return;
    }
    let script = counting(&["a", "b", "c", "d", "e"]);
    let hwtrace = Hwtrace::script(&script, c("obey")).with(&["--no-rotate"]);
    let ended = hwtrace.run().expect(2);
    let fifth = "process.data(\"e\").write";
    ended.says(&[
        "error[E0411]",
        "5 different watches",
        "4 debug registers",
        fifth,
        "help: leave `--no-rotate` out",
    ]);
    assert_eq!(ended.out, [""; 0]);
}

#[test]
fn two_probes_on_the_same_data_share_a_register_and_both_fire() {
    if !live_and_free() {
        return;
    }
    let script = r#"global first, second, changes
        probe process.data("counter").write { first++ }
        probe process.data("counter").write { second += $new }
        probe process.data("counter").change { changes++ }
        probe end { printf("fired %d %d %d\n", first, second, changes) }"#;
    let ended = despite_lost_traps(|| {
        let hwtrace = Hwtrace::script(script, c("obey"));
        hwtrace.run_with("store 100").done("bye, counter is 99 of 100")
    });
    // The first store, of 0 where 0 was, changes nothing.
    assert_eq!(ended.numbers("fired "), [[100, 4950, 99]]);
    ended.expect_figures(100, 1, 1);
}

#[test]
fn eight_neighbours_share_four_registers_and_are_told_apart() {
    if !live_and_free() {
        return;
    }
    let mut script = String::from("global n, others\n");
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    for (index, name) in names.iter().enumerate() {
        script += &format!(
            "probe process.data(\"set.{name}\").write {{
                 n[data_name()]++
                 if ($new / 1000 != {} || data_len() != 4) others++
             }}\n",
            index + 1
        );
    }
    script += "probe end { printf(\"others %d\\n\", others)
                   foreach (name in n) printf(\"%s %d\\n\", name, n[name]) }";
    let ended = despite_lost_traps(|| {
        let hwtrace = Hwtrace::script(&script, c_with("neighbours", &["-g"]));
        hwtrace.with(&["--no-rotate"]).run_with("go").done("bye, the sum is 25225")
    });
    assert_eq!(ended.numbers("others "), [[0]]);
    for (index, name) in (1..).zip(names) {
        assert_eq!(ended.numbers(&format!("set.{name} ")), [[10 * index]], "{ended:#?}");
    }
    ended.expect_figures(360, 1, 4);
}

#[test]
fn who_wants_stores_shares_with_who_wants_all_where_registers_are_short() {
    if !live_and_free() {
        return;
    }
    let script = r#"global stores, changes, all, others
        probe process.data("set.a").write { stores++ }
        probe process.data("set.a").change { changes++ }
        probe process.data("set.a").rw { all++ }
        probe process.data("set.c").write { others++ }
        probe process.data("set.e").write { others++ }
        probe process.data("set.g").write { others++ }
        probe end { printf("fired %d %d %d %d\n", stores, changes, all, others) }"#;
    let ended = despite_lost_traps(|| {
        let hwtrace = Hwtrace::script(script, c_with("neighbours", &["-g"]));
        hwtrace.with(&["--no-rotate"]).run_with("go").done("bye, the sum is 25225")
    });
    assert_eq!(ended.numbers("fired "), [[10, 10, 35, 150]]);
    ended.expect_figures(185, 1, 4);
}

#[test]
fn two_sessions_share_a_thread_two_registers_each() {
    if !live_and_free() {
        return;
    }
    let (one, two) = despite_lost_traps(|| {
        let mut target = Target::start(&c("obey"), &[]);
        let one = start(&["a", "counter"], &target);
        let two = start(&["counter", "e"], &target);
        target.ask("touch")?;
        target.ask("store 500")?;
        target.finish()?;
        Some((one.finish().expect(0), two.finish().expect(0)))
    });
    for (ended, other) in [(&one, "a "), (&two, "e ")] {
        assert_eq!(ended.numbers("counter "), [[500]]);
        assert_eq!(ended.numbers(other), [[1]]);
        ended.expect_figures(501, 1, 2);
    }
}

#[test]
fn who_holds_the_registers_is_named_and_gives_them_back() {
    if !live_and_free() {
        return;
    }
    let (holder, refused, again) = despite_lost_traps(|| {
        let mut target = Target::start(&c("obey"), &[]);
        let holder = start(&["a", "b", "c", "d"], &target);
        let pid = holder.pid();
        let refused = Hwtrace::attach(&counting(&["counter"]), &target).run().expect(1);
        refused.says(&[&format!("hwtrace (process {pid}) has perf events open")]);
        // What was refused has left no trace, and the holder still holds.
        target.ask("touch")?;
        holder.signal(nix::sys::signal::Signal::SIGINT);
        let holder = holder.finish().expect(0);
        let again = start(&["a", "b", "c", "counter"], &target);
        target.ask("touch")?;
        target.ask("store 7")?;
        target.finish()?;
        Some((holder, refused, again.finish().expect(0)))
    });
    refused.says(&["error[E0405]", "process.data(\"counter\").write", "help: "]);
    assert_eq!(refused.out, [""; 0]);
    holder.expect_figures(4, 1, 4);
    again.expect_figures(10, 1, 4);
}

#[test]
fn a_register_that_perf_holds_is_refused_with_perfs_name() {
    if !live_and_free() {
        return;
    }
    let perf = std::process::Command::new("perf").arg("--version").output();
    if !perf.is_ok_and(|perf| perf.status.success()) {
        common::skip("no perf here");
        return;
    }
    let target = Target::start(&c("obey"), &[]);
    let pid = target.pid().to_string();
    let mut perf = std::process::Command::new("perf");
    perf.args(["stat", "-p", &pid]);
    for address in [0x1000, 0x2000, 0x3000, 0x4000] {
        perf.args(["-e", &format!("mem:{address:#x}/8:w:u")]);
    }
    perf.stderr(std::process::Stdio::piped());
    let mut perf = perf.spawn().unwrap();
    wait_until_perf_holds(perf.id());
    let refused = Hwtrace::attach(&counting(&["counter"]), &target).run();
    perf.kill().unwrap();
    perf.wait().unwrap();
    let named = format!("perf (process {})", perf.id());
    refused.expect(1).says(&["error[E0405]", &named]);
    assert_eq!(target.finish().unwrap().last().unwrap(), "bye, counter is 0 of 0");
}

/// perf does not say when it has opened its events; its descriptors do.
fn wait_until_perf_holds(pid: u32) {
    let started = std::time::Instant::now();
    while started.elapsed() < common::HANGS {
        let links = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        let links = links.filter_map(|link| std::fs::read_link(link.ok()?.path()).ok());
        let events = links.filter(|link| link.to_string_lossy().contains("perf_event"));
        if events.count() >= 4 {
            return;
        }
        std::thread::yield_now();
    }
    panic!("perf opened no events");
}
