//! `hwtrace list -p`: what it says of programs in C, C++ and Rust agrees with their
//! symbols, with the processes that run them, and with what `watch` takes.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{Scratch, Target, c_with, rust};
use hwtrace_probes::expr::Expression;
use hwtrace_probes::{Dwarf, Files, Image, Loader, type_of};
use serde_json::Value;

fn hwtrace(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hwtrace"));
    command.arg("list").args(arguments).stdin(Stdio::null());
    command
}

/// Exit status, standard output, standard error.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = hwtrace(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// The objects that are listed.
#[track_caller]
fn objects(arguments: &[&str]) -> Vec<Value> {
    let (status, out, messages) = run(&[arguments, &["--format", "json"]].concat());
    assert_eq!(status, 0, "{messages}");
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Name, type and size of each.
#[track_caller]
fn listed(arguments: &[&str]) -> Vec<(String, String, Option<u64>)> {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let row = |it: &Value| (text(&it["name"]), text(&it["type"]), it["size"].as_u64());
    objects(arguments).iter().map(row).collect()
}

#[track_caller]
fn assert_listed(arguments: &[&str], expected: &[(&str, &str, u64)]) {
    let found = listed(arguments);
    let found: Vec<_> = found
        .iter()
        .map(|(name, ty, size)| (&**name, &**ty, size.unwrap_or(0)))
        .collect();
    assert_eq!(found, expected, "{arguments:?}");
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/targets").join(name)
}

/// The number of the line of a target's source that has this text.
fn line_of(name: &str, text: &str) -> u64 {
    let source = std::fs::read_to_string(source(name)).unwrap();
    1 + source.lines().position(|line| line.contains(text)).unwrap() as u64
}

/// `listed.c`, of two files with a static of the same name.
fn listed_c(scratch: &Scratch, flags: &[&str]) -> String {
    let program = scratch.file("listed", b"", 0o755);
    let second = scratch.file("second.c", b"#define SECOND\n#include LISTED\n", 0o644);
    let listed = source("listed.c");
    let define = format!("-DLISTED=\"{}\"", listed.display());
    let mut cc = Command::new("cc");
    cc.args(flags).arg(define).arg(&listed).arg(&second).arg("-o").arg(&program);
    assert!(cc.status().unwrap().success());
    program.to_str().unwrap().to_owned()
}

fn cpp(scratch: &Scratch) -> String {
    let program = scratch.file("listed", b"", 0o755);
    let mut cxx = Command::new("c++");
    cxx.args(["-g", "-O1"]).arg(source("listed.cpp")).arg("-o").arg(&program);
    assert!(cxx.status().unwrap().success());
    program.to_str().unwrap().to_owned()
}

#[test]
fn variables_and_members_of_c() {
    let scratch = Scratch::new();
    let program = &*listed_c(&scratch, &["-g", "-O1"]);
    assert_listed(
        &["-p", program, "cfg.*"],
        &[
            ("cfg.limits", "struct limit [4]", 48),
            ("cfg.name", "char [16]", 16),
            ("cfg.head", "struct conn *", 8),
        ],
    );
    assert_listed(
        &["-p", program, "c*.limits[?].m*"],
        &LIMITS.map(|name| (name, "int", 4)),
    );
    assert_listed(&["-p", program, "mode"], &[("mode", "enum mode", 4)]);
    assert_listed(&["-p", program, "total::*"], &[("total::calls", "int", 4)]);
    let hot = &objects(&["-p", program, "cfg.limits[1].hot"])[0];
    assert_eq!((&hot["bit_offset"], &hot["bit_width"]), (&0.into(), &3.into()));
    let thread = &objects(&["-p", program, "per_thread"])[0];
    assert_eq!(thread["within"], "thread");
    assert!(thread["address"].is_null() && thread["offset"].is_u64(), "{thread}");
    let head = &objects(&["-p", program, "cfg"])[0];
    assert_eq!(head["line"], line_of("listed.c", "} cfg;"));
    assert!(head["file"].as_str().unwrap().ends_with("tests/targets/listed.c"));
}

const LIMITS: [&str; 8] = [
    "cfg.limits[0].min",
    "cfg.limits[0].max",
    "cfg.limits[1].min",
    "cfg.limits[1].max",
    "cfg.limits[2].min",
    "cfg.limits[2].max",
    "cfg.limits[3].min",
    "cfg.limits[3].max",
];

#[test]
fn columns_are_aligned() {
    let scratch = Scratch::new();
    let program = &*listed_c(&scratch, &["-g", "-O1"]);
    let (status, out, messages) = run(&["-p", program, "cfg.limits[0].*"]);
    assert_eq!((status, &*messages), (0, ""));
    let line = format!("listed.c:{}", line_of("listed.c", "} cfg;"));
    let rows: Vec<Vec<_>> =
        out.lines().map(|line| line.split("  ").map(str::trim).collect()).collect();
    let without_address = |row: &Vec<&str>| -> Vec<String> {
        let row = row.iter().filter(|word| !word.is_empty() && !word.starts_with("0x"));
        row.map(|word| (*word).to_owned()).collect()
    };
    let rows: Vec<_> = rows.iter().map(without_address).collect();
    assert_eq!(rows[0], ["cfg.limits[0].min", "int", "4", &line]);
    assert_eq!(rows[2], ["cfg.limits[0].hot", "unsigned int", ":3", &line]);
    let ends: Vec<_> = out.lines().map(|row| row.find("listed.c").unwrap()).collect();
    assert!(ends.iter().all(|end| *end == ends[0]), "{out}");
}

/// `nm` of the same file.
fn symbols(program: &str) -> BTreeMap<String, u64> {
    let output = Command::new("nm").arg(program).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let symbol = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let [address, _, name] = words[..] else { return None };
        Some((name.to_owned(), u64::from_str_radix(address, 16).ok()?))
    };
    text.lines().filter_map(symbol).collect()
}

