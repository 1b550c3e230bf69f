//! What a session shows at its end: tables, and the line on what happened.

mod columns;
mod overview;
mod table;

use std::time::Duration;

use hwtrace_probes::AbsAddr;
use hwtrace_probes::resolve::Location;
use hwtrace_probes::symbols::kallsyms::addresses_are_shown;
use hwtrace_probes::types::{Types, type_name, unwrapped};
use hwtrace_runtime::engine::{Armed, Shortfall};
use nix::sys::signal::Signal;

use crate::session::Summary;
use crate::target::Fate;
pub use overview::{Entry, UNTOUCHED_MAX, legend, overview};
pub use table::{Row, Table};

/// Number of SIGTRAP, the same on all architectures (signal(7)).
const SIGTRAP: i32 = 5;

/// `counter: unsigned long, 8 bytes at 0x404028`
pub fn title(location: &Location, types: &dyn Types) -> String {
    title_of(&location.name, &length(location), location, types)
}

/// `table[0..64].refs: int, 64 elements of 4 bytes, the first at 0x404040`
pub fn title_of_range(
    range: &str,
    elements: &[&Location],
    types: &dyn Types,
) -> Option<String> {
    let first = elements.first()?;
    let count = counted(elements.len() as u64, "element");
    let lengths = format!("{count} of {}, the first", length(first));
    Some(title_of(range, &lengths, first, types))
}

fn title_of(name: &str, lengths: &str, location: &Location, types: &dyn Types) -> String {
    let ty = shown_type(location, types).map_or(String::new(), |ty| ty + ", ");
    let place = match shown_address(location) {
        Ok(address) => format!("at {address}"),
        Err(place) => place.to_owned(),
    };
    format!("{name}: {ty}{lengths} {place}")
}

fn length(location: &Location) -> String {
    match location.bits {
        Some(bits) => counted(bits.width.into(), "bit"),
        None => counted(location.size, "byte"),
    }
}

/// The name of the type of data: of what is wrapped that of what is inside, as its
/// values are shown.
pub(crate) fn shown_type(location: &Location, types: &dyn Types) -> Option<String> {
    let ty = location.ty?;
    let inner = unwrapped(types, ty);
    let wrapped = inner != types.plain(ty).0;
    Some(type_name(types, if wrapped { inner } else { ty }))
}

/// Where data is, if it has one address that may be shown; else where it is instead.
pub(crate) fn shown_address(location: &Location) -> Result<AbsAddr, &'static str> {
    match location.address {
        _ if location.thread_local.is_some() => Err("of each thread"),
        AbsAddr(0) => Err("not there yet"),
        address if address.is_kernel() && !addresses_are_shown() => Err("of the kernel"),
        address => Ok(address),
    }
}

/// `1 hit`, `80,000 hits`
pub fn counted(count: u64, noun: &str) -> String {
    let plural = match noun {
        _ if count == 1 => "",
        noun if noun.ends_with('s') || noun.ends_with("ch") => "es",
        _ => "s",
    };
    format!("{} {noun}{plural}", grouped(count))
}

/// `80,000`
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What was armed, before the target goes on.
pub fn armed_line(armed: &Armed) -> String {
    let threads = match armed.left_out.threads {
        0 => counted(armed.threads.into(), "thread"),
        left_out => format!("{}/{} threads", armed.threads, armed.threads + left_out),
    };
    format!("armed {threads}, {}", slots(armed))
}

/// Which threads lack registers, and how many each has.
pub(crate) fn shortfall(short: &Shortfall) -> String {
    let needed = counted(short.needed.into(), "debug register");
    format!("{needed} needed, {}", free_on(short))
}

/// How many they have, each of the first.
pub(crate) fn free_on(short: &Shortfall) -> String {
    let listed: Vec<_> = short
        .listed
        .iter()
        .map(|(tid, free)| format!("{free} free on thread {tid}"))
        .collect();
    let more = short.threads as usize - short.listed.len().min(short.threads as usize);
    let more = match more {
        0 => String::new(),
        more => format!(", fewer on {more} more"),
    };
    listed.join(", ") + &more
}

/// Registers in use of those there are; an engine without bound has as many as it needs.
fn slots(armed: &Armed) -> String {
    let Armed { watches, slots, capacity, .. } = *armed;
    match capacity {
        _ if watches > 0 => {
            let watches = counted(watches.into(), "watch");
            format!("{watches} by turns on {slots} of {capacity} slots")
        }
        u32::MAX => format!("slots {slots}"),
        capacity => format!("slots {slots}/{capacity}"),
    }
}

/// How slow a target was that went by single steps, by what was measured in this session.
pub(crate) fn steps_remark(steps: u64, elapsed: Duration) -> String {
    let each = elapsed.as_secs_f64() * 1e6 / steps.max(1) as f64;
    let steps = counted(steps, "instruction");
    format!("{steps} executed one by one, {each:.1} microseconds each")
}

