//! What BPF takes of the real kernel.

#![allow(unsafe_code, reason = "makes system calls by hand, and maps what they give")]

use std::fs::File;
use std::os::fd::{BorrowedFd, IntoRawFd, RawFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::ptr::NonNull;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use super::{Linux, check, perf, retry};
use crate::bpf::attr::{Command, Element, Iterate, Link, Load, MapCreate, Run, Which};
use crate::bpf::shared::{RecordsMemory, Shared};
use crate::bpf::{Map, Program};
use crate::kernel::{Bpf, Errno, Kernel, Result};

impl Bpf for Linux {
    fn bpf_load(&self, program: &Program, log: &mut [u8]) -> Result<RawFd> {
        let mut load = Load::new(program, log);
        // SAFETY: the kernel reads the program and writes the log, both as long
        // as said, and both outlive the call.
        unsafe { bpf(Command::ProgramLoad, &mut load) }
    }

    fn bpf_run(&self, program: RawFd, context: &mut [u8]) -> Result<u32> {
        let mut run = Run::new(program as u32, context);
        // SAFETY: the kernel reads and writes the context, which is as long as
        // said and outlives the call.
        unsafe { bpf(Command::ProgramRun, &mut run) }?;
        Ok(run.result)
    }

    fn bpf_iterate(&self, program: RawFd, tid: u32) -> Result<RawFd> {
        let which = Which::thread(tid);
        let mut link = Link::new(program as u32, &which);
        // SAFETY: the kernel reads `which`, which outlives the call.
        let link = unsafe { bpf(Command::LinkCreate, &mut link) }?;
        let mut iterate = Iterate { link: link as u32, flags: 0 };
        // SAFETY: numbers only.
        let file = unsafe { bpf(Command::IteratorCreate, &mut iterate) };
        // The file keeps what it needs of the link.
        self.close(link);
        file
    }

    fn bpf_map(&self, map: &Map) -> Result<RawFd> {
        let mut create = MapCreate::new(map);
        // SAFETY: numbers only.
        unsafe { bpf(Command::MapCreate, &mut create) }
    }

    fn bpf_map_put(&self, array: RawFd, index: u32, map: RawFd) -> Result<()> {
        let mut element = Element::new(array as u32, &index, &map);
        // SAFETY: the kernel reads key and value, four bytes each as the array was
        // made for, which outlive the call.
        unsafe { bpf(Command::MapUpdate, &mut element) }.map(drop)
    }

    fn map_shared(&self, array: RawFd, bytes: usize) -> Result<Shared> {
        let base = map(array, bytes, 0, libc::PROT_READ | libc::PROT_WRITE)?;
        // SAFETY: just mapped with that size, and unmapped only by `unmap_shared`,
        // which consumes it.
        Ok(unsafe { Shared::new(base, bytes) })
    }

    fn unmap_shared(&self, memory: Shared) {
        unmap(memory.base(), memory.bytes());
    }

    /// First comes a page that we write, then one that the kernel writes and the
    /// data, twice one after the other (kernel/bpf/ringbuf.c, `bpf_ringbuf_area_alloc`).
    fn map_records(&self, ring: RawFd, data_bytes: usize) -> Result<RecordsMemory> {
        let page = self.page_size();
        let rest = data_bytes.checked_mul(2).and_then(|it| it.checked_add(page));
        let rest = rest.ok_or(Errno::EINVAL)?;
        let ours = map(ring, page, 0, libc::PROT_READ | libc::PROT_WRITE)?;
        let theirs =
            map(ring, rest, page, libc::PROT_READ).inspect_err(|_| unmap(ours, page))?;
        // SAFETY: just mapped with these sizes, and unmapped only by
        // `unmap_records`, which consumes both.
        let parts = unsafe { (Shared::new(ours, page), Shared::new(theirs, rest)) };
        Ok(RecordsMemory::new(parts.0, parts.1, page, data_bytes))
    }

    fn unmap_records(&self, memory: RecordsMemory) {
        for part in memory.into_parts() {
            unmap(part.base(), part.bytes());
        }
    }

    fn perf_set_program(&self, event: RawFd, program: RawFd) -> Result<()> {
        // SAFETY: takes descriptors by value.
        check(unsafe { perf::ioctls::SET_BPF(event, program as u32) }).map(drop)
    }

    fn group(&self, descriptors: &[RawFd]) -> Result<RawFd> {
        let group = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        for descriptor in descriptors {
            let event = EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, 0);
            // SAFETY: the caller owns it; borrowed for this call.
            let descriptor = unsafe { BorrowedFd::borrow_raw(*descriptor) };
            group.add(descriptor, event)?;
        }
        Ok(group.0.into_raw_fd())
    }

    fn quiet(&self, group: RawFd) {
        let mut events = [EpollEvent::empty(); 16];
        let room = events.len() as libc::c_int;
        loop {
            let to = events.as_mut_ptr().cast();
            // SAFETY: the kernel writes as many events as there is room for.
            let taken = unsafe { libc::epoll_wait(group, to, room, 0) };
            if taken < room {
                return;
            }
        }
    }

    fn pid_namespace(&self) -> Result<(u64, u64)> {
        let namespace = std::fs::metadata("/proc/self/ns/pid");
        let namespace = namespace.map_err(|error| super::from_io(&error))?;
        let device = namespace.dev();
        // As the kernel numbers devices (include/linux/kdev_t.h).
        let (major, minor) = (libc::major(device), libc::minor(device));
        Ok((u64::from(major) << 20 | u64::from(minor), namespace.ino()))
    }

    fn own_frame(&self, address: u64) -> Result<u64> {
        const PRESENT: u64 = 1 << 63;
        const NUMBER: u64 = (1 << 55) - 1;
        let page = address / self.page_size() as u64;
        let mut entry = [0; 8];
        let pagemap = File::open("/proc/self/pagemap");
        pagemap
            .and_then(|file| file.read_exact_at(&mut entry, page * 8))
            .map_err(|error| super::from_io(&error))?;
        match u64::from_ne_bytes(entry) {
            entry if entry & PRESENT == 0 => Err(Errno::ENXIO),
            entry if entry & NUMBER == 0 => Err(Errno::EPERM),
            entry => Ok(entry & NUMBER),
        }
    }
}

