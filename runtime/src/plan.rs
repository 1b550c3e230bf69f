//! What is done at a hit itself, before there is a record: which fields the
//! record must hold, whether there is to be one, and which memory is read.
//!
//! The compiler makes a plan of each handler, the session one of each watch,
//! and an engine does as much of it as it can: one that runs code of its own
//! at the hit all of it; one that samples leaves out fields. What an engine
//! leaves undone costs time, never the right answer: a handler asks its own
//! conditions again, and reads late what was not read at the hit.
//!
//! Numbers are 64 bits wide and wrap, as the language's.

mod combine;
pub mod eval;
mod gate;

pub use gate::Gate;

use crate::schema::AccessKind;

/// What is done at the hits of a watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What the records must hold.
    pub needs: Needs,
    /// Which hits get a record; all of them where none.
    pub filter: Option<Filter>,
    /// Which of those that pass it for certain get one, by how many there were.
    pub gate: Option<Gate>,
    /// What is read at the hit.
    pub reads: Reads,
    /// Whether the process's memory is left alone at the hit, the watched bytes too: as
    /// other registers report loads, which that would be.
    pub blind: bool,
    /// Whether the watch may be moved, while it is armed ([`Engine::retarget`]): hits tell
    /// where they were then, and those that are not where it is are nobody's.
    ///
    /// [`Engine::retarget`]: crate::engine::Engine::retarget
    pub moves: bool,
    /// What is captured of the user's stack, where [`Needs::user_stack`] is set.
    pub stack: StackCapture,
    /// What is done to the process, at most [`ACTS_MAX`] with a signal each.
    pub acts: Vec<Act>,
}

/// A signal that the process is sent at the hit, before its next instruction.
///
/// What was sent the record says ([`AtHit::acted`](crate::event::AtHit)); what was
/// not, as it could not be decided or was refused, is for whoever gets the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// The hits: those that pass for certain. Unlike else, what can not be computed does
    /// not pass ([`Filter::passes_surely`]).
    pub when: Filter,
    /// Number of the signal.
    pub signal: i32,
}

impl Act {
    /// Whether it stops the process, which can be taken back.
    pub fn is_stop(&self) -> bool {
        i64::from(self.signal) == crate::abi::SIGSTOP
    }
}

/// Signals that a plan sends at most.
pub const ACTS_MAX: usize = 4;

/// What records hold of a user's stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct StackCapture {
    /// The chain of frame pointers: [`UserStack::callers`](crate::event::UserStack).
    pub callers: bool,
    /// So many bytes of the stack at most: [`UserStack::bytes`](crate::event::UserStack).
    /// A multiple of 8, at most [`StackCapture::BYTES_MAX`]; 0 for none.
    pub bytes: u32,
}

impl StackCapture {
    /// As many bytes as a sample can hold (kernel/events/core.c, `perf_copy_attr`: below
    /// 64 KiB).
    pub const BYTES_MAX: u32 = (1 << 16) - 8;

    /// What either wants.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            callers: self.callers || other.callers,
            bytes: self.bytes.max(other.bytes),
        }
    }
}

/// What records must hold besides watch, process, thread and time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// What the instruction did: its address, its access, the values. Takes the
    /// registers of the code that made the access.
    pub access: bool,
    /// The CPU.
    pub cpu: bool,
    /// The user's registers, for handlers that ask for them.
    pub registers: bool,
    /// The user's stack, as [`Plan::stack`] says, and the registers to walk it.
    pub user_stack: bool,
    /// Of hits in the kernel, its stack.
    pub kernel_stack: bool,
}

impl Needs {
    /// Everything but stacks, which are by far the dearest.
    pub const ALL: Self = Self {
        access: true,
        cpu: true,
        registers: true,
        user_stack: false,
        kernel_stack: false,
    };
    /// Nothing.
    pub const NONE: Self = Self {
        access: false,
        cpu: false,
        registers: false,
        user_stack: false,
        kernel_stack: false,
    };

    /// What either needs.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            access: self.access || other.access,
            cpu: self.cpu || other.cpu,
            registers: self.registers || other.registers,
            user_stack: self.user_stack || other.user_stack,
            kernel_stack: self.kernel_stack || other.kernel_stack,
        }
    }
}

/// A place for a number while a filter or reads run; set before it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot(pub u16);

/// The slots that a filter, or reads, may use at most.
pub const SLOTS_MAX: u16 = 48;

/// Whether a hit is to have a record: blocks, of which the first is the start.
/// They only go on to later ones, so that every run ends.
///
/// What can not be computed, as memory that can not be read, lets the hit pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// How many slots it uses, at most [`SLOTS_MAX`].
    pub slots: u16,
    /// At least one.
    pub blocks: Vec<Block>,
}

/// Steps that run one after the other, and what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The steps.
    pub steps: Vec<Step>,
    /// What follows.
    pub next: Next,
}

/// What follows a block. Blocks are told by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The hit has a record.
    Pass,
    /// It has none.
    Drop,
    /// A later block.
    Go(u16),
    /// One of two later blocks: the first where the slot is not 0.
    Choose(Slot, u16, u16),
}

/// Sets a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which.
    pub to: Slot,
    /// To what.
    pub does: Does,
}

