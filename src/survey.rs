//! Before anything is armed: which processes there are, where the data is in each of
//! them, and whether that is all that was asked for.

mod missing;

use std::collections::VecDeque;
use std::rc::Rc;

use hwtrace_lang::diagnostic::Diagnostic;
use hwtrace_probes::process::{Process, processes_of};
use hwtrace_probes::resolve::{Location, ResolveError};
use hwtrace_probes::spec::ProcessRef;
use hwtrace_probes::stack;
use hwtrace_runtime::bpf::hit::Insight;
use hwtrace_runtime::engine;
use hwtrace_runtime::engine::perf::PerfOptions;
use hwtrace_runtime::engine::{ArmError, Engine, Turn};
use hwtrace_runtime::event::Trigger;
use hwtrace_runtime::kernel::Kernel;
use hwtrace_runtime::slots::Room;

use crate::armed::{Armed, Pace, Refused, Rotation, Seek, Surroundings};
use crate::arming;
use crate::engines::Taken;
use crate::instances::{Instance, Place, Stop};
use crate::kernel_data::{self, KernelData};
use crate::plans;
use crate::registers::{Registers, Shape};
use crate::session::{Consumer, Data, Failure, Request};
use crate::sharing::{Means, Sharing};
use crate::surroundings::may_read_kernel;
use crate::target::Running;
use crate::unwinding::Unwinding;
use missing::Wrong;

/// By what is armed.
#[derive(Clone, Copy)]
pub(crate) struct With<'a> {
    pub(crate) taken: &'a Taken,
    pub(crate) options: &'a PerfOptions,
    pub(crate) stacks: Unwinding,
    pub(crate) sharing: Sharing,
}

/// Why not everything could be armed.
struct Obstacle {
    failure: Failure,
    /// Registers that were free, where they were too few.
    free: Option<u32>,
}

impl From<Failure> for Obstacle {
    fn from(failure: Failure) -> Self {
        Self { failure, free: None }
    }
}

impl Obstacle {
    fn of(
        refused: &Refused,
        requests: &[Request],
        registers: &Registers,
        means: Means,
    ) -> Self {
        let free = match refused.error {
            ArmError::NoFreeRegister { free, .. } => Some(free),
            _ => None,
        };
        Self { failure: arming::failed(refused, requests, registers, means), free }
    }
}

/// What was found.
pub(crate) struct Survey {
    instances: VecDeque<Instance>,
    kernel: KernelData,
    /// By request: what its data is like, none for what is left out.
    shapes: Vec<Option<Shape>>,
    locations: Vec<Option<Location>>,
    /// Whether processes that start later are asked for.
    later: bool,
    /// Processes that are asked for by number.
    needed: Vec<u32>,
    /// What is left out of ranges, as sentences.
    left_out: Vec<String>,
    /// Whether there are objects whose places the consumer tells later.
    objects: bool,
}

impl Survey {
    /// Looks where everything is. A target that we hold is let run until its
    /// libraries are there, where data of them or of threads is asked for.
    ///
    /// # Errors
    /// Everything that is wrong with processes and data.
    pub(crate) fn of(
        requests: &[Request],
        surroundings: &Surroundings,
        target: Option<&mut Running>,
    ) -> Result<Self, Failure> {
        let kernel = KernelData::find(requests, surroundings)?;
        let mut survey = Self {
            instances: VecDeque::new(),
            kernel,
            shapes: Vec::new(),
            locations: Vec::new(),
            later: requests.iter().any(|request| request.data.executable().is_some()),
            needed: surroundings.target.into_iter().collect(),
            left_out: Vec::new(),
            objects: false,
        };
        if let Some(target) = target {
            survey.look_at_target(target, requests, surroundings)?;
        }
        survey.look_at_others(requests, surroundings)?;
        survey.settle(requests, surroundings)?;
        Ok(survey)
    }

    fn look_at_target(
        &mut self,
        target: &mut Running,
        requests: &[Request],
        surroundings: &Surroundings,
    ) -> Result<(), Failure> {
        let mut instance = survey(target.pid(), requests, surroundings)?;
        let stop = instance.next_stop().filter(|_| target.is_held());
        if let Some(stop) = stop {
            while target.run_to(stop.address)?
                && is_loading(stop, target.pid(), surroundings)
            {}
            instance = survey(target.pid(), requests, surroundings)?;
        }
        self.instances.push_back(instance);
        Ok(())
    }

