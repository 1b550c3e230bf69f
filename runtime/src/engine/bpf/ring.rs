//! The records of one CPU's programs, as hits.

use std::os::fd::RawFd;
use std::rc::Rc;

use super::{OpenMap, Rules};
use crate::access::KERNEL;
use crate::attr::{REGISTERS, STACK_REGISTERS};
use crate::bpf::Map;
use crate::bpf::hit::{BODY, flag};
use crate::bpf::shared::Records;
use crate::event::{AtHit, Captured, RawHit, Registers, Told, UserStack};
use crate::kernel::{Errno, Kernel};
use crate::merge::Cursor;
use crate::plan::ACTS_MAX;
use crate::ring::{BadRecord, as_bytes};

/// The ring of a CPU.
pub(crate) struct HitRing {
    cpu: u32,
    map: OpenMap,
    /// None only while it is being dropped.
    records: Option<Records>,
}

impl HitRing {
    /// Makes and maps it; `bytes` is a power of two of pages.
    pub(super) fn open(
        kernel: &Rc<dyn Kernel>,
        cpu: u32,
        bytes: usize,
    ) -> Result<Self, Errno> {
        let map = Map::Records { bytes: u32::try_from(bytes).map_err(|_| Errno::E2BIG)? };
        let map = OpenMap::new(kernel, &map)?;
        let records = kernel.map_records(map.descriptor, bytes)?;
        Ok(Self { cpu, map, records: Some(Records::new(records)) })
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.map.descriptor
    }

    /// Bytes it holds.
    pub(super) fn bytes(&self) -> usize {
        self.records.as_ref().map_or(0, Records::data_bytes)
    }

    pub(crate) fn refresh(&mut self) -> Result<(), BadRecord> {
        self.records.as_mut().map_or(Ok(()), Records::refresh)
    }

    pub(crate) fn publish(&mut self) {
        if let Some(records) = &mut self.records {
            records.publish();
        }
    }

    /// Whether more than half of it waits to be read.
    pub(crate) fn is_filling(&self) -> bool {
        let over = |it: &Records| it.unread_bytes() * 2 > it.data_bytes() as u64;
        self.records.as_ref().is_some_and(over)
    }

    /// The hit of the first record, and its address where its watch may be elsewhere; none
    /// where it makes no sense.
    pub(crate) fn hit(&self, rules: &Rules) -> Option<(RawHit<'_>, Option<u64>)> {
        hit(self.records.as_ref()?.front()?, self.cpu, rules)
    }
}

impl Cursor for HitRing {
    fn time(&self) -> Option<u64> {
        // A record too short for a time goes at once, to be reported.
        Some(self.records.as_ref()?.front()?.first().copied().unwrap_or(0))
    }

    fn advance(&mut self) -> std::io::Result<()> {
        let advanced = self.records.as_mut().map_or(Ok(()), Records::advance);
        let invalid = std::io::ErrorKind::InvalidData;
        advanced.map_err(|error| std::io::Error::new(invalid, error))
    }
}

impl Drop for HitRing {
    fn drop(&mut self) {
        if let Some(records) = self.records.take() {
            self.map.kernel.unmap_records(records.into_memory());
        }
    }
}

