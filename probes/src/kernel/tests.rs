use super::*;
use crate::btf::tests::{BITS, Builder};
use crate::types::type_name;
use std::collections::BTreeMap;

const POINTER: u32 = 2 << 24;
const VARIABLE: u32 = 14 << 24;

/// A kernel with tasks that lead to the run queues of their CPUs.
fn types() -> Btf {
    let mut btf = Builder::new();
    let int = btf.integer("int", 4, true);
    let char = btf.integer("char", 1, false);
    let text = btf.raw("", 3 << 24, 0, &[char, int, 16]);
    let text_pointer = btf.raw("", POINTER, char, &[]);
    let signal = btf.record("signal_struct", 4, 8, &[("live", int, 0), ("adj", int, 32)]);
    let signal_pointer = btf.raw("", POINTER, signal, &[]);
    let queue = btf.record("rq", 4, 16, &[("count", int, 0), ("cpu", int, 32)]);
    let queue_pointer = btf.raw("", POINTER, queue, &[]);
    let fair = btf.record("cfs_rq", 4, 8, &[("rq", queue_pointer, 0)]);
    let fair_pointer = btf.raw("", POINTER, fair, &[]);
    let entity = btf.record("sched_entity", 4, 8, &[("cfs_rq", fair_pointer, 0)]);
    let both = btf.record("", 5, 8, &[("name", text_pointer, 0)]);
    let lost = btf.raw("lost", 7 << 24, 0, &[]);
    let task = [
        ("pid", int, 0),
        ("dumpable", int, 33 | 2 << 24),
        ("comm", text, 64),
        ("signal", signal_pointer, 192),
        ("se", entity, 256),
        ("", both, 320),
        ("lost", lost, 384),
    ];
    btf.record("task_struct", 4 | BITS, 48, &task);
    let variables = [("runqueues", queue, 0x100, 16), ("number", int, 0x200, 4)].map(
        |(name, ty, offset, size)| [btf.raw(name, VARIABLE, ty, &[1]), offset, size],
    );
    btf.add(".data..percpu", 15, 0, &variables);
    let plain = btf.raw("first_signal", VARIABLE, signal, &[1]);
    btf.add(".data", 15, 0, &[[plain, 0, 8]]);
    Btf::parse(btf.finish(), 1).expect("BTF")
}

const BASE: u64 = 0xffff_8880_0000_0000;
const TASK_0: u64 = BASE + 0x1000;
const TASK_1: u64 = BASE + 0x2000;
const SIGNAL: u64 = BASE + 0x3000;
const AREA: [u64; 2] = [BASE + 0x1_0000, BASE + 0x2_0000];

/// Words of the kernel's memory, as the types above lay them out.
fn memory() -> BTreeMap<u64, u64> {
    let mut words = BTreeMap::new();
    for (index, task) in [TASK_0, TASK_1].into_iter().enumerate() {
        let queue = AREA[index] + 0x100;
        let fair = task + 0x800;
        words.extend([(task + 32, fair), (fair, queue), (queue, (index as u64) << 32)]);
    }
    words.extend([(TASK_0 + 24, SIGNAL), (TASK_1 + 24, 0), (TASK_0 + 40, 0x4000)]);
    words
}

const FEW: &str = "ffffffff81000000 T _stext\nffffffff82000000 D first_signal\n\
                   ffffffff82000010 d twice\nffffffffc0000000 d twice\t[other]\n";
const OFFSETS: u64 = 0xffff_ffff_8300_0000;

fn read(address: AbsAddr, out: &mut [u8]) -> usize {
    let Some(word) = memory().get(&(address.0 & !7)).copied() else { return 0 };
    let within = (address.0 % 8) as usize;
    out.copy_from_slice(&word.to_le_bytes()[within..within + out.len()]);
    out.len()
}

