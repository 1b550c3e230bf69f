//! What scripts do, natively and in the evaluator.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{accepted, faults, module, native_faults, output, run_with};
use hwtrace_runtime::abi::text::Regexes;
use hwtrace_runtime::abi::{FaultCode, Limits};

fn limits() -> Limits {
    Limits::default()
}

#[test]
fn doubles_are_ieee() {
    let script = r#"
        global d = 1.5, sum, a
        function half(x) { return x / 2.0 }
        probe begin {
            sum += d * 2; d++
            a["x"] = -d; a["x"] += 1; a["x"]--
            printf("%.2f %.2f %g %e\n", sum, a["x"], half(3.0), 1e10)
            zero = 0.0; inf = 1 / zero; nan = zero / zero
            println(inf); println(-inf); println(nan)
            printf("%d%d%d%d\n", nan == nan, nan != nan, nan < 1, inf > 1e300)
            println(7.5 % 2); println(-7.5 % 2.0)
            k = d++; println(k); println(d)
            println(0.1 + 0.2); println(3.0)
            foreach (v = k2 in a) println(v)
        }"#;
    assert_eq!(
        output(script),
        "3.00 -2.50 1.5 1.000000e+10\ninf\n-inf\nnan\n0101\n1.5\n-1.5\n2.5\n3.5\n\
         0.30000000000000004\n3.0\n-2.5\n"
    );
}

#[test]
fn functions_recurse_and_take_all_types() {
    let script = r#"
        function fib:long (n:long) { return n < 2 ? n : fib(n - 1) + fib(n - 2) }
        function join(a, b) { return a . "-" . b }
        function scale(x:double, n:long) { x *= n; return x }
        function hello() { println("hello") }
        function many(a, b, c, d, e, f, g) {
            return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g
        }
        function none(n) { if (n) return 5 }
        probe begin {
            println(fib(20)); println(join("a", "b")); println(scale(1.5, 3)); hello()
            println(many(1, 2, 3, 4, 5, 6, 7)); println(none(0)); println(none(1))
        }"#;
    assert_eq!(output(script), "6765\na-b\n4.5\nhello\n140\n0\n5\n");
}

#[test]
fn recursion_is_bounded() {
    let script = "function down(n) { return down(n + 1) } probe begin { down(0) }";
    assert_eq!(faults(script, &limits()), [FaultCode::NestedTooDeep]);
    let script = r#"
        function down(n) { depth = n; return n == 99 ? depth : down(n + 1) }
        probe begin { println(down(0)) println(down(1)) }"#;
    assert_eq!(faults(script, &limits()), []);
    let tight = Limits { nesting: 99, ..limits() };
    assert_eq!(run_with(script, &tight, 0).faults.len(), 1);
    let script = r#"
        global reached
        function down(n) { reached = n; down(n + 1) }
        probe begin { try { down(1) } catch (m) { printf("%s at %d\n", m, reached) } }"#;
    assert_eq!(output(script), "MAXNESTING exceeded at 100\n");
}

/// Functions with many variables get fewer levels, so that the stack suffices.
#[test]
fn large_functions_do_not_overflow_the_stack() {
    let mut body = String::new();
    for number in 0..3000 {
        body += &format!("v{number} = n + {number}; ");
    }
    body += "r = down(n + 1); ";
    let all: Vec<_> = (0..3000).map(|number| format!("v{number}")).collect();
    for some in all.chunks(50) {
        body += &format!("r += {}; ", some.join(" + "));
    }
    body += "return r";
    let script = format!("function down(n) {{ {body} }} probe begin {{ down(0) }}");
    let module = module(&script, &limits());
    assert!(module.nesting_max < 100, "{}", module.nesting_max);
    assert_eq!(faults(&script, &limits()), [FaultCode::NestedTooDeep]);
}

