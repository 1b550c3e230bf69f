//! Reads memory of the current process by way of the kernel's mapping of all physical
//! memory (Documentation/arch/x86/x86_64/mm.rst, "direct mapping").
//!
//! A debug register that reports loads would report ours, too, as it watches a linear
//! address. The same bytes have another one in the direct mapping, which nothing
//! watches. Where they are there, the page tables of the process say.
//!
//! A hit is a trap with interrupts off. That keeps page tables and pages in place while
//! it lasts, as it does for `gup_fast` (mm/gup.c): who takes them away first waits for
//! all CPUs to forget them. And whatever an address turns out to be, the kernel's
//! functions that read there fail and do no harm.

use std::rc::Rc;
use std::time::Duration;

use super::assembler::{Assembler, Label};
use super::insn::{
    Alu, FRAME, Helper, R0, R1, R2, R3, R6, Register, Test, Width, add, alu,
    alu_constant, call, copy, exit, load, set, set_wide, store,
};
use super::{BpfError, KernelReader, Loaded, Program, Role};
use crate::kernel::Kernel;

/// What a walk has to know of this kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk {
    /// Where in `struct task_struct` `mm` is, in bytes.
    mm: i16,
    /// Where in `struct mm_struct` `pgd` is, in bytes.
    pgd: i16,
    /// Where the direct mapping begins.
    base: u64,
    /// Where physical memory ends. What lies behind are devices, of which the direct
    /// mapping has none.
    end: u64,
}

/// Where the direct mapping begins, unless that was drawn by lot
/// (`__PAGE_OFFSET_BASE_L4`); else it is above.
const USUAL_BASE: u64 = 0xffff_8880_0000_0000;
/// By how much (`kernel_randomize_memory`: `PUD_MASK`).
const STEP: u64 = 1 << 30;
/// How many steps there are: to the end of what an address can be.
const STEPS: u64 = 64 << 10;
/// How long the beginning is looked for.
const PATIENCE: Duration = Duration::from_millis(300);
const PAGE: u64 = 4096;
/// The bits of an entry of a page table that are a physical address.
const PHYSICAL: u64 = 0x000f_ffff_ffff_f000;
const PRESENT: i32 = 1;
/// What an entry above the last table maps is a large page.
const LARGE: i32 = 1 << 7;
/// By how much an address is shifted to be an index, table by table.
const SHIFTS: [i32; 4] = [39, LARGE_SHIFT, 21, PAGE_SHIFT];
/// That of the first table whose entries may be large pages, and that of the last.
const LARGE_SHIFT: i32 = 30;
const PAGE_SHIFT: i32 = 12;
/// A file of the kernel is read up to here.
const FILE_BYTES: usize = 1 << 20;
const WHAT: &str = "walks page tables";

/// Words of the stack: what was read last, and the address.
const FOUND: i16 = -8;
const ADDRESS: i16 = -16;

impl Walk {
    /// Finds out how; `mm` and `pgd` are where these members are in `task_struct` and
    /// `mm_struct`, in bytes. None where it does not work here: without privilege,
    /// where a page table has five levels, or where the kernel is otherwise unlike what
    /// is known of it. It is tried before it is given.
    pub fn find(kernel: &Rc<dyn Kernel>, mm: u64, pgd: u64) -> Option<Self> {
        let (mm, pgd) = (i16::try_from(mm).ok()?, i16::try_from(pgd).ok()?);
        let processor = kernel.read_file("/proc/cpuinfo", FILE_BYTES).ok()?;
        let mut words = processor.split(|byte| byte.is_ascii_whitespace());
        // Shown where it is in use.
        if words.any(|word| word == b"la57") {
            return None;
        }
        let end = memory_end(&kernel.read_file("/proc/iomem", FILE_BYTES).ok()?)?;
        // Nowhere else in memory, as far as one can tell.
        let mark = Box::new([0, 1, 2, 3_u64].map(|part| spread(kernel.clock() + part)));
        // Not known to the compiler, so that it is in memory.
        let mark = std::hint::black_box(mark);
        let address = std::ptr::from_ref(&mark[0]) as u64;
        let physical = kernel.own_frame(address).ok()? * PAGE + address % PAGE;
        let reader = KernelReader::open(kernel).ok()?;
        let begun = kernel.clock();
        let base = find_base(|base| {
            if u128::from(kernel.clock() - begun) > PATIENCE.as_nanos() {
                return None;
            }
            let mut found = [0; 8];
            let read = reader.read(base + physical, &mut found);
            Some(read == found.len() && u64::from_ne_bytes(found) == mark[0])
        })?;
        let walk = Self { mm, pgd, base, end };
        let read = |part: &u64| walk.read_own(kernel, std::ptr::from_ref(part) as u64, 8);
        mark.iter().all(|part| read(part) == Some(*part)).then_some(walk)
    }

