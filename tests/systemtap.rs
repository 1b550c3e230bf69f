//! Generic scripts of SystemTap print what SystemTap prints.
//!
//! Each `systemtap/NAME.stp` uses begin, end, timers, globals, arrays,
//! statistics, functions and printing only. `NAME.expected` is what SystemTap's
//! documentation says it prints, derived by hand, and is never blessed. Lines at
//! a script's head say how it is run: `// arguments: a b`,
//! `// options: -D NAME=N`, `// status: 1`. A script without `.expected` needs
//! what cannot be armed yet and must check; `tests/points.rs` gives it arguments.
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The scripts that only check.
const CHECKED: [&str; 2] = ["hw_watch_addr", "hw_watch_sym"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/systemtap")
}

fn head(script: &str, what: &str) -> Vec<String> {
    let prefix = format!("// {what}: ");
    let mut head = script.lines().take_while(|line| line.starts_with("//"));
    let line = head.find_map(|line| line.strip_prefix(&prefix));
    line.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

fn run(path: &Path, expected: &str) -> Result<(), String> {
    let script = std::fs::read_to_string(path).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_hwtrace"))
        .args(["-q", "--color", "never", "-T", "20"])
        .args(head(&script, "options"))
        .arg(path)
        .args(head(&script, "arguments"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let status = output.status.code().map(|code| code.to_string()).unwrap_or_default();
    let wanted = head(&script, "status").pop().unwrap_or("0".to_owned());
    if printed == expected && status == wanted {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "{}: status {status}, not {wanted}\n{errors}\nprinted:\n{printed}\nexpected:\n{expected}",
        path.display()
    ))
}

#[test]
fn scripts_print_what_systemtap_prints() {
    let mut ran = 0;
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let expected = path.with_extension("expected");
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("stp") if CHECKED.contains(&&*name) => assert!(!expected.exists()),
            Some("stp") => {
                let expected = std::fs::read_to_string(&expected)
                    .unwrap_or_else(|why| panic!("{}: {why}", expected.display()));
                wrong.extend(run(&path, &expected).err());
                ran += 1;
            }
            Some("expected") => assert!(path.with_extension("stp").exists(), "{name}"),
            _ => panic!("{} is neither script nor what it prints", path.display()),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n---\n"));
    assert!(ran >= 20, "only {ran} scripts were there");
}
