//! Large, deeply nested and exploding texts: a clear error, in bounded time and
//! memory, on a stack of ordinary size.
//!
//! A text may have 4 MiB. `HWTRACE_LARGE=1` tests those that are just not too
//! long, too, which takes minutes without optimization; otherwise they are a
//! hundredth of that.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use hwtrace_lang::code::Code;
use hwtrace_lang::diagnostic::Diagnostic;
use hwtrace_lang::{parse::parse, sema::check, span::Source};

const LEN_MAX: usize = 4 << 20;

/// Parses and checks; what was wrong.
fn errors(text: String) -> Vec<Diagnostic> {
    let source = Source::new("large.hwt", text);
    let _ = hwtrace_lang::format::format(&source);
    let checked = parse(&source, &[])
        .and_then(|script| check(&script, &mut common::Memory::default()));
    let errors = checked.err().unwrap_or_default();
    for error in &errors {
        assert!(!error.message.is_empty() && error.message.len() < 2_000);
        assert!(!error.help.is_empty(), "{}", error.code);
        let span = error.span.unwrap_or_default();
        assert!(source.text.get(span.range()).is_some());
    }
    errors
}

fn in_time<T>(most: Duration, what: &str, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = run();
    let taken = start.elapsed();
    assert!(taken < most, "{what}: {taken:?}");
    result
}

/// What a text is made of: in front, again and again, behind.
const KINDS: [(&str, &str, &str); 26] = [
    ("", "(", ""),
    ("probe begin { x = ", "(", ""),
    ("", "{", ""),
    ("probe begin ", "{", ""),
    ("probe begin { x = a", "[a", ""),
    ("probe begin { println(\"", "x", "\") }"),
    ("probe begin { println(", "\"x\" ", ") }"),
    ("probe begin { x = a", "+a", " }"),
    ("probe begin { x = ", "-", "1 }"),
    ("probe begin { x = ", "a = ", "1 }"),
    ("probe begin { x = ", "1 ? 2 : ", "3 }"),
    ("probe begin { ", "if (1) ", "; }"),
    ("probe begin { ", "if (1) ; else ", "; }"),
    ("probe begin { ", "try { ", ""),
    ("", "\"", ""),
    ("", "%( 1 == 1 %? ", ""),
    ("probe begin { ", "%( 1 == 1 %? x = 1 %) ", "}"),
    ("", "@define x %( ", ""),
    ("", "/* ", ""),
    ("", "# note\n", "probe begin { }"),
    ("probe ", "begin, ", "begin { }"),
    ("probe ", "a.", "b { }"),
    ("", "probe begin { x = 1 }\n", ""),
    ("", "probe ", ""),
    ("", "global a ", ""),
    ("probe begin { ", "é", " }"),
];

fn text(kind: (&str, &str, &str), length: usize) -> String {
    let (start, again, end) = kind;
    let room = length - start.len() - end.len();
    format!("{start}{}{end}", again.repeat(room / again.len()))
}

/// 10 MB of anything are refused at once.
#[test]
fn ten_megabytes() {
    for kind in KINDS {
        let text = text(kind, 10 << 20);
        let errors = in_time(Duration::from_secs(2), kind.1, || errors(text));
        let codes: Vec<_> = errors.iter().map(|error| error.code).collect();
        assert_eq!(codes, [Code::ScriptTooLong], "{}", kind.1);
    }
}

/// What is just not too long ends, whatever comes of it.
#[test]
fn as_long_as_may_be() {
    let large = std::env::var_os("HWTRACE_LARGE").is_some();
    let length = if large { LEN_MAX } else { LEN_MAX / 100 };
    for kind in KINDS {
        let text = text(kind, length);
        in_time(Duration::from_secs(120), kind.1, || errors(text));
    }
}

/// Deep nesting of every kind is refused as such, far from the stack's end.
#[test]
fn deep_nesting() {
    for kind in KINDS {
        let (start, again, _) = kind;
        let deep = ["(", "{", "[a", "-", "a = ", "1 ? 2 : ", "if (1) ", "try { "];
        if !start.contains("begin") || !deep.contains(&again) {
            continue;
        }
        let length = again.len() * 2_000 + 100;
        let errors = errors(text(kind, length));
        let known = [Code::TooDeep, Code::UnbalancedBracket];
        assert!(
            errors.iter().any(|error| known.contains(&error.code)),
            "{again}: {errors:?}"
        );
    }
}

/// Macros that double one another end early, not in a full memory.
#[test]
fn macros_that_explode() {
    let mut text = String::from("@define m0 %( 1 + 1 %)\n");
    for level in 1..60 {
        text += &format!("@define m{level} %( @m{0} + @m{0} %)\n", level - 1);
    }
    assert!(!errors(format!("{text} probe begin {{ print(@m59) }}")).is_empty());
    assert!(!errors("%( 1 == 1 %? ".repeat(10_000)).is_empty());
}

/// Aliases that double one another, too.
#[test]
fn aliases_that_explode() {
    let mut text = String::from("probe a0 = begin, end { }\n");
    for level in 1..60 {
        text += &format!("probe a{level} = a{0}, a{0} {{ }}\n", level - 1);
    }
    assert!(!errors(format!("{text} probe a59 {{ print(1) }}")).is_empty());
}

/// Even what comes to nothing ends, where it would double itself.
#[test]
fn nothing_that_explodes() {
    let mut macros = String::from("@define m0 %( %)\n");
    let mut aliases = String::new();
    for level in 1..60 {
        let below = level - 1;
        macros += &format!("@define m{level} %( @m{below} @m{below} %)\n");
        aliases += &format!("probe a{below} = a{level}, a{level} {{ }}\n");
    }
    aliases += "probe a59 = a0, a0 { }\nprobe a0 { print(1) }";
    let wildcard = |level: u32| format!("probe a{level}x = a*x, a*x {{ }}\n");
    let wildcards: String = (0..60).map(wildcard).collect();
    for text in [
        format!("{macros} probe begin {{ print(1) @m59 }}"),
        format!(
            "@define m(x) %( %( 1 == 2 %? {} %) %) {}",
            "x ".repeat(9_000),
            "@m(1) ".repeat(9_000)
        ),
        aliases,
        wildcards + "probe a0x { print(1) }",
    ] {
        let found =
            in_time(Duration::from_secs(20), &text[..40], || errors(text.clone()));
        let known = [Code::ScriptTooLong, Code::AliasRecursion];
        assert!(found.iter().any(|error| known.contains(&error.code)), "{found:?}");
    }
}
