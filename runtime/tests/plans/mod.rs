//! Plans made up at random, and what filters mean, told by plain Rust.

use std::collections::HashMap;
use std::num::NonZeroU64;

use hwtrace_runtime::plan::{
    Binary, Block, Comparison, Does, Filter, Gate, Input, KEEP_MAX, Load, Needs, Next,
    Plan, Reads, SLOTS_MAX, Slot, Space, StackCapture, Step, Unary,
};
use proptest::prelude::*;
use proptest::sample::select;

/// Everything that is known of a hit.
pub(crate) const INPUTS: [Input; 11] = [
    Input::Old,
    Input::New,
    Input::Pid,
    Input::Tid,
    Input::Cpu,
    Input::DataAddress,
    Input::UserMode,
    Input::Access,
    Input::Register(0),
    Input::Register(8),
    Input::Register(23),
];

const UNARY: [Unary; 3] = [Unary::Negate, Unary::Not, Unary::Complement];
const BINARY: [Binary; 11] = [
    Binary::Add,
    Binary::Subtract,
    Binary::Multiply,
    Binary::Divide,
    Binary::Remainder,
    Binary::And,
    Binary::Or,
    Binary::Xor,
    Binary::ShiftLeft,
    Binary::ShiftRight,
    Binary::ShiftRightLogical,
];
const COMPARISONS: [Comparison; 6] = [
    Comparison::Equal,
    Comparison::NotEqual,
    Comparison::Less,
    Comparison::LessOrEqual,
    Comparison::Greater,
    Comparison::GreaterOrEqual,
];

/// Memory that filters may read: where it is, and what it holds.
pub(crate) type Memory = (u64, Vec<u8>);

/// A number, more often than not one at which something changes.
pub(crate) fn number() -> impl Strategy<Value = i64> {
    let edges = [0, 1, -1, 2, 7, 63, 64, 65, i64::MIN, i64::MAX, 1 << 31, -(1 << 31)];
    prop_oneof![select(edges.to_vec()), -100..100i64, any::<i64>()]
}

fn slot(slots: u16) -> impl Strategy<Value = Slot> {
    (0..slots).prop_map(Slot)
}

fn load(space: Space) -> impl Strategy<Value = Load> {
    (select(vec![1u8, 2, 4, 8]), any::<bool>()).prop_map(move |(size, signed)| Load {
        size,
        signed,
        space,
    })
}

/// Something that needs no memory.
fn plain(slots: u16) -> impl Strategy<Value = Does> {
    prop_oneof![
        number().prop_map(Does::Constant),
        select(INPUTS.to_vec()).prop_map(Does::Input),
        slot(slots).prop_map(Does::Copy),
        (select(UNARY.to_vec()), slot(slots)).prop_map(|(how, of)| Does::Unary(how, of)),
        (select(BINARY.to_vec()), slot(slots), slot(slots))
            .prop_map(|(how, left, right)| Does::Binary(how, left, right)),
        (select(COMPARISONS.to_vec()), slot(slots), slot(slots))
            .prop_map(|(how, left, right)| Does::Compare(how, left, right)),
    ]
}

fn step(slots: u16, does: impl Strategy<Value = Does>) -> impl Strategy<Value = Step> {
    (slot(slots), does).prop_map(|(to, does)| Step { to, does })
}

/// Steps that read the memory, at places of which some are not there.
fn reading(slots: u16, start: u64, length: i64) -> impl Strategy<Value = Vec<Step>> {
    let edge = prop_oneof![-2..length + 2, Just(1 << 60)];
    (slot(slots), slot(slots), edge, load(Space::User)).prop_map(
        move |(address, to, offset, load)| {
            let at = Does::Constant(start as i64 + offset);
            let read = Does::Load { address, load, keep: false };
            vec![Step { to: address, does: at }, Step { to, does: read }]
        },
    )
}

fn next(from: usize, count: usize, slots: u16) -> BoxedStrategy<Next> {
    let ends = prop_oneof![Just(Next::Pass), Just(Next::Drop)];
    if from + 1 >= count {
        return ends.boxed();
    }
    let later = (from + 1..count).prop_map(|to| to as u16);
    prop_oneof![
        1 => ends,
        2 => later.clone().prop_map(Next::Go),
        5 => (slot(slots), later.clone(), later)
            .prop_map(|(slot, yes, no)| Next::Choose(slot, yes, no)),
    ]
    .boxed()
}

/// A filter that may read this memory.
pub(crate) fn filter(start: u64, length: i64) -> impl Strategy<Value = Filter> {
    let sizes = (prop_oneof![1..6u16, Just(SLOTS_MAX)], 1..12usize);
    sizes.prop_flat_map(move |(slots, count)| {
        let steps = || {
            let one = step(slots, plain(slots)).prop_map(|step| vec![step]);
            let read = reading(slots, start, length);
            proptest::collection::vec(prop_oneof![9 => one, 1 => read], 0..8)
        };
        let block = |index| {
            (steps(), next(index, count, slots))
                .prop_map(|(steps, next)| Block { steps: steps.concat(), next })
        };
        let blocks: Vec<_> = (0..count).map(block).collect();
        blocks.prop_map(move |blocks| Filter { slots, blocks })
    })
}

fn kept(slots: u16) -> impl Strategy<Value = Does> {
    let space = select(vec![Space::User, Space::Kernel]);
    prop_oneof![
        3 => plain(slots),
        1 => (slot(slots), load(Space::User), any::<bool>())
            .prop_map(|(address, load, keep)| Does::Load { address, load, keep }),
        1 => (slot(slots), 1..=KEEP_MAX, any::<bool>(), space).prop_map(
            |(address, bytes, text, space)| Does::Keep { address, bytes, text, space }
        ),
    ]
}