#[test]
fn fuel_is_one_for_handler_and_functions() {
    let script = r#"
        global n
        function more() { n++; n++ }
        probe begin { while (1) more() }"#;
    for steps in [10, 11, 12, 13, 14, 15] {
        let limits = Limits { steps, ..limits() };
        assert_eq!(faults(script, &limits), [FaultCode::OutOfFuel]);
    }
    // It can not be caught, not even around the call.
    let script = r#"
        function more() { while (1) ; }
        probe begin { try { more() } catch { println("caught") } println("no") }"#;
    let seen = run_with(script, &limits(), 0);
    assert_eq!((seen.output.as_str(), seen.faults.len()), ("", 1));
}

#[test]
fn next_in_a_function_ends_the_handler() {
    let script = r#"
        function leave() { next }
        function outer() { leave(); println("no"); return 1 }
        probe begin { println("a"); try { outer() } catch { println("no") } println("no") }
        probe end { println("b") }"#;
    assert_eq!(output(script), "a\nb\n");
}

#[test]
fn faults_are_caught_by_the_innermost_try() {
    let script = r#"
        global n, s
        function divide(a, b) { return a / b }
        function fail(text) { error(text); println("no") }
        probe begin {
            try { println(1 / n) } catch (m) { println(m) }
            try { println(divide(1, n)) } catch (m) { println("called: " . m) }
            try {
                try { fail("one") } catch (m) { println(m); error(m . " two") }
                println("no")
            } catch (m) { println(m) }
            try { println(@avg(s)) } catch (m) { println(m) }
            try { assert(n == 0); assert(n, "n is 0") } catch (m) { println(m) }
            try { println("fine") } catch { println("no") }
            x = 5
            try { x = 6; x = 1 / n; x = 7 } catch { println(x) }
        }"#;
    let script =
        script.replace("try { println(@avg", "s <<< 1; delete s; try { println(@avg");
    assert_eq!(
        output(&script),
        "division by 0\ncalled: division by 0\none\none two\nempty aggregate\nn is 0\n\
         fine\n6\n"
    );
}

#[test]
fn a_fault_in_a_handler_of_a_try_goes_out() {
    let script = r#"
        global n
        probe begin { try { x = 1 / n } catch { y = 2 / n } println("no") }
        probe begin { try { error("x") } catch (m) { error(m . "y") } }"#;
    let seen = run_with(script, &limits(), 0);
    let codes: Vec<_> = seen.faults.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, [FaultCode::DivisionByZero, FaultCode::UserError]);
    assert_eq!((seen.output.as_str(), seen.fault_text.as_str()), ("", "xy"));
}

#[test]
fn a_caught_fault_closes_walks_and_captures() {
    let script = r#"
        global a, n
        function walk() { foreach (k in a) { foreach (l in a) error("in") } }
        function some() { foreach (k in a) { foreach (l in a) return l } }
        probe begin {
            for (i = 0; i < 3; i++) a[i] = i
            foreach (k in a) {
                try { walk() } catch (m) { printf("%d%s ", k, m) }
                try { foreach (l in a) foreach (j in a) x = 1 / n } catch { print("! ") }
                printf("%d ", some())
            }
            try { s = sprintf("abc%d%4m", 1, 3) } catch { println("dropped") }
            println(s . ".")
        }"#;
    assert_eq!(output(script), "0in ! 0 1in ! 0 2in ! 0 dropped\n.\n");
    let uncaught = r#"probe begin { print("a"); s = sprintf("b%m", 1); print(s) }"#;
    let seen = run_with(uncaught, &limits(), 0);
    assert_eq!((seen.output.as_str(), seen.faults.len()), ("a", 1));
}

