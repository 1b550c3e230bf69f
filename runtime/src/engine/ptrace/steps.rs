//! Accesses found by single steps: what each instruction is about to touch is told from
//! the registers before it. What no operand tells, as what a system call stores, is
//! found by comparing memory.

use super::reports::Hit;
use super::tracer::{At, Map, Method, Thread, Tracer};
use crate::access::{Operands, Touched};
use crate::engine::ptrace::debug::Slot;
use crate::event::{AtHit, Told, Trigger, Watch};
use crate::kernel::{TRAP_FLAG, UserRegisters};
use crate::schema::AccessKind;

/// Bytes of an instruction at most (SDM vol. 2A, "Instruction Prefixes").
const INSTRUCTION: usize = 15;
/// So many instructions are remembered; one more empties the cache.
const REMEMBERED_MAX: usize = 1 << 16;

/// What a system call leaves in RAX that is interrupted and will be made again
/// (include/linux/errno.h: ERESTARTSYS and its like).
const RESTARTS: std::ops::RangeInclusive<i64> = -516..=-512;
/// What the kernel has in RAX while it is in a system call (arch/x86/entry/entry_64.S).
const NOT_YET: u64 = -(libc::ENOSYS as i64) as u64;

/// Decodes instructions, and counts steps.
#[derive(Debug, Default)]
pub(super) struct Stepper {
    known: Map<(u32, u64), ([u8; INSTRUCTION], Operands)>,
    pub(super) steps: u64,
}

impl Stepper {
    /// A process has other code.
    pub(super) fn forget(&mut self, pid: u32) {
        self.known.retain(|(owner, _), _| *owner != pid);
    }

    /// The instruction of these bytes, as they are at the moment.
    fn decode(&mut self, pid: u32, ip: u64, bytes: &[u8]) -> &Operands {
        let mut whole = [0; INSTRUCTION];
        whole[..bytes.len()].copy_from_slice(bytes);
        let key = (pid, ip);
        if self.known.len() >= REMEMBERED_MAX && !self.known.contains_key(&key) {
            self.known.clear();
        }
        let decode = || (whole, Operands::of(bytes, ip));
        let known = self.known.entry(key).or_insert_with(decode);
        if known.0 != whole {
            *known = decode();
        }
        &known.1
    }
}

/// An instruction that is about to be executed.
#[derive(Debug, Default)]
pub(super) struct Step {
    before: UserRegisters,
    /// Watches that it will touch, with what they hold.
    touches: Vec<Touch>,
    /// The system call that it is.
    syscall: Option<u32>,
    /// Whether memory is to be compared.
    compares: bool,
    stores_flags: bool,
    may_stay: bool,
}

#[derive(Clone, Copy, Debug)]
struct Touch {
    number: usize,
    watch: Watch,
    kind: AccessKind,
    /// Whether it covers all watched bytes.
    covers: bool,
    old: Option<u64>,
}

impl Tracer {
    /// Looks what the next instruction of a stopped thread will touch. Where a step was
    /// begun and did not come to its end, since a signal was first, it still is that.
    pub(super) fn prepare_step(&mut self, tid: u32) {
        let Some(thread) = self.threads.get(&tid).filter(|it| it.step.is_none()) else {
            return;
        };
        let pid = thread.pid;
        let Ok(mut before) = self.kernel.ptrace_registers(tid) else { return };
        if before.flags() & TRAP_FLAG != 0 {
            before.general[9] &= !TRAP_FLAG;
            // One that was killed needs them no more.
            let _ = self.kernel.ptrace_set_flags(tid, before.flags());
        }
        let restarts = RESTARTS.contains(&before.general[0].cast_signed());
        let step = match before.syscall.cast_signed() >= 0 && restarts {
            true => Step {
                before,
                syscall: Some(before.syscall as u32),
                compares: true,
                ..Step::default()
            },
            false => self.next_step(tid, pid, before),
        };
        if let Some(thread) = self.threads.get_mut(&tid) {
            thread.step = Some(step);
        }
    }

    /// A watch is elsewhere now: instructions that were about to be executed do not hit
    /// where it was.
    pub(super) fn forget_touches(&mut self, pid: u32, number: usize) {
        let threads = self.threads.values_mut().filter(|thread| thread.pid == pid);
        for step in threads.filter_map(|thread| thread.step.as_mut()) {
            step.touches.retain(|touch| touch.number != number);
        }
    }

    fn next_step(&mut self, tid: u32, pid: u32, before: UserRegisters) -> Step {
        let mut bytes = [0; INSTRUCTION];
        let ip = before.ip();
        let read = self.kernel.read_memory(pid, ip, &mut bytes).unwrap_or(0);
        let Method::Steps(stepper) = &mut self.method else {
            return Step::default();
        };
        let operands = stepper.decode(pid, ip, &bytes[..read]);
        let touched: Vec<_> = operands.touched(&before).collect();
        let mut step = Step {
            before,
            touches: Vec::new(),
            syscall: operands.is_syscall.then_some(before.general[0] as u32),
            compares: operands.is_syscall || operands.is_partial,
            stores_flags: operands.stores_flags,
            may_stay: operands.may_stay,
        };
        if !touched.is_empty() && !step.compares {
            step.touches = self.touches(tid, &touched);
        }
        for touch in &mut step.touches {
            touch.old = self.read(pid, &touch.watch);
        }
        step
    }

