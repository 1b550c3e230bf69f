//! One symbolizer for all who need names or code of the traced processes: the
//! decoder of accesses, the handlers' symbol functions, the tables.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

use hwtrace_probes::address::{AbsAddr, FileOffset};
use hwtrace_probes::maps::Mapping;
use hwtrace_probes::process::{Process, ProcessError};
use hwtrace_probes::symbolize::Symbolizer;
use hwtrace_runtime::access::{CodeSource, Function};
use hwtrace_runtime::kernel::Kernel;
use hwtrace_runtime::tracker::Memory;
use hwtrace_runtime::world::Symbols;

/// The symbolizer of a session, shared by all who ask it.
pub type SharedSymbols = Rc<RefCell<TargetSymbols>>;

/// Names and code of the traced processes, ended ones too: their mappings are
/// noted while they are there.
#[derive(Debug, Default)]
pub struct TargetSymbols {
    symbolizer: Symbolizer,
}

impl TargetSymbols {
    /// Notes a process as it is now.
    ///
    /// # Errors
    /// As reading its mappings.
    pub fn add_process(&mut self, process: &Process) -> Result<(), ProcessError> {
        self.symbolizer.note_process(process)
    }

    /// Does now, before anything is armed, what would otherwise hold up the
    /// first hits: reads the executable's table of functions.
    pub(crate) fn prepare(&mut self, process: &Process) {
        // What can not be read gives no names; the hits are seen all the same.
        if self.add_process(process).is_ok()
            && let Ok(executable) = process.executable()
        {
            let entry = executable.bias.to_abs(executable.elf.entry());
            self.symbolizer.function(process.pid(), entry);
        }
    }

    pub(crate) fn fork(&mut self, parent: u32, child: u32) {
        self.symbolizer.note_fork(parent, child);
    }

    pub(crate) fn forget(&mut self, pid: u32) {
        self.symbolizer.forget(pid);
    }

    pub(crate) fn exec(&mut self, pid: u32) {
        self.symbolizer.note_exec(pid);
    }

    pub(crate) fn mapped(
        &mut self,
        pid: u32,
        address: u64,
        length: u64,
        offset: u64,
        path: &[u8],
    ) {
        let mapping = Mapping {
            start: AbsAddr(address),
            end: AbsAddr(address.saturating_add(length)),
            offset: FileOffset(offset),
            executable: true,
            inode: 0,
            // `[vdso]`, `//anon` and their like are no files.
            path: (path.starts_with(b"/") && !path.starts_with(b"//"))
                .then(|| Path::new(OsStr::from_bytes(path)).into()),
        };
        self.symbolizer.note_mapping(pid, mapping);
    }

    /// `function+0x1f`, or the address as a number.
    pub fn place(&mut self, pid: u32, address: u64) -> String {
        match self.symbolizer.function(pid, AbsAddr(address)) {
            Some(symbol) => format!("{}+{:#x}", symbol.name, symbol.offset),
            None => format!("{address:#x}"),
        }
    }
}

impl CodeSource for TargetSymbols {
    fn function(&mut self, pid: u32, address: u64) -> Option<Function<'_>> {
        // The sampled address is that of the next instruction, which may be
        // the next function's first: the access lies below it.
        let below = AbsAddr(address.checked_sub(1)?);
        let (start, bytes) = self.symbolizer.function_code(pid, below)?;
        Some(Function { start: start.0, bytes })
    }
}

/// The same symbols for handlers.
pub(crate) struct HandlerSymbols(pub(crate) SharedSymbols);

impl Symbols for HandlerSymbols {
    fn name(&mut self, pid: u32, address: u64, out: &mut Vec<u8>) {
        let name = self.0.borrow_mut().symbolizer.name(pid, AbsAddr(address));
        out.extend_from_slice(name.as_bytes());
    }

    fn data(&mut self, pid: u32, address: u64, out: &mut Vec<u8>) {
        let text = self.0.borrow_mut().symbolizer.describe(pid, AbsAddr(address));
        out.extend_from_slice(text.as_bytes());
    }
}

/// Memory of the traced processes, read by way of the kernel.
pub(crate) struct TargetMemory {
    kernel: Rc<dyn Kernel>,
}

impl TargetMemory {
    pub(crate) fn new(kernel: &Rc<dyn Kernel>) -> Self {
        Self { kernel: Rc::clone(kernel) }
    }
}

impl Memory for TargetMemory {
    fn read(&mut self, pid: u32, address: u64, length: u32) -> Option<u64> {
        let mut bytes = [0; 8];
        let wanted = bytes.get_mut(..length as usize)?;
        let read = self.kernel.read_memory(pid, address, wanted).ok()?;
        (read == length as usize).then(|| u64::from_le_bytes(bytes))
    }
}
