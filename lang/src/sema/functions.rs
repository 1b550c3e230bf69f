//! The functions of a script.

use std::collections::HashMap;

use super::report::Report;
use super::scope::redeclared;
use super::types::{Term, Types};
use super::visit;
use crate::ast::{self, Item, Script};
use crate::builtins;
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::span::Span;
use crate::typed::FunctionId;

/// The functions of a script.
#[derive(Debug, Default)]
pub(super) struct Functions<'s> {
    pub(super) list: Vec<Function<'s>>,
    by_name: HashMap<&'s str, FunctionId>,
}

/// What is known of a function.
#[derive(Debug)]
pub(super) struct Function<'s> {
    pub(super) ast: &'s ast::Function,
    pub(super) params: Vec<Term>,
    /// The type of the result; none where no `return` gives a value.
    pub(super) returns: Option<Term>,
    /// What it calls.
    pub(super) calls: Vec<FunctionId>,
    /// A builtin in it that only data probes know.
    pub(super) needs_data: Option<&'static str>,
}

impl<'s> Functions<'s> {
    /// Collects the declarations of a script.
    pub(super) fn declare(
        script: &'s Script,
        types: &mut Types,
        report: &mut Report,
    ) -> Self {
        let mut functions = Self::default();
        for item in &script.items {
            if let Item::Function(function) = item {
                functions.declare_one(function, types, report);
            }
        }
        functions
    }

    fn declare_one(
        &mut self,
        ast: &'s ast::Function,
        types: &mut Types,
        report: &mut Report,
    ) {
        let name = ast.name.text.as_str();
        if let Some(first) = self.get(name) {
            report.push(redeclared(&ast.name, self.at(first).ast.name.span));
        } else if builtins::is_print(name) {
            report.push(
                Diagnostic::new(
                    Code::Redeclared,
                    ast.name.span,
                    format!("`{name}` can not be declared"),
                )
                .label("belongs to the language")
                .help("give the function another name"),
            );
        }
        let mut declared = |ty: Option<(crate::types::Type, Span)>| {
            let term = types.fresh();
            if let Some((ty, span)) = ty {
                // A fresh type can not conflict.
                let _ = types.unify(term, Term::Known(ty), span);
            }
            term
        };
        let params = ast.params.iter().map(|param| declared(param.ty)).collect();
        let returns = (ast.returns.is_some() || visit::returns_value(&ast.body))
            .then(|| declared(ast.returns));
        for (at, param) in ast.params.iter().enumerate() {
            let same = |other: &&ast::Parameter| other.name.text == param.name.text;
            if let Some(first) = ast.params[..at].iter().find(same) {
                report.push(redeclared(&param.name, first.name.span));
            }
        }
        let id = FunctionId(u32::try_from(self.list.len()).unwrap_or(u32::MAX));
        self.by_name.entry(name).or_insert(id);
        self.list.push(Function {
            ast,
            params,
            returns,
            calls: Vec::new(),
            needs_data: None,
        });
    }

    pub(super) fn get(&self, name: &str) -> Option<FunctionId> {
        self.by_name.get(name).copied()
    }

    pub(super) fn at(&self, id: FunctionId) -> &Function<'s> {
        &self.list[id.0 as usize]
    }

    pub(super) fn at_mut(&mut self, id: FunctionId) -> &mut Function<'s> {
        &mut self.list[id.0 as usize]
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|function| function.ast.name.text.as_str())
    }

    /// Says of each function whether something that it calls, however far
    /// away, is known to data probes only.
    pub(super) fn spread_needs(&mut self) {
        let mut callers = vec![Vec::new(); self.list.len()];
        for (caller, function) in self.list.iter().enumerate() {
            for callee in &function.calls {
                callers[callee.0 as usize].push(caller);
            }
        }
        let mut work: Vec<usize> = (0..self.list.len())
            .filter(|at| self.list[*at].needs_data.is_some())
            .collect();
        while let Some(at) = work.pop() {
            let needs = self.list[at].needs_data;
            for caller in std::mem::take(&mut callers[at]) {
                if self.list[caller].needs_data.is_none() {
                    self.list[caller].needs_data = needs;
                    work.push(caller);
                }
            }
        }
    }
}
