//! The stacks at one hit: what was captured of them, walked when a handler asks.

use super::known::Stack;
use super::{StackAt, Stacks};
use crate::event::{RawHit, Registers, UserStack};
use crate::plan::Space;
use crate::schema::HitRecord;

/// What was captured at a hit, and what came of it.
#[derive(Debug, Default)]
pub(super) struct AtHit {
    pid: u32,
    tid: u32,
    kernel: bool,
    mask: u64,
    registers: Vec<u64>,
    callers: Vec<u64>,
    bytes: Vec<u8>,
    /// The calls in the kernel.
    in_kernel: Vec<u64>,
    /// Whether the user's stack was walked already.
    walked: bool,
    image: u32,
    user: Vec<u64>,
    whole: bool,
    /// How many of the user's stacks could not be walked to their end.
    pub(super) cut: u64,
}

/// Fills a buffer anew.
fn copy<T: Copy>(to: &mut Vec<T>, from: &[T]) {
    to.clear();
    to.extend_from_slice(from);
}

impl AtHit {
    pub(super) fn set(&mut self, hit: &RawHit<'_>) {
        (self.pid, self.tid, self.kernel) = (hit.pid, hit.tid, hit.kernel);
        self.mask = hit.registers.mask;
        copy(&mut self.registers, hit.registers.values);
        copy(&mut self.callers, hit.user_stack.callers);
        copy(&mut self.bytes, hit.user_stack.bytes);
        copy(&mut self.in_kernel, hit.kernel_stack);
        self.walked = false;
    }

    /// The user's or the kernel's stack; none outside of hits, and none of the kernel
    /// where the process itself made the access.
    pub(super) fn stack(
        &mut self,
        who: &mut dyn Stacks,
        space: Space,
        record: &HitRecord,
    ) -> Stack<'_> {
        match space {
            _ if record.data_length == 0 => Stack::EMPTY,
            Space::User => {
                self.walk(who, record.address);
                let (image, whole) = (Some(self.image), self.whole);
                Stack { image, whole, addresses: &self.user }
            }
            Space::Kernel if record.user_mode != 0 => Stack::EMPTY,
            Space::Kernel => {
                // Where the engine does not know the calls, there is the instruction.
                if self.in_kernel.is_empty() && record.address != 0 {
                    self.in_kernel.push(record.address);
                }
                Stack { image: None, whole: true, addresses: &self.in_kernel }
            }
        }
    }

    /// Walks the user's stack, once a hit.
    fn walk(&mut self, who: &mut dyn Stacks, instruction: u64) {
        if self.walked {
            return;
        }
        self.walked = true;
        self.user.clear();
        let at = StackAt {
            pid: self.pid,
            tid: self.tid,
            instruction,
            kernel: self.kernel,
            registers: Registers { mask: self.mask, values: &self.registers },
            stack: UserStack { callers: &self.callers, bytes: &self.bytes },
        };
        self.whole = who.walk(&at, &mut self.user);
        self.image = who.image(self.pid);
        self.cut += u64::from(!self.whole);
    }
}
