//! Names found are those at the addresses that the programs print of themselves.

mod common;

use std::process::Command;
use std::sync::Arc;

use common::{Target, build, build_c};
use hwtrace_probes::symbols::KernelSymbols;
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
        let place = symbolizer.place(pid, AbsAddr(start + 3));
        assert_eq!(place, format!("{name}+0x3"));
        let code = symbolizer.function_code(pid, AbsAddr(start + 3)).expect(name);
        assert_eq!((code.start.0, code.size), (start, symbol.size));
        // `ret` is in all of them.
        let own = &code.bytes[..code.size as usize];
        assert!(own.contains(&0xc3), "{name}: {code:x?}");
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
    assert_eq!(&*symbolizer.name(pid, AbsAddr(8)), "0x8");
    assert_eq!(symbolizer.place(pid, AbsAddr(8)), "0x8");
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

/// What objdump and addr2line call it: the file says where `bump` is before it
/// is loaded anywhere.
#[test]
fn code_without_a_symbol_has_its_file_and_offset() {
    for (name, options) in [
        ("bare-pie", &["-pie", "-fPIE"][..]),
        ("bare-no-pie", &["-no-pie", "-fno-pie"]),
        ("bare-packed", &["-Wl,-z,noseparate-code"]),
    ] {
        let path = build_c(name, options);
        let nm = Command::new("nm").arg(&path).output().expect("binutils");
        let nm = String::from_utf8(nm.stdout).expect("text");
        let bump = nm.lines().find_map(|line| line.strip_suffix(" T bump"));
        let offset = u64::from_str_radix(bump.expect("a function"), 16);
        let offset = offset.expect("a number") + 3;
        let status = Command::new("strip").arg(&path).status().expect("binutils");
        assert!(status.success());

        let target = Target::start(&path);
        let (mut symbolizer, pid) = (noted(&target), target.pid());
        let address = AbsAddr(target.address("bump") + 3);
        let short = format!("{name}+{offset:#x}");
        assert_eq!(&*symbolizer.name(pid, address), short);
        assert_eq!(symbolizer.place(pid, address), short);
        let long = format!("{address} [{short}]");
        assert_eq!(symbolizer.describe(pid, address), long);
    }
}

#[test]
fn memory_of_no_file_is_a_number() {
    let target = Target::start(&build_c("anonymous", &[]));
    let mut symbolizer = noted(&target);
    let maps = Process::open(target.pid()).and_then(|process| process.maps());
    let maps = maps.expect("own child");
    // The stack, the vDSO, heaps; but not `.bss`, which belongs to its file.
    let anonymous = maps.iter().rev().find(|mapping| mapping.path.is_none());
    let address = AbsAddr(anonymous.expect("the vDSO").start.0 + 64);
    let address = if address.is_kernel() { AbsAddr(0x7ff0_0000_0000) } else { address };
    for text in [
        symbolizer.place(target.pid(), address),
        symbolizer.name(target.pid(), address).to_string(),
        symbolizer.describe(target.pid(), address),
    ] {
        assert_eq!(text, address.to_string());
    }
}

#[test]
fn functions_of_the_kernel() {
    let text = b"ffffffff81000000 T copy\nffffffff81000060 t next\n\
        ffffffffc0000000 t chain\t[nf_tables]\nffffffffc0000040 d data\t[nf_tables]\n";
    let mut symbolizer = Symbolizer::with_kernel(KernelSymbols::parse(text));
    for (address, place, name, data) in [
        (0xffff_ffff_8100_001a, "[kernel] copy+0x1a", "copy", "copy+0x1a/0x60 [kernel]"),
        (
            0xffff_ffff_c000_0001,
            "[nf_tables] chain+0x1",
            "chain",
            "chain+0x1/0x40 [nf_tables]",
        ),
        (
            0xffff_ffff_c000_0041,
            "[kernel] 0xffffffffc0000041",
            "[kernel] 0xffffffffc0000041",
            "0xffffffffc0000041 [kernel]",
        ),
    ] {
        // Whatever process it acts for, also one that has gone.
        for pid in [std::process::id(), u32::MAX] {
            assert_eq!(symbolizer.place(pid, AbsAddr(address)), place);
            assert_eq!(&*symbolizer.name(pid, AbsAddr(address)), name);
            assert_eq!(symbolizer.describe(pid, AbsAddr(address)), data);
            assert_eq!(symbolizer.data(pid, AbsAddr(address)), None);
        }
    }
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

#[test]
fn functions_without_symbols_begin_where_unwinding_says() {
    for (name, options) in [
        ("symbolize-stripped", &["-s"][..]),
        ("symbolize-stripped-static", &["-s", "-static", "-no-pie"]),
    ] {
        let target = Target::start(&build_c(name, options));
        let mut symbolizer = noted(&target);
        for name in ["main", "bump"] {
            let start = target.address(name);
            let inside = AbsAddr(start + 3);
            assert_eq!(symbolizer.function(target.pid(), inside), None);
            let code = symbolizer.function_code(target.pid(), inside).expect(name);
            assert_eq!(code.start.0, start, "{name}");
            assert!(code.bytes[..code.size as usize].contains(&0xc3), "{name}");
            // The padding before it goes with the function before it.
            // What begins the program has nothing that unwinds it.
            let before = symbolizer.function_code(target.pid(), AbsAddr(start - 1));
            let ends = before.map(|code| code.start.0 + code.size);
            assert!(ends.map_or(name == "bump", |end| end <= start), "{ends:?}");
        }
    }
}
