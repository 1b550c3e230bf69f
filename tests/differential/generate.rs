//! Well-typed programs with the hits that they run on, made from choices.
//!
//! The names are the same in all programs: of each type some globals and some
//! locals, arrays of many shapes, and functions; so whatever is put together
//! has a type. `g t e x` are global longs, texts, doubles and statistics,
//! `l s d` locals.

#[path = "generate/expression.rs"]
mod expression;
#[path = "generate/format.rs"]
mod format;
#[path = "generate/statement.rs"]
mod statement;

use std::fmt::Write;

use hwtrace_lang::builtins::{Available, BUILTINS, Builtin};
use hwtrace_lang::types::Type::{self, Double, Long, Stats, String as Text};
use hwtrace_runtime::abi::Limits;
use hwtrace_runtime::abi::registers::REGISTERS;
use hwtrace_runtime::schema::HitRecord;

use super::choices::Choices;
use super::oracle::MEMORY_BASE;

/// A program with what it runs under and on.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) script: String,
    pub(crate) limits: Limits,
    pub(crate) hits: Vec<Hit>,
}

/// One run of a handler.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hit {
    pub(crate) handler: usize,
    pub(crate) record: HitRecord,
    /// The thread's name.
    pub(crate) execname: &'static str,
}

/// Keys and values of an array.
struct Shape {
    keys: &'static [Type],
    values: Type,
}

const ARRAYS: [Shape; 10] = [
    Shape { keys: &[Long], values: Long },
    Shape { keys: &[Text], values: Long },
    Shape { keys: &[Text, Long, Long], values: Long },
    Shape { keys: &[Long], values: Text },
    Shape { keys: &[Long, Text], values: Text },
    Shape { keys: &[Text, Text, Long], values: Text },
    Shape { keys: &[Long], values: Double },
    Shape { keys: &[Text, Long], values: Double },
    Shape { keys: &[Long], values: Stats },
    Shape { keys: &[Text, Long], values: Stats },
];

/// A function of the script.
struct Function {
    params: &'static [(&'static str, Type)],
    returns: Option<Type>,
}

const FUNCTIONS: [Function; 6] = [
    Function { params: &[("l0", Long)], returns: Some(Long) },
    Function { params: &[("s0", Text), ("l0", Long)], returns: Some(Text) },
    Function { params: &[("d0", Double), ("s1", Text)], returns: Some(Double) },
    Function { params: &[("s0", Text)], returns: None },
    Function { params: &[], returns: Some(Long) },
    Function { params: &[("l1", Long), ("d1", Double)], returns: Some(Text) },
];

/// Globals, and locals, of each type.
const NAMES: usize = 3;

/// What the place that is generated may say.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// A handler of a data probe.
    data: bool,
    /// A function, with its result.
    function: Option<Option<Type>>,
    /// Within a loop.
    looped: bool,
    /// The condition of a probe point: globals and pure functions alone.
    condition: bool,
}

struct Generator {
    choices: Choices,
    place: Place,
}

/// The case that these choices stand for.
pub(crate) fn case(list: &[u32]) -> Case {
    let choices = Choices::new(list.to_vec());
    let mut generator = Generator { choices, place: Place::default() };
    let limits = generator.limits();
    let hit_count = 1 + generator.choices.below(4);
    let probes = 1 + generator.choices.below(3);
    let mut hits: Vec<_> = (0..hit_count).map(|_| generator.hit(probes)).collect();
    let ends = probes..probes + DUMPS;
    hits.extend(ends.map(|handler| Hit { handler, ..Hit::default() }));
    Case { script: generator.script(probes), limits, hits }
}

/// So many `end` probes print the globals: more than one, so that little fuel
/// is enough for each.
const DUMPS: usize = 4;

impl Generator {
    fn limits(&mut self) -> Limits {
        // Much fuel with long strings would fill the arena, which the
        // evaluator does not have.
        let (steps, string_bytes) =
            self.choices.pick(&[(2000, 64), (300, 8), (300, 33), (60, 4096), (25, 1)]);
        let nesting = self.choices.pick(&[100, 10, 3, 1]);
        Limits { steps, string_bytes, nesting, ..Limits::default() }
    }

