//! Other users, files with capabilities, and machines that refuse system calls.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::program::{Scratch, c};
use super::run::Hwtrace;

/// A user whom nobody is.
pub(crate) const STRANGER: u32 = 12_345;

/// A program as this user, with no capability but those of its file.
pub(crate) fn as_user(user: u32, program: impl AsRef<Path>) -> Command {
    let mut command = Command::new("setpriv");
    let user = user.to_string();
    command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "--"]);
    // setpriv has root's capabilities up to its exec, against which the kernel measures what
    // a file gives; another exec is without.
    command.arg("env").arg(program.as_ref()).current_dir("/");
    command
}

/// A program where these system calls are refused: see `tests/targets/without.c`.
pub(crate) fn without(calls: &[&str], program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(c("without"));
    command.args(calls).arg("--").arg(program.as_ref());
    command
}

/// hwtrace where these system calls are refused, with the best engine that works.
pub(crate) fn hwtrace_without(calls: &[&str], arguments: &[&str]) -> Hwtrace {
    let mut command = without(calls, env!("CARGO_BIN_EXE_hwtrace"));
    command.env_remove(super::ENGINE);
    Hwtrace::by(command, arguments)
}

/// A copy of hwtrace whose file has these capabilities, by number; the others of root
/// are taken from who executes it.
pub(crate) fn with_capabilities(scratch: &Scratch, capabilities: &[u32]) -> PathBuf {
    let copy = scratch.copy(env!("CARGO_BIN_EXE_hwtrace"));
    set_capabilities(&copy, capabilities);
    copy
}

/// Gives a file capabilities that count at once: `struct vfs_cap_data` of
/// include/uapi/linux/capability.h, in the order of bytes of x86.
#[allow(unsafe_code)]
fn set_capabilities(file: &Path, capabilities: &[u32]) {
    const REVISION_2: u32 = 0x0200_0000;
    const EFFECTIVE: u32 = 1;
    let permitted: u64 = capabilities.iter().fold(0, |bits, number| bits | 1 << number);
    let words =
        [REVISION_2 | EFFECTIVE, permitted as u32, 0, (permitted >> 32) as u32, 0];
    let value = words.map(u32::to_le_bytes).concat();
    let path = CString::new(file.as_os_str().as_bytes()).unwrap();
    // SAFETY: two strings with a zero at their end, and as many bytes as said.
    let set = unsafe {
        let name = c"security.capability".as_ptr();
        libc::setxattr(path.as_ptr(), name, value.as_ptr().cast(), value.len(), 0)
    };
    let error = std::io::Error::last_os_error();
    assert_eq!(set, 0, "{} takes no capabilities: {error}", file.display());
}
