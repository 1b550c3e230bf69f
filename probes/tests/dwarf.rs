//! Variables and types are those that the sources have, however the compiler and its
//! tools wrote them down.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use hwtrace_probes::dwarf::NoDebugInfo;
use hwtrace_probes::symbols::{Elf, load};
use hwtrace_probes::types::{
    Bits, DebugInfo, Place, Record, Type, Types, Variable, type_name,
};
use hwtrace_probes::{Dwarf, VirtOffset};

const SOURCES: [&str; 2] = ["types.c", "types_other.c"];

fn elf(path: &Path) -> Arc<Elf> {
    Arc::new(Elf::parse(load(path).expect("it is there")).expect("an ELF file"))
}

fn try_open(path: &Path) -> Result<Dwarf, NoDebugInfo> {
    Dwarf::open(&elf(path), path, Path::new("/"), 3)
}

fn open(path: &Path) -> Dwarf {
    try_open(path).expect("debug information")
}

/// Builds types.c in a folder of its own.
fn build(name: &str, options: &[&str]) -> PathBuf {
    let folder = common::output(&format!("dwarf-{name}"));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    common::build("cc", &format!("dwarf-{name}/types"), &SOURCES, options)
}

/// Runs a tool of binutils or the like. False if it is not installed, or cannot.
fn run(program: &str, arguments: &[&str]) -> bool {
    let status = Command::new(program).args(arguments).status();
    status.is_ok_and(|status| status.success())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// What is called `name`; there must be one.
fn one(dwarf: &Dwarf, name: &str) -> Variable {
    let mut all = dwarf.variables(name);
    assert_eq!(all.len(), 1, "{name}: {all:?}");
    all.remove(0)
}

fn record(dwarf: &Dwarf, name: &str) -> Record {
    let types: &dyn Types = dwarf;
    match &*types.plain(one(dwarf, name).ty).1 {
        Type::Record(record) => record.clone(),
        other => panic!("{name}: {other:?}"),
    }
}

/// Everything about types.c that does not depend on how it is built.
fn check(path: &Path) {
    let dwarf = open(path);
    check_variables(&dwarf, &elf(path));
    check_record(&dwarf);
    check_types(&dwarf);
    assert_eq!(dwarf.missing_files(), [] as [PathBuf; 0]);
}

fn check_variables(dwarf: &Dwarf, elf: &Elf) {
    for name in ["everything", "list", "hidden", "favourite", "elsewhere_only"] {
        let variable = one(dwarf, name);
        assert_eq!(variable.name, name);
        let found = elf.find_data(name);
        if let (Ok(symbol), Place::Fixed(address)) = (found, variable.place) {
            assert_eq!(symbol.address, address, "{name}");
        }
        assert!(matches!(variable.place, Place::Fixed(_)), "{name}");
        let Place::Fixed(address) = variable.place else { continue };
        assert_eq!(dwarf.variable_at(address).as_ref(), Some(&variable));
        let inside = VirtOffset(address.0 + 3);
        assert_eq!(dwarf.variable_at(inside).as_ref(), Some(&variable));
    }
    let line = one(dwarf, "list").declared.expect("a line");
    assert_eq!(&*line.file, common::source("types.c").to_str().expect("text"));
    assert_eq!(line.line, 38);
    let mut lines: Vec<_> = dwarf.variables("counter");
    lines.retain(|variable| matches!(variable.place, Place::Fixed(_)));
    let lines: Vec<_> = lines.into_iter().filter_map(|found| found.declared).collect();
    let files: Vec<_> = lines.iter().map(|line| line.file.rsplit('/').next()).collect();
    assert_eq!(files, [Some("types.c"), Some("types_other.c")]);
    for name in ["calls", "bump::calls"] {
        let calls = one(dwarf, name);
        assert_eq!(calls.name, "bump::calls");
        assert!(matches!(calls.place, Place::Fixed(_)));
    }
    assert_eq!(one(dwarf, "per_thread_too").place, Place::ThreadLocal(8));
    assert_eq!(one(dwarf, "per_thread").place, Place::ThreadLocal(0));
    assert!(
        dwarf
            .variables("before")
            .iter()
            .all(|found| found.place != Place::Elsewhere || found.name == "bump::before")
    );
    for name in ["no_such_name", "", "every", "verything", "main::everything", "::"] {
        assert_eq!(dwarf.variables(name), [], "{name}");
    }
    let mut all = Vec::new();
    dwarf.all_variables(&mut |variable| all.push(variable.name));
    all.sort();
    let ours = ["bump::calls", "counter", "counter", "elsewhere_only", "everything"];
    for name in ours {
        let count = |names: &[&str]| names.iter().filter(|found| **found == name).count();
        let found: Vec<&str> = all.iter().map(|name| &**name).collect();
        assert_eq!(count(&found), count(&ours), "{name} in {all:?}");
    }
}

/// As gdb's `ptype /o struct everything` and `print &everything.…` have it.
fn check_record(dwarf: &Dwarf) {
    let everything = record(dwarf, "everything");
    assert_eq!((everything.keyword, everything.size), ("struct", 128));
    let types: &dyn Types = dwarf;
    let found: Vec<_> = everything
        .members
        .iter()
        .map(|member| {
            let name = member.name.as_deref().unwrap_or("");
            (name, member.offset, types.size(member.ty), type_name(types, member.ty))
        })
        .collect();
    let expected = [
        ("text", 0, Some(8), "char [8]"),
        ("small", 8, Some(1), "signed char"),
        ("byte", 9, Some(1), "unsigned char"),
        ("low", 8, Some(4), "unsigned int"),
        ("mid", 8, Some(4), "unsigned int"),
        ("high", 8, Some(4), "int"),
        ("wide", 16, Some(8), "long int"),
        ("pointer", 24, Some(8), "word *"),
        ("color", 32, Some(4), "enum color"),
        ("ratio", 36, Some(4), "float"),
        ("matrix", 40, Some(48), "double [2][3]"),
        ("", 88, Some(4), "union {…}"),
        ("point", 92, Some(4), "struct {…}"),
        ("flag", 96, Some(1), "_Bool"),
        ("call", 104, Some(8), "void *"),
        ("precise", 112, Some(16), "long double"),
        ("tail", 128, None, "uint8_t []"),
    ];
    assert_eq!(found.len(), expected.len());
    for (found, (name, offset, size, ty)) in found.iter().zip(expected) {
        assert_eq!((found.0, found.1, found.2), (name, offset, size));
        assert_eq!(found.3, ty, "{name}");
    }
    let bits = everything.members.iter().filter_map(|member| member.bits);
    let expected = [(16, 3), (19, 7), (26, 5), (0, 40)];
    let expected = expected.map(|(offset, width)| Bits { offset, width });
    assert_eq!(bits.collect::<Vec<_>>(), expected);
}

fn check_types(dwarf: &Dwarf) {
    let Type::Enumeration(color) = &*dwarf.get(one(dwarf, "favourite").ty) else {
        panic!("no enumeration");
    };
    assert_eq!(
        (color.name.as_deref(), color.size, color.signed),
        (Some("color"), 4, true)
    );
    let constants: Vec<_> =
        color.constants.iter().map(|(name, value)| (&**name, *value)).collect();
    assert_eq!(constants, [("RED", 0), ("GREEN", 5), ("BLUE", -2)]);
    assert_eq!(dwarf.constant("BLUE"), Some(-2));
    assert_eq!(dwarf.constant("GREEN"), Some(5));
    assert_eq!(dwarf.constant("color::GREEN"), Some(5));
    assert_eq!(dwarf.constant("everything"), None);

    // A definition in the other file.
    let types: &dyn Types = dwarf;
    let node = dwarf.named("struct node").expect("it is there");
    let Type::Record(node) = &*dwarf.get(node) else { panic!("no record") };
    let Type::Pointer { to, reference: false } = &*dwarf.get(node.members[2].ty) else {
        panic!("no pointer");
    };
    let Type::Record(hidden) = &*dwarf.get(*to) else { panic!("no record") };
    assert!(!hidden.declared);
    assert_eq!((hidden.size, hidden.members.len()), (8, 2));
    assert_eq!(types.size(*to), Some(8));

    for (name, size) in [
        ("word", 4),
        ("struct everything", 128),
        ("struct hidden", 8),
        ("enum color", 4),
        ("unsigned long", 8),
        ("long unsigned int", 8),
        ("unsigned", 4),
        ("char", 1),
        ("uint8_t", 1),
        ("short", 2),
        ("const struct node", 24),
    ] {
        let id = dwarf.named(name).expect(name);
        assert_eq!(id.source(), 3, "{name}");
        assert_eq!(types.size(id), Some(size), "{name}");
    }
    for name in ["struct word", "union everything", "struct counter", "struct", ""] {
        assert_eq!(dwarf.named(name), None, "{name}");
    }
}

#[test]
fn versions_of_dwarf() {
    for version in ["2", "3", "4", "5"] {
        let path = build(&format!("v{version}"), &[&format!("-gdwarf-{version}")]);
        check(&path);
        let strict = [&format!("-gdwarf-{version}"), "-gstrict-dwarf"];
        let path = build(&format!("strict{version}"), &strict);
        let dwarf = open(&path);
        check_record(&dwarf);
    }
}

#[test]
fn types_in_units_of_their_own() {
    for version in ["-gdwarf-4", "-gdwarf-5"] {
        let options = [version, "-fdebug-types-section"];
        check(&build(&format!("types{version}"), &options));
    }
}

#[test]
fn types_of_which_only_the_signature_is_left() {
    for version in ["-gdwarf-4", "-gdwarf-5"] {
        let options = [version, "-fdebug-types-section"];
        let path =
            common::build("cc", &format!("alone{version}"), &["alone.c"], &options);
        let dwarf = open(&path);
        let types: &dyn Types = &dwarf;
        assert_eq!(record(&dwarf, "one").name.as_deref(), Some("alone"), "{version}");
        assert_eq!(types.size(one(&dwarf, "one").ty), Some(32), "{version}");
        assert_eq!(types.size(one(&dwarf, "many").ty), Some(320), "{version}");
    }
}

#[test]
fn packed_sections() {
    for kind in ["zlib", "zlib-gnu", "zstd"] {
        let folder = common::output("dwarf-probe");
        let probe = [format!("-gz={kind}"), "-g".to_owned()];
        let probe: Vec<&str> = probe.iter().map(|option| &**option).collect();
        let source = common::source("types_other.c");
        let mut arguments = vec!["-c", "-o", text(&folder), text(&source)];
        arguments.extend(&probe);
        if run("cc", &arguments) {
            check(&build(kind, &probe));
        } else {
            println!("SKIPPED: cc has no -gz={kind}");
        }
    }
}

#[test]
fn packed_by_objcopy() {
    let path = build("objcopy", &["-g"]);
    for kind in ["zlib-gnu", "zlib-gabi", "zstd"] {
        let packed = path.with_file_name(kind);
        let option = format!("--compress-debug-sections={kind}");
        if run("objcopy", &[&option, text(&path), text(&packed)]) {
            check(&packed);
        } else {
            println!("SKIPPED: objcopy has no {option}");
        }
    }
}

#[test]
fn split_off() {
    for version in ["-gdwarf-4", "-gdwarf-5"] {
        for more in ["-gsplit-dwarf", "-fdebug-types-section"] {
            let options = [version, "-gsplit-dwarf", more];
            let path = build(&format!("split{version}{more}"), &options);
            check(&path);
            check_package(&path);
            check_missing(&path);
        }
    }
}

/// With all `.dwo` files in one.
fn check_package(path: &Path) {
    let packed = path.with_file_name("packed");
    std::fs::copy(path, &packed).expect("a copy");
    let package = path.with_file_name("packed.dwp");
    // binutils' tool never ends over some of what gcc writes.
    let make = |tool| ["5", tool, "-e", text(path), "-o", text(&package)];
    let made = ["dwp", "llvm-dwp"].iter().any(|tool| run("timeout", &make(tool)));
    if made {
        check(&packed);
    } else {
        println!("SKIPPED: no tool makes a .dwp of {}", path.display());
    }
}

/// Without the `.dwo` files.
fn check_missing(path: &Path) {
    let folder = path.parent().expect("a folder");
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "dwo") {
            std::fs::remove_file(path).expect("it goes");
        }
    }
    let dwarf = open(path);
    assert_eq!(dwarf.variables("everything"), []);
    assert_eq!(dwarf.missing_files().len(), 2);
    assert!(dwarf.missing_files()[0].ends_with("types-types.dwo"));
}

