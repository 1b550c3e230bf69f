use std::rc::Rc;

use super::PtraceEngine;
use super::guardian::keep_needed;
use super::reports::{self, Hit, Reports};
use super::tracer::{Method, Tracer};
use crate::engine::{ArmError, Engine, Shortfall};
use crate::event::{Event, Trigger, Watch};
use crate::kernel::fake::{Call, Fake, Holdings};
use crate::kernel::rights::{Capabilities, Rights, bit};
use crate::kernel::{Errno, Go, Kernel, UserRegisters, Wait};

const PID: u32 = 10;

fn watch(place: u64) -> Watch {
    Watch { address: 0x1000 + place * 8, length: 8, trigger: Trigger::Write }
}

fn watches(count: u64) -> Vec<Option<Watch>> {
    (0..count).map(|place| Some(watch(place))).collect()
}

/// Of a thread that is created by one that is traced.
fn newborn() -> String {
    format!("State:\tR\nTgid:\t{PID}\nTracerPid:\t{}\n", std::process::id())
}

/// A process with two threads, and who traces it.
fn machine() -> (Rc<Fake>, Tracer) {
    let fake = Rc::new(Fake::new(1, &[PID, 11]));
    // Those that are created are traced from their birth on.
    let own = std::process::id();
    for (tid, pid, tracer) in [(PID, PID, 0), (11, PID, 0), (12, PID, own), (20, 20, own)]
    {
        let status = format!("State:\tR\nTgid:\t{pid}\nTracerPid:\t{tracer}\n");
        fake.set_file(&format!("/proc/{tid}/status"), &status);
    }
    let kernel: Rc<dyn Kernel> = fake.clone();
    let (signals, _) = kernel.take_signals(&[libc::SIGCHLD]).expect("a descriptor");
    let reports = Reports::new(-1);
    let tracer = Tracer::new(kernel, signals, Method::Registers, reports);
    (fake, tracer)
}

fn armed(count: u64) -> (Rc<Fake>, Tracer) {
    let (fake, mut tracer) = machine();
    assert_eq!(tracer.attach(PID, &watches(count)).expect("armed").0, 2);
    fake.went();
    (fake, tracer)
}

/// What was reported.
fn told(tracer: &mut Tracer) -> Vec<String> {
    let words = tracer.reports.take_words();
    let (mut told, mut at) = (Vec::new(), 0);
    while let Some(record) = reports::record(&words[at..]) {
        at += record.len();
        told.push(match reports::event(record) {
            Some(Event::Hit(hit)) => format!("hit {} {}", hit.watch, hit.tid),
            Some(Event::Comm { tid, exec, .. }) => format!("name {tid} {exec}"),
            Some(Event::Fork { pid, tid, .. }) => format!("born {pid} {tid}"),
            Some(Event::Exit { tid, .. }) => format!("end {tid}"),
            Some(Event::Lost { count }) => format!("lost {count}"),
            Some(Event::Mmap { .. }) => "mapped".to_owned(),
            None => "nothing".to_owned(),
        });
    }
    // Names are looked at with hits.
    told.retain(|what| !what.ends_with("false"));
    told
}

/// Everybody was let go, and nobody with a register on.
fn assert_untouched(fake: &Fake, what: &str) {
    assert_eq!(fake.traced(), [], "{what}");
    let gone = fake.let_go();
    assert!(
        gone.iter().all(|(_, signal, armed)| (*signal, *armed) == (0, false)),
        "{what}: {gone:?}"
    );
}

#[test]
fn all_threads_are_armed_while_they_stand_and_go_on() {
    let (fake, _tracer) = {
        let (fake, mut tracer) = machine();
        assert_eq!(tracer.attach(PID, &watches(2)).expect("armed").0, 2);
        (fake, tracer)
    };
    for tid in [PID, 11] {
        let [first, second, _, _, _, _, _, control] =
            fake.debug_registers(tid).expect("traced");
        assert_eq!((first, second), (0x1000, 0x1008));
        assert_eq!(control, 0b101 | 0b1001_1001 << 16);
    }
    let mut went = fake.went();
    went.sort_by_key(|it| it.0);
    assert_eq!(went, [(PID, Go::On, 0), (11, Go::On, 0)]);
}

