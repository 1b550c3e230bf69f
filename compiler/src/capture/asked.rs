//! Which instructions read memory, and how much of it.

use hwtrace_runtime::plan::{self, Space};

use crate::ir::{self, Op, Value};

/// What an instruction wants of memory.
pub(super) struct Asked {
    /// The builtin that reads.
    pub(super) what: &'static str,
    pub(super) address: Value,
    pub(super) extent: Extent,
    pub(super) space: Space,
}

/// How much is wanted.
pub(super) enum Extent {
    /// A number.
    Number(plan::Load),
    /// So many bytes.
    Bytes(Value),
    /// As many as `%m` and `%M` print with this precision.
    Printed(Option<Value>),
    /// Text up to its NUL, at most so many bytes, where that is said.
    Text(Option<Value>),
}

/// What the instruction reads, where it reads memory.
pub(super) fn asked(op: &Op) -> Option<Asked> {
    let (what, address, extent, space) = match op {
        Op::Load { address, load } => {
            let load = planned(*load);
            (builtin(load), *address, Extent::Number(load), load.space)
        }
        Op::EmitMemory(emit) => {
            ("printf", emit.value, Extent::Printed(emit.precision), Space::User)
        }
        Op::Call(helper, args) => {
            let (space, what) = match helper.name.split_once('_')? {
                ("user", what) => (Space::User, what),
                ("kernel", what) => (Space::Kernel, what),
                _ => return None,
            };
            (helper.name, *args.first()?, extent(what, args, space)?, space)
        }
        _ => return None,
    };
    Some(Asked { what, address, extent, space })
}

/// Where the instruction reads a number, and how.
pub(super) fn load(op: &Op) -> Option<(Value, plan::Load)> {
    let Asked { address, extent, .. } = asked(op)?;
    match extent {
        Extent::Number(load) => Some((address, load)),
        _ => None,
    }
}

fn extent(what: &str, args: &[Value], space: Space) -> Option<Extent> {
    let number = |size, signed| Extent::Number(plan::Load { size, signed, space });
    Some(match what {
        "char" | "int8" => number(1, true),
        "short" | "int16" => number(2, true),
        "int" | "int32" => number(4, true),
        "long" | "int64" => number(8, true),
        "uint8" => number(1, false),
        "uint16" => number(2, false),
        "uint32" => number(4, false),
        "uint64" | "pointer" => number(8, false),
        "string" | "string2" | "string_quoted" => Extent::Text(None),
        "string_n" => Extent::Text(Some(*args.get(1)?)),
        "buffer_quoted" => Extent::Bytes(*args.get(1)?),
        _ => return None,
    })
}

fn planned(load: ir::Load) -> plan::Load {
    let space = match load.space {
        ir::Space::User => Space::User,
        ir::Space::Kernel => Space::Kernel,
    };
    plan::Load { size: load.size as u8, signed: load.signed, space }
}

/// The builtin that reads a number so.
pub(super) fn builtin(load: plan::Load) -> &'static str {
    match (load.space, load.signed, load.size) {
        (Space::User, true, 1) => "user_int8",
        (Space::User, true, 2) => "user_int16",
        (Space::User, true, 4) => "user_int32",
        (Space::User, true, _) => "user_int64",
        (Space::User, false, 1) => "user_uint8",
        (Space::User, false, 2) => "user_uint16",
        (Space::User, false, 4) => "user_uint32",
        (Space::User, false, _) => "user_uint64",
        (Space::Kernel, true, 1) => "kernel_int8",
        (Space::Kernel, true, 2) => "kernel_int16",
        (Space::Kernel, true, 4) => "kernel_int32",
        (Space::Kernel, true, _) => "kernel_int64",
        (Space::Kernel, false, 1) => "kernel_uint8",
        (Space::Kernel, false, 2) => "kernel_uint16",
        (Space::Kernel, false, 4) => "kernel_uint32",
        (Space::Kernel, false, _) => "kernel_uint64",
    }
}

#[cfg(test)]
mod tests {
    use hwtrace_runtime::abi::{AbiType, HELPERS};

    use super::*;

    /// Memory that plans know nothing of would be read late without a word.
    #[test]
    fn every_builtin_that_reads_is_known() {
        let reads = HELPERS.iter().filter(|helper| {
            helper.name.starts_with("user_") || helper.name.starts_with("kernel_")
        });
        for helper in reads {
            let args = helper.params.iter().zip(0..).map(|(_, at)| Value(at)).collect();
            let asked = asked(&Op::Call(helper, args)).expect(helper.name);
            let is_number = matches!(asked.extent, Extent::Number(_));
            let gives_number = helper.returns == Some(AbiType::Long);
            assert_eq!(is_number, gives_number, "{}", helper.name);
        }
    }
}
