//! What is said where there are too few debug registers: since watches are more, and can
//! not take turns, or since others hold some.

use hwtrace_lang::code::Code;
use hwtrace_lang::diagnostic::Diagnostic;
use hwtrace_probes::process::{Aim, Holder, HolderKind, Holders};
use hwtrace_runtime::bpf::board::WATCHES;
use hwtrace_runtime::engine::{Shortfall, Turn};
use hwtrace_runtime::slots::{CAPACITY, Lack, Shortage};

use crate::report::{counted, free_on, grouped, shortfall};
use crate::session::{Data, Failure, Request};
use crate::sharing::{Means, Sharing};

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
        diagnostic = diagnostic.help(PINNED);
    }
    diagnostic
        .help(
            "watch fewer at a time, or a part of what is long: a member, or \
             `.length(8)` (`--length 8` with `hwtrace watch`)",
        )
        .into()
}

/// Refuses more watches by turns than programs at hits know apart, before anything is armed.
pub(crate) fn refuse_turns(turns: &[Turn]) -> Result<(), Failure> {
    if turns.iter().skip(WATCHES).all(|turn| *turn == Turn::Stays) {
        return Ok(());
    }
    let (all, most) = (grouped(turns.len() as u64), grouped(WATCHES as u64));
    let message = format!(
        "{all} different watches, of which the engine `bpf` has {most} take turns at most"
    );
    Err(Diagnostic::new(Code::TooManyWatches, None, message)
        .help("`--engine perf` has any number take turns")
        .help("or watch fewer at a time: shorter ranges, or fewer of them")
        .into())
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

/// What lacks registers, and what else could be done about it.
#[derive(Clone, Copy)]
pub(super) struct Lacking<'a> {
    /// A thread that has the fewest; 0 for CPUs.
    pub(super) tid: u32,
    /// Which threads; nobody where CPUs lack them.
    pub(super) short: &'a Shortfall,
    /// So many are free on the thread that has the fewest.
    pub(super) free: usize,
    /// So many all watches take at a time.
    pub(super) all: usize,
    /// So many they take at least where they take turns.
    pub(super) by_turns: usize,
    /// Whether any is kept in a register by `.pinned`.
    pub(super) pinned: bool,
    /// Whether a tracer could watch all of it.
    pub(super) traceable: bool,
    pub(super) means: Means,
}

impl Lacking<'_> {
    /// Whether they could take turns on fewer than they take at a time.
    fn turns_do(&self) -> bool {
        self.means.take_turns() && self.by_turns < self.short.needed as usize
    }

    /// For which requests no register is free: any of those that take turns, or the one
    /// that got none.
    pub(super) fn for_whom<'r>(
        &self,
        requests: &'r [Request],
        refused: Option<&'r Request>,
    ) -> Vec<&'r Request> {
        match self.turns_do() {
            true => requests.iter().collect(),
            false => refused.into_iter().collect(),
        }
    }

    /// That none is free for these.
    pub(super) fn message(&self, requests: &[&Request]) -> String {
        let whose = match self.tid {
            0 => "each CPU".to_owned(),
            tid => format!("thread {tid}"),
        };
        let none = match self.turns_do() && self.free > 0 {
            true => "too few free debug registers",
            false => "no free debug register",
        };
        let what = match name(requests) {
            Some(name) => format!("`{name}`"),
            None => format!("{} different watches by turns", self.all),
        };
        format!("{none} on {whose} for {what}")
    }

    /// Which threads have too few.
    fn who_lacks(&self) -> String {
        let Self { short, by_turns, .. } = *self;
        let of = counted(short.of.into(), "thread");
        let threads = short.threads;
        if !self.turns_do() {
            return format!("{threads} of {of} lack them: {}", shortfall(short));
        }
        let least = counted(by_turns as u64, "debug register");
        format!(
            "{least} needed at least, for turns; {threads} of {of} lack the {} that are \
             taken where they are free: {}",
            short.needed,
            free_on(short)
        )
    }

    /// Whether they get along with so many.
    fn fits(&self, registers: usize) -> bool {
        let needed = if self.means.take_turns() { self.by_turns } else { self.all };
        needed <= registers
    }

    /// What may be done by what is watched and by others.
    fn ways_out(&self, holders: &Holders) -> Vec<String> {
        let mut ways = Vec::new();
        let Self { means, free, .. } = *self;
        if means.passes && !means.sharing.rotate && (1..=free).contains(&self.by_turns) {
            ways.push(
                "leave `--no-rotate` out: then they take turns on those that are free"
                    .to_owned(),
            );
        }
        if means.take_turns() && self.pinned && (1..self.by_turns).contains(&free) {
            ways.push(PINNED.to_owned());
        }
        let reserved = holders.found.is_empty() && self.traceable && means.passes;
        let other = match reserved {
            true if self.all > CAPACITY => {
                format!("watch {CAPACITY} at most with `--engine ptrace`, {REUSES}")
            }
            true => format!("use `--engine ptrace`, {REUSES}"),
            false => "end the other program and try again".to_owned(),
        };
        let fewer = if free > 0 { "watch fewer at a time, or " } else { "" };
        ways.push(format!("{fewer}{other}"));
        if holders.found.iter().any(is_hwtrace) && self.fits(HALF) {
            ways.push(format!(
                "or start that hwtrace, and this one, with `--registers {HALF}`: then each \
                 takes so many at most"
            ));
        }
        ways
    }
}

