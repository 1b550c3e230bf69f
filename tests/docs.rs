//! The documents as tests: what README.md and the pages in `lang/` show is run.
//!
//! Fenced blocks, by their info string:
//!
//! - `hwt`: a script that must check. A first line `# arguments: a b` gives it
//!   script arguments.
//! - `hwt-refused CODE`: a script that must be refused, its first error being
//!   CODE.
//! - `hwt-typed`, `hwt-refused-typed CODE`: the same, checked with the types of
//!   `lang/tests/common/types.rs`.
//! - `c`: what a target is like; not compiled.
//! - `console`: each line that begins with `$ ` (and those after it that begin
//!   with `> `) is run by `sh` in a temporary folder with `examples/` linked in
//!   it, an empty `target/`, and `hwtrace` in the path; standard output and
//!   standard error together must be the lines that follow. A block whose
//!   commands watch something needs hardware breakpoints and is skipped, aloud,
//!   where there are none; with HWTRACE_REQUIRE_LIVE=1 that fails.
//! - `sh`: commands for the reader. Those of cargo must be known here or be
//!   called by `.ci/run`; they are not run, since one of them is this test.
//!
//! Before output is compared, what varies from run to run is replaced (see
//! [`normal`]): numbers in brackets above 99 and after `process` (ids), numbers
//! before ` s` (times), the values of a table's rows (threads race for them),
//! hexadecimal numbers of more than four digits (addresses) and those after
//! `+` or `/` (offsets and sizes of code, which the C compiler decides), and
//! the number of blanks between words. Counts are compared as they are.
//!
//! Text between `<!-- generated: NAME -->` and `<!-- end -->` is made from the
//! program's tables. `HWTRACE_BLESS=1` writes what came out into the documents.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../lang/tests/common/mod.rs"]
mod language;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use hwtrace::pipeline::{Parsed, Refused};
use hwtrace_lang::builtins::{
    Available, BUILTINS, Body, Builtin, OPERATORS, PRINT_FUNCTIONS,
};
use hwtrace_lang::code::Code;
use hwtrace_lang::format::format;
use hwtrace_lang::parse::parse;
use hwtrace_lang::sema;
use hwtrace_lang::span::Source;
use hwtrace_probes::provider;
use hwtrace_runtime::abi::Limits;
use hwtrace_runtime::attr::{EventSpec, Features, Role, Sampled};
use hwtrace_runtime::event::{Trigger, Watch};
use hwtrace_runtime::kernel::{Kernel, linux::Linux};

/// Held while a document is read, run and blessed.
static DOCUMENT_WRITER: Mutex<()> = Mutex::new(());

const DOCUMENTS: [&str; 6] = [
    "README.md",
    "lang/LANGUAGE.md",
    "lang/FUNCTIONS.md",
    "lang/FROM_SYSTEMTAP.md",
    "lang/FROM_BPFTRACE.md",
    "CONTRIBUTING.md",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn is_blessing() -> bool {
    std::env::var_os("HWTRACE_BLESS").is_some()
}

/// A fenced block of a document.
struct Block {
    /// `README.md:12`
    place: String,
    /// Line of the opening fence, from 0.
    line: usize,
    info: String,
    lines: Vec<String>,
}

impl Block {
    fn text(&self) -> String {
        self.lines.iter().fold(String::new(), |text, line| text + line + "\n")
    }
}

fn read(document: &str) -> String {
    fs::read_to_string(root().join(document)).unwrap()
}

fn blocks(document: &str) -> Vec<Block> {
    let text = read(document);
    let mut blocks = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((line, text)) = lines.next() {
        let Some(info) = text.strip_prefix("```") else { continue };
        let inside = lines.by_ref().map(|(_, line)| line.to_owned());
        let inside = inside.take_while(|line| line != "```").collect();
        let place = format!("{document}:{}", line + 1);
        blocks.push(Block { place, line, info: info.to_owned(), lines: inside });
    }
    assert!(!blocks.is_empty(), "{document} has no fenced block");
    blocks
}

/// Compiles a script as far as `--check` does.
fn check(name: &str, text: String, arguments: &[String]) -> Result<(), Refused> {
    let checked = Parsed::parse(Source::new(name, text), arguments)?.check(&[])?;
    let lowered = checked.lower(&Limits::default()).unwrap();
    lowered.compile(false).unwrap();
    Ok(())
}

/// The codes of what is wrong with a script for a target whose types are known.
fn typed(block: &Block) -> Vec<&'static str> {
    let source = Source::new(&block.place, block.text());
    let checked = parse(&source, &[])
        .and_then(|script| sema::check(&script, &mut language::Memory::default()));
    let errors = checked.err().unwrap_or_default();
    errors.iter().map(|error| error.code.as_str()).collect()
}

