use std::num::NonZeroU64;

use super::*;
use crate::address::AbsAddr;
use crate::expr::Expression;
use crate::kernel::path::{Path, split};
use crate::spec::{
    ArgumentRef, DataSpec, KernelDataSpec, KernelObject, Maker, Mode, Only, ProcessRef,
    Timer,
};
use proptest::prelude::*;

fn plain(name: &str) -> Component<'_> {
    Component { name, argument: None }
}

fn string<'a>(name: &'a str, text: &'a str) -> Component<'a> {
    Component { name, argument: Some(ArgumentRef::Str(text)) }
}

fn long(name: &str, number: i64) -> Component<'_> {
    Component { name, argument: Some(ArgumentRef::Long(number)) }
}

fn error(components: &[Component<'_>]) -> (usize, SpecErrorKind) {
    let error = parse(components).expect_err("it means something");
    (error.index, error.kind)
}

fn counter(mode: Mode, length: Option<u32>) -> Result<Spec, SpecError> {
    Ok(Spec::Data(DataSpec {
        process: ProcessRef::Target,
        expression: Expression::name("counter"),
        length,
        mode,
        only: Only::default(),
        pinned: false,
        follow: false,
    }))
}

#[test]
fn session_probe_points() {
    assert_eq!(parse(&[plain("begin")]), Ok(Spec::Begin { priority: 0 }));
    assert_eq!(parse(&[long("end", -5)]), Ok(Spec::End { priority: -5 }));
    assert_eq!(parse(&[plain("error")]), Ok(Spec::Error { priority: 0 }));
    assert_eq!(parse(&[plain("oneshot")]), Ok(Spec::Oneshot));
    assert_eq!(parse(&[plain("never")]), Ok(Spec::Never));
    let (index, kind) = error(&[string("begin", "x")]);
    assert_eq!(index, 0);
    assert_eq!(kind.to_string(), "`begin` takes an integer");
}

#[test]
fn timers() {
    for (unit, count, period_ns) in [
        ("s", 1, 1_000_000_000),
        ("sec", 2, 2_000_000_000),
        ("ms", 100, 100_000_000),
        ("us", 5, 5_000),
        ("ns", 7, 7),
    ] {
        let spec = parse(&[plain("timer"), long(unit, count)]);
        assert_eq!(spec, Ok(Spec::Timer(Timer { period_ns, random_ns: 0 })));
    }
    for count in [0, -1, i64::MAX] {
        let (index, kind) = error(&[plain("timer"), long("s", count)]);
        assert_eq!(index, 1);
        assert!(matches!(kind, SpecErrorKind::BadArgument { .. }), "{kind}");
    }
    let (index, kind) = error(&[plain("timer"), plain("s")]);
    assert_eq!(index, 1);
    assert!(matches!(kind, SpecErrorKind::MissingArgument { .. }));
    let timer = |period_ns, random_ns| Ok(Spec::Timer(Timer { period_ns, random_ns }));
    let random =
        |random| parse(&[plain("timer"), long("us", 9), long("randomize", random)]);
    assert_eq!(random(8), timer(9_000, 8_000));
    for wrong in [9, -1] {
        let error = random(wrong).expect_err("time would stand still");
        assert_eq!(error.index, 2);
        let expected = "`randomize` takes a deviation from 0 to 8";
        assert_eq!(error.kind.to_string(), expected);
    }
    assert_eq!(parse(&[plain("timer"), long("hz", 4)]), timer(250_000_000, 0));
    let (_, kind) = error(&[plain("timer"), long("hz", 0)]);
    assert_eq!(kind.to_string(), "`hz` takes a frequency from 1 to 1000000000");
}

#[test]
fn data_by_name_and_address() {
    let data = string("data", "counter");
    for (name, mode) in [
        ("write", Mode::Write),
        ("change", Mode::Change),
        ("rw", Mode::ReadWrite),
        ("read", Mode::Read),
    ] {
        let spec = parse(&[plain("process"), data, plain(name)]);
        assert_eq!(spec, counter(mode, None));
        assert_eq!(mode.name(), name);
    }
    let length = long("length", 4);
    let before = parse(&[plain("process"), data, length, plain("write")]);
    let after = parse(&[plain("process"), data, plain("write"), length]);
    assert_eq!(before, counter(Mode::Write, Some(4)));
    assert_eq!(after, before);

    let spec = parse(&[long("process", 17), long("data", -1), plain("rw")]);
    let Ok(Spec::Data(spec)) = spec else {
        panic!("{spec:?}");
    };
    assert_eq!(spec.process, ProcessRef::Pid(17));
    assert_eq!(spec.expression, Expression::Address(u64::MAX));
}

#[test]
fn a_missing_mode_lists_the_modes() {
    let (index, kind) = error(&[plain("process"), string("data", "x")]);
    assert_eq!(index, 1);
    let SpecErrorKind::Incomplete { next, .. } = &kind else {
        panic!("{kind}");
    };
    assert_eq!(next, &[".write", ".change", ".rw", ".read"]);
    let (_, kind) = error(&[plain("process"), string("data", "x"), long("length", 8)]);
    assert!(matches!(kind, SpecErrorKind::Incomplete { .. }), "{kind}");
}

#[test]
fn misspelt_components_get_the_nearest() {
    let nearest = |components: &[Component<'_>]| match error(components) {
        (index, SpecErrorKind::Unknown { nearest, .. }) => (index, nearest),
        other => panic!("{other:?}"),
    };
    let (index, near) = nearest(&[plain("proces"), string("data", "x"), plain("write")]);
    assert_eq!((index, near[0].as_str()), (0, "process"));
    let (index, near) = nearest(&[plain("process"), string("data", "x"), plain("wirte")]);
    assert_eq!((index, near[0].as_str()), (2, "write"));
    let (index, near) = nearest(&[plain("process"), string("dta", "x"), plain("write")]);
    assert_eq!((index, near[0].as_str()), (1, "data"));
    let data = string("data", "x");
    let (index, near) =
        nearest(&[plain("process"), data, plain("write"), plain("pined")]);
    assert_eq!((index, near), (3, vec!["pinned".to_owned()]));
    let (index, near) = nearest(&[plain("process"), data, long("thred", 7)]);
    assert_eq!((index, near[0].as_str()), (2, "thread"));
    let again = [plain("process"), data, plain("user"), plain("user"), plain("write")];
    assert!(nearest(&again).1.iter().all(|name| name != "user"));
    let (index, near) = nearest(&[plain("timer"), long("mss", 5)]);
    assert_eq!((index, near[0].as_str()), (1, "ms"));
    let (_, near) = nearest(&[string("write", "x")]);
    assert!(near[0].starts_with("process"), "{near:?}");
    let (_, near) = nearest(&[plain("qqqqqqqq")]);
    assert!(near.is_empty());
}

#[test]
fn too_much_is_said_to_be_too_much() {
    let (index, kind) = error(&[plain("begin"), plain("write")]);
    assert_eq!(index, 1);
    assert_eq!(kind.to_string(), "`begin` takes no `.write`");
    let data = string("data", "x");
    let (index, kind) = error(&[plain("process"), data, plain("rw"), plain("flush")]);
    assert_eq!((index, kind.to_string().as_str()), (3, "`rw` takes no `.flush`"));
    let (_, kind) = error(&[plain("timer"), plain("profile"), plain("x")]);
    assert!(matches!(kind, SpecErrorKind::Trailing { .. }), "{kind}");
}

#[test]
fn arguments_are_checked() {
    let data = string("data", "x");
    let (index, kind) = error(&[plain("process"), data, long("write", 1)]);
    assert_eq!(index, 2);
    assert!(matches!(kind, SpecErrorKind::UnexpectedArgument { .. }));
    let (index, kind) = error(&[plain("process"), plain("data"), plain("write")]);
    assert_eq!(index, 1);
    let expected = "`data` needs an argument: a string or an integer";
    assert_eq!(kind.to_string(), expected);
    let write = plain("write");
    let (index, kind) = error(&[plain("process"), data, long("length", 0), write]);
    assert_eq!(index, 2);
    assert_eq!(kind, SpecErrorKind::BadLength { length: 0 });
    for process in [long("process", 0), long("process", -3), string("process", "")] {
        let (index, kind) = error(&[process, data, write]);
        assert_eq!(index, 0);
        assert!(matches!(kind, SpecErrorKind::BadArgument { .. }));
    }
    let (index, kind) = error(&[plain("process"), string("data", "a b"), write]);
    assert_eq!(index, 1);
    assert!(matches!(kind, SpecErrorKind::Expression(_)));
    // Also where nothing can be armed yet.
    let (index, kind) = error(&[plain("kernel"), data, long("length", 0), write]);
    assert_eq!((index, kind), (2, SpecErrorKind::BadLength { length: 0 }));
    let (index, _) = error(&[plain("kernel"), string("data", "a b"), write]);
    assert_eq!(index, 1);
}

#[test]
fn data_of_the_kernel() {
    let (kernel, write) = (plain("kernel"), plain("write"));
    let spec = |object, length, mode| {
        let only = Only::default();
        let pinned = false;
        Ok(Spec::KernelData(KernelDataSpec { object, length, mode, only, pinned }))
    };
    let (name, path) = split("a.b[2]").expect("a path");
    let variable = KernelObject::Variable { name, path };
    let found = parse(&[kernel, string("data", "a.b[2]"), write]);
    assert_eq!(found, spec(variable, None, Mode::Write));
    let address = KernelObject::Address(AbsAddr(0xffff_ffff_ffff_f000));
    for at in [long("data", -4096), string("data", "0xfffffffffffff000")] {
        let found = parse(&[kernel, at, long("length", 4), plain("change")]);
        assert_eq!(found, spec(address.clone(), Some(4), Mode::Change));
    }
    let path = Path::parse("signal->oom_score_adj").expect("a path");
    let field = string("data", "signal->oom_score_adj");
    let found = parse(&[kernel, long("task", 7), field, plain("rw")]);
    assert_eq!(found, spec(KernelObject::Task { tid: 7, path }, None, Mode::ReadWrite));
    for (components, at) in [
        (&[kernel, long("data", 4096), write][..], 1),
        (&[kernel, string("data", ""), write], 1),
        (&[kernel, long("task", 0), field, write], 1),
        (&[kernel, long("task", 1 << 40), field, write], 1),
        (&[kernel, long("task", 7), long("data", -4096), write], 2),
        (&[kernel, long("task", 7), string("data", "a->"), write], 2),
        (&[kernel, field, long("length", 0), write], 2),
    ] {
        assert_eq!(error(components).0, at, "{components:?}");
    }
}

#[test]
fn ranges_are_data_that_does_not_follow() {
    let (process, write) = (plain("process"), plain("write"));
    let data = string("data", "table[0..4]->refs");
    let Ok(Spec::Data(spec)) = parse(&[process, data, plain("pinned"), write]) else {
        panic!("a range is data");
    };
    assert_eq!(
        spec.expression.ranged().map(ToString::to_string).as_deref(),
        Some("table")
    );
    let (at, kind) = error(&[process, data, plain("follow"), write]);
    let message = "`.follow` moves one watch, and `table[0..4]->refs` is several";
    assert_eq!((at, kind.to_string()), (2, message.to_owned()));
}

#[test]
fn modifiers_come_in_any_order_and_once() {
    let (process, data, write) = (plain("process"), string("data", "x"), plain("write"));
    let all = [
        long("thread", 5),
        long("cpu", 0),
        plain("kernel"),
        long("every", 7),
        long("limit", i64::MAX),
        plain("pinned"),
        plain("follow"),
        long("length", 4),
    ];
    let only = Only {
        thread: Some(5),
        cpu: Some(0),
        maker: Some(Maker::Kernel),
        every: NonZeroU64::new(7),
        limit: NonZeroU64::new(i64::MAX as u64),
    };
    for turned in 0..all.len() {
        let mut components = vec![process, data];
        let (before, after) = all.split_at(turned);
        components.extend(after.iter().rev());
        components.push(write);
        components.extend(before);
        let Ok(Spec::Data(spec)) = parse(&components) else {
            panic!("{components:?}: {:?}", parse(&components));
        };
        assert_eq!((spec.only, spec.length), (only, Some(4)));
        assert!(spec.pinned && spec.follow);
        for again in all {
            let twice = [&components[..], &[again]].concat();
            assert_eq!(error(&twice).0, components.len(), "{twice:?}");
        }
    }
    let kernel = [plain("kernel"), data, write, plain("user"), plain("pinned")];
    let Ok(Spec::KernelData(spec)) = parse(&kernel) else { panic!("{kernel:?}") };
    assert_eq!(spec.only, Only { maker: Some(Maker::User), ..Only::default() });
    assert!(spec.pinned);
}

#[test]
fn modifiers_that_leave_nothing_are_wrong() {
    let (process, data, write) = (plain("process"), string("data", "x"), plain("write"));
    for wrong in [
        long("thread", 0),
        long("thread", 1 << 31),
        long("cpu", -1),
        long("cpu", 8192),
        long("every", 0),
        long("limit", -3),
    ] {
        let (index, kind) = error(&[process, data, write, wrong]);
        assert_eq!(index, 3);
        let said = kind.to_string();
        assert!(said.starts_with(&format!("`{}` takes ", wrong.name)), "{said}");
        // Also where nothing can be armed yet.
        let local = [process, string("function", "f"), data, wrong, write];
        assert_eq!(error(&local).0, 3);
    }
    let both = [process, data, plain("user"), write, plain("kernel")];
    assert_eq!(error(&both), (4, SpecErrorKind::NothingLeft));
}

#[test]
fn what_the_language_has_and_this_version_has_not() {
    let (process, kernel, write) = (plain("process"), plain("kernel"), plain("write"));
    let points: &[&[Component<'_>]] = &[
        &[plain("timer"), plain("profile")],
        &[plain("timer"), long("jiffies", 10), long("randomize", 2)],
        &[process, string("function", "f")],
        &[process, string("function", "f"), plain("call")],
        &[process, string("function", "f"), plain("return")],
        &[process, string("statement", "f@x.c:1")],
        &[process, long("exec", 4096)],
        &[process, plain("begin")],
        &[process, plain("thread"), plain("end")],
        &[kernel, string("trace", "sched:sched_switch")],
        &[kernel, string("function", "f"), plain("return")],
        &[plain("syscall"), plain("read")],
        &[plain("syscall"), plain("open*"), plain("return")],
        &[plain("perf"), long("type", 0), long("config", 0), long("sample", 1)],
    ];
    let of_data: &[&[Component<'_>]] = &[
        &[process, string("function", "f"), string("data", "x"), write],
        &[kernel, string("data", "s.field"), write, plain("follow")],
    ];
    for (points, of_data) in [(points, false), (of_data, true)] {
        for components in points {
            let Ok(Spec::Later(later)) = parse(components) else {
                panic!("{components:?}: {:?}", parse(components));
            };
            assert_eq!(later.is_data, of_data, "{components:?}");
            assert!(later.index < components.len() && !later.instead.is_empty());
        }
    }
}

#[test]
fn what_cannot_be_armed_is_pointed_at() {
    let write = plain("write");
    let part = |components: &[Component<'_>]| match parse(components) {
        Ok(Spec::Later(later)) => (later.index, later.part.unwrap_or_default()),
        other => panic!("{other:?}"),
    };
    let data = string("data", "x");
    let kernel = [plain("kernel"), data, plain("follow"), write];
    assert_eq!(part(&kernel), (2, "`.follow`".into()));
    assert_eq!(part(&[plain("timer"), plain("profile")]), (1, String::new()));
}

#[test]
fn nothing_at_all() {
    let (index, kind) = error(&[]);
    assert_eq!(index, 0);
    assert!(matches!(kind, SpecErrorKind::Incomplete { .. }));
}

proptest! {
    #[test]
    fn never_panics_and_points_at_a_component(
        parts in prop::collection::vec(
            ("process|data|write|timer|s|length|begin|[a-z*]{0,5}", 0..3_u8, any::<i64>()),
            1..6,
        ),
    ) {
        let components: Vec<Component<'_>> = parts
            .iter()
            .map(|(name, kind, number)| match kind {
                0 => plain(name),
                1 => long(name, *number),
                _ => string(name, name),
            })
            .collect();
        if let Err(error) = parse(&components) {
            prop_assert!(error.index < components.len());
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
