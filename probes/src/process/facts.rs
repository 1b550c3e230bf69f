//! Who a process is and how it was started, by its id alone: also of one that
//! has ended and waits for its parent to notice.

use std::fs::File;
use std::io::Read;

use super::{proc_path, status_field};

/// Who a process is (proc(5), `/proc/PID/status`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The parent process; 0 where it is not in our namespace.
    pub parent: u32,
    /// Real user.
    pub user: u32,
    /// Effective user.
    pub effective_user: u32,
    /// Real group.
    pub group: u32,
    /// Effective group.
    pub effective_group: u32,
}

/// Arguments and environment have a bound of a quarter of the stack, 2 MiB as a
/// rule (execve(2)); more is not read.
const MAX_BYTES: u64 = 4 << 20;

/// Who the process is; `None` where it is gone.
pub fn identity(pid: u32) -> Option<Identity> {
    parse_status(&read(pid, "status")?)
}

/// The arguments that the process was started with, its name the first, a zero
/// byte behind each; `None` where they cannot be read or there are none, as of a
/// process that has ended.
pub fn arguments(pid: u32) -> Option<Vec<u8>> {
    read(pid, "cmdline")
}

/// The environment that the process was started with, `NAME=value` with a zero
/// byte behind each; otherwise as [`arguments`].
pub fn environment(pid: u32) -> Option<Vec<u8>> {
    read(pid, "environ")
}

fn read(pid: u32, name: &str) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let file = File::open(proc_path(pid, name)).ok()?;
    file.take(MAX_BYTES).read_to_end(&mut text).ok()?;
    (!text.is_empty()).then_some(text)
}

fn parse_status(status: &[u8]) -> Option<Identity> {
    let numbers = |name| {
        let mut numbers = status_field(status, name)?.split_whitespace();
        let mut next = || numbers.next()?.parse::<u32>().ok();
        Some((next()?, next()?))
    };
    let (user, effective_user) = numbers("Uid")?;
    let (group, effective_group) = numbers("Gid")?;
    let parent = status_field(status, "PPid")?.parse().ok()?;
    Some(Identity { parent, user, effective_user, group, effective_group })
}

#[cfg(test)]
mod tests {
    use super::super::{Process, ProcessError};
    use super::*;

    #[test]
    fn own_process() {
        let pid = std::process::id();
        let own = identity(pid).expect("own");
        assert_eq!(own.parent, std::os::unix::process::parent_id());
        let arguments = arguments(pid).expect("own");
        let name = arguments.split(|byte| *byte == 0).next().expect("a name");
        assert_eq!(name, std::env::args().next().expect("a name").as_bytes());
        let environment = environment(pid).expect("own");
        let mut entries = environment.split(|byte| *byte == 0);
        assert!(entries.any(|entry| entry.starts_with(b"PATH=")));
        assert_eq!(identity(0), None);
    }

    #[test]
    fn a_zombie_has_an_identity_and_no_arguments() {
        let mut child = std::process::Command::new("true").spawn().expect("true");
        let pid = child.id();
        while !matches!(Process::open(pid), Err(ProcessError::Zombie { .. })) {
            std::thread::yield_now();
        }
        assert_eq!(arguments(pid), None);
        let parent = identity(pid).map(|identity| identity.parent);
        assert_eq!(parent, Some(std::process::id()));
        assert_eq!(environment(pid), None);
        child.wait().expect("it exits");
        assert_eq!(identity(pid), None);
    }

    #[test]
    fn the_first_number_is_the_real_one() {
        let status = b"PPid:\t3\nUid:\t10\t11\t12\t13\nGid:\t20\t21\t22\t23\n";
        let identity = parse_status(status).expect("all fields");
        assert_eq!(
            (identity.parent, identity.user, identity.effective_user),
            (3, 10, 11)
        );
        assert_eq!((identity.group, identity.effective_group), (20, 21));
        for hostile in [&b""[..], b"Uid:\t1\nGid:\t1 1\nPPid:\t1\n", b"Uid:\t-1 1\n"] {
            assert_eq!(parse_status(hostile), None);
        }
    }
}
