//! `hwtrace list -k`: data of the kernel, and of the `task_struct` that it keeps of each
//! thread.

use std::collections::{HashMap, HashSet};

use hwtrace::cli::ListArgs;
use hwtrace_lang::suggest;
use hwtrace_probes::btf::{Btf, BtfError, BtfVariable};
use hwtrace_probes::kernel::{self, KernelError, TASK, path};
use hwtrace_probes::listing::{self, Pattern};
use hwtrace_probes::spec::KernelObject;
use hwtrace_probes::symbols::KernelData;
use hwtrace_probes::symbols::kallsyms::KERNEL;
use hwtrace_probes::symbols::kernel_data::KernelVariable;
use hwtrace_probes::types::{self, Type, TypeId, Types, Variable};
use hwtrace_probes::{AbsAddr, VirtOffset};

use super::output::{Output, Place, Row, Whole};
use super::{Refused, did_you_mean, tell};

/// What the `task_struct` of a thread is called in patterns.
const ANY_TASK: &str = "task";

pub(super) fn run(args: &ListArgs) -> Result<(), Refused> {
    let text = args.pattern.as_deref().unwrap_or("*");
    let types = Btf::running(0);
    let mut out = Output::new(args.format);
    let named = match text.rsplit_once("->") {
        Some((pointer, members)) => {
            let part = behind(types.as_ref().map_err(no_types)?, pointer)?;
            part.list(&format!(".{members}"), &mut out)
        }
        None if text.split(['.', '[']).next() == Some(ANY_TASK) => {
            let part = task(types.as_ref().map_err(no_types)?)?;
            part.list(&text[ANY_TASK.len()..], &mut out)
        }
        None => {
            let kernel = Kernel::new(types.as_ref().ok())?;
            kernel.list(&Pattern::new(text), &mut out);
            kernel.nearest(text)
        }
    };
    out.flush();
    if out.rows() == 0 {
        let text = format!("no data of the kernel matches `{text}`");
        return Err(Refused::new(text).help(named));
    }
    if let Err(error) = &types {
        tell(args.format, "note", &format!("types are not known: {error}"));
    }
    Ok(())
}

fn no_types(error: &BtfError) -> Refused {
    Refused::new(error.to_string())
}

/// Members of something that has no address of its own.
struct Members<'a> {
    types: &'a Btf,
    ty: TypeId,
    /// What stands before their names: `task.`, `task.signal->`.
    before: String,
    whole: Whole,
}

fn task(types: &Btf) -> Result<Members<'_>, Refused> {
    let ty = types.named(TASK);
    let ty =
        ty.ok_or_else(|| Refused::new(format!("the kernel's types lack `{TASK}`")))?;
    Ok(Members { types, ty, before: format!("{ANY_TASK}."), whole: Whole::Task })
}

/// What a pointer points to.
fn behind<'a>(types: &'a Btf, pointer: &str) -> Result<Members<'a>, Refused> {
    let refused = |text: String| {
        let help =
            "name all that leads to a member, as in 'task.signal->oom*'".to_owned();
        Refused::new(text).help(help)
    };
    let (name, mut path) =
        path::split(pointer).map_err(|error| refused(error.to_string()))?;
    // A task's path begins with a member.
    let object = match name == ANY_TASK && !path.0.is_empty() {
        true => KernelObject::Task { tid: 0, path: std::mem::take(&mut path) },
        false => KernelObject::Variable { name, path },
    };
    let target = kernel::typed(types, &object).and_then(|(ty, _)| {
        match *(types as &dyn Types).plain(ty).1 {
            Type::Pointer { to, .. } => Some(to),
            _ => None,
        }
    });
    let ty = target.ok_or_else(|| {
        refused(format!("`{pointer}` is no pointer that the kernel's types tell of"))
    })?;
    Ok(Members { types, ty, before: format!("{pointer}->"), whole: Whole::Pointer })
}

