//! All variables that a file's symbols name.

use std::borrow::Cow;

use object::elf;

use super::demangle::data_name;
use super::elf::{Elf, is_defined, name_offset, size, value};
use super::lookup::DataSymbol;
use crate::address::VirtOffset;

/// What compilers make for themselves begins so: tables of virtual functions, types of
/// exceptions, guards of static variables.
const MADE: [&[u8]; 5] = [b"_ZTV", b"_ZTT", b"_ZTI", b"_ZTS", b"_ZGV"];

/// A variable that a symbol names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedData<'a> {
    /// Its name in the file, without a version.
    pub raw: Cow<'a, str>,
    /// Of one that only its source file knows, this file, as the symbol table has it.
    pub file: Option<Cow<'a, str>>,
    /// Where it lies.
    pub symbol: DataSymbol,
}

impl NamedData<'_> {
    /// Its name, demangled.
    pub fn name(&self) -> String {
        data_name(&self.raw).unwrap_or_else(|| self.raw.clone().into_owned())
    }
}

impl Elf {
    /// Hands on each variable that has a symbol with a type, thread-locals too, in the
    /// order of `.symtab`, or else of `.dynsym`. What compilers make for themselves is
    /// left out.
    pub fn each_data<'a>(&'a self, each: &mut dyn FnMut(NamedData<'a>)) {
        let table = usize::from(!self.has_symbols());
        let budget = self.name_budget();
        let mut file = None;
        for symbol in self.symbols(table) {
            let kind = symbol.st_type();
            if kind == elf::STT_FILE {
                file = Some(self.name(table, name_offset(symbol)));
                continue;
            }
            let thread_local = kind == elf::STT_TLS;
            let data = thread_local || [elf::STT_OBJECT, elf::STT_COMMON].contains(&kind);
            if !data || !is_defined(symbol) || name_offset(symbol) == 0 {
                continue;
            }
            let Some(raw) = budget.name(self, table, symbol) else { return };
            if MADE.iter().any(|made| raw.starts_with(made)) {
                continue;
            }
            let local = symbol.st_bind() == elf::STB_LOCAL;
            let file = file.filter(|file| local && !file.is_empty());
            let address = VirtOffset(value(symbol));
            each(NamedData {
                raw: String::from_utf8_lossy(raw),
                file: file.map(String::from_utf8_lossy),
                symbol: DataSymbol { address, size: size(symbol), thread_local },
            });
        }
    }
}
