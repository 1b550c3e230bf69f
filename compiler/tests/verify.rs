//! The verifier refuses a module for each rule that it has: each module here
//! is broken in one place, and right without it.
#![allow(missing_docs, clippy::unwrap_used)]

use hwtrace_compiler::ir::verify::verify;
use hwtrace_compiler::ir::{
    BinaryOp, Block, BlockId, CompareOp, Emit, Handler, Instruction, Local, Module, Op,
    Terminator, Text, Type, UnaryOp, Value, WalkOrder,
};
use hwtrace_lang::span::Span;
use hwtrace_runtime::abi::format::{Conversion, Directive};
use hwtrace_runtime::abi::helper;
use hwtrace_runtime::map::Shape;

/// A long and a string, to use as operands.
const LONG: Value = Value(0);
const TEXT: Value = Value(1);
/// Free for results.
const RESULT: Value = Value(2);
const RESULT_TEXT: Value = Value(3);
/// Never set.
const UNSET: Value = Value(4);

fn instruction(result: Option<Value>, op: Op) -> Instruction {
    Instruction { result, op, site: 0 }
}

fn block(instructions: Vec<Instruction>, terminator: Terminator) -> Block {
    Block { instructions, terminator }
}

/// A module with one global of each kind and one handler of these blocks, in
/// front of which `LONG` and `TEXT` are set.
fn module(mut blocks: Vec<Block>) -> Module {
    let mut module = Module { sites: vec![Span::default()], ..Module::default() };
    module.layout.longs.push(0);
    module.layout.texts.push(String::new());
    module.layout.constants.push("constant".into());
    let shape = |string_keys: Vec<bool>, string_values| Shape {
        string_keys,
        string_values,
        capacity: 9,
    };
    module.layout.arrays =
        vec![shape(vec![false, true], false), shape(vec![false], true)];
    if let Some(first) = blocks.first_mut() {
        let operands = [
            instruction(Some(LONG), Op::Long(7)),
            instruction(Some(TEXT), Op::Text(Text::Constant(0))),
        ];
        first.instructions.splice(0..0, operands);
    }
    let (long, text) = (Type::Long, Type::String);
    module.handlers.push(Handler {
        name: "begin".into(),
        locals: vec![long, text],
        values: vec![long, text, long, text, long],
        blocks,
    });
    module
}

fn one(result: Option<Value>, op: Op) -> Module {
    module(vec![block(vec![instruction(result, op)], Terminator::Return)])
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
    Op::WalkBegin { array, order: WalkOrder::Insertion, limit }
}

#[test]
fn whole_modules_pass() {
    assert_eq!(verify(&Module::default()), Ok(()));
    assert_eq!(verify(&one(Some(RESULT), Op::Unary(UnaryOp::Not, LONG))), Ok(()));
    assert_eq!(verify(&one(None, Op::SetElement(0, vec![LONG, TEXT], LONG))), Ok(()));
    assert_eq!(verify(&one(Some(RESULT_TEXT), Op::WalkKey(0))), Ok(()));
}

#[test]
fn every_operand_must_fit() {
    let strlen = helper("strlen").unwrap();
    let wrong = [
        ("v1 is no long", Some(RESULT), Op::Unary(UnaryOp::Not, TEXT)),
        ("v1 is no long", Some(RESULT), Op::Binary(BinaryOp::Add, LONG, TEXT)),
        ("v1 is no long", Some(RESULT), Op::Compare(CompareOp::Less, TEXT, LONG)),
        ("v0 is no string", Some(RESULT), Op::CompareText(CompareOp::Less, TEXT, LONG)),
        ("v0 is no string", Some(RESULT_TEXT), Op::Concat(LONG, TEXT)),
        ("v1 is no long", None, Op::SetLocal(Local(0), TEXT)),
        ("v0 is no string", None, Op::SetLocal(Local(1), LONG)),
        ("v1 is no long", None, Op::SetLong(0, TEXT)),
        ("v0 is no string", None, Op::SetText(0, LONG)),
        ("v0 is no string", Some(RESULT), Op::Call(strlen, vec![LONG])),
        ("0 arguments for 1 parameters", Some(RESULT), Op::Call(strlen, vec![])),
        ("1 keys for 2", Some(RESULT), Op::GetElement(0, vec![LONG])),
        ("v1 is no long", Some(RESULT), Op::GetElement(0, vec![TEXT, LONG])),
        ("v1 is no long", None, Op::SetElement(0, vec![LONG, TEXT], TEXT)),
        ("v0 is no string", None, Op::SetElement(1, vec![LONG], LONG)),
        ("v1 is no long", Some(RESULT), Op::AddElement(0, vec![LONG, TEXT], TEXT)),
        ("only longs can be added to", Some(RESULT), Op::AddElement(1, vec![LONG], LONG)),
        ("0 keys for 1", Some(RESULT), Op::HasElement(1, vec![])),
        ("2 keys for 1", None, Op::DeleteElement(1, vec![LONG, LONG])),
        ("v1 is no long", None, walk(0, Some(TEXT))),
        ("v1 is no long", None, Op::EmitLong(emit(TEXT, None))),
        ("v0 is no string", None, Op::EmitString(emit(LONG, None))),
        ("v1 is no long", None, Op::EmitLong(emit(LONG, Some(TEXT)))),
    ];
    for (what, result, op) in wrong {
        let shown = format!("{op:?}");
        assert_eq!(refused(&one(result, op)), what, "{shown}");
    }
}

