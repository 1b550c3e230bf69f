//! Which hits a handler does something with, by what it asks before it does
//! anything; and which bring it to a signal that it sends.
//!
//! The handler is followed from its start, on each way for itself: what is known of
//! locals there is put in, so that `a && b` needs no place for its result. A way that
//! ends before anything was done drops the hit; where something is done, may go
//! wrong, or is not known at the hit, it passes. On the way to a signal it is the other
//! way round: only what comes there for certain passes.

use std::collections::{BTreeMap, HashMap};

use hwtrace_runtime::abi::SIGSTOP;
use hwtrace_runtime::plan::{
    Block, Comparison, Does, Filter, Input, Next, SLOTS_MAX, Slot, Step, Unary,
};

use super::acts::{self, Means};
use super::asked;
use super::flow::{Flow, Name};
use super::steps::Steps;
use super::symbol::{Made, Symbol, Symbols, Why};
use crate::ir::{BinaryOp, BlockId, Code, Instruction, Module, Op, Terminator, Value};

/// Places in the handler that are gone on from, and choices between ways, at most;
/// beyond them hits pass.
const PLACES_MAX: usize = 512;
const CHOICES_MAX: usize = 96;
/// Numbers in memory that a filter reads at most; each has a slot throughout. The
/// other slots are each block's own.
const LOADS_MAX: u16 = 16;

/// What locals and values are on a way.
type Known = BTreeMap<Name, Symbol>;

/// The two blocks that all ways end in.
const PASS: usize = 0;
const DROP: usize = 1;

/// Which hits are looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    /// Those that the handler does something with, and all that may be such.
    Use,
    /// Those at which it certainly sends this signal.
    Signal(i32),
}

impl Goal {
    /// Where what is not known goes.
    fn unsure(self) -> usize {
        match self {
            Self::Use => PASS,
            Self::Signal(_) => DROP,
        }
    }
}

struct Builder<'a> {
    goal: Goal,
    module: &'a Module,
    code: &'a Code,
    flow: &'a Flow,
    symbols: Symbols,
    loads: HashMap<Symbol, Slot>,
    /// Blocks behind those that they go on to.
    blocks: Vec<Node>,
    /// The block that goes on from a block of the handler with what is known there.
    made: HashMap<(BlockId, Known), usize>,
    places: usize,
    choices: usize,
    slots: u16,
}

/// Steps, and the slot that tells whether those behind them are to run.
type Head = (Vec<Step>, Slot);

/// A block whose next are nodes.
struct Node {
    steps: Vec<Step>,
    next: Then,
}

#[derive(Clone, Copy)]
enum Then {
    End(Next),
    Go(usize),
    Choose(Slot, usize, usize),
}

/// What an instruction means for the way.
enum Outcome {
    GoOn,
    /// What is looked for.
    Pass,
    /// It does not come there.
    Drop,
    Unsure,
}

/// The filter of a handler; none where no hit can be dropped.
pub(super) fn filter(module: &Module, code: &Code, flow: &Flow) -> Option<Filter> {
    look_for(Goal::Use, module, code, flow)
}

/// The hits at which a handler sends a signal; none where there are none, or that is
/// not known.
pub(super) fn sends(
    signal: i32,
    module: &Module,
    code: &Code,
    flow: &Flow,
) -> Option<Filter> {
    look_for(Goal::Signal(signal), module, code, flow)
}

fn look_for(goal: Goal, module: &Module, code: &Code, flow: &Flow) -> Option<Filter> {
    if !has_fuel(module, code, flow) {
        return None;
    }
    let end = |next| Node { steps: Vec::new(), next: Then::End(next) };
    let mut builder = Builder {
        goal,
        module,
        code,
        flow,
        symbols: Symbols::default(),
        loads: HashMap::new(),
        blocks: vec![end(Next::Pass), end(Next::Drop)],
        made: HashMap::new(),
        places: 0,
        choices: 0,
        slots: 0,
    };
    let first = builder.enter(BlockId(0), Known::new());
    builder.finish(first)
}

/// Whether there is fuel enough to come to the end of every way without a loop.
fn has_fuel(module: &Module, code: &Code, flow: &Flow) -> bool {
    let blocks = flow.order.iter().filter(|block| !flow.is_in_loop(**block));
    let instructions =
        blocks.flat_map(|block| &code.blocks[block.0 as usize].instructions);
    let taken = instructions.filter_map(|instruction| match instruction.op {
        Op::Fuel(steps) => Some(u64::from(steps)),
        _ => None,
    });
    taken.sum::<u64>() <= module.steps_max.into()
}

