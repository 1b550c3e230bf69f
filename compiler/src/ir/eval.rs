//! A safe evaluator of modules: what handlers mean, in plain Rust.
//!
//! It shares with native code the meaning of one printed value, of the string
//! functions and of one aggregate's histogram ([`hwtrace_runtime::abi`],
//! [`hwtrace_runtime::aggregate`]) and nothing else: its strings are owned,
//! its arrays are its own, its aggregates are lists of what was added.
//! Differential tests compare the two.

mod arrays;
mod datum;
mod library;
mod stacks;
mod statistics;

pub use hwtrace_runtime::abi::Fault;
use hwtrace_runtime::abi::objects::Objects;
use hwtrace_runtime::abi::text::{Groups, Indent, Regexes, Tokenizer};
use hwtrace_runtime::abi::{FaultCode, format, write_double};
use hwtrace_runtime::world::stacks::Stacks;
use indexmap::IndexMap;

use super::{Block, Code, Emit, Instruction, Module, Op, Terminator, Text, Type, Value};
pub use datum::Datum;
use datum::{binary, binary_double, compare, compare_double, unary};

/// What a handler asks of the hit and of the session around it.
pub trait Host {
    /// A field of the record, by name.
    fn field(&mut self, name: &str) -> Datum;
    /// A helper that depends on more than its arguments.
    fn call(&mut self, name: &str, args: &[Datum]) -> Datum;
    /// Reads memory of the target from an address on, of the kernel's where
    /// `kernel`; gives how many bytes of `out` could be read.
    fn memory(&mut self, kernel: bool, address: u64, out: &mut [u8]) -> usize {
        let _ = (kernel, address, out);
        0
    }
    /// Who walks and names stacks: what depends on the captured stack is known to
    /// the host already.
    fn stacks(&mut self) -> &mut dyn Stacks;
    /// The calls in the kernel that led to an access, the innermost first.
    fn kernel_stack(&mut self) -> Vec<u64> {
        Vec::new()
    }
    /// Why no memory of the kernel can be read, behind a colon; empty where
    /// some can.
    fn kernel_obstacle(&self) -> String {
        String::new()
    }
}

type Array = IndexMap<Vec<Datum>, Datum>;

/// The state of a session.
#[derive(Clone, Debug)]
pub struct Evaluator<'a> {
    module: &'a Module,
    /// Scalar longs and, by their bits, doubles by slot.
    pub longs: Vec<i64>,
    /// Scalar strings by slot.
    pub texts: Vec<Vec<u8>>,
    /// Scalar statistics by slot: what was added, in order.
    pub statistics: Vec<Vec<i64>>,
    /// Arrays by number.
    pub arrays: Vec<Array>,
    /// What was printed.
    pub output: Vec<u8>,
    /// What is for standard error.
    pub messages: Vec<u8>,
    /// The text of the last fault that has one of its own.
    pub fault_text: Vec<u8>,
    /// Commands of `system()`.
    pub commands: Vec<Vec<u8>>,
    /// Stacks by number, from 1.
    stacks: Vec<stacks::Kept>,
    regexes: Regexes,
    tokens: Tokenizer,
    indent: Indent,
    thread_indents: IndexMap<i64, Indent>,
    /// The objects that handlers watch.
    pub objects: Objects,
}

/// One run of a handler.
struct Run<'r, 'a> {
    state: &'r mut Evaluator<'a>,
    host: &'r mut dyn Host,
    walks: Vec<Walk>,
    fuel: u32,
    capture: Option<usize>,
    /// The fault that a `try` is about to take.
    caught: Option<FaultCode>,
    matched: Vec<u8>,
    groups: Groups,
}

/// One call of a code.
struct Frame {
    locals: Vec<Datum>,
    values: Vec<Datum>,
    /// How many functions it is inside of.
    depth: u32,
}

struct Walk {
    /// None for the buckets of a histogram.
    array: Option<usize>,
    keys: std::vec::IntoIter<Vec<Datum>>,
    current: Vec<Datum>,
}

