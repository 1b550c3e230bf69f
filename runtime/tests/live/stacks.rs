//! Stacks at hits, with either engine.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use hwtrace_runtime::bpf::hit::Insight;
use hwtrace_runtime::engine::perf::{PerfEngine, PerfOptions};
use hwtrace_runtime::engine::{Account, Engine, Flow};
use hwtrace_runtime::event::{Event, RawHit, Trigger, Watch};
use hwtrace_runtime::kernel::Kernel;
use hwtrace_runtime::kernel::linux::Linux;
use hwtrace_runtime::plan::{Needs, Plan, StackCapture};

use crate::common::{Target, compile, despite_lost_traps, is_live, stores_to, symbol};
use crate::programs::runs_programs;
use crate::types;

/// By perf's numbers.
const STACK_POINTER: u32 = 7;
const INSTRUCTION_POINTER: u32 = 8;

/// What takes the hits.
#[derive(Clone, Copy, Debug)]
enum Way {
    Samples,
    Programs,
    /// They read memory by way of the direct mapping.
    Walking(Insight),
}

/// The ways that there are here.
fn engines() -> impl Iterator<Item = Way> {
    let programs = is_live() && runs_programs();
    let kernel: Rc<dyn Kernel> = Rc::new(Linux);
    let walking = programs.then(|| types::insight(&kernel)).flatten().map(Way::Walking);
    let ways = [Some(Way::Samples), programs.then_some(Way::Programs), walking];
    ways.into_iter().flatten().filter(|_| is_live())
}

fn plan(callers: bool, bytes: u32, kernel_stack: bool) -> Plan {
    let user_stack = callers || bytes > 0;
    let stack = StackCapture { callers, bytes };
    Plan {
        needs: Needs { user_stack, kernel_stack, ..Needs::NONE },
        stack,
        ..Plan::default()
    }
}

/// A hit with its stacks.
#[derive(Debug, Default)]
struct Stacked {
    ip: u64,
    kernel: bool,
    stack_pointer: u64,
    instruction_pointer: u64,
    callers: Vec<u64>,
    bytes: Vec<u8>,
    kernel_stack: Vec<u64>,
}

impl Stacked {
    fn of(hit: &RawHit<'_>) -> Self {
        let register = |number| hit.registers.get(number).unwrap_or_default();
        Self {
            ip: hit.ip,
            kernel: hit.kernel,
            stack_pointer: register(STACK_POINTER),
            instruction_pointer: register(INSTRUCTION_POINTER),
            callers: hit.user_stack.callers.to_vec(),
            bytes: hit.user_stack.bytes.to_vec(),
            kernel_stack: hit.kernel_stack.to_vec(),
        }
    }

    /// The word at an address on the stack.
    fn word(&self, address: u64) -> Option<u64> {
        let at = address.checked_sub(self.stack_pointer)? as usize;
        let bytes = self.bytes.get(at..at + 8)?;
        Some(u64::from_ne_bytes(bytes.try_into().expect("eight")))
    }
}

