//! What the names of a script stand for.

use std::collections::HashMap;

use super::data::Resolver;
use super::functions::{Function, Functions};
use super::report::Report;
use super::types::{Term, Types};
use crate::ast::{self, ExpressionKind, Item, Operator, Script};
use crate::builtins::{self, Builtin};
use crate::code::Code;
use crate::data::DataTypes;
use crate::diagnostic::Diagnostic;
use crate::environment::{Context, Point, PointId, TargetVariable};
use crate::span::Span;
use crate::typed::{FunctionId, GlobalId, Literal, LocalId, UnaryOp};

/// The globals of a script.
#[derive(Debug, Default)]
pub(super) struct Globals {
    pub(super) list: Vec<Global>,
    by_name: HashMap<String, GlobalId>,
}

/// What is known of a global.
#[derive(Debug)]
pub(super) struct Global {
    pub(super) name: ast::Name,
    pub(super) shape: Shape,
    /// The size in brackets, which makes it an array.
    pub(super) size: Option<(u32, Span)>,
    /// `%`, which makes it an array, too.
    pub(super) wraps: Option<Span>,
    pub(super) initial: Option<(Literal, Span)>,
    /// Its value is used somewhere.
    pub(super) read: bool,
    /// It is assigned to somewhere.
    pub(super) written: bool,
}

impl Global {
    /// What of its declaration makes it an array.
    pub(super) fn declared_array(&self) -> Option<Span> {
        self.size.map(|(_, span)| span).or(self.wraps)
    }
}

/// Scalar or array, told by the first use.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    Unknown,
    Scalar { value: Term, first_use: Span },
    Array { keys: Vec<Term>, value: Term, first_use: Span },
}

impl Globals {
    /// Collects the declarations of a script.
    pub(super) fn declare(script: &Script, report: &mut Report) -> Self {
        let mut globals = Self::default();
        for item in &script.items {
            if let Item::Global(global) = item {
                globals.declare_one(global, report);
            }
        }
        globals
    }

    fn declare_one(&mut self, declared: &ast::Global, report: &mut Report) {
        let name = &declared.name;
        if let Some(first) = self.get(&name.text) {
            report.push(redeclared(name, self.at(first).name.span));
            return;
        }
        let global = self.insert(name);
        global.size = declared.size.and_then(|size| checked_size(size, report));
        global.wraps = declared.wraps;
        let Some(initial) = &declared.initial else {
            return;
        };
        if let Some(span) = declared.size.map(|(_, span)| span).or(declared.wraps) {
            report.push(initial_of_array(&name.text, initial.span, span));
            return;
        }
        let literal = match &initial.kind {
            ExpressionKind::Integer(value) => Literal::Long(*value),
            ExpressionKind::Double(value) => Literal::Double(*value),
            ExpressionKind::String(text) => Literal::String(text.value.clone()),
            kind => unreachable!("the parser lets only literals through, not {kind:?}"),
        };
        global.initial = Some((literal, initial.span));
    }

    /// Adds a global of which only the name is known.
    pub(super) fn insert(&mut self, name: &ast::Name) -> &mut Global {
        let id = GlobalId(u32::try_from(self.list.len()).unwrap_or(u32::MAX));
        self.by_name.insert(name.text.clone(), id);
        self.list.push(Global {
            name: name.clone(),
            shape: Shape::Unknown,
            size: None,
            wraps: None,
            initial: None,
            read: false,
            written: false,
        });
        let last = self.list.len() - 1;
        &mut self.list[last]
    }

    pub(super) fn get(&self, name: &str) -> Option<GlobalId> {
        self.by_name.get(name).copied()
    }

    pub(super) fn at(&self, id: GlobalId) -> &Global {
        &self.list[id.0 as usize]
    }

    pub(super) fn at_mut(&mut self, id: GlobalId) -> &mut Global {
        &mut self.list[id.0 as usize]
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|global| global.name.text.as_str())
    }
}

fn checked_size((size, span): (i64, Span), report: &mut Report) -> Option<(u32, Span)> {
    match u32::try_from(size) {
        Ok(size) if size > 0 => Some((size, span)),
        _ => {
            report.push(
                Diagnostic::new(
                    Code::BadArraySize,
                    span,
                    format!("an array can not have {size} elements"),
                )
                .label("out of range")
                .help(format!("a size is between 1 and {}", u32::MAX)),
            );
            None
        }
    }
}

/// A name that is declared again.
pub(super) fn redeclared(name: &ast::Name, first: Span) -> Diagnostic {
    Diagnostic::new(
        Code::Redeclared,
        name.span,
        format!("`{}` is declared twice", name.text),
    )
    .label("again here")
    .related(first, "first declared here")
    .help("remove one of them, or give it another name")
}

fn initial_of_array(name: &str, initial: Span, size: Span) -> Diagnostic {
    Diagnostic::new(
        Code::ArrayAndScalar,
        initial,
        format!("array `{name}` can not have a value at the start"),
    )
    .label("one value")
    .related(size, "this makes it an array")
    .help("fill it in a probe: `probe begin { … }`")
}

