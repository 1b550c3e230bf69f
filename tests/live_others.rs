//! Others that watch the same process or machine: gdb, what it leaves behind, events on
//! single threads and on CPUs.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use common::{
    HANGS, Hwtrace, Lines, Started, Target, c, c_with, despite_lost_traps, live,
    live_and_free,
};
use hwtrace_runtime::attr::{EventSpec, Features, Role, Sampled};
use hwtrace_runtime::event::{Trigger, Watch};
use hwtrace_runtime::kernel::linux::Linux;
use hwtrace_runtime::kernel::{EVERY, Kernel};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Tests here count free registers, and one takes some of each CPU: one at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Waits, too, until others have given back what they hold of each CPU.
fn alone() -> MutexGuard<'static, ()> {
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(live_and_free());
    alone
}

/// Counts the stores to each of these variables, each of which has a register.
fn counting(names: &[&str], target: &Target) -> Hwtrace {
    let mut script = String::from("global n\nprobe begin { println(\"armed\") }\n");
    for name in names {
        script +=
            &format!("probe process.data(\"{name}\").write {{ n[data_name()]++ }}\n");
    }
    script += "probe end { foreach (name in n) printf(\"%s %d\\n\", name, n[name]) }";
    Hwtrace::attach(&script, target).with(&["--no-rotate"])
}

fn start(names: &[&str], target: &Target) -> Started {
    let tracing = counting(names, target).start();
    tracing.out().until("armed");
    tracing
}

/// gdb at a target, with these commands, until it lets the target run.
struct Debugger {
    child: std::process::Child,
    out: Lines,
}

impl Debugger {
    /// None where there is no gdb.
    fn attach(target: &Target, commands: &[&str]) -> Option<Self> {
        let mut gdb = Command::new("gdb");
        gdb.args(["-q", "-nx", "-batch", "-p", &target.pid().to_string()]);
        for command in commands {
            gdb.args(["-ex", command]);
        }
        gdb.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let Ok(mut child) = gdb.spawn() else {
            common::skip("no gdb here");
            return None;
        };
        let out = Lines::read(child.stdout.take().unwrap());
        Some(Self { child, out })
    }

    /// Waits until the target runs again, traced.
    fn until_it_runs(&self, target: &Target) {
        while !self.out.next().unwrap().starts_with("Hardware watchpoint") {}
        let begun = Instant::now();
        loop {
            let status =
                std::fs::read_to_string(format!("/proc/{}/status", target.pid()));
            let status = status.unwrap();
            if status.contains("State:\tS") && !status.contains("TracerPid:\t0") {
                return;
            }
            assert!(begun.elapsed() < HANGS, "{status}");
            std::thread::yield_now();
        }
    }

    /// Has it stop waiting, and do the commands that are left.
    fn finish(mut self) -> Vec<String> {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGINT).unwrap();
        let rest = self.out.rest();
        let status = self.child.wait().unwrap();
        assert!(status.code().is_some(), "{status}, {rest:#?}");
        rest
    }
}

#[test]
fn gdb_was_first_and_leaves_its_register_behind() {
    if !live() {
        return;
    }
    let _alone = alone();
    despite_lost_traps(|| {
        let mut target = Target::start(&c("obey"), &[]);
        let watch = "watch *(char *)((long)&odd_bytes + 16)";
        let commands = ["set breakpoint always-inserted on", watch, "continue", "detach"];
        let Some(gdb) = Debugger::attach(&target, &commands) else {
            return Some(());
        };
        gdb.until_it_runs(&target);
        let all = ["a", "b", "c", "counter"];
        let refused = counting(&all, &target).run().expect(1);
        let named = format!("gdb (process {}) traces the target", gdb.child.id());
        let lack = format!(
            "1 of 1 thread lack them: 4 debug registers needed, 3 free on thread {}",
            target.pid()
        );
        refused.says(&["error[E0405]", "for `counter`", &named, &lack]);
        let tracing = start(&all[1..], &target);
        target.ask("touch")?;
        target.ask("store 7")?;
        tracing.signal(Signal::SIGINT);
        tracing.finish().expect(0).expect_figures(9, 1, 3);
        gdb.finish();
        // What it has given back the kernel keeps for it until the thread ends.
        let refused = counting(&all, &target).run().expect(1);
        refused.says(&["may have left its registers reserved until the thread ends"]);
        let tracing = start(&all[1..], &target);
        target.ask("store 5")?;
        target.finish()?;
        tracing.finish().expect(0).expect_figures(5, 1, 3);
        Some(())
    });
}

