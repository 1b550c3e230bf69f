//! From a name to the variable that has it: by the symbol tables, which cost least,
//! and then by debug information, which also tells the type.

use std::path::Path;

use super::error::{Choice, ResolveError};
use crate::address::{AbsAddr, VirtOffset};
use crate::expr::Expression;
use crate::image::{Image, Module};
use crate::symbols::{Candidate, DataSymbol, LookupError, split_file, strip_version};
use crate::types::{Line, Place, TypeId, Variable};

/// A variable of an image.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// The number of its module.
    pub(super) module: usize,
    /// [`Place::Fixed`] or [`Place::ThreadLocal`].
    pub(super) place: Place,
    /// What the symbol table says of its length.
    pub(super) symbol_size: Option<u64>,
    pub(super) ty: Option<TypeId>,
    pub(super) declared: Option<Line>,
}

/// Finds a variable: in the files called `module`, or else in the executable and then
/// in its libraries.
pub(super) fn find(
    image: &Image,
    module: Option<&str>,
    name: &str,
) -> Result<Known, ResolveError> {
    let Some(file) = module else { return find_anywhere(image, name) };
    let mut named = image.modules_named(file).peekable();
    if named.peek().is_none() {
        let names = image.modules().iter().filter_map(|module| module.path().file_name());
        let loaded = names.map(|name| name.to_string_lossy().into_owned()).collect();
        return Err(ResolveError::NoSuchModule { module: file.to_owned(), loaded });
    }
    let results = named.map(|(number, _)| find_in(image, number, name));
    first_found(results).unwrap_or_else(|| Err(missing(image, 0, name)))
}

/// The first that was found, or else the first error.
fn first_found(
    results: impl Iterator<Item = Result<Known, ResolveError>>,
) -> Option<Result<Known, ResolveError>> {
    let mut first = None;
    for result in results {
        if result.is_ok() {
            return Some(result);
        }
        first.get_or_insert(result);
    }
    first
}

/// Is there a symbol of this very text, dots and all?
pub(super) fn find_symbol(
    image: &Image,
    module: Option<&str>,
    name: &str,
) -> Option<Known> {
    let number = match module {
        Some(file) => image.modules_named(file).next()?.0,
        None => 0,
    };
    let elf = image.modules().get(number)?.elf()?;
    // Only names of C++ and Rust are mangled: all others cost little to look for.
    let symbol = match name.contains("::") {
        true => elf.search_data(name),
        false => elf.search_raw_data(name),
    };
    let symbol = symbol?.ok()?;
    Some(with_type(image, number, name, &symbol))
}

fn find_anywhere(image: &Image, name: &str) -> Result<Known, ResolveError> {
    let main = find_in(image, 0, name);
    let elsewhere = match &main {
        Ok(_) => return main,
        Err(error) => matches!(
            error,
            ResolveError::NoSuchSymbol { .. }
                | ResolveError::Stripped { .. }
                | ResolveError::InSharedLibrary { .. }
        ),
    };
    if !elsewhere {
        return main;
    }
    let libraries = image.modules().iter().enumerate().skip(1);
    let mut found = libraries.filter_map(|(number, module)| {
        match module.elf()?.search_data(name)? {
            Ok(symbol) => Some(Ok(with_type(image, number, name, &symbol))),
            // One that only uses it, or calls a function so.
            Err(LookupError::Imported | LookupError::Function) => None,
            Err(error) => Some(Err(from_lookup(error, image, number, name))),
        }
    });
    found.next().unwrap_or(main)
}

fn find_in(image: &Image, number: usize, name: &str) -> Result<Known, ResolveError> {
    let Some(elf) = image.modules().get(number).and_then(Module::elf) else {
        return Err(missing(image, number, name));
    };
    match elf.search_data(name) {
        Some(Ok(symbol)) => Ok(with_type(image, number, name, &symbol)),
        Some(Err(error @ (LookupError::Function | LookupError::Imported))) => {
            by_debug_information(image, number, name)
                .unwrap_or_else(|| Err(from_lookup(error, image, number, name)))
        }
        Some(Err(error)) => Err(from_lookup(error, image, number, name)),
        None => by_debug_information(image, number, name)
            .unwrap_or_else(|| Err(missing(image, number, name))),
    }
}

/// The name as debug information has it.
fn path_of(name: &str) -> &str {
    let (path, _) = split_file(name);
    let path = strip_version(path);
    path.strip_prefix("crate::").unwrap_or(path)
}

/// What debug information tells of a symbol.
fn with_type(image: &Image, number: usize, name: &str, symbol: &DataSymbol) -> Known {
    let place = match symbol.thread_local {
        true => Place::ThreadLocal(symbol.address.0),
        false => Place::Fixed(symbol.address),
    };
    let debug = image.modules().get(number).and_then(|module| module.debug().ok());
    let variable = debug.and_then(|debug| {
        let mut named = debug.variables(path_of(name)).into_iter();
        let same = named.find(|variable| variable.place == place);
        // It may have a name that only the linker knows.
        same.or_else(|| {
            let found = debug.variable_at(symbol.address);
            found.filter(|variable| variable.place == place)
        })
    });
    Known {
        module: number,
        place,
        symbol_size: Some(symbol.size).filter(|&size| size > 0),
        ty: variable.as_ref().map(|variable| variable.ty),
        declared: variable.and_then(|variable| variable.declared),
    }
}

