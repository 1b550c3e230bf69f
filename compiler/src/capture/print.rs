//! The text form that `--dump plan` shows.

mod condition;
mod expression;

use std::fmt::{self, Display, Formatter};

use hwtrace_lang::span::Source;
use hwtrace_runtime::plan::{Does, KEEP_MAX, Needs};

use super::{HandlerPlan, Late, Read, Sends, When, Why};
use crate::ir::Module;
use crate::ir::effects::Global;
use expression::Slots;

/// The plan of a handler, with what its numbers refer to.
pub struct Shown<'a> {
    /// The script.
    pub source: &'a Source,
    /// What it was lowered to.
    pub module: &'a Module,
    /// Number of the handler.
    pub handler: usize,
    /// Its plan.
    pub plan: &'a HandlerPlan,
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let HandlerPlan { needs, filter, sends, listed, .. } = self.plan;
        let name = &self.module.handlers[self.handler].name;
        writeln!(f, "handler {}: {name}", self.handler)?;
        writeln!(f, "  records hold: {}", held(*needs))?;
        match filter {
            None => writeln!(f, "  at the source: all hits pass")?,
            Some(filter) => condition::show(f, "at the source", filter)?,
        }
        sends.iter().try_for_each(|sends| self.sends(f, *sends))?;
        listed.iter().try_for_each(|read| self.read(f, read))
    }
}

fn held(needs: Needs) -> String {
    let parts = [
        (needs.access, ", access"),
        (needs.cpu, ", cpu"),
        (needs.registers, ", registers"),
    ];
    let parts = parts.iter().filter(|(held, _)| *held).map(|(_, part)| *part);
    format!("time, pid, tid{}", parts.collect::<String>())
}

impl Shown<'_> {
    fn place(&self, site: u32) -> String {
        let span = self.module.sites[site as usize];
        let (line, column) = self.source.position(span.start);
        format!("{}:{line}:{column}", self.source.name)
    }

    fn sends(
        &self,
        f: &mut Formatter<'_>,
        Sends { site, what, act }: Sends,
    ) -> fmt::Result {
        let place = self.place(site);
        match act.and_then(|act| self.plan.acts.get(act)) {
            None => writeln!(f, "  done late: {place} {what}"),
            Some(act) => {
                condition::show(f, &format!("done at the hit: {place} {what}"), &act.when)
            }
        }
    }

    fn read(&self, f: &mut Formatter<'_>, read: &Read) -> fmt::Result {
        let place = self.place(read.site);
        let what = read.what;
        match read.when {
            When::AtHit(step) => {
                writeln!(f, "  read at the hit: {place} {what} {}", self.step(step))
            }
            When::Recorded => {
                writeln!(
                    f,
                    "  in the record: {place} {what}: it is of the watched object"
                )
            }
            When::Late(late) => {
                writeln!(f, "  read late: {place} {what}: {}", self.late(late))
            }
        }
    }

    /// From where a step reads, and how much.
    fn step(&self, number: usize) -> String {
        let steps = &self.plan.reads.steps;
        let mut slots = Slots::default();
        slots.set(&steps[..number]);
        match steps[number].does {
            Does::Keep { address, bytes, text, .. } => {
                let most = if text { "up to " } else { "" };
                format!("of {most}{bytes} bytes at {}", slots.get(address).text)
            }
            Does::Load { address, .. } => format!("at {}", slots.get(address).text),
            _ => String::new(),
        }
    }

    fn late(&self, late: Late) -> String {
        match late {
            Late::Address(why) => format!("its address depends on {}", self.why(why)),
            Late::Length => "how many bytes it reads is not known at the hit".to_owned(),
            Late::TooLong => format!("it reads more than {KEEP_MAX} bytes"),
            Late::InLoop => "it is in a loop".to_owned(),
            Late::InFunction(number) => {
                format!("it is in the function `{}`", self.function(number))
            }
            Late::Full => "there are more reads than a record holds".to_owned(),
            Late::Engine => {
                "hits of this engine, or of data of the kernel, are samples".to_owned()
            }
        }
    }

    fn why(&self, why: Why) -> String {
        match why {
            Why::Global(global) => format!("the global `{}`", self.global(global)),
            Why::Field(name) => format!("`{name}`, which is not known at the hit"),
            Why::Builtin(name) => format!("what `{name}` gives"),
            Why::Function(number) => {
                format!("what the function `{}` gives", self.function(number))
            }
            Why::LateRead => "memory that is read late".to_owned(),
            Why::Several => "a variable that is set in several places".to_owned(),
            Why::Loop => "what a loop sets".to_owned(),
            Why::Picture | Why::Object => {
                "an object that several registers watch".to_owned()
            }
            Why::Operator => "more than is computed at the hit".to_owned(),
        }
    }

    fn function(&self, number: u32) -> &str {
        self.module.functions.get(number as usize).map_or("?", |code| &code.name)
    }

    fn global(&self, global: Global) -> &str {
        let names = &self.module.names;
        let (names, slot) = match global {
            Global::Long(slot) => (&names.longs, slot),
            Global::Text(slot) => (&names.texts, slot),
            Global::Statistics(slot) => (&names.statistics, slot),
            Global::Array(slot) => (&names.arrays, slot),
        };
        names.get(slot as usize).map_or("?", |name| name)
    }
}
