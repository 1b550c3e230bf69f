//! From a name to the variable that has it.
//!
//! Raw ELF names are compared first, as bytes and without building any table;
//! then demangled names, of those symbols only whose mangled name contains the
//! last word of what is looked for. A miss may take longer: it collects names
//! that are spelt like the one asked for (`nearest.rs`).

use std::cell::Cell;

use object::elf;
use object::read::elf::Sym;

use super::demangle::{data_name, is_mangled, plain};
use super::elf::{Elf, RawSymbol, is_defined, name_offset, size, value};
use crate::address::VirtOffset;

/// A variable with a fixed place in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataSymbol {
    /// Its address before loading; of a thread-local its distance from the start of
    /// the file's block of them.
    pub address: VirtOffset,
    /// Its length in bytes; 0 where the file does not say.
    pub size: u64,
    /// Whether each thread has its own.
    pub thread_local: bool,
}

/// One of several variables with the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its full name, demangled.
    pub name: String,
    /// Its address before loading.
    pub address: VirtOffset,
    /// Its length in bytes.
    pub size: u64,
    /// The source file, as the symbol table has it: the last part of its path.
    pub file: Option<String>,
}

/// Why a name is no variable of a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// Nothing has this name.
    #[error("there is no variable of this name")]
    Missing {
        /// Names that are spelt like it, nearest first.
        nearest: Vec<String>,
    },
    /// Several have it.
    #[error("{} variables have this name", candidates.len())]
    Ambiguous {
        /// All of them.
        candidates: Vec<Candidate>,
    },
    /// It is code.
    #[error("it is a function")]
    Function,
    /// The file uses it; a shared library has it.
    #[error("it is a variable of a shared library")]
    Imported,
}

/// What a symbol is to someone who looks for data.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Data,
    ThreadLocal,
    Function,
    Imported,
}

impl Role {
    fn is_variable(self) -> bool {
        matches!(self, Role::Data | Role::ThreadLocal)
    }
}

/// A symbol and where it came from.
#[derive(Clone, Copy)]
struct Match<'a> {
    table: usize,
    symbol: &'a RawSymbol,
    role: Role,
    /// Offset of the name of the file's symbol before it.
    file: Option<u32>,
}

/// Symbols by how well their demangled names fit.
#[derive(Default)]
struct Demangled<'a> {
    /// It is the name.
    exact: Vec<Match<'a>>,
    /// It is, but for what compilers append.
    plain: Vec<Match<'a>>,
    /// It ends with the name, or is the C variable of a function (`calls.0`).
    ends: Vec<Match<'a>>,
}

impl<'a> Demangled<'a> {
    fn add(&mut self, found: Match<'a>, full: &str, wanted: &str) {
        let ends = |name: &str| {
            name.strip_suffix(wanted).is_some_and(|front| front.ends_with("::"))
        };
        let stem = plain(full);
        if full == wanted {
            self.exact.push(found);
        } else if stem == wanted {
            self.plain.push(found);
        } else if ends(full) || ends(&stem) {
            self.ends.push(found);
        }
    }
}

impl Elf {
    /// Finds the variable with this name: a raw ELF name (`counter`, `_ZN3app4HITSE`,
    /// with or without a version), a demangled one (`app::HITS`), or the end of a
    /// demangled one that only one variable has (`stats::HITS`, `HITS`). `crate::`
    /// at the start stands for whatever crate it is. What compilers append
    /// (`COUNT.0`, `name[abi:cxx11]`) may be left out.
    ///
    /// `name@file.c` is the variable that only this source file knows (`static` in C), by
    /// the file's name in the symbol table: without directories, as gcc has it.
    ///
    /// A global variable goes before file-local ones of the same name.
    ///
    /// # Errors
    ///
    /// [`LookupError`].
    pub fn find_data(&self, name: &str) -> Result<DataSymbol, LookupError> {
        self.search_data(name).unwrap_or_else(|| {
            let nearest = match split_file(name) {
                (path, Some(_)) => self.in_other_files(path),
                (path, None) => self.nearest_data(path),
            };
            Err(LookupError::Missing { nearest })
        })
    }