impl Members<'_> {
    /// Lists those that match a pattern that begins with a dot; gives what is spelt like
    /// it.
    fn list(&self, pattern: &str, out: &mut Output) -> Option<String> {
        self.each(&Pattern::new(pattern), &mut |entry| {
            let types::Place::Fixed(offset) = entry.place else { return };
            out.row(&Row {
                name: format!("{}{}", self.before, entry.name.trim_start_matches('.')),
                ty: Some(entry.ty),
                size: entry.size,
                bits: entry.bits,
                place: Place::In(self.whole, offset.0),
                declared: None,
            });
        });
        if out.rows() > 0 {
            return None;
        }
        let mut names = Vec::new();
        let full =
            |name: &str| format!("{}{}", self.before, name.trim_start_matches('.'));
        self.each(&Pattern::new(".*"), &mut |entry| names.push(full(&entry.name)));
        let wanted = full(&pattern.replace(['*', '?'], ""));
        suggest::did_you_mean(&wanted, names.iter().map(String::as_str))
    }

    fn each(&self, pattern: &Pattern, each: &mut dyn FnMut(listing::Entry)) {
        let place = types::Place::Fixed(VirtOffset(0));
        let variable =
            Variable { name: String::new(), ty: self.ty, place, declared: None };
        listing::entries(self.types, &variable, pattern, each);
    }
}

/// The variables of the kernel.
struct Kernel<'a> {
    symbols: KernelData,
    types: Option<&'a Btf>,
    typed: HashMap<String, BtfVariable>,
}

impl<'a> Kernel<'a> {
    fn new(types: Option<&'a Btf>) -> Result<Self, Refused> {
        let symbols = KernelData::running();
        if symbols.is_hidden() {
            return Err(Refused::new(KernelError::Hidden.to_string()));
        }
        let typed = types.into_iter().flat_map(Btf::variables);
        let typed = typed.map(|variable| (variable.name.clone(), variable)).collect();
        Ok(Self { symbols, types, typed })
    }

    /// Lists symbols by address, then those that only types tell of.
    fn list(&self, pattern: &Pattern, out: &mut Output) {
        let mut seen = HashSet::new();
        for symbol in self.symbols.variables() {
            // Another variable of a module may have the same name.
            let own = symbol.module == KERNEL;
            let typed = self.typed.get(symbol.name).filter(|_| own);
            seen.insert(symbol.name);
            match (self.types, typed) {
                (Some(types), Some(typed)) => {
                    let start = symbol.start.0;
                    self.variable(types, typed, start, pattern, out);
                }
                _ if pattern.matches(symbol.name) => out.row(&self.untyped(&symbol)),
                _ => {}
            }
        }
        let Some(types) = self.types else { return };
        let unseen = |typed: &&BtfVariable| !seen.contains(&*typed.name);
        let mut rest: Vec<_> = self.typed.values().filter(unseen).collect();
        rest.retain(|typed| typed.is_per_cpu());
        rest.sort_by_key(|typed| (typed.offset, &typed.name));
        for typed in rest {
            self.variable(types, typed, typed.offset.into(), pattern, out);
        }
    }

    /// A variable with its parts, as far as the pattern goes.
    fn variable(
        &self,
        types: &Btf,
        typed: &BtfVariable,
        start: u64,
        pattern: &Pattern,
        out: &mut Output,
    ) {
        let variable = Variable {
            name: typed.name.clone(),
            ty: typed.ty,
            place: types::Place::Fixed(VirtOffset(start)),
            declared: None,
        };
        listing::entries(types, &variable, pattern, &mut |entry| {
            let types::Place::Fixed(at) = entry.place else { return };
            let distance = at.0.wrapping_sub(start);
            out.row(&Row {
                name: entry.name,
                ty: Some(entry.ty),
                size: entry.size,
                bits: entry.bits,
                place: self.place(start, distance),
                declared: None,
            });
        });
    }

    fn untyped(&self, symbol: &KernelVariable<'_>) -> Row {
        Row {
            name: symbol.name.to_owned(),
            ty: None,
            size: Some(symbol.size),
            bits: None,
            place: self.place(symbol.start.0, 0),
            declared: None,
        }
    }

    /// What is so many bytes behind a symbol.
    fn place(&self, symbol: u64, distance: u64) -> Place {
        match kernel::per_cpu_offset(&self.symbols, AbsAddr(symbol)) {
            Some(offset) => Place::In(Whole::Cpu, offset.wrapping_add(distance)),
            None => Place::Address(symbol.wrapping_add(distance)),
        }
    }

    /// What may have been meant, or why there is so little.
    fn nearest(&self, pattern: &str) -> Option<String> {
        let name = pattern.split(['.', '[']).next().unwrap_or(pattern);
        let name = name.replace(['*', '?'], "");
        let few = "this kernel tells of few of its variables (CONFIG_KALLSYMS_ALL is off); \
                   'task.*' lists what kernel.task(PID) has";
        did_you_mean(&self.symbols.nearest(&name))
            .or_else(|| (!self.symbols.is_complete()).then(|| few.to_owned()))
    }
}
