use proptest::prelude::*;

use super::*;

fn directive(conversion: Conversion, bits: u32) -> Directive {
    Directive {
        conversion,
        left: bits & 1 != 0,
        plus: bits & 2 != 0,
        space: bits & 4 != 0,
        zero: bits & 8 != 0,
        alternate: bits & 16 != 0,
    }
}

fn ours(directive: Directive, width: i64, precision: i64, value: f64) -> String {
    let mut out = Vec::new();
    double(&mut out, directive, width, precision, value);
    String::from_utf8(out).expect("ASCII")
}

#[allow(unsafe_code)]
fn c(directive: Directive, width: i64, precision: i64, value: f64) -> String {
    let letter = match directive.conversion {
        Conversion::Fixed => 'f',
        Conversion::Exponent => 'e',
        _ => 'g',
    };
    let flags = [
        (directive.left || width < NONE, '-'),
        (directive.plus, '+'),
        (directive.space, ' '),
        (directive.zero, '0'),
        (directive.alternate, '#'),
    ];
    let flags: String =
        flags.iter().filter(|(on, _)| *on).map(|(_, flag)| *flag).collect();
    let width = if width == NONE { String::new() } else { width.abs().to_string() };
    let precision =
        if precision == NONE { String::new() } else { format!(".{precision}") };
    let format = format!("%{flags}{width}{precision}{letter}\0");
    let mut buffer = [0u8; 4096];
    // SAFETY: the buffer is as long as said and the format takes the one
    // double it is given.
    let length = unsafe {
        libc::snprintf(
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            format.as_ptr().cast(),
            value,
        )
    };
    String::from_utf8_lossy(&buffer[..length as usize]).into_owned()
}

/// glibc forgets the zeros that `%#g` keeps where rounding makes a number
/// longer: 999999.5 becomes `1.e+06` and not `1.00000e+06`.
fn glibc_errs(directive: Directive, precision: i64, text: &str) -> bool {
    directive.conversion == Conversion::General
        && directive.alternate
        && !(0..=1).contains(&precision)
        && text.contains(".e")
}

const CONVERSIONS: [Conversion; 3] =
    [Conversion::Fixed, Conversion::Exponent, Conversion::General];

