//! `hwtrace watch`: a table of who touched the data, by instruction.

mod json;
mod members;
mod merged;
mod sites;

use std::cell::RefCell;
use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::rc::Rc;

use hwtrace_lang::code::Code;
use hwtrace_lang::diagnostic::Diagnostic;
use hwtrace_probes::resolve::Location;
use hwtrace_probes::spec::{DataSpec, Mode};
use hwtrace_runtime::engine::Flow;
use hwtrace_runtime::schema::{AccessKind, HitRecord};
use hwtrace_runtime::slots::coverage::Estimate;

use crate::arming;
use crate::counts::Counts;
use crate::environment::FOLLOW_ONE;
use crate::fires::Fires;
use crate::names::Names;
use crate::report::{self, Entry, Row, Table};
use crate::session::{Consumer, Context, Data, Failure, Request, Summary};
use crate::symbols::SharedSymbols;
use crate::values::Values;
use members::Members;
use merged::{Touched, merged};
use sites::{By, Gathered, Share, Sites};

/// How it is told at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Tables for people.
    Tables {
        /// How many columns of text they have at most, where names allow.
        width: usize,
    },
    /// One JSON object for programs.
    Json,
}

/// The consumer that gathers the table.
pub struct Watcher<'a> {
    tables: Vec<Asked>,
    /// By request: each is an element of what was asked for, or all of it.
    data: Vec<DataSpec>,
    shown: Vec<Shown>,
    members: Members,
    sites: Vec<Sites>,
    counts: Rc<RefCell<Counts>>,
    fires: Fires,
    symbols: Option<SharedSymbols>,
    /// When it ended, nanoseconds of CLOCK_MONOTONIC.
    ended: u64,
    form: Form,
    out: Box<dyn Write + 'a>,
}

/// What was asked for, and has one table.
struct Asked {
    requests: Range<usize>,
    /// Of a range: what is written, and what it is of.
    range: Option<(Rc<str>, String)>,
    title: String,
}

/// What is known of the data of a request; nothing of what is not watched.
#[derive(Default)]
struct Shown {
    watched: bool,
    name: String,
    ty: Option<String>,
    address: Option<String>,
    length: u64,
    /// How its values are shown, where it has no members.
    values: Values,
}

impl<'a> Watcher<'a> {
    /// Watches these, and tells of them to `out` at the end. `names` tell which elements
    /// are meant by ranges.
    ///
    /// # Errors
    /// That can not be told, or they were to follow pointers.
    pub fn new(
        watched: &[DataSpec],
        names: &Names,
        form: Form,
        out: Box<dyn Write + 'a>,
    ) -> Result<Self, Box<Diagnostic>> {
        let (mut tables, mut data) = (Vec::new(), Vec::new());
        for spec in watched {
            let range = spec.expression.ranged();
            if spec.follow && range.is_some() {
                let text = format!(
                    "`--follow` moves one watch, and `{}` is several",
                    spec.expression
                );
                let refused = Diagnostic::new(Code::BadProbeArgument, None, text);
                return Err(Box::new(refused.help(FOLLOW_ONE)));
            }
            let elements = names.elements(spec);
            let elements = elements.map_err(|why| arming::unresolved(&why, None))?;
            let requests = data.len()..data.len() + elements.len();
            let range =
                range.map(|of| (spec.expression.to_string().into(), of.as_whole()));
            tables.push(Asked { requests, range, title: String::new() });
            data.extend(elements);
        }
        Ok(Self {
            tables,
            shown: Vec::new(),
            members: Members::default(),
            sites: data.iter().map(|_| Sites::default()).collect(),
            data,
            counts: Rc::default(),
            fires: Fires::default(),
            symbols: None,
            ended: 0,
            form,
            out,
        })
    }

    fn asked(&self, request: usize) -> Option<&Asked> {
        self.tables.iter().find(|asked| asked.requests.contains(&request))
    }

    /// The range that a request is an element of, as it is written.
    fn range_of(&self, request: usize) -> Option<String> {
        let (range, _) = self.asked(request)?.range.as_ref()?;
        Some(range.to_string())
    }

    /// The requests that are watched.
    fn located(&self) -> impl Iterator<Item = usize> {
        (0..self.shown.len()).filter(|request| self.shown[*request].watched)
    }

