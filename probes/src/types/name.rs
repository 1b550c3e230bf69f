//! What a type is called.

use super::{NESTING_MAX, Type, TypeId, Types};

/// The type as its source writes it: `struct node *`, `int [3]`, `uint32_t`,
/// `app::Pool &`.
pub fn type_name(types: &dyn Types, id: TypeId) -> String {
    within(types, id, NESTING_MAX)
}

fn within(types: &dyn Types, id: TypeId, depth: u32) -> String {
    let Some(depth) = depth.checked_sub(1) else { return "…".to_owned() };
    match &*types.get(id) {
        Type::Void => "void".to_owned(),
        Type::Alias { name, .. }
        | Type::Integer { name, .. }
        | Type::Char { name, .. }
        | Type::Bool { name, .. }
        | Type::Float { name, .. } => name.clone(),
        Type::Enumeration(enumeration) => tagged("enum", enumeration.name.as_deref()),
        Type::Record(record) => tagged(record.keyword, record.name.as_deref()),
        Type::Pointer { to, reference } => {
            let to = within(types, *to, depth);
            let blank = if to.ends_with(['*', '&']) { "" } else { " " };
            format!("{to}{blank}{}", if *reference { '&' } else { '*' })
        }
        Type::Array { of, length } => {
            let length = length.map_or_else(String::new, |length| length.to_string());
            // Of several dimensions the outermost is written first.
            let element = within(types, *of, depth);
            match (&*types.get(*of), element.find(" [")) {
                (Type::Array { .. }, Some(at)) => {
                    format!("{} [{length}]{}", &element[..at], &element[at + 1..])
                }
                _ => format!("{element} [{length}]"),
            }
        }
    }
}

/// C needs its keywords; what is no name in C is one of another language: with a path,
/// or `&str`.
fn tagged(keyword: &str, name: Option<&str>) -> String {
    let in_c = |c: char| c.is_alphanumeric() || c == '_';
    match name {
        Some(name) if !name.chars().all(in_c) => name.to_owned(),
        Some(name) => format!("{keyword} {name}"),
        None => format!("{keyword} {{…}}"),
    }
}
