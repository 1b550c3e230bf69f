//! The forms of a listing: columns, objects of JSON, names.

use std::io::{self, ErrorKind, Write};

use hwtrace::cli::ListFormat;
use hwtrace_probes::types::{Bits, Line};
use serde::Serialize;

/// Data that is listed.
pub(super) struct Row {
    /// What names it in a script.
    pub(super) name: String,
    pub(super) ty: Option<String>,
    /// Its bytes.
    pub(super) size: Option<u64>,
    pub(super) bits: Option<Bits>,
    pub(super) place: Place,
    pub(super) declared: Option<Line>,
}

/// Where data lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// There.
    Address(u64),
    /// So many bytes from the start of something that there are several of.
    In(Whole, u64),
}

/// What there are several of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Whole {
    /// A thread's variables of one file.
    Thread,
    /// A CPU's variables of the kernel.
    Cpu,
    /// The `task_struct` of a thread.
    Task,
    /// What a pointer points to.
    Pointer,
}

impl Whole {
    fn name(self) -> &'static str {
        match self {
            Whole::Thread => "thread",
            Whole::Cpu => "cpu",
            Whole::Task => "task",
            Whole::Pointer => "pointer",
        }
    }
}

/// The same as an object.
#[derive(Serialize)]
struct Object<'a> {
    kind: &'static str,
    name: &'a str,
    #[serde(rename = "type")]
    ty: Option<&'a str>,
    size: Option<u64>,
    bit_offset: Option<u32>,
    bit_width: Option<u32>,
    /// What `offset` counts from; none of what has an address.
    within: Option<&'a str>,
    /// Addresses exceed the numbers that every reader of JSON can hold.
    address: Option<String>,
    offset: Option<u64>,
    file: Option<&'a str>,
    line: Option<u32>,
}

/// Rows that tell how wide columns are; those that follow take their widths.
const ROWS_MEASURED: usize = 64;
/// No column is made wider than that.
const COLUMN_MAX: usize = 40;
/// Name, type, size, address; the line is the last.
const COLUMNS: usize = 4;

/// Writes a listing as it grows.
pub(super) struct Output {
    format: ListFormat,
    waiting: Vec<[String; COLUMNS + 1]>,
    widths: Option<[usize; COLUMNS]>,
    rows: usize,
}

impl Output {
    pub(super) fn new(format: ListFormat) -> Self {
        Self { format, waiting: Vec::new(), widths: None, rows: 0 }
    }

    /// How many rows there were.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn row(&mut self, row: &Row) {
        self.rows += 1;
        match self.format {
            ListFormat::Names => print(&format!("{}\n", row.name)),
            ListFormat::Json => print(&(object(row) + "\n")),
            ListFormat::Human => {
                self.waiting.push(columns(row));
                if self.widths.is_some() || self.waiting.len() == ROWS_MEASURED {
                    self.flush();
                }
            }
        }
    }

    /// Writes what waits for its widths.
    pub(super) fn flush(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        let widest = |column: usize| {
            let width = |row: &[String; COLUMNS + 1]| row[column].chars().count();
            waiting.iter().map(width).max().unwrap_or(0).min(COLUMN_MAX)
        };
        let widths = *self.widths.get_or_insert_with(|| std::array::from_fn(widest));
        let text: String = waiting.iter().map(|row| line(row, &widths)).collect();
        print(&text);
    }
}

/// Puts text out. Where nobody reads any more, there is nothing left to do.
pub(super) fn print(text: &str) {
    let mut out = io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        let closed = error.kind() == ErrorKind::BrokenPipe;
        if !closed {
            eprintln!("hwtrace: error: cannot write standard output: {error}");
        }
        std::process::exit(i32::from(!closed));
    }
}

fn columns(row: &Row) -> [String; COLUMNS + 1] {
    let size = match (row.bits, row.size) {
        (Some(bits), _) => format!(":{}", bits.width),
        (None, Some(size)) => size.to_string(),
        (None, None) => "?".to_owned(),
    };
    let place = match row.place {
        Place::Address(address) => format!("{address:#x}"),
        Place::In(whole, offset) => format!("{}+{offset:#x}", whole.name()),
    };
    let ty = row.ty.as_deref().map_or("?".to_owned(), shortened);
    [row.name.clone(), ty, size, place, line_of(row.declared.as_ref())]
}

/// `valve.c:12`
pub(super) fn line_of(line: Option<&Line>) -> String {
    let Some(Line { file, line }) = line else { return String::new() };
    let name = file.rsplit('/').next().unwrap_or(file);
    if *line == 0 { name.to_owned() } else { format!("{name}:{line}") }
}

/// Types of C++ and Rust can be longer than any line.
pub(super) fn shortened(ty: &str) -> String {
    match ty.char_indices().nth(COLUMN_MAX) {
        Some(_) => ty.chars().take(COLUMN_MAX - 1).chain(['…']).collect(),
        None => ty.to_owned(),
    }
}

fn line(row: &[String; COLUMNS + 1], widths: &[usize; COLUMNS]) -> String {
    let [name, ty, size, place, declared] = row;
    let [a, b, c, d] = *widths;
    let line = format!("{name:a$}  {ty:b$}  {size:>c$}  {place:>d$}  {declared}");
    format!("{}\n", line.trim_end())
}

fn object(row: &Row) -> String {
    let (within, address, offset) = match row.place {
        Place::Address(address) => (None, Some(format!("{address:#x}")), None),
        Place::In(whole, offset) => (Some(whole.name()), None, Some(offset)),
    };
    let object = Object {
        kind: "data",
        name: &row.name,
        ty: row.ty.as_deref(),
        size: row.size,
        bit_offset: row.bits.map(|bits| bits.offset),
        bit_width: row.bits.map(|bits| bits.width),
        within,
        address,
        offset,
        file: row.declared.as_ref().map(|line| &*line.file),
        line: row.declared.as_ref().map(|line| line.line).filter(|line| *line > 0),
    };
    // Strings and numbers always have a form in JSON.
    serde_json::to_string(&object).unwrap_or_default()
}
