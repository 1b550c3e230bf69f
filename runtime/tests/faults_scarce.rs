//! Debug registers that others hold, on the fake kernel: which threads have too few, and
//! what is done without them.

use std::rc::Rc;

use hwtrace_runtime::engine::perf::{PerfEngine, PerfOptions};
use hwtrace_runtime::engine::{ArmError, Engine, Flow, Shortfall};
use hwtrace_runtime::event::{Event, Trigger, Watch};
use hwtrace_runtime::kernel::Errno;
use hwtrace_runtime::kernel::fake::{Access, Call, Fake, Holdings};
use hwtrace_runtime::record::write;
use perf_event_open_sys::bindings::PERF_RECORD_EXIT as EXIT;

const PID: u32 = 10;

/// Two CPUs; a process with three threads, of which two have fewer registers than four.
fn machine(programs: bool, partial: bool) -> (Rc<Fake>, PerfEngine) {
    let fake = Rc::new(Fake::new(2, &[PID, 11, 12]));
    fake.set_registers_of(11, 2);
    fake.set_registers_of(12, 3);
    let options =
        PerfOptions { ring_bytes: Some(16 << 10), partial, ..PerfOptions::default() };
    let engine = match programs {
        true => PerfEngine::with_programs(fake.clone(), options),
        false => PerfEngine::new(fake.clone(), options),
    };
    (fake, engine)
}

fn watches(count: u64) -> Vec<Watch> {
    let watch =
        |at| Watch { address: 0x1000 + 8 * at, length: 8, trigger: Trigger::Write };
    (0..count).map(watch).collect()
}

fn shortfall(needed: u32, listed: &[(u32, u32)]) -> Shortfall {
    let listed = listed.to_vec();
    Shortfall { needed, threads: listed.len() as u32, of: 3, listed }
}

#[test]
fn who_has_too_few_is_told_and_nothing_is_held() {
    for programs in [false, true] {
        for (count, threads) in [(3, &[(11, 2)][..]), (4, &[(11, 2), (12, 3)])] {
            let (fake, mut engine) = machine(programs, false);
            let refused = engine.arm(PID, &watches(count)).expect_err("too few");
            assert_eq!([PID, 11, 12].map(|tid| fake.watches(tid)), [0; 3]);
            let ArmError::NoFreeRegister { tid, watch, free, short } = refused else {
                panic!("{refused}");
            };
            assert_eq!((tid, watch, free), (11, 2, 2));
            assert_eq!(short, shortfall(count as u32, threads));
            drop(engine);
            assert_eq!(fake.holdings(), Holdings::default());
        }
        // As many as everybody has, after it was refused once.
        let (_, mut engine) = machine(programs, false);
        engine.arm(PID, &watches(4)).expect_err("too few");
        let armed = engine.arm(PID, &watches(2)).expect("armed");
        assert_eq!((armed.threads, armed.slots), (3, 2));
        assert_eq!(armed.left_out, Shortfall::default());
    }
}

#[test]
fn who_has_too_few_is_left_out_where_that_is_asked_for() {
    for programs in [false, true] {
        let (fake, mut engine) = machine(programs, true);
        let armed = engine.arm(PID, &watches(3)).expect("armed");
        assert_eq!((armed.threads, armed.slots), (2, 3));
        assert_eq!(armed.left_out, shortfall(3, &[(11, 2)]));
        assert_eq!((fake.watched(11), fake.watched(12).is_empty()), (vec![], false));
        // The process is known to go on as long as any of its threads does.
        let seen = [(PID, 5), (12, 6), (11, 7)].map(|(tid, time)| {
            fake.end_thread(tid);
            let body = [write::pair(PID, 1), write::pair(tid, 1), 0];
            assert!(fake.push(0, &write::sideband(EXIT, 0, &body, time, (PID, tid))));
            fake.set_clock(1_000_000_000 * time);
            let drained = engine.drain(true, &mut |_| Flow::Continue);
            drained.expect("good records");
            matches!(engine.attach(PID, &[]), Err(ArmError::Armed { .. }))
        });
        assert_eq!(seen, [true, true, false]);
    }
}

#[test]
fn where_all_have_too_few_nothing_is_armed() {
    let (fake, mut engine) = machine(false, true);
    fake.set_registers(1);
    let refused = engine.arm(PID, &watches(4)).expect_err("nobody has four");
    let listed = [(PID, 1), (11, 2), (12, 3)];
    let all = shortfall(4, &listed);
    assert!(
        matches!(&refused, ArmError::NoFreeRegister { tid: PID, free: 1, short, .. } if *short == all),
        "{refused:?}"
    );
    assert_eq!(fake.holdings(), Holdings::default());
}

/// Threads come and go at first: what the try before has closed may be in the way.
#[test]
fn a_shortage_that_passes_is_none() {
    let (fake, mut engine) = machine(false, false);
    fake.set_listings(&[&[PID], &[PID, 20], &[PID, 20]]);
    // After what shows the features and the rings' owners.
    fake.fail(Call::PerfEventOpen, 3, Errno::ENOSPC);
    let armed = engine.arm(PID, &watches(1)).expect("armed");
    assert_eq!(armed.threads, 2);
}

#[test]
fn each_call_may_fail_while_threads_are_left_out() {
    for programs in [false, true] {
        let calls = [Call::PerfEventOpen, Call::PerfSetOutput, Call::PerfEnable];
        for call in calls {
            let (fake, mut engine) = machine(programs, true);
            engine.arm(PID, &watches(3)).expect("armed");
            for nth in 0..fake.calls(call) {
                for errno in [Errno::EMFILE, Errno::ESRCH, Errno::ENOSPC] {
                    let (fake, mut engine) = machine(programs, true);
                    fake.fail(call, nth, errno);
                    let _ = engine.arm(PID, &watches(3));
                    drop(engine);
                    let what = format!("{call:?} {nth} {errno}, programs {programs}");
                    assert_eq!(fake.holdings(), Holdings::default(), "{what}");
                }
            }
        }
    }
}

/// Of many that have too few some are named.
#[test]
fn the_list_has_an_end() {
    let threads: Vec<_> = (PID..PID + 100).collect();
    let (fake, mut engine) = machine(true, true);
    fake.set_listings(&[&threads]);
    fake.set_registers(3);
    fake.set_registers_of(PID, 4);
    fake.set_limit(4096, 4096);
    let armed = engine.arm(PID, &watches(4)).expect("armed");
    assert_eq!((armed.threads, armed.left_out.threads, armed.left_out.of), (1, 99, 100));
    assert_eq!(armed.left_out.listed.len(), Shortfall::LISTED_MAX);
    fake.access(Access {
        address: 0x1000,
        pid: PID,
        tid: PID,
        cpu: 1,
        time: 5,
        ip: 0x40_0000,
    });
    let mut lost = 0;
    engine.disarm();
    let drained = engine.drain(true, &mut |event| {
        lost += u64::from(matches!(event, Event::Lost { .. }));
        Flow::Continue
    });
    drained.expect("good records");
    assert_eq!((engine.account().counted[0], lost), (1, 0));
}
