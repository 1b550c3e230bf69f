//! The files that a process consists of: the executable and its libraries, where
//! each is loaded, and what their debug information tells of types.
//!
//! An [`Image`] is of a process as it is now, or of files alone: then nothing has an
//! address yet, but names and types are known. All images of one [`Files`] share what
//! was read, and number their types alike: the types that a script was checked with are
//! those of the process that is started later.

mod files;
mod loader;
mod made;
mod module;
mod package;

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

pub use files::{Files, OpenDebug, SourceFile};
pub use loader::Loader;
pub use module::Module;
pub use package::debug_package;

use crate::address::AbsAddr;
use crate::maps::Mapping;
use crate::process::{Process, ProcessError};
use crate::symbols::ElfError;
use crate::types::{Type, TypeId, Types};

/// Why a file cannot be looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// It cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It is no program.
    #[error("{}: {error}", path.display())]
    Elf {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: ElfError,
    },
}

/// An executable and its libraries.
#[derive(Debug)]
pub struct Image {
    files: Rc<Files>,
    /// The executable first.
    modules: Vec<Module>,
    /// What is mapped in the process; none where that cannot be read, or there is
    /// no process.
    mappings: Option<Vec<Mapping>>,
}

impl Image {
    /// That of a process as it is now. Libraries are opened when they are asked
    /// for.
    ///
    /// # Errors
    ///
    /// Those of [`Process::executable`].
    pub fn of_process(
        process: &Process,
        files: &Rc<Files>,
    ) -> Result<Self, ProcessError> {
        let executable = process.executable()?;
        let root = module::root(process.pid());
        let main =
            files.add(&executable.path, executable.inode, &root, executable.elf.clone());
        let mut modules = vec![Module::loaded(main, executable.bias)];
        let mappings = process.maps().ok();
        for mapping in mappings.iter().flatten().filter(|mapping| mapping.executable) {
            let Some(path) = &mapping.path else { continue };
            let known = |module: &Module| module.is_of(path, mapping.inode);
            if *path != executable.path && !modules.iter().any(known) {
                modules.push(Module::mapped(
                    process.pid(),
                    &root,
                    path,
                    mapping.clone(),
                    files,
                ));
            }
        }
        Ok(Image { files: Rc::clone(files), modules, mappings })
    }

    /// That of a file which is not running. With a `loader` also the libraries that it
    /// needs, as far as they are found.
    ///
    /// # Errors
    ///
    /// [`ImageError`] about the file itself.
    pub fn of_file(
        path: &Path,
        loader: Option<&Loader>,
        files: &Rc<Files>,
    ) -> Result<Self, ImageError> {
        let main = files.open(path, Path::new("/"))?;
        let mut all = vec![main];
        if let Some(loader) = loader {
            loader.add_needed(&mut all, files);
        }
        let modules = all.into_iter().map(Module::unloaded).collect();
        Ok(Image { files: Rc::clone(files), modules, mappings: None })
    }

    /// That of a library which a program may load later, found by its path, or by its
    /// name where the loader looks for those of `program`. None where it is not there.
    pub fn of_library(
        name: &str,
        program: Option<&Module>,
        loader: &Loader,
        files: &Rc<Files>,
    ) -> Option<Self> {
        let library = loader.library(name, program.and_then(Module::file), files)?;
        let modules = vec![Module::unloaded(library)];
        Some(Image { files: Rc::clone(files), modules, mappings: None })
    }

    /// The executable and its libraries in the order of their loading, as far as
    /// that is known: by address in a process.
    pub fn modules(&self) -> &[Module] {
        &self.modules
    }

    /// Those called `name`: by the path, its last parts, or the file's name with or
    /// without what follows `.so`: `libz` and `libz.so` are `/lib/libz.so.1.3`.
    pub fn modules_named(&self, name: &str) -> impl Iterator<Item = (usize, &Module)> {
        let modules = self.modules.iter().enumerate();
        modules.filter(move |(_, module)| module.is_called(name))
    }

    /// Is there memory at the address? Where that is not known, there is.
    pub fn is_mapped(&self, address: AbsAddr) -> bool {
        let contains =
            |maps: &Vec<Mapping>| maps.iter().any(|mapping| mapping.contains(address));
        self.mappings.as_ref().is_none_or(contains)
    }

    /// The module whose memory an address is in, by number.
    pub fn module_at(&self, address: AbsAddr) -> Option<usize> {
        self.modules.iter().position(|module| {
            // Only files that reach there are opened.
            module.may_contain(address)
                && module.virt(address).is_some_and(|virt| {
                    module.elf().is_some_and(|elf| elf.contains(virt))
                })
        })
    }

    /// The type `to *`.
    pub fn pointer_to(&self, to: TypeId) -> TypeId {
        self.files.pointer_to(to)
    }

    fn ask<T>(&self, ask: impl Fn(&dyn Types) -> Option<T>) -> impl Iterator<Item = T> {
        self.modules.iter().filter_map(move |module| ask(module.debug().ok()?))
    }
}

impl Types for Image {
    fn get(&self, id: TypeId) -> Arc<Type> {
        self.files.get(id)
    }

    /// The executable's, then C's and Rust's own, then the libraries'.
    fn named(&self, name: &str) -> Option<TypeId> {
        let main = self.modules.first().and_then(|module| module.debug().ok());
        main.and_then(|types| types.named(name))
            .or_else(|| self.files.basic(name))
            .or_else(|| self.ask(|types| types.named(name)).next())
    }

    fn constant(&self, name: &str) -> Option<i64> {
        self.ask(|types| types.constant(name)).next()
    }
}
