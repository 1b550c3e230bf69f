//! Variables and types of C++ and Rust.

mod common;

use std::path::Path;
use std::sync::Arc;

use hwtrace_probes::Dwarf;
use hwtrace_probes::symbols::{Elf, load};
use hwtrace_probes::types::{DebugInfo, Place, Type, Types, type_name};

fn open(path: &Path) -> Dwarf {
    let elf = Elf::parse(load(path).expect("it is there")).expect("an ELF file");
    Dwarf::open(&Arc::new(elf), path, Path::new("/"), 0).expect("debug information")
}

#[test]
fn show() {
    let path = common::build("c++", "dwarf-classes", &["classes.cpp"], &["-g"]);
    let dwarf = open(&path);
    for name in [
        "versioned",
        "app::versioned",
        "limit",
        "app::Pool::live",
        "fixed",
        "calls",
        "Pool::size::calls",
        "size() const::calls",
        "cells",
        "Grid<short, 3>::cells",
        "level",
        "plain",
        "hidden",
        "deep",
        "app::deep",
        "pool",
        "left",
        "grid",
        "reference",
        "moved",
        "per_thread",
        "wide",
        "_ZN3app4Pool5limitE",
    ] {
        for variable in dwarf.variables(name) {
            eprintln!(
                "{name}: {} {:?} {:?} {}",
                variable.name,
                variable.place,
                variable.declared.as_ref().map(|l| l.line),
                type_name(&dwarf, variable.ty)
            );
            eprintln!("   {:?}", dwarf.get(variable.ty));
        }
    }
    let path = common::build("rustc", "dwarf-enums", &["enums.rs"], &["-g"]);
    let dwarf = open(&path);
    for name in [
        "SHAPE",
        "shapes::LEVEL",
        "COUNT",
        "BYTE",
        "LETTER",
        "YES",
        "TEXT",
        "SLICE",
        "PAIR",
        "SOME",
        "NUMBER",
        "GRID",
        "POINT",
        "LOCAL",
        "bump::CALLS",
        "enums::COUNT",
    ] {
        for variable in dwarf.variables(name) {
            eprintln!(
                "{name}: {} {:?} {:?} {}",
                variable.name,
                variable.place,
                variable.declared.as_ref().map(|l| l.line),
                type_name(&dwarf, variable.ty)
            );
            eprintln!("   {:?}", dwarf.get(variable.ty));
        }
    }
    for f in dwarf.functions_named("bump") {
        eprintln!("{f:?}");
    }
}
