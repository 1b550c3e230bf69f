//! `hwtrace doctor`: what works on this machine and for this user, tried and not guessed
//! from settings, and what would make the rest work.
//!
//! | file | what it finds out |
//! | --- | --- |
//! | `machine` | kernel, processor, debug registers |
//! | `engines` | each engine, by watching a program of our own with it |
//! | `reach` | whose data can be watched, besides one's own |
//! | `rights` | user, capabilities, filters |
//! | `limits` | descriptors, locked memory, priority |
//!
//! `print` has the forms of a report.

mod engines;
mod limits;
mod machine;
mod print;
mod reach;
mod rights;

use std::borrow::Cow;
use std::rc::Rc;

use hwtrace_runtime::kernel::Kernel;
use serde::Serialize;

pub use engines::{TARGET_ARGUMENT, run_target};

/// Whether something works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It does.
    Ok,
    /// In part, or at a cost.
    Part,
    /// It does not.
    No,
}

/// What was found out about one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of thing it is.
    pub group: Group,
    /// What it is called.
    pub name: &'static str,
    /// Whether it works.
    pub state: State,
    /// What was seen.
    pub why: String,
    /// What hwtrace does with it.
    pub what_for: Cow<'static, str>,
    /// What to do where it does not work.
    pub help: Option<String>,
}

/// A kind of thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// Kernel and processor.
    Machine,
    /// What takes hits.
    Engines,
    /// What can be watched.
    Reach,
    /// User, capabilities, filters.
    Rights,
    /// Limits of the process.
    Limits,
}

/// All that was found out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether one's own programs can be watched, with some engine.
    pub usable: bool,
    /// Group by group.
    pub findings: Vec<Finding>,
}

impl Finding {
    /// Something that works.
    fn new(
        group: Group,
        name: &'static str,
        what_for: impl Into<Cow<'static, str>>,
    ) -> Self {
        let (state, why, what_for) = (State::Ok, String::new(), what_for.into());
        Self { group, name, what_for, state, why, help: None }
    }

    fn because(self, why: impl Into<String>) -> Self {
        Self { why: why.into(), ..self }
    }

    /// It works in part, or not at all, unless this is done.
    fn but(self, state: State, help: impl Into<String>) -> Self {
        Self { state, help: Some(help.into()), ..self }
    }
}

/// What gives hwtrace capabilities, of these names without `cap_`.
fn takes(kernel: &dyn Kernel, capabilities: &[&str]) -> String {
    let options =
        capabilities.iter().map(|it| format!("--cap-add {}", it.to_uppercase()));
    if kernel.effective_user() == 0 {
        let options = options.collect::<Vec<_>>().join(" ");
        return format!(
            "start the container with `{options}`, and with `--security-opt \
             seccomp=unconfined` if that is not enough"
        );
    }
    const BEST: [&str; 2] = ["bpf", "perfmon"];
    let others = capabilities.iter().filter(|name| !BEST.contains(name));
    let all = BEST.iter().chain(others);
    let names: Vec<_> = all.map(|name| format!("cap_{name}")).collect();
    let setcap = crate::engines::setcap(&names.join(","));
    format!("run hwtrace with `sudo`, or once {setcap}")
}

/// Tries everything. Takes some seconds at most, and starts programs of our own.
pub fn examine(kernel: &Rc<dyn Kernel>) -> Report {
    let mut findings = machine::findings(kernel);
    findings.extend(engines::findings(kernel));
    findings.extend(reach::findings(kernel));
    findings.extend(rights::findings(kernel));
    findings.extend(limits::findings(kernel));
    let works =
        |finding: &Finding| finding.group == Group::Engines && finding.state == State::Ok;
    Report { usable: findings.iter().any(works), findings }
}
