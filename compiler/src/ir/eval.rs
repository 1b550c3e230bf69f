//! A safe evaluator of modules: what handlers mean, in plain Rust.
//!
//! It shares with native code the meaning of one printed value and of the
//! string functions ([`hwtrace_runtime::abi`]) and nothing else: its strings
//! are owned, its arrays are its own. Differential tests compare the two.

use std::cmp::Ordering;

use hwtrace_runtime::abi::{FaultCode, Helper, format, text};
use hwtrace_runtime::map::Shape;
use indexmap::IndexMap;

use super::{
    BinaryOp, CompareOp, Emit, Handler, Instruction, Module, Op, Terminator, Text, Type,
    UnaryOp, Value, WalkOrder,
};

/// A value at run time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Datum {
    /// A long.
    Long(i64),
    /// A string.
    Text(Vec<u8>),
}

impl Datum {
    fn zero(ty: Type) -> Self {
        match ty {
            Type::Long => Self::Long(0),
            Type::String => Self::Text(Vec::new()),
        }
    }

    fn long(&self) -> i64 {
        match self {
            Self::Long(value) => *value,
            Self::Text(_) => 0,
        }
    }

    fn text(&self) -> &[u8] {
        match self {
            Self::Text(text) => text,
            Self::Long(_) => &[],
        }
    }
}

/// What a handler asks of the hit and of the session around it.
pub trait Host {
    /// A field of the record, by name.
    fn field(&mut self, name: &str) -> Datum;
    /// A helper that depends on more than its arguments.
    fn call(&mut self, name: &str, args: &[Datum]) -> Datum;
}

/// A fault: what, and at which site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What happened.
    pub code: FaultCode,
    /// Index into [`Module::sites`].
    pub site: u32,
}

type Array = IndexMap<Vec<Datum>, Datum>;

/// The state of a session.
#[derive(Clone, Debug)]
pub struct Evaluator<'a> {
    module: &'a Module,
    /// Scalar longs by slot.
    pub longs: Vec<i64>,
    /// Scalar strings by slot.
    pub texts: Vec<Vec<u8>>,
    /// Arrays by number.
    pub arrays: Vec<Array>,
    /// What was printed.
    pub output: Vec<u8>,
}

/// One run of a handler.
struct Run<'r, 'a> {
    state: &'r mut Evaluator<'a>,
    host: &'r mut dyn Host,
    locals: Vec<Datum>,
    values: Vec<Datum>,
    walks: Vec<Walk>,
    fuel: u32,
    capture: usize,
}

struct Walk {
    array: usize,
    keys: std::vec::IntoIter<Vec<Datum>>,
    current: Vec<Datum>,
}

impl<'a> Evaluator<'a> {
    /// A session of the module, before any handler ran.
    pub fn new(module: &'a Module) -> Self {
        let layout = &module.layout;
        Self {
            module,
            longs: layout.longs.clone(),
            texts: layout.texts.iter().map(|text| text.clone().into_bytes()).collect(),
            arrays: layout.arrays.iter().map(|_| Array::new()).collect(),
            output: Vec::new(),
        }
    }

    /// Runs handler number `handler`.
    ///
    /// # Errors
    /// The fault that ended it. What it did up to there stays done.
    pub fn run(&mut self, handler: usize, host: &mut dyn Host) -> Result<(), Fault> {
        let handler = &self.module.handlers[handler];
        let fuel = self.module.steps_max;
        let mut run = Run {
            locals: handler.locals.iter().copied().map(Datum::zero).collect(),
            values: handler.values.iter().copied().map(Datum::zero).collect(),
            walks: Vec::new(),
            capture: 0,
            state: self,
            host,
            fuel,
        };
        run.handler(handler)
    }

    fn cut(&self, mut text: Vec<u8>) -> Datum {
        text.truncate(self.module.string_bytes_max as usize);
        Datum::Text(text)
    }
}

impl Run<'_, '_> {
    fn handler(&mut self, handler: &Handler) -> Result<(), Fault> {
        let mut block = 0;
        loop {
            let current = &handler.blocks[block as usize];
            for Instruction { result, op, site } in &current.instructions {
                let outcome = self.op(op).map_err(|code| Fault { code, site: *site })?;
                if let Some(Value(value)) = result {
                    self.values[*value as usize] = outcome;
                }
            }
            block =
                match current.terminator {
                    Terminator::Jump(next) => next.0,
                    Terminator::Branch(value, then, otherwise) => {
                        if self.long(value) != 0 { then.0 } else { otherwise.0 }
                    }
                    Terminator::Return => return Ok(()),
                };
        }
    }

    fn get(&self, value: Value) -> &Datum {
        &self.values[value.0 as usize]
    }

    fn long(&self, value: Value) -> i64 {
        self.get(value).long()
    }

