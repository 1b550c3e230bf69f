//! Targets in C, and engines that watch them.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::rc::Rc;
use std::time::Duration;

use hwtrace_runtime::access::{CodeSource, Decoder, Function};
use hwtrace_runtime::attr::{EventSpec, Features, Role, Sampled};
use hwtrace_runtime::engine::perf::{PerfEngine, PerfOptions};
use hwtrace_runtime::engine::{Account, Armed, Engine, Flow};
use hwtrace_runtime::event::{AtHit, Event, RawHit, Trigger, Watch};
use hwtrace_runtime::kernel::linux::Linux;
use hwtrace_runtime::kernel::{Kernel, Taken};
use hwtrace_runtime::launch::{ChildState, launch};
use hwtrace_runtime::plan::{Lesson, Plan};

/// What takes so long has failed.
pub(crate) const HANGS: Duration = Duration::from_secs(20);

/// Whether this machine has breakpoints; says so aloud where it has none.
pub(crate) fn is_live() -> bool {
    let watch = Watch { address: 0x1000, length: 4, trigger: Trigger::Write };
    let spec = EventSpec {
        role: Role::Breakpoint { watch, sampled: Sampled::ALL },
        features: Features::NONE,
    };
    match Linux.perf_event_open(&spec, 0, 0) {
        Ok(event) => {
            Linux.close(event);
            true
        }
        Err(errno) => {
            eprintln!("SKIPPED: no hardware breakpoints here: {errno}");
            let required = std::env::var_os("HWTRACE_REQUIRE_LIVE");
            assert!(required.is_none_or(|value| value != "1"), "live tests required");
            false
        }
    }
}

/// Compiles a C program, without PIE, so that `nm` knows its addresses.
pub(crate) fn compile(name: &str, source: &str, flags: &[&str]) -> PathBuf {
    // Those that run twice at a time make their programs twice.
    let engine = std::env::var("HWTRACE_TEST_ENGINE").unwrap_or_default();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(engine);
    std::fs::create_dir_all(&folder).expect("a writable target folder");
    let (code, program) = (folder.join(format!("{name}.c")), folder.join(name));
    std::fs::write(&code, source).expect("a writable target folder");
    let mut cc = Command::new("cc");
    cc.args(["-O1", "-no-pie", "-pthread"]).args(flags);
    let status = cc.arg("-o").arg(&program).arg(&code).status().expect("a C compiler");
    assert!(status.success());
    program
}

/// Address and size of a symbol.
pub(crate) fn symbol(program: &Path, name: &str) -> (u64, u64) {
    let output = Command::new("nm").arg("-S").arg(program).output().expect("nm");
    let text = String::from_utf8_lossy(&output.stdout);
    let hex = |text: &str| u64::from_str_radix(text, 16).expect("a hexadecimal number");
    for line in text.lines() {
        if let [address, size, _, symbol] = line.split(' ').collect::<Vec<_>>()[..]
            && symbol == name
        {
            return (hex(address), hex(size));
        }
    }
    panic!("no symbol {name} in {}", program.display());
}

/// Threads for targets, which store ten times once told to go.
pub(crate) const BRIEF: &str = "
    #include <pthread.h>
    #include <stdio.h>
    volatile unsigned long counter;
    static volatile int going, ending;
    static unsigned long total;
    static void *brief(void *arg) {
        (void)arg;
        if (!going) return 0;
        for (int i = 0; i < 10; i++) counter = i;
        __atomic_fetch_add(&total, 10, __ATOMIC_RELAXED);
        return 0;
    }
";

/// A watch on stores to an eight-byte variable.
pub(crate) fn stores_to(program: &Path, name: &str) -> Watch {
    Watch { address: symbol(program, name).0, length: 8, trigger: Trigger::Write }
}

/// A hit as it was handed on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hit {
    pub(crate) watch: u32,
    pub(crate) pid: u32,
    pub(crate) tid: u32,
    pub(crate) time: u64,
    pub(crate) ip: u64,
    pub(crate) registers: u32,
    pub(crate) kernel: bool,
    pub(crate) interrupted: u32,
    pub(crate) syscall: Option<u32>,
    pub(crate) at_hit: AtHit,
}

/// All that came of a session.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    pub(crate) hits: Vec<Hit>,
    /// What was read at each of them.
    pub(crate) captured: Vec<Vec<u64>>,
    /// Names with the thread that took them, and whether by exec.
    pub(crate) names: Vec<(u32, String, bool)>,
    pub(crate) born: Vec<u32>,
    pub(crate) ended: Vec<u32>,
    pub(crate) mapped: Vec<String>,
    pub(crate) times: Vec<u64>,
    /// Sum of the losses that were reported.
    pub(crate) lost: u64,
    pub(crate) account: Account,
    /// Whether programs were run at hits.
    pub(crate) programs: bool,
}

