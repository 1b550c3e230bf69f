//! Stacks of processes: their code for the walker, and names for what it finds.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use super::spaces::keep;
use super::{InFile, Symbol, Symbolizer};
use crate::address::{AbsAddr, VirtOffset};
use crate::dwarf::Frame;
use crate::stack::{self, Code, Decoder, FRAMES_MAX, Registers, Rule, Thread};
use crate::symbols::Elf;

/// An instruction of x86-64 has no more bytes (SDM vol. 2A, 2.3.11).
const INSTRUCTION_MAX: u64 = 15;
/// `syscall`.
const SYSCALL: &[u8] = b"\x0f\x05";
/// `push %rbp` and `mov %rsp,%rbp`, the latter in both of its forms.
const SET_FRAME: [&[u8]; 2] = [b"\x55\x48\x89\xe5", b"\x55\x48\x8b\xec"];
/// They are among the first bytes of a function; before them it may realign the stack.
const PROLOGUE_MAX: u64 = 32;

/// How the C libraries call what ends handlers of signals.
const SIGNAL_RETURN: &str = "__restore_rt";

/// What an instruction does to the stack of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    None,
    Calls,
    Returns,
}

impl Effect {
    /// That of the first instruction of `code`.
    fn of(code: &[u8]) -> Self {
        let prefixes = code.iter().take_while(|byte| PREFIXES.contains(byte)).count();
        match code.get(prefixes..).unwrap_or_default() {
            [0xe8, ..] => Self::Calls,
            [0xff, by, ..] if by >> 3 & 7 == 2 => Self::Calls,
            [0xc2 | 0xc3, ..] => Self::Returns,
            _ => Self::None,
        }
    }
}

/// What may be before a call or a return: `bnd`, `notrack`, a segment, a size, REX.
const PREFIXES: [u8; 23] = [
    0xf2, 0xf3, 0x2e, 0x3e, 0x64, 0x65, 0x66, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46,
    0x47, 0x48, 0x49, 0x4a, 0x4b, 0x4c, 0x4d, 0x4e, 0x4f,
];

/// What is at a place on a stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnStack {
    /// The functions by debug information, innermost first; the last is not inlined.
    pub frames: Arc<[Frame]>,
    /// The function by its symbol; its offset is that of the address itself.
    pub symbol: Option<Symbol>,
    /// The file without directories, or the kernel's module.
    pub module: Option<Arc<str>>,
}

/// So many addresses at which signals came are kept for an image. One more is named by the
/// instruction before it.
const INTERRUPTED_MAX: usize = 65_536;

/// Rules of all files: programs have some hundred different ones.
#[derive(Debug, Default)]
pub(super) struct Rules {
    decoder: Decoder,
    known: HashSet<Arc<Rule>>,
}

/// More different rules begin anew: a file that wants to fill our memory.
const RULES_MAX: usize = 65_536;

impl Rules {
    /// The same rules are kept once.
    fn shared(&mut self, rule: Rule) -> Arc<Rule> {
        if let Some(known) = self.known.get(&rule) {
            return known.clone();
        }
        if self.known.len() >= RULES_MAX {
            self.known.clear();
        }
        let rule = Arc::new(rule);
        self.known.insert(rule.clone());
        rule
    }
}

impl Symbolizer {
    /// The number of the image that a process has now, by which
    /// [`Symbolizer::on_stack`] names its addresses when it has ended, or has another. A
    /// forked process has its parent's until one of them maps code.
    pub fn image(&mut self, pid: u32) -> u32 {
        let image = self.image_of(pid);
        self.spaces.give(image);
        image
    }

    /// Appends the stack of a thread: its instruction, and then the addresses to which calls
    /// return, or at which signals interrupted it. True where it came to the stack's end.
    pub fn walk(&mut self, pid: u32, thread: &Thread<'_>, out: &mut Vec<u64>) -> bool {
        let image = self.image_of(pid);
        let start = out.len();
        let instruction = thread.instruction;
        out.push(instruction);
        let Some(next) = thread.registers.get(Registers::RIP) else { return false };
        let effect = match instruction == next {
            true => Effect::None,
            false => self.effect(image, instruction),
        };
        if effect == Effect::Returns {
            out.push(next);
        }
        let first = out.len();
        let ended = stack::walk(&mut CodeOf(self, image), thread, out);
        // A call's own return address is no caller.
        let behind = instruction..=instruction.saturating_add(INSTRUCTION_MAX);
        let own = |caller| behind.contains(caller) && effect == Effect::Calls;
        if out.get(first).is_some_and(own) {
            out.remove(first);
        }
        let end = start + FRAMES_MAX;
        let more = out.len() > end;
        out.truncate(end);
        ended && !more
    }

    /// What an instruction does to the stack of calls.
    fn effect(&mut self, image: u32, instruction: u64) -> Effect {
        let known =
            self.spaces.get(image).and_then(|it| it.answers.effects.get(&instruction));
        if let Some(known) = known {
            return *known;
        }
        let effect = Effect::of(self.code_in(image, instruction).unwrap_or_default());
        if let Some(answers) = self.spaces.answers(image) {
            keep(&mut answers.effects, instruction, effect);
        }
        effect
    }

