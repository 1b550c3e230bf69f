//! The intermediate representation: handlers as blocks of simple
//! instructions on values and locals.
//!
//! A value is set once, by its instruction, and used after it; what is set
//! more than once, or merged from two paths, is a local. Everything that can
//! go wrong at run time is a fault of one instruction. It goes on in the
//! block that the instruction's block names for faults (the innermost `try`),
//! or ends the function and goes on in its caller's, or ends the handler.

mod dominators;
pub mod effects;
pub mod eval;
pub mod lower;
pub mod print;
pub mod verify;

pub use dominators::Dominators;
use hwtrace_lang::span::Span;
pub use hwtrace_lang::typed::{BinaryOp, CompareOp, Space, UnaryOp};
pub use hwtrace_lang::types::Type;
use hwtrace_runtime::abi::Helper;
use hwtrace_runtime::abi::format::Directive;
pub use hwtrace_runtime::aggregate::Histogram;
pub use hwtrace_runtime::map::Extractor;
use hwtrace_runtime::map::Kind;
use hwtrace_runtime::schema::Field;
use hwtrace_runtime::world::Layout;

/// Compiler stage: lowered. A script as blocks of instructions.
#[derive(Clone, Debug, Default)]
pub struct Module {
    /// The state that the handlers share.
    pub layout: Layout,
    /// Names of the globals by kind and slot, for printing.
    pub names: Names,
    /// Types of the scalar words (`layout.longs`): longs and doubles.
    pub scalars: Vec<Type>,
    /// The functions of the script, in the order of
    /// [`hwtrace_lang::typed::Program::functions`].
    pub functions: Vec<Code>,
    /// The handlers, in the order of [`hwtrace_lang::typed::Program::probes`].
    pub handlers: Vec<Code>,
    /// By handler: what computes the condition of its probe point, a long.
    pub conditions: Vec<Option<Code>>,
    /// By handler: the handlers whose conditions it may change.
    pub conditions_after: Vec<Vec<u32>>,
    /// Places in the script that faults refer to.
    pub sites: Vec<Span>,
    /// Steps a run of a handler may take.
    pub steps_max: u32,
    /// Bytes of a string; longer ones are cut.
    pub string_bytes_max: u32,
    /// Functions that may be inside of one another, at least 1.
    pub nesting_max: u32,
}

impl Module {
    /// Functions, handlers and conditions.
    pub fn codes(&self) -> impl Iterator<Item = &Code> {
        let conditions = self.conditions.iter().flatten();
        self.functions.iter().chain(&self.handlers).chain(conditions)
    }

    fn codes_mut(&mut self) -> impl Iterator<Item = &mut Code> {
        let conditions = self.conditions.iter_mut().flatten();
        self.functions.iter_mut().chain(&mut self.handlers).chain(conditions)
    }
}

/// Names of globals by slot.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Scalar longs and doubles.
    pub longs: Vec<String>,
    /// Scalar strings.
    pub texts: Vec<String>,
    /// Scalar statistics.
    pub statistics: Vec<String>,
    /// Arrays.
    pub arrays: Vec<String>,
}

/// A handler, a function, or a condition.
#[derive(Clone, Debug, Default)]
pub struct Code {
    /// The probe point as written, or the function's name.
    pub name: String,
    /// The first so many locals are the parameters.
    pub params: u32,
    /// Type of the result.
    pub returns: Option<Type>,
    /// Types of the locals; all but parameters start as 0 or "".
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
    /// Where a fault of one of the instructions goes on, unless it can not be
    /// caught; none outside of `try`.
    pub on_fault: Option<BlockId>,
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
    /// By the value; aggregates by their counts.
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
    /// By what is extracted of the value, an aggregate.
    Extractor {
        /// What is extracted.
        extractor: Extractor,
        /// The largest first.
        descending: bool,
    },
}

/// An aggregate.
#[derive(Clone, Debug)]
pub enum Aggregate {
    /// A scalar, by slot.
    Scalar(u32),
    /// The element of an array at the keys.
    Element(u32, Vec<Value>),
    /// All elements of an array that match, added up in their order; it can be
    /// asked, and not added to.
    Merged(u32, Slice),
}

/// Keys of an array; none where any will do.
pub type Slice = Vec<Option<Value>>;