    fn hit(&mut self, probes: usize) -> Hit {
        let choices = &mut self.choices;
        let handler = choices.below(probes);
        let word = |choices: &mut Choices| match choices.below(3) {
            0 => choices.below(4) as u64,
            1 => choices.word(),
            _ => MEMORY_BASE + choices.below(12) as u64,
        };
        let record = HitRecord {
            time: word(choices),
            address: word(choices),
            data_address: word(choices),
            old: word(choices),
            new: word(choices),
            pid: 1 + choices.below(4) as u32,
            tid: 1 + choices.below(4) as u32,
            cpu: choices.below(4) as u32,
            watch: choices.below(3) as u32,
            data_length: choices.pick(&[1, 2, 4, 8]),
            access: choices.below(6) as u32,
            exact: choices.below(2) as u32,
            user_mode: choices.below(2) as u32,
            ..HitRecord::default()
        };
        let names = ["a", "", "worker-1", "ab", "a_name_of_15_by"];
        Hit { handler, record, execname: choices.pick(&names) }
    }

    fn script(&mut self, probes: usize) -> String {
        let mut out = String::from("@define plus(x) %( (@x + 1) %)\n");
        // What runs takes its choices first.
        for _ in 0..probes {
            let data = self.choices.once_in(2);
            let point = if data { "process.data(\"x\").rw" } else { "begin" };
            let condition = self.condition();
            self.place = Place { data, ..Place::default() };
            let body = self.statements(4, 5);
            writeln!(out, "probe {point}{condition} {{\n{body}{} }}", locals()).unwrap();
        }
        dump(&mut out);
        for (number, function) in FUNCTIONS.iter().enumerate() {
            self.function(&mut out, number, function);
        }
        self.globals(&mut out);
        out
    }

    fn globals(&mut self, out: &mut String) {
        for number in 0..NAMES {
            let long = self.number();
            writeln!(out, "global g{number} = {long}").unwrap();
            let text = self.literal();
            writeln!(out, "global t{number} = {text}").unwrap();
            let double = self.double_literal();
            writeln!(out, "global e{number} = {double}, x{number}").unwrap();
        }
        for number in 0..ARRAYS.len() {
            let capacity = 1 + self.choices.below(5);
            let wraps = if self.choices.once_in(3) { "%" } else { "" };
            writeln!(out, "global a{number}{wraps}[{capacity}]").unwrap();
        }
    }

    /// ` if (…)` behind a probe point, now and then.
    fn condition(&mut self) -> String {
        if !self.choices.once_in(4) {
            return String::new();
        }
        self.place = Place { condition: true, ..Place::default() };
        format!(" if ({})", self.long(3))
    }

    fn function(&mut self, out: &mut String, number: usize, function: &Function) {
        self.place = Place { function: Some(function.returns), ..Place::default() };
        let declared = self.choices.once_in(2);
        let of = |ty: Type| if declared { format!(":{ty}") } else { String::new() };
        let params =
            function.params.iter().map(|(name, ty)| format!("{name}{}", of(*ty)));
        let params: Vec<_> = params.collect();
        let returns = function.returns.map_or(String::new(), of);
        let body = self.statements(3, 3);
        let result = match function.returns {
            Some(ty) => format!("return {}", self.value(ty, 2)),
            None => String::new(),
        };
        let (params, locals) = (params.join(", "), locals());
        writeln!(
            out,
            "function f{number}{returns}({params}) {{\n{body}{locals} {result}}}"
        )
        .unwrap();
    }

    /// The arguments of a call, by their types.
    fn arguments(&mut self, types: impl Iterator<Item = Type>, depth: usize) -> String {
        let arguments: Vec<_> = types.map(|ty| self.value(ty, depth)).collect();
        arguments.join(", ")
    }

