//! Takes an engine's events one by one: keeps the books on threads and
//! mappings, completes hits and hands them to the consumer.

use std::time::{Duration, Instant};

use hwtrace_runtime::access::Beyond;
use hwtrace_runtime::engine::Flow;
use hwtrace_runtime::event::{self, AtHit, Event, RawHit};
use hwtrace_runtime::plan::Plan;
use hwtrace_runtime::schema::{AccessKind, HitRecord, UNSURE_NEW, UNSURE_OLD};
use hwtrace_runtime::tracker::image::Piece;
use hwtrace_runtime::tracker::{Ended, Tracker};

use crate::armed::{Interest, Lessons, News, Objects};
use crate::joins::{Held, Joins, is_from_below, within, word};
use crate::registers::{Registers, Sees};
use crate::session::{Consumer, Context, Failure, Summary};
use crate::symbols::TargetMemory;

/// How long one round may hand on hits.
const ROUND: Duration = Duration::from_millis(20);
/// The clock is looked at once in so many hits.
const LOOK_EVERY: u64 = 16;

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

/// The books that are kept on what is armed.
pub(crate) struct Books<'a> {
    pub(crate) tracker: &'a mut Tracker,
    pub(crate) memory: &'a mut TargetMemory,
    pub(crate) registers: &'a Registers,
    pub(crate) plans: &'a [Plan],
    pub(crate) interest: &'a Interest,
    pub(crate) news: &'a mut Vec<News>,
    pub(crate) lessons: &'a mut Lessons,
    /// Room for objects in several registers: before and after the access.
    pub(crate) pictures: &'a mut [Vec<u8>; 2],
    pub(crate) objects: &'a mut Option<Objects>,
    pub(crate) joins: &'a mut Joins,
    /// Whether registers may be off while others of the same object are on.
    pub(crate) by_turns: bool,
}

/// The taker of one round.
pub(crate) struct Sink<'s, C> {
    consumer: &'s mut C,
    context: &'s Context,
    summary: &'s mut Summary,
    started: Instant,
    round: Round,
    failure: Option<Failure>,
    /// The objects that a hit touched.
    touched: Vec<u64>,
}

impl<'s, C: Consumer> Sink<'s, C> {
    pub(crate) fn new(
        consumer: &'s mut C,
        context: &'s Context,
        summary: &'s mut Summary,
    ) -> Self {
        let (started, round) = (Instant::now(), Round::Done);
        let touched = Vec::new();
        Self { consumer, context, summary, started, round, failure: None, touched }
    }

    /// Whether there may be more.
    pub(crate) fn is_paused(&self) -> bool {
        self.round == Round::Paused
    }

    /// How the round went.
    pub(crate) fn end(self) -> Result<Round, Failure> {
        self.failure.map_or(Ok(self.round), Err)
    }

    /// Takes an event of what is armed.
    pub(crate) fn event(&mut self, event: &Event<'_>, books: &mut Books<'_>) -> Flow {
        let symbols = &self.context.symbols;
        let tracker = &mut *books.tracker;
        if let Some(told) = books.interest.in_event(event) {
            told.note(books.news);
        }
        match event {
            Event::Hit(hit) => return self.hit(hit, books),
            Event::Comm { time, pid, tid, name, exec } => {
                let name = self.consumer.name(name);
                tracker.rename(*pid, *tid, name);
                if *exec {
                    tracker.exec(*pid);
                    books.lessons.forget(*pid);
                    symbols.borrow_mut().exec(*pid);
                    books.news.push(News::Executed { pid: *pid, time: *time });
                }
            }
            Event::Fork { time, pid, tid, parent_pid, parent_tid } => {
                let (parent, child) = ((*parent_pid, *parent_tid), (*pid, *tid));
                if tracker.fork(*time, parent, child) {
                    books.lessons.forget(*pid);
                    symbols.borrow_mut().fork(*parent_pid, *pid);
                }
            }
            Event::Exit { tid, .. } => {
                if let Some(Ended { pid, hit }) = tracker.exit(*tid) {
                    books.lessons.forget(pid);
                    if !hit {
                        symbols.borrow_mut().forget(pid);
                    }
                }
                self.broken(books);
            }
            Event::Lost { .. } => {
                tracker.lost();
                self.broken(books);
            }
            Event::Mmap { pid, address, length, offset, path, .. } => {
                tracker.mapped(*pid);
                books.lessons.forget(*pid);
                self.consumer.code_changed(*pid);
                symbols.borrow_mut().mapped(*pid, *address, *length, *offset, path);
            }
        }
        match self.round {
            Round::Stopped => Flow::Stop,
            _ => Flow::Continue,
        }
    }

