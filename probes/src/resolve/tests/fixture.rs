//! A program that never runs: its file, its types, and the memory it would have.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use crate::address::{AbsAddr, VirtOffset};
use crate::expr::Expression;
use crate::image::{Files, Image};
use crate::resolve::{Location, Memory, ResolveError, Typed, resolve, type_of};
use crate::types::{
    Bits, DebugInfo, Line, Member, Place, Record, Type, TypeId, Types, Variable, Variant,
    Variants,
};

/// Symbols with addresses and sizes; the type of those that have one.
const VARIABLES: &[(&str, u64, u64, Option<u64>)] = &[
    ("cfg", 0x4000, 64, Some(CONFIG)),
    ("alias", 0x4070, 8, Some(REFERENCE)),
    ("derived", 0x4080, 8, Some(DERIVED)),
    ("pair", 0x4090, 16, Some(PAIR)),
    ("count.0", 0x40a0, 4, None),
    ("flags", 0x40b0, 4, Some(FLAGS)),
    ("choice", 0x40c0, 16, Some(CHOICE)),
    ("slice", 0x40d0, 16, Some(SLICE)),
    ("null", 0x40e0, 8, Some(POINTER)),
    ("wild", 0x40e8, 8, Some(POINTER)),
    ("opaque", 0x40f0, 8, Some(TO_OPAQUE)),
    ("handle", 0x40f8, 8, Some(UNSIGNED)),
];

const INT: u64 = 0;
const LONG: u64 = 1;
const LIMIT: u64 = 2;
const LIMITS: u64 = 3;
const SIDES: u64 = 4;
const CONFIG: u64 = 5;
const POINTER: u64 = 6;
const REFERENCE: u64 = 7;
const BASE: u64 = 8;
const DERIVED: u64 = 9;
const PAIR: u64 = 10;
const FLAGS: u64 = 11;
const CHOICE: u64 = 12;
const NOTHING: u64 = 13;
const SOMETHING: u64 = 14;
const TO_LIMIT: u64 = 15;
const SLICE: u64 = 16;
const UNSIGNED: u64 = 17;
const OPAQUE: u64 = 18;
const TO_OPAQUE: u64 = 19;

struct TestDebugInfo {
    source: u16,
    types: Vec<Arc<Type>>,
}

/// Makes the types of one source.
#[derive(Clone, Copy)]
struct Maker(u16);

impl Maker {
    fn id(self, ty: u64) -> TypeId {
        TypeId::new(self.0, ty)
    }

    /// Without a name where that is empty.
    fn member(self, name: &str, offset: u64, ty: u64) -> Member {
        let name = Some(name.to_owned()).filter(|name| !name.is_empty());
        Member { name, ty: self.id(ty), offset, bits: None, base: false }
    }

    fn bits(self, name: &str, offset: u64, first: u32, width: u32) -> Member {
        let bits = Some(Bits { offset: first, width });
        Member { bits, ..self.member(name, offset, INT) }
    }

    fn pointer(self, to: u64, reference: bool) -> Type {
        Type::Pointer { to: self.id(to), reference }
    }

    fn variant(self, name: &str, values: Option<Vec<u64>>, ty: u64) -> Variant {
        Variant { name: name.to_owned(), values, fields: self.member(name, 0, ty) }
    }

    fn choice(self) -> Type {
        let all = vec![
            self.variant("None", Some(vec![0]), NOTHING),
            self.variant("Some", None, SOMETHING),
        ];
        let discriminant = Some(self.member("", 0, LONG));
        let variants = Some(Variants { discriminant, all });
        Type::Record(Record { variants, ..plain_record("choice", 16, vec![]) })
    }

    fn config(self) -> Type {
        let members = vec![
            self.member("level", 0, INT),
            self.member("limits", 8, LIMITS),
            self.member("", 40, SIDES),
            self.member("next", 48, POINTER),
            self.member("rest", 56, LONG),
        ];
        record("config", 64, members)
    }

