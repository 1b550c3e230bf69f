#![allow(clippy::unwrap_used)]

use super::*;
use crate::ast::{ExpressionKind, StatementKind};
use crate::code::Code;

fn parsed(text: &str, arguments: &[&str]) -> Result<Script, Vec<Diagnostic>> {
    let arguments: Vec<String> =
        arguments.iter().map(|text| (*text).to_owned()).collect();
    parse(&Source::new("test.hwt", text), &arguments)
}

/// The body of a handler, in the form of `--dump ast`.
fn body(text: &str) -> String {
    let script = parsed(&format!("probe begin {{ {text} }}"), &[]).unwrap();
    let shown = script.to_string();
    let lines: Vec<&str> = shown.lines().skip(1).map(str::trim).collect();
    lines.join(" / ")
}

fn errors(text: &str) -> Vec<(Code, String)> {
    let errors = parsed(text, &[]).unwrap_err();
    errors.into_iter().map(|error| (error.code, error.message)).collect()
}

/// The text that an error marks.
fn marked(text: &str, arguments: &[&str]) -> Vec<String> {
    let errors = parsed(text, arguments).unwrap_err();
    errors.iter().map(|error| text[error.span.unwrap().range()].to_owned()).collect()
}

#[test]
fn precedence_from_low_to_high() {
    for (text, tree) in [
        ("a = b = c", "(= a (= b c))"),
        ("a = b ? c : d", "(= a (?: b c d))"),
        ("a ? b : c ? d : e", "(?: a b (?: c d e))"),
        ("a ? b = 1 : c", "(?: a (= b 1) c)"),
        ("a || b && c", "(|| a (&& b c))"),
        ("a && b | c", "(&& a (| b c))"),
        ("a | b ^ c & d", "(| a (^ b (& c d)))"),
        ("a & b == c", "(& a (== b c))"),
        ("a & k in arr", "(& a (in [k] arr))"),
        ("a == b in arr", "(in [(== a b)] arr)"),
        ("a < b == c", "(== (< a b) c)"),
        ("a < b << c", "(< a (<< b c))"),
        ("a >> b >>> c << d", "(<< (>>> (>> a b) c) d)"),
        ("a << b . c", "(<< a (. b c))"),
        ("a . b + c", "(. a (+ b c))"),
        ("a - b - c * d % e", "(- (- a b) (% (* c d) e))"),
        ("-a * !b", "(* (- a) (! b))"),
        ("-x++", "(- (post++ x))"),
        ("~-!x", "(~ (- (! x)))"),
        ("--x - --y", "(- (-- x) (-- y))"),
        ("$p->a->next[i + 1]", "([] (-> (-> $p a) next) (+ i 1))"),
        ("*$p->a * -*$q", "(* (* (-> $p a)) (- (* $q)))"),
        ("&$p->a & &$q", "(& (& (-> $p a)) (& $q))"),
        ("$p->a$ . $q$$ . $r[1]$", "(. (. ($ (-> $p a)) ($$ $q)) ($ ([] $r 1)))"),
        ("(*$p)->a == (&$q)->b", "(== (-> (* $p) a) (-> (& $q) b))"),
        ("@cast(p, \"t\")[1]->a", "(-> ([] @cast(p, \"t\") 1) a)"),
        ("@hist_log(s)[1] + a[*$p]", "(+ @hist_log(s)[1] a[(* $p)])"),
        ("$p->a++", "(post++ (-> $p a))"),
        ("x = $new *$old", "(= x (* $new $old))"),
        ("a[1, b + 1]--", "(post-- a[1, (+ b 1)])"),
        ("(a + b) * c", "(* (+ a b) c)"),
        ("[a, b] in arr && c", "(&& (in [a, b] arr) c)"),
        ("![a, b] in arr", "(! (in [a, b] arr))"),
        ("x .= \"a\" \"b\"", "(.= x \"ab\")"),
        ("x <<= 1 y >>= 2 z ^= 3", "(<<= x 1) / (>>= y 2) / (^= z 3)"),
    ] {
        assert_eq!(body(text), tree, "{text}");
    }
}

