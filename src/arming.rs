//! From requests to registers, and what can be wrong on the way: each error
//! says what happened, why, and what to do next.

mod shortage;

use std::path::Path;

use hwtrace_lang::code::Code;
use hwtrace_lang::diagnostic::Diagnostic;
use hwtrace_lang::span::Span;
use hwtrace_probes::kernel::KernelError;
use hwtrace_probes::process::facts::identity;
use hwtrace_probes::process::{
    ProcessError, perf_event_paranoid, register_holders, yama_ptrace_scope,
};
use hwtrace_probes::resolve::ResolveError;
use hwtrace_probes::spec::Spec;
use hwtrace_probes::symbols::ElfError;
use hwtrace_runtime::bpf::BpfError;
use hwtrace_runtime::engine::ArmError;
use hwtrace_runtime::kernel::{Errno, Kernel};

use crate::armed::Refused;
use crate::engines::{BEST, NoEngine, setcap};
use crate::environment::{Point, quoted};
use crate::registers::Registers;
use crate::session::{Failure, Request};
use crate::sharing::Means;
use shortage::{Lacking, none_free};
pub(crate) use shortage::{refuse_turns, too_many};

/// A script that watches a process was given none.
pub(crate) fn no_target(request: &Request) -> Diagnostic {
    let message = "the script watches a process, but none is given";
    Diagnostic::new(Code::NoTarget, request.span, message)
        .help("start one with `-c ./prog`, or name one that runs with `-p PID`")
}

/// Refuses what is to be watched on CPUs that are not there: it would never fire.
pub(crate) fn refuse_cpus(
    requests: &[Request],
    kernel: &dyn Kernel,
) -> Result<(), Failure> {
    let asked = requests.iter().filter_map(|it| Some((it.data.only().cpu?, it)));
    let Ok(online) = kernel.online_cpus() else { return Ok(()) };
    for (cpu, request) in asked {
        if !online.contains(&cpu) {
            let message = format!("no CPU {cpu} is online here");
            let last = online.last().copied().unwrap_or_default();
            let diagnostic =
                Diagnostic::new(Code::BadProbeArgument, request.span, message)
                    .help(format!("CPUs have numbers from 0 to {last}"));
            return Err(diagnostic.into());
        }
    }
    Ok(())
}

/// What is said of a point that nothing can arm yet.
pub(crate) fn not_yet(point: &Point) -> Option<Diagnostic> {
    let Spec::Later(later) = &point.spec else { return None };
    let message = match &later.part {
        Some(part) => format!("{part} is not available yet"),
        None => format!("`{}` is not available yet", point.name),
    };
    let diagnostic = Diagnostic::new(Code::NotAvailableYet, point.span, message);
    Some(diagnostic.help(later.instead))
}

/// Nothing runs that the probe point could mean.
pub(crate) fn no_process_of(request: &Request) -> Diagnostic {
    match request.data.executable() {
        Some(path) => {
            let message = format!("nothing is known of `{path}`, and no process runs it");
            Diagnostic::new(Code::UnknownSymbol, request.span, message)
                .help(format!("look for it with `ls -l {path}`; give its whole path"))
        }
        None => no_target(request),
    }
}

