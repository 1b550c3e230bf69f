//! In which order the blocks of a handler run, which are in loops, and how long what
//! they set is used.

use std::collections::{HashMap, HashSet};

use crate::ir::{BlockId, Code, Dominators, Local, Op, Value};

/// What a block sets and others use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Name {
    /// A local.
    Local(u32),
    /// A value.
    Value(u32),
}

impl From<Local> for Name {
    fn from(local: Local) -> Self {
        Self::Local(local.0)
    }
}

impl From<Value> for Name {
    fn from(value: Value) -> Self {
        Self::Value(value.0)
    }
}

/// The order of a handler's blocks.
pub(super) struct Flow {
    /// Those that can be reached, each behind all that lead to it, loops apart.
    pub(super) order: Vec<BlockId>,
    positions: HashMap<BlockId, usize>,
    in_loop: HashSet<BlockId>,
    /// Locals that are set in loops.
    pub(super) set_in_loops: HashSet<Local>,
    /// By name, the position of the last block that uses it.
    uses: HashMap<Name, usize>,
}

impl Flow {
    pub(super) fn new(code: &Code) -> Self {
        let order = Dominators::new(code).order().to_vec();
        let positions: HashMap<_, _> =
            order.iter().enumerate().map(|(at, block)| (*block, at)).collect();
        let in_loop = in_loops(code, &order, &positions);
        let mut flow = Self {
            order,
            positions,
            in_loop,
            set_in_loops: HashSet::new(),
            uses: HashMap::new(),
        };
        flow.look_at(code);
        flow
    }

    fn look_at(&mut self, code: &Code) {
        for (at, id) in self.order.iter().enumerate() {
            let block = &code.blocks[id.0 as usize];
            for instruction in &block.instructions {
                match instruction.op {
                    Op::GetLocal(local) => _ = self.uses.insert(local.into(), at),
                    Op::SetLocal(local, _) if self.in_loop.contains(id) => {
                        self.set_in_loops.insert(local);
                    }
                    _ => {}
                }
                for value in instruction.op.operands() {
                    self.uses.insert(value.into(), at);
                }
            }
            if let Some(value) = block.terminator.operand() {
                self.uses.insert(value.into(), at);
            }
        }
    }

    /// Whether a block may run more than once.
    pub(super) fn is_in_loop(&self, block: BlockId) -> bool {
        self.in_loop.contains(&block)
    }

    /// Whether anything may run more than once.
    pub(super) fn has_loops(&self) -> bool {
        !self.in_loop.is_empty()
    }

    /// Whether a block, or one behind it, uses the name.
    pub(super) fn is_used_from(&self, block: BlockId, name: Name) -> bool {
        self.uses.get(&name).is_some_and(|last| *last >= self.positions[&block])
    }

    /// Whether going from the first block to the second is going back.
    pub(super) fn goes_back(&self, from: BlockId, to: BlockId) -> bool {
        self.positions[&to] <= self.positions[&from]
    }
}

/// The blocks that can follow a block, faults included.
fn followers(code: &Code, block: BlockId) -> impl Iterator<Item = BlockId> {
    let block = &code.blocks[block.0 as usize];
    block.terminator.successors().chain(block.on_fault)
}

/// The blocks of all loops: those that lead back to where their loop begins.
fn in_loops(
    code: &Code,
    order: &[BlockId],
    positions: &HashMap<BlockId, usize>,
) -> HashSet<BlockId> {
    let mut before: HashMap<BlockId, Vec<BlockId>> = HashMap::new();
    let mut back = Vec::new();
    for block in order {
        for next in followers(code, *block) {
            before.entry(next).or_default().push(*block);
            if positions[&next] <= positions[block] {
                back.push((*block, next));
            }
        }
    }
    let mut found = HashSet::new();
    for (last, first) in back {
        let mut seen = HashSet::from([first]);
        let mut pending = vec![last];
        while let Some(block) = pending.pop() {
            if seen.insert(block) {
                pending.extend(before.get(&block).into_iter().flatten());
            }
        }
        found.extend(seen);
    }
    found
}
