use proptest::prelude::*;

use super::*;

#[test]
fn positions() {
    assert_eq!(stringat(b"hello", 0), Some(104));
    assert_eq!(stringat(b"\xff", 0), Some(255));
    for outside in [-1, 5, i64::MIN, i64::MAX] {
        assert_eq!(stringat(b"hello", outside), None);
    }
    assert_eq!(strpos(b"hello", b"hel"), 0);
    assert_eq!(strpos(b"hello", b"lo"), 3);
    assert_eq!(strpos(b"hello", b"x"), -1);
    assert_eq!(strpos(b"hello", b"hello!"), -1);
    assert_eq!(strpos(b"hello", b""), 0);
    assert_eq!(strpos(b"aab", b"ab"), 1);
    assert!(contains(b"", b""));
}

#[test]
fn replacing() {
    const MOST: usize = 4096;
    assert_eq!(str_replace(b"a-b-c", b"-", b"+", MOST), b"a+b+c");
    assert_eq!(str_replace(b"aaa", b"aa", b"a", MOST), b"aa");
    assert_eq!(str_replace(b"abc", b"", b"x", MOST), b"abc");
    assert_eq!(str_replace(b"abc", b"b", b"", MOST), b"ac");
    assert_eq!(str_replace(b"aa", b"a", b"aa", MOST), b"aaaa");
    let large = [b'a'; MOST];
    let cut = str_replace(&large, b"a", &large, MOST);
    assert!((MOST + 1..4 * MOST).contains(&cut.len()), "{}", cut.len());
}

/// runtime/stp_string.c.
#[test]
fn escapes() {
    assert_eq!(text_str(b"a\"\\\n\t\x01\x7f'"), b"a\\\"\\\\\\n\\t\\001\\177'");
    assert_eq!(
        text_str("\u{e9}\u{20ac}\u{1f600}".as_bytes()),
        b"\\u00E9\\u20AC\\U0001F600"
    );
    // Not UTF-8: a lone byte, one too long, a surrogate.
    assert_eq!(text_str(b"\xff\xc0\x80"), b"\\377\\300\\200");
    assert_eq!(text_str(b"\xed\xa0\x80"), b"\\355\\240\\200");
    assert_eq!(text_str(b"a\0b"), b"a\\000b");
}

#[test]
fn quotes_and_limits() {
    assert_eq!(string_quoted(b"a\n", 0), b"\"a\\n\"");
    assert_eq!(string_quoted(b"", 0), b"\"\"");
    assert_eq!(text_strn(b"hello world", 5, false), b"hello");
    assert_eq!(text_strn(b"ab\ncd", 3, false), b"ab");
    assert_eq!(text_strn(b"hello", -1, false), b"hello");
    // As long as said, dots included.
    assert_eq!(text_strn(b"hello world", 10, true), b"\"hello\"...");
    assert_eq!(text_strn(b"hello wo", 10, true), b"\"hello wo\"");
    // Five bytes there are in any case.
    assert_eq!(text_strn(b"hello", 1, true), b"\"\"...");
    assert_eq!(text_strn(b"abc", 1, true), b"\"abc\"");
}

/// tapset/tokenize.stp.
#[test]
fn tokens() {
    let mut tokens = Tokenizer::default();
    assert_eq!(tokens.token(b"", b" "), b"");
    assert_eq!(tokens.token(b"  one,two  three", b" ,"), b"one");
    assert_eq!(tokens.token(b"", b" ,"), b"two");
    assert_eq!(tokens.token(b"", b" ,"), b"three");
    assert_eq!(tokens.token(b"", b" ,"), b"");
    assert_eq!(tokens.token(b"", b" ,"), b"");
    // Other delimiters, none, and a new text in the middle.
    assert_eq!(tokens.token(b"a=b;c", b"="), b"a");
    assert_eq!(tokens.token(b"", b";"), b"b");
    assert_eq!(tokens.token(b"", b""), b"c");
    assert_eq!(tokens.token(b"x y", b" "), b"x");
    assert_eq!(tokens.token(b"p q", b" "), b"p");
    assert_eq!(tokens.token(b"", b" "), b"q");
    assert_eq!(tokens.token(b",,,", b","), b"");
}

