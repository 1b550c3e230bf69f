//! The verifier refuses a module for each rule that it has: each module here
//! is broken in one place, and right without it.
#![allow(missing_docs, clippy::unwrap_used)]

use hwtrace_compiler::ir::verify::verify;
use hwtrace_compiler::ir::{
    Aggregate, BinaryOp, Block, BlockId, Code, CompareOp, Emit, Extractor, Histogram,
    Instruction, Local, Module, Op, Terminator, Text, Type, UnaryOp, Value, WalkOrder,
};
use hwtrace_lang::span::Span;
use hwtrace_runtime::abi::format::{Conversion, Directive};
use hwtrace_runtime::abi::helper;
use hwtrace_runtime::aggregate;
use hwtrace_runtime::map::{Kind, Shape};

/// A long, a string and a double, to use as operands.
const LONG: Value = Value(0);
const TEXT: Value = Value(1);
const DOUBLE: Value = Value(5);
/// Free for results.
const RESULT: Value = Value(2);
const RESULT_TEXT: Value = Value(3);
const RESULT_DOUBLE: Value = Value(6);
/// Never set.
const UNSET: Value = Value(4);

/// The slots of the scalars that `module` has of two types.
const LONG_SLOT: u32 = 0;
const DOUBLE_SLOT: u32 = 1;

/// The arrays that `module` has, by what they hold.
const LONGS: u32 = 0;
const TEXTS: u32 = 1;
const STATISTICS: u32 = 2;
const DOUBLES: u32 = 3;
/// One that no array can be: its key is an aggregate.
const KEYED_BY_STATISTICS: u32 = 4;

const RETURN: Terminator = Terminator::Return(None);

fn instruction(result: Option<Value>, op: Op) -> Instruction {
    Instruction { result, op, site: 0 }
}

fn block(instructions: Vec<Instruction>, terminator: Terminator) -> Block {
    Block { instructions, terminator, on_fault: None }
}

fn shape(keys: &[Kind], values: Kind) -> Shape {
    Shape { keys: keys.to_vec(), values, capacity: 9, ..Shape::default() }
}

/// `f(long): string`, which returns a constant.
fn function() -> Code {
    let returned = instruction(Some(Value(0)), Op::Text(Text::Empty));
    Code {
        name: "f".into(),
        params: 1,
        returns: Some(Type::String),
        locals: vec![Type::Long, Type::String],
        values: vec![Type::String],
        blocks: vec![block(vec![returned], Terminator::Return(Some(Value(0))))],
    }
}

/// A module with globals of each kind, a function, and one handler of these
/// blocks, in front of which `LONG`, `TEXT` and `DOUBLE` are set.
fn module(mut blocks: Vec<Block>) -> Module {
    let mut module = Module { sites: vec![Span::default()], ..Module::default() };
    let layout = &mut module.layout;
    layout.longs = vec![0, 0];
    layout.texts.push(String::new());
    layout.statistics.push(aggregate::Shape::default());
    layout.constants.push("constant".into());
    layout.regexes.push("a+".into());
    layout.arrays = vec![
        shape(&[Kind::Long, Kind::String], Kind::Long),
        shape(&[Kind::Long], Kind::String),
        shape(&[Kind::Long], Kind::Statistics),
        shape(&[Kind::Double], Kind::Double),
        shape(&[Kind::Statistics], Kind::Long),
    ];
    module.scalars = vec![Type::Long, Type::Double];
    module.functions.push(function());
    if let Some(first) = blocks.first_mut() {
        let operands = [
            instruction(Some(LONG), Op::Long(7)),
            instruction(Some(TEXT), Op::Text(Text::Constant(0))),
            instruction(Some(DOUBLE), Op::Double(0.5)),
        ];
        first.instructions.splice(0..0, operands);
    }
    let (long, text, double) = (Type::Long, Type::String, Type::Double);
    module.handlers.push(Code {
        name: "begin".into(),
        locals: vec![long, text, double],
        values: vec![long, text, long, text, long, double, double],
        blocks,
        ..Code::default()
    });
    module
}

fn one(result: Option<Value>, op: Op) -> Module {
    module(vec![block(vec![instruction(result, op)], RETURN)])
}

