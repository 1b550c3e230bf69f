//! Probe points in the kernel and of perf: its data, and what cannot be armed yet.

use super::{Provider, data, find, modifiers};
use crate::address::AbsAddr;
use crate::kernel::path::{Path, PathError, split};
use crate::spec::{
    ArgumentRef, Component, KernelDataSpec, KernelObject, Mode, Spec, SpecError,
    SpecErrorKind,
};

const WATCH_PROCESS: &str =
    "this version watches data of processes: process.data(\"EXPR\").write";

pub(super) const ROWS: &[Provider] = &[
    Provider::now(
        "kernel.data(\"SYM\"|ADDR)[.length(N)].write",
        "at each store to kernel data, also one that stores the same value",
        |components| variable(components, Mode::Write),
    )
    .of_data(),
    Provider::now(
        "kernel.data(\"SYM\"|ADDR)[.length(N)].change",
        "at each store that changes kernel data",
        |components| variable(components, Mode::Change),
    )
    .of_data(),
    Provider::now(
        "kernel.data(\"SYM\"|ADDR)[.length(N)].rw",
        "at each store to kernel data and each load",
        |components| variable(components, Mode::ReadWrite),
    )
    .of_data(),
    Provider::now(
        "kernel.data(\"SYM\"|ADDR)[.length(N)].read",
        "at each load of kernel data, and at no store",
        |components| variable(components, Mode::Read),
    )
    .of_data(),
    Provider::now(
        "kernel.task(PID).data(\"FIELD\")[.length(N)].write",
        "at each store to a field of a task, also one that stores the same value",
        |components| task(components, Mode::Write),
    )
    .of_data(),
    Provider::now(
        "kernel.task(PID).data(\"FIELD\")[.length(N)].change",
        "at each store that changes a field of a task",
        |components| task(components, Mode::Change),
    )
    .of_data(),
    Provider::now(
        "kernel.task(PID).data(\"FIELD\")[.length(N)].rw",
        "at each store to a field of a task and each load",
        |components| task(components, Mode::ReadWrite),
    )
    .of_data(),
    Provider::now(
        "kernel.task(PID).data(\"FIELD\")[.length(N)].read",
        "at each load of a field of a task, and at no store",
        |components| task(components, Mode::Read),
    )
    .of_data(),
    Provider::later(
        "kernel.exec(ADDR|\"SYM\")",
        "when a kernel instruction runs, by a debug register",
        WATCH_PROCESS,
    ),
    Provider::later("kernel.trace(\"CATEGORY:EVENT\")", "at a tracepoint", WATCH_PROCESS),
    Provider::later(
        "kernel.function(\"F\")[.return]",
        "when a kernel function is entered or returns",
        WATCH_PROCESS,
    ),
    Provider::later(
        "syscall.NAME[.return]",
        "when a system call is entered or returns",
        WATCH_PROCESS,
    ),
    Provider::later(
        "perf.type(T).config(C)[.sample(N)]",
        "at each N-th occurrence of a perf event",
        WATCH_PROCESS,
    ),
];

fn variable(components: &[Component<'_>], mode: Mode) -> Result<Spec, SpecError> {
    let object = match argument(components, "data") {
        (index, ArgumentRef::Long(address)) => at(index, address.cast_unsigned())?,
        (index, ArgumentRef::Str(text)) => match number(text) {
            Some(address) => at(index, address)?,
            None => {
                let (name, path) = split(text).map_err(|error| wrong(index, error))?;
                KernelObject::Variable { name, path }
            }
        },
    };
    data_of(components, object, mode)
}

fn task(components: &[Component<'_>], mode: Mode) -> Result<Spec, SpecError> {
    // Ids of threads are positive `int`s: pid_t of <sys/types.h>.
    let tid = match argument(components, "task") {
        (_, ArgumentRef::Long(tid @ 1..=0x7fff_ffff)) => tid as u32,
        (index, _) => {
            return Err(bad_argument(index, "task", "a process id, a number from 1 up"));
        }
    };
    let path = match argument(components, "data") {
        (index, ArgumentRef::Str(text)) => {
            Path::parse(text).map_err(|error| wrong(index, error))?
        }
        (index, ArgumentRef::Long(_)) => {
            return Err(bad_argument(index, "data", "the path to a field of a task"));
        }
    };
    data_of(components, KernelObject::Task { tid, path }, mode)
}

fn data_of(
    components: &[Component<'_>],
    object: KernelObject,
    mode: Mode,
) -> Result<Spec, SpecError> {
    let length = data::length(components)?;
    let only = modifiers::only(components)?;
    let pinned = modifiers::has(components, "pinned");
    let spec = Spec::KernelData(KernelDataSpec { object, length, mode, only, pinned });
    Ok(modifiers::unknown(components, &["follow"]).unwrap_or(spec))
}

/// The argument of the component with this name, which the row's syntax demands.
fn argument<'a>(components: &[Component<'a>], name: &str) -> (usize, ArgumentRef<'a>) {
    let found = find(components, name);
    let argument = found.and_then(|(_, component)| component.argument);
    (found.map_or(0, |(index, _)| index), argument.unwrap_or(ArgumentRef::Str("")))
}

/// An address that is written as a text.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn at(index: usize, address: u64) -> Result<KernelObject, SpecError> {
    let address = AbsAddr(address);
    if !address.is_kernel() {
        let expected = "a variable or an address of the kernel, from \
                        0x8000000000000000 up";
        return Err(bad_argument(index, "data", expected));
    }
    Ok(KernelObject::Address(address))
}

fn bad_argument(index: usize, name: &str, expected: &str) -> SpecError {
    let (name, expected) = (name.to_owned(), expected.to_owned());
    SpecError { index, kind: SpecErrorKind::BadArgument { name, expected } }
}

fn wrong(index: usize, error: PathError) -> SpecError {
    SpecError { index, kind: SpecErrorKind::KernelPath(error) }
}
