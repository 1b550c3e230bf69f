//! The types of the language.

use std::fmt;

/// Type of a value at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// A signed 64-bit integer that wraps.
    Long,
    /// A 64-bit floating point number (IEEE 754).
    Double,
    /// Bytes, UTF-8 where they are text.
    String,
    /// A stack of calls, of a process or the kernel: one word, by which it is found
    /// again and named when it is printed. Where a string is wanted it becomes one.
    Stack,
    /// A statistics aggregate, filled by `<<<`. Only globals and elements of
    /// arrays hold one; it is no value that an expression could have.
    Stats,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Long => "long",
            Self::Double => "double",
            Self::String => "string",
            Self::Stack => "stack",
            Self::Stats => "statistics",
        })
    }
}
