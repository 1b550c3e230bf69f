//! Runs a script natively and in the evaluator, which must agree.
#![allow(dead_code, unreachable_pub)]

#[path = "../../../lang/tests/common/types.rs"]
mod types;

use std::cell::RefCell;
use std::rc::Rc;

use hwtrace_compiler::ir::eval::{Datum, Evaluator, Host};
use hwtrace_compiler::ir::{Module, lower, verify};
use hwtrace_compiler::jit::Program;
use hwtrace_lang::ast::{ArgumentValue, ProbePoint};
use hwtrace_lang::data::{DataTypes, TypeRef};
use hwtrace_lang::diagnostic::Diagnostic;
use hwtrace_lang::environment::{Context, Environment, Point, PointId, TargetVariable};
use hwtrace_lang::span::Source;
use hwtrace_lang::{parse, sema};
use hwtrace_runtime::abi::objects::Wishes;
use hwtrace_runtime::abi::{FaultCode, Limits};
use hwtrace_runtime::event::{RawHit, Registers};
use hwtrace_runtime::schema::HitRecord;
use hwtrace_runtime::world::stacks::{Frame, Place, StackAt, Stacks};
use hwtrace_runtime::world::{Credentials, ProcessInfo, Signals, UserMemory, World};

/// What process memory looks like: from here on, so many bytes.
pub const MEMORY_BASE: u64 = 0x1000;
/// The bytes there are.
pub fn memory() -> Vec<u8> {
    let mut bytes = vec![0xff; 4096];
    bytes[..12].copy_from_slice(b"hello\nyou\0\x80\x01");
    let mut put = |at: u64, data: &[u8]| {
        let at = (at - MEMORY_BASE) as usize;
        bytes[at..at + data.len()].copy_from_slice(data);
    };
    // A `struct list` with two nodes.
    let list = types::CONFIG;
    put(list, &(-3i32).to_le_bytes());
    put(list + 8, &HEAD.to_le_bytes());
    put(list + 16, b"li\"st\0\0\0");
    for (number, coordinate) in [10i32, 20, 30, 40, 50, 60].iter().enumerate() {
        put(list + 24 + 4 * number as u64, &coordinate.to_le_bytes());
    }
    put(list + 48, &5u32.to_le_bytes());
    put(list + 52, &0x1234_56f5u32.to_le_bytes());
    put(list + 56, &1f32.to_le_bytes());
    put(list + 60, &[1, 0xff, 0xe1]);
    put(list + 64, &2.5f64.to_le_bytes());
    put(list + 72, &(-1.5f32).to_le_bytes());
    put(list + 76, &9i32.to_le_bytes());
    put(list + 80, &MEMORY_BASE.to_le_bytes());
    for (number, value) in [100i16, -2, -3, -4, -5, -6, -7, -8].iter().enumerate() {
        put(list + 88 + 2 * number as u64, &value.to_le_bytes());
    }
    for (node, id, next) in [(HEAD, 7i32, HEAD + 16), (HEAD + 16, 8, 0)] {
        put(node, &id.to_le_bytes());
        put(node + 8, &next.to_le_bytes());
    }
    let shown = types::SHOWN;
    let extents =
        [(MEMORY_BASE, 5u64), (1, 0), (list + 88, 2), (list + 88, 8), (list + 32, 2)];
    for (number, (data, length)) in extents.iter().enumerate() {
        put(shown + 16 * number as u64, &data.to_le_bytes());
        put(shown + 16 * number as u64 + 8, &length.to_le_bytes());
    }
    let numbers = [1u32, 9, 0, 9, 5, 9, 3, 4, 0, 0x8000_0000];
    for (number, value) in numbers.iter().enumerate() {
        put(shown + 80 + 4 * number as u64, &value.to_le_bytes());
    }
    bytes
}

/// The kernel's memory is the same, from here on.
pub const KERNEL: u64 = 0xffff_8880_0000_0000;
/// The first node of the list in memory.
pub const HEAD: u64 = 0x1200;

fn read_kernel(address: u64, out: &mut [u8]) -> usize {
    read(address.wrapping_sub(KERNEL).wrapping_add(MEMORY_BASE), out)
}

fn read(address: u64, out: &mut [u8]) -> usize {
    let bytes = memory();
    let start = usize::try_from(address.wrapping_sub(MEMORY_BASE)).unwrap_or(usize::MAX);
    let there = bytes.get(start..).unwrap_or_default();
    let length = there.len().min(out.len());
    out[..length].copy_from_slice(&there[..length]);
    length
}

struct Target;

/// The calls in the kernel at each hit.
const IN_KERNEL: [u64; 2] = [0xffff_ffff_8100_0010, 0xffff_ffff_8100_0021];

