//! What the benchmarks share: the program that is measured, hwtrace attached
//! to it, and medians.
#![allow(dead_code, clippy::unwrap_used)] // Each benchmark uses its part; a failure ends it.

pub(crate) mod counting;

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

/// The binary under test.
pub(crate) const HWTRACE: &str = env!("CARGO_BIN_EXE_hwtrace");

/// Compiles the measured program, once.
pub(crate) fn compile_loop() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(compile).clone()
}

fn compile() -> PathBuf {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/support/loop.c");
    let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench-loop");
    let status =
        Command::new("cc").args(["-O2", "-g", "-o"]).arg(&program).arg(source).status();
    assert!(status.unwrap().success(), "cc failed");
    program
}

/// The measured program on its way.
pub(crate) struct Loop {
    program: PathBuf,
    child: Child,
    /// None once it was told to end.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Loop {
    pub(crate) fn start() -> Self {
        let program = compile_loop();
        let mut command = Command::new(&program);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        // Before that its mappings may not be there.
        assert_ne!(output.read_line(&mut String::new()).unwrap(), 0);
        Self { program, child, input, output }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where a symbol of it is.
    pub(crate) fn address_of(&self, symbol: &str) -> u64 {
        let process = hwtrace_probes::Process::open(self.pid()).unwrap();
        let executable = process.executable().unwrap();
        let found = executable.elf.find_data(symbol).unwrap();
        executable.bias.to_abs(found.address).0
    }

    /// Where the instruction is that stores.
    pub(crate) fn address_of_store(&self) -> u64 {
        let symbols = Command::new("nm").arg(&self.program).output().unwrap();
        let symbols = String::from_utf8(symbols.stdout).unwrap();
        let there = symbols.lines().find(|line| line.ends_with(" store_here")).unwrap();
        let offset = u64::from_str_radix(there.split(' ').next().unwrap(), 16).unwrap();
        let process = hwtrace_probes::Process::open(self.pid()).unwrap();
        let executable = process.executable().unwrap();
        executable.bias.to_abs(hwtrace_probes::VirtOffset(offset)).0
    }

    /// CPU time of one store, in nanoseconds; none where the program died of
    /// it, as some virtual machines lose debug traps (see the README).
    pub(crate) fn store(&mut self, times: u64) -> Option<f64> {
        self.store_timed(times).map(|(cpu, _)| cpu)
    }

    /// CPU time of one store, and the time that passed, in nanoseconds.
    pub(crate) fn store_timed(&mut self, times: u64) -> Option<(f64, f64)> {
        self.begin(times, std::time::Duration::ZERO)?;
        self.finish(times)
    }

    /// Begins to store so often, with a pause after each.
    pub(crate) fn begin(&mut self, times: u64, pause: std::time::Duration) -> Option<()> {
        writeln!(self.input.as_mut()?, "{times} {}", pause.as_nanos()).ok()
    }

    /// Waits until it has stored so often; times as in [`Loop::store_timed`].
    pub(crate) fn finish(&mut self, times: u64) -> Option<(f64, f64)> {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let (cpu, wall) = line.trim().split_once(' ')?;
        let each = |time: &str| Some(time.parse::<f64>().ok()? / times as f64);
        Some((each(cpu)?, each(wall)?))
    }

    /// Lets it end, as it does when nothing more is said to it.
    pub(crate) fn end(mut self) {
        drop(self.input.take());
        self.child.wait().unwrap();
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
    /// Starts hwtrace with a script and arguments (`-p PID`, `-c CMD`), and
    /// comes back once it is armed.
    pub(crate) fn to(target: &[&str], script: &str) -> Self {
        Self::writing(target, script, Path::new("/dev/null"))
    }

    /// The same, with its output in a file.
    pub(crate) fn writing(target: &[&str], script: &str, out: &Path) -> Self {
        let mut child = Command::new(HWTRACE)
            .args(["-v", "-e", script])
            .args(target)
            .stdin(Stdio::null())
            .stdout(File::create(out).unwrap())
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

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The most memory that it had at once, in KiB; none where it has ended
    /// meanwhile with its target.
    pub(crate) fn peak_kib(&self) -> Option<f64> {
        self.memory_kib("VmHWM:")
    }

    /// The memory that it has for itself now, the rings apart, in KiB.
    pub(crate) fn resident_kib(&self) -> f64 {
        self.memory_kib("RssAnon:").unwrap()
    }

    fn memory_kib(&self, which: &str) -> Option<f64> {
        let status = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(status).unwrap();
        let memory = status.lines().find_map(|line| line.strip_prefix(which))?;
        memory.trim().trim_end_matches(" kB").parse().ok()
    }

    /// Ends the session; gives its last line.
    pub(crate) fn end(self) -> String {
        let pid = nix::unistd::Pid::from_raw(self.child.id() as i32);
        // It may have ended with its target.
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT);
        self.finish()
    }

    /// Waits for the end of the session, which comes with that of its target; gives its
    /// last line.
    pub(crate) fn finish(mut self) -> String {
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
