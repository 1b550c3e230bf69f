//! Lines and functions of instructions are those that the sources have, however the
//! compiler and its tools wrote them down.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Target, build, output};
use hwtrace_probes::dwarf::Frame;
use hwtrace_probes::symbols::KernelSymbols;
use hwtrace_probes::{AbsAddr, Process, Symbolizer};

fn noted(target: &Target) -> Symbolizer {
    let mut symbolizer = Symbolizer::new();
    let process = Process::open(target.pid()).expect("it runs");
    symbolizer.note_process(&process).expect("own child");
    symbolizer
}

/// The line and address that a target printed under this name.
fn printed(target: &Target, name: &str) -> (u32, AbsAddr) {
    let mut all = target.addresses.iter();
    let fits =
        |known: &str| known.split_once(':').is_some_and(|(known, _)| known == name);
    let (known, &address) = all.find(|(known, _)| fits(known)).expect(name);
    let (_, line) = known.split_once(':').expect("as found");
    (line.parse().expect("a number"), AbsAddr(address))
}

/// The line of a source that has this text.
fn line_of(source: &str, text: &str) -> u32 {
    let source = std::fs::read_to_string(common::source(source)).expect("it is there");
    let index = source.lines().position(|line| line.contains(text)).expect(text);
    u32::try_from(index + 1).expect("few")
}

fn shown(frames: &[Frame]) -> Vec<String> {
    let show = |frame: &Frame| {
        let file = frame.file.as_deref().map(Path::new).and_then(Path::file_name);
        let inlined = if frame.inlined { " inlined" } else { "" };
        format!(
            "{} {}:{}{inlined}",
            frame.function.as_deref().unwrap_or("?"),
            file.map_or("?".into(), |name| name.to_string_lossy()),
            frame.line.unwrap_or(0),
        )
    };
    frames.iter().map(show).collect()
}

fn check_c(target: &Target, symbolizer: &mut Symbolizer) {
    let pid = target.pid();
    let (line, address) = printed(target, "plain");
    let frames = symbolizer.source(pid, address);
    assert_eq!(shown(&frames), [format!("plain lines.c:{line}")]);
    let found = symbolizer.line(pid, address).expect("a line");
    assert_eq!((Some(&found.file), found.line), (frames[0].file.as_ref(), line));

    let (line, address) = printed(target, "inner");
    let in_middle = line_of("lines.h", "/* inner is called */");
    let in_outer = line_of("lines.c", "/* middle is called */");
    let expected = [
        format!("inner lines.h:{line} inlined"),
        format!("middle lines.h:{in_middle} inlined"),
        format!("outer lines.c:{in_outer}"),
    ];
    assert_eq!(shown(&symbolizer.source(pid, address)), expected);
    assert_eq!(symbolizer.line(pid, address).map(|line| line.line), Some(line));
    assert!(symbolizer.source(pid, AbsAddr(8)).is_empty());
}

fn build_lines(name: &str, options: &[&str]) -> PathBuf {
    build("cc", name, &["lines.c"], options)
}

#[test]
fn lines_of_c() {
    for (name, options) in [
        ("lines-plain", &["-g"][..]),
        ("lines-fast", &["-g", "-O2"]),
        ("lines-dwarf4", &["-gdwarf-4", "-O2"]),
        ("lines-dwarf3", &["-gdwarf-3", "-gstrict-dwarf"]),
        ("lines-fixed", &["-g", "-O2", "-no-pie", "-fno-pie"]),
        ("lines-packed", &["-g", "-O2", "-gz"]),
        ("lines-lto", &["-g", "-O2", "-flto"]),
        ("lines-sections", &["-g", "-O2", "-ffunction-sections", "-Wl,--gc-sections"]),
    ] {
        eprintln!("{name}");
        let target = Target::start(&build_lines(name, options));
        check_c(&target, &mut noted(&target));
    }
}

#[test]
fn lines_of_split_debug_information() {
    for (name, version) in [("lines-split5", "-gdwarf-5"), ("lines-split4", "-gdwarf-4")]
    {
        let path = build_lines(name, &["-g", version, "-gsplit-dwarf", "-O2"]);
        let target = Target::start(&path);
        check_c(&target, &mut noted(&target));
    }
}

/// All `.dwo` files in one. (Of DWARF 5 the `dwp` of binutils 2.40 makes none.)
#[test]
fn lines_of_packed_split_debug_information() {
    let name = "lines-pack";
    let path = build_lines(name, &["-g", "-gdwarf-4", "-gsplit-dwarf", "-O2"]);
    let package = output("lines-pack.dwp");
    let mut command = Command::new("dwp");
    command.arg("-e").arg(&path).arg("-o").arg(&package);
    assert!(command.status().expect("it is installed").success());
    std::fs::remove_file(output("lines-pack-lines.dwo")).expect("the compiler made it");
    let target = Target::start(&path);
    check_c(&target, &mut noted(&target));
}

#[test]
fn lines_are_found_after_the_process_and_its_file_are_gone() {
    let path = build_lines("lines-gone", &["-g", "-O2"]);
    let mut target = Target::start(&path);
    std::fs::remove_file(&path).expect("it is there");
    let mut symbolizer = noted(&target);
    target.finish();
    check_c(&target, &mut symbolizer);
}

