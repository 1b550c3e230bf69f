//! Addresses found are those that the programs print of themselves.

mod common;

use common::{Target, build, build_c};
use hwtrace_probes::process::ProcessError;
use hwtrace_probes::resolve::{ResolveError, resolve_for_thread};
use hwtrace_probes::symbols::ElfError;
use hwtrace_probes::{
    AbsAddr, Expression, Files, Image, Location, Memory, Process, resolve, type_of,
};

/// No pointer is followed here.
struct NoMemory;

impl Memory for NoMemory {
    fn read(&mut self, _: AbsAddr, _: &mut [u8]) -> usize {
        0
    }

    fn robust_list(&mut self, _: u32) -> Option<AbsAddr> {
        None
    }
}

fn find(
    process: &Process,
    text: &str,
    length: Option<u64>,
) -> Result<Location, ResolveError> {
    let expression = Expression::parse(text).expect("an expression");
    let image = Image::of_process(process, &Files::symbols_only()).expect("it runs");
    resolve(&image, &mut NoMemory, &expression, length)
}

/// Everything about the variables of data.c that does not depend on how it is built.
fn check_c(name: &str, options: &[&str]) {
    let target = Target::start(&build_c(name, options));
    let process = Process::open(target.pid()).expect("it runs");
    for (name, length) in [
        ("counter", 4),
        ("initialised", 8),
        ("byte", 1),
        ("limits+16", 8),
        ("file_static", 2),
        ("file_static@data.c", 2),
        ("shared_name@data.c", 4),
        ("shared_name@other.c", 4),
        ("calls", 4),
        ("constant", 4),
    ] {
        let location = find(&process, name, None).expect(name);
        let printed = name.strip_prefix("file_static@data.c").map(|_| "file_static");
        let address = target.address(printed.unwrap_or(name));
        assert_eq!(location.address.0, address, "{name}");
        assert_eq!(location.size, length, "{name}");
        assert_eq!(location.name, name);
        assert!(location.mapped);
    }
    let half = find(&process, "counter", Some(2)).expect("explicit");
    assert_eq!((half.size, half.symbol_size), (2, Some(4)));
    let first = find(&process, "limits", Some(8)).expect("explicit");
    assert_eq!(first.address.0, target.address("limits"));
    check_c_errors(&process, &target);
    check_pieces(&process);
    check_thread_locals(&process, &target);

    let address = target.address("initialised");
    let location = find(&process, &format!("{address:#x}"), None).expect("address");
    assert_eq!((location.address.0, location.size), (address, 8));
    assert_eq!(location.name, format!("{address:#x}"));
    assert!(location.mapped);
    let nowhere = find(&process, "0x1000", None).expect("an address");
    assert!(!nowhere.mapped);
}

/// Objects of any size and place are covered by registers.
fn check_pieces(process: &Process) {
    let whole = find(process, "limits", None).expect("limits");
    assert_eq!((whole.size, whole.pieces.len()), (64, 8));
    assert_eq!(whole.pieces[1].parts[0].name, "limits+8");
    let odd = find(process, "limits+7", Some(3)).expect("limits");
    let pieces: Vec<_> =
        odd.pieces.iter().map(|piece| (piece.length, piece.window.clone())).collect();
    assert_eq!(pieces, [(1, 0..1), (2, 0..2)]);
    let text = find(process, "text", None).expect("text");
    assert_eq!((text.size, text.assumed_length), (3, false));
    let rest = find(process, "text+1", None).expect("text");
    assert_eq!((rest.size, rest.assumed_length), (2, true));
    let eight = find(process, "limits+3", None).expect("limits");
    assert_eq!((eight.size, eight.assumed_length), (8, true));
}

/// The main thread's, found without stopping it.
fn check_thread_locals(process: &Process, target: &Target) {
    let image = Image::of_process(process, &Files::symbols_only()).expect("it runs");
    let expression = Expression::name("per_thread");
    let typed = type_of(&image, &expression, None).expect("it is there");
    assert!(typed.per_thread && typed.size == 4);
    assert!(find(process, "per_thread", None).expect("one").thread_local.is_some());
    let mut memory = target.memory();
    let tid = process.pid();
    let own = resolve_for_thread(&image, &mut memory, &expression, None, tid);
    let own = own.expect("the main thread's");
    assert_eq!(own.address.0, target.address("per_thread"));
    assert_eq!(own.thread_local, None);
}