    /// A call of a function of the script.
    fn call(&mut self, returns: Option<Type>, depth: usize) -> String {
        let fitting: Vec<_> =
            (0..FUNCTIONS.len()).filter(|at| FUNCTIONS[*at].returns == returns).collect();
        let number = self.choices.pick(&fitting);
        let types = FUNCTIONS[number].params.iter().map(|(_, ty)| *ty);
        format!("f{number}({})", self.arguments(types, depth))
    }

    /// A call of a builtin with this result.
    fn builtin(&mut self, returns: Option<Type>, depth: usize) -> String {
        let place = self.place;
        let fits = |row: &&Builtin| {
            row.returns == returns
                && match row.available {
                    Available::Everywhere => !place.condition || row.pure,
                    Available::DataProbes => place.data,
                    Available::NotYet(_) => false,
                }
                && !row.needs_unsafe
                // They end too much of what is generated, or are no function
                // of what both sides know.
                && !["exit", "abort", "error", "randint"].contains(&row.name)
        };
        let fitting: Vec<_> = BUILTINS.iter().filter(fits).collect();
        if fitting.is_empty() {
            return "log(\"\")".to_owned();
        }
        let row = self.choices.pick(&fitting);
        let least = row.params.len() - row.required + 1;
        let count = row.params.len() - self.choices.below(least);
        if let "register" | "u_register" = row.name {
            return format!("{}({})", row.name, self.register(depth));
        }
        let types = row.params.iter().take(count).map(|param| param.ty);
        format!("{}({})", row.name, self.arguments(types, depth))
    }

    /// The name of a register: a literal must be one, others may be any text.
    fn register(&mut self, depth: usize) -> String {
        let name = self.choices.pick(REGISTERS).name;
        match self.choices.below(4) {
            0 => format!("\"\" . {}", self.value(Text, depth)),
            1 | 2 => format!("\"\" . \"{name}\""),
            _ => format!("\"{name}\""),
        }
    }
}

/// Locals start as 0 or "" and are read before they are assigned to; assigned
/// to they must be somewhere.
fn locals() -> &'static str {
    "l0 = l1 = l2 = 0; s0 = s1 = s2 = \"\"; d0 = d1 = d2 = 0.0;"
}

/// Prints every global, and fixes the types of those that are never used.
fn dump(out: &mut String) {
    out.push_str("function types() {\n");
    for (number, shape) in ARRAYS.iter().enumerate() {
        let zero = |ty: &Type| match ty {
            Text => "\"\"",
            Double => "0.0",
            Long | Stats => "0",
        };
        let keys: Vec<_> = shape.keys.iter().map(zero).collect();
        let set = if shape.values == Stats { "<<<" } else { "=" };
        let keys = keys.join(", ");
        writeln!(out, "a{number}[{keys}] {set} {}", zero(&shape.values)).unwrap();
    }
    out.push_str("x0 <<< 0; x1 <<< 0; x2 <<< 0 }\n");
    let asked = |of: &str| {
        let asked = ["count", "sum", "min", "max", "avg", "variance", "p90"];
        asked.map(|asked| format!("@{asked}({of})")).join(", ")
    };
    let mut dumps = [const { String::new() }; DUMPS];
    dumps[0].push_str("printdln(\"|\", g0, g1, g2, t0, t1, t2, e0, e1, e2)\n");
    for number in 0..NAMES {
        let name = format!("x{number}");
        writeln!(dumps[1], "if (@count({name})) printdln(\"|\", {})", asked(&name))
            .unwrap();
    }
    for (number, shape) in ARRAYS.iter().enumerate() {
        let keys: Vec<_> =
            (0..shape.keys.len()).map(|key| format!("k{number}_{key}")).collect();
        let keys = keys.join(", ");
        let element = format!("a{number}[{keys}]");
        let shown = if shape.values == Stats { asked(&element) } else { element };
        let walk =
            format!("foreach ([{keys}] in a{number}) printdln(\"|\", {keys}, {shown})\n");
        dumps[number % DUMPS].push_str(&walk);
    }
    for dump in dumps {
        writeln!(out, "probe end {{\n{dump}}}").unwrap();
    }
}
