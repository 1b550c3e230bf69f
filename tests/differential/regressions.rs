//! Cases that once went wrong, or that chance is too unlikely to find.

use hwtrace_runtime::abi::{FaultCode, Limits};
use hwtrace_runtime::schema::HitRecord;

use super::generate::Hit;
use super::oracle;

/// Runs every handler once, in order, both ways; gives what both printed.
fn agree(script: &str, limits: &Limits) -> (String, Vec<Option<FaultCode>>) {
    let (module, program) = oracle::compile(script, limits);
    let hit = |handler| Hit {
        handler,
        record: HitRecord { new: 7, old: 6, tid: 3, ..HitRecord::default() },
        execname: "thread",
    };
    let hits: Vec<_> = (0..module.handlers.len()).map(hit).collect();
    let native = oracle::native(&module, &program, limits, &hits);
    assert_eq!(native, oracle::evaluated(&module, &hits), "{script}");
    let faults = native.faults.iter().map(|fault| fault.map(|(code, _)| code)).collect();
    (native.output.concat(), faults)
}

fn prints(script: &str) -> String {
    let (output, faults) = agree(script, &Limits::default());
    assert!(faults.iter().all(Option::is_none), "{faults:?} in {script}");
    output
}

fn limits(steps: u32, string_bytes: u32) -> Limits {
    Limits { steps, string_bytes, ..Limits::default() }
}

#[test]
fn division_at_the_borders_does_not_trap() {
    let output = prints(
        "probe begin { m = 0x8000000000000000; n = -1
         printdln(\" \", m / n, m % n, m / 1, 7 / -2, 7 % -2, -7 / 2, -7 % 2) }",
    );
    assert_eq!(output, "-9223372036854775808 0 -9223372036854775808 -3 1 -3 -1\\n");
}

#[test]
fn shifts_by_less_than_0_do_nothing_and_by_more_than_63_leave_nothing() {
    let output = prints(
        "probe begin { c = 64; n = -1
         printdln(\" \", 1 << c, n >> c, n >>> c, 1 << n, -8 >> n, n >>> n, n >>> 63) }",
    );
    assert_eq!(output, "0 -1 0 1 -8 -1 1\\n");
}

#[test]
fn a_string_of_exactly_the_limit_is_whole_and_one_more_is_cut() {
    let script = "global t = \"\", n
        probe begin { t = \"1234567\" . \"8\"; n[t] = 1; println(t, \"\") }
        probe begin { t = t . \"9\"; n[t]++; printdln(\" \", t, strlen(t)) }
        probe end { foreach ([k] in n) printdln(\" \", k, n[k]) }";
    let script = script.replace("println(t, \"\")", "println(t)");
    let (output, _) = agree(&script, &limits(1000, 8));
    assert_eq!(output, "12345678\\n12345678 8\\n12345678 2\\n");
}

#[test]
fn the_fault_is_where_the_division_is() {
    let (module, program) =
        oracle::compile("probe begin {\n  x = 1;\n  print(7 / (x - 1)) }", &limits(9, 9));
    let hit = Hit { handler: 0, record: HitRecord::default(), execname: "" };
    let native =
        oracle::native(&module, &program, &limits(9, 9), std::slice::from_ref(&hit));
    assert_eq!(native, oracle::evaluated(&module, &[hit]));
    let (code, site) = native.faults[0].unwrap();
    assert_eq!(code, FaultCode::DivisionByZero);
    let span = module.sites[site as usize];
    let text = "probe begin {\n  x = 1;\n  print(7 / (x - 1)) }";
    assert_eq!(&text[span.start as usize..span.end as usize], "7 / (x - 1)");
}

#[test]
fn deleting_and_adding_while_walking_leaves_the_walk_alone() {
    let output = prints(
        "global a probe begin { a[1] = 10; a[2] = 20; a[3] = 30
         foreach (v = k in a) { delete a[2]; a[9] = 1; delete a[3]; a[3] = 5
           printdln(\" \", k, v) }
         foreach (v = k in a-) printdln(\"=\", k, v) }",
    );
    assert_eq!(output, "1 10\\n3 5\\n1=10\\n3=5\\n9=1\\n");
}

#[test]
fn leaving_nested_walks_early_ends_them() {
    let output = prints(
        "global a probe begin { a[1] = 1; a[2] = 2; a[3] = 3
         foreach (i in a) { foreach (j in a) { if (j == 2) break; print(j) } print(i) }
         foreach (i in a) { foreach (j in a) { if (j == 2) next; println(i) } } }
         probe begin { foreach (i in a-) print(i) }",
    );
    assert_eq!(output, "1112131\\n321");
}

#[test]
fn a_string_global_keeps_its_value_while_it_is_changed() {
    let output = prints(
        "global t = \"a\" probe begin { println(t . (t = \"b\") . t . (t .= \"c\") . t) }",
    );
    assert_eq!(output, "abbbcbc\\n");
}

#[test]
fn a_full_array_faults_and_keeps_what_it_has() {
    let (output, faults) = agree(
        "global a[2] probe begin { a[1]++; a[2]++; a[1]++; a[3]++; a[4]++ }
         probe end { foreach (v = k in a) printdln(\" \", k, v) }",
        &Limits::default(),
    );
    assert_eq!(output, "1 2\\n2 1\\n");
    assert_eq!(faults, [Some(FaultCode::ArrayFull), None]);
}

#[test]
fn what_a_print_prints_while_it_is_evaluated_is_not_captured_twice() {
    let output = prints(
        "probe begin { s = sprintf(\"<%s>\", sprintf(\"[%d]\", 1) . sprint(2)); println(s) }",
    );
    assert_eq!(output, "<[1]2>\\n");
}

#[test]
fn keys_that_no_element_has_are_not_kept() {
    let output = prints(
        "global n probe begin { if ([\"x\" . \"y\", 1] in n) println(1)
         delete n[\"x\" . \"z\", 1]; println(n[\"x\" . \"y\", 1]); n[\"xy\", 1] = 3
         println(n[\"x\" . \"y\", 1]) }",
    );
    assert_eq!(output, "0\\n3\\n");
}

#[test]
fn what_the_session_tells_of_a_process_is_cut_like_all_text() {
    let script = "global n probe begin { log(cmdline_str()); n[env_var(\"a\")]++ }
        probe end { foreach (k in n) println(k) }";
    let (output, _) = agree(script, &limits(1000, 3));
    assert_eq!(output, "cat\\n/ro\\n");
}
