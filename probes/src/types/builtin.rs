//! The numbers of C, and of Rust and Go, which casts may name whatever language a
//! program is written in, whether or not it has one of them or any debug
//! information.

use super::Type;

/// A type of C with the spellings that it has.
struct Builtin {
    /// Words in the order of the alphabet.
    spellings: &'static [&'static str],
    kind: Kind,
    size: u32,
}

#[derive(Clone, Copy)]
enum Kind {
    Signed,
    Unsigned,
    Char { signed: bool },
    Bool,
    Float,
}

const fn row(spellings: &'static [&'static str], kind: Kind, size: u32) -> Builtin {
    Builtin { spellings, kind, size }
}

/// The first spelling is the name.
const ALL: &[Builtin] = &[
    row(&["int", "signed", "signed int"], Kind::Signed, 4),
    row(&["unsigned int", "unsigned"], Kind::Unsigned, 4),
    row(&["long", "long int", "long signed", "long signed int"], Kind::Signed, 8),
    row(&["unsigned long", "unsigned long int"], Kind::Unsigned, 8),
    row(
        &["long long", "long long int", "long long signed", "long long signed int"],
        Kind::Signed,
        8,
    ),
    row(&["unsigned long long", "unsigned long long int"], Kind::Unsigned, 8),
    row(&["short", "short int", "short signed", "short signed int"], Kind::Signed, 2),
    row(&["unsigned short", "unsigned short int"], Kind::Unsigned, 2),
    row(&["char"], Kind::Char { signed: true }, 1),
    row(&["signed char"], Kind::Char { signed: true }, 1),
    row(&["unsigned char"], Kind::Char { signed: false }, 1),
    row(&["_Bool"], Kind::Bool, 1),
    row(&["bool"], Kind::Bool, 1),
    row(&["float"], Kind::Float, 4),
    row(&["double"], Kind::Float, 8),
    row(&["long double"], Kind::Float, 16),
    row(&["i8", "int8_t", "int8"], Kind::Signed, 1),
    row(&["i16", "int16_t", "int16"], Kind::Signed, 2),
    row(&["i32", "int32_t", "int32"], Kind::Signed, 4),
    row(&["i64", "int64_t", "int64"], Kind::Signed, 8),
    row(&["u8", "uint8_t", "uint8"], Kind::Unsigned, 1),
    row(&["u16", "uint16_t", "uint16"], Kind::Unsigned, 2),
    row(&["u32", "uint32_t", "uint32"], Kind::Unsigned, 4),
    row(&["u64", "uint64_t", "uint64"], Kind::Unsigned, 8),
    row(&["isize", "ssize_t", "intptr_t"], Kind::Signed, 8),
    row(&["usize", "size_t", "uintptr_t"], Kind::Unsigned, 8),
    row(&["f32", "float32"], Kind::Float, 4),
    row(&["f64", "float64"], Kind::Float, 8),
];

/// The number of the type that `name` spells.
pub(crate) fn find(name: &str) -> Option<u32> {
    let words = in_order(name);
    let spells = |spelling: &str| in_order(spelling) == words;
    let index = ALL
        .iter()
        .position(|builtin| builtin.spellings.iter().any(|spelling| spells(spelling)))?;
    u32::try_from(index).ok()
}

/// Whether the name is C's alone and means the same in every program.
pub(crate) fn is_plain_c(name: &str) -> bool {
    let words = name.split_whitespace();
    let reserved = ["int", "signed", "unsigned", "long", "short", "float", "double"];
    let mut words = words.peekable();
    words.peek().is_some()
        && words
            .all(|word| reserved.contains(&word) || word == "char" && name.contains(' '))
}

/// The type of a number; void for none.
pub(crate) fn get(index: u32) -> Type {
    let Some(builtin) = usize::try_from(index).ok().and_then(|index| ALL.get(index))
    else {
        return Type::Void;
    };
    let (name, size) = (builtin.spellings[0].to_owned(), builtin.size);
    match builtin.kind {
        Kind::Signed => Type::Integer { name, size, signed: true },
        Kind::Unsigned => Type::Integer { name, size, signed: false },
        Kind::Char { signed } => Type::Char { name, size, signed },
        Kind::Bool => Type::Bool { name, size },
        Kind::Float => Type::Float { name, size },
    }
}

/// C's words may come in any order.
fn in_order(name: &str) -> Vec<&str> {
    let mut words: Vec<&str> = name.split_whitespace().collect();
    words.sort_unstable();
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_any_order() {
        let spelt = |name| find(name).map(get);
        let unsigned_long = Some(Type::Integer {
            name: "unsigned long".to_owned(),
            size: 8,
            signed: false,
        });
        for name in ["unsigned long", "long unsigned int", "unsigned  long int"] {
            assert_eq!(spelt(name), unsigned_long, "{name}");
            assert!(is_plain_c(name));
        }
        assert_eq!(spelt("long long long"), None);
        assert!(!is_plain_c("char") && !is_plain_c("u8") && !is_plain_c(""));
        assert!(is_plain_c("unsigned char"));
    }
}
