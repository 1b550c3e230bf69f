//! The program that is run at each hit of a watch.
//!
//! It runs in the trap, after the instruction, on the CPU that made the access. What
//! it does, in this order, and only as far as the [plan](crate::plan) needs it:
//!
//! 1. who made it (`hit/who.rs`), where, and whether by himself or in the kernel;
//! 2. the value after the access (`hit/values.rs`): by a rule where one was taught, else
//!    from memory; and the one before, from the shadow that it then replaces;
//! 3. the filter, where all that it looks at is known, and the gate (`hit/gate.rs`);
//! 4. the signals that the plan sends then (`hit/acts.rs`);
//! 5. a record (`hit/record.rs`), if there is room, with what is read for it, and the
//!    stacks (`hit/stacks.rs`).
//!
//! A debug register that reports loads, too, would report what the program loads
//! (arch/x86/kernel/traps.c, `exc_debug_user`: the registers stay on). So the bytes of
//! such a watch are read where it does not look ([`Walk`]), or not here.
//!
//! It always gives 0, so that perf makes no sample. The event counts all the same,
//! so that *records + left out + lost = counted*.
//!
//! What it costs beyond the trap is mostly returns from functions of the kernel, some
//! 20 ns each; so it calls as few as it can.
//!
//! Registers of BPF: R6 is the context, R7 the frame of this CPU, R8 the rule and then
//! the ring (of a record with stacks, how much of it is written, before), R9 the shadow
//! and then the record.

mod acts;
mod gate;
mod record;
mod stacks;
pub mod turn;
mod values;
mod who;

use super::assembler::{Assembler, Label};
use super::board::{self, FRAME_SHIFT, FRAMES, PT_REGS, frame};
use super::filter::Ends;
use super::insn::{
    Alu, Atomic, Helper, Instruction, R0, R1, R2, R6, R7, R8, Register, Test, Width, alu,
    alu_constant, atomic, call, copy, exit, load, set, set_address, store,
    store_constant,
};
use super::steps::at;
use super::{Program, Role, Walk, filter};
use crate::event::{Trigger, Watch};
use crate::plan::{ACTS_MAX, Act, Filter, Gate, Input, Needs, Plan, Reads};

pub use record::{BODY, HEAD_BYTES, flag};
use stacks::Stacks;
pub use stacks::{StackEnds, draft_bytes};
pub use who::Current;

/// Where the context has things, in bytes (include/uapi/linux/bpf_perf_event.h:
/// `struct pt_regs`, period, address).
mod context {
    pub(super) const ORIGINAL_AX: i16 = 120;
    pub(super) const IP: i16 = 128;
    pub(super) const CS: i16 = 136;
    pub(super) const ADDRESS: i16 = 176;
}

/// What a program is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Watched {
    /// Number of the watch, below [`board::WATCHES`].
    pub number: u32,
    /// Its bytes: 1, 2, 4 or 8.
    pub length: u32,
    /// Whether its register reports stores alone.
    pub stores: bool,
    /// Whether it is one that threads have of their own.
    pub own: bool,
    /// Where watches that differ in nothing but their numbers take turns on a register: this
    /// one. Whose turn it is is then found out at the hit.
    pub register: Option<u32>,
}

impl Watched {
    /// What is to be known of a watch with this number.
    pub fn new(number: u32, watch: &Watch, own: bool) -> Self {
        let stores = watch.trigger == Trigger::Write;
        Self { number, length: watch.length, stores, own, register: None }
    }
}

/// What programs may know of the kernel's inside, by its types.
#[derive(Clone, Copy, Debug, Default)]
pub struct Insight {
    /// How to find out who runs. None: by a call, which takes longer.
    pub current: Option<Current>,
    /// How bytes are read whose register reports loads, too. None: the values of such
    /// a watch that the instruction does not tell are not known at the hit.
    pub walk: Option<Walk>,
    /// Where a stack ends. None: it is read up to where nothing is mapped.
    pub stack_ends: Option<StackEnds>,
}

