//! A session: arm, let run, hand hits to a consumer in the order of time,
//! disarm, end. Who consumes, compiled handlers or the table of `watch`, the
//! session does not care.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hwtrace_lang::diagnostic::Diagnostic;
use hwtrace_probes::process::{Process, yama_ptrace_scope};
use hwtrace_probes::resolve::Location;
use hwtrace_probes::spec::Timer;
use hwtrace_probes::types::Types;
use hwtrace_runtime::abi::objects::{Room, Wishes};
use hwtrace_runtime::engine::bpf::Tickets;
use hwtrace_runtime::engine::perf::PerfOptions;
use hwtrace_runtime::engine::{self, Flow};
use hwtrace_runtime::event::RawHit;
use hwtrace_runtime::kernel::Kernel;
use hwtrace_runtime::kernel::linux::Linux;
use hwtrace_runtime::plan::{Needs, Plan};
use hwtrace_runtime::schema::HitRecord;

use crate::armed::{self, Armed, Relief, Surroundings, heavy_remark, measured};
use crate::arming;
use crate::counts::Counts;
use crate::engines;
use crate::events::{Events, Signals, Wake};
use crate::names::Names;
pub use crate::request::{Data, Objects, Request};
use crate::rights::{self, Uses};
use crate::sharing::Sharing;
use crate::sink::{Round, Sink};
use crate::survey::{Survey, With};
use crate::symbols::{SharedSymbols, TargetSymbols};
use crate::target::{Fate, Running, Target};
use crate::unwinding::{By, Unwinding};

/// Who gets the hits.
pub trait Consumer {
    /// What it wants watched.
    fn requests(&self) -> Vec<Request>;

    /// What it wants and nobody can arm yet, given where the data of its requests
    /// is: where there is any, nothing is armed.
    fn unarmable(&self, _locations: &[Option<Location>]) -> Vec<Diagnostic> {
        Vec::new()
    }

    /// Its timers.
    fn timers(&self) -> Vec<Timer> {
        Vec::new()
    }

    /// Everything is armed, and the target has not gone on yet.
    ///
    /// # Errors
    /// A failure that ends the session.
    fn begin(&mut self, context: &Context) -> Result<Flow, Failure>;

    /// A thread has this name from now on; gives a handle for its records.
    fn name(&mut self, _name: &[u8]) -> u64 {
        0
    }

    /// Whether it wants the hits of a request from now on. Registers whose hits
    /// nobody wants are disarmed; hits that were on their way come all the same.
    fn wants(&self, _request: usize) -> bool {
        true
    }

    /// What is done at the hits of a request: what its records must hold, which hits
    /// it has no use for, and what is to be read before anything else happens.
    /// Everything and all hits, unless it says otherwise. It is called before
    /// [`Consumer::begin`].
    fn plan(&self, _request: usize) -> Plan {
        Plan { needs: Needs::ALL, ..Plan::default() }
    }

    /// What it wants of objects since it was last asked; these are of requests for
    /// [`Data::Objects`].
    fn wishes(&mut self) -> Wishes {
        Wishes::default()
    }

    /// Whether it wants the hits of an object still.
    fn wants_object(&mut self, _id: u64) -> bool {
        true
    }

    /// An object that it wanted can not be watched.
    fn refuse_object(&mut self, _id: u64) {}

    /// A process has ended or executes another image: its objects are gone.
    fn forget_objects(&mut self, _pid: u32) {}

    /// What it does besides that takes rights; what the session itself uses is added.
    fn uses(&self) -> Uses {
        Uses::default()
    }

    /// Whether the values that it is told are those of the members that were
    /// touched, and not of small structures as a whole.
    fn by_member(&self) -> bool {
        false
    }

    /// The code of a process is no longer what it was.
    fn code_changed(&mut self, _pid: u32) {}

