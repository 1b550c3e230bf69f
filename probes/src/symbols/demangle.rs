//! Names of C++ and Rust symbols as their programmers wrote them.
//!
//! Mangled names come from files that nobody has checked, and a short one can
//! describe an exponentially long name; so input and output are bounded.

use std::fmt::{self, Write};

use cpp_demangle::{DemangleOptions, ParseOptions};

/// Longer mangled names are left as they are.
const MAX_MANGLED: usize = 4096;
/// Longer demangled names are given up, and the mangled one is used.
const MAX_DEMANGLED: usize = 16 * 1024;
/// Nesting at which C++ names are given up; keeps the stack small.
const MAX_NESTING: u32 = 96;

/// Can this be a mangled name at all? Cheap: looks at the first letters.
pub fn is_mangled(raw: &[u8]) -> bool {
    raw.starts_with(b"_Z") || raw.starts_with(b"_R") || raw.starts_with(b"__Z")
}

/// The name of a function: without parameters and return type, and without a Rust
/// hash. `None` if `raw` is not a mangled name.
pub fn function_name(raw: &str) -> Option<String> {
    demangle(raw, &options().no_params().no_return_type())
}

/// The name of a variable, with the parameters of the function it may be in
/// (`next_id(int)::count`). `None` if `raw` is not a mangled name.
pub fn data_name(raw: &str) -> Option<String> {
    demangle(raw, &options())
}

fn options() -> DemangleOptions {
    DemangleOptions::new().recursion_limit(MAX_NESTING)
}

fn demangle(raw: &str, options: &DemangleOptions) -> Option<String> {
    if raw.len() > MAX_MANGLED || !is_mangled(raw.as_bytes()) {
        return None;
    }
    if raw.starts_with("_R") || has_rust_hash(raw) {
        let name = rustc_demangle::try_demangle(raw).ok()?;
        let mut out = Bounded::default();
        // The alternate form leaves the hash out.
        write!(out, "{name:#}").ok()?;
        return Some(out.text);
    }
    // Compilers append `.llvm.123` and the like to mangled names.
    let stem = raw.find('.').map_or(raw, |dot| &raw[..dot]);
    let parse = ParseOptions::default().recursion_limit(MAX_NESTING);
    let symbol = cpp_demangle::Symbol::new_with_options(stem, &parse).ok()?;
    let mut out = Bounded::default();
    symbol.structured_demangle(&mut out, options).ok()?;
    Some(out.text)
}

/// Legacy Rust names are C++ names whose last part is `17h` and 16 hex digits
/// (compiler/rustc_symbol_mangling/src/legacy.rs).
fn has_rust_hash(raw: &str) -> bool {
    let bytes = raw.as_bytes();
    let hash = |part: &[u8]| {
        part.starts_with(b"17h")
            && part.get(19) == Some(&b'E')
            && part[3..19].iter().all(u8::is_ascii_hexdigit)
    };
    bytes.windows(20).any(hash)
}

/// A string that refuses to grow past [`MAX_DEMANGLED`].
#[derive(Default)]
struct Bounded {
    text: String,
}

impl Write for Bounded {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        if self.text.len() + part.len() > MAX_DEMANGLED {
            return Err(fmt::Error);
        }
        self.text.push_str(part);
        Ok(())
    }
}

/// The last part of a path: `HITS` of `app::stats::HITS`. Looks for the last `::`
/// outside of brackets.
pub fn last_part(path: &str) -> &str {
    let mut depth = 0_i32;
    let mut start = 0;
    let bytes = path.as_bytes();
    for (index, &byte) in bytes.iter().enumerate() {
        match byte {
            b'<' | b'(' | b'{' | b'[' => depth += 1,
            b'>' | b')' | b'}' | b']' => depth -= 1,
            b':' if depth == 0 && index > 0 && bytes[index - 1] == b':' => {
                start = index + 1;
            }
            _ => {}
        }
    }
    &path[start..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rust_names_lose_their_hash() {
        let legacy = "_ZN3app5stats4HITS17h0123456789abcdefE";
        assert_eq!(data_name(legacy).as_deref(), Some("app::stats::HITS"));
        let llvm = "_ZN3app5stats4HITS17h0123456789abcdefE.llvm.99";
        assert_eq!(data_name(llvm).as_deref(), Some("app::stats::HITS"));
        let v0 = "_RNvNtCs1234_3app5stats4HITS";
        assert_eq!(data_name(v0).as_deref(), Some("app::stats::HITS"));
    }

    #[test]
    fn cpp_names_of_functions_have_no_parameters() {
        let raw = "_ZN4Grid4fillEiPKc";
        assert_eq!(function_name(raw).as_deref(), Some("Grid::fill"));
        assert_eq!(data_name(raw).as_deref(), Some("Grid::fill(int, char const*)"));
        let anonymous = "_ZN12_GLOBAL__N_17counterE";
        let expected = Some("(anonymous namespace)::counter");
        assert_eq!(data_name(anonymous).as_deref(), expected);
        assert_eq!(data_name("counter"), None);
        assert_eq!(data_name("_Zzzz"), None);
    }

    #[test]
    fn last_parts() {
        assert_eq!(last_part("app::stats::HITS"), "HITS");
        assert_eq!(last_part("Grid<a::b>::cells"), "cells");
        assert_eq!(last_part("counter"), "counter");
        assert_eq!(last_part("a::"), "");
    }

    proptest! {
        #[test]
        fn never_panics(tail in "[A-Z0-9a-z_.$]{0,60}") {
            for start in ["_ZN", "_Z", "_R", "_RNv", "_ZL"] {
                let raw = format!("{start}{tail}");
                let _ = data_name(&raw);
                let _ = function_name(&raw);
            }
            let _ = last_part(&tail);
        }

        #[test]
        fn substitutions_cannot_explode(repeats in 1..400_usize) {
            // Pairs of pairs of pairs: doubles with each `S_`.
            let mut raw = String::from("_Z1f");
            for index in 0..repeats {
                raw.push_str("St4pairI");
                raw.push_str(if index == 0 { "ii" } else { "S_S_" });
                raw.push('E');
            }
            let name = data_name(&raw);
            prop_assert!(name.is_none_or(|name| name.len() <= MAX_DEMANGLED));
        }
    }
}