/// Where names are looked up that are no locals.
#[derive(Clone, Copy)]
pub(super) struct Names<'a> {
    pub(super) globals: &'a Globals,
    pub(super) functions: &'a Functions<'a>,
    pub(super) types: &'a dyn DataTypes,
}

/// What is known of one handler at one point, or of one function.
#[derive(Debug)]
pub(super) struct Handler {
    pub(super) place: Option<Place>,
    pub(super) function: Option<FunctionId>,
    pub(super) locals: Vec<Local>,
    by_name: HashMap<String, LocalId>,
    /// The first so many locals are parameters.
    params: usize,
    /// The functions that it calls, with the place of one call each.
    pub(super) calls: Vec<(FunctionId, Span)>,
}

/// The point of a handler.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) id: PointId,
    pub(super) name: String,
    pub(super) span: Span,
    pub(super) context: Context,
    pub(super) variables: Vec<TargetVariable>,
}

/// A local variable.
#[derive(Debug)]
pub(super) struct Local {
    pub(super) name: String,
    pub(super) ty: Term,
    pub(super) written: bool,
    pub(super) first_read: Option<Span>,
    /// Where it is first named.
    pub(super) span: Span,
}

impl Handler {
    /// A handler at a point that the environment knows.
    pub(super) fn at(
        point: &ast::ProbePoint,
        known: &Point,
        variables: Vec<TargetVariable>,
    ) -> Self {
        let place = Place {
            id: known.id,
            name: point.to_string(),
            span: point.span,
            context: known.context,
            variables,
        };
        Self { place: Some(place), ..Self::anywhere() }
    }

    /// A handler whose point is wrong; anything may be known there.
    pub(super) fn anywhere() -> Self {
        Self {
            place: None,
            function: None,
            locals: Vec::new(),
            by_name: HashMap::new(),
            params: 0,
            calls: Vec::new(),
        }
    }

    /// A function; its parameters are its first locals.
    pub(super) fn function(id: FunctionId, function: &Function<'_>) -> Self {
        let mut handler = Self { function: Some(id), ..Self::anywhere() };
        for (param, ty) in function.ast.params.iter().zip(&function.params) {
            let name = &param.name;
            handler.insert(&name.text, *ty, name.span);
        }
        handler.locals.iter_mut().for_each(|param| param.written = true);
        handler.params = handler.locals.len();
        handler
    }

    fn insert(&mut self, name: &str, ty: Term, span: Span) -> LocalId {
        let id = LocalId(u32::try_from(self.locals.len()).unwrap_or(u32::MAX));
        self.by_name.insert(name.to_owned(), id);
        let name = name.to_owned();
        self.locals.push(Local { name, ty, written: false, first_read: None, span });
        id
    }

    /// The local called `name`; a new one where there is none yet.
    pub(super) fn local(&mut self, name: &str, span: Span, types: &mut Types) -> LocalId {
        match self.get(name) {
            Some(id) => id,
            None => self.insert(name, types.fresh(), span),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<LocalId> {
        self.by_name.get(name).copied()
    }

    /// The parameter called `name`, which hides a global.
    pub(super) fn parameter(&self, name: &str) -> Option<LocalId> {
        self.get(name).filter(|id| (id.0 as usize) < self.params)
    }

    pub(super) fn at_mut(&mut self, id: LocalId) -> &mut Local {
        &mut self.locals[id.0 as usize]
    }

    /// What a condition is known to be before the script runs, because of
    /// `@defined`; none where it has to run.
    pub(super) fn constant(
        &self,
        condition: &ast::Expression,
        names: Names<'_>,
    ) -> Option<bool> {
        let known = |it: &ast::Expression| self.constant(it, names);
        match &condition.kind {
            ExpressionKind::At { name, arguments, .. } if name.text == "defined" => {
                self.defined(arguments.first()?, names)
            }
            ExpressionKind::Unary(UnaryOp::Not, operand) => known(operand).map(|it| !it),
            ExpressionKind::Binary(Operator::And, left, right) => {
                match (known(left), known(right)) {
                    (Some(false), _) | (_, Some(false)) => Some(false),
                    (Some(true), Some(true)) => Some(true),
                    _ => None,
                }
            }
            ExpressionKind::Binary(Operator::Or, left, right) => {
                match (known(left), known(right)) {
                    (Some(true), _) | (_, Some(true)) => Some(true),
                    (Some(false), Some(false)) => Some(false),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Whether there is what `@defined` asks for.
    fn defined(
        &self,
        what: &ast::Expression,
        Names { globals, functions, types }: Names<'_>,
    ) -> Option<bool> {
        let point = self.place.as_ref();
        if let Some(defined) = (Resolver { types, point }).defined(what) {
            // Where the point is wrong, nobody knows.
            let is_known = point.is_some() || self.function.is_some();
            return is_known.then_some(defined);
        }
        Some(match &what.kind {
            ExpressionKind::Variable(name) => {
                globals.get(name).is_some() || self.get(name).is_some()
            }
            ExpressionKind::Element { array, .. } => globals.get(&array.text).is_some(),
            ExpressionKind::Call { function, .. } => {
                let builtin = builtins::lookup(&function.text);
                functions.get(&function.text).is_some()
                    || builtin.is_some_and(Builtin::is_there)
            }
            _ => return None,
        })
    }
}
