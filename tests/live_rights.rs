//! Other users, capabilities instead of root: what is refused, what is shown, and what
//! hwtrace gives up.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};
use std::rc::Rc;

use common::{
    ENGINE, Ended, Hwtrace, STRANGER, Scratch, Target, as_user, c, engine_name,
    live_as_root, with_capabilities,
};
use hwtrace::rights::CAPABILITIES;
use hwtrace_runtime::engine::Engine;
use hwtrace_runtime::engine::perf::{PerfEngine, PerfOptions};
use hwtrace_runtime::event::{Trigger, Watch};
use hwtrace_runtime::kernel::Rights;
use hwtrace_runtime::kernel::linux::Linux;

const NOBODY: u32 = 65_534;

const STORES: &str = r#"probe process.data("counter").write { println($new) }"#;

// capabilities(7)
const KILL: u32 = 5;
const NET_BIND_SERVICE: u32 = 10;
const SYS_PTRACE: u32 = 19;
const SYS_ADMIN: u32 = 21;
const SYSLOG: u32 = 34;
const PERFMON: u32 = 38;
const BPF: u32 = 39;

/// hwtrace as nobody, with these arguments.
fn by_nobody(hwtrace: &Path, arguments: &[&str]) -> Hwtrace {
    let mut command = as_user(NOBODY, hwtrace);
    command.env(ENGINE, engine_name());
    Hwtrace::by(command, arguments)
}

/// A target that another user runs, and its program.
fn of_stranger(scratch: &Scratch) -> (Target, PathBuf) {
    let program = scratch.copy(c("obey"));
    (Target::start_command(as_user(STRANGER, &program)), program)
}

#[test]
fn another_users_process_is_refused_whatever_perf_allows() {
    if !live_as_root() {
        return;
    }
    let scratch = Scratch::new();
    let hwtrace = with_capabilities(&scratch, &[BPF, PERFMON]);
    let (mut target, program) = of_stranger(&scratch);
    let pid = target.pid().to_string();
    let by_path = format!(
        r#"probe process("{}").data("counter").write {{ println("hit") }}
           probe timer.ms(300) {{ exit() }}"#,
        program.display()
    );
    let ended = by_nobody(&hwtrace, &["-e", STORES, "-p", &pid]).run().expect(1);
    ended.says(&["error[E0404]", "it is of user 12345, and hwtrace runs as user 65534"]);
    ended.says(&["help: run hwtrace as the user", "CAP_SYS_PTRACE"]);
    assert_eq!(ended.out, [""; 0]);
    // One that is named by its program is left out.
    let running = by_nobody(&hwtrace, &["-e", &by_path]).start();
    assert_eq!(target.ask("store 3").as_deref(), Some("stored 3"));
    assert_eq!(running.finish().expect(0).out, [""; 0]);
    assert_eq!(target.finish().unwrap(), ["bye, counter is 2 of 3"]);
}

/// The engines themselves look, whoever uses them: all that a session finds out before
/// the kernel refuses to a process of another user anyway.
#[test]
fn engines_refuse_what_ptrace_would_refuse() {
    if !live_as_root() {
        return;
    }
    let scratch = Scratch::new();
    let (target, _) = of_stranger(&scratch);
    let pid = target.pid();
    let arm = move |bits: u64| {
        // Capabilities are a thread's own.
        let armed = std::thread::spawn(move || {
            let own = Linux.capabilities().unwrap();
            Linux.set_capabilities(&own.only(bits)).unwrap();
            let watch = Watch { address: 0x1000, length: 8, trigger: Trigger::Write };
            [PerfEngine::new, PerfEngine::with_programs].map(|engine| {
                let mut engine = engine(Rc::new(Linux), PerfOptions::default());
                engine.arm(pid, &[watch]).map_err(|error| error.to_string())
            })
        });
        armed.join().unwrap()
    };
    let enough = bits_of(&[BPF, PERFMON, SYS_PTRACE]);
    assert!(arm(enough).iter().all(Result::is_ok), "{:?}", arm(enough));
    let refused = Err(format!("process {pid} may not be looked into"));
    assert_eq!(arm(bits_of(&[BPF, PERFMON])), [refused.clone(), refused]);
    assert_eq!(target.finish().unwrap(), ["bye, counter is 0 of 0"]);
}

