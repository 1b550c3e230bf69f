//! From the first arming until the engine goes: draining, moving, disarming, accounting.

mod reader;
mod switching;

use std::collections::HashSet;
use std::os::fd::RawFd;

use foldhash::fast::RandomState;

use self::reader::Reader;
use self::switching::{Switched, What};
use super::events::{Capture, EventSet, Totals};
use super::family::Family;
use super::guard::{CpuRing, Source, bad_record};
use super::ids::IdMap;
use super::places::Places;
use super::turns::{Carried, Turns};
use crate::attr::Sampled;
use crate::bpf::board::{WATCHES, turn};
use crate::bpf::hit::Watched;
use crate::engine::bpf::Programs;
use crate::engine::{Account, ArmError, Flow, Pass, Passed, Turn};
use crate::event::{Event, Watch};
use crate::kernel::{EVERY, Kernel, Result};
use crate::merge::{Cursor, Merge, SETTLE_HASTE_NS, SETTLE_NS};
use crate::plan::Plan;
use crate::record::Layout;
use crate::slots;

/// So long after a thread has ended its events are looked at, which end a
/// moment later than their last record comes.
const REAP_FOR_NS: u64 = 100_000_000;
/// But not more often than this.
const REAP_EVERY_NS: u64 = 10_000_000;

/// What is armed, and what comes of it.
pub(super) struct Session {
    /// Closed before the rings are unmapped: in this order. Empty once
    /// disarmed.
    sets: Vec<EventSet>,
    rings: Rings,
    /// Where hits run programs.
    programs: Option<Programs>,
    ids: IdMap,
    merge: Merge,
    /// Layout of records that are no samples.
    plain: Layout,
    /// What samples hold, by watch; everything of others.
    sampled: Vec<Sampled>,
    family: Family,
    switched: Switched,
    watches: Vec<WatchState>,
    turns: Turns,
    places: Places,
    figures: Figures,
    /// Sums over the events that were closed.
    closed: Totals,
    reaping: Reaping,
    disarmed: bool,
    /// Whether everything was drained after that.
    drained: bool,
}

/// The rings, by index of the CPU.
#[derive(Default)]
pub(super) struct Rings {
    /// Of everything; first those of perf.
    pub(super) main: Vec<Source>,
    /// Of the sideband once more, read without waiting for other CPUs; none
    /// unless asked for.
    pub(super) news: Vec<CpuRing>,
}

/// What is known of a watch in all processes.
#[derive(Clone, Copy, Debug)]
struct WatchState {
    on: bool,
    /// How its samples are laid out.
    layout: Layout,
}

/// When to look which events are over.
#[derive(Debug, Default)]
struct Reaping {
    next: u64,
    until: u64,
}

/// What is counted as the records go by.
#[derive(Debug, Default)]
struct Figures {
    /// Hits that were handed on.
    delivered: u64,
    /// Sum of the records that report losses.
    reported_lost: u64,
    /// Hits where no watch was.
    strays: u64,
    /// Whether a record of this round made no sense.
    malformed: bool,
    /// Processes whose events the kernel ended although they go on.
    dropped: u64,
}

impl Session {
    pub(super) fn new(
        rings: Rings,
        plain: Layout,
        exec_ends: bool,
        programs: Option<Programs>,
    ) -> Self {
        let merge = Merge::with_capacity(rings.main.len());
        Self {
            sets: Vec::new(),
            rings,
            programs,
            ids: IdMap::default(),
            merge,
            plain,
            sampled: Vec::new(),
            family: Family::new(exec_ends),
            switched: Switched::default(),
            watches: Vec::new(),
            turns: Turns::default(),
            places: Places::default(),
            figures: Figures::default(),
            closed: Totals::default(),
            reaping: Reaping::default(),
            disarmed: false,
            drained: false,
        }
    }

    pub(super) fn is_armed(&self) -> bool {
        !self.disarmed
    }

    /// What is done at the hits of each watch that is opened from now on.
    pub(super) fn set_plans(&mut self, plans: &[Plan]) {
        self.sampled = plans.iter().map(Sampled::of).collect();
        if let Some(programs) = &mut self.programs {
            programs.set_plans(plans);
        }
    }

