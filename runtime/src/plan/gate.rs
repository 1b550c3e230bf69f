//! Which hits go on by their number: each N-th, the first N.

use std::num::NonZeroU64;

use super::Filter;

/// Lets hits through by their number: whoever passes a plan's filter takes the next
/// one, over all threads and CPUs.
///
/// One whom the filter can not decide about takes none, nor does one that may be a part of
/// an access ([`RawHit::at_hit`](crate::event::RawHit) was not told): it has a record, and
/// whoever gets that takes a number for it, of the same ones
/// ([`Engine::tickets`](crate::engine::Engine::tickets)). Who was let through at the hit the
/// record says ([`AtHit::let_through`](crate::event::AtHit)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// Each so many go on, the one with this number first.
    pub every: NonZeroU64,
    /// So many go on at most.
    pub limit: Option<NonZeroU64>,
    /// Which of those have a record; all of them where none.
    pub then: Option<Filter>,
}

impl Gate {
    /// One that lets all through and counts them.
    pub const OPEN: Self = Self { every: NonZeroU64::MIN, limit: None, then: None };

    /// Whether the one with this number goes on; the first has 1.
    pub fn lets_through(&self, number: u64) -> bool {
        let turn = number / self.every;
        number.is_multiple_of(self.every.get())
            && self.limit.is_none_or(|limit| turn <= limit.get())
    }

    /// Whether nobody goes on any more, once this number was taken.
    pub fn is_closed_after(&self, number: u64) -> bool {
        self.limit.is_some_and(|limit| number / self.every >= limit.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_so_many_go_on_until_there_were_enough() {
        let through = |every, limit| {
            let every = NonZeroU64::new(every).expect("not 0");
            let gate = Gate { every, limit: NonZeroU64::new(limit), then: None };
            let through =
                (1..=12).filter(|it| gate.lets_through(*it)).collect::<Vec<_>>();
            let last = (1..=12).find(|it| gate.is_closed_after(*it));
            (through, last)
        };
        assert_eq!(through(5, 0), (vec![5, 10], None));
        assert_eq!(through(1, 3), (vec![1, 2, 3], Some(3)));
        assert_eq!(through(4, 2), (vec![4, 8], Some(8)));
        assert_eq!(through(u64::MAX, 1), (vec![], None));
        assert!((1..99).all(|it| Gate::OPEN.lets_through(it)));
    }
}
