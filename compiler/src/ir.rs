//! The intermediate representation: handlers as blocks of simple
//! instructions on values and locals.
//!
//! A value is set once, by its instruction, and used after it; what is set
//! more than once, or merged from two paths, is a local. Everything that can
//! go wrong at run time is a fault of one instruction and ends the handler.

pub mod eval;
pub mod lower;
pub mod print;
pub mod verify;

use hwtrace_lang::span::Span;
pub use hwtrace_lang::typed::{BinaryOp, CompareOp, UnaryOp};
pub use hwtrace_lang::types::Type;
use hwtrace_runtime::abi::Helper;
use hwtrace_runtime::abi::format::Directive;
use hwtrace_runtime::schema::Field;
use hwtrace_runtime::world::Layout;

/// Compiler stage: lowered. A script as blocks of instructions.
#[derive(Clone, Debug, Default)]
pub struct Module {
    /// The state that the handlers share.
    pub layout: Layout,
    /// Names of the globals by kind and slot, for printing.
    pub names: Names,
    /// The handlers, in the order of [`hwtrace_lang::typed::Program::probes`].
    pub handlers: Vec<Handler>,
    /// Places in the script that faults refer to.
    pub sites: Vec<Span>,
    /// Steps a run of a handler may take.
    pub steps_max: u32,
    /// Bytes of a string; longer ones are cut.
    pub string_bytes_max: u32,
}

/// Names of globals by slot.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Scalar longs.
    pub longs: Vec<String>,
    /// Scalar strings.
    pub texts: Vec<String>,
    /// Arrays.
    pub arrays: Vec<String>,
}

/// A handler.
#[derive(Clone, Debug, Default)]
pub struct Handler {
    /// The probe point as written.
    pub name: String,
    /// Types of the locals; all start as 0 or "".
    pub locals: Vec<Type>,
    /// Types of the values.
    pub values: Vec<Type>,
    /// The code; execution starts at block 0.
    pub blocks: Vec<Block>,
}

/// Instructions that run one after the other, and where to go then.
#[derive(Clone, Debug)]
pub struct Block {
    /// The instructions.
    pub instructions: Vec<Instruction>,
    /// What follows.
    pub terminator: Terminator,
}

/// A value, set by one instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Value(pub u32);

/// A local variable of a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Local(pub u32);

/// A block of a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockId(pub u32);

/// A string constant: an index into the layout's constants, or the empty
/// string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Text {
    /// `""`
    Empty,
    /// A constant.
    Constant(u32),
}

/// An instruction.
#[derive(Clone, Debug)]
pub struct Instruction {
    /// The value it sets.
    pub result: Option<Value>,
    /// What it does.
    pub op: Op,
    /// Index into [`Module::sites`], for faults.
    pub site: u32,
}

/// The order of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalkOrder {
    /// Insertion order.
    Insertion,
    /// By the value.
    Value {
        /// The largest first.
        descending: bool,
    },
    /// By a key.
    Key {
        /// Its position.
        position: u32,
        /// The largest first.
        descending: bool,
    },
}