    /// What the engine captured of the hit that is handed on next: for those
    /// whom its record does not tell enough.
    fn captured(&mut self, _hit: &RawHit<'_>) {}

    /// These signals were sent at the hit that is handed on next, to a process, given
    /// with the time of the hit: nobody is to send them once more. What is not wanted
    /// after all may be taken back when it was handed on ([`Consumer::take_back`]).
    fn acted(&mut self, _process: (u32, u64), _signals: &[i32]) {}

    /// The hit was handed on of which [`Consumer::acted`] told.
    fn take_back(&mut self) {}

    /// An object wider than a field of the record, or in several registers, as it
    /// was before the access of the hit that is handed on next, and as it is after.
    fn picture(&mut self, _old: &[u8], _new: &[u8]) {}

    /// A hit on request number `request`.
    ///
    /// # Errors
    /// A failure that ends the session.
    fn hit(&mut self, request: usize, record: &HitRecord) -> Result<Flow, Failure>;

    /// Timer number `timer` is due; `now` is CLOCK_MONOTONIC in nanoseconds.
    ///
    /// # Errors
    /// A failure that ends the session.
    fn timer(&mut self, _timer: usize, _now: u64) -> Result<Flow, Failure> {
        Ok(Flow::Continue)
    }

    /// No more hits come. `failed` where a failure is the reason.
    ///
    /// # Errors
    /// A failure of the end itself.
    fn end(&mut self, _failed: bool, _now: u64) -> Result<(), Failure> {
        Ok(())
    }

    /// What happened in the session, the last that it is told. Nothing is armed any more.
    ///
    /// # Errors
    /// A failure of the output.
    fn sum_up(&mut self, _summary: &Summary) -> Result<(), Failure> {
        Ok(())
    }

    /// What went missing in it, for the session's summary.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }

    /// Puts out what was printed.
    ///
    /// # Errors
    /// As the output; a closed pipe ends the session without an error.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a consumer is told when the session begins.
pub struct Context {
    /// The target, none for a session without.
    pub target: Option<u32>,
    /// Where the data is, by request; none for those that were left out.
    pub locations: Vec<Option<Location>>,
    /// CLOCK_MONOTONIC now, in nanoseconds.
    pub now: u64,
    /// CLOCK_REALTIME less CLOCK_MONOTONIC, in nanoseconds.
    pub time_of_day_offset_ns: i64,
    /// What names mean in the target's files.
    pub names: Rc<Names>,
    /// Names of addresses in the traced processes.
    pub symbols: SharedSymbols,
    /// By request: with what the engine counts its hits at their modifiers, where it does.
    pub tickets: Vec<Option<Tickets>>,
    /// How many objects a process can have, where they are not to take turns.
    pub object_room: Option<Room>,
    /// What each request saw.
    pub counts: Rc<RefCell<Counts>>,
    /// By what stacks are walked.
    pub stacks_by: By,
    /// By way of whom it is traced.
    pub kernel: Rc<dyn Kernel>,
}

/// Why a session ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A handler failed, or something in the script can not be armed.
    #[error("{}", .0.first().map_or("", |diagnostic| &diagnostic.message))]
    Diagnosed(Vec<Diagnostic>),
    /// A system call failed that nobody expected to.
    #[error("{0} failed: {1}")]
    System(&'static str, io::Error),
    /// The output could not be written.
    #[error("cannot write the output: {0}")]
    Output(io::Error),
}

impl From<Diagnostic> for Failure {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::Diagnosed(vec![diagnostic])
    }
}

/// How a session is run.
#[derive(Clone, Default)]
pub struct Options {
    /// Ends the session after this time.
    pub duration: Option<Duration>,
    /// What takes the hits.
    pub engine: engines::Choice,
    /// Bytes of each CPU's ring; the engine's default where none.
    pub ring_bytes: Option<usize>,
    /// What is captured of stacks.
    pub stacks: Unwinding,
    /// What is done where there are more watches than registers.
    pub sharing: Sharing,
    /// What names mean, where the script was checked with that; else it is looked
    /// for anew.
    pub names: Option<Rc<Names>>,
    /// Whether the thread gives up the capabilities that nothing needs any more once
    /// all is armed, for good: see [`rights`].
    pub gives_up_rights: bool,
}

/// What happened in a session, for the line at its end.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Hits that reached the consumer, and those that it had no use for.
    pub hits: u64,
    /// Hits among them that the engine left out, as the consumer's plan says.
    pub filtered: u64,
    /// Stores to pointers that are followed, and that nothing else watches: they are
    /// counted, too.
    pub pointers: u64,
    /// Hits that were parts of accesses in several, and are told with these.
    pub folded: u64,
    /// Hits that the kernel counted.
    pub counted: u64,
    /// Hits for which there was no room.
    pub lost: u64,
    /// Hits of threads that were born while registers were passed on, where none was to be
    /// any more: nobody is told of them.
    pub strays: u64,
    /// Changes that were found when a watch had a register again.
    pub away: u64,
    /// Whether the consumer ended the session, so that hits are left over.
    pub stopped: bool,
    /// Whether a failure ended it, likewise.
    pub failed: bool,
    /// Hits that were handed on out of the order of time.
    pub late: u64,
    /// Values that could neither be decoded nor read.
    pub values_unread: u64,
    /// Names, births and ends of threads for which there was no room.
    pub lost_sideband: u64,
    /// Times that a value had changed without a store that was seen.
    pub unseen_stores: u64,
    /// Processes that executed another program, and are not watched since.
    pub executed: u64,
    /// Processes that executed a program with another user's rights, of which the
    /// kernel tells nothing since.
    pub dropped: u64,
    /// Threads that were born where others hold their registers, and that are not watched.
    pub unarmed: u64,
    /// Processes that are watched when the session ends, the target apart.
    pub processes_left: u64,
    /// Name of the engine; none where nothing was armed.
    pub engine: Option<&'static str>,
    /// Which it is, and why not a better one; empty where nothing was armed.
    pub why_engine: String,
    /// Whether a better engine can not be used here.
    pub second_best: bool,
    /// From armed to disarmed.
    pub elapsed: Duration,
    /// What was armed.
    pub armed: engine::Armed,
    /// Threads that were there or came.
    pub threads: u64,
    /// Those of them that were left out, having too few free registers; all others were
    /// armed, but for those that they created.
    pub left_out: u64,
    /// What became of the target.
    pub fate: Fate,
    /// What the consumer has to say of what went missing in it.
    pub remarks: Vec<String>,
}

