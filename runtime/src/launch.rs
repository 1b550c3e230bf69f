//! Starts a program and holds it before its first instruction.
//!
//! The child is traced from outside (PTRACE_SEIZE, without
//! PTRACE_O_EXITKILL) and not by PTRACE_TRACEME: a seized child whose tracer
//! dies is let go and runs on (ptrace(2)), so hwtrace can be killed at any
//! moment. It waits at a pipe until it is seized; if hwtrace dies before, the
//! pipe's end lets it go on just as well.
//!
//! At the stop of PTRACE_EVENT_EXEC the new image is mapped, with its
//! interpreter, and execve(2) has not yet returned to it.

mod trap;

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::RawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::rc::Rc;

use self::trap::{Met, Trap};
use crate::kernel::{Errno, Forked, Kernel, Taken, Wait};

/// Why a program could not be started.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum LaunchError {
    /// There is nothing to execute.
    #[error("the command is empty")]
    Empty,
    /// There is no such program, or its interpreter is missing (ENOENT).
    #[error("no such program")]
    NotFound,
    /// It may not be executed, or is no program (EACCES, ENOEXEC).
    #[error("not an executable program")]
    NotExecutable {
        /// EACCES or ENOEXEC.
        errno: Errno,
    },
    /// execve(2) failed for another reason.
    #[error("the program could not be executed: {0}")]
    Exec(Errno),
    /// The child ended before it executed anything.
    #[error("the child ended before it executed the program")]
    Ended,
    /// A system call of ours failed.
    #[error("{call} failed: {errno}")]
    System {
        /// The call.
        call: &'static str,
        /// What it said.
        errno: Errno,
    },
}

/// A program whose image is mapped and of which nothing has run.
///
/// Dropped without [`Launched::release`], the child is killed and reaped: it
/// is ours, and nobody has seen it run. To be used by the thread that
/// launched it: a tracer is a thread (ptrace(2)).
pub struct Launched {
    kernel: Rc<dyn Kernel>,
    pid: u32,
    held: Hold,
    /// How it ended, where it was let run and did.
    ended: Option<ChildState>,
}

/// How a program is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    /// By us, who trace it.
    Traced,
    /// By a signal, for another tracer.
    Stopped,
    /// It is not, or has ended.
    Not,
}

/// Where a program came that was let run to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// It is held there, before the instruction.
    There,
    /// It has executed another image, and is held before its first instruction.
    Executed,
    /// It runs, and did not get there yet; it can only be dropped.
    GivenUp,
    /// It has ended; releasing it gives a child that tells how.
    Ended,
}

impl Launched {
    /// Process of the program, and leader of its own process group.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Lets the program run, untraced from now on.
    ///
    /// # Errors
    /// [`LaunchError::System`] where it was killed meanwhile.
    pub fn release(mut self) -> Result<Child, LaunchError> {
        match self.held {
            Hold::Traced => {
                self.kernel.ptrace_detach(self.pid).map_err(system("ptrace"))?
            }
            Hold::Stopped => {
                let continued = self.kernel.kill(self.pid, false, libc::SIGCONT);
                continued.map_err(system("kill"))?;
            }
            Hold::Not => {}
        }
        self.held = Hold::Not;
        let kernel = Rc::clone(&self.kernel);
        Ok(Child { kernel, pid: self.pid, ended: self.ended, has_terminal: false })
    }

    /// Has another tracer hold the program, as there can be one only: it is stopped by a
    /// signal, and traced by us no more. No instruction of it runs in between: the signal
    /// waits when it is let go, and is taken before it returns from the kernel.
    ///
    /// If we die then, it stays stopped: so there has to be somebody who continues it.
    ///
    /// # Errors
    /// ESRCH where it was killed meanwhile.
    pub fn hand_over(&mut self) -> Result<(), Errno> {
        if self.held == Hold::Traced {
            self.kernel.kill(self.pid, false, libc::SIGSTOP)?;
            self.kernel.ptrace_detach(self.pid)?;
            self.held = Hold::Stopped;
        }
        Ok(())
    }

