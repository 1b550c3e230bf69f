//! The engine with programs on the fake kernel: each call made to fail, records in
//! the order of time, and what is counted.
#![allow(missing_docs)]

use std::rc::Rc;

use hwtrace_runtime::bpf::BpfError;
use hwtrace_runtime::bpf::hit::{Current, Insight};
use hwtrace_runtime::engine::bpf::probe;
use hwtrace_runtime::engine::perf::{PerfEngine, PerfOptions};
use hwtrace_runtime::engine::{ArmError, Engine, Flow, Whose};
use hwtrace_runtime::event::{Event, Trigger, Watch};
use hwtrace_runtime::kernel::fake::{Access, Call, Fake, Holdings};
use hwtrace_runtime::kernel::{Errno, Kernel};
use hwtrace_runtime::plan::{Lesson, Linear, Needs, Plan, Rule, RuleValue, StackCapture};
use hwtrace_runtime::record::write;
use hwtrace_runtime::schema::AccessKind;
use perf_event_open_sys::bindings::PERF_RECORD_EXIT as EXIT;

const PID: u32 = 10;
const NONE: Holdings = Holdings { descriptors: 0, mappings: 0, children: 0 };
const WATCH: Watch = Watch { address: 0x1000, length: 8, trigger: Trigger::Write };

/// Two CPUs, two threads.
fn machine() -> (Rc<Fake>, PerfEngine) {
    let fake = Rc::new(Fake::new(2, &[PID, 11]));
    let options = PerfOptions { ring_bytes: Some(16 << 10), ..PerfOptions::default() };
    let engine = PerfEngine::with_programs(fake.clone(), options);
    (fake, engine)
}

/// The record of a hit in user mode of which nothing is known but who and when.
fn record(time: u64, tid: u32) -> [u64; 7] {
    let user_mode = 1 << 32;
    [time, u64::from(tid) << 32 | u64::from(PID), user_mode, 0x401000, 0, 0, 0]
}

fn drain(engine: &mut PerfEngine, all: bool) -> Vec<(u32, u64)> {
    let mut seen = Vec::new();
    let drained = engine.drain(all, &mut |event| {
        match event {
            Event::Hit(hit) => seen.push((hit.tid, hit.time)),
            Event::Exit { tid, time, .. } => seen.push((tid, time)),
            _ => {}
        }
        Flow::Continue
    });
    drained.expect("good records");
    seen
}

#[test]
fn records_of_programs_and_of_perf_come_by_time() {
    let (fake, mut engine) = machine();
    engine.arm(PID, &[WATCH]).expect("armed");
    assert_eq!(engine.wake_fds().len(), 3, "two rings, and one for all programs");
    let start = 1_000_000_000;
    assert!(fake.push_record(0, &record(start + 1, PID)));
    assert!(fake.push_record(0, &record(start + 4, PID)));
    assert!(fake.push_record(1, &record(start + 2, 11)));
    let body = [write::pair(PID, 1), write::pair(11, 1), 0];
    let exit = write::sideband(EXIT, 0, &body, start + 3, (PID, 11));
    assert!(fake.push(1, &exit));
    fake.set_clock(start + 3 + 2_000_000);
    let until = [(PID, start + 1), (11, start + 2), (11, start + 3)];
    assert_eq!(drain(&mut engine, false), until);
    engine.disarm();
    assert_eq!(drain(&mut engine, true), [(PID, start + 4)]);
    drop(engine);
    assert_eq!(fake.holdings(), NONE);
}

#[test]
fn what_was_counted_and_never_came_is_lost() {
    let (fake, mut engine) = machine();
    engine.arm(PID, &[WATCH]).expect("armed");
    for tid in [PID, PID, 11] {
        let (address, cpu, time, ip) = (0x1000, 0, 5, 0x401000);
        fake.access(Access { address, pid: PID, tid, cpu, time, ip });
    }
    assert!(fake.push_record(0, &record(5, PID)));
    engine.disarm();
    assert_eq!(drain(&mut engine, true), [(PID, 5)]);
    let account = engine.account();
    assert_eq!((account.counted, account.filtered), (vec![3], vec![0]));
    assert_eq!(account.lost, 2);
}

