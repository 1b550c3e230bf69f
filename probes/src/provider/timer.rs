//! Probe points that fire with time.

use super::{Provider, find};
use crate::spec::{ArgumentRef, Component, Spec, SpecError, SpecErrorKind, Timer};

pub(super) const ROWS: &[Provider] = &[
    Provider::now("timer.s|sec(N)[.randomize(M)]", "every N seconds", |components| {
        timer(components, NS_IN_S)
    }),
    Provider::now(
        "timer.ms|msec(N)[.randomize(M)]",
        "every N milliseconds",
        |components| timer(components, 1_000_000),
    ),
    Provider::now(
        "timer.us|usec(N)[.randomize(M)]",
        "every N microseconds",
        |components| timer(components, 1_000),
    ),
    Provider::now(
        "timer.ns|nsec(N)[.randomize(M)]",
        "every N nanoseconds",
        |components| timer(components, 1),
    ),
    Provider::now("timer.hz(N)", "N times a second", frequency),
    Provider::later(
        "timer.jiffies(N)[.randomize(M)]",
        "every N ticks of the kernel's clock",
        "write the time, as in `timer.ms(4)`",
    ),
    Provider::later(
        "timer.profile",
        "at each tick of the kernel's clock, on each CPU",
        "write the time, as in `timer.ms(4)`",
    ),
];

const NS_IN_S: u64 = 1_000_000_000;

/// The meaning of `timer.UNIT(N)`, with `unit_ns` nanoseconds in a unit.
fn timer(components: &[Component<'_>], unit_ns: u64) -> Result<Spec, SpecError> {
    let count = number(components, 1, 1, u64::MAX / unit_ns, "a period")?;
    // Less than the period, so that time does not stand still.
    let random = match find(components, "randomize") {
        Some((index, _)) => number(components, index, 0, count - 1, "a deviation")?,
        None => 0,
    };
    Ok(Spec::Timer(Timer { period_ns: count * unit_ns, random_ns: random * unit_ns }))
}

/// The meaning of `timer.hz(N)`.
fn frequency(components: &[Component<'_>]) -> Result<Spec, SpecError> {
    let times = number(components, 1, 1, NS_IN_S, "a frequency")?;
    Ok(Spec::Timer(Timer { period_ns: NS_IN_S / times, random_ns: 0 }))
}

/// The argument of a component: `what`, from `least` to `most`.
fn number(
    components: &[Component<'_>],
    index: usize,
    least: u64,
    most: u64,
    what: &str,
) -> Result<u64, SpecError> {
    let component = components.get(index);
    let number = match component.and_then(|component| component.argument) {
        Some(ArgumentRef::Long(number)) => u64::try_from(number).ok(),
        _ => None,
    };
    number.filter(|number| (least..=most).contains(number)).ok_or_else(|| SpecError {
        index,
        kind: SpecErrorKind::BadArgument {
            name: component.map_or("", |component| component.name).to_owned(),
            expected: format!("{what} from {least} to {most}"),
        },
    })
}
