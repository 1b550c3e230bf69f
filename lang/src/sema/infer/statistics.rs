//! Statistics and what is asked of them; regular expressions.

use super::{Infer, Use, is_histogram};
use crate::ast::{Direction, Expression, ExpressionKind, Foreach, Name, Text};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::sema::extractor::{self, Asked};
use crate::sema::types::Term;
use crate::span::Span;
use crate::types::Type;

const LONG: Term = Term::Known(Type::Long);
const STATISTICS: Term = Term::Known(Type::Stats);

impl Infer<'_, '_> {
    /// Takes note of a value that must not turn out to be statistics.
    pub(super) fn no_statistics(&mut self, found: Term, span: Span, name: &str) {
        if self.features.statistics {
            self.values.push((found, span, name.to_owned()));
        }
    }

    /// A variable or element that must hold statistics.
    pub(super) fn statistics(&mut self, place: &Expression, why: &str, write: bool) {
        let (name, found) = match &place.kind {
            ExpressionKind::Variable(name) if self.is_global(name) => {
                let found = self.variable(name, place.span, write, Use::Effect);
                (name, found)
            }
            ExpressionKind::Element { array, keys } => {
                if write {
                    self.one_element(keys);
                }
                let found = self.element(array, keys, place.span);
                if write {
                    self.mark_written(&array.text);
                } else {
                    self.mark_read(&array.text);
                }
                (&array.text, found)
            }
            _ => {
                self.report.push(not_statistics(place, why));
                return;
            }
        };
        if let Err(conflict) = self.types.unify(found, STATISTICS, place.span) {
            let message =
                format!("{why} needs statistics, but `{name}` is a {}", conflict.left);
            let mut error = Diagnostic::new(Code::NotStatistics, place.span, message)
                .label("no statistics");
            if let Some(there) = self.types.evidence(found) {
                error = error.related(there, format!("a {} here", conflict.left));
            }
            self.report.push(
                error.help("give the statistics a global of their own: `s <<< value`"),
            );
        }
    }

    fn is_global(&self, name: &str) -> bool {
        self.globals.get(name).is_some() && self.handler.parameter(name).is_none()
    }

    /// `@name(…)`.
    pub(super) fn at(
        &mut self,
        whole: &Expression,
        name: &Name,
        arguments: &[Expression],
        index: Option<&Expression>,
    ) -> Term {
        if name.text == "defined" {
            if arguments.len() != 1 || index.is_some() {
                self.report.push(
                    extractor::wrong(name, "`@defined` takes one argument")
                        .help("write `@defined($x)`"),
                );
            }
            return LONG;
        }
        match name.text.as_str() {
            "cast" | "var" => return self.data(whole),
            "enum" => return self.constant_of(whole),
            _ => {}
        }
        if is_histogram(whole) {
            self.report.push(
                Diagnostic::new(Code::HistogramAsValue, whole.span, "a histogram is no value")
                    .label("used as a value")
                    .help("print it in a statement of its own: `print(@hist_log(x))`; one bucket is `@hist_log(x)[i]`"),
            );
            return LONG;
        }
        self.asked(name, arguments, index.is_some());
        if let Some(index) = index {
            self.expect(index, Type::Long, "the index of a bucket");
        }
        LONG
    }

    /// Looks at the arguments of an extractor or histogram.
    fn asked(&mut self, name: &Name, arguments: &[Expression], indexed: bool) {
        let why = format!("`@{}`", name.text);
        if let Some(place) = arguments.first() {
            self.statistics(place, &why, false);
        }
        match extractor::ask(name, arguments) {
            Err(error) => self.report.push(*error),
            Ok(Asked::Percentile(percentage)) => {
                if let Some(percentage) = percentage {
                    let found = self.expression(percentage, Use::Value);
                    self.number(percentage, found, "`@percentile`");
                }
            }
            Ok(Asked::Extractor(_)) if indexed => {
                let error = extractor::wrong(name, "only histograms have buckets");
                self.report.push(error.help("leave the index out"));
            }
            Ok(Asked::Extractor(_) | Asked::Histogram(_)) => {}
        }
    }

