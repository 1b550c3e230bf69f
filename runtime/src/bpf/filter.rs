//! Filters as instructions, and what of them can be.

use std::rc::Rc;

use super::assembler::{Assembler, Label};
use super::board::frame;
use super::insn::{R0, R1, R6, R7, Test, Width, copy, exit, load, set, store_constant};
use super::steps::{Steps, at, input};
use super::{BpfError, Loaded, Program, Role};
use crate::kernel::{Errno, Kernel};
use crate::plan::{
    Does, Filter, Input, KEEP_MAX, Next, READ_WORDS_MAX, Reads, SLOTS_MAX, Slot, Step,
};

/// Steps of a filter, or of reads, at most: what takes more is left out.
const STEPS_MAX: usize = 2048;

/// Whether a filter is one that can be written: it only goes on, and to what there
/// is.
pub(crate) fn is_sound(filter: &Filter) -> bool {
    let count = filter.blocks.len();
    let later = |from: usize, to: u16| from < usize::from(to) && usize::from(to) < count;
    let steps: usize = filter.blocks.iter().map(|block| block.steps.len() + 1).sum();
    let blocks = filter.blocks.iter().enumerate();
    (1..=STEPS_MAX).contains(&steps)
        && filter.slots <= SLOTS_MAX
        && blocks.into_iter().all(|(index, block)| {
            let next = match block.next {
                Next::Pass | Next::Drop => true,
                Next::Go(to) => later(index, to),
                Next::Choose(slot, yes, no) => {
                    slot.0 < filter.slots && later(index, yes) && later(index, no)
                }
            };
            let kept = |step: &Step| step.does.kept_words().is_some();
            next && block.steps.iter().all(|it| is_step(it, filter.slots) && !kept(it))
        })
}

/// The same of reads.
pub(crate) fn are_sound(reads: &Reads) -> bool {
    reads.steps.len() <= STEPS_MAX
        && reads.slots <= SLOTS_MAX
        && reads.words() <= READ_WORDS_MAX
        && reads.steps.iter().all(|step| is_step(step, reads.slots))
}

fn is_step(step: &Step, slots: u16) -> bool {
    let sound = match step.does {
        Does::Input(of) => input(of).is_some(),
        Does::Load { load, .. } => matches!(load.size, 1 | 2 | 4 | 8),
        Does::Keep { bytes, .. } => (1..=KEEP_MAX).contains(&bytes),
        _ => true,
    };
    sound && step.to.0 < slots && operands(step).flatten().all(|slot| slot.0 < slots)
}

/// The slots that a step takes.
fn operands(step: &Step) -> impl Iterator<Item = Option<Slot>> {
    match step.does {
        Does::Constant(_) | Does::Input(_) => [None, None],
        Does::Copy(from) | Does::Unary(_, from) => [Some(from), None],
        Does::Binary(_, left, right) | Does::Compare(_, left, right) => {
            [Some(left), Some(right)]
        }
        Does::Load { address, .. } | Does::Keep { address, .. } => [Some(address), None],
    }
    .into_iter()
}

/// What steps take of a hit.
pub(crate) fn inputs<'a>(
    steps: impl Iterator<Item = &'a Step>,
) -> impl Iterator<Item = Input> {
    steps.filter_map(|step| match step.does {
        Does::Input(input) => Some(input),
        _ => None,
    })
}

/// The steps of a filter.
pub(crate) fn steps(filter: &Filter) -> impl Iterator<Item = &Step> {
    filter.blocks.iter().flat_map(|block| &block.steps)
}

/// Which slots may be looked at before they are set: bits. Blocks go on only, so
/// that one walk finds what is set wherever one comes from.
fn looked_at_first(filter: &Filter) -> u64 {
    let mut set_before = vec![u64::MAX; filter.blocks.len()];
    if let Some(first) = set_before.first_mut() {
        *first = 0;
    }
    let mut looked_at = 0;
    for (index, block) in filter.blocks.iter().enumerate() {
        let mut is_set = set_before[index];
        for step in &block.steps {
            looked_at |= unset(step, is_set);
            is_set |= 1 << step.to.0;
        }
        let (slot, targets) = match block.next {
            Next::Pass | Next::Drop => (None, [None, None]),
            Next::Go(to) => (None, [Some(to), None]),
            Next::Choose(slot, yes, no) => (Some(slot), [Some(yes), Some(no)]),
        };
        looked_at |= slot.map_or(0, |slot| 1 << slot.0 & !is_set);
        for to in targets.into_iter().flatten() {
            set_before[usize::from(to)] &= is_set;
        }
    }
    looked_at
}

