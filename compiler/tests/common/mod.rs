//! Runs a script natively and in the evaluator, which must agree.
#![allow(dead_code, unreachable_pub)]

use std::cell::RefCell;
use std::rc::Rc;

use hwtrace_compiler::ir::eval::{Datum, Evaluator, Host};
use hwtrace_compiler::ir::{Module, lower, verify};
use hwtrace_compiler::jit::Program;
use hwtrace_lang::ast::ProbePoint;
use hwtrace_lang::diagnostic::Diagnostic;
use hwtrace_lang::environment::{Context, Environment, Point, PointId, TargetVariable};
use hwtrace_lang::span::Source;
use hwtrace_lang::types::Type;
use hwtrace_lang::{parse, sema};
use hwtrace_runtime::abi::{FaultCode, Limits};
use hwtrace_runtime::event::{RawHit, Registers};
use hwtrace_runtime::schema::HitRecord;
use hwtrace_runtime::world::{Credentials, ProcessInfo, Signals, UserMemory, World};

/// What process memory looks like: from here on, so many bytes.
pub const MEMORY_BASE: u64 = 0x1000;
/// The bytes there are.
pub fn memory() -> Vec<u8> {
    let mut bytes = vec![0xff; 4096];
    bytes[..12].copy_from_slice(b"hello\nyou\0\x80\x01");
    bytes
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

impl UserMemory for Target {
    fn read(&mut self, pid: u32, address: u64, out: &mut [u8]) -> usize {
        assert_eq!(pid, 7);
        read(address, out)
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

/// Knows every point; those of processes have `$new` and `$old`.
#[derive(Default)]
struct Everything(Vec<Context>);

const fn variable(name: &'static str) -> TargetVariable {
    TargetVariable { name, ty: Type::Long, field: name }
}

static DATA: [TargetVariable; 2] = [variable("new"), variable("old")];

impl Environment for Everything {
    fn point(&mut self, point: &ProbePoint) -> Result<Point, Box<Diagnostic>> {
        let context = match point.components[0].name.as_str() {
            "process" => Context::Data,
            _ => Context::Session,
        };
        self.0.push(context);
        Ok(Point { id: PointId(self.0.len() as u32 - 1), context })
    }

    fn variables(&self, point: PointId) -> &[TargetVariable] {
        match self.0.get(point.0 as usize) {
            Some(Context::Data) => &DATA,
            _ => &[],
        }
    }
}

/// The script's module, verified.
pub fn module(script: &str, limits: &Limits) -> Module {
    let source = Source::new("test.hwt", script);
    let refused = |why: Vec<Diagnostic>| -> ! { panic!("{why:#?}\nin\n{script:.2000}") };
    let parsed = parse::parse(&source, &[]).unwrap_or_else(|why| refused(why));
    let program = sema::check(&parsed, &mut Everything::default())
        .unwrap_or_else(|why| refused(why));
    let module = lower::lower(&program, limits);
    verify::verify(&module).unwrap_or_else(|why| panic!("{why}\n{module}"));
    module
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
        kernel: false,
        registers,
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

/// Order of the runs: `begin`, then a hit each for the data probes, then
/// `end`, those that print globals last.
fn order(module: &Module, hits: u64) -> Vec<(usize, HitRecord)> {
    let named = |start: &'static str| {
        let handlers = module.handlers.iter().enumerate();
        handlers.filter(move |(_, code)| code.name.starts_with(start)).map(|(at, _)| at)
    };
    let record = |number: u64| HitRecord {
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
    };
    let own = HitRecord { pid: 7, tid: 7, ..HitRecord::default() };
    let mut runs: Vec<_> = named("begin").map(|handler| (handler, own)).collect();
    for number in 0..hits {
        runs.extend(named("process").map(|handler| (handler, record(number))));
    }
    runs.extend(named("end").map(|handler| (handler, own)));
    runs
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
    let sent = Sent::default();
    world.set_signals(Box::new(sent.clone()));
    if program.layout().registers {
        set_registers(&mut world);
    }
    let name = world.intern(b"sh");
    let mut seen = Seen::default();
    for (handler, record) in runs {
        let record = HitRecord { execname: name, ..*record };
        let ran = program.run(*handler, &mut world, &record);
        seen.faults.extend(ran.err().map(|fault| (fault.code, fault.site)));
    }
    seen.output = text(world.output());
    seen.messages = text(world.messages());
    seen.fault_text = text(world.fault_text());
    seen.longs = world.longs().to_vec();
    seen.exit = world.exit_requested();
    seen.signals = sent.0.take();
    seen
}

struct Session {
    record: HitRecord,
    probe: String,
    exit: bool,
    signals: Vec<(u32, i32)>,
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
            ("usymdata" | "usymname" | "symname" | "symdata", [Datum::Long(address)]) => {
                text(&format!("{address:#x}"))
            }
            other => panic!("the test knows no helper {other:?}"),
        }
    }

    fn memory(&mut self, kernel: bool, address: u64, out: &mut [u8]) -> usize {
        if kernel { 0 } else { read(address, out) }
    }
}

fn evaluated(module: &Module, runs: &[(usize, HitRecord)]) -> Seen {
    let mut evaluator = Evaluator::new(module);
    let mut seen = Seen::default();
    for (handler, record) in runs {
        let probe = module.layout.probes[*handler].clone();
        let signals = std::mem::take(&mut seen.signals);
        let mut session = Session { record: *record, probe, exit: seen.exit, signals };
        let ran = evaluator.run(*handler, &mut session);
        seen.signals = session.signals;
        seen.faults.extend(ran.err().map(|fault| (fault.code, fault.site)));
        seen.exit = session.exit;
    }
    seen.output = text(&evaluator.output);
    seen.messages = text(&evaluator.messages);
    seen.fault_text = text(&evaluator.fault_text);
    seen.longs = evaluator.longs;
    seen
}

/// Runs the script both ways, with so many hits.
///
/// # Panics
/// Where the two disagree.
pub fn run_with(script: &str, limits: &Limits, hits: u64) -> Seen {
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

/// The codes of the faults of a script without hits.
pub fn faults(script: &str, limits: &Limits) -> Vec<FaultCode> {
    let seen = run_with(script, limits, 0);
    seen.faults.into_iter().map(|(code, _)| code).collect()
}
