//! Strategies for programs and for the records they run on.
//!
//! Expressions and statements are built level by level: a level uses the
//! strategies of the one below it, so that their number stays small although
//! the trees are deep. Simple alternatives come first: shrinking goes there.

use hwtrace_runtime::abi::Limits;
use hwtrace_runtime::schema::HitRecord;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::program::{
    ARRAYS, Count, Foreach, KEYS_MAX, Keys, LONGS, Long, Piece, Place, Probe, Program,
    Statement, TEXTS, Text, Value,
};

/// Levels of expressions and of statements.
const EXPRESSION_LEVELS: usize = 3;
const STATEMENT_LEVELS: usize = 3;

/// A program with what it runs under.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) program: Program,
    pub(crate) limits: Limits,
    pub(crate) runs: Vec<Run>,
}

/// One hit: the probe, and its record.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// Which probe, modulo how many there are.
    pub(crate) probe: usize,
    pub(crate) record: HitRecord,
    /// The thread's name.
    pub(crate) execname: &'static str,
}

/// Programs, limits that bite, and hits.
pub(crate) fn case() -> impl Strategy<Value = Case> {
    (program(), limits(), vec(run(), 1..5)).prop_map(|(program, limits, runs)| Case {
        program,
        limits,
        runs,
    })
}

fn limits() -> impl Strategy<Value = Limits> {
    // Much fuel with long strings would fill the arena, which the evaluator
    // does not have.
    let fuel_and_length =
        select(vec![(2000, 64), (300, 8), (300, 33), (60, 4096), (25, 1)]);
    fuel_and_length.prop_map(|(steps, string_bytes)| Limits {
        steps,
        string_bytes,
        ..Limits::default()
    })
}

fn number() -> impl Strategy<Value = i64> {
    prop_oneof![
        6 => -3i64..10,
        2 => select(vec![16, 36, 63, 64, 65, 255, 4096, -64, i64::MAX, i64::MIN, i64::MIN + 1]),
        1 => any::<i64>(),
    ]
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => select(vec!["", "a", "b", "ab", "0x1f", "-42", "%d", "abcdefgh"]).prop_map(String::from),
        2 => "[a-c]{0,12}",
        1 => "[ -~\n\té]{0,10}",
        1 => select(vec!["x".repeat(33), "yz".repeat(40), "w".repeat(5000)]),
    ]
}

fn record() -> impl Strategy<Value = HitRecord> {
    let word = || prop_oneof![0u64..4, any::<u64>()];
    let words = (word(), word(), word(), word(), word());
    let small = (1u32..5, 1u32..5, 0u32..4, 0u32..3, select(vec![1u32, 2, 4, 8]));
    (words, small, 0u32..6, 0u32..2).prop_map(
        |((time, address, data_address, old, new), small, access, exact)| {
            let (pid, tid, cpu, watch, data_length) = small;
            HitRecord {
                time,
                address,
                data_address,
                old,
                new,
                pid,
                tid,
                cpu,
                watch,
                data_length,
                access,
                exact,
                ..HitRecord::default()
            }
        },
    )
}

fn run() -> impl Strategy<Value = Run> {
    let name = select(vec!["", "a", "worker-1", "ab", "a_name_of_15_by"]);
    (0..4usize, record(), name).prop_map(|(probe, record, execname)| Run {
        probe,
        record,
        execname,
    })
}

/// The strategies of one level.
#[derive(Clone)]
struct Level {
    long: BoxedStrategy<Long>,
    text: BoxedStrategy<Text>,
    keys: BoxedStrategy<Keys>,
}

fn program() -> impl Strategy<Value = Program> {
    let mut level = leaves();
    for _ in 0..EXPRESSION_LEVELS {
        level = expressions(&level);
    }
    let mut statement = simple_statement(&level).boxed();
    for _ in 0..STATEMENT_LEVELS {
        statement = compound_statement(&level, statement).boxed();
    }
    let probe = (any::<bool>(), vec(statement, 1..6))
        .prop_map(|(data, body)| Probe { data, body });
    let texts = [words().boxed(), words().boxed()];
    const { assert!(TEXTS == 2 && LONGS == 3) };
    let longs = [number().boxed(), number().boxed(), number().boxed()];
    let capacities = [const { 1u32..5 }; ARRAYS.len()];
    (longs, texts, capacities, vec(probe, 1..3)).prop_map(
        |(longs, texts, capacities, probes)| Program { longs, texts, capacities, probes },
    )
}

