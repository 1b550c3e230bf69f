//! The processes of a session, and where in each of them the data is.

use std::rc::Rc;

use hwtrace_probes::AbsAddr;
use hwtrace_probes::image::Image;
use hwtrace_probes::process::{Process, ProcessError};
use hwtrace_probes::resolve::{self, Location, Memory, ResolveError};
use hwtrace_probes::spec::{DataSpec, ProcessRef};
use hwtrace_runtime::kernel::Kernel;

use crate::names::Names;
use crate::registers::Found;
use crate::session::{Data, Request};

/// A process that is watched.
pub(crate) struct Instance {
    pub(crate) process: Process,
    pub(crate) image: Rc<Image>,
    /// By request.
    pub(crate) places: Vec<Place>,
    /// Whether its first thread has its own data.
    thread_pointer_known: bool,
}

/// Where the data of a request is in a process.
#[derive(Debug)]
pub(crate) enum Place {
    /// The request is for other processes.
    NotHere,
    /// It is not there yet, and may come.
    Pending {
        /// Why.
        why: ResolveError,
        /// The pointers on the way that are there.
        links: Vec<u64>,
    },
    /// There is none of this name.
    Missing(ResolveError),
    /// Each thread has its own.
    EachThread(Location),
    /// It is there.
    At(Location),
    /// Where its objects are the consumer tells while the session runs.
    Told,
}

impl Place {
    pub(crate) fn location(&self) -> Option<&Location> {
        match self {
            Self::At(location) | Self::EachThread(location) => Some(location),
            _ => None,
        }
    }

    /// Why it is not there.
    pub(crate) fn why(&self) -> Option<&ResolveError> {
        match self {
            Self::Pending { why, .. } | Self::Missing(why) => Some(why),
            _ => None,
        }
    }

    /// The pointers on the way that are there, where the data is not.
    pub(crate) fn links(&self) -> Option<&[u64]> {
        match self {
            Self::Pending { links, .. } => Some(links),
            _ => None,
        }
    }

    fn found(&self) -> Found<'_> {
        match self {
            Self::NotHere | Self::Missing(_) | Self::EachThread(_) => Found::NotHere,
            Self::Pending { links, .. } => Found::Pending(links),
            Self::Told => Found::Pending(&[]),
            Self::At(location) => Found::At(location),
        }
    }
}

impl Instance {
    /// Looks where the data is in a process as it is now.
    ///
    /// # Errors
    /// Where the process can not be looked at.
    pub(crate) fn survey(
        process: Process,
        requests: &[Request],
        (names, kernel, target): (&Names, &Rc<dyn Kernel>, Option<u32>),
    ) -> Result<Self, ProcessError> {
        let image = Rc::new(Image::of_process(&process, names.files())?);
        let tid = process.pid();
        let thread_pointer = ProcessMemory::new(kernel, tid).thread_pointer(tid);
        let thread_pointer_known = thread_pointer.is_some();
        let mut instance =
            Self { process, image, places: Vec::new(), thread_pointer_known };
        for request in requests {
            let place = match instance.is_asked(request, target)? {
                true => instance.find(request, (names, kernel)),
                false => Place::NotHere,
            };
            instance.places.push(place);
        }
        Ok(instance)
    }

    /// Whether the consumer tells of objects of a request in it.
    pub(crate) fn is_told(&self, request: usize) -> bool {
        matches!(self.places.get(request), Some(Place::Told))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Whether any data of the session is in it, or may come.
    pub(crate) fn is_wanted(&self) -> bool {
        let wanted = |place: &Place| !matches!(place, Place::NotHere | Place::Missing(_));
        self.places.iter().any(wanted)
    }

    /// What was mapped or executed since is taken into account from now on.
    pub(crate) fn look_again(&mut self, names: &Names) -> Result<(), ProcessError> {
        self.image = Rc::new(Image::of_process(&self.process, names.files())?);
        Ok(())
    }

    /// Where the data of a request is, for the registers.
    pub(crate) fn found(&self, request: usize) -> Found<'_> {
        self.places.get(request).map_or(Found::NotHere, Place::found)
    }

    fn is_asked(
        &self,
        request: &Request,
        target: Option<u32>,
    ) -> Result<bool, ProcessError> {
        match request.data.process() {
            None => Ok(false),
            Some(ProcessRef::Target) => Ok(target == Some(self.pid())),
            Some(other) => self.process.is_named_by(other),
        }
    }

    /// To where a program that has not run yet is let run, as what its loader sets up
    /// is waited for: libraries, pointers that are set from the start, the first
    /// thread's own data.
    pub(crate) fn next_stop(&self) -> Option<Stop> {
        let libraries = self.places.iter().any(is_set_by_loader);
        let threads =
            self.places.iter().any(|place| matches!(place, Place::EachThread(_)));
        if !libraries && (!threads || self.has_threads()) {
            return None;
        }
        self.stop_of_loader().or_else(|| self.stop_in_main())
    }

    /// Whether the C library has set up its first thread.
    fn has_threads(&self) -> bool {
        let variable = self.places.iter().find_map(|place| match place {
            Place::EachThread(location) => location.thread_local,
            _ => None,
        });
        variable.is_none() || self.thread_pointer_known
    }

