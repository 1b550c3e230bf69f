//! The source files that a unit's entries are declared in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gimli::constants as dw;
use gimli::{AttributeValue, DebugLine, DebugLineOffset, SectionId};

use super::parts::{INFO, SUPPLEMENT};
use super::sections::{Sections, Slice};
use super::unit::{Die, Unit, number};
use crate::types::Line;

/// Paths of the source files of a unit, by their number.
pub(super) type Files = Vec<Arc<str>>;

/// Tables of files may be read so many times over: units share them. More is a
/// file that wants to keep us busy.
const READ_MAX: u64 = 64;

/// Bytes of line programs read so far.
#[derive(Debug, Default)]
pub(super) struct Spent(AtomicU64);

impl<'a> Unit<'a> {
    /// Where an entry is declared.
    pub(super) fn declared(&self, die: &Die<'a>) -> Option<Line> {
        self.inherited(die, &|unit, die| {
            unit.line(die, dw::DW_AT_decl_file, dw::DW_AT_decl_line)
        })
    }

    /// The line that two attributes tell of.
    pub(super) fn line(
        &self,
        die: &Die<'_>,
        file: gimli::DwAt,
        line: gimli::DwAt,
    ) -> Option<Line> {
        let index = match die.attr_value(file)? {
            AttributeValue::FileIndex(index) => index,
            _ => number(die, file)?,
        };
        let files = self.files.get_or_init(|| self.read_files()).as_deref()?;
        let file = Arc::clone(files.get(usize::try_from(index).ok()?)?);
        let line = number(die, line).unwrap_or(0);
        Some(Line { file, line: u32::try_from(line).unwrap_or(0) })
    }

    fn read_files(&self) -> Option<Arc<Files>> {
        let part = if self.part == SUPPLEMENT { SUPPLEMENT } else { INFO };
        let key = (part, self.facts.line_program?);
        if let Some(files) = self.dwarf.files.get(&key) {
            return Some(files);
        }
        let sections = &self.dwarf.part(part)?.sections;
        let folder = self.facts.folder.as_deref().unwrap_or("");
        let files = read(sections, key.1, folder, &self.dwarf.spent)?;
        let files = Arc::new(files);
        self.dwarf.files.insert(key, Arc::clone(&files));
        Some(files)
    }
}

fn read(sections: &Sections, at: usize, folder: &str, spent: &Spent) -> Option<Files> {
    let lines = sections.slice(SectionId::DebugLine, false);
    let program = DebugLine::from(lines).program(DebugLineOffset(at), 8, None, None);
    let program = program.ok()?;
    let header = program.header();
    let length = header.header_length() as u64 + 64;
    let before = spent.0.fetch_add(length, Ordering::Relaxed);
    if before > READ_MAX * (lines.len() as u64 + 1024) {
        return None;
    }
    let text = |value| text(sections, value).map(String::from_utf8_lossy);
    // Before DWARF 5 files are counted from 1 on, and 0 is the unit's own.
    let first = if header.version() < 5 { 1 } else { 0 };
    let mut files: Files = vec![Arc::from(""); first];
    for file in header.file_names() {
        let name = text(file.path_name()).unwrap_or_default();
        let within = file.directory(header).and_then(text).unwrap_or_default();
        files.push(joined(folder, &within, &name).into());
    }
    Some(files)
}

fn joined(folder: &str, within: &str, name: &str) -> String {
    let mut path = String::new();
    for part in [folder, within, name] {
        if part.starts_with('/') {
            path.clear();
        } else if !path.is_empty() && !part.is_empty() && !path.ends_with('/') {
            path.push('/');
        }
        path.push_str(part);
    }
    path
}

fn text<'a>(
    sections: &'a Sections,
    value: AttributeValue<Slice<'a>>,
) -> Option<&'a [u8]> {
    let text = match value {
        AttributeValue::String(text) => text,
        AttributeValue::DebugStrRef(offset) => {
            let strings = sections.slice(SectionId::DebugStr, false);
            gimli::DebugStr::from(strings).get_str(offset).ok()?
        }
        AttributeValue::DebugLineStrRef(offset) => {
            let strings = sections.slice(SectionId::DebugLineStr, false);
            gimli::DebugLineStr::from(strings).get_str(offset).ok()?
        }
        _ => return None,
    };
    Some(text.slice())
}
