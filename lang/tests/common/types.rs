//! Types and variables of a target that the tests know.
#![allow(unreachable_pub, dead_code)]

use hwtrace_lang::data::{
    Bits, DataType, DataTypes, Extent, Member, Record, Shape, Space, Table, TypeId,
    TypeRef, Variant, Variants,
};
use hwtrace_lang::environment::{Location, TargetVariable};

/// Where `config`, a `struct list`, lies.
pub const CONFIG: u64 = 0x1100;

/// Where a `struct shown` lies, of which the members are shown as what they stand
/// for.
pub const SHOWN: u64 = 0x1300;

/// The table, and types by the names that data probes have.
pub struct Types {
    /// Who is asked for types.
    pub table: Table,
    /// Of `process.data("NAME")`.
    watched: Vec<(&'static str, TypeRef)>,
}

fn bits(name: &str, ty: TypeId, offset: u32, width: u32) -> Member {
    let bits = Some(Bits { offset, width });
    Member { bits, ..Table::member(name, ty, 0) }
}

/// The types that others are made of.
struct Parts {
    int: TypeId,
    unsigned: TypeId,
    short: TypeId,
    char: TypeId,
    text: TypeId,
    double: TypeId,
    float: TypeId,
    boolean: TypeId,
    void: TypeId,
    color: TypeId,
    level: TypeId,
    point: TypeId,
    flags: TypeId,
    value: TypeId,
    node: TypeId,
}

fn parts(table: &mut Table) -> Parts {
    let int = table.integer("int", 4, true);
    let unsigned = table.integer("unsigned int", 4, false);
    let short = table.integer("short", 2, true);
    let char = table.add(DataType::Char { signed: true });
    table.call("char", char);
    let text = table.pointer(char);
    let double = table.add(DataType::Float { name: "double".into(), size: 8 });
    let float = table.add(DataType::Float { name: "float".into(), size: 4 });
    let boolean = table.add(DataType::Bool { size: 1 });
    let void = table.add(DataType::Void);
    let color = table.enumeration("color", 4, &[("RED", 0), ("BLUE", 5), ("GREEN", 1)]);
    let level = table.enumeration("level", 1, &[("LOW", -1), ("HIGH", 1)]);
    let point = vec![Table::member("x", int, 0), Table::member("y", int, 4)];
    let point = table.record("struct", Some("point"), 8, point);
    let flags = vec![
        bits("low", unsigned, 0, 3),
        bits("sign", int, 3, 5),
        bits("wide", unsigned, 8, 24),
    ];
    let flags = table.record("struct", Some("flags"), 4, flags);
    let bytes = table.array(char, Some(4));
    let value = vec![
        Table::member("number", int, 0),
        Table::member("real", float, 0),
        Table::member("bytes", bytes, 0),
    ];
    let value = table.record("union", Some("value"), 4, value);
    let node = table.record("struct", Some("node"), 16, Vec::new());
    let next = TypeRef::from(node).pointer();
    let members = vec![Table::member("id", int, 0), Table::member("next", next, 8)];
    let of = Table::structure(Some("node"), 16, members);
    table.set(node, DataType::Record(of));
    Parts {
        int,
        unsigned,
        short,
        char,
        text,
        double,
        float,
        boolean,
        void,
        color,
        level,
        point,
        flags,
        value,
        node,
    }
}

fn list(table: &mut Table, of: &Parts) -> TypeId {
    let inner = vec![Table::member("tag", of.int, 0)];
    let inner = table.record("union", None, 4, inner);
    let nameless = Member { name: None, ..Table::member("", inner, 76) };
    let members = vec![
        Table::member("length", of.int, 0),
        Table::member("head", TypeRef::from(of.node).pointer(), 8),
        Table::member("name", table.array(of.char, Some(8)), 16),
        Table::member("origin", of.point, 24),
        Table::member("corners", table.array(of.point, Some(2)), 32),
        Table::member("color", of.color, 48),
        Table::member("flags", of.flags, 52),
        Table::member("value", of.value, 56),
        Table::member("ready", of.boolean, 60),
        Table::member("level", of.level, 61),
        Table::member("letter", of.char, 62),
        Table::member("ratio", of.double, 64),
        Table::member("scale", of.float, 72),
        nameless,
        Table::member("title", of.text, 80),
        Table::member("history", table.array(of.short, Some(8)), 88),
    ];
    table.record("struct", Some("list"), 104, members)
}

fn variant(name: &str, values: Option<&[u64]>, ty: TypeId) -> Variant {
    let values = values.map(<[u64]>::to_vec);
    Variant { name: name.to_owned(), values, ty: ty.into(), offset: 0 }
}

/// As Rust has them: `Option<u32>`, an enum whose number is a part of its data,
/// `&str`, `&[i16]`.
fn shapes(table: &mut Table, of: &Parts) -> (TypeId, TypeId) {
    let shaped = |table: &mut Table, name: &str, size, shape| {
        let whole = Table::structure(Some(name), size, Vec::new());
        table.shaped(Record { shape, ..whole })
    };
    let none = table.record("struct", Some("None"), 8, Vec::new());
    let some =
        table.record("struct", Some("Some"), 8, vec![Table::member("__0", of.int, 4)]);
    let option = Variants {
        discriminant: Some((of.unsigned.into(), 0)),
        all: vec![
            variant("None", Some(&[0]), none),
            variant("Some", Some(&[1, 7]), some),
        ],
    };
    let option = shaped(table, "Option<i32>", 8, Shape::Variants(option));
    let fields = vec![Table::member("x", of.int, 0), Table::member("y", of.int, 4)];
    let point = table.record("struct", Some("Point"), 8, fields);
    let gap = Variants {
        discriminant: Some((of.unsigned.into(), 4)),
        all: vec![
            variant("Point", None, point),
            variant("Nothing", Some(&[0x8000_0000]), none),
        ],
    };
    let gap = shaped(table, "Gap", 8, Shape::Variants(gap));
    let extent = Extent { data: 0, length: 8 };
    let text = shaped(table, "&str", 16, Shape::Text(extent));
    let numbers = Shape::Slice { extent, of: of.short.into() };
    let numbers = shaped(table, "&[i16]", 16, numbers);
    let points = Shape::Slice { extent, of: of.point.into() };
    let points = shaped(table, "&[Point]", 16, points);
    let members = vec![
        Table::member("text", text, 0),
        Table::member("empty", text, 16),
        Table::member("short", numbers, 32),
        Table::member("long", numbers, 48),
        Table::member("points", points, 64),
        Table::member("some", option, 80),
        Table::member("none", option, 88),
        Table::member("odd", option, 96),
        Table::member("point", gap, 104),
        Table::member("nothing", gap, 112),
    ];
    (table.record("struct", Some("shown"), 120, members), option)
}

impl Default for Types {
    fn default() -> Self {
        let mut table = Table::default();
        let parts = parts(&mut table);
        let list = list(&mut table, &parts);
        let (shown, option) = shapes(&mut table, &parts);
        table.call("list_t", list);
        table.put("config", list, CONFIG);
        table.put("counter@main.c", parts.int, CONFIG);
        let pointer = |to: TypeId| TypeRef::from(to).pointer();
        let watched = vec![
            ("list", pointer(list)),
            ("color", parts.color.into()),
            ("level", parts.level.into()),
            ("ready", parts.boolean.into()),
            ("ratio", parts.double.into()),
            ("scale", parts.float.into()),
            ("delta", parts.int.into()),
            ("unsigned", parts.unsigned.into()),
            ("letter", parts.char.into()),
            ("point", parts.point.into()),
            ("flags", parts.flags.into()),
            ("text", parts.text.into()),
            ("anything", pointer(parts.void)),
            ("shown", pointer(shown)),
            ("option", option.into()),
        ];
        Self { table, watched }
    }
}

impl Types {
    /// The variables of a probe for objects.
    pub fn object_variables(&self, ty: Option<TypeRef>) -> Vec<TargetVariable> {
        let variable = |name| TargetVariable { ty, ..TargetVariable::field(name, name) };
        vec![variable("new"), variable("old")]
    }

    /// The variables of a data probe; those of data that is not known here
    /// have no type.
    pub fn variables(&self, watched: Option<&str>) -> Vec<TargetVariable> {
        let variable = |name| TargetVariable::field(name, name);
        let known = self.watched.iter().find(|(name, _)| Some(*name) == watched);
        let Some((_, ty)) = known else {
            return vec![variable("new"), variable("old")];
        };
        let config = self.table.variable("config", None);
        let here = TargetVariable {
            name: "here".into(),
            ty: config.ok().map(|config| config.ty),
            location: Location::Memory(CONFIG),
            space: Space::User,
        };
        let raw = TargetVariable { name: "raw".into(), ty: None, ..here.clone() };
        let picture = Location::Picture(CONFIG);
        let picture =
            TargetVariable { name: "picture".into(), location: picture, ..here.clone() };
        vec![variable("new").of(*ty), variable("old").of(*ty), here, raw, picture]
    }
}
