//! `hwtrace watch`: a table of who touched the data, by instruction.

mod members;

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};
use std::io::{self, ErrorKind, Write};

use hwtrace_probes::expr::Expression;
use hwtrace_probes::spec::{DataSpec, Mode, Only, ProcessRef};
use hwtrace_runtime::engine::Flow;
use hwtrace_runtime::schema::{AccessKind, HitRecord, UNKNOWN_NEW, UNSURE_NEW};

use crate::fires::Fires;
use crate::report::{self, Row, Table};
use crate::session::{Consumer, Context, Data, Failure, Request};
use crate::symbols::SharedSymbols;
use crate::values::Values;
use members::Members;

/// What to watch, and how.
#[derive(Clone, Debug)]
pub struct Watched {
    /// What.
    pub expression: Expression,
    /// Its length, where not the symbol's.
    pub length: Option<u32>,
    /// At which accesses.
    pub mode: Mode,
    /// Whether it moves with the pointers on the way to it.
    pub follow: bool,
}

/// The consumer that gathers the table.
pub struct Watcher<'a> {
    watched: Vec<Watched>,
    titles: Vec<String>,
    /// How the values of each are shown, of those without members.
    values: Vec<Values>,
    members: Members,
    sites: Vec<HashMap<Site, Tally>>,
    fires: Fires,
    symbols: Option<SharedSymbols>,
    width: usize,
    out: Box<dyn Write + 'a>,
}

/// An instruction, and what it does.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Site {
    address: u64,
    access: u32,
    /// Handle of the name of the data, or of the member, that it touches.
    name: u64,
}

/// What an instruction did.
struct Tally {
    hits: u64,
    /// A process in which the address has its meaning.
    pid: u32,
    /// The lowest and the highest one; none as long as no value is known.
    values: Option<(u64, u64)>,
    doubtful: bool,
    last_thread: u32,
    threads: BTreeSet<u32>,
}

impl<'a> Watcher<'a> {
    /// Watches these, and prints a table of `width` columns to `out` at the
    /// end.
    pub fn new(watched: Vec<Watched>, width: usize, out: Box<dyn Write + 'a>) -> Self {
        let sites = watched.iter().map(|_| HashMap::new()).collect();
        Self {
            watched,
            titles: Vec::new(),
            values: Vec::new(),
            members: Members::default(),
            sites,
            fires: Fires::default(),
            symbols: None,
            width,
            out,
        }
    }

    /// How values are shown of what has this name.
    fn values_of(&self, number: usize, name: u64) -> &Values {
        let member = self.members.of(number, name);
        member.map_or(&self.values[number], |member| &member.values)
    }

    fn table(&self, number: usize) -> Table {
        let symbols = self.symbols.as_ref();
        let row = |(site, tally): (&Site, &Tally)| Row {
            hits: tally.hits,
            access: AccessKind::from_number(site.access).name(),
            member: self.members.shown(number, site.name),
            place: symbols.map_or_else(
                || format!("{:#x}", site.address),
                |symbols| symbols.borrow_mut().place(tally.pid, site.address),
            ),
            line: symbols.map_or_else(String::new, |symbols| {
                symbols.borrow_mut().line(tally.pid, site.address)
            }),
            address: site.address,
            values: tally.values.map(|range| {
                let mut name =
                    |address| symbols?.borrow_mut().pointed_to(tally.pid, address);
                self.values_of(number, site.name).range(range, &mut name)
            }),
            doubtful: tally.doubtful,
            threads: tally.threads.len(),
        };
        let rows = self.sites[number].iter().map(row).collect();
        let title = self.titles.get(number).cloned().unwrap_or_default();
        let change = self.watched[number].mode == Mode::Change;
        Table::new(title, if change { "change" } else { "hit" }, rows)
    }
}

impl Consumer for Watcher<'_> {
    fn requests(&self) -> Vec<Request> {
        let request = |watched: &Watched| Request {
            data: Data::Process(DataSpec {
                process: ProcessRef::Target,
                expression: watched.expression.clone(),
                length: watched.length,
                mode: watched.mode,
                only: Only::default(),
                pinned: false,
                follow: watched.follow,
            }),
            span: None,
            optional: false,
            instead_of: Vec::new(),
        };
        self.watched.iter().map(request).collect()
    }

    fn begin(&mut self, context: &Context) -> Result<Flow, Failure> {
        self.symbols = Some(context.symbols.clone());
        for location in context.locations.iter().flatten() {
            self.titles.push(report::title(location, context.names.types()));
            self.values.push(context.names.values(location));
            self.members.add(location, &context.names);
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
        if !self.fires.at(self.watched[request].mode, record) {
            return Ok(Flow::Continue);
        }
        let name = self.members.row(request, record.data_name);
        let site = Site { address: record.address, access: record.access, name };
        let member = self.members.of(request, name);
        let values = member.map_or(&self.values[request], |member| &member.values);
        let tally = self.sites[request].entry(site).or_insert_with(|| Tally {
            hits: 0,
            pid: record.pid,
            values: None,
            doubtful: false,
            last_thread: 0,
            threads: BTreeSet::new(),
        });
        tally.hits += 1;
        tally.doubtful |= record.doubts & (UNSURE_NEW | UNKNOWN_NEW) != 0;
        if record.doubts & UNKNOWN_NEW == 0 {
            let (new, values) = (record.new, values);
            let (low, high) = tally.values.unwrap_or((new, new));
            let less = |left, right| values.compare(left, right) == Ordering::Less;
            let low = if less(new, low) { new } else { low };
            let high = if less(high, new) { new } else { high };
            tally.values = Some((low, high));
        }
        if tally.last_thread != record.tid {
            tally.last_thread = record.tid;
            tally.threads.insert(record.tid);
        }
        Ok(Flow::Continue)
    }

    fn end(&mut self, _failed: bool, _now: u64) -> Result<(), Failure> {
        let tables: Vec<_> =
            (0..self.titles.len()).map(|number| self.table(number)).collect();
        for (number, table) in tables.iter().enumerate() {
            let gap = if number == 0 { "" } else { "\n" };
            let written = write!(self.out, "{gap}{}", table.text(self.width));
            ignore_closed(written).map_err(Failure::Output)?;
        }
        Ok(())
    }

    fn remarks(&self) -> Vec<String> {
        self.fires.remark().into_iter().collect()
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
