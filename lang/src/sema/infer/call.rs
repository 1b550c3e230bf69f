//! Calls of functions.

use super::{Infer, Use, both};
use crate::ast::{Expression, ExpressionKind, Name};
use crate::builtins::{self, Available, Builtin, Topic};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::environment::Context;
use crate::parse::foreign::KEYWORDS;
use crate::sema::hints;
use crate::sema::print::{Family, are_given, arguments as counted};
use crate::sema::scope::Handler;
use crate::sema::types::Term;
use crate::span::Span;
use crate::suggest;
use crate::typed::FunctionId;
use crate::types::Type;

const LONG: Term = Term::Known(Type::Long);

impl Infer<'_, '_> {
    pub(super) fn call(
        &mut self,
        call: &Expression,
        function: &Name,
        arguments: &[Expression],
        used: Use,
    ) -> Term {
        if let Some(family) = Family::named(&function.text) {
            return self.print(call, family, arguments, used);
        }
        // A function of the script takes the place of a builtin one.
        if let Some(id) = self.functions.get(&function.text) {
            return self.own(call, id, arguments, used);
        }
        match builtins::lookup(&function.text) {
            Some(builtin) => self.builtin(call, builtin, arguments, used),
            None => {
                for argument in arguments {
                    self.expression(argument, Use::Value);
                }
                let error = self.unknown_function(function, arguments.len());
                self.report.push(error);
                self.types.fresh()
            }
        }
    }

    fn builtin(
        &mut self,
        call: &Expression,
        builtin: &'static Builtin,
        arguments: &[Expression],
        used: Use,
    ) -> Term {
        let given = arguments.len();
        if given < builtin.required || given > builtin.params.len() {
            self.report.push(argument_count(builtin, given, call.span));
        }
        let why = format!("`{}()`", builtin.name);
        for (at, argument) in arguments.iter().enumerate() {
            match builtin.params.get(at) {
                Some(param) if param.ty == Type::Stack => self.stack(argument, &why),
                Some(param) => {
                    self.expect(argument, param.ty, &why);
                }
                None => {
                    self.expression(argument, Use::Value);
                }
            }
        }
        self.check_available(builtin, call.span);
        match (builtin.name, arguments) {
            ("register" | "u_register", [name]) => self.check_register(name),
            ("watch" | "unwatch", [name, rest @ ..]) => {
                self.check_object(builtin.name, name, rest);
            }
            _ => {}
        }
        if let (Topic::Counts, [name]) = (builtin.topic, arguments) {
            self.check_watched(name);
        }
        match builtin.returns {
            Some(ty) => Term::Known(ty),
            None => {
                self.check_value(builtin.name, call.span, used);
                LONG
            }
        }
    }

    /// An error for a register that there is not. A name that is no literal is
    /// looked up at the hit.
    fn check_register(&mut self, name: &Expression) {
        let ExpressionKind::String(text) = &name.kind else { return };
        let known = || self.registers.iter().copied();
        if self.registers.is_empty() || known().any(|known| known == text.value) {
            return;
        }
        let message = format!("there is no register `{}`", text.value);
        let error =
            Diagnostic::new(Code::UnknownRegister, name.span, message).label("not known");
        let near = suggest::did_you_mean(&text.value, known());
        let all = || known().collect::<Vec<_>>().join(" ");
        self.report
            .push(error.help(near.unwrap_or_else(|| format!("there are {}", all()))));
    }

    /// An error for data that no probe of the script watches. A name that is no literal is
    /// looked up when it is asked for.
    fn check_watched(&mut self, name: &Expression) {
        let (ExpressionKind::String(text), Some(watched)) = (&name.kind, &self.watched)
        else {
            return;
        };
        let known = || watched.iter().map(String::as_str);
        if known().any(|known| known == text.value) {
            return;
        }
        let message = format!("no probe watches `{}`", text.value);
        let error =
            Diagnostic::new(Code::UnknownWatch, name.span, message).label("not watched");
        let near = suggest::did_you_mean(&text.value, known());
        let help = match watched.is_empty() {
            true => "a probe that does is `probe process.data(\"counter\").write { … }`",
            false => "give the name as it stands in the `data(\"…\")` of a probe",
        };
        self.report.push(error.help(near.unwrap_or_else(|| help.to_owned())));
    }

