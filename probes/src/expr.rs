//! What is watched: the text in `data("…")` and after `hwtrace watch`.
//!
//! An expression names data as C does, and paths of C++ and Rust too:
//!
//! | form | names |
//! | --- | --- |
//! | `counter`, `app::Pool::limit`, `state@file.c`, `_ZN3app4HITSE` | a variable |
//! | `libz.so:crc_table`, `"path/to/libz.so":crc_table` | one of that file alone |
//! | `0x404010`, `4210704` | the data at an address |
//! | `x.member`, `x.0`, `x.Base::member` | a member, through C++ references too |
//! | `p->member`, `*p` | what a pointer points to, and a member of it |
//! | `a[3]`, `p[-1]`, `a[MAX - 1]` | an element; constants of enumerations have names |
//! | `a[0..64]`, `p[2..N]`, `a[..]` | each of some elements, without the last; all of an array |
//! | `(struct conn *)0x55…`, `(node_t *)p` | the data that the cast pointer points to |
//! | `*&x`, `(&x)[1]` | `&` makes a pointer of data, and is nothing by itself |
//!
//! `+ N` and `- N` have two meanings. Behind data and at the end of the *whole*
//! expression they count *bytes* from where the data begins: `limits + 16`, `p->buffer + 4`.
//! Everywhere else they are C's pointer arithmetic, and count *elements*: in parentheses
//! before `->` and `[…]`, in the operand of `*` and of a cast, and behind a cast or
//! `&x`, which are pointers: `*(p + 1)`, `(long *)p + 1`. What an address written as a
//! number points to has no type: there they count bytes.
//!
//! ELF names may have dots in them (`count.0`, `table.llvm.123`). Here each dot is a
//! member's; who looks the expression up tries the longest text as a symbol first.
//!
//! [`Expression`] prints itself in one form, which parses to itself again.

mod constant;
mod elements;
mod error;
mod parse;
mod print;
mod scan;
#[cfg(test)]
mod tests;

pub use constant::{Constant, Operator};
pub use elements::MAX_ELEMENTS;
pub(crate) use elements::TooMany;
pub use error::{ExprError, ExprErrorKind};

/// A parsed expression that names data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// A variable.
    Name {
        /// The file that has it, as written: a path, or the end of one. Without it
        /// the executable and then its libraries are searched.
        module: Option<String>,
        /// The name as written: a raw ELF name, a demangled path, or the end of one;
        /// with a source file's own variable `NAME@FILE`.
        name: String,
    },
    /// An absolute address in the process.
    Address(u64),
    /// The same, written as a decimal number, which may have been meant as a
    /// hexadecimal one: `watch 404010`.
    Decimal {
        /// The address.
        address: u64,
        /// What it would be if the digits were hexadecimal.
        as_hex: u64,
    },
    /// `of.name`.
    Member {
        /// The whole.
        of: Box<Expression>,
        /// The member; `0` of a tuple, `Base::member` of a base class.
        name: String,
    },
    /// `of->name`.
    Arrow {
        /// The pointer.
        of: Box<Expression>,
        /// The member, as in [`Expression::Member`].
        name: String,
    },
    /// `of[index]`.
    Index {
        /// The array or pointer.
        of: Box<Expression>,
        /// Which element.
        index: Constant,
    },
    /// `of[from..to]`: each of these elements by itself, without the last. Where the first
    /// or the last is left out, as far as the array goes.
    Range {
        /// The array or pointer.
        of: Box<Expression>,
        /// The first element.
        from: Option<Constant>,
        /// The element after the last.
        to: Option<Constant>,
    },
    /// `*of`.
    Dereference(Box<Expression>),
    /// `&of`: a pointer to it.
    Reference(Box<Expression>),
    /// `(to *)of`.
    Cast {
        /// The type's name, without its stars.
        to: String,
        /// How many stars, 1 or more.
        stars: u32,
        /// What is cast: an address, a pointer or an array.
        of: Box<Expression>,
    },
    /// `of + count`: bytes or elements, see the head of this file.
    Offset {
        /// What is added to; no number and no other offset, into which it is
        /// taken.
        of: Box<Expression>,
        /// How many, not 0.
        count: i64,
    },
}

impl Expression {
    /// Parses the text of an expression. See the head of this file.
    ///
    /// # Errors
    ///
    /// [`ExprError`]: where and why the text is none.
    pub fn parse(text: &str) -> Result<Self, ExprError> {
        let expression = parse::parse(text)?;
        // It is known by its one text from now on.
        let written = expression.to_string();
        match parse::parse(&written) {
            Ok(again) if again.to_string() == written => Ok(expression),
            _ => Err(ExprError { at: 0, kind: ExprErrorKind::Ambiguous }),
        }
    }

    /// The file that it says has its variable, where it does.
    pub fn module(&self) -> Option<&str> {
        match self.start() {
            Expression::Name { module, .. } => module.as_deref(),
            _ => None,
        }
    }

    /// What it begins with: a variable or an address.
    pub(crate) fn start(&self) -> &Expression {
        let mut start = self;
        while let Some(of) = start.operand() {
            start = of;
        }
        start
    }

    /// What it is made of; none of a variable and of an address.
    fn operand(&self) -> Option<&Expression> {
        match self {
            Expression::Name { .. }
            | Expression::Address(_)
            | Expression::Decimal { .. } => None,
            Expression::Member { of, .. }
            | Expression::Arrow { of, .. }
            | Expression::Index { of, .. }
            | Expression::Range { of, .. }
            | Expression::Dereference(of)
            | Expression::Reference(of)
            | Expression::Cast { of, .. }
            | Expression::Offset { of, .. } => Some(of),
        }
    }

    /// What its first range is of: `table` of `table[0..4].slots[..]`. None where it names
    /// one thing.
    pub fn ranged(&self) -> Option<&Expression> {
        let inner = self.operand().and_then(Expression::ranged);
        inner.or(match self {
            Expression::Range { of, .. } => Some(of),
            _ => None,
        })
    }

    /// The variable of this name, in whatever file has it.
    pub fn name(name: impl Into<String>) -> Self {
        Expression::Name { module: None, name: name.into() }
    }
}
