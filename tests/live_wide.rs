//! Objects wider than a register, and such as lie across the border of two.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::path::PathBuf;

use common::{
    Ended, Hwtrace, assert_seen, c_with, despite_lost_traps, live_and_free, until_last,
};

/// Which member, where from the start, how long, and how sure.
const MEMBER: &str = r#"printf("%s %d %d%s: ", data_name(), data_addr() & 7, data_len(), exact() ? "" : " inexact")"#;

fn wide() -> PathBuf {
    c_with("wide", &["-g"])
}

fn start() -> &'static str {
    r#"probe process.data("config").write {"#
}

#[test]
fn hits_name_the_member_and_values_are_whole() {
    if !live_and_free() {
        return;
    }
    let body = r#"printf("%s %d: ", data_name(), data_len())
        println($old_part, " -> ", $new_part, " ", $new$$)"#;
    let script = format!("global n {} if (n++ < 4) {{ {body} }} }}", start());
    let (lines, ended) = until_last(&script, &wide(), "finished");
    assert_eq!(
        lines,
        [
            "config.a 8: 1 -> 10 {.a=10, .limits=[{.min=2, .max=3}, {.min=4, .max=5}]}",
            "config.limits[0].min 4: 2 -> -20 {.a=10, .limits=[{.min=-20, .max=3}, {.min=4, .max=5}]}",
            "config.limits[1].max 4: 5 -> 50 {.a=10, .limits=[{.min=-20, .max=3}, {.min=4, .max=50}]}",
            "config.limits[1].max 4: 50 -> 50 {.a=10, .limits=[{.min=-20, .max=3}, {.min=4, .max=50}]}",
        ]
    );
    assert_eq!(ended.figures().slots, 4);
}

#[test]
fn a_copy_over_it_in_the_library_is_seen() {
    if !live_and_free() {
        return;
    }
    let script = format!(
        "{} println($old->a, \" \", $new->a, \" \", $new->limits[0]->max, \" \", $new->limits[1]->max) }}",
        start()
    );
    let (lines, _) = until_last(&script, &wide(), "finished");
    assert_eq!(lines[..4], ["1 10 3 5", "10 10 3 5", "10 10 3 50", "10 10 3 50"]);
    assert_eq!(lines.last().unwrap(), "100 100 1 60", "{lines:#?}");
    // As many accesses as the library takes, however many registers one hits.
    assert!((5..=10).contains(&lines.len()), "{lines:#?}");
}

#[test]
fn elements_texts_and_what_is_not_aligned() {
    if !live_and_free() {
        return;
    }
    let with = |values: &str| format!("{MEMBER} println({values})");
    let (whole, part) = (with("$old, \" -> \", $new"), with("$new_part, \" \", $new[5]"));
    assert_seen(
        &wide(),
        "finished",
        1,
        &[
            (
                "title",
                &with("$old, \" -> \", $new, \" \", $new_part"),
                &["title[2] 2 1: old -> olD 68"],
            ),
            ("three", &whole, &["three[1] 0 3 inexact: ab -> az"]),
            ("odd.value", &whole, &["odd.value 1 8 inexact: 0 -> 1234605616436508552"]),
            ("odd.after", &whole, &["odd.after[1] 1 3 inexact:  -> "]),
            (
                "apart.limit",
                &with("$old->max, \" -> \", $new$$"),
                &["apart.limit.max 0 4 inexact: 2 -> {.min=1, .max=9}"],
            ),
        ],
    );
    let script = format!(
        "probe process.data(\"table[4]\").length(8).write {{ {MEMBER} println($new) }}"
    );
    let (lines, _) = until_last(&script, &wide(), "finished");
    assert_eq!(lines, ["table[4] 0 8 inexact: 236223201280"]);
    // All of it takes as many registers as there are.
    let script = format!("probe process.data(\"table\").write {{ {part} }}");
    let ended = despite_lost_traps(|| {
        Hwtrace::script(&script, wide()).run_with("go").done("bye")
    });
    let own: Vec<_> = ended.out.iter().filter(|line| line.starts_with("table")).collect();
    assert_eq!(own, ["table[5] 4 4: 55 55", "table[0] 0 4: -1 55"]);
    ended.expect_figures(2, 1, 4);
}

