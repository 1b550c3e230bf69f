//! Script to native handlers, one type a stage: what a stage has not been
//! through can not be handed to the next one.

use std::fmt;
use std::rc::Rc;

use hwtrace_compiler::capture::{self, HandlerPlan, Shown};
use hwtrace_compiler::ir::effects::helpers;
use hwtrace_compiler::ir::{self, verify};
use hwtrace_compiler::jit::{CompileError, Program};
use hwtrace_lang::ast::Script;
use hwtrace_lang::code::Code;
use hwtrace_lang::diagnostic::Diagnostic;
use hwtrace_lang::parse::Platform;
use hwtrace_lang::span::Source;
use hwtrace_lang::{overrides, parse, sema, typed};
use hwtrace_probes::machine::{self, Configuration};
use hwtrace_probes::spec::Spec;
use hwtrace_runtime::abi::Limits;

use crate::arming;
use crate::environment::{Environment, Point};
use crate::names::Names;
use crate::render;
use crate::rights::Uses;

/// Why a script was refused: its text and what is wrong with it.
#[derive(Debug)]
pub struct Refused {
    /// The script.
    pub source: Source,
    /// What is wrong, in the order of the text; at least one.
    pub diagnostics: Vec<Diagnostic>,
}

/// All diagnostics as text for people, without colour.
impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for diagnostic in &self.diagnostics {
            writeln!(f, "{}", render::diagnostic(diagnostic, &self.source, false))?;
        }
        Ok(())
    }
}

impl std::error::Error for Refused {}

/// Compiler stage: parsed. The script as written.
#[derive(Debug)]
pub struct Parsed {
    source: Source,
    script: Script,
}

/// Compiler stage: checked. Every name resolved, every type known, every
/// probe point understood.
#[derive(Debug)]
pub struct Checked {
    source: Source,
    program: typed::Program,
    points: Vec<Point>,
    warnings: Vec<Diagnostic>,
}

/// Compiler stage: lowered and verified.
#[derive(Debug)]
pub struct Lowered {
    source: Source,
    module: ir::Module,
    points: Vec<Point>,
}

/// Compiler stage: native. What a [`crate::session::Session`] runs.
#[derive(Debug)]
pub struct Compiled {
    pub(crate) source: Source,
    pub(crate) program: Program,
    pub(crate) points: Vec<Point>,
    /// By handler.
    pub(crate) plans: Vec<HandlerPlan>,
    pub(crate) limits: Limits,
    /// What it does that takes rights.
    pub(crate) uses: Uses,
}

