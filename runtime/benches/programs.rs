//! What a hit costs the target where a program is run at it, against plain counting
//! of the same stores. The ways take turns in one run, so that noise meets all alike.
//! Nobody drains meanwhile: rings are large enough for a round. The program stores on top
//! of so many calls that stacks are as long as those of usual programs.
#![allow(missing_docs, unsafe_code, clippy::unwrap_used)]

#[path = "../tests/types/mod.rs"]
mod types;

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::rc::Rc;

use hwtrace_runtime::bpf::hit::Insight;
use hwtrace_runtime::engine::perf::{PerfEngine, PerfOptions};
use hwtrace_runtime::engine::{Engine, Flow};
use hwtrace_runtime::event::{Event, Trigger, Watch};
use hwtrace_runtime::kernel::Kernel;
use hwtrace_runtime::kernel::linux::Linux;
use hwtrace_runtime::plan::{
    Block, Comparison, Does, Filter, Input, Lesson, Linear, Needs, Next, Plan, Rule,
    RuleValue, Slot, StackCapture, Step,
};
use hwtrace_runtime::schema::AccessKind;
use perf_event_open_sys::{bindings as sys, perf_event_open};

const ACCESS: Needs = Needs { access: true, ..Needs::NONE };

/// A way to trace.
struct Way {
    name: &'static str,
    /// Whether programs are run, or samples made.
    programs: bool,
    plan: Plan,
    taught: bool,
}

/// Calls on whose top it stores, with a KiB of the stack each.
const DEPTH: &str = "20";
/// As many hits with the longest stacks have room in a ring.
const STORES_WITH_STACKS: u64 = 2_000;

fn ways() -> Vec<Way> {
    let plan = |needs, filter| Plan { needs, filter, ..Plan::default() };
    let program = |name, plan, taught| Way { name, programs: true, plan, taught };
    let everything = plan(Needs::ALL, None);
    let mut ways = vec![
        Way { name: "perf samples", programs: false, plan: everything, taught: false },
        program("a record and nothing in it", plan(Needs::default(), None), false),
        program("told by the instruction", plan(ACCESS, None), true),
        program("told, and dropped", plan(ACCESS, Some(dropping())), true),
        program("not told: memory and registers", plan(ACCESS, None), false),
        program("told, with registers", plan(Needs::ALL, None), true),
    ];
    for (name, programs, callers, bytes) in [
        ("callers", true, true, 0),
        ("callers and 512 bytes of stack", true, true, 512),
        ("4 KiB of stack", true, false, 4 << 10),
        ("8 KiB of stack", true, false, 8 << 10),
        ("16 KiB of stack", true, false, 16 << 10),
        ("perf samples, callers", false, true, 0),
        ("perf samples, 8 KiB of stack", false, false, 8 << 10),
        ("perf samples, 16 KiB of stack", false, false, 16 << 10),
    ] {
        let needs = Needs { user_stack: true, ..ACCESS };
        let stack = StackCapture { callers, bytes };
        let plan = Plan { needs, stack, ..Plan::default() };
        ways.push(Way { name, programs, plan, taught: programs });
    }
    ways
}

/// Passes what can not be: values that did not change.
fn dropping() -> Filter {
    let step = |to, does| Step { to: Slot(to), does };
    let steps = vec![
        step(0, Does::Input(Input::Old)),
        step(1, Does::Input(Input::New)),
        step(2, Does::Compare(Comparison::Equal, Slot(0), Slot(1))),
    ];
    let end = |next| Block { steps: Vec::new(), next };
    let first = Block { steps, next: Next::Choose(Slot(2), 1, 2) };
    Filter { slots: 3, blocks: vec![first, end(Next::Pass), end(Next::Drop)] }
}

/// The measured program: stores as often as it is told, and says how long it took.
struct Loop {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    counter: u64,
    /// What is known of the kernel where stacks are read.
    insight: Option<Insight>,
}

