//! What was seen of each watch, where they were watched part of the time only.

use hwtrace_runtime::slots::coverage::Estimate;

use super::columns::{self, Column, Yield};
use super::grouped;

/// A watch, and what was seen of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What is watched.
    pub name: String,
    /// What was seen, and what that stands for.
    pub estimate: Estimate,
}

/// More watches without a hit are not listed one by one.
pub const UNTOUCHED_MAX: usize = 20;

const COLUMNS: [Column; 4] = [
    Column::left("name"),
    Column::right("seen"),
    Column::right("coverage"),
    Column::right("estimated"),
];

/// The name gives way.
const YIELDS: &[Yield] = &[Yield::Tell(0, 12)];

/// A line for each watch, that with most hits first.
pub fn overview(mut entries: Vec<Entry>, width: usize) -> String {
    entries.sort_by(|left, right| {
        let (left, right) = (&left.estimate, &right.estimate);
        let more = right.estimated.total_cmp(&left.estimated);
        more.then(right.seen.cmp(&left.seen))
    });
    let touched = entries.iter().filter(|entry| entry.estimate.seen > 0).count();
    let untouched = match entries.len() - touched > UNTOUCHED_MAX {
        true => entries.extract_if(.., |entry| entry.estimate.seen == 0).collect(),
        false => Vec::new(),
    };
    let cells: Vec<_> = entries.iter().map(cells).collect();
    let mut text = match cells.is_empty() {
        true => String::new(),
        false => columns::text(&COLUMNS, &cells, YIELDS, width),
    };
    if !untouched.is_empty() {
        let more = if touched > 0 { " more" } else { "" };
        let number = grouped(untouched.len() as u64);
        text.push_str(&format!("{number}{more}, {}\n", without_hits(&untouched)));
    }
    text
}

/// What is known of those without a hit: what was watched all of the time was not touched.
fn without_hits(entries: &[Entry]) -> String {
    let shares = || entries.iter().map(|entry| entry.estimate.coverage());
    let (least, most) = (shares().fold(1.0, f64::min), shares().fold(0.0, f64::max));
    let (from, to) = (percent(least), percent(most));
    match from == to {
        _ if least >= 1.0 => "not touched".to_owned(),
        true => format!("no hit seen in {to} of the time"),
        false => format!("no hit seen in {from} to {to} of the time"),
    }
}

fn cells(entry: &Entry) -> [String; COLUMNS.len()] {
    let Entry { name, estimate } = entry;
    [
        name.clone(),
        grouped(estimate.seen),
        percent(estimate.coverage()),
        estimated(estimate),
    ]
}

/// `24.8 %`; never all of it, nor nothing, where that is not so.
pub(super) fn percent(share: f64) -> String {
    let percent = match share {
        whole if whole >= 1.0 => 100.0,
        none if none <= 0.0 => 0.0,
        share => (share * 100.0).clamp(0.1, 99.9),
    };
    format!("{percent:.1} %")
}

/// `4,850 ± 150`, `4,850 ± ?` where nobody can tell, `4,850` where it is certain.
pub(super) fn estimated(estimate: &Estimate) -> String {
    let number = grouped(estimate.estimated.round() as u64);
    match estimate.error() {
        _ if estimate.coverage() >= 1.0 => number,
        Some(error) => format!("{number} ± {}", grouped(error.ceil() as u64)),
        None => format!("{number} ± ?"),
    }
}

/// What the signs mean, said once below everything; nothing where there are none.
pub fn legend(estimates: &[Estimate]) -> String {
    let mut partial = estimates.iter().filter(|it| it.coverage() < 1.0).peekable();
    if partial.peek().is_none() {
        return String::new();
    }
    let unknown = partial.any(|estimate| estimate.error().is_none());
    let unknown = match unknown {
        true => {
            "\n? stands where too little was seen to tell it, or hits slow the program down\n  \
             so much that there may have been many more"
        }
        false => "",
    };
    format!(
        "± is the 95 % interval, if the rest of the time was like what was seen{unknown}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, seen: u64, part: u64, variance: Option<f64>) -> Entry {
        let estimate = Estimate {
            seen,
            on_ns: part,
            wanted_ns: 1000,
            estimated: seen as f64 * 1000.0 / part as f64,
            variance,
            bias: 0.0,
        };
        Entry { name: name.to_owned(), estimate }
    }

    #[test]
    fn the_most_frequent_comes_first_and_all_is_aligned() {
        let entries = vec![
            entry("b", 300, 1000, Some(0.0)),
            entry("table[3].refs", 1203, 248, Some(5856.0)),
            entry("c", 100, 250, None),
            entry("d", 0, 1, Some(0.0)),
        ];
        let expected = "\
            name            seen  coverage    estimated\n\
            table[3].refs  1,203    24.8 %  4,851 ± 150\n\
            c                100    25.0 %      400 ± ?\n\
            b                300   100.0 %          300\n\
            d                  0     0.1 %        0 ± 0\n";
        assert_eq!(overview(entries, 80), expected);
    }

    #[test]
    fn many_without_a_hit_are_counted() {
        let mut entries = vec![entry("hit", 1, 999, None)];
        entries.extend((0..UNTOUCHED_MAX).map(|_| entry("none", 0, 250, None)));
        assert_eq!(overview(entries.clone(), 80).lines().count(), UNTOUCHED_MAX + 2);
        entries.push(entry("none", 0, 250, None));
        let text = overview(entries.clone(), 80);
        let expected = "name  seen  coverage  estimated\n\
                        hit      1    99.9 %      1 ± ?\n\
                        21 more, no hit seen in 25.0 % of the time\n";
        assert_eq!(text, expected);
        let mut none = entries.split_off(1);
        none.push(entry("none", 0, 60, None));
        let of_some = "22, no hit seen in 6.0 % to 25.0 % of the time\n";
        assert_eq!(overview(none.clone(), 80), of_some);
        none.iter_mut().for_each(|entry| entry.estimate.on_ns = 1000);
        assert_eq!(overview(none, 80), "22, not touched\n");
    }

    #[test]
    fn long_names_give_way() {
        let entries = vec![entry(&("a_namespace::".repeat(10) + "last"), 1, 250, None)];
        let text = overview(entries, 60);
        assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
        assert!(text.contains("…") && text.contains("::last"), "{text}");
    }
}