/// What the verifier says of the rule that is broken.
fn refused(module: &Module) -> String {
    let invalid = verify(module).expect_err("the module is broken");
    assert_eq!(invalid.handler, module.handlers[0].name);
    invalid.what
}

fn emit(value: Value, width: Option<Value>) -> Emit {
    Emit {
        directive: Directive::plain(Conversion::Signed),
        width,
        precision: None,
        value,
    }
}

fn walk(array: u32, limit: Option<Value>) -> Op {
    Op::WalkBegin { array, order: WalkOrder::Insertion, slice: vec![], limit }
}

fn sorted(array: u32, order: WalkOrder) -> Op {
    Op::WalkBegin { array, order, slice: vec![], limit: None }
}

fn by_count() -> WalkOrder {
    WalkOrder::Extractor { extractor: Extractor::Count, descending: true }
}

fn matching(text: Value, regex: u32) -> Op {
    Op::Match { text, regex, groups: true }
}

fn draw(aggregate: Aggregate) -> Op {
    Op::PrintHistogram { aggregate, histogram: Histogram::Log, newline: true }
}

fn buckets(limit: Value) -> Op {
    let aggregate = Aggregate::Scalar(0);
    Op::WalkBuckets { aggregate, histogram: Histogram::Log, limit: Some(limit) }
}

fn bucket(aggregate: Aggregate, index: Value) -> Op {
    Op::Bucket(aggregate, Histogram::Log, index)
}

/// Expects each to be refused, for its reason.
fn assert_refused(wrong: Vec<(&str, Option<Value>, Op)>) {
    for (what, result, op) in wrong {
        let shown = format!("{op:?}");
        assert_eq!(refused(&one(result, op)), what, "{shown}");
    }
}

#[test]
fn whole_modules_pass() {
    assert_eq!(verify(&Module::default()), Ok(()));
    let whole = [
        (Some(RESULT), Op::Unary(UnaryOp::Not, LONG)),
        (None, Op::SetElement(LONGS, vec![LONG, TEXT], LONG)),
        (Some(RESULT_TEXT), Op::WalkKey(0)),
        (Some(RESULT_DOUBLE), Op::GetElement(DOUBLES, vec![DOUBLE])),
        (Some(RESULT_DOUBLE), Op::GetLong(DOUBLE_SLOT)),
        (Some(RESULT), Op::HasMatch(LONGS, vec![None, Some(TEXT)])),
        (None, sorted(STATISTICS, by_count())),
        (None, draw(Aggregate::Element(STATISTICS, vec![LONG]))),
        (Some(RESULT_TEXT), Op::CallFunction(0, vec![LONG])),
        // Nobody has to take a result or a message.
        (None, Op::CallFunction(0, vec![LONG])),
        (Some(RESULT_TEXT), Op::Caught(LONG)),
        (None, Op::Caught(LONG)),
    ];
    for (result, op) in whole {
        let shown = format!("{op:?}");
        assert_eq!(verify(&one(result, op)), Ok(()), "{shown}");
    }
}

#[test]
fn every_operand_must_fit() {
    let strlen = helper("strlen").unwrap();
    assert_refused(vec![
        ("v1 is no long", Some(RESULT), Op::Unary(UnaryOp::Not, TEXT)),
        ("v1 is no long", Some(RESULT), Op::Binary(BinaryOp::Add, LONG, TEXT)),
        ("v1 is no long", Some(RESULT), Op::Compare(CompareOp::Less, TEXT, LONG)),
        ("v0 is no string", Some(RESULT), Op::CompareText(CompareOp::Less, TEXT, LONG)),
        ("v0 is no string", Some(RESULT_TEXT), Op::Concat(LONG, TEXT)),
        ("v0 is no string", Some(RESULT), matching(LONG, 0)),
        ("v1 is no long", None, Op::SetLocal(Local(0), TEXT)),
        ("v0 is no string", None, Op::SetLocal(Local(1), LONG)),
        ("v1 is no long", None, Op::SetLong(LONG_SLOT, TEXT)),
        ("v0 is no string", None, Op::SetText(0, LONG)),
        ("v0 is no string", Some(RESULT), Op::Call(strlen, vec![LONG])),
        ("0 arguments for 1 parameters", Some(RESULT), Op::Call(strlen, vec![])),
        ("v1 is no long", Some(RESULT_TEXT), Op::CallFunction(0, vec![TEXT])),
        ("2 arguments for 1 parameters", None, Op::CallFunction(0, vec![LONG, LONG])),
        ("v1 is no long", Some(RESULT_TEXT), Op::Caught(TEXT)),
        ("v1 is no long", None, Op::EmitLong(emit(TEXT, None))),
        ("v0 is no string", None, Op::EmitString(emit(LONG, None))),
        ("v0 is no double", None, Op::EmitDouble(emit(LONG, None))),
        ("v1 is no long", None, Op::EmitMemory(emit(TEXT, None))),
        ("v1 is no long", None, Op::EmitLong(emit(LONG, Some(TEXT)))),
    ]);
}

