//! Builds small targets with the system's compilers, and runs them.
#![allow(dead_code)] // Not every test uses everything.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use hwtrace_probes::{AbsAddr, Memory};

/// Where a target's source is.
pub(crate) fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/targets").join(name)
}

/// Where to put a program. Each test takes another name.
pub(crate) fn output(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Builds `sources` to a program `name`.
pub(crate) fn build(
    compiler: &str,
    name: &str,
    sources: &[&str],
    options: &[&str],
) -> PathBuf {
    let path = output(name);
    let sources = sources.iter().map(|name| source(name));
    let status = Command::new(compiler)
        .args(sources)
        .args(options)
        .arg("-o")
        .arg(&path)
        .status()
        .expect("the compiler runs");
    assert!(status.success(), "{compiler} fails on {name}");
    path
}

/// Builds data.c and other.c.
pub(crate) fn build_c(name: &str, options: &[&str]) -> PathBuf {
    build("cc", name, &["data.c", "other.c"], options)
}

/// A target that has printed its addresses and waits.
pub(crate) struct Target {
    pub(crate) child: Child,
    /// What it printed: names and addresses.
    pub(crate) addresses: HashMap<String, u64>,
}

impl Target {
    /// Starts a program and waits until it is ready.
    pub(crate) fn start(path: &Path) -> Target {
        let mut child = Command::new(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the target runs");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let mut addresses = HashMap::new();
        for line in output.lines() {
            let line = line.expect("text");
            if line == "ready" {
                break;
            }
            let (name, address) = line.rsplit_once(' ').expect("two words");
            let address = address.trim_start_matches("0x");
            let address = u64::from_str_radix(address, 16).expect("an address");
            addresses.insert(name.replace('\u{a0}', " "), address);
        }
        Target { child, addresses }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn address(&self, name: &str) -> u64 {
        self.addresses[name]
    }

    /// Lets it end, and waits for that.
    pub(crate) fn finish(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().expect("it ends");
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Memory of a target, by way of `/proc`. Where its threads keep their lists of robust
/// futexes it says itself.
pub(crate) struct TargetMemory<'a> {
    target: &'a Target,
    file: std::fs::File,
}

impl Target {
    pub(crate) fn memory(&self) -> TargetMemory<'_> {
        let path = format!("/proc/{}/mem", self.pid());
        TargetMemory { target: self, file: std::fs::File::open(path).expect("readable") }
    }
}

impl Memory for TargetMemory<'_> {
    fn read(&mut self, address: AbsAddr, bytes: &mut [u8]) -> usize {
        self.file.read_at(bytes, address.0).unwrap_or(0)
    }

    fn robust_list(&mut self, tid: u32) -> Option<AbsAddr> {
        let name = match tid == self.target.pid() {
            true => "robust_list".to_owned(),
            false => format!("robust_list@{tid}"),
        };
        self.target.addresses.get(&name).copied().map(AbsAddr)
    }
}
