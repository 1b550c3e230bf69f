//! Several processes: those that execute other programs, that are named by their
//! executable, that run elsewhere or with other rights.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{
    Ended, HANGS, Hwtrace, Scratch, Target, again, armed_within, c, c_with,
    despite_lost_traps, free_registers, holds_executed, live, live_as_root, nobody,
};
use nix::sys::signal::Signal;

/// So long again.c waits after each start until it is armed.
const PAUSE: Duration = Duration::from_millis(500);

/// Prints each store to `counter` of the target, or of what runs a program.
fn stores(program: Option<&Path>) -> String {
    let argument = program.map_or(String::new(), |it| format!("({it:?})"));
    format!(
        "probe begin {{ println(\"armed\") }} \
         probe process{argument}.data(\"counter\").write {{ printf(\"store %d\\n\", $new) }}"
    )
}

fn own() -> Command {
    Command::new(env!("CARGO_BIN_EXE_hwtrace"))
}

fn run(hwtrace: Command, script: &str, command: &str) -> Ended {
    Hwtrace::by(hwtrace, &["-e", script, "-c", command]).run()
}

fn numbers(ended: &Ended) -> Vec<u64> {
    ended.numbers("store ").into_iter().flatten().collect()
}

/// Two programs were armed a while after their start, and that is said; unless they waited
/// for it.
fn assert_late(ended: &Ended) {
    match holds_executed() {
        true => assert!(!ended.messages.iter().any(|line| line.contains("later, each"))),
        false => drop(
            ended.says(&["2 programs that started later, each armed up to", "its start"]),
        ),
    }
}

#[test]
fn a_program_that_executes_itself_is_armed_again() {
    if !live() {
        return;
    }
    for flags in [&["-g"][..], &["-no-pie"], &["-static"]] {
        let command = format!("{} 2", c_with("again", flags).display());
        let run = || run(own(), &stores(None), &command).done("bye");
        let ended = armed_within(PAUSE, || despite_lost_traps(run));
        assert_eq!(numbers(&ended), [20, 21, 22, 10, 11, 12, 0, 1, 2], "{ended:#?}");
        ended.expect_figures(9, 1, 1);
        assert_late(&ended);
    }
}

#[test]
fn one_that_executes_something_else_is_left() {
    if !live() {
        return;
    }
    let other = c_with("own", &["-g"]);
    for after in [format!("{} 1 1", other.display()), "/bin/sleep 0.4".to_owned()] {
        let command = format!("{} 0 {after}", c("again").display());
        let ended = saying(
            "1 process executed another program, not watched from then on",
            || run(own(), &stores(None), &command).expect(0),
        );
        assert_eq!(ended.figures().slots, 1, "{ended:#?}");
    }
}

/// What came of three stores, and it says this; unless the program that is executed after them
/// is gone before hwtrace looks at it.
fn saying(said: &str, run: impl Fn() -> Ended) -> Ended {
    again(|| {
        let ended = run();
        assert_eq!(numbers(&ended), [0, 1, 2], "{ended:#?}");
        match ended.messages.iter().any(|line| line.contains(said)) {
            true => Ok(ended),
            false => Err(format!("no `{said}` in {ended:#?}")),
        }
    })
}

#[test]
fn a_program_that_a_shell_starts_is_named_by_its_path() {
    if !live_as_root() {
        return;
    }
    let scratch = Scratch::new();
    let again = scratch.copy(c("again"));
    let hwtrace = scratch.copy(env!("CARGO_BIN_EXE_hwtrace"));
    for way in ["PROG 1; :", "exec PROG 1"] {
        let way = way.replace("PROG", again.to_str().unwrap());
        let command = format!("sh -c '{way}'");
        for is_root in [true, false] {
            let hwtrace = || if is_root { own() } else { nobody(&hwtrace) };
            let run = || run(hwtrace(), &stores(Some(&again)), &command).expect(0);
            let ended = armed_within(PAUSE, run);
            assert_eq!(numbers(&ended), [10, 11, 12, 0, 1, 2], "{ended:#?}");
            assert_late(&ended);
            assert_eq!(ended.figures().slots, 1, "{ended:#?}");
        }
    }
    let refused = run(own(), &stores(None), "sh -c true").expect(2);
    refused.says(&["this is the program that starts yours", "process(\"/path/prog\")"]);
}

