//! One file of an image, and where it is loaded.

use std::cell::OnceCell;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use super::files::{Files, SourceFile};
use crate::address::{AbsAddr, LoadBias, VirtOffset};
use crate::maps::Mapping;
use crate::symbolize::open_mapped;
use crate::symbols::{Elf, ElfKind};
use crate::types::DebugInfo;

/// A file of an image.
#[derive(Debug)]
pub struct Module {
    path: Arc<Path>,
    inode: u64,
    /// The file and its load bias; none of one that cannot be used.
    opened: OnceCell<Option<(Rc<SourceFile>, Option<LoadBias>)>>,
    mapped: Option<Mapped>,
}

/// By what a library of a process is opened.
#[derive(Debug)]
struct Mapped {
    pid: u32,
    root: PathBuf,
    mapping: Mapping,
    files: Rc<Files>,
}

impl Module {
    pub(super) fn loaded(file: Rc<SourceFile>, bias: LoadBias) -> Self {
        Self::opened(file, Some(bias))
    }

    /// Only files with fixed addresses have them before they are loaded.
    pub(super) fn unloaded(file: Rc<SourceFile>) -> Self {
        let fixed = file.elf.kind() == ElfKind::Fixed;
        Self::opened(file, fixed.then(LoadBias::default))
    }

    fn opened(file: Rc<SourceFile>, bias: Option<LoadBias>) -> Self {
        Module {
            path: Arc::clone(&file.path),
            inode: file.inode,
            opened: OnceCell::from(Some((file, bias))),
            mapped: None,
        }
    }

    pub(super) fn mapped(
        pid: u32,
        root: &Path,
        path: &Arc<Path>,
        mapping: Mapping,
        files: &Rc<Files>,
    ) -> Self {
        let (inode, root, files) = (mapping.inode, root.to_path_buf(), Rc::clone(files));
        let mapped = Some(Mapped { pid, root, mapping, files });
        Module { path: Arc::clone(path), inode, opened: OnceCell::new(), mapped }
    }

    /// Its path, as the process sees it.
    pub fn path(&self) -> &Arc<Path> {
        &self.path
    }

    /// Its file; none where it cannot be read any more.
    pub fn elf(&self) -> Option<&Arc<Elf>> {
        self.file().map(|file| &file.elf)
    }

    /// Where it is loaded; none where it is not.
    pub fn bias(&self) -> Option<LoadBias> {
        self.open().and_then(|(_, bias)| *bias)
    }

    /// What its debug information tells.
    ///
    /// # Errors
    ///
    /// Why there is none, as a clause.
    pub fn debug(&self) -> Result<&dyn DebugInfo, &str> {
        self.file().ok_or("the file cannot be read")?.debug()
    }

    /// Which address of the file lies at one of the process.
    pub fn virt(&self, address: AbsAddr) -> Option<VirtOffset> {
        self.bias().map(|bias| bias.to_virt(address))
    }

    pub(super) fn is_of(&self, path: &Path, inode: u64) -> bool {
        *self.path == *path && self.inode == inode
    }

    /// Whether the address can be in it, told without opening it: how far its
    /// memory reaches from its code no file exceeds.
    pub(super) fn may_contain(&self, address: AbsAddr) -> bool {
        const REACH: u64 = 1 << 31;
        self.mapped
            .as_ref()
            .is_none_or(|mapped| mapped.mapping.start.0.abs_diff(address.0) < REACH)
    }

    /// See [`super::Image::modules_named`].
    pub(super) fn is_called(&self, name: &str) -> bool {
        if name.contains('/') {
            // Whole parts of the path only.
            return self.path.ends_with(name.trim_start_matches("./"));
        }
        let Some(own) = self.path.file_name().and_then(|own| own.to_str()) else {
            return false;
        };
        match own.strip_prefix(name) {
            Some("") => true,
            Some(tail) if name.contains(".so") => tail.starts_with('.'),
            Some(tail) => tail.starts_with(".so"),
            None => false,
        }
    }

    pub(super) fn file(&self) -> Option<&Rc<SourceFile>> {
        self.open().map(|(file, _)| file)
    }

    fn open(&self) -> Option<&(Rc<SourceFile>, Option<LoadBias>)> {
        self.opened.get_or_init(|| self.mapped.as_ref()?.open(&self.path)).as_ref()
    }
}

impl Mapped {
    fn open(&self, path: &Arc<Path>) -> Option<(Rc<SourceFile>, Option<LoadBias>)> {
        let Mapped { pid, root, mapping, files } = self;
        let file = match files.known(path, mapping.inode, root) {
            Some(known) => known,
            None => {
                let elf = open_mapped(*pid, mapping, path)?;
                files.add(path, mapping.inode, root, Arc::new(elf))
            }
        };
        let bias =
            file.elf.bias_of_mapping(mapping.start, mapping.offset, mapping.executable);
        Some((file, bias))
    }
}

/// Below which directory the paths of a process lead to what it sees: `/` where it
/// sees what we see, so that several processes share what was read.
pub(super) fn root(pid: u32) -> PathBuf {
    let link = PathBuf::from(format!("/proc/{pid}/root"));
    let same = || {
        let (own, theirs) = (fs::metadata("/").ok()?, fs::metadata(&link).ok()?);
        let mounts = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
        let same_root = (own.dev(), own.ino()) == (theirs.dev(), theirs.ino());
        Some(same_root && mounts("self")? == mounts(&pid.to_string())?)
    };
    if same() == Some(true) { PathBuf::from("/") } else { link }
}