    /// Lets the program run until its first thread is about to execute the
    /// instruction at `address`, and holds it there: at its entry point, say,
    /// when its libraries are mapped, or in `main`. Nothing is written into it: a
    /// debug register stops it, which is free again after.
    ///
    /// The register is perf's, since one that ptrace(2) once used stays taken
    /// until the thread ends, and the signal by which it stops the thread is
    /// withheld. Where perf is refused it is one of ptrace(2) all the same, and where
    /// there is none the program goes by single steps. A thread that blocks SIGTRAP does
    /// not stop there, and others may never come there: `give_up` is asked over and over
    /// whether that is enough.
    ///
    /// # Errors
    /// [`LaunchError::System`].
    pub fn run_to(
        &mut self,
        address: u64,
        give_up: &mut dyn FnMut() -> bool,
    ) -> Result<Reached, LaunchError> {
        if self.held != Hold::Traced {
            return Ok(Reached::Ended);
        }
        let kernel = Rc::clone(&self.kernel);
        let trap = Trap::set(&*kernel, self.pid, address);
        trap.go_on(&*kernel, self.pid, 0).map_err(system("ptrace"))?;
        let reached = loop {
            let signal = match kernel.wait(self.pid, false).map_err(system("waitpid"))? {
                Wait::Running if give_up() => break Reached::GivenUp,
                Wait::Running => {
                    kernel.sleep(trap.pause());
                    continue;
                }
                Wait::Stopped { event: libc::PTRACE_EVENT_EXEC, .. } => {
                    break Reached::Executed;
                }
                Wait::Stopped { signal: libc::SIGTRAP, event: 0 } => {
                    match trap.met(&*kernel, self.pid, address) {
                        Met::There => break Reached::There,
                        Met::OnTheWay => 0,
                        Met::Own => libc::SIGTRAP,
                    }
                }
                Wait::Stopped { signal, event: 0 } => signal,
                Wait::Stopped { .. } => 0,
                Wait::Exited { code } => break self.end(ChildState::Exited { code }),
                Wait::Signaled { signal, .. } => {
                    break self.end(ChildState::Killed { signal });
                }
            };
            trap.go_on(&*kernel, self.pid, signal).map_err(system("ptrace"))?;
        };
        if matches!(reached, Reached::There | Reached::Executed) {
            trap.take(&*kernel, self.pid);
        }
        Ok(reached)
    }

    /// It has ended and was reaped.
    fn end(&mut self, state: ChildState) -> Reached {
        self.held = Hold::Not;
        self.ended = Some(state);
        Reached::Ended
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        if self.held != Hold::Not {
            kill_and_reap(&*self.kernel, self.pid);
        }
    }
}

/// Starts `arguments[0]`, found in $PATH where its name has no slash, up to
/// before its first instruction. Standard input, output and error are ours,
/// and so are its signals, but for those that were `taken`.
///
/// # Errors
/// [`LaunchError`]; nothing is left of the child then.
pub fn launch(
    kernel: Rc<dyn Kernel>,
    arguments: &[CString],
    taken: &Taken,
) -> Result<Launched, LaunchError> {
    let first = arguments.first().ok_or(LaunchError::Empty)?;
    let program = find_program(first)?;
    let forked = kernel.fork_exec(&program, arguments, taken);
    let forked = forked.map_err(|errno| LaunchError::System { call: "fork", errno })?;
    let Forked { pid, go, failure } = forked;
    let ends = Rc::clone(&kernel);
    // Closed when the child is gone, which would go on at the pipe's end.
    let go = Pipe { kernel: &*ends, descriptor: go };
    let failure = Pipe { kernel: &*ends, descriptor: failure };
    // From here on every return without `held` reset kills and reaps.
    let mut launched = Launched { kernel, pid, held: Hold::Traced, ended: None };
    let kernel = Rc::clone(&launched.kernel);
    kernel.ptrace_seize(pid).map_err(system("ptrace"))?;
    kernel.write(go.descriptor, &[1]).map_err(system("write"))?;
    loop {
        match kernel.wait(pid, true).map_err(system("waitpid"))? {
            Wait::Stopped { event: libc::PTRACE_EVENT_EXEC, .. } => return Ok(launched),
            Wait::Stopped { signal, event } => {
                // A signal on its way in is passed on; stops of other kinds
                // carry none.
                let signal = if event == 0 { signal } else { 0 };
                kernel.ptrace_continue(pid, signal).map_err(system("ptrace"))?;
            }
            Wait::Running => {}
            Wait::Exited { .. } | Wait::Signaled { .. } => {
                launched.held = Hold::Not;
                return Err(exec_error(&*kernel, failure.descriptor));
            }
        }
    }
}

