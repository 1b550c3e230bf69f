//! Expressions of each type.

use super::{ARRAYS, Double, Generator, Long, NAMES, Stack, Stats, Text, Type};

const NUMBERS: [i64; 18] = [
    0,
    1,
    2,
    3,
    -1,
    5,
    9,
    16,
    36,
    63,
    64,
    255,
    4096,
    -64,
    0x1000,
    0x1ff9,
    i64::MAX,
    i64::MIN,
];
const WORDS: [&str; 14] = [
    "",
    "a",
    "b",
    "ab",
    "0x1f",
    "-42",
    "%d",
    "abcdefgh",
    "a,b;c",
    "é\n",
    "\t\"\\",
    "aab aab",
    "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
    "1e3",
];
const DOUBLES: [&str; 11] = [
    "0.0",
    "0.5",
    "1.0",
    "2.25",
    "1e10",
    "1.7976931348623157e308",
    "5e-324",
    "0.1",
    "3.0",
    "99.9",
    "123456789.125",
];
const OPERATORS: [&str; 13] =
    ["+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>", ">>>", "&&", "||"];
const COMPARES: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];
const ASSIGNMENTS: [&str; 11] =
    ["=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="];
const REGEXES: [&str; 8] =
    ["a", "^a+b", "(a|b)(c*)", "[0-9]+", "x?y", "(.)$", "(a*)(b)?", "^$"];
pub(super) const HISTOGRAMS: [&str; 3] =
    ["@hist_log(#)", "@hist_linear(#, -5, 40, 7)", "@hist_log(#)"];

impl Generator {
    /// An expression of a type that is a value.
    pub(super) fn value(&mut self, ty: Type, depth: usize) -> String {
        match ty {
            Text => self.text(depth),
            Double => self.double(depth),
            Stack => self.stack(depth),
            Long | Stats => self.long(depth),
        }
    }

    pub(super) fn number(&mut self) -> String {
        match self.choices.below(8) {
            7 => (self.choices.word() as i64).to_string(),
            _ => match self.choices.pick(&NUMBERS) {
                i64::MIN => "0x8000000000000000".to_owned(),
                number => number.to_string(),
            },
        }
    }

    pub(super) fn literal(&mut self) -> String {
        let escaped = |char| match char {
            '"' => "\\\"".to_owned(),
            '\\' => "\\\\".to_owned(),
            '\n' => "\\n".to_owned(),
            '\t' => "\\t".to_owned(),
            char => char.to_string(),
        };
        let text: String = self.choices.pick(&WORDS).chars().map(escaped).collect();
        format!("\"{text}\"")
    }

    pub(super) fn double_literal(&mut self) -> String {
        let sign = if self.choices.once_in(4) { "-" } else { "" };
        format!("{sign}{}", self.choices.pick(&DOUBLES))
    }

    /// The keys of an array.
    pub(super) fn keys(&mut self, array: usize, depth: usize) -> String {
        self.arguments(ARRAYS[array].keys.iter().copied(), depth)
    }

    /// The keys of an array, some of them `*`.
    pub(super) fn slice(&mut self, array: usize, depth: usize) -> String {
        let keys = ARRAYS[array].keys.iter();
        let keys: Vec<_> = keys
            .map(|ty| match self.choices.once_in(2) {
                true => "*".to_owned(),
                false => self.value(*ty, depth),
            })
            .collect();
        keys.join(", ")
    }

    /// One of the arrays with values of this type.
    pub(super) fn array(&mut self, values: Type) -> usize {
        let fits = |at: &usize| ARRAYS[*at].values == values;
        let fitting: Vec<_> = (0..ARRAYS.len()).filter(fits).collect();
        self.choices.pick(&fitting)
    }

    /// What can be read, and assigned to.
    pub(super) fn variable(&mut self, ty: Type, depth: usize) -> String {
        let (local, global) = match ty {
            Text => ("s", "t"),
            Double => ("d", "e"),
            Stack => ("k", "b"),
            Long | Stats => ("l", "g"),
        };
        let number = self.choices.below(NAMES);
        let ways = if depth == 0 { 2 } else { 3 };
        match self.choices.below(ways) {
            0 if !self.place.condition => format!("{local}{number}"),
            0 | 1 => format!("{global}{number}"),
            _ => {
                let array = self.array(ty);
                format!("a{array}[{}]", self.keys(array, depth - 1))
            }
        }
    }