/// An armed session.
pub struct Session<'a, C> {
    consumer: &'a mut C,
    kernel: Rc<dyn Kernel>,
    signals: Rc<Signals>,
    target: Option<Running>,
    armed: Option<Armed>,
    context: Context,
    options: Options,
    /// What is left out of ranges, as sentences.
    left_out: Vec<String>,
    /// What the engine can not serve, as sentences.
    unserved: Vec<String>,
    summary: Summary,
    failure: Option<Failure>,
    /// What share of the time hits may take, and how much one takes, in nanoseconds.
    relief: Option<(f64, f64)>,
}

impl<'a, C: Consumer> Session<'a, C> {
    /// Starts or finds the target, finds the data, and arms it. A started
    /// target has not run a single instruction when this returns.
    ///
    /// Signals that end a session (SIGINT, SIGTERM, SIGHUP) are the session's
    /// as long as it lives, for the thread that calls this.
    ///
    /// # Errors
    /// Everything that can be wrong with target, data or rights, as
    /// diagnostics. Nothing is left armed, and no child is left.
    pub fn arm(
        consumer: &'a mut C,
        target: &Target,
        options: Options,
    ) -> Result<Self, Failure> {
        let kernel: Rc<dyn Kernel> = Rc::new(Linux);
        let signals = Signals::take(&kernel)?;
        let requests: Rc<[Request]> = consumer.requests().into();
        arming::refuse_cpus(&requests, &*kernel)?;
        let needed = requests.iter().find(|it| !it.optional && it.data.is_of_target());
        if let (Target::None, Some(first)) = (target, needed) {
            return Err(arming::no_target(first).into());
        }
        let running = Running::start(&kernel, target, signals.taken())?;
        let names = options.names.clone();
        let context = Context {
            target: running.as_ref().map(Running::pid),
            locations: Vec::new(),
            now: kernel.clock(),
            time_of_day_offset_ns: time_of_day_offset(&*kernel),
            names: names.unwrap_or_else(|| Rc::new(Names::of(target))),
            symbols: Rc::new(RefCell::new(TargetSymbols::with_kernel(&kernel))),
            tickets: Vec::new(),
            object_room: None,
            counts: Rc::default(),
            stacks_by: options.stacks.by,
            kernel: Rc::clone(&kernel),
        };
        let mut session = Self {
            consumer,
            kernel,
            signals: Rc::new(signals),
            target: running,
            armed: None,
            context,
            options,
            left_out: Vec::new(),
            unserved: Vec::new(),
            summary: Summary::default(),
            failure: None,
            relief: None,
        };
        session.arm_requests(&requests)?;
        Ok(session)
    }

    /// What was armed.
    pub fn armed(&self) -> &engine::Armed {
        &self.summary.armed
    }

    /// Which engine it was armed with, and why; empty where nothing was armed.
    pub fn engine(&self) -> &str {
        &self.summary.why_engine
    }

