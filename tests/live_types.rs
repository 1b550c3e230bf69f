//! Values by their types: of C, of C++, of Rust.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{
    Hwtrace, assert_seen, c, c_with, cpp, live, reads_at_hits, rust, until_last,
};

/// The values before and after.
const VALUES: &str = r#"println($old, " -> ", $new)"#;

#[test]
fn numbers_of_c() {
    if !live() {
        return;
    }
    let late = r#"println($old, " -> ", $new, exact() ? "" : " later")"#;
    // What memory has when it is looked at later is of after the second store.
    let real = if reads_at_hits() { "-1.0e100 later" } else { "1.5 later" };
    assert_seen(
        &c_with("kinds", &["-g"]),
        "finished",
        3,
        &[
            ("i8", VALUES, &["-1 -> -128"]),
            ("u8", VALUES, &["1 -> 255"]),
            ("i16", VALUES, &["-300 -> 32767"]),
            ("u16", VALUES, &["0 -> 65535"]),
            ("i32", VALUES, &["0 -> -2147483648"]),
            ("u32", VALUES, &["0 -> 4294967295"]),
            ("i64", VALUES, &["0 -> -5000000000"]),
            ("u64", VALUES, &["0 -> 18446744073709551615"]),
            ("u64", "println($new < 0, \" \", $new)", &["1 18446744073709551615"]),
            ("single", late, &["0.0 -> 2.25 later"]),
            ("real", "println($new, exact() ? \"\" : \" later\")", &[real, "1.5"]),
            ("truth", VALUES, &["false -> true"]),
            ("letter", r#"printf("%d %c %s\n", $old, $new, $new$)"#, &["97 Z 'Z'"]),
            ("colour", VALUES, &["RED -> GREEN", "GREEN -> NONE", "NONE -> 3"]),
            ("colour", r#"printf("%d\n", $new)"#, &["5", "-1", "3"]),
            ("hidden@kinds.c", VALUES, &["40 -> 42"]),
        ],
    );
}

#[test]
fn bit_fields_of_c() {
    if !live() {
        return;
    }
    let field = r#"println($old, " -> ", $new, " ", data_name())"#;
    let program = c_with("kinds", &["-g"]);
    assert_seen(
        &program,
        "finished",
        3,
        &[
            ("flags.ready", field, &["0 -> 1 flags.ready"]),
            ("flags.level", field, &["0 -> 6 flags.level", "6 -> 2 flags.level"]),
            ("flags.balance", field, &["0 -> -3 flags.balance"]),
            ("flags.rest", field, &["0 -> 4660 flags.rest"]),
            (
                "flags",
                "println(data_name(), \" \", $new->balance, \" \", $new->level)",
                &[
                    "flags.ready 0 0",
                    "flags.level 0 6",
                    "flags.balance -3 6",
                    // The same once more: nobody can tell to which of them.
                    "flags -3 6",
                    "flags.rest -3 6",
                    "flags.level -3 2",
                ],
            ),
        ],
    );
    let script = r#"probe process.data("flags.balance").change { println("balance ", $new) }
        probe process.data("flags").change { println("flags") }"#;
    let (lines, ended) = until_last(script, &program, "finished");
    assert_eq!(lines, ["flags", "flags", "balance -3", "flags", "flags", "flags"]);
    // Both share a register, which every store fired.
    ended.expect_figures(7, 1, 2);
}

#[test]
fn pointers_of_c() {
    if !live() {
        return;
    }
    let named =
        |text: &str| format!(r#"println(sprint($new) =~ "^0x[0-9a-f]+ <{text}>$")"#);
    let program = c_with("kinds", &["-g"]);
    assert_seen(
        &program,
        "finished",
        3,
        &[
            ("node", &named("&nodes.2."), &["1"]),
            (
                "node",
                "println($new->key, \" \", $new->next->key, \" \", $old)",
                &["12 11 0x0"],
            ),
            ("function", &named("greet"), &["1"]),
            (
                "text",
                "println(user_string($new), \" \", $new$)",
                &["forty-two \"forty-two\""],
            ),
        ],
    );
}

#[test]
fn structures_of_c_in_one_register() {
    if !live() {
        return;
    }
    assert_seen(
        &c_with("kinds", &["-g"]),
        "finished",
        3,
        &[
            (
                "point",
                r#"println($old->y, $old$, " -> ", $new$$, " ", data_name())"#,
                &[
                    "-4{.x=3, .y=-4} -> {.x=-7, .y=8} point.x",
                    "8{.x=-7, .y=8} -> {.x=-7, .y=9} point.y",
                ],
            ),
            ("name", VALUES, &["before -> after"]),
            (
                "label",
                r#"println($old$$, " -> ", $new$$, " ", $new->text)"#,
                &[
                    r#"{.text="old", .number=1} -> {.text="new", .number=1} new"#,
                    r#"{.text="new", .number=1} -> {.text="new", .number=-2} new"#,
                ],
            ),
            (
                "word",
                r#"println($new->whole, " ", $new->number, " ", $new->bytes[1])"#,
                &["1078523331 3.140000104904175 245"],
            ),
        ],
    );
}

#[test]
fn types_constants_and_variables_by_name() {
    if !live() {
        return;
    }
    let script = r#"
        probe begin { println(@var("limit"), " ", @var("name"), " ", @enum("GREEN")) }
        probe process.data("colour").write {
            if ($new == @enum("NONE")) println("none ", @var("hidden@kinds.c") >= 40)
        }
        probe process.data("node").write {
            println(@cast(&@var("point"), "struct point")->x, " ", @var("nodes")[1]->key)
            println(@defined($new->key), @defined($new->kex), @defined(@var("nothing")))
            println(@cast($new, "struct node")->key, " ", @cast(255, "char"))
        }"#;
    let (lines, _) = until_last(script, &c_with("kinds", &["-g"]), "finished");
    assert_eq!(lines, ["7 before 5", "none 1", "-7 11", "100", "12 -1"]);
}

/// An address needs no registers.
#[test]
fn the_address_of_what_is_larger_than_all_registers() {
    if !live() {
        return;
    }
    let script = r#"probe process.data("node").write {
        println(usymaddr("vast") > 0, " ", &@var("vast") == &@var("vast")[0])
        println(&@var("vast")[2047] - &@var("vast"), " ", usymname(&@var("vast")))
    }"#;
    let (lines, _) = until_last(script, &c_with("kinds", &["-g"]), "finished");
    assert_eq!(lines[..2], ["1 1", "16376 vast"], "{lines:?}");
}

#[test]
fn classes_of_cpp() {
    if !live() {
        return;
    }
    let named = r#"println(data_name(), " ", $old, " -> ", $new)"#;
    assert_seen(
        &cpp("classes"),
        "finished",
        3,
        &[
            ("grade", VALUES, &["low -> high", "high -> 7"]),
            ("item.weight", named, &["item.weight 1 -> -11"]),
            ("item.price", named, &["item.price 2 -> 12"]),
            ("item.sold", named, &["item.sold false -> true"]),
            ("stock::Item::made", named, &["stock::Item::made 10 -> 11"]),
            ("reference", VALUES, &["5 -> 6"]),
            ("turns", VALUES, &["-4 -> 9", "9 -> -11"]),
            ("stock::Box<short>::opened", VALUES, &["0 -> 77"]),
            ("box", r#"println(data_name(), $new$)"#, &["box.inside{.inside=-5}"]),
        ],
    );
}

#[test]
fn text_of_cpp() {
    if !live() {
        return;
    }
    // Of the string only its length fits beside the last store.
    let script = r#"probe process.data("word._M_string_length").write {
            println($old, " -> ", $new, " ", @var("word"))
        }"#;
    let (lines, _) = until_last(script, &cpp("classes"), "finished");
    assert_eq!(lines.last().unwrap(), "5 -> 22 short no longer at all", "{lines:#?}");
}

#[test]
fn text_of_rust_and_numbers_too_large_for_a_script() {
    if !live() {
        return;
    }
    let script = r#"probe process.data("FINISHED").write {
            println(@var("OWNED"), " ", @var("HUGE"), " ", @var("HUGE")$)
        }"#;
    let (lines, _) = until_last(script, &rust("values", &["-g"]), "FINISHED");
    assert_eq!(lines.last().unwrap(), "owned text ? ?", "{lines:#?}");
}

#[test]
fn values_of_rust() {
    if !live() {
        return;
    }
    assert_seen(
        &rust("values", &["-g"]),
        "FINISHED",
        1,
        &[
            ("LIGHT", VALUES, &["Off -> On", "On -> Dim"]),
            (
                "MAYBE",
                r#"println(data_name(), " ", $new)"#,
                &["MAYBE Some(0)", "MAYBE.Some.0 Some(9)"],
            ),
            (
                "PAIR",
                r#"println(data_name(), " ", $new)"#,
                &["PAIR.0 (300, false)", "PAIR.1 (300, true)"],
            ),
            ("NESTED", VALUES, &["None -> Some(None)", "Some(None) -> Some(Some(true))"]),
            ("TURNS", VALUES, &["5 -> 6", "6 -> 16"]),
            ("LEVEL", VALUES, &["-5 -> -300"]),
            ("OPEN", VALUES, &["false -> true"]),
            ("METER.value", VALUES, &["-3 -> -30"]),
            ("METER", "println($new->value, \" \", $new->max)", &["-30 4"]),
            ("LETTER", VALUES, &["97 -> 122"]),
            // The loader is the first to store to what points.
            ("TEXT", "println($new)", &["one", "a l", "a longer one"]),
            ("SOME", "println($new)", &["[1, 2]", "[7, 8]", "[7, 8, 9]"]),
            (
                "NEXT",
                "println(sprint($new) =~ \"^Some.0x[0-9a-f]+ <&values::UNIT>.$\", \" \", $old)",
                &["1 None"],
            ),
            (
                "SHAPE",
                "println($new$$)",
                // It lies in two registers, and one instruction stores all of it.
                &["Circle(70000)", "Side {.wide=3, .high=-4}"],
            ),
            ("values::TURNS", VALUES, &["5 -> 6", "6 -> 16"]),
        ],
    );
}

#[test]
fn a_wrong_member_is_told_with_those_that_are_near() {
    let program = c_with("kinds", &["-g"]);
    let script = r#"probe process.data("point").write { println($new->z) }
        probe process.data("node").write { println($new->kex) }"#;
    let ended = Hwtrace::script(script, &program).run().expect(2);
    ended.says(&["error[E0129]: `struct point` has no member `z`", "it has `x`, `y`"]);
    ended.says(&["`struct node` has no member `kex`", "did you mean `key`?"]);
    assert_eq!(ended.out, [""; 0]);
}

#[test]
fn without_a_type_the_reason_comes_first() {
    let script = r#"probe process.data("pont").write { println($new->x) }"#;
    let ended = Hwtrace::script(script, c_with("kinds", &["-g"])).run().expect(2);
    assert!(ended.messages[0].starts_with("error[E0304]: there is no variable `pont`"));
    ended.says(&["did you mean `point`?", "error[E0132]: the type of `$new`"]);
    let script = r#"probe begin { println(@var("nothing"), @enum("RED")) }"#;
    let ended = Hwtrace::script(script, c("obey")).run().expect(2);
    ended.says(&[
        "variable `nothing` is not known: types come from",
        "build it with `-g`",
    ]);
    let ended = Hwtrace::new(&["-e", script]).run().expect(2);
    ended.says(&["constant `RED` is not known: there is no target", "`-p PID`"]);
}

#[test]
fn an_optional_point_without_data_is_left_out() {
    if !live() {
        return;
    }
    let script = r#"global n
        probe process.data("nothing").write ? { n += $new->length }
        probe process.data("point.z").write ? { println($new->z) }
        probe process.data("nowhere").write !, process.data("point").write { n += $new->x }
        probe process.data("i32").write { println("n ", n) }"#;
    let script = format!("{script} probe end {{ println(\"end \", n) }}");
    let (lines, ended) = until_last(&script, &c_with("kinds", &["-g"]), "finished");
    assert_eq!(lines, ["n 0"]);
    assert!(ended.out.contains(&"end -14".to_owned()), "{ended:#?}");
}