#[test]
fn gdb_comes_second_and_both_go_on() {
    if !live() {
        return;
    }
    let _alone = alone();
    despite_lost_traps(|| {
        let mut target = Target::start(&c("obey"), &[]);
        let tracing = start(&["a", "b", "c", "counter"], &target);
        let watch = "watch *(char *)((long)&odd_bytes + 16)";
        let commands = [watch, "continue", "delete", "detach"];
        let Some(gdb) = Debugger::attach(&target, &commands) else {
            return Some(());
        };
        let said = gdb.out.rest().join("\n");
        assert!(said.contains("watchpoint"), "{said}");
        target.ask("touch")?;
        target.ask("store 20")?;
        let last = target.finish()?;
        assert_eq!(last, ["bye, counter is 19 of 20"]);
        tracing.finish().expect(0).expect_figures(23, 1, 4);
        Some(())
    });
}

#[test]
fn gdb_and_watches_that_take_turns_share_the_registers() {
    if !live() {
        return;
    }
    let _alone = alone();
    let done = despite_lost_traps(|| {
        let mut target = Target::start(&c("obey"), &[]);
        let script = r#"global n, turns
            probe begin { println("armed") }
            probe process.data("counter").write.pinned { n++ }
            probe process.data("a").write, process.data("b").write,
                process.data("c").write, process.data("d").write,
                process.data("e").write { turns++ }
            probe end { printf("counter %d\nturns %d\n", n, turns > 0) }"#;
        let options = ["--registers", "3", "--slice", "0.5"];
        let tracing = Hwtrace::attach(script, &target).with(&options).start();
        tracing.out().until("armed");
        let commands =
            ["watch *(long *)&counter", "continue", "continue", "delete", "detach"];
        let Some(gdb) = Debugger::attach(&target, &commands) else {
            return Some(None);
        };
        gdb.until_it_runs(&target);
        for _ in 0..100 {
            target.ask("touch")?;
        }
        // 0 changes nothing; 1 and 2 stop it.
        target.ask("store 3")?;
        let said = gdb.out.rest();
        for _ in 0..100 {
            target.ask("touch")?;
        }
        target.finish()?;
        Some(Some((tracing.finish().expect(0), said)))
    });
    let Some((ended, said)) = done else { return };
    let stops = said.iter().filter(|line| line.starts_with("New value = "));
    let stops: Vec<_> = stops.collect();
    assert_eq!(stops, ["New value = 1", "New value = 2"], "{said:#?}");
    assert_eq!(ended.numbers("counter "), [[3]], "{ended:#?}");
    assert_eq!(ended.numbers("turns "), [[1]], "{ended:#?}");
    ended.says(&["6 watches by turns on 3 of 4 slots"]);
}

#[test]
fn two_of_us_share_the_registers_and_a_third_is_told_of_them() {
    if !live() {
        return;
    }
    let _alone = alone();
    despite_lost_traps(|| {
        let mut target = Target::start(&c("obey"), &[]);
        let script = r#"global n
            probe begin { println("armed") }
            probe process.data("counter").write.pinned { n++ }
            probe process.data("a").write, process.data("b").write,
                process.data("c").write, process.data("d").write {}
            probe end { printf("counter %d\n", n) }"#;
        let both = [(), ()].map(|()| {
            let half = Hwtrace::attach(script, &target);
            // A user without privilege has locked memory for few rings.
            let half = half.with(&["--registers", "2", "--ring-size", "128"]).start();
            half.out().until("armed");
            half
        });
        let refused = counting(&["a"], &target).run().expect(1);
        for half in &both {
            let (pid, watched) = (half.pid(), target.pid());
            refused.says(&[&format!(
                "hwtrace (process {pid}) has perf events open and {watched} among its \
                 arguments"
            )]);
        }
        refused.says(&["error[E0405]", "with `--registers 2`"]);
        target.ask("store 500")?;
        target.finish()?;
        for half in both {
            let ended = half.finish().expect(0);
            assert_eq!(ended.numbers("counter "), [[500]], "{ended:#?}");
            ended.says(&["5 watches by turns on 2 of 4 slots"]);
        }
        Some(())
    });
}

/// Events that hold registers, closed when dropped.
struct Held(Vec<std::os::fd::RawFd>);

