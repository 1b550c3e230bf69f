//! Stacks: walked when a script asks for one, kept by number, named when printed.

mod at_hit;
mod known;
#[cfg(test)]
mod tests;

use super::World;
use crate::abi::FaultCode;
use crate::abi::frames::{Form, write_caller};
use crate::event::{RawHit, Registers, UserStack};
use crate::plan::Space;
use crate::schema::HitRecord;
use at_hit::AtHit;
use known::Known;
pub use known::Stack;

/// Walks the stacks of processes, and names what is on them.
pub trait Stacks {
    /// The image that a process runs now: a number of the giver's own, by which
    /// addresses can be named when the process has ended, or executes another.
    fn image(&mut self, pid: u32) -> u32;

    /// Appends the user's stack at a hit, the innermost first: the address of the
    /// instruction that made the access, or with which the thread entered the kernel,
    /// then the addresses to which calls return. True where it came to the stack's
    /// end; else what is further out could not be walked.
    fn walk(&mut self, hit: &StackAt<'_>, out: &mut Vec<u64>) -> bool;

    /// Tells the functions at an address, the innermost first: those that were
    /// inlined there, and the one that holds them all. One whose name is not known
    /// is told without.
    fn frame(&mut self, place: Place, each: &mut dyn FnMut(&Frame<'_>));
}

/// A stack that is to be walked.
#[derive(Clone, Copy, Debug, Default)]
pub struct StackAt<'a> {
    /// The process.
    pub pid: u32,
    /// The thread.
    pub tid: u32,
    /// The instruction that made the access.
    pub instruction: u64,
    /// Whether the kernel made the access: registers are then those with which the
    /// thread entered it.
    pub kernel: bool,
    /// The user's registers, after the instruction.
    pub registers: Registers<'a>,
    /// What was captured of the stack.
    pub stack: UserStack<'a>,
}

/// A place on a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The image, as [`Stacks::image`] gave it; none for the kernel.
    pub image: Option<u32>,
    /// The address.
    pub address: u64,
    /// Whether a call returns there: the call itself is the instruction before.
    pub returns: bool,
}

/// A function on a stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its name, demangled.
    pub function: Option<&'a str>,
    /// Bytes from its start to the address; 0 for one that was inlined.
    pub offset: u64,
    /// Its bytes, where they are known.
    pub size: u64,
    /// The file that is mapped there, or the kernel's module; empty where none is.
    pub module: &'a str,
    /// Source file and line of the instruction, or of the call that was inlined.
    pub line: Option<(&'a str, u32)>,
    /// Whether it was inlined into the one told next.
    pub inlined: bool,
}

/// Walks nothing and names nothing: all that is known is the instruction.
struct Nothing;

impl Stacks for Nothing {
    fn image(&mut self, _: u32) -> u32 {
        0
    }

    fn walk(&mut self, hit: &StackAt<'_>, out: &mut Vec<u64>) -> bool {
        out.push(hit.instruction);
        false
    }

    fn frame(&mut self, _: Place, _: &mut dyn FnMut(&Frame<'_>)) {}
}

/// The stacks that handlers see: those of the hit, and those that are kept.
pub(crate) struct AllStacks {
    who: Box<dyn Stacks>,
    hit: AtHit,
    known: Known,
}

impl Default for AllStacks {
    fn default() -> Self {
        let (hit, known) = (AtHit::default(), Known::default());
        Self { who: Box::new(Nothing), hit, known }
    }
}

impl World {
    /// Sets who walks and names stacks from now on. Until then a stack is the
    /// instruction of the access.
    pub fn set_stacks(&mut self, stacks: Box<dyn Stacks>) {
        self.stacks.who = stacks;
    }

    /// Sets the stacks that the next run finds, to be called only where
    /// [`Layout::stacks`](super::Layout) says so. They are copied, and walked when a
    /// handler asks for them.
    pub fn set_stack(&mut self, hit: &RawHit<'_>) {
        self.stacks.hit.set(hit);
    }

    /// How many stacks of the user could not be walked to their end.
    pub fn cut_stacks(&self) -> u64 {
        self.stacks.hit.cut
    }
}

impl AllStacks {
    /// The stack at the hit.
    pub(crate) fn at_hit(&mut self, space: Space, record: &HitRecord) -> Stack<'_> {
        self.hit.stack(&mut *self.who, space, record)
    }

    /// The number of the stack at the hit, of so many levels; below 0 of all.
    pub(crate) fn keep(
        &mut self,
        space: Space,
        record: &HitRecord,
        levels: i64,
    ) -> Result<u64, FaultCode> {
        let stack = self.hit.stack(&mut *self.who, space, record);
        self.known.keep(stack.innermost(levels))
    }

    /// The number of a stack with these addresses, of a process or the kernel.
    pub(crate) fn keep_addresses(
        &mut self,
        pid: Option<u32>,
        addresses: &[u64],
    ) -> Result<u64, FaultCode> {
        let image = pid.map(|pid| self.who.image(pid));
        self.known.keep(Stack { image, whole: true, addresses })
    }

    /// The stack with a number.
    pub(crate) fn kept(&self, number: u64) -> Stack<'_> {
        self.known.get(number)
    }

    /// Writes the lines of the stack at the hit.
    pub(crate) fn write_at_hit(
        &mut self,
        out: &mut Vec<u8>,
        form: Form,
        space: Space,
        record: &HitRecord,
    ) {
        let stack = self.hit.stack(&mut *self.who, space, record);
        form.write_stack(out, &mut *self.who, stack);
    }

    /// Writes the line of one place of a process.
    pub(crate) fn write_place(
        &mut self,
        out: &mut Vec<u8>,
        form: Form,
        pid: u32,
        address: u64,
    ) {
        let image = Some(self.who.image(pid));
        let stack = Stack { image, whole: true, addresses: &[address] };
        form.write_stack(out, &mut *self.who, stack);
    }

    /// Writes the lines of a kept stack.
    pub(crate) fn write_kept(&mut self, out: &mut Vec<u8>, form: Form, number: u64) {
        let stack = self.known.get(number);
        form.write_stack(out, &mut *self.who, stack);
    }

    /// Writes the name of the function that called the one of the hit, and the address
    /// in it; nothing where none is known.
    pub(crate) fn write_caller(
        &mut self,
        out: &mut Vec<u8>,
        space: Space,
        record: &HitRecord,
    ) {
        let stack = self.hit.stack(&mut *self.who, space, record);
        if let Some(address) = stack.addresses.get(1) {
            write_caller(out, &mut *self.who, stack.image, *address);
        }
    }
}