#[test]
fn statements_need_no_semicolons() {
    assert_eq!(body("a = 1 b = 2; c()"), "(= a 1) / (= b 2) / c()");
    assert_eq!(body("if (a) b = 1; else c = 2"), "if a / (= b 1) / else / (= c 2)");
    assert_eq!(body("if (a) ; else next"), "if a / ; / else / next");
    assert_eq!(body("for (;;) break"), "for - - - / break");
    assert_eq!(
        body("for (i = 0; i < 3; i++) { }"),
        "for (= i 0) (< i 3) (post++ i) / block"
    );
    assert_eq!(body("while (1) continue"), "while 1 / continue");
    assert_eq!(body("return; delete a[1] delete b"), "return / delete a[1] / delete b");
    assert_eq!(body("foreach (k in a) f(k)"), "foreach [k] in a / f(k)");
    assert_eq!(
        body("foreach (v = [a, b-] in arr limit 3 + 1) ;"),
        "foreach v = [a, b-] in arr limit (+ 3 1) / ;"
    );
    assert_eq!(body("foreach ([k+] in arr-) ;"), "foreach [k+] in arr- / ;");
}

#[test]
fn comments_and_white_space_are_nothing() {
    assert_eq!(body("a /* x */ = # y\n 1 // z\n"), "(= a 1)");
    assert_eq!(body("a = \"# // /* no comment\""), "(= a \"# // /* no comment\")");
}

#[test]
fn keywords_end_where_names_would_go_on() {
    assert!(parsed("probefoo {}", &[]).is_err());
    assert_eq!(
        body("iffy = 1 nextone = foreach_x"),
        "(= iffy 1) / (= nextone foreach_x)"
    );
    assert_eq!(errors("probe begin { if = 1 }")[0].0, Code::Syntax);
}

#[test]
fn spans_are_of_tokens_not_of_blanks() {
    let text = "probe begin /* x */ { a = b  + c  /* y */ ; }  # z";
    let script = parsed(text, &[]).unwrap();
    let Item::Probe(probe) = &script.items[0] else { panic!("a probe") };
    assert_eq!(
        &text[probe.span.range()],
        "probe begin /* x */ { a = b  + c  /* y */ ; }"
    );
    assert_eq!(&text[probe.points[0].span.range()], "begin");
    let StatementKind::Expression(assign) = &probe.body[0].kind else {
        panic!("an expression")
    };
    assert_eq!(&text[assign.span.range()], "a = b  + c");
    let ExpressionKind::Assign { value, .. } = &assign.kind else {
        panic!("an assignment")
    };
    assert_eq!(&text[value.span.range()], "b  + c");
}

#[test]
fn globals_and_points() {
    let text = "global a, b[10] = 3, c = -1; global d = \"x\"\nprobe process(\"a b\").data(0x10).write, end(-1) {}";
    let script = parsed(text, &[]).unwrap();
    assert_eq!(
        script.to_string(),
        "global a\nglobal b[10] = 3\nglobal c = -1\nglobal d = \"x\"\n\
         probe process(\"a b\").data(16).write, end(-1)\n"
    );
}

#[test]
fn arguments_are_pasted_with_their_places() {
    let text = "probe process.data($1).length($2), process.data(@1) { x = $2 + $#; y = \"<\" @1 \">\" @# }";
    let script = parsed(text, &["counter", "4"]).unwrap_err();
    assert_eq!(script[0].code, Code::BadArgument, "a name is no literal: {script:?}");
    let text = text.replace("($1)", "(@1)");
    let script = parsed(&text, &["counter", "4"]).unwrap().to_string();
    assert_eq!(
        script,
        "probe process.data(\"counter\").length(4), process.data(\"counter\")\n  \
         (= x (+ 4 2))\n  (= y \"<counter>2\")\n"
    );
    assert_eq!(
        parsed("global $1 probe begin {}", &["a"]).unwrap_err()[0].code,
        Code::Syntax
    );
    let script = parsed("probe begin { $1 = 1 }", &["counter"]).unwrap().to_string();
    assert_eq!(script, "probe begin\n  (= counter 1)\n");
}

