//! Programs as the generator makes them: a tree in which every node has one
//! type, so that whatever is put together is a well-typed script. Printing a
//! tree gives the script; shrinking happens on the tree.

use std::fmt::Write;

/// An expression of type long.
#[derive(Clone, Debug)]
pub(crate) enum Long {
    Number(i64),
    Read(Place),
    /// What a data probe knows of its hit; elsewhere what every probe knows.
    Known(usize),
    Unary(&'static str, Box<Long>),
    Binary(&'static str, Box<Long>, Box<Long>),
    CompareText(&'static str, Box<Text>, Box<Text>),
    Choice(Box<Long>, Box<Long>, Box<Long>),
    In(usize, Keys),
    Assign(Place, &'static str, Box<Long>),
    Step(Place, &'static str, bool),
    Length(Box<Text>),
    Contains(Box<Text>, Box<Text>),
    ToNumber(Box<Text>, Box<Long>),
}

/// An expression of type string.
#[derive(Clone, Debug)]
pub(crate) enum Text {
    Literal(String),
    Read(Place),
    Known(usize),
    Concat(Box<Text>, Box<Text>),
    Choice(Box<Long>, Box<Text>, Box<Text>),
    Part(Box<Text>, Box<Long>, Box<Long>),
    Assign(Place, &'static str, Box<Text>),
    Symbol(&'static str, Box<Long>),
    Format(Vec<Piece>),
    Joined(&'static str, Vec<Value>),
}

/// A value of either type.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Long(Long),
    Text(Text),
}

/// What can be read and assigned to. The type is the one of its place in the
/// tree; numbers are taken modulo how many there are.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Local(usize),
    Global(usize),
    Element(usize, Keys),
}

/// One expression of each type for every key an array can have: the array's
/// shape picks from them.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    pub(crate) longs: Vec<Long>,
    pub(crate) texts: Vec<Text>,
}

/// A piece of a format.
#[allow(clippy::large_enum_variant)] // Few are alive at a time.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    Words(String),
    Value {
        flags: &'static str,
        width: Option<Count>,
        precision: Option<Count>,
        conversion: usize,
        value: Value,
    },
}

/// A width or precision.
#[derive(Clone, Debug)]
pub(crate) enum Count {
    Fixed(u32),
    Argument(Long),
}

/// A statement.
#[derive(Clone, Debug)]
pub(crate) enum Statement {
    Long(Long),
    Text(Text),
    Print(Vec<Piece>),
    PrintValues(&'static str, Vec<Value>),
    If(Long, Vec<Statement>, Vec<Statement>),
    While(Long, Vec<Statement>),
    Count(usize, i64, Vec<Statement>),
    Forever(Vec<Statement>),
    Foreach(Foreach),
    Jump(&'static str),
    DeleteElement(usize, Keys),
    Delete(usize),
    Exit,
}

/// A walk over an array.
#[derive(Clone, Debug)]
pub(crate) struct Foreach {
    pub(crate) array: usize,
    /// The first local that a key is put into.
    pub(crate) local: usize,
    /// Whether the value is asked for.
    pub(crate) value: bool,
    /// 0 none, 1 the value, 2 + n key n.
    pub(crate) order: usize,
    pub(crate) descending: bool,
    pub(crate) limit: Option<Long>,
    pub(crate) body: Vec<Statement>,
}

/// A probe.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    pub(crate) data: bool,
    pub(crate) body: Vec<Statement>,
}

/// A script.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) longs: [i64; LONGS],
    pub(crate) texts: [String; TEXTS],
    /// How many elements each array may hold.
    pub(crate) capacities: [u32; ARRAYS.len()],
    pub(crate) probes: Vec<Probe>,
}

/// Globals and locals of a type.
pub(crate) const LONGS: usize = 3;
pub(crate) const TEXTS: usize = 2;

/// Types of an array: its keys, and whether its values are strings.
pub(crate) struct Shape {
    /// For each key whether it is a string.
    pub(crate) keys: &'static [bool],
    pub(crate) text: bool,
}

/// The arrays that programs have.
pub(crate) const ARRAYS: [Shape; 6] = [
    shape(&[false], false),
    shape(&[true], false),
    shape(&[true, false, false], false),
    shape(&[false], true),
    shape(&[false, true], true),
    shape(&[true, true, false], true),
];

const fn shape(keys: &'static [bool], text: bool) -> Shape {
    Shape { keys, text }
}

/// How many keys an array has at most.
pub(crate) const KEYS_MAX: usize = 3;

const DATA_LONGS: [&str; 14] = [
    "$new",
    "$old",
    "addr()",
    "uaddr()",
    "data_addr()",
    "data_len()",
    "exact()",
    "pid()",
    "tid()",
    "cpu()",
    "ktime_get_ns()",
    "gettimeofday_ns()",
    "gettimeofday_us()",
    "target()",
];
const LONGS_EVERYWHERE: [&str; 6] = [
    "pid()",
    "tid()",
    "cpu()",
    "ktime_get_ns()",
    "gettimeofday_ms()",
    "gettimeofday_s()",
];
const DATA_TEXTS: [&str; 4] = ["access()", "data_name()", "execname()", "pp()"];
const TEXTS_EVERYWHERE: [&str; 2] = ["execname()", "pp()"];
const LONG_CONVERSIONS: &str = "diuxXopc";

impl Program {
    /// The script. It ends with `end` probes that print every global; more
    /// than one, so that little fuel is enough for each.
    pub(crate) fn script(&self) -> String {
        let mut out = String::new();
        for (number, value) in self.longs.iter().enumerate() {
            // Negative literals have a sign, which the grammar takes too.
            writeln!(out, "global g{number} = {}", literal(*value)).unwrap();
        }
        for (number, text) in self.texts.iter().enumerate() {
            writeln!(out, "global t{number} = {}", quoted(text)).unwrap();
        }
        for (number, capacity) in self.capacities.iter().enumerate() {
            writeln!(out, "global a{number}[{capacity}]").unwrap();
        }
        for probe in &self.probes {
            let point = if probe.data { "process.data(\"x\").rw" } else { "begin" };
            let mut printer = Printer { out: String::new(), probe, loops: 0 };
            printer.block(&probe.body);
            // Locals start as 0 or "" and are read before they are assigned
            // to; assigned to they must be somewhere.
            let locals = "l0 = l1 = l2 = 0; s0 = s1 = \"\";";
            writeln!(out, "probe {point} {{ {}{locals} }}", printer.out).unwrap();
        }
        Self::dump(&mut out);
        out
    }

    /// How many of the script's handlers print the globals.
    pub(crate) const DUMPS: usize = 2;

    fn dump(out: &mut String) {
        let walk = |number: usize| {
            let keys = (0..ARRAYS[number].keys.len()).map(|key| format!("k{key}"));
            let keys: Vec<_> = keys.collect();
            let keys = keys.join(", ");
            let value = if ARRAYS[number].text { "t" } else { "v" };
            // Locals of its own: a key is a long here and a string there.
            let keys = keys.replace('k', &format!("k{number}_"));
            format!(
                "foreach ({value} = [{keys}] in a{number}) printdln(\"|\", {keys}, {value})\n"
            )
        };
        let (first, second) = (0..ARRAYS.len())
            .map(walk)
            .partition::<Vec<_>, _>(|walk| walk.contains("(v ="));
        let scalars = "printdln(\"|\", g0, g1, g2, t0, t1)";
        writeln!(out, "probe end {{ {scalars}\n{} }}", first.concat()).unwrap();
        writeln!(out, "probe end {{ {} }}", second.concat()).unwrap();
    }
}

/// Prints the body of one probe.
struct Printer<'a> {
    out: String,
    probe: &'a Probe,
    loops: u32,
}

impl Printer<'_> {
    fn block(&mut self, statements: &[Statement]) {
        for statement in statements {
            self.statement(statement);
            self.out.push('\n');
        }
    }

    fn braces(&mut self, statements: &[Statement]) {
        self.out.push_str("{\n");
        self.block(statements);
        self.out.push_str("} ");
    }

    fn looped(&mut self, statements: &[Statement]) {
        self.loops += 1;
        self.braces(statements);
        self.loops -= 1;
    }

    fn put(&mut self, parts: &[&str]) {
        for part in parts {
            self.out.push_str(part);
        }
    }

    fn statement(&mut self, statement: &Statement) {
        match statement {
            Statement::Long(long) => self.ended(|printer| printer.long(long)),
            Statement::Text(text) => self.ended(|printer| printer.text(text)),
            Statement::Print(pieces) => {
                self.ended(|printer| printer.format("printf", pieces));
            }
            Statement::PrintValues(function, values) => {
                self.ended(|printer| printer.joined(function, values));
            }
            Statement::If(condition, then, otherwise) => {
                self.put(&["if ("]);
                self.long(condition);
                self.put(&[") "]);
                self.braces(then);
                if !otherwise.is_empty() {
                    self.put(&["else "]);
                    self.braces(otherwise);
                }
            }
            Statement::While(condition, body) => {
                self.put(&["while ("]);
                self.long(condition);
                self.put(&[") "]);
                self.looped(body);
            }
            Statement::Count(local, rounds, body) => {
                let local = format!("l{}", local % LONGS);
                let rounds = rounds.to_string();
                self.put(&["for (", &local, " = 0; ", &local, " < ", &rounds, "; "]);
                self.put(&[&local, "++) "]);
                self.looped(body);
            }
            Statement::Forever(body) => {
                self.put(&["for (;;) "]);
                self.looped(body);
            }
            Statement::Foreach(foreach) => self.foreach(foreach),
            Statement::Jump(word) if *word != "next" && self.loops == 0 => {
                self.put(&[";"])
            }
            Statement::Jump(word) => self.put(&[word, ";"]),
            Statement::DeleteElement(array, keys) => self.ended(|printer| {
                printer.put(&["delete "]);
                printer.element(array % ARRAYS.len(), keys);
            }),
            Statement::Delete(what) => {
                let scalars = LONGS + TEXTS;
                let name = match what % (scalars + ARRAYS.len()) {
                    at if at < LONGS => format!("g{at}"),
                    at if at < scalars => format!("t{}", at - LONGS),
                    at => format!("a{}", at - scalars),
                };
                self.put(&["delete ", &name, ";"]);
            }
            Statement::Exit => self.put(&["exit();"]),
        }
    }

    fn ended(&mut self, print: impl FnOnce(&mut Self)) {
        print(self);
        self.out.push(';');
    }

    fn foreach(&mut self, foreach: &Foreach) {
        let array = foreach.array % ARRAYS.len();
        let shape = &ARRAYS[array];
        let sign = if foreach.descending { "-" } else { "+" };
        let sign_of = |at: usize| if foreach.order == at { sign } else { "" };
        let mut free = [foreach.local, foreach.local];
        let mut local = |text: bool| {
            let at = &mut free[usize::from(text)];
            *at += 1;
            let (name, count) = if text { ("s", TEXTS) } else { ("l", LONGS) };
            format!("{name}{}", *at % count)
        };
        let keys: Vec<_> = shape.keys.iter().map(|text| local(*text)).collect();
        let keys: Vec<_> = keys
            .iter()
            .enumerate()
            .map(|(at, key)| format!("{key}{}", sign_of(2 + at)))
            .collect();
        self.put(&["foreach ("]);
        // With as many string keys as there are string locals, none is left.
        let texts = shape.keys.iter().filter(|text| **text).count();
        if foreach.value && !(shape.text && texts == TEXTS) {
            let value = local(shape.text);
            self.put(&[&value, " = "]);
        }
        let name = format!("a{array}");
        self.put(&["[", &keys.join(", "), "] in ", &name, sign_of(1)]);
        if let Some(limit) = &foreach.limit {
            self.put(&[" limit "]);
            self.long(limit);
        }
        self.put(&[") "]);
        self.looped(&foreach.body);
    }

    fn element(&mut self, array: usize, keys: &Keys) {
        let name = format!("a{array}");
        self.put(&[&name, "["]);
        self.keys(array, keys);
        self.put(&["]"]);
    }

    fn keys(&mut self, array: usize, keys: &Keys) {
        for (at, text) in ARRAYS[array].keys.iter().enumerate() {
            if at > 0 {
                self.put(&[", "]);
            }
            match text {
                true => self.text(&keys.texts[at]),
                false => self.long(&keys.longs[at]),
            }
        }
    }

    fn place(&mut self, place: &Place, text: bool) {
        let (local, global, count) =
            if text { ("s", "t", TEXTS) } else { ("l", "g", LONGS) };
        match place {
            Place::Local(at) => write!(self.out, "{local}{}", at % count).unwrap(),
            Place::Global(at) => write!(self.out, "{global}{}", at % count).unwrap(),
            Place::Element(at, keys) => {
                let fitting: Vec<_> =
                    (0..ARRAYS.len()).filter(|at| ARRAYS[*at].text == text).collect();
                self.element(fitting[at % fitting.len()], keys);
            }
        }
    }

    fn long(&mut self, long: &Long) {
        match long {
            Long::Number(number) => self.put(&[&literal(*number)]),
            Long::Read(place) => self.place(place, false),
            Long::Known(at) if self.probe.data => {
                self.put(&[DATA_LONGS[at % DATA_LONGS.len()]]);
            }
            Long::Known(at) => self.put(&[LONGS_EVERYWHERE[at % LONGS_EVERYWHERE.len()]]),
            Long::Unary(op, operand) => {
                self.put(&["(", op, " "]);
                self.long(operand);
                self.put(&[")"]);
            }
            Long::Binary(op, left, right) => {
                self.put(&["("]);
                self.long(left);
                self.put(&[" ", op, " "]);
                self.long(right);
                self.put(&[")"]);
            }
            Long::CompareText(op, left, right) => self.infix(op, left, right),
            Long::Choice(condition, yes, no) => {
                self.condition(condition);
                self.long(yes);
                self.put(&[" : "]);
                self.long(no);
                self.put(&[")"]);
            }
            Long::In(array, keys) => {
                let array = array % ARRAYS.len();
                let name = format!("a{array}");
                self.put(&["(["]);
                self.keys(array, keys);
                self.put(&["] in ", &name, ")"]);
            }
            Long::Assign(place, op, value) => {
                self.put(&["("]);
                self.place(place, false);
                self.put(&[" ", op, " "]);
                self.long(value);
                self.put(&[")"]);
            }
            Long::Step(place, op, postfix) => {
                let (before, after) = if *postfix { ("", *op) } else { (*op, "") };
                self.put(&["(", before]);
                self.place(place, false);
                self.put(&[after, ")"]);
            }
            Long::Length(text) => {
                self.put(&["strlen("]);
                self.text(text);
                self.put(&[")"]);
            }
            Long::Contains(whole, part) => {
                self.put(&["isinstr("]);
                self.text(whole);
                self.put(&[", "]);
                self.text(part);
                self.put(&[")"]);
            }
            Long::ToNumber(text, base) => {
                self.put(&["strtol("]);
                self.text(text);
                self.put(&[", "]);
                self.long(base);
                self.put(&[")"]);
            }
        }
    }

    fn infix(&mut self, op: &str, left: &Text, right: &Text) {
        self.put(&["("]);
        self.text(left);
        self.put(&[" ", op, " "]);
        self.text(right);
        self.put(&[")"]);
    }

    fn condition(&mut self, condition: &Long) {
        self.put(&["("]);
        self.long(condition);
        self.put(&[" ? "]);
    }

    fn text(&mut self, text: &Text) {
        match text {
            Text::Literal(text) => self.put(&[&quoted(text)]),
            Text::Read(place) => self.place(place, true),
            Text::Known(at) if self.probe.data => {
                self.put(&[DATA_TEXTS[at % DATA_TEXTS.len()]]);
            }
            Text::Known(at) => self.put(&[TEXTS_EVERYWHERE[at % TEXTS_EVERYWHERE.len()]]),
            Text::Concat(left, right) => self.infix(".", left, right),
            Text::Choice(condition, yes, no) => {
                self.condition(condition);
                self.text(yes);
                self.put(&[" : "]);
                self.text(no);
                self.put(&[")"]);
            }
            Text::Part(whole, start, length) => {
                self.put(&["substr("]);
                self.text(whole);
                self.put(&[", "]);
                self.long(start);
                self.put(&[", "]);
                self.long(length);
                self.put(&[")"]);
            }
            Text::Assign(place, op, value) => {
                self.put(&["("]);
                self.place(place, true);
                self.put(&[" ", op, " "]);
                self.text(value);
                self.put(&[")"]);
            }
            Text::Symbol(function, address) => {
                self.put(&[function, "("]);
                self.long(address);
                self.put(&[")"]);
            }
            Text::Format(pieces) => self.format("sprintf", pieces),
            Text::Joined(function, values) => self.joined(function, values),
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Long(long) => self.long(long),
            Value::Text(text) => self.text(text),
        }
    }

    /// `print` and its like: one value, or several behind a delimiter.
    fn joined(&mut self, function: &str, values: &[Value]) {
        self.put(&[function, "("]);
        let several = function.contains("printd");
        if several {
            self.put(&["\", \""]);
        }
        let shown = if several { values.len() } else { 1 };
        for value in values.iter().take(shown) {
            if several {
                self.put(&[", "]);
            }
            self.value(value);
        }
        self.put(&[")"]);
    }

    fn format(&mut self, function: &str, pieces: &[Piece]) {
        let mut format = String::new();
        let mut values = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Words(words) => format.push_str(&words.replace('%', "%%")),
                Piece::Value { flags, width, precision, conversion, value } => {
                    let mut count = |count: &Option<Count>| match count {
                        None => String::new(),
                        Some(Count::Fixed(count)) => count.to_string(),
                        Some(Count::Argument(long)) => {
                            values.push(Value::Long(long.clone()));
                            "*".to_owned()
                        }
                    };
                    let width = count(width);
                    let dot = if precision.is_some() { "." } else { "" };
                    let precision = count(precision);
                    let conversion = match value {
                        Value::Long(_) => {
                            let at = conversion % LONG_CONVERSIONS.len();
                            &LONG_CONVERSIONS[at..=at]
                        }
                        Value::Text(_) => "s",
                    };
                    write!(format, "%{flags}{width}{dot}{precision}{conversion}")
                        .unwrap();
                    values.push(value.clone());
                }
            }
        }
        self.put(&[function, "(", &quoted(&format)]);
        for value in &values {
            self.put(&[", "]);
            self.value(value);
        }
        self.put(&[")"]);
    }
}

fn literal(number: i64) -> String {
    match number {
        i64::MIN => "0x8000000000000000".to_owned(),
        number => number.to_string(),
    }
}

fn quoted(text: &str) -> String {
    let escaped: String = text
        .chars()
        .map(|char| match char {
            '"' => "\\\"".to_owned(),
            '\\' => "\\\\".to_owned(),
            '\n' => "\\n".to_owned(),
            '\t' => "\\t".to_owned(),
            char => char.to_string(),
        })
        .collect();
    format!("\"{escaped}\"")
}
