use super::*;
use crate::types::{Bits, Enumeration, Member, Record, type_name};
use proptest::prelude::*;

/// Writes BTF.
#[derive(Default)]
pub(crate) struct Builder {
    types: Vec<u8>,
    strings: Vec<u8>,
    last: u32,
    /// Bytes of the base's names, which come first.
    strings_before: u32,
}

pub(crate) const BITS: u32 = 1 << 31;

impl Builder {
    pub(crate) fn new() -> Self {
        Self { strings: vec![0], ..Self::default() }
    }

    /// BTF that goes on where `self` ends.
    fn after(&self) -> Self {
        let strings_before = self.strings.len() as u32;
        Self { last: self.last, strings_before, ..Self::default() }
    }

    pub(crate) fn name(&mut self, name: &str) -> u32 {
        if name.is_empty() {
            return 0;
        }
        let at = self.strings_before + self.strings.len() as u32;
        self.strings.extend(name.bytes().chain([0]));
        at
    }

    /// A type; gives its number.
    pub(crate) fn add(
        &mut self,
        name: &str,
        kind: u32,
        size: u32,
        rest: &[[u32; 3]],
    ) -> u32 {
        let count = if matches!(kind & 0x1f, 4 | 5 | 15 | 19) { rest.len() } else { 0 };
        let flat: Vec<u32> = rest.iter().flatten().copied().collect();
        self.raw(name, (kind & 0x1f) << 24 | kind & BITS | count as u32, size, &flat)
    }

    pub(crate) fn raw(&mut self, name: &str, info: u32, size: u32, rest: &[u32]) -> u32 {
        let words = [self.name(name), info, size];
        let all = words.iter().chain(rest);
        self.types.extend(all.flat_map(|word| word.to_le_bytes()));
        self.last += 1;
        self.last
    }

    pub(crate) fn integer(&mut self, name: &str, size: u32, signed: bool) -> u32 {
        self.raw(name, 1 << 24, size, &[u32::from(signed) << 24 | size * 8])
    }

    /// A record of these members: name, type, offset in bits.
    pub(crate) fn record(
        &mut self,
        name: &str,
        kind: u32,
        size: u32,
        members: &[(&str, u32, u32)],
    ) -> u32 {
        let members: Vec<_> =
            members.iter().map(|(name, id, at)| [self.name(name), *id, *at]).collect();
        self.add(name, kind, size, &members)
    }

    pub(crate) fn finish(&self) -> Vec<u8> {
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        let header = [0x0001_eb9f, 24, 0, types, types, strings];
        let mut bytes: Vec<u8> = header.iter().flat_map(|it| it.to_le_bytes()).collect();
        bytes.extend(&self.types);
        bytes.extend(&self.strings);
        bytes
    }
}

const POINTER: u32 = 2 << 24;
const FORWARD: u32 = 7 << 24;
const ALIAS: u32 = 8 << 24;
const CONST: u32 = 10 << 24;

/// What a kernel has, small.
fn small() -> Builder {
    let mut btf = Builder::new();
    let int = btf.integer("int", 4, true);
    let char = btf.integer("char", 1, false);
    let long = btf.integer("long unsigned int", 8, false);
    let text = btf.raw("", 3 << 24, 0, &[char, int, 16]);
    let declared = btf.raw("node", FORWARD, 0, &[]);
    let link = btf.raw("", POINTER, declared, &[]);
    let constant = btf.raw("", CONST, int, &[]);
    let number = btf.raw("number_t", ALIAS, constant, &[]);
    let inner = btf.record("", 5, 8, &[("whole", long, 0), ("part", int, 0)]);
    let members = [
        ("comm", text, 0),
        ("next", link, 128),
        ("", inner, 192),
        ("low", int, 256 | 3 << 24),
        ("high", int, 261 | 9 << 24),
        ("id", number, 288),
    ];
    btf.record("node", 4 | BITS, 40, &members);
    btf.raw("missing", FORWARD | BITS, 0, &[]);
    let (red, blue) = (btf.name("RED"), btf.name("BLUE"));
    btf.raw("color", 6 << 24 | BITS | 2, 4, &[red, 0, blue, u32::MAX]);
    let huge = btf.name("HUGE");
    btf.add("", 19, 8, &[[huge, 1, 1 << 31]]);
    let variable = btf.raw("this_node", 14 << 24, int, &[1]);
    btf.add(".data..percpu", 15, 0, &[[variable, 0x40, 4]]);
    btf.raw("bpf_iter_task", 12 << 24, 0, &[]);
    btf
}

fn parse(builder: &Builder) -> Btf {
    Btf::parse(builder.finish(), 7).expect("BTF")
}

fn member<'a>(record: &'a Record, name: &str) -> &'a Member {
    let found = record.members.iter().find(|it| it.name.as_deref() == Some(name));
    found.expect("a member")
}

