//! Text in columns.

use std::collections::HashSet;
use std::ops::Range;

/// Columns between two columns.
const GAP: usize = 2;

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    /// What stands over it.
    pub(super) heading: &'static str,
    /// Whether it holds numbers, and is aligned to the right.
    pub(super) right: bool,
    /// Whether it is left out where nothing is in it.
    pub(super) at_times: bool,
}

impl Column {
    pub(super) const fn left(heading: &'static str) -> Self {
        Self { heading, right: false, at_times: false }
    }

    pub(super) const fn right(heading: &'static str) -> Self {
        Self { heading, right: true, at_times: false }
    }

    pub(super) const fn at_times(self) -> Self {
        Self { at_times: true, ..self }
    }
}

/// How a column gives way where lines would be too wide, by its number.
#[derive(Clone, Copy, Debug)]
pub(super) enum Yield {
    /// It is cut, never below this width.
    Cut(usize, usize),
    /// The same, and never so that cells that differ would look alike.
    Tell(usize, usize),
    /// It is left out.
    LeaveOut(usize),
}

/// Rows under their headings, `width` columns wide where those that give way can, one after
/// the other as `yields` has them.
pub(super) fn text<const N: usize>(
    columns: &[Column; N],
    rows: &[[String; N]],
    yields: &[Yield],
    width: usize,
) -> String {
    let mut lines = vec![columns.map(|column| column.heading.to_owned())];
    lines.extend_from_slice(rows);
    for (number, column) in columns.iter().enumerate() {
        if column.at_times && rows.iter().all(|row| row[number].is_empty()) {
            lines[0][number].clear();
        }
    }
    let widths = widths(&lines, yields, width);
    let mut text = String::new();
    for line in &lines {
        let mut shown = String::new();
        for (number, cell) in line.iter().enumerate() {
            if widths[number] == 0 {
                continue;
            }
            let cell = shorten(cell, widths[number]);
            let padding = " ".repeat(widths[number] - cell.chars().count());
            let (before, after) =
                if columns[number].right { (&*padding, "") } else { ("", &*padding) };
            shown.extend([before, &cell, after, &" ".repeat(GAP)]);
        }
        text.push_str(shown.trim_end());
        text.push('\n');
    }
    text
}

/// The widest cell of each column; some give way.
fn widths<const N: usize>(
    lines: &[[String; N]],
    yields: &[Yield],
    width: usize,
) -> [usize; N] {
    let mut widths = [0; N];
    for line in lines {
        for (column, cell) in line.iter().enumerate() {
            widths[column] = widths[column].max(cell.chars().count());
        }
    }
    let excess = |widths: &[usize; N]| {
        let there = widths.iter().filter(|width| **width > 0).count();
        let all = widths.iter().sum::<usize>() + GAP * there.saturating_sub(1);
        all.saturating_sub(width)
    };
    for &give in yields {
        match (give, excess(&widths)) {
            (_, 0) => break,
            (Yield::LeaveOut(column), _) => widths[column] = 0,
            (Yield::Cut(column, least) | Yield::Tell(column, least), excess) => {
                let room = widths[column].saturating_sub(excess);
                let width = widths[column].min(room.max(least));
                widths[column] = match give {
                    Yield::Tell(..) => telling(lines, column, width..widths[column]),
                    _ => width,
                };
            }
        }
    }
    widths
}

/// The first of these widths at which what differs in a column does so when it is cut; their
/// end where there is none.
fn telling<const N: usize>(
    lines: &[[String; N]],
    column: usize,
    mut widths: Range<usize>,
) -> usize {
    let end = widths.end;
    let different: HashSet<_> = lines.iter().map(|line| &line[column]).collect();
    let tells = |width: &usize| {
        let cut: HashSet<_> =
            different.iter().map(|cell| shorten(cell, *width)).collect();
        cut.len() == different.len()
    };
    widths.find(tells).unwrap_or(end)
}

/// Keeps the end, which tells most, and a sign of doubt: `…handler::run+0x1f`, `~…295`.
fn shorten(cell: &str, width: usize) -> String {
    let length = cell.chars().count();
    if length <= width {
        return cell.to_owned();
    }
    let sign = if cell.starts_with('~') { "~" } else { "" };
    let kept = cell.chars().skip(length + 1 + sign.len() - width);
    sign.chars().chain(['…']).chain(kept).collect()
}
