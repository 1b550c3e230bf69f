//! What the tracker makes of hits by way of the code: what engines tell that know more
//! than samples do.

#![allow(missing_docs)]

use hwtrace_runtime::access::{CodeSource, Function, KERNEL};
use hwtrace_runtime::event::{AtHit, RawHit, Registers, Trigger, Watch};
use hwtrace_runtime::schema::{AccessKind, HitRecord};
use hwtrace_runtime::tracker::{Memory, Tracker};

const WATCH: Watch = Watch { address: 0x7000, length: 8, trigger: Trigger::ReadWrite };
/// Registers up to FLAGS.
const MASK: u64 = 0x3ff;
const CX: usize = 2;
const SI: usize = 4;
const DI: usize = 5;
const SP: usize = 7;
const USER: u64 = 0x40_1000;
const COPY: u64 = 0xffff_ffff_8100_0000;

/// In the kernel: nop; rep movsb; nop. In processes: call +5; ret; 10 nops; nop.
struct Code;

impl CodeSource for Code {
    fn function(&mut self, pid: u32, address: u64) -> Option<Function<'_>> {
        let (start, size, bytes): (u64, u64, &[u8]) = match pid {
            KERNEL => (COPY, 4, b"\x90\xf3\xa4\x90"),
            _ => (
                USER,
                6,
                b"\xe8\x0b\0\0\0\xc3\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90",
            ),
        };
        let inside = address >= start && address <= start + bytes.len() as u64;
        inside.then_some(Function { start, size, bytes })
    }
}

/// Memory holds one value, and counts who asks.
struct Value(u64, usize);

impl Memory for Value {
    fn read(&mut self, _: u32, _: u64, _: u32) -> Option<u64> {
        self.1 += 1;
        Some(self.0)
    }
}

fn tracker(memory: &mut Value) -> Tracker {
    let mut tracker = Tracker::new(&[WATCH]);
    tracker.add_process(1, &[Some(WATCH)], memory);
    tracker.add_thread(1, 1, 7);
    tracker
}

/// The kernel copies 16 bytes, of which the last eight are watched.
fn copied(tracker: &mut Tracker, tid: u32, memory: &mut Value) -> Vec<HitRecord> {
    let mut records = Vec::new();
    for left in (0..8).rev() {
        let mut values = [0; 10];
        (values[CX], values[SI], values[DI]) = (left, 0x9000, WATCH.address + 8 - left);
        let hit = RawHit {
            pid: 1,
            tid,
            time: 100 - left,
            kernel: true,
            ip: if left == 0 { COPY + 3 } else { COPY + 1 },
            interrupted: Registers { mask: MASK, values: &values },
            syscall: Some(0),
            ..RawHit::default()
        };
        records.extend(tracker.complete(&hit, &mut Code, memory));
    }
    records
}

#[test]
fn a_copy_by_the_kernel_is_one_access() {
    let mut memory = Value(5, 0);
    let mut tracker = tracker(&mut memory);
    memory = Value(9, 0);
    let records = copied(&mut tracker, 1, &mut memory);
    let [record] = records[..] else { panic!("{records:?}") };
    assert_eq!((record.old, record.new, record.count), (5, 9, 8));
    assert_eq!((record.access, record.exact), (AccessKind::Write as u32, 0));
    assert_eq!((record.address, record.time), (COPY + 1, 100));
    assert_eq!((record.syscall, record.user_mode), (1, 0), "read, which is number 0");
    assert_eq!((record.touched.start, record.touched.end), (0, 8));
    assert_eq!((tracker.folded(), memory.1), (7, 1), "memory is asked once");
}

#[test]
fn what_breaks_off_is_told_at_the_end() {
    let mut memory = Value(5, 0);
    let mut tracker = tracker(&mut memory);
    let mut values = [0; 10];
    (values[CX], values[SI], values[DI]) = (7, 0x9000, WATCH.address + 1);
    let hit = RawHit {
        pid: 1,
        tid: 1,
        time: 1,
        kernel: true,
        ip: COPY + 1,
        interrupted: Registers { mask: MASK, values: &values },
        ..RawHit::default()
    };
    for end in [Tracker::finish, Tracker::lost, |tracker: &mut Tracker| {
        tracker.exit(1);
    }] {
        assert_eq!(tracker.complete(&hit, &mut Code, &mut memory), None);
        assert_eq!(tracker.broken(), None);
        end(&mut tracker);
        assert_eq!(tracker.broken().map(|it| (it.count, it.access)), Some((1, 2)));
        assert_eq!((tracker.broken(), tracker.folded()), (None, 0));
    }
}

/// Memory at the hit tells where a call returns to, and by that which call it was.
#[test]
fn a_call_is_known_by_what_it_stored() {
    let mut memory = Value(5, 0);
    let mut tracker = tracker(&mut memory);
    let mut values = [0; 10];
    values[SP] = WATCH.address;
    let hit = RawHit {
        pid: 1,
        tid: 1,
        time: 1,
        ip: USER + 16,
        registers: Registers { mask: MASK, values: &values },
        at_hit: AtHit { memory: Some(USER + 5), ..AtHit::default() },
        ..RawHit::default()
    };
    let record = tracker.complete(&hit, &mut Code, &mut memory).expect("no part");
    assert_eq!((record.address, record.exact), (USER, 1));
    assert_eq!((record.old, record.new, record.doubts), (5, USER + 5, 0));
    assert_eq!(record.access, AccessKind::Write as u32);
    let sampled = RawHit { at_hit: AtHit::default(), ..hit };
    let record = tracker.complete(&sampled, &mut Code, &mut memory).expect("no part");
    assert_eq!((record.address, record.exact), (USER + 16, 0), "which, nobody knows");
    assert_eq!(record.access, AccessKind::Write as u32);
}
