//! The session, its faults, and numbers.

use super::{Context, enter, leave, note, settle};
use crate::abi::{FaultCode, SIGSTOP, signal_number, text};
use crate::strings::StringHandle;

/// Commands that one run of a handler may give: they run when it is done.
const COMMANDS_MAX: usize = 1000;

pub(super) extern "C" fn exit(context: Context) {
    enter(context).0.exit = true;
}

/// As `exit()`, and ends the handler at once.
pub(super) extern "C" fn abort(context: Context) {
    enter(context).0.exit = true;
    leave(context);
}

pub(super) extern "C" fn error(context: Context, text: u64) {
    let (world, _) = enter(context);
    let text = world.strings.get(StringHandle(text)).to_vec();
    let failed = world.fail(FaultCode::UserError, &text);
    settle(context, failed)
}

pub(super) extern "C" fn assert(context: Context, holds: i64, text: u64) {
    if holds != 0 {
        return;
    }
    let (world, _) = enter(context);
    let text = match world.strings.get(StringHandle(text)) {
        b"" => b"assertion failed".to_vec(),
        text => text.to_vec(),
    };
    let failed = world.fail(FaultCode::UserError, &text);
    settle(context, failed)
}

/// A command for the session to run when the handler is done.
pub(super) extern "C" fn system(context: Context, command: u64) {
    let (world, _) = enter(context);
    world.commands.push(world.strings.get(StringHandle(command)).to_vec());
    let room = world.commands.len() <= COMMANDS_MAX;
    settle(context, if room { Ok(()) } else { Err(FaultCode::OutputFull) });
}

pub(super) extern "C" fn stop(context: Context) {
    signal(context, SIGSTOP);
}

/// Sent at once, where it was not at the hit itself: each moment later the process has
/// gone on further.
pub(super) extern "C" fn signal(context: Context, number: i64) {
    let (world, record) = enter(context);
    let pid = world.asked_of(record);
    let sent = match signal_number(number) {
        Ok(signal) if world.acted.take(signal) => Ok(()),
        Ok(signal) => {
            let sent = world.outside.signals.send(pid, record.time, signal);
            if sent.is_ok() && number == SIGSTOP {
                world.acted.stopped(pid, record.time);
            }
            sent
        }
        Err(why) => Err(why),
    };
    let done = sent.or_else(|why| world.fail(FaultCode::UserError, why.as_bytes()));
    settle(context, done);
}

/// What a `try` must put back when it catches a fault.
pub(super) extern "C" fn mark(context: Context) -> i64 {
    enter(context).0.walks_open as i64
}

/// Catches the fault that was noted: closes what was opened since `mark`, and
/// gives the fault's message.
pub(super) extern "C" fn caught(context: Context, mark: i64) -> u64 {
    let (world, _) = enter(context);
    let code = note(context, 0);
    world.walks_open = world.walks_open.min(mark as usize);
    world.end_run_early();
    let text = match FaultCode::from_number(code) {
        Some(code) => world.caught_text(code).to_vec(),
        None => Vec::new(),
    };
    world.strings.temporary(&text).unwrap_or_default().0
}

pub(super) extern "C" fn randint(context: Context, n: i64) -> i64 {
    enter(context).0.random.below(n)
}

pub(super) extern "C" fn ctime(context: Context, seconds: i64) -> u64 {
    let (world, _) = enter(context);
    let text = match text::ctime(seconds) {
        Ok(text) => world.strings.temporary(text.as_bytes()),
        Err(why) => world.fail(FaultCode::UserError, why.to_string().as_bytes()),
    };
    settle(context, text).0
}

/// `%` of two doubles, as C's fmod.
pub(super) extern "C" fn double_remainder(_: Context, left: f64, right: f64) -> f64 {
    left % right
}
