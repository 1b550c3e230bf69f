//! What came to an address from elsewhere and made the access: calls, returns, jumps.

#![allow(missing_docs)]

use hwtrace_runtime::access::{
    Access, Arrival, CodeSource, Decoder, Function, Recovered,
};
use hwtrace_runtime::event::{Registers, Trigger, Watch};
use hwtrace_runtime::schema::AccessKind::{self, Read, Unknown, Write};

const SP: usize = 7;
const BX: usize = 1;
/// Registers up to FLAGS.
const MASK: u64 = 0x3ff;
const STACK: u64 = 0x7000;

/// Two functions, and what is between them.
const CALLER: u64 = 0x1000;
const CALLEE: u64 = 0x1020;

/// call CALLEE; call rbx; call [rax]; ret; and padding.
const CODE: &[u8] = b"\xe8\x1b\x00\x00\x00\xff\xd3\xff\x10\xc3\
    \x0f\x1f\x84\x00\x00\x00\x00\x00\x0f\x1f\x84\x00\x00\x00\x00\x00\x0f\x1f\x44\x00\x00\x90\
    \x55";
/// What is behind the calls.
const BEHIND: [u64; 3] = [CALLER + 5, CALLER + 7, CALLER + 9];
const OWN_SIZE: u64 = 10;

struct Code(Vec<u8>);

impl CodeSource for Code {
    fn function(&mut self, _pid: u32, _address: u64) -> Option<Function<'_>> {
        Some(Function { start: CALLER, size: OWN_SIZE, bytes: &self.0 })
    }
}

fn decode(bytes: &[u8], ip: u64) -> Option<Access> {
    Decoder::new().decode(1, ip, &mut Code(bytes.to_vec())).copied()
}

fn watch(address: u64, length: u32, trigger: Trigger) -> Watch {
    Watch { address, length, trigger }
}

fn arrive(watch: Watch, value: Option<u64>) -> Recovered {
    arrive_at(CALLEE, watch, value)
}

fn arrive_at(ip: u64, watch: Watch, value: Option<u64>) -> Recovered {
    let mut values = [0; 10];
    (values[SP], values[BX]) = (STACK, CALLEE);
    let registers = &Registers { mask: MASK, values: &values };
    let here = decode(CODE, ip).expect("padding and calls are known");
    Arrival { ip, registers, watch, value }.access(&here)
}

fn kind(watch: Watch, value: Option<u64>) -> AccessKind {
    arrive(watch, value).kind
}

#[test]
fn between_functions_there_is_padding_and_nothing_else() {
    assert!(decode(CODE, CALLEE).is_some());
    let mut other = CODE.to_vec();
    other[OWN_SIZE as usize] = 0x50; // push rax
    assert!(decode(&other, CALLEE).is_none());
    assert!(decode(CODE, CALLER).is_none(), "nobody knows what is before it");
}

#[test]
fn what_is_at_the_stack_pointer_and_not_the_target_was_stored() {
    let on = |length| watch(STACK, length, Trigger::ReadWrite);
    let got = arrive(on(8), Some(BEHIND[0]));
    assert_eq!((got.kind, got.new, got.exact), (Write, None, false));
    assert_eq!((got.touched.start, got.touched.end), (0, 8));
    assert_eq!(kind(on(8), None), Unknown, "it may have been a jump by way of it");
    assert_eq!(kind(on(4), Some(BEHIND[0])), Write);
    assert_eq!(kind(on(2), Some(CALLEE & 0xffff)), Unknown, "a part is not enough");
    let high = watch(STACK + 6, 2, Trigger::ReadWrite);
    assert_eq!(kind(high, Some(0)), Unknown, "all addresses have these two zero");
    assert_eq!(kind(high, Some(1)), Write);
    let below = watch(STACK - 8, 8, Trigger::ReadWrite);
    assert_eq!(kind(below, Some(BEHIND[0])), Unknown);
    assert_eq!(kind(watch(STACK, 8, Trigger::Write), None), Write, "no load fires it");
    assert_eq!(kind(watch(STACK + 8, 8, Trigger::Write), None), Unknown);
}

#[test]
fn what_is_the_target_was_loaded() {
    for address in [STACK - 8, STACK, 0x5000] {
        let watch = watch(address, 8, Trigger::ReadWrite);
        let got = arrive(watch, Some(CALLEE));
        assert_eq!((got.kind, got.address, got.exact), (Read, None, true));
        assert_eq!((got.old, got.new), (Some(CALLEE), Some(CALLEE)));
    }
    // A call to what is behind it stores what a jump would have loaded.
    let on = watch(STACK, 8, Trigger::ReadWrite);
    let got = arrive_at(BEHIND[0], on, Some(BEHIND[0]));
    assert_eq!(got, Recovered::default());
}

#[test]
fn a_call_is_known_where_it_goes_to_the_address() {
    let mut values = [0; 10];
    (values[SP], values[BX]) = (STACK, CALLEE);
    let call = |values: &[u64], ip, value| {
        let registers = &Registers { mask: MASK, values };
        let watch = watch(STACK, 8, Trigger::ReadWrite);
        let arrival = Arrival { ip, registers, watch, value: None };
        assert!(arrival.is_pushed());
        arrival.call(&decode(CODE, value)?, value)
    };
    for (number, behind) in BEHIND.into_iter().enumerate() {
        let got = call(&values, CALLEE, behind).expect("a call");
        assert_eq!((got.kind, got.new), (Write, Some(behind)));
        // Where a pointer went nobody knows.
        assert_eq!(got.exact, number < 2, "{behind:x}");
        assert_eq!(got.address, Some([CALLER, BEHIND[0], BEHIND[1]][number]));
    }
    assert_eq!(call(&values, CALLEE + 1, BEHIND[0]), None);
    values[BX] = 1;
    assert_eq!(call(&values, CALLEE, BEHIND[1]), None);
    assert_eq!(call(&values, CALLEE, CALLER + OWN_SIZE), None, "that is no call");
}
