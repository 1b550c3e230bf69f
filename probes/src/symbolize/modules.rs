//! The ELF files that processes have mapped, each opened once.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Symbol, vdso};
use crate::address::{AbsAddr, LoadBias, VirtOffset};
use crate::dwarf::{Dwarf, FunctionAt};
use crate::maps::Mapping;
use crate::process::Executable;
use crate::stack::{Decoder, Index, Rule, tables};
use crate::symbols::{Elf, SymbolAt, demangle, file};

/// Functions or variables?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum NameKind {
    Function,
    Data,
}

/// A file and the names already demangled in it.
#[derive(Debug)]
struct Module {
    elf: Arc<Elf>,
    path: Arc<Path>,
    /// The path's last part.
    name: Arc<str>,
    /// Keyed by the symbol's start.
    names: HashMap<(NameKind, u64), Arc<str>>,
    /// The root folder that the process sees, below which files with debug
    /// information are.
    root: PathBuf,
    /// Looked for when a line or a member is asked for.
    dwarf: OnceCell<Option<Dwarf>>,
    /// Functions of `.debug_frame`.
    frames: OnceCell<Index>,
}

/// All files, by path and inode number (0 where it is not known). `None` stands for
/// one that cannot be used, so that it is not tried again.
#[derive(Debug, Default)]
pub(super) struct Modules {
    modules: Vec<Module>,
    known: HashMap<(Arc<Path>, u64), Option<usize>>,
    /// That of all processes; read when it is first asked for.
    vdso: OnceCell<Option<usize>>,
}

/// More different files are not opened: each stays mapped.
const MAX_MODULES: usize = 4096;

impl Modules {
    /// Takes over a file that is open already.
    pub(super) fn add_executable(&mut self, pid: u32, executable: &Executable) {
        let key = (executable.path.clone(), executable.inode);
        if !matches!(self.known.get(&key), Some(Some(_))) {
            let elf = executable.elf.clone();
            let module = self.add(pid, elf, executable.path.clone());
            self.known.insert(key, module);
        }
        // Kernel events tell no inode number: the newest file of this path is meant.
        let module = self.known.get(&(executable.path.clone(), executable.inode));
        if let Some(&module) = module {
            self.known.insert((executable.path.clone(), 0), module);
        }
    }

    fn add(&mut self, pid: u32, elf: Arc<Elf>, path: Arc<Path>) -> Option<usize> {
        if self.modules.len() >= MAX_MODULES {
            return None;
        }
        let name = path.file_name().unwrap_or(path.as_os_str());
        let name = name.to_string_lossy();
        let name = name.strip_suffix(DELETED).unwrap_or(&name).into();
        let root = root(pid);
        self.modules.push(Module {
            elf,
            path,
            name,
            names: HashMap::new(),
            root: root.clone().unwrap_or_else(|| PathBuf::from("/")),
            dwarf: OnceCell::new(),
            frames: OnceCell::new(),
        });
        let module = self.modules.len() - 1;
        if root.is_some() {
            // Later the process may be gone, and its root with it.
            self.dwarf(module);
        }
        Some(module)
    }

    /// The file of a mapping of a process.
    pub(super) fn load(&mut self, pid: u32, mapping: &Mapping) -> Option<usize> {
        if mapping.vdso {
            return self.vdso();
        }
        let path = mapping.path.clone()?;
        let key = (path.clone(), mapping.inode);
        if let Some(&known) = self.known.get(&key) {
            return known;
        }
        let elf = open_mapped(pid, mapping, &path);
        let module = elf.and_then(|elf| self.add(pid, Arc::new(elf), path));
        self.known.insert(key, module);
        module
    }

    fn vdso(&mut self) -> Option<usize> {
        if let Some(known) = self.vdso.get() {
            return *known;
        }
        let path = Path::new("[vdso]").into();
        let module =
            vdso::read().and_then(|elf| self.add(std::process::id(), elf.into(), path));
        *self.vdso.get_or_init(|| module)
    }

    /// The file itself.
    pub(super) fn elf(&self, module: usize) -> Option<&Elf> {
        self.modules.get(module).map(|module| &*module.elf)
    }

    /// How the frame of the function at an address of a file is left there; none
    /// where no table covers it.
    pub(super) fn rule(
        &self,
        module: usize,
        at: VirtOffset,
        decoder: &mut Decoder,
    ) -> Option<Rule> {
        let Module { elf, frames, .. } = self.modules.get(module)?;
        if let Some(rule) = tables::eh_frame(elf, at, decoder) {
            return Some(rule);
        }
        let section = self.dwarf(module)?.frames();
        let index = frames.get_or_init(|| tables::index(section));
        tables::debug_frame(section, index, at, decoder)
    }

    /// Where in the file of a mapping an address is, if it is in the file's memory.
    pub(super) fn place(
        &self,
        module: usize,
        mapping: &Mapping,
        address: AbsAddr,
    ) -> Option<(LoadBias, VirtOffset)> {
        let elf = &self.modules.get(module)?.elf;
        let bias =
            elf.bias_of_mapping(mapping.start, mapping.offset, mapping.executable)?;
        let virt = bias.to_virt(address);
        elf.contains(virt).then_some((bias, virt))
    }

    /// The debug information of a file, if there is some.
    pub(super) fn dwarf(&self, module: usize) -> Option<&Dwarf> {
        let Module { elf, path, root, dwarf, .. } = self.modules.get(module)?;
        let open = || {
            let path = path.as_os_str().as_bytes();
            let path = path.strip_suffix(DELETED.as_bytes()).unwrap_or(path);
            let path = Path::new(OsStr::from_bytes(path));
            // All its types are of one source: they are asked of nobody else.
            Dwarf::open(elf, path, root, 0).ok()
        };
        dwarf.get_or_init(open).as_ref()
    }

