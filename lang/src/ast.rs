//! Stage one: the script as written, with places. No name is resolved here.

pub(crate) mod print;

use crate::diagnostic::Diagnostic;
use crate::span::Span;
use crate::typed::{AssignOp, BinaryOp, CompareOp, UnaryOp};
use crate::types::Type;

/// A script as parsed. Its [`Display`](std::fmt::Display) form is what
/// `--dump ast` shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Script {
    /// Globals, functions, aliases and probes in the order of the text.
    pub items: Vec<Item>,
    /// What is doubtful in the text.
    pub warnings: Vec<Diagnostic>,
}

/// A top-level item.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// `global name%[size] = literal`; one item a name.
    Global(Global),
    /// `probe point, point { … }`
    Probe(Probe),
    /// `probe name = point, point { … }, { … }`
    Alias(Alias),
    /// `function name:type (parameter:type) { … }`
    Function(Function),
}

/// A declaration of a global variable.
#[derive(Clone, Debug, PartialEq)]
pub struct Global {
    /// Its name.
    pub name: Name,
    /// `%`: an array that drops its oldest element where it is full.
    pub wraps: Option<Span>,
    /// The size in brackets: an array.
    pub size: Option<(i64, Span)>,
    /// The value at the start.
    pub initial: Option<Expression>,
}

/// A function of the script.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    /// Its name.
    pub name: Name,
    /// The type of its result, where written.
    pub returns: Option<(Type, Span)>,
    /// Its parameters.
    pub params: Vec<Parameter>,
    /// What it does.
    pub body: Vec<Statement>,
    /// The whole function.
    pub span: Span,
}

/// A parameter of a function.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: Name,
    /// Its type, where written.
    pub ty: Option<(Type, Span)>,
}

/// Another name for probe points, with statements of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Alias {
    /// The parts of the name between the dots.
    pub name: Vec<String>,
    /// Where the name stands.
    pub name_span: Span,
    /// The points that it stands for.
    pub points: Vec<ProbePoint>,
    /// Runs before the handler of a probe that uses the alias.
    pub prologue: Vec<Statement>,
    /// Runs behind it: the block of `+=`, the second block of `=`.
    pub epilogue: Vec<Statement>,
    /// The whole alias.
    pub span: Span,
}

/// A probe: points and a handler.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// The points, at least one.
    pub points: Vec<ProbePoint>,
    /// The handler.
    pub body: Vec<Statement>,
    /// The whole probe.
    pub span: Span,
}

/// A probe point: `process.data("counter").write`.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbePoint {
    /// The parts between the dots, at least one.
    pub components: Vec<Component>,
    /// `?` or `!` behind it.
    pub demand: Demand,
    /// `if (…)`: armed only while this is not 0.
    pub condition: Option<Expression>,
    /// The whole point.
    pub span: Span,
}

/// What happens where a probe point does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Demand {
    /// An error.
    #[default]
    Required,
    /// `?`: the probe does without it.
    Optional,
    /// `!`: the same; where it exists, the points behind it are left out.
    Sufficient,
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
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// What it does.
    pub kind: StatementKind,
    /// Where it stands.
    pub span: Span,
}

/// The kinds of statements.
#[derive(Clone, Debug, PartialEq)]
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
    /// `next`
    Next,
    /// `return`, perhaps with a value
    Return(Option<Expression>),
    /// `try { … } catch (message) { … }`
    Try {
        /// What may fault.
        body: Vec<Statement>,
        /// Receives the fault's message.
        message: Option<Name>,
        /// Runs after a fault.
        handler: Vec<Statement>,
    },
    /// `delete variable`, `delete array[keys]`
    Delete(Expression),
    /// An expression for its effect.
    Expression(Expression),
}

/// A `foreach` loop.
#[derive(Clone, Debug, PartialEq)]
pub struct Foreach {
    /// Receives the value.
    pub value: Option<Name>,
    /// Receive the keys, at least one.
    pub keys: Vec<ForeachKey>,
    /// What is walked.
    pub walked: Walked,
    /// `+` or `-` behind the array: sorted by value.
    pub order: Option<Direction>,
    /// Rounds at most.
    pub limit: Option<Expression>,
    /// The body.
    pub body: Statement,
}

/// What a `foreach` walks.
#[derive(Clone, Debug, PartialEq)]
pub enum Walked {
    /// An array or a part of it.
    Array {
        /// The array.
        array: Name,
        /// `[x, *]`: only elements with these keys; empty for all.
        slice: Vec<Expression>,
        /// `@count`: the extractor by which it is sorted, without the `@`.
        by: Option<Name>,
    },
    /// The buckets of a histogram: `@hist_log(x)`.
    Buckets(Expression),
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
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    /// What it computes.
    pub kind: ExpressionKind,
    /// Where it stands.
    pub span: Span,
}

/// The kinds of expressions. Parentheses leave no trace.
#[derive(Clone, Debug, PartialEq)]
pub enum ExpressionKind {
    /// An integer.
    Integer(i64),
    /// A floating point number.
    Double(f64),
    /// A string.
    String(Text),
    /// `*` as a key: any.
    AnyKey,
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
    /// `@name(arguments)[index]`: extractors, histograms, `@defined`, `@cast`,
    /// `@var`, `@enum`.
    At {
        /// The name without the `@`.
        name: Name,
        /// The arguments.
        arguments: Vec<Expression>,
        /// Of a histogram: the bucket. Of data it is a `Subscript`.
        index: Option<Box<Expression>>,
    },
    /// `data->member`
    Member(Box<Expression>, Name),
    /// `data[index]`, where `data` is no array of the script
    Subscript(Box<Expression>, Box<Expression>),
    /// `*pointer`
    Dereference(Box<Expression>),
    /// `&data`
    Address(Box<Expression>),
    /// `data$`, `data$$`: as text.
    Pretty {
        /// The data.
        data: Box<Expression>,
        /// `$$`: with all that is inside of it.
        deep: bool,
    },
    /// An operator with one operand.
    Unary(UnaryOp, Box<Expression>),
    /// An operator with two operands.
    Binary(Operator, Box<Expression>, Box<Expression>),
    /// `text =~ "regex"`
    Match {
        /// What is searched.
        text: Box<Expression>,
        /// The regular expression.
        regex: Text,
        /// `!~`
        negated: bool,
    },
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
    /// the left side is a variable, an element or data of the target.
    Assign {
        /// The operator of a compound assignment.
        op: Option<AssignOp>,
        /// What is assigned to.
        place: Box<Expression>,
        /// The right side.
        value: Box<Expression>,
    },
    /// `place <<< value`
    Accumulate {
        /// The statistics.
        place: Box<Expression>,
        /// What is added to them.
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
