//! The same jobs by hwtrace and by the tools that are used instead: how long until
//! armed, what a hit costs, and how much of what is said is right. Tools that are
//! not installed are left out, aloud.
//!
//! All watch the same store of the same program. Times are of the clock on the
//! wall, since gdb stops the program, and are told against plain counting by perf in
//! the same round.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use support::counting::count;
use support::{HWTRACE, Loop, median, only_trying};

/// What is to be found out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Job {
    /// How many stores.
    Count,
    /// How many by which instruction.
    Table,
    /// Old and new value of each.
    Lines,
}

const JOBS: [Job; 3] = [Job::Count, Job::Table, Job::Lines];

/// What a tool found out.
enum Found {
    Count(u64),
    /// Address of the instruction, and how many.
    Table(Vec<(u64, u64)>),
    /// Old and new.
    Lines(Vec<(u64, u64)>),
    /// It can not tell.
    Nothing,
}

/// Whom a tool watches, and where its output goes.
struct Place {
    pid: u32,
    address: u64,
    out: PathBuf,
}

struct Tool {
    name: &'static str,
    /// What starts it; none where it can not do the job.
    command: fn(Job, &Place) -> Option<Command>,
    /// What it left.
    found: fn(Job, &Place) -> Found,
}

static TOOLS: [Tool; 4] = [
    Tool { name: "hwtrace", command: hwtrace, found: numbers },
    Tool { name: "bpftrace", command: bpftrace, found: bpftrace_found },
    Tool { name: "perf", command: perf, found: perf_found },
    Tool { name: "gdb", command: gdb, found: numbers },
];

fn hwtrace(job: Job, place: &Place) -> Option<Command> {
    let script = match job {
        Job::Count => {
            r#"global n probe process.data("counter").write { n++ }
               probe end { printf("%d\n", n) }"#
        }
        Job::Table => {
            r#"global n probe process.data("counter").write { n[addr()]++ }
               probe end { foreach (a in n) printf("%d %d\n", a, n[a]) }"#
        }
        Job::Lines => {
            r#"probe process.data("counter").write { printf("%d %d\n", $old, $new) }"#
        }
    };
    let mut command = Command::new(HWTRACE);
    command.args(["-q", "-e", script, "-p", &place.pid.to_string(), "-o"]);
    command.arg(&place.out);
    Some(command)
}

fn bpftrace(job: Job, place: &Place) -> Option<Command> {
    let Place { pid, address, out } = place;
    let action = match job {
        Job::Count => "@n = count()".to_owned(),
        Job::Table => r#"@n[reg("ip")] = count()"#.to_owned(),
        Job::Lines => format!(
            r#"$new = *(uint64*)uptr({address}); printf("%llu %llu\n", @old, $new); @old = $new"#
        ),
    };
    let program = format!("watchpoint:{address:#x}:8:w {{ {action}; }}");
    let mut command = Command::new("bpftrace");
    command.args(["-q", "-p", &pid.to_string(), "-e", &program, "-o"]).arg(out);
    Some(command)
}

fn perf(job: Job, place: &Place) -> Option<Command> {
    if job == Job::Lines {
        return None;
    }
    let Place { pid, address, out } = place;
    let event = format!("mem:{address:#x}/8:wu");
    let mut command = Command::new("perf");
    command.args(["record", "-q", "-c", "1", "-e", &event, "-p", &pid.to_string(), "-o"]);
    command.arg(out);
    Some(command)
}