impl Trace {
    /// Hits by thread.
    pub(crate) fn by_thread(&self) -> BTreeMap<u32, usize> {
        let mut counts = BTreeMap::new();
        self.hits.iter().for_each(|hit| *counts.entry(hit.tid).or_default() += 1);
        counts
    }

    /// Hits by process.
    pub(crate) fn by_process(&self) -> BTreeMap<u32, usize> {
        let mut counts = BTreeMap::new();
        self.hits.iter().for_each(|hit| *counts.entry(hit.pid).or_default() += 1);
        counts
    }

    /// Nothing lost, nothing out of order, and every counted hit there.
    pub(crate) fn assert_complete(&self, hits: usize) {
        assert_eq!(self.disturbed(hits), 0, "{:?}", self.account);
    }

    /// Every hit was counted, and none is missing or out of order in silence. Gives how
    /// many records were lost or late, see [`despite_stalls`].
    pub(crate) fn disturbed(&self, hits: usize) -> u64 {
        let Account { counted, lost, lost_sideband, late, .. } = &self.account;
        assert_eq!(counted.iter().sum::<u64>(), hits as u64);
        assert_eq!(self.hits.len() as u64 + lost, hits as u64, "{:?}", self.account);
        // Where programs have no room they say so; hits at which none was run are a fault.
        assert!(!self.programs || *lost == self.lost, "{lost} lost, {} told", self.lost);
        let mut latest = 0;
        let is_behind = |time: &&u64| {
            latest = latest.max(**time);
            **time < latest
        };
        let behind = self.times.iter().filter(is_behind).count();
        assert!(behind as u64 <= *late, "{behind} behind, {late} told of");
        lost + lost_sideband + late
    }

    fn add(&mut self, event: Event<'_>) -> Flow {
        match event {
            Event::Hit(hit) => {
                self.times.push(hit.time);
                self.hits.push(Hit {
                    watch: hit.watch,
                    pid: hit.pid,
                    tid: hit.tid,
                    time: hit.time,
                    ip: hit.ip,
                    registers: hit.registers.mask.count_ones(),
                    kernel: hit.kernel,
                    interrupted: hit.interrupted.mask.count_ones(),
                    syscall: hit.syscall,
                    at_hit: hit.at_hit,
                });
                self.captured.push(hit.captured.words.to_vec());
            }
            Event::Comm { time, tid, name, exec, .. } => {
                self.times.push(time);
                self.names.push((tid, String::from_utf8_lossy(name).into_owned(), exec));
            }
            Event::Fork { time, tid, .. } => {
                self.times.push(time);
                self.born.push(tid);
            }
            Event::Exit { time, tid, .. } => {
                self.times.push(time);
                self.ended.push(tid);
            }
            Event::Mmap { time, path, .. } => {
                self.times.push(time);
                self.mapped.push(String::from_utf8_lossy(path).into_owned());
            }
            Event::Lost { count } => self.lost += count,
        }
        Flow::Continue
    }
}

/// An engine on the real kernel, and what it reported.
pub(crate) struct Tracer {
    pub(crate) kernel: Rc<dyn Kernel>,
    pub(crate) engine: PerfEngine,
    pub(crate) trace: Trace,
    /// Who teaches it instructions.
    pub(crate) teacher: Option<Teacher>,
}

impl Tracer {
    pub(crate) fn new(options: PerfOptions) -> Self {
        let kernel: Rc<dyn Kernel> = Rc::new(Linux);
        // The tests of programs run all others with them.
        let engine = match std::env::var("HWTRACE_TEST_ENGINE").as_deref() {
            Ok("bpf") => PerfEngine::with_programs(Rc::clone(&kernel), options),
            _ => PerfEngine::new(Rc::clone(&kernel), options),
        };
        Self { kernel, engine, trace: Trace::default(), teacher: None }
    }

    /// One that runs programs at hits, by these plans.
    pub(crate) fn with_programs(options: PerfOptions, plans: &[Plan]) -> Self {
        let kernel: Rc<dyn Kernel> = Rc::new(Linux);
        let mut engine = PerfEngine::with_programs(Rc::clone(&kernel), options);
        engine.set_plans(plans);
        Self { kernel, engine, trace: Trace::default(), teacher: None }
    }

    pub(crate) fn arm(&mut self, pid: u32, watches: &[Watch]) -> Armed {
        self.engine.arm(pid, watches).expect("armed")
    }

