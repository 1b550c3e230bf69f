//! From requests to registers, and what can be wrong on the way: each error
//! says what happened, why, and what to do next.

use std::path::Path;
use std::rc::Rc;

use hwtrace_lang::code::Code;
use hwtrace_lang::diagnostic::Diagnostic;
use hwtrace_lang::span::Span;
use hwtrace_probes::address::AbsAddr;
use hwtrace_probes::image::{Files, Image};
use hwtrace_probes::process::{
    Holder, HolderKind, Process, ProcessError, perf_event_paranoid, register_holders,
};
use hwtrace_probes::resolve::{self, Location, Memory, ResolveError};
use hwtrace_probes::spec::Spec;
use hwtrace_probes::symbols::ElfError;
use hwtrace_runtime::engine::ArmError;
use hwtrace_runtime::kernel::Kernel;
use hwtrace_runtime::slots::{self, CAPACITY, Plan};

use crate::environment::{Point, quoted};
use crate::session::{Failure, Request, watch};

/// A script that watches a process was given none.
pub(crate) fn no_target(request: &Request) -> Diagnostic {
    let message = "the script watches a process, but none is given";
    Diagnostic::new(Code::NoTarget, request.span, message)
        .help("start one with `-c ./prog`, or name one that runs with `-p PID`")
}

/// What is said of a point that nothing can arm yet.
pub(crate) fn not_yet(point: &Point) -> Option<Diagnostic> {
    let (part, instead) = match &point.spec {
        Spec::Later(later) => (later.part.as_ref(), later.instead),
        Spec::KernelData(_) => {
            (None, "this version watches data of processes: process.data(\"EXPR\").write")
        }
        _ => return None,
    };
    let message = match part {
        Some(part) => format!("{part} is not available yet"),
        None => format!("`{}` is not available yet", point.name),
    };
    let diagnostic = Diagnostic::new(Code::NotAvailableYet, point.span, message);
    Some(diagnostic.help(instead))
}

/// Memory of the target, read by way of the kernel.
struct ProcessMemory<'a> {
    pid: u32,
    kernel: &'a dyn Kernel,
}

impl Memory for ProcessMemory<'_> {
    fn read(&mut self, address: AbsAddr, bytes: &mut [u8]) -> usize {
        self.kernel.read_memory(self.pid, address.0, bytes).unwrap_or(0)
    }

    /// Not asked for: thread-locals are not armed.
    fn robust_list(&mut self, _tid: u32) -> Option<AbsAddr> {
        None
    }
}

/// Finds all data, or says everything that is wrong.
pub(crate) fn resolve(
    kernel: &Rc<dyn Kernel>,
    process: &Process,
    requests: &[Request],
) -> Result<Vec<Option<Location>>, Failure> {
    let image = Image::of_process(process, &Files::symbols_only());
    let image = image.map_err(|error| self::process(&error))?;
    let mut memory = ProcessMemory { pid: process.pid(), kernel: &**kernel };
    let mut locations: Vec<Option<Location>> = Vec::with_capacity(requests.len());
    let mut diagnostics = Vec::new();
    for request in requests {
        let mut rivals = request.instead_of.iter();
        let located = if rivals.any(|rival| locations[*rival].is_some()) {
            Ok(None)
        } else {
            locate(process, &image, &mut memory, request)?
        };
        match located {
            Ok(location) => locations.push(location),
            Err(diagnostic) => {
                locations.push(None);
                diagnostics.push(diagnostic);
            }
        }
    }
    if diagnostics.is_empty() {
        Ok(locations)
    } else {
        Err(Failure::Diagnosed(diagnostics))
    }
}

/// Where the data of one request is; nothing where it may be left out and is not
/// there. The outer error is about the process, not about the request.
fn locate(
    process: &Process,
    image: &Image,
    memory: &mut ProcessMemory<'_>,
    request: &Request,
) -> Result<Result<Option<Location>, Diagnostic>, Failure> {
    let Request { data, span, optional, .. } = request;
    let found = match process.is_named_by(&data.process) {
        Ok(true) => {
            let length = data.length.map(u64::from);
            resolve::resolve(image, memory, &data.expression, length)
        }
        Ok(false) if *optional => return Ok(Ok(None)),
        Ok(false) => return Ok(Err(other_process(*span))),
        Err(error) => return Err(self::process(&error)),
    };
    match found {
        Ok(location) => Ok(in_one_register(request, location).map(Some)),
        Err(ResolveError::NoSuchSymbol { .. } | ResolveError::Stripped { .. })
            if *optional =>
        {
            Ok(Ok(None))
        }
        Err(error) => Ok(Err(unresolved(&error, *span))),
    }
}

