//! From a plan and the registers of a hit to the values: pure arithmetic.

use super::{Access, Condition, Operation, Place, Recovered, RegisterPart};
use super::{Beyond, Source, Touch, Value};
use crate::event::Registers;
use crate::schema::{AccessKind, ByteRange};

/// perf's numbers (Linux: arch/x86/include/uapi/asm/perf_regs.h).
const AX: u8 = 0;
const BX: u8 = 1;
const CX: u8 = 2;
const DX: u8 = 3;
const SP: u8 = 7;
const FLAGS: u32 = 9;

/// Bits of RFLAGS (SDM vol. 1, 3.4.3).
const CF: u64 = 1 << 0;
const PF: u64 = 1 << 2;
const ZF: u64 = 1 << 6;
const SF: u64 = 1 << 7;
const DF: u64 = 1 << 10;
const OF: u64 = 1 << 11;

/// A processor with fast strings may report a `rep` only after a group of
/// iterations (SDM vol. 1, 7.3.9.3): so far behind the pointer may the access
/// lie. One cache line.
const REPEAT_GROUP: u64 = 64;

impl Access {
    /// What the hit with these registers (all from after the instruction) did
    /// to the `watch_length` bytes (1 to 8) at `watch_address`, which held
    /// `old` before. [`Recovered::default`], all unknown, where no instruction
    /// of the plan can have reached them.
    pub fn recover(
        &self,
        registers: &Registers<'_>,
        watch_address: u64,
        watch_length: u32,
        old: u64,
    ) -> Recovered {
        if !(1..=8).contains(&watch_length) {
            return Recovered::default();
        }
        let old = old & mask(watch_length);
        let hit = Hit { registers, address: watch_address, length: watch_length, old };
        let mut sure = None;
        let mut maybe = None;
        for touch in self.touches.iter().flatten() {
            match hit.reach(touch) {
                Reach::Misses => {}
                Reach::Overlaps(offset) => {
                    let both = self.is_certain;
                    sure = Some(join(sure, hit.settle(touch, Some(offset)), both));
                }
                Reach::Maybe => {
                    maybe = Some(join(maybe, hit.settle(touch, None), false));
                }
            }
        }
        let outcome = match (sure, maybe) {
            (sure, maybe) if self.is_certain => sure.or(maybe).unwrap_or_default(),
            // Any of them may be meant, or what came from elsewhere.
            (Some(sure), Some(maybe)) => join(Some(sure), maybe, false),
            (sure, _) => sure.unwrap_or_default(),
        };
        let outcome = Recovered { goes_on: self.goes_on(&hit, &outcome), ..outcome };
        match outcome.kind {
            // It leaves there what was there.
            AccessKind::Read => Recovered {
                leans: outcome.leans || outcome.new.is_none(),
                new: outcome.new.or(Some(old)),
                ..outcome
            },
            _ => outcome,
        }
    }

    /// Whether an instruction of the plan can have reached these bytes.
    pub fn reaches(
        &self,
        registers: &Registers<'_>,
        watch_address: u64,
        watch_length: u32,
    ) -> bool {
        let hit = Hit { registers, address: watch_address, length: watch_length, old: 0 };
        let mut touches = self.touches.iter().flatten();
        touches.any(|touch| !matches!(hit.reach(touch), Reach::Misses))
    }

    /// Whether the instruction at this address touches more than so many bytes.
    pub fn is_longer_than(&self, length: u32, instruction: u64) -> bool {
        let mut own = self.touches.iter().flatten();
        own.any(|touch| touch.instruction == instruction && touch.size > length)
    }

    /// Whether the same execution of the instruction will touch the range again: it
    /// traps at itself while it repeats, and its pointers are at what is next.
    fn goes_on(&self, hit: &Hit<'_>, outcome: &Recovered) -> bool {
        outcome.address == Some(self.ip)
            && self
                .touches
                .iter()
                .flatten()
                .filter(|touch| touch.instruction == self.ip)
                .any(|touch| hit.is_next(touch).unwrap_or(false))
    }
}

/// Whether an operand touches the watched range.
enum Reach {
    Misses,
    /// The operand starts so many bytes after the range's start.
    Overlaps(i64),
    /// Not told by the registers.
    Maybe,
}

