//! Whether the engine can be used here, tried on our own thread.

use crate::attr::{EventSpec, Features, Role, Sampled};
use crate::event::{Trigger, Watch};
use crate::kernel::{EVERY, Errno, Kernel};

/// Whether hardware breakpoints of perf can be opened. That all are taken at the moment
/// is no reason why not.
///
/// # Errors
/// What the kernel refuses, in words.
pub fn probe(kernel: &dyn Kernel) -> Result<(), String> {
    let watch = Watch { address: 0x1000, length: 4, trigger: Trigger::Write };
    let role = Role::Breakpoint { watch, sampled: Sampled::ALL };
    let spec = EventSpec { role, features: Features::NONE };
    let refused = match kernel.perf_event_open(&spec, 0, EVERY) {
        Ok(event) => {
            kernel.close(event);
            return Ok(());
        }
        Err(errno) => errno,
    };
    match refused {
        Errno::EPERM | Errno::EACCES => {
            Err(format!("perf_event_open is refused: {refused}"))
        }
        Errno::ENOENT | Errno::EOPNOTSUPP | Errno::ENODEV | Errno::ENOSYS => {
            Err(format!("perf has no hardware breakpoints here: {refused}"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::fake::{Call, Fake, Holdings};

    #[test]
    fn refusals_are_told_and_a_machine_in_use_is_none() {
        for (errno, usable) in [
            (Errno::EPERM, false),
            (Errno::EACCES, false),
            (Errno::ENOSYS, false),
            (Errno::ENOSPC, true),
        ] {
            let fake = Fake::new(1, &[1]);
            fake.fail(Call::PerfEventOpen, 0, errno);
            assert_eq!(probe(&fake).is_ok(), usable, "{errno}");
        }
        let fake = Fake::new(1, &[1]);
        assert_eq!((probe(&fake), fake.holdings()), (Ok(()), Holdings::default()));
    }
}
