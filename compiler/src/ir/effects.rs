//! Which globals a code reads and writes, and so which conditions of probe
//! points a handler may change.

use std::collections::HashSet;

use super::{Aggregate, Code, Module, Op};

/// A global variable by kind and slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Global {
    /// A scalar long or double.
    Long(u32),
    /// A scalar string.
    Text(u32),
    /// A scalar aggregate.
    Statistics(u32),
    /// An array.
    Array(u32),
}

/// What a code does with globals, functions that it calls included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Globals that it may read.
    pub reads: HashSet<Global>,
    /// Globals that it may write.
    pub writes: HashSet<Global>,
}

/// A code and the functions that it may call, each once.
pub(crate) fn codes_of<'a>(module: &'a Module, code: &'a Code) -> Vec<&'a Code> {
    let mut seen = HashSet::new();
    let mut found = vec![code];
    let mut at = 0;
    while let Some(code) = found.get(at).copied() {
        for instruction in code.blocks.iter().flat_map(|block| &block.instructions) {
            if let Op::CallFunction(number, _) = instruction.op
                && seen.insert(number)
            {
                found.extend(module.functions.get(number as usize));
            }
        }
        at += 1;
    }
    found
}

/// The effects of a code.
pub fn effects(module: &Module, code: &Code) -> Effects {
    let mut found = Effects::default();
    let codes = codes_of(module, code);
    let blocks = codes.iter().flat_map(|code| &code.blocks);
    for instruction in blocks.flat_map(|block| &block.instructions) {
        match access(&instruction.op) {
            Some((global, Way::Reads)) => _ = found.reads.insert(global),
            Some((global, Way::Writes)) => _ = found.writes.insert(global),
            None => {}
        }
    }
    found
}

/// Names of the helpers that a module may call.
pub fn helpers(module: &Module) -> HashSet<&'static str> {
    let conditions = module.conditions.iter().flatten();
    let codes = module.handlers.iter().chain(&module.functions).chain(conditions);
    let instructions =
        codes.flat_map(|code| &code.blocks).flat_map(|block| &block.instructions);
    let called = instructions.filter_map(|instruction| match &instruction.op {
        Op::Call(helper, _) => Some(helper.name),
        _ => None,
    });
    called.collect()
}

/// By handler: the handlers whose conditions it may change.
pub(super) fn conditions_after(module: &Module) -> Vec<Vec<u32>> {
    let reads: Vec<_> = module
        .conditions
        .iter()
        .map(|condition| {
            condition.as_ref().map(|code| effects(module, code).reads).unwrap_or_default()
        })
        .collect();
    if reads.iter().all(HashSet::is_empty) {
        return vec![Vec::new(); module.handlers.len()];
    }
    let after = |handler: &Code| {
        let writes = effects(module, handler).writes;
        let changed =
            reads.iter().enumerate().filter(|(_, reads)| !reads.is_disjoint(&writes));
        changed.map(|(number, _)| number as u32).collect()
    };
    module.handlers.iter().map(after).collect()
}

/// Which stacks of the hit a helper asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StacksAsked {
    pub(crate) user: bool,
    pub(crate) kernel: bool,
}

/// Which stacks of the hit a helper asks for; none where it asks for none.
pub(crate) fn stacks_asked(helper: &str) -> Option<StacksAsked> {
    let (user, kernel) = match helper {
        "ubacktrace"
        | "ucallers"
        | "ustack"
        | "print_ubacktrace"
        | "print_ubacktrace_brief"
        | "print_ubacktrace_fileline"
        | "sprint_ubacktrace" => (true, false),
        "backtrace"
        | "callers"
        | "stack"
        | "print_backtrace"
        | "print_backtrace_fileline"
        | "sprint_backtrace" => (false, true),
        // Of whoever made the access.
        "caller" | "caller_addr" => (true, true),
        _ => return None,
    };
    Some(StacksAsked { user, kernel })
}

/// Whether a code asks for a stack of the hit.
pub(super) fn asks_for_stacks(code: &Code) -> bool {
    let mut instructions = code.blocks.iter().flat_map(|block| &block.instructions);
    instructions.any(|instruction| match &instruction.op {
        Op::Call(helper, _) => stacks_asked(helper.name).is_some(),
        _ => false,
    })
}

enum Way {
    Reads,
    Writes,
}

fn access(op: &Op) -> Option<(Global, Way)> {
    let of = |aggregate: &Aggregate| match aggregate {
        Aggregate::Scalar(slot) => Global::Statistics(*slot),
        Aggregate::Element(array, _) | Aggregate::Merged(array, _) => {
            Global::Array(*array)
        }
    };
    Some(match op {
        Op::GetLong(slot) => (Global::Long(*slot), Way::Reads),
        Op::SetLong(slot, _) => (Global::Long(*slot), Way::Writes),
        Op::GetText(slot) => (Global::Text(*slot), Way::Reads),
        Op::SetText(slot, _) => (Global::Text(*slot), Way::Writes),
        Op::ClearStatistics(slot) => (Global::Statistics(*slot), Way::Writes),
        Op::GetElement(array, _)
        | Op::HasElement(array, _)
        | Op::HasMatch(array, _)
        | Op::WalkBegin { array, .. } => (Global::Array(*array), Way::Reads),
        Op::SetElement(array, ..)
        | Op::AddElement(array, ..)
        | Op::DeleteElement(array, _)
        | Op::DeleteMatches(array, _)
        | Op::Clear(array) => (Global::Array(*array), Way::Writes),
        Op::Accumulate(aggregate, _) => (of(aggregate), Way::Writes),
        Op::Extract(_, aggregate)
        | Op::Percentile(aggregate, _)
        | Op::Bucket(aggregate, ..)
        | Op::PrintHistogram { aggregate, .. }
        | Op::WalkBuckets { aggregate, .. } => (of(aggregate), Way::Reads),
        _ => return None,
    })
}