#[test]
fn lines_of_a_stripped_program_are_in_its_debug_file() {
    let path = build_lines("lines-stripped", &["-g", "-O2"]);
    let debug = output("lines-stripped.debug");
    objcopy(&["--only-keep-debug"], &path, Some(&debug));
    objcopy(&["--strip-all"], &path, None);
    let link = format!("--add-gnu-debuglink={}", debug.display());
    objcopy(&[&link], &path, None);
    let mut target = Target::start(&path);
    let mut symbolizer = noted(&target);
    target.finish();
    check_c(&target, &mut symbolizer);
    // Functions, too, are only there.
    let start = target.address("plain");
    let place = symbolizer.place(target.pid(), AbsAddr(start + 3));
    assert_eq!(place, "plain+0x3");
    let code = symbolizer.function_code(target.pid(), AbsAddr(start + 3));
    assert!(code.is_some_and(|it| it.start.0 == start && it.bytes.contains(&0xc3)));
}

fn objcopy(options: &[&str], from: &Path, to: Option<&Path>) {
    let mut command = Command::new("objcopy");
    let status = command.args(options).arg(from).args(to).status();
    assert!(status.expect("it is installed").success(), "{options:?}");
}

#[test]
fn without_debug_information_there_is_no_line() {
    let target = Target::start(&build_lines("lines-none", &["-g0"]));
    let mut symbolizer = noted(&target);
    for name in ["plain", "inner"] {
        let (_, address) = printed(&target, name);
        assert_eq!(symbolizer.line(target.pid(), address), None);
        assert_eq!(&*symbolizer.source(target.pid(), address), []);
    }
}

#[test]
fn lines_of_rust() {
    for (name, options) in
        [("lines-rust", &["-g"][..]), ("lines-rust-fast", &["-g", "-O"])]
    {
        let target = Target::start(&build("rustc", name, &["lines.rs"], options));
        let (line, address) = printed(&target, "inner");
        let call = line_of("lines.rs", "// inner is called");
        let expected = [
            format!("lines::Pool::inner lines.rs:{line} inlined"),
            format!("lines::Pool::outer lines.rs:{call}"),
        ];
        let frames = noted(&target).source(target.pid(), address);
        assert_eq!(shown(&frames), expected, "{name}");
    }
}

/// A program stands for the kernel, which runs higher up.
#[test]
fn lines_of_the_kernel() {
    const SHIFT: u64 = 0xffff_ffff_8000_0000;
    let path = build_lines("lines-kernel", &["-g", "-O2", "-no-pie", "-fno-pie"]);
    let nm = Command::new("nm").arg(&path).output().expect("it is installed");
    let listed = String::from_utf8(nm.stdout).expect("text");
    let shifted = |line: &str| {
        let (address, rest) = line.split_once(' ')?;
        let address = u64::from_str_radix(address, 16).ok()? + SHIFT;
        Some(format!("{address:x} {rest}\n"))
    };
    let symbols: String = listed.lines().filter_map(shifted).collect();
    let target = Target::start(&path);
    let (line, address) = printed(&target, "inner");
    let address = AbsAddr(address.0 + SHIFT);
    let symbols = || KernelSymbols::parse(symbols.as_bytes());
    let mut symbolizer = Symbolizer::with_kernel_file(symbols(), &path);
    let frames = symbolizer.source(0, address);
    assert_eq!(shown(&frames)[0], format!("inner lines.h:{line} inlined"));
    assert!(symbolizer.pointer(0, address).contains(" <outer"));

    let other = build_lines("lines-kernel-other", &["-g", "-O0", "-no-pie", "-fno-pie"]);
    let mut symbolizer = Symbolizer::with_kernel_file(symbols(), &other);
    assert_eq!(symbolizer.line(0, address), None);
}

/// The target prints each address with the name that it is to have.
#[test]
fn members_of_data() {
    let target = Target::start(&build_lines("lines-members", &["-g", "-O2"]));
    let mut symbolizer = noted(&target);
    let data = target.addresses.iter().filter(|(name, _)| name.starts_with('&'));
    let mut count = 0;
    for (name, &address) in data {
        let expected = format!("{address:#x} <{name}>");
        assert_eq!(symbolizer.pointer(target.pid(), AbsAddr(address)), expected);
        count += 1;
    }
    assert_eq!(count, 8);
    let main = target.address("main");
    for (address, name) in [(main, "main"), (main + 2, "main+0x2")] {
        let text = symbolizer.pointer(target.pid(), AbsAddr(address));
        assert_eq!(text, format!("{address:#x} <{name}>"));
    }
    assert_eq!(symbolizer.pointer(target.pid(), AbsAddr(0)), "0x0");
    assert_eq!(symbolizer.pointer(target.pid(), AbsAddr(8)), "0x8");
}

#[test]
fn data_without_debug_information_is_a_symbol_and_a_distance() {
    let target = Target::start(&build_lines("lines-no-members", &["-g0"]));
    let address = target.address("&cache.slots[4]");
    let distance = address - target.address("&cache");
    let text = noted(&target).pointer(target.pid(), AbsAddr(address));
    assert_eq!(text, format!("{address:#x} <&cache+{distance}>"));
}

/// Relative to the folder where the compiler ran, if it was given so.
#[test]
fn files_are_as_compiled() {
    let folder = common::source("");
    let path = output("lines-relative");
    let mut command = Command::new("cc");
    command.current_dir(&folder).args(["-g", "-O2", "./lines.c", "-o"]).arg(&path);
    assert!(command.status().expect("the compiler runs").success());
    let target = Target::start(&path);
    let (_, address) = printed(&target, "plain");
    let line = noted(&target).line(target.pid(), address).expect("a line");
    assert!(["lines.c", "./lines.c"].contains(&&*line.file), "{}", line.file);

    let target = Target::start(&build_lines("lines-absolute", &["-g"]));
    let (_, address) = printed(&target, "plain");
    let line = noted(&target).line(target.pid(), address).expect("a line");
    assert_eq!(Path::new(&*line.file), common::source("lines.c"));
}
