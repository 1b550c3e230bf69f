//! Capabilities: those of root, until they are given up.

use super::{Call, Errno, Fake, Result};
use crate::kernel::rights::{Capabilities, Rights};

impl Fake {
    /// Has us act as this user, with these capabilities.
    pub fn become_user(&self, user: u32, capabilities: Capabilities) {
        self.user.set(user);
        self.capabilities.set(capabilities);
    }
}

impl Rights for Fake {
    fn capabilities(&self) -> Result<Capabilities> {
        self.call(Call::Capabilities)?;
        Ok(self.capabilities.get())
    }

    fn set_capabilities(&self, wanted: &Capabilities) -> Result<()> {
        self.call(Call::SetCapabilities)?;
        let own = self.capabilities.get();
        if (wanted.effective | wanted.permitted) & !own.permitted != 0 {
            return Err(Errno::EPERM);
        }
        self.capabilities.set(*wanted);
        Ok(())
    }

    fn effective_user(&self) -> u32 {
        self.user.get()
    }
}
