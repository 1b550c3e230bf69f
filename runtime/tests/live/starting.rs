//! Launching, letting go, and dying.

use std::ffi::CString;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;
use std::rc::Rc;

use hwtrace_runtime::engine::perf::PerfOptions;
use hwtrace_runtime::kernel::linux::Linux;
use hwtrace_runtime::kernel::{Errno, Kernel, Taken};
use hwtrace_runtime::launch::{ChildState, EndWatch, LaunchError, Reached, launch};

use nix::sys::signal::{SigSet, Signal};
use nix::unistd::Pid;

use crate::common::{
    Tracer, all_registers, alone, compile, is_alone, is_live, stores_to, symbol,
    trace_program,
};

fn command(words: &[&str]) -> Vec<CString> {
    words.iter().map(|word| CString::new(*word).expect("no zero")).collect()
}

#[test]
fn the_first_instruction_is_seen() {
    if !is_live() {
        return;
    }
    let source = "
        unsigned long counter;
        __asm__(\".globl _start\\n_start: movq $7, counter\\n movq $8, counter\\n\"
                \"mov $231, %eax\\n xor %edi, %edi\\n syscall\\n\");";
    let program = compile("bare", source, &["-nostdlib", "-static"]);
    let watches = [stores_to(&program, "counter")];
    let (_, trace) = trace_program(&program, &watches, PerfOptions::default());
    trace.assert_complete(2);
}

#[test]
fn failures_to_execute_are_told_apart() {
    let linux: Rc<dyn Kernel> = Rc::new(Linux);
    let error = |words: &[&str]| {
        launch(Rc::clone(&linux), &command(words), &Taken::default()).err()
    };
    assert_eq!(error(&["/no/such/program"]), Some(LaunchError::NotFound));
    assert_eq!(error(&["no-such-program-in-path"]), Some(LaunchError::NotFound));
    let errno = Errno::EACCES;
    assert_eq!(error(&["/etc/passwd"]), Some(LaunchError::NotExecutable { errno }));
    assert_eq!(error(&["/"]), Some(LaunchError::NotExecutable { errno }));
    assert_eq!(error(&[]), Some(LaunchError::Empty));
}

#[test]
fn a_child_never_released_never_runs_and_is_gone() {
    let mark = format!("{}/never", env!("CARGO_TARGET_TMPDIR"));
    let _ = std::fs::remove_file(&mark);
    let linux: Rc<dyn Kernel> = Rc::new(Linux);
    let launched =
        launch(Rc::clone(&linux), &command(&["touch", &mark]), &Taken::default());
    let launched = launched.expect("launched");
    let pid = launched.pid();
    assert_eq!(linux.thread_name(pid, pid).as_deref(), Ok(&b"touch"[..]));
    drop(launched);
    assert_eq!(linux.kill(pid, false, 0), Err(Errno::ESRCH));
    assert!(!std::fs::exists(&mark).expect("a folder"));
}

#[test]
fn the_end_wakes_and_the_code_is_kept() {
    let linux: Rc<dyn Kernel> = Rc::new(Linux);
    let arguments = command(&["sh", "-c", "exit 7"]);
    let launched =
        launch(Rc::clone(&linux), &arguments, &Taken::default()).expect("launched");
    let end = EndWatch::new(linux, launched.pid()).expect("Linux 5.3");
    let mut poll =
        libc::pollfd { fd: end.descriptor(), events: libc::POLLIN, revents: 0 };
    assert_eq!(wait_readable(&mut poll, 0), 0);
    let mut child = launched.release().expect("released");
    assert_eq!(wait_readable(&mut poll, 10_000), 1);
    for _ in 0..2 {
        assert_eq!(child.poll(), Ok(ChildState::Exited { code: 7 }));
    }
}

#[allow(unsafe_code, reason = "poll(2) on a bare descriptor")]
fn wait_readable(poll: &mut libc::pollfd, timeout_ms: i32) -> i32 {
    // SAFETY: one pollfd, which lives across the call.
    unsafe { libc::poll(poll, 1, timeout_ms) }
}

/// A line of this thread's signals, in /proc.
fn own_signals(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").expect("our own");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect(name);
    u64::from_str_radix(line.trim(), 16).expect("a mask")
}

/// What is blocked and ignored here is so there; but what hwtrace takes for
/// itself and what Rust ignores, SIGPIPE, is not.
#[test]
fn the_child_has_its_own_group_and_the_signals_we_began_with() {
    let linux: Rc<dyn Kernel> = Rc::new(Linux);
    SigSet::from(Signal::SIGUSR1).thread_block().expect("a mask");
    let blocked = own_signals("SigBlk:");
    let (descriptor, taken) =
        linux.take_signals(&[libc::SIGUSR1, libc::SIGCHLD]).expect("signals");
    assert_eq!(taken.blocked, [libc::SIGCHLD]);
    let end_of = |words: &[&str]| {
        let launched =
            launch(Rc::clone(&linux), &command(words), &taken).expect("launched");
        let pid = Pid::from_raw(launched.pid() as i32);
        assert_eq!(nix::unistd::getpgid(Some(pid)), Ok(pid));
        let mut child = launched.release().expect("released");
        loop {
            match child.poll().expect("our child") {
                ChildState::Running => std::thread::yield_now(),
                state => break state,
            }
        }
    };
    let good = ChildState::Exited { code: 0 };
    let ignored = own_signals("SigIgn:") & !(1 << (libc::SIGPIPE - 1));
    for (name, signals) in [("SigBlk", blocked), ("SigIgn", ignored)] {
        let line = format!("^{name}:.{signals:016x}$");
        assert_eq!(end_of(&["grep", "-q", &line, "/proc/self/status"]), good, "{line}");
    }
    let killed = ChildState::Killed { signal: libc::SIGTERM };
    assert_eq!(end_of(&["sh", "-c", "kill -TERM $$"]), killed);
    linux.release_signals(&taken).expect("a mask");
    linux.close(descriptor);
    assert_eq!(own_signals("SigBlk:"), blocked);
}

const WAITS: &str = "
    #include <stdio.h>
    volatile unsigned long counter;
    int main(void) {
        char line[8];
        puts(\"ready\"); fflush(stdout);
        if (!fgets(line, 8, stdin)) return 1;
        unsigned long sum = 0;
        for (int i = 0; i < 20000; i++) { counter = i; sum += counter; }
        printf(\"%lu\\n\", sum);
        return 0;
    }";

/// Killed while it is armed: the target finishes with the right result.
#[test]
fn a_killed_tracer_leaves_its_target_alive() {
    if !is_live() {
        return;
    }
    let program = compile("waits", WAITS, &[]);
    let mut target = std::process::Command::new(&program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut out = BufReader::new(target.stdout.take().expect("a pipe"));
    let mut line = String::new();
    out.read_line(&mut line).expect("a line");
    let mut tracer = alone("starting::tracer_to_be_killed", false)
        .env("HWTRACE_TARGET", target.id().to_string())
        .env("HWTRACE_PROGRAM", &program)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a tracer");
    let mut said = BufReader::new(tracer.stdout.take().expect("a pipe"));
    loop {
        line.clear();
        assert_ne!(said.read_line(&mut line).expect("a line"), 0, "it ended");
        if line.contains("ARMED") {
            break;
        }
    }
    target.stdin.take().expect("a pipe").write_all(b"go\n").expect("a reader");
    std::thread::sleep(std::time::Duration::from_millis(30));
    tracer.kill().expect("our child");
    tracer.wait().expect("our child");
    let mut sum = String::new();
    out.read_to_string(&mut sum).expect("its result");
    assert_eq!(sum.trim(), (0..20_000u64).sum::<u64>().to_string());
    assert!(target.wait().expect("our child").success());
}

#[test]
fn tracer_to_be_killed() {
    let variable = |name| std::env::var(name).ok();
    let (Some(pid), Some(program)) =
        (variable("HWTRACE_TARGET"), variable("HWTRACE_PROGRAM"))
    else {
        return;
    };
    assert!(is_alone());
    let mut tracer = Tracer::new(PerfOptions::default());
    let watches = [stores_to(program.as_ref(), "counter")];
    tracer.arm(pid.parse().expect("a number"), &watches);
    println!("ARMED");
    loop {
        tracer.drain(false);
    }
}

/// Held at its entry point, in `main`, and let go: nothing of it ran before.
#[test]
fn a_program_runs_to_an_address_and_is_held_there() {
    if !is_live() {
        return;
    }
    let source = "
        #include <stdlib.h>
        volatile unsigned long early, late;
        __attribute__((constructor)) static void before(void) { early = 5; }
        int main(void) { late = 6; return early == 5 && late == 6 ? 3 : 1; }";
    // It takes all four.
    let _registers = all_registers();
    let program = compile("run_to", source, &["-static"]);
    let path = program.to_str().expect("a path");
    let linux: Rc<dyn Kernel> = Rc::new(Linux);
    let mut launched = launch(Rc::clone(&linux), &command(&[path]), &Taken::default())
        .expect("launched");
    let pid = launched.pid();
    let value = |name| {
        let mut bytes = [0; 8];
        linux.read_memory(pid, symbol(&program, name).0, &mut bytes).expect("read");
        u64::from_ne_bytes(bytes)
    };
    for (place, early) in [("_start", 0), ("main", 5)] {
        let reached = launched.run_to(symbol(&program, place).0, &mut || false);
        assert_eq!(reached, Ok(Reached::There), "{place}");
        assert_eq!((value("early"), value("late")), (early, 0), "{place}");
    }
    assert_ne!(linux.robust_list(pid).expect("its own"), 0, "the C library has set it");
    // All registers are free: four watches fit.
    let mut tracer = Tracer::new(PerfOptions::default());
    let watches = [stores_to(&program, "late"); 4];
    tracer.arm(pid, &watches);
    let mut child = launched.release().expect("released");
    while child.poll().expect("our child") == ChildState::Running {
        std::thread::yield_now();
    }
    assert_eq!(child.poll(), Ok(ChildState::Exited { code: 3 }));
    tracer.finish().assert_complete(4);
}

#[test]
fn a_program_that_never_gets_there_ends_or_becomes_another() {
    if !is_live() {
        return;
    }
    let source = "
        #include <unistd.h>
        void never(void) { write(1, \"x\", 1); }
        int main(int argc, char **argv) {
            if (argc > 5) never();
            if (argc > 1) execl(\"/bin/true\", \"true\", (char *)0);
            return 4;
        }";
    let program = compile("never", source, &[]);
    let path = program.to_str().expect("a path");
    let never = symbol(&program, "never").0;
    let run = |words: &[&str]| {
        let launched = launch(Rc::new(Linux), &command(words), &Taken::default());
        let mut launched = launched.expect("launched");
        let reached = launched.run_to(never, &mut || false).expect("a free register");
        (launched, reached)
    };
    let (launched, reached) = run(&[path]);
    assert_eq!(reached, Reached::Ended);
    let mut child = launched.release().expect("nothing to do");
    assert_eq!(child.poll(), Ok(ChildState::Exited { code: 4 }));
    let (launched, reached) = run(&[path, "x"]);
    assert_eq!(reached, Reached::Executed);
    let mut child = launched.release().expect("released");
    while child.poll().expect("our child") == ChildState::Running {
        std::thread::yield_now();
    }
    assert_eq!(child.poll(), Ok(ChildState::Exited { code: 0 }));
}

/// Killed before the child is released: the child runs on by itself.
#[test]
fn a_launcher_killed_halfway_lets_its_child_run() {
    let mark = format!("{}/halfway", env!("CARGO_TARGET_TMPDIR"));
    let _ = std::fs::remove_file(&mark);
    let mut launcher = alone("starting::launcher_to_be_killed", false)
        .env("HWTRACE_MARK", &mark)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a launcher");
    let mut said = BufReader::new(launcher.stdout.take().expect("a pipe"));
    let mut line = String::new();
    while !line.contains("HELD") {
        line.clear();
        assert_ne!(said.read_line(&mut line).expect("a line"), 0, "it ended");
    }
    assert!(!std::fs::exists(&mark).expect("a folder"));
    launcher.kill().expect("our child");
    assert!(!launcher.wait().expect("our child").success());
    let begun = std::time::Instant::now();
    while !std::fs::exists(&mark).expect("a folder") {
        assert!(begun.elapsed().as_secs() < 10, "the child does not go on");
        std::thread::yield_now();
    }
}

#[test]
fn launcher_to_be_killed() {
    let Some(mark) = std::env::var_os("HWTRACE_MARK") else {
        return;
    };
    let mut arguments = command(&["touch"]);
    arguments.push(CString::new(mark.as_bytes()).expect("a path"));
    let launched =
        launch(Rc::new(Linux), &arguments, &Taken::default()).expect("launched");
    println!("HELD");
    loop {
        // Held until we are killed.
        assert_ne!(launched.pid(), 0);
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
}
