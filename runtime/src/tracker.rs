//! From what an engine captured to what a handler sees: which instruction,
//! which access, which values, whose.
//!
//! Events come in the order of time, so a plain shadow of the last value a
//! process saw at each watch gives `$old`. A forked child has its own memory
//! and so its own shadow, which starts as its parent's.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::access::{Access, CodeSource, Decoder, Recovered};
use crate::event::{RawHit, Registers, Trigger, Watch};
use crate::schema::{AccessKind, HitRecord, UNKNOWN_NEW, UNSURE_NEW, UNSURE_OLD};

/// Reads the memory of traced processes.
pub trait Memory {
    /// The unsigned integer of `length` bytes (1, 2, 4 or 8) at `address`;
    /// none where it can not be read.
    fn read(&mut self, pid: u32, address: u64, length: u32) -> Option<u64>;
}

type Map<K, V> = HashMap<K, V, RandomState>;

/// Follows processes and threads, and completes their hits.
#[derive(Debug)]
pub struct Tracker {
    watches: Vec<Watch>,
    /// By watch: when its shadows were last read anew. What happened before and
    /// is told only now is older than they are.
    refreshed: Vec<u64>,
    processes: Map<u32, Process>,
    threads: Map<u32, Thread>,
    decoder: Decoder,
    threads_seen: u64,
    values_unread: u64,
    unseen_stores: u64,
}

#[derive(Clone, Debug)]
struct Process {
    /// The last value at each watch; none where it is not known yet.
    shadow: Vec<Option<Shadow>>,
    threads: u32,
    /// Whether it ever touched what is watched.
    hit: bool,
}

impl Process {
    /// One of which no value is known, nor any thread.
    fn unknown(watches: usize) -> Self {
        Self { shadow: vec![None; watches], threads: 0, hit: false }
    }
}

/// What a process last had at a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shadow {
    value: u64,
    /// Whether every store up to here was seen, and its value told by the
    /// instruction; else memory was asked, which may have been stored to since.
    sure: bool,
}

#[derive(Clone, Copy, Debug)]
struct Thread {
    pid: u32,
    /// Its name, as a string handle.
    name: u64,
}

impl Tracker {
    /// Follows nobody yet; `watches` are those that were armed.
    pub fn new(watches: &[Watch]) -> Self {
        Self {
            watches: watches.to_vec(),
            refreshed: vec![0; watches.len()],
            processes: Map::default(),
            threads: Map::default(),
            decoder: Decoder::new(),
            threads_seen: 0,
            values_unread: 0,
            unseen_stores: 0,
        }
    }

    /// Reads the values that `pid` has now, before it is armed: the first
    /// hits' `$old`.
    pub fn add_process(&mut self, pid: u32, memory: &mut dyn Memory) {
        let shadow =
            self.watches.iter().map(|watch| read(watch, pid, memory, true)).collect();
        self.processes.insert(pid, Process { shadow, threads: 0, hit: false });
    }

