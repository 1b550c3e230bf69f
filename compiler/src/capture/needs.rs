//! What the records of a handler must hold.

use hwtrace_runtime::plan::Needs;

use super::symbol::is_picture;
use crate::ir::effects::{codes_of, stacks_asked};
use crate::ir::{Code, Module, Op};

/// What the instructions of a handler, and of the functions that it calls, need.
pub(super) fn needs(module: &Module, handler: &Code) -> Needs {
    let codes = codes_of(module, handler);
    let blocks = codes.iter().flat_map(|code| &code.blocks);
    let instructions = blocks.flat_map(|block| &block.instructions);
    instructions.map(|instruction| of(&instruction.op)).fold(Needs::default(), Needs::and)
}

fn of(op: &Op) -> Needs {
    let (access, cpu, registers) = match op {
        Op::Field(field) => match field.name {
            "address" | "old" | "new" | "exact" => (true, false, false),
            "cpu" => (false, true, false),
            _ => return Needs::default(),
        },
        Op::Call(helper, _) => match helper.name {
            "access" | "probefunc" | "probemod" | "syscall_name" => (true, false, false),
            "register" | "u_register" | "register_value" | "print_regs" => {
                (false, false, true)
            }
            name => return of_stacks(name),
        },
        // Pictures are put together from values.
        Op::Long(value) => (is_picture(*value), false, false),
        _ => return Needs::default(),
    };
    Needs { access, cpu, registers, ..Needs::NONE }
}

/// A stack begins with the instruction that made the access.
fn of_stacks(helper: &str) -> Needs {
    match stacks_asked(helper) {
        Some(asked) => Needs {
            access: true,
            user_stack: asked.user,
            kernel_stack: asked.kernel,
            ..Needs::NONE
        },
        None => Needs::NONE,
    }
}
