//! No text crashes, hangs or overflows the stack: soups of bytes, of tokens,
//! and scripts with a piece cut out or doubled. The generator is deterministic;
//! `HWTRACE_SOUP_ROUNDS=20` makes twenty times as many. What large and deeply
//! nested texts do is tested in `large.rs`.
#![allow(clippy::unwrap_used)]

mod common;

use hwtrace_lang::{parse::parse, sema::check, span::Source};

/// xorshift64*
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

/// So many, times what is asked for.
fn rounds(usual: usize) -> usize {
    let factor = std::env::var("HWTRACE_SOUP_ROUNDS");
    usual * factor.map_or(1, |factor| factor.parse::<usize>().unwrap())
}

/// Runs a text through all stages; every place in a diagnostic is one of the
/// text.
fn survives(text: String) -> bool {
    let source = Source::new("soup.hwt", text);
    let formatted = hwtrace_lang::format::format(&source);
    if let Err(errors) = formatted {
        assert!(!errors.is_empty());
    }
    let result =
        parse(&source, &["7".to_owned(), "name".to_owned()]).and_then(|script| {
            let _ = script.to_string();
            check(&script, &mut common::Memory::default())
        });
    match result {
        Ok(program) => !program.to_string().is_empty(),
        Err(errors) => {
            assert!(!errors.is_empty());
            for error in errors {
                let spans =
                    error.span.into_iter().chain(error.related.iter().map(|it| it.0));
                for span in spans {
                    assert!(
                        source.text.get(span.range()).is_some(),
                        "{error:?}\n{}",
                        source.text
                    );
                }
            }
            false
        }
    }
}

const TOKENS: &[&str] = &[
    "probe",
    "begin",
    "end",
    "global",
    "x",
    "y",
    "arr",
    "arr[",
    "if",
    "else",
    "while",
    "for",
    "foreach",
    "in",
    "limit",
    "break",
    "continue",
    "next",
    "return",
    "delete",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ";",
    "=",
    "+=",
    ".=",
    "<<=",
    "?",
    ":",
    "||",
    "&&",
    "|",
    "^",
    "&",
    "==",
    "<",
    ">=",
    "<<",
    ">>>",
    ".",
    "+",
    "-",
    "*",
    "/",
    "%",
    "!",
    "~",
    "++",
    "--",
    "1",
    "0x2a",
    "\"a\"",
    "\"%d %s\\n\"",
    "printf",
    "print",
    "$new",
    "$1",
    "@1",
    "$#",
    "@x",
    "process",
    "data",
    "# c\n",
    "\n",
    "'q'",
    "function",
    "try",
    "strlen(",
    "<<<",
    "->",
    "é",
    "\\",
    "\"",
    "1.5",
    "1e-3",
    "function",
    "private",
    "f(",
    "try",
    "catch",
    "@count(",
    "@hist_log(arr)",
    "@defined(",
    "=~",
    "\"re(\"",
    "$new",
    "%(",
    "%?",
    "%:",
    "%)",
    "kernel_v",
    "@define",
    "@m",
    "m",
    "99999999999999999999",
];

#[test]
fn soups_of_tokens() {
    let mut random = Random(42);
    for _ in 0..rounds(1_500) {
        let length = random.below(40);
        let tokens: Vec<&str> = (0..length).map(|_| random.pick(TOKENS)).collect();
        survives(tokens.join(" "));
        survives(format!(
            "global arr probe process.data(1).write {{ {} }}",
            tokens.join(" ")
        ));
    }
}

#[test]
fn soups_of_bytes() {
    let mut random = Random(7);
    for _ in 0..rounds(2_000) {
        let bytes: Vec<u8> = (0..random.below(60))
            .map(|_| u8::try_from(random.below(256)).unwrap())
            .collect();
        survives(String::from_utf8_lossy(&bytes).into_owned());
        let ascii: Vec<u8> = bytes.iter().map(|byte| 32 + byte % 95).collect();
        survives(format!("probe begin {{ {} }}", String::from_utf8(ascii).unwrap()));
    }
}

/// All that the language has, to be cut to pieces.
const WHOLE: &str = "@define m(a) %( @a + 1 %)\n\
    %( kernel_v < \"9\" %? global d = 1.5, s, a%[9] %: global x %)\n\
    function f:long(n:long) { if (n < 1) return 0 return @m(f(n - 1)) }\n\
    probe w = process.data(1).write?, begin! { k = \"é\" }, { println(k) }\n\
    probe w if (d > 1) { s <<< f(3); a[tid(), k] <<< 1; d *= 2 try { d++ } catch (t) { warn(t) } }\n\
    probe end { foreach ([i-, j] in a[*, \"x\"] limit 2) print(@avg(a[i, j])) print(@hist_linear(s, 0, 9, 3))\n  \
      foreach (b in @hist_log(s)) printf(\"%d %.1f\", @hist_log(s)[b], d) if (k =~ \"^a+$\" && @defined($x)) delete a }\n";

const SCRIPT: &str = "global hits[100], last = \"é\", n\n\
    probe process(\"p\").data($1).length(4).write, begin {\n  \
      if (n++ > 3 && last != execname()) hits[tid(), \"k\" . last]++ else next\n  \
      for (i = 0; i < 10; i++) { n += i * 2 ? 1 : -1; last = sprintf(\"%5d %s\", n, @2) }\n}\n\
    probe end { foreach (v = [t, k+] in hits limit 5) printf(\"%d %s\\n\", v, k) delete hits }\n";

#[test]
fn scripts_with_pieces_cut_out_or_doubled() {
    for script in [SCRIPT, WHOLE] {
        cut(script);
    }
}

fn cut(script: &str) {
    assert!(survives(script.to_owned()) || script == WHOLE, "the whole script is right");
    let mut random = Random(99);
    let chars: Vec<char> = script.chars().collect();
    for _ in 0..rounds(60) {
        let start = random.below(chars.len());
        let end = (start + random.below(20)).min(chars.len());
        let cut: String = chars[..start].iter().chain(&chars[end..]).collect();
        let doubled: String = chars[..end].iter().chain(&chars[start..]).collect();
        survives(cut);
        survives(doubled);
    }
}

/// Tokens repeated without end: deep nesting and long chains. With what is
/// between them by turns; in more rounds with all of it.
#[test]
fn repetitions() {
    let between = ["", " x ", " 1 ", "(", "[", "{", "x;"];
    for (at, first) in TOKENS.iter().enumerate() {
        for turn in 0..rounds(1).min(between.len()) {
            let piece = format!("{first}{}", between[(at + turn) % between.len()]);
            survives(format!("probe begin {{ {} }}", piece.repeat(300)));
            survives(piece.repeat(300));
        }
    }
}