    /// A whole histogram that is printed or walked.
    pub(super) fn histogram(&mut self, histogram: &Expression) {
        if let ExpressionKind::At { name, arguments, .. } = &histogram.kind {
            self.asked(name, arguments, false);
        }
    }

    /// `foreach (index in @hist_log(x))`
    pub(super) fn foreach_bucket(&mut self, foreach: &Foreach, histogram: &Expression) {
        self.histogram(histogram);
        if !is_histogram(histogram) {
            self.report.push(
                Diagnostic::new(
                    Code::HistogramAsValue,
                    histogram.span,
                    "this can not be walked",
                )
                .label("neither an array nor a histogram")
                .help(
                    "walk an array, `@hist_log(x)` or `@hist_linear(x, low, high, step)`",
                ),
            );
        }
        for key in &foreach.keys {
            self.loop_variable(&key.name, LONG);
        }
        let mut orders =
            foreach.keys.iter().filter_map(|key| key.order).chain(foreach.order);
        let wrong = foreach
            .value
            .as_ref()
            .or(foreach.keys.get(1).map(|key| &key.name))
            .map(|name| name.span)
            .or(orders
                .find(|order: &Direction| order.descending)
                .map(|order| order.span));
        if let Some(span) = wrong {
            self.report.push(
                Diagnostic::new(
                    Code::HistogramAsValue,
                    span,
                    "buckets are walked one by one, upwards",
                )
                .label("not for a histogram")
                .help("write `foreach (i in @hist_log(x)) … @hist_log(x)[i]`"),
            );
        }
    }

    /// `in array @count-`
    pub(super) fn sorted_by(&mut self, array: &Name, value: Term, by: &Name) {
        if extractor::named(&by.text).is_none() {
            let message = format!("arrays are not sorted by `@{}`", by.text);
            self.report.push(
                extractor::wrong(by, message).help(
                    "sort by `@count`, `@sum`, `@min`, `@max`, `@avg` or `@variance`",
                ),
            );
            return;
        }
        if let Err(conflict) = self.types.unify(value, STATISTICS, by.span) {
            let message = format!(
                "`{}` holds values of type {}, no statistics",
                array.text, conflict.left
            );
            self.report.push(
                Diagnostic::new(Code::NotStatistics, by.span, message)
                    .label("needs statistics")
                    .help("sort by the value: `in array-`"),
            );
        }
    }

    /// `place <<< value` inside of an expression.
    pub(super) fn accumulate_as_value(
        &mut self,
        whole: &Expression,
        place: &Expression,
        value: &Expression,
    ) {
        self.statistics(place, "`<<<`", true);
        self.expect(value, Type::Long, "`<<<`");
        self.report.push(
            Diagnostic::new(Code::StatisticsAsValue, whole.span, "`<<<` gives no value")
                .label("used as a value")
                .help("write it as a statement of its own: `s <<< value`"),
        );
    }

    /// Compiles a regular expression to see whether it is one.
    pub(super) fn regex(&mut self, regex: &Text) {
        let Err(error) = extractor::compile(&regex.value) else { return };
        self.report.push(
            Diagnostic::new(Code::BadRegex, regex.span, "this is no regular expression")
                .label(error)
                .help("a sign is taken literally behind two backslashes: `\"a\\\\.b\"`"),
        );
    }
}

fn not_statistics(place: &Expression, why: &str) -> Diagnostic {
    let message = format!("{why} needs a global that `<<<` fills");
    let error = Diagnostic::new(Code::NotStatistics, place.span, message);
    match &place.kind {
        ExpressionKind::Variable(name) => error
            .label("a local variable")
            .help(format!("declare `global {name}` at the top of the script")),
        _ => error
            .label("no variable")
            .help("declare `global s` and fill it: `s <<< value`"),
    }
}
