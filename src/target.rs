//! Whom a session watches: a program that it starts, or a process that runs.

use std::ffi::CString;
use std::rc::Rc;

use hwtrace_lang::code::Code;
use hwtrace_lang::diagnostic::Diagnostic;
use hwtrace_probes::process::Process;
use hwtrace_runtime::kernel::{Errno, Kernel};
use hwtrace_runtime::launch::{
    Child, ChildState, EndWatch, LaunchError, Launched, launch, take_terminal,
};

use crate::arming;
use crate::session::Failure;

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
    kernel: Rc<dyn Kernel>,
    pid: u32,
    end: EndWatch,
    child: State,
    /// Whether the child was given our terminal, which we take back.
    has_terminal: bool,
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
    /// process.
    pub(crate) fn start(
        kernel: &Rc<dyn Kernel>,
        target: &Target,
    ) -> Result<Option<Self>, Failure> {
        let (pid, child) = match target {
            Target::None => return Ok(None),
            Target::Process(pid) => (*pid, State::Attached),
            Target::Command(command) => {
                let launched = start(kernel, command)?;
                (launched.pid(), State::Held(launched))
            }
        };
        let end = EndWatch::new(Rc::clone(kernel), pid)
            .map_err(|errno| no_process(pid, errno))?;
        let kernel = Rc::clone(kernel);
        Ok(Some(Self { kernel, pid, end, child, has_terminal: false }))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Readable once the target has ended.
    pub(crate) fn end_fd(&self) -> std::os::fd::RawFd {
        self.end.descriptor()
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
    /// until then Ctrl-C is hwtrace's alone, and the target lives on.
    pub(crate) fn mind_the_terminal(&mut self) {
        if let State::Released(child) = &mut self.child
            && let Ok(ChildState::WantsTerminal) = child.poll()
            && child.give_terminal().is_ok()
        {
            self.has_terminal = true;
        }
    }

    /// Leaves the target to itself.
    pub(crate) fn let_go(&mut self) -> Fate {
        if self.has_terminal {
            // Without a terminal to take there is none to lose either.
            let _ = take_terminal(&*self.kernel);
        }
        match &mut self.child {
            State::Released(child) => match child.poll() {
                Ok(ChildState::Killed { signal }) => {
                    Fate::Killed { pid: self.pid, signal }
                }
                Ok(ChildState::Exited { .. }) | Err(_) => Fate::Ended,
                Ok(_) => Fate::GoesOn { pid: self.pid },
            },
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
    /// It goes on without us.
    GoesOn {
        /// The process.
        pid: u32,
    },
}

fn start(kernel: &Rc<dyn Kernel>, command: &[String]) -> Result<Launched, Failure> {
    let name = command.first().map_or("", |name| name);
    let arguments: Result<Vec<_>, _> =
        command.iter().map(|argument| CString::new(argument.as_bytes())).collect();
    let arguments = arguments.map_err(|_| {
        Diagnostic::new(Code::NotExecutable, None, "the command has a NUL byte in it")
    })?;
    let launched = launch(Rc::clone(kernel), &arguments);
    launched.map_err(|error| explain(name, &error).into())
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
        other => new(format!("`{name}` cannot be started: {other}")),
    }
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
