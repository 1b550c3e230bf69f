//! Capabilities, by hand: the C library has no function for them.

#![allow(unsafe_code, reason = "system calls that neither libc nor nix has")]

use super::{Errno, Linux, Result, SMALL_FILE, check};
use crate::kernel::Kernel;
use crate::kernel::rights::{Capabilities, Rights};

/// `_LINUX_CAPABILITY_VERSION_3` (include/uapi/linux/capability.h): 64 bits in two
/// halves.
const VERSION: u32 = 0x2008_0522;

/// `struct __user_cap_header_struct`
#[repr(C)]
struct Header {
    version: u32,
    /// 0: the calling thread.
    pid: i32,
}

/// `struct __user_cap_data_struct`, of which there are two: the lower bits first.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Half {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

impl Rights for Linux {
    fn capabilities(&self) -> Result<Capabilities> {
        let mut header = Header { version: VERSION, pid: 0 };
        let mut halves = [Half::default(); 2];
        // SAFETY: the kernel reads and writes the header, and writes two halves.
        let got = unsafe {
            libc::syscall(libc::SYS_capget, &raw mut header, halves.as_mut_ptr())
        };
        check(got as i32)?;
        let whole = |part: fn(&Half) -> u32| {
            u64::from(part(&halves[0])) | u64::from(part(&halves[1])) << 32
        };
        let status = self.read_file("/proc/thread-self/status", SMALL_FILE);
        Ok(Capabilities {
            effective: whole(|half| half.effective),
            permitted: whole(|half| half.permitted),
            inheritable: whole(|half| half.inheritable),
            ambient: status.ok().and_then(|status| ambient(&status)).unwrap_or(0),
        })
    }

    fn set_capabilities(&self, capabilities: &Capabilities) -> Result<()> {
        let header = Header { version: VERSION, pid: 0 };
        let half = |shift: u32| Half {
            effective: (capabilities.effective >> shift) as u32,
            permitted: (capabilities.permitted >> shift) as u32,
            inheritable: (capabilities.inheritable >> shift) as u32,
        };
        let halves = [half(0), half(32)];
        // SAFETY: the kernel reads the header and two halves.
        let set = unsafe {
            libc::syscall(libc::SYS_capset, &raw const header, halves.as_ptr())
        };
        Errno::result(set).map(drop)
    }

    fn effective_user(&self) -> u32 {
        nix::unistd::geteuid().as_raw()
    }
}

/// The ambient ones, which are in no system call that gives all (proc(5), `CapAmb`).
fn ambient(status: &[u8]) -> Option<u64> {
    let mut lines = status.split(|byte| *byte == b'\n');
    let digits = lines.find_map(|line| line.strip_prefix(b"CapAmb:"))?;
    u64::from_str_radix(std::str::from_utf8(digits).ok()?.trim(), 16).ok()
}

/// Has whoever has the rights trace us, as far as we have a say in it: with Yama those who
/// started us alone may (Documentation/admin-guide/LSM/Yama.rst). For a program that is
/// there to be watched.
pub fn be_traceable() {
    // Also where it has capabilities of its file.
    let _ = nix::sys::prctl::set_dumpable(true);
    // SAFETY: takes no memory. EINVAL without Yama.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_are_those_that_proc_tells() {
        let own = Linux.capabilities().expect("capget");
        let status = std::fs::read_to_string("/proc/thread-self/status").expect("own");
        for (name, bits) in [
            ("CapEff", own.effective),
            ("CapPrm", own.permitted),
            ("CapInh", own.inheritable),
            ("CapAmb", own.ambient),
        ] {
            assert!(status.contains(&format!("{name}:\t{bits:016x}\n")), "{status}");
        }
        assert_eq!(ambient(b"Name:\tCapAmb:\nCapAmb:\t0000000000000a00\n"), Some(0xa00));
        assert_eq!(ambient(b"CapAmb:\tfull\n"), None);
    }

    /// A thread of its own: nothing is taken from the other tests.
    #[test]
    fn a_thread_gives_up_what_it_does_not_need() {
        let dropped = std::thread::spawn(|| {
            let own = Linux.capabilities().expect("capget");
            Linux.set_capabilities(&own.only(0)).expect("fewer are always right");
            let (before, now) = (own, Linux.capabilities().expect("capget"));
            let back = Linux.set_capabilities(&before);
            (before, now, back)
        });
        let (before, now, back) = dropped.join().expect("no panic");
        assert_eq!((now.effective, now.permitted), (before.ambient, before.ambient));
        let expected = if before == now { Ok(()) } else { Err(Errno::EPERM) };
        assert_eq!(back, expected);
    }
}
