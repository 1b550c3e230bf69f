//! Names: variables, arrays and `$` variables, and who reads and writes them.

use super::{Infer, Use, both};
use crate::ast::{Expression, ExpressionKind, Name};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::sema::scope::{Global, Place, Shape};
use crate::sema::types::Term;
use crate::span::Span;
use crate::suggest;
use crate::typed::GlobalId;

impl Infer<'_, '_> {
    /// The type of what is assigned to. It counts as read only where the value
    /// of the whole assignment is used.
    pub(super) fn place(&mut self, place: &Expression, used: Use) -> Term {
        match &place.kind {
            ExpressionKind::Variable(name) => {
                let found = self.variable(name, place.span, true, used);
                self.handler.mark_assigned(name);
                found
            }
            ExpressionKind::Element { array, keys } => {
                self.one_element(keys);
                let value = self.element(array, keys, place.span);
                self.mark_written(&array.text);
                if used == Use::Value {
                    self.mark_read(&array.text);
                }
                value
            }
            ExpressionKind::Target(name) => {
                let message = format!("`${name}` can not be assigned to");
                let help = format!(
                    "hwtrace never changes the target; script variables have no `$`: `{name} = …`"
                );
                self.read_only(place, message, help)
            }
            ExpressionKind::Member(..)
            | ExpressionKind::Subscript(..)
            | ExpressionKind::At { .. }
            | ExpressionKind::Dereference(_) => {
                let help = "hwtrace never changes the target; keep the value in a variable: `x = …`";
                let message = "data of the target can not be assigned to";
                self.read_only(place, message.to_owned(), help.to_owned())
            }
            kind => unreachable!("the parser lets no {kind:?} be assigned to"),
        }
    }

    fn read_only(&mut self, place: &Expression, message: String, help: String) -> Term {
        self.report.push(
            Diagnostic::new(Code::ReadOnly, place.span, message)
                .label("belongs to the target")
                .help(help),
        );
        self.types.fresh()
    }

    /// The type of a variable, global or local.
    pub(super) fn variable(
        &mut self,
        name: &str,
        span: Span,
        write: bool,
        used: Use,
    ) -> Term {
        let hidden = self.handler.parameter(name).is_some();
        if let Some(id) = self.globals.get(name).filter(|_| !hidden) {
            let global = self.globals.at_mut(id);
            global.written |= write;
            global.read |= !write || used == Use::Value;
            return self.scalar(id, span);
        }
        let id = self.handler.local(name, span, &mut self.types);
        let local = self.handler.at_mut(id);
        local.written |= write;
        local.used |= !write || used == Use::Value;
        if !write {
            local.first_read.get_or_insert(span);
        }
        local.ty
    }

    fn scalar(&mut self, id: GlobalId, span: Span) -> Term {
        let global = self.globals.at(id);
        let array_at = match (&global.shape, global.declared_array()) {
            (Shape::Array { first_use, .. }, _) => Some(*first_use),
            (Shape::Unknown, Some(declared)) => Some(declared),
            (Shape::Scalar { value, .. }, _) => return *value,
            (Shape::Unknown, None) => None,
        };
        if let Some(there) = array_at {
            let help = format!("name the key: `{}[key]`", global.name.text);
            let error =
                array_and_scalar(global, span, "as one value", there, "as an array");
            self.report.push(error.help(help));
            return self.types.fresh();
        }
        let value = self.types.fresh();
        self.globals.at_mut(id).shape = Shape::Scalar { value, first_use: span };
        value
    }

    /// Refuses `*` among the keys of one element.
    pub(super) fn one_element(&mut self, keys: &[Expression]) {
        if let Some(any) = keys.iter().find(|key| key.kind == ExpressionKind::AnyKey) {
            self.report.push(
                Diagnostic::new(Code::AnyKeyHere, any.span, "`*` stands for many elements")
                    .label("one key is needed here")
                    .help("`*` can stand in `foreach (… in a[*, x])`, `delete a[*, x]`, `[*, x] in a`, and in what is asked of statistics: `@sum(a[*, x])`"),
            );
        }
    }

    /// The type of an element's value; the keys are looked at, `*` is any.
    pub(super) fn element(
        &mut self,
        array: &Name,
        keys: &[Expression],
        span: Span,
    ) -> Term {
        let found = self.array(array, keys.len(), span);
        let types = found.as_ref().map_or(&[][..], |(types, _)| types);
        for (at, key) in keys.iter().enumerate() {
            if key.kind == ExpressionKind::AnyKey {
                continue;
            }
            let key_type = self.expression(key, Use::Value);
            let Some(&wanted) = types.get(at) else {
                continue;
            };
            if let Err(conflict) = self.types.flow(wanted, key_type, key.span) {
                let evidence = self.types.evidence(wanted);
                let subject = format!("key {} of `{}`", at + 1, array.text);
                let error = both(&subject, conflict, key.span, evidence);
                self.report.push(error.help("give each kind of key an array of its own"));
            }
        }
        match found {
            Some((_, value)) => value,
            None => self.types.fresh(),
        }
    }

