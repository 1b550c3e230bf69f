//! What bpf(2) is told: the parts of `union bpf_attr` that our programs need, laid
//! out as in include/uapi/linux/bpf.h. What a structure does not go up to, the
//! kernel takes as zeros.

use std::ffi::CStr;

use super::insn::Instruction;

/// A program to be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// What it is for.
    pub role: Role,
    /// What it does.
    pub instructions: Vec<Instruction>,
}

/// What a program is for, which decides what its context is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Run by bpf(2) on a context that the caller makes
    /// (`BPF_PROG_TYPE_SYSCALL`, Linux 5.14).
    Call,
    /// Run on each of the kernel's objects of a kind (`BPF_TRACE_ITER`, Linux 5.8).
    Iterator {
        /// The number in the kernel's BTF of the function that stands for the kind:
        /// `bpf_iter_task`.
        function: u32,
    },
    /// Run at each hit of a perf event, on the registers of who was interrupted
    /// (`BPF_PROG_TYPE_PERF_EVENT`, Linux 4.9).
    Hit,
}

/// A map to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Map {
    /// One element of so many bytes, which we map as well (`BPF_MAP_TYPE_ARRAY`
    /// with `BPF_F_MMAPABLE`, Linux 5.5).
    Shared {
        /// How many.
        bytes: u32,
    },
    /// Records of any length (`BPF_MAP_TYPE_RINGBUF`, Linux 5.8).
    Records {
        /// Bytes of data, a power of two of pages.
        bytes: u32,
    },
    /// So many maps like one that there is (`BPF_MAP_TYPE_ARRAY_OF_MAPS`).
    Maps {
        /// How many.
        count: u32,
        /// Its descriptor.
        like: i32,
    },
    /// So many programs that others go on to (`BPF_MAP_TYPE_PROG_ARRAY`, Linux 4.2).
    Programs {
        /// How many.
        count: u32,
    },
}

/// `enum bpf_cmd`
#[derive(Clone, Copy, Debug)]
pub(crate) enum Command {
    MapCreate = 0,
    MapUpdate = 2,
    ProgramLoad = 5,
    ProgramRun = 10,
    LinkCreate = 28,
    IteratorCreate = 33,
}

const PROG_TYPE_PERF_EVENT: u32 = 7;
const PROG_TYPE_TRACING: u32 = 26;
const PROG_TYPE_SYSCALL: u32 = 31;
const TRACE_ITER: u32 = 28;
/// The program may sleep; those of `BPF_PROG_TYPE_SYSCALL` must.
const F_SLEEPABLE: u32 = 1 << 4;
/// The functions that read the kernel's memory are for programs of this licence.
const LICENSE: &CStr = c"GPL";

const MAP_TYPE_ARRAY: u32 = 2;
const MAP_TYPE_PROG_ARRAY: u32 = 3;
const MAP_TYPE_ARRAY_OF_MAPS: u32 = 12;
const MAP_TYPE_RINGBUF: u32 = 27;
/// `BPF_F_MMAPABLE`
const F_MMAPABLE: u32 = 1 << 10;

/// What bpftool(8) shows our programs and maps as.
fn name() -> [u8; 16] {
    let mut name = [0; 16];
    name[..7].copy_from_slice(b"hwtrace");
    name
}

/// For [`Command::MapCreate`].
#[repr(C)]
#[derive(Debug)]
pub(crate) struct MapCreate {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
    inner: u32,
    numa_node: u32,
    name: [u8; 16],
}

impl MapCreate {
    pub(crate) fn new(map: &Map) -> Self {
        let (map_type, key_size, value_size, max_entries) = match *map {
            Map::Shared { bytes } => (MAP_TYPE_ARRAY, 4, bytes, 1),
            Map::Records { bytes } => (MAP_TYPE_RINGBUF, 0, 0, bytes),
            Map::Maps { count, .. } => (MAP_TYPE_ARRAY_OF_MAPS, 4, 4, count),
            Map::Programs { count } => (MAP_TYPE_PROG_ARRAY, 4, 4, count),
        };
        let (flags, inner) = match *map {
            Map::Shared { .. } => (F_MMAPABLE, 0),
            Map::Records { .. } | Map::Programs { .. } => (0, 0),
            Map::Maps { like, .. } => (0, like as u32),
        };
        let numa_node = 0;
        let name = name();
        Self {
            map_type,
            key_size,
            value_size,
            max_entries,
            flags,
            inner,
            numa_node,
            name,
        }
    }
}

