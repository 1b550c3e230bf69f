//! What is said where watches are more than debug registers, and can not take turns.

use hwtrace_lang::code::Code;
use hwtrace_lang::diagnostic::Diagnostic;
use hwtrace_runtime::slots::{CAPACITY, Lack, Shortage};

use crate::report::counted;
use crate::session::{Data, Failure, Request};
use crate::sharing::Sharing;

/// So many of what takes registers are listed.
const LISTED: usize = 8;

/// There are not enough registers. `takes`: how many each request takes by itself.
pub(crate) fn too_many(
    error: &Shortage,
    takes: &[usize],
    requests: &[Request],
    sharing: &Sharing,
) -> Failure {
    let request = requests.get(error.claim);
    let span = request.and_then(|request| request.span);
    let message = message(error, takes, request, sharing.registers);
    let mut diagnostic = Diagnostic::new(Code::TooManyWatches, span, message);
    if let Some(list) = list(error, takes, requests) {
        diagnostic = diagnostic.note(list);
    }
    if requests.iter().any(|request| matches!(request.data, Data::Objects(_))) {
        diagnostic = diagnostic.note("one at least is kept for objects of `watch()`");
    }
    diagnostic = diagnostic.note(how_they_share(error));
    if sharing.registers.is_some_and(|allowed| allowed < CAPACITY) {
        diagnostic = diagnostic.help(format!(
            "`--registers` allows fewer than the {CAPACITY} that there are: allow more"
        ));
    }
    match error.why {
        Lack::NoTurns if !sharing.rotate => {
            diagnostic = diagnostic.help("leave `--no-rotate` out: then they take turns");
        }
        Lack::NoTurns => {
            diagnostic = diagnostic
                .help("with `--engine bpf` or `--engine perf` they take turns on them");
        }
        Lack::Pinned | Lack::Turns => {}
    }
    let pinned = |request: &Request| request.data.is_pinned();
    if error.why != Lack::NoTurns && requests.iter().any(pinned) {
        diagnostic = diagnostic.help("leave `.pinned` out where others may have a turn");
    }
    diagnostic
        .help(
            "watch fewer at a time, or a part of what is long: a member, or \
             `.length(8)` (`--length 8` with `hwtrace watch`)",
        )
        .into()
}

fn message(
    error: &Shortage,
    takes: &[usize],
    request: Option<&Request>,
    allowed: Option<usize>,
) -> String {
    let &Shortage { needed, capacity, .. } = error;
    let there = match allowed {
        Some(_) => format!("`--registers` allows {capacity}"),
        None => format!("a thread has {capacity}"),
    };
    let registers = if capacity == 1 { "debug register" } else { "debug registers" };
    let alone = takes.get(error.claim).copied().unwrap_or(0);
    match (error.why, request) {
        (Lack::NoTurns | Lack::Pinned, Some(request)) if alone > capacity => {
            let data = &request.data;
            format!("`{data}` takes {alone} debug registers, but {there}")
        }
        (Lack::Turns, Some(request)) => {
            let data = &request.data;
            format!("no debug register is left for `{data}`: {there}")
        }
        (Lack::Pinned, _) => {
            format!(
                "{needed} different watches that do not take turns, but {there} {registers}"
            )
        }
        _ => format!("{needed} different watches, but {there} {registers}"),
    }
}

/// Who takes how many, where that is more than one.
fn list(error: &Shortage, takes: &[usize], requests: &[Request]) -> Option<String> {
    // Where turns are taken, those take them from all others who take none.
    let stays = |request: &Request| {
        error.why == Lack::NoTurns || request.data.is_pinned() || request.data.follows()
    };
    let all = requests.iter().zip(takes);
    let all: Vec<_> =
        all.filter(|(request, takes)| **takes > 0 && stays(request)).collect();
    if all.iter().all(|(_, takes)| **takes == 1) && error.why == Lack::NoTurns {
        return None;
    }
    let one =
        |(request, takes): &(&Request, &usize)| format!("`{}` {takes}", request.data);
    let mut listed: Vec<_> = all.iter().take(LISTED).map(one).collect();
    if let Some(more) = all.len().checked_sub(LISTED + 1) {
        listed.push(format!("{} more", more + 1));
    }
    let whose = if error.why == Lack::NoTurns { "" } else { ", and keep them" };
    (!listed.is_empty())
        .then(|| format!("registers that they take{whose}: {}", listed.join(", ")))
}

/// How they share, and whether more was done than usual.
fn how_they_share(error: &Shortage) -> String {
    let mut text = "data in the same 8 aligned bytes shares a register where it is watched \
                    for the same accesses; what is longer takes one for each 8 bytes, and \
                    `.follow` one for each pointer"
        .to_owned();
    if error.merged > 0 {
        let merged = counted(error.merged as u64, "register");
        text += &format!("; {merged} fewer are needed that way than watches differ");
    }
    text
}
