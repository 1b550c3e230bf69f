//! What handlers can ask of a hit's process, its memory and its registers, and
//! the signals that they send, on a target that waits to be looked at.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Ended, HANGS, Hwtrace, Target, c, despite_lost_traps, live, live_as_root};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Starts facts.c, attaches hwtrace with the script, says a line to the target
/// and waits until the script has ended the session. Gives what it left, and
/// the target. None where the machine killed the target.
fn ask(script: &str, line: &str) -> Option<(Ended, Target)> {
    let mut command = Command::new(c("facts"));
    command.arg("a word").env("COLOUR", "green");
    let mut target = Target::start_command(command);
    let script = format!("probe begin {{ println(\"armed\") }}\n{script}");
    let hwtrace = Hwtrace::attach(&script, &target).start();
    assert_eq!(hwtrace.out().next().as_deref(), Some("armed"));
    target.say(line);
    let ended = hwtrace.finish();
    if ended.messages.iter().any(|line| line.contains("SIGTRAP")) {
        return None;
    }
    Some((ended.expect(0), target))
}

/// The lines that the script prints when the target does as the line says.
fn lines(script: &str, line: &str) -> Vec<String> {
    despite_lost_traps(|| {
        let (ended, target) = ask(script, line)?;
        target.finish()?;
        Some(ended.out)
    })
}

#[test]
fn who_the_process_is() {
    if !live() {
        return;
    }
    let script = r#"probe process.data("watched").write {
        printf("%d %d %d %d %d\n", uid(), euid(), gid(), egid(), ppid())
        printf("%s\n%s|%s|\n", cmdline_str(), env_var("COLOUR"), env_var("COLOU"))
        exit()
    }
    probe end { println(cmdline_str()) }"#;
    let own = std::process::id();
    let (uid, gid) = (nix::unistd::getuid(), nix::unistd::getgid());
    let command = format!("{} a word", c("facts").display());
    let expected = [
        format!("{uid} {uid} {gid} {gid} {own}"),
        command.clone(),
        "green||".into(),
        command,
    ];
    assert_eq!(lines(script, "store"), expected);
}

/// `numbers` of facts.c lies where rdi points.
#[test]
fn memory_of_the_process() {
    if !live() {
        return;
    }
    let script = r#"probe process.data("watched").write {
        p = register("rdi")
        printf("%d %d %d %d\n", user_char(p), user_short(p + 1), user_int(p + 3), user_long(p + 7))
        printf("%d %d %d %d\n", user_int8(p), user_int16(p + 1), user_int32(p + 3), user_int64(p + 7))
        printf("%d %d %d %x\n", user_uint8(p), user_uint16(p + 1), user_uint32(p + 3), user_uint64(p + 7))
        printf("%s|%s|%s\n", user_string(p + 15), user_string_n(p + 15, 2), user_string_quoted(p + 15))
        println(user_buffer_quoted(p + 15, 4, 20))
        printf("%.4M|%.1m\n", p + 15, p + 15)
        try { println(user_long(0)) } catch (what) { println(what) }
        try { println(user_string(1)) } catch (what) { println(what) }
        println(user_string2(1, "nothing"))
        exit()
    }"#;
    let expected = [
        "-2 -300 -70000 -5000000000",
        "-2 -300 -70000 -5000000000",
        "254 65236 4294897296 fffffffed5fa0e00",
        "a\tb|a\t|\"a\\tb\"",
        "\"a\\tb\\000\"",
        "61096200|a",
        "read fault [man error::fault] at 0x0000000000000000",
        "user string copy fault -14 at 0000000000000001 [man error::fault]",
        "nothing",
    ];
    assert_eq!(lines(script, "store"), expected);
}

#[test]
fn registers_at_the_hit() {
    if !live() {
        return;
    }
    let script = r#"function named(name) { return register(name) }
    probe process.data("watched").write {
        printf("%x %x %x\n", register("rax"), register("ax"), u_register("eax"))
        printf("%d %d %d\n", register("r8"), register("r8d"), u_register("r8d"))
        printf("%d %d\n", register("ecx"), u_register("ecx"))
        printf("%d\n", register("rip") > addr() && register("rip") <= addr() + 16)
        printf("%d %d\n", named("ecx"), u_register("e" . "cx"))
        try { println(named("xmm0")) } catch (what) { println(what) }
        print_regs()
        exit()
    }"#;
    let found = lines(script, "store");
    let expected = [
        "1122334455667788 1122334455667788 55667788",
        "-3 -3 4294967293",
        "-2147483647 2147483649",
        "1",
        "-2147483647 2147483649",
        "Unknown register: xmm0",
    ];
    assert_eq!(found[..6], expected);
    assert_eq!(found.len(), 6 + 7, "{found:#?}");
    assert!(found[8].starts_with("RAX: 1122334455667788 RBX: "), "{found:#?}");
    assert!(found[8].ends_with(" RCX: 0000000080000001"), "{found:#?}");
    assert!(found[10].contains(" R08: fffffffffffffffd R09: "), "{found:#?}");
}

