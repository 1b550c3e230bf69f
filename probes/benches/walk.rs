//! What a walk of ten frames costs when all of its code has been met before, and what
//! the first one costs.
#![allow(missing_docs)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;
use std::time::{Duration, Instant};

use hwtrace_probes::maps::Mapping;
use hwtrace_probes::stack::{Registers, Thread};
use hwtrace_probes::symbols::{Elf, load};
use hwtrace_probes::{AbsAddr, FileOffset, LoadBias, Symbolizer, VirtOffset};

/// No process has this number.
const PID: u32 = u32::MAX - 1;
const BIAS: LoadBias = LoadBias(0x7f12_3450_0000);
const STACK: u64 = 0x7ffd_0000_1000;
const FRAMES: usize = 10;
const WALKS: u32 = 100_000;

fn main() {
    let options = ["-shared", "-nostdlib", "-Wl,-z,noexecstack"];
    let path = common::build("cc", "walk-bench", &["frames.s"], &options);
    let elf = Elf::parse(load(&path).expect("built")).expect("a library");
    let code = elf.segments().iter().find(|it| it.executable).expect("code");
    let mut symbolizer = Symbolizer::new();
    let page = |address| address & !0xfff;
    symbolizer.note_mapping(
        PID,
        Mapping::new(
            AbsAddr(page(BIAS.to_abs(code.virt).0)),
            code.memory_size.next_multiple_of(4096),
            FileOffset(page(code.file.0)),
            true,
            0,
            path.as_os_str().as_encoded_bytes(),
        ),
    );
    // The first function with code calls; it is left by eight bytes and an address.
    let function = |start: u64| {
        let places = (start..start + 0x200).map(VirtOffset);
        let mut starts = places.filter_map(|at| elf.function_at(at)).map(|it| it.start);
        let top = starts.next().expect("top");
        (top, starts.find(|start| *start != top).expect("caller"))
    };
    let (top, caller) = function(code.virt.0);
    let (top, after) = (BIAS.to_abs(top).0 + 5, BIAS.to_abs(caller).0 + 9);
    let words = [after, 0].repeat(FRAMES - 2).into_iter().chain([top]);
    let bytes: Vec<u8> =
        [0].into_iter().chain(words).flat_map(u64::to_le_bytes).collect();
    let mut registers = Registers::default();
    registers.set(Registers::RIP, Some(after));
    registers.set(Registers::RSP, Some(STACK));
    let thread = Thread { instruction: after, registers, bytes: &bytes, callers: &[] };
    let mut out = Vec::with_capacity(FRAMES);
    let mut walk = |symbolizer: &mut Symbolizer| {
        out.clear();
        let began = Instant::now();
        let whole = symbolizer.walk(PID, black_box(&thread), &mut out);
        assert!(whole && out.len() == FRAMES, "{out:x?}");
        began.elapsed()
    };
    let first = walk(&mut symbolizer);
    let all: Duration = (0..WALKS).map(|_| walk(&mut symbolizer)).sum();
    println!("{FRAMES} frames: {first:?} at first, {:?} from then on", all / WALKS);
}
