//! Each system call of arming and launching made to fail, on the fake kernel:
//! the right error, and nothing kept.

use std::ffi::CString;
use std::rc::Rc;

use hwtrace_runtime::engine::perf::{PerfEngine, PerfOptions};
use hwtrace_runtime::engine::{Account, ArmError, Armed, Engine, Flow};
use hwtrace_runtime::event::{Event, Trigger, Watch};
use hwtrace_runtime::kernel::fake::{Access, Call, Fake, Holdings};
use hwtrace_runtime::kernel::{Errno, Kernel, Taken, Wait};
use hwtrace_runtime::launch::{Child, ChildState, EndWatch, LaunchError, launch};

const PID: u32 = 10;
const NONE: Holdings = Holdings { descriptors: 0, mappings: 0, children: 0 };

fn watches(count: u64) -> Vec<Watch> {
    let watch =
        |index| Watch { address: 0x1000 + index * 8, length: 8, trigger: Trigger::Write };
    (0..count).map(watch).collect()
}

/// Two CPUs, two threads.
fn machine() -> (Rc<Fake>, PerfEngine) {
    let fake = Rc::new(Fake::new(2, &[PID, 11]));
    let kernel: Rc<dyn Kernel> = fake.clone();
    let engine = PerfEngine::new(kernel, PerfOptions::default());
    (fake, engine)
}

fn access(address: u64, tid: u32, cpu: u32, time: u64) -> Access {
    Access { address, pid: PID, tid, cpu, time, ip: 0x400000 + time }
}

fn drain(engine: &mut PerfEngine, all: bool) -> Vec<(u32, u32, u64)> {
    let mut hits = Vec::new();
    let drained = engine.drain(all, &mut |event| {
        if let Event::Hit(hit) = event {
            hits.push((hit.watch, hit.tid, hit.time));
        }
        Flow::Continue
    });
    drained.expect("good records");
    hits
}

#[test]
fn hits_of_all_cpus_come_by_time_and_settled() {
    let (fake, mut engine) = machine();
    let armed = engine.arm(PID, &watches(2)).expect("armed");
    assert_eq!(armed, Armed { threads: 2, slots: 2, capacity: 4, ..Armed::default() });
    let start = 1_000_000_000;
    fake.access(access(0x1000, PID, 0, start + 1));
    fake.access(access(0x1008, 11, 0, start + 3));
    fake.access(access(0x1000, 11, 1, start + 2));
    fake.set_clock(start + 3);
    assert_eq!(drain(&mut engine, false), []);
    fake.set_clock(start + 2 + 2_000_000);
    let early = [(0, PID, start + 1), (0, 11, start + 2)];
    assert_eq!(drain(&mut engine, false), early);
    engine.disarm();
    fake.access(access(0x1000, PID, 0, start + 9));
    assert_eq!(drain(&mut engine, true), [(1, 11, start + 3)]);
    let account = Account { counted: vec![2, 1], ..Account::default() };
    assert_eq!(engine.account(), account);
    drop(engine);
    assert_eq!(fake.holdings(), NONE);
}

#[test]
fn disarming_frees_the_registers_and_keeps_the_rings() {
    let (fake, mut engine) = machine();
    engine.arm(PID, &watches(4)).expect("armed");
    assert!(matches!(engine.arm(PID, &watches(1)), Err(ArmError::System { .. })));
    engine.disarm();
    let rings = Holdings { descriptors: 2, mappings: 2, children: 0 };
    assert_eq!(fake.holdings(), rings);
    engine.arm(PID, &watches(4)).expect("armed again");
    drop(engine);
    assert_eq!(fake.holdings(), NONE);
}

fn overflow(fake: &Fake, engine: &mut PerfEngine) -> (usize, Account) {
    for time in 0..10_000 {
        fake.access(access(0x1000, PID, 0, time));
    }
    engine.disarm();
    let delivered = drain(engine, true).len();
    (delivered, engine.account())
}

#[test]
fn losses_are_exact_on_new_kernels_and_old() {
    for old in [false, true] {
        let fake = Rc::new(Fake::new(2, &[PID]));
        let options = PerfOptions { ring_bytes: Some(1), ..PerfOptions::default() };
        let mut engine = PerfEngine::new(fake.clone(), options);
        if old {
            // All features at once, then none, then each alone.
            for nth in [0, 2, 3] {
                fake.fail(Call::PerfEventOpen, nth, Errno::EINVAL);
            }
        }
        engine.arm(PID, &watches(1)).expect("armed");
        let (delivered, account) = overflow(&fake, &mut engine);
        assert!(delivered > 0 && account.lost > 0);
        assert_eq!(account.counted, [10_000]);
        assert_eq!(delivered as u64 + account.lost, 10_000, "old kernel: {old}");
    }
}

