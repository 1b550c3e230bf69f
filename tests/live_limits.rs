//! Limits of descriptors and of locked memory, which an ordinary user can not raise.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::path::PathBuf;
use std::process::Command;

use common::{
    Hwtrace, Scratch, Started, Target, all_are_free, c, despite_lost_traps, live_as_root,
};
use hwtrace_runtime::kernel::Kernel;
use hwtrace_runtime::kernel::linux::Linux;
use nix::sys::signal::Signal;

/// Threads of the target, besides its first.
const THREADS: &str = "1999";

/// A user of whom no other test runs anything: what one has locked counts for all.
const USER: &str = "65531";

/// A command as that user with these limits, and these capabilities alone.
fn limited(limit: &str, capabilities: &[&str]) -> Command {
    let mut command = Command::new("prlimit");
    command.args([limit, "setpriv", "--reuid", USER, "--regid", USER, "--clear-groups"]);
    let kept = capabilities.iter().map(|name| format!(",+{name}")).collect::<String>();
    command
        .args([format!("--inh-caps=-all{kept}"), format!("--ambient-caps=-all{kept}")]);
    command.current_dir("/");
    command
}

const BPF: [&str; 2] = ["bpf", "perfmon"];

/// Programs that every user may execute.
struct Files {
    hwtrace: PathBuf,
    many: PathBuf,
    _scratch: Scratch,
}

impl Files {
    fn new() -> Self {
        let scratch = Scratch::new();
        let hwtrace = scratch.copy(env!("CARGO_BIN_EXE_hwtrace"));
        Self { hwtrace, many: scratch.copy(c("many")), _scratch: scratch }
    }

    fn target(&self) -> Target {
        let mut command = limited("--nofile=1024:1024", &[]);
        command.arg(&self.many).arg(THREADS);
        Target::start_command(command)
    }

    fn tracing(&self, mut by: Command, target: &Target, options: &[&str]) -> Hwtrace {
        by.arg(&self.hwtrace);
        let pid = target.pid().to_string();
        Hwtrace::by(by, &["-e", SCRIPT, "-p", &pid]).with(options)
    }
}

const SCRIPT: &str = r#"global n
    probe begin { println("armed") }
    probe process.data("counter").write { n++ }
    probe end { printf("counter %d\n", n) }"#;

#[test]
fn thousands_of_threads_and_few_descriptors_are_an_error_that_says_what_to_do() {
    if !live_as_root() {
        return;
    }
    let files = Files::new();
    let target = files.target();
    for (limit, engine, capabilities) in [
        ("--nofile=1024:1024", "perf", &[][..]),
        ("--nofile=1024:1024", "bpf", &BPF),
        ("--nofile=64:64", "bpf", &BPF),
    ] {
        let by = limited(limit, capabilities);
        let tracing = files.tracing(by, &target, &["--engine", engine]);
        let refused = tracing.run().expect(1);
        refused.says(&[
            "error[E0408]",
            "RLIMIT_NOFILE",
            "sudo prlimit --pid $$ --nofile=",
            "`--engine ptrace`",
        ]);
    }
    let threads = Linux.threads(target.pid()).unwrap();
    assert_eq!(threads.len(), 2000);
    threads.iter().step_by(100).for_each(|tid| all_are_free(*tid).unwrap());
}

#[test]
fn a_tracer_takes_no_descriptors_for_threads() {
    if !live_as_root() {
        return;
    }
    let files = Files::new();
    let ended = despite_lost_traps(|| {
        let mut target = files.target();
        let by = limited("--nofile=1024:1024", &[]);
        let tracing = files.tracing(by, &target, &["--engine", "ptrace"]).start();
        tracing.out().until("armed");
        target.say("go");
        target.finish()?;
        Some(tracing.finish().expect(0))
    });
    assert_eq!(ended.numbers("counter "), [[1999]], "{ended:#?}");
    ended.says(&["armed 2000/2000 threads"]);
}

/// The first has all memory that the user may lock.
#[test]
fn memory_that_is_locked_already_is_named() {
    if !live_as_root() {
        return;
    }
    let files = Files::new();
    let target = files.target();
    let start = |size: &str| {
        let by = limited("--memlock=0:0", &[]);
        let options = ["--engine", "perf", "--registers", "1", "--ring-size", size];
        files.tracing(by, &target, &options).start()
    };
    let end = |tracing: Started| {
        tracing.out().until("armed");
        tracing.signal(Signal::SIGINT);
        tracing.finish().expect(0)
    };
    let first = start("65536");
    first.out().until("armed");
    let second = start("65536").finish().expect(1);
    let named = ["error[E0408]", "kernel.perf_event_mlock_kb", "sudo sysctl"];
    second.says(&named).says(&["`--ring-size 128` for each"]);
    first.signal(Signal::SIGINT);
    first.finish().expect(0);
    [start("128"), start("128")].into_iter().for_each(|one| drop(end(one)));
    all_are_free(target.pid()).unwrap();
}
