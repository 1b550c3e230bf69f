//! Functions of the running kernel, from `/proc/kallsyms`.
//!
//! A line is `ffffffff821e8cf0 T rep_movs_alternative`, and for a module's symbol its
//! name follows: `ffffffffc0201000 t nft_do_chain\t[nf_tables]` (`s_show` in
//! kernel/kallsyms.c). Symbols have no length: one ends where the next starts.
//! Without privilege all addresses are zero (`kernel.kptr_restrict` in
//! Documentation/admin-guide/sysctl/kernel.rst), and then nothing has a name.

use std::fs::File;
use std::io::Read;
use std::num::NonZeroU16;

use crate::address::AbsAddr;

/// Functions of a kernel by address, in some 40 bytes each, the name included.
#[derive(Debug, Default)]
pub struct KernelSymbols {
    /// Sorted by `start`, one at each.
    entries: Vec<Entry>,
    names: Names,
}

/// A function, or something else that ends the one before it.
#[derive(Clone, Copy, Debug)]
struct Entry {
    start: u64,
    /// None for what is no function.
    name: Option<Name>,
}

/// A function of the kernel that covers an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelFunction<'a> {
    /// Where it starts.
    pub start: AbsAddr,
    /// Bytes up to what follows it.
    pub size: u64,
    /// Its name.
    pub name: &'a str,
    /// The module that it is in; `kernel` for the kernel itself.
    pub module: &'a str,
}

/// What [`KernelFunction::module`] says of what is in no module.
pub const KERNEL: &str = "kernel";

/// A kernel has some 200 000 symbols, in some 12 MB of text; more is not read.
const MAX_TEXT: u64 = 64 << 20;
const MAX_SYMBOLS: usize = 1 << 20;
/// `KSYM_NAME_LEN` in include/linux/kallsyms.h.
const MAX_NAME: usize = 512;
/// No function is longer: where nothing is known to follow soon, an address is
/// not the last function's.
const MAX_FUNCTION: u64 = 1 << 20;

impl KernelSymbols {
    /// Those of the running kernel; none where they may not be seen.
    pub fn running() -> Self {
        running().map(|text| Self::parse(&text)).unwrap_or_default()
    }

    /// Takes the text of `/proc/kallsyms`. What is no line of it is passed over.
    pub fn parse(text: &[u8]) -> Self {
        let mut symbols = Self::default();
        for line in lines(text).filter(|line| line.address.is_kernel()) {
            let function = line.kind == Kind::Function;
            let name = if function { symbols.names.add(&line) } else { None };
            symbols.entries.push(Entry { start: line.address.0, name });
        }
        // Of several at one address the first, as the kernel does in its own
        // messages, but a function before all else.
        symbols.entries.sort_by_key(|entry| (entry.start, entry.name.is_none()));
        symbols.entries.dedup_by_key(|entry| entry.start);
        // Of neighbours that are no functions, one is enough as an end.
        symbols.entries.dedup_by_key(|entry| match entry.name {
            None => u64::MAX,
            Some(_) => entry.start,
        });
        symbols.entries.shrink_to_fit();
        symbols.names.text.shrink_to_fit();
        symbols
    }

    /// Is there none, as without the privilege to see them?
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Where functions of the kernel itself start, with their names.
    pub(crate) fn functions(&self) -> impl Iterator<Item = (AbsAddr, &str)> {
        self.entries.iter().filter_map(|entry| {
            let (name, module) = self.names.get(entry.name?)?;
            (module == KERNEL).then_some((AbsAddr(entry.start), name))
        })
    }

    /// The function that covers an address.
    pub fn function_at(&self, address: AbsAddr) -> Option<KernelFunction<'_>> {
        let after = self.entries.partition_point(|entry| entry.start <= address.0);
        let entry = self.entries.get(after.checked_sub(1)?)?;
        let longest = entry.start.saturating_add(MAX_FUNCTION);
        let next = self.entries.get(after).map_or(longest, |next| next.start);
        let end = next.min(longest);
        let (name, module) = self.names.get(entry.name?)?;
        (address.0 < end).then_some(KernelFunction {
            start: AbsAddr(entry.start),
            size: end - entry.start,
            name,
            module,
        })
    }
}