/// Takes a record apart.
fn hit<'r>(
    words: &'r [u64],
    cpu: u32,
    rules: &Rules,
) -> Option<(RawHit<'r>, Option<u64>)> {
    let (&[time, who, what, ip, old, new, rule], rest) =
        words.split_first_chunk::<BODY>()?;
    let (pid, tid) = halves(who);
    let (watch, known) = halves(what);
    let (number, syscall) = halves(rule);
    let kernel = known & 1 == 0;
    let is = |flag: i32| known >> 1 & flag.cast_unsigned() != 0;
    let has = |flag: i32, value: u64| is(flag).then_some(value);
    let code_of = if kernel { KERNEL } else { pid };
    let told = is(flag::TOLD).then(|| rules.lesson(code_of, number)).flatten();
    let told = told.map(|(instruction, kind)| Told {
        instruction,
        kind,
        new,
        exact: is(flag::EXACT),
    });
    let (rest, stacks) = match is(flag::STACKS) {
        true => stacks(rest)?,
        false => (rest, Stacks::default()),
    };
    let mask = if is(flag::STACKS) { STACK_REGISTERS } else { REGISTERS };
    let (rest, user) = registers(rest, mask, is(flag::USER))?;
    let (rest, code) = registers(rest, mask, is(flag::CODE))?;
    let (captured, address) = last(rest, usize::from(is(flag::ADDRESS)))?;
    let hit = RawHit {
        watch,
        pid,
        tid,
        cpu,
        time,
        ip,
        kernel,
        registers: if kernel { user } else { code },
        interrupted: if kernel { code } else { Registers::default() },
        kernel_stack: stacks.kernel,
        user_stack: stacks.user,
        // An unsigned number of no system call is negative.
        syscall: (kernel && syscall <= i32::MAX.cast_unsigned()).then_some(syscall),
        at_hit: AtHit {
            old: has(flag::OLD, old),
            old_read: is(flag::OLD_READ),
            memory: has(flag::MEMORY, new),
            told,
            let_through: is(flag::LET_THROUGH),
            acted: ((known >> 1) >> flag::ACTED_BIT) as u8 & ((1 << ACTS_MAX) - 1),
        },
        captured: Captured { words: captured },
    };
    Some((hit, address.first().copied()))
}

/// The stacks of a record.
#[derive(Clone, Copy, Default)]
struct Stacks<'r> {
    kernel: &'r [u64],
    user: UserStack<'r>,
}

/// Takes stacks from the end, and from the front the word that says how long they are,
/// 16 bits each: bytes of callers and of calls in the kernel, words of the stack, and of
/// the whole record, if it has more room than it takes.
fn stacks(words: &[u64]) -> Option<(&[u64], Stacks<'_>)> {
    let (&lengths, words) = words.split_first()?;
    let [callers, kernel, bytes, whole] =
        [0, 16, 32, 48].map(|shift| (lengths >> shift & 0xffff) as usize);
    let words = match whole {
        0 => words,
        whole => words.get(..whole.checked_sub(BODY + 1)?)?,
    };
    let (words, bytes) = last(words, bytes)?;
    let (words, kernel) = last(words, kernel / size_of::<u64>())?;
    let (words, callers) = last(words, callers / size_of::<u64>())?;
    let user = UserStack { callers, bytes: as_bytes(bytes) };
    Some((words, Stacks { kernel, user }))
}

/// Takes registers from the end, where they are `there`.
fn registers(words: &[u64], mask: u64, there: bool) -> Option<(&[u64], Registers<'_>)> {
    if !there {
        return Some((words, Registers::default()));
    }
    let (words, values) = last(words, mask.count_ones() as usize)?;
    Some((words, Registers { mask, values }))
}

/// Parts the last ones from the rest.
fn last(words: &[u64], count: usize) -> Option<(&[u64], &[u64])> {
    Some(words.split_at(words.len().checked_sub(count)?))
}