/// The stack of a thread has as many callers as its number is above 5; in thread 9 it
/// can not be walked to its end. Odd addresses are of what was inlined.
impl Stacks for Target {
    fn image(&mut self, pid: u32) -> u32 {
        pid
    }

    fn walk(&mut self, hit: &StackAt<'_>, out: &mut Vec<u64>) -> bool {
        out.push(hit.instruction);
        out.extend((5..u64::from(hit.tid)).map(|level| 0x40_2000 + level));
        hit.tid != 9
    }

    fn frame(&mut self, place: Place, each: &mut dyn FnMut(&Frame<'_>)) {
        let module = if place.image.is_some() { "/bin/demo" } else { "kernel" };
        let offset = place.address % 16;
        if offset % 2 == 1 {
            let line = Some(("small.h", 3));
            let function = Some("small");
            each(&Frame { function, line, inlined: true, ..Frame::default() });
        }
        let function = if place.returns { "outer" } else { "store" };
        let function = Some(function);
        each(&Frame { function, offset, size: 16, module, line: None, inlined: false });
    }
}

impl UserMemory for Target {
    fn read(&mut self, pid: u32, address: u64, out: &mut [u8]) -> usize {
        assert_eq!(pid, 7);
        read(address, out)
    }

    fn read_kernel(&mut self, address: u64, out: &mut [u8]) -> usize {
        read_kernel(address, out)
    }
}

impl ProcessInfo for Target {
    fn credentials(&mut self, _: u32) -> Option<Credentials> {
        Some(Credentials {
            parent: 1,
            user: 1000,
            effective_user: 1001,
            group: 100,
            effective_group: 101,
        })
    }

    fn arguments(&mut self, _: u32) -> Vec<u8> {
        b"cat\0-n\0".to_vec()
    }

    fn environment(&mut self, _: u32) -> Vec<u8> {
        b"HOMER=no\0HOME=/root\0".to_vec()
    }
}

/// Knows every point; those of processes have `$new` and `$old`, of the types
/// that the name of the data stands for.
#[derive(Default)]
struct Everything {
    points: Vec<Vec<TargetVariable>>,
    /// By point: the name of its objects.
    objects: Vec<Option<String>>,
    types: types::Types,
}

impl Environment for Everything {
    fn point(&mut self, point: &ProbePoint) -> Result<Point, Box<Diagnostic>> {
        let mut objects = None;
        let (context, variables) = match point.components[0].name.as_str() {
            "process" => {
                let argument = point.components[1].argument.as_ref();
                let watched = match argument.map(|argument| &argument.value) {
                    Some(ArgumentValue::String(name)) => Some(name.as_str()),
                    _ => None,
                };
                let is_of_objects = point.components[1].name == "watch";
                objects = watched.filter(|_| is_of_objects).map(str::to_owned);
                (Context::Data, self.types.variables(watched))
            }
            _ => (Context::Session, Vec::new()),
        };
        self.points.push(variables);
        self.objects.push(objects);
        Ok(Point { id: PointId(self.points.len() as u32 - 1), context })
    }

    fn variables(&self, point: PointId) -> &[TargetVariable] {
        self.points.get(point.0 as usize).map_or(&[], Vec::as_slice)
    }

    fn objects(&self, point: PointId) -> Option<&str> {
        self.objects.get(point.0 as usize)?.as_deref()
    }

    fn set_object_type(&mut self, point: PointId, ty: Option<TypeRef>) {
        self.points[point.0 as usize] = self.types.object_variables(ty);
    }

    fn types(&self) -> &dyn DataTypes {
        &self.types.table
    }
}

/// The script's module, verified.
pub fn module(script: &str, limits: &Limits) -> Module {
    accepted(script, limits).unwrap_or_else(|why| panic!("{why:#?}\nin\n{script:.2000}"))
}

/// The same of a script that may be refused.
pub fn accepted(script: &str, limits: &Limits) -> Result<Module, Vec<Diagnostic>> {
    let parsed = parse::parse(&Source::new("test.hwt", script), &[])?;
    let program = sema::check(&parsed, &mut Everything::default())?;
    let module = lower::lower(&program, limits);
    verify::verify(&module).unwrap_or_else(|why| panic!("{why}\n{module}"));
    Ok(module)
}

/// What can be seen of a run of a script.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// What was printed.
    pub output: String,
    /// What went to standard error.
    pub messages: String,
    /// How each handler's run ended that did not come to its end.
    pub faults: Vec<(FaultCode, u32)>,
    /// The text of the last fault with its own.
    pub fault_text: String,
    /// Scalar longs and doubles at the end.
    pub longs: Vec<i64>,
    /// Whether the script asked for the end.
    pub exit: bool,
    /// The objects that are to be watched.
    pub wishes: Wishes,
    /// The signals that it sent: to whom, and which.
    pub signals: Vec<(u32, i32)>,
}

