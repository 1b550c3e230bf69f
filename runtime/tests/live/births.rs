//! Threads that are born while events are switched.

use std::time::Duration;

use hwtrace_runtime::engine::Engine;
use hwtrace_runtime::engine::perf::PerfOptions;

use crate::common::{
    BRIEF, Target, Tracer, compile, despite_lost_traps, is_live, stores_to,
};

/// Threads that inherited what is armed create others all the time. Told to go, each of
/// them stores ten times.
const MAKERS: &str = "
    #include <sched.h>
    volatile unsigned long other;
    static void *make(void *arg) {
        (void)arg;
        while (!ending) {
            pthread_t t;
            pthread_create(&t, 0, brief, 0);
            pthread_join(t, 0);
        }
        return brief(0);
    }
    int main(void) {
        pthread_t t[6]; char line[8];
        puts(\"ready\"); fflush(stdout);
        if (!fgets(line, 8, stdin)) return 1;
        for (int i = 0; i < 6; i++) pthread_create(&t[i], 0, make, 0);
        if (!fgets(line, 8, stdin)) return 1;
        going = 1;
        while (__atomic_load_n(&total, __ATOMIC_RELAXED) < 4000) sched_yield();
        ending = 1;
        for (int i = 0; i < 6; i++) pthread_join(t[i], 0);
        printf(\"%lu\\n\", total);
        return 0;
    }";

/// Drains for some time, milliseconds.
fn drain_for(tracer: &mut Tracer, ms: u64) {
    for _ in 0..ms {
        tracer.drain(false);
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn whom_switching_has_missed_is_switched_after() {
    if !is_live() {
        return;
    }
    let program = compile("makers", &[BRIEF, MAKERS].concat(), &[]);
    let mut late = Vec::new();
    for _ in 0..10 {
        let (total, trace) = despite_lost_traps(|| {
            let mut target = Target::start(&program);
            let mut tracer = Tracer::new(PerfOptions::default());
            let watches = ["counter", "other"].map(|name| stores_to(&program, name));
            tracer.arm(target.pid(), &watches);
            target.go();
            for _ in 0..20 {
                for on in [false, true] {
                    // The one that is looked at is not the last.
                    for watch in 0..2 {
                        tracer.engine.switch(watch, on).expect("switched");
                    }
                    drain_for(&mut tracer, 1);
                }
            }
            drain_for(&mut tracer, 150);
            target.go();
            target.follow(tracer)
        });
        late.push(trace.disturbed(total.parse().expect("a number")));
        assert_eq!(trace.account.lost, 0);
    }
    // Some of them where the machine stalls, see `despite_stalls`.
    assert!(late.contains(&0), "{late:?}");
}