/// Two operands that may both be meant: what holds for either. `both`: each of
/// them certainly touches the range.
fn join(first: Option<Recovered>, second: Recovered, both: bool) -> Recovered {
    let Some(first) = first else { return second };
    let same = first.address == second.address;
    let kind = if first.kind == second.kind {
        first.kind
    } else if same && both {
        AccessKind::Update
    } else {
        AccessKind::Unknown
    };
    let address = first.address.filter(|_| same);
    let touched = match both {
        true => first.touched.hull(second.touched),
        false => ByteRange::default(),
    };
    let beyond =
        if first.beyond == second.beyond { first.beyond } else { Beyond::default() };
    Recovered { address, kind, touched, beyond, ..Recovered::default() }
}

/// A hit's registers and watch.
struct Hit<'a> {
    registers: &'a Registers<'a>,
    address: u64,
    length: u32,
    old: u64,
}

/// An operand before and after the access, as far as known.
#[derive(Default)]
struct Bytes {
    before: Option<u64>,
    after: Option<u64>,
    /// `after` leans on the shadow value.
    leans: bool,
}

impl Hit<'_> {
    fn reach(&self, touch: &Touch) -> Reach {
        let reach = match touch.place {
            Place::Unknown => None,
            Place::Linear { base, index, scale, displacement, narrow } => self
                .linear(base, index, scale, narrow)
                .map(|sum| cut(sum.wrapping_add(displacement), narrow))
                .map(|start| self.overlap(start, touch.size.into())),
            Place::Stepped { pointer, narrow, repeated } => {
                self.stepped(touch.size.into(), pointer, narrow, repeated)
            }
        };
        reach.unwrap_or(Reach::Maybe)
    }

    fn linear(
        &self,
        base: Option<u8>,
        index: Option<u8>,
        scale: u8,
        narrow: bool,
    ) -> Option<u64> {
        let base = base.map_or(Some(0), |number| self.register(number))?;
        let index = index.map_or(Some(0), |number| self.register(number))?;
        Some(
            cut(base, narrow).wrapping_add(cut(index, narrow).wrapping_mul(scale.into())),
        )
    }

    /// A string instruction's operand (SDM vol. 1, 7.3.9: after each operation
    /// the pointers step up if DF is 0 and down if it is 1).
    fn stepped(
        &self,
        size: u64,
        pointer: u8,
        narrow: bool,
        repeated: bool,
    ) -> Option<Reach> {
        let after = self.register(pointer)?;
        let down = self.registers.get(FLAGS)? & DF != 0;
        let back = |bytes: u64| {
            let step = if down { size } else { bytes.wrapping_neg() };
            cut(after.wrapping_add(step), narrow)
        };
        let last = self.overlap(back(size), size);
        if !repeated || matches!(last, Reach::Overlaps(_)) {
            return Some(last);
        }
        let group = size.max(REPEAT_GROUP);
        match self.overlap(back(group), group) {
            Reach::Overlaps(_) => Some(Reach::Maybe),
            other => Some(other),
        }
    }

    /// Whether the next element of a string instruction touches the range.
    fn is_next(&self, touch: &Touch) -> Option<bool> {
        let Place::Stepped { pointer, narrow, repeated: true } = touch.place else {
            return None;
        };
        let left = cut(self.register(CX)?, narrow);
        let next = cut(self.register(pointer)?, narrow);
        let reach = self.overlap(next, touch.size.into());
        Some(left > 0 && matches!(reach, Reach::Overlaps(_)))
    }

    /// Where `[start, start + size)` lies to the watched range. Addresses are
    /// taken modulo 2^64.
    fn overlap(&self, start: u64, size: u64) -> Reach {
        let after = start.wrapping_sub(self.address);
        let before = self.address.wrapping_sub(start);
        if after < self.length.into() {
            Reach::Overlaps(after.cast_signed())
        } else if before < size {
            Reach::Overlaps(before.cast_signed().wrapping_neg())
        } else {
            Reach::Misses
        }
    }

    /// The outcome if `touch` made the access, `offset` bytes after the start
    /// of the range; None: the registers do not tell where.
    fn settle(&self, touch: &Touch, offset: Option<i64>) -> Recovered {
        let mut outcome = Recovered {
            address: Some(touch.instruction),
            kind: touch.kind,
            touched: offset.map_or_else(ByteRange::default, |at| self.touched(touch, at)),
            beyond: offset.map_or_else(Beyond::default, |at| self.beyond(touch, at)),
            ..Recovered::default()
        };
        let sure = offset.is_some();
        let covering = touch.size >= self.length;
        let (Some(offset), 1..=8) =
            (offset.or((touch.size == self.length).then_some(0)), touch.size)
        else {
            return outcome;
        };
        let bytes = self.bytes(touch, offset).unwrap_or_default();
        let size = i64::from(touch.size);
        let covers = sure && offset <= 0 && offset + size >= i64::from(self.length);
        outcome.new = bytes.after.map(|value| self.lay(value, offset, touch.size));
        outcome.leans = bytes.leans || !covering;
        if sure && outcome.new.is_some() && !bytes.leans {
            outcome.told = outcome.touched;
            outcome.exact = covers;
        }
        outcome.old = bytes
            .before
            .filter(|_| covers)
            .map(|value| self.lay(value, offset, touch.size));
        outcome
    }

    /// Where else an operand is that starts `offset` bytes after their start.
    fn beyond(&self, touch: &Touch, offset: i64) -> Beyond {
        let end = offset + i64::from(touch.size);
        Beyond { below: offset < 0, above: end > i64::from(self.length) }
    }

    /// The watched bytes that an operand `offset` bytes after their start covers.
    fn touched(&self, touch: &Touch, offset: i64) -> ByteRange {
        let length = i64::from(self.length);
        let inside = |at: i64| at.clamp(0, length) as u8;
        ByteRange { start: inside(offset), end: inside(offset + i64::from(touch.size)) }
    }

    /// The operand's bytes; None: not known.
    fn bytes(&self, touch: &Touch, offset: i64) -> Option<Bytes> {
        let stored = |value| Bytes { after: Some(value), ..Bytes::default() };
        let plain = |value| Bytes {
            before: (touch.kind == AccessKind::Read).then_some(value),
            ..stored(value)
        };
        match touch.value {
            Value::Unknown => None,
            Value::Register(part) => Some(plain(self.part(part, touch.size)?)),
            Value::RegisterIf(part, condition) => {
                let held = condition.holds(self.registers.get(FLAGS)?);
                held.then(|| self.part(part, touch.size)).flatten().map(plain)
            }
            Value::Immediate(value) => Some(stored(value)),
            Value::Truth(condition) => {
                Some(stored(condition.holds(self.registers.get(FLAGS)?).into()))
            }
            Value::PushedStackPointer => {
                Some(stored(self.register(SP)?.wrapping_add(touch.size.into())))
            }
            Value::Exchanged(part) => {
                let before = Some(self.part(part, touch.size)?);
                Some(Bytes { before, ..Bytes::default() })
            }
            Value::Swapped(part) => {
                let unused = 64u32.checked_sub(touch.size * 8)?;
                let value = self.part(part, touch.size)?.swap_bytes();
                Some(plain(value.checked_shr(unused)?))
            }
            Value::CompareExchanged { source, accumulator } => self.compare_exchanged(
                self.part(source, touch.size)?,
                self.part(accumulator, touch.size)?,
            ),
            Value::CompareExchangedPair => {
                self.compare_exchanged(self.pair([CX, BX])?, self.pair([DX, AX])?)
            }
            Value::Computed(operation, source) => {
                let after = self.computed(operation, source, offset, touch.size)?;
                Some(Bytes { leans: true, ..stored(after) })
            }
        }
    }

    /// SDM vol. 2A, CMPXCHG: equal sets ZF and stores the source; else the
    /// accumulator is loaded, and what was there is stored back. Either way
    /// the accumulator ends up with what was there.
    fn compare_exchanged(&self, source: u64, before: u64) -> Option<Bytes> {
        let swapped = self.registers.get(FLAGS)? & ZF != 0;
        let after = if swapped { source } else { before };
        Some(Bytes { before: Some(before), after: Some(after), leans: false })
    }

    /// The lower halves of two registers, the higher first.
    fn pair(&self, numbers: [u8; 2]) -> Option<u64> {
        let [high, low] = numbers.map(|number| self.register(number));
        Some(high? << 32 | low? & mask(4))
    }

    /// The result of a read-modify-write, if the shadow holds the whole
    /// operand.
    fn computed(
        &self,
        operation: Operation,
        source: Source,
        offset: i64,
        size: u32,
    ) -> Option<u64> {
        if offset < 0 || offset + i64::from(size) > i64::from(self.length) {
            return None;
        }
        let before = shifted(self.old, -offset) & mask(size);
        let source = match source {
            Source::Register(part) => self.part(part, size)?,
            Source::Immediate(value) => value,
        };
        Some(operation.apply(before, source, size))
    }

    /// The watched bytes: those of an operand `offset` bytes after their start
    /// laid over the shadow.
    fn lay(&self, value: u64, offset: i64, size: u32) -> u64 {
        let covered = shifted(mask(size), offset);
        let value = shifted(value & mask(size), offset);
        (self.old & !covered | value) & mask(self.length)
    }

    fn register(&self, number: u8) -> Option<u64> {
        self.registers.get(number.into())
    }

    fn part(&self, part: RegisterPart, size: u32) -> Option<u64> {
        Some(self.register(part.number)? >> part.shift & mask(size))
    }
}