    /// Whether a better engine can not be used here.
    pub fn is_second_best(&self) -> bool {
        self.summary.second_best
    }

    /// The types of the data that is watched.
    pub fn types(&self) -> &dyn Types {
        self.context.names.types()
    }

    /// What was asked for and means nothing to the engine that was taken, as sentences.
    pub fn unserved(&self) -> &[String] {
        &self.unserved
    }

    /// Which elements of ranges are not watched, and why.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// Where the data is that is watched.
    pub fn locations(&self) -> impl Iterator<Item = &Location> {
        self.context.locations.iter().flatten()
    }

    fn arm_requests(&mut self, requests: &Rc<[Request]>) -> Result<(), Failure> {
        self.context.locations = vec![None; requests.len()];
        if requests.is_empty() {
            return self.refuse_unarmable();
        }
        let surroundings = Surroundings {
            kernel: Rc::clone(&self.kernel),
            names: Rc::clone(&self.context.names),
            symbols: self.context.symbols.clone(),
            target: self.context.target,
            counts: Rc::clone(&self.context.counts),
        };
        let survey = Survey::of(requests, &surroundings, self.target.as_mut())?;
        self.context.locations = survey.locations();
        self.left_out = survey.left_out();
        self.refuse_unarmable()?;
        if survey.is_empty() {
            return Ok(());
        }
        let options = PerfOptions {
            ring_bytes: self.options.ring_bytes,
            partial: self.options.sharing.partial,
            ..PerfOptions::default()
        };
        let stacks = self.options.stacks;
        let acts = self.wants_tracer(requests);
        let engine = self.options.engine.take_for(&self.kernel, acts);
        let engine = engine.map_err(|why| arming::no_engine(&why))?;
        let sharing = self.options.sharing;
        // Before registers are taken. Where each instruction takes time, hits cost no more.
        let bound = sharing.max_overhead.filter(|_| engine.has_registers());
        self.relief = bound.map(|bound| (bound, measured(&self.kernel, &engine)));
        let with = With { taken: &engine, options: &options, stacks, sharing };
        let target = self.target.as_mut();
        let mut armed =
            survey.arm(requests, &surroundings, with, target, self.consumer)?;
        armed.begin_counting();
        armed.objects = armed::Objects::of(
            requests,
            &armed.registers,
            sharing,
            &Rc::clone(&armed.counts),
            &mut |name| self.consumer.name(name),
        );
        self.context.object_room = armed.objects.as_ref().and_then(armed::Objects::room);
        self.summary.engine = Some(armed.engine.name());
        self.summary.why_engine = engine.why();
        self.summary.second_best = engine.is_second_best();
        self.unserved = sharing.unserved(&engine);
        self.summary.armed = armed.figures.at_start.clone();
        self.context.tickets =
            (0..requests.len()).map(|request| armed.tickets(request)).collect();
        self.armed = Some(armed);
        Ok(())
    }

    /// Whether something is to be done at the hits, and all that is watched can be
    /// traced: where programs can not do it, a tracer can.
    fn wants_tracer(&self, requests: &[Request]) -> bool {
        let acts = |request| !self.consumer.plan(request).acts.is_empty();
        // Looking at the process comes last: most sessions have no need of it.
        (0..requests.len()).any(acts)
            && requests.iter().all(|request| request.data.is_of_target())
            && self.target.as_ref().is_some_and(|it| it.is_held() || may_trace(it.pid()))
    }

    fn refuse_unarmable(&mut self) -> Result<(), Failure> {
        match self.consumer.unarmable(&self.context.locations) {
            unarmable if unarmable.is_empty() => Ok(()),
            unarmable => Err(Failure::Diagnosed(unarmable)),
        }
    }

    /// Runs until the target ends, the time is up, a signal comes (SIGINT,
    /// SIGTERM), a handler calls `exit()`, or something fails.
    ///
    /// # Errors
    /// What failed, with what happened until then; the consumer has been
    /// ended and the target goes on.
    pub fn run(mut self) -> (Summary, Result<(), Failure>) {
        let started = Instant::now();
        // Who hits as fast as all CPUs can must not keep us from reading. It may be
        // forbidden.
        let nice = self.armed.as_ref().and_then(|_| self.kernel.set_nice(NICE).ok());
        match self.give_up_rights().and_then(|()| self.run_to_the_end()) {
            Ok(Flow::Stop) => self.summary.stopped = true,
            Ok(Flow::Continue) => {}
            Err(failure) => self.failure = Some(failure),
        }
        self.finish(started);
        if let Some(nice) = nice {
            // What lowering could do, raising can undo.
            let _ = self.kernel.set_nice(nice);
        }
        self.summary.failed = self.failure.is_some();
        self.sum_up();
        let summary = std::mem::take(&mut self.summary);
        (summary, self.failure.take().map_or(Ok(()), Err))
    }

