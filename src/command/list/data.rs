//! `hwtrace list -p`: the data of a process or file that can be watched.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use hwtrace::cli::ListArgs;
use hwtrace_probes::image::Module;
use hwtrace_probes::listing::{self, PARTS_MAX, Pattern};
use hwtrace_probes::symbols::DataSymbol;
use hwtrace_probes::symbols::Elf;
use hwtrace_probes::types::{self, DebugInfo, Types, Variable};
use hwtrace_probes::{Dwarf, Expression, type_of};

use super::output::{Output, Place, Row, Whole};
use super::pattern::{One, Wanted};
use super::program::{self, Program};
use super::{Refused, did_you_mean, tell};

pub(super) fn run(args: &ListArgs, program: &str) -> Result<(), Refused> {
    let wanted = Wanted::new(args.pattern.as_deref().unwrap_or("*"));
    let program = Program::open(program, wanted.module.is_some())?;
    let mut out = Output::new(args.format);
    let mut left = Left::default();
    let chosen = program.chosen(wanted.module)?;
    for module in &chosen {
        let Some(elf) = module.elf() else { continue };
        let debug = program.debug(module);
        let lister = Lister::new(&wanted, module, elf, &mut out, &mut left);
        match &debug {
            Ok(dwarf) => lister.by_debug_information(dwarf, args.verbose),
            Err(why) => {
                lister.by_symbols();
                left.untyped.push(program::without_debug_information(module, why));
            }
        }
    }
    out.flush();
    if out.rows() == 0 {
        let module = chosen.first().copied();
        return Err(nothing(&wanted, &program, module, left));
    }
    for remark in left.remarks() {
        tell(args.format, "note", &remark);
    }
    Ok(())
}

/// What is not listed, or not all of it.
#[derive(Default)]
struct Left {
    /// Files without debug information, and what to do.
    untyped: Vec<Refused>,
    /// Variables with more parts than are listed.
    cut: Vec<String>,
    /// How many were optimised out.
    optimized_out: usize,
}

impl Left {
    fn remarks(&self) -> Vec<String> {
        let mut all = Vec::new();
        for Refused { text, help } in &self.untyped {
            let help = help.as_deref().unwrap_or_default();
            all.push(format!("{text}: these are its symbols, with their sizes; {help}"));
        }
        for name in &self.cut {
            all.push(format!(
                "`{name}` has more than {PARTS_MAX} parts: name one in the pattern to \
                 see those behind"
            ));
        }
        match self.optimized_out {
            0 => {}
            1 => all.push("1 variable was optimised out: it is in no memory".to_owned()),
            many => all.push(format!(
                "{many} variables were optimised out: they are in no memory"
            )),
        }
        all
    }
}

/// How the names of tables of virtual functions end in Rust.
const VTABLE: &str = "::{vtable}";

/// Lists the data of one file.
struct Lister<'a> {
    wanted: &'a Wanted<'a>,
    module: &'a Module,
    elf: &'a Elf,
    out: &'a mut Output,
    left: &'a mut Left,
    /// What stands before the names of a library's data.
    prefix: String,
    /// Where variables lie that debug information tells of.
    seen: HashSet<types::Place>,
}

impl<'a> Lister<'a> {
    fn new(
        wanted: &'a Wanted<'a>,
        module: &'a Module,
        elf: &'a Elf,
        out: &'a mut Output,
        left: &'a mut Left,
    ) -> Self {
        let prefix = match wanted.module {
            Some(_) => before_names(&program::file_name(module.path())),
            None => String::new(),
        };
        Self { wanted, module, elf, out, left, prefix, seen: HashSet::new() }
    }

    fn by_debug_information(mut self, dwarf: &Dwarf, count: bool) {
        if let Some(one) = self.wanted.variable() {
            return self.one(dwarf, &one);
        }
        let pattern = Pattern::new(self.wanted.data);
        let files = files(self.elf);
        dwarf.all_variables(&mut |variable| {
            self.seen.insert(variable.place);
            // What rustc makes for itself.
            if variable.name.ends_with(VTABLE) {
                return;
            }
            let twice = files.contains_key(&*variable.name);
            let file = if twice { file_of(&files, &variable) } else { None };
            self.variable(dwarf, &variable, &pattern, file.as_deref());
        });
        // What other compilers and assemblers put there.
        self.symbols(&pattern);
        if count {
            let names = dwarf.optimized_out();
            let all = names.iter().filter(|name| pattern.matches(name));
            self.left.optimized_out += all.count();
        }
    }

