#![allow(clippy::unwrap_used)]

use super::Platform;
use crate::ast::Script;
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::parse::parse_on;
use crate::span::Source;

fn on(text: &str, arguments: &[&str]) -> Result<Script, Vec<Diagnostic>> {
    let config = |name: &str| match name {
        "CONFIG_HAVE_HW_BREAKPOINT" => Some("y".to_owned()),
        "CONFIG_HZ" => Some("250".to_owned()),
        _ => None,
    };
    let platform = Platform {
        arch: "x86_64",
        kernel_release: "6.1.0-18-amd64",
        config: Some(&config),
    };
    let arguments: Vec<String> =
        arguments.iter().map(|text| (*text).to_owned()).collect();
    parse_on(&Source::new("test.hwt", text), &arguments, &platform)
}

/// Whether a condition holds.
fn holds(condition: &str) -> bool {
    let text = format!("%( {condition} %? probe begin {{ }} %: probe end {{ }} %)");
    on(&text, &[]).unwrap().to_string() == "probe begin\n"
}

#[test]
fn conditions_ask_the_platform() {
    for condition in [
        "kernel_v >= \"5.10\"",
        "kernel_v == \"6.1.0\"",
        "kernel_v == \"6.1*\"",
        "kernel_v < \"6.10\"",
        "kernel_vr == \"6.1.0-18-amd64\"",
        "kernel_vr > \"6.1.0-9\"",
        "arch == \"x86*\"",
        "arch != \"arm64\"",
        "systemtap_v <= \"5.1\"",
        "CONFIG_HAVE_HW_BREAKPOINT == \"y\"",
        "CONFIG_HZ == \"250\"",
        "CONFIG_NOTHING == \"\"",
        "\"a\" < \"b\"",
        "-1 < 1",
        "1 == 2 || 1 == 1 && 2 == 2",
        "(1 == 2 || 1 == 1) && 2 == 2",
        "guru_mode == 0",
    ] {
        assert!(holds(condition), "{condition}");
    }
    for condition in
        ["arch == \"arm64\"", "1 > 2", "1 == 1 && 1 == 2", "kernel_v > \"6.1.0\""]
    {
        assert!(!holds(condition), "{condition}");
    }
    for condition in [
        "arch < \"x\"",
        "1 == \"1\"",
        "kernel_v == 6",
        "nothing == 1",
        "1",
        "1 ==",
        "1 == 1 2",
    ] {
        let text = format!("%( {condition} %? probe begin {{ }} %)");
        assert_eq!(
            on(&text, &[]).unwrap_err()[0].code,
            Code::BadPreprocessor,
            "{condition}"
        );
    }
}

#[test]
fn script_arguments_are_tested_and_used() {
    let text = "%( $# > 1 && @2 == \"b\" %? probe process.data($1).write { print(@2) } %: probe begin { print($1) } %)";
    assert!(on(text, &["1", "b"]).unwrap().to_string().contains("process.data(1)"));
    assert!(on(text, &["1"]).is_err(), "@2 is asked for");
    let text = "%( $1 == 3 %? probe begin { print($2) } %: probe end { } %)";
    assert!(on(text, &["4", "5"]).is_ok(), "what is left out counts as used");
}

#[test]
fn conditions_stand_anywhere_and_in_one_another() {
    let text =
        "probe begin { x = %( 1 == 1 %? %( 1 == 2 %? 1 %: 2 %) %: 3 %) + 4 print(x) }";
    let shown = on(text, &[]).unwrap().to_string();
    assert!(shown.contains("(= x (+ 2 4))"), "{shown}");
    assert_eq!(on("%( 1 == 2 %? %) probe begin { }", &[]).unwrap().items.len(), 1);
    assert!(on("%( 1 == 1 %? probe begin { } %: %{ 'C' \" %} %)", &[]).is_ok());
}

#[test]
fn macros_are_written_out() {
    let text = "@define add(a, b) %( (@a + @b) %)\n@define two %( @add(1, 1) %)\n\
        @define quiet %( %( arch == \"x86_64\" %? x = @two %: y = 1 %) %)\n\
        probe begin { @quiet print(@add(@add(x, 2), f(3, 4))) }";
    let shown = on(text, &[]).unwrap().to_string();
    assert_eq!(shown, "probe begin\n  (= x (+ 1 1))\n  print((+ (+ x 2) f(3, 4)))\n");
}

#[test]
fn errors_in_macros_stand_at_the_call() {
    let text = "@define wrong(a) %( @a + 089 %) probe begin { print(@wrong(1)) }";
    let error = &on(text, &[]).unwrap_err()[0];
    assert_eq!(error.code, Code::BadInteger);
    assert_eq!(&text[error.span.unwrap().range()], "@wrong(1)");
    let text = "@define f(a) %( print(@a) %) probe begin { @f(12ab) }";
    let error = &on(text, &[]).unwrap_err()[0];
    assert_eq!(
        &text[error.span.unwrap().range()],
        "12ab",
        "an argument stands where it stands"
    );
}

#[test]
fn an_unknown_configuration_is_told() {
    let text = "%( CONFIG_X == \"y\" %? probe begin { } %: probe end { } %)";
    let script = crate::parse::parse(&Source::new("test.hwt", text), &[]).unwrap();
    assert_eq!(script.to_string(), "probe end\n");
    assert_eq!(script.warnings[0].code, Code::NoKernelConfig);
    assert!(on(text, &[]).unwrap().warnings.is_empty());
}

/// The two examples of SystemTap's documentation, as far as they go here.
#[test]
fn hardware_watch_examples() {
    for (point, format, argument) in
        [("$1", "%p", "0x1000"), ("@1", "%s", "vm_dirty_ratio")]
    {
        let text = format!(
            "%( CONFIG_HAVE_HW_BREAKPOINT == \"y\" %?\nprobe kernel.data({point}).rw\n{{\n  \
             printf(\"{format} value is accessed\\n\", {point});\n  print_backtrace();\n}}\n\
             %:\nprobe never {{}}\n%)\n"
        );
        let shown = on(&text, &[argument]).unwrap().to_string();
        assert!(shown.starts_with("probe kernel.data("), "{shown}");
    }
}