#[test]
fn each_call_of_arming_may_fail_and_the_target_is_untouched() {
    for call in [Call::Threads, Call::PtraceFollow, Call::SetDebugRegister] {
        for nth in 0..6 {
            let (fake, mut tracer) = machine();
            let errno =
                if call == Call::SetDebugRegister { Errno::ENOSPC } else { Errno::EIO };
            fake.fail(call, nth, errno);
            let before = fake.calls(call);
            let Err(error) = tracer.attach(PID, &watches(2)) else {
                assert!(
                    fake.calls(call) - before <= nth,
                    "{call:?} {nth}: a failure was missed"
                );
                continue;
            };
            if errno == Errno::ENOSPC {
                assert!(matches!(error, ArmError::NoFreeRegister { .. }), "{error}");
            }
            while tracer.pump() {}
            assert_untouched(&fake, &format!("{call:?} {nth}"));
            assert!(tracer.processes.is_empty() && tracer.threads.is_empty());
            // And again, without the failure.
            assert_eq!(tracer.attach(PID, &watches(2)).expect("armed").0, 2);
        }
    }
}

#[test]
fn who_has_too_few_registers_is_told_or_left_out() {
    let short = Shortfall { needed: 2, threads: 1, of: 2, listed: vec![(11, 1)] };
    // Of the first thread all are set: two places, and the control.
    let scarce = |partial| {
        let (fake, mut tracer) = machine();
        tracer.partial = partial;
        fake.fail(Call::SetDebugRegister, 4, Errno::ENOSPC);
        (fake, tracer)
    };
    let (fake, mut tracer) = scarce(false);
    let refused = tracer.attach(PID, &watches(2)).expect_err("too few");
    assert!(
        matches!(&refused, ArmError::NoFreeRegister { tid: 11, watch: 1, free: 1, short: of } if *of == short),
        "{refused:?}"
    );
    while tracer.pump() {}
    assert_untouched(&fake, "refused");

    let (fake, mut tracer) = scarce(true);
    assert_eq!(tracer.attach(PID, &watches(2)).expect("armed"), (1, short));
    assert_ne!(fake.debug_registers(PID).expect("traced")[7], 0);
    assert_eq!(fake.debug_registers(11).expect("traced")[..4], [0; 4]);
    // What moves, moves without it; what it creates is armed.
    tracer.retarget((PID, 0), Some(0x2000)).expect("moved");
    assert_eq!(fake.debug_registers(PID).expect("traced")[0], 0x2000);
    assert_eq!(fake.debug_registers(11).expect("traced")[7], 0);
    fake.stop(11, libc::SIGTRAP, libc::PTRACE_EVENT_CLONE, 12);
    fake.stop(12, libc::SIGTRAP, libc::PTRACE_EVENT_STOP, 0);
    tracer.pump();
    assert_eq!(fake.debug_registers(12).expect("traced")[0], 0x2000);
    assert_eq!((tracer.unarmed, tracer.dropped), (0, 0));
    fake.stop(PID, libc::SIGTRAP, libc::PTRACE_EVENT_CLONE, 13);
    fake.set_file("/proc/13/status", &newborn());
    fake.fail(Call::SetDebugRegister, 0, Errno::ENOSPC);
    fake.stop(13, libc::SIGTRAP, libc::PTRACE_EVENT_STOP, 0);
    tracer.pump();
    assert_eq!((tracer.unarmed, tracer.dropped), (1, 0));

    let (fake, mut tracer) = machine();
    tracer.partial = true;
    fake.fail(Call::SetDebugRegister, 0, Errno::ENOSPC);
    fake.set_listings(&[&[PID]]);
    let refused = tracer.attach(PID, &watches(2));
    assert!(matches!(refused, Err(ArmError::NoFreeRegister { tid: PID, .. })));
}

