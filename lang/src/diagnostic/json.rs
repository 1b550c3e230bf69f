//! Diagnostics as JSON, one object a line, for `--message-format json`.

use std::fmt::Write as _;

use super::Diagnostic;
use crate::span::{Source, Span};

/// A diagnostic as a JSON object on one line. The fields are those of rustc
/// where there is a like: `code`, `severity`, `message`, `spans`, `notes`,
/// `help`. Lines and columns count from 1, columns in characters; the first
/// span is the place itself, the others explain it.
///
/// ```
/// use hwtrace_lang::code::Code;
/// use hwtrace_lang::diagnostic::{Diagnostic, to_json};
/// use hwtrace_lang::span::{Source, Span};
/// let error = Diagnostic::new(Code::Syntax, Span::new(6, 7), "unexpected `\"`").label("here");
/// let json = to_json(&error, &Source::new("a.hwt", "probe \""));
/// assert_eq!(
///     json,
///     r#"{"code":"E0001","severity":"error","message":"unexpected `\"`","spans":[{"file":"a.hwt","byte_start":6,"byte_end":7,"line_start":1,"column_start":7,"line_end":1,"column_end":8,"is_primary":true,"label":"here"}],"notes":[],"help":[]}"#
/// );
/// ```
pub fn to_json(diagnostic: &Diagnostic, source: &Source) -> String {
    let mut json = String::from("{");
    field(&mut json, "code", diagnostic.code.as_str());
    json.push(',');
    field(&mut json, "severity", &diagnostic.code.severity().to_string());
    json.push(',');
    field(&mut json, "message", &diagnostic.message);
    let first = diagnostic.span.map(|span| (span, diagnostic.label.as_str(), true));
    let related = diagnostic.related.iter().map(|(span, label)| (*span, &**label, false));
    let spans: Vec<String> =
        first.into_iter().chain(related).map(|part| place(source, part)).collect();
    let _ = write!(json, ",\"spans\":[{}]", spans.join(","));
    for (name, texts) in [("notes", &diagnostic.notes), ("help", &diagnostic.help)] {
        let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
        let _ = write!(json, ",\"{name}\":[{}]", texts.join(","));
    }
    json.push('}');
    json
}

fn place(source: &Source, (span, label, primary): (Span, &str, bool)) -> String {
    let (line, column) = source.position(span.start);
    let (end_line, end_column) = source.position(span.end);
    let mut json = String::from("{");
    field(&mut json, "file", &source.name);
    let _ = write!(
        json,
        ",\"byte_start\":{},\"byte_end\":{},\"line_start\":{line},\"column_start\":{column},\
         \"line_end\":{end_line},\"column_end\":{end_column},\"is_primary\":{primary},",
        span.start, span.end
    );
    field(&mut json, "label", label);
    json.push('}');
    json
}

fn field(json: &mut String, name: &str, value: &str) {
    let _ = write!(json, "\"{name}\":{}", quoted(value));
}

/// A string with its quotes, as JSON has it.
fn quoted(text: &str) -> String {
    let mut json = String::from("\"");
    for char in text.chars() {
        match char {
            '"' | '\\' => json.extend(['\\', char]),
            '\n' => json.push_str("\\n"),
            '\t' => json.push_str("\\t"),
            '\r' => json.push_str("\\r"),
            char if u32::from(char) < 0x20 || char == '\u{7f}' => {
                let _ = write!(json, "\\u{:04x}", u32::from(char));
            }
            char => json.push(char),
        }
    }
    json.push('"');
    json
}
