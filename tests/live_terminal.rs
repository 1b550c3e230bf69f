//! What surrounds a session: the terminal and whose it is, signals that are
//! ignored, come early or find hwtrace busy, and readers that do not read.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use common::{HANGS, Hwtrace, Target, c, live};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill, raise};
use nix::unistd::Pid;

const HWTRACE: &str = env!("CARGO_BIN_EXE_hwtrace");

/// Where a session must end by itself. What hangs is killed, and fails.
const SOON: Duration = Duration::from_secs(60);

/// A command that does this between fork and exec.
#[allow(unsafe_code, reason = "there is no safe way to start with other signals")]
fn beginning_with(
    mut command: Command,
    prepare: impl FnMut() -> std::io::Result<()> + Send + Sync + 'static,
) -> Command {
    // SAFETY: each `prepare` of this file only makes system calls.
    unsafe { command.pre_exec(prepare) };
    command
}

/// Has a signal ignored from its start on, as nohup(1) has SIGHUP.
#[allow(unsafe_code, reason = "signal(2) has no safe form")]
fn ignoring(command: Command, signals: &'static [Signal]) -> Command {
    beginning_with(command, move || {
        for signal in signals {
            // SAFETY: to ignore a signal calls no function of ours.
            unsafe { libc::signal(*signal as i32, libc::SIG_IGN) };
        }
        Ok(())
    })
}

/// Waits for its end; none where it has to be killed.
fn end_of(child: &mut Child) -> Option<ExitStatus> {
    let begun = Instant::now();
    while begun.elapsed() < SOON {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id() as i32), signal).unwrap();
}

/// Makes standard input the terminal of a session of its own.
#[allow(unsafe_code, reason = "TIOCSCTTY has no safe form")]
fn with_terminal(command: Command) -> Command {
    beginning_with(command, || {
        nix::unistd::setsid()?;
        // SAFETY: takes numbers only.
        nix::errno::Errno::result(unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) })?;
        Ok(())
    })
}

/// A shell that has a terminal of its own, as a user has it.
struct Shell {
    child: Child,
    /// The process group of the hwtrace that was started last.
    hwtrace: i32,
    master: File,
    said: Receiver<Vec<u8>>,
    text: String,
}

impl Shell {
    fn start() -> Self {
        Self::start_program("sh", &["-i"])
    }

