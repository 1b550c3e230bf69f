//! The functions that native handlers call, and the table of them.
//!
//! A helper never unwinds and never keeps a reference past its return. What
//! goes wrong it writes into the context's fault; the handler looks at it
//! after each helper that the table calls fallible.
#![allow(unsafe_code)] // Called from machine code: raw pointers in, words out.

mod arrays;
mod context;
mod counts;
mod memory;
mod objects;
mod printing;
mod session;
mod stacks;
mod statistics;
mod strings;

use crate::abi::{AbiType, ENDED, FaultCode, HandlerContext, Helper};
use crate::schema::HitRecord;
use crate::strings::StringHandle;
use crate::world::World;

use arrays::*;
use context::*;
use counts::*;
use memory::*;
use objects::*;
use printing::*;
use session::*;
use stacks::*;
use statistics::*;
use strings::*;

type Context = *mut HandlerContext;

/// One row of the table: `name(params) -> result`, `!` where it may fault.
macro_rules! row {
    ($name:ident ($($param:ident),*) $(-> $result:ident)? $(, $fault:tt)?) => {
        Helper {
            name: stringify!($name),
            params: &[$(AbiType::$param),*],
            returns: row!(@result $($result)?),
            fallible: row!(@fallible $($fault)?),
            address: || $name as *const u8,
        }
    };
    (@result $result:ident) => { Some(AbiType::$result) };
    (@result) => { None };
    (@fallible !) => { true };
    (@fallible) => { false };
}

/// Every function native code may call.
pub static HELPERS: &[Helper] = &[
    // Arrays.
    row!(array_add(Long, Words, Long) -> Long, !),
    row!(array_clear(Long), !),
    row!(array_contains(Long, Words) -> Long),
    row!(array_contains_match(Long, Words, Long) -> Long, !),
    row!(array_delete(Long, Words)),
    row!(array_delete_matches(Long, Words, Long), !),
    row!(array_get(Long, Words) -> Long),
    row!(array_get_string(Long, Words) -> String, !),
    row!(array_set(Long, Words, Long), !),
    row!(array_set_string(Long, Words, String), !),
    row!(walk_begin(Long, Long, Long, Long, Words, Long), !),
    row!(walk_end()),
    row!(walk_key(Long) -> Long),
    row!(walk_next() -> Long),
    // Statistics. The first argument is an array, or `!slot` of a scalar.
    row!(stats_add(Long, Words, Long), !),
    row!(stats_bucket(Long, Words, Long, Long) -> Long, !),
    row!(stats_clear(Long)),
    row!(stats_extract(Long, Words, Long) -> Long, !),
    row!(stats_merge(Long, Words, Long), !),
    row!(stats_percentile(Long, Words, Double) -> Long, !),
    row!(stats_print(Long, Words, Long, Long), !),
    row!(walk_buckets(Long, Words, Long, Long)),
    // Strings.
    row!(global_get_string(Long) -> String, !),
    row!(global_set_string(Long, String)),
    row!(isinstr(String, String) -> Long, !),
    row!(matched(Long) -> String, !),
    row!(regex_find(String, Long) -> Long, !),
    row!(regex_match(String, Long) -> Long, !),
    row!(str_replace(String, String, String) -> String, !),
    row!(string_compare(String, String) -> Long),
    row!(string_concat(String, String) -> String, !),
    row!(string_quoted(String) -> String, !),
    row!(stringat(String, Long) -> Long, !),
    row!(strlen(String) -> Long),
    row!(strpos(String, String) -> Long, !),
    row!(strtol(String, Long) -> Long, !),
    row!(substr(String, Long, Long) -> String, !),
    row!(text_str(String) -> String, !),
    row!(text_strn(String, Long, Long) -> String, !),
    row!(tokenize(String, String) -> String, !),
    // Printing.
    row!(capture_begin()),
    row!(capture_end() -> String, !),
    row!(emit_double(Long, Long, Long, Double), !),
    row!(emit_long(Long, Long, Long, Long), !),
    row!(emit_memory(Long, Long, Long, Long), !),
    row!(emit_string(Long, Long, Long, String), !),
    row!(emit_text(String), !),
    row!(log(String), !),
    row!(warn(String), !),
    // The hit, its thread and its process.
    row!(access() -> String),
    row!(cmdline_str() -> String, !),
    row!(egid() -> Long),
    row!(env_var(String) -> String, !),
    row!(euid() -> Long),
    row!(gettimeofday_ms() -> Long),
    row!(gettimeofday_ns() -> Long),
    row!(gettimeofday_s() -> Long),
    row!(gettimeofday_us() -> Long),
    row!(gid() -> Long),
    row!(indent(Long) -> String, !),
    row!(indent_depth(Long) -> Long),
    row!(modname(Long) -> String, !),
    row!(pp() -> String),
    row!(ppid() -> Long),
    row!(print_regs(), !),
    row!(probefunc() -> String, !),
    row!(register(String) -> Long, !),
    row!(register_value(Long) -> Long),
    row!(symdata(Long) -> String, !),
    row!(symfile(Long) -> String, !),
    row!(symfileline(Long) -> String, !),
    row!(symline(Long) -> String, !),
    row!(symname(Long) -> String, !),
    row!(symptr(Long) -> String, !),
    row!(syscall_name() -> String, !),
    row!(target() -> Long),
    row!(thread_indent(Long) -> String, !),
    row!(thread_indent_depth(Long) -> Long),
    row!(u_register(String) -> Long, !),
    row!(uid() -> Long),
    row!(umodname(Long) -> String, !),
    row!(usymaddr(String) -> Long, !),
    row!(usymdata(Long) -> String, !),
    row!(usymfile(Long) -> String, !),
    row!(usymfileline(Long) -> String, !),
    row!(usymline(Long) -> String, !),
    row!(usymname(Long) -> String, !),
    row!(usymptr(Long) -> String, !),
    // What was seen.
    row!(coverage(String) -> Double, !),
    row!(estimated(String) -> Long, !),
    row!(estimated_error(String) -> Long, !),
    row!(seen(String) -> Long, !),
    row!(weight() -> Double),
    // Stacks.
    row!(backtrace() -> Long, !),
    row!(caller() -> String, !),
    row!(caller_addr() -> Long),
    row!(callers(Long) -> Long, !),
    row!(emit_stack(Long, Long), !),
    row!(print_backtrace(), !),
    row!(print_backtrace_fileline(), !),
    row!(print_syms(Long), !),
    row!(print_ubacktrace(), !),
    row!(print_ubacktrace_brief(), !),
    row!(print_ubacktrace_fileline(), !),
    row!(probemod() -> String, !),
    row!(sprint_backtrace() -> String, !),
    row!(sprint_syms(Long) -> String, !),
    row!(sprint_ubacktrace() -> String, !),
    row!(stack(Long) -> Long),
    row!(stack_of(String, Long) -> Long, !),
    row!(stack_text(Long) -> String, !),
    row!(ubacktrace() -> Long, !),
    row!(ucallers(Long) -> Long, !),
    row!(ustack(Long) -> Long),
    // Memory.
    row!(enumeration_name(Long, Long) -> String, !),
    row!(kernel_buffer_quoted(Long, Long, Long) -> String, !),
    row!(kernel_char(Long) -> Long, !),
    row!(kernel_int(Long) -> Long, !),
    row!(kernel_int16(Long) -> Long, !),
    row!(kernel_int32(Long) -> Long, !),
    row!(kernel_int64(Long) -> Long, !),
    row!(kernel_int8(Long) -> Long, !),
    row!(kernel_long(Long) -> Long, !),
    row!(kernel_pointer(Long) -> Long, !),
    row!(kernel_short(Long) -> Long, !),
    row!(kernel_string(Long) -> String, !),
    row!(kernel_string2(Long, String) -> String, !),
    row!(kernel_string_n(Long, Long) -> String, !),
    row!(kernel_string_quoted(Long) -> String, !),
    row!(kernel_uint16(Long) -> Long, !),
    row!(kernel_uint32(Long) -> Long, !),
    row!(kernel_uint64(Long) -> Long, !),
    row!(kernel_uint8(Long) -> Long, !),
    row!(user_buffer_quoted(Long, Long, Long) -> String, !),
    row!(user_char(Long) -> Long, !),
    row!(user_int(Long) -> Long, !),
    row!(user_int16(Long) -> Long, !),
    row!(user_int32(Long) -> Long, !),
    row!(user_int64(Long) -> Long, !),
    row!(user_int8(Long) -> Long, !),
    row!(user_long(Long) -> Long, !),
    row!(user_pointer(Long) -> Long, !),
    row!(user_short(Long) -> Long, !),
    row!(user_string(Long) -> String, !),
    row!(user_string2(Long, String) -> String, !),
    row!(user_string_n(Long, Long) -> String, !),
    row!(user_string_quoted(Long) -> String, !),
    row!(user_uint16(Long) -> Long, !),
    row!(user_uint32(Long) -> Long, !),
    row!(user_uint64(Long) -> Long, !),
    row!(user_uint8(Long) -> Long, !),
    // The session, and numbers.
    row!(abort(), !),
    row!(assert(Long, String), !),
    row!(caught(Long) -> String),
    row!(ctime(Long) -> String, !),
    row!(double_remainder(Double, Double) -> Double),
    row!(error(String), !),
    row!(exit()),
    row!(mark() -> Long),
    row!(randint(Long) -> Long),
    row!(signal(Long), !),
    row!(stop(), !),
    row!(system(String), !),
    row!(unwatch(String, Long) -> Long),
    row!(watch(String, Long, Long) -> Long),
];

