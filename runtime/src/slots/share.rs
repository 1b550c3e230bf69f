//! Which pieces share a register.
//!
//! Pieces are aligned to their lengths, which are powers of two up to 8. So each lies in one
//! aligned word of 8 bytes, and those of which one covers another are nested: of those that
//! do not, few are in a word, and words know nothing of one another.

use super::{Claim, Scope};
use crate::event::{Trigger, Watch};

/// The greatest length of a register.
const WORD: u64 = 8;

/// A piece of a claim.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// Index of the claim.
    pub(super) claim: usize,
    /// Index of the piece in it.
    pub(super) number: usize,
    /// What it is.
    pub(super) watch: Watch,
}

/// What one register watches, and for whom.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) watch: Watch,
    pub(super) scope: Scope,
    /// Whether all of them are.
    pub(super) fixed: bool,
    /// In the order in which they were asked for.
    pub(super) pieces: Vec<Piece>,
}

impl Cell {
    fn new(piece: Piece, claim: &Claim) -> Self {
        let Claim { scope, fixed, .. } = *claim;
        Self { watch: piece.watch, scope, fixed, pieces: vec![piece] }
    }

    /// Where it lies: cells of one place may share. None where that is not known.
    fn place(&self) -> Option<(Scope, u64)> {
        let known = self.watch.is_placed();
        known.then_some((self.scope, self.watch.address / WORD))
    }

    /// When it was first asked for.
    fn order(&self) -> Option<(usize, usize)> {
        self.pieces.first().map(|piece| (piece.claim, piece.number))
    }

    /// Whether it wants stores alone, and the other one all accesses to its bytes. Where it
    /// moves, somebody must have asked for these as they are.
    fn may_join(&self, other: &Self) -> bool {
        let covered = || other.pieces.iter().any(|it| covers(it.watch, self.watch));
        self.watch.trigger == Trigger::Write
            && other.watch.trigger == Trigger::ReadWrite
            && covers(other.watch, self.watch)
            && (self.fixed && other.fixed || covered())
    }

    fn take(&mut self, other: Self) {
        self.pieces.extend(other.pieces);
        self.pieces.sort_unstable_by_key(|piece| (piece.claim, piece.number));
        self.fixed &= other.fixed;
    }
}

/// What covers the bytes of another.
fn covers(outer: Watch, inner: Watch) -> bool {
    let within = inner.address.wrapping_sub(outer.address);
    within.saturating_add(inner.length.into()) <= outer.length.into()
}

/// The registers of all pieces, where those share that lose nothing by it.
pub(super) fn cells(claims: &[Claim]) -> Vec<Cell> {
    let pieces = claims.iter().enumerate().flat_map(|(number, claim)| {
        let pieces = claim.pieces.iter().enumerate();
        pieces.map(move |(piece, watch)| {
            Cell::new(Piece { claim: number, number: piece, watch: *watch }, claim)
        })
    });
    let mut pieces: Vec<Cell> = pieces.collect();
    pieces.sort_by_key(|cell| (cell.place(), std::cmp::Reverse(cell.watch.length)));
    let mut cells: Vec<Cell> = Vec::new();
    for piece in pieces {
        let place = piece.place();
        let known = cells
            .iter_mut()
            .rev()
            .take_while(|cell| place.is_some() && cell.place() == place)
            .find(|cell| {
                cell.watch.trigger == piece.watch.trigger
                    && covers(cell.watch, piece.watch)
            });
        match known {
            Some(cell) => {
                cell.fixed &= piece.fixed;
                cell.pieces.extend(piece.pieces);
            }
            None => cells.push(piece),
        }
    }
    for cell in &mut cells {
        cell.pieces.sort_unstable_by_key(|piece| (piece.claim, piece.number));
    }
    cells.sort_by_key(Cell::order);
    cells
}

/// Has more of them share, until they are at most `enough`.
pub(super) fn merge(cells: &mut Vec<Cell>, enough: usize) {
    if cells.len() <= enough {
        return;
    }
    let mut surplus = cells.len() - enough;
    let mut words = words(std::mem::take(cells));
    for word in &mut words {
        word.join(&mut surplus);
    }
    for length in [2, 4, WORD] {
        for word in &mut words {
            word.widen(length, &mut surplus);
        }
        for word in &mut words {
            word.join(&mut surplus);
        }
    }
    cells.extend(words.into_iter().flat_map(|word| word.cells));
    cells.sort_by_key(Cell::order);
}

/// The cells of one place.
struct Word {
    cells: Vec<Cell>,
}

fn words(mut cells: Vec<Cell>) -> Vec<Word> {
    cells.sort_by_key(|cell| (cell.place(), cell.watch.address));
    let mut words: Vec<Word> = Vec::new();
    for cell in cells {
        let place = cell.place();
        match words.last_mut() {
            Some(word) if place.is_some() && word.cells[0].place() == place => {
                word.cells.push(cell);
            }
            _ => words.push(Word { cells: vec![cell] }),
        }
    }
    words
}

impl Word {
    /// Who wants stores alone goes where all accesses to its bytes are reported.
    fn join(&mut self, surplus: &mut usize) {
        let mut at = 0;
        while at < self.cells.len() && *surplus > 0 {
            let own = &self.cells[at];
            let other = self.cells.iter().position(|other| own.may_join(other));
            let Some(other) = other else {
                at += 1;
                continue;
            };
            let cell = self.cells.remove(at);
            self.cells[other - usize::from(other > at)].take(cell);
            *surplus -= 1;
        }
    }

    /// Who lies in the same aligned bytes of this length shares one register of them.
    fn widen(&mut self, length: u64, surplus: &mut usize) {
        for trigger in [Trigger::Write, Trigger::ReadWrite] {
            for block in 0..WORD / length {
                if *surplus == 0 {
                    return;
                }
                *surplus -= self.widen_block(trigger, block, length).min(*surplus);
            }
        }
    }

    /// Gives how many fewer there are.
    fn widen_block(&mut self, trigger: Trigger, block: u64, length: u64) -> usize {
        let Some(first) = self.cells.first().filter(|first| first.place().is_some())
        else {
            return 0;
        };
        let address = first.watch.address / WORD * WORD + block * length;
        let watch = Watch { address, length: length as u32, trigger };
        let within = |cell: &Cell| {
            cell.fixed && cell.watch.trigger == trigger && covers(watch, cell.watch)
        };
        let count = self.cells.iter().filter(|cell| within(cell)).count();
        if count < 2 {
            return 0;
        }
        let (inside, mut outside): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.cells).into_iter().partition(within);
        let merged = inside.into_iter().reduce(|mut one, other| {
            one.take(other);
            one
        });
        outside.extend(merged.map(|cell| Cell { watch, ..cell }));
        self.cells = outside;
        count - 1
    }
}