/// Of reads likewise.
fn looked_at_first_by(reads: &Reads) -> u64 {
    let mut is_set = 0;
    reads.steps.iter().fold(0, |looked_at, step| {
        let before = is_set;
        is_set |= 1 << step.to.0;
        looked_at | unset(step, before)
    })
}

fn unset(step: &Step, is_set: u64) -> u64 {
    operands(step).flatten().fold(0, |bits, slot| bits | 1 << slot.0) & !is_set
}

fn clear(asm: &mut Assembler, slots: u64) {
    for slot in (0..usize::from(SLOTS_MAX)).filter(|slot| slots >> slot & 1 == 1) {
        asm.put([store_constant(Width::Double, R7, at(frame::SLOTS + slot), 0)]);
    }
}

/// The labels at which a filter ends.
#[derive(Clone, Copy)]
pub(super) struct Ends {
    pub(super) pass: Label,
    pub(super) drop: Label,
    /// Something can not be computed.
    pub(super) unknown: Label,
}

/// Writes a filter. It is [sound](is_sound). How many bytes at the watch may not be
/// read, is `forbidden`.
pub(super) fn write(
    asm: &mut Assembler,
    filter: &Filter,
    forbidden: Option<u32>,
    Ends { pass, drop, unknown }: Ends,
) {
    clear(asm, looked_at_first(filter));
    let labels: Vec<_> = filter.blocks.iter().map(|_| asm.label()).collect();
    let label = |to: u16| labels[usize::from(to)];
    for (index, block) in filter.blocks.iter().enumerate() {
        asm.place(labels[index]);
        let mut steps = Steps { asm, fails: Some(unknown), forbidden, entry: 0 };
        block.steps.iter().for_each(|step| steps.step(step));
        match block.next {
            Next::Pass => asm.jump(pass),
            Next::Drop => asm.jump(drop),
            Next::Go(to) => asm.jump(label(to)),
            Next::Choose(slot, yes, no) => {
                let at = at(frame::SLOTS + usize::from(slot.0));
                asm.put([load(Width::Double, R0, R7, at)]);
                asm.jump_if(Test::NotEqual, R0, 0, label(yes));
                asm.jump(label(no));
            }
        }
    }
}

/// Writes reads, into a record from its word `entry` on. They are
/// [sound](are_sound).
pub(super) fn write_reads(
    asm: &mut Assembler,
    reads: &Reads,
    forbidden: Option<u32>,
    entry: usize,
) {
    clear(asm, looked_at_first_by(reads));
    let mut steps = Steps { asm, fails: None, forbidden, entry };
    reads.steps.iter().for_each(|step| steps.step(step));
}

/// A filter that is run on what somebody makes up, by the same instructions as at a
/// hit: for tests.
#[derive(Debug)]
pub struct Trial {
    program: Loaded,
}

const WHAT: &str = "tries a filter";

impl Trial {
    /// Loads a filter; none for one that an engine leaves out.
    ///
    /// # Errors
    /// Every [`BpfError`].
    pub fn new(
        kernel: &Rc<dyn Kernel>,
        filter: &Filter,
    ) -> Result<Option<Self>, BpfError> {
        if !is_sound(filter) {
            return Ok(None);
        }
        let mut asm = Assembler::default();
        let [pass, drop] = [(); 2].map(|()| asm.label());
        // The context is the frame.
        asm.put([copy(R6, R1), copy(R7, R1)]);
        write(&mut asm, filter, None, Ends { pass, drop, unknown: pass });
        for (label, result) in [(pass, 1), (drop, 0)] {
            asm.place(label);
            asm.put([set(R0, result), exit()]);
        }
        let Some(instructions) = asm.finish() else { return Ok(None) };
        let program = Program { role: Role::Call, instructions };
        Loaded::new(kernel, &program, WHAT).map(|program| Some(Self { program }))
    }

    /// Whether a hit of which this is known passes; what is not given is 0. Memory
    /// is ours.
    ///
    /// # Errors
    /// [`BpfError::Failed`].
    pub fn passes(&self, known: &[(Input, u64)]) -> Result<bool, BpfError> {
        let mut context = [0; frame::WORDS * 8];
        // Slots hold anything at first.
        context[frame::SLOTS * 8..].fill(0xa5);
        let (words, _) = context.as_chunks_mut::<8>();
        for (of, value) in known {
            if let Some(word) = input(*of) {
                words[word] = value.to_ne_bytes();
            }
        }
        let ran = self.program.kernel.bpf_run(self.program.descriptor, &mut context);
        let failed = |errno| match errno {
            Errno::EPERM => BpfError::NotPermitted,
            errno => BpfError::Failed { what: WHAT, errno },
        };
        ran.map(|result| result != 0).map_err(failed)
    }
}