    /// A scalar or an element with statistics.
    pub(super) fn aggregate(&mut self, depth: usize) -> String {
        if depth == 0 || !self.choices.once_in(2) {
            return format!("x{}", self.choices.below(NAMES));
        }
        let array = self.array(Stats);
        format!("a{array}[{}]", self.keys(array, depth - 1))
    }

    /// Statistics to ask: an aggregate, or many elements together.
    fn statistics(&mut self, depth: usize) -> String {
        if depth == 0 || !self.choices.once_in(3) {
            return self.aggregate(depth);
        }
        let array = self.array(Stats);
        format!("a{array}[{}]", self.slice(array, depth - 1))
    }

    pub(super) fn histogram(&mut self, depth: usize) -> String {
        let form = self.choices.pick(&HISTOGRAMS);
        form.replace('#', &self.statistics(depth))
    }

    pub(super) fn long(&mut self, depth: usize) -> String {
        if depth == 0 {
            return match self.choices.below(4) {
                0 | 1 => self.number(),
                2 => self.variable(Long, 0),
                _ if self.place.data => self.choices.pick(&["$new", "$old"]).to_owned(),
                _ => self.variable(Long, 0),
            };
        }
        let depth = depth - 1;
        match self.choices.weighted(&[2, 2, 2, 6, 3, 2, 2, 3, 2, 4]) {
            0 => self.long(depth),
            1 => self.variable(Long, depth),
            2 => format!(
                "({} {})",
                self.choices.pick(&["-", "!", "~", "+"]),
                self.long(depth)
            ),
            3 => self.infix(&OPERATORS, Long, depth),
            4 => self.comparison(depth),
            5 => self.choice(Long, depth),
            6 => self.builtin(Some(Long), depth),
            7 => self.assignment_or_step(depth),
            8 => self.asked(depth),
            _ => self.other_long(depth),
        }
    }

