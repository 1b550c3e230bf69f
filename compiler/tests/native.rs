//! Native code: the tables it relies on agree, every instruction compiles, its
//! memory is given back, and it runs on no world but its own.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Arc;

use hwtrace_compiler::ir::verify::verify;
use hwtrace_compiler::ir::{
    Aggregate, BinaryOp, Block, BlockId, Code, CompareOp, Emit, Extractor, Histogram,
    Instruction, Load, Local, Module, Op, Terminator, Text, Type, UnaryOp, Value,
    WalkOrder,
};
use hwtrace_compiler::jit::Program;
use hwtrace_lang::builtins::{BUILTINS, Body};
use hwtrace_lang::data::Space;
use hwtrace_lang::span::Span;
use hwtrace_runtime::abi::format::{Conversion, Directive};
use hwtrace_runtime::abi::{AbiType, FaultCode, HELPERS, Limits, helper};
use hwtrace_runtime::aggregate;
use hwtrace_runtime::map::{Kind, Shape};
use hwtrace_runtime::schema::{self, FIELDS, HitRecord};
use hwtrace_runtime::world::{UserMemory, World};

fn abi(ty: Type) -> AbiType {
    match ty {
        // A stack is its number.
        Type::Long | Type::Stack => AbiType::Long,
        Type::Double => AbiType::Double,
        Type::String => AbiType::String,
        Type::Stats => panic!("statistics are no argument and no result"),
    }
}

