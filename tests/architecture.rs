//! The rules of the house that no compiler checks: who may depend on whom,
//! who may be unsafe, how long files and functions may be.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const CRATES: [&str; 4] = ["lang", "compiler", "runtime", "probes"];

/// Lines of a file without its tests, and of a function.
const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 70;

/// Which crates of ours each crate may name in its dependencies.
const MAY_DEPEND_ON: [(&str, &[&str]); 4] = [
    ("lang", &[]),
    ("runtime", &[]),
    ("probes", &[]),
    ("compiler", &["lang", "runtime"]),
];

/// What the compiler knows of the runtime: the contract, and where it is made.
const COMPILER_KNOWS: [(&str, &str); 7] = [
    ("abi", "the contract between handlers and runtime"),
    ("schema", "the fields of a record"),
    ("plan", "what is done at a hit itself"),
    (
        "world::Layout, map::Shape, map::Kind",
        "what a script needs to be there: written into a module",
    ),
    (
        "aggregate, map::Extractor",
        "what statistics keep and can be asked: one meaning for module, evaluator and helpers",
    ),
    ("world::stacks", "how stacks are walked and named: asked of the evaluator's host"),
    ("world::World", "what `jit::Program::run` runs a handler on"),
];

/// What only the facade may depend on: the terminal is its business.
const FACADE_ONLY: [&str; 8] = [
    "clap",
    "clap_complete",
    "anstream",
    "anstyle",
    "annotate-snippets",
    "anyhow",
    "shlex",
    "terminal_size",
];

/// Files that may be unsafe, each with the reason.
const UNSAFE: [(&str, &str); 11] = [
    ("compiler/src/jit.rs", "turns addresses of code into functions and calls them"),
    ("runtime/src/call.rs", "enters machine code"),
    ("runtime/src/helpers.rs", "is called from machine code"),
    ("runtime/src/kernel/linux.rs", "system calls"),
    ("runtime/src/kernel/linux/bpf.rs", "system calls"),
    ("runtime/src/kernel/linux/ptrace.rs", "system calls, and a fork"),
    ("runtime/src/kernel/linux/rights.rs", "system calls"),
    ("runtime/src/ring.rs", "memory shared with the kernel"),
    ("runtime/src/bpf/shared.rs", "memory shared with BPF programs"),
    ("runtime/src/abi/format/tests.rs", "call the C library's printf"),
    ("probes/src/symbols/file.rs", "maps files"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of ours with its text; the path from the root.
struct File {
    path: String,
    text: String,
}

fn visit(folder: &Path, ending: &str, found: &mut Vec<File>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            visit(&path, ending, found);
        } else if path.extension().is_some_and(|found| found == ending) {
            let shown = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            found.push(File {
                path: shown,
                text: std::fs::read_to_string(&path).unwrap(),
            });
        }
    }
}

/// Rust files below these folders.
fn rust(folders: &[&str]) -> Vec<File> {
    let mut found = Vec::new();
    for folder in folders {
        visit(&root().join(folder), "rs", &mut found);
    }
    assert!(!found.is_empty());
    found
}

const SOURCES: [&str; 5] =
    ["src", "lang/src", "compiler/src", "runtime/src", "probes/src"];
const TESTS: [&str; 6] =
    ["tests", "benches", "lang/tests", "compiler/tests", "runtime/tests", "probes/tests"];

impl File {
    /// The text without comments, strings and what follows `#[cfg(test)]`,
    /// line by line, each line kept.
    fn code(&self) -> String {
        blank(&self.text)
    }

    fn code_without_tests(&self) -> String {
        let code = self.code();
        code.split("#[cfg(test)]\nmod ").next().unwrap().to_owned()
    }
}

/// Blanks out comments, strings and character literals.
fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let chars: Vec<char> = text.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        let length = skipped(&chars[at..]);
        if length == 0 {
            out.push(chars[at]);
            at += 1;
            continue;
        }
        for char in &chars[at..(at + length).min(chars.len())] {
            out.push(if *char == '\n' { '\n' } else { ' ' });
        }
        at += length;
    }
    out
}

