//! What is told of hits, with memory and code that are made up.

use super::*;
use crate::access::Function;
use crate::event::{AtHit, Registers};
use crate::schema::ByteRange;
use crate::schema::UNSURE_NEW;

const WATCH: Watch = Watch { address: 64, length: 8, trigger: Trigger::Write };

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
    RawHit { watch: 0, pid, tid, cpu: 0, time: 1, ip: 9, registers, ..RawHit::default() }
}

fn tracker(first: u64) -> Tracker {
    let mut tracker = Tracker::new(&[WATCH]);
    tracker.add_process(1, &[Some(WATCH)], &mut Blind(Some(first)));
    tracker.add_thread(1, 1, 7);
    tracker
}

fn values(tracker: &mut Tracker, hit: &RawHit<'_>, memory: Option<u64>) -> (u64, u64) {
    let record =
        tracker.complete(hit, &mut Blind(None), &mut Blind(memory)).expect("no part");
    assert_eq!(record.exact, 0, "nothing was decoded");
    (record.old, record.new)
}

#[test]
fn whom_the_target_forks_is_of_it_and_others_are_not() {
    let mut tracker = tracker(5);
    assert!(!tracker.is_of_target(1));
    tracker.set_target(1);
    tracker.fork(1, (1, 1), (2, 2));
    tracker.exec(2);
    assert!(tracker.is_of_target(2));
    tracker.add_process(2, &[None], &mut Blind(None));
    tracker.add_process(3, &[None], &mut Blind(None));
    tracker.fork(1, (3, 3), (4, 4));
    assert!(tracker.is_of_target(2));
    assert!(!tracker.is_of_target(3) && !tracker.is_of_target(4));
}

#[test]
fn each_old_is_the_new_before() {
    let mut tracker = tracker(5);
    assert_eq!(values(&mut tracker, &hit(1, 1), Some(6)), (5, 6));
    assert_eq!(values(&mut tracker, &hit(1, 1), Some(9)), (6, 9));
}

#[test]
fn threads_are_counted_once_their_process_is_followed() {
    let mut tracker = tracker(5);
    tracker.rename(3, 3, 1);
    tracker.fork(1, (3, 3), (3, 4));
    assert_eq!(tracker.threads_seen(), 1, "those of all tasks are no threads of ours");
    tracker.add_process(3, &[Some(WATCH)], &mut Blind(Some(1)));
    for tid in [3, 4, 3, 4] {
        tracker.add_thread(3, tid, 1);
    }
    assert_eq!((tracker.threads_seen(), tracker.processes_besides(1)), (3, 1));
}

#[test]
fn a_child_starts_with_its_parents_values_and_goes_its_own_way() {
    let mut tracker = tracker(5);
    values(&mut tracker, &hit(1, 1), Some(6));
    assert!(tracker.fork(1, (1, 1), (2, 2)));
    assert_eq!(values(&mut tracker, &hit(1, 1), Some(7)), (6, 7));
    assert_eq!(values(&mut tracker, &hit(2, 2), Some(8)), (6, 8));
    let record = tracker
        .complete(&hit(2, 2), &mut Blind(None), &mut Blind(Some(8)))
        .expect("no part");
    assert_eq!(record.execname, 7, "a child has its parent's name");
}

#[test]
fn what_memory_says_is_doubted_and_so_is_what_follows() {
    let mut tracker = tracker(5);
    let record = tracker
        .complete(&hit(1, 1), &mut Blind(None), &mut Blind(Some(6)))
        .expect("no part");
    assert_eq!(record.doubts, UNSURE_NEW, "the first value was read when armed");
    let record = tracker
        .complete(&hit(1, 1), &mut Blind(None), &mut Blind(Some(6)))
        .expect("no part");
    assert_eq!(record.doubts, UNSURE_NEW | UNSURE_OLD);
    let record = tracker
        .complete(&hit(1, 1), &mut Blind(None), &mut Blind(None))
        .expect("no part");
    assert_eq!(record.doubts, UNKNOWN_NEW | UNSURE_OLD);
}

