//! From an address to the function or variable that is there.
//!
//! A [`Symbolizer`] is told of mappings while they happen and asked when something
//! is printed, which may be after the process has gone. What it has found once
//! it keeps: a second question for the same address only counts references.
//!
//! # What an address is called
//!
//! | what is there | [`Symbolizer::place`] | [`Symbolizer::name`] | [`Symbolizer::describe`] |
//! | --- | --- | --- | --- |
//! | a function or variable | `main+0x14` | `main` | `main+0x14/0x60 [prog]` |
//! | a file, but no symbol covers it | `libc.so.6+0x18a560` | the same | `0x7f10a2b8a560 [libc.so.6+0x18a560]` |
//! | a function of the kernel | `[kernel] schedule+0x1a` | `schedule` | `schedule+0x1a/0x60 [kernel]` |
//! | the kernel, without a name | `[kernel] 0xffffffff81001234` | the same | `0xffffffff81001234 [kernel]` |
//! | the kernel, where it shows us no addresses of its own | `[kernel]` | the same | the same |
//! | other memory, or nothing | `0x7f10a2b8a560` | the same | the same |
//!
//! The number behind a file's name is an address in the file's own address space, as
//! `objdump -d` prints it and `addr2line -e` takes it: what the loader added to all of
//! them is taken off. Functions of kernel modules have the module's name in brackets
//! (`[nf_tables] nft_do_chain+0x1a`).
//!
//! Lines of code and members of data come from debug information: see
//! [`Symbolizer::source`], [`Symbolizer::data_path`] and [`Symbolizer::pointer`].

mod jit;
mod kernel;
mod modules;
mod source;
mod spaces;
mod stack;
mod vdso;

pub(crate) use modules::open_mapped;
pub use stack::OnStack;

use std::cell::OnceCell;
use std::fmt;
use std::sync::Arc;

use crate::address::{AbsAddr, LoadBias, VirtOffset};
use crate::maps::{AddressSpace, Mapping};
use crate::process::{Process, ProcessError};
use crate::symbols::kallsyms::{self, KERNEL};
use crate::symbols::{KernelData, KernelSymbols};
use kernel::KernelDebug;
use modules::{Modules, NameKind};
use spaces::{Spaces, keep};
use stack::Rules;

/// What is at an address. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// The name, demangled; a function's without parameters.
    pub name: Arc<str>,
    /// Bytes from its start.
    pub offset: u64,
    /// Its length in bytes.
    pub size: u64,
    /// The name of the file it is in, without directories; `[vdso]`, and `[jit]` of code
    /// that the process made.
    pub module: Arc<str>,
}

/// As SystemTap's `usymdata` has it: `main+0x14/0x60 [prog]`.
impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Symbol { name, offset, size, module } = self;
        let module = module.trim_matches(['[', ']']);
        write!(f, "{name}+{offset:#x}/{size:#x} [{module}]")
    }
}

/// All that can be said of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// A function or variable.
    Symbol(Symbol),
    /// In the memory of a file, but no symbol covers it: functions of stripped
    /// libraries that these do not export.
    File {
        /// The name of the file, without directories.
        module: Arc<str>,
        /// The address in the file's own address space.
        offset: VirtOffset,
    },
    /// A function of the kernel, which acts for the process; in
    /// [`Symbol::module`] the kernel's module, or `kernel`.
    Kernel(Symbol),
    /// The kernel's, but what is there may not be seen or has no name.
    UnknownKernel,
    /// Anonymous memory, generated code, or nothing.
    Unknown,
}

/// The code of a function.
#[derive(Clone, Copy, Debug)]
pub struct Code<'a> {
    /// Where it starts.
    pub start: AbsAddr,
    /// Its length in bytes.
    pub size: u64,
    /// Its bytes, and some of what follows them.
    pub bytes: &'a [u8],
}

/// Finds symbols of processes, also of those that have exited.
#[derive(Debug, Default)]
pub struct Symbolizer {
    modules: Modules,
    /// Read when an address of the kernel is asked for.
    kernel: OnceCell<KernelSymbols>,
    /// Read when data of the kernel is asked for.
    kernel_data: OnceCell<KernelData>,
    /// Looked for when a line of the kernel is asked for.
    kernel_debug: OnceCell<Option<KernelDebug>>,
    /// Whether addresses of the kernel may be told: asked when there is one.
    kernel_shown: OnceCell<bool>,
    spaces: Spaces,
    rules: Rules,
}

/// Where an address is in a file.
struct InFile {
    module: usize,
    bias: LoadBias,
    virt: VirtOffset,
}

impl Symbolizer {
    /// One that knows no process yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that takes names of the kernel's functions from here, instead of
    /// `/proc/kallsyms`.
    pub fn with_kernel(symbols: KernelSymbols) -> Self {
        let kernel_shown = OnceCell::from(true);
        Self { kernel: OnceCell::from(symbols), kernel_shown, ..Self::default() }
    }

