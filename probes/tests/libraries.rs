//! Variables of shared libraries, and thread-locals of both, are where the programs
//! say they are.

mod common;

use std::path::{Path, PathBuf};

use common::{Target, build, output};
use hwtrace_probes::resolve::{ResolveError, resolve_for_thread};
use hwtrace_probes::{
    Expression, Files, Image, Loader, Location, Process, resolve, type_of,
};

/// Builds the library and the program that uses it, in a folder of their own.
fn build_both(name: &str, library: &[&str], program: &[&str]) -> PathBuf {
    let folder = output(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = |file: &str| format!("{name}/{file}");
    let options = [&["-shared", "-fPIC", "-Wl,-soname,libshelf.so.2"], library].concat();
    let built = build("cc", &path("libshelf.so.2"), &["shelf.c"], &options);
    let built = built.to_str().expect("text");
    let options = [program, &[built, "-pthread", "-Wl,-rpath,$ORIGIN"]].concat();
    build("cc", &path("user"), &["user.c"], &options)
}

fn parse(text: &str) -> Expression {
    Expression::parse(text).expect(text)
}

fn find(target: &Target, text: &str, tid: u32) -> Result<Location, ResolveError> {
    let process = Process::open(target.pid()).expect("it runs");
    let image = Image::of_process(&process, &Files::symbols_only()).expect("it runs");
    let mut memory = target.memory();
    resolve_for_thread(&image, &mut memory, &parse(text), None, tid)
}

fn check(name: &str, library: &[&str], program: &[&str]) {
    let target = Target::start(&build_both(name, library, program));
    for text in [
        "shelf_books",
        "hidden_books",
        "libshelf.so:hidden_books",
        "libshelf:hidden_books",
        "libshelf.so.2:hidden_books",
        "hidden_books@shelf.c",
    ] {
        let found = find(&target, text, target.pid());
        let found = found.unwrap_or_else(|error| panic!("{text}: {error}"));
        let variable = text.split(':').next_back().unwrap_or(text);
        let variable = variable.trim_end_matches("@shelf.c");
        assert_eq!(found.address.0, target.address(variable), "{name}: {text}");
        assert_eq!((found.size, found.thread_local), (4, None));
    }
    let other = u32::try_from(target.address("thread")).expect("an id");
    for (tid, suffix) in [(target.pid(), String::new()), (other, format!("@{other}"))] {
        for (variable, size) in [
            ("own_first", 5),
            ("own_aligned", 8),
            ("shelf_reader", 32),
            ("shelf_page", 4),
        ] {
            let found = find(&target, variable, tid);
            let found = found.unwrap_or_else(|error| panic!("{variable}: {error}"));
            let expected = target.address(&format!("{variable}{suffix}"));
            assert_eq!(
                (found.address.0, found.size),
                (expected, size),
                "{name}: {variable}"
            );
        }
    }
    let error = find(&target, "libshelf.so:nothing", other).expect_err("there is none");
    assert!(matches!(error, ResolveError::NoSuchSymbol { .. }), "{error}");
    let error = find(&target, "liboak.so:shelf_books", other).expect_err("no such file");
    let help = error.help().unwrap_or_default();
    assert!(error.may_come_later() && help.contains("libshelf.so.2"), "{error}: {help}");
}

#[test]
fn position_independent() {
    check("shelf-pie", &[], &["-fPIE", "-pie"]);
}

/// The program has a copy of the library's variable.
#[test]
fn at_fixed_addresses() {
    check("shelf-no-pie", &[], &["-no-pie", "-fno-pie"]);
}

#[test]
fn with_descriptors_of_thread_locals() {
    check("shelf-descriptors", &["-mtls-dialect=gnu2"], &["-mtls-dialect=gnu2"]);
}

#[test]
fn with_thread_locals_at_a_fixed_distance() {
    check("shelf-static", &["-ftls-model=initial-exec"], &[]);
}

/// Before it runs: names, lengths, and no addresses.
#[test]
fn of_a_file_alone() {
    // Without copies of the library's variables.
    let path = build_both("shelf-file", &[], &["-fPIC", "-pie"]);
    let files = Files::symbols_only();
    let loader = Loader::of_this_system();
    let image = Image::of_file(&path, Some(&loader), &files).expect("a program");
    let names: Vec<_> = image
        .modules()
        .iter()
        .filter_map(|module| module.path().file_name()?.to_str().map(str::to_owned))
        .collect();
    assert_eq!(names[..2], ["user", "libshelf.so.2"]);
    assert!(names.contains(&"libc.so.6".to_owned()), "{names:?}");
    for (text, size, per_thread) in [
        ("hidden_books", 4, false),
        ("shelf_reader", 32, true),
        ("libc:environ", 8, false),
    ] {
        let typed = type_of(&image, &parse(text), None).expect(text);
        assert_eq!((typed.size, typed.per_thread), (size, per_thread), "{text}");
    }
    let alone = Image::of_file(&path, None, &files).expect("a program");
    let error = type_of(&alone, &parse("hidden_books"), None).expect_err("a library's");
    assert!(matches!(error, ResolveError::NoSuchSymbol { .. }), "{error}");
    let error = type_of(&alone, &parse("shelf_books"), None).expect_err("a library's");
    assert!(matches!(error, ResolveError::InSharedLibrary { .. }), "{error}");
    let target = Target::start(&path);
    let mut memory = target.memory();
    let error = resolve(&alone, &mut memory, &parse("own_first"), None);
    assert!(error.is_ok_and(|found| found.thread_local.is_some()));
    let error = resolve(&image, &mut memory, &parse("hidden_books"), None);
    assert!(error.is_err_and(|error| error.may_come_later()));

    let missing = Image::of_file(Path::new("/no/such"), None, &files).expect_err("none");
    assert!(missing.to_string().starts_with("cannot read /no/such: "), "{missing}");
    let text = Image::of_file(Path::new("/etc/passwd"), None, &files).expect_err("text");
    assert_eq!(text.to_string(), "/etc/passwd: it is not an ELF file");
}
