//! Signals to traced processes.
//!
//! What is known of a hit is the number of its process, and when it was. By
//! the time the signal is sent the process may have ended and its number may
//! be another's. So a signal goes to a descriptor of the process, which stays
//! the same one's (pidfd_open(2)); and one that is opened after the hit counts
//! only if the process was there at the hit.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use crate::kernel::{Errno, Kernel};
use crate::launch::{self, EndWatch};
use crate::world::Signals;

/// Sends signals by way of the kernel.
pub struct Signaller {
    kernel: Rc<dyn Kernel>,
    own: u32,
    known: HashMap<u32, EndWatch>,
}

/// So many descriptors are kept.
const KNOWN_MAX: usize = 64;
/// A process that is not stopped after so many looks is busy in the kernel.
const STOP_LOOKS: u32 = 100;
const STOP_LOOK_EVERY: Duration = Duration::from_micros(200);
/// `/proc` counts time in these (USER_HZ, proc(5)).
const TICK_NS: u64 = 10_000_000;
/// How far two times may seem apart that are the same: both are rounded to
/// ticks. No number is given out again as soon as this.
const ROUNDING_NS: u64 = 2 * TICK_NS;

impl Signaller {
    /// For a session with this target, which is there now.
    pub fn new(kernel: &Rc<dyn Kernel>, target: Option<u32>) -> Self {
        let open = |pid| Some((pid, EndWatch::new(Rc::clone(kernel), pid).ok()?));
        Self {
            own: std::process::id(),
            known: target.and_then(open).into_iter().collect(),
            kernel: Rc::clone(kernel),
        }
    }

    /// Opens the process that had this number at `time`; none where it has
    /// ended.
    fn open(&self, pid: u32, time: u64) -> Result<Option<EndWatch>, Errno> {
        let process = match EndWatch::new(Rc::clone(&self.kernel), pid) {
            Ok(process) => process,
            Err(Errno::ESRCH) => return Ok(None),
            Err(errno) => return Err(errno),
        };
        // Where it can not be told it has ended meanwhile.
        let since = self.kernel.clock().saturating_sub(time);
        let age = self.age(pid);
        Ok(age.filter(|age| age + ROUNDING_NS >= since).map(|_| process))
    }

    /// Since when there is a process of this number, in nanoseconds.
    fn age(&self, pid: u32) -> Option<u64> {
        let stat = self.kernel.read_file(&format!("/proc/{pid}/stat"), 4096).ok()?;
        let uptime = self.kernel.read_file("/proc/uptime", 64).ok()?;
        let uptime: f64 =
            std::str::from_utf8(&uptime).ok()?.split(' ').next()?.parse().ok()?;
        Some(((uptime * 1e9) as u64).saturating_sub(started(&stat)?))
    }

    /// False where the process has ended.
    fn try_send(&mut self, pid: u32, time: u64, signal: i32) -> Result<bool, Errno> {
        if !self.known.contains_key(&pid) {
            let Some(process) = self.open(pid, time)? else { return Ok(false) };
            if self.known.len() >= KNOWN_MAX {
                self.known.clear();
            }
            self.known.insert(pid, process);
        }
        let Some(process) = self.known.get(&pid) else { return Ok(false) };
        match self.kernel.pidfd_send_signal(process.descriptor(), signal) {
            Err(Errno::ESRCH) => {
                self.known.remove(&pid);
                return Ok(false);
            }
            sent => sent?,
        }
        if signal == libc::SIGSTOP {
            self.wait_stopped(pid);
        }
        Ok(true)
    }

    /// Waits a moment for a process to be stopped, so that what is looked at next is what
    /// it stopped with.
    fn wait_stopped(&self, pid: u32) {
        for _ in 0..STOP_LOOKS {
            let stat = self.kernel.read_file(&format!("/proc/{pid}/stat"), 4096);
            let goes_on = |state: u8| matches!(state, b'R' | b'S' | b'D');
            if !stat.is_ok_and(|stat| launch::state(&stat).is_some_and(goes_on)) {
                return;
            }
            self.kernel.sleep(STOP_LOOK_EVERY);
        }
    }
}

