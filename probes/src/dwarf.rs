//! Debug information of programs and libraries (DWARF), read as far as it is asked
//! for.
//!
//! There is no index of all names: `find` searches the bytes for the one that is
//! asked for, and only units that can have it are read. gimli decodes entries; what
//! they mean is here:
//!
//! | file | what it does |
//! | --- | --- |
//! | `sections` | the sections of a file, unpacked where they are packed |
//! | `separate`, `split` | the other files that debug information can be in |
//! | `parts`, `unit` | runs of units; one unit, ready to be read |
//! | `find`, `walk`, `scopes` | a name to entries, and what they are within |
//! | `variables`, `all`, `place`, `path`, `lines` | variables |
//! | `types` | types |
//! | `covers`, `rows`, `code` | an address to units, lines, functions |
//!
//! Nothing in a file is trusted. What cannot be read costs names.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::address::VirtOffset;
use crate::symbols::Elf;
use crate::types::{DebugInfo, Type, TypeId, Types, Variable};

mod all;
mod cache;
mod code;
mod covers;
mod expression;
mod find;
mod lines;
mod locals;
mod parallel;
mod parts;
mod path;
mod place;
mod rows;
mod scopes;
mod sections;
mod separate;
mod split;
mod types;
mod unit;
mod variables;
mod walk;

pub use code::Frame;
pub(crate) use code::FunctionAt;
pub use locals::{Function, Inlined, Local};

use cache::Cache;
use parts::{BUILTIN, Entry, INFO, Part};
use sections::Sections;

/// Units whose abbreviations are kept.
const UNITS_KEPT: usize = 128;
/// Units whose scopes are kept.
const SCOPES_KEPT: usize = 128;
/// Types that are kept.
const TYPES_KEPT: usize = 16 * 1024;
/// Answers to what a name means that are kept.
const NAMES_KEPT: usize = 4 * 1024;
/// Tables of source files that are kept.
const FILES_KEPT: usize = 64;
/// Line programs that are kept run.
const ROWS_KEPT: usize = 64;
/// Units whose functions are kept.
const SPANS_KEPT: usize = 32;

/// Why there is no debug information.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoDebugInfo {
    /// The file has none, and names no other file that has.
    #[error("it has no debug information")]
    Nothing {
        /// The identity that the linker gave it, by which systems find its debug
        /// package.
        build_id: Option<String>,
    },
    /// It was moved to a file that is not there.
    #[error("its debug information is in `{name}`, which is not there")]
    Missing {
        /// The file's name.
        name: String,
        /// Where it was looked for.
        looked: Vec<PathBuf>,
        /// The identity that the linker gave it.
        build_id: Option<String>,
    },
    /// The file that it was moved to is of another build.
    #[error("`{}` has the debug information of another build", path.display())]
    OtherFile {
        /// The file.
        path: PathBuf,
    },
}

/// The debug information of a file.
#[derive(Debug)]
pub struct Dwarf {
    source: u16,
    elf: Arc<Elf>,
    thread_locals: Option<Range<u64>>,
    /// Where the program is, and the root that it sees.
    path: PathBuf,
    root: PathBuf,
    /// The parts that are not split off, by their numbers.
    parts: [Option<Part>; 3],
    split: OnceLock<split::Split>,
    by_address: OnceLock<all::ByAddress>,
    signatures: OnceLock<types::Signatures>,
    facts: Cache<Entry, Arc<unit::Facts>>,
    scopes: Cache<Entry, Arc<scopes::Scopes>>,
    types: Cache<Entry, Arc<Type>>,
    names: Cache<String, Option<TypeId>>,
    files: Cache<(u16, usize), Arc<lines::Files>>,
    spent: lines::Spent,
    /// Units by their code: as the compiler lists it, and as units tell it.
    listed: OnceLock<covers::Covers>,
    covers: OnceLock<covers::Covers>,
    rows: Cache<usize, Arc<rows::Rows>>,
    spans: Cache<Entry, Arc<code::Spans>>,
}