/// How programs come by the ring of their CPU.
#[derive(Clone, Copy, Debug)]
pub enum Rings {
    /// Named one by one: CPU and map; the rest has CPU [`Rings::NONE`]. Of a few that is
    /// faster, when they are run and when they are loaded: a kernel that puts a map
    /// into a map waits for all CPUs (kernel/bpf/syscall.c,
    /// `maybe_wait_bpf_programs`).
    Few([(u32, i32); Rings::FEW]),
    /// In a map of maps, by CPU.
    Many(i32),
}

impl Rings {
    /// So many are few.
    pub const FEW: usize = 4;
    /// No CPU.
    pub const NONE: u32 = u32::MAX;
}

/// Maps that programs use, and how many CPUs they are for.
#[derive(Clone, Copy, Debug)]
pub struct Maps {
    /// The [`board`].
    pub board: i32,
    /// The rings.
    pub rings: Rings,
    /// CPUs have numbers below this.
    pub cpus: u32,
    /// Bytes of each draft; 0 where there are none.
    pub draft_bytes: u32,
    /// Bytes of each ring.
    pub ring_bytes: u32,
    /// Device and inode of the pid namespace whose numbers are wanted; none for
    /// the first.
    pub namespace: Option<(u64, u64)>,
    /// What else is known of the kernel.
    pub insight: Insight,
}

/// The program; none where the plan makes it too long.
pub fn program(watched: Watched, maps: Maps, plan: &Plan) -> Option<Program> {
    let filter = plan.filter.as_ref().filter(|filter| filter::is_sound(filter));
    let nothing = Reads::default();
    let reads = if filter::are_sound(&plan.reads) { &plan.reads } else { &nothing };
    let acts = plan.acts.iter().take(ACTS_MAX).enumerate();
    let acts = acts.filter(|(_, act)| filter::is_sound(&act.when)).collect();
    // Who is not asked all of it takes no number here.
    let decided = filter.is_some() == plan.filter.is_some();
    let counted = (watched.number as usize) < board::WATCHES;
    let gate = plan.gate.as_ref().filter(|_| decided && counted);
    let asked = Asked { filter, gate, acts };
    let mut hit = Hit::new(watched, maps, plan.needs, asked, reads);
    hit.blind = plan.blind;
    hit.moves = plan.moves && !watched.own;
    hit.stacks = Stacks::of(plan).filter(|_| draft_bytes(plan) <= maps.draft_bytes);
    let instructions = hit.write()?;
    Some(Program { role: Role::Hit, instructions })
}

/// What is asked at a hit.
struct Asked<'a> {
    filter: Option<&'a Filter>,
    gate: Option<&'a Gate>,
    /// With their numbers.
    acts: Vec<(usize, &'a Act)>,
}

/// What is asked of those whom a gate lets through.
fn then(gate: &Gate) -> Option<&Filter> {
    gate.then.as_ref().filter(|filter| filter::is_sound(filter))
}

/// What writes a program.
struct Hit<'a> {
    watched: Watched,
    maps: Maps,
    needs: Needs,
    filter: Option<&'a Filter>,
    gate: Option<&'a Gate>,
    /// With their numbers.
    acts: Vec<(usize, &'a Act)>,
    reads: &'a Reads,
    /// Whether the watched bytes are not read, whatever the register reports.
    blind: bool,
    /// Whether the watch may be moved.
    moves: bool,
    /// What of the stacks its records have.
    stacks: Option<Stacks>,
    /// Whether anybody wants to know what the access was.
    values: bool,
    /// The user's registers that anybody looks at, by index.
    user: Vec<usize>,
    asm: Assembler,
    labels: Labels,
}

/// Where parts of the program begin.
#[derive(Clone, Copy)]
struct Labels {
    /// The values are known, as far as they can be.
    filter: Label,
    /// The hit has a record; first it is acted upon.
    record: Label,
    /// It has a record, and is not acted upon: nobody knows whether it is to go on.
    undecided: Label,
    /// The filter left it out.
    dropped: Label,
    /// There is no room for it.
    lost: Label,
    end: Label,
}

