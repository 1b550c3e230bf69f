//! `hwtrace fmt`: scripts in the house style.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use hwtrace::cli::FmtArgs;
use hwtrace::render;
use hwtrace_lang::format::format;
use hwtrace_lang::span::Source;

use super::{RUN_TIME, USAGE, put};

pub(crate) fn run(args: &FmtArgs) -> Result<(), u8> {
    let dash = Path::new("-");
    if args.files.is_empty() {
        return standard_input(args.check);
    }
    // Each file is looked at, whatever the others have.
    let mut worst = Ok(());
    for file in &args.files {
        let one = match file == dash {
            true => standard_input(args.check),
            false => one_file(file, args.check),
        };
        if let Err(status) = one {
            worst = Err(worst.err().map_or(status, |before: u8| before.max(status)));
        }
    }
    worst
}

fn standard_input(check: bool) -> Result<(), u8> {
    let name = "<standard input>";
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).map_err(|error| unusable(name, &error))?;
    let formatted = formatted(name, &text)?;
    match check {
        false => put(&formatted),
        true if formatted == text => Ok(()),
        true => Err(differs(name)),
    }
}

fn one_file(file: &Path, check: bool) -> Result<(), u8> {
    let name = file.display().to_string();
    let text = fs::read_to_string(file).map_err(|error| unusable(&name, &error))?;
    let formatted = formatted(&name, &text)?;
    if formatted == text {
        return Ok(());
    }
    if check {
        return Err(differs(&name));
    }
    replace(file, &formatted).map_err(|error| {
        eprintln!("hwtrace: error: cannot write `{name}`: {error}");
        RUN_TIME
    })
}

/// Writes beside the file and moves over it, so that it is never half there.
/// A link stays one: what it leads to is replaced.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let file = fs::canonicalize(file)?;
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let beside = file.with_file_name(name);
    let permissions = fs::metadata(&file)?.permissions();
    let written = fs::write(&beside, text)
        .and_then(|()| fs::set_permissions(&beside, permissions))
        .and_then(|()| fs::rename(&beside, &file));
    if written.is_err() {
        // The error is told; what is left of the attempt is not to stay.
        let _ = fs::remove_file(&beside);
    }
    written
}

fn formatted(name: &str, text: &str) -> Result<String, u8> {
    let source = Source::new(name, text);
    format(&source).map_err(|diagnostics| {
        for diagnostic in &diagnostics {
            eprintln!("{}", render::diagnostic(diagnostic, &source, false));
        }
        USAGE
    })
}

fn unusable(name: &str, error: &io::Error) -> u8 {
    eprintln!("hwtrace: error: cannot read `{name}`: {error}");
    USAGE
}

fn differs(name: &str) -> u8 {
    eprintln!(
        "hwtrace: `{name}` is not in the house style: `hwtrace fmt {name}` writes it so"
    );
    RUN_TIME
}