    /// Who takes turns.
    pub(super) fn set_turns(&mut self, turns: &[Turn]) {
        self.turns.set(turns);
    }

    /// What is to be opened where these are the watches.
    pub(super) fn opened(&self, watches: &[Option<Watch>]) -> Vec<Option<Watch>> {
        self.turns.opened(watches)
    }

    /// These watches are about to be on in a process, which had none of them before this
    /// time.
    pub(super) fn place(&mut self, pid: u32, watches: &[Option<Watch>], since: u64) {
        let numbered = (0..).zip(watches);
        let there = numbered.filter(|it| self.tells_place(it.0));
        let there: Vec<_> =
            there.filter_map(|(number, watch)| Some((number, (*watch)?))).collect();
        self.places.arm(pid, there.iter().copied(), since);
        // Of others programs are told when it is their turn.
        for (number, watch) in there.into_iter().filter(|it| self.moves(it.0)) {
            self.programs.iter().for_each(|it| it.place(pid, number, watch.address));
        }
    }

    /// They are not, after all.
    pub(super) fn take_back(&mut self, pid: u32) {
        self.places.take_back(pid);
    }

    /// Whether hits of a watch are told by where it is in their process.
    fn tells_place(&self, watch: u32) -> bool {
        let takes = self.programs.is_some() && self.turns.takes(watch as usize);
        takes || self.moves(watch)
    }

    /// Whether a watch may be moved.
    fn moves(&self, watch: u32) -> bool {
        self.sampled.get(watch as usize).is_some_and(|it| it.address)
    }

    /// Tells programs where a watch is in each process.
    fn tell_places(&self, watch: u32) {
        let Some(programs) = &self.programs else { return };
        self.places.of(watch).for_each(|(pid, at)| programs.place(pid, watch, at));
    }

    /// Sets that were opened for a process, or the kernel's data, carry these watches.
    pub(super) fn carry(
        &mut self,
        pid: u32,
        watches: &[Option<Watch>],
        sets: &mut [EventSet],
    ) {
        let Some(arming) = self.turns.arm(pid, watches) else { return };
        for set in sets {
            let watch = set.watch.map(|watch| watch as usize);
            let register = watch.and_then(|watch| self.turns.register(watch));
            let Some(register) = register else { continue };
            set.carried = Some(Carried { arming, register });
            if let Some(layout) = set.layout() {
                self.turns.lay_out(arming, layout);
            }
        }
        for register in 0..slots::CAPACITY as u32 {
            self.tell_turn(register);
        }
    }

    /// Tells programs whose turn it is on a register.
    fn tell_turn(&self, register: u32) {
        let (Some(programs), Some(watch)) = (&self.programs, self.turns.on(register))
        else {
            return;
        };
        let addresses = self.turns.addresses(watch);
        if addresses.len() > turn::PLACES {
            self.tell_places(watch);
        }
        programs.set_turn(register as usize, watch, &addresses);
    }

    pub(super) fn rings(&self) -> &Rings {
        &self.rings
    }

    pub(super) fn programs_known(&self) -> Option<&Programs> {
        self.programs.as_ref()
    }

    pub(super) fn programs(&mut self) -> Option<&mut Programs> {
        self.programs.as_mut()
    }

    pub(super) fn family(&mut self) -> &mut Family {
        &mut self.family
    }

    /// Whether the sideband of all tasks is open.
    pub(super) fn reports_all(&self) -> bool {
        self.sets.iter().any(|set| set.watch.is_none() && set.tid == EVERY)
    }

    /// How many descriptors it holds.
    pub(super) fn descriptors(&self) -> u64 {
        let events = self.sets.iter().map(EventSet::descriptors).sum::<usize>();
        let programs = self.programs.as_ref().map_or(0, Programs::descriptors);
        (events + programs + self.rings.main.len() + self.rings.news.len()) as u64
    }

    pub(super) fn wake_fds(&self) -> Vec<RawFd> {
        let main = self.rings.main.iter().filter_map(Source::perf);
        let rings = self.rings.news.iter().chain(main).map(CpuRing::owner);
        rings.chain(self.programs.as_ref().map(Programs::wakes)).collect()
    }

