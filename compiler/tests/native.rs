//! Native code: the tables it relies on agree, every instruction compiles, its
//! memory is given back, and it runs on no world but its own.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Arc;

use hwtrace_compiler::ir::verify::verify;
use hwtrace_compiler::ir::{
    BinaryOp, Block, CompareOp, Emit, Handler, Instruction, Local, Module, Op,
    Terminator, Text, Type, UnaryOp, Value, WalkOrder,
};
use hwtrace_compiler::jit::Program;
use hwtrace_lang::builtins::{BUILTINS, Body};
use hwtrace_lang::span::Span;
use hwtrace_runtime::abi::format::{Conversion, Directive};
use hwtrace_runtime::abi::{AbiType, HELPERS, Limits, helper};
use hwtrace_runtime::map::Shape;
use hwtrace_runtime::schema::{self, FIELDS, HitRecord};
use hwtrace_runtime::world::World;

fn abi(ty: Type) -> AbiType {
    match ty {
        Type::Long => AbiType::Long,
        Type::String => AbiType::String,
    }
}

#[test]
fn every_builtin_has_its_field_or_helper_with_the_same_types() {
    for builtin in BUILTINS {
        match builtin.body {
            Body::Field(name) => {
                let field =
                    schema::field(name).unwrap_or_else(|| panic!("no field {name}"));
                assert!(builtin.params.is_empty(), "{}", builtin.name);
                let ty = if field.string { Type::String } else { Type::Long };
                assert_eq!(builtin.returns, Some(ty), "{}", builtin.name);
            }
            Body::Helper(name) => {
                let helper = helper(name).unwrap_or_else(|| panic!("no helper {name}"));
                let params: Vec<_> = builtin.params.iter().copied().map(abi).collect();
                assert_eq!(helper.params, params, "{}", builtin.name);
                assert_eq!(helper.returns, builtin.returns.map(abi), "{}", builtin.name);
            }
        }
    }
}

#[test]
fn fields_lie_in_the_record_and_do_not_overlap() {
    let mut taken = BTreeSet::new();
    for field in FIELDS {
        let bytes = match field.width {
            schema::Width::U32 => 4,
            schema::Width::U64 => 8,
        };
        assert_eq!(field.offset % bytes, 0, "{}", field.name);
        assert!(field.offset + bytes <= size_of::<HitRecord>(), "{}", field.name);
        for byte in field.offset..field.offset + bytes {
            assert!(taken.insert(byte), "{} overlaps", field.name);
        }
    }
}

#[test]
fn helpers_are_unique_and_fit_into_registers() {
    let names: BTreeSet<_> = HELPERS.iter().map(|helper| helper.name).collect();
    assert_eq!(names.len(), HELPERS.len());
    for helper in HELPERS {
        // The context and five more: what System V passes in registers.
        assert!(helper.params.len() <= 5, "{}", helper.name);
        assert!(!(helper.address)().is_null(), "{}", helper.name);
    }
}

/// Appends instructions to a handler, a value for each that gives one.
struct Code(Handler);

impl Code {
    fn value(&mut self, ty: Type, op: Op) -> Value {
        self.0.values.push(ty);
        let value = Value(self.0.values.len() as u32 - 1);
        self.push(Some(value), op);
        value
    }

    fn long(&mut self, op: Op) -> Value {
        self.value(Type::Long, op)
    }

    fn text(&mut self, op: Op) -> Value {
        self.value(Type::String, op)
    }

    fn effect(&mut self, op: Op) {
        self.push(None, op);
    }

    fn push(&mut self, result: Option<Value>, op: Op) {
        self.0.blocks[0].instructions.push(Instruction { result, op, site: 0 });
    }
}

fn module_with(handler: Handler) -> Module {
    let mut module = Module {
        sites: vec![Span::default()],
        steps_max: 1000,
        string_bytes_max: 64,
        handlers: vec![handler],
        ..Module::default()
    };
    module.layout.longs.push(40);
    module.layout.texts.push("text".into());
    module.layout.constants.push("constant".into());
    module.layout.probes.push("begin".into());
    let shape = |string_keys: Vec<bool>, string_values| Shape {
        string_keys,
        string_values,
        capacity: 9,
    };
    module.layout.arrays =
        vec![shape(vec![false, true], false), shape(vec![false], true)];
    module
}

