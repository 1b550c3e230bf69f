//! Data of the kernel that a session watches: found once, when it begins.

use std::rc::Rc;

use hwtrace_lang::diagnostic::Diagnostic;
use hwtrace_probes::AbsAddr;
use hwtrace_probes::kernel::{
    KernelError, KernelLocation, KernelNames, Path, TASK, offset, task_offset,
};
use hwtrace_probes::resolve::{Location, in_kernel};
use hwtrace_probes::spec::{KernelDataSpec, KernelObject};
use hwtrace_probes::symbols;
use hwtrace_runtime::bpf::hit::{Current, Insight, StackEnds};
use hwtrace_runtime::bpf::{TaskLayout, Tasks, Walk};
use hwtrace_runtime::event::Watch;

use crate::armed::Surroundings;
use crate::arming;
use crate::names::{NO_BTF, Names};
use crate::registers::{Found, Registers, Shape};
use crate::session::{Data, Failure, Request};
use crate::surroundings::KernelSource;

/// By request: where it is.
#[derive(Default)]
pub(crate) struct KernelData {
    found: Vec<Option<Result<Location, Box<Diagnostic>>>>,
}

/// What finds data of the kernel.
struct Finder<'a> {
    surroundings: &'a Surroundings,
    symbols: symbols::KernelData,
    memory: Result<KernelSource, String>,
    cpus: Vec<u32>,
}

/// The tasks whose data is asked for, with their names: what they do first may be
/// to change these.
pub(crate) fn tasks(
    requests: &[Request],
    surroundings: &Surroundings,
) -> Vec<(u32, Vec<u8>)> {
    let named = |request: &Request| {
        let Data::Kernel(data) = &request.data else { return None };
        let KernelObject::Task { tid, .. } = &data.object else { return None };
        let name = surroundings.kernel.thread_name(*tid, *tid).ok()?;
        Some((*tid, name))
    };
    requests.iter().filter_map(named).collect()
}

/// How programs read the memory of processes unseen, where this kernel is known well
/// enough.
fn walk(surroundings: &Surroundings) -> Option<Walk> {
    let types = surroundings.names.kernel()?;
    let mm = offset(types, TASK, "mm")?;
    let pgd = offset(types, "struct mm_struct", "pgd")?;
    Walk::find(&surroundings.kernel, mm, pgd)
}

impl KernelData {
    /// Looks for all that is asked for.
    ///
    /// # Errors
    /// Where the machine can not be asked; what is wrong with a request comes with
    /// the request.
    pub(crate) fn find(
        requests: &[Request],
        surroundings: &Surroundings,
    ) -> Result<Self, Failure> {
        let is_kernel = |request: &Request| matches!(request.data, Data::Kernel(_));
        if !requests.iter().any(is_kernel) {
            return Ok(Self { found: requests.iter().map(|_| None).collect() });
        }
        let cpus = surroundings.kernel.online_cpus();
        let finder = Finder {
            surroundings,
            symbols: symbols::KernelData::running(),
            memory: KernelSource::open(&surroundings.kernel),
            cpus: cpus.map_err(|errno| Failure::System("online CPUs", errno.into()))?,
        };
        let found = |request: &Request| match &request.data {
            Data::Kernel(data) => Some(finder.find(data, request)),
            Data::Process(_) | Data::Objects(_) => None,
        };
        Ok(Self { found: requests.iter().map(found).collect() })
    }

    /// Whether any is asked for.
    pub(crate) fn is_some(&self) -> bool {
        self.found.iter().any(Option::is_some)
    }

    pub(crate) fn leave_out(&mut self, number: usize) {
        self.found[number] = None;
    }

    pub(crate) fn settle(
        &self,
        number: usize,
        request: &Request,
        names: &Names,
    ) -> Result<Option<(Location, Shape)>, Box<Diagnostic>> {
        match &self.found[number] {
            Some(Ok(location)) => {
                Ok(Some((location.clone(), Shape::of(location, false, names))))
            }
            Some(Err(_)) if request.optional => Ok(None),
            Some(Err(diagnostic)) => Err(diagnostic.clone()),
            None => Ok(None),
        }
    }

