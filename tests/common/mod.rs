//! What the live tests share: when they are skipped, programs compiled when
//! they are first needed, targets that answer, hwtrace as a command and as a
//! library.
//!
//! Nothing waits for a time to pass. A target says `ready` and goes on when it
//! is told to; a script's `begin` probe says that everything is armed. The one
//! time limit ends a test that hangs, so that it fails instead.

#![allow(dead_code, unused_imports, reason = "each test file uses a part of this one")]

mod again;
mod engines;
mod free;
mod program;
mod record;
mod rights;
mod run;
mod seen;
mod served;
mod skip;
mod symbols;
mod target;

pub(crate) use again::{again, all_came, armed_within};
pub(crate) use engines::{
    VARIABLE as ENGINE, engine, engine_name, holds_executed, reads_at_hits,
};
pub(crate) use free::{
    all_are_free, free_registers, live_and_free, one_is_free_on_each_cpu,
};
pub(crate) use program::{
    Scratch, c, c_needing, c_needing_with, c_with, cpp, library, library_with, rust,
};
pub(crate) use record::{Recorded, despite_stalls, record, record_each, request};
pub(crate) use rights::{STRANGER, as_user, hwtrace_without, with_capabilities, without};
pub(crate) use run::{Ended, Figures, Hwtrace, Started, nobody, numbers, real};
pub(crate) use seen::{assert_seen, until_last};
pub(crate) use skip::skip;
pub(crate) use symbols::symbols;
pub(crate) use target::{HANGS, Lines, Target};

/// Whether this machine has hardware breakpoints, and the engine can serve the test.
/// Asks the kernel itself: were hwtrace asked, a broken hwtrace would skip its own tests.
pub(crate) fn live() -> bool {
    match breakpoint() {
        Ok(()) => served::is_served(),
        Err(error) => skip(&format!("no hardware breakpoints here: {error}")),
    }
}

/// Whether we are root on a machine with hardware breakpoints.
pub(crate) fn live_as_root() -> bool {
    live()
        && (nix::unistd::geteuid().is_root()
            || skip("only root can become somebody else"))
}

/// Opens and closes a breakpoint on our own memory.
#[allow(unsafe_code)]
fn breakpoint() -> std::io::Result<()> {
    use perf_event_open_sys::bindings;
    let mut attr = bindings::perf_event_attr {
        size: size_of::<bindings::perf_event_attr>() as u32,
        type_: bindings::PERF_TYPE_BREAKPOINT,
        bp_type: bindings::HW_BREAKPOINT_W,
        ..Default::default()
    };
    attr.__bindgen_anon_3.bp_addr = 0x1000;
    attr.__bindgen_anon_4.bp_len = 8;
    attr.set_disabled(1);
    attr.set_exclude_kernel(1);
    // SAFETY: attr is valid for the call, and the descriptor is ours alone.
    let opened = unsafe { perf_event_open_sys::perf_event_open(&mut attr, 0, -1, -1, 0) };
    if opened < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: it was just opened, and nobody else has it.
    drop(unsafe {
        <std::os::fd::OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(opened)
    });
    Ok(())
}

/// Calls `attempt` again where the machine, and not hwtrace, killed the target
/// with SIGTRAP: a hypervisor that loses DR6, see the head of
/// `hwtrace_runtime::engine::perf`. Says so aloud.
pub(crate) fn despite_lost_traps<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    for _ in 0..4 {
        if let Some(done) = attempt() {
            return done;
        }
        eprintln!("AGAIN: the target did not live to its end; has the machine lost DR6?");
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap();
        assert!(info.contains(" hypervisor"), "killed on a machine that loses no traps");
    }
    panic!("the target was killed four times in a row");
}