fn empty(name: &str) -> Code {
    let block = Block { instructions: Vec::new(), terminator: Terminator::Return };
    let locals = vec![Type::Long, Type::String];
    Code(Handler { name: name.into(), locals, blocks: vec![block], ..Handler::default() })
}

fn emit(conversion: Conversion, value: Value, count: Option<Value>) -> Emit {
    let directive = Directive::plain(conversion);
    Emit { directive, width: count, precision: count, value }
}

/// Every instruction once; what it prints shows that each did its work.
fn everything() -> Module {
    let mut code = empty("begin");
    code.effect(Op::Fuel(1));
    let five = code.long(Op::Long(5));
    let constant = code.text(Op::Text(Text::Constant(0)));
    let new = code.long(Op::Field(schema::field("new").unwrap()));
    code.effect(Op::SetLocal(Local(0), new));
    let new = code.long(Op::GetLocal(Local(0)));
    let forty = code.long(Op::GetLong(0));
    let sum = code.long(Op::Binary(BinaryOp::Add, forty, new));
    code.effect(Op::SetLong(0, sum));
    let text = code.text(Op::GetText(0));
    let joined = code.text(Op::Concat(text, constant));
    code.effect(Op::SetText(0, joined));
    let minus = code.long(Op::Unary(UnaryOp::Negate, five));
    let less = code.long(Op::Compare(CompareOp::Less, minus, five));
    let equal = code.long(Op::CompareText(CompareOp::Equal, text, text));
    let length = code.long(Op::Call(helper("strlen").unwrap(), vec![joined]));
    code.effect(Op::SetElement(0, vec![five, text], sum));
    code.effect(Op::SetElement(1, vec![five], joined));
    let added = code.long(Op::AddElement(0, vec![five, text], five));
    let element = code.text(Op::GetElement(1, vec![five]));
    let has = code.long(Op::HasElement(0, vec![five, text]));
    code.effect(Op::WalkBegin { array: 0, order: WalkOrder::Insertion, limit: None });
    let more = code.long(Op::WalkNext);
    let key = code.long(Op::WalkKey(0));
    let text_key = code.text(Op::WalkKey(1));
    code.effect(Op::WalkEnd);
    code.effect(Op::DeleteElement(0, vec![five, text]));
    code.effect(Op::Clear(1));
    let gone = code.text(Op::GetElement(1, vec![five]));
    code.effect(Op::CaptureBegin);
    for value in [minus, less, equal, length, added, has, more, key] {
        code.effect(Op::EmitLong(emit(Conversion::Signed, value, None)));
        code.effect(Op::EmitText(Text::Constant(0)));
    }
    let captured = code.text(Op::CaptureEnd);
    let part = code.long(Op::Call(helper("strlen").unwrap(), vec![captured]));
    code.effect(Op::EmitLong(emit(Conversion::HexLower, part, Some(five))));
    for value in [element, text_key, gone, captured] {
        code.effect(Op::EmitString(emit(Conversion::String, value, None)));
        code.effect(Op::EmitText(Text::Constant(0)));
    }
    module_with(code.0)
}

/// A match without a wildcard: who adds an instruction is led here.
fn number(op: &Op) -> usize {
    match op {
        Op::Long(_) => 0,
        Op::Text(_) => 1,
        Op::Field(_) => 2,
        Op::GetLocal(_) => 3,
        Op::SetLocal(..) => 4,
        Op::GetLong(_) => 5,
        Op::SetLong(..) => 6,
        Op::GetText(_) => 7,
        Op::SetText(..) => 8,
        Op::Unary(..) => 9,
        Op::Binary(..) => 10,
        Op::Compare(..) => 11,
        Op::CompareText(..) => 12,
        Op::Concat(..) => 13,
        Op::Call(..) => 14,
        Op::GetElement(..) => 15,
        Op::SetElement(..) => 16,
        Op::AddElement(..) => 17,
        Op::HasElement(..) => 18,
        Op::DeleteElement(..) => 19,
        Op::Clear(_) => 20,
        Op::WalkBegin { .. } => 21,
        Op::WalkNext => 22,
        Op::WalkKey(_) => 23,
        Op::WalkEnd => 24,
        Op::EmitText(_) => 25,
        Op::EmitLong(_) => 26,
        Op::EmitString(_) => 27,
        Op::CaptureBegin => 28,
        Op::CaptureEnd => 29,
        Op::Fuel(_) => 30,
    }
}

const INSTRUCTIONS: usize = 31;