#[test]
fn doubles_are_no_longs() {
    assert_refused(vec![
        ("v5 is no long", Some(RESULT), Op::Binary(BinaryOp::Add, LONG, DOUBLE)),
        (
            "v0 is no double",
            Some(RESULT_DOUBLE),
            Op::BinaryDouble(BinaryOp::Add, DOUBLE, LONG),
        ),
        (
            "And is no operator on doubles",
            Some(RESULT_DOUBLE),
            Op::BinaryDouble(BinaryOp::And, DOUBLE, DOUBLE),
        ),
        (
            "v0 is no double",
            Some(RESULT),
            Op::CompareDouble(CompareOp::Less, LONG, DOUBLE),
        ),
        ("v0 is no double", Some(RESULT_DOUBLE), Op::NegateDouble(LONG)),
        ("v5 is no long", Some(RESULT_DOUBLE), Op::ToDouble(DOUBLE)),
        ("v0 is no double", None, Op::SetLocal(Local(2), LONG)),
        ("v0 is no double", None, Op::SetLong(DOUBLE_SLOT, LONG)),
        ("v5 is no long", None, Op::SetLong(LONG_SLOT, DOUBLE)),
        ("v0 is no double", Some(RESULT_DOUBLE), Op::GetElement(DOUBLES, vec![LONG])),
        ("v0 is no double", None, Op::SetElement(DOUBLES, vec![DOUBLE], LONG)),
        ("only longs can be added to", Some(RESULT), add(DOUBLES, vec![DOUBLE], LONG)),
    ]);
}

fn add(array: u32, keys: Vec<Value>, value: Value) -> Op {
    Op::AddElement(array, keys, value)
}

#[test]
fn keys_and_elements_must_fit() {
    assert_refused(vec![
        ("1 keys for 2", Some(RESULT), Op::GetElement(LONGS, vec![LONG])),
        ("v1 is no long", Some(RESULT), Op::GetElement(LONGS, vec![TEXT, LONG])),
        ("v1 is no long", None, Op::SetElement(LONGS, vec![LONG, TEXT], TEXT)),
        ("v0 is no string", None, Op::SetElement(TEXTS, vec![LONG], LONG)),
        ("v1 is no long", Some(RESULT), add(LONGS, vec![LONG, TEXT], TEXT)),
        ("only longs can be added to", Some(RESULT), add(TEXTS, vec![LONG], LONG)),
        ("0 keys for 1", Some(RESULT), Op::HasElement(TEXTS, vec![])),
        ("2 keys for 1", None, Op::DeleteElement(TEXTS, vec![LONG, LONG])),
        ("2 keys for 1", Some(RESULT), Op::HasMatch(TEXTS, vec![None, None])),
        ("v0 is no string", Some(RESULT), Op::HasMatch(LONGS, vec![None, Some(LONG)])),
        ("v1 is no long", None, Op::DeleteMatches(LONGS, vec![Some(TEXT), None])),
        ("1 keys for 2", None, Op::DeleteMatches(LONGS, vec![None])),
        ("v1 is no long", None, walk(LONGS, Some(TEXT))),
        (
            "1 keys for 2",
            None,
            Op::WalkBegin {
                array: LONGS,
                order: WalkOrder::Insertion,
                slice: vec![None],
                limit: None,
            },
        ),
        (
            "no number 1",
            None,
            sorted(TEXTS, WalkOrder::Key { position: 1, descending: false }),
        ),
        ("only statistics can be extracted from", None, sorted(TEXTS, by_count())),
        (
            "statistics are no key",
            Some(RESULT),
            Op::HasMatch(KEYED_BY_STATISTICS, vec![None]),
        ),
    ]);
}