    /// The watches that are touched. One that several operands touch is touched once.
    fn touches(&self, tid: u32, touched: &[Touched]) -> Vec<Touch> {
        let touch = |Slot { number, watch, on }: Slot| {
            let fires = |it: &&Touched| {
                let stores = it.kind != AccessKind::Read;
                (stores || watch.trigger == Trigger::ReadWrite)
                    && it.overlaps(watch.address, watch.length)
            };
            let mut hits = touched.iter().filter(|_| on).filter(fires);
            let first = hits.next()?;
            let mut touch = Touch {
                number,
                watch,
                kind: first.kind,
                covers: first.covers(watch.address, watch.length),
                old: None,
            };
            for more in hits {
                touch.covers &= more.covers(watch.address, watch.length);
                if more.kind != touch.kind {
                    touch.kind = AccessKind::Update;
                }
            }
            Some(touch)
        };
        self.watches_of(tid).filter_map(touch).collect()
    }

    /// A thread has made a step.
    pub(super) fn stepped(&mut self, tid: u32) {
        if let Method::Steps(stepper) = &mut self.method {
            stepper.steps += 1;
        }
        let Some(thread) = self.threads.get_mut(&tid) else { return };
        let (pid, Some(step)) = (thread.pid, thread.step.take()) else { return };
        let needs_registers =
            step.compares || step.stores_flags || !step.touches.is_empty();
        if !needs_registers {
            return;
        }
        let Ok(mut after) = self.kernel.ptrace_registers(tid) else { return };
        after.general[9] &= !TRAP_FLAG;
        if after.ip() == step.before.ip() && !step.may_stay && step.syscall.is_none() {
            // It stopped before it, for another reason.
            return;
        }
        if step.stores_flags {
            self.hide_trap_flag(tid, pid, &after);
        }
        let alone = self.threads.values().filter(|other| other.pid == pid).count() == 1;
        for touch in &step.touches {
            self.touched(tid, pid, touch, (&step.before, &after), alone);
        }
        if step.compares {
            self.compare(tid, pid, &step, &after);
        }
    }

    fn touched(
        &mut self,
        tid: u32,
        pid: u32,
        touch: &Touch,
        (before, after): (&UserRegisters, &UserRegisters),
        alone: bool,
    ) {
        let Touch { number, watch, kind, covers, old } = *touch;
        let memory = self.read(pid, &watch);
        let told = memory.filter(|_| covers && alone).map(|new| Told {
            instruction: before.ip(),
            kind,
            new,
            exact: true,
        });
        let at_hit = AtHit { old, old_read: !alone, memory, told, ..AtHit::default() };
        self.report(tid, number, Hit { registers: *after, at_hit, ..Hit::default() });
        self.remember(pid, &watch);
    }

    /// Reports what was changed by an instruction that does not tell what it touches.
    fn compare(&mut self, tid: u32, pid: u32, step: &Step, after: &UserRegisters) {
        let watches: Vec<_> = self.watches_of(tid).filter(|slot| slot.on).collect();
        for Slot { number, watch, .. } in watches {
            if self.is_touched_by_others(tid, pid, &watch) {
                continue;
            }
            let place = (watch.address, watch.length);
            let process = self.processes.get(&pid);
            let old = process.and_then(|process| process.values.get(&place).copied());
            let memory = self.read(pid, &watch);
            self.remember(pid, &watch);
            if old.is_none() || old == memory || memory.is_none() {
                continue;
            }
            let at_hit = AtHit { old, old_read: true, memory, ..AtHit::default() };
            let mut registers = *after;
            if step.syscall.is_some() {
                // As the thread entered the kernel.
                registers = step.before;
                registers.general[0] = NOT_YET;
            }
            let (kernel, syscall) = (step.syscall.is_some(), step.syscall);
            self.report(
                tid,
                number,
                Hit { registers, at_hit, kernel, syscall, ..Hit::default() },
            );
        }
        if let Some(number) = step.syscall {
            self.called(tid, pid, number, step.before.general[3]);
        }
    }

    /// Whether another thread is at an instruction that touches the bytes: what is there
    /// now may be of that one, which tells of it.
    fn is_touched_by_others(&self, tid: u32, pid: u32, watch: &Watch) -> bool {
        let touches = |thread: &Thread| {
            let step = thread.step.as_ref().filter(|_| thread.at == At::Running);
            step.is_some_and(|step| {
                step.touches.iter().any(|touch| touch.watch == *watch)
            })
        };
        let mut others = self.threads.iter();
        others.any(|(other, it)| *other != tid && it.pid == pid && touches(it))
    }

    /// The flags that the program stored have the bit that makes it step: it is not to
    /// see that, nor to load it later, when nobody traces it.
    fn hide_trap_flag(&mut self, tid: u32, pid: u32, after: &UserRegisters) {
        let mut word = [0; 8];
        if self.kernel.read_memory(pid, after.sp(), &mut word) == Ok(word.len()) {
            let flags = u64::from_le_bytes(word) & !TRAP_FLAG;
            // Its own stack, which it has just written.
            let _ = self.kernel.ptrace_write(tid, after.sp(), flags);
        }
    }
}
