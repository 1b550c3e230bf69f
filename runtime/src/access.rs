//! What the instruction at a hit did.
//!
//! On x86 a data breakpoint is a *trap*: it is reported after the instruction
//! that made the access (Intel SDM vol. 3B, chapter "Debug", section "Data
//! Breakpoint Exception Conditions"; Linux: arch/x86/kernel/hw_breakpoint.c),
//! so the sampled instruction pointer is that of the next instruction, and the
//! sampled registers are those after the access. [`Decoder`] finds the
//! instruction before, *forward* from the function's start, and turns it once
//! into a plan, an [`Access`]; [`Access::recover`] applies the plan to the
//! registers of one hit.
//!
//! # When a value is exact
//!
//! [`Recovered::exact`] says that `new` is what this very instruction stored
//! or loaded, whatever other CPUs did since. It needs all of:
//!
//! - an address that follows from the registers after the instruction and
//!   overlaps the watched range. `fs:` and `gs:` relative addresses and those
//!   whose base or index the instruction itself overwrote do not follow;
//! - a value that is in those registers or in the instruction: a register, an
//!   immediate, `setcc` with the flags, `cmpxchg`, `cmpxchg8b` and `cmpxchg16b` with ZF
//!   and the accumulator;
//! - an operand that covers every watched byte.
//!
//! A narrower operand is laid over `old`, a read-modify-write is computed from
//! `old`; both give a value which leans on the shadow and is not exact. Where
//! the address does not follow, the value is given (never exact) if the
//! operand has the watch's very length, as accesses to data of that length
//! usually are aligned. A load whose value is not there leaves `old`: that is not exact
//! either. Everything else, SIMD and `rep` strings above all, has the right kind and no
//! value: read memory.
//!
//! # When the instruction is not known
//!
//! No answer is given rather than a guess where no function is known, or where the
//! boundaries of its instructions do not meet the sampled address. Between a function
//! and the next there may be padding, and nothing else.
//!
//! The instruction before is none that touches memory and falls through, or its address
//! follows and misses the watch: then something came to the sampled address from
//! elsewhere and made the access (`arrive.rs`): a call, a return, or a jump by way of memory.
//! Which, and what it loaded or stored, follows where the watched bytes are known for certain:
//!
//! - all eight are the sampled address: they were loaded, and are exact;
//! - they lie at the stack pointer and are not of the sampled address: a call stored them,
//!   exact where memory was read at the hit, and holds the address behind a call that
//!   goes to the sampled address. Only then the call is known, too.
//!
//! One case cannot be told apart: a `jmp` through the very watched memory to
//! an address before which stands, falling through, an access to the same
//! memory. It takes a watch on loads of a code pointer, and code no compiler is
//! known to emit.
//!
//! # Accesses in parts
//!
//! A string instruction with `rep` traps after each element, at itself but for the last, with
//! pointers and count as they are for the next. Where the next element touches the watched
//! bytes, more of this very access will come ([`Recovered::goes_on`]), also of those that
//! compare: had the comparison ended it, it would not be at itself.
//!
//! # Where instructions begin
//!
//! Functions begin where a symbol says so, or debug information, or what unwinds
//! stacks. Where nothing does, as in code that a program made itself, all instructions
//! that may end at the sampled address are considered (`x86_64/window.rs`): where those
//! among them agree that can have touched the watched bytes, it is known what the access was.
//! Its value is not: memory is read, as is the code, a moment later.
//!
//! # Other architectures
//!
//! A module beside `x86_64` with a `plan` of its own is all they need. On
//! arm64 the trap comes *before* the access: the sampled address is the
//! instruction, no walk from the function's start is needed, stores have their
//! value in the registers and loads have none yet.

mod arrive;
mod recover;
mod rule;
mod x86_64;

use std::collections::HashMap;

use crate::event::{Told, Watch};
use crate::schema::{AccessKind, ByteRange};

pub use self::arrive::Arrival;
pub(crate) use self::x86_64::operands::{Operands, Touched};
pub use self::x86_64::window::Window;

/// Where the decoder gets machine code from.
pub trait CodeSource {
    /// The function of `pid`, or of the [`KERNEL`], that holds `address`: its first address and its
    /// bytes up to its end at least as far as known. None where no symbol
    /// says where it begins.
    fn function(&mut self, pid: u32, address: u64) -> Option<Function<'_>>;
}

/// Stands for the kernel where a process is meant: none has this number.
pub const KERNEL: u32 = 0;

/// The machine code of a function.
#[derive(Clone, Copy, Debug)]
pub struct Function<'a> {
    /// Address of the first byte in the process.
    pub start: u64,
    /// How many bytes it has.
    pub size: u64,
    /// The code, and what follows it: padding up to the next function, whose first
    /// instructions may be here, too.
    pub bytes: &'a [u8],
}

