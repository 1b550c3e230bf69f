//! Runs one script natively and in the evaluator, on the same hits.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::LazyLock;

use hwtrace::pipeline::{Parsed, Refused};
use hwtrace_compiler::capture;
use hwtrace_compiler::ir::eval::{Datum, Evaluator, Host};
use hwtrace_compiler::ir::{Module, Type};
use hwtrace_compiler::jit::Program;
use hwtrace_lang::span::Source;
use hwtrace_runtime::abi::objects::Wishes;
use hwtrace_runtime::abi::{Fault, FaultCode, Limits, syscalls};
use hwtrace_runtime::event::{Captured, RawHit, Registers};
use hwtrace_runtime::plan::{self, Input, Space};
use hwtrace_runtime::schema::{AccessKind, HitRecord};
use hwtrace_runtime::slots::coverage::Estimate;
use hwtrace_runtime::world::stacks::{Frame, Place, StackAt, Stacks};
use hwtrace_runtime::world::{
    Counts, Credentials, ProcessInfo, Signals, UserMemory, World,
};

use super::generate::{COUNTED, Hit};

/// Names of the watches, by number; the last number has none.
pub(crate) const DATA_NAMES: [&str; 2] = ["counter", "a name with blanks"];
/// Where the memory of all processes begins; it is a page.
pub(crate) const MEMORY_BASE: u64 = 0x1000;
const MEMORY_BYTES: usize = 0x1000;
const TARGET: u32 = 4711;
const TIME_OF_DAY_OFFSET_NS: i64 = 1_700_000_000_123_456_789;
const CREDENTIALS: Credentials = Credentials {
    parent: 1,
    user: 1000,
    effective_user: 1001,
    group: 100,
    effective_group: 101,
};

/// A fault and its place.
type Faulted = (FaultCode, u32);

/// A signal that was sent: to whom, and which.
type Sent = (u32, i32);

/// What can be seen of a session after its hits; a row a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// What was printed, as text for people to compare.
    pub(crate) output: Vec<String>,
    /// What went to standard error.
    pub(crate) messages: Vec<String>,
    /// How the run ended.
    pub(crate) faults: Vec<Option<Faulted>>,
    /// The text of the last fault that has one of its own.
    pub(crate) fault_texts: Vec<String>,
    /// The scalar longs and doubles.
    pub(crate) longs: Vec<Vec<i64>>,
    /// Signals that were sent by then.
    pub(crate) signals: Vec<Vec<Sent>>,
    /// Objects that are to be watched from then on, or not any more.
    pub(crate) wishes: Vec<Wishes>,
    /// Whether `exit()` was called.
    pub(crate) exit: Vec<bool>,
    /// By handler, whether its condition holds, or its fault.
    pub(crate) conditions: Vec<Vec<Result<bool, Faulted>>>,
}

/// The script's module and its native code.
///
/// # Panics
/// Where the script is refused: those that are generated are well-typed.
pub(crate) fn compile(script: &str, limits: &Limits) -> (Module, Program) {
    let module = module(script, limits);
    let program = Program::compile(&module, false).unwrap();
    (module, program)
}

impl Seen {
    /// Without the texts of faults that are not of their run: the last one stays
    /// until the next, and conditions fault, too.
    pub(crate) fn with_own_texts(mut self) -> Self {
        for (text, fault) in self.fault_texts.iter_mut().zip(&self.faults) {
            if fault.is_none_or(|(code, _)| !code.caught().is_empty()) {
                text.clear();
            }
        }
        self
    }

    /// The rows that are kept.
    pub(crate) fn only(&self, kept: &[bool]) -> Self {
        fn rows<T: Clone>(of: &[T], kept: &[bool]) -> Vec<T> {
            let rows = of.iter().zip(kept).filter(|(_, kept)| **kept);
            rows.map(|(row, _)| row.clone()).collect()
        }
        Self {
            output: rows(&self.output, kept),
            messages: rows(&self.messages, kept),
            faults: rows(&self.faults, kept),
            fault_texts: rows(&self.fault_texts, kept),
            longs: rows(&self.longs, kept),
            signals: rows(&self.signals, kept),
            wishes: rows(&self.wishes, kept),
            exit: rows(&self.exit, kept),
            conditions: rows(&self.conditions, kept),
        }
    }
}

/// The script's module, verified.
pub(crate) fn module(script: &str, limits: &Limits) -> Module {
    let source = Source::new("generated", script);
    let refused = |why: Refused| -> ! {
        let shown = |why| hwtrace::render::diagnostic(why, &source, false);
        let shown: Vec<_> = why.diagnostics.iter().map(shown).collect();
        panic!("{}\nin\n{script}", shown.join("\n"))
    };
    let parsed = Parsed::parse(source.clone(), &[]).unwrap_or_else(|why| refused(why));
    let checked = parsed.check(&[]).unwrap_or_else(|why| refused(why));
    let lowered =
        checked.lower(limits).unwrap_or_else(|why| panic!("{why}\nin\n{script}"));
    lowered.module().clone()
}