fn check_c_errors(process: &Process, target: &Target) {
    let error = |text, length| find(process, text, length).expect_err(text);
    match error("cuonter", None) {
        ResolveError::NoSuchSymbol { nearest, .. } => assert_eq!(nearest[0], "counter"),
        other => panic!("{other}"),
    }
    for outside in ["limits+64", "limits+96", "limits-8"] {
        match error(outside, None) {
            ResolveError::Outside { size: 64, address: Some(address), .. } => {
                let offset: i64 = outside[6..].parse().expect("a number");
                let start = target.address("limits");
                assert_eq!(address.0, start.wrapping_add_signed(offset));
            }
            other => panic!("{other}"),
        }
    }
    let ambiguous = error("shared_name", None);
    let said = ambiguous.to_string();
    for part in ["2 variables", "`shared_name@data.c`", "`shared_name@other.c`", " and "]
    {
        assert!(said.contains(part), "{said}");
    }
    match ambiguous {
        ResolveError::Ambiguous { candidates, .. } => {
            let mut expected =
                ["shared_name", "other_shared_name"].map(|name| target.address(name));
            expected.sort_unstable();
            let found: Vec<u64> =
                candidates.iter().map(|candidate| candidate.address.0).collect();
            assert_eq!(found, expected);
            let files: Vec<_> = candidates
                .iter()
                .filter_map(|candidate| candidate.file.clone())
                .collect();
            assert!(files.contains(&"other.c".to_owned()), "{files:?}");
        }
        other => panic!("{other}"),
    }
    for (name, expected) in [
        ("shared_name@third.c", "shared_name@data.c"),
        ("counter@data.c", "counter"),
        ("cuonter@data.c", "counter"),
    ] {
        match error(name, None) {
            ResolveError::NoSuchSymbol { nearest, .. } => {
                assert!(nearest.contains(&expected.to_owned()), "{nearest:?}");
            }
            other => panic!("{other}"),
        }
    }
    let other = error("main", None);
    assert!(matches!(other, ResolveError::Function { .. }), "{other}");
    let other = error("counter", Some(0));
    assert!(matches!(other, ResolveError::NotALength { length: 0 }), "{other}");
    let other = error("limits", Some(1 << 20));
    assert!(matches!(other, ResolveError::TooWide { .. }), "{other}");
    let other = error("limits.x", None);
    assert!(matches!(other, ResolveError::Untyped { .. }), "{other}");
    let other = error("libnone.so:x", None);
    assert!(other.may_come_later(), "{other}");
    let other = error("0xffffffff81000000", None);
    assert!(matches!(other, ResolveError::NotUserSpace { .. }), "{other}");
}

#[test]
fn position_independent() {
    check_c("pie", &["-pie", "-fPIE"]);
}

#[test]
fn at_fixed_addresses() {
    check_c("no-pie", &["-no-pie", "-fno-pie"]);
}

#[test]
fn statically_linked() {
    check_c("static", &["-static"]);
}

#[test]
fn statically_linked_and_position_independent() {
    check_c("static-pie", &["-static-pie", "-fPIE"]);
}

#[test]
fn optimised_with_debug_information() {
    check_c("optimised", &["-g", "-O2"]);
}

#[test]
fn a_variable_copied_from_a_library_has_a_version() {
    let target = Target::start(&build_c("copied", &["-no-pie", "-fno-pie"]));
    let process = Process::open(target.pid()).expect("it runs");
    for name in ["stdout", "stdout@GLIBC_2.2.5", "stdout@@GLIBC_2.2.5"] {
        let location = find(&process, name, None).expect(name);
        assert_eq!(location.address.0, target.address("stdout"));
        assert_eq!(location.size, 8);
    }
}

#[test]
fn a_stripped_program_has_addresses_only() {
    let target = Target::start(&build_c("stripped", &["-s"]));
    let process = Process::open(target.pid()).expect("it runs");
    let error = find(&process, "counter", None).expect_err("stripped");
    assert!(matches!(error, ResolveError::Stripped { .. }), "{error}");
    let address = target.address("counter");
    let location = find(&process, &format!("{address:#x}"), Some(4)).expect("address");
    assert_eq!(location.address.0, address);
}

#[test]
fn all_the_names_of_cpp() {
    let path = build("c++", "names-cpp", &["names.cpp"], &["-g"]);
    check_names(&Target::start(&path));
}

#[test]
fn all_the_names_of_rust() {
    for (name, options) in [
        ("names-rust", &["--crate-name=names"][..]),
        ("names-rust-O", &["--crate-name=names", "-O", "-g"]),
        ("names-rust-v0", &["--crate-name=names", "-Csymbol-mangling-version=v0"]),
    ] {
        let options = [options, &["--edition=2024"]].concat();
        check_names(&Target::start(&build("rustc", name, &["names.rs"], &options)));
    }
}

