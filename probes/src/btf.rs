//! The kernel's own types, from BTF: `/sys/kernel/btf/vmlinux`, and what its
//! modules add to them.
//!
//! The format is that of Documentation/bpf/btf.rst: a header, types one behind the
//! other, numbered from 1 on in the order in which they stand, and their names. It
//! is read here and not by a crate: a kernel has some 150 000 types of which a name
//! takes a handful. Where each begins is noted once (about a millisecond); all else
//! stays the bytes it was until somebody asks for it, while parsers of the whole
//! make objects of all of it, some hundred milliseconds and megabytes.
//!
//! Qualifiers (`const`, `volatile`, `restrict`, tags) are passed over, as nothing
//! that is watched depends on them.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::types::{Type, TypeId, Types};
use raw::{Entry, Kind, Raw};

mod model;
mod raw;
#[cfg(test)]
pub(crate) mod tests;

/// Types of a kernel, or of one of its modules.
#[derive(Debug)]
pub struct Btf {
    raw: Arc<Raw>,
    /// The number that its [`TypeId`]s carry.
    source: u16,
    /// What was asked for before.
    known: Mutex<HashMap<u32, Arc<Type>>>,
}

/// A variable that BTF tells of: mostly those that each CPU has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BtfVariable {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: TypeId,
    /// The section that it lies in: `.data..percpu` for one that each CPU has.
    pub section: String,
    /// Where in its section it begins, in bytes.
    pub offset: u32,
    /// Its bytes.
    pub size: u32,
}

/// Where variables lie that each CPU has.
const PER_CPU: &str = ".data..percpu";

impl BtfVariable {
    /// Has each CPU one of its own?
    pub fn is_per_cpu(&self) -> bool {
        self.section == PER_CPU
    }
}

/// Why there are no types of the kernel.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BtfError {
    /// The kernel has none.
    #[error(
        "there is no {path}: types of the kernel take one built with \
         CONFIG_DEBUG_INFO_BTF"
    )]
    Missing {
        /// Where they should be.
        path: String,
    },
    /// It is not as documented.
    #[error("this is no BTF: {0}")]
    Malformed(&'static str),
    /// Reading failed for another reason.
    #[error("{path} cannot be read: {error}")]
    Io {
        /// The file.
        path: String,
        /// What the kernel says.
        error: io::Error,
    },
}

/// Where the kernel shows its types; modules have files of their names beside it.
const VMLINUX: &str = "/sys/kernel/btf/vmlinux";
/// Distributions' kernels have 5 to 10 MB; more than this is not read.
const MAX_BYTES: u64 = 128 << 20;

impl Btf {
    /// The types of the running kernel, as source number `source`.
    ///
    /// # Errors
    ///
    /// Every [`BtfError`].
    pub fn running(source: u16) -> Result<Self, BtfError> {
        Self::parse(read(VMLINUX)?, source)
    }

    /// The types of a module of the running kernel, whose own they are based on.
    ///
    /// # Errors
    ///
    /// Every [`BtfError`].
    pub fn module(name: &str, kernel: &Self, source: u16) -> Result<Self, BtfError> {
        let path = Path::new(VMLINUX).with_file_name(name);
        Self::split(read(&path.to_string_lossy())?, kernel, source)
    }

    /// Takes the bytes of BTF.
    ///
    /// # Errors
    ///
    /// [`BtfError::Malformed`].
    pub fn parse(bytes: Vec<u8>, source: u16) -> Result<Self, BtfError> {
        Ok(Self::of(Raw::parse(bytes, None)?, source))
    }

    /// Takes the bytes of BTF that goes on where another ends.
    ///
    /// # Errors
    ///
    /// [`BtfError::Malformed`].
    pub fn split(bytes: Vec<u8>, base: &Self, source: u16) -> Result<Self, BtfError> {
        Ok(Self::of(Raw::parse(bytes, Some(Arc::clone(&base.raw)))?, source))
    }

