//! Diagnostics as text.

pub mod json;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use hwtrace_lang::code::Severity;
use hwtrace_lang::diagnostic::Diagnostic;
use hwtrace_lang::span::{Source, Span};

/// Columns that messages are cut to.
const WIDTH: usize = 100;

/// A diagnostic about `source` as text for people, with the marked lines of
/// the script; in colour where `styled`.
pub fn diagnostic(diagnostic: &Diagnostic, source: &Source, styled: bool) -> String {
    let level = match diagnostic.code.severity() {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(&*diagnostic.message).id(diagnostic.code.as_str());
    let mut group = match diagnostic.span {
        Some(span) => Group::with_title(title).element(snippet(diagnostic, source, span)),
        None => Group::with_title(title),
    };
    for note in &diagnostic.notes {
        group = group.element(Level::NOTE.message(&**note));
    }
    for help in &diagnostic.help {
        group = group.element(Level::HELP.message(&**help));
    }
    let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
    renderer.decor_style(DecorStyle::Ascii).term_width(WIDTH).render(&[group])
}

fn snippet<'a>(
    diagnostic: &'a Diagnostic,
    source: &'a Source,
    span: Span,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let primary = AnnotationKind::Primary.span(within(span, source));
    let primary = match diagnostic.label.as_str() {
        "" => primary,
        label => primary.label(label),
    };
    let related = diagnostic.related.iter().map(|(span, label)| {
        AnnotationKind::Context.span(within(*span, source)).label(&**label)
    });
    Snippet::source(&*source.text)
        .path(&*source.name)
        .annotations([primary])
        .annotations(related)
}

/// The range inside the text, on the borders of characters.
fn within(span: Span, source: &Source) -> std::ops::Range<usize> {
    let border = |offset: u32| {
        let mut offset = (offset as usize).min(source.text.len());
        while !source.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    };
    let start = border(span.start);
    start..border(span.end).max(start)
}
