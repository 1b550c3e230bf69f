//! Any text either parses, and prints as a tree, or is refused with errors
//! whose places are in the text.
#![no_main]

use hwtrace_lang::parse::parse;
use hwtrace_lang::span::Source;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let source = Source::new("fuzz.hwt", text);
    match parse(&source, &["7".to_owned(), "name".to_owned()]) {
        Ok(script) => assert!(script.items.is_empty() || !script.to_string().is_empty()),
        Err(errors) => {
            assert!(!errors.is_empty());
            for error in errors {
                let related = error.related.iter().map(|(span, _)| *span);
                for span in error.span.into_iter().chain(related) {
                    assert!(text.get(span.range()).is_some(), "{error:?}");
                }
            }
        }
    }
});
