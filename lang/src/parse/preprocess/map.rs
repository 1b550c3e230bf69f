//! From places in the text that macros were written out in to places in the
//! script.

use crate::diagnostic::Diagnostic;
use crate::span::Span;

/// Where a token comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::parse) enum Origin {
    /// It stands in the script at this offset.
    Verbatim(u32),
    /// A macro brought it; the call stands there.
    Call(Span),
}

/// Where each token comes from, by its place.
#[derive(Debug, Default)]
pub(in crate::parse) struct Map {
    identity: bool,
    /// Offsets of tokens, ascending.
    tokens: Vec<(u32, Origin)>,
}

impl Map {
    /// Nothing moved.
    pub(super) fn identity() -> Self {
        Self { identity: true, tokens: Vec::new() }
    }

    pub(super) fn push(&mut self, at: usize, origin: Origin) {
        self.tokens.push((u32::try_from(at).unwrap_or(u32::MAX), origin));
    }

    /// The place in the script.
    pub(in crate::parse) fn span(&self, span: Span) -> Span {
        if self.identity {
            return span;
        }
        let last = span.end.saturating_sub(1).max(span.start);
        let (first, last) = (self.byte(span.start), self.byte(last));
        // Macro arguments can come in another order than they stand in.
        first.to(last)
    }

    /// The place of one byte.
    fn byte(&self, offset: u32) -> Span {
        let at = self.tokens.partition_point(|(start, _)| *start <= offset);
        match at.checked_sub(1).and_then(|at| self.tokens.get(at)) {
            Some((start, Origin::Verbatim(origin))) => {
                let place = origin + (offset - start);
                Span { start: place, end: place + 1 }
            }
            Some((_, Origin::Call(span))) => *span,
            None => Span::default(),
        }
    }

    /// The same error at the places of the script.
    pub(in crate::parse) fn diagnostic(&self, mut error: Diagnostic) -> Diagnostic {
        error.span = error.span.map(|span| self.span(span));
        for (span, _) in &mut error.related {
            *span = self.span(*span);
        }
        error
    }
}
