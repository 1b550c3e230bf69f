//! Which blocks are on every path to a block: what a value that is set there
//! can rely on.
//!
//! A block that may fault is two nodes: its start, from which a fault goes on
//! (before any of its values is set, for all that is known), and its end,
//! where all of its values are set. Computed as Cooper, Harvey and Kennedy
//! do, "A Simple, Fast Dominance Algorithm".

use super::{BlockId, Code};

const NONE: u32 = u32::MAX;

/// The dominator tree of a code's blocks.
#[derive(Clone, Debug)]
pub struct Dominators {
    /// Blocks in reverse postorder, those that nothing enters left out.
    order: Vec<BlockId>,
    /// By node, the numbers between which those of all dominated nodes are.
    span: Vec<(u32, u32)>,
}

fn start(block: usize) -> usize {
    2 * block
}

fn end(block: usize) -> usize {
    2 * block + 1
}

impl Dominators {
    /// Of `code`, whose blocks refer to blocks that exist.
    pub fn new(code: &Code) -> Self {
        let graph: Vec<Vec<usize>> = (0..2 * code.blocks.len())
            .map(|node| successors(code, node).collect())
            .collect();
        let postorder = postorder(&graph);
        let parents = parents(&graph, &postorder);
        let starts = postorder.iter().rev().filter(|node| node.is_multiple_of(2));
        let order = starts.map(|node| BlockId((*node / 2) as u32)).collect();
        Self { order, span: spans(&parents, &postorder) }
    }

    /// The blocks that can be reached, each behind those that dominate it.
    pub fn order(&self) -> &[BlockId] {
        &self.order
    }

    /// Whether all values of `first` are set wherever `second` starts. No
    /// block is said to come before itself.
    pub fn precedes(&self, first: BlockId, second: BlockId) -> bool {
        let (low, high) = self.span[end(first.0 as usize)];
        let (at, _) = self.span[start(second.0 as usize)];
        at != NONE && low != NONE && low <= at && at <= high
    }

    /// Whether a block can be reached.
    pub fn is_reached(&self, block: BlockId) -> bool {
        self.span[start(block.0 as usize)].0 != NONE
    }
}

/// The nodes that can follow a node.
fn successors(code: &Code, node: usize) -> impl Iterator<Item = usize> {
    let block = &code.blocks[node / 2];
    let at_start = node.is_multiple_of(2);
    let through = at_start.then_some(node + 1);
    let fault = block.on_fault.filter(|_| at_start);
    let after = (!at_start).then(|| block.terminator.successors()).into_iter().flatten();
    let blocks = fault.into_iter().chain(after);
    through.into_iter().chain(blocks.map(|block| start(block.0 as usize)))
}

/// The nodes that can be reached from the first, each behind all that can be
/// reached from it, loops apart.
fn postorder(graph: &[Vec<usize>]) -> Vec<usize> {
    let mut order = Vec::with_capacity(graph.len());
    let mut seen = vec![false; graph.len()];
    let mut path: Vec<(usize, usize)> = Vec::new();
    if !graph.is_empty() {
        seen[0] = true;
        path.push((0, 0));
    }
    while let Some((node, next)) = path.last_mut() {
        let Some(successor) = graph[*node].get(*next).copied() else {
            order.push(*node);
            path.pop();
            continue;
        };
        *next += 1;
        if !std::mem::replace(&mut seen[successor], true) {
            path.push((successor, 0));
        }
    }
    order
}

