//! Arming: whom to seize, and what they are given while they stand.
//!
//! Threads that are created by one that is traced are traced from their birth on. So
//! once every thread that is listed is traced and stands, and the next listing has no
//! other, all of them are.

use std::collections::BTreeSet;
use std::time::Duration;

use super::debug::{Registers, Slot};
use super::proc;
use super::tracer::{At, Figures, Method, Process, Thread, Tracer};
use super::wire::system;
use crate::engine::{ArmError, Shortfall};
use crate::event::Watch;
use crate::kernel::Errno;
use crate::slots::CAPACITY;

/// So often, a millisecond each, it is looked whether all threads stand. One that does
/// not come out of the kernel for longer, as it waits for a disk, may not for long.
const LOOKS: u32 = 5000;
/// After so many it is looked whether one has ended of which nothing is told, and again.
pub(super) const ENDED_EVERY: u32 = 16;
/// So often threads are listed.
const LISTINGS: u32 = 200;

type Result<T> = std::result::Result<T, ArmError>;

impl Tracer {
    /// Makes room for watches with numbers below `count`; all are on at first.
    pub(super) fn know_watches(&mut self, count: usize) {
        let count = count.max(self.watches.len());
        self.watches.resize(count, Figures { on: true, counted: 0 });
    }

    /// Arms a process; gives how many of its threads are armed, and which are left out. All
    /// or nothing, but for these.
    pub(super) fn attach(
        &mut self,
        pid: u32,
        watches: &[Option<Watch>],
    ) -> Result<(u32, Shortfall)> {
        if self.processes.get(&pid).is_some_and(|process| process.armed) {
            return Err(ArmError::Armed { pid });
        }
        self.know_watches(watches.len());
        let is_new = !self.processes.contains_key(&pid);
        let process = self.processes.entry(pid).or_default();
        (process.root, process.held) = (pid, true);
        let armed = self.attach_held(pid, watches);
        if armed.is_err() {
            self.give_watches(&[], false);
            // What could be set can be taken back.
            let _ = self.apply_held();
            if is_new {
                let held = self.held();
                self.dismiss(|thread| held.contains(&thread.pid));
                self.forget_empty();
            }
        }
        self.let_all_go_on();
        armed
    }

    fn attach_held(
        &mut self,
        pid: u32,
        watches: &[Option<Watch>],
    ) -> Result<(u32, Shortfall)> {
        self.seize_all(pid)?;
        // Those that it forked meanwhile, too.
        self.give_watches(watches, true);
        let short = self.fit_held(watches.iter().flatten().count())?;
        let armed = |thread: &&Thread| thread.pid == pid && !thread.left_out;
        Ok((self.threads.values().filter(armed).count() as u32, short))
    }

    /// Gives the threads that are held their first registers, of which each needs so many.
    /// Those of which others hold too many are left out, where that is asked for and not
    /// all are.
    fn fit_held(&mut self, needed: usize) -> Result<Shortfall> {
        let tids = self.held_threads();
        let of = tids.len() as u32;
        let mut short = Shortfall { needed: needed as u32, of, ..Shortfall::default() };
        let mut fewest: Option<(u32, usize, u32)> = None;
        for tid in tids {
            self.leave_out(tid, false);
            match self.apply(tid) {
                Ok(()) => {}
                Err(ArmError::NoFreeRegister { tid, watch, free, .. }) => {
                    short.add(tid, free);
                    if fewest.is_none_or(|fewest| free < fewest.2) {
                        fewest = Some((tid, watch, free));
                    }
                    self.leave_out(tid, true);
                }
                Err(error) => return Err(error),
            }
        }
        match fewest {
            None => Ok(Shortfall::default()),
            Some((tid, watch, free)) if !self.partial || short.threads == of => {
                Err(ArmError::NoFreeRegister { tid, watch, free, short })
            }
            Some(_) => Ok(short),
        }
    }

    /// A thread has no registers from now on, or as others.
    pub(super) fn leave_out(&mut self, tid: u32, left_out: bool) {
        self.threads.entry(tid).and_modify(|thread| thread.left_out = left_out);
    }

    /// Gives the processes that are held these watches.
    fn give_watches(&mut self, watches: &[Option<Watch>], armed: bool) {
        for pid in self.held() {
            let Some(process) = self.processes.get_mut(&pid) else { continue };
            (process.watches, process.armed) = (watches.to_vec(), armed);
            process.waits = false;
            if process.code.is_empty() {
                process.code = proc::mappings(&*self.kernel, pid);
            }
            watches.iter().flatten().for_each(|watch| self.remember(pid, watch));
        }
    }

