//! Each engine, tried: a program of our own is watched with it, which stores some
//! numbers and ends.
//!
//! It is started without the engine, and attached to: an engine that executes a program's
//! instructions one by one would be busy with its start for a minute.

use std::hint::black_box;
use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hwtrace_probes::expr::Expression;
use hwtrace_probes::spec::{DataSpec, Mode, Only, ProcessRef};
use hwtrace_runtime::engine::Flow;
use hwtrace_runtime::kernel::Kernel;
use hwtrace_runtime::kernel::linux::be_traceable;
use hwtrace_runtime::schema::HitRecord;

use super::{Finding, Group, State};
use crate::engines::{Choice, ENGINES, Row};
use crate::names::Names;
use crate::report;
use crate::session::{Consumer, Context, Data, Failure, Options, Request, Session};
use crate::target::Target;

/// The argument that makes hwtrace the program that is watched.
pub const TARGET_ARGUMENT: &str = "doctor-target";

/// All engines are done by then.
const LIMIT: Duration = Duration::from_secs(10);

/// How many stores the program makes: of the numbers from 1.
const STORES: u64 = 3;

/// What the program says when it is there, and is told when it is watched.
const READY: &[u8; 1] = b"\n";

/// What the program stores to. Nobody reads it, so that the optimiser would remove it.
#[used]
static STORED: AtomicU64 = AtomicU64::new(0);

/// The program that is watched: it says that it is there, and goes on when it is told to.
pub fn run_target() {
    be_traceable();
    let said = io::stdout().write_all(READY);
    if said.and_then(|()| io::stdin().read_exact(&mut [0; READY.len()])).is_ok() {
        (1..=STORES).for_each(store);
    }
}

#[inline(never)]
fn store(number: u64) {
    STORED.store(black_box(number), Ordering::Relaxed);
}

/// The program while it runs, ended when dropped.
struct Running(Child);

impl Running {
    /// Starts it, up to where it waits.
    fn start() -> io::Result<Self> {
        let mut command = Command::new(crate::engines::own());
        command.arg(TARGET_ARGUMENT).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut running = Self(command.spawn()?);
        if let Some(out) = &mut running.0.stdout {
            out.read_exact(&mut [0; READY.len()])?;
        }
        Ok(running)
    }

    fn go_on(&mut self) -> io::Result<()> {
        self.0.stdin.as_mut().map_or(Ok(()), |input| input.write_all(READY))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Neither fails for a child of ours that is not waited for yet.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What was seen of the stores.
#[derive(Default)]
struct Seen {
    of: Option<Running>,
    values: Vec<u64>,
    exact: usize,
}

impl Consumer for Seen {
    fn requests(&self) -> Vec<Request> {
        let name = concat!(module_path!(), "::STORED").to_owned();
        let data = DataSpec {
            process: ProcessRef::Target,
            expression: Expression::name(name),
            length: None,
            mode: Mode::Write,
            only: Only::default(),
            pinned: false,
            follow: false,
        };
        let data = Data::Process(data);
        vec![Request {
            data,
            span: None,
            optional: false,
            instead_of: Vec::new(),
            range: None,
        }]
    }

    fn begin(&mut self, _context: &Context) -> Result<Flow, Failure> {
        let went = self.of.as_mut().map_or(Ok(()), Running::go_on);
        went.map_err(|error| Failure::System("write", error))?;
        Ok(Flow::Continue)
    }

    fn hit(&mut self, _request: usize, record: &HitRecord) -> Result<Flow, Failure> {
        self.values.push(record.new);
        self.exact += usize::from(record.exact == 1);
        Ok(Flow::Continue)
    }
}

pub(super) fn findings(kernel: &Rc<dyn Kernel>) -> Vec<Finding> {
    // Read once for all.
    let names = Names::of(&Target::Command(vec![crate::engines::own()]));
    let names = Rc::new(names);
    ENGINES.iter().map(|row| tried(row, kernel, &names)).collect()
}

fn tried(row: &'static Row, kernel: &Rc<dyn Kernel>, names: &Rc<Names>) -> Finding {
    let what_for = format!("hits by way of {}", row.what);
    let finding = Finding::new(Group::Engines, row.name, what_for);
    if let Err(refusal) = row.usable(kernel) {
        return finding.because(refusal.why).but(State::No, refusal.help);
    }
    let running = match Running::start() {
        Ok(running) => running,
        Err(error) => {
            let failure = Failure::System("starting the program", error);
            return failed(finding, &failure);
        }
    };
    let target = Target::Process(running.0.id());
    let mut seen = Seen { of: Some(running), ..Seen::default() };
    let options = Options {
        duration: Some(LIMIT),
        engine: Choice::Only(row),
        names: Some(Rc::clone(names)),
        ..Options::default()
    };
    let begun = Instant::now();
    let session = Session::arm(&mut seen, &target, options);
    if let Err(failure) = session.and_then(|session| session.run().1) {
        return failed(finding, &failure);
    }
    judged(finding, &seen, begun.elapsed())
}

fn failed(finding: Finding, failure: &Failure) -> Finding {
    let none = "`hwtrace demo --engine` with its name says more";
    let Failure::Diagnosed(diagnostics) = failure else {
        return finding.because(failure.to_string()).but(State::No, none);
    };
    let said =
        diagnostics.iter().flat_map(|it| std::iter::once(&it.message).chain(&it.notes));
    let why = said.cloned().collect::<Vec<_>>().join("; ");
    let help = diagnostics.iter().flat_map(|it| &it.help).next();
    finding.because(why).but(State::No, help.map_or(none, |help| help))
}

fn judged(finding: Finding, seen: &Seen, took: Duration) -> Finding {
    let hits = seen.values.len();
    let stores = report::counted(STORES, "store");
    let text = format!("{hits} of {stores} seen, {} exact", seen.exact);
    let finding = finding.because(format!("{text} ({} ms)", took.as_millis()));
    if !seen.values.iter().copied().eq(1..=STORES) {
        let help = "hits are lost here: this virtual machine may lose debug traps; take \
                    another engine";
        return finding.but(State::No, help);
    }
    match seen.exact == hits {
        true => finding,
        false => finding.but(State::Part, "values are read from memory after the store"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hwtrace_lang::code::Code;
    use hwtrace_lang::diagnostic::Diagnostic;

    fn finding() -> Finding {
        Finding::new(Group::Engines, "perf", "a test")
    }

    #[test]
    fn hits_that_are_not_those_are_no_success() {
        let state = |values: &[u64], exact| {
            let seen = Seen { values: values.to_vec(), exact, of: None };
            judged(finding(), &seen, Duration::ZERO).state
        };
        assert_eq!(state(&[1, 2, 3], 3), State::Ok);
        assert_eq!(state(&[1, 2, 3], 2), State::Part);
        assert_eq!(state(&[1, 3], 2), State::No);
        assert_eq!(state(&[], 0), State::No);
        assert_eq!(state(&[3, 3, 3], 3), State::No);
    }

    #[test]
    fn a_failure_is_told_with_its_help() {
        let diagnostic = Diagnostic::new(Code::LimitReached, None, "too low");
        let failure = diagnostic.note("by far").help("`raise it`").into();
        let found = failed(finding(), &failure);
        assert_eq!((found.state, &*found.why), (State::No, "too low; by far"));
        assert_eq!(found.help.as_deref(), Some("`raise it`"));
    }
}
