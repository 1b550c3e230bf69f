//! Where native code finds things: offsets of the shared structures.

use std::mem::offset_of;

use cranelift_codegen::ir::{MemFlagsData, Type, types};
use hwtrace_runtime::abi::HandlerContext;
use hwtrace_runtime::schema::{Field, Width};

/// Offset of the pointer to the scalar longs.
pub(super) const GLOBALS: i32 = offset_of!(HandlerContext, globals) as i32;
/// Offset of the fault's code.
pub(super) const FAULT: i32 = offset_of!(HandlerContext, fault) as i32;
/// Offset of the fault's site.
pub(super) const SITE: i32 = offset_of!(HandlerContext, site) as i32;

/// Flags of every load and store: aligned, and never out of bounds, since
/// offsets come from the structures alone.
pub(super) fn trusted() -> MemFlagsData {
    MemFlagsData::trusted()
}

/// The machine's type of a field.
pub(super) fn field_type(field: &Field) -> Type {
    match field.width {
        Width::U32 => types::I32,
        Width::U64 => types::I64,
    }
}
