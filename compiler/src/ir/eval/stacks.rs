//! Stacks: of the hit, and kept by number.

use hwtrace_runtime::abi::frames::{Form, addresses_in, addresses_text, write_caller};
use hwtrace_runtime::world::stacks::{Stack, StackAt};

use super::{Datum, Run};
use crate::ir::Space::{self, Kernel, User};

/// A stack that a script keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    image: Option<u32>,
    whole: bool,
    addresses: Vec<u64>,
}

impl Kept {
    fn none() -> Self {
        Self { image: None, whole: true, addresses: Vec::new() }
    }

    fn stack(&self) -> Stack<'_> {
        let Self { image, whole, ref addresses } = *self;
        Stack { image, whole, addresses }
    }
}

impl Run<'_, '_> {
    /// A helper that asks for stacks; none where it is another.
    pub(super) fn stacks(&mut self, name: &str, args: &[Datum]) -> Option<Datum> {
        let level = args.first().map_or(-1, Datum::long);
        Some(match name {
            "ubacktrace" | "ucallers" => self.keep_at_hit(User, level),
            "backtrace" | "callers" => self.keep_at_hit(Kernel, level),
            "ustack" => self.address(User, level),
            "stack" => self.address(Kernel, level),
            "caller_addr" => {
                let space = self.accessor();
                self.address(space, 1)
            }
            "caller" => self.caller(),
            "print_ubacktrace" => self.print(Form::Full, User),
            "print_ubacktrace_brief" => self.print(Form::Brief, User),
            "print_ubacktrace_fileline" => self.print(Form::Source, User),
            "print_backtrace" => self.print_access(Form::Full),
            "print_backtrace_fileline" => self.print_access(Form::Source),
            "sprint_ubacktrace" => self.shown(User),
            "sprint_backtrace" => self.shown(Kernel),
            _ => return self.kept_stacks(name, args),
        })
    }

    /// A helper that takes a stack which is kept, or makes one.
    fn kept_stacks(&mut self, name: &str, args: &[Datum]) -> Option<Datum> {
        let kept =
            args.first().map_or_else(Kept::none, |number| self.kept(number.long()));
        Some(match (name, args) {
            ("print_syms", _) => {
                let lines = self.lines(Form::Full, &kept);
                self.state.output.extend_from_slice(&lines);
                Datum::Long(0)
            }
            ("sprint_syms", _) => {
                let lines = self.lines(Form::Simple, &kept);
                self.state.cut(lines)
            }
            ("emit_stack", [_, alone]) => {
                let mut lines = self.lines(Form::People, &kept);
                if alone.long() != 0 {
                    lines.insert(0, b'\n');
                } else {
                    lines.pop();
                }
                self.state.output.extend_from_slice(&lines);
                Datum::Long(0)
            }
            ("stack_text", _) => {
                self.state.cut(addresses_text(&kept.addresses).into_bytes())
            }
            ("stack_of", [text, kernel]) => {
                let addresses = addresses_in(text.text());
                let image = (kernel.long() == 0).then(|| self.image());
                self.keep(Kept { image, whole: true, addresses })
            }
            _ => return None,
        })
    }

    /// Whether handlers run because of a hit.
    fn is_hit(&mut self) -> bool {
        self.host.field("data_length").long() != 0
    }

    /// Whose instruction made the access.
    fn accessor(&mut self) -> Space {
        if self.host.field("user_mode").long() == 0 { Kernel } else { User }
    }

    /// The image of the process that is asked of.
    fn image(&mut self) -> u32 {
        let pid = match self.is_hit() {
            true => self.host.field("pid").long(),
            false => self.host.call("target", &[]).long(),
        };
        self.host.stacks().image(pid as u32)
    }

    fn at_hit(&mut self, space: Space) -> Kept {
        let instruction = self.host.field("address").long() as u64;
        if !self.is_hit() || space == Kernel && self.accessor() == User {
            return Kept::none();
        }
        if space == Kernel {
            let mut addresses = self.host.kernel_stack();
            if addresses.is_empty() && instruction != 0 {
                addresses.push(instruction);
            }
            return Kept { addresses, ..Kept::none() };
        }
        let pid = self.host.field("pid").long() as u32;
        let tid = self.host.field("tid").long() as u32;
        let at = StackAt { pid, tid, instruction, ..StackAt::default() };
        let mut addresses = Vec::new();
        let whole = self.host.stacks().walk(&at, &mut addresses);
        let image = Some(self.host.stacks().image(pid));
        Kept { image, whole, addresses }
    }

    fn kept(&self, number: i64) -> Kept {
        let at = usize::try_from(number.wrapping_sub(1)).ok();
        let kept = at.and_then(|at| self.state.stacks.get(at));
        kept.cloned().unwrap_or_else(Kept::none)
    }

    fn keep(&mut self, stack: Kept) -> Datum {
        if stack.addresses.is_empty() {
            return Datum::Long(0);
        }
        let stacks = &mut self.state.stacks;
        let at = stacks.iter().position(|known| *known == stack).unwrap_or(stacks.len());
        if at == stacks.len() {
            stacks.push(stack);
        }
        Datum::Long(at as i64 + 1)
    }

    fn keep_at_hit(&mut self, space: Space, levels: i64) -> Datum {
        let mut stack = self.at_hit(space);
        let wanted =
            usize::try_from(levels).map_or(usize::MAX, |it| it.saturating_add(1));
        if wanted < stack.addresses.len() {
            stack.addresses.truncate(wanted);
            stack.whole = true;
        }
        self.keep(stack)
    }

    fn address(&mut self, space: Space, level: i64) -> Datum {
        let stack = self.at_hit(space);
        let level = usize::try_from(level).ok();
        let address = level.and_then(|level| stack.addresses.get(level));
        Datum::Long(address.map_or(0, |address| *address as i64))
    }

    fn caller(&mut self) -> Datum {
        let space = self.accessor();
        let (stack, mut text) = (self.at_hit(space), Vec::new());
        if let Some(address) = stack.addresses.get(1) {
            write_caller(&mut text, self.host.stacks(), stack.image, *address);
        }
        self.state.cut(text)
    }

    fn lines(&mut self, form: Form, stack: &Kept) -> Vec<u8> {
        let mut out = Vec::new();
        form.write_stack(&mut out, self.host.stacks(), stack.stack());
        out
    }

    fn print(&mut self, form: Form, space: Space) -> Datum {
        let stack = self.at_hit(space);
        let lines = self.lines(form, &stack);
        self.state.output.extend_from_slice(&lines);
        Datum::Long(0)
    }

    /// The kernel's stack; where the process itself made the access, that instruction.
    fn print_access(&mut self, form: Form) -> Datum {
        let address = self.host.field("address").long() as u64;
        if self.accessor() == Kernel || address == 0 {
            return self.print(form, Kernel);
        }
        let place =
            Kept { image: Some(self.image()), whole: true, addresses: vec![address] };
        let line = self.lines(form, &place);
        self.state.output.extend_from_slice(&line);
        Datum::Long(0)
    }

    fn shown(&mut self, space: Space) -> Datum {
        let stack = self.at_hit(space);
        let lines = self.lines(Form::Simple, &stack);
        self.state.cut(lines)
    }
}
