//! What handlers ask of processes and of memory, answered by `/proc` and by
//! way of the kernel.

use std::cell::OnceCell;
use std::rc::Rc;

use hwtrace_probes::kcore::KernelMemory;
use hwtrace_probes::process::facts::{self, Identity};
use hwtrace_runtime::bpf::KernelReader;
use hwtrace_runtime::kernel::{Errno, Kernel};
use hwtrace_runtime::signalling::Signaller;
use hwtrace_runtime::world::{Credentials, ProcessInfo, UserMemory, World};

use crate::rights;

/// Lets the handlers of a session with this target ask. The target is there
/// now, and what is known of it is noted: it may have ended when a handler
/// looks at its last hits.
pub(crate) fn set(world: &mut World, kernel: &Rc<dyn Kernel>, target: Option<u32>) {
    let noted = target.map(|pid| (pid, Facts::of(pid)));
    world.set_process_info(Box::new(Processes { noted }));
    world.set_signals(Box::new(Signaller::new(kernel, target)));
    let kernel_memory = OnceCell::new();
    let memory = Memory { kernel: Rc::clone(kernel), kernel_memory };
    world.set_memory(Box::new(memory));
}

/// What is to be known of a process.
#[derive(Debug)]
struct Facts {
    identity: Option<Identity>,
    arguments: Vec<u8>,
    environment: Vec<u8>,
}

impl Facts {
    fn of(pid: u32) -> Self {
        Self {
            identity: facts::identity(pid),
            arguments: facts::arguments(pid).unwrap_or_default(),
            environment: facts::environment(pid).unwrap_or_default(),
        }
    }
}

/// Processes as they are now; the target, once it has ended, as it was.
#[derive(Debug)]
struct Processes {
    noted: Option<(u32, Facts)>,
}

impl Processes {
    fn noted(&self, pid: u32) -> Option<&Facts> {
        self.noted.as_ref().filter(|(noted, _)| *noted == pid).map(|(_, facts)| facts)
    }
}

/// Outside of hits, where there is no target either, hwtrace itself is meant.
fn asked(pid: u32) -> u32 {
    if pid == 0 { std::process::id() } else { pid }
}

impl ProcessInfo for Processes {
    fn credentials(&mut self, pid: u32) -> Option<Credentials> {
        let pid = asked(pid);
        let identity = facts::identity(pid)
            .or_else(|| self.noted(pid).and_then(|it| it.identity))?;
        Some(Credentials {
            parent: identity.parent,
            user: identity.user,
            effective_user: identity.effective_user,
            group: identity.group,
            effective_group: identity.effective_group,
        })
    }

    fn arguments(&mut self, pid: u32) -> Vec<u8> {
        let pid = asked(pid);
        let noted = || self.noted(pid).map(|facts| facts.arguments.clone());
        facts::arguments(pid).or_else(noted).unwrap_or_default()
    }

    fn environment(&mut self, pid: u32) -> Vec<u8> {
        let pid = asked(pid);
        let noted = || self.noted(pid).map(|facts| facts.environment.clone());
        facts::environment(pid).or_else(noted).unwrap_or_default()
    }
}

/// Memory of processes and of the kernel.
struct Memory {
    kernel: Rc<dyn Kernel>,
    /// Opened when it is first asked for; or why it can not be.
    kernel_memory: OnceCell<Result<KernelSource, String>>,
}

/// A way to the kernel's memory.
#[derive(Debug)]
pub(crate) enum KernelSource {
    /// `/proc/kcore`: the quicker one.
    File(KernelMemory),
    /// A BPF program, where there is no such file.
    Program(KernelReader),
}

/// Whether we may read the kernel's memory: that takes what watching its data takes,
/// CAP_SYS_ADMIN, although BPF programs read it with less. All memory of all processes is
/// in it.
pub(crate) fn may_read_kernel(kernel: &dyn Kernel) -> Result<bool, Errno> {
    Ok(kernel.capabilities()?.has(rights::KERNEL_DATA))
}

impl KernelSource {
    pub(crate) fn open(kernel: &Rc<dyn Kernel>) -> Result<Self, String> {
        if !may_read_kernel(&**kernel).map_err(|errno| errno.to_string())? {
            return Err("reading the kernel's memory takes CAP_SYS_ADMIN".to_owned());
        }
        let file = match KernelMemory::running() {
            Ok(file) => return Ok(Self::File(file)),
            Err(error) => error,
        };
        let program = KernelReader::open(kernel);
        program.map(Self::Program).map_err(|error| format!("{file}; {error}"))
    }

    pub(crate) fn read(&self, address: u64, out: &mut [u8]) -> usize {
        match self {
            Self::File(file) => file.read(address, out),
            Self::Program(program) => program.read(address, out),
        }
    }
}

impl Memory {
    fn kernel_memory(&self) -> Result<&KernelSource, &String> {
        self.kernel_memory.get_or_init(|| KernelSource::open(&self.kernel)).as_ref()
    }
}

impl UserMemory for Memory {
    fn read(&mut self, pid: u32, address: u64, out: &mut [u8]) -> usize {
        self.kernel.read_memory(pid, address, out).unwrap_or(0)
    }

    fn read_kernel(&mut self, address: u64, out: &mut [u8]) -> usize {
        self.kernel_memory().map_or(0, |memory| memory.read(address, out))
    }

    fn kernel_obstacle(&self) -> &str {
        self.kernel_memory().err().map_or("", |why| why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_has_ended_is_known_as_it_was() {
        let mut child = std::process::Command::new("sleep")
            .arg("100")
            .env("WHO", "me")
            .spawn()
            .expect("sleep");
        let pid = child.id();
        // The kernel lets the parent go on before it has put the arguments in
        // place (fs/exec.c, `exec_mmap` before fs/binfmt_elf.c,
        // `create_elf_tables`).
        while Facts::of(pid).arguments.is_empty() {
            std::thread::yield_now();
        }
        let mut processes = Processes { noted: Some((pid, Facts::of(pid))) };
        let alive = processes.credentials(pid).expect("it is there");
        child.kill().expect("it is ours");
        child.wait().expect("it ends");
        assert_eq!(facts::identity(pid), None);
        assert_eq!(processes.credentials(pid), Some(alive));
        assert_eq!(alive.parent, std::process::id());
        assert_eq!(processes.arguments(pid), b"sleep\x00100\x00");
        let environment = processes.environment(pid);
        assert!(environment.split(|byte| *byte == 0).any(|entry| entry == b"WHO=me"));
        assert_eq!(processes.credentials(u32::MAX), None);
        assert_eq!(processes.arguments(u32::MAX), b"");
    }

    #[test]
    fn without_a_target_hwtrace_itself_is_meant() {
        let mut processes = Processes { noted: None };
        let own = processes.credentials(0).expect("own");
        assert_eq!(own.parent, std::os::unix::process::parent_id());
    }
}
