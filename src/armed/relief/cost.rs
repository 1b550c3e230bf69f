//! What a hit takes here: measured with stores of our own.

use std::hint::black_box;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use hwtrace_runtime::engine::perf::PerfOptions;
use hwtrace_runtime::engine::{ArmError, Engine};
use hwtrace_runtime::event::{Trigger, Watch};
use hwtrace_runtime::kernel::Kernel;

use crate::engines::Taken;

/// What a hit takes where it was not measured, in nanoseconds: a trap of a virtual machine,
/// with a record. A bare machine takes a third of it.
pub(crate) const USUAL_NS: f64 = 3000.0;
/// One that goes by ptrace(2) has the thread stop, and its tracer run, at each hit.
const PTRACE_TIMES: f64 = 12.0;

/// Stores that are timed at once, and how often that is done. The quickest counts: others
/// were kept up by something else.
const STORES: u32 = 200;
const TIMES: u32 = 16;

/// What a hit takes with such an engine, in nanoseconds; [`USUAL_NS`] where it can not be
/// measured. A thread of our own stores to a word that it alone watches, in a session of its
/// own, once without and once with the watch: the difference is what a hit takes.
pub(crate) fn measured(kernel: &Rc<dyn Kernel>, taken: &Taken) -> f64 {
    if !taken.samples() {
        return USUAL_NS * PTRACE_TIMES;
    }
    measure(kernel, taken).ok().flatten().unwrap_or(USUAL_NS)
}

fn measure(kernel: &Rc<dyn Kernel>, taken: &Taken) -> Result<Option<f64>, ArmError> {
    static STORED: AtomicU64 = AtomicU64::new(0);
    let options = PerfOptions { ring_bytes: Some(RING_BYTES), ..PerfOptions::default() };
    let mut engine: Box<dyn Engine> = taken.open(kernel, options);
    let (told, tells) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        told.send(nix::unistd::gettid().as_raw().unsigned_abs()).ok()?;
        let plain = quickest(&STORED);
        goes_on.recv().ok()?;
        Some((quickest(&STORED) - plain).max(1.0))
    });
    let armed = tells.recv().map_or(Ok(()), |tid| {
        let address = STORED.as_ptr() as u64;
        let watch = Watch { address, length: 8, trigger: Trigger::Write };
        engine.arm_thread((std::process::id(), tid), 0, watch)
    });
    if armed.is_ok() {
        // Nobody listens any more only where it has ended.
        let _ = go_on.send(());
    }
    drop(go_on);
    let cost = thread.join().ok().flatten();
    engine.disarm();
    armed?;
    Ok(cost)
}

/// Room for the records of all stores, which nobody reads.
const RING_BYTES: usize = 1 << 20;

/// Nanoseconds that a store takes.
fn quickest(stored: &AtomicU64) -> f64 {
    let time = |_| {
        let begun = Instant::now();
        for number in 0..STORES {
            stored.store(black_box(number.into()), Ordering::Relaxed);
        }
        begun.elapsed().as_nanos() as f64 / f64::from(STORES)
    };
    (0..TIMES).map(time).fold(f64::MAX, f64::min)
}
