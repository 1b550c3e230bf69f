//! [`ast::Script`](crate::ast::Script) to [`typed::Program`](crate::typed::Program).
//!
//! Two walks. `infer` resolves every name, unifies types over the whole
//! program and reports everything that is wrong; `lower` then builds the
//! typed program and can not fail. What autoprint needs to know, which globals
//! are written and never read, falls out of the first.

mod autoprint;
mod hints;
mod infer;
mod lower;
mod print;
mod report;
mod scope;
mod types;

pub use self::autoprint::AUTOPRINT_PRIORITY;

use crate::ast::{Item, Probe, ProbePoint, Script};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::environment::Environment;
use crate::typed::Program;
use infer::Infer;
use lower::Lower;
use report::Report;
use scope::{Globals, Handler};

/// Handlers may have this many bytes of text together, each counted once for
/// every point of its probe.
const HANDLERS_LEN_MAX: usize = 16 << 20;

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
    let mut report = Report::default();
    let mut infer = Infer::new(Globals::declare(script, &mut report), &mut report);
    let probes = probes(script);
    if let Some(error) = no_probes_or_too_many(&probes) {
        infer.report.push(error);
        return Err(report.finish());
    }
    let mut handlers = Vec::new();
    for probe in &probes {
        handlers.extend(infer_probe(probe, &mut infer, environment));
    }
    let (globals, types) = infer.finish();
    if report.is_empty() {
        let mut program = Lower::new(&globals, types).program(handlers);
        autoprint::append(&mut program, &globals, environment, &mut report);
        if report.is_empty() {
            return Ok(program);
        }
    }
    Err(report.finish())
}

fn probes(script: &Script) -> Vec<&Probe> {
    let probes = script.items.iter().filter_map(|item| match item {
        Item::Probe(probe) => Some(probe),
        Item::Global(_) => None,
    });
    probes.collect()
}

fn no_probes_or_too_many(probes: &[&Probe]) -> Option<Diagnostic> {
    if probes.is_empty() {
        return Some(
            Diagnostic::new(Code::NoProbes, None, "the script has no probe").help(
                "a probe says when to do what: `probe begin { println(\"hello\") }`",
            ),
        );
    }
    let mut length = 0usize;
    for probe in probes {
        let each = probe.span.range().len();
        length = length.saturating_add(each.saturating_mul(probe.points.len()));
        if length > HANDLERS_LEN_MAX {
            let message = "the handlers of this script are too long";
            return Some(
                Diagnostic::new(Code::ScriptTooLong, probe.span, message)
                    .label("repeated for each of its probe points")
                    .help("give long handlers fewer probe points"),
            );
        }
    }
    None
}

/// A handler for each point of a probe. A point that the environment refuses
/// makes none, but the block is looked at all the same.
fn infer_probe<'a>(
    probe: &'a Probe,
    infer: &mut Infer<'_>,
    environment: &mut dyn Environment,
) -> Vec<(&'a Probe, &'a ProbePoint, Handler)> {
    let mut handlers = Vec::new();
    for point in &probe.points {
        match environment.point(point) {
            Ok(known) => {
                let variables = environment.variables(known.id).to_vec();
                let handler =
                    infer.handler(&probe.body, Handler::at(point, known, variables));
                handlers.push((probe, point, handler));
            }
            Err(error) => infer.report.push(*error),
        }
    }
    if handlers.is_empty() {
        infer.handler(&probe.body, Handler::anywhere());
    }
    handlers
}

#[cfg(test)]
pub(crate) mod tests;