    /// Makes room for watches with numbers below `count`; all are on at first.
    pub(super) fn know_watches(&mut self, count: usize) {
        let count = count.max(self.watches.len());
        self.watches.resize(count, WatchState { on: true, layout: self.plain });
        self.closed.counted.resize(count, 0);
    }

    /// What is opened for watches, by number: of those at whose hits programs are
    /// run the programs. `owner` is the process, or the thread with `own`; its
    /// watches are off.
    pub(super) fn captures(
        &mut self,
        owner: u32,
        watches: &[Option<Watch>],
        own: bool,
    ) -> std::result::Result<Vec<Capture>, ArmError> {
        let sampled = sampled_of(&self.sampled);
        let by_turns = self.sampled_by_turns();
        let takers = self.takers(watches);
        if self.programs.is_some()
            && takers.iter().any(|it| it.number as usize >= WATCHES)
        {
            let what = "have more than 4,096 watches take turns";
            return Err(ArmError::Unable { engine: "bpf", what });
        }
        let opened = self.opened(watches);
        let capture = |(number, watch): (usize, &Option<Watch>)| {
            let takes = self.turns.takes(number);
            let sampled = if takes { by_turns } else { sampled(number) };
            let (Some(programs), Some(watch)) = (&mut self.programs, watch) else {
                return Ok(Capture::Sample(sampled));
            };
            if number >= WATCHES {
                return Ok(Capture::Sample(sampled));
            }
            programs.begins(owner, number as u32);
            Ok(Capture::Program(match self.turns.register(number) {
                Some(register) => programs.turns(register as usize, &takers)?,
                None => programs.program(Watched::new(number as u32, watch, own))?,
            }))
        };
        opened.iter().enumerate().map(capture).collect()
    }

    /// Those of these watches that take turns, for programs.
    fn takers(&self, watches: &[Option<Watch>]) -> Vec<Watched> {
        let takers = watches.iter().enumerate().filter(|(it, _)| self.turns.takes(*it));
        let takers = takers.filter_map(|(number, watch)| {
            Some(Watched::new(number as u32, watch.as_ref()?, false))
        });
        takers.collect()
    }

    /// What the samples of a register hold that watches take turns on: what any of them
    /// needs.
    fn sampled_by_turns(&self) -> Sampled {
        let takes = (0..self.watches.len()).filter(|watch| self.turns.takes(*watch));
        let all = takes.map(sampled_of(&self.sampled)).reduce(Sampled::and);
        Sampled { address: true, ..all.unwrap_or(Sampled::ALL) }
    }

    /// The same of watches on the kernel's data, which are always sampled.
    pub(super) fn sampled_in_kernel(&self) -> impl Fn(usize) -> Sampled {
        let sampled = sampled_of(&self.sampled);
        let by_turns = self.sampled_by_turns();
        move |number| match self.turns.takes(number) {
            true => by_turns.in_kernel(),
            false => sampled(number).in_kernel(),
        }
    }