    pub(crate) fn drain(&mut self, all: bool) {
        let (trace, teacher) = (&mut self.trace, &mut self.teacher);
        let mut lessons = Vec::new();
        let drained = self.engine.drain(all, &mut |event| {
            if let (Event::Hit(hit), Some(teacher)) = (&event, teacher.as_mut()) {
                lessons.extend(teacher.lesson(hit));
            }
            trace.add(event)
        });
        drained.expect("good records");
        lessons.iter().for_each(|lesson| self.engine.teach(lesson));
    }

    /// Drains until `seen` says so of what came.
    pub(crate) fn await_that(&mut self, seen: impl Fn(&Trace) -> bool) {
        let begun = std::time::Instant::now();
        while !seen(&self.trace) {
            assert!(begun.elapsed() < HANGS, "{:?}", self.trace.names);
            self.drain(false);
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Drains until `ended`, then disarms and takes what is left.
    pub(crate) fn follow(mut self, mut ended: impl FnMut() -> bool) -> Trace {
        while !ended() {
            self.drain(false);
            std::thread::sleep(Duration::from_millis(2));
        }
        self.finish()
    }

    pub(crate) fn finish(mut self) -> Trace {
        self.engine.disarm();
        self.drain(true);
        self.trace.account = self.engine.account();
        self.trace.programs = self.engine.name() == "bpf";
        self.trace
    }
}

/// Decodes the instructions of some functions.
pub(crate) struct Teacher {
    /// Address and size of each.
    functions: Vec<(u64, u64)>,
    decoder: Decoder,
    code: Vec<u8>,
}

impl Teacher {
    pub(crate) fn of(program: &Path, functions: &[&str]) -> Self {
        let functions = functions.iter().map(|name| symbol(program, name)).collect();
        Self { functions, decoder: Decoder::new(), code: Vec::new() }
    }

    /// What is to be known of an instruction that nobody told of.
    fn lesson(&mut self, hit: &RawHit<'_>) -> Option<Lesson> {
        let Self { functions, decoder, code } = self;
        if hit.at_hit.told.is_some() || hit.kernel {
            return None;
        }
        let access = decoder.decode(hit.pid, hit.ip, &mut Code { functions, code })?;
        Some(Lesson { pid: hit.pid, ip: hit.ip, rule: access.rule()? })
    }
}

struct Code<'a> {
    functions: &'a [(u64, u64)],
    code: &'a mut Vec<u8>,
}

impl CodeSource for Code<'_> {
    fn function(&mut self, pid: u32, address: u64) -> Option<Function<'_>> {
        let holds = |it: &&(u64, u64)| (it.0..=it.0 + it.1).contains(&address);
        let (start, size) = *self.functions.iter().find(holds)?;
        self.code.resize(size as usize, 0);
        Linux.read_memory(pid, start, self.code).ok()?;
        Some(Function { start, bytes: self.code, size })
    }
}

/// A target that speaks when it is ready, and waits for a line.
pub(crate) struct Target {
    pub(crate) child: Child,
    out: BufReader<ChildStdout>,
}

impl Target {
    pub(crate) fn start(program: &Path) -> Self {
        Self::start_with(program, &[])
    }

    pub(crate) fn start_with(program: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("started");
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut target = Self { child, out };
        assert_eq!(target.line(), "ready");
        target
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }

    /// Its next line, which must be this one. None where it was killed by SIGTRAP.
    pub(crate) fn says(&mut self, line: &str) -> Option<()> {
        let said = self.line();
        if said.is_empty() && is_trapped(self.child.wait().expect("our child")) {
            return None;
        }
        assert_eq!(said, line);
        Some(())
    }

    pub(crate) fn go(&mut self) {
        let input = self.child.stdin.as_mut().expect("a pipe");
        // Whoever has ended can not listen; its status is looked at later.
        let _ = input.write_all(b"go\n");
    }

    /// Kills it. None where SIGTRAP has done so before.
    pub(crate) fn kill(&mut self) -> Option<()> {
        self.child.kill().expect("our child");
        let status = self.child.wait().expect("our child");
        (!is_trapped(status)).then_some(())
    }

