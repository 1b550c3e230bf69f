//! A tree of scripts, sorted by what becomes of them, with what is expected in
//! a `.snap` beside each:
//!
//! - `parse_refused`, `check_refused`: the diagnostics as users see them. Which
//!   script is refused with which code is tested in `lang/tests/scripts`; here
//!   it is how that looks.
//! - `ir`: what a construct is lowered to.
//! - `plan`: what of it is done at the hit itself.
//! - `clif`: what that becomes in Cranelift's representation, before it is
//!   optimized: calls go to numbers, so that it is the same on every machine.
//! - `run`: what the command prints and how it ends, natively, without a target.
//!
//! The first lines of a script can say how it is run: `# options: -G n=3` in
//! front of the script on the command line, `# arguments: a b` behind it.
//! `INSTA_UPDATE=always cargo test --test scripts` blesses what comes out.
#![allow(missing_docs, clippy::unwrap_used)]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use hwtrace::pipeline::{Lowered, Parsed, Refused};
use hwtrace::render;
use hwtrace_compiler::jit::Program;
use hwtrace_lang::code::Code;
use hwtrace_lang::span::Source;

const STAGES: [&str; 6] = ["parse_refused", "check_refused", "ir", "plan", "clif", "run"];

/// A script with what its first lines ask for.
struct Script {
    source: Source,
    options: Vec<String>,
    arguments: Vec<String>,
}

impl Script {
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let asked = |what: &str| {
            let prefix = format!("# {what}: ");
            let mut head = text.lines().take_while(|line| line.starts_with('#'));
            let line = head.find_map(|line| line.strip_prefix(&prefix));
            shlex::split(line.unwrap_or_default()).unwrap()
        };
        let (options, arguments) = (asked("options"), asked("arguments"));
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        Self { source: Source::new(name, text), options, arguments }
    }

    /// The `-G name=value` among the options.
    fn overrides(&self) -> Vec<(String, String)> {
        let pairs = self.options.chunks(2).filter(|pair| pair[0] == "-G");
        let split = |pair: &[String]| {
            let (name, value) = pair[1].split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        };
        pairs.map(split).collect()
    }

    fn parse(&self) -> Result<Parsed, Refused> {
        Parsed::parse(self.source.clone(), &self.arguments)
    }
}

/// Compares `text` with the snapshot beside the script.
fn assert_beside(path: &Path, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(path.parent().unwrap());
    settings.set_prepend_module_to_snapshot(false);
    settings.remove_snapshot_suffix();
    settings.set_omit_expression(true);
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    settings.bind(|| insta::assert_snapshot!(name, text));
}

fn show(refused: &Refused) -> String {
    let shown = |diagnostic| render::diagnostic(diagnostic, &refused.source, false);
    let shown: Vec<_> = refused.diagnostics.iter().map(shown).collect();
    shown.join("\n\n")
}

#[test]
fn parse_refused() {
    insta::glob!("scripts/parse_refused/*.hwt", |path| {
        let refused =
            Script::read(path).parse().expect_err("the parser must refuse this");
        assert_beside(path, &show(&refused));
    });
}

#[test]
fn check_refused() {
    insta::glob!("scripts/check_refused/*.hwt", |path| {
        let script = Script::read(path);
        let parsed =
            script.parse().unwrap_or_else(|refused| panic!("{}", show(&refused)));
        let refused =
            parsed.check(&script.overrides()).expect_err("the checker must refuse this");
        assert_beside(path, &show(&refused));
    });
}

fn lower(path: &Path) -> Lowered {
    let script = Script::read(path);
    let parsed = script.parse().unwrap_or_else(|refused| panic!("{}", show(&refused)));
    let checked = parsed
        .check(&script.overrides())
        .unwrap_or_else(|refused| panic!("{}", show(&refused)));
    checked.lower(&hwtrace_runtime::abi::Limits::default()).unwrap()
}

#[test]
fn ir() {
    insta::glob!("scripts/ir/*.hwt", |path| {
        assert_beside(path, &lower(path).module().to_string());
    });
}

#[test]
fn plan() {
    insta::glob!("scripts/plan/*.hwt", |path| {
        assert_beside(path, &lower(path).plans(true));
    });
}

#[test]
fn clif() {
    insta::glob!("scripts/clif/*.hwt", |path| {
        let program = Program::compile(lower(path).module(), true).unwrap();
        let listings = program.listings().iter().map(|listing| listing.clif.trim());
        let listings: Vec<_> = listings.collect();
        assert_beside(path, &listings.join("\n\n"));
    });
}

#[test]
fn run() {
    let codes = RefCell::new(BTreeSet::new());
    insta::glob!("scripts/run/*.hwt", |path| {
        let script = Script::read(path);
        let output = Command::new(env!("CARGO_BIN_EXE_hwtrace"))
            .current_dir(path.parent().unwrap())
            // Without a target a session goes on until it is told to end.
            .args(["-q", "--color", "never", "-T", "0"])
            .args(&script.options)
            .arg(path.file_name().unwrap())
            .args(&script.arguments)
            .output()
            .unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        let faults = Code::ALL.iter().map(|code| code.as_str());
        codes.borrow_mut().extend(faults.filter(|code| errors.contains(code)));
        let printed = String::from_utf8_lossy(&output.stdout);
        let status =
            output.status.code().map_or("killed".into(), |code| code.to_string());
        let mut shown = format!("{printed}--- status {status}");
        if !errors.is_empty() {
            shown.push_str("\n--- standard error\n");
            shown.push_str(errors.trim_end());
        }
        assert_beside(path, &shown);
    });
    if std::env::var_os("INSTA_GLOB_FILTER").is_none() {
        assert_faults(&codes.borrow());
    }
}

/// Every fault of the run time has a script that ends with it.
fn assert_faults(seen: &BTreeSet<&str>) {
    let faults = Code::ALL.iter().map(|code| code.as_str());
    let missing: Vec<_> =
        faults.filter(|code| code.starts_with("E05") && !seen.contains(code)).collect();
    assert!(missing.is_empty(), "no script in scripts/run ends with {missing:?}");
}

fn files(stage: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts").join(stage);
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// A snapshot whose script is gone says nothing, and a file with another
/// ending is never run.
#[test]
fn every_file_of_the_tree_is_looked_at() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    for entry in std::fs::read_dir(root).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(STAGES.iter().any(|stage| name == *stage), "no test reads {name:?}");
    }
    for path in STAGES.into_iter().flat_map(files) {
        let ending = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        match ending.as_str() {
            // What insta leaves behind where a snapshot does not agree.
            "hwt" | "new" => {}
            "snap" => {
                assert!(path.with_extension("hwt").exists(), "{path:?} has no script")
            }
            _ => panic!("{path:?} is neither script nor snapshot"),
        }
    }
}
