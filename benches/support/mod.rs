//! What the benchmarks share: the program that is measured, hwtrace attached
//! to it, and medians.
#![allow(dead_code, clippy::unwrap_used)] // Each benchmark uses its part; a failure ends it.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The binary under test.
pub(crate) const HWTRACE: &str = env!("CARGO_BIN_EXE_hwtrace");

/// Compiles the measured program.
pub(crate) fn compile_loop() -> PathBuf {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/support/loop.c");
    let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench-loop");
    let status =
        Command::new("cc").args(["-O2", "-o"]).arg(&program).arg(source).status();
    assert!(status.unwrap().success(), "cc failed");
    program
}

/// The measured program on its way.
pub(crate) struct Loop {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Loop {
    pub(crate) fn start() -> Self {
        let mut command = Command::new(compile_loop());
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// CPU time of one store, in nanoseconds; none where the program died of
    /// it, as some virtual machines lose debug traps (see the README).
    pub(crate) fn store(&mut self, times: u64) -> Option<f64> {
        writeln!(self.input, "{times}").ok()?;
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        Some(line.trim().parse::<f64>().ok()? / times as f64)
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// hwtrace with a script on a process, armed.
pub(crate) struct Attached {
    child: Child,
    messages: BufReader<std::process::ChildStderr>,
}

impl Attached {
    /// Starts hwtrace with a script on a target (`-p PID`, `-c CMD`), and
    /// comes back once it is armed.
    pub(crate) fn to(target: [&str; 2], script: &str) -> Self {
        let mut child = Command::new(HWTRACE)
            .args(["-v", "-e", script])
            .args(target)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut messages = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.starts_with("hwtrace: armed") {
            line.clear();
            assert_ne!(messages.read_line(&mut line).unwrap(), 0, "hwtrace ended early");
        }
        Self { child, messages }
    }

    /// The most memory that it had at once, in KiB; none where it has ended
    /// meanwhile with its target.
    pub(crate) fn peak_kib(&self) -> Option<f64> {
        let status = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(status).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        peak.trim().trim_end_matches(" kB").parse().ok()
    }

    /// Ends the session; gives its last line.
    pub(crate) fn end(mut self) -> String {
        let pid = nix::unistd::Pid::from_raw(self.child.id() as i32);
        // It may have ended with its target.
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT);
        self.child.wait().unwrap();
        self.messages.lines().last().unwrap().unwrap()
    }
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Whether cargo only wants to see that it runs (`cargo test --benches`).
pub(crate) fn only_trying() -> bool {
    !std::env::args().any(|argument| argument == "--bench")
}