/// What a block says after `# arguments: `.
fn arguments(text: &str) -> Vec<String> {
    let arguments = text.strip_prefix("# arguments: ").unwrap_or_default();
    let line = arguments.lines().next().unwrap_or_default();
    line.split_whitespace().map(str::to_owned).collect()
}

fn codes(refused: &Refused) -> Vec<&'static str> {
    refused.diagnostics.iter().map(|diagnostic| diagnostic.code.as_str()).collect()
}

#[test]
fn scripts_in_documents_check_or_are_refused_as_they_say() {
    let mut seen = 0;
    for block in DOCUMENTS.iter().flat_map(|document| blocks(document)) {
        let arguments = arguments(&block.text());
        let outcome = || check(&block.place, block.text(), &arguments);
        match block.info.split_once(' ').unwrap_or((&block.info, "")) {
            ("hwt", "") => {
                if let Err(refused) = outcome() {
                    panic!("{} is refused: {:#?}", block.place, refused.diagnostics);
                }
            }
            ("hwt-refused", code) => match outcome() {
                Ok(()) => panic!("{} is accepted, not refused with {code}", block.place),
                Err(refused) => {
                    assert_eq!(codes(&refused).first(), Some(&code), "{}", block.place);
                }
            },
            ("hwt-typed", "") => assert_eq!(typed(&block), [""; 0], "{}", block.place),
            ("hwt-refused-typed", code) => {
                assert_eq!(typed(&block).first(), Some(&code), "{}", block.place);
            }
            _ => continue,
        }
        seen += 1;
    }
    assert!(seen > 0);
}

#[test]
fn every_fence_is_of_a_kind_that_is_tested() {
    for block in DOCUMENTS.iter().flat_map(|document| blocks(document)) {
        let kind = block.info.split(' ').next().unwrap_or_default();
        let known = [
            "hwt",
            "hwt-refused",
            "hwt-typed",
            "hwt-refused-typed",
            "c",
            "console",
            "sh",
            "text",
            "rust",
        ];
        assert!(known.contains(&kind), "{}: ```{}", block.place, block.info);
    }
}

#[test]
fn examples_check_and_are_short() {
    let mut seen = 0;
    for entry in fs::read_dir(root().join("examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "hwt") {
            continue;
        }
        let (name, text) =
            (path.display().to_string(), fs::read_to_string(&path).unwrap());
        assert!(text.starts_with("#!/usr/bin/env hwtrace\n# "), "{name}");
        assert!(text.lines().nth(1).is_some_and(|line| line.ends_with('?')), "{name}");
        let code = text.lines().filter(|line| !line.starts_with('#')).count();
        assert!(code <= 20, "{name} has {code} lines");
        assert_eq!(format(&Source::new(&*name, &*text)).unwrap(), text, "hwtrace fmt");
        // The arguments that its head gives it, in the line of the command.
        let command = text.lines().find(|line| line.starts_with("# $ ")).unwrap();
        let (_, arguments) = command.split_once(".hwt").unwrap();
        let arguments: Vec<_> = arguments.split_whitespace().map(str::to_owned).collect();
        if let Err(refused) = check(&name, text, &arguments) {
            panic!("{name} is refused: {:#?}", refused.diagnostics);
        }
        seen += 1;
    }
    assert!(seen >= 5);
}

/// Whether this machine has breakpoints; says so aloud where it has none.
fn is_live() -> bool {
    let watch = Watch { address: 0x1000, length: 4, trigger: Trigger::Write };
    let role = Role::Breakpoint { watch, sampled: Sampled::ALL };
    match Linux.perf_event_open(&EventSpec { role, features: Features::NONE }, 0, 0) {
        Ok(event) => {
            Linux.close(event);
            true
        }
        Err(errno) => {
            eprintln!("SKIPPED: no hardware breakpoints here: {errno}");
            let required = std::env::var_os("HWTRACE_REQUIRE_LIVE");
            assert!(required.is_none_or(|value| value != "1"), "live tests required");
            false
        }
    }
}