    /// Another program in the shell's place.
    fn start_program(program: &str, arguments: &[&str]) -> Self {
        let pty = nix::pty::openpty(None, None).unwrap();
        let stdio = || Stdio::from(pty.slave.try_clone().unwrap());
        let mut command = Command::new(program);
        command.args(arguments).stdin(stdio()).stdout(stdio()).stderr(stdio());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.env("PS1", "").env("TERM", "dumb");
        let child = with_terminal(command).spawn().unwrap();
        let master = File::from(pty.master);
        let mut from = master.try_clone().unwrap();
        let (chunks, said) = channel();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // An error where the last one has closed the terminal.
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                let _ = chunks.send(bytes[..count].to_vec());
            }
        });
        Self { hwtrace: 0, child, master, said, text: String::new() }
    }

    fn type_in(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).unwrap();
    }

    /// Waits until this was said, after what was waited for before; gives
    /// what was said in between.
    #[track_caller]
    fn until(&mut self, wanted: &str) -> String {
        loop {
            if let Some(at) = self.text.find(wanted) {
                let rest = self.text.split_off(at + wanted.len());
                let mut before = std::mem::replace(&mut self.text, rest);
                before.truncate(at);
                return before;
            }
            let chunk = self.said.recv_timeout(HANGS);
            let chunk = chunk.unwrap_or_else(|_| panic!("no `{wanted}`: {}", self.text));
            self.text.push_str(&String::from_utf8_lossy(&chunk));
        }
    }

    fn foreground(&self) -> i32 {
        nix::unistd::tcgetpgrp(&self.master).unwrap().as_raw()
    }

    fn own(&self) -> i32 {
        self.child.id() as i32
    }

    /// Waits until the shell has its terminal back.
    #[track_caller]
    fn until_foreground_is_own(&self) {
        self.until_foreground(|group| group == self.own());
    }

    #[track_caller]
    fn until_foreground(&self, is_right: impl Fn(i32) -> bool) {
        let begun = Instant::now();
        while !is_right(self.foreground()) {
            assert!(
                begun.elapsed() < SOON,
                "{} has it: {}",
                self.foreground(),
                self.text
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Starts hwtrace, with `cat` to watch.
    #[track_caller]
    fn start_hwtrace(&mut self, how: &str) {
        let script = "probe timer.s(100) {}";
        // The quotes are for the echo, which is not to match.
        let command = format!("{HWTRACE} -q -e '\\''{script}'\\'' -c cat");
        self.type_in(&format!("sh -c 'echo \"p\"id: $$.; exec {command}' {how}\n"));
        self.until("pid: ");
        self.hwtrace = self.until(".").parse().unwrap();
    }

    /// Waits until hwtrace is stopped, while the terminal stays the shell's.
    #[track_caller]
    fn until_hwtrace_is_stopped(&self) {
        let begun = Instant::now();
        let stat = format!("/proc/{}/stat", self.hwtrace);
        while !std::fs::read_to_string(&stat).unwrap().contains(") T ") {
            assert_eq!(self.foreground(), self.own(), "the terminal was taken");
            assert!(begun.elapsed() < SOON, "not stopped");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The shell has the terminal, and obeys.
    #[track_caller]
    fn obeys(&mut self) {
        self.type_in("echo 'I o''bey'\n");
        self.until("I obey");
        assert_eq!(self.foreground(), self.own());
    }

    /// `cat` has the terminal: it repeats a line after the terminal's echo.
    /// Typed before it has it, the echo might stand in the shell's own words.
    #[track_caller]
    fn cat_repeats(&mut self, line: &str) {
        let others = [self.own(), self.hwtrace];
        self.until_foreground(|group| !others.contains(&group));
        self.type_in(&format!("{line}\n"));
        self.until(line);
        self.until(line);
    }
}

impl Drop for Shell {
    /// What it started hangs up with the terminal.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn in_the_background_hwtrace_stops_with_a_target_that_wants_the_terminal() {
    let mut shell = Shell::start();
    shell.start_hwtrace("&");
    shell.until_hwtrace_is_stopped();
    shell.obeys();
    shell.type_in("fg\n");
    shell.cat_repeats("brought to the foreground");
    assert_ne!(shell.foreground(), shell.own());
    shell.type_in("\x04");
    shell.until_foreground_is_own();
    shell.obeys();
}

#[test]
fn ctrl_z_stops_target_and_hwtrace_and_the_shell_continues_both() {
    const CTRL_Z: &str = "\x1a";
    let mut shell = Shell::start();
    shell.start_hwtrace("");
    shell.cat_repeats("before");
    for how in ["fg", "bg"] {
        shell.type_in(CTRL_Z);
        shell.until_foreground_is_own();
        shell.until_hwtrace_is_stopped();
        shell.obeys();
        shell.type_in(&format!("{how}\n"));
        if how == "bg" {
            // It reads again, and is stopped for that.
            shell.obeys();
            shell.until_hwtrace_is_stopped();
            shell.type_in("fg\n");
        }
        shell.cat_repeats(&format!("after {how}"));
    }
    shell.type_in("\x04");
    shell.until_foreground_is_own();
    shell.obeys();
}

/// One that nobody could continue must not be stopped either: here hwtrace is
/// itself what the terminal was made for.
#[test]
fn ctrl_z_does_nothing_where_there_is_no_shell() {
    let arguments = ["-q", "-e", "probe timer.s(100) {}", "-c", "cat"];
    let mut alone = Shell::start_program(HWTRACE, &arguments);
    alone.cat_repeats("before");
    alone.type_in("\x1a");
    alone.cat_repeats("after");
    alone.type_in("\x04");
    assert!(end_of(&mut alone.child).is_some_and(|status| status.success()));
}

const TICKS: &str = r#"
    probe begin { println("armed") }
    probe timer.ms(2) { println("tick") }
    probe end { println("end") }"#;

#[test]
fn signals_that_are_ignored_stay_so() {
    let ignored = &[Signal::SIGHUP, Signal::SIGINT];
    let command = ignoring(Command::new(HWTRACE), ignored);
    let tracing = Hwtrace::by(command, &["-e", TICKS]).start();
    tracing.out().until("armed");
    for signal in ignored {
        tracing.signal(*signal);
    }
    for _ in 0..50 {
        assert_eq!(tracing.out().next().as_deref(), Some("tick"));
    }
    tracing.signal(Signal::SIGTERM);
    let ended = tracing.finish().expect(0);
    assert_eq!(ended.out.last().map(|line| &**line), Some("end"));
}

/// The lines on signals that this prints about itself.
fn signals_of(mut command: Command) -> Vec<String> {
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let line = |line: &&str| line.starts_with("SigBlk") || line.starts_with("SigIgn");
    text.lines().filter(line).map(str::to_owned).collect()
}

#[test]
fn a_command_begins_with_the_signals_that_hwtrace_began_with() {
    const HUP: &[Signal] = &[Signal::SIGHUP];
    const ALL: &[Signal] =
        &[Signal::SIGPIPE, Signal::SIGCHLD, Signal::SIGINT, Signal::SIGUSR1];
    for ignored in [&[], HUP, ALL] {
        let mut plain = Command::new("cat");
        plain.arg("/proc/self/status");
        let mut traced = Command::new(HWTRACE);
        traced.args(["-q", "-e", "probe timer.s(100) {}", "-c", "cat /proc/self/status"]);
        let expected = signals_of(ignoring(plain, ignored));
        assert_eq!(expected.len(), 2);
        assert_eq!(signals_of(ignoring(traced, ignored)), expected);
    }
}

/// Has a SIGINT wait from its start on: the earliest there can be.
fn interrupted(command: Command) -> Command {
    beginning_with(command, || {
        SigSet::from(Signal::SIGINT).thread_block()?;
        Ok(raise(Signal::SIGINT)?)
    })
}

#[test]
fn interrupted_before_its_release_the_command_is_not_begun() {
    let scratch = tempfile::tempdir().unwrap();
    let mark = scratch.path().join("mark");
    let script = r#"probe begin { println("begin") } probe end { println("end") }"#;
    let touch = format!("touch {}", mark.display());
    let command = interrupted(Command::new(HWTRACE));
    let ended = Hwtrace::by(command, &["-e", script, "-c", &touch]).run().expect(0);
    assert_eq!(ended.out, ["begin", "end"]);
    ended.says(&["the command was not run"]);
    assert!(!mark.exists());
}

#[test]
fn a_timer_that_is_always_due_keeps_no_end_away() {
    let script = r#"global n
        probe begin { println("armed") }
        probe timer.us(10) { for (i = 0; i < 100000; i++) n++ }"#;
    let start = |time: &[&str]| {
        let mut command = Command::new(HWTRACE);
        command.args(["-q", "-e", script]).args(time).stdout(Stdio::piped());
        command.spawn().unwrap()
    };
    let timed = end_of(&mut start(&["-T", "0.2"]));
    assert!(timed.is_some_and(|status| status.success()), "-T: {timed:?}");
    let mut child = start(&[]);
    until_written(child.stdout.as_ref().unwrap());
    signal(&child, Signal::SIGTERM);
    let ended = end_of(&mut child);
    assert!(ended.is_some_and(|status| status.success()), "SIGTERM: {ended:?}");
}

/// Waits until there is something to read, and reads nothing.
fn until_written(pipe: impl AsFd) {
    let mut entry = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
    let timeout = PollTimeout::try_from(HANGS).unwrap();
    assert_eq!(poll(&mut entry, timeout), Ok(1));
}

/// Starts hwtrace with a script that prints more than a pipe holds, and waits
/// until the pipe has something. Nobody reads it.
fn writes_too_much(
    script: &str,
    stderr: impl FnOnce(&PipeWriter) -> Stdio,
) -> (Child, PipeReader) {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = Command::new(HWTRACE);
    command.args(["-e", script, "-c", "true"]).env("NO_COLOR", "1");
    command.stderr(stderr(&writer)).stdout(writer);
    let child = command.spawn().unwrap();
    until_written(&reader);
    (child, reader)
}

/// Prints thousands of lines of 41 bytes.
fn lines(thousands: u32) -> String {
    let line = "println(\"0123456789012345678901234567890123456789\")";
    format!("for (i = 0; i < {thousands}000; i++) {line}")
}

#[test]
fn a_signal_gets_through_to_a_writer_that_nobody_reads() {
    let script =
        format!("probe begin {{ {} }} probe end {{ println(\"the end\") }}", lines(10));
    let (mut child, mut reader) = writes_too_much(&script, |_| Stdio::piped());
    signal(&child, Signal::SIGTERM);
    let ended = end_of(&mut child);
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
    let mut messages = String::new();
    child.stderr.take().unwrap().read_to_string(&mut messages).unwrap();
    assert!(messages.contains("the command was not run"), "{messages}");
    let mut written = Vec::new();
    reader.read_to_end(&mut written).unwrap();
    // What was not written is counted to the byte.
    let lost = messages.lines().find_map(|line| {
        line.strip_prefix("hwtrace: ")?.strip_suffix(
            " bytes of output not written: a signal came while nobody read the pipe",
        )
    });
    let lost: usize = lost.expect(&messages).replace(',', "").parse().unwrap();
    assert_eq!(written.len() + lost, 10 * 41_000 + "the end\n".len());
}

#[test]
fn nor_do_messages_into_the_same_pipe_keep_it() {
    let script = format!("probe begin {{ {} }}", lines(10));
    let same = |writer: &PipeWriter| Stdio::from(writer.try_clone().unwrap());
    let (mut child, reader) = writes_too_much(&script, same);
    signal(&child, Signal::SIGINT);
    let ended = end_of(&mut child);
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
    drop(reader);
}

#[test]
fn a_slow_reader_gets_everything() {
    let script = format!("probe begin {{ {} }}", lines(10));
    let (mut child, mut reader) = writes_too_much(&script, |_| Stdio::piped());
    let mut written = Vec::new();
    reader.read_to_end(&mut written).unwrap();
    assert_eq!(written.len(), 410_000);
    assert!(end_of(&mut child).is_some_and(|status| status.success()));
}

#[test]
fn a_reader_that_goes_ends_the_session_quietly() {
    let script = format!("probe begin {{ {} }}", lines(10));
    let (mut child, reader) = writes_too_much(&script, |_| Stdio::piped());
    drop(reader);
    assert!(end_of(&mut child).is_some_and(|status| status.success()));
    let mut messages = String::new();
    child.stderr.take().unwrap().read_to_string(&mut messages).unwrap();
    assert!(
        !messages.contains("error") && !messages.contains("not written"),
        "{messages}"
    );
}

#[test]
fn a_process_without_its_main_thread_is_told_from_one_that_has_ended() {
    let target = Target::start(&c("leaderless"), &[]);
    let ended = Hwtrace::attach("probe timer.s(100) {}", &target).run().expect(2);
    ended.says(&["the main thread of process", "has ended", "1 thread", "pthread_join"]);
    assert_eq!(target.finish().unwrap(), ["bye"]);
}

/// Names are cut where the terminal is narrow, and nowhere else.
#[test]
fn a_table_is_as_wide_as_the_terminal() {
    if !live() {
        return;
    }
    let mut shell = Shell::start();
    for (columns, cut) in [(160, false), (60, true)] {
        let line = format!(
            "stty rows 50 cols {columns}; {HWTRACE} demo --engine perf -q; echo e''nd\n"
        );
        shell.type_in(&line);
        let said = shell.until("end\r\n");
        assert_eq!(said.contains('…'), cut, "{columns}: {said}");
    }
}
