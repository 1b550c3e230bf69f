//! Printing, to the output or into a string.

use super::memory::read;
use super::{Context, enter, settle};
use crate::abi::format::{self, Directive};
use crate::abi::{FaultCode, write_double};
use crate::strings::StringHandle;

pub(super) extern "C" fn emit_text(context: Context, text: u64) {
    let (world, _) = enter(context);
    world.out.extend_from_slice(world.strings.get(StringHandle(text)));
    settle(context, world.output_fits());
}

pub(super) extern "C" fn emit_long(
    context: Context,
    directive: i64,
    width: i64,
    precision: i64,
    value: i64,
) {
    let (world, _) = enter(context);
    format::long(&mut world.out, Directive::unpack(directive), width, precision, value);
    settle(context, world.output_fits());
}

pub(super) extern "C" fn emit_double(
    context: Context,
    directive: i64,
    width: i64,
    precision: i64,
    value: f64,
) {
    let (world, _) = enter(context);
    write_double(&mut world.out, Directive::unpack(directive), width, precision, value);
    settle(context, world.output_fits());
}

/// `%m` and `%M`: bytes of the target's memory.
pub(super) extern "C" fn emit_memory(
    context: Context,
    directive: i64,
    width: i64,
    precision: i64,
    address: i64,
) {
    let (world, record) = enter(context);
    let Some(length) = format::memory_length(precision) else {
        let text = format!("{precision} is too many bytes for a memory dump");
        let failed = world.fail(FaultCode::UserError, text.as_bytes());
        return settle(context, failed);
    };
    let mut bytes = vec![0; length];
    let pid = world.asked_of(record);
    let done = read(world, Some(pid), address, &mut bytes).map(|()| {
        format::memory(&mut world.out, Directive::unpack(directive), width, &bytes);
    });
    settle(context, done.and_then(|()| world.output_fits()));
}

pub(super) extern "C" fn emit_string(
    context: Context,
    directive: i64,
    width: i64,
    precision: i64,
    text: u64,
) {
    let (world, _) = enter(context);
    let text = world.strings.get(StringHandle(text));
    format::string(&mut world.out, Directive::unpack(directive), width, precision, text);
    settle(context, world.output_fits());
}

pub(super) extern "C" fn capture_begin(context: Context) {
    let (world, _) = enter(context);
    world.capture = Some(world.out.len());
}

/// What was printed since `capture_begin`, as a string instead.
pub(super) extern "C" fn capture_end(context: Context) -> u64 {
    let (world, _) = enter(context);
    let start = world.capture.take().unwrap_or(world.out.len());
    let text = world.strings.temporary(world.out.get(start..).unwrap_or_default());
    world.out.truncate(start);
    settle(context, text).0
}

/// `log(text)`: a line of output.
pub(super) extern "C" fn log(context: Context, text: u64) {
    let (world, _) = enter(context);
    world.out.extend_from_slice(world.strings.get(StringHandle(text)));
    world.out.push(b'\n');
    settle(context, world.output_fits());
}

/// `warn(text)`: a line of standard error.
pub(super) extern "C" fn warn(context: Context, text: u64) {
    let (world, _) = enter(context);
    world.messages.extend_from_slice(b"WARNING: ");
    world.messages.extend_from_slice(world.strings.get(StringHandle(text)));
    world.messages.push(b'\n');
    settle(context, world.output_fits());
}
