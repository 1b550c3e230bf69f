#![allow(clippy::unwrap_used)]

#[path = "../../tests/common/mod.rs"]
mod common;

use super::Code;
use crate::ast::ProbePoint;
use crate::diagnostic::Diagnostic;
use crate::environment::{Context, Environment, Point, PointId, TargetVariable};
use crate::parse::parse;
use crate::span::Source;
use crate::typed::Program;

/// Parses and checks a script without arguments.
pub(crate) fn check(text: &str) -> Result<Program, Vec<Diagnostic>> {
    let script = parse(&Source::new("test.hwt", text), &[])?;
    super::check(&script, &mut common::Memory::default())
}

/// Checks the body of a data probe.
fn body(text: &str) -> String {
    let program =
        check(&format!("global g probe process.data(1).rw {{ {text}; print(g) }}"));
    let shown = program.unwrap().to_string();
    let lines: Vec<&str> =
        shown.lines().filter(|line| line.starts_with("  ")).map(str::trim).collect();
    lines[..lines.len() - 1].join(" / ")
}

fn codes(text: &str) -> Vec<Code> {
    check(text).unwrap_err().iter().map(|error| error.code).collect()
}

#[test]
fn types_follow_from_use_wherever_it_stands() {
    let text = "global a, b, c, last, n\n\
        probe begin { b = a; println(c[1, \"x\"]) foreach (v = [i, j] in c) printf(\"%s\", v) }\n\
        probe end { a = \"text\"; print(b) if (last == a) n = 1; print(n) }";
    let shown = check(text).unwrap().to_string();
    assert!(shown.starts_with(
        "global a: string = \"\"\nglobal b: string = \"\"\nglobal c[long, string]: string\n\
         global last: string = \"\"\nglobal n: long = 0\n"
    ), "{shown}");
    assert!(
        shown.contains("local i: long\n  local j: string\n  local v: string\n"),
        "{shown}"
    );
}

#[test]
fn conflicts_show_both_places() {
    let text = "global x probe begin { x = \"a\" } probe end { y = x + 1 }";
    let error = &check(text).unwrap_err()[0];
    assert_eq!(error.message, "`x` is used both as a string and as a long");
    assert_eq!(error.label, "as a long here");
    assert_eq!(&text[error.span.unwrap().range()], "x");
    assert_eq!(&text[error.related[0].0.range()], "\"a\"");
    assert_eq!(error.related[0].1, "as a string here");
}

#[test]
fn all_errors_come_in_one_run() {
    let text = "global a probe begin { a[1] = $new; prnt(1); x = y + \"s\"; printf(\"%d\") } probe nowhere { z = w }";
    assert_eq!(
        codes(text),
        [
            Code::NotAvailableHere,
            Code::UnknownFunction,
            Code::UnknownVariable,
            Code::TypeMismatch,
            Code::FormatArguments,
            Code::UnknownProbePoint,
            Code::UnknownVariable,
        ]
    );
}

#[test]
fn printing_becomes_a_format() {
    assert_eq!(body("println(\"a\")"), "printf(\"%s\\n\", \"a\"):long");
    assert_eq!(body("println()"), "printf(\"\\n\"):long");
    assert_eq!(body("printdln(\"%\", 1, \"b\")"), "printf(\"%d%%%s\\n\", 1, \"b\"):long");
    assert_eq!(
        body("s = sprintf(\"%-*.3d %%\", 4, $new)"),
        "local s: string / (= s sprintf(\"%-*.3d %%\", 4, field new:long):string):string"
    );
}

#[test]
fn format_errors_point_into_the_literal() {
    let text = "probe begin { printf(\"a\\t%d %y\" \" %s\", 1) }";
    let error = &check(text).unwrap_err()[0];
    assert_eq!((error.code, &text[error.span.unwrap().range()]), (Code::BadFormat, "%y"));
    let text = "probe begin { printf(\"a\\t%d\" \" %5s\", 1) }";
    let error = &check(text).unwrap_err()[0];
    assert_eq!(
        (error.code, &text[error.span.unwrap().range()]),
        (Code::FormatArguments, "%5s")
    );
}

/// The probes that were added to print globals.
fn printed(text: &str) -> String {
    let shown = check(text).unwrap().to_string();
    match shown.split_once("probe end(9223372036854775807)\n") {
        Some((_, rest)) => rest.to_owned(),
        None => String::new(),
    }
}