    /// How values are shown of what has this name.
    fn values_of(&self, request: usize, name: u64) -> &Values {
        let member = self.members.of(request, name);
        member.map_or(&self.shown[request].values, |member| &member.values)
    }

    fn member(&self, request: usize, name: u64) -> String {
        self.members.shown(request, name)
    }

    fn place(&self, pid: u32, address: u64) -> String {
        match &self.symbols {
            Some(symbols) => symbols.borrow_mut().place(pid, address),
            None => format!("{address:#x}"),
        }
    }

    fn line(&self, pid: u32, address: u64) -> String {
        let symbols = self.symbols.as_ref();
        symbols
            .map_or_else(String::new, |symbols| symbols.borrow_mut().line(pid, address))
    }

    /// What was seen of a request, and what that stands for.
    fn estimate(&self, request: usize) -> Estimate {
        let estimate = self.counts.borrow().of(request, self.ended);
        // What was never seen and changed all the same came when nobody watched.
        let missed = estimate.seen == 0 && self.sites[request].changed_away();
        Estimate { variance: estimate.variance.filter(|_| !missed), ..estimate }
    }

    /// Who touched the data of a request.
    fn gathered(&self, request: usize) -> Vec<Gathered> {
        let counts = self.counts.borrow();
        let share = |by: By| Share {
            coverage: counts.share(by.watch, self.ended),
            weight: counts.weight(request, by.watch, by.sampled, self.ended),
        };
        self.sites[request].gather(&share, &|name| self.values_of(request, name))
    }

    /// What instructions did with the data of a request; `range` is what the range is of that
    /// it is an element of.
    fn touched(&self, request: usize, range: Option<&str>) -> Vec<Touched<'_>> {
        let touched = |gathered: Gathered| {
            let name = gathered.site.name;
            let member = match range {
                Some(range) => self.members.element(request, name, range),
                None => self.member(request, name),
            };
            Touched { gathered, member, values: Some(self.values_of(request, name)) }
        };
        self.gathered(request).into_iter().map(touched).collect()
    }

    fn row(&self, touched: Touched<'_>) -> Row {
        let Touched { gathered: Gathered { site, tally, estimated, coverage }, .. } =
            touched;
        let away = site.is_away();
        let told = |text: String| if away { String::new() } else { text };
        let mut name =
            |address| self.symbols.as_ref()?.borrow_mut().pointed_to(tally.pid, address);
        let range = tally.values.zip(touched.values);
        Row {
            hits: tally.hits,
            estimated,
            coverage,
            away,
            access: AccessKind::from_number(site.access).name(),
            member: touched.member,
            place: told(self.place(tally.pid, site.address)),
            line: told(self.line(tally.pid, site.address)),
            address: site.address,
            values: range.map(|(range, values)| values.range(range, &mut name)),
            doubtful: tally.doubtful,
            threads: tally.threads.len(),
        }
    }

    fn table(&self, asked: &Asked) -> Table {
        let range = asked.range.as_ref().map(|(_, of)| &**of);
        let requests = || asked.requests.clone();
        let touched = requests().flat_map(|request| self.touched(request, range));
        let rows = merged(touched.collect()).into_iter().map(|it| self.row(it));
        let change = requests().any(|request| self.data[request].mode == Mode::Change);
        let estimate = requests().map(|request| self.estimate(request)).sum();
        let noun = if change { "change" } else { "hit" };
        Table::new(asked.title.clone(), noun, estimate, rows.collect())
    }

    /// All that people are told at the end.
    fn text(&self, width: usize) -> String {
        let entry = |request: usize| Entry {
            name: self.shown[request].name.clone(),
            estimate: self.estimate(request),
        };
        let entries: Vec<_> = self.located().map(entry).collect();
        let estimates: Vec<_> = entries.iter().map(|entry| entry.estimate).collect();
        let partial = estimates.iter().filter(|it| it.coverage() < 1.0).count();
        let untouched = estimates.iter().filter(|it| it.seen == 0).count();
        let shortened = partial > 1 && untouched > report::UNTOUCHED_MAX;
        let mut parts = Vec::new();
        if partial > 1 {
            parts.push(report::overview(entries, width));
        }
        let tables = self.tables.iter().filter(|asked| !asked.title.is_empty());
        let tables = tables.map(|asked| self.table(asked));
        // Those that are not listed one by one have no table either.
        let tables = tables.filter(|table| !shortened || !table.is_empty());
        parts.extend(tables.map(|table| table.text(width)));
        let legend = report::legend(&estimates);
        parts.extend(Some(legend).filter(|legend| !legend.is_empty()));
        parts.join("\n")
    }

    fn put(&mut self, text: &str) -> Result<(), Failure> {
        ignore_closed(self.out.write_all(text.as_bytes())).map_err(Failure::Output)
    }

    /// Learns of the data of the next request.
    fn learn(&mut self, location: Option<&Location>, names: &Names) {
        let Some(location) = location else {
            self.members.skip();
            self.shown.push(Shown::default());
            return;
        };
        self.members.add(location, names);
        self.shown.push(Shown {
            watched: true,
            name: location.name.clone(),
            ty: report::shown_type(location, names.types()),
            address: report::shown_address(location).ok().map(|it| it.to_string()),
            length: location.size,
            values: names.values(location),
        });
    }
}