/// A folder in which the commands of documents run.
struct Place {
    folder: tempfile::TempDir,
    path: String,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("target")).unwrap();
        std::os::unix::fs::symlink(
            root().join("examples"),
            folder.path().join("examples"),
        )
        .unwrap();
        let program = PathBuf::from(env!("CARGO_BIN_EXE_hwtrace"));
        let usual = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{usual}", program.parent().unwrap().display());
        Self { folder, path }
    }

    /// What a command writes, to standard output and standard error.
    fn run(&self, command: &str) -> String {
        let script = format!("exec 2>&1\n{command}");
        let output = Command::new("sh")
            .args(["-c", &script])
            .current_dir(self.folder.path())
            .env("PATH", &self.path)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        // The folder's name is in messages that name a file.
        let text = String::from_utf8(output.stdout).unwrap();
        let folder = self.folder.path().canonicalize().unwrap();
        text.replace(&format!("{}/", folder.display()), "/tmp/")
    }

    /// What a command writes that is to write this, and whether it did. One that arms
    /// something is run again where it did not: its target does not wait for a hwtrace that
    /// is kept from running.
    fn run_as_shown(&self, command: &str, shown: &[impl AsRef<str>]) -> (String, bool) {
        let shown: Vec<_> = shown.iter().map(|line| normal(line.as_ref())).collect();
        let mut tries = if is_session(command) { 3 } else { 1 };
        loop {
            let written = self.run(command);
            let same = written.lines().map(normal).eq(shown.iter().cloned());
            tries -= 1;
            if same || tries == 0 {
                return (written, same);
            }
            eprintln!("AGAIN: {command}\n{written}");
        }
    }
}

/// A command of a `console` block and what it is said to write.
struct Step {
    shown: Vec<String>,
    command: String,
    output: Vec<String>,
}

fn steps(block: &Block) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in &block.lines {
        if let Some(command) = line.strip_prefix("$ ") {
            let (shown, command) = (vec![line.clone()], command.to_owned());
            steps.push(Step { shown, command, output: Vec::new() });
            continue;
        }
        let step = steps.last_mut().expect("a console block begins with `$ `");
        match line.strip_prefix("> ") {
            Some(more) if step.output.is_empty() => {
                step.shown.push(line.clone());
                write!(step.command, "\n{more}").unwrap();
            }
            _ => step.output.push(line.clone()),
        }
    }
    steps
}

/// Whether a command arms anything.
fn is_session(command: &str) -> bool {
    let has = |part: &str| command.contains(part);
    has("hwtrace") && [" -c", " -p", " watch ", " demo"].into_iter().any(has)
}

// Columns of a table's row.
const HITS: usize = 0;
const ACCESS: usize = 2;

/// A line without what varies from run to run; see the head of this file.
fn normal(line: &str) -> String {
    let words: Vec<_> = line.split_whitespace().collect();
    // Some tables have columns of lines and of members, too.
    let is_row = (6..=8).contains(&words.len())
        && ["read", "write", "update", "unknown"].contains(&words[ACCESS])
        && words[HITS].starts_with(|first: char| first.is_ascii_digit());
    let mut normal: Vec<String> = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let is_number = word.starts_with(|first: char| first.is_ascii_digit());
        let after = words.get(at + 1).map_or("", |next| next.trim_end_matches(','));
        let before = if at > 0 { words[at - 1] } else { "" };
        normal.push(match () {
            () if is_number && (after == "s" || before == "process") => "#".to_owned(),
            // That depends on who may do what.
            () if before == "engine" => "#,".to_owned(),
            () if is_row && at + 2 == words.len() => "#".to_owned(),
            () => without_hex(&without_ids(word)),
        });
    }
    normal.join(" ")
}

