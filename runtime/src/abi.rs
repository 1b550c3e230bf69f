//! The contract between compiled handlers and the runtime: what a handler is
//! given, which helper functions it may call, how it reports a fault.

mod fault;
pub mod format;
pub mod frames;
pub mod objects;
pub mod registers;
pub mod syscalls;
pub mod text;

pub use crate::helpers::HELPERS;
use crate::schema::HitRecord;
use crate::world::World;
pub use fault::{ENDED, Fault, FaultCode, UNCATCHABLE};

/// What a handler gets as its first argument. Native code reads and writes
/// the fields before `world` at their offsets; `world` is for helpers alone.
#[repr(C)]
#[derive(Debug)]
pub struct HandlerContext {
    /// Scalar globals of type long or double (its bits), eight bytes each, in
    /// the module's order.
    pub globals: *mut i64,
    /// 0, the [`FaultCode`] that ended the handler, or [`ENDED`].
    pub fault: u32,
    /// Which place in the script faulted: an index into the module's sites.
    pub site: u32,
    /// The record the handler was called for.
    pub record: *const HitRecord,
    /// Strings, arrays, output and the rest.
    pub world: *mut World,
}

/// Where handlers read what a wide object was before the access of a hit, and what
/// it is after: a picture, which is read like memory of the process. No process has
/// memory there: of x86-64's addresses only those with 57 bits, or all of their upper
/// ones, mean anything (Documentation/arch/x86/x86_64/mm.rst).
pub const PICTURE_OLD: u64 = 0x4f00_0000_0000_0000;
/// The same for what it is after the access.
pub const PICTURE_NEW: u64 = 0x4e00_0000_0000_0000;

/// In place of an array's number: what `stats_merge` has added up.
pub const MERGED: i64 = i64::MIN;

/// A compiled handler (System V calling convention). It never unwinds.
pub type HandlerFn = unsafe extern "C" fn(*mut HandlerContext, *const HitRecord);

/// The compiled condition of a probe point: not 0 where it holds.
pub type ConditionFn = unsafe extern "C" fn(*mut HandlerContext, *const HitRecord) -> i64;

/// Type of a helper's argument or result; each is one 64-bit register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AbiType {
    /// A signed integer.
    Long,
    /// A floating point number.
    Double,
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

/// Writes a double: by the directive where it is one for doubles, else in the
/// shortest form that reads back as the same (`print` and `%s`). No number
/// prints a sign on `nan`: which one it has depends on the machine.
pub fn write_double(
    out: &mut Vec<u8>,
    directive: format::Directive,
    width: i64,
    precision: i64,
    value: f64,
) {
    use format::Conversion::{Exponent, Fixed, General};
    let value = if value.is_nan() { f64::NAN } else { value };
    if matches!(directive.conversion, Fixed | Exponent | General) {
        return format::double(out, directive, width, precision, value);
    }
    let mut text = Vec::new();
    format::shortest(&mut text, value);
    format::string(out, directive, width, precision, &text);
}

/// The signal that stops a process, on all but a few processors: x86 and arm64
/// are not among those (signal(7)).
pub const SIGSTOP: i64 = 19;

/// The signal with this number, 1 to 64.
///
/// # Errors
/// What is wrong with it, as SystemTap's functions say what is wrong.
pub fn signal_number(number: i64) -> Result<i32, String> {
    match i32::try_from(number) {
        Ok(signal @ 1..=64) => Ok(signal),
        _ => Err(format!("there is no signal {number}: signals are 1 to 64")),
    }
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
    /// `MAXNESTING`: calls of functions inside of one another. Functions with
    /// large frames may be held to less, so that the native stack suffices.
    pub nesting: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { steps: 1_000_000, array_entries: 65_536, string_bytes: 4096, nesting: 100 }
    }
}
