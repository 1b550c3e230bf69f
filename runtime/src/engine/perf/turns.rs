//! Registers that watches take turns on. The events of such a register stay open and are
//! changed: all are off then, so that each hit is of the watch before or of the one after,
//! as its time tells.
//!
//! But for the events of threads that are born meanwhile: they may be as their creator's
//! were, and on (kernel/events/core.c, `inherit_event`: an event is copied, and added later
//! to those that are changed with their parent). So hits tell their address as well, and
//! those that are nowhere where the watch is to be are strays. The next change reaches
//! such events.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::engine::{Pass, Turn};
use crate::event::Watch;
use crate::record::Layout;

/// An identifier stands for a register by this bit of its number, where others stand for
/// a watch; below are the number of the arming and that of the register.
const IS_TURN: u32 = 1 << 31;
const REGISTER_BITS: u32 = 3;
const REGISTERS: u32 = 1 << REGISTER_BITS;

/// What events carry: a register, of those that were armed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Carried {
    pub(super) arming: u32,
    pub(super) register: u32,
}

impl Carried {
    /// Stands for it among the numbers of watches.
    pub(super) fn number(self) -> u32 {
        IS_TURN | self.arming << REGISTER_BITS | self.register
    }

    /// What a number stands for; none where it is that of a watch.
    pub(super) fn of(number: u32) -> Option<Self> {
        let arming = (number & !IS_TURN) >> REGISTER_BITS;
        let register = number % REGISTERS;
        (number & IS_TURN != 0).then_some(Self { arming, register })
    }
}

/// Whose turn it is on each register, and was.
#[derive(Default)]
pub(super) struct Turns {
    /// By watch.
    turns: Vec<Turn>,
    /// By register: whose turn it is.
    registers: Vec<u32>,
    armings: HashMap<u32, Arming, RandomState>,
    next: u32,
}

/// Events that were opened at once: those of a process, or of all.
struct Arming {
    pid: u32,
    /// By watch: where it is there. None of those that are nowhere, and of those that do
    /// not take turns.
    places: Vec<Option<Watch>>,
    /// How samples are laid out.
    layout: Option<Layout>,
    /// By register: what it carried, the last at the end.
    stays: Vec<Vec<Stay>>,
    /// When all were closed.
    closed: Option<u64>,
}

/// A watch was in a register from some time on.
#[derive(Clone, Copy, Debug)]
struct Stay {
    since: u64,
    watch: u32,
    address: u64,
}

impl Turns {
    /// Who takes turns, and has a register at first.
    pub(super) fn set(&mut self, turns: &[Turn]) {
        self.turns = turns.to_vec();
        let first = turns.iter().enumerate().filter(|(_, turn)| **turn == Turn::Has);
        self.registers = first.map(|(watch, _)| watch as u32).collect();
    }

    /// Whether a watch takes turns.
    pub(super) fn takes(&self, watch: usize) -> bool {
        self.turns.get(watch).is_some_and(|turn| *turn != Turn::Stays)
    }

    /// The register that a watch has now, by turns.
    pub(super) fn register(&self, watch: usize) -> Option<u32> {
        let mut registers = self.registers.iter();
        registers.position(|own| *own == watch as u32).map(|register| register as u32)
    }

    /// Whose turn it is on a register.
    pub(super) fn on(&self, register: u32) -> Option<u32> {
        self.registers.get(register as usize).copied()
    }

    /// What is to be opened for a process, or the kernel's data, where these are its
    /// watches: all registers, if any of them takes turns.
    pub(super) fn opened(&self, watches: &[Option<Watch>]) -> Vec<Option<Watch>> {
        let all = watches.iter().enumerate();
        let like =
            all.clone().find_map(|(number, watch)| watch.filter(|_| self.takes(number)));
        let nowhere = like.map(|watch| Watch { address: Watch::PENDING, ..watch });
        all.map(|(number, watch)| match self.takes(number) {
            false => *watch,
            true => self.register(number).and(watch.or(nowhere)),
        })
        .collect()
    }

    /// These watches are armed for a process: gives the number of the arming, where any
    /// of them takes turns.
    pub(super) fn arm(&mut self, pid: u32, watches: &[Option<Watch>]) -> Option<u32> {
        let places = watches.iter().enumerate();
        let places: Vec<_> =
            places.map(|(it, watch)| watch.filter(|_| self.takes(it))).collect();
        if places.iter().all(Option::is_none) {
            return None;
        }
        let stay = |watch: &u32| Stay {
            since: 0,
            watch: *watch,
            address: address(&places, *watch),
        };
        let stays = self.registers.iter().map(|watch| vec![stay(watch)]).collect();
        let arming = Arming { pid, places, layout: None, stays, closed: None };
        let number = self.next;
        self.next = (self.next + 1) & (!IS_TURN >> REGISTER_BITS);
        self.armings.insert(number, arming);
        Some(number)
    }

