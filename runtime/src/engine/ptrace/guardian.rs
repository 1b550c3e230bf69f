//! The guardian: a process of its own that traces, and outlives hwtrace by as long as
//! it takes to let everybody go.

use std::rc::Rc;
use std::time::Duration;

use super::arm::ENDED_EVERY;
use super::frame;
use super::reports::Reports;
use super::steps::Stepper;
use super::tracer::{Method, Tracer};
use super::wire::{self, Answer, Command};
use crate::engine::Account;
use crate::kernel::rights::{bit, number};
use crate::kernel::{GuardianEnds, Kernel};
use crate::plan::Act;

/// Reports wait so long for others to be written with.
const GATHER: Duration = Duration::from_millis(1);
/// So often it is looked whether those who are to go have stopped: a signal tells, too.
const LOOK: Duration = Duration::from_millis(20);
/// So many looks disarming waits for them, a millisecond each. One that does not come out
/// of the kernel is let go later, by a guardian that nobody waits for.
const LOOKS: u32 = 1000;

/// So often in a row those who were stopped for us must be seen to go on.
const SURE: u32 = 10;

/// How a guardian works.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    /// By single steps, and not by debug registers.
    pub(super) steps: bool,
    /// Whether system calls are looked at.
    pub(super) calls: bool,
    /// Whether threads without free registers are left out.
    pub(super) partial: bool,
    /// What is done to processes at hits, by watch: as it was when the guardian was
    /// forked.
    pub(super) acts: Rc<[Vec<Act>]>,
}

/// The guardian's life, until hwtrace and everybody whom it traced is gone.
pub(super) fn live(kernel: &Rc<dyn Kernel>, ends: GuardianEnds, setup: Setup) {
    keep_needed(&**kernel);
    let parent = std::os::unix::process::parent_id();
    let Ok((signals, _)) = kernel.take_signals(&[libc::SIGCHLD]) else { return };
    let method = match setup.steps {
        true => Method::Steps(Stepper::default()),
        false => Method::Registers,
    };
    let reports = Reports::new(ends.reports);
    let mut tracer = Tracer::new(Rc::clone(kernel), signals, method, reports);
    (tracer.calls, tracer.partial) = (setup.calls, setup.partial);
    tracer.acts = setup.acts;
    let mut guardian = Guardian { tracer, ends, speaks: true };
    while guardian.speaks || !guardian.tracer.is_done() {
        guardian.round();
        if !guardian.speaks {
            guardian.tracer.find_ended();
        }
    }
    guardian.write_out();
    // That tells hwtrace that this was all.
    kernel.close(ends.reports);
    mind_the_expected(&mut guardian.tracer, parent);
    kernel.close(signals);
}

/// Gives up all rights but those that tracing and signalling take. Root could take its own
/// back.
pub(super) fn keep_needed(kernel: &dyn Kernel) {
    if kernel.effective_user() == 0 {
        return;
    }
    let kept = bit(number::SYS_PTRACE) | bit(number::KILL);
    // Fewer are always right.
    let _ =
        kernel.capabilities().and_then(|own| kernel.set_capabilities(&own.only(kept)));
}

/// Who was stopped for us is continued by who did so, if that lives, and else by us.
fn mind_the_expected(tracer: &mut Tracer, parent: u32) {
    let mut going = 0;
    while !tracer.expected.is_empty() && going < SURE {
        if std::os::unix::process::parent_id() != parent {
            return tracer.continue_expected();
        }
        going = if tracer.has_expected() { 0 } else { going + 1 };
        tracer.kernel.sleep(LOOK);
    }
}

struct Guardian {
    tracer: Tracer,
    ends: GuardianEnds,
    /// Whether hwtrace is there.
    speaks: bool,
}

