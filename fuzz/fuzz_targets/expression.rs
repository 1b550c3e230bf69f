//! Any text either is an expression, which prints as one that is the same, or is
//! refused with the place where it is wrong.
#![no_main]

use hwtrace_probes::Expression;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Expression::parse(text) {
        Ok(expression) => {
            let printed = expression.to_string();
            // A decimal address is printed as the hexadecimal one that it is.
            let again = Expression::parse(&printed).expect("it was printed");
            assert_eq!(again.to_string(), printed);
            let _ = (expression.moved_by(8), expression.moved_by(i64::MIN));
        }
        Err(error) => {
            assert!(text.get(error.at..).is_some(), "{error:?}");
            assert!(!error.to_string().is_empty());
            let _ = error.help();
        }
    }
});
