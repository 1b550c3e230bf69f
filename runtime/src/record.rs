//! Parses perf records, from words that nobody vouches for.
//!
//! Layout of each record: include/uapi/linux/perf_event.h, `enum
//! perf_event_type`. A record is its header, its own fields and, but for
//! samples, the trailer that `sample_id_all` asks for.

use perf_event_open_sys::bindings as sys;

use crate::event::{Registers, UserStack};
use crate::ring::as_bytes;

/// Which fields samples carry, and where: derived once from the attributes
/// the events were opened with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Whether samples have the address of what was accessed, behind the time.
    address: bool,
    /// Index of the word with the CPU, in samples that have it.
    cpu: Option<usize>,
    /// Index of the first word of what varies in length, in samples.
    rest: usize,
    /// Whether that begins with the calls that led to the access,
    callchain: bool,
    /// goes on with the user's registers
    user: bool,
    /// and bytes of the stack,
    stack: bool,
    /// and ends with the registers of the interrupted code.
    interrupted: bool,
    /// Registers that are sampled, one bit each.
    register_mask: u64,
}

/// Words of the trailer: process and thread, time, CPU, identifier.
const TRAILER_WORDS: usize = 4;
/// Index of the time in a sample: after header, identifier, instruction
/// pointer, process and thread.
const SAMPLE_TIME: usize = 4;

/// Fields without which a record is of no use here.
const NEEDED: u32 = sys::PERF_SAMPLE_IDENTIFIER
    | sys::PERF_SAMPLE_IP
    | sys::PERF_SAMPLE_TID
    | sys::PERF_SAMPLE_TIME;
/// Fields of one word between time and CPU, which are stepped over.
const BEFORE_CPU: u32 =
    sys::PERF_SAMPLE_ADDR | sys::PERF_SAMPLE_ID | sys::PERF_SAMPLE_STREAM_ID;

/// Fields after those, whose length varies.
const VARYING: u32 = sys::PERF_SAMPLE_CALLCHAIN
    | sys::PERF_SAMPLE_REGS_USER
    | sys::PERF_SAMPLE_STACK_USER
    | sys::PERF_SAMPLE_REGS_INTR;
/// Index of the time in a report of losses, which has the trailer of the event that
/// found no room: whatever else that has, process and thread and time come first.
const LOST_TIME: usize = 4;
/// From here on entries of a call chain are no addresses (`enum perf_callchain_context`,
/// PERF_CONTEXT_MAX): they say whose those are that follow,
const CONTEXT_MIN: u64 = -4095i64 as u64;
/// the kernel's,
const CONTEXT_KERNEL: u64 = -128i64 as u64;
/// or the user's.
const CONTEXT_USER: u64 = -512i64 as u64;

impl Layout {
    /// The layout of samples with these attributes, both kinds of registers by
    /// the same mask; None where they lack a field that is needed, or have one
    /// that is not known here.
    pub fn new(sample_type: u64, register_mask: u64) -> Option<Self> {
        let fields = u32::try_from(sample_type).ok()?;
        let at_times = sys::PERF_SAMPLE_CPU | sys::PERF_SAMPLE_PERIOD;
        let known = NEEDED | BEFORE_CPU | at_times | VARYING;
        // ID and STREAM_ID would lengthen the trailer as well.
        let in_trailer = sys::PERF_SAMPLE_ID | sys::PERF_SAMPLE_STREAM_ID;
        if fields & NEEDED != NEEDED || fields & (!known | in_trailer) != 0 {
            return None;
        }
        let has = |field| fields & field != 0;
        let cpu = SAMPLE_TIME + 1 + (fields & BEFORE_CPU).count_ones() as usize;
        let rest = cpu + (fields & at_times).count_ones() as usize;
        Some(Self {
            address: has(sys::PERF_SAMPLE_ADDR),
            cpu: has(sys::PERF_SAMPLE_CPU).then_some(cpu),
            rest,
            callchain: has(sys::PERF_SAMPLE_CALLCHAIN),
            user: has(sys::PERF_SAMPLE_REGS_USER),
            stack: has(sys::PERF_SAMPLE_STACK_USER),
            interrupted: has(sys::PERF_SAMPLE_REGS_INTR),
            register_mask,
        })
    }

