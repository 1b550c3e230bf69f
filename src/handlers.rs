//! The consumer that runs a script's compiled handlers.

use std::io::{self, ErrorKind, Write};

use hwtrace_lang::code::Code;
use hwtrace_lang::diagnostic::Diagnostic;
use hwtrace_lang::sema::AUTOPRINT_PRIORITY;
use hwtrace_probes::spec::{Mode, Spec};
use hwtrace_runtime::abi::{Fault, FaultCode};
use hwtrace_runtime::engine::Flow;
use hwtrace_runtime::event::RawHit;
use hwtrace_runtime::schema::HitRecord;
use hwtrace_runtime::world::World;

use crate::pipeline::Compiled;
use crate::report;
use crate::session::{Consumer, Context, Failure, Request};
use crate::surroundings;
use crate::symbols::HandlerSymbols;

/// Output is put out at the latest when this much has gathered.
const FLUSH_BYTES: usize = 64 << 10;

/// A compiled script with its state and its output.
pub struct Handlers<'a> {
    script: &'a Compiled,
    world: World,
    /// Handlers of data probes, by request.
    data: Vec<DataHandler>,
    /// Handlers of timers, with their periods.
    timers: Vec<(u64, usize)>,
    /// The record of probes that no hit fires.
    own: HitRecord,
    out: Box<dyn Write + 'a>,
    /// Whoever read the output has gone.
    closed: bool,
}

#[derive(Clone, Copy)]
struct DataHandler {
    handler: usize,
    /// Fires only where the value differs.
    change: bool,
}

/// The probes of a session's end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    End,
    Error,
    Autoprint,
}

impl<'a> Handlers<'a> {
    /// The handlers of `script`, which print to `out`.
    pub fn new(script: &'a Compiled, out: Box<dyn Write + 'a>) -> Self {
        let world = World::new(script.program.layout(), &script.limits);
        let points = || script.points.iter().enumerate();
        let data = points().filter_map(|(handler, point)| match &point.spec {
            Spec::Data(data) => {
                Some(DataHandler { handler, change: data.mode == Mode::Change })
            }
            _ => None,
        });
        let timers = points().filter_map(|(handler, point)| match point.spec {
            Spec::Timer { period_ns } => Some((period_ns, handler)),
            _ => None,
        });
        Self {
            data: data.collect(),
            timers: timers.collect(),
            script,
            world,
            own: HitRecord::default(),
            out,
            closed: false,
        }
    }

    fn run(&mut self, handler: usize, record: &HitRecord) -> Result<Flow, Failure> {
        let ran = self.script.program.run(handler, &mut self.world, record);
        ran.map_err(|fault| self.explain(fault))?;
        if self.world.output().len() >= FLUSH_BYTES {
            self.flush().map_err(Failure::Output)?;
        }
        let stop = self.world.exit_requested() || self.closed;
        Ok(if stop { Flow::Stop } else { Flow::Continue })
    }

    /// Runs a handler that no hit fires.
    fn run_own(&mut self, handler: usize, now: u64) -> Result<Flow, Failure> {
        let record = HitRecord { time: now, ..self.own };
        self.run(handler, &record)
    }

    fn run_all(&mut self, ending: Ending, now: u64) -> Result<(), Failure> {
        for handler in self.endings(ending) {
            self.run_own(handler, now)?;
        }
        Ok(())
    }

    fn explain(&self, fault: Fault) -> Failure {
        let code = match fault.code {
            FaultCode::DivisionByZero => Code::DivisionByZero,
            FaultCode::OutOfFuel => Code::OutOfFuel,
            FaultCode::ArrayFull => Code::ArrayFull,
            FaultCode::ArenaFull => Code::ArenaFull,
            FaultCode::TooManyStrings => Code::TooManyStrings,
            FaultCode::OutputFull => Code::OutputFull,
            FaultCode::NestedTooDeep => Code::RecursionTooDeep,
            FaultCode::EmptyAggregate => Code::EmptyStatistics,
            FaultCode::BadBucket => Code::BucketOutOfRange,
            FaultCode::UserError => Code::Raised,
            FaultCode::BadAddress => Code::BadAddress,
        };
        // Where each fault has a text of its own, that says more than the code.
        let own = String::from_utf8_lossy(self.world.fault_text());
        let message = if fault.code.caught().is_empty() && !own.is_empty() {
            &*own
        } else {
            fault.code.message()
        };
        Diagnostic::new(code, self.script.program.span(fault), message)
            .help(fault.code.help())
            .into()
    }

