//! Which watch goes into which debug register: a pure function of the
//! requests. Where there are more than registers, some of them take turns.

pub mod activity;
pub mod coverage;
mod share;
pub mod turns;

use std::fmt;

use crate::event::Watch;
use crate::schema::ByteRange;
use share::Cell;
use turns::Seat;

/// Debug registers of a CPU: DR0 to DR3 on x86-64 (Intel SDM volume 3,
/// chapter 19, "Debug Registers"). Others may hold some of them.
pub const CAPACITY: usize = 4;

/// What is to be watched for a request. Of which threads or CPUs hits are wanted makes no
/// difference here: filters tell them apart. Were it armed on those alone, the stores of
/// others would go unseen, and what it held before the next hit would not be known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// As registers cover it.
    pub pieces: Vec<Watch>,
    /// Where they are armed.
    pub scope: Scope,
    /// Whether it has its registers all of the time.
    pub pinned: bool,
    /// How much of the time it has them, compared to others that take turns; at least 1.
    pub weight: u32,
    /// Whether its pieces are as far from those of others that are fixed wherever all of
    /// them are, and as aligned: those that lie side by side may share.
    pub fixed: bool,
}

/// On which threads a watch is armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// On all threads of processes.
    Tasks,
    /// On single threads, for data of which each has its own. It does not take turns.
    Own,
    /// On all CPUs: data of the kernel. Whichever thread runs there has a register less.
    Kernel,
}

/// The registers that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Those of a thread.
    pub capacity: usize,
    /// How many of them others hold.
    pub held: usize,
    /// Whether watches may take turns where they are too few.
    pub rotate: bool,
}

/// A register and who looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register {
    /// What it watches.
    pub watch: Watch,
    /// Who it serves, in the order of the claims and their pieces.
    pub subscribers: Vec<Subscriber>,
    /// How it takes turns: by the most that one of them asks for.
    pub seat: Seat,
}

/// Who looks at a register, and at which of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscriber {
    /// Index of the claim.
    pub claim: usize,
    /// Index of the piece among those of the claim.
    pub piece: usize,
    /// The register's bytes that are the piece's.
    pub window: ByteRange,
}

/// What to arm.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Plan {
    /// What wants a register, in the order in which it was first asked for.
    pub registers: Vec<Register>,
    /// How many of them can have one at a time, those apart that always do.
    pub slots: Slots,
    /// How many fewer they are as they were made wider, or report loads to those who
    /// want stores alone.
    pub merged: usize,
}

/// Registers for those who take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Slots {
    /// For watches of [`Scope::Tasks`].
    pub tasks: usize,
    /// For those of [`Scope::Kernel`].
    pub kernel: usize,
}

impl Plan {
    /// The watches, in the order of the registers.
    pub fn watches(&self) -> Vec<Watch> {
        self.registers.iter().map(|register| register.watch).collect()
    }

    /// How each takes turns.
    pub fn seats(&self) -> Vec<Seat> {
        self.registers.iter().map(|register| register.seat).collect()
    }

    /// Whether each has a register all of the time.
    pub fn fits(&self) -> bool {
        let waiting = Census::of(&self.registers);
        (waiting.tasks, waiting.kernel) == (self.slots.tasks, self.slots.kernel)
    }
}

/// More is asked for than there are registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// What can not be.
    pub why: Lack,
    /// Registers that would be needed at least.
    pub needed: usize,
    /// Registers there are.
    pub capacity: usize,
    /// How many of these others hold.
    pub held: usize,
    /// Index of the first claim for which there is none left.
    pub claim: usize,
    /// As [`Plan::merged`].
    pub merged: usize,
}

/// What registers are missing for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// Those who have one all of the time do not all have one.
    Pinned,
    /// They do, and none is left for those who take turns.
    Turns,
    /// Not all have one, and they may not take turns.
    NoTurns,
}

impl std::error::Error for Shortage {}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { needed, capacity, held, .. } = self;
        match self.why {
            Lack::Pinned => write!(f, "{needed} watches that do not take turns")?,
            Lack::Turns => write!(f, "at least {needed} watches at a time")?,
            Lack::NoTurns => write!(f, "{needed} different watches")?,
        }
        write!(f, " for {capacity} debug registers")?;
        match held {
            0 => Ok(()),
            _ => write!(f, ", of which others hold {held}"),
        }
    }
}

