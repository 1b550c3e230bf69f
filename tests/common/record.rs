//! hwtrace as a library: a consumer that keeps every record.

use hwtrace::session::{
    Consumer, Context, Data, Failure, Options, Request, Session, Summary,
};
use hwtrace_probes::expr::Expression;
use hwtrace_probes::spec::{DataSpec, Mode, Only, ProcessRef};
use hwtrace_runtime::engine::Flow;
use hwtrace_runtime::schema::HitRecord;

use super::again::again;

/// A watch on a variable of the target.
pub(crate) fn request(name: &str, mode: Mode) -> Request {
    let expression = Expression::name(name);
    let data = Data::Process(DataSpec {
        process: ProcessRef::Target,
        expression,
        length: None,
        mode,
        only: Only::default(),
        pinned: false,
        follow: false,
    });
    Request { data, span: None, optional: false, instead_of: Vec::new(), range: None }
}

/// All that came of a session.
pub(crate) struct Recorded {
    pub(crate) summary: Summary,
    /// The request's number and the record, in the order of arrival.
    pub(crate) hits: Vec<(usize, HitRecord)>,
}

impl Recorded {
    /// The records, whatever the request.
    pub(crate) fn records(&self) -> impl Iterator<Item = &HitRecord> {
        self.hits.iter().map(|(_, record)| record)
    }

    /// Values that a thread stored, in its order.
    pub(crate) fn stored_by(&self, tid: u32) -> Vec<u64> {
        self.records()
            .filter(|record| record.tid == tid)
            .map(|record| record.new)
            .collect()
    }

    /// Threads with hits, in order.
    pub(crate) fn threads(&self) -> Vec<u32> {
        let mut threads: Vec<_> = self.records().map(|record| record.tid).collect();
        threads.sort_unstable();
        threads.dedup();
        threads
    }

    /// All hits of the target are accounted for, none is out of the order of time in
    /// silence, and each value is the one that was stored. Gives how many records were lost
    /// or late, see [`despite_stalls`].
    #[track_caller]
    pub(crate) fn disturbed(&self, hits: u64, threads: u64) -> u64 {
        let summary = &self.summary;
        assert_eq!(self.hits.len() as u64 + summary.lost, hits, "{summary:?}");
        let seen = summary.hits + summary.folded;
        assert_eq!((seen + summary.lost, summary.counted), (hits, hits), "{summary:?}");
        assert_eq!(summary.threads, threads, "{summary:?}");
        let mut latest = 0;
        let is_behind = |record: &&HitRecord| {
            latest = latest.max(record.time);
            record.time < latest
        };
        let behind = self.records().filter(is_behind).count();
        assert!(behind as u64 <= summary.late, "{behind} behind: {summary:?}");
        assert!(self.records().all(|record| record.exact == 1));
        summary.lost + summary.late
    }
}

/// Runs again where records were lost or late: of a machine that holds a CPU for longer than
/// rings last, or than their merge waits, see `hwtrace_runtime::merge`.
#[track_caller]
pub(crate) fn despite_stalls(mut attempt: impl FnMut() -> u64) {
    again(|| match attempt() {
        0 => Ok(()),
        disturbed => Err(format!("{disturbed} records were lost or late")),
    });
}

/// Watches `requests` until the target ends. `go` is called once everything is
/// armed, to let it go on.
pub(crate) fn record(
    target: &hwtrace::target::Target,
    requests: Vec<Request>,
    go: impl FnMut(),
) -> Recorded {
    record_each(target, requests, go, |_, _| {})
}

/// The same; `each` is called at each hit, with the request's number.
pub(crate) fn record_each(
    target: &hwtrace::target::Target,
    requests: Vec<Request>,
    go: impl FnMut(),
    each: impl FnMut(usize, &HitRecord),
) -> Recorded {
    let mut recorder = Recorder { requests, hits: Vec::new(), go, each };
    let options = Options { engine: super::engine(), ..Options::default() };
    let session = Session::arm(&mut recorder, target, options);
    let session = session.unwrap_or_else(|failure| panic!("{failure:?}"));
    let (summary, ended) = session.run();
    ended.unwrap();
    Recorded { summary, hits: recorder.hits }
}

struct Recorder<G, E> {
    requests: Vec<Request>,
    hits: Vec<(usize, HitRecord)>,
    go: G,
    each: E,
}

impl<G: FnMut(), E: FnMut(usize, &HitRecord)> Consumer for Recorder<G, E> {
    fn requests(&self) -> Vec<Request> {
        self.requests.clone()
    }

    fn begin(&mut self, _: &Context) -> Result<Flow, Failure> {
        (self.go)();
        Ok(Flow::Continue)
    }

    fn name(&mut self, _: &[u8]) -> u64 {
        0
    }

    fn hit(&mut self, request: usize, record: &HitRecord) -> Result<Flow, Failure> {
        self.hits.push((request, *record));
        (self.each)(request, record);
        Ok(Flow::Continue)
    }

    fn timer(&mut self, _: usize, _: u64) -> Result<Flow, Failure> {
        Ok(Flow::Continue)
    }

    fn end(&mut self, _: bool, _: u64) -> Result<(), Failure> {
        Ok(())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
