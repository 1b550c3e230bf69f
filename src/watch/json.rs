//! What was watched as one JSON object, for `-f json`.

use hwtrace_runtime::schema::AccessKind;
use hwtrace_runtime::slots::coverage::Estimate;
use serde::Serialize;
use serde_json::Value;

use super::Watcher;
use super::sites::Gathered;
use crate::report;
use crate::session::Summary;

/// The whole object.
#[derive(Serialize)]
struct Report<'a> {
    watches: Vec<Watch>,
    hits: u64,
    lost: u64,
    elapsed_s: f64,
    engine: Option<&'a str>,
    armed: Armed,
    remarks: Vec<String>,
}

/// What was watched: an expression, or an element of its ranges.
#[derive(Serialize)]
struct Watch {
    name: String,
    /// The expression with the range that it is an element of.
    of: Option<String>,
    #[serde(rename = "type")]
    ty: Option<String>,
    address: Option<String>,
    length: u64,
    seen: u64,
    estimated: f64,
    /// Half of the 95 % interval.
    error: Option<f64>,
    coverage: f64,
    away: u64,
    sites: Vec<Site>,
}

/// An instruction that touched it.
#[derive(Serialize)]
struct Site {
    address: Option<String>,
    #[serde(rename = "where")]
    place: Option<String>,
    line: Option<String>,
    member: Option<String>,
    access: &'static str,
    seen: u64,
    estimated: f64,
    coverage: f64,
    values: Option<Values>,
    doubtful: bool,
    threads: usize,
}

#[derive(Serialize)]
struct Values {
    min: Value,
    max: Value,
}

#[derive(Serialize)]
struct Armed {
    threads: u64,
    slots: u32,
    capacity: Option<u32>,
    watches: u32,
}

/// The object, on one line.
pub(super) fn object(watcher: &Watcher<'_>, summary: &Summary) -> String {
    let armed = &summary.armed;
    let report = Report {
        watches: watcher.located().map(|request| watch(watcher, request)).collect(),
        hits: summary.hits,
        lost: summary.lost,
        elapsed_s: rounded(summary.elapsed.as_secs_f64(), 1e6),
        engine: summary.engine,
        armed: Armed {
            threads: summary.threads.saturating_sub(summary.left_out + summary.unarmed),
            slots: armed.slots,
            capacity: Some(armed.capacity).filter(|capacity| *capacity != u32::MAX),
            watches: armed.watches,
        },
        remarks: report::remarks(summary),
    };
    // Strings and numbers always have a form in JSON.
    serde_json::to_string(&report).unwrap_or_default() + "\n"
}

fn watch(watcher: &Watcher<'_>, request: usize) -> Watch {
    let estimate = watcher.estimate(request);
    let gathered = watcher.gathered(request);
    let sum = |away| {
        let counted = gathered.iter().filter(|it| it.site.is_away() == away);
        counted.map(|it| it.tally.hits).sum()
    };
    let mut sites: Vec<_> =
        gathered.iter().map(|it| site(watcher, request, it)).collect();
    sites.sort_by_key(|site| std::cmp::Reverse(site.seen));
    let shown = &watcher.shown[request];
    Watch {
        name: shown.name.clone(),
        of: watcher.range_of(request),
        ty: shown.ty.clone(),
        address: shown.address.clone(),
        length: shown.length,
        seen: sum(false),
        estimated: rounded(estimate.estimated, 1e3),
        error: known_error(&estimate),
        coverage: estimate.coverage().min(1.0),
        away: sum(true),
        sites,
    }
}

fn known_error(estimate: &Estimate) -> Option<f64> {
    estimate.error().map(|error| rounded(error, 1e3))
}

fn site(watcher: &Watcher<'_>, request: usize, gathered: &Gathered) -> Site {
    let Gathered { site, tally, estimated, coverage } = gathered;
    let values = watcher.values_of(request, site.name);
    let away = site.is_away();
    let some = |text: String| Some(text).filter(|text| !text.is_empty() && !away);
    let member = watcher.member(request, site.name);
    Site {
        address: (site.address != 0).then(|| format!("{:#x}", site.address)),
        place: some(watcher.place(tally.pid, site.address)),
        line: some(watcher.line(tally.pid, site.address)),
        member: Some(member).filter(|member| !member.is_empty()),
        access: AccessKind::from_number(site.access).name(),
        seen: if away { 0 } else { tally.hits },
        estimated: if away { 0.0 } else { rounded(*estimated, 1e3) },
        coverage: *coverage,
        values: tally
            .values
            .map(|(min, max)| Values { min: values.json(min), max: values.json(max) }),
        doubtful: tally.doubtful,
        threads: if away { 0 } else { tally.threads.len() },
    }
}

/// Figures have no more places than they are worth.
fn rounded(number: f64, parts: f64) -> f64 {
    (number * parts).round() / parts
}