    /// Reads our own memory, 1, 2, 4 or 8 bytes that lie in one page, by a walk: for
    /// who wants to see that it works. None where it can not be read.
    pub fn read_own(
        &self,
        kernel: &Rc<dyn Kernel>,
        address: u64,
        length: u32,
    ) -> Option<u64> {
        let program = self.trial(kernel, length).ok()?;
        let mut context = [0; 16];
        context[..8].copy_from_slice(&address.to_ne_bytes());
        let gave = kernel.bpf_run(program.descriptor, &mut context).ok()?;
        let (words, _) = context.as_chunks::<8>();
        (gave == 0).then(|| u64::from_ne_bytes(words[1]))
    }

    /// A program whose context is an address, and then what is there. It gives 0 where
    /// it could be read.
    fn trial(&self, kernel: &Rc<dyn Kernel>, length: u32) -> Result<Loaded, BpfError> {
        let mut asm = Assembler::default();
        let fails = asm.label();
        asm.put([copy(R6, R1), load(Width::Double, R1, R6, 0)]);
        read(&mut asm, self, R1, length, fails);
        asm.put([store(Width::Double, R6, 8, R1), set(R0, 0), exit()]);
        asm.place(fails);
        asm.put([set(R0, 1), exit()]);
        let instructions = asm.finish().unwrap_or_default();
        let program = Program { role: Role::Call, instructions };
        Loaded::new(kernel, &program, WHAT)
    }
}

/// R1 = what is at this address of the current process: 1, 2, 4 or 8 bytes within one
/// page. Goes to `fails` where they can not be read. [`R0`] to R5 are lost, and two
/// words at the end of the stack.
pub(super) fn read(
    asm: &mut Assembler,
    walk: &Walk,
    address: Register,
    length: u32,
    fails: Label,
) {
    find(asm, walk, address, Missing { untouched: fails, other: fails });
    fetch(asm, Width::of(length), fails);
}

/// Where to go where there is no page at an address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Missing {
    /// There is no entry for it: nobody has touched it yet, or it is no memory.
    pub(super) untouched: Label,
    /// It is elsewhere (swapped out, on its way to another node), or can not be read.
    pub(super) other: Label,
}

/// R3 = where in the direct mapping the byte at this address of the current process is,
/// as are those that follow on its page. What is lost is the same.
pub(super) fn find(
    asm: &mut Assembler,
    walk: &Walk,
    address: Register,
    missing: Missing,
) {
    let Missing { untouched, other: fails } = missing;
    let page = asm.label();
    asm.put([store(Width::Double, FRAME, ADDRESS, address)]);
    // What a task consists of the verifier knows: its members can be loaded.
    asm.put([call(Helper::Task), load(Width::Double, R3, R0, walk.mm)]);
    // The kernel's own threads have none.
    asm.jump_if(Test::Equal, R3, 0, fails);
    asm.put([add(R3, walk.pgd.into())]);
    fetch(asm, Width::Double, fails);
    for shift in SHIFTS {
        asm.put([
            copy(R3, R1),
            load(Width::Double, R1, FRAME, ADDRESS),
            // Entries have 8 bytes, and tables 512 of them.
            alu_constant(Alu::ShiftRight, R1, shift - 3),
            alu_constant(Alu::And, R1, 511 << 3),
            alu(Alu::Add, R3, R1),
        ]);
        fetch(asm, Width::Double, fails);
        if untouched != fails {
            asm.jump_if(Test::Equal, R1, 0, untouched);
        }
        asm.put([copy(R2, R1), alu_constant(Alu::And, R2, PRESENT)]);
        asm.jump_if(Test::Equal, R2, 0, fails);
        if shift == PAGE_SHIFT {
            asm.put([set(R2, within(shift))]);
            break;
        }
        if shift <= LARGE_SHIFT {
            asm.put([set(R2, within(shift))]);
            asm.jump_if(Test::AnyBit, R1, LARGE, page);
        }
        asm.put(set_wide(R2, PHYSICAL));
        asm.put([alu(Alu::And, R1, R2)]);
        asm.put(set_wide(R2, walk.base));
        asm.put([alu(Alu::Add, R1, R2)]);
    }
    asm.place(page);
    linear(asm, walk, fails);
}

