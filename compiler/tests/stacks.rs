//! Stacks in scripts, natively and in the evaluator: as keys, as strings, printed. The
//! fake stack of a thread has as many callers as its number is above 5, so that threads
//! 7, 8 and 9 of the hits in turn have two, three and four.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{module, run_with};
use hwtrace_compiler::capture;
use hwtrace_runtime::abi::Limits;
use hwtrace_runtime::plan::Needs;

/// What a script prints after so many hits, of which every other one is the kernel's,
/// the first too.
fn printed(script: &str, hits: u64) -> String {
    let seen = run_with(script, &Limits::default(), hits);
    assert_eq!(seen.faults, [], "{}", seen.fault_text);
    seen.output
}

/// What a handler prints at a hit of the process itself, by thread 8.
fn at_hit(body: &str) -> String {
    printed(&format!("probe process.data(1).write {{ if (tid() == 8) {{ {body} }} }}"), 3)
}

const STACK: &str = "0x401004 0x402005 0x402006 0x402007";

#[test]
fn where_a_string_is_wanted_stacks_are_their_addresses() {
    assert_eq!(at_hit("s = \"\" . ubacktrace() println(s)"), format!("{STACK}\n"));
    assert_eq!(at_hit("println(strlen(ubacktrace()))"), "35\n");
    let words = "t = tokenize(ubacktrace(), \" \")
        while (t != \"\") { print(t, \";\") t = tokenize(\"\", \" \") }";
    assert_eq!(at_hit(words), STACK.replace(' ', ";") + ";");
    assert_eq!(
        at_hit(&format!(
            "println(ubacktrace() == \"{STACK}\", ubacktrace() =~ \"6 0x\")"
        )),
        "11\n"
    );
    assert_eq!(
        at_hit("s = 1 ? ubacktrace() : \"none\" println(s)"),
        format!("{STACK}\n")
    );
}

#[test]
fn printed_they_have_names() {
    let lines = "  store+0x4 [demo]\n  small (small.h:3) [inlined]\n  outer+0x5 [demo]\n  \
                 outer+0x6 [demo]\n  small (small.h:3) [inlined]\n  outer+0x7 [demo]";
    for print in ["println(ubacktrace())", "printf(\"%s\\n\", ubacktrace())"] {
        assert_eq!(at_hit(print), format!("{lines}\n"));
    }
    assert_eq!(at_hit("printf(\"<%-99.3s>\", ubacktrace())"), format!("<{lines}>"));
    assert_eq!(at_hit("println(strlen(sprint(ucallers(0))))"), "18\n");
    assert_eq!(at_hit("print(backtrace(), \"none\")"), "none");
}

#[test]
fn systemtaps_functions_print_systemtaps_lines() {
    let full = " 0x401004 : store+0x4/0x10 [/bin/demo]\n \
                0x402005 : outer+0x5/0x10 [/bin/demo]\n \
                0x402006 : outer+0x6/0x10 [/bin/demo]\n \
                0x402007 : outer+0x7/0x10 [/bin/demo]\n";
    let first = full.lines().next().unwrap();
    for print in [
        "print_ubacktrace()",
        "print_usyms(ubacktrace())",
        "print_ustack(\"\" . ubacktrace())",
        "print_syms(ubacktrace())",
        "print_ubacktrace_fileline()",
    ] {
        assert_eq!(at_hit(print), full, "{print}");
    }
    assert_eq!(
        at_hit("print_ubacktrace_brief()"),
        "store+0x4\nouter+0x5\nouter+0x6\nouter+0x7\n"
    );
    let simple =
        "store+0x4 [demo]\nouter+0x5 [demo]\nouter+0x6 [demo]\nouter+0x7 [demo]\n";
    assert_eq!(at_hit("print(sprint_ubacktrace())"), simple);
    assert_eq!(at_hit("print(sprint_usyms(ubacktrace()))"), simple);
    assert_eq!(at_hit("print_backtrace()"), format!("{first}\n"));
    assert_eq!(at_hit("print(sprint_backtrace())"), "");
    assert_eq!(
        at_hit("println(caller(), \" \", probemod()) printf(\"%x\\n\", caller_addr())"),
        "outer 0x402005 <unknown>\n402005\n"
    );
    assert_eq!(
        at_hit("printf(\"%x %x %x\\n\", ustack(0), ustack(3), ustack(4))"),
        "401004 402007 0\n"
    );
}

#[test]
fn the_kernels_stack_is_there_where_the_kernel_made_the_access() {
    let script = "probe process.data(1).write { print_backtrace()
        println(\"\" . backtrace()) println(caller()) println(\"\" . callers(0))
        print_syms(\"0x10\") println(stack(1) == caller_addr()) }";
    assert_eq!(
        printed(script, 1),
        " 0xffffffff81000010 : store+0x0/0x10 [kernel]\n \
         0xffffffff81000021 : outer+0x1/0x10 [kernel]\n\
         0xffffffff81000010 0xffffffff81000021\nouter 0xffffffff81000021\n\
         0xffffffff81000010\n 0x10 : store+0x0/0x10 [kernel]\n1\n"
    );
}

#[test]
fn stacks_are_keys_values_and_parameters() {
    let script = "global n, last, of, times
        function longer(a:stack, b:stack) { return strlen(a) > strlen(b) ? a : b }
        probe process.data(1).write {
            n[ubacktrace()]++
            n[ucallers(1)]++
            times[ucallers(1), \"k\"] <<< tid()
            of[tid()] = ubacktrace()
            if (!last) last = ucallers(0)
            last = longer(last, ubacktrace())
        }
        probe end {
            foreach (s in n) printf(\"%d %s\\n\", n[s], \"\" . s)
            foreach ([s+, k] in times) println(@count(times[s, k]), k)
            println(of[7] in n, [last] in n, last == of[9], last != of[9], of[1] ? 1 : 0)
            delete n[of[7]]
            println(of[7] in n)
            of[7] = of[8] delete of[9] delete last
            println(of[7] == of[8], of[9] == of[1], last || of[9], \"<\", last, \">\")
        }";
    let shown = printed(script, 12);
    let lines: Vec<_> = shown.lines().collect();
    // Each of the five instructions is hit by each thread in turn.
    assert_eq!(lines[0], "1 0x401000 0x402005 0x402006");
    assert_eq!(lines[1], "3 0x401000 0x402005");
    assert_eq!(lines[lines.len() - 3..], ["11100", "0", "110<>"]);
    assert!(lines.contains(&"3k"), "{shown}");
}

#[test]
fn keys_of_strings_take_their_addresses() {
    let script = "global n
        probe begin { n[\"none\"] = 1 }
        probe process.data(1).write { n[ucallers(0)]++ }
        probe end { foreach (s in n) println(s, n[s]) }";
    assert_eq!(
        printed(script, 6),
        "none1\n0x4010002\n0x4010041\n0x4010081\n0x40100c1\n0x4010101\n"
    );
}

#[test]
fn globals_that_nobody_reads_print_themselves() {
    let script = "global n, last, times
        probe process.data(1).write {
            n[ucallers(1), \"k\"] = tid(); last = backtrace(); times[ubacktrace()] <<< 3 }";
    assert_eq!(
        printed(script, 1),
        "n[\n  store+0x0 [demo]\n  small (small.h:3) [inlined]\n  outer+0x5 [demo]\n,\"k\"]=0x7\n\
         last=\n  store+0x0 [kernel]\n  small (small.h:3) [inlined]\n  outer+0x1 [kernel]\n\
         times[\n  store+0x0 [demo]\n  small (small.h:3) [inlined]\n  outer+0x5 [demo]\n  \
         outer+0x6 [demo]\n] @count=1 @min=3 @max=3 @sum=3 @avg=3\n"
    );
}

#[test]
fn a_stack_that_was_cut_ends_with_dots() {
    let at_hit = |body: &str| {
        let script =
            format!("probe process.data(1).write {{ if (tid() == 9) {{ {body} }} }}");
        printed(&script, 3)
    };
    assert!(at_hit("println(ubacktrace())").ends_with("outer+0x8 [demo]\n  ...\n"));
    assert!(at_hit("print_ubacktrace()").ends_with("[/bin/demo]\n ...\n"));
    assert_eq!(at_hit("print_usyms(ucallers(0))").lines().count(), 1);
}

#[test]
fn outside_of_hits_there_are_none() {
    let script = "probe begin {
        println(ubacktrace() || backtrace() || ucallers(2), ustack(0), caller_addr())
        println(\"<\", caller(), probemod(), sprint_ubacktrace(), ubacktrace(), \">\")
        print_ubacktrace(); print_backtrace(); print_usyms(\"0x402001 what\") }";
    assert_eq!(printed(script, 0), "000\n<>\n 0x402001 : store+0x1/0x10 [/bin/demo]\n");
}

#[test]
fn records_hold_the_stacks_that_are_asked_for() {
    let needs = |body: &str| {
        let script = format!(
            "global n function f() {{ return ubacktrace() }}
             probe process.data(1).write {{ {body} }}"
        );
        let module = module(&script, &Limits::default());
        let asked = module.layout.stacks;
        (capture::plans(&module)[0].needs, asked)
    };
    let access = Needs { access: true, ..Needs::NONE };
    let (user, kernel) =
        (Needs { user_stack: true, ..access }, Needs { kernel_stack: true, ..access });
    for body in
        ["n[ubacktrace()]++", "println(f())", "print_ubacktrace()", "println(ustack(1))"]
    {
        assert_eq!(needs(body), (user, true), "{body}");
    }
    for body in ["n[callers(2)]++", "print_backtrace()", "println(sprint_backtrace())"] {
        assert_eq!(needs(body), (kernel, true), "{body}");
    }
    assert_eq!(needs("println(caller())"), (user.and(kernel), true));
    assert_eq!(needs("println(probemod())").0, access);
    let module =
        module("probe process.data(1).write { print_usyms(\"1\") }", &Limits::default());
    assert_eq!(capture::plans(&module)[0].needs, Needs::NONE);
    assert!(!module.layout.stacks);
}
