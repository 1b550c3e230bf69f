//! Code of which nobody says where its instructions begin, and system calls by the
//! code that makes them.

#![allow(missing_docs)]

use hwtrace_runtime::access::{CodeSource, Decoder, Function, Recovered, Window};
use hwtrace_runtime::event::Registers;
use hwtrace_runtime::schema::AccessKind::{self, Read, Unknown, Update, Write};

const IP: u64 = 0x55_5555_5020;
const DI: usize = 5;
const SI: usize = 4;
/// Registers up to FLAGS.
const MASK: u64 = 0x3ff;
const OLD: u64 = 5;

/// The window with these bytes before `IP`, and before them many of another.
fn window(filler: u8, before: &[u8], from: &[u8]) -> Window {
    let read = |address, bytes: &mut [u8]| {
        assert_eq!(address, IP - 15);
        bytes.fill(0x90);
        bytes[..15].fill(filler);
        bytes[15 - before.len()..15].copy_from_slice(before);
        bytes[15..15 + from.len()].copy_from_slice(from);
        bytes.len()
    };
    Window::read(IP, read).expect("all of it")
}

fn recover(window: &Window, address: u64) -> Option<Recovered> {
    let mut values = [0; 10];
    (values[DI], values[SI], values[2]) = (0x2000, 0x3000, 3);
    let registers = Registers { mask: MASK, values: &values };
    let mut decoder = Decoder::new();
    let access = decoder.decode_window(1, IP, window)?;
    assert_eq!(access.rule(), None, "no engine is to take it for certain");
    Some(access.recover(&registers, address, 8, OLD))
}

#[test]
fn what_all_candidates_agree_on_is_known() {
    let forms: [(&[u8], AccessKind); 7] = [
        // mov [rdi], rsi, which without its prefix is mov [rdi], esi; and the others
        // likewise.
        (b"\x48\x89\x37", Write),
        (b"\x48\x8b\x07", Read),
        (b"\x48\x01\x37", Update),
        (b"\xf0\x48\x0f\xc1\x37", Update),
        (b"\xc6\x07\x07", Write),
        (b"\x48\xab", Unknown),
        (b"\x90\x90", Unknown),
    ];
    for (code, kind) in forms {
        for filler in [0x90, 0xcc, 0x06] {
            let got = recover(&window(filler, code, &[]), 0x2000).expect("few");
            assert_eq!((got.kind, got.exact), (kind, false), "{code:x?}");
            assert_eq!(got.old, None);
            assert_eq!(got.new, (kind == Read).then_some(OLD));
        }
    }
    // mov byte [rdi], 7 can be nothing else.
    let got = recover(&window(0x90, b"\xc6\x07\x07", &[]), 0x2000).expect("few");
    assert_eq!(got.address, Some(IP - 3));
    let got = recover(&window(0x90, b"\x48\x89\x37", &[]), 0x2000).expect("few");
    assert_eq!(got.address, None, "with its prefix or without");
}

#[test]
fn what_candidates_do_not_agree_on_is_not_known() {
    // mov fs:[rdi], esi may store anywhere; without its prefix it stores there.
    let code = b"\x64\x89\x37";
    assert_eq!(recover(&window(0x90, code, &[]), 0x2000).map(|it| it.kind), Some(Write));
    // 0f 01 37 is lmsw [rdi], which loads; 01 37 is add [rdi], esi.
    let code = b"\x0f\x01\x37";
    let got = recover(&window(0x90, code, &[]), 0x2000).expect("few");
    assert_eq!((got.kind, got.new), (Unknown, None));
}

/// Not those of a function: what came to the address may have made the access.
#[test]
fn what_may_be_anywhere_is_not_taken_for_it() {
    // mov rdi, [rdi]
    let window = window(0x90, b"\x48\x8b\x3f", &[]);
    let got = recover(&window, 0x2000).expect("few");
    assert_eq!(got, Recovered::default());
    let access = *Decoder::new().decode_window(1, IP, &window).expect("few");
    assert!(access.reaches(&Registers::default(), 0x2000, 8));
}

#[test]
fn a_repeated_one_at_the_address_is_certain() {
    // rep stosb, in the middle of its work
    let got = recover(&window(0x90, &[], b"\xf3\xaa"), 0x1ff9).expect("few");
    assert_eq!((got.kind, got.address), (Write, Some(IP)));
}

#[test]
fn other_bytes_are_decoded_anew() {
    let mut decoder = Decoder::new();
    let mut values = [0; 10];
    values[DI] = 0x2000;
    let registers = Registers { mask: MASK, values: &values };
    for (code, kind) in [(b"\xc6\x07\x07", Write), (b"\x80\x3f\x07", Read)] {
        let window = window(0x90, code, &[]);
        for _ in 0..2 {
            let access = decoder.decode_window(1, IP, &window).expect("few");
            assert_eq!(access.recover(&registers, 0x2000, 8, OLD).kind, kind);
        }
    }
}

#[test]
fn what_can_not_be_read_is_not_known() {
    for count in [0, 14] {
        assert_eq!(Window::read(IP, |_, _| count), None);
    }
    assert!(Window::read(IP, |_, _| 15).is_some());
    assert_eq!(Window::read(3, |_, bytes| bytes.len()), None);
}

struct Code(&'static [u8]);

impl CodeSource for Code {
    fn function(&mut self, _: u32, _: u64) -> Option<Function<'_>> {
        Some(Function { start: IP, size: self.0.len() as u64, bytes: self.0 })
    }
}

#[test]
fn the_number_of_a_system_call_is_the_constant_before_it() {
    // What it is, code, the address behind `syscall`, the number.
    let cases: [(&str, &[u8], u64, Option<u32>); 9] = [
        ("mov eax, 7; syscall; ret", b"\xb8\x07\x00\x00\x00\x0f\x05\xc3", 7, Some(7)),
        (
            "xor eax, eax; mov edi, 1; syscall",
            b"\x31\xc0\xbf\x01\x00\x00\x00\x0f\x05",
            9,
            Some(0),
        ),
        ("mov rax, 7; syscall", b"\x48\xc7\xc0\x07\x00\x00\x00\x0f\x05", 9, Some(7)),
        ("mov eax, edi; syscall", b"\x89\xf8\x0f\x05", 4, None),
        (
            "mov eax, 7; mov al, 3; syscall",
            b"\xb8\x07\x00\x00\x00\xb0\x03\x0f\x05",
            9,
            None,
        ),
        ("mov eax, 7; jz +0; syscall", b"\xb8\x07\x00\x00\x00\x74\x00\x0f\x05", 9, None),
        (
            "mov eax, 7; syscall; jmp syscall",
            b"\xb8\x07\x00\x00\x00\x0f\x05\xeb\xfc",
            7,
            None,
        ),
        (
            "mov eax, 7; syscall; jmp mov",
            b"\xb8\x07\x00\x00\x00\x0f\x05\xeb\xf7",
            7,
            Some(7),
        ),
        ("mov eax, 7; nop; nop", b"\xb8\x07\x00\x00\x00\x90\x90", 7, None),
    ];
    for (name, bytes, ip, number) in cases {
        let mut decoder = Decoder::new();
        for _ in 0..2 {
            assert_eq!(decoder.syscall(1, IP + ip, &mut Code(bytes)), number, "{name}");
        }
    }
}
