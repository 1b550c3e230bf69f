//! How much was seen of what happened.

use super::{Context, enter, settle};
use crate::abi::FaultCode;
use crate::schema::HitRecord;
use crate::slots::coverage::Estimate;
use crate::strings::StringHandle;
use crate::world::World;

/// What was seen of data, by its name.
fn counted(
    world: &mut World,
    record: &HitRecord,
    name: StringHandle,
) -> Result<Estimate, FaultCode> {
    match world.outside.counted(&world.strings, name, record.time) {
        Some(estimate) => Ok(estimate),
        None => {
            let why = [b"no probe watches `", world.strings.get(name), b"`"].concat();
            world.fail(FaultCode::UserError, &why)
        }
    }
}

/// Of the data of the hit; outside of hits of all.
fn share(world: &World, record: &HitRecord) -> f64 {
    let watch = (record.data_length > 0).then_some(record.watch);
    world.outside.counts.share(watch, record.time)
}

pub(super) extern "C" fn seen(context: Context, name: u64) -> i64 {
    let (world, record) = enter(context);
    let counted = counted(world, record, StringHandle(name));
    settle(context, counted.map(|estimate| estimate.seen as i64))
}

pub(super) extern "C" fn estimated(context: Context, name: u64) -> i64 {
    let (world, record) = enter(context);
    let counted = counted(world, record, StringHandle(name));
    settle(context, counted.map(|estimate| estimate.estimated.round() as i64))
}

pub(super) extern "C" fn estimated_error(context: Context, name: u64) -> i64 {
    let (world, record) = enter(context);
    let counted = counted(world, record, StringHandle(name));
    let error = |estimate: Estimate| estimate.error().map_or(-1, |it| it.round() as i64);
    settle(context, counted.map(error))
}

pub(super) extern "C" fn coverage(context: Context, name: u64) -> f64 {
    let (world, record) = enter(context);
    let name = StringHandle(name);
    if world.strings.get(name).is_empty() {
        return share(world, record);
    }
    let counted = counted(world, record, name);
    settle(context, counted.map(|estimate| estimate.coverage()))
}

/// Who was seen was watched, if only for a moment.
pub(super) extern "C" fn weight(context: Context) -> f64 {
    let (world, record) = enter(context);
    match share(world, record) {
        share if share > 0.0 => 1.0 / share,
        _ => 1.0,
    }
}
