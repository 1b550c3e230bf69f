//! What instructions did with watched data, gathered hit by hit.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};

use hwtrace_runtime::schema::{AccessKind, HitRecord, UNKNOWN_NEW, UNSURE_NEW};

use crate::values::Values;

/// What was done with the data of a request, by whom.
#[derive(Default)]
pub(super) struct Sites(HashMap<Seen, Tally>);

/// An instruction, and what it does.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Site {
    pub(super) address: u64,
    pub(super) access: u32,
    /// Handle of the name of the data, or of the member, that it touches.
    pub(super) name: u64,
}

/// The same, and how it was seen.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Seen {
    site: Site,
    by: By,
}

/// By which watch something was seen, and whether while that was sampled: what one hit
/// stands for differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct By {
    pub(super) watch: u32,
    pub(super) sampled: bool,
}

/// What an instruction did.
#[derive(Clone, Default)]
pub(super) struct Tally {
    pub(super) hits: u64,
    /// A process in which the address has its meaning.
    pub(super) pid: u32,
    /// The lowest and the highest one; none as long as no value is known.
    pub(super) values: Option<(u64, u64)>,
    pub(super) doubtful: bool,
    last_thread: u32,
    pub(super) threads: BTreeSet<u32>,
}

/// What an instruction did in all, by whatever watches it was seen.
pub(super) struct Gathered {
    pub(super) site: Site,
    pub(super) tally: Tally,
    /// How often it did that, seen or not.
    pub(super) estimated: f64,
    /// The share of the time in which it could be seen, 0 to 1.
    pub(super) coverage: f64,
}

impl Gathered {
    /// Adds what was done with something else; the shares are summed up, too. Values are told
    /// where it is known how all compare.
    pub(super) fn add(&mut self, other: &Self, values: Option<&Values>) {
        self.tally.merge(&other.tally, values.unwrap_or(&Values::default()));
        self.tally.values = self.tally.values.filter(|_| values.is_some());
        self.estimated += other.estimated;
        self.coverage += other.coverage;
    }
}

impl Site {
    /// Whether it is no instruction: the value had changed while nobody looked.
    pub(super) fn is_away(&self) -> bool {
        self.access == AccessKind::Away as u32
    }
}

/// What was seen of a watch, and what that stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    /// In which share of the time it was watched, 0 to 1.
    pub(super) coverage: f64,
    /// How many hits one of it stands for.
    pub(super) weight: f64,
}

/// What a site did, as one watch saw it.
type Part<'s> = (Share, &'s Tally);

impl Sites {
    /// Whether anything changed while nobody watched.
    pub(super) fn changed_away(&self) -> bool {
        self.0.keys().any(|seen| seen.site.is_away())
    }

    /// Counts a hit; `name` is by which it is counted, `values` how its values compare.
    pub(super) fn add(&mut self, record: &HitRecord, by: By, name: u64, values: &Values) {
        let HitRecord { address, access, .. } = *record;
        let seen = Seen { site: Site { address, access, name }, by };
        let new = || Tally { pid: record.pid, ..Tally::default() };
        self.0.entry(seen).or_insert_with(new).add(record, values);
    }

    /// All sites, in the order of their addresses. `share` tells of a watch in which share of
    /// the time it was watched and how many hits one stands for, `values` of a name
    /// how its values compare.
    pub(super) fn gather<'v>(
        &self,
        share: &dyn Fn(By) -> Share,
        values: &dyn Fn(u64) -> &'v Values,
    ) -> Vec<Gathered> {
        let mut all: HashMap<Site, Vec<Part<'_>>> = HashMap::new();
        for (Seen { site, by }, tally) in &self.0 {
            all.entry(*site).or_default().push((share(*by), tally));
        }
        let gathered = |(site, parts): (Site, Vec<Part<'_>>)| {
            let values = values(site.name);
            let mut tally = Tally::default();
            let (mut estimated, mut shares) = (0.0, 0.0);
            for (share, part) in &parts {
                tally.merge(part, values);
                shares += share.coverage;
                estimated += part.hits as f64 * share.weight;
            }
            Gathered { site, tally, estimated, coverage: shares / parts.len() as f64 }
        };
        let mut all: Vec<_> = all.into_iter().map(gathered).collect();
        all.sort_unstable_by_key(|it| (it.site.address, it.site.name, it.site.access));
        all
    }
}

impl Tally {
    fn add(&mut self, record: &HitRecord, values: &Values) {
        self.hits += 1;
        self.doubtful |= record.doubts & (UNSURE_NEW | UNKNOWN_NEW) != 0;
        if record.doubts & UNKNOWN_NEW == 0 {
            self.widen((record.new, record.new), values);
        }
        if self.last_thread != record.tid {
            self.last_thread = record.tid;
            self.threads.insert(record.tid);
        }
    }

    fn merge(&mut self, other: &Self, values: &Values) {
        self.hits += other.hits;
        self.pid = other.pid;
        self.doubtful |= other.doubtful;
        if let Some(range) = other.values {
            self.widen(range, values);
        }
        self.threads.extend(&other.threads);
    }

    fn widen(&mut self, (least, most): (u64, u64), values: &Values) {
        let (low, high) = self.values.unwrap_or((least, most));
        let less = |left, right| values.compare(left, right) == Ordering::Less;
        let low = if less(least, low) { least } else { low };
        let high = if less(high, most) { most } else { high };
        self.values = Some((low, high));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_watches_saw_of_an_instruction_is_one_row() {
        let mut sites = Sites::default();
        let values = Values::default();
        let mut hit = |watch, tid, new, access: AccessKind| {
            let access = access as u32;
            let record = HitRecord {
                address: 16,
                watch,
                tid,
                new,
                access,
                ..HitRecord::default()
            };
            sites.add(&record, By { watch, sampled: false }, 7, &values);
        };
        hit(0, 1, 5, AccessKind::Write);
        hit(0, 2, 9, AccessKind::Write);
        hit(1, 2, 3, AccessKind::Write);
        hit(1, 2, 4, AccessKind::Read);
        let share = |by: By| {
            let coverage = if by.watch == 0 { 0.25 } else { 0.5 };
            Share { coverage, weight: 1.0 / coverage }
        };
        let all = sites.gather(&share, &|_| &values);
        let [read, write] = &all[..] else { panic!("two accesses") };
        assert_eq!((read.tally.hits, read.estimated, read.coverage), (1, 2.0, 0.5));
        // Two in a quarter of the time are 8, one in half of it is 2.
        assert_eq!((write.tally.hits, write.estimated, write.coverage), (3, 10.0, 0.375));
        assert_eq!(write.tally.values, Some((3, 9)));
        assert_eq!(write.tally.threads.len(), 2);
        assert_eq!((write.site.address, write.site.name), (16, 7));
    }
}