    /// When a record of any layout was made; None for one too short to say.
    pub fn time(words: &[u64]) -> Option<u64> {
        let header = Header::new(*words.first()?);
        if header.kind == sys::PERF_RECORD_SAMPLE {
            return words.get(SAMPLE_TIME).copied();
        }
        if header.kind == sys::PERF_RECORD_LOST {
            return words.get(LOST_TIME).copied();
        }
        let trailer = words.len().checked_sub(TRAILER_WORDS)?;
        words.get(trailer.max(1) + 1).copied()
    }

    /// The record in `words`, header included; None for one too short for
    /// its kind.
    pub fn parse<'a>(&self, words: &'a [u64]) -> Option<Record<'a>> {
        let header = Header::new(*words.first()?);
        if header.kind == sys::PERF_RECORD_SAMPLE {
            return self.sample(header, words).map(Record::Sample);
        }
        if header.kind == sys::PERF_RECORD_LOST {
            return Some(Record::Lost {
                // One without a trailer is that of an event without any field.
                time: words.get(LOST_TIME).copied().unwrap_or(0),
                lost: *words.get(2)?,
            });
        }
        let body_end = words.len().checked_sub(TRAILER_WORDS)?;
        let body = words.get(1..body_end)?;
        let time = *words.get(body_end + 1)?;
        parse_sideband(header, time, body)
    }

    /// The identifier in a record that is a sample, of any layout.
    pub fn sample_id(words: &[u64]) -> Option<u64> {
        let header = Header::new(*words.first()?);
        (header.kind == sys::PERF_RECORD_SAMPLE).then(|| words.get(1).copied())?
    }

    fn sample<'a>(&self, header: Header, words: &'a [u64]) -> Option<Sample<'a>> {
        let (pid, tid) = halves(*words.get(3)?);
        let mut rest = words.get(self.rest..)?;
        let chain = if self.callchain { calls(&mut rest)? } else { Chain::default() };
        let registers = self.registers(self.user, &mut rest)?;
        let bytes = if self.stack { stack_bytes(&mut rest)? } else { &[] };
        Some(Sample {
            id: *words.get(1)?,
            ip: *words.get(2)?,
            pid,
            tid,
            time: *words.get(SAMPLE_TIME)?,
            address: match self.address {
                true => *words.get(SAMPLE_TIME + 1)?,
                false => 0,
            },
            cpu: self.cpu.map_or(Some(0), |at| Some(halves(*words.get(at)?).0))?,
            kernel: header.cpu_mode() == sys::PERF_RECORD_MISC_KERNEL,
            registers,
            interrupted: self.registers(self.interrupted, &mut rest)?,
            kernel_stack: chain.kernel,
            user_stack: UserStack { callers: chain.user, bytes },
        })
    }

    /// Takes registers from the front of `rest`, where they are `there`.
    fn registers<'a>(&self, there: bool, rest: &mut &'a [u64]) -> Option<Registers<'a>> {
        if !there {
            return Some(Registers::default());
        }
        let (abi, after) = rest.split_first()?;
        let mask = match *abi == u64::from(sys::PERF_SAMPLE_REGS_ABI_NONE) {
            // A kernel thread has none.
            true => 0,
            false => self.register_mask,
        };
        let (values, after) = after.split_at_checked(mask.count_ones() as usize)?;
        *rest = after;
        Some(Registers { mask, values })
    }
}

/// Calls, of both kinds the innermost first.
#[derive(Clone, Copy, Debug, Default)]
struct Chain<'a> {
    kernel: &'a [u64],
    user: &'a [u64],
}

/// Takes the calls from the front of `rest`. In front of those of each kind the kernel
/// says whose they are; of other kinds there are none here.
fn calls<'a>(rest: &mut &'a [u64]) -> Option<Chain<'a>> {
    let (count, after) = rest.split_first()?;
    let (mut calls, after) = after.split_at_checked(usize::try_from(*count).ok()?)?;
    *rest = after;
    let mut chain = Chain::default();
    while let Some(at) = calls.iter().position(|call| *call >= CONTEXT_MIN) {
        let (whose, after) = (calls[at], &calls[at + 1..]);
        let end = after.iter().position(|call| *call >= CONTEXT_MIN);
        let (part, others) = after.split_at(end.unwrap_or(after.len()));
        match whose {
            CONTEXT_KERNEL => chain.kernel = part,
            CONTEXT_USER => chain.user = part,
            _ => {}
        }
        calls = others;
    }
    Some(chain)
}

