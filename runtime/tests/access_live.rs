//! The access decoder against the CPU: a child steps through instruction
//! forms with a debug register armed, and whatever the decoder says of a step
//! must be what happened.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(missing_docs)]

use std::collections::HashMap;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use hwtrace_runtime::access::{CodeSource, Decoder, Function, Recovered};
use hwtrace_runtime::event::Registers;
use hwtrace_runtime::schema::AccessKind::{self, Read, Unknown, Update, Write};
use nix::sys::ptrace;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

/// AX … FLAGS and R8 … R15 by perf's numbers.
const MASK: u64 = 0xff_03ff;
/// Most of `memory`, `other`: what is compared and reset.
const REGION: usize = 4096;
/// Where in `memory` the watched bytes are.
const WATCHED: u64 = 1024;

struct Code {
    start: u64,
    bytes: Vec<u8>,
}

impl CodeSource for Code {
    fn function(&mut self, _pid: u32, address: u64) -> Option<Function<'_>> {
        let end = self.start + self.bytes.len() as u64;
        (self.start..end).contains(&address).then_some(Function {
            start: self.start,
            size: end - self.start,
            bytes: &self.bytes,
        })
    }
}

/// The child, stopped.
struct Target {
    child: Child,
    memory: std::fs::File,
    symbols: HashMap<String, u64>,
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn output(command: &mut Command) -> String {
    let output = command.output().expect("runs");
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

fn build() -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/access_live/forms.S");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("access_forms");
    let flags = ["-nostdlib", "-static", "-no-pie", "-o"];
    output(Command::new("cc").args(flags).arg(&program).arg(source));
    program
}

fn symbols(program: &Path) -> HashMap<String, u64> {
    output(Command::new("nm").arg(program))
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let address = u64::from_str_radix(words.next()?, 16).ok()?;
            Some((words.nth(1)?.to_owned(), address))
        })
        .collect()
}