/// `valve[27077]` to `valve[#]`
fn without_ids(word: &str) -> String {
    let Some((name, rest)) = word.split_once('[') else { return word.to_owned() };
    match rest.split_once(']') {
        Some((id, tail)) if id.parse::<u32>().is_ok_and(|id| id > 99) => {
            format!("{name}[#]{tail}")
        }
        _ => word.to_owned(),
    }
}

/// `0x55e0d6d1023` to `0x#`, `f+0x1f/0x20` to `f+0x#/0x#`
fn without_hex(word: &str) -> String {
    let mut normal = String::new();
    let mut rest = word;
    while let Some((before, after)) = rest.split_once("0x") {
        let digits = after.chars().take_while(char::is_ascii_hexdigit).count();
        let place = before.ends_with(['+', '/']);
        normal.push_str(before);
        normal.push_str("0x");
        normal.push_str(if digits > 4 || place { "#" } else { &after[..digits] });
        rest = &after[digits..];
    }
    normal + rest
}

#[test]
fn what_varies_is_left_out_of_the_comparison() {
    assert_eq!(
        normal("x: 8 bytes at 0x5561d76a8020, 3 hits"),
        "x: 8 bytes at 0x#, 3 hits"
    );
    assert_eq!(normal("1,000  82.6  read  f+0x5  1..26  2"), "1,000 82.6 read f+0x# # 2");
    assert_eq!(
        normal("9  1.0  write  f+0x5  f.c:7  1..26  2"),
        "9 1.0 write f+0x# f.c:7 # 2"
    );
    assert_eq!(
        normal("valve[27077] 0 -> 1 at f+0x0/0x7"),
        "valve[#] 0 -> 1 at f+0x#/0x#"
    );
    assert_eq!(normal("3 hits, 0.03 s, armed"), "3 hits, # s, armed");
    assert_eq!(normal("n[3]=0x1f"), "n[3]=0x1f");
    assert_eq!(normal("process 123 goes on"), "process # goes on");
}

#[test]
fn commands_in_documents_write_what_is_shown() {
    let _lock = DOCUMENT_WRITER.lock().unwrap_or_else(PoisonError::into_inner);
    let mut live = None;
    for document in DOCUMENTS {
        let text = read(document);
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        // From the end, so that a blessed block does not move those before it.
        let mut consoles = blocks(document);
        consoles.retain(|block| block.info == "console");
        let ran: Vec<_> = consoles
            .iter()
            .filter(|block| {
                let session = steps(block).iter().any(|step| is_session(&step.command));
                !session || *live.get_or_insert_with(is_live)
            })
            .collect();
        // One folder a document: a later block uses what an earlier one built.
        let place = Place::new();
        let mut written = Vec::new();
        for block in ran {
            written.push((block, run_block(&place, block)));
        }
        for (block, output) in written.into_iter().rev() {
            let inside = block.line + 1..block.line + 1 + block.lines.len();
            lines.splice(inside, output);
        }
        let blessed = lines.join("\n") + "\n";
        if is_blessing() && blessed != text {
            fs::write(root().join(document), blessed).unwrap();
        }
    }
}

/// Runs a block and gives it with the output that there was.
fn run_block(place: &Place, block: &Block) -> Vec<String> {
    let mut lines = Vec::new();
    for step in steps(block) {
        let (output, same) = place.run_as_shown(&step.command, &step.output);
        lines.extend(step.shown);
        if same {
            lines.extend(step.output);
            continue;
        }
        assert!(
            is_blessing(),
            "{}: {}\nshown:\n{}\nwritten:\n{}",
            block.place,
            step.command,
            step.output.join("\n"),
            output
        );
        lines.extend(output.lines().map(str::to_owned));
    }
    lines
}

