//! The memory of a process, as resolving reads it.

use super::tls;
use crate::address::AbsAddr;

/// Memory of one process, and of its threads.
pub trait Memory {
    /// Fills `bytes` from an address; gives how many could be read, from the start.
    fn read(&mut self, address: AbsAddr, bytes: &mut [u8]) -> usize;

    /// The head of a thread's list of robust futexes (get_robust_list(2)); none where
    /// it has none or may not be asked.
    fn robust_list(&mut self, tid: u32) -> Option<AbsAddr>;

    /// The thread pointer (`%fs` of x86-64) of a thread, found without stopping it. None
    /// where that is not possible.
    fn thread_pointer(&mut self, tid: u32) -> Option<AbsAddr> {
        let head = self.robust_list(tid)?;
        tls::find_thread_pointer(self, head)
    }
}

/// Reads a word; none where not all of it can be read.
pub(super) fn word(memory: &mut (impl Memory + ?Sized), address: AbsAddr) -> Option<u64> {
    let mut bytes = [0; 8];
    let read = memory.read(address, &mut bytes);
    (read == bytes.len()).then(|| u64::from_le_bytes(bytes))
}
