//! One symbolizer for all who need names or code of the traced processes: the
//! decoder of accesses, the handlers' symbol functions, the tables.

mod kernel_code;

use std::cell::{OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use hwtrace_probes::address::{AbsAddr, FileOffset};
use hwtrace_probes::expr::Expression;
use hwtrace_probes::image::Image;
use hwtrace_probes::maps::Mapping;
use hwtrace_probes::process::{Process, ProcessError};
use hwtrace_probes::resolve::{self, ResolveError};
use hwtrace_probes::symbolize::{Code, Named, Symbol, Symbolizer};
use hwtrace_probes::symbols::kallsyms::KERNEL as KERNEL_NAME;
use hwtrace_runtime::access::{CodeSource, Function, KERNEL};
use hwtrace_runtime::kernel::Kernel;
use hwtrace_runtime::tracker::Memory;
use hwtrace_runtime::world::{SymbolForm, Symbols};

use crate::instances::ProcessMemory;
use crate::names::Names;
use crate::session::Context;
use crate::surroundings::KernelSource;
use kernel_code::KernelCode;

/// The symbolizer of a session, shared by all who ask it.
pub type SharedSymbols = Rc<RefCell<TargetSymbols>>;

/// Names and code of the traced processes, ended ones too: their mappings are
/// noted while they are there.
#[derive(Default)]
pub struct TargetSymbols {
    symbolizer: Symbolizer,
    /// Processes that run another program by now. The kernel removes their
    /// watches at that (`remove_on_exec`, since Linux 5.13), so that all their
    /// hits are from before and have the names of before.
    executed: HashSet<u32>,
    kernel_code: KernelCode,
}

impl TargetSymbols {
    /// Of no process yet; of the kernel, too, when that is asked for.
    pub(crate) fn with_kernel(kernel: &Rc<dyn Kernel>) -> Self {
        Self { kernel_code: KernelCode::of(kernel), ..Self::default() }
    }

    /// Notes a process as it is now.
    ///
    /// # Errors
    /// As reading its mappings.
    pub fn add_process(&mut self, process: &Process) -> Result<(), ProcessError> {
        self.executed.remove(&process.pid());
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

    /// The kernel's data is going to be watched: its code will be asked for.
    pub(crate) fn prepare_kernel(&mut self) {
        self.kernel_code.prepare();
    }

    /// Opens what takes rights while there are any: the code of the kernel, whose accesses
    /// are to be told.
    pub(crate) fn prepare_rights(&mut self) {
        self.kernel_code.prepare();
    }

    /// Whether the kernel would not show us this address, which is one of its own.
    pub(crate) fn hides(&self, address: u64) -> bool {
        self.symbolizer.hides(AbsAddr(address))
    }

    /// A new process, which has its parent's mappings.
    pub(crate) fn fork(&mut self, parent: u32, child: u32) {
        if self.executed.contains(&parent) {
            self.executed.insert(child);
        } else {
            self.executed.remove(&child);
        }
        self.symbolizer.note_fork(parent, child);
    }

    /// Forgets a process of which nothing will be asked any more.
    pub(crate) fn forget(&mut self, pid: u32) {
        self.executed.remove(&pid);
        self.symbolizer.forget(pid);
    }

    /// A process runs another program from now on. Its hits were before that:
    /// its mappings stay as they were.
    pub(crate) fn exec(&mut self, pid: u32) {
        self.executed.insert(pid);
    }

    /// A process has mapped something.
    pub(crate) fn mapped(
        &mut self,
        pid: u32,
        address: u64,
        length: u64,
        offset: u64,
        path: &[u8],
    ) {
        if self.executed.contains(&pid) {
            return;
        }
        let offset = FileOffset(offset);
        // Events tell of code only, and no inode number.
        let mapping = Mapping::new(AbsAddr(address), length, offset, true, 0, path);
        self.symbolizer.note_mapping(pid, mapping);
    }

    /// Who names addresses and walks stacks.
    pub(crate) fn symbolizer(&mut self) -> &mut Symbolizer {
        &mut self.symbolizer
    }

    /// `function+0x1f`; `libc.so.6+0x18a560` where the file has no symbol, in the
    /// file's own address space as `objdump -d` and `addr2line -e` have it;
    /// `[kernel] schedule+0x1f`; or the address as a number. See the head of
    /// [`hwtrace_probes::symbolize`]. No instruction of a process is at 0: that is what
    /// stands for one of the kernel whose address is not shown.
    pub fn place(&mut self, pid: u32, address: u64) -> String {
        if address == 0 {
            return format!("[{KERNEL_NAME}]");
        }
        self.symbolizer.place(pid, AbsAddr(address))
    }

    /// `file.c:12`, the file without folders; empty where it is not known. Not the line
    /// of a language's own library, where that was inlined.
    pub fn line(&mut self, pid: u32, address: u64) -> String {
        let Some(line) = self.symbolizer.own_line(pid, AbsAddr(address)) else {
            return String::new();
        };
        let name = line.file.rsplit('/').next().unwrap_or(&line.file);
        format!("{name}:{}", line.line)
    }
}

impl TargetSymbols {
    /// What a pointer points to, where that has a name.
    pub fn pointed_to(&mut self, pid: u32, address: u64) -> Option<String> {
        match self.symbolizer.named(pid, AbsAddr(address)) {
            Named::Symbol(symbol) if symbol.offset == 0 => Some(symbol.name.to_string()),
            Named::Symbol(symbol) => {
                Some(format!("{}+{:#x}", symbol.name, symbol.offset))
            }
            _ => None,
        }
    }
}

impl CodeSource for TargetSymbols {
    fn function(&mut self, pid: u32, address: u64) -> Option<Function<'_>> {
        // The sampled address is that of the next instruction, which may be
        // the next function's first: the access lies below it.
        let below = AbsAddr(address.checked_sub(1)?);
        if pid == KERNEL {
            let Symbol { offset, size, .. } = self.symbolizer.kernel(below)?;
            let start = below.0.checked_sub(offset)?;
            let bytes = self.kernel_code.function(start, size)?;
            return Some(Function { start, size, bytes });
        }
        let Code { start, size, bytes } = self.symbolizer.function_code(pid, below)?;
        Some(Function { start: start.0, size, bytes })
    }
}

/// The same symbols for handlers, and where data is.
pub(crate) struct HandlerSymbols {
    symbols: SharedSymbols,
    names: Rc<Names>,
    kernel: Rc<dyn Kernel>,
    /// By process, as it was when it was first asked for.
    images: HashMap<u32, Image>,
}

impl HandlerSymbols {
    pub(crate) fn new(context: &Context) -> Self {
        Self {
            symbols: context.symbols.clone(),
            names: Rc::clone(&context.names),
            kernel: Rc::clone(&context.kernel),
            images: HashMap::new(),
        }
    }

    fn image(&mut self, pid: u32, anew: bool) -> Option<&Image> {
        if anew || !self.images.contains_key(&pid) {
            let process = Process::open(pid).ok()?;
            let image = Image::of_process(&process, self.names.files()).ok()?;
            self.images.insert(pid, image);
        }
        self.images.get(&pid)
    }
}

impl Symbols for HandlerSymbols {
    fn describe(&mut self, form: SymbolForm, pid: u32, address: u64, out: &mut Vec<u8>) {
        let symbolizer = &mut self.symbols.borrow_mut().symbolizer;
        let address = AbsAddr(address);
        let unknown = || "<unknown>".into();
        let number = |symbolizer: &Symbolizer| symbolizer.number(address).into();
        let text: Arc<str> = match form {
            SymbolForm::Name => symbolizer.name(pid, address),
            SymbolForm::Data => symbolizer.describe(pid, address).into(),
            SymbolForm::Module => {
                symbolizer.module_name(pid, address).unwrap_or_else(unknown)
            }
            SymbolForm::Pointer | SymbolForm::KernelPointer => {
                symbolizer.pointer(pid, address).into()
            }
            SymbolForm::FileLine | SymbolForm::KernelFileLine => {
                let line = symbolizer.line(pid, address);
                line.map_or_else(
                    || number(symbolizer),
                    |at| format!("{}:{}", at.file, at.line).into(),
                )
            }
            SymbolForm::File | SymbolForm::KernelFile => {
                let line = symbolizer.line(pid, address);
                line.map_or_else(|| number(symbolizer), |at| at.file)
            }
            SymbolForm::Line | SymbolForm::KernelLine => {
                let line = symbolizer.line(pid, address);
                line.map_or_else(|| number(symbolizer), |at| at.line.to_string().into())
            }
            SymbolForm::KernelName => {
                let symbol = symbolizer.kernel(address);
                symbol.map_or_else(|| number(symbolizer), |symbol| symbol.name)
            }
            SymbolForm::KernelData => {
                let symbol = symbolizer.kernel(address);
                symbol.map_or_else(
                    || number(symbolizer),
                    |symbol| symbol.to_string().into(),
                )
            }
            SymbolForm::KernelModule => {
                symbolizer.kernel(address).map_or_else(unknown, |symbol| symbol.module)
            }
        };
        out.extend_from_slice(text.as_bytes());
    }

    fn address_of(
        &mut self,
        (pid, tid): (u32, u32),
        expression: &str,
    ) -> Option<(u64, bool)> {
        let expression = Expression::parse(expression).ok()?;
        let kernel = Rc::clone(&self.kernel);
        // It may have mapped something since, or be another program.
        [false, true].into_iter().find_map(|anew| {
            let image = self.image(pid, anew)?;
            let memory = &mut ProcessMemory::new(&kernel, pid);
            // Where it lies is asked, not whether registers would do for all of it.
            let first = Some(1);
            let own = |memory| {
                resolve::resolve_for_thread(image, memory, &expression, first, tid).ok()
            };
            match resolve::resolve(image, memory, &expression, first) {
                Ok(found) if found.thread_local.is_none() => {
                    Some((found.address.0, found.links.is_empty()))
                }
                Ok(_) | Err(ResolveError::EachThread { .. }) => {
                    own(memory).map(|found| (found.address.0, false))
                }
                Err(_) => None,
            }
        })
    }
}

/// Memory of the traced processes, read by way of the kernel, and the kernel's own.
pub(crate) struct TargetMemory {
    kernel: Rc<dyn Kernel>,
    /// Opened when it is first asked for; none where it can not be.
    kernel_memory: OnceCell<Option<KernelSource>>,
}

impl TargetMemory {
    pub(crate) fn new(kernel: &Rc<dyn Kernel>) -> Self {
        Self { kernel: Rc::clone(kernel), kernel_memory: OnceCell::new() }
    }
}

impl Memory for TargetMemory {
    fn clock(&mut self) -> u64 {
        self.kernel.clock()
    }

    fn read(&mut self, pid: u32, address: u64, length: u32) -> Option<u64> {
        let mut bytes = [0; 8];
        let wanted = bytes.get_mut(..length as usize)?;
        let read = self.kernel.read_memory(pid, address, wanted).ok()?;
        (read == length as usize).then(|| u64::from_le_bytes(bytes))
    }

    fn read_bytes(&mut self, pid: u32, address: u64, bytes: &mut [u8]) -> usize {
        self.kernel.read_memory(pid, address, bytes).unwrap_or(0)
    }

    fn read_kernel(&mut self, address: u64, length: u32) -> Option<u64> {
        let mut bytes = [0; 8];
        let wanted = bytes.get_mut(..length as usize)?;
        let open = || KernelSource::open(&self.kernel).ok();
        let memory = self.kernel_memory.get_or_init(open).as_ref()?;
        let read = memory.read(address, wanted);
        (read == length as usize).then(|| u64::from_le_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    extern "C" fn landmark() {}

    fn own() -> (TargetSymbols, u32, u64) {
        let pid = std::process::id();
        let mut symbols = TargetSymbols::default();
        symbols.add_process(&Process::open(pid).expect("it runs")).expect("own");
        (symbols, pid, landmark as *const () as u64)
    }

    fn is_named(symbols: &mut TargetSymbols, pid: u32, address: u64) -> bool {
        symbols.place(pid, address).ends_with("::landmark+0x0")
    }

    #[test]
    fn hits_before_an_exec_keep_their_names() {
        let (mut symbols, pid, address) = own();
        symbols.exec(pid);
        symbols.mapped(pid, address & !0xfff, 0x2000, 0, b"/bin/true");
        assert!(is_named(&mut symbols, pid, address));
        let child = u32::MAX;
        symbols.fork(pid, child);
        symbols.mapped(child, address & !0xfff, 0x2000, 0, b"/bin/true");
        assert!(is_named(&mut symbols, child, address));
    }

    #[test]
    fn a_new_process_of_an_id_is_not_the_one_that_executed() {
        let (mut symbols, pid, address) = own();
        let child = u32::MAX;
        symbols.exec(child);
        symbols.fork(pid, child);
        assert!(is_named(&mut symbols, child, address));
        symbols.mapped(child, address & !0xfff, 0x2000, 0, b"/bin/true");
        assert!(!is_named(&mut symbols, child, address));
        symbols.exec(child);
        symbols.forget(child);
        symbols.mapped(child, 0x1000, 0x1000, 0, b"//anon");
        assert_eq!(symbols.place(child, 0x1004), "0x1004");
    }
}
