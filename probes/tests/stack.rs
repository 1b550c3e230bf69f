//! Walks of stacks that are known to the byte.

mod common;

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use hwtrace_probes::maps::Mapping;
use hwtrace_probes::stack::{FRAMES_MAX, Registers, Thread, keeps_frame_pointers};
use hwtrace_probes::symbols::{Elf, load};
use hwtrace_probes::{AbsAddr, FileOffset, LoadBias, Symbolizer};

/// No process has this number: what is known of it was told.
const PID: u32 = u32::MAX - 1;
const BIAS: LoadBias = LoadBias(0x7f12_3450_0000);
const STACK: u64 = 0x7ffd_0000_1000;

/// A library of functions in assembler, mapped nowhere.
struct Program {
    symbolizer: Symbolizer,
    addresses: HashMap<String, u64>,
}

impl Program {
    fn new(name: &str) -> Self {
        Self::of(name, "frames.s")
    }

    fn of(name: &str, source: &str) -> Self {
        let options = ["-shared", "-nostdlib", "-Wl,-z,noexecstack"];
        let path = common::build("cc", name, &[source], &options);
        let symbols = Command::new("nm").arg(&path).output().expect("nm runs").stdout;
        let symbols = String::from_utf8(symbols).expect("text");
        let address = |line: &str| {
            let mut words = line.split(' ');
            let address = u64::from_str_radix(words.next()?, 16).ok()?;
            Some((words.next_back()?.to_owned(), BIAS.0 + address))
        };
        let addresses = symbols.lines().filter_map(address).collect();
        let mut symbolizer = Symbolizer::new();
        map(&mut symbolizer, &path);
        Self { symbolizer, addresses }
    }

    fn at(&self, name: &str) -> u64 {
        self.addresses[name]
    }

    /// The walk of a thread that has done `instruction`, and is at `next`.
    fn walk(&mut self, instruction: u64, next: u64, stack: &[u64]) -> (Vec<u64>, bool) {
        self.walk_chain(instruction, next, stack, STACK + 0x100, &[])
    }

    fn walk_chain(
        &mut self,
        instruction: u64,
        next: u64,
        stack: &[u64],
        frame: u64,
        callers: &[u64],
    ) -> (Vec<u64>, bool) {
        let mut registers = Registers::default();
        registers.set(Registers::RIP, Some(next));
        registers.set(Registers::RSP, Some(STACK));
        registers.set(Registers::RBP, Some(frame));
        let bytes: Vec<u8> = stack.iter().flat_map(|word| word.to_le_bytes()).collect();
        let thread = Thread { instruction, registers, bytes: &bytes, callers };
        let mut out = Vec::new();
        let whole = self.symbolizer.walk(PID, &thread, &mut out);
        (out, whole)
    }

    fn name(&mut self, address: u64, returns: bool) -> Option<String> {
        let image = self.symbolizer.image(PID);
        let at = self.symbolizer.on_stack(Some(image), AbsAddr(address), returns);
        at.symbol.map(|symbol| format!("{}+{}", symbol.name, symbol.offset))
    }
}

fn map(symbolizer: &mut Symbolizer, path: &Path) {
    let elf = Elf::parse(load(path).expect("built")).expect("a library");
    for segment in elf.segments() {
        let start = BIAS.to_abs(segment.virt).0 & !0xfff;
        let length = segment.memory_size.next_multiple_of(4096);
        let offset = FileOffset(segment.file.0 & !0xfff);
        let path = path.as_os_str().as_encoded_bytes();
        let executable = segment.executable;
        let start = AbsAddr(start);
        symbolizer
            .note_mapping(PID, Mapping::new(start, length, offset, executable, 0, path));
    }
}

#[test]
fn calls_and_returns_that_hit_are_of_the_function_that_makes_them() {
    let mut program = Program::new("stack-calls");
    let [top, after] = ["top_after", "caller_after"].map(|name| program.at(name));
    let [call, callee, ret] =
        ["caller_calls", "callee", "callee_returns"].map(|name| program.at(name));
    let stack = [after, 0, top];
    assert_eq!(program.walk(callee, ret, &stack), (vec![callee, after, top], true));
    // The call has stored its return address.
    assert_eq!(program.walk(call, callee, &stack), (vec![call, top], true));
    // The return has loaded it.
    assert_eq!(program.walk(ret, after, &stack[1..]), (vec![ret, after, top], true));
    assert_eq!(program.name(call, false).as_deref(), Some("caller+4"));
    assert_eq!(program.name(after, true).as_deref(), Some("caller+9"));
}