#[test]
fn cargo_commands_are_those_that_ci_calls_or_that_need_no_test() {
    // Of the demo more is said below; the others only build or are for people.
    const KNOWN: [&str; 9] = [
        "cargo run --release -- demo",
        "cargo build --release",
        "cargo install --path .",
        "cargo bench",
        "cargo test -p hwtrace-lang --test scripts",
        // What CI runs a part of, for hours.
        "cargo test --release --test differential",
        "cargo test --release -p hwtrace-runtime --test bpf_programs",
        "cargo test --release -p hwtrace-lang --test soup",
        "cargo test --release -p hwtrace-lang --test large",
    ];
    let ci = read(".ci/run");
    let ci: BTreeSet<_> = ci.lines().map(str::trim).collect();
    for block in DOCUMENTS.iter().flat_map(|document| blocks(document)) {
        if block.info != "sh" {
            continue;
        }
        for line in &block.lines {
            let command = line.split('#').next().unwrap_or_default().trim();
            let words = command.split(' ').skip_while(|word| word.contains('='));
            let command = words.collect::<Vec<_>>().join(" ");
            if command.starts_with("cargo ") {
                let known = KNOWN.contains(&&*command) || ci.contains(&*command);
                assert!(known, "{}: `{command}` is not in .ci/run", block.place);
            }
        }
    }
    let readme = read("README.md");
    for command in ["cargo run --release -- demo", "cargo test --workspace"] {
        assert!(readme.contains(command), "README.md lacks `{command}`");
    }
    assert!(ci.contains("cargo test --workspace"));
}

#[test]
fn the_demo_shows_what_the_readme_says() {
    if !is_live() {
        return;
    }
    let shown = blocks("README.md");
    let shown = shown.iter().find(|block| block.text().contains("BALANCE")).unwrap();
    let written = Place::new().run("hwtrace demo");
    // Which function makes an access depends on what was inlined, so on the
    // profile; the total and the form do not.
    for text in [&shown.text(), &written] {
        let lines: Vec<_> = text.lines().collect();
        // Its type is known where debug information is.
        assert!(lines[0].starts_with("hwtrace::demo::BALANCE: "), "{text}");
        assert!(lines[0].contains("8 bytes at 0x"), "{text}");
        assert!(lines[0].ends_with(", 8,020 hits"), "{text}");
        assert_eq!(normal(lines[1]), "hits % access where line values threads", "{text}");
        let last = lines.last().unwrap();
        assert!(last.starts_with("hwtrace: 8,020 hits, 0 lost, engine "), "{text}");
        assert!(last.contains(", slots 1/4"), "{text}");
    }
}

/// What stands between `<!-- generated: NAME -->` and `<!-- end -->`.
fn generated(name: &str) -> String {
    let mut text = String::new();
    match name {
        "builtins" => builtins(&mut text),
        "probe points" => probe_points(&mut text, true),
        "probe points later" => probe_points(&mut text, false),
        "codes" => {
            text += "| code | meaning |\n| --- | --- |\n";
            for code in Code::ALL {
                writeln!(text, "| {code} | {} |", code.title()).unwrap();
            }
        }
        other => panic!("nothing makes `{other}`"),
    }
    text
}

fn builtins(text: &mut String) {
    *text += "| function | what |\n| --- | --- |\n";
    let mut topic = None;
    for row in BUILTINS {
        if topic.replace(row.topic) != Some(row.topic) {
            writeln!(text, "| **{}** | |", row.topic.title()).unwrap();
        }
        let here = match row.available {
            Available::DataProbes => " †",
            Available::Everywhere => "",
            Available::NotYet(_) => " (not yet)",
        };
        writeln!(text, "| `{}`{here} | {} |", row.signature(), row.doc).unwrap();
        if let Body::Field(field) = row.body {
            assert!(hwtrace_runtime::schema::field(field).is_some(), "{field}");
        }
    }
}

fn probe_points(text: &mut String, now: bool) {
    *text += "| probe point | fires |";
    *text += if now { "\n| --- | --- |\n" } else { " for now |\n| --- | --- | --- |\n" };
    for row in provider::providers() {
        let (syntax, doc) = (row.syntax.replace('|', "\\|"), row.doc);
        match row.instead() {
            None if now => writeln!(text, "| `{syntax}` | {doc} |").unwrap(),
            Some(instead) if !now => {
                writeln!(text, "| `{syntax}` | {doc} | {instead} |").unwrap();
            }
            _ => {}
        }
    }
}

