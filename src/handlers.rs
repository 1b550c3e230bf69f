//! The consumer that runs a script's compiled handlers.

mod commands;
mod faults;

use std::cell::RefCell;
use std::io::{self, ErrorKind, Write};
use std::rc::Rc;

use hwtrace_compiler::capture::HandlerPlan;
use hwtrace_lang::diagnostic::Diagnostic;
use hwtrace_lang::environment::PointId;
use hwtrace_lang::sema::AUTOPRINT_PRIORITY;
use hwtrace_probes::process::{Process, ProcessError};
use hwtrace_probes::resolve::Location;
use hwtrace_probes::spec::{Mode, Only, Spec, Timer};
use hwtrace_runtime::abi::objects::OBJECTS_MAX;
use hwtrace_runtime::abi::objects::Wishes;
use hwtrace_runtime::abi::{Fault, FaultCode};
use hwtrace_runtime::engine::Flow;
use hwtrace_runtime::event::{Captured, RawHit};
use hwtrace_runtime::plan::{Act, Filter, Needs, Plan};
use hwtrace_runtime::schema::{AccessKind, HitRecord};
use hwtrace_runtime::world::World;

use crate::arming;
use crate::counts::{Counts, SharedCounts};
use crate::environment::Point;
use crate::fires::Fires;
use crate::fires::gates::{self, Gates};
use crate::pipeline::Compiled;
use crate::report;
use crate::rights::Uses;
use crate::session::{Consumer, Context, Data, Failure, Request};
use crate::stacks::TargetStacks;
use crate::surroundings;
use crate::symbols::HandlerSymbols;
use crate::unwinding::By;
use commands::Commands;

/// Output is put out at the latest when this much has gathered.
const FLUSH_BYTES: usize = 64 << 10;

/// A compiled script with its state and its output.
pub struct Handlers<'a> {
    script: &'a Compiled,
    world: World,
    /// Handlers of data probes, by request.
    data: Vec<DataHandler>,
    /// Handlers of timers, with when they fire.
    timers: Vec<(Timer, usize)>,
    /// By handler: whether it runs when its probe point fires.
    on: Vec<Armed>,
    commands: Commands,
    fires: Fires,
    gates: Gates,
    /// What each request saw.
    counts: Rc<RefCell<Counts>>,
    /// The record of probes that no hit fires.
    own: HitRecord,
    out: Box<dyn Write + 'a>,
    /// By what stacks are walked.
    stacks_by: By,
    /// Whoever read the output has gone.
    closed: bool,
}

#[derive(Clone, Copy)]
struct DataHandler {
    handler: usize,
    mode: Mode,
    only: Only,
}

/// Whether a handler runs when its probe point fires.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Armed {
    /// It does.
    Yes,
    /// The condition on its point does not hold.
    NotNow,
    /// Its point is left out for one in front of it.
    Never,
}

/// The probes of a session's end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    End,
    Error,
    Autoprint,
}

/// The points of data probes in order, each as often as it has data: their positions are
/// the numbers of the requests.
struct Requests(Vec<PointId>);

impl Requests {
    fn of(points: &[Point]) -> Self {
        let ids = |point: &Point| point.data.iter().map(|_| point.id).collect::<Vec<_>>();
        Self(points.iter().flat_map(ids).collect())
    }

    fn numbers(&self, points: &[PointId]) -> Vec<usize> {
        let all = self.0.iter().enumerate();
        all.filter(|(_, own)| points.contains(own)).map(|(number, _)| number).collect()
    }
}

impl<'a> Handlers<'a> {
    /// The handlers of `script`, which print to `out`.
    pub fn new(script: &'a Compiled, out: Box<dyn Write + 'a>) -> Self {
        let world = World::new(script.program.layout(), &script.limits);
        let points = || script.points.iter().enumerate();
        let data = points().flat_map(|(handler, point)| {
            let of = move |data: &Data| DataHandler {
                handler,
                mode: data.mode(),
                only: data.only(),
            };
            point.data.iter().map(of)
        });
        let data: Vec<_> = data.collect();
        let timers = points().filter_map(|(handler, point)| match point.spec {
            Spec::Timer(timer) => Some((timer, handler)),
            _ => None,
        });
        Self {
            gates: Gates::of(data.iter().map(|data| data.only)),
            data,
            timers: timers.collect(),
            on: vec![Armed::Yes; script.points.len()],
            commands: Commands::default(),
            fires: Fires::default(),
            counts: Rc::default(),
            script,
            world,
            own: HitRecord::default(),
            out,
            stacks_by: By::Auto,
            closed: false,
        }
    }