    /// In the order of their numbers.
    fn all(self) -> Vec<Type> {
        let member = |name, offset, ty| self.member(name, offset, ty);
        let base = Member { base: true, ..member("", 4, BASE) };
        let sides = vec![member("anonymous", 0, LONG), member("other_side", 0, INT)];
        let slice = vec![member("data_ptr", 0, TO_LIMIT), member("length", 8, UNSIGNED)];
        let flags = vec![self.bits("low", 0, 2, 3), self.bits("wide", 1, 1, 12)];
        vec![
            integer("int", 4, true),
            integer("long", 8, true),
            record("limit", 8, vec![member("min", 0, INT), member("max", 4, INT)]),
            Type::Array { of: self.id(LIMIT), length: Some(4) },
            record("", 8, sides),
            self.config(),
            self.pointer(CONFIG, false),
            self.pointer(CONFIG, true),
            record("base", 4, vec![member("level", 0, INT)]),
            record("derived", 8, vec![member("own", 0, INT), base]),
            record("pair", 16, vec![member("__0", 0, INT), member("__1", 8, LONG)]),
            record("flags", 4, flags),
            self.choice(),
            record("None", 16, vec![]),
            record("Some", 16, vec![member("__0", 8, LONG)]),
            self.pointer(LIMIT, false),
            record("&[limit]", 16, slice),
            integer("unsigned long", 8, false),
            Type::Record(Record { declared: true, ..plain_record("opaque", 0, vec![]) }),
            self.pointer(OPAQUE, false),
        ]
    }
}

fn integer(name: &str, size: u32, signed: bool) -> Type {
    Type::Integer { name: name.to_owned(), size, signed }
}

fn record(name: &str, size: u64, members: Vec<Member>) -> Type {
    Type::Record(plain_record(name, size, members))
}

fn plain_record(name: &str, size: u64, members: Vec<Member>) -> Record {
    let name = Some(name.to_owned()).filter(|name| !name.is_empty());
    let (variants, declared) = (None, false);
    Record { keyword: "struct", name, size, members, variants, declared }
}

impl TestDebugInfo {
    fn new(source: u16) -> Self {
        let types = Maker(source).all().into_iter().map(Arc::new).collect();
        TestDebugInfo { source, types }
    }

    fn variable(&self, name: &str, place: Place, ty: u64) -> Variable {
        let declared = Some(Line { file: "/src/prog.c".into(), line: 7 });
        Variable {
            name: name.to_owned(),
            ty: TypeId::new(self.source, ty),
            place,
            declared,
        }
    }
}

impl Types for TestDebugInfo {
    fn get(&self, id: TypeId) -> Arc<Type> {
        assert_eq!(id.source(), self.source);
        Arc::clone(&self.types[id.within() as usize])
    }

    fn named(&self, name: &str) -> Option<TypeId> {
        let ty = match name {
            "int" => INT,
            "struct limit" => LIMIT,
            "struct config" => CONFIG,
            _ => return None,
        };
        Some(TypeId::new(self.source, ty))
    }

    fn constant(&self, name: &str) -> Option<i64> {
        (name == "LAST").then_some(3)
    }
}

impl DebugInfo for TestDebugInfo {
    fn variables(&self, name: &str) -> Vec<Variable> {
        match name {
            "gone" => return vec![self.variable(name, Place::OptimizedOut, INT)],
            "on_stack" => return vec![self.variable(name, Place::Elsewhere, INT)],
            _ => {}
        }
        let named = VARIABLES.iter().filter(|(own, ..)| *own == name);
        let variable = |&(name, address, _, ty): &(_, _, _, Option<u64>)| {
            Some(self.variable(name, Place::Fixed(VirtOffset(address)), ty?))
        };
        named.filter_map(variable).collect()
    }

    fn variable_at(&self, address: VirtOffset) -> Option<Variable> {
        let mut all = VARIABLES.iter();
        let (name, ..) =
            all.find(|(_, start, size, _)| (*start..start + size).contains(&address.0))?;
        self.variables(name).pop()
    }

    fn all_variables(&self, each: &mut dyn FnMut(Variable)) {
        VARIABLES.iter().flat_map(|(name, ..)| self.variables(name)).for_each(each);
    }
}

/// Words in pages that are there.
#[derive(Default)]
pub(super) struct TestMemory {
    mapped: Vec<std::ops::Range<u64>>,
    words: BTreeMap<u64, u64>,
}

impl TestMemory {
    pub(super) fn map(&mut self, start: u64, size: u64) {
        self.mapped.push(start..start + size);
    }

