//! What cannot be watched: code and help of each error, the exit status, and
//! that nothing was begun.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::process::Command;

use common::{Ended, Hwtrace, Scratch, Target, c, c_with, live, live_as_root, nobody};

const STORES: &str = r#"probe process.data("counter").write { println("hit") }"#;

/// hwtrace refuses with this code and this help, and has begun nothing: the
/// script or its use is wrong.
#[track_caller]
fn refused(hwtrace: Hwtrace, code: &str, help: &[&str]) -> Ended {
    refused_with(2, hwtrace, code, help)
}

#[track_caller]
fn refused_with(status: i32, hwtrace: Hwtrace, code: &str, help: &[&str]) -> Ended {
    let ended = hwtrace.run().expect(status);
    ended.says(&[&format!("error[{code}]"), "help: "]).says(help);
    assert_eq!(ended.out, [""; 0], "{ended:#?}");
    ended
}

#[test]
fn a_script_that_does_not_compile() {
    refused(Hwtrace::script("probe end { nothing() }", c("obey")), "E0102", &["nothing"]);
    let script = r#"probe process.data("counter").write { print($neww) }"#;
    refused(Hwtrace::script(script, c("obey")), "E0103", &["$new"]);
    let ended = Hwtrace::script("probe {", c("obey")).run().expect(2);
    ended.says(&["error[E00"]);
}

#[test]
fn a_variable_that_is_not_there() {
    if !live() {
        return;
    }
    let script = r#"probe process.data("countre").write {}"#;
    refused(Hwtrace::script(script, c("obey")), "E0304", &["`countre`", "`counter`"]);
    let target = Target::start(&c("obey"), &[]);
    refused(Hwtrace::attach(script, &target), "E0304", &["`counter`"]);
    let function = r#"probe process.data("store").write {}"#;
    refused(Hwtrace::attach(function, &target), "E0304", &["is a function"]);
    assert_eq!(target.finish().unwrap(), ["bye, counter is 0 of 0"]);
}

#[test]
fn a_process_that_is_not_there() {
    if !live() {
        return;
    }
    // One that was, until now.
    let mut ended = Command::new("true").spawn().unwrap();
    let pid = ended.id().to_string();
    ended.wait().unwrap();
    for pid in [&*pid, "999999999", "4294967295", "0"] {
        let hwtrace = Hwtrace::new(&["-e", STORES, "-p", pid]);
        refused(hwtrace, "E0402", &[&format!("no process {pid}")]);
    }
}

#[test]
fn a_thread_is_not_a_process() {
    if !live() {
        return;
    }
    let target = Target::start(&c("threads"), &["1", "0"]);
    let pid = target.pid();
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let threads =
        threads.map(|thread| thread.unwrap().file_name().into_string().unwrap());
    let thread = threads.into_iter().find(|thread| *thread != pid.to_string()).unwrap();
    let hwtrace = Hwtrace::new(&["-e", STORES, "-p", &thread]);
    refused(hwtrace, "E0402", &[&format!("-p {pid}`: all of its threads")]);
}

#[test]
fn a_script_without_a_target() {
    refused(Hwtrace::new(&["-e", STORES]), "E0401", &["-c ./prog", "-p PID"]);
}

#[test]
fn commands_that_cannot_be_executed() {
    let scratch = Scratch::new();
    let bits = scratch.file("bits", b"#!/bin/sh\n", 0o644);
    let missing = scratch.file("missing", b"", 0o644);
    std::fs::remove_file(&missing).unwrap();
    let folder = missing.parent().unwrap();
    for (command, help) in [
        (&*bits, "chmod +x"),
        (&missing, "there is no program"),
        (folder, "may not be executed"),
        (Path::new("no-such-command-anywhere"), "in $PATH"),
    ] {
        refused(Hwtrace::script(STORES, command), "E0403", &[help]);
    }
    refused(Hwtrace::new(&["-e", STORES, "-c", ""]), "E0403", &["empty"]);
    let ended = Hwtrace::new(&["-e", STORES, "-c", "./prog 'unclosed"]).run().expect(2);
    ended.says(&["quotes", "not closed"]);
}

#[test]
fn data_of_a_length_that_nothing_has() {
    if !live() {
        return;
    }
    let script = r#"probe process.data("counter").length(0).write {}"#;
    let ended = Hwtrace::script(script, c("obey")).run().expect(2);
    ended.says(&["error[E0307]", "at least 1 byte"]);
    let script = r#"probe process.data("counter").length(10000).write {}"#;
    let help = ["10000 bytes long, which takes 1250 registers"];
    refused(Hwtrace::script(script, c("obey")), "E0307", &help);
}