#[test]
fn errors_of_opening_a_breakpoint_say_why() {
    // The first call is the probe, two open the rings.
    let meaning = |errno| {
        let (fake, mut engine) = machine();
        fake.fail(Call::PerfEventOpen, 3, errno);
        let error = engine.arm(PID, &watches(2)).expect_err("made to fail");
        assert_eq!(fake.holdings(), NONE, "{errno}");
        error
    };
    use ArmError as E;
    assert!(matches!(
        meaning(Errno::ENOSPC),
        E::NoFreeRegister { tid: PID, watch: 0, free: 0, .. }
    ));
    assert!(matches!(meaning(Errno::EINVAL), E::BadWatch { watch: 0 }));
    for errno in [Errno::EACCES, Errno::EPERM] {
        assert!(matches!(meaning(errno), E::Permission { pid: PID, .. }));
    }
    for errno in [Errno::ENOENT, Errno::EOPNOTSUPP, Errno::ENODEV, Errno::ENOSYS] {
        assert!(matches!(meaning(errno), E::Unsupported { .. }));
    }
    let needed = meaning(Errno::EMFILE);
    // 14 for events, and 256 for all else.
    assert!(matches!(needed, E::Limit { limit: "RLIMIT_NOFILE", needed: 270 }));
    assert!(matches!(meaning(Errno::ENFILE), E::Limit { limit: "fs.file-max", .. }));
    assert!(matches!(meaning(Errno::EIO), E::System { call: "perf_event_open", .. }));
}

#[test]
fn what_perf_itself_lacks_is_no_fault_of_a_watch() {
    for errno in [Errno::EINVAL, Errno::ENOSYS] {
        let (fake, mut engine) = machine();
        fake.fail(Call::PerfEventOpen, 0, errno);
        fake.fail(Call::PerfEventOpen, 1, errno);
        let error = engine.arm(PID, &watches(1)).expect_err("no perf");
        assert!(matches!(error, ArmError::Unsupported { .. }), "{error}");
    }
}

#[test]
fn each_call_of_arming_may_fail_and_nothing_stays() {
    let calls = [
        Call::PerfEventOpen,
        Call::PerfEnable,
        Call::PerfId,
        Call::PerfSetOutput,
        Call::MapRing,
        Call::OnlineCpus,
        Call::Threads,
        Call::ThreadCount,
        Call::DescriptorLimit,
    ];
    for call in calls {
        let (fake, mut engine) = machine();
        engine.arm(PID, &watches(2)).expect("armed");
        let count = fake.calls(call);
        assert!(count > 0, "{call:?} is not used");
        for nth in 0..count {
            let (fake, mut engine) = machine();
            fake.fail(call, nth, Errno::EIO);
            // The probe of all features may fail: they are tried one by one.
            if call == Call::PerfEventOpen && nth == 0 {
                engine.arm(PID, &watches(2)).expect("armed");
                drop(engine);
            } else {
                let error = engine.arm(PID, &watches(2)).expect_err("made to fail");
                assert!(matches!(error, ArmError::System { .. }), "{call:?} {nth}");
                // Before the engine goes: nothing may stay with it either.
                assert_eq!(engine.wake_fds(), []);
            }
            assert_eq!(fake.holdings(), NONE, "{call:?} {nth}");
        }
    }
}

#[test]
fn a_thread_that_ends_meanwhile_is_skipped() {
    let (fake, mut engine) = machine();
    fake.set_listings(&[&[PID, 11], &[PID]]);
    // Probe, rings, six of the first thread, and one of the second.
    fake.fail(Call::PerfEventOpen, 1 + 2 + 6 + 1, Errno::ESRCH);
    let armed = engine.arm(PID, &watches(2)).expect("armed");
    assert_eq!(armed.threads, 1);
    let events = Holdings { descriptors: 2 + 6, mappings: 2, children: 0 };
    assert_eq!(fake.holdings(), events);
}

#[test]
fn a_thread_that_comes_meanwhile_begins_it_again() {
    let (fake, mut engine) = machine();
    fake.set_listings(&[&[PID], &[PID, 11], &[PID, 11]]);
    let armed = engine.arm(PID, &watches(1)).expect("armed");
    assert_eq!(armed.threads, 2);
    assert_eq!(fake.holdings().descriptors, 2 + 2 * 2 * 2);
}