    pub(super) fn set(&mut self, address: u64, value: u64) {
        self.words.insert(address, value);
    }
}

impl Memory for TestMemory {
    fn read(&mut self, address: AbsAddr, bytes: &mut [u8]) -> usize {
        for (at, byte) in bytes.iter_mut().enumerate() {
            let address = address.0 + at as u64;
            if !self.mapped.iter().any(|mapped| mapped.contains(&address)) {
                return at;
            }
            let word = self.words.get(&(address & !7)).copied().unwrap_or(0);
            *byte = word.to_le_bytes()[(address & 7) as usize];
        }
        bytes.len()
    }

    fn robust_list(&mut self, _: u32) -> Option<AbsAddr> {
        None
    }
}

/// The program as it would run.
pub(super) struct Fixture {
    pub(super) image: Image,
}

impl Fixture {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("prog");
        fs::write(&path, elf()).expect("it is written");
        Fixture { image: image(&path) }
    }

    pub(super) fn resolve(
        &self,
        text: &str,
        length: Option<u64>,
    ) -> Result<Location, ResolveError> {
        let mut memory = TestMemory::default();
        memory.map(0x4000, 0x4000);
        for (address, value) in [
            (0x4030, 0x5000),
            (0x5030, 0x7000),
            (0x4070, 0x5000),
            (0x40d0, 0x5000),
            (0x40e8, 0xdead_0000),
            (0x40f0, 0x5000),
            (0x40f8, 0x5000),
        ] {
            memory.set(address, value);
        }
        let expression = Expression::parse(text).expect(text);
        resolve(&self.image, &mut memory, &expression, length)
    }
}

pub(super) fn typed(image: &Image, text: &str) -> Result<Typed, ResolveError> {
    type_of(image, &Expression::parse(text).expect(text), None)
}

fn image(path: &Path) -> Image {
    let files: Rc<Files> = Files::new(|_, _, _, source| {
        Ok(Box::new(TestDebugInfo::new(source)) as Box<dyn DebugInfo>)
    });
    Image::of_file(path, None, &files).expect("an ELF file")
}

/// An executable with fixed addresses: a segment of memory, and the symbols.
fn elf() -> Vec<u8> {
    let mut names = vec![0];
    let mut symbols = vec![0; 24];
    for (name, address, size, _) in VARIABLES {
        symbols.extend((names.len() as u32).to_le_bytes());
        // A global object in section 1.
        symbols.extend([0x11, 0, 1, 0]);
        symbols.extend([*address, *size].map(u64::to_le_bytes).concat());
        names.extend(name.bytes().chain([0]));
    }
    let symbols_at = 64 + 56_u64;
    let names_at = symbols_at + symbols.len() as u64;
    let sections_at = (names_at + names.len() as u64).next_multiple_of(8);

    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    // e_type, e_machine; e_version; e_entry, e_phoff, e_shoff; e_flags.
    file.extend([2_u16, 62].map(u16::to_le_bytes).concat());
    file.extend(1_u32.to_le_bytes());
    file.extend([0x4000, 64, sections_at].map(u64::to_le_bytes).concat());
    file.extend(0_u32.to_le_bytes());
    file.extend([64_u16, 56, 1, 64, 3, 0].map(u16::to_le_bytes).concat());
    // PT_LOAD, readable and writable, of 0x4000 to 0x5000.
    file.extend([1_u32, 6].map(u32::to_le_bytes).concat());
    file.extend([0, 0x4000, 0x4000, 0, 0x1000, 4096].map(u64::to_le_bytes).concat());
    file.extend(&symbols);
    file.extend(&names);
    file.resize(sections_at as usize, 0);
    let section = |kind: u32, at: u64, size: usize, link: u32| {
        let head = [0, kind].map(u32::to_le_bytes).concat();
        let place = [0, 0, at, size as u64].map(u64::to_le_bytes).concat();
        let tail = [link, 0].map(u32::to_le_bytes).concat();
        [head, place, tail, [8, 24].map(u64::to_le_bytes).concat()].concat()
    };
    file.extend(section(0, 0, 0, 0));
    file.extend(section(2, symbols_at, symbols.len(), 2));
    file.extend(section(3, names_at, names.len(), 0));
    file
}