    /// The registers on the kernel's data; none where there are none.
    pub(crate) fn watches(&self, registers: &Registers) -> Option<Vec<Option<Watch>>> {
        let found = |request: usize| match &self.found[request] {
            Some(Ok(location)) => Found::At(location),
            _ => Found::NotHere,
        };
        let watches = registers.placed(&found);
        watches.iter().any(Option::is_some).then_some(watches)
    }
}

/// What programs at hits may know of the kernel where `loads` are reported, too, or
/// `stacks` are read: these also where they end.
pub(crate) fn insight(surroundings: &Surroundings, loads: bool, stacks: bool) -> Insight {
    // The kernel's types take longer to read than all else takes that is to be armed.
    if !loads && !stacks {
        return Insight::default();
    }
    Insight {
        current: current(&surroundings.names),
        walk: walk(surroundings),
        stack_ends: stacks.then(|| stack_ends(&surroundings.names)).flatten(),
    }
}

/// What the kernel's types say of where stacks end; none where they do not.
fn stack_ends(names: &Names) -> Option<StackEnds> {
    let types = names.kernel()?;
    let member = |structure, member| offset(types, structure, member);
    let segment = member(TASK, "thread")? + member("struct thread_struct", "fsbase")?;
    let near = |at: u64| i16::try_from(at).ok().map(i16::cast_unsigned);
    Some(StackEnds {
        segment: near(segment)?,
        mm: near(member(TASK, "mm")?)?,
        arguments: near(member("struct mm_struct", "start_stack")?)?,
    })
}

/// What the kernel's types say of where it keeps who runs; none where they do not.
fn current(names: &Names) -> Option<Current> {
    let types = names.kernel()?;
    let member = |structure, member| {
        offset(types, structure, member)
            .and_then(|at| i16::try_from(at).ok())
            .map(i16::cast_unsigned)
    };
    Some(Current {
        function: types.function("bpf_cast_to_kern_ctx")?,
        event: member("struct bpf_perf_event_data_kern", "event")?,
        context: member("struct perf_event", "ctx")?,
        task: member("struct perf_event_context", "task")?,
        pid: member(TASK, "pid")?,
        tgid: member(TASK, "tgid")?,
    })
}

