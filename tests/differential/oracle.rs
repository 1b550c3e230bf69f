//! Runs one script natively and in the evaluator, on the same hits.

use hwtrace::pipeline::Parsed;
use hwtrace_compiler::ir::Module;
use hwtrace_compiler::ir::eval::{Datum, Evaluator, Host};
use hwtrace_compiler::jit::Program;
use hwtrace_lang::span::Source;
use hwtrace_runtime::abi::{FaultCode, Limits};
use hwtrace_runtime::schema::{AccessKind, HitRecord};
use hwtrace_runtime::world::World;

/// Names of the watches, by number; the last number has none.
pub(crate) const DATA_NAMES: [&str; 2] = ["counter", "a name with blanks"];
const TARGET: u32 = 4711;
const TIME_OF_DAY_OFFSET_NS: i64 = 1_700_000_000_123_456_789;

/// One run of a handler.
#[derive(Clone, Debug)]
pub(crate) struct Hit {
    pub(crate) handler: usize,
    pub(crate) record: HitRecord,
    /// The thread's name.
    pub(crate) execname: Vec<u8>,
}

/// What can be seen of a session after its hits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// What each run printed, as text for people to compare.
    pub(crate) output: Vec<String>,
    /// How each run ended.
    pub(crate) faults: Vec<Option<(FaultCode, u32)>>,
    /// The scalar longs after each run.
    pub(crate) longs: Vec<Vec<i64>>,
    /// Whether `exit()` was called, after each run.
    pub(crate) exit: Vec<bool>,
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

/// The script's module, verified.
pub(crate) fn module(script: &str, limits: &Limits) -> Module {
    let parsed = Parsed::parse(Source::new("generated", script), &[])
        .unwrap_or_else(|why| panic!("{:#?}\nin\n{script}", why.diagnostics));
    let checked = parsed
        .check(&[])
        .unwrap_or_else(|why| panic!("{:#?}\nin\n{script}", why.diagnostics));
    let lowered =
        checked.lower(limits).unwrap_or_else(|why| panic!("{why}\nin\n{script}"));
    lowered.module().clone()
}

/// Runs the hits in native code.
pub(crate) fn native(program: &Program, limits: &Limits, hits: &[Hit]) -> Seen {
    let mut world = World::new(program.layout(), limits);
    world.set_target(TARGET);
    world.set_time_of_day_offset(TIME_OF_DAY_OFFSET_NS);
    world.set_data_names(&DATA_NAMES.map(str::to_owned));
    let mut seen = Seen::default();
    for hit in hits {
        let execname = world.intern(&hit.execname);
        let record = HitRecord { execname, ..hit.record };
        let ended = program.run(hit.handler, &mut world, &record);
        seen.faults.push(ended.err().map(|fault| (fault.code, fault.site)));
        seen.output.push(show(&std::mem::take(world.output())));
        seen.longs.push(world.longs().to_vec());
        seen.exit.push(world.exit_requested());
    }
    seen
}

/// Runs the hits in the evaluator.
pub(crate) fn evaluated(module: &Module, hits: &[Hit]) -> Seen {
    let mut evaluator = Evaluator::new(module);
    let (mut seen, mut exit) = (Seen::default(), false);
    for hit in hits {
        let probe = &module.layout.probes[hit.handler];
        let mut session = Session { hit, probe, exit };
        let ended = evaluator.run(hit.handler, &mut session);
        exit = session.exit;
        seen.faults.push(ended.err().map(|fault| (fault.code, fault.site)));
        seen.output.push(show(&std::mem::take(&mut evaluator.output)));
        seen.longs.push(evaluator.longs.clone());
        seen.exit.push(exit);
    }
    seen
}

fn show(output: &[u8]) -> String {
    output.escape_ascii().to_string()
}

/// What the evaluator is told of a hit: written once more from the language's
/// reference, and independent of the helpers.
struct Session<'a> {
    hit: &'a Hit,
    probe: &'a str,
    exit: bool,
}

impl Host for Session<'_> {
    fn field(&mut self, name: &str) -> Datum {
        let record = &self.hit.record;
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
            "execname" => return Datum::Text(self.hit.execname.clone()),
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
            ("access", []) => text(AccessKind::from_number(record.access).name()),
            ("data_name", []) => {
                text(DATA_NAMES.get(record.watch as usize).copied().unwrap_or_default())
            }
            ("gettimeofday_ns", []) => Datum::Long(time),
            ("gettimeofday_us", []) => Datum::Long(time / 1_000),
            ("gettimeofday_ms", []) => Datum::Long(time / 1_000_000),
            ("gettimeofday_s", []) => Datum::Long(time / 1_000_000_000),
            ("usymname" | "usymdata", [Datum::Long(address)]) => {
                text(&format!("{address:#x}"))
            }
            ("exit", []) => {
                self.exit = true;
                Datum::Long(0)
            }
            other => panic!("the test knows no helper {other:?}: teach it"),
        }
    }
}