/// Gives each piece of each claim a register. A register serves all pieces of its mode of
/// access that lie within it: equal ones, and those that a longer one covers. Pieces whose
/// address is not known yet have one each: nobody knows which of them will lie together.
///
/// Only where that takes too many, registers serve more: those of stores alone that one of
/// all accesses covers go into that, and those side by side into one that holds all of
/// them, the shortest first. As few of that as make everything fit, or all where nothing
/// does.
///
/// # Errors
/// [`Shortage`] where they still are too many, and can not take turns.
pub fn plan(claims: &[Claim], room: Room) -> Result<Plan, Shortage> {
    let free = room.capacity.saturating_sub(room.held);
    let mut cells = share::cells(claims);
    let before = cells.len();
    share::merge(&mut cells, free);
    let merged = before - cells.len();
    let registers: Vec<_> =
        cells.into_iter().map(|cell| register(cell, claims)).collect();
    match Census::of(&registers).slots(free, room.rotate) {
        Ok(slots) => Ok(Plan { registers, slots, merged }),
        Err((why, needed)) => {
            let claim = first_without(&registers, free, why);
            let Room { capacity, held, .. } = room;
            Err(Shortage { why, needed, capacity, held, claim, merged })
        }
    }
}

fn register(cell: Cell, claims: &[Claim]) -> Register {
    let Cell { watch, scope, pieces, .. } = cell;
    let subscribers: Vec<_> = pieces
        .iter()
        .map(|piece| {
            let window = window(piece.watch, watch);
            Subscriber { claim: piece.claim, piece: piece.number, window }
        })
        .collect();
    let of = || pieces.iter().map(|piece| &claims[piece.claim]);
    let pinned = scope == Scope::Own || of().any(|claim| claim.pinned);
    let weight = of().map(|claim| claim.weight).max().unwrap_or(1).max(1);
    Register { watch, subscribers, seat: Seat { pinned, weight, scope } }
}

/// The bytes of `outer` that are those of `inner`.
fn window(inner: Watch, outer: Watch) -> ByteRange {
    let start = inner.address.wrapping_sub(outer.address) as u8;
    ByteRange { start, end: start + inner.length as u8 }
}

/// How many there are.
#[derive(Clone, Copy, Default)]
struct Census {
    pinned: usize,
    tasks: usize,
    kernel: usize,
}

impl Census {
    fn of(registers: &[Register]) -> Self {
        let mut census = Self::default();
        for Register { seat, .. } in registers {
            match (seat.pinned, seat.scope) {
                (true, _) | (_, Scope::Own) => census.pinned += 1,
                (_, Scope::Tasks) => census.tasks += 1,
                (_, Scope::Kernel) => census.kernel += 1,
            }
        }
        census
    }

    /// Divides the registers that are free among those who take turns: by how many they
    /// are, at least one each.
    fn slots(self, free: usize, rotate: bool) -> Result<Slots, (Lack, usize)> {
        let Self { pinned, tasks, kernel } = self;
        let left = free.checked_sub(pinned).ok_or((Lack::Pinned, pinned))?;
        let waiting = tasks + kernel;
        if waiting <= left {
            return Ok(Slots { tasks, kernel });
        }
        if !rotate {
            return Err((Lack::NoTurns, pinned + waiting));
        }
        let (of_tasks, of_kernel) = (tasks.min(1), kernel.min(1));
        if left < of_tasks + of_kernel {
            return Err((Lack::Turns, pinned + of_tasks + of_kernel));
        }
        let fair = (left * kernel + waiting / 2) / waiting;
        let kernel = fair.clamp(of_kernel, (left - of_tasks).min(kernel));
        let tasks = tasks.min(left - kernel);
        Ok(Slots { tasks, kernel: left - tasks })
    }
}

/// The first claim with a register for which there is none left, where those who have one
/// all of the time come first.
fn first_without(registers: &[Register], free: usize, why: Lack) -> usize {
    let (pinned, others): (Vec<_>, Vec<_>) =
        registers.iter().partition(|register| register.seat.pinned);
    let first = match why {
        Lack::NoTurns => pinned.iter().chain(&others).nth(free),
        Lack::Pinned => pinned.get(free),
        Lack::Turns => others.first(),
    };
    let first = first.and_then(|register| register.subscribers.first());
    first.map_or(0, |subscriber| subscriber.claim)
}

#[cfg(test)]
mod tests;