    /// The same without a look for names that are spelt alike: `None` where there is
    /// no such name.
    pub fn search_data(&self, name: &str) -> Option<Result<DataSymbol, LookupError>> {
        if let Some(result) = self.search_raw_data(name) {
            return Some(result);
        }
        let (path, file) = split_file(name);
        let raw = strip_version(path).as_bytes();
        let has_name = |table, symbol: &_| self.has_raw_name(table, symbol, raw);
        let choose = |mut found: Vec<Match<'_>>, global_first| {
            found.retain(|found| file.is_none_or(|file| self.is_in(found, file)));
            self.choose(found, global_first)
        };
        let Demangled { exact, plain, ends } = self.demangled_matches(path);
        let tiers = [(exact, true), (plain, true), (ends, false)];
        let mut tiers = tiers.into_iter();
        if let Some(result) = tiers.find_map(|(found, global)| choose(found, global)) {
            return Some(result);
        }
        if file.is_some() {
            return None;
        }
        choose(self.matches(|role| !role.is_variable(), has_name), true)
    }

    /// The variable whose raw ELF name this is, or has this before its version.
    pub fn search_raw_data(&self, name: &str) -> Option<Result<DataSymbol, LookupError>> {
        let (path, file) = split_file(name);
        let raw = strip_version(path).as_bytes();
        let has_name = |table, symbol: &_| self.has_raw_name(table, symbol, raw);
        let mut found = self.matches(Role::is_variable, has_name);
        found.retain(|found| file.is_none_or(|file| self.is_in(found, file)));
        self.choose(found, true)
    }

    /// Where the only function of this name in the symbol table starts.
    pub fn only_function(&self, name: &str) -> Option<VirtOffset> {
        let has_name =
            |table, symbol: &_| self.has_raw_name(table, symbol, name.as_bytes());
        let is_function = |role| matches!(role, Role::Function);
        match self.matches(is_function, has_name).as_slice() {
            [only] => Some(VirtOffset(value(only.symbol))),
            _ => None,
        }
    }

    /// What to write instead of `name@file.c`, which there is not.
    fn in_other_files(&self, name: &str) -> Vec<String> {
        match self.find_data(name) {
            Ok(_) => vec![name.to_owned()],
            Err(LookupError::Missing { nearest }) => nearest,
            Err(LookupError::Ambiguous { candidates }) => {
                let with_file = |candidate: Candidate| match candidate.file {
                    Some(file) => format!("{}@{file}", candidate.name),
                    None => candidate.name,
                };
                candidates.into_iter().take(3).map(with_file).collect()
            }
            Err(_) => Vec::new(),
        }
    }

    /// Is it a source file's own, and that file's? A path in the symbol table may be
    /// given by its end.
    fn is_in(&self, found: &Match<'_>, file: &str) -> bool {
        let own = found.file.map(|offset| self.name(found.table, offset));
        let front = own.and_then(|own| own.strip_suffix(file.as_bytes()));
        front.is_some_and(|front| front.is_empty() || front.ends_with(b"/"))
    }

    /// All symbols of these roles that `wanted` takes: of `.symtab`, or else of
    /// `.dynsym`. Roles come first because they cost less than names: most symbols
    /// are functions.
    fn matches(
        &self,
        roles: impl Fn(Role) -> bool,
        wanted: impl Fn(usize, &RawSymbol) -> bool,
    ) -> Vec<Match<'_>> {
        let mut found = Vec::new();
        for table in [0, 1] {
            let mut file = None;
            for symbol in self.symbols(table) {
                if symbol.st_type() == elf::STT_FILE {
                    file = Some(name_offset(symbol));
                } else if let Some(role) = self.role(symbol)
                    && roles(role)
                    && wanted(table, symbol)
                {
                    let file = file.filter(|_| symbol.st_bind() == elf::STB_LOCAL);
                    found.push(Match { table, symbol, role, file });
                }
            }
            if !found.is_empty() {
                break;
            }
        }
        found
    }

    fn role(&self, symbol: &RawSymbol) -> Option<Role> {
        let kind = symbol.st_type();
        if symbol.is_undefined(object::LittleEndian) {
            let data = [elf::STT_OBJECT, elf::STT_NOTYPE, elf::STT_TLS].contains(&kind);
            return data.then_some(Role::Imported);
        }
        if !is_defined(symbol) {
            return None;
        }
        match kind {
            elf::STT_TLS => Some(Role::ThreadLocal),
            elf::STT_OBJECT | elf::STT_COMMON => Some(Role::Data),
            elf::STT_FUNC | elf::STT_GNU_IFUNC => Some(Role::Function),
            // Labels in assembly have no type; what matters is where they are.
            elf::STT_NOTYPE if self.is_code(VirtOffset(value(symbol))) => {
                Some(Role::Function)
            }
            elf::STT_NOTYPE => Some(Role::Data),
            _ => None,
        }
    }

    /// Compares bytes in place: the name must be followed by its end or a version.
    fn has_raw_name(&self, table: usize, symbol: &RawSymbol, name: &[u8]) -> bool {
        let Ok(start) = usize::try_from(name_offset(symbol)) else {
            return false;
        };
        let tail = self.strings(table).get(start..).unwrap_or_default();
        start != 0
            && tail.starts_with(name)
            && matches!(tail.get(name.len()), Some(0 | b'@'))
    }

    /// One result of several matches; `None` if there are none. A global variable
    /// goes first only before those that have its very name.
    fn choose(
        &self,
        mut found: Vec<Match<'_>>,
        global_first: bool,
    ) -> Option<Result<DataSymbol, LookupError>> {
        let role = found.iter().map(|found| found.role);
        let role = role.min_by_key(|role| *role as u8)?;
        match role {
            Role::Data | Role::ThreadLocal => {}
            Role::Function => return Some(Err(LookupError::Function)),
            Role::Imported => return Some(Err(LookupError::Imported)),
        }
        found.retain(|found| found.role == role);
        let local = |found: &Match<'_>| found.symbol.st_bind() == elf::STB_LOCAL;
        if global_first && found.iter().any(|found| !local(found)) {
            found.retain(|found| !local(found));
        }
        found.sort_by_key(|found| value(found.symbol));
        found.dedup_by_key(|found| value(found.symbol));
        match found.as_slice() {
            [only] => Some(Ok(DataSymbol {
                address: VirtOffset(value(only.symbol)),
                size: size(only.symbol),
                thread_local: role == Role::ThreadLocal,
            })),
            several => {
                let several = several.iter().take(MAX_CANDIDATES);
                let candidates = several.map(|found| self.candidate(found)).collect();
                Some(Err(LookupError::Ambiguous { candidates }))
            }
        }
    }

    fn candidate(&self, found: &Match<'_>) -> Candidate {
        let file = found.file.map(|offset| self.name(found.table, offset));
        let file = file.filter(|file| !file.is_empty());
        Candidate {
            name: self.display_name(found.table, found.symbol),
            address: VirtOffset(value(found.symbol)),
            size: size(found.symbol),
            file: file.map(|file| String::from_utf8_lossy(file).into_owned()),
        }
    }

    pub(super) fn display_name(&self, table: usize, symbol: &RawSymbol) -> String {
        let raw = String::from_utf8_lossy(self.name(table, name_offset(symbol)));
        data_name(&raw).unwrap_or_else(|| raw.into_owned())
    }

    /// Symbols that are called so when demangled.
    fn demangled_matches(&self, name: &str) -> Demangled<'_> {
        let wanted = without_blanks(name.strip_prefix("crate::").unwrap_or(name));
        let stem = plain(&wanted);
        let hint = last_word(&stem);
        let budget = self.name_budget();
        let guards = name.starts_with(GUARD);
        let may_be = |table: usize, symbol: &RawSymbol| {
            let raw = budget.name(self, table, symbol).unwrap_or_default();
            if is_mangled(raw) {
                contains(raw, hint.as_bytes()) && (guards || !raw.starts_with(b"_ZGV"))
            } else {
                let tail = raw.strip_prefix(wanted.as_bytes());
                tail.is_some_and(|tail| tail.starts_with(b"."))
            }
        };
        let mut sorted = Demangled::default();
        let found = self.matches(Role::is_variable, may_be);
        for found in found.into_iter().take(MAX_DEMANGLED) {
            let raw = String::from_utf8_lossy(
                self.name(found.table, name_offset(found.symbol)),
            );
            match data_name(&raw) {
                Some(full) => sorted.add(found, &without_blanks(&full), &wanted),
                None if plain(&raw) == wanted => sorted.ends.push(found),
                None => {}
            }
        }
        sorted
    }

    pub(super) fn name_budget(&self) -> NameBudget {
        let stored = self.strings(0).len() + self.strings(1).len();
        // Linkers store `hits` as the end of `total_hits`: hence some more.
        NameBudget(Cell::new(stored.saturating_mul(4) + 64 * 1024))
    }
}