    /// Where the dynamic loader says that it has loaded what was to be loaded, with
    /// nothing of it initialized (glibc, elf/dl-debug.c: `_dl_debug_state`; musl,
    /// ldso/dynlink.c).
    fn stop_of_loader(&self) -> Option<Stop> {
        let mut modules = self.image.modules().iter().filter(|module| {
            let name = module.path().file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with("ld-") || name.starts_with("ld."))
        });
        let loader = modules.next()?;
        let (elf, bias) = (loader.elf()?, loader.bias()?);
        let symbol = elf.only_function("_dl_debug_state")?;
        let state = elf.find_data("_r_debug").ok().map(|it| bias.to_abs(it.address).0);
        Some(Stop { address: bias.to_abs(symbol).0, state: state.map(|it| it + R_STATE) })
    }

    /// A program without a loader sets itself up before `main`.
    fn stop_in_main(&self) -> Option<Stop> {
        let main = self.image.modules().first()?;
        let symbol = main.elf()?.only_function("main")?;
        Some(Stop { address: main.bias()?.to_abs(symbol).0, state: None })
    }

    /// Looks where the data of a request is now.
    pub(crate) fn find(
        &self,
        request: &Request,
        (names, kernel): (&Names, &Rc<dyn Kernel>),
    ) -> Place {
        let data = match &request.data {
            Data::Process(data) => data,
            Data::Objects(_) => return Place::Told,
            Data::Kernel(_) => return Place::NotHere,
        };
        let mut memory = ProcessMemory::new(kernel, self.pid());
        let length = data.length.map(u64::from);
        let image = &*self.image;
        let (links, found) = resolve::way(image, &mut memory, &data.expression, length);
        match found {
            Ok(location) if location.thread_local.is_some() => {
                Place::EachThread(location)
            }
            Ok(location) => Place::At(location),
            Err(ResolveError::EachThread { .. }) => self.find_in_threads(request, kernel),
            Err(why)
                if may_come(&why, data.follow)
                    || self.is_in_library(&why, data, names) =>
            {
                let links = links.iter().map(|link| link.address.0).collect();
                Place::Pending { why, links }
            }
            Err(why) => Place::Missing(why),
        }
    }

    /// Whether a library that the executable needs has it, and is not there yet.
    fn is_in_library(&self, why: &ResolveError, data: &DataSpec, names: &Names) -> bool {
        let none = matches!(
            why,
            ResolveError::NoSuchSymbol { .. } | ResolveError::Stripped { .. }
        );
        let main = self.image.modules().first().filter(|_| none);
        main.is_some_and(|main| names.is_in_library(data, main.path()))
    }

    /// Behind a pointer that each thread has: the first thread tells what the data
    /// is like.
    fn find_in_threads(&self, request: &Request, kernel: &Rc<dyn Kernel>) -> Place {
        match self.find_by_name(request, self.pid(), kernel) {
            Some(Ok(location)) => Place::EachThread(location),
            Some(Err(why)) => Place::Pending { why, links: Vec::new() },
            None => Place::NotHere,
        }
    }

    /// Where a thread has the data of a request.
    pub(crate) fn find_in(
        &self,
        (number, request): (usize, &Request),
        tid: u32,
        kernel: &Rc<dyn Kernel>,
    ) -> Option<Result<Location, ResolveError>> {
        // A thread does not wait while its data is looked for: by name that takes long.
        let mut memory = ProcessMemory::new(kernel, self.pid());
        let known = self.places.get(number).and_then(Place::location);
        let found = known.and_then(|it| it.in_thread(&self.image, &mut memory, tid));
        found.or_else(|| self.find_by_name(request, tid, kernel))
    }

    fn find_by_name(
        &self,
        request: &Request,
        tid: u32,
        kernel: &Rc<dyn Kernel>,
    ) -> Option<Result<Location, ResolveError>> {
        let Data::Process(data) = &request.data else { return None };
        let mut memory = ProcessMemory::new(kernel, self.pid());
        let length = data.length.map(u64::from);
        let (image, expression) = (&*self.image, &data.expression);
        Some(resolve::resolve_for_thread(image, &mut memory, expression, length, tid))
    }
}

/// Libraries come by themselves; pointers are looked at again only where they are
/// followed.
fn may_come(why: &ResolveError, follows: bool) -> bool {
    match why {
        ResolveError::Null { .. }
        | ResolveError::Dangling { .. }
        | ResolveError::Unreadable { .. } => follows,
        why => why.may_come_later(),
    }
}

/// Whether the loader may bring what is missing: a library, or the addresses in
/// pointers that are set from the start.
fn is_set_by_loader(place: &Place) -> bool {
    match place {
        Place::Pending { why: ResolveError::NotAllocated { .. }, .. } => false,
        Place::Pending { .. } => true,
        // Pointers that are not followed.
        Place::Missing(why) => why.may_come_later(),
        _ => false,
    }
}

/// Where a program is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    /// The address.
    pub(crate) address: u64,
    /// Where a number is that is not 0 as long as it will come there again before
    /// anything of the program runs.
    pub(crate) state: Option<u64>,
}

/// Where in `struct r_debug` of <link.h> its `r_state` is; RT_CONSISTENT is 0.
const R_STATE: u64 = 24;

/// Memory of one process, for who follows pointers in it.
pub(crate) struct ProcessMemory<'a> {
    kernel: &'a Rc<dyn Kernel>,
    pid: u32,
}

impl<'a> ProcessMemory<'a> {
    pub(crate) fn new(kernel: &'a Rc<dyn Kernel>, pid: u32) -> Self {
        Self { kernel, pid }
    }
}

impl Memory for ProcessMemory<'_> {
    fn read(&mut self, address: AbsAddr, bytes: &mut [u8]) -> usize {
        self.kernel.read_memory(self.pid, address.0, bytes).unwrap_or(0)
    }

    fn robust_list(&mut self, tid: u32) -> Option<AbsAddr> {
        let head = self.kernel.robust_list(tid).ok()?;
        (head != 0).then_some(AbsAddr(head))
    }
}