/// What they are called together: as the range of which all of them are elements.
fn name(requests: &[&Request]) -> Option<String> {
    let (first, others) = requests.split_first()?;
    if others.is_empty() {
        return Some(first.data.to_string());
    }
    let range = first.range.as_deref()?;
    let same = others.iter().all(|other| other.range.as_deref() == Some(range));
    same.then(|| range.to_owned())
}

/// What those can do that keep their registers.
const PINNED: &str = "leave `.pinned` out where others may have a turn";

/// What two get who share alike.
const HALF: usize = CAPACITY / 2;

/// What a tracer can.
const REUSES: &str = "which takes those, too, that were left reserved";

/// A thread has too few left: who holds them, as far as is to be seen, and what may be done.
pub(super) fn none_free(
    diagnostic: Diagnostic,
    lacking: &Lacking<'_>,
    holders: &Holders,
) -> Diagnostic {
    let Lacking { short, means, .. } = *lacking;
    let mut diagnostic =
        diagnostic.note("a thread has four debug registers, shared by all who watch it");
    if short.threads > 0 {
        diagnostic = diagnostic.note(lacking.who_lacks());
    }
    let partial = means.sharing.partial && short.threads > 0;
    if partial {
        diagnostic = diagnostic.note(
            "`--partial` leaves out threads, not watches, and no thread has enough",
        );
    }
    let notes = who_holds(holders, means.passes);
    diagnostic = notes.into_iter().fold(diagnostic, Diagnostic::note);
    let ways = lacking.ways_out(holders);
    diagnostic = ways.into_iter().fold(diagnostic, Diagnostic::help);
    match short.of.saturating_sub(short.threads) {
        left @ 1.. if !partial => diagnostic.help(format!(
            "or leave those threads out with `--partial`, and watch {left} of {}",
            short.of
        )),
        _ => diagnostic,
    }
}

/// Whether it may be one of our kind.
fn is_hwtrace(holder: &Holder) -> bool {
    match holder.kind {
        HolderKind::Tracer => holder.name == GUARDIAN,
        HolderKind::PerfEvents { aim, .. } => {
            holder.name == "hwtrace" && !matches!(aim, Aim::Other { .. })
        }
    }
}

/// What the process that traces for hwtrace is called.
const GUARDIAN: &str = "hwt-guardian";

/// Who may hold registers, as sentences: each of those for whom something speaks, and then
/// all others. `reserved`: whether registers that were left reserved are of no use to us.
fn who_holds(holders: &Holders, reserved: bool) -> Vec<String> {
    let mut notes = Vec::new();
    let mut others = Vec::new();
    for holder in &holders.found {
        let whose = match holder.kind {
            HolderKind::Tracer if holder.name == GUARDIAN => {
                "traces the target for another hwtrace, and may hold some".to_owned()
            }
            HolderKind::Tracer => "traces the target, and may hold some".to_owned(),
            HolderKind::PerfEvents { aim: Aim::Named { number }, .. } => format!(
                "has perf events open and {number} among its arguments: it may hold some"
            ),
            HolderKind::PerfEvents { aim: Aim::Started, .. } => {
                "has perf events open, and started the target: it may hold some"
                    .to_owned()
            }
            HolderKind::PerfEvents { .. } => {
                others.push(holder);
                continue;
            }
        };
        notes.push(format!("{} {whose}", title(holder)));
    }
    let traced = holders.found.iter().any(|holder| holder.kind == HolderKind::Tracer);
    let likely = !notes.is_empty();
    notes.extend(unknown(&others));
    if notes.is_empty() {
        notes.push("no other process is seen that may hold one".to_owned());
    }
    if holders.hidden && !likely {
        notes.push(
            "not every process could be looked into: those of other users only root can"
                .to_owned(),
        );
    }
    if reserved && !traced {
        notes.push(
            "a debugger that watched the thread may have left its registers reserved until \
             the thread ends, and so may hwtrace with `--engine ptrace`"
                .to_owned(),
        );
    }
    notes
}