/// R3 = where in the direct mapping the address is, by the page's entry in R1 and the
/// bits within the page, which R2 has.
fn linear(asm: &mut Assembler, walk: &Walk, fails: Label) {
    asm.put([
        load(Width::Double, R3, FRAME, ADDRESS),
        alu(Alu::And, R3, R2),
        alu_constant(Alu::Xor, R2, -1),
        alu(Alu::And, R1, R2),
    ]);
    asm.put(set_wide(R2, PHYSICAL));
    asm.put([alu(Alu::And, R1, R2), alu(Alu::Or, R3, R1)]);
    asm.put(set_wide(R2, walk.end));
    asm.jump_if_both(Test::AboveOrEqual, R3, R2, fails);
    asm.put(set_wide(R2, walk.base));
    asm.put([alu(Alu::Add, R3, R2)]);
}

/// The bits of an address that are within what an entry maps.
fn within(shift: i32) -> i32 {
    (1 << shift) - 1
}

/// R1 = so many bytes of the kernel's memory at R3.
fn fetch(asm: &mut Assembler, width: Width, fails: Label) {
    asm.put([
        copy(R1, FRAME),
        add(R1, FOUND.into()),
        set(R2, width.bytes()),
        call(Helper::ProbeReadKernel),
    ]);
    asm.jump_if(Test::NotEqual, R0, 0, fails);
    asm.put([load(width, R1, FRAME, FOUND)]);
}

/// Where the direct mapping begins: `is_base` tells whether it is there, and none once
/// that takes too long. As the search goes upwards it looks at nothing but the direct
/// mapping and the void before it.
fn find_base(is_base: impl Fn(u64) -> Option<bool>) -> Option<u64> {
    for step in 0..STEPS {
        let base = USUAL_BASE + step * STEP;
        if is_base(base)? {
            return Some(base);
        }
    }
    None
}

/// Where memory ends, of the kernel's list of physical addresses (`/proc/iomem`). Whoever
/// may not know them is shown zeros: none.
fn memory_end(list: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(list);
    let end = |line: &str| {
        let (range, what) = line.trim().split_once(" : ")?;
        let (_, last) = range.split_once('-').filter(|_| what == "System RAM")?;
        u64::from_str_radix(last, 16).ok()?.checked_add(1)
    };
    text.lines().filter_map(end).max().filter(|end| *end > 1)
}

/// Numbers that do not look like any other.
fn spread(seed: u64) -> u64 {
    let mixed = seed.wrapping_mul(super::board::SPREAD);
    (mixed ^ mixed >> 29).wrapping_mul(super::board::SPREAD)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::kernel::fake::{Fake, Holdings};

    #[test]
    fn the_end_of_memory_is_that_of_its_last_part() {
        let list = b"00001000-0009fbff : System RAM\n\
                     000a0000-000fffff : Reserved\n\
                     00100000-bfffffff : System RAM\n  01000000-01ffffff : Kernel code\n\
                     100000000-13fffffff : System RAM\n\
                     380000000000-38000000ffff : PCI Bus 0000:00\n";
        assert_eq!(memory_end(list), Some(0x1_4000_0000));
        assert_eq!(memory_end(b"00000000-00000000 : System RAM\n"), None);
        assert_eq!(memory_end(b"0-ffffffffffffffff : System RAM\n"), None);
        assert_eq!(memory_end(b"\xff\n - : System RAM"), None);
    }

    #[test]
    fn the_beginning_is_looked_for_upwards() {
        let asked = Cell::new(0);
        let at = |base: u64| {
            move |it: u64| {
                assert!(it <= base, "{it:x}");
                Some(it == base)
            }
        };
        for base in [USUAL_BASE, USUAL_BASE + STEP, USUAL_BASE + 1000 * STEP] {
            assert_eq!(find_base(at(base)), Some(base));
        }
        let never = |_| {
            asked.set(asked.get() + 1);
            (asked.get() < 10).then_some(false)
        };
        assert_eq!((find_base(never), asked.get()), (None, 10));
        assert_eq!(find_base(|_| Some(false)), None);
    }

    #[test]
    fn without_what_it_takes_there_is_none() {
        let fake = Rc::new(Fake::new(1, &[1]));
        let kernel: Rc<dyn Kernel> = Rc::clone(&fake) as Rc<dyn Kernel>;
        assert_eq!(Walk::find(&kernel, 8, 8), None, "no files");
        fake.set_file("/proc/iomem", "00001000-0009fbff : System RAM\n");
        fake.set_file("/proc/cpuinfo", "flags\t\t: fpu la57 avx\n");
        assert_eq!(Walk::find(&kernel, 8, 8), None, "five levels");
        fake.set_file("/proc/cpuinfo", "flags\t\t: fpu avx\n");
        assert_eq!(Walk::find(&kernel, 8, 8), None, "no frames");
        fake.set_own_frame(Some(1));
        assert_eq!(Walk::find(&kernel, 8, 8), None, "no direct mapping");
        assert_eq!(fake.holdings(), Holdings::default());
    }
}
