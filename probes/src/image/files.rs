//! Files that were opened, each once, with their debug information.

use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use super::ImageError;
use super::made::{self, Made};
use crate::symbols::{Elf, file};
use crate::types::{DebugInfo, Type, TypeId, Types};

/// Opens the debug information of a file: given the file, its path, the directory
/// below which separate debug files are looked for, and the number that its types are
/// to have. The error says why there is none, as a clause.
pub type OpenDebug =
    dyn Fn(&Arc<Elf>, &Path, &Path, u16) -> Result<Box<dyn DebugInfo>, String>;

/// Files that were opened, and the types that were made besides.
pub struct Files {
    open_debug: Rc<OpenDebug>,
    known: RefCell<Vec<Rc<SourceFile>>>,
    made: RefCell<Made>,
}

/// A file with what its debug information tells.
pub struct SourceFile {
    /// Its path, as whoever maps it sees it.
    pub path: Arc<Path>,
    /// Its inode number.
    pub inode: u64,
    /// The file.
    pub elf: Arc<Elf>,
    root: PathBuf,
    number: u16,
    open_debug: Rc<OpenDebug>,
    debug: OnceCell<Result<Box<dyn DebugInfo>, String>>,
}

impl Files {
    /// None yet. `open_debug` is called once for each file whose types are asked
    /// for.
    pub fn new(
        open_debug: impl Fn(
            &Arc<Elf>,
            &Path,
            &Path,
            u16,
        ) -> Result<Box<dyn DebugInfo>, String>
        + 'static,
    ) -> Rc<Self> {
        Rc::new(Files {
            open_debug: Rc::new(open_debug),
            known: RefCell::default(),
            made: RefCell::default(),
        })
    }

    /// Those whose debug information nobody reads: for them symbols are all.
    pub fn symbols_only() -> Rc<Self> {
        Self::new(|_, _, _, _| Err("debug information is not read".to_owned()))
    }

    /// The file at `path` below `root`.
    pub(super) fn open(
        &self,
        path: &Path,
        root: &Path,
    ) -> Result<Rc<SourceFile>, ImageError> {
        let io = |error| ImageError::Io { path: path.to_path_buf(), error };
        let whole = path.canonicalize().map_err(io)?;
        let opened = file::open(&whole).map_err(io)?;
        let inode = opened.metadata().map_err(io)?.ino();
        if let Some(known) = self.known(&whole, inode, root) {
            return Ok(known);
        }
        let bytes = file::load_open(&opened).map_err(io)?;
        let elf = Elf::parse(bytes)
            .map_err(|error| ImageError::Elf { path: path.to_path_buf(), error })?;
        Ok(self.add(&whole.into(), inode, root, Arc::new(elf)))
    }

    /// Takes over a file that is open, unless it is known.
    pub(super) fn add(
        &self,
        path: &Arc<Path>,
        inode: u64,
        root: &Path,
        elf: Arc<Elf>,
    ) -> Rc<SourceFile> {
        if let Some(known) = self.known(path, inode, root) {
            return known;
        }
        let mut all = self.known.borrow_mut();
        let file = Rc::new(SourceFile {
            path: Arc::clone(path),
            inode,
            elf,
            root: root.to_path_buf(),
            // Those beyond all numbers have no types.
            number: u16::try_from(all.len()).unwrap_or(made::SOURCE),
            open_debug: Rc::clone(&self.open_debug),
            debug: OnceCell::new(),
        });
        all.push(Rc::clone(&file));
        file
    }

    /// The file with this path and inode number, if it is open.
    pub(super) fn known(
        &self,
        path: &Path,
        inode: u64,
        root: &Path,
    ) -> Option<Rc<SourceFile>> {
        let all = self.known.borrow();
        let mut same = all.iter().filter(|known| {
            *known.path == *path && known.inode == inode && known.root == *root
        });
        same.next().map(Rc::clone)
    }

    /// The type `to *`.
    pub(super) fn pointer_to(&self, to: TypeId) -> TypeId {
        self.made.borrow_mut().add(Type::Pointer { to, reference: false })
    }

    /// The type that a language calls `name` without any debug information.
    pub(super) fn basic(&self, name: &str) -> Option<TypeId> {
        made::basic(name).map(|ty| self.made.borrow_mut().add(ty))
    }
}

impl Types for Files {
    fn get(&self, id: TypeId) -> Arc<Type> {
        if id.source() == made::SOURCE {
            return self.made.borrow().get(id);
        }
        // What is found may ask for more files: nothing stays borrowed.
        let file = self.known.borrow().get(usize::from(id.source())).map(Rc::clone);
        let debug = file.as_ref().and_then(|file| file.debug().ok());
        debug.map_or_else(|| Arc::new(Type::Void), |debug| debug.get(id))
    }

    fn named(&self, name: &str) -> Option<TypeId> {
        let all = self.known.borrow().clone();
        let mut named = all.iter().filter_map(|file| file.debug().ok()?.named(name));
        named.next().or_else(|| self.basic(name))
    }

    fn constant(&self, name: &str) -> Option<i64> {
        let all = self.known.borrow().clone();
        let mut values = all.iter().filter_map(|file| file.debug().ok()?.constant(name));
        values.next()
    }
}

impl SourceFile {
    /// Its debug information, read when first asked for.
    ///
    /// # Errors
    ///
    /// Why there is none, as a clause.
    pub fn debug(&self) -> Result<&dyn DebugInfo, &str> {
        let opened = self.debug.get_or_init(|| {
            if self.number == made::SOURCE {
                return Err("too many files are open".to_owned());
            }
            (self.open_debug)(&self.elf, &self.path, &self.root, self.number)
        });
        opened.as_deref().map_err(String::as_str)
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").field("known", &self.known).finish_non_exhaustive()
    }
}

impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceFile").field("path", &self.path).finish_non_exhaustive()
    }
}