/// What a slot is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Does {
    /// A number.
    Constant(i64),
    /// Something of the hit.
    Input(Input),
    /// Another slot.
    Copy(Slot),
    /// An operator on a number.
    Unary(Unary, Slot),
    /// An operator on two.
    Binary(Binary, Slot, Slot),
    /// 1 where it holds, else 0; numbers have signs.
    Compare(Comparison, Slot, Slot),
    /// A number in memory. In a filter, one that can not be read ends the filter
    /// ([`Filter`]); in reads it is 0.
    Load {
        /// Its address.
        address: Slot,
        /// How it is read.
        load: Load,
        /// Whether the record is to have it: in reads only.
        keep: bool,
    },
    /// Reads bytes for the record, in reads only; gives 0.
    Keep {
        /// Their address.
        address: Slot,
        /// How many; of text at most, its NUL included. Up to [`KEEP_MAX`].
        bytes: u16,
        /// Whether it ends at the first NUL.
        text: bool,
        /// Whose memory.
        space: Space,
    },
}

/// Words of a record that reads may take at most.
pub const READ_WORDS_MAX: usize = 160;

/// Bytes that a [`Does::Keep`] reads at most.
pub const KEEP_MAX: u16 = 256;

/// What is known of a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// The watched bytes before the access, an unsigned number.
    Old,
    /// After it.
    New,
    /// The process.
    Pid,
    /// The thread.
    Tid,
    /// The CPU.
    Cpu,
    /// The first watched byte.
    DataAddress,
    /// 1 where the thread made the access itself, 0 where the kernel did.
    UserMode,
    /// What the access was, an [`AccessKind`] as a number; [`AccessKind::Unknown`]
    /// where that is not known.
    Access,
    /// A user register by perf's number (arch/x86/include/uapi/asm/perf_regs.h),
    /// of those in [`crate::attr::REGISTERS`], and the instruction pointer.
    Register(u8),
}

/// An operator on a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unary {
    /// The other sign.
    Negate,
    /// 1 for 0, else 0.
    Not,
    /// Each bit the other way.
    Complement,
}

/// An operator on two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binary {
    /// Sum.
    Add,
    /// Difference.
    Subtract,
    /// Product.
    Multiply,
    /// Quotient, towards 0; what is divided by 0 ends the filter.
    Divide,
    /// What is left, with the sign of the first; likewise.
    Remainder,
    /// Bits of both.
    And,
    /// Bits of either.
    Or,
    /// Bits of one alone.
    Xor,
    /// To the left; by more than 63, or less than 0, nothing is left.
    ShiftLeft,
    /// To the right, the sign carried on.
    ShiftRight,
    /// To the right, zeros carried on.
    ShiftRightLogical,
}

/// How two numbers compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// How a number in memory is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Load {
    /// Its bytes: 1, 2, 4 or 8.
    pub size: u8,
    /// Whether its highest bit is its sign.
    pub signed: bool,
    /// Whose memory.
    pub space: Space,
}

/// Whose memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Space {
    /// That of the process.
    User,
    /// The kernel's.
    Kernel,
}

/// What is read at a hit, in this order; never more than once. The slots are
/// their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// How many slots they use, at most [`SLOTS_MAX`].
    pub slots: u16,
    /// Those that keep something make entries of [`crate::event::Captured`], in
    /// their order.
    pub steps: Vec<Step>,
}

impl Reads {
    /// Nothing.
    pub const NONE: Self = Self { slots: 0, steps: Vec::new() };

    /// How many words of a record the entries take.
    pub fn words(&self) -> usize {
        self.steps.iter().filter_map(|step| step.does.kept_words()).sum()
    }
}

impl Does {
    /// How many words of a record its entry takes; none where it has no entry.
    pub fn kept_words(&self) -> Option<usize> {
        match self {
            Self::Load { keep: true, .. } => Some(3),
            Self::Keep { bytes, .. } => Some(2 + usize::from(*bytes).div_ceil(8)),
            _ => None,
        }
    }
}

/// What an instruction does, for an engine that meets it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lesson {
    /// The process whose code it is; [`crate::access::KERNEL`] for the kernel's.
    pub pid: u32,
    /// The sampled instruction pointer.
    pub ip: u64,
    /// What is known.
    pub rule: Rule,
}

/// By what an engine tells the access of each hit at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Address of the instruction that makes the access.
    pub instruction: u64,
    /// What it does.
    pub kind: AccessKind,
    /// Bytes of its operand.
    pub size: u32,
    /// Where the operand is: registers from after the instruction.
    pub place: Linear,
    /// The operand's bytes after the access.
    pub value: RuleValue,
}

/// base + index * scale + displacement, modulo 2^64; registers by perf's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linear {
    /// None: 0.
    pub base: Option<u8>,
    /// None: 0.
    pub index: Option<u8>,
    /// 1, 2, 4 or 8.
    pub scale: u8,
    /// A sign is carried on to 64 bits.
    pub displacement: u64,
}

/// What is known of an operand's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleValue {
    /// What memory holds at the hit: not exact.
    Memory,
    /// A register, shifted right by so many bits: exact.
    Register(u8, u8),
    /// A number: exact.
    Immediate(u64),
    /// What was there before and a number, modulo the operand's size: right where
    /// what was there before is, but not exact.
    AddImmediate(u64),
    /// The same with a register.
    AddRegister(u8, u8),
    /// `cmpxchg` of a register: the accumulator holds what was there before, and
    /// ZF tells whether the register was stored. Exact.
    CompareExchange(u8, u8),
    /// The register holds what was there before: that is exact. After it, memory
    /// is asked.
    Exchange(u8, u8),
}
