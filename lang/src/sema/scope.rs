//! What the names of a script stand for.

use std::collections::HashMap;

use super::report::Report;
use super::types::{Term, Types};
use crate::ast::{self, ExpressionKind, Item, Script};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::environment::{Context, Point, PointId, TargetVariable};
use crate::span::Span;
use crate::typed::{GlobalId, Literal, LocalId};

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
    pub(super) initial: Option<(Literal, Span)>,
    /// Its value is used somewhere.
    pub(super) read: bool,
    /// It is assigned to somewhere.
    pub(super) written: bool,
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
        let Some(initial) = &declared.initial else {
            return;
        };
        if let Some((_, span)) = declared.size {
            report.push(initial_of_array(&name.text, initial.span, span));
            return;
        }
        let literal = match &initial.kind {
            ExpressionKind::Integer(value) => Literal::Long(*value),
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

fn redeclared(name: &ast::Name, first: Span) -> Diagnostic {
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
    .related(size, "the size makes it an array")
    .help("fill it in a probe: `probe begin { … }`")
}

/// What is known of one handler at one point.
#[derive(Debug)]
pub(super) struct Handler {
    pub(super) place: Option<Place>,
    pub(super) locals: Vec<Local>,
    by_name: HashMap<String, LocalId>,
}

/// The point of a handler.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) id: PointId,
    pub(super) name: String,
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
}

impl Handler {
    /// A handler at a point that the environment knows.
    pub(super) fn at(
        point: &ast::ProbePoint,
        known: Point,
        variables: Vec<TargetVariable>,
    ) -> Self {
        let name = point.to_string();
        let place = Place { id: known.id, name, context: known.context, variables };
        Self { place: Some(place), ..Self::anywhere() }
    }

    /// A handler whose point is wrong; anything may be known there.
    pub(super) fn anywhere() -> Self {
        Self { place: None, locals: Vec::new(), by_name: HashMap::new() }
    }

    /// The local called `name`; a new one where there is none yet.
    pub(super) fn local(&mut self, name: &str, types: &mut Types) -> LocalId {
        if let Some(id) = self.get(name) {
            return id;
        }
        let id = LocalId(u32::try_from(self.locals.len()).unwrap_or(u32::MAX));
        self.by_name.insert(name.to_owned(), id);
        let ty = types.fresh();
        self.locals.push(Local {
            name: name.to_owned(),
            ty,
            written: false,
            first_read: None,
        });
        id
    }

    pub(super) fn get(&self, name: &str) -> Option<LocalId> {
        self.by_name.get(name).copied()
    }

    pub(super) fn at_mut(&mut self, id: LocalId) -> &mut Local {
        &mut self.locals[id.0 as usize]
    }
}
