//! Why an expression stands for no data, in words.

use crate::ast::Name;
use crate::code::Code;
use crate::data::NotFound;
use crate::diagnostic::Diagnostic;
use crate::span::Span;
use crate::suggest;

/// So many members are listed.
const LISTED_MAX: usize = 12;

/// What needs no type.
const READ_ALL_THE_SAME: &str = "numbers and text at an address can be read: \
    `user_int(address)`, `user_long(address)`, `user_string(address)`";

/// What is wrong, and where.
#[derive(Debug)]
pub(in crate::sema) struct Problem {
    pub(in crate::sema) span: Span,
    pub(in crate::sema) wrong: Wrong,
}

/// What is wrong.
#[derive(Debug)]
pub(in crate::sema) enum Wrong {
    /// There is no such `$` variable; who knows why tells it.
    Target,
    /// A `$` variable of which the type is not known.
    Untyped(String),
    /// No data of the target, but the script's own.
    NoData(Own),
    /// A structure has no such member.
    NoMember { of: String, name: Name, members: Vec<String> },
    /// A type has nothing inside.
    NoParts { what: &'static str, of: String },
    /// It has no address.
    NoAddress { bits: bool },
    /// A name is not known.
    NotFound { what: &'static str, name: String, why: NotFound },
    /// `@cast(…)` and its like have other arguments.
    Arguments,
}

/// What of the script stands where data of the target is to.
#[derive(Debug)]
pub(in crate::sema) enum Own {
    /// An element of an array.
    Element,
    /// A variable, and one of the target may have its name.
    Namesake(String),
    /// Any other value.
    Value,
}

impl Problem {
    /// The error.
    pub(in crate::sema) fn diagnostic(self) -> Diagnostic {
        let span = self.span;
        match self.wrong {
            Wrong::Target => untyped("x", span),
            Wrong::Untyped(name) => untyped(&name, span),
            Wrong::NoData(own) => no_data(&own, span),
            Wrong::NoMember { of, name, members } => no_member(&of, &name, &members),
            Wrong::NoParts { what, of } => no_parts(what, &of, span),
            Wrong::NoAddress { bits } => no_address(bits, span),
            Wrong::NotFound { what, name, why } => not_found(what, &name, why, span),
            Wrong::Arguments => Diagnostic::new(
                Code::BadDataCall,
                span,
                "this takes names as string literals",
            )
            .label("looked up before the script runs")
            .help("write `@cast(value, \"struct node\")`, `@var(\"name@file.c\")` or `@enum(\"CONSTANT\")`, with `, \"module\"` behind where needed"),
        }
    }
}

fn no_data(own: &Own, span: Span) -> Diagnostic {
    let message = "a value of the script has no type of the target";
    let error =
        Diagnostic::new(Code::NoTypes, span, message).label("a long, double or string");
    let error = match own {
        Own::Element => {
            return error.help("several keys stand in one pair of brackets: `a[1, 2]`");
        }
        Own::Namesake(name) => error.help(format!(
            "a variable of the target is `@var(\"{name}\")`, and its address `&@var(\"{name}\")`"
        )),
        Own::Value => error,
    };
    error.help("numbers and text at an address need no type: `user_int(p + 8)`, `user_string(p)`; where types are known, `@cast(p, \"struct node\")->next` says what lies there")
}

fn untyped(name: &str, span: Span) -> Diagnostic {
    let message = format!("the type of `${name}` is not known");
    Diagnostic::new(Code::NoTypes, span, message)
        .label("known as a long only")
        .help("debug information tells it: give the target with `-c CMD` or `-p PID`, and build it with `-g`")
        .help(format!("numbers and text that it points to need no type: `user_int(${name} + 8)`, `user_string(${name})`"))
        .help(format!("where types are known, say which: `@cast(${name}, \"struct node\")->next`"))
}

fn no_member(of: &str, name: &Name, members: &[String]) -> Diagnostic {
    let text = &name.text;
    let error = Diagnostic::new(
        Code::UnknownMember,
        name.span,
        format!("`{of}` has no member `{text}`"),
    )
    .label("no such member");
    let near = suggest::did_you_mean(text, members.iter().map(String::as_str));
    let error = match near {
        Some(near) => error.help(near),
        None => error,
    };
    let mut shown: Vec<String> =
        members.iter().take(LISTED_MAX).map(|member| format!("`{member}`")).collect();
    if members.len() > LISTED_MAX {
        shown.push(format!("{} more", members.len() - LISTED_MAX));
    }
    match shown.is_empty() {
        true => error.help("it has none; only its address is of use: `&$x`"),
        false => error.help(format!("it has {}", shown.join(", "))),
    }
}

fn no_parts(what: &str, of: &str, span: Span) -> Diagnostic {
    let message = match what {
        "target" => format!("`{of}` points to nothing that could be read"),
        _ => format!("`{of}` has no {what}"),
    };
    let help = match what {
        "members" => {
            "`->` takes a structure or a pointer to one; a number at an address is `@cast(p, \"struct node\")`"
        }
        "elements" => "`[…]` takes an array or a pointer to what has a size",
        _ => {
            "`*` takes a pointer to what has a size; a member of a structure is `$x->member`"
        }
    };
    Diagnostic::new(Code::NoParts, span, message)
        .label(format!("of type `{of}`"))
        .help(help)
}

fn no_address(bits: bool, span: Span) -> Diagnostic {
    let (label, help) = match bits {
        true => ("a bit-field", "take the address of the structure: `&$x`"),
        false => (
            "a value that lies in no memory",
            "`data_addr()` is the address of the watched data",
        ),
    };
    Diagnostic::new(Code::NoAddress, span, "this has no address").label(label).help(help)
}

fn not_found(what: &'static str, name: &str, why: NotFound, span: Span) -> Diagnostic {
    match why {
        NotFound::NoTypes => {
            let message = format!("{what} `{name}` is not known: there is no target");
            Diagnostic::new(Code::UnknownType, span, message)
                .label("told by the target's debug information")
                .help(
                    "give the target: `-c CMD` starts one, `-p PID` takes one that runs",
                )
                .help(READ_ALL_THE_SAME)
        }
        NotFound::Untyped { why, help } => {
            let message = format!("{what} `{name}` is not known: {why}");
            let error = Diagnostic::new(Code::UnknownType, span, message)
                .label("told by debug information");
            let error = match help {
                Some(help) => error.help(help),
                None => error,
            };
            error.help(READ_ALL_THE_SAME)
        }
        NotFound::Unknown { nearest } => {
            let message = format!("the target has no {what} `{name}`");
            let error =
                Diagnostic::new(Code::UnknownType, span, message).label("not known");
            error.help(match suggest::list(nearest.iter().map(String::as_str)) {
                Some(nearest) => format!("did you mean {nearest}?"),
                None => "write it as its debug information does; `@defined(…)` asks whether it is there".to_owned(),
            })
        }
    }
}
