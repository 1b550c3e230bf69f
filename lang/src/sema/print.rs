//! The print family: `printf` and its like, checked field by field.

use super::infer::{Infer, Use};
use super::types::Term;
use crate::ast::{Expression, ExpressionKind, Text};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::printf::parse::{self, Parsed};
use crate::printf::{Conversion, Count, Directive, Flags, Format, Piece};
use crate::types::Type;

/// A member of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Family {
    name: &'static str,
    style: Style,
    /// Ends the line.
    pub(super) newline: bool,
    /// Gives the text in place of printing it.
    pub(super) to_string: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// One value in its natural form.
    Plain,
    /// Values with a delimiter between them.
    Delimited,
    /// By a format.
    Format,
}

const fn member(
    name: &'static str,
    style: Style,
    newline: bool,
    to_string: bool,
) -> Family {
    Family { name, style, newline, to_string }
}

static FAMILY: &[Family] = &[
    member("print", Style::Plain, false, false),
    member("println", Style::Plain, true, false),
    member("printd", Style::Delimited, false, false),
    member("printdln", Style::Delimited, true, false),
    member("printf", Style::Format, false, false),
    member("sprint", Style::Plain, false, true),
    member("sprintln", Style::Plain, true, true),
    member("sprintd", Style::Delimited, false, true),
    member("sprintdln", Style::Delimited, true, true),
    member("sprintf", Style::Format, false, true),
];

impl Family {
    pub(super) fn named(name: &str) -> Option<Self> {
        FAMILY.iter().find(|member| member.name == name).copied()
    }

    /// The type of a call.
    pub(super) fn result(self) -> Type {
        if self.to_string { Type::String } else { Type::Long }
    }

    /// The arguments that are values, without a format or delimiter.
    pub(super) fn values(self, arguments: &[Expression]) -> &[Expression] {
        match self.style {
            Style::Plain => arguments,
            Style::Delimited | Style::Format => arguments.get(1..).unwrap_or_default(),
        }
    }

    /// By value, whether it may be shown as text whatever its type: by `%s` or
    /// in its natural form.
    pub(super) fn wants_text(self, arguments: &[Expression]) -> Vec<bool> {
        match (self.style, arguments.first().and_then(literal)) {
            (Style::Format, Some(text)) => {
                let fields = fields(text, &parse::parse(&text.value));
                fields.iter().map(|field| field.ty == Type::String).collect()
            }
            _ => vec![true; arguments.len()],
        }
    }

    /// The format of a call that has been checked; `types` are those of the
    /// values.
    pub(super) fn format(self, arguments: &[Expression], types: &[Type]) -> Format {
        let text =
            arguments.first().and_then(literal).map_or("", |text| text.value.as_str());
        let mut pieces = match self.style {
            Style::Format => parse::parse(text).format.pieces,
            Style::Plain => natural(types, ""),
            Style::Delimited => natural(types, text),
        };
        if self.newline {
            pieces.push(Piece::Literal("\n".to_owned()));
        }
        Format { pieces }
    }
}

/// Directives in the natural form of each type.
fn natural(types: &[Type], delimiter: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for ty in types {
        if !pieces.is_empty() && !delimiter.is_empty() {
            pieces.push(Piece::Literal(delimiter.to_owned()));
        }
        let conversion = match ty {
            Type::Long | Type::Stats => Conversion::Signed,
            Type::Double => Conversion::Shortest,
            Type::String | Type::Stack => Conversion::String,
        };
        let flags = Flags::default();
        pieces.push(Piece::Directive(Directive {
            flags,
            width: None,
            precision: None,
            conversion,
        }));
    }
    pieces
}

fn literal(expression: &Expression) -> Option<&Text> {
    match &expression.kind {
        ExpressionKind::String(text) => Some(text),
        _ => None,
    }
}

impl Infer<'_, '_> {
    /// Checks a call of the family.
    pub(super) fn print(
        &mut self,
        call: &Expression,
        family: Family,
        arguments: &[Expression],
        used: Use,
    ) -> Term {
        match family.style {
            Style::Plain => self.plain(call, family, arguments),
            Style::Delimited => self.delimited(call, family, arguments),
            Style::Format => self.formatted(call, family, arguments),
        }
        if !family.to_string {
            self.check_value(family.name, call.span, used);
        }
        Term::Known(family.result())
    }

    fn values(&mut self, values: &[Expression]) {
        for value in values {
            self.expression(value, Use::Value);
        }
    }

    fn plain(&mut self, call: &Expression, family: Family, arguments: &[Expression]) {
        self.values(arguments);
        let Family { name, newline, .. } = family;
        // An empty line is a fine thing to print.
        if newline || !arguments.is_empty() {
            return;
        }
        let message = format!("`{name}()` takes values, but none is given");
        self.report.push(
            Diagnostic::new(Code::ArgumentCount, call.span, message)
                .label("one or more values of any type")
                .help(format!("write it like this: `{name}(\"n is \", n)`")),
        );
    }

