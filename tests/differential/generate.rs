//! Well-typed programs with the hits that they run on, made from choices.
//!
//! The names are the same in all programs: of each type some globals and some
//! locals, arrays of many shapes, and functions; so whatever is put together
//! has a type. `g t e x` are global longs, texts, doubles and statistics,
//! `l s d` locals; `b k` are global and local stacks.

#[path = "generate/expression.rs"]
mod expression;
#[path = "generate/format.rs"]
mod format;
#[path = "generate/statement.rs"]
mod statement;

use std::collections::BTreeSet;
use std::fmt::Write;

use hwtrace_lang::builtins::{Available, BUILTINS, Builtin, Topic};
use hwtrace_lang::types::Type::{self, Double, Long, Stack, Stats, String as Text};
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

const ARRAYS: [Shape; 13] = [
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
    Shape { keys: &[Stack], values: Long },
    Shape { keys: &[Long, Stack], values: Stats },
    Shape { keys: &[Text], values: Stack },
];

/// A function of the script.
struct Function {
    params: &'static [(&'static str, Type)],
    returns: Option<Type>,
}

const FUNCTIONS: [Function; 7] = [
    Function { params: &[("l0", Long)], returns: Some(Long) },
    Function { params: &[("s0", Text), ("l0", Long)], returns: Some(Text) },
    Function { params: &[("d0", Double), ("s1", Text)], returns: Some(Double) },
    Function { params: &[("s0", Text)], returns: None },
    Function { params: &[], returns: Some(Long) },
    Function { params: &[("l1", Long), ("d1", Double)], returns: Some(Text) },
    Function { params: &[("k0", Stack), ("l0", Long)], returns: Some(Stack) },
];

/// What of the data that is watched something was seen of.
pub(crate) const COUNTED: &str = "counter";
/// Names of objects.
const OBJECTS: [&str; 2] = ["one", "two"];

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
    // Handlers take what they get: the rest has choices of its own.
    let (handlers, rest) = list.split_at(list.len() - list.len() / 3);
    let choices = Choices::new(handlers.to_vec());
    let mut generator = Generator { choices, place: Place::default() };
    let limits = generator.limits();
    let probes = 1 + generator.choices.below(3);
    let filled = generator.choices.once_in(2);
    let handlers = generator.handlers(probes);
    generator.choices = Choices::new(rest.to_vec());
    let script = generator.script(handlers);
    let own = |handler| Hit { handler, ..Hit::default() };
    let mut hits = Vec::new();
    hits.extend(filled.then(|| own(0)));
    let count = 1 + generator.choices.below(4);
    hits.extend((0..count).map(|_| generator.hit(probes)));
    hits.extend((1..=DUMPS).map(own));
    Case { script, limits, hits }
}

/// So many `end` probes print the globals: more than one, so that little fuel
/// is enough for each. In front of them is a probe that fills what there is.
const DUMPS: usize = 4;

impl Generator {
    fn limits(&mut self) -> Limits {
        // Much fuel with long strings would fill the arena, which the
        // evaluator does not have.
        let (steps, string_bytes) =
            self.choices.pick(&[(2000, 64), (300, 8), (300, 33), (60, 4096), (25, 1)]);
        let nesting = self.choices.pick(&[3, 1, 10, 100]);
        Limits { steps, string_bytes, nesting, ..Limits::default() }
    }