#[test]
fn what_is_not_there_ends_a_walk() {
    let mut program = Program::new("stack-ends");
    let [callee, after] = ["callee", "caller_after"].map(|name| program.at(name));
    for stack in [&[][..], &[0x1234], &[STACK], &[u64::MAX], &[1 << 63]] {
        assert_eq!(program.walk(callee, callee, stack), (vec![callee], false));
    }
    assert_eq!(program.walk(callee, callee, &[0]), (vec![callee], true));
    assert_eq!(
        program.walk(callee, callee, &[after, 0]),
        (vec![callee, after], false),
        "it is longer than what was captured"
    );
    assert_eq!(program.walk(8, 8, &[after, 0]), (vec![8], false));
}

#[test]
fn addresses_that_differ_in_one_bit_are_two() {
    let mut program = Program::new("stack-bits");
    let names = ["callee", "caller_after", "top_after"];
    let [callee, after, top] = names.map(|name| program.at(name));
    let nowhere = [after | 1 << 63, 0, top];
    assert_eq!(program.walk(callee, callee, &nowhere), (vec![callee], false));
    let found = program.walk(callee, callee, &[after, 0, top]);
    assert_eq!(found, (vec![callee, after, top], true));
}

/// All of an entry may be read for each address of its function.
#[test]
fn entries_that_are_too_long_are_not_read() {
    let mut program = Program::of("stack-long", "long_tables.s");
    let names = ["short_entry", "long_entry", "long_common"];
    let [short, long, shared] = names.map(|name| program.at(name));
    // By the frame pointer, as tables say; or as code does that has pushed nothing.
    let stack = [0, 0, 1234, 0];
    let mut caller = |at| program.walk_chain(at, at, &stack, STACK + 8, &[]);
    assert_eq!(caller(short), (vec![short], false));
    assert_eq!(caller(long), (vec![long], true));
    assert_eq!(caller(shared), (vec![shared], true));
    let elf = Elf::parse(load(&common::output("stack-long")).expect("built"));
    // It has no more functions that are long enough to tell.
    assert!(!keeps_frame_pointers(&elf.expect("a library")));
}

#[test]
fn recursion_is_walked_so_far() {
    let mut program = Program::new("stack-deep");
    let [callee, after] = ["callee", "caller_after"].map(|name| program.at(name));
    let stack: Vec<u64> = [after, 0].repeat(FRAMES_MAX);
    let (out, whole) = program.walk(callee, callee, &stack);
    assert_eq!((out.len(), whole), (FRAMES_MAX, false));
}

#[test]
fn a_chain_of_frame_pointers_goes_on_where_bytes_end() {
    let mut program = Program::new("stack-chain");
    let [keeps, callee] = ["keeps_works", "callee"].map(|name| program.at(name));
    let [top, after] = ["top_after", "caller_after"].map(|name| program.at(name));
    let chain = [keeps, after, top];
    let expected = (chain.to_vec(), true);
    // Nothing but the chain; and where the frame of the chain's first is not captured.
    for stack in [&[][..], &[1, 2]] {
        let found = program.walk_chain(keeps, keeps, stack, STACK + 0x80, &chain);
        assert_eq!(found, expected);
    }
    // A function that keeps none was called: only the bytes know who did.
    let chain = [callee, after, top];
    let found = program.walk_chain(callee, callee, &[keeps + 1], STACK + 0x80, &chain);
    assert_eq!(found, (vec![callee, keeps + 1, after, top], true));
    // A chain that breaks is not the stack's end.
    let found = program.walk_chain(keeps, keeps, &[], STACK + 0x80, &[keeps, after]);
    assert_eq!(found, (vec![keeps, after], false));
}

