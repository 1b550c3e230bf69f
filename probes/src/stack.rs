//! Stacks of user code: from registers and captured memory to the addresses that
//! calls return to.
//!
//! | file | what it does |
//! | --- | --- |
//! | `registers` | a thread's registers, and what of its memory was captured |
//! | `tables` | the tables of a file that say how functions are left |
//! | `rule` | one row of them, decoded once |
//! | `expression` | the little programs that some rows have |
//! | `walk` | from frame to frame |
//! | `habits` | whether a file's code keeps frame pointers |
//!
//! gimli decodes the rows. Walkers that keep `rip`, `rsp` and `rbp` alone are faster still,
//! but lose their way where a frame is found by another register (functions that realign
//! the stack), and where a row reads memory (frames of signals): debuggers do not.
//!
//! Files and captured memory are not trusted: what they say is bounded by
//! [`FRAMES_MAX`] and by the bytes that are there.

mod expression;
mod habits;
mod registers;
mod rule;
pub(crate) mod tables;
mod walk;

pub use habits::keeps_frame_pointers;
pub use registers::Registers;
pub use walk::{FRAMES_MAX, Thread};

pub(crate) use rule::{Rule, signal_return};
pub(crate) use tables::Decoder;
pub(crate) use walk::{Code, walk};

pub(crate) use crate::symbols::unwind::Index;