#[test]
fn errors_say_why() {
    let (fake, mut tracer) = machine();
    fake.fail(Call::PtraceFollow, 0, Errno::EPERM);
    assert!(matches!(
        tracer.attach(PID, &watches(1)),
        Err(ArmError::PtracePermission { pid: PID, .. })
    ));
    fake.set_file("/proc/10/status", "State:\tS\nTgid:\t10\nTracerPid:\t7\n");
    fake.fail(Call::PtraceFollow, 0, Errno::EPERM);
    assert!(matches!(
        tracer.attach(PID, &watches(1)),
        Err(ArmError::Traced { pid: PID, tracer: 7 })
    ));
    fake.set_listings(&[&[]]);
    assert!(matches!(tracer.attach(PID, &watches(1)), Err(ArmError::Gone { pid: PID })));
    let (fake, mut tracer) = armed(1);
    assert!(matches!(tracer.attach(PID, &watches(1)), Err(ArmError::Armed { pid: PID })));
    fake.fail(Call::SetDebugRegister, 1, Errno::EINVAL);
    fake.fail(Call::SetDebugRegister, 2, Errno::EINVAL);
    assert!(matches!(
        tracer.retarget((PID, 0), Some(3)),
        Err(ArmError::BadWatch { watch: 0 })
    ));
    assert!(matches!(tracer.retarget((PID, 9), Some(8)), Err(ArmError::Gone { .. })));
    let (_, mut tracer) = machine();
    assert!(matches!(
        tracer.attach(PID, &watches(5)),
        Err(ArmError::NoFreeRegister { watch: 4, .. })
    ));
}

#[test]
fn a_zombie_leader_is_left_alone() {
    let (fake, mut tracer) = machine();
    fake.set_file("/proc/10/status", "State:\tZ (zombie)\nTgid:\t10\nTracerPid:\t0\n");
    fake.fail(Call::PtraceFollow, 0, Errno::EPERM);
    assert_eq!(tracer.attach(PID, &watches(1)).expect("armed").0, 1);
    assert_eq!(fake.traced(), [11]);
}

#[test]
fn a_leader_that_has_ended_holds_nobody_up() {
    let (fake, mut tracer) = armed(1);
    fake.set_file("/proc/10/status", "State:\tZ (zombie)\nTgid:\t10\nTracerPid:\t3\n");
    // Nothing comes of asking it to stop.
    fake.fail(Call::PtraceInterrupt, 0, Errno::ESRCH);
    fake.fail(Call::PtraceInterrupt, 1, Errno::ESRCH);
    fake.stop(11, libc::SIGTRAP, libc::PTRACE_EVENT_STOP, 0);
    tracer.retarget((PID, 0), Some(0x3000)).expect("moved");
    assert_eq!(fake.debug_registers(11).expect("traced")[0], 0x3000);
    let own = tracer.arm_thread((PID, PID), 1, watch(9));
    assert!(matches!(own, Err(ArmError::Gone { pid: PID })));
    tracer.dismiss_all();
    tracer.pump();
    assert!(tracer.is_done());
    assert_eq!(fake.traced(), [PID], "its end is told when others have ended");
    fake.end_traced(PID);
    tracer.pump();
    assert!(tracer.threads.is_empty());
    assert_eq!(told(&mut tracer), ["end 10"]);
}

#[test]
fn who_executes_takes_the_place_of_a_leader_that_was_never_traced() {
    let (fake, mut tracer) = machine();
    fake.set_file("/proc/10/status", "State:\tZ (zombie)\nTgid:\t10\nTracerPid:\t0\n");
    fake.fail(Call::PtraceFollow, 0, Errno::EPERM);
    assert_eq!(tracer.attach(PID, &watches(1)).expect("armed").0, 1);
    fake.stop(PID, libc::SIGTRAP, libc::PTRACE_EVENT_EXEC, 11);
    tracer.pump();
    assert_eq!(tracer.threads.keys().copied().collect::<Vec<_>>(), [PID]);
    assert!(tracer.early.is_empty());
    fake.went();
    tracer.proceed(PID);
    assert_eq!(fake.went(), [(PID, Go::On, 0)]);
}

