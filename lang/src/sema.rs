//! [`ast::Script`](crate::ast::Script) to [`typed::Program`](crate::typed::Program).
//!
//! Two walks. `infer` resolves every name, unifies types over the whole
//! program and reports everything that is wrong; `lower` then builds the
//! typed program and can not fail. What autoprint needs to know, which globals
//! are written and never read, falls out of the first.

mod autoprint;
mod data;
mod extractor;
mod functions;
mod hints;
mod infer;
mod lower;
mod objects;
mod plan;
mod print;
mod report;
mod scope;
mod types;
mod visit;

pub use self::autoprint::AUTOPRINT_PRIORITY;

use crate::ast::Script;
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::environment::Environment;
use crate::typed::{FunctionId, Program};
use functions::Functions;
use infer::Infer;
use lower::Lower;
use plan::Planned;
use report::Report;
use scope::{Globals, Handler, Names};
use types::Types;
use visit::Features;

/// What a check may let pass.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// `--unsafe`: functions that act on the system may be called.
    pub allow_unsafe: bool,
}

/// A script without errors.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The typed program.
    pub program: Program,
    /// What is doubtful in the script, in the order of the text.
    pub warnings: Vec<Diagnostic>,
}

/// Checks a script and gives every name its meaning and every value its type.
/// Globals that are written and never read get an `end` probe that prints
/// them.
///
/// # Errors
/// Everything that is wrong with the script and what the environment says of
/// its probe points, in the order of the text.
///
/// ```
/// use hwtrace_lang::ast::ProbePoint;
/// use hwtrace_lang::diagnostic::Diagnostic;
/// use hwtrace_lang::environment::{Context, Environment, Point, PointId, TargetVariable};
/// use hwtrace_lang::{parse::parse, sema::check, span::Source};
///
/// /// Knows any point, and no `$` variable.
/// struct Anything(u32);
///
/// impl Environment for Anything {
///     fn point(&mut self, _: &ProbePoint) -> Result<Point, Box<Diagnostic>> {
///         self.0 += 1;
///         Ok(Point { id: PointId(self.0), context: Context::Session })
///     }
///     fn variables(&self, _: PointId) -> &[TargetVariable] {
///         &[]
///     }
/// }
///
/// let source = Source::new("n.hwt", "global n probe timer.s(1) { n++ }");
/// let program = check(&parse(&source, &[]).unwrap(), &mut Anything(0)).unwrap();
/// assert_eq!(program.probes.len(), 2, "n prints itself at the end");
/// ```
pub fn check(
    script: &Script,
    environment: &mut dyn Environment,
) -> Result<Program, Vec<Diagnostic>> {
    check_with(script, environment, Options::default()).map(|checked| checked.program)
}

/// Checks a script as [`check`] does, with options, and keeps the warnings.
///
/// # Errors
/// As [`check`].
pub fn check_with(
    script: &Script,
    environment: &mut dyn Environment,
    options: Options,
) -> Result<Checked, Vec<Diagnostic>> {
    let mut report = Report::default();
    let mut types = Types::default();
    let globals = Globals::declare(script, &mut report);
    let functions = Functions::declare(script, &mut types, &mut report);
    let mut planned = plan::plan(script, environment, &mut report);
    if planned.is_empty() {
        report.push(no_probes());
        return Err(report.finish());
    }
    let objects = objects::settle(script, &mut planned, environment);
    let mut features = Features::of(script);
    features.doubles |= planned.iter().any(|planned| planned.has_doubles());
    let data_types = environment.types();
    let mut infer =
        Infer::new(globals, functions, (types, data_types), features, &mut report);
    infer.allow_unsafe = options.allow_unsafe;
    infer.script = Some(script);
    infer.registers = environment.registers().to_vec();
    infer.watched = environment.watched();
    infer.objects = objects.names;
    let (bodies, handlers) = infer_all(&planned, &mut infer);
    let doubtful = std::mem::take(&mut infer.warnings);
    let (globals, functions, types) = infer.finish();
    if !report.is_empty() {
        return Err(report.finish());
    }
    let names = Names { globals: &globals, functions: &functions, types: data_types };
    let mut program = Lower::new(names, types).program(bodies, handlers);
    if program.probes.is_empty() {
        report.push(no_probes().note("none of the optional probe points exists"));
    }
    autoprint::append(&mut program, &globals, environment, &mut report);
    if !report.is_empty() {
        return Err(report.finish());
    }
    let mut warnings = script.warnings.clone();
    warnings.extend(unused(&globals));
    warnings.extend(doubtful);
    warnings.extend(objects.doubtful);
    warnings.sort_by_key(|warning| warning.span.map(|span| span.start));
    // A handler with several points is looked at for each.
    warnings.dedup();
    Ok(Checked { program, warnings })
}

/// Walks all functions and handlers; those of points that are not there are
/// looked at, but give no handler.
fn infer_all<'p, 's>(
    planned: &'p [Planned<'s>],
    infer: &mut Infer<'_, '_>,
) -> (Vec<Handler>, Vec<(&'p Planned<'s>, Handler)>) {
    let ids =
        (0..infer.functions.list.len()).map(|at| u32::try_from(at).unwrap_or(u32::MAX));
    let bodies: Vec<Handler> = ids.map(|id| infer.function(FunctionId(id))).collect();
    let mut handlers = Vec::new();
    for planned in planned {
        let handler = match &planned.known {
            Some((point, variables)) => {
                Handler::at(&planned.point, point, variables.clone())
            }
            None => Handler::anywhere(),
        };
        let handler = infer.handler(&planned.blocks, &planned.conditions, handler);
        if planned.known.is_some() {
            handlers.push((planned, handler));
        }
    }
    infer.settle_types();
    infer.functions.spread_needs();
    for (_, handler) in &handlers {
        infer.check_calls(handler);
    }
    (bodies, handlers)
}

fn no_probes() -> Diagnostic {
    Diagnostic::new(Code::NoProbes, None, "the script has no probe")
        .help("a probe says when to do what: `probe begin { println(\"hello\") }`")
}

/// A warning for each global that nothing names.
fn unused(globals: &Globals) -> impl Iterator<Item = Diagnostic> {
    let unused = globals.list.iter().filter(|global| !global.read && !global.written);
    unused.map(|global| {
        let name = &global.name;
        let message = format!("global `{}` is never used", name.text);
        Diagnostic::new(Code::Unused, name.span, message)
            .label("declared here")
            .help("remove it")
    })
}

#[cfg(test)]
pub(crate) mod tests;
