//! What gdb sees of a program at hits of its own watchpoints.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use hwtrace_probes::stack::Registers;

/// What is watched, and when.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    /// Where gdb stops before it watches.
    pub(crate) at: &'a str,
    /// The command that watches.
    pub(crate) watch: &'a str,
    /// So many hits are looked at, of so many each one.
    pub(crate) hits: u32,
    pub(crate) step: u32,
    /// So many there must be.
    pub(crate) least: usize,
    /// What the program reads.
    pub(crate) input: &'a str,
    pub(crate) arguments: &'a [&'a str],
}

impl Default for Question<'_> {
    fn default() -> Self {
        Self {
            at: "main",
            watch: "awatch -l watched",
            hits: 20,
            step: 1,
            least: 20,
            input: "",
            arguments: &[],
        }
    }
}

/// What there is to walk at a hit, and how gdb walks it.
pub(crate) struct Hit {
    pub(crate) maps: String,
    pub(crate) registers: Registers,
    pub(crate) bytes: Vec<u8>,
    pub(crate) frames: Vec<Frame>,
    /// Whether gdb came to the end.
    pub(crate) whole: bool,
}

impl Hit {
    /// Where the thread is.
    pub(crate) fn address(&self) -> u64 {
        self.registers.get(Registers::RIP).unwrap()
    }
}

#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    pub(crate) address: u64,
    pub(crate) function: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Inlined,
    Signal,
}

/// Whether there is a gdb that understands scripts.
pub(crate) fn present() -> bool {
    let mut gdb = Command::new("gdb");
    let output = gdb.args(["-nx", "-batch", "-ex", "python print(6 * 7)"]).output();
    output.is_ok_and(|output| output.stdout.starts_with(b"42"))
}

/// Runs the program in gdb.
pub(crate) fn ask(program: &Path, question: &Question<'_>) -> Vec<Hit> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Tests of two packages ask.
    let root = package.ancestors().find(|folder| folder.join("Cargo.lock").exists());
    let script = root.unwrap().join("tests/real/tests/stacks/ask.py");
    let mut gdb = Command::new("gdb");
    gdb.args(["-nx", "-batch", "-x"]).arg(script).arg("--args").arg(program);
    gdb.args(question.arguments);
    gdb.env("AT", question.at).env("WATCH", question.watch);
    gdb.env("HITS", question.hits.to_string()).env("STEP", question.step.to_string());
    gdb.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut gdb = gdb.spawn().unwrap();
    // The program reads what gdb does not. Who has ended can not listen.
    let _ = gdb.stdin.take().unwrap().write_all(question.input.as_bytes());
    let output = gdb.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let hits = parse(&text);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!hits.is_empty(), "gdb saw nothing: {errors}\n{text}");
    hits
}

fn parse(text: &str) -> Vec<Hit> {
    let mut hits: Vec<Hit> = Vec::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("@ ")) {
        let (what, rest) = line.split_once(' ').unwrap_or((line, ""));
        if what == "hit" {
            hits.push(Hit {
                maps: String::new(),
                registers: Registers::default(),
                bytes: Vec::new(),
                frames: Vec::new(),
                whole: false,
            });
        }
        let hit = hits.last_mut().expect("a hit");
        match what {
            "map" => hit.maps.extend([rest, "\n"]),
            "registers" => {
                for (number, value) in (0..).zip(rest.split(' ')) {
                    hit.registers.set(number, Some(value.parse().unwrap()));
                }
            }
            "bytes" => {
                let pairs = rest.as_bytes().chunks(2);
                let byte = |pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16);
                hit.bytes = pairs.map(|pair| byte(pair).unwrap()).collect();
            }
            "frame" => hit.frames.push(frame(rest)),
            "end" => hit.whole = rest == "whole",
            _ => {}
        }
    }
    hits
}

fn frame(text: &str) -> Frame {
    let mut words = text.splitn(3, ' ');
    let kind = match words.next() {
        Some("inlined") => Kind::Inlined,
        Some("signal") => Kind::Signal,
        _ => Kind::Normal,
    };
    let address = words.next().unwrap().parse().unwrap();
    let function = words.next().filter(|name| *name != "?").map(str::to_owned);
    Frame { kind, address, function }
}
