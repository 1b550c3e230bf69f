//! Programs at hits: values told by instructions, filters, reads, and what is
//! counted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use hwtrace_runtime::bpf::BpfError;
use hwtrace_runtime::engine::bpf::probe;
use hwtrace_runtime::engine::perf::PerfOptions;
use hwtrace_runtime::engine::{Engine, Whose};
use hwtrace_runtime::event::{Captured, Trigger, Watch};
use hwtrace_runtime::kernel::Kernel;
use hwtrace_runtime::kernel::linux::Linux;
use hwtrace_runtime::plan::{
    Binary, Block, Comparison, Does, Filter, Input, Load, Needs, Next, Plan, Reads, Slot,
    Space, Step,
};
use hwtrace_runtime::schema::AccessKind;

use crate::common::{
    Target, Teacher, Trace, Tracer, compile, despite_lost_traps, despite_stalls,
    follow_program, is_live, stores_to,
};

pub(crate) const ACCESS: Needs = Needs { access: true, ..Needs::NONE };

/// Whether programs can be run here; says so aloud where not.
pub(crate) fn runs_programs() -> bool {
    let kernel: Rc<dyn Kernel> = Rc::new(Linux);
    match probe(&kernel) {
        Ok(()) => is_live(),
        Err(error @ (BpfError::NotPermitted | BpfError::Missing(_))) => {
            eprintln!("SKIPPED: {error}");
            let required = std::env::var_os("HWTRACE_REQUIRE_LIVE");
            let root = nix::unistd::geteuid().is_root();
            assert!(!root || required.is_none_or(|it| it != "1"), "live tests required");
            false
        }
        Err(error) => panic!("{error}"),
    }
}

pub(crate) fn plan(needs: Needs, filter: Option<Filter>, reads: Reads) -> Plan {
    Plan { needs, filter, reads, ..Plan::default() }
}

/// A hit passes where these two compare so.
pub(crate) fn filter(left: Does, how: Comparison, right: Does) -> Filter {
    let step = |slot, does| Step { to: Slot(slot), does };
    let compare = Does::Compare(how, Slot(0), Slot(1));
    let first = Block {
        steps: vec![step(0, left), step(1, right), step(2, compare)],
        next: Next::Choose(Slot(2), 1, 2),
    };
    let end = |next| Block { steps: Vec::new(), next };
    Filter { slots: 3, blocks: vec![first, end(Next::Pass), end(Next::Drop)] }
}

/// Only values that differ from those before.
fn change() -> Filter {
    filter(Does::Input(Input::Old), Comparison::NotEqual, Does::Input(Input::New))
}

/// Follows a program whose function `store` makes the accesses.
pub(crate) fn trace(program: &Path, watches: &[Watch], plans: &[Plan]) -> (u32, Trace) {
    trace_functions(program, watches, plans, &["store"])
}

fn trace_functions(
    program: &Path,
    watches: &[Watch],
    plans: &[Plan],
    functions: &[&str],
) -> (u32, Trace) {
    despite_lost_traps(|| {
        let mut tracer = Tracer::with_programs(PerfOptions::default(), plans);
        assert_eq!((tracer.engine.name(), tracer.engine.learns()), ("bpf", true));
        tracer.teacher = Some(Teacher::of(program, functions));
        follow_program(program, watches, tracer)
    })
}

