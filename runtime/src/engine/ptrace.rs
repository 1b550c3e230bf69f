//! The engines `ptrace` and `step`: debug registers, or single steps, by ptrace(2). For
//! where perf is refused, as in most containers: tracing one's own processes needs no
//! privilege, and is refused by few.
//!
//! # Who traces
//!
//! The *guardian* (`ptrace/guardian.rs`): a process that hwtrace forks before anything is
//! traced. A thread whose tracer dies goes on with its debug registers armed, and the next
//! hit kills it, since nobody takes the SIGTRAP any more. So hwtrace traces nobody. When
//! hwtrace's end of the socket closes, for whatever reason, the guardian stops each thread,
//! takes the registers away and lets it go. It is in a session of its own and blocks all
//! signals, so that Ctrl-C and what is sent to hwtrace's group miss it; its name is
//! `hwt-guardian`. Who kills *it* with SIGKILL leaves armed registers behind; nothing can
//! help that.
//!
//! hwtrace sends commands and gets answers by the socket (`ptrace/wire.rs`), and events by
//! a pipe (`ptrace/reports.rs`). What happens to threads is one state machine
//! (`ptrace/tracer.rs`, with `arm.rs`, `hits.rs` and `steps.rs`), which knows neither.
//!
//! # What a target notices
//!
//! Nothing but time: signals come with what they carry, stops by signals stop, and what
//! continues them continues. A SIGTRAP that is not the tracer's, by its `si_code`, is the
//! program's own. System calls that are interrupted to stop a thread go on by themselves
//! (signal(7)), but for those that tell of it: ptrace(2) names them, under
//! "PTRACE_INTERRUPT" and "Bugs".
//!
//! A SIGTRAP that a thread blocks when it hits makes the kernel set the program's
//! disposition of that back to what is by default (kernel/signal.c,
//! `force_sig_info_to_task`). So a handler of SIGTRAP is entered by a step, and the signal
//! unblocked there; but a program that handles SIGTRAP, and hits in code where it blocks
//! that by itself, or that ignores it, loses this. Programs with another user's rights
//! (set-user-ID) that are executed run without them where the tracer has no privilege
//! (ptrace(2)).
//!
//! Before a thread is let go, or its registers are changed, it must not have a trap that
//! waits to be delivered: PTRACE_PEEKSIGINFO tells, and then it goes on until that is.
//!
//! # Threads, children, images
//!
//! All threads are seized and stopped, until a listing has no other; what they create is
//! traced from birth on. Neither a new thread nor a new process has its creator's debug
//! registers (measured on Linux 6.18: their stores did not trap, their creator's did; the
//! value of DR7 that ptrace(2) shows stays), and an exec takes them away, so that they are
//! set at the first stop. A process that executes another image waits until it was decided
//! whether it is armed: no access of it is missed. A child after vfork(2) is in its
//! parent's memory and has its own number.
//!
//! A thread of which others hold the registers (perf, most often) is traced without, where
//! that is asked for ([`PtraceEngine::partial`]); so is one that is born so.
//!
//! # What is not seen
//!
//! *Accesses of the kernel*, as by read(2): its own debug traps send no signal (measured on
//! Linux 6.18: read(2) into a watched word stopped nobody). A value that it changed is
//! noticed at the next hit, as an unseen store. Single steps find what system calls change
//! by comparing memory; not what they load, nor a store of the same value.
//!
//! *Names* are told by nobody: that of a thread is looked at when it hits, once in 10 ms;
//! and code that was mapped when a hit is in none that is known, or its stack is captured.
//! Single steps look at the
//! system calls that change these, and so do registers where libraries are waited for
//! ([`PtraceEngine::prompt`]): then each call stops the thread twice.
//!
//! *Other processes* than those that are armed, and the kernel's data, can not be watched.
//!
//! # Steps
//!
//! Each instruction is decoded before it is executed, and its operands are computed from
//! the registers: so it is known what is touched, by whom, and what was there before. There
//! is no bound on the number of watches. A program that sets the flag of single steps by
//! itself does not keep it. Of gathers, bit strings and `xsave` only what
//! changes is found.

mod acts;
mod arm;
mod debug;
mod frame;
mod guardian;
mod hits;
mod link;
mod probe;
mod proc;
mod reports;
mod steps;
#[cfg(test)]
mod tests;
mod tracer;
mod wire;