fn record(types: &dyn Types, name: &str) -> Record {
    let id = types.named(name).expect("it is there");
    match &*types.plain(id).1 {
        Type::Record(record) => record.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn types_by_name() {
    let btf = parse(&small());
    let node = record(&btf, "struct node");
    assert_eq!(node, record(&btf, "node"), "the definition, not the declaration");
    assert_eq!((node.size, node.declared, node.keyword), (40, false, "struct"));
    let bits = |name| member(&node, name).bits;
    assert_eq!(bits("low"), Some(Bits { offset: 0, width: 3 }));
    assert_eq!(bits("high"), Some(Bits { offset: 5, width: 9 }));
    assert_eq!((bits("id"), member(&node, "id").offset), (None, 36));
    assert_eq!(node.members.iter().filter(|it| it.name.is_none()).count(), 1);
    let called = |name| type_name(&btf, member(&node, name).ty);
    assert_eq!(called("comm"), "char [16]");
    assert_eq!(called("next"), "struct node *");
    assert_eq!(called("id"), "number_t");
    let types: &dyn Types = &btf;
    assert_eq!(types.size(member(&node, "id").ty), Some(4));
    assert!(btf.named("unsigned long").is_some());
    for no in ["union node", "struct int", "", "struct ", "nod", "odes", "RED"] {
        assert_eq!(btf.named(no), None, "{no}");
    }
}

#[test]
fn a_declaration_stands_for_its_definition() {
    let btf = parse(&small());
    let node = record(&btf, "struct node");
    let Type::Pointer { to, .. } = *btf.get(member(&node, "next").ty) else {
        panic!("no pointer");
    };
    assert_eq!(*btf.get(to), Type::Record(node));
    let all = (1..btf.len() as u64).map(|id| btf.get(TypeId::new(7, id)));
    let declared: Vec<_> = all
        .filter_map(|ty| match &*ty {
            Type::Record(record) if record.declared => Some(record.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(declared.len(), 1);
    assert_eq!(
        (declared[0].name.as_deref(), declared[0].keyword),
        (Some("missing"), "union")
    );
}

#[test]
fn constants_variables_and_functions() {
    let btf = parse(&small());
    assert_eq!(btf.constant("BLUE"), Some(-1));
    assert_eq!(btf.constant("HUGE"), Some(i64::MIN + 1));
    assert_eq!(btf.constant("GREEN"), None);
    let color = btf.named("enum color").expect("it is there");
    let expected = Enumeration {
        name: Some("color".to_owned()),
        size: 4,
        signed: true,
        constants: vec![("RED".to_owned(), 0), ("BLUE".to_owned(), -1)],
    };
    assert_eq!(*btf.get(color), Type::Enumeration(expected));
    let variable = btf.variable("this_node").expect("it is there");
    assert!(variable.is_per_cpu());
    assert_eq!((variable.offset, variable.size), (0x40, 4));
    assert_eq!(type_name(&btf, variable.ty), "int");
    assert_eq!(btf.variables().collect::<Vec<_>>(), [variable]);
    assert_eq!(btf.variable("node"), None);
    let function = btf.function("bpf_iter_task").expect("it is there");
    assert_eq!(function as usize, btf.len() - 1);
}

/// A module's types go on where the kernel's end, and so do its names.
#[test]
fn modules_build_on_the_kernel() {
    let kernel = small();
    let mut module = kernel.after();
    let base = parse(&kernel);
    let int = base.named("int").expect("it is there");
    let same = module.record("entry", 4, 4, &[("count", int.within() as u32, 0)]);
    assert_eq!(same as usize, base.len());
    let module = Btf::split(module.finish(), &base, 9).expect("BTF");
    let entry = record(&module, "struct entry");
    assert_eq!(type_name(&module, member(&entry, "count").ty), "int");
    assert_eq!(member(&entry, "count").ty.source(), 9);
    assert_eq!(record(&module, "node").size, 40, "also what the kernel has");
    assert!(module.variable("this_node").is_some());
    assert_eq!(base.named("entry"), None);
}

#[test]
fn what_is_no_btf_is_refused() {
    let whole = small().finish();
    for length in [0, 3, 23, whole.len() - 1] {
        let refused = Btf::parse(whole[..length].to_vec(), 0);
        assert!(matches!(refused, Err(BtfError::Malformed(_))), "{length}");
    }
    let mut swapped = whole;
    swapped.swap(0, 1);
    assert!(Btf::parse(swapped, 0).is_err());
    let missing = Btf::module("no_such_module", &parse(&small()), 1);
    assert!(matches!(missing, Err(BtfError::Missing { .. })));
}

/// Asks for everything that there is.
fn ask_all(btf: &Btf) {
    let types: &dyn Types = btf;
    for id in 0..btf.len() as u64 + 2 {
        let id = TypeId::new(7, id);
        let _ = (type_name(types, id).len(), types.size(id));
    }
    for name in ["struct node", "int", "color", "this_node", "bpf_iter_task", ""] {
        let _ = (types.named(name), btf.variable(name), btf.function(name));
        let _ = types.constant(name);
    }
    let _ = btf.variables().count();
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(btf) = Btf::parse(bytes, 7) {
            ask_all(&btf);
        }
    }

    /// Also circles of types, which single bits make easily.
    #[test]
    fn damaged_bytes_never_panic(
        changes in prop::collection::vec((0_usize..1200, any::<u8>()), 1..8),
        end in 0_usize..1200,
    ) {
        let mut bytes = small().finish();
        for (at, byte) in changes {
            let length = bytes.len();
            bytes[at % length] = byte;
        }
        if end > 300 {
            bytes.truncate(end);
        }
        if let Ok(btf) = Btf::parse(bytes.clone(), 7) {
            ask_all(&btf);
        }
        let base = parse(&small());
        if let Ok(btf) = Btf::split(bytes, &base, 7) {
            ask_all(&btf);
        }
    }
}
