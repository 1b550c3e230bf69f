//! What the values of a handler are made of, as far as a hit tells.
//!
//! Equal ones have one number. What has constants alone is computed.

use std::collections::HashMap;

use hwtrace_runtime::abi::{PICTURE_NEW, PICTURE_OLD, registers};
use hwtrace_runtime::plan::{self, Binary, Comparison, Input, Unary};
use hwtrace_runtime::schema::AccessKind;

use super::asked;
use crate::ir::effects::Global;
use crate::ir::{BinaryOp, CompareOp, Module, Op, Text, UnaryOp, Value};

/// What a value is made of, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Symbol(u32);

/// What a value is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Made {
    Constant(i64),
    Text(Text),
    Input(Input),
    Unary(Unary, Symbol),
    Binary(Binary, Symbol, Symbol),
    Compare(Comparison, Symbol, Symbol),
    /// A number in memory, at an address.
    Load(Symbol, plan::Load),
    Unknown(Why),
}

/// Why a value is not known at a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// It is of a global.
    Global(Global),
    /// It is a field of the record that takes more than a hit to know, by name.
    Field(&'static str),
    /// A builtin gives it, by name.
    Builtin(&'static str),
    /// A function gives it, by number.
    Function(u32),
    /// Memory tells it that is read late.
    LateRead,
    /// It is another on another way to there.
    Several,
    /// A loop sets it.
    Loop,
    /// It is an address in the picture of an object that several registers watch.
    Picture,
    /// It is in such an object.
    Object,
    /// It takes operators that plans do not have, or too many of them.
    Operator,
}

/// Operators inside of one another at most.
const DEPTH_MAX: u8 = 32;

/// All that values of a handler are made of.
#[derive(Default)]
pub(super) struct Symbols {
    all: Vec<(Made, Traits)>,
    numbers: HashMap<Made, Symbol>,
}

/// What is known of all that something is made of.
#[derive(Clone, Copy, Default)]
struct Traits {
    /// Operators inside of one another.
    depth: u8,
    /// Whether it depends on what the access was.
    access: bool,
}

impl Symbols {
    pub(super) fn made(&self, symbol: Symbol) -> Made {
        self.all[symbol.0 as usize].0
    }

    /// Whether it depends on what the access was.
    pub(super) fn has_access(&self, symbol: Symbol) -> bool {
        self.all[symbol.0 as usize].1.access
    }

    pub(super) fn why_unknown(&self, symbol: Symbol) -> Option<Why> {
        match self.made(symbol) {
            Made::Unknown(why) => Some(why),
            _ => None,
        }
    }

    pub(super) fn constant(&self, symbol: Symbol) -> Option<i64> {
        match self.made(symbol) {
            Made::Constant(value) => Some(value),
            _ => None,
        }
    }

    /// The number of what is made so.
    pub(super) fn put(&mut self, made: Made) -> Symbol {
        if let Some(symbol) = self.numbers.get(&made) {
            return *symbol;
        }
        let parts = match made {
            Made::Unary(_, part) | Made::Load(part, _) => [Some(part), None],
            Made::Binary(_, left, right) | Made::Compare(_, left, right) => {
                [Some(left), Some(right)]
            }
            _ => [None, None],
        };
        let mut traits = Traits { depth: 0, access: made == Made::Input(Input::Access) };
        for part in parts.into_iter().flatten() {
            let (_, of) = self.all[part.0 as usize];
            traits.depth = traits.depth.max(of.depth + 1);
            traits.access |= of.access;
        }
        if traits.depth > DEPTH_MAX {
            return self.put(Made::Unknown(Why::Operator));
        }
        let symbol = Symbol(self.all.len() as u32);
        self.all.push((made, traits));
        self.numbers.insert(made, symbol);
        symbol
    }

    pub(super) fn unknown(&mut self, why: Why) -> Symbol {
        self.put(Made::Unknown(why))
    }

    /// What an instruction gives that sets no local and gets none; `of` tells what
    /// its operands are.
    pub(super) fn result(
        &mut self,
        module: &Module,
        op: &Op,
        of: &dyn Fn(Value) -> Symbol,
    ) -> Symbol {
        match op {
            Op::Long(value) if is_picture(*value) => self.unknown(Why::Picture),
            Op::Long(value) => self.put(Made::Constant(*value)),
            Op::Text(text) => self.put(Made::Text(*text)),
            Op::Field(field) => self.put(match input(field.name) {
                Some(input) => Made::Input(input),
                None => Made::Unknown(Why::Field(field.name)),
            }),
            Op::Unary(op, value) => self.unary(*op, of(*value)),
            Op::Binary(op, left, right) => self.binary(*op, of(*left), of(*right)),
            Op::Compare(op, left, right) => {
                self.compare(comparison(*op), of(*left), of(*right))
            }
            Op::CompareText(op, left, right) => {
                self.compare_text(module, *op, of(*left), of(*right))
            }
            Op::Call(helper, args) if asked::load(op).is_none() => {
                self.call(helper.name, args, of)
            }
            Op::Load { .. } | Op::Call(..) => self.load(op, of),
            Op::CallFunction(number, _) => self.unknown(Why::Function(*number)),
            Op::GetLong(slot) => self.unknown(Why::Global(Global::Long(*slot))),
            Op::GetText(slot) => self.unknown(Why::Global(Global::Text(*slot))),
            Op::GetElement(array, _)
            | Op::AddElement(array, ..)
            | Op::HasElement(array, _)
            | Op::HasMatch(array, _) => self.unknown(Why::Global(Global::Array(*array))),
            Op::WalkKey(_) | Op::WalkNext => self.unknown(Why::Loop),
            _ => self.unknown(Why::Operator),
        }
    }

    /// Why one of these is not known; a picture comes first, whatever the index.
    fn obstacle(&self, symbols: &[Symbol]) -> Option<Why> {
        let mut whys = symbols.iter().filter_map(|symbol| self.why_unknown(*symbol));
        let first = whys.next()?;
        let picture = whys.find(|why| *why == Why::Picture);
        Some(picture.unwrap_or(first))
    }

    fn unary(&mut self, op: UnaryOp, value: Symbol) -> Symbol {
        let op = match op {
            UnaryOp::Negate => Unary::Negate,
            UnaryOp::Not => Unary::Not,
            UnaryOp::Complement => Unary::Complement,
        };
        self.apply(op, value)
    }

    fn apply(&mut self, op: Unary, value: Symbol) -> Symbol {
        match self.made(value) {
            Made::Constant(value) => self.put(Made::Constant(op.of(value))),
            Made::Unknown(_) => value,
            _ => self.put(Made::Unary(op, value)),
        }
    }

    fn binary(&mut self, op: BinaryOp, left: Symbol, right: Symbol) -> Symbol {
        if let Some(why) = self.obstacle(&[left, right]) {
            return self.unknown(why);
        }
        let second = self.constant(right);
        let op = match (op, second) {
            (BinaryOp::Add, _) => Binary::Add,
            (BinaryOp::Subtract, _) => Binary::Subtract,
            (BinaryOp::Multiply, _) => Binary::Multiply,
            (BinaryOp::And, _) => Binary::And,
            (BinaryOp::Or, _) => Binary::Or,
            (BinaryOp::Xor, _) => Binary::Xor,
            // A quotient that does not fit wraps, which not every processor does.
            (BinaryOp::Divide, Some(-1)) => return self.apply(Unary::Negate, left),
            (BinaryOp::Remainder, Some(-1)) => return self.put(Made::Constant(0)),
            (BinaryOp::Divide, Some(1..) | Some(..=-2)) => Binary::Divide,
            (BinaryOp::Remainder, Some(1..) | Some(..=-2)) => Binary::Remainder,
            (BinaryOp::Divide | BinaryOp::Remainder, _) => {
                return self.unknown(Why::Operator);
            }
            (shift, second) => return self.shift(shift, left, second),
        };
        self.combine(op, left, right)
    }

    /// Shifts, of which plans have those by 0 to 63.
    fn shift(&mut self, op: BinaryOp, left: Symbol, count: Option<i64>) -> Symbol {
        let op = match op {
            BinaryOp::ShiftLeft => Binary::ShiftLeft,
            BinaryOp::ShiftRight => Binary::ShiftRight,
            _ => Binary::ShiftRightLogical,
        };
        let count = match count {
            None => return self.unknown(Why::Operator),
            // Nothing is shifted, as SystemTap has it.
            Some(..=0) => return left,
            Some(64..) if op != Binary::ShiftRight => {
                return self.put(Made::Constant(0));
            }
            Some(count) => count.min(63),
        };
        let count = self.put(Made::Constant(count));
        self.combine(op, left, count)
    }

    fn combine(&mut self, op: Binary, left: Symbol, right: Symbol) -> Symbol {
        let value = match (self.constant(left), self.constant(right)) {
            (Some(left), Some(right)) => op.of(left, right),
            _ => None,
        };
        self.put(value.map_or(Made::Binary(op, left, right), Made::Constant))
    }

    fn compare(&mut self, op: Comparison, left: Symbol, right: Symbol) -> Symbol {
        if let Some(why) = self.obstacle(&[left, right]) {
            return self.unknown(why);
        }
        match (self.constant(left), self.constant(right)) {
            (Some(left), Some(right)) => {
                self.put(Made::Constant(op.holds(left, right).into()))
            }
            _ => self.put(Made::Compare(op, left, right)),
        }
    }

    /// Of texts plans know what the access was.
    fn compare_text(
        &mut self,
        module: &Module,
        op: CompareOp,
        left: Symbol,
        right: Symbol,
    ) -> Symbol {
        let op = match op {
            CompareOp::Equal => Comparison::Equal,
            CompareOp::NotEqual => Comparison::NotEqual,
            _ => return self.unknown(Why::Operator),
        };
        let (access, text) = match (self.made(left), self.made(right)) {
            (Made::Input(Input::Access), Made::Text(text)) => (left, text),
            (Made::Text(text), Made::Input(Input::Access)) => (right, text),
            _ => return self.unknown(Why::Operator),
        };
        let text = match text {
            Text::Empty => "",
            Text::Constant(index) => &module.layout.constants[index as usize],
        };
        // No kind has the number that stands for all other names.
        let kind = AccessKind::ALL.iter().find(|kind| kind.name() == text);
        let number = kind.map_or(-1, |kind| *kind as i64);
        let number = self.put(Made::Constant(number));
        self.put(Made::Compare(op, access, number))
    }

    fn call(
        &mut self,
        name: &'static str,
        args: &[Value],
        of: &dyn Fn(Value) -> Symbol,
    ) -> Symbol {
        let number = args.first().and_then(|number| self.constant(of(*number)));
        match (name, number) {
            ("access", _) => self.put(Made::Input(Input::Access)),
            ("register_value", Some(number)) if is_recorded(number) => {
                self.put(Made::Input(Input::Register(number as u8)))
            }
            _ => self.unknown(Why::Builtin(name)),
        }
    }

    /// What an instruction gives that reads a number.
    fn load(&mut self, op: &Op, of: &dyn Fn(Value) -> Symbol) -> Symbol {
        let Some((address, load)) = asked::load(op) else {
            return self.unknown(Why::Operator);
        };
        let address = of(address);
        match self.why_unknown(address) {
            Some(Why::Picture) => self.unknown(Why::Object),
            Some(why) => self.unknown(why),
            None => self.put(Made::Load(address, load)),
        }
    }
}

/// Whether it is an address in the picture of a wide object.
pub(super) fn is_picture(value: i64) -> bool {
    /// No object is as large.
    const SIZE_BITS: u32 = 48;
    let start = value as u64 >> SIZE_BITS << SIZE_BITS;
    start == PICTURE_OLD || start == PICTURE_NEW
}

/// Whether records have the register with this number.
fn is_recorded(number: i64) -> bool {
    registers::REGISTERS.iter().any(|register| i64::from(register.number) == number)
}

/// What a field of the record is at the hit.
fn input(field: &str) -> Option<Input> {
    Some(match field {
        "old" => Input::Old,
        "new" => Input::New,
        "pid" => Input::Pid,
        "tid" => Input::Tid,
        "cpu" => Input::Cpu,
        "data_address" => Input::DataAddress,
        "user_mode" => Input::UserMode,
        _ => return None,
    })
}

fn comparison(op: CompareOp) -> Comparison {
    match op {
        CompareOp::Equal => Comparison::Equal,
        CompareOp::NotEqual => Comparison::NotEqual,
        CompareOp::Less => Comparison::Less,
        CompareOp::LessEqual => Comparison::LessOrEqual,
        CompareOp::Greater => Comparison::Greater,
        CompareOp::GreaterEqual => Comparison::GreaterOrEqual,
    }
}