/// The value of each register: its number, and the sign of its lower half.
fn register(number: u64) -> u64 {
    number << 32 | 0x8000_0000 | number
}

/// A hit in whose registers these values are.
fn set_registers(world: &mut World) {
    let values: Vec<u64> = (0..24).map(register).collect();
    let registers = Registers { mask: 0xff_ffff, values: &values };
    world.set_registers(&RawHit {
        watch: 0,
        pid: 7,
        tid: 7,
        cpu: 0,
        time: 0,
        ip: register(8),
        registers,
        ..RawHit::default()
    });
}

/// Keeps what is sent.
#[derive(Clone, Default)]
struct Sent(Rc<RefCell<Vec<(u32, i32)>>>);

impl Signals for Sent {
    fn send(&mut self, pid: u32, _: u64, signal: i32) -> Result<(), String> {
        self.0.borrow_mut().push((pid, signal));
        Ok(())
    }
}

/// Order of the runs: `begin`, then the hits, each for all data probes, then
/// `end`, those that print globals last.
fn order(module: &Module, hits: &[HitRecord]) -> Vec<(usize, HitRecord)> {
    let named = |start: &'static str| {
        let handlers = module.handlers.iter().enumerate();
        handlers.filter(move |(_, code)| code.name.starts_with(start)).map(|(at, _)| at)
    };
    let own = HitRecord { pid: 7, tid: 7, ..HitRecord::default() };
    let mut runs: Vec<_> = named("begin").map(|handler| (handler, own)).collect();
    for hit in hits {
        runs.extend(named("process").map(|handler| (handler, *hit)));
    }
    runs.extend(named("end").map(|handler| (handler, own)));
    runs
}

