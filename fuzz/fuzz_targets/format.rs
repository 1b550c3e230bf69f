//! What parses is formatted to the same program, and formatting that changes
//! nothing.
#![no_main]

use hwtrace_lang::format::format;
use hwtrace_lang::parse::parse;
use hwtrace_lang::span::Source;
use libfuzzer_sys::fuzz_target;

fn tree(text: &str) -> Option<String> {
    let arguments = ["7".to_owned(), "name".to_owned()];
    // Arguments may all be used or not: what is left over is no matter here.
    let given = [&arguments[..], &arguments[..1], &[]];
    let source = Source::new("fuzz.hwt", text);
    let mut parsed = given.iter().filter_map(|given| parse(&source, given).ok());
    parsed.next().map(|script| script.to_string())
}

fuzz_target!(|text: &str| {
    let Ok(once) = format(&Source::new("fuzz.hwt", text)) else {
        assert!(tree(text).is_none(), "it parses, but is not formatted");
        return;
    };
    assert_eq!(tree(text), tree(&once), "another program");
    let twice = format(&Source::new("fuzz.hwt", &*once)).ok();
    assert_eq!(twice.as_deref(), Some(&*once), "not stable");
});
