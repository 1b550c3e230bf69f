//! The other way: from an address to the variable and member there.

use super::path::path_at;
use crate::address::{AbsAddr, VirtOffset};
use crate::image::{Image, Module};
use crate::symbols::demangle;

/// `cache.slots[4].next`, with `+2` behind it where the address is not the member's
/// first byte. The greatest part of a variable that begins there is named. None for
/// what is in no variable.
pub fn describe(image: &Image, address: AbsAddr) -> Option<String> {
    let module = image.modules().get(image.module_at(address)?)?;
    let virt = module.virt(address)?;
    by_type(image, module, virt).or_else(|| by_symbol(module, virt))
}

fn by_type(image: &Image, module: &Module, virt: VirtOffset) -> Option<String> {
    use crate::types::Place;
    let variable = module.debug().ok()?.variable_at(virt)?;
    let Place::Fixed(start) = variable.place else { return None };
    let offset = virt.0.checked_sub(start.0)?;
    let at = path_at(image, variable.ty, offset);
    Some(with_rest(format!("{}{}", variable.name, at.path), at.rest))
}

fn by_symbol(module: &Module, virt: VirtOffset) -> Option<String> {
    let symbol = module.elf()?.data_at(virt)?;
    let raw = symbol.raw_text();
    let name = demangle::data_name(&raw).unwrap_or_else(|| raw.into_owned());
    Some(with_rest(name, virt.0.checked_sub(symbol.start.0)?))
}

fn with_rest(name: String, rest: u64) -> String {
    match rest {
        0 => name,
        rest => format!("{name}+{rest}"),
    }
}
