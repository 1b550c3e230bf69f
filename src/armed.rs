//! What a session has armed, and keeps armed: in processes that execute another
//! image or start later, in libraries that are loaded, on threads that are born, and
//! behind pointers that are stored to.

mod figures;
mod lessons;
mod news;
mod objects;
mod own;
mod relief;
mod seek;
mod turns;
mod waits;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::rc::Rc;

use hwtrace_probes::process::{Process, ProcessError};
use hwtrace_probes::resolve::ResolveError;
use hwtrace_runtime::engine::bpf::Tickets;
use hwtrace_runtime::engine::{self, ArmError, Engine, Flow, Whose};
use hwtrace_runtime::event::Event;
use hwtrace_runtime::event::Watch;
use hwtrace_runtime::kernel::Kernel;
use hwtrace_runtime::merge::SETTLE_NS;
use hwtrace_runtime::plan::Plan;
use hwtrace_runtime::tracker::{Held, Tracker};

pub(crate) use figures::Figures;
pub(crate) use lessons::Lessons;
pub(crate) use news::{Interest, News};
pub(crate) use objects::Objects;
use own::Roomless;
use relief::most_ns;
pub(crate) use relief::{Relief, heavy_remark, measured};
pub(crate) use seek::Seek;
pub(crate) use turns::{Pace, Rotation};
use waits::Waits;

use crate::counts::Counts;
use crate::instances::{Instance, Place};
use crate::joins::Joins;
use crate::names::Names;
use crate::registers::Registers;
use crate::rights::Uses;
use crate::session::{Consumer, Data, Request};
use crate::sink::{Books, Sink, acted_at};
use crate::symbols::{SharedSymbols, TargetMemory};

/// Everything that is armed.
pub(crate) struct Armed {
    pub(crate) engine: Box<dyn Engine>,
    pub(crate) tracker: Tracker,
    pub(crate) memory: TargetMemory,
    pub(crate) registers: Registers,
    /// By watch: whether it is on, and not only could be.
    on: Vec<bool>,
    /// By watch: whether the consumer wants its hits.
    wished: Vec<bool>,
    requests: Rc<[Request]>,
    pub(crate) surroundings: Surroundings,
    /// By process.
    instances: BTreeMap<u32, Instance>,
    /// The last that could not be armed.
    refused: Option<Instance>,
    pub(crate) interest: Interest,
    pub(crate) news: Vec<News>,
    lessons: Lessons,
    /// Threads that have no room for their own data yet.
    roomless: Vec<Roomless>,
    /// Where processes that start are not reported.
    pub(crate) seek: Option<Seek>,
    /// What has just happened has to be acted upon in its turn: until then, in
    /// nanoseconds of CLOCK_MONOTONIC, rounds are short.
    hurry: u64,
    pub(crate) figures: Figures,
    /// See [`Books::pictures`].
    pictures: [Vec<u8>; 2],
    joins: Joins,
    /// What is done at the hits, by watch number.
    pub(crate) plans: Vec<Plan>,
    /// Where watches take turns.
    pub(crate) rotation: Option<Rotation>,
    /// Where hits may take a part of the time only.
    pub(crate) relief: Option<Relief>,
    pub(crate) counts: Rc<RefCell<Counts>>,
    waits: Waits,
    /// Those that handlers name, where probes ask for any.
    pub(crate) objects: Option<Objects>,
}

/// Whom and what a session works with.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) kernel: Rc<dyn Kernel>,
    pub(crate) names: Rc<Names>,
    pub(crate) symbols: SharedSymbols,
    /// The process of `-c` or `-p`.
    pub(crate) target: Option<u32>,
    /// What each request saw.
    pub(crate) counts: Rc<RefCell<Counts>>,
}

/// A watch of a process is somewhere else.
struct Placed {
    since: u64,
    /// What it held right before; none where it is nowhere.
    held: Option<u64>,
    /// Whether it did right after.
    sure: bool,
}

/// A process that could not be armed.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) pid: u32,
    pub(crate) error: ArmError,
}

