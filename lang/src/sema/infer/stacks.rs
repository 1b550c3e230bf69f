//! Stacks where something else is wanted: a string of their addresses, or whether there
//! is one.

use super::{Infer, Use};
use crate::ast::Expression;
use crate::sema::types::Term;
use crate::types::Type;

impl Infer<'_, '_> {
    /// Whether something of type `found` is a stack.
    pub(super) fn is_stack(&mut self, found: Term) -> bool {
        self.types.resolve(found) == Some(Type::Stack)
    }

    /// Requires what is 0 or not, or a stack, which is there or not.
    pub(super) fn condition(
        &mut self,
        condition: &Expression,
        why: &'static str,
    ) -> bool {
        let found = self.expression(condition, Use::Value);
        match self.types.resolve(found) {
            Some(Type::Stack) => true,
            Some(_) => self.require(condition, found, Type::Long, why),
            // What it is may be told behind it: `if (!s) s = ubacktrace()`.
            None => {
                self.truth(condition, found, why);
                true
            }
        }
    }

    /// Requires a stack, or a string with its addresses.
    pub(super) fn stack(&mut self, argument: &Expression, why: &str) {
        let found = self.expression(argument, Use::Value);
        if self.types.resolve(found) != Some(Type::String) {
            self.require(argument, found, Type::Stack, why);
        }
    }
}
