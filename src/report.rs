//! What a session shows at its end: tables, and the line on what happened.

use std::fmt::Write;
use std::time::Duration;

use hwtrace_probes::resolve::Location;
use hwtrace_probes::symbols::kallsyms::addresses_are_shown;
use hwtrace_probes::types::{Types, type_name, unwrapped};
use hwtrace_runtime::engine::Armed;
use nix::sys::signal::Signal;

use crate::session::Summary;
use crate::target::Fate;

/// Number of SIGTRAP, the same on all architectures (signal(7)).
const SIGTRAP: i32 = 5;

/// One instruction of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// How often it touched the data.
    pub hits: u64,
    /// What it did.
    pub access: &'static str,
    /// The member that it touched; empty of data without members.
    pub member: String,
    /// Function and offset, or the address.
    pub place: String,
    /// File and line of its source; empty where that is not known.
    pub line: String,
    /// The address, by which rows of equal hits are sorted.
    pub address: u64,
    /// The smallest and the largest value after the access, as text; none where no
    /// value is known.
    pub values: Option<String>,
    /// Whether values are missing, or were read from memory a moment later.
    pub doubtful: bool,
    /// Number of threads that did it.
    pub threads: usize,
}

/// A table of the instructions that touched some data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    title: String,
    noun: &'static str,
    rows: Vec<Row>,
}

const COLUMNS: usize = 8;
const HEADINGS: [&str; COLUMNS] =
    ["hits", "%", "access", "member", "where", "line", "values", "threads"];
/// Columns between two columns.
const GAP: usize = 2;
/// Which columns hold numbers, and are aligned to the right.
const RIGHT: [bool; COLUMNS] = [true, true, false, false, false, false, false, true];
const PLACE: usize = 4;
/// Left out where nothing is in them.
const AT_TIMES: [usize; 2] = [3, 5];
/// A place is never cut below this.
const PLACE_WIDTH_MIN: usize = 12;

impl Table {
    /// A table under `title` of things called `noun` (hits, changes); the row
    /// with most of them comes first.
    pub fn new(title: String, noun: &'static str, mut rows: Vec<Row>) -> Self {
        rows.sort_by_key(|row| (std::cmp::Reverse(row.hits), row.address));
        Self { title, noun, rows }
    }

    /// The table as text, `width` columns wide where names allow.
    pub fn text(&self, width: usize) -> String {
        let total: u64 = self.rows.iter().map(|row| row.hits).sum();
        let mut text = format!("{}, {}\n", self.title, counted(total, self.noun));
        if self.rows.is_empty() {
            return text;
        }
        let mut lines = vec![HEADINGS.map(str::to_owned)];
        lines.extend(self.rows.iter().map(|row| cells(row, total)));
        for column in AT_TIMES {
            if lines[1..].iter().all(|line| line[column].is_empty()) {
                lines[0][column].clear();
            }
        }
        let widths = widths(&lines, width);
        for line in &lines {
            let mut shown = String::new();
            let there = line.iter().enumerate().filter(|(column, _)| widths[*column] > 0);
            for (column, cell) in there {
                let cell = shorten(cell, widths[column]);
                let padding = " ".repeat(widths[column] - cell.chars().count());
                let (before, after) =
                    if RIGHT[column] { (&*padding, "") } else { ("", &*padding) };
                // Writing to a string can not fail.
                let _ = write!(shown, "{before}{cell}{after}{}", " ".repeat(GAP));
            }
            text.push_str(shown.trim_end());
            text.push('\n');
        }
        text
    }
}

fn cells(row: &Row, total: u64) -> [String; COLUMNS] {
    let share = row.hits as f64 * 100.0 / total as f64;
    [
        grouped(row.hits),
        format!("{share:.1}"),
        row.access.to_owned(),
        row.member.clone(),
        row.place.clone(),
        row.line.clone(),
        values(row),
        row.threads.to_string(),
    ]
}

/// `0..9`; `~0..9` where not every value is certain, `?` where none is known.
fn values(row: &Row) -> String {
    let Some(values) = &row.values else { return "?".to_owned() };
    let doubt = if row.doubtful { "~" } else { "" };
    format!("{doubt}{values}")
}

/// The widest cell of each column; the place gives way where the line would
/// be too wide.
fn widths(lines: &[[String; COLUMNS]], width: usize) -> [usize; COLUMNS] {
    let mut widths = [0; COLUMNS];
    for line in lines {
        for (column, cell) in line.iter().enumerate() {
            widths[column] = widths[column].max(cell.chars().count());
        }
    }
    let there = widths.iter().filter(|width| **width > 0).count();
    let all: usize = widths.iter().sum::<usize>() + GAP * (there - 1);
    let room = widths[PLACE].saturating_sub(all.saturating_sub(width));
    widths[PLACE] = widths[PLACE].min(room.max(PLACE_WIDTH_MIN));
    widths
}

/// Keeps the end, which tells most: `…handler::run+0x1f`.
fn shorten(cell: &str, width: usize) -> String {
    let length = cell.chars().count();
    if length <= width {
        return cell.to_owned();
    }
    let kept = cell.chars().skip(length + 1 - width);
    std::iter::once('…').chain(kept).collect()
}

