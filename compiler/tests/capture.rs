//! What is done at a hit: handlers find what was read then, and plans of typed data.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{MEMORY_BASE, memory, module, on_values};
use hwtrace_compiler::capture::{self, HandlerPlan, Late, Shown, When};
use hwtrace_compiler::jit::Program;
use hwtrace_lang::span::Source;
use hwtrace_runtime::abi::{FaultCode, Limits};
use hwtrace_runtime::event::Captured;
use hwtrace_runtime::plan::{Input, Needs, Space, eval};
use hwtrace_runtime::schema::HitRecord;
use hwtrace_runtime::world::World;

const LIST: u64 = 0x1100;

/// A hit that left this value, while memory is what the tests know.
struct Hit(u64);

impl eval::Hit for Hit {
    fn input(&self, input: Input) -> i64 {
        if let Input::New | Input::Old = input { self.0 as i64 } else { 0 }
    }

    fn memory(&mut self, space: Space, address: u64, out: &mut [u8]) -> bool {
        let bytes = memory();
        let start = usize::try_from(address.wrapping_sub(MEMORY_BASE)).ok();
        let there = start.and_then(|start| bytes.get(start..)?.get(..out.len()));
        there.filter(|_| space == Space::User).is_some_and(|there| {
            out.copy_from_slice(there);
            true
        })
    }
}

fn plan(script: &str) -> HandlerPlan {
    capture::plans(&module(script, &Limits::default())).swap_remove(0)
}

fn shown(script: &str) -> String {
    let (module, source) =
        (module(script, &Limits::default()), Source::new("test.hwt", script));
    let plans = capture::plans(&module);
    let shown = Shown { source: &source, module: &module, handler: 0, plan: &plans[0] }
        .to_string();
    shown.lines().skip(1).map(|line| format!("{}\n", line.trim())).collect()
}

/// What the handler prints, or its fault, at a write of `new`, where all that is
/// left of memory is what was read at the hit; twice, the second time without that.
fn late(script: &str, new: u64) -> [Result<String, FaultCode>; 2] {
    let limits = Limits::default();
    let module = module(script, &limits);
    let program = Program::compile(&module, false).unwrap();
    let words = capture::plans(&module)[0].reads.take(&mut Hit(new));
    let mut world = World::new(program.layout(), &limits);
    let record =
        HitRecord { new, old: new, pid: 7, data_length: 8, ..HitRecord::default() };
    [&words[..], &[]].map(|words| {
        world.set_captured(7, Captured { words });
        program.run(0, &mut world, &record).map_err(|fault| fault.code)?;
        Ok(String::from_utf8(std::mem::take(world.output())).unwrap())
    })
}

/// What is read at the hit is what the handler prints when memory is gone.
fn assert_captured(data: &str, new: u64, body: &str) {
    let script = format!("probe process.data(\"{data}\").write {{ {body} }}");
    let seen = on_values(&script, &[(new, new)]);
    assert_eq!(seen.faults, [], "{}", seen.fault_text);
    let [then, after] = late(&script, new);
    assert_eq!(then, Ok(seen.output), "{script}");
    assert_eq!(after, Err(FaultCode::BadAddress), "{script}");
}

#[test]
fn handlers_find_memory_as_it_was_at_the_hit() {
    let list = |body| assert_captured("list", LIST, body);
    list("println($new->length)");
    list("println($new->head->id, $new->head->next->id, $new->head->next->next)");
    list("println($new->title, $new->name)");
    list("printf(\"%d %d %d\", $new->flags->low, $new->flags->sign, $new->level)");
    list("if ($new->length < 0) println($new->origin->x) else println($new->origin->y)");
    list("printf(\"%g %g\", $new->ratio, $new->scale)");
    list("p = &$new->history; println(user_int16(p + 6))");
    let plain = |body| assert_captured("x", MEMORY_BASE, body);
    plain("println(user_string($new), user_string_n($new, 3), user_int16($new + 2))");
    plain("printf(\"%5m %.4M\", $new, $new)");
    plain("println(user_buffer_quoted($new, 8, 80), user_string_quoted($new))");
    plain("println(user_string2($new, \"none\"), user_char($new + 10))");
}

#[test]
fn what_was_not_read_that_far_is_read_when_the_handler_runs() {
    // 0xff from there on, without an end.
    let script =
        "probe process.data(\"x\").write { println(strlen(user_string($new + 0x378))) }";
    assert_eq!(late(script, MEMORY_BASE)[0], Err(FaultCode::BadAddress));
    let script = "probe process.data(\"x\").write { println(user_int($new)) }";
    assert_eq!(late(script, 64)[0], Err(FaultCode::BadAddress));
}

#[test]
fn typed_conditions_are_asked_at_the_hit() {
    let of = |data: &str, body: &str| {
        shown(&format!("global n probe process.data(\"{data}\").write {{ {body} }}"))
    };
    let records = "records hold: time, pid, tid, access\n";
    assert_eq!(
        of("delta", "if ($new < 0) n++"),
        format!("{records}at the source: only hits with signed32($new) < 0\n")
    );
    assert_eq!(
        of("list", "if ($new && $new->length > 3) n++"),
        format!(
            "{records}at the source: only hits with $new && user_int32($new) > 3\n\
             read at the hit: test.hwt:1:57 user_int32 at $new\n"
        )
    );
    assert_eq!(
        of("color", "if ($new == 5) next; println($new)"),
        format!("{records}at the source: only hits with unsigned32($new) != 5\n")
    );
}

