//! Damaged debug information gives fewer lines, never a panic or a hang.

mod common;

use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use hwtrace_probes::symbols::{Elf, FileBytes};
use hwtrace_probes::{Dwarf, VirtOffset};
use proptest::prelude::*;

struct Sample {
    bytes: Vec<u8>,
    /// Where the debug information is in the file.
    debug: Range<usize>,
    functions: Vec<u64>,
}

impl Sample {
    fn new(name: &str, options: &[&str]) -> Self {
        let path = common::build("cc", name, &["lines.c"], options);
        let output = |command: &mut Command| {
            let output = command.arg(&path).output().expect("it is installed");
            String::from_utf8(output.stdout).expect("text")
        };
        let hex = |text: &str| u64::from_str_radix(text, 16).ok();
        let symbols = output(&mut Command::new("nm"));
        let code = symbols.lines().filter(|line| line.to_lowercase().contains(" t "));
        let address = |line: &str| hex(line.split_once(' ')?.0);
        let functions = code.filter_map(address).collect();
        let sections = output(Command::new("readelf").args(["-S", "-W"]));
        let place = |line: &str| {
            let (_, rest) = line.split_once(" .debug_")?;
            let mut words = rest.split_whitespace().skip(3);
            let (start, size) = (hex(words.next()?)?, hex(words.next()?)?);
            Some(start as usize..(start + size) as usize)
        };
        let places: Vec<_> = sections.lines().filter_map(place).collect();
        let start = places.iter().map(|place| place.start).min().expect("with -g");
        let end = places.iter().map(|place| place.end).max().expect("with -g");
        let bytes = std::fs::read(&path).expect("it is there");
        Self { bytes, debug: start..end, functions }
    }

    /// How many instructions have lines or functions.
    fn ask(&self, bytes: Vec<u8>) -> usize {
        let started = Instant::now();
        let mut known = 0;
        if let Ok(elf) = Elf::parse(FileBytes::Owned(bytes)).map(Arc::new)
            && let Ok(dwarf) = Dwarf::open(&elf, Path::new("/x"), Path::new("/"), 0)
        {
            let near = |start: &u64| *start..*start + 48;
            for address in self.functions.iter().flat_map(near).chain([0, u64::MAX]) {
                known += dwarf.frames_at(VirtOffset(address)).len();
                known += usize::from(dwarf.line_at(VirtOffset(address)).is_some());
            }
        }
        assert!(started.elapsed() < Duration::from_secs(10));
        known
    }
}

static SAMPLES: LazyLock<[Sample; 2]> = LazyLock::new(|| {
    [
        Sample::new("hostile-lines5", &["-gdwarf-5", "-O2"]),
        Sample::new("hostile-lines4", &["-gdwarf-4", "-O2"]),
    ]
});

#[test]
fn undamaged_they_have_lines() {
    for sample in &*SAMPLES {
        assert!(sample.ask(sample.bytes.clone()) > 100);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn bytes_changed(
        which in 0..2_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let sample = &SAMPLES[which];
        let mut bytes = sample.bytes.clone();
        for (at, byte) in changes {
            bytes[sample.debug.start + at.index(sample.debug.len())] = byte;
        }
        sample.ask(bytes);
    }

    #[test]
    fn cut_short(which in 0..2_usize, at in any::<prop::sample::Index>()) {
        let sample = &SAMPLES[which];
        let mut bytes = sample.bytes.clone();
        // Section headers are at the end: they stay.
        let from = sample.debug.start + at.index(sample.debug.len());
        bytes[from..sample.debug.end].fill(0);
        sample.ask(bytes);
    }
}

#[test]
fn lists_of_ranges_read_over_and_over() {
    let options = ["-nostdlib", "-static", "-Wl,-Ttext=0x401000"];
    let path = common::build("cc", "shared-ranges", &["shared_ranges.s"], &options);
    let bytes = std::fs::read(path).expect("it is there");
    let elf = Arc::new(Elf::parse(FileBytes::Owned(bytes)).expect("well-formed"));
    let dwarf = Dwarf::open(&elf, Path::new("/x"), Path::new("/"), 0).expect("some");
    let started = Instant::now();
    for offset in 0..4 {
        assert!(!dwarf.frames_at(VirtOffset(0x40_1010 + offset)).is_empty());
    }
    assert!(started.elapsed() < Duration::from_secs(20));
}
