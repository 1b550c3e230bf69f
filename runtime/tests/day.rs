//! A day of taking turns on the fake kernel, where calls fail at random: whatever fails, no
//! hit is of another watch than had the register, none is lost that should have come, and
//! times add up.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use hwtrace_runtime::engine::perf::{PerfEngine, PerfOptions};
use hwtrace_runtime::engine::{Engine, Flow, Turn};
use hwtrace_runtime::event::{Event, Trigger, Watch};
use hwtrace_runtime::kernel::fake::{Access, Call, Fake, Holdings};
use hwtrace_runtime::kernel::{Errno, Kernel};
use hwtrace_runtime::slots::coverage::Coverage;
use hwtrace_runtime::slots::turns::{Seat, Turns};
use hwtrace_runtime::slots::{Scope, Slots};

const PID: u32 = 10;
const THREADS: [u32; 2] = [PID, 11];
const CPUS: u32 = 2;
const WATCHES: usize = 12;
const PINNED: usize = 1;
const REGISTERS: usize = 4;
const SECOND: u64 = 1_000_000_000;
const DAY: u64 = 24 * 60 * 60 * SECOND;
/// Hits say in their instruction pointer which watch they are of.
const CODE: u64 = 0x400000;

/// Numbers that look like chance, and are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn address(watch: usize) -> u64 {
    0x1000 + 8 * watch as u64
}

/// All that goes on.
struct Day {
    fake: Rc<Fake>,
    engine: PerfEngine,
    turns: Turns,
    coverage: Coverage,
    random: Random,
    now: u64,
    /// Accesses that are to be told of, and that were.
    due: BTreeSet<(u64, usize)>,
    told: BTreeSet<(u64, usize)>,
    /// Whether something failed in this turn: then hits may be missing.
    failing: bool,
    /// In how many turns something did.
    failures: u64,
}

impl Day {
    fn new() -> Self {
        let fake = Rc::new(Fake::new(CPUS, &THREADS));
        let kernel: Rc<dyn Kernel> = fake.clone();
        let mut engine = PerfEngine::new(kernel, PerfOptions::default());
        let seat =
            |watch| Seat { pinned: watch < PINNED, weight: 1, scope: Scope::Tasks };
        let seats: Vec<_> = (0..WATCHES).map(seat).collect();
        let turns = Turns::new(&seats, Slots { tasks: REGISTERS - PINNED, kernel: 0 }, 5);
        let first = turns.carried().iter().enumerate().map(|(watch, carried)| {
            match (watch < PINNED, carried) {
                (true, _) => Turn::Stays,
                (_, true) => Turn::Has,
                _ => Turn::Waits,
            }
        });
        engine.set_turns(&first.collect::<Vec<_>>());
        let watch = |number| Watch {
            address: address(number),
            length: 8,
            trigger: if number % 2 == 0 { Trigger::Write } else { Trigger::ReadWrite },
        };
        fake.set_clock(SECOND);
        let watches: Vec<_> = (0..WATCHES).map(watch).collect();
        engine.arm(PID, &watches).expect("armed");
        let mut coverage = Coverage::new(WATCHES);
        for watch in 0..WATCHES {
            coverage.want(watch, true, SECOND);
            coverage.turn(watch, turns.carried()[watch], SECOND);
        }
        let random = Random(88_172_645_463_325_252);
        let (due, told) = (BTreeSet::new(), BTreeSet::new());
        let now = SECOND;
        Self {
            fake,
            engine,
            turns,
            coverage,
            random,
            now,
            due,
            told,
            failing: false,
            failures: 0,
        }
    }

