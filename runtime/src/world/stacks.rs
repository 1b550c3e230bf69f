//! Stacks: walked when a script asks for one, kept by number, named when printed.

use crate::event::{Registers, UserStack};

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
