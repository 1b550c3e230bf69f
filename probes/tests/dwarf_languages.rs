//! Variables and types of C++ and Rust, and locals of functions.

mod common;

use std::path::Path;
use std::sync::Arc;

use hwtrace_probes::Dwarf;
use hwtrace_probes::dwarf::Function;
use hwtrace_probes::symbols::{Elf, load};
use hwtrace_probes::types::{
    DebugInfo, Member, Place, Record, Type, Types, Variable, type_name,
};

fn open(path: &Path) -> Dwarf {
    let elf = Elf::parse(load(path).expect("it is there")).expect("an ELF file");
    Dwarf::open(&Arc::new(elf), path, Path::new("/"), 0).expect("debug information")
}

fn one(dwarf: &Dwarf, name: &str) -> Variable {
    let mut all = dwarf.variables(name);
    assert_eq!(all.len(), 1, "{name}: {all:?}");
    all.remove(0)
}

fn record(dwarf: &Dwarf, name: &str) -> Record {
    match &*dwarf.get(one(dwarf, name).ty) {
        Type::Record(record) => record.clone(),
        other => panic!("{name}: {other:?}"),
    }
}

/// What its variables are called, what type they have and how long they are.
fn check_names(dwarf: &Dwarf, expected: &[(&str, &str, &str, u64)]) {
    let types: &dyn Types = dwarf;
    for (asked, name, ty, size) in expected {
        let variable = one(dwarf, asked);
        assert_eq!(variable.name, *name, "{asked}");
        assert_eq!(type_name(types, variable.ty), *ty, "{asked}");
        assert_eq!(types.size(variable.ty), Some(*size), "{asked}");
    }
}

fn names(members: &[Member]) -> Vec<(&str, u64)> {
    let name = |member: &Member| member.name.clone().map_or("", |name| name.leak());
    members.iter().map(|member| (name(member), member.offset)).collect()
}

#[test]
fn cpp() {
    for version in ["-gdwarf-4", "-gdwarf-5"] {
        for more in ["-O0", "-fdebug-types-section", "-gsplit-dwarf", "-O2"] {
            let name = format!("dwarf-cpp{version}{more}");
            let path = common::build("c++", &name, &["classes.cpp"], &[version, more]);
            check_cpp(&open(&path), more == "-O2");
        }
    }
}

fn check_cpp(dwarf: &Dwarf, optimized: bool) {
    check_names(
        dwarf,
        &[
            ("pool", "pool", "app::Pool", 48),
            ("left", "left", "app::Left", 24),
            ("reference", "reference", "app::Pool &", 8),
            ("moved", "moved", "app::Pool &", 8),
            ("wide", "wide", "char16_t [4]", 8),
            ("limit", "app::Pool::limit", "int", 4),
            ("Pool::limit", "app::Pool::limit", "int", 4),
            ("::app::Pool::limit", "app::Pool::limit", "int", 4),
            ("_ZN3app4Pool5limitE", "app::Pool::limit", "int", 4),
            ("app::Pool::live", "app::Pool::live", "int", 4),
            ("app::versioned", "app::v1::versioned", "int", 4),
            ("v1::versioned", "app::v1::versioned", "int", 4),
            ("cells", "app::Grid<short int, 3>::cells", "short int [3]", 6),
            (
                "Grid<short int,3>::cells",
                "app::Grid<short int, 3>::cells",
                "short int [3]",
                6,
            ),
            ("app::level", "app::level", "app::Level", 1),
            ("plain", "app::plain", "app::Plain", 4),
        ],
    );
    if !optimized {
        check_names(
            dwarf,
            &[
                ("Pool::size::calls", "app::Pool::size::calls", "int", 4),
                ("size() const::calls", "app::Pool::size::calls", "int", 4),
                ("hidden", "(anonymous namespace)::hidden", "int", 4),
                ("app::deep", "app::(anonymous namespace)::deep", "int", 4),
            ],
        );
    }
    assert_eq!(one(dwarf, "per_thread").place, Place::ThreadLocal(0));
    assert!(matches!(one(dwarf, "limit").place, Place::Fixed(_)));
    assert_eq!(dwarf.variables("Other::limit"), []);
    assert_eq!(one(dwarf, "fixed").place, Place::OptimizedOut);

    let pool = record(dwarf, "pool");
    let expected = [
        ("", 8),
        ("_vptr.Pool", 0),
        ("member", 16),
        ("method", 24),
        ("level", 40),
        ("inner", 44),
    ];
    assert_eq!(names(&pool.members), expected);
    assert!(pool.members[0].base && !pool.members[1].base);
    // Where its virtual base is, no type says.
    assert_eq!(names(&record(dwarf, "left").members), [("_vptr.Left", 0), ("left", 8)]);
    assert_eq!(dwarf.constant("Level::High"), Some(200));
    assert_eq!(dwarf.constant("app::Second"), Some(-1));
    let types: &dyn Types = dwarf;
    for (name, size) in [("app::Pool", 48), ("class Pool", 48), ("Pool::Inner", 4)] {
        assert_eq!(types.size(dwarf.named(name).expect(name)), Some(size));
    }
}

#[test]
fn rust() {
    for version in ["4", "5"] {
        let option = format!("-Cdebuginfo=2 -Cdwarf-version={version}");
        let options: Vec<&str> = option.split(' ').collect();
        let name = format!("dwarf-rust{version}");
        let path = common::build("rustc", &name, &["enums.rs"], &options);
        check_rust(&open(&path));
    }
}