#[test]
fn with_the_capability_to_trace_it_is_watched() {
    if !live_as_root() {
        return;
    }
    let scratch = Scratch::new();
    let hwtrace = with_capabilities(&scratch, &[BPF, PERFMON, SYS_PTRACE]);
    let (mut target, _) = of_stranger(&scratch);
    let pid = target.pid().to_string();
    let script = format!(
        r#"probe begin {{ println("armed") }} {STORES}
           probe process.data("counter").write {{ if ($new == 2) exit() }}"#
    );
    let running = by_nobody(&hwtrace, &["-e", &script, "-p", &pid]).start();
    running.out().until("armed");
    assert_eq!(target.ask("store 3").as_deref(), Some("stored 3"));
    assert_eq!(running.finish().expect(0).out, ["0", "1", "2"]);
    assert_eq!(target.finish().unwrap(), ["bye, counter is 2 of 3"]);
}

/// The kernel shows a process whose program may not be read to nobody but root, and not
/// to its own user.
#[test]
fn ones_own_process_that_keeps_others_out_is_refused() {
    if !live_as_root() {
        return;
    }
    let scratch = Scratch::new();
    let hwtrace = with_capabilities(&scratch, &[BPF, PERFMON]);
    let bytes = std::fs::read(c("obey")).unwrap();
    let secret = scratch.file("secret", &bytes, 0o711);
    let target = Target::start_command(as_user(NOBODY, secret));
    let pid = target.pid().to_string();
    let ended = by_nobody(&hwtrace, &["-e", STORES, "-p", &pid]).run().expect(1);
    ended.says(&["error[E0404]", "keeps others out"]);
    assert_eq!(target.finish().unwrap(), ["bye, counter is 0 of 0"]);
}

/// Executes a program that the session waits for and has it store, up to so many times,
/// until a hit is seen; gives how often it stored, and whether one was.
fn until_hit(hwtrace: &Path, program: &Path, rounds: u32) -> (u32, bool) {
    let program = program.display();
    let script = format!(
        r#"probe process("{program}").data("counter").write {{ println("hit") }}
           probe timer.ms(1) {{}}"#
    );
    let command = format!("sh -c 'exec {program}'");
    let mut running = by_nobody(hwtrace, &["-q", "-e", &script, "-c", &command]).start();
    running.out().until("ready");
    for round in 1..=rounds {
        running.say("store 1");
        let before = running.out().until(&format!("stored {round}"));
        if before.iter().any(|line| line == "hit") {
            return (round, true);
        }
    }
    let ended = running.finish().expect(0);
    (rounds, ended.out.iter().any(|line| line == "hit"))
}

#[test]
fn a_program_that_gains_rights_is_not_followed() {
    if !live_as_root() {
        return;
    }
    let scratch = Scratch::new();
    let hwtrace = with_capabilities(&scratch, &[BPF, PERFMON]);
    let bytes = std::fs::read(c("obey")).unwrap();
    let plain = scratch.file("plain", &bytes, 0o755);
    let (rounds, hit) = until_hit(&hwtrace, &plain, 1_000_000);
    assert!(hit, "it is watched without the bit");
    let gains = scratch.file("gains", &bytes, 0o4755);
    assert_eq!(until_hit(&hwtrace, &gains, 10 * rounds), (10 * rounds, false));
}

/// The bits of a line of `/proc/PID/status`, in the order in which they were printed.
fn bits(ended: &Ended, name: &str) -> Vec<u64> {
    let lines = ended.out.iter().filter_map(|line| line.strip_prefix(name));
    lines.map(|line| u64::from_str_radix(line.trim(), 16).unwrap()).collect()
}

fn bits_of(capabilities: &[u32]) -> u64 {
    capabilities.iter().fold(0, |bits, number| bits | 1 << number)
}

/// Prints the capabilities of hwtrace, which is the shell's parent, and of the shell.
const OF_BOTH: &str = r#"probe begin { system("grep -h ^CapPrm: /proc/$PPID/status /proc/self/status; grep ^NoNewPrivs: /proc/self/status") }
    probe timer.ms(300) { exit() }"#;

