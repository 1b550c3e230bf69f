//! Every code of a diagnostic is given by some script of the trees, or by the
//! test that the table here names.
//!
//! What the trees expect is compared by the tests that run them
//! (`tests/scripts.rs`, `lang/tests/scripts.rs`), so a code that is expected
//! there is produced.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;

use hwtrace_lang::code::Code;

/// Codes that no script alone can bring about, each with the file and the test
/// that does.
const ELSEWHERE: [(Code, &str, &str); 17] = [
    (Code::NotAvailableYet, "tests/points.rs", "how_the_refusal_looks"),
    (Code::ScriptTooLong, "lang/tests/large.rs", "ten_megabytes"),
    (Code::UnknownSymbol, "tests/live_errors.rs", "a_variable_that_is_not_there"),
    (Code::AmbiguousSymbol, "tests/live_programs.rs", "a_variable_that_two_files_have"),
    (Code::StrippedBinary, "tests/live_errors.rs", "a_stripped_program"),
    (Code::BadExecutable, "src/arming.rs", "failures_have_their_codes"),
    (Code::NoTarget, "tests/live_errors.rs", "a_script_without_a_target"),
    (Code::NoSuchProcess, "tests/live_errors.rs", "a_process_that_is_not_there"),
    (Code::NotExecutable, "tests/live_errors.rs", "commands_that_cannot_be_executed"),
    (Code::PermissionDenied, "tests/live_errors.rs", "another_users_process"),
    (
        Code::NoFreeRegister,
        "tests/live_registers.rs",
        "who_holds_the_registers_is_named_and_gives_them_back",
    ),
    (Code::UnsupportedTarget, "tests/live_errors.rs", "a_32_bit_program"),
    (Code::TargetExited, "src/arming.rs", "failures_have_their_codes"),
    (Code::LimitReached, "src/arming.rs", "failures_have_their_codes"),
    (Code::UnsupportedMachine, "src/arming.rs", "failures_have_their_codes"),
    (
        Code::TooManyWatches,
        "tests/live_registers.rs",
        "a_fifth_variable_is_refused_and_the_command_not_begun",
    ),
    (Code::ArmingFailed, "src/arming.rs", "failures_have_their_codes"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All that the scripts below a folder are expected to say.
fn expected(folder: &Path, found: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let ending = path.extension().unwrap_or_default();
        if path.is_dir() {
            expected(&path, found);
        } else if ending == "snap" || ending == "expected" {
            found.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

/// Codes as they stand in what is expected: `E0001 1:2-3 …` and
/// `error[E0001]: …`.
fn codes_in(text: &str) -> BTreeSet<&str> {
    let code = |line: &'_ str| -> Option<usize> {
        let start = line.find('[').filter(|_| line.starts_with(['e', 'w']));
        let start = start.map_or(0, |bracket| bracket + 1);
        line.get(start..start + 5).is_some().then_some(start)
    };
    let lines = text.lines().filter_map(|line| {
        let start = code(line)?;
        Some(&line[start..start + 5])
    });
    lines.filter(|found| Code::named(found).is_some()).collect()
}

#[test]
fn every_code_is_produced() {
    let mut text = String::new();
    for tree in ["tests/scripts", "lang/tests/scripts"] {
        expected(&root().join(tree), &mut text);
    }
    let found = codes_in(&text);
    for code in Code::ALL {
        let by_script = found.contains(code.as_str());
        let elsewhere = ELSEWHERE.iter().any(|(other, ..)| other == code);
        assert!(by_script || elsewhere, "nothing produces {code}, {code:?}");
        assert!(!(by_script && elsewhere), "{code} has a script: take it off the table");
    }
}

#[test]
fn the_tests_of_the_table_are_there() {
    for (code, file, test) in ELSEWHERE {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        let head = format!("fn {test}(");
        let body =
            text.split_once(&head).unwrap_or_else(|| panic!("{file}: no {test}")).1;
        let body = body.split("#[test]").next().unwrap();
        let named =
            body.contains(code.as_str()) || body.contains(&format!("Code::{code:?}"));
        assert!(named, "{file}: {test} says nothing of {code}");
    }
}