    /// Whether it is an address that the kernel would not show us: the one place that
    /// decides what is told of those.
    pub fn hides(&self, address: AbsAddr) -> bool {
        address.is_kernel()
            && !self.kernel_shown.get_or_init(kallsyms::addresses_are_shown)
    }

    /// An address as a number; zero for one of the kernel that it would not show us, as it
    /// prints them itself (`%pK`).
    pub fn number(&self, address: AbsAddr) -> String {
        if self.hides(address) { AbsAddr(0) } else { address }.to_string()
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
            self.modules.add_executable(process.pid(), executable);
        }
        self.spaces.put(process.pid(), maps);
        Ok(())
    }

    /// Takes over a mapping that a process has made.
    pub fn note_mapping(&mut self, pid: u32, mapping: Mapping) {
        self.spaces.note_mapping(pid, mapping);
    }

    /// Gives a forked child its parent's mappings.
    pub fn note_fork(&mut self, parent: u32, child: u32) {
        self.spaces.fork(parent, child);
    }

    /// Forgets the mappings of a process that runs another program from now on; its
    /// new ones are told by [`Symbolizer::note_mapping`].
    pub fn note_exec(&mut self, pid: u32) {
        self.spaces.put(pid, AddressSpace::default());
    }

    /// Forgets a process. Not to be called at its exit, but when nothing is printed
    /// of it any more.
    pub fn forget(&mut self, pid: u32) {
        self.spaces.forget(pid);
    }

    /// The function at an address of a process, or of the kernel (of the symbols
    /// that it had when the first one was asked for). A process not noted before is
    /// looked up in `/proc`, once. `None` for what is not covered by a symbol. Of code that
    /// the process made as it runs, what it tells of it (`/tmp/perf-PID.map`).
    pub fn function(&mut self, pid: u32, address: AbsAddr) -> Option<Symbol> {
        let image = self.image_of(pid);
        self.function_in(image, address)
    }

    fn function_in(&mut self, image: u32, address: AbsAddr) -> Option<Symbol> {
        self.symbol(image, address, NameKind::Function)
    }

    /// The variable at an address of a process; otherwise as
    /// [`Symbolizer::function`].
    pub fn data(&mut self, pid: u32, address: AbsAddr) -> Option<Symbol> {
        let image = self.image_of(pid);
        self.symbol(image, address, NameKind::Data)
    }

    /// Everything that can be said of an address.
    pub fn named(&mut self, pid: u32, address: AbsAddr) -> Named {
        if address.is_kernel() {
            let symbol = self.function(pid, address);
            return symbol.map_or(Named::UnknownKernel, Named::Kernel);
        }
        let symbol = self.function(pid, address);
        if let Some(symbol) = symbol.or_else(|| self.data(pid, address)) {
            return Named::Symbol(symbol);
        }
        let image = self.image_of(pid);
        let file = self.in_file(image, address).and_then(|place| {
            let module = self.modules.name(place.module)?;
            Some(Named::File { module, offset: place.virt })
        });
        file.unwrap_or(Named::Unknown)
    }

    /// Where an address is, in short, for tables: `main+0x14`,
    /// `libc.so.6+0x18a560`, `[kernel] schedule+0x1a`, or the address. See the
    /// table at the head of this module.
    pub fn place(&mut self, pid: u32, address: AbsAddr) -> String {
        match self.named(pid, address) {
            Named::Symbol(Symbol { name, offset, .. }) => format!("{name}+{offset:#x}"),
            Named::File { module, offset } => format!("{module}+{offset}"),
            Named::Kernel(Symbol { name, offset, module, .. }) => {
                format!("[{module}] {name}+{offset:#x}")
            }
            Named::UnknownKernel if self.hides(address) => format!("[{KERNEL}]"),
            Named::UnknownKernel => format!("[{KERNEL}] {address}"),
            Named::Unknown => address.to_string(),
        }
    }

    /// `usymname`: the name of the function or variable at an address. Where none
    /// is known, what stays the same from run to run: file and offset
    /// (`libc.so.6+0x18a560`), so that hits can be counted by it; or else the address.
    pub fn name(&mut self, pid: u32, address: AbsAddr) -> Arc<str> {
        match self.named(pid, address) {
            Named::Symbol(symbol) | Named::Kernel(symbol) => symbol.name,
            Named::File { module, offset } => format!("{module}+{offset}").into(),
            Named::UnknownKernel => self.place(pid, address).into(),
            Named::Unknown => address.to_string().into(),
        }
    }

    /// `usymdata`: `main+0x14/0x60 [prog]`. Where no symbol is known, the address
    /// and behind it file and offset, or `kernel`, as SystemTap has it:
    /// `0x7f10a2b8a560 [libc.so.6+0x18a560]`. A bare address is in no file.
    pub fn describe(&mut self, pid: u32, address: AbsAddr) -> String {
        match self.named(pid, address) {
            Named::Symbol(symbol) | Named::Kernel(symbol) => symbol.to_string(),
            Named::File { module, offset } => format!("{address} [{module}+{offset}]"),
            Named::UnknownKernel if self.hides(address) => format!("[{KERNEL}]"),
            Named::UnknownKernel => format!("{address} [{KERNEL}]"),
            Named::Unknown => address.to_string(),
        }
    }

    /// The code of the function at an address, to decode instructions from its start
    /// forward; of the function before, where the address is in the padding behind it,
    /// or seems to be. For the instruction before a sampled address, ask for the address
    /// minus one: the access may be the last instruction of its function.
    pub fn function_code(&mut self, pid: u32, address: AbsAddr) -> Option<Code<'_>> {
        let image = self.image_of(pid);
        let place = self.in_file(image, address)?;
        let (range, bytes) = self.modules.function_code(place.module, place.virt)?;
        let start = place.bias.to_abs(VirtOffset(range.start));
        Some(Code { start, size: range.end - range.start, bytes })
    }

    /// The file that an address is in: its path as the process sees it.
    pub fn module_path(
        &mut self,
        pid: u32,
        address: AbsAddr,
    ) -> Option<Arc<std::path::Path>> {
        let image = self.image_of(pid);
        let place = self.in_file(image, address)?;
        self.modules.path(place.module)
    }

    /// `umodname`: the name of the file that an address of a process is in.
    pub fn module_name(&mut self, pid: u32, address: AbsAddr) -> Option<Arc<str>> {
        let image = self.image_of(pid);
        self.module_in(image, address)
    }

    fn module_in(&mut self, image: u32, address: AbsAddr) -> Option<Arc<str>> {
        let place = self.in_file(image, address)?;
        self.modules.name(place.module)
    }

    /// The function of the kernel at an address; `None` where the address is not
    /// the kernel's, or what is there has no name or may not be seen.
    pub fn kernel(&self, address: AbsAddr) -> Option<Symbol> {
        self.kernel_function(address).filter(|_| address.is_kernel())
    }

    /// The mappings noted of a process.
    pub fn address_space(&self, pid: u32) -> Option<&AddressSpace> {
        self.spaces.get(self.spaces.of(pid)?).map(|space| &space.maps)
    }

    fn symbol(&mut self, image: u32, address: AbsAddr, kind: NameKind) -> Option<Symbol> {
        if let Some(answers) = self.spaces.answers(image)
            && let Some(known) = answers.symbols(kind).get(&address.0)
        {
            return known.clone();
        }
        let symbol = self.find(image, address, kind);
        // A process may tell more of the code that it makes.
        if symbol.is_none() && self.in_file(image, address).is_none() {
            return None;
        }
        if let Some(answers) = self.spaces.answers(image) {
            keep(answers.symbols(kind), address.0, symbol.clone());
        }
        symbol
    }

    fn find(&mut self, image: u32, address: AbsAddr, kind: NameKind) -> Option<Symbol> {
        if address.is_kernel() {
            return self.kernel_function(address).filter(|_| kind == NameKind::Function);
        }
        if let Some(place) = self.in_file(image, address) {
            return self.modules.symbol(place.module, place.virt, kind);
        }
        let space = self.spaces.get_mut(image).filter(|_| kind == NameKind::Function)?;
        let mapping = space.maps.find(address)?;
        if !mapping.executable {
            return None;
        }
        space.made.find(space.living(), address.0)
    }

    fn kernel_function(&self, address: AbsAddr) -> Option<Symbol> {
        let kernel = self.kernel.get_or_init(KernelSymbols::running);
        let found = kernel.function_at(address)?;
        Some(Symbol {
            name: found.name.into(),
            offset: address.0.checked_sub(found.start.0)?,
            size: found.size,
            module: found.module.into(),
        })
    }

    /// The file that an address belongs to. Its own mapping says so, if it has one of
    /// a file; but `.bss` is anonymous memory behind a file's mappings, and data may not
    /// have been noted at all, so that files nearby are asked how far they reach.
    fn in_file(&mut self, image: u32, address: AbsAddr) -> Option<InFile> {
        if address.is_kernel() {
            return None;
        }
        let space = self.spaces.get(image)?;
        let own = space.maps.find(address).filter(|mapping| mapping.is_of_file());
        let near = space.maps.files_below(address).take(MAX_NEAR);
        let near = near.chain(space.maps.file_above(address));
        for mapping in own.into_iter().chain(near) {
            let Some(module) = self.modules.load(space.pid, mapping) else {
                continue;
            };
            let place = self.modules.place(module, mapping, address);
            if let Some((bias, virt)) = place {
                return Some(InFile { module, bias, virt });
            }
        }
        None
    }

    /// The image of a process. One that nobody has noted is looked up.
    fn image_of(&mut self, pid: u32) -> u32 {
        if let Some(image) = self.spaces.of(pid) {
            return image;
        }
        let process = Process::open(pid);
        let noted = process.and_then(|process| self.note_process(&process));
        match self.spaces.of(pid).filter(|_| noted.is_ok()) {
            Some(image) => image,
            // An empty one keeps the next question from looking again.
            None => self.spaces.put(pid, AddressSpace::default()),
        }
    }
}

/// Mappings of files below an address that are asked whether they reach to it: a file
/// has up to five, and ld.so maps them side by side.
const MAX_NEAR: usize = 8;