/// A hit like any other, by its number.
fn hit(number: u64) -> HitRecord {
    HitRecord {
        time: 1_000 * number,
        address: 0x40_1000 + 4 * (number % 5),
        data_address: MEMORY_BASE,
        old: number,
        new: number.wrapping_mul(number) % 1000,
        data_length: 8,
        user_mode: (number % 2) as u32,
        pid: 7,
        tid: 7 + (number % 3) as u32,
        ..HitRecord::default()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn native(module: &Module, limits: &Limits, runs: &[(usize, HitRecord)]) -> Seen {
    let program = Program::compile(module, false).unwrap();
    let mut world = World::new(program.layout(), limits);
    world.set_memory(Box::new(Target));
    world.set_process_info(Box::new(Target));
    world.set_target(7);
    world.set_stacks(Box::new(Target));
    let sent = Sent::default();
    world.set_signals(Box::new(sent.clone()));
    if program.layout().registers {
        set_registers(&mut world);
    }
    let name = world.intern(b"sh");
    let mut seen = Seen::default();
    for (handler, record) in runs {
        let record = HitRecord { execname: name, ..*record };
        if program.layout().stacks {
            let (pid, tid) = (record.pid, record.tid);
            let kernel_stack = &IN_KERNEL[..];
            world.set_stack(&RawHit { pid, tid, kernel_stack, ..RawHit::default() });
        }
        let ran = program.run(*handler, &mut world, &record);
        seen.faults.extend(ran.err().map(|fault| (fault.code, fault.site)));
    }
    seen.output = text(world.output());
    seen.messages = text(world.messages());
    seen.fault_text = text(world.fault_text());
    seen.longs = world.longs().to_vec();
    seen.exit = world.exit_requested();
    seen.signals = sent.0.take();
    seen.wishes = world.objects().take_wishes();
    seen
}

struct Session {
    record: HitRecord,
    probe: String,
    exit: bool,
    signals: Vec<(u32, i32)>,
    target: Target,
}

impl Host for Session {
    fn field(&mut self, name: &str) -> Datum {
        Datum::Long(match name {
            "time" => self.record.time as i64,
            "address" => self.record.address as i64,
            "data_address" => self.record.data_address as i64,
            "old" => self.record.old as i64,
            "new" => self.record.new as i64,
            "pid" => self.record.pid.into(),
            "tid" => self.record.tid.into(),
            "data_length" => self.record.data_length.into(),
            "user_mode" => self.record.user_mode.into(),
            "execname" => return Datum::Text(b"sh".to_vec()),
            _ => 0,
        })
    }

    fn call(&mut self, name: &str, args: &[Datum]) -> Datum {
        let text = |text: &str| Datum::Text(text.as_bytes().to_vec());
        let time = self.record.time as i64;
        match (name, args) {
            ("exit", []) => {
                self.exit = true;
                Datum::Long(0)
            }
            ("target", []) => Datum::Long(7),
            ("pp", []) => text(&self.probe),
            ("gettimeofday_us", []) => Datum::Long(time / 1000),
            ("gettimeofday_ns", []) => Datum::Long(time),
            ("ppid", []) => Datum::Long(1),
            ("uid", []) => Datum::Long(1000),
            ("euid", []) => Datum::Long(1001),
            ("gid", []) => Datum::Long(100),
            ("egid", []) => Datum::Long(101),
            ("cmdline_str", []) => text("cat -n"),
            ("env_var", [Datum::Text(name)]) if name == b"HOME" => text("/root"),
            ("env_var", _) => text(""),
            ("register_value", [Datum::Long(number)]) => {
                Datum::Long(register(*number as u64) as i64)
            }
            ("signal", [Datum::Long(signal)]) => {
                self.signals.push((7, *signal as i32));
                Datum::Long(0)
            }
            ("umodname" | "modname", [_]) => text("<unknown>"),
            ("usymaddr" | "is_counted", [Datum::Text(_)]) => Datum::Long(0),
            ("coverage", [_]) | ("weight", []) => Datum::double_of(1.0),
            (
                "usymdata" | "usymname" | "usymptr" | "symname" | "symdata" | "symptr",
                [Datum::Long(address)],
            ) => text(&format!("{address:#x}")),
            other => panic!("the test knows no helper {other:?}"),
        }
    }

    fn stacks(&mut self) -> &mut dyn Stacks {
        &mut self.target
    }

    fn kernel_stack(&mut self) -> Vec<u64> {
        IN_KERNEL.to_vec()
    }

    fn memory(&mut self, kernel: bool, address: u64, out: &mut [u8]) -> usize {
        if kernel { read_kernel(address, out) } else { read(address, out) }
    }
}

fn evaluated(module: &Module, runs: &[(usize, HitRecord)]) -> Seen {
    let mut evaluator = Evaluator::new(module);
    let mut seen = Seen::default();
    for (handler, record) in runs {
        let probe = module.layout.probes[*handler].clone();
        let signals = std::mem::take(&mut seen.signals);
        let (record, exit, target) = (*record, seen.exit, Target);
        let mut session = Session { record, probe, exit, signals, target };
        let ran = evaluator.run(*handler, &mut session);
        seen.signals = session.signals;
        seen.faults.extend(ran.err().map(|fault| (fault.code, fault.site)));
        seen.exit = session.exit;
    }
    seen.output = text(&evaluator.output);
    seen.messages = text(&evaluator.messages);
    seen.fault_text = text(&evaluator.fault_text);
    seen.longs = evaluator.longs;
    seen.wishes = evaluator.objects.take_wishes();
    seen
}

/// Runs the script both ways, with so many hits.
///
/// # Panics
/// Where the two disagree.
pub fn run_with(script: &str, limits: &Limits, hits: u64) -> Seen {
    let hits: Vec<HitRecord> = (0..hits).map(hit).collect();
    run_on(script, limits, &hits)
}

/// Runs the script both ways, with a hit for each new and old value.
pub fn on_values(script: &str, values: &[(u64, u64)]) -> Seen {
    let hit = |(new, old): &(u64, u64)| HitRecord { new: *new, old: *old, ..hit(0) };
    let hits: Vec<HitRecord> = values.iter().map(hit).collect();
    run_on(script, &Limits::default(), &hits)
}

fn run_on(script: &str, limits: &Limits, hits: &[HitRecord]) -> Seen {
    let module = module(script, limits);
    let runs = order(&module, hits);
    let native = native(&module, limits, &runs);
    let evaluated = evaluated(&module, &runs);
    assert_eq!(native, evaluated, "native and evaluated\n{module}");
    native
}

/// What a script without hits prints that ends without a fault.
pub fn output(script: &str) -> String {
    let seen = run_with(script, &Limits::default(), 0);
    assert_eq!(seen.faults, [], "{}", seen.fault_text);
    seen.output
}

/// The same of native code alone: what its helpers do is counted, which the
/// evaluator knows nothing of.
pub fn native_faults(script: &str, limits: &Limits) -> Vec<FaultCode> {
    let module = module(script, limits);
    let seen = native(&module, limits, &order(&module, &[]));
    seen.faults.into_iter().map(|(code, _)| code).collect()
}

/// The codes of the faults of a script without hits.
pub fn faults(script: &str, limits: &Limits) -> Vec<FaultCode> {
    let seen = run_with(script, limits, 0);
    seen.faults.into_iter().map(|(code, _)| code).collect()
}

/// xorshift64*
pub struct Random(pub u64);

impl Random {
    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % end as u64) as usize
    }

    /// One of these.
    pub fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}
