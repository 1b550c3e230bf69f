//! Whether the engine can be used here, tried on our own thread.

use std::rc::Rc;

use crate::attr::{EventSpec, Features, Role, Sampled};
use crate::event::{Trigger, Watch};
use crate::kernel::{EVERY, Errno, Kernel};

/// Whether breakpoints can be had by way of perf: opens one on ourselves, where nothing
/// is.
///
/// # Errors
/// What perf_event_open(2) gives. That no register is free now is none.
pub fn probe(kernel: &Rc<dyn Kernel>) -> Result<(), Errno> {
    let watch = Watch { address: 8, length: 8, trigger: Trigger::Write };
    let role = Role::ThreadBreakpoint { watch, sampled: Sampled::ALL };
    let spec = EventSpec { role, features: Features::NONE };
    match kernel.perf_event_open(&spec, 0, EVERY) {
        Ok(event) => kernel.close(event),
        Err(Errno::ENOSPC | Errno::EBUSY) => {}
        Err(errno) => return Err(errno),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

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
            let fake = Rc::new(Fake::new(1, &[1]));
            fake.fail(Call::PerfEventOpen, 0, errno);
            let kernel: Rc<dyn Kernel> = fake;
            assert_eq!(probe(&kernel), usable.then_some(()).ok_or(errno));
        }
        let fake = Rc::new(Fake::new(1, &[1]));
        let kernel: Rc<dyn Kernel> = fake.clone();
        assert_eq!((probe(&kernel), fake.holdings()), (Ok(()), Holdings::default()));
    }
}
