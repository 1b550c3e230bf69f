//! The text form of a parsed script, for `--dump ast`: a statement a line,
//! expressions with the operator first, so that precedence shows.

use std::fmt::{self, Display, Formatter};

use super::{
    Alias, ArgumentValue, Component, Demand, Direction, Expression, ExpressionKind,
    Foreach, Function, Global, Item, Operator, Parameter, Probe, ProbePoint, Script,
    Statement, StatementKind, Walked,
};
use crate::span::Span;
use crate::typed::AssignOp;
use crate::types::Type;

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
            Item::Alias(alias) => alias.fmt(f),
            Item::Function(function) => function.fmt(f),
        })
    }
}

impl Display for Global {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let wraps = if self.wraps.is_some() { "%" } else { "" };
        write!(f, "global {}{wraps}", self.name.text)?;
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
        writeln!(f, "probe {}", points(&self.points))?;
        block(f, &self.body, 1)
    }
}

impl Display for Alias {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "alias {} = {}", self.name.join("."), points(&self.points))?;
        block(f, &self.prologue, 1)?;
        if self.epilogue.is_empty() {
            return Ok(());
        }
        writeln!(f, "epilogue")?;
        block(f, &self.epilogue, 1)
    }
}

impl Display for Function {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let typed = |ty: &Option<(Type, Span)>| {
            ty.map_or_else(String::new, |(ty, _)| format!(": {ty}"))
        };
        let param =
            |param: &Parameter| format!("{}{}", param.name.text, typed(&param.ty));
        let params: Vec<String> = self.params.iter().map(param).collect();
        let returns = typed(&self.returns);
        writeln!(f, "function {}({}){returns}", self.name.text, params.join(", "))?;
        block(f, &self.body, 1)
    }
}

/// Points with what stands behind them.
fn points(points: &[ProbePoint]) -> String {
    let show = |point: &ProbePoint| {
        let demand = match point.demand {
            Demand::Required => "",
            Demand::Optional => "?",
            Demand::Sufficient => "!",
        };
        match &point.condition {
            Some(condition) => format!("{point}{demand} if {condition}"),
            None => format!("{point}{demand}"),
        }
    };
    points.iter().map(show).collect::<Vec<_>>().join(", ")
}

/// The point as it is written in a script, without what stands behind it.
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
        StatementKind::Return(None) => writeln!(f, "return"),
        StatementKind::Return(Some(value)) => writeln!(f, "return {value}"),
        StatementKind::Try { body, message, handler } => {
            writeln!(f, "try")?;
            block(f, body, depth + 1)?;
            indent(f, depth)?;
            match message {
                Some(message) => writeln!(f, "catch {}", message.text)?,
                None => writeln!(f, "catch")?,
            }
            block(f, handler, depth + 1)
        }
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
        write!(f, "[{}] in {}{}", keys.join(", "), self.walked, sign(self.order))?;
        match &self.limit {
            Some(limit) => write!(f, " limit {limit}"),
            None => Ok(()),
        }
    }
}

impl Display for Walked {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Buckets(histogram) => histogram.fmt(f),
            Self::Array { array, slice, by } => {
                f.write_str(&array.text)?;
                if !slice.is_empty() {
                    write!(f, "[{}]", list(slice, ", "))?;
                }
                match by {
                    Some(by) => write!(f, " @{}", by.text),
                    None => Ok(()),
                }
            }
        }
    }
}

impl Display for Expression {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExpressionKind::Integer(value) => write!(f, "{value}"),
            ExpressionKind::Double(value) => write!(f, "{value:?}"),
            ExpressionKind::String(text) => f.write_str(&quoted(&text.value)),
            ExpressionKind::AnyKey => f.write_str("*"),
            ExpressionKind::Variable(name) => f.write_str(name),
            ExpressionKind::Target(name) => write!(f, "${name}"),
            ExpressionKind::Element { array, keys } => {
                write!(f, "{}[{}]", array.text, list(keys, ", "))
            }
            ExpressionKind::Call { function, arguments } => {
                write!(f, "{}({})", function.text, list(arguments, ", "))
            }
            ExpressionKind::At { name, arguments, index } => {
                write!(f, "@{}({})", name.text, list(arguments, ", "))?;
                match index {
                    Some(index) => write!(f, "[{index}]"),
                    None => Ok(()),
                }
            }
            ExpressionKind::Match { text, regex, negated } => {
                let op = if *negated { "!~" } else { "=~" };
                write!(f, "({op} {text} {})", quoted(&regex.value))
            }
            ExpressionKind::Accumulate { place, value } => {
                write!(f, "(<<< {place} {value})")
            }
            ExpressionKind::Member(data, name) => write!(f, "(-> {data} {})", name.text),
            ExpressionKind::Subscript(data, index) => write!(f, "([] {data} {index})"),
            ExpressionKind::Dereference(data) => write!(f, "(* {data})"),
            ExpressionKind::Address(data) => write!(f, "(& {data})"),
            ExpressionKind::Pretty { data, deep: false } => write!(f, "($ {data})"),
            ExpressionKind::Pretty { data, deep: true } => write!(f, "($$ {data})"),
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
