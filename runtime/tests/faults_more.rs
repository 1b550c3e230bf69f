//! Several processes, moving watches, threads' own, the kernel's data and holding
//! at an address, on the fake kernel: each call made to fail, and what is closed.

use std::ffi::CString;
use std::rc::Rc;

use hwtrace_runtime::engine::perf::{PerfEngine, PerfOptions};
use hwtrace_runtime::engine::{ArmError, Engine, Flow};
use hwtrace_runtime::event::{Event, Trigger, Watch};
use hwtrace_runtime::kernel::fake::{Access, Call, Fake, Holdings, STACK_BYTE};
use hwtrace_runtime::kernel::{Errno, Go, Kernel, TRAP_FLAG, Taken, UserRegisters, Wait};
use hwtrace_runtime::launch::{ChildState, LaunchError, Launched, Reached, launch};
use hwtrace_runtime::plan::{Needs, Plan, StackCapture};
use hwtrace_runtime::record::write;

const PID: u32 = 10;
const OTHER: u32 = 20;
const WATCH: Watch = Watch { address: 0x1000, length: 8, trigger: Trigger::Write };
const NONE: Holdings = Holdings { descriptors: 0, mappings: 0, children: 0 };
/// PERF_RECORD_EXIT and PERF_RECORD_FORK.
const EXIT: u32 = 4;
const FORK: u32 = 7;

fn machine(options: PerfOptions) -> (Rc<Fake>, PerfEngine) {
    let fake = Rc::new(Fake::new(2, &[PID]));
    let engine = PerfEngine::new(fake.clone(), options);
    (fake, engine)
}

/// A process is armed; the next is to be, with one thread of its own.
fn with_one_armed() -> (Rc<Fake>, PerfEngine) {
    let (fake, mut engine) = machine(PerfOptions::default());
    engine.arm(PID, &[WATCH]).expect("armed");
    fake.set_listings(&[&[OTHER]]);
    (fake, engine)
}

fn access(address: u64, tid: u32) -> Access {
    Access { address, pid: tid, tid, cpu: 1, time: 5, ip: 0x400000 }
}

/// The hits, by watch and thread.
fn drain(engine: &mut PerfEngine) -> Vec<(u32, u32)> {
    let mut hits = Vec::new();
    let drained = engine.drain(true, &mut |event| {
        if let Event::Hit(hit) = event {
            assert_eq!(hit.kernel_stack.is_empty(), !hit.kernel);
            hits.push((hit.watch, hit.tid));
        }
        Flow::Continue
    });
    drained.expect("good records");
    hits
}

#[test]
fn a_process_that_can_not_be_attached_leaves_the_others_as_they_are() {
    let calls = [
        Call::PerfEventOpen,
        Call::PerfEnable,
        Call::PerfId,
        Call::PerfSetOutput,
        Call::Threads,
        Call::ThreadCount,
        Call::DescriptorLimit,
    ];
    let there = Watch { address: 0x2000, ..WATCH };
    for call in calls {
        let (fake, mut engine) = with_one_armed();
        let before = fake.calls(call);
        engine.attach(OTHER, &[Some(there)]).expect("attached");
        for nth in 0..fake.calls(call) - before {
            let (fake, mut engine) = with_one_armed();
            let held = fake.holdings();
            fake.fail(call, nth, Errno::EIO);
            let error = engine.attach(OTHER, &[Some(there)]).expect_err("made to fail");
            assert!(matches!(error, ArmError::System { .. }), "{call:?} {nth}: {error}");
            assert_eq!(fake.holdings(), held, "{call:?} {nth}");
            engine.attach(OTHER, &[Some(there)]).expect("attached now");
            fake.access(access(0x1000, PID));
            fake.access(access(0x2000, OTHER));
            fake.access(access(0x1000, OTHER));
            assert_eq!(drain(&mut engine), [(0, PID), (0, OTHER)], "{call:?} {nth}");
            drop(engine);
            assert_eq!(fake.holdings(), NONE);
        }
    }
}