impl Held {
    /// Holds so many of a thread's, or of all CPUs'.
    fn of(tid: u32, count: u64) -> Self {
        let watch = |at| Watch { address: at * 8, length: 8, trigger: Trigger::Write };
        let sampled = Sampled::ALL;
        let role = |at| match tid {
            EVERY => Role::KernelBreakpoint { watch: watch(at), sampled },
            _ => Role::ThreadBreakpoint { watch: watch(at), sampled },
        };
        let cpus = match tid {
            EVERY => Linux.online_cpus().unwrap(),
            _ => vec![EVERY],
        };
        let open = |at| {
            let spec = EventSpec { role: role(at), features: Features::NONE };
            cpus.iter().map(move |cpu| Linux.perf_event_open(&spec, tid, *cpu))
        };
        // Other tests may have all registers of some thread just now.
        let begun = Instant::now();
        loop {
            let opened: Vec<_> = (0x200..0x200 + count).flat_map(open).collect();
            let missed = opened.iter().find_map(|event| event.err());
            let held = Self(opened.into_iter().flatten().collect());
            match missed {
                None => return held,
                Some(why) => assert!(begun.elapsed() < HANGS, "{why}"),
            }
            drop(held);
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.iter().for_each(|event| Linux.close(*event));
    }
}

/// The threads of a target besides its first.
fn threads(target: &Target) -> Vec<u32> {
    let mut threads = Linux.threads(target.pid()).unwrap();
    threads.retain(|tid| *tid != target.pid());
    threads
}

#[test]
fn threads_without_a_free_register_are_left_out_where_that_is_asked_for() {
    if !live() {
        return;
    }
    let _alone = alone();
    let (ended, taken) = despite_lost_traps(|| {
        let mut target = Target::start(&c("threads"), &["4", "1"]);
        let taken = threads(&target)[2];
        let held = Held::of(taken, 4);
        let refused = counting(&["counter"], &target).run().expect(1);
        let lack = format!(
            "1 of 5 threads lack them: 1 debug register needed, 0 free on thread {taken}"
        );
        let named = format!("(process {}) has perf events open", std::process::id());
        refused.says(&[&lack, &named, "`--partial`, and watch 4 of 5"]);
        let tracing = counting(&["counter"], &target).with(&["--partial"]).start();
        tracing.out().until("armed");
        target.ask("go")?;
        target.finish()?;
        drop(held);
        Some((tracing.finish().expect(0), taken))
    });
    // The fifth is created by the first, which is watched.
    assert_eq!(ended.numbers("counter "), [[40_000]]);
    let figures = ended.figures();
    assert_eq!((figures.hits, figures.lost), (40_000, 0));
    assert_eq!((figures.armed, figures.threads), (5, 6));
    ended.says(&["1 thread of process", "nor what they create"]);
    ended.says(&[&format!("0 free on thread {taken}")]);
}

#[test]
fn a_tracer_leaves_threads_out_and_watches_what_they_create() {
    if !live() {
        return;
    }
    let _alone = alone();
    let (ended, first) = despite_lost_traps(|| {
        let mut target = Target::start(&c("threads"), &["4", "1"]);
        let first = target.pid();
        let held = Held::of(first, 4);
        let by_ptrace = || counting(&["counter"], &target).with(&["--engine", "ptrace"]);
        let refused = by_ptrace().run().expect(1);
        let lack = format!(
            "1 of 5 threads lack them: 1 debug register needed, 0 free on thread {first}"
        );
        refused.says(&["error[E0405]", &lack, "`--partial`, and watch 4 of 5"]);
        let tracing = by_ptrace().with(&["--partial"]).start();
        tracing.out().until("armed");
        target.ask("go")?;
        target.finish()?;
        drop(held);
        Some((tracing.finish().expect(0), first))
    });
    // The fifth is created by the first, which is not watched.
    assert_eq!(ended.numbers("counter "), [[50_000]], "{ended:#?}");
    let figures = ended.figures();
    assert_eq!((figures.armed, figures.threads), (5, 6));
    let text =
        format!("1 thread of process {first} not watched: 1 debug register needed");
    ended.says(&[&text, &format!("0 free on thread {first}")]);
}

#[test]
fn steps_need_no_registers_and_say_so() {
    if !live() {
        return;
    }
    let target = Target::start(&c("obey"), &[]);
    let steps = counting(&["counter"], &target).with(&["--engine", "step", "--partial"]);
    let tracing = steps.start();
    tracing.out().until("armed");
    assert!(target.finish().is_some());
    let ended = tracing.finish().expect(0);
    ended
        .says(&["`--partial` makes no difference: the engine `step` takes no registers"]);
}

#[test]
fn single_steps_cost_the_same_whatever_is_hit() {
    if !live() {
        return;
    }
    let mut target = Target::start(&c("obey"), &[]);
    let bounded = ["--engine", "step", "--max-overhead", "0.1%"];
    let tracing = counting(&["counter"], &target).with(&bounded).start();
    tracing.out().until("armed");
    target.ask("store 8000").unwrap();
    assert!(target.finish().is_some());
    let ended = tracing.finish().expect(0);
    ended.says(&[
        "`--max-overhead` makes no difference: the engine `step` takes its time",
    ]);
    // None of the time was it off.
    assert_eq!(ended.numbers("counter "), [[8000]], "{ended:#?}");
}

#[test]
fn what_a_tracer_left_reserved_a_tracer_uses() {
    if !live() {
        return;
    }
    let _alone = alone();
    despite_lost_traps(|| {
        let mut target = Target::start(&c("obey"), &[]);
        let all = ["a", "b", "c", "counter"];
        let by_ptrace = || counting(&all, &target).with(&["--engine", "ptrace"]);
        let first = by_ptrace().start();
        first.out().until("armed");
        first.signal(Signal::SIGINT);
        first.finish().expect(0);
        let refused = counting(&all, &target).run().expect(1);
        refused.says(&["error[E0405]", "and so may hwtrace with `--engine ptrace`"]);
        let second = by_ptrace().start();
        second.out().until("armed");
        target.ask("store 5")?;
        target.finish()?;
        second.finish().expect(0).expect_figures(5, 1, 4);
        Some(())
    });
}

#[test]
fn what_is_advised_where_registers_are_short_works() {
    if !live() {
        return;
    }
    let _alone = alone();
    let target = Target::start(&c("obey"), &[]);
    let held = Held::of(target.pid(), 1);
    let four = || counting(&["a", "b", "c", "counter"], &target).with(&["--partial"]);
    let refused = four().run().expect(1);
    let whole = "`--partial` leaves out threads, not watches";
    refused.says(&["error[E0405]", whole, "leave `--no-rotate` out"]);
    let script = r#"probe begin { println("armed") exit() }
        probe process.data("a").write, process.data("b").write,
            process.data("c").write, process.data("counter").write {}"#;
    Hwtrace::attach(script, &target).with(&["--partial"]).run().expect(0);
    let refused = four().with(&["--engine", "ptrace"]).run().expect(1);
    refused.says(&["error[E0405]", whole]);
    assert!(!refused.messages.join("\n").contains("--no-rotate"), "{refused:#?}");
    drop(held);
    assert!(target.finish().is_some());
}

#[test]
fn where_no_thread_has_a_register_nothing_can_be_left_out() {
    if !live() {
        return;
    }
    let _alone = alone();
    let target = Target::start(&c("obey"), &[]);
    let held = Held::of(target.pid(), 4);
    let refused = counting(&["counter"], &target).with(&["--partial"]).run().expect(1);
    refused.says(&["error[E0405]", "1 of 1 thread lack them"]);
    drop(held);
    assert!(target.finish().is_some());
}

/// Elements that could take turns need one register, and the range is named, not the element
/// that happened to get none.
#[test]
fn where_none_is_free_turns_need_one() {
    if !live() {
        return;
    }
    let _alone = alone();
    let target = Target::start(&c_with("counters", &["-g"]), &["bytes"]);
    let held = Held::of(target.pid(), 4);
    let script = "probe process.data(\"counters[0..8]\").write { }";
    let refused = Hwtrace::attach(script, &target).run().expect(1);
    let said =
        ["error[E0405]", "for `counters[0..8]`", "1 debug register needed at least"];
    refused.says(&said);
    drop(held);
    assert!(target.finish().is_some());
}

#[test]
fn registers_of_whole_cpus_are_missing_on_all_threads() {
    if !live() || !nix::unistd::geteuid().is_root() {
        return;
    }
    let _alone = alone();
    despite_lost_traps(|| {
        let mut target = Target::start(&c("obey"), &[]);
        let held = Held::of(EVERY, 2);
        let refused = counting(&["a", "b", "counter"], &target).run().expect(1);
        let lack = "3 debug registers needed, 2 free";
        let named = format!("(process {}) has perf events open", std::process::id());
        refused.says(&["error[E0405]", lack, &named]);
        let tracing = start(&["a", "counter"], &target);
        target.ask("touch")?;
        target.ask("store 9")?;
        target.finish()?;
        drop(held);
        tracing.finish().expect(0).expect_figures(10, 1, 2);
        Some(())
    });
}
