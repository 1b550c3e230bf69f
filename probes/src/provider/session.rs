//! The session's own probe points: its begin, its end, its errors.

use super::Provider;
use crate::spec::{ArgumentRef, Component, Spec, SpecError};

pub(super) const ROWS: &[Provider] = &[
    Provider::now("begin[(N)]", "when the session starts", |components| {
        let priority = priority(components);
        Ok(Spec::Begin { priority })
    }),
    Provider::now("end[(N)]", "when the session ends", |components| {
        let priority = priority(components);
        Ok(Spec::End { priority })
    }),
    Provider::now("error[(N)]", "when a run-time error ends the session", error),
    Provider::now("oneshot", "when the session starts, which then ends", |_| {
        Ok(Spec::Oneshot)
    }),
    Provider::now("never", "never; but it is checked", |_| Ok(Spec::Never)),
];

fn error(components: &[Component<'_>]) -> Result<Spec, SpecError> {
    let priority = priority(components);
    Ok(Spec::Error { priority })
}

/// The first component's argument. Lower ones run first.
fn priority(components: &[Component<'_>]) -> i64 {
    match components.first().and_then(|first| first.argument) {
        Some(ArgumentRef::Long(priority)) => priority,
        _ => 0,
    }
}