#[test]
fn all_that_run_a_program_and_those_that_come() {
    if !live_as_root() {
        return;
    }
    let scratch = Scratch::new();
    let (obey, hwtrace) = (
        scratch.copy(c_with("obey", &["-g"])),
        scratch.copy(env!("CARGO_BIN_EXE_hwtrace")),
    );
    for (hwtrace, privileged) in [(own(), true), (nobody(&hwtrace), false)] {
        let start = || match privileged {
            true => Target::start(&obey, &[]),
            false => Target::start_command(nobody(&obey)),
        };
        let mut targets: Vec<_> = (0..3).map(|_| start()).collect();
        let tracing = Hwtrace::by(hwtrace, &["-e", &stores(Some(&obey))]).start();
        tracing.out().until("armed");
        targets.push(start());
        wait_until_armed(targets.last().unwrap());
        for target in &mut targets {
            assert_eq!(target.ask("store 3").as_deref(), Some("stored 3"));
        }
        tracing.signal(Signal::SIGINT);
        let ended = tracing.finish().expect(0);
        let mut seen = numbers(&ended);
        seen.sort_unstable();
        assert_eq!(seen, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2], "{ended:#?}");
        ended.expect_figures(12, 4, 1);
        ended.says(&["1 program that started later, each armed up to"]);
        let polls = ended.messages.iter().any(|line| line.contains("every 100 ms"));
        assert_eq!(polls, !privileged, "{ended:#?}");
    }
}

