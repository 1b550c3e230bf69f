//! The stacks that a script keeps, each once, by number.

use foldhash::fast::RandomState;
use indexmap::IndexSet;

use crate::abi::FaultCode;

/// The number of the stack without an address.
pub(super) const EMPTY: u64 = 0;
/// Bytes that a kept stack takes besides its addresses: allocation and hash table
/// together.
const OVERHEAD: usize = 100;
/// Bytes of kept stacks with that.
const BYTES_MAX: usize = 64 << 20;

/// In a stack's head: it is the kernel's, else the lower half is its image.
const OF_KERNEL: u64 = 1 << 32;
/// In a stack's head: what is further out could not be walked.
const CUT: u64 = 1 << 33;

/// A stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stack<'a> {
    /// The image that its addresses are of; none for the kernel.
    pub image: Option<u32>,
    /// Whether it ends where the thread began, or where it was to end.
    pub whole: bool,
    /// The addresses, the innermost first.
    pub addresses: &'a [u64],
}

impl<'a> Stack<'a> {
    /// No stack.
    pub const EMPTY: Self = Self { image: None, whole: true, addresses: &[] };

    /// The innermost function and so many that called one another; below 0 all.
    #[must_use]
    pub fn innermost(self, levels: i64) -> Self {
        let wanted =
            usize::try_from(levels).map_or(usize::MAX, |it| it.saturating_add(1));
        match self.addresses.get(..wanted) {
            Some(addresses) if wanted < self.addresses.len() => {
                Self { whole: true, addresses, ..self }
            }
            _ => self,
        }
    }

    fn head(self) -> u64 {
        let whose = self.image.map_or(OF_KERNEL, u64::from);
        if self.whole { whose } else { whose | CUT }
    }
}

/// Stacks by number: a head and the addresses.
#[derive(Debug)]
pub(super) struct Known {
    stacks: IndexSet<Box<[u64]>, RandomState>,
    bytes: usize,
    /// Where one is put together to be looked up.
    words: Vec<u64>,
}

impl Default for Known {
    fn default() -> Self {
        let mut stacks = IndexSet::with_hasher(RandomState::default());
        stacks.insert(Box::default());
        Self { stacks, bytes: 0, words: Vec::new() }
    }
}

impl Known {
    /// The number of a stack, which stays its number for the session.
    ///
    /// # Errors
    /// [`FaultCode::TooManyStacks`] where the bound on kept stacks is reached.
    pub(super) fn keep(&mut self, stack: Stack<'_>) -> Result<u64, FaultCode> {
        if stack.addresses.is_empty() {
            return Ok(EMPTY);
        }
        self.words.clear();
        self.words.push(stack.head());
        self.words.extend_from_slice(stack.addresses);
        if let Some(number) = self.stacks.get_index_of(self.words.as_slice()) {
            return Ok(number as u64);
        }
        let bytes = size_of_val(self.words.as_slice()) + OVERHEAD;
        if self.bytes + bytes > BYTES_MAX {
            return Err(FaultCode::TooManyStacks);
        }
        self.bytes += bytes;
        let (number, _) = self.stacks.insert_full(self.words.as_slice().into());
        Ok(number as u64)
    }

    /// The stack with this number.
    pub(super) fn get(&self, number: u64) -> Stack<'_> {
        let words = self.stacks.get_index(number as usize).map_or(&[][..], |words| words);
        let Some((head, addresses)) = words.split_first() else { return Stack::EMPTY };
        let image = (head & OF_KERNEL == 0).then_some(*head as u32);
        Stack { image, whole: head & CUT == 0, addresses }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const STACK: Stack<'static> =
        Stack { image: Some(7), whole: true, addresses: &[1, 2, 3] };

    #[test]
    fn equal_stacks_have_one_number() {
        let mut known = Known::default();
        assert_eq!(known.keep(Stack { addresses: &[], ..STACK }), Ok(EMPTY));
        let number = known.keep(STACK).unwrap();
        assert_ne!(number, EMPTY);
        assert_eq!(known.keep(STACK), Ok(number));
        let others = [
            Stack { image: None, ..STACK },
            Stack { image: Some(8), ..STACK },
            Stack { whole: false, ..STACK },
            Stack { addresses: &[1, 2], ..STACK },
        ];
        for (other, at) in others.into_iter().zip(1..) {
            assert_eq!(known.keep(other), Ok(number + at));
            assert_eq!(known.get(number + at), other);
        }
        assert_eq!(known.get(number), STACK);
        assert_eq!([EMPTY, 99].map(|none| known.get(none)), [Stack::EMPTY; 2]);
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        let mut known = Known { bytes: BYTES_MAX - OVERHEAD - 32, ..Known::default() };
        let number = known.keep(STACK);
        assert!(number.is_ok());
        let other = Stack { image: None, ..STACK };
        assert_eq!(known.keep(other), Err(FaultCode::TooManyStacks));
        assert_eq!(known.keep(STACK), number, "what is known stays known");
    }

    #[test]
    fn levels_count_the_callers() {
        let levels = |levels| STACK.innermost(levels).addresses.len();
        assert_eq!([-1, 0, 1, 2, 3, i64::MAX].map(levels), [3, 1, 2, 3, 3, 3]);
        let cut = Stack { whole: false, ..STACK };
        assert!(cut.innermost(1).whole, "no more was asked for");
        assert!(!cut.innermost(2).whole);
    }
}