/// Those of whom nothing tells whether they watch the target.
fn unknown(others: &[&Holder]) -> Option<String> {
    let mut listed: Vec<_> = others.iter().take(LISTED).map(|it| title(it)).collect();
    if let Some(more @ 1..) = others.len().checked_sub(LISTED) {
        listed.push(format!("{more} more"));
    }
    (!listed.is_empty()).then(|| {
        format!(
            "of whom it is not to be seen, perf events are open in {}",
            listed.join(", ")
        )
    })
}

/// `gdb (process 7)`, with whom it names where that is another.
fn title(Holder { name, pid, kind }: &Holder) -> String {
    match kind {
        HolderKind::PerfEvents { aim: Aim::Other { number }, .. } => {
            format!("{name} (process {pid}, with {number} among its arguments)")
        }
        _ => format!("{name} (process {pid})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(name: &str, pid: u32, kind: HolderKind) -> Holder {
        Holder { pid, name: name.to_owned(), kind }
    }

    fn perf(aim: Aim) -> HolderKind {
        HolderKind::PerfEvents { aim, count: 3 }
    }

    #[test]
    fn what_is_known_of_holders_is_told_and_no_more() {
        let found = vec![
            holder("gdb", 5, HolderKind::Tracer),
            holder("hwtrace", 6, perf(Aim::Named { number: 7 })),
            holder("perf", 8, perf(Aim::Started)),
            holder("top", 9, perf(Aim::Unknown)),
            holder("hwtrace", 10, perf(Aim::Other { number: 11 })),
        ];
        let notes = who_holds(&Holders { found, hidden: true }, true);
        assert_eq!(
            notes,
            [
                "gdb (process 5) traces the target, and may hold some",
                "hwtrace (process 6) has perf events open and 7 among its arguments: it may \
                 hold some",
                "perf (process 8) has perf events open, and started the target: it may hold \
                 some",
                "of whom it is not to be seen, perf events are open in top (process 9), \
                 hwtrace (process 10, with 11 among its arguments)",
            ]
        );
    }

    #[test]
    fn what_can_not_be_seen_is_not_denied() {
        let seen = |hidden| {
            let nobody = Holders { found: Vec::new(), hidden };
            who_holds(&nobody, true).join("; ")
        };
        assert!(seen(true).contains("of other users only root can"));
        assert!(!seen(false).contains("root") && seen(false).contains("is seen"));
        assert!(seen(false).contains("left its registers reserved"));
    }

    #[test]
    fn of_many_some_are_named() {
        let many: Vec<_> =
            (1..=11).map(|pid| holder("perf", pid, perf(Aim::Unknown))).collect();
        let text = who_holds(&Holders { found: many, hidden: false }, true).join("; ");
        assert!(text.contains("perf (process 8), 3 more"), "{text}");
    }

    /// What is said where so many watches, which take one at least by turns, lack registers.
    fn said(all: usize, free: usize, means: Means, found: Vec<Holder>) -> Diagnostic {
        said_of((all, false), free, means, found)
    }

    /// The same of watches that may be pinned.
    fn said_of(
        (all, pinned): (usize, bool),
        free: usize,
        means: Means,
        found: Vec<Holder>,
    ) -> Diagnostic {
        let (tid, needed) = (9, all as u32);
        let mut short = Shortfall { needed, of: 1, ..Shortfall::default() };
        short.add(tid, free as u32);
        let lacking = Lacking {
            tid,
            short: &short,
            free,
            all,
            by_turns: if pinned { all } else { 1 },
            pinned,
            traceable: true,
            means,
        };
        let message = lacking.message(&[]);
        let new = Diagnostic::new(Code::NoFreeRegister, None, message);
        none_free(new, &lacking, &Holders { found, hidden: false })
    }

    fn means(rotate: bool, passes: bool, partial: bool) -> Means {
        Means { sharing: Sharing { rotate, partial, ..Sharing::default() }, passes }
    }

    #[test]
    fn another_hwtrace_can_share() {
        let help = |name: &str, kind| {
            let found = vec![holder(name, 5, kind)];
            let helps = said(3, 0, means(true, true, false), found).help.join("; ");
            helps.contains("--registers")
        };
        assert!(help("hwtrace", perf(Aim::Named { number: 7 })));
        assert!(
            help("hwtrace", perf(Aim::Unknown)) && help(GUARDIAN, HolderKind::Tracer)
        );
        assert!(!help("hwtrace", perf(Aim::Other { number: 3 })));
        assert!(!help("gdb", HolderKind::Tracer) && !help("perf", perf(Aim::Started)));
    }

    #[test]
    fn what_is_advised_does_not_fail_in_turn() {
        let other = || vec![holder("hwtrace", 5, perf(Aim::Named { number: 7 }))];
        let helps = |all, free, means| said(all, free, means, other()).help.join("; ");
        let (turns, none, tracer) = (
            means(true, true, false),
            means(false, true, false),
            means(true, false, false),
        );
        // Those who take turns get along with any; others need as many as they are.
        assert!(helps(3, 0, turns).contains("--registers 2"));
        assert!(helps(2, 0, none).contains("--registers 2"));
        assert!(!helps(3, 1, none).contains("--registers 2"));
        assert!(!helps(3, 1, tracer).contains("--registers 2"));
        // Turns are taken on what is free, and by no tracer.
        assert!(helps(3, 1, none).starts_with("leave `--no-rotate` out"));
        assert!(
            !helps(3, 0, none).contains("rotate") && !helps(3, 0, none).contains("fewer")
        );
        assert!(!helps(3, 1, tracer).contains("rotate"));
    }

    #[test]
    fn who_keeps_its_register_could_take_turns() {
        let helps = |pinned, free| {
            let told = said_of((2, pinned), free, means(true, true, false), Vec::new());
            told.help.join("; ")
        };
        assert!(helps(true, 1).starts_with("leave `.pinned` out"));
        assert!(!helps(true, 0).contains("pinned"), "there are no turns to take");
        assert!(!helps(false, 1).contains("pinned"));
    }

    #[test]
    fn who_can_take_turns_needs_one_alone() {
        let told = |all, free, rotate| {
            let told = said(all, free, means(rotate, true, false), Vec::new());
            (told.message, told.notes.join("; "))
        };
        let (message, notes) = told(3, 0, true);
        assert_eq!(
            message,
            "no free debug register on thread 9 for 3 different watches by turns"
        );
        let least = "1 debug register needed at least, for turns; 1 of 1 thread lack the 3 \
                     that are taken where they are free: 0 free on thread 9";
        assert!(notes.contains(least), "{notes}");
        for (all, rotate) in [(3, false), (1, true)] {
            let (_, notes) = told(all, 0, rotate);
            assert!(notes.contains("1 of 1 thread lack them: "), "{notes}");
            assert!(!notes.contains("turns"), "{notes}");
        }
    }

    #[test]
    fn only_so_many_take_turns_in_programs() {
        let said = |count| {
            let mut turns = vec![Turn::Waits; count];
            turns.push(Turn::Stays);
            refuse_turns(&turns)
        };
        assert!(said(WATCHES).is_ok());
        assert!(said(WATCHES + 1).is_err());
    }

    #[test]
    fn what_was_left_reserved_a_tracer_can_use() {
        let left = said(1, 0, means(true, true, false), Vec::new());
        assert_eq!(
            left.help,
            ["use `--engine ptrace`, which takes those, too, that were left reserved"]
        );
        assert!(left.notes.join("; ").contains("so may hwtrace with `--engine ptrace`"));
        let many = said(5, 0, means(true, true, false), Vec::new()).help.join("; ");
        assert!(many.starts_with("watch 4 at most with `--engine ptrace`"), "{many}");
        let traced = said(1, 0, means(true, false, false), Vec::new());
        let text = format!("{:?}; {:?}", traced.notes, traced.help);
        assert!(!text.contains("reserved") && !text.contains("--engine"), "{text}");
    }

    #[test]
    fn partial_leaves_out_threads() {
        let notes = |partial| said(4, 3, means(false, true, partial), Vec::new()).notes;
        assert!(notes(true).join("; ").contains("leaves out threads, not watches"));
        assert!(!notes(false).join("; ").contains("--partial"));
    }
}
