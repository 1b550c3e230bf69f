//! `hwtrace fmt`, `explain`, `list`, and messages as JSON.

#![allow(missing_docs, clippy::unwrap_used)]

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use hwtrace_lang::code::Code;
use serde_json::Value;

const UGLY: &str = "probe begin{x=1 # one\nif(x)print( x )}";
const NEAT: &str = "probe begin {\n    x = 1 # one\n    if (x)\n        print(x)\n}\n";

fn hwtrace(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hwtrace"))
        .args(arguments)
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// Exit status, standard output, standard error.
fn run(arguments: &[&str], input: &str) -> (i32, String, String) {
    let output = hwtrace(arguments, input);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn fmt_writes_standard_input_to_standard_output() {
    assert_eq!(run(&["fmt"], UGLY), (0, NEAT.to_owned(), String::new()));
    assert_eq!(run(&["fmt", "-"], NEAT), (0, NEAT.to_owned(), String::new()));
    let (status, out, messages) = run(&["fmt", "--check"], UGLY);
    assert_eq!((status, &*out), (1, ""));
    assert!(messages.contains("`<standard input>` is not in the house style"));
    assert_eq!(run(&["fmt", "--check"], NEAT), (0, String::new(), String::new()));
}

#[test]
fn fmt_does_files_beside_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.hwt").display().to_string();
    fs::write(&path, UGLY).unwrap();
    assert_eq!(run(&["fmt", &path, "-"], UGLY), (0, NEAT.to_owned(), String::new()));
    assert_eq!(fs::read_to_string(&path).unwrap(), NEAT);
}

#[test]
fn fmt_changes_files_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (ugly, neat, wrong, link) =
        (path("ugly"), path("neat"), path("wrong"), path("link"));
    fs::write(&ugly, UGLY).unwrap();
    fs::write(&neat, NEAT).unwrap();
    fs::write(&wrong, "probe begin {").unwrap();
    fs::set_permissions(&ugly, PermissionsExt::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("ugly", &link).unwrap();

    let (status, _, messages) = run(&["fmt", "--check", &link, &neat], "");
    assert_eq!(status, 1);
    assert!(messages.contains("hwtrace fmt"), "{messages}");
    assert_eq!(fs::read_to_string(&ugly).unwrap(), UGLY, "--check changes nothing");

    // One that does not parse keeps nobody from formatting the others.
    let (status, out, messages) = run(&["fmt", &wrong, &link, &path("none")], "");
    assert_eq!((status, &*out), (2, ""));
    assert!(messages.contains("error[E0004]") && messages.contains("cannot read"));
    assert_eq!(fs::read_to_string(&ugly).unwrap(), NEAT);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let mode = fs::metadata(&ugly).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    let left = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 4, "nothing is left beside the files");
}

#[test]
fn every_code_is_explained() {
    for code in Code::ALL {
        let (status, out, messages) = run(&["explain", code.as_str()], "");
        assert_eq!((status, &*messages), (0, ""));
        assert!(out.starts_with(&format!("{code}: {}\n\n", code.title())), "{out}");
        let meaning = out.split("\n\n").nth(1).unwrap();
        assert!(meaning.lines().all(|line| line.chars().count() <= 78), "{out}");
        // More than the title again.
        assert!(meaning.len() > 20, "{out}");
    }
    let lower = run(&["explain", "e0101"], "");
    assert_eq!(lower, run(&["explain", "E0101"], ""));
}

#[test]
fn a_code_that_does_not_exist() {
    let (status, out, messages) = run(&["explain", "E0911"], "");
    assert_eq!((status, &*out), (2, ""));
    assert!(
        messages.starts_with("hwtrace: error: there is no code `E0911`; did you mean E0")
    );
    let (_, _, messages) = run(&["explain", "nonsense"], "");
    assert!(messages.contains("codes look like E0001"), "{messages}");
}

#[test]
fn messages_are_objects_where_json_is_asked_for() {
    let script = "probe begin { x = y }\nprobe end { nothing() }";
    let arguments = ["--message-format", "json", "--check", "-e", script];
    let (status, out, messages) = run(&arguments, "");
    assert_eq!((status, &*out), (2, ""));
    let errors: Vec<Value> =
        messages.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(errors.len(), 2, "{messages}");
    assert_eq!(errors[0]["code"], "E0101");
    assert_eq!(errors[0]["severity"], "error");
    assert_eq!(errors[0]["spans"][0]["line_start"], 1);
    assert_eq!(errors[0]["spans"][0]["column_start"], 19);
    assert_eq!(errors[0]["spans"][0]["is_primary"], true);
    assert_eq!(errors[1]["code"], "E0102");
    assert_eq!(errors[1]["spans"][0]["line_start"], 2);
    assert!(errors[1]["help"][0].is_string());
}

/// A session's own lines have the same form: no line needs a second parser.
#[test]
fn all_messages_of_a_session_are_objects() {
    let script = "probe begin { println(1); exit() } probe end { error(\"over\") }";
    let (status, out, messages) = run(&["--message-format", "json", "-e", script], "");
    assert_eq!((status, &*out), (1, "1\n"));
    let objects: Vec<Value> =
        messages.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects[0]["code"], "E0510");
    assert_eq!(objects[0]["message"], "over");
    let last = objects.last().unwrap();
    assert_eq!((&last["code"], &last["severity"]), (&Value::Null, &"note".into()));
    assert!(last["message"].as_str().unwrap().starts_with("0 hits"), "{messages}");
    let (status, _, messages) = run(&["--message-format", "json", "no-such-file"], "");
    assert_eq!(status, 2);
    let object: Value = serde_json::from_str(messages.trim_end()).unwrap();
    assert_eq!(object["severity"], "error");
}

#[test]
fn functions_are_listed_by_topic_and_shown_in_full() {
    let (status, all, messages) = run(&["list", "--functions"], "");
    assert_eq!((status, &*messages), (0, ""));
    for row in hwtrace_lang::builtins::BUILTINS {
        assert!(all.contains(&format!("  {}", row.signature())), "{}", row.name);
    }
    for heading in ["Context\n", "\nMemory\n", "\nValues as text\n", "\nOperators\n"] {
        assert!(all.contains(heading), "no {heading:?} in {all}");
    }
    let (status, some, _) = run(&["list", "--functions", "user_uint*"], "");
    assert_eq!((status, some.lines().count()), (0, 1 + 2 * 4), "{some}");
    let (status, one, _) = run(&["list", "--functions", "substr"], "");
    assert_eq!(status, 0);
    let signature = "substr(text:string, start:long, length:long) : string";
    assert!(one.contains(signature) && one.contains("\nExample:\n"), "{one}");
    let (_, later, _) = run(&["list", "--functions", "rearm"], "");
    assert!(later.contains("[not yet]") && later.contains("Not available yet: "));
    let (status, out, messages) = run(&["list", "--functions", "sytem"], "");
    assert_eq!((status, &*out), (2, ""));
    assert!(messages.contains("did you mean `system`?"), "{messages}");
}