impl Armed {
    pub(crate) fn new(
        engine: Box<dyn Engine>,
        registers: Registers,
        requests: Rc<[Request]>,
        surroundings: Surroundings,
    ) -> Self {
        let watches = registers.watches();
        let memory = TargetMemory::new(&surroundings.kernel);
        let begun = surroundings.kernel.clock();
        Self {
            lessons: Lessons::of(&*engine),
            engine,
            tracker: Tracker::new(watches),
            memory,
            on: vec![true; watches.len()],
            wished: vec![true; watches.len()],
            interest: Interest::of(&requests),
            figures: Figures::new(requests.len()),
            registers,
            requests,
            counts: Rc::clone(&surroundings.counts),
            surroundings,
            instances: BTreeMap::new(),
            refused: None,
            news: Vec::new(),
            roomless: Vec::new(),
            seek: None,
            // Until it is known whether values are read late.
            hurry: begun + LATE_HURRY_NS,
            pictures: [Vec::new(), Vec::new()],
            joins: Joins::default(),
            plans: Vec::new(),
            rotation: None,
            relief: None,
            waits: Waits::default(),
            objects: None,
        }
    }

    /// Arms what is in a process.
    ///
    /// # Errors
    /// Nothing is armed there then.
    pub(crate) fn attach(
        &mut self,
        instance: Instance,
        consumer: &mut dyn Consumer,
    ) -> Result<engine::Armed, Refused> {
        let pid = instance.pid();
        let refused = |error| Refused { pid, error };
        self.surroundings.symbols.borrow_mut().prepare(&instance.process);
        let watches = self.registers.placed(&|request| instance.found(request));
        self.tracker.add_process(pid, &watches, &mut self.memory);
        if self.surroundings.target == Some(pid) {
            self.tracker.set_target(pid);
        }
        // What is known of its code is of another image, or another process.
        self.engine.forget_code(pid);
        let before = self.tracker.values(Whose::Process(pid));
        self.tell(&before);
        let armed = match self.engine.attach(pid, &watches) {
            Ok(armed) => armed,
            Err(error) => {
                self.refused = Some(instance);
                return Err(refused(error));
            }
        };
        self.tracker.confirm_process(pid, &mut self.memory);
        self.doubt(&before, &self.tracker.values(Whose::Process(pid)));
        // What can not be read any more the process took with it when it ended.
        let threads = instance.process.threads().unwrap_or_default();
        for thread in &threads {
            let name = consumer.name(thread.name.as_bytes());
            self.tracker.add_thread(pid, thread.tid, name);
        }
        // Once more, for what it mapped meanwhile.
        let _ = self.surroundings.symbols.borrow_mut().add_process(&instance.process);
        self.interest.note(&instance);
        self.figures.places(&instance.places);
        self.figures.shared(armed.slots);
        self.instances.insert(pid, instance);
        self.figures.leave_out(pid, &armed.left_out, self.engine.leaves_out_heirs());
        for thread in threads {
            if let Err(mut error) = self.arm_thread(pid, thread.tid) {
                // Its own come after those of its process.
                if let ArmError::NoFreeRegister { free, .. } = &mut error {
                    *free += armed.slots;
                }
                self.engine.detach(pid);
                self.refused = self.instances.remove(&pid);
                return Err(refused(error));
            }
        }
        Ok(armed)
    }

    /// The processes that were armed, and the one that was not, to be armed by another.
    pub(crate) fn give_back(self) -> impl Iterator<Item = Instance> {
        self.instances.into_values().chain(self.refused)
    }

    /// Arms the watches on the kernel's data.
    ///
    /// # Errors
    /// Nothing is armed there then.
    pub(crate) fn arm_kernel(
        &mut self,
        watches: &[Option<Watch>],
    ) -> Result<(), Refused> {
        self.tracker.add_kernel(&mut self.memory);
        self.tell(&self.tracker.values(Whose::Kernel));
        let armed = self.engine.arm_kernel(watches);
        let armed = armed.map_err(|error| Refused { pid: 0, error })?;
        self.figures.kernel_registers(armed.slots);
        Ok(())
    }

