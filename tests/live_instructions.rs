//! What a hit says of its instruction, for each form that there is: a program of
//! inline assembly does one after the other on the watched bytes and knows what it did.
//! Watched are all of its bytes and parts of them, at loads and stores, at stores, and
//! at loads.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::collections::HashMap;

use common::{
    Hwtrace, Recorded, Target, c_with, despite_lost_traps, live, record_each, request,
};
use hwtrace::session::Request;
use hwtrace::target;
use hwtrace_probes::address::AbsAddr;
use hwtrace_probes::expr::Expression;
use hwtrace_probes::spec::Mode;
use hwtrace_runtime::schema::{AccessKind, HitRecord};

/// Fewer were a mistake in the table.
const FORMS_MIN: usize = 150;
/// The number of the request that says that a form was done.
const MARKER: usize = 1;

/// How the operand's bytes are told: by a register or the instruction,
const STAYS: i64 = 1;
/// by where the program goes,
const GOES: i64 = 2;
/// or where it comes from.
const COMES: i64 = 3;
/// For sure, where memory was read at the hit.
const CALLS: i64 = 4;

/// A form as the program knows it.
#[derive(Debug)]
struct Form {
    name: String,
    access: String,
    size: i64,
    offset: i64,
    told: i64,
    count: i64,
    before: u64,
    after: u64,
    address: u64,
}

impl Form {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix("form ")?.split(' ');
        let mut text = || words.next().unwrap().to_owned();
        let (name, access) = (text(), text());
        let mut number = || text().parse::<i64>().unwrap();
        let (size, offset, told, count) = (number(), number(), number(), number());
        let mut number = || text().parse::<u64>().unwrap();
        let (before, after, address) = (number(), number(), number());
        Some(Self { name, access, size, offset, told, count, before, after, address })
    }

    /// Whether a watch on these bytes sees it.
    fn fires(&self, watch: &Watched) -> bool {
        let touches = self.offset < watch.end() && watch.offset < self.offset + self.size;
        let kind = match self.access.as_str() {
            "none" => false,
            "read" => watch.mode == Mode::ReadWrite,
            _ => true,
        };
        touches && kind
    }

    /// Whether its value is told for all of these bytes.
    fn is_told(&self, watch: &Watched) -> bool {
        let covers =
            self.offset <= watch.offset && self.offset + self.size >= watch.end();
        covers
            && match self.told {
                STAYS => true,
                GOES => watch.length == 8,
                CALLS => watch.length == 8 && common::reads_at_hits(),
                _ => false,
            }
    }
}

/// Some of the eight bytes.
#[derive(Debug)]
struct Watched {
    offset: i64,
    length: u32,
    mode: Mode,
}

impl Watched {
    fn end(&self) -> i64 {
        self.offset + i64::from(self.length)
    }

    fn of(&self, value: u64) -> u64 {
        let mask = u64::MAX >> (64 - 8 * self.length);
        value >> (8 * self.offset) & mask
    }

    fn request(&self, symbols: &HashMap<String, u64>) -> Request {
        let mut request = request("watched", self.mode);
        let hwtrace::session::Data::Process(data) = &mut request.data else {
            unreachable!("it is of a process")
        };
        let address = symbols["watched"].wrapping_add_signed(self.offset);
        data.expression = Expression::Address(AbsAddr(address).0);
        data.length = Some(self.length);
        request
    }
}

/// All forms, and the hits on the watched bytes that each had.
fn run(watched: &Watched) -> Vec<(Form, Vec<HitRecord>)> {
    let program = c_with("instructions", &["-no-pie"]);
    let symbols = common::symbols(&program);
    let (recorded, answers) = despite_lost_traps(|| {
        let target = std::cell::RefCell::new(Some(Target::start(&program, &[])));
        let say = || target.borrow_mut().as_mut().unwrap().say("next");
        let pid = target.borrow().as_ref().unwrap().pid();
        let requests = vec![watched.request(&symbols), request("marker", Mode::Write)];
        let process = target::Target::Process(pid);
        let recorded = record_each(&process, requests, say, |request, _| {
            if request == MARKER {
                say();
            }
        });
        let target = target.take().unwrap();
        Some((recorded, target.finish()?))
    });
    let Recorded { summary, hits } = recorded;
    assert_eq!((summary.hits + summary.folded, summary.lost), (summary.counted, 0));
    for missing in answers.iter().filter_map(|line| line.strip_prefix("missing ")) {
        eprintln!("SKIPPED: the processor has not what this form needs: {missing}");
    }
    let forms = answers.iter().filter_map(|line| Form::parse(line));
    let hits: Vec<_> = hits.split(|(request, _)| *request == MARKER).collect();
    let own = |hits: &[(usize, HitRecord)]| hits.iter().map(|(_, hit)| *hit).collect();
    let all: Vec<_> = forms.zip(&hits).map(|(form, hits)| (form, own(hits))).collect();
    assert!(all.len() >= FORMS_MIN, "{answers:?}");
    assert_eq!(hits.len(), all.len() + 1, "each form is followed by a marker");
    all
}