/// A thread that is born while events are switched or moved may be as it was before.
#[test]
fn what_is_switched_amid_a_birth_is_switched_again() {
    let moved = |engine: &mut PerfEngine| {
        engine.retarget(PID, 0, Some(0x2000)).expect("moved");
    };
    let on = |engine: &mut PerfEngine| engine.switch(0, true).expect("switched on");
    let off = |engine: &mut PerfEngine| engine.switch(0, false).expect("switched off");
    // Whoever was missed by that goes on.
    let nowhere = |engine: &mut PerfEngine| {
        engine.retarget(PID, 0, None).expect("put nowhere");
    };
    type Act = fn(&mut PerfEngine);
    let acts: [(Act, Call); 4] = [
        (on, Call::PerfEnable),
        (off, Call::PerfDisable),
        (moved, Call::PerfChange),
        (nowhere, Call::PerfDisable),
    ];
    for (act, call) in acts {
        for (born, again) in [(-1, 0), (0, 2), (1, 2)] {
            let (fake, mut engine) = machine(PerfOptions::default());
            engine.arm(PID, &[WATCH]).expect("armed");
            // Births while it was armed have been minded.
            fake.set_clock(Kernel::clock(&*fake) + 1_000_000_000);
            drain(&mut engine);
            act(&mut engine);
            let before = fake.calls(call);
            let time = Kernel::clock(&*fake).saturating_add_signed(born);
            let body = [write::pair(PID, PID), write::pair(11, PID), 0];
            assert!(fake.push(0, &write::sideband(FORK, 0, &body, time, (PID, PID))));
            drain(&mut engine);
            drain(&mut engine);
            assert_eq!(fake.calls(call) - before, again, "{call:?} {born}");
        }
    }
}

#[test]
fn a_watch_that_can_not_be_moved_is_nowhere() {
    for (call, calls) in [(Call::PerfChange, 2), (Call::PerfDisable, 2)] {
        for nth in 0..calls {
            let (fake, mut engine) = machine(PerfOptions::default());
            engine.arm(PID, &[WATCH]).expect("armed");
            assert_eq!(fake.watched(PID), [0x1000, 0x1000]);
            engine.retarget(PID, 0, Some(0x2000)).expect("moved");
            assert_eq!(fake.watched(PID), [0x2000, 0x2000]);
            fake.fail(call, nth, Errno::EIO);
            let error = engine.retarget(PID, 0, Some(0x3000)).expect_err("made to fail");
            assert!(matches!(error, ArmError::System { .. }));
            if call == Call::PerfChange {
                assert_eq!(fake.watched(PID), [], "{nth}");
            }
            engine.retarget(PID, 0, Some(0x4000)).expect("moved");
            assert_eq!(fake.watched(PID), [0x4000, 0x4000]);
            engine.switch(0, false).expect("off");
            engine.retarget(PID, 0, Some(0x5000)).expect("moved");
            assert_eq!(fake.watched(PID), [], "it is off");
            engine.switch(0, true).expect("on");
            assert_eq!(fake.watched(PID), [0x5000, 0x5000]);
        }
    }
    let (_, mut engine) = machine(PerfOptions::default());
    assert!(matches!(engine.retarget(PID, 0, None), Err(ArmError::Gone { .. })));
    engine.arm(PID, &[WATCH]).expect("armed");
    assert!(matches!(engine.retarget(OTHER, 0, None), Err(ArmError::Gone { .. })));
}

/// What is attached while a watch is off starts off.
#[test]
fn a_watch_is_on_or_off_in_all_processes() {
    let (fake, mut engine) = with_one_armed();
    engine.switch(0, false).expect("off");
    engine.attach(OTHER, &[Some(WATCH)]).expect("attached");
    assert_eq!((fake.watched(PID), fake.watched(OTHER)), (vec![], vec![]));
    engine.switch(0, true).expect("on");
    assert_eq!((fake.watched(PID).len(), fake.watched(OTHER).len()), (2, 2));
}

