//! From an address to the function or variable that is there.
//!
//! A [`Symbolizer`] is told of mappings while they happen and asked when something
//! is printed, which may be after the process has gone. What it has found once
//! it keeps: a second question for the same address only counts references.

mod modules;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::address::{AbsAddr, LoadBias, VirtOffset};
use crate::maps::{AddressSpace, Mapping};
use crate::process::{Process, ProcessError};
use modules::{Modules, NameKind};

/// What is at an address. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// The name, demangled; a function's without parameters.
    pub name: Arc<str>,
    /// Bytes from its start.
    pub offset: u64,
    /// Its length in bytes.
    pub size: u64,
    /// The name of the file it is in, without directories.
    pub module: Arc<str>,
}

/// As SystemTap's `usymdata` has it: `main+0x14/0x60 [prog]`.
impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Symbol { name, offset, size, module } = self;
        write!(f, "{name}+{offset:#x}/{size:#x} [{module}]")
    }
}

/// Finds symbols of processes, also of those that have exited.
#[derive(Debug, Default)]
pub struct Symbolizer {
    modules: Modules,
    spaces: HashMap<u32, Space>,
}

/// One process's mappings, and what was found in them.
#[derive(Debug, Default)]
struct Space {
    maps: AddressSpace,
    functions: HashMap<u64, Option<Symbol>>,
    data: HashMap<u64, Option<Symbol>>,
}

/// So many answers are kept for a process; then it starts anew.
const MAX_ANSWERS: usize = 65_536;

impl Space {
    fn new(maps: AddressSpace) -> Self {
        Space { maps, ..Space::default() }
    }

    fn answers(&mut self, kind: NameKind) -> &mut HashMap<u64, Option<Symbol>> {
        match kind {
            NameKind::Function => &mut self.functions,
            NameKind::Data => &mut self.data,
        }
    }
}

/// Where an address is in a file.
struct Place {
    module: usize,
    bias: LoadBias,
    virt: VirtOffset,
}

impl Symbolizer {
    /// One that knows no process yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes over a process as it is now, in place of what was noted of its id
    /// before: the target when it is armed, a process after `execve`. Its executable
    /// is kept open, so that it can be deleted.
    ///
    /// # Errors
    ///
    /// Those of [`Process::maps`]. That the executable cannot be read is no error:
    /// its functions have no names then.
    pub fn note_process(&mut self, process: &Process) -> Result<(), ProcessError> {
        let maps = AddressSpace::new(process.maps()?);
        if let Ok(executable) = process.executable() {
            self.modules.add_executable(executable);
        }
        self.spaces.insert(process.pid(), Space::new(maps));
        Ok(())
    }

    /// Takes over a mapping that a process has made.
    pub fn note_mapping(&mut self, pid: u32, mapping: Mapping) {
        let space = self.spaces.entry(pid).or_default();
        // Answers in other mappings stay right, but these are few and rare.
        space.functions.clear();
        space.data.clear();
        space.maps.note_mapping(mapping);
    }

    /// Gives a forked child its parent's mappings.
    pub fn note_fork(&mut self, parent: u32, child: u32) {
        let maps = self.spaces.get(&parent).map(|space| space.maps.clone());
        if let Some(maps) = maps.filter(|_| parent != child) {
            self.spaces.insert(child, Space::new(maps));
        }
    }

    /// Forgets the mappings of a process that runs another program from now on; its
    /// new ones are told by [`Symbolizer::note_mapping`].
    pub fn note_exec(&mut self, pid: u32) {
        self.spaces.insert(pid, Space::default());
    }

    /// Forgets a process. Not to be called at its exit, but when nothing is printed
    /// of it any more.
    pub fn forget(&mut self, pid: u32) {
        self.spaces.remove(&pid);
    }

    /// The function at an address of a process. A process not noted before is
    /// looked up in `/proc`, once. `None` for what is in no file (the vDSO, generated
    /// code) or not covered by a symbol.
    pub fn function(&mut self, pid: u32, address: AbsAddr) -> Option<Symbol> {
        self.symbol(pid, address, NameKind::Function)
    }

