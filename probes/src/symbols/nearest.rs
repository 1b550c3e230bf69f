//! Names that are spelt like one that there is not.

use object::elf;

use super::demangle::{is_mangled, last_part, last_parts, plain};
use super::elf::{Elf, RawSymbol, is_defined};
use super::lookup::MAX_DEMANGLED;

impl Elf {
    /// Names of variables that are spelt like `name`, nearest first, at most three.
    pub fn nearest_data(&self, name: &str) -> Vec<String> {
        let wanted = Spelling::new(name);
        if wanted.last.is_empty() || wanted.last.len() > MAX_SPELLING {
            return Vec::new();
        }
        let mut best: Vec<(Likeness, String)> = Vec::new();
        let mut demangled = 0_usize;
        let budget = self.name_budget();
        let table = usize::from(!self.has_symbols());
        let data = |symbol: &&RawSymbol| {
            symbol.st_type() == elf::STT_OBJECT && is_defined(symbol)
        };
        for symbol in self.symbols(table).iter().filter(data).take(MAX_COMPARED) {
            let Some(raw) = budget.name(self, table, symbol) else {
                break;
            };
            demangled += usize::from(is_mangled(raw));
            if demangled > MAX_DEMANGLED {
                break;
            }
            if raw.len() > MAX_SPELLING * 4 {
                continue;
            }
            let full = plain(&self.display_name(table, symbol)).into_owned();
            if let Some(likeness) = wanted.likeness(&full)
                && best.iter().all(|(_, known)| *known != full)
            {
                best.push((likeness, full));
                best.sort_by(|(a, _), (b, _)| b.total_cmp(a));
                best.truncate(3);
            }
        }
        best.into_iter().map(|(_, name)| name).collect()
    }
}

/// Longer names are not compared for likeness.
const MAX_SPELLING: usize = 64;
/// So many names are compared to find one that is spelt alike.
const MAX_COMPARED: usize = 200_000;
/// A name that is looked for, in small letters.
struct Spelling {
    /// The last part of its path.
    last: String,
    /// All of it.
    path: String,
    /// How many parts it has.
    parts: usize,
}

/// How alike two names are, from 0 to 1 each.
#[derive(Clone, Copy)]
struct Likeness {
    /// The last parts of their paths.
    last: f64,
    /// As many parts of both as were given.
    path: f64,
}

impl Likeness {
    fn total_cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.last.total_cmp(&other.last).then(self.path.total_cmp(&other.path))
    }
}

impl Spelling {
    fn new(name: &str) -> Self {
        let name = plain(name);
        let last = last_part(&name).to_lowercase();
        Self { last, parts: name.matches("::").count() + 1, path: name.to_lowercase() }
    }

    /// `None` if it is another name altogether.
    fn likeness(&self, full: &str) -> Option<Likeness> {
        let last = likeness(&self.last, &last_part(full).to_lowercase());
        if last < NEAR {
            return None;
        }
        let path = last_parts(full, self.parts).to_lowercase();
        Some(Likeness { last, path: likeness(&self.path, &path) })
    }
}

/// Those of the names that are spelt like `wanted`, nearest first, at most three.
pub(crate) fn nearest<'a>(
    wanted: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Vec<String> {
    let wanted = wanted.to_lowercase();
    let mut best: Vec<(f64, &str)> = Vec::new();
    for name in names.into_iter().take(MAX_COMPARED) {
        let score = likeness(&wanted, &name.to_lowercase());
        if score >= NEAR && best.iter().all(|(_, known)| *known != name) {
            best.push((score, name));
            best.sort_by(|(a, _), (b, _)| b.total_cmp(a));
            best.truncate(3);
        }
    }
    best.into_iter().map(|(_, name)| name.to_owned()).collect()
}

/// Likeness from which a spelling is taken for a mistake.
const NEAR: f64 = 0.6;

/// From 0 to 1: by spelling, or because one name contains the other.
fn likeness(wanted: &str, name: &str) -> f64 {
    let (long, short) = (wanted.len().max(name.len()), wanted.len().min(name.len()));
    if long > MAX_SPELLING {
        return 0.0;
    }
    let contained = short >= 4 && (name.contains(wanted) || wanted.contains(name));
    let floor = if contained { NEAR } else { 0.0 };
    // Names of so different lengths cannot be near: spare the work.
    if short * 2 < long {
        return floor;
    }
    strsim::normalized_damerau_levenshtein(wanted, name).max(floor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_decides_between_equals() {
        let wanted = Spelling::new("b::COUNTT");
        let near = |full| wanted.likeness(full).expect("near");
        assert!(near("rs::b::COUNT").total_cmp(&near("rs::a::COUNT")).is_gt());
        assert!(near("rs::a::COUNT").total_cmp(&near("rs::b::COUNTERS")).is_gt());
        assert!(wanted.likeness("rs::b::OTHER").is_none());
    }
}
