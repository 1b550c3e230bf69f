//! Processes as `/proc` shows them (proc(5)): what they run, where it is loaded,
//! and who else may use their debug registers.
//!
//! A [`Process`] keeps the directory in `/proc` open, so that all it says is about
//! the same process, even if the id is given to another one meanwhile.

pub mod facts;
mod holders;

use std::cell::OnceCell;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use procfs::ProcError;

pub use holders::{
    Aim, Holder, HolderKind, Holders, perf_event_paranoid, register_holders,
    yama_ptrace_scope,
};

use crate::address::{AbsAddr, LoadBias};
use crate::maps::{Mapping, MapsError, parse_maps};
use crate::spec::ProcessRef;
use crate::symbols::{Elf, ElfError, ElfKind, file};

/// Why a process cannot be looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// There is none with this id, or no longer.
    #[error("there is no process {pid}")]
    Gone {
        /// The id.
        pid: u32,
    },
    /// It has exited and waits for its parent to notice.
    #[error("process {pid} has exited; its parent has not noticed yet")]
    Zombie {
        /// The id.
        pid: u32,
    },
    /// The id is of a thread, not of a process.
    #[error("{tid} is a thread of process {pid}: give the process")]
    Thread {
        /// The id.
        tid: u32,
        /// The process that the thread belongs to.
        pid: u32,
    },
    /// It is a thread of the kernel.
    #[error("{pid} is a kernel thread, which has no memory of its own")]
    KernelThread {
        /// The id.
        pid: u32,
    },
    /// The kernel does not let us look (ptrace(2), "Ptrace access mode checking").
    #[error("no permission to read {}", path.display())]
    PermissionDenied {
        /// The process.
        pid: u32,
        /// What could not be read.
        path: PathBuf,
    },
    /// Its executable is no program that can be watched.
    #[error("{}: {error}", path.display())]
    Executable {
        /// The executable.
        path: PathBuf,
        /// What is wrong with it.
        error: ElfError,
    },
    /// Its executable is not in its memory.
    #[error("{} is not mapped in process {pid}", path.display())]
    NotLoaded {
        /// The process.
        pid: u32,
        /// The executable.
        path: PathBuf,
    },
    /// `/proc/PID/maps` is not as documented.
    #[error("process {pid}: {error}")]
    Maps {
        /// The process.
        pid: u32,
        /// The line at fault.
        error: MapsError,
    },
    /// Reading failed for another reason.
    #[error("cannot read {}: {error}", path.display())]
    Io {
        /// What could not be read.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// A process that runs a program.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    directory: procfs::process::Process,
    executable: OnceCell<Executable>,
}

/// The program that a process runs.
#[derive(Clone, Debug)]
pub struct Executable {
    /// Its path, as the process sees it; ` (deleted)` at the end if it is.
    pub path: Arc<Path>,
    /// Its inode number.
    pub inode: u64,
    /// Its file.
    pub elf: Arc<Elf>,
    /// Where it is loaded.
    pub bias: LoadBias,
}

/// A thread of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Its id.
    pub tid: u32,
    /// Its name (`comm`).
    pub name: String,
}

impl Process {
    /// Finds the process with this id. For a new process, to be called when it has
    /// started its program (after `execve`), as what it runs is remembered.
    ///
    /// # Errors
    ///
    /// [`ProcessError::Gone`], [`ProcessError::Zombie`], [`ProcessError::Thread`].
    pub fn open(pid: u32) -> Result<Self, ProcessError> {
        let id = i32::try_from(pid).map_err(|_| ProcessError::Gone { pid })?;
        let directory = procfs::process::Process::new(id)
            .map_err(|error| from_proc(error, pid, "status"))?;
        let process = Process { pid, directory, executable: OnceCell::new() };
        let status = process.status()?;
        match status_field(&status, "State").and_then(|state| state.chars().next()) {
            Some('Z') => return Err(ProcessError::Zombie { pid }),
            Some('X' | 'x') => return Err(ProcessError::Gone { pid }),
            _ => {}
        }
        let group = status_field(&status, "Tgid").and_then(|id| id.parse().ok());
        match group {
            Some(group) if group != pid => {
                Err(ProcessError::Thread { tid: pid, pid: group })
            }
            _ => Ok(process),
        }
    }

