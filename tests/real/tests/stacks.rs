//! Stacks of real programs: hwtrace walks what was captured at a hit as gdb walks the
//! stopped process, frame by frame and function by function. No engine is used: gdb stops
//! the program, and tells its registers and its memory.

#![allow(missing_docs, clippy::unwrap_used)]

#[path = "stacks/gdb.rs"]
mod gdb;
#[path = "stacks/names.rs"]
mod names;
#[path = "../../common/program.rs"]
#[allow(dead_code, reason = "others compile other programs")]
mod program;
#[path = "../../common/skip.rs"]
mod skip;

use std::path::Path;

use gdb::{Hit, Kind, Question};
use hwtrace_probes::address::AbsAddr;
use hwtrace_probes::maps::parse_maps;
use hwtrace_probes::stack::Thread;
use hwtrace_probes::symbolize::Symbolizer;

/// No process has this number: what is known of it was told.
const PID: u32 = u32::MAX - 1;

/// A frame as both sides tell it.
#[derive(Debug, PartialEq, Eq)]
struct Frame {
    /// None of a function that was inlined.
    address: Option<u64>,
    function: String,
}

/// The stack of a hit as hwtrace walks it, and whether it is whole.
fn ours(symbolizer: &mut Symbolizer, hit: &Hit) -> (Vec<Frame>, bool) {
    let instruction = hit.address();
    let (registers, bytes) = (hit.registers, &hit.bytes[..]);
    let thread = Thread { instruction, registers, bytes, callers: &[] };
    let mut addresses = Vec::new();
    let whole = symbolizer.walk(PID, &thread, &mut addresses);
    let image = symbolizer.image(PID);
    let mut frames = Vec::new();
    for (depth, address) in addresses.into_iter().enumerate() {
        let at = symbolizer.on_stack(Some(image), AbsAddr(address), depth > 0);
        let symbol = at.symbol.map(|symbol| symbol.name);
        let inlined = at.frames.iter().filter(|frame| frame.inlined);
        frames.extend(inlined.map(|frame| Frame {
            address: None,
            function: names::common(frame.function.as_deref()),
        }));
        let last = at.frames.last().filter(|frame| !frame.inlined);
        let function = last.and_then(|frame| frame.function.clone()).or(symbol);
        let function = names::common(function.as_deref());
        frames.push(Frame { address: Some(address), function });
    }
    (frames, whole)
}

fn theirs(hit: &Hit) -> Vec<Frame> {
    let frame = |frame: &gdb::Frame| Frame {
        address: (frame.kind != Kind::Inlined).then_some(frame.address),
        function: match frame.kind {
            Kind::Signal => "restore_rt".to_owned(),
            _ => names::common(frame.function.as_deref()),
        },
    };
    hit.frames.iter().map(frame).collect()
}

/// Whether there is code at an address: gdb walks on where there is none.
fn is_code(symbolizer: &Symbolizer, address: u64) -> bool {
    let space = symbolizer.address_space(PID).unwrap();
    space.find(AbsAddr(address)).is_some_and(|mapping| mapping.executable)
}

/// How much of a stack must be there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    /// All of it, by the same names.
    Whole,
    /// All of it; who strips a program takes the names.
    WholeUnnamed,
    /// What is on the stack that the thread is on.
    Part,
}

#[track_caller]
fn agree(program: impl AsRef<Path>, question: &Question<'_>, expect: Expect) {
    if !gdb::present() {
        skip::skip("there is no gdb to compare with");
        return;
    }
    let hits = gdb::ask(program.as_ref(), question);
    let mut wrong = Vec::new();
    let mut frames = 0;
    let (mut symbolizer, mut maps) = (Symbolizer::new(), "");
    for (number, hit) in hits.iter().enumerate() {
        if hit.maps != maps {
            maps = &hit.maps;
            symbolizer.note_exec(PID);
            let mappings = parse_maps(maps.as_bytes()).unwrap();
            mappings.into_iter().for_each(|it| symbolizer.note_mapping(PID, it));
        }
        let (mut ours, mut whole) = ours(&mut symbolizer, hit);
        let mut theirs = theirs(hit);
        if expect == Expect::WholeUnnamed {
            for frames in [&mut ours, &mut theirs] {
                frames.retain(|frame| frame.address.is_some());
                frames.iter_mut().for_each(|frame| frame.function.clear());
            }
        }
        // Where an inlined function begins, gdb shows it as not yet called.
        while ours.len() > theirs.len() && ours[0].address.is_none() {
            ours.remove(0);
        }
        let code =
            |frame: &Frame| frame.address.is_none_or(|it| is_code(&symbolizer, it));
        if let Some(lost) = theirs.iter().position(|frame| !code(frame)) {
            assert!(whole && lost > 1, "{theirs:x?}");
            theirs.truncate(lost);
            ours.truncate(lost);
        }
        if !hit.whole || expect == Expect::Part && !whole {
            assert!(ours.len() > 1, "{ours:x?}");
            whole = true;
            let shorter = ours.len().min(theirs.len());
            ours.truncate(shorter);
            theirs.truncate(shorter);
        }
        frames += ours.len();
        if ours != theirs || !whole {
            let same =
                ours.iter().zip(&theirs).take_while(|(ours, theirs)| ours == theirs);
            let same = same.count();
            let from = |frames: &[Frame]| {
                format!("{:x?}", frames.iter().skip(same).take(4).collect::<Vec<_>>())
            };
            let (ours, theirs) = (from(&ours), from(&theirs));
            wrong.push(format!(
                "hit {number}, whole {whole}, from frame {same} on\n  hwtrace {ours}\n  \
                 gdb     {theirs}\n"
            ));
        }
    }
    let count = hits.len();
    let shown = wrong.iter().take(3).cloned().collect::<String>();
    assert!(wrong.is_empty(), "{} of {count} differ, such as:\n{shown}", wrong.len());
    assert!(count >= question.least, "{count} hits only");
    eprintln!("{count} stacks of {} frames on average", frames / count.max(1));
}