fn keys(long: &BoxedStrategy<Long>, text: &BoxedStrategy<Text>) -> BoxedStrategy<Keys> {
    (vec(long.clone(), KEYS_MAX), vec(text.clone(), KEYS_MAX))
        .prop_map(|(longs, texts)| Keys { longs, texts })
        .boxed()
}

fn leaves() -> Level {
    let scalar = || {
        prop_oneof![(0..LONGS).prop_map(Place::Local), (0..LONGS).prop_map(Place::Global)]
    };
    let long = prop_oneof![
        3 => number().prop_map(Long::Number),
        3 => scalar().prop_map(Long::Read),
        2 => (0..14usize).prop_map(Long::Known),
    ]
    .boxed();
    let text = prop_oneof![
        3 => words().prop_map(Text::Literal),
        3 => scalar().prop_map(Text::Read),
        2 => (0..4usize).prop_map(Text::Known),
    ]
    .boxed();
    let keys = keys(&long, &text);
    Level { long, text, keys }
}

fn expressions(below: &Level) -> Level {
    let long = longs(below).boxed();
    let text = texts(below).boxed();
    let keys = prop_oneof![3 => below.keys.clone(), 1 => keys(&long, &text)].boxed();
    Level { long, text, keys }
}

fn place(below: &Level) -> impl Strategy<Value = Place> + use<> {
    prop_oneof![
        2 => (0..LONGS).prop_map(Place::Local),
        2 => (0..LONGS).prop_map(Place::Global),
        3 => (0..ARRAYS.len(), below.keys.clone())
            .prop_map(|(array, keys)| Place::Element(array, keys)),
    ]
}

const COMPARES: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];
const OPERATORS: [&str; 19] = [
    "+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>", ">>>", "&&", "||", "==", "!=",
    "<", "<=", ">", ">=",
];
const ASSIGNMENTS: [&str; 11] =
    ["=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="];

fn boxed<T>(strategy: &BoxedStrategy<T>) -> impl Strategy<Value = Box<T>> + use<T>
where
    T: std::fmt::Debug + 'static,
{
    strategy.clone().prop_map(Box::new)
}

fn longs(below: &Level) -> impl Strategy<Value = Long> + use<> {
    let Level { long, text, keys } = below;
    prop_oneof![
        3 => long.clone(),
        2 => place(below).prop_map(Long::Read),
        2 => (select(&["-", "!", "~"][..]), boxed(long))
            .prop_map(|(op, operand)| Long::Unary(op, operand)),
        6 => (select(&OPERATORS[..]), boxed(long), boxed(long))
            .prop_map(|(op, left, right)| Long::Binary(op, left, right)),
        2 => (select(&COMPARES[..]), boxed(text), boxed(text))
            .prop_map(|(op, left, right)| Long::CompareText(op, left, right)),
        1 => (boxed(long), boxed(long), boxed(long))
            .prop_map(|(condition, yes, no)| Long::Choice(condition, yes, no)),
        1 => (0..ARRAYS.len(), keys.clone()).prop_map(|(array, keys)| Long::In(array, keys)),
        3 => (place(below), select(&ASSIGNMENTS[..]), boxed(long))
            .prop_map(|(place, op, value)| Long::Assign(place, op, value)),
        2 => (place(below), select(&["++", "--"][..]), any::<bool>())
            .prop_map(|(place, op, postfix)| Long::Step(place, op, postfix)),
        1 => boxed(text).prop_map(Long::Length),
        1 => (boxed(text), boxed(text))
            .prop_map(|(whole, part)| Long::Contains(whole, part)),
        1 => (boxed(text), boxed(long))
            .prop_map(|(text, base)| Long::ToNumber(text, base)),
    ]
}