impl Target {
    fn start() -> Self {
        let program = build();
        let child = Command::new(&program).spawn().expect("starts");
        let memory = std::fs::File::options()
            .read(true)
            .write(true)
            .open(format!("/proc/{}/mem", child.id()))
            .expect("memory");
        let target = Self { child, memory, symbols: symbols(&program) };
        ptrace::attach(target.pid()).expect("attaches");
        target.wait();
        target
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    fn wait(&self) {
        let status = waitpid(self.pid(), None).expect("waits");
        assert!(matches!(status, WaitStatus::Stopped(..)), "{status:?}");
    }

    fn read(&self, address: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.memory.read_exact_at(&mut bytes, address).expect("reads");
        bytes
    }

    fn value(&self, address: u64, length: u32) -> u64 {
        let bytes = self.read(address, length as usize);
        bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
    }

    fn debug_register(&self, index: usize) -> ptrace::AddressType {
        let offset = std::mem::offset_of!(libc::user, u_debugreg) + index * 8;
        offset as ptrace::AddressType
    }

    /// Arms debug register 0 (Intel SDM vol. 3B, debug control register).
    fn arm(&self, address: u64, length: u32, writes_only: bool) {
        let write = |index, value: u64| {
            let value = value.cast_signed();
            ptrace::write_user(self.pid(), self.debug_register(index), value)
                .expect("arms");
        };
        let length = [0, 0, 1, 0, 3, 0, 0, 0, 2][length as usize];
        let kind = if writes_only { 1 } else { 3 };
        write(7, 0);
        write(0, address);
        write(7, 1 | kind << 16 | length << 18);
    }

    /// Whether the last step's trap was by debug register 0, too.
    fn fired(&self) -> bool {
        let status = ptrace::read_user(self.pid(), self.debug_register(6));
        status.expect("status") & 1 != 0
    }
}

/// A step: what was, and what the decoder says of it.
#[derive(Debug)]
struct Step {
    ip: u64,
    fired: bool,
    before: u64,
    after: u64,
    got: Option<Recovered>,
}

fn perf_order(user: &libc::user_regs_struct) -> [u64; 18] {
    [
        user.rax,
        user.rbx,
        user.rcx,
        user.rdx,
        user.rsi,
        user.rdi,
        user.rbp,
        user.rsp,
        user.rip,
        user.eflags,
        user.r8,
        user.r9,
        user.r10,
        user.r11,
        user.r12,
        user.r13,
        user.r14,
        user.r15,
    ]
}

/// All steps of `forms`, with a watch so many bytes into the eight.
fn steps(target: &Target, offset: u64, length: u32, writes_only: bool) -> Vec<Step> {
    let symbol = |name: &str| target.symbols[name];
    let (start, end) = (symbol("forms"), symbol("forms_end"));
    let mut code = Code { start, bytes: target.read(start, (end - start) as usize) };
    for region in ["memory", "other"] {
        let pattern: Vec<u8> = (0..REGION).map(|index| (index * 7 + 3) as u8).collect();
        target.memory.write_all_at(&pattern, symbol(region)).expect("writes");
    }
    let base = symbol("memory") + WATCHED;
    let watch = base + offset;
    let mut user = ptrace::getregs(target.pid()).expect("registers");
    user.rip = start;
    user.rdi = base;
    user.rsi = symbol("other") + WATCHED;
    user.rsp = symbol("other") + 3072;
    user.fs_base = base - 0x40;
    user.eflags = 0x202;
    user.orig_rax = u64::MAX;
    ptrace::setregs(target.pid(), user).expect("registers");
    target.arm(watch, length, writes_only);

    let mut decoder = Decoder::new();
    let mut steps = Vec::new();
    while user.rip != end {
        assert!(steps.len() < 2000, "lost at {:x}", user.rip);
        let (ip, before) = (user.rip, target.value(watch, length));
        ptrace::step(target.pid(), None).expect("steps");
        target.wait();
        user = ptrace::getregs(target.pid()).expect("registers");
        let values = perf_order(&user);
        let registers = Registers { mask: MASK, values: &values };
        let got = decoder
            .decode(1, user.rip, &mut code)
            .map(|access| access.recover(&registers, watch, length, before));
        let (fired, after) = (target.fired(), target.value(watch, length));
        steps.push(Step { ip, fired, before, after, got });
    }
    steps
}

/// What is wrong with the answer for a step that fired.
fn fault(step: &Step, allowed: &[AccessKind]) -> Option<&'static str> {
    let got = step.got.unwrap_or_default();
    if got.address.is_some_and(|address| address != step.ip) {
        return Some("another instruction");
    }
    if got.kind != Unknown && !allowed.contains(&got.kind) {
        return Some("wrong kind");
    }
    if got.kind == Read && step.before != step.after {
        return Some("a read that changes");
    }
    if got.new.is_some_and(|new| new != step.after) {
        return Some("wrong new value");
    }
    if got.old.is_some_and(|old| old != step.before) {
        return Some("wrong old value");
    }
    None
}

#[test]
fn every_step_that_fires_is_told_right() {
    let target = Target::start();
    for (offset, length) in [(0, 8), (0, 4), (4, 4), (2, 2), (6, 2), (3, 1), (1, 1)] {
        let all = steps(&target, offset, length, false);
        let writes = steps(&target, offset, length, true);
        assert_eq!(all.len(), writes.len());
        let mut unknown = 0;
        let (mut fired, mut exact) = (0, 0);
        for (step, written) in all.iter().zip(&writes) {
            assert_eq!(step.ip, written.ip);
            let at = step.ip.wrapping_sub(target.symbols["forms"]);
            let place = format!("forms+{at:#x}, watch +{offset} of {length}: {step:x?}");
            let got = step.got.unwrap_or_default();
            if !step.fired {
                // No hit would have asked; still no touch may be computed.
                let claimed = got.exact && got.address == Some(step.ip);
                assert!(!claimed, "no hit, but exact: {place}");
                continue;
            }
            let allowed: &[_] = if written.fired { &[Write, Update] } else { &[Read] };
            if let Some(fault) = fault(step, allowed) {
                panic!("{fault} at {place}");
            }
            fired += 1;
            unknown += usize::from(got.kind == Unknown);
            exact += usize::from(got.exact);
        }
        eprintln!(
            "+{offset} of {length}: {fired} fired, {exact} exact, {unknown} unknown"
        );
        // Those that arrive by call, ret and jmp only.
        assert!(fired > 40 && exact > 8 && unknown <= 6, "{fired} {exact} {unknown}");
    }
}
