//! Second walk: the typed program. The first walk has found nothing wrong, so
//! that whatever does not fit here is a mistake of the compiler's.

mod convert;
mod data;
mod pretty;
mod shapes;

use super::extractor::{self, Asked};
use super::functions;
use super::infer::printed_histogram;
use super::plan::Planned;
use super::print::Family;
use super::scope::{self, Handler, Names, Shape};
use super::types::Types;
use crate::ast::{
    self, Demand, Expression as Ast, ExpressionKind as AstKind, Operator, Walked,
};
use crate::builtins;
use crate::span::Span;
use crate::typed::{
    self, Block, Expression, ExpressionKind, Foreach, Function, Global, GlobalId,
    GlobalKind, Histogram, Literal, Local, LocalId, Order, OrderBy, Place, Probe,
    Program, Statement, StatementKind,
};
use crate::types::Type;
use convert::alike;

/// The state of the second walk.
pub(super) struct Lower<'a> {
    names: Names<'a>,
    types: Types,
    globals: Vec<Global>,
    handler: Handler,
    locals: Vec<Local>,
    /// Names of the values of enumerations.
    tables: Vec<typed::Names>,
}

impl<'a> Lower<'a> {
    pub(super) fn new(names: Names<'a>, mut types: Types) -> Self {
        let list = &names.globals.list;
        let globals =
            list.iter().map(|global| lower_global(global, &mut types)).collect();
        let (handler, locals) = (Handler::anywhere(), Vec::new());
        Self { names, types, globals, handler, locals, tables: Vec::new() }
    }

