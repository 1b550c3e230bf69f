//! The text form of a parsed script, for `--dump ast`: a statement a line,
//! expressions with the operator first, so that precedence shows.

use std::fmt::{self, Display, Formatter};

use super::{
    ArgumentValue, Component, Direction, Expression, ExpressionKind, Foreach, Global,
    Item, Operator, Probe, ProbePoint, Script, Statement, StatementKind,
};
use crate::typed::AssignOp;

/// Shows a script; the form is stable.
///
/// ```
/// use hwtrace_lang::{parse::parse, span::Source};
/// let source = Source::new("x.hwt", "probe begin { x = 1 + 2 * 3 }");
/// let shown = parse(&source, &[]).unwrap().to_string();
/// assert_eq!(shown, "probe begin\n  (= x (+ 1 (* 2 3)))\n");
/// ```
impl Display for Script {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.items.iter().try_for_each(|item| match item {
            Item::Global(global) => global.fmt(f),
            Item::Probe(probe) => probe.fmt(f),
        })
    }
}

impl Display for Global {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "global {}", self.name.text)?;
        if let Some((size, _)) = self.size {
            write!(f, "[{size}]")?;
        }
        match &self.initial {
            Some(initial) => writeln!(f, " = {initial}"),
            None => writeln!(f),
        }
    }
}

impl Display for Probe {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let points: Vec<String> = self.points.iter().map(ProbePoint::to_string).collect();
        writeln!(f, "probe {}", points.join(", "))?;
        block(f, &self.body, 1)
    }
}

/// The point as it is written in a script.
impl Display for ProbePoint {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (at, component) in self.components.iter().enumerate() {
            let dot = if at == 0 { "" } else { "." };
            write!(f, "{dot}{component}")?;
        }
        Ok(())
    }
}

impl Display for Component {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match self.argument.as_ref().map(|argument| &argument.value) {
            Some(ArgumentValue::Long(value)) => write!(f, "({value})"),
            Some(ArgumentValue::String(text)) => write!(f, "({})", quoted(text)),
            None => Ok(()),
        }
    }
}

/// A string with its quotes, as hwt writes it.
pub(crate) fn quoted(text: &str) -> String {
    let mut shown = String::from("\"");
    for char in text.chars() {
        match char {
            '"' | '\\' => shown.extend(['\\', char]),
            '\n' => shown.push_str("\\n"),
            '\t' => shown.push_str("\\t"),
            char if char.is_ascii_control() => {
                shown.push_str(&format!("\\{:03o}", u32::from(char)));
            }
            char => shown.push(char),
        }
    }
    shown.push('"');
    shown
}

/// White space in front of a line.
pub(crate) fn indent(f: &mut Formatter<'_>, depth: usize) -> fmt::Result {
    write!(f, "{:width$}", "", width = depth * 2)
}

fn block(f: &mut Formatter<'_>, statements: &[Statement], depth: usize) -> fmt::Result {
    statements.iter().try_for_each(|statement| show(f, statement, depth))
}

fn show(f: &mut Formatter<'_>, statement: &Statement, depth: usize) -> fmt::Result {
    indent(f, depth)?;
    match &statement.kind {
        StatementKind::Empty => writeln!(f, ";"),
        StatementKind::Block(statements) => {
            writeln!(f, "block")?;
            block(f, statements, depth + 1)
        }
        StatementKind::If { condition, then, otherwise } => {
            writeln!(f, "if {condition}")?;
            show(f, then, depth + 1)?;
            let Some(otherwise) = otherwise else {
                return Ok(());
            };
            indent(f, depth)?;
            writeln!(f, "else")?;
            show(f, otherwise, depth + 1)
        }
        StatementKind::While { condition, body } => {
            writeln!(f, "while {condition}")?;
            show(f, body, depth + 1)
        }
        StatementKind::For { first, condition, step, body } => {
            let part = |part: &Option<Expression>| {
                part.as_ref().map_or_else(|| "-".to_owned(), Expression::to_string)
            };
            writeln!(f, "for {} {} {}", part(first), part(condition), part(step))?;
            show(f, body, depth + 1)
        }
        StatementKind::Foreach(foreach) => {
            writeln!(f, "{foreach}")?;
            show(f, &foreach.body, depth + 1)
        }
        StatementKind::Break => writeln!(f, "break"),
        StatementKind::Continue => writeln!(f, "continue"),
        StatementKind::Next => writeln!(f, "next"),
        StatementKind::Delete(operand) => writeln!(f, "delete {operand}"),
        StatementKind::Expression(expression) => writeln!(f, "{expression}"),
    }
}

/// The head of the loop.
impl Display for Foreach {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let sign = |order: Option<Direction>| match order {
            Some(direction) if direction.descending => "-",
            Some(_) => "+",
            None => "",
        };
        write!(f, "foreach ")?;
        if let Some(value) = &self.value {
            write!(f, "{} = ", value.text)?;
        }
        let keys =
            self.keys.iter().map(|key| format!("{}{}", key.name.text, sign(key.order)));
        let keys: Vec<String> = keys.collect();
        write!(f, "[{}] in {}{}", keys.join(", "), self.array.text, sign(self.order))?;
        match &self.limit {
            Some(limit) => write!(f, " limit {limit}"),
            None => Ok(()),
        }
    }
}

impl Display for Expression {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExpressionKind::Integer(value) => write!(f, "{value}"),
            ExpressionKind::String(text) => f.write_str(&quoted(&text.value)),
            ExpressionKind::Variable(name) => f.write_str(name),
            ExpressionKind::Target(name) => write!(f, "${name}"),
            ExpressionKind::Element { array, keys } => {
                write!(f, "{}[{}]", array.text, list(keys, ", "))
            }
            ExpressionKind::Call { function, arguments } => {
                write!(f, "{}({})", function.text, list(arguments, ", "))
            }
            ExpressionKind::Unary(op, operand) => write!(f, "({op} {operand})"),
            ExpressionKind::Binary(op, left, right) => write!(f, "({op} {left} {right})"),
            ExpressionKind::Conditional(condition, yes, no) => {
                write!(f, "(?: {condition} {yes} {no})")
            }
            ExpressionKind::In { keys, array } => {
                write!(f, "(in [{}] {})", list(keys, ", "), array.text)
            }
            ExpressionKind::Assign { op, place, value } => {
                let op = op.as_ref().map_or_else(String::new, AssignOp::to_string);
                write!(f, "({op}= {place} {value})")
            }
            ExpressionKind::Increment { place, delta, postfix } => {
                let sign = if *delta > 0 { "++" } else { "--" };
                match postfix {
                    true => write!(f, "(post{sign} {place})"),
                    false => write!(f, "({sign} {place})"),
                }
            }
        }
    }
}

impl Display for Operator {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arithmetic(op) => op.fmt(f),
            Self::Compare(op) => op.fmt(f),
            Self::And => f.write_str("&&"),
            Self::Or => f.write_str("||"),
            Self::Concat => f.write_str("."),
        }
    }
}

/// The items with a separator between them.
pub(crate) fn list<T: Display>(items: &[T], separator: &str) -> String {
    let shown: Vec<String> = items.iter().map(T::to_string).collect();
    shown.join(separator)
}