/// Lower and upper half.
fn halves(word: u64) -> (u32, u32) {
    (word as u32, (word >> 32) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit<'r>(words: &'r [u64], cpu: u32, rules: &Rules) -> Option<RawHit<'r>> {
        super::hit(words, cpu, rules).map(|(hit, _)| hit)
    }

    fn record(known: i32, rest: &[u64]) -> Vec<u64> {
        let known = u64::from(known.cast_unsigned());
        let mut words =
            vec![100, 11 << 32 | 10, known << 32 | 3, 0x401000, 5, 6, u64::MAX << 32];
        words.extend(rest);
        words
    }

    #[test]
    fn a_record_is_a_hit_with_what_its_flags_say() {
        let rules = Rules::default();
        let words = record(flag::OLD << 1 | 1, &[7, 8]);
        let hit = hit(&words, 2, &rules).expect("whole");
        assert_eq!((hit.watch, hit.pid, hit.tid, hit.cpu), (3, 10, 11, 2));
        assert_eq!((hit.time, hit.ip, hit.kernel), (100, 0x401000, false));
        assert_eq!(hit.at_hit, AtHit { old: Some(5), ..AtHit::default() });
        assert_eq!((hit.captured.words, hit.registers.mask), (&[7, 8][..], 0));
        assert_eq!(hit.syscall, None);
    }

    #[test]
    fn the_address_is_behind_what_was_read() {
        let rules = Rules::default();
        let registers: Vec<u64> = (0..17).collect();
        let rest = [&[7, 0x1000], &registers[..]].concat();
        let words = record((flag::ADDRESS | flag::CODE) << 1 | 1, &rest);
        let (hit, address) = super::hit(&words, 0, &rules).expect("whole");
        assert_eq!((hit.captured.words, address), (&[7][..], Some(0x1000)));
        assert_eq!(hit.registers.get(1), Some(1));
        let without = record(flag::CODE << 1 | 1, &rest);
        let (hit, address) = super::hit(&without, 0, &rules).expect("whole");
        assert_eq!((hit.captured.words, address), (&[7, 0x1000][..], None));
        let short = record(flag::ADDRESS << 1 | 1, &[]);
        assert!(super::hit(&short, 0, &rules).is_none());
    }

    #[test]
    fn stacks_are_as_long_as_the_record_says() {
        let rules = Rules::default();
        let mut rest = vec![3 << 32 | 16 << 16 | 8, 77];
        rest.extend(0..18);
        rest.extend([100, 201, 202, 301, 302, 303]);
        let words = record((flag::CODE | flag::STACKS) << 1 | 1, &rest);
        let hit = hit(&words, 0, &rules).expect("whole");
        assert_eq!(
            (hit.captured.words, hit.registers.mask),
            (&[77][..], STACK_REGISTERS)
        );
        // The instruction pointer is bit 8, and R15 the last.
        assert_eq!((hit.registers.get(8), hit.registers.get(23)), (Some(8), Some(17)));
        assert_eq!(
            (hit.kernel_stack, hit.user_stack.callers),
            (&[201, 202][..], &[100][..])
        );
        assert_eq!(hit.user_stack.bytes, as_bytes(&[301, 302, 303]));
        for end in 0..words.len() - 1 {
            assert!(self::hit(&words[..end], 0, &rules).is_none(), "cut at {end}");
        }
        // With room behind it of which nothing is said.
        let whole = (words.len() as u64) << 48;
        let roomy = [&words[..BODY], &[words[BODY] | whole], &words[BODY + 1..], &[5, 6]];
        let roomy = roomy.concat();
        let same = self::hit(&roomy, 0, &rules).expect("whole");
        assert_eq!(same.user_stack.bytes, hit.user_stack.bytes);
        assert_eq!(same.captured.words, hit.captured.words);
        assert!(self::hit(&roomy[..words.len() - 1], 0, &rules).is_none(), "cut");
        let endless = record(flag::STACKS << 1, &[u64::MAX, 1, 2, 3]);
        assert!(self::hit(&endless, 0, &rules).is_none());
    }

    #[test]
    fn registers_are_whose_they_are() {
        let rules = Rules::default();
        let registers: Vec<u64> = (0..34).collect();
        let both = record((flag::CODE | flag::USER | flag::MEMORY) << 1, &registers);
        let kernel = hit(&both, 0, &rules).expect("whole");
        assert_eq!(kernel.interrupted.get(0), Some(0));
        assert_eq!((kernel.registers.get(0), kernel.kernel), (Some(17), true));
        assert_eq!(kernel.at_hit.memory, Some(6));
        let one = record(flag::CODE << 1 | 1, &registers[..17]);
        let user = hit(&one, 0, &rules).expect("whole");
        assert_eq!((user.registers.get(0), user.interrupted.mask), (Some(0), 0));
        for end in 0..one.len() {
            assert!(hit(&one[..end], 0, &rules).is_none(), "cut at {end}");
        }
    }
}