/// Whether the kernel lets us know addresses of its own. It is asked, and not its settings:
/// what they mean it decides for each who opens the file (kernel/ksyms_common.c,
/// `kallsyms_show_value`): nobody where `kernel.kptr_restrict` is 2; with CAP_SYSLOG; or
/// where that is 0 and `kernel.perf_event_paranoid` at most 1. Without the file: no.
pub fn addresses_are_shown() -> bool {
    let mut text = Vec::new();
    let file = File::open("/proc/kallsyms");
    let read = file.and_then(|file| file.take(MAX_START).read_to_end(&mut text));
    read.is_ok() && lines(&text).any(|line| line.address.0 != 0)
}

/// The first symbols may be absolute ones, the very first of them zero.
const MAX_START: u64 = 16 << 10;

/// The text of the running kernel.
pub(super) fn running() -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open("/proc/kallsyms")?.take(MAX_TEXT).read_to_end(&mut text)?;
    Ok(text)
}

/// Names of symbols and of the modules that they are in.
#[derive(Debug)]
pub(super) struct Names {
    /// All names, one behind the other.
    text: String,
    /// Modules by their number; the first is the kernel itself.
    modules: Vec<String>,
}

impl Default for Names {
    fn default() -> Self {
        Self { text: String::new(), modules: vec![KERNEL.to_owned()] }
    }
}

/// One of [`Names`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Name {
    /// Where it starts in the text.
    start: u32,
    /// Never zero, so that having none takes no room.
    length: NonZeroU16,
    module: u16,
}

impl Names {
    pub(super) fn add(&mut self, line: &Line<'_>) -> Option<Name> {
        let module = self.module(line.module)?;
        let start = u32::try_from(self.text.len()).ok()?;
        let length = NonZeroU16::new(u16::try_from(line.name.len()).ok()?)?;
        self.text.push_str(line.name);
        Some(Name { start, length, module })
    }

    /// The number of a module. Its symbols follow one another.
    fn module(&mut self, name: &str) -> Option<u16> {
        if name == KERNEL {
            return Some(0);
        }
        if self.modules.last().is_none_or(|last| last != name) {
            u16::try_from(self.modules.len()).ok()?;
            self.modules.push(name.to_owned());
        }
        u16::try_from(self.modules.len() - 1).ok()
    }

    /// A name, and the module that it is in.
    pub(super) fn get(&self, name: Name) -> Option<(&str, &str)> {
        let start = usize::try_from(name.start).ok()?;
        let text = self.text.get(start..start + usize::from(name.length.get()))?;
        Some((text, self.modules.get(usize::from(name.module))?))
    }
}

/// What a line says.
pub(super) struct Line<'a> {
    /// Zero where it may not be seen.
    pub(super) address: AbsAddr,
    pub(super) kind: Kind,
    pub(super) name: &'a str,
    pub(super) module: &'a str,
}

/// What a symbol is, by its letter (nm(1)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Function,
    Data,
    /// A number: before Linux 6.15 also the offset of a variable that each CPU has.
    Absolute,
    Other,
}

/// The symbols of a text.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = Line<'_>> {
    text.split(|&byte| byte == b'\n').filter_map(Line::parse).take(MAX_SYMBOLS)
}