    fn one(mut self, dwarf: &Dwarf, one: &One<'_>) {
        let mut found = dwarf.variables(one.name);
        let mut count: HashMap<String, usize> = HashMap::new();
        for variable in &found {
            *count.entry(variable.name.clone()).or_default() += 1;
        }
        let twice = |variable: &Variable| count[&variable.name] > 1;
        let files = match found.iter().any(twice) {
            true => files(self.elf),
            false => HashMap::new(),
        };
        let file = |variable: &Variable| file_of(&files, variable);
        found.retain(|variable| one.is_in(variable, file(variable).as_deref()));
        let out = |variable: &&Variable| variable.place == types::Place::OptimizedOut;
        self.left.optimized_out += found.iter().filter(out).count();
        found.retain(|variable| place(self.module, variable.place).is_some());
        for variable in &found {
            let file = if twice(variable) { file(variable) } else { None };
            let pattern = one.pattern(&variable.name);
            self.variable(dwarf, variable, &pattern, file.as_deref());
        }
        if found.is_empty() {
            self.by_symbols();
        }
    }

    fn by_symbols(mut self) {
        let Some(one) = self.wanted.variable() else {
            return self.symbols(&Pattern::new(self.wanted.data));
        };
        let name = match one.file {
            Some(file) => format!("{}@{file}", one.name),
            None => one.name.to_owned(),
        };
        if one.parts.is_empty()
            && let Some(Ok(symbol)) = self.elf.search_data(&name)
        {
            self.symbol(name, &symbol);
        }
    }

    /// A variable and its parts, as far as the pattern goes. Where others have the same
    /// name, its file tells them apart.
    fn variable(
        &mut self,
        types: &dyn Types,
        variable: &Variable,
        pattern: &Pattern,
        file: Option<&str>,
    ) {
        let file = file.map(|file| format!("@{file}"));
        let own = variable.name.len();
        let cut = listing::entries(types, variable, pattern, &mut |entry| {
            let Some(place) = place(self.module, entry.place) else { return };
            let (name, parts) = entry.name.split_at(own);
            let file = file.as_deref().unwrap_or_default();
            let size = entry.size.or_else(|| self.size(entry.place));
            self.out.row(&Row {
                name: format!("{}{name}{file}{parts}", self.prefix),
                ty: Some(entry.ty),
                size,
                bits: entry.bits,
                place,
                declared: entry.declared,
            });
        });
        if cut {
            self.left.cut.push(variable.name.clone());
        }
    }

    /// Of what has no size of its own, the symbol's.
    fn size(&self, place: types::Place) -> Option<u64> {
        let types::Place::Fixed(address) = place else { return None };
        let symbol = self.elf.data_at(address)?;
        (symbol.start == address).then_some(symbol.size)
    }

    fn symbols(&mut self, pattern: &Pattern) {
        let elf = self.elf;
        // Next to what has debug information, what C's own startup brings is no news.
        let all = self.seen.is_empty() || self.wanted.data.starts_with('_');
        let wanted = |name: &str| all || !is_reserved(name);
        elf.each_data(&mut |data| {
            let name = data.name();
            // Linkers mark places with names that have no size.
            let fits = data.symbol.size > 0 && pattern.matches(&name);
            if fits && wanted(&name) && self.seen.insert(place_of(&data.symbol)) {
                self.symbol(name, &data.symbol);
            }
        });
    }

    fn symbol(&mut self, name: String, symbol: &DataSymbol) {
        let Some(place) = place(self.module, place_of(symbol)) else { return };
        self.out.row(&Row {
            name: format!("{}{name}", self.prefix),
            ty: None,
            size: Some(symbol.size).filter(|size| *size > 0),
            bits: None,
            place,
            declared: None,
        });
    }
}

/// Names that C leaves to compilers and libraries: `__x`, `_X`.
fn is_reserved(name: &str) -> bool {
    let second = name.strip_prefix('_').and_then(|rest| rest.chars().next());
    second.is_some_and(|second| second == '_' || second.is_ascii_uppercase())
}

