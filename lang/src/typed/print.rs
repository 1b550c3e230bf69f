//! The text form of a typed program, for `--dump typed`: a statement a line,
//! expressions with the operator first, and behind a colon the type of
//! whatever is no constant.

use std::fmt::{self, Display, Formatter};

use super::{
    AssignOp, BinaryOp, CompareOp, Expression, ExpressionKind, Extractor, Foreach,
    Function, Global, GlobalId, GlobalKind, Histogram, Literal, Local, LocalId, Names,
    OrderBy, Place, Probe, Program, Space, Statement, StatementKind, UnaryOp,
};
use crate::ast::print::{indent, list, quoted};
use crate::printf::{Conversion, Count, Directive, Format, Piece};

/// Shows a program; the form is stable.
impl Display for Program {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for global in &self.globals {
            writeln!(f, "{global}")?;
        }
        self.names.iter().try_for_each(|names| writeln!(f, "{names}"))?;
        for function in &self.functions {
            Shown { program: self, locals: &function.locals }.function(f, function)?;
        }
        for probe in &self.probes {
            Shown { program: self, locals: &probe.locals }.probe(f, probe)?;
        }
        Ok(())
    }
}

impl Display for Global {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "global {}", self.name)?;
        match &self.kind {
            GlobalKind::Scalar { ty, initial } => write!(f, ": {ty} = {initial}"),
            GlobalKind::Stats => f.write_str(": statistics"),
            GlobalKind::Array { keys, value, capacity, wraps } => {
                let wraps = if *wraps { "%" } else { "" };
                write!(f, "{wraps}[{}]: {value}", list(keys, ", "))?;
                match capacity {
                    Some(capacity) => write!(f, ", at most {capacity}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl Display for Names {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = |(value, name): &(i64, String)| format!("{name} = {value}");
        let names: Vec<String> = self.names.iter().map(name).collect();
        write!(f, "{} {{ {} }}", self.of, names.join(", "))
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Long(value) => write!(f, "{value}"),
            Self::Double(value) => write!(f, "{value:?}"),
            Self::String(text) => f.write_str(&quoted(text)),
        }
    }
}

/// The names that a handler or function uses.
struct Shown<'a> {
    program: &'a Program,
    locals: &'a [Local],
}

