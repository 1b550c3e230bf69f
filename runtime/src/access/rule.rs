//! From a plan to a rule: what an engine can apply at the hit by itself.

use super::{Access, Operation, Place, RegisterPart, Source, Touch, Value};
use crate::plan::{Linear, Rule, RuleValue};
use crate::schema::AccessKind;

impl Access {
    /// By what an engine tells the accesses of the hits at this address; none where
    /// more than one operand may be meant, or it takes more than a rule can say.
    /// Whoever applies it sees to it that the operand covers the watched bytes.
    pub fn rule(&self) -> Option<Rule> {
        let mut touches = self.touches.iter().flatten();
        let touch = touches.next()?;
        if touches.next().is_some() || !self.is_certain {
            return None;
        }
        let place = linear(touch.place)?;
        let value = value(touch)?;
        let Touch { instruction, kind, size, .. } = *touch;
        Some(Rule { instruction, kind, size, place, value })
    }
}

fn linear(place: Place) -> Option<Linear> {
    match place {
        Place::Linear { base, index, scale, displacement, narrow: false } => {
            Some(Linear { base, index, scale, displacement })
        }
        _ => None,
    }
}

fn value(touch: &Touch) -> Option<RuleValue> {
    let of = |part: RegisterPart| (part.number, part.shift);
    Some(match touch.value {
        Value::Register(part) => {
            let (number, shift) = of(part);
            RuleValue::Register(number, shift)
        }
        Value::Immediate(value) => RuleValue::Immediate(value),
        Value::CompareExchanged {
            source,
            accumulator: RegisterPart { number: 0, .. },
        } => {
            let (number, shift) = of(source);
            RuleValue::CompareExchange(number, shift)
        }
        Value::Exchanged(part) => {
            let (number, shift) = of(part);
            RuleValue::Exchange(number, shift)
        }
        Value::Computed(Operation::Add, Source::Immediate(value)) => {
            RuleValue::AddImmediate(value)
        }
        Value::Computed(Operation::Subtract, Source::Immediate(value)) => {
            RuleValue::AddImmediate(value.wrapping_neg())
        }
        Value::Computed(Operation::Add, Source::Register(part)) => {
            let (number, shift) = of(part);
            RuleValue::AddRegister(number, shift)
        }
        // Of a load the register would hold it; of anything else memory does.
        Value::Unknown | Value::Computed(..) if touch.kind != AccessKind::Unknown => {
            RuleValue::Memory
        }
        _ => return None,
    })
}
