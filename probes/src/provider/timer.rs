//! Probe points that fire with time.

use super::Provider;
use crate::spec::{ArgumentRef, Component, Spec, SpecError, SpecErrorKind};

pub(super) const ROWS: &[Provider] = &[
    Provider::now("timer.s|sec(N)", "every N seconds", |components| {
        period(components, 1_000_000_000)
    }),
    Provider::now("timer.ms|msec(N)", "every N milliseconds", |components| {
        period(components, 1_000_000)
    }),
    Provider::now("timer.us|usec(N)", "every N microseconds", |components| {
        period(components, 1_000)
    }),
    Provider::now("timer.ns|nsec(N)", "every N nanoseconds", |components| {
        period(components, 1)
    }),
    Provider::later(
        "timer.s|sec|ms|msec|us|usec|ns|nsec(N).randomize(M)",
        "every N units, give or take up to M at random",
        "leave out `.randomize`",
    ),
    Provider::later(
        "timer.hz(N)",
        "N times a second",
        "write its period, as in `timer.ms(100)` for ten a second",
    ),
    Provider::later(
        "timer.jiffies(N)",
        "every N ticks of the kernel's clock",
        "write the time, as in `timer.ms(4)`",
    ),
    Provider::later(
        "timer.profile",
        "at each tick of the kernel's clock, on each CPU",
        "write the time, as in `timer.ms(4)`",
    ),
];

/// The period of `timer.UNIT(N)`, with `unit_ns` nanoseconds in a unit.
fn period(components: &[Component<'_>], unit_ns: u64) -> Result<Spec, SpecError> {
    let index = components.len().saturating_sub(1);
    let component = components.last().copied();
    let count = match component.and_then(|component| component.argument) {
        Some(ArgumentRef::Long(count)) => u64::try_from(count).ok(),
        _ => None,
    };
    let period = count.filter(|&count| count > 0);
    let period_ns = period.and_then(|count| count.checked_mul(unit_ns));
    period_ns.map(|period_ns| Spec::Timer { period_ns }).ok_or_else(|| {
        let most = u64::MAX / unit_ns;
        SpecError {
            index,
            kind: SpecErrorKind::BadArgument {
                name: component.map_or("", |component| component.name).to_owned(),
                expected: format!("a period from 1 to {most}"),
            },
        }
    })
}