/// The bounds and the examples of tapset/linux/ctime.stp.
#[test]
fn times() {
    let is = |seconds, text: &str| assert_eq!(ctime(seconds).as_deref(), Ok(text));
    is(0, "Thu Jan  1 00:00:00 1970");
    is(741_476_948, "Wed Jun 30 21:49:08 1993");
    is(i64::from(i32::MIN), "Fri Dec 13 20:45:52 1901");
    is(i64::from(i32::MAX), "Tue Jan 19 03:14:07 2038");
    is(951_782_400, "Tue Feb 29 00:00:00 2000");
    is(-1, "Wed Dec 31 23:59:59 1969");
    assert_eq!(ctime(i64::from(i32::MAX) + 1), Err(CtimeError::Future));
    assert_eq!(ctime(i64::MIN), Err(CtimeError::Past));
}

#[test]
fn indentation() {
    let mut indent = Indent::default();
    let mut line = |time, delta| {
        let mut out = Vec::new();
        indent.thread_indent(&mut out, time, b"ftp", 7223, delta);
        String::from_utf8(out).expect("ASCII")
    };
    assert_eq!(line(1000, 1), "     0 ftp(7223):");
    assert_eq!(line(2159, 1), "  1159 ftp(7223): ");
    assert_eq!(line(3000, 1), "  2000 ftp(7223):  ");
    assert_eq!(line(3001, 0), "  2001 ftp(7223):  ");
    assert_eq!(line(3100, -1), "  2100 ftp(7223):  ");
    assert_eq!(line(3200, -1), "  2200 ftp(7223): ");
    assert_eq!(line(3300, -1), "  2300 ftp(7223):");
    // Back at level 0: time starts anew.
    assert_eq!(line(9000, 1), "     0 ftp(7223):");
    let mut out = Vec::new();
    let mut indent = Indent::default();
    indent.indent(&mut out, 5, 2);
    assert_eq!(out, b"     0 : ");
    assert_eq!((indent.depth(1), indent.depth(-1), indent.depth(-2)), (2, 2, 1));
    assert_eq!((indent.depth(i64::MIN), indent.depth(i64::MIN)), (0, 0));
}

fn regexes(expressions: &[&str]) -> Result<Regexes, (usize, String)> {
    let expressions: Vec<String> = expressions.iter().map(|e| (*e).to_owned()).collect();
    Regexes::new(&expressions)
}

#[test]
fn matches_and_groups() {
    let regexes =
        regexes(&["^(a+)(b)?", "x.y", "[[:digit:]]+", "[]a]"]).expect("expressions");
    let mut groups = Groups::default();
    assert_eq!(groups.get(0), None);
    assert!(regexes.is_match(0, b"aac", &mut groups));
    assert_eq!((groups.get(0), groups.get(1)), (Some(0..2), Some(0..2)));
    assert_eq!((groups.get(2), groups.get(3)), (None, None));
    assert!(regexes.is_match(2, b"pid 42\xff", &mut groups));
    assert_eq!(groups.get(0), Some(4..6));
    assert!(!regexes.is_match(2, b"none", &mut groups));
    assert_eq!(groups.get(0), None);
    assert!(regexes.is_match(2, b"7", &mut groups));
    assert_eq!(groups.get(0), Some(0..1));
    assert!(regexes.is_found(1, b"x\ny") && regexes.is_found(1, b"x\xffy"));
    assert!(regexes.is_found(3, b"]") && !regexes.is_found(3, b"b"));
    assert!(!regexes.is_match(9, b"7", &mut groups) && !regexes.is_found(9, b""));
    assert_eq!(groups.get(0), None);
}

