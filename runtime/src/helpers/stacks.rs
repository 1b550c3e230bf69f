//! Stacks: of the hit, and kept by number.

use super::{Context, enter, give, settle};
use crate::abi::frames::{Form, addresses_in, addresses_text};
use crate::plan::Space::{self, Kernel, User};
use crate::schema::HitRecord;
use crate::strings::StringHandle;
use crate::world::SymbolForm;

/// Functions that give the number of the stack at the hit.
macro_rules! numbers {
    ($($all:ident, $some:ident, $space:ident;)*) => {$(
        pub(super) extern "C" fn $all(context: Context) -> i64 {
            $some(context, -1)
        }

        pub(super) extern "C" fn $some(context: Context, levels: i64) -> i64 {
            let (world, record) = enter(context);
            let length = world.stacks.at_hit($space, record).addresses.len();
            let kept = match world.work(length) {
                Ok(()) => world.stacks.keep($space, record, levels),
                Err(code) => Err(code),
            };
            settle(context, kept) as i64
        }
    )*};
}

numbers! {
    ubacktrace, ucallers, User;
    backtrace, callers, Kernel;
}

/// The address at a level of the stack at the hit; 0 where there is none.
fn address(context: Context, space: Space, level: i64) -> i64 {
    let (world, record) = enter(context);
    let stack = world.stacks.at_hit(space, record);
    let address =
        usize::try_from(level).ok().and_then(|level| stack.addresses.get(level));
    address.map_or(0, |address| *address as i64)
}

pub(super) extern "C" fn ustack(context: Context, level: i64) -> i64 {
    address(context, User, level)
}

pub(super) extern "C" fn stack(context: Context, level: i64) -> i64 {
    address(context, Kernel, level)
}

/// Whose instruction made the access.
fn accessor(record: &HitRecord) -> Space {
    if record.user_mode == 0 { Kernel } else { User }
}

pub(super) extern "C" fn caller_addr(context: Context) -> i64 {
    address(context, accessor(enter(context).1), 1)
}

pub(super) extern "C" fn caller(context: Context) -> u64 {
    let (world, record) = enter(context);
    let mut text = Vec::new();
    world.stacks.write_caller(&mut text, accessor(record), record);
    give(context, &text)
}

/// The file, or the kernel's module, that has the instruction.
pub(super) extern "C" fn probemod(context: Context) -> u64 {
    let (world, record) = enter(context);
    if record.data_length == 0 {
        return StringHandle::EMPTY.0;
    }
    let form = match accessor(record) {
        User => SymbolForm::Module,
        Kernel => SymbolForm::KernelModule,
    };
    settle(context, world.symbol(form, record.pid, record.address)).0
}

/// Functions that print the stack at the hit.
macro_rules! printers {
    ($($name:ident, $space:ident, $form:ident;)*) => {$(
        pub(super) extern "C" fn $name(context: Context) {
            let (world, record) = enter(context);
            world.stacks.write_at_hit(&mut world.out, Form::$form, $space, record);
            settle(context, world.output_fits());
        }
    )*};
}

printers! {
    print_ubacktrace, User, Full;
    print_ubacktrace_brief, User, Brief;
    print_ubacktrace_fileline, User, Source;
}

/// The kernel's stack; where the process itself made the access, that instruction.
fn print_access(context: Context, form: Form) {
    let (world, record) = enter(context);
    if record.user_mode != 0 && record.address != 0 {
        let (pid, address) = (record.pid, record.address);
        world.stacks.write_place(&mut world.out, form, pid, address);
    } else {
        world.stacks.write_at_hit(&mut world.out, form, Kernel, record);
    }
    settle(context, world.output_fits());
}

pub(super) extern "C" fn print_backtrace(context: Context) {
    print_access(context, Form::Full);
}

pub(super) extern "C" fn print_backtrace_fileline(context: Context) {
    print_access(context, Form::Source);
}

/// The stack at the hit as text.
fn shown(context: Context, space: Space) -> u64 {
    let (world, record) = enter(context);
    let mut text = Vec::new();
    world.stacks.write_at_hit(&mut text, Form::Simple, space, record);
    give(context, &text)
}

pub(super) extern "C" fn sprint_ubacktrace(context: Context) -> u64 {
    shown(context, User)
}

pub(super) extern "C" fn sprint_backtrace(context: Context) -> u64 {
    shown(context, Kernel)
}

pub(super) extern "C" fn print_syms(context: Context, number: i64) {
    let (world, _) = enter(context);
    world.stacks.write_kept(&mut world.out, Form::Full, number as u64);
    settle(context, world.output_fits());
}

pub(super) extern "C" fn sprint_syms(context: Context, number: i64) -> u64 {
    let (world, _) = enter(context);
    let mut text = Vec::new();
    world.stacks.write_kept(&mut text, Form::Simple, number as u64);
    give(context, &text)
}

/// Prints a stack for people, a function a line, the last without its end. Where
/// `alone`, on lines of its own, to stand between brackets.
pub(super) extern "C" fn emit_stack(context: Context, number: i64, alone: i64) {
    let (world, _) = enter(context);
    if alone != 0 {
        world.out.push(b'\n');
    }
    let start = world.out.len();
    world.stacks.write_kept(&mut world.out, Form::People, number as u64);
    if alone == 0 && world.out.len() > start {
        world.out.pop();
    }
    settle(context, world.output_fits());
}

/// A stack as a string: its addresses.
pub(super) extern "C" fn stack_text(context: Context, number: i64) -> u64 {
    let (world, _) = enter(context);
    let text = addresses_text(world.stacks.kept(number as u64).addresses);
    give(context, text.as_bytes())
}

/// The stack that has the addresses in a string; of the kernel where not 0.
pub(super) extern "C" fn stack_of(context: Context, text: u64, kernel: i64) -> i64 {
    let (world, record) = enter(context);
    let addresses = addresses_in(world.strings.get(StringHandle(text)));
    let pid = (kernel == 0).then(|| world.asked_of(record));
    settle(context, world.stacks.keep_addresses(pid, &addresses)) as i64
}
