//! Any text is mappings of a process, or refused; and symbols of the kernel, fewer
//! where it makes no sense.
#![no_main]

use hwtrace_probes::address::AbsAddr;
use hwtrace_probes::maps::{AddressSpace, parse_maps};
use hwtrace_probes::symbols::{KernelData, KernelSymbols};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    if let Ok(mappings) = parse_maps(text) {
        let mut space = AddressSpace::new(mappings.clone());
        for mapping in mappings {
            let start = mapping.start;
            space.note_mapping(mapping);
            let found = space.find(start);
            assert!(found.is_none_or(|found| found.contains(start)));
            let _ = (space.files_below(start).count(), space.file_above(start));
        }
    }
    let (functions, data) = (KernelSymbols::parse(text), KernelData::parse(text));
    for variable in data.variables() {
        let found = data.at(variable.start);
        assert!(found.is_none_or(|found| found.start <= variable.start));
        let _ = data.named(variable.name).count();
    }
    for address in [0, 1 << 63, u64::MAX] {
        let _ = (functions.function_at(AbsAddr(address)), data.at(AbsAddr(address)));
    }
    let _ = data.nearest("jiffies");
});