/// The immediate dominator of each node, the first node's being itself.
fn parents(graph: &[Vec<usize>], postorder: &[usize]) -> Vec<u32> {
    let mut rank = vec![NONE; graph.len()];
    for (at, node) in postorder.iter().enumerate() {
        rank[*node] = at as u32;
    }
    let mut predecessors = vec![Vec::new(); graph.len()];
    for node in postorder {
        for successor in &graph[*node] {
            predecessors[*successor].push(*node);
        }
    }
    let mut parents = vec![NONE; graph.len()];
    let Some(first) = postorder.last() else {
        return parents;
    };
    parents[*first] = *first as u32;
    let mut changed = true;
    while std::mem::take(&mut changed) {
        for node in postorder.iter().rev().skip(1) {
            let known = predecessors[*node].iter().filter(|node| parents[**node] != NONE);
            let common =
                known.copied().reduce(|left, right| meet(left, right, &parents, &rank));
            let common = common.map_or(NONE, |common| common as u32);
            changed |= parents[*node] != common;
            parents[*node] = common;
        }
    }
    parents
}

/// The nearest node that dominates both.
fn meet(mut left: usize, mut right: usize, parents: &[u32], rank: &[u32]) -> usize {
    while left != right {
        while rank[left] < rank[right] {
            left = parents[left] as usize;
        }
        while rank[right] < rank[left] {
            right = parents[right] as usize;
        }
    }
    left
}

/// Numbers the tree so that the nodes below a node are those in its span.
fn spans(parents: &[u32], postorder: &[usize]) -> Vec<(u32, u32)> {
    let mut size = vec![0u32; parents.len()];
    for node in postorder {
        size[*node] += 1;
        let parent = parents[*node] as usize;
        if parent != *node {
            size[parent] += size[*node];
        }
    }
    let mut span = vec![(NONE, 0); parents.len()];
    let mut free = vec![0u32; parents.len()];
    for node in postorder.iter().rev() {
        let parent = parents[*node] as usize;
        let first = if parent == *node { 0 } else { free[parent] };
        free[parent] = first + size[*node];
        free[*node] = first + 1;
        span[*node] = (first, first + size[*node] - 1);
    }
    span
}

#[cfg(test)]
mod tests {
    use super::super::{Block, Terminator, Value};
    use super::*;

    fn code(blocks: &[(Terminator, Option<u32>)]) -> Code {
        let block = |(terminator, on_fault): &(Terminator, Option<u32>)| Block {
            instructions: Vec::new(),
            terminator: *terminator,
            on_fault: on_fault.map(BlockId),
        };
        Code { blocks: blocks.iter().map(block).collect(), ..Code::default() }
    }

    fn jump(to: u32) -> Terminator {
        Terminator::Jump(BlockId(to))
    }

    fn branch(then: u32, otherwise: u32) -> Terminator {
        Terminator::Branch(Value(0), BlockId(then), BlockId(otherwise))
    }

    #[test]
    fn a_diamond_and_a_loop() {
        let done = Terminator::Return(None);
        // 0 → 1, 2 → 3 → 0, 4; nothing enters 5.
        let code = code(&[
            (branch(1, 2), None),
            (jump(3), None),
            (jump(3), None),
            (branch(0, 4), None),
            (done, None),
            (jump(4), None),
        ]);
        let dominators = Dominators::new(&code);
        let before = |first, second| dominators.precedes(BlockId(first), BlockId(second));
        assert!(before(0, 1) && before(0, 3) && before(3, 4) && before(0, 4));
        assert!(!before(1, 3) && !before(2, 3) && !before(3, 0) && !before(0, 0));
        assert!(!before(5, 4) && !before(0, 5));
        assert!(!dominators.is_reached(BlockId(5)));
        assert_eq!(dominators.order().len(), 5);
    }

    #[test]
    fn a_fault_comes_before_what_its_block_sets() {
        let done = Terminator::Return(None);
        let code =
            code(&[(jump(1), None), (jump(3), Some(2)), (jump(3), None), (done, None)]);
        let dominators = Dominators::new(&code);
        assert!(dominators.precedes(BlockId(0), BlockId(2)));
        assert!(!dominators.precedes(BlockId(1), BlockId(2)));
        assert!(!dominators.precedes(BlockId(1), BlockId(3)));
    }
}
