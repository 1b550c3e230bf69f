//! What events hwtrace opens, and the only writer of `perf_event_attr`.
//!
//! Everything above describes an event by an [`EventSpec`]; the kernel's
//! structure, with its unions and hundred bits, is filled in here alone.
//! Source of each field: perf_event_open(2) and
//! include/uapi/linux/perf_event.h.

use perf_event_open_sys::bindings as sys;

use crate::event::{Trigger, Watch};
use crate::plan::{Plan, StackCapture};

/// What every sample holds: identifier, instruction pointer, process and thread,
/// and time. The identifier comes first, where a reader that knows nothing of the
/// event finds it, and the time at the same place in all.
const ALWAYS: u64 = sys::PERF_SAMPLE_IDENTIFIER as u64
    | sys::PERF_SAMPLE_IP as u64
    | sys::PERF_SAMPLE_TID as u64
    | sys::PERF_SAMPLE_TIME as u64;

/// What a sample holds without stacks at most: besides CPU and user registers.
pub const SAMPLE_TYPE: u64 =
    ALWAYS | sys::PERF_SAMPLE_CPU as u64 | sys::PERF_SAMPLE_REGS_USER as u64;

/// The sixteen general registers of x86-64, AX to SP and R8 to R15, and FLAGS,
/// which tells what conditional instructions did; as bits of
/// arch/x86/include/uapi/asm/perf_regs.h.
pub const REGISTERS: u64 = 0xff_02ff;

/// And what a stack is walked with: the instruction pointer besides.
pub const STACK_REGISTERS: u64 = REGISTERS | 1 << 8;

/// Addresses that a chain of calls has at most, unless kernel.perf_event_max_stack says
/// less (include/uapi/linux/perf_event.h, `PERF_MAX_STACK_DEPTH`).
pub const CALLS_MAX: usize = 127;

/// What tells whether a string instruction goes on (SDM vol. 2B, REP): CX, SI, DI and
/// FLAGS.
const REPEAT_REGISTERS: u64 = 0x234;

/// What of a hit is sampled, as far as it is not always. Each word costs the target
/// time at each hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampled {
    /// The CPU.
    pub cpu: bool,
    /// The first watched byte: of a register that watches take turns on, or that moves.
    pub address: bool,
    /// User registers, one bit each.
    pub registers: u64,
    /// The calls in the kernel that led to the access, of hits there.
    pub kernel_stack: bool,
    /// The user's chain of frame pointers.
    pub callers: bool,
    /// Bytes of the user's stack; 0 for none.
    pub stack_bytes: u32,
}

impl Sampled {
    /// Everything but stacks.
    pub const ALL: Self = Self {
        cpu: true,
        address: false,
        registers: REGISTERS,
        kernel_stack: false,
        callers: false,
        stack_bytes: 0,
    };

    /// What a plan needs. Whether it is a part of an access is always needed.
    pub fn of(plan: &Plan) -> Self {
        let Plan { needs, stack, .. } = plan;
        let registers = match needs.access || needs.registers {
            true => REGISTERS,
            false => REPEAT_REGISTERS,
        };
        let few = Self { cpu: needs.cpu, address: plan.moves, registers, ..Self::ALL };
        let sampled = Self { kernel_stack: needs.kernel_stack, ..few };
        match needs.user_stack {
            true => Self {
                registers: STACK_REGISTERS,
                callers: stack.callers,
                stack_bytes: stack.bytes.min(StackCapture::BYTES_MAX) & !7,
                ..sampled
            },
            false => sampled,
        }
    }

    /// The same of a watch on the kernel's data, of which everything is sampled but
    /// the user's stack.
    #[must_use]
    pub fn in_kernel(self) -> Self {
        let registers = self.registers | REGISTERS;
        Self { cpu: true, registers, kernel_stack: true, ..self }
    }

