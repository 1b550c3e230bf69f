//! Which watch goes into which debug register: a pure function of the
//! requests.

pub mod coverage;

use crate::event::Watch;
use crate::schema::ByteRange;

/// Debug registers of a CPU: DR0 to DR3 on x86-64 (Intel SDM volume 3,
/// chapter 19, "Debug Registers"). Others may hold some of them.
pub const CAPACITY: usize = 4;

/// A register and who looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register {
    /// What it watches.
    pub watch: Watch,
    /// Who it serves, in the order of the requests and their pieces.
    pub subscribers: Vec<Subscriber>,
}

/// Who looks at a register, and at which of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscriber {
    /// Index of the request.
    pub request: usize,
    /// Index of the piece among those of the request.
    pub piece: usize,
    /// The register's bytes that are the piece's.
    pub window: ByteRange,
}

/// What to arm: one register each.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Plan {
    /// The registers, in the order in which they were first asked for.
    pub registers: Vec<Register>,
}

impl Plan {
    /// The watches to arm, in the order of the registers.
    pub fn watches(&self) -> Vec<Watch> {
        self.registers.iter().map(|register| register.watch).collect()
    }
}

/// More is asked for than there are registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{needed} different watches for {capacity} debug registers")]
pub struct TooMany {
    /// Registers that would be needed.
    pub needed: usize,
    /// Registers there are.
    pub capacity: usize,
    /// Index of the first request for which there is none left.
    pub request: usize,
}

/// Gives each piece of each request a register. A register serves all pieces of
/// its mode of access that lie within it: equal ones, and those that a longer
/// one covers. Pieces whose address is not known yet have one each: nobody
/// knows which of them will lie together.
///
/// # Errors
/// [`TooMany`] for more registers than `capacity`.
pub fn plan<P: AsRef<[Watch]>>(requests: &[P], capacity: usize) -> Result<Plan, TooMany> {
    let pieces = || {
        requests.iter().enumerate().flat_map(|(request, pieces)| {
            let pieces = pieces.as_ref().iter().enumerate();
            pieces.map(move |(piece, watch)| (request, piece, *watch))
        })
    };
    let mut registers: Vec<Register> = Vec::new();
    let mut first_without = None;
    for (request, piece, watch) in pieces() {
        let widest = widest(watch, pieces().map(|it| it.2));
        let known = registers
            .iter_mut()
            .find(|register| watch.is_placed() && register.watch == widest);
        let window = window(watch, widest);
        let subscriber = Subscriber { request, piece, window };
        match known {
            Some(register) => register.subscribers.push(subscriber),
            None => {
                if registers.len() == capacity {
                    first_without.get_or_insert(request);
                }
                registers.push(Register { watch: widest, subscribers: vec![subscriber] });
            }
        }
    }
    match first_without {
        Some(request) => Err(TooMany { needed: registers.len(), capacity, request }),
        None => Ok(Plan { registers }),
    }
}

/// The longest of the watches that covers this one. Both are aligned to their
/// lengths, which are powers of two, so that those that cover one another are
/// nested: there is one longest.
fn widest(watch: Watch, all: impl Iterator<Item = Watch>) -> Watch {
    let covers = |other: &Watch| {
        let within = watch.address.wrapping_sub(other.address);
        watch.is_placed()
            && other.is_placed()
            && other.trigger == watch.trigger
            && within.saturating_add(watch.length.into()) <= other.length.into()
    };
    all.filter(covers).max_by_key(|other| other.length).unwrap_or(watch)
}

/// The bytes of `outer` that are those of `inner`.
fn window(inner: Watch, outer: Watch) -> ByteRange {
    let start = inner.address.wrapping_sub(outer.address) as u8;
    ByteRange { start, end: start + inner.length as u8 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::Trigger;

    fn watch(address: u64, length: u32) -> Watch {
        Watch { address, length, trigger: Trigger::Write }
    }

    fn requests(plan: &Plan) -> Vec<Vec<usize>> {
        let of = |register: &Register| {
            register.subscribers.iter().map(|it| it.request).collect()
        };
        plan.registers.iter().map(of).collect()
    }

    #[test]
    fn watches_share_what_covers_them_and_others_do_not() {
        let read = Watch { trigger: Trigger::ReadWrite, ..watch(8, 4) };
        let asked =
            [[watch(8, 4)], [watch(8, 8)], [watch(12, 4)], [read], [watch(16, 4)]];
        let plan = plan(&asked, CAPACITY).expect("three registers");
        assert_eq!(requests(&plan), [vec![0, 1, 2], vec![3], vec![4]]);
        assert_eq!(plan.watches(), [watch(8, 8), read, watch(16, 4)]);
        let windows: Vec<_> =
            plan.registers[0].subscribers.iter().map(|it| it.window).collect();
        let range = |start, end| ByteRange { start, end };
        assert_eq!(windows, [range(0, 4), range(0, 8), range(4, 8)]);
    }

    #[test]
    fn the_fifth_is_refused_with_figures() {
        let asked: Vec<_> = (0..5).map(|index| [watch(8 + index * 8, 8)]).collect();
        let refused = TooMany { needed: 5, capacity: 4, request: 4 };
        assert_eq!(plan(&asked, CAPACITY), Err(refused));
        assert_eq!(plan(&[[]; 1], CAPACITY), Ok(Plan::default()));
        let pieces =
            [vec![watch(8, 8)], (0..5).map(|index| watch(8 + index * 8, 8)).collect()];
        let refused = TooMany { request: 1, ..refused };
        assert_eq!(plan(&pieces, CAPACITY), Err(refused));
    }

    #[test]
    fn what_is_not_placed_yet_shares_with_nobody() {
        let pending = watch(Watch::PENDING, 4);
        let plan = plan(&[[pending], [pending], [watch(0, 8)]], CAPACITY);
        assert_eq!(requests(&plan.expect("three")), [vec![0], vec![1], vec![2]]);
    }

    proptest! {
        #[test]
        fn each_piece_is_served_once_by_a_register_that_covers_it(
            picks in proptest::collection::vec((0u64..4, 0u32..4, 0u64..8, any::<bool>()), 0..30),
            split in 1usize..5,
        ) {
            let pieces: Vec<_> = picks.iter().map(|&(word, length, within, write)| {
                let length = 1 << length;
                let address = 64 + word * 8 + within / u64::from(length) * u64::from(length);
                let trigger = if write { Trigger::Write } else { Trigger::ReadWrite };
                Watch { address, length, trigger }
            }).collect();
            let asked: Vec<_> = pieces.chunks(split).collect();
            let Ok(plan) = plan(&asked, 64) else {
                return Err(TestCaseError::fail("64 suffice"));
            };
            let mut served = 0;
            for Register { watch, subscribers } in &plan.registers {
                for Subscriber { request, piece, window } in subscribers {
                    served += 1;
                    let piece = asked[*request][*piece];
                    prop_assert_eq!(piece.trigger, watch.trigger);
                    prop_assert_eq!(piece.address, watch.address + u64::from(window.start));
                    prop_assert_eq!(piece.length, u32::from(window.length()));
                    prop_assert!(u32::from(window.end) <= watch.length);
                }
                let equal = plan.registers.iter().filter(|other| other.watch == *watch);
                prop_assert_eq!(equal.count(), 1, "no register twice");
            }
            prop_assert_eq!(served, pieces.len());
        }
    }
}
