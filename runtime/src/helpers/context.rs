//! The hit, its thread and its process.

use super::strings::COMPARED_AT_ONCE;
use super::{Context, enter, settle};
use crate::abi::FaultCode;
use crate::abi::registers::{self, Register};
use crate::abi::syscalls;
use crate::abi::text::Indent;
use crate::schema::{AccessKind, HitRecord};
use crate::strings::StringHandle;
use crate::world::{Credentials, SymbolForm, World};

pub(super) extern "C" fn access(context: Context) -> u64 {
    let (world, record) = enter(context);
    world.access_name(AccessKind::from_number(record.access)).0
}

pub(super) extern "C" fn syscall_name(context: Context) -> u64 {
    let (world, record) = enter(context);
    let name = syscalls::name(record.syscall).as_bytes();
    settle(context, world.strings.temporary(name)).0
}

pub(super) extern "C" fn pp(context: Context) -> u64 {
    enter(context).0.probe.0
}

pub(super) extern "C" fn target(context: Context) -> i64 {
    enter(context).0.target
}

fn credentials(context: Context) -> Credentials {
    let (world, record) = enter(context);
    world.outside.credentials(world.asked_of(record))
}

pub(super) extern "C" fn ppid(context: Context) -> i64 {
    credentials(context).parent.into()
}

pub(super) extern "C" fn uid(context: Context) -> i64 {
    credentials(context).user.into()
}

pub(super) extern "C" fn euid(context: Context) -> i64 {
    credentials(context).effective_user.into()
}

pub(super) extern "C" fn gid(context: Context) -> i64 {
    credentials(context).group.into()
}

pub(super) extern "C" fn egid(context: Context) -> i64 {
    credentials(context).effective_group.into()
}

pub(super) extern "C" fn cmdline_str(context: Context) -> u64 {
    let (world, record) = enter(context);
    let pid = world.asked_of(record);
    settle(context, world.outside.command_line(&mut world.strings, pid)).0
}

pub(super) extern "C" fn env_var(context: Context, name: u64) -> u64 {
    let (world, record) = enter(context);
    let pid = world.asked_of(record);
    let searched = world.outside.environment(pid).len() / COMPARED_AT_ONCE;
    if let Err(code) = world.work(searched) {
        return settle(context, Err::<StringHandle, _>(code)).0;
    }
    let name = world.strings.get(StringHandle(name));
    let value = world.outside.variable(pid, name);
    settle(context, world.strings.temporary(value)).0
}

/// Functions that say something of an address.
macro_rules! symbols {
    ($($name:ident, $form:ident;)*) => {$(
        pub(super) extern "C" fn $name(context: Context, address: i64) -> u64 {
            let (world, record) = enter(context);
            let pid = world.asked_of(record);
            settle(context, world.symbol(SymbolForm::$form, pid, address as u64)).0
        }
    )*};
}

symbols! {
    usymname, Name;
    usymdata, Data;
    umodname, Module;
    usymptr, Pointer;
    usymfileline, FileLine;
    usymfile, File;
    usymline, Line;
    symname, KernelName;
    symdata, KernelData;
    modname, KernelModule;
    symptr, KernelPointer;
    symfileline, KernelFileLine;
    symfile, KernelFile;
    symline, KernelLine;
}

/// Where data of the process lies.
pub(super) extern "C" fn usymaddr(context: Context, expression: u64) -> i64 {
    let (world, record) = enter(context);
    let pid = world.asked_of(record);
    // Outside of hits the first thread is meant.
    let tid = if record.data_length == 0 { pid } else { record.tid };
    let found = world.address_of((pid, tid), StringHandle(expression));
    settle(context, found) as i64
}

/// The function that made the access.
pub(super) extern "C" fn probefunc(context: Context) -> u64 {
    let (world, record) = enter(context);
    if record.data_length == 0 {
        return StringHandle::EMPTY.0;
    }
    settle(context, world.symbol(SymbolForm::Name, record.pid, record.address)).0
}

/// A register by its number in the file.
pub(super) extern "C" fn register_value(context: Context, number: i64) -> i64 {
    let registers = &enter(context).0.registers;
    let value = usize::try_from(number).ok().and_then(|number| registers.get(number));
    value.copied().unwrap_or_default() as i64
}

/// A register by a name that was not known when the script was compiled.
fn named_register(context: Context, name: u64) -> Option<(&'static Register, i64)> {
    let (world, _) = enter(context);
    let name = world.strings.get(StringHandle(name));
    if let Some(register) = registers::register(name) {
        return Some((register, register_value(context, register.number.into())));
    }
    let text = [b"Unknown register: ", name].concat();
    let failed = world.fail(FaultCode::UserError, &text);
    settle(context, failed)
}

pub(super) extern "C" fn register(context: Context, name: u64) -> i64 {
    let found = named_register(context, name);
    found.map_or(0, |(register, value)| register.signed(value))
}

pub(super) extern "C" fn u_register(context: Context, name: u64) -> i64 {
    let found = named_register(context, name);
    found.map_or(0, |(register, value)| register.unsigned(value))
}

pub(super) extern "C" fn print_regs(context: Context) {
    let (world, _) = enter(context);
    let values = world.registers;
    registers::print(&mut world.out, |number| values[number as usize]);
    settle(context, world.output_fits());
}

/// The record's time as time of day: the hit's, not the printing's.
fn time_of_day(world: &World, record: &HitRecord, unit_ns: i64) -> i64 {
    (record.time as i64).wrapping_add(world.time_of_day_offset_ns) / unit_ns
}

pub(super) extern "C" fn gettimeofday_ns(context: Context) -> i64 {
    let (world, record) = enter(context);
    time_of_day(world, record, 1)
}

pub(super) extern "C" fn gettimeofday_us(context: Context) -> i64 {
    let (world, record) = enter(context);
    time_of_day(world, record, 1_000)
}

pub(super) extern "C" fn gettimeofday_ms(context: Context) -> i64 {
    let (world, record) = enter(context);
    time_of_day(world, record, 1_000_000)
}

pub(super) extern "C" fn gettimeofday_s(context: Context) -> i64 {
    let (world, record) = enter(context);
    time_of_day(world, record, 1_000_000_000)
}

/// The depth of this thread.
fn of_thread<'w>(world: &'w mut World, record: &HitRecord) -> &'w mut Indent {
    world.thread_indents.entry(record.tid).or_default()
}

pub(super) extern "C" fn thread_indent(context: Context, delta: i64) -> u64 {
    let (world, record) = enter(context);
    let now = time_of_day(world, record, 1_000);
    let name = world.strings.get(StringHandle(record.execname)).to_vec();
    let mut text = Vec::new();
    let indent = of_thread(world, record);
    indent.thread_indent(&mut text, now, &name, record.tid.into(), delta);
    settle(context, world.strings.temporary(&text)).0
}

pub(super) extern "C" fn thread_indent_depth(context: Context, delta: i64) -> i64 {
    let (world, record) = enter(context);
    of_thread(world, record).depth(delta)
}

pub(super) extern "C" fn indent(context: Context, delta: i64) -> u64 {
    let (world, record) = enter(context);
    let now = time_of_day(world, record, 1_000);
    let mut text = Vec::new();
    world.indent.indent(&mut text, now, delta);
    settle(context, world.strings.temporary(&text)).0
}

pub(super) extern "C" fn indent_depth(context: Context, delta: i64) -> i64 {
    enter(context).0.indent.depth(delta)
}
