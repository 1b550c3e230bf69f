//! Walks stacks by the tables of a file that may be anything.

use std::fs;
use std::time::{Duration, Instant};

use hwtrace_probes::maps::Mapping;
use hwtrace_probes::stack::{FRAMES_MAX, Registers, Thread, keeps_frame_pointers};
use hwtrace_probes::symbols::{Elf, FileBytes};
use hwtrace_probes::{AbsAddr, FileOffset, LoadBias, Symbolizer, VirtOffset};

/// No process has this number.
const PID: u32 = u32::MAX - 1;
/// Where the file's address 0 is.
const BIAS: LoadBias = LoadBias(0x7f00_0000_0000);
const STACK: u64 = 0x7ffe_0000_0000;
const WORDS: usize = 600;
/// Places in the code from which it is walked.
const PLACES: u64 = 12;

/// Walks from all over the code, on stacks that are full of addresses of it, and names
/// what was found. Panics where that takes long, or goes on for ever.
pub(crate) fn use_all(bytes: &[u8]) {
    let started = Instant::now();
    let Ok(elf) = Elf::parse(FileBytes::Owned(bytes.to_vec())) else { return };
    let _ = keeps_frame_pointers(&elf);
    let name =
        format!("hwtrace-stack-{}-{:?}", std::process::id(), std::thread::current().id());
    let path = std::env::temp_dir().join(name);
    fs::write(&path, bytes).expect("a file in the folder for such");
    let mut symbolizer = Symbolizer::new();
    let mut places = vec![elf.entry()];
    for segment in elf.segments().iter().filter(|segment| segment.executable) {
        let start = segment.virt.0 & !0xfff;
        let offset = FileOffset(segment.file.0 & !0xfff);
        let length = segment.memory_size.min(1 << 30) + 0x1000;
        let at = BIAS.to_abs(VirtOffset(start));
        let path = path.as_os_str().as_encoded_bytes();
        symbolizer.note_mapping(PID, Mapping::new(at, length, offset, true, 0, path));
        let step = (segment.file_size / PLACES).max(1);
        let place = |number| VirtOffset(segment.virt.0.wrapping_add(step * number));
        places.extend((0..PLACES).map(place));
    }
    places.truncate(4 * PLACES as usize);
    for (number, place) in places.iter().enumerate() {
        walk(&mut symbolizer, &places, number, BIAS.to_abs(*place));
    }
    let _ = fs::remove_file(&path);
    assert!(started.elapsed() < Duration::from_secs(10));
}

fn walk(symbolizer: &mut Symbolizer, places: &[VirtOffset], number: usize, at: AbsAddr) {
    // Words that may be return addresses, and some that may be frame pointers.
    let word = |index: usize| match index % 4 {
        3 => STACK + 8 * (index as u64 + 1 + number as u64),
        _ => BIAS.to_abs(places[(index + number) % places.len()]).0,
    };
    let bytes: Vec<u8> = (0..WORDS).flat_map(|index| word(index).to_le_bytes()).collect();
    let mut registers = Registers::default();
    for register in 0..Registers::COUNT as u16 {
        registers.set(register, Some(STACK + 16 * u64::from(register)));
    }
    registers.set(Registers::RSP, Some(STACK));
    registers.set(Registers::RIP, Some(at.0));
    let callers = [at.0, at.0 + 1, 0, u64::MAX];
    for (bytes, callers) in
        [(&bytes[..], &[][..]), (&[], &callers), (&bytes[..64], &callers)]
    {
        let thread = Thread { instruction: at.0, registers, bytes, callers };
        let mut out = Vec::new();
        symbolizer.walk(PID, &thread, &mut out);
        assert!(out.len() <= FRAMES_MAX, "{} frames", out.len());
        let image = symbolizer.image(PID);
        for address in out.into_iter().take(8) {
            symbolizer.on_stack(Some(image), AbsAddr(address), true);
        }
    }
}
