//! What a world asks of its surroundings: names, processes, memory, signals.
//! Asked when a script wants to know, not when a hit comes.

use std::collections::HashMap;
use std::ops::Range;

use foldhash::fast::RandomState;

use super::captured::AtHit;
use crate::abi::{FaultCode, PICTURE_NEW, PICTURE_OLD};
use crate::slots::coverage::Estimate;
use crate::strings::{StringHandle, Strings};

/// So many texts of symbols are remembered at most; then all are asked for anew.
const SYMBOL_TEXTS_MAX: usize = 1 << 18;

/// Turns addresses into names.
pub trait Symbols {
    /// Appends the text of what is at `address`: of process `pid`, or of the
    /// kernel, where the form says so.
    fn describe(&mut self, form: SymbolForm, pid: u32, address: u64, out: &mut Vec<u8>);

    /// Where the data lies that `expression` names, as probe points name data, in a
    /// process, given with a thread of it that may have its own; and whether it is
    /// there for the whole process, and stays there. None where there is none, and
    /// unless implemented.
    fn address_of(
        &mut self,
        thread: (u32, u32),
        expression: &str,
    ) -> Option<(u64, bool)> {
        let _ = (thread, expression);
        None
    }
}

/// What is to be said of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SymbolForm {
    /// Its name, as `usymname()` gives it.
    Name,
    /// Name, offset, size and file: `usymdata()`.
    Data,
    /// The file: `umodname()`.
    Module,
    /// The address and what is there, as pointers are printed: `usymptr()`.
    Pointer,
    /// Source file and line: `usymfileline()`.
    FileLine,
    /// The source file: `usymfile()`.
    File,
    /// The line of the source file: `usymline()`.
    Line,
    /// The kernel's function: `symname()`.
    KernelName,
    /// The kernel's function, offset, size and module: `symdata()`.
    KernelData,
    /// The kernel's module: `modname()`.
    KernelModule,
    /// An address of the kernel and what is there: `symptr()`.
    KernelPointer,
    /// Source file and line of the kernel: `symfileline()`.
    KernelFileLine,
    /// The source file of the kernel: `symfile()`.
    KernelFile,
    /// The line of the kernel's source file: `symline()`.
    KernelLine,
}

/// Who a process is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The parent process.
    pub parent: u32,
    /// Real user.
    pub user: u32,
    /// Effective user.
    pub effective_user: u32,
    /// Real group.
    pub group: u32,
    /// Effective group.
    pub effective_group: u32,
}

/// Knows the traced processes. Asked once a process; what it gave is kept.
pub trait ProcessInfo {
    /// Who the process is; none where it is gone.
    fn credentials(&mut self, pid: u32) -> Option<Credentials>;
    /// Its arguments, a NUL behind each, as in `/proc/PID/cmdline`.
    fn arguments(&mut self, pid: u32) -> Vec<u8>;
    /// Its environment, `NAME=value` with a NUL behind each, as in
    /// `/proc/PID/environ`.
    fn environment(&mut self, pid: u32) -> Vec<u8>;
}

/// Reads memory while a handler runs: what is there now, not at the hit.
pub trait UserMemory {
    /// Reads bytes of a process from `address` on; gives how many of `out`
    /// could be read.
    fn read(&mut self, pid: u32, address: u64, out: &mut [u8]) -> usize;
    /// The same of the kernel's memory. None can be read unless implemented.
    fn read_kernel(&mut self, address: u64, out: &mut [u8]) -> usize {
        let _ = (address, out);
        0
    }
    /// Why no memory of the kernel can be read, and what it takes; empty where
    /// some can.
    fn kernel_obstacle(&self) -> &str {
        ""
    }
}

/// Knows how much was seen of what happened.
pub trait Counts {
    /// What was seen of data by its number ([`World::set_counts`](super::World::set_counts)),
    /// up to a time in nanoseconds of CLOCK_MONOTONIC.
    fn of(&self, number: usize, now: u64) -> Estimate;
    /// The share of the time up to then, 0 to 1, in which a watch had a register; of all
    /// watches where none is given.
    fn share(&self, watch: Option<u32>, now: u64) -> f64;
}

/// Sends signals to traced processes.
pub trait Signals {
    /// Sends signal number `signal` to the process that had the id `pid` at
    /// `time`, in nanoseconds of CLOCK_MONOTONIC. One that has ended since gets
    /// none, nor does another process that has its id by now.
    ///
    /// # Errors
    /// Why it may not be sent.
    fn send(&mut self, pid: u32, time: u64, signal: i32) -> Result<(), String>;
}

/// Knows nothing: addresses print as numbers, no process is there, no memory
/// can be read, no signal is sent.
struct Nothing;

