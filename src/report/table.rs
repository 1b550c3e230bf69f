//! The table of the instructions that touched some data.

use std::cmp::Reverse;

use hwtrace_runtime::slots::coverage::Estimate;

use super::columns::{self, Column, Yield};
use super::overview::{estimated, percent};
use super::{counted, grouped};

/// One instruction of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// How often it was seen to touch the data; of what changed while nobody looked, how
    /// often that was noticed.
    pub hits: u64,
    /// How often it did, seen or not.
    pub estimated: f64,
    /// The share of the time in which it could be seen, 0 to 1.
    pub coverage: f64,
    /// Whether it is no instruction: the value had changed while nobody looked.
    pub away: bool,
    /// What it did.
    pub access: &'static str,
    /// The member or element that it touched, or what names several; empty of data without any.
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
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    title: String,
    noun: &'static str,
    estimate: Estimate,
    rows: Vec<Row>,
}

/// Numbers of columns.
const COVERAGE: usize = 2;
const SHARE: usize = 3;
const MEMBER: usize = 5;
const PLACE: usize = 6;
const LINE: usize = 7;
const VALUES: usize = 8;
const THREADS: usize = 9;

const COLUMNS: [Column; 10] = [
    Column::right("hits"),
    Column::right("estimated").at_times(),
    Column::right("coverage").at_times(),
    Column::right("%").at_times(),
    Column::left("access"),
    Column::left("member").at_times(),
    Column::left("where"),
    Column::left("line").at_times(),
    Column::left("values"),
    Column::right("threads"),
];

/// What tells who it was, and in which line, stays longest.
const YIELDS: &[Yield] = &[
    Yield::Tell(PLACE, 20),
    Yield::Cut(VALUES, 16),
    Yield::Cut(LINE, 20),
    Yield::Tell(MEMBER, 16),
    Yield::Cut(PLACE, 16),
    Yield::LeaveOut(SHARE),
    Yield::LeaveOut(THREADS),
    Yield::Cut(VALUES, 12),
    Yield::LeaveOut(COVERAGE),
    Yield::Cut(PLACE, 12),
    Yield::Cut(LINE, 14),
    Yield::Cut(VALUES, 8),
    Yield::Tell(MEMBER, 10),
    Yield::Cut(LINE, 12),
    Yield::LeaveOut(VALUES),
];

impl Table {
    /// A table under `title` of things called `noun` (hits, changes); the row with most of
    /// them comes first. `estimate`: what all of them together stand for.
    pub fn new(
        title: String,
        noun: &'static str,
        estimate: Estimate,
        mut rows: Vec<Row>,
    ) -> Self {
        rows.sort_by(|left, right| {
            let first = |row: &Row| (row.away, Reverse(row.hits), row.address);
            let more = right.estimated.total_cmp(&left.estimated);
            left.away
                .cmp(&right.away)
                .then(more)
                .then_with(|| first(left).cmp(&first(right)))
        });
        Self { title, noun, estimate, rows }
    }

    /// Whether it was watched part of the time only.
    pub fn is_partial(&self) -> bool {
        self.estimate.coverage() < 1.0
    }

    /// Whether nobody touched the data.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as text, `width` columns wide where names allow.
    pub fn text(&self, width: usize) -> String {
        let mut text = self.head(width);
        if self.rows.is_empty() {
            return text;
        }
        let seen = || self.rows.iter().filter(|row| !row.away);
        let total: f64 = seen().map(|row| row.estimated).sum();
        let partial = self.is_partial();
        let mut columns = COLUMNS;
        columns[0].heading = if partial { "seen" } else { "hits" };
        let cells: Vec<_> =
            self.rows.iter().map(|row| cells(row, partial, total)).collect();
        text.push_str(&columns::text(&columns, &cells, YIELDS, width));
        text
    }

    /// The title with what was seen, and what that stands for; in lines that fit where
    /// the title does.
    fn head(&self, width: usize) -> String {
        let seen = self.rows.iter().filter(|row| !row.away);
        let seen = counted(seen.map(|row| row.hits).sum(), self.noun);
        if !self.is_partial() {
            return format!("{}, {seen}\n", self.title);
        }
        let share = percent(self.estimate.coverage());
        let estimated = format!("estimated {}", estimated(&self.estimate));
        let mut lines = vec![self.title.clone()];
        for part in [format!("seen {seen} in {share} of the time"), estimated] {
            let line = lines.pop().unwrap_or_default();
            match line.chars().count() + 2 + part.chars().count() <= width {
                true => lines.push(format!("{line}, {part}")),
                false => lines.extend([line + ",", format!("  {part}")]),
            }
        }
        lines.join("\n") + "\n"
    }
}

fn cells(row: &Row, partial: bool, total: f64) -> [String; COLUMNS.len()] {
    let when = |told: bool, text: String| if told { text } else { String::new() };
    let place = match row.away {
        true if row.hits == 1 => "changed once".to_owned(),
        true => format!("changed {}", counted(row.hits, "time")),
        false => row.place.clone(),
    };
    let seen = !row.away;
    [
        when(seen, grouped(row.hits)),
        when(seen && partial, grouped(row.estimated.round() as u64)),
        when(seen && partial, percent(row.coverage)),
        // Of estimates it would be one more figure that is not certain.
        when(seen && !partial, format!("{:.1}", row.estimated * 100.0 / total)),
        row.access.to_owned(),
        row.member.clone(),
        place,
        row.line.clone(),
        values(row),
        when(seen, row.threads.to_string()),
    ]
}

/// `0..9`; `~0..9` where not every value is certain, `?` where none is known.
fn values(row: &Row) -> String {
    let Some(values) = &row.values else { return "?".to_owned() };
    let doubt = if row.doubtful { "~" } else { "" };
    format!("{doubt}{values}")
}

#[cfg(test)]
mod tests;