#[test]
fn every_builtin_has_its_field_or_helper_with_the_same_types() {
    for builtin in BUILTINS.iter().filter(|row| row.is_there()) {
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
                let params: Vec<_> =
                    builtin.params.iter().map(|param| abi(param.ty)).collect();
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

/// Appends instructions to a handler's last block, a value for each that gives
/// one.
struct Builder(Code);

impl Builder {
    fn value(&mut self, ty: Type, op: Op) -> Value {
        self.0.values.push(ty);
        let value = Value(self.0.values.len() as u32 - 1);
        self.push(Some(value), op);
        value
    }

    fn long(&mut self, op: Op) -> Value {
        self.value(Type::Long, op)
    }

    fn double(&mut self, op: Op) -> Value {
        self.value(Type::Double, op)
    }

    fn text(&mut self, op: Op) -> Value {
        self.value(Type::String, op)
    }

    fn effect(&mut self, op: Op) {
        self.push(None, op);
    }

    fn push(&mut self, result: Option<Value>, op: Op) {
        let block = self.0.blocks.last_mut().unwrap();
        block.instructions.push(Instruction { result, op, site: 0 });
    }

    /// Emits a long and a constant behind it.
    fn show(&mut self, value: Value) {
        self.effect(Op::EmitLong(emit(Conversion::Signed, value, None)));
        self.effect(Op::EmitText(Text::Constant(0)));
    }

    /// Emits a string and a constant behind it.
    fn show_text(&mut self, value: Value) {
        self.effect(Op::EmitString(emit(Conversion::String, value, None)));
        self.effect(Op::EmitText(Text::Constant(0)));
    }
}

/// The arrays of [`module_with`].
const LONGS: u32 = 0;
const TEXTS: u32 = 1;
const STATISTICS: u32 = 2;

/// `twice(long): long`
fn twice() -> Code {
    let mut code = Builder(Code {
        name: "twice".into(),
        params: 1,
        returns: Some(Type::Long),
        locals: vec![Type::Long],
        blocks: vec![block()],
        ..Code::default()
    });
    let given = code.long(Op::GetLocal(Local(0)));
    let sum = code.long(Op::Binary(BinaryOp::Add, given, given));
    code.0.blocks[0].terminator = Terminator::Return(Some(sum));
    code.0
}

fn module_with(handler: Code) -> Module {
    let mut module = Module {
        sites: vec![Span::default()],
        scalars: vec![Type::Long],
        steps_max: 1000,
        string_bytes_max: 64,
        nesting_max: 10,
        functions: vec![twice()],
        conditions: vec![None],
        conditions_after: vec![Vec::new()],
        handlers: vec![handler],
        ..Module::default()
    };
    let layout = &mut module.layout;
    layout.longs.push(40);
    layout.texts.push("text".into());
    layout.constants.push(";".into());
    layout.regexes.push("t(ex)t".into());
    layout.probes.push("begin".into());
    layout.enumerations.push(vec![(-3, "MINUS_THREE".into())]);
    let kept = aggregate::Shape { log: true, percentiles: true, ..Default::default() };
    layout.statistics.push(kept.clone());
    let shape = |keys: &[Kind], values, statistics| Shape {
        keys: keys.to_vec(),
        values,
        statistics,
        capacity: 9,
        wraps: false,
    };
    let plain = aggregate::Shape::default;
    layout.arrays = vec![
        shape(&[Kind::Long, Kind::String], Kind::Long, plain()),
        shape(&[Kind::Long], Kind::String, plain()),
        shape(&[Kind::Long], Kind::Statistics, kept),
    ];
    module
}

fn block() -> Block {
    let terminator = Terminator::Return(None);
    Block { instructions: Vec::new(), terminator, on_fault: None }
}

fn empty(name: &str) -> Builder {
    let locals = vec![Type::Long, Type::String];
    Builder(Code { name: name.into(), locals, blocks: vec![block()], ..Code::default() })
}

fn emit(conversion: Conversion, value: Value, count: Option<Value>) -> Emit {
    let directive = Directive::plain(conversion);
    Emit { directive, width: count, precision: count, value }
}

/// Every instruction once; what it prints shows that each did its work.
fn everything() -> Module {
    let mut code = empty("begin");
    scalars(&mut code);
    doubles(&mut code);
    arrays(&mut code);
    statistics(&mut code);
    data(&mut code);
    faults(&mut code);
    module_with(code.0)
}

/// Prints the length of a captured string, that, what its regular expression
/// met, and what a function gives.
fn scalars(code: &mut Builder) {
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
    let met = code.long(Op::Match { text: joined, regex: 0, groups: true });
    code.effect(Op::CaptureBegin);
    for value in [minus, less, equal, length, met] {
        code.show(value);
    }
    let captured = code.text(Op::CaptureEnd);
    let length = code.long(Op::Call(helper("strlen").unwrap(), vec![captured]));
    code.effect(Op::EmitLong(emit(Conversion::HexLower, length, Some(five))));
    code.effect(Op::EmitText(Text::Constant(0)));
    code.show_text(captured);
    let one = code.long(Op::Long(1));
    let part = code.text(Op::Call(helper("matched").unwrap(), vec![one]));
    code.show_text(part);
    let twice = code.long(Op::CallFunction(0, vec![sum]));
    code.show(twice);
}

/// Prints a comparison and a product.
fn doubles(code: &mut Builder) {
    let half = code.double(Op::Double(0.5));
    let two = code.long(Op::Long(2));
    let two = code.double(Op::ToDouble(two));
    let product = code.double(Op::BinaryDouble(BinaryOp::Multiply, half, two));
    let less = code.long(Op::CompareDouble(CompareOp::Less, half, two));
    let minus = code.double(Op::NegateDouble(product));
    code.show(less);
    code.effect(Op::EmitDouble(emit(Conversion::String, minus, None)));
}

/// Prints an empty local, then what is found in the arrays.
fn arrays(code: &mut Builder) {
    let five = code.long(Op::Long(5));
    let text = code.text(Op::GetLocal(Local(1)));
    code.show_text(text);
    let text = code.text(Op::GetText(0));
    let keys = || vec![five, text];
    let slice = vec![None, Some(text)];
    let value = code.long(Op::GetLong(0));
    code.effect(Op::SetElement(LONGS, keys(), value));
    code.effect(Op::SetElement(TEXTS, vec![five], text));
    let added = code.long(Op::AddElement(LONGS, keys(), five));
    let element = code.text(Op::GetElement(TEXTS, vec![five]));
    let has = code.long(Op::HasElement(LONGS, keys()));
    let some = code.long(Op::HasMatch(LONGS, slice.clone()));
    let (array, order) = (LONGS, WalkOrder::Insertion);
    code.effect(Op::WalkBegin { array, order, slice: slice.clone(), limit: None });
    let more = code.long(Op::WalkNext);
    let key = code.long(Op::WalkKey(0));
    let text_key = code.text(Op::WalkKey(1));
    code.effect(Op::WalkEnd);
    code.effect(Op::DeleteElement(LONGS, vec![five, element]));
    code.effect(Op::DeleteMatches(LONGS, slice.clone()));
    code.effect(Op::Clear(TEXTS));
    let gone = code.text(Op::GetElement(TEXTS, vec![five]));
    let none = code.long(Op::HasMatch(LONGS, slice));
    for value in [added, has, some, more, key] {
        code.show(value);
    }
    for value in [element, text_key, gone] {
        code.show_text(value);
    }
    code.show(none);
}

/// Prints what is asked of a scalar and of an element, a histogram, and the
/// count of what is empty again.
fn statistics(code: &mut Builder) {
    let five = code.long(Op::Long(5));
    let seven = code.long(Op::Long(7));
    let percent = code.double(Op::Double(99.0));
    let element = || Aggregate::Element(STATISTICS, vec![five]);
    let scalar = || Aggregate::Scalar(0);
    let histogram = Histogram::Log;
    for value in [five, seven] {
        code.effect(Op::Accumulate(scalar(), value));
        code.effect(Op::Accumulate(element(), value));
    }
    let sum = code.long(Op::Extract(Extractor::Sum, scalar()));
    let percentile = code.long(Op::Percentile(element(), percent));
    code.effect(Op::WalkBuckets { aggregate: scalar(), histogram, limit: Some(five) });
    let more = code.long(Op::WalkNext);
    let index = code.long(Op::WalkKey(0));
    code.effect(Op::WalkEnd);
    // Of 4 up to below 8: `Histogram::Log` says which are where.
    let of_four = code.long(Op::Long(67));
    let bucket = code.long(Op::Bucket(scalar(), histogram, of_four));
    for value in [sum, percentile, more, index, bucket] {
        code.show(value);
    }
    code.effect(Op::PrintHistogram { aggregate: element(), histogram, newline: true });
    code.effect(Op::ClearStatistics(0));
    let count = code.long(Op::Extract(Extractor::Count, scalar()));
    code.show(count);
}

/// Prints a number from memory, what it is called, and what its bits are as a
/// double.
fn data(code: &mut Builder) {
    let address = code.long(Op::Long(MEMORY as i64));
    let load = Load { size: 4, signed: true, space: Space::User };
    let loaded = code.long(Op::Load { address, load });
    let name = code.text(Op::Name(0, loaded));
    let bits = code.long(Op::Long(f64::to_bits(2.5) as i64));
    let double = code.double(Op::FromBits { bits, single: false });
    code.show(loaded);
    code.show_text(name);
    code.effect(Op::EmitDouble(emit(Conversion::String, double, None)));
}

/// Where memory can be read: four bytes, the number -3.
const MEMORY: u64 = 0x2000;

struct Memory;

impl UserMemory for Memory {
    fn read(&mut self, _: u32, address: u64, out: &mut [u8]) -> usize {
        if address != MEMORY {
            return 0;
        }
        let bytes = (-3i32).to_le_bytes();
        let length = out.len().min(bytes.len());
        out[..length].copy_from_slice(&bytes[..length]);
        length
    }
}

/// Catches the fault of memory that nobody can read, and prints its message.
fn faults(code: &mut Builder) {
    let mark = code.long(Op::Mark);
    let address = code.long(Op::Long(16));
    code.0.blocks[0].terminator = Terminator::Jump(BlockId(1));
    code.0.blocks.push(Block { on_fault: Some(BlockId(2)), ..block() });
    code.effect(Op::EmitMemory(emit(Conversion::MemoryHex, address, None)));
    code.0.blocks.push(block());
    let message = code.text(Op::Caught(mark));
    code.show_text(message);
}

/// A match without a wildcard: who adds an instruction is led here.
fn number(op: &Op) -> usize {
    match op {
        Op::Long(_) => 0,
        Op::Double(_) => 1,
        Op::Text(_) => 2,
        Op::Field(_) => 3,
        Op::GetLocal(_) => 4,
        Op::SetLocal(..) => 5,
        Op::GetLong(_) => 6,
        Op::SetLong(..) => 7,
        Op::GetText(_) => 8,
        Op::SetText(..) => 9,
        Op::Unary(..) => 10,
        Op::NegateDouble(_) => 11,
        Op::Binary(..) => 12,
        Op::BinaryDouble(..) => 13,
        Op::Compare(..) => 14,
        Op::CompareDouble(..) => 15,
        Op::CompareText(..) => 16,
        Op::ToDouble(_) => 17,
        Op::Concat(..) => 18,
        Op::Match { .. } => 19,
        Op::Call(..) => 20,
        Op::CallFunction(..) => 21,
        Op::GetElement(..) => 22,
        Op::SetElement(..) => 23,
        Op::AddElement(..) => 24,
        Op::HasElement(..) => 25,
        Op::HasMatch(..) => 26,
        Op::DeleteElement(..) => 27,
        Op::DeleteMatches(..) => 28,
        Op::Clear(_) => 29,
        Op::Accumulate(..) => 30,
        Op::Extract(..) => 31,
        Op::Percentile(..) => 32,
        Op::Bucket(..) => 33,
        Op::PrintHistogram { .. } => 34,
        Op::ClearStatistics(_) => 35,
        Op::WalkBegin { .. } => 36,
        Op::WalkBuckets { .. } => 37,
        Op::WalkNext => 38,
        Op::WalkKey(_) => 39,
        Op::WalkEnd => 40,
        Op::EmitText(_) => 41,
        Op::EmitLong(_) => 42,
        Op::EmitDouble(_) => 43,
        Op::EmitString(_) => 44,
        Op::EmitMemory(_) => 45,
        Op::CaptureBegin => 46,
        Op::CaptureEnd => 47,
        Op::Mark => 48,
        Op::Caught(_) => 49,
        Op::Fuel(_) => 50,
        Op::FromBits { .. } => 51,
        Op::Load { .. } => 52,
        Op::Name(..) => 53,
    }
}

const INSTRUCTIONS: usize = 54;

/// Cranelift checks each call against the helper's signature, and the code
/// generator has a helper for each of its names: both only for what is compiled.
#[test]
fn every_instruction_compiles_and_runs() {
    let module = everything();
    let blocks = module.handlers[0].blocks.iter();
    let instructions = blocks.flat_map(|block| &block.instructions);
    let kinds: BTreeSet<_> = instructions.map(|each| number(&each.op)).collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), Vec::from_iter(0..INSTRUCTIONS));
    verify(&module).unwrap();
    let program = Program::compile(&module, true).unwrap();
    let mut world = World::new(program.layout(), &Limits::default());
    world.set_memory(Box::new(Memory));
    let record = HitRecord { new: 2, ..HitRecord::default() };
    program.run(0, &mut world, &record).unwrap();
    let output = String::from_utf8(world.output().clone()).unwrap();
    let histogram = "value |-------------------------------------------------- count
    1 |                                                   0
    2 |                                                   0
    4 |@@                                                 2
    8 |                                                   0
   16 |                                                   0\n\n\n";
    let wanted = [
        "0000b;-5;1;1;5;1;;ex;84;",
        "1;-1.0",
        ";47;1;1;1;5;text;;text;;;0;",
        "12;7;1;0;2;",
        histogram,
        "0;",
        "-3;MINUS_THREE;2.5",
        "read fault [man error::fault] at 0x0000000000000010;",
    ];
    assert_eq!(output, wanted.concat());
    assert_eq!(world.longs(), [42]);
    assert!(program.listings()[0].assembly.contains("ret"));
}

#[test]
fn every_helper_is_called_with_its_signature() {
    for row in HELPERS {
        let mut code = empty("begin");
        let long = code.long(Op::Long(0));
        let text = code.text(Op::Text(Text::Empty));
        let double = code.double(Op::Double(0.5));
        let operand = |ty: &AbiType| match ty {
            AbiType::String => Some(text),
            AbiType::Long => Some(long),
            AbiType::Double => Some(double),
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
            Some(AbiType::Double) => {
                code.double(Op::Call(row, args));
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
        // There is no memory, and what is empty is what some complain of.
        let may_fail = [FaultCode::UserError, FaultCode::BadAddress];
        let fine = ended
            .err()
            .is_none_or(|fault| row.fallible && may_fail.contains(&fault.code));
        assert!(fine, "{}: {ended:?}", row.name);
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
    let blocks = module.handlers[0].blocks.iter();
    // The handler's head and end, each block's name and terminator.
    let lines = blocks.fold(2, |lines, block| lines + block.instructions.len() + 2);
    assert!(shown.lines().count() >= lines, "{shown}");
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
