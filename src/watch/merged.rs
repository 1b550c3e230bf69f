//! One row for what an instruction did with many elements: who touched an array is told on
//! one screen.

use std::collections::{BTreeMap, BTreeSet};

use super::sites::Gathered;
use crate::values::Values;

/// So many rows of the same instruction are shown one by one.
const FEW: usize = 4;

/// Where an index was, in the name of a member without its indices.
const ANY: &str = "[*]";

/// What an instruction did with a member or an element, or with several.
pub(super) struct Touched<'w> {
    pub(super) gathered: Gathered,
    /// What is touched: `[3].refs`, `[0..64].refs`, `[*].refs`; empty of data without members.
    pub(super) member: String,
    /// How its values compare and are shown; none of several that differ in that.
    pub(super) values: Option<&'w Values>,
}

/// Those that differ in indices alone are one where there are more than a few; so is what
/// changed while nobody looked, whatever the members.
pub(super) fn merged(all: Vec<Touched<'_>>) -> Vec<Touched<'_>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for touched in all {
        let site = &touched.gathered.site;
        let member = match site.is_away() {
            true => String::new(),
            false => indices(&touched.member).0,
        };
        let key = (site.address, site.access, member);
        groups.entry(key).or_default().push(touched);
    }
    groups.into_values().flat_map(one_of_many).collect()
}

fn one_of_many(mut group: Vec<Touched<'_>>) -> Vec<Touched<'_>> {
    if group.len() <= FEW {
        return group;
    }
    let member = together(group.iter().map(|it| &*it.member));
    let parts = group.split_off(1);
    let count = (parts.len() + 1) as f64;
    for one in &mut group {
        for part in &parts {
            one.values = one.values.filter(|values| part.values == Some(*values));
            one.gathered.add(&part.gathered, one.values);
        }
        one.gathered.coverage /= count;
        one.member.clone_from(&member);
    }
    group
}

/// What names all of these.
fn together<'m>(members: impl Iterator<Item = &'m str>) -> String {
    let (patterns, all): (BTreeSet<_>, BTreeSet<_>) = members.map(indices).unzip();
    let Some(pattern) = patterns.first().filter(|_| patterns.len() == 1) else {
        return "*".to_owned();
    };
    let places = pattern.matches(ANY).count();
    let at = |place: usize| -> BTreeSet<i64> {
        all.iter().filter_map(|of| of.get(place).copied()).collect()
    };
    let at: Vec<_> = (0..places).map(at).collect();
    let whole = all.len() == at.iter().map(BTreeSet::len).product::<usize>();
    let mut parts = pattern.split(ANY);
    let mut name = parts.next().unwrap_or_default().to_owned();
    for (index, part) in at.iter().zip(parts) {
        name.push_str(&shown(index, whole));
        name.push_str(part);
    }
    name
}

/// `[3]`, `[0..64]` where `whole`: it is each of them.
fn shown(index: &BTreeSet<i64>, whole: bool) -> String {
    match (index.first(), index.last()) {
        (Some(first), Some(last)) if first == last => format!("[{first}]"),
        (Some(first), Some(last)) if whole && last - first + 1 == index.len() as i64 => {
            format!("[{first}..{}]", last + 1)
        }
        _ => ANY.to_owned(),
    }
}

/// The name of a member without its indices, and these.
fn indices(member: &str) -> (String, Vec<i64>) {
    let (mut pattern, mut indices) = (String::new(), Vec::new());
    let mut rest = member;
    while let Some((before, behind)) = rest.split_once('[') {
        pattern.push_str(before);
        let index = behind.split_once(']');
        match index.and_then(|(index, behind)| Some((index.parse().ok()?, behind))) {
            Some((index, behind)) => {
                indices.push(index);
                pattern.push_str(ANY);
                rest = behind;
            }
            None => {
                pattern.push('[');
                rest = behind;
            }
        }
    }
    (pattern + rest, indices)
}

#[cfg(test)]
mod tests {
    use hwtrace_runtime::schema::AccessKind;

    use super::super::sites::{Site, Tally};
    use super::*;

    fn touched<'w>(
        (address, access): (u64, AccessKind),
        member: String,
        values: &'w Values,
    ) -> Touched<'w> {
        let site = Site { address, access: access as u32, name: 0 };
        let mut tally = Tally::default();
        (tally.hits, tally.values) = (2, Some((5, 7)));
        tally.threads.insert(1);
        let gathered = Gathered { site, tally, estimated: 20.0, coverage: 0.1 };
        Touched { gathered, member, values: Some(values) }
    }

    fn members(of: &[&str]) -> String {
        together(of.iter().copied())
    }

    #[test]
    fn one_name_stands_for_all() {
        assert_eq!(members(&["[2].refs", "[0].refs", "[1].refs"]), "[0..3].refs");
        assert_eq!(members(&["[2].refs", "[0].refs"]), "[*].refs");
        assert_eq!(members(&["[7].a[0]", "[7].a[1]"]), "[7].a[0..2]");
        assert_eq!(members(&["[0][0]", "[0][1]", "[1][0]", "[1][1]"]), "[0..2][0..2]");
        assert_eq!(members(&["[0][1]", "[1][0]"]), "[*][*]");
        assert_eq!(members(&["[0].a", "[0].b"]), "*");
        assert_eq!(members(&["f<int[x]>", "f<int[x]>"]), "f<int[x]>");
    }

    #[test]
    fn an_instruction_has_one_row_for_many_elements() {
        let values = Values::default();
        let store = (16, AccessKind::Write);
        let element = |index: u64, member: &str| {
            touched(store, format!("[{index}]{member}"), &values)
        };
        let many = (0..64).map(|index| element(index, ".refs"));
        let few = (0..4).map(|index| element(index, ".gen"));
        let all = merged(many.chain(few).collect());
        let names: Vec<_> = all.iter().map(|it| &*it.member).collect();
        assert_eq!(names, ["[0].gen", "[1].gen", "[2].gen", "[3].gen", "[0..64].refs"]);
        let Gathered { tally, estimated, coverage, .. } = &all[4].gathered;
        assert_eq!((tally.hits, *estimated), (128, 1280.0));
        assert!((coverage - 0.1).abs() < 1e-9, "{coverage}");
        assert_eq!((tally.values, tally.threads.len()), (Some((5, 7)), 1));
    }

    #[test]
    fn what_changed_unseen_is_one_row_whatever_the_members() {
        let (values, away) = (Values::default(), (0, AccessKind::Away));
        let row = |member: &str| touched(away, member.to_owned(), &values);
        let all = merged(["[0].a", "[1].a", "[1].b", "[2].a", "[3].b"].map(row).into());
        let [one] = &all[..] else { panic!("several rows") };
        assert_eq!((&*one.member, one.gathered.tally.hits), ("*", 10));
        assert_eq!(one.values, Some(&values));
    }
}
