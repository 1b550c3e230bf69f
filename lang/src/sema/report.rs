//! Collects the errors of a script.

use std::collections::HashSet;

use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::span::Span;

/// Errors beyond this number help nobody.
const ERRORS_MAX: usize = 50;

/// The errors found so far. A handler is looked at once for each of its
/// points, so that the same error may come twice; it is kept once.
#[derive(Debug, Default)]
pub(super) struct Report {
    errors: Vec<Diagnostic>,
    seen: HashSet<(Code, Option<Span>, String)>,
}

impl Report {
    pub(super) fn push(&mut self, error: Diagnostic) {
        let key = (error.code, error.span, error.message.clone());
        if !self.is_full() && self.seen.insert(key) {
            self.errors.push(error);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// Whether further errors would be dropped.
    pub(super) fn is_full(&self) -> bool {
        self.errors.len() >= ERRORS_MAX
    }

    /// The errors in the order of the text.
    pub(super) fn finish(mut self) -> Vec<Diagnostic> {
        self.errors.sort_by_key(|error| error.span.map(|span| span.start));
        self.errors
    }
}