/// What keeps threads from changing places with whom they create is there while they are
/// armed, and not where it takes descriptors that watches need.
#[test]
fn anchors_are_held_for_as_long_as_arming_takes_where_there_is_room() {
    let threads: Vec<_> = (PID..PID + 100).collect();
    let opened = |limit: u64| {
        let (fake, mut engine) = machine();
        fake.set_listings(&[&threads]);
        fake.set_limit(limit, limit);
        let before = fake.calls(Call::PerfEventOpen);
        let armed = engine.arm(PID, &[WATCH]).map(|armed| armed.threads);
        let kept = fake.holdings().descriptors;
        drop(engine);
        assert_eq!(fake.holdings(), NONE);
        (armed, fake.calls(Call::PerfEventOpen) - before, kept)
    };
    let (armed, all, kept) = opened(4096);
    assert!(matches!(armed, Ok(100)), "{armed:?}");
    let (armed, few, same) = opened(600);
    assert!(matches!(armed, Ok(100)), "{armed:?}");
    assert_eq!((all - few, kept), (100, same));
}

#[test]
fn each_call_may_fail_and_nothing_is_kept() {
    let calls = [
        Call::BpfMap,
        Call::MapShared,
        Call::MapRecords,
        Call::PerfSetProgram,
        Call::Group,
        Call::PidNamespace,
        Call::PerfEventOpen,
        Call::MapRing,
        Call::PerfSetOutput,
        Call::PerfEnable,
    ];
    let (fake, mut engine) = machine();
    engine.arm(PID, &[WATCH]).expect("armed");
    let counts = calls.map(|call| fake.calls(call));
    for (call, count) in calls.into_iter().zip(counts) {
        assert!(count > 0, "{call:?}");
        // The first events only show what the kernel takes.
        let first = if call == Call::PerfEventOpen { 1 } else { 0 };
        for nth in first..count {
            let (fake, mut engine) = machine();
            fake.fail(call, nth, Errno::EMFILE);
            engine.arm(PID, &[WATCH]).expect_err("made to fail");
            drop(engine);
            assert_eq!(fake.holdings(), NONE, "{call:?} {nth}");
        }
    }
}

/// Programmed events are without a ring, and end with one that has one.
#[test]
fn what_has_ended_is_closed_whatever_tells_it() {
    let (fake, mut engine) = machine();
    engine.arm(PID, &[WATCH; 2]).expect("armed");
    // Two watches, and the sideband on each CPU.
    let held = fake.holdings().descriptors;
    fake.set_listings(&[&[20]]);
    engine.attach(20, &[Some(WATCH); 2]).expect("attached");
    assert_eq!(fake.holdings().descriptors - held, 2 + 2);
    assert_eq!(fake.watched(20), [0x1000; 2], "one for all CPUs");
    engine.arm_thread((PID, 30), 2, WATCH).expect("armed");
    // A watch, what tells its end, and the program.
    assert_eq!(fake.holdings().descriptors - held, 2 + 2 + 3);
    let exit = |pid, tid, time| {
        fake.end_thread(tid);
        let body = [write::pair(pid, 1), write::pair(tid, 1), 0];
        assert!(fake.push(1, &write::sideband(EXIT, 0, &body, time, (pid, tid))));
    };
    exit(PID, 30, 5);
    assert_eq!(drain(&mut engine, true), [(30, 5)]);
    assert_eq!(fake.holdings().descriptors - held, 2 + 2 + 1);
    fake.set_clock(2_000_000_000);
    exit(20, 20, 6);
    assert_eq!(drain(&mut engine, true), [(20, 6)]);
    assert_eq!(fake.holdings().descriptors - held, 1);
    assert_eq!(fake.watched(PID), [0x1000; 2], "they go on");
}

/// The board has room for the longest, whichever watch it is of.
#[test]
fn records_have_stacks_where_that_is_planned() {
    let (fake, mut engine) = machine();
    let needs = Needs { user_stack: true, kernel_stack: true, ..Needs::NONE };
    let stack = StackCapture { callers: true, bytes: StackCapture::BYTES_MAX };
    engine.set_plans(&[Plan { needs, stack, ..Plan::default() }]);
    engine.arm(PID, &[WATCH]).expect("armed");
    /// That it has stacks, and the code's registers; in user mode.
    const FLAGS: u64 = ((128 | 16) << 1 | 1) << 32;
    let mut words = record(1, PID).to_vec();
    words[2] = FLAGS;
    words.push(2 << 32 | 8);
    words.extend(0..18);
    words.extend([0x401000, 5, 6]);
    assert!(fake.push_record(0, &words));
    let mut seen = 0;
    let drained = engine.drain(true, &mut |event| {
        if let Event::Hit(hit) = event {
            assert_eq!(hit.user_stack.callers, [0x401000]);
            assert_eq!(hit.user_stack.bytes, [5_u64, 6].map(u64::to_ne_bytes).concat());
            assert_eq!((hit.registers.get(8), hit.kernel_stack.len()), (Some(8), 0));
            seen += 1;
        }
        Flow::Continue
    });
    drained.expect("good records");
    assert_eq!(seen, 1);
    words.truncate(20);
    assert!(fake.push_record(0, &words));
    let drained = engine.drain(true, &mut |_| Flow::Continue);
    drained.expect_err("cut");
    drop(engine);
    assert_eq!(fake.holdings(), NONE);
}