fn check_rust(dwarf: &Dwarf) {
    check_names(
        dwarf,
        &[
            ("COUNT", "enums::COUNT", "u64", 8),
            ("BYTE", "enums::BYTE", "u8", 1),
            ("LETTER", "enums::LETTER", "char", 4),
            ("YES", "enums::YES", "bool", 1),
            ("TEXT", "enums::TEXT", "&str", 16),
            ("SLICE", "enums::SLICE", "&[u16]", 16),
            ("PAIR", "enums::PAIR", "(i8, u32)", 8),
            ("GRID", "enums::GRID", "u16 [2][3]", 12),
            ("POINT", "enums::POINT", "enums::shapes::Point<i64>", 16),
            ("shapes::SHAPE", "enums::shapes::SHAPE", "enums::shapes::Shape", 16),
            ("bump::CALLS", "enums::bump::CALLS", "u64", 8),
            ("enums::NUMBER", "enums::NUMBER", "core::option::Option<u32>", 8),
        ],
    );
    let local = one(dwarf, "enums::LOCAL");
    assert_eq!((&*local.name, local.place), ("enums::LOCAL", Place::ThreadLocal(0)));
    assert_eq!(one(dwarf, "LOCAL"), local);
    let kind = |name: &str| dwarf.get(one(dwarf, name).ty);
    assert!(matches!(&*kind("BYTE"), Type::Integer { signed: false, .. }));
    assert!(matches!(&*kind("LETTER"), Type::Char { size: 4, .. }));
    let Type::Enumeration(level) = &*kind("LEVEL") else { panic!("no enumeration") };
    assert_eq!((level.size, level.signed), (1, false));
    assert_eq!(dwarf.constant("Level::High"), Some(200));

    let variants = |name: &str| {
        let variants = record(dwarf, name).variants.expect("an enum");
        let discriminant = variants.discriminant.expect("more than one");
        let size = <dyn Types>::size(dwarf, discriminant.ty);
        let all = variants.all.into_iter();
        (size, all.map(|variant| (variant.name, variant.values)).collect::<Vec<_>>())
    };
    let named = |name: &str, values: Option<u64>| {
        (name.to_owned(), values.map(|value| vec![value]))
    };
    let shape =
        [named("Circle", Some(0)), named("Square", Some(1)), named("Nothing", Some(2))];
    assert_eq!(variants("SHAPE"), (Some(1), shape.to_vec()));
    // A pointer that is not null stands for `Some`.
    let some = [named("None", Some(0)), named("Some", None)];
    assert_eq!(variants("SOME"), (Some(8), some.to_vec()));
}

/// All copies of a function.
fn functions(dwarf: &Dwarf, name: &str) -> Vec<Function> {
    let functions = dwarf.functions_named(name);
    assert!(!functions.is_empty(), "{name}");
    functions
}

#[test]
fn locals() {
    let path = common::build("cc", "dwarf-locals", &["locals.c"], &["-g", "-O0"]);
    let dwarf = open(&path);
    let functions = functions(&dwarf, "sum");
    assert_eq!(functions.len(), 1);
    let sum = &functions[0];
    assert_eq!((&*sum.name, sum.frame.as_deref()), ("sum", Some("cfa")));
    assert_eq!(sum.declared.as_ref().map(|line| line.line), Some(3));
    let found: Vec<_> = sum
        .locals
        .iter()
        .map(|local| {
            let ty = type_name(&dwarf, local.ty);
            let scoped = !local.scope.is_empty();
            (&*local.name, ty, local.parameter, scoped, &*local.places[0].1)
        })
        .collect();
    // As gdb's `info scope sum` has it, counted from the frame base.
    let expected = [
        ("values", "int *", true, false, "cfa-56"),
        ("count", "int", true, false, "cfa-60"),
        ("total", "int", false, false, "cfa-36"),
        ("index", "int", false, true, "cfa-40"),
    ];
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(
            (found.0, &*found.1, found.2, found.3),
            (expected.0, expected.1, expected.2, expected.3)
        );
        assert!(found.4.starts_with("cfa-"), "{found:?}");
    }
    assert_eq!(found.len(), expected.len());
    assert!(dwarf.function_names().contains("main"));
    assert_eq!(dwarf.functions_named("no_such_function"), []);
    // A local by its name: it is there, and lies nowhere that can be watched.
    assert_eq!(one(&dwarf, "total").place, Place::Elsewhere);
    assert_eq!(one(&dwarf, "total").name, "sum::total");
}

#[test]
fn locals_of_copies() {
    for version in ["-gdwarf-4", "-gdwarf-5", "-gsplit-dwarf"] {
        let name = format!("dwarf-copies{version}");
        let path = common::build("cc", &name, &["locals.c"], &["-g", version, "-O2"]);
        let dwarf = open(&path);
        let copies = functions(&dwarf, "scale");
        let inlined: Vec<_> =
            copies.iter().filter_map(|copy| copy.inlined.as_ref()).collect();
        assert!(!inlined.is_empty(), "{copies:?}");
        assert_eq!(inlined[0].into, "main");
        assert_eq!(inlined[0].call.as_ref().map(|line| line.line), Some(19));
        let by = copies.iter().flat_map(|copy| &copy.locals);
        let by: Vec<_> = by.filter(|local| local.name == "by").collect();
        assert!(!by.is_empty() && by.iter().all(|local| local.parameter));
        let said: Vec<_> = by.iter().flat_map(|local| &local.places).collect();
        assert!(said.iter().any(|(_, place)| place == "constant 3"), "{said:?}");

        let main = functions(&dwarf, "main").remove(0);
        let argc = main.locals.iter().find(|local| local.name == "argc");
        let argc = argc.expect("a parameter");
        assert!(
            argc.places.iter().any(|(range, place)| range.is_some() && place == "rdi")
        );
    }
}
