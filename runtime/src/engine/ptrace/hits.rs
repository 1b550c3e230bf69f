//! What is reported of a thread that stands behind an access.

use super::debug::{self, Slot};
use super::proc;
use super::reports::Hit;
use super::tracer::Tracer;
use super::wire::Capture;
use crate::event::{AtHit, Watch};
use crate::kernel::UserRegisters;
use crate::plan::StackCapture;

/// Frames of a chain at most, as many as perf gives (kernel.perf_event_max_stack).
const FRAMES_MAX: usize = 127;

impl Tracer {
    /// Debug registers have hit: says so of each. One whose number was lost is that of
    /// the only one there is; of several nobody knows which, and it is lost.
    pub(super) fn hits(&mut self, tid: u32) {
        let Some(thread) = self.threads.get(&tid) else { return };
        let (all, pid) = (thread.registers, thread.pid);
        let status = self.kernel.debug_register(tid, debug::STATUS).unwrap_or(0);
        // Kernels before 5.10 add to what is there.
        let _ = self.kernel.set_debug_register(tid, debug::STATUS, 0);
        let mut hit: Vec<Slot> = all.hit(status).collect();
        if hit.is_empty() {
            match all.only() {
                Some(slot) => hit.push(slot),
                None => return self.lose(all.first()),
            }
        }
        let Ok(registers) = self.kernel.ptrace_registers(tid) else { return };
        for Slot { number, watch, .. } in hit {
            let memory = self.read(pid, &watch);
            let at_hit = AtHit { memory, ..AtHit::default() };
            self.report(tid, number, Hit { registers, at_hit, ..Hit::default() });
            if !self.acts.is_empty() {
                self.keep_value(pid, &watch, memory);
            }
        }
    }

    /// A hit is lost, and counted for a watch that it may have been of.
    fn lose(&mut self, of: Option<Slot>) {
        if let Some(slot) = of {
            self.know_watches(slot.number + 1);
            self.watches[slot.number].counted += 1;
            self.reports.lose(1);
        }
    }

    /// Counts a hit and reports it. Of `hit` thread, process and place are filled in.
    pub(super) fn report(&mut self, tid: u32, number: usize, hit: Hit<'_>) {
        let Some(pid) = self.threads.get(&tid).map(|thread| thread.pid) else { return };
        let time = self.kernel.clock();
        self.know_watches(number + 1);
        self.watches[number].counted += 1;
        let (ip, registers) = (hit.registers.ip(), hit.registers);
        let Capture { cpu, stack, acts } =
            self.captures.get(number).copied().unwrap_or_default();
        self.look_at(tid, stack.is_none().then_some(ip), time);
        let cpu = if cpu { proc::cpu(&*self.kernel, tid) } else { 0 };
        let (callers, stack) = self.stack(pid, &registers, stack.unwrap_or_default());
        let (callers, stack) = (&callers[..], &stack[..]);
        let watch = number as u32;
        let mut hit = Hit { watch, pid, tid, cpu, ip, callers, stack, ..hit };
        if acts {
            hit.at_hit.acted = self.act(number, &hit);
        }
        self.reports.hit(&*self.kernel, time, &hit);
    }

    /// The value of a watch; none where it can not be read.
    pub(super) fn read(&self, pid: u32, watch: &Watch) -> Option<u64> {
        let mut bytes = [0; 8];
        let length = watch.length as usize;
        let place = bytes.get_mut(..length)?;
        let read = self.kernel.read_memory(pid, watch.address, place);
        (read == Ok(length)).then(|| u64::from_le_bytes(bytes))
    }

    /// What is asked for of the stack: the chain of frame pointers, and memory from the
    /// stack pointer on.
    fn stack(
        &self,
        pid: u32,
        registers: &UserRegisters,
        wanted: StackCapture,
    ) -> (Vec<u64>, Vec<u64>) {
        let mut callers = Vec::new();
        if wanted.callers {
            callers.push(registers.ip());
            let mut frame = registers.general[6];
            while callers.len() < FRAMES_MAX
                && let [Some(outer), Some(caller)] = self.frame(pid, frame)
                && caller != 0
            {
                callers.push(caller);
                if outer <= frame {
                    break;
                }
                frame = outer;
            }
        }
        let mut bytes = vec![0; wanted.bytes as usize];
        let read = match bytes.is_empty() {
            true => 0,
            false => {
                self.kernel.read_memory(pid, registers.sp(), &mut bytes).unwrap_or(0)
            }
        };
        let (words, _) = bytes[..read].as_chunks::<8>();
        (callers, words.iter().map(|word| u64::from_ne_bytes(*word)).collect())
    }

    /// The two words at a frame pointer.
    fn frame(&self, pid: u32, address: u64) -> [Option<u64>; 2] {
        let mut bytes = [0; 16];
        let read = self.kernel.read_memory(pid, address, &mut bytes);
        let (words, _) = bytes.as_chunks::<8>();
        let word = |place: usize| {
            (read == Ok(bytes.len())).then(|| u64::from_ne_bytes(words[place]))
        };
        [word(0), word(1)]
    }
}
