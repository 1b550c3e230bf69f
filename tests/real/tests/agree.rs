//! What expressions name in real programs: hwtrace and gdb must agree about
//! address, size and type, and about the values of bit-fields, which have no
//! address.

#![allow(missing_docs, clippy::unwrap_used)]

#[path = "agree/expressions.rs"]
mod expressions;
#[path = "agree/gdb.rs"]
mod gdb;
#[path = "agree/ours.rs"]
mod ours;
#[path = "../../common/program.rs"]
#[allow(dead_code, reason = "others compile other programs")]
mod program;
#[path = "../../common/skip.rs"]
mod skip;
#[path = "agree/spelling.rs"]
mod spelling;
#[path = "../../common/target.rs"]
#[allow(dead_code, reason = "others say more to their targets")]
mod target;

use std::path::Path;
use std::process::Command;

use expressions::Row;
use target::Target;

#[test]
fn sqlite() {
    agree(env!("CARGO_BIN_EXE_real_sqlite"), expressions::SQLITE);
}

#[test]
fn lua() {
    agree(env!("CARGO_BIN_EXE_real_lua"), expressions::LUA);
}

#[test]
fn zstd() {
    agree(env!("CARGO_BIN_EXE_real_zstd"), expressions::ZSTD);
}

#[test]
fn tokio() {
    agree(env!("CARGO_BIN_EXE_real_tokio"), expressions::TOKIO);
}

#[test]
fn shapes() {
    agree(program::cpp("shapes"), expressions::SHAPES);
}

/// A program in a library. Distributions strip it, so it is not required.
#[test]
fn python() {
    const WAIT: &str = "import sys\nprint('ready', flush=True)\n\
        for line in sys.stdin: print(line, flush=True)";
    let mut python = Command::new("python3");
    python.args(["-c", WAIT]);
    if python.output().is_err() {
        eprintln!("SKIPPED: there is no python3");
        return;
    }
    if !gdb_is_present() {
        return;
    }
    let target = Target::start_command(python);
    if ours::ask(target.pid(), &["_PyRuntime.gilstate"])[0].is_err() {
        eprintln!("SKIPPED: this python3 has no debug information");
        return;
    }
    compare(&target, expressions::PYTHON);
}

fn gdb_is_present() -> bool {
    gdb::present() || skip::skip("there is no gdb to compare with")
}

/// Lets the program work a little, so that its data is there, and compares.
#[track_caller]
fn agree(program: impl AsRef<Path>, rows: &[Row]) {
    if !gdb_is_present() {
        return;
    }
    let mut target = Target::start(program.as_ref(), &[]);
    assert!(target.ask("3").is_some(), "it ended");
    compare(&target, rows);
    target.finish();
}

#[track_caller]
fn compare(target: &Target, rows: &[Row]) {
    let ours: Vec<_> = rows.iter().map(|(ours, _)| *ours).collect();
    let theirs: Vec<_> = rows.iter().map(|(ours, gdb)| gdb.unwrap_or(ours)).collect();
    let gdb = gdb::ask(target.pid(), &theirs);
    let ours = ours::ask(target.pid(), &ours);
    let mut wrong = Vec::new();
    for ((row, ours), gdb) in rows.iter().zip(ours).zip(gdb) {
        match ours {
            Ok(ours) if same(&ours, &gdb) => {}
            other => {
                wrong.push(format!("{row:?}\n  hwtrace {other:?}\n  gdb     {gdb:?}"))
            }
        }
    }
    let count = rows.len();
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
}

fn same(ours: &ours::Answer, gdb: &gdb::Answer) -> bool {
    let ty = gdb.ty.as_deref().map(spelling::common);
    let same_type = ty.as_deref() == Some(&spelling::common(&ours.ty));
    same_type
        && match ours.of_bits {
            // gdb has an address and a size only of what it can point to.
            Some(value) => gdb.value == Some(value),
            None => gdb.address == Some(ours.address) && gdb.size == Some(ours.size),
        }
}