/// Takes bytes of the stack from the front of `rest`: room for so many, the bytes, and
/// how many of them could be read (kernel/events/core.c, `perf_output_sample_ustack`).
fn stack_bytes<'a>(rest: &mut &'a [u64]) -> Option<&'a [u8]> {
    let (room, after) = rest.split_first()?;
    *rest = after;
    if *room == 0 {
        // A kernel thread has none.
        return Some(&[]);
    }
    let words = usize::try_from(*room).ok()?.div_ceil(size_of::<u64>());
    let (words, after) = after.split_at_checked(words)?;
    let (there, after) = after.split_first()?;
    *rest = after;
    let there = usize::try_from((*there).min(*room)).ok()?;
    as_bytes(words).get(..there)
}

/// A record's first word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    kind: u32,
    misc: u16,
}

impl Header {
    fn new(word: u64) -> Self {
        let [a, b, c, d, e, f, _, _] = word.to_ne_bytes();
        Self { kind: u32::from_ne_bytes([a, b, c, d]), misc: u16::from_ne_bytes([e, f]) }
    }

    fn cpu_mode(self) -> u32 {
        u32::from(self.misc) & sys::PERF_RECORD_MISC_CPUMODE_MASK
    }
}

/// What the kernel reported.
#[derive(Clone, Copy, Debug)]
pub enum Record<'a> {
    /// An event happened.
    Sample(Sample<'a>),
    /// A thread took a name.
    Comm {
        /// When.
        time: u64,
        /// Process.
        pid: u32,
        /// Thread.
        tid: u32,
        /// The name.
        name: &'a [u8],
        /// Whether by exec.
        exec: bool,
    },
    /// A thread or process was created.
    Fork(Task),
    /// A thread ended.
    Exit(Task),
    /// Something was mapped.
    Mmap {
        /// When.
        time: u64,
        /// Process.
        pid: u32,
        /// First address.
        address: u64,
        /// Bytes.
        length: u64,
        /// Offset in the file, bytes.
        offset: u64,
        /// Path.
        path: &'a [u8],
    },
    /// Records found no room; reported with the next that does.
    Lost {
        /// When the loss was reported.
        time: u64,
        /// How many.
        lost: u64,
    },
    /// Anything else, of which nothing is to be known.
    Other {
        /// When.
        time: u64,
        /// The number of its kind, PERF_RECORD_.
        kind: u32,
    },
}

/// A sample of a breakpoint event.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// Identifier of the event, of the parent's where it was inherited.
    pub id: u64,
    /// Instruction pointer.
    pub ip: u64,
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// Nanoseconds of the events' clock.
    pub time: u64,
    /// First byte of what its event watched; 0 where the layout has none.
    pub address: u64,
    /// CPU; 0 where the layout has none.
    pub cpu: u32,
    /// Whether the CPU was in the kernel.
    pub kernel: bool,
    /// User registers.
    pub registers: Registers<'a>,
    /// Registers of the interrupted code.
    pub interrupted: Registers<'a>,
    /// Calls in the kernel that led there, the innermost first.
    pub kernel_stack: &'a [u64],
    /// What was captured of the user's stack.
    pub user_stack: UserStack<'a>,
}

/// A birth or an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// When.
    pub time: u64,
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// Process of the creator.
    pub parent_pid: u32,
    /// The creator.
    pub parent_tid: u32,
}

/// The records that are no samples, without header and trailer.
fn parse_sideband(header: Header, time: u64, body: &[u64]) -> Option<Record<'_>> {
    Some(match header.kind {
        sys::PERF_RECORD_COMM => {
            let (pid, tid) = halves(*body.first()?);
            let exec = u32::from(header.misc) & sys::PERF_RECORD_MISC_COMM_EXEC != 0;
            Record::Comm { time, pid, tid, name: string(body.get(1..)?), exec }
        }
        sys::PERF_RECORD_FORK => Record::Fork(task(time, body)?),
        sys::PERF_RECORD_EXIT => Record::Exit(task(time, body)?),
        sys::PERF_RECORD_MMAP => mapping(time, body, 4)?,
        // Device, inode, generation, protection and flags come between.
        sys::PERF_RECORD_MMAP2 => mapping(time, body, 8)?,
        sys::PERF_RECORD_LOST_SAMPLES => Record::Lost { time, lost: *body.first()? },
        kind => Record::Other { time, kind },
    })
}