    /// Reads them again, once it is armed: what was stored in between nobody
    /// saw, so that a value that differs is not sure.
    pub fn confirm_process(&mut self, pid: u32, memory: &mut dyn Memory) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        for (watch, shadow) in self.watches.iter().zip(&mut process.shadow) {
            confirm(shadow, watch, pid, memory);
        }
    }

    /// Reads the values at one watch, before it is armed again; `now` is
    /// CLOCK_MONOTONIC in nanoseconds.
    pub fn refresh(&mut self, watch: usize, now: u64, memory: &mut dyn Memory) {
        let Some(what) = self.watches.get(watch) else { return };
        self.refreshed[watch] = now;
        for (pid, process) in &mut self.processes {
            process.shadow[watch] = read(what, *pid, memory, true);
        }
    }

    /// Reads them once more when it is: one that differs is not sure.
    pub fn confirm(&mut self, watch: usize, memory: &mut dyn Memory) {
        let Some(what) = self.watches.get(watch) else { return };
        for (pid, process) in &mut self.processes {
            confirm(&mut process.shadow[watch], what, *pid, memory);
        }
    }

    /// Records are missing: any value may have changed.
    pub fn lost(&mut self) {
        let shadows = self.processes.values_mut().flat_map(|process| &mut process.shadow);
        for shadow in shadows.flatten() {
            shadow.sure = false;
        }
    }

    /// A thread that was there before its process was armed, or was born.
    pub fn add_thread(&mut self, pid: u32, tid: u32, name: u64) {
        if self.threads.insert(tid, Thread { pid, name }).is_some() {
            return;
        }
        self.threads_seen += 1;
        if let Some(process) = self.processes.get_mut(&pid) {
            process.threads += 1;
        }
    }

    /// A thread was created; it has its creator's name, and if it is a new
    /// process a copy of its memory. Says whether it is a new process. `time` as
    /// in the event.
    pub fn fork(&mut self, time: u64, parent: (u32, u32), child: (u32, u32)) -> bool {
        let ((parent_pid, parent_tid), (pid, tid)) = (parent, child);
        // A number that was in use may be given out again.
        let new_process = pid == tid && pid != parent_pid;
        if new_process {
            let parent = self.processes.get(&parent_pid).cloned();
            let mut process =
                parent.unwrap_or_else(|| Process::unknown(self.watches.len()));
            (process.threads, process.hit) = (0, false);
            for (shadow, refreshed) in process.shadow.iter_mut().zip(&self.refreshed) {
                // Its parent's value is of later.
                if time < *refreshed {
                    *shadow = None;
                }
            }
            self.processes.insert(pid, process);
        }
        let name = self.threads.get(&parent_tid).map_or(0, |thread| thread.name);
        self.add_thread(pid, tid, name);
        new_process
    }

    /// A thread has a new name.
    pub fn rename(&mut self, pid: u32, tid: u32, name: u64) {
        self.threads.entry(tid).or_insert(Thread { pid, name }).name = name;
    }

    /// A process executes another image: its code is no longer what was
    /// decoded.
    pub fn exec(&mut self, pid: u32) {
        self.decoder.forget(pid);
    }

    /// A process has new code at some address.
    pub fn mapped(&mut self, pid: u32) {
        self.decoder.forget(pid);
    }

    /// A thread ended; with the last one its process is forgotten. Gives the
    /// process if it is gone without ever having touched what is watched:
    /// nobody will ask for it again.
    pub fn exit(&mut self, tid: u32) -> Option<u32> {
        let Thread { pid, .. } = self.threads.remove(&tid)?;
        let process = self.processes.get_mut(&pid)?;
        process.threads = process.threads.saturating_sub(1);
        if process.threads > 0 {
            return None;
        }
        let hit = process.hit;
        self.processes.remove(&pid);
        if hit {
            self.decoder.forget(pid);
        }
        (!hit).then_some(pid)
    }

    /// How many threads there were, ended ones too.
    pub fn threads_seen(&self) -> u64 {
        self.threads_seen
    }

    /// How many processes besides `pid` are there now.
    pub fn processes_besides(&self, pid: u32) -> u64 {
        let others = self.processes.iter();
        others.filter(|(other, process)| **other != pid && process.threads > 0).count()
            as u64
    }

    /// How many values could neither be decoded nor read from memory, since
    /// the process had ended when its hit was looked at.
    pub fn values_unread(&self) -> u64 {
        self.values_unread
    }

    /// How often the value had changed when it was loaded or stored to, although
    /// no store was seen, in processes with one thread: the kernel, another
    /// process or another mapping stored.
    pub fn unseen_stores(&self) -> u64 {
        self.unseen_stores
    }

    /// Completes a hit: finds the instruction and its access, takes the value
    /// from it or from memory, and moves the shadow on.
    pub fn complete(
        &mut self,
        hit: &RawHit<'_>,
        code: &mut dyn CodeSource,
        memory: &mut dyn Memory,
    ) -> HitRecord {
        let index = hit.watch as usize;
        let watch = self.watches[index];
        let process = self
            .processes
            .entry(hit.pid)
            .or_insert_with(|| Process::unknown(self.watches.len()));
        let shadow = process.shadow[index]
            .or_else(|| read(&watch, hit.pid, memory, false))
            .unwrap_or(Shadow { value: 0, sure: false });
        // The shadow is of later: it is not sure here, and stays as it is.
        let belated = hit.time < self.refreshed[index];
        let shadow = Shadow { sure: shadow.sure && !belated, ..shadow };
        let recovered = match hit.kernel {
            true => Recovered::default(),
            false => self
                .decoder
                .decode(hit.pid, hit.ip, code)
                .map_or_else(Recovered::default, |access| {
                    recover(access, &hit.registers, &watch, shadow.value)
                }),
        };
        let old = match recovered.old {
            Some(value) => Shadow { value, sure: true },
            None => shadow,
        };
        if shadow.sure && old.value != shadow.value && process.threads <= 1 {
            self.unseen_stores += 1;
        }
        let (new, doubt) = match recovered.new {
            Some(value) if recovered.exact || old.sure => {
                (Shadow { value, sure: true }, 0)
            }
            // It leans on an old value that is not sure: memory knows better.
            leaning => match (read(&watch, hit.pid, memory, false), leaning) {
                (Some(now), _) => (now, UNSURE_NEW),
                (None, Some(value)) => (Shadow { value, sure: false }, UNSURE_NEW),
                (None, None) => {
                    self.values_unread += 1;
                    (Shadow { sure: false, ..old }, UNKNOWN_NEW)
                }
            },
        };
        if !belated {
            process.shadow[index] = Some(new);
        }
        process.hit = true;
        HitRecord {
            time: hit.time,
            address: recovered.address.unwrap_or(hit.ip),
            data_address: watch.address,
            old: old.value,
            new: new.value,
            execname: self.threads.get(&hit.tid).map_or(0, |thread| thread.name),
            pid: hit.pid,
            tid: hit.tid,
            cpu: hit.cpu,
            watch: hit.watch,
            data_length: watch.length,
            access: access_kind(recovered.kind, watch.trigger) as u32,
            exact: recovered.exact.into(),
            doubts: if old.sure { doubt } else { doubt | UNSURE_OLD },
            user_mode: (!hit.kernel).into(),
        }
    }
}