/// Why an instruction did not do what it says.
enum Trap {
    /// A fault of its own.
    Fault(FaultCode),
    /// Of a function that it called, with its site.
    Inner(Fault),
    /// The handler ends without a fault.
    Ended,
}

impl From<FaultCode> for Trap {
    fn from(code: FaultCode) -> Self {
        Self::Fault(code)
    }
}

/// Why a code ended early.
enum Stop {
    Fault(Fault),
    Ended,
}

impl<'a> Evaluator<'a> {
    /// A session of the module, before any handler ran.
    pub fn new(module: &'a Module) -> Self {
        let layout = &module.layout;
        Self {
            module,
            longs: layout.longs.clone(),
            texts: layout.texts.iter().map(|text| text.clone().into_bytes()).collect(),
            statistics: vec![Vec::new(); layout.statistics.len()],
            arrays: layout.arrays.iter().map(|_| Array::new()).collect(),
            output: Vec::new(),
            messages: Vec::new(),
            fault_text: Vec::new(),
            commands: Vec::new(),
            stacks: Vec::new(),
            regexes: Regexes::new(&layout.regexes).unwrap_or_default(),
            tokens: Tokenizer::default(),
            indent: Indent::default(),
            thread_indents: IndexMap::new(),
            objects: Objects::default(),
        }
    }

    /// Runs handler number `handler`.
    ///
    /// # Errors
    /// The fault that ended it. What it did up to there stays done.
    pub fn run(&mut self, handler: usize, host: &mut dyn Host) -> Result<(), Fault> {
        self.code(&self.module.handlers[handler], host).map(|_| ())
    }

    /// Whether the condition of handler number `handler` holds.
    ///
    /// # Errors
    /// The fault that ended it.
    pub fn condition(
        &mut self,
        handler: usize,
        host: &mut dyn Host,
    ) -> Result<bool, Fault> {
        match &self.module.conditions[handler] {
            Some(code) => Ok(self.code(code, host)?.long() != 0),
            None => Ok(true),
        }
    }

    fn code(&mut self, code: &'a Code, host: &mut dyn Host) -> Result<Datum, Fault> {
        let fuel = self.module.steps_max;
        let mut run = Run {
            state: self,
            host,
            walks: Vec::new(),
            fuel,
            capture: None,
            caught: None,
            matched: Vec::new(),
            groups: Groups::default(),
        };
        let ended = run.code(code, Vec::new(), 0);
        if let (Err(_), Some(start)) = (&ended, run.capture) {
            run.state.output.truncate(start);
        }
        match ended {
            Ok(value) => Ok(value),
            Err(Stop::Ended) => Ok(Datum::Long(0)),
            Err(Stop::Fault(fault)) => Err(fault),
        }
    }

    fn cut(&self, mut text: Vec<u8>) -> Datum {
        text.truncate(self.module.string_bytes_max as usize);
        Datum::Text(text)
    }

    /// A fault with a text of its own.
    fn fail<T>(&mut self, code: FaultCode, text: impl Into<Vec<u8>>) -> Result<T, Trap> {
        self.fault_text = text.into();
        Err(Trap::Fault(code))
    }
}

