//! First walk: names and types. Everything that can be wrong with a script is
//! found here, so that the second walk has nothing left to refuse.

mod call;
mod data;
mod expression;
mod finish;
mod name;
mod numbers;
mod objects;
mod stacks;
mod statistics;

use self::numbers::{Operand, Pending};
use super::functions::Functions;
use super::report::Report;
use super::scope::{Globals, Handler, Local, Names, Shape};
use super::types::{Conflict, Term, Types};
use super::visit::{Features, assigned};
use crate::ast::{
    Expression, ExpressionKind, Foreach, Name, Script, Statement, StatementKind, Walked,
};
use crate::builtins;
use crate::code::Code;
use crate::data::DataTypes;
use crate::diagnostic::Diagnostic;
use crate::parse::foreign::KEYWORDS;
use crate::span::Span;
use crate::suggest;
use crate::typed::{FunctionId, Literal};
use crate::types::Type;

/// The state of the first walk.
pub(super) struct Infer<'s, 'a> {
    pub(super) report: &'a mut Report,
    pub(super) globals: Globals,
    pub(super) functions: Functions<'s>,
    pub(super) types: Types,
    pub(super) data_types: &'a dyn DataTypes,
    pub(super) features: Features,
    /// Functions that need --unsafe may be called.
    pub(super) allow_unsafe: bool,
    /// What is doubtful, once for each handler.
    pub(super) warnings: Vec<Diagnostic>,
    /// The whole script, for what an error may want to know.
    pub(super) script: Option<&'s Script>,
    /// Names of objects that probes are for.
    pub(super) objects: Vec<String>,
    /// Registers that can be asked for; none where any may.
    pub(super) registers: Vec<&'static str>,
    /// What the data of all points is called; none where any name will do.
    pub(super) watched: Option<Vec<String>>,
    /// The handler in work.
    pub(super) handler: Handler,
    /// How many loops are around the statement in work.
    loops: u32,
    /// Operators whose sides are not known yet.
    pending: Vec<Pending>,
    /// Values that must not turn out to be statistics, with what to call them.
    values: Vec<(Term, Span, String)>,
}

/// Whether the value of an expression is used, or only its effect wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Value,
    Effect,
}