    /// Its id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Its name (`comm`): of the main thread.
    ///
    /// # Errors
    ///
    /// [`ProcessError::Gone`].
    pub fn name(&self) -> Result<String, ProcessError> {
        let name = self.read("comm")?;
        Ok(String::from_utf8_lossy(name.trim_ascii_end()).into_owned())
    }

    /// The path of what it runs, as the kernel gives it: with ` (deleted)` at the end
    /// if it is, and as seen from the root of the process's own mounts.
    ///
    /// # Errors
    ///
    /// [`ProcessError::PermissionDenied`], [`ProcessError::KernelThread`],
    /// [`ProcessError::Gone`].
    pub fn executable_path(&self) -> Result<PathBuf, ProcessError> {
        let path = self.directory.exe();
        path.map_err(|error| match error {
            // The link is there, but leads nowhere without memory.
            ProcError::NotFound(_) if self.status().is_ok() => self.without_memory(),
            error => from_proc(error, self.pid, "exe"),
        })
    }

    /// What it runs, opened through `/proc/PID/exe`, which also works if the file was
    /// deleted or is in another mount namespace. Read once.
    ///
    /// # Errors
    ///
    /// Those of [`Process::executable_path`], [`ProcessError::Executable`],
    /// [`ProcessError::NotLoaded`].
    pub fn executable(&self) -> Result<&Executable, ProcessError> {
        if let Some(executable) = self.executable.get() {
            return Ok(executable);
        }
        let path: Arc<Path> = self.executable_path()?.into();
        let file = self
            .directory
            .open_relative("exe")
            .map_err(|error| from_proc(error, self.pid, "exe"))?;
        let io_error = |error| from_io(error, self.pid, &path);
        let inode = file.metadata().map_err(io_error)?.ino();
        let bytes = file::load_open(&file).map_err(io_error)?;
        let elf = Elf::parse(bytes).map_err(|error| ProcessError::Executable {
            path: path.to_path_buf(),
            error,
        })?;
        let bias = self.load_bias(&elf, &path)?;
        let elf = Arc::new(elf);
        Ok(self.executable.get_or_init(|| Executable { path, inode, elf, bias }))
    }

    /// Where `elf`, which is what it runs, is loaded.
    fn load_bias(&self, elf: &Elf, path: &Path) -> Result<LoadBias, ProcessError> {
        if elf.kind() == ElfKind::Fixed {
            return Ok(LoadBias::default());
        }
        let bias = load_bias(&self.maps()?, elf, path);
        bias.or_else(|| self.bias_by_entry(elf)).ok_or_else(|| ProcessError::NotLoaded {
            pid: self.pid,
            path: path.to_path_buf(),
        })
    }

    /// The kernel tells the program where its own entry is (`AT_ENTRY`, getauxval(3)).
    fn bias_by_entry(&self, elf: &Elf) -> Option<LoadBias> {
        const AT_ENTRY: u64 = 9;
        let entry = *self.directory.auxv().ok()?.get(&AT_ENTRY)?;
        (entry != 0).then(|| LoadBias::between(elf.entry(), AbsAddr(entry)))
    }

    /// Its memory as it is mapped now.
    ///
    /// # Errors
    ///
    /// [`ProcessError::PermissionDenied`], [`ProcessError::Gone`],
    /// [`ProcessError::Maps`].
    pub fn maps(&self) -> Result<Vec<Mapping>, ProcessError> {
        let text = self.read("maps")?;
        parse_maps(&text).map_err(|error| ProcessError::Maps { pid: self.pid, error })
    }