#[test]
fn a_listing_cut_short_is_not_believed() {
    let (fake, mut engine) = machine();
    // 11 ends under the listing, which therefore misses 12; 12 then shows.
    fake.set_listings(&[&[PID, 11], &[PID, 12], &[PID, 12]]);
    let armed = engine.arm(PID, &watches(1)).expect("armed");
    assert_eq!(armed.threads, 2);
    // The same list twice, while the kernel counts one more.
    let (fake, mut engine) = machine();
    fake.set_listings(&[&[PID], &[PID], &[PID, 13], &[PID, 13]]);
    let armed = engine.arm(PID, &watches(1)).expect("armed");
    assert_eq!(armed.threads, 2);
}

#[test]
fn threads_without_end_are_given_up() {
    let (fake, mut engine) = machine();
    let lists: Vec<_> = (0..2000).map(|round| [PID, 11 + round]).collect();
    let lists: Vec<&[u32]> = lists.iter().map(|list| &list[..]).collect();
    fake.set_listings(&lists);
    let error = engine.arm(PID, &watches(1)).expect_err("never the same");
    assert!(matches!(error, ArmError::Unstable { pid: PID }));
    assert!(fake.slept() > 100);
    assert_eq!(fake.holdings(), NONE);
}

#[test]
fn a_process_that_is_gone_or_going_is_told() {
    let (fake, mut engine) = machine();
    fake.set_listings(&[&[]]);
    assert!(matches!(engine.arm(PID, &watches(1)), Err(ArmError::Gone { pid: PID })));
    fake.set_listings(&[&[PID]]);
    fake.fail(Call::PerfEventOpen, 3, Errno::ESRCH);
    assert!(matches!(engine.arm(PID, &watches(1)), Err(ArmError::Gone { pid: PID })));
    assert_eq!(fake.holdings(), NONE);
}

#[test]
fn little_lockable_memory_means_smaller_rings() {
    let (fake, mut engine) = machine();
    fake.set_lockable_pages(2 * 65);
    engine.arm(PID, &watches(1)).expect("64 pages each");
    assert_eq!(fake.holdings().mappings, 2);
    drop(engine);
    let mut engine = PerfEngine::new(fake.clone(), PerfOptions::default());
    fake.set_lockable_pages(3);
    let error = engine.arm(PID, &watches(1)).expect_err("not even a page");
    let limit = "kernel.perf_event_mlock_kb";
    assert!(matches!(error, ArmError::Limit { limit: l, .. } if l == limit));
    assert_eq!(fake.holdings(), NONE);
}

#[test]
fn the_limit_of_descriptors_is_raised_or_named() {
    let threads: Vec<u32> = (10..210).collect();
    let fake = Rc::new(Fake::new(2, &threads));
    let mut engine = PerfEngine::new(fake.clone(), PerfOptions::default());
    engine.arm(PID, &watches(2)).expect("raised to 4096");
    drop(engine);
    fake.set_limit(256, 1024);
    let mut engine = PerfEngine::new(fake.clone(), PerfOptions::default());
    let error = engine.arm(PID, &watches(2)).expect_err("too low");
    let needed = 2 * (200 * 3 + 1) + 256;
    assert!(matches!(error, ArmError::Limit { needed: n, .. } if n == needed));
    assert_eq!(fake.holdings(), NONE);
}

#[test]
fn what_is_held_already_counts_towards_the_limit() {
    let (fake, mut engine) = machine();
    fake.set_limit(256 + 12, 1024);
    engine.arm(PID, &watches(1)).expect("armed");
    assert_eq!(fake.descriptor_limit(), Ok((256 + 12, 1024)), "there is room");
    let own = Watch { address: 0x2000, ..watches(1)[0] };
    for number in 1..=2 {
        engine.arm_thread((PID, PID), number, own).expect("armed");
    }
    let held = fake.holdings().descriptors;
    assert_eq!((held, fake.descriptor_limit()), (14, Ok((1024, 1024))));
}

#[test]
fn nonsense_in_a_ring_is_an_error_and_the_rest_still_comes() {
    let (fake, mut engine) = machine();
    engine.arm(PID, &watches(1)).expect("armed");
    assert!(fake.push(0, &[0, 0, 0]));
    fake.access(access(0x1000, PID, 1, 5));
    let error = engine.drain(true, &mut |_| Flow::Continue).expect_err("no record");
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    assert_eq!(drain(&mut engine, true), [(0, PID, 5)]);
}

fn arguments() -> Vec<CString> {
    // With a slash: it is not looked for in $PATH.
    vec![c"./program".to_owned()]
}

const EXECUTED: Wait =
    Wait::Stopped { signal: libc::SIGTRAP, event: libc::PTRACE_EVENT_EXEC };

