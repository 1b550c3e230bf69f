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
            format!("{} [{length}]", within(types, *of, depth))
        }
    }
}

/// C needs its keywords; names of other languages have their paths.
fn tagged(keyword: &str, name: Option<&str>) -> String {
    match name {
        Some(name) if name.contains("::") => name.to_owned(),
        Some(name) => format!("{keyword} {name}"),
        None => format!("{keyword} {{…}}"),
    }
}
