//! Stage one: the script as written, with places. No name is resolved here.

pub(crate) mod print;

use crate::span::Span;
use crate::typed::{AssignOp, BinaryOp, CompareOp, UnaryOp};

/// A script as parsed. Its [`Display`](std::fmt::Display) form is what
/// `--dump ast` shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// Globals and probes in the order of the text.
    pub items: Vec<Item>,
}

/// A top-level item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// `global name[size] = literal`; one item a name.
    Global(Global),
    /// `probe point, point { … }`
    Probe(Probe),
}

/// A declaration of a global variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Global {
    /// Its name.
    pub name: Name,
    /// The size in brackets: an array.
    pub size: Option<(i64, Span)>,
    /// The value at the start.
    pub initial: Option<Expression>,
}

/// A probe: points and a handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The points, at least one.
    pub points: Vec<ProbePoint>,
    /// The handler.
    pub body: Vec<Statement>,
    /// The whole probe.
    pub span: Span,
}

/// A probe point: `process.data("counter").write`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbePoint {
    /// The parts between the dots, at least one.
    pub components: Vec<Component>,
    /// The whole point.
    pub span: Span,
}

/// A part of a probe point: a name, perhaps with an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// The name; `*` matches.
    pub name: String,
    /// The argument in parentheses.
    pub argument: Option<Argument>,
    /// Name and argument.
    pub span: Span,
}

/// The argument of a part of a probe point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Its value.
    pub value: ArgumentValue,
    /// Where it stands.
    pub span: Span,
}

/// The value of an argument of a probe point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArgumentValue {
    /// An integer.
    Long(i64),
    /// A string.
    String(String),
}

/// A name with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The name.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// A statement with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// What it does.
    pub kind: StatementKind,
    /// Where it stands.
    pub span: Span,
}

/// The kinds of statements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatementKind {
    /// `;`
    Empty,
    /// `{ … }`
    Block(Vec<Statement>),
    /// `if (condition) then else otherwise`
    If {
        /// What is tested.
        condition: Expression,
        /// Runs where true.
        then: Box<Statement>,
        /// Runs where false.
        otherwise: Option<Box<Statement>>,
    },
    /// `while (condition) body`
    While {
        /// What is tested before each round.
        condition: Expression,
        /// The body.
        body: Box<Statement>,
    },
    /// `for (first; condition; step) body`
    For {
        /// Runs once before.
        first: Option<Expression>,
        /// What is tested before each round.
        condition: Option<Expression>,
        /// Runs after each round.
        step: Option<Expression>,
        /// The body.
        body: Box<Statement>,
    },
    /// `foreach (value = [keys] in array limit n) body`
    Foreach(Box<Foreach>),
    /// `break`
    Break,
    /// `continue`
    Continue,
    /// `next`, and `return` without a value
    Next,
    /// `delete variable`, `delete array[keys]`
    Delete(Expression),
    /// An expression for its effect.
    Expression(Expression),
}

/// A `foreach` loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreach {
    /// Receives the value.
    pub value: Option<Name>,
    /// Receive the keys, at least one.
    pub keys: Vec<ForeachKey>,
    /// The array that is walked.
    pub array: Name,
    /// `+` or `-` behind the array: sorted by value.
    pub order: Option<Direction>,
    /// Rounds at most.
    pub limit: Option<Expression>,
    /// The body.
    pub body: Statement,
}

/// A key variable of a `foreach`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeachKey {
    /// The variable.
    pub name: Name,
    /// `+` or `-` behind it: sorted by this key.
    pub order: Option<Direction>,
}

/// A direction of sorting, with the place of its sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Direction {
    /// `-`: the largest first.
    pub descending: bool,
    /// Where the sign stands.
    pub span: Span,
}

/// An expression with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    /// What it computes.
    pub kind: ExpressionKind,
    /// Where it stands.
    pub span: Span,
}

/// The kinds of expressions. Parentheses leave no trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpressionKind {
    /// An integer.
    Integer(i64),
    /// A string.
    String(Text),
    /// A variable.
    Variable(String),
    /// `$name`, without the `$`.
    Target(String),
    /// `array[keys]`
    Element {
        /// The array.
        array: Name,
        /// Its keys, at least one.
        keys: Vec<Expression>,
    },
    /// `function(arguments)`
    Call {
        /// The function.
        function: Name,
        /// The arguments.
        arguments: Vec<Expression>,
    },
    /// An operator with one operand.
    Unary(UnaryOp, Box<Expression>),
    /// An operator with two operands.
    Binary(Operator, Box<Expression>, Box<Expression>),
    /// `condition ? yes : no`
    Conditional(Box<Expression>, Box<Expression>, Box<Expression>),
    /// `keys in array`, `[keys] in array`
    In {
        /// The keys, at least one.
        keys: Vec<Expression>,
        /// The array.
        array: Name,
    },
    /// `place = value` and the compound forms. The parser has made sure that
    /// the left side is a variable, an element or a `$` name.
    Assign {
        /// The operator of a compound assignment.
        op: Option<AssignOp>,
        /// What is assigned to.
        place: Box<Expression>,
        /// The right side.
        value: Box<Expression>,
    },
    /// `++` and `--`, on a place as in an assignment.
    Increment {
        /// What is changed.
        place: Box<Expression>,
        /// 1 or -1.
        delta: i64,
        /// Behind the operand: gives the value before the change.
        postfix: bool,
    },
}

/// Operators with two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `+ - * / % & | ^ << >> >>>`
    Arithmetic(BinaryOp),
    /// `== != < <= > >=`
    Compare(CompareOp),
    /// `&&`
    And,
    /// `||`
    Or,
    /// `.`
    Concat,
}

/// The text of string literals, which still knows where each part of it
/// stands in the script.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Text {
    /// The text, escapes resolved, adjacent literals joined.
    pub value: String,
    /// Offsets in `value` and in the script from which on the two run in
    /// step, ascending; a new entry after each escape and at each literal.
    pub(crate) anchors: Vec<(u32, u32)>,
    /// The literals with their quotes.
    pub(crate) span: Span,
}

impl Text {
    /// The place in the script of a range of bytes of the value; the whole
    /// literal where the text does not come from one (a script argument).
    pub fn span_of(&self, range: std::ops::Range<usize>) -> Span {
        match (self.locate(range.start), range.end.checked_sub(1)) {
            (Some(start), Some(last)) => {
                let end = self.locate(last).map_or(self.span.end, |at| at + 1);
                Span { start, end: end.max(start + 1).min(self.span.end) }
            }
            _ => self.span,
        }
    }

    fn locate(&self, offset: usize) -> Option<u32> {
        let offset = u32::try_from(offset).ok()?;
        let at = self.anchors.partition_point(|(value, _)| *value <= offset);
        let (value, script) = self.anchors.get(at.checked_sub(1)?)?;
        Some(script + (offset - value))
    }
}
