//! What is watched: the text in `data("…")` and after `hwtrace watch`.
//!
//! This is the subset that the ELF symbol table alone can answer: a symbol, a
//! symbol and an offset, an address. Everything richer that the language
//! describes is recognised and refused by name, so that nobody has to wonder
//! whether it was a spelling mistake.

use std::fmt;

use crate::symbols::demangle::ABI_TAG;
use crate::symbols::split_file;

/// A parsed expression that names data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// A symbol, with a number of bytes added to its address.
    Symbol {
        /// The name as written: a raw ELF name, a demangled path, or the end of one;
        /// with a source file's own variable `NAME@FILE`.
        name: String,
        /// Bytes from the symbol's start.
        offset: i64,
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
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expression::Address(address) | Expression::Decimal { address, .. } => {
                write!(f, "{address:#x}")
            }
            Expression::Symbol { name, offset: 0 } => f.write_str(name),
            Expression::Symbol { name, offset } => write!(f, "{name}{offset:+}"),
        }
    }
}

/// Why a text is not an expression that can be watched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExprError {
    /// There is nothing, or nothing but blanks.
    #[error("the expression is empty: name a variable, as in \"counter\"")]
    Empty,
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
    /// A number after a symbol has no `+` or `-`, or the other way round.
    #[error("`+` and `-` need a number of bytes after them, as in \"limits+16\"")]
    MissingOffset,
    /// Right by the language, but this version cannot watch it.
    #[error("{what} cannot be watched yet: {instead}")]
    NotYet {
        /// What it is, as a noun phrase.
        what: &'static str,
        /// What to write for now.
        instead: &'static str,
    },
}

/// Longer texts are refused: no name is, and work stays bounded.
const MAX_LENGTH: usize = 16 * 1024;

impl Expression {
    /// Parses the text of an expression. See the language page, `EXPR`.
    ///
    /// # Errors
    ///
    /// [`ExprError`]; [`ExprError::NotYet`] for what the language has and this
    /// version cannot resolve.
    pub fn parse(text: &str) -> Result<Self, ExprError> {
        let text = text.trim();
        let first = text.chars().next().ok_or(ExprError::Empty)?;
        if text.len() > MAX_LENGTH {
            return Err(ExprError::Syntax { at: MAX_LENGTH, found: '…' });
        }
        refuse_prefix(text, first)?;
        let (head, offset) = split_offset(text)?;
        if head.is_empty() {
            return Err(ExprError::Syntax { at: 0, found: first });
        }
        if head.starts_with(|c: char| c.is_ascii_digit()) {
            let address = parse_number(head)?.checked_add_signed(offset);
            let address =
                address.ok_or(ExprError::BadNumber { text: text.to_owned() })?;
            let as_hex = u64::from_str_radix(head, 16).ok();
            let as_hex = as_hex.and_then(|as_hex| as_hex.checked_add_signed(offset));
            return Ok(match as_hex.filter(|&as_hex| as_hex != address) {
                Some(as_hex) => Expression::Decimal { address, as_hex },
                None => Expression::Address(address),
            });
        }
        check_name(head)?;
        Ok(Expression::Symbol { name: head.to_owned(), offset })
    }
}

/// Refuses what its first character gives away.
fn refuse_prefix(text: &str, first: char) -> Result<(), ExprError> {
    let (what, instead) = match first {
        '*' => (
            "what a pointer points to",
            "watch the pointer itself, or the address it holds: \"0x…\"",
        ),
        '&' => (
            "the address of an expression",
            "write the name without `&`: its address is what is watched",
        ),
        '"' => (
            "a variable of another file",
            "only the executable's own variables can be named: leave the path out",
        ),
        '(' if !text.starts_with(ANONYMOUS) => {
            ("a cast", "write the address alone, and give a length")
        }
        _ => return Ok(()),
    };
    Err(ExprError::NotYet { what, instead })
}

/// How C++ demanglers write the unnamed namespace.
const ANONYMOUS: &str = "(anonymous namespace)";

/// Splits `name+1-2` into `name` and the sum of the offsets. Brackets of any kind
/// hide what is in them: `Grid<-1>::cells` has no offset.
fn split_offset(text: &str) -> Result<(&str, i64), ExprError> {
    let mut depth = 0_i32;
    let mut file = false;
    let bytes = text.as_bytes();
    let cut = bytes.iter().enumerate().position(|(index, &byte)| {
        match byte {
            b'<' | b'(' | b'{' => depth += 1,
            // The `>` of `->` closes nothing.
            b'>' if index > 0 && bytes[index - 1] == b'-' => {}
            b'>' | b')' | b'}' => depth -= 1,
            b'-' if bytes.get(index + 1) == Some(&b'>') => {}
            // Names of files may have both in them.
            b'+' | b'-' if file => return is_offset(&text[..index], &text[index..]),
            b'+' | b'-' => return depth <= 0,
            b'@' => file = true,
            _ => {}
        }
        false
    });
    let Some(cut) = cut else {
        return Ok((text, 0));
    };
    let (head, tail) = text.split_at(cut);
    Ok((head.trim_end(), sum_offsets(tail)?))
}