impl Builder<'_> {
    /// The filter's block that goes on in a block of the handler.
    fn enter(&mut self, id: BlockId, mut known: Known) -> usize {
        known.retain(|name, _| self.flow.is_used_from(id, *name));
        let key = (id, known);
        if let Some(block) = self.made.get(&key) {
            return *block;
        }
        self.places += 1;
        let unsure = self.goal.unsure();
        if self.places > PLACES_MAX {
            return unsure;
        }
        let block = self.follow(id, key.1.clone()).unwrap_or(unsure);
        self.made.insert(key, block);
        block
    }

    /// Follows the handler to where it chooses; none where that is not known.
    fn follow(&mut self, mut id: BlockId, mut known: Known) -> Option<usize> {
        let mut steps = Steps::new(LOADS_MAX..SLOTS_MAX, self.loads.clone());
        loop {
            if self.flow.is_in_loop(id) {
                return None;
            }
            let block = &self.code.blocks[id.0 as usize];
            for instruction in &block.instructions {
                match self.instruction(instruction, &mut known, &mut steps) {
                    Outcome::GoOn => {}
                    Outcome::Pass => return Some(self.go(steps, PASS)),
                    Outcome::Drop => return Some(self.go(steps, DROP)),
                    Outcome::Unsure => return None,
                }
            }
            let next = match block.terminator {
                Terminator::Jump(next) => next,
                Terminator::Branch(value, then, otherwise) => {
                    let condition = self.value(&known, value);
                    match self.symbols.constant(condition) {
                        Some(0) => otherwise,
                        Some(_) => then,
                        None => {
                            let ways = (then, otherwise);
                            return self.branch(condition, ways, known, steps);
                        }
                    }
                }
                Terminator::Return(_) | Terminator::Leave => {
                    return Some(self.go(steps, DROP));
                }
            };
            if steps.list.is_empty() {
                return Some(self.enter(next, known));
            }
            id = next;
        }
    }

    fn value(&mut self, known: &Known, value: Value) -> Symbol {
        let there = known.get(&value.into()).copied();
        there.unwrap_or_else(|| self.symbols.unknown(Why::Operator))
    }

    fn instruction(
        &mut self,
        Instruction { result, op, .. }: &Instruction,
        known: &mut Known,
        steps: &mut Steps,
    ) -> Outcome {
        if !is_pure(op) {
            return self.does(op);
        }
        let symbol = match op {
            Op::SetLocal(local, value) => {
                let symbol = self.value(known, *value);
                known.insert((*local).into(), symbol);
                return Outcome::GoOn;
            }
            Op::GetLocal(local) => match known.get(&(*local).into()) {
                Some(symbol) => *symbol,
                None => self.symbols.put(Made::Constant(0)),
            },
            Op::Binary(BinaryOp::Divide | BinaryOp::Remainder, _, divisor) => {
                let divisor = self.value(known, *divisor);
                if matches!(self.symbols.constant(divisor), None | Some(0)) {
                    return Outcome::Unsure;
                }
                self.result(op, known)
            }
            _ => self.result(op, known),
        };
        if asked::load(op).is_some() && self.load(symbol, steps).is_none() {
            return Outcome::Unsure;
        }
        if let Some(value) = result {
            known.insert((*value).into(), symbol);
        }
        Outcome::GoOn
    }

    /// What it means that an instruction does something. What it gives stays unknown.
    fn does(&self, op: &Op) -> Outcome {
        match self.goal {
            Goal::Use => Outcome::Pass,
            Goal::Signal(signal) => match acts::means(self.module, self.code, op) {
                Means::Sends(sent) if sent == signal => Outcome::Pass,
                Means::Sends(_) | Means::Nothing => Outcome::GoOn,
                Means::Leaves => Outcome::Drop,
                // A stop that it does not come to is taken back.
                Means::MayFault if i64::from(signal) == SIGSTOP => Outcome::GoOn,
                Means::MayFault | Means::Anything => Outcome::Unsure,
            },
        }
    }

    fn result(&mut self, op: &Op, known: &Known) -> Symbol {
        let unknown = self.symbols.unknown(Why::Operator);
        let of = |value: Value| known.get(&value.into()).copied().unwrap_or(unknown);
        self.symbols.result(self.module, op, &of)
    }

    /// Reads a number in memory: where that can not be read, the handler faults, and
    /// so is to run.
    fn load(&mut self, symbol: Symbol, steps: &mut Steps) -> Option<()> {
        let Made::Load(address, load) = self.symbols.made(symbol) else {
            return None;
        };
        let free = Slot(self.loads.len() as u16);
        let to = *self.loads.entry(symbol).or_insert(free);
        if to.0 >= LOADS_MAX {
            return None;
        }
        let address = steps.slot(&self.symbols, address)?;
        let does = Does::Load { address, load, keep: false };
        steps.list.push(Step { to, does });
        steps.know(symbol, to);
        self.slots = self.slots.max(to.0 + 1);
        Some(())
    }

    /// A block that chooses between two ways.
    fn branch(
        &mut self,
        condition: Symbol,
        (then, otherwise): (BlockId, BlockId),
        known: Known,
        mut steps: Steps,
    ) -> Option<usize> {
        let (condition, negated) = self.bare(condition);
        self.choices += 1;
        let is_unknown = self.symbols.why_unknown(condition).is_some();
        if self.choices > CHOICES_MAX || is_unknown && self.goal == Goal::Use {
            return None;
        }
        let then = self.enter(then, known.clone());
        let otherwise = self.enter(otherwise, known);
        if then == otherwise {
            return Some(self.go(steps, then));
        }
        if is_unknown {
            return None;
        }
        let (head, slot) = self.condition(condition, &mut steps)?;
        let (then, otherwise) =
            if negated { (otherwise, then) } else { (then, otherwise) };
        self.slots = self.slots.max(steps.first_free());
        let chosen = self.put(steps.list, Then::Choose(slot, then, otherwise));
        Some(match head {
            // What the access was is not known yet: who knows may know another.
            Some((head, access)) => {
                let unsure = self.goal.unsure();
                self.put(head, Then::Choose(access, chosen, unsure))
            }
            None => chosen,
        })
    }

    /// The steps that compute a condition, and its slot; in front of those that
    /// depend on the access others, with the slot that tells whether it is known.
    fn condition(
        &mut self,
        condition: Symbol,
        steps: &mut Steps,
    ) -> Option<(Option<Head>, Slot)> {
        let head = if self.symbols.has_access(condition) {
            let access = self.symbols.put(Made::Input(Input::Access));
            let access = steps.slot(&self.symbols, access)?;
            Some((std::mem::take(&mut steps.list), access))
        } else {
            None
        };
        Some((head, steps.slot(&self.symbols, condition)?))
    }

    /// What a condition asks without `!` and comparisons with 0, and whether it is
    /// the other way round.
    fn bare(&self, mut condition: Symbol) -> (Symbol, bool) {
        let mut negated = false;
        loop {
            condition = match self.symbols.made(condition) {
                Made::Unary(Unary::Not, of) => {
                    negated = !negated;
                    of
                }
                Made::Compare(Comparison::NotEqual, of, zero)
                    if self.symbols.constant(zero) == Some(0) =>
                {
                    of
                }
                _ => return (condition, negated),
            };
        }
    }

    /// What runs the steps that may pass and goes on to a block.
    fn go(&mut self, mut steps: Steps, to: usize) -> usize {
        let last = |step: &Step| matches!(step.does, Does::Load { .. });
        let needed = steps.list.iter().rposition(last).map_or(0, |last| last + 1);
        steps.list.truncate(needed);
        if to == self.goal.unsure() || steps.list.is_empty() {
            return to;
        }
        self.slots = self.slots.max(steps.first_free());
        self.put(steps.list, Then::Go(to))
    }

    fn put(&mut self, steps: Vec<Step>, next: Then) -> usize {
        self.blocks.push(Node { steps, next });
        self.blocks.len() - 1
    }

    /// The filter that starts with a block, of the blocks that it leads to.
    fn finish(self, first: usize) -> Option<Filter> {
        let mut wanted = vec![false; self.blocks.len()];
        wanted[first] = true;
        for at in (0..=first).rev().filter(|at| *at > DROP) {
            if wanted[at] {
                self.blocks[at].next.blocks().for_each(|next| wanted[next] = true);
            }
        }
        let looked_for = match self.goal {
            Goal::Use => DROP,
            Goal::Signal(_) => PASS,
        };
        if !wanted[looked_for] {
            return None;
        }
        // From the last made to the first, so that all go on to later ones.
        let kept: Vec<_> = (0..=first.max(DROP)).rev().filter(|at| wanted[*at]).collect();
        let numbers: HashMap<_, _> =
            kept.iter().enumerate().map(|(number, at)| (*at, number as u16)).collect();
        let block = |at: &usize| {
            let Node { steps, next } = &self.blocks[*at];
            let next = match next {
                Then::End(next) => *next,
                Then::Go(next) => Next::Go(numbers[next]),
                Then::Choose(slot, then, otherwise) => {
                    Next::Choose(*slot, numbers[then], numbers[otherwise])
                }
            };
            Block { steps: steps.clone(), next }
        };
        Some(Filter { slots: self.slots, blocks: kept.iter().map(block).collect() })
    }
}