    /// Its threads that could be read; threads may start and end meanwhile.
    ///
    /// # Errors
    ///
    /// [`ProcessError::Gone`], [`ProcessError::PermissionDenied`].
    pub fn threads(&self) -> Result<Vec<Thread>, ProcessError> {
        let tasks = self.directory.tasks();
        let tasks = tasks.map_err(|error| from_proc(error, self.pid, "task"))?;
        let thread = |task: procfs::process::Task| {
            let name = task.stat().ok()?.comm;
            let tid = u32::try_from(task.tid).ok()?;
            Some(Thread { tid, name })
        };
        Ok(tasks.flatten().filter_map(thread).collect())
    }

    /// The process that traces it (a debugger), if one does.
    ///
    /// # Errors
    ///
    /// [`ProcessError::Gone`].
    pub fn tracer(&self) -> Result<Option<u32>, ProcessError> {
        let status = self.status()?;
        let tracer = status_field(&status, "TracerPid").and_then(|id| id.parse().ok());
        Ok(tracer.filter(|&pid| pid != 0))
    }

    /// Does a probe point's `process(…)` name this process? A path names it if it is
    /// the file that it runs, whatever links lead there; a path without a directory
    /// also if it is the file's name.
    ///
    /// # Errors
    ///
    /// Those of [`Process::executable_path`].
    pub fn is_named_by(&self, reference: &ProcessRef) -> Result<bool, ProcessError> {
        let path = match reference {
            ProcessRef::Target => return Ok(true),
            ProcessRef::Pid(pid) => return Ok(*pid == self.pid),
            ProcessRef::Path(path) => Path::new(path),
        };
        let own = self.executable_path()?;
        let bare = path.components().count() == 1;
        if path == own || bare && own.file_name() == path.file_name() {
            return Ok(true);
        }
        let link = PathBuf::from(format!("/proc/{}/exe", self.pid));
        let same = |a: std::fs::Metadata, b: std::fs::Metadata| {
            (a.dev(), a.ino()) == (b.dev(), b.ino())
        };
        match (std::fs::metadata(path), std::fs::metadata(link)) {
            (Ok(named), Ok(running)) => Ok(same(named, running)),
            _ => Ok(false),
        }
    }

    fn without_memory(&self) -> ProcessError {
        let pid = self.pid;
        let status = self.status().unwrap_or_default();
        match status_field(&status, "State") {
            Some(state) if state.starts_with('Z') => ProcessError::Zombie { pid },
            _ => ProcessError::KernelThread { pid },
        }
    }

    fn status(&self) -> Result<Vec<u8>, ProcessError> {
        self.read("status")
    }

    /// Reads a file of the process's directory.
    fn read(&self, name: &str) -> Result<Vec<u8>, ProcessError> {
        let file = self.directory.open_relative(name);
        let mut file = file.map_err(|error| from_proc(error, self.pid, name))?;
        let mut text = Vec::with_capacity(8 * 1024);
        file.read_to_end(&mut text)
            .map_err(|error| from_io(error, self.pid, &proc_path(self.pid, name)))?;
        Ok(text)
    }
}

/// The ids of all processes that run an executable, as [`Process::is_named_by`] has it;
/// of those that we may look at.
pub fn processes_of(executable: &str) -> Vec<u32> {
    let reference = ProcessRef::Path(executable.to_owned());
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let process = Process::open(pid).ok()?;
        process.is_named_by(&reference).ok()?.then_some(pid)
    });
    pids.collect()
}

/// Where the file `elf` with this path is loaded, by the mappings of a process.
/// `None` if it is not.
///
/// Mappings of code come first: they name the segment best, see
/// [`Elf::bias_of_mapping`].
pub fn load_bias(mappings: &[Mapping], elf: &Elf, path: &Path) -> Option<LoadBias> {
    let own = || {
        let own = |mapping: &&Mapping| mapping.path.as_deref() == Some(path);
        mappings.iter().filter(own)
    };
    let code = own().filter(|mapping| mapping.executable);
    let mut ordered = code.chain(own());
    ordered.find_map(|mapping| {
        elf.bias_of_mapping(mapping.start, mapping.offset, mapping.executable)
    })
}