    /// The consumer wants the hits of a watch from now on, or not.
    pub(crate) fn wish(&mut self, watch: usize, wants: bool) -> io::Result<()> {
        if self.wished[watch] != wants {
            self.wished[watch] = wants;
            let now = self.surroundings.kernel.clock();
            self.counts.borrow_mut().coverage.want(watch, wants, now);
            if let Some(rotation) = &mut self.rotation {
                rotation.want(watch, wants);
            }
        }
        self.apply(watch)
    }

    /// Arms or disarms a watch, as it is to be. Armed again, the values of now are the old
    /// ones of its first hits; what is stored meanwhile makes them unsure.
    fn apply(&mut self, watch: usize) -> io::Result<()> {
        let kept_off = self.relief.as_ref().is_some_and(|it| it.keeps_off(watch));
        let on = self.wished[watch] && !kept_off;
        if self.on[watch] == on {
            return Ok(());
        }
        let now = self.surroundings.kernel.clock();
        if on {
            self.tracker.refresh(watch, now, &mut self.memory);
        }
        let before = if on { self.tracker.values_of(watch) } else { Vec::new() };
        self.tell(&before);
        self.engine.switch(watch, on)?;
        if on {
            self.tracker.confirm(watch, &mut self.memory);
            self.doubt(&before, &self.tracker.values_of(watch));
        }
        self.on[watch] = on;
        let carried = self.carries(watch);
        // Most of what it takes comes before it is on, and before it is off.
        let now = self.surroundings.kernel.clock();
        self.counts.borrow_mut().coverage.turn(watch, on && carried, now);
        Ok(())
    }

    /// Tells the engine what watches hold.
    fn tell(&mut self, held: &[Held]) {
        for Held { whose, watch, value } in held {
            self.engine.tell(*whose, *watch, *value);
        }
    }

    /// Tells it which of them held something else when they were armed.
    fn doubt(&mut self, before: &[Held], now: &[Held]) {
        for held in before.iter().filter(|held| !now.contains(held)) {
            self.engine.doubt(held.whose, held.watch);
        }
        self.settle(now);
    }

    /// Watches hold this: where the engine takes them to hold something else, it made that
    /// of what it was told, which was no longer so.
    fn settle(&mut self, held: &[Held]) {
        for Held { whose, watch, value } in held {
            if self.engine.held(*whose, *watch).is_some_and(|it| it != *value) {
                self.engine.doubt(*whose, *watch);
            }
        }
    }

    /// Hands on what the engine has, for a while.
    ///
    /// # Errors
    /// As reading the rings.
    pub(crate) fn drain<C: Consumer>(
        &mut self,
        all: bool,
        sink: &mut Sink<'_, C>,
    ) -> io::Result<()> {
        let Self { engine, tracker, memory, registers, interest, news, .. } = self;
        let (lessons, pictures) = (&mut self.lessons, &mut self.pictures);
        let (plans, objects) = (&self.plans, &mut self.objects);
        let rotates = self.rotation.as_ref().is_some_and(Rotation::rotates);
        let by_turns = rotates || self.relief.is_some();
        let mut books = Books {
            tracker,
            memory,
            registers,
            plans,
            interest,
            news,
            lessons,
            pictures,
            objects,
            joins: &mut self.joins,
            by_turns,
        };
        let late = books.tracker.values_late();
        let settled = self.surroundings.kernel.clock().saturating_sub(SETTLED_NS);
        let drained = engine.drain(all, &mut |event| sink.event(&event, &mut books));
        if books.tracker.values_late() != late {
            let now = self.surroundings.kernel.clock();
            self.hurry = self.hurry.max(now + LATE_HURRY_NS);
        }
        if drained.is_ok() && !sink.is_paused() {
            let bound = if all { u64::MAX } else { settled };
            sink.away(bound, &mut books);
            sink.unjoined(bound, None, &mut books);
            if all {
                books.tracker.finish();
                sink.broken(&mut books);
            }
        }
        lessons.give(&mut **engine);
        drained
    }