/// Is this sign behind a source file's name, or part of it?
fn is_offset(head: &str, tail: &str) -> bool {
    let whole = || split_file(head.trim_end()).1.is_some();
    match sum_offsets(tail) {
        Err(ExprError::MissingOffset) => whole(),
        sum => sum.is_ok(),
    }
}

/// Adds up `+16 - 0x8`.
fn sum_offsets(mut tail: &str) -> Result<i64, ExprError> {
    let mut sum = 0_i64;
    while let Some(sign) = tail.chars().next() {
        let number = tail[sign.len_utf8()..].trim_start();
        let end = number.find(['+', '-']).unwrap_or(number.len());
        let (digits, rest) = number.split_at(end);
        let digits = digits.trim_end();
        if digits.is_empty() {
            return Err(ExprError::MissingOffset);
        }
        let bad = || ExprError::BadNumber { text: digits.to_owned() };
        let value = i64::try_from(parse_number(digits)?).map_err(|_| bad())?;
        let signed = if sign == '-' { -value } else { value };
        sum = sum.checked_add(signed).ok_or_else(bad)?;
        tail = rest;
    }
    Ok(sum)
}

/// Reads `0x…` or a decimal number. A leading zero is refused, as C and debuggers
/// disagree about it.
fn parse_number(text: &str) -> Result<u64, ExprError> {
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (digits, radix) = hex.map_or((text, 10), |digits| (digits, 16));
    let octal = radix == 10 && digits.len() > 1 && digits.starts_with('0');
    // `from_str_radix` would accept a sign of its own.
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u64::from_str_radix(digits, radix);
    match number {
        Ok(number) if plain && !octal => Ok(number),
        _ => Err(ExprError::BadNumber { text: text.to_owned() }),
    }
}

/// Walks over a name outside its brackets and refuses members, elements and
/// libraries.
fn check_name(text: &str) -> Result<(), ExprError> {
    let (name, file) = split_file(text);
    if let Some(file) = file {
        let foreign = |c: char| !c.is_alphanumeric() && !"._-+/ ".contains(c);
        if let Some((at, found)) = file.char_indices().find(|&(_, c)| foreign(c)) {
            return Err(ExprError::Syntax { at: name.len() + 1 + at, found });
        }
    }
    let mut depth = 0_i32;
    let mut skip = 0;
    for (at, found) in name.char_indices() {
        if at < skip {
            continue;
        }
        let rest = &name[at..];
        match found {
            '-' if rest.starts_with("->") => return Err(NOT_YET_POINTER),
            '<' | '(' | '{' => depth += 1,
            '>' | ')' | '}' if depth > 0 => depth -= 1,
            _ if depth > 0 => {}
            ':' if rest.starts_with("::") => skip = at + 2,
            ':' => return Err(NOT_YET_LIBRARY),
            '[' if rest.starts_with(ABI_TAG) && rest.contains(']') => {
                skip = at + rest.find(']').unwrap_or(0) + 1;
            }
            '[' => return Err(NOT_YET_ELEMENT),
            '.' if !is_symbol_suffix(rest) => return Err(member_or_library(rest)),
            '_' | '$' | '.' | '@' => {}
            // Demanglers put blanks in names: `Pool::get() const::count`.
            ' ' if name.contains("::") => {}
            _ if found.is_alphanumeric() => {}
            _ => return Err(ExprError::Syntax { at, found }),
        }
    }
    Ok(())
}

const NOT_YET_POINTER: ExprError = ExprError::NotYet {
    what: "a path through a pointer",
    instead: "watch the pointer itself, or the address of the data: \"0x…\"",
};
const NOT_YET_LIBRARY: ExprError = ExprError::NotYet {
    what: "a variable of a shared library",
    instead: "only the executable's own variables can be named; \
              an address works: \"0x…\"",
};
const NOT_YET_ELEMENT: ExprError = ExprError::NotYet {
    what: "an array element by its index",
    instead: "give its distance in bytes, as in `limits+16`, and a length",
};

/// `.so` before a `:` is a library; any other `.word` is a member.
fn member_or_library(rest: &str) -> ExprError {
    let file = rest.starts_with(".so:") || rest.starts_with(".so.");
    if file && rest.contains(':') {
        return NOT_YET_LIBRARY;
    }
    ExprError::NotYet {
        what: "a member by its name",
        instead: "give its distance in bytes, as in `cfg+8`, and a length",
    }
}