impl Shown<'_> {
    fn probe(&self, f: &mut Formatter<'_>, probe: &Probe) -> fmt::Result {
        write!(f, "probe {}", probe.name)?;
        if probe.optional {
            f.write_str("?")?;
        }
        for point in &probe.instead_of {
            write!(f, " instead of point {}", point.0)?;
        }
        match &probe.condition {
            Some(condition) => writeln!(f, " if {}", self.text(condition))?,
            None => writeln!(f)?,
        }
        self.declare(f, &probe.locals)?;
        self.block(f, &probe.body, 1)
    }

    fn function(&self, f: &mut Formatter<'_>, function: &Function) -> fmt::Result {
        let (params, locals) =
            function.locals.split_at((function.params as usize).min(self.locals.len()));
        let params: Vec<String> =
            params.iter().map(|Local { name, ty }| format!("{name}: {ty}")).collect();
        write!(f, "function {}({})", function.name, params.join(", "))?;
        match function.returns {
            Some(ty) => writeln!(f, ": {ty}")?,
            None => writeln!(f)?,
        }
        self.declare(f, locals)?;
        self.block(f, &function.body, 1)
    }

    fn declare(&self, f: &mut Formatter<'_>, locals: &[Local]) -> fmt::Result {
        locals
            .iter()
            .try_for_each(|Local { name, ty }| writeln!(f, "  local {name}: {ty}"))
    }

    fn block(
        &self,
        f: &mut Formatter<'_>,
        block: &[Statement],
        depth: usize,
    ) -> fmt::Result {
        block.iter().try_for_each(|statement| self.statement(f, statement, depth))
    }

    fn statement(
        &self,
        f: &mut Formatter<'_>,
        at: &Statement,
        depth: usize,
    ) -> fmt::Result {
        indent(f, depth)?;
        match &at.kind {
            StatementKind::Expression(expression) => {
                writeln!(f, "{}", self.text(expression))
            }
            StatementKind::Block(statements) => {
                writeln!(f, "block")?;
                self.block(f, statements, depth + 1)
            }
            StatementKind::If { condition, then, otherwise } => {
                writeln!(f, "if {}", self.text(condition))?;
                self.block(f, then, depth + 1)?;
                if otherwise.is_empty() {
                    return Ok(());
                }
                indent(f, depth)?;
                writeln!(f, "else")?;
                self.block(f, otherwise, depth + 1)
            }
            StatementKind::Loop { first, condition, step, body } => {
                let part = |part: &Option<Expression>| {
                    part.as_ref().map_or_else(|| "-".to_owned(), |part| self.text(part))
                };
                writeln!(f, "loop {} {} {}", part(first), part(condition), part(step))?;
                self.block(f, body, depth + 1)
            }
            StatementKind::Foreach(foreach) => {
                writeln!(f, "{}", self.foreach(foreach))?;
                self.block(f, &foreach.body, depth + 1)
            }
            StatementKind::Try { body, message, handler } => {
                writeln!(f, "try")?;
                self.block(f, body, depth + 1)?;
                indent(f, depth)?;
                match message {
                    Some(message) => writeln!(f, "catch {}", self.local(*message))?,
                    None => writeln!(f, "catch")?,
                }
                self.block(f, handler, depth + 1)
            }
            StatementKind::ForeachBucket { index, place, histogram, limit, body } => {
                let histogram = self.histogram(*histogram, place);
                write!(f, "foreach [{}] in {histogram}", self.local(*index))?;
                match limit {
                    Some(limit) => writeln!(f, " limit {}", self.text(limit))?,
                    None => writeln!(f)?,
                }
                self.block(f, body, depth + 1)
            }
            kind => writeln!(f, "{}", self.simple(kind)),
        }
    }

    /// Statements of one line.
    fn simple(&self, kind: &StatementKind) -> String {
        match kind {
            StatementKind::Accumulate { place, value } => {
                format!("{} <<< {}", self.place(place), self.text(value))
            }
            StatementKind::PrintHistogram { place, histogram, newline } => {
                let name = if *newline { "println" } else { "print" };
                format!("{name}({})", self.histogram(*histogram, place))
            }
            StatementKind::Return(None) => "return".to_owned(),
            StatementKind::Return(Some(value)) => format!("return {}", self.text(value)),
            StatementKind::Break => "break".to_owned(),
            StatementKind::Continue => "continue".to_owned(),
            StatementKind::Next => "next".to_owned(),
            StatementKind::DeleteElement { array, keys } => {
                format!("delete {}[{}]", self.global(*array), self.keys(keys))
            }
            StatementKind::Delete(place) => format!("delete {}", self.place(place)),
            StatementKind::Clear(array) => format!("clear {}", self.global(*array)),
            _ => unreachable!("statements of several lines are shown elsewhere"),
        }
    }

    fn histogram(&self, histogram: Histogram, place: &Place) -> String {
        let place = self.place(place);
        match histogram {
            Histogram::Log => format!("@hist_log({place})"),
            Histogram::Linear { low, high, step } => {
                format!("@hist_linear({place}, {low}, {high}, {step})")
            }
        }
    }

    fn keys(&self, keys: &[Option<Expression>]) -> String {
        let text = |key: &Option<Expression>| match key {
            Some(key) => self.text(key),
            None => "*".to_owned(),
        };
        keys.iter().map(text).collect::<Vec<_>>().join(", ")
    }

    fn foreach(&self, foreach: &Foreach) -> String {
        let mut shown = String::from("foreach ");
        if let Some(value) = foreach.value {
            shown += &format!("{} = ", self.local(value));
        }
        let keys: Vec<&str> = foreach.keys.iter().map(|key| self.local(*key)).collect();
        shown += &format!("[{}] in {}", keys.join(", "), self.global(foreach.array));
        if !foreach.slice.is_empty() {
            shown += &format!("[{}]", self.keys(&foreach.slice));
        }
        if let Some(order) = foreach.order {
            let by = match order.by {
                OrderBy::Extractor(extractor) => extractor.to_string(),
                OrderBy::Value => "value".to_owned(),
                OrderBy::Key(at) => format!("key {at}"),
            };
            shown += &format!(" by {by}{}", if order.descending { "-" } else { "+" });
        }
        if let Some(limit) = &foreach.limit {
            shown += &format!(" limit {}", self.text(limit));
        }
        shown
    }

    fn global(&self, id: GlobalId) -> &str {
        self.program.globals.get(id.0 as usize).map_or("?", |global| &global.name)
    }

    fn local(&self, id: LocalId) -> &str {
        self.locals.get(id.0 as usize).map_or("?", |local| &local.name)
    }

    fn place(&self, place: &Place) -> String {
        match place {
            Place::Local(id) => self.local(*id).to_owned(),
            Place::Global(id) => self.global(*id).to_owned(),
            Place::Element { array, keys } => {
                format!("{}[{}]", self.global(*array), self.texts(keys))
            }
            Place::Merged { array, keys } => {
                format!("{}[{}]", self.global(*array), self.keys(keys))
            }
        }
    }

    fn texts(&self, expressions: &[Expression]) -> String {
        let shown: Vec<String> = expressions.iter().map(|it| self.text(it)).collect();
        shown.join(", ")
    }

    fn text(&self, expression: &Expression) -> String {
        match &expression.kind {
            ExpressionKind::Literal(literal) => literal.to_string(),
            kind => format!("{}:{}", self.kind(kind), expression.ty),
        }
    }

    fn kind(&self, kind: &ExpressionKind) -> String {
        let text = |expression: &Expression| self.text(expression);
        match kind {
            ExpressionKind::Literal(literal) => literal.to_string(),
            ExpressionKind::Read(place) => self.place(place),
            ExpressionKind::Field(name) => format!("field {name}"),
            ExpressionKind::Load { .. }
            | ExpressionKind::StackOf { .. }
            | ExpressionKind::FromBits { .. }
            | ExpressionKind::Name { .. }
            | ExpressionKind::Guarded { .. }
            | ExpressionKind::Let { .. } => self.data(kind),
            ExpressionKind::Unary(op, operand) => format!("({op} {})", text(operand)),
            ExpressionKind::Binary(op, a, b) => format!("({op} {} {})", text(a), text(b)),
            ExpressionKind::Compare(op, a, b) => {
                format!("({op} {} {})", text(a), text(b))
            }
            ExpressionKind::And(a, b) => format!("(&& {} {})", text(a), text(b)),
            ExpressionKind::Or(a, b) => format!("(|| {} {})", text(a), text(b)),
            ExpressionKind::Concat(a, b) => format!("(. {} {})", text(a), text(b)),
            ExpressionKind::Conditional(condition, yes, no) => {
                format!("(?: {} {} {})", text(condition), text(yes), text(no))
            }
            ExpressionKind::In { array, keys } => {
                format!("(in [{}] {})", self.keys(keys), self.global(*array))
            }
            ExpressionKind::Match { text: searched, regex, negated } => {
                let op = if *negated { "!~" } else { "=~" };
                format!("({op} {} {})", text(searched), quoted(regex))
            }
            ExpressionKind::ToDouble(operand) => format!("(double {})", text(operand)),
            ExpressionKind::StackText(stack) => format!("(text {})", text(stack)),
            ExpressionKind::Extract { extractor, place } => match extractor {
                Extractor::Variance { shift } if *shift > 0 => {
                    format!("{extractor}({}, {shift})", self.place(place))
                }
                _ => format!("{extractor}({})", self.place(place)),
            },
            ExpressionKind::Percentile { place, percentage } => {
                format!("@percentile({}, {})", self.place(place), text(percentage))
            }
            ExpressionKind::Bucket { place, histogram, index } => {
                format!("{}[{}]", self.histogram(*histogram, place), text(index))
            }
            ExpressionKind::CallFunction(id, arguments) => {
                let functions = &self.program.functions;
                let name = functions.get(id.0 as usize).map_or("?", |it| &it.name);
                format!("{name}({})", self.texts(arguments))
            }
            ExpressionKind::Assign { place, op, value } => {
                let op = op.as_ref().map_or_else(String::new, AssignOp::to_string);
                format!("({op}= {} {})", self.place(place), text(value))
            }
            ExpressionKind::Increment { place, delta, postfix } => {
                let sign = if *delta > 0 { "++" } else { "--" };
                let post = if *postfix { "post" } else { "" };
                format!("({post}{sign} {})", self.place(place))
            }
            ExpressionKind::Call(builtin, arguments) => {
                format!("{}({})", builtin.name, self.texts(arguments))
            }
            ExpressionKind::Print { format, args, to_string } => {
                self.print(format, args, *to_string)
            }
        }
    }

    fn print(&self, format: &Format, args: &[Expression], to_string: bool) -> String {
        let name = if to_string { "sprintf" } else { "printf" };
        let comma = if args.is_empty() { "" } else { ", " };
        let format = quoted(&format.to_string());
        format!("{name}({format}{comma}{})", self.texts(args))
    }
}