fn gdb(job: Job, place: &Place) -> Option<Command> {
    let Place { pid, address, out } = place;
    let (seen, at_end) = match job {
        Job::Count => ("n += 1", "print(n, file=out)"),
        Job::Table => (
            "pc = int(gdb.selected_frame().pc()); table[pc] = table.get(pc, 0) + 1",
            "[print(pc, n, file=out) for pc, n in table.items()]",
        ),
        Job::Lines => ("new = value(); print(old, new, file=out); old = new", "pass"),
    };
    let program = format!(
        "import gdb\n\
         n, old, table, out = 0, 0, {{}}, open('{}', 'w')\n\
         def value():\n  return int(gdb.parse_and_eval('*(unsigned long *){address}'))\n\
         old = value()\n\
         class Watch(gdb.Breakpoint):\n  def stop(self):\n    global n, old\n    {seen}\n    return False\n\
         Watch('*(unsigned long *){address}', gdb.BP_WATCHPOINT, gdb.WP_WRITE)\n\
         gdb.execute('continue')\n{at_end}\nout.close()\n",
        out.display(),
    );
    let script = out.with_extension("py");
    fs::write(&script, program).unwrap();
    let mut command = Command::new("gdb");
    command.args(["-q", "-batch", "-nx", "-p", &pid.to_string(), "-x"]).arg(script);
    Some(command)
}

/// A number, or two a line.
fn numbers(job: Job, place: &Place) -> Found {
    pairs(job, &fs::read_to_string(&place.out).unwrap())
}

fn pairs(job: Job, text: &str) -> Found {
    let number = |word: Option<&str>| word.and_then(|word| word.parse().ok());
    let pair = |line: &str| {
        let mut words = line.split_whitespace();
        Some((number(words.next())?, number(words.next())?))
    };
    let pairs = text.lines().filter_map(pair);
    match job {
        Job::Count => Found::Count(number(text.split_whitespace().next()).unwrap_or(0)),
        Job::Table => Found::Table(pairs.collect()),
        Job::Lines => Found::Lines(pairs.collect()),
    }
}

/// `@n: 5` and `@n[12]: 5`
fn bpftrace_found(job: Job, place: &Place) -> Found {
    let text = fs::read_to_string(&place.out).unwrap();
    let plain = match job {
        Job::Count => text.replace("@n:", ""),
        Job::Table => text.replace("@n[", "").replace("]:", ""),
        Job::Lines => text,
    };
    pairs(job, &plain)
}

fn perf_found(job: Job, place: &Place) -> Found {
    let script = Command::new("perf")
        .args(["script", "-F", "ip", "-i"])
        .arg(&place.out)
        .output()
        .unwrap();
    let text = String::from_utf8(script.stdout).unwrap();
    let addresses = text.lines().filter_map(|it| u64::from_str_radix(it.trim(), 16).ok());
    let addresses: Vec<_> = addresses.collect();
    match job {
        Job::Count => Found::Count(addresses.len() as u64),
        Job::Table => {
            let mut table = std::collections::BTreeMap::new();
            addresses.into_iter().for_each(|it| *table.entry(it).or_insert(0) += 1);
            Found::Table(table.into_iter().collect())
        }
        Job::Lines => Found::Nothing,
    }
}

/// One tool at one job.
struct Outcome {
    /// Seconds until it saw stores.
    armed: f64,
    /// Nanoseconds that a store takes.
    store: f64,
    /// Part of what it said that is right; none where it can not tell.
    right: Option<f64>,
}

/// A store each millisecond, so long.
const PACE: Duration = Duration::from_millis(1);

/// Lets a tool do a job; none where the machine killed the program (see the README).
fn run(tool: &Tool, job: Job, (paced, stores): (u64, u64)) -> Option<Outcome> {
    let mut target = Loop::start();
    let (address, here) = (target.address_of("counter"), target.address_of_store());
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("peers-out");
    drop(File::create(&out).unwrap());
    let place = Place { pid: target.pid(), address, out };
    let mut command = (tool.command)(job, &place)?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    target.begin(paced, PACE)?;
    let mut tool_process = command.spawn().unwrap();
    let pace = target.finish(paced);
    let store = target.store_timed(stores);
    target.end();
    tool_process.wait().unwrap();
    let ((_, pace), (_, store)) = (pace?, store?);
    let found = (tool.found)(job, &place);
    let expected: Vec<u64> = (0..paced).chain(0..stores).collect();
    let seen = match &found {
        Found::Count(count) => *count,
        Found::Table(rows) => rows.iter().map(|row| row.1).sum(),
        Found::Lines(lines) => lines.len() as u64,
        Found::Nothing => 0,
    };
    let missed = (expected.len() as u64).saturating_sub(seen);
    let right = match &found {
        Found::Count(_) | Found::Nothing => None,
        Found::Table(rows) => {
            let right: u64 =
                rows.iter().filter(|row| row.0 == here).map(|row| row.1).sum();
            Some(right as f64 / seen.max(1) as f64)
        }
        Found::Lines(lines) => Some(right_lines(lines, &expected, stores)),
    };
    Some(Outcome { armed: missed as f64 * pace / 1e9, store, right })
}