/// `struct ucontext` as the kernel lays it on the stack of a handler.
#[test]
fn signals_interrupt_where_no_call_is() {
    let mut program = Program::new("stack-signal");
    let [restorer, callee] = ["restorer", "callee"].map(|name| program.at(name));
    let [top, after] = ["top_after", "caller_after"].map(|name| program.at(name));
    let context = STACK + 8;
    let interrupted = STACK + 8 * 40;
    let mut stack = vec![0; 48];
    stack[0] = restorer;
    let word = |offset: u64| ((context + offset - STACK) / 8) as usize;
    stack[word(160)] = interrupted;
    stack[word(168)] = callee;
    stack[40..43].copy_from_slice(&[after, 0, top]);
    let found = program.walk(callee, callee, &stack);
    assert_eq!(found, (vec![callee, restorer, callee, after, top], true));
    assert_eq!(program.name(restorer, true).as_deref(), Some("restorer+0"));
    // The first instruction of a function, not the one before it.
    assert_eq!(program.name(callee, true).as_deref(), Some("callee+0"));
}

#[test]
fn a_system_call_is_the_instruction_that_entered_the_kernel() {
    let mut program = Program::new("stack-enters");
    let [enters, after] = ["enters", "enters_after"].map(|name| program.at(name));
    assert_eq!(program.symbolizer.entered_by(PID, after), enters);
    // A fault is at its instruction.
    assert_eq!(program.symbolizer.entered_by(PID, enters), enters);
}

#[test]
fn the_kernels_own_code_in_processes_has_names() {
    let pid = std::process::id();
    let maps = fs::read_to_string("/proc/self/maps").expect("our own");
    let Some(line) = maps.lines().find(|line| line.ends_with("[vdso]")) else { return };
    let start = line.split_once('-').and_then(|(it, _)| u64::from_str_radix(it, 16).ok());
    let start = start.expect("an address");
    let mut symbolizer = Symbolizer::new();
    let mut names = (0..0x2000).filter_map(|offset| {
        let symbol = symbolizer.function(pid, AbsAddr(start + offset))?;
        assert_eq!(&*symbol.module, "[vdso]");
        Some(symbol.name.to_string())
    });
    assert!(names.any(|name| name.contains("clock_gettime")));
}

/// Code that a process made, and of which it tells.
#[test]
fn code_made_as_it_runs_is_walked_by_frame_pointers() {
    const CODE: u64 = 0x5000_0000_0000;
    let pid = std::process::id();
    let map = format!("/tmp/perf-{pid}.map");
    fs::write(&map, "500000000010 20 jitted loop\n").expect("a file in /tmp");
    let mut symbolizer = Symbolizer::new();
    let code = Mapping::new(AbsAddr(CODE), 4096, FileOffset(0), true, 0, b"//anon");
    symbolizer.note_mapping(pid, code);
    let mut registers = Registers::default();
    registers.set(Registers::RIP, Some(CODE + 0x12));
    registers.set(Registers::RSP, Some(STACK));
    registers.set(Registers::RBP, Some(STACK + 8));
    let words = [7, STACK + 32, CODE + 0x105, 8, 0, CODE + 0x18];
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let thread =
        Thread { instruction: CODE + 0x10, registers, bytes: &bytes, callers: &[] };
    let mut out = Vec::new();
    assert!(symbolizer.walk(pid, &thread, &mut out));
    assert_eq!(out, [CODE + 0x10, CODE + 0x105, CODE + 0x18]);
    let image = symbolizer.image(pid);
    let name = |symbolizer: &mut Symbolizer, address| {
        let at = symbolizer.on_stack(Some(image), AbsAddr(address), true);
        at.symbol.map(|symbol| symbol.to_string())
    };
    let told = name(&mut symbolizer, CODE + 0x18);
    assert_eq!(told.as_deref(), Some("jitted loop+0x8/0x20 [jit]"));
    assert_eq!(name(&mut symbolizer, CODE + 0x105), None);
    // It makes more, and tells of it.
    let more = "500000000010 20 jitted loop\n500000000200 10 later\n";
    fs::write(&map, more).expect("a file in /tmp");
    let told = name(&mut symbolizer, CODE + 0x208);
    assert_eq!(told.as_deref(), Some("later+0x8/0x10 [jit]"));
    // What it tells of later was not told when it was first asked.
    assert_eq!(name(&mut symbolizer, CODE + 0x308), None);
    fs::write(&map, format!("{more}500000000300 10 last\n")).expect("a file in /tmp");
    let told = name(&mut symbolizer, CODE + 0x308);
    assert_eq!(told.as_deref(), Some("last+0x8/0x10 [jit]"));
    fs::remove_file(map).expect("it is there");
}
