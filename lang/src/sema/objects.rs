//! Objects that handlers watch: the names of their probes, and the types that the calls
//! of `watch()` tell of them.
//!
//! What a call tells may depend on the type of the very objects (`&$new->next` in a probe
//! of theirs), so that types are looked for until no call tells anything new.

use std::collections::BTreeMap;

use super::data::{Found, Problem, Resolver};
use super::plan::Planned;
use super::scope::{Handler, Place};
use super::visit;
use crate::ast::{Expression, ExpressionKind, Item, Script, Statement};
use crate::code::Code;
use crate::data::{DataTypes, Space, TypeRef};
use crate::diagnostic::Diagnostic;
use crate::environment::Environment;

/// An object has at most so many bytes.
pub(super) const BYTES_MAX: u64 = 64;

/// Stands for all objects of a name where `unwatch()` is given no address.
pub(super) const ALL: i64 = -1;

/// What a script has of objects.
pub(super) struct Objects {
    /// The names that probes are for.
    pub(super) names: Vec<String>,
    /// Names that no handler watches anything by.
    pub(super) doubtful: Vec<Diagnostic>,
}

/// What the calls say of the type of the objects of a name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    One(TypeRef),
    Several,
}

/// A call of `watch()`.
struct Call<'s> {
    /// Index of the handler; none in a function.
    handler: Option<usize>,
    name: &'s str,
    arguments: &'s [Expression],
}

/// Finds the probes of objects, and gives the objects their types.
pub(super) fn settle(
    script: &Script,
    planned: &mut [Planned<'_>],
    environment: &mut dyn Environment,
) -> Objects {
    let names: Vec<Option<String>> = planned
        .iter()
        .map(|it| environment.objects(it.known.as_ref()?.0.id).map(str::to_owned))
        .collect();
    if names.iter().all(Option::is_none) {
        return Objects { names: Vec::new(), doubtful: Vec::new() };
    }
    let blocks: Vec<_> = planned.iter().map(|it| it.blocks.clone()).collect();
    let calls = calls(script, &blocks);
    let mut told = BTreeMap::new();
    // A type is told at first by no call, then by some, then by too many.
    for _ in 0..=2 * names.len() {
        let now = types(&calls, planned, environment.types());
        if now == told {
            break;
        }
        told = now;
        for (planned, name) in planned.iter_mut().zip(&names) {
            let (Some(name), Some((point, variables))) = (name, &mut planned.known)
            else {
                continue;
            };
            let ty = match told.get(name.as_str()) {
                Some(Told::One(ty)) => Some(*ty),
                _ => None,
            };
            environment.set_object_type(point.id, ty);
            *variables = environment.variables(point.id).to_vec();
        }
    }
    let is_watched = |name: &str| calls.iter().any(|call| call.name == name);
    let probes = planned.iter().zip(&names);
    let unwatched = probes.filter_map(|(planned, name)| {
        let name = name.as_ref().filter(|name| !is_watched(name))?;
        Some(never_watched(name, planned))
    });
    let doubtful = unwatched.collect();
    let mut names: Vec<_> = names.into_iter().flatten().collect();
    names.sort_unstable();
    names.dedup();
    Objects { names, doubtful }
}

fn never_watched(name: &str, planned: &Planned<'_>) -> Diagnostic {
    let message = format!("no handler watches objects by the name `{name}`");
    Diagnostic::new(Code::NoObjects, planned.point.span, message)
        .label("never fires")
        .help(format!("watch some: `watch(\"{name}\", &@var(\"x\"))`"))
}

/// All calls of `watch()` with a name that is a literal.
fn calls<'s>(script: &'s Script, blocks: &[Vec<&'s [Statement]>]) -> Vec<Call<'s>> {
    let mut calls = Vec::new();
    let functions = || {
        script.items.iter().filter_map(|item| match item {
            Item::Function(function) => Some(function),
            _ => None,
        })
    };
    // A function of the script takes the place of a builtin one.
    if functions().any(|function| function.name.text == "watch") {
        return calls;
    }
    for function in functions() {
        statements(None, &function.body, &mut calls);
    }
    for (handler, blocks) in blocks.iter().enumerate() {
        for block in blocks {
            statements(Some(handler), block, &mut calls);
        }
    }
    calls
}

fn statements<'s>(
    handler: Option<usize>,
    block: &'s [Statement],
    calls: &mut Vec<Call<'s>>,
) {
    let mut see = |expression: &'s Expression| {
        if let ExpressionKind::Call { function, arguments } = &expression.kind
            && function.text == "watch"
            && let [name, arguments @ ..] = arguments.as_slice()
            && let ExpressionKind::String(name) = &name.kind
        {
            calls.push(Call { handler, name: &name.value, arguments });
        }
    };
    block.iter().for_each(|statement| visit::each_expression(statement, &mut see));
}

/// What all calls together say.
fn types<'s>(
    calls: &[Call<'s>],
    planned: &[Planned<'_>],
    types: &dyn DataTypes,
) -> BTreeMap<&'s str, Told> {
    let places: Vec<Option<Place>> = planned
        .iter()
        .map(|it| {
            let (point, variables) = it.known.as_ref()?;
            Handler::at(&it.point, point, variables.clone()).place
        })
        .collect();
    let mut all: BTreeMap<&str, Told> = BTreeMap::new();
    for Call { handler, name, arguments } in calls {
        let point = handler.and_then(|handler| places[handler].as_ref());
        let resolver = Resolver { types, point };
        // What is wrong is told where expressions are looked at, and what is not known
        // yet may be so in the next round.
        let told = match object(&resolver, arguments) {
            Some(Ok(found)) => Told::One(found.ty),
            Some(Err(_)) => continue,
            None => Told::Several,
        };
        all.entry(name)
            .and_modify(|known| {
                if *known != told {
                    *known = Told::Several;
                }
            })
            .or_insert(told);
    }
    all
}

/// The data that `&` stands before in the arguments behind the name; none where there is
/// none, or the length that is given is another.
fn object(
    resolver: &Resolver<'_>,
    arguments: &[Expression],
) -> Option<Result<Found, Problem>> {
    let (address, length) = match arguments {
        [address] => (address, None),
        [address, length] => (address, Some(length)),
        _ => return None,
    };
    let ExpressionKind::Address(of) = &address.kind else { return None };
    let found = resolver.resolve(of);
    match (&found, length.map(|length| &length.kind)) {
        (Ok(found), Some(ExpressionKind::Integer(length))) => {
            let size = resolver.types.size(found.ty);
            (size == u64::try_from(*length).ok()).then_some(())?;
        }
        (_, Some(_)) => return None,
        _ => {}
    }
    Some(found)
}

/// The bytes of the data that `&` stands before.
pub(super) fn length(resolver: &Resolver<'_>, address: &Expression) -> Option<i64> {
    let ExpressionKind::Address(of) = &address.kind else { return None };
    let found = resolver.resolve(of).ok()?;
    i64::try_from(resolver.types.size(found.ty)?).ok()
}

/// Why data can not be watched as an object.
pub(super) fn obstacle(resolver: &Resolver<'_>, found: Found) -> Option<String> {
    let size = resolver.types.size(found.ty);
    match (found.space, size) {
        (Space::Kernel, _) => Some("data of the kernel is no object".to_owned()),
        (_, None | Some(0)) => Some("its length is not known".to_owned()),
        (_, Some(size)) if size > BYTES_MAX => Some(format!(
            "an object has at most {BYTES_MAX} bytes, and `{}` has {size}",
            resolver.types.name(found.ty)
        )),
        _ => None,
    }
}
