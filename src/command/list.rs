//! `hwtrace list`: what scripts can use.
//!
//! | file | what it lists |
//! | --- | --- |
//! | `data` | data of a process or file |
//! | `locals` | parameters and local variables of functions |
//! | `kernel` | data of the kernel |
//! | `functions` | what scripts can call |
//!
//! `program` opens the files that are asked for, `pattern` says which names, `output` has
//! the forms of a listing.

mod data;
mod functions;
mod kernel;
mod locals;
mod output;
mod pattern;
mod program;

use hwtrace::cli::{ListArgs, ListFormat};
use hwtrace::render::json;

use super::USAGE;

/// Why nothing is listed.
struct Refused {
    text: String,
    /// What to do instead.
    help: Option<String>,
}

impl Refused {
    fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), help: None }
    }

    fn help(self, help: impl Into<Option<String>>) -> Self {
        Self { help: help.into(), ..self }
    }
}

pub(crate) fn run(args: &ListArgs) -> Result<(), u8> {
    let listed = match (&args.process, &args.locals) {
        (Some(program), Some(function)) => locals::run(args, program, function),
        (Some(program), None) => data::run(args, program),
        (None, _) if args.kernel => kernel::run(args),
        (None, _) => functions::run(args),
    };
    listed.map_err(|Refused { text, help }| {
        let help = help.map_or(String::new(), |help| format!("; {help}"));
        tell(args.format, "error", &format!("{text}{help}"));
        USAGE
    })
}

/// Says something on standard error in the form of the listing.
fn tell(format: ListFormat, severity: &str, text: &str) {
    match format {
        ListFormat::Json => eprintln!("{}", json::message(severity, text)),
        ListFormat::Human | ListFormat::Names if severity == "note" => {
            eprintln!("hwtrace: {text}");
        }
        ListFormat::Human | ListFormat::Names => eprintln!("hwtrace: {severity}: {text}"),
    }
}

/// "did you mean `limit` or `limits`?"
fn did_you_mean(nearest: &[String]) -> Option<String> {
    let quoted: Vec<_> = nearest.iter().map(|name| format!("`{name}`")).collect();
    let (last, front) = quoted.split_last()?;
    Some(match front {
        [] => format!("did you mean {last}?"),
        _ => format!("did you mean {} or {last}?", front.join(", ")),
    })
}