/// A field of `/proc/PID/status`: the text behind `NAME:`.
fn status_field<'a>(status: &'a [u8], name: &str) -> Option<&'a str> {
    let mut lines = status.split(|&byte| byte == b'\n');
    let value = lines.find_map(|line| {
        let value = line.strip_prefix(name.as_bytes())?;
        value.strip_prefix(b":")
    })?;
    std::str::from_utf8(value).ok().map(str::trim)
}

fn proc_path(pid: u32, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{name}"))
}

fn from_proc(error: ProcError, pid: u32, name: &str) -> ProcessError {
    let path = proc_path(pid, name);
    match error {
        ProcError::PermissionDenied(_) => ProcessError::PermissionDenied { pid, path },
        ProcError::NotFound(_) => ProcessError::Gone { pid },
        ProcError::Io(error, _) => from_io(error, pid, &path),
        other => ProcessError::Io { path, error: io::Error::other(other) },
    }
}

/// `ESRCH`: reading of a process that has been reaped (proc(5)).
const NO_SUCH_PROCESS: i32 = 3;

fn from_io(error: io::Error, pid: u32, path: &Path) -> ProcessError {
    let path = path.to_path_buf();
    match error.kind() {
        _ if error.raw_os_error() == Some(NO_SUCH_PROCESS) => ProcessError::Gone { pid },
        io::ErrorKind::PermissionDenied => ProcessError::PermissionDenied { pid, path },
        _ => ProcessError::Io { path, error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_process() {
        let process = Process::open(std::process::id()).expect("own process");
        let path = std::env::current_exe().expect("own path");
        assert_eq!(process.executable_path().expect("own path"), path);
        assert!(!process.threads().expect("own threads").is_empty());
        let own = process.executable().expect("own executable");
        let here = own_process as *const () as u64;
        let here = own.bias.to_virt(AbsAddr(here));
        let name = own.elf.function_at(here).expect("a symbol");
        assert!(name.raw_text().contains("own_process"));

        let path = path.to_string_lossy().into_owned();
        for (reference, expected) in [
            (ProcessRef::Target, true),
            (ProcessRef::Pid(process.pid()), true),
            (ProcessRef::Pid(1), false),
            (ProcessRef::Path(path), true),
            (ProcessRef::Path("/proc/self/exe".to_owned()), true),
            (ProcessRef::Path("/bin/sh".to_owned()), false),
            (ProcessRef::Path("/no/such/file".to_owned()), false),
        ] {
            let named = process.is_named_by(&reference).expect("readable");
            assert_eq!(named, expected, "{reference:?}");
        }
    }

    #[test]
    fn no_such_process() {
        for pid in [u32::MAX, 0x7fff_ffff] {
            assert!(matches!(Process::open(pid), Err(ProcessError::Gone { .. })));
        }
    }

    #[test]
    fn a_zombie_and_then_nothing() {
        let mut child = std::process::Command::new("true").spawn().expect("true");
        let pid = child.id();
        let open = || loop {
            match Process::open(pid) {
                Ok(_) => std::thread::yield_now(),
                Err(error) => return error,
            }
        };
        let error = open();
        assert!(matches!(error, ProcessError::Zombie { .. }), "{error}");
        child.wait().expect("it exits");
        let error = open();
        assert!(matches!(error, ProcessError::Gone { .. }), "{error}");
    }

    #[test]
    fn a_thread_is_not_a_process() {
        let path = std::fs::read_link("/proc/thread-self").expect("a link");
        let tid = path.file_name().and_then(|tid| tid.to_str()?.parse().ok());
        let tid: u32 = tid.expect("a number");
        // Tests run in threads of their own, but not with --test-threads=1.
        if tid != std::process::id() {
            let error = Process::open(tid).expect_err("a thread");
            assert!(matches!(error, ProcessError::Thread { .. }), "{error}");
        }
    }

    #[test]
    fn fields_of_hostile_status() {
        let status = b"Name:\tTracerPid:\t7\nTracerPid:\t12\nTgid:\t\xff\n";
        assert_eq!(status_field(status, "TracerPid"), Some("12"));
        assert_eq!(status_field(status, "Tgid"), None);
        assert_eq!(status_field(b"", "Tgid"), None);
    }
}