    fn infix(&mut self, operators: &[&'static str], ty: Type, depth: usize) -> String {
        let operator = self.choices.pick(operators);
        format!("({} {operator} {})", self.value(ty, depth), self.value(ty, depth))
    }

    fn comparison(&mut self, depth: usize) -> String {
        match self.choices.below(7) {
            5 => self.infix(&COMPARES[..2], Stack, depth),
            6 => self.stack_as_truth(depth),
            0 => self.infix(&COMPARES, Long, depth),
            1 => self.infix(&COMPARES, Text, depth),
            2 => self.infix(&COMPARES, Double, depth),
            3 => {
                let operator = self.choices.pick(&COMPARES);
                format!("({} {operator} {})", self.double(depth), self.long(depth))
            }
            _ => {
                let operator = self.choices.pick(&["=~", "!~"]);
                let regex = self.choices.pick(&REGEXES);
                format!("({} {operator} \"{regex}\")", self.text(depth))
            }
        }
    }

    fn choice(&mut self, ty: Type, depth: usize) -> String {
        let condition = self.long(depth);
        format!("({condition} ? {} : {})", self.value(ty, depth), self.value(ty, depth))
    }

    fn assignment_or_step(&mut self, depth: usize) -> String {
        if self.place.condition {
            return self.variable(Long, depth);
        }
        let step = self.choices.pick(&["++", "--"]);
        match self.choices.below(3) {
            0 => format!("({})", self.assignment(Long, depth)),
            1 => format!("({}{step})", self.variable(Long, depth)),
            _ => format!("({step}{})", self.variable(Long, depth)),
        }
    }

    pub(super) fn assignment(&mut self, ty: Type, depth: usize) -> String {
        let operators = match ty {
            Text => &["=", ".="][..],
            Stack => &ASSIGNMENTS[..1],
            Double => &ASSIGNMENTS[..6],
            Long | Stats => &ASSIGNMENTS[..],
        };
        let operator = self.choices.pick(operators);
        format!("{} {operator} {}", self.variable(ty, depth), self.value(ty, depth))
    }

    /// What is asked of statistics or of an array.
    fn asked(&mut self, depth: usize) -> String {
        match self.choices.below(6) {
            0 | 1 => {
                let asked =
                    ["count", "sum", "min", "max", "avg", "variance", "p50", "p99"];
                let asked = self.choices.pick(&asked);
                format!("@{asked}({})", self.statistics(depth))
            }
            2 => {
                let aggregate = self.statistics(depth);
                format!("@percentile({aggregate}, {})", self.double(depth))
            }
            3 => {
                let histogram = self.histogram(depth);
                format!("{histogram}[{}]", self.long(depth))
            }
            4 => {
                let array = self.choices.below(ARRAYS.len());
                format!("([{}] in a{array})", self.keys(array, depth))
            }
            _ => {
                let array = self.choices.below(ARRAYS.len());
                format!("([{}] in a{array})", self.slice(array, depth))
            }
        }
    }

    fn other_long(&mut self, depth: usize) -> String {
        match self.choices.below(4) {
            _ if self.place.condition => format!("@plus({})", self.long(depth)),
            0 => format!("@plus({})", self.long(depth)),
            1 => "randint(1)".to_owned(),
            2 => {
                format!(
                    "@variance({}, {})",
                    self.statistics(depth),
                    self.choices.below(9)
                )
            }
            _ => self.call(Some(Long), depth),
        }
    }

    pub(super) fn text(&mut self, depth: usize) -> String {
        if depth == 0 {
            return match self.choices.below(4) {
                0 | 1 => self.literal(),
                2 => self.variable(Text, 0),
                _ => self.builtin(Some(Text), 0),
            };
        }
        let depth = depth - 1;
        match self.choices.weighted(&[2, 2, 4, 1, 4, 2, 2, 1, 2, 1]) {
            9 => self.stack_as_text(depth),
            0 => self.text(depth),
            1 => self.variable(Text, depth),
            2 => format!("({} . {})", self.text(depth), self.text(depth)),
            3 => self.choice(Text, depth),
            4 => self.builtin(Some(Text), depth),
            _ if self.place.condition => self.variable(Text, depth),
            5 => format!("({})", self.assignment(Text, depth)),
            6 => self.format("sprintf", depth),
            7 => self.joined("s", depth),
            _ => self.call(Some(Text), depth),
        }
    }

    fn stack(&mut self, depth: usize) -> String {
        let ways = if depth == 0 { 2 } else { 5 };
        let depth = depth.saturating_sub(1);
        match self.choices.below(ways) {
            _ if self.place.condition => self.variable(Stack, depth),
            0 => self.variable(Stack, depth),
            1 | 2 => self.builtin(Some(Stack), depth),
            3 => self.choice(Stack, depth),
            _ => match self.choices.once_in(2) {
                true => format!("({})", self.assignment(Stack, depth)),
                false => self.call(Some(Stack), depth),
            },
        }
    }

    /// A stack that is known to be one, wherever it stands.
    fn known_stack(&mut self, depth: usize) -> String {
        match self.choices.once_in(2) && !self.place.condition {
            true => self.builtin(Some(Stack), depth),
            false => self.variable(Stack, 0),
        }
    }

    /// A stack where a string is wanted.
    fn stack_as_text(&mut self, depth: usize) -> String {
        if self.place.condition {
            return self.variable(Text, depth);
        }
        let stack = self.known_stack(depth);
        match self.choices.below(4) {
            0 => format!("(\"<\" . {stack})"),
            1 => format!("str_replace({stack}, \"0x4\", {})", self.text(depth)),
            2 => format!("({} ? {stack} : {})", self.long(depth), self.literal()),
            _ => format!("sprint({stack})"),
        }
    }

    /// A stack where a condition is wanted, or it is compared with a string.
    fn stack_as_truth(&mut self, depth: usize) -> String {
        let stack = self.stack(depth);
        match self.choices.below(4) {
            0 => format!("(!{stack})"),
            1 => format!("({stack} && {})", self.long(depth)),
            2 if !self.place.condition => {
                let (stack, text) = (self.known_stack(depth), self.literal());
                format!("({stack} {} {text})", self.choices.pick(&COMPARES))
            }
            _ => format!("({stack} ? {} : {})", self.long(depth), self.long(depth)),
        }
    }

    pub(super) fn double(&mut self, depth: usize) -> String {
        if depth == 0 {
            return match self.choices.below(3) {
                0 => self.double_literal(),
                _ => self.variable(Double, 0),
            };
        }
        let depth = depth - 1;
        match self.choices.weighted(&[2, 2, 4, 2, 1, 1, 2, 1, 2]) {
            0 => self.double(depth),
            1 => self.variable(Double, depth),
            2 => self.infix(&OPERATORS[..5], Double, depth),
            3 => {
                let operator = self.choices.pick(&OPERATORS[..5]);
                format!("({} {operator} {})", self.long(depth), self.double(depth))
            }
            4 => self.choice(Double, depth),
            5 => format!("(- {})", self.double(depth)),
            _ if self.place.condition => self.variable(Double, depth),
            6 => format!("({})", self.assignment(Double, depth)),
            7 => self.builtin(Some(Double), depth),
            _ => self.call(Some(Double), depth),
        }
    }
}