/// How many characters at the start are no code.
fn skipped(rest: &[char]) -> usize {
    let until = |from: usize, end: &str| {
        let end: Vec<char> = end.chars().collect();
        let found = rest[from..].windows(end.len()).position(|window| window == end);
        found.map_or(rest.len(), |found| from + found + end.len())
    };
    match rest {
        ['/', '/', ..] => until(2, "\n") - 1,
        ['/', '*', ..] => until(2, "*/"),
        ['r', '"', ..] => until(2, "\""),
        ['r', '#', '"', ..] => until(3, "\"#"),
        ['r', '#', '#', '"', ..] => until(4, "\"##"),
        ['"', ..] => quoted(rest),
        ['\'', '\\', _, ..] => until(3, "'"),
        ['\'', _, '\'', ..] => 3,
        _ => 0,
    }
}

fn quoted(rest: &[char]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != '"' {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// The names in a table of a Cargo.toml.
fn dependencies(manifest: &str, table: &str) -> Vec<String> {
    let head = format!("[{table}]");
    let lines = manifest.lines().skip_while(|line| line.trim() != head).skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| {
        let name = line.split(['.', '=', ' ']).next().unwrap();
        (!name.is_empty() && !name.starts_with('#')).then(|| name.to_owned())
    });
    names.collect()
}

fn manifest(name: &str) -> String {
    std::fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap()
}

#[test]
fn crates_depend_in_one_direction() {
    for (name, allowed) in MAY_DEPEND_ON {
        let named = dependencies(&manifest(name), "dependencies");
        assert!(!named.is_empty(), "{name}");
        for dependency in named.iter().filter_map(|named| named.strip_prefix("hwtrace-"))
        {
            assert!(
                allowed.contains(&dependency),
                "{name} must not depend on {dependency}"
            );
        }
        for other in
            CRATES.iter().filter(|other| **other != name && !allowed.contains(other))
        {
            let named = format!("hwtrace_{other}");
            for file in rust(&[&format!("{name}/src")]) {
                assert!(!file.code().contains(&named), "{} names {named}", file.path);
            }
        }
    }
}

#[test]
fn only_the_facade_knows_the_terminal() {
    let facade = dependencies(&manifest("."), "dependencies");
    for name in FACADE_ONLY {
        assert!(facade.iter().any(|found| found == name), "{name}: not needed any more?");
        for member in CRATES {
            let manifest = manifest(member);
            let mut named = dependencies(&manifest, "dependencies");
            named.extend(dependencies(&manifest, "dev-dependencies"));
            assert!(
                !named.iter().any(|found| found == name),
                "{member} depends on {name}"
            );
        }
    }
    for file in rust(&["lang/src", "compiler/src", "runtime/src", "probes/src"]) {
        let code = file.code_without_tests();
        for printing in ["println!(", "eprintln!(", "print!("] {
            assert!(!code.contains(printing), "{} uses {printing}", file.path);
        }
    }
}

#[test]
fn the_compiler_knows_the_contract_of_the_runtime_only() {
    let allowed: Vec<_> =
        COMPILER_KNOWS.iter().flat_map(|(what, _)| what.split(", ")).collect();
    for file in rust(&["compiler/src"]) {
        let code = file.code_without_tests();
        for found in code.split("hwtrace_runtime::").skip(1) {
            for named in imported(found) {
                let known = |allowed: &&str| {
                    named == **allowed || named.starts_with(&format!("{allowed}::"))
                };
                assert!(allowed.iter().any(known), "{} uses {named}", file.path);
            }
        }
    }
}

/// The paths that `a::{B, C}` or `a::B` at the start of `text` stands for, two
/// components deep.
fn imported(text: &str) -> Vec<String> {
    let statement = text.split(';').next().unwrap();
    let group = |prefix: &str, inside: &str| -> Vec<String> {
        let inside = inside.split('}').next().unwrap();
        let names = inside.split(',').map(str::trim).filter(|name| !name.is_empty());
        names.map(|name| format!("{prefix}{name}")).collect()
    };
    let path: String = statement
        .chars()
        .take_while(|char| char.is_alphanumeric() || "_:".contains(*char))
        .collect();
    match statement[path.len()..].strip_prefix('{') {
        Some(inside) => group(&path, inside),
        None => vec![path],
    }
}

#[test]
fn pest_stays_in_the_parser() {
    for file in rust(&SOURCES) {
        let inside = file.path.starts_with("lang/src/parse");
        let code = file.code();
        let named = code.contains("pest::") || code.contains("pest_derive");
        assert!(inside || !named, "{} names pest", file.path);
    }
    for member in ["compiler", "runtime", "probes", "."] {
        let named = dependencies(&manifest(member), "dependencies");
        assert!(!named.iter().any(|name| name.starts_with("pest")), "{member}");
    }
}

#[test]
fn unsafe_code_is_where_it_is_said_to_be() {
    let allowed: BTreeSet<_> = UNSAFE.iter().map(|(path, _)| *path).collect();
    for file in rust(&SOURCES) {
        let code = file.code();
        let marked = code.contains("allow(unsafe_code)");
        let used = [" unsafe {", "(unsafe {", "unsafe fn", "unsafe impl"];
        let used = used.iter().any(|used| code.contains(used));
        if marked || used {
            assert!(allowed.contains(&*file.path), "{} is unsafe", file.path);
        }
    }
    for (path, reason) in UNSAFE {
        let Ok(text) = std::fs::read_to_string(root().join(path)) else {
            panic!("{path} is gone: take it off the list");
        };
        assert!(blank(&text).contains("unsafe"), "{path} is safe: take it off the list");
        assert!(!reason.is_empty());
    }
}

#[test]
fn files_are_short() {
    for file in rust(&SOURCES) {
        let lines = file.code_without_tests().lines().count();
        assert!(lines <= FILE_LINES_MAX, "{} has {lines} lines", file.path);
    }
    for file in rust(&TESTS) {
        let lines = file.text.lines().count();
        assert!(lines <= FILE_LINES_MAX, "{} has {lines} lines", file.path);
    }
}

/// The functions of a file with their lengths in lines.
fn functions(code: &str) -> Vec<(String, usize)> {
    let lines: Vec<_> = code.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let (mut depth, mut opened) = (0i32, false);
        for (length, line) in lines[at..].iter().enumerate() {
            let closing = |char| line.matches(char).count() as i32;
            opened |= line.contains('{');
            depth += closing('{') - closing('}');
            let declared_only = !opened && line.trim_end().ends_with(';');
            if opened && depth <= 0 || declared_only {
                found.push((name.to_owned(), length + 1));
                break;
            }
        }
    }
    found
}