    /// Gives up the rights that nothing needs from here on.
    fn give_up_rights(&mut self) -> Result<(), Failure> {
        if !self.options.gives_up_rights {
            return Ok(());
        }
        let mut uses = self.consumer.uses();
        if let Some(armed) = &self.armed {
            uses = uses.and(armed.uses());
        }
        if self.kernel.effective_user() != 0 {
            // What is open stays open.
            self.context.symbols.borrow_mut().prepare_rights();
        }
        rights::keep_for(&*self.kernel, &uses)
            .map_err(|errno| Failure::System("giving up capabilities", errno.into()))
    }

    /// [`Flow::Stop`] where the consumer wants no more hits.
    fn run_to_the_end(&mut self) -> Result<Flow, Failure> {
        let signals = Rc::clone(&self.signals);
        let mut events = Events::new(signals, self.target.as_ref(), self.wake_fds());
        events.set_timers(&self.consumer.timers(), self.kernel.clock());
        events.set_end(self.options.duration, self.kernel.clock());
        if self.consumer.begin(&self.context)? == Flow::Stop {
            return Ok(Flow::Stop);
        }
        self.follow_wishes()?;
        // What begin says is read as a sign that all is armed as it is to be.
        self.consumer.flush().map_err(Failure::Output)?;
        // Interrupted before: what did not run yet is not to begin.
        if events.is_interrupted()? {
            return Ok(Flow::Continue);
        }
        if let Some(target) = &mut self.target {
            if target.is_held() {
                // Nothing could be seen before.
                self.context.counts.borrow_mut().restart(self.kernel.clock());
            }
            target.release()?;
        }
        self.begin_relief();
        let mut round = Round::Done;
        loop {
            let due_in = match round {
                Round::Paused => Some(0),
                _ => self.armed.as_ref().map(Armed::due_in),
            };
            let wake = events.wait(self.kernel.clock(), due_in)?;
            if let Some(armed) = &mut self.armed {
                armed
                    .do_what_is_due()
                    .map_err(|e| Failure::System("switching a watch on or off", e))?;
            }
            round = self.drain(false)?;
            if round == Round::Stopped {
                return Ok(Flow::Stop);
            }
            match wake {
                Wake::Drain => {}
                Wake::Child => {
                    if let Some(target) = &mut self.target {
                        target.mind_the_terminal();
                    }
                }
                Wake::Timer(timer) => {
                    if self.consumer.timer(timer, self.kernel.clock())? == Flow::Stop {
                        return Ok(Flow::Stop);
                    }
                }
                Wake::End => return Ok(Flow::Continue),
            }
            self.follow_wishes()?;
            self.consumer.flush().map_err(Failure::Output)?;
        }
    }

    /// From now on hits take no more of the time than they may.
    fn begin_relief(&mut self) {
        let now = self.kernel.clock();
        if let (Some(armed), Some((bound, cost))) = (&mut self.armed, self.relief) {
            let watches = armed.registers.watches().len();
            let mut relief = Relief::new(bound, cost, watches, now);
            for watch in (0..watches).filter(|watch| armed.takes_turns(*watch)) {
                relief.turn(watch, armed.carries(watch), now);
            }
            armed.relief = Some(relief);
        }
    }

    /// Arms the registers whose hits the consumer wants now, and no others.
    fn follow_wishes(&mut self) -> Result<(), Failure> {
        let Some(armed) = &mut self.armed else { return Ok(()) };
        for watch in 0..armed.registers.watches().len() {
            let mut sees = armed.registers.sees()[watch].iter();
            let on = sees.any(|sees| self.consumer.wants(sees.request()));
            armed
                .wish(watch, on)
                .map_err(|e| Failure::System("switching a watch on or off", e))?;
        }
        armed.give_way();
        armed.follow_objects(self.consumer);
        Ok(())
    }

    fn wake_fds(&self) -> Vec<std::os::fd::RawFd> {
        self.armed.as_ref().map_or_else(Vec::new, |armed| armed.engine.wake_fds())
    }