#[test]
fn who_ran_into_a_trap_while_its_process_is_stopped_stops_again() {
    let (fake, mut tracer) = armed(1);
    fake.set_trap_waits(11, true);
    fake.stop(11, libc::SIGSTOP, libc::PTRACE_EVENT_STOP, 0);
    tracer.processes.get_mut(&PID).expect("armed").held = true;
    tracer.pump();
    assert_eq!(fake.went(), [(11, Go::On, 0)], "its trap comes first");
    fake.set_trap_waits(11, false);
    fake.trap(11, 1, UserRegisters::default());
    tracer.pump();
    tracer.processes.get_mut(&PID).expect("armed").held = false;
    let asked = fake.calls(Call::PtraceInterrupt);
    tracer.release();
    assert_eq!(fake.calls(Call::PtraceInterrupt), asked + 1);
    fake.stop(11, libc::SIGSTOP, libc::PTRACE_EVENT_STOP, 0);
    tracer.pump();
    assert!(fake.went().contains(&(11, Go::Listen, 0)), "it stays stopped");
}

#[test]
fn who_is_born_when_its_creator_was_let_go_goes_too() {
    let (fake, mut tracer) = armed(1);
    fake.stop(PID, libc::SIGTRAP, libc::PTRACE_EVENT_FORK, 20);
    tracer.pump();
    tracer.detach(PID);
    tracer.pump();
    fake.stop(20, libc::SIGTRAP, libc::PTRACE_EVENT_STOP, 0);
    tracer.pump();
    assert_eq!(fake.traced(), []);
    assert!(tracer.threads.is_empty() && tracer.processes.is_empty());
}

#[test]
fn what_nobody_reads_grows_to_its_bound() {
    let mut reports = Reports::new(-1);
    for _ in 0..400_000 {
        reports.fork(0, (1, 1), (1, 2));
        reports.exit(0, (1, 2));
    }
    assert!(reports.lost_sideband() > 0);
    assert!(reports.waiting() < (5 << 20) + 64, "{}", reports.waiting());
    let before = reports.waiting();
    reports.comm(0, (1, 1), b"executed", true);
    assert!(reports.waiting() > before, "who executes waits for an answer");
}

#[test]
fn a_hit_is_reported_for_each_register_that_hit() {
    let (fake, mut tracer) = armed(3);
    let mut registers = UserRegisters::default();
    registers.general[8] = 0x40_1000;
    fake.trap(11, 0b101, registers);
    tracer.pump();
    assert_eq!(told(&mut tracer), ["hit 0 11", "hit 2 11"]);
    assert_eq!(fake.went(), [(11, Go::On, 0)], "the signal is ours");
    assert_eq!(fake.debug_registers(11).expect("traced")[6], 0);
    let counted: Vec<_> = tracer.watches.iter().map(|watch| watch.counted).collect();
    assert_eq!(counted, [1, 0, 1]);
}

#[test]
fn a_status_that_was_lost_is_a_hit_of_the_only_register_or_lost() {
    for (count, expected) in [(1, "hit 0 11"), (2, "lost 1")] {
        let (fake, mut tracer) = armed(count);
        fake.trap(11, 0, UserRegisters::default());
        fake.set_signal_code(1);
        tracer.pump();
        tracer.reports.report_lost();
        assert_eq!(told(&mut tracer), [expected]);
        assert_eq!(fake.went(), [(11, Go::On, 0)]);
        assert_eq!(tracer.watches[0].counted, 1);
    }
}

