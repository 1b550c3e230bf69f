//! The types of the language.

use std::fmt;

/// Type of a value at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// A signed 64-bit integer that wraps.
    Long,
    /// Bytes, UTF-8 where they are text.
    String,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Long => "long",
            Self::String => "string",
        })
    }
}