/// `libz.so.1:`
fn before_names(file: &str) -> String {
    let bare = Expression::parse(&format!("{file}:x"));
    let names = |expression: &Expression| match expression {
        Expression::Name { module, .. } => module.as_deref() == Some(file),
        _ => false,
    };
    match bare.is_ok_and(|expression| names(&expression)) {
        true => format!("{file}:"),
        false => format!("\"{file}\":"),
    }
}

fn place_of(symbol: &DataSymbol) -> types::Place {
    match symbol.thread_local {
        true => types::Place::ThreadLocal(symbol.address.0),
        false => types::Place::Fixed(symbol.address),
    }
}

/// Where that is in the process; none of what is in no memory.
fn place(module: &Module, place: types::Place) -> Option<Place> {
    match place {
        types::Place::Fixed(address) => {
            Some(Place::Address(program::address(module, address).0))
        }
        types::Place::ThreadLocal(offset) => Some(Place::In(Whole::Thread, offset)),
        types::Place::OptimizedOut | types::Place::Elsewhere => None,
    }
}

/// Names that several symbols have, as statics of C in several files, with the places
/// and files.
type FilesOf<'a> = HashMap<Cow<'a, str>, Vec<(types::Place, Option<Cow<'a, str>>)>>;

fn files(elf: &Elf) -> FilesOf<'_> {
    let mut all = FilesOf::new();
    elf.each_data(&mut |data| {
        let places = all.entry(data.raw).or_default();
        places.push((place_of(&data.symbol), data.file));
    });
    all.retain(|_, places| places.iter().any(|(place, _)| *place != places[0].0));
    all
}

/// The file that has a variable: as symbols have it, which scripts go by.
fn file_of(files: &FilesOf<'_>, variable: &Variable) -> Option<String> {
    let mut same = files.get(&*variable.name).into_iter().flatten();
    let symbol = same.find(|(place, _)| *place == variable.place);
    symbol.and_then(|(_, file)| file.as_deref().map(str::to_owned)).or_else(|| {
        let path = &*variable.declared.as_ref()?.file;
        Some(path.rsplit('/').next().unwrap_or(path).to_owned())
    })
}

/// Why there is nothing to list.
fn nothing(
    wanted: &Wanted<'_>,
    program: &Program,
    module: Option<&Module>,
    left: Left,
) -> Refused {
    let file = module.map_or_else(String::new, |it| it.path().display().to_string());
    let missing = format!("no data matches `{}` in {file}", wanted.data);
    if let Some(Refused { text: _, help }) = left.untyped.into_iter().next() {
        let symbols = module.and_then(Module::elf).is_some_and(|elf| elf.has_symbols());
        let text = match symbols {
            true => format!("{missing}, which has no debug information"),
            false => format!("{missing}, which is stripped and has no debug information"),
        };
        return Refused::new(text).help(nearest(wanted, module).or(help));
    }
    if wanted.data.contains(['*', '?']) {
        let help = "`*` stays within a name, and `**` goes on into members and \
                    elements; of libraries 'lib.so:*' lists";
        return Refused::new(missing).help(nearest(wanted, module).or(Some(help.into())));
    }
    let library = wanted.module.map(|_| module.map(|it| program::file_name(it.path())));
    let prefix = library.flatten().map_or_else(String::new, |name| before_names(&name));
    let text = format!("{prefix}{}", wanted.data);
    let Ok(expression) = Expression::parse(&text) else { return Refused::new(missing) };
    match type_of(&program.image, &expression, None) {
        Err(error) => {
            let help = error.help().or_else(|| did_you_mean(&error.nearest()));
            Refused::new(error.to_string()).help(help)
        }
        Ok(_) => Refused::new(format!(
            "`{text}` is no variable of {file} and no member of one"
        ))
        .help(
            "`hwtrace watch` takes it as it is, here are variables and members"
                .to_owned(),
        ),
    }
}

/// Names that are spelt like the variable's.
fn nearest(wanted: &Wanted<'_>, module: Option<&Module>) -> Option<String> {
    let end = wanted.data.find(['.', '[']).unwrap_or(wanted.data.len());
    let name = wanted.data[..end].replace(['*', '?'], "");
    let mut nearest = module?.elf()?.nearest_data(&name);
    nearest.retain(|near| *near != name);
    did_you_mean(&nearest)
}
