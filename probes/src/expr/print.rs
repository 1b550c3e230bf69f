//! The one text of an expression.

use std::fmt;

use super::Expression;
use super::scan::is_bare_module;

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expression::Address(address) | Expression::Decimal { address, .. } => {
                write!(f, "{address:#x}")
            }
            Expression::Name { module: None, name } => f.write_str(name),
            Expression::Name { module: Some(module), name } if is_bare_module(module) => {
                write!(f, "{module}:{name}")
            }
            Expression::Name { module: Some(module), name } => {
                write!(f, "\"{module}\":{name}")
            }
            Expression::Member { of, name } => write!(f, "{}.{name}", Postfix(of)),
            Expression::Arrow { of, name } => write!(f, "{}->{name}", Postfix(of)),
            Expression::Index { of, index } => write!(f, "{}[{index}]", Postfix(of)),
            Expression::Range { of, from, to } => {
                write!(f, "{}[", Postfix(of))?;
                from.iter().try_for_each(|from| from.fmt(f))?;
                f.write_str("..")?;
                to.iter().try_for_each(|to| to.fmt(f))?;
                f.write_str("]")
            }
            Expression::Dereference(of) => write!(f, "*{}", Operand(of)),
            Expression::Reference(of) => write!(f, "&{}", Operand(of)),
            Expression::Cast { to, stars, of } => {
                write!(f, "({to}{:*<1$}){2}", "", *stars as usize, Operand(of))
            }
            Expression::Offset { of, count } => write!(f, "{of}{count:+}"),
        }
    }
}

impl Expression {
    /// The text with what makes it one word to `[…]`: parentheses where needed.
    pub fn as_whole(&self) -> String {
        Postfix(self).to_string()
    }

    /// The text that its members' names follow: `x.`, and `p->` of `*p`.
    pub(crate) fn before_member(&self) -> String {
        match self {
            Expression::Dereference(pointer) => format!("{}->", Postfix(pointer)),
            // A pointer names what it points to.
            Expression::Cast { .. } => format!("{}->", Postfix(self)),
            Expression::Offset { of, .. } if of.is_pointer() => {
                format!("{}->", Postfix(self))
            }
            _ => format!("{}.", Postfix(self)),
        }
    }

    /// The text of what is so many bytes further on.
    pub fn moved_by(&self, bytes: i64) -> String {
        let moved = |count: i64| count.wrapping_add(bytes);
        match self {
            Expression::Address(address) | Expression::Decimal { address, .. } => {
                format!("{:#x}", address.wrapping_add_signed(bytes))
            }
            _ if bytes == 0 => self.to_string(),
            Expression::Offset { of, count } if !of.is_pointer() => match moved(*count) {
                0 => of.to_string(),
                count => format!("{of}{count:+}"),
            },
            _ => format!("{}{bytes:+}", Postfix(self)),
        }
    }

    /// Is it a pointer by its form, and no data?
    pub(crate) fn is_pointer(&self) -> bool {
        match self {
            Expression::Cast { .. } | Expression::Reference(_) => true,
            Expression::Offset { of, .. } => of.is_pointer(),
            _ => false,
        }
    }
}

/// Before `.`, `->` and `[`.
struct Postfix<'a>(&'a Expression);

impl fmt::Display for Postfix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expression::Dereference(_)
            | Expression::Reference(_)
            | Expression::Cast { .. }
            | Expression::Offset { .. } => write!(f, "({})", self.0),
            _ => self.0.fmt(f),
        }
    }
}

/// Behind `*`, `&` and a cast.
struct Operand<'a>(&'a Expression);

impl fmt::Display for Operand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expression::Offset { .. } => write!(f, "({})", self.0),
            _ => self.0.fmt(f),
        }
    }
}