    /// The types of an array with `arity` keys; none after an error.
    pub(super) fn array(
        &mut self,
        name: &Name,
        arity: usize,
        span: Span,
    ) -> Option<(Vec<Term>, Term)> {
        let Some(id) = self.globals.get(&name.text) else {
            let error = self.unknown_array(name);
            self.report.push(error);
            // Known from here on, so that each unknown array is told of once.
            self.globals.insert(name);
            return None;
        };
        let global = self.globals.at(id);
        match &global.shape {
            Shape::Array { keys, value, .. } if keys.len() == arity => {
                return Some((keys.clone(), *value));
            }
            Shape::Array { keys, first_use, .. } => {
                let error = key_count(name, span, arity, *first_use, keys.len());
                self.report.push(error);
                return None;
            }
            Shape::Scalar { first_use, .. } => {
                let error = array_and_scalar(
                    global,
                    span,
                    "as an array",
                    *first_use,
                    "as one value",
                );
                self.report.push(error.help("give the two uses a global each"));
                return None;
            }
            Shape::Unknown => {}
        }
        let keys: Vec<Term> = (0..arity).map(|_| self.types.fresh()).collect();
        let value = self.types.fresh();
        let shape = Shape::Array { keys: keys.clone(), value, first_use: span };
        self.globals.at_mut(id).shape = shape;
        Some((keys, value))
    }

    pub(super) fn mark_read(&mut self, global: &str) {
        if let Some(id) = self.globals.get(global) {
            self.globals.at_mut(id).read = true;
        }
    }

    pub(super) fn mark_written(&mut self, global: &str) {
        if let Some(id) = self.globals.get(global) {
            self.globals.at_mut(id).written = true;
        }
    }

    fn unknown_array(&self, name: &Name) -> Diagnostic {
        let text = &name.text;
        let error = Diagnostic::new(
            Code::UnknownArray,
            name.span,
            format!("array `{text}` is not declared"),
        )
        .label("not declared");
        let error = match suggest::did_you_mean(text, self.globals.names()) {
            Some(near) => error.help(near),
            None => error,
        };
        error.help(format!("declare it at the top of the script: `global {text}`"))
    }

    /// Tells where `$name` is not known.
    pub(super) fn target(&mut self, name: &str, span: Span) {
        // Where the point is wrong, nobody knows what it would have had.
        let Some(place) = &self.handler.place else {
            if self.handler.function.is_some() && !name.is_empty() {
                self.report.push(
                    Diagnostic::new(
                        Code::NotAvailableHere,
                        span,
                        format!("`${name}` is not known in a function"),
                    )
                    .label("not known here")
                    .help(format!(
                        "give it to the function as an argument: `f(${name})`"
                    )),
                );
            }
            return;
        };
        if !place.variables.iter().any(|variable| variable.name == name) {
            let error = self.unknown_target(place, name, span);
            self.report.push(error);
        }
    }

    fn unknown_target(&self, place: &Place, name: &str, span: Span) -> Diagnostic {
        let known: Vec<&str> =
            place.variables.iter().map(|variable| &*variable.name).collect();
        if name.is_empty() {
            return Diagnostic::new(
                Code::Syntax,
                span,
                "`$` needs a name or a number behind it",
            )
            .label("stands alone")
            .help("`$new` is the new value, `$1` the first script argument");
        }
        let is_variable =
            self.globals.get(name).is_some() || self.handler.get(name).is_some();
        let code = match known.is_empty() {
            true => Code::NotAvailableHere,
            false => Code::UnknownTargetVariable,
        };
        let message = format!("`${name}` is not known at `{}`", place.name);
        let error = Diagnostic::new(code, span, message).label("not known here");
        if is_variable {
            return error.help(format!("script variables have no `$`: write `{name}`"));
        }
        if known.is_empty() {
            return error.help(
                "only data probes have `$new` and `$old`: keep the value in a global",
            );
        }
        let dollar: Vec<String> = known.iter().map(|known| format!("${known}")).collect();
        let listed = suggest::list(dollar.iter().map(String::as_str)).unwrap_or_default();
        let near =
            suggest::did_you_mean(&format!("${name}"), dollar.iter().map(String::as_str));
        let help = near.unwrap_or_else(|| {
            format!("script variables have no `$`: write `{name}`; a data probe knows {listed}")
        });
        error.help(help)
    }
}

fn array_and_scalar(
    global: &Global,
    here: Span,
    as_here: &str,
    there: Span,
    as_there: &str,
) -> Diagnostic {
    let message =
        format!("`{}` is used both as an array and as one value", global.name.text);
    Diagnostic::new(Code::ArrayAndScalar, here, message)
        .label(format!("{as_here} here"))
        .related(there, format!("{as_there} here"))
}

fn key_count(
    name: &Name,
    here: Span,
    found: usize,
    there: Span,
    known: usize,
) -> Diagnostic {
    let keys = |count: usize| format!("{count} key{}", if count == 1 { "" } else { "s" });
    let message =
        format!("`{}` is used with {} and with {}", name.text, keys(known), keys(found));
    Diagnostic::new(Code::KeyCount, here, message)
        .label(format!("{} here", keys(found)))
        .related(there, format!("{} here", keys(known)))
        .help(format!(
            "an array has one number of keys: write {} everywhere",
            keys(known)
        ))
}
