//! What is wrong with a script, as data; who shows it decides how it looks.

use crate::code::Code;
use crate::span::Span;

/// One error or warning: what happened, where, why, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable code; its severity and meaning are in the table of
    /// [`crate::code`].
    pub code: Code,
    /// What is wrong, one line, lower case, no full stop.
    pub message: String,
    /// The place in the script, none for errors that no text causes.
    pub span: Option<Span>,
    /// What the marked place is, short; may be empty.
    pub label: String,
    /// Further places that explain the error.
    pub related: Vec<(Span, String)>,
    /// Facts that explain the error.
    pub notes: Vec<String>,
    /// What to do next: a command, a corrected spelling.
    pub help: Vec<String>,
}

impl Diagnostic {
    /// An error with `code` at `span`.
    pub fn new(
        code: Code,
        span: impl Into<Option<Span>>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            code,
            message: message.into(),
            span: span.into(),
            label: String::new(),
            related: Vec::new(),
            notes: Vec::new(),
            help: Vec::new(),
        }
    }

    /// The same with a label at the marked place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// The same with another place that explains it.
    #[must_use]
    pub fn related(mut self, span: Span, label: impl Into<String>) -> Self {
        self.related.push((span, label.into()));
        self
    }

    /// The same with a fact that explains it.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// The same with a next step.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }
}