    /// What it may still do that takes rights: nothing says that no process will execute
    /// another image.
    pub(crate) fn uses(&self) -> Uses {
        let asks =
            |what: fn(&Data) -> bool| self.requests.iter().any(|it| what(&it.data));
        let arming = asks(|data| matches!(data, Data::Process(_) | Data::Objects(_)));
        let mut pids = self.instances.keys();
        Uses {
            arming,
            programs: arming && self.engine.learns(),
            others: asks(|data| data.executable().is_some())
                || !pids.all(|pid| self.is_ours(*pid)),
            kernel: asks(|data| matches!(data, Data::Kernel(_))),
            signals: false,
        }
    }

    /// Whether a process is of our own user, and no secret to others of ours: then its
    /// folder in `/proc` is ours (proc(5)).
    fn is_ours(&self, pid: u32) -> bool {
        let folder = std::fs::metadata(format!("/proc/{pid}"));
        folder.is_ok_and(|it| it.uid() == self.surroundings.kernel.effective_user())
    }

    /// Takes back what was done at hits that no handler sees any more, as the session has
    /// ended.
    ///
    /// # Errors
    /// As reading the rings.
    pub(crate) fn take_back<C: Consumer>(&mut self, consumer: &mut C) -> io::Result<()> {
        if self.plans.iter().all(|plan| plan.acts.is_empty()) {
            return Ok(());
        }
        let plans = &self.plans;
        self.engine.drain(true, &mut |event| {
            if let Event::Hit(hit) = event
                && hit.at_hit.acted != 0
            {
                acted_at(consumer, &hit, plans);
                consumer.take_back();
            }
            Flow::Continue
        })
    }

    /// With what the engine counts the hits of a request that go on, where it does.
    pub(crate) fn tickets(&self, request: usize) -> Option<Tickets> {
        let watch = self.registers.of(request).next()?;
        self.plans.get(watch)?.gate.as_ref()?;
        self.engine.tickets(watch)
    }

    /// What is to be said of it at the end.
    pub(crate) fn remarks(&mut self) -> Vec<String> {
        self.give_up_roomless();
        let asked = self.registers.asked(self.requests.len());
        let mut remarks = self.figures.remarks(&self.requests, &asked);
        remarks.extend(self.seek.as_ref().map(Seek::remark));
        remarks.extend(self.relief_remarks());
        let now = self.surroundings.kernel.clock();
        let objects = self.objects.iter().flat_map(|objects| objects.remarks(now));
        remarks.extend(objects);
        remarks
    }

    /// In how many nanoseconds there is something to do if nothing wakes us: hits may wait in
    /// a ring that is not full enough, turns end, and watches are on or off for a while.
    pub(crate) fn due_in(&self) -> u64 {
        let now = self.surroundings.kernel.clock();
        let in_haste = self.interest.follows() || self.objects.is_some();
        let drain = match in_haste || now < self.hurry {
            true => DRAIN_IN_HASTE_NS,
            false => DRAIN_EVERY_NS,
        };
        let turn = self.turn_ends_in(now);
        let objects = self.objects.as_ref().and_then(|it| it.turn_ends_in(now));
        let others = [turn, objects, self.relief_due_in(now)];
        others.into_iter().flatten().fold(drain, u64::min)
    }

    /// Does what is due, but for draining the rings.
    ///
    /// # Errors
    /// As switching a watch.
    pub(crate) fn do_what_is_due(&mut self) -> io::Result<()> {
        self.take_turns();
        self.take_turns_of_objects();
        self.relieve()?;
        self.mind_load();
        Ok(())
    }

    /// Looks for what was reported at once, where that is asked for.
    ///
    /// # Errors
    /// As reading the rings.
    pub(crate) fn listen(&mut self) -> io::Result<()> {
        let Self { engine, interest, news, hurry, instances, .. } = self;
        engine.news(&mut |event| {
            if let Some(told) = interest.in_event(&event) {
                told.note(news);
            }
            if let Event::Comm { time, pid, exec: true, .. } = event {
                *hurry = time + HURRY_NS;
                // What is known of it is of another image than what it maps and
                // creates now; the exec itself is answered in its turn.
                instances.remove(&pid);
            }
        })
    }