/// How far into a function the decoder walks. A hit further in is unknown;
/// this bounds the work for one new address to some 10 ms.
pub const MAX_WALK: u64 = 1 << 20;

/// How many addresses the cache holds; a new one beyond empties it, so that
/// its memory stays bounded (some 8 MiB) whatever the target executes.
pub const MAX_CACHED: usize = 1 << 14;

/// Finds what the instruction before a sampled address did, once per address.
#[derive(Debug, Default)]
pub struct Decoder {
    cache: Cache<Option<Access>>,
    /// By the bytes that there were: such code may be another at any time.
    windows: Cache<(Window, Option<Access>)>,
    syscalls: Cache<Option<u32>>,
}

/// By process and sampled address.
type Cache<T> = HashMap<(u32, u64), T, foldhash::fast::RandomState>;

/// Makes room for one more, if need be.
fn bound<T>(cache: &mut Cache<T>, key: (u32, u64)) {
    if cache.len() >= MAX_CACHED && !cache.contains_key(&key) {
        cache.clear();
    }
}

impl Decoder {
    /// A decoder that knows no address yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The access after which `pid` was seen at `ip`; None where it is not
    /// known. Asks `code` the first time only, and remembers that there was no
    /// answer, too. For hits in user mode, where in a system call the access is not
    /// by the instruction before `ip`; and for those at the kernel's own
    /// addresses, with [`KERNEL`] for `pid`.
    pub fn decode(
        &mut self,
        pid: u32,
        ip: u64,
        code: &mut dyn CodeSource,
    ) -> Option<&Access> {
        bound(&mut self.cache, (pid, ip));
        self.cache
            .entry((pid, ip))
            .or_insert_with(|| {
                let function = code.function(pid, ip)?;
                x86_64::plan(&function, ip)
            })
            .as_ref()
    }

    /// The same of code of which nobody says where its instructions begin, by the
    /// bytes around `ip`. What is told of it is never exact.
    pub fn decode_window(
        &mut self,
        pid: u32,
        ip: u64,
        window: &Window,
    ) -> Option<&Access> {
        bound(&mut self.windows, (pid, ip));
        let decode = || (*window, x86_64::window::plan(window, ip));
        let known = self.windows.entry((pid, ip)).or_insert_with(decode);
        if known.0 != *window {
            *known = decode();
        }
        known.1.as_ref()
    }

    /// The number of the system call that is made by the instruction before `ip`;
    /// none where that is none, or its number is not a plain constant.
    pub fn syscall(
        &mut self,
        pid: u32,
        ip: u64,
        code: &mut dyn CodeSource,
    ) -> Option<u32> {
        bound(&mut self.syscalls, (pid, ip));
        let known = self.syscalls.entry((pid, ip));
        *known.or_insert_with(|| x86_64::syscall::number(&code.function(pid, ip)?, ip))
    }

    /// Forgets all addresses of `pid`: at its exec and exit, and when it maps
    /// or unmaps code.
    pub fn forget(&mut self, pid: u32) {
        self.cache.retain(|&(owner, _), _| owner != pid);
        self.windows.retain(|&(owner, _), _| owner != pid);
        self.syscalls.retain(|&(owner, _), _| owner != pid);
    }

    /// How many addresses are remembered.
    pub fn cached(&self) -> usize {
        self.cache.len()
    }
}

/// What may have made a hit at one sampled address: a plan by which
/// [`Access::recover`] tells each hit's access from its registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// The sampled address.
    ip: u64,
    touches: [Option<Touch>; MAX_TOUCHES],
    /// The instruction before the sampled address, if it is a call.
    call: Option<Call>,
    /// Whether each of the instructions is where one begins; else one of them may be.
    is_certain: bool,
}

/// The instruction before the sampled address and, where the one at it is a
/// `rep` string instruction, that: with up to half of it each.
const MAX_TOUCHES: usize = 8;

/// A call, and where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Call {
    instruction: u64,
    callee: Callee,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Callee {
    Address(u64),
    /// Where the register says; a call leaves it alone.
    Register(u8),
    /// Where memory said.
    Pointer,
}

impl Access {
    /// Whether it may be in parts: a string instruction with `rep`.
    pub fn is_repeated(&self) -> bool {
        let is =
            |touch: &Touch| matches!(touch.place, Place::Stepped { repeated: true, .. });
        self.touches.iter().flatten().any(is)
    }
}

