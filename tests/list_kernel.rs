//! `hwtrace list -k`, on the kernel that runs, as far as it tells of itself.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::process::Command;

use common::skip;
use hwtrace_probes::btf::Btf;
use hwtrace_probes::kernel::task_offset;
use serde_json::Value;

fn run(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hwtrace"));
    let output = command.args(["list", "-k"]).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[track_caller]
fn objects(pattern: &str) -> Vec<Value> {
    let (status, out, messages) = run(&[pattern, "--format", "json"]);
    assert_eq!(status, 0, "{messages}");
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn types() -> Option<Btf> {
    let types = Btf::running(0);
    if let Err(error) = &types {
        skip(&error.to_string());
    }
    types.ok()
}

#[test]
fn members_of_a_task() {
    let Some(types) = types() else { return };
    let pid = &objects("task.pid")[0];
    assert_eq!((&pid["name"], &pid["type"]), (&"task.pid".into(), &"pid_t".into()));
    assert_eq!((&pid["size"], &pid["within"]), (&4.into(), &"task".into()));
    assert_eq!(pid["offset"].as_u64(), task_offset(&types, "pid"));
    let several = objects("task.*pid");
    assert!(several.iter().any(|it| it["name"] == "task.tgid") || several.len() > 1);
    let (status, out, messages) = run(&["task.sgnal"]);
    assert_eq!((status, &*out), (2, ""));
    assert!(messages.contains("did you mean `task.signal`?"), "{messages}");
}

#[test]
fn what_a_pointer_of_a_task_leads_to() {
    if types().is_none() {
        return;
    }
    let found = objects("task.signal->oom_score*");
    let score = found.iter().find(|it| it["name"] == "task.signal->oom_score_adj");
    let score = score.unwrap();
    assert_eq!((&score["size"], &score["within"]), (&2.into(), &"pointer".into()));
    for wrong in ["task.pid->x", "task.s*->x", "no_such->x"] {
        let (status, _, messages) = run(&[wrong]);
        assert_eq!(status, 2);
        assert!(messages.contains("as in 'task.signal->oom*'"), "{messages}");
    }
}

#[test]
fn variables_of_the_kernel() {
    let text = std::fs::read_to_string("/proc/kallsyms").unwrap_or_default();
    let visible = text.lines().any(|line| !line.starts_with("0000000000000000 "));
    if !visible {
        let (status, _, messages) = run(&[]);
        assert_eq!(status, 2);
        assert!(messages.contains("hides where its data is"), "{messages}");
        skip("the kernel shows no addresses");
        return;
    }
    let data = |line: &&str| {
        let kind = line.split(' ').nth(1).unwrap_or_default();
        !line.contains('\t') && ["d", "D", "b", "B"].contains(&kind)
    };
    // One that has its name alone.
    let symbol = text.lines().filter(data).find(|line| {
        let name = line.rsplit(' ').next().unwrap();
        text.matches(&format!(" {name}\n")).count() == 1
    });
    let Some(symbol) = symbol else {
        skip("the kernel tells of no data at all");
        return;
    };
    let words: Vec<_> = symbol.split(' ').collect();
    let found = &objects(words[2])[0];
    let address = found["address"].as_str().unwrap().trim_start_matches("0x");
    assert_eq!(address, words[0].trim_start_matches('0'));
    let (status, _, messages) = run(&["no_such_variable_at_all"]);
    assert_eq!(status, 2);
    assert!(messages.contains("no data of the kernel matches"), "{messages}");
}

/// Where types tell of it and symbols do not, it is listed all the same.
#[test]
fn what_each_cpu_has() {
    let Some(types) = types() else { return };
    if types.variable("runqueues").is_none_or(|it| !it.is_per_cpu()) {
        skip("the kernel's types do not tell of its run queues");
        return;
    }
    if std::fs::read_to_string("/proc/kallsyms").is_err() {
        skip("there is no /proc/kallsyms");
        return;
    }
    let (status, out, messages) = run(&["runqueues.nr_*", "--format", "json"]);
    if status == 2 && messages.contains("hides") {
        skip("the kernel shows no addresses");
        return;
    }
    let first: Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
    assert_eq!(first["within"], "cpu", "{first}");
}
