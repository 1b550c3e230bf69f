//! What parses is checked: it becomes a program, or is refused with errors
//! that have help.
#![no_main]

#[path = "../../lang/tests/common/mod.rs"]
mod common;

use hwtrace_lang::parse::parse;
use hwtrace_lang::sema::check;
use hwtrace_lang::span::Source;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let source = Source::new("fuzz.hwt", text);
    let Ok(script) = parse(&source, &["7".to_owned(), "name".to_owned()]) else {
        return;
    };
    match check(&script, &mut common::Memory::default()) {
        Ok(program) => assert!(!program.to_string().is_empty()),
        Err(errors) => {
            assert!(!errors.is_empty());
            for error in errors {
                assert!(!error.help.is_empty(), "{error:?}");
                let span = error.span.unwrap_or_default();
                assert!(text.get(span.range()).is_some(), "{error:?}");
            }
        }
    }
});
