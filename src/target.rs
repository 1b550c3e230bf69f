//! Whom a session watches: a program that it starts, or a process that runs.

use std::ffi::{CString, OsStr};
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hwtrace_lang::code::Code;
use hwtrace_lang::diagnostic::Diagnostic;
use hwtrace_probes::process::{Process, ProcessError, yama_ptrace_scope};
use hwtrace_runtime::kernel::{Errno, Kernel, Taken};
use hwtrace_runtime::launch::{
    Child, ChildState, EndWatch, LaunchError, Launched, Reached, find_program, launch,
};

use crate::arming;
use crate::session::Failure;

/// A program has loaded its libraries after this time.
const LOADS_WITHIN: Duration = Duration::from_secs(10);

/// Whom a session watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Nobody: the script has no probe that needs a process.
    None,
    /// A program to start, with its arguments.
    Command(Vec<String>),
    /// A process that runs.
    Process(u32),
}

/// A target that is there.
pub(crate) struct Running {
    pid: u32,
    end: EndWatch,
    child: State,
}

enum State {
    /// Not ours.
    Attached,
    /// Ours, before its first instruction.
    Held(Launched),
    /// Ours, on its way.
    Released(Child),
    /// Between two states.
    Moving,
}

impl Running {
    /// Starts the command up to before its first instruction, or finds the
    /// process. A child does not inherit what was `taken`.
    pub(crate) fn start(
        kernel: &Rc<dyn Kernel>,
        target: &Target,
        taken: &Taken,
    ) -> Result<Option<Self>, Failure> {
        let (pid, child) = match target {
            Target::None => return Ok(None),
            Target::Process(pid) => {
                leader_lives(&**kernel, *pid)?;
                (*pid, State::Attached)
            }
            Target::Command(command) => {
                let launched = start(kernel, command, taken)?;
                (launched.pid(), State::Held(launched))
            }
        };
        let end = EndWatch::new(Rc::clone(kernel), pid)
            .map_err(|errno| no_process(pid, errno))?;
        Ok(Some(Self { pid, end, child }))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Readable once the target has ended.
    pub(crate) fn end_fd(&self) -> std::os::fd::RawFd {
        self.end.descriptor()
    }

    /// Whether it is ours, and has not run anything of its own.
    pub(crate) fn is_held(&self) -> bool {
        matches!(self.child, State::Held(_))
    }

    /// Has a program that is held wait for another tracer.
    pub(crate) fn hand_over(&mut self) -> Result<(), Errno> {
        match &mut self.child {
            State::Held(launched) => launched.hand_over(),
            _ => Ok(()),
        }
    }

    /// Lets a program that is held run until it comes to an address, and holds it
    /// there. False where it will not come there: it executed another program, and
    /// is held before that.
    pub(crate) fn run_to(&mut self, address: u64) -> Result<bool, Failure> {
        let State::Held(launched) = &mut self.child else { return Ok(false) };
        let started = Instant::now();
        match launched.run_to(address, &mut || started.elapsed() > LOADS_WITHIN) {
            Ok(Reached::GivenUp) => Err(Diagnostic::new(
                Code::ArmingFailed,
                None,
                "the target does not come to the end of loading its libraries",
            )
            .note(format!("waited for it for {} s", LOADS_WITHIN.as_secs()))
            .help("start it yourself, and watch it with `-p PID`")
            .into()),
            Ok(Reached::There) => Ok(true),
            Ok(Reached::Executed) => Ok(false),
            Ok(Reached::Ended) => Err(Diagnostic::new(
                Code::TargetExited,
                None,
                "the target ended while its libraries were loaded",
            )
            .into()),
            Err(error) => Err(ended(&error)),
        }
    }

    /// Lets a started program run.
    pub(crate) fn release(&mut self) -> Result<(), Failure> {
        self.child = match std::mem::replace(&mut self.child, State::Moving) {
            State::Held(launched) => {
                let child = launched.release().map_err(|error| ended(&error))?;
                State::Released(child)
            }
            other => other,
        };
        Ok(())
    }

    /// A program that reads the terminal gets it, as a shell would give it;
    /// until then Ctrl-C is hwtrace's alone, and the target lives on. For when
    /// a child's state has changed.
    pub(crate) fn mind_the_terminal(&mut self) {
        if let State::Released(child) = &mut self.child {
            child.mind_the_terminal();
        }
    }

    /// Leaves the target to itself.
    pub(crate) fn let_go(&mut self) -> Fate {
        match &mut self.child {
            State::Released(child) => {
                child.take_terminal();
                match child.poll() {
                    Ok(ChildState::Killed { signal }) => {
                        Fate::Killed { pid: self.pid, signal }
                    }
                    Ok(ChildState::Exited { .. }) | Err(_) => Fate::Ended,
                    Ok(_) if child.is_stopped() => Fate::Stopped { pid: self.pid },
                    Ok(_) => Fate::GoesOn { pid: self.pid },
                }
            }
            State::Held(_) => Fate::NeverRan,
            State::Attached | State::Moving => Fate::NotOurs,
        }
    }
}

/// What became of a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// There is none, or it is not our child.
    #[default]
    NotOurs,
    /// It was to be started by us, and the session ended before.
    NeverRan,
    /// It has ended by itself.
    Ended,
    /// A signal has killed it.
    Killed {
        /// The process.
        pid: u32,
        /// The signal's number.
        signal: i32,
    },
    /// It is stopped: by the script, or by whoever sent it such a signal. When its
    /// parent, which we are, ends before it was continued, the kernel ends it with
    /// SIGHUP, as it is nobody's job any more (setpgid(2)): so wait for that
    /// ([`wait_continued`](hwtrace_runtime::kernel::Kernel::wait_continued)).
    Stopped {
        /// The process.
        pid: u32,
    },
    /// It goes on without us.
    GoesOn {
        /// The process.
        pid: u32,
    },
}