/// Waits until it has fewer free registers than we do.
fn wait_until_armed(target: &Target) {
    let begun = Instant::now();
    while free_registers(target.pid()) >= free_registers(std::process::id()) {
        assert!(begun.elapsed() < HANGS, "it is not found");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn nobody_runs_it() {
    if !live() {
        return;
    }
    // Other tests run that from where it is.
    let scratch = Scratch::new();
    let again = scratch.copy(c("again"));
    let arguments = ["-e", &stores(Some(&again)), "-T", "0.3"];
    let ended = Hwtrace::new(&arguments).run().expect(0);
    assert_eq!(ended.figures().slots, 0, "{ended:#?}");
    ended.says(&["`counter` never came: nothing ran `"]);
}

#[test]
fn two_programs_and_a_process_in_one_script() {
    if !live_as_root() {
        return;
    }
    let ended = armed_within(PAUSE, two_programs_and_a_process);
    let count = |wanted: &str| ended.out.iter().filter(|line| *line == wanted).count();
    // The second has data of both names.
    assert_eq!((count("a"), numbers(&ended)), (1, vec![0, 1, 2]), "{ended:#?}");
    assert!(count("kid") >= 3, "{ended:#?}");
}

fn two_programs_and_a_process() -> Ended {
    let mut obey = Target::start(&c("obey"), &[]);
    // Other tests run that from where it is.
    let scratch = Scratch::new();
    let again = scratch.copy(c("again"));
    let script = format!(
        "probe begin {{ println(\"armed\") }} \
         probe process({}).data(\"a\").write {{ println(\"a\") }} \
         probe process({:?}).data(\"counter\").write {{ printf(\"store %d\\n\", $new) }} \
         probe process.data(\"counter\").write {{ println(\"kid\") }}",
        obey.pid(),
        again
    );
    let command =
        format!("{} 0 {} 0", c_with("again", &["-g"]).display(), again.display());
    let tracing = Hwtrace::script(&script, &command).start();
    tracing.out().until("armed");
    assert_eq!(obey.ask("touch").as_deref(), Some("touched"));
    tracing.finish().expect(0)
}

#[test]
fn other_namespaces_and_roots() {
    if !live_as_root() {
        return;
    }
    // By a path of its own: by another's others may trace it at the same time.
    let scratch = Scratch::new();
    let again = scratch.copy(c("again"));
    let command = format!("unshare -pmf --mount-proc {} 0", again.display());
    let run = || run(own(), &stores(Some(&again)), &command).expect(0);
    let ended = armed_within(PAUSE, run);
    assert_eq!(numbers(&ended), [0, 1, 2], "{ended:#?}");
    // A program that is nowhere but below the target's root.
    let inside = scratch.copy(c_with("obey", &["-static"]));
    let mut command = Command::new("chroot");
    command.arg(inside.parent().unwrap());
    command.arg(Path::new("/").join(inside.file_name().unwrap()));
    of_obey(Target::start_command(command));
    // One that is nowhere any more.
    let gone = scratch.copy(c("obey"));
    let target = Target::start(&gone, &[]);
    std::fs::remove_file(&gone).unwrap();
    of_obey(target);
}

fn of_obey(mut target: Target) {
    let tracing = Hwtrace::attach(&stores(None), &target).start();
    tracing.out().until("armed");
    target.say("store 3");
    target.finish().unwrap();
    let ended = tracing.finish().expect(0);
    assert_eq!(numbers(&ended), [0, 1, 2], "{ended:#?}");
}

#[test]
fn programs_with_another_users_rights() {
    if !live_as_root() {
        return;
    }
    let scratch = Scratch::new();
    let hwtrace = scratch.copy(env!("CARGO_BIN_EXE_hwtrace"));
    let again = scratch.copy(c("again"));
    let bytes = std::fs::read(&again).unwrap();
    let privileged = scratch.file("privileged", &bytes, 0o4755);
    let command = privileged.to_str().unwrap();
    let refused = run(nobody(&hwtrace), &stores(None), command).expect(1);
    refused.says(&["error[E0404]", "another user's rights", "ends all perf events"]);
    // Root has those rights already.
    let ended = run(own(), &stores(None), command).expect(0);
    assert_eq!(numbers(&ended), [0, 1, 2], "{ended:#?}");
    let executes = format!("{} 0 {command} 0", again.display());
    saying("1 process executed a program with another user's rights", || {
        run(nobody(&hwtrace), &stores(None), &executes).expect(0)
    });
}

#[test]
fn threads_and_programs_that_come_and_go() {
    if !live() {
        return;
    }
    // Each program waits until its names are read.
    let rounds = if holds_executed() { 15 } else { 300 };
    let command = format!("{} {rounds}", c_with("storm", &["-g"]).display());
    let script = "probe process.data(\"counter\").write { n++ } \
                  probe process.data(\"mine\").write { m++ } global n, m \
                  probe process(\"/bin/true\").data(\"environ\").write ? { } \
                  probe end { printf(\"stores %d\\n\", n) }";
    let ended = despite_lost_traps(|| run(own(), script, &command).done("bye"));
    assert_eq!(ended.numbers("stores "), [[rounds]], "{ended:#?}");
    assert!(!ended.messages.iter().any(|line| line.contains("panicked")), "{ended:#?}");
}

/// Whoever becomes a daemon is a grandchild whose parent has ended.
#[test]
fn grandchildren_are_watched_whose_parents_end_at_once() {
    if !live() {
        return;
    }
    let program = c("orphans");
    let watch = ["watch", "counter", "--mode", "write", "-c", program.to_str().unwrap()];
    let ended = despite_lost_traps(|| Hwtrace::new(&watch).run_with("go").done("done"));
    assert!(ended.summary().starts_with("hwtrace: 1,000 hits, 0 lost, "), "{ended:#?}");
    assert!(ended.summary().contains(" armed 201/201 threads"), "{ended:#?}");
}
