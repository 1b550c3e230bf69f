//! Where members of the kernel's structures are, from its BTF
//! (Documentation/bpf/btf.rst), and with that what programs may know of it. The crate
//! itself is told by who uses it.

use std::rc::Rc;

use hwtrace_runtime::bpf::Walk;
use hwtrace_runtime::bpf::hit::Insight;
use hwtrace_runtime::kernel::Kernel;

/// How memory is read by way of the direct mapping; says so aloud where that is not
/// known.
pub(crate) fn insight(kernel: &Rc<dyn Kernel>) -> Option<Insight> {
    let types = Types::running();
    let walk = types.and_then(|types| {
        let mm = types.offset("task_struct", "mm")?;
        Walk::find(kernel, mm, types.offset("mm_struct", "pgd")?)
    });
    if walk.is_none() {
        eprintln!("SKIPPED: page tables can not be walked here");
    }
    walk.map(|_| Insight { walk, ..Insight::default() })
}

struct Types {
    words: Vec<u32>,
    names: Vec<u8>,
    /// By number: the index of the first word of each.
    starts: Vec<usize>,
}

const STRUCT: u32 = 4;
const UNION: u32 = 5;

impl Types {
    fn running() -> Option<Self> {
        let file = std::fs::read("/sys/kernel/btf/vmlinux").ok()?;
        let (words, _) = file.as_chunks::<4>();
        let words: Vec<_> = words.iter().map(|word| u32::from_ne_bytes(*word)).collect();
        let &[_, head, types, types_bytes, names, _, ..] = &words[..] else {
            return None;
        };
        let names = file[(head + names) as usize..].to_vec();
        let first = (head + types) as usize / 4;
        let mut types = Self { words, names, starts: vec![0] };
        let mut at = first;
        while at < first + types_bytes as usize / 4 {
            types.starts.push(at);
            at += 3 + types.more(at);
        }
        Some(types)
    }

    fn kind(&self, at: usize) -> (u32, usize) {
        (self.words[at + 1] >> 24 & 31, (self.words[at + 1] & 0xffff) as usize)
    }

    /// Words behind the first three.
    fn more(&self, at: usize) -> usize {
        match self.kind(at) {
            (1 | 14 | 17, _) => 1,
            (3, _) => 3,
            (STRUCT | UNION | 15 | 19, count) => 3 * count,
            (6 | 13, count) => 2 * count,
            _ => 0,
        }
    }

    fn is_called(&self, name: u32, text: &str) -> bool {
        let name = &self.names[name as usize..];
        name.starts_with(text.as_bytes()) && name[text.len()] == 0
    }

    /// Bytes from a structure's beginning to a member of it.
    fn offset(&self, structure: &str, member: &str) -> Option<u64> {
        let is_it = |at: &&usize| {
            self.kind(**at).0 == STRUCT && self.is_called(self.words[**at], structure)
        };
        let at = self.starts[1..].iter().find(is_it)?;
        Some(u64::from(self.bits(*at, member)? / 8))
    }

    fn bits(&self, at: usize, member: &str) -> Option<u32> {
        let (_, count) = self.kind(at);
        let flagged = self.words[at + 1] >> 31 == 1;
        (0..count).find_map(|index| {
            let [name, kind, bits] = self.words[at + 3 + 3 * index..][..3] else {
                return None;
            };
            let bits = if flagged { bits & 0xff_ffff } else { bits };
            if name != 0 && self.is_called(name, member) {
                return Some(bits);
            }
            let inside = self.starts[kind as usize];
            let nameless = name == 0 && matches!(self.kind(inside).0, STRUCT | UNION);
            nameless.then(|| self.bits(inside, member))?.map(|more| bits + more)
        })
    }
}
