//! Calls of `watch()` and `unwatch()`.

use super::Infer;
use crate::ast::{Expression, ExpressionKind};
use crate::code::Code;
use crate::data::Space;
use crate::diagnostic::Diagnostic;
use crate::sema::data::is_data;
use crate::sema::objects;
use crate::suggest;

impl Infer<'_, '_> {
    /// Looks at the name of objects, and at what is watched by it.
    pub(super) fn check_object(
        &mut self,
        function: &str,
        name: &Expression,
        rest: &[Expression],
    ) {
        let ExpressionKind::String(text) = &name.kind else {
            let message =
                format!("`{function}()` takes the name of objects as a literal");
            self.report.push(
                Diagnostic::new(Code::UnknownObjects, name.span, message)
                    .label("known only when the script runs")
                    .help(format!(
                        "write the name of a probe: `{function}(\"name\", …)`"
                    )),
            );
            return;
        };
        if !self.objects.contains(&text.value) {
            let error = self.unknown_objects(&text.value, name);
            self.report.push(error);
        }
        match (function, rest) {
            ("watch", [address]) => self.check_place(address, true),
            ("watch", [address, length]) => {
                self.check_place(address, false);
                self.check_length(length);
            }
            _ => {}
        }
    }

    fn unknown_objects(&self, name: &str, at: &Expression) -> Diagnostic {
        let message = format!("no probe is for objects of the name `{name}`");
        let error = Diagnostic::new(Code::UnknownObjects, at.span, message)
            .label("nothing would fire");
        let known = self.objects.iter().map(String::as_str);
        let near = suggest::did_you_mean(name, known);
        error.help(near.unwrap_or_else(|| {
            format!(
                "say what is to be done: `probe process.watch(\"{name}\").write {{ … }}`"
            )
        }))
    }

    fn check_place(&mut self, address: &Expression, alone: bool) {
        let ExpressionKind::Address(of) = &address.kind else {
            if alone {
                self.report.push(no_length(address));
            }
            return;
        };
        // What is wrong with the data itself is told already.
        let Ok(found) = self.resolver().resolve(of) else { return };
        let Some(why) = objects::obstacle(&self.resolver(), found) else { return };
        let is_kernel = found.space == Space::Kernel;
        if !alone && !is_kernel {
            return;
        }
        let error = Diagnostic::new(Code::BadObject, of.span, why)
            .label("can not be watched as an object");
        self.report.push(match is_kernel {
            true => error.help("name it in a probe: `probe kernel.data(\"…\").write { … }`"),
            false => error.help("watch a member of it, or give a length behind: `watch(\"name\", &data, 8)`"),
        });
    }

    fn check_length(&mut self, length: &Expression) {
        let ExpressionKind::Integer(bytes) = length.kind else { return };
        let max = objects::BYTES_MAX;
        if u64::try_from(bytes).is_ok_and(|bytes| (1..=max).contains(&bytes)) {
            return;
        }
        let message = format!("an object has 1 to {max} bytes, not {bytes}");
        self.report.push(
            Diagnostic::new(Code::BadObject, length.span, message)
                .label("out of range")
                .help("watch the parts that matter, each by a call of its own"),
        );
    }
}

/// An address alone does not say how long the object is.
fn no_length(address: &Expression) -> Diagnostic {
    let message = "how long the object is is not known";
    let error = Diagnostic::new(Code::BadObject, address.span, message);
    if is_data(address) {
        return error.label("the value of data, taken as an address").help(
            "put `&` before data that is to be watched, or `&*` before a pointer to it",
        );
    }
    error
        .label("an address without a length")
        .help("give the length in bytes behind: `watch(\"name\", address, 8)`")
}