/// What is wrong with what the hit says.
fn faults(form: &Form, hit: &HitRecord, watched: &Watched) -> Vec<String> {
    let mut access = AccessKind::from_number(hit.access).name();
    let mut address = hit.address;
    let is_found = form.told == CALLS && form.is_told(watched);
    if matches!(form.told, GOES | COMES | CALLS) && !is_found {
        // Only an engine that reads memory at the hit can tell where a call was.
        address = form.address;
        // A part of a pointer does not tell.
        if watched.length < 8 && access == "unknown" {
            access = &form.access;
        }
    }
    let mut faults = Vec::new();
    let mut compare = |what: &str, is: String, should: String| {
        if is != should {
            faults.push(format!("{}: {what} is {is}, not {should}", form.name));
        }
    };
    compare("access", access.to_owned(), form.access.clone());
    let whole = watched.length == 8 || form.count == 1;
    let count = if whole { form.count.to_string() } else { hit.count.to_string() };
    compare("count", hit.count.to_string(), count);
    compare("exact", hit.exact.to_string(), u32::from(form.is_told(watched)).to_string());
    let number = |value: u64| format!("{value:#x}");
    compare("old", number(hit.old), number(watched.of(form.before)));
    compare("new", number(hit.new), number(watched.of(form.after)));
    compare("addr", number(address), number(form.address));
    faults
}

fn check(offset: i64, length: u32, mode: Mode) {
    if !live() {
        return;
    }
    let watched = Watched { offset, length, mode };
    let mut wrong = Vec::new();
    let mut exact = 0;
    for (form, hits) in run(&watched) {
        let expected = usize::from(form.fires(&watched));
        if hits.len() != expected {
            wrong.push(format!("{}: {} hits, not {expected}", form.name, hits.len()));
        }
        for hit in &hits {
            wrong.extend(faults(&form, hit, &watched));
            exact += hit.exact;
        }
    }
    assert!(wrong.is_empty(), "{watched:?}: {} wrong\n{}", wrong.len(), wrong.join("\n"));
    eprintln!("{watched:?}: {exact} exact");
}

#[test]
fn every_form_at_loads_and_stores() {
    check(0, 8, Mode::ReadWrite);
}

#[test]
fn every_form_at_stores() {
    check(0, 8, Mode::Write);
}

#[test]
fn every_form_on_the_low_half() {
    check(0, 4, Mode::ReadWrite);
}

#[test]
fn every_form_on_the_high_half() {
    check(4, 4, Mode::ReadWrite);
}

#[test]
fn every_form_on_two_bytes() {
    check(2, 2, Mode::ReadWrite);
}

#[test]
fn every_form_on_one_byte() {
    check(7, 1, Mode::ReadWrite);
}

/// What a script sees of an instruction that accesses the bytes several times; the end
/// says how many hits these were.
#[test]
fn a_string_instruction_is_one_hit_of_a_script() {
    if !live() {
        return;
    }
    let script = r#"global n, hits; probe process.data("watched").rw {
        hits++
        n[access(), access_count()]++
    }
    probe end {
        printf("parts %d %d %d\n", n["write", 8], n["write", 4], n["read", 8])
        printf("hits %d\n", hits)
    }"#;
    let ended = despite_lost_traps(|| {
        let program = c_with("instructions", &["-no-pie"]);
        Hwtrace::script(script, program).run_with(&"next\n".repeat(400)).done("done")
    });
    let parts = ended.numbers("parts ");
    assert_eq!(parts, [[3, 1, 3]], "{:#?}", ended.messages);
    assert_eq!(ended.numbers("hits "), [[ended.figures().hits]]);
    ended.says(&["hits more, of string instructions", "access_count()"]);
}