impl Dwarf {
    /// Finds the debug information of `elf`, which is at `path` as it is seen from the
    /// folder `root` (`/`, or `/proc/PID/root`). Reads nothing of it yet. Numbers of
    /// its types are of source number `source`.
    ///
    /// # Errors
    ///
    /// [`NoDebugInfo`] if there is none.
    pub fn open(
        elf: &Arc<Elf>,
        path: &Path,
        root: &Path,
        source: u16,
    ) -> Result<Self, NoDebugInfo> {
        let place = separate::Place { path, root };
        let mut main = Sections::of_elf(Arc::clone(elf));
        if !separate::holds(&main) {
            main = separate::find(&main, place)?;
        }
        let supplement = separate::supplement(&main, place).map(Arc::new);
        let main = Arc::new(main);
        let parts = [
            Some(Part::new(Arc::clone(&main), false)),
            Some(Part::new(main, true)),
            supplement.map(|sections| Part::new(sections, false)),
        ];
        Ok(Self {
            source,
            elf: Arc::clone(elf),
            thread_locals: sections::thread_locals(elf.bytes()),
            path: path.to_path_buf(),
            root: root.to_path_buf(),
            parts,
            split: OnceLock::new(),
            by_address: OnceLock::new(),
            signatures: OnceLock::new(),
            facts: Cache::new(UNITS_KEPT),
            scopes: Cache::new(SCOPES_KEPT),
            types: Cache::new(TYPES_KEPT),
            names: Cache::new(NAMES_KEPT),
            files: Cache::new(FILES_KEPT),
            spent: lines::Spent::default(),
            listed: OnceLock::new(),
            covers: OnceLock::new(),
            rows: Cache::new(ROWS_KEPT),
            spans: Cache::new(SPANS_KEPT),
        })
    }

    /// Files that the compiler put debug information into and that are not there
    /// (`.dwo`, of `-gsplit-dwarf`).
    pub fn missing_files(&self) -> &[PathBuf] {
        &self.split().missing
    }

    fn part(&self, number: u16) -> Option<&Part> {
        match self.parts.get(usize::from(number)) {
            Some(part) => part.as_ref(),
            None => self.split().parts.get(usize::from(number) - self.parts.len()),
        }
    }

    /// All parts with their numbers.
    fn parts(&self) -> impl Iterator<Item = (u16, &Part)> {
        let own = self.parts.iter().map(Option::as_ref);
        let all = own.chain(self.split().parts.iter().map(Some));
        let numbered = (0..BUILTIN).zip(all);
        numbered.filter_map(|(number, part)| Some((number, part?)))
    }

    /// The file that has the debug information that is not split off.
    fn main(&self) -> Option<&Sections> {
        self.parts[usize::from(INFO)].as_ref().map(|part| &*part.sections)
    }

    /// `.debug_frame`: how functions are left, for files without `.eh_frame`. Empty
    /// where there is none.
    pub(crate) fn frames(&self) -> &[u8] {
        self.main().map_or(&[], |main| main.get(".debug_frame"))
    }

    fn type_id(&self, entry: Option<Entry>) -> TypeId {
        // No entry is at the start of a part: void.
        let entry = entry.unwrap_or(Entry { part: INFO, offset: 0 });
        entry.type_id(self.source)
    }
}

impl Types for Dwarf {
    fn get(&self, id: TypeId) -> Arc<Type> {
        self.read_type(Entry::of_type(id))
    }

    fn named(&self, name: &str) -> Option<TypeId> {
        self.type_named(name)
    }

    fn constant(&self, name: &str) -> Option<i64> {
        self.find_constant(name)
    }
}

impl DebugInfo for Dwarf {
    fn variables(&self, name: &str) -> Vec<Variable> {
        self.find_variables(name)
    }

    fn variable_at(&self, address: VirtOffset) -> Option<Variable> {
        Dwarf::variable_at(self, address)
    }

    fn all_variables(&self, each: &mut dyn FnMut(Variable)) {
        Dwarf::all_variables(self, each);
    }
}
