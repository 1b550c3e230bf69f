//! hwtrace as a command.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::target::{Lines, Piped, Target};

/// The same command as the user nobody, who has no privilege.
pub(crate) fn nobody(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]);
    command.arg(program.as_ref()).current_dir("/");
    command
}

/// The program `tests/real/targets/NAME.rs`. Cargo builds it with the tests of
/// the workspace; it is built here where these are run without that package's.
pub(crate) fn real(name: &str) -> PathBuf {
    static BUILDING: Mutex<()> = Mutex::new(());
    let _alone = BUILDING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let hwtrace = Path::new(env!("CARGO_BIN_EXE_hwtrace"));
    let program = hwtrace.with_file_name(format!("real_{name}"));
    let source = format!("tests/real/targets/{name}.rs");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
    let changed = |file: &Path| fs::metadata(file).and_then(|file| file.modified());
    if changed(&program).is_ok_and(|built| built >= changed(&source).unwrap()) {
        return program;
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--package", "hwtrace-real", "--bins"]);
    assert!(cargo.status().unwrap().success(), "{name}");
    program
}

/// hwtrace as a command.
pub(crate) struct Hwtrace {
    command: Command,
}

/// hwtrace while it runs.
pub(crate) struct Started {
    process: Piped,
    messages: Lines,
}

/// What hwtrace left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// Standard output, the target's included where it was started with -c.
    pub(crate) out: Vec<String>,
    /// Standard error.
    pub(crate) messages: Vec<String>,
}

impl Hwtrace {
    /// hwtrace with these arguments.
    pub(crate) fn new(arguments: &[&str]) -> Self {
        Self::by(Command::new(env!("CARGO_BIN_EXE_hwtrace")), arguments)
    }

    /// The same from another command.
    pub(crate) fn by(mut command: Command, arguments: &[&str]) -> Self {
        command.args(arguments).stderr(Stdio::piped());
        command.env_remove("COLUMNS").env("NO_COLOR", "1");
        Self { command }
    }

    /// `-e SCRIPT -c COMMAND`
    pub(crate) fn script(script: &str, command: impl AsRef<Path>) -> Self {
        Self::new(&["-e", script, "-c", command.as_ref().to_str().unwrap()])
    }

    /// `-e SCRIPT -p PID`
    pub(crate) fn attach(script: &str, target: &Target) -> Self {
        Self::new(&["-e", script, "-p", &target.pid().to_string()])
    }

    /// One more argument, which may stand anywhere.
    pub(crate) fn with(mut self, arguments: &[&str]) -> Self {
        self.command.args(arguments);
        self
    }

    /// Has tables made for lines of so many columns.
    pub(crate) fn columns(mut self, columns: u32) -> Self {
        self.command.env("COLUMNS", columns.to_string());
        self
    }

    /// Writes the script's output to a file, where a target's can not come in
    /// between.
    pub(crate) fn writing_to(self, file: &Path) -> Self {
        self.with(&["-o", file.to_str().unwrap()])
    }

    /// Starts it with a pipe for its input, which a target of -c reads.
    pub(crate) fn start(self) -> Started {
        let mut process = Piped::start(self.command);
        let messages = Lines::read(process.child.stderr.take().unwrap());
        Started { process, messages }
    }

    /// Runs it to its end with this input.
    pub(crate) fn run_with(self, input: &str) -> Ended {
        let mut started = self.start();
        started.say(input);
        started.finish()
    }

    /// Runs it to its end with an empty line as input.
    pub(crate) fn run(self) -> Ended {
        self.run_with("")
    }
}

impl Started {
    pub(crate) fn pid(&self) -> u32 {
        self.process.child.id()
    }

    pub(crate) fn out(&self) -> &Lines {
        &self.process.out
    }

    pub(crate) fn messages(&self) -> &Lines {
        &self.messages
    }

    /// Says something to a target of -c.
    pub(crate) fn say(&mut self, line: &str) {
        self.process.say(line);
    }

    /// Ends the input.
    pub(crate) fn close(&mut self) {
        self.process.input = None;
    }

    /// Sends a signal to hwtrace, and to nobody else.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid() as i32), signal).unwrap();
    }

    /// Waits for hwtrace's end alone: a target of -c may go on, and be spoken
    /// to.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.process.child.wait().unwrap()
    }

    /// Ends the input and waits for the end of hwtrace and of what it started.
    pub(crate) fn finish(mut self) -> Ended {
        self.close();
        let out = self.process.out.rest();
        let messages = self.messages.rest();
        Ended { status: self.wait(), out, messages }
    }
}

