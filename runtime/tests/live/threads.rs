//! Threads and children: those that are there, those that come, each once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, spawn};

use hwtrace_runtime::engine::perf::PerfOptions;

use crate::common::{
    BRIEF, Target, Trace, Tracer, compile, despite_lost_traps, despite_stalls, is_live,
    stores_to, trace_program,
};

#[test]
fn eight_threads_created_after_arming() {
    if !is_live() {
        return;
    }
    let source = "
        #include <pthread.h>
        volatile unsigned long counter;
        static void *work(void *arg) {
            for (long i = 0; i < 10000; i++) counter = (long)arg * 10000 + i;
            return 0;
        }
        int main(void) {
            pthread_t t[8];
            for (long i = 0; i < 8; i++) pthread_create(&t[i], 0, work, (void *)i);
            for (int i = 0; i < 8; i++) pthread_join(t[i], 0);
            return 0;
        }";
    let program = compile("eight", source, &[]);
    let watches = [stores_to(&program, "counter")];
    despite_stalls(|| {
        let (_, trace) = trace_program(&program, &watches, PerfOptions::default());
        assert_hits_of_each(&trace, &[10_000; 8]);
        let mut born = trace.born.clone();
        born.sort_unstable();
        let are_known = trace.by_thread().into_keys().eq(born);
        assert!(are_known || trace.account.lost_sideband > 0);
        trace.disturbed(80_000)
    });
}

/// None has more hits, and fewer only where some are lost.
fn assert_hits_of_each(trace: &Trace, expected: &[usize]) {
    let counts: Vec<_> = trace.by_thread().into_values().collect();
    assert_eq!(counts.len(), expected.len());
    let is_full = |(count, most): (&usize, &usize)| {
        count == most || (count < most && trace.account.lost > 0)
    };
    assert!(counts.iter().zip(expected).all(is_full), "{counts:?}");
}

#[test]
fn a_forked_child_is_hit_under_its_own_number() {
    if !is_live() {
        return;
    }
    let source = "
        #include <sys/wait.h>
        #include <unistd.h>
        volatile unsigned long counter;
        int main(void) {
            for (int i = 0; i < 1000; i++) counter = i;
            if (fork() == 0) {
                for (int i = 0; i < 500; i++) counter = i;
                _exit(0);
            }
            wait(0);
            return 0;
        }";
    let program = compile("forks", source, &[]);
    let watches = [stores_to(&program, "counter")];
    let (pid, trace) = trace_program(&program, &watches, PerfOptions::default());
    trace.assert_complete(1500);
    let child = trace.born[0];
    let of = |pid| trace.hits.iter().filter(|hit| hit.pid == pid).count();
    assert_eq!((of(pid), of(child)), (1000, 500));
    assert_eq!(
        trace.hits.iter().map(|hit| hit.time).max(),
        trace.hits.last().map(|h| h.time)
    );
}

#[test]
fn threads_from_before_and_after_attaching() {
    if !is_live() {
        return;
    }
    let source = "
        #include <pthread.h>
        #include <stdio.h>
        volatile unsigned long counter;
        static pthread_barrier_t gate;
        static void *work(void *arg) {
            if (arg) pthread_barrier_wait(&gate);
            for (long i = 0; i < 5000; i++) counter = i;
            return 0;
        }
        int main(void) {
            pthread_t t[8]; char line[8];
            pthread_barrier_init(&gate, 0, 5);
            for (long i = 0; i < 4; i++) pthread_create(&t[i], 0, work, &gate);
            puts(\"ready\"); fflush(stdout);
            if (!fgets(line, 8, stdin)) return 1;
            pthread_barrier_wait(&gate);
            for (long i = 4; i < 8; i++) pthread_create(&t[i], 0, work, 0);
            for (int i = 0; i < 8; i++) pthread_join(t[i], 0);
            puts(\"done\");
            return 0;
        }";
    let program = compile("attach", source, &[]);
    let watched = || {
        let mut target = Target::start(&program);
        let mut tracer = Tracer::new(PerfOptions::default());
        let armed = tracer.arm(target.child.id(), &[stores_to(&program, "counter")]);
        assert_eq!((armed.threads, armed.slots), (5, 1));
        target.go();
        target.follow(tracer)
    };
    despite_stalls(|| {
        let (last, trace) = despite_lost_traps(watched);
        assert_eq!(last, "done");
        assert_hits_of_each(&trace, &[5000; 8]);
        trace.disturbed(40_000)
    });
}

/// Threads are born and end all the time, before, while and after arming, on a machine
/// that has other work: births take long then, and arming, too.
/// Each stores ten times, once told to go; each must be hit exactly ten times.
#[test]
fn churning_threads_are_armed_once_each() {
    if !is_live() {
        return;
    }
    let source = "
        #include <unistd.h>
        static void *churn(void *arg) {
            (void)arg;
            while (!ending) {
                pthread_t t;
                pthread_create(&t, 0, brief, 0);
                pthread_join(t, 0);
                usleep(300);
            }
            return brief(0);
        }
        int main(void) {
            pthread_t t[2]; char line[8];
            for (int i = 0; i < 2; i++) pthread_create(&t[i], 0, churn, 0);
            puts(\"ready\"); fflush(stdout);
            if (!fgets(line, 8, stdin)) return 1;
            going = 1;
            usleep(300000);
            while (__atomic_load_n(&total, __ATOMIC_RELAXED) < 200) usleep(1000);
            ending = 1;
            for (int i = 0; i < 2; i++) pthread_join(t[i], 0);
            printf(\"%lu\\n\", total);
            return 0;
        }";
    let program = compile("churn", &[BRIEF, source].concat(), &[]);
    let work = Work::begin(2);
    let watched = || {
        let mut target = Target::start(&program);
        let mut tracer = Tracer::new(PerfOptions::default());
        let begun = std::time::Instant::now();
        tracer.arm(target.child.id(), &[stores_to(&program, "counter")]);
        eprintln!("armed amid churn after {:?}", begun.elapsed());
        target.go();
        target.follow(tracer)
    };
    let mut late = Vec::new();
    for _ in 0..5 {
        let (total, trace) = despite_lost_traps(watched);
        let total: usize = total.parse().expect("a number");
        assert!(total >= 200);
        late.push(trace.disturbed(total));
        assert_eq!(trace.account.lost, 0);
        for (tid, count) in trace.by_thread() {
            assert_eq!(count, 10, "thread {tid}");
        }
    }
    // Some of them where the machine stalls, see `despite_stalls`.
    assert!(late.contains(&0), "{late:?}");
    drop(work);
}

/// Threads that compute, until it is dropped.
struct Work {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Work {
    fn begin(threads: usize) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let compute = |over: Arc<AtomicBool>| {
            move || {
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            }
        };
        let threads = (0..threads).map(|_| spawn(compute(Arc::clone(&over)))).collect();
        Self { over, threads }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("computes");
        }
    }
}