impl Consumer for Watcher<'_> {
    fn requests(&self) -> Vec<Request> {
        let of = |asked: &Asked| {
            let range = asked.range.as_ref().map(|(range, _)| Rc::clone(range));
            let request = move |data: &DataSpec| Request {
                data: Data::Process(data.clone()),
                span: None,
                optional: false,
                instead_of: Vec::new(),
                range: range.clone(),
            };
            self.data[asked.requests.clone()].iter().map(request)
        };
        self.tables.iter().flat_map(of).collect()
    }

    fn begin(&mut self, context: &Context) -> Result<Flow, Failure> {
        self.symbols = Some(context.symbols.clone());
        self.counts = Rc::clone(&context.counts);
        let names = &*context.names;
        for location in &context.locations {
            self.learn(location.as_ref(), names);
        }
        for asked in &mut self.tables {
            let located = &context.locations[asked.requests.clone()];
            let located: Vec<_> = located.iter().flatten().collect();
            let title = match &asked.range {
                Some((range, _)) => {
                    report::title_of_range(range, &located, names.types())
                }
                None => located.first().map(|it| report::title(it, names.types())),
            };
            asked.title = title.unwrap_or_default();
        }
        Ok(Flow::Continue)
    }

    /// Names of data, when it is armed; those of threads are not shown.
    fn name(&mut self, name: &[u8]) -> u64 {
        if self.symbols.is_some() { 0 } else { self.members.handle(name) }
    }

    fn by_member(&self) -> bool {
        true
    }

    fn hit(&mut self, request: usize, record: &HitRecord) -> Result<Flow, Failure> {
        let away = record.access == AccessKind::Away as u32;
        if !away {
            if !self.fires.at(self.data[request].mode, record) {
                return Ok(Flow::Continue);
            }
            self.counts.borrow_mut().fired(request, record);
        }
        let sampled = self.counts.borrow().sampled(record.watch, record.time);
        let by = By { watch: record.watch, sampled };
        let name = self.members.row(request, record.data_name);
        let member = self.members.of(request, name);
        let values = member.map_or(&self.shown[request].values, |member| &member.values);
        self.sites[request].add(record, by, name, values);
        Ok(Flow::Continue)
    }

    fn end(&mut self, _failed: bool, now: u64) -> Result<(), Failure> {
        self.ended = now;
        match self.form {
            Form::Tables { width } => {
                let text = self.text(width);
                self.put(&text)
            }
            Form::Json => Ok(()),
        }
    }

    fn sum_up(&mut self, summary: &Summary) -> Result<(), Failure> {
        match self.form {
            Form::Tables { .. } => Ok(()),
            Form::Json => {
                let object = json::object(self, summary);
                self.put(&object)
            }
        }
    }

    fn remarks(&self) -> Vec<String> {
        self.fires.remarks().collect()
    }

    fn flush(&mut self) -> io::Result<()> {
        ignore_closed(self.out.flush())
    }
}

/// Whoever read the output may go before the end.
fn ignore_closed(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
