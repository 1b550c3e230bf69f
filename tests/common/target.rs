//! Targets that answer line by line.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

/// A test that waits for this long has failed.
pub(crate) const HANGS: Duration = Duration::from_secs(120);

/// The lines that a process prints, read as they come: no pipe ever fills.
pub(crate) struct Lines(Receiver<String>);

impl Lines {
    pub(crate) fn read(from: impl Read + Send + 'static) -> Self {
        let (lines, received) = channel();
        thread::spawn(move || {
            for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
                if lines.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
            }
        });
        Self(received)
    }

    /// The next line; none at the end.
    pub(crate) fn next(&self) -> Option<String> {
        match self.0.recv_timeout(HANGS) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("no line, and no end either"),
        }
    }

    /// All lines up to the end.
    pub(crate) fn rest(&self) -> Vec<String> {
        std::iter::from_fn(|| self.next()).collect()
    }

    /// Waits for this line; gives those before it.
    #[track_caller]
    pub(crate) fn until(&self, wanted: &str) -> Vec<String> {
        let mut before = Vec::new();
        while let Some(line) = self.next() {
            if line == wanted {
                return before;
            }
            before.push(line);
        }
        panic!("`{wanted}` never came, but {before:#?}");
    }
}

/// A process with pipes, killed when dropped.
pub(crate) struct Piped {
    pub(crate) child: Child,
    pub(crate) input: Option<ChildStdin>,
    pub(crate) out: Lines,
}

impl Piped {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let out = Lines::read(child.stdout.take().unwrap());
        Self { input: child.stdin.take(), child, out }
    }

    pub(crate) fn say(&mut self, line: &str) {
        // Whoever has ended can not listen; its status is looked at later.
        let _ = writeln!(self.input.as_mut().expect("open input"), "{line}");
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A target that the test started itself, for `-p`.
pub(crate) struct Target(Piped);

impl Target {
    /// Starts it, and waits until it is ready.
    pub(crate) fn start(program: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments);
        Self::start_command(command)
    }

    pub(crate) fn start_command(command: Command) -> Self {
        let target = Self(Piped::start(command));
        assert_eq!(target.line().as_deref(), Some("ready"));
        target
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.child.id()
    }

    pub(crate) fn line(&self) -> Option<String> {
        self.0.out.next()
    }

    pub(crate) fn say(&mut self, line: &str) {
        self.0.say(line);
    }

    /// Ends its input.
    pub(crate) fn close(&mut self) {
        self.0.input = None;
    }

    /// What it answers; none where it was killed.
    pub(crate) fn ask(&mut self, line: &str) -> Option<String> {
        self.say(line);
        self.line()
    }

    /// Ends its input and waits for its end; gives what it still printed. None
    /// where the machine killed it with SIGTRAP, see
    /// `despite_lost_traps`.
    pub(crate) fn finish(mut self) -> Option<Vec<String>> {
        self.close();
        let rest = self.0.out.rest();
        let status = self.0.child.wait().unwrap();
        if status.signal() == Some(Signal::SIGTRAP as i32) {
            return None;
        }
        assert!(status.success(), "{status}, {rest:#?}");
        Some(rest)
    }
}
