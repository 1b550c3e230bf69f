//! The target, and who watches it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use hwtrace_runtime::engine::ptrace::{PtraceEngine, probe, probe_steps};
use hwtrace_runtime::engine::{Account, Engine, Flow};
use hwtrace_runtime::event::{Event, Told, Trigger, Watch};
use hwtrace_runtime::kernel::Kernel;
use hwtrace_runtime::kernel::linux::Linux;

/// Which engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ptrace,
    Step,
}

/// What hangs has failed.
pub(crate) const HANGS: Duration = Duration::from_secs(60);
/// What ends by waiting for somebody who does not answer takes longer, each time.
const PROMPT: Duration = Duration::from_millis(900);

/// Asserts that none of these hung, and that most were prompt: a busy machine may hold up
/// some.
#[track_caller]
pub(crate) fn assert_prompt(mut times: Vec<Duration>) {
    times.sort_unstable();
    assert!(times[times.len() / 2] < PROMPT, "{times:?}");
    assert!(times[times.len() - 1] < HANGS, "{times:?}");
}

/// Does it with each engine that works here.
pub(crate) fn each_engine(act: impl Fn(Kind)) {
    let kernel: Rc<dyn Kernel> = Rc::new(Linux);
    for (kind, usable) in
        [(Kind::Ptrace, probe(&kernel)), (Kind::Step, probe_steps(&kernel))]
    {
        match usable {
            Ok(()) => act(kind),
            Err(why) => {
                eprintln!("SKIPPED: not {kind:?}: {why}");
                let required = std::env::var_os("HWTRACE_REQUIRE_LIVE");
                assert!(required.is_none_or(|value| value != "1"), "{why}");
            }
        }
    }
}

/// Compiled once.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("traced");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/traced/target.c");
        let mut cc = Command::new("cc");
        cc.args(["-O1", "-no-pie", "-pthread", source, "-o"]).arg(&program);
        assert!(cc.status().expect("a C compiler").success());
        program
    })
}