#[test]
fn what_is_the_programs_own_comes_to_it() {
    let (fake, mut tracer) = armed(1);
    for (code, signal) in
        [(0x80, libc::SIGTRAP), (-6, libc::SIGTRAP), (0, libc::SIGUSR1), (-1, 40)]
    {
        fake.set_signal_code(code);
        fake.stop(PID, signal, 0, 0);
        tracer.pump();
        // To the handler, in which SIGTRAP must not be blocked.
        let go = if signal == libc::SIGTRAP { Go::Step } else { Go::On };
        assert_eq!(fake.went(), [(PID, go, signal)]);
        if signal == libc::SIGTRAP {
            fake.set_signal_code(libc::SIGTRAP);
            fake.stop(PID, signal, 0, 0);
            tracer.pump();
            assert_eq!(fake.went(), [(PID, Go::On, 0)]);
        }
    }
    assert_eq!(fake.calls(Call::PtraceUnblockTrap), 2);
    let stop = libc::PTRACE_EVENT_STOP;
    fake.stop(PID, libc::SIGSTOP, stop, 0);
    tracer.pump();
    assert_eq!(fake.went(), [(PID, Go::Listen, 0)], "it stays stopped");
    fake.stop(PID, libc::SIGTRAP, stop, 0);
    tracer.pump();
    assert_eq!(fake.went(), [(PID, Go::On, 0)], "it was continued");
}

#[test]
fn new_threads_are_armed_whoever_tells_of_them_first() {
    for early in [false, true] {
        let (fake, mut tracer) = armed(1);
        let clone =
            |fake: &Fake| fake.stop(PID, libc::SIGTRAP, libc::PTRACE_EVENT_CLONE, 12);
        let begins =
            |fake: &Fake| fake.stop(12, libc::SIGTRAP, libc::PTRACE_EVENT_STOP, 0);
        if early {
            begins(&fake);
            tracer.pump();
            assert_eq!(fake.went(), [], "nobody knows whose it is");
            clone(&fake);
        } else {
            clone(&fake);
            begins(&fake);
        }
        tracer.pump();
        assert_eq!(told(&mut tracer), ["born 10 12"]);
        assert_ne!(fake.debug_registers(12).expect("traced")[7], 0);
        let mut went = fake.went();
        went.sort_by_key(|it| it.0);
        assert_eq!(went, [(PID, Go::On, 0), (12, Go::On, 0)]);
        fake.end_traced(12);
        tracer.pump();
        assert_eq!(told(&mut tracer), ["end 12"]);
    }
}

#[test]
fn children_move_with_their_parent_until_they_execute() {
    let (fake, mut tracer) = armed(1);
    fake.stop(PID, libc::SIGTRAP, libc::PTRACE_EVENT_FORK, 20);
    fake.stop(20, libc::SIGTRAP, libc::PTRACE_EVENT_STOP, 0);
    tracer.pump();
    tracer.retarget((PID, 0), Some(0x3000)).expect("moved");
    for tid in [PID, 11, 20] {
        assert_eq!(fake.debug_registers(tid).expect("traced")[0], 0x3000);
    }
    fake.went();
    fake.stop(20, libc::SIGTRAP, libc::PTRACE_EVENT_EXEC, 20);
    tracer.pump();
    assert_eq!(fake.went(), [], "it waits until it is decided");
    tracer.retarget((PID, 0), Some(0x4000)).expect("moved");
    assert_eq!(fake.debug_registers(20).expect("traced")[0], 0x3000, "not its any more");
    fake.went();
    assert_eq!(tracer.attach(20, &watches(1)).expect("armed anew").0, 1);
    assert_eq!(fake.debug_registers(20).expect("traced")[0], 0x1000);
    assert_eq!(fake.went(), [(20, Go::On, 0)]);
    assert!(told(&mut tracer).contains(&"name 20 true".to_owned()));
}