    fn held(&self) -> BTreeSet<u32> {
        let held = self.processes.iter().filter(|(_, process)| process.held);
        held.map(|(pid, _)| *pid).collect()
    }

    /// Processes of which no thread is traced are nobody's.
    fn forget_empty(&mut self) {
        let threads = &self.threads;
        let has = |pid: u32| threads.values().any(|thread| thread.pid == pid);
        self.processes.retain(|pid, _| has(*pid));
    }

    /// Who was held goes on.
    fn let_all_go_on(&mut self) {
        self.processes.values_mut().for_each(|process| process.held = false);
        self.release();
    }

    /// Has all threads of a process that is held be traced, and stand.
    fn seize_all(&mut self, pid: u32) -> Result<()> {
        let mut ended = BTreeSet::new();
        for _ in 0..LISTINGS {
            let listed = self.kernel.threads(pid).map_err(|errno| match errno {
                Errno::ENOENT | Errno::ESRCH => ArmError::Gone { pid },
                errno => system("reading /proc", errno),
            })?;
            let is_new =
                |tid: &u32| !self.threads.contains_key(tid) && !ended.contains(tid);
            let new: Vec<_> = listed.into_iter().filter(is_new).collect();
            let mut seized = false;
            for tid in &new {
                match self.seize(pid, *tid)? {
                    Seized::Now => seized = true,
                    Seized::Soon => {}
                    Seized::Ended => drop(ended.insert(*tid)),
                }
            }
            self.interrupt(|process| process == pid);
            self.settle()?;
            if new.is_empty() && !seized {
                let lives = |it: &Thread| it.pid == pid && it.at != At::Ended;
                let any = self.threads.values().any(lives);
                return if any { Ok(()) } else { Err(ArmError::Gone { pid }) };
            }
        }
        Err(ArmError::Unstable { pid })
    }

    fn seize(&mut self, pid: u32, tid: u32) -> Result<Seized> {
        match self.kernel.ptrace_follow(tid) {
            Ok(()) => {
                self.threads.insert(tid, Thread::new(pid));
                Ok(Seized::Now)
            }
            Err(Errno::ESRCH) => Ok(Seized::Ended),
            Err(errno @ (Errno::EPERM | Errno::EACCES)) => {
                match proc::status(&*self.kernel, tid) {
                    Ok(status) if status.ended => Ok(Seized::Ended),
                    // Just created by one that is traced: its first stop is to come.
                    Ok(status) if status.tracer == std::process::id() => Ok(Seized::Soon),
                    Err(Errno::ENOENT | Errno::ESRCH) => Ok(Seized::Ended),
                    Ok(status) if status.tracer != 0 => {
                        Err(ArmError::Traced { pid, tracer: status.tracer })
                    }
                    _ => Err(ArmError::PtracePermission { pid, errno: errno as i32 }),
                }
            }
            Err(errno) => Err(system("ptrace", errno)),
        }
    }

    /// Has the running threads of some processes stop soon.
    fn interrupt(&mut self, whose: impl Fn(u32) -> bool) {
        for (tid, thread) in &self.threads {
            if whose(thread.pid) && thread.at == At::Running {
                // One that has ended is told of.
                let _ = self.kernel.ptrace_interrupt(*tid);
            }
        }
    }

    /// Waits until all threads of the processes that are held stand.
    fn settle(&mut self) -> Result<()> {
        let mut unstable = 0;
        for look in 1..=LOOKS {
            while self.pump() {}
            if look % ENDED_EVERY == 0 {
                self.find_ended();
            }
            let runs = |thread: &Thread| {
                let process = self.processes.get(&thread.pid);
                thread.at == At::Running
                    && !(thread.leaving || thread.vforks)
                    && process.is_some_and(|process| process.held)
            };
            match self.threads.values().find(|thread| runs(thread)) {
                Some(thread) => unstable = thread.pid,
                None => return Ok(()),
            }
            self.wait(Duration::from_millis(1));
        }
        Err(ArmError::Unstable { pid: unstable })
    }

