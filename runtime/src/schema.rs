//! The record a handler sees: one schema for all engines, described by data.
//!
//! A builtin or a `$` variable names a field of [`FIELDS`]; the code generator
//! loads it at its offset. Adding a field is one row and one member.

use std::mem::offset_of;

/// A hit as handlers see it. Handlers of `begin`, `end` and timers get one
/// too, with the fields of the access zero.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct HitRecord {
    /// Time of the hit, nanoseconds of CLOCK_MONOTONIC.
    pub time: u64,
    /// Address of the instruction that made the access.
    pub address: u64,
    /// First watched byte.
    pub data_address: u64,
    /// Value before the access, an unsigned integer of the watched length.
    pub old: u64,
    /// Value after the access, likewise.
    pub new: u64,
    /// Name of the thread: a string handle, interned when the name was learnt.
    pub execname: u64,
    /// Name of the data: a string handle, interned when it was armed.
    pub data_name: u64,
    /// Process of the thread, in hwtrace's pid namespace.
    pub pid: u32,
    /// The thread.
    pub tid: u32,
    /// CPU on which it ran.
    pub cpu: u32,
    /// Index of the watch that fired.
    pub watch: u32,
    /// Number of watched bytes.
    pub data_length: u32,
    /// Kind of the access, an [`AccessKind`] as a number.
    pub access: u32,
    /// 1 where `new` is what this very instruction stored or loaded.
    pub exact: u32,
    /// How far the values can be relied on: [`UNSURE_OLD`], [`UNSURE_NEW`],
    /// [`UNKNOWN_NEW`].
    pub doubts: u32,
    /// 1 where the thread itself made the access, 0 where the kernel made it.
    pub user_mode: u32,
    /// How often the instruction accessed the watched bytes: once, but for string
    /// instructions with `rep`.
    pub count: u32,
    /// Of an access by the kernel: one more than the number of the system call that the
    /// thread is in; 0 where it is in none, or that is not known.
    pub syscall: u32,
    /// Which of the watched bytes the instruction touched; empty where that is
    /// not known. For who shares the register; handlers do not see it.
    pub touched: ByteRange,
    /// For which of the watched bytes `new` is what this very instruction stored
    /// or loaded: all of them where `exact` is 1.
    pub told: ByteRange,
}

/// Some of the up to 8 bytes of a register; empty where `end` is not above
/// `start`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct ByteRange {
    /// The first byte.
    pub start: u8,
    /// The byte after the last.
    pub end: u8,
}

impl ByteRange {
    /// Whether there is no byte in it.
    pub fn is_empty(self) -> bool {
        self.start >= self.end
    }

    /// Number of its bytes.
    pub fn length(self) -> u8 {
        self.end.saturating_sub(self.start)
    }

    /// The bytes from the first to the last in which two values differ; empty where they are
    /// equal.
    pub fn differing(one: u64, other: u64) -> Self {
        let bits = one ^ other;
        let (low, high) = (bits.trailing_zeros() / 8, bits.leading_zeros() / 8);
        Self { start: low as u8, end: 8 - high as u8 }
    }

    /// The bytes that are in both.
    #[must_use]
    pub fn overlap(self, other: Self) -> Self {
        Self { start: self.start.max(other.start), end: self.end.min(other.end) }
    }

    /// The bytes from the first to the last of both.
    #[must_use]
    pub fn hull(self, other: Self) -> Self {
        match (self.is_empty(), other.is_empty()) {
            (true, _) => other,
            (_, true) => self,
            _ => {
                Self { start: self.start.min(other.start), end: self.end.max(other.end) }
            }
        }
    }

    /// The same bytes, counted from another.
    #[must_use]
    pub fn counted_from(self, first: u8) -> Self {
        Self {
            start: self.start.saturating_sub(first),
            end: self.end.saturating_sub(first),
        }
    }

    /// For slices.
    pub fn as_range(self) -> std::ops::Range<usize> {
        self.start.into()..self.end.into()
    }
}

/// `old` may be another: what was stored before is not known for certain.
pub const UNSURE_OLD: u32 = 1;
/// `new` was read from memory after the hit, or leans on an unsure `old`.
pub const UNSURE_NEW: u32 = 2;
/// `new` could not be found out; it stands as `old`.
pub const UNKNOWN_NEW: u32 = 4;

/// What an instruction did with the watched bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[repr(u32)]
pub enum AccessKind {
    /// Not known: the instruction could not be decoded.
    #[default]
    Unknown = 0,
    /// It loaded them.
    Read = 1,
    /// It stored them.
    Write = 2,
    /// It loaded and stored them (read-modify-write).
    Update = 3,
    /// It was executed.
    Exec = 4,
    /// It was not seen: the bytes changed while no register watched them. Who did it, how
    /// often, and when is not known.
    Away = 5,
}

impl AccessKind {
    /// All kinds, by number.
    pub const ALL: [Self; 6] =
        [Self::Unknown, Self::Read, Self::Write, Self::Update, Self::Exec, Self::Away];

    /// The name that `access()` gives.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Read => "read",
            Self::Write => "write",
            Self::Update => "update",
            Self::Exec => "exec",
            Self::Away => "away",
        }
    }

    /// The kind with this number; [`Self::Unknown`] for numbers not given out.
    pub fn from_number(number: u32) -> Self {
        Self::ALL.get(number as usize).copied().unwrap_or_default()
    }
}

/// How wide a field is; all are read as unsigned and widened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Width {
    /// Four bytes.
    U32,
    /// Eight bytes.
    U64,
}

/// A field of [`HitRecord`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Name, as the language's tables use it.
    pub name: &'static str,
    /// Offset in bytes.
    pub offset: usize,
    /// Width.
    pub width: Width,
    /// Whether the value is a string handle.
    pub string: bool,
}

const fn long(name: &'static str, offset: usize, width: Width) -> Field {
    Field { name, offset, width, string: false }
}

/// Every field a handler can read.
pub const FIELDS: &[Field] = &[
    long("time", offset_of!(HitRecord, time), Width::U64),
    long("address", offset_of!(HitRecord, address), Width::U64),
    long("data_address", offset_of!(HitRecord, data_address), Width::U64),
    long("old", offset_of!(HitRecord, old), Width::U64),
    long("new", offset_of!(HitRecord, new), Width::U64),
    Field {
        name: "execname",
        offset: offset_of!(HitRecord, execname),
        width: Width::U64,
        string: true,
    },
    Field {
        name: "data_name",
        offset: offset_of!(HitRecord, data_name),
        width: Width::U64,
        string: true,
    },
    long("pid", offset_of!(HitRecord, pid), Width::U32),
    long("tid", offset_of!(HitRecord, tid), Width::U32),
    long("cpu", offset_of!(HitRecord, cpu), Width::U32),
    long("data_length", offset_of!(HitRecord, data_length), Width::U32),
    long("exact", offset_of!(HitRecord, exact), Width::U32),
    long("user_mode", offset_of!(HitRecord, user_mode), Width::U32),
    long("count", offset_of!(HitRecord, count), Width::U32),
];

/// The field called `name`.
pub fn field(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.name == name)
}
