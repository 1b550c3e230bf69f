//! Types and variables of a target that the tests know.
#![allow(unreachable_pub, dead_code)]

use hwtrace_lang::data::{Bits, DataType, Member, Space, Table, TypeId, TypeRef};
use hwtrace_lang::environment::{Location, TargetVariable};

/// Where `config`, a `struct list`, lies.
pub const CONFIG: u64 = 0x1100;

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

impl Default for Types {
    fn default() -> Self {
        let mut table = Table::default();
        let int = table.integer("int", 4, true);
        let unsigned = table.integer("unsigned int", 4, false);
        let short = table.integer("short", 2, true);
        let char = table.add(DataType::Char { signed: true });
        table.call("char", char);
        let double = table.add(DataType::Float { name: "double".into(), size: 8 });
        let float = table.add(DataType::Float { name: "float".into(), size: 4 });
        let boolean = table.add(DataType::Bool { size: 1 });
        let void = table.add(DataType::Void);
        let color =
            table.enumeration("color", 4, &[("RED", 0), ("BLUE", 5), ("GREEN", 1)]);
        let level = table.enumeration("level", 1, &[("LOW", -1), ("HIGH", 1)]);
        let member = |name, ty: TypeId, offset| Table::member(name, ty, offset);
        let point = vec![member("x", int, 0), member("y", int, 4)];
        let point = table.record("struct", Some("point"), 8, point);
        let flags = vec![
            bits("low", unsigned, 0, 3),
            bits("sign", int, 3, 5),
            bits("wide", unsigned, 8, 24),
        ];
        let flags = table.record("struct", Some("flags"), 4, flags);
        let bytes = table.array(char, Some(4));
        let value = vec![
            member("number", int, 0),
            member("real", float, 0),
            member("bytes", bytes, 0),
        ];
        let value = table.record("union", Some("value"), 4, value);
        let node = table.add(DataType::Void);
        let next = table.pointer(node);
        let node = vec![member("id", int, 0), member("next", next, 8)];
        let node = table.record("struct", Some("node"), 16, node);
        table.set(
            TypeId(next.0 - 1),
            (*hwtrace_lang::data::DataTypes::get(&table, node)).clone(),
        );
        let inner = table.record("union", None, 4, vec![member("tag", int, 0)]);
        let text = table.pointer(char);
        let (name, corners, history) = (
            table.array(char, Some(8)),
            table.array(point, Some(2)),
            table.array(short, Some(8)),
        );
        let nameless = Member { name: None, ..member("", inner, 76) };
        let list = vec![
            member("length", int, 0),
            member("head", next, 8),
            member("name", name, 16),
            member("origin", point, 24),
            member("corners", corners, 32),
            member("color", color, 48),
            member("flags", flags, 52),
            member("value", value, 56),
            member("ready", boolean, 60),
            member("level", level, 61),
            member("letter", char, 62),
            member("ratio", double, 64),
            member("scale", float, 72),
            nameless,
            member("title", text, 80),
            member("history", history, 88),
        ];
        let list = table.record("struct", Some("list"), 104, list);
        table.call("list_t", list);
        table.put("config", list, CONFIG);
        table.put("counter@main.c", int, CONFIG);
        let pointer = |to: TypeId| TypeRef::from(to).pointer();
        let watched = vec![
            ("list", pointer(list)),
            ("color", color.into()),
            ("level", level.into()),
            ("ready", boolean.into()),
            ("ratio", double.into()),
            ("scale", float.into()),
            ("delta", int.into()),
            ("unsigned", unsigned.into()),
            ("letter", char.into()),
            ("point", point.into()),
            ("flags", flags.into()),
            ("text", text.into()),
            ("anything", pointer(void)),
        ];
        Self { table, watched }
    }
}

impl Types {
    /// The variables of a data probe; those of data that is not known here
    /// have no type.
    pub fn variables(&self, watched: Option<&str>) -> Vec<TargetVariable> {
        let variable = |name| TargetVariable::field(name, name);
        let known = self.watched.iter().find(|(name, _)| Some(*name) == watched);
        let Some((_, ty)) = known else {
            return vec![variable("new"), variable("old")];
        };
        let config = hwtrace_lang::data::DataTypes::variable(&self.table, "config", None);
        let here = TargetVariable {
            name: "here".into(),
            ty: config.ok().map(|config| config.ty),
            location: Location::Memory(CONFIG),
            space: Space::User,
        };
        vec![variable("new").of(*ty), variable("old").of(*ty), here]
    }
}
