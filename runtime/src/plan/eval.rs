//! What plans mean, in plain Rust: what engines that carry them out at the hit
//! are compared with in tests. It never stands in for them.

use super::{Binary, Comparison, Does, Filter, Input, Load, Next, Reads, Slot, Space};
use super::{Step, Unary};
use crate::event::Captured;

/// A hit as filters and reads see it.
pub trait Hit {
    /// Something of it.
    fn input(&self, input: Input) -> i64;
    /// Reads all of `out` from an address on, or gives false.
    fn memory(&mut self, space: Space, address: u64, out: &mut [u8]) -> bool;
}

/// The slots of a run, and the record's words that it has made so far.
struct Run<'a> {
    hit: &'a mut dyn Hit,
    slots: Vec<i64>,
    words: Vec<u64>,
}

impl Filter {
    /// Whether a hit is to have a record.
    ///
    /// # Panics
    /// Where a slot or block is not there, or a block goes back.
    pub fn passes(&self, hit: &mut dyn Hit) -> bool {
        self.run(hit).unwrap_or(true)
    }

    /// The same for what is done and can not be undone: what can not be computed does
    /// not pass.
    ///
    /// # Panics
    /// As [`Filter::passes`].
    pub fn passes_surely(&self, hit: &mut dyn Hit) -> bool {
        self.run(hit).unwrap_or(false)
    }

    /// None where something can not be computed.
    fn run(&self, hit: &mut dyn Hit) -> Option<bool> {
        let mut run = Run::new(hit, self.slots);
        let mut number = 0;
        loop {
            let block = &self.blocks[usize::from(number)];
            block.steps.iter().try_for_each(|step| run.step(step))?;
            let next = match block.next {
                Next::Pass => return Some(true),
                Next::Drop => return Some(false),
                Next::Go(next) => next,
                Next::Choose(slot, then, otherwise) => {
                    if run.get(slot) != 0 {
                        then
                    } else {
                        otherwise
                    }
                }
            };
            assert!(next > number, "block {number} goes back to {next}");
            number = next;
        }
    }
}

impl Reads {
    /// The words of [`Captured`] of a hit.
    ///
    /// # Panics
    /// Where a slot is not there.
    pub fn take(&self, hit: &mut dyn Hit) -> Vec<u64> {
        let mut run = Run::new(hit, self.slots);
        for step in &self.steps {
            if run.step(step).is_none() {
                run.slots[usize::from(step.to.0)] = 0;
            }
        }
        run.words
    }
}

impl<'a> Run<'a> {
    fn new(hit: &'a mut dyn Hit, slots: u16) -> Self {
        Self { hit, slots: vec![0; slots.into()], words: Vec::new() }
    }

    fn get(&self, slot: Slot) -> i64 {
        self.slots[usize::from(slot.0)]
    }

    /// Sets the slot; nothing where that can not be computed.
    fn step(&mut self, step: &Step) -> Option<()> {
        let value = match step.does {
            Does::Constant(value) => value,
            Does::Input(input) => self.hit.input(input),
            Does::Copy(slot) => self.get(slot),
            Does::Unary(op, slot) => op.of(self.get(slot)),
            Does::Binary(op, left, right) => op.of(self.get(left), self.get(right))?,
            Does::Compare(comparison, left, right) => {
                comparison.holds(self.get(left), self.get(right)).into()
            }
            Does::Load { address, load, keep } => self.load(address, load, keep)?,
            Does::Keep { address, bytes, text, space } => {
                self.keep(address, usize::from(bytes), text, space);
                0
            }
        };
        self.slots[usize::from(step.to.0)] = value;
        Some(())
    }

    fn load(&mut self, address: Slot, load: Load, keep: bool) -> Option<i64> {
        let address = self.get(address) as u64;
        let mut bytes = [0; 8];
        let size = usize::from(load.size);
        let read = self.hit.memory(load.space, address, &mut bytes[..size]);
        if keep {
            let there = if read { size } else { 0 };
            self.entry(address, &bytes[..there], 1);
        }
        read.then(|| load.widened(u64::from_le_bytes(bytes)))
    }

    fn keep(&mut self, address: Slot, length: usize, text: bool, space: Space) {
        let address = self.get(address) as u64;
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let mut byte = [0];
            let at = address.wrapping_add(bytes.len() as u64);
            if !self.hit.memory(space, at, &mut byte) {
                break;
            }
            bytes.extend(byte);
            if text && byte == [0] {
                break;
            }
        }
        self.entry(address, &bytes, length.div_ceil(8));
    }

    fn entry(&mut self, address: u64, bytes: &[u8], words: usize) {
        self.words.extend([address, Captured::extent(bytes.len() as u32, words as u32)]);
        let start = self.words.len();
        self.words.resize(start + words, 0);
        for (word, chunk) in self.words[start..].iter_mut().zip(bytes.chunks(8)) {
            let mut whole = [0; 8];
            whole[..chunk.len()].copy_from_slice(chunk);
            *word = u64::from_ne_bytes(whole);
        }
    }
}

impl Load {
    /// The number that its bytes stand for, which are the lowest of a word.
    fn widened(self, word: u64) -> i64 {
        let unused = 64 - 8 * u32::from(self.size);
        match self.signed {
            true => (word << unused) as i64 >> unused,
            false => (word << unused >> unused) as i64,
        }
    }
}

