//! What an engine reports, in the order of time.

use crate::ring::as_bytes;
use crate::schema::AccessKind;

/// Something that happened in a traced process.
#[derive(Debug)]
pub enum Event<'a> {
    /// A watched range was accessed.
    Hit(RawHit<'a>),
    /// A thread took a new name; `exec` where it did so by executing another
    /// image.
    Comm {
        /// When, CLOCK_MONOTONIC nanoseconds.
        time: u64,
        /// Process.
        pid: u32,
        /// Thread.
        tid: u32,
        /// The name, up to 15 bytes.
        name: &'a [u8],
        /// Whether an exec gave the name; its watches are gone then.
        exec: bool,
    },
    /// A thread or process was created.
    Fork {
        /// When.
        time: u64,
        /// Process of the new thread.
        pid: u32,
        /// The new thread.
        tid: u32,
        /// Process of the creator.
        parent_pid: u32,
        /// The creator.
        parent_tid: u32,
    },
    /// A thread ended.
    Exit {
        /// When.
        time: u64,
        /// Process.
        pid: u32,
        /// Thread.
        tid: u32,
    },
    /// Records are missing here: there was no room for them.
    Lost {
        /// How many.
        count: u64,
    },
    /// A file was mapped executable.
    Mmap {
        /// When.
        time: u64,
        /// Process.
        pid: u32,
        /// First address.
        address: u64,
        /// Length in bytes.
        length: u64,
        /// Offset in the file, bytes.
        offset: u64,
        /// Path as the kernel knows it.
        path: &'a [u8],
    },
}

/// A hit as the engine captured it, before its access is decoded.
#[derive(Clone, Copy, Debug, Default)]
pub struct RawHit<'a> {
    /// Index of the watch in the list that was armed.
    pub watch: u32,
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// CPU.
    pub cpu: u32,
    /// CLOCK_MONOTONIC nanoseconds.
    pub time: u64,
    /// The sampled instruction pointer: on x86 the instruction *after* the
    /// access (kernel: arch/x86/kernel/hw_breakpoint.c, the trap is reported
    /// after the instruction).
    pub ip: u64,
    /// Whether the kernel made the access on behalf of the thread.
    pub kernel: bool,
    /// User registers after the instruction; of a hit in the kernel those with
    /// which the thread entered it. None of them where nobody needs them.
    pub registers: Registers<'a>,
    /// Of a hit in the kernel: registers of the code that made the access, after
    /// the instruction. None of them where the engine does not know them.
    pub interrupted: Registers<'a>,
    /// Of a hit in the kernel: addresses of the calls in the kernel that led to the
    /// access, the innermost first. Of watches on processes only where the plan needs
    /// it ([`Needs::kernel_stack`](crate::plan::Needs)).
    pub kernel_stack: &'a [u64],
    /// The user's stack, where the plan needs it ([`Needs::user_stack`](crate::plan::Needs));
    /// [`RawHit::registers`] are there then, too.
    pub user_stack: UserStack<'a>,
    /// Of a hit in the kernel: the number of the system call that the thread is
    /// in (arch/x86/entry/syscalls/syscall_64.tbl); none where it is in none, or
    /// the engine does not know.
    pub syscall: Option<u32>,
    /// What was found out at the hit itself.
    pub at_hit: AtHit,
    /// What the plan had read at the hit.
    pub captured: Captured<'a>,
}

/// The user's stack at a hit as it was captured, to be walked later. Of a hit in the
/// kernel, as the thread entered it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UserStack<'a> {
    /// The chain of frame pointers: where the thread is, and the addresses to which
    /// calls return, the innermost first. Right where all code keeps frame pointers.
    pub callers: &'a [u64],
    /// Bytes of memory from the stack pointer on, as many as could be had.
    pub bytes: &'a [u8],
}