use std::os::fd::RawFd;
use std::rc::Rc;

use self::guardian::Setup;
use self::link::Link;
use self::wire::{Answer, Capture, Command, system};
use crate::engine::{Account, ArmError, Armed, Engine, Flow};
use crate::event::{Event, Watch};
use crate::kernel::{Errno, Kernel};
use crate::plan::Plan;
use crate::slots;

pub use self::probe::{Unusable, probe, probe_steps};

/// The engine. See the head of [`self`].
pub struct PtraceEngine {
    kernel: Rc<dyn Kernel>,
    setup: Setup,
    captures: Vec<Capture>,
    link: Option<Link>,
    armed: bool,
    /// Processes that wait after an exec of which it was told, and may be armed.
    undecided: Vec<u32>,
    account: Account,
    steps_made: u64,
}

impl PtraceEngine {
    /// An engine that is not armed yet, with debug registers: `ptrace`.
    pub fn new(kernel: Rc<dyn Kernel>) -> Self {
        Self {
            kernel,
            setup: Setup {
                steps: false,
                calls: false,
                partial: false,
                acts: Rc::new([]),
            },
            captures: Vec::new(),
            link: None,
            armed: false,
            undecided: Vec::new(),
            account: Account::default(),
            steps_made: 0,
        }
    }

    /// One that goes by single steps: `step`.
    pub fn with_steps(kernel: Rc<dyn Kernel>) -> Self {
        let mut engine = Self::new(kernel);
        engine.setup.steps = true;
        engine
    }

    /// Tells of code that is mapped and of new names at once, and not only at the next hit.
    /// Takes two stops for each system call; steps need none.
    #[must_use]
    pub fn prompt(mut self, prompt: bool) -> Self {
        self.setup.calls = prompt;
        self
    }

    /// Leaves out threads of which others hold too many registers, where they do not of all.
    /// What these threads create is armed all the same.
    #[must_use]
    pub fn partial(mut self, partial: bool) -> Self {
        self.setup.partial = partial;
        self
    }

    /// The guardian, forked if there is none.
    fn link(&mut self) -> Result<&mut Link, ArmError> {
        let link = match self.link.take().filter(Link::is_open) {
            Some(link) => link,
            None => {
                let link = Link::open(&self.kernel, &self.setup);
                let mut link = link.map_err(|errno| system("fork", errno))?;
                link.tell(&Command::Capture(self.captures.clone()))?;
                link
            }
        };
        Ok(self.link.insert(link))
    }

    fn ask(&mut self, command: &Command) -> Answer {
        self.link()?.ask(command)
    }

    /// Those that executed another image and were not armed since go on.
    fn decide(&mut self) {
        for pid in std::mem::take(&mut self.undecided) {
            if let Some(link) = &mut self.link {
                // A guardian that is gone has let it go.
                let _ = link.tell(&Command::Proceed { pid });
            }
        }
    }

    fn unable(&self, what: &'static str) -> ArmError {
        ArmError::Unable { engine: self.name(), what }
    }
}

