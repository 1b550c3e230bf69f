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
        Type::Array { of, length } => array(types, *of, *length, depth),
    }
}

/// `int [2][3]`: two arrays of three. The elements' name comes first, whatever they
/// are arrays of.
fn array(types: &dyn Types, of: TypeId, length: Option<u64>, depth: u32) -> String {
    let bounds = |length: Option<u64>| {
        format!("[{}]", length.map_or_else(String::new, |length| length.to_string()))
    };
    let (mut of, mut all) = (of, bounds(length));
    for _ in 0..depth {
        let Type::Array { of: inner, length } = *types.get(of) else { break };
        all.push_str(&bounds(length));
        of = inner;
    }
    format!("{} {all}", within(types, of, depth))
}

/// C needs its keywords; names of other languages have their paths.
fn tagged(keyword: &str, name: Option<&str>) -> String {
    match name {
        Some(name) if name.contains("::") => name.to_owned(),
        Some(name) => format!("{keyword} {name}"),
        None => format!("{keyword} {{…}}"),
    }
}