fn with<T>(symbols: &str, ask: impl FnOnce(&KernelNames<'_>) -> T) -> T {
    let (types, symbols) = (types(), KernelData::parse(symbols.as_bytes()));
    let offsets = |address: AbsAddr, out: &mut [u8]| {
        let section = 0xffff_ffff_8400_0000_u64;
        let Some(cpu @ 0..2) = address.0.checked_sub(OFFSETS).map(|at| at / 8) else {
            return read(address, out);
        };
        let offset = AREA[cpu as usize].wrapping_sub(section);
        out.copy_from_slice(&offset.to_le_bytes());
        8
    };
    ask(&KernelNames {
        types: Some(&types),
        symbols: &symbols,
        read: &offsets,
        cpus: &[0, 1],
        tasks: &|| vec![AbsAddr(TASK_1), AbsAddr(8), AbsAddr(TASK_0), AbsAddr(TASK_1)],
    })
}

fn task(text: &str) -> Result<KernelLocation, KernelError> {
    let path = Path::parse(text).expect(text);
    with(FEW, |names| names.task(AbsAddr(TASK_0), &path))
}

fn data(names: &KernelNames<'_>, text: &str) -> Result<KernelLocation, KernelError> {
    let (name, path) = path::split(text).expect(text);
    names.data(&name, &path)
}

#[test]
fn members_of_a_task() {
    for (text, address, size, links) in [
        ("pid", TASK_0, 4, vec![]),
        ("comm", TASK_0 + 8, 16, vec![]),
        ("comm[3]", TASK_0 + 11, 1, vec![]),
        ("signal", TASK_0 + 24, 8, vec![]),
        ("signal->adj", SIGNAL + 4, 4, vec![TASK_0 + 24]),
        ("*signal", SIGNAL, 8, vec![TASK_0 + 24]),
        ("signal[2].adj", SIGNAL + 20, 4, vec![TASK_0 + 24]),
        ("name", TASK_0 + 40, 8, vec![]),
        ("se.cfs_rq->rq->cpu", AREA[0] + 0x104, 4, vec![TASK_0 + 32, TASK_0 + 0x800]),
    ] {
        let found = task(text).expect(text);
        let links = links.into_iter().map(AbsAddr).collect();
        let place = KernelPlace { cpu: None, address: AbsAddr(address), links };
        assert_eq!(found.places, [place], "{text}");
        assert_eq!((found.size, &*found.name), (Some(size), text));
    }
    let found = task("dumpable").expect("a bit-field");
    assert_eq!(found.bits, Some(Bits { offset: 1, width: 2 }));
    assert_eq!(found.places[0].address, AbsAddr(TASK_0 + 4));
    let ty = task("signal").ok().and_then(|found| found.ty).expect("it has a type");
    assert_eq!(type_name(&types(), ty), "struct signal_struct *");
}

#[test]
fn types_are_known_without_memory_also_behind_pointers() {
    let types = types();
    for (text, expected, size) in [
        ("pid", "int", 4),
        ("signal->adj", "int", 4),
        ("signal[2].adj", "int", 4),
        ("se.cfs_rq->rq->cpu", "int", 4),
        ("se.cfs_rq->rq", "struct rq *", 8),
    ] {
        let path = Path::parse(text).expect(text);
        let object = KernelObject::Task { tid: 1, path };
        let (ty, found) = typed(&types, &object).expect(text);
        assert_eq!((&*type_name(&types, ty), found), (expected, size), "{text}");
    }
}

#[test]
fn what_is_wrong_with_a_path() {
    for (text, expected) in [
        ("signals", "struct task_struct has no member `signals`"),
        ("signal->x", "struct signal_struct has no member `x`"),
        (
            "signal.adj",
            "`signal` is of type struct signal_struct *: write `->` to reach a member",
        ),
        ("comm->x", "`comm` is of type char [16]: it is no pointer: write `.`"),
        ("comm[16]", "`comm` has 16 elements, none with the index 16"),
        ("pid.x", "`pid` is of type int: it has no members"),
        ("pid[0]", "`pid` is of type int: it has no elements"),
        ("dumpable.x", "the type of `dumpable` is not known"),
        ("lost.x", "the type of `lost` is not known"),
        ("*name", "`name` is 0x4000, which is no address of the kernel"),
    ] {
        assert_eq!(task(text).expect_err(text).to_string(), expected);
    }
    let help = task("signals").expect_err("no member").help();
    assert_eq!(help.as_deref(), Some("did you mean `signal`?"));
    let path = Path::parse("signal->adj").expect("a path");
    let other = |address| with(FEW, |names| names.task(AbsAddr(address), &path));
    let null = other(TASK_1).expect_err("null");
    assert_eq!(null.to_string(), "`signal` is a null pointer at the moment");
    assert!(matches!(other(BASE), Err(KernelError::Unreadable { .. })));
}

#[test]
fn variables() {
    let found = with(FEW, |names| data(names, "first_signal.adj")).expect("it is there");
    assert_eq!(found.places[0].address, AbsAddr(0xffff_ffff_8200_0004));
    assert_eq!((found.size, &*found.name), (Some(4), "first_signal.adj"));
    let several = with(FEW, |names| data(names, "twice")).expect_err("two");
    let expected = "there are several `twice`: 0xffffffff82000010 in kernel, \
                    0xffffffffc0000000 in other";
    assert_eq!(several.to_string(), expected);
    let unlisted = with(FEW, |names| data(names, "first_signals")).expect_err("none");
    assert!(
        matches!(&unlisted, KernelError::NotListed { nearest, .. }
        if *nearest == ["first_signal"]),
        "{unlisted}"
    );
    assert!(unlisted.help().is_some_and(|help| help.contains("kernel.task(PID)")));
    let all = format!("{FEW}ffffffff82000100 D init_task\nffffffff82000120 D other\n");
    let missing = with(&all, |names| data(names, "first_signals")).expect_err("none");
    assert!(matches!(missing, KernelError::NoVariable { .. }), "{missing}");
    let untyped = with(&all, |names| data(names, "init_task")).expect("it is there");
    assert_eq!((untyped.size, untyped.ty), (Some(0x20), None));
    let inside = with(&all, |names| data(names, "init_task.pid")).expect_err("no type");
    assert_eq!(inside.to_string(), "the type of `init_task` is not known");
    let hidden = with("0000000000000000 D a\n", |names| data(names, "a"));
    assert_eq!(hidden, Err(KernelError::Hidden));
}

/// By symbols as they are since Linux 6.15 and as they were before, and by tasks
/// where there are no symbols.
#[test]
fn variables_of_each_cpu() {
    let now = format!(
        "{OFFSETS:x} D __per_cpu_offset\nffffffff84000000 D __per_cpu_start\n\
         ffffffff84000200 d number\nffffffff84000300 D __per_cpu_end\n"
    );
    let places = |symbols: &str, text: &str| {
        let found = with(symbols, |names| data(names, text)).expect("it is there");
        let place = |place: &KernelPlace| (place.cpu, place.address.0);
        (found.places.iter().map(place).collect::<Vec<_>>(), found.size)
    };
    let expected =
        |offset| vec![(Some(0), AREA[0] + offset), (Some(1), AREA[1] + offset)];
    assert_eq!(places(&now, "number"), (expected(0x200), Some(4)));
    assert_eq!(places(FEW, "number"), (expected(0x200), Some(4)));
    assert_eq!(places(FEW, "runqueues.cpu"), (expected(0x104), Some(4)));
    let areas = with(FEW, |names| names.areas());
    assert_eq!(areas.iter().map(|area| area.start.0).collect::<Vec<_>>(), AREA);
    let before = "0000000000000000 A __per_cpu_start\n0000000000000200 A number\n\
                  0000000000000204 A __per_cpu_end\n";
    assert_eq!(places(before, "number"), (expected(0x200), Some(4)));
    let types = types();
    let symbols = KernelData::parse(FEW.as_bytes());
    let (read, tasks) = (&read, &Vec::new);
    let names = KernelNames {
        types: Some(&types),
        symbols: &symbols,
        read,
        cpus: &[0, 1],
        tasks,
    };
    assert!(matches!(data(&names, "number"), Err(KernelError::NoAreas { .. })));
    let names = KernelNames { types: None, ..names };
    let found = data(&names, "first_signal").map(|found| (found.size, found.ty));
    assert_eq!(found, Ok((Some(16), None)));
    assert!(matches!(data(&names, "first_signal.adj"), Err(KernelError::NoTypes { .. })));
}