#[test]
fn statistics_are_extracted() {
    let script = r#"
        global s, by
        probe process.data(1).write { s <<< $new; by[tid()] <<< $new }
        probe end {
            printf("%d %d %d %d %d %d\n", @count(s), @sum(s), @min(s), @max(s), @avg(s),
                   @variance(s))
            foreach (t in by @sum-) printf("%d:%d/%d ", t, @sum(by[t]), @count(by[t]))
            foreach (t in by @min+ limit 1) printf("%d\n", t)
            printf("%d %d\n", @count(by[99]), @sum(by[99]))
            printf("%d %d %d\n", @p50(s), @p99(s), @percentile(s, 99.5))
            try { println(@max(by[99])) } catch (m) { println(m) }
            try { println(@hist_log(s)[200]) } catch (m) { println(m) }
            try { print(@hist_log(by[99])) } catch (m) { println(m) }
            foreach (b in @hist_log(s) limit 3) printf("%d=%d ", b, @hist_log(s)[b])
            println(""); print(@hist_linear(s, 0, 1000, 250))
            delete by[7]; println(7 in by); delete s; println(@count(s))
        }"#;
    let seen = run_with(script, &limits(), 100);
    assert_eq!(seen.faults, []);
    let lines: Vec<_> = seen.output.lines().collect();
    assert!(lines[0].starts_with("100 "), "{}", seen.output);
    assert_eq!(lines[2], "0 0");
    assert_eq!(
        lines[4..7],
        ["empty aggregate", "histogram index out of range", "empty aggregate"]
    );
    assert!(lines[8].starts_with("value |-----"), "{}", seen.output);
    assert_eq!(lines[lines.len() - 2..], ["0", "0"]);
}

#[test]
fn slices_and_bounds_of_arrays() {
    let script = r#"
        global a, w%[3], small[2]
        probe begin {
            for (i = 0; i < 3; i++) { a[i, "x"] = i; a[i, "y"] = 10 * i }
            foreach (v = [k, t] in a[*, "y"]) printf("%d%s=%d ", k, t, v)
            foreach ([k, t-] in a[1, *]) printf("%d%s ", k, t)
            foreach ([k, t] in a[*, "z"]) printf("no ")
            foreach ([k+, t] in a[*, "x"] limit 2) printf("%d ", k)
            printf("%d%d%d\n", [*, "y"] in a, [5, *] in a, [1, "x"] in a)
            delete a[*, "x"]
            foreach ([k, t] in a) printf("%d%s ", k, t)
            delete a[0, "y"]; printf("%d\n", [*, *] in a)
            for (i = 0; i < 5; i++) w[i] = i
            w[2] = 7
            foreach (v = k in w) printf("%d=%d ", k, v)
            delete w[3]; w[9] = 9; w[10] = 10
            foreach (v = k in w) printf("%d=%d ", k, v)
            println("")
            small[1] = 1; small[2] = 2; small[1] = 5
            try { small[3] = 3 } catch (m) { println(m) }
            delete small
        }"#;
    assert_eq!(
        output(script),
        "0y=0 1y=10 2y=20 1y 1x 0 1 101\n0y 1y 2y 1\n2=7 3=3 4=4 4=4 9=9 10=10 \n\
         Array overflow, check MAXMAPENTRIES\n"
    );
}