impl Symbols for Nothing {
    fn describe(&mut self, form: SymbolForm, _: u32, address: u64, out: &mut Vec<u8>) {
        match form {
            SymbolForm::Module | SymbolForm::KernelModule => {
                out.extend_from_slice(b"<unknown>");
            }
            _ => out.extend_from_slice(format!("{address:#x}").as_bytes()),
        }
    }
}

impl Counts for Nothing {
    fn of(&self, _: usize, _: u64) -> Estimate {
        Estimate::default()
    }

    fn share(&self, _: Option<u32>, _: u64) -> f64 {
        1.0
    }
}

impl Signals for Nothing {
    fn send(&mut self, _: u32, _: u64, _: i32) -> Result<(), String> {
        Ok(())
    }
}

impl ProcessInfo for Nothing {
    fn credentials(&mut self, _: u32) -> Option<Credentials> {
        None
    }

    fn arguments(&mut self, _: u32) -> Vec<u8> {
        Vec::new()
    }

    fn environment(&mut self, _: u32) -> Vec<u8> {
        Vec::new()
    }
}

impl UserMemory for Nothing {
    fn read(&mut self, _: u32, _: u64, _: &mut [u8]) -> usize {
        0
    }
}

/// The surroundings, and what they have said.
pub(crate) struct Outside {
    pub(super) symbols: Box<dyn Symbols>,
    pub(super) processes: Box<dyn ProcessInfo>,
    pub(super) memory: Box<dyn UserMemory>,
    pub(crate) signals: Box<dyn Signals>,
    pub(crate) counts: Box<dyn Counts>,
    /// Names of data that is counted, with its numbers.
    pub(super) counted: Vec<(StringHandle, Range<usize>)>,
    symbol_texts: HashMap<(SymbolForm, u32, u64), StringHandle, RandomState>,
    /// By process and expression.
    addresses: HashMap<(u32, u64), u64, RandomState>,
    /// What a wide object was, and is.
    pictures: [Vec<u8>; 2],
    /// What was read at the hit itself.
    pub(super) at_hit: AtHit,
    credentials: HashMap<u32, Credentials, RandomState>,
    command_lines: HashMap<u32, StringHandle, RandomState>,
    environments: HashMap<u32, Vec<u8>, RandomState>,
}

impl Default for Outside {
    fn default() -> Self {
        Self {
            symbols: Box::new(Nothing),
            processes: Box::new(Nothing),
            memory: Box::new(Nothing),
            signals: Box::new(Nothing),
            counts: Box::new(Nothing),
            counted: Vec::new(),
            symbol_texts: HashMap::default(),
            addresses: HashMap::default(),
            pictures: [Vec::new(), Vec::new()],
            at_hit: AtHit::default(),
            credentials: HashMap::default(),
            command_lines: HashMap::default(),
            environments: HashMap::default(),
        }
    }
}

impl Outside {
    pub(super) fn symbol(
        &mut self,
        strings: &mut Strings,
        form: SymbolForm,
        pid: u32,
        address: u64,
    ) -> Result<StringHandle, FaultCode> {
        if let Some(handle) = self.symbol_texts.get(&(form, pid, address)) {
            return Ok(*handle);
        }
        let mut text = Vec::new();
        self.symbols.describe(form, pid, address, &mut text);
        if let SymbolForm::Pointer | SymbolForm::KernelPointer = form {
            // There are as many as the target has memory: they are not kept.
            return strings.temporary(&text);
        }
        let handle = strings.intern(&text)?;
        if self.symbol_texts.len() >= SYMBOL_TEXTS_MAX {
            self.symbol_texts.clear();
        }
        self.symbol_texts.insert((form, pid, address), handle);
        Ok(handle)
    }

    /// Where data lies in a process; 0 where there is none of this name.
    pub(crate) fn address_of(
        &mut self,
        strings: &mut Strings,
        (pid, tid): (u32, u32),
        expression: StringHandle,
    ) -> Result<u64, FaultCode> {
        let expression = strings.keep(expression)?;
        if let Some(address) = self.addresses.get(&(pid, expression.0)) {
            return Ok(*address);
        }
        let text = String::from_utf8_lossy(strings.get(expression));
        // What is not there yet may come.
        let Some((address, stays)) = self.symbols.address_of((pid, tid), &text) else {
            return Ok(0);
        };
        if stays {
            self.addresses.insert((pid, expression.0), address);
        }
        Ok(address)
    }

    /// What was seen of data with this name; none where nothing is called so.
    pub(crate) fn counted(
        &self,
        strings: &Strings,
        name: StringHandle,
        now: u64,
    ) -> Option<Estimate> {
        let name = strings.known(name)?;
        let (_, numbers) = self.counted.iter().find(|(own, _)| *own == name)?;
        Some(numbers.clone().map(|number| self.counts.of(number, now)).sum())
    }

