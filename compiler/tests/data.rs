//! Typed data of the target, natively and in the evaluator.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{HEAD, KERNEL, Random, Seen, module, on_values, output, run_with};
use hwtrace_compiler::ir::{Load, Op, Space, verify::verify};
use hwtrace_runtime::abi::{FaultCode, Limits};

/// What a handler prints at one write of `data`; both values are `word`.
fn at_value(data: &str, word: u64, body: &str) -> String {
    let script = format!("probe process.data(\"{data}\").write {{ {body} }}");
    let seen = on_values(&script, &[(word, word)]);
    assert_eq!(seen.faults, [], "{}", seen.fault_text);
    seen.output
}

/// With a `struct list *` to the one at `config`.
fn at_list(body: &str) -> String {
    at_value("list", 0x1100, body)
}

#[test]
fn members_elements_and_pointers() {
    assert_eq!(at_list("println($new->length)"), "-3\n");
    assert_eq!(
        at_list(
            "printf(\"%d %d %d\\n\", $new->head->id, $new->head->next->id, \
             $new->head->next->next == 0)"
        ),
        "7 8 1\n"
    );
    let body = "for (i = 0; i < 2; i++) printf(\"%d,%d \", $new->corners[i]->x, \
                $new->corners[i]->y) println($new->corners[1 - 1]->x)";
    assert_eq!(at_list(body), "30,40 50,60 30\n");
    assert_eq!(at_list("printf(\"%x\\n\", $raw)"), "fffffffffffffffd\n");
    assert_eq!(at_list("println(*$new->history + $new->head[1]->id)"), "108\n");
    assert_eq!(at_list("println((*$new)->origin->y)"), "20\n");
}

#[test]
fn numbers_have_their_sign_and_width() {
    let body = r#"
        printf("%d %d %d\n", $new->flags->low, $new->flags->sign, $new->flags->wide)
        printf("%d %d %d\n", $new->level, $new->letter, $new->history[7])
        printf("%g %g\n", $new->ratio, $new->scale + 1)
        println($new->value->real)"#;
    assert_eq!(at_list(body), "5 -2 1193046\n-1 -31 -8\n2.5 -0.5\n1.0\n");
}

#[test]
fn values_in_the_record_are_typed() {
    let shown = |data: &str, word: u64| at_value(data, word, "println($new)");
    assert_eq!(shown("delta", 0xffff_fffe), "-2\n");
    assert_eq!(shown("unsigned", 0xffff_fffe), "4294967294\n");
    assert_eq!(shown("letter", 0xff), "-1\n");
    assert_eq!(shown("ratio", 0.1f64.to_bits()), "0.1\n");
    assert_eq!(shown("scale", 1.5f32.to_bits().into()), "1.5\n");
    assert_eq!(shown("scale", f32::NAN.to_bits().into()), "nan\n");
    assert_eq!(shown("color", 5), "BLUE\n");
    assert_eq!(shown("color", 4), "4\n");
    assert_eq!(shown("level", 0xff), "LOW\n");
    assert_eq!(shown("ready", 1), "true\n");
    assert_eq!(shown("ready", 2), "2\n");
    assert_eq!(shown("anything", 0xffff_8000_0000_0000), "0xffff800000000000\n");
    let point = u64::from_le_bytes([1, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff]);
    assert_eq!(shown("point", point), "{.x=1, .y=-2}\n");
    assert_eq!(at_value("point", point, "println($new->y - $old->x)"), "-3\n");
    let flags = 0x1234_56f5;
    assert_eq!(shown("flags", flags), "{.low=5, .sign=-2, .wide=1193046}\n");
    assert_eq!(
        at_value("color", 1, "printf(\"%s|%-7s|%d\\n\", $new, $new, $new)"),
        "GREEN|GREEN  |1\n"
    );
    assert_eq!(
        at_value("color", 1, "x = $new s = sprint($new) println(s . sprint(x))"),
        "GREEN1\n"
    );
}

#[test]
fn data_is_shown_one_level_or_deep() {
    assert_eq!(
        at_list("println($new$)"),
        "{.length=-3, .head=0x1200, .name=\"li\\\"st\", .origin={...}, .corners=[...], \
         .color=BLUE, .flags={...}, .value={...}, .ready=true, .level=LOW, \
         .letter='\\341', .ratio=2.5, .scale=-1.5, .tag=9, .title=\"hello\\nyou\", \
         .history=[...]}\n"
    );
    let deep = at_list("println($new$$)");
    assert!(
        deep.contains(
            ".origin={.x=10, .y=20}, .corners=[{.x=30, .y=40}, {.x=50, .y=60}]"
        ),
        "{deep}"
    );
    assert!(deep.contains(".value={.number=1065353216, .real=1.0, .bytes=\""), "{deep}");
    assert!(deep.ends_with(".history=[100, -2, -3, -4, -5, ...]}\n"), "{deep}");
    assert_eq!(
        at_list("println($new->head$) println($new->head->next)"),
        "{.id=7, .next=0x1210}\n0x1210\n"
    );
    assert_eq!(
        at_list("print(*$new->head) print($new->name) println($new->origin)"),
        "{.id=7, .next=0x1210}li\"st{.x=10, .y=20}\n"
    );
    assert_eq!(
        at_list("println($here$$ == $new$$) println($new->history$)"),
        "1\n[100, -2, -3, -4, -5, ...]\n"
    );
}