/// Optimised, `b::COUNT` has a symbol that ends in `.0`.
#[test]
fn two_rust_statics_of_one_name() {
    for (name, options) in [
        ("twins", &[][..]),
        ("twins-O", &["-O"]),
        ("twins-v0", &["-O", "-Csymbol-mangling-version=v0"]),
    ] {
        let options = [options, &["--crate-name=twins", "--edition=2024"]].concat();
        let target = Target::start(&build("rustc", name, &["twins.rs"], &options));
        let process = Process::open(target.pid()).expect("it runs");
        for (name, count) in &target.addresses {
            if name.contains("a::") {
                let location = find(&process, name, None).expect(name);
                assert_eq!(location.address.0, *count);
            }
        }
        let found = ["b::COUNT", "twins::b::COUNT", "crate::b::COUNT"]
            .map(|name| find(&process, name, Some(4)).expect(name).address);
        assert!(found.iter().all(|address| *address == found[0]), "{found:?}");

        let error = find(&process, "COUNT", None).expect_err("two");
        let ResolveError::Ambiguous { candidates, .. } = error else {
            panic!("{error}");
        };
        let mut texts: Vec<_> =
            candidates.iter().map(|choice| &*choice.expression).collect();
        texts.sort_unstable();
        // The second with or without `.0`: that is up to LLVM.
        assert_eq!(texts[0], "twins::a::COUNT");
        let second = find(&process, texts[1], Some(4)).expect("offered");
        assert_eq!(second.address, found[0]);
        let error = find(&process, "b::COUNTT", None).expect_err("misspelt");
        let ResolveError::NoSuchSymbol { nearest, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(nearest[0], "twins::b::COUNT");
    }
}

#[test]
fn a_hexadecimal_address_without_0x() {
    let target = Target::start(&build_c("decimal", &["-no-pie", "-fno-pie"]));
    let process = Process::open(target.pid()).expect("it runs");
    // Fixed addresses are around 0x404000: one with no letters in it is near.
    let address = target.address("counter") & !0xfff;
    let digits = format!("{address:x}");
    assert!(digits.bytes().all(|digit| digit.is_ascii_digit()), "{digits}");
    match find(&process, &digits, None).expect_err("not mapped") {
        error @ ResolveError::NotHex { as_hex, .. } => {
            assert_eq!(as_hex.0, address);
            let said = format!("did you mean {address:#x}?");
            assert!(error.to_string().ends_with(&said), "{error}");
        }
        other => panic!("{other}"),
    }
    let decimal = find(&process, &address.to_string(), None).expect("it is mapped");
    assert_eq!(decimal.address.0, address);
    let nowhere = find(&process, "16", None).expect("an address");
    assert!(!nowhere.mapped);
}

fn check_names(target: &Target) {
    let process = Process::open(target.pid()).expect("it runs");
    for (name, address) in &target.addresses {
        if name == "names::bump" {
            continue;
        }
        let location = find(&process, name, Some(1));
        let location = location.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(location.address.0, *address, "{name}");
    }
}

#[test]
fn a_deleted_program() {
    let path = build_c("deleted", &[]);
    let target = Target::start(&path);
    std::fs::remove_file(path).expect("it is there");
    let process = Process::open(target.pid()).expect("it runs");
    let location = find(&process, "counter", None).expect("counter");
    assert_eq!(location.address.0, target.address("counter"));
}

#[test]
fn a_program_that_has_ended() {
    let mut target = Target::start(&build_c("ended", &[]));
    let process = Process::open(target.pid()).expect("it runs");
    target.finish();
    let error = Image::of_process(&process, &Files::symbols_only());
    let error = error.expect_err("it has ended");
    assert!(matches!(error, ProcessError::Gone { .. }), "{error:?}");
    assert!(Process::open(target.pid()).is_err());
}

#[test]
fn a_32_bit_file() {
    let mut bytes = std::fs::read(build_c("class", &[])).expect("it is there");
    bytes[4] = 1;
    let error = parse(bytes.clone()).expect_err("32-bit");
    assert_eq!(error, ElfError::Not64Bit);
    bytes[4] = 2;
    bytes[18] = 183;
    let error = parse(bytes).expect_err("another machine");
    assert_eq!(error, ElfError::OtherMachine { machine: 183 });
    assert_eq!(parse(b"#!/bin/sh".to_vec()).err(), Some(ElfError::NotElf));
}

fn parse(bytes: Vec<u8>) -> Result<hwtrace_probes::symbols::Elf, ElfError> {
    use hwtrace_probes::symbols::{Elf, FileBytes};
    Elf::parse(FileBytes::Owned(bytes))
}
