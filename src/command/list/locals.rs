//! `hwtrace list -p … --locals FUNCTION`: parameters and local variables, and where
//! they are.

use std::collections::HashSet;
use std::ops::Range;

use hwtrace::cli::{ListArgs, ListFormat};
use hwtrace_lang::parse::glob;
use hwtrace_lang::suggest;
use hwtrace_probes::dwarf::{Function, Local};
use hwtrace_probes::image::Module;
use hwtrace_probes::types::{Line, Types, type_name};
use hwtrace_probes::{Dwarf, VirtOffset};
use serde::Serialize;

use super::output::{line_of, print, shortened};
use super::pattern::Wanted;
use super::program::{self, Program};
use super::{Refused, tell};

/// A function, or a copy of it within another.
#[derive(Serialize)]
struct Object<'a> {
    kind: &'static str,
    name: &'a str,
    file: Option<&'a str>,
    line: Option<u32>,
    inlined_into: Option<&'a str>,
    call_file: Option<&'a str>,
    call_line: Option<u32>,
    frame_base: Option<&'a str>,
    ranges: Vec<Span>,
    locals: Vec<Variable<'a>>,
}

#[derive(Serialize)]
struct Variable<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    ty: String,
    size: Option<u64>,
    parameter: bool,
    file: Option<&'a str>,
    line: Option<u32>,
    scope: Vec<Span>,
    places: Vec<At<'a>>,
}

/// Addresses of code; the end is behind it.
#[derive(Serialize)]
struct Span {
    start: String,
    end: String,
}

#[derive(Serialize)]
struct At<'a> {
    /// Where it is; none for the whole scope.
    span: Option<Span>,
    place: &'a str,
}

pub(super) fn run(args: &ListArgs, program: &str, function: &str) -> Result<(), Refused> {
    let wanted = Wanted::new(function);
    let program = Program::open(program, wanted.module.is_some())?;
    let mut listed = 0;
    let mut refused = None;
    for module in program.chosen(wanted.module)? {
        let shown = shown_of(&program, module, &wanted, args);
        match shown {
            Ok(count) => listed += count,
            Err(why) => refused = refused.or(Some(why)),
        }
    }
    match refused {
        Some(refused) if listed == 0 => return Err(refused),
        _ if args.format == ListFormat::Human => {
            let text = "local variables are listed, and cannot be watched yet: that comes \
                        with probes of functions";
            tell(args.format, "note", text);
        }
        _ => {}
    }
    Ok(())
}

/// Lists the functions of one file; gives how many there were.
fn shown_of(
    program: &Program,
    module: &Module,
    wanted: &Wanted<'_>,
    args: &ListArgs,
) -> Result<usize, Refused> {
    let dwarf = program
        .debug(module)
        .map_err(|why| program::without_debug_information(module, &why))?;
    let shown = Shown { dwarf: &dwarf, module };
    let fits = |name: &String| glob(wanted.data.as_bytes(), name.as_bytes());
    let names: Vec<_> = match wanted.data.contains(['*', '?']) {
        true => dwarf.function_names().into_iter().filter(fits).collect(),
        false => vec![wanted.data.to_owned()],
    };
    // By the end of its path one may come under several names.
    let mut seen = HashSet::new();
    for function in names.iter().flat_map(|name| dwarf.functions_named(name)) {
        if seen.insert(function.clone()) {
            shown.print(&function, args);
        }
    }
    match seen.len() {
        0 => Err(missing(&dwarf, module, wanted.data)),
        count => Ok(count),
    }
}

fn missing(dwarf: &Dwarf, module: &Module, pattern: &str) -> Refused {
    let names = dwarf.function_names();
    let nearest = suggest::did_you_mean(pattern, names.iter().map(String::as_str));
    let file = module.path().display();
    Refused::new(format!("no function matches `{pattern}` in {file}")).help(nearest)
}

/// What functions of a file look like.
struct Shown<'a> {
    dwarf: &'a Dwarf,
    module: &'a Module,
}

