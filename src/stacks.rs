//! Stacks of the traced processes, walked and named by the session's symbolizer.

use hwtrace_probes::address::AbsAddr;
use hwtrace_probes::dwarf;
use hwtrace_probes::stack::{Registers, Thread};
use hwtrace_probes::symbolize::OnStack;
use hwtrace_runtime::world::stacks::{Frame, Place, StackAt, Stacks};

use crate::symbols::SharedSymbols;

/// The perf number of each register that DWARF numbers, in the order of those
/// (arch/x86/include/uapi/asm/perf_regs.h; System V ABI for x86-64, figure 3.36).
const PERF_NUMBERS: [u32; Registers::COUNT] =
    [0, 3, 2, 1, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23, 8];

/// The stacks of a session.
pub struct TargetStacks(pub SharedSymbols);

impl Stacks for TargetStacks {
    fn image(&mut self, pid: u32) -> u32 {
        self.0.borrow_mut().symbolizer().image(pid)
    }

    fn walk(&mut self, hit: &StackAt<'_>, out: &mut Vec<u64>) -> bool {
        let mut symbols = self.0.borrow_mut();
        let symbolizer = symbols.symbolizer();
        let mut registers = Registers::default();
        for (number, perf) in (0..).zip(PERF_NUMBERS) {
            registers.set(number, hit.registers.get(perf));
        }
        let callers = hit.stack.callers;
        if registers.get(Registers::RIP).is_none() {
            let seen = callers.first().copied();
            registers.set(Registers::RIP, seen.or(Some(hit.instruction)));
        }
        let instruction = match registers.get(Registers::RIP) {
            Some(next) if hit.kernel => symbolizer.entered_by(hit.pid, next),
            _ => hit.instruction,
        };
        let thread = Thread { instruction, registers, bytes: hit.stack.bytes, callers };
        symbolizer.walk(hit.pid, &thread, out)
    }

    fn frame(&mut self, place: Place, each: &mut dyn FnMut(&Frame<'_>)) {
        let mut symbols = self.0.borrow_mut();
        let address = AbsAddr(place.address);
        let at = symbols.symbolizer().on_stack(place.image, address, place.returns);
        // Told without the symbols borrowed: who listens may ask for more.
        drop(symbols);
        let whole = whole(&at);
        let mut told = false;
        for frame in at.frames.iter() {
            told |= !frame.inlined;
            each(&match frame.inlined {
                true => Frame { module: whole.module, ..of(frame) },
                false => joined(of(frame), whole),
            });
        }
        if !told {
            each(&whole);
        }
    }
}

/// The function that is not inlined, by its symbol.
fn whole(at: &OnStack) -> Frame<'_> {
    let module = at.module.as_deref().unwrap_or("");
    let symbol = at.symbol.as_ref();
    symbol.map_or(Frame { module, ..Frame::default() }, |symbol| Frame {
        function: Some(&symbol.name),
        offset: symbol.offset,
        size: symbol.size,
        module,
        ..Frame::default()
    })
}

/// A function by debug information.
fn of(frame: &dwarf::Frame) -> Frame<'_> {
    let line = frame.file.as_deref().zip(frame.line);
    let function = frame.function.as_deref();
    Frame { function, line, inlined: frame.inlined, ..Frame::default() }
}

/// The name by debug information with the rest by its symbol. A part that the compiler put
/// elsewhere has one of its own, from which the offset is counted.
fn joined<'a>(debug: Frame<'a>, symbol: Frame<'a>) -> Frame<'a> {
    let of_part = symbol.function.filter(|name| is_part(name));
    let function = of_part.or(debug.function).or(symbol.function);
    Frame { function, line: debug.line, ..symbol }
}

/// `f.cold`, as GCC and Clang name what is hardly ever executed; demangled that is
/// `f() [clone .cold]`.
fn is_part(symbol: &str) -> bool {
    symbol.contains(".cold")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_from_what_is_named() {
        let named = |function| Frame { function, ..Frame::default() };
        for (debug, symbol, expected) in [
            (Some("f"), Some("f"), Some("f")),
            (Some("f"), Some("_Z1fv"), Some("f")),
            (Some("f"), Some("f() [clone .cold]"), Some("f() [clone .cold]")),
            (Some("f"), Some("f.cold.3"), Some("f.cold.3")),
            (None, Some("g"), Some("g")),
            (Some("f"), None, Some("f")),
        ] {
            assert_eq!(joined(named(debug), named(symbol)).function, expected);
        }
    }
}