    /// What both need.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            cpu: self.cpu || other.cpu,
            address: self.address || other.address,
            registers: self.registers | other.registers,
            kernel_stack: self.kernel_stack || other.kernel_stack,
            callers: self.callers || other.callers,
            stack_bytes: self.stack_bytes.max(other.stack_bytes),
        }
    }

    /// The kernel's bits.
    pub fn sample_type(&self) -> u64 {
        let asked = [
            (self.cpu, sys::PERF_SAMPLE_CPU),
            (self.address, sys::PERF_SAMPLE_ADDR),
            (self.kernel_stack || self.callers, sys::PERF_SAMPLE_CALLCHAIN),
            (self.stack_bytes > 0, sys::PERF_SAMPLE_STACK_USER),
        ];
        let asked = asked.iter().filter(|it| it.0).map(|it| u64::from(it.1));
        asked.fold(ALWAYS | u64::from(sys::PERF_SAMPLE_REGS_USER), |bits, bit| bits | bit)
    }

    /// Writes it down.
    fn ask(&self, attr: &mut sys::perf_event_attr) {
        attr.sample_type = self.sample_type();
        attr.sample_regs_user = self.registers;
        attr.sample_stack_user = self.stack_bytes;
        attr.set_exclude_callchain_kernel((!self.kernel_stack).into());
        attr.set_exclude_callchain_user((!self.callers).into());
    }
}

/// What the running kernel takes, found out once by [`crate::engine::perf`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// `remove_on_exec` (Linux 5.13): an address means nothing in the next
    /// image, so its watch must not live on there.
    pub remove_on_exec: bool,
    /// PERF_FORMAT_LOST (Linux 6.0): each event counts its lost records.
    pub format_lost: bool,
    /// Whether we may see what the kernel does on a thread's behalf:
    /// CAP_PERFMON, or kernel.perf_event_paranoid at most 1.
    pub kernel_hits: bool,
}

impl Features {
    /// All there is.
    pub const ALL: Self =
        Self { remove_on_exec: true, format_lost: true, kernel_hits: true };
    /// What every kernel has and everybody may.
    pub const NONE: Self =
        Self { remove_on_exec: false, format_lost: false, kernel_hits: false };
}

/// The part that an event plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Opened on hwtrace itself and closed again, to see whether the kernel
    /// takes the features: a software event that asks for all of them.
    Probe,
    /// Owns a CPU's ring and never counts: a software event on hwtrace
    /// itself, so that the ring's life hangs on no thread of the target.
    RingOwner {
        /// Bytes of unread records from which on readers are woken.
        watermark: u32,
    },
    /// Reports names, births, ends and mappings of a thread and of those it
    /// creates. Apart from the breakpoints, for two reasons: a lost sideband
    /// record must not count among a breakpoint's lost hits, and an exec
    /// removes the breakpoints before it reports the new name.
    Sideband,
    /// The same of every task there is, opened for all of them on one CPU.
    SystemSideband,
    /// Reports nothing, and tells by its end that nobody is left of those who inherited it
    /// and the programmed events that were opened with it.
    Witness {
        /// Whether it is for one thread alone, as [`Role::ThreadBreakpoint`].
        own: bool,
    },
    /// Keeps the events of a thread with it while they are opened: as long as it has one
    /// that nobody inherits, the kernel does not have it change places with whom it
    /// creates (kernel/events/core.c, `perf_event_init_context`, `context_equiv`). Counts
    /// nothing.
    Anchor,
    /// Reports every access to a watched range.
    Breakpoint {
        /// The range.
        watch: Watch,
        /// What its samples hold.
        sampled: Sampled,
    },
    /// The same for one thread alone: what it creates does not inherit it.
    /// For data of which each thread has its own.
    ThreadBreakpoint {
        /// The range.
        watch: Watch,
        /// What its samples hold.
        sampled: Sampled,
    },
    /// Has a BPF program run at every access to a watched range, and reports
    /// nothing itself.
    Programmed {
        /// The range.
        watch: Watch,
        /// Whether it is for one thread alone, as [`Role::ThreadBreakpoint`].
        own: bool,
    },
    /// Reports every access to a range of the kernel's memory, by whichever
    /// task on one CPU, with the calls that led there.
    KernelBreakpoint {
        /// The range.
        watch: Watch,
        /// What its samples hold, besides the registers of the interrupted code.
        sampled: Sampled,
    },
    /// Stops a thread with SIGTRAP before it executes an instruction. Goes with
    /// exec, as the kernel demands of such events.
    Trap {
        /// The instruction's first byte.
        address: u64,
    },
}

impl Role {
    /// What it watches; None for a role that watches nothing.
    pub fn watch(&self) -> Option<Watch> {
        match *self {
            Self::Breakpoint { watch, .. }
            | Self::ThreadBreakpoint { watch, .. }
            | Self::Programmed { watch, .. }
            | Self::KernelBreakpoint { watch, .. } => Some(watch),
            Self::Probe
            | Self::RingOwner { .. }
            | Self::Sideband
            | Self::SystemSideband
            | Self::Witness { .. }
            | Self::Anchor
            | Self::Trap { .. } => None,
        }
    }

