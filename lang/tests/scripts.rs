//! Scripts as tests, sorted by the stage that must accept or refuse them:
//! `scripts/{parse_ok,parse_refused,check_refused,check_ok}/NAME.hwt`, what is expected
//! beside it in `NAME.expected`. A first line `# arguments: a b` gives script
//! arguments. `HWTRACE_BLESS=1` writes what came out as what is expected.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use hwtrace_lang::code::Code;
use hwtrace_lang::diagnostic::Diagnostic;
use hwtrace_lang::sema::{Options, check_with};
use hwtrace_lang::{parse::parse, span::Source};

/// How far a script comes.
enum Outcome {
    ParseRefused(Vec<Diagnostic>),
    CheckRefused(Vec<Diagnostic>),
    Accepted(String),
}

/// The script arguments that the first line names.
fn arguments(source: &Source) -> Vec<String> {
    let first = source.text.lines().next().unwrap_or_default();
    let arguments = first.strip_prefix("# arguments: ").unwrap_or_default();
    arguments.split_whitespace().map(str::to_owned).collect()
}

fn run(source: &Source) -> Outcome {
    let script = match parse(source, &arguments(source)) {
        Ok(script) => script,
        Err(errors) => return Outcome::ParseRefused(errors),
    };
    let options = Options::default();
    match check_with(&script, &mut common::Memory::default(), options) {
        Ok(checked) => {
            let warnings = render(source, &checked.warnings);
            Outcome::Accepted(format!("{}{warnings}", checked.program))
        }
        Err(errors) => Outcome::CheckRefused(errors),
    }
}

/// Diagnostics in plain text, a fact a line.
fn render(source: &Source, errors: &[Diagnostic]) -> String {
    let mut text = String::new();
    for error in errors {
        let place = error.span.map_or_else(
            || "-".to_owned(),
            |span| {
                let (line, column) = source.position(span.start);
                let (end_line, end_column) = source.position(span.end);
                match line == end_line {
                    true => format!("{line}:{column}-{end_column}"),
                    false => format!("{line}:{column}-{end_line}:{end_column}"),
                }
            },
        );
        writeln!(text, "{} {place} {}", error.code, error.message).unwrap();
        if !error.label.is_empty() {
            writeln!(text, "  here: {}", error.label).unwrap();
        }
        for (span, label) in &error.related {
            let (line, column) = source.position(span.start);
            writeln!(text, "  {line}:{column}: {label}").unwrap();
        }
        for note in &error.notes {
            writeln!(text, "  note: {note}").unwrap();
        }
        for help in &error.help {
            writeln!(text, "  help: {help}").unwrap();
        }
    }
    text
}

fn scripts(stage: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts").join(stage);
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut scripts: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|it| it == "hwt")).collect();
    scripts.sort();
    assert!(!scripts.is_empty());
    scripts
}

fn read(path: &Path) -> Source {
    let name = path.file_name().unwrap().to_string_lossy();
    Source::new(name, std::fs::read_to_string(path).unwrap())
}

/// Compares what came out with what is expected; whether they agree.
fn agrees(path: &Path, found: &str) -> bool {
    let expected = path.with_extension("expected");
    if std::env::var_os("HWTRACE_BLESS").is_some() {
        std::fs::write(&expected, found).unwrap();
        return true;
    }
    let wanted = std::fs::read_to_string(&expected).unwrap_or_default();
    if wanted != found {
        eprintln!("{}\n--- expected\n{wanted}--- found\n{found}", path.display());
    }
    wanted == found
}

fn run_all(stage: &str, text: impl Fn(&Source, Outcome) -> Result<String, String>) {
    let mut failed = Vec::new();
    for path in scripts(stage) {
        let source = read(&path);
        let good = match text(&source, run(&source)) {
            Ok(found) => agrees(&path, &found),
            Err(why) => {
                eprintln!("{}: {why}", path.display());
                false
            }
        };
        if !good {
            failed.push(source.name);
        }
    }
    assert!(failed.is_empty(), "HWTRACE_BLESS=1 accepts what came out: {failed:?}");
}

/// What parses, whether or not it makes sense: the tree.
#[test]
fn parse_ok() {
    let mut failed = Vec::new();
    for path in scripts("parse_ok") {
        let source = read(&path);
        match parse(&source, &arguments(&source)) {
            Ok(script) if agrees(&path, &script.to_string()) => {}
            Ok(_) => failed.push(source.name),
            Err(errors) => panic!("{}: {}", path.display(), render(&source, &errors)),
        }
    }
    assert!(failed.is_empty(), "HWTRACE_BLESS=1 accepts what came out: {failed:?}");
}

#[test]
fn parse_refused() {
    run_all("parse_refused", |source, outcome| match outcome {
        Outcome::ParseRefused(errors) => Ok(render(source, &errors)),
        _ => Err("the parser must refuse this".to_owned()),
    });
}

#[test]
fn check_refused() {
    run_all("check_refused", |source, outcome| match outcome {
        Outcome::CheckRefused(errors) => Ok(render(source, &errors)),
        Outcome::ParseRefused(errors) => Err(render(source, &errors)),
        Outcome::Accepted(_) => Err("the checker must refuse this".to_owned()),
    });
}

#[test]
fn check_ok() {
    run_all("check_ok", |source, outcome| match outcome {
        Outcome::Accepted(program) => Ok(program),
        Outcome::ParseRefused(errors) | Outcome::CheckRefused(errors) => {
            Err(render(source, &errors))
        }
    });
}

/// Every code of the language has a script that is refused with it.
#[test]
fn no_code_without_a_script() {
    let mut seen = BTreeSet::new();
    for path in ["parse_refused", "check_refused"].into_iter().flat_map(scripts) {
        let source = read(&path);
        if let Outcome::ParseRefused(errors) | Outcome::CheckRefused(errors) =
            run(&source)
        {
            for error in errors {
                assert!(
                    !error.help.is_empty(),
                    "{}: {} has no help",
                    source.name,
                    error.code
                );
                seen.insert(error.code);
            }
        }
    }
    // Tested where they arise: too large for a file here, or not from a script.
    let elsewhere = [Code::ScriptTooLong, Code::UnknownOverride, Code::BadOverride];
    let missing: Vec<_> = Code::ALL
        .iter()
        .filter(|code| code.as_str() < "E0300" && !seen.contains(code))
        .filter(|code| !elsewhere.contains(code))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The examples of `hwtrace explain` are what they say.
#[test]
fn explanations_have_true_examples() {
    let outcome = |text: &str| run(&Source::new("example.hwt", text));
    for code in Code::ALL {
        let explanation = code.explanation();
        if let Some(wrong) = explanation.wrong {
            let found = match outcome(wrong) {
                Outcome::ParseRefused(errors) | Outcome::CheckRefused(errors) => errors,
                Outcome::Accepted(_) => Vec::new(),
            };
            assert!(found.iter().any(|error| error.code == *code), "{code}: {found:?}");
        }
        if let Some(right) = explanation.right {
            let right = outcome(right);
            if let Outcome::ParseRefused(errors) | Outcome::CheckRefused(errors) = right {
                panic!("{code}: {errors:?}");
            }
        }
        // What a script alone can cause has an example.
        let caused = explanation.wrong.is_some();
        let elsewhere = [Code::ScriptTooLong, Code::UnknownOverride, Code::BadOverride];
        assert!(caused || code.as_str() > "E0300" || elsewhere.contains(code), "{code}");
    }
}
