//! Properties of the access decoder: it survives any code, and its arithmetic
//! agrees with a model memory of bytes.

#![allow(missing_docs)]

use hwtrace_runtime::access::{CodeSource, Decoder, Function};
use hwtrace_runtime::event::Registers;
use hwtrace_runtime::schema::AccessKind;
use proptest::prelude::*;

const CODE: u64 = 0x40_1000;
/// Where the model memory lies.
const MEMORY: u64 = 0x7000_0000;
/// AX … FLAGS and R8 … R15.
const MASK: u64 = 0xff_03ff;
const DI: usize = 5;
const FLAGS: usize = 9;

struct Code<'a>(u64, &'a [u8]);

impl CodeSource for Code<'_> {
    fn function(&mut self, _pid: u32, _address: u64) -> Option<Function<'_>> {
        let size = self.1.len() as u64;
        Some(Function { start: self.0, size, bytes: self.1 })
    }
}

/// `opcode [rdi], rax/eax/ax/al`, by the operand's size as a power of two:
/// prefixes and the lowest opcode bit say the size.
fn form(opcode: u8, power: u32) -> Vec<u8> {
    let mut bytes = match power {
        1 => vec![0x66],
        3 => vec![0x48],
        _ => Vec::new(),
    };
    bytes.extend([opcode | u8::from(power > 0), 0x07]);
    bytes
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// What a form does: to the operand's bytes, given EAX.
type Model = fn(u64, u64) -> u64;

/// add, or, and, sub, xor, mov; all `op [rdi], reg`.
const FORMS: [(u8, AccessKind, Model); 6] = [
    (0x00, AccessKind::Update, |old, source| old.wrapping_add(source)),
    (0x08, AccessKind::Update, |old, source| old | source),
    (0x20, AccessKind::Update, |old, source| old & source),
    (0x28, AccessKind::Update, |old, source| old.wrapping_sub(source)),
    (0x30, AccessKind::Update, |old, source| old ^ source),
    (0x88, AccessKind::Write, |_, source| source),
];

proptest! {
    #[test]
    fn stores_and_updates_agree_with_a_model_memory(
        mut memory in any::<[u8; 32]>(),
        source: u64,
        form_index in 0..FORMS.len(),
        power in 0u32..4,
        watch_power in 0u32..4,
        start in 0usize..24,
        slot in 0usize..4,
    ) {
        let (opcode, kind, model) = FORMS[form_index];
        let (size, length) = (1usize << power, 1usize << watch_power);
        let watch = 8 + slot * length % 16;
        let old = number(&memory[watch..watch + length]);
        let after = model(number(&memory[start..start + size]), source);
        memory[start..start + size].copy_from_slice(&after.to_le_bytes()[..size]);
        let new = number(&memory[watch..watch + length]);

        let mut values = [0u64; 18];
        values[0] = source;
        values[DI] = MEMORY + start as u64;
        let registers = Registers { mask: MASK, values: &values };
        let bytes = form(opcode, power);
        let ip = CODE + bytes.len() as u64;
        let mut decoder = Decoder::new();
        let access = decoder.decode(7, ip, &mut Code(CODE, &bytes)).expect("a plan");
        let got = access.recover(&registers, MEMORY + watch as u64, length as u32, old);

        let overlaps = start < watch + length && watch < start + size;
        let covers = start <= watch && watch + length <= start + size;
        let inside = watch <= start && start + size <= watch + length;
        if !overlaps {
            prop_assert_eq!(got.kind, AccessKind::Unknown);
            prop_assert_eq!((got.address, got.new, got.exact), (None, None, false));
        } else {
            prop_assert_eq!(got.kind, kind);
            prop_assert_eq!(got.address, Some(CODE));
            let plain = kind == AccessKind::Write;
            prop_assert_eq!(got.new, (plain || inside).then_some(new));
            prop_assert_eq!(got.exact, plain && covers);
        }
    }

    #[test]
    fn loads_agree_with_a_model_memory(
        memory in any::<[u8; 32]>(),
        stale: u64,
        power in 0u32..4,
        watch_power in 0u32..4,
        start in 0usize..24,
        slot in 0usize..4,
    ) {
        let (size, length) = (1usize << power, 1usize << watch_power);
        let watch = 8 + slot * length % 16;
        let truth = number(&memory[watch..watch + length]);
        let mut values = [0u64; 18];
        // What the load left of RAX above the operand does not matter.
        let kept = if size == 8 { 0 } else { stale << (size * 8) };
        values[0] = kept | number(&memory[start..start + size]);
        values[DI] = MEMORY + start as u64;
        let registers = Registers { mask: MASK, values: &values };
        let bytes = form(0x8a, power);
        let ip = CODE + bytes.len() as u64;
        let mut decoder = Decoder::new();
        let access = decoder.decode(7, ip, &mut Code(CODE, &bytes)).expect("a plan");
        let got = access.recover(&registers, MEMORY + watch as u64, length as u32, truth);
        if start < watch + length && watch < start + size {
            let covers = start <= watch && watch + length <= start + size;
            prop_assert_eq!(got.kind, AccessKind::Read);
            prop_assert_eq!(got.new, Some(truth));
            prop_assert_eq!(got.exact, covers);
            prop_assert_eq!(got.old, covers.then_some(truth));
        } else {
            prop_assert_eq!(got.kind, AccessKind::Unknown);
        }
    }

    #[test]
    fn any_code_any_address_any_registers(
        bytes in prop::collection::vec(any::<u8>(), 0..64),
        start in prop_oneof![Just(CODE), Just(0), (u64::MAX - 70)..=u64::MAX, any::<u64>()],
        values in prop::collection::vec(any::<u64>(), 0..20),
        mask in prop_oneof![Just(MASK), any::<u64>()],
        watch: u64,
        length in prop_oneof![1u32..9, any::<u32>()],
        old: u64,
        far: u64,
    ) {
        let registers = Registers { mask, values: &values };
        let mut decoder = Decoder::new();
        let ips = (0..70).map(|offset| start.wrapping_add(offset)).chain([far]);
        for ip in ips {
            let Some(access) = decoder.decode(1, ip, &mut Code(start, &bytes)) else {
                continue;
            };
            let got = access.recover(&registers, watch, length, old);
            prop_assert!(!got.exact || got.new.is_some());
            let beyond = |value: u64| length < 8 && value >> (length * 8) != 0;
            prop_assert!(!got.new.is_some_and(beyond));
            prop_assert!(!got.old.is_some_and(beyond));
            prop_assert!(got.new.is_none() || got.address.is_some_and(|at| at <= ip));
        }
    }

    /// Common opcodes before random operands, so that more than the decoder's
    /// refusals is seen.
    #[test]
    fn likely_code_near_its_operand(
        prefix in prop::sample::select(&[0x90u8, 0x66, 0x48, 0xf3, 0xf2, 0xf0, 0x67, 0x64, 0x4c]),
        first in any::<u8>(),
        escape: bool,
        rest in any::<[u8; 12]>(),
        values in any::<[u64; 18]>(),
        step in -80i64..80,
        pointer in 0usize..18,
        length in 1u32..9,
    ) {
        let mut bytes = vec![prefix];
        bytes.extend(escape.then_some(0x0f));
        bytes.push(first);
        bytes.extend(rest);
        let registers = Registers { mask: MASK, values: &values };
        let watch = values[if pointer == FLAGS { DI } else { pointer }].wrapping_add_signed(step);
        let mut decoder = Decoder::new();
        for ip in CODE..CODE + 15 {
            if let Some(access) = decoder.decode(1, ip, &mut Code(CODE, &bytes)) {
                let got = access.recover(&registers, watch, length, 0);
                prop_assert!(!got.exact || got.new.is_some());
            }
        }
    }
}