#[test]
fn tables_in_documents_are_those_of_the_program() {
    let _lock = DOCUMENT_WRITER.lock().unwrap_or_else(PoisonError::into_inner);
    let mut seen = 0;
    for document in DOCUMENTS {
        let text = read(document);
        let mut made = String::new();
        let mut rest = &*text;
        while let Some((before, after)) = rest.split_once("\n<!-- generated: ") {
            let (name, after) = after.split_once(" -->\n").unwrap();
            let (_, after) = after.split_once("<!-- end -->").unwrap();
            let table = generated(name);
            write!(made, "{before}\n<!-- generated: {name} -->\n{table}<!-- end -->")
                .unwrap();
            rest = after;
            seen += 1;
        }
        made += rest;
        if made == text {
            continue;
        }
        assert!(is_blessing(), "the tables of {document} are out of date: bless them");
        fs::write(root().join(document), made).unwrap();
    }
    assert!(seen >= 4);
}

#[test]
fn examples_of_builtins_check() {
    let allowed = |row: &Builtin| match row.needs_unsafe {
        true => vec![Code::NeedsUnsafe],
        false => Vec::new(),
    };
    let rows =
        BUILTINS.iter().map(|row| (row.name, row.available, row.example, allowed(row)));
    let forms = PRINT_FUNCTIONS
        .iter()
        .chain(OPERATORS)
        .map(|form| (form.name, form.available, form.example, Vec::new()));
    for (name, available, example, mut refusals) in rows.chain(forms) {
        let text = format!(
            "global hits, how, last, n, s, stacks\n\
             probe process.data(\"counter\").write {{ s <<< $new {example} }}\n\
             probe process.watch(\"field\").write {{ }}\n\
             probe end {{ if (@count(s)) printd(\" \", n, hits[0], how[\"\"], last)
             foreach (k in stacks) print(k, stacks[k]) }}",
        );
        if let Available::NotYet(_) = available {
            refusals = vec![Code::Unsupported];
        }
        // There is no target here that could have types.
        if ["@cast", "@var", "@enum"].contains(&name) {
            refusals = vec![Code::UnknownType];
        }
        let refused = check(name, text, &[]).err();
        let found = refused.iter().flat_map(|refused| &refused.diagnostics);
        let mut found: Vec<_> = found.map(|diagnostic| diagnostic.code).collect();
        found.dedup();
        assert_eq!(found, refusals, "{name}: {example}");
    }
}

#[test]
fn every_script_of_examples_runs_as_its_head_says() {
    if !is_live() {
        return;
    }
    let place = Place::new();
    for target in ["bank", "valve", "family", "ticker", "cache"] {
        let built = place.run(&format!(
            "cc -g -O1 -pthread -o target/{target} examples/targets/{target}.c"
        ));
        assert_eq!(built, "");
    }
    for entry in fs::read_dir(root().join("examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "hwt") {
            continue;
        }
        run_head(&place, &path);
    }
}

/// The head of an example is `# $ COMMAND` and its output, each line behind
/// `#   `.
fn run_head(place: &Place, path: &Path) {
    let text = fs::read_to_string(path).unwrap();
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    let command = lines.iter().position(|line| line.starts_with("# $ ")).unwrap();
    let shown = lines[command + 1..].iter().take_while(|line| line.starts_with('#'));
    let shown: Vec<_> = shown.map(|line| line.trim_start_matches(['#', ' '])).collect();
    let (written, same) = place.run_as_shown(&lines[command][4..], &shown);
    if same {
        return;
    }
    assert!(is_blessing(), "{}\n{}\n---\n{written}", path.display(), shown.join("\n"));
    let mut blessed = lines[..=command].to_vec();
    blessed
        .extend(written.lines().map(|line| format!("#   {line}").trim_end().to_owned()));
    blessed.extend(lines[command + 1 + shown.len()..].to_vec());
    fs::write(path, blessed.join("\n") + "\n").unwrap();
}

#[test]
fn files_that_documents_name_are_there() {
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"] {
        for word in read(document).split(['`', '(', ')', ' ', '\n']) {
            let is_path = word.contains('/')
                && [
                    "lang/",
                    "compiler/",
                    "runtime/",
                    "probes/",
                    "src/",
                    "tests/",
                    "examples/",
                ]
                .iter()
                .any(|folder| word.starts_with(folder));
            // As places of code have them.
            let word = word.split(':').next().unwrap_or(word);
            if is_path && !word.contains(['*', '$']) {
                assert!(root().join(word).exists(), "{document} names {word}");
            }
        }
    }
}