impl Shown<'_> {
    /// What reads the target's data.
    fn data(&self, kind: &ExpressionKind) -> String {
        match kind {
            ExpressionKind::Load { address, size, signed, space } => {
                let sign = if *signed { "i" } else { "u" };
                let space = space_name(*space);
                format!("({space} {sign}{} {})", 8 * size, self.text(address))
            }
            ExpressionKind::StackOf { text, space } => {
                format!("(stack {} {})", space_name(*space), self.text(text))
            }
            ExpressionKind::FromBits { bits, single } => {
                let width = if *single { 32 } else { 64 };
                format!("(f{width} {})", self.text(bits))
            }
            ExpressionKind::Name { names, value } => {
                let names = self.program.names.get(names.0 as usize);
                let of = names.map_or("?", |names| &names.of);
                format!("({of} {})", self.text(value))
            }
            ExpressionKind::Guarded { text, otherwise } => {
                format!("(guarded {} {})", self.text(text), self.text(otherwise))
            }
            ExpressionKind::Let { local, value, inside } => {
                let (value, inside) = (self.text(value), self.text(inside));
                format!("(let {} {value} {inside})", self.local(*local))
            }
            _ => unreachable!("`kind` shows all others"),
        }
    }
}

fn space_name(space: Space) -> &'static str {
    match space {
        Space::User => "user",
        Space::Kernel => "kernel",
    }
}

