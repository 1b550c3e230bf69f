//! The objects that handlers watch.

use super::{Context, enter};
use crate::world::World;

/// The number of a name; those of all calls are literals of the script.
fn number(world: &World, name: u64) -> Option<u32> {
    let number = world.object_names.iter().position(|own| own.0 == name)?;
    u32::try_from(number).ok()
}

/// Watched from now on, as the session gets to it.
pub(super) extern "C" fn watch(
    context: Context,
    name: u64,
    address: i64,
    length: i64,
) -> i64 {
    let (world, record) = enter(context);
    let pid = world.asked_of(record);
    let Some(name) = number(world, name) else { return 0 };
    world.objects.watch((name, pid), address, length, record.time).into()
}

/// No handler runs for it any more.
pub(super) extern "C" fn unwatch(context: Context, name: u64, address: i64) -> i64 {
    let (world, record) = enter(context);
    let pid = world.asked_of(record);
    let Some(name) = number(world, name) else { return 0 };
    world.objects.unwatch((name, pid), address, record.time)
}
