//! Which of the bytes in which a process has objects are in a register.
//!
//! Objects lie in *cells*, aligned bytes that a register covers. Cells take turns on the
//! registers that a session keeps for them.

use std::collections::BTreeMap;

use hwtrace_runtime::slots::activity;
use hwtrace_runtime::slots::turns::{Seat, Turns};
use hwtrace_runtime::slots::{Scope, Slots};

/// A register goes to another cell, or to none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Move {
    /// Its index among those for objects.
    pub(super) register: usize,
    /// The cell that it leaves, where that is there still.
    pub(super) left: Option<u64>,
    /// Where the cell begins.
    pub(super) address: Option<u64>,
}

/// The cells of a process.
#[derive(Debug)]
pub(super) struct Pool {
    /// By address.
    cells: BTreeMap<u64, Cell>,
    turns: Turns,
    /// By number among the turns: the cell; none of numbers that are to be used again.
    numbers: Vec<Option<u64>>,
    /// Numbers that no cell has and no register.
    free: Vec<usize>,
    /// By register: the number that has it.
    carried: Vec<usize>,
}

/// Aligned bytes with objects.
#[derive(Debug)]
pub(super) struct Cell {
    /// Among the turns.
    number: usize,
    /// The objects of which it holds bytes.
    pub(super) objects: Vec<u64>,
    /// By what hits on it are counted.
    pub(super) count: u32,
    /// When it came, in nanoseconds.
    since: u64,
    /// Hits of its last turns.
    hits: u64,
    /// How much of a register it is to have, compared to others.
    pub(super) weight: u32,
    /// What it held last, where that is known.
    pub(super) last: Option<u64>,
    /// Whether it ever had a register.
    pub(super) had_turn: bool,
}

/// Of one that came just now.
pub(super) const WEIGHT_OF_NEW: u32 = activity::weight(0, 0);

const SEAT: Seat = Seat { pinned: false, weight: 1, scope: Scope::Tasks };

impl Pool {
    /// So many registers, none of which is anywhere.
    pub(super) fn new(registers: usize, seed: u64) -> Self {
        let slots = Slots { tasks: registers, kernel: 0 };
        let mut turns = Turns::new(&vec![SEAT; registers], slots, seed);
        (0..registers).for_each(|number| turns.want(number, false));
        let carried = (0..registers).collect();
        let (cells, numbers) = (BTreeMap::new(), vec![None; registers]);
        Self { cells, turns, numbers, free: Vec::new(), carried }
    }

    /// The cell that begins at an address.
    pub(super) fn cell(&mut self, address: u64) -> Option<&mut Cell> {
        self.cells.get_mut(&address)
    }

    /// Whether there is a cell that begins at an address.
    pub(super) fn has(&self, address: u64) -> bool {
        self.cells.contains_key(&address)
    }

    /// How many cells there are.
    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whose turn it is.
    pub(super) fn turns(&mut self) -> &mut Turns {
        &mut self.turns
    }

    /// Whether cells wait for their turn.
    pub(super) fn rotates(&self) -> bool {
        self.cells.len() > self.carried.len()
    }

    /// An object has bytes in a cell that holds others already. Gives whether there is such
    /// a cell.
    pub(super) fn join(&mut self, address: u64, object: u64) -> bool {
        let cell = self.cells.get_mut(&address);
        cell.map(|cell| cell.objects.push(object)).is_some()
    }

    /// A new cell with an object, which has a register at once where one is free.
    pub(super) fn add(
        &mut self,
        address: u64,
        object: u64,
        count: u32,
        now: u64,
    ) -> Option<Move> {
        let unused = |number: &usize| self.numbers[*number].is_none();
        let register = self.carried.iter().position(unused);
        let number = match register {
            Some(register) => Some(self.carried[register]),
            None => self.free.pop(),
        };
        let number = number.unwrap_or_else(|| {
            self.numbers.push(None);
            self.turns.add(SEAT)
        });
        self.turns.set_weight(number, WEIGHT_OF_NEW);
        self.turns.want(number, true);
        self.numbers[number] = Some(address);
        let objects = vec![object];
        let cell = Cell {
            number,
            objects,
            count,
            since: now,
            hits: 0,
            weight: WEIGHT_OF_NEW,
            last: None,
            had_turn: false,
        };
        self.cells.insert(address, cell);
        register.map(|register| Move { register, left: None, address: Some(address) })
    }

    /// An object has none of the bytes of a cell any more. The cell, where it was the last
    /// one, and who has its register then.
    pub(super) fn remove(
        &mut self,
        address: u64,
        object: u64,
    ) -> Option<(Cell, Option<Move>)> {
        let cell = self.cells.get_mut(&address)?;
        cell.objects.retain(|own| *own != object);
        if !cell.objects.is_empty() {
            return None;
        }
        let cell = self.cells.remove(&address)?;
        let number = cell.number;
        self.numbers[number] = None;
        self.turns.remove(number);
        let Some(register) = self.register(number) else {
            self.free.push(number);
            return Some((cell, None));
        };
        let coming = self.turns.relieve();
        let moves = self.passed(&coming);
        let moved = moves.into_iter().find(|it| it.register == register);
        let nowhere = Move { register, left: None, address: None };
        Some((cell, Some(moved.unwrap_or(nowhere))))
    }

    /// A cell was hit, and holds this now where that is known.
    pub(super) fn hit(&mut self, address: u64, holds: Option<u64>) -> Option<&Cell> {
        let cell = self.cells.get_mut(&address)?;
        cell.hits += 1;
        cell.last = holds;
        Some(cell)
    }