#[track_caller]
fn agree_c(flags: &[&str], question: &Question<'_>, expect: Expect) {
    agree(program::c_with("frames", flags), question, expect);
}

const FRAMES: Question<'_> = Question {
    at: "begin",
    watch: "awatch *(long *)&watched",
    hits: 200,
    step: 1,
    least: 60,
    input: "",
    arguments: &[],
};

#[test]
fn frames_of_every_kind() {
    agree_c(&["-g", "-O2"], &FRAMES, Expect::Whole);
    agree_c(&["-g", "-O0"], &FRAMES, Expect::Whole);
}

#[test]
fn frames_of_programs_linked_otherwise() {
    agree_c(&["-g", "-O2", "-static-pie"], &FRAMES, Expect::Whole);
    agree_c(&["-g", "-O2", "-no-pie"], &FRAMES, Expect::Whole);
    agree_c(&["-O2", "-s", "-rdynamic"], &FRAMES, Expect::WholeUnnamed);
}

/// Tables for debuggers alone; and none, but frame pointers.
#[test]
fn frames_without_tables_for_exceptions() {
    const NONE: &str = "-fno-asynchronous-unwind-tables";
    agree_c(&["-g", "-O1", NONE], &FRAMES, Expect::Whole);
    let kept = ["-O1", NONE, "-fno-omit-frame-pointer", "-mno-omit-leaf-frame-pointer"];
    agree_c(&kept, &FRAMES, Expect::Whole);
}

#[test]
fn handler_on_a_stack_of_its_own() {
    let question = Question { arguments: &["other"], least: 2, ..FRAMES };
    agree_c(&["-g", "-O2"], &question, Expect::Part);
}

/// The stack itself is watched: calls, returns, pushes and pops are what hits.
#[test]
fn hits_in_prologues_and_epilogues() {
    let slots = ["-16", "-24", "-32", "-64"];
    for slot in slots {
        let watch = format!("awatch *(long *)(STACK{slot})");
        let question = Question { watch: &watch, hits: 60, least: 20, ..FRAMES };
        agree_c(&["-g", "-O2"], &question, Expect::Whole);
    }
}

/// Hits where the loader finds a function when it is first called.
#[test]
fn hits_in_the_loader() {
    let watch = "awatch *(long *)&'qsort@got.plt'";
    let question = Question { watch, hits: 10, least: 2, ..FRAMES };
    agree_c(&["-g", "-O2", "-Wl,-z,lazy", "-fplt"], &question, Expect::Whole);
}

#[test]
fn exceptions_and_lambdas() {
    let question = Question { watch: "awatch -l watched", hits: 200, ..FRAMES };
    agree(program::cpp("throws"), &question, Expect::Whole);
}

#[test]
fn sqlite() {
    let watch = "awatch *(long *)&mem0";
    let question =
        Question { at: "sqlite3_step", watch, input: "3\n", step: 5, ..FRAMES };
    agree(env!("CARGO_BIN_EXE_real_sqlite"), &question, Expect::Whole);
}

#[test]
fn lua() {
    let watch = "awatch -l L->l_G->GCdebt";
    let question = Question { at: "lua_gc", watch, input: "50\n", ..FRAMES };
    agree(env!("CARGO_BIN_EXE_real_lua"), &question, Expect::Whole);
}

#[test]
fn tokio() {
    let watch = "awatch *(long *)&'real_tokio::server::TASKS'";
    let at = "real_tokio::main";
    let question = Question { at, watch, input: "40\n", least: 40, ..FRAMES };
    agree(env!("CARGO_BIN_EXE_real_tokio"), &question, Expect::Whole);
}
