//! What slots hold, as a script would say it.

use std::collections::HashMap;

use hwtrace_runtime::abi::registers::REGISTERS;
use hwtrace_runtime::plan::{Binary, Comparison, Does, Input, Slot, Step, Unary};
use hwtrace_runtime::schema::AccessKind;

use super::super::asked::builtin;

/// What a slot holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Term {
    pub(super) text: String,
    /// What holds where this does not.
    negated: Option<String>,
    /// Whether it needs no brackets as an operand.
    is_whole: bool,
    does: Option<Does>,
}

/// What slots hold after some steps.
#[derive(Clone, Default)]
pub(super) struct Slots(HashMap<Slot, Term>);

impl Term {
    fn whole(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_whole: true, ..Self::default() }
    }

    fn operand(&self) -> String {
        if self.is_whole { self.text.clone() } else { format!("({})", self.text) }
    }

    /// What holds where this does not.
    pub(super) fn negated(&self) -> String {
        self.negated.clone().unwrap_or_else(|| format!("!{}", self.operand()))
    }

    fn constant(&self) -> Option<i64> {
        match self.does {
            Some(Does::Constant(value)) => Some(value),
            _ => None,
        }
    }
}

impl Slots {
    pub(super) fn get(&self, slot: Slot) -> Term {
        self.0.get(&slot).cloned().unwrap_or_else(|| Term::whole("0"))
    }

    pub(super) fn set(&mut self, steps: &[Step]) {
        for step in steps {
            let term = self.term(step.does);
            self.0.insert(step.to, Term { does: Some(step.does), ..term });
        }
    }

    /// What is read by these steps, which have set their slots.
    pub(super) fn loads<'a>(
        &'a self,
        steps: &'a [Step],
    ) -> impl Iterator<Item = String> + 'a {
        let loads = steps.iter().filter(|step| matches!(step.does, Does::Load { .. }));
        loads.map(|step| self.get(step.to).text)
    }

    fn term(&self, does: Does) -> Term {
        match does {
            Does::Constant(value) => Term::whole(number(value)),
            Does::Input(Input::Access) => Term {
                negated: Some("access() is not known".to_owned()),
                ..Term::whole("access() is known")
            },
            Does::Input(input) => Term::whole(name(input)),
            Does::Copy(slot) => self.get(slot),
            Does::Unary(op, slot) => {
                let op = match op {
                    Unary::Negate => "-",
                    Unary::Not => "!",
                    Unary::Complement => "~",
                };
                Term::whole(format!("{op}{}", self.get(slot).operand()))
            }
            Does::Binary(op, left, right) => self.binary(op, left, right),
            Does::Compare(op, left, right) => self.compare(op, left, right),
            Does::Load { address, load, .. } => {
                Term::whole(format!("{}({})", builtin(load), self.get(address).text))
            }
            Does::Keep { .. } => Term::whole("0"),
        }
    }

    fn binary(&self, op: Binary, left: Slot, right: Slot) -> Term {
        if let Some(term) = self.lower_bits(op, left, right) {
            return term;
        }
        let sign = match op {
            Binary::Add => "+",
            Binary::Subtract => "-",
            Binary::Multiply => "*",
            Binary::Divide => "/",
            Binary::Remainder => "%",
            Binary::And => "&",
            Binary::Or => "|",
            Binary::Xor => "^",
            Binary::ShiftLeft => "<<",
            Binary::ShiftRight => ">>",
            Binary::ShiftRightLogical => ">>>",
        };
        let (left, right) = (self.get(left).operand(), self.get(right).operand());
        Term { text: format!("{left} {sign} {right}"), ..Term::default() }
    }

    /// Some of the lower bits of a number: shifted up and down.
    fn lower_bits(&self, op: Binary, shifted: Slot, down: Slot) -> Option<Term> {
        let sign = match op {
            Binary::ShiftRight => "signed",
            Binary::ShiftRightLogical => "unsigned",
            _ => return None,
        };
        let Does::Binary(Binary::ShiftLeft, of, up) = self.get(shifted).does? else {
            return None;
        };
        let (up, down) = (self.get(up).constant()?, self.get(down).constant()?);
        let text = format!("{sign}{}({})", 64 - down, self.get(of).text);
        (up == down).then(|| Term::whole(text))
    }

    fn compare(&self, op: Comparison, left: Slot, right: Slot) -> Term {
        let (sign, opposite) = match op {
            Comparison::Equal => ("==", "!="),
            Comparison::NotEqual => ("!=", "=="),
            Comparison::Less => ("<", ">="),
            Comparison::LessOrEqual => ("<=", ">"),
            Comparison::Greater => (">", "<="),
            Comparison::GreaterOrEqual => (">=", "<"),
        };
        let (left, right) = (self.get(left), self.get(right));
        let (left, right) = match (left.does, right.constant()) {
            (Some(Does::Input(Input::Access)), Some(kind)) => {
                ("access()".to_owned(), format!("{:?}", kind_name(kind)))
            }
            _ => (left.operand(), right.operand()),
        };
        Term {
            text: format!("{left} {sign} {right}"),
            negated: Some(format!("{left} {opposite} {right}")),
            ..Term::default()
        }
    }
}

/// Numbers that are addresses rather than counts in hexadecimal digits.
fn number(value: i64) -> String {
    const LARGE: u64 = 1 << 32;
    if value.unsigned_abs() < LARGE { value.to_string() } else { format!("{value:#x}") }
}

fn kind_name(number: i64) -> &'static str {
    let kind = AccessKind::ALL.iter().find(|kind| **kind as i64 == number);
    kind.map_or("…", |kind| kind.name())
}

fn name(input: Input) -> String {
    let name = match input {
        Input::Old => "$old",
        Input::New => "$new",
        Input::Pid => "pid()",
        Input::Tid => "tid()",
        Input::Cpu => "cpu()",
        Input::DataAddress => "data_addr()",
        Input::UserMode => "user_mode()",
        Input::Access => "access()",
        Input::Register(number) => {
            let of = REGISTERS.iter().find(|it| it.number == u32::from(number));
            let name = of.map_or("?", |register| register.name);
            return format!("register(\"{name}\")");
        }
    };
    name.to_owned()
}
