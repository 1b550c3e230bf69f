//! The contract between compiled handlers and the runtime: what a handler is
//! given, which helper functions it may call, how it reports a fault.

pub mod format;
pub mod text;

pub use crate::helpers::HELPERS;
use crate::schema::HitRecord;
use crate::world::World;

/// What a handler gets as its first argument. Native code reads and writes
/// the fields before `world` at their offsets; `world` is for helpers alone.
#[repr(C)]
#[derive(Debug)]
pub struct HandlerContext {
    /// Scalar globals of type long, eight bytes each, in the module's order.
    pub globals: *mut i64,
    /// 0, or the [`FaultCode`] that ended the handler.
    pub fault: u32,
    /// Which place in the script faulted: an index into the module's sites.
    pub site: u32,
    /// The record the handler was called for.
    pub record: *const HitRecord,
    /// Strings, arrays, output and the rest.
    pub world: *mut World,
}

/// A compiled handler (System V calling convention). It never unwinds.
pub type HandlerFn = unsafe extern "C" fn(*mut HandlerContext, *const HitRecord);

/// Why a handler was ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum FaultCode {
    /// The right side of `/` or `%` was 0.
    DivisionByZero = 1,
    /// The handler took more steps than it has fuel for.
    OutOfFuel = 2,
    /// An array has no room for another element.
    ArrayFull = 3,
    /// A handler made more temporary text than fits into the arena.
    ArenaFull = 4,
    /// More distinct strings were used as keys than may be kept.
    TooManyStrings = 5,
    /// One run of a handler printed more than may wait to be put out.
    OutputFull = 6,
}

impl FaultCode {
    /// All codes, for tables and for [`FaultCode::from_number`].
    pub const ALL: [Self; 6] = [
        Self::DivisionByZero,
        Self::OutOfFuel,
        Self::ArrayFull,
        Self::ArenaFull,
        Self::TooManyStrings,
        Self::OutputFull,
    ];

    /// The code with this number, none for 0 and for numbers not given out.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|code| *code as u32 == number)
    }

    /// What happened, as a sentence without a full stop.
    pub fn message(self) -> &'static str {
        match self {
            Self::DivisionByZero => "division by 0",
            Self::OutOfFuel => "the handler took too many steps",
            Self::ArrayFull => "the array is full",
            Self::ArenaFull => "the handler made too much temporary text",
            Self::TooManyStrings => "too many distinct strings were used as keys",
            Self::OutputFull => "the handler printed too much at once",
        }
    }

    /// What to do about it.
    pub fn help(self) -> &'static str {
        match self {
            Self::DivisionByZero => "test the divisor first: `if (n != 0) …`",
            Self::OutOfFuel => "raise the limit with -D MAXACTION=N, or shorten the loop",
            Self::ArrayFull => {
                "declare it larger (`global name[N]`), raise the default with \
                 -D MAXMAPENTRIES=N, or `delete` what is not needed"
            }
            Self::ArenaFull => "print in pieces instead of building one long string",
            Self::TooManyStrings => {
                "use numbers as keys and turn them to text when printing"
            }
            Self::OutputFull => "print less in one run of a handler",
        }
    }
}

/// A fault with the place that raised it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What happened.
    pub code: FaultCode,
    /// Index into the module's sites.
    pub site: u32,
}

/// Type of a helper's argument or result; each is one 64-bit register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AbiType {
    /// A signed integer.
    Long,
    /// A string handle ([`crate::strings::StringHandle`]).
    String,
    /// Address of an array of 64-bit words in the handler's frame.
    Words,
}

/// A runtime function that native code may call. The first argument is always
/// the [`HandlerContext`]; `params` are those after it.
#[derive(Debug)]
pub struct Helper {
    /// Name, as the language's builtins and the code generator use it.
    pub name: &'static str,
    /// Types of the arguments after the context.
    pub params: &'static [AbiType],
    /// Type of the result.
    pub returns: Option<AbiType>,
    /// Whether it may set [`HandlerContext::fault`]; the caller must look.
    pub fallible: bool,
    /// Its address.
    pub address: fn() -> *const u8,
}

/// The helper called `name`.
pub fn helper(name: &str) -> Option<&'static Helper> {
    HELPERS.iter().find(|helper| helper.name == name)
}

/// Default bounds; `-D NAME=value` changes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `MAXACTION`: steps (statements) one run of a handler may take.
    pub steps: u32,
    /// `MAXMAPENTRIES`: elements of an array that is declared without a size.
    pub array_entries: u32,
    /// `MAXSTRINGLEN`: bytes of a string; longer ones are cut, and counted.
    pub string_bytes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { steps: 1_000_000, array_entries: 65_536, string_bytes: 4096 }
    }
}
