//! The lines of a unit's code: its line program, run.

use std::sync::Arc;

use gimli::{DebugLine, DebugLineOffset, IncompleteLineProgram, SectionId};

use super::Dwarf;
use super::lines::{joined, text};
use super::sections::Slice;
use super::unit::Unit;
use crate::types::Line;

/// Runs of code, and the line of each instruction.
#[derive(Debug, Default)]
pub(super) struct Rows {
    sequences: Vec<Sequence>,
    rows: Vec<Row>,
}

/// Code without a gap.
#[derive(Clone, Copy, Debug)]
struct Sequence {
    start: u64,
    end: u64,
    /// Its rows: from here, so many.
    first: usize,
    count: usize,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    address: u64,
    file: u32,
    line: u32,
}

/// Runs of code that begin before an address and are tried for one that reaches to
/// it: they do not overlap but in damaged files.
const OVERLAP_MAX: usize = 8;

impl Rows {
    fn at(&self, address: u64) -> Option<Row> {
        let after = self.sequences.partition_point(|run| run.start <= address);
        let mut near = self.sequences[..after].iter().rev().take(OVERLAP_MAX);
        let run = near.find(|run| address < run.end)?;
        let rows = &self.rows[run.first..run.first + run.count];
        let after = rows.partition_point(|row| row.address <= address);
        rows.get(after.checked_sub(1)?).copied()
    }
}

impl<'a> Unit<'a> {
    /// The line of the instruction at an address.
    pub(super) fn line_at(&self, address: u64) -> Option<Line> {
        let row = self.rows()?.at(address)?;
        // 0 is what the compiler made without a line of the source.
        (row.line > 0).then_some(())?;
        Some(Line { file: self.file_name(row.file.into())?, line: row.line })
    }

    /// The path of a source file as the compiler was given it. Only what is asked for
    /// is made a path: in a damaged file a million files could be in one folder with a
    /// long name.
    pub(super) fn file_name(&self, number: u64) -> Option<Arc<str>> {
        let sections = self.dwarf.main()?;
        let program = self.line_program()?;
        let header = program.header();
        let file = header.file(number)?;
        let text = |value| text(sections, value).map(String::from_utf8_lossy);
        let name = text(file.path_name())?;
        // Folder 0 is where the compiler ran.
        let folder = match file.directory_index() {
            0 => None,
            _ => file.directory(header).and_then(text),
        };
        let own = |folder: &str| Some(folder) == self.facts.folder.as_deref();
        let folder = folder.filter(|folder| !own(folder)).unwrap_or_default();
        Some(joined("", &folder, &name).into())
    }

    fn line_program(&self) -> Option<IncompleteLineProgram<Slice<'a>>> {
        let lines = self.dwarf.main()?.slice(SectionId::DebugLine, false);
        let offset = DebugLineOffset(self.facts.line_program?);
        DebugLine::from(lines).program(offset, 8, None, None).ok()
    }

    fn rows(&self) -> Option<Arc<Rows>> {
        let key = self.facts.line_program?;
        if let Some(rows) = self.dwarf.rows.get(&key) {
            return Some(rows);
        }
        let rows = Arc::new(run(self.dwarf, self.line_program()?));
        self.dwarf.rows.insert(key, Arc::clone(&rows));
        Some(rows)
    }
}

/// Runs a line program, up to what cannot be read.
fn run(dwarf: &Dwarf, program: IncompleteLineProgram<Slice<'_>>) -> Rows {
    let mut all = Rows::default();
    let mut first = 0;
    let mut rows = program.rows();
    while let Ok(Some((_, row))) = rows.next_row() {
        if !row.end_sequence() {
            all.rows.push(Row {
                address: row.address(),
                file: u32::try_from(row.file_index()).unwrap_or(u32::MAX),
                line: row.line().map_or(0, |line| u32::try_from(line.get()).unwrap_or(0)),
            });
            continue;
        }
        let of_run = &mut all.rows[first..];
        of_run.sort_by_key(|row| row.address);
        let start = of_run.first().map_or(0, |row| row.address);
        let range = gimli::Range { begin: start, end: row.address() };
        match dwarf.loaded(range) {
            Some(code) => all.sequences.push(Sequence {
                start: code.start,
                end: code.end,
                first,
                count: of_run.len(),
            }),
            None => all.rows.truncate(first),
        }
        first = all.rows.len();
    }
    all.rows.truncate(first);
    all.rows.shrink_to_fit();
    all.sequences.sort_unstable_by_key(|run| (run.start, run.end));
    all
}
