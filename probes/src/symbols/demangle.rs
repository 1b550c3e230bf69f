//! Names of C++ and Rust symbols as their programmers wrote them.
//!
//! Mangled names come from files that nobody has checked, and a short one can
//! describe an exponentially long name; so input and output are bounded.

use std::borrow::Cow;
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

/// The last `count` parts of a path; all of it, if it has no more.
pub fn last_parts(path: &str, count: usize) -> &str {
    let mut start = path.len();
    for index in 0..count {
        // Before the parts so far is the `::` that divides them from the next.
        let end = if index == 0 { Some(start) } else { start.checked_sub(2) };
        let Some(end) = end else { break };
        start = end - last_part(&path[..end]).len();
    }
    &path[start..]
}

/// A name as its programmer wrote it: without what compilers put behind it for
/// themselves, copies and parts (`COUNT.0`, `table.llvm.123`, `lock.lto_priv.0`), and
/// without the tags of an ABI (`name[abi:cxx11]`).
pub fn plain(name: &str) -> Cow<'_, str> {
    let name = without_suffix(name);
    if !name.contains(ABI_TAG) {
        return Cow::Borrowed(name);
    }
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(tag) = rest.find(ABI_TAG)
        && let Some(length) = rest[tag..].find(']')
    {
        out.push_str(&rest[..tag]);
        rest = &rest[tag + length + 1..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// How demanglers write the tag that gcc gives what depends on the form of
/// `std::string`.
pub const ABI_TAG: &str = "[abi:";

fn without_suffix(mut name: &str) -> &str {
    while let Some(dot) = name.rfind('.')
        && dot > 0
        && let suffix = &name[dot + 1..]
        && !suffix.is_empty()
        && suffix.bytes().all(|byte| byte.is_ascii_digit())
    {
        let front = &name[..dot];
        let mark =
            [".llvm", ".lto_priv"].iter().find_map(|mark| front.strip_suffix(mark));
        name = mark.filter(|front| !front.is_empty()).unwrap_or(front);
    }
    name
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
    fn ends_of_paths() {
        assert_eq!(last_part("app::stats::HITS"), "HITS");
        assert_eq!(last_part("Grid<a::b>::cells"), "cells");
        assert_eq!(last_part("counter"), "counter");
        assert_eq!(last_part("a::"), "");
        for (count, expected) in [
            (0, ""),
            (1, "c"),
            (2, "b<x::y>::c"),
            (3, "a::b<x::y>::c"),
            (9, "a::b<x::y>::c"),
        ] {
            assert_eq!(last_parts("a::b<x::y>::c", count), expected);
        }
    }

    #[test]
    fn plain_names() {
        for (name, expected) in [
            ("counter", "counter"),
            ("rs::b::COUNT.0", "rs::b::COUNT"),
            ("table.llvm.1234567", "table"),
            ("calls.0.lto_priv.1", "calls"),
            ("app.name", "app.name"),
            (".0", ".0"),
            ("name[abi:cxx11]", "name"),
            ("n::Pool[abi:cxx11]::all[abi:x][abi:y].1", "n::Pool::all"),
            ("name[abi:", "name[abi:"),
            ("", ""),
        ] {
            assert_eq!(plain(name), expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn plain_names_of_anything(name in "([a.0\\[\\]:]|\\[abi:|.llvm.|ö){0,20}") {
            let once = plain(&name).into_owned();
            prop_assert!(once.len() <= name.len());
        }

        #[test]
        fn never_panics(tail in "[A-Z0-9a-z_.$]{0,60}") {
            for start in ["_ZN", "_Z", "_R", "_RNv", "_ZL"] {
                let raw = format!("{start}{tail}");
                let _ = data_name(&raw);
                let _ = function_name(&raw);
            }
            let _ = last_part(&tail);
            let _ = last_parts(&tail.replace('.', "::"), 3);
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