/// The figures of the line at the end of each session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) hits: u64,
    pub(crate) lost: u64,
    pub(crate) armed: u64,
    pub(crate) threads: u64,
    pub(crate) slots: u64,
}

impl Ended {
    /// Checks the exit status.
    #[track_caller]
    pub(crate) fn expect(self, status: i32) -> Self {
        assert_eq!(self.status.code(), Some(status), "{self:#?}");
        self
    }

    /// Ended well, and the target of -c said this as its last word. None where
    /// the machine killed the target, see [`super::despite_lost_traps`].
    #[track_caller]
    pub(crate) fn done(self, last: &str) -> Option<Self> {
        let ended = self.expect(0);
        if ended.messages.iter().any(|line| line.contains("SIGTRAP")) {
            return None;
        }
        assert!(ended.out.iter().any(|line| line == last), "no `{last}`: {ended:#?}");
        Some(ended)
    }

    /// How long it took at most until what came later was armed, as it says itself.
    #[track_caller]
    pub(crate) fn armed_after(&self) -> Duration {
        let told =
            self.messages.iter().filter_map(|line| line.split_once("armed up to "));
        told.map(|(_, after)| duration(after)).max().unwrap_or_default()
    }

    /// The line at the end of the session.
    #[track_caller]
    pub(crate) fn summary(&self) -> &str {
        let found = self.messages.iter().find(|line| line.contains(" lost, engine "));
        found.unwrap_or_else(|| panic!("no line at the end: {self:#?}"))
    }

    /// The figures of that line.
    #[track_caller]
    pub(crate) fn figures(&self) -> Figures {
        let text = self.summary().replace(',', "").replace('/', " ");
        let words: Vec<_> = text.split_whitespace().collect();
        let after = |word: &str, places: usize| {
            let position = words.iter().position(|other| *other == word);
            words[position.unwrap_or_else(|| panic!("{text}")) + places].parse().unwrap()
        };
        let [_, hits, _, lost, "lost", ..] = words[..] else { panic!("{text}") };
        Figures {
            hits: hits.parse().unwrap(),
            lost: lost.parse().unwrap(),
            armed: after("armed", 1),
            threads: after("armed", 2),
            // `slots 4/4`, or `64 watches by turns on 4 of 4 slots`.
            slots: match words.last() {
                Some(&"slots") => after("turns", 2),
                _ => after("slots", 1),
            },
        }
    }

    /// All hits were seen, in all threads.
    #[track_caller]
    pub(crate) fn expect_figures(&self, hits: u64, threads: u64, slots: u64) {
        let expected = Figures { hits, lost: 0, armed: threads, threads, slots };
        assert_eq!(self.figures(), expected, "{:#?}", self.messages);
    }

    /// The same where some of the hits may be lost; gives how many, see
    /// [`super::despite_stalls`].
    #[track_caller]
    pub(crate) fn expect_figures_but_lost(
        &self,
        hits: u64,
        threads: u64,
        slots: u64,
    ) -> u64 {
        let lost = self.figures().lost;
        let hits = hits.checked_sub(lost).expect("no more than there were");
        let expected = Figures { hits, lost, armed: threads, threads, slots };
        assert_eq!(self.figures(), expected, "{:#?}", self.messages);
        lost
    }

    /// Standard error holds each of these.
    #[track_caller]
    pub(crate) fn says(&self, parts: &[&str]) -> &Self {
        let text = self.messages.join("\n");
        for part in parts {
            assert!(text.contains(part), "no `{part}` in:\n{text}");
        }
        self
    }

    /// The lines of standard output that begin with `tag`, without it, as
    /// numbers.
    #[track_caller]
    pub(crate) fn numbers(&self, tag: &str) -> Vec<Vec<u64>> {
        numbers(self.out.iter().filter_map(|line| line.strip_prefix(tag)))
    }
}

/// That with which a text begins, as `Duration` is printed.
#[track_caller]
fn duration(text: &str) -> Duration {
    let word = text.split(' ').next().unwrap_or_default();
    // The longer ends first.
    for (unit, seconds) in [("ns", 1e-9), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0)] {
        if let Some(number) = word.strip_suffix(unit) {
            return Duration::from_secs_f64(number.parse::<f64>().unwrap() * seconds);
        }
    }
    panic!("no time: {text}");
}

/// The numbers of each line.
#[track_caller]
pub(crate) fn numbers<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<Vec<u64>> {
    let number = |word: &str| word.parse::<i64>().map(|number| number as u64);
    let of_line = |line: &str| {
        let words = line.split_whitespace().map(|word| number(word).expect(line));
        words.collect()
    };
    lines.map(of_line).collect()
}