/// Data of the kernel is not found.
pub(crate) fn no_kernel_data(error: &KernelError, span: Option<Span>) -> Diagnostic {
    let diagnostic = Diagnostic::new(Code::UnknownSymbol, span, error.to_string());
    match error.help() {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}

/// Tasks can not be looked for.
pub(crate) fn no_bpf(why: &str, span: Option<Span>) -> Diagnostic {
    let message = format!("tasks of the kernel can not be looked for: {why}");
    may_with(
        Diagnostic::new(Code::PermissionDenied, span, message),
        "cap_bpf,cap_perfmon,cap_sys_admin",
    )
}

/// There is no such task.
pub(crate) fn no_task(tid: u32, span: Option<Span>) -> Diagnostic {
    Diagnostic::new(Code::NoSuchProcess, span, format!("there is no process {tid}"))
        .help("list processes with `ps -e`, or find one by name with `pgrep NAME`")
}

/// No engine that is wanted can be used here.
pub(crate) fn no_engine(refused: &NoEngine) -> Diagnostic {
    let reasons = refused.reasons();
    let message = match &*reasons {
        [(names, refusal)] => format!("{names} can not be used: {}", refusal.why),
        _ => "no engine can be used here".to_owned(),
    };
    let mut diagnostic = Diagnostic::new(Code::UnsupportedMachine, None, message);
    for (names, refusal) in &reasons {
        if reasons.len() > 1 {
            diagnostic = diagnostic.note(format!("{names}: {}", refusal.why));
        }
        diagnostic = diagnostic.help(format!("for {names}: {}", refusal.help));
    }
    diagnostic.help("`hwtrace doctor` tries each engine, and tells what else is missing")
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

const LAUNCHER: &str = "this is the program that starts yours: name yours as well, as in \
                        `process(\"/path/prog\").data(\"counter\")`, or start it without this";

const FOLLOW: &str = "to watch what it will point to, follow it: `.follow` behind `.data(…)`, or \
                      `hwtrace watch --follow`";

pub(crate) fn unresolved(error: &ResolveError, span: Option<Span>) -> Diagnostic {
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
        ResolveError::NoSuchModule { module, .. } if !module.contains('/') => {
            let help = error.help().into_iter().fold(new(code_of(error)), Diagnostic::help);
            help.help(format!(
                "one that is loaded later is named by its path: `\"/path/{module}\":…`"
            ))
        }
        ResolveError::Null { .. }
        | ResolveError::Dangling { .. }
        | ResolveError::Unreadable { .. } => new(code_of(error)).help(FOLLOW),
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
        | ResolveError::EmptyRange { .. }
        | ResolveError::RangeBeyond { .. }
        | ResolveError::OpenRange { .. }
        | ResolveError::TooManyElements { .. }
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

/// Whether the data does not exist, and it is no mistake of another kind.
pub(crate) fn is_absent(why: &ResolveError) -> bool {
    matches!(
        why,
        ResolveError::NoSuchSymbol { .. }
            | ResolveError::Stripped { .. }
            | ResolveError::NoSuchMember { .. }
            | ResolveError::NoSuchModule { .. }
            | ResolveError::InSharedLibrary { .. }
            | ResolveError::OptimizedOut { .. }
    )
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
        ProcessError::PermissionDenied { pid, .. } => {
            no_access(new(Code::PermissionDenied), *pid)
        }
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
    Refused { pid, error }: &Refused,
    requests: &[Request],
    registers: &Registers,
    means: Means,
) -> Failure {
    let request = |register: usize| {
        requests.get(registers.sees().get(register)?.first()?.request())
    };
    let span = |register| request(register).and_then(|request| request.span);
    let name = |register| {
        request(register).map_or_else(String::new, |request| request.data.to_string())
    };
    let new = |code, span| Diagnostic::new(code, span, error.to_string());
    let diagnostic = match error {
        _ if let Some(limit) = limit_met(error) => {
            let told = new(Code::LimitReached, None);
            reached(told.note(format!("{limit} is too low")), limit, 0)
        }
        ArmError::Gone { .. } => new(Code::TargetExited, None),
        ArmError::NoFreeRegister { watch, tid, short, free } => {
            let lacking = Lacking {
                tid: *tid,
                short,
                free: *free as usize,
                all: registers.least(false),
                by_turns: registers.least(true),
                pinned: requests.iter().any(|request| request.data.is_pinned()),
                traceable: requests.iter().all(|request| request.data.is_of_target()),
                means,
            };
            let whose = lacking.for_whom(requests, request(*watch));
            let message = lacking.message(&whose);
            let span = whose.first().and_then(|request| request.span);
            let diagnostic = Diagnostic::new(Code::NoFreeRegister, span, message);
            none_free(diagnostic, &lacking, &register_holders(*pid))
        }
        ArmError::Permission { .. } => permission(new(Code::PermissionDenied, None)),
        ArmError::NoAccess { pid } => no_access(new(Code::PermissionDenied, None), *pid),
        ArmError::KernelPermission { .. } => {
            may_with(new(Code::PermissionDenied, None), "cap_bpf,cap_perfmon,cap_sys_admin")
        }
        ArmError::SystemPermission { .. } => {
            may_with(new(Code::PermissionDenied, None), BEST).help(
                "or allow it to all users with `sudo sysctl kernel.perf_event_paranoid=0`",
            )
        }
        ArmError::Program(BpfError::NotPermitted) => {
            may_with(new(Code::PermissionDenied, None), BEST)
                .help("or take another engine: `--engine perf`")
        }
        ArmError::Program(_) => new(Code::ArmingFailed, None)
            .help("take another engine: `--engine perf`"),
        ArmError::PtracePermission { pid, .. } => {
            no_ptrace(new(Code::PermissionDenied, None), *pid, yama_ptrace_scope())
        }
        ArmError::Traced { .. } => new(Code::PermissionDenied, None)
            .help("end that one, be it a debugger, strace or another hwtrace")
            .help("or use `--engine perf`, which needs no tracer"),
        ArmError::Unable { .. } => new(Code::NotAvailableYet, None)
            .help("`--engine perf` can, as root or with CAP_PERFMON and CAP_SYS_ADMIN"),
        ArmError::Unsupported { .. } => new(Code::UnsupportedMachine, None).help(
            "a virtual machine may hide them, and a container may refuse perf_event_open; \
             try on the host",
        ),
        ArmError::BadWatch { watch } => {
            let message = format!("the kernel refuses to watch `{}`", name(*watch));
            Diagnostic::new(Code::ArmingFailed, span(*watch), message)
                .help("the address must be the process's own, and a multiple of the length")
        }
        ArmError::Limit { limit, needed } => {
            reached(new(Code::LimitReached, None), limit, *needed)
        }
        ArmError::Unstable { .. } => new(Code::ArmingFailed, None)
            .help("try again, or start the program with `-c`: then every thread inherits"),
        _ => new(Code::ArmingFailed, None),
    };
    diagnostic.into()
}

/// A limit was reached.
fn reached(diagnostic: Diagnostic, limit: &str, needed: u64) -> Diagnostic {
    let diagnostic = diagnostic.help(raise(limit, needed));
    match limit {
        "RLIMIT_NOFILE" | "fs.file-max" => diagnostic.help(TRACER),
        _ => diagnostic,
    }
}

/// What raises a limit.
fn raise(limit: &str, needed: u64) -> String {
    match limit {
        "RLIMIT_NOFILE" => {
            let enough = (needed + needed / 4).next_power_of_two().max(65_536);
            let most = match enough > USUAL_OPEN_MAX {
                true => format!("`sudo sysctl fs.nr_open={enough}`, then "),
                false => String::new(),
            };
            format!(
                "raise it for this shell with {most}`sudo prlimit --pid $$ --nofile={enough}`, \
                 or for good in limits.conf(5)"
            )
        }
        "fs.file-max" => {
            "raise it with `sudo sysctl fs.file-max=9223372036854775807`".to_owned()
        }
        _ => "raise it with `sudo sysctl kernel.perf_event_mlock_kb=4096`; all that a user \
              runs shares it, so that smaller rings leave more to others, as with \
              `--ring-size 128` for each hwtrace"
            .to_owned(),
    }
}

/// What limits of descriptors are set to at most by default (fs.nr_open).
const USUAL_OPEN_MAX: u64 = 1 << 20;

/// What takes few descriptors.
const TRACER: &str = "or use `--engine ptrace`, which takes none for each thread";

/// The limit that some system call met which takes a descriptor, too.
fn limit_met(error: &ArmError) -> Option<&'static str> {
    let errno = match error {
        ArmError::Program(
            BpfError::Failed { errno, .. } | BpfError::Refused { errno, .. },
        ) => *errno,
        ArmError::System { error, .. } => Errno::from_raw(error.raw_os_error()?),
        _ => return None,
    };
    match errno {
        Errno::EMFILE => Some("RLIMIT_NOFILE"),
        Errno::ENFILE => Some("fs.file-max"),
        _ => None,
    }
}

/// What takes root, or capabilities, as setcap(8) takes them.
fn may_with(diagnostic: Diagnostic, capabilities: &str) -> Diagnostic {
    let setcap = setcap(capabilities);
    diagnostic.help(format!("run hwtrace as root with `sudo`, or once {setcap}"))
}

/// perf itself is refused, and not for whose process it is.
fn permission(diagnostic: Diagnostic) -> Diagnostic {
    match perf_event_paranoid() {
        Some(level @ 3..) => diagnostic
            .note(format!("kernel.perf_event_paranoid is {level}: perf is for root alone"))
            .help("allow it for one's own processes: `sudo sysctl kernel.perf_event_paranoid=2`")
            .help(format!("or run hwtrace with `sudo`, or once {}", setcap(BEST))),
        _ => diagnostic
            .note("perf_event_open(2) is refused, as by a container's seccomp filter")
            .help(
                "start the container with `--security-opt seccomp=unconfined`; `hwtrace doctor` \
                 tells which engine works here",
            ),
    }
}

/// The process is nothing that we may look into.
fn no_access(diagnostic: Diagnostic, pid: u32) -> Diagnostic {
    let own = nix::unistd::geteuid().as_raw();
    let theirs = identity(pid).map(|identity| identity.user);
    let diagnostic = match theirs {
        Some(user) if user != own => {
            diagnostic.note(format!("it is of user {user}, and hwtrace runs as user {own}"))
        }
        _ => diagnostic.note(
            "its program runs with more rights than its user (set-user-ID, capabilities), or \
             keeps others out (PR_SET_DUMPABLE)",
        ),
    };
    diagnostic.help(AS_ITS_USER)
}

/// What lets one look into another's process.
const AS_ITS_USER: &str = "run hwtrace as the user that the process runs as, as root with `sudo`, or with \
     CAP_SYS_PTRACE";

/// The kernel refuses ptrace(2) of a process that nobody traces.
fn no_ptrace(diagnostic: Diagnostic, pid: u32, yama: Option<i32>) -> Diagnostic {
    let set = |scope| format!("`sudo sysctl kernel.yama.ptrace_scope={scope}`");
    match yama {
        Some(3..) => diagnostic
            .note("kernel.yama.ptrace_scope is 3: nobody may trace, until a restart")
            .help("use `--engine perf`, which needs no tracer"),
        Some(scope @ 1..) => diagnostic
            .note(format!(
                "kernel.yama.ptrace_scope is {scope}: a process is traced by who started it, \
                 or by root"
            ))
            .help(format!("start the program with `-c`, or allow it: {}", set(0)))
            .help("or run hwtrace as root with `sudo`, or with `--engine perf`"),
        _ => diagnostic
            .note(format!("process {pid} belongs to another user, or may not be traced"))
            .help(
                "run hwtrace as root with `sudo`, as the process's own user, or with \
                 CAP_SYS_PTRACE",
            ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sharing::Sharing;

    fn code(failure: Failure) -> Code {
        match failure {
            Failure::Diagnosed(diagnostics) => diagnostics[0].code,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn whoever_refuses_ptrace_is_named() {
        let new = || Diagnostic::new(Code::PermissionDenied, None, "refused");
        for (yama, parts) in [
            (Some(3), ["until a restart", "--engine perf"]),
            (Some(1), ["ptrace_scope is 1", "ptrace_scope=0"]),
            (Some(0), ["process 7 belongs", "CAP_SYS_PTRACE"]),
            (None, ["process 7 belongs", "sudo"]),
        ] {
            let text = format!("{:?}", no_ptrace(new(), 7, yama));
            assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        }
    }

    /// Some happen in a race, or on other machines: what they are called is
    /// tested here.
    #[test]
    fn failures_have_their_codes() {
        let armed = |error: ArmError| {
            let means = Means { sharing: Sharing::default(), passes: true };
            code(failed(&Refused { pid: 1, error }, &[], &Registers::default(), means))
        };
        let limit = |limit| ArmError::Limit { limit, needed: 9 };
        assert_eq!(armed(ArmError::Gone { pid: 1 }), Code::TargetExited);
        assert_eq!(armed(limit("RLIMIT_NOFILE")), Code::LimitReached);
        assert_eq!(armed(limit("perf_event_mlock_kb")), Code::LimitReached);
        assert_eq!(armed(ArmError::NoAccess { pid: 1 }), Code::PermissionDenied);
        let errno = 1;
        assert_eq!(armed(ArmError::KernelPermission { errno }), Code::PermissionDenied);
        let program = BpfError::NotPermitted;
        assert_eq!(armed(ArmError::Program(program)), Code::PermissionDenied);
        assert!(raise("RLIMIT_NOFILE", 100_000).contains("--nofile=131072"));
        assert!(raise("RLIMIT_NOFILE", 1_000_000).contains("fs.nr_open=2097152"));
        for errno in [Errno::EMFILE, Errno::ENFILE] {
            let program = BpfError::Failed { what: "runs", errno };
            assert_eq!(armed(ArmError::Program(program)), Code::LimitReached);
            let system = ArmError::System { call: "reading", error: errno.into() };
            assert_eq!(armed(system), Code::LimitReached);
        }
        assert!(raise("fs.file-max", 1).contains("fs.file-max="));
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