#[test]
fn a_value_that_changed_while_arming_is_not_sure() {
    let mut tracker = tracker(5);
    tracker.confirm_process(1, &mut Blind(Some(5)));
    let sure =
        |tracker: &Tracker| tracker.processes[&1].slots[0].shadow().map(|it| it.sure);
    assert_eq!(sure(&tracker), Some(true));
    tracker.confirm_process(1, &mut Blind(Some(8)));
    assert_eq!(
        tracker.processes[&1].slots[0].shadow(),
        Some(Shadow { value: 8, sure: false })
    );
    tracker.add_process(1, &[Some(WATCH)], &mut Blind(Some(8)));
    tracker.lost();
    assert_eq!(sure(&tracker), Some(false));
}

/// Records lie in the rings for a while: those of the time before a watch was
/// disarmed may come when it is armed again.
#[test]
fn belated_hits_follow_each_other_and_leave_what_was_read_anew_alone() {
    let mut tracker = tracker(5);
    tracker.refresh(0, 10, &mut Blind(Some(8)));
    tracker.confirm(0, &mut Blind(Some(8)));
    let record = tracker
        .complete(&hit(1, 1), &mut Blind(None), &mut Blind(Some(6)))
        .expect("no part");
    assert_eq!((record.old, record.doubts), (5, UNSURE_NEW));
    assert_eq!(values(&mut tracker, &hit(1, 1), Some(7)), (6, 7));
    assert!(tracker.fork(9, (1, 1), (2, 2)) && tracker.fork(10, (1, 1), (3, 3)));
    let sure = RawHit { time: 10, ..hit(3, 3) };
    for (hit, doubts) in [
        (RawHit { pid: 1, tid: 1, ..sure }, UNSURE_NEW),
        (RawHit { pid: 2, tid: 2, ..sure }, UNSURE_NEW | UNSURE_OLD),
        (sure, UNSURE_NEW),
    ] {
        let record = tracker
            .complete(&hit, &mut Blind(None), &mut Blind(Some(8)))
            .expect("no part");
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

/// Memory in which each byte says where it is, and whose.
struct Telling;

impl Memory for Telling {
    fn read(&mut self, pid: u32, address: u64, _: u32) -> Option<u64> {
        Some(u64::from(pid) * 1000 + address)
    }

    fn read_kernel(&mut self, address: u64, _: u32) -> Option<u64> {
        Some(address & 0xff)
    }
}

fn complete(tracker: &mut Tracker, hit: &RawHit<'_>) -> HitRecord {
    tracker.complete(hit, &mut Blind(None), &mut Telling).expect("no part")
}

#[test]
fn each_process_has_addresses_of_its_own() {
    let mut tracker = tracker(5);
    let there = Watch { address: 640, ..WATCH };
    tracker.add_process(2, &[Some(there)], &mut Telling);
    tracker.confirm_process(2, &mut Telling);
    let record = complete(&mut tracker, &hit(2, 2));
    assert_eq!((record.data_address, record.old), (640, 2640));
    assert_eq!(complete(&mut tracker, &hit(1, 1)).data_address, 64);
    tracker.exec(1);
    tracker.add_process(1, &[None], &mut Telling);
    assert_eq!(tracker.processes[&1].threads, 1, "as before");
    assert_eq!(tracker.processes[&1].slots[0].shadow(), None, "nowhere");
}

/// What inherited a watch moves with it; what executed another image does not.
#[test]
fn a_moved_watch_takes_its_hits_along_from_then_on() {
    let mut tracker = tracker(5);
    tracker.fork(1, (1, 1), (2, 2));
    tracker.fork(1, (1, 1), (3, 3));
    tracker.exec(3);
    tracker.move_watch(1, 0, Some(128), 8, &mut Telling);
    tracker.confirm_move(1, 0, 10, &mut Telling);
    let at = |pid, time| RawHit { time, ..hit(pid, pid) };
    let late = complete(&mut tracker, &at(1, 9));
    assert_eq!((late.data_address, late.old), (64, 5), "what was known there");
    assert_eq!(late.doubts, UNSURE_NEW);
    assert_eq!(complete(&mut tracker, &at(1, 9)).old, 1064, "it follows the one before");
    let record = complete(&mut tracker, &at(1, 10));
    assert_eq!((record.data_address, record.old), (128, 1128));
    assert_eq!(record.doubts, UNSURE_NEW);
    assert_eq!(complete(&mut tracker, &at(2, 10)).data_address, 128);
    assert_eq!(complete(&mut tracker, &at(3, 10)).data_address, 64);
}

/// What the engine was told a value is was read before the watch was there.
#[test]
fn a_first_hit_may_be_behind_what_was_stored_while_the_watch_moved() {
    let told = |time, old| {
        let at_hit = AtHit { old: Some(old), ..AtHit::default() };
        RawHit { time, at_hit, ..hit(1, 1) }
    };
    for (armed, doubts) in [(5, [0, 0]), (6, [UNSURE_OLD, 0])] {
        let mut tracker = tracker(5);
        tracker.move_watch(1, 0, Some(128), 8, &mut Blind(Some(5)));
        tracker.confirm_move(1, 0, 10, &mut Blind(Some(armed)));
        for (time, doubt) in (10..).zip(doubts) {
            let record = tracker
                .complete(&told(time, 5), &mut Blind(None), &mut Blind(Some(7)))
                .expect("no part");
            assert_eq!((record.old, record.doubts & UNSURE_OLD), (5, doubt));
        }
        // The same of a watch whose turn it is.
        tracker.comes_back(0, &mut Blind(Some(5)));
        tracker.came_back(0, 20, &mut Blind(Some(armed)));
        while tracker.away(20).is_some() {}
        for (time, doubt) in (20..).zip(doubts) {
            let record = tracker
                .complete(&told(time, 5), &mut Blind(None), &mut Blind(Some(7)))
                .expect("no part");
            assert_eq!(record.doubts & UNSURE_OLD, doubt);
        }
    }
}

#[test]
fn a_thread_has_a_watch_of_its_own_until_it_ends() {
    let mut tracker = tracker(5);
    tracker.add_thread(1, 2, 7);
    tracker.add_own((1, 2), 0, 512, &mut Telling);
    tracker.confirm_thread(2, &mut Telling);
    assert_eq!(complete(&mut tracker, &hit(1, 2)).data_address, 512);
    assert_eq!(complete(&mut tracker, &hit(1, 1)).data_address, 64);
    tracker.exit(2);
    assert!(tracker.own.is_empty());
}

#[test]
fn the_kernels_memory_has_one_shadow_for_all() {
    let kernel = Watch { address: 0xffff_8000_0000_0040, ..WATCH };
    let mut tracker = Tracker::new(&[kernel]);
    tracker.add_kernel(&mut Telling);
    let by = |pid| RawHit { kernel: true, ..hit(pid, pid) };
    let record = complete(&mut tracker, &by(1));
    assert_eq!((record.old, record.new, record.exact), (0x40, 0x40, 0));
    assert_eq!((record.doubts, record.user_mode), (UNSURE_NEW, 0));
    assert_eq!(complete(&mut tracker, &by(2)).doubts, UNSURE_NEW | UNSURE_OLD);
    assert!(tracker.processes.is_empty(), "nobody is followed for it");
}

#[test]
fn objects_are_put_together_of_their_registers() {
    let watches = [0, 8, 16].map(|address| Watch { address: 64 + address, ..WATCH });
    let mut tracker = Tracker::new(&watches);
    tracker.add_process(1, &watches.map(Some), &mut Blind(Some(0x0807_0605_0403_0201)));
    let hit = RawHit { watch: 1, ..hit(1, 1) };
    let record =
        tracker.complete(&hit, &mut Blind(None), &mut Blind(Some(9))).expect("no part");
    let window = |start, end| ByteRange { start, end };
    let pieces = [(0, window(6, 8)), (1, window(0, 8)), (2, window(0, 1))];
    let pieces = pieces.map(|(watch, window)| Piece { watch, window });
    let mut image = [0xff; 12];
    assert!(tracker.image(&record, &pieces, false, &mut image));
    assert_eq!(image, [7, 8, 9, 0, 0, 0, 0, 0, 0, 0, 1, 0xff]);
    assert!(tracker.image(&record, &pieces, true, &mut image));
    assert_eq!(image, [7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 0xff]);
    let stranger = HitRecord { pid: 9, ..record };
    assert!(!tracker.image(&stranger, &pieces, true, &mut image[..5]));
    assert_eq!(image[..5], [0, 0, 1, 2, 3]);
}

/// execve(2): all other threads end, and the caller takes the leader's number.
#[test]
fn a_thread_that_executes_becomes_the_process() {
    let mut tracker = tracker(5);
    tracker.fork(1, (1, 1), (1, 2));
    tracker.exit(1);
    tracker.rename(1, 1, 8);
    tracker.add_own((1, 2), 0, 512, &mut Telling);
    tracker.exec(1);
    assert!(!tracker.has_own(2), "its old number may be given out again");
    assert_eq!((tracker.knows_thread(1), tracker.knows_thread(2)), (true, false));
    tracker.exit(1);
    assert!(tracker.processes.is_empty());
}

#[test]
fn what_changed_without_a_register_is_told_between_the_hits() {
    let mut tracker = tracker(5);
    let at = |time| RawHit { time, ..hit(1, 1) };
    // Told only after the register was passed on and came back, though it was before.
    assert_eq!(tracker.comes_back(0, &mut Blind(Some(9))).len(), 1);
    let held = Held { whose: Whose::Process(1), watch: 0, value: 9 };
    assert_eq!(tracker.came_back(0, 20, &mut Blind(Some(9))), [held]);
    assert_eq!(tracker.away(10), None, "hits of before may come");
    assert_eq!(values(&mut tracker, &at(10), Some(6)), (5, 6));
    let away = tracker.away(30).expect("a change");
    assert_eq!((away.old, away.new, away.time, away.pid, away.tid), (6, 9, 20, 1, 0));
    assert_eq!((away.access, away.count), (AccessKind::Away as u32, 0));
    assert_eq!(away.touched, ByteRange { start: 0, end: 1 });
    assert_eq!(tracker.away(30), None);
    assert_eq!(values(&mut tracker, &at(30), Some(10)), (9, 10), "the chain goes on");
}

#[test]
fn a_watch_that_comes_back_twice_before_it_is_looked_at_is_told_of_twice() {
    let mut tracker = tracker(5);
    for (since, value) in [(20, 6), (40, 6)] {
        tracker.comes_back(0, &mut Blind(Some(value)));
        tracker.came_back(0, since, &mut Blind(Some(value)));
    }
    let told = |tracker: &mut Tracker, bound| {
        let changes = std::iter::from_fn(|| tracker.away(bound));
        changes.map(|it| (it.old, it.new)).collect::<Vec<_>>()
    };
    assert_eq!(told(&mut tracker, 25), [(5, 6)]);
    values(&mut tracker, &RawHit { time: 30, ..hit(1, 1) }, Some(7));
    assert_eq!(told(&mut tracker, u64::MAX), [(7, 6)]);
}

#[test]
fn what_changes_while_the_register_is_passed_on_is_doubted() {
    let mut tracker = tracker(5);
    tracker.comes_back(0, &mut Blind(Some(6)));
    let held = tracker.came_back(0, 20, &mut Blind(Some(7)));
    assert_eq!(held, [Held { whose: Whose::Process(1), watch: 0, value: 7 }]);
    let away = tracker.away(u64::MAX).expect("a change");
    assert_eq!((away.new, away.doubts), (6, UNSURE_NEW));
    // The engine told the first hit what it had been told itself.
    let told = AtHit { old: Some(6), memory: Some(8), ..AtHit::default() };
    let at = |time| RawHit { time, at_hit: told, ..hit(1, 1) };
    let doubted = |tracker: &mut Tracker, time| {
        complete(tracker, &at(time)).doubts & UNSURE_OLD != 0
    };
    assert!(!doubted(&mut tracker, 19), "it was before");
    assert!(doubted(&mut tracker, 20));
    assert!(!doubted(&mut tracker, 21), "that is known");
}
