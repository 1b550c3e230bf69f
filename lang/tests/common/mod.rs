//! An environment in memory, for tests of the language alone.
#![allow(unreachable_pub)]

mod types;

use hwtrace_lang::ast::{ArgumentValue, ProbePoint};
use hwtrace_lang::code::Code;
use hwtrace_lang::data::DataTypes;
use hwtrace_lang::diagnostic::Diagnostic;
use hwtrace_lang::environment::{Context, Environment, Point, PointId, TargetVariable};
pub use types::Types;

/// Knows `begin`, `end`, `timer.*` and data probes of a process.
#[derive(Default)]
pub struct Memory {
    points: Vec<Vec<TargetVariable>>,
    watched: Vec<String>,
    types: Types,
}

/// The name of the data that is watched.
pub fn watched(point: &ProbePoint) -> Option<&str> {
    match &point.components.get(1)?.argument.as_ref()?.value {
        ArgumentValue::String(name) => Some(name),
        ArgumentValue::Long(_) => None,
    }
}

impl Environment for Memory {
    fn point(&mut self, point: &ProbePoint) -> Result<Point, Box<Diagnostic>> {
        let context = match point.components[0].name.as_str() {
            "begin" | "end" | "timer" => Context::Session,
            "process" => Context::Data,
            name => {
                let message = format!("there is no probe point `{name}`");
                return Err(Box::new(
                    Diagnostic::new(Code::UnknownProbePoint, point.span, message)
                        .label("not known")
                        .help("try `begin`"),
                ));
            }
        };
        self.watched.extend(watched(point).map(str::to_owned));
        self.points.push(match context {
            Context::Data => self.types.variables(watched(point)),
            Context::Session => Vec::new(),
        });
        let id = PointId(u32::try_from(self.points.len() - 1).unwrap_or(u32::MAX));
        Ok(Point { id, context })
    }

    fn watched(&self) -> Option<Vec<String>> {
        Some(self.watched.clone())
    }

    fn registers(&self) -> &[&'static str] {
        &["rax", "eax", "r8"]
    }

    fn variables(&self, point: PointId) -> &[TargetVariable] {
        self.points.get(point.0 as usize).map_or(&[], Vec::as_slice)
    }

    fn types(&self) -> &dyn DataTypes {
        &self.types.table
    }
}