    fn hit(&mut self, probes: usize) -> Hit {
        let choices = &mut self.choices;
        let handler = 1 + DUMPS + choices.below(probes);
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
            count: choices.below(3) as u32,
            syscall: choices.below(5) as u32,
            ..HitRecord::default()
        };
        let names = ["a", "", "worker-1", "ab", "a_name_of_15_by"];
        Hit { handler, record, execname: choices.pick(&names) }
    }

    fn handlers(&mut self, probes: usize) -> String {
        let mut code = String::new();
        for _ in 0..probes {
            let data = self.choices.once_in(2);
            let point = if data { "process.data(\"x\").rw" } else { "begin" };
            let condition = self.condition();
            self.place = Place { data, ..Place::default() };
            let body = self.statements(4, 5);
            let (stacks, locals) = (stacks(&body), locals(&body));
            writeln!(code, "probe {point}{condition} {{\n{stacks}{body}{locals}}}")
                .unwrap();
        }
        code
    }

    /// The script with these handlers. Globals and functions that nothing uses
    /// are left out: most of the time a case takes is spent in the compiler.
    fn script(&mut self, mut code: String) -> String {
        let called = |number: &usize, code: &str| code.contains(&format!("f{number}("));
        let defined =
            |number: &usize, code: &str| code.contains(&format!("function f{number}"));
        while let Some(number) = (0..FUNCTIONS.len())
            .find(|number| called(number, &code) && !defined(number, &code))
        {
            self.function(&mut code, number, &FUNCTIONS[number]);
        }
        let mut out = String::from("@define plus(x) %( (@x + 1) %)\n");
        let used = names(&code);
        self.globals(&mut out, &used);
        dump(&mut out, &used);
        if code.contains("watch(\"") {
            let points = OBJECTS.map(|name| format!("process.watch(\"{name}\").rw"));
            writeln!(code, "probe {} {{ }}", points.join(", ")).unwrap();
        }
        out + &code
    }

    fn globals(&mut self, out: &mut String, used: &BTreeSet<&str>) {
        for number in 0..NAMES {
            for kind in ["g", "t", "e", "x", "b"] {
                let name = format!("{kind}{number}");
                if !used.contains(&*name) {
                    continue;
                }
                let initial = match kind {
                    "g" => format!(" = {}", self.number()),
                    "t" => format!(" = {}", self.literal()),
                    "e" => format!(" = {}", self.double_literal()),
                    _ => String::new(),
                };
                writeln!(out, "global {name}{initial}").unwrap();
            }
        }
        for number in (0..ARRAYS.len()).filter(|number| uses(used, *number)) {
            let capacity = 1 + self.choices.below(3);
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
        let again = match self.choices.once_in(3) {
            true => format!(
                "f{number}({});\n",
                self.arguments(function.params.iter().map(|(_, ty)| *ty), 1)
            ),
            false => String::new(),
        };
        let body = body + &again;
        let result = match function.returns {
            Some(ty) => format!("return {}", self.value(ty, 2)),
            None => String::new(),
        };
        let whole = format!("{body}{result}");
        let (params, stacks, locals) =
            (params.join(", "), stacks(&whole), locals(&whole));
        writeln!(
            out,
            "function f{number}{returns}({params}) {{\n{stacks}{body}{locals}{result}}}"
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
        if let "watch" | "unwatch" = row.name {
            return self.object(row.name, count, depth);
        }
        if let "register" | "u_register" = row.name {
            return format!("{}({})", row.name, self.register(depth));
        }
        if row.topic == Topic::Counts && count > 0 {
            return format!("{}({})", row.name, self.counted(depth));
        }
        let types = row.params.iter().take(count).map(|param| param.ty);
        format!("{}({})", row.name, self.arguments(types, depth))
    }

    /// Watches an object or ends to: of few addresses, so that some are the same.
    fn object(&mut self, function: &str, count: usize, depth: usize) -> String {
        let name = self.choices.pick(&OBJECTS);
        let address = match self.choices.once_in(3) {
            true => self.long(depth),
            false => format!("{}", MEMORY_BASE + 8 * self.choices.below(3) as u64),
        };
        match (function, count) {
            // A length that is a literal is checked before anything runs.
            ("watch", _) => {
                let length = self.long(depth);
                format!("watch(\"{name}\", {address}, 0 + ({length}))")
            }
            (_, 1) => format!("unwatch(\"{name}\")"),
            _ => format!("unwatch(\"{name}\", {address})"),
        }
    }

    /// The name of data that is watched, likewise.
    fn counted(&mut self, depth: usize) -> String {
        match self.choices.below(4) {
            0 => format!("\"\" . {}", self.value(Text, depth)),
            _ => format!("\"\" . \"{COUNTED}\""),
        }
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

/// The names, and other words, in a text.
fn names(code: &str) -> BTreeSet<&str> {
    code.split(|char: char| !char.is_alphanumeric() && char != '_').collect()
}

/// Says of variables that they are stacks before they are used, as where a string is
/// wanted they would be strings.
fn stacks(body: &str) -> String {
    let used = names(body);
    let named =
        (0..NAMES).flat_map(|number| ["b", "k"].map(|it| format!("{it}{number}")));
    let named = named.filter(|name| used.contains(&**name));
    named.map(|name| format!("if (0) {name} = ubacktrace();\n")).collect()
}

/// Locals start as 0 or "" and may be read before they are assigned to;
/// assigned to they must be somewhere.
fn locals(body: &str) -> String {
    let used = names(body);
    let zeros = [("l", "0"), ("s", "\"\""), ("d", "0.0")];
    let locals = (0..NAMES)
        .flat_map(|number| zeros.map(|(kind, zero)| (format!("{kind}{number}"), zero)));
    let locals = locals.filter(|(name, _)| used.contains(&**name));
    locals.map(|(name, zero)| format!("{name} = {zero}; ")).collect()
}

fn uses(used: &BTreeSet<&str>, array: usize) -> bool {
    used.contains(&*format!("a{array}"))
}

/// Prints every global, and fixes types that nothing else says:
/// elements may be read and never set.
fn dump(out: &mut String, used: &BTreeSet<&str>) {
    let asked = |of: &str| {
        let asked = ["count", "sum", "min", "max", "avg", "variance", "p90"];
        asked.map(|asked| format!("@{asked}({of})")).join(", ")
    };
    let (mut dumps, mut types) = ([const { String::new() }; DUMPS], String::new());
    for number in 0..NAMES {
        for name in ["g", "t", "e", "b"].map(|kind| format!("{kind}{number}")) {
            if used.contains(&*name) {
                writeln!(dumps[0], "println({name})").unwrap();
            }
        }
        let name = format!("x{number}");
        if used.contains(&*name) {
            writeln!(types, "{name} <<< 0").unwrap();
            writeln!(dumps[1], "if (@count({name})) printdln(\"|\", {})", asked(&name))
                .unwrap();
        }
    }
    for number in (0..ARRAYS.len()).filter(|number| uses(used, *number)) {
        let shape = &ARRAYS[number];
        let zero = |ty: &Type| match ty {
            Text => "\"\"",
            Stack => "ubacktrace()",
            Double => "0.0",
            Long | Stats => "0",
        };
        let zeros: Vec<_> = shape.keys.iter().map(zero).collect();
        let set = if shape.values == Stats { "<<<" } else { "=" };
        let (zeros, value) = (zeros.join(", "), zero(&shape.values));
        writeln!(types, "a{number}[{zeros}] {set} {value}").unwrap();
        let keys: Vec<_> =
            (0..shape.keys.len()).map(|key| format!("k{number}_{key}")).collect();
        let keys = keys.join(", ");
        let element = format!("a{number}[{keys}]");
        let shown = if shape.values == Stats { asked(&element) } else { element };
        writeln!(
            dumps[number % DUMPS],
            "foreach ([{keys}] in a{number}) printdln(\"|\", {keys}, {shown})"
        )
        .unwrap();
    }
    writeln!(out, "probe begin {{\n{types}}}").unwrap();
    for dump in dumps {
        writeln!(out, "probe end {{\n{dump}}}").unwrap();
    }
}