    fn hit(&mut self, hit: &RawHit<'_>, books: &mut Books<'_>) -> Flow {
        let untold = RawHit { at_hit: AtHit { told: None, ..hit.at_hit }, ..*hit };
        let hit = if books.lessons.is_void(hit.pid) { &untold } else { hit };
        self.away(hit.time, books);
        self.name_thread(hit, books.tracker);
        // Handlers ask for symbols, too: they are given back before one runs.
        let record = {
            let code = &mut *self.context.symbols.borrow_mut();
            books.tracker.complete(hit, code, books.memory)
        };
        if let Some(lesson) = books.tracker.lesson() {
            books.lessons.note(lesson);
        }
        self.broken(books);
        let now = record.map(|record| (record.tid, record.address));
        self.unjoined(hit.time, now, books);
        let acted = hit.at_hit.acted != 0;
        let record = record.filter(|_| self.round != Round::Stopped);
        if record.is_some() {
            self.consumer.captured(&self.shown(hit));
        }
        // Also where no handler runs: what was done is to be taken back then.
        if acted {
            acted_at(self.consumer, hit, books.plans);
        }
        if let Some(mut record) = record {
            let beyond = books.tracker.beyond();
            self.hide(&mut record);
            self.deliver((&record, beyond), books);
        }
        if acted {
            self.consumer.take_back();
        }
        if self.round == Round::Stopped {
            return Flow::Stop;
        }
        let all = self.summary.hits + self.summary.pointers;
        if all.is_multiple_of(LOOK_EVERY) && self.started.elapsed() > ROUND {
            self.round = Round::Paused;
            return Flow::Stop;
        }
        Flow::Continue
    }

    /// Hands on accesses of which no more will come after all.
    pub(crate) fn broken(&mut self, books: &mut Books<'_>) {
        while self.round != Round::Stopped
            && let Some(mut record) = books.tracker.broken()
        {
            // Of the hit nothing else is there any more.
            let HitRecord { pid, tid, .. } = record;
            self.consumer.captured(&RawHit { pid, tid, ..RawHit::default() });
            self.hide(&mut record);
            self.deliver((&record, Beyond::default()), books);
        }
    }

    /// Hands on accesses that hit another register, too, which did not tell: up to this
    /// time, and of a thread that goes on elsewhere.
    pub(crate) fn unjoined(
        &mut self,
        time: u64,
        now: Option<(u32, u64)>,
        books: &mut Books<'_>,
    ) {
        while self.round != Round::Stopped
            && let Some(held) = books.joins.over(time, now)
        {
            let HitRecord { pid, tid, .. } = held.record;
            self.summary.hits += u64::from(held.alone);
            self.summary.folded -= u64::from(held.alone);
            self.consumer.captured(&RawHit { pid, tid, ..RawHit::default() });
            self.hand_on_held(&held);
        }
    }

    fn hand_on_held(&mut self, held: &Held) {
        let [old, new] = &held.pictures;
        self.consumer.picture(old, new);
        self.hand_on(held.request, &held.record);
    }

    /// Hands on what changed while nobody watched it, as found up to this time.
    pub(crate) fn away(&mut self, bound: u64, books: &mut Books<'_>) {
        while self.round != Round::Stopped
            && let Some(record) = books.tracker.away(bound)
        {
            self.show_away(&record, books);
        }
        while self.round != Round::Stopped
            && let Some(record) = books.objects.as_mut().and_then(|it| it.away(bound))
        {
            self.show_away(&record, books);
        }
    }

    fn show_away(&mut self, record: &HitRecord, books: &mut Books<'_>) {
        self.summary.away += 1;
        let HitRecord { pid, .. } = *record;
        self.consumer.captured(&RawHit { pid, ..RawHit::default() });
        self.show((record, Beyond::default()), books);
    }