#[test]
fn names_of_places() {
    if !live() {
        return;
    }
    let script = r#"probe process.data("watched").write {
        printf("%s %s %s\n", probefunc(), ppfunc(), usymname(addr()))
        printf("%s %s %s\n", umodname(addr()), umodname(data_addr()), umodname(1))
        printf("%s %s %s\n", symname(addr() & 0xff | 0x100), symdata(2), modname(addr()))
        println(user_mode())
        exit()
    }
    probe end { printf("%s|\n", probefunc()) }"#;
    let found = lines(script, "store");
    assert_eq!(found[..2], ["store store store", "facts facts <unknown>"]);
    assert!(found[2].starts_with("0x1") && found[2].ends_with(" 0x2 <unknown>"));
    assert_eq!(found[3..], ["1", "|"]);
}

#[test]
fn the_kernel_stores_for_the_process() {
    if !live_as_root() {
        return;
    }
    let script = r#"probe process.data("watched").write {
        printf("%d %d %s\n", $new, user_mode(), modname(addr()))
        try { println(kernel_int(0) == kernel_int(0)) } catch (what) { println(what) }
        exit()
    }"#;
    let found = lines(script, "receive");
    assert_eq!(found[0], "7 0 kernel");
    let fault = "read fault [man error::fault] at 0x0000000000000000";
    assert!(found[1].starts_with(fault), "{found:#?}");
}

/// Memory of the kernel, by its file or by a BPF program; else why there is neither.
#[test]
fn memory_of_the_kernel() {
    let symbols = std::fs::read_to_string("/proc/kallsyms").unwrap_or_default();
    let types = symbols.lines().find(|line| line.ends_with(" __start_BTF"));
    let address = types.and_then(|line| u64::from_str_radix(&line[..16], 16).ok());
    let Some(address @ 1..) = address else {
        eprintln!("SKIPPED: no address of the kernel's BTF");
        return;
    };
    let script = format!(
        "probe begin {{
            try {{ printf(\"%x\", kernel_int({address:#x}) & 0xffff) }}
            catch (what) {{ print(what) }}
            exit()
        }}"
    );
    let ended = Hwtrace::new(&["-e", &script]).run().expect(0);
    if nix::unistd::geteuid().is_root() {
        assert_eq!(ended.out, ["eb9f"], "what BTF begins with");
    } else {
        let said = ended.out.concat();
        assert!(said.starts_with("read fault [man error::fault] at "), "{said}");
        assert!(said.contains("/proc/kcore") && said.contains("CAP_BPF"), "{said}");
    }
}

/// State of a process: R, S, T, … (proc(5)).
fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

#[track_caller]
fn wait_for_state(pid: u32, wanted: char) {
    let started = Instant::now();
    while state(pid) != Some(wanted) {
        assert!(started.elapsed() < HANGS, "{:?} is not {wanted}", state(pid));
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn stop_stops_the_process_and_it_can_go_on() {
    if !live() {
        return;
    }
    despite_lost_traps(|| {
        let script = r#"probe process.data("watched").write { stop() exit() }"#;
        let (_, target) = ask(script, "store")?;
        wait_for_state(target.pid(), 'T');
        kill(Pid::from_raw(target.pid() as i32), Signal::SIGCONT).unwrap();
        assert_eq!(target.line().as_deref(), Some("stored"));
        target.finish()
    });
}

#[test]
fn signals_reach_the_process_of_the_hit() {
    if !live() {
        return;
    }
    let script = r#"probe process.data("watched").write {
        try { signal(65) } catch (what) { println(what) }
        try { signal(0) } catch (what) { println(what) }
        signal(10)
        exit()
    }"#;
    let (said, answers) = despite_lost_traps(|| {
        let (ended, mut target) = ask(script, "store")?;
        assert_eq!(target.line().as_deref(), Some("stored"));
        target.say("wait");
        Some((ended.out, target.finish()?))
    });
    let none = |number| format!("there is no signal {number}: signals are 1 to 64");
    assert_eq!(said, [none(65), none(0)]);
    assert_eq!(answers, ["signals 1", "done"]);

    let answers = despite_lost_traps(|| {
        let script = r#"probe process.data("watched").write {
            if (pid() != target()) { signal(9) exit() }
        }"#;
        let (_, target) = ask(script, "child")?;
        target.finish()
    });
    assert_eq!(answers, ["child killed by 9", "done"]);
}

#[test]
fn outside_of_hits_signals_are_the_targets() {
    let script =
        r#"probe begin { try { signal(9) } catch (what) { println(what) } exit() }"#;
    let ended = Hwtrace::new(&["-e", script]).run().expect(0);
    assert_eq!(ended.out, ["there is no process to send a signal to"]);
    if !live() {
        return;
    }
    let script = r#"probe process.data("watched").write { }
        probe timer.ms(1) { signal(10) exit() }"#;
    let answers = despite_lost_traps(|| {
        let (_, target) = ask(script, "wait")?;
        target.finish()
    });
    assert_eq!(answers, ["signals 1", "done"]);
}
