//! Filters of several: who shares a register takes the hits of either, and what a
//! probe point asks for comes before what its handler does.

use super::{Block, Comparison, Does, Filter, Input, Next, Slot, Step};
use crate::schema::AccessKind;

impl Filter {
    /// Accesses that change the value.
    pub fn changes() -> Self {
        Self::comparing(
            Does::Input(Input::Old),
            Comparison::NotEqual,
            Does::Input(Input::New),
        )
    }

    /// Accesses of this kind, and those of which the kind is not known.
    pub fn of_kind(kind: AccessKind) -> Self {
        let is = |kind: AccessKind| {
            Self::comparing(
                Does::Input(Input::Access),
                Comparison::Equal,
                Does::Constant(kind as i64),
            )
        };
        is(kind).or(is(AccessKind::Unknown))
    }

    /// Hits of which this is known.
    pub fn of(input: Input, value: i64) -> Self {
        Self::comparing(Does::Input(input), Comparison::Equal, Does::Constant(value))
    }

    /// Accesses that are not known to be loads.
    pub fn no_loads() -> Self {
        let load = Does::Constant(AccessKind::Read as i64);
        Self::comparing(Does::Input(Input::Access), Comparison::NotEqual, load)
    }

    /// Accesses that are known to be stores, of instructions that loaded before or not.
    pub fn stores() -> Self {
        let store = Does::Constant(AccessKind::Write as i64);
        Self::comparing(Does::Input(Input::Access), Comparison::GreaterOrEqual, store)
    }

    fn comparing(left: Does, how: Comparison, right: Does) -> Self {
        let [first, second, holds] = [Slot(0), Slot(1), Slot(2)];
        let steps =
            [(first, left), (second, right), (holds, Does::Compare(how, first, second))];
        let steps = steps.map(|(to, does)| Step { to, does }).into();
        let leaf = |next| Block { steps: Vec::new(), next };
        let start = Block { steps, next: Next::Choose(holds, 1, 2) };
        Self { slots: 3, blocks: vec![start, leaf(Next::Pass), leaf(Next::Drop)] }
    }

    /// Hits that pass both; the other is only asked where this one passes.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.then(Next::Pass, other)
    }

    /// Hits that pass either; the other is only asked where this one does not
    /// pass.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        self.then(Next::Drop, other)
    }

    /// Goes on with another where this one ends so.
    fn then(mut self, end: Next, other: Self) -> Self {
        let start = self.blocks.len() as u16;
        for block in self.blocks.iter_mut().filter(|block| block.next == end) {
            block.next = Next::Go(start);
        }
        let moved = other.blocks.into_iter().map(|mut block| {
            block.next = match block.next {
                Next::Go(to) => Next::Go(start + to),
                Next::Choose(slot, then, otherwise) => {
                    Next::Choose(slot, start + then, start + otherwise)
                }
                end @ (Next::Pass | Next::Drop) => end,
            };
            block
        });
        self.blocks.extend(moved);
        // What the one has found out the other does not ask for.
        self.slots = self.slots.max(other.slots);
        self
    }
}

impl Step {
    /// Uses later slots, by so many.
    pub(super) fn move_slots(&mut self, by: u16) {
        let Self { to, does } = self;
        let (first, second) = match does {
            Does::Constant(_) | Does::Input(_) => (None, None),
            Does::Copy(slot)
            | Does::Unary(_, slot)
            | Does::Load { address: slot, .. }
            | Does::Keep { address: slot, .. } => (Some(slot), None),
            Does::Binary(_, left, right) | Does::Compare(_, left, right) => {
                (Some(left), Some(right))
            }
        };
        for slot in [Some(to), first, second].into_iter().flatten() {
            slot.0 += by;
        }
    }
}

impl super::Reads {
    /// These, and those of another; none of the other where there is no room.
    pub fn add(&mut self, other: &Self) {
        let slots = self.slots + other.slots;
        let words = self.words() + other.words();
        if slots > super::SLOTS_MAX || words > super::READ_WORDS_MAX {
            return;
        }
        let moved = other.steps.iter().map(|step| {
            let mut step = *step;
            step.move_slots(self.slots);
            step
        });
        self.steps.extend(moved);
        self.slots = slots;
    }
}

#[cfg(test)]
mod tests {
    use super::super::Space;
    use super::super::eval::Hit;
    use super::*;

    fn kinds(filter: &Filter) -> Vec<Next> {
        filter.blocks.iter().map(|block| block.next).collect()
    }

    #[test]
    fn either_goes_on_where_the_first_drops() {
        let either = Filter::changes().or(Filter::changes());
        assert_eq!(either.slots, 3);
        assert_eq!(
            kinds(&either),
            [
                Next::Choose(Slot(2), 1, 2),
                Next::Pass,
                Next::Go(3),
                Next::Choose(Slot(2), 4, 5),
                Next::Pass,
                Next::Drop
            ]
        );
    }

    #[test]
    fn both_go_on_where_the_first_passes() {
        let both = Filter::changes().and(Filter::changes());
        assert_eq!(kinds(&both)[1], Next::Go(3));
        assert_eq!(kinds(&both)[2], Next::Drop);
    }

    #[test]
    fn reads_keep_their_slots_apart_and_have_bounds() {
        let load = super::super::Load {
            size: 8,
            signed: false,
            space: super::super::Space::User,
        };
        let steps = vec![
            Step { to: Slot(0), does: Does::Input(Input::New) },
            Step { to: Slot(1), does: Does::Load { address: Slot(0), load, keep: true } },
        ];
        let one = super::super::Reads { slots: 2, steps };
        let mut all = one.clone();
        all.add(&one);
        assert_eq!((all.slots, all.words()), (4, 6));
        assert_eq!(
            all.steps[3],
            Step { to: Slot(3), does: Does::Load { address: Slot(2), load, keep: true } }
        );
        for _ in 0..100 {
            all.add(&one);
        }
        assert!(all.slots <= super::super::SLOTS_MAX);
    }

    /// A hit of which only the access is known, or not even that.
    struct Kind(AccessKind);

    impl Hit for Kind {
        fn input(&self, input: Input) -> i64 {
            if input == Input::Access { self.0 as i64 } else { 0 }
        }

        fn memory(&mut self, _: Space, _: u64, _: &mut [u8]) -> bool {
            false
        }
    }

    #[test]
    fn what_is_not_known_is_no_load_and_no_store() {
        let kinds = [
            (AccessKind::Unknown, true, false),
            (AccessKind::Read, false, false),
            (AccessKind::Write, true, true),
            (AccessKind::Update, true, true),
        ];
        for (kind, no_load, store) in kinds {
            assert_eq!(Filter::no_loads().passes(&mut Kind(kind)), no_load, "{kind:?}");
            assert_eq!(
                Filter::stores().passes_surely(&mut Kind(kind)),
                store,
                "{kind:?}"
            );
        }
    }
}
