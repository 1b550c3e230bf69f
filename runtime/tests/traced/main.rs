//! The engines `ptrace` and `step` on real programs: what they report is whole, and the
//! programs are as if nobody was there.
//!
//! Where ptrace(2) is refused each test says "SKIPPED"; with HWTRACE_REQUIRE_LIVE=1 it
//! fails.

mod common;

use std::time::{Duration, Instant};

use common::{HANGS, Kind, Target, Watching, assert_prompt, each_engine};
use hwtrace_runtime::engine::{ArmError, Engine};
use hwtrace_runtime::event::{Trigger, Watch};
use hwtrace_runtime::kernel::linux::Linux;
use hwtrace_runtime::kernel::{Kernel, Ptrace};
use hwtrace_runtime::schema::AccessKind;

/// Registers can, steps need not.
const MANY: usize = 20_000;

fn many(kind: Kind) -> usize {
    if kind == Kind::Step { MANY / 20 } else { MANY }
}

#[test]
fn every_store_is_a_hit_in_order_with_its_value() {
    each_engine(|kind| {
        let count = many(kind);
        let target = Target::start("store", count);
        let (text, watching) = target.watched(kind, &["counter"]);
        assert_eq!(text, format!("0 {} 0 0", count - 1));
        watching.assert_complete(count);
        for (place, hit) in watching.hits.iter().enumerate() {
            assert_eq!(hit.memory, Some(place as u64));
            let old = if kind == Kind::Step {
                Some(place.saturating_sub(1) as u64)
            } else {
                None
            };
            assert_eq!(hit.old, old);
            assert!(!hit.kernel && hit.registers == 17);
            if kind == Kind::Step {
                let told = hit.told.expect("one thread");
                assert_eq!(
                    (told.kind, told.new, told.exact),
                    (AccessKind::Write, place as u64, true)
                );
                assert!(told.instruction < hit.ip && hit.ip - told.instruction <= 15);
            }
        }
    });
}

#[test]
fn threads_come_and_go() {
    each_engine(|kind| {
        let rounds = if kind == Kind::Step { 5 } else { 50 };
        let target = Target::start("threads", rounds);
        let (text, watching) = target.watched(kind, &["counter"]);
        assert!(text.starts_with("0 19 "), "{text}");
        watching.assert_complete(rounds * 40);
        assert_eq!(watching.born.len(), rounds * 2);
        assert_eq!(watching.ended.len(), rounds * 2 + 1);
    });
}

/// Guardians that this test program has started and that live, by their process numbers.
fn guardians() -> Vec<u32> {
    let own = std::process::id().to_string();
    let listed = std::fs::read_dir("/proc").expect("/proc");
    let pids = listed.flatten().filter_map(|it| it.file_name().to_str()?.parse().ok());
    let lives = |pid: &u32| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status"));
        let text = text.unwrap_or_default();
        let field = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name));
            value.map_or("", str::trim)
        };
        field("Name:") == "hwt-guardian"
            && field("PPid:") == own
            && !field("State:").starts_with('Z')
    };
    pids.filter(lives).collect()
}