/// What one hit did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The instruction that made the access; None: not known.
    pub address: Option<u64>,
    /// What it did with the watched bytes.
    pub kind: AccessKind,
    /// The watched bytes before the access, where the instruction itself says:
    /// loads, `xchg`, `xadd`, `cmpxchg`. Then it is exact. None: take the
    /// shadow.
    pub old: Option<u64>,
    /// The watched bytes after the access. None: read memory.
    pub new: Option<u64>,
    /// Whether `new` is what this very instruction stored or loaded.
    pub exact: bool,
    /// Which of the watched bytes it touched; empty where that is not known.
    pub touched: ByteRange,
    /// For which of them `new` is what this very instruction stored or loaded.
    pub told: ByteRange,
    /// Whether `new` was made of what was there before.
    pub leans: bool,
    /// Whether this execution of a `rep` string instruction is not done with the
    /// watched bytes: it will access them again.
    pub goes_on: bool,
    /// Whether it touched more than these.
    pub beyond: Beyond,
}

/// Where else an access was than at the watched bytes, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beyond {
    /// Right before them.
    pub below: bool,
    /// Right behind them.
    pub above: bool,
}

impl Beyond {
    /// On either side, or both.
    pub const SOMEWHERE: Self = Self { below: true, above: true };

    /// Whether it was at these bytes alone.
    pub fn is_nowhere(self) -> bool {
        self == Self::default()
    }
}

impl Recovered {
    /// What an engine told of an access by a rule.
    pub fn told(told: &Told, watch: &Watch) -> Self {
        let all = ByteRange { start: 0, end: watch.length as u8 };
        Self {
            address: Some(told.instruction),
            kind: told.kind,
            // A load tells what was there.
            old: (told.kind == AccessKind::Read).then_some(told.new),
            new: Some(told.new),
            exact: told.exact,
            touched: all,
            told: if told.exact { all } else { ByteRange::default() },
            leans: false,
            goes_on: false,
            beyond: Beyond::default(),
        }
    }
}

/// One memory operand of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Touch {
    /// Address of the instruction.
    instruction: u64,
    /// What it does with the operand.
    kind: AccessKind,
    /// Where the operand is.
    place: Place,
    /// Its size in bytes; 0 only where `place` is unknown.
    size: u32,
    /// Its bytes.
    value: Value,
}

/// Where an operand is, told from the registers after the instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The registers do not tell: `fs:`, `gs:`, an overwritten base.
    Unknown,
    /// base + index * scale + displacement.
    Linear {
        base: Option<u8>,
        index: Option<u8>,
        scale: u8,
        displacement: u64,
        /// 32-bit addressing: registers and sum are cut (SDM vol. 1, 3.6.1).
        narrow: bool,
    },
    /// Where a string instruction's pointer was before it stepped by the
    /// operand's size, up or down by the direction flag.
    Stepped { pointer: u8, narrow: bool, repeated: bool },
}

impl Place {
    /// So many bytes behind it.
    fn plus(self, bytes: u64) -> Self {
        match self {
            Self::Linear { base, index, scale, displacement, narrow } => {
                let displacement = displacement.wrapping_add(bytes);
                Self::Linear { base, index, scale, displacement, narrow }
            }
            _ => Self::Unknown,
        }
    }
}

/// What is known of an operand's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    /// Nothing: read memory.
    Unknown,
    /// Stored from or loaded into a register, which still holds them.
    Register(RegisterPart),
    /// Loaded into a register if the condition held (`cmovcc`).
    RegisterIf(RegisterPart, Condition),
    /// Stored from the instruction.
    Immediate(u64),
    /// Stored 1 or 0 (`setcc`).
    Truth(Condition),
    /// The stack pointer before it was pushed.
    PushedStackPointer,
    /// `xchg`, `xadd`: the register holds what was there before; what it held
    /// and was stored is gone.
    Exchanged(RegisterPart),
    /// The same with its bytes in the other order (`movbe`).
    Swapped(RegisterPart),
    /// `cmpxchg` of this source, by what this register holds.
    CompareExchanged { source: RegisterPart, accumulator: RegisterPart },
    /// `cmpxchg8b`: of ECX:EBX, by EDX:EAX.
    CompareExchangedPair,
    /// Computed from what was there before.
    Computed(Operation, Source),
}

/// A general register as an operand, by perf's number; `shift` 8 for AH, BH,
/// CH and DH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RegisterPart {
    number: u8,
    shift: u8,
}

/// A condition as encoded in `jcc`, `setcc` and `cmovcc`: 0 to 15 (SDM vol. 1,
/// appendix B).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Condition(u8);

/// What a read-modify-write does with the operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Add,
    Subtract,
    And,
    Or,
    Xor,
    Negate,
    ShiftLeft,
    ShiftRight,
    ShiftArithmetic,
    RotateLeft,
    RotateRight,
    BitSet,
    BitReset,
    BitComplement,
}

/// The other operand of an [`Operation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Register(RegisterPart),
    Immediate(u64),
}