#[track_caller]
fn address(arguments: &[&str]) -> u64 {
    let found = objects(arguments);
    let text = found[0]["address"].as_str().unwrap();
    u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
}

#[test]
fn addresses_are_those_of_the_file_or_of_the_process() {
    let scratch = Scratch::new();
    for flags in [&["-g", "-O1", "-no-pie"][..], &["-g", "-O1", "-pie", "-fPIE"]] {
        let program = &*listed_c(&scratch, flags);
        let cfg = symbols(program)["cfg"];
        assert_eq!(address(&["-p", program, "cfg"]), cfg);
        assert_eq!(address(&["-p", program, "cfg.limits[2].max"]), cfg + 28);

        let mut target = Target::start(Path::new(program), &[]);
        let pid = target.pid().to_string();
        let (whole, max) =
            (address(&["-p", &pid, "cfg"]), address(&["-p", &pid, "cfg.limits[2].max"]));
        assert_eq!(target.ask("where"), Some(format!("{whole:#x} {max:#x}")));
        let library = address(&["-p", &pid, "libc.so*:environ"]);
        assert!(library > whole, "{library:#x}");
    }
}

#[test]
fn what_has_the_same_name_and_what_was_optimised_out() {
    let scratch = Scratch::new();
    let program = &*listed_c(&scratch, &["-g", "-O2"]);
    assert_listed(
        &["-p", program, "state"],
        &[("state@listed.c", "int", 4), ("state@second.c", "int", 4)],
    );
    assert_listed(&["-p", program, "state@second.c"], &[("state@second.c", "int", 4)]);
    let names = run(&["-p", program, "sta*", "--format", "names"]).1;
    assert_eq!(names, "state@listed.c\nstate@second.c\n");
    let (_, _, messages) = run(&["-p", program, "-v", "*"]);
    assert!(messages.contains("1 variable was optimised out"), "{messages}");
    let (status, out, messages) = run(&["-p", program, "nowhere"]);
    assert_eq!((status, &*out), (2, ""));
    assert!(messages.contains("`nowhere` was optimised out"), "{messages}");
}

#[test]
fn without_debug_information_symbols_are_listed() {
    let scratch = Scratch::new();
    let program = &*listed_c(&scratch, &["-O1"]);
    assert_listed(&["-p", program, "cf*"], &[("cfg", "?", 72)]);
    assert_listed(&["-p", program, "mode"], &[("mode", "?", 4)]);
    let (_, _, messages) = run(&["-p", program, "cfg"]);
    assert!(messages.contains("no debug information"), "{messages}");
    assert!(messages.contains("build it with `-g`"), "{messages}");
    let (status, _, messages) = run(&["-p", program, "cfg.*"]);
    assert_eq!(status, 2);
    assert!(messages.contains("build it with `-g`"), "{messages}");
    assert!(Command::new("strip").arg(program).status().unwrap().success());
    let (status, _, messages) = run(&["-p", program, "cfg"]);
    assert_eq!(status, 2);
    assert!(messages.contains("stripped"), "{messages}");
}

