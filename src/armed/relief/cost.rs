//! What a hit takes here: measured with stores of our own.

use std::hint::black_box;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use hwtrace_runtime::engine::perf::PerfOptions;
use hwtrace_runtime::engine::{ArmError, Engine};
use hwtrace_runtime::event::{Trigger, Watch};
use hwtrace_runtime::kernel::Kernel;

use nix::time::{ClockId, clock_gettime};

use crate::engines::Taken;

/// What a hit takes where it was not measured, in nanoseconds: a trap of a virtual machine,
/// with a record. A bare machine takes a third of it.
pub(crate) const USUAL_NS: f64 = 3000.0;
/// The same with a program, and with a sample, at most: what is in the caches differs.
const PROGRAM_MOST_NS: f64 = 4000.0;
const SAMPLE_MOST_NS: f64 = 6500.0;
/// One that goes by ptrace(2) has the thread stop, and its tracer run, at each hit.
const PTRACE_TIMES: f64 = 12.0;

/// Stores that are timed.
const STORES: u32 = 3000;

/// What a hit takes at most where it was not measured, in nanoseconds: with `programs` a
/// program is run at it.
pub(crate) fn most_ns(programs: bool) -> f64 {
    if programs { PROGRAM_MOST_NS } else { SAMPLE_MOST_NS }
}

/// What a hit takes with such an engine, in nanoseconds; [`USUAL_NS`] where it can not be
/// measured. A thread of our own stores to a word that it alone watches, in a session of its
/// own, once without and once with the watch: the difference is what a hit takes.
pub(crate) fn measured(kernel: &Rc<dyn Kernel>, taken: &Taken) -> f64 {
    // An engine of perf's events can watch a thread of our own.
    if !taken.passes() {
        return USUAL_NS * PTRACE_TIMES;
    }
    measure(kernel, taken).ok().flatten().unwrap_or(USUAL_NS)
}

fn measure(kernel: &Rc<dyn Kernel>, taken: &Taken) -> Result<Option<f64>, ArmError> {
    static STORED: AtomicU64 = AtomicU64::new(0);
    let mut engine: Box<dyn Engine> = taken.open(kernel, PerfOptions::default());
    let (told, tells) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        told.send(nix::unistd::gettid().as_raw().unsigned_abs()).ok()?;
        let plain = stores_take(&STORED)?;
        goes_on.recv().ok()?;
        Some(stores_take(&STORED)? - plain)
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
    let took = thread.join().ok().flatten();
    engine.disarm();
    armed?;
    // A virtual machine may lose some of the traps.
    let hits = engine.account().counted.iter().sum::<u64>();
    let cost = took.filter(|_| hits > 0).map(|took| took / hits as f64);
    Ok(cost.filter(|cost| *cost >= 1.0))
}

/// Nanoseconds of a processor's time that the stores of this thread take together; none
/// where the kernel does not tell.
fn stores_take(stored: &AtomicU64) -> Option<f64> {
    let begun = own_time()?;
    for number in 0..STORES {
        stored.store(black_box(number.into()), Ordering::Relaxed);
    }
    Some(own_time()? - begun)
}

/// The processor's time that this thread has taken, in nanoseconds.
fn own_time() -> Option<f64> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).ok()?;
    Some(time.tv_sec() as f64 * 1e9 + time.tv_nsec() as f64)
}

#[cfg(test)]
mod tests {
    use hwtrace_runtime::kernel::linux::Linux;

    use super::*;
    use crate::engines::ENGINES;

    /// Also where it can not be measured there is a figure; what it is differs.
    #[test]
    fn a_hit_takes_some_time() {
        let kernel: Rc<dyn Kernel> = Rc::new(Linux);
        for row in ENGINES.iter().filter(|row| row.usable(&kernel).is_ok()) {
            let taken = crate::engines::Choice::Only(row).take(&kernel).expect("usable");
            let cost = measured(&kernel, &taken);
            assert!((100.0..1e6).contains(&cost), "{}: {cost}", row.name);
        }
    }
}