#[test]
fn only_what_an_armed_session_may_need_is_kept() {
    if !live_as_root() {
        return;
    }
    let scratch = Scratch::new();
    let all: Vec<u32> = (0..=40).filter(|number| *number != 24).collect();
    let hwtrace = with_capabilities(&scratch, &all);
    let target = Target::start_command(as_user(NOBODY, scratch.copy(c("obey"))));
    let pid = target.pid().to_string();
    let held = |script: &str| {
        let arguments = ["--unsafe", "-e", script, "-p", &pid];
        let ended = by_nobody(&hwtrace, &arguments).run().expect(0);
        let held = bits(&ended, "CapPrm:");
        // Commands have none of it.
        assert_eq!(held[1..], [0], "{ended:#?}");
        assert!(ended.out.contains(&"NoNewPrivs:\t0".to_owned()), "{ended:#?}");
        held[0]
    };
    assert_eq!(held(OF_BOTH), 0, "nothing is watched");
    let own = match engine_name() {
        "bpf" => bits_of(&[BPF, PERFMON, SYSLOG]),
        _ => bits_of(&[PERFMON, SYSLOG]),
    };
    assert_eq!(held(&format!("{OF_BOTH} {STORES}")), own);
    let reads =
        format!("{OF_BOTH} {STORES} probe end {{ println(kernel_string2(0, \"\")) }}");
    assert_eq!(held(&reads), own | bits_of(&[BPF, SYS_ADMIN]));
    assert_eq!(target.finish().unwrap(), ["bye, counter is 0 of 0"]);

    let (target, _) = of_stranger(&scratch);
    let pid = target.pid().to_string();
    let arguments = ["--unsafe", "-e", &format!("{OF_BOTH} {STORES}"), "-p", &pid];
    let ended = by_nobody(&hwtrace, &arguments).run().expect(0);
    assert_eq!(bits(&ended, "CapPrm:")[0], own | bits_of(&[SYS_PTRACE]));
    assert!(CAPABILITIES.iter().any(|it| it.number == KILL), "kept for signal() alone");
    assert_eq!(target.finish().unwrap(), ["bye, counter is 0 of 0"]);
}

#[test]
fn what_is_started_has_the_rights_of_its_user() {
    if !live_as_root() {
        return;
    }
    let scratch = Scratch::new();
    let hwtrace = with_capabilities(&scratch, &[BPF, PERFMON, SYS_PTRACE]);
    let script = "probe process.data(0x1000).write {}";
    let status = "cat /proc/self/status";
    let ended = by_nobody(&hwtrace, &["-q", "-e", script, "-c", status]).run().expect(0);
    for name in ["CapPrm:", "CapEff:", "CapAmb:"] {
        assert_eq!(bits(&ended, name), [0], "{ended:#?}");
    }
    for line in ["Uid:\t65534\t65534\t65534\t65534", "NoNewPrivs:\t0"] {
        assert!(ended.out.contains(&line.to_owned()), "{ended:#?}");
    }
    // The C library takes this out of the environment of programs with capabilities.
    let mut command = as_user(NOBODY, &hwtrace);
    command
        .env(ENGINE, engine_name())
        .env("LD_LIBRARY_PATH", "/none")
        .env("TMPDIR", "/x");
    let ended = Hwtrace::by(command, &["-q", "-e", script, "-c", "env"]).run().expect(0);
    for line in ["LD_LIBRARY_PATH=/none", "TMPDIR=/x"] {
        assert!(ended.out.contains(&line.to_owned()), "{ended:#?}");
    }
    // What the user gives to all that is started, hwtrace does not take from it.
    let plain = scratch.copy(env!("CARGO_BIN_EXE_hwtrace"));
    let mut command = std::process::Command::new("setpriv");
    command.args([
        "--reuid",
        "65534",
        "--clear-groups",
        "--inh-caps",
        "+net_bind_service",
    ]);
    command.args(["--ambient-caps", "+net_bind_service", "--"]).arg(plain);
    command.current_dir("/").env(ENGINE, "auto");
    let ended = Hwtrace::by(command, &["-q", "-e", script, "-c", status]).run().expect(0);
    for name in ["CapPrm:", "CapEff:", "CapAmb:"] {
        assert_eq!(bits(&ended, name), [1 << NET_BIND_SERVICE], "{ended:#?}");
    }
}