impl<'s, 'a> Infer<'s, 'a> {
    pub(super) fn new(
        globals: Globals,
        functions: Functions<'s>,
        (types, data_types): (Types, &'a dyn DataTypes),
        features: Features,
        report: &'a mut Report,
    ) -> Self {
        let mut infer = Self {
            report,
            globals,
            functions,
            types,
            data_types,
            features,
            allow_unsafe: false,
            warnings: Vec::new(),
            script: None,
            objects: Vec::new(),
            registers: Vec::new(),
            watched: None,
            handler: Handler::anywhere(),
            loops: 0,
            pending: Vec::new(),
            values: Vec::new(),
        };
        infer.initial_values();
        infer
    }

    /// What the values at the start tell of the globals' types.
    fn initial_values(&mut self) {
        for global in &mut self.globals.list {
            let Some((literal, span)) = &global.initial else {
                continue;
            };
            let value = self.types.fresh();
            let ty = match literal {
                Literal::Long(_) => Type::Long,
                Literal::Double(_) => Type::Double,
                Literal::String(_) => Type::String,
            };
            // A fresh type can not conflict.
            let _ = self.types.unify(value, Term::Known(ty), *span);
            global.shape = Shape::Scalar { value, first_use: global.name.span };
        }
    }

    /// Walks a handler, made of blocks in order, and gives it back with its
    /// locals.
    pub(super) fn handler(
        &mut self,
        blocks: &[&[Statement]],
        conditions: &[&Expression],
        handler: Handler,
    ) -> Handler {
        self.handler = handler;
        self.loops = 0;
        for condition in conditions {
            self.point_condition(condition);
        }
        for block in blocks {
            self.block(block);
        }
        self.check_locals();
        // What an alias knows need not be of use to each handler.
        if let [_] = blocks {
            let globals = || self.globals.names();
            let doubtful = self.handler.never_read().map(|it| never_read(it, globals()));
            self.warnings.extend(doubtful);
        }
        if self.features.statistics {
            let local = |local: &Local| (local.ty, local.span, local.name.clone());
            self.values.extend(self.handler.locals.iter().map(local));
        }
        std::mem::replace(&mut self.handler, Handler::anywhere())
    }

    /// Walks a function; what it calls is kept with it.
    pub(super) fn function(&mut self, id: FunctionId) -> Handler {
        let function = self.functions.at(id);
        let body = function.ast.body.as_slice();
        let handler = Handler::function(id, function);
        let handler = self.handler(&[body], &[], handler);
        let calls = handler.calls.iter().map(|(callee, _)| *callee).collect();
        self.functions.at_mut(id).calls = calls;
        handler
    }

    pub(super) fn finish(self) -> (Globals, Functions<'s>, Types) {
        (self.globals, self.functions, self.types)
    }

    /// What a condition is known to be because of `@defined`.
    fn constant(&self, condition: &Expression) -> Option<bool> {
        let (globals, functions) = (&self.globals, &self.functions);
        let names = Names { globals, functions, types: self.data_types };
        self.handler.constant(condition, names)
    }

    fn block(&mut self, statements: &[Statement]) {
        for statement in statements {
            if self.report.is_full() {
                return;
            }
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &Statement) {
        match &statement.kind {
            StatementKind::Empty | StatementKind::Next => {}
            StatementKind::Block(statements) => self.block(statements),
            StatementKind::If { condition, then, otherwise } => {
                self.conditional_statement(condition, then, otherwise.as_deref());
            }
            StatementKind::While { condition, body } => {
                self.condition(condition, "`while`");
                self.looped(body);
            }
            StatementKind::For { first, condition, step, body } => {
                for part in [first, step].into_iter().flatten() {
                    self.expression(part, Use::Effect);
                }
                if let Some(condition) = condition {
                    self.condition(condition, "`for`");
                }
                self.looped(body);
            }
            StatementKind::Foreach(foreach) => self.foreach(foreach),
            StatementKind::Break => self.jump("break", statement.span),
            StatementKind::Continue => self.jump("continue", statement.span),
            StatementKind::Delete(operand) => self.delete(operand),
            StatementKind::Return(value) => self.return_value(value.as_ref()),
            StatementKind::Try { body, message, handler } => {
                self.block(body);
                if let Some(name) = message {
                    self.loop_variable(name, Term::Known(Type::String));
                }
                self.block(handler);
            }
            StatementKind::Expression(expression) => self.effect(expression),
        }
    }

    fn conditional_statement(
        &mut self,
        condition: &Expression,
        then: &Statement,
        otherwise: Option<&Statement>,
    ) {
        let known = self.constant(condition);
        if known.is_none() {
            self.condition(condition, "`if`");
        }
        if known != Some(false) {
            self.statement(then);
        }
        if let Some(otherwise) = otherwise
            && known != Some(true)
        {
            self.statement(otherwise);
        }
    }

    /// An expression as a statement; two kinds of them are nothing else.
    fn effect(&mut self, expression: &Expression) {
        match &expression.kind {
            ExpressionKind::Accumulate { place, value } => {
                self.statistics(place, "`<<<`", true);
                self.expect(value, Type::Long, "`<<<`");
            }
            _ => match printed_histogram(expression) {
                Some(histogram) => self.histogram(histogram),
                None => {
                    self.expression(expression, Use::Effect);
                }
            },
        }
    }

    fn return_value(&mut self, value: Option<&Expression>) {
        let Some(value) = value else { return };
        let found = self.expression(value, Use::Value);
        let Some(id) = self.handler.function else {
            self.report.push(
                Diagnostic::new(
                    Code::ReturnOutsideFunction,
                    value.span,
                    "a handler returns no value",
                )
                .label("nobody receives it")
                .help("leave the handler with `next`; only functions return values"),
            );
            return;
        };
        let function = self.functions.at(id);
        let name = format!("the result of `{}()`", function.ast.name.text);
        let Some(returns) = function.returns else { return };
        if let Err(conflict) = self.types.flow(returns, found, value.span) {
            let evidence = self.types.evidence(returns);
            let error = both(&name, conflict, value.span, evidence);
            self.report.push(error.help("a function gives values of one type"));
        }
    }

    /// `if (…)` on a probe point.
    fn point_condition(&mut self, condition: &Expression) {
        let mut wrong = None;
        super::visit::each(condition, &mut |part| {
            wrong = wrong
                .or_else(|| self.not_for_conditions(part).map(|why| (part.span, why)));
        });
        match wrong {
            None => {
                self.condition(condition, "`if`");
            }
            Some((span, why)) => self.report.push(
                Diagnostic::new(
                    Code::BadCondition,
                    span,
                    "the condition of a probe point can not ask for this",
                )
                .label(why)
                .help("keep it in a global, or test it in the handler: `if (!(condition)) next`"),
            ),
        }
    }

    /// Why a part of a condition is not known outside of handlers.
    fn not_for_conditions(&self, part: &Expression) -> Option<&'static str> {
        match &part.kind {
            ExpressionKind::Variable(name) if self.globals.get(name).is_none() => {
                Some("not a global")
            }
            _ if super::data::is_data(part) => Some("known only at a hit"),
            ExpressionKind::Assign { .. }
            | ExpressionKind::Increment { .. }
            | ExpressionKind::Accumulate { .. } => Some("changes something"),
            ExpressionKind::Call { function, .. } => {
                let own = self.functions.get(&function.text).is_some();
                let pure = builtins::lookup(&function.text).is_some_and(|it| it.pure);
                (own || !pure).then_some("not a function of its arguments alone")
            }
            _ => None,
        }
    }

    fn looped(&mut self, body: &Statement) {
        self.loops += 1;
        self.statement(body);
        self.loops -= 1;
    }

    fn jump(&mut self, word: &str, span: Span) {
        if self.loops == 0 {
            self.report.push(
                Diagnostic::new(
                    Code::OutsideLoop,
                    span,
                    format!("`{word}` stands in no loop"),
                )
                .label("no loop around it")
                .help("leave the handler with `next`"),
            );
        }
    }

    fn delete(&mut self, operand: &Expression) {
        match &operand.kind {
            ExpressionKind::Element { array, keys } => {
                self.element(array, keys, operand.span);
            }
            ExpressionKind::Variable(name)
                if self.globals.get(name).is_some()
                    && self.handler.parameter(name).is_none() => {}
            _ => {
                self.place(operand, Use::Effect);
            }
        }
    }

    fn foreach(&mut self, foreach: &Foreach) {
        match &foreach.walked {
            Walked::Array { array, slice, by } => {
                self.foreach_array(foreach, array, slice, by.as_ref());
            }
            Walked::Buckets(histogram) => self.foreach_bucket(foreach, histogram),
        }
        if let Some(limit) = &foreach.limit {
            self.expect(limit, Type::Long, "`limit`");
        }
        self.looped(&foreach.body);
    }

    fn foreach_array(
        &mut self,
        foreach: &Foreach,
        array: &Name,
        slice: &[Expression],
        by: Option<&Name>,
    ) {
        let found = self.array(array, foreach.keys.len(), array.span);
        // After an error the variables exist all the same, of any type.
        let (keys, value) = found.unwrap_or_else(|| {
            let keys = foreach.keys.iter().map(|_| self.types.fresh()).collect();
            (keys, self.types.fresh())
        });
        if !slice.is_empty() {
            self.element(array, slice, array.span);
        }
        for (key, ty) in foreach.keys.iter().zip(keys) {
            self.loop_variable(&key.name, ty);
        }
        if let Some(name) = &foreach.value {
            self.loop_variable(name, value);
        }
        if let Some(by) = by {
            self.sorted_by(array, value, by);
        }
        self.mark_read(&array.text);
        self.check_order(foreach);
    }

    /// A variable that a `foreach` or a `catch` assigns to.
    fn loop_variable(&mut self, name: &Name, ty: Term) {
        let variable = self.variable(&name.text, name.span, true, Use::Effect);
        if let Err(conflict) = self.types.unify(variable, ty, name.span) {
            let evidence = self.types.evidence(variable);
            self.report.push(both(
                &format!("`{}`", name.text),
                conflict,
                name.span,
                evidence,
            ));
        }
    }

    fn check_order(&mut self, foreach: &Foreach) {
        let orders = foreach.keys.iter().filter_map(|key| key.order).chain(foreach.order);
        let orders: Vec<_> = orders.collect();
        if let [first, second, ..] = orders[..] {
            self.report.push(
                Diagnostic::new(
                    Code::BadOrder,
                    second.span,
                    "a foreach is sorted by one thing only",
                )
                .label("and here by another")
                .related(first.span, "sorted here")
                .help("keep one `+` or `-`"),
            );
        }
    }

    /// Locals that are read but never assigned are misspelled names.
    fn check_locals(&mut self) {
        for local in &self.handler.locals {
            let (false, Some(span)) = (local.written, local.first_read) else {
                continue;
            };
            if self.report.is_full() {
                return;
            }
            let name = &local.name;
            if let Some(elsewhere) = self.script.and_then(|it| assigned(it, name)) {
                self.report.push(local_of_another(name, span, elsewhere));
                continue;
            }
            let message = format!("nothing assigns a value to `{name}`");
            let mut error =
                Diagnostic::new(Code::UnknownVariable, span, message).label("read here");
            let assigned = self.handler.locals.iter().filter(|other| other.written);
            let known =
                assigned.map(|other| other.name.as_str()).chain(self.globals.names());
            let near = suggest::did_you_mean(name, known.chain(KEYWORDS.iter().copied()));
            let function = builtins::names().any(|it| it == name);
            let call = function.then(|| format!("it is a function: write `{name}(…)`"));
            let hint = super::hints::variable(name).map(str::to_owned).or(call);
            for help in hint.into_iter().chain(near) {
                error = error.help(help);
            }
            if error.help.is_empty() {
                error =
                    error.help(format!("assign it before, or declare `global {name}`"));
            }
            self.report.push(error);
        }
    }

    /// Requires a long or a string of an expression that it walks; `why` is
    /// who requires it. Whether the expression has that type, or becomes it.
    pub(super) fn expect(
        &mut self,
        expression: &Expression,
        ty: Type,
        why: &str,
    ) -> bool {
        let found = self.expression(expression, Use::Value);
        match ty {
            Type::String => self.text(expression, found, why),
            _ => self.require(expression, found, ty, why),
        }
    }

    /// Requires a long or a string of an expression of type `found`.
    pub(super) fn require(
        &mut self,
        at: &Expression,
        found: Term,
        ty: Type,
        why: &str,
    ) -> bool {
        // Names are made only where an error needs them.
        self.types.unify(found, Term::Known(ty), at.span).is_ok()
            || self.operand(&Operand::new(at, found), Term::Known(ty), why)
    }
}

/// A variable has no use.
fn never_read<'a>(local: &Local, globals: impl Iterator<Item = &'a str>) -> Diagnostic {
    let name = &local.name;
    let message = format!("`{name}` is assigned and never read");
    let error =
        Diagnostic::new(Code::NeverRead, local.span, message).label("of no use here");
    let near = suggest::did_you_mean(name, globals);
    error.help(near.unwrap_or_else(|| {
        format!(
            "remove it, or declare `global {name}` where it is to outlive the handler"
        )
    }))
}

