//! Debug information of any bytes gives names or none, in time and within
//! bounds.
#![no_main]

#[path = "../../probes/tests/common/use_dwarf.rs"]
mod use_dwarf;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    use_dwarf::use_all(bytes.to_vec());
});
