//! From frame to frame.

use std::sync::Arc;

use super::registers::{Memory, Registers};
use super::rule::Rule;

/// Stacks are walked so far; recursion may be deeper.
pub const FRAMES_MAX: usize = 512;

/// A thread whose stack is to be walked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Thread<'a> {
    /// The instruction that is asked about: the thread has done it, and nothing
    /// since; or is at it.
    pub instruction: u64,
    /// The thread's registers.
    pub registers: Registers,
    /// Its memory from the stack pointer on, as much of it as was captured.
    pub bytes: &'a [u8],
    /// Where the thread is, and then the addresses to which calls return by the chain of
    /// frame pointers; empty where that was not captured.
    pub callers: &'a [u64],
}

/// The code of a process.
pub(crate) trait Code {
    /// How the frame of the function at an address is left; none where there is no
    /// code. `exact` where the address is the next instruction's, and no call is before it.
    fn leave(&mut self, address: u64, exact: bool) -> Option<Arc<Rule>>;

    /// A signal came before the instruction at an address.
    fn interrupted(&mut self, address: u64);
}

/// Appends the addresses to which the calls of a thread return, the innermost first. True
/// where it came to the stack's end.
pub(crate) fn walk(
    code: &mut impl Code,
    thread: &Thread<'_>,
    out: &mut Vec<u64>,
) -> bool {
    let mut own = thread.registers;
    let start = own.get(Registers::RSP).unwrap_or(u64::MAX);
    let memory = Memory { start, bytes: thread.bytes };
    let Some(mut rule) = own.get(Registers::RIP).and_then(|at| code.leave(at, true))
    else {
        return false;
    };
    for _ in 1..FRAMES_MAX {
        if rule.is_outermost() {
            return true;
        }
        let Some(caller) = rule.caller(&own, &memory) else {
            if rule.keeps_frame_pointer() {
                return own.get(Registers::RBP) == Some(0)
                    || chain(code, thread, &memory, &own, out);
            }
            break;
        };
        // A handler of signals may have a stack of its own, anywhere.
        let exact = rule.interrupted;
        if !exact && caller.get(Registers::RSP) <= own.get(Registers::RSP) {
            return false;
        }
        let address = caller.get(Registers::RIP).unwrap_or(0);
        if address == 0 {
            return true;
        }
        let Some(next) = code.leave(address - u64::from(!exact), exact) else {
            return false;
        };
        if exact {
            code.interrupted(address);
        }
        out.push(address);
        (rule, own) = (next, caller);
    }
    // Nothing could be walked.
    match (thread.bytes, thread.callers) {
        ([], [_, callers @ ..]) => rest(code, callers, out),
        _ => false,
    }
}

/// Goes on by the chain of frame pointers that was captured, from the frame that `own`
/// is of: the memory that was captured ends before it.
fn chain(
    code: &mut impl Code,
    thread: &Thread<'_>,
    memory: &Memory<'_>,
    own: &Registers,
    out: &mut Vec<u64>,
) -> bool {
    let frame = own.get(Registers::RBP);
    let mut link = thread.registers.get(Registers::RBP);
    for left in 1..thread.callers.len() {
        if link == frame {
            return rest(code, &thread.callers[left..], out);
        }
        link = link.and_then(|link| memory.word(link));
    }
    false
}

/// Appends what is left of a chain of frame pointers. It ends where a function ends it,
/// or where one does not keep them.
fn rest(code: &mut impl Code, callers: &[u64], out: &mut Vec<u64>) -> bool {
    let room = FRAMES_MAX.saturating_sub(out.len());
    let mut ended = false;
    for caller in callers.iter().take(room) {
        out.push(*caller);
        // That finds its file, too, before the process is gone.
        let rule = code.leave(caller.wrapping_sub(1), false);
        ended = rule.is_some_and(|rule| rule.is_outermost());
    }
    ended
}