    /// What its samples hold; none for a role that has none.
    pub fn sampled(&self) -> Option<Sampled> {
        match *self {
            Self::Breakpoint { sampled, .. }
            | Self::ThreadBreakpoint { sampled, .. }
            | Self::KernelBreakpoint { sampled, .. } => Some(sampled),
            _ => None,
        }
    }

    /// Which fields its records have, and which registers are in its samples.
    pub fn fields(&self) -> (u64, u64) {
        let Some(sampled) = self.sampled() else { return (SAMPLE_TYPE, REGISTERS) };
        let interrupted = match self {
            Self::KernelBreakpoint { .. } => u64::from(sys::PERF_SAMPLE_REGS_INTR),
            _ => 0,
        };
        (sampled.sample_type() | interrupted, sampled.registers)
    }

    /// The same role, of a watch at another address.
    #[must_use]
    pub fn moved_to(self, address: u64) -> Self {
        match self.watch() {
            Some(watch) => self.of(Watch { address, ..watch }),
            None => self,
        }
    }

    /// The same role, of another watch; of one that watches nothing the same.
    #[must_use]
    pub fn of(self, watch: Watch) -> Self {
        match self {
            Self::Breakpoint { sampled, .. } => Self::Breakpoint { watch, sampled },
            Self::ThreadBreakpoint { sampled, .. } => {
                Self::ThreadBreakpoint { watch, sampled }
            }
            Self::Programmed { own, .. } => Self::Programmed { watch, own },
            Self::KernelBreakpoint { sampled, .. } => {
                Self::KernelBreakpoint { watch, sampled }
            }
            other => other,
        }
    }
}

/// An event to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventSpec {
    /// Its part.
    pub role: Role,
    /// What the kernel takes.
    pub features: Features,
}

impl EventSpec {
    /// Whether threads and processes created later inherit the event.
    pub fn inherit(&self) -> bool {
        match self.role {
            Role::Sideband | Role::Breakpoint { .. } => true,
            Role::Programmed { own, .. } | Role::Witness { own } => !own,
            _ => false,
        }
    }

    /// The kernel's structure for an event that is open already and is to be as
    /// described from now on, at work or not. All that the kernel does not let
    /// change must be as it was when the event was opened.
    pub fn to_changed_attr(&self, on: bool) -> sys::perf_event_attr {
        let mut attr = self.to_attr();
        attr.set_disabled((!on).into());
        attr
    }

    /// The kernel's structure. Every event starts disabled.
    pub fn to_attr(&self) -> sys::perf_event_attr {
        let mut attr = self.common();
        match self.role {
            Role::Probe => {
                software_dummy(&mut attr);
                self.features_of_breakpoints(&mut attr);
            }
            Role::RingOwner { watermark } => {
                software_dummy(&mut attr);
                attr.__bindgen_anon_2.wakeup_watermark = watermark;
            }
            Role::Sideband | Role::SystemSideband => {
                software_dummy(&mut attr);
                sideband(&mut attr);
            }
            Role::Anchor => software_dummy(&mut attr),
            Role::Witness { .. } => {
                software_dummy(&mut attr);
                attr.set_remove_on_exec(self.features.remove_on_exec.into());
            }
            Role::Breakpoint { watch, sampled }
            | Role::ThreadBreakpoint { watch, sampled } => {
                breakpoint(&mut attr, watch);
                sampled.ask(&mut attr);
                self.features_of_breakpoints(&mut attr);
            }
            Role::Programmed { watch, .. } => {
                breakpoint(&mut attr, watch);
                self.features_of_breakpoints(&mut attr);
                // The kernel gathers what a sample would hold before it runs the
                // program, also where there is to be no sample.
                attr.sample_type = 0;
                attr.sample_regs_user = 0;
            }
            Role::KernelBreakpoint { watch, sampled } => {
                breakpoint(&mut attr, watch);
                sampled.ask(&mut attr);
                let (fields, registers) = self.role.fields();
                attr.sample_type = fields;
                attr.sample_regs_intr = registers;
            }
            Role::Trap { address } => trap(&mut attr, address),
        }
        attr.set_inherit(self.inherit().into());
        attr
    }

    fn features_of_breakpoints(&self, attr: &mut sys::perf_event_attr) {
        attr.set_exclude_kernel((!self.features.kernel_hits).into());
        attr.set_remove_on_exec(self.features.remove_on_exec.into());
    }

