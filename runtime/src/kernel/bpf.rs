//! The part of the door to the kernel that BPF takes: programs, maps, and the
//! memory that both sides share.

use std::os::fd::RawFd;

use super::Result;
use crate::bpf::shared::{RecordsMemory, Shared};
use crate::bpf::{Map, Program};

/// What hwtrace asks of the kernel for its BPF programs. Descriptors are closed
/// with [`Kernel::close`](super::Kernel::close).
pub trait Bpf {
    /// Loads a BPF program, close-on-exec (bpf(2), BPF_PROG_LOAD). What the
    /// verifier says is written into `log`, where that has room, up to a zero.
    ///
    /// # Errors
    /// EPERM without CAP_BPF and CAP_PERFMON, ENOSYS on a kernel without BPF,
    /// EACCES or EINVAL where the verifier refuses it, ENOSPC where `log` is too
    /// short.
    fn bpf_load(&self, program: &Program, log: &mut [u8]) -> Result<RawFd>;

    /// Runs a program of [`crate::bpf::Role::Call`], which may change its
    /// context; gives what it gives (bpf(2), BPF_PROG_TEST_RUN).
    ///
    /// # Errors
    /// EINVAL for another program, or where the context is shorter than what
    /// the program looks at; EPERM.
    fn bpf_run(&self, program: RawFd, context: &mut [u8]) -> Result<u32>;

    /// A file that is written by a program of [`crate::bpf::Role::Iterator`] as
    /// it is read, close-on-exec: of the thread with this id as we see it, or of
    /// all threads with 0, which kernels before 6.1 give in any case (bpf(2),
    /// BPF_LINK_CREATE and BPF_ITER_CREATE).
    ///
    /// # Errors
    /// ESRCH where there is no such thread, EINVAL for another program, EMFILE.
    fn bpf_iterate(&self, program: RawFd, tid: u32) -> Result<RawFd>;

    /// Makes a map, close-on-exec (bpf(2), BPF_MAP_CREATE).
    ///
    /// # Errors
    /// EPERM without CAP_BPF, ENOSYS on a kernel without BPF, EINVAL for a kind
    /// that this kernel does not have, ENOMEM.
    fn bpf_map(&self, map: &Map) -> Result<RawFd>;

    /// Puts a map into an array of maps, or a program into one of programs (bpf(2),
    /// BPF_MAP_UPDATE_ELEM).
    ///
    /// # Errors
    /// E2BIG where the array has no such place, EINVAL where it is not like
    /// those that the array was made for.
    fn bpf_map_put(&self, array: RawFd, index: u32, what: RawFd) -> Result<()>;

    /// Maps the one element, of so many bytes, of an array that can be mapped.
    ///
    /// # Errors
    /// EPERM, EINVAL, ENOMEM of mmap(2).
    fn map_shared(&self, array: RawFd, bytes: usize) -> Result<Shared>;

    /// Unmaps it.
    fn unmap_shared(&self, memory: Shared);

    /// Maps the records of a ring with so many bytes of data.
    ///
    /// # Errors
    /// As [`Bpf::map_shared`].
    fn map_records(&self, ring: RawFd, data_bytes: usize) -> Result<RecordsMemory>;

    /// Unmaps them.
    fn unmap_records(&self, memory: RecordsMemory);

    /// Has a program run at each hit of a perf event that has none, and of those who
    /// inherit it from now on (PERF_EVENT_IOC_SET_BPF).
    ///
    /// # Errors
    /// EINVAL for another kind of program or event, EEXIST, EPERM.
    fn perf_set_program(&self, event: RawFd, program: RawFd) -> Result<()>;

    /// A descriptor that becomes readable when one of these wakes who waits for it,
    /// until [`Bpf::quiet`], whatever there is to be read there (epoll(7),
    /// edge-triggered).
    ///
    /// # Errors
    /// EMFILE, ENOMEM.
    fn group(&self, descriptors: &[RawFd]) -> Result<RawFd>;

    /// Has it be readable no longer.
    fn quiet(&self, group: RawFd);

    /// Device and inode of the pid namespace that we are in (namespaces(7)).
    ///
    /// # Errors
    /// As stat(2).
    fn pid_namespace(&self) -> Result<(u64, u64)>;

    /// Number of the page of physical memory in which this address of ours is now
    /// (Documentation/admin-guide/mm/pagemap.rst).
    ///
    /// # Errors
    /// EPERM where we may not know, ENXIO where there is none, or as open(2) and
    /// read(2).
    fn own_frame(&self, address: u64) -> Result<u64>;
}
