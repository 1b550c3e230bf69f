//! What a world asks of its surroundings: names, processes, memory. Asked
//! when a script wants to know, not when a hit comes.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::abi::FaultCode;
use crate::strings::{StringHandle, Strings};

/// Turns addresses of the traced processes into names.
pub trait Symbols {
    /// Appends the name of what lies at `address`, as `usymname()` gives it.
    fn name(&mut self, pid: u32, address: u64, out: &mut Vec<u8>);
    /// Appends name, offset and module, as `usymdata()` gives it.
    fn data(&mut self, pid: u32, address: u64, out: &mut Vec<u8>);
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
}

/// Knows nothing: addresses print as numbers, no process is there, no memory
/// can be read.
struct Nothing;

impl Symbols for Nothing {
    fn name(&mut self, _: u32, address: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{address:#x}").as_bytes());
    }

    fn data(&mut self, pid: u32, address: u64, out: &mut Vec<u8>) {
        self.name(pid, address, out);
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

/// Which symbol text is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SymbolForm {
    Name,
    Data,
}

/// The surroundings, and what they have said.
pub(crate) struct Outside {
    pub(super) symbols: Box<dyn Symbols>,
    pub(super) processes: Box<dyn ProcessInfo>,
    pub(super) memory: Box<dyn UserMemory>,
    symbol_texts: HashMap<(SymbolForm, u32, u64), StringHandle, RandomState>,
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
            symbol_texts: HashMap::default(),
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
        match form {
            SymbolForm::Name => self.symbols.name(pid, address, &mut text),
            SymbolForm::Data => self.symbols.data(pid, address, &mut text),
        }
        let handle = strings.intern(&text)?;
        self.symbol_texts.insert((form, pid, address), handle);
        Ok(handle)
    }

    /// Forgets what was said of a process.
    pub(super) fn forget(&mut self, pid: u32) {
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

    /// The value of a variable of the process's environment, empty where there
    /// is none.
    pub(crate) fn variable(&mut self, pid: u32, name: &[u8]) -> &[u8] {
        let processes = &mut self.processes;
        let environment =
            self.environments.entry(pid).or_insert_with(|| processes.environment(pid));
        let value = |entry| match <[u8]>::strip_prefix(entry, name)? {
            [b'=', value @ ..] => Some(value),
            _ => None,
        };
        environment.split(|byte| *byte == 0).find_map(value).unwrap_or_default()
    }

    /// Reads memory of process `pid`, of the kernel where none.
    pub(crate) fn read(
        &mut self,
        pid: Option<u32>,
        address: u64,
        out: &mut [u8],
    ) -> usize {
        let read = match pid {
            Some(pid) => self.memory.read(pid, address, out),
            None => self.memory.read_kernel(address, out),
        };
        read.min(out.len())
    }
}