/// None of the guardians that follow this target is left soon.
fn assert_left_alone(target: &Target) {
    let begun = Instant::now();
    let tracers = || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", target.pid()));
        let status = |it: std::fs::DirEntry| {
            std::fs::read_to_string(it.path().join("status")).unwrap_or_default()
        };
        let texts = tasks.expect("it lives").flatten().map(status);
        texts.filter(|text| !text.contains("TracerPid:\t0\n")).count()
    };
    while tracers() > 0 {
        assert!(begun.elapsed() < HANGS, "somebody is traced still");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn sessions_end_while_threads_are_created() {
    each_engine(|kind| {
        let before = guardians();
        let mut target = Target::start("creators", 6);
        target.go();
        let mut took = Vec::new();
        for _ in 0..10 {
            let mut watching = target.attach(kind, &["counter"]);
            watching.rest(Duration::from_millis(100));
            let begun = Instant::now();
            watching.engine.disarm();
            watching.finish_drain();
            drop(watching);
            took.push(begun.elapsed());
        }
        assert_prompt(took);
        assert_left_alone(&target);
        drop(target);
        let begun = Instant::now();
        // Other tests have guardians of their own, which end with these tests.
        while guardians().iter().any(|pid| !before.contains(pid)) {
            assert!(begun.elapsed() < Duration::from_secs(20), "a guardian is left");
            std::thread::sleep(Duration::from_millis(20));
        }
    });
}

#[test]
fn the_first_thread_may_end_before_the_others() {
    each_engine(|kind| {
        let took = (0..3).map(|_| watch_headless(kind));
        assert_prompt(took.collect());
    });
}

/// Gives how long it took once the first thread had ended.
fn watch_headless(kind: Kind) -> Duration {
    let mut target = Target::start("headless", 0);
    let mut watching = target.attach(kind, &["counter"]);
    let back = Some(target.symbol("counter").0);
    target.go();
    watching.await_hits(3);
    target.await_state('Z');
    let begun = Instant::now();
    watching.engine.retarget(target.pid(), 0, None).expect("moved");
    watching.engine.retarget(target.pid(), 0, back).expect("moved");
    let hits = watching.hits.len();
    watching.await_hits(hits + 3);
    watching.engine.disarm();
    watching.finish_drain();
    begun.elapsed()
}

#[test]
fn children_are_followed_and_what_they_execute_is_not() {
    each_engine(|kind| {
        let rounds = if kind == Kind::Step { 2 } else { 10 };
        let target = Target::start("children", rounds);
        let pid = target.pid();
        let (text, watching) = target.watched(kind, &["counter"]);
        assert_eq!(text, "0 0 0 0");
        watching.assert_complete(rounds * 10 + 1);
        let own = watching.hits.iter().filter(|hit| hit.pid == pid).count();
        assert_eq!(own, 1);
        let executed = watching.names.iter().filter(|name| name.2).count();
        assert_eq!(executed, rounds, "posix_spawn uses vfork: {:?}", watching.names);
    });
}

#[test]
fn no_store_of_a_new_image_is_missed() {
    each_engine(|kind| {
        let target = Target::start("exec", 0);
        let mut watching = target.attach(kind, &["counter"]);
        watching.arm_executed = true;
        let (text, watching) = target.follow(watching);
        assert_eq!(text, "0 49 0 0");
        watching.assert_complete(100);
        let target = Target::start("exec", 0);
        let (_, watching) = target.watched(kind, &["counter"]);
        watching.assert_complete(50);
    });
}

#[test]
fn each_signal_comes_once_with_what_it_carries() {
    each_engine(|kind| {
        let mut target = Target::start("signals", 200);
        let mut watching = target.attach(kind, &["counter"]);
        target.go();
        watching.until_line(&mut target, "ready");
        target.go();
        for value in 0..200 {
            target.queue(libc::SIGRTMIN(), value);
            watching.drain();
        }
        let (text, watching) = target.follow(watching);
        let words: Vec<_> = text.split(' ').collect();
        assert_eq!((words[0], words[2], words[3]), ("0", "200", "19900"));
        watching.assert_complete(watching.hits.len());
    });
}

#[test]
fn traps_of_the_programs_own_are_its_own() {
    each_engine(|kind| {
        let target = Target::start("traps", 0);
        let (text, watching) = target.watched(kind, &["counter"]);
        assert!(text.starts_with("0 2 20 "), "{text}");
        watching.assert_complete(30);
    });
}

#[test]
fn who_waits_for_a_signal_gets_it() {
    each_engine(|kind| {
        let target = Target::start("waits", 50);
        let (text, watching) = target.watched(kind, &["counter"]);
        assert_eq!(text, "0 49 0 0");
        watching.assert_complete(50);
    });
}

#[test]
fn the_flag_of_steps_is_not_seen_nor_left_behind() {
    each_engine(|kind| {
        let mut target = Target::start("flags", 100);
        let mut watching = target.attach(kind, &["counter"]);
        target.go();
        watching.await_hits(100);
        watching.until_line(&mut target, "ready");
        watching.engine.disarm();
        watching.finish_drain();
        watching.assert_complete(100);
        // It loaded the flags while it went by steps, and goes on without.
        target.go();
        assert_eq!(target.last_line(), "0 0 0 0");
    });
}

#[test]
fn who_is_stopped_by_others_stays_stopped_until_it_is_continued() {
    each_engine(|kind| {
        let mut target = Target::start("store", many(kind));
        let mut watching = target.attach(kind, &["counter"]);
        target.go();
        watching.await_hits(100);
        target.stop();
        let last = target.value("counter");
        // Hits that were on their way.
        let stopped = last as usize + 1;
        watching.await_hits(stopped);
        watching.rest(Duration::from_millis(100));
        let seen = |watching: &Watching| (watching.hits.len(), target.value("counter"));
        assert_eq!(seen(&watching), (stopped, last));
        // It can be disarmed and armed while it is stopped, and is stopped still.
        watching.engine.switch(0, false).expect("off");
        watching.engine.switch(0, true).expect("on");
        watching.rest(Duration::from_millis(50));
        assert_eq!(seen(&watching), (stopped, last));
        target.signal(libc::SIGCONT);
        let (text, watching) = target.follow(watching);
        assert!(text.starts_with("0 "), "{text}");
        watching.assert_complete(many(kind));
    });
}

#[test]
fn a_stopped_target_that_is_let_go_stays_stopped() {
    each_engine(|kind| {
        let mut target = Target::start("store", 1000);
        let mut watching = target.attach(kind, &["counter"]);
        target.signal(libc::SIGSTOP);
        watching.rest(Duration::from_millis(50));
        drop(watching);
        target.await_state('T');
        target.go();
        target.signal(libc::SIGCONT);
        assert_eq!(target.last_line(), "0 999 0 0");
    });
}

#[test]
fn let_go_among_hits_the_target_goes_on() {
    each_engine(|kind| {
        let mut took = Vec::new();
        for round in 0..5 {
            let count = many(kind) * 2;
            let mut target = Target::start("store", count);
            let mut watching = target.attach(kind, &["counter"]);
            target.go();
            watching.await_hits(20);
            std::thread::sleep(Duration::from_millis(round));
            let started = Instant::now();
            if round % 2 == 0 {
                watching.engine.disarm();
                watching.finish_drain();
                let hits = watching.hits.len() as u64;
                let account = watching.engine.account();
                assert_eq!(account.counted.iter().sum::<u64>(), hits + account.lost);
            }
            drop(watching);
            took.push(started.elapsed());
            assert_eq!(target.last_line(), format!("0 {} 0 0", count - 1));
        }
        assert_prompt(took);
    });
}

#[test]
fn loads_and_narrow_stores_are_told_apart() {
    each_engine(|kind| {
        let target = Target::start("narrow", 0);
        let (address, _) = target.symbol("word");
        let watch = |place: u64, length, trigger| Watch {
            address: address + place,
            length,
            trigger,
        };
        let watches = [
            watch(0, 8, Trigger::Write),
            watch(8, 4, Trigger::ReadWrite),
            watch(12, 1, Trigger::Write),
        ];
        let watching = Watching::attach(kind, target.pid(), &watches);
        let (text, watching) = target.follow(watching);
        assert!(text.starts_with("0 "), "{text}");
        let mut counts = [0; 3];
        watching.hits.iter().for_each(|hit| counts[hit.watch as usize] += 1);
        assert_eq!(counts, [2, 2, 1]);
        let values: Vec<_> = watching.hits.iter().filter(|hit| hit.watch == 0).collect();
        assert_eq!(values[1].memory, Some(2 << 32 | 1));
    });
}

#[test]
fn the_fifth_watch_is_for_steps_alone() {
    each_engine(|kind| {
        let target = Target::start("narrow", 0);
        let (address, _) = target.symbol("word");
        let watch = |place: u64| Watch {
            address: address + place * 4,
            length: 4,
            trigger: Trigger::Write,
        };
        let watches: Vec<_> = (0..8).map(watch).collect();
        if kind == Kind::Ptrace {
            let mut refused = Watching::new(kind);
            let error = refused.engine.arm(target.pid(), &watches).expect_err("too many");
            assert!(
                matches!(error, ArmError::NoFreeRegister { watch: 4, .. }),
                "{error}"
            );
            drop(refused);
            let (text, _) = target.watched(kind, &["counter"]);
            assert!(text.starts_with("0 "), "{text}");
            return;
        }
        let watching = Watching::attach(kind, target.pid(), &watches);
        let (_, watching) = target.follow(watching);
        let all: Vec<_> =
            watching.hits.iter().map(|hit| (hit.watch, hit.memory)).collect();
        assert_eq!(
            all,
            (0..8).map(|place| (place, Some(u64::from(place) + 1))).collect::<Vec<_>>()
        );
    });
}

#[test]
fn what_the_kernel_stores_is_seen_by_steps_alone() {
    each_engine(|kind| {
        let target = Target::start("receives", 0);
        let (text, watching) = target.watched(kind, &["counter"]);
        assert!(text.starts_with("0 5 "), "{text}");
        match kind {
            Kind::Ptrace => watching.assert_complete(0),
            Kind::Step => {
                watching.assert_complete(1);
                let hit = watching.hits[0];
                assert!(hit.kernel);
                assert_eq!(
                    (hit.old, hit.memory, hit.syscall),
                    (Some(0), Some(5), Some(0))
                );
            }
        }
    });
}

#[test]
fn another_name_is_noticed_by_the_next_hit() {
    each_engine(|kind| {
        let target = Target::start("named", 0);
        let (_, watching) = target.watched(kind, &["counter"]);
        let names: Vec<_> = watching.names.iter().map(|name| &*name.1).collect();
        assert_eq!(names.last(), Some(&"another"), "{names:?}");
        watching.assert_complete(1);
    });
}

#[test]
fn a_watch_moves_and_hits_of_the_old_place_are_before() {
    each_engine(|kind| {
        // So many that they are not over before we come to move it.
        let stores = if kind == Kind::Step { 4 } else { 20 } * many(kind);
        let mut target = Target::start("store", stores);
        let mut watching = target.attach(kind, &["counter"]);
        let elsewhere = Some(target.symbol("word").0);
        target.go();
        watching.await_hits(50);
        let since = watching.engine.retarget(target.pid(), 0, elsewhere);
        let since = since.expect("moved");
        let (_, watching) = target.follow(watching);
        assert!(watching.hits.iter().all(|hit| hit.time <= since));
        assert!(watching.hits.len() < stores);
    });
}

#[test]
fn who_is_traced_already_is_refused_and_goes_on() {
    each_engine(|kind| {
        let mut target = Target::start("store", 10);
        Linux.ptrace_follow(target.pid()).expect("ours");
        let mut watching = Watching::new(kind);
        let watch = target.stores_to("counter");
        let error = watching.engine.arm(target.pid(), &[watch]).expect_err("traced");
        // A tracer is a thread.
        let own = nix::unistd::gettid().as_raw() as u32;
        let traced = matches!(error, ArmError::Traced { tracer, .. } if tracer == own);
        assert!(traced, "{error}");
        Linux.ptrace_interrupt(target.pid()).expect("traced");
        Linux.wait(target.pid(), true).expect("it stops");
        Linux.ptrace_let_go(target.pid(), 0).expect("stopped");
        let armed = watching.engine.arm(target.pid(), &[watch]).expect("free now");
        assert_eq!(armed.threads, 1);
        target.go();
        let (_, watching) = target.follow(watching);
        watching.assert_complete(10);
    });
}