    /// Waits until somebody has stopped or ended, or the time is up.
    pub(super) fn wait(&mut self, timeout: Duration) {
        self.reports.flush(&*self.kernel);
        let mut ready = [false];
        // Where it fails it is looked sooner.
        let _ = self.kernel.poll(&[self.signals], &mut ready, Some(timeout));
        while let Ok(Some(_)) = self.kernel.read_signal(self.signals) {}
    }

    /// Does something while all threads of some processes stand.
    fn while_held<T>(
        &mut self,
        whose: impl Fn(u32, &Process) -> bool,
        act: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        for (number, process) in &mut self.processes {
            process.held = whose(*number, process);
        }
        let held = self.held();
        self.interrupt(|pid| held.contains(&pid));
        let done = match self.settle() {
            Ok(()) => act(self),
            Err(error) => Err(error),
        };
        self.let_all_go_on();
        done
    }

    /// Arms a watch on one thread alone.
    pub(super) fn arm_thread(
        &mut self,
        (pid, tid): (u32, u32),
        number: usize,
        watch: Watch,
    ) -> Result<()> {
        if self.threads.get(&tid).is_none_or(|it| it.pid != pid || it.at == At::Ended) {
            return Err(ArmError::Gone { pid });
        }
        self.know_watches(number + 1);
        self.while_held(
            |other, _| other == pid,
            |tracer| {
                tracer.remember(pid, &watch);
                let thread =
                    tracer.threads.get_mut(&tid).ok_or(ArmError::Gone { pid })?;
                let before = thread.own.clone();
                thread.own.retain(|(other, _)| *other != number);
                thread.own.push((number, watch));
                tracer.apply(tid).inspect_err(|_| {
                    if let Some(thread) = tracer.threads.get_mut(&tid) {
                        thread.own = before;
                    }
                    let _ = tracer.apply(tid);
                })
            },
        )
    }

    /// Moves a watch of a process and its heirs; gives the time at which it was nowhere.
    pub(super) fn retarget(
        &mut self,
        (pid, number): (u32, usize),
        address: Option<u64>,
    ) -> Result<u64> {
        let has = |process: &Process| {
            process.root == pid
                && process.watches.get(number).is_some_and(Option::is_some)
        };
        if !self.processes.values().any(has) {
            return Err(ArmError::Gone { pid });
        }
        self.while_held(
            |_, process| has(process),
            |tracer| {
                let since = tracer.kernel.clock();
                tracer.move_to(number, address.unwrap_or(Watch::PENDING));
                let moved = tracer.apply_held();
                if moved.is_err() {
                    tracer.move_to(number, Watch::PENDING);
                    let _ = tracer.apply_held();
                }
                moved.map(|()| since)
            },
        )
    }

    /// Has a watch of the processes that are held be elsewhere.
    fn move_to(&mut self, number: usize, address: u64) {
        for pid in self.held() {
            let watches = self.processes.get_mut(&pid).map(|it| &mut it.watches);
            let watch = watches.and_then(|watches| watches.get_mut(number)?.as_mut());
            let Some(watch) = watch else { continue };
            let before = std::mem::replace(&mut watch.address, address);
            let watch = *watch;
            self.forget_value(pid, (before, watch.length));
            self.remember(pid, &watch);
            self.forget_touches(pid, number);
        }
    }

    /// Forgets what was at a place where no watch is any more.
    fn forget_value(&mut self, pid: u32, place: (u64, u32)) {
        let is_there = |watch: &Watch| (watch.address, watch.length) == place;
        let mut threads = self.threads.values().filter(|thread| thread.pid == pid);
        let owned = threads.any(|it| it.own.iter().any(|(_, own)| is_there(own)));
        if let Some(process) = self.processes.get_mut(&pid)
            && !owned
            && !process.watches.iter().flatten().any(is_there)
        {
            process.values.remove(&place);
        }
    }

    /// Reads what a watch holds now, where that is compared with what it holds later.
    pub(super) fn remember(&mut self, pid: u32, watch: &Watch) {
        let compared = matches!(self.method, Method::Steps(_)) || !self.acts.is_empty();
        if !compared || !watch.is_placed() {
            return;
        }
        self.keep_value(pid, watch, self.read(pid, watch));
    }

