//! tokio. Each round is a task that adds one to a counter, on one of two
//! threads; when all are done, the main thread publishes what happened in
//! statics of the kinds that Rust has. Answers with the counter and with the sum
//! of what the two threads counted for themselves.

use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

use hwtrace_real::serve;
use tokio::runtime::Builder;

mod server {
    //! Data as a server has it.

    use super::{AtomicU32, AtomicU64, Mutex};

    /// How a round ended.
    #[derive(Clone, Copy)]
    #[allow(dead_code, reason = "all of it is read from outside")]
    pub(crate) enum Outcome {
        Nothing,
        Done { rounds: u64, threads: u8 },
        Failed(i32),
    }

    /// A colour without data.
    #[derive(Clone, Copy)]
    #[allow(dead_code, reason = "all of them are read from outside")]
    pub(crate) enum Light {
        Red = 1,
        Amber = 2,
        Green = 4,
    }

    /// Several of them together.
    #[allow(dead_code, reason = "all of it is read from outside")]
    pub(crate) struct Settings {
        pub(crate) name: &'static str,
        pub(crate) limits: [u16; 6],
        pub(crate) ports: &'static [u16],
        pub(crate) ratio: (f32, i8),
        pub(crate) light: Light,
        pub(crate) verbose: bool,
    }

    pub(crate) static TASKS: AtomicU64 = AtomicU64::new(0);
    pub(crate) static LAST: Mutex<Outcome> = Mutex::new(Outcome::Nothing);
    pub(crate) static BEST: Mutex<Option<u64>> = Mutex::new(None);
    pub(crate) static NAMED: Mutex<Option<&'static str>> = Mutex::new(None);
    pub(crate) static SETTINGS: Mutex<Settings> = Mutex::new(Settings {
        name: "first",
        limits: [1, 2, 3, 4, 5, 6],
        ports: &[80, 443],
        ratio: (0.5, -1),
        light: Light::Red,
        verbose: false,
    });
    pub(crate) static COUNTED: [AtomicU32; 2] = [AtomicU32::new(0), AtomicU32::new(0)];
}

thread_local! {
    static OWN: Cell<u64> = const { Cell::new(0) };
}

fn main() {
    use server::{BEST, COUNTED, LAST, Light, NAMED, Outcome, SETTINGS, TASKS};
    let runtime = Builder::new_multi_thread().worker_threads(2).build();
    let runtime = runtime.expect("threads");
    OWN.set(1000);
    serve(|rounds| {
        let tasks: Vec<_> = (0..rounds).map(|_| runtime.spawn(task())).collect();
        runtime.block_on(async {
            for task in tasks {
                task.await.expect("a task");
            }
        });
        let total = TASKS.load(SeqCst);
        *LAST.lock().expect("LAST") = Outcome::Done { rounds, threads: 2 };
        *BEST.lock().expect("BEST") = Some(total);
        *NAMED.lock().expect("NAMED") = Some("total");
        let mut settings = SETTINGS.lock().expect("SETTINGS");
        settings.light = if settings.verbose { Light::Amber } else { Light::Green };
        settings.limits[3] += 1;
        let counted: u32 = COUNTED.iter().map(|counted| counted.load(SeqCst)).sum();
        format!("tasks {total} counted {counted} own {}", OWN.get())
    });
}

/// One round. Every second task is counted in one place, the others in another.
async fn task() {
    let number = server::TASKS.fetch_add(1, SeqCst);
    server::COUNTED[(number % 2) as usize].fetch_add(1, SeqCst);
    OWN.set(OWN.get() + 1);
}