/// A plan with everything.
pub(crate) fn plan() -> impl Strategy<Value = Plan> {
    let reads = (1..=SLOTS_MAX).prop_flat_map(|slots| {
        let steps = proptest::collection::vec(step(slots, kept(slots)), 0..20);
        steps.prop_map(move |steps| Reads { slots, steps })
    });
    let needs =
        (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>())
            .prop_map(|(access, cpu, registers, user_stack, kernel_stack)| Needs {
                access,
                cpu,
                registers,
                user_stack,
                kernel_stack,
            });
    let bytes = prop_oneof![
        Just(0),
        select(vec![8, 512, 4096, 4104, 16384, StackCapture::BYTES_MAX]),
        (0..StackCapture::BYTES_MAX / 8).prop_map(|words| words * 8),
    ];
    let stack = (any::<bool>(), bytes)
        .prop_map(|(callers, bytes)| StackCapture { callers, bytes });
    let every = prop_oneof![Just(1), 2..9_u64, any::<u64>()];
    let then = proptest::option::of(filter(0x1000, 64));
    let gate = (every, proptest::option::of(any::<u64>()), then).prop_map(
        |(every, limit, then)| {
            let every = NonZeroU64::new(every).unwrap_or(NonZeroU64::MAX);
            Gate { every, limit: limit.and_then(NonZeroU64::new), then }
        },
    );
    let gate = proptest::option::of(gate);
    let filter = proptest::option::of(filter(0x1000, 64));
    (needs, filter, gate, reads, stack, any::<bool>()).prop_map(
        |(needs, filter, gate, reads, stack, blind)| Plan {
            needs,
            filter,
            gate,
            reads,
            stack,
            blind,
            ..Plan::default()
        },
    )
}

/// Whether a hit passes, as `plan.rs` says.
pub(crate) fn passes(
    filter: &Filter,
    known: &HashMap<Input, i64>,
    memory: &Memory,
) -> bool {
    let mut slots = vec![0; usize::from(filter.slots)];
    let mut at = 0;
    loop {
        let block = &filter.blocks[at];
        for step in &block.steps {
            match value(step.does, &slots, known, memory) {
                Some(value) => slots[usize::from(step.to.0)] = value,
                None => return true,
            }
        }
        at = match block.next {
            Next::Pass => return true,
            Next::Drop => return false,
            Next::Go(to) => to,
            Next::Choose(slot, yes, no) => match slots[usize::from(slot.0)] {
                0 => no,
                _ => yes,
            },
        }
        .into();
    }
}

fn value(
    does: Does,
    slots: &[i64],
    known: &HashMap<Input, i64>,
    memory: &Memory,
) -> Option<i64> {
    let of = |slot: Slot| slots[usize::from(slot.0)];
    Some(match does {
        Does::Constant(number) => number,
        Does::Input(input) => known[&input],
        Does::Copy(from) => of(from),
        Does::Unary(Unary::Negate, from) => of(from).wrapping_neg(),
        Does::Unary(Unary::Not, from) => i64::from(of(from) == 0),
        Does::Unary(Unary::Complement, from) => !of(from),
        Does::Binary(how, left, right) => binary(how, of(left), of(right))?,
        Does::Compare(how, left, right) => {
            let (left, right) = (of(left), of(right));
            i64::from(match how {
                Comparison::Equal => left == right,
                Comparison::NotEqual => left != right,
                Comparison::Less => left < right,
                Comparison::LessOrEqual => left <= right,
                Comparison::Greater => left > right,
                Comparison::GreaterOrEqual => left >= right,
            })
        }
        Does::Load { address, load, .. } => read(of(address) as u64, load, memory)?,
        Does::Keep { .. } => unreachable!("in reads only"),
    })
}

fn binary(how: Binary, left: i64, right: i64) -> Option<i64> {
    let shift = u32::try_from(right).unwrap_or(u32::MAX);
    Some(match how {
        Binary::Add => left.wrapping_add(right),
        Binary::Subtract => left.wrapping_sub(right),
        Binary::Multiply => left.wrapping_mul(right),
        Binary::Divide | Binary::Remainder if right == 0 => return None,
        Binary::Divide => left.wrapping_div(right),
        Binary::Remainder => left.wrapping_rem(right),
        Binary::And => left & right,
        Binary::Or => left | right,
        Binary::Xor => left ^ right,
        Binary::ShiftLeft => left.checked_shl(shift).unwrap_or(0),
        Binary::ShiftRight => left >> shift.min(63),
        Binary::ShiftRightLogical => {
            (left as u64).checked_shr(shift).unwrap_or(0).cast_signed()
        }
    })
}

/// What is there; behind the memory nothing is mapped, and before it neither.
fn read(address: u64, load: Load, (start, bytes): &Memory) -> Option<i64> {
    let offset = usize::try_from(address.checked_sub(*start)?).ok()?;
    let size = usize::from(load.size);
    let found = bytes.get(offset..offset.checked_add(size)?)?;
    let mut word = [0; 8];
    word[..size].copy_from_slice(found);
    let unused = 64 - 8 * u32::from(load.size);
    let value = u64::from_le_bytes(word) << unused;
    Some(match load.signed {
        true => value.cast_signed() >> unused,
        false => (value >> unused).cast_signed(),
    })
}