fn function_name(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("fn ")?;
    let modifiers =
        ["pub", "pub(crate)", "pub(super)", "const", "unsafe", "async", "extern"];
    let all = before.split_whitespace().all(|word| {
        modifiers.contains(&word) || word.starts_with("pub(in") || word.ends_with(')')
    });
    all.then(|| after.split(['(', '<']).next().unwrap())
}

#[test]
fn functions_are_short() {
    let mut seen = 0;
    for file in rust(&SOURCES).iter().chain(&rust(&TESTS)) {
        for (name, length) in functions(&file.code()) {
            seen += 1;
            assert!(
                length <= FUNCTION_LINES_MAX,
                "{}: `{name}` has {length} lines",
                file.path
            );
        }
    }
    assert!(seen > 500, "only {seen} functions found: the counting is broken");
}

#[test]
fn nothing_is_left_over_from_debugging() {
    let markers = ["todo!", "unimplemented!", "dbg!", "#[ignore]"];
    for file in rust(&SOURCES).iter().chain(&rust(&TESTS)) {
        let code = file.code();
        for marker in markers {
            assert!(!code.contains(marker), "{} has {marker}", file.path);
        }
    }
}

/// The optimiser removes what is only stored to: tests are not optimised and would not tell.
#[test]
fn data_of_ours_that_is_found_by_name_is_kept() {
    let mut found = 0;
    for file in rust(&["src"]) {
        let named = file.text.split("concat!(module_path!(), \"::").skip(1);
        for name in named.filter_map(|rest| rest.split('"').next()) {
            let kept = format!("#[used]\nstatic {name}: ");
            assert!(file.text.contains(&kept), "{}: `{name}` lacks #[used]", file.path);
            found += 1;
        }
    }
    assert!(found > 0, "data of ours is found by name in another way");
}