impl Finder<'_> {
    fn find(
        &self,
        data: &KernelDataSpec,
        request: &Request,
    ) -> Result<Location, Box<Diagnostic>> {
        let unresolved = |error| Box::new(arming::unresolved(&error, request.span));
        let length = data.length.map(u64::from);
        let named = match &data.object {
            KernelObject::Address(address) => {
                return in_kernel::at_address(*address, length).map_err(unresolved);
            }
            KernelObject::Variable { name, path } => {
                self.ask(|names| names.data(name, path))
            }
            KernelObject::Task { tid, path } => self.task(*tid, path, request)?,
        };
        let location =
            named.map_err(|error| arming::no_kernel_data(&error, request.span))?;
        let types = self.surroundings.names.kernel();
        let location =
            in_kernel::location(&location, types.map(|types| &**types), length);
        location.map_err(unresolved)
    }

    fn task(
        &self,
        tid: u32,
        path: &Path,
        request: &Request,
    ) -> Result<Result<KernelLocation, KernelError>, Box<Diagnostic>> {
        let tasks = self.tasks().map_err(|text| arming::no_bpf(&text, request.span))?;
        let found = tasks.find(tid);
        let found =
            found.map_err(|error| arming::no_bpf(&error.to_string(), request.span))?;
        let Some(task) = found else {
            return Err(Box::new(arming::no_task(tid, request.span)));
        };
        Ok(self.ask(|names| names.task(AbsAddr(task.address), path)))
    }

    fn tasks(&self) -> Result<Tasks, String> {
        let types = self.surroundings.names.kernel();
        let types = types.ok_or(NO_BTF)?;
        let member =
            |name| task_offset(types, name).and_then(|at| u16::try_from(at).ok());
        let layout = || {
            let function = types.function("bpf_iter_task")?;
            Some(TaskLayout { function, pid: member("pid")?, tgid: member("tgid")? })
        };
        let layout = layout().ok_or("its BTF has no iterator over tasks (Linux 5.8)")?;
        Tasks::open(&self.surroundings.kernel, layout).map_err(|error| error.to_string())
    }

    fn ask<T>(&self, ask: impl Fn(&KernelNames<'_>) -> T) -> T {
        let read = |address: AbsAddr, bytes: &mut [u8]| match &self.memory {
            Ok(memory) => memory.read(address.0, bytes),
            Err(_) => 0,
        };
        let all_tasks = || {
            let tasks =
                self.tasks().and_then(|tasks| tasks.all().map_err(|e| e.to_string()));
            let tasks = tasks.unwrap_or_default();
            tasks.iter().map(|task| AbsAddr(task.address)).collect()
        };
        let types = self.surroundings.names.kernel().map(Rc::clone);
        ask(&KernelNames {
            types: types.as_deref(),
            symbols: &self.symbols,
            read: &read,
            cpus: &self.cpus,
            tasks: &all_tasks,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use hwtrace_runtime::engine::perf::{PerfEngine, PerfOptions};
    use hwtrace_runtime::engine::{Engine, Flow, bpf};
    use hwtrace_runtime::event::{Event, Trigger, Watch};
    use hwtrace_runtime::kernel::Kernel;
    use hwtrace_runtime::kernel::linux::Linux;
    use hwtrace_runtime::plan::{Needs, Plan, StackCapture};

    use super::*;
    use crate::target::Target;

    /// The stack of a thread of our own when it stores, and where the program
    /// ends what it copies.
    fn stack(kernel: &Rc<dyn Kernel>, stack_ends: Option<StackEnds>) -> Vec<u8> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let insight = Insight { stack_ends, ..Insight::default() };
        let options = PerfOptions { insight, ..PerfOptions::default() };
        let mut engine = PerfEngine::with_programs(Rc::clone(kernel), options);
        let bytes = StackCapture::BYTES_MAX;
        engine.set_plans(&[Plan {
            needs: Needs { user_stack: true, ..Needs::NONE },
            stack: StackCapture { callers: false, bytes },
            ..Plan::default()
        }]);
        let address = COUNTER.as_ptr() as u64;
        let watch = Watch { address, length: 8, trigger: Trigger::Write };
        engine.arm(std::process::id(), &[watch]).expect("armed");
        let thread = std::thread::spawn(|| COUNTER.store(1, Ordering::Relaxed));
        thread.join().expect("no panic");
        engine.disarm();
        let mut stack = Vec::new();
        let drained = engine.drain(true, &mut |event| {
            if let Event::Hit(hit) = event {
                stack = hit.user_stack.bytes.to_vec();
            }
            Flow::Continue
        });
        drained.expect("good records");
        stack
    }

    #[test]
    fn of_a_stack_no_more_is_copied_than_there_is() {
        let kernel: Rc<dyn Kernel> = Rc::new(Linux);
        let names = Names::of(&Target::None);
        let Some(ends) = stack_ends(&names) else {
            eprintln!("SKIPPED: this kernel has no BTF");
            return;
        };
        if let Err(error) = bpf::probe(&kernel) {
            eprintln!("SKIPPED: {error}");
            return;
        }
        let (ended, mapped) = (stack(&kernel, Some(ends)), stack(&kernel, None));
        let lengths = (ended.len(), mapped.len());
        assert!(ended.len() > 64 && ended.len() < mapped.len(), "{lengths:?}");
    }
}