    /// A call of a function of the script.
    fn own(
        &mut self,
        call: &Expression,
        id: FunctionId,
        arguments: &[Expression],
        used: Use,
    ) -> Term {
        let function = self.functions.at(id);
        let (name, returns) = (function.ast.name.clone(), function.returns);
        let params = function.params.clone();
        if !self.handler.calls.iter().any(|(called, _)| *called == id) {
            self.handler.calls.push((id, call.span));
        }
        if params.len() != arguments.len() {
            let (wanted, given) = (counted(params.len()), are_given(arguments.len()));
            let message = format!("`{}()` takes {wanted}, but {given}", name.text);
            self.report.push(
                Diagnostic::new(Code::ArgumentCount, call.span, message)
                    .label("called here")
                    .related(name.span, "declared here")
                    .help("give each parameter a value"),
            );
        }
        for (at, argument) in arguments.iter().enumerate() {
            let found = self.expression(argument, Use::Value);
            let Some(&wanted) = params.get(at) else { continue };
            if let Err(conflict) = self.types.flow(wanted, found, argument.span) {
                let subject = format!("argument {} of `{}()`", at + 1, name.text);
                let evidence = self.types.evidence(wanted);
                let error = both(&subject, conflict, argument.span, evidence);
                self.report.push(error.help("a parameter has one type everywhere"));
            }
        }
        match returns {
            Some(ty) => ty,
            None => {
                self.check_value(&name.text, call.span, used);
                LONG
            }
        }
    }

    fn check_available(&mut self, builtin: &'static Builtin, span: Span) {
        let name = builtin.name;
        if let Available::NotYet(instead) = builtin.available {
            let message = format!("function `{name}` is not available yet");
            let error = Diagnostic::new(Code::Unsupported, span, message);
            self.report.push(error.label("not available yet").help(instead));
        }
        if builtin.needs_unsafe && !self.allow_unsafe {
            let message = format!("`{name}()` needs --unsafe");
            self.report.push(
                Diagnostic::new(Code::NeedsUnsafe, span, message)
                    .label("acts on the system, not only on what is traced")
                    .help("read the script, then run it with `--unsafe`"),
            );
        }
        if builtin.available != Available::DataProbes {
            return;
        }
        if let Some(id) = self.handler.function {
            self.functions.at_mut(id).needs_data.get_or_insert(name);
        }
        let Some(place) = &self.handler.place else { return };
        if place.context != Context::Data {
            let message = format!("`{name}()` is not known at `{}`", place.name);
            self.report.push(no_data(message, span));
        }
    }

    /// Refuses calls of functions that ask what a handler's point does not
    /// know.
    pub(in crate::sema) fn check_calls(&mut self, handler: &Handler) {
        let Some(place) = &handler.place else { return };
        if place.context == Context::Data {
            return;
        }
        for (id, span) in &handler.calls {
            let function = self.functions.at(*id);
            if let Some(needs) = function.needs_data {
                let message = format!(
                    "`{}()` asks for `{needs}()`, which is not known at `{}`",
                    function.ast.name.text, place.name
                );
                self.report.push(no_data(message, *span));
            }
        }
    }

    /// An error where the value of a function without one is used.
    pub(in crate::sema) fn check_value(&mut self, function: &str, span: Span, used: Use) {
        if used == Use::Value {
            let error = Diagnostic::new(
                Code::NoValue,
                span,
                format!("`{function}()` gives no value"),
            )
            .label("used as a value");
            let help = match Family::named(function) {
                Some(_) => format!(
                    "`s{function}(…)` gives the text; a predicate stands in front: `if (…) {function}(…)`"
                ),
                None => "call it in a statement of its own".to_owned(),
            };
            self.report.push(error.help(help));
        }
    }

    fn unknown_function(&self, function: &Name, given: usize) -> Diagnostic {
        let name = &function.text;
        let message = format!("there is no function `{name}`");
        let mut error = Diagnostic::new(Code::UnknownFunction, function.span, message)
            .label("not known");
        if self.globals.get(name).is_some() {
            return error
                .help(format!("`{name}` is a global; its elements are `{name}[key]`"));
        }
        let mut known: Vec<&str> = self.functions.names().collect();
        known.extend(builtins::names().map(|name| -> &str { name }));
        known.extend_from_slice(KEYWORDS);
        let near = suggest::did_you_mean(name, known);
        for help in hints::function(name).map(str::to_owned).into_iter().chain(near) {
            error = error.help(help);
        }
        if error.help.is_empty() {
            let params: Vec<_> = (1..=given).map(|number| format!("p{number}")).collect();
            let params = params.join(", ");
            error =
                error.help(format!("declare it: `function {name}({params}) {{ … }}`"));
        }
        error
    }
}

fn argument_count(builtin: &Builtin, given: usize, span: Span) -> Diagnostic {
    let most = builtin.params.len();
    let wanted = match builtin.required {
        least if least < most => format!("{least} to {}", counted(most)),
        _ => counted(most),
    };
    let given = are_given(given);
    let message = format!("`{}()` takes {wanted}, but {given}", builtin.name);
    Diagnostic::new(Code::ArgumentCount, span, message)
        .label(builtin.doc)
        .help(format!("write it like this: `{}`", builtin.example))
}

fn no_data(message: String, span: Span) -> Diagnostic {
    Diagnostic::new(Code::NotAvailableHere, span, message)
        .label("no data is accessed here")
        .help("ask it in a data probe and keep it in a global: `probe process.data(\"counter\").write { … }`")
}