    /// The variable at an address of a process; otherwise as
    /// [`Symbolizer::function`].
    pub fn data(&mut self, pid: u32, address: AbsAddr) -> Option<Symbol> {
        self.symbol(pid, address, NameKind::Data)
    }

    /// `usymname`: the name of the function or variable at an address, or the
    /// address.
    pub fn name(&mut self, pid: u32, address: AbsAddr) -> Arc<str> {
        let symbol = self.function(pid, address);
        match symbol.or_else(|| self.data(pid, address)) {
            Some(symbol) => symbol.name,
            None => address.to_string().into(),
        }
    }

    /// `usymdata`: `main+0x14/0x60 [prog]`, or the address.
    pub fn describe(&mut self, pid: u32, address: AbsAddr) -> String {
        let symbol = self.function(pid, address);
        match symbol.or_else(|| self.data(pid, address)) {
            Some(symbol) => symbol.to_string(),
            None => address.to_string(),
        }
    }

    /// The code of the function at an address, and the address where it starts: to
    /// decode instructions from there forward. For the instruction before a
    /// sampled address, ask for the address minus one: the access may be the last
    /// instruction of its function.
    pub fn function_code(
        &mut self,
        pid: u32,
        address: AbsAddr,
    ) -> Option<(AbsAddr, &[u8])> {
        let place = self.place(pid, address)?;
        let elf = self.modules.elf(place.module)?;
        let (start, code) = elf.function_bytes(place.virt)?;
        Some((place.bias.to_abs(start), code))
    }

    /// The file that an address is in: its path as the process sees it.
    pub fn module_path(
        &mut self,
        pid: u32,
        address: AbsAddr,
    ) -> Option<Arc<std::path::Path>> {
        let place = self.place(pid, address)?;
        self.modules.path(place.module)
    }

    /// The mappings noted of a process.
    pub fn address_space(&self, pid: u32) -> Option<&AddressSpace> {
        self.spaces.get(&pid).map(|space| &space.maps)
    }

    fn symbol(&mut self, pid: u32, address: AbsAddr, kind: NameKind) -> Option<Symbol> {
        if let Some(space) = self.spaces.get_mut(&pid)
            && let Some(known) = space.answers(kind).get(&address.0)
        {
            return known.clone();
        }
        let symbol = self.find(pid, address, kind);
        let answers = self.spaces.entry(pid).or_default().answers(kind);
        if answers.len() >= MAX_ANSWERS {
            answers.clear();
        }
        answers.insert(address.0, symbol.clone());
        symbol
    }

    fn find(&mut self, pid: u32, address: AbsAddr, kind: NameKind) -> Option<Symbol> {
        let place = self.place(pid, address)?;
        self.modules.symbol(place.module, place.virt, kind)
    }

    /// The file that an address belongs to. Its own mapping says so, if it has one of
    /// a file; but `.bss` is anonymous memory behind a file's mappings, and data may not
    /// have been noted at all, so that files nearby are asked how far they reach.
    fn place(&mut self, pid: u32, address: AbsAddr) -> Option<Place> {
        self.note_unknown(pid);
        let maps = &self.spaces.get(&pid)?.maps;
        let own = maps.find(address).filter(|mapping| mapping.path.is_some());
        let near = maps.files_below(address).take(MAX_NEAR);
        let near = near.chain(maps.file_above(address));
        for mapping in own.into_iter().chain(near) {
            let Some(module) = self.modules.load(pid, mapping) else {
                continue;
            };
            let place = self.modules.place(module, mapping, address);
            if let Some((bias, virt)) = place {
                return Some(Place { module, bias, virt });
            }
        }
        None
    }

    /// Looks a process up that nobody has noted.
    fn note_unknown(&mut self, pid: u32) {
        if self.spaces.contains_key(&pid) {
            return;
        }
        let process = Process::open(pid);
        let noted = process.and_then(|process| self.note_process(&process));
        if noted.is_err() {
            // An empty one keeps the next question from looking again.
            self.spaces.insert(pid, Space::default());
        }
    }
}

/// Mappings of files below an address that are asked whether they reach to it: a file
/// has up to five, and ld.so maps them side by side.
const MAX_NEAR: usize = 8;