#[test]
fn what_has_ended_is_closed_and_stays_counted() {
    let (fake, mut engine) = with_one_armed();
    let with_one = fake.holdings().descriptors;
    engine.attach(OTHER, &[Some(WATCH)]).expect("attached");
    fake.access(access(0x1000, OTHER));
    fake.end_thread(OTHER);
    let body = [write::pair(OTHER, 1), write::pair(OTHER, 1), 0];
    assert!(fake.push(1, &write::sideband(EXIT, 0, &body, 6, (OTHER, OTHER))));
    assert_eq!(drain(&mut engine), [(0, OTHER)]);
    assert_eq!(fake.holdings().descriptors, with_one);
    fake.access(access(0x1000, PID));
    assert_eq!(drain(&mut engine), [(0, PID)]);
    assert_eq!(engine.account().counted, [2]);
    engine.detach(PID);
    assert_eq!(fake.holdings().descriptors, 2, "the rings' owners");
    assert_eq!(engine.account().counted, [2]);
}

#[test]
fn news_are_shown_before_their_turn() {
    let options = PerfOptions { prompt: true, ..PerfOptions::default() };
    let (fake, mut engine) = machine(options);
    engine.arm(PID, &[WATCH]).expect("armed");
    assert_eq!(engine.wake_fds().len(), 4);
    let body = [write::pair(11, PID), write::pair(11, PID), 0];
    assert!(fake.push(0, &write::sideband(FORK, 0, &body, 5, (PID, PID))));
    let mut born = Vec::new();
    for _ in 0..2 {
        let shown = engine.news(&mut |event| {
            if let Event::Fork { tid, .. } = event {
                born.push(tid);
            }
        });
        shown.expect("good records");
    }
    assert_eq!(born, [11], "once");
    drop(engine);
    assert_eq!(fake.holdings(), NONE);
}

#[test]
fn a_thread_has_a_watch_and_the_kernel_another() {
    let (fake, mut engine) = machine(PerfOptions::default());
    engine.attach(PID, &[Some(WATCH)]).expect("attached");
    let own = Watch { address: 0x3000, ..WATCH };
    engine.arm_thread((PID, 12), 1, own).expect("armed");
    let kernel = Watch { address: 0xffff_8000_0000_0000, ..WATCH };
    engine.arm_kernel(&[None, None, Some(kernel)]).expect("armed");
    for (address, tid) in
        [(0x3000, 12), (0x3000, PID), (kernel.address, 77), (0x1000, PID)]
    {
        fake.access(access(address, tid));
    }
    assert_eq!(drain(&mut engine), [(1, 12), (2, 77), (0, PID)]);
    assert_eq!(engine.account().counted, [1, 1, 1]);
    let held = fake.holdings();
    fake.fail(Call::PerfEventOpen, 1, Errno::ENOSPC);
    let error = engine.arm_thread((PID, 13), 1, own).expect_err("made to fail");
    assert!(
        matches!(error, ArmError::NoFreeRegister { tid: 13, watch: 1, free: 0, .. }),
        "{error}"
    );
    fake.fail(Call::PerfEventOpen, 0, Errno::EPERM);
    let error = engine.arm_kernel(&[Some(kernel)]).expect_err("made to fail");
    assert!(matches!(error, ArmError::KernelPermission { .. }), "{error}");
    assert_eq!(fake.holdings(), held);
}