/// The value at a watch as memory has it.
fn read(watch: &Watch, pid: u32, memory: &mut dyn Memory, sure: bool) -> Option<Shadow> {
    let value = memory.read(pid, watch.address, watch.length)?;
    Some(Shadow { value, sure })
}

/// Compares a shadow with memory; one that differs is not sure.
fn confirm(
    shadow: &mut Option<Shadow>,
    watch: &Watch,
    pid: u32,
    memory: &mut dyn Memory,
) {
    let now = read(watch, pid, memory, true);
    if now != *shadow {
        *shadow = now.map(|shadow| Shadow { sure: false, ..shadow });
    }
}

/// What the access did. A load can not have fired a register that watches
/// stores: then it was another instruction.
fn recover(
    access: &Access,
    registers: &Registers<'_>,
    watch: &Watch,
    old: u64,
) -> Recovered {
    let recovered = access.recover(registers, watch.address, watch.length, old);
    match (recovered.kind, watch.trigger) {
        (AccessKind::Read, Trigger::Write) => Recovered::default(),
        _ => recovered,
    }
}

/// A register that watches stores reports nothing else.
fn access_kind(decoded: AccessKind, trigger: Trigger) -> AccessKind {
    match (decoded, trigger) {
        (AccessKind::Unknown, Trigger::Write) => AccessKind::Write,
        (kind, _) => kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Function;
    use crate::event::Registers;

    /// No code is known and memory holds one value.
    struct Blind(Option<u64>);

    impl CodeSource for Blind {
        fn function(&mut self, _: u32, _: u64) -> Option<Function<'_>> {
            None
        }
    }

    impl Memory for Blind {
        fn read(&mut self, _: u32, _: u64, _: u32) -> Option<u64> {
            self.0
        }
    }

    fn hit(pid: u32, tid: u32) -> RawHit<'static> {
        let registers = Registers::default();
        RawHit {
            watch: 0,
            pid,
            tid,
            cpu: 0,
            time: 1,
            ip: 9,
            registers,
            ..RawHit::default()
        }
    }

    fn tracker(first: u64) -> Tracker {
        let mut tracker =
            Tracker::new(&[Watch { address: 64, length: 8, trigger: Trigger::Write }]);
        tracker.add_process(1, &mut Blind(Some(first)));
        tracker.add_thread(1, 1, 7);
        tracker
    }

    fn values(
        tracker: &mut Tracker,
        hit: &RawHit<'_>,
        memory: Option<u64>,
    ) -> (u64, u64) {
        let record = tracker.complete(hit, &mut Blind(None), &mut Blind(memory));
        assert_eq!(record.exact, 0, "nothing was decoded");
        (record.old, record.new)
    }

    #[test]
    fn each_old_is_the_new_before() {
        let mut tracker = tracker(5);
        assert_eq!(values(&mut tracker, &hit(1, 1), Some(6)), (5, 6));
        assert_eq!(values(&mut tracker, &hit(1, 1), Some(9)), (6, 9));
    }

    #[test]
    fn a_child_starts_with_its_parents_values_and_goes_its_own_way() {
        let mut tracker = tracker(5);
        values(&mut tracker, &hit(1, 1), Some(6));
        assert!(tracker.fork(1, (1, 1), (2, 2)));
        assert_eq!(values(&mut tracker, &hit(1, 1), Some(7)), (6, 7));
        assert_eq!(values(&mut tracker, &hit(2, 2), Some(8)), (6, 8));
        let record = tracker.complete(&hit(2, 2), &mut Blind(None), &mut Blind(Some(8)));
        assert_eq!(record.execname, 7, "a child has its parent's name");
    }

    #[test]
    fn what_memory_says_is_doubted_and_so_is_what_follows() {
        let mut tracker = tracker(5);
        let record = tracker.complete(&hit(1, 1), &mut Blind(None), &mut Blind(Some(6)));
        assert_eq!(record.doubts, UNSURE_NEW, "the first value was read when armed");
        let record = tracker.complete(&hit(1, 1), &mut Blind(None), &mut Blind(Some(6)));
        assert_eq!(record.doubts, UNSURE_NEW | UNSURE_OLD);
        let record = tracker.complete(&hit(1, 1), &mut Blind(None), &mut Blind(None));
        assert_eq!(record.doubts, UNKNOWN_NEW | UNSURE_OLD);
    }

    #[test]
    fn a_value_that_changed_while_arming_is_not_sure() {
        let mut tracker = tracker(5);
        tracker.confirm_process(1, &mut Blind(Some(5)));
        let sure = |tracker: &Tracker| tracker.processes[&1].shadow[0].map(|it| it.sure);
        assert_eq!(sure(&tracker), Some(true));
        tracker.confirm_process(1, &mut Blind(Some(8)));
        assert_eq!(
            tracker.processes[&1].shadow[0],
            Some(Shadow { value: 8, sure: false })
        );
        tracker.add_process(1, &mut Blind(Some(8)));
        tracker.lost();
        assert_eq!(sure(&tracker), Some(false));
    }

    /// Records lie in the rings for a while: those of the time before a watch was
    /// disarmed may come when it is armed again.
    #[test]
    fn belated_hits_leave_values_that_were_read_anew_alone() {
        let mut tracker = tracker(5);
        tracker.refresh(0, 10, &mut Blind(Some(8)));
        tracker.confirm(0, &mut Blind(Some(8)));
        let record = tracker.complete(&hit(1, 1), &mut Blind(None), &mut Blind(Some(6)));
        assert_eq!(record.doubts, UNSURE_NEW | UNSURE_OLD);
        assert!(tracker.fork(9, (1, 1), (2, 2)) && tracker.fork(10, (1, 1), (3, 3)));
        let sure = RawHit { time: 10, ..hit(3, 3) };
        for (hit, doubts) in [
            (RawHit { pid: 1, tid: 1, ..sure }, UNSURE_NEW),
            (RawHit { pid: 2, tid: 2, ..sure }, UNSURE_NEW | UNSURE_OLD),
            (sure, UNSURE_NEW),
        ] {
            let record = tracker.complete(&hit, &mut Blind(None), &mut Blind(Some(8)));
            assert_eq!((record.old, record.doubts), (8, doubts), "{}", hit.pid);
        }
    }

    #[test]
    fn what_can_not_be_read_is_counted() {
        let mut tracker = tracker(5);
        assert_eq!(values(&mut tracker, &hit(1, 1), None), (5, 5));
        assert_eq!(tracker.values_unread(), 1);
    }

    #[test]
    fn a_process_is_forgotten_with_its_last_thread() {
        let mut tracker = tracker(5);
        assert!(!tracker.fork(1, (1, 1), (1, 2)));
        tracker.exit(1);
        assert!(tracker.processes.contains_key(&1));
        tracker.exit(2);
        assert!(!tracker.processes.contains_key(&1));
        assert_eq!(tracker.threads_seen(), 2);
    }
}