    /// Passes registers on; one in four times something fails.
    fn pass(&mut self) {
        self.fake.set_clock(self.now);
        let passes = self.turns.advance();
        if self.random.below(4) == 0 {
            let call =
                [Call::PerfChange, Call::PerfDisable][self.random.below(2) as usize];
            // A pass makes as many calls of each kind as there are threads and CPUs.
            self.fake.fail(call, self.random.below(4) as usize, Errno::EINVAL);
            self.failing = true;
        }
        let passed = self.engine.pass(&passes).expect("they take turns");
        assert!(passed.failed.is_empty() || self.failing);
        self.failures += u64::from(!passed.failed.is_empty());
        let times = passed.off.into_iter().zip(passed.on);
        for (pass, (off, on)) in passes.iter().zip(times) {
            self.coverage.turn(pass.from, false, off);
            self.coverage.turn(pass.to, true, on);
        }
    }

    /// Nothing but what has a register is watched, on each thread and CPU once. Where the
    /// call failed it is not, until the register is passed on again.
    fn check_registers(&mut self) {
        let carried = self.turns.carried().iter().enumerate();
        let carried: Vec<_> =
            carried.filter(|it| *it.1).map(|it| address(it.0)).collect();
        assert_eq!(carried.len(), REGISTERS);
        let each = carried.iter().flat_map(|address| [*address; CPUS as usize]);
        let each: Vec<_> = each.collect();
        let watched = THREADS.map(|tid| self.fake.watched(tid));
        if self.failing {
            for address in watched.iter().flatten() {
                let count = watched.iter().flatten().filter(|it| *it == address).count();
                assert!(carried.contains(address) && count <= 4, "{watched:x?}");
            }
            self.failing = watched.iter().any(|it| *it != each);
        } else {
            assert!(watched.iter().all(|it| *it == each), "{watched:x?}");
        }
    }

    fn access(&mut self) {
        let watch = self.random.below(WATCHES as u64) as usize;
        let tid = THREADS[self.random.below(2) as usize];
        let cpu = self.random.below(CPUS.into()) as u32;
        let (time, ip) = (self.now, CODE + watch as u64);
        let access = Access { address: address(watch), pid: PID, tid, cpu, time, ip };
        self.fake.access(access);
        if self.turns.carried()[watch] && !self.failing {
            self.due.insert((time, watch));
        }
    }

    fn drain(&mut self, all: bool) {
        self.fake.set_clock(self.now + SECOND);
        let told = &mut self.told;
        let drained = self.engine.drain(all, &mut |event| {
            if let Event::Hit(hit) = event {
                assert_eq!(u64::from(hit.watch), hit.ip - CODE, "the right watch");
                assert!(told.insert((hit.time, hit.watch as usize)), "told once");
            }
            Flow::Continue
        });
        drained.expect("good records");
        assert!(self.due.is_subset(&self.told), "{:?}", self.due.difference(&self.told));
        self.due.clear();
        self.told.clear();
    }
}

#[test]
fn a_day_of_turns_with_faults() {
    let mut day = Day::new();
    let mut turns = 0;
    while day.now < SECOND + DAY {
        day.pass();
        day.check_registers();
        for _ in 0..day.random.below(6) {
            day.now += 1 + day.random.below(SECOND);
            day.access();
        }
        day.drain(false);
        let slice = day.turns.slice(Duration::from_secs(2));
        day.now += slice.as_nanos() as u64 + 1;
        turns += 1;
    }
    assert!(turns > 15_000 && day.failures > 1000, "{turns}, {}", day.failures);
    let shares: Vec<_> =
        (0..WATCHES).map(|watch| day.coverage.share(watch, day.now)).collect();
    let total: f64 = shares.iter().sum();
    assert!((total - REGISTERS as f64).abs() < 0.001, "{shares:?}");
    for share in &shares[PINNED..] {
        let fair = (REGISTERS - PINNED) as f64 / (WATCHES - PINNED) as f64;
        assert!((share - fair).abs() < 0.01, "{shares:?}");
    }
    day.engine.disarm();
    day.drain(true);
    let Day { engine, fake, .. } = day;
    drop(engine);
    assert_eq!(fake.holdings(), Holdings { descriptors: 0, mappings: 0, children: 0 });
}