#[test]
fn statistics_are_only_added_to_and_asked() {
    let element = |array| Aggregate::Element(array, vec![LONG]);
    let scalar = || Aggregate::Scalar(0);
    let (get, set) = (
        Op::GetElement(STATISTICS, vec![LONG]),
        Op::SetElement(STATISTICS, vec![LONG], LONG),
    );
    assert_refused(vec![
        ("statistics are no value", Some(RESULT), get),
        ("statistics are no value", None, set),
        (
            "only longs can be added to",
            Some(RESULT),
            Op::AddElement(STATISTICS, vec![LONG], LONG),
        ),
        ("the array has no statistics", None, Op::Accumulate(element(TEXTS), LONG)),
        ("v1 is no long", None, Op::Accumulate(scalar(), TEXT)),
        (
            "many elements can not be added to",
            None,
            Op::Accumulate(Aggregate::Merged(STATISTICS, vec![None]), LONG),
        ),
        (
            "the array has no statistics",
            Some(RESULT),
            Op::Extract(Extractor::Sum, Aggregate::Merged(TEXTS, vec![None])),
        ),
        (
            "v1 is no long",
            None,
            Op::Accumulate(Aggregate::Element(STATISTICS, vec![TEXT]), LONG),
        ),
        ("no number 1", None, Op::Accumulate(Aggregate::Scalar(1), LONG)),
        ("no number 1", None, Op::ClearStatistics(1)),
        (
            "the array has no statistics",
            Some(RESULT),
            Op::Extract(Extractor::Sum, element(TEXTS)),
        ),
        ("v0 is no double", Some(RESULT), Op::Percentile(scalar(), LONG)),
        ("v1 is no long", Some(RESULT), bucket(scalar(), TEXT)),
        ("the array has no statistics", Some(RESULT), bucket(element(TEXTS), LONG)),
        ("the array has no statistics", None, draw(element(TEXTS))),
        ("v1 is no long", None, buckets(TEXT)),
    ]);
}

#[test]
fn every_number_must_refer_to_something() {
    assert_refused(vec![
        ("no local l3", Some(RESULT), Op::GetLocal(Local(3))),
        ("no local l3", None, Op::SetLocal(Local(3), LONG)),
        ("no number 2", Some(RESULT), Op::GetLong(2)),
        ("no number 2", None, Op::SetLong(2, LONG)),
        ("no number 1", Some(RESULT_TEXT), Op::GetText(1)),
        ("no number 1", None, Op::SetText(1, TEXT)),
        ("no number 1", Some(RESULT_TEXT), Op::Text(Text::Constant(1))),
        ("no number 1", None, Op::EmitText(Text::Constant(1))),
        ("no number 1", Some(RESULT), matching(TEXT, 1)),
        ("no number 1", None, Op::CallFunction(1, vec![])),
        ("no number 5", Some(RESULT), Op::GetElement(5, vec![LONG])),
        ("no number 5", None, Op::Clear(5)),
        ("no number 5", None, walk(5, None)),
        ("no number 5", None, Op::DeleteMatches(5, vec![])),
    ]);
    let mut module = one(None, Op::Clear(0));
    module.handlers[0].blocks[0].instructions[3].site = 1;
    assert_eq!(refused(&module), "no site 1");
    let mut module = one(Some(RESULT), Op::GetLong(LONG_SLOT));
    module.scalars.clear();
    assert_eq!(refused(&module), "it has no type");
}