    /// What all events have in common: one clock, so that they may share a
    /// ring, and a time at a known place in each record.
    fn common(&self) -> sys::perf_event_attr {
        let mut attr = sys::perf_event_attr {
            size: size_of::<sys::perf_event_attr>() as u32,
            sample_type: SAMPLE_TYPE,
            sample_regs_user: REGISTERS,
            read_format: u64::from(sys::PERF_FORMAT_ID),
            clockid: libc::CLOCK_MONOTONIC,
            ..Default::default()
        };
        if self.features.format_lost {
            attr.read_format |= u64::from(sys::PERF_FORMAT_LOST);
        }
        attr.set_disabled(1);
        attr.set_exclude_hv(1);
        attr.set_use_clockid(1);
        attr.set_sample_id_all(1);
        // The ring's owner says when to wake; no event wakes by its hits.
        attr.set_watermark(1);
        attr
    }
}

/// Makes it an event that happens never.
fn software_dummy(attr: &mut sys::perf_event_attr) {
    attr.type_ = sys::PERF_TYPE_SOFTWARE;
    attr.config = u64::from(sys::PERF_COUNT_SW_DUMMY);
    // Nothing is counted; asking for kernel events would need a privilege.
    attr.set_exclude_kernel(1);
}

/// Has it report what becomes of tasks.
fn sideband(attr: &mut sys::perf_event_attr) {
    attr.set_comm(1);
    attr.set_comm_exec(1);
    attr.set_task(1);
    // Executable mappings, with the longer record (mmap2).
    attr.set_mmap(1);
    attr.set_mmap2(1);
}

/// Makes it a breakpoint on an instruction that stops the thread there, by a
/// SIGTRAP of its own kind (TRAP_PERF), synchronously.
fn trap(attr: &mut sys::perf_event_attr, address: u64) {
    attr.type_ = sys::PERF_TYPE_BREAKPOINT;
    attr.__bindgen_anon_1.sample_period = 1;
    attr.bp_type = sys::HW_BREAKPOINT_X;
    attr.__bindgen_anon_3.bp_addr = address;
    // The one length that x86 takes, whatever the instruction's
    // (arch/x86/kernel/hw_breakpoint.c, `arch_build_bp_info`).
    attr.__bindgen_anon_4.bp_len = size_of::<libc::c_long>() as u64;
    attr.set_sigtrap(1);
    attr.set_remove_on_exec(1);
    attr.set_exclude_kernel(1);
}

