//! What the engine holds of the kernel, given back when dropped.

use std::os::fd::RawFd;
use std::rc::Rc;

use crate::attr::{EventSpec, Features, Role};
use crate::engine::bpf::HitRing;
use crate::kernel::{Kernel, Result};
use crate::merge::Cursor;
use crate::record::Layout;
use crate::ring::{BadRecord, Ring};

/// An open event.
pub(super) struct PerfEvent {
    kernel: Rc<dyn Kernel>,
    descriptor: RawFd,
    pub(super) spec: EventSpec,
}

impl PerfEvent {
    pub(super) fn open(
        kernel: &Rc<dyn Kernel>,
        spec: EventSpec,
        tid: u32,
        cpu: u32,
    ) -> Result<Self> {
        let descriptor = kernel.perf_event_open(&spec, tid, cpu)?;
        Ok(Self { kernel: Rc::clone(kernel), descriptor, spec })
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.descriptor
    }
}

impl Drop for PerfEvent {
    fn drop(&mut self) {
        self.kernel.close(self.descriptor);
    }
}

/// The ring of a CPU, with the event that owns it.
pub(super) struct CpuRing {
    /// None only while it is being dropped.
    ring: Option<Ring>,
    owner: PerfEvent,
}

impl CpuRing {
    /// Opens the owner on `cpu` and maps a ring of `pages` pages; who waits for
    /// it is woken by `watermark` unread bytes.
    pub(super) fn open(
        kernel: &Rc<dyn Kernel>,
        features: Features,
        cpu: u32,
        pages: usize,
        watermark: u32,
    ) -> std::result::Result<Self, RingError> {
        let spec = EventSpec { role: Role::RingOwner { watermark }, features };
        let owner = PerfEvent::open(kernel, spec, 0, cpu).map_err(RingError::Open)?;
        let memory = kernel.map_ring(owner.descriptor, pages).map_err(RingError::Map)?;
        Ok(Self { ring: Some(Ring::new(memory)), owner })
    }

    pub(super) fn owner(&self) -> RawFd {
        self.owner.descriptor
    }

    pub(super) fn refresh(&mut self) -> std::result::Result<(), BadRecord> {
        self.ring.as_mut().map_or(Ok(()), Ring::refresh)
    }

    pub(super) fn publish(&mut self) {
        if let Some(ring) = &mut self.ring {
            ring.publish();
        }
    }

    /// Whether more than half of it waits to be read.
    pub(super) fn is_filling(&self) -> bool {
        let over = |ring: &Ring| ring.unread_bytes() * 2 > ring.data_bytes() as u64;
        self.ring.as_ref().is_some_and(over)
    }

    /// The words of the first record.
    pub(super) fn front(&self) -> Option<&[u64]> {
        self.ring.as_ref()?.front()
    }
}

/// Where events come from: the records of perf, or those of programs.
pub(super) enum Source {
    Perf(CpuRing),
    Programs(HitRing),
}

impl Source {
    /// The ring that perf writes, if it is one.
    pub(super) fn perf(&self) -> Option<&CpuRing> {
        match self {
            Self::Perf(ring) => Some(ring),
            Self::Programs(_) => None,
        }
    }

    pub(super) fn refresh(&mut self) -> std::result::Result<(), BadRecord> {
        match self {
            Self::Perf(ring) => ring.refresh(),
            Self::Programs(ring) => ring.refresh(),
        }
    }

    pub(super) fn publish(&mut self) {
        match self {
            Self::Perf(ring) => ring.publish(),
            Self::Programs(ring) => ring.publish(),
        }
    }

    /// Whether more than half of it waits to be read.
    pub(super) fn is_filling(&self) -> bool {
        match self {
            Self::Perf(ring) => ring.is_filling(),
            Self::Programs(ring) => ring.is_filling(),
        }
    }
}

impl Cursor for Source {
    fn time(&self) -> Option<u64> {
        match self {
            Self::Perf(ring) => ring.time(),
            Self::Programs(ring) => ring.time(),
        }
    }

    fn advance(&mut self) -> std::io::Result<()> {
        match self {
            Self::Perf(ring) => ring.advance(),
            Self::Programs(ring) => ring.advance(),
        }
    }
}

/// Which step of setting up a ring failed.
pub(super) enum RingError {
    /// Opening the owner.
    Open(crate::kernel::Errno),
    /// Mapping the ring.
    Map(crate::kernel::Errno),
}

impl Cursor for CpuRing {
    fn time(&self) -> Option<u64> {
        let words = self.ring.as_ref()?.front()?;
        // A record too short for a time goes at once, to be reported.
        Some(Layout::time(words).unwrap_or(0))
    }

    fn advance(&mut self) -> std::io::Result<()> {
        let advanced = self.ring.as_mut().map_or(Ok(()), Ring::advance);
        advanced.map_err(bad_record)
    }
}

/// The kernel has broken its own format.
pub(super) fn bad_record(error: BadRecord) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, error)
}

impl Drop for CpuRing {
    fn drop(&mut self) {
        // Before the owner is closed: a mapping keeps its event alive.
        if let Some(ring) = self.ring.take() {
            self.owner.kernel.unmap_ring(ring.into_memory());
        }
    }
}