/// Follows a target that is ready from where it is told to go on to its end.
fn follow(
    way: Way,
    mut target: Target,
    watch: Watch,
    plan: &Plan,
    each: &mut dyn FnMut(&RawHit<'_>),
) -> Option<Account> {
    let kernel = Rc::new(Linux);
    let mut options = PerfOptions::default();
    let mut engine = match way {
        Way::Samples => PerfEngine::new(kernel, options),
        Way::Programs => PerfEngine::with_programs(kernel, options),
        Way::Walking(insight) => {
            options.insight = insight;
            PerfEngine::with_programs(kernel, options)
        }
    };
    engine.set_plans(std::slice::from_ref(plan));
    engine.arm(target.pid(), &[watch]).expect("armed");
    target.go();
    let mut drain = |engine: &mut PerfEngine, all| {
        let drained = engine.drain(all, &mut |event| {
            if let Event::Hit(hit) = event {
                each(&hit);
            }
            Flow::Continue
        });
        drained.expect("good records");
    };
    let status = loop {
        drain(&mut engine, false);
        if let Some(status) = target.child.try_wait().expect("our child") {
            break status;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    };
    engine.disarm();
    drain(&mut engine, true);
    use std::os::unix::process::ExitStatusExt;
    if status.signal() == Some(libc::SIGTRAP) {
        return None;
    }
    assert!(status.success(), "{status}");
    Some(engine.account())
}

/// All hits of a program, none of which is lost; with the numbers that it says it has.
fn hits(
    way: Way,
    program: &Path,
    watch: impl Fn(&[u64]) -> Watch,
    plan: &Plan,
) -> (Vec<u64>, Vec<Stacked>) {
    despite_lost_traps(|| {
        let mut target = Target::start(program);
        let line = target.line();
        let numbers: Vec<u64> =
            line.split(' ').map(|word| word.parse().expect("a number")).collect();
        let mut hits = Vec::new();
        let each = &mut |hit: &RawHit<'_>| hits.push(Stacked::of(hit));
        let account = follow(way, target, watch(&numbers), plan, each)?;
        assert_eq!((account.lost, account.counted[0]), (0, hits.len() as u64));
        Some((numbers, hits))
    })
}

/// What the programs have in common: `inner` is called by `middle`, by `outer`, by
/// `main`, on whose stack there is a pattern. It says where that is.
fn compile_calls(name: &str, inner: &str) -> PathBuf {
    let source = format!(
        "
        #include <stdio.h>
        #include <unistd.h>
        volatile unsigned long counter;
        int ends[2];
        {inner}
        __attribute__((noinline)) void middle(long n) {{ inner(n + 1); counter; }}
        __attribute__((noinline)) void outer(long n) {{ middle(n * 2); ends[0]++; }}
        int main(void) {{
            volatile unsigned long pattern[1024];
            char line[8];
            for (int i = 0; i < 1024; i++) pattern[i] = 0xfeed0000ul + i;
            pipe(ends);
            printf(\"ready\\n%lu\\n\", (unsigned long)pattern); fflush(stdout);
            if (!fgets(line, 8, stdin)) return 1;
            for (int i = 0; i < 20; i++) {{ int end = ends[0]; outer(i); ends[0] = end; }}
            return 0;
        }}"
    );
    compile(name, &source, &FLAGS)
}

/// With frame pointers in all functions that call others.
const FLAGS: [&str; 2] = ["-fno-omit-frame-pointer", "-fno-optimize-sibling-calls"];

const STORE: &str = "
    __attribute__((noinline)) void leaf(void) { asm volatile(\"\"); }
    __attribute__((noinline)) void inner(unsigned long n) { counter = n; leaf(); }";

fn range(program: &Path, function: &str) -> Range<u64> {
    let (start, size) = symbol(program, function);
    start..start + size + 1
}

/// Where the functions are by way of which `inner` is called.
fn way(program: &Path) -> [Range<u64>; 4] {
    ["inner", "middle", "outer", "main"].map(|function| range(program, function))
}

fn assert_way(callers: &[u64], way: &[Range<u64>]) {
    assert!(callers.len() >= way.len(), "{callers:x?}");
    let mut calls = way.iter().zip(callers);
    assert!(calls.all(|(function, call)| function.contains(call)), "{callers:x?}");
}

#[test]
fn callers_are_the_functions_that_called() {
    for engine in engines() {
        let program = compile_calls("stacks_callers", STORE);
        let watch = |_: &[u64]| stores_to(&program, "counter");
        let (_, hits) = hits(engine, &program, watch, &plan(true, 0, true));
        assert_eq!(hits.len(), 20);
        let way = way(&program);
        for hit in &hits {
            assert_way(&hit.callers, &way);
            assert_eq!((hit.callers[0], hit.instruction_pointer), (hit.ip, hit.ip));
            assert_eq!((hit.bytes.len(), hit.kernel_stack.len()), (0, 0));
        }
    }
}

#[test]
fn bytes_are_those_of_the_stack() {
    for engine in engines() {
        let program = compile_calls("stacks_bytes", STORE);
        let middle = range(&program, "middle");
        let watch = |_: &[u64]| stores_to(&program, "counter");
        for asked in [4096, 1024, 24, StackCapture::BYTES_MAX] {
            let plan = plan(false, asked, false);
            let (numbers, hits) = hits(engine, &program, watch, &plan);
            assert_eq!(hits.len(), 20);
            for hit in &hits {
                assert!(hit.callers.is_empty());
                assert_eq!(hit.instruction_pointer, hit.ip);
                let there = hit.bytes.len();
                let end = hit.stack_pointer + there as u64;
                if asked == StackCapture::BYTES_MAX {
                    // All that there is, to the end of the mapping.
                    assert!(there > 8192 && there < asked as usize, "{there}");
                    assert!(end.is_multiple_of(4096), "{end:x}");
                } else {
                    assert_eq!(there, asked as usize);
                }
                // Where `inner` returns to, beneath the caller's frame pointer.
                let returns = hit.word(hit.stack_pointer + 8).expect("two words");
                assert!(middle.contains(&returns), "{returns:x}");
                for index in (0..64).filter(|_| asked >= 1024) {
                    let word = hit.word(numbers[0] + index * 8);
                    assert_eq!(word, Some(0xfeed_0000 + index), "{index}");
                }
            }
        }
    }
}

#[test]
fn hits_in_the_kernel_have_both_stacks() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let read = "
        __attribute__((noinline)) void inner(unsigned long n) {
            long got;
            write(ends[1], &n, 8);
            asm volatile(\"syscall\\nafter: .globl after\" : \"=a\"(got)
                : \"0\"(0), \"D\"(ends[0]), \"S\"(&counter), \"d\"(8)
                : \"rcx\", \"r11\", \"memory\");
        }";
    let symbols = std::fs::read_to_string("/proc/kallsyms").expect("/proc");
    for engine in engines() {
        let program = compile_calls("stacks_kernel", read);
        let (after, way) = (after(&program), way(&program));
        let watch = |_: &[u64]| stores_to(&program, "counter");
        let (numbers, hits) = hits(engine, &program, watch, &plan(true, 4096, true));
        // A byte at a time.
        assert_eq!(hits.len(), 160);
        for hit in &hits {
            assert!(hit.kernel && hit.ip >> 63 == 1);
            assert_eq!((hit.callers[0], hit.instruction_pointer), (after, after));
            assert_way(&hit.callers, &way);
            assert_eq!(hit.word(numbers[0] + 40), Some(0xfeed_0005));
            assert!(hit.kernel_stack.len() > 3, "{:x?}", hit.kernel_stack);
            assert!(hit.kernel_stack.iter().all(|call| call >> 63 == 1));
            assert_eq!(hit.kernel_stack[0], hit.ip);
        }
        let first = &hits[0].kernel_stack;
        match function(&symbols, "vfs_read") {
            Some(read) => assert!(first.iter().any(|it| read.contains(it)), "{first:x?}"),
            None => eprintln!("SKIPPED: the kernel's addresses are hidden"),
        }
    }
}

fn after(program: &Path) -> u64 {
    let output = std::process::Command::new("nm").arg(program).output().expect("nm");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|line| line.ends_with(" after")).expect("a label");
    u64::from_str_radix(line.split(' ').next().expect("a word"), 16).expect("a number")
}

/// Where a function of the kernel is, up to the next; none where that is hidden.
fn function(symbols: &str, name: &str) -> Option<Range<u64>> {
    let mut starts: Vec<(u64, &str)> = symbols
        .lines()
        .filter(|line| line.contains(" t ") || line.contains(" T "))
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let start = u64::from_str_radix(words.next()?, 16).ok()?;
            Some((start, words.nth(1)?))
        })
        .collect();
    starts.sort_unstable();
    let at = starts.iter().position(|it| it.1 == name)?;
    let start = starts[at].0;
    let next = starts[at..].iter().find(|it| it.0 > start)?;
    Some(start..next.0)
}

#[test]
fn a_deep_stack_is_cut_where_it_is_said_to_be() {
    let deep = "
        __attribute__((noinline)) void deep(int left) {
            volatile char pad[64];
            pad[0] = 1;
            if (left > 0) deep(left - 1); else counter = left;
            pad[0] = 0;
        }
        __attribute__((noinline)) void inner(unsigned long n) { deep(2000); }";
    for engine in engines() {
        let program = compile_calls("stacks_deep", deep);
        let watch = |_: &[u64]| stores_to(&program, "counter");
        let all_deep = range(&program, "deep");
        for bytes in [16384, 12296] {
            let plan = plan(true, bytes, false);
            let (_, hits) = hits(engine, &program, watch, &plan);
            assert_eq!(hits.len(), 20);
            for hit in hits {
                assert_eq!(hit.bytes.len(), bytes as usize);
                // kernel.perf_event_max_stack
                assert_eq!(hit.callers.len(), 127);
                assert!(hit.callers.iter().all(|call| all_deep.contains(call)));
            }
        }
    }
}

/// Loads that are reported are those of the program, and not those of who reads its
/// stack for us.
#[test]
fn the_watched_bytes_are_not_read_where_that_would_be_a_hit() {
    let pattern = |numbers: &[u64]| Watch {
        address: numbers[0],
        length: 8,
        trigger: Trigger::ReadWrite,
    };
    for engine in engines().filter(|it| !matches!(it, Way::Samples)) {
        let reads = compile_reads("stacks_reads");
        let (numbers, hits) = hits(engine, &reads, pattern, &plan(true, 4096, false));
        // What uses that part of the stack when `main` has returned hits, too.
        assert!(hits.iter().all(|hit| !hit.kernel));
        let load = range(&reads, "load");
        let of_load = |hit: &&Stacked| load.contains(&hit.ip);
        assert_eq!(hits.iter().filter(of_load).count(), 20);
        for hit in hits.iter().filter(of_load) {
            let before = numbers[0] - hit.stack_pointer;
            match engine {
                Way::Walking(_) => assert!(hit.bytes.len() as u64 > before + 8),
                _ => assert_eq!(hit.bytes.len() as u64, before),
            }
        }
    }
}

/// A frame that nobody has written to yet hides nothing of the callers above it.
#[test]
fn pages_that_nobody_has_touched_are_zeros() {
    let untouched = "
        __attribute__((noinline)) void inner(unsigned long n) {
            char buffer[40000];
            asm volatile(\"\" : : \"r\"(buffer) : \"memory\");
            counter = n;
            asm volatile(\"\" : : : \"memory\");
        }";
    for engine in engines().filter(|it| matches!(it, Way::Walking(_))) {
        let program = compile_calls("stacks_untouched", untouched);
        let watch = |_: &[u64]| stores_to(&program, "counter");
        let plan = plan(true, StackCapture::BYTES_MAX, false);
        let (numbers, hits) = hits(engine, &program, watch, &plan);
        assert_eq!(hits.len(), 20);
        for hit in hits {
            assert_way(&hit.callers, &way(&program));
            assert_eq!(hit.word(hit.stack_pointer), Some(0));
            for number in [0, 5, 1023] {
                let word = hit.word(numbers[0] + number * 8);
                assert_eq!(word, Some(0xfeed_0000 + number));
            }
        }
    }
}

/// Where the bytes of another watch may be on the stack, it is not read by its own
/// address.
#[test]
fn stacks_are_left_alone_where_reading_them_could_be_a_hit() {
    for engine in engines().filter(|it| !matches!(it, Way::Samples)) {
        let program = compile_calls("stacks_blind", STORE);
        let watch = |_: &[u64]| stores_to(&program, "counter");
        let blind = Plan { blind: true, ..plan(true, 4096, false) };
        let (_, hits) = hits(engine, &program, watch, &blind);
        for hit in &hits {
            match engine {
                Way::Walking(_) => {
                    assert_way(&hit.callers, &way(&program));
                    assert_eq!(hit.bytes.len(), 4096);
                }
                _ => assert_eq!((&hit.callers[..], hit.bytes.len()), (&[hit.ip][..], 0)),
            }
        }
        assert_eq!(hits.len(), 20);
    }
}

/// Loads a word on the stack of `main`.
fn compile_reads(name: &str) -> PathBuf {
    let source = "
        #include <stdio.h>
        __attribute__((noinline)) void load(volatile unsigned long *from) { *from; }
        int main(void) {
            volatile unsigned long local[32];
            char line[8];
            printf(\"ready\\n%lu\\n\", (unsigned long)&local[16]); fflush(stdout);
            if (!fgets(line, 8, stdin)) return 1;
            for (int i = 0; i < 20; i++) load(&local[16]);
            return 0;
        }";
    compile(name, source, &["-fno-omit-frame-pointer"])
}

#[test]
fn of_many_threads_with_large_stacks_every_hit_comes_or_is_known_to_be_lost() {
    let source = "
        #include <pthread.h>
        #include <stdio.h>
        volatile unsigned long counter;
        __attribute__((noinline)) static void store(int left, int n) {
            volatile char pad[256];
            if (left > 0) store(left - 1, n); else counter = n;
            pad[0] = 0;
        }
        static void *work(void *arg) {
            for (int i = 0; i < 25000; i++) store(70, i);
            return arg;
        }
        int main(void) {
            char line[8];
            pthread_t t[4];
            puts(\"ready\"); fflush(stdout);
            if (!fgets(line, 8, stdin)) return 1;
            for (int i = 0; i < 4; i++) pthread_create(&t[i], 0, work, 0);
            for (int i = 0; i < 4; i++) pthread_join(t[i], 0);
            return 0;
        }";
    for engine in engines() {
        let program = compile("stacks_threads", source, &["-fno-omit-frame-pointer"]);
        let watch = stores_to(&program, "counter");
        let (whole, account) = despite_lost_traps(|| {
            let mut whole = 0;
            let each = &mut |hit: &RawHit<'_>| {
                assert_eq!(hit.user_stack.bytes.len(), 16384);
                whole += 1;
            };
            let target = Target::start(&program);
            let plan = plan(false, 16384, false);
            follow(engine, target, watch, &plan, each).map(|account| (whole, account))
        });
        assert_eq!(account.counted, [100_000]);
        assert_eq!(whole + account.lost, 100_000, "{account:?}");
        eprintln!("{engine:?}: {} of 100000 lost", account.lost);
    }
}