/// Refuses what takes several registers, or a part of one.
fn in_one_register(
    request: &Request,
    location: Location,
) -> Result<Location, Diagnostic> {
    let Location { name, address, size, .. } = &location;
    let span = request.span;
    if location.thread_local.is_some() {
        let message = format!("`{name}` is thread-local, which cannot be watched yet");
        return Err(Diagnostic::new(Code::NotAvailableYet, span, message)
            .help("watch its address: `0x…`, as gdb's `print &name` gives it"));
    }
    if !matches!(size, 1 | 2 | 4 | 8) {
        let message = format!(
            "`{name}` is {size} bytes long, and a watch is 1, 2, 4 or 8 bytes long"
        );
        return Err(Diagnostic::new(Code::BadLength, span, message).help(format!(
            "watch a part of it: `{name}+0` with {}, then `{name}+8`, and so on",
            length_option(8, span)
        )));
    }
    let excess = address.0 % size;
    if excess == 0 {
        return Ok(location);
    }
    let message = format!(
        "{address} ({name}) is not a multiple of {size}, the length of the watch"
    );
    let moved = |bytes: u64| request.data.expression.moved_by(bytes.cast_signed());
    Err(Diagnostic::new(Code::Misaligned, span, message).help(format!(
        "watch `{}` or `{}`, or less here with {}",
        moved(excess.wrapping_neg()),
        moved(size - excess),
        length_option(1 << address.0.trailing_zeros().min(3), span)
    )))
}

/// Gives each distinct watch a register.
pub(crate) fn plan(
    requests: &[Request],
    locations: &[Option<Location>],
) -> Result<Plan, Failure> {
    let (numbers, watches): (Vec<_>, Vec<_>) = requests
        .iter()
        .zip(locations)
        .enumerate()
        .filter_map(|(number, (request, location))| {
            Some((number, [watch(request, location.as_ref()?)]))
        })
        .unzip();
    let mut plan = slots::plan(&watches, CAPACITY).map_err(|error| {
        let first_without = numbers.get(error.request);
        let span = first_without.and_then(|number| requests[*number].span);
        let message = format!(
            "{} different watches, but a thread has {} debug registers",
            error.needed, error.capacity
        );
        Diagnostic::new(Code::TooManyWatches, span, message)
            .note("watches of the same address, length and mode share a register")
            .help("watch fewer at a time, or neighbours as one with a greater length")
    })?;
    let subscribers = plan.registers.iter_mut().flat_map(|it| &mut it.subscribers);
    subscribers.for_each(|subscriber| subscriber.request = numbers[subscriber.request]);
    Ok(plan)
}

/// Whether it is a program whose use is to start another one.
fn is_launcher(path: &Path) -> bool {
    const LAUNCHERS: [&str; 10] = [
        "sh", "bash", "dash", "zsh", "busybox", "env", "sudo", "nice", "timeout",
        "setpriv",
    ];
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| LAUNCHERS.contains(&name))
}

const LAUNCHER: &str = "this is the program that starts yours, and what it executes is not \
                        followed: give your program itself, without it";

/// How a length is asked for: in a script, or on the command line.
fn length_option(length: u32, span: Option<Span>) -> String {
    match span {
        Some(_) => format!("`.length({length})`"),
        None => format!("`--length {length}`"),
    }
}

fn other_process(span: Option<Span>) -> Diagnostic {
    let message = "this names another process than the target of -c or -p";
    Diagnostic::new(Code::NotAvailableYet, span, message)
        .help("write `process` without an argument, and name the process with -c or -p")
}

