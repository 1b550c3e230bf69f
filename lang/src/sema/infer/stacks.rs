//! Stacks where something else is wanted: a string of their addresses, or whether there
//! is one.

use super::numbers::{Operand, Pending};
use super::{Infer, Use};
use crate::ast::Expression;
use crate::sema::types::Term;
use crate::types::Type;

impl Infer<'_, '_> {
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
            None if self.features.stacks => {
                let operand = Operand::new(condition, found);
                self.wait(Pending::Truth { operand, why });
                true
            }
            None => self.require(condition, found, Type::Long, why),
        }
    }

    /// Requires a string, or what becomes one.
    pub(super) fn text(
        &mut self,
        expression: &Expression,
        found: Term,
        why: &str,
    ) -> bool {
        match self.types.resolve(found) {
            Some(Type::Stack) => true,
            // A function that prints what is counted stands in front of the counting.
            None if self.features.stacks => {
                let (operand, why) = (Operand::new(expression, found), why.to_owned());
                self.wait(Pending::Text { operand, why });
                true
            }
            _ => self.require(expression, found, Type::String, why),
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