/// Is this dot part of an ELF name? Compilers number a function's statics
/// (`count.0`) and mark copies (`table.llvm.123`, `lock.lto_priv.0`).
fn is_symbol_suffix(rest: &str) -> bool {
    let word = &rest[1..];
    let end =
        word.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(word.len());
    let word = &word[..end];
    word.starts_with(|c: char| c.is_ascii_digit())
        || matches!(word, "llvm" | "lto_priv" | "part" | "isra" | "constprop" | "cold")
    // A version's dots follow an `@`, which has been let through: `@GLIBC_2.2.5`.
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn symbol(name: &str, offset: i64) -> Result<Expression, ExprError> {
        let name = name.to_owned();
        Ok(Expression::Symbol { name, offset })
    }

    #[test]
    fn symbols_with_and_without_offset() {
        assert_eq!(Expression::parse("counter"), symbol("counter", 0));
        assert_eq!(Expression::parse(" limits + 0x10 "), symbol("limits", 16));
        assert_eq!(Expression::parse("limits-8"), symbol("limits", -8));
        assert_eq!(Expression::parse("a+8+8-4"), symbol("a", 12));
    }

    #[test]
    fn addresses_in_hex_and_decimal() {
        let parse = Expression::parse;
        assert_eq!(parse("0x404028"), Ok(Expression::Address(0x404028)));
        let decimal = |address, as_hex| Ok(Expression::Decimal { address, as_hex });
        assert_eq!(parse("4210728"), decimal(4210728, 0x4210728));
        assert_eq!(parse("404010+8"), decimal(404018, 0x404018));
        assert_eq!(parse("8"), Ok(Expression::Address(8)));
        let long = "18446744073709551615";
        assert_eq!(parse(long), Ok(Expression::Address(u64::MAX)));
        assert_eq!(parse("0x1000+8"), Ok(Expression::Address(0x1008)));
        for bad in ["0x", "0xzz", "0777", "12ab", "0x1-2", "0x11111111111111111"] {
            let error = parse(bad);
            assert!(matches!(error, Err(ExprError::BadNumber { .. })), "{bad}");
        }
    }

    #[test]
    fn names_of_compilers_and_demanglers() {
        for name in [
            "_ZN3app5stats4HITSE",
            "crate::module::STATIC",
            "app::{closure#0}::COUNT",
            "Grid<-1>::cells",
            "Grid<int, (char)43>::cells",
            "(anonymous namespace)::counter",
            "next_id()::count",
            "Pool::get() const::count",
            "<app::Pool as app::Reset>::LIMIT",
            "count.0",
            "table.llvm.1234567",
            "lock.lto_priv.0",
            "stdout@GLIBC_2.2.5",
            "stdout@@GLIBC_2.2.5",
            "größe",
            "state@u1.c",
            "app::state@some dir/two-files+1.cpp",
            "name[abi:cxx11]",
            "app::Pool[abi:cxx11]::name",
        ] {
            assert_eq!(Expression::parse(name), symbol(name, 0), "{name}");
        }
        assert_eq!(Expression::parse("Grid<-1>::n+4"), symbol("Grid<-1>::n", 4));
        assert_eq!(Expression::parse("state@u1.c + 8"), symbol("state@u1.c", 8));
        assert_eq!(Expression::parse("state@a-b.c-8+4"), symbol("state@a-b.c", -4));
    }

    #[test]
    fn richer_forms_are_named_and_refused() {
        for (text, expected) in [
            ("*head", "what a pointer points to"),
            ("&counter", "the address of an expression"),
            ("(struct conn*)0x1000", "a cast"),
            ("cfg.limits", "a member by its name"),
            ("cfg.limits[2].max", "a member by its name"),
            ("list->head->next", "a path through a pointer"),
            ("limits[2]", "an array element by its index"),
            ("libz.so:crc_table", "a variable of a shared library"),
            ("libz.so.1:crc_table", "a variable of a shared library"),
            ("prog:counter", "a variable of a shared library"),
            ("\"/lib/libz.so\":crc", "a variable of another file"),
        ] {
            match Expression::parse(text) {
                Err(ExprError::NotYet { what, .. }) => {
                    assert_eq!(what, expected, "{text}")
                }
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(Expression::parse("  "), Err(ExprError::Empty));
        assert_eq!(Expression::parse("a+"), Err(ExprError::MissingOffset));
        assert_eq!(Expression::parse("+4"), syntax(0, '+'));
        assert_eq!(Expression::parse("int counter"), syntax(3, ' '));
        assert_eq!(Expression::parse("state@u1.c+"), Err(ExprError::MissingOffset));
        assert_eq!(Expression::parse("state@u=1.c"), syntax(7, '='));
        assert_eq!(Expression::parse("a=b"), syntax(1, '='));
        assert!(Expression::parse(&"x".repeat(MAX_LENGTH + 1)).is_err());
    }

    fn syntax(at: usize, found: char) -> Result<Expression, ExprError> {
        Err(ExprError::Syntax { at, found })
    }

    proptest! {
        #[test]
        fn never_panics(text in any::<String>()) {
            let _ = Expression::parse(&text);
        }

        #[test]
        fn never_panics_on_likely_text(text in "[a-z0-9_:.@*&()<>{}\\[\\]+\\-x \"]{0,40}") {
            let _ = Expression::parse(&text);
        }

        #[test]
        fn printed_form_parses_to_itself(name in "[a-z_][a-z0-9_]{0,8}", offset: i32) {
            let expression = Expression::Symbol { name, offset: offset.into() };
            prop_assert_eq!(Expression::parse(&expression.to_string()), Ok(expression));
        }
    }
}