/// What an instruction does.
#[derive(Clone, Debug)]
pub enum Op {
    /// A long.
    Long(i64),
    /// A string constant.
    Text(Text),
    /// A field of the record.
    Field(&'static Field),
    /// The value of a local.
    GetLocal(Local),
    /// Sets a local.
    SetLocal(Local, Value),
    /// A scalar long by slot.
    GetLong(u32),
    /// Sets a scalar long.
    SetLong(u32, Value),
    /// A scalar string by slot.
    GetText(u32),
    /// Sets a scalar string.
    SetText(u32, Value),
    /// An operator on a long.
    Unary(UnaryOp, Value),
    /// An operator on two longs; division faults on 0.
    Binary(BinaryOp, Value, Value),
    /// Compares two longs.
    Compare(CompareOp, Value, Value),
    /// Compares two strings.
    CompareText(CompareOp, Value, Value),
    /// Joins two strings.
    Concat(Value, Value),
    /// A builtin that a helper computes.
    Call(&'static Helper, Vec<Value>),
    /// The element at the keys; 0 or "" where there is none.
    GetElement(u32, Vec<Value>),
    /// Sets the element at the keys.
    SetElement(u32, Vec<Value>, Value),
    /// Adds to the element at the keys; gives the sum.
    AddElement(u32, Vec<Value>, Value),
    /// Whether there is an element at the keys.
    HasElement(u32, Vec<Value>),
    /// Removes the element at the keys.
    DeleteElement(u32, Vec<Value>),
    /// Removes all elements.
    Clear(u32),
    /// Starts a walk over an array, the innermost until its end.
    WalkBegin {
        /// The array.
        array: u32,
        /// The order.
        order: WalkOrder,
        /// Elements at most; none where below 0.
        limit: Option<Value>,
    },
    /// Goes to the next element; 0 at the end.
    WalkNext,
    /// The key at a position of the innermost walk's element.
    WalkKey(u32),
    /// Ends the innermost walk.
    WalkEnd,
    /// Prints a constant.
    EmitText(Text),
    /// Prints a long.
    EmitLong(Emit),
    /// Prints a string.
    EmitString(Emit),
    /// What is printed from here on becomes a string instead.
    CaptureBegin,
    /// That string.
    CaptureEnd,
    /// Takes steps from the fuel; faults where there are not enough.
    Fuel(u32),
}

/// A value with the directive that prints it.
#[derive(Clone, Copy, Debug)]
pub struct Emit {
    /// How it is written.
    pub directive: Directive,
    /// Width, where given.
    pub width: Option<Value>,
    /// Precision, where given.
    pub precision: Option<Value>,
    /// The value.
    pub value: Value,
}

/// What follows a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terminator {
    /// Goes to a block.
    Jump(BlockId),
    /// Goes to the first block where the long is not 0, else to the second.
    Branch(Value, BlockId, BlockId),
    /// Ends the handler.
    Return,
}

impl Terminator {
    /// The blocks that can follow.
    pub fn successors(self) -> impl Iterator<Item = BlockId> {
        let (first, second) = match self {
            Self::Jump(block) => (Some(block), None),
            Self::Branch(_, then, otherwise) => (Some(then), Some(otherwise)),
            Self::Return => (None, None),
        };
        first.into_iter().chain(second)
    }
}

impl Op {
    /// The values it uses, in order.
    pub fn operands(&self) -> Vec<Value> {
        match self {
            Self::Long(_)
            | Self::Text(_)
            | Self::Field(_)
            | Self::GetLocal(_)
            | Self::GetLong(_)
            | Self::GetText(_)
            | Self::Clear(_)
            | Self::WalkNext
            | Self::WalkKey(_)
            | Self::WalkEnd
            | Self::EmitText(_)
            | Self::CaptureBegin
            | Self::CaptureEnd
            | Self::Fuel(_) => Vec::new(),
            Self::SetLocal(_, value)
            | Self::SetLong(_, value)
            | Self::SetText(_, value)
            | Self::Unary(_, value) => vec![*value],
            Self::Binary(_, left, right)
            | Self::Compare(_, left, right)
            | Self::CompareText(_, left, right)
            | Self::Concat(left, right) => vec![*left, *right],
            Self::Call(_, values)
            | Self::GetElement(_, values)
            | Self::HasElement(_, values)
            | Self::DeleteElement(_, values) => values.clone(),
            Self::SetElement(_, keys, value) | Self::AddElement(_, keys, value) => {
                keys.iter().chain([value]).copied().collect()
            }
            Self::WalkBegin { limit, .. } => limit.iter().copied().collect(),
            Self::EmitLong(emit) | Self::EmitString(emit) => {
                emit.width.into_iter().chain(emit.precision).chain([emit.value]).collect()
            }
        }
    }
}