/// What an instruction does.
#[derive(Clone, Debug)]
pub enum Op {
    /// A long.
    Long(i64),
    /// A double.
    Double(f64),
    /// A string constant.
    Text(Text),
    /// A field of the record.
    Field(&'static Field),
    /// The value of a local.
    GetLocal(Local),
    /// Sets a local.
    SetLocal(Local, Value),
    /// A scalar long or double by slot.
    GetLong(u32),
    /// Sets a scalar long or double.
    SetLong(u32, Value),
    /// A scalar string by slot.
    GetText(u32),
    /// Sets a scalar string.
    SetText(u32, Value),
    /// An operator on a long.
    Unary(UnaryOp, Value),
    /// A double with the other sign.
    NegateDouble(Value),
    /// An operator on two longs; division faults on 0.
    Binary(BinaryOp, Value, Value),
    /// `+ - * / %` on two doubles, as IEEE 754 has them.
    BinaryDouble(BinaryOp, Value, Value),
    /// Compares two longs.
    Compare(CompareOp, Value, Value),
    /// Compares two doubles: no number is unequal to all.
    CompareDouble(CompareOp, Value, Value),
    /// Compares two strings.
    CompareText(CompareOp, Value, Value),
    /// A long as a double.
    ToDouble(Value),
    /// The double that has the bits of a long; where `single`, of its lower
    /// half, a number of four bytes.
    FromBits {
        /// The long.
        bits: Value,
        /// Four bytes in place of eight.
        single: bool,
    },
    /// A whole number in memory; faults where it can not be read.
    Load {
        /// Its address, a long.
        address: Value,
        /// How it is read.
        load: Load,
    },
    /// What a value of an enumeration is called, by the number of the
    /// layout's table; the value in digits where it has no name.
    Name(u32, Value),
    /// Joins two strings.
    Concat(Value, Value),
    /// Whether a regular expression matches in a string.
    Match {
        /// The string.
        text: Value,
        /// The expression: an index into the layout's.
        regex: u32,
        /// Keeps what matched, for `matched()`.
        groups: bool,
    },
    /// A builtin that a helper computes.
    Call(&'static Helper, Vec<Value>),
    /// A function of the script.
    CallFunction(u32, Vec<Value>),
    /// The element at the keys; 0 or "" where there is none.
    GetElement(u32, Vec<Value>),
    /// Sets the element at the keys.
    SetElement(u32, Vec<Value>, Value),
    /// Adds to the element at the keys, a long; gives the sum.
    AddElement(u32, Vec<Value>, Value),
    /// Whether there is an element at the keys.
    HasElement(u32, Vec<Value>),
    /// Whether there is an element that matches.
    HasMatch(u32, Slice),
    /// Removes the element at the keys.
    DeleteElement(u32, Vec<Value>),
    /// Removes all elements that match.
    DeleteMatches(u32, Slice),
    /// Removes all elements.
    Clear(u32),
    /// Adds a long to an aggregate.
    Accumulate(Aggregate, Value),
    /// What is extracted of an aggregate; faults where it is empty, but for
    /// count and sum.
    Extract(Extractor, Aggregate),
    /// The value below which so many of 100 are, a double; faults where there
    /// are none.
    Percentile(Aggregate, Value),
    /// How many values are in the bucket at an index; faults where there is
    /// none, or the aggregate is empty.
    Bucket(Aggregate, Histogram, Value),
    /// Draws a histogram; faults where the aggregate is empty.
    PrintHistogram {
        /// The aggregate.
        aggregate: Aggregate,
        /// Its buckets.
        histogram: Histogram,
        /// An empty line behind it.
        newline: bool,
    },
    /// Empties a scalar aggregate.
    ClearStatistics(u32),
    /// Starts a walk over an array, the innermost until its end.
    WalkBegin {
        /// The array.
        array: u32,
        /// The order.
        order: WalkOrder,
        /// Only elements that match; all where empty.
        slice: Slice,
        /// Elements at most; below 0 as 0.
        limit: Option<Value>,
    },
    /// Starts a walk over the buckets of a histogram, the empty ones too; its
    /// one key is the index.
    WalkBuckets {
        /// The aggregate.
        aggregate: Aggregate,
        /// Its buckets.
        histogram: Histogram,
        /// Buckets at most; below 0 as 0.
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
    /// Prints a double.
    EmitDouble(Emit),
    /// Prints a string.
    EmitString(Emit),
    /// Prints memory of the target at an address.
    EmitMemory(Emit),
    /// What is printed from here on becomes a string instead.
    CaptureBegin,
    /// That string.
    CaptureEnd,
    /// What [`Op::Caught`] of a `try` puts back.
    Mark,
    /// At the start of a block for faults: takes the fault, ends the walks
    /// begun since the mark and a capture that is open; the fault's message.
    Caught(Value),
    /// Takes steps from the fuel; faults where there are not enough.
    Fuel(u32),
}

/// How a number in memory is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Its bytes: 1, 2, 4 or 8.
    pub size: u32,
    /// Whether its highest bit is its sign.
    pub signed: bool,
    /// Whose memory.
    pub space: Space,
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
    /// Ends the handler or function, with its result.
    Return(Option<Value>),
    /// Ends the handler, from whatever function.
    Leave,
}

impl Terminator {
    /// The blocks that can follow, but for faults.
    pub fn successors(self) -> impl Iterator<Item = BlockId> {
        let (first, second) = match self {
            Self::Jump(block) => (Some(block), None),
            Self::Branch(_, then, otherwise) => (Some(then), Some(otherwise)),
            Self::Return(_) | Self::Leave => (None, None),
        };
        first.into_iter().chain(second)
    }

    /// The value it looks at.
    pub fn operand(self) -> Option<Value> {
        match self {
            Self::Branch(value, ..) => Some(value),
            Self::Return(value) => value,
            Self::Jump(_) | Self::Leave => None,
        }
    }
}

impl Aggregate {
    /// The keys that are given.
    pub fn keys(&self) -> Vec<Value> {
        match self {
            Self::Scalar(_) => Vec::new(),
            Self::Element(_, keys) => keys.clone(),
            Self::Merged(_, slice) => slice.iter().flatten().copied().collect(),
        }
    }
}

/// The type of the words of a kind.
pub(crate) fn type_of(kind: Kind) -> Type {
    match kind {
        Kind::Long => Type::Long,
        Kind::Double => Type::Double,
        Kind::String => Type::String,
        Kind::Statistics => Type::Stats,
    }
}

impl Op {
    /// The values it uses, in order.
    pub fn operands(&self) -> Vec<Value> {
        match self {
            Self::SetLocal(_, value)
            | Self::SetLong(_, value)
            | Self::SetText(_, value)
            | Self::Unary(_, value)
            | Self::NegateDouble(value)
            | Self::ToDouble(value)
            | Self::FromBits { bits: value, .. }
            | Self::Load { address: value, .. }
            | Self::Name(_, value)
            | Self::Caught(value)
            | Self::Match { text: value, .. } => vec![*value],
            Self::Binary(_, left, right)
            | Self::BinaryDouble(_, left, right)
            | Self::Compare(_, left, right)
            | Self::CompareDouble(_, left, right)
            | Self::CompareText(_, left, right)
            | Self::Concat(left, right) => vec![*left, *right],
            Self::Call(_, values)
            | Self::CallFunction(_, values)
            | Self::GetElement(_, values)
            | Self::HasElement(_, values)
            | Self::DeleteElement(_, values) => values.clone(),
            Self::SetElement(_, keys, value) | Self::AddElement(_, keys, value) => {
                keys.iter().chain([value]).copied().collect()
            }
            Self::HasMatch(_, slice) | Self::DeleteMatches(_, slice) => {
                slice.iter().flatten().copied().collect()
            }
            Self::WalkBegin { limit, slice, .. } => {
                slice.iter().flatten().chain(limit).copied().collect()
            }
            Self::EmitLong(emit)
            | Self::EmitDouble(emit)
            | Self::EmitString(emit)
            | Self::EmitMemory(emit) => {
                emit.width.into_iter().chain(emit.precision).chain([emit.value]).collect()
            }
            _ => self.operands_of_statistics(),
        }
    }

    fn operands_of_statistics(&self) -> Vec<Value> {
        let (aggregate, last) = match self {
            Self::Accumulate(aggregate, value)
            | Self::Percentile(aggregate, value)
            | Self::Bucket(aggregate, _, value) => (aggregate, Some(value)),
            Self::Extract(_, aggregate) | Self::PrintHistogram { aggregate, .. } => {
                (aggregate, None)
            }
            Self::WalkBuckets { aggregate, limit, .. } => (aggregate, limit.as_ref()),
            // Constants, fields, places by number, and marks use none.
            _ => return Vec::new(),
        };
        aggregate.keys().iter().chain(last).copied().collect()
    }
}
