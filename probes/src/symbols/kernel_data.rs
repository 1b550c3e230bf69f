//! Variables of the running kernel, from `/proc/kallsyms`.
//!
//! All of them are there only where the kernel was built with
//! CONFIG_KALLSYMS_ALL; without, the few that lie among the code and some marks of
//! the linker. A symbol has no length: the next one is where it ends at the latest.

use super::kallsyms::{Kind, Name, Names, lines, running};
use super::nearest::nearest;
use crate::address::AbsAddr;

/// Variables of a kernel.
#[derive(Debug, Default)]
pub struct KernelData {
    /// Sorted by `start`, several at one where they have several names.
    entries: Vec<Entry>,
    names: Names,
    hidden: bool,
}

/// A variable, or something else that ends the one before it.
#[derive(Clone, Copy, Debug)]
struct Entry {
    start: u64,
    /// None for what is no variable.
    name: Option<Name>,
}

/// A variable of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelVariable<'a> {
    /// Where it starts; where it lies in the area of each CPU if that is no address
    /// of the kernel, as it was before Linux 6.15.
    pub start: AbsAddr,
    /// Bytes up to what follows it.
    pub size: u64,
    /// Its name.
    pub name: &'a str,
    /// The module that it is in; `kernel` for the kernel itself.
    pub module: &'a str,
}

/// Every kernel has it among its data, if it tells of those.
const ALWAYS: &str = "init_task";

impl KernelData {
    /// Those of the running kernel; none where they may not be seen.
    pub fn running() -> Self {
        running().map(|text| Self::parse(&text)).unwrap_or_default()
    }

    /// Takes the text of `/proc/kallsyms`. What is no line of it is passed over.
    pub fn parse(text: &[u8]) -> Self {
        let mut data = Self { hidden: true, ..Self::default() };
        for line in lines(text) {
            data.hidden &= line.address.0 == 0;
            let variable = match line.kind {
                Kind::Data => line.address.is_kernel(),
                Kind::Absolute => !line.address.is_kernel(),
                Kind::Function | Kind::Other => false,
            };
            let name = if variable { data.names.add(&line) } else { None };
            data.entries.push(Entry { start: line.address.0, name });
        }
        data.hidden &= !data.entries.is_empty();
        if data.hidden {
            data.entries.clear();
        }
        data.entries.sort_by_key(|entry| (entry.start, entry.name.is_none()));
        // What is nothing but an end is needed only once.
        data.entries.dedup_by(|after, before| {
            after.name.is_none() && (before.name.is_none() || before.start == after.start)
        });
        data.entries.shrink_to_fit();
        data
    }

    /// Are there symbols of which the kernel shows no address?
    pub fn is_hidden(&self) -> bool {
        self.hidden
    }

    /// Was the kernel built to tell of all its variables?
    pub fn is_complete(&self) -> bool {
        self.named(ALWAYS).next().is_some()
    }

    /// The variables called `name`: of the kernel or of its modules, or statics of
    /// several files.
    pub fn named(&self, name: &str) -> impl Iterator<Item = KernelVariable<'_>> {
        self.variables().filter(move |variable| variable.name == name)
    }

    /// All variables, by address.
    pub fn variables(&self) -> impl Iterator<Item = KernelVariable<'_>> {
        (0..self.entries.len()).filter_map(|index| self.variable(index))
    }

    /// The variable that covers an address.
    pub fn at(&self, address: AbsAddr) -> Option<KernelVariable<'_>> {
        let after = self.entries.partition_point(|entry| entry.start <= address.0);
        let start = self.entries.get(after.checked_sub(1)?)?.start;
        let first = self.entries.partition_point(|entry| entry.start < start);
        let found = self.variable(first)?;
        (address.0 - start < found.size).then_some(found)
    }

    /// Names that are spelt like `name`, nearest first, at most three.
    pub fn nearest(&self, name: &str) -> Vec<String> {
        nearest(name, self.variables().map(|variable| variable.name))
    }

    fn variable(&self, index: usize) -> Option<KernelVariable<'_>> {
        let entry = self.entries.get(index)?;
        let (name, module) = self.names.get(entry.name?)?;
        let mut after = self.entries.get(index..)?.iter();
        let end = after.find(|after| after.start != entry.start).map(|it| it.start);
        // The last of all has an end that nobody knows.
        let size = end.map_or(1, |end| end - entry.start);
        Some(KernelVariable { start: AbsAddr(entry.start), size, name, module })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &[u8] = b"\
0000000000000000 A __per_cpu_start
0000000000001000 A cpu_info
0000000000001040 A cpu_next
ffffffff81000000 T _stext
ffffffff81000100 D init_task
ffffffff81000140 D jiffies
ffffffff81000140 D jiffies_64
ffffffff81000148 T function
ffffffff81000150 r table
ffffffffc0202000 d table\t[nf_tables]
ffffffffc0202008 t code\t[nf_tables]
ffffffffc0300000 b last\t[other]
";

    #[test]
    fn variables_by_name_and_address() {
        let data = KernelData::parse(TEXT);
        assert!(data.is_complete() && !data.is_hidden());
        let found = |name: &str| -> Vec<_> {
            data.named(name).map(|it| (it.start.0, it.size, it.module)).collect()
        };
        assert_eq!(found("cpu_info"), [(0x1000, 0x40, "kernel")]);
        assert_eq!(found("jiffies"), [(0xffff_ffff_8100_0140, 8, "kernel")]);
        assert_eq!(found("jiffies"), found("jiffies_64"));
        let tables = found("table");
        assert_eq!(tables.len(), 2, "{tables:?}");
        assert_eq!(tables[1], (0xffff_ffff_c020_2000, 8, "nf_tables"));
        assert_eq!(found("last"), [(0xffff_ffff_c030_0000, 1, "other")]);
        assert_eq!(found("_stext"), []);
        let at = |address| data.at(AbsAddr(address)).map(|it| it.name);
        assert_eq!(at(0xffff_ffff_8100_013f), Some("init_task"));
        assert_eq!(at(0xffff_ffff_8100_0147), Some("jiffies"));
        assert_eq!(at(0xffff_ffff_8100_0148), None);
        assert_eq!(at(0xffff_ffff_c030_0001), None);
        assert_eq!(data.nearest("jifies"), ["jiffies", "jiffies_64"]);
    }

    #[test]
    fn without_privilege_nothing_has_a_name() {
        let data = KernelData::parse(b"0000000000000000 D a\n0000000000000000 T b\n");
        assert!(data.is_hidden());
        assert_eq!(data.variables().count(), 0);
        assert!(!KernelData::parse(b"").is_hidden());
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics(
            text in prop::collection::vec(any::<u8>(), 0..400), address: u64,
        ) {
            let data = KernelData::parse(&text);
            let _ = (data.at(AbsAddr(address)), data.nearest("a"));
            prop_assert!(data.variables().count() <= text.len());
        }
    }
}