#[test]
fn in_a_file_of_its_own() {
    let path = build("separate", &["-g", "-Wl,--build-id"]);
    let debug = path.with_file_name("types.debug");
    assert!(run("objcopy", &["--only-keep-debug", text(&path), text(&debug)]));
    let stripped = path.with_file_name("stripped");
    assert!(run("objcopy", &["--strip-all", text(&path), text(&stripped)]));

    let Err(NoDebugInfo::Nothing { build_id: Some(id) }) = try_open(&stripped) else {
        panic!("there is none");
    };
    let link = format!("--add-gnu-debuglink={}", text(&debug));
    assert!(run("objcopy", &[&link, text(&stripped)]));
    check(&stripped);
    let beside = path.with_file_name(".debug");
    std::fs::create_dir(&beside).expect("a folder");
    std::fs::rename(&debug, beside.join("types.debug")).expect("it moves");
    check(&stripped);

    // Below another root, by its build-id.
    let root = path.with_file_name("root");
    let folder = root.join("usr/lib/debug/.build-id").join(&id[..2]);
    std::fs::create_dir_all(&folder).expect("a folder");
    let there = folder.join(format!("{}.debug", &id[2..]));
    std::fs::rename(beside.join("types.debug"), &there).expect("it moves");
    match try_open(&stripped) {
        Err(NoDebugInfo::Missing { name, looked, build_id }) => {
            assert_eq!(name, "types.debug");
            assert_eq!(build_id, Some(id));
            assert_eq!(looked.len(), 4, "{looked:?}");
        }
        other => panic!("{other:?}"),
    }
    let inside = Path::new("/usr/bin/types");
    let dwarf = Dwarf::open(&elf(&stripped), inside, &root, 3).expect("it is there");
    check_record(&dwarf);
    check_variables(&dwarf, &elf(&path));
}