fn unresolved(error: &ResolveError, span: Option<Span>) -> Diagnostic {
    let new = |code| Diagnostic::new(code, span, error.to_string());
    match error {
        ResolveError::NoSuchSymbol { searched, .. } if is_launcher(searched) => {
            new(Code::UnknownSymbol).help(LAUNCHER)
        }
        ResolveError::Stripped { path, .. } if is_launcher(path) => {
            new(Code::StrippedBinary).help(LAUNCHER)
        }
        ResolveError::NoSuchSymbol { nearest, searched, .. } if nearest.is_empty() => {
            new(Code::UnknownSymbol)
                .help(format!("list its variables with `nm -C {}`", searched.display()))
        }
        ResolveError::NoSuchSymbol { nearest, .. } => {
            new(Code::UnknownSymbol).help(format!("did you mean {}?", quoted(nearest)))
        }
        ResolveError::Stripped { path, .. } => new(Code::StrippedBinary)
            .help("build it without `-s`, and do not run `strip` on it")
            .help(format!(
                "or watch an address: `0x404010` (what `nm {}` said before it was stripped)",
                path.display()
            )),
        ResolveError::Ambiguous { candidates, .. } => {
            let listed: Vec<_> = candidates
                .iter()
                .map(|choice| format!("{} at {}", choice.expression, choice.address))
                .collect();
            new(Code::AmbiguousSymbol)
                .note(format!("they are {}", listed.join(", ")))
                .help("write one of these")
        }
        ResolveError::NotHex { .. } => new(Code::BadProbeArgument)
            .help("addresses are hexadecimal with `0x` in front of them"),
        ResolveError::NotUserSpace { .. } => new(Code::BadProbeArgument),
        ResolveError::Function { name } => {
            new(Code::UnknownSymbol).help(format!("to see where it is, use `nm`; hwtrace watches data, and `{name}` is code"))
        }
        other => match other.help() {
            Some(help) => new(code_of(other)).help(help),
            None => new(code_of(other)),
        },
    }
}

/// Of those whose help is the same for all who ask.
fn code_of(error: &ResolveError) -> Code {
    match error {
        ResolveError::NoSuchMember { .. } => Code::UnknownMember,
        ResolveError::NoSuchType { .. } | ResolveError::NoSuchConstant { .. } => {
            Code::UnknownType
        }
        ResolveError::Untyped { .. } | ResolveError::Incomplete { .. } => Code::NoTypes,
        ResolveError::BitField { .. } => Code::NoAddress,
        ResolveError::NoMembers { .. }
        | ResolveError::WrongArrow { .. }
        | ResolveError::NotAPointer { .. }
        | ResolveError::NoElements { .. }
        | ResolveError::OutOfBounds { .. }
        | ResolveError::Null { .. }
        | ResolveError::Dangling { .. }
        | ResolveError::Unreadable { .. } => Code::NoParts,
        ResolveError::NotALength { .. } | ResolveError::TooWide { .. } => Code::BadLength,
        ResolveError::Outside { .. } => Code::BadProbeArgument,
        ResolveError::InSharedLibrary { .. }
        | ResolveError::NoSuchModule { .. }
        | ResolveError::Local { .. }
        | ResolveError::EachThread { .. } => Code::NotAvailableYet,
        _ => Code::UnknownSymbol,
    }
}

/// A process that can not be looked at.
pub(crate) fn process(error: &ProcessError) -> Failure {
    let new = |code| Diagnostic::new(code, None, error.to_string());
    let diagnostic = match error {
        ProcessError::Gone { .. } => new(Code::NoSuchProcess)
            .help("list processes with `ps -e`, or find one by name with `pgrep NAME`"),
        ProcessError::Zombie { .. } => new(Code::TargetExited),
        ProcessError::Thread { pid, .. } => new(Code::NoSuchProcess)
            .help(format!("use `-p {pid}`: all of its threads are watched")),
        ProcessError::KernelThread { .. } => new(Code::UnsupportedTarget),
        ProcessError::PermissionDenied { .. } => new(Code::PermissionDenied).help(
            "run hwtrace as the user that the process runs as, or as root with `sudo`",
        ),
        ProcessError::Executable { error: ElfError::Not64Bit, .. } => {
            new(Code::UnsupportedTarget)
                .help("build the program for x86-64: without `-m32`")
        }
        ProcessError::Executable { .. } | ProcessError::NotLoaded { .. } => {
            new(Code::BadExecutable)
        }
        other => {
            return Failure::System(
                "looking at the process",
                std::io::Error::other(other.to_string()),
            );
        }
    };
    diagnostic.into()
}