/// Each watch as its plan says, also where a sample goes round the end of the ring.
#[test]
fn samples_have_the_stacks_that_are_planned() {
    let needs = Needs { user_stack: true, ..Needs::NONE };
    let plan = |callers, bytes| Plan {
        needs,
        stack: StackCapture { callers, bytes },
        ..Plan::default()
    };
    let options = PerfOptions { ring_bytes: Some(16 << 10), ..PerfOptions::default() };
    let (fake, mut engine) = machine(options);
    engine.set_plans(&[plan(true, 0), Plan::default(), plan(false, 4096), plan(true, 8)]);
    let user = [0, 8, 16].map(|offset| Watch { address: 0x1000 + offset, ..WATCH });
    engine.attach(PID, &user.map(Some)).expect("attached");
    let kernel = Watch { address: 0xffff_8000_0000_0000, ..WATCH };
    engine.arm_kernel(&[None, None, None, Some(kernel)]).expect("armed");
    for _ in 0..10 {
        for watch in user.iter().chain([&kernel]) {
            fake.access(access(watch.address, if watch.is_kernel() { 77 } else { PID }));
        }
        let mut seen = Vec::new();
        let drained = engine.drain(true, &mut |event| {
            if let Event::Hit(hit) = event {
                let stack = hit.user_stack;
                assert!(stack.bytes.iter().all(|byte| *byte == STACK_BYTE));
                let registers = hit.registers.mask.count_ones();
                seen.push((hit.watch, stack.callers.len(), stack.bytes.len(), registers));
            }
            Flow::Continue
        });
        drained.expect("good records");
        assert_eq!(seen, [(0, 2, 0, 18), (1, 0, 0, 4), (2, 0, 4096, 18), (3, 2, 8, 18)]);
    }
    assert_eq!(engine.account().lost, 0);
}

#[test]
fn the_whole_system_is_reported_once() {
    let options = PerfOptions { whole_system: true, ..PerfOptions::default() };
    let (fake, mut engine) = machine(options.clone());
    engine.arm(PID, &[WATCH]).expect("armed");
    assert_eq!(fake.holdings().descriptors, 2 + 2 + 2, "no sideband of its own");
    let (fake, mut engine) = machine(options);
    // The probe, the rings, and then the sideband.
    fake.fail(Call::PerfEventOpen, 3, Errno::EACCES);
    let error = engine.arm(PID, &[WATCH]).expect_err("made to fail");
    assert!(matches!(error, ArmError::SystemPermission { .. }), "{error}");
    assert_eq!(fake.holdings(), NONE);
}

fn launched(fake: &Rc<Fake>, waits: &[Wait]) -> Launched {
    let exec = Wait::Stopped { signal: libc::SIGTRAP, event: libc::PTRACE_EVENT_EXEC };
    let waits: Vec<_> = [exec].into_iter().chain(waits.iter().copied()).collect();
    fake.set_waits(&waits);
    let arguments = [CString::new("/bin/true").expect("no zero")];
    launch(fake.clone(), &arguments, &Taken::default()).expect("launched")
}

const TRAPPED: Wait = Wait::Stopped { signal: libc::SIGTRAP, event: 0 };

#[test]
fn each_call_of_running_to_an_address_may_fail_and_nothing_stays() {
    for call in [Call::PtraceContinue, Call::Wait] {
        let fake = Rc::new(Fake::new(1, &[100]));
        fake.set_signal_code(6);
        let mut launched = launched(&fake, &[TRAPPED]);
        fake.fail(call, 0, Errno::EINVAL);
        let error = launched.run_to(0x401000, &mut || false).expect_err("made to fail");
        assert!(matches!(error, LaunchError::System { .. }));
        assert_eq!(fake.holdings().descriptors, 0, "{call:?}");
        drop(launched);
        assert_eq!(fake.holdings(), NONE, "{call:?}");
    }
}

#[test]
fn without_perf_a_register_of_ptrace_stops_it_and_is_taken_back() {
    for refused in [Call::PerfEventOpen, Call::PerfEnable] {
        let fake = Rc::new(Fake::new(1, &[100]));
        fake.set_signal_code(4);
        let mut launched = launched(&fake, &[TRAPPED]);
        fake.fail(refused, 0, Errno::EPERM);
        let reached = launched.run_to(0x401000, &mut || panic!("it is there at once"));
        assert_eq!(reached, Ok(Reached::There));
        assert_eq!(fake.calls(Call::SetDebugRegister), 3, "address, on, off");
        let [address, .., control] = fake.debug_registers(100).expect("traced");
        assert_eq!((address, control), (0x401000, 0));
        drop(launched);
        assert_eq!(fake.holdings(), NONE);
    }
}