impl Shown<'_> {
    fn print(&self, function: &Function, args: &ListArgs) {
        let pattern = args.pattern.as_deref().unwrap_or("*");
        let fits = |it: &&Local| glob(pattern.as_bytes(), it.name.as_bytes());
        let locals: Vec<_> = function.locals.iter().filter(fits).collect();
        match args.format {
            ListFormat::Human => print(&self.text(function, &locals)),
            ListFormat::Json => print(&(self.object(function, &locals) + "\n")),
            ListFormat::Names => {
                locals.iter().for_each(|local| print(&format!("{}\n", local.name)));
            }
        }
    }

    /// The function, and a line of each of its variables and their places.
    fn text(&self, function: &Function, locals: &[&Local]) -> String {
        let mut text = self.head(function) + "\n";
        let rows: Vec<_> = locals.iter().map(|local| self.columns(local)).collect();
        let width = |column: usize| {
            rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)
        };
        let (names, types, sizes) = (width(1), width(2), width(3));
        for (local, [kind, name, ty, size]) in locals.iter().zip(&rows) {
            let line = line_of(local.declared.as_ref());
            let head = format!("  {kind:9}  {name:names$}  {ty:types$}  {size:>sizes$}");
            text += format!("{head}  {}  {line}", self.place(local)).trim_end();
            text.push('\n');
            text += &self.places(local);
        }
        text
    }

    /// `put (put.h:1), inlined into main at main.c:4, 0x1136-0x1140, frame base cfa`
    fn head(&self, function: &Function) -> String {
        let mut text = function.name.clone();
        if function.declared.is_some() {
            text += &format!(" ({})", line_of(function.declared.as_ref()));
        }
        if let Some(inlined) = &function.inlined {
            text += &format!(", inlined into {}", inlined.into);
            if inlined.call.is_some() {
                text += &format!(" at {}", line_of(inlined.call.as_ref()));
            }
        }
        let ranges = function.ranges.iter().map(|range| self.range(range));
        text += &format!(", {}", ranges.collect::<Vec<_>>().join(" "));
        if let Some(frame) = &function.frame {
            text += &format!(", frame base {frame}");
        }
        text
    }

    fn columns(&self, local: &Local) -> [String; 4] {
        let kind = if local.parameter { "parameter" } else { "local" };
        let types: &dyn Types = self.dwarf;
        let size = types.size(local.ty).map_or("?".to_owned(), |size| size.to_string());
        let ty = shortened(&type_name(types, local.ty));
        [kind.to_owned(), local.name.clone(), ty, size]
    }

    /// The one place that it is at; of several each has a line.
    fn place(&self, local: &Local) -> String {
        match local.places.as_slice() {
            [(None, place)] => place.clone(),
            [(Some(range), place)] => format!("{place} at {}", self.range(range)),
            several => format!("{} places", several.len()),
        }
    }

    fn places(&self, local: &Local) -> String {
        if local.places.len() < 2 {
            return String::new();
        }
        let line = |(range, place): &(Option<Range<VirtOffset>>, String)| {
            let range = range.as_ref().map_or_else(String::new, |it| self.range(it));
            format!("      {range}  {place}\n")
        };
        local.places.iter().map(line).collect()
    }

    fn range(&self, range: &Range<VirtOffset>) -> String {
        let Span { start, end } = self.span(range);
        format!("{start}-{end}")
    }

    fn span(&self, range: &Range<VirtOffset>) -> Span {
        let shown = |at| format!("{:#x}", program::address(self.module, at).0);
        Span { start: shown(range.start), end: shown(range.end) }
    }

    fn spans(&self, ranges: &[Range<VirtOffset>]) -> Vec<Span> {
        ranges.iter().map(|range| self.span(range)).collect()
    }

    fn object(&self, function: &Function, locals: &[&Local]) -> String {
        let call = function.inlined.as_ref().and_then(|inlined| inlined.call.as_ref());
        let object = Object {
            kind: "function",
            name: &function.name,
            file: file(function.declared.as_ref()),
            line: number(function.declared.as_ref()),
            inlined_into: function.inlined.as_ref().map(|inlined| &*inlined.into),
            call_file: file(call),
            call_line: number(call),
            frame_base: function.frame.as_deref(),
            ranges: self.spans(&function.ranges),
            locals: locals.iter().map(|local| self.variable(local)).collect(),
        };
        // Strings and numbers always have a form in JSON.
        serde_json::to_string(&object).unwrap_or_default()
    }

    fn variable<'a>(&self, local: &'a Local) -> Variable<'a> {
        let types: &dyn Types = self.dwarf;
        let at = |(range, place): &'a (Option<Range<VirtOffset>>, String)| At {
            span: range.as_ref().map(|range| self.span(range)),
            place,
        };
        Variable {
            name: &local.name,
            ty: type_name(types, local.ty),
            size: types.size(local.ty),
            parameter: local.parameter,
            file: file(local.declared.as_ref()),
            line: number(local.declared.as_ref()),
            scope: self.spans(&local.scope),
            places: local.places.iter().map(at).collect(),
        }
    }
}

fn file(line: Option<&Line>) -> Option<&str> {
    line.map(|line| &*line.file)
}

fn number(line: Option<&Line>) -> Option<u32> {
    line.map(|line| line.line).filter(|line| *line > 0)
}