    /// Samples of an arming are laid out like this.
    pub(super) fn lay_out(&mut self, arming: u32, layout: Layout) {
        if let Some(arming) = self.armings.get_mut(&arming) {
            arming.layout = Some(layout);
        }
    }

    /// How they are laid out.
    pub(super) fn layout(&self, carried: Carried) -> Option<&Layout> {
        self.armings.get(&carried.arming)?.layout.as_ref()
    }

    /// The watch that was hit at a time, at an address; none where it was a stray.
    pub(super) fn watch(&self, carried: Carried, time: u64, at: u64) -> Option<u32> {
        let arming = self.armings.get(&carried.arming)?;
        let stays = arming.stays.get(carried.register as usize)?;
        let stay = stays.iter().rev().find(|stay| stay.since <= time)?;
        (stay.address == at).then_some(stay.watch)
    }

    /// Where a watch is in what was armed at once.
    pub(super) fn place(&self, arming: u32, watch: u32) -> Option<Watch> {
        *self.armings.get(&arming)?.places.get(watch as usize)?
    }

    /// The places of a watch in all that is armed, each once.
    pub(super) fn addresses(&self, watch: u32) -> Vec<u64> {
        let places = self.armings.values().filter(|arming| arming.closed.is_none());
        let places = places.map(|arming| address(&arming.places, watch));
        let mut addresses: Vec<_> = places.filter(|it| *it != Watch::PENDING).collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }

    /// The registers that are to be passed on; none where they can not be.
    pub(super) fn check(&self, passes: &[Pass]) -> Option<Vec<u32>> {
        let fits = |pass: &Pass| {
            let waits = self.takes(pass.to) && self.register(pass.to).is_none();
            self.register(pass.from).filter(|_| waits)
        };
        let registers: Option<Vec<_>> = passes.iter().map(fits).collect();
        let once = |list: &mut dyn Iterator<Item = usize>| {
            let mut all: Vec<_> = list.collect();
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            all.len() == count
        };
        let alone = once(&mut passes.iter().map(|it| it.from))
            && once(&mut passes.iter().map(|it| it.to));
        registers.filter(|_| alone)
    }

    /// It is a watch's turn on a register from now on.
    pub(super) fn pass(&mut self, register: u32, watch: u32, since: u64) {
        self.registers[register as usize] = watch;
        for arming in self.armings.values_mut().filter(|it| it.closed.is_none()) {
            let address = address(&arming.places, watch);
            let stays = arming.stays.get_mut(register as usize);
            stays
                .into_iter()
                .for_each(|stays| stays.push(Stay { since, watch, address }));
        }
    }

    /// A watch of a process is elsewhere from now on, or nowhere. Gives whether it takes
    /// turns there.
    pub(super) fn moved(
        &mut self,
        (pid, watch): (u32, usize),
        address: Option<u64>,
        since: u64,
    ) -> bool {
        let register = self.register(watch);
        // The last arming of a process is that of its present image.
        let armings = self.armings.iter_mut().filter(|it| it.1.pid == pid);
        let Some((_, arming)) = armings.max_by_key(|it| *it.0) else { return false };
        let Some(Some(place)) = arming.places.get_mut(watch) else { return false };
        place.address = address.unwrap_or(Watch::PENDING);
        if let Some(register) = register {
            let stay = Stay { since, watch: watch as u32, address: place.address };
            let stays = arming.stays.get_mut(register as usize);
            stays.into_iter().for_each(|stays| stays.push(stay));
        }
        true
    }

    /// All events of an arming were closed.
    pub(super) fn close(&mut self, arming: u32, now: u64) {
        if let Some(arming) = self.armings.get_mut(&arming) {
            arming.closed = Some(now);
        }
    }

    /// All hits up to this time have come.
    pub(super) fn drained(&mut self, bound: u64) {
        self.armings.retain(|_, arming| arming.closed.is_none_or(|at| at >= bound));
        let stays = self.armings.values_mut().flat_map(|it| &mut it.stays);
        for stays in stays.filter(|stays| stays.len() > 1) {
            let over = stays.iter().skip(1).take_while(|stay| stay.since < bound).count();
            stays.drain(..over);
        }
    }
}

/// Where a watch is among these; [`Watch::PENDING`] where it is nowhere.
fn address(places: &[Option<Watch>], watch: u32) -> u64 {
    let place = places.get(watch as usize).copied().flatten();
    place.map_or(Watch::PENDING, |place| place.address)
}