impl<'a> Run<'_, 'a> {
    /// Runs a code; gives its result, 0 where it has none.
    fn code(
        &mut self,
        code: &'a Code,
        args: Vec<Datum>,
        depth: u32,
    ) -> Result<Datum, Stop> {
        let zeros = |types: &[Type]| types.iter().copied().map(Datum::zero).collect();
        let mut frame =
            Frame { locals: zeros(&code.locals), values: zeros(&code.values), depth };
        for (local, arg) in frame.locals.iter_mut().zip(args) {
            *local = arg;
        }
        let mut number = 0;
        loop {
            let block = &code.blocks[number as usize];
            number = match self.block(block, &mut frame) {
                Ok(()) => match block.terminator {
                    Terminator::Jump(next) => next.0,
                    Terminator::Branch(value, then, otherwise) => {
                        if frame.long(value) != 0 { then.0 } else { otherwise.0 }
                    }
                    Terminator::Return(value) => {
                        let value = value.map(|value| frame.get(value).clone());
                        return Ok(value.unwrap_or(Datum::Long(0)));
                    }
                    Terminator::Leave => return Err(Stop::Ended),
                },
                Err(stop) => match (&stop, block.on_fault) {
                    (Stop::Fault(fault), Some(handler)) if fault.code.is_catchable() => {
                        self.caught = Some(fault.code);
                        handler.0
                    }
                    _ => return Err(stop),
                },
            };
        }
    }

    fn block(&mut self, block: &'a Block, frame: &mut Frame) -> Result<(), Stop> {
        for Instruction { result, op, site } in &block.instructions {
            let outcome = self.op(op, frame).map_err(|trap| match trap {
                Trap::Fault(code) => Stop::Fault(Fault { code, site: *site }),
                Trap::Inner(fault) => Stop::Fault(fault),
                Trap::Ended => Stop::Ended,
            })?;
            if let Some(Value(value)) = result {
                frame.values[*value as usize] = outcome;
            }
        }
        Ok(())
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
    fn op(&mut self, op: &'a Op, frame: &mut Frame) -> Result<Datum, Trap> {
        Ok(match op {
            Op::Long(value) => Datum::Long(*value),
            Op::Double(value) => Datum::double_of(*value),
            Op::Text(text) => Datum::Text(self.constant(*text)),
            Op::Field(field) => self.host.field(field.name),
            Op::GetLocal(local) => frame.locals[local.0 as usize].clone(),
            Op::SetLocal(local, value) => {
                frame.locals[local.0 as usize] = frame.get(*value).clone();
                Datum::Long(0)
            }
            Op::GetLong(slot) => {
                let word = self.state.longs[*slot as usize];
                match self.state.module.scalars[*slot as usize] {
                    Type::Double => Datum::Double(word as u64),
                    _ => Datum::Long(word),
                }
            }
            Op::SetLong(slot, value) => {
                self.state.longs[*slot as usize] = match frame.get(*value) {
                    Datum::Double(bits) => *bits as i64,
                    other => other.long(),
                };
                Datum::Long(0)
            }
            Op::GetText(slot) => self.state.cut(self.state.texts[*slot as usize].clone()),
            Op::SetText(slot, value) => {
                self.state.texts[*slot as usize] = frame.get(*value).text().to_vec();
                Datum::Long(0)
            }
            Op::Concat(left, right) => {
                let mut text = frame.get(*left).text().to_vec();
                text.extend_from_slice(frame.get(*right).text());
                self.state.cut(text)
            }
            Op::Match { text, regex, .. } => {
                self.matched = frame.get(*text).text().to_vec();
                let (regexes, groups) = (&self.state.regexes, &mut self.groups);
                Datum::Long(
                    regexes.is_match(*regex as usize, &self.matched, groups).into(),
                )
            }
            Op::Call(helper, args) => return self.call(helper, &frame.list(args)),
            Op::CallFunction(number, args) => {
                return self.call_function(*number, args, frame);
            }
            Op::Mark => Datum::Long(self.walks.len() as i64),
            Op::Caught(mark) => self.catch(frame.long(*mark)),
            Op::Fuel(steps) => {
                self.fuel = self.fuel.checked_sub(*steps).ok_or(FaultCode::OutOfFuel)?;
                Datum::Long(0)
            }
            _ => return self.operator_or_emit(op, frame),
        })
    }

    fn operator_or_emit(&mut self, op: &Op, frame: &Frame) -> Result<Datum, Trap> {
        Ok(match op {
            Op::Unary(op, value) => Datum::Long(unary(*op, frame.long(*value))),
            Op::NegateDouble(value) => Datum::double_of(-frame.get(*value).double()),
            Op::ToDouble(value) => Datum::double_of(frame.long(*value) as f64),
            Op::FromBits { bits, single } => {
                let bits = frame.long(*bits) as u64;
                Datum::double_of(match single {
                    true => f64::from(f32::from_bits(bits as u32)),
                    false => f64::from_bits(bits),
                })
            }
            Op::Load { address, load } => self.load(frame.long(*address), *load)?,
            Op::Name(table, value) => self.name(*table, frame.long(*value)),
            Op::Binary(op, left, right) => {
                Datum::Long(binary(*op, frame.long(*left), frame.long(*right))?)
            }
            Op::BinaryDouble(op, left, right) => {
                let (left, right) = (frame.get(*left), frame.get(*right));
                Datum::double_of(binary_double(*op, left.double(), right.double()))
            }
            Op::Compare(op, left, right) | Op::CompareText(op, left, right) => {
                Datum::Long(compare(*op, frame.get(*left).cmp(frame.get(*right))).into())
            }
            Op::CompareDouble(op, left, right) => {
                let (left, right) = (frame.get(*left), frame.get(*right));
                Datum::Long(compare_double(*op, left.double(), right.double()).into())
            }
            Op::CaptureBegin => {
                self.capture = Some(self.state.output.len());
                Datum::Long(0)
            }
            Op::CaptureEnd => {
                let start = self.capture.take().unwrap_or(self.state.output.len());
                let text = self.state.output.split_off(start);
                self.state.cut(text)
            }
            Op::EmitText(text) => {
                let text = self.constant(*text);
                self.state.output.extend(text);
                Datum::Long(0)
            }
            Op::EmitLong(emit) | Op::EmitDouble(emit) | Op::EmitString(emit) => {
                self.emit(emit, frame);
                Datum::Long(0)
            }
            Op::EmitMemory(emit) => {
                self.emit_memory(emit, frame)?;
                Datum::Long(0)
            }
            _ => return self.array(op, frame),
        })
    }

    fn call_function(
        &mut self,
        number: u32,
        args: &[Value],
        frame: &Frame,
    ) -> Result<Datum, Trap> {
        if frame.depth > 0 && frame.depth >= self.state.module.nesting_max {
            return Err(FaultCode::NestedTooDeep.into());
        }
        let function = &self.state.module.functions[number as usize];
        self.code(function, frame.list(args), frame.depth + 1).map_err(
            |stop| match stop {
                Stop::Fault(fault) => Trap::Inner(fault),
                Stop::Ended => Trap::Ended,
            },
        )
    }

    /// Takes the fault; gives its message.
    fn catch(&mut self, mark: i64) -> Datum {
        self.walks.truncate(mark as usize);
        if let Some(start) = self.capture.take() {
            self.state.output.truncate(start);
        }
        let text = match self.caught.take().map(FaultCode::caught) {
            Some("") => self.state.fault_text.clone(),
            Some(text) => text.as_bytes().to_vec(),
            None => Vec::new(),
        };
        self.state.cut(text)
    }

    fn emit(&mut self, emit: &Emit, frame: &Frame) {
        let (width, precision) = frame.counts(emit);
        let out = &mut self.state.output;
        match frame.get(emit.value) {
            Datum::Text(text) => {
                format::string(out, emit.directive, width, precision, text);
            }
            Datum::Double(bits) => {
                let value = f64::from_bits(*bits);
                write_double(out, emit.directive, width, precision, value);
            }
            other => format::long(out, emit.directive, width, precision, other.long()),
        }
    }

    fn emit_memory(&mut self, emit: &Emit, frame: &Frame) -> Result<(), Trap> {
        let (width, precision) = frame.counts(emit);
        let Some(length) = format::memory_length(precision) else {
            let text = format!("{precision} is too many bytes for a memory dump");
            return self.state.fail(FaultCode::UserError, text);
        };
        let bytes = self.read(false, frame.long(emit.value), length)?;
        format::memory(&mut self.state.output, emit.directive, width, &bytes);
        Ok(())
    }
}

impl Frame {
    fn get(&self, value: Value) -> &Datum {
        &self.values[value.0 as usize]
    }

    fn long(&self, value: Value) -> i64 {
        self.get(value).long()
    }

    fn list(&self, values: &[Value]) -> Vec<Datum> {
        values.iter().map(|value| self.get(*value).clone()).collect()
    }

    /// Width and precision.
    fn counts(&self, emit: &Emit) -> (i64, i64) {
        let count =
            |value: Option<Value>| value.map_or(format::NONE, |value| self.long(value));
        (count(emit.width), count(emit.precision))
    }
}