/// A variable is read where it is not the one that is assigned.
fn local_of_another(name: &str, span: Span, assigned: Span) -> Diagnostic {
    let message = format!("nothing assigns a value to `{name}` in this handler");
    Diagnostic::new(Code::UnknownVariable, span, message)
        .label("read here")
        .related(assigned, "this is a variable of its own")
        .note("a variable belongs to its handler or function, unless it is global")
        .help(format!("declare `global {name}` at the top of the script"))
}

/// The histogram of `print(@hist_log(x))`.
pub(super) fn printed_histogram(expression: &Expression) -> Option<&Expression> {
    let ExpressionKind::Call { function, arguments } = &expression.kind else {
        return None;
    };
    match (function.text.as_str(), arguments.as_slice()) {
        ("print" | "println", [only]) if is_histogram(only) => Some(only),
        _ => None,
    }
}

/// Whether an expression is a whole histogram.
pub(super) fn is_histogram(expression: &Expression) -> bool {
    match &expression.kind {
        ExpressionKind::At { name, index: None, .. } => name.text.starts_with("hist_"),
        _ => false,
    }
}

/// How to come from one type to another that is wanted.
fn conversion_help(why: &str, conflict: Conflict) -> &'static str {
    match (why, conflict.right) {
        (_, Type::Long) if conflict.left == Type::Stack => {
            "an address of a stack is `ustack(level)` or `stack(level)`; print a stack with `%s`"
        }
        (_, Type::String) if conflict.left == Type::Stack => {
            "give the string a variable of its own: `text = \"\" . stack`"
        }
        (_, Type::Stack) => "stacks come from `ubacktrace()` and `backtrace()`",
        ("`+=`", Type::Long) if conflict.left == Type::String => {
            "append to a string with `.=`; the number in a string is `strtol(text, 10)`"
        }
        ("`+`", Type::Long) if conflict.left == Type::String => {
            "join strings with `.`; the number in a string is `strtol(text, 10)`"
        }
        (_, Type::Long) if why.starts_with("`%") && conflict.left == Type::Double => {
            "print a double with `%f`, `%e` or `%g`"
        }
        (_, Type::Long) if why.starts_with("`%") => "print a string with `%s`",
        (_, Type::String) if why.starts_with("`%") => {
            "print a number with `%d`, a double with `%g`"
        }
        (_, Type::Double) => "a long becomes a double in arithmetic: `1.0 * n`",
        (_, Type::Long) if conflict.left == Type::Double => {
            "compare a double: `x > 0.5`; there is no way from a double to a long"
        }
        (_, Type::Long) => "the number in a string is `strtol(text, 10)`",
        (_, Type::String | Type::Stats) => {
            "a number becomes a string by `sprint(number)`"
        }
    }
}

/// What an error calls the variable or elements that an expression names.
fn subject(expression: &Expression) -> Option<String> {
    match &expression.kind {
        ExpressionKind::Variable(name) => Some(format!("`{name}`")),
        ExpressionKind::Element { array, .. } => {
            Some(format!("a value of `{}`", array.text))
        }
        _ => None,
    }
}

/// One name with two types: the error shows both places.
fn both(
    subject: &str,
    conflict: Conflict,
    here: Span,
    there: Option<Span>,
) -> Diagnostic {
    let Conflict { left: known, right: wanted } = conflict;
    let message = format!("{subject} is used both as a {known} and as a {wanted}");
    let error = Diagnostic::new(Code::TypeMismatch, here, message)
        .label(format!("as a {wanted} here"));
    match there {
        Some(there) => error.related(there, format!("as a {known} here")),
        None => error,
    }
}