    /// The next turn: which registers go where.
    pub(super) fn turn(&mut self, now: u64) -> Vec<Move> {
        for cell in self.cells.values_mut() {
            let age = now.saturating_sub(cell.since);
            cell.weight = activity::weight(age, cell.hits);
            self.turns.set_weight(cell.number, cell.weight);
            if self.carried.contains(&cell.number) {
                cell.hits = activity::faded(cell.hits);
            }
        }
        let passes = self.turns.advance();
        self.passed(&passes)
    }

    /// Those that have a register, or are about to.
    pub(super) fn chosen(&self) -> impl Iterator<Item = &Cell> {
        let addresses = self.carried.iter().filter_map(|number| self.numbers[*number]);
        addresses.filter_map(|address| self.cells.get(&address))
    }

    /// Those that had no turn yet.
    pub(super) fn without_turn(&self) -> usize {
        self.cells.values().filter(|cell| !cell.had_turn).count()
    }

    /// All cells, when the process is gone.
    pub(super) fn into_cells(self) -> impl Iterator<Item = Cell> {
        self.cells.into_values()
    }

    /// The cell that a register has.
    pub(super) fn of_register(&self, register: usize) -> Option<u64> {
        self.numbers[*self.carried.get(register)?]
    }

    fn register(&self, number: usize) -> Option<usize> {
        self.carried.iter().position(|own| *own == number)
    }

    fn passed(&mut self, passes: &[hwtrace_runtime::engine::Pass]) -> Vec<Move> {
        let mut moves = Vec::new();
        for pass in passes {
            let Some(register) = self.register(pass.from) else { continue };
            self.carried[register] = pass.to;
            let [left, address] = [pass.from, pass.to].map(|it| self.numbers[it]);
            if left.is_none() {
                self.free.push(pass.from);
            }
            moves.push(Move { register, left, address });
        }
        moves
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    /// What the registers hold, by the moves alone.
    struct Held(Vec<Option<u64>>);

    impl Held {
        fn take(&mut self, moves: impl IntoIterator<Item = Move>) {
            for Move { register, left, address } in moves {
                // Who was told to leave it had it; of those that have gone nothing is told.
                assert!(left.is_none() || left == self.0[register]);
                self.0[register] = address;
            }
        }

        /// They agree with the pool, and no register is idle while a cell waits.
        fn check(&self, pool: &Pool) {
            let held: Vec<_> = self.0.iter().flatten().collect();
            let distinct: BTreeSet<_> = held.iter().collect();
            assert_eq!(held.len(), distinct.len(), "a cell has one register");
            assert!(held.iter().all(|address| pool.cells.contains_key(address)));
            assert_eq!(held.len(), pool.cells.len().min(self.0.len()));
            for (register, address) in self.0.iter().enumerate() {
                assert_eq!(pool.of_register(register), *address);
            }
        }
    }

    #[test]
    fn registers_hold_cells_as_long_as_there_are_any() {
        let mut pool = Pool::new(4, 7);
        let mut held = Held(vec![None; 4]);
        let mut choice = 1u64;
        let mut there = BTreeSet::new();
        for round in 0..20_000u64 {
            choice = choice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let address = 8 * (choice >> 33) % 800;
            match choice >> 60 {
                0..6 if there.insert(address) => {
                    held.take(pool.add(address, 1, 0, round))
                }
                6..12 if there.remove(&address) => {
                    let (_, moved) = pool.remove(address, 1).expect("it was there");
                    held.take(moved);
                }
                _ => held.take(pool.turn(round)),
            }
            held.check(&pool);
            assert_eq!(pool.rotates(), there.len() > 4);
        }
        assert!(pool.numbers.len() <= 110, "numbers are used again");
    }

    #[test]
    fn all_have_turns_and_those_that_are_hit_have_more() {
        let mut pool = Pool::new(3, 1);
        let old = 60_000_000_000;
        for cell in 0..200u64 {
            pool.add(8 * cell, cell, 0, 0);
        }
        let mut turns: BTreeMap<u64, u32> = BTreeMap::new();
        for round in 0..20_000 {
            pool.turn(old + round);
            for register in 0..3 {
                let address = pool.of_register(register).expect("all wait");
                *turns.entry(address).or_default() += 1;
                if address == 80 {
                    (0..200).for_each(|_| assert!(pool.hit(address, None).is_some()));
                }
            }
        }
        assert_eq!(turns.len(), 200);
        let hit = turns.remove(&80).expect("it had turns");
        let least = turns.values().min().expect("there are others");
        assert!(*least > 200, "{least}");
        assert!(hit > 4 * least, "{hit} of {least}");
    }

    #[test]
    fn cells_are_shared_until_the_last_object_goes() {
        let mut pool = Pool::new(1, 1);
        assert!(!pool.join(8, 1));
        assert!(pool.add(8, 1, 5, 0).is_some());
        assert!(pool.join(8, 2));
        assert!(pool.remove(8, 1).is_none() && pool.remove(16, 1).is_none());
        let (cell, moved) = pool.remove(8, 2).expect("it was the last");
        assert_eq!(cell.count, 5);
        assert_eq!(moved, Some(Move { register: 0, left: None, address: None }));
    }

    #[test]
    fn a_move_names_the_cell_whose_turn_it_ends() {
        let mut pool = Pool::new(1, 1);
        let first = pool.add(8, 1, 0, 0);
        assert_eq!(first, Some(Move { register: 0, left: None, address: Some(8) }));
        assert_eq!(pool.add(16, 2, 0, 0), None);
        let turn = Move { register: 0, left: Some(8), address: Some(16) };
        assert_eq!(pool.turn(1), [turn]);
        let (_, moved) = pool.remove(16, 2).expect("it was there");
        assert_eq!(moved, Some(Move { register: 0, left: None, address: Some(8) }));
    }
}