#[test]
fn globals_written_and_never_read_print_themselves() {
    assert_eq!(
        printed("global n probe begin { n++ }"),
        "  printf(\"n=%#x\\n\", n:long):long\n"
    );
    assert_eq!(
        printed("global s probe begin { s .= \"x\" }"),
        "  printf(\"s=\\\"%#s\\\"\\n\", s:string):long\n"
    );
    assert_eq!(
        printed("global a probe begin { a[1, \"k\"] += 2 }"),
        "  local key0: long\n  local key1: string\n  local value: long\n  \
         foreach value = [key0, key1] in a by value-\n    \
         printf(\"a[%#d,\\\"%#s\\\"]=%#x\\n\", key0:long, key1:string, value:long):long\n"
    );
}

#[test]
fn what_is_read_prints_nothing() {
    for text in [
        "global n probe begin { if (n++ > 3) next }",
        "global n probe begin { n = n + 1 }",
        "global n probe begin { x = n += 1 }",
        "global a probe begin { a[1]++; foreach (k in a) print(k) }",
        "global a probe begin { a[1] = 2; if (1 in a) next }",
        "global a probe begin { a[1] = 2; print(a[1]) }",
        "global n probe begin { delete n }",
        "global n = 3 probe begin { }",
    ] {
        assert_eq!(printed(text), "", "{text}");
    }
    for text in [
        "global n probe begin { for (n = 0; 0; n++) ; }",
        "global a probe begin { a[1] = 2; delete a[1]; delete a }",
    ] {
        assert_ne!(printed(text), "", "{text}");
    }
}

#[test]
fn a_foreach_can_fill_globals() {
    let shown =
        check("global a, k probe begin { a[1] = 1 foreach (k in a) print(k) }").unwrap();
    assert!(
        shown.to_string().contains("foreach [k] in a\n    (= k k:long):long\n"),
        "{shown}"
    );
}

#[test]
fn a_probe_with_two_points_is_two_probes() {
    let program = check("probe begin, process.data(1).write { x = 1 print(x) }").unwrap();
    let names: Vec<&str> =
        program.probes.iter().map(|probe| probe.name.as_str()).collect();
    assert_eq!(names, ["begin", "process.data(1).write"]);
    let errors = check("probe begin, end, process.data(1).write { y = x }").unwrap_err();
    assert_eq!(errors.len(), 1, "the same error is told once");
}

#[test]
fn unknown_names_have_neighbours() {
    let help = |text: &str| check(text).unwrap_err()[0].help.join("; ");
    assert_eq!(
        help("global counter probe begin { x = countr }"),
        "did you mean `counter`?"
    );
    assert_eq!(help("probe begin { exectname() }"), "did you mean `execname`?");
    assert_eq!(help("probe begin { whlie(1) { } }"), "did you mean `while`?");
    assert_eq!(help("probe begin { print(comm) }"), "write `execname()`");
    assert_eq!(
        help("probe process.data(1).write { print($nwe) }"),
        "did you mean `$new`?"
    );
}

/// Knows every point and no type.
#[derive(Default)]
struct Untyped(Vec<TargetVariable>);

impl Environment for Untyped {
    fn point(&mut self, _: &ProbePoint) -> Result<Point, Box<Diagnostic>> {
        self.0 = vec![TargetVariable::field("new", "new")];
        Ok(Point { id: PointId(0), context: Context::Data })
    }

    fn variables(&self, _: PointId) -> &[TargetVariable] {
        &self.0
    }
}

#[test]
fn without_types_an_error_says_what_works() {
    let check = |body: &str| {
        let text = format!("probe process.data(1).write {{ {body} }}");
        let script = parse(&Source::new("test.hwt", text), &[]).unwrap();
        super::check(&script, &mut Untyped::default())
    };
    for body in [
        "println(@cast($new, \"struct node\")->id)",
        "println(@var(\"counter\"))",
        "println(@enum(\"RED\"))",
    ] {
        let error = &check(body).unwrap_err()[0];
        assert_eq!(error.code, Code::UnknownType);
        assert!(error.message.ends_with("there is no target"), "{}", error.message);
        assert!(error.help[0].contains("`-p PID`"), "{}", error.help[0]);
        assert!(error.help[1].contains("`user_int(address)`"), "{}", error.help[1]);
    }
    assert_eq!(check("println($new->id)").unwrap_err()[0].code, Code::NoTypes);
    let asked = "if (@defined($new->id)) println($new->id); else println($new$)";
    let program = check(asked).unwrap().to_string();
    assert!(program.contains("sprintf(\"%d\", field new:long)"), "{program}");
    assert!(check("x = @defined(@var(\"c\")) ? @var(\"c\") : 1 println(x)").is_ok());
}