/// The file that a command's name means, as a shell finds it. Not execvp(3):
/// that has `sh` run what the kernel refuses, and hwtrace would watch `sh`.
///
/// # Errors
/// [`LaunchError::NotFound`], [`LaunchError::NotExecutable`].
pub fn find_program(name: &CStr) -> Result<CString, LaunchError> {
    if name.to_bytes().contains(&b'/') {
        return Ok(name.to_owned());
    }
    let mut refused = LaunchError::NotFound;
    let path = std::env::var_os("PATH").unwrap_or_default();
    for folder in std::env::split_paths(&path) {
        let file = folder.join(OsStr::from_bytes(name.to_bytes()));
        match std::fs::metadata(&file) {
            Ok(found) if found.is_file() && found.permissions().mode() & 0o111 != 0 => {
                let file = CString::new(file.into_os_string().into_vec());
                return file.map_err(|_| LaunchError::NotFound);
            }
            Ok(found) if found.is_file() => {
                refused = LaunchError::NotExecutable { errno: Errno::EACCES };
            }
            Ok(_) | Err(_) => {}
        }
    }
    Err(refused)
}

/// Why the child never came to its program.
fn exec_error(kernel: &dyn Kernel, failure: RawFd) -> LaunchError {
    let mut bytes = [0; 4];
    match kernel.read(failure, &mut bytes) {
        Ok(4) => match Errno::from_raw(i32::from_ne_bytes(bytes)) {
            Errno::ENOENT | Errno::ENOTDIR => LaunchError::NotFound,
            errno @ (Errno::EACCES | Errno::ENOEXEC) => {
                LaunchError::NotExecutable { errno }
            }
            errno => LaunchError::Exec(errno),
        },
        _ => LaunchError::Ended,
    }
}

/// A failure of a system call of ours.
fn system(call: &'static str) -> impl Fn(Errno) -> LaunchError {
    move |errno| LaunchError::System { call, errno }
}

/// A pipe's end, closed when it goes.
struct Pipe<'a> {
    kernel: &'a dyn Kernel,
    descriptor: RawFd,
}

impl Drop for Pipe<'_> {
    fn drop(&mut self) {
        self.kernel.close(self.descriptor);
    }
}

fn kill_and_reap(kernel: &dyn Kernel, pid: u32) {
    if kernel.kill(pid, false, libc::SIGKILL).is_err() {
        return;
    }
    // SIGKILL ends it whatever it does; stops reported before are skipped.
    while matches!(kernel.wait(pid, true), Ok(Wait::Stopped { .. } | Wait::Running)) {}
}

/// The state of a process, a letter (proc(5), `/proc/PID/stat`: behind the name in
/// parentheses).
pub(crate) fn state(stat: &[u8]) -> Option<u8> {
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    stat.get(name_end + 2).copied()
}

/// What a child did since it was last asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildState {
    /// It goes on.
    Running,
    /// It wants the terminal, which its process group does not have, and has
    /// been stopped for it (SIGTTIN, SIGTTOU; termios(3), "tcsetpgrp").
    WantsTerminal,
    /// It was stopped by another signal.
    Stopped {
        /// The signal.
        signal: i32,
    },
    /// It has ended, with this exit code.
    Exited {
        /// The code.
        code: i32,
    },
    /// A signal has killed it.
    Killed {
        /// The signal.
        signal: i32,
    },
}

/// A program that was launched and runs. Dropping it does nothing to it.
pub struct Child {
    kernel: Rc<dyn Kernel>,
    pid: u32,
    ended: Option<ChildState>,
    /// Whether it was given our terminal, which we take back.
    has_terminal: bool,
}

