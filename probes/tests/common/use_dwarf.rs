//! Asks debug information everything, whatever it is; also of the fuzz target.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use hwtrace_probes::symbols::{Elf, FileBytes};
use hwtrace_probes::types::{DebugInfo, Type, TypeId, Types, type_name};
use hwtrace_probes::{Dwarf, VirtOffset};

/// Names that are in the seeds, and some that are not.
const NAMES: [&str; 8] =
    ["pool", "limit", "app::Pool::limit", "calls", "list", "", "::", "a::b(c)::d"];

/// Types that are followed from one variable.
const TYPES_MAX: usize = 200;

/// Asks everything of a file with these bytes. The answers may be anything; how many
/// variables there are is returned.
pub(crate) fn use_all(bytes: Vec<u8>) -> usize {
    let Ok(elf) = Elf::parse(FileBytes::Owned(bytes)) else { return 0 };
    let elf = Arc::new(elf);
    let nowhere = Path::new("/proc/self/fdinfo/none");
    let Ok(dwarf) = Dwarf::open(&elf, Path::new("/bin/x"), nowhere, 1) else { return 0 };
    for name in NAMES {
        for variable in dwarf.variables(name) {
            follow(&dwarf, variable.ty);
        }
        for kind in ["", "struct ", "enum ", "const "] {
            if let Some(id) = dwarf.named(&format!("{kind}{name}")) {
                follow(&dwarf, id);
            }
        }
        let _ = dwarf.constant(name);
        let _ = dwarf.functions_named(name).len();
    }
    let mut addresses = vec![VirtOffset(0), VirtOffset(u64::MAX), elf.entry()];
    let starts = elf.segments().iter().map(|segment| segment.virt);
    addresses.extend(starts);
    for address in addresses {
        let _ = dwarf.variable_at(address);
    }
    let mut variables = 0;
    dwarf.all_variables(&mut |variable| {
        let _ = type_name(&dwarf, variable.ty).len();
        variables += 1;
    });
    for name in dwarf.function_names().iter().take(20) {
        let _ = dwarf.functions_named(name).len();
    }
    variables
}

/// Reads a type and those it is made of.
fn follow(dwarf: &Dwarf, id: TypeId) {
    let types: &dyn Types = dwarf;
    let mut open = vec![id];
    let mut seen = HashSet::new();
    while let Some(id) = open.pop() {
        if seen.len() > TYPES_MAX || !seen.insert(id) {
            continue;
        }
        let _ = (types.size(id), type_name(types, id).len());
        match &*types.get(id) {
            Type::Alias { of, .. } | Type::Array { of, .. } => open.push(*of),
            Type::Pointer { to, .. } => open.push(*to),
            Type::Record(record) => {
                open.extend(record.members.iter().map(|member| member.ty));
                let variants = record.variants.iter().flat_map(|variants| &variants.all);
                open.extend(variants.map(|variant| variant.fields.ty));
            }
            _ => {}
        }
    }
}
