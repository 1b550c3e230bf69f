//! What can be done at a hit itself for each handler: which fields its records
//! need, which hits it would do nothing with, which memory it reads.
//!
//! The handler stays as it is, and asks and reads again what was asked and read at
//! the hit: a plan saves work and tells of the moment of the hit, and changes nothing
//! else.

mod acts;
mod asked;
mod filter;
mod flow;
mod needs;
mod print;
mod reads;
mod steps;
mod symbol;

use std::cell::LazyCell;

use hwtrace_runtime::plan::{Act, Filter, Needs, Reads};

use crate::ir::Module;
pub use acts::Sends;
pub use print::Shown;
pub use symbol::Why;

/// What is done at the hits of a handler's probe point.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HandlerPlan {
    /// What its records must hold.
    pub needs: Needs,
    /// The hits that it does something with; none where that is all, or not known
    /// before it runs.
    pub filter: Option<Filter>,
    /// What is read at the hit.
    pub reads: Reads,
    /// What is sent to the process at the hit.
    pub acts: Vec<Act>,
    /// Every place at which it sends a signal; those of the functions that it calls
    /// behind its own.
    pub sends: Vec<Sends>,
    /// Every place at which it reads memory, in the order of the code; those of the
    /// functions that it calls behind its own.
    pub listed: Vec<Read>,
}

impl HandlerPlan {
    /// The same where nothing can be done at the hit but a record.
    pub fn late(&self) -> Self {
        let listed = self.listed.iter().map(|read| match read.when {
            When::AtHit(_) => Read { when: When::Late(Late::Engine), ..*read },
            When::Late(_) | When::Recorded => *read,
        });
        let listed = listed.collect();
        let sends = self.sends.iter().map(|it| Sends { act: None, ..*it }).collect();
        Self { needs: self.needs, listed, sends, ..Self::default() }
    }
}

/// A place at which a handler reads memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// Index into [`Module::sites`].
    pub site: u32,
    /// The builtin that reads, as scripts call it.
    pub what: &'static str,
    /// When it is read.
    pub when: When,
}

/// When memory is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At the hit: by this step of the plan's reads.
    AtHit(usize),
    /// When the handler runs.
    Late(Late),
    /// It is of an object that several registers watch: the record has it.
    Recorded,
}

/// Why memory is not read before the handler runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Late {
    /// What its address depends on is not known at the hit.
    Address(Why),
    /// How many bytes are wanted is not known at the hit.
    Length,
    /// More bytes are wanted than a [`Does::Keep`](hwtrace_runtime::plan::Does::Keep)
    /// reads.
    TooLong,
    /// It may be read any number of times.
    InLoop,
    /// It is in a function, by number.
    InFunction(u32),
    /// There are more reads than a record holds.
    Full,
    /// The engine does nothing at the hit.
    Engine,
}

/// The plans of the handlers, by number. The module is verified.
pub fn plans(module: &Module) -> Vec<HandlerPlan> {
    // Of scripts that send signals alone.
    let may_end = LazyCell::new(|| acts::may_end(module));
    let plan = |code| {
        let flow = flow::Flow::new(code);
        let (reads, listed) = reads::reads(module, code, &flow);
        let (acts, sends) = acts::acts(module, code, &flow, &|| *may_end);
        HandlerPlan {
            needs: needs::needs(module, code),
            filter: filter::filter(module, code, &flow),
            reads,
            acts,
            sends,
            listed,
        }
    };
    module.handlers.iter().map(plan).collect()
}
