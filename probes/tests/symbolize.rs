//! Names found are those at the addresses that the programs print of themselves.

mod common;

use std::sync::Arc;

use common::{Target, build, build_c};
use hwtrace_probes::{AbsAddr, Process, Symbolizer};

fn noted(target: &Target) -> Symbolizer {
    let mut symbolizer = Symbolizer::new();
    let process = Process::open(target.pid()).expect("it runs");
    symbolizer.note_process(&process).expect("own child");
    symbolizer
}

fn check_c(target: &Target, symbolizer: &mut Symbolizer, pid: u32) {
    for name in ["main", "bump"] {
        let start = target.address(name);
        let symbol = symbolizer.function(pid, AbsAddr(start + 3)).expect(name);
        assert_eq!((&*symbol.name, symbol.offset), (name, 3));
        assert!(symbol.size > 3);
        let text = symbolizer.describe(pid, AbsAddr(start + 3));
        let expected = format!("{name}+0x3/{:#x} [{}]", symbol.size, symbol.module);
        assert_eq!(text, expected);
        let (at, code) = symbolizer.function_code(pid, AbsAddr(start + 3)).expect(name);
        assert_eq!((at.0, code.len() as u64), (start, symbol.size));
        // `ret` is in all of them.
        assert!(code.contains(&0xc3), "{name}: {code:x?}");
    }
    for (name, size) in [("counter", 4), ("limits", 64), ("constant", 4)] {
        let address = AbsAddr(target.address(name) + 1);
        let symbol = symbolizer.data(pid, address).expect(name);
        assert_eq!((&*symbol.name, symbol.offset, symbol.size), (name, 1, size));
        assert_eq!(&*symbolizer.name(pid, address), name);
        assert_eq!(symbolizer.function(pid, address), None);
        assert!(symbolizer.function_code(pid, address).is_none());
    }
    assert_eq!(symbolizer.describe(pid, AbsAddr(8)), "0x8");
    assert_eq!(&*symbolizer.name(pid, AbsAddr(u64::MAX)), "0xffffffffffffffff");
}

#[test]
fn functions_and_variables() {
    for (name, options) in [
        ("symbolize-pie", &["-pie", "-fPIE"][..]),
        ("symbolize-no-pie", &["-no-pie", "-fno-pie", "-O2"]),
        ("symbolize-static", &["-static"]),
        ("symbolize-packed", &["-Wl,-z,noseparate-code"]),
    ] {
        let target = Target::start(&build_c(name, options));
        check_c(&target, &mut noted(&target), target.pid());
    }
}

#[test]
fn a_process_that_nobody_noted() {
    let target = Target::start(&build_c("unnoted", &[]));
    check_c(&target, &mut Symbolizer::new(), target.pid());
}

#[test]
fn a_process_that_has_exited_and_its_file_too() {
    let path = build_c("exited", &[]);
    let mut target = Target::start(&path);
    let mut symbolizer = noted(&target);
    target.finish();
    std::fs::remove_file(path).expect("it is there");
    check_c(&target, &mut symbolizer, target.pid());
}

#[test]
fn a_forked_child_has_its_parents_mappings() {
    let target = Target::start(&build_c("forked", &[]));
    let mut symbolizer = noted(&target);
    // No process has this id.
    let child = u32::MAX;
    symbolizer.note_fork(target.pid(), child);
    check_c(&target, &mut symbolizer, child);
    symbolizer.note_exec(child);
    let main = AbsAddr(target.address("main"));
    assert_eq!(symbolizer.function(child, main), None);
}

#[test]
fn mappings_told_by_events_only() {
    let mut target = Target::start(&build_c("events", &[]));
    let process = Process::open(target.pid()).expect("it runs");
    let mut symbolizer = Symbolizer::new();
    let pid = u32::MAX;
    // Events tell of code only, and no inode number.
    for mut mapping in process.maps().expect("own child") {
        if mapping.executable && mapping.path.is_some() {
            mapping.inode = 0;
            symbolizer.note_mapping(pid, mapping);
        }
    }
    target.finish();
    check_c(&target, &mut symbolizer, pid);
}

#[test]
fn a_function_of_a_library() {
    let target = Target::start(&build_c("library", &[]));
    let mut symbolizer = noted(&target);
    let address = AbsAddr(target.address("printf"));
    let symbol = symbolizer.function(target.pid(), address).expect("exported");
    assert!(symbol.name.ends_with("printf"), "{symbol}");
    assert!(symbol.module.starts_with("libc"), "{symbol}");
}

#[test]
fn rust_functions_have_no_hash() {
    let options = ["--crate-name=names", "--edition=2024"];
    let target =
        Target::start(&build("rustc", "symbolize-rust", &["names.rs"], &options));
    let mut symbolizer = noted(&target);
    let address = AbsAddr(target.address("names::bump"));
    let symbol = symbolizer.function(target.pid(), address).expect("bump");
    assert_eq!(&*symbol.name, "names::bump");
    let again = symbolizer.function(target.pid(), address).expect("bump");
    assert!(Arc::ptr_eq(&symbol.name, &again.name));
}

#[test]
fn another_file_of_the_same_name_is_not_believed() {
    let path = build_c("replaced", &[]);
    let target = Target::start(&path);
    let process = Process::open(target.pid()).expect("it runs");
    let mappings = process.maps().expect("own child");
    std::fs::remove_file(&path).expect("it is there");
    std::fs::copy("/bin/true", &path).expect("a copy");
    let mut symbolizer = Symbolizer::new();
    for mapping in mappings {
        symbolizer.note_mapping(u32::MAX, mapping);
    }
    let main = AbsAddr(target.address("main"));
    assert_eq!(symbolizer.function(u32::MAX, main), None);
}