#[test]
fn missing_and_left_over_arguments() {
    assert_eq!(marked("probe begin { x = $2 }", &["1"]), ["$2"]);
    let errors = parsed("probe begin { x = $1 }", &["1", "2"]).unwrap_err();
    assert_eq!(errors[0].code, Code::LeftOverArgument);
    assert_eq!(errors[0].message, "the script does not use argument 2: `2`");
    assert_eq!(parsed("probe begin {}", &["1"]).unwrap_err()[0].span, None);
}

#[test]
fn errors_speak_of_no_rules() {
    for (text, message) in [
        ("probe begin { x = }", "expected an expression, found `}`"),
        ("probe begin { x = (1 + }", "`}` does not close `(`"),
        (
            "probe begin { f(1 2) }",
            "expected an operator, `)` or `,`, found the number `2`",
        ),
        ("probe { }", "expected a probe point, found `{`"),
        ("probe begin", "expected `(`, `,`, `.` or `{`, but the text ends"),
        ("global", "expected a name, but the text ends"),
        ("global if", "expected a name, found the reserved word `if`"),
        (
            "probe begin { else }",
            "expected a statement or `}`, found the reserved word `else`",
        ),
        ("probe begin { if x { } }", "expected `(`, found `x`"),
        ("foo", "expected `probe`, `global` or `function`, found `foo`"),
        (
            "probe begin { x = 1 } 3",
            "expected `probe`, `global` or `function`, found the number `3`",
        ),
    ] {
        assert_eq!(errors(text)[0].1, message, "{text}");
    }
}

#[test]
fn each_item_has_its_own_errors() {
    let text = "probe begin { x = } global 1 probe end { y = 1 } probe end { ( }";
    assert_eq!(marked(text, &[]), ["}", "1", "}"]);
    let text = "probe begin { x = \nprobe end { int y; z = 'a' }";
    assert_eq!(marked(text, &[]), ["{", "int y", "'a'"]);
}

#[test]
fn only_places_are_assigned_to() {
    assert_eq!(marked("probe begin { a + b = 1 }", &[]), ["a + b"]);
    assert_eq!(marked("probe begin { 1++ }", &[]), ["1"]);
    assert_eq!(marked("probe begin { delete 3 }", &[]), ["3"]);
    assert_eq!(marked("probe begin { ++-x }", &[]), ["-x"]);
}

/// A statement `depth` deep in what `open` and `close` make.
fn nested(open: &str, close: &str, depth: usize) -> String {
    format!("probe begin {{ {}x{} }}", open.repeat(depth), close.repeat(depth))
}

#[test]
fn nesting_is_bounded() {
    for (open, close) in [
        ("(", ")"),
        ("{", "}"),
        ("a[", "]"),
        ("f(", ")"),
        ("!", ""),
        ("- ", ""),
        ("++", ""),
        ("x = ", ""),
        ("x + ", ""),
        ("x ? ", ": y"),
        ("x ? y : ", ""),
        ("if (x) ", ""),
        ("if (x) y else ", ""),
        ("if (x) { y } else ", ""),
        ("while (x) ", ""),
        ("if (x + x + x) (((", ")))"),
    ] {
        let deep = parsed(&nested(open, close, 5_000), &[]).unwrap_err();
        let expected = [Code::TooDeep, Code::NotAssignable, Code::ScriptTooLong];
        assert!(expected.contains(&deep[0].code), "{open}: {deep:?}");
    }
    assert!(parsed(&nested("(", ")", 60), &[]).is_ok());
    assert!(parsed(&nested("x + ", "", 120), &[]).is_ok());
}

#[test]
fn long_scripts_end_in_time() {
    let many = "probe begin { x = 1 }\n".repeat(2_000);
    assert_eq!(parsed(&many, &[]).unwrap().items.len(), 2_000);
    let long = format!("probe begin {{ {} }}", "x = 1\n".repeat(5_000));
    assert!(parsed(&long, &[]).is_ok());
    let huge = " ".repeat(SCRIPT_LEN_MAX + 1);
    assert_eq!(parsed(&huge, &[]).unwrap_err()[0].code, Code::ScriptTooLong);
}
