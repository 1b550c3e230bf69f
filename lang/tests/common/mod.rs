//! An environment in memory, for tests of the language alone.
#![allow(unreachable_pub)]

use hwtrace_lang::ast::ProbePoint;
use hwtrace_lang::code::Code;
use hwtrace_lang::diagnostic::Diagnostic;
use hwtrace_lang::environment::{Context, Environment, Point, PointId, TargetVariable};
use hwtrace_lang::types::Type;

/// Knows `begin`, `end`, `timer.*` and data probes of a process.
#[derive(Default)]
pub struct Memory {
    points: Vec<Context>,
}

const fn variable(name: &'static str) -> TargetVariable {
    TargetVariable { name, ty: Type::Long, field: name }
}

static DATA: [TargetVariable; 2] = [variable("new"), variable("old")];

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
        self.points.push(context);
        let id = PointId(u32::try_from(self.points.len() - 1).unwrap_or(u32::MAX));
        Ok(Point { id, context })
    }

    fn registers(&self) -> &[&'static str] {
        &["rax", "eax", "r8"]
    }

    fn variables(&self, point: PointId) -> &[TargetVariable] {
        match self.points.get(point.0 as usize) {
            Some(Context::Data) => &DATA,
            _ => &[],
        }
    }
}