#[test]
fn a_stripped_program() {
    if !live() {
        return;
    }
    let program = c_with("obey", &["-s", "-no-pie"]);
    let help = ["is stripped", "0x404010"];
    refused(Hwtrace::script(STORES, &program), "E0306", &help);
    // The way out that it shows works: by address.
    let address = address_of("counter", &c_with("obey", &["-no-pie"]));
    let script = format!(r#"probe process.data({address}).write {{ println("hit") }}"#);
    let ended = Hwtrace::script(&script, &program).run_with("store 3").expect(0);
    assert_eq!(ended.out.iter().filter(|line| *line == "hit").count(), 3, "{ended:#?}");
}

fn address_of(name: &str, program: &Path) -> String {
    let symbols = Command::new("nm").arg(program).output().unwrap();
    let symbols = String::from_utf8(symbols.stdout).unwrap();
    let line = symbols.lines().find(|line| line.ends_with(&format!(" {name}"))).unwrap();
    format!("0x{}", line.split(' ').next().unwrap())
}

/// A 32-bit program of one segment that ends with status 0.
fn thirty_two_bit_program() -> Vec<u8> {
    const BASE: u32 = 0x0804_8000;
    const HEADERS: u32 = 52 + 32;
    // mov $1, %eax; xor %ebx, %ebx; int $0x80
    let code = [0xb8, 1, 0, 0, 0, 0x31, 0xdb, 0xcd, 0x80];
    let size = HEADERS + code.len() as u32;
    let mut bytes = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // An executable for the 80386.
    bytes.extend([2, 0, 3, 0, 1, 0, 0, 0]);
    for word in [BASE + HEADERS, 52, 0, 0] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend([52, 0, 32, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    // Loaded whole, readable and executable.
    for word in [1, 0, BASE, BASE, size, size, 5, 0x1000u32] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(code);
    bytes
}

#[test]
fn a_32_bit_program() {
    if !live() {
        return;
    }
    let scratch = Scratch::new();
    let program = scratch.file("old", &thirty_two_bit_program(), 0o755);
    let runs = Command::new(&program).status().is_ok_and(|status| status.success());
    let (code, help) = if runs {
        ("E0406", "without `-m32`")
    } else {
        eprintln!("NOTE: this kernel runs no 32-bit programs");
        ("E0403", "is no program that this machine can execute")
    };
    refused(Hwtrace::script(STORES, &program), code, &[help]);
}

#[test]
fn another_users_process() {
    if !live_as_root() {
        return;
    }
    let target = Target::start(&c("obey"), &[]);
    let scratch = Scratch::new();
    let hwtrace = scratch.copy(env!("CARGO_BIN_EXE_hwtrace"));
    let pid = target.pid().to_string();
    let help = ["sudo", "as the user that the process runs as"];
    // Rightly asked, and refused by the kernel: no fault of the script.
    let script = Hwtrace::by(nobody(&hwtrace), &["-e", STORES, "-p", &pid]);
    refused_with(1, script, "E0404", &help);
    let watch = Hwtrace::by(nobody(&hwtrace), &["watch", "counter", "-p", &pid]);
    refused_with(1, watch, "E0404", &help);
    assert_eq!(target.finish().unwrap(), ["bye, counter is 0 of 0"]);
}

#[test]
fn output_that_cannot_be_written_to_a_file() {
    let ended =
        Hwtrace::script(STORES, c("obey")).with(&["-o", "/no/such/folder/file"]).run();
    ended.expect(2).says(&["/no/such/folder/file", "cannot write"]);
}

/// Whoever reads the output may go; the target goes on to its end.
#[test]
fn output_that_nobody_reads_any_more() {
    if !live() {
        return;
    }
    let target = Target::start(&c("obey"), &[]);
    let script = r#"probe begin { println("armed") }
        probe process.data("counter").write { println($new) }"#;
    let file = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut full = Command::new(env!("CARGO_BIN_EXE_hwtrace"));
    full.args(["-e", script, "-p", &target.pid().to_string()]);
    let output = full.stdout(file).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let messages = String::from_utf8(output.stderr).unwrap();
    assert!(messages.contains("cannot write the output"), "{messages}");
    assert_eq!(target.finish().unwrap(), ["bye, counter is 0 of 0"]);
}

#[test]
fn memory_of_a_process_that_has_ended() {
    if !live() {
        return;
    }
    let script = r#"probe process.data("counter").write {}
        probe end { println(@var("counter")) }"#;
    let ended = Hwtrace::script(script, c_with("obey", &["-g"])).run().expect(1);
    let helps = ["had ended by then", "in a global at an earlier hit", "--dump plan"];
    ended.says(&["error[E0509]"]).says(&helps);
    // One that is there is not told to have ended.
    let target = Target::start(&c("obey"), &[]);
    let script = r#"probe process.data("counter").write {}
        probe begin { println(user_long(8)) }"#;
    let refused = Hwtrace::attach(script, &target).run().expect(1);
    refused.says(&["error[E0509]", "test the address first"]);
    assert!(!refused.messages.join("\n").contains("had ended"), "{refused:#?}");
    assert!(target.finish().is_some());
}
