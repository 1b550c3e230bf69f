//! A session of each engine of perf's, with every call that it makes failing once: whatever
//! comes of it, nothing is left held, and the target is sent nothing.

use std::rc::Rc;

use hwtrace_runtime::engine::perf::{PerfEngine, PerfOptions};
use hwtrace_runtime::engine::{Engine, Flow};
use hwtrace_runtime::event::{Trigger, Watch};
use hwtrace_runtime::kernel::Errno;
use hwtrace_runtime::kernel::fake::{Access, Call, Fake, Holdings};

const PID: u32 = 10;
const OTHER: u32 = 20;
const WATCH: Watch = Watch { address: 0x1000, length: 8, trigger: Trigger::Write };

/// All that they ask of the kernel in such a session; what traces and starts has tests of
/// its own.
const CALLS: [Call; 19] = [
    Call::PerfEventOpen,
    Call::PerfEnable,
    Call::PerfDisable,
    Call::PerfChange,
    Call::PerfId,
    Call::PerfSetOutput,
    Call::PerfRead,
    Call::MapRing,
    Call::OnlineCpus,
    Call::Threads,
    Call::ThreadCount,
    Call::DescriptorLimit,
    Call::BpfLoad,
    Call::BpfMap,
    Call::MapShared,
    Call::MapRecords,
    Call::PerfSetProgram,
    Call::Group,
    Call::PidNamespace,
];

fn engine(fake: &Rc<Fake>, programs: bool) -> PerfEngine {
    let options = PerfOptions { ring_bytes: Some(16 << 10), ..PerfOptions::default() };
    match programs {
        true => PerfEngine::with_programs(fake.clone(), options),
        false => PerfEngine::new(fake.clone(), options),
    }
}

/// Two processes, and a thread of one with a watch of its own; their hits; one watch moved, and switched off and on. What fails is left
/// out, as a session goes on or ends.
fn session(fake: &Fake, engine: &mut PerfEngine) {
    if engine.arm(PID, &[WATCH]).is_err() {
        return;
    }
    fake.set_listings(&[&[OTHER]]);
    let _ = engine.attach(OTHER, &[Some(WATCH)]);
    let _ = engine.arm_thread((OTHER, 21), 1, WATCH);
    let hit =
        Access { address: 0x1000, pid: PID, tid: PID, cpu: 1, time: 5, ip: 0x40_0000 };
    fake.access(hit);
    let _ = engine.drain(false, &mut |_| Flow::Continue);
    let _ = engine.retarget(PID, 0, Some(0x2000));
    let _ = engine.switch(0, false);
    let _ = engine.switch(0, true);
    engine.disarm();
    let _ = engine.drain(true, &mut |_| Flow::Continue);
    engine.account();
}

#[test]
fn every_call_fails_once_and_nothing_is_left() {
    let mut never = CALLS.to_vec();
    for programs in [false, true] {
        let fake = Rc::new(Fake::new(2, &[PID, 11]));
        session(&fake, &mut engine(&fake, programs));
        let made = CALLS.map(|call| fake.calls(call));
        never.retain(|call| fake.calls(*call) == 0);
        for (call, made) in CALLS.into_iter().zip(made) {
            for nth in 0..made {
                for errno in [Errno::EIO, Errno::ENOMEM, Errno::ESRCH] {
                    let fake = Rc::new(Fake::new(2, &[PID, 11]));
                    fake.fail(call, nth, errno);
                    let mut engine = engine(&fake, programs);
                    session(&fake, &mut engine);
                    drop(engine);
                    let what = format!("{call:?} {nth} {errno}, programs {programs}");
                    assert_eq!(fake.holdings(), Holdings::default(), "{what}");
                    assert_eq!(fake.killed(), [], "{what}");
                    assert_eq!(fake.calls(Call::PidfdSendSignal), 0, "{what}");
                }
            }
        }
    }
    assert_eq!(never, []);
}