    fn list(&self, values: &[Value]) -> Vec<Datum> {
        values.iter().map(|value| self.get(*value).clone()).collect()
    }

    fn constant(&self, constant: Text) -> Vec<u8> {
        match constant {
            Text::Empty => Vec::new(),
            Text::Constant(index) => {
                self.state.module.layout.constants[index as usize].clone().into_bytes()
            }
        }
    }

    /// Does what the instruction says; gives its value, 0 where it has none.
    fn op(&mut self, op: &Op) -> Result<Datum, FaultCode> {
        Ok(match op {
            Op::Long(value) => Datum::Long(*value),
            Op::Text(text) => Datum::Text(self.constant(*text)),
            Op::Field(field) => self.host.field(field.name),
            Op::GetLocal(local) => self.locals[local.0 as usize].clone(),
            Op::SetLocal(local, value) => {
                self.locals[local.0 as usize] = self.get(*value).clone();
                Datum::Long(0)
            }
            Op::GetLong(slot) => Datum::Long(self.state.longs[*slot as usize]),
            Op::SetLong(slot, value) => {
                self.state.longs[*slot as usize] = self.long(*value);
                Datum::Long(0)
            }
            Op::GetText(slot) => self.state.cut(self.state.texts[*slot as usize].clone()),
            Op::SetText(slot, value) => {
                self.state.texts[*slot as usize] = self.get(*value).text().to_vec();
                Datum::Long(0)
            }
            Op::Unary(op, value) => Datum::Long(unary(*op, self.long(*value))),
            Op::Binary(op, left, right) => {
                Datum::Long(binary(*op, self.long(*left), self.long(*right))?)
            }
            Op::Compare(op, left, right) | Op::CompareText(op, left, right) => {
                Datum::Long(compare(*op, self.get(*left).cmp(self.get(*right))).into())
            }
            Op::Concat(left, right) => {
                let mut text = self.get(*left).text().to_vec();
                text.extend_from_slice(self.get(*right).text());
                self.state.cut(text)
            }
            Op::Call(helper, args) => self.call(helper, args),
            Op::Fuel(steps) => {
                self.fuel = self.fuel.checked_sub(*steps).ok_or(FaultCode::OutOfFuel)?;
                Datum::Long(0)
            }
            Op::CaptureBegin => {
                self.capture = self.state.output.len();
                Datum::Long(0)
            }
            Op::CaptureEnd => {
                let text = self.state.output.split_off(self.capture);
                self.state.cut(text)
            }
            Op::EmitText(text) => {
                let text = self.constant(*text);
                self.state.output.extend(text);
                Datum::Long(0)
            }
            Op::EmitLong(emit) | Op::EmitString(emit) => {
                self.emit(emit);
                Datum::Long(0)
            }
            _ => return self.array(op),
        })
    }

    fn array(&mut self, op: &Op) -> Result<Datum, FaultCode> {
        Ok(match op {
            Op::GetElement(array, keys) => {
                let found = self.state.arrays[*array as usize].get(&self.list(keys));
                let shape = &self.state.module.layout.arrays[*array as usize];
                let value =
                    found.cloned().unwrap_or_else(|| Datum::zero(value_type(shape)));
                match value {
                    Datum::Text(text) => self.state.cut(text),
                    Datum::Long(_) => value,
                }
            }
            Op::SetElement(array, keys, value) => {
                let value = self.get(*value).clone();
                *self.cell(*array, keys)? = value;
                Datum::Long(0)
            }
            Op::AddElement(array, keys, value) => {
                let delta = self.long(*value);
                let cell = self.cell(*array, keys)?;
                *cell = Datum::Long(cell.long().wrapping_add(delta));
                cell.clone()
            }
            Op::HasElement(array, keys) => {
                let keys = self.list(keys);
                Datum::Long(self.state.arrays[*array as usize].contains_key(&keys).into())
            }
            Op::DeleteElement(array, keys) => {
                let keys = self.list(keys);
                self.state.arrays[*array as usize].shift_remove(&keys);
                Datum::Long(0)
            }
            Op::Clear(array) => {
                self.state.arrays[*array as usize].clear();
                Datum::Long(0)
            }
            Op::WalkBegin { array, order, limit } => {
                let limit = limit.map_or(-1, |limit| self.long(limit));
                self.walk(*array as usize, *order, limit);
                Datum::Long(0)
            }
            Op::WalkNext => Datum::Long(self.advance().into()),
            Op::WalkKey(position) => {
                let walk = self.walks.last();
                let key = walk.and_then(|walk| walk.current.get(*position as usize));
                key.cloned().unwrap_or(Datum::Long(0))
            }
            Op::WalkEnd => {
                self.walks.pop();
                Datum::Long(0)
            }
            _ => unreachable!("`op` does all others"),
        })
    }

