//! Whatever tables for unwinding say, walks end, within bounds.

#[path = "common/use_stack.rs"]
mod use_stack;

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;

/// The files that the fuzz target begins with.
fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/unwind");
    let entries = fs::read_dir(folder).expect("seeds");
    let seeds: Vec<_> = entries.map(|it| fs::read(it.expect("a seed").path())).collect();
    assert!(seeds.len() >= 4);
    seeds.into_iter().map(|seed| seed.expect("readable")).collect()
}

#[test]
fn files_as_they_are() {
    for seed in seeds() {
        use_stack::use_all(&seed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn damaged_files(
        seed: Index,
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 1..12),
        end: Option<Index>,
    ) {
        let seeds = seeds();
        let mut bytes = seed.get(&seeds).clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(end) = end {
            bytes.truncate(end.index(bytes.len()) + 1);
        }
        use_stack::use_all(&bytes);
    }
}