impl Then {
    fn blocks(self) -> impl Iterator<Item = usize> {
        let (first, second) = match self {
            Self::End(_) => (None, None),
            Self::Go(next) => (Some(next), None),
            Self::Choose(_, then, otherwise) => (Some(then), Some(otherwise)),
        };
        first.into_iter().chain(second)
    }
}

/// Whether an instruction does nothing that anybody could see, and faults, if at
/// all, where a filter can tell.
fn is_pure(op: &Op) -> bool {
    match op {
        Op::Call(helper, _) => {
            matches!(helper.name, "access" | "register_value")
                || asked::load(op).is_some()
        }
        Op::Long(_)
        | Op::Double(_)
        | Op::Text(_)
        | Op::Field(_)
        | Op::GetLocal(_)
        | Op::SetLocal(..)
        | Op::GetLong(_)
        | Op::Unary(..)
        | Op::NegateDouble(_)
        | Op::Binary(..)
        | Op::BinaryDouble(..)
        | Op::Compare(..)
        | Op::CompareDouble(..)
        | Op::CompareText(..)
        | Op::ToDouble(_)
        | Op::FromBits { .. }
        | Op::Load { .. }
        | Op::HasElement(..)
        | Op::Mark
        | Op::Fuel(_) => true,
        _ => false,
    }
}