    /// Processes that are named in the script.
    fn look_at_others(
        &mut self,
        requests: &[Request],
        surroundings: &Surroundings,
    ) -> Result<(), Failure> {
        let mut pids = Vec::new();
        for request in requests {
            match request.data.process() {
                None | Some(ProcessRef::Target) => {}
                Some(ProcessRef::Pid(pid)) => pids.push((*pid, !request.optional)),
                Some(ProcessRef::Path(path)) => {
                    pids.extend(processes_of(path).into_iter().map(|pid| (pid, false)));
                }
            }
        }
        pids.sort_unstable();
        pids.dedup_by_key(|(pid, _)| *pid);
        for (pid, needed) in pids {
            if self.instances.iter().any(|known| known.pid() == pid) {
                continue;
            }
            match survey(pid, requests, surroundings) {
                Ok(instance) => {
                    self.needed.extend(needed.then_some(pid));
                    self.instances.push_back(instance);
                }
                Err(failure) if needed => return Err(failure),
                // Of those that a path names some may be others'.
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Decides by the first process that has it what the data of each request is
    /// like; says everything that is wrong.
    fn settle(
        &mut self,
        requests: &[Request],
        surroundings: &Surroundings,
    ) -> Result<(), Failure> {
        let mut wrong = Vec::new();
        for (number, request) in requests.iter().enumerate() {
            if matches!(request.data, Data::Objects(_)) {
                self.locations.push(None);
                self.shapes.push(None);
                self.objects = true;
                continue;
            }
            let exists = |rival: &usize| self.locations[*rival].is_some();
            let settled = match request.instead_of.iter().any(exists) {
                true => Ok(None),
                false => self.settle_one(number, request, surroundings),
            };
            let (location, shape) = match settled {
                Ok(settled) => settled.unzip(),
                Err(diagnostic) => {
                    let nowhere = self.leads_nowhere(number);
                    wrong.push(Wrong { number, nowhere, diagnostic: *diagnostic });
                    (None, None)
                }
            };
            if location.is_none() {
                self.leave_out(number);
            }
            self.locations.push(location);
            self.shapes.push(shape);
        }
        let (diagnostics, left_out) = missing::judge(requests, wrong, self);
        self.left_out = left_out;
        match diagnostics.is_empty() {
            true => Ok(()),
            false => Err(Failure::Diagnosed(diagnostics)),
        }
    }

    /// Whether a pointer on the way to the data leads nowhere.
    fn leads_nowhere(&self, number: usize) -> bool {
        let mut places = self.instances.iter().map(|instance| &instance.places[number]);
        places.any(|place| matches!(place.why(), Some(ResolveError::Null { .. })))
    }

    fn leave_out(&mut self, number: usize) {
        for instance in &mut self.instances {
            instance.places[number] = Place::NotHere;
        }
        self.kernel.leave_out(number);
    }

    fn settle_one(
        &self,
        number: usize,
        request: &Request,
        surroundings: &Surroundings,
    ) -> Result<Option<(Location, Shape)>, Box<Diagnostic>> {
        let Data::Process(data) = &request.data else {
            return self.kernel.settle(number, request, &surroundings.names);
        };
        let places = || self.instances.iter().map(|instance| &instance.places[number]);
        if let Some(location) = places().find_map(Place::location) {
            let shape = Shape::of(location, data.follow, &surroundings.names);
            return Ok(Some((location.clone(), shape)));
        }
        let why = places().find_map(Place::why);
        let waits = places().any(|place| matches!(place, Place::Pending { .. }))
            || (why.is_none() && request.data.executable().is_some());
        if waits && let Some(location) = surroundings.names.unplaced(data) {
            let location = location
                .map_err(|error| Box::new(arming::unresolved(&error, request.span)))?;
            let links = places().find_map(Place::links).unwrap_or_default();
            let shape =
                Shape::pending(&location, data.follow, &surroundings.names, links);
            return Ok(Some((location, shape)));
        }
        match why {
            Some(why) if request.optional && arming::is_absent(why) => Ok(None),
            Some(why) => Err(Box::new(arming::unresolved(why, request.span))),
            None if request.optional => Ok(None),
            None => Err(Box::new(arming::no_process_of(request))),
        }
    }

    /// Where the data is, by request.
    pub(crate) fn locations(&self) -> Vec<Option<Location>> {
        self.locations.clone()
    }

    /// What is left out of ranges, as sentences.
    pub(crate) fn left_out(&self) -> Vec<String> {
        self.left_out.clone()
    }

    /// Whether there is nothing to arm.
    pub(crate) fn is_empty(&self) -> bool {
        !self.objects && self.locations.iter().all(Option::is_none)
    }

    /// Arms everything, or nothing. A target that we hold an engine may take over. Where
    /// others hold registers, watches take turns on those that are left.
    ///
    /// # Errors
    /// Where registers are short, or the kernel does not arm.
    pub(crate) fn arm<C: Consumer>(
        mut self,
        requests: &Rc<[Request]>,
        surroundings: &Surroundings,
        with: With<'_>,
        mut target: Option<&mut Running>,
        consumer: &mut C,
    ) -> Result<Armed, Failure> {
        let all = with.taken.capacity();
        let capacity = with.sharing.capacity(with.taken);
        let rotate = with.sharing.rotate && with.taken.passes();
        // What others leave free on each thread.
        let (mut left, mut first) = (all, None);
        loop {
            let room = Room { capacity, held: capacity.saturating_sub(left), rotate };
            let armed = self
                .plan(requests, room, &with.sharing, consumer)
                .map_err(Obstacle::from);
            let armed = armed.and_then(|registers| {
                let target = target.as_deref_mut();
                self.arm_in(registers, requests, surroundings, with, target, consumer)
            });
            let Obstacle { failure, free } = match armed {
                Ok(mut armed) => {
                    armed.figures.held = all - left;
                    return Ok(armed);
                }
                Err(stop) => stop,
            };
            // What others hold is told by the first.
            let failure = first.take().unwrap_or(failure);
            match free {
                Some(free) if rotate && (free as usize) < left.min(capacity) => {
                    (left, first) = (free as usize, Some(failure));
                }
                _ => return Err(failure),
            }
        }
    }

    /// Arms everything in these registers, or nothing.
    fn arm_in<C: Consumer>(
        &mut self,
        registers: Registers,
        requests: &Rc<[Request]>,
        surroundings: &Surroundings,
        With { taken, options, stacks, sharing }: With<'_>,
        target: Option<&mut Running>,
        consumer: &mut C,
    ) -> Result<Armed, Obstacle> {
        let means = Means { sharing, passes: taken.passes() };
        let turns = registers.turns(surroundings.kernel.clock());
        let rotation = Rotation::new(turns, Pace::new(sharing.slice));
        let turns = rotation.first();
        if taken.runs_programs() {
            arming::refuse_turns(&turns)?;
        }
        let kernel_watches = self.kernel.watches(&registers);
        let mut plans = plans::of(&registers, &|request| consumer.plan(request));
        plans::tell_moves(&mut plans, &registers, (requests, &self.shapes));
        if !may_read_kernel(&*surroundings.kernel).unwrap_or(false) {
            plans::without_kernel(&mut plans);
        }
        let images = self.instances.iter().map(|instance| &*instance.image);
        let others = self.later || kernel_watches.is_some();
        stacks.plan(&mut plans, images, others, stack::keeps_frame_pointers);
        if kernel_watches.is_some() {
            surroundings.symbols.borrow_mut().prepare_kernel();
        }
        let tasks = kernel_data::tasks(requests, surroundings);
        let prompt = self.later || self.needs_news(requests);
        let whole_system = self.later || kernel_watches.is_some();
        let loads = registers.watches().iter().any(|it| it.trigger == Trigger::ReadWrite);
        let stacks = plans.iter().any(|plan| plan.stack.bytes > 0);
        let insight = match taken.runs_programs() {
            true => kernel_data::insight(surroundings, loads, stacks),
            false => Insight::default(),
        };
        let options = PerfOptions { prompt, whole_system, insight, ..options.clone() };
        let open = |options| {
            let mut engine = taken.open(&surroundings.kernel, options);
            engine.set_plans(&plans::taught(&plans, engine.learns()));
            engine.set_turns(&turns);
            engine
        };
        let (engine, seek) = self.engine(requests, &surroundings.kernel, options, &open);
        let mut armed =
            Armed::new(engine, registers, Rc::clone(requests), surroundings.clone());
        armed.tracker.set_plans(&plans, armed.engine.learns());
        armed.tracker.look_beyond(armed.registers.shared_by_accesses());
        armed.plans = plans;
        armed.seek = seek;
        armed.rotation = Some(rotation);
        let mut sum = engine::Armed::default();
        if let Some(watches) = kernel_watches
            && let Err(refused) = armed.arm_kernel(&watches)
        {
            return Err(Obstacle::of(&refused, requests, &armed.registers, means));
        }
        if let Some(target) = target.filter(|target| target.is_held()) {
            let pid = target.pid();
            let taken = armed.engine.take_over(pid, &mut || target.hand_over());
            taken.map_err(|error| {
                Obstacle::of(&Refused { pid, error }, requests, &armed.registers, means)
            })?;
        }
        if let Err(refused) = self.attach(&mut armed, &mut sum, consumer) {
            let stop = Obstacle::of(&refused, requests, &armed.registers, means);
            self.instances.extend(armed.give_back());
            return Err(stop);
        }
        for (tid, name) in tasks {
            if !armed.tracker.knows_thread(tid) {
                armed.tracker.rename(tid, tid, consumer.name(&name));
            }
        }
        sum.slots = armed.figures.slots();
        if turns.iter().any(|turn| *turn != Turn::Stays) {
            sum.watches = turns.len() as u32;
        }
        sum.capacity = u32::try_from(taken.capacity()).unwrap_or(u32::MAX);
        armed.figures.at_start = sum;
        Ok(armed)
    }

    /// Gives everything a register.
    fn plan<C: Consumer>(
        &self,
        requests: &[Request],
        room: Room,
        sharing: &Sharing,
        consumer: &mut C,
    ) -> Result<Registers, Failure> {
        let by_member = consumer.by_member();
        let mut intern = |text: &[u8]| consumer.name(text);
        // One at least is for objects, which take turns on it.
        let others = Room { held: room.held + usize::from(self.objects), ..room };
        let planned =
            Registers::plan(requests, &self.shapes, by_member, others, &mut intern);
        let mut registers = planned.map_err(|error| {
            let takes =
                |shape: &Option<Shape>| shape.as_ref().map_or(0, Shape::registers);
            let takes: Vec<_> = self.shapes.iter().map(takes).collect();
            arming::too_many(&error, &takes, requests, sharing)
        })?;
        registers.keep_for_objects(requests, room.capacity.saturating_sub(room.held));
        Ok(registers)
    }

    /// The engine; with it who looks for processes that start later, where the
    /// engine may not see those of others.
    fn engine(
        &self,
        requests: &[Request],
        kernel: &Rc<dyn Kernel>,
        options: PerfOptions,
        open: &dyn Fn(PerfOptions) -> Box<dyn Engine>,
    ) -> (Box<dyn Engine>, Option<Seek>) {
        let mut engine = open(options.clone());
        if !self.later || engine.listen().is_ok() {
            return (engine, None);
        }
        let options = PerfOptions { whole_system: self.kernel.is_some(), ..options };
        (open(options), Some(Seek::of(requests, kernel.clock())))
    }

    /// Arms the processes.
    fn attach<C: Consumer>(
        &mut self,
        armed: &mut Armed,
        sum: &mut engine::Armed,
        consumer: &mut C,
    ) -> Result<(), Refused> {
        let parent = armed.surroundings.target.filter(|_| armed.seek.is_some());
        while let Some(instance) = self.instances.pop_front() {
            // Of the target it is told what it starts, where of others it is not.
            if !instance.is_wanted() && Some(instance.pid()) != parent {
                continue;
            }
            let needed = self.needed.contains(&instance.pid());
            match armed.attach(instance, consumer) {
                Ok(attached) => {
                    sum.threads += attached.threads;
                    sum.left_out.merge(&attached.left_out);
                }
                Err(Refused { error: ArmError::Gone { .. }, .. }) if !needed => {}
                Err(refused) => return Err(refused),
            }
        }
        Ok(())
    }

    /// Whether births and mappings are to be answered at once.
    fn needs_news(&self, requests: &[Request]) -> bool {
        let own =
            |place: &Place| matches!(place, Place::EachThread(_) | Place::Pending { .. });
        let places = self.instances.iter().flat_map(|instance| &instance.places);
        places.into_iter().any(own)
            || requests.iter().any(|request| {
                let data = request.data.of_process();
                data.is_some_and(|data| data.expression.module().is_some())
            })
    }
}

fn survey(
    pid: u32,
    requests: &[Request],
    surroundings: &Surroundings,
) -> Result<Instance, Failure> {
    let process = Process::open(pid).map_err(|error| arming::process(&error))?;
    let Surroundings { names, kernel, target, .. } = surroundings;
    let surveyed = Instance::survey(process, requests, (names, kernel, *target));
    surveyed.map_err(|error| arming::process(&error))
}

/// Whether a program that is held where its loader tells of libraries is not done with
/// them.
fn is_loading(stop: Stop, pid: u32, surroundings: &Surroundings) -> bool {
    let mut state = [0; 4];
    stop.state.is_some_and(|address| {
        let read = surroundings.kernel.read_memory(pid, address, &mut state);
        read == Ok(state.len()) && u32::from_ne_bytes(state) != 0
    })
}