/// How many bytes of names may be read in one search.
///
/// In a proper file each name is stored once, so that all together are no longer
/// than the tables of names; in a hostile one a million symbols may share one long
/// name, and each would be read from start to end.
pub(super) struct NameBudget(Cell<usize>);

impl NameBudget {
    /// A symbol's name; `None` once too much has been read.
    pub(super) fn name<'a>(
        &self,
        file: &'a Elf,
        table: usize,
        symbol: &RawSymbol,
    ) -> Option<&'a [u8]> {
        let left = self.0.get();
        if left == 0 {
            return None;
        }
        let name = file.name(table, name_offset(symbol));
        self.0.set(left.saturating_sub(name.len()));
        Some(name)
    }
}

/// An error lists so many variables of one name, no more.
const MAX_CANDIDATES: usize = 16;
/// So many names are demangled for one search. Large programs have some ten
/// thousand variables with mangled names.
pub(super) const MAX_DEMANGLED: usize = 50_000;
/// How demanglers call what guards the first use of a function's static variable.
const GUARD: &str = "guard variable";

/// How names of source files end.
pub(crate) const SOURCE_EXTENSIONS: [&str; 10] =
    ["c", "cc", "cpp", "cxx", "h", "hh", "hpp", "rs", "go", "s"];

/// `state@u1.c` is the variable and its file. An `@` before anything but a
/// source file's name begins a version: `stdout@GLIBC_2.2.5`.
pub fn split_file(name: &str) -> (&str, Option<&str>) {
    let is_source = |file: &str| {
        file.rsplit_once('.').is_some_and(|(_, extension)| is_extension(extension))
    };
    match name.split_once('@') {
        Some((name, file)) if !name.is_empty() && is_source(file) => (name, Some(file)),
        _ => (name, None),
    }
}

/// `stdout@@GLIBC_2.2.5` without the version. `state@u1.c.member` has none.
pub(crate) fn strip_version(name: &str) -> &str {
    match name.split_once('@') {
        Some((name, version))
            if !name.is_empty() && !version.split('.').skip(1).any(is_extension) =>
        {
            name
        }
        _ => name,
    }
}

fn is_extension(text: &str) -> bool {
    SOURCE_EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(text))
}

fn without_blanks(name: &str) -> String {
    name.chars().filter(|&c| c != ' ').collect()
}

/// The identifier that a name ends with. Mangled names contain it as it is, if
/// it is ASCII; else the result is empty, which every name contains.
fn last_word(name: &str) -> &str {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let start = name
        .rfind(|c| !word(c))
        .map_or(0, |at| at + name[at..].chars().next().map_or(1, char::len_utf8));
    let last = &name[start..];
    if last.is_ascii() { last } else { "" }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    let Some(&first) = needle.first() else {
        return true;
    };
    let mut parts = haystack.windows(needle.len());
    parts.any(|part| part[0] == first && part == needle)
}