    /// Whether it was killed by SIGTRAP, see [`despite_lost_traps`].
    pub(crate) fn is_trapped(&mut self) -> bool {
        self.child.try_wait().expect("our child").is_some_and(is_trapped)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended, well.
    pub(crate) fn has_ended(&mut self) -> bool {
        let status = self.child.try_wait().expect("our child");
        assert!(status.is_none_or(|status| status.success()), "{status:?}");
        status.is_some()
    }

    /// Follows it to its end; gives its last line too. None where it was
    /// killed by SIGTRAP.
    pub(crate) fn follow(mut self, tracer: Tracer) -> Option<(String, Trace)> {
        let mut trapped = false;
        let trace = tracer.follow(|| {
            let Some(status) = self.child.try_wait().expect("our child") else {
                return false;
            };
            trapped = is_trapped(status);
            assert!(status.success() || trapped, "{status}");
            true
        });
        (!trapped).then(|| (self.line(), trace))
    }
}

fn is_trapped(status: ExitStatus) -> bool {
    status.signal() == Some(libc::SIGTRAP)
}

/// Calls `attempt` again where it tells of records that were lost or late, or of a first
/// drain that was: of a machine that holds a CPU for longer than the rings last, or than
/// their merge waits, see `hwtrace_runtime::merge`. One of three must be without. Says so
/// aloud.
pub(crate) fn despite_stalls(mut attempt: impl FnMut() -> u64) {
    for _ in 0..3 {
        let disturbed = attempt();
        if disturbed == 0 {
            return;
        }
        eprintln!("AGAIN: the machine stalled, as {disturbed} records tell");
    }
    panic!("records were lost or late, or taught too late, three times in a row");
}

/// Calls `attempt` again where the machine, and not hwtrace, killed the target
/// with SIGTRAP: a virtual machine that loses DR6, see the head of
/// `hwtrace_runtime::engine::perf`. Says so aloud.
pub(crate) fn despite_lost_traps<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    for _ in 0..5 {
        if let Some(done) = attempt() {
            return done;
        }
        eprintln!("AGAIN: the machine lost DR6 and killed the target with SIGTRAP");
        let info = std::fs::read_to_string("/proc/cpuinfo").expect("/proc");
        assert!(info.contains(" hypervisor"), "a SIGTRAP without a hypervisor");
    }
    panic!("killed by SIGTRAP five times in a row");
}

/// Launches a program with its watches armed and follows it to its end, which
/// must be a good one.
pub(crate) fn trace_program(
    program: &Path,
    watches: &[Watch],
    options: PerfOptions,
) -> (u32, Trace) {
    despite_lost_traps(|| follow_program(program, watches, Tracer::new(options.clone())))
}

/// Does so with this engine. None where the program was killed by SIGTRAP.
pub(crate) fn follow_program(
    program: &Path,
    watches: &[Watch],
    mut tracer: Tracer,
) -> Option<(u32, Trace)> {
    let arguments = [CString::new(program.as_os_str().as_bytes()).expect("a path")];
    let launched = launch(Rc::clone(&tracer.kernel), &arguments, &Taken::default())
        .expect("launched");
    let pid = launched.pid();
    let armed = tracer.arm(pid, watches);
    assert_eq!((armed.threads, armed.slots), (1, watches.len() as u32));
    let mut child = launched.release().expect("released");
    let mut trapped = false;
    let trace = tracer.follow(|| match child.poll().expect("our child") {
        ChildState::Running => false,
        ChildState::Exited { code: 0 } => true,
        ChildState::Killed { signal: libc::SIGTRAP } => {
            trapped = true;
            true
        }
        other => panic!("{other:?}"),
    });
    (!trapped).then_some((pid, trace))
}

/// For tests that need all debug registers of a thread, and those that take one of
/// each CPU for all threads: they wait for each other, whichever process they are in.
pub(crate) fn all_registers() -> std::fs::File {
    let path = concat!(env!("CARGO_TARGET_TMPDIR"), "/registers");
    let file = std::fs::File::create(path).expect("a file");
    file.lock().expect("locked");
    file
}

/// Runs one test of this file as a process of its own, as `nobody` where
/// asked, with HWTRACE_ALONE set.
pub(crate) fn run_alone(test: &str, nobody: bool) -> Output {
    let mut command = alone(test, nobody);
    let output = command.output().expect("a child");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{test} alone: {text}");
    output
}

/// The command of [`run_alone`].
pub(crate) fn alone(test: &str, nobody: bool) -> Command {
    let exe = std::env::current_exe().expect("our path");
    let mut command = match nobody && nix::unistd::geteuid().is_root() {
        true => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
            command.arg(exe);
            command
        }
        false => Command::new(exe),
    };
    command.args(["--exact", test, "--nocapture"]).env("HWTRACE_ALONE", "1");
    command
}

/// Whether we are what [`run_alone`] runs.
pub(crate) fn is_alone() -> bool {
    std::env::var_os("HWTRACE_ALONE").is_some()
}

/// Descriptors that are perf events, and mappings of rings, of this process.
pub(crate) fn perf_holdings() -> (usize, usize) {
    let links = std::fs::read_dir("/proc/self/fd").expect("/proc");
    let links = links.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    let events = links.filter(|link| link.as_os_str() == "anon_inode:[perf_event]");
    let maps = std::fs::read_to_string("/proc/self/maps").expect("/proc");
    let rings = maps.lines().filter(|line| line.contains("perf_event"));
    (events.count(), rings.count())
}