fn start(
    kernel: &Rc<dyn Kernel>,
    command: &[String],
    taken: &Taken,
) -> Result<Launched, Failure> {
    let name = command.first().map_or("", |name| name);
    let arguments: Result<Vec<_>, _> =
        command.iter().map(|argument| CString::new(argument.as_bytes())).collect();
    let arguments = arguments.map_err(|_| {
        Diagnostic::new(Code::NotExecutable, None, "the command has a NUL byte in it")
    })?;
    if let Some(program) = arguments.first().and_then(|name| find_program(name).ok())
        && has_other_rights(Path::new(OsStr::from_bytes(program.as_bytes())))
    {
        return Err(other_rights(name).into());
    }
    let launched = launch(Rc::clone(kernel), &arguments, taken);
    launched.map_err(|error| explain(name, &error).into())
}

/// Whether a program is to run with another user's rights than ours, and would not if
/// we started it: the kernel leaves them out where a tracer without privilege holds it
/// (credentials(7); security/commoncap.c, `cap_bprm_creds_from_file`).
fn has_other_rights(program: &Path) -> bool {
    const SET_USER_ID: u32 = 0o4000;
    let own = nix::unistd::geteuid();
    let other =
        |file: Metadata| file.mode() & SET_USER_ID != 0 && file.uid() != own.as_raw();
    !own.is_root() && std::fs::metadata(program).is_ok_and(other)
}

fn other_rights(name: &str) -> Diagnostic {
    let message = format!("`{name}` runs with another user's rights (set-user-ID)");
    Diagnostic::new(Code::PermissionDenied, None, message)
        .note("held by a user without privilege it would run without them")
        .note("the kernel ends all perf events of a program that gains rights")
        .help("run hwtrace as root with `sudo`")
        .help("or watch a copy of the program, without these rights")
}

fn explain(name: &str, error: &LaunchError) -> Diagnostic {
    let new = |message| Diagnostic::new(Code::NotExecutable, None, message);
    match error {
        LaunchError::Empty => new("the command is empty".into())
            .help("give a program: `hwtrace watch counter -- ./prog`"),
        LaunchError::NotFound if name.contains('/') => {
            new(format!("there is no program `{name}`"))
                .help(format!("look with `ls -l {name}`"))
        }
        LaunchError::NotFound => new(format!("there is no program `{name}` in $PATH"))
            .help(format!("for a program in this folder write `./{name}`")),
        LaunchError::NotExecutable { errno: Errno::EACCES } => {
            new(format!("`{name}` may not be executed"))
                .help(format!("make it executable with `chmod +x {name}`"))
        }
        LaunchError::NotExecutable { .. } => {
            new(format!("`{name}` is no program that this machine can execute"))
                .help(format!("see what it is with `file {name}`"))
        }
        LaunchError::Ended => Diagnostic::new(
            Code::TargetExited,
            None,
            format!("`{name}` ended before it was armed"),
        ),
        LaunchError::System { call: "ptrace", errno: Errno::EPERM } => {
            no_ptrace(name, yama_ptrace_scope(), own_tracer())
        }
        other => new(format!("`{name}` cannot be started: {other}")),
    }
}