/// What an engine found out at the hit itself, where it can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AtHit {
    /// The value that the last hit on the watch in this process left; none where
    /// there was none that the engine saw.
    pub old: Option<u64>,
    /// Whether that was read from memory then: it may be what another CPU stored since.
    pub old_read: bool,
    /// What memory held at the watched bytes; none where it was not read, or
    /// could not be.
    pub memory: Option<u64>,
    /// What the instruction did, where that had been taught.
    pub told: Option<Told>,
    /// Which of the plan's [acts](crate::plan::Plan::acts) were done: a bit each.
    pub acted: u8,
    /// Whether it took a number at the plan's [gate](crate::plan::Gate), which let it
    /// through.
    pub let_through: bool,
}

/// What an instruction did, by a [`Rule`](crate::plan::Rule). It covered all watched
/// bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Address of the instruction.
    pub instruction: u64,
    /// What it did.
    pub kind: AccessKind,
    /// The watched bytes after it.
    pub new: u64,
    /// Whether `new` is what this very instruction stored or loaded.
    pub exact: bool,
}

/// Memory that was read at a hit: entries one after the other, each an address,
/// a word with the number of bytes that could be read in its lower and of the
/// words that follow in its upper half, and those words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Captured<'a> {
    /// The entries.
    pub words: &'a [u64],
}

impl<'a> Captured<'a> {
    /// The second word of an entry.
    pub fn extent(bytes: u32, words: u32) -> u64 {
        u64::from(words) << 32 | u64::from(bytes)
    }

    /// The bytes from `address` on that were read, `length` of them; none where
    /// they were not.
    pub fn find(&self, address: u64, length: usize) -> Option<&'a [u8]> {
        self.entries().find_map(|(start, bytes)| {
            let offset = usize::try_from(address.checked_sub(start)?).ok()?;
            bytes.get(offset..offset.checked_add(length)?)
        })
    }

    /// Each entry's address and the bytes that could be read.
    pub fn entries(&self) -> impl Iterator<Item = (u64, &'a [u8])> + use<'a> {
        let mut rest = self.words;
        std::iter::from_fn(move || {
            let ([address, extent], after) = rest.split_first_chunk::<2>()?;
            let words = usize::try_from(extent >> 32).ok()?;
            let (words, after) = after.split_at_checked(words)?;
            rest = after;
            let bytes = as_bytes(words);
            let length = (*extent as u32 as usize).min(bytes.len());
            Some((*address, &bytes[..length]))
        })
    }
}

/// Registers as perf samples them: the values of the bits set in `mask`, in
/// the order of the bits (x86: arch/x86/include/uapi/asm/perf_regs.h).
#[derive(Clone, Copy, Debug, Default)]
pub struct Registers<'a> {
    /// Which registers are there, one bit each.
    pub mask: u64,
    /// Their values.
    pub values: &'a [u64],
}

impl Registers<'_> {
    /// The register with this perf number.
    pub fn get(&self, number: u32) -> Option<u64> {
        let bit = 1u64.checked_shl(number)?;
        if self.mask & bit == 0 {
            return None;
        }
        let index = (self.mask & (bit - 1)).count_ones() as usize;
        self.values.get(index).copied()
    }
}

/// A watch at one address, as engines arm it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Watch {
    /// First byte, a multiple of `length`; [`Watch::PENDING`] where it is not
    /// known yet.
    pub address: u64,
    /// 1, 2, 4 or 8 bytes.
    pub length: u32,
    /// Which accesses fire.
    pub trigger: Trigger,
}

impl Watch {
    /// Stands for an address that is not known yet: a register is reserved and
    /// watches nothing until it is given one. No program has data there
    /// (vm.mmap_min_addr).
    pub const PENDING: u64 = 0;

    /// Whether its address is known.
    pub fn is_placed(&self) -> bool {
        self.address != Self::PENDING
    }

    /// Whether it is the kernel's memory: the upper half of all addresses, on
    /// x86-64 and arm64 alike (Documentation/arch/x86/x86_64/mm.rst).
    pub fn is_kernel(&self) -> bool {
        self.address >> 63 == 1
    }
}

/// Which accesses a debug register reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// Stores.
    Write,
    /// Loads and stores; x86 has no register for loads alone.
    ReadWrite,
}