/// The line at the end of every session.
pub fn summary_line(summary: &Summary) -> String {
    let elapsed = summary.elapsed.as_secs_f64();
    let Some(engine) = summary.engine else {
        return format!("0 hits, nothing was watched, {elapsed:.2} s");
    };
    let armed = &summary.armed;
    format!(
        "{}, {} lost, engine {engine}, {elapsed:.2} s, armed {}/{} {}, {}",
        counted(summary.hits, "hit"),
        grouped(summary.lost),
        summary.threads.saturating_sub(summary.left_out + summary.unarmed),
        summary.threads,
        if summary.threads == 1 { "thread" } else { "threads" },
        slots(armed),
    )
}

/// What else should be known of the session: each thing that went missing,
/// with what to do about it.
pub fn remarks(summary: &Summary) -> Vec<String> {
    let mut remarks = summary.remarks.clone();
    let mut remark = |count: u64, noun: &str, text: &str| {
        if count > 0 {
            remarks.push(format!("{} {text}", counted(count, noun)));
        }
    };
    remark(
        summary.lost,
        "hit",
        "lost: the rings were full; enlarge them with --ring-size, or print less",
    );
    remark(
        summary.lost_sideband,
        "event",
        "of threads (names, births, ends) lost with them: some hits may bear the name of \
         another thread",
    );
    remark(summary.late, "record", "handed on out of the order of time");
    remark(
        summary.unseen_stores,
        "time",
        "the value had changed although no store was seen: by the kernel (run as root to \
         see its stores), by another process, or through another mapping",
    );
    remark(
        summary.executed,
        "process",
        "executed another program, not watched from then on",
    );
    remark(
        summary.dropped,
        "process",
        "executed a program with another user's rights, at which the kernel ended all \
         that was known of it",
    );
    remark(
        summary.unarmed,
        "thread",
        "born without a free debug register, not watched: others hold them",
    );
    if matches!(summary.fate, Fate::Ended | Fate::Killed { .. }) {
        let text = "started by the target outlived it, no longer watched: to go on, attach \
                    to it with `-p PID`";
        remark(summary.processes_left, "process", text);
    }
    remark(
        summary.values_unread,
        "value",
        "not known: they do not follow from instruction and registers, and the process had \
         ended when its memory was to be read; the value before stands for them",
    );
    remark(
        summary.folded,
        "hit",
        "more, of string instructions that accessed the data several times, which \
         access_count() has, or of accesses to several registers: told as one each",
    );
    remark(
        summary.strays,
        "hit",
        "of threads that were born while registers were passed on or moved, left out: what \
         they touched was no longer watched there",
    );
    remark(unaccounted(summary), "hit", "counted after the session had ended");
    remarks.extend(end(summary.fate));
    remarks
}

/// Hits that the kernel counted in a session that ran to its end, and that are nowhere else.
fn unaccounted(summary: &Summary) -> u64 {
    let Summary { hits, pointers, folded, lost, strays, .. } = summary;
    let accounted = hits + pointers + folded + lost + strays;
    match summary.stopped || summary.failed {
        true => 0,
        false => summary.counted.saturating_sub(accounted),
    }
}

/// What there is to say of the target's end.
fn end(fate: Fate) -> Option<String> {
    Some(match fate {
        Fate::GoesOn { pid } => {
            format!("process {pid} goes on, and is no longer watched")
        }
        Fate::Stopped { pid } => format!(
            "process {pid} is stopped: `gdb -p {pid}` shows where, `kill -CONT {pid}` lets it \
             go on; hwtrace waits for that, since the system ends a stopped process whose \
             parent is gone (Ctrl-C ends both)"
        ),
        Fate::Killed { pid, signal: SIGTRAP } => format!(
            "process {pid} was killed by SIGTRAP: it trapped itself, or this virtual machine \
             lost a debug trap on its way to the kernel (a fault of KVM before Linux 6.14 on \
             the host, about once in a million hits)"
        ),
        Fate::Killed { pid, signal } => {
            let name = Signal::try_from(signal).map_or("unknown", Signal::as_str);
            format!("process {pid} was killed by signal {signal} ({name})")
        }
        Fate::NeverRan => {
            "the command was not run: the script ended the session before".to_owned()
        }
        Fate::NotOurs | Fate::Ended => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let grouped: Vec<_> = [0, 999, 1000, 1234567].into_iter().map(grouped).collect();
        assert_eq!(grouped, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn watches_that_take_turns_are_told_with_their_registers() {
        let armed = Armed { slots: 3, capacity: 4, ..Armed::default() };
        assert_eq!(slots(&armed), "slots 3/4");
        assert_eq!(slots(&Armed { capacity: u32::MAX, ..armed.clone() }), "slots 3");
        let turns = Armed { watches: 64, ..armed };
        assert_eq!(slots(&turns), "64 watches by turns on 3 of 4 slots");
    }
}
