//! Damaged files give errors or fewer names, never a panic or a hang.

mod common;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use hwtrace_probes::symbols::{Elf, FileBytes};
use hwtrace_probes::{AbsAddr, FileOffset, VirtOffset};
use proptest::prelude::*;

static SAMPLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let path = common::build_c("hostile", &[]);
    std::fs::read(path).expect("it is there")
});

/// Asks a file everything.
fn use_all(bytes: Vec<u8>) {
    let started = Instant::now();
    if let Ok(elf) = Elf::parse(FileBytes::Owned(bytes)) {
        let _ = (elf.kind(), elf.entry(), elf.has_symbols());
        let _ = (elf.dynamic(), elf.tls(), elf.tls_cells());
        for name in [
            "counter",
            "shared_name",
            "cuonter",
            "a::b",
            "limits",
            "",
            "shared_name@data.c",
            "x@.c",
        ] {
            let _ = elf.find_data(name);
        }
        let segments = elf.segments().iter().map(|segment| segment.virt.0);
        let places: Vec<u64> = segments.chain([elf.entry().0, 0, u64::MAX]).collect();
        for place in places {
            for address in [place, place.wrapping_add(0x20), place.wrapping_sub(1)] {
                let address = VirtOffset(address);
                let _ = elf.function_at(address).map(|symbol| symbol.raw_text().len());
                let _ = elf.data_at(address);
                let _ = elf.function_range(address);
                let _ = elf.bias_of_mapping(AbsAddr(address.0), FileOffset(0), true);
            }
        }
    }
    assert!(started.elapsed() < Duration::from_secs(10));
}

/// Offsets of bytes that matter: headers, and what they point to.
fn interesting() -> Vec<usize> {
    let sections = u64::from_le_bytes(SAMPLE[40..48].try_into().expect("8 bytes"));
    let sections = usize::try_from(sections).expect("small");
    (0..64 + 13 * 56).chain(sections..SAMPLE.len()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn cut_short(end in 0..SAMPLE.len()) {
        use_all(SAMPLE[..end].to_vec());
    }

    #[test]
    fn bytes_changed_anywhere(
        changes in prop::collection::vec((0..SAMPLE.len(), any::<u8>()), 1..60),
    ) {
        let mut bytes = SAMPLE.clone();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        use_all(bytes);
    }

    #[test]
    fn bytes_changed_in_headers(
        changes in prop::collection::vec(
            (prop::sample::select(interesting()), any::<u8>()), 1..8,
        ),
    ) {
        let mut bytes = SAMPLE.clone();
        for (at, byte) in changes {
            // Not what is checked first.
            if at >= 20 {
                bytes[at] = byte;
            }
        }
        use_all(bytes);
    }

    #[test]
    fn no_elf_at_all(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        use_all([b"\x7fELF\x02\x01\x01".to_vec(), bytes].concat());
    }
}

#[test]
fn every_header_byte_at_its_extremes() {
    for at in interesting() {
        for byte in [0, 0x7f, 0x80, 0xff] {
            let mut bytes = SAMPLE.clone();
            bytes[at] = byte;
            use_all(bytes);
        }
    }
}

/// A hundred thousand variables share one mangled name of 4 KB.
#[test]
fn names_read_over_and_over() {
    let symbols = 100_000_u64;
    let name = [b"\0_ZN".as_slice(), &b"3abc".repeat(1000), b"E\0"].concat();
    let strings_at = 64 + 56 + symbols * 24;
    let sections_at = (strings_at + name.len() as u64).next_multiple_of(8);

    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    // e_type, e_machine; e_version; e_entry; e_phoff; e_shoff.
    file.extend([3_u16, 62].map(u16::to_le_bytes).concat());
    file.extend(1_u32.to_le_bytes());
    file.extend([0x1000, 64, sections_at].map(u64::to_le_bytes).concat());
    file.extend(0_u32.to_le_bytes());
    file.extend([64_u16, 56, 1, 64, 3, 0].map(u16::to_le_bytes).concat());
    // A segment of everything.
    file.extend([1_u32, 5].map(u32::to_le_bytes).concat());
    let size = 1 << 40;
    file.extend([0, 0, 0, size, size, 4096].map(u64::to_le_bytes).concat());
    for index in 0..symbols {
        // st_name; st_info: a local object; st_shndx; st_value; st_size.
        file.extend(1_u32.to_le_bytes());
        file.extend([1, 0, 1, 0]);
        file.extend([index * 8, 8].map(u64::to_le_bytes).concat());
    }
    file.extend(&name);
    file.resize(usize::try_from(sections_at).expect("small"), 0);
    let section = |kind: u32, at: u64, size: u64, link: u32| {
        let head = [0, kind].map(u32::to_le_bytes).concat();
        let place = [0, 0, at, size].map(u64::to_le_bytes).concat();
        let tail = [link, 0].map(u32::to_le_bytes).concat();
        [head, place, tail, [8, 24].map(u64::to_le_bytes).concat()].concat()
    };
    file.extend(section(0, 0, 0, 0));
    file.extend(section(2, 64 + 56, symbols * 24, 2));
    file.extend(section(3, strings_at, name.len() as u64, 0));

    let elf = Elf::parse(FileBytes::Owned(file.clone())).expect("well-formed");
    let found = elf.data_at(VirtOffset(16)).expect("a variable");
    assert_eq!(found.raw_name.len(), 4004);
    use_all(file);
}
