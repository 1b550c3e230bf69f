//! The three meanings of a number that locates something in a program, one
//! type for each, so that one is never taken for another.
//!
//! A load bias turns a [`VirtOffset`] of a file into an [`AbsAddr`] of a
//! process; the program headers turn a [`FileOffset`] into a [`VirtOffset`].

use std::fmt;

macro_rules! address_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl $name {
            /// The address `bytes` further up; `None` past the end of the address space.
            pub fn checked_add(self, bytes: u64) -> Option<Self> {
                self.0.checked_add(bytes).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
    };
}

address_type! {
    /// An absolute address in the memory of a process.
    AbsAddr
}
address_type! {
    /// An address in an ELF file's own address space (`st_value`, `p_vaddr`),
    /// before the file is loaded anywhere.
    VirtOffset
}
address_type! {
    /// A position in a file, in bytes from its start.
    FileOffset
}

/// What the loader added to every [`VirtOffset`] of a file: 0 for an executable
/// with fixed addresses (`ET_EXEC`).
///
/// The arithmetic wraps, because a file linked at a high address and loaded at a
/// low one has a negative bias.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LoadBias(pub u64);

impl LoadBias {
    /// The bias that takes `virt` to `abs`.
    pub fn between(virt: VirtOffset, abs: AbsAddr) -> Self {
        LoadBias(abs.0.wrapping_sub(virt.0))
    }

    /// Where `virt` lies in the process.
    pub fn to_abs(self, virt: VirtOffset) -> AbsAddr {
        AbsAddr(virt.0.wrapping_add(self.0))
    }

    /// Which address of the file lies at `abs`.
    pub fn to_virt(self, abs: AbsAddr) -> VirtOffset {
        VirtOffset(abs.0.wrapping_sub(self.0))
    }
}

impl AbsAddr {
    /// Is it in the upper half of all addresses, which is the kernel's
    /// (Documentation/arch/x86/x86_64/mm.rst)?
    pub fn is_kernel(self) -> bool {
        self.0 >> 63 == 1
    }
}

/// The first address above all user memory: user addresses have at most 56 bits,
/// with five page-table levels (Documentation/arch/x86/x86_64/mm.rst); the kernel
/// has the upper half.
pub const USER_SPACE_END: AbsAddr = AbsAddr(1 << 56);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bias_goes_both_ways_also_downwards() {
        let bias = LoadBias::between(VirtOffset(0x4000), AbsAddr(0x5555_0000_4000));
        assert_eq!(bias.to_abs(VirtOffset(0x4010)), AbsAddr(0x5555_0000_4010));
        let down = LoadBias::between(VirtOffset(0x9000), AbsAddr(0x1000));
        assert_eq!(down.to_abs(VirtOffset(0x9008)), AbsAddr(0x1008));
        assert_eq!(down.to_virt(AbsAddr(0x1008)), VirtOffset(0x9008));
    }

    #[test]
    fn addresses_print_in_hex() {
        assert_eq!(AbsAddr(0x404028).to_string(), "0x404028");
        assert_eq!(AbsAddr(u64::MAX).checked_add(1), None);
    }
}
