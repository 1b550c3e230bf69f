//! Standard error: who is told what, and in which form.

use std::io::{self, Write};

use anstream::AutoStream;
use hwtrace::cli::{Color, Common, MessageFormat};
use hwtrace::session::{Failure, Summary};
use hwtrace::{render, report};
use hwtrace_lang::diagnostic::Diagnostic;
use hwtrace_lang::span::Source;

use crate::command::USAGE;

/// Standard error, and how it is written.
pub(crate) struct Messages<'a> {
    pub(crate) common: &'a Common,
    source: Source,
}

impl<'a> Messages<'a> {
    pub(crate) fn new(common: &'a Common, source: Source) -> Self {
        Self { common, source }
    }

    fn styled(&self) -> bool {
        match self.common.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
            }
        }
    }

    /// A line that is no error.
    pub(crate) fn line(&self, text: &str) {
        self.put("note", &format!("hwtrace: {text}"), text);
    }

    /// A line about something that is no fault of a script.
    pub(crate) fn error(&self, text: &str) {
        self.put("error", &format!("hwtrace: error: {text}"), text);
    }

    /// A line about something that is probably not meant.
    pub(crate) fn warning(&self, text: &str) {
        self.put("warning", &format!("hwtrace: warning: {text}"), text);
    }

    fn put(&self, severity: &str, human: &str, text: &str) {
        let json;
        let line = match self.common.message_format {
            MessageFormat::Human => human,
            MessageFormat::Json => {
                json = render::json::message(severity, text);
                &json
            }
        };
        // Standard error is the last resort: where it fails nobody listens.
        let _ = writeln!(io::stderr(), "{line}");
    }

    pub(crate) fn diagnostics(&self, diagnostics: &[Diagnostic]) {
        let styled = self.styled();
        let (show, gap): (&dyn Fn(&Diagnostic) -> String, _) =
            match self.common.message_format {
                MessageFormat::Human => {
                    (&|it| render::diagnostic(it, &self.source, styled), "\n\n")
                }
                MessageFormat::Json => {
                    (&|it| render::json::diagnostic(it, &self.source), "\n")
                }
            };
        let texts: Vec<_> = diagnostics.iter().map(show).collect();
        let _ = writeln!(io::stderr(), "{}", texts.join(gap));
    }

    pub(crate) fn failure(&self, failure: &Failure) {
        match failure {
            Failure::Diagnosed(diagnostics) => self.diagnostics(diagnostics),
            other => self.error(&other.to_string()),
        }
    }

    pub(crate) fn usage(&self, text: &str) -> u8 {
        self.error(text);
        self.line("try `hwtrace --help`");
        USAGE
    }

    pub(crate) fn end(&self, summary: &Summary) {
        if self.common.quiet {
            return;
        }
        for remark in report::remarks(summary) {
            self.line(&remark);
        }
        self.line(&report::summary_line(summary));
    }
}