    /// One round of the merge; `now` is the clock before it. Hits allocate
    /// nothing and call nobody but `sink`.
    pub(super) fn drain(
        &mut self,
        kernel: &dyn Kernel,
        all: bool,
        sink: &mut dyn FnMut(Event<'_>) -> Flow,
    ) -> std::io::Result<()> {
        let now = kernel.clock();
        let mut flow = self.report_lost(sink);
        if flow == Flow::Stop {
            return Ok(());
        }
        for ring in &mut self.rings.main {
            ring.refresh().map_err(bad_record)?;
        }
        let settle = match self.rings.main.iter().any(Source::is_filling) {
            true => SETTLE_HASTE_NS,
            false => SETTLE_NS,
        };
        let bound = if all { u64::MAX } else { now.saturating_sub(settle) };
        let (family, figures) = (&mut self.family, &mut self.figures);
        let places = &mut self.places;
        let reader = Reader {
            ids: &self.ids,
            watches: &self.watches,
            sampled: &self.sampled,
            turns: &self.turns,
            programs: self.programs.as_ref(),
            plain: self.plain,
        };
        let merged = self.merge.round(&mut self.rings.main, bound, |source| {
            flow = reader.hand_on_from(source, places, figures, &mut |event| {
                if !matches!(event, Event::Hit(_)) {
                    family.note(&event);
                }
                sink(event)
            });
            flow
        });
        for ring in &mut self.rings.main {
            ring.publish();
        }
        merged?;
        if std::mem::take(&mut self.figures.malformed) {
            let kind = std::io::ErrorKind::InvalidData;
            return Err(std::io::Error::new(kind, "a perf record makes no sense"));
        }
        let to_the_end = flow == Flow::Continue;
        self.drained = all && to_the_end && self.disarmed;
        if to_the_end {
            self.ids.drained(bound);
            self.turns.drained(bound);
            self.places.drained(bound);
            self.mind_births(kernel, bound.min(now));
        }
        self.settle_ends(kernel, now, bound.min(now));
        Ok(())
    }

    /// Reports hits for which programs had no room since the last round. Those of
    /// samples have records of their own.
    fn report_lost(&mut self, sink: &mut dyn FnMut(Event<'_>) -> Flow) -> Flow {
        match self.programs.as_mut().map_or(0, Programs::round) {
            0 => Flow::Continue,
            count => {
                self.figures.reported_lost += count;
                sink(Event::Lost { count })
            }
        }
    }

    /// Shows what the sideband says at once, before its turn.
    pub(super) fn news(
        &mut self,
        sink: &mut dyn FnMut(Event<'_>),
    ) -> std::io::Result<()> {
        let reader = Reader {
            ids: &self.ids,
            watches: &self.watches,
            sampled: &self.sampled,
            turns: &self.turns,
            programs: None,
            plain: self.plain,
        };
        // They come in their turn as well.
        let (mut places, mut figures) = (Places::default(), Figures::default());
        for ring in &mut self.rings.news {
            ring.refresh().map_err(bad_record)?;
            while ring.time().is_some() {
                reader.hand_on(ring, &mut places, &mut figures, &mut |event| {
                    sink(event);
                    Flow::Continue
                });
                ring.advance()?;
            }
            ring.publish();
        }
        Ok(())
    }

    /// Has a watch of a process be at another address, or nowhere; gives the
    /// time from which on hits are of the new one. Nothing hits while it moves.
    /// None where the process has no such watch.
    pub(super) fn retarget(
        &mut self,
        kernel: &dyn Kernel,
        (pid, watch): (u32, usize),
        address: Option<u64>,
    ) -> Result<Option<u64>> {
        self.switched.note(What::Moved(pid, watch as u32), kernel.clock());
        let on = self.watches.get(watch).is_some_and(|state| state.on);
        for set in self.sets.iter().filter(|set| set.is_of(pid, watch)) {
            set.switch(kernel, false)?;
        }
        let since = kernel.clock();
        let by_turns = self.turns.moved((pid, watch), address, since);
        let number = watch as u32;
        self.places.moved((pid, number), address.unwrap_or(Watch::PENDING), since);
        if let Some(programs) = &self.programs
            && self.tells_place(number)
        {
            programs.displace(number);
            self.tell_places(number);
        }
        // A value is of its place.
        if let Some(programs) = &mut self.programs {
            programs.renews(&[number]);
        }
        if let Some(register) = self.turns.register(watch) {
            self.tell_turn(register);
        }
        let mut sets: Vec<_> =
            self.sets.iter_mut().filter(|set| set.is_of(pid, watch)).collect();
        if sets.is_empty() {
            // It waits, and will be there when it is its turn.
            return Ok(by_turns.then_some(since));
        }
        let moved = address.map_or(Err(None), |address| {
            let mut sets = sets.iter_mut();
            sets.try_for_each(|set| set.move_to(kernel, address, on).map_err(Some))
        });
        let Err(why) = moved else { return Ok(Some(since)) };
        for set in &mut sets {
            // What stays on where even this fails can not be helped.
            let _ = set.switch(kernel, false);
            set.unplace();
        }
        why.map_or(Ok(Some(since)), Err)
    }

    /// Passes registers on; none where they can not be.
    pub(super) fn pass(
        &mut self,
        kernel: &dyn Kernel,
        passes: &[Pass],
    ) -> Option<Passed> {
        let registers = self.turns.check(passes)?;
        let of = |register: u32| {
            move |set: &&mut EventSet| {
                set.carried.is_some_and(|carried| carried.register == register)
            }
        };
        let mut passed = Passed { since: kernel.clock(), ..Passed::default() };
        for register in &registers {
            self.switched.note(What::Register(*register), passed.since);
        }
        for register in &registers {
            let begun = passed.since;
            for set in self.sets.iter_mut().filter(of(*register)) {
                // It can only fail for a descriptor that is no event.
                let _ = set.switch(kernel, false);
            }
            passed.since = kernel.clock();
            passed.off.push(begun.midpoint(passed.since));
        }
        self.begin_turns(&registers, passes, passed.since);
        for (register, Pass { to, .. }) in registers.iter().zip(passes) {
            let begun = kernel.clock();
            let on = self.watches.get(*to).is_some_and(|state| state.on);
            for set in self.sets.iter_mut().filter(of(*register)) {
                set.count_turn(kernel, &mut self.closed);
                let place =
                    set.carried.and_then(|it| self.turns.place(it.arming, *to as u32));
                if set.pass(kernel, (*to as u32, place), on).is_err() {
                    passed.failed.push(*to);
                }
            }
            passed.on.push(begun.midpoint(kernel.clock()));
        }
        passed.failed.sort_unstable();
        passed.failed.dedup();
        Some(passed)
    }

    /// It is the turn of other watches on registers, all of which are off.
    fn begin_turns(&mut self, registers: &[u32], passes: &[Pass], since: u64) {
        for (register, pass) in registers.iter().zip(passes) {
            self.turns.pass(*register, pass.to as u32, since);
        }
        if let Some(programs) = &mut self.programs {
            registers.iter().for_each(|register| programs.clear_turn(*register as usize));
            let comers: Vec<_> = passes.iter().map(|pass| pass.to as u32).collect();
            programs.renews(&comers);
        }
        registers.iter().for_each(|register| self.tell_turn(*register));
    }

    /// Ends what was armed for a process, and what its children inherited.
    pub(super) fn detach(&mut self, kernel: &dyn Kernel, pid: u32) {
        self.close(kernel, |set| set.pid == pid);
        self.family.disarm(pid);
    }

    /// Stops all events, reads them a last time and closes them.
    pub(super) fn disarm(&mut self, kernel: &dyn Kernel) {
        for set in &self.sets {
            // It can only fail for a descriptor that is no event.
            let _ = set.switch(kernel, false);
        }
        self.close(kernel, |_| true);
        self.disarmed = true;
    }

    /// Closes some sets; what they counted stays.
    fn close(&mut self, kernel: &dyn Kernel, which: impl Fn(&EventSet) -> bool) {
        let gone = self.sets.extract_if(.., |set| which(set)).collect();
        self.part_with(kernel, gone);
    }

    /// The same of sets that it has no more, or never had.
    pub(super) fn part_with(&mut self, kernel: &dyn Kernel, gone: Vec<EventSet>) {
        let mut armings = Vec::new();
        for set in gone {
            armings.extend(set.carried.map(|carried| carried.arming));
            let _ = set.switch(kernel, false);
            // It hits nothing from now on: no record of it is younger.
            let now = kernel.clock();
            self.closed.add(kernel, &set);
            if set.watch.is_some() && !set.is_programmed() {
                for id in set.ids(kernel).unwrap_or_default() {
                    self.ids.retire(id, now);
                }
            }
        }
        armings.sort_unstable();
        armings.dedup();
        let open = |arming: &u32| {
            let carries =
                |set: &EventSet| set.carried.is_some_and(|it| it.arming == *arming);
            self.sets.iter().any(carries)
        };
        armings.retain(|arming| !open(arming));
        armings.into_iter().for_each(|it| self.turns.close(it, kernel.clock()));
    }

    /// Closes what is over since threads ended, or executed another image. Who
    /// inherited an event keeps it. Ends up to `bound` are known.
    fn settle_ends(&mut self, kernel: &dyn Kernel, now: u64, bound: u64) {
        let cut = self.family.take_cut();
        let dropped = cut.iter().filter(|pid| goes_on(kernel, **pid)).count();
        self.figures.dropped += dropped as u64;
        let executed = self.family.take_executed();
        for set in self.sets.iter_mut().filter(|set| set.watch.is_some()) {
            set.left |= executed.contains(&set.pid);
        }
        let ended = self.family.take_ended();
        if let Some(programs) = &mut self.programs {
            ended.iter().for_each(|(thread, last)| programs.ended(*thread, *last));
        }
        for ((pid, _), _) in ended.iter().filter(|(_, last)| *last) {
            self.places.ended(*pid, bound);
        }
        if !ended.is_empty() || !executed.is_empty() {
            self.reaping.until = now + REAP_FOR_NS;
        }
        if now > self.reaping.until || now < self.reaping.next {
            return;
        }
        self.reaping.next = now + REAP_EVERY_NS;
        let telling = self.sets.iter().filter(|set| set.tells_its_end());
        let ends: Vec<_> = telling.filter_map(EventSet::end).collect();
        let mut over = vec![false; ends.len()];
        if kernel.perf_over(&ends, &mut over).is_err() {
            return;
        }
        let over: HashSet<_, RandomState> =
            ends.into_iter().zip(over).filter(|it| it.1).map(|it| it.0).collect();
        if !over.is_empty() {
            self.close(kernel, |set| set.end().is_some_and(|it| over.contains(&it)));
        }
    }

    pub(super) fn account(&self, kernel: &dyn Kernel) -> Account {
        let mut totals = self.closed.clone();
        self.sets.iter().for_each(|set| totals.add(kernel, set));
        let counted: u64 = totals.counted.iter().sum();
        let programs = self.programs.as_ref();
        let filtered: Vec<_> =
            programs.into_iter().flat_map(Programs::filtered).collect();
        let strays = self.figures.strays + programs.map_or(0, Programs::strays);
        let handled = self.figures.delivered + filtered.iter().sum::<u64>() + strays;
        let lost = match (totals.lost_known && programs.is_none(), self.drained) {
            (true, _) => totals.lost,
            // An old kernel reports a loss with the next record that finds
            // room, so the last one it may never report; and where another
            // program was interrupted ours is not run. But what was counted and
            // never came is lost.
            (false, true) => counted.saturating_sub(handled),
            (false, false) => self.figures.reported_lost,
        };
        Account {
            counted: totals.counted,
            filtered,
            lost,
            strays,
            lost_sideband: totals.lost_sideband,
            late: self.merge.late(),
            dropped: self.figures.dropped,
            // The kernel refuses such a birth (kernel/events/core.c, `perf_event_init_task`).
            unarmed: 0,
        }
    }
}

/// What the samples of a watch hold: what was planned, else everything.
fn sampled_of(planned: &[Sampled]) -> impl Fn(usize) -> Sampled {
    |number| planned.get(number).copied().unwrap_or(Sampled::ALL)
}

/// Whether a process is there and not about to end.
fn goes_on(kernel: &dyn Kernel, pid: u32) -> bool {
    /// The flag of a task that ends (include/linux/sched.h).
    const PF_EXITING: u32 = 4;
    let Ok(text) = kernel.read_file(&format!("/proc/{pid}/stat"), 1024) else {
        return false;
    };
    // The name, which may hold anything, is in parentheses; then come state,
    // parent, group, session, terminal, its foreground group, and flags
    // (proc_pid_stat(5)).
    let text = String::from_utf8_lossy(&text);
    let Some((_, after)) = text.rsplit_once(") ") else { return false };
    let fields: Vec<_> = after.split(' ').collect();
    let flags = fields.get(6).and_then(|flags| flags.parse::<u32>().ok());
    !matches!(fields.first(), Some(&("Z" | "X")))
        && flags.is_some_and(|flags| flags & PF_EXITING == 0)
}