#[test]
fn every_number_must_refer_to_something() {
    let wrong = [
        ("no local l2", Some(RESULT), Op::GetLocal(Local(2))),
        ("no local l2", None, Op::SetLocal(Local(2), LONG)),
        ("no number 1", Some(RESULT), Op::GetLong(1)),
        ("no number 1", None, Op::SetLong(1, LONG)),
        ("no number 1", Some(RESULT_TEXT), Op::GetText(1)),
        ("no number 1", None, Op::SetText(1, TEXT)),
        ("no number 1", Some(RESULT_TEXT), Op::Text(Text::Constant(1))),
        ("no number 1", None, Op::EmitText(Text::Constant(1))),
        ("no number 2", Some(RESULT), Op::GetElement(2, vec![LONG])),
        ("no number 2", None, Op::Clear(2)),
        ("no number 2", None, walk(2, None)),
    ];
    for (what, result, op) in wrong {
        let shown = format!("{op:?}");
        assert_eq!(refused(&one(result, op)), what, "{shown}");
    }
    let mut module = one(None, Op::Clear(0));
    module.handlers[0].blocks[0].instructions[2].site = 1;
    assert_eq!(refused(&module), "no site 1");
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
        (Some(RESULT), Op::GetElement(1, vec![LONG])),
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
    let unset = module(vec![block(vec![negate(UNSET)], Terminator::Return)]);
    assert_eq!(refused(&unset), "v4 is not set here");
    let no_value = module(vec![block(vec![negate(Value(99))], Terminator::Return)]);
    assert_eq!(refused(&no_value), "v99 is not set here");
    let itself = module(vec![block(vec![negate(RESULT)], Terminator::Return)]);
    assert_eq!(refused(&itself), "v2 is not set here");
    let twice = [negate(LONG), negate(LONG)].to_vec();
    assert_eq!(
        refused(&module(vec![block(twice, Terminator::Return)])),
        "v2 is set twice"
    );
}

/// `b0` branches to `b1`, which sets a value, and `b2`; both go to `b3`.
#[test]
fn values_must_be_set_on_every_path() {
    let set = || instruction(Some(UNSET), Op::Long(1));
    let used = instruction(Some(RESULT), Op::Unary(UnaryOp::Negate, UNSET));
    let diamond = |both: bool| {
        let go_on = Terminator::Jump(BlockId(3));
        module(vec![
            block(vec![], Terminator::Branch(LONG, BlockId(1), BlockId(2))),
            block(vec![set()], go_on),
            block(if both { vec![set()] } else { vec![] }, go_on),
            block(vec![used.clone()], Terminator::Return),
        ])
    };
    assert_eq!(verify(&diamond(true)), Ok(()));
    let invalid = verify(&diamond(false)).unwrap_err();
    assert_eq!((invalid.block, invalid.instruction), (3, 0));
    assert_eq!(invalid.what, "v4 is not set here");
}

/// The code generator goes through the blocks in order and would not know the
/// value: `b0` goes to `b2`, which sets it, and that to `b1`, which uses it.
#[test]
fn values_must_not_be_set_in_later_blocks() {
    let used = instruction(Some(RESULT), Op::Unary(UnaryOp::Negate, UNSET));
    let module = module(vec![
        block(vec![], Terminator::Jump(BlockId(2))),
        block(vec![used], Terminator::Return),
        block(vec![instruction(Some(UNSET), Op::Long(1))], Terminator::Jump(BlockId(1))),
    ]);
    let invalid = verify(&module).unwrap_err();
    assert_eq!((invalid.block, invalid.what.as_str()), (1, "v4 is not set here"));
}

#[test]
fn terminators_must_mean_something() {
    let ending = |terminator| module(vec![block(vec![], terminator)]);
    assert_eq!(refused(&ending(Terminator::Jump(BlockId(1)))), "no such block");
    for value in [TEXT, UNSET, Value(99)] {
        let branch = Terminator::Branch(value, BlockId(0), BlockId(0));
        let what = refused(&ending(branch));
        assert_eq!(what, format!("{value} is no long that is set here"));
    }
    assert_eq!(refused(&module(vec![])), "a handler has at least one block");
}

#[test]
fn blocks_that_nothing_enters_have_nothing_to_answer_for() {
    let broken = instruction(Some(RESULT), Op::Unary(UnaryOp::Negate, UNSET));
    let module = module(vec![
        block(vec![], Terminator::Return),
        block(vec![broken], Terminator::Jump(BlockId(0))),
    ]);
    assert_eq!(verify(&module), Ok(()));
}

#[test]
fn what_is_invalid_is_said_with_its_place() {
    let invalid = verify(&one(None, Op::Clear(5))).unwrap_err();
    assert_eq!(
        invalid.to_string(),
        "handler `begin`, block 0, instruction 2: no number 5"
    );
}