    /// Follows what has happened to the processes.
    pub(crate) fn act(&mut self, consumer: &mut dyn Consumer) {
        for news in std::mem::take(&mut self.news) {
            match news {
                News::Executed { pid, time } => self.executed(pid, time, consumer),
                News::Mapped { pid, time } => self.mapped(pid, time),
                News::Born { pid, tid, time } => self.born(pid, tid, time),
                News::Stored { pid, request } => self.moved(pid, request),
            }
        }
        self.arm_roomless();
        for (pid, request) in self.pending() {
            self.look_for(pid, request);
        }
        let now = self.surroundings.kernel.clock();
        let found = self.seek.as_mut().map_or_else(Vec::new, |seek| seek.look(now));
        for (pid, since) in found {
            // Of those that are followed it is told what they execute.
            if !self.instances.contains_key(&pid) && !self.tracker.follows(pid) {
                self.executed(pid, since, consumer);
            }
        }
        // Their numbers may be given out again.
        self.instances.retain(|pid, _| self.tracker.follows(*pid));
        self.forget_ended_objects(consumer);
    }

    /// A process executes another image. Its watches are gone; what the new image
    /// has of the data is armed.
    fn executed(&mut self, pid: u32, time: u64, consumer: &mut dyn Consumer) {
        self.forget_objects(pid, consumer);
        let known = self.instances.remove(&pid).is_some();
        let followed = known || self.tracker.follows(pid);
        let Ok(process) = Process::open(pid) else {
            self.figures.executed += u64::from(followed);
            return;
        };
        // Children of the target count as the target.
        let target = self.tracker.is_of_target(pid).then_some(pid);
        let Surroundings { names, kernel, .. } = &self.surroundings;
        let now = kernel.clock();
        let found = Instance::survey(process, &self.requests, (names, kernel, target));
        // An exec is told of before the kernel has mapped the image: it may be kept from
        // that for a while.
        if matches!(found, Err(ProcessError::NotLoaded { .. })) && now < time + LOADED_NS
        {
            self.news.push(News::Executed { pid, time });
            self.hurry = now + HURRY_NS;
            return;
        }
        let wanted = found.ok().filter(Instance::is_wanted);
        let Some(instance) = wanted else {
            self.figures.executed += u64::from(followed);
            return;
        };
        match self.attach(instance, consumer) {
            Ok(armed) if followed && self.engine.holds_executed() => {
                self.figures.threads_of_processes += u64::from(armed.threads);
            }
            Ok(armed) => self.figures.later_process(armed, self.since(time)),
            // What was told twice.
            Err(Refused {
                error: ArmError::Armed { .. } | ArmError::Gone { .. },
                ..
            }) => {}
            Err(refused) => self.figures.refused(&refused),
        }
    }

    fn since(&self, time: u64) -> Option<u64> {
        (time > 0).then(|| self.surroundings.kernel.clock().saturating_sub(time))
    }

    /// A process has mapped a file: libraries may be among what is waited for.
    fn mapped(&mut self, pid: u32, time: u64) {
        let Some(instance) = self.instances.get_mut(&pid) else { return };
        if instance.look_again(&self.surroundings.names).is_err() {
            return;
        }
        for request in 0..self.requests.len() {
            if self.interest.in_library(request) && self.look_for(pid, request) {
                let since = self.since(time);
                self.figures.later_library(request, since);
            }
        }
    }

    /// Looks again where data is, and moves its watches there. Gives whether it is
    /// somewhere where it was not before.
    fn look_for(&mut self, pid: u32, request: usize) -> bool {
        let Some(instance) = self.instances.get_mut(&pid) else { return false };
        if matches!(instance.places[request], Place::NotHere) {
            return false;
        }
        let (asked, kernel) = (&self.requests[request], &self.surroundings.kernel);
        let place = instance.find(asked, (&self.surroundings.names, kernel));
        let is_there = place.location().is_some();
        let own = matches!(place, Place::EachThread(_));
        let was = std::mem::replace(&mut instance.places[request], place);
        self.figures.place(request, &instance.places[request]);
        let at = |place: &Place| place.location().map(|location| location.address);
        let elsewhere = is_there && at(&was) != at(&instance.places[request]);
        let came = is_there && was.location().is_none();
        let moved = self.retarget(pid, request);
        self.figures.moved[request] += u64::from(elsewhere && moved);
        if own && came {
            self.arm_threads(pid, request);
        }
        moved || (own && came)
    }