impl Signals for Signaller {
    fn send(&mut self, pid: u32, time: u64, signal: i32) -> Result<(), String> {
        match pid {
            0 => return Err("there is no process to send a signal to".to_owned()),
            1 => return Err("process 1 is sent no signal: all others hang on it".into()),
            own if own == self.own => {
                return Err("hwtrace sends itself no signal".to_owned());
            }
            _ => {}
        }
        // The process that was known may have ended, and the hit be of another,
        // which got its number.
        let sent = match self.try_send(pid, time, signal) {
            Ok(false) => self.try_send(pid, time, signal),
            sent => sent,
        };
        match sent {
            Ok(_) => Ok(()),
            Err(Errno::EPERM) => {
                Err(format!("signal {signal} may not be sent to process {pid}"))
            }
            Err(errno) => {
                Err(format!("signal {signal} to process {pid}: {}", errno.desc()))
            }
        }
    }
}

/// When a process started, in nanoseconds since the machine did: field 22 of
/// `/proc/PID/stat`, the twentieth behind the name in parentheses.
fn started(stat: &[u8]) -> Option<u64> {
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let fields = std::str::from_utf8(stat.get(name_end + 1..)?).ok()?;
    let ticks: u64 = fields.split_whitespace().nth(19)?.parse().ok()?;
    Some(ticks.saturating_mul(TICK_NS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::fake::{Call, Fake, Holdings};

    const SECOND: u64 = 1_000_000_000;

    /// A machine that runs for 100 seconds, and process 40, which started at
    /// this second.
    fn machine(started: u64) -> (Rc<Fake>, Rc<dyn Kernel>) {
        let fake = Rc::new(Fake::new(1, &[]));
        fake.set_clock(100 * SECOND);
        fake.set_file("/proc/uptime", "100.00 55.12\n");
        let zeros = "0 ".repeat(18);
        let stat = format!("40 (a ) name) S {zeros}{} 0\n", started * 100);
        fake.set_file("/proc/40/stat", &stat);
        (fake.clone(), fake)
    }

    #[test]
    fn the_process_of_the_hit_is_sent_the_signal() {
        let (fake, kernel) = machine(90);
        let mut signaller = Signaller::new(&kernel, Some(7));
        assert_eq!(signaller.send(40, 90 * SECOND, 10), Ok(()));
        assert_eq!(signaller.send(7, 1, 19), Ok(()));
        assert_eq!(fake.killed(), [(40, false, 10), (7, false, 19)]);
        drop(signaller);
        assert_eq!(fake.holdings(), Holdings::default());
    }

    #[test]
    fn another_process_of_its_number_is_not() {
        let (fake, kernel) = machine(90);
        let mut signaller = Signaller::new(&kernel, None);
        assert_eq!(signaller.send(40, 89 * SECOND, 9), Ok(()));
        assert_eq!(signaller.send(41, 99 * SECOND, 9), Ok(()), "nobody has it");
        assert_eq!(fake.killed(), []);
        assert_eq!(fake.holdings(), Holdings::default());
    }

    #[test]
    fn a_number_given_out_again_is_the_new_process() {
        let (fake, kernel) = machine(90);
        let mut signaller = Signaller::new(&kernel, Some(40));
        fake.fail(Call::PidfdSendSignal, 0, Errno::ESRCH);
        assert_eq!(signaller.send(40, 95 * SECOND, 10), Ok(()));
        assert_eq!(fake.killed(), [(40, false, 10)]);
    }

    #[test]
    fn nobody_is_hit_by_mistake() {
        let (fake, kernel) = machine(0);
        let mut signaller = Signaller::new(&kernel, None);
        for pid in [0, 1, std::process::id()] {
            assert!(signaller.send(pid, 100 * SECOND, 9).is_err(), "{pid}");
        }
        fake.fail(Call::PidfdSendSignal, 0, Errno::EPERM);
        let why = signaller.send(40, 100 * SECOND, 9).expect_err("refused");
        assert_eq!(why, "signal 9 may not be sent to process 40");
        assert_eq!(fake.killed(), []);
    }

    #[test]
    fn hostile_status_tells_nothing() {
        assert_eq!(started(b"1 (x) S 1"), None);
        assert_eq!(started(b") "), None);
        assert_eq!(started(b""), None);
    }
}
