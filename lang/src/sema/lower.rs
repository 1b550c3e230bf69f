//! Second walk: the typed program. The first walk has found nothing wrong, so
//! that whatever does not fit here is a mistake of the compiler's.

use super::print::Family;
use super::scope::{self, Globals, Handler, Shape};
use super::types::Types;
use crate::ast::{self, Expression as Ast, ExpressionKind as AstKind, Operator};
use crate::builtins;
use crate::typed::{
    Block, Expression, ExpressionKind, Foreach, Global, GlobalId, GlobalKind, Literal,
    Local, LocalId, Order, OrderBy, Place, Probe, Program, Statement, StatementKind,
};
use crate::types::Type;

/// The state of the second walk.
pub(super) struct Lower<'a> {
    names: &'a Globals,
    types: Types,
    globals: Vec<Global>,
    handler: Handler,
    locals: Vec<Local>,
}

impl<'a> Lower<'a> {
    pub(super) fn new(names: &'a Globals, mut types: Types) -> Self {
        let globals =
            names.list.iter().map(|global| lower_global(global, &mut types)).collect();
        Self { names, types, globals, handler: Handler::anywhere(), locals: Vec::new() }
    }

    /// The program made of the handlers, in their order.
    pub(super) fn program(
        mut self,
        handlers: Vec<(&ast::Probe, &ast::ProbePoint, Handler)>,
    ) -> Program {
        let mut probes = Vec::new();
        for (probe, point, handler) in handlers {
            probes.extend(self.probe(probe, point, handler));
        }
        Program { globals: self.globals, probes }
    }

