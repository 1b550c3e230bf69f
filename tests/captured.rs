//! What was read at a hit is for the handlers of that hit alone.
#![allow(missing_docs, clippy::unwrap_used)]

use hwtrace::handlers::Handlers;
use hwtrace::pipeline::Parsed;
use hwtrace::session::Consumer;
use hwtrace_lang::span::Source;
use hwtrace_runtime::abi::Limits;
use hwtrace_runtime::event::{Captured, RawHit};
use hwtrace_runtime::schema::HitRecord;

#[test]
fn handlers_of_the_hit_find_it_and_others_do_not() {
    let script = r#"
        probe process.data("x").write { println(user_string2(0x1000, "gone")) }
        probe process.data("y").write { println(user_char(0x1001)) }
        probe timer.s(1) { println(user_string2(0x1000, "gone")) }"#;
    let parsed = Parsed::parse(Source::new("test.hwt", script), &[]).unwrap();
    let lowered = parsed.check(&[]).unwrap().lower(&Limits::default()).unwrap();
    let compiled = lowered.compile(false).unwrap();
    let mut out = Vec::new();
    let mut handlers = Handlers::new(&compiled, Box::new(&mut out));
    let record = HitRecord { pid: 7, data_length: 8, ..HitRecord::default() };
    let words = [0x1000, Captured::extent(8, 1), u64::from_ne_bytes(*b"then\0...")];
    let captured = Captured { words: &words };
    handlers.captured(&RawHit { pid: 7, captured, ..RawHit::default() });
    handlers.hit(0, &record).unwrap();
    handlers.hit(1, &record).unwrap();
    handlers.timer(0, 0).unwrap();
    handlers.captured(&RawHit { pid: 7, ..RawHit::default() });
    handlers.hit(0, &record).unwrap();
    handlers.flush().unwrap();
    drop(handlers);
    assert_eq!(String::from_utf8(out).unwrap(), "then\n104\ngone\ngone\n");
}