    fn run(&mut self, handler: usize, record: &HitRecord) -> Result<Flow, Failure> {
        if self.on[handler] != Armed::Yes {
            return Ok(self.flow());
        }
        let program = &self.script.program;
        let ran = program.run(handler, &mut self.world, record);
        ran.map_err(|fault| self.explain(fault))?;
        for changed in program.conditions_after(handler) {
            self.follow_condition(*changed as usize)?;
        }
        let gathered = self.world.output().len() + self.world.messages().len();
        if gathered >= FLUSH_BYTES {
            self.flush().map_err(Failure::Output)?;
        }
        if !self.world.commands().is_empty() {
            self.start_commands()?;
        }
        Ok(self.flow())
    }

    fn flow(&self) -> Flow {
        let stop = self.world.exit_requested() || self.closed;
        if stop { Flow::Stop } else { Flow::Continue }
    }

    /// Arms or disarms a handler by the condition on its point.
    fn follow_condition(&mut self, handler: usize) -> Result<(), Failure> {
        if self.on[handler] == Armed::Never {
            return Ok(());
        }
        let holds = self.script.program.condition(handler, &mut self.world);
        let holds = holds.map_err(|fault| self.explain(fault))?;
        self.on[handler] = if holds { Armed::Yes } else { Armed::NotNow };
        Ok(())
    }

    fn start_commands(&mut self) -> Result<(), Failure> {
        self.flush().map_err(Failure::Output)?;
        for command in std::mem::take(self.world.commands()) {
            let started = self.commands.start(&command);
            started
                .map_err(|error| Failure::System("starting a command with sh", error))?;
        }
        Ok(())
    }

    /// Which points are there, and which conditions hold at the start.
    fn arm(&mut self, locations: &[Option<Location>]) -> Result<(), Failure> {
        let numbers = Requests::of(&self.script.points);
        let exists = |request: &usize| locations[*request].is_some();
        for (handler, point) in self.script.points.iter().enumerate() {
            if numbers.numbers(&point.instead_of).iter().any(exists) {
                self.on[handler] = Armed::Never;
            }
            if self.script.program.has_condition(handler) {
                self.follow_condition(handler)?;
            }
        }
        Ok(())
    }

    /// Runs a handler that no hit fires.
    fn run_own(&mut self, handler: usize, now: u64) -> Result<Flow, Failure> {
        let record = HitRecord { time: now, ..self.own };
        self.world.set_captured(record.pid, Captured::default());
        self.run(handler, &record)
    }

    fn run_all(&mut self, ending: Ending, now: u64) -> Result<(), Failure> {
        for handler in self.endings(ending) {
            self.run_own(handler, now)?;
        }
        Ok(())
    }

    fn explain(&self, fault: Fault) -> Failure {
        let span = self.script.program.span(fault);
        let unread = (fault.code == FaultCode::BadAddress)
            .then(|| self.world.unread_process())
            .flatten();
        let ended = unread.filter(|pid| *pid != 0 && has_ended(*pid));
        faults::explain(fault.code, span, self.world.fault_text(), ended).into()
    }