/// Runs the hits in native code, with what its plans read at the hit.
pub(crate) fn native(
    module: &Module,
    program: &Program,
    limits: &Limits,
    hits: &[Hit],
) -> Seen {
    let mut world = World::new(program.layout(), limits);
    world.set_target(TARGET);
    world.set_time_of_day_offset(TIME_OF_DAY_OFFSET_NS);
    world.set_memory(Box::new(Target));
    world.set_process_info(Box::new(Target));
    world.set_counts(Box::new(Target), [(COUNTED, 0..1)].into_iter());
    world.set_stacks(Box::new(Target));
    let signals = Post::default();
    world.set_signals(Box::new(signals.clone()));
    let plans = capture::plans(module);
    let mut seen = Seen::default();
    for hit in hits {
        // What is read at the hit is what would be read now.
        let words = match hit.record.data_length {
            0 => Vec::new(),
            _ => plans[hit.handler].reads.take(&mut at_source(hit)),
        };
        world.set_captured(hit.record.pid, Captured { words: &words });
        let execname = world.intern(hit.execname.as_bytes());
        let data_name = world.intern(data_name(&hit.record).as_bytes());
        let record = HitRecord { execname, data_name, ..hit.record };
        if program.layout().registers {
            world.set_registers(&captured(hit));
        }
        if program.layout().stacks {
            world.set_stack(&captured(hit));
        }
        let ended = program.run(hit.handler, &mut world, &record);
        seen.faults.push(ended.err().map(faulted));
        seen.output.push(show(&std::mem::take(world.output())));
        seen.messages.push(show(&std::mem::take(world.messages())));
        seen.fault_texts.push(show(world.fault_text()));
        seen.longs.push(longs(module, world.longs()));
        seen.signals.push(signals.0.borrow().clone());
        seen.wishes.push(world.objects().take_wishes());
        seen.exit.push(world.exit_requested());
        let holds = |handler| program.condition(handler, &mut world).map_err(faulted);
        seen.conditions.push((0..module.handlers.len()).map(holds).collect());
    }
    seen
}

/// Runs the hits in the evaluator.
pub(crate) fn evaluated(module: &Module, hits: &[Hit]) -> Seen {
    let mut evaluator = Evaluator::new(module);
    let (mut seen, mut exit, mut signals) = (Seen::default(), false, Vec::new());
    for hit in hits {
        let probe = &module.layout.probes[hit.handler];
        let mut session = Session { hit, probe, exit, signals, target: Target };
        let ended = evaluator.run(hit.handler, &mut session);
        (exit, signals) = (session.exit, session.signals);
        seen.signals.push(signals.clone());
        seen.wishes.push(evaluator.objects.take_wishes());
        seen.faults.push(ended.err().map(faulted));
        seen.output.push(show(&std::mem::take(&mut evaluator.output)));
        seen.messages.push(show(&std::mem::take(&mut evaluator.messages)));
        seen.fault_texts.push(show(&evaluator.fault_text));
        seen.longs.push(longs(module, &evaluator.longs));
        seen.exit.push(exit);
        let own = Hit::default();
        let nothing = Vec::new();
        let mut session =
            Session { hit: &own, probe, exit, signals: nothing, target: Target };
        let holds = |handler| evaluator.condition(handler, &mut session).map_err(faulted);
        seen.conditions.push((0..module.handlers.len()).map(holds).collect());
    }
    seen
}

fn faulted(fault: Fault) -> Faulted {
    (fault.code, fault.site)
}

/// Scalars as they are compared: no number is one, whatever its bits.
fn longs(module: &Module, words: &[i64]) -> Vec<i64> {
    let shown = words.iter().zip(&module.scalars).map(|(word, ty)| match ty {
        Type::Double if f64::from_bits(*word as u64).is_nan() => i64::MIN,
        _ => *word,
    });
    shown.collect()
}

fn show(output: &[u8]) -> String {
    output.escape_ascii().to_string()
}

/// Keeps the signals that are sent.
#[derive(Clone, Default)]
struct Post(Rc<RefCell<Vec<Sent>>>);

impl Signals for Post {
    fn send(&mut self, pid: u32, _: u64, signal: i32) -> Result<(), String> {
        self.0.borrow_mut().push((pid, signal));
        Ok(())
    }
}

/// The value of a register: its lower half is negative.
fn register(number: u64) -> u64 {
    number << 32 | 0xffff_ff00 | number
}

