//! Watches that move, that wait for their address, and that threads have for
//! themselves; and how soon births are known.

use std::path::Path;
use std::time::{Duration, Instant};

use hwtrace_runtime::engine::perf::PerfOptions;
use hwtrace_runtime::engine::{ArmError, Engine};
use hwtrace_runtime::event::{Event, Trigger, Watch};

use crate::common::{
    HANGS, Target, Trace, Tracer, compile, despite_lost_traps, despite_stalls, is_live,
    symbol,
};

/// Each time it is told to, a thread that was born after the first time stores to
/// two variables.
const PAIR: &str = "
    #include <pthread.h>
    #include <stdio.h>
    volatile unsigned long a, b;
    static pthread_barrier_t gate;
    static void *work(void *arg) {
        (void)arg;
        for (;;) {
            pthread_barrier_wait(&gate);
            for (int i = 0; i < 100; i++) { a = i; b = i; }
            pthread_barrier_wait(&gate);
        }
    }
    int main(void) {
        char line[8]; pthread_t t;
        puts(\"ready\"); fflush(stdout);
        for (int turn = 0; turn < 5; turn++) {
            if (!fgets(line, 8, stdin)) return 1;
            if (turn == 0) {
                pthread_barrier_init(&gate, 0, 2);
                pthread_create(&t, 0, work, 0);
            }
            pthread_barrier_wait(&gate);
            pthread_barrier_wait(&gate);
            puts(\"done\"); fflush(stdout);
        }
        return 0;
    }";

/// A watch that is nowhere at first, then here and there, also for the thread
/// that inherited it; each hit is of where the watch was.
#[test]
fn a_watch_moves_with_those_who_inherited_it() {
    if !is_live() {
        return;
    }
    let program = compile("pair", PAIR, &[]);
    let (a, b) = (symbol(&program, "a").0, symbol(&program, "b").0);
    let (turns, trace) = despite_lost_traps(|| {
        let mut target = Target::start(&program);
        let pid = target.pid();
        let mut tracer = Tracer::new(PerfOptions::default());
        let pending =
            Watch { address: Watch::PENDING, length: 8, trigger: Trigger::Write };
        tracer.engine.attach(pid, &[Some(pending)]).expect("attached");
        let mut turns = Vec::new();
        for place in [None, Some(a), Some(b), None, Some(a)] {
            let since = tracer.engine.retarget(pid, 0, place).expect("moved");
            turns.push((since, place));
            target.go();
            target.says("done")?;
        }
        Some((turns, target.follow(tracer)?.1))
    });
    trace.assert_complete(300);
    for pair in turns.windows(2) {
        let (from, to) = (pair[0].0, pair[1].0);
        let hits = trace.hits.iter().filter(|hit| (from..to).contains(&hit.time));
        let expected = if pair[0].1.is_some() { 100 } else { 0 };
        assert_eq!(hits.count(), expected, "at {:x?}", pair[0].1);
    }
}

/// Under fire: no hit is of an address where the watch was not. The code tells
/// which variable was stored to.
#[test]
fn no_hit_is_of_the_wrong_place_while_it_moves() {
    if !is_live() {
        return;
    }
    let source = "
        #include <stdio.h>
        volatile unsigned long a, b;
        volatile int ending;
        __attribute__((noinline)) void first(void) { a++; }
        __attribute__((noinline)) void second(void) { b++; }
        int main(void) {
            puts(\"ready\"); fflush(stdout);
            for (long i = 0; i < 1000000000 && !ending; i++) { first(); second(); }
            return 0;
        }";
    let program = compile("busy_pair", source, &[]);
    let (a, b) = (symbol(&program, "a").0, symbol(&program, "b").0);
    let (start, size) = symbol(&program, "first");
    let watch = Watch { address: a, length: 8, trigger: Trigger::Write };
    let (moves, trace) = despite_lost_traps(|| {
        let mut target = Target::start(&program);
        let mut tracer = Tracer::new(PerfOptions::default());
        tracer.arm(target.pid(), &[watch]);
        let mut moves = vec![(0, a)];
        let begun = Instant::now();
        while moves.len() <= 200 || tracer.trace.hits.len() <= 1000 {
            assert!(begun.elapsed() < HANGS, "{} hits", tracer.trace.hits.len());
            let place = if moves.len() % 2 == 1 { b } else { a };
            let moved = tracer.engine.retarget(target.pid(), 0, Some(place));
            if target.is_trapped() {
                return None;
            }
            moves.push((moved.expect("moved"), place));
            tracer.drain(false);
            std::thread::sleep(Duration::from_micros(500));
        }
        target.kill()?;
        Some((moves, tracer.finish()))
    });
    for hit in &trace.hits {
        let (_, place) = moves.iter().rfind(|it| it.0 <= hit.time).expect("the first");
        let of_first = (start..start + size).contains(&hit.ip);
        assert_eq!(*place == a, of_first, "{hit:x?}");
    }
}

#[test]
fn an_address_that_can_not_be_watched_leaves_it_nowhere() {
    if !is_live() {
        return;
    }
    let program = compile("pair_wrong", PAIR, &[]);
    let a = symbol(&program, "a").0;
    let mut target = Target::start(&program);
    let mut tracer = Tracer::new(PerfOptions::default());
    let watch = Watch { address: a, length: 8, trigger: Trigger::Write };
    tracer.arm(target.pid(), &[watch]);
    let error = tracer.engine.retarget(target.pid(), 0, Some(a + 1));
    assert!(matches!(error, Err(ArmError::BadWatch { watch: 0 })), "{error:?}");
    tracer.engine.switch(0, true).expect("nothing to do");
    (0..5).for_each(|_| target.go());
    let (_, trace) = target.follow(tracer).expect("no hit, and no trap");
    trace.assert_complete(0);
}

/// Three threads with a variable of their own each, and births on command.
const OWN: &str = "
    #define _GNU_SOURCE
    #include <pthread.h>
    #include <stdio.h>
    #include <unistd.h>
    static __thread volatile unsigned long mine;
    static pthread_barrier_t gate;
    static void *work(void *arg) {
        printf(\"%d %lx\\n\", gettid(), (unsigned long)&mine); fflush(stdout);
        pthread_barrier_wait(&gate);
        for (long i = 0; i < (long)arg; i++) mine = i;
        return 0;
    }
    static void *brief(void *arg) { mine = 1; return arg; }
    int main(void) {
        pthread_t t[3]; char line[8];
        pthread_barrier_init(&gate, 0, 4);
        puts(\"ready\"); fflush(stdout);
        for (long i = 0; i < 3; i++) pthread_create(&t[i], 0, work, (void *)(100 * (i + 1)));
        if (!fgets(line, 8, stdin)) return 1;
        pthread_barrier_wait(&gate);
        for (int i = 0; i < 3; i++) pthread_join(t[i], 0);
        for (int i = 0; i < 100; i++) {
            pthread_create(&t[0], 0, brief, 0);
            pthread_join(t[0], 0);
            usleep(1000);
        }
        return 0;
    }";

#[test]
fn threads_have_watches_of_their_own() {
    if !is_live() {
        return;
    }
    let program = compile("own", OWN, &["-D_DEFAULT_SOURCE"]);
    despite_stalls(|| {
        let trace = despite_lost_traps(|| trace_own(&program));
        let mut counts: Vec<_> = trace.by_thread().into_values().collect();
        counts.sort_unstable();
        assert_eq!(counts, [100, 200, 300], "no later thread inherits one");
        trace.disturbed(600)
    });
}

/// None where the program was killed by SIGTRAP.
fn trace_own(program: &Path) -> Option<Trace> {
    let mut target = Target::start(program);
    let pid = target.pid();
    let mut tracer = Tracer::new(PerfOptions::default());
    tracer.engine.attach(pid, &[None]).expect("attached");
    let mut addresses = Vec::new();
    for _ in 0..3 {
        let line = target.line();
        let (tid, address) = line.split_once(' ').expect("two words");
        let address = u64::from_str_radix(address, 16).expect("an address");
        let watch = Watch { address, length: 8, trigger: Trigger::Write };
        let tid = tid.parse().expect("a number");
        tracer.engine.arm_thread((pid, tid), 0, watch).expect("armed");
        addresses.push(address);
    }
    addresses.dedup();
    assert_eq!(addresses.len(), 3);
    target.go();
    Some(target.follow(tracer)?.1)
}

/// How long after its birth a thread is known, and armed.
#[test]
fn births_are_known_at_once_where_asked_for() {
    if !is_live() {
        return;
    }
    let program = compile("own_prompt", OWN, &[]);
    let mut target = Target::start(&program);
    let options = PerfOptions { prompt: true, ..PerfOptions::default() };
    let mut tracer = Tracer::new(options);
    tracer.engine.attach(target.pid(), &[]).expect("attached");
    let descriptors = tracer.engine.wake_fds();
    let mut ready = vec![false; descriptors.len()];
    let kernel = std::rc::Rc::clone(&tracer.kernel);
    let (mut delays, mut armed_after) = (Vec::new(), Vec::new());
    let watch = Watch { address: 0x1000, length: 8, trigger: Trigger::Write };
    // Of those that were born before the last look, and that nobody woke us for.
    let (mut overdue, mut unwoken, mut looked) = (0, 0, 0);
    target.go();
    while !target.has_ended() {
        let longest = Some(Duration::from_millis(20));
        kernel.poll(&descriptors, &mut ready, longest).expect("polled");
        let woken = ready.contains(&true);
        let mut born = Vec::new();
        let now = kernel.clock();
        let shown = tracer.engine.news(&mut |event| {
            if let Event::Fork { time, pid, tid, .. } = event {
                delays.push(kernel.clock().saturating_sub(time));
                born.push((time, (pid, tid)));
                overdue += usize::from(time < looked);
                unwoken += usize::from(!woken);
            }
        });
        shown.expect("good records");
        looked = now;
        for (time, thread) in born {
            // It may have ended by now.
            if tracer.engine.arm_thread(thread, 0, watch).is_ok() {
                armed_after.push(kernel.clock().saturating_sub(time));
            }
        }
    }
    let trace = tracer.finish();
    assert_eq!(trace.born.len(), delays.len(), "each comes in its turn, too");
    assert!(delays.len() >= 100, "{}", delays.len());
    delays.sort_unstable();
    let (median, most) = (delays[delays.len() / 2], delays[delays.len() * 9 / 10]);
    armed_after.sort_unstable();
    let armed = armed_after.get(armed_after.len() / 2);
    eprintln!("{} armed after {armed:?} ns", armed_after.len());
    eprintln!("births known after {median} ns, nine of ten within {most} ns");
    // However late we look: what was there to be seen is told of at once, and wakes.
    assert!(overdue * 10 <= delays.len(), "{overdue} later than they could be");
    assert!(unwoken * 10 <= delays.len(), "{unwoken} by chance");
}
