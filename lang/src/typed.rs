//! Stage two: the program with every name resolved and every type known.
//!
//! What a later stage needs is here and nothing else: no probe point syntax,
//! no comments, no unresolved names.

mod print;

use crate::builtins::Builtin;
pub use crate::data::Space;
use crate::environment::PointId;
use crate::printf::Format;
use crate::span::Span;
use crate::types::Type;

/// A checked script.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// Globals, indexed by [`GlobalId`].
    pub globals: Vec<Global>,
    /// Functions of the script, indexed by [`FunctionId`].
    pub functions: Vec<Function>,
    /// Handlers in the order in which they run when several match.
    pub probes: Vec<Probe>,
    /// What values of enumerations are called, indexed by [`NamesId`].
    pub names: Vec<Names>,
}

/// Index of a table of names in [`Program::names`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NamesId(pub u32);

/// What the values of an enumeration are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The enumeration as C writes it: `enum color`, `bool`.
    pub of: String,
    /// Values with their names, by value; of several names the first.
    pub names: Vec<(i64, String)>,
}

/// Index of a function in [`Program::functions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FunctionId(pub u32);

/// A function of the script.
#[derive(Clone, Debug)]
pub struct Function {
    /// Name in the script.
    pub name: String,
    /// Where the name is declared.
    pub span: Span,
    /// The first so many locals are the parameters.
    pub params: u32,
    /// Parameters and local variables, indexed by [`LocalId`].
    pub locals: Vec<Local>,
    /// Type of the result; none where no `return` gives one.
    pub returns: Option<Type>,
    /// What it does. Where it ends without `return`, the result is 0 or "".
    pub body: Block,
}

/// Index of a global in [`Program::globals`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GlobalId(pub u32);

/// Index of a local in [`Probe::locals`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LocalId(pub u32);

/// A global variable.
#[derive(Clone, Debug)]
pub struct Global {
    /// Name in the script.
    pub name: String,
    /// Where it is declared.
    pub span: Span,
    /// Scalar or array.
    pub kind: GlobalKind,
}

/// What a global holds.
#[derive(Clone, Debug, PartialEq)]
pub enum GlobalKind {
    /// One value.
    Scalar {
        /// Its type.
        ty: Type,
        /// Its value at the start; 0 or "" where the script gives none.
        initial: Literal,
    },
    /// Values by keys.
    Array {
        /// Types of the keys, at least one.
        keys: Vec<Type>,
        /// Type of the values.
        value: Type,
        /// How many elements it may hold; the default where none is written.
        capacity: Option<u32>,
        /// `%`: where it is full, a new element drops the oldest one.
        wraps: bool,
    },
    /// One statistics aggregate.
    Stats,
}

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// An integer.
    Long(i64),
    /// A floating point number.
    Double(f64),
    /// A string.
    String(String),
}

impl Literal {
    /// What a variable of this type holds at the start: 0 or "".
    pub fn zero(ty: Type) -> Self {
        match ty {
            // A stack is its number, 0 for none. Statistics are no value; nothing asks.
            Type::Long | Type::Stack | Type::Stats => Self::Long(0),
            Type::Double => Self::Double(0.0),
            Type::String => Self::String(String::new()),
        }
    }
}

/// A probe with its handler. A probe with several points stands here once a
/// point, the body repeated.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The point, as the environment numbered it.
    pub point: PointId,
    /// The point as written, for `pp()` and messages.
    pub name: String,
    /// Where the point stands.
    pub span: Span,
    /// The handler's local variables, indexed by [`LocalId`].
    pub locals: Vec<Local>,
    /// `?` or `!` behind the point: where it turns out not to exist, the probe
    /// does without it.
    pub optional: bool,
    /// Points with `!` in front of it, of which it is not known yet whether they
    /// exist: it is armed only where none of them does.
    pub instead_of: Vec<PointId>,
    /// `if (…)` on the point, a long over globals and constants: the probe is
    /// armed only while it is not 0.
    pub condition: Option<Expression>,
    /// The handler, prologue and epilogue of its aliases included.
    pub body: Block,
}