/// `counter: unsigned long, 8 bytes at 0x404028`
pub fn title(location: &Location, types: &dyn Types) -> String {
    let bytes = match location.bits {
        Some(bits) => counted(bits.width.into(), "bit"),
        None => counted(location.size, "byte"),
    };
    let shown = |ty| {
        // Of what is wrapped what is inside, as its values are shown.
        let inner = unwrapped(types, ty);
        let wrapped = inner != types.plain(ty).0;
        type_name(types, if wrapped { inner } else { ty }) + ", "
    };
    let ty = location.ty.map_or(String::new(), shown);
    let place = match location.thread_local {
        Some(_) => "of each thread".to_owned(),
        None if location.address.0 == 0 => "not there yet".to_owned(),
        None if location.address.is_kernel() && !addresses_are_shown() => {
            "of the kernel".to_owned()
        }
        None => format!("at {}", location.address),
    };
    format!("{}: {ty}{bytes} {place}", location.name)
}

/// `1 hit`, `80,000 hits`
pub fn counted(count: u64, noun: &str) -> String {
    let plural = match noun {
        _ if count == 1 => "",
        noun if noun.ends_with('s') => "es",
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
    let threads = counted(armed.threads.into(), "thread");
    format!("armed {threads}, slots {}", slots(armed))
}

/// Registers in use of those there are; an engine without bound has as many as it needs.
fn slots(armed: &Armed) -> String {
    match armed.capacity {
        u32::MAX => armed.slots.to_string(),
        capacity => format!("{}/{capacity}", armed.slots),
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
        "{}, {} lost, engine {engine}, {elapsed:.2} s, armed {}/{} {}, slots {}",
        counted(summary.hits, "hit"),
        grouped(summary.lost),
        summary.threads,
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
    if matches!(summary.fate, Fate::Ended | Fate::Killed { .. }) {
        let text = "started by the target outlived it, no longer watched";
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
        "more, of string instructions that accessed the data several times: told as one \
         access each, whose access_count() has them",
    );
    remark(
        summary.strays,
        "hit",
        "of threads that were born while registers were passed on, left out: it was not the \
         turn of what they touched",
    );
    let accounted =
        summary.hits + summary.pointers + summary.folded + summary.lost + summary.strays;
    if summary.counted > accounted && !summary.stopped && !summary.failed {
        let missing = summary.counted - accounted;
        remark(missing, "hit", "counted after the session had ended");
    }
    remarks.extend(end(summary.fate));
    remarks
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

    fn row(hits: u64, place: &str) -> Row {
        let place = place.to_owned();
        Row {
            hits,
            access: "write",
            member: String::new(),
            place,
            line: String::new(),
            address: hits,
            values: Some("0..9".to_owned()),
            doubtful: false,
            threads: 2,
        }
    }

    #[test]
    fn numbers_are_grouped() {
        let grouped: Vec<_> = [0, 999, 1000, 1234567].into_iter().map(grouped).collect();
        assert_eq!(grouped, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn the_row_with_most_hits_is_first_and_columns_are_aligned() {
        let table = Table::new(
            "x: 8 bytes at 0x10".into(),
            "hit",
            vec![row(1, "a+0x1"), row(3, "b+0x2")],
        );
        let expected = "x: 8 bytes at 0x10, 4 hits\n\
                        hits     %  access  where  values  threads\n   \
                        3  75.0  write   b+0x2  0..9          2\n   \
                        1  25.0  write   a+0x1  0..9          2\n";
        assert_eq!(table.text(80), expected);
    }

    #[test]
    fn lines_have_a_column_where_one_is_known() {
        let known = Row { line: "x.c:12".into(), ..row(3, "b+0x2") };
        let table = Table::new("x".into(), "hit", vec![row(1, "a+0x1"), known]);
        let expected = "x, 4 hits\n\
                        hits     %  access  where  line    values  threads\n   \
                        3  75.0  write   b+0x2  x.c:12  0..9          2\n   \
                        1  25.0  write   a+0x1          0..9          2\n";
        assert_eq!(table.text(80), expected);
    }

    #[test]
    fn members_have_a_column_where_there_are_some() {
        let member = Row { member: ".max".into(), ..row(3, "b+0x2") };
        let expected = "x, 3 hits\n\
                        hits      %  access  member  where  values  threads\n   \
                        3  100.0  write   .max    b+0x2  0..9          2\n";
        assert_eq!(Table::new("x".into(), "hit", vec![member]).text(80), expected);
    }

    #[test]
    fn long_names_give_way_so_that_lines_fit() {
        let name = "a_namespace::".repeat(10) + "function+0x12";
        for line in ["", "demo.rs:58"] {
            let row = Row { line: line.into(), ..row(3, &name) };
            let text = Table::new("x".into(), "hit", vec![row]).text(80);
            assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
            assert!(text.contains("function+0x12"), "{text}");
            assert!(text.contains(line), "{text}");
        }
    }
}