#[test]
fn who_waits_in_vfork_is_given_later_what_changed_meanwhile() {
    let (fake, mut tracer) = armed(1);
    fake.stop(PID, libc::SIGTRAP, libc::PTRACE_EVENT_VFORK, 20);
    fake.stop(20, libc::SIGTRAP, libc::PTRACE_EVENT_STOP, 0);
    tracer.pump();
    // It does not stop in the kernel.
    fake.fail(Call::PtraceInterrupt, 0, Errno::ESRCH);
    fake.fail(Call::PtraceInterrupt, 1, Errno::ESRCH);
    fake.fail(Call::PtraceInterrupt, 2, Errno::ESRCH);
    fake.stop(11, libc::SIGTRAP, libc::PTRACE_EVENT_STOP, 0);
    fake.stop(20, libc::SIGTRAP, libc::PTRACE_EVENT_STOP, 0);
    tracer.retarget((PID, 0), Some(0x3000)).expect("moved");
    let first = |tid| fake.debug_registers(tid).expect("traced")[0];
    assert_eq!((first(PID), first(11), first(20)), (0x1000, 0x3000, 0x3000));
    fake.stop(PID, libc::SIGTRAP, libc::PTRACE_EVENT_VFORK_DONE, 20);
    tracer.pump();
    assert_eq!(first(PID), 0x3000);
}

#[test]
fn switched_off_a_watch_keeps_its_register() {
    let (fake, mut tracer) = armed(2);
    tracer.switch(0, false).expect("off");
    let [address, .., control] = fake.debug_registers(11).expect("traced");
    assert_eq!((address, control), (0x1000, 0b100 | 0b1001 << 20));
    tracer.switch(0, true).expect("on");
    assert_eq!(fake.debug_registers(11).expect("traced")[7] & 0b101, 0b101);
}

#[test]
fn a_thread_has_watches_of_its_own() {
    let (fake, mut tracer) = armed(1);
    tracer.arm_thread((PID, 11), 1, watch(9)).expect("armed");
    assert_eq!(fake.debug_registers(11).expect("traced")[1], 0x1048);
    assert_eq!(fake.debug_registers(PID).expect("traced")[1], 0);
    fake.fail(Call::SetDebugRegister, 1, Errno::ENOSPC);
    let refused = tracer.arm_thread((PID, PID), 1, watch(9));
    assert!(matches!(
        refused,
        Err(ArmError::NoFreeRegister { tid: PID, watch: 1, free: 1, .. })
    ));
    let [address, .., control] = fake.debug_registers(PID).expect("traced");
    assert_eq!((address, control & 0b1111), (0x1000, 1), "what it had it has");
}

#[test]
fn everybody_is_let_go_without_registers_and_traps() {
    let (fake, mut tracer) = armed(1);
    fake.stop(PID, libc::SIGTRAP, libc::PTRACE_EVENT_FORK, 20);
    fake.stop(12, libc::SIGTRAP, libc::PTRACE_EVENT_STOP, 0);
    tracer.pump();
    fake.set_trap_waits(11, true);
    fake.went();
    // Its creator tells of the early one when that was let go.
    fake.stop(PID, libc::SIGTRAP, libc::PTRACE_EVENT_CLONE, 12);
    tracer.dismiss_all();
    fake.set_file("/proc/12/status", "State:\tR\nTgid:\t10\nTracerPid:\t0\n");
    tracer.pump();
    assert_eq!(fake.went(), [(11, Go::On, 0)], "its trap comes first");
    assert!(!tracer.is_done());
    fake.set_trap_waits(11, false);
    fake.trap(11, 1, UserRegisters::default());
    tracer.pump();
    // One that was created meanwhile.
    fake.stop(20, libc::SIGTRAP, libc::PTRACE_EVENT_STOP, 0);
    tracer.pump();
    assert!(tracer.is_done());
    assert!(told(&mut tracer).contains(&"hit 0 11".to_owned()));
    assert_untouched(&fake, "dismissed");
}

#[test]
fn a_signal_on_its_way_comes_when_its_thread_is_let_go() {
    let (fake, mut tracer) = armed(1);
    fake.stop(11, libc::SIGUSR2, 0, 0);
    tracer.dismiss_all();
    tracer.pump();
    assert!(fake.let_go().contains(&(11, libc::SIGUSR2, false)));
    assert!(tracer.is_done());
}