#[test]
fn signals_are_sent_at_the_hit_where_it_is_known_to_come_to_them() {
    let of = |body: &str| {
        let functions = "function say() { println(1) } function send() { signal(3) }
            global n, a[10] ";
        let script = format!("{functions} probe process.data(\"x\").write {{ {body} }}");
        let all = shown(&script);
        let places = all.lines().filter_map(|line| {
            let (when, what) = line.split_once(": test.hwt:")?;
            let (_, what) = what.split_once(' ')?;
            let when = when.strip_prefix("done ")?;
            Some(format!("{when}: {what}\n"))
        });
        places.collect::<String>()
    };
    for (body, expected) in [
        ("stop()", "at the hit: stop: all hits pass\n"),
        ("n++ say() signal(10)", "at the hit: signal: all hits pass\n"),
        (
            "if ($new == 3) { println(n) stop() }",
            "at the hit: stop: only hits with $new == 3\n",
        ),
        (
            "if ($new > 3 && tid() != 4) { if (access() == \"write\") signal(3) signal(5) }",
            "at the hit: signal: only hits with $new > 3 && tid() != 4 && access() is known && \
             access() == \"write\"\n\
             at the hit: signal: only hits with $new > 3 && tid() != 4\n",
        ),
        ("if (n) println(1) stop()", "at the hit: stop: all hits pass\n"),
        ("if (n) next; stop()", "late: stop\n"),
        ("if (++n == 3) stop()", "late: stop\n"),
        ("send()", "late: signal\n"),
        ("send() stop()", "late: stop\nlate: signal\n"),
        ("signal(n)", "late: signal\n"),
        ("signal(n) signal(3)", "late: signal\nlate: signal\n"),
        ("signal(77)", "late: signal\n"),
        ("error(\"no\") stop()", "late: stop\n"),
        ("while (n < 3) { n++ } stop()", "late: stop\n"),
        // After the end of the session nothing is sent, but a stop is one all the same.
        ("signal(3) exit()", "late: signal\n"),
        ("stop() exit()", "at the hit: stop: all hits pass\n"),
        ("println($new / n) stop()", "late: stop\n"),
        // What may fail before it: a stop is taken back, a signal can not be.
        ("a[tid()]++ stop()", "at the hit: stop: all hits pass\n"),
        ("a[tid()]++ signal(10)", "late: signal\n"),
        (
            "try { n += strlen(user_string($new)) signal(10) } catch { n++ }",
            "late: signal\n",
        ),
        ("if ($new == 3) error(\"no\") if ($new > 4) signal(10)", "late: signal\n"),
        (
            "if ($new % 3 == 0) { println(n) signal(10) }",
            "at the hit: signal: only hits with ($new % 3) == 0\n",
        ),
        // What can not be read fails before it comes there.
        (
            "if (user_int($new) == 3) stop()",
            "at the hit: stop: only hits with user_int32($new) == 3\n",
        ),
    ] {
        assert_eq!(of(body), expected, "{body}");
    }
}

#[test]
fn records_hold_what_is_asked_for() {
    let needs = |body: &str| {
        let functions = "function f() { return addr() } function g() { return f() }";
        plan(&format!("{functions} probe process.data(\"x\").write {{ {body} }}")).needs
    };
    let none = Needs::default();
    assert_eq!(needs("println(tid(), execname(), data_name(), user_mode())"), none);
    let access = Needs { access: true, ..none };
    for body in ["println($new)", "println(access())", "println(g())"] {
        assert_eq!(needs(body), access, "{body}");
    }
    assert_eq!(needs("println(cpu())"), Needs { cpu: true, ..none });
    let registers = Needs { registers: true, ..none };
    for body in ["println(register(\"rax\"))", "x = \"rax\" println(u_register(x))"] {
        assert_eq!(needs(body), registers, "{body}");
    }
}

#[test]
fn a_picture_is_in_the_record() {
    let plan = plan(
        "probe process.data(\"x\").write {
           p = user_pointer(0x4e00000000000008) println(user_int(p)) }",
    );
    let when: Vec<_> = plan.listed.iter().map(|read| read.when).collect();
    let [When::Recorded, When::Late(Late::Address(why))] = when[..] else {
        panic!("{when:?}")
    };
    assert_eq!(why, capture::Why::Object);
    assert!(plan.needs.access && plan.reads.steps.is_empty());
}

/// The ways through a handler may be many: those that are followed are not.
#[test]
fn large_handlers_have_plans_at_once() {
    let mut body = String::new();
    for number in 0..500 {
        body += &format!("x{number} = $new == {number} ? $old : x{}\n", number / 2);
    }
    let script = format!(
        "global n probe process.data(\"x\").write {{ x0 = 1 {body} if (x499) n++ }}"
    );
    let module = module(&script, &Limits::default());
    let start = std::time::Instant::now();
    let plans = capture::plans(&module);
    let took = start.elapsed();
    assert!(plans[0].filter.is_none());
    assert!(took.as_secs() < 2, "{took:?}");
    let many: String =
        (0..300).map(|at| format!("if ($new == {at} && $old) next; ")).collect();
    let script = format!("global n probe process.data(\"x\").write {{ {many} n++ }}");
    let filter = plan(&script).filter.unwrap();
    let passing = (0..300).filter(|value| filter.passes(&mut Hit(*value)));
    // 48 of them are asked at the hit; of 0 the second half does not hold.
    assert_eq!(passing.count(), 300 - 47);
    let sum = vec!["$new"; 200].join(" + ");
    let script = format!("global n probe process.data(\"x\").write {{ if ({sum}) n++ }}");
    assert!(plan(&script).filter.is_none());
}