impl Loop {
    fn start() -> Self {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../benches/support/loop.c");
        let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("programs-loop");
        let mut cc = Command::new("cc");
        let status = cc
            .args(["-O2", "-fno-omit-frame-pointer", "-no-pie", "-o"])
            .arg(&program)
            .arg(source)
            .status();
        assert!(status.unwrap().success(), "cc failed");
        let symbols = Command::new("nm").arg(&program).output().unwrap().stdout;
        let symbols = String::from_utf8(symbols).unwrap();
        let line = symbols.lines().find(|line| line.ends_with(" counter")).unwrap();
        let counter = u64::from_str_radix(line.split(' ').next().unwrap(), 16).unwrap();
        let mut command = Command::new(&program);
        command.arg(DEPTH);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut String::new()).unwrap();
        let kernel: Rc<dyn Kernel> = Rc::new(Linux);
        Self { child, input, output, counter, insight: types::insight(&kernel) }
    }

    /// Nanoseconds of CPU time of a store.
    fn store(&mut self, times: u64) -> f64 {
        writeln!(self.input, "{times} 0").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let (cpu, _) = line.split_once(' ').unwrap();
        cpu.parse::<f64>().unwrap() / times as f64
    }

    fn watch(&self) -> Watch {
        Watch { address: self.counter, length: 8, trigger: Trigger::Write }
    }

    fn armed(&self, way: &Way) -> PerfEngine {
        let kernel: Rc<dyn Kernel> = Rc::new(Linux);
        let insight = self.insight.filter(|_| way.plan.needs.user_stack);
        let insight = insight.unwrap_or_default();
        let options = PerfOptions { insight, ..PerfOptions::default() };
        let mut engine = match way.programs {
            true => PerfEngine::with_programs(kernel, options),
            false => PerfEngine::new(kernel, options),
        };
        engine.set_plans(std::slice::from_ref(&way.plan));
        engine.arm(self.child.id(), &[self.watch()]).unwrap();
        engine
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// What the loop's only store does, as a decoder would say: the register that a few
/// hits show to hold the value.
fn lesson(engine: &mut PerfEngine, target: &mut Loop) -> Lesson {
    target.store(10);
    std::thread::sleep(std::time::Duration::from_millis(5));
    let mut found = None;
    let drained = engine.drain(false, &mut |event| {
        if let Event::Hit(hit) = event {
            let value = hit.at_hit.memory.unwrap_or_default();
            let holds = |number: &u8| hit.registers.get((*number).into()) == Some(value);
            let held = [0, 1, 2, 3, 4, 5, 16, 17, 18, 19].iter().find(|it| holds(it));
            found = held.map(|number| (hit.pid, hit.ip, *number)).or(found);
        }
        Flow::Continue
    });
    drained.unwrap();
    let (pid, ip, number) = found.unwrap();
    let place =
        Linear { base: None, index: None, scale: 1, displacement: target.counter };
    let rule = Rule {
        instruction: ip - 7,
        kind: AccessKind::Write,
        size: 8,
        place,
        value: RuleValue::Register(number, 0),
    };
    Lesson { pid, ip, rule }
}

fn main() {
    let trying = !std::env::args().any(|argument| argument == "--bench");
    let (rounds, stores) = if trying { (1, 100) } else { (15, 20_000) };
    let kernel: Rc<dyn Kernel> = Rc::new(Linux);
    if let Err(error) = hwtrace_runtime::engine::bpf::probe(&kernel) {
        println!("SKIPPED: {error}");
        return;
    }
    let ways = ways();
    let mut target = Loop::start();
    let (mut counting, mut ratios) = (Vec::new(), vec![Vec::new(); ways.len()]);
    for _ in 0..rounds {
        let plain = count(&mut target, stores);
        counting.push(plain);
        for (way, ratios) in ways.iter().zip(&mut ratios) {
            let mut engine = target.armed(way);
            if way.taught {
                let lesson = lesson(&mut engine, &mut target);
                engine.teach(&lesson);
            }
            let most =
                if way.plan.needs.user_stack { STORES_WITH_STACKS } else { stores };
            let stores = stores.min(most);
            ratios.push(target.store(stores) / plain);
            engine.disarm();
            let mut hits = 0;
            engine
                .drain(true, &mut |event| {
                    hits += u64::from(matches!(event, Event::Hit(_)));
                    Flow::Continue
                })
                .unwrap();
            assert_eq!(engine.account().lost, 0, "{}", way.name);
            assert!(hits == 0 || hits >= stores || way.name.contains("dropped"));
        }
    }
    println!("cost of a hit to the target, median of {rounds} rounds of {stores} stores");
    println!("  {:<34} {:>8.0} ns  1.000", "plain perf counting", median(counting));
    for (way, ratios) in ways.iter().zip(ratios) {
        println!("  {:<34} {:>8}     {:.3}", way.name, "", median(ratios));
    }
}

/// What a store costs that is counted and nothing else.
fn count(target: &mut Loop, stores: u64) -> f64 {
    let mut attr = sys::perf_event_attr {
        type_: sys::PERF_TYPE_BREAKPOINT,
        size: size_of::<sys::perf_event_attr>() as u32,
        bp_type: sys::HW_BREAKPOINT_W,
        ..Default::default()
    };
    attr.__bindgen_anon_3.bp_addr = target.counter;
    attr.__bindgen_anon_4.bp_len = 8;
    attr.set_exclude_kernel(1);
    attr.set_exclude_hv(1);
    let pid = target.child.id() as i32;
    // SAFETY: the attributes are filled in and live until the call returns.
    let event = unsafe { perf_event_open(&mut attr, pid, -1, -1, 0) };
    assert!(event >= 0, "{}", std::io::Error::last_os_error());
    let cost = target.store(stores);
    Linux.close(event);
    cost
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