#[test]
fn watches_that_share_a_register_see_their_own() {
    if !live_and_free() {
        return;
    }
    let script = r#"
        global n
        probe process.data("config").write { if (n++ < 4) println("whole ", data_name()) }
        probe process.data("config.a").write { println("a ", $old, " -> ", $new) }
        probe process.data("config.limits[1].max").change { println("max ", $old, " -> ", $new) }
        probe process.data("config.limits[1]").write { println("limit ", $new$) }"#;
    let (lines, ended) = until_last(script, &wide(), "finished");
    let first: Vec<_> = lines.iter().take(8).collect();
    assert_eq!(
        first,
        [
            "whole config.a",
            "a 1 -> 10",
            "whole config.limits[0].min",
            "whole config.limits[1].max",
            "max 5 -> 50",
            "limit {.min=4, .max=50}",
            "whole config.limits[1].max",
            "limit {.min=4, .max=50}",
        ]
    );
    // The copy.
    assert!(lines[8..].iter().any(|line| line == "a 10 -> 100"), "{lines:#?}");
    assert!(lines[8..].iter().any(|line| line == "max 50 -> 60"), "{lines:#?}");
    assert_eq!(ended.figures().slots, 4);
}

#[test]
fn only_changes_of_it_where_these_are_asked_for() {
    if !live_and_free() {
        return;
    }
    let script = r#"global n
        probe process.data("config").change { if (n++ < 3) println(data_name(), " ", $new_part) }"#;
    let (lines, _) = until_last(script, &wide(), "finished");
    assert_eq!(
        lines,
        ["config.a 10", "config.limits[0].min -20", "config.limits[1].max 50"]
    );
}

#[test]
fn too_wide_an_object_says_how_many_registers_it_takes() {
    let script = r#"probe process.data("big").write { println($new[0]) }"#;
    let hwtrace = Hwtrace::script(script, wide()).with(&["--no-rotate"]);
    let ended = hwtrace.run().expect(2);
    ended.says(&[
        "error[E0411]: `big` takes 6 debug registers, but a thread has 4",
        "a part of what is long",
    ]);
    assert_eq!(ended.out, [""; 0]);
}

/// The rows of a table, without the place and the line: hits, access, member,
/// values.
fn rows(ended: &Ended, watched: &str) -> Vec<String> {
    let title = format!("{watched}: ");
    let table = ended.out.iter().skip_while(|line| !line.starts_with(&title)).skip(1);
    let rows = table.take_while(|line| !line.is_empty()).map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let values = words[words.len() - 2];
        [words[0], words[2], words[3], values].join(" ")
    });
    rows.collect()
}

fn watch(expressions: &[&str]) -> Ended {
    despite_lost_traps(|| {
        let arguments: Vec<_> = ["watch"].iter().chain(expressions).copied().collect();
        let program = wide();
        let hwtrace = Hwtrace::new(&arguments).with(&["--", program.to_str().unwrap()]);
        hwtrace.run_with("go").done("bye")
    })
}

#[test]
fn a_table_has_a_row_for_each_member() {
    if !live_and_free() {
        return;
    }
    let ended = watch(&["config", "mode"]);
    let config = rows(&ended, "config");
    assert_eq!(config[0], "hits access member values");
    let stored =
        ["1 write .a 10", "1 write .limits[0].min -20", "1 write .limits[1].max 50"];
    assert!(stored.iter().all(|row| config.contains(&(*row).to_owned())), "{ended:#?}");
    let mode = rows(&ended, "mode");
    // To set a bit-field the word around it is loaded: of which, nobody can tell.
    let found = ["1 write .level 100", "1 write .offset -7", "1 read ? ", "1 write ? "];
    assert_eq!(mode.len(), 6, "{ended:#?}");
    assert!(
        found.iter().all(|row| mode.iter().any(|own| own.starts_with(row))),
        "{mode:#?}"
    );
}

#[test]
fn text_is_one_row_and_scalars_have_no_members() {
    if !live_and_free() {
        return;
    }
    let ended = watch(&["title", "config.a", "three"]);
    for name in ["title", "config.a", "three"] {
        assert!(!rows(&ended, name)[0].contains("member"), "{ended:#?}");
    }
    let bytes: Vec<_> = ended.out.iter().filter(|line| line.contains("'D'")).collect();
    assert_eq!(bytes.len(), 1, "{ended:#?}");
}
