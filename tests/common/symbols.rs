//! Addresses in programs.

use std::collections::HashMap;
use std::path::Path;

use object::{Object, ObjectSymbol};

/// All that have a name.
pub(crate) fn symbols(program: &Path) -> HashMap<String, u64> {
    let file = std::fs::read(program).unwrap();
    let file = object::File::parse(&*file).unwrap();
    let named = |symbol: object::Symbol<'_, '_>| {
        Some((symbol.name().ok()?.to_owned(), symbol.address()))
    };
    file.symbols().filter_map(named).collect()
}