/// Tracing one's own child, which ran nothing yet, is refused: not for what it
/// is, but by something around us (ptrace(2), "Ptrace access mode checking").
fn no_ptrace(name: &str, yama: Option<i32>, tracer: Option<u32>) -> Diagnostic {
    let message = format!("`{name}` cannot be held before its first instruction");
    let diagnostic = Diagnostic::new(Code::PermissionDenied, None, message)
        .note("ptrace(2) of the new process is refused: operation not permitted");
    let diagnostic = match (tracer, yama) {
        (Some(tracer), _) => {
            return diagnostic
                .note(format!(
                    "process {tracer} traces hwtrace and its children, and a process has one \
                     tracer only"
                ))
                .help("run hwtrace without it, or it without following children (`-f`)");
        }
        (None, Some(scope @ 3..)) => diagnostic
            .note(format!("kernel.yama.ptrace_scope is {scope}: nobody may trace"))
            .help("as it is cleared by a restart only, set it to 1 and restart"),
        (None, Some(scope @ 2)) => diagnostic
            .note(format!("kernel.yama.ptrace_scope is {scope}: only root may trace"))
            .help("run hwtrace with `sudo`, or `sudo sysctl kernel.yama.ptrace_scope=1`"),
        _ => diagnostic.note("a container's seccomp filter, or SELinux (deny_ptrace)").help(
            "start the container with `--cap-add SYS_PTRACE`, and with `--security-opt \
             seccomp=unconfined` if that is not enough",
        ),
    };
    diagnostic.help(format!("or start `{name}` yourself, and watch it with `-p PID`"))
}

/// Who traces hwtrace itself.
fn own_tracer() -> Option<u32> {
    Process::open(std::process::id()).ok()?.tracer().ok().flatten()
}

/// A process whose main thread has ended while others run has neither memory
/// nor program for those who ask by its own number (proc(5)).
fn leader_lives(kernel: &dyn Kernel, pid: u32) -> Result<(), Failure> {
    let Err(ProcessError::Zombie { .. }) = Process::open(pid) else {
        return Ok(());
    };
    // The main thread is listed until the last one has ended.
    let others = kernel.threads(pid).map_or(0, |threads| threads.len()).saturating_sub(1);
    if others == 0 {
        return Ok(());
    }
    let message = format!("the main thread of process {pid} has ended, and others run");
    Err(Diagnostic::new(Code::UnsupportedTarget, None, message)
        .note(format!(
            "{} of it left; what a process has mapped, and runs, is asked of its main thread",
            crate::report::counted(others as u64, "thread")
        ))
        .help(
            "let the main thread wait for the others (`pthread_join`) in place of ending \
             before them (`pthread_exit`)",
        )
        .into())
}

fn ended(error: &LaunchError) -> Failure {
    Diagnostic::new(Code::TargetExited, None, "the target ended before it could run")
        .note(error.to_string())
        .into()
}

fn no_process(pid: u32, errno: Errno) -> Failure {
    // pidfd_open says ENOENT or EINVAL of a thread; /proc tells what it is.
    match Process::open(pid) {
        Err(error) => arming::process(&error),
        Ok(_) => Failure::System("pidfd_open", errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hwtrace_runtime::kernel::fake::{Call, Fake, Holdings};

    #[test]
    fn a_refused_trace_is_explained_and_leaves_no_child() {
        let fake = Rc::new(Fake::new(1, &[]));
        fake.fail(Call::PtraceSeize, 0, Errno::EPERM);
        let kernel: Rc<dyn Kernel> = fake.clone();
        let target = Target::Command(vec!["./prog".to_owned()]);
        let Err(Failure::Diagnosed(said)) =
            Running::start(&kernel, &target, &Taken::default())
        else {
            panic!("not refused");
        };
        assert_eq!(said[0].code, Code::PermissionDenied);
        assert_eq!(fake.holdings(), Holdings::default());
    }

    #[test]
    fn whoever_refuses_a_trace_is_named() {
        let text = |yama, tracer| format!("{:?}", no_ptrace("./prog", yama, tracer));
        for (yama, tracer, parts) in [
            (Some(1), Some(42), ["process 42 traces hwtrace", "-f"]),
            (Some(3), None, ["ptrace_scope is 3", "restart"]),
            (Some(2), None, ["ptrace_scope is 2", "sudo"]),
            (Some(1), None, ["seccomp", "SYS_PTRACE"]),
            (None, None, ["deny_ptrace", "-p PID"]),
        ] {
            let text = text(yama, tracer);
            assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        }
    }
}
