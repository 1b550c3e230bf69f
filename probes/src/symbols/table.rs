//! Symbols sorted by address: which function or variable is at an address?

use object::elf::{self, SymbolBind};

use super::elf::{Elf, RawSymbol, is_defined, name_offset, size, value};
use crate::address::VirtOffset;

/// One symbol's place: `start..end` in the file's address space.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) start: u64,
    pub(super) end: u64,
    /// Offset of the name in the strings of `table`.
    pub(super) name: u32,
    /// 0 is `.symtab`, 1 `.dynsym`.
    pub(super) table: usize,
    bind: SymbolBind,
}

/// Symbols of one kind by address, one at each start.
#[derive(Debug)]
pub(super) struct Table {
    /// Sorted by `start`.
    entries: Vec<Entry>,
}

/// How many symbols before an address are tried for one that reaches to it. They
/// overlap only where assembly has labels inside of functions.
const MAX_OVERLAP: usize = 16;

impl Table {
    /// All functions of a file.
    pub(super) fn functions(file: &Elf) -> Self {
        let mut entries = collect(file, |symbol| match symbol.st_type() {
            elf::STT_FUNC | elf::STT_GNU_IFUNC => true,
            // Entry points in assembly often have no type.
            elf::STT_NOTYPE => file.is_code(VirtOffset(value(symbol))),
            _ => false,
        });
        keep_best(file, &mut entries);
        drop_inner_labels(&mut entries);
        // A function without a size ends where the next one starts, or with its
        // section.
        let starts: Vec<u64> = entries.iter().skip(1).map(|entry| entry.start).collect();
        for (index, entry) in entries.iter_mut().enumerate() {
            if entry.end == entry.start {
                let section = file.code_section_end(entry.start);
                let next = starts.get(index).copied();
                let end = next.into_iter().chain(section).min();
                entry.end = end.unwrap_or(entry.start).max(entry.start);
            }
        }
        Table { entries }
    }

    /// All variables of a file but thread-locals, whose `st_value` is no address.
    pub(super) fn data(file: &Elf) -> Self {
        let mut entries = collect(file, |symbol| {
            matches!(symbol.st_type(), elf::STT_OBJECT | elf::STT_COMMON)
        });
        keep_best(file, &mut entries);
        for entry in &mut entries {
            // One without a size is at least found at its own address.
            entry.end = entry.end.max(entry.start.saturating_add(1));
        }
        Table { entries }
    }

    /// The symbol that covers an address; the innermost, if several do.
    pub(super) fn find(&self, address: u64) -> Option<&Entry> {
        let after = self.entries.partition_point(|entry| entry.start <= address);
        let before = self.entries[..after].iter().rev().take(MAX_OVERLAP);
        before.into_iter().find(|entry| address < entry.end)
    }
}

impl Table {
    /// The symbol that ends last before an address.
    pub(super) fn before(&self, address: u64) -> Option<&Entry> {
        let after = self.entries.partition_point(|entry| entry.start <= address);
        let before = self.entries[..after].iter().rev().take(MAX_OVERLAP);
        before.filter(|entry| entry.end <= address).max_by_key(|entry| entry.end)
    }
}

/// The defined symbols that `wanted` takes, of `.symtab`, or else of `.dynsym`.
fn collect(file: &Elf, wanted: impl Fn(&RawSymbol) -> bool) -> Vec<Entry> {
    let table = usize::from(!file.has_symbols());
    let symbols = file.symbols(table).iter();
    let fits = |symbol: &&RawSymbol| {
        is_defined(symbol) && name_offset(symbol) != 0 && wanted(symbol)
    };
    let entry = |symbol: &RawSymbol| Entry {
        start: value(symbol),
        end: value(symbol).saturating_add(size(symbol)),
        name: name_offset(symbol),
        table,
        bind: symbol.st_bind(),
    };
    symbols.filter(fits).map(entry).collect()
}

/// Drops labels within functions: where is asked for, and that is the function.
fn drop_inner_labels(entries: &mut Vec<Entry>) {
    let mut covered = 0;
    entries.retain(|entry| {
        let label = entry.end == entry.start && entry.start < covered;
        covered = covered.max(entry.end);
        !label
    });
}

/// Sorts, and keeps one symbol of those at the same address: one with a size
/// rather than a label, a global one rather than a weak or local alias, then the
/// name with fewest underscores in front, as programmers write it.
fn keep_best(file: &Elf, entries: &mut Vec<Entry>) {
    entries.sort_unstable_by_key(|entry| entry.start);
    let rank = |entry: &Entry| {
        let underscores = file.leading_underscores(entry.table, entry.name);
        let bind = match entry.bind {
            elf::STB_GLOBAL => 0,
            elf::STB_LOCAL => 2,
            _ => 1,
        };
        (entry.end == entry.start, bind, underscores, entry.name)
    };
    entries.dedup_by(|later, kept| {
        let same = later.start == kept.start;
        if same && rank(later) < rank(kept) {
            *kept = *later;
        }
        same
    });
}