    /// The file's path, as processes see it.
    pub(super) fn path(&self, module: usize) -> Option<Arc<Path>> {
        self.modules.get(module).map(|module| module.path.clone())
    }

    /// The file's name, without directories.
    pub(super) fn name(&self, module: usize) -> Option<Arc<str>> {
        self.modules.get(module).map(|module| module.name.clone())
    }

    /// The symbol at an address of a file.
    pub(super) fn symbol(
        &mut self,
        module: usize,
        virt: VirtOffset,
        kind: NameKind,
    ) -> Option<Symbol> {
        let number = module;
        let module = self.modules.get_mut(module)?;
        let found = match kind {
            NameKind::Function => module.elf.function_at(virt),
            NameKind::Data => module.elf.data_at(virt),
        };
        let Some(found) = found else {
            return match kind {
                NameKind::Function => self
                    .function_by_debug(number, virt)
                    .or_else(|| self.stub(number, virt)),
                NameKind::Data => None,
            };
        };
        let name = module.names.entry((kind, found.start.0));
        Some(Symbol {
            name: name.or_insert_with(|| printed_name(&found, kind)).clone(),
            offset: virt.0.checked_sub(found.start.0)?,
            size: found.size,
            module: module.name.clone(),
        })
    }

    /// A function that has no symbol any more, but debug information.
    fn function_by_debug(&self, module: usize, virt: VirtOffset) -> Option<Symbol> {
        let FunctionAt { start, size, name } = self.dwarf(module)?.function_at(virt)?;
        let offset = virt.0.checked_sub(start.0)?;
        Some(Symbol { name, offset, size, module: self.name(module)? })
    }

    /// A stub that calls a function of another file.
    fn stub(&self, module: usize, virt: VirtOffset) -> Option<Symbol> {
        let (code, name) = self.elf(module)?.stub_at(virt)?;
        let (offset, size) = (virt.0.checked_sub(code.start)?, code.end - code.start);
        Some(Symbol { name: name.into(), offset, size, module: self.name(module)? })
    }

    /// The code of the function at an address of a file: where that is, and its
    /// bytes with what follows them.
    pub(super) fn function_code(
        &self,
        module: usize,
        virt: VirtOffset,
    ) -> Option<(Range<u64>, &[u8])> {
        let elf = &self.modules.get(module)?.elf;
        let by_debug = || {
            let FunctionAt { start, size, .. } = self.dwarf(module)?.function_at(virt)?;
            Some(start.0..start.0.saturating_add(size))
        };
        let range = elf.function_range(virt).or_else(by_debug);
        let range = range.or_else(|| elf.function_before(virt))?;
        let end = range.end.max(virt.0.saturating_add(1)).saturating_add(FOLLOWING);
        let bytes = elf.code(VirtOffset(range.start), end.checked_sub(range.start)?)?;
        Some((range, bytes))
    }
}

/// So many bytes behind a function, or behind an address, go with its code: for the
/// padding and the first instruction of the next.
const FOLLOWING: u64 = 80;

fn printed_name(symbol: &SymbolAt<'_>, kind: NameKind) -> Arc<str> {
    let raw = symbol.raw_text();
    let demangled = match kind {
        NameKind::Function => demangle::function_name(&raw),
        NameKind::Data => demangle::data_name(&raw),
    };
    demangled.map_or_else(|| Arc::from(&*raw), Arc::from)
}

/// What the kernel appends to the path of a file without a name (`d_path`).
const DELETED: &str = " (deleted)";

/// Opens the file that was mapped, and no other that has its name by now: its inode
/// number must be the mapping's, where that is known. (Not the device: overlayfs
/// and btrfs show another one in `/proc/PID/maps` than `stat(2)` does.)
pub(crate) fn open_mapped(pid: u32, mapping: &Mapping, path: &Path) -> Option<Elf> {
    let same = |file: &File| {
        let inode = file.metadata().map(|metadata| metadata.ino()).ok();
        mapping.inode == 0 || inode == Some(mapping.inode)
    };
    let elf = |file: File| Elf::parse(file::load_open(&file).ok()?).ok();
    let candidates = candidates(pid, mapping, path);
    let mut files = candidates.iter().filter_map(|path| file::open(path).ok());
    files.find(same).and_then(elf)
}

/// The root folder of a process; none where it is ours, or the process is gone.
fn root(pid: u32) -> Option<PathBuf> {
    let root = PathBuf::from(format!("/proc/{pid}/root"));
    let place = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    let other = place(&root).is_some_and(|its| Some(its) != place(Path::new("/")));
    other.then_some(root)
}

/// Where the file may be reached, surest first.
fn candidates(pid: u32, mapping: &Mapping, path: &Path) -> Vec<PathBuf> {
    let mut candidates = Vec::with_capacity(4);
    let proc = PathBuf::from(format!("/proc/{pid}"));
    let link = proc.join("exe");
    if fs::read_link(&link).is_ok_and(|target| target == path) {
        candidates.push(link);
    }
    let deleted = path.as_os_str().as_bytes().ends_with(DELETED.as_bytes());
    if !deleted {
        // In the process's own mounts, while it lives.
        let relative = path.strip_prefix("/").unwrap_or(path);
        candidates.push(proc.join("root").join(relative));
        candidates.push(path.to_path_buf());
    }
    // Leads to the very file, but needs privilege (proc(5)).
    let range = format!("{:x}-{:x}", mapping.start.0, mapping.end.0);
    candidates.push(proc.join("map_files").join(range));
    candidates
}