    fn of(raw: Raw, source: u16) -> Self {
        Self { raw: Arc::new(raw), source, known: Mutex::default() }
    }

    /// How many types there are, those it is based on included.
    pub fn len(&self) -> usize {
        self.raw.end() as usize
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of a function, by which BPF programs are attached to it.
    pub fn function(&self, name: &str) -> Option<u32> {
        self.raw.find(name, |entry| entry.kind == Kind::Function)
    }

    /// The variable called `name`.
    pub fn variable(&self, name: &str) -> Option<BtfVariable> {
        let id = self.raw.find(name, |entry| entry.kind == Kind::Variable)?;
        self.raw.sections().find_map(|section| {
            let mut within = section.variables();
            let found = within.find(|variable| variable.id == id)?;
            self.variable_at(&section, &found)
        })
    }

    /// All variables, section by section.
    pub fn variables(&self) -> impl Iterator<Item = BtfVariable> {
        self.raw.sections().flat_map(|section| {
            let found = section.variables();
            found
                .filter_map(|variable| self.variable_at(&section, &variable))
                .collect::<Vec<_>>()
        })
    }

    fn variable_at(
        &self,
        section: &Entry<'_>,
        at: &raw::InSection,
    ) -> Option<BtfVariable> {
        let variable = self.raw.entry(at.id)?;
        (variable.kind == Kind::Variable).then(|| BtfVariable {
            name: self.raw.name(variable.name).unwrap_or_default(),
            ty: self.type_id(variable.size_or_type),
            section: self.raw.name(section.name).unwrap_or_default(),
            offset: at.offset,
            size: at.size,
        })
    }

    fn type_id(&self, id: u32) -> TypeId {
        TypeId::new(self.source, u64::from(id))
    }

    /// The number of the type called `name`.
    fn find_type(&self, name: &str) -> Option<u32> {
        let (keyword, name) = name.split_once(' ').unwrap_or(("", name));
        let of = |kinds: &'static [Kind]| {
            self.raw.find(name.trim(), move |entry| kinds.contains(&entry.kind))
        };
        match keyword {
            "struct" => of(&[Kind::Struct]),
            "union" => of(&[Kind::Union]),
            "enum" => of(&[Kind::Enum, Kind::Enum64]),
            _ => None,
        }
    }
}

fn read(path: &str) -> Result<Vec<u8>, BtfError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => BtfError::Missing { path: path.to_owned() },
        _ => BtfError::Io { path: path.to_owned(), error },
    };
    let file = File::open(path).map_err(failed)?;
    // The kernel says how large the file is.
    let size = file.metadata().map_or(0, |facts| facts.len().min(MAX_BYTES));
    let mut bytes = Vec::with_capacity(size as usize);
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

impl Types for Btf {
    fn get(&self, id: TypeId) -> Arc<Type> {
        let wanted = u32::try_from(id.within()).unwrap_or(0);
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known().get(&wanted) {
            return Arc::clone(known);
        }
        let ty = Arc::new(self.decode(wanted));
        known().insert(wanted, Arc::clone(&ty));
        ty
    }

    fn named(&self, name: &str) -> Option<TypeId> {
        let plain = |name: &str| {
            self.raw.find(name, |entry| {
                matches!(entry.kind, Kind::Integer | Kind::Float | Kind::Alias)
            })
        };
        let found = plain(model::compiler_spelling(name))
            .or_else(|| self.find_type(name))
            .or_else(|| self.raw.find(name, |entry| entry.kind.is_tagged()))?;
        Some(self.type_id(found))
    }

    fn constant(&self, name: &str) -> Option<i64> {
        self.raw.entries().find_map(|(_, entry)| {
            let mut constants = entry.constants();
            let found = constants.find(|(at, _)| self.raw.is_called(*at, name))?;
            Some(found.1)
        })
    }
}
