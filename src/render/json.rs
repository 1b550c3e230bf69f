//! Diagnostics as JSON, one object a line, for `--message-format json`.

use hwtrace_lang::code::Severity;
use hwtrace_lang::diagnostic::Diagnostic;
use hwtrace_lang::span::{Source, Span};
use serde::Serialize;

/// The fields are rustc's where there is a like (rustc book, "JSON Output").
#[derive(Serialize)]
struct Message<'a> {
    /// None for what is no diagnostic of the table of codes.
    code: Option<&'a str>,
    severity: &'a str,
    message: &'a str,
    spans: Vec<Place<'a>>,
    notes: &'a [String],
    help: &'a [String],
}

/// Lines and columns count from 1, columns in characters, ends are exclusive.
#[derive(Serialize)]
struct Place<'a> {
    file: &'a str,
    byte_start: u32,
    byte_end: u32,
    line_start: usize,
    column_start: usize,
    line_end: usize,
    column_end: usize,
    is_primary: bool,
    label: &'a str,
}

/// A diagnostic as a JSON object on one line: `code`, `severity`, `message`,
/// `spans` (the first is the place itself, the others explain it), `notes`,
/// `help`.
///
/// ```
/// use hwtrace::render::json;
/// use hwtrace_lang::{code::Code, diagnostic::Diagnostic, span::{Source, Span}};
/// let error = Diagnostic::new(Code::Syntax, Span::new(6, 7), "unexpected `\"`");
/// let line = json::diagnostic(&error, &Source::new("a.hwt", "probe \""));
/// assert!(line.starts_with(r#"{"code":"E0001","severity":"error","message":"unexpected `\"`""#));
/// assert!(line.contains(r#""file":"a.hwt","byte_start":6,"byte_end":7,"line_start":1"#));
/// ```
pub fn diagnostic(diagnostic: &Diagnostic, source: &Source) -> String {
    let first = diagnostic.span.map(|span| (span, diagnostic.label.as_str(), true));
    let related = diagnostic.related.iter().map(|(span, label)| (*span, &**label, false));
    let spans = first.into_iter().chain(related);
    line(&Message {
        code: Some(diagnostic.code.as_str()),
        severity: match diagnostic.code.severity() {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        message: &diagnostic.message,
        spans: spans.map(|part| place(source, part)).collect(),
        notes: &diagnostic.notes,
        help: &diagnostic.help,
    })
}

/// A message that is no diagnostic, in the same form, without code and place.
pub fn message(severity: &str, text: &str) -> String {
    let (spans, notes, help) = (Vec::new(), &[], &[]);
    line(&Message { code: None, severity, message: text, spans, notes, help })
}

fn line(message: &Message<'_>) -> String {
    // Strings and numbers always have a form in JSON.
    serde_json::to_string(message).unwrap_or_default()
}

fn place<'a>(
    source: &'a Source,
    (span, label, is_primary): (Span, &'a str, bool),
) -> Place<'a> {
    let (line_start, column_start) = source.position(span.start);
    let (line_end, column_end) = source.position(span.end);
    Place {
        file: &source.name,
        byte_start: span.start,
        byte_end: span.end,
        line_start,
        column_start,
        line_end,
        column_end,
        is_primary,
        label,
    }
}