/// A local variable; starts as 0 or "".
#[derive(Clone, Debug)]
pub struct Local {
    /// Name in the script.
    pub name: String,
    /// Its type.
    pub ty: Type,
}

/// Statements in order.
pub type Block = Vec<Statement>;

/// A statement with its place.
#[derive(Clone, Debug)]
pub struct Statement {
    /// What it does.
    pub kind: StatementKind,
    /// Where it stands.
    pub span: Span,
}

/// The kinds of statements.
#[derive(Clone, Debug)]
pub enum StatementKind {
    /// Evaluates the expression for its effect.
    Expression(Expression),
    /// A block of its own (locals belong to the handler, not to blocks).
    Block(Block),
    /// `if (condition) then else otherwise`
    If {
        /// A long; true where not 0.
        condition: Expression,
        /// Runs where true.
        then: Block,
        /// Runs where false.
        otherwise: Block,
    },
    /// `while (condition) body`; `for` with its parts.
    Loop {
        /// Runs once before the first test.
        first: Option<Expression>,
        /// A long; the loop ends where 0. None: endless.
        condition: Option<Expression>,
        /// Runs after each round, also after `continue`.
        step: Option<Expression>,
        /// The body.
        body: Block,
    },
    /// `foreach (value = [keys] in array± limit n) body`
    Foreach(Foreach),
    /// `foreach (index in @hist_log(place)) body`: once for each bucket, also an
    /// empty one, ascending; not at all where there are no values.
    ForeachBucket {
        /// Receives the bucket's index, a long.
        index: LocalId,
        /// The aggregate.
        place: Place,
        /// Its buckets.
        histogram: Histogram,
        /// A long: rounds at most.
        limit: Option<Expression>,
        /// The body.
        body: Block,
    },
    /// Leaves the innermost loop.
    Break,
    /// Starts the next round of the innermost loop.
    Continue,
    /// Leaves the handler (`next`, also in a function, and `return` in a
    /// handler).
    Next,
    /// Leaves the function; with its result where it has one.
    Return(Option<Expression>),
    /// `try body catch (message) handler`: a fault in the body, also in a
    /// function that it calls, goes on in the handler.
    Try {
        /// What may fault.
        body: Block,
        /// Receives the fault's message, a string.
        message: Option<LocalId>,
        /// Runs after a fault.
        handler: Block,
    },
    /// `place <<< value`: adds a long to an aggregate.
    Accumulate {
        /// The aggregate: [`Place::Global`] or [`Place::Element`].
        place: Place,
        /// A long.
        value: Expression,
    },
    /// `print(@hist_log(s))` and its kind.
    PrintHistogram {
        /// The aggregate.
        place: Place,
        /// Its buckets.
        histogram: Histogram,
        /// `println`: an empty line behind it.
        newline: bool,
    },
    /// `delete array[keys]`; all that match where keys are `*`.
    DeleteElement {
        /// The array.
        array: GlobalId,
        /// The element's keys; none for `*`.
        keys: Vec<Option<Expression>>,
    },
    /// `delete name`: an array becomes empty, a scalar 0 or "".
    Delete(Place),
    /// `delete array`
    Clear(GlobalId),
}

/// A `foreach` loop.
#[derive(Clone, Debug)]
pub struct Foreach {
    /// The array that is walked.
    pub array: GlobalId,
    /// Receives the value, where asked for. Arrays of statistics give none.
    pub value: Option<LocalId>,
    /// Receive the keys, as many as the array has.
    pub keys: Vec<LocalId>,
    /// `in array[x, *]`: only elements whose keys are these, none for `*`.
    /// Empty where there is no slice, else as many as the array has keys.
    pub slice: Vec<Option<Expression>>,
    /// The order; insertion order where none.
    pub order: Option<Order>,
    /// A long: rounds at most.
    pub limit: Option<Expression>,
    /// The body.
    pub body: Block,
}

/// The order of a `foreach`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// What is compared.
    pub by: OrderBy,
    /// `-`: the largest first.
    pub descending: bool,
}

/// What a `foreach` is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderBy {
    /// The value.
    Value,
    /// The key at this position, from 0.
    Key(u32),
    /// An extractor of the value, an aggregate (`in array @sum-`).
    Extractor(Extractor),
}