/// A debug link without build-id is known by its checksum.
#[test]
fn of_another_build() {
    let path = build("other", &["-g", "-Wl,--build-id=none"]);
    let debug = path.with_file_name("types.debug");
    assert!(run("objcopy", &["--only-keep-debug", text(&path), text(&debug)]));
    let link = format!("--add-gnu-debuglink={}", text(&debug));
    assert!(run("objcopy", &["--strip-all", &link, text(&path)]));
    check(&path);
    let mut bytes = std::fs::read(&debug).expect("it is there");
    bytes.push(0);
    std::fs::write(&debug, bytes).expect("it is written");
    let path = match try_open(&path) {
        Err(NoDebugInfo::OtherFile { path }) => path,
        other => panic!("{other:?}"),
    };
    assert_eq!(path, debug);
}

#[test]
fn none_at_all() {
    let path = build("none", &["-s", "-Wl,--build-id=none"]);
    let Err(error) = try_open(&path) else { panic!("there is none") };
    assert_eq!(error, NoDebugInfo::Nothing { build_id: None });
    assert_eq!(error.to_string(), "it has no debug information");
}

#[test]
fn optimized() {
    check(&build("o2", &["-g", "-O2"]));
    check(&build("lto", &["-g", "-O2", "-flto"]));
    // The library has thread-locals of its own here.
    check_record(&open(&build("static", &["-g", "-static"])));
    check(&build("fixed", &["-g", "-no-pie"]));
}

/// What the linker left out is no variable, though the compiler told of it.
#[test]
fn left_out() {
    let path = build("gc", &["-g", "-fdata-sections", "-Wl,--gc-sections"]);
    let dwarf = open(&path);
    assert_eq!(dwarf.variables("unused"), []);
    assert_eq!(one(&dwarf, "elsewhere_only").name, "elsewhere_only");
}

/// What two files have in common is moved to a third.
#[test]
fn gone_over_by_dwz() {
    for version in ["-gdwarf-4", "-gdwarf-5"] {
        let path = build(&format!("dwz{version}"), &[version]);
        let other = path.with_file_name("other");
        std::fs::copy(&path, &other).expect("a copy");
        let common = path.with_file_name("common");
        if !run("dwz", &["-m", text(&common), text(&path), text(&other)]) {
            println!("SKIPPED: no dwz");
            return;
        }
        check(&path);
    }
}