/// Name of the data that was hit.
fn data_name(record: &HitRecord) -> &'static str {
    DATA_NAMES.get(record.watch as usize).copied().unwrap_or_default()
}

/// The hit as an engine captures it: its registers are those that perf samples.
fn captured(hit: &Hit) -> RawHit<'static> {
    static VALUES: LazyLock<Vec<u64>> = LazyLock::new(|| (0..24).map(register).collect());
    let HitRecord { watch, pid, tid, cpu, time, .. } = hit.record;
    let registers = Registers { mask: 0xff_ffff, values: &VALUES };
    RawHit {
        watch,
        pid,
        tid,
        cpu,
        time,
        ip: register(8),
        registers,
        kernel_stack: in_kernel(&hit.record),
        ..RawHit::default()
    }
}

/// The calls in the kernel, which not each engine knows.
fn in_kernel(record: &HitRecord) -> &'static [u64] {
    if record.tid == 4 { &[] } else { &[0xffff_ffff_8100_0010, 0xffff_ffff_8100_0021] }
}

/// The hit as plans see it.
pub(crate) fn at_source(hit: &Hit) -> impl plan::eval::Hit + use<'_> {
    AtSource(&hit.record)
}

struct AtSource<'a>(&'a HitRecord);

impl plan::eval::Hit for AtSource<'_> {
    fn input(&self, input: Input) -> i64 {
        let record = self.0;
        match input {
            Input::Old => record.old as i64,
            Input::New => record.new as i64,
            Input::Pid => record.pid.into(),
            Input::Tid => record.tid.into(),
            Input::Cpu => record.cpu.into(),
            Input::DataAddress => record.data_address as i64,
            Input::UserMode => record.user_mode.into(),
            Input::Access => AccessKind::from_number(record.access) as i64,
            Input::Register(number) => register(number.into()) as i64,
        }
    }

    fn memory(&mut self, space: Space, address: u64, out: &mut [u8]) -> bool {
        space == Space::User && read(address, out) == out.len()
    }
}

/// What every process is to the scripts.
struct Target;

/// Reads the memory that all processes have; how many bytes there were.
fn read(address: u64, out: &mut [u8]) -> usize {
    let mut memory = vec![0xfe; MEMORY_BYTES];
    memory[..12].copy_from_slice(b"hello\nyou\0\x80\x01");
    let start = usize::try_from(address.wrapping_sub(MEMORY_BASE)).unwrap_or(usize::MAX);
    let there = memory.get(start..).unwrap_or_default();
    let length = there.len().min(out.len());
    out[..length].copy_from_slice(&there[..length]);
    length
}

/// A thread's stack has so many callers as its number, one less in odd processes, whose
/// stacks can not be walked to their ends. Odd addresses are of what was inlined, and
/// every fourth has no name.
impl Stacks for Target {
    fn image(&mut self, pid: u32) -> u32 {
        pid / 2
    }

    fn walk(&mut self, hit: &StackAt<'_>, out: &mut Vec<u64>) -> bool {
        let cut = hit.pid % 2;
        out.push(hit.instruction);
        out.extend((cut..hit.tid).map(|level| 0x40_2000 + u64::from(level)));
        cut == 0
    }

    fn frame(&mut self, place: Place, each: &mut dyn FnMut(&Frame<'_>)) {
        let module = if place.image == Some(1) { "/bin/demo" } else { "" };
        let offset = place.address % 16;
        let line = (offset > 2).then_some(("small.h", 3));
        if offset % 2 == 1 {
            let function = Some("small");
            each(&Frame { function, line, inlined: true, ..Frame::default() });
        }
        let name = if place.returns { "outer" } else { "store" };
        let function = (offset % 4 != 3).then_some(name);
        each(&Frame { function, offset, size: 16, module, line: None, inlined: false });
    }
}

/// What was seen of the data that is counted.
const SEEN: Estimate = Estimate {
    seen: 3,
    on_ns: 1,
    wanted_ns: 4,
    estimated: 11.7,
    variance: Some(4.0),
    bias: 0.0,
};

impl Counts for Target {
    fn of(&self, _: usize, _: u64) -> Estimate {
        SEEN
    }

    fn share(&self, _: Option<u32>, _: u64) -> f64 {
        0.125
    }
}

impl UserMemory for Target {
    fn read(&mut self, _: u32, address: u64, out: &mut [u8]) -> usize {
        read(address, out)
    }
}

impl ProcessInfo for Target {
    fn credentials(&mut self, _: u32) -> Option<Credentials> {
        Some(CREDENTIALS)
    }

    fn arguments(&mut self, _: u32) -> Vec<u8> {
        b"cat\0-n\0".to_vec()
    }