#[test]
fn who_is_killed_meanwhile_is_waited_for() {
    let (fake, mut tracer) = armed(1);
    fake.fail(Call::PtraceLetGo, 0, Errno::ESRCH);
    tracer.dismiss_all();
    tracer.pump();
    assert_eq!(tracer.threads.len(), 1);
    let left = *tracer.threads.keys().next().expect("one");
    tracer.handle(left, Wait::Signaled { signal: libc::SIGKILL, core: false });
    assert!(tracer.is_done());
}

#[test]
fn who_was_stopped_for_us_is_continued_unless_it_was() {
    for continued in [false, true] {
        let (fake, mut tracer) = machine();
        tracer.expected.insert(PID);
        tracer.attach(PID, &watches(1)).expect("armed");
        if continued {
            fake.stop(PID, libc::SIGCONT, 0, 0);
            tracer.pump();
        }
        tracer.dismiss_all();
        assert_eq!(fake.killed(), [], "who stopped it may be there");
        fake.set_file("/proc/10/status", "State:\tT (stopped)\nTgid:\t10\n");
        assert_eq!(tracer.has_expected(), !continued);
        tracer.continue_expected();
        let expected = if continued { vec![] } else { vec![(PID, false, libc::SIGCONT)] };
        assert_eq!(fake.killed(), expected);
    }
}

#[test]
fn a_guardian_keeps_what_tracing_and_signalling_take() {
    let all = Capabilities { effective: !0, permitted: !0, inheritable: 0, ambient: 0 };
    for (user, left) in [(0, !0), (1000, bit(19) | bit(5))] {
        let fake = Fake::new(1, &[]);
        fake.become_user(user, all);
        keep_needed(&fake);
        let own = fake.capabilities().expect("they can be read");
        assert_eq!((own.effective, own.permitted), (left, left));
    }
}

#[test]
fn without_a_guardian_nothing_is_armed_and_nothing_kept() {
    let fake = Rc::new(Fake::new(1, &[PID]));
    let mut engine = PtraceEngine::new(fake.clone());
    fake.fail(Call::ForkGuardian, 0, Errno::EAGAIN);
    let error = engine.arm(PID, &[watch(0)]).expect_err("made to fail");
    assert!(matches!(error, ArmError::System { call: "fork", .. }), "{error}");
    assert_eq!(fake.holdings(), Holdings::default());
    // One that is gone when it is first spoken to.
    fake.fail(Call::Write, 0, Errno::EPIPE);
    let error = engine.arm(PID, &[watch(0)]).expect_err("made to fail");
    assert!(matches!(error, ArmError::System { call: "the guardian", .. }), "{error}");
    let mut let_go = || panic!("nobody is there to take it");
    fake.fail(Call::Write, 0, Errno::EPIPE);
    assert!(engine.take_over(PID, &mut let_go).is_err());
    drop(engine);
    assert_eq!(fake.holdings().descriptors, 0);
}

#[test]
fn who_does_not_read_holds_the_target_up_for_a_while_and_then_loses_hits() {
    const HITS: u64 = 20_000;
    let fake = Fake::new(1, &[PID]);
    let mut reports = Reports::new(-1);
    let full =
        |times| (0..times).for_each(|nth| fake.fail(Call::Write, nth, Errno::EAGAIN));
    full(HITS as usize);
    for _ in 0..HITS {
        reports.hit(&fake, 1, &Hit::default());
    }
    assert_eq!(fake.slept(), 100, "for the first that was lost, and for no other");
    let lost = reports.lost();
    assert!((1..HITS).contains(&lost));
    // There is room again.
    let kept = reports.take_words();
    reports.hit(&fake, 2, &Hit::default());
    reports.report_lost();
    let words = [kept, reports.take_words()].concat();
    let (mut hits, mut said, mut at) = (0, 0, 0);
    while let Some(record) = reports::record(&words[at..]) {
        at += record.len();
        match reports::event(record) {
            Some(Event::Hit(_)) => hits += 1,
            Some(Event::Lost { count }) => said += count,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((hits, said), (HITS - lost + 1, lost));
}