/// The format as a script writes it.
impl Display for Format {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.pieces.iter().try_for_each(|piece| match piece {
            Piece::Literal(text) => f.write_str(&text.replace('%', "%%")),
            Piece::Directive(directive) => directive.fmt(f),
        })
    }
}

impl Display for Directive {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("%")?;
        let flags = self.flags;
        let signs = [
            (flags.left, "-"),
            (flags.plus, "+"),
            (flags.space, " "),
            (flags.zero, "0"),
            (flags.alternate, "#"),
        ];
        for (_, sign) in signs.into_iter().filter(|(set, _)| *set) {
            f.write_str(sign)?;
        }
        if let Some(width) = self.width {
            write!(f, "{width}")?;
        }
        if let Some(precision) = self.precision {
            write!(f, ".{precision}")?;
        }
        f.write_str(match self.conversion {
            Conversion::Signed => "d",
            Conversion::Unsigned => "u",
            Conversion::HexLower => "x",
            Conversion::HexUpper => "X",
            Conversion::Octal => "o",
            Conversion::Pointer => "p",
            Conversion::Char => "c",
            Conversion::String => "s",
            Conversion::Bytes => "b",
            Conversion::Memory => "m",
            Conversion::MemoryHex => "M",
            Conversion::Fixed => "f",
            Conversion::Exponent => "e",
            Conversion::General => "g",
            // No script can write it.
            Conversion::Shortest => "{}",
        })
    }
}

impl Display for Count {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(count) => write!(f, "{count}"),
            Self::Argument => f.write_str("*"),
        }
    }
}

impl Display for UnaryOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Negate => "-",
            Self::Not => "!",
            Self::Complement => "~",
        })
    }
}

impl Display for BinaryOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
            Self::And => "&",
            Self::Or => "|",
            Self::Xor => "^",
            Self::ShiftLeft => "<<",
            Self::ShiftRight => ">>",
            Self::ShiftRightLogical => ">>>",
        })
    }
}

impl Display for CompareOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
        })
    }
}

/// The extractor as a script names it.
impl Display for Extractor {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Count => "@count",
            Self::Sum => "@sum",
            Self::Min => "@min",
            Self::Max => "@max",
            Self::Avg => "@avg",
            Self::Variance { .. } => "@variance",
        })
    }
}

impl Display for AssignOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Binary(op) => op.fmt(f),
            Self::Concat => f.write_str("."),
        }
    }
}
