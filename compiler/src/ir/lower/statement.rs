//! Statements.

use hwtrace_lang::span::Span;
use hwtrace_lang::typed::{
    Block, Expression, Foreach, LocalId, Order, OrderBy, Place, Statement, StatementKind,
};

use super::super::{BlockId, Op, Slice, Terminator, Type, Value, WalkOrder};
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
            StatementKind::ForeachBucket { index, place, histogram, limit, body } => {
                let buckets = (place, *histogram);
                self.foreach_bucket(*index, buckets, limit.as_ref(), body, span);
            }
            StatementKind::Break => self.leave(|innermost| innermost.after),
            StatementKind::Continue => self.leave(|innermost| innermost.again),
            StatementKind::Next => self.next(),
            StatementKind::Return(value) => self.return_from(value.as_ref(), span),
            StatementKind::Try { body, message, handler } => {
                self.try_catch(body, *message, handler, span);
            }
            StatementKind::Accumulate { place, value } => {
                self.accumulate(place, value, span);
            }
            StatementKind::PrintHistogram { place, histogram, newline } => {
                self.print_histogram(place, *histogram, *newline, span);
            }
            StatementKind::DeleteElement { array, keys } => {
                let slice = self.slice(keys);
                let (array, _) = self.array(*array);
                self.effect(delete(array, slice), span);
            }
            StatementKind::Delete(place) => self.reset(place, span),
            StatementKind::Clear(array) => {
                let (array, _) = self.array(*array);
                self.effect(Op::Clear(array), span);
            }
        }
    }

    /// Keys of which some may be any.
    pub(super) fn slice(&mut self, keys: &[Option<Expression>]) -> Slice {
        let value = |key: &Option<Expression>| Some(self.expression(key.as_ref()?));
        keys.iter().map(value).collect()
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
    fn round(&mut self, this: Loop, block: BlockId, body: &Block, span: Span) {
        self.go_on_in(block);
        self.fuel(body, span);
        self.loops.push(this);
        self.statements(body);
        self.loops.pop();
        self.end(Terminator::Jump(this.again));
    }

    fn foreach(&mut self, foreach: &Foreach, span: Span) {
        let mut slice = self.slice(&foreach.slice);
        if slice.iter().all(Option::is_none) {
            slice.clear();
        }
        let limit = foreach.limit.as_ref().map(|limit| self.expression(limit));
        let (array, value_type) = self.array(foreach.array);
        let order = foreach
            .order
            .map_or(WalkOrder::Insertion, |order| self.walk_order(array, order));
        self.effect(Op::WalkBegin { array, order, slice, limit }, span);
        self.walk(&foreach.body, span, |builder| {
            let mut keys = Vec::new();
            for (position, local) in foreach.keys.iter().enumerate() {
                let ty = builder.code.locals[local.0 as usize];
                let key = builder.value(ty, Op::WalkKey(position as u32), span);
                builder.effect(Op::SetLocal((*local).into(), key), span);
                keys.push(key);
            }
            if let Some(local) = foreach.value {
                let value = builder.value(value_type, Op::GetElement(array, keys), span);
                builder.effect(Op::SetLocal(local.into(), value), span);
            }
        });
    }

    /// The rounds of the walk that was just begun; `bind` sets the variables
    /// of a round.
    pub(super) fn walk(
        &mut self,
        body: &Block,
        span: Span,
        bind: impl FnOnce(&mut Self),
    ) {
        self.walks += 1;
        let (test, round, after) = (self.block(), self.block(), self.block());
        self.end(Terminator::Jump(test));
        self.go_on_in(test);
        let more = self.value(Type::Long, Op::WalkNext, span);
        self.end(Terminator::Branch(more, round, after));
        self.go_on_in(round);
        bind(self);
        let current = self.current;
        self.round(Loop { again: test, after }, current, body, span);
        self.go_on_in(after);
        self.effect(Op::WalkEnd, span);
        self.walks -= 1;
    }

    fn leave(&mut self, to: impl Fn(Loop) -> BlockId) {
        let Some(innermost) = self.loops.last().copied() else {
            unreachable!("the checker refuses break and continue outside of loops")
        };
        self.end(Terminator::Jump(to(innermost)));
        self.unreachable_rest();
    }

    fn next(&mut self) {
        let end = match self.is_function {
            true => Terminator::Leave,
            false => Terminator::Return(None),
        };
        self.end(end);
        self.unreachable_rest();
    }

    fn return_from(&mut self, value: Option<&Expression>, span: Span) {
        let value = value.map(|value| self.expression(value));
        if !self.is_function {
            return self.next();
        }
        // The caller's walks go on; those of this function do not.
        for _ in 0..self.walks {
            self.effect(Op::WalkEnd, span);
        }
        match value {
            Some(value) => self.end(Terminator::Return(Some(value))),
            None => self.return_zero(span),
        }
        self.unreachable_rest();
    }

    /// Ends the function without a `return` of its own.
    pub(super) fn return_zero(&mut self, span: Span) {
        let value = self.code.returns.map(|ty| self.zero(ty, span));
        self.end(Terminator::Return(value));
    }

    fn try_catch(
        &mut self,
        body: &Block,
        message: Option<LocalId>,
        handler: &Block,
        span: Span,
    ) {
        let (text, after) = self.caught(span, |builder| builder.statements(body));
        if let Some(local) = message {
            self.effect(Op::SetLocal(local.into(), text), span);
        }
        self.statements(handler);
        self.end(Terminator::Jump(after));
        self.go_on_in(after);
    }

    /// A string, or another where it faults.
    pub(super) fn guarded(
        &mut self,
        text: &Expression,
        otherwise: &Expression,
        span: Span,
    ) -> Value {
        let result = self.local(Type::String);
        let set = |builder: &mut Self, text: &Expression| {
            let text = builder.expression(text);
            builder.effect(Op::SetLocal(result, text), span);
        };
        let (_, after) = self.caught(span, |builder| set(builder, text));
        set(self, otherwise);
        self.end(Terminator::Jump(after));
        self.go_on_in(after);
        self.value(Type::String, Op::GetLocal(result), span)
    }

    /// Lowers what may fault and goes on where its faults are caught. Gives
    /// the fault's message, and the block that both ways lead to.
    fn caught(&mut self, span: Span, body: impl FnOnce(&mut Self)) -> (Value, BlockId) {
        let mark = self.value(Type::Long, Op::Mark, span);
        let (caught, after) = (self.block(), self.block());
        self.tries.push(caught);
        let inside = self.block();
        self.end(Terminator::Jump(inside));
        self.go_on_in(inside);
        body(self);
        self.end(Terminator::Jump(after));
        self.tries.pop();
        self.go_on_in(caught);
        (self.value(Type::String, Op::Caught(mark), span), after)
    }

    /// What follows a jump goes into a block of its own that nothing enters.
    fn unreachable_rest(&mut self) {
        let rest = self.block();
        self.go_on_in(rest);
    }

    fn reset(&mut self, place: &Place, span: Span) {
        match place {
            Place::Local(local) => {
                let ty = self.code.locals[local.0 as usize];
                let zero = self.zero(ty, span);
                self.effect(Op::SetLocal((*local).into(), zero), span);
            }
            Place::Global(global) => match self.slot(*global) {
                Slot::Scalar(slot, ty) => {
                    let zero = self.zero(ty, span);
                    self.effect(Op::SetLong(slot, zero), span);
                }
                Slot::Text(slot) => {
                    let empty = self.zero(Type::String, span);
                    self.effect(Op::SetText(slot, empty), span);
                }
                Slot::Statistics(slot) => self.effect(Op::ClearStatistics(slot), span),
                Slot::Array(array, _) => self.effect(Op::Clear(array), span),
            },
            Place::Element { array, keys } => {
                let keys = self.expressions(keys);
                let (array, _) = self.array(*array);
                self.effect(Op::DeleteElement(array, keys), span);
            }
            Place::Merged { .. } => unreachable!("the checker lets it be asked only"),
        }
    }

    fn walk_order(&mut self, array: u32, order: Order) -> WalkOrder {
        let descending = order.descending;
        match order.by {
            OrderBy::Value => WalkOrder::Value { descending },
            OrderBy::Key(position) => WalkOrder::Key { position, descending },
            OrderBy::Extractor(asked) => {
                let extractor = self.sorted_by(array, asked);
                WalkOrder::Extractor { extractor, descending }
            }
        }
    }
}

fn delete(array: u32, slice: Slice) -> Op {
    match slice.iter().copied().collect() {
        Some(keys) => Op::DeleteElement(array, keys),
        None => Op::DeleteMatches(array, slice),
    }
}

/// Statements that run once when the block runs: those inside `if` count,
/// those inside loops do not.
fn steps(block: &Block) -> u32 {
    fn both(left: &Block, right: &Block) -> u32 {
        1u32.saturating_add(steps(left)).saturating_add(steps(right))
    }
    let count = |statement: &Statement| match &statement.kind {
        StatementKind::Block(block) => steps(block),
        StatementKind::If { then, otherwise, .. } => both(then, otherwise),
        StatementKind::Try { body, handler, .. } => both(body, handler),
        _ => 1,
    };
    block.iter().map(count).fold(0, u32::saturating_add)
}