/// For [`Command::MapUpdate`].
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Element {
    map: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

impl Element {
    /// Points to key and value, which must outlive the call.
    pub(crate) fn new<K, V>(map: u32, key: &K, value: &V) -> Self {
        let (key, value) = (std::ptr::from_ref(key), std::ptr::from_ref(value));
        Self { map, padding: 0, key: key as u64, value: value as u64, flags: 0 }
    }
}

/// For [`Command::ProgramLoad`].
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Load {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    expected_attach_type: u32,
    btf: u32,
    function_info_size: u32,
    function_info: u64,
    function_info_count: u32,
    line_info_size: u32,
    line_info: u64,
    line_info_count: u32,
    attach_btf_id: u32,
}

impl Load {
    /// Points into the program and the log, which must outlive the call.
    pub(crate) fn new(program: &Program, log: &mut [u8]) -> Self {
        let (program_type, flags, expected_attach_type, attach_btf_id) = match program
            .role
        {
            Role::Call => (PROG_TYPE_SYSCALL, F_SLEEPABLE, 0, 0),
            Role::Iterator { function } => (PROG_TYPE_TRACING, 0, TRACE_ITER, function),
            Role::Hit => (PROG_TYPE_PERF_EVENT, 0, 0, 0),
        };
        Self {
            program_type,
            instruction_count: program.instructions.len() as u32,
            instructions: program.instructions.as_ptr() as u64,
            license: LICENSE.as_ptr() as u64,
            log_level: u32::from(!log.is_empty()),
            log_size: log.len() as u32,
            log: if log.is_empty() { 0 } else { log.as_mut_ptr() as u64 },
            kernel_version: 0,
            flags,
            name: name(),
            interface: 0,
            expected_attach_type,
            btf: 0,
            function_info_size: 0,
            function_info: 0,
            function_info_count: 0,
            line_info_size: 0,
            line_info: 0,
            line_info_count: 0,
            attach_btf_id,
        }
    }
}

/// For [`Command::ProgramRun`].
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Run {
    program: u32,
    /// Written by the kernel: what the program gave.
    pub(crate) result: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    context_size_in: u32,
    context_size_out: u32,
    context_in: u64,
    context_out: u64,
}

impl Run {
    /// Points to the context, which must outlive the call; the kernel writes it.
    pub(crate) fn new(program: u32, context: &mut [u8]) -> Self {
        Self {
            program,
            result: 0,
            data_size_in: 0,
            data_size_out: 0,
            data_in: 0,
            data_out: 0,
            repeat: 0,
            duration: 0,
            context_size_in: context.len() as u32,
            context_size_out: 0,
            context_in: context.as_mut_ptr() as u64,
            context_out: 0,
        }
    }
}

/// For [`Command::LinkCreate`], of an iterator over tasks.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Link {
    program: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
    which: u64,
    which_size: u32,
    padding: u32,
}

/// Which tasks (`union bpf_iter_link_info`, member `task`, Linux 6.1; before, the
/// kernel pays it no heed).
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Which {
    /// The one thread, as seen by the caller; 0: all.
    pub(crate) tid: u32,
    /// All threads of a process.
    pid: u32,
    descriptor: u32,
}

impl Which {
    /// One thread, or all with 0.
    pub(crate) fn thread(tid: u32) -> Self {
        Self { tid, pid: 0, descriptor: 0 }
    }
}

impl Link {
    /// Points to `which`, which must outlive the call.
    pub(crate) fn new(program: u32, which: &Which) -> Self {
        Self {
            program,
            target: 0,
            attach_type: TRACE_ITER,
            flags: 0,
            which: std::ptr::from_ref(which) as u64,
            which_size: size_of::<Which>() as u32,
            padding: 0,
        }
    }
}

/// For [`Command::IteratorCreate`].
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Iterate {
    /// The link.
    pub(crate) link: u32,
    /// Always 0.
    pub(crate) flags: u32,
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    /// As pahole shows `union bpf_attr`.
    #[test]
    fn layouts() {
        assert_eq!(offset_of!(Load, log), 32);
        assert_eq!(offset_of!(Load, name), 48);
        assert_eq!(offset_of!(Load, expected_attach_type), 68);
        assert_eq!(offset_of!(Load, function_info), 80);
        assert_eq!(offset_of!(Load, line_info), 96);
        assert_eq!(offset_of!(Load, attach_btf_id), 108);
        assert_eq!(offset_of!(Run, data_in), 16);
        assert_eq!(offset_of!(Run, context_size_in), 40);
        assert_eq!((offset_of!(Run, context_in), size_of::<Run>()), (48, 64));
        assert_eq!((offset_of!(Link, which), size_of::<Which>()), (16, 12));
        assert_eq!((offset_of!(MapCreate, name), size_of::<MapCreate>()), (28, 44));
        assert_eq!((offset_of!(Element, key), size_of::<Element>()), (8, 32));
    }
}