impl<'a> Line<'a> {
    fn parse(line: &'a [u8]) -> Option<Self> {
        if line.len() > 2 * MAX_NAME {
            return None;
        }
        let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
        let address = AbsAddr(u64::from_str_radix(words.next()?, 16).ok()?);
        let kind = match words.next()? {
            "t" | "T" | "w" | "W" => Kind::Function,
            "d" | "D" | "b" | "B" | "r" | "R" | "v" | "V" => Kind::Data,
            "a" | "A" => Kind::Absolute,
            _ => Kind::Other,
        };
        let name = words.next().filter(|name| name.len() < MAX_NAME)?;
        let module = match words.next() {
            Some(module) => module.strip_prefix('[')?.strip_suffix(']')?,
            None => KERNEL,
        };
        Some(Self { address, kind, name, module })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &[u8] = b"\
0000000000001000 A cpu_info
ffffffff81000000 T _stext
ffffffff81000000 T _text
ffffffff81000000 D first_data
ffffffff81000100 t copy
ffffffff81000160 T copy_end
ffffffff81000170 D some_data
ffffffff81000178 D other_data
ffffffff81000200 W weak
ffffffffc0201040 t nft_do_chain\t[nf_tables]
ffffffffc0201000 t nft_init\t[nf_tables]
ffffffffc0202000 d nft_data\t[nf_tables]
ffffffffc0300000 t bpf_prog_6deef7357e7b4530\t[bpf]
";

    fn at(symbols: &KernelSymbols, address: u64) -> Option<(&str, u64, u64, &str)> {
        let found = symbols.function_at(AbsAddr(address))?;
        Some((found.name, address - found.start.0, found.size, found.module))
    }

    #[test]
    fn functions_of_the_kernel_and_of_modules() {
        let symbols = KernelSymbols::parse(TEXT);
        for (address, expected) in [
            (0x1000, None),
            (0xffff_ffff_80ff_ffff, None),
            (0xffff_ffff_8100_0000, Some(("_stext", 0, 0x100, KERNEL))),
            (0xffff_ffff_8100_011a, Some(("copy", 0x1a, 0x60, KERNEL))),
            (0xffff_ffff_8100_016f, Some(("copy_end", 0xf, 0x10, KERNEL))),
            (0xffff_ffff_8100_0170, None),
            (0xffff_ffff_8100_01ff, None),
            (0xffff_ffff_8100_0210, Some(("weak", 0x10, MAX_FUNCTION, KERNEL))),
            (0xffff_ffff_8120_0000, None),
            (0xffff_ffff_c020_1041, Some(("nft_do_chain", 1, 0xfc0, "nf_tables"))),
            (0xffff_ffff_c020_1000, Some(("nft_init", 0, 0x40, "nf_tables"))),
            (0xffff_ffff_c020_2000, None),
            (
                0xffff_ffff_c030_0004,
                Some(("bpf_prog_6deef7357e7b4530", 4, MAX_FUNCTION, "bpf")),
            ),
            (u64::MAX, None),
        ] {
            assert_eq!(at(&symbols, address), expected, "{address:#x}");
        }
    }

    #[test]
    fn without_privilege_nothing_has_a_name() {
        let text = b"0000000000000000 T _stext\n0000000000000000 t a\t[m]\n";
        assert!(KernelSymbols::parse(text).is_empty());
        assert_eq!(KernelSymbols::default().function_at(AbsAddr(u64::MAX)), None);
    }

    #[test]
    fn the_running_kernel() {
        let symbols = KernelSymbols::running();
        let text = std::fs::read_to_string("/proc/kallsyms").unwrap_or_default();
        let wanted = text.lines().find(|line| line.ends_with(" T schedule"));
        let address = wanted.and_then(|line| u64::from_str_radix(&line[..16], 16).ok());
        let Some(address) = address.filter(|&address| address != 0) else {
            eprintln!("SKIPPED: the kernel's symbols may not be seen");
            return;
        };
        let (name, offset, size, module) = at(&symbols, address + 3).expect("code");
        assert_eq!((name, offset, module), ("schedule", 3, KERNEL));
        assert!((4..4096).contains(&size));
        let bytes = symbols.names.text.len() + symbols.entries.len() * size_of::<Entry>();
        assert!(bytes < text.len(), "{bytes}");
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics(
            text in prop::collection::vec(any::<u8>(), 0..400), address: u64,
        ) {
            let _ = KernelSymbols::parse(&text).function_at(AbsAddr(address));
        }

        #[test]
        fn damaged_text_never_panics(
            changes in prop::collection::vec((0..TEXT.len(), any::<u8>()), 0..20),
            low: u32,
            end in 0..=TEXT.len(),
        ) {
            let mut text = TEXT.to_vec();
            for (at, byte) in changes {
                text[at] = byte;
            }
            let symbols = KernelSymbols::parse(&text[..end]);
            let address = AbsAddr(0xffff_ffff_0000_0000 | u64::from(low));
            if let Some(found) = symbols.function_at(address) {
                prop_assert!(found.start <= address);
                prop_assert!(address.0 - found.start.0 < found.size);
            }
        }
    }
}