impl Condition {
    /// Whether the condition holds with these flags: the lowest bit of its
    /// code negates (SDM vol. 1, appendix B).
    fn holds(self, flags: u64) -> bool {
        let set = |bits: u64| flags & bits != 0;
        let plain = match self.0 >> 1 {
            0 => set(OF),
            1 => set(CF),
            2 => set(ZF),
            3 => set(CF | ZF),
            4 => set(SF),
            5 => set(PF),
            6 => set(SF) != set(OF),
            _ => set(ZF) || set(SF) != set(OF),
        };
        plain != (self.0 & 1 == 1)
    }
}

impl Operation {
    /// The operand's new value (SDM vol. 2, at each instruction). `before` has
    /// no bits beyond `size` bytes, nor has the result.
    fn apply(self, before: u64, source: u64, size: u32) -> u64 {
        let bits = size * 8;
        // Counts are taken modulo 32, for 64-bit operands modulo 64 (SDM vol.
        // 2B, SAL/SAR/SHL/SHR); bit offsets modulo the operand's bits (vol. 2A,
        // BTS).
        let count = (source & if size == 8 { 63 } else { 31 }) as u32;
        let bit = 1 << (source & u64::from(bits - 1));
        let result = match self {
            Self::Add => before.wrapping_add(source),
            Self::Subtract => before.wrapping_sub(source),
            Self::And => before & source,
            Self::Or => before | source,
            Self::Xor => before ^ source,
            Self::Negate => before.wrapping_neg(),
            Self::ShiftLeft => before << count,
            Self::ShiftRight => before >> count,
            Self::ShiftArithmetic => (extend(before, bits) >> count).cast_unsigned(),
            Self::RotateLeft => rotate(before, count % bits, bits),
            Self::RotateRight => rotate(before, bits - count % bits, bits),
            Self::BitSet => before | bit,
            Self::BitReset => before & !bit,
            Self::BitComplement => before ^ bit,
        };
        result & mask(size)
    }
}

/// The lowest `bits` bits as a signed number.
fn extend(value: u64, bits: u32) -> i64 {
    let unused = 64 - bits;
    (value << unused).cast_signed() >> unused
}

/// The lowest `bits` bits rotated left by up to `bits`.
fn rotate(value: u64, count: u32, bits: u32) -> u64 {
    let right = value.checked_shr(bits - count).unwrap_or(0);
    value.checked_shl(count).unwrap_or(0) | right
}

/// All bits of `bytes` bytes.
fn mask(bytes: u32) -> u64 {
    if bytes >= 8 { u64::MAX } else { (1 << (bytes * 8)) - 1 }
}

/// Shifted by bytes: up for a positive count.
fn shifted(value: u64, bytes: i64) -> u64 {
    let count = u32::try_from(bytes.unsigned_abs()).unwrap_or(8).min(8) * 8;
    let moved =
        if bytes >= 0 { value.checked_shl(count) } else { value.checked_shr(count) };
    moved.unwrap_or(0)
}

/// An address as 32-bit addressing sees it.
fn cut(address: u64, narrow: bool) -> u64 {
    if narrow { address & u64::from(u32::MAX) } else { address }
}