    /// Hands on what the engine has, for a while: signals and timers must not
    /// wait for long.
    fn drain(&mut self, all: bool) -> Result<Round, Failure> {
        let Some(armed) = &mut self.armed else { return Ok(Round::Done) };
        let read = |error| Failure::System("reading the ring", error);
        armed.listen().map_err(read)?;
        armed.act(self.consumer);
        let mut sink = Sink::new(&mut *self.consumer, &self.context, &mut self.summary);
        let drained = armed.drain(all, &mut sink);
        let round = sink.end();
        drained.map_err(read)?;
        armed.act(self.consumer);
        round
    }

    fn finish(&mut self, started: Instant) {
        if let Some(armed) = &mut self.armed {
            armed.end_load();
            self.context.counts.borrow_mut().end(self.kernel.clock());
            armed.engine.disarm();
        }
        self.summary.elapsed = started.elapsed();
        // After exit() or a failure no handler but the ends' runs any more.
        while self.failure.is_none() && !self.summary.stopped {
            match self.drain(true) {
                Ok(Round::Done) => break,
                Ok(Round::Paused) => {}
                Ok(Round::Stopped) => self.summary.stopped = true,
                Err(failure) => self.failure = Some(failure),
            }
        }
        if let Some(armed) = &mut self.armed {
            armed.leave_objects(self.consumer);
            if let Err(error) = armed.take_back(self.consumer) {
                self.failure.get_or_insert(Failure::System("reading the rest", error));
            }
        }
        let now = self.kernel.clock();
        if let Err(failure) = self.consumer.end(self.failure.is_some(), now) {
            self.failure.get_or_insert(failure);
        }
        if let Err(error) = self.consumer.flush() {
            self.failure.get_or_insert(Failure::Output(error));
        }
        self.account();
        self.summary.remarks = self.consumer.remarks();
        if let Some(armed) = &mut self.armed {
            self.summary.remarks.extend(armed.remarks());
            let steps = armed.engine.steps();
            let remark = |steps| crate::report::steps_remark(steps, self.summary.elapsed);
            self.summary.remarks.extend(steps.map(remark));
            if armed.relief.is_none() && steps.is_none() {
                let elapsed = self.summary.elapsed.as_nanos() as u64;
                self.summary.remarks.extend(heavy_remark(self.summary.counted, elapsed));
            }
        }
        if let Some(target) = &mut self.target {
            self.summary.fate = target.let_go();
        }
    }

    /// Lets the consumer have the last word.
    fn sum_up(&mut self) {
        let summed = self.consumer.sum_up(&self.summary);
        let flushed = self.consumer.flush().map_err(Failure::Output);
        if let Err(failure) = summed.and(flushed) {
            self.summary.failed = true;
            self.failure.get_or_insert(failure);
        }
    }

    fn account(&mut self) {
        let Some(Armed { engine, tracker, figures, .. }) = &mut self.armed else {
            return;
        };
        let account = engine.account();
        let summary = &mut self.summary;
        summary.executed = figures.executed;
        summary.armed.slots = figures.slots();
        summary.left_out = figures.left_out();
        summary.counted = account.counted.iter().sum();
        summary.filtered = account.filtered.iter().sum();
        summary.hits += summary.filtered;
        summary.lost = account.lost;
        summary.strays = account.strays;
        summary.late = account.late;
        summary.dropped = account.dropped;
        summary.unarmed = account.unarmed;
        summary.lost_sideband = account.lost_sideband;
        summary.threads = tracker.threads_seen();
        summary.values_unread = tracker.values_unread();
        summary.folded += tracker.folded();
        summary.unseen_stores = tracker.unseen_stores();
        let target = self.context.target.unwrap_or(0);
        summary.processes_left = tracker.processes_besides(target);
    }
}

/// Nice value of the thread that reads, see [`Session::run`].
const NICE: i32 = -15;

fn time_of_day_offset(kernel: &dyn Kernel) -> i64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let realtime = since_epoch.map_or(0, |since| since.as_nanos() as i64);
    realtime - kernel.clock() as i64
}

/// Whether a process that runs could be traced by ptrace(2), as far as is to be seen.
fn may_trace(pid: u32) -> bool {
    let untraced = Process::open(pid).is_ok_and(|it| matches!(it.tracer(), Ok(None)));
    let allowed = matches!(yama_ptrace_scope(), None | Some(0));
    untraced && (allowed || nix::unistd::geteuid().is_root())
}