/// An expression with type and place.
#[derive(Clone, Debug)]
pub struct Expression {
    /// What it computes.
    pub kind: ExpressionKind,
    /// Type of the result. Calls without a result have `Long` and the value 0.
    pub ty: Type,
    /// Where it stands.
    pub span: Span,
}

/// A variable or element that can be assigned to.
#[derive(Clone, Debug)]
pub enum Place {
    /// A local variable.
    Local(LocalId),
    /// A scalar global.
    Global(GlobalId),
    /// An element of an array; missing ones read as 0 or "".
    Element {
        /// The array.
        array: GlobalId,
        /// Its keys.
        keys: Vec<Expression>,
    },
    /// All elements of an array of statistics that match, added up: only what
    /// is asked of statistics has it.
    Merged {
        /// The array.
        array: GlobalId,
        /// The keys; none for `*`.
        keys: Vec<Option<Expression>>,
    },
}

/// The kinds of expressions.
#[derive(Clone, Debug)]
pub enum ExpressionKind {
    /// A constant.
    Literal(Literal),
    /// The value of a variable or element.
    Read(Place),
    /// `$new`, `$old`: a field of the hit's record, by its name in the
    /// runtime's schema.
    Field(&'static str),
    /// A whole number in memory of the target, a long. Faults where it can not
    /// be read.
    Load {
        /// A long.
        address: Box<Expression>,
        /// Its bytes: 1, 2, 4 or 8.
        size: u32,
        /// Whether its highest bit is its sign.
        signed: bool,
        /// Whose memory.
        space: Space,
    },
    /// The double that has the bits of a long; of `single`, of its lower half,
    /// a C `float`.
    FromBits {
        /// A long.
        bits: Box<Expression>,
        /// Four bytes in place of eight.
        single: bool,
    },
    /// What a value of an enumeration is called, a string; the number where it
    /// has no name.
    Name {
        /// The names.
        names: NamesId,
        /// A long.
        value: Box<Expression>,
    },
    /// A string; another one where a fault that can be caught comes between.
    Guarded {
        /// The string.
        text: Box<Expression>,
        /// In its place.
        otherwise: Box<Expression>,
    },
    /// Sets a local, then gives what is inside.
    Let {
        /// The local, which nothing else sets.
        local: LocalId,
        /// What it is set to.
        value: Box<Expression>,
        /// What may read it.
        inside: Box<Expression>,
    },
    /// An operator with one operand, a long; `-` also a double.
    Unary(UnaryOp, Box<Expression>),
    /// An operator on two longs; `+ - * / %` also on two doubles, where
    /// division by 0 is no fault but infinite, as IEEE 754 has it.
    Binary(BinaryOp, Box<Expression>, Box<Expression>),
    /// A comparison of two longs, two doubles or two strings, or for `==` and `!=` of two
    /// stacks; 1 or 0.
    Compare(CompareOp, Box<Expression>, Box<Expression>),
    /// `a && b`, the right side only where needed; 1 or 0.
    And(Box<Expression>, Box<Expression>),
    /// `a || b`, the right side only where needed; 1 or 0.
    Or(Box<Expression>, Box<Expression>),
    /// `c ? a : b`
    Conditional(Box<Expression>, Box<Expression>, Box<Expression>),
    /// `a . b`, two strings.
    Concat(Box<Expression>, Box<Expression>),
    /// `text =~ "regex"`; 1 or 0. What the last match of a handler met,
    /// `matched(n)` gives.
    Match {
        /// A string.
        text: Box<Expression>,
        /// The expression, checked by the language.
        regex: String,
        /// `!~`
        negated: bool,
    },
    /// A long as a double.
    ToDouble(Box<Expression>),
    /// A stack as a string: its addresses, in hexadecimal with blanks between them.
    StackText(Box<Expression>),
    /// The stack with the addresses that a string has.
    StackOf {
        /// A string.
        text: Box<Expression>,
        /// Whose addresses they are.
        space: Space,
    },
    /// `[keys] in array`; 1 or 0.
    In {
        /// The array.
        array: GlobalId,
        /// The keys; none for `*`, which any key matches.
        keys: Vec<Option<Expression>>,
    },
    /// `@count(place)` and the like: a long.
    Extract {
        /// What is asked.
        extractor: Extractor,
        /// The aggregate: [`Place::Global`], [`Place::Element`] or
        /// [`Place::Merged`].
        place: Place,
    },
    /// `@percentile(place, p)`: a long; `@p50` and the like are this, too.
    Percentile {
        /// The aggregate.
        place: Place,
        /// A long or double, 0 to 100.
        percentage: Box<Expression>,
    },
    /// `@hist_log(place)[index]`: how many values are in a bucket, a long. An
    /// index out of range faults.
    Bucket {
        /// The aggregate.
        place: Place,
        /// Its buckets.
        histogram: Histogram,
        /// A long, from 0.
        index: Box<Expression>,
    },
    /// A call of a function of the script.
    CallFunction(FunctionId, Vec<Expression>),
    /// `place = value`, and the compound forms; gives the new value.
    Assign {
        /// What is assigned to.
        place: Place,
        /// The operator of a compound assignment.
        op: Option<AssignOp>,
        /// The right side.
        value: Box<Expression>,
    },
    /// `++` and `--`.
    Increment {
        /// What is changed, a long or a double.
        place: Place,
        /// 1 or -1.
        delta: i64,
        /// Gives the value before the change (`x++`) instead of the new one.
        postfix: bool,
    },
    /// A call of a builtin function.
    Call(&'static Builtin, Vec<Expression>),
    /// `printf`, `print`, `println`, `printd`…, and `sprint…` as a string.
    Print {
        /// Text and directives; arguments fit, field by field. `*` widths
        /// and precisions take an argument of their own, before the value's.
        format: Format,
        /// The arguments in the order of the directives.
        args: Vec<Expression>,
        /// Gives the text as a string instead of printing it.
        to_string: bool,
    },
}

/// Operators with one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnaryOp {
    /// `-`
    Negate,
    /// `!`
    Not,
    /// `~`
    Complement,
}

/// Operators on two longs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `+`, wraps.
    Add,
    /// `-`, wraps.
    Subtract,
    /// `*`, wraps.
    Multiply,
    /// `/`, towards zero; a run-time error where the divisor is 0;
    /// the smallest long divided by -1 wraps to itself.
    Divide,
    /// `%`, sign of the dividend; a run-time error where the divisor is 0;
    /// the smallest long by -1 gives 0.
    Remainder,
    /// `&`
    And,
    /// `|`
    Or,
    /// `^`
    Xor,
    /// `<<`. A count below 0 is taken as 0, one above 63 leaves nothing.
    ShiftLeft,
    /// `>>`, keeps the sign; a count above 63 leaves nothing but the sign.
    ShiftRight,
    /// `>>>`, fills with zeros; counts as those of `<<`.
    ShiftRightLogical,
}

/// Comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CompareOp {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
}

/// Operators of compound assignments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AssignOp {
    /// `+=` and its like, on longs.
    Binary(BinaryOp),
    /// `.=`, on strings.
    Concat,
}

/// What can be asked of an aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extractor {
    /// `@count`: how many values; 0 for an empty aggregate.
    Count,
    /// `@sum`, wraps.
    Sum,
    /// `@min`; an empty aggregate faults.
    Min,
    /// `@max`; an empty aggregate faults.
    Max,
    /// `@avg`: the sum by the count, towards 0; an empty aggregate faults.
    Avg,
    /// `@variance`: of the values seen, by Welford's method in integers as
    /// SystemTap computes it; the shift is 0 unless given.
    Variance {
        /// Bits by which values are scaled up while computing.
        shift: u32,
    },
}

/// The buckets of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Histogram {
    /// `@hist_log`: powers of two, negative ones too.
    Log,
    /// `@hist_linear(place, low, high, step)`
    Linear {
        /// The first bucket begins here.
        low: i64,
        /// The last bucket ends here.
        high: i64,
        /// Width of a bucket, at least 1.
        step: i64,
    },
}