    fn environment(&mut self, _: u32) -> Vec<u8> {
        b"abc=no\0a=/root\0".to_vec()
    }
}

/// What the evaluator is told of a hit: written once more from the language's
/// reference, and independent of the helpers.
struct Session<'a> {
    hit: &'a Hit,
    probe: &'a str,
    exit: bool,
    signals: Vec<Sent>,
    target: Target,
}

impl Host for Session<'_> {
    fn field(&mut self, name: &str) -> Datum {
        let record = &self.hit.record;
        let text = |text: &str| Datum::Text(text.as_bytes().to_vec());
        Datum::Long(match name {
            "time" => record.time as i64,
            "address" => record.address as i64,
            "data_address" => record.data_address as i64,
            "old" => record.old as i64,
            "new" => record.new as i64,
            "pid" => record.pid.into(),
            "tid" => record.tid.into(),
            "cpu" => record.cpu.into(),
            "data_length" => record.data_length.into(),
            "exact" => record.exact.into(),
            "user_mode" => record.user_mode.into(),
            "count" => record.count.into(),
            "execname" => return text(self.hit.execname),
            "data_name" => return text(data_name(record)),
            other => panic!("the test knows no field `{other}`: teach it"),
        })
    }

    fn call(&mut self, name: &str, args: &[Datum]) -> Datum {
        let record = &self.hit.record;
        let time = (record.time as i64).wrapping_add(TIME_OF_DAY_OFFSET_NS);
        let text = |text: &str| Datum::Text(text.as_bytes().to_vec());
        match (name, args) {
            ("target", []) => Datum::Long(TARGET.into()),
            ("pp", []) => text(self.probe),
            ("syscall_name", []) => text(syscalls::name(record.syscall)),
            ("access", []) => text(AccessKind::from_number(record.access).name()),
            ("gettimeofday_ns", []) => Datum::Long(time),
            ("gettimeofday_us", []) => Datum::Long(time / 1_000),
            ("gettimeofday_ms", []) => Datum::Long(time / 1_000_000),
            ("gettimeofday_s", []) => Datum::Long(time / 1_000_000_000),
            ("umodname" | "modname", [_]) => text("<unknown>"),
            ("register_value", [Datum::Long(number)]) => {
                Datum::Long(register(*number as u64) as i64)
            }
            ("signal", [Datum::Long(signal)]) => {
                let hit = record.data_length != 0;
                self.signals
                    .push((if hit { record.pid } else { TARGET }, *signal as i32));
                Datum::Long(0)
            }
            ("usymaddr", [Datum::Text(_)]) => Datum::Long(0),
            ("is_counted", [Datum::Text(name)]) => {
                Datum::Long((name == COUNTED.as_bytes()).into())
            }
            ("seen", [_]) => Datum::Long(3),
            ("estimated", [_]) => Datum::Long(12),
            // 1.96 times the root of the variance.
            ("estimated_error", [_]) => Datum::Long(4),
            ("coverage", [Datum::Text(name)]) if name.is_empty() => {
                Datum::double_of(0.125)
            }
            ("coverage", [_]) => Datum::double_of(0.25),
            ("weight", []) => Datum::double_of(8.0),
            (
                "usymname" | "usymdata" | "usymptr" | "usymfileline" | "usymfile"
                | "usymline" | "symname" | "symdata" | "symptr" | "symfileline"
                | "symfile" | "symline",
                [Datum::Long(address)],
            ) => text(&format!("{address:#x}")),
            ("ppid", []) => Datum::Long(CREDENTIALS.parent.into()),
            ("uid", []) => Datum::Long(CREDENTIALS.user.into()),
            ("euid", []) => Datum::Long(CREDENTIALS.effective_user.into()),
            ("gid", []) => Datum::Long(CREDENTIALS.group.into()),
            ("egid", []) => Datum::Long(CREDENTIALS.effective_group.into()),
            ("cmdline_str", []) => text("cat -n"),
            ("env_var", [Datum::Text(name)]) if name == b"a" => text("/root"),
            ("env_var", [_]) => text(""),
            // There is one number below 1.
            ("randint", [Datum::Long(1)]) => Datum::Long(0),
            ("exit", []) => {
                self.exit = true;
                Datum::Long(0)
            }
            other => panic!("the test knows no helper {other:?}: teach it"),
        }
    }

    fn stacks(&mut self) -> &mut dyn Stacks {
        &mut self.target
    }

    fn kernel_stack(&mut self) -> Vec<u64> {
        in_kernel(&self.hit.record).to_vec()
    }

    fn memory(&mut self, kernel: bool, address: u64, out: &mut [u8]) -> usize {
        if kernel { 0 } else { read(address, out) }
    }
}