#[test]
fn what_there_is_not() {
    let scratch = Scratch::new();
    let program = &*listed_c(&scratch, &["-g", "-O1"]);
    for (pattern, says) in [
        ("cfgg", "did you mean `cfg`?"),
        ("mo?x", "no data matches `mo?x` in "),
        ("cfg.limit", "did you mean `limits` (struct limit [4])?"),
        ("cfg.head->fd", "`cfg.head->fd` is no variable of "),
        ("total", "is a function"),
        ("libx.so:*", "no library is called `libx.so`; there are listed, "),
    ] {
        let (status, out, messages) = run(&["-p", program, pattern]);
        assert_eq!((status, &*out), (2, ""), "{pattern}");
        assert!(messages.starts_with("hwtrace: error: "), "{messages}");
        assert!(messages.contains(says), "{pattern}: {messages}");
    }
    for (program, says) in [
        ("/no/such/program", "No such file"),
        ("999999999", "there is no process 999999999"),
        ("/etc/passwd", "it is not an ELF file"),
    ] {
        let (status, _, messages) = run(&["-p", program]);
        assert_eq!(status, 2);
        assert!(messages.contains(says), "{messages}");
    }
    let (_, _, messages) = run(&["-p", program, "cfgg", "--format", "json"]);
    let message: Value = serde_json::from_str(messages.trim_end()).unwrap();
    assert_eq!(message["severity"], "error");
}

#[test]
fn data_of_cpp() {
    let scratch = Scratch::new();
    let program = &*cpp(&scratch);
    assert_listed(
        &["-p", program, "app::pool.*"],
        &[("app::pool.id", "int", 4), ("app::pool.value", "int", 4)],
    );
    assert_listed(&["-p", program, "pool"], &[("app::pool", "app::Pool<int>", 8)]);
    assert_listed(&["-p", program, "app::c*"], &[("app::color", "app::Color", 4)]);
    let all = listed(&["-p", program, "app::*limit"]);
    assert_eq!(all.len(), 2, "{all:?}");
}

#[test]
fn data_of_rust() {
    let program = rust("takings", &["-g"]);
    let program = program.to_str().unwrap();
    let all = listed(&["-p", program, "takings::*"]);
    let total = all.iter().find(|row| row.0 == "takings::PLAIN_TOTAL");
    assert_eq!(total.and_then(|row| row.2), Some(4), "{all:?}");
    // What rustc makes for itself is nothing to watch.
    assert!(all.iter().all(|row| !row.0.contains("{vtable}")), "{all:?}");
}

/// What is listed can be asked for by its name, and has that size.
#[test]
fn names_are_expressions() {
    let (one, two) = (Scratch::new(), Scratch::new());
    let programs = [
        listed_c(&one, &["-g", "-O1"]),
        cpp(&two),
        rust("takings", &["-g"]).to_str().unwrap().to_owned(),
        c_with("handed", &["-g"]).to_str().unwrap().to_owned(),
    ];
    let mut asked = 0;
    for program in &programs {
        let files = Files::new(|elf, path, root, number| {
            match Dwarf::open(elf, path, root, number) {
                Ok(dwarf) => Ok(Box::new(dwarf)),
                Err(none) => Err(none.to_string()),
            }
        });
        let loader = Loader::of_this_system();
        let image = Image::of_file(Path::new(program), Some(&loader), &files).unwrap();
        for pattern in ["cfg.**", "state", "app::**", "takings::*", "c*", "libc.so*:std*"]
        {
            let arguments = ["-p", program, pattern, "--format", "json"];
            let (status, out, _) = run(&arguments);
            assert!(status == 0 || status == 2);
            for line in out.lines() {
                let row: Value = serde_json::from_str(line).unwrap();
                let name = row["name"].as_str().unwrap();
                let expression = Expression::parse(name);
                let expression = expression.unwrap_or_else(|error| {
                    panic!("{program}: `{name}`: {error}");
                });
                let typed = type_of(&image, &expression, None);
                let typed = typed.unwrap_or_else(|error| panic!("{name}: {error}"));
                if row["bit_width"].is_null() {
                    assert_eq!(row["size"].as_u64(), Some(typed.size), "{name}");
                }
                asked += 1;
            }
        }
    }
    assert!(asked > 40, "only {asked}");
}