    fn probe(
        &mut self,
        probe: &ast::Probe,
        point: &ast::ProbePoint,
        handler: Handler,
    ) -> Option<Probe> {
        let types = &mut self.types;
        let typed = |local: &scope::Local| Local {
            name: local.name.clone(),
            ty: types.settle(local.ty),
        };
        self.locals = handler.locals.iter().map(typed).collect();
        self.handler = handler;
        let body = self.block(&probe.body);
        let place = self.handler.place.take()?;
        let locals = std::mem::take(&mut self.locals);
        Some(Probe { point: place.id, name: place.name, span: point.span, locals, body })
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
            From::If { condition, then, otherwise } => StatementKind::If {
                condition: self.expression(condition),
                then: self.body(then),
                otherwise: otherwise.as_ref().map_or_else(Block::new, |it| self.body(it)),
            },
            From::While { condition, body } => StatementKind::Loop {
                first: None,
                condition: Some(self.expression(condition)),
                step: None,
                body: self.body(body),
            },
            From::For { first, condition, step, body } => StatementKind::Loop {
                first: first.as_ref().map(|it| self.expression(it)),
                condition: condition.as_ref().map(|it| self.expression(it)),
                step: step.as_ref().map(|it| self.expression(it)),
                body: self.body(body),
            },
            From::Foreach(foreach) => StatementKind::Foreach(self.foreach(foreach)),
            From::Break => StatementKind::Break,
            From::Continue => StatementKind::Continue,
            From::Next => StatementKind::Next,
            From::Delete(operand) => self.delete(operand),
            From::Expression(expression) => {
                StatementKind::Expression(self.expression(expression))
            }
        };
        Some(Statement { kind, span: statement.span })
    }

    fn delete(&mut self, operand: &Ast) -> StatementKind {
        match self.place(operand) {
            Place::Element { array, keys } => {
                StatementKind::DeleteElement { array, keys }
            }
            Place::Global(id) if self.is_array(id) => StatementKind::Clear(id),
            place => StatementKind::Delete(place),
        }
    }

    fn is_array(&self, id: GlobalId) -> bool {
        matches!(self.globals[id.0 as usize].kind, GlobalKind::Array { .. })
    }

    fn foreach(&mut self, foreach: &ast::Foreach) -> Foreach {
        let array = self.array(&foreach.array.text);
        // The loop fills locals; a global gets its value by an assignment.
        let mut copies = Block::new();
        let value = foreach.value.as_ref().map(|name| self.loop_local(name, &mut copies));
        let keys = foreach
            .keys
            .iter()
            .map(|key| self.loop_local(&key.name, &mut copies))
            .collect();
        let mut body = copies;
        body.extend(self.body(&foreach.body));
        let limit = foreach.limit.as_ref().map(|limit| self.expression(limit));
        Foreach { array, value, keys, order: order(foreach), limit, body }
    }

    fn loop_local(&mut self, name: &ast::Name, copies: &mut Block) -> LocalId {
        let Some(global) = self.names.get(&name.text) else {
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
        match self.names.get(name) {
            Some(id) => id,
            None => unreachable!("the first walk has found the array {name}"),
        }
    }

    fn expressions(&mut self, expressions: &[Ast]) -> Vec<Expression> {
        expressions.iter().map(|expression| self.expression(expression)).collect()
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
            AstKind::String(text) => {
                let literal = Literal::String(text.value.clone());
                (ExpressionKind::Literal(literal), Type::String)
            }
            AstKind::Variable(_) | AstKind::Element { .. } => {
                let (place, ty) = self.typed_place(expression);
                (ExpressionKind::Read(place), ty)
            }
            AstKind::Target(name) => self.target(name),
            AstKind::Call { function, arguments } => self.call(&function.text, arguments),
            AstKind::Unary(op, operand) => {
                (ExpressionKind::Unary(*op, self.boxed(operand)), Type::Long)
            }
            AstKind::Binary(op, left, right) => self.binary(*op, left, right),
            AstKind::Conditional(condition, yes, no) => {
                let (condition, yes) = (self.boxed(condition), self.boxed(yes));
                let ty = yes.ty;
                (ExpressionKind::Conditional(condition, yes, self.boxed(no)), ty)
            }
            AstKind::In { keys, array } => {
                let keys = self.expressions(keys);
                let array = self.array(&array.text);
                (ExpressionKind::In { array, keys }, Type::Long)
            }
            AstKind::Assign { op, place, value } => {
                let (place, ty) = self.typed_place(place);
                let value = self.boxed(value);
                (ExpressionKind::Assign { place, op: *op, value }, ty)
            }
            AstKind::Increment { place, delta, postfix } => {
                let (place, ty) = self.typed_place(place);
                let (delta, postfix) = (*delta, *postfix);
                (ExpressionKind::Increment { place, delta, postfix }, ty)
            }
        }
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
        let (left, right) = (self.boxed(left), self.boxed(right));
        match op {
            Operator::Arithmetic(op) => {
                (ExpressionKind::Binary(op, left, right), Type::Long)
            }
            Operator::Compare(op) => {
                (ExpressionKind::Compare(op, left, right), Type::Long)
            }
            Operator::And => (ExpressionKind::And(left, right), Type::Long),
            Operator::Or => (ExpressionKind::Or(left, right), Type::Long),
            Operator::Concat => (ExpressionKind::Concat(left, right), Type::String),
        }
    }

    fn call(&mut self, name: &str, arguments: &[Ast]) -> (ExpressionKind, Type) {
        if let Some(family) = Family::named(name) {
            let args = self.expressions(family.values(arguments));
            let types: Vec<Type> = args.iter().map(|arg| arg.ty).collect();
            let format = family.format(arguments, &types);
            let to_string = family.to_string;
            return (ExpressionKind::Print { format, args, to_string }, family.result());
        }
        match builtins::lookup(name) {
            Some(builtin) => {
                let ty = builtin.returns.unwrap_or(Type::Long);
                (ExpressionKind::Call(builtin, self.expressions(arguments)), ty)
            }
            None => unreachable!("the first walk has found the function {name}"),
        }
    }

    fn target(&self, name: &str) -> (ExpressionKind, Type) {
        let variables =
            self.handler.place.as_ref().map(|place| place.variables.as_slice());
        match variables.unwrap_or_default().iter().find(|variable| variable.name == name)
        {
            Some(variable) => (ExpressionKind::Field(variable.field), variable.ty),
            None => unreachable!("the first walk has found ${name}"),
        }
    }

    fn place(&mut self, place: &Ast) -> Place {
        match &place.kind {
            AstKind::Variable(name) => match self.names.get(name) {
                Some(id) => Place::Global(id),
                None => Place::Local(self.local(name)),
            },
            AstKind::Element { array, keys } => {
                let keys = self.expressions(keys);
                Place::Element { array: self.array(&array.text), keys }
            }
            kind => unreachable!("the first walk lets no {kind:?} be a place"),
        }
    }

    fn place_type(&self, place: &Place) -> Type {
        match place {
            Place::Local(id) => self.locals[id.0 as usize].ty,
            Place::Global(id) | Place::Element { array: id, .. } => {
                match &self.globals[id.0 as usize].kind {
                    GlobalKind::Scalar { ty, .. } => *ty,
                    GlobalKind::Array { value, .. } => *value,
                }
            }
        }
    }
}

fn order(foreach: &ast::Foreach) -> Option<Order> {
    let by_value = foreach.order.map(|order| (OrderBy::Value, order));
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
    let kind = match &global.shape {
        Shape::Array { keys, value, .. } => GlobalKind::Array {
            keys: keys.iter().map(|key| types.settle(*key)).collect(),
            value: types.settle(*value),
            capacity,
        },
        // Declared with a size and never used.
        Shape::Unknown if capacity.is_some() => {
            GlobalKind::Array { keys: vec![Type::Long], value: Type::Long, capacity }
        }
        Shape::Unknown => {
            GlobalKind::Scalar { ty: Type::Long, initial: Literal::Long(0) }
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