    /// Puts the registers of a request where the data is. Gives whether any of them
    /// was elsewhere.
    fn retarget(&mut self, pid: u32, request: usize) -> bool {
        let Some(instance) = self.instances.get(&pid) else { return false };
        let watches = self.registers.placed(&|request| instance.found(request));
        let mut moved = false;
        for watch in self.registers.of(request).collect::<Vec<_>>() {
            let Some(Some(wanted)) = watches.get(watch).copied() else { continue };
            let address = Some(wanted.address).filter(|_| wanted.is_placed());
            if self.tracker.address(pid, watch) == Some(wanted.address) {
                continue;
            }
            match self.place(pid, watch, address) {
                Ok(_) => moved |= address.is_some(),
                Err(ArmError::Gone { .. }) => {}
                Err(error) => self.figures.refused(&Refused { pid, error }),
            }
        }
        moved
    }

    /// Moves a watch of a process.
    fn place(
        &mut self,
        pid: u32,
        watch: usize,
        address: Option<u64>,
    ) -> Result<Placed, ArmError> {
        let now = self.surroundings.kernel.clock();
        self.tracker.move_watch(pid, watch, address, now, &mut self.memory);
        let mut before = self.tracker.values(Whose::Process(pid));
        before.retain(|held| held.watch == watch);
        self.tell(&before);
        let since = self.engine.retarget(pid, watch, address)?;
        self.tracker.confirm_move(pid, watch, since, &mut self.memory);
        let values = self.tracker.values(Whose::Process(pid));
        self.doubt(&before, &values);
        let sure = before.iter().all(|held| values.contains(held));
        Ok(Placed { since, held: before.first().map(|held| held.value), sure })
    }

    /// A pointer on the way to data was stored to.
    fn moved(&mut self, pid: u32, request: usize) {
        // Again, should it be stored to while the watches are moved.
        for _ in 0..MOVES_AT_ONCE {
            if !self.look_for(pid, request) {
                break;
            }
        }
    }

    /// Data that may come and whose coming nothing tells.
    fn pending(&self) -> Vec<(u32, usize)> {
        if !self.interest.follows() {
            return Vec::new();
        }
        let pending = self.instances.iter().flat_map(|(pid, instance)| {
            let places = instance.places.iter().enumerate();
            places.filter(|(_, place)| waits_for_memory(place)).map(|(it, _)| (*pid, it))
        });
        pending.collect()
    }
}

/// How long hits may wait in a ring that is not full enough to wake us.
const DRAIN_EVERY_NS: u64 = 20_000_000;
/// The same where an exec is to be answered, or a pointer, or handlers name objects:
/// longer than the engine waits for other CPUs there is no reason to.
const DRAIN_IN_HASTE_NS: u64 = 2_000_000;
/// Hits that are older than this when it is drained come then.
const SETTLED_NS: u64 = 2 * SETTLE_NS;
/// So long after values had to be read late hits are looked at as soon as it goes: more
/// are to come, and memory soon holds others.
const LATE_HURRY_NS: u64 = 100_000_000;
/// So long after something has happened its turn comes.
const HURRY_NS: u64 = 10_000_000;
/// What is not mapped so long after it was executed never will be.
const LOADED_NS: u64 = 1_000_000_000;

/// A pointer that is stored to again while its watch moves is followed so often at
/// once; then the next round goes on.
const MOVES_AT_ONCE: u32 = 4;

/// Whether it is memory that is waited for, which nothing reports.
fn waits_for_memory(place: &Place) -> bool {
    matches!(
        place,
        Place::Pending {
            why: ResolveError::Null { .. }
                | ResolveError::Dangling { .. }
                | ResolveError::Unreadable { .. },
            ..
        }
    )
}
