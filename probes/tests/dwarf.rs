//! Variables and types are those that the sources have, however the compiler and its
//! tools wrote them down.

mod common;

use std::path::Path;
use std::sync::Arc;

use hwtrace_probes::Dwarf;
use hwtrace_probes::symbols::{Elf, load};
use hwtrace_probes::types::{DebugInfo, Types};

fn open(path: &Path) -> Dwarf {
    let elf =
        Arc::new(Elf::parse(load(path).expect("it is there")).expect("an ELF file"));
    Dwarf::open(&elf, path, Path::new("/"), 3).expect("debug information")
}

#[test]
fn show() {
    let path = common::build("cc", "dwarf-types", &["types.c", "types_other.c"], &["-g"]);
    let dwarf = open(&path);
    for name in [
        "everything",
        "counter",
        "list",
        "per_thread",
        "per_thread_too",
        "calls",
        "bump::calls",
        "before",
        "elsewhere_only",
        "hidden",
        "favourite",
    ] {
        for variable in dwarf.variables(name) {
            eprintln!("{name}: {variable:?}");
            eprintln!("   {:?}", dwarf.get(variable.ty));
        }
    }
    eprintln!("{:?}", dwarf.named("struct hidden").map(|id| dwarf.get(id)));
    eprintln!("{:?}", dwarf.named("word").map(|id| dwarf.get(id)));
    eprintln!("{:?} {:?}", dwarf.constant("BLUE"), dwarf.constant("color::GREEN"));
}