fn texts(below: &Level) -> impl Strategy<Value = Text> + use<> {
    let Level { long, text, .. } = below;
    let symbols = select(&["usymname", "usymdata"][..]);
    let families = select(&["sprint", "sprintln", "sprintd", "sprintdln"][..]);
    prop_oneof![
        3 => text.clone(),
        2 => place(below).prop_map(Text::Read),
        4 => (boxed(text), boxed(text)).prop_map(|(left, right)| Text::Concat(left, right)),
        1 => (boxed(long), boxed(text), boxed(text))
            .prop_map(|(condition, yes, no)| Text::Choice(condition, yes, no)),
        2 => (boxed(text), boxed(long), boxed(long))
            .prop_map(|(whole, start, length)| Text::Part(whole, start, length)),
        2 => (place(below), select(&["=", ".="][..]), boxed(text))
            .prop_map(|(place, op, value)| Text::Assign(place, op, value)),
        1 => (symbols, boxed(long)).prop_map(|(name, address)| Text::Symbol(name, address)),
        2 => vec(piece(below), 0..3).prop_map(Text::Format),
        1 => (families, vec(value(below), 1..3))
            .prop_map(|(family, values)| Text::Joined(family, values)),
    ]
}

fn value(level: &Level) -> impl Strategy<Value = Value> + use<> {
    prop_oneof![
        level.long.clone().prop_map(Value::Long),
        level.text.clone().prop_map(Value::Text),
    ]
}

fn count(level: &Level) -> impl Strategy<Value = Option<Count>> + use<> {
    let count = prop_oneof![
        4 => (0u32..25).prop_map(Count::Fixed),
        1 => level.long.clone().prop_map(Count::Argument),
    ];
    option::weighted(0.3, count)
}

fn piece(level: &Level) -> impl Strategy<Value = Piece> + use<> {
    let flags = select(vec!["", "", "-", "+", " ", "0", "#", "-#", "+0", "#0", "-+ 0#"]);
    let value = (flags, count(level), count(level), 0..8usize, value(level)).prop_map(
        |(flags, width, precision, conversion, value)| Piece::Value {
            flags,
            width,
            precision,
            conversion,
            value,
        },
    );
    prop_oneof![1 => words().prop_map(Piece::Words), 3 => value]
}

fn simple_statement(level: &Level) -> impl Strategy<Value = Statement> + use<> {
    let families = select(&["print", "println", "printd", "printdln"][..]);
    let jumps = select(&["break", "continue", "next"][..]);
    prop_oneof![
        4 => level.long.clone().prop_map(Statement::Long),
        3 => level.text.clone().prop_map(Statement::Text),
        3 => (place(level), select(&ASSIGNMENTS[..]), boxed(&level.long))
            .prop_map(|(place, op, value)| Statement::Long(Long::Assign(place, op, value))),
        3 => (place(level), select(&["=", ".="][..]), boxed(&level.text))
            .prop_map(|(place, op, value)| Statement::Text(Text::Assign(place, op, value))),
        2 => (place(level), select(&["++", "--"][..]), any::<bool>())
            .prop_map(|(place, op, postfix)| Statement::Long(Long::Step(place, op, postfix))),
        3 => vec(piece(level), 0..4).prop_map(Statement::Print),
        2 => (families, vec(value(level), 1..4))
            .prop_map(|(family, values)| Statement::PrintValues(family, values)),
        1 => jumps.prop_map(Statement::Jump),
        1 => (0..ARRAYS.len(), level.keys.clone())
            .prop_map(|(array, keys)| Statement::DeleteElement(array, keys)),
        1 => (0..LONGS + TEXTS + ARRAYS.len()).prop_map(Statement::Delete),
        1 => Just(Statement::Exit),
    ]
}

fn compound_statement(
    level: &Level,
    below: BoxedStrategy<Statement>,
) -> impl Strategy<Value = Statement> + use<> {
    let body = || vec(below.clone(), 0..4);
    let long = || level.long.clone();
    let foreach = (
        (0..ARRAYS.len(), 0..LONGS, any::<bool>()),
        (0..2 + KEYS_MAX, any::<bool>(), option::weighted(0.3, long())),
        body(),
    )
        .prop_map(|((array, local, value), (order, descending, limit), body)| {
            Statement::Foreach(Foreach {
                array,
                local,
                value,
                order,
                descending,
                limit,
                body,
            })
        });
    prop_oneof![
        5 => below.clone(),
        2 => (long(), body(), body())
            .prop_map(|(condition, then, otherwise)| Statement::If(condition, then, otherwise)),
        1 => (long(), body()).prop_map(|(condition, body)| Statement::While(condition, body)),
        4 => (0..LONGS, 0i64..6, body())
            .prop_map(|(local, rounds, body)| Statement::Count(local, rounds, body)),
        1 => body().prop_map(Statement::Forever),
        5 => foreach,
    ]
}
