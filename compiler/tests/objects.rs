//! Objects that handlers watch, natively and in the evaluator alike.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{module, run_with};
use hwtrace_runtime::abi::Limits;
use hwtrace_runtime::abi::objects::Object;

const PROBES: &str = "probe process.watch(\"node\").write, process.watch(\"raw\").rw { }";

#[test]
fn handlers_say_what_is_watched() {
    let script = format!(
        r#"{PROBES} global n
        probe begin {{
            println(watch("node", &@var("config")->ratio), watch("node", 0x1140, 8), watch("raw", 0x1140, 64))
            println(watch("raw", 0x1140, n + 65), watch("raw", 0, 8), watch("raw", n - 8, 8), watch("raw", 8, n))
            println(unwatch("raw", 0x1140), unwatch("raw", 0x1140), unwatch("node"))
            watch("raw", 0x2000, 2)
        }}"#
    );
    let seen = run_with(&script, &Limits::default(), 0);
    assert_eq!(seen.output, "111\n0000\n101\n");
    let object = Object { id: 2, name: 1, pid: 7, address: 0x2000, length: 2, since: 0 };
    assert_eq!(seen.wishes.come, [object]);
    assert!(seen.wishes.gone.is_empty());
}

#[test]
fn objects_are_those_of_the_process_of_the_hit() {
    let script = format!(
        r#"{PROBES} probe process.data("list").write {{
        watch("node", &$new->length) }}"#
    );
    let seen = run_with(&script, &Limits::default(), 3);
    let places: Vec<_> =
        seen.wishes.come.iter().map(|it| (it.pid, it.length, it.since)).collect();
    assert_eq!(places, [(7, 4, 1000), (7, 4, 2000)], "at 1 and 4: nothing is at 0");
}

#[test]
fn names_are_numbered_once_each() {
    let script = format!(
        r#"{PROBES} probe begin {{
        watch("raw", 8, 8) unwatch("raw") watch("node", 8, 8) exit() }}"#
    );
    let module = module(&script, &Limits::default());
    assert_eq!(module.layout.objects, ["raw", "node"]);
}
