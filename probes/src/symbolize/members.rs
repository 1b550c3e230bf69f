//! Which part of a variable is so many bytes behind its start.

use crate::types::{Member, NESTING_MAX, Record, Type, TypeId, Types};

/// The greatest part that begins at `offset` of data of type `ty`, written as behind
/// the variable's name (`.slots[4].next`); or the smallest one that covers it, and how
/// many bytes of that lie before.
pub(super) fn member_at(types: &dyn Types, ty: TypeId, offset: u64) -> (String, u64) {
    let (mut path, mut ty, mut rest) = (String::new(), ty, offset);
    for _ in 0..NESTING_MAX {
        if rest == 0 {
            break;
        }
        match &*types.plain(ty).1 {
            Type::Array { of, length } => {
                let Some(size) = types.size(*of).filter(|&size| size > 0) else { break };
                let index = rest / size;
                if length.is_some_and(|length| index >= length) {
                    break;
                }
                path.push_str(&format!("[{index}]"));
                (ty, rest) = (*of, rest % size);
            }
            Type::Record(record) => {
                let Some(member) = covering(types, record, rest) else { break };
                if let Some(name) = &member.name {
                    path.push('.');
                    path.push_str(name);
                }
                (ty, rest) = (member.ty, rest - member.offset);
            }
            _ => break,
        }
    }
    (path, rest)
}

/// Of several members, as unions have them, that which begins last, and rather one
/// that has parts where the place is inside of it.
fn covering<'r>(
    types: &dyn Types,
    record: &'r Record,
    offset: u64,
) -> Option<&'r Member> {
    let covers = |member: &&Member| {
        let size = types.size(member.ty).unwrap_or(0);
        let distance = offset.checked_sub(member.offset);
        distance.is_some_and(|distance| distance < size)
    };
    // Members of one without a name are named as if they were those of the whole.
    let named = |member: &&Member| member.name.is_some() || has_parts(types, member.ty);
    let members = record.members.iter().filter(covers).filter(named);
    members.min_by_key(|member| {
        let distance = offset - member.offset;
        (distance, distance > 0 && !has_parts(types, member.ty))
    })
}

fn has_parts(types: &dyn Types, ty: TypeId) -> bool {
    matches!(&*types.plain(ty).1, Type::Record(_) | Type::Array { .. })
}