    /// Handlers of `begin`, by priority, then in the order of the script.
    fn beginnings(&self) -> Vec<usize> {
        self.by_priority(|spec| match spec {
            Spec::Begin { priority } => Some(*priority),
            _ => None,
        })
    }

    fn endings(&self, which: Ending) -> Vec<usize> {
        self.by_priority(|spec| match spec {
            Spec::End { priority } if *priority == AUTOPRINT_PRIORITY => {
                (which == Ending::Autoprint).then_some(*priority)
            }
            Spec::End { priority } => (which == Ending::End).then_some(*priority),
            Spec::Error { priority } => (which == Ending::Error).then_some(*priority),
            _ => None,
        })
    }

    fn by_priority(&self, priority: impl Fn(&Spec) -> Option<i64>) -> Vec<usize> {
        let mut chosen: Vec<_> = self
            .script
            .points
            .iter()
            .enumerate()
            .filter_map(|(handler, point)| Some((priority(&point.spec)?, handler)))
            .collect();
        chosen.sort_unstable();
        chosen.into_iter().map(|(_, handler)| handler).collect()
    }
}

impl Consumer for Handlers<'_> {
    fn requests(&self) -> Vec<Request> {
        let request = |point: &crate::environment::Point| match &point.spec {
            Spec::Data(data) => {
                Some(Request { data: data.clone(), span: Some(point.span) })
            }
            _ => None,
        };
        self.script.points.iter().filter_map(request).collect()
    }

    fn timers(&self) -> Vec<u64> {
        self.timers.iter().map(|(period, _)| *period).collect()
    }

    fn begin(&mut self, context: &Context) -> Result<Flow, Failure> {
        self.world.set_symbols(Box::new(HandlerSymbols(context.symbols.clone())));
        surroundings::set(&mut self.world, &context.kernel, context.target);
        self.world.set_target(context.target.unwrap_or(0));
        self.world.set_time_of_day_offset(context.time_of_day_offset_ns);
        let names: Vec<_> = context
            .subscribers
            .iter()
            .map(|requests| {
                let first =
                    requests.first().and_then(|first| context.locations.get(*first));
                first.map_or_else(String::new, |location| location.name.clone())
            })
            .collect();
        self.world.set_data_names(&names);
        let pid = std::process::id();
        let execname = self.world.intern(b"hwtrace");
        self.own = HitRecord { pid, tid: pid, execname, ..HitRecord::default() };
        for handler in self.beginnings() {
            if self.run_own(handler, context.now)? == Flow::Stop {
                break;
            }
        }
        self.flush().map_err(Failure::Output)?;
        let stop = self.world.exit_requested() || self.closed;
        Ok(if stop { Flow::Stop } else { Flow::Continue })
    }

    fn name(&mut self, name: &[u8]) -> u64 {
        self.world.intern(name)
    }

    fn code_changed(&mut self, pid: u32) {
        self.world.forget_process(pid);
    }

    fn captured(&mut self, hit: &RawHit<'_>) {
        if self.script.program.layout().registers {
            self.world.set_registers(hit);
        }
    }

    fn hit(&mut self, request: usize, record: &HitRecord) -> Result<Flow, Failure> {
        let DataHandler { handler, change } = self.data[request];
        // What is in doubt may have changed: rather once too often.
        if change && record.old == record.new && record.doubts == 0 {
            return Ok(Flow::Continue);
        }
        self.run(handler, record)
    }

    fn timer(&mut self, timer: usize, now: u64) -> Result<Flow, Failure> {
        self.run_own(self.timers[timer].1, now)
    }

    fn end(&mut self, failed: bool, now: u64) -> Result<(), Failure> {
        let first = if failed { Ending::Error } else { Ending::End };
        let ended = self.run_all(first, now);
        // Whatever failed, what was gathered is printed.
        let printed = self.run_all(Ending::Autoprint, now);
        ended.and(printed)
    }

    fn remarks(&self) -> Vec<String> {
        let cut = match self.world.truncated_strings() {
            0 => return Vec::new(),
            cut => report::counted(cut, "string"),
        };
        let limit = self.script.limits.string_bytes;
        vec![format!(
            "{cut} cut at {limit} bytes; raise the limit with -D MAXSTRINGLEN=N"
        )]
    }

    fn flush(&mut self) -> io::Result<()> {
        let text = self.world.output();
        if text.is_empty() || self.closed {
            text.clear();
            return Ok(());
        }
        let written = self.out.write_all(text).and_then(|()| self.out.flush());
        text.clear();
        match written {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            written => written,
        }
    }
}