/// The kernel did not arm.
pub(crate) fn failed(
    error: &ArmError,
    process: &Process,
    requests: &[Request],
    plan: &Plan,
) -> Failure {
    let request = |register: usize| {
        let register = plan.registers.get(register)?;
        requests.get(register.subscribers.first()?.request)
    };
    let span = |register| request(register).and_then(|request| request.span);
    let name = |register| {
        request(register)
            .map_or_else(String::new, |request| request.data.expression.to_string())
    };
    let new = |code, span| Diagnostic::new(code, span, error.to_string());
    let diagnostic = match error {
        ArmError::Gone { .. } => new(Code::TargetExited, None),
        ArmError::NoFreeRegister { watch, tid } => {
            let message =
                format!("no free debug register on thread {tid} for `{}`", name(*watch));
            let diagnostic = Diagnostic::new(Code::NoFreeRegister, span(*watch), message);
            held(diagnostic, &register_holders(process.pid()))
        }
        ArmError::Permission { pid, .. } => permission(new(Code::PermissionDenied, None), *pid),
        ArmError::KernelPermission { .. } => new(Code::PermissionDenied, None)
            .help("run hwtrace as root with `sudo`, or with CAP_SYS_ADMIN"),
        ArmError::SystemPermission { .. } => new(Code::PermissionDenied, None).help(
            "run hwtrace as root with `sudo`, with CAP_PERFMON, or after \
             `sudo sysctl kernel.perf_event_paranoid=0`",
        ),
        ArmError::Unsupported { .. } => new(Code::UnsupportedMachine, None).help(
            "a virtual machine may hide them, and a container may refuse perf_event_open; \
             try on the host",
        ),
        ArmError::BadWatch { watch } => {
            let message = format!("the kernel refuses to watch `{}`", name(*watch));
            Diagnostic::new(Code::ArmingFailed, span(*watch), message)
                .help("the address must be the process's own, and a multiple of the length")
        }
        ArmError::Limit { limit, .. } => {
            let raise = match *limit {
                "RLIMIT_NOFILE" => "raise it with `ulimit -n 65536`, or as root in limits.conf(5)",
                _ => "raise it with `sudo sysctl kernel.perf_event_mlock_kb=4096`",
            };
            new(Code::LimitReached, None).help(raise)
        }
        ArmError::Unstable { .. } => new(Code::ArmingFailed, None)
            .help("try again, or start the program with `-c`: then every thread inherits"),
        _ => new(Code::ArmingFailed, None),
    };
    diagnostic.into()
}

fn held(diagnostic: Diagnostic, holders: &[Holder]) -> Diagnostic {
    let mut diagnostic =
        diagnostic.note("a thread has four debug registers, shared by all who watch it");
    for holder in holders {
        let what = match holder.kind {
            HolderKind::Tracer => "traces the target and may hold some",
            _ => "has perf events open and may hold some",
        };
        diagnostic =
            diagnostic.note(format!("{} (process {}) {what}", holder.name, holder.pid));
    }
    if holders.is_empty() {
        diagnostic = diagnostic.note(
            "no other process holds one now; a debugger that watched the thread may have \
             left its registers reserved until the thread ends",
        );
    }
    diagnostic.help("watch fewer at a time, or end the other program and try again")
}

fn permission(diagnostic: Diagnostic, pid: u32) -> Diagnostic {
    let paranoid = perf_event_paranoid();
    let diagnostic = match paranoid {
        Some(level) if level > 2 => diagnostic
            .note(format!("kernel.perf_event_paranoid is {level}: perf may be for root alone"))
            .help("allow it for one's own processes: `sudo sysctl kernel.perf_event_paranoid=2`"),
        _ => diagnostic.note(format!("process {pid} belongs to another user, or may not be traced")),
    };
    diagnostic.help(
        "run hwtrace as root with `sudo`, as the process's own user, or with CAP_PERFMON \
         and CAP_SYS_PTRACE",
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn code(failure: Failure) -> Code {
        match failure {
            Failure::Diagnosed(diagnostics) => diagnostics[0].code,
            other => panic!("{other:?}"),
        }
    }

    /// Some happen in a race, or on other machines: what they are called is
    /// tested here.
    #[test]
    fn failures_have_their_codes() {
        let own = Process::open(std::process::id()).unwrap();
        let armed = |error: ArmError| code(failed(&error, &own, &[], &Plan::default()));
        let limit = |limit| ArmError::Limit { limit, needed: 9 };
        assert_eq!(armed(ArmError::Gone { pid: 1 }), Code::TargetExited);
        assert_eq!(armed(limit("RLIMIT_NOFILE")), Code::LimitReached);
        assert_eq!(armed(limit("perf_event_mlock_kb")), Code::LimitReached);
        let unsupported = ArmError::Unsupported { reason: "none".into() };
        assert_eq!(armed(unsupported), Code::UnsupportedMachine);
        assert_eq!(armed(ArmError::BadWatch { watch: 0 }), Code::ArmingFailed);
        assert_eq!(armed(ArmError::Unstable { pid: 1 }), Code::ArmingFailed);
        let zombie = process(&ProcessError::Zombie { pid: 1 });
        assert_eq!(code(zombie), Code::TargetExited);
        let path = std::path::PathBuf::from("/a");
        let gone = process(&ProcessError::NotLoaded { pid: 1, path });
        assert_eq!(code(gone), Code::BadExecutable);
    }
}