fn task(time: u64, body: &[u64]) -> Option<Task> {
    let (pid, parent_pid) = halves(*body.first()?);
    let (tid, parent_tid) = halves(*body.get(1)?);
    Some(Task { time, pid, tid, parent_pid, parent_tid })
}

fn mapping(time: u64, body: &[u64], path_at: usize) -> Option<Record<'_>> {
    Some(Record::Mmap {
        time,
        pid: halves(*body.first()?).0,
        address: *body.get(1)?,
        length: *body.get(2)?,
        offset: *body.get(3)?,
        path: string(body.get(path_at..)?),
    })
}

/// Two u32 that lie one after the other.
fn halves(word: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = word.to_ne_bytes();
    (u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h]))
}

/// A string up to its zero byte.
fn string(words: &[u64]) -> &[u8] {
    let bytes = as_bytes(words);
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    &bytes[..end]
}

/// Writes records as the kernel does: for the fake kernel and for tests.
pub mod write {
    use perf_event_open_sys::bindings as sys;

    /// A record's first word.
    pub fn header(kind: u32, misc: u16, words: usize) -> u64 {
        let size = (words * size_of::<u64>()) as u16;
        let [a, b, c, d] = kind.to_ne_bytes();
        let ([e, f], [g, h]) = (misc.to_ne_bytes(), size.to_ne_bytes());
        u64::from_ne_bytes([a, b, c, d, e, f, g, h])
    }

    /// Two u32 one after the other.
    pub fn pair(first: u32, second: u32) -> u64 {
        let ([a, b, c, d], [e, f, g, h]) = (first.to_ne_bytes(), second.to_ne_bytes());
        u64::from_ne_bytes([a, b, c, d, e, f, g, h])
    }

    /// A sample with these fields, of those that [`Layout`](super::Layout) knows and
    /// that have no length but their own. Bytes of the stack are whole words.
    pub fn sample(sample_type: u64, sample: &super::Sample<'_>) -> Vec<u64> {
        let has = |field| sample_type & u64::from(field) != 0;
        let misc = match sample.kernel {
            true => sys::PERF_RECORD_MISC_KERNEL,
            false => sys::PERF_RECORD_MISC_USER,
        };
        let mut words = vec![0, sample.id, sample.ip];
        words.extend([pair(sample.pid, sample.tid), sample.time]);
        words.extend(has(sys::PERF_SAMPLE_ADDR).then_some(sample.address));
        words.extend(has(sys::PERF_SAMPLE_CPU).then(|| pair(sample.cpu, 0)));
        if has(sys::PERF_SAMPLE_CALLCHAIN) {
            words.extend(calls(sample));
        }
        registers(has(sys::PERF_SAMPLE_REGS_USER), &sample.registers, &mut words);
        if has(sys::PERF_SAMPLE_STACK_USER) {
            let (bytes, _) = sample.user_stack.bytes.as_chunks::<8>();
            let count = sample.user_stack.bytes.len() as u64;
            words.push(count);
            words.extend(bytes.iter().map(|word| u64::from_ne_bytes(*word)));
            words.extend((count > 0).then_some(count));
        }
        registers(has(sys::PERF_SAMPLE_REGS_INTR), &sample.interrupted, &mut words);
        words[0] = header(sys::PERF_RECORD_SAMPLE, misc as u16, words.len());
        words
    }

    /// A call chain: those of each kind that there are, with their mark.
    fn calls(sample: &super::Sample<'_>) -> Vec<u64> {
        let mut words = vec![0];
        for (mark, calls) in [
            (super::CONTEXT_KERNEL, sample.kernel_stack),
            (super::CONTEXT_USER, sample.user_stack.callers),
        ] {
            if !calls.is_empty() {
                words.push(mark);
                words.extend(calls);
            }
        }
        words[0] = words.len() as u64 - 1;
        words
    }