impl Guardian {
    /// Looks at all there is to look at, then waits.
    fn round(&mut self) {
        let more = self.tracer.pump();
        let kernel = Rc::clone(&self.tracer.kernel);
        if self.tracer.reports.is_worth_a_write() {
            self.tracer.reports.flush(&*kernel);
        }
        let timeout = match (more, self.tracer.reports.waiting(), self.speaks) {
            (true, _, _) => Some(Duration::ZERO),
            (false, 0, true) => None,
            (false, 0, false) => Some(LOOK),
            (false, _, _) => Some(GATHER),
        };
        let all = [self.tracer.signals, self.ends.socket];
        let descriptors = if self.speaks { &all[..] } else { &all[..1] };
        let mut ready = [false; 2];
        let polled = kernel.poll(descriptors, &mut ready[..descriptors.len()], timeout);
        if ready[0] {
            while let Ok(Some(_)) = kernel.read_signal(self.tracer.signals) {}
        } else if !more || polled.is_err() {
            self.tracer.reports.flush(&*kernel);
        }
        if ready[1] {
            self.listen(&*kernel);
        }
    }

    /// Does what hwtrace asks for; when that is gone, everybody is let go.
    fn listen(&mut self, kernel: &dyn Kernel) {
        let command = frame::read(kernel, self.ends.socket);
        let Some(command) = command.ok().and_then(|words| Command::of(&words)) else {
            self.speaks = false;
            self.tracer.dismiss_all();
            return;
        };
        let is_asked = command.is_asked();
        let answer = self.act(command);
        if is_asked {
            // Where nobody reads it the next look at the socket tells.
            let _ = frame::write(kernel, self.ends.socket, &wire::answer_words(&answer));
        }
    }

    fn act(&mut self, command: Command) -> Answer {
        let tracer = &mut self.tracer;
        match command {
            Command::Capture(captures) => tracer.captures = captures,
            Command::Expect { pid } => drop(tracer.expected.insert(pid)),
            Command::Attach { pid, watches } => {
                return tracer.attach(pid, &watches).map(wire::attached_words);
            }
            Command::ArmThread { pid, tid, number, watch } => {
                tracer.arm_thread((pid, tid), number, watch)?;
            }
            Command::Retarget { pid, watch, address } => {
                return tracer.retarget((pid, watch), address).map(|since| vec![since]);
            }
            Command::Switch { watch, on } => tracer.switch(watch, on)?,
            Command::Detach { pid } => tracer.detach(pid),
            Command::Proceed { pid } => tracer.proceed(pid),
            Command::Echo => tracer.reports.nothing(),
            Command::Disarm => self.disarm(),
            Command::Account => return Ok(self.account()),
        }
        Ok(Vec::new())
    }

    fn disarm(&mut self) {
        self.tracer.dismiss_all();
        for look in 1..=LOOKS {
            while self.tracer.pump() {}
            if look % ENDED_EVERY == 0 {
                self.tracer.find_ended();
            }
            if self.tracer.is_done() {
                break;
            }
            self.tracer.wait(Duration::from_millis(1));
        }
        self.tracer.reports.report_lost();
        self.write_out();
    }

    /// Writes all that waits, as long as somebody reads.
    fn write_out(&mut self) {
        for _ in 0..LOOKS {
            self.tracer.reports.flush(&*self.tracer.kernel);
            if self.tracer.reports.waiting() == 0 {
                break;
            }
            self.tracer.kernel.sleep(Duration::from_millis(1));
        }
    }

    fn account(&self) -> Vec<u64> {
        let Tracer { watches, reports, dropped, unarmed, method, .. } = &self.tracer;
        let steps = match method {
            Method::Registers => 0,
            Method::Steps(stepper) => stepper.steps,
        };
        let counted = watches.iter().map(|watch| watch.counted).collect();
        let account = Account {
            counted,
            lost: reports.lost(),
            lost_sideband: reports.lost_sideband(),
            dropped: *dropped,
            unarmed: *unarmed,
            ..Account::default()
        };
        wire::account_words(&account, steps)
    }
}