/// Maps a part of a descriptor, shared.
fn map(
    descriptor: RawFd,
    bytes: usize,
    offset: usize,
    protection: libc::c_int,
) -> Result<NonNull<u8>> {
    let offset = libc::off_t::try_from(offset).map_err(|_| Errno::EINVAL)?;
    let null = std::ptr::null_mut();
    // SAFETY: a new mapping at an address of the kernel's choice.
    let base = unsafe {
        libc::mmap(null, bytes, protection, libc::MAP_SHARED, descriptor, offset)
    };
    match base {
        libc::MAP_FAILED => Err(Errno::last()),
        base => NonNull::new(base.cast()).ok_or(Errno::EFAULT),
    }
}

/// Unmaps what [`map`] gave.
fn unmap(base: NonNull<u8>, bytes: usize) {
    // SAFETY: callers own the mapping and nothing refers to it any more.
    unsafe { libc::munmap(base.as_ptr().cast(), bytes) };
}

/// bpf(2): gives a descriptor or 0.
///
/// # Safety
///
/// `attr` is what the command takes, and memory that it points to is as long as it
/// says and lives until the call returns.
unsafe fn bpf<T>(command: Command, attr: &mut T) -> Result<RawFd> {
    let attr = std::ptr::from_mut(attr);
    retry(|| {
        // SAFETY: as the caller promises. The kernel touches nothing behind the
        // size given.
        let result = unsafe {
            libc::syscall(libc::SYS_bpf, command as libc::c_int, attr, size_of::<T>())
        };
        check(result as i32)
    })
}
