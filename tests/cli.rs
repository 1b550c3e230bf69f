//! The command line as users meet it: help, wrong usage, what goes to which
//! stream, exit statuses. Nothing here watches a target.
//!
//! `INSTA_UPDATE=always cargo test --test cli` blesses what comes out.
#![allow(missing_docs, clippy::unwrap_used)]

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const HELLO: &str = "probe begin { println(\"hello\"); exit() }";
const REFUSED: &str = "probe begin { println(x) }";
const FAULT: &str = "probe begin { println(\"before\"); println(1 / 0) }";

fn hwtrace(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hwtrace"));
    command.args(args).stdin(Stdio::null());
    for name in ["COLUMNS", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TERM"] {
        command.env_remove(name);
    }
    command
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Both streams and the status, for snapshots.
fn shown(output: &Output) -> String {
    let mut shown = String::new();
    let streams =
        [("standard output", &output.stdout), ("standard error", &output.stderr)];
    for (name, bytes) in streams {
        if !bytes.is_empty() {
            shown.push_str(&format!("--- {name}\n{}\n", text(bytes).trim_end()));
        }
    }
    let lines: Vec<_> = shown.lines().map(str::trim_end).collect();
    format!("{}\n--- status {}", lines.join("\n"), output.status.code().unwrap())
}

fn run(args: &[&str]) -> String {
    shown(&hwtrace(args).output().unwrap())
}

fn fed(args: &[&str], input: &[u8]) -> Output {
    let mut child = hwtrace(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

fn status(args: &[&str]) -> i32 {
    hwtrace(args).output().unwrap().status.code().unwrap()
}

fn assert_file(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("cli");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn help_of_every_command() {
    assert_file("help", &run(&["--help"]));
    assert_file("help_watch", &run(&["watch", "--help"]));
    assert_file("help_demo", &run(&["demo", "--help"]));
    assert_file("help_list", &run(&["list", "--help"]));
}

/// The short help fits on a screen and says the same options.
#[test]
fn short_help_is_shorter() {
    let (short, long) = (run(&["-h"]), run(&["--help"]));
    assert!(short.lines().count() < long.lines().count());
    assert!(short.contains("--check") && short.ends_with("status 0"), "{short}");
}

/// What the help shows as an example is a script that compiles.
#[test]
fn examples_of_the_help_compile() {
    let help = run(&["--help"]);
    let mut programs = 0;
    for line in help.lines().filter(|line| line.contains("-e 'probe")) {
        let words = shlex::split(line).unwrap();
        let program = words.iter().find(|word| word.starts_with("probe")).unwrap();
        let checked = run(&["--check", "-e", program]);
        assert_eq!(checked, "\n--- status 0", "{program}");
        programs += 1;
    }
    assert!(programs > 0, "{help}");
}

#[test]
fn version_is_the_package_s() {
    let wanted = concat!("--- standard output\nhwtrace ", env!("CARGO_PKG_VERSION"));
    assert_eq!(run(&["--version"]), format!("{wanted}\n--- status 0"));
    assert_eq!(run(&["-V"]), run(&["--version"]));
}

#[test]
fn wrong_usage() {
    let cases: &[(&str, &[&str])] = &[
        ("no_script", &[]),
        ("command_and_process", &["-e", HELLO, "-c", "true", "-p", "1"]),
        ("process_no_number", &["-e", HELLO, "-p", "self"]),
        ("unknown_engine", &["--engine", "ebpf", "-e", HELLO]),
        ("unknown_stage", &["--dump", "llvm", "-e", HELLO]),
        ("unknown_color", &["--color", "blue", "-e", HELLO]),
        ("define_without_value", &["-D", "MAXACTION", "-e", HELLO]),
        ("define_unknown", &["-D", "MAXACTIONS=5", "-e", HELLO]),
        ("define_no_number", &["-D", "MAXACTION=many", "-e", HELLO]),
        ("define_zero", &["-D", "MAXSTRINGLEN=0", "-e", HELLO]),
        ("global_without_value", &["-G", "n", "-e", HELLO]),
        ("global_unknown", &["-G", "n=5", "-e", HELLO]),
        ("duration_no_number", &["-T", "soon", "-e", HELLO]),
        ("duration_negative", &["-T", "-1", "-e", HELLO]),
        ("overhead_of_what", &["--max-overhead", "0.05", "-e", HELLO]),
        ("overhead_of_what_else", &["--max-overhead", "0.5", "-e", HELLO]),
        ("overhead_too_little", &["--max-overhead", "1e-9%", "-e", HELLO]),
        ("overhead_too_much", &["--max-overhead", "500%", "-e", HELLO]),
        ("quiet_and_verbose", &["-q", "-v", "-e", HELLO]),
        ("command_quotes", &["-e", HELLO, "-c", "echo 'x"]),
        ("watch_nothing", &["watch"]),
        ("watch_no_target", &["watch", "counter"]),
        ("watch_two_targets", &["watch", "counter", "-p", "1", "--", "true"]),
        ("watch_no_expression", &["watch", "--", "true"]),
        (
            "watch_overhead_negative",
            &["watch", "x", "--max-overhead", "-5%", "--", "true"],
        ),
        ("watch_bad_expression", &["watch", "a b", "--", "true"]),
        ("list_nothing", &["list"]),
        ("list_two_kinds", &["list", "-k", "-p", "1"]),
        ("list_locals_of_nothing", &["list", "-k", "--locals", "main"]),
        ("list_no_such_file", &["list", "-p", "/no/such/program", "cfg.*"]),
        ("completions_unknown_shell", &["completions", "tcsh"]),
        ("argument_left_over", &["-e", HELLO, "one"]),
    ];
    for (name, args) in cases {
        let output = hwtrace(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
        assert_file(&format!("usage_{name}"), &shown(&output));
    }
}

#[test]
fn an_option_that_is_not_known_is_named() {
    for args in [&["--bogus"][..], &["--bogus", "-e", HELLO], &["watch", "--bogus", "x"]]
    {
        let output = hwtrace(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(text(&output.stderr).contains("--bogus"), "{args:?}");
    }
}

#[test]
fn scripts_that_can_not_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let binary = folder.path().join("binary.hwt");
    std::fs::write(&binary, b"probe begin { println(\"\xff\") }").unwrap();
    let missing = folder.path().join("missing.hwt");
    for (path, why) in [
        (missing.as_path(), "No such file"),
        (folder.path(), "directory"),
        (&binary, "no text"),
        (Path::new("/proc/self/mem"), "annot read"),
    ] {
        let output = hwtrace(&[path.to_str().unwrap()]).output().unwrap();
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(
            errors.contains(why) && errors.contains(path.to_str().unwrap()),
            "{errors}"
        );
        assert!(output.stdout.is_empty());
    }
    let output = fed(&["-"], b"\xff");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("<standard input>"));
}

#[test]
fn exit_statuses() {
    assert_eq!(status(&["-e", HELLO]), 0);
    assert_eq!(status(&["-e", FAULT]), 1);
    assert_eq!(status(&["-e", REFUSED]), 2);
    assert_eq!(status(&["-e", "probe begin {"]), 2);
    // A script that watches, and nothing to watch.
    assert_eq!(status(&["-e", "probe process.data(\"x\").write { println($new) }"]), 2);
}

#[test]
fn check_says_nothing_about_a_good_script_and_runs_none() {
    assert_eq!(run(&["--check", "-e", HELLO]), "\n--- status 0");
    let watching = "probe process.data(\"x\").write { println($new) }";
    assert_eq!(run(&["--check", "-e", watching]), "\n--- status 0");
    let refused = hwtrace(&["--check", "-e", REFUSED]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(refused.stdout.is_empty());
    insta::assert_snapshot!(text(&refused.stderr), @r"
    error[E0101]: nothing assigns a value to `x`
     --> <command line>:1:23
      |
    1 | probe begin { println(x) }
      |                       ^ read here
      |
      = help: assign it before, or declare `global x`
    ");
}

#[test]
fn every_stage_is_dumped_and_nothing_runs() {
    for (stage, part) in [
        ("ast", "println(\"hello\")"),
        ("typed", "printf(\"%s\\n\", \"hello\")"),
        ("ir", "handler begin {"),
        ("plan", "no probe is of data"),
        ("clif", "function u"),
        ("asm", "ret"),
    ] {
        let output = hwtrace(&["--dump", stage, "-e", HELLO]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{stage}");
        assert!(output.stderr.is_empty(), "{stage}");
        let dumped = text(&output.stdout);
        assert!(dumped.contains(part), "{stage}: {dumped}");
        assert!(
            dumped.ends_with('\n') && !dumped.starts_with("hello"),
            "{stage}: {dumped}"
        );
        assert_eq!(status(&["--dump", stage, "-e", "probe begin {"]), 2, "{stage}");
    }
}

#[test]
fn plans_say_what_is_done_at_the_hit() {
    let script = "global p; probe process.data(\"counter\").write {
  if ($new > 100 && tid() != 5) println(user_int($new + 8), user_string(p), cpu())
}
probe timer.s(1) { println(user_string(p)) }";
    let plan = |engine| run(&["--dump", "plan", "--engine", engine, "-e", script]);
    assert_file("dump_plan", &plan("bpf"));
    assert_file("dump_plan_of_samples", &plan("perf"));
}

#[test]
fn output_and_messages_are_on_streams_of_their_own() {
    let output = hwtrace(&["-e", FAULT]).output().unwrap();
    assert_eq!(text(&output.stdout), "before\n");
    let errors = text(&output.stderr);
    assert!(errors.starts_with("error[E0501]: division by 0"), "{errors}");
    let last = errors.lines().last().unwrap();
    assert!(last.starts_with("hwtrace: 0 hits, nothing was watched, "), "{errors}");
    let quiet = hwtrace(&["-q", "-e", HELLO]).output().unwrap();
    assert_eq!((text(&quiet.stdout), text(&quiet.stderr)), ("hello\n", ""));
    // Quiet is about the end, not about errors.
    let quiet = hwtrace(&["-q", "-e", FAULT]).output().unwrap();
    assert!(text(&quiet.stderr).contains("E0501"));
}

#[test]
fn output_goes_to_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out");
    std::fs::write(&file, "what was there before").unwrap();
    let output = hwtrace(&["-o", file.to_str().unwrap(), "-e", HELLO]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.is_empty());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "hello\n");
    // Who is refused has lost nothing.
    std::fs::write(&file, "the results of yesterday").unwrap();
    for wrong in
        [["-e", "probe"], ["-p", "0"], ["-e", "probe kernel.data(\"nothing\").write {}"]]
    {
        let output =
            hwtrace(&["-o", file.to_str().unwrap()]).args(wrong).output().unwrap();
        assert_ne!(output.status.code(), Some(0));
        let kept = std::fs::read_to_string(&file).unwrap();
        assert_eq!(kept, "the results of yesterday", "{wrong:?}");
    }
    // Nothing is a result, too.
    let silent = ["-o", file.to_str().unwrap(), "-e", "probe begin { exit() }"];
    assert_eq!(hwtrace(&silent).output().unwrap().status.code(), Some(0));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "");
    let nowhere = folder.path().join("no/such/folder");
    let output =
        hwtrace(&["-o", nowhere.to_str().unwrap(), "-e", HELLO]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("cannot write"));
    let output = hwtrace(&["-o", "/dev/full", "-e", HELLO]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("No space left"));
}

#[test]
fn a_script_from_standard_input_takes_arguments() {
    let script = b"probe begin { printf(\"%s %d %s\\n\", @1, $2, @3); exit() }";
    let output = fed(&["-q", "-", "-q", "7", "--check"], script);
    assert_eq!(text(&output.stdout), "-q 7 --check\n", "{}", text(&output.stderr));
    let output = fed(&["-"], b"probe begin {");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--> <standard input>:1:13"));
}

#[test]
fn what_follows_the_script_belongs_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("args.hwt");
    std::fs::write(&file, "probe begin { printdln(\" \", @1, @2, @3); exit() }").unwrap();
    let file = file.to_str().unwrap();
    let output = hwtrace(&["-q", file, "--help", "-o", "--"]).output().unwrap();
    assert_eq!(text(&output.stdout), "--help -o --\n", "{}", text(&output.stderr));
    let program = "probe begin { printdln(\" \", @1, $2); exit() }";
    let output = hwtrace(&["-q", "-e", program, "--", "-x", "-5"]).output().unwrap();
    assert_eq!(text(&output.stdout), "-x -5\n", "{}", text(&output.stderr));
}

#[test]
fn colour_is_as_asked_for() {
    let escape = '\x1b';
    for (color, wanted) in [("always", true), ("never", false), ("auto", false)] {
        let output = hwtrace(&["--color", color, "-e", REFUSED]).output().unwrap();
        assert_eq!(text(&output.stderr).contains(escape), wanted, "{color}");
        let output = hwtrace(&["--color", color, "-e", HELLO]).output().unwrap();
        assert_eq!(text(&output.stdout), "hello\n", "{color}");
    }
}

/// Runs `script` while nobody reads its output beyond the first bytes.
fn with_a_reader_that_leaves(script: &str) -> (i32, String) {
    let mut child = hwtrace(&["-e", script])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 2];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    // The pipe is closed here.
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > Duration::from_secs(20) {
            child.kill().unwrap();
            panic!("goes on although nobody reads: {script}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap(), text(&output.stderr).to_owned())
}

#[test]
fn a_reader_that_leaves_ends_the_session_quietly() {
    let long = "probe begin { for (i = 0; i < 200000; i++) println(\"a line of text\") }";
    let lasting = "probe timer.ms(1) { println(\"a line of text\") }";
    for script in [long, lasting] {
        let (status, errors) = with_a_reader_that_leaves(script);
        assert_eq!(status, 0, "{errors}");
        assert!(!errors.contains("rror") && !errors.contains("panic"), "{errors}");
    }
}

#[test]
fn a_reader_that_leaves_a_dump_is_no_error() {
    let mut script = String::from("probe begin {");
    for number in 0..4000 {
        script.push_str(&format!("println({number});"));
    }
    script.push('}');
    let mut child = hwtrace(&["--dump", "ir", "-e", &script])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(text(&output.stderr), "");
    assert!(output.status.code().is_some(), "killed by a signal");
}

#[test]
fn strings_that_were_cut_are_counted() {
    let script = "probe begin { println(\"12345\" . \"6789\"); exit() }";
    let output = hwtrace(&["-D", "MAXSTRINGLEN=8", "-e", script]).output().unwrap();
    assert_eq!(text(&output.stdout), "12345678\n");
    assert!(text(&output.stderr).contains("at 8 bytes"), "{}", text(&output.stderr));
}

#[test]
fn a_session_ends_after_its_time() {
    let begun = Instant::now();
    // Some ticks are due long before its end.
    let output = hwtrace(&["-T", "0.5", "-e", "probe timer.ms(20) { println(1) }"]);
    let output = { output }.output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let elapsed = begun.elapsed();
    assert!(elapsed >= Duration::from_millis(500));
    let (lines, most) = (text(&output.stdout).lines().count(), elapsed.as_millis() / 20);
    assert!(
        (1..=most as usize).contains(&lines),
        "{lines} ticks of 20 ms in {elapsed:?}"
    );
}

#[test]
fn bytes_of_stacks_are_whole_words_that_fit_into_a_sample() {
    for bytes in ["0", "7", "12", "65536", "-8", "1k"] {
        let asked = format!("--stack-bytes={bytes}");
        let output = hwtrace(&[&asked, "-e", HELLO]).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("a multiple of 8 from 8 to 65528"), "{said}");
    }
    assert_eq!(status(&["--stack-bytes=65528", "-e", HELLO]), 0);
}

#[test]
fn registers_are_one_to_four() {
    for wrong in ["0", "5", "few"] {
        assert_eq!(status(&["--registers", wrong, "-e", HELLO]), 2, "{wrong}");
    }
    assert_eq!(status(&["--registers", "4", "-e", HELLO]), 0);
}
