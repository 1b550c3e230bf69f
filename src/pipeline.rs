//! Script to native handlers, one type a stage: what a stage has not been
//! through can not be handed to the next one.

use std::fmt;

use hwtrace_compiler::ir::{self, verify};
use hwtrace_compiler::jit::{CompileError, Program};
use hwtrace_lang::ast::Script;
use hwtrace_lang::diagnostic::Diagnostic;
use hwtrace_lang::span::Source;
use hwtrace_lang::{overrides, parse, sema, typed};
use hwtrace_runtime::abi::Limits;

use crate::environment::{Environment, Point};
use crate::render;

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
    pub(crate) limits: Limits,
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
    /// Parses a script; `arguments` are what `$1` and `@1` stand for.
    ///
    /// # Errors
    /// What is wrong with the text or the arguments.
    pub fn parse(source: Source, arguments: &[String]) -> Result<Self, Refused> {
        match parse::parse(&source, arguments) {
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
        let Self { source, script } = self;
        let mut environment = Environment::new();
        let checked = sema::check(&script, &mut environment);
        let (points, mut diagnostics) = (environment.into_points(), Vec::new());
        let mut program = match checked {
            Ok(program) => program,
            Err(diagnostics) => {
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
        Ok(Checked { source, program, points })
    }
}

impl Checked {
    /// The typed program, for `--dump typed`.
    pub fn program(&self) -> &typed::Program {
        &self.program
    }

    /// Lowers to the intermediate representation, and verifies it.
    ///
    /// # Errors
    /// Only for a bug of hwtrace.
    pub fn lower(self, limits: &Limits) -> Result<Lowered, InternalError> {
        let Self { source, program, points } = self;
        let points = points_of(&program, points);
        let module = ir::lower::lower(&program, limits);
        verify::verify(&module)?;
        Ok(Lowered { source, module, points })
    }
}

/// The points in the order of the probes, one each.
fn points_of(program: &typed::Program, points: Vec<Point>) -> Vec<Point> {
    let of_probe = |probe: &typed::Probe| points[probe.point.0 as usize].clone();
    program.probes.iter().map(of_probe).collect()
}

impl Lowered {
    /// The module, for `--dump ir` and the evaluator.
    pub fn module(&self) -> &ir::Module {
        &self.module
    }

    /// Compiles to native handlers. With `listings`, keeps their text for
    /// `--dump clif` and `--dump asm`.
    ///
    /// # Errors
    /// Where Cranelift fails.
    pub fn compile(self, listings: bool) -> Result<Compiled, InternalError> {
        let Self { source, module, points } = self;
        let program = Program::compile(&module, listings)?;
        let limits = Limits {
            steps: module.steps_max,
            string_bytes: module.string_bytes_max,
            ..Limits::default()
        };
        Ok(Compiled { source, program, points, limits })
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