impl<'a> Hit<'a> {
    fn new(
        watched: Watched,
        maps: Maps,
        needs: Needs,
        Asked { filter, gate, acts }: Asked<'a>,
        reads: &'a Reads,
    ) -> Self {
        let mut asm = Assembler::default();
        let mut label = || asm.label();
        let labels = Labels {
            filter: label(),
            record: label(),
            undecided: label(),
            dropped: label(),
            lost: label(),
            end: label(),
        };
        let then = gate.and_then(then);
        let asked = filter.into_iter().chain(then);
        let asked = asked.chain(acts.iter().map(|(_, act)| &act.when));
        let steps = asked.flat_map(filter::steps).chain(&reads.steps);
        let inputs: Vec<_> = filter::inputs(steps).collect();
        let values = needs.access
            || gate.is_some()
            || acts.iter().any(|(_, act)| !act.is_stop())
            || [Input::Old, Input::New, Input::Access]
                .iter()
                .any(|it| inputs.contains(it));
        let register = |input: &Input| match input {
            Input::Register(number) => board::register_index(*number),
            _ => None,
        };
        let looked_at: Vec<_> = inputs.iter().filter_map(register).collect();
        let user = (0..frame::REGISTER_COUNT)
            .filter(|index| {
                needs.registers || needs.user_stack || looked_at.contains(index)
            })
            .collect();
        Self {
            watched,
            maps,
            needs,
            filter,
            gate,
            acts,
            reads,
            blind: false,
            moves: false,
            stacks: None,
            values,
            user,
            asm,
            labels,
        }
    }

    fn write(mut self) -> Option<Vec<Instruction>> {
        self.begin();
        if self.values {
            self.values();
        } else {
            self.asm.put([store_constant(Width::Double, R7, at(frame::FLAGS), 0)]);
        }
        self.user_registers();
        self.filter();
        self.acts();
        self.record();
        self.ends();
        self.asm.finish()
    }

    fn jump_if_flag(&mut self, flag: i32, to: Label) {
        self.asm.put([load(Width::Double, R1, R7, at(frame::FLAGS))]);
        self.asm.jump_if(Test::AnyBit, R1, flag, to);
    }

    /// Sets [`R6`] and [`R7`], and finds out who and where.
    fn begin(&mut self) {
        let Labels { end, .. } = self.labels;
        self.asm.put([copy(R6, R1), call(Helper::Cpu)]);
        let last = self.maps.cpus.saturating_sub(1) as i32;
        self.asm.jump_if(Test::Above, R0, last, end);
        self.asm.put([copy(R8, R0), alu_constant(Alu::ShiftLeft, R8, FRAME_SHIFT)]);
        self.asm.put(set_address(R7, self.maps.board, FRAMES));
        self.asm.put([
            alu(Alu::Add, R7, R8),
            store(Width::Double, R7, at(frame::CPU), R0),
            load(Width::Double, R1, R6, context::ADDRESS),
            store(Width::Double, R7, at(frame::ADDRESS), R1),
            load(Width::Double, R1, R6, context::CS),
            // The privilege of the code: 3 for the user's, else 0.
            alu_constant(Alu::And, R1, 3),
            alu_constant(Alu::ShiftRight, R1, 1),
            store(Width::Double, R7, at(frame::USER_MODE), R1),
        ]);
        if let Some(register) = self.watched.register {
            let turn = board::turn(register as usize) + board::turn::WATCH as usize;
            self.asm.put(set_address(R1, self.maps.board, turn));
            self.asm.put([
                load(Width::Double, R1, R1, 0),
                store(Width::Double, R7, at(frame::WATCH), R1),
            ]);
        }
        self.who();
    }

    /// `to` = the number of the watch.
    fn number(&self, to: Register) -> Instruction {
        match self.watched.register {
            None => set(to, self.watched.number as i32),
            Some(_) => load(Width::Double, to, R7, at(frame::WATCH)),
        }
    }

    /// Whether its register may be elsewhere than the watch.
    fn tells_place(&self) -> bool {
        self.moves || self.watched.register.is_some()
    }