    fn registers(there: bool, registers: &super::Registers<'_>, words: &mut Vec<u64>) {
        let abi = match registers.mask {
            0 => sys::PERF_SAMPLE_REGS_ABI_NONE,
            _ => sys::PERF_SAMPLE_REGS_ABI_64,
        };
        if there {
            words.push(u64::from(abi));
            words.extend(registers.values);
        }
    }

    /// Any other record, of a body and the trailer.
    pub fn sideband(
        kind: u32,
        misc: u16,
        body: &[u64],
        time: u64,
        task: (u32, u32),
    ) -> Vec<u64> {
        let mut words = vec![0];
        words.extend(body);
        words.extend([pair(task.0, task.1), time, 0, 0]);
        words[0] = header(kind, misc, words.len());
        words
    }

    /// A string padded with zeros to whole words, at least one of them.
    pub fn string(text: &str) -> Vec<u64> {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize((bytes.len() / 8 + 1) * 8, 0);
        let (words, _) = bytes.as_chunks::<8>();
        words.iter().map(|word| u64::from_ne_bytes(*word)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::attr::{REGISTERS, SAMPLE_TYPE, Sampled};

    /// Of a kernel watch, with everything that there can be.
    fn everything() -> u64 {
        let sampled = Sampled { callers: true, stack_bytes: 8, ..Sampled::ALL };
        sampled.in_kernel().sample_type() | u64::from(sys::PERF_SAMPLE_REGS_INTR)
    }

    fn layout() -> Layout {
        Layout::new(SAMPLE_TYPE, REGISTERS).expect("our own attributes")
    }

    #[test]
    fn a_sample_comes_back() {
        let values: Vec<u64> = (100..117).collect();
        let registers = Registers { mask: REGISTERS, values: &values };
        let sample = Sample {
            id: 7,
            ip: 0x401000,
            pid: 10,
            tid: 11,
            time: 123_456,
            address: 0,
            cpu: 3,
            kernel: false,
            registers,
            interrupted: Registers::default(),
            kernel_stack: &[],
            user_stack: UserStack::default(),
        };
        let words = write::sample(SAMPLE_TYPE, &sample);
        assert_eq!(words.len(), 24);
        assert_eq!(Layout::time(&words), Some(123_456));
        let Some(Record::Sample(back)) = layout().parse(&words) else {
            panic!("not a sample");
        };
        assert_eq!((back.id, back.ip, back.pid, back.tid), (7, 0x401000, 10, 11));
        assert_eq!((back.cpu, back.kernel), (3, false));
        // R8 is bit 16 and follows FLAGS, which follows the eight below it.
        assert_eq!(back.registers.get(9), Some(108));
        assert_eq!(back.registers.get(16), Some(109));
        assert_eq!(back.registers.get(8), None);
    }

    #[test]
    fn a_sample_has_calls_stack_and_two_kinds_of_registers() {
        let values: Vec<u64> = (100..117).collect();
        let inner: Vec<u64> = (200..217).collect();
        let sample = Sample {
            id: 7,
            ip: 0xffff_ffff_8100_0000,
            pid: 10,
            tid: 11,
            time: 5,
            address: 0,
            cpu: 1,
            kernel: true,
            registers: Registers { mask: REGISTERS, values: &values },
            interrupted: Registers { mask: REGISTERS, values: &inner },
            kernel_stack: &[1, 2, 3],
            user_stack: UserStack { callers: &[4, 5], bytes: b"from sp upwards." },
        };
        let words = write::sample(everything(), &sample);
        let layout = Layout::new(everything(), REGISTERS).expect("our own");
        let Some(Record::Sample(back)) = layout.parse(&words) else {
            panic!("not a sample");
        };
        assert_eq!(back.kernel_stack, [1, 2, 3]);
        assert_eq!(back.user_stack, sample.user_stack);
        assert_eq!(
            (back.registers.get(0), back.interrupted.get(0)),
            (Some(100), Some(200))
        );
        for end in 1..words.len() {
            assert!(layout.parse(&words[..end]).is_none(), "cut at {end}");
        }
    }

    #[test]
    fn calls_are_whose_the_mark_in_front_of_them_says() {
        let guest = -2048i64 as u64;
        for (chain, kernel, user) in [
            (&[][..], &[][..], &[][..]),
            (&[CONTEXT_USER, 1, 2], &[], &[1, 2]),
            (&[CONTEXT_KERNEL, 3, CONTEXT_USER, 4], &[3], &[4]),
            (&[5, guest, 6, CONTEXT_USER], &[], &[]),
            (&[CONTEXT_KERNEL, CONTEXT_USER, 7], &[], &[7]),
        ] {
            let words = [&[chain.len() as u64], chain, &[9]].concat();
            let mut rest = &words[..];
            let found = calls(&mut rest).expect("whole");
            assert_eq!((found.kernel, found.user, rest), (kernel, user, &[9][..]));
            rest = &words[..chain.len()];
            assert!(calls(&mut rest).is_none(), "cut");
        }
    }

    #[test]
    fn of_a_stack_there_is_what_could_be_read() {
        for (words, there, left) in [
            (&[0, 7][..], Some(0), 1),
            (&[16, 1, 2, 16], Some(16), 0),
            (&[16, 1, 2, 3, 9], Some(3), 1),
            (&[16, 1, 2, 0], Some(0), 0),
            (&[16, 1, 2, u64::MAX], Some(16), 0),
            (&[16, 1, 2], None, 0),
            (&[u64::MAX, 1, 2], None, 0),
            (&[], None, 0),
        ] {
            let mut rest = words;
            let bytes = stack_bytes(&mut rest);
            assert_eq!(bytes.map(<[u8]>::len), there, "{words:?}");
            assert!(there.is_none() || rest.len() == left, "{words:?}");
        }
    }

    #[test]
    fn a_name_ends_at_its_zero() {
        let mut body = vec![write::pair(5, 6)];
        body.extend(write::string("worker"));
        let misc = sys::PERF_RECORD_MISC_COMM_EXEC as u16;
        let words = write::sideband(sys::PERF_RECORD_COMM, misc, &body, 9, (5, 6));
        assert_eq!(Layout::time(&words), Some(9));
        match layout().parse(&words) {
            Some(Record::Comm {
                time: 9,
                pid: 5,
                tid: 6,
                name: b"worker",
                exec: true,
            }) => {}
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn births_and_mappings_come_back() {
        let body = [write::pair(20, 10), write::pair(21, 11), 0];
        let words = write::sideband(sys::PERF_RECORD_FORK, 0, &body, 1, (10, 11));
        let task = Task { time: 1, pid: 20, tid: 21, parent_pid: 10, parent_tid: 11 };
        assert!(matches!(layout().parse(&words), Some(Record::Fork(t)) if t == task));

        let mut body = vec![write::pair(5, 6), 0x1000, 0x2000, 0x3000, 0, 0, 0, 0];
        body.extend(write::string("/lib/x.so"));
        let words = write::sideband(sys::PERF_RECORD_MMAP2, 0, &body, 1, (5, 6));
        match layout().parse(&words) {
            Some(Record::Mmap { address: 0x1000, path: b"/lib/x.so", .. }) => {}
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn layouts_that_can_not_be_read_are_refused() {
        assert_eq!(Layout::new(SAMPLE_TYPE & !1, REGISTERS), None);
        let raw = u64::from(sys::PERF_SAMPLE_RAW);
        assert_eq!(Layout::new(SAMPLE_TYPE | raw, REGISTERS), None);
        assert_eq!(Layout::new(1 << 40, REGISTERS), None);
    }

    proptest! {
        #[test]
        fn hostile_words_never_panic(
            kind in 0u32..25,
            misc in any::<u16>(),
            mut words in proptest::collection::vec(any::<u64>(), 0..40),
        ) {
            if let Some(first) = words.first_mut() {
                *first = write::header(kind, misc, 0);
            }
            let _ = Layout::time(&words);
            let _ = layout().parse(&words);
            let kernel = Layout::new(everything(), REGISTERS).expect("our own");
            let _ = kernel.parse(&words);
        }

        #[test]
        fn what_parses_has_a_time(words in proptest::collection::vec(any::<u64>(), 0..40)) {
            if layout().parse(&words).is_some() {
                prop_assert!(Layout::time(&words).is_some());
            }
        }
    }
}