    /// Where the pictures of a wide object are written, to be read by the next
    /// handlers: first what it was, then what it is.
    pub(super) fn pictures(&mut self) -> &mut [Vec<u8>; 2] {
        &mut self.pictures
    }

    /// The bytes of a picture from an address on.
    fn picture(&self, address: u64) -> Option<&[u8]> {
        let [old, new] = &self.pictures;
        [(PICTURE_OLD, old), (PICTURE_NEW, new)].into_iter().find_map(|(start, bytes)| {
            let offset = usize::try_from(address.checked_sub(start)?).ok()?;
            bytes.get(offset..).filter(|_| offset < bytes.len())
        })
    }

    /// Forgets what was said of a process.
    pub(super) fn forget(&mut self, pid: u32) {
        self.addresses.retain(|(owner, _), _| *owner != pid);
        self.symbol_texts.retain(|(_, owner, _), _| *owner != pid);
        self.credentials.remove(&pid);
        self.command_lines.remove(&pid);
        self.environments.remove(&pid);
    }

    pub(crate) fn credentials(&mut self, pid: u32) -> Credentials {
        let processes = &mut self.processes;
        *self
            .credentials
            .entry(pid)
            .or_insert_with(|| processes.credentials(pid).unwrap_or_default())
    }

    /// The arguments with blanks between them.
    pub(crate) fn command_line(
        &mut self,
        strings: &mut Strings,
        pid: u32,
    ) -> Result<StringHandle, FaultCode> {
        if let Some(handle) = self.command_lines.get(&pid) {
            return Ok(*handle);
        }
        let mut line = self.processes.arguments(pid);
        while line.last() == Some(&0) {
            line.pop();
        }
        line.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = b' ');
        line.truncate(strings.length_max());
        let handle = strings.intern(&line)?;
        self.command_lines.insert(pid, handle);
        Ok(handle)
    }

    /// The environment of a process, as it was first asked for.
    pub(crate) fn environment(&mut self, pid: u32) -> &[u8] {
        let processes = &mut self.processes;
        self.environments.entry(pid).or_insert_with(|| processes.environment(pid))
    }

    /// The value of a variable of the process's environment, empty where there
    /// is none.
    pub(crate) fn variable(&mut self, pid: u32, name: &[u8]) -> &[u8] {
        let environment = self.environment(pid);
        let value = |entry| match <[u8]>::strip_prefix(entry, name)? {
            [b'=', value @ ..] => Some(value),
            _ => None,
        };
        environment.split(|byte| *byte == 0).find_map(value).unwrap_or_default()
    }

    /// Why memory of the kernel can not be read, behind a colon.
    pub(crate) fn kernel_obstacle(&self) -> String {
        match self.memory.kernel_obstacle() {
            "" => String::new(),
            why => format!(": {why}"),
        }
    }

    /// Text that was read at the hit, up to its NUL or `most` bytes; none where
    /// that was not, or not all of it.
    pub(crate) fn text_at_hit(
        &self,
        pid: Option<u32>,
        address: u64,
        most: usize,
    ) -> Option<&[u8]> {
        self.at_hit.text(pid, address, most)
    }

    /// Reads memory of process `pid`, of the kernel where none: as it was at the
    /// hit where it was read then, else as it is now.
    pub(crate) fn read(
        &mut self,
        pid: Option<u32>,
        address: u64,
        out: &mut [u8],
    ) -> usize {
        if let Some(bytes) = self.picture(address) {
            let length = bytes.len().min(out.len());
            out[..length].copy_from_slice(&bytes[..length]);
            return length;
        }
        if let Some(bytes) = self.at_hit.bytes(pid, address, out.len()) {
            out.copy_from_slice(bytes);
            return out.len();
        }
        let read = match pid {
            Some(pid) => self.memory.read(pid, address, out),
            None => self.memory.read_kernel(address, out),
        };
        read.min(out.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Addresses come from the script, and there are many.
    #[test]
    fn what_is_remembered_of_symbols_is_bounded() {
        let (mut outside, mut strings) = (Outside::default(), Strings::new(64));
        for address in 0..=SYMBOL_TEXTS_MAX as u64 {
            let text = outside.symbol(&mut strings, SymbolForm::Module, 1, address);
            assert_eq!(text, strings.intern(b"<unknown>"));
        }
        assert_eq!(outside.symbol_texts.len(), 1);
    }

    #[test]
    fn pointers_are_not_remembered() {
        let (mut outside, mut strings) = (Outside::default(), Strings::new(64));
        let text = outside.symbol(&mut strings, SymbolForm::Pointer, 1, 16);
        assert!(text.is_ok_and(|text| strings.get(text) == b"0x10"));
        assert!(outside.symbol_texts.is_empty());
    }
}