#[test]
fn without_any_register_it_goes_by_steps() {
    let fake = Rc::new(Fake::new(1, &[100]));
    fake.set_signal_code(2);
    let mut launched = launched(&fake, &[TRAPPED, TRAPPED]);
    fake.fail(Call::PerfEventOpen, 0, Errno::EPERM);
    fake.fail(Call::SetDebugRegister, 0, Errno::EIO);
    let mut registers = UserRegisters::default();
    (registers.general[8], registers.general[9]) = (0x401000, TRAP_FLAG);
    let mut looks = 0;
    fake.set_user_registers(100, UserRegisters::default());
    let reached = launched.run_to(0x401000, &mut || {
        looks += 1;
        looks > 3
    });
    assert_eq!(reached, Ok(Reached::GivenUp), "it is not there");
    assert_eq!(fake.went(), [(100, Go::Step, 0); 3]);
    drop(launched);
    let mut launched = self::launched(&fake, &[TRAPPED]);
    fake.set_user_registers(100, registers);
    fake.fail(Call::PerfEventOpen, 0, Errno::EPERM);
    fake.fail(Call::SetDebugRegister, 0, Errno::EIO);
    assert_eq!(launched.run_to(0x401000, &mut || false), Ok(Reached::There));
    assert_eq!(fake.calls(Call::PtraceSetFlags), 1);
    drop(launched);
    assert_eq!(fake.holdings(), NONE);
}

#[test]
fn who_is_handed_over_is_stopped_and_then_continued() {
    let fake = Rc::new(Fake::new(1, &[100]));
    let mut handed = launched(&fake, &[]);
    handed.hand_over().expect("stopped");
    handed.hand_over().expect("nothing more to do");
    assert_eq!(
        (fake.killed(), fake.calls(Call::PtraceDetach)),
        (vec![(100, false, libc::SIGSTOP)], 1)
    );
    handed.release().expect("continued");
    assert_eq!(fake.killed().last(), Some(&(100, false, libc::SIGCONT)));
    let mut dropped = launched(&fake, &[]);
    dropped.hand_over().expect("stopped");
    drop(dropped);
    assert_eq!(fake.killed().last(), Some(&(100, false, libc::SIGKILL)));
    for (call, nth) in [(Call::Kill, 0), (Call::PtraceDetach, 0)] {
        let fake = Rc::new(Fake::new(1, &[100]));
        let mut handed = launched(&fake, &[]);
        fake.fail(call, nth, Errno::ESRCH);
        assert_eq!(handed.hand_over(), Err(Errno::ESRCH));
        drop(handed);
        assert_eq!(fake.holdings(), NONE);
    }
}

#[test]
fn a_stop_of_another_kind_is_not_the_address() {
    let fake = Rc::new(Fake::new(1, &[100]));
    // Another SIGTRAP, as of `int3`: the program's own.
    fake.set_signal_code(0x80);
    let own = Wait::Stopped { signal: libc::SIGUSR1, event: 0 };
    let mut child = launched(&fake, &[TRAPPED, own, Wait::Exited { code: 7 }]);
    assert_eq!(child.run_to(0x401000, &mut || false), Ok(Reached::Ended));
    assert_eq!(fake.holdings(), NONE);
    assert_eq!(child.run_to(0x401000, &mut || false), Ok(Reached::Ended), "still");
    let mut ended = child.release().expect("nothing to do");
    assert_eq!(ended.poll(), Ok(ChildState::Exited { code: 7 }));
}

#[test]
fn who_never_gets_there_is_given_up_and_ends_with_us() {
    let fake = Rc::new(Fake::new(1, &[100]));
    let mut child = launched(&fake, &[]);
    let mut left = 3;
    let reached = child.run_to(0x401000, &mut || {
        left -= 1;
        left == 0
    });
    assert_eq!((reached, fake.slept()), (Ok(Reached::GivenUp), 2));
    drop(child);
    assert_eq!(fake.killed(), [(100, false, libc::SIGKILL)]);
    assert_eq!(fake.holdings(), NONE);
}