#[test]
fn regular_expressions_match() {
    let script = r#"
        probe begin {
            if ("hello world" =~ "(l+)o (w)") printf("%s/%s/%s/%s.\n", matched(0),
                matched(1), matched(2), matched(3))
            printf("%d%d%d\n", "abc" =~ "^b", "abc" !~ "^b", "abc" =~ "c$")
        }
        probe end { println(matched(0) . ".") }"#;
    assert_eq!(output(script), "llo w/ll/w/.\n011\n.\n");
    let without = module(r#"probe begin { println("a" =~ "a") }"#, &limits());
    assert!(without.to_string().contains("match v0, \"a\"\n"), "{without}");
}

#[test]
fn memory_is_read_or_faults() {
    let script = r#"
        probe process.data(1).write {
            a = data_addr()
            printf("%d %d %d %x\n", user_char(a), user_short(a), user_int8(a + 10),
                   user_uint8(a + 10))
            println(user_string(a)); println(user_string_n(a, 3)); println(
                user_string_quoted(a)); println(user_buffer_quoted(a, 11, 100))
            printf("%3.5m|%.2M\n", a, a)
            println(user_string2(1, "none"))
            try { println(user_long(a + 4090)) } catch (m) { println(m) }
            try { println(user_string(a + 4000)) } catch (m) { println(m) }
        }"#;
    let seen = run_with(script, &limits(), 1);
    assert_eq!(seen.faults, []);
    assert_eq!(
        seen.output,
        "104 25960 -128 80\nhello\nyou\nhel\n\"hello\\nyou\"\n\"hello\\nyou\\000\\200\"\n\
         hello|6865\nnone\nread fault [man error::fault] at 0x0000000000001ffa\n\
         user string copy fault -14 at 0000000000001fa0 [man error::fault]\n"
    );
}

#[test]
fn builtins_agree() {
    let script = r#"
        probe begin {
            printf("%d %d %d %d %d %s %s.%s.\n", ppid(), uid(), euid(), gid(), egid(),
                   cmdline_str(), env_var("HOME"), env_var("NO"))
            println(ctime(0)); println(str_replace("a-b-c", "-", "+"))
            printf("%d %d\n", strpos("hello", "lo"), stringat("abc", 1))
            println(text_str("a\n\"")); println(text_strn("abcdefgh", 6, 1))
            t = tokenize("a b,c", " ,")
            while (t != "") { print(t . ";"); t = tokenize("", " ,") }
            log("line"); warn("careful")
            println(thread_indent(1) . "in"); println(thread_indent(-1) . "out")
            println(indent(1) . "x"); print_backtrace()
            try { stringat("abc", 9) } catch (m) { println(m) }
            println(substr("hello", 1, 3) . substr("a" . "bcd", 2, 9) . ".")
        }
        probe process.data(1).write { print_backtrace() }
        probe end { abort(); println("no") }"#;
    let seen = run_with(script, &limits(), 1);
    assert_eq!(seen.faults, []);
    assert!(seen.exit);
    assert_eq!(seen.messages, "WARNING: careful\n");
    assert_eq!(
        seen.output,
        "1 1000 1001 100 101 cat -n /root..\nThu Jan  1 00:00:00 1970\na+b+c\n3 98\n\
         a\\n\\\"\n\"a\"...\na;b;c;line\n     0 sh(7):in\n     0 sh(7):out\n     0 :x\n\
         Position out of bounds\nellcd.\n 0xffffffff81000010 : store+0x0/0x10 [kernel]\n \
         0xffffffff81000021 : outer+0x1/0x10 [kernel]\n"
    );
}

/// Few steps can be much work: what helpers do counts, too, whatever catches.
#[test]
fn work_of_helpers_ends_a_handler() {
    let limits = Limits { steps: u32::MAX, string_bytes: 1 << 20, ..Limits::default() };
    for work in [
        r#"if (s =~ "^b") n++"#,
        r#"if (s =~ "^b") x = matched(0)"#,
        r#"if (strtol(s, 10)) n++"#,
        // Out of room for text, too, which can be caught.
        // Sorting compares more often than once.
        "tries++; foreach (i+ in a limit 1) n = i",
    ] {
        let script = format!(
            r#"global a, n, tries probe begin {{
                s = "aaaaaaaaaaaaaaaa"
                for (i = 0; i < 16; i++) s = s . s
                for (i = 0; i < 60000; i++) a[i] = i
                while (tries <= 100) try {{ {work} }} catch {{ }}
            }}"#
        );
        assert_eq!(native_faults(&script, &limits), [FaultCode::OutOfFuel], "{work}");
    }
}

/// What the language accepts the runtime compiles: where it could not, no
/// expression of the script would match anything.
#[test]
fn expressions_that_check_are_those_that_are_compiled() {
    for (expression, accepted_there) in [
        (r"\\pL", false),
        ("[é]", false),
        (r"(?u:.)", true),
        (r"\\w{1000}", true),
        (r"\\w{60000}", false),
        ("\u{e9}+", true),
        ("[^a]", true),
        (r"(?s-i:.)\\b", true),
    ] {
        let script =
            format!(r#"probe begin {{ println("a" =~ "a", "" =~ "{expression}") }}"#);
        let found = accepted(&script, &limits());
        assert_eq!(found.is_ok(), accepted_there, "{expression}");
        if let Ok(module) = found {
            assert!(Regexes::new(&module.layout.regexes).is_ok(), "{expression}");
        }
    }
}