    /// The instruction with which a thread entered the kernel that goes on at `next`.
    pub fn entered_by(&mut self, pid: u32, next: u64) -> u64 {
        let image = self.image_of(pid);
        let call = next.wrapping_sub(SYSCALL.len() as u64);
        let code = self.code_in(image, call).unwrap_or_default();
        if code.starts_with(SYSCALL) { call } else { next }
    }

    /// What is at a place on a stack of an image; of the kernel where there is none.
    /// `returns` where a call returns to the address: it is that call's function and line
    /// that are told.
    pub fn on_stack(
        &mut self,
        image: Option<u32>,
        address: AbsAddr,
        returns: bool,
    ) -> OnStack {
        let image = image.unwrap_or_else(|| self.image_of(NOBODY));
        let back = u64::from(returns && self.may_return(image, address.0));
        let at = AbsAddr(address.0.wrapping_sub(back));
        let frames = self.source_in(image, at);
        let mut symbol = self.function_in(image, at).or_else(|| self.signal(image, at));
        if let Some(symbol) = &mut symbol {
            symbol.offset += back;
        }
        let module = match &symbol {
            Some(symbol) => Some(symbol.module.clone()),
            None => self.module_in(image, at),
        };
        OnStack { frames, symbol, module }
    }

    /// What ends handlers of signals has a symbol in few files, but one name in all.
    fn signal(&mut self, image: u32, address: AbsAddr) -> Option<Symbol> {
        let code = self.code_in(image, address.0)?;
        let size = stack::signal_return(code)? as u64;
        let module = self.module_in(image, address)?;
        Some(Symbol { name: SIGNAL_RETURN.into(), offset: 0, size, module })
    }

    /// Whether it is a call that returns to an address: neither had a signal come there,
    /// nor is it what ends a signal's handler.
    fn may_return(&mut self, image: u32, address: u64) -> bool {
        let space = self.spaces.get(image);
        let interrupted = space.is_some_and(|it| it.interrupted.contains(&address));
        let code = self.code_in(image, address).unwrap_or_default();
        !interrupted && stack::signal_return(code).is_none()
    }

    /// The code from an address on, in its file.
    fn code_in(&mut self, image: u32, address: u64) -> Option<&[u8]> {
        let place = self.in_file(image, AbsAddr(address))?;
        self.modules.elf(place.module)?.code(place.virt, u64::MAX)
    }

    fn rule(&mut self, image: u32, address: u64, exact: bool) -> Option<Arc<Rule>> {
        let key = (address, exact);
        let answers = self.spaces.answers(image)?;
        if let Some(known) = answers.rules.get(&key) {
            return known.clone();
        }
        let rule = self.find_rule(image, AbsAddr(address), exact);
        let rule = rule.map(|rule| self.rules.shared(rule));
        keep(&mut self.spaces.answers(image)?.rules, key, rule.clone());
        rule
    }

    fn find_rule(&mut self, image: u32, address: AbsAddr, exact: bool) -> Option<Rule> {
        let mapping = self.spaces.get(image)?.maps.find(address)?;
        if !mapping.executable {
            return None;
        }
        let Some(InFile { module, virt, .. }) = self.in_file(image, address) else {
            // What the process tells of its code can not be asked when it is gone.
            self.function_in(image, address);
            return Some(Rule::by_frame_pointer());
        };
        let elf = self.modules.elf(module)?;
        let next = VirtOffset(virt.0.wrapping_add(u64::from(!exact)));
        let code = elf.code(next, u64::MAX).unwrap_or_default();
        let signal = Rule::of_signal_return(code);
        let rule =
            signal.or_else(|| self.modules.rule(module, virt, &mut self.rules.decoder));
        rule.or_else(|| exact.then(|| by_code(elf, virt))?)
            .or_else(|| Some(Rule::by_frame_pointer()))
    }
}

/// The process that stands for the kernel: no process has this number.
const NOBODY: u32 = u32::MAX;

/// By what a function without tables has done up to an address, as far as that shows:
/// code written by hand seldom pushes, compilers begin with the frame pointer.
fn by_code(elf: &Elf, at: VirtOffset) -> Option<Rule> {
    if Effect::of(elf.code(at, INSTRUCTION_MAX)?) == Effect::Returns {
        return Some(Rule::after_pushing(0));
    }
    let function = elf.function_range(at)?;
    let code = elf.code(VirtOffset(function.start), PROLOGUE_MAX)?;
    let done = at.0.checked_sub(function.start)?;
    let sets = |code: &[u8]| SET_FRAME.iter().any(|set| code.starts_with(set));
    let frame = (0..code.len()).find(|&start| sets(&code[start..]));
    Some(match frame.map(|frame| done.cmp(&(frame as u64 + 1))) {
        Some(Ordering::Greater) => Rule::by_frame_pointer(),
        Some(Ordering::Equal) => Rule::after_pushing(8),
        _ => Rule::after_pushing(0),
    })
}

/// The code of an image.
struct CodeOf<'a>(&'a mut Symbolizer, u32);

impl Code for CodeOf<'_> {
    fn leave(&mut self, address: u64, exact: bool) -> Option<Arc<Rule>> {
        self.0.rule(self.1, address, exact)
    }

    fn interrupted(&mut self, address: u64) {
        if let Some(space) = self.0.spaces.get_mut(self.1)
            && space.interrupted.len() < INTERRUPTED_MAX
        {
            space.interrupted.insert(address);
        }
    }
}
