//! ELF files: what is where in them, by name and by address.
//!
//! [`Elf`] takes bytes, from wherever they come, and never trusts them;
//! [`file::load`] is the one place that gets them from a file.

mod all;
pub mod demangle;
mod dynamic;
pub mod elf;
pub mod file;
pub mod kallsyms;
pub mod kernel_data;
mod lookup;
pub(crate) mod nearest;
mod plt;
mod table;
pub(crate) mod unwind;

pub use all::NamedData;
pub use dynamic::{Dynamic, TlsCell, TlsCellKind, TlsSegment};
pub use elf::{Elf, ElfError, ElfKind, Segment, SymbolAt};
pub use file::{FileBytes, load};
pub use kallsyms::KernelSymbols;
pub use kernel_data::KernelData;
pub(crate) use lookup::SOURCE_EXTENSIONS;
pub(crate) use lookup::strip_version;
pub use lookup::{Candidate, DataSymbol, LookupError, split_file};
