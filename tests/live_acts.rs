//! What scripts do to a process at the hit: it is done before the next instruction,
//! where the engine can, and once.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::os::unix::fs::FileExt;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{
    HANGS, Hwtrace, Target, c, c_with, despite_lost_traps, engine_name, live, skip,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Whether the engine does it before the next instruction.
fn at_the_hit() -> bool {
    engine_name() != "perf"
}

/// Whether it is stopped; `t` is a stop that a tracer knows of.
fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.starts_with(['T', 't'])
}

#[track_caller]
fn wait_until_stopped(pid: u32) {
    let started = Instant::now();
    while !is_stopped(pid) {
        assert!(started.elapsed() < HANGS, "it goes on");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn go_on(pid: u32) {
    kill(Pid::from_raw(pid as i32), Signal::SIGCONT).unwrap();
}

/// What `counter` holds, at the address that the script printed.
fn counter(pid: u32, address: &str) -> u64 {
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let address = u64::from_str_radix(address.trim_start_matches("0x"), 16).unwrap();
    let mut bytes = [0; 8];
    memory.read_exact_at(&mut bytes, address).unwrap();
    u64::from_le_bytes(bytes)
}

#[test]
fn stop_stops_at_the_very_store() {
    if !live() {
        return;
    }
    let kind = "access() == \"write\" && $new == 5000";
    for condition in ["$new == 5000", "$old == 4999 && tid() == pid()", kind] {
        // What the access is, ptrace does not know.
        let at_the_hit = at_the_hit() && (condition != kind || engine_name() != "ptrace");
        despite_lost_traps(|| {
            let mut target = Target::start(&c("acted"), &[]);
            let script = format!(
                "probe begin {{ println(\"armed\") }}
                 probe process.data(\"counter\").change {{
                     if ({condition}) {{ printf(\"%p\\n\", data_addr()) stop() exit() }}
                 }}"
            );
            let hwtrace = Hwtrace::attach(&script, &target).start();
            assert_eq!(hwtrace.out().next().as_deref(), Some("armed"));
            target.say("100000");
            let ended = hwtrace.finish();
            if ended.messages.iter().any(|line| line.contains("SIGTRAP")) {
                return None;
            }
            let ended = ended.expect(0);
            wait_until_stopped(target.pid());
            let held = counter(target.pid(), &ended.out[0]);
            if at_the_hit {
                assert_eq!(held, 5000, "{condition}");
            } else {
                assert!((5000..=100_000).contains(&held), "{held}");
            }
            go_on(target.pid());
            assert_eq!(target.line().as_deref(), Some("0 caught, 0 in step"));
            target.finish()
        });
    }
}

/// The thread that stored is the one that stops, though another one is there to take a
/// signal of the process's.
#[test]
fn of_several_threads_the_one_that_stored_goes_no_further() {
    if !live() {
        return;
    }
    if !at_the_hit() {
        eprintln!("SKIPPED: this engine stops some stores later");
        return;
    }
    for _ in 0..5 {
        despite_lost_traps(|| {
            let mut target = Target::start(&c("acted"), &["beside"]);
            let script = "probe begin { println(\"armed\") }
                 probe process.data(\"counter\").change {
                     if ($new == 500) { printf(\"%p\\n\", data_addr()) stop() exit() }
                 }";
            let hwtrace = Hwtrace::attach(script, &target).start();
            assert_eq!(hwtrace.out().next().as_deref(), Some("armed"));
            target.say("10000");
            let ended = hwtrace.finish();
            if ended.messages.iter().any(|line| line.contains("SIGTRAP")) {
                return None;
            }
            let ended = ended.expect(0);
            wait_until_stopped(target.pid());
            assert_eq!(counter(target.pid(), &ended.out[0]), 500);
            go_on(target.pid());
            assert_eq!(target.line().as_deref(), Some("0 caught, 0 in step"));
            target.finish()
        });
    }
}

#[test]
fn the_debugger_sees_the_line_of_the_store() {
    if !live() {
        return;
    }
    if Command::new("gdb").arg("--version").output().is_err() {
        skip("there is no gdb");
        return;
    }
    if !at_the_hit() {
        eprintln!("SKIPPED: this engine stops some stores later");
        return;
    }
    let shown = despite_lost_traps(|| {
        let mut target = Target::start(&c_with("acted", &["-g"]), &[]);
        let script = "probe begin { println(\"armed\") }
             probe process.data(\"counter\").write { if ($new == 77) { stop() exit() } }";
        let hwtrace = Hwtrace::attach(script, &target).start();
        assert_eq!(hwtrace.out().next().as_deref(), Some("armed"));
        target.say("1000");
        hwtrace.finish().expect(0);
        wait_until_stopped(target.pid());
        let gdb = Command::new("gdb")
            .args(["-nx", "-batch", "-p", &target.pid().to_string()])
            .args(["-ex", "print counter", "-ex", "frame", "-ex", "detach"])
            .output()
            .unwrap();
        go_on(target.pid());
        target.line()?;
        target.finish()?;
        Some(String::from_utf8(gdb.stdout).unwrap())
    });
    assert!(shown.contains("$1 = 77"), "{shown}");
    assert!(shown.contains("count (to=1000)"), "{shown}");
}

#[test]
fn signals_are_sent_once_and_at_the_store() {
    if !live() {
        return;
    }
    let answers = despite_lost_traps(|| {
        let mut target = Target::start(&c("acted"), &[]);
        let script = "global n probe begin { println(\"armed\") }
             probe process.data(\"counter\").write {
                 if ($new % 1000 == 0) { signal(10) if (++n == 2) println(\"known\") }
             }
             probe end { println(n) }";
        let hwtrace = Hwtrace::attach(script, &target).start();
        assert_eq!(hwtrace.out().next().as_deref(), Some("armed"));
        // The first store at each address is not known yet.
        let first = target.ask("2000")?;
        assert_eq!(hwtrace.out().next().as_deref(), Some("known"));
        let second = target.ask("50000")?;
        hwtrace.signal(Signal::SIGINT);
        let ended = hwtrace.finish().expect(0);
        assert_eq!(ended.out, ["52"]);
        target.finish()?;
        Some([first, second])
    });
    // A signal can not be taken back, and whether it is a whole access ptrace does not know.
    match at_the_hit() && engine_name() != "ptrace" {
        true => assert_eq!(answers[1], "50 caught, 50 in step", "{answers:?}"),
        // Some come together, and all of them late.
        false => assert!(answers[1].contains(" caught, "), "{answers:?}"),
    }
}

/// What is known only when the handler runs is done then; of two handlers each has
/// its own signal.
#[test]
fn what_is_not_known_at_the_hit_is_done_when_the_handler_runs() {
    if !live() {
        return;
    }
    let answer = despite_lost_traps(|| {
        let mut target = Target::start(&c("acted"), &[]);
        let script = "global n probe begin { println(\"armed\") }
             probe process.data(\"counter\").write { if (++n == 30) signal(10) }
             probe process.data(\"counter\").change {
                 if ($new == 900) { stop() println(\"stopped\") }
             }";
        let hwtrace = Hwtrace::attach(script, &target).start();
        assert_eq!(hwtrace.out().next().as_deref(), Some("armed"));
        target.say("1000");
        assert_eq!(hwtrace.out().next().as_deref(), Some("stopped"));
        wait_until_stopped(target.pid());
        go_on(target.pid());
        let answer = target.line()?;
        hwtrace.signal(Signal::SIGINT);
        hwtrace.finish().expect(0);
        target.finish()?;
        Some(answer)
    });
    // Else it may be done with its stores before anything happens.
    assert!(answer.starts_with("1 caught, ") || !at_the_hit(), "{answer}");
}

/// What no handler comes to, as the session has ended or the condition was another's, is
/// taken back.
#[test]
fn a_stop_that_no_handler_asks_for_is_taken_back() {
    if !live() {
        return;
    }
    let answer = despite_lost_traps(|| {
        let mut target = Target::start(&c("acted"), &[]);
        let script = "probe begin { println(\"armed\") }
             probe process.data(\"counter\").write {
                 if ($new == 30) exit()
                 if ($new == 60) { println(\"stopped\") stop() }
             }";
        let hwtrace = Hwtrace::attach(script, &target).start();
        assert_eq!(hwtrace.out().next().as_deref(), Some("armed"));
        target.say("1000");
        let ended = hwtrace.finish();
        if ended.messages.iter().any(|line| line.contains("SIGTRAP")) {
            return None;
        }
        assert_eq!(ended.expect(0).out, [""; 0]);
        let answer = target.line()?;
        target.finish()?;
        Some(answer)
    });
    assert_eq!(answer, "0 caught, 0 in step");
}

/// The system would end a stopped program whose parent is gone.
#[test]
fn a_program_of_ours_that_is_stopped_is_waited_for() {
    if !live() {
        return;
    }
    let script = "probe process.data(\"counter\").write {
             if ($new == 10) { printf(\"%d\\n\", pid()) stop() exit() }
         }";
    despite_lost_traps(|| {
        let mut hwtrace = Hwtrace::script(script, c("acted")).start();
        hwtrace.say("1000");
        let lines = [(); 2].map(|()| hwtrace.out().next());
        let pid = lines.iter().flatten().find_map(|line| line.parse().ok())?;
        let said = format!("process {pid} is stopped: `gdb -p {pid}`");
        while !hwtrace.messages().next()?.contains(&said) {}
        wait_until_stopped(pid);
        go_on(pid);
        let ended = hwtrace.finish().expect(0);
        assert_eq!(ended.out.last().map(String::as_str), Some("done"), "{ended:?}");
        Some(())
    });
}