impl Child {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What it did, without waiting. Once it has ended it is reaped, and the
    /// answer stays the same.
    ///
    /// # Errors
    /// [`LaunchError::System`] where somebody else has reaped it.
    pub fn poll(&mut self) -> Result<ChildState, LaunchError> {
        if let Some(ended) = self.ended {
            return Ok(ended);
        }
        let wait = self.kernel.wait(self.pid, false);
        let wait =
            wait.map_err(|errno| LaunchError::System { call: "waitpid", errno })?;
        Ok(match wait {
            Wait::Running => ChildState::Running,
            Wait::Stopped { signal: libc::SIGTTIN | libc::SIGTTOU, .. } => {
                ChildState::WantsTerminal
            }
            Wait::Stopped { signal, .. } => ChildState::Stopped { signal },
            Wait::Exited { code } => *self.ended.insert(ChildState::Exited { code }),
            Wait::Signaled { signal, .. } => {
                *self.ended.insert(ChildState::Killed { signal })
            }
        })
    }

    /// Whether it is stopped, by whatever signal.
    pub fn is_stopped(&self) -> bool {
        let stat = self.kernel.read_file(&format!("/proc/{}/stat", self.pid), 4096);
        stat.is_ok_and(|stat| state(&stat) == Some(b'T'))
    }

    /// Shares the terminal with it as a shell does with a job. To be called
    /// when its state has changed (SIGCHLD).
    ///
    /// A child that wants the terminal gets it where it is ours to give; in the
    /// background we are stopped with it, so that whoever started us learns of
    /// it. A child that has the terminal and is stopped, by Ctrl-Z for one,
    /// gives it back, and we are stopped, too; continued, so is the child.
    pub fn mind_the_terminal(&mut self) {
        match self.poll() {
            Ok(ChildState::WantsTerminal) => match self.kernel.terminal_foreground() {
                Ok(group) if group == self.kernel.own_group() => self.give_terminal(),
                Ok(_) => self.stop_with_it(libc::SIGTTIN),
                // Without a terminal it was stopped for another reason.
                Err(_) => {}
            },
            Ok(ChildState::Stopped { .. }) if self.has_terminal => {
                self.take_terminal();
                self.stop_with_it(libc::SIGTSTP);
            }
            // An end is told by its descriptor.
            Ok(_) | Err(_) => {}
        }
    }

    /// Stops us, and continues the child when we are continued.
    fn stop_with_it(&mut self, signal: i32) {
        self.has_terminal = false;
        let continued = self.kernel.stop_own_group(signal).unwrap_or(false);
        let group = self.kernel.own_group();
        if self.kernel.terminal_foreground() == Ok(group) {
            self.give_terminal();
        } else if continued {
            // In the background now. It may have ended meanwhile.
            let _ = self.kernel.kill(self.pid, true, libc::SIGCONT);
        }
    }

    /// Puts its process group into the foreground and continues it.
    fn give_terminal(&mut self) {
        self.has_terminal = self.kernel.set_terminal_foreground(self.pid).is_ok();
        if self.has_terminal {
            // It may have ended meanwhile, which its descriptor tells.
            let _ = self.kernel.kill(self.pid, true, libc::SIGCONT);
        }
    }

    /// Takes the terminal back from a child that has it. Another group's that
    /// lives it is not ours to take.
    pub fn take_terminal(&mut self) {
        if !std::mem::take(&mut self.has_terminal) {
            return;
        }
        let kernel = &*self.kernel;
        let Ok(group) = kernel.terminal_foreground() else { return };
        if group == self.pid || kernel.kill(group, true, 0) == Err(Errno::ESRCH) {
            // Without a terminal to take there is none to lose either.
            let _ = kernel.set_terminal_foreground(kernel.own_group());
        }
    }
}

/// A descriptor that becomes readable when a process ends, a child of ours or
/// not; closed when dropped.
pub struct EndWatch {
    kernel: Rc<dyn Kernel>,
    descriptor: RawFd,
}

impl EndWatch {
    /// Watches for the end of `pid`.
    ///
    /// # Errors
    /// ESRCH where it has ended and was reaped, ENOSYS before Linux 5.3.
    pub fn new(kernel: Rc<dyn Kernel>, pid: u32) -> Result<Self, Errno> {
        let descriptor = kernel.pidfd_open(pid)?;
        Ok(Self { kernel, descriptor })
    }

    /// The descriptor, for poll(2): POLLIN once the process has ended.
    pub fn descriptor(&self) -> RawFd {
        self.descriptor
    }
}

impl Drop for EndWatch {
    fn drop(&mut self) {
        self.kernel.close(self.descriptor);
    }
}