    /// Handlers of `begin`, by priority, then in the order of the script.
    fn beginnings(&self) -> Vec<usize> {
        self.by_priority(|spec| match spec {
            Spec::Begin { priority } => Some(*priority),
            Spec::Oneshot => Some(0),
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

/// Whether a process has none of its memory any more.
fn has_ended(pid: u32) -> bool {
    matches!(
        Process::open(pid),
        Err(ProcessError::Gone { .. } | ProcessError::Zombie { .. })
    )
}

/// Hits that pass both.
fn both(first: Option<Filter>, second: Option<Filter>) -> Option<Filter> {
    match (first, second) {
        (Some(first), Some(second)) => Some(first.and(second)),
        (first, second) => first.or(second),
    }
}

/// The same act, at hits that mode and modifiers ask for.
fn acts_at(asked: Option<&Filter>, act: &Act) -> Act {
    match asked {
        None => act.clone(),
        Some(asked) => Act { when: asked.clone().and(act.when.clone()), ..*act },
    }
}

impl Consumer for Handlers<'_> {
    fn requests(&self) -> Vec<Request> {
        let numbers = Requests::of(&self.script.points);
        let names = &self.script.program.layout().objects;
        let requests = |point: &Point| -> Vec<Request> {
            let instead_of = numbers.numbers(&point.instead_of);
            let range = point.range();
            let request = |data: &Data| Request {
                data: data.clone().numbered(names),
                span: Some(point.span),
                optional: point.optional,
                instead_of: instead_of.clone(),
                range: range.clone(),
            };
            point.data.iter().map(request).collect()
        };
        self.script.points.iter().flat_map(requests).collect()
    }

    fn plan(&self, request: usize) -> Plan {
        let DataHandler { handler, mode, only } = self.data[request];
        let HandlerPlan { needs, filter, reads, acts, .. } = &self.script.plans[handler];
        // Who asks how often it fired is told of all.
        let filter = filter.as_ref().filter(|_| !self.script.program.layout().counts);
        let by_mode = match mode {
            Mode::Change => Some(Filter::changes()),
            // Those of which that is not known are to be counted.
            Mode::Read => Some(Filter::of_kind(AccessKind::Read)),
            Mode::Write | Mode::ReadWrite => None,
        };
        let access = needs.access || by_mode.is_some();
        let needs = Needs { access, cpu: needs.cpu || only.cpu.is_some(), ..*needs };
        let asked = both(gates::filter(only), by_mode);
        let act = |act| acts_at(asked.as_ref(), act);
        let plan = Plan { needs, reads: reads.clone(), ..Plan::default() };
        let gate = gates::gate(only, filter.cloned());
        match (gate, self.script.program.has_condition(handler)) {
            // One that is off by its condition sends nothing, and counts nothing.
            (Some(_), true) => Plan { filter: asked, ..plan },
            (None, true) => Plan { filter: both(asked, filter.cloned()), ..plan },
            (None, false) => {
                let acts = acts.iter().map(act).collect();
                Plan { filter: both(asked, filter.cloned()), acts, ..plan }
            }
            (gate, false) => {
                let acts = acts.iter().map(act).collect();
                Plan { filter: asked, gate, acts, ..plan }
            }
        }
    }

    fn wants(&self, request: usize) -> bool {
        self.on[self.data[request].handler] == Armed::Yes
            && !self.gates.is_closed(request)
    }

    fn wishes(&mut self) -> Wishes {
        self.world.objects().take_wishes()
    }

    fn wants_object(&mut self, id: u64) -> bool {
        self.world.objects().is_watched(id)
    }

    fn refuse_object(&mut self, id: u64) {
        self.world.objects().refuse(id);
    }

    fn forget_objects(&mut self, pid: u32) {
        self.world.objects().forget(pid);
    }

    fn uses(&self) -> Uses {
        self.script.uses
    }

    fn unarmable(&self, locations: &[Option<Location>]) -> Vec<Diagnostic> {
        let numbers = Requests::of(&self.script.points);
        let replaced = |point: &Point| {
            numbers.numbers(&point.instead_of).iter().any(|it| locations[*it].is_some())
        };
        let needed = |point: &&Point| !point.optional && !replaced(point);
        let points = self.script.points.iter().filter(needed);
        points.filter_map(arming::not_yet).collect()
    }

    fn timers(&self) -> Vec<Timer> {
        self.timers.iter().map(|(timer, _)| *timer).collect()
    }

    fn begin(&mut self, context: &Context) -> Result<Flow, Failure> {
        self.world.set_symbols(Box::new(HandlerSymbols::new(context)));
        self.world.objects().set_room(context.object_room);
        self.gates.begin(&context.tickets);
        self.counts = Rc::clone(&context.counts);
        for (request, data) in self.data.iter().enumerate() {
            if let Some(limit) = data.only.limit {
                self.counts.borrow_mut().limit(request, limit.get());
            }
        }
        // The requests of a point follow one another.
        let mut end = 0;
        let names = self.data.chunk_by(|one, other| one.handler == other.handler);
        let names = names.filter_map(|data| {
            let start = end;
            end += data.len();
            let point = self.script.points.get(data.first()?.handler)?;
            Some((point.data_name.as_deref()?, start..end))
        });
        let counts = Box::new(SharedCounts(Rc::clone(&context.counts)));
        self.world.set_counts(counts, names);
        self.stacks_by = context.stacks_by;
        self.world.set_stacks(Box::new(TargetStacks(context.symbols.clone())));
        surroundings::set(&mut self.world, &context.kernel, context.target);
        self.world.set_target(context.target.unwrap_or(0));
        self.world.set_time_of_day_offset(context.time_of_day_offset_ns);
        let pid = std::process::id();
        let execname = self.world.intern(b"hwtrace");
        self.own = HitRecord { pid, tid: pid, execname, ..HitRecord::default() };
        self.arm(&context.locations)?;
        for handler in self.beginnings() {
            self.run_own(handler, context.now)?;
            if self.script.points[handler].spec == Spec::Oneshot {
                self.world.request_exit();
            }
            if self.flow() == Flow::Stop {
                break;
            }
        }
        Ok(self.flow())
    }

    fn name(&mut self, name: &[u8]) -> u64 {
        self.world.intern(name)
    }

    fn code_changed(&mut self, pid: u32) {
        self.world.forget_process(pid);
    }

    fn captured(&mut self, hit: &RawHit<'_>) {
        self.gates.captured(hit.at_hit.let_through);
        if self.script.program.layout().registers {
            self.world.set_registers(hit);
        }
        if self.script.program.layout().stacks {
            self.world.set_stack(hit);
        }
        self.world.set_captured(hit.pid, hit.captured);
    }

    fn acted(&mut self, process: (u32, u64), signals: &[i32]) {
        self.world.set_acted(process, signals);
    }

    fn take_back(&mut self) {
        self.world.take_back();
    }

    fn picture(&mut self, old: &[u8], new: &[u8]) {
        for (kept, bytes) in self.world.pictures().iter_mut().zip([old, new]) {
            kept.clear();
            kept.extend_from_slice(bytes);
        }
    }

    fn hit(&mut self, request: usize, record: &HitRecord) -> Result<Flow, Failure> {
        let DataHandler { handler, mode, .. } = self.data[request];
        let Self { fires, gates, .. } = self;
        if self.on[handler] != Armed::Yes
            || !gates.pass(request, record, || fires.at(mode, record))
        {
            return Ok(self.flow());
        }
        if record.access != AccessKind::Away as u32 {
            self.counts.borrow_mut().fired(request, record);
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
        let limit = self.script.limits.string_bytes;
        let cut = self.world.truncated_strings();
        let cut = (cut > 0).then(|| {
            let cut = report::counted(cut, "string");
            format!("{cut} cut at {limit} bytes; raise the limit with -D MAXSTRINGLEN=N")
        });
        let stacks = self.world.cut_stacks();
        let stacks = (stacks > 0).then(|| {
            let stacks = report::counted(stacks, "stack");
            let more = match self.stacks_by {
                By::Fp => "--stacks dwarf",
                By::Auto | By::Dwarf => "--stack-bytes N",
            };
            format!("{stacks} cut, as `...` shows; more is captured with {more}")
        });
        let refused = self.world.refused_objects();
        let refused = (refused > 0).then(|| {
            let refused = report::counted(refused, "call");
            format!(
                "{refused} of watch() gave 0: at a bad address, of a length that is none, or \
                 beyond {OBJECTS_MAX} objects"
            )
        });
        let short = self.world.short_objects();
        let short = (short > 0).then(|| {
            let short = report::counted(short, "call");
            format!(
                "{short} of watch() gave 0: no debug register was left for the object, and with \
                 `--no-rotate` they do not take turns"
            )
        });
        let own = cut.into_iter().chain(stacks).chain(refused).chain(short);
        let own = own.chain(self.fires.remarks());
        own.chain(self.gates.remarks()).collect()
    }

    fn flush(&mut self) -> io::Result<()> {
        let messages = self.world.messages();
        if !messages.is_empty() {
            // Where standard error fails nobody listens.
            let _ = io::stderr().write_all(messages);
            messages.clear();
        }
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