/// Compiles a program whose `store` is called once, and then 500 times over, each
/// time that it is told to go on.
fn compile_rounds(name: &str, store: &str) -> PathBuf {
    let main = "
        #include <stdio.h>
        int main(void) {
            char line[8];
            for (int n = 1; ; n = 500) {
                puts(\"ready\"); fflush(stdout);
                if (!fgets(line, 8, stdin)) return 0;
                store(n);
            }
        }";
    compile(name, &format!("{store}{main}"), &[])
}

/// Follows it: the `first` hits are taught, and those of the second round come then.
fn trace_taught(
    program: &Path,
    watches: &[Watch],
    plans: &[Plan],
    first: usize,
) -> Trace {
    despite_lost_traps(|| {
        let mut target = Target::start(program);
        let mut tracer = Tracer::with_programs(PerfOptions::default(), plans);
        tracer.teacher = Some(Teacher::of(program, &["store"]));
        tracer.arm(target.pid(), watches);
        target.go();
        assert_eq!(target.line(), "ready");
        tracer.await_that(|trace| trace.hits.len() == first);
        target.go();
        assert_eq!(target.line(), "ready");
        Some(tracer.finish())
    })
}

pub(crate) const COUNT: &str = "
    volatile unsigned long counter;
    __attribute__((noinline)) void store(unsigned long n) {
        for (unsigned long i = 0; i < n; i++) counter = i / 10;
    }
    int main(void) { store(100000); return 0; }";

#[test]
fn every_store_has_its_value_and_the_one_before() {
    if !runs_programs() {
        return;
    }
    let program = compile("programs_count", COUNT, &[]);
    let watches = [stores_to(&program, "counter")];
    let plans = [plan(ACCESS, None, Reads::NONE)];
    despite_stalls(|| {
        let (pid, trace) = trace(&program, &watches, &plans);
        let disturbed = trace.disturbed(100_000);
        if trace.account.lost > 0 {
            return disturbed;
        }
        let told = check_tenths(pid, &trace);
        // The first drain, which teaches, may be late, too.
        disturbed + u64::from(told <= 10_000)
    });
}

/// Each hit of [`COUNT`] has its value and the one before; of so many it was told.
fn check_tenths(pid: u32, trace: &Trace) -> usize {
    let mut told = 0;
    for (number, hit) in trace.hits.iter().enumerate() {
        let value = number as u64 / 10;
        assert_eq!((hit.watch, hit.pid, hit.tid, hit.kernel), (0, pid, pid, false));
        let last = number.checked_sub(1);
        assert_eq!(hit.at_hit.old, last.map(|last| last as u64 / 10), "{number}");
        // What was left by a hit of which nothing was told was read.
        let read = last.is_some_and(|last| trace.hits[last].at_hit.told.is_none());
        assert_eq!(hit.at_hit.old_read, read, "{number}");
        match hit.at_hit.told {
            Some(it) => {
                assert_eq!((it.new, it.exact, hit.registers), (value, true, 0));
                told += 1;
            }
            None => assert_eq!((hit.at_hit.memory, hit.registers), (Some(value), 17)),
        }
    }
    assert!(trace.ended == [pid] || trace.account.lost_sideband > 0);
    told
}

#[test]
fn what_a_filter_drops_is_counted() {
    if !runs_programs() {
        return;
    }
    let program = compile("programs_change", COUNT, &[]);
    let watches = [stores_to(&program, "counter")];
    let plans = [plan(ACCESS, Some(change()), Reads::NONE)];
    let (_, trace) = trace(&program, &watches, &plans);
    let account = &trace.account;
    assert_eq!(
        (account.lost, account.late, &account.counted[..]),
        (0, 0, &[100_000][..])
    );
    assert_eq!(trace.hits.len() as u64 + account.filtered[0], 100_000);
    assert!(account.filtered[0] > 10_000, "{account:?}");
    // Nothing that changed is missing.
    let values = trace
        .hits
        .iter()
        .filter_map(|hit| hit.at_hit.told.map(|told| told.new).or(hit.at_hit.memory));
    let mut values: Vec<_> = values.collect();
    values.dedup();
    assert!(values.iter().copied().eq(0..10_000));
}

#[test]
fn a_filter_of_nothing_but_the_thread_needs_no_values() {
    if !runs_programs() {
        return;
    }
    let program = compile("programs_thread", COUNT, &[]);
    let watches = [stores_to(&program, "counter")];
    let nobody =
        filter(Does::Input(Input::Tid), Comparison::NotEqual, Does::Input(Input::Pid));
    let plans = [plan(Needs::default(), Some(nobody), Reads::NONE)];
    let (_, trace) = trace(&program, &watches, &plans);
    assert_eq!((trace.hits.len(), &trace.account.filtered[..]), (0, &[100_000][..]));
    assert_eq!(trace.account.lost, 0);
}

/// Two threads store at the same time. What each stored is known, whatever memory
/// held when somebody looked.
#[test]
fn values_of_racing_threads_are_exact() {
    if !runs_programs() {
        return;
    }
    let source = "
        #include <pthread.h>
        volatile unsigned long counter;
        __attribute__((noinline)) void store(unsigned long from) {
            for (unsigned long i = 0; i < 20000; i++) counter = from + i;
        }
        static void *work(void *arg) { store((unsigned long)arg); return 0; }
        int main(void) {
            pthread_t t[4];
            for (long i = 0; i < 4; i++)
                pthread_create(&t[i], 0, work, (void *)((i + 1) << 32));
            for (int i = 0; i < 4; i++) pthread_join(t[i], 0);
            return 0;
        }";
    let program = compile("programs_race", source, &[]);
    let watches = [stores_to(&program, "counter")];
    let plans = [plan(ACCESS, None, Reads::NONE)];
    despite_stalls(|| {
        let (_, trace) = trace(&program, &watches, &plans);
        let disturbed = trace.disturbed(80_000);
        let told = trace.hits.iter().filter(|hit| hit.at_hit.told.is_some());
        let tellers: BTreeSet<_> = told.clone().map(|hit| hit.tid).collect();
        if trace.account.lost > 0 || told.count() <= 20_000 || tellers.len() < 4 {
            // The first drain, which teaches, may be late, too.
            return disturbed.max(1);
        }
        check_race(&trace);
        disturbed
    });
}

fn check_race(trace: &Trace) {
    let mut values = BTreeMap::<u32, Vec<u64>>::new();
    let mut told = 0;
    for hit in &trace.hits {
        let value = hit.at_hit.told.filter(|told| told.exact).map(|told| told.new);
        told += usize::from(value.is_some());
        values.entry(hit.tid).or_default().push(value.unwrap_or(u64::MAX));
    }
    assert!(told > 10_000, "only {told}");
    assert_eq!(values.len(), 4);
    for values in values.values() {
        let base = values.iter().find(|it| **it != u64::MAX).expect("told") >> 32 << 32;
        for (number, value) in values.iter().enumerate() {
            assert!(*value == u64::MAX || *value == base + number as u64, "{value:x}");
        }
    }
    // Before the first is done, as many as there are threads may begin.
    let first = trace.hits.iter().filter(|hit| hit.at_hit.old.is_none()).count();
    assert!((1..=4).contains(&first), "{first}");
    // The shadow passes from one to the next, each value once, but what was read of
    // memory, where another may have stored since.
    let known = trace.hits.iter().filter(|hit| !hit.at_hit.old_read);
    let mut old: Vec<_> = known.filter_map(|hit| hit.at_hit.old).collect();
    assert!(old.len() > 10_000, "only {}", old.len());
    let told = trace.hits.iter().filter_map(|hit| hit.at_hit.told.map(|it| it.new));
    let told: BTreeSet<_> = told.collect();
    old.retain(|old| told.contains(old));
    let unique: BTreeSet<_> = old.iter().collect();
    assert_eq!(unique.len(), old.len());
}

/// Additions are followed in the shadow, and what instructions tell of what was there
/// is taken from them.
#[test]
fn what_is_computed_follows_the_shadow() {
    if !runs_programs() {
        return;
    }
    let source = "
        unsigned long counter = 1000;
        __attribute__((noinline)) void store(int n) {
            for (int i = 0; i < n; i++) {
                unsigned long was = 5;
                __asm__ volatile(\"addq $3, counter\" ::: \"memory\");
                __asm__ volatile(\"subq %0, counter\" :: \"r\"(1L) : \"memory\");
                __asm__ volatile(\"lock incq counter\" ::: \"memory\");
                __asm__ volatile(\"xchgq %0, counter\" : \"+r\"(was) :: \"memory\");
                __asm__ volatile(\"lock cmpxchgq %1, counter\"
                    : \"+a\"(was) : \"r\"(7L) : \"memory\", \"cc\");
                was = 5;
                __asm__ volatile(\"lock cmpxchgq %1, counter\"
                    : \"+a\"(was) : \"r\"(9L) : \"memory\", \"cc\");
                __asm__ volatile(\"orq $64, counter\" ::: \"memory\");
            }
        }
";
    let program = compile_rounds("programs_compute", source);
    let watches = [stores_to(&program, "counter")];
    let plans = [plan(ACCESS, None, Reads::NONE)];
    let trace = trace_taught(&program, &watches, &plans, 7);
    trace.assert_complete(7 + 7 * 500);
    let mut value = 1000u64;
    for (number, hit) in trace.hits.iter().enumerate() {
        let (old, exact) = (value, matches!(number % 7, 4 | 5));
        value = match number % 7 {
            0 => value + 3,
            1 => value - 1,
            2 => value + 1,
            // The accumulator holds then what was there, and memory 5.
            3 | 4 => 5,
            5 => 9,
            _ => value | 64,
        };
        let expected = Some((value, exact, Some(old)));
        let told = hit.at_hit.told.map(|told| (told.new, told.exact, hit.at_hit.old));
        assert!(told == expected || number < 7, "{number} {hit:?}");
    }
}

/// Of a value in one half of a wider one, and of one byte of a register.
#[test]
fn parts_of_operands_are_told() {
    if !runs_programs() {
        return;
    }
    let source = "
        union { unsigned long whole; unsigned int half[2]; unsigned char byte[8]; } u;
        __attribute__((noinline)) void store(int n) {
            for (unsigned long i = 0; i < n; i++) {
                __asm__ volatile(\"movq %0, u\" :: \"r\"(i << 32 | 77) : \"memory\");
                __asm__ volatile(\"movl %0, u+4\" :: \"r\"((int)i) : \"memory\");
                __asm__ volatile(\"movb %%ah, u+4\" :: \"a\"(i << 8) : \"memory\");
            }
        }
";
    let program = compile_rounds("programs_parts", source);
    let whole = stores_to(&program, "u");
    let half = Watch { address: whole.address + 4, length: 4, ..whole };
    let plans = [plan(ACCESS, None, Reads::NONE)];
    let trace = trace_taught(&program, &[half], &plans, 3);
    trace.assert_complete(3 + 3 * 500);
    for (number, hit) in trace.hits.iter().enumerate().skip(3) {
        let told = hit.at_hit.told.map(|told| (told.new, told.exact));
        // The last does not hold all that is watched.
        let value = (number as u64 - 3) / 3;
        assert_eq!(told, (number % 3 != 2).then_some((value, true)), "{number}");
    }
}

/// What the kernel does for a thread is seen with its registers, and the system call.
#[test]
fn the_kernels_stores_have_a_system_call() {
    if !runs_programs() {
        return;
    }
    let source = "
        #include <unistd.h>
        unsigned long word;
        int main(void) {
            int ends[2]; long value = 5;
            return pipe(ends) || write(ends[1], &value, 8) != 8
                || read(ends[0], &word, 8) != 8;
        }";
    let program = compile("programs_kernel_store", source, &[]);
    let watches = [stores_to(&program, "word")];
    for (needs, registers) in [(ACCESS, 0), (Needs::ALL, 17)] {
        let plans = [plan(needs, None, Reads::NONE)];
        let (_, trace) = trace_functions(&program, &watches, &plans, &[]);
        assert!(!trace.hits.is_empty() && trace.account.lost == 0);
        for hit in &trace.hits {
            assert!(hit.kernel && hit.ip >> 63 == 1);
            // read(2)
            assert_eq!(hit.syscall, Some(0));
            assert_eq!((hit.registers, hit.interrupted), (registers, 17));
        }
        let last = trace.hits.last().and_then(|hit| hit.at_hit.memory);
        assert_eq!(last, Some(5));
    }
}

#[test]
fn memory_is_read_at_the_hit() {
    if !runs_programs() {
        return;
    }
    let source = "
        struct node { long number; short small; char name[40]; } node;
        struct node *volatile place = &node;
        volatile unsigned long counter;
        __attribute__((noinline)) void store(void) {
            for (int i = 0; i < 1000; i++) {
                place->number = -i;
                place->small = -2;
                __builtin_memset(place->name, 'a' + i % 26, i % 40);
                place->name[i % 40] = 0;
                counter = i;
                place->number = 99;
            }
        }
        int main(void) { store(); return 0; }";
    let program = compile("programs_reads", source, &[]);
    let watches = [stores_to(&program, "counter")];
    let place = stores_to(&program, "place").address;
    let user = |size, signed| Load { size, signed, space: Space::User };
    let step = |to, does| Step { to: Slot(to), does };
    let steps = vec![
        step(0, Does::Constant(place as i64)),
        step(1, Does::Load { address: Slot(0), load: user(8, false), keep: true }),
        step(2, Does::Load { address: Slot(1), load: user(8, true), keep: true }),
        step(3, Does::Constant(10)),
        step(3, Does::Binary(Binary::Add, Slot(1), Slot(3))),
        step(
            4,
            Does::Keep { address: Slot(3), bytes: 38, text: true, space: Space::User },
        ),
        step(
            4,
            Does::Keep { address: Slot(1), bytes: 10, text: false, space: Space::User },
        ),
        // Nothing is there.
        step(5, Does::Load { address: Slot(9), load: user(4, false), keep: true }),
        step(
            5,
            Does::Keep { address: Slot(9), bytes: 8, text: true, space: Space::User },
        ),
    ];
    let plans = [plan(ACCESS, None, Reads { slots: 10, steps })];
    let (_, trace) = trace(&program, &watches, &plans);
    trace.assert_complete(1000);
    let node = stores_to(&program, "node").address;
    for (number, words) in trace.captured.iter().enumerate() {
        let captured = Captured { words };
        let entries: Vec<_> = captured.entries().collect();
        let [pointer, value, name, both, nothing, no_text] = entries[..] else {
            panic!("{} entries", entries.len());
        };
        assert_eq!(pointer, (place, &node.to_le_bytes()[..]));
        let expected = (-(number as i64)).to_le_bytes();
        assert_eq!(value, (node, &expected[..]));
        let letter = b'a' + (number % 26) as u8;
        let length = number % 40;
        let mut text = vec![letter; length.min(37)];
        text.extend((length < 37).then_some(0));
        assert_eq!(name, (node + 10, &text[..]));
        assert_eq!(both.1, [&expected[..], &(-2i16).to_le_bytes()].concat());
        assert_eq!((nothing, no_text), ((0, &[][..]), (0, &[][..])));
    }
}

/// Where loads are reported, too, the program must not load what is watched: it would
/// be a hit.
#[test]
fn what_is_watched_for_loads_is_not_read() {
    if !runs_programs() {
        return;
    }
    let source = "
        volatile unsigned long counter, sum;
        __attribute__((noinline)) void store(int n) {
            for (unsigned long i = 0; i < n; i++) { counter = i; sum += counter; }
        }";
    let program = compile_rounds("programs_loads", source);
    let counter = stores_to(&program, "counter");
    let watches = [Watch { trigger: Trigger::ReadWrite, ..counter }];
    let own = |offset: i64| {
        let address = Does::Constant(counter.address as i64 + offset);
        let load = Load { size: 8, signed: false, space: Space::User };
        let load = Does::Load { address: Slot(0), load, keep: true };
        let keep =
            Does::Keep { address: Slot(0), bytes: 8, text: false, space: Space::User };
        [address, load, keep].map(|does| Step { to: Slot(0), does })
    };
    // The keep is at what the load gave.
    let steps = [-7, 0, 7].map(own).concat();
    let plans = [plan(ACCESS, None, Reads { slots: 1, steps })];
    let trace = trace_taught(&program, &watches, &plans, 2);
    trace.assert_complete(2 + 2 * 500);
    for (number, hit) in trace.hits.iter().enumerate().skip(2) {
        let told = hit.at_hit.told.map(|it| (it.new, it.kind, it.exact));
        let kind = if number % 2 == 0 { AccessKind::Write } else { AccessKind::Read };
        assert_eq!(told, Some(((number as u64 - 2) / 2, kind, true)), "{number}");
    }
}

#[test]
fn what_was_expected_is_the_first_old_value_and_a_move_changes_it() {
    if !runs_programs() {
        return;
    }
    let source = "
        #include <stdio.h>
        volatile unsigned long counter = 40, other = 50;
        __attribute__((noinline)) void store(void) {
            for (int i = 0; i < 10; i++) { counter = 41 + i; other = 51 + i; }
        }
        int main(void) {
            char line[8];
            puts(\"ready\"); fflush(stdout);
            while (fgets(line, 8, stdin)) { store(); puts(\"ready\"); fflush(stdout); }
            return 0;
        }";
    let program = compile("programs_moves", source, &[]);
    let (counter, other) = (stores_to(&program, "counter"), stores_to(&program, "other"));
    despite_lost_traps(|| {
        let mut target = Target::start(&program);
        let pid = target.pid();
        let plans = [plan(ACCESS, None, Reads::NONE)];
        let mut tracer = Tracer::with_programs(PerfOptions::default(), &plans);
        tracer.teacher = Some(Teacher::of(&program, &["store"]));
        tracer.engine.tell(Whose::Process(pid), 0, 40);
        tracer.arm(pid, &[counter]);
        target.go();
        assert_eq!(target.line(), "ready");
        tracer.await_that(|trace| trace.hits.len() == 10);
        tracer.engine.tell(Whose::Process(pid), 0, 60);
        tracer.engine.retarget(pid, 0, Some(other.address)).expect("moved");
        target.go();
        assert_eq!(target.line(), "ready");
        tracer.await_that(|trace| trace.hits.len() == 20);
        tracer.engine.switch(0, false).expect("off");
        target.go();
        assert_eq!(target.line(), "ready");
        tracer.engine.switch(0, true).expect("on");
        target.go();
        assert_eq!(target.line(), "ready");
        let trace = tracer.finish();
        trace.assert_complete(30);
        let old: Vec<_> = trace.hits.iter().map(|hit| hit.at_hit.old).collect();
        assert_eq!((old[0], old[1], old[9]), (Some(40), Some(41), Some(49)));
        assert_eq!((old[10], old[11], old[19]), (Some(60), Some(51), Some(59)));
        assert_eq!((old[20], old[21]), (None, Some(51)), "it was off");
        Some(())
    });
}