/// Which kernel memory there is, programs could read with less: all memory of all is in
/// it.
#[test]
fn the_kernels_memory_takes_what_watching_it_takes() {
    if !live_as_root() {
        return;
    }
    let scratch = Scratch::new();
    let script = r#"probe begin { println(kernel_long(0xffffffff81000000)) exit() }"#;
    let hwtrace = with_capabilities(&scratch, &[BPF, PERFMON]);
    let ended = by_nobody(&hwtrace, &["-e", script]).run().expect(1);
    ended.says(&["reading the kernel's memory takes CAP_SYS_ADMIN"]);
    assert_eq!(ended.out, [""; 0]);

    // Nor at the hit: neither what is told of it, nor what depends on it.
    let target = scratch.copy(c("facts"));
    for body in [
        "println(kernel_long(0xffffffff81000000))",
        "println(kernel_buffer_quoted(0xffffffff81000000, 8, 80))",
        "if (kernel_long(0xffffffff81000000) != 0) println(1)",
        "if (kernel_long(0xffffffff81000000) != 0) signal(10)",
    ] {
        let script = format!("probe process.data(\"watched\").write {{ {body} }}");
        let arguments = ["-e", &script, "-c", target.to_str().unwrap()];
        let ended = by_nobody(&hwtrace, &arguments).run_with("store").expect(1);
        ended.says(&["reading the kernel's memory takes CAP_SYS_ADMIN"]);
        assert!(!ended.out.iter().any(|line| line == "signals 1"), "{ended:?}");
        assert!(
            ended.out.iter().all(|line| !line.starts_with(['1', '4', '"'])),
            "{ended:?}"
        );
    }
}

/// The kernel's own instructions, of which it tells the address with CAP_SYSLOG alone
/// (or where `kernel.kptr_restrict` is 0 and `kernel.perf_event_paranoid` at most 1).
#[test]
fn addresses_of_the_kernel_are_told_where_the_kernel_tells_them() {
    if !live_as_root() {
        return;
    }
    let scratch = Scratch::new();
    let script = r#"probe process.data("watched").write {
        printf("at %x %s %s\n", addr(), symptr(addr()), symname(addr()))
        printf("%x\n", u_register("rip"))
        print_regs()
    }"#;
    let target = scratch.copy(c("facts"));
    let arguments = ["-e", script, "-c", target.to_str().unwrap()];
    let said = |capabilities: &[u32]| {
        let hwtrace = with_capabilities(&scratch, capabilities);
        let ended = by_nobody(&hwtrace, &arguments).run_with("receive").expect(0);
        // Nothing else tells it either.
        let told = ended.out.iter().any(|line| line.contains("ffffffff8"));
        assert_eq!(told, capabilities.contains(&SYSLOG), "{ended:#?}");
        let line = ended.out.iter().find_map(|line| line.strip_prefix("at "));
        line.unwrap_or_else(|| panic!("{ended:#?}")).to_owned()
    };
    let setting = |name: &str| {
        let text = std::fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap();
        text.trim().parse::<i32>().unwrap()
    };
    let (restricted, paranoid) =
        (setting("kptr_restrict"), setting("perf_event_paranoid"));
    if restricted > 1 || (restricted == 0 && paranoid <= 1) {
        eprintln!("NOTE: this kernel tells its addresses to all users, or to none");
        return;
    }
    let shown = said(&[BPF, PERFMON, SYSLOG]);
    assert!(shown.starts_with("ffffffff") && shown.contains('<'), "{shown}");
    assert_eq!(said(&[BPF, PERFMON]), "0 0x0 0x0");
    let watch = ["watch", "watched", "--", target.to_str().unwrap()];
    let hwtrace = with_capabilities(&scratch, &[BPF, PERFMON]);
    let table = by_nobody(&hwtrace, &watch).run_with("receive").expect(0);
    assert!(!table.out.join("\n").contains("0xffff"), "{table:#?}");
}

#[test]
fn commands_are_to_be_allowed() {
    let script = r#"probe begin { system("true") exit() }"#;
    let refused = Hwtrace::new(&["-e", script]).run().expect(2);
    refused.says(&["--unsafe"]);
    Hwtrace::new(&["--unsafe", "-e", script]).run().expect(0);
}