/// How many of the last so many changes have a line that says just that.
fn right_lines(lines: &[(u64, u64)], expected: &[u64], last: u64) -> f64 {
    let changes = expected.windows(2).map(|pair| (pair[0], pair[1]));
    let changes = changes.skip(expected.len() - 1 - last as usize);
    let mut lines =
        lines.iter().skip(lines.len().saturating_sub(last as usize)).peekable();
    let told = changes.filter(|change| lines.next_if_eq(&change).is_some()).count();
    told as f64 / last as f64
}

fn is_there(tool: &Tool) -> bool {
    tool.name == "hwtrace"
        || Command::new(tool.name)
            .arg("--version")
            .output()
            .is_ok_and(|output| output.status.success())
}

fn main() {
    let rounds = if only_trying() { 1 } else { 7 };
    let tools = TOOLS.iter().filter(|tool| {
        let there = is_there(tool);
        if !there {
            println!("{} is not installed: left out", tool.name);
        }
        there
    });
    let tools: Vec<_> = tools.collect();
    let mut figures: Vec<Vec<Vec<Outcome>>> =
        tools.iter().map(|_| JOBS.iter().map(|_| Vec::new()).collect()).collect();
    let mut plain = Vec::new();
    for _ in 0..rounds {
        let stores = if only_trying() { 100 } else { 20_000 };
        let mut target = Loop::start();
        let event = count(target.pid(), target.address_of("counter"));
        let Some((_, counted)) = target.store_timed(stores) else { continue };
        drop(event);
        plain.push(counted);
        for (tool, figures) in tools.iter().zip(&mut figures) {
            // Of gdb's hits each takes as long as fifty of others.
            let stores = if tool.name == "gdb" { stores / 20 } else { stores };
            for (job, figures) in JOBS.iter().zip(figures) {
                let paced = if only_trying() { 50 } else { 2_500 };
                let outcome = run(tool, *job, (paced, stores));
                figures.extend(
                    outcome.map(|it| Outcome { store: it.store / counted, ..it }),
                );
            }
        }
    }
    print_table(&tools, &figures, rounds, median(plain));
}

fn print_table(
    tools: &[&Tool],
    figures: &[Vec<Vec<Outcome>>],
    rounds: usize,
    plain: f64,
) {
    println!(
        "medians of {rounds} rounds; a hit costs so many times plain counting, {plain:.0} ns"
    );
    println!(
        "| tool | armed after | count | table by instruction | right | line a hit | right |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for (tool, jobs) in tools.iter().zip(figures) {
        let middle = |job: usize, of: fn(&Outcome) -> Option<f64>| {
            let values: Vec<_> = jobs[job].iter().filter_map(of).collect();
            (!values.is_empty()).then(|| median(values))
        };
        let cost = |job| {
            middle(job, |it| Some(it.store)).map_or("–".into(), |it| format!("{it:.2}"))
        };
        let right = |job| {
            middle(job, |it| it.right)
                .map_or("–".into(), |it| format!("{:.0} %", it * 100.0))
        };
        let armed = middle(0, |it| Some(it.armed))
            .map_or("–".into(), |it| format!("{it:.2} s"));
        println!(
            "| {} | {armed} | {} | {} | {} | {} | {} |",
            tool.name,
            cost(0),
            cost(1),
            right(1),
            cost(2),
            right(2)
        );
    }
}