impl Unary {
    /// What it makes of a number.
    pub fn of(self, value: i64) -> i64 {
        match self {
            Self::Negate => value.wrapping_neg(),
            Self::Not => (value == 0).into(),
            Self::Complement => !value,
        }
    }
}

impl Binary {
    /// What it makes of two numbers; none where the second is 0 and divides.
    pub fn of(self, left: i64, right: i64) -> Option<i64> {
        // One too large stands for all that are outside.
        let count = u32::try_from(right).unwrap_or(64);
        Some(match self {
            Self::Add => left.wrapping_add(right),
            Self::Subtract => left.wrapping_sub(right),
            Self::Multiply => left.wrapping_mul(right),
            Self::Divide | Self::Remainder if right == 0 => return None,
            Self::Divide => left.wrapping_div(right),
            Self::Remainder => left.wrapping_rem(right),
            Self::And => left & right,
            Self::Or => left | right,
            Self::Xor => left ^ right,
            Self::ShiftLeft => left.checked_shl(count).unwrap_or(0),
            Self::ShiftRight => left >> count.min(63),
            Self::ShiftRightLogical => {
                (left as u64).checked_shr(count).unwrap_or(0) as i64
            }
        })
    }
}

impl Comparison {
    /// Whether it holds.
    pub fn holds(self, left: i64, right: i64) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Block;
    use super::*;

    /// A hit with 5 as `$new`, and eight bytes of memory at 64.
    struct Sample;

    const BYTES: [u8; 8] = [0xfe, b'a', b'b', 0, 1, 2, 3, 4];

    impl Hit for Sample {
        fn input(&self, input: Input) -> i64 {
            if input == Input::New { 5 } else { 0 }
        }

        fn memory(&mut self, _: Space, address: u64, out: &mut [u8]) -> bool {
            let start = usize::try_from(address.wrapping_sub(64)).unwrap_or(usize::MAX);
            let there = BYTES.get(start..).and_then(|bytes| bytes.get(..out.len()));
            there.is_some_and(|bytes| {
                out.copy_from_slice(bytes);
                true
            })
        }
    }

    fn sets(to: u16, does: Does) -> Step {
        Step { to: Slot(to), does }
    }

    fn ends(next: Next) -> Block {
        Block { steps: Vec::new(), next }
    }

    /// Whether `does`, with 5 in slot 0 and `other` in slot 1, is not 0.
    fn holds(other: i64, does: Does) -> bool {
        let steps = vec![
            sets(0, Does::Input(Input::New)),
            sets(1, Does::Constant(other)),
            sets(2, does),
        ];
        let first = Block { steps, next: Next::Choose(Slot(2), 1, 2) };
        let blocks = vec![first, ends(Next::Pass), ends(Next::Drop)];
        Filter { slots: 3, blocks }.passes(&mut Sample)
    }

    #[test]
    fn filters_choose_and_let_pass_what_can_not_be_computed() {
        let (new, other) = (Slot(0), Slot(1));
        assert!(holds(4, Does::Compare(Comparison::Greater, new, other)));
        assert!(!holds(5, Does::Compare(Comparison::Greater, new, other)));
        assert!(holds(0, Does::Binary(Binary::Divide, new, other)));
        assert!(!holds(6, Does::Binary(Binary::Divide, new, other)));
        let load = Load { size: 8, signed: false, space: Space::User };
        let load = Does::Load { address: other, load, keep: false };
        assert!(holds(64, load) && holds(65, load));
    }

    #[test]
    fn operators_have_their_borders() {
        assert_eq!(Binary::Divide.of(i64::MIN, -1), Some(i64::MIN));
        assert_eq!(Binary::Remainder.of(-7, 2), Some(-1));
        assert_eq!(Binary::ShiftLeft.of(1, 64), Some(0));
        assert_eq!(Binary::ShiftRight.of(-8, 1), Some(-4));
        assert_eq!(Binary::ShiftRightLogical.of(-1, 63), Some(1));
        assert_eq!(Unary::Complement.of(0), -1);
        let byte = Load { size: 1, signed: true, space: Space::User };
        assert_eq!(byte.widened(0x1fe), -2);
    }

    #[test]
    fn reads_keep_what_could_be_read() {
        let load = |signed| Load { size: 2, signed, space: Space::User };
        let keep =
            |text| Does::Keep { address: Slot(0), bytes: 9, text, space: Space::User };
        let steps = vec![
            sets(0, Does::Constant(64)),
            sets(1, Does::Load { address: Slot(0), load: load(false), keep: true }),
            sets(2, Does::Load { address: Slot(1), load: load(true), keep: true }),
            sets(3, keep(true)),
            sets(3, keep(false)),
        ];
        let reads = Reads { slots: 4, steps };
        let words = reads.take(&mut Sample);
        assert_eq!(words.len(), reads.words());
        let entries: Vec<_> = Captured { words: &words }
            .entries()
            .map(|(address, bytes)| (address, bytes.to_vec()))
            .collect();
        let expected = [
            (64, BYTES[..2].to_vec()),
            (0x61fe, Vec::new()),
            (64, BYTES[..4].to_vec()),
            (64, BYTES.to_vec()),
        ];
        assert_eq!(entries, expected);
    }
}