    /// [`R1`] = where a counter of the watch is; R2 is lost.
    fn counter(&mut self, which: usize) {
        let known = self.watched.register.map_or(self.watched.number, |_| 0);
        let counter = board::counter(known as usize, which);
        self.asm.put(set_address(R1, self.maps.board, counter));
        if self.watched.register.is_some() {
            self.asm.put([
                self.number(R2),
                // For the verifier, which does not know what numbers there are.
                alu_constant(Alu::And, R2, board::WATCHES as i32 - 1),
                alu_constant(Alu::ShiftLeft, R2, board::COUNTERS_SHIFT),
                alu(Alu::Add, R1, R2),
            ]);
        }
    }

    /// The user's registers that are looked at, and the system call. Of a hit in the
    /// kernel they are those with which the thread entered it.
    fn user_registers(&mut self) {
        let [kernel, done] = [(); 2].map(|()| self.asm.label());
        self.asm.place(self.labels.filter);
        self.asm.put([load(Width::Double, R1, R7, at(frame::USER_MODE))]);
        self.asm.jump_if(Test::Equal, R1, 0, kernel);
        self.copy_registers(R6);
        self.asm.put([store_constant(Width::Double, R7, at(frame::SYSCALL), -1)]);
        self.asm.jump(done);
        self.asm.place(kernel);
        self.asm.put([call(Helper::Task), copy(R1, R0), call(Helper::TaskRegisters)]);
        self.copy_registers(R0);
        self.asm.put([
            load(Width::Double, R1, R0, context::ORIGINAL_AX),
            store(Width::Double, R7, at(frame::SYSCALL), R1),
        ]);
        self.asm.place(done);
    }

    fn copy_registers(&mut self, from: super::insn::Register) {
        for &index in &self.user {
            self.asm.put([
                load(Width::Double, R1, from, PT_REGS[index]),
                store(Width::Double, R7, at(frame::USER + index), R1),
            ]);
        }
    }

    /// Asks the filter, and the gate.
    fn filter(&mut self) {
        let Labels { record, dropped, .. } = self.labels;
        match (self.gate, self.filter) {
            (Some(gate), filter) => self.gate(gate, filter),
            (None, Some(filter)) => {
                self.ask(filter, Ends { pass: record, drop: dropped, unknown: record });
            }
            (None, None) => {}
        }
    }

    /// Asks a filter, where all that it looks at is known.
    fn ask(&mut self, filter: &Filter, ends: Ends) {
        // What no rule tells is to be seen, so that it can be taught. And what memory
        // held may be what another CPU stored since, which its own hit then does not
        // change.
        let takes_old = filter::inputs(filter::steps(filter)).any(|it| it == Input::Old);
        let (looked_at, wanted) = match (self.values, takes_old) {
            (false, _) => (0, 0),
            (true, false) => (flag::TOLD, flag::TOLD),
            (true, true) => {
                let wanted = flag::TOLD | flag::OLD;
                (wanted | flag::OLD_READ | flag::MEMORY, wanted)
            }
        };
        if looked_at != 0 {
            self.asm.put([
                load(Width::Double, R1, R7, at(frame::FLAGS)),
                alu_constant(Alu::And, R1, looked_at),
            ]);
            self.asm.jump_if(Test::NotEqual, R1, wanted, ends.unknown);
        }
        let forbidden = self.forbidden();
        filter::write(&mut self.asm, filter, forbidden, ends);
    }

    /// How many bytes of the watch may not be read, as they would be a hit.
    fn forbidden(&self) -> Option<u32> {
        (!self.watched.stores || self.blind).then_some(self.watched.length)
    }

    /// The ways in which it ends without a record.
    fn ends(&mut self) {
        let Labels { dropped, lost, end, .. } = self.labels;
        for (label, which) in [(dropped, board::DROPPED), (lost, board::LOST)] {
            self.asm.place(label);
            self.counter(which);
            self.asm.put([set(R2, 1), atomic(Atomic::Add, R1, 0, R2)]);
            self.asm.jump(end);
        }
        self.asm.place(end);
        self.asm.put([set(R0, 0), exit()]);
    }
}