/// Cranelift checks each call against the helper's signature, and the code
/// generator has a helper for each of its names: both only for what is compiled.
#[test]
fn every_instruction_compiles_and_runs() {
    let module = everything();
    let instructions = &module.handlers[0].blocks[0].instructions;
    let kinds: BTreeSet<_> = instructions.iter().map(|each| number(&each.op)).collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), Vec::from_iter(0..INSTRUCTIONS));
    verify(&module).unwrap();
    let program = Program::compile(&module, true).unwrap();
    let mut world = World::new(program.layout(), &Limits::default());
    let record = HitRecord { new: 2, ..HitRecord::default() };
    program.run(0, &mut world, &record).unwrap();
    let output = String::from_utf8(world.output().clone()).unwrap();
    let captured: String = ["-5", "1", "1", "12", "47", "1", "1", "5"]
        .map(|value| format!("{value}constant"))
        .concat();
    let length = format!("{:05x}", captured.len());
    let wanted =
        format!("{length}textconstantconstanttextconstantconstant{captured}constant");
    assert_eq!(output, wanted);
    assert_eq!(world.longs(), [42]);
    assert!(program.listings()[0].assembly.contains("ret"));
}

#[test]
fn every_helper_is_called_with_its_signature() {
    for row in HELPERS {
        let mut code = empty("begin");
        let long = code.long(Op::Long(0));
        let text = code.text(Op::Text(Text::Empty));
        let operand = |ty: &AbiType| match ty {
            AbiType::String => Some(text),
            AbiType::Long => Some(long),
            AbiType::Words => None,
        };
        // Those that want words are called by instructions on arrays alone.
        let Some(args) = row.params.iter().map(operand).collect::<Option<Vec<_>>>()
        else {
            continue;
        };
        match row.returns {
            Some(AbiType::String) => {
                code.text(Op::Call(row, args));
            }
            Some(_) => {
                code.long(Op::Call(row, args));
            }
            None => code.effect(Op::Call(row, args)),
        }
        let module = module_with(code.0);
        verify(&module).unwrap();
        let program = Program::compile(&module, false).unwrap();
        let mut world = World::new(program.layout(), &Limits::default());
        let ended = program.run(0, &mut world, &HitRecord::default());
        assert_eq!(ended, Ok(()), "{}", row.name);
    }
}

#[test]
fn printing_is_stable_and_shows_every_value() {
    let module = everything();
    let shown = module.to_string();
    assert_eq!(shown, everything().to_string());
    for value in 0..module.handlers[0].values.len() {
        assert!(shown.contains(&format!("v{value}: ")), "v{value} in {shown}");
    }
    let lines = module.handlers[0].blocks[0].instructions.len();
    // The handler's head and end, the block's name and the terminator.
    assert!(shown.lines().count() >= lines + 4, "{shown}");
}

/// Bytes of executable memory of the process that no file backs.
fn executable_bytes() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut bytes = 0;
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next().unwrap(), words.next().unwrap());
        if !rights.contains('x') || words.nth(3).is_some() {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let address = |text| usize::from_str_radix(text, 16).unwrap();
        bytes += address(end) - address(start);
    }
    bytes
}

#[test]
fn code_is_unmapped_with_its_program() {
    let module = everything();
    let programs: Vec<_> =
        (0..10).map(|_| Program::compile(&module, false).unwrap()).collect();
    let held = executable_bytes();
    assert!(held >= programs.len() * 4096, "{held} bytes: the code is not found in maps");
    drop(programs);
    for _ in 0..30 {
        drop(Program::compile(&module, false).unwrap());
    }
    let left = executable_bytes();
    // Other tests of this file have a program or two of their own.
    assert!(left < held / 2, "{left} of {held} bytes are left");
}

#[test]
#[should_panic(expected = "the world of another program")]
fn a_world_of_another_program_is_refused() {
    let module = everything();
    let (first, second) = (
        Program::compile(&module, false).unwrap(),
        Program::compile(&module, false).unwrap(),
    );
    let mut world = World::new(second.layout(), &Limits::default());
    let _ = first.run(0, &mut world, &HitRecord::default());
}

/// Equal is not the same: a world made from a copy is refused, too.
#[test]
#[should_panic(expected = "the world of another program")]
fn a_world_of_a_copied_layout_is_refused() {
    let program = Program::compile(&everything(), false).unwrap();
    let copy = Arc::new((**program.layout()).clone());
    let mut world = World::new(&copy, &Limits::default());
    let _ = program.run(0, &mut world, &HitRecord::default());
}
