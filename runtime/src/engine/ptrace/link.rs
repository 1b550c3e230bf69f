//! hwtrace's side of the guardian: asks it, and keeps what it reports until that is
//! taken.

use std::os::fd::RawFd;
use std::rc::Rc;
use std::time::Duration;

use super::guardian::Setup;
use super::wire::{self, Answer, Command, system};
use super::{frame, guardian, reports};
use crate::engine::{ArmError, Flow};
use crate::event::Event;
use crate::kernel::{Errno, Guarding, Kernel, Wait};

/// What is read of the pipe at once.
const CHUNK: usize = 64 << 10;
/// What is kept of it while nobody takes anything. While an answer is waited for it may
/// be more.
const KEPT_MAX: usize = 1 << 20;
/// So often, a millisecond each, it is looked whether the guardian has told everything.
const LOOKS: u32 = 500;
/// And whether it has ended after that.
const REAPS: u32 = 20;

/// A guardian, and what came of it.
pub(super) struct Link {
    kernel: Rc<dyn Kernel>,
    guarding: Guarding,
    /// Whether there still is a guardian to talk to.
    open: bool,
    /// Whether no more reports come.
    ended: bool,
    queue: Queue,
}

/// Reports that were read.
#[derive(Default)]
struct Queue {
    words: Vec<u64>,
    /// Bytes of the next word.
    rest: Vec<u8>,
    /// What of them was taken.
    taken: usize,
    /// And what was shown before its turn.
    shown: usize,
}

impl Queue {
    fn add(&mut self, bytes: &[u8]) {
        self.rest.extend(bytes);
        let (words, rest) = self.rest.as_chunks::<8>();
        self.words.extend(words.iter().map(|word| u64::from_ne_bytes(*word)));
        let rest = rest.len();
        self.rest.drain(..self.rest.len() - rest);
    }

    fn waiting(&self) -> usize {
        self.words.len() - self.taken
    }

    /// Forgets what was taken, if that is much.
    fn tidy(&mut self) {
        if self.taken > self.words.len() / 2 {
            self.words.drain(..self.taken);
            self.shown = self.shown.saturating_sub(self.taken);
            self.taken = 0;
        }
    }
}

impl Link {
    /// Forks a guardian.
    ///
    /// # Errors
    /// As [`Ptrace::fork_guardian`](crate::kernel::Ptrace::fork_guardian).
    pub(super) fn open(kernel: &Rc<dyn Kernel>, setup: &Setup) -> Result<Self, Errno> {
        let guarding = kernel
            .fork_guardian(&mut |ends| guardian::live(kernel, ends, setup.clone()))?;
        Ok(Self {
            kernel: Rc::clone(kernel),
            guarding,
            open: true,
            ended: false,
            queue: Queue::default(),
        })
    }

    /// Whether it can be asked.
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// The pipe of its reports, while there is one.
    pub(super) fn reports(&self) -> Option<RawFd> {
        self.open.then_some(self.guarding.reports)
    }

    /// Sends a command that has no answer.
    ///
    /// # Errors
    /// Where the guardian is gone.
    pub(super) fn tell(&mut self, command: &Command) -> Result<(), ArmError> {
        let sent = frame::write(&*self.kernel, self.guarding.socket, &command.words());
        sent.map_err(|errno| system("the guardian", errno))
    }

    /// Sends a command and waits for its answer. Reports that come meanwhile are kept, so
    /// that the guardian need not wait for room.
    ///
    /// # Errors
    /// What the guardian says, and where it is gone.
    pub(super) fn ask(&mut self, command: &Command) -> Answer {
        self.exchange(command).unwrap_or_else(|errno| {
            // An answer that is still to come would be taken for that to the next question.
            self.close();
            Err(system("the guardian", errno))
        })
    }

    fn exchange(&mut self, command: &Command) -> Result<Answer, Errno> {
        frame::write(&*self.kernel, self.guarding.socket, &command.words())?;
        let descriptors = [self.guarding.socket, self.guarding.reports];
        loop {
            let mut ready = [false; 2];
            let count = if self.ended { 1 } else { 2 };
            self.kernel.poll(&descriptors[..count], &mut ready[..count], None)?;
            if ready[1] {
                self.read_some()?;
            }
            if ready[0] {
                let words = frame::read(&*self.kernel, self.guarding.socket)?;
                return Ok(wire::answer_of(&words));
            }
        }
    }

    /// Reads what there is, as far as there is room.
    ///
    /// # Errors
    /// Where the guardian is gone, and hwtrace has not let it go.
    pub(super) fn receive(&mut self) -> std::io::Result<()> {
        while !self.ended && self.queue.waiting() < KEPT_MAX && self.read_some()? {}
        if self.ended && self.open {
            return Err(std::io::Error::other("the guardian has ended"));
        }
        Ok(())
    }

    /// Whether there may be more.
    fn read_some(&mut self) -> Result<bool, Errno> {
        let mut chunk = [0; CHUNK];
        match self.kernel.read(self.guarding.reports, &mut chunk) {
            Ok(0) => {
                self.ended = true;
                Ok(false)
            }
            Ok(count) => {
                self.queue.add(&chunk[..count]);
                Ok(true)
            }
            Err(Errno::EAGAIN) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// Hands reports on.
    pub(super) fn take(&mut self, sink: &mut dyn FnMut(Event<'_>) -> Flow) {
        while let Some(record) = reports::record(&self.queue.words[self.queue.taken..]) {
            self.queue.taken += record.len();
            if reports::event(record).is_some_and(|event| sink(event) == Flow::Stop) {
                break;
            }
        }
        self.queue.tidy();
    }

    /// Shows those that are no hits, each once.
    pub(super) fn show_news(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        let queue = &mut self.queue;
        queue.shown = queue.shown.max(queue.taken);
        while let Some(record) = reports::record(&queue.words[queue.shown..]) {
            queue.shown += record.len();
            match reports::event(record) {
                Some(Event::Hit(_) | Event::Lost { .. }) | None => {}
                Some(event) => sink(event),
            }
        }
    }

    /// Lets the guardian go, and reads what it has reported to the end; waits for that for
    /// a while. One that could not let everybody go yet lives on, and ends by itself.
    pub(super) fn close(&mut self) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        self.kernel.close(self.guarding.socket);
        for _ in 0..LOOKS {
            while !self.ended && self.read_some() == Ok(true) {}
            if self.ended {
                break;
            }
            self.kernel.sleep(Duration::from_millis(1));
        }
        self.kernel.close(self.guarding.reports);
        self.ended = true;
        for _ in 0..REAPS {
            match self.kernel.wait(self.guarding.pid, false) {
                Ok(Wait::Running | Wait::Stopped { .. }) => {
                    self.kernel.sleep(Duration::from_millis(1));
                }
                _ => break,
            }
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.close();
    }
}