    fn cell(&mut self, array: u32, keys: &[Value]) -> Result<&mut Datum, FaultCode> {
        let keys = self.list(keys);
        let shape = &self.state.module.layout.arrays[array as usize];
        let elements = &mut self.state.arrays[array as usize];
        if elements.len() >= shape.capacity && !elements.contains_key(&keys) {
            return Err(FaultCode::ArrayFull);
        }
        Ok(elements.entry(keys).or_insert(Datum::zero(value_type(shape))))
    }

    fn walk(&mut self, array: usize, order: WalkOrder, limit: i64) {
        let mut elements: Vec<_> = self.state.arrays[array].iter().collect();
        let directed = |ordering: Ordering, descending: bool| {
            if descending { ordering.reverse() } else { ordering }
        };
        match order {
            WalkOrder::Insertion => {}
            WalkOrder::Value { descending } => {
                elements.sort_by(|left, right| directed(left.1.cmp(right.1), descending));
            }
            WalkOrder::Key { position, descending } => {
                let key = |element: &(&Vec<Datum>, &Datum)| {
                    element.0[position as usize].clone()
                };
                elements.sort_by(|left, right| {
                    directed(key(left).cmp(&key(right)), descending)
                });
            }
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let keys: Vec<_> =
            elements.into_iter().map(|(key, _)| key.clone()).take(limit).collect();
        self.walks.push(Walk { array, keys: keys.into_iter(), current: Vec::new() });
    }

    fn advance(&mut self) -> bool {
        let Some(walk) = self.walks.last_mut() else {
            return false;
        };
        let elements = &self.state.arrays[walk.array];
        match walk.keys.find(|keys| elements.contains_key(keys)) {
            Some(keys) => {
                walk.current = keys;
                true
            }
            None => false,
        }
    }

    fn emit(&mut self, emit: &Emit) {
        let count =
            |value: Option<Value>| value.map_or(format::NONE, |value| self.long(value));
        let (width, precision) = (count(emit.width), count(emit.precision));
        let value = self.get(emit.value).clone();
        let out = &mut self.state.output;
        match value {
            Datum::Long(value) => {
                format::long(out, emit.directive, width, precision, value)
            }
            Datum::Text(text) => {
                format::string(out, emit.directive, width, precision, &text)
            }
        }
    }

    fn call(&mut self, helper: &Helper, args: &[Value]) -> Datum {
        let args = self.list(args);
        match (helper.name, &args[..]) {
            ("strlen", [Datum::Text(text)]) => Datum::Long(text.len() as i64),
            ("substr", [Datum::Text(whole), Datum::Long(start), Datum::Long(length)]) => {
                self.state.cut(text::substr(whole, *start, *length).to_vec())
            }
            ("isinstr", [Datum::Text(whole), Datum::Text(part)]) => {
                Datum::Long(text::contains(whole, part).into())
            }
            ("strtol", [Datum::Text(digits), Datum::Long(base)]) => {
                Datum::Long(text::strtol(digits, *base))
            }
            _ => self.host.call(helper.name, &args),
        }
    }
}

fn value_type(shape: &Shape) -> Type {
    if shape.string_values { Type::String } else { Type::Long }
}

fn unary(op: UnaryOp, value: i64) -> i64 {
    match op {
        UnaryOp::Negate => value.wrapping_neg(),
        UnaryOp::Not => (value == 0).into(),
        UnaryOp::Complement => !value,
    }
}

fn binary(op: BinaryOp, left: i64, right: i64) -> Result<i64, FaultCode> {
    // Counts of shifts are taken modulo 64, as the wrapping forms do.
    let count = right as u32;
    Ok(match op {
        BinaryOp::Add => left.wrapping_add(right),
        BinaryOp::Subtract => left.wrapping_sub(right),
        BinaryOp::Multiply => left.wrapping_mul(right),
        BinaryOp::Divide | BinaryOp::Remainder if right == 0 => {
            return Err(FaultCode::DivisionByZero);
        }
        BinaryOp::Divide => left.wrapping_div(right),
        BinaryOp::Remainder => left.wrapping_rem(right),
        BinaryOp::And => left & right,
        BinaryOp::Or => left | right,
        BinaryOp::Xor => left ^ right,
        BinaryOp::ShiftLeft => left.wrapping_shl(count),
        BinaryOp::ShiftRight => left.wrapping_shr(count),
        BinaryOp::ShiftRightLogical => (left as u64).wrapping_shr(count) as i64,
    })
}

fn compare(op: CompareOp, ordering: Ordering) -> bool {
    match op {
        CompareOp::Equal => ordering.is_eq(),
        CompareOp::NotEqual => ordering.is_ne(),
        CompareOp::Less => ordering.is_lt(),
        CompareOp::LessEqual => ordering.is_le(),
        CompareOp::Greater => ordering.is_gt(),
        CompareOp::GreaterEqual => ordering.is_ge(),
    }
}
