//! hwtrace from a Rust program: who stores to a variable of a command?
//!
//! `cargo run --example embed -- target/valve state`

use std::error::Error;

use hwtrace::pipeline::{Compiled, Parsed};
use hwtrace::session::{Consumer, Context, Failure, Options, Request, Session};
use hwtrace::target::Target;
use hwtrace_lang::span::Source;
use hwtrace_probes::spec::Spec;
use hwtrace_runtime::{abi::Limits, engine::Flow, schema::HitRecord};

/// Prints the records, in place of a script's handlers.
struct Printer(Compiled);

impl Consumer for Printer {
    fn requests(&self) -> Vec<Request> {
        let points = self.0.points().iter();
        let data = points.filter_map(|point| match &point.spec {
            Spec::Data(data) => {
                let (data, span) = (data.clone(), Some(point.span));
                let (optional, instead_of) = (point.optional, Vec::new());
                Some(Request {
                    data: data.into(),
                    span,
                    optional,
                    instead_of,
                    range: None,
                })
            }
            _ => None,
        });
        data.collect()
    }
    fn begin(&mut self, _: &Context) -> Result<Flow, Failure> {
        Ok(Flow::Continue)
    }
    fn name(&mut self, _: &[u8]) -> u64 {
        0
    }
    fn hit(&mut self, _: usize, hit: &HitRecord) -> Result<Flow, Failure> {
        println!("{}: {} -> {} at {:#x}", hit.tid, hit.old, hit.new, hit.address);
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

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let target = Target::Command(arguments.next().into_iter().collect());
    let source = Source::new("embedded", "probe process.data(@1).write { }");
    let checked = Parsed::parse(source, &arguments.collect::<Vec<_>>())
        .and_then(|parsed| parsed.check(&[]))
        .map_err(|refused| format!("{:?}", refused.diagnostics))?;
    let mut printer = Printer(checked.lower(&Limits::default())?.compile(false)?);
    let (summary, ended) = Session::arm(&mut printer, &target, Options::default())?.run();
    println!("{} hits, {} lost", summary.hits, summary.lost);
    Ok(ended?)
}
