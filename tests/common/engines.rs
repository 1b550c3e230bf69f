//! The engine that live tests run with: the best that works, unless HWTRACE_ENGINE says
//! otherwise, as it does to hwtrace itself. `tests/engines.rs` runs them with each of the
//! others.

use hwtrace::engines::Choice;
use hwtrace_runtime::kernel::Kernel;
use hwtrace_runtime::kernel::linux::Linux;

/// As hwtrace reads it.
pub(crate) const VARIABLE: &str = "HWTRACE_ENGINE";

/// The engine of this run, as hwtrace takes it for itself.
pub(crate) fn engine() -> Choice {
    let name = std::env::var(VARIABLE);
    let name = name.as_deref().unwrap_or("auto");
    Choice::named(name).unwrap_or_else(|| panic!("no engine `{name}`"))
}

/// The name of the engine of this run.
pub(crate) fn engine_name() -> &'static str {
    let kernel: std::rc::Rc<dyn Kernel> = std::rc::Rc::new(Linux);
    engine().take(&kernel).unwrap().name()
}

/// Whether it reads memory at the hit itself, and not later.
pub(crate) fn reads_at_hits() -> bool {
    engine_name() != "perf"
}

/// Whether programs that are executed wait until they are armed, or are not to be.
pub(crate) fn holds_executed() -> bool {
    ["ptrace", "step"].contains(&engine_name())
}
