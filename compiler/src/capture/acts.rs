//! Which signals a handler sends, and at which hits that is known before it runs.

use hwtrace_runtime::abi::{SIGSTOP, signal_number};
use hwtrace_runtime::plan::{ACTS_MAX, Act};

use super::filter;
use super::flow::Flow;
use crate::ir::effects::codes_of;
use crate::ir::{Aggregate, BinaryOp, Code, Module, Op, Terminator, Value};

/// A place at which a handler sends a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sends {
    /// Index into [`Module::sites`].
    pub site: u32,
    /// The builtin that sends, as scripts call it.
    pub what: &'static str,
    /// The act of the plan that does it at the hit; none where it is done when the
    /// handler runs.
    pub act: Option<usize>,
}

/// What an instruction means to a signal that may be sent behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Means {
    /// It sends one itself.
    Sends(i32),
    /// The handler comes no further.
    Leaves,
    /// The handler goes on.
    Nothing,
    /// It goes on, unless it faults.
    MayFault,
    /// That is not known, nor whether it sends one.
    Anything,
}

/// What an instruction of a handler means.
pub(super) fn means(module: &Module, code: &Code, op: &Op) -> Means {
    match op {
        Op::Call(helper, args) => match (helper.name, &args[..]) {
            ("stop", _) => Means::Sends(SIGSTOP as i32),
            ("signal", [number]) => {
                constant(code, *number).map_or(Means::Anything, Means::Sends)
            }
            ("abort" | "error", _) => Means::Leaves,
            ("assert", _) => Means::Anything,
            (name, _) if NEVER_FAULT.contains(&name) => Means::Nothing,
            _ => Means::MayFault,
        },
        Op::CallFunction(number, _) => {
            let function = module.functions.get(*number as usize);
            function.map_or(Means::Anything, |function| of_function(module, function))
        }
        op if may_fault(code, op) => Means::MayFault,
        _ => Means::Nothing,
    }
}

/// Helpers that go well whatever they are given.
const NEVER_FAULT: [&str; 10] = [
    "access",
    "register_value",
    "exit",
    "probefunc",
    "syscall_name",
    "gettimeofday_ns",
    "gettimeofday_us",
    "gettimeofday_ms",
    "gettimeofday_s",
    "target",
];

/// What a call of a function means, and of those that it calls.
fn of_function(module: &Module, function: &Code) -> Means {
    let mut worst = Means::Nothing;
    for code in codes_of(module, function) {
        if Flow::new(code).has_loops() {
            worst = Means::MayFault;
        }
        if code.blocks.iter().any(|block| block.terminator == Terminator::Leave) {
            return Means::Anything;
        }
        for op in instructions(code).filter(|op| !matches!(op, Op::CallFunction(..))) {
            match means(module, code, op) {
                Means::Nothing => {}
                Means::MayFault => worst = Means::MayFault,
                _ => return Means::Anything,
            }
        }
    }
    // Calls are nested only so deep, and take fuel.
    if worst == Means::Nothing && calls(function) { Means::MayFault } else { worst }
}

fn calls(code: &Code) -> bool {
    instructions(code).any(|op| matches!(op, Op::CallFunction(..)))
}

/// Whether an instruction that is no call may fail.
fn may_fault(code: &Code, op: &Op) -> bool {
    match op {
        Op::Binary(BinaryOp::Divide | BinaryOp::Remainder, _, divisor) => {
            long(code, *divisor).is_none_or(|divisor| divisor == 0)
        }
        Op::Load { .. }
        | Op::EmitMemory(_)
        | Op::SetElement(..)
        | Op::AddElement(..)
        | Op::Accumulate(Aggregate::Element(..), _)
        | Op::Extract(..)
        | Op::Percentile(..)
        | Op::Bucket(..)
        | Op::PrintHistogram { .. }
        | Op::Match { .. }
        | Op::HasMatch(..)
        | Op::DeleteMatches(..)
        | Op::Clear(_)
        | Op::WalkBegin { .. }
        | Op::WalkBuckets { .. } => true,
        _ => false,
    }
}

/// The signal with a number that is a constant.
fn constant(code: &Code, number: Value) -> Option<i32> {
    signal_number(long(code, number)?).ok()
}

/// The number that a value is, where it is a constant.
fn long(code: &Code, value: Value) -> Option<i64> {
    let all = code.blocks.iter().flat_map(|block| &block.instructions);
    let mut set = all.filter(|instruction| instruction.result == Some(value));
    match set.next()?.op {
        Op::Long(number) => Some(number),
        _ => None,
    }
}

fn instructions(code: &Code) -> impl Iterator<Item = &Op> {
    let all = code.blocks.iter().flat_map(|block| &block.instructions);
    all.map(|instruction| &instruction.op)
}

/// Whether a script may end its session while hits come, by what it does or as
/// something fails: later hits run no handler then, and are to send no signal either. A
/// stop that no handler asks for is taken back.
pub(super) fn may_end(module: &Module) -> bool {
    let ends = |code: &Code| {
        Flow::new(code).has_loops()
            || instructions(code).any(|op| match op {
                Op::Call(helper, _) if helper.name == "exit" => true,
                op => {
                    !matches!(means(module, code, op), Means::Nothing | Means::Sends(_))
                }
            })
    };
    let during = module.handlers.iter().filter(|code| !is_at_the_end(&code.name));
    during.flat_map(|code| codes_of(module, code)).any(ends)
}

/// Whether a handler runs when no more hits come; nothing else has such a name.
fn is_at_the_end(name: &str) -> bool {
    let name = name.split(['(', '.']).next().unwrap_or(name);
    matches!(name, "begin" | "end" | "error" | "init")
}

/// What is sent at the hit, and every place at which something is sent, those in
/// functions behind the handler's own.
pub(super) fn acts(
    module: &Module,
    handler: &Code,
    flow: &Flow,
    may_end: &dyn Fn() -> bool,
) -> (Vec<Act>, Vec<Sends>) {
    let mut acts: Vec<Act> = Vec::new();
    let mut listed = Vec::new();
    for code in codes_of(module, handler) {
        let own = std::ptr::eq(code, handler);
        for instruction in code.blocks.iter().flat_map(|block| &block.instructions) {
            let Op::Call(helper, _) = instruction.op else { continue };
            if !matches!(helper.name, "stop" | "signal") {
                continue;
            }
            let signal = match means(module, code, &instruction.op) {
                Means::Sends(signal) if own => Some(signal),
                _ => None,
            };
            let allowed = |it: &i32| i64::from(*it) == SIGSTOP || !may_end();
            let act = signal
                .filter(allowed)
                .and_then(|signal| act(signal, &mut acts, module, code, flow));
            listed.push(Sends { site: instruction.site, what: helper.name, act });
        }
    }
    (acts, listed)
}

/// Index of the act that sends a signal, made where there is none yet.
fn act(
    signal: i32,
    acts: &mut Vec<Act>,
    module: &Module,
    code: &Code,
    flow: &Flow,
) -> Option<usize> {
    if let Some(at) = acts.iter().position(|act| act.signal == signal) {
        return Some(at);
    }
    if acts.len() == ACTS_MAX {
        return None;
    }
    let when = filter::sends(signal, module, code, flow)?;
    acts.push(Act { when, signal });
    Some(acts.len() - 1)
}
