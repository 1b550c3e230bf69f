//! Code of which nobody says where its instructions begin: made while the program
//! runs, or without symbols and without what unwinds stacks.
//!
//! An instruction that falls through to the sampled address ends there and has 1 to
//! 15 bytes (SDM vol. 2, 2.3.11): all that can be one are tried. The true one is among
//! them, so that what all of those say that can have touched the watched bytes, is so,
//! if one of them has for certain: mostly what the access was, since a part of an
//! instruction without its prefixes does the same with less or more bytes. It is not
//! enough for values.

use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory,
};

use super::{distrust, is_repeated, touches};
use crate::access::{Access, MAX_TOUCHES, Touch, Value};

/// The longest instruction (SDM vol. 2, 2.3.11).
const INSTRUCTION_MAX: usize = 15;

/// The bytes around a sampled address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Those before it, and from it on.
    bytes: [u8; 2 * INSTRUCTION_MAX],
    /// How many of the latter are there.
    following: usize,
}

impl Window {
    /// Reads the bytes around `ip` by `read`, which says how many it could. None
    /// where those before it can not be read.
    pub fn read(ip: u64, mut read: impl FnMut(u64, &mut [u8]) -> usize) -> Option<Self> {
        let mut bytes = [0; 2 * INSTRUCTION_MAX];
        let start = ip.checked_sub(INSTRUCTION_MAX as u64)?;
        let count = read(start, &mut bytes);
        let following = count.checked_sub(INSTRUCTION_MAX)?;
        Some(Self { bytes, following })
    }

    fn decode(&self, ip: u64, back: usize) -> Option<Instruction> {
        let from = INSTRUCTION_MAX - back;
        let to = match back {
            0 => INSTRUCTION_MAX + self.following,
            _ => INSTRUCTION_MAX,
        };
        let bytes = self.bytes.get(from..to)?;
        let mut decoder =
            Decoder::with_ip(64, bytes, ip - back as u64, DecoderOptions::NONE);
        let instruction = decoder.can_decode().then(|| decoder.decode())?;
        let ends = back == 0 || instruction.len() == back;
        (ends && !instruction.is_invalid()).then_some(instruction)
    }
}

/// All accesses after which the process can be at `ip`; none where they are too many.
pub(in crate::access) fn plan(window: &Window, ip: u64) -> Option<Access> {
    let mut factory = InstructionInfoFactory::new();
    let candidates = (1..=INSTRUCTION_MAX)
        .filter_map(|back| window.decode(ip, back))
        .filter(|instruction| instruction.flow_control() == FlowControl::Next);
    let mut all: Vec<Touch> = Vec::new();
    for candidate in candidates {
        all.extend(touches(&candidate, &mut factory));
    }
    let repeated = window.decode(ip, 0).filter(is_repeated);
    if let Some(repeated) = repeated {
        all.iter_mut().for_each(distrust);
        all.extend(touches(&repeated, &mut factory));
    }
    if all.len() > MAX_TOUCHES {
        return None;
    }
    let mut plan =
        Access { ip, touches: [None; MAX_TOUCHES], call: None, is_certain: false };
    for (slot, touch) in plan.touches.iter_mut().zip(all) {
        *slot = Some(Touch { value: Value::Unknown, ..touch });
    }
    Some(plan)
}