/// A variable without a symbol, or why it is none; nothing where there is no such
/// name.
fn by_debug_information(
    image: &Image,
    number: usize,
    name: &str,
) -> Option<Result<Known, ResolveError>> {
    let module = image.modules().get(number)?;
    let mut variables = module.debug().ok()?.variables(path_of(name));
    if let (_, Some(file)) = split_file(name) {
        let is_in = |line: &Line| Path::new(&*line.file).ends_with(file);
        variables.retain(|variable| variable.declared.as_ref().is_some_and(is_in));
    }
    let placed = |variable: &&Variable| {
        matches!(variable.place, Place::Fixed(_) | Place::ThreadLocal(_))
    };
    let mut found: Vec<_> = variables.iter().filter(placed).collect();
    found.dedup_by_key(|variable| variable.place);
    let name = name.to_owned();
    Some(match (found.as_slice(), variables.first()) {
        ([only], _) => Ok(Known {
            module: number,
            place: only.place,
            symbol_size: None,
            ty: Some(only.ty),
            declared: only.declared.clone(),
        }),
        ([], None) => return None,
        ([], Some(Variable { place: Place::OptimizedOut, declared, .. })) => {
            Err(ResolveError::OptimizedOut { name, declared: declared.clone() })
        }
        ([], Some(variable)) => {
            Err(ResolveError::Local { name, declared: variable.declared.clone() })
        }
        (several, _) => {
            let candidates =
                several.iter().map(|it| choice_of(image, module, it)).collect();
            Err(ResolveError::Ambiguous { name, candidates })
        }
    })
}

fn choice_of(image: &Image, module: &Module, variable: &Variable) -> Choice {
    let virt = match variable.place {
        Place::Fixed(virt) => virt,
        Place::ThreadLocal(offset) => VirtOffset(offset),
        Place::OptimizedOut | Place::Elsewhere => VirtOffset(0),
    };
    let path = variable.declared.as_ref().map(|line| Path::new(&*line.file));
    let file = path.and_then(|path| path.file_name()?.to_str()).map(str::to_owned);
    let address = loaded(module, virt);
    let size = (image as &dyn crate::types::Types).size(variable.ty).unwrap_or(0);
    let name = variable.name.clone();
    let expression = match &file {
        Some(file) => format!("{name}@{file}"),
        None => address.to_string(),
    };
    let declared = variable.declared.clone();
    Choice { expression, name, address, size, file, declared }
}

/// Its address in the process, or else in the file.
fn loaded(module: &Module, virt: VirtOffset) -> AbsAddr {
    module.bias().map_or(AbsAddr(virt.0), |bias| bias.to_abs(virt))
}

fn missing(image: &Image, number: usize, name: &str) -> ResolveError {
    let name = name.to_owned();
    let Some(module) = image.modules().get(number) else {
        let searched = "the process".into();
        return ResolveError::NoSuchSymbol { name, nearest: Vec::new(), searched };
    };
    let path = module.path().to_path_buf();
    match module.elf() {
        Some(elf) if !elf.has_symbols() => ResolveError::Stripped { name, path },
        elf => {
            let nearest = elf.map(|elf| match elf.find_data(&name) {
                Err(LookupError::Missing { nearest }) => nearest,
                _ => Vec::new(),
            });
            let nearest = nearest.unwrap_or_default();
            ResolveError::NoSuchSymbol { name, nearest, searched: path }
        }
    }
}

fn from_lookup(
    error: LookupError,
    image: &Image,
    number: usize,
    name: &str,
) -> ResolveError {
    match error {
        LookupError::Missing { .. } => missing(image, number, name),
        LookupError::Ambiguous { candidates } => {
            let modules = image.modules().get(number);
            let choices = modules.map(|module| {
                let of = |candidate| choice(module, name, candidate);
                candidates.into_iter().map(of).collect()
            });
            let candidates = choices.unwrap_or_default();
            ResolveError::Ambiguous { name: name.to_owned(), candidates }
        }
        LookupError::Function => ResolveError::Function { name: name.to_owned() },
        LookupError::Imported => ResolveError::InSharedLibrary { name: name.to_owned() },
    }
}

fn choice(module: &Module, wanted: &str, candidate: Candidate) -> Choice {
    let Candidate { name, address, size, file } = candidate;
    // Only what leads there is offered.
    let leads_there = |text: &String| {
        let found = module.elf().and_then(|elf| elf.search_data(text));
        Expression::parse(text).is_ok()
            && matches!(found, Some(Ok(found)) if found.address == address)
    };
    let with_file = file.as_ref().map(|file| format!("{name}@{file}"));
    let mut texts = [Some(name.clone()), with_file].into_iter().flatten();
    let variables = module.debug().map(|debug| debug.variables(path_of(wanted)));
    let mut variables = variables.unwrap_or_default().into_iter();
    let same = variables.find(|variable| variable.place == Place::Fixed(address));
    let address = loaded(module, address);
    let expression = texts.find(leads_there).unwrap_or_else(|| address.to_string());
    let declared = same.and_then(|variable| variable.declared);
    Choice { expression, name, address, size, file, declared }
}