/// A script that can not be compiled although nothing is wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum InternalError {
    /// The lowering made something that means nothing.
    #[error("this is a bug of hwtrace, please report it: {0}")]
    Invalid(#[from] verify::Invalid),
    /// Cranelift failed.
    #[error(transparent)]
    Compile(#[from] CompileError),
}

impl Parsed {
    /// Parses a script; `arguments` are what `$1` and `@1` stand for. What
    /// `%( … %)` asks of machine and kernel is answered for those that it runs on.
    ///
    /// # Errors
    /// What is wrong with the text or the arguments.
    pub fn parse(source: Source, arguments: &[String]) -> Result<Self, Refused> {
        let release = machine::kernel_release();
        // Unpacking it takes as long as all else together.
        let asks = source.text.contains("CONFIG_");
        let configuration = asks.then(Configuration::read).flatten();
        let option = |name: &str| configuration.as_ref()?.option(name);
        let platform = Platform {
            kernel_release: &release,
            config: configuration.is_some().then_some(&option),
            ..Platform::default()
        };
        match parse::parse_on(&source, arguments, &platform) {
            Ok(script) => Ok(Self { source, script }),
            Err(diagnostics) => Err(Refused { source, diagnostics }),
        }
    }

    /// The script as written, for `--dump ast`.
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// Resolves names and types. `overrides` are the `-G name=value`.
    ///
    /// # Errors
    /// Everything that is wrong with names, types, probe points, overrides.
    pub fn check(self, overrides: &[(String, String)]) -> Result<Checked, Refused> {
        self.check_with(overrides, sema::Options::default(), &Rc::default())
    }

    /// The same, with what may pass, and with what names mean in the target.
    ///
    /// # Errors
    /// As [`Parsed::check`].
    pub fn check_with(
        self,
        overrides: &[(String, String)],
        options: sema::Options,
        names: &Rc<Names>,
    ) -> Result<Checked, Refused> {
        let Self { source, script } = self;
        let mut environment = Environment::new(names);
        let checked = sema::check_with(&script, &mut environment, options);
        let unknown: Vec<_> = environment.unknown().collect();
        let (points, mut diagnostics) = (environment.into_points(), Vec::new());
        let sema::Checked { mut program, warnings } = match checked {
            Ok(checked) => checked,
            Err(mut diagnostics) => {
                // What is not known there may be for this reason.
                let of_types = [Code::NoTypes, Code::UnknownType];
                if diagnostics.iter().any(|it| of_types.contains(&it.code)) {
                    diagnostics.splice(0..0, unknown);
                }
                diagnostics.extend(points.iter().filter_map(arming::not_yet));
                return Err(Refused { source, diagnostics });
            }
        };
        for (name, value) in overrides {
            if let Err(diagnostic) = overrides::set_global(&mut program, name, value) {
                diagnostics.push(diagnostic);
            }
        }
        if !diagnostics.is_empty() {
            return Err(Refused { source, diagnostics });
        }
        Ok(Checked { source, program, points, warnings })
    }
}

impl Checked {
    /// What is doubtful in the script, in the order of the text.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The script.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The typed program, for `--dump typed`.
    pub fn program(&self) -> &typed::Program {
        &self.program
    }

    /// Lowers to the intermediate representation, and verifies it.
    ///
    /// # Errors
    /// Only for a bug of hwtrace.
    pub fn lower(self, limits: &Limits) -> Result<Lowered, InternalError> {
        let Self { source, program, points, .. } = self;
        let points = points_of(&program, points);
        let module = ir::lower::lower(&program, limits);
        verify::verify(&module)?;
        Ok(Lowered { source, module, points })
    }
}

/// The points in the order of the probes, one each.
fn points_of(program: &typed::Program, points: Vec<Point>) -> Vec<Point> {
    let of_probe = |probe: &typed::Probe| Point {
        optional: probe.optional,
        instead_of: probe.instead_of.clone(),
        ..points[probe.point.0 as usize].clone()
    };
    program.probes.iter().map(of_probe).collect()
}

impl Lowered {
    /// The module, for `--dump ir` and the evaluator.
    pub fn module(&self) -> &ir::Module {
        &self.module
    }

    /// What is done at the hits of each data probe itself, for `--dump plan`; nothing
    /// but the records unless it can be done `at_hits`.
    pub fn plans(&self, at_hits: bool) -> String {
        let (source, module) = (&self.source, &self.module);
        let plans = capture::plans(module);
        let handlers = self.points.iter().zip(&plans).enumerate();
        let data = handlers.filter(|(_, (point, _))| {
            matches!(point.spec, Spec::Data(_) | Spec::KernelData(_) | Spec::Objects(_))
        });
        let shown = data.map(|(handler, (point, plan))| {
            let late = plan.late();
            let is_kernel = !matches!(point.spec, Spec::Data(_));
            let plan = if is_kernel || !at_hits { &late } else { plan };
            Shown { source, module, handler, plan }.to_string()
        });
        let shown: Vec<_> = shown.collect();
        if shown.is_empty() {
            return "no probe is of data\n".to_owned();
        }
        shown.join("\n")
    }

    /// Compiles to native handlers. With `listings`, keeps their text for
    /// `--dump clif` and `--dump asm`.
    ///
    /// # Errors
    /// Where Cranelift fails.
    pub fn compile(self, listings: bool) -> Result<Compiled, InternalError> {
        let Self { source, module, points } = self;
        let program = Program::compile(&module, listings)?;
        let plans = capture::plans(&module);
        let called = helpers(&module);
        let uses = Uses {
            kernel: called.iter().any(|name| name.starts_with("kernel_")),
            signals: ["signal", "stop"].iter().any(|name| called.contains(name)),
            ..Uses::default()
        };
        let limits = Limits {
            steps: module.steps_max,
            string_bytes: module.string_bytes_max,
            nesting: module.nesting_max,
            ..Limits::default()
        };
        Ok(Compiled { source, program, points, plans, limits, uses })
    }
}

impl Compiled {
    /// The native program, for embedding and for its listings.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The meaning of each handler's probe point, in the handlers' order.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// The script.
    pub fn source(&self) -> &Source {
        &self.source
    }
}
