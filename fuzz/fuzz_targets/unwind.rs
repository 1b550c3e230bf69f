//! Whatever tables a file has for unwinding, walks by them end, within bounds.
#![no_main]

#[path = "../../probes/tests/common/use_stack.rs"]
mod use_stack;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    use_stack::use_all(bytes);
});
