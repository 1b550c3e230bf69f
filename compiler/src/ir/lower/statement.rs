//! Statements.

use hwtrace_lang::span::Span;
use hwtrace_lang::typed::{
    Block, Expression, Foreach, Order, OrderBy, Place, Statement, StatementKind,
};

use super::super::{Local, Op, Terminator, Type, WalkOrder};
use super::{Builder, Loop, Slot};

impl Builder<'_> {
    /// Takes fuel for the statements that run once whenever the block does;
    /// loops take their own, each round.
    pub(super) fn fuel(&mut self, block: &Block, span: Span) {
        if !self.free {
            self.effect(Op::Fuel(steps(block).max(1)), span);
        }
    }

    pub(super) fn statements(&mut self, block: &Block) {
        for statement in block {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &Statement) {
        let span = statement.span;
        match &statement.kind {
            StatementKind::Expression(expression) => self.discard(expression),
            StatementKind::Block(block) => self.statements(block),
            StatementKind::If { condition, then, otherwise } => {
                self.branch(condition, then, otherwise);
            }
            StatementKind::Loop { first, condition, step, body } => {
                if let Some(first) = first {
                    self.discard(first);
                }
                self.counted_loop(condition.as_ref(), step.as_ref(), body, span);
            }
            StatementKind::Foreach(foreach) => self.foreach(foreach, span),
            StatementKind::Break => self.leave(|innermost| innermost.after),
            StatementKind::Continue => self.leave(|innermost| innermost.again),
            StatementKind::Next => {
                self.end(Terminator::Return);
                self.unreachable_rest();
            }
            StatementKind::DeleteElement { array, keys } => {
                let keys = self.expressions(keys);
                let (array, _) = self.array(*array);
                self.effect(Op::DeleteElement(array, keys), span);
            }
            StatementKind::Delete(place) => self.reset(place, span),
            StatementKind::Clear(array) => {
                let (array, _) = self.array(*array);
                self.effect(Op::Clear(array), span);
            }
        }
    }

    fn branch(&mut self, condition: &Expression, then: &Block, otherwise: &Block) {
        let condition = self.expression(condition);
        let (yes, no, after) = (self.block(), self.block(), self.block());
        self.end(Terminator::Branch(condition, yes, no));
        for (block, body) in [(yes, then), (no, otherwise)] {
            self.go_on_in(block);
            self.statements(body);
            self.end(Terminator::Jump(after));
        }
        self.go_on_in(after);
    }

    fn counted_loop(
        &mut self,
        condition: Option<&Expression>,
        step: Option<&Expression>,
        body: &Block,
        span: Span,
    ) {
        let (test, round, again, after) =
            (self.block(), self.block(), self.block(), self.block());
        self.end(Terminator::Jump(test));
        self.go_on_in(test);
        match condition {
            Some(condition) => {
                let condition = self.expression(condition);
                self.end(Terminator::Branch(condition, round, after));
            }
            None => self.end(Terminator::Jump(round)),
        }
        self.round(Loop { again, after }, round, body, span);
        self.go_on_in(again);
        if let Some(step) = step {
            self.discard(step);
        }
        self.end(Terminator::Jump(test));
        self.go_on_in(after);
    }

    /// The body of a loop: takes its fuel, runs, and goes on to `again`.
    fn round(&mut self, this: Loop, block: super::BlockId, body: &Block, span: Span) {
        self.go_on_in(block);
        self.fuel(body, span);
        self.loops.push(this);
        self.statements(body);
        self.loops.pop();
        self.end(Terminator::Jump(this.again));
    }

    fn foreach(&mut self, foreach: &Foreach, span: Span) {
        let limit = foreach.limit.as_ref().map(|limit| self.expression(limit));
        let (array, value_type) = self.array(foreach.array);
        let order = foreach.order.map_or(WalkOrder::Insertion, walk_order);
        self.effect(Op::WalkBegin { array, order, limit }, span);
        let (test, round, after) = (self.block(), self.block(), self.block());
        self.end(Terminator::Jump(test));
        self.go_on_in(test);
        let more = self.value(Type::Long, Op::WalkNext, span);
        self.end(Terminator::Branch(more, round, after));

        self.go_on_in(round);
        let mut keys = Vec::new();
        for (position, local) in foreach.keys.iter().enumerate() {
            let ty = self.handler.locals[local.0 as usize];
            let key = self.value(ty, Op::WalkKey(position as u32), span);
            self.effect(Op::SetLocal((*local).into(), key), span);
            keys.push(key);
        }
        if let Some(local) = foreach.value {
            let value = self.value(value_type, Op::GetElement(array, keys), span);
            self.effect(Op::SetLocal(local.into(), value), span);
        }
        let current = self.current;
        self.round(Loop { again: test, after }, current, &foreach.body, span);
        self.go_on_in(after);
        self.effect(Op::WalkEnd, span);
    }

    fn leave(&mut self, to: impl Fn(Loop) -> super::BlockId) {
        let Some(innermost) = self.loops.last().copied() else {
            unreachable!("the checker refuses break and continue outside of loops")
        };
        self.end(Terminator::Jump(to(innermost)));
        self.unreachable_rest();
    }

    /// What follows a jump goes into a block of its own that nothing enters.
    fn unreachable_rest(&mut self) {
        let rest = self.block();
        self.go_on_in(rest);
    }

    fn reset(&mut self, place: &Place, span: Span) {
        match place {
            Place::Local(local) => {
                let ty = self.handler.locals[local.0 as usize];
                let zero = self.zero(ty, span);
                self.effect(Op::SetLocal(Local(local.0), zero), span);
            }
            Place::Global(global) => match self.slot(*global) {
                Slot::Long(slot) => {
                    let zero = self.zero(Type::Long, span);
                    self.effect(Op::SetLong(slot, zero), span);
                }
                Slot::Text(slot) => {
                    let empty = self.zero(Type::String, span);
                    self.effect(Op::SetText(slot, empty), span);
                }
                Slot::Array(array, _) => self.effect(Op::Clear(array), span),
            },
            Place::Element { array, keys } => {
                let keys = self.expressions(keys);
                let (array, _) = self.array(*array);
                self.effect(Op::DeleteElement(array, keys), span);
            }
        }
    }
}

/// Statements that run once when the block runs: those inside `if` count,
/// those inside loops do not.
fn steps(block: &Block) -> u32 {
    let count = |statement: &Statement| match &statement.kind {
        StatementKind::Block(block) => steps(block),
        StatementKind::If { then, otherwise, .. } => {
            1u32.saturating_add(steps(then)).saturating_add(steps(otherwise))
        }
        _ => 1,
    };
    block.iter().map(count).fold(0, u32::saturating_add)
}

fn walk_order(order: Order) -> WalkOrder {
    let descending = order.descending;
    match order.by {
        OrderBy::Value => WalkOrder::Value { descending },
        OrderBy::Key(position) => WalkOrder::Key { position, descending },
    }
}
