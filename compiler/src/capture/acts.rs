//! Which signals a handler sends, and at which hits that is known before it runs.

use hwtrace_runtime::abi::{SIGSTOP, signal_number};
use hwtrace_runtime::plan::{ACTS_MAX, Act};

use super::filter;
use super::flow::Flow;
use crate::ir::effects::codes_of;
use crate::ir::{Code, Module, Op, Terminator, Value};

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
            _ => Means::Nothing,
        },
        Op::CallFunction(number, _) => {
            let function = module.functions.get(*number as usize);
            let goes_on = |code: &&Code| {
                instructions(code).all(|op| match op {
                    Op::CallFunction(..) => true,
                    op => means(module, code, op) == Means::Nothing,
                }) && !code.blocks.iter().any(|it| it.terminator == Terminator::Leave)
            };
            match function.map(|function| codes_of(module, function)) {
                Some(codes) if codes.iter().all(goes_on) => Means::Nothing,
                _ => Means::Anything,
            }
        }
        _ => Means::Nothing,
    }
}

/// The signal with a number that is a constant.
fn constant(code: &Code, number: Value) -> Option<i32> {
    let all = code.blocks.iter().flat_map(|block| &block.instructions);
    let mut set = all.filter(|instruction| instruction.result == Some(number));
    match set.next()?.op {
        Op::Long(number) => signal_number(number).ok(),
        _ => None,
    }
}

fn instructions(code: &Code) -> impl Iterator<Item = &Op> {
    let all = code.blocks.iter().flat_map(|block| &block.instructions);
    all.map(|instruction| &instruction.op)
}

/// Whether a script may end its session, so that later hits run no handler: then they
/// send no signal either. A process that is stopped twice is stopped.
pub(super) fn may_end(module: &Module) -> bool {
    let codes = module.handlers.iter().chain(&module.functions);
    codes.flat_map(instructions).any(
        |op| matches!(op, Op::Call(helper, _) if matches!(helper.name, "exit" | "abort")),
    )
}

/// What is sent at the hit, and every place at which something is sent, those in
/// functions behind the handler's own.
pub(super) fn acts(
    module: &Module,
    handler: &Code,
    flow: &Flow,
    stop_alone: bool,
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
            let allowed = |it: &i32| !stop_alone || i64::from(*it) == SIGSTOP;
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