/// The larger an expression, the longer a match may take.
#[test]
fn matches_cost_by_the_size_of_their_expression() {
    let regexes = regexes(&["^sh$", "(a|b)*c", "[01]*1[01]{300}"]).expect("expressions");
    let costs: Vec<_> = (0..4).map(|index| regexes.cost(index, 100)).collect();
    assert_eq!((costs[0], costs[1], costs[3]), (800, 800, 0));
    assert!(costs[2] > 300 * 100 / 4, "{costs:?}");
}

#[test]
fn wrong_expressions_are_told() {
    let (index, why) = regexes(&["a", "(b"]).expect_err("not closed");
    assert_eq!((index, why.as_str()), (1, "unclosed group"));
    let (_, why) = regexes(&["(((a{100}){100}){100})"]).expect_err("too large");
    assert_eq!(why, "takes more than 1048576 bytes when compiled");
    let (_, why) = regexes(&[r"(a)\1"]).expect_err("back reference");
    assert_eq!(why, "backreferences are not supported");
}

proptest! {
    #[test]
    fn find_is_the_first_window(
        text in prop::collection::vec(0u8..3, 0..40),
        part in prop::collection::vec(0u8..3, 1..5),
    ) {
        let first = text.windows(part.len()).position(|window| window == part);
        prop_assert_eq!(strpos(&text, &part), first.map_or(-1, |at| at as i64));
    }

    #[test]
    fn quoting_stays_within_its_limit(text in any::<Vec<u8>>(), most in 1i64..60) {
        let all = text_str(&text);
        prop_assert!(all.iter().all(|byte| (b' '..=b'~').contains(byte)));
        let cut = text_strn(&text, most, false);
        prop_assert!(cut.len() <= most as usize && all.starts_with(&cut));
        let quoted = text_strn(&text, most, true);
        prop_assert!(quoted.len() <= most.max(5) as usize);
        prop_assert_eq!(!quoted.ends_with(b"\"..."), all.len() + 2 <= most.max(5) as usize);
    }

    #[test]
    fn tokens_are_what_is_between(text in "[ab,; ]{1,40}") {
        let mut tokens = Tokenizer::default();
        let mut found = Vec::new();
        let mut token = tokens.token(text.as_bytes(), b",; ").to_vec();
        while !token.is_empty() {
            found.push(String::from_utf8(token).expect("ASCII"));
            token = tokens.token(b"", b",; ").to_vec();
        }
        let expected = text.split([',', ';', ' ']).filter(|token| !token.is_empty());
        prop_assert_eq!(found, expected.collect::<Vec<_>>());
    }

    #[test]
    fn expressions_never_panic(expression in ".{0,30}", text in any::<Vec<u8>>()) {
        if let Ok(regexes) = Regexes::new(&[expression]) {
            let mut groups = Groups::default();
            let found = regexes.is_match(0, &text, &mut groups);
            prop_assert_eq!(found, regexes.is_found(0, &text));
            prop_assert_eq!(found, groups.get(0).is_some());
        }
    }

    #[test]
    fn times_have_24_characters(seconds in any::<i32>()) {
        prop_assert_eq!(ctime(i64::from(seconds)).map(|text| text.len()), Ok(24));
    }
}

#[test]
fn strtol_follows_c() {
    assert_eq!(strtol(b"  -42x", 10), -42);
    assert_eq!(strtol(b"0x1f", 0), 31);
    assert_eq!(strtol(b"0x1f", 16), 31);
    assert_eq!(strtol(b"017", 0), 15);
    assert_eq!(strtol(b"99999999999999999999", 10), i64::MAX);
    assert_eq!(strtol(b"-99999999999999999999", 10), i64::MIN);
    assert_eq!(strtol(b"0xg", 0), 0);
    assert_eq!(strtol(b"z", 37), 0);
}

#[test]
fn substr_stays_inside_the_text() {
    assert_eq!(substr(b"hello", 1, 3), b"ell");
    assert_eq!(substr(b"hello", 3, 9), b"lo");
    assert_eq!(substr(b"hello", 9, 1), b"");
    assert_eq!(substr(b"hello", -1, 2), b"");
    assert_eq!(substr(b"hello", 1, i64::MAX), b"ello");
}