    /// A hit without what tells where the kernel's own instruction is, where the kernel
    /// would not show us: what a handler knows it can print.
    fn shown<'h>(&self, hit: &RawHit<'h>) -> RawHit<'h> {
        if !(hit.kernel && self.context.symbols.borrow().hides(hit.ip)) {
            return *hit;
        }
        let interrupted = event::Registers::default();
        RawHit { ip: 0, interrupted, kernel_stack: &[], ..*hit }
    }

    /// The same of its record.
    fn hide(&self, record: &mut HitRecord) {
        if record.user_mode == 0 && self.context.symbols.borrow().hides(record.address) {
            record.address = 0;
        }
    }

    /// Hands a record on to all who see something of its register.
    fn deliver(&mut self, hit: (&HitRecord, Beyond), books: &mut Books<'_>) {
        let record = hit.0;
        let all = &books.registers.sees()[record.watch as usize];
        match all.iter().any(|sees| !matches!(sees, Sees::Link { .. })) {
            true => self.summary.hits += 1,
            false => self.summary.pointers += 1,
        }
        self.show(hit, books);
    }

    fn show(&mut self, (record, beyond): (&HitRecord, Beyond), books: &mut Books<'_>) {
        let all = &books.registers.sees()[record.watch as usize];
        for sees in all {
            match sees {
                Sees::Objects { .. } => return self.show_objects(record, books),
                // A register that reports loads may serve it, too.
                Sees::Link { .. } if record.access == AccessKind::Read as u32 => {}
                Sees::Link { request } => {
                    News::Stored { pid: record.pid, request: *request }.note(books.news);
                }
                Sees::Data { request, view, whole, beside, .. } => {
                    let beyond = within(beyond, *beside);
                    let joins = whole.is_some() && !books.by_turns;
                    let alone = all.len() == 1;
                    if !joins && is_from_below(beyond) {
                        self.fold(alone);
                        continue;
                    }
                    for mut narrow in view.seen(record) {
                        if let Some(whole) =
                            whole.as_ref().filter(|_| self.consumer.wants(*request))
                        {
                            self.picture(whole, record, &mut narrow, books);
                        }
                        match joins && !beyond.is_nowhere() {
                            true => {
                                let pictures = books.pictures.clone();
                                let mut hit =
                                    Held::new(*request, narrow, beyond, pictures);
                                hit.alone = alone;
                                self.join(hit, books);
                            }
                            false => self.hand_on(*request, &narrow),
                        }
                        if self.round == Round::Stopped {
                            return;
                        }
                    }
                }
            }
        }
    }

    /// Hands on an access to several registers when the last of them tells of it.
    fn join(&mut self, hit: Held, books: &mut Books<'_>) {
        let alone = hit.alone;
        match books.joins.take(hit) {
            Some(whole) => self.hand_on_held(&whole),
            None => self.fold(alone),
        }
    }

    /// A hit is told with another; `alone`: by nobody else.
    fn fold(&mut self, alone: bool) {
        self.summary.hits -= u64::from(alone);
        self.summary.folded += u64::from(alone);
    }

    /// Hands on a hit of a register for objects to all who look at one that was touched.
    fn show_objects(&mut self, record: &HitRecord, books: &mut Books<'_>) {
        let Some(objects) = books.objects else { return };
        let root = books.tracker.root(record.pid).unwrap_or(record.pid);
        let mut touched = std::mem::take(&mut self.touched);
        objects.at(root, record, &mut touched);
        for id in touched.iter().copied() {
            let Some(mut narrow) = objects.narrow(id, record) else { continue };
            let place = (id, record.data_address);
            if objects.picture(place, &mut narrow, books.memory, books.pictures) {
                let [old, new] = &*books.pictures;
                self.consumer.picture(old, new);
            }
            for request in objects.requests(id) {
                // Also the handler of another request may end it.
                if self.round != Round::Stopped && self.consumer.wants_object(id) {
                    self.hand_on(*request, &narrow);
                }
            }
        }
        self.touched = touched;
    }

    /// A thread that was there before anything of it was reported: of the whole
    /// system, whose data of the kernel is watched.
    fn name_thread(&mut self, hit: &RawHit<'_>, tracker: &mut Tracker) {
        if tracker.knows_thread(hit.tid) {
            return;
        }
        // One that has ended has none; nor has an idle CPU, which is no thread of
        // anybody's. They are not asked again with each hit.
        let name = self.context.kernel.thread_name(hit.pid, hit.tid);
        let name = name.map_or(0, |name| self.consumer.name(&name));
        tracker.rename(hit.pid, hit.tid, name);
    }

    /// Puts an object together that is in several registers.
    fn picture(
        &mut self,
        whole: &[Piece],
        record: &HitRecord,
        narrow: &mut HitRecord,
        books: &mut Books<'_>,
    ) {
        let [old, new] = &mut *books.pictures;
        let size = whole.iter().map(|piece| usize::from(piece.window.length())).sum();
        for (bytes, is_old) in [(&mut *old, true), (&mut *new, false)] {
            bytes.clear();
            bytes.resize(size, 0);
            if !books.tracker.image(record, whole, is_old, bytes) {
                // What is not known of it is zero there.
                narrow.doubts |= UNSURE_OLD | UNSURE_NEW;
                narrow.exact = 0;
            }
        }
        self.consumer.picture(old, new);
        // What fits into a field is there as a whole.
        if let (Some(old), Some(new)) = (word(old), word(new)) {
            (narrow.old, narrow.new) = (old, new);
            // The instruction tells of one register alone.
            narrow.exact &= u32::from(whole.len() == 1);
        }
    }

    fn hand_on(&mut self, request: usize, record: &HitRecord) {
        match self.consumer.hit(request, record) {
            Ok(Flow::Continue) => {}
            Ok(Flow::Stop) => self.round = Round::Stopped,
            Err(failure) => {
                self.failure = Some(failure);
                self.round = Round::Stopped;
            }
        }
    }
}

/// Tells which signals were sent at a hit.
pub(crate) fn acted_at(consumer: &mut impl Consumer, hit: &RawHit<'_>, plans: &[Plan]) {
    let acts = plans.get(hit.watch as usize).map_or(&[][..], |plan| &plan.acts);
    let acts = acts.iter().enumerate();
    let sent = acts.filter(|(bit, _)| hit.at_hit.acted >> bit & 1 == 1);
    let sent: Vec<_> = sent.map(|(_, act)| act.signal).collect();
    consumer.acted((hit.pid, hit.time), &sent);
}
