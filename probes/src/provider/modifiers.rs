//! What may follow `data(…)` and `watch(…)`: which hits fire, and for how long.

use std::num::NonZeroU64;

use super::find;
use crate::spec::{
    ArgumentRef, Component, Later, Maker, Only, Spec, SpecError, SpecErrorKind,
};

/// All modifiers besides `.length(N)`, as (syntax, what it does).
pub(super) const MODIFIERS: &[(&str, &str)] = &[
    (".thread(TID)", "only accesses of one thread"),
    (".cpu(N)", "only accesses on one CPU"),
    (".every(N)", "only each N-th hit"),
    (".limit(N)", "disarm after N hits"),
    (".user", "only accesses made in user mode"),
    (".kernel", "only accesses made in kernel mode"),
    (".pinned", "never rotated out of its debug register"),
    (".follow", "moves with the pointers on the path"),
];

/// Whether the modifier without an argument is there. The first component is none, also
/// where it is `kernel`.
pub(super) fn has(components: &[Component<'_>], name: &str) -> bool {
    components.iter().skip(1).any(|part| part.name == name)
}

/// Which hits fire.
///
/// # Errors
/// [`SpecError`] for a number that nothing has, or where nothing is left.
pub(super) fn only(components: &[Component<'_>]) -> Result<Only, SpecError> {
    Ok(Only {
        // Ids of threads are positive `int`s: pid_t of <sys/types.h>.
        thread: number(components, "thread", 1..=0x7fff_ffff, "a thread id, from 1 up")?
            .map(|tid| tid as u32),
        cpu: number(components, "cpu", 0..=CPU_MAX, "the number of a CPU, from 0 up")?
            .map(|cpu| cpu as u32),
        maker: maker(components)?,
        every: count(components, "every")?,
        limit: count(components, "limit")?,
    })
}

/// No kernel has CPUs of higher numbers: `NR_CPUS` is at most 8192 (arch/x86/Kconfig).
const CPU_MAX: i64 = 8191;

fn maker(components: &[Component<'_>]) -> Result<Option<Maker>, SpecError> {
    match (has(components, "user"), has(components, "kernel")) {
        (false, false) => Ok(None),
        (true, false) => Ok(Some(Maker::User)),
        (false, true) => Ok(Some(Maker::Kernel)),
        (true, true) => {
            let last = components
                .iter()
                .rposition(|part| matches!(part.name, "user" | "kernel"));
            let index = last.unwrap_or_default();
            Err(SpecError { index, kind: SpecErrorKind::NothingLeft })
        }
    }
}

fn count(
    components: &[Component<'_>],
    name: &str,
) -> Result<Option<NonZeroU64>, SpecError> {
    let count = number(components, name, 1..=i64::MAX, "a number of hits, from 1 up")?;
    Ok(count.and_then(|count| NonZeroU64::new(count.unsigned_abs())))
}

/// The argument of a modifier, where it is there.
fn number(
    components: &[Component<'_>],
    name: &str,
    range: std::ops::RangeInclusive<i64>,
    expected: &str,
) -> Result<Option<i64>, SpecError> {
    let Some((index, component)) = find(components, name) else { return Ok(None) };
    match component.argument {
        Some(ArgumentRef::Long(number)) if range.contains(&number) => Ok(Some(number)),
        _ => {
            let (name, expected) = (name.to_owned(), expected.to_owned());
            let kind = SpecErrorKind::BadArgument { name, expected };
            Err(SpecError { index, kind })
        }
    }
}

/// The modifier that nothing can arm, if there is one: of those with these names.
pub(super) fn unknown(components: &[Component<'_>], names: &[&str]) -> Option<Spec> {
    let mut parts = components.iter().enumerate().skip(1);
    let (index, part) = parts.find(|(_, part)| names.contains(&part.name))?;
    let part = Some(format!("`.{}`", part.name));
    Some(Spec::Later(Later { index, part, instead: "leave it out", is_data: true }))
}