#[test]
fn smaller_rings_are_taken_where_memory_is_short() {
    let (fake, mut engine) = machine();
    fake.fail(Call::BpfMap, 1, Errno::ENOMEM);
    fake.fail(Call::BpfMap, 2, Errno::ENOMEM);
    engine.arm(PID, &[WATCH]).expect("armed");
    // A ring, twice none, then both and the board.
    assert_eq!(fake.calls(Call::BpfMap), 6);
    drop(engine);
    assert_eq!(fake.holdings(), NONE);
}

#[test]
fn a_kernel_that_can_not_says_why() {
    let probed = |call, errno| {
        let fake = Rc::new(Fake::new(1, &[PID]));
        fake.fail(call, 0, errno);
        fake.fail(call, 1, errno);
        let kernel: Rc<dyn Kernel> = fake.clone();
        let error = probe(&kernel).expect_err("made to fail");
        drop(kernel);
        assert_eq!(fake.holdings(), NONE);
        error
    };
    assert_eq!(probed(Call::BpfMap, Errno::EPERM), BpfError::NotPermitted);
    assert_eq!(probed(Call::BpfLoad, Errno::EPERM), BpfError::NotPermitted);
    let missing = BpfError::Missing("BPF ring buffers (Linux 5.8)");
    assert_eq!(probed(Call::BpfMap, Errno::EINVAL), missing);
    let refused = probed(Call::BpfLoad, Errno::EINVAL);
    assert!(matches!(refused, BpfError::Refused { .. }), "{refused}");
    let (fake, mut engine) = machine();
    fake.fail(Call::BpfMap, 0, Errno::EPERM);
    let error = engine.arm(PID, &[WATCH]).expect_err("made to fail");
    assert!(matches!(error, ArmError::Program(BpfError::NotPermitted)), "{error}");
}

/// Who does not take a program that finds out by itself who runs gets one that asks.
#[test]
fn where_it_is_not_shown_who_runs_it_is_asked() {
    let current =
        Current { function: 1, event: 16, context: 8, task: 8, pid: 8, tgid: 16 };
    let insight = Insight { current: Some(current), ..Insight::default() };
    let options = PerfOptions { insight, ..PerfOptions::default() };
    let fake = Rc::new(Fake::new(2, &[PID, 11]));
    let mut engine = PerfEngine::with_programs(fake.clone(), options);
    // As planned and bare, each a second time for the kernel's reasons.
    (0..4).for_each(|nth| fake.fail(Call::BpfLoad, nth, Errno::EINVAL));
    engine.arm(PID, &[WATCH]).expect("armed");
    assert_eq!(fake.calls(Call::BpfLoad), 5);
    drop(engine);
    assert_eq!(fake.holdings(), NONE);
}

#[test]
fn a_record_of_no_watch_is_an_error() {
    let (fake, mut engine) = machine();
    engine.arm(PID, &[WATCH]).expect("armed");
    let mut strange = record(5, PID);
    strange[2] |= 7;
    assert!(fake.push_record(1, &strange));
    assert!(fake.push_record(1, &[5, 6]));
    let mut hits = 0;
    let drained = engine.drain(true, &mut |event| {
        hits += usize::from(matches!(event, Event::Hit(_)));
        Flow::Continue
    });
    assert_eq!(drained.expect_err("bad").kind(), std::io::ErrorKind::InvalidData);
    assert_eq!((hits, drain(&mut engine, true).len()), (0, 0));
}

/// What is taught, expected or planned before there is anything does no harm.
#[test]
fn what_comes_too_early_waits_or_is_left() {
    let (fake, mut engine) = machine();
    let rule = Rule {
        instruction: 0x401000,
        kind: AccessKind::Write,
        size: 8,
        place: Linear { base: None, index: None, scale: 1, displacement: 0 },
        value: RuleValue::Memory,
    };
    let lesson = Lesson { pid: PID, ip: 0x401004, rule };
    engine.set_plans(&[Plan::default()]);
    engine.teach(&lesson);
    engine.forget_code(PID);
    engine.tell(Whose::Process(PID), 0, 5);
    engine.arm(PID, &[WATCH]).expect("armed");
    engine.teach(&lesson);
    engine.set_plans(&[]);
    engine.forget_code(PID);
    engine.disarm();
    engine.tell(Whose::Process(PID), 0, 5);
    engine.arm(PID, &[WATCH]).expect("armed again");
    drop(engine);
    assert_eq!(fake.holdings(), NONE);
}
