//! Damaged debug information gives fewer names, never a panic, a hang or unbounded
//! memory.

#[path = "common/use_dwarf.rs"]
mod use_dwarf;

use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use use_dwarf::use_all;

/// What the fuzz target begins with.
static SEEDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/dwarf");
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut paths: Vec<_> =
        entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    assert!(paths.len() >= 7, "{paths:?}");
    paths.iter().map(|path| std::fs::read(path).expect("a file")).collect()
});

fn check(bytes: Vec<u8>) {
    let started = Instant::now();
    use_all(bytes);
    assert!(started.elapsed() < Duration::from_secs(10));
}

fn seed() -> impl Strategy<Value = Vec<u8>> {
    (0..SEEDS.len()).prop_map(|index| SEEDS[index].clone())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn bytes_changed(
        mut bytes in seed(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
    ) {
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            // Not the headers, which hostile.rs is for.
            if at >= 0x100 {
                bytes[at] = byte;
            }
        }
        check(bytes);
    }

    #[test]
    fn bits_flipped(
        mut bytes in seed(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8_u32), 1..8),
    ) {
        for (at, bit) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        check(bytes);
    }

    #[test]
    fn cut_short(bytes in seed(), end in any::<prop::sample::Index>()) {
        check(bytes[..end.index(bytes.len())].to_vec());
    }
}

#[test]
fn seeds_are_read() {
    for seed in SEEDS.iter() {
        assert!(use_all(seed.clone()) >= 3);
    }
}

#[test]
fn every_byte_at_an_extreme() {
    for seed in SEEDS.iter().take(2) {
        for at in (0x100..seed.len()).step_by(31) {
            let mut bytes = seed.clone();
            bytes[at] = if at % 2 == 0 { 0xff } else { 0x7f };
            check(bytes);
        }
    }
}