#[test]
fn locals_of_functions_and_their_copies() {
    let scratch = Scratch::new();
    let program = &*listed_c(&scratch, &["-g", "-O2"]);
    let (status, out, messages) = run(&["-p", program, "--locals", "t*"]);
    assert_eq!(status, 0);
    assert!(messages.contains("cannot be watched yet"), "{messages}");
    let copy = out.lines().find(|line| line.starts_with("twice")).unwrap();
    let call =
        format!("inlined into total at listed.c:{}", line_of("listed.c", "called"));
    assert!(copy.contains(&call), "{copy}");
    assert!(copy.ends_with("frame base cfa"), "{copy}");

    let found = objects(&["-p", program, "--locals", "total"]);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["line"], line_of("listed.c", "int total("));
    let locals = found[0]["locals"].as_array().unwrap();
    let named = |name: &str| locals.iter().find(|local| local["name"] == name).unwrap();
    let conn = named("conn");
    assert_eq!(conn["type"], "struct conn *");
    assert_eq!(conn["parameter"], true);
    // It comes in a register, and is not always there.
    assert_eq!(conn["places"][0]["place"], "rdi");
    assert!(conn["places"][0]["span"]["start"].as_str().unwrap().starts_with("0x"));
    assert_eq!(named("sum")["parameter"], false);
    let only = objects(&["-p", program, "--locals", "total", "s*"]);
    assert_eq!(only[0]["locals"].as_array().unwrap().len(), 1);

    let mut target = Target::start(Path::new(program), &[]);
    let pid = target.pid().to_string();
    let running = objects(&["-p", &pid, "--locals", "total"]);
    assert_ne!(running[0]["ranges"], found[0]["ranges"], "the process has its own");
    target.close();
    let (status, _, messages) = run(&["-p", program, "--locals", "totl"]);
    assert_eq!(status, 2);
    assert!(messages.contains("did you mean `total`?"), "{messages}");
}

/// `hwtrace list … | head -1`
#[test]
fn a_pipe_that_is_closed_ends_it_well() {
    let own = env!("CARGO_BIN_EXE_hwtrace");
    let mut child = hwtrace(&["-p", own, "**"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("0x"), "{line}");
    let mut messages = String::new();
    child.stderr.take().unwrap().read_to_string(&mut messages).unwrap();
    assert_eq!((child.wait().unwrap().code(), &*messages), (Some(0), ""));
}

/// Bash asks hwtrace for the names of data.
#[test]
fn bash_completes_names_of_data() {
    let scratch = Scratch::new();
    let program = listed_c(&scratch, &["-g", "-O1"]);
    let completed = |line: &str| {
        let own = Path::new(env!("CARGO_BIN_EXE_hwtrace"));
        let script = format!(
            "source <(hwtrace completions bash)
             COMP_LINE={line:?} COMP_POINT=${{#COMP_LINE}}
             read -ra COMP_WORDS <<< \"$COMP_LINE\"
             [[ $COMP_LINE == *' ' ]] && COMP_WORDS+=('')
             COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
             cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD - 1]}}
             _hwtrace_data hwtrace \"$cur\" \"$prev\"
             printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let path = format!(
            "{}:{}",
            own.parent().unwrap().display(),
            std::env::var("PATH").unwrap()
        );
        let output = Command::new("bash")
            .args(["-c", &script])
            .env("PATH", path)
            .output()
            .unwrap();
        assert!(output.stderr.is_empty(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(completed(&format!("hwtrace watch -p {program} cf")), ["cfg"]);
    let members = completed(&format!("hwtrace watch -p {program} cfg.l"));
    assert_eq!(members, ["cfg.limits"]);
    let after_colons = completed(&format!("hwtrace list -p {program} total::"));
    assert_eq!(after_colons, ["calls"]);
    assert!(completed("hwtrace ").contains(&"watch".to_owned()));
    let options = completed("hwtrace list --");
    assert!(options.contains(&"--locals".to_owned()), "{options:?}");
}
