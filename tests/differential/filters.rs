//! Filters against the handlers that they are made of: a hit that is dropped is one
//! that the handler does nothing with.

use std::fmt::Write;
use std::rc::Rc;

use hwtrace_compiler::capture::{self, HandlerPlan};
use hwtrace_compiler::ir::Module;
use hwtrace_runtime::abi::Limits;
use hwtrace_runtime::attr::REGISTERS;
use hwtrace_runtime::bpf::filter::Trial;
use hwtrace_runtime::engine;
use hwtrace_runtime::kernel::Kernel;
use hwtrace_runtime::kernel::linux::Linux;
use hwtrace_runtime::plan::{self, Does, Filter, Input};
use hwtrace_runtime::schema::HitRecord;

use super::choices::{self, Choices};
use super::generate::Hit;
use super::oracle::{self, MEMORY_BASE, Seen};
use super::{Counts, setting};

const CONDITIONS: u64 = 2_000;
const HITS: usize = 24;

/// Whether the hit has a record.
fn passes(plans: &[HandlerPlan], hit: &Hit) -> bool {
    let filter = &plans[hit.handler].filter;
    filter.as_ref().is_none_or(|filter| filter.passes(&mut oracle::at_source(hit)))
}

/// Without the hits that filters drop, all is as it is with them; gives how many
/// they drop.
pub(crate) fn drop_what_does_nothing(
    module: &Module,
    hits: &[Hit],
    with: &Seen,
) -> Result<usize, String> {
    let plans = capture::plans(module);
    let kept: Vec<bool> = hits
        .iter()
        .map(|hit| hit.record.data_length == 0 || passes(&plans, hit))
        .collect();
    let passed = hits.iter().zip(&kept).filter(|(_, kept)| **kept);
    let passed: Vec<Hit> = passed.map(|(hit, _)| hit.clone()).collect();
    if passed.len() == hits.len() {
        return Ok(0);
    }
    let without = oracle::evaluated(module, &passed).with_own_texts();
    if without != with.only(&kept).with_own_texts() {
        return Err(format!("with {with:#?}\nwithout {without:#?}\nkept {kept:?}"));
    }
    Ok(hits.len() - passed.len())
}

/// A condition that plans can express, but for division.
struct Conditions(Choices);

impl Conditions {
    fn condition(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.comparison(0);
        }
        let depth = depth - 1;
        match self.0.below(7) {
            0 | 1 => self.comparison(depth),
            2 => format!("({} && {})", self.condition(depth), self.condition(depth)),
            3 => format!("({} || {})", self.condition(depth), self.condition(depth)),
            4 => format!("(! {})", self.condition(depth)),
            5 => format!(
                "({} ? {} : {})",
                self.condition(depth),
                self.condition(depth),
                self.long(depth)
            ),
            _ => self.long(depth),
        }
    }

    fn comparison(&mut self, depth: usize) -> String {
        if self.0.once_in(8) {
            let name = self.0.pick(&["read", "write", "update", "unknown", "none"]);
            return format!("(access() {} \"{name}\")", self.0.pick(&["==", "!="]));
        }
        let operator = self.0.pick(&["==", "!=", "<", "<=", ">", ">="]);
        format!("({} {operator} {})", self.long(depth), self.long(depth))
    }

    fn long(&mut self, depth: usize) -> String {
        let leaves = [
            "$new",
            "$old",
            "tid()",
            "pid()",
            "cpu()",
            "user_mode()",
            "data_addr()",
            "register(\"rdi\")",
            "register(\"eax\")",
            "u_register(\"r9d\")",
        ];
        if depth == 0 {
            return match self.0.below(3) {
                0 => self.number(),
                _ => self.0.pick(&leaves).to_owned(),
            };
        }
        let depth = depth - 1;
        match self.0.below(8) {
            0 | 1 => {
                let operator = self.0.pick(&["+", "-", "*", "&", "|", "^"]);
                format!("({} {operator} {})", self.long(depth), self.long(depth))
            }
            2 => {
                let operator = self.0.pick(&["<<", ">>", ">>>", "/", "%"]);
                format!("({} {operator} {})", self.long(depth), self.number())
            }
            3 => format!("({} {})", self.0.pick(&["-", "~"]), self.long(depth)),
            4 => {
                let name = self.0.pick(&["char", "uint16", "int", "long", "uint64"]);
                format!("user_{name}({})", self.address(depth))
            }
            _ => self.long(depth),
        }
    }

    fn address(&mut self, depth: usize) -> String {
        match self.0.below(3) {
            0 => (MEMORY_BASE + self.0.below(12) as u64).to_string(),
            1 => format!("({} + ({} & 15))", MEMORY_BASE, self.long(depth)),
            _ => self.long(depth),
        }
    }

    fn number(&mut self) -> String {
        let some = ["1", "2", "0", "3", "5", "-1", "63", "64", "255", "-3", "0x1000"];
        self.0.pick(&some).to_owned()
    }

    /// A handler that counts the hits for which something holds.
    fn handler(&mut self) -> String {
        let condition = self.condition(3);
        match self.0.below(5) {
            0 | 1 => format!("if ({condition}) hits++"),
            2 => format!("if (! {condition}) next\nhits++"),
            3 => format!("x = {condition}\nif (x) hits++"),
            _ => {
                let other = self.condition(2);
                format!("if ({condition}) next\nif ({other}) next\nhits++")
            }
        }
    }

    fn hit(&mut self) -> Hit {
        let choices = &mut self.0;
        let mut word = || match choices.below(4) {
            0 | 1 => choices.below(4) as u64,
            2 => choices.word(),
            _ => MEMORY_BASE + choices.below(12) as u64,
        };
        let (data_address, old, new) = (word(), word(), word());
        let record = HitRecord {
            data_address,
            old,
            new,
            pid: 1 + choices.below(4) as u32,
            tid: 1 + choices.below(4) as u32,
            cpu: choices.below(4) as u32,
            data_length: 8,
            access: choices.below(5) as u32,
            user_mode: choices.below(2) as u32,
            ..HitRecord::default()
        };
        Hit { handler: 0, record, execname: "a" }
    }
}

