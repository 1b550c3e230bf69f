//! The kernel's debug information, where its package is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::address::{AbsAddr, LoadBias, VirtOffset};
use crate::dwarf::{Dwarf, Frame};
use crate::symbols::{Elf, KernelSymbols, load};

/// The kernel as a file with debug information, and where it is loaded.
#[derive(Debug)]
pub(super) struct KernelDebug {
    elf: Arc<Elf>,
    dwarf: Dwarf,
    bias: LoadBias,
}

/// So many functions are tried for one of which there is only one.
const TRIED_MAX: usize = 64;

impl KernelDebug {
    /// That of the running kernel. None where no file has it, or where the kernel's
    /// symbols may not be seen: it is loaded at another address at each boot.
    pub(super) fn running(symbols: &KernelSymbols) -> Option<Self> {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
        let root = Path::new("/");
        candidates(root, release.trim()).iter().find_map(|path| Self::open(path, symbols))
    }

    pub(super) fn open(path: &Path, symbols: &KernelSymbols) -> Option<Self> {
        let elf = Arc::new(Elf::parse(load(path).ok()?).ok()?);
        let dwarf = Dwarf::open(&elf, path, Path::new("/"), 0).ok()?;
        let mut functions = symbols.functions().take(TRIED_MAX);
        let bias = functions.find_map(|(start, name)| {
            Some(LoadBias::between(elf.only_function(name)?, start))
        })?;
        Some(Self { elf, dwarf, bias })
    }

    /// The functions that the instruction at an address is of, which is `offset` bytes
    /// behind the start of a function of the running kernel.
    pub(super) fn frames(&self, address: AbsAddr, offset: u64) -> Vec<Frame> {
        let virt = self.bias.to_virt(address);
        // A file of another build has other functions, which would give wrong lines.
        let start = self.elf.function_at(virt).map(|function| function.start);
        if start != virt.0.checked_sub(offset).map(VirtOffset) {
            return Vec::new();
        }
        self.dwarf.frames_at(virt)
    }
}

/// Where distributions put it.
fn candidates(root: &Path, release: &str) -> [PathBuf; 3] {
    [
        root.join(format!("usr/lib/debug/boot/vmlinux-{release}")),
        root.join(format!("usr/lib/debug/lib/modules/{release}/vmlinux")),
        root.join(format!("boot/vmlinux-{release}")),
    ]
}
