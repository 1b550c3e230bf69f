//! `hwtrace list`: what scripts can use.

use hwtrace::cli::ListArgs;
use hwtrace_lang::builtins::{
    self, Available, BUILTINS, Form, OPERATORS, PRINT_FUNCTIONS,
};
use hwtrace_lang::{parse, suggest};

use super::{USAGE, put};

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

pub(crate) fn run(args: &ListArgs) -> Result<(), u8> {
    let all = entries();
    let Some(pattern) = &args.pattern else {
        return put(&listing(&all));
    };
    let matching = |entry: &Entry| parse::glob(pattern.as_bytes(), entry.name.as_bytes());
    let found: Vec<_> = all.into_iter().filter(matching).collect();
    match found.as_slice() {
        [] => {
            eprintln!("hwtrace: error: {}", none(pattern));
            Err(USAGE)
        }
        [only] => put(&in_full(only)),
        _ => put(&listing(&found)),
    }
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

fn none(pattern: &str) -> String {
    let operators = OPERATORS.iter().map(|form| form.name);
    let nearest = suggest::did_you_mean(pattern, builtins::names().chain(operators));
    let nearest = nearest.map_or(String::new(), |nearest| format!("; {nearest}"));
    format!(
        "no function matches `{pattern}`{nearest}; `*` stands for anything, as in 'user_*'"
    )
}