/// A program that waits to be told to go.
pub(crate) struct Target {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Target {
    pub(crate) fn start(what: &str, number: usize) -> Self {
        let mut command = Command::new(program());
        command.args([what, &number.to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("started");
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut target = Self { child, out };
        assert_eq!(target.line(), "ready");
        target
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }

    pub(crate) fn go(&mut self) {
        self.child.stdin.as_mut().expect("a pipe").write_all(b"\n").expect("a reader");
    }

    pub(crate) fn signal(&self, signal: i32) {
        Linux.kill(self.pid(), false, signal).expect("it is there");
    }

    /// A signal with a value, by kill(1): sigqueue(3) takes a pointer.
    pub(crate) fn queue(&self, signal: i32, value: i32) {
        let mut kill = Command::new("/bin/kill");
        kill.args(["--queue", &value.to_string(), "--signal", &signal.to_string()]);
        assert!(kill.arg(self.pid().to_string()).status().expect("util-linux").success());
    }

    pub(crate) fn await_state(&self, state: char) {
        let begun = Instant::now();
        while self.state() != state {
            assert!(begun.elapsed() < HANGS, "{}", self.state());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Stops it, and waits until it runs no more: it has taken the signal then.
    pub(crate) fn stop(&self) {
        self.signal(libc::SIGSTOP);
        let begun = Instant::now();
        let pends = || {
            let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
            let status = status.expect("it is there");
            let set = status.lines().find_map(|line| line.strip_prefix("ShdPnd:"));
            let set = u64::from_str_radix(set.expect("a mask").trim(), 16);
            set.expect("a number") & 1 << (libc::SIGSTOP - 1) != 0
        };
        while pends() {
            assert!(begun.elapsed() < HANGS, "{}", self.state());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// What a variable of eight bytes holds.
    pub(crate) fn value(&self, name: &str) -> u64 {
        let mut bytes = [0; 8];
        let read = Linux.read_memory(self.pid(), self.symbol(name).0, &mut bytes);
        read.expect("it is there");
        u64::from_ne_bytes(bytes)
    }

    /// What proc_pid_stat(5) calls it.
    fn state(&self) -> char {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()));
        let stat = stat.expect("it is there");
        stat.rsplit_once(") ").and_then(|it| it.1.chars().next()).expect("a state")
    }

    /// Address and size of a symbol.
    pub(crate) fn symbol(&self, name: &str) -> (u64, u64) {
        let output = Command::new("nm").arg("-S").arg(program()).output().expect("nm");
        let text = String::from_utf8_lossy(&output.stdout);
        let hex = |text: &str| u64::from_str_radix(text, 16).expect("a number");
        let found = text.lines().find_map(|line| {
            let [address, size, _, symbol] = line.split(' ').collect::<Vec<_>>()[..]
            else {
                return None;
            };
            (symbol == name).then(|| (hex(address), hex(size)))
        });
        found.unwrap_or_else(|| panic!("no symbol {name}"))
    }

    pub(crate) fn stores_to(&self, name: &str) -> Watch {
        Watch { address: self.symbol(name).0, length: 8, trigger: Trigger::Write }
    }

    pub(crate) fn attach(&self, kind: Kind, names: &[&str]) -> Watching {
        let watches: Vec<_> = names.iter().map(|name| self.stores_to(name)).collect();
        Watching::attach(kind, self.pid(), &watches)
    }

    /// Lets it go, watched, to its end; gives its last line.
    pub(crate) fn watched(self, kind: Kind, names: &[&str]) -> (String, Watching) {
        let watching = self.attach(kind, names);
        self.follow(watching)
    }

    /// The same where it is watched already.
    pub(crate) fn follow(mut self, mut watching: Watching) -> (String, Watching) {
        // One that went already does not read it.
        let _ = self.child.stdin.as_mut().expect("a pipe").write_all(b"\n");
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("our child") {
                break status;
            }
            assert!(begun.elapsed() < HANGS, "it does not come to its end");
            watching.drain();
            std::thread::sleep(Duration::from_millis(1));
        };
        let line = self.line();
        assert!(status.success(), "{status}: {line}");
        watching.engine.disarm();
        watching.finish_drain();
        (line, watching)
    }

    /// Lets it go to its end, watched by nobody.
    pub(crate) fn last_line(mut self) -> String {
        let line = self.line();
        let status = self.child.wait().expect("our child");
        assert!(status.success(), "{status}: {line}");
        line
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A hit as it was handed on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hit {
    pub(crate) watch: u32,
    pub(crate) pid: u32,
    pub(crate) time: u64,
    pub(crate) ip: u64,
    pub(crate) registers: u32,
    pub(crate) kernel: bool,
    pub(crate) syscall: Option<u32>,
    pub(crate) memory: Option<u64>,
    pub(crate) old: Option<u64>,
    pub(crate) told: Option<Told>,
}

/// An engine, and what it reported.
pub(crate) struct Watching {
    pub(crate) engine: PtraceEngine,
    watches: Vec<Watch>,
    /// Whether images are armed that are executed.
    pub(crate) arm_executed: bool,
    pub(crate) hits: Vec<Hit>,
    pub(crate) born: Vec<u32>,
    pub(crate) ended: Vec<u32>,
    pub(crate) names: Vec<(u32, String, bool)>,
    lost: u64,
    times: Vec<u64>,
    /// Once it is disarmed.
    account: Account,
}

impl Watching {
    pub(crate) fn new(kind: Kind) -> Self {
        let kernel: Rc<dyn Kernel> = Rc::new(Linux);
        let engine = match kind {
            Kind::Ptrace => PtraceEngine::new(kernel),
            Kind::Step => PtraceEngine::with_steps(kernel),
        };
        Self {
            engine,
            watches: Vec::new(),
            arm_executed: false,
            hits: Vec::new(),
            born: Vec::new(),
            ended: Vec::new(),
            names: Vec::new(),
            lost: 0,
            times: Vec::new(),
            account: Account::default(),
        }
    }

    pub(crate) fn attach(kind: Kind, pid: u32, watches: &[Watch]) -> Self {
        let mut watching = Self::new(kind);
        watching.engine.arm(pid, watches).expect("armed");
        watching.watches = watches.to_vec();
        watching
    }

    pub(crate) fn drain(&mut self) {
        self.take(false);
    }

    /// What is left after it was disarmed.
    pub(crate) fn finish_drain(&mut self) {
        self.take(true);
        self.account = self.engine.account();
    }

    fn take(&mut self, all: bool) {
        let Self { hits, born, ended, names, lost, times, .. } = self;
        let mut executed = Vec::new();
        let drained = self.engine.drain(all, &mut |event| {
            match event {
                Event::Hit(hit) => {
                    times.push(hit.time);
                    hits.push(Hit {
                        watch: hit.watch,
                        pid: hit.pid,
                        time: hit.time,
                        ip: hit.ip,
                        registers: hit.registers.mask.count_ones(),
                        kernel: hit.kernel,
                        syscall: hit.syscall,
                        memory: hit.at_hit.memory,
                        old: hit.at_hit.old,
                        told: hit.at_hit.told,
                    });
                }
                Event::Comm { pid, tid, name, exec, .. } => {
                    names.push((tid, String::from_utf8_lossy(name).into_owned(), exec));
                    executed.extend(exec.then_some(pid));
                }
                Event::Fork { tid, .. } => born.push(tid),
                Event::Exit { tid, .. } => ended.push(tid),
                Event::Lost { count } => *lost += count,
                Event::Mmap { .. } => {}
            }
            Flow::Continue
        });
        drained.expect("the guardian is there");
        for pid in executed.into_iter().filter(|_| self.arm_executed) {
            let watches: Vec<_> = self.watches.iter().copied().map(Some).collect();
            self.engine.attach(pid, &watches).expect("armed");
        }
    }

    /// Drains until there are as many hits.
    pub(crate) fn await_hits(&mut self, count: usize) {
        let begun = Instant::now();
        while self.hits.len() < count {
            assert!(begun.elapsed() < HANGS, "{} hits", self.hits.len());
            self.drain();
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Drains for a while.
    pub(crate) fn rest(&mut self, time: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < time {
            self.drain();
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The target is traced by another process: it needs nobody who drains to say so.
    pub(crate) fn until_line(&mut self, target: &mut Target, line: &str) {
        self.drain();
        assert_eq!(target.line(), line);
    }

    /// As many hits came as were counted, in the order of time, and none is lost.
    pub(crate) fn assert_complete(&self, hits: usize) {
        let Account { counted, lost, dropped, .. } = &self.account;
        let counted = counted.iter().sum::<u64>();
        assert_eq!((self.hits.len(), counted, self.lost), (hits, hits as u64, 0));
        assert_eq!((*lost, *dropped), (0, 0));
        assert!(self.times.is_sorted());
    }
}
