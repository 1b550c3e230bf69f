//! Statements.

use super::{ARRAYS, Double, Generator, Long, NAMES, Stack, Stats, Text, Type};

impl Generator {
    /// Some statements, a line each.
    pub(super) fn statements(&mut self, depth: usize, most: usize) -> String {
        let count = self.choices.below(most + 1);
        (0..count).map(|_| self.statement(depth) + "\n").collect()
    }

    fn braces(&mut self, depth: usize) -> String {
        format!("{{\n{}}}", self.statements(depth, 4))
    }

    fn looped(&mut self, depth: usize) -> String {
        let outside = std::mem::replace(&mut self.place.looped, true);
        let body = self.braces(depth);
        self.place.looped = outside;
        body
    }

    fn statement(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.simple(2);
        }
        let depth = depth - 1;
        match self.choices.weighted(&[6, 2, 1, 3, 1, 4, 3, 1]) {
            0 => self.simple(3),
            1 => {
                let condition = self.long(2);
                let then = self.braces(depth);
                let otherwise = match self.choices.once_in(2) {
                    true => format!(" else {}", self.braces(depth)),
                    false => String::new(),
                };
                format!("if ({condition}) {then}{otherwise}")
            }
            2 => {
                let condition = self.long(2);
                format!("while ({condition}) {}", self.looped(depth))
            }
            3 => {
                let local = format!("l{}", self.choices.below(NAMES));
                let rounds = self.choices.below(6);
                let body = self.looped(depth);
                format!("for ({local} = 0; {local} < {rounds}; {local}++) {body}")
            }
            4 => format!("for (;;) {}", self.looped(depth)),
            5 => self.foreach(depth),
            6 => {
                let body = self.braces(depth);
                let catch = self.choices.pick(&["(s0) ", "", "(s1) "]);
                format!("try {body} catch {catch}{}", self.braces(depth))
            }
            _ => self.walk_buckets(depth),
        }
    }

    fn simple(&mut self, depth: usize) -> String {
        match self.choices.weighted(&[3, 3, 2, 2, 3, 2, 3, 2, 2, 2, 2, 4, 2]) {
            12 => format!("{};", self.assignment(Stack, depth)),
            0 => format!("{};", self.assignment(Long, depth)),
            1 => format!("{};", self.assignment(Text, depth)),
            2 => format!("{};", self.assignment(Double, depth)),
            3 => format!("{};", self.long(depth)),
            4 => {
                let aggregate = self.aggregate(depth);
                format!("{aggregate} <<< {};", self.long(depth))
            }
            5 => format!("{};", self.joined("", depth)),
            6 => format!("{};", self.format("printf", depth)),
            7 => {
                let print = self.choices.pick(&["print", "println"]);
                format!("{print}({});", self.histogram(depth))
            }
            8 => format!("{};", self.delete(depth)),
            9 => self.jump(),
            10 => format!("{};", self.builtin(None, depth)),
            _ => self.call_for_effect(depth),
        }
    }

    fn jump(&mut self) -> String {
        match self.choices.below(5) {
            0 | 1 if self.place.looped => {
                self.choices.pick(&["break;", "continue;"]).into()
            }
            2 => match self.place.function {
                Some(Some(ty)) => format!("return {};", self.value(ty, 1)),
                Some(None) => "return;".to_owned(),
                None => "next;".to_owned(),
            },
            3 => "next;".to_owned(),
            _ => ";".to_owned(),
        }
    }

    fn call_for_effect(&mut self, depth: usize) -> String {
        match self.choices.below(10) {
            0 => "exit();".to_owned(),
            1 if self.choices.once_in(8) => "abort();".to_owned(),
            2 => format!("error({});", self.text(depth)),
            3 => format!("{};", self.text(depth)),
            4..=6 => {
                let ty = self.choices.pick(&[Long, Text, Double, Stack]);
                format!("{};", self.call(Some(ty), depth))
            }
            _ => format!("{};", self.call(None, depth)),
        }
    }

    fn delete(&mut self, depth: usize) -> String {
        let number = self.choices.below(NAMES);
        let array = self.choices.below(ARRAYS.len());
        let what = match self.choices.below(8) {
            7 => format!("b{number}"),
            0 => format!("g{number}"),
            1 => format!("t{number}"),
            2 => format!("e{number}"),
            3 => format!("x{number}"),
            4 => format!("a{array}"),
            5 => format!("a{array}[{}]", self.keys(array, depth)),
            _ => format!("a{array}[{}]", self.slice(array, depth)),
        };
        format!("delete {what}")
    }

    fn foreach(&mut self, depth: usize) -> String {
        let array = self.choices.below(ARRAYS.len());
        let shape = &ARRAYS[array];
        let first = self.choices.below(NAMES);
        let sign = self.choices.pick(&["+", "-"]);
        // None, the value, or a key.
        let order = self.choices.below(2 + shape.keys.len());
        let mut taken = [first; 4];
        let mut local = |ty: Type| {
            let (at, name) = match ty {
                Text => (0, "s"),
                Double => (1, "d"),
                Stack => (3, "k"),
                Long | Stats => (2, "l"),
            };
            taken[at] += 1;
            format!("{name}{}", taken[at] % NAMES)
        };
        let keys = shape.keys.iter().enumerate().map(|(at, ty)| {
            let sign = if order == 2 + at { sign } else { "" };
            format!("{}{sign}", local(*ty))
        });
        let keys = keys.collect::<Vec<_>>().join(", ");
        let value = match shape.values != Stats && self.choices.once_in(2) {
            true => format!("{} = ", local(shape.values)),
            false => String::new(),
        };
        let slice = match self.choices.once_in(4) {
            true => format!("[{}]", self.slice(array, 1)),
            false => String::new(),
        };
        let sorted = match (order, shape.values) {
            (1, Stats) => {
                let by = ["", " @count", " @sum", " @min", " @max", " @avg"];
                format!("{}{sign}", self.choices.pick(&by))
            }
            (1, _) => sign.to_owned(),
            _ => String::new(),
        };
        let limit = self.limit();
        let body = self.looped(depth);
        format!("foreach ({value}[{keys}] in a{array}{slice}{sorted}{limit}) {body}")
    }

    fn limit(&mut self) -> String {
        match self.choices.once_in(4) {
            true => format!(" limit {}", self.long(1)),
            false => String::new(),
        }
    }

    fn walk_buckets(&mut self, depth: usize) -> String {
        let (histogram, limit) = (self.histogram(1), self.limit());
        format!("foreach (l0 in {histogram}{limit}) {}", self.looped(depth))
    }
}