impl Engine for PtraceEngine {
    fn name(&self) -> &'static str {
        if self.setup.steps { "step" } else { "ptrace" }
    }

    fn set_plans(&mut self, plans: &[Plan]) {
        // A guardian that there is knows no new ones: they are left to the handlers.
        let is_forked = self.link.as_ref().is_some_and(Link::is_open);
        let capture = |plan: &Plan| Capture {
            cpu: plan.needs.cpu,
            stack: plan.needs.user_stack.then_some(plan.stack),
            acts: !is_forked && !plan.acts.is_empty(),
        };
        self.captures = plans.iter().map(capture).collect();
        if plans.iter().any(|plan| !plan.acts.is_empty()) {
            self.setup.acts = plans.iter().map(|plan| plan.acts.clone()).collect();
        }
        if let Some(link) = self.link.as_mut().filter(|link| link.is_open()) {
            // Where it fails so does what is asked next.
            let _ = link.tell(&Command::Capture(self.captures.clone()));
        }
    }

    fn take_over(
        &mut self,
        pid: u32,
        let_go: &mut dyn FnMut() -> Result<(), Errno>,
    ) -> Result<(), ArmError> {
        self.ask(&Command::Expect { pid })?;
        let_go().map_err(|errno| system("ptrace", errno))
    }

    fn arm(&mut self, pid: u32, watches: &[Watch]) -> Result<Armed, ArmError> {
        if self.armed {
            return Err(system("arm", Errno::EBUSY));
        }
        let watches: Vec<_> = watches.iter().copied().map(Some).collect();
        self.attach(pid, &watches)
    }

    fn listen(&mut self) -> Result<(), ArmError> {
        Err(self.unable("see the programs that others start"))
    }

    fn attach(&mut self, pid: u32, watches: &[Option<Watch>]) -> Result<Armed, ArmError> {
        let answer = self.ask(&Command::Attach { pid, watches: watches.to_vec() })?;
        self.armed = true;
        // Who was refused waits for the decision still.
        self.undecided.retain(|undecided| *undecided != pid);
        let (threads, left_out) = wire::attached_of(&answer);
        let slots = watches.iter().flatten().count() as u32;
        let capacity = if self.setup.steps { slots } else { slots::CAPACITY as u32 };
        Ok(Armed { threads, slots, capacity, left_out, ..Armed::default() })
    }

    fn leaves_out_heirs(&self) -> bool {
        false
    }

    fn arm_thread(
        &mut self,
        (pid, tid): (u32, u32),
        number: usize,
        watch: Watch,
    ) -> Result<(), ArmError> {
        self.ask(&Command::ArmThread { pid, tid, number, watch }).map(drop)
    }

    fn arm_kernel(&mut self, _: &[Option<Watch>]) -> Result<Armed, ArmError> {
        Err(self.unable("watch the kernel's data"))
    }

    fn retarget(
        &mut self,
        pid: u32,
        watch: usize,
        address: Option<u64>,
    ) -> Result<u64, ArmError> {
        let answer = self.ask(&Command::Retarget { pid, watch, address })?;
        answer.first().copied().ok_or_else(|| system("the guardian", Errno::EPROTO))
    }

    fn detach(&mut self, pid: u32) {
        // Nobody is armed where there is no guardian.
        let _ = self.ask(&Command::Detach { pid });
    }

    fn holds_executed(&self) -> bool {
        true
    }

    fn news(&mut self, sink: &mut dyn FnMut(Event<'_>)) -> std::io::Result<()> {
        self.decide();
        let Some(link) = &mut self.link else { return Ok(()) };
        link.receive()?;
        link.show_news(sink);
        Ok(())
    }

    fn drain(
        &mut self,
        _all: bool,
        sink: &mut dyn FnMut(Event<'_>) -> Flow,
    ) -> std::io::Result<()> {
        self.decide();
        let Some(link) = &mut self.link else { return Ok(()) };
        link.receive()?;
        let undecided = &mut self.undecided;
        link.take(&mut |event| {
            if let Event::Comm { pid, exec: true, .. } = event {
                undecided.push(pid);
            }
            sink(event)
        });
        if !undecided.is_empty() && link.is_open() {
            // It waits: so does nobody else.
            link.tell(&Command::Echo).map_err(std::io::Error::other)?;
        }
        Ok(())
    }

    fn switch(&mut self, watch: usize, on: bool) -> std::io::Result<()> {
        self.ask(&Command::Switch { watch, on }).map(drop).map_err(std::io::Error::other)
    }

    fn disarm(&mut self) {
        self.undecided.clear();
        self.armed = false;
        let Some(link) = self.link.as_mut().filter(|link| link.is_open()) else { return };
        // One that is gone has let everybody go, and counts no more.
        let _ = link.ask(&Command::Disarm);
        if let Ok(Some((account, steps))) =
            link.ask(&Command::Account).map(|words| wire::account_of(&words))
        {
            (self.account, self.steps_made) = (account, steps);
        }
        link.close();
    }

    fn account(&mut self) -> Account {
        if let Some(link) = self.link.as_mut().filter(|link| link.is_open())
            && let Ok(words) = link.ask(&Command::Account)
            && let Some((account, steps)) = wire::account_of(&words)
        {
            (self.account, self.steps_made) = (account, steps);
        }
        self.account.clone()
    }

    fn steps(&self) -> Option<u64> {
        self.setup.steps.then_some(self.steps_made)
    }

    /// One, which is readable when there is anything.
    fn wake_fds(&self) -> Vec<RawFd> {
        self.link.iter().filter_map(Link::reports).collect()
    }
}
