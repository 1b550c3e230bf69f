//! Why a text is no expression, and what to write instead.

/// Why a text is not an expression that can be watched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct ExprError {
    /// The byte of the text at which it is seen.
    pub at: usize,
    /// What is wrong there.
    pub kind: ExprErrorKind,
}

/// What is wrong with the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExprErrorKind {
    /// There is nothing, or nothing but blanks.
    #[error("the expression is empty: name a variable, as in \"counter\"")]
    Empty,
    /// The text is longer than any name.
    #[error("the expression is longer than {max} bytes")]
    TooLong {
        /// The greatest length in bytes.
        max: usize,
    },
    /// There are too many operators.
    #[error("the expression has more than {max} parts")]
    TooManyParts {
        /// How many there may be.
        max: u32,
    },
    /// With its blanks it means one thing, and another without them.
    #[error("blanks before a member or an operator make it ambiguous")]
    Ambiguous,
    /// A number that is not one, or does not fit 64 bits.
    #[error("`{text}` is not a number: write 0x1f or 31")]
    BadNumber {
        /// The number as written.
        text: String,
    },
    /// A character that cannot stand where it does.
    #[error("`{found}` at byte {at} cannot stand in a data expression")]
    Syntax {
        /// Byte offset in the expression.
        at: usize,
        /// The offending character.
        found: char,
    },
    /// The text ends too early.
    #[error("the expression ends where {expected} should follow")]
    Incomplete {
        /// What should, as a noun phrase.
        expected: &'static str,
    },
    /// A bracket has no other end.
    #[error("`{bracket}` is not closed")]
    Unclosed {
        /// The bracket.
        bracket: char,
    },
    /// A number after a symbol has no `+` or `-`, or the other way round.
    #[error("`+` and `-` need a number of bytes after them, as in \"limits+16\"")]
    MissingOffset,
    /// `&x` is a number, and no data.
    #[error("`&{of}` is an address, which is not in memory itself")]
    AddressOf {
        /// What the address is of.
        of: String,
    },
    /// `(int)x` is a number, and no data.
    #[error("`({to})` makes a value, which is not in memory itself")]
    NotAPointer {
        /// The type.
        to: String,
    },
    /// `/…/`.
    #[error("data is named exactly, not by a regular expression")]
    RegularExpression,
}

impl ExprError {
    pub(super) fn new(at: usize, kind: ExprErrorKind) -> Self {
        ExprError { at, kind }
    }

    /// What to write instead, where that can be said.
    pub fn help(&self) -> Option<String> {
        match &self.kind {
            ExprErrorKind::AddressOf { of } => {
                Some(format!("watch what is at that address: `{of}`"))
            }
            ExprErrorKind::NotAPointer { to } => Some(format!(
                "cast to a pointer, and what it points to is watched: `({to}*)…`"
            )),
            ExprErrorKind::Ambiguous => {
                Some("write members without blanks: `cfg.limits[2].max`".to_owned())
            }
            ExprErrorKind::RegularExpression => {
                Some("list the names that fit with `hwtrace list`".to_owned())
            }
            ExprErrorKind::Unclosed { bracket: '[' } => {
                Some("an index is a number or a constant: `limits[2]`".to_owned())
            }
            ExprErrorKind::Syntax { found: '-', .. } => {
                Some("a member behind a pointer is `p->member`".to_owned())
            }
            ExprErrorKind::Syntax { found: '=', .. } => {
                Some("the last of a range is not in it: `table[0..64]` has 64".to_owned())
            }
            ExprErrorKind::Syntax { found: '(', .. } => {
                Some("functions of the program are not called".to_owned())
            }
            _ => None,
        }
    }
}