#[test]
fn every_file_begins_with_what_it_is() {
    for file in rust(&SOURCES).iter().chain(&rust(&TESTS)) {
        // The tests of a module are described by the module.
        if file.path.contains("/src/") && file.path.ends_with("/tests.rs") {
            continue;
        }
        assert!(
            file.text.starts_with("//!"),
            "{} has no module documentation",
            file.path
        );
    }
}

/// A file that no module names is never compiled, and a test in it never runs.
#[test]
fn no_file_is_forgotten() {
    let files: Vec<_> = rust(&SOURCES).into_iter().chain(rust(&TESTS)).collect();
    let codes: Vec<_> = files.iter().map(File::code).collect();
    let folders = |path: &str| path.rsplit_once('/').unwrap().0.to_owned();
    for file in &files {
        let (folder, name) = file.path.rsplit_once('/').unwrap();
        let top = ["src", "tests", "benches"].iter().any(|top| {
            folder == *top
                || folder.strip_suffix(top).is_some_and(|rest| rest.ends_with('/'))
        });
        let is_root = matches!(name, "lib.rs" | "main.rs")
            || top && (folder.ends_with("tests") || folder.ends_with("benches"));
        // Programs that are watched: their tests compile them, one by one.
        let is_target = folder.ends_with("/targets");
        if is_root || is_target {
            continue;
        }
        let stem = match name {
            "mod.rs" => folder.rsplit_once('/').unwrap().1,
            name => name.strip_suffix(".rs").unwrap(),
        };
        let named = files.iter().zip(&codes).any(|(other, code)| {
            let declares = code.contains(&format!("mod {stem};"));
            let by_path = other.text.contains(&format!("/{name}\"]"));
            let near = folder.starts_with(&folders(&other.path));
            other.path != file.path && near && (declares || by_path)
        });
        assert!(named, "no module declares {}", file.path);
    }
}

/// The checks read Rust by its looks; this is what they rely on.
#[test]
fn the_reading_of_rust_is_right() {
    let code = blank("let a = \"fn {\"; // fn {\nlet b = '{'; /* } */ let c = 'a';");
    assert_eq!(code.matches('{').count() + code.matches('}').count(), 0, "{code}");
    assert!(code.contains("let b = ") && code.contains("let c = "), "{code}");
    assert_eq!(blank("r#\"unsafe \" {\"# x").trim(), "x");
    let code = "impl A {\n    pub(crate) fn one<T>(a: T)\n    where T: B {\n        if a { b }\n    }\n}\nfn two();\n";
    assert_eq!(functions(code), [("one".to_owned(), 4), ("two".to_owned(), 1)]);
    assert_eq!(imported("abi::{A, B};"), ["abi::A", "abi::B"]);
    assert_eq!(imported("map::Shape;"), ["map::Shape"]);
    assert_eq!(imported("{abi, world};"), ["abi", "world"]);
    let manifest =
        "[dependencies]\npest.workspace = true\nlibc = \"1\"\n[lints]\nx = 1\n";
    assert_eq!(dependencies(manifest, "dependencies"), ["pest", "libc"]);
}