#[test]
fn results_must_be_of_the_type_that_comes_out() {
    let wrong = [
        (Some(RESULT_TEXT), Op::Long(1)),
        (Some(RESULT), Op::Text(Text::Empty)),
        (None, Op::Long(1)),
        (Some(RESULT), Op::Clear(0)),
        (Some(RESULT), Op::Fuel(1)),
        (Some(RESULT), Op::CaptureEnd),
        (None, Op::WalkNext),
        (Some(RESULT), Op::Call(helper("exit").unwrap(), vec![])),
        (Some(RESULT), Op::Call(helper("pp").unwrap(), vec![])),
        (Some(RESULT), Op::GetElement(TEXTS, vec![LONG])),
        (Some(RESULT), Op::Double(0.5)),
        (Some(RESULT), Op::GetLong(DOUBLE_SLOT)),
        (Some(RESULT), Op::ToDouble(LONG)),
        (Some(RESULT_DOUBLE), Op::CompareDouble(CompareOp::Less, DOUBLE, DOUBLE)),
        (Some(RESULT), Op::CallFunction(0, vec![LONG])),
        (Some(RESULT), Op::Caught(LONG)),
        (None, Op::Mark),
        (None, Op::Extract(Extractor::Count, Aggregate::Scalar(0))),
        (Some(RESULT_DOUBLE), Op::Percentile(Aggregate::Scalar(0), DOUBLE)),
        (Some(RESULT), Op::Accumulate(Aggregate::Scalar(0), LONG)),
        (None, bucket(Aggregate::Scalar(0), LONG)),
        (Some(RESULT), draw(Aggregate::Scalar(0))),
        (None, matching(TEXT, 0)),
    ];
    for (result, op) in wrong {
        let shown = format!("{op:?}");
        let what = refused(&one(result, op));
        assert!(what.starts_with("the result is "), "{shown}: {what}");
    }
    assert_eq!(refused(&one(None, Op::WalkKey(0))), "a key is used or not asked for");
    assert_eq!(refused(&one(Some(Value(99)), Op::Long(1))), "v99 has no type");
}

#[test]
fn values_must_be_set_before_they_are_used() {
    let negate = |value| instruction(Some(RESULT), Op::Unary(UnaryOp::Negate, value));
    let unset = module(vec![block(vec![negate(UNSET)], RETURN)]);
    assert_eq!(refused(&unset), "v4 is not set here");
    let no_value = module(vec![block(vec![negate(Value(99))], RETURN)]);
    assert_eq!(refused(&no_value), "v99 is not set here");
    let itself = module(vec![block(vec![negate(RESULT)], RETURN)]);
    assert_eq!(refused(&itself), "v2 is not set here");
    let twice = [negate(LONG), negate(LONG)].to_vec();
    assert_eq!(refused(&module(vec![block(twice, RETURN)])), "v2 is set twice");
}

/// `b0` branches to `b1`, which may set a value, and `b2`; both go to `b3`,
/// which uses it. What `b0` sets is there on both paths.
#[test]
fn values_must_be_set_on_every_path() {
    let set = instruction(Some(UNSET), Op::Long(1));
    let used = instruction(Some(RESULT), Op::Unary(UnaryOp::Negate, UNSET));
    let diamond = |early: bool| {
        let go_on = Terminator::Jump(BlockId(3));
        let sets = |sets: bool| if sets { vec![set.clone()] } else { vec![] };
        module(vec![
            block(sets(early), Terminator::Branch(LONG, BlockId(1), BlockId(2))),
            block(sets(!early), go_on),
            block(vec![], go_on),
            block(vec![used.clone()], RETURN),
        ])
    };
    assert_eq!(verify(&diamond(true)), Ok(()));
    let invalid = verify(&diamond(false)).unwrap_err();
    assert_eq!((invalid.block, invalid.instruction), (3, 0));
    assert_eq!(invalid.what, "v4 is not set here");
}

/// Their order is that of the paths, not of their numbers: `b0` goes to `b2`,
/// which sets a value, and that to `b1`, which uses it.
#[test]
fn blocks_may_stand_in_any_order() {
    let set = instruction(Some(UNSET), Op::Long(1));
    let used = instruction(Some(RESULT), Op::Unary(UnaryOp::Negate, UNSET));
    let blocks = |first| {
        module(vec![
            block(vec![], Terminator::Jump(BlockId(first))),
            block(vec![used.clone()], RETURN),
            block(vec![set.clone()], Terminator::Jump(BlockId(1))),
        ])
    };
    assert_eq!(verify(&blocks(2)), Ok(()));
    let invalid = verify(&blocks(1)).unwrap_err();
    assert_eq!((invalid.block, invalid.what.as_str()), (1, "v4 is not set here"));
}