    /// The program made of the functions and handlers, in their order.
    pub(super) fn program(
        mut self,
        bodies: Vec<Handler>,
        handlers: Vec<(&Planned<'_>, Handler)>,
    ) -> Program {
        let known = self.names.functions;
        let functions = known.list.iter().zip(bodies);
        let functions =
            functions.map(|(known, body)| self.function(known, body)).collect();
        let probes = handlers.into_iter();
        let probes = probes.filter_map(|(planned, handler)| self.probe(planned, handler));
        let probes = probes.collect();
        Program { globals: self.globals, functions, probes, names: self.tables }
    }

    fn function(&mut self, known: &functions::Function<'_>, body: Handler) -> Function {
        self.enter(body);
        let block = self.block(&known.ast.body);
        Function {
            name: known.ast.name.text.clone(),
            span: known.ast.name.span,
            params: u32::try_from(known.params.len()).unwrap_or(u32::MAX),
            locals: std::mem::take(&mut self.locals),
            returns: known.returns.map(|ty| self.types.settle(ty)),
            body: block,
        }
    }

    fn probe(&mut self, planned: &Planned<'_>, handler: Handler) -> Option<Probe> {
        self.enter(handler);
        let condition = self.point_condition(&planned.conditions);
        let mut body = Block::new();
        for block in &planned.blocks {
            body.extend(self.block(block));
        }
        let place = self.handler.place.take()?;
        let locals = std::mem::take(&mut self.locals);
        let (point, name, span) = (place.id, place.name, place.span);
        let optional = planned.point.demand != Demand::Required;
        let instead_of = planned.instead_of.clone();
        Some(Probe { point, name, span, locals, optional, instead_of, condition, body })
    }

    /// Makes a handler the one in work.
    fn enter(&mut self, handler: Handler) {
        let types = &mut self.types;
        let typed = |local: &scope::Local| Local {
            name: local.name.clone(),
            ty: types.settle(local.ty),
        };
        self.locals = handler.locals.iter().map(typed).collect();
        self.handler = handler;
    }

    /// All conditions of a point at once.
    fn point_condition(&mut self, conditions: &[&Ast]) -> Option<Expression> {
        let conditions: Vec<Expression> =
            conditions.iter().map(|condition| self.truth(condition)).collect();
        conditions.into_iter().reduce(|all, next| {
            let span = all.span.to(next.span);
            let kind = ExpressionKind::And(Box::new(all), Box::new(next));
            Expression { kind, ty: Type::Long, span }
        })
    }

    fn constant(&self, condition: &Ast) -> Option<bool> {
        self.handler.constant(condition, self.names)
    }

    fn block(&mut self, statements: &[ast::Statement]) -> Block {
        statements.iter().filter_map(|statement| self.statement(statement)).collect()
    }

    /// A statement as a block of its own.
    fn body(&mut self, statement: &ast::Statement) -> Block {
        match &statement.kind {
            ast::StatementKind::Block(statements) => self.block(statements),
            _ => self.statement(statement).into_iter().collect(),
        }
    }

    fn statement(&mut self, statement: &ast::Statement) -> Option<Statement> {
        use ast::StatementKind as From;
        let kind = match &statement.kind {
            From::Empty => return None,
            From::Block(statements) => StatementKind::Block(self.block(statements)),
            From::If { condition, then, otherwise } => match self.constant(condition) {
                Some(true) => StatementKind::Block(self.body(then)),
                Some(false) => StatementKind::Block(self.optional_body(otherwise)),
                None => StatementKind::If {
                    condition: self.truth(condition),
                    then: self.body(then),
                    otherwise: self.optional_body(otherwise),
                },
            },
            From::While { condition, body } => StatementKind::Loop {
                first: None,
                condition: Some(self.truth(condition)),
                step: None,
                body: self.body(body),
            },
            From::For { first, condition, step, body } => StatementKind::Loop {
                first: first.as_ref().map(|it| self.expression(it)),
                condition: condition.as_ref().map(|it| self.truth(it)),
                step: step.as_ref().map(|it| self.expression(it)),
                body: self.body(body),
            },
            From::Foreach(foreach) => self.foreach(foreach),
            From::Break => StatementKind::Break,
            From::Continue => StatementKind::Continue,
            From::Next => StatementKind::Next,
            From::Return(_) if self.handler.function.is_none() => StatementKind::Next,
            From::Return(value) => {
                StatementKind::Return(value.as_ref().map(|value| self.result(value)))
            }
            From::Try { body, message, handler } => {
                let body = self.block(body);
                let mut caught = Block::new();
                let message =
                    message.as_ref().map(|name| self.loop_local(name, &mut caught));
                caught.extend(self.block(handler));
                StatementKind::Try { body, message, handler: caught }
            }
            From::Delete(operand) => self.delete(operand),
            From::Expression(expression) => self.effect(expression),
        };
        Some(Statement { kind, span: statement.span })
    }

    fn optional_body(&mut self, statement: &Option<Box<ast::Statement>>) -> Block {
        statement.as_ref().map_or_else(Block::new, |it| self.body(it))
    }

    /// An expression as a statement.
    fn effect(&mut self, expression: &Ast) -> StatementKind {
        if let AstKind::Accumulate { place, value } = &expression.kind {
            let (place, value) = (self.place(place), self.expression(value));
            return StatementKind::Accumulate { place, value };
        }
        let newline = matches!(
            &expression.kind,
            AstKind::Call { function, .. } if function.text == "println"
        );
        match printed_histogram(expression).and_then(|it| self.histogram(it)) {
            Some((place, histogram)) => {
                StatementKind::PrintHistogram { place, histogram, newline }
            }
            None => StatementKind::Expression(self.expression(expression)),
        }
    }

    /// The place and the buckets of `@hist_log(place)`.
    fn histogram(&mut self, expression: &Ast) -> Option<(Place, Histogram)> {
        let AstKind::At { name, arguments, .. } = &expression.kind else {
            return None;
        };
        match extractor::ask(name, arguments) {
            Ok(Asked::Histogram(histogram)) => {
                Some((self.place(arguments.first()?), histogram))
            }
            _ => None,
        }
    }

    fn delete(&mut self, operand: &Ast) -> StatementKind {
        if let AstKind::Element { array, keys } = &operand.kind {
            let array = self.array(&array.text);
            return StatementKind::DeleteElement { array, keys: self.keys(array, keys) };
        }
        match self.place(operand) {
            Place::Global(id) if self.is_array(id) => StatementKind::Clear(id),
            place => StatementKind::Delete(place),
        }
    }

    fn is_array(&self, id: GlobalId) -> bool {
        matches!(self.globals[id.0 as usize].kind, GlobalKind::Array { .. })
    }

    /// Keys of which some may be `*`.
    fn keys(&mut self, array: GlobalId, keys: &[Ast]) -> Vec<Option<Expression>> {
        let key = |(at, key): (usize, &Ast)| match key.kind {
            AstKind::AnyKey => None,
            _ => Some(self.key(array, at, key)),
        };
        keys.iter().enumerate().map(key).collect()
    }

    /// What a function returns.
    fn result(&mut self, value: &Ast) -> Expression {
        let function = self.handler.function.map(|id| self.names.functions.at(id));
        match function.and_then(|function| function.returns) {
            Some(returns) => {
                let ty = self.types.settle(returns);
                self.going_to(ty, value)
            }
            None => self.expression(value),
        }
    }

    fn foreach(&mut self, foreach: &ast::Foreach) -> StatementKind {
        // The loop fills locals; a global gets its value by an assignment.
        let mut copies = Block::new();
        let value = foreach.value.as_ref().map(|name| self.loop_local(name, &mut copies));
        let keys: Vec<LocalId> = foreach
            .keys
            .iter()
            .map(|key| self.loop_local(&key.name, &mut copies))
            .collect();
        let limit = foreach.limit.as_ref().map(|limit| self.expression(limit));
        let mut body = copies;
        body.extend(self.body(&foreach.body));
        match &foreach.walked {
            Walked::Array { array, slice, .. } => {
                let array = self.array(&array.text);
                let (slice, order) = (self.keys(array, slice), order(foreach));
                StatementKind::Foreach(Foreach {
                    array,
                    value,
                    keys,
                    slice,
                    order,
                    limit,
                    body,
                })
            }
            Walked::Buckets(walked) => {
                let (Some((place, histogram)), [index]) =
                    (self.histogram(walked), &keys[..])
                else {
                    unreachable!(
                        "the first walk lets only a histogram and one index pass"
                    )
                };
                StatementKind::ForeachBucket {
                    index: *index,
                    place,
                    histogram,
                    limit,
                    body,
                }
            }
        }
    }

    fn loop_local(&mut self, name: &ast::Name, copies: &mut Block) -> LocalId {
        let hidden = self.handler.parameter(&name.text).is_some();
        let Some(global) = self.names.globals.get(&name.text).filter(|_| !hidden) else {
            return self.local(&name.text);
        };
        let ty = self.place_type(&Place::Global(global));
        let id = LocalId(u32::try_from(self.locals.len()).unwrap_or(u32::MAX));
        self.locals.push(Local { name: name.text.clone(), ty });
        let typed = |kind| Expression { kind, ty, span: name.span };
        let value = typed(ExpressionKind::Read(Place::Local(id)));
        let assign = ExpressionKind::Assign {
            place: Place::Global(global),
            op: None,
            value: Box::new(value),
        };
        let kind = StatementKind::Expression(typed(assign));
        copies.push(Statement { kind, span: name.span });
        id
    }

    fn local(&self, name: &str) -> LocalId {
        match self.handler.get(name) {
            Some(id) => id,
            None => unreachable!("the first walk has made a local for {name}"),
        }
    }

    fn array(&self, name: &str) -> GlobalId {
        match self.names.globals.get(name) {
            Some(id) => id,
            None => unreachable!("the first walk has found the array {name}"),
        }
    }

    fn boxed(&mut self, expression: &Ast) -> Box<Expression> {
        Box::new(self.expression(expression))
    }

    fn expression(&mut self, expression: &Ast) -> Expression {
        let (kind, ty) = self.typed(expression);
        Expression { kind, ty, span: expression.span }
    }

    fn typed(&mut self, expression: &Ast) -> (ExpressionKind, Type) {
        match &expression.kind {
            AstKind::Integer(value) => {
                (ExpressionKind::Literal(Literal::Long(*value)), Type::Long)
            }
            AstKind::Double(value) => {
                (ExpressionKind::Literal(Literal::Double(*value)), Type::Double)
            }
            AstKind::String(text) => {
                let literal = Literal::String(text.value.clone());
                (ExpressionKind::Literal(literal), Type::String)
            }
            AstKind::Variable(_) | AstKind::Element { .. } => {
                let (place, ty) = self.typed_place(expression);
                (ExpressionKind::Read(place), ty)
            }
            AstKind::Target(_)
            | AstKind::Member(..)
            | AstKind::Subscript(..)
            | AstKind::Dereference(_)
            | AstKind::Address(_) => self.data(expression),
            AstKind::Pretty { data, deep } => (self.pretty(data, *deep), Type::String),
            AstKind::Call { function, arguments } => {
                self.call(&function.text, function.span, arguments)
            }
            AstKind::At { name, .. } if matches!(&*name.text, "cast" | "var") => {
                self.data(expression)
            }
            AstKind::At { name, arguments, index } => {
                (self.asked(expression, name, arguments, index.as_deref()), Type::Long)
            }
            AstKind::Match { text, regex, negated } => {
                let text = Box::new(self.going_to(Type::String, text));
                let regex = regex.value.clone();
                (ExpressionKind::Match { text, regex, negated: *negated }, Type::Long)
            }
            AstKind::Unary(typed::UnaryOp::Not, operand) => {
                let operand = self.boxed_truth(operand);
                (ExpressionKind::Unary(typed::UnaryOp::Not, operand), Type::Long)
            }
            AstKind::Unary(op, operand) => {
                let operand = self.boxed(operand);
                let ty = operand.ty;
                (ExpressionKind::Unary(*op, operand), ty)
            }
            AstKind::Binary(op, left, right) => self.binary(*op, left, right),
            AstKind::Conditional(condition, yes, no) => {
                self.conditional(condition, yes, no)
            }
            AstKind::In { keys, array } => {
                let array = self.array(&array.text);
                let keys = self.keys(array, keys);
                (ExpressionKind::In { array, keys }, Type::Long)
            }
            AstKind::Assign { op, place, value } => {
                let (place, ty) = self.typed_place(place);
                let value = Box::new(self.going_to(ty, value));
                (ExpressionKind::Assign { place, op: *op, value }, ty)
            }
            AstKind::AnyKey | AstKind::Accumulate { .. } => {
                unreachable!("the first walk lets this be no value")
            }
            AstKind::Increment { place, delta, postfix } => {
                let (place, ty) = self.typed_place(place);
                let (delta, postfix) = (*delta, *postfix);
                (ExpressionKind::Increment { place, delta, postfix }, ty)
            }
        }
    }

    fn conditional(
        &mut self,
        condition: &Ast,
        yes: &Ast,
        no: &Ast,
    ) -> (ExpressionKind, Type) {
        if let Some(known) = self.constant(condition) {
            return self.typed(if known { yes } else { no });
        }
        let condition = self.boxed_truth(condition);
        let (yes, no) = alike(self.expression(yes), self.expression(no));
        let ty = yes.ty;
        let (yes, no) = (Box::new(yes), Box::new(no));
        (ExpressionKind::Conditional(condition, yes, no), ty)
    }

    fn typed_place(&mut self, place: &Ast) -> (Place, Type) {
        let place = self.place(place);
        let ty = self.place_type(&place);
        (place, ty)
    }

    fn binary(
        &mut self,
        op: Operator,
        left: &Ast,
        right: &Ast,
    ) -> (ExpressionKind, Type) {
        if let (Operator::And | Operator::Or, Some(known)) =
            (op, self.known_side(op, left, right))
        {
            return (ExpressionKind::Literal(Literal::Long(known)), Type::Long);
        }
        let (left, right) = match op {
            Operator::And | Operator::Or => (self.truth(left), self.truth(right)),
            Operator::Concat => {
                let mut text = |side| self.going_to(Type::String, side);
                (text(left), text(right))
            }
            _ => alike(self.expression(left), self.expression(right)),
        };
        let ty = left.ty;
        let (left, right) = (Box::new(left), Box::new(right));
        match op {
            Operator::Arithmetic(op) => (ExpressionKind::Binary(op, left, right), ty),
            Operator::Compare(op) => {
                (ExpressionKind::Compare(op, left, right), Type::Long)
            }
            Operator::And => (ExpressionKind::And(left, right), Type::Long),
            Operator::Or => (ExpressionKind::Or(left, right), Type::Long),
            Operator::Concat => (ExpressionKind::Concat(left, right), Type::String),
        }
    }

    /// What `&&` or `||` gives where `@defined` on one side decides it.
    fn known_side(&self, op: Operator, left: &Ast, right: &Ast) -> Option<i64> {
        let decides = op == Operator::Or;
        let known = [left, right].iter().any(|it| self.constant(it) == Some(decides));
        known.then_some(i64::from(decides))
    }

    /// `@name(…)` as a value.
    fn asked(
        &mut self,
        whole: &Ast,
        name: &ast::Name,
        arguments: &[Ast],
        index: Option<&Ast>,
    ) -> ExpressionKind {
        let long = |value| ExpressionKind::Literal(Literal::Long(value));
        if name.text == "defined" {
            return long(i64::from(self.constant(whole) == Some(true)));
        }
        if name.text == "enum" {
            return self.constant_of(whole);
        }
        let (Ok(asked), Some(first)) =
            (extractor::ask(name, arguments), arguments.first())
        else {
            unreachable!("the first walk has refused @{}", name.text)
        };
        let place = self.place(first);
        match asked {
            Asked::Extractor(extractor) => ExpressionKind::Extract { extractor, place },
            Asked::Histogram(histogram) => {
                let Some(index) = index else {
                    unreachable!("the first walk lets no whole histogram be a value")
                };
                ExpressionKind::Bucket { place, histogram, index: self.boxed(index) }
            }
            Asked::Percentile(given) => {
                let fixed = extractor::percentage(&name.text).unwrap_or_default();
                let percentage = given.map_or_else(
                    || {
                        let (kind, ty) = (long(fixed), Type::Long);
                        Box::new(Expression { kind, ty, span: name.span })
                    },
                    |given| self.boxed(given),
                );
                ExpressionKind::Percentile { place, percentage }
            }
        }
    }

    fn call(
        &mut self,
        name: &str,
        span: Span,
        arguments: &[Ast],
    ) -> (ExpressionKind, Type) {
        if let Some(family) = Family::named(name) {
            let values = family.values(arguments).iter();
            let args: Vec<Expression> = values
                .zip(family.wants_text(arguments))
                .map(|(value, as_text)| match as_text {
                    true => self.printed(value),
                    false => self.expression(value),
                })
                .collect();
            let types: Vec<Type> = args.iter().map(|arg| arg.ty).collect();
            let format = family.format(arguments, &types);
            let to_string = family.to_string;
            return (ExpressionKind::Print { format, args, to_string }, family.result());
        }
        if let Some(id) = self.names.functions.get(name) {
            let function = self.names.functions.at(id);
            let ty = function.returns.map_or(Type::Long, |ty| self.types.settle(ty));
            let params = function.params.iter().zip(arguments);
            let arguments = params.map(|(param, argument)| {
                let ty = self.types.settle(*param);
                self.going_to(ty, argument)
            });
            return (ExpressionKind::CallFunction(id, arguments.collect()), ty);
        }
        match builtins::lookup(name) {
            Some(builtin) => {
                let ty = builtin.returns.unwrap_or(Type::Long);
                let values = self.arguments(builtin, span, arguments);
                (ExpressionKind::Call(builtin, values), ty)
            }
            None => unreachable!("the first walk has found the function {name}"),
        }
    }

    fn place(&mut self, place: &Ast) -> Place {
        match &place.kind {
            AstKind::Variable(name) => match self.names.globals.get(name) {
                Some(id) if self.handler.parameter(name).is_none() => Place::Global(id),
                _ => Place::Local(self.local(name)),
            },
            AstKind::Element { array, keys }
                if keys.iter().any(|key| key.kind == AstKind::AnyKey) =>
            {
                let array = self.array(&array.text);
                Place::Merged { array, keys: self.keys(array, keys) }
            }
            AstKind::Element { array, keys } => {
                let array = self.array(&array.text);
                let keys = keys.iter().enumerate();
                let keys = keys.map(|(at, key)| self.key(array, at, key)).collect();
                Place::Element { array, keys }
            }
            kind => unreachable!("the first walk lets no {kind:?} be a place"),
        }
    }

    fn place_type(&self, place: &Place) -> Type {
        match place {
            Place::Local(id) => self.locals[id.0 as usize].ty,
            Place::Global(id)
            | Place::Element { array: id, .. }
            | Place::Merged { array: id, .. } => {
                match &self.globals[id.0 as usize].kind {
                    GlobalKind::Scalar { ty, .. } => *ty,
                    GlobalKind::Array { value, .. } => *value,
                    GlobalKind::Stats => Type::Stats,
                }
            }
        }
    }
}

fn order(foreach: &ast::Foreach) -> Option<Order> {
    let by = match &foreach.walked {
        Walked::Array { by: Some(by), .. } => extractor::named(&by.text),
        _ => None,
    };
    let by = by.map_or(OrderBy::Value, OrderBy::Extractor);
    let by_value = foreach.order.map(|order| (by, order));
    let by_key = || {
        let keys = foreach.keys.iter().zip(0u32..);
        keys.filter_map(|(key, at)| key.order.map(|order| (OrderBy::Key(at), order)))
            .next()
    };
    let (by, direction) = by_value.or_else(by_key)?;
    Some(Order { by, descending: direction.descending })
}

fn lower_global(global: &scope::Global, types: &mut Types) -> Global {
    let capacity = global.size.map(|(size, _)| size);
    let wraps = global.wraps.is_some();
    let kind = match &global.shape {
        Shape::Array { keys, value, .. } => GlobalKind::Array {
            keys: keys.iter().map(|key| types.settle(*key)).collect(),
            value: types.settle(*value),
            capacity,
            wraps,
        },
        // Declared with a size and never used.
        Shape::Unknown if global.declared_array().is_some() => {
            let (keys, value) = (vec![Type::Long], Type::Long);
            GlobalKind::Array { keys, value, capacity, wraps }
        }
        Shape::Unknown => {
            GlobalKind::Scalar { ty: Type::Long, initial: Literal::Long(0) }
        }
        Shape::Scalar { value, .. } if types.settle(*value) == Type::Stats => {
            GlobalKind::Stats
        }
        Shape::Scalar { value, .. } => {
            let ty = types.settle(*value);
            let initial = global.initial.as_ref().map(|(literal, _)| literal.clone());
            GlobalKind::Scalar {
                ty,
                initial: initial.unwrap_or_else(|| Literal::zero(ty)),
            }
        }
    };
    Global { name: global.name.text.clone(), span: global.name.span, kind }
}