/// The world and the record of the running handler.
fn enter<'a>(context: Context) -> (&'a mut World, &'a HitRecord) {
    // SAFETY: native code passes on the context that `World::run` gave it,
    // and `World::run` made it from live references that nothing else uses
    // while the handler runs. The references end with the helper's call.
    unsafe { (&mut *(*context).world, &*(*context).record) }
}

/// The result, or the fault noted and a value that nobody will use.
fn settle<T: Default>(context: Context, result: Result<T, FaultCode>) -> T {
    result.unwrap_or_else(|code| {
        note(context, code as u32);
        T::default()
    })
}

/// Notes a fault, 0 for none; gives the one noted before.
fn note(context: Context, fault: u32) -> u32 {
    // SAFETY: as in `enter`; the fields before `world` are plain words.
    unsafe { std::mem::replace(&mut (*context).fault, fault) }
}

/// The words that a handler has laid down in its frame.
fn frame<'a>(words: *const u64, length: usize) -> &'a [u64] {
    if length == 0 {
        return &[];
    }
    // SAFETY: the handler has as many words there as the array has keys, as
    // the verifier of the intermediate representation checks; they stay until
    // the helper returns, and so does the slice.
    unsafe { std::slice::from_raw_parts(words, length) }
}

impl Default for StringHandle {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// A temporary string with this text, or the fault noted.
fn give(context: Context, text: &[u8]) -> u64 {
    let made = enter(context).0.strings.temporary(text);
    settle(context, made).0
}

/// Ends the handler without a fault.
fn leave(context: Context) {
    note(context, ENDED);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_addresses_real() {
        for (at, helper) in HELPERS.iter().enumerate() {
            assert!(HELPERS[..at].iter().all(|other| other.name != helper.name));
            assert!(!(helper.address)().is_null(), "{}", helper.name);
        }
    }
}