    /// What a watch holds now; none where it could not be read.
    pub(super) fn keep_value(&mut self, pid: u32, watch: &Watch, value: Option<u64>) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        let place = (watch.address, watch.length);
        match value {
            Some(value) => process.values.insert(place, value),
            None => process.values.remove(&place),
        };
    }

    /// Switches a watch on or off wherever it is.
    pub(super) fn switch(&mut self, number: usize, on: bool) -> Result<()> {
        self.know_watches(number + 1);
        if self.watches[number].on == on {
            return Ok(());
        }
        let owners: BTreeSet<_> = self
            .threads
            .values()
            .filter(|thread| thread.own.iter().any(|(own, _)| *own == number))
            .map(|thread| thread.pid)
            .collect();
        let has = |pid: u32, process: &Process| {
            owners.contains(&pid)
                || process.watches.get(number).is_some_and(Option::is_some)
        };
        self.while_held(has, |tracer| {
            // Not before: a thread that stops for it may compare what it finds.
            tracer.watches[number].on = on;
            for pid in tracer.held() {
                let watches = tracer.processes.get(&pid).map(|it| &it.watches);
                let watch = watches.and_then(|watches| *watches.get(number)?);
                watch.iter().for_each(|watch| tracer.remember(pid, watch));
            }
            tracer.apply_held()
        })
    }

    /// Lets a process and its heirs go.
    pub(super) fn detach(&mut self, pid: u32) {
        let heirs: BTreeSet<_> = self
            .processes
            .iter()
            .filter(|(_, process)| process.root == pid)
            .map(|(pid, _)| *pid)
            .collect();
        self.dismiss(|thread| heirs.contains(&thread.pid));
    }

    /// Gives the threads that are held what they are to have.
    fn apply_held(&mut self) -> Result<()> {
        self.held_threads().into_iter().try_for_each(|tid| self.apply(tid))
    }

    /// The threads that are held and have not ended, in the order of their numbers.
    fn held_threads(&self) -> Vec<u32> {
        let held = self.held();
        let is_held =
            |thread: &Thread| held.contains(&thread.pid) && thread.at != At::Ended;
        let threads = self.threads.iter().filter(|(_, thread)| is_held(thread));
        let mut tids: Vec<_> = threads.map(|(tid, _)| *tid).collect();
        tids.sort_unstable();
        tids
    }

    /// The watches of a thread: those of its process, then its own. None of one that is left
    /// out.
    pub(super) fn watches_of(&self, tid: u32) -> impl Iterator<Item = Slot> + '_ {
        let thread = self.threads.get(&tid).filter(|thread| !thread.left_out);
        let process = thread.and_then(|thread| self.processes.get(&thread.pid));
        let shared = process.into_iter().flat_map(|it| it.watches.iter().enumerate());
        let shared = shared.filter_map(|(number, watch)| Some((number, (*watch)?)));
        let own = thread.into_iter().flat_map(|thread| thread.own.iter().copied());
        shared.chain(own).map(|(number, watch)| {
            let on = self.watches.get(number).is_none_or(|it| it.on) && watch.is_placed();
            Slot { number, watch, on }
        })
    }

    /// Gives a stopped thread the registers that it is to have.
    pub(super) fn apply(&mut self, tid: u32) -> Result<()> {
        if matches!(self.method, Method::Steps(_)) {
            return Ok(());
        }
        let wanted = Registers::of(self.watches_of(tid))
            .map_err(|watch| no_free(tid, watch, CAPACITY))?;
        let Some(thread) = self.threads.get_mut(&tid) else { return Ok(()) };
        if thread.vforks && thread.at == At::Running {
            return Ok(());
        }
        match wanted.set(&*self.kernel, tid, &thread.registers) {
            Ok(()) => thread.registers = wanted,
            Err((_, Errno::ESRCH)) => {}
            Err((number, errno)) => {
                let _ = wanted.clear(&*self.kernel, tid);
                let _ = thread.registers.clear(&*self.kernel, tid);
                thread.registers = Registers::default();
                let watch = number.unwrap_or(0);
                let free = wanted.place(watch).unwrap_or(0);
                return Err(match errno {
                    Errno::ENOSPC => no_free(tid, watch, free),
                    Errno::EINVAL if number.is_some() => ArmError::BadWatch { watch },
                    errno => system("ptrace", errno),
                });
            }
        }
        Ok(())
    }
}

/// A thread has so many registers, and none for a watch.
fn no_free(tid: u32, watch: usize, free: usize) -> ArmError {
    let (free, short) = (free as u32, Shortfall::default());
    ArmError::NoFreeRegister { tid, watch, free, short }
}

/// What came of an attempt to trace a thread.
enum Seized {
    Now,
    /// It is traced already, and not known yet.
    Soon,
    Ended,
}
