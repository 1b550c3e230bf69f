//! Plain counting: the yardstick of what a hit costs.
#![allow(unsafe_code)] // A system call.

use std::os::fd::{FromRawFd, OwnedFd};

use perf_event_open_sys::{bindings as sys, perf_event_open};

/// A counting breakpoint without samples, as long as it is kept.
pub(crate) fn count(pid: u32, address: u64) -> OwnedFd {
    let mut attr = sys::perf_event_attr {
        type_: sys::PERF_TYPE_BREAKPOINT,
        size: std::mem::size_of::<sys::perf_event_attr>() as u32,
        bp_type: sys::HW_BREAKPOINT_W,
        ..Default::default()
    };
    attr.__bindgen_anon_3.bp_addr = address;
    attr.__bindgen_anon_4.bp_len = 8;
    attr.set_exclude_kernel(1);
    attr.set_exclude_hv(1);
    // SAFETY: the attributes are filled in and live until the call returns.
    let fd = unsafe { perf_event_open(&mut attr, pid as i32, -1, -1, 0) };
    assert!(fd >= 0, "{}", std::io::Error::last_os_error());
    // SAFETY: a fresh descriptor that nobody else has.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