/// A script with one condition, and hits for it.
fn case(number: u64) -> (String, Vec<Hit>) {
    let seed = setting("HWTRACE_DIFF_SEED", 0) << 32 ^ number;
    let mut random = choices::Random::new(seed.wrapping_add(0x5eed));
    let list = (0..600).map(|_| random.next()).collect();
    let mut conditions = Conditions(Choices::new(list));
    let mut script = String::from("global hits\n");
    let handler = conditions.handler();
    writeln!(script, "probe process.data(\"x\").rw {{\n{handler}\n}}").unwrap();
    let list = (0..HITS * 16).map(|_| random.next()).collect();
    conditions.0 = Choices::new(list);
    (script, (0..HITS).map(|_| conditions.hit()).collect())
}

/// Tries filters in the kernel.
struct Source {
    kernel: Rc<dyn Kernel>,
}

impl Source {
    /// None where programs can not be run; that is said aloud.
    fn open() -> Option<Self> {
        let kernel: Rc<dyn Kernel> = Rc::new(Linux);
        match engine::bpf::probe(&kernel) {
            Ok(()) => Some(Self { kernel }),
            Err(error) => {
                eprintln!("SKIPPED: {error}");
                let required = std::env::var_os("HWTRACE_REQUIRE_LIVE").is_some();
                assert!(!required, "HWTRACE_REQUIRE_LIVE is set: {error}");
                None
            }
        }
    }

    /// The program of a filter; none of one that reads memory, which is not made up
    /// for the kernel (runtime/tests/bpf_programs.rs has some).
    fn trial(&self, filter: &Filter) -> Option<Trial> {
        let steps = filter.blocks.iter().flat_map(|block| &block.steps);
        let reads = |does: &Does| matches!(does, Does::Load { .. } | Does::Keep { .. });
        let plain = !steps.map(|step| &step.does).any(reads);
        plain.then(|| Trial::new(&self.kernel, filter).unwrap()).flatten()
    }
}

/// What a filter may look at.
fn inputs(hit: &Hit) -> Vec<(Input, u64)> {
    let source = oracle::at_source(hit);
    let registers = (0..24).filter(|it| REGISTERS >> it & 1 == 1).map(Input::Register);
    let others = [
        Input::Old,
        Input::New,
        Input::Pid,
        Input::Tid,
        Input::Cpu,
        Input::DataAddress,
        Input::UserMode,
        Input::Access,
    ];
    let of = |input| (input, plan::eval::Hit::input(&source, input) as u64);
    registers.chain(others).map(of).collect()
}

/// Runs the hits both ways and through the filter, in plain Rust and in the kernel.
fn judge(number: u64, source: Option<&Source>, counts: &mut Counts) {
    let (script, hits) = case(number);
    let limits = Limits::default();
    let (module, program) = oracle::compile(&script, &limits);
    let native = oracle::native(&module, &program, &limits, &hits);
    assert_eq!(native, oracle::evaluated(&module, &hits), "{script}");
    let plans = capture::plans(&module);
    let trial = plans[0].filter.as_ref().zip(source);
    let trial = trial.and_then(|(filter, source)| source.trial(filter));
    let mut seen = |what: &str| *counts.entry(what.to_owned()).or_default() += 1;
    let mut before = 0;
    for (at, hit) in hits.iter().enumerate() {
        let (counted, faulted) = (native.longs[at][0], native.faults[at].is_some());
        let does = counted != before || faulted;
        before = counted;
        let passes = passes(&plans, hit);
        assert!(passes || !does, "{script}\n{hit:#?}\n{:#?}", plans[0].filter);
        if let Some(trial) = &trial {
            let there = trial.passes(&inputs(hit)).unwrap();
            assert_eq!(there, passes, "{script}\n{hit:#?}\n{:#?}", plans[0].filter);
            seen("asked in the kernel");
        }
        seen(match (passes, does) {
            (true, true) => "passed, and rightly",
            (false, _) => "dropped",
            (true, false) if plans[0].filter.is_none() => "passed, without a filter",
            (true, false) => "passed, and done nothing with",
        });
        if faulted {
            seen("faults");
        }
    }
}

#[test]
fn filters_drop_what_the_handler_does_nothing_with() {
    let cases = setting("HWTRACE_DIFF_CASES", CONDITIONS);
    let mut counts = Counts::new();
    let source = Source::open();
    (0..cases).for_each(|number| judge(number, source.as_ref(), &mut counts));
    println!("{cases} conditions: {counts:?}");
    let share = |what: &str| {
        counts.get(what).copied().unwrap_or(0) as f64 / (cases * HITS as u64) as f64
    };
    assert!(share("dropped") > 0.2 && share("passed, and rightly") > 0.2, "{counts:?}");
    assert!(share("faults") > 0.01, "{counts:?}");
    assert!(source.is_none() || share("asked in the kernel") > 0.2, "{counts:?}");
    // Accesses that are not known, shifts by what is not constant.
    assert!(share("passed, and done nothing with") < 0.05, "{counts:?}");
}