#[test]
fn launching_passes_signals_on_and_stops_at_exec() {
    let fake = Rc::new(Fake::new(1, &[PID]));
    let signal = Wait::Stopped { signal: libc::SIGCONT, event: 0 };
    fake.set_waits(&[signal, EXECUTED]);
    let launched =
        launch(fake.clone(), &arguments(), &Taken::default()).expect("launched");
    assert_eq!(fake.calls(Call::PtraceContinue), 1);
    assert_eq!(fake.holdings(), Holdings { children: 1, ..NONE });
    let mut child = launched.release().expect("released");
    let reader = Wait::Stopped { signal: libc::SIGTTIN, event: 0 };
    fake.set_waits(&[Wait::Running, reader, Wait::Exited { code: 3 }]);
    let ended = ChildState::Exited { code: 3 };
    for state in [ChildState::Running, ChildState::WantsTerminal, ended, ended] {
        assert_eq!(child.poll(), Ok(state));
    }
}

#[test]
fn each_call_of_launching_may_fail_and_nothing_stays() {
    let calls = [
        (Call::ForkExec, "fork"),
        (Call::PtraceSeize, "ptrace"),
        (Call::Write, "write"),
        (Call::Wait, "waitpid"),
    ];
    for (call, name) in calls {
        let fake = Rc::new(Fake::new(1, &[PID]));
        fake.set_waits(&[EXECUTED]);
        fake.fail(call, 0, Errno::EIO);
        let error = launch(fake.clone(), &arguments(), &Taken::default()).err();
        let expected = LaunchError::System { call: name, errno: Errno::EIO };
        assert_eq!(error, Some(expected));
        assert_eq!(fake.holdings(), NONE, "{call:?}");
    }
    let fake = Rc::new(Fake::new(1, &[PID]));
    fake.set_waits(&[EXECUTED]);
    let launched =
        launch(fake.clone(), &arguments(), &Taken::default()).expect("launched");
    fake.fail(Call::PtraceDetach, 0, Errno::ESRCH);
    assert!(launched.release().is_err());
    assert_eq!(fake.holdings(), NONE);
}

#[test]
fn what_execve_says_is_told() {
    let meanings = [
        (Errno::ENOENT, LaunchError::NotFound),
        (Errno::EACCES, LaunchError::NotExecutable { errno: Errno::EACCES }),
        (Errno::E2BIG, LaunchError::Exec(Errno::E2BIG)),
    ];
    for (errno, meaning) in meanings {
        let fake = Rc::new(Fake::new(1, &[PID]));
        fake.set_exec_failure(errno);
        fake.set_waits(&[Wait::Exited { code: 127 }]);
        assert_eq!(
            launch(fake.clone(), &arguments(), &Taken::default()).err(),
            Some(meaning)
        );
        assert_eq!(fake.holdings(), NONE);
    }
}

#[test]
fn the_watch_for_the_end_closes_its_descriptor() {
    let fake = Rc::new(Fake::new(1, &[PID]));
    let end = EndWatch::new(fake.clone(), PID).expect("a process");
    assert_eq!(fake.holdings().descriptors, 1);
    drop(end);
    assert_eq!(fake.holdings(), NONE);
}

#[test]
fn what_is_not_in_the_path_is_told_before_anything_is_made() {
    let fake = Rc::new(Fake::new(1, &[PID]));
    let nowhere = [c"no-such-program-anywhere".to_owned()];
    assert_eq!(
        launch(fake.clone(), &nowhere, &Taken::default()).err(),
        Some(LaunchError::NotFound)
    );
    assert_eq!(fake.calls(Call::ForkExec), 0);
}

/// A child that runs, without the terminal.
fn child(fake: &Rc<Fake>) -> Child {
    fake.set_waits(&[EXECUTED]);
    let launched = launch(fake.clone(), &arguments(), &Taken::default());
    launched.expect("launched").release().expect("released")
}

const OURS: u32 = 1;
const CHILDS: u32 = 100;
const SHELLS: u32 = 7;
const CONTINUED: (u32, bool, i32) = (CHILDS, true, libc::SIGCONT);

fn stopped(signal: i32) -> Wait {
    Wait::Stopped { signal, event: 0 }
}

/// What the child does next, and that it is minded.
fn mind(fake: &Fake, child: &mut Child, wait: Wait) {
    fake.set_waits(&[wait]);
    child.mind_the_terminal();
}