#[test]
fn terminators_must_mean_something() {
    let ending = |terminator| module(vec![block(vec![], terminator)]);
    let branch = |value| Terminator::Branch(value, BlockId(0), BlockId(0));
    assert_eq!(refused(&ending(Terminator::Jump(BlockId(1)))), "no such block");
    assert_eq!(refused(&ending(branch(TEXT))), "v1 is no long");
    assert_eq!(refused(&ending(branch(UNSET))), "v4 is not set here");
    assert_eq!(refused(&ending(branch(Value(99)))), "v99 is not set here");
    assert_eq!(
        refused(&ending(Terminator::Return(Some(LONG)))),
        "the result is Some(Long) but is None"
    );
    assert_eq!(refused(&ending(Terminator::Return(Some(UNSET)))), "v4 is not set here");
    assert_eq!(refused(&module(vec![])), "there is at least one block");
    assert_eq!(verify(&ending(Terminator::Leave)), Ok(()));
}

/// A function returns what it says, and its parameters are locals.
#[test]
fn functions_keep_their_signature() {
    let with = |change: fn(&mut Code)| {
        let mut module = one(None, Op::Clear(0));
        change(&mut module.functions[0]);
        verify(&module).map_err(|invalid| (invalid.handler, invalid.what))
    };
    let wrong = |what: &str| Err(("f".to_owned(), what.to_owned()));
    assert_eq!(with(|_| {}), Ok(()));
    assert_eq!(with(|code| code.params = 3), wrong("a parameter is no local"));
    assert_eq!(
        with(|code| code.returns = None),
        wrong("the result is Some(String) but is None")
    );
    assert_eq!(
        with(|code| code.blocks[0].terminator = RETURN),
        wrong("the result is None but is Some(String)")
    );
    assert_eq!(with(|code| code.blocks[0].terminator = Terminator::Leave), Ok(()));
}

/// What computes a condition is checked like a handler.
#[test]
fn conditions_are_checked() {
    let mut module = one(None, Op::Clear(0));
    module.conditions = vec![Some(Code { name: "condition".into(), ..function() })];
    assert_eq!(verify(&module), Ok(()));
    let Some(condition) = &mut module.conditions[0] else { unreachable!() };
    condition.blocks[0].instructions[0].op = Op::Text(Text::Constant(1));
    let invalid = verify(&module).unwrap_err();
    assert_eq!(
        (invalid.handler.as_str(), invalid.what.as_str()),
        ("condition", "no number 1")
    );
}

/// `b0` may fault before it sets a value, and `b1` takes the fault.
#[test]
fn a_fault_goes_on_in_a_block_without_what_the_faulting_one_set() {
    let set = instruction(Some(UNSET), Op::Long(1));
    let used = instruction(Some(RESULT), Op::Unary(UnaryOp::Negate, UNSET));
    let faulting = |on_fault, used: Vec<Instruction>| {
        let mut module =
            module(vec![block(vec![set.clone()], RETURN), block(used, RETURN)]);
        module.handlers[0].blocks[0].on_fault = Some(BlockId(on_fault));
        module
    };
    assert_eq!(verify(&faulting(1, vec![])), Ok(()));
    assert_eq!(refused(&faulting(1, vec![used])), "v4 is not set here");
    assert_eq!(refused(&faulting(2, vec![])), "no such block");
}

#[test]
fn blocks_that_nothing_enters_have_nothing_to_answer_for() {
    let broken = instruction(Some(RESULT), Op::Unary(UnaryOp::Negate, UNSET));
    let module = module(vec![
        block(vec![], RETURN),
        block(vec![broken], Terminator::Jump(BlockId(0))),
    ]);
    assert_eq!(verify(&module), Ok(()));
}

#[test]
fn what_is_invalid_is_said_with_its_place() {
    let invalid = verify(&one(None, Op::Clear(5))).unwrap_err();
    assert_eq!(
        invalid.to_string(),
        "handler `begin`, block 0, instruction 3: no number 5"
    );
}