#[test]
fn doubles_are_written_as_the_c_library_writes_them() {
    let values = [
        0.0,
        0.5,
        1.5,
        2.5,
        0.125,
        9.5,
        9.999_999_5,
        99999.95,
        100000.0,
        999999.5,
        1e6,
        0.0001,
        0.00001,
        0.000_099_999_95,
        1.0 / 3.0,
        123456.789,
        1e15,
        1e16,
        1e17,
        1e22,
        1e23,
        1e100,
        f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
        f64::INFINITY,
        f64::NAN,
        i64::MAX as f64,
    ];
    for bits in 0..32 {
        for conversion in CONVERSIONS {
            let directive = directive(conversion, bits);
            for width in [NONE, 0, 1, 12, -12, 30] {
                for precision in [NONE, 0, 1, 2, 6, 17, 40] {
                    for value in values.iter().flat_map(|value| [*value, -*value]) {
                        let c = c(directive, width, precision, value);
                        if glibc_errs(directive, precision, &c) {
                            continue;
                        }
                        assert_eq!(
                            ours(directive, width, precision, value),
                            c,
                            "{directive:?} {width} {precision} {value}"
                        );
                    }
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn any_double_is_written_as_the_c_library_writes_it(
        value in prop_oneof![any::<f64>(), any::<u64>().prop_map(f64::from_bits), -1e9..1e9],
        conversion in prop::sample::select(&CONVERSIONS[..]),
        bits in 0u32..32,
        width in -1i64..60,
        precision in -1i64..60,
    ) {
        let directive = directive(conversion, bits);
        let c = c(directive, width, precision, value);
        prop_assume!(!glibc_errs(directive, precision, &c));
        prop_assert_eq!(ours(directive, width, precision, value), c);
    }

    #[test]
    fn the_shortest_form_reads_back(bits in any::<u64>()) {
        let value = f64::from_bits(bits);
        prop_assume!(value.is_finite());
        let mut out = Vec::new();
        shortest(&mut out, value);
        let text = String::from_utf8(out).expect("ASCII");
        let digits = text.split('e').next().expect("a part");
        let behind = digits.split_once('.').expect("a point").1;
        prop_assert!(!behind.is_empty(), "{}", text);
        prop_assert_eq!(text.parse::<f64>().expect("a number").to_bits(), bits);
    }

    #[test]
    fn no_width_or_precision_is_too_much(
        width in any::<i64>(),
        precision in any::<i64>(),
        conversion in prop::sample::select(&Conversion::ALL[..]),
        bits in 0u32..32,
        value in any::<i64>(),
    ) {
        let directive = directive(conversion, bits);
        let mut out = Vec::new();
        long(&mut out, directive, width, precision, value);
        string(&mut out, directive, width, precision, b"text");
        memory(&mut out, directive, width, b"text");
        double(&mut out, directive, width, precision, f64::from_bits(value as u64));
        prop_assert!(out.len() < 6 * WIDEST);
        Directive::unpack(width);
        prop_assert_eq!(memory_length(precision).is_none(), precision > WIDEST as i64);
    }
}

#[test]
fn shortest_forms() {
    let cases = [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (1.0, "1.0"),
        (0.1, "0.1"),
        (-2.5, "-2.5"),
        (1e15, "1000000000000000.0"),
        (1e16, "1.0e16"),
        (1.25e-7, "1.25e-7"),
        (f64::INFINITY, "inf"),
        (f64::NEG_INFINITY, "-inf"),
        (f64::NAN, "nan"),
        (-f64::NAN, "nan"),
    ];
    for (value, expected) in cases {
        let mut out = Vec::new();
        shortest(&mut out, value);
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }
}

fn bytes(width: i64, precision: i64, left: bool, value: i64) -> Vec<u8> {
    let mut out = Vec::new();
    let directive = Directive { left, ..Directive::plain(Conversion::Binary) };
    long(&mut out, directive, width, precision, value);
    out
}

/// man stap, "%b": the width says how many bytes; runtime/vsprintf.c what
/// happens when it is none of 1, 2, 4 and 8.
#[test]
fn numbers_as_bytes() {
    let value: i64 = 0x1122_3344_5566_7788;
    let all = value.to_le_bytes();
    assert_eq!(bytes(NONE, NONE, false, value), all);
    for size in [1, 2, 4, 8] {
        assert_eq!(bytes(size, NONE, false, value), all[..size as usize]);
        assert_eq!(bytes(NONE, size, false, value), all[..size as usize]);
    }
    assert_eq!(bytes(3, NONE, false, value), all);
    assert_eq!(bytes(4, 2, false, value), [0, 0, 0x88, 0x77]);
    assert_eq!(bytes(4, 2, true, value), [0x88, 0x77, 0, 0]);
    assert_eq!(bytes(-4, 2, false, value), [0x88, 0x77, 0, 0]);
    assert_eq!(bytes(NONE, 2, false, -2), [0xfe, 0xff]);
}

#[test]
fn memory_as_text_and_in_hexadecimal() {
    let mut out = Vec::new();
    let text = Directive::plain(Conversion::Memory);
    let hex = Directive::plain(Conversion::MemoryHex);
    memory(&mut out, text, 4, b"ab");
    memory(&mut out, hex, 6, b"\x00\xff");
    memory(&mut out, Directive { left: true, ..hex }, 3, b"\x7a");
    assert_eq!(out, b"  ab  00ff7a ");
    for (precision, length) in
        [(NONE, Some(1)), (0, Some(1)), (9, Some(9)), (4096, Some(4096)), (4097, None)]
    {
        assert_eq!(memory_length(precision), length);
    }
}

#[test]
fn characters_are_escaped_with_the_flag() {
    let plain = Directive::plain(Conversion::Char);
    let escaped = Directive { alternate: true, ..plain };
    let mut out = Vec::new();
    for byte in b"a\n'\"\\\x01\xff" {
        long(&mut out, escaped, NONE, NONE, i64::from(*byte));
    }
    assert_eq!(out, b"a\\n\\'\"\\\\\\001\\377");
    out.clear();
    long(&mut out, escaped, 4, NONE, 9);
    long(&mut out, plain, 2, NONE, 0x100 + 9);
    assert_eq!(out, b"  \\t \t");
}

fn show(directive: Directive, width: i64, precision: i64, value: i64) -> String {
    let mut out = Vec::new();
    long(&mut out, directive, width, precision, value);
    String::from_utf8_lossy(&out).into_owned()
}

#[test]
fn packing_keeps_every_directive() {
    for bits in 0..32 {
        for conversion in Conversion::ALL {
            let directive = Directive {
                conversion,
                left: bits & 1 != 0,
                plus: bits & 2 != 0,
                space: bits & 4 != 0,
                zero: bits & 8 != 0,
                alternate: bits & 16 != 0,
            };
            assert_eq!(Directive::unpack(directive.pack()), directive);
        }
    }
}

/// Every combination against the C library, which is the definition.
#[test]
#[allow(unsafe_code)]
fn numbers_are_written_as_the_c_library_writes_them() {
    let values = [0, 1, -1, 42, -42, i64::MAX, i64::MIN, 255, 4096];
    let conversions = [
        (Conversion::Signed, "d"),
        (Conversion::Unsigned, "u"),
        (Conversion::HexLower, "x"),
        (Conversion::HexUpper, "X"),
        (Conversion::Octal, "o"),
    ];
    for bits in 0..32 {
        for (conversion, letter) in conversions {
            for width in [NONE, 0, 1, 8, -8, 25] {
                for precision in [NONE, 0, 1, 5, 24] {
                    for value in values {
                        let directive = Directive {
                            conversion,
                            left: bits & 1 != 0,
                            plus: bits & 2 != 0,
                            space: bits & 4 != 0,
                            zero: bits & 8 != 0,
                            // glibc counts the 0 of %#o into the
                            // precision and leaves out the 0x of 0.
                            alternate: bits & 16 != 0 && letter != "o" && value != 0,
                        };
                        let flags: String = [
                            (directive.left, '-'),
                            (directive.plus, '+'),
                            (directive.space, ' '),
                            (directive.zero, '0'),
                            (directive.alternate, '#'),
                        ]
                        .iter()
                        .filter(|(on, _)| *on)
                        .map(|(_, flag)| *flag)
                        .collect();
                        let c = c_printf(&flags, letter, width, precision, value);
                        let ours = show(directive, width, precision, value);
                        assert_eq!(
                            ours, c,
                            "%{flags}{width}.{precision}{letter} {value}"
                        );
                    }
                }
            }
        }
    }
}

#[allow(unsafe_code)]
fn c_printf(flags: &str, letter: &str, width: i64, precision: i64, value: i64) -> String {
    // A width below 0 can only come from `*`; in the format it is a flag.
    let left = if width < NONE { "-" } else { "" };
    let width = if width == NONE { String::new() } else { width.abs().to_string() };
    let precision =
        if precision == NONE { String::new() } else { format!(".{precision}") };
    let format = format!("%{left}{flags}{width}{precision}ll{letter}\0");
    let mut buffer = [0u8; 128];
    // SAFETY: the buffer is as long as said and the format takes the one
    // 64-bit argument it is given.
    let length = unsafe {
        libc::snprintf(
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            format.as_ptr().cast(),
            value,
        )
    };
    String::from_utf8_lossy(&buffer[..length as usize]).into_owned()
}

#[test]
fn strings_are_padded_cut_and_escaped() {
    let mut out = Vec::new();
    let plain = Directive::plain(Conversion::String);
    string(&mut out, plain, 5, NONE, b"ab");
    string(&mut out, plain, NONE, 1, b"xyz");
    string(&mut out, Directive { alternate: true, ..plain }, NONE, NONE, b"a\n\"\x01");
    assert_eq!(out, b"   abxa\\n\\\"\\001");
}
