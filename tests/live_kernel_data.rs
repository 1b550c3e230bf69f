//! Data of the kernel: hits on it, with whose they are and how they came about.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{
    Ended, Hwtrace, Scratch, Started, Target, c, live_as_root, nobody,
    one_is_free_on_each_cpu,
};

/// hwtrace at work on data of a task, and the task.
struct Traced {
    target: Target,
    tracing: Started,
}

impl Traced {
    /// `TASK` in the script is the task's number.
    fn start(script: &str) -> Self {
        one_is_free_on_each_cpu();
        let target = Target::start(&c("tasks"), &[]);
        let script = script.replace("TASK", &target.pid().to_string());
        let script = format!("probe begin {{ println(\"armed\") }} {script}");
        let tracing = Hwtrace::new(&["-e", &script]).start();
        tracing.out().until("armed");
        Self { target, tracing }
    }

    fn tell(&mut self, lines: &[&str]) {
        for line in lines {
            assert_eq!(self.target.ask(line).as_deref(), Some("done"));
        }
    }

    /// Interrupts hwtrace, which then has had time to see all: it empties its rings
    /// once more.
    fn end(self) -> Ended {
        self.tracing.signal(nix::sys::signal::Signal::SIGINT);
        let ended = self.tracing.finish().expect(0);
        self.target.finish().unwrap();
        ended
    }
}

/// A script that tells of each store to a task's name.
const NAMES: &str = r#"probe kernel.task(TASK).data("comm").write {
    printf("store %d%d%d %s %s\n", pid() == TASK, tid() == TASK, user_mode(), execname(), data_name())
    println("name ", $new)
}"#;

/// How many stores `names` take, and what was printed.
fn renamed(names: &[&str]) -> (usize, Ended) {
    let mut traced = Traced::start(NAMES);
    traced.tell(names);
    let ended = traced.end();
    let stores = ended.out.iter().filter(|line| line.starts_with("store ")).count();
    assert_eq!(ended.figures().hits, stores as u64);
    (stores, ended)
}

#[test]
fn the_name_of_a_task_with_who_changes_it() {
    if !live_as_root() {
        return;
    }
    let (once, ended) = renamed(&["name blue"]);
    assert!(once >= 1);
    // It has its old name until the kernel has told of the new one.
    assert!(ended.out.iter().any(|line| line == "store 110 tasks comm[0]"), "{ended:#?}");
    assert_eq!(
        ended.out.iter().rfind(|line| line.starts_with("name ")).unwrap(),
        "name blue"
    );
    let (thrice, ended) = renamed(&["name blue", "name grey", "name teal"]);
    assert_eq!(thrice, 3 * once, "{ended:#?}");
    assert!(ended.out.iter().any(|line| line == "store 110 grey comm[0]"), "{ended:#?}");
}

#[test]
fn a_number_behind_a_pointer_and_the_calls_that_stored_it() {
    if !live_as_root() {
        return;
    }
    let mut traced = Traced::start(
        r#"probe kernel.task(TASK).data("signal->oom_score_adj").change {
            println($old, " -> ", $new, " ", execname(), " ", data_name(), " ", data_len())
            print_backtrace()
            println("ip ", u_register("rax") >= 0)
        }"#,
    );
    traced.tell(&["oom 200", "oom 200", "oom 300"]);
    let ended = traced.end();
    let values: Vec<_> = ended.out.iter().filter(|line| line.contains("->")).collect();
    let name = "tasks signal->oom_score_adj 2";
    assert_eq!(values, [&format!("0 -> 200 {name}"), &format!("200 -> 300 {name}")]);
    let calls: Vec<_> =
        ended.out.iter().filter(|line| line.starts_with(" 0xffff")).collect();
    assert!(calls.len() > 4, "{ended:#?}");
    assert!(calls.iter().any(|line| line.contains(" : vfs_write+0x")), "{ended:#?}");
    // Stores of the same value are hits, and no changes.
    assert_eq!(ended.figures().hits, 3);
}

#[test]
fn a_field_that_is_not_there_has_near_ones() {
    if !live_as_root() {
        return;
    }
    let own = std::process::id();
    let script = format!(
        r#"probe kernel.task({own}).data("signal->oom_scor_adj").write {{ println($new) }}"#
    );
    let ended = Hwtrace::new(&["-e", &script]).run().expect(2);
    ended.says(&["struct signal_struct has no member `oom_scor_adj`", "`oom_score_adj`"]);
}

#[test]
fn data_at_an_address_for_a_while() {
    if !live_as_root() {
        return;
    }
    // What is there is not known, nor when it is stored to: that it is armed is.
    let symbols = std::fs::read_to_string("/proc/kallsyms").unwrap();
    let symbol = symbols.lines().find(|line| line.ends_with(" D system_state"));
    let symbol = symbol.or_else(|| symbols.lines().find(|line| line.contains(" D ")));
    let address = format!("0x{}", &symbol.unwrap()[..16]);
    let script = format!("probe kernel.data({address}).write {{ println($new) }}");
    let ended = Hwtrace::new(&["-e", &script, "-T", "0.1"]).run().expect(0);
    assert_eq!(ended.figures().slots, 1);
}

#[test]
fn without_privileges_it_says_which_it_takes() {
    if !live_as_root() {
        return;
    }
    let scratch = Scratch::new();
    let hwtrace = scratch.copy(env!("CARGO_BIN_EXE_hwtrace"));
    for (script, privilege) in [
        (r#"probe kernel.task(1).data("comm").write { println($new) }"#, "CAP_BPF"),
        (
            r#"probe kernel.data(0xffffffff81000000).write { println($new) }"#,
            "cap_sys_admin",
        ),
    ] {
        let ended = Hwtrace::by(nobody(&hwtrace), &["-e", script]).run();
        ended.says(&["error[E0404]", privilege, "`sudo`"]);
        assert!(!ended.status.success());
    }
}
