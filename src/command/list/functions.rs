//! `hwtrace list --functions`: what scripts can call.

use hwtrace::cli::{ListArgs, ListFormat};
use hwtrace_lang::builtins::{
    self, Available, BUILTINS, Form, OPERATORS, PRINT_FUNCTIONS,
};
use hwtrace_lang::{parse, suggest};

use serde::Serialize;

use super::Refused;
use super::output::print;

/// A function or operator, whichever table it comes from.
struct Entry {
    heading: &'static str,
    name: &'static str,
    signature: String,
    available: Available,
    needs_unsafe: bool,
    doc: &'static str,
    example: &'static str,
}

/// A function as an object of JSON.
#[derive(Serialize)]
struct Object<'a> {
    kind: &'static str,
    name: &'a str,
    signature: &'a str,
    topic: &'a str,
    doc: &'a str,
    example: &'a str,
}

pub(super) fn run(args: &ListArgs) -> Result<(), Refused> {
    let mut found = entries();
    if let Some(pattern) = &args.pattern {
        found.retain(|entry| parse::glob(pattern.as_bytes(), entry.name.as_bytes()));
    }
    let lines = |line: &dyn Fn(&Entry) -> String| found.iter().map(line).collect();
    let text: String = match (args.format, found.as_slice()) {
        (_, []) => return Err(none(args.pattern.as_deref().unwrap_or_default())),
        (ListFormat::Json, _) => lines(&|entry| object(entry) + "\n"),
        (ListFormat::Names, _) => lines(&|entry| format!("{}\n", entry.name)),
        (ListFormat::Human, [only]) if args.pattern.is_some() => in_full(only),
        (ListFormat::Human, _) => listing(&found),
    };
    print(&text);
    Ok(())
}

fn object(entry: &Entry) -> String {
    let Entry { heading: topic, name, signature, doc, example, .. } = entry;
    let object = Object { kind: "function", name, signature, topic, doc, example };
    // Strings always have a form in JSON.
    serde_json::to_string(&object).unwrap_or_default()
}

fn entries() -> Vec<Entry> {
    let rows = BUILTINS.iter().map(|row| Entry {
        heading: row.topic.title(),
        name: row.name,
        signature: row.signature(),
        available: row.available,
        needs_unsafe: row.needs_unsafe,
        doc: row.doc,
        example: row.example,
    });
    let form = |heading| {
        move |form: &Form| Entry {
            heading,
            name: form.name,
            signature: form.signature.to_owned(),
            available: form.available,
            needs_unsafe: false,
            doc: form.doc,
            example: form.example,
        }
    };
    let print = PRINT_FUNCTIONS.iter().map(form("Values as text"));
    rows.chain(print).chain(OPERATORS.iter().map(form("Operators"))).collect()
}

/// A line each, under the headings of the topics.
fn listing(entries: &[Entry]) -> String {
    let mut text = String::new();
    let mut heading = "";
    for entry in entries {
        if heading != entry.heading {
            let gap = if heading.is_empty() { "" } else { "\n" };
            text += &format!("{gap}{}\n", entry.heading);
            heading = entry.heading;
        }
        text += &format!("  {}{}\n      {}\n", entry.signature, mark(entry), entry.doc);
    }
    text
}

/// Where it can not be called.
fn mark(entry: &Entry) -> &'static str {
    match entry.available {
        Available::NotYet(_) => "  [not yet]",
        Available::DataProbes => "  [data probes]",
        Available::Everywhere if entry.needs_unsafe => "  [--unsafe]",
        Available::Everywhere => "",
    }
}

fn in_full(entry: &Entry) -> String {
    let mut text = listing(std::slice::from_ref(entry));
    text += &format!("\nExample:\n  {}\n", entry.example);
    if let Available::NotYet(instead) = entry.available {
        text += &format!("\nNot available yet: {instead}\n");
    }
    text
}

fn none(pattern: &str) -> Refused {
    let operators = OPERATORS.iter().map(|form| form.name);
    let nearest = suggest::did_you_mean(pattern, builtins::names().chain(operators));
    let nearest = nearest.map_or(String::new(), |nearest| format!("; {nearest}"));
    Refused::new(format!("no function matches `{pattern}`{nearest}"))
        .help("`*` stands for anything, as in 'user_*'".to_owned())
}