#[test]
fn structures_are_shown_as_what_they_stand_for() {
    let shown = |body: &str| at_value("shown", 0x1300, body);
    assert_eq!(
        shown("println($new$$)"),
        "{.text=\"hello\", .empty=\"\", .short=[100, -2], .long=[100, -2, -3, -4, -5, ...], \
         .points=[{.x=30, .y=40}, {.x=50, .y=60}], .some=Some(9), .none=None, .odd=?, \
         .point=Point {.x=3, .y=4}, .nothing=Nothing}\n"
    );
    assert_eq!(
        shown("println($new$)"),
        "{.text=\"hello\", .empty=\"\", .short=[...], .long=[...], .points=[...], \
         .some=Some(9), .none=None, .odd=?, .point=Point {...}, .nothing=Nothing}\n"
    );
    assert_eq!(
        shown("println($new->some) println($new->points) print($new->text)"),
        "Some(9)\n[{...}, {...}]\nhello"
    );
    let some = (0xffff_fffe << 32) | 7;
    assert_eq!(at_value("option", some, "println($new)"), "Some(-2)\n");
    assert_eq!(at_value("option", 0, "println($new) println($old$)"), "None\nNone\n");
}

#[test]
fn a_picture_is_read_and_has_no_address() {
    assert_eq!(at_list("println($picture->origin$)"), "{.x=10, .y=20}\n");
    assert_eq!(at_list("println(&$picture->head->id == 0x1200)"), "1\n");
}

/// The address is computed once, whatever is shown of it.
#[test]
fn what_is_shown_is_looked_for_once() {
    let body = "i = 0; println($new->corners[i++]$); println(i)";
    assert_eq!(at_list(body), "{.x=30, .y=40}\n1\n");
}

#[test]
fn casts_variables_and_constants() {
    let script = r#"
        function id(p) { return @cast(p, "struct node")->id }
        probe begin {
            p = &@var("config")
            printf("%x %d %d\n", p, @var("config")->length, @var("counter@main.c"))
            printf("%d %d\n", @cast(p, "list_t")->tag, @cast(p, "struct list *")->tag)
            printf("%d %d\n", *@cast(p, "int *"), @cast(p + 24, "struct point *")[2]->y)
            printf("%s %d %d\n", @cast(5, "enum color"), @cast(511, "char"), @enum("BLUE"))
            println(id(@var("config")->head))
            println((&@var("config")->origin)->y)
            println(@cast(p, "struct list", "no")->head->next$)
            printf("%d%d\n", @defined(@var("config")), @defined(@var("config")->nothing))
        }"#;
    assert_eq!(
        output(script),
        "1100 -3 -3\n9 9\n-3 60\nBLUE -1 5\n7\n20\n{.id=8, .next=0x0}\n10\n"
    );
}