#[test]
fn a_child_that_reads_the_terminal_gets_it_where_it_is_ours() {
    for signal in [libc::SIGTTIN, libc::SIGTTOU] {
        let fake = Rc::new(Fake::new(1, &[PID]));
        let mut child = child(&fake);
        mind(&fake, &mut child, stopped(signal));
        assert_eq!((fake.foreground(), fake.killed()), (CHILDS, vec![CONTINUED]));
        child.take_terminal();
        assert_eq!(fake.foreground(), OURS);
    }
}

#[test]
fn in_the_background_the_terminal_is_left_alone() {
    let stop = (OURS, true, libc::SIGTTIN);
    let cases = [
        // As after `fg`, after `bg`, and where nobody can stop us.
        (Some(OURS), CHILDS, vec![stop, CONTINUED]),
        (Some(SHELLS), SHELLS, vec![stop, CONTINUED]),
        (None, SHELLS, vec![stop]),
    ];
    for (continued_with, foreground, killed) in cases {
        let fake = Rc::new(Fake::new(1, &[PID]));
        let mut child = child(&fake);
        fake.set_foreground(SHELLS);
        fake.set_continued_with(continued_with);
        mind(&fake, &mut child, stopped(libc::SIGTTIN));
        assert_eq!((fake.foreground(), fake.killed()), (foreground, killed));
    }
}

#[test]
fn a_child_stopped_with_the_terminal_gives_it_back_and_stops_us() {
    let stop = (OURS, true, libc::SIGTSTP);
    let cases = [(Some(OURS), CHILDS), (Some(SHELLS), SHELLS), (None, CHILDS)];
    for (continued_with, foreground) in cases {
        let fake = Rc::new(Fake::new(1, &[PID]));
        let mut child = child(&fake);
        mind(&fake, &mut child, stopped(libc::SIGTTIN));
        fake.set_continued_with(continued_with);
        mind(&fake, &mut child, stopped(libc::SIGTSTP));
        assert_eq!(fake.killed(), [CONTINUED, stop, CONTINUED], "{continued_with:?}");
        assert_eq!(fake.foreground(), foreground, "{continued_with:?}");
    }
}

#[test]
fn other_stops_are_the_childs_own_business() {
    let fake = Rc::new(Fake::new(1, &[PID]));
    let mut child = child(&fake);
    mind(&fake, &mut child, stopped(libc::SIGSTOP));
    // Nor is there a terminal to give where there is none.
    fake.fail(Call::Terminal, 0, Errno::ENXIO);
    mind(&fake, &mut child, stopped(libc::SIGTTIN));
    assert_eq!((fake.foreground(), fake.killed()), (OURS, vec![]));
}

#[test]
fn a_terminal_that_others_have_by_now_is_not_taken() {
    let fake = Rc::new(Fake::new(1, &[PID]));
    let mut child = child(&fake);
    mind(&fake, &mut child, stopped(libc::SIGTTIN));
    fake.set_foreground(SHELLS);
    child.take_terminal();
    assert_eq!(fake.foreground(), SHELLS);
    // A group that has ended has nothing of it.
    fake.set_foreground(OURS);
    mind(&fake, &mut child, stopped(libc::SIGTTIN));
    fake.set_foreground(SHELLS);
    fake.fail(Call::Kill, 0, Errno::ESRCH);
    child.take_terminal();
    assert_eq!(fake.foreground(), OURS);
}

/// What may open events on any process may not so come by what ptrace would refuse.
#[test]
fn a_process_that_may_not_be_looked_into_is_not_armed() {
    let (fake, mut engine) = machine();
    fake.fail(Call::RobustList, 0, Errno::EPERM);
    // Others are read before, of births that may be under way.
    (0..9).for_each(|nth| fake.fail(Call::ReadFile, nth, Errno::EACCES));
    let error = engine.arm(PID, &watches(2)).expect_err("refused");
    assert!(matches!(error, ArmError::NoAccess { pid: PID }), "{error}");
    assert_eq!(fake.holdings(), NONE);

    // A filter of system calls may refuse to answer; then /proc is asked.
    let (fake, mut engine) = machine();
    fake.fail(Call::RobustList, 0, Errno::EPERM);
    fake.set_file(&format!("/proc/{PID}/auxv"), "x");
    engine.arm(PID, &watches(2)).expect("armed");
    // Another thread's own data is asked for later, when it may be another program.
    fake.fail(Call::RobustList, 0, Errno::EPERM);
    fake.fail(Call::ReadFile, 0, Errno::EACCES);
    let before = fake.holdings();
    let error = engine.arm_thread((PID, 11), 2, watches(3)[2]).expect_err("refused");
    assert!(matches!(error, ArmError::NoAccess { pid: PID }), "{error}");
    assert_eq!(fake.holdings(), before);
}
