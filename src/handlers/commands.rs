//! The commands of `system()`: run by the shell beside the session, which goes
//! on with its hits meanwhile.

use std::io;
use std::process::{Child, Command, Stdio};

/// The commands that were started and have not been seen to end.
#[derive(Debug, Default)]
pub(super) struct Commands(Vec<Child>);

impl Commands {
    /// Starts a command. It writes where hwtrace itself would, without `-o`, and
    /// has no input. It may outlive the session.
    ///
    /// # Errors
    /// As starting `sh`.
    pub(super) fn start(&mut self, command: &[u8]) -> io::Result<()> {
        use std::os::unix::ffi::OsStrExt;
        // Those that have ended are to be no zombies for the rest of the session.
        self.0.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(std::ffi::OsStr::from_bytes(command)).stdin(Stdio::null());
        self.0.push(shell.spawn()?);
        Ok(())
    }
}