#[test]
fn memory_of_the_kernel_is_another() {
    let script = format!(
        "probe begin {{ p = {KERNEL} + 0x200
            println(@cast(p, \"struct node\", \"kernel\")->id)
            try {{ println(@cast(p, \"struct node\")->id) }} catch (m) {{ println(m) }}
            println(@cast({KERNEL} + 0x100, \"struct list\", \"kernel\")->name) }}"
    );
    assert_eq!(
        output(&script),
        "7\nread fault [man error::fault] at 0xffff888000000200\nli\"st\n"
    );
}

#[test]
fn what_can_not_be_read_faults() {
    let faults =
        |seen: Seen| seen.faults.iter().map(|(code, _)| *code).collect::<Vec<_>>();
    let null = |body: &str| {
        let script = format!("probe process.data(\"list\").write {{ {body} }}");
        on_values(&script, &[(0, 0)])
    };
    let seen = null("println($new->length)");
    assert_eq!(seen.fault_text, "read fault [man error::fault] at 0x0000000000000000");
    assert_eq!(faults(seen), [FaultCode::BadAddress]);
    assert_eq!(
        null("try { println($new->head->id) } catch (m) { println(m) }").output,
        "read fault [man error::fault] at 0x0000000000000008\n"
    );
    // Text of what can not be read says so, and the handler goes on.
    let seen = null("println($new$) println($new->head$) print(*$new) println(\"on\")");
    assert_eq!((seen.output.as_str(), seen.faults.len()), ("ERROR\nERROR\nERRORon\n", 0));
    // But the address itself needs no memory.
    assert_eq!(null("println(&$new->origin->y)").output, "0x1c\n");
    assert_eq!(null("println($new)").output, "0x0\n");
}

/// A pointer to text that is wrong hides nothing else.
#[test]
fn text_that_can_not_be_read_is_unknown() {
    assert_eq!(at_value("text", 8, "println($new$)"), "\"<unknown>\"\n");
    assert_eq!(at_value("text", HEAD, "println($new) println(*$new)"), "0x1200\n7\n");
}

#[test]
fn loads_are_shown_in_the_dump() {
    let script = r#"probe process.data("list").write { print($new->color) x = $new->scale print(x) }"#;
    let shown = module(script, &Limits::default()).to_string();
    for line in [
        "names 0 { RED = 0, GREEN = 1, BLUE = 5 }",
        "v3: long = load user u32 at v2",
        "v4: string = name 0 of v3",
        "= single of v",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
}

#[test]
fn conditions_of_defined_choose_code() {
    let script = r#"
        probe process.data("list").write, begin {
            if (@defined($new)) println($new->length); else println("no")
            x = @defined($new->missing) ? $new->missing : -1
            println(@defined($new) ? $new->tag : x)
        }"#;
    let seen = run_with(&script.replace(", begin", ""), &Limits::default(), 0);
    assert_eq!(seen.faults, []);
    let seen = on_values(script, &[(0x1100, 0)]);
    assert_eq!(seen.output, "no\n-1\n-3\n9\n");
}

/// Data at random, much of it at addresses where nothing is.
#[test]
fn random_data_is_the_same_natively() {
    const ROOTS: [&str; 6] = [
        "$new",
        "$old",
        "(&$here)",
        "(&@var(\"config\"))",
        "@cast($new - 8 * $old->length, \"list_t *\")",
        "@cast($old + 16, \"struct list *\", \"kernel\")",
    ];
    const MEMBERS: [&str; 20] = [
        "length",
        "head",
        "head->id",
        "head->next",
        "head->next->next->id",
        "name",
        "origin",
        "corners[1]->y",
        "corners[$new->length + 4]",
        "color",
        "flags",
        "flags->sign",
        "value->real",
        "value->bytes",
        "ready",
        "level",
        "letter",
        "ratio",
        "title",
        "history[3]",
    ];
    let mut random = Random(5);
    for _ in 0..12 {
        let mut body = String::new();
        for _ in 0..20 {
            let (root, member) = (random.pick(&ROOTS), random.pick(&MEMBERS));
            let data = format!("{root}->{member}");
            let print = match random.below(6) {
                0 => format!("println({data}$)"),
                1 => format!("println({data}$$)"),
                2 => format!("println({root}$)"),
                3 => format!("x = {data} != 0; println(x)"),
                4 => format!("println({data})"),
                _ => format!("println({data} + 1)"),
            };
            body += &format!("try {{ {print} }} catch (m) {{ println(m) }}\n");
        }
        let script = format!("probe process.data(\"list\").write {{ {body} }}");
        let values = [(0x1100, 0x1100), (0x1100, 0), (0x1fc0, 0x1101), (KERNEL, 0x1080)];
        assert_eq!(on_values(&script, &values).faults, []);
    }
}

/// A chain as long as the parser lets it be.
#[test]
fn long_chains_do_not_overflow_the_stack() {
    let chain = "->next".repeat(110);
    let body =
        format!("try {{ println($new->head{chain}->id) }} catch (m) {{ println(m) }}");
    assert_eq!(at_list(&body), "read fault [man error::fault] at 0x0000000000000008\n");
    let (open, close) = ("$new->history[".repeat(35), "]".repeat(35));
    let body = format!("println({open}0{close})");
    assert!(at_list(&format!("try {{ {body} }} catch {{ println(\"far\") }}")).len() > 1);
}

#[test]
fn the_verifier_knows_the_operations_on_data() {
    let script = r#"probe process.data("list").write { print($new->color) }"#;
    let module = module(script, &Limits::default());
    let with = |wrong: &dyn Fn(&mut Op)| {
        let mut module = module.clone();
        let blocks = module.handlers[0].blocks.iter_mut();
        blocks.flat_map(|block| &mut block.instructions).for_each(|it| wrong(&mut it.op));
        verify(&module).map_err(|error| error.what)
    };
    assert_eq!(with(&|_| {}), Ok(()));
    let odd = with(&|op| {
        if let Op::Load { load, .. } = op {
            *load = Load { size: 3, signed: false, space: Space::User };
        }
    });
    assert_eq!(odd, Err("no number has 3 bytes".to_owned()));
    let unknown = with(&|op| {
        if let Op::Name(table, _) = op {
            *table = 1;
        }
    });
    assert_eq!(unknown, Err("no number 1".to_owned()));
    let double = with(&|op| {
        if let Op::Load { address, .. } = op {
            *op = Op::FromBits { bits: *address, single: true };
        }
    });
    assert!(double.is_err());
}