    fn delimited(&mut self, call: &Expression, family: Family, arguments: &[Expression]) {
        self.values(family.values(arguments));
        let name = family.name;
        match arguments {
            [] | [_] => self.report.push(
                Diagnostic::new(
                    Code::ArgumentCount,
                    call.span,
                    format!("`{name}()` takes a delimiter and values"),
                )
                .label("at least two arguments")
                .help(format!("write it like this: `{name}(\", \", a, b)`")),
            ),
            [delimiter, ..] => {
                if literal(delimiter).is_none() {
                    self.not_literal(delimiter, name, "delimiter");
                }
            }
        }
    }

    fn not_literal(&mut self, at: &Expression, name: &str, what: &str) {
        let message = format!("the {what} of `{name}()` must be a string literal");
        let help = match what {
            "format" => format!("write `{name}(\"%s\", …)`"),
            _ => format!("write it first: `{name}(\", \", a, b)`"),
        };
        self.report.push(
            Diagnostic::new(Code::FormatNotLiteral, at.span, message)
                .label("known only at run time")
                .help(help),
        );
    }

    fn formatted(&mut self, call: &Expression, family: Family, arguments: &[Expression]) {
        let values = family.values(arguments);
        let Some(first) = arguments.first() else {
            let message = format!("`{}()` takes a format and values", family.name);
            self.report.push(
                Diagnostic::new(Code::ArgumentCount, call.span, message)
                    .label("no format")
                    .help(format!("write it like this: `{}(\"%d\\n\", x)`", family.name)),
            );
            return;
        };
        let Some(text) = literal(first) else {
            self.not_literal(first, family.name, "format");
            self.expression(first, Use::Value);
            self.values(values);
            return;
        };
        let parsed = parse::parse(&text.value);
        for error in &parsed.errors {
            let span = text.span_of(error.range.clone());
            self.report.push(
                Diagnostic::new(error.code, span, error.message.clone())
                    .label("in this format")
                    .help(error.help.clone()),
            );
        }
        if parsed.errors.is_empty() {
            self.fields(text, &parsed, values);
        } else {
            self.values(values);
        }
    }

    /// Compares the directives of a format with the values, one by one.
    fn fields(&mut self, text: &Text, parsed: &Parsed, values: &[Expression]) {
        let fields = fields(text, parsed);
        let given = values.len();
        for (at, field) in fields.iter().enumerate() {
            match values.get(at) {
                // What has a readable form is shown in it.
                Some(value)
                    if field.ty == Type::String && self.readable(value).is_some() =>
                {
                    self.expression(value, Use::Value);
                }
                Some(value) => {
                    self.expect(value, field.ty, &field.name);
                }
                None => {
                    let error = too_few(field, fields.len(), given);
                    self.report.push(error);
                    return;
                }
            }
        }
        self.values(&values[fields.len()..]);
        if let Some(extra) = values.get(fields.len()) {
            self.report.push(
                Diagnostic::new(
                    Code::FormatArguments,
                    extra.span,
                    format!("the format prints {}, but {}", arguments(fields.len()), are_given(given)),
                )
                .label("no directive prints this")
                .help("append a directive to the format: `%d` for a number, `%s` for a string"),
            );
        }
    }
}

/// A value that a format asks for.
struct Field {
    name: String,
    ty: Type,
    span: crate::span::Span,
}

fn fields(text: &Text, parsed: &Parsed) -> Vec<Field> {
    let directives = parsed.format.pieces.iter().filter_map(|piece| match piece {
        Piece::Directive(directive) => Some(directive),
        Piece::Literal(_) => None,
    });
    let mut fields = Vec::new();
    for (directive, range) in directives.zip(&parsed.ranges) {
        let span = text.span_of(range.clone());
        let name = format!("`{}`", &text.value[range.clone()]);
        for count in [directive.width, directive.precision] {
            if count == Some(Count::Argument) {
                let name = format!("the `*` of {name}");
                fields.push(Field { name, ty: Type::Long, span });
            }
        }
        let ty = match directive.conversion {
            Conversion::String => Type::String,
            Conversion::Fixed | Conversion::Exponent | Conversion::General => {
                Type::Double
            }
            _ => Type::Long,
        };
        fields.push(Field { name, ty, span });
    }
    fields
}

fn too_few(field: &Field, wanted: usize, given: usize) -> Diagnostic {
    let message =
        format!("the format prints {}, but {}", arguments(wanted), are_given(given));
    Diagnostic::new(Code::FormatArguments, field.span, message)
        .label(format!("nothing is given for {}", field.name))
        .help("append what it prints; a percent sign is `%%`")
}

/// "1 argument", "2 arguments"
pub(super) fn arguments(count: usize) -> String {
    format!("{count} argument{}", if count == 1 { "" } else { "s" })
}

/// "none is given", "2 are given"
pub(super) fn are_given(count: usize) -> String {
    match count {
        0 => "none is given".to_owned(),
        1 => "1 is given".to_owned(),
        many => format!("{many} are given"),
    }
}
