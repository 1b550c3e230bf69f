//! Takes an engine's events one by one: keeps the books on threads and
//! mappings, completes hits and hands them to the consumer.

use std::time::{Duration, Instant};

use hwtrace_runtime::engine::Flow;
use hwtrace_runtime::event::Event;
use hwtrace_runtime::schema::HitRecord;
use hwtrace_runtime::slots::Subscriber;
use hwtrace_runtime::tracker::Tracker;
use hwtrace_runtime::view::View;

use crate::session::{Consumer, Context, Failure, Summary};
use crate::symbols::TargetMemory;

/// How long one round may hand on hits.
const ROUND: Duration = Duration::from_millis(20);
/// The clock is looked at once in so many hits.
const LOOK_EVERY: u64 = 16;

/// The hit of a register as one of those who share it sees it.
fn view_of(subscriber: &Subscriber, record: &HitRecord) -> Option<HitRecord> {
    let Subscriber { window, .. } = *subscriber;
    if u32::from(window.length()) == record.data_length {
        return Some(*record);
    }
    View { window, ..View::identity(0, record.data_name) }.narrow(record)
}

/// How a round ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Round {
    /// All that may be handed on was.
    Done,
    /// Its time was up; there may be more.
    Paused,
    /// The consumer wants no more.
    Stopped,
}

/// The taker of one round.
pub(crate) struct Sink<'s, C> {
    consumer: &'s mut C,
    context: &'s Context,
    tracker: &'s mut Tracker,
    memory: &'s mut TargetMemory,
    summary: &'s mut Summary,
    started: Instant,
    round: Round,
    failure: Option<Failure>,
}

impl<'s, C: Consumer> Sink<'s, C> {
    pub(crate) fn new(
        consumer: &'s mut C,
        context: &'s Context,
        (tracker, memory): (&'s mut Tracker, &'s mut TargetMemory),
        summary: &'s mut Summary,
    ) -> Self {
        let (started, round) = (Instant::now(), Round::Done);
        Self {
            consumer,
            context,
            tracker,
            memory,
            summary,
            started,
            round,
            failure: None,
        }
    }

    /// How the round went.
    pub(crate) fn end(self) -> Result<Round, Failure> {
        self.failure.map_or(Ok(self.round), Err)
    }

    pub(crate) fn event(&mut self, event: &Event<'_>) -> Flow {
        let symbols = &self.context.symbols;
        match event {
            Event::Hit(hit) => {
                let record =
                    self.tracker.complete(hit, &mut *symbols.borrow_mut(), self.memory);
                self.summary.hits += 1;
                self.consumer.captured(hit);
                return self.hand_on(&record);
            }
            Event::Comm { pid, tid, name, exec, .. } => {
                let name = self.consumer.name(name);
                self.tracker.rename(*pid, *tid, name);
                if *exec {
                    self.summary.executed += 1;
                    self.tracker.exec(*pid);
                    symbols.borrow_mut().exec(*pid);
                }
            }
            Event::Fork { time, pid, tid, parent_pid, parent_tid } => {
                let (parent, child) = ((*parent_pid, *parent_tid), (*pid, *tid));
                if self.tracker.fork(*time, parent, child) {
                    symbols.borrow_mut().fork(*parent_pid, *pid);
                }
            }
            Event::Exit { tid, .. } => {
                if let Some(pid) = self.tracker.exit(*tid) {
                    symbols.borrow_mut().forget(pid);
                }
            }
            Event::Lost { .. } => self.tracker.lost(),
            Event::Mmap { pid, address, length, offset, path, .. } => {
                self.tracker.mapped(*pid);
                self.consumer.code_changed(*pid);
                symbols.borrow_mut().mapped(*pid, *address, *length, *offset, path);
            }
        }
        Flow::Continue
    }

    fn hand_on(&mut self, record: &HitRecord) -> Flow {
        for subscriber in &self.context.subscribers[record.watch as usize] {
            let Some(record) = view_of(subscriber, record) else { continue };
            match self.consumer.hit(subscriber.request, &record) {
                Ok(Flow::Continue) => {}
                Ok(Flow::Stop) => self.round = Round::Stopped,
                Err(failure) => {
                    self.failure = Some(failure);
                    self.round = Round::Stopped;
                }
            }
            if self.round == Round::Stopped {
                return Flow::Stop;
            }
        }
        if self.summary.hits.is_multiple_of(LOOK_EVERY) && self.started.elapsed() > ROUND
        {
            self.round = Round::Paused;
            return Flow::Stop;
        }
        Flow::Continue
    }
}
