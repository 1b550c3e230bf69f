//! What is captured of users' stacks, as `--stacks` says.

use clap::ValueEnum;
use hwtrace_probes::image::Image;
use hwtrace_probes::symbols::Elf;
use hwtrace_runtime::plan::{Plan, StackCapture};

/// What is captured of the stack at hits whose handlers ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unwinding {
    /// By what it is walked.
    pub by: By,
    /// Bytes of its memory at most, where it is walked by them; a multiple of 8, up to
    /// [`StackCapture::BYTES_MAX`].
    pub bytes: u32,
}

/// By what stacks are walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// Frame pointers where all code of the processes keeps them, else what debuggers use.
    Auto,
    /// Frame pointers, which cost little: right where all code keeps them.
    Fp,
    /// A copy of the stack's memory, by the tables that debuggers use.
    Dwarf,
}

/// Enough for most programs.
pub const BYTES: u32 = 16 << 10;
/// In these is where the innermost function returns to, which has not made its frame
/// yet, or makes none.
const FIRST_FRAME_BYTES: u32 = 512;

impl Default for Unwinding {
    fn default() -> Self {
        Self { by: By::Auto, bytes: BYTES }
    }
}

impl Unwinding {
    /// Has plans capture what they need of stacks. `images` are the processes that are
    /// there, `others` may come; `keeps` tells whether the code of a file keeps frame
    /// pointers.
    pub(crate) fn plan<'i>(
        self,
        plans: &mut [Plan],
        images: impl Iterator<Item = &'i Image>,
        others: bool,
        keeps: fn(&Elf) -> bool,
    ) {
        let mut asking = plans.iter_mut().filter(|plan| plan.needs.user_stack).peekable();
        // Looking at code takes time.
        if asking.peek().is_none() {
            return;
        }
        let capture = self.capture(images, others, keeps);
        asking.for_each(|plan| plan.stack = capture);
    }

    fn capture<'i>(
        self,
        mut images: impl Iterator<Item = &'i Image>,
        others: bool,
        keeps: fn(&Elf) -> bool,
    ) -> StackCapture {
        match self.by {
            By::Fp => StackCapture { callers: true, bytes: 0 },
            By::Dwarf => StackCapture { callers: false, bytes: self.bytes },
            By::Auto if !others && images.all(|image| all_keep(image, keeps)) => {
                StackCapture { callers: true, bytes: FIRST_FRAME_BYTES }
            }
            By::Auto => StackCapture { callers: false, bytes: self.bytes },
        }
    }
}

/// Whether all code of a process keeps frame pointers, as far as it is known.
fn all_keep(image: &Image, keeps: fn(&Elf) -> bool) -> bool {
    let modules = image.modules();
    modules.iter().all(|module| module.elf().is_some_and(|elf| keeps(elf)))
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use hwtrace_probes::process::Process;
    use hwtrace_runtime::plan::Needs;

    use super::*;
    use crate::names::Names;
    use crate::target::Target;

    fn captured(by: By, others: bool, keeps: fn(&Elf) -> bool) -> StackCapture {
        let names = Names::of(&Target::None);
        let own = Process::open(std::process::id()).expect("ourselves");
        let image = Rc::new(Image::of_process(&own, names.files()).expect("ours"));
        assert!(image.modules().len() > 1);
        let needs = Needs { user_stack: true, ..Needs::NONE };
        let mut plans = [Plan { needs, ..Plan::default() }, Plan::default()];
        let unwinding = Unwinding { by, ..Unwinding::default() };
        unwinding.plan(&mut plans, [&*image].into_iter(), others, keeps);
        assert_eq!(plans[1], Plan::default(), "nobody asks");
        plans[0].stack
    }

    #[test]
    fn what_is_captured_is_what_the_code_can_be_walked_by() {
        let [all, none]: [fn(&Elf) -> bool; 2] = [|_| true, |_| false];
        let bytes = |callers, bytes| StackCapture { callers, bytes };
        for keeps in [all, none] {
            assert_eq!(captured(By::Fp, true, keeps), bytes(true, 0));
            assert_eq!(captured(By::Dwarf, false, keeps), bytes(false, BYTES));
            assert_eq!(captured(By::Auto, true, keeps), bytes(false, BYTES));
        }
        assert_eq!(captured(By::Auto, false, none), bytes(false, BYTES));
        assert_eq!(captured(By::Auto, false, all), bytes(true, FIRST_FRAME_BYTES));
    }
}
