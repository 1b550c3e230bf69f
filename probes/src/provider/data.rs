//! Watches on data of processes.

use super::{Provider, find, modifiers};
use crate::expr::Expression;
use crate::spec::{
    ArgumentRef, Component, DataSpec, Mode, ObjectsSpec, ProcessRef, Spec, SpecError,
    SpecErrorKind,
};

pub(super) const ROWS: &[Provider] = &[
    Provider::now(
        "process[(\"PATH\"|PID)].data(\"EXPR\"|ADDR)[.length(N)].write",
        "at each store, also one that stores the same value",
        |components| data(components, Mode::Write),
    )
    .of_data(),
    Provider::now(
        "process[(\"PATH\"|PID)].data(\"EXPR\"|ADDR)[.length(N)].change",
        "at each store that changes the value",
        |components| data(components, Mode::Change),
    )
    .of_data(),
    Provider::now(
        "process[(\"PATH\"|PID)].data(\"EXPR\"|ADDR)[.length(N)].rw",
        "at each store and each load",
        |components| data(components, Mode::ReadWrite),
    )
    .of_data(),
    Provider::now(
        "process[(\"PATH\"|PID)].data(\"EXPR\"|ADDR)[.length(N)].read",
        "at each load, and at no store",
        |components| data(components, Mode::Read),
    )
    .of_data(),
    Provider::later(
        "process[(\"PATH\"|PID)].function(\"F\").data(\"LOCAL\")[.length(N)]\
         .write|change|read|rw",
        "at accesses to a local variable while F runs",
        "only variables with a fixed address can be watched",
    )
    .of_data(),
    Provider::now(
        "process[(\"PATH\"|PID)].watch(\"NAME\").write",
        "at each store to an object that a handler watches, see watch()",
        |components| objects(components, Mode::Write),
    )
    .of_data(),
    Provider::now(
        "process[(\"PATH\"|PID)].watch(\"NAME\").change",
        "at each store that changes such an object",
        |components| objects(components, Mode::Change),
    )
    .of_data(),
    Provider::now(
        "process[(\"PATH\"|PID)].watch(\"NAME\").rw",
        "at each store to such an object and each load",
        |components| objects(components, Mode::ReadWrite),
    )
    .of_data(),
    Provider::now(
        "process[(\"PATH\"|PID)].watch(\"NAME\").read",
        "at each load of such an object, and at no store",
        |components| objects(components, Mode::Read),
    )
    .of_data(),
];

fn data(components: &[Component<'_>], mode: Mode) -> Result<Spec, SpecError> {
    let expression = expression(components)?;
    let follow = components.iter().position(|part| part.name == "follow");
    if let Some(index) = follow.filter(|_| expression.ranged().is_some()) {
        let expression = expression.to_string();
        let kind = SpecErrorKind::FollowedRange { expression };
        return Err(SpecError { index, kind });
    }
    Ok(Spec::Data(DataSpec {
        process: process(components)?,
        expression,
        length: length(components)?,
        mode,
        only: modifiers::only(components)?,
        pinned: modifiers::has(components, "pinned"),
        follow: follow.is_some(),
    }))
}

fn objects(components: &[Component<'_>], mode: Mode) -> Result<Spec, SpecError> {
    let only = modifiers::only(components)?;
    // They take turns, and are where handlers say.
    if let Some(later) = modifiers::unknown(components, &["pinned", "follow"]) {
        return Ok(later);
    }
    let name = match find(components, "watch").and_then(|(_, part)| part.argument) {
        Some(ArgumentRef::Str(name)) => name.to_owned(),
        _ => String::new(),
    };
    Ok(Spec::Objects(ObjectsSpec { process: process(components)?, name, mode, only }))
}

/// Finds what is wrong with the arguments of a point that nothing can arm yet.
pub(super) fn check(components: &[Component<'_>]) -> Result<(), SpecError> {
    length(components)?;
    modifiers::only(components)?;
    if find(components, "data").is_none() {
        return Ok(());
    }
    expression(components).map(|_| ())
}

fn process(components: &[Component<'_>]) -> Result<ProcessRef, SpecError> {
    let bad = |expected: &str| SpecError {
        index: 0,
        kind: SpecErrorKind::BadArgument {
            name: "process".to_owned(),
            expected: expected.to_owned(),
        },
    };
    match components.first().and_then(|first| first.argument) {
        None => Ok(ProcessRef::Target),
        Some(ArgumentRef::Str("")) => Err(bad("the path of an executable")),
        Some(ArgumentRef::Str(path)) => Ok(ProcessRef::Path(path.to_owned())),
        // Process ids are positive `int`s: pid_t of <sys/types.h>.
        Some(ArgumentRef::Long(pid)) => match i32::try_from(pid) {
            Ok(pid @ 1..) => Ok(ProcessRef::Pid(pid.unsigned_abs())),
            _ => Err(bad("a process id, a number from 1 up")),
        },
    }
}

fn expression(components: &[Component<'_>]) -> Result<Expression, SpecError> {
    let (index, component) = find(components, "data")
        .unwrap_or((0, Component { name: "data", argument: None }));
    let expression = match component.argument {
        // The language's integers are signed; an address has all 64 bits.
        Some(ArgumentRef::Long(address)) => {
            return Ok(Expression::Address(address.cast_unsigned()));
        }
        Some(ArgumentRef::Str(text)) => Expression::parse(text),
        None => Expression::parse(""),
    };
    expression
        .map_err(|error| SpecError { index, kind: SpecErrorKind::Expression(error) })
}

pub(super) fn length(components: &[Component<'_>]) -> Result<Option<u32>, SpecError> {
    let Some((index, component)) = find(components, "length") else {
        return Ok(None);
    };
    match component.argument {
        Some(ArgumentRef::Long(length)) => match u32::try_from(length) {
            Ok(length @ 1..) => Ok(Some(length)),
            _ => Err(SpecError { index, kind: SpecErrorKind::BadLength { length } }),
        },
        _ => Ok(None),
    }
}
