//! What can be told only when everything is known.

use super::Infer;
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::sema::scope::Shape;
use crate::types::Type;

impl Infer<'_, '_> {
    /// Decides what is open and refuses what turns out to be of a wrong type.
    pub(in crate::sema) fn settle_types(&mut self) {
        self.settle_all();
        self.check_keys();
        for (term, span, name) in std::mem::take(&mut self.values) {
            if self.types.resolve(term) == Some(Type::Stats) {
                self.report.push(
                    Diagnostic::new(
                        Code::StatisticsAsValue,
                        span,
                        format!("`{name}` holds statistics, which are no value"),
                    )
                    .label("used as a value")
                    .help(format!("ask for a number: `@count({name})`, `@avg({name})`")),
                );
            }
        }
    }

    fn check_keys(&mut self) {
        for global in &self.globals.list {
            let Shape::Array { keys, first_use, .. } = &global.shape else { continue };
            for (key, at) in keys.iter().zip(1..) {
                let place = self.types.evidence(*key).unwrap_or(*first_use);
                if self.types.resolve(*key) != Some(Type::Double) {
                    continue;
                }
                let name = &global.name.text;
                let message = format!("key {at} of `{name}` is a double");
                self.report.push(
                    Diagnostic::new(Code::BadKeyType, place, message)
                        .label("doubles are no keys")
                        .help("make a string of it: `sprintf(\"%.1f\", x)`"),
                );
            }
        }
    }
}