/// Makes it a hardware breakpoint that samples each hit.
fn breakpoint(attr: &mut sys::perf_event_attr, watch: Watch) {
    attr.__bindgen_anon_1.sample_period = 1;
    attr.type_ = sys::PERF_TYPE_BREAKPOINT;
    attr.bp_type = match watch.trigger {
        Trigger::Write => sys::HW_BREAKPOINT_W,
        Trigger::ReadWrite => sys::HW_BREAKPOINT_RW,
    };
    attr.__bindgen_anon_3.bp_addr = watch.address;
    attr.__bindgen_anon_4.bp_len = u64::from(watch.length);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Needs;

    fn spec(role: Role) -> sys::perf_event_attr {
        EventSpec { role, features: Features::ALL }.to_attr()
    }

    #[test]
    fn breakpoints_sample_each_hit_and_go_with_exec() {
        let watch = Watch { address: 0x1000, length: 4, trigger: Trigger::Write };
        let attr = spec(Role::Breakpoint { watch, sampled: Sampled::ALL });
        assert_eq!(attr.type_, sys::PERF_TYPE_BREAKPOINT);
        assert_eq!(attr.bp_type, sys::HW_BREAKPOINT_W);
        assert_eq!((attr.disabled(), attr.inherit(), attr.task()), (1, 1, 0));
        assert_eq!((attr.remove_on_exec(), attr.exclude_kernel()), (1, 0));
        assert_eq!(attr.sample_regs_user.count_ones(), 17, "and FLAGS");
    }

    #[test]
    fn only_the_sideband_reports_tasks_and_it_outlives_exec() {
        let attr = spec(Role::Sideband);
        assert_eq!((attr.task(), attr.comm(), attr.mmap2()), (1, 1, 1));
        assert_eq!((attr.inherit(), attr.remove_on_exec()), (1, 0));
        let owner = spec(Role::RingOwner { watermark: 4096 });
        assert_eq!((owner.task(), owner.inherit()), (0, 0));
    }

    #[test]
    fn only_what_tasks_pass_on_is_inherited() {
        let watch = Watch { address: 0x1000, length: 8, trigger: Trigger::Write };
        let own = spec(Role::ThreadBreakpoint { watch, sampled: Sampled::ALL });
        assert_eq!((own.inherit(), own.remove_on_exec()), (0, 1));
        let kernel =
            spec(Role::KernelBreakpoint { watch, sampled: Sampled::ALL.in_kernel() });
        assert_eq!((kernel.inherit(), kernel.remove_on_exec()), (0, 0));
        assert_eq!((kernel.exclude_kernel(), kernel.exclude_callchain_user()), (0, 1));
        let trap = spec(Role::Trap { address: 0x401000 });
        assert_eq!((trap.inherit(), trap.sigtrap(), trap.remove_on_exec()), (0, 1, 1));
        assert_eq!(spec(Role::SystemSideband).inherit(), 0);
        let programmed = |own| spec(Role::Programmed { watch, own });
        assert_eq!((programmed(false).inherit(), programmed(true).inherit()), (1, 0));
        assert_eq!((programmed(false).sample_type, programmed(false).type_), (0, 5));
    }

    #[test]
    fn stacks_are_asked_for_as_the_plan_says() {
        let watch = Watch { address: 0x1000, length: 8, trigger: Trigger::Write };
        let plan = |callers, bytes, kernel_stack| Plan {
            needs: Needs {
                user_stack: callers || bytes > 0,
                kernel_stack,
                ..Needs::NONE
            },
            stack: StackCapture { callers, bytes },
            ..Plan::default()
        };
        let asked = |plan: &Plan| {
            let attr = spec(Role::Breakpoint { watch, sampled: Sampled::of(plan) });
            let chain = attr.sample_type & u64::from(sys::PERF_SAMPLE_CALLCHAIN) != 0;
            let bytes = attr.sample_type & u64::from(sys::PERF_SAMPLE_STACK_USER) != 0;
            assert_eq!(bytes, attr.sample_stack_user > 0);
            let without =
                [attr.exclude_callchain_user(), attr.exclude_callchain_kernel()];
            (chain.then_some(without), attr.sample_stack_user, attr.sample_regs_user)
        };
        assert_eq!(asked(&plan(false, 0, false)), (None, 0, REPEAT_REGISTERS));
        assert_eq!(asked(&plan(true, 0, false)), (Some([0, 1]), 0, STACK_REGISTERS));
        assert_eq!(asked(&plan(false, 4096, false)), (None, 4096, STACK_REGISTERS));
        assert_eq!(asked(&plan(false, 0, true)), (Some([1, 0]), 0, REPEAT_REGISTERS));
        let all = plan(true, u32::MAX, true);
        assert_eq!(
            asked(&all),
            (Some([0, 0]), StackCapture::BYTES_MAX, STACK_REGISTERS),
            "no more than the kernel takes"
        );
        let sampled = Sampled::of(&plan(true, 8, false)).in_kernel();
        let kernel = spec(Role::KernelBreakpoint { watch, sampled });
        assert_eq!((kernel.sample_stack_user, kernel.exclude_callchain_kernel()), (8, 0));
        assert_eq!(kernel.sample_regs_intr, STACK_REGISTERS);
    }

    /// The kernel refuses a change of anything but the watch and its state.
    #[test]
    fn a_moved_watch_differs_in_its_address_alone() {
        let watch = Watch { address: 0x1000, length: 8, trigger: Trigger::Write };
        let role = Role::Breakpoint { watch, sampled: Sampled::ALL };
        let moved = EventSpec { role: role.moved_to(0x2000), features: Features::ALL };
        let mut back = moved.to_changed_attr(true);
        assert_eq!(back.disabled(), 0);
        back.set_disabled(1);
        back.__bindgen_anon_3.bp_addr = 0x1000;
        assert_eq!(format!("{back:?}"), format!("{:?}", spec(role)));
    }

    #[test]
    fn old_kernels_are_asked_for_nothing_new() {
        let features = Features::NONE;
        let watch = Watch { address: 0x1000, length: 8, trigger: Trigger::ReadWrite };
        let role = Role::Breakpoint { watch, sampled: Sampled::ALL };
        let attr = EventSpec { role, features }.to_attr();
        assert_eq!(attr.read_format, u64::from(sys::PERF_FORMAT_ID));
        assert_eq!((attr.remove_on_exec(), attr.exclude_kernel()), (0, 1));
    }
}
