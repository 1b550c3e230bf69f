//! Stacks at hits: names, order, inlined functions, source lines, counted against what the
//! target itself counts of each of its paths.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{
    Ended, Hwtrace, c_needing_with, c_with, despite_lost_traps, engine_name,
    library_with, live,
};

/// A frame that is expected: its function, and what stands in its line of source.
type Frame = (&'static str, &'static str);
/// Frames of other files in a row, one of which has this in its name.
const OTHER: &str = "";
const LEAF: Frame = ("leaf", "watched++;");
const TIMES: Frame = ("times", "path();");
const START: Frame = ("_start", OTHER);

/// The paths of `tests/targets/paths.c` by the names that it gives them, innermost first.
const PATHS: [(&str, &[Frame]); 9] = [
    ("leaf", &[LEAF, TIMES, ("main", "times(3,"), START]),
    (
        "inlines",
        &[
            ("inner [inlined]", "watched += 2;"),
            ("outer [inlined]", "inner();"),
            ("inlines", "outer();"),
            TIMES,
            ("main", "times(4,"),
            START,
        ],
    ),
    (
        "recursion",
        &[
            LEAF,
            ("recurses", "leaf();"),
            ("recurses", "recurses(n - 1);"),
            ("recurses", "recurses(n - 1);"),
            ("recurses", "recurses(n - 1);"),
            ("recurses", "recurses(n - 1);"),
            ("recursion", "recurses(5);"),
            TIMES,
            ("main", "times(5,"),
            START,
        ],
    ),
    (
        "interrupted",
        &[
            LEAF,
            ("handler", "leaf();"),
            ("restore_rt", OTHER),
            // Where it goes on.
            ("interrupted", "}"),
            TIMES,
            ("main", "times(6,"),
            START,
        ],
    ),
    (
        "sorts",
        &[
            LEAF,
            ("compares", "leaf();"),
            ("qsort", OTHER),
            ("sorts", "qsort("),
            TIMES,
            ("main", "times(7,"),
            START,
        ],
    ),
    (
        "comes_back",
        &[
            LEAF,
            ("leaves", "leaf();"),
            ("never_returns", "leaves();"),
            ("comes_back", "never_returns();"),
            TIMES,
            ("main", "times(8,"),
            START,
        ],
    ),
    (
        "in_library",
        &[
            LEAF,
            ("shelved", "call();"),
            ("in_library", "shelved(leaf);"),
            TIMES,
            ("main", "times(9,"),
            START,
        ],
    ),
    // In processes that have executed another program before anything is printed.
    ("forks", &[LEAF, ("forks", "leaf();"), TIMES, ("main", "times(2,"), START]),
    (
        "works",
        &[
            LEAF,
            ("recurses", "leaf();"),
            ("recurses", "recurses(n - 1);"),
            ("works", "recurses(2);"),
            ("clone", OTHER),
        ],
    ),
];

const COUNTS: &str = r#"global n
probe process.data("watched").write { n[ubacktrace()]++ }
probe end {
    foreach (stack in n) printf("count %d\n%s\n", n[stack], stack)
    delete n
}"#;

/// The program with its library, compiled with these flags.
fn paths(flags: &[&str]) -> PathBuf {
    c_needing_with("paths", &library_with("paths_library", flags), flags)
}

/// The text of a line that is told as `FILE:LINE`, of our own targets.
fn source_line(place: &str) -> Option<String> {
    let (file, line) = place.rsplit_once(':')?;
    if !file.contains("/tests/targets/") {
        return None;
    }
    let text = fs::read_to_string(file).unwrap();
    Some(text.lines().nth(line.parse::<usize>().unwrap() - 1).unwrap().to_owned())
}

/// What a line of a stack tells: `name+0x12 (file:7)`, `name (file:7) [inlined]`,
/// `name+0x12 [module]`.
fn told(line: &str) -> (String, Option<String>) {
    let inlined = if line.ends_with("[inlined]") { " [inlined]" } else { "" };
    let name = line.trim().split(['+', ' ']).next().unwrap();
    let place = line.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    (format!("{name}{inlined}"), place.and_then(|(place, _)| source_line(place)))
}

/// Whether a stack is the expected one from its innermost frame on; `whole` to its end,
/// else up to the first frame of another file.
fn is_path(stack: &[&str], expected: &[Frame], whole: bool) -> bool {
    let mut stack = stack.iter().map(|line| told(line)).peekable();
    for (function, text) in expected {
        if *text == OTHER {
            if !whole {
                return true;
            }
            let others = std::iter::from_fn(|| stack.next_if(|it| it.1.is_none()));
            // All of them are taken.
            if others.filter(|(name, _)| name.contains(function)).count() == 0 {
                return false;
            }
        } else if !stack.next().is_some_and(|(name, line)| {
            name == *function && line.is_some_and(|line| line.contains(text))
        }) {
            return false;
        }
    }
    stack.next().is_none()
}

/// The stacks that were printed, with how often each was seen.
fn counted(ended: &Ended) -> Vec<(u64, Vec<&str>)> {
    let mut stacks: Vec<(u64, Vec<&str>)> = Vec::new();
    for line in &ended.out {
        if let Some(count) = line.strip_prefix("count ") {
            stacks.push((count.parse().unwrap(), Vec::new()));
        } else if let (Some(frame), Some(last)) =
            (line.strip_prefix("  "), stacks.last_mut())
        {
            last.1.push(frame);
        }
    }
    stacks
}

#[track_caller]
fn counts_agree(program: &Path, options: &[&str], whole: bool) {
    let ended = despite_lost_traps(|| {
        Hwtrace::script(COUNTS, program).with(options).run().done("done")
    });
    let stacks = counted(&ended);
    assert_eq!(stacks.len(), PATHS.len(), "{ended:#?}");
    for (name, expected) in PATHS {
        let is_this = |(_, stack): &&(u64, Vec<&str>)| is_path(stack, expected, whole);
        let found: Vec<_> = stacks.iter().filter(is_this).map(|it| it.0).collect();
        let own = ended.out.iter().find_map(|line| {
            line.strip_prefix("path ")?.strip_prefix(name)?.trim().parse::<u64>().ok()
        });
        assert_eq!(found, own.as_slice(), "{name}: {ended:#?}");
        assert_eq!(found.len(), 1, "{name}");
    }
}

#[test]
fn each_path_is_counted_as_the_program_took_it() {
    if !live() {
        return;
    }
    counts_agree(&paths(&["-g", "-O2", "-fomit-frame-pointer"]), &[], true);
}

/// Up to the C library, which keeps none.
#[test]
fn each_path_is_walked_by_frame_pointers() {
    if !live() {
        return;
    }
    let kept = ["-fno-omit-frame-pointer", "-mno-omit-leaf-frame-pointer", "-DFRAMES"];
    let program = paths(&[&["-g", "-O2"], &kept[..]].concat());
    counts_agree(&program, &["--stacks", "fp"], false);
}

/// What was cut is told with what helps.
#[test]
fn what_is_cut_says_what_captures_more() {
    if !live() {
        return;
    }
    let program = c_with("kernel_path", &["-g", "-O0", "-DSTORES"]);
    for (options, help) in [
        (["--stacks", "fp"], "--stacks dwarf"),
        (["--stack-bytes", "8"], "--stack-bytes N"),
    ] {
        let ended = despite_lost_traps(|| {
            Hwtrace::script(COUNTS, &program).with(&options).run().done("done")
        });
        ended.says(&[&format!(
            "3 stacks cut, as `...` shows; more is captured with {help}"
        )]);
    }
}

#[test]
fn the_kernels_part_of_an_access() {
    if !live() {
        return;
    }
    let script = r#"probe process.data("watched").write {
        print_backtrace()
        printf("caller %s\n", caller())
        printf("user\n%s\n%d of %s\n", ubacktrace(), $new, execname())
    }"#;
    let program = c_with("kernel_path", &["-g", "-O2"]);
    let ended =
        despite_lost_traps(|| Hwtrace::script(script, &program).run().done("done"));
    let lines: Vec<_> = ended.out.iter().map(|line| line.as_str()).collect();
    let place = |part: &str| lines.iter().position(|line| line.contains(part));
    let [read, syscall, caller, user] =
        [" : vfs_read+0x", " : do_syscall_64+0x", "caller ", "user"]
            .map(|part| place(part).unwrap_or_else(|| panic!("{part}: {ended:#?}")));
    assert!(read < syscall && syscall < caller && caller < user, "{ended:#?}");
    assert!(lines[read].ends_with("[kernel]"), "{ended:#?}");
    // Where the process entered the kernel.
    let (inner, _) = told(lines[user + 1]);
    assert!(inner.contains("read"), "{ended:#?}");
    let fills = lines[user..].iter().map(|line| told(line));
    let fills: Vec<_> = fills.skip_while(|frame| frame.0 != "fills").take(2).collect();
    let [(_, Some(inner)), (main, Some(outer))] = &fills[..] else {
        panic!("{ended:#?}")
    };
    assert!(inner.contains("read(pipe") && outer.contains("fills("), "{ended:#?}");
    assert_eq!(main, "main");
}

/// Code that is made at run time has the names that its maker tells, also as text, and as
/// addresses.
#[test]
fn code_made_at_run_time() {
    if !live() {
        return;
    }
    let script = r#"global hits
    probe process.data("watched").write {
        print_usyms(ucallers(1))
        inner = tokenize(ubacktrace(), " ")
        outer = tokenize("", " ")
        printf("levels %d %d\n", strtol(inner, 16) == ustack(0), strtol(outer, 16) == ustack(1))
        printf("named %s\n", usymname(strtol(inner, 16)))
        printf("caller %s\n", tokenize(caller(), " "))
        printf("seen %d\n", ++hits)
    }"#;
    let program = c_with("jit_path", &["-g", "-O2"]);
    let lines = despite_lost_traps(|| {
        let mut tracing = Hwtrace::script(script, &program).start();
        let mut lines = Vec::new();
        while !lines.iter().any(|line| line == "seen 5") {
            lines.push(tracing.out().next()?);
        }
        // Names are told as long as the program is there.
        tracing.say("");
        tracing.finish().expect(0);
        Some(lines)
    });
    let count = |begin: &str, end: &str| {
        let is_this = |line: &&String| line.starts_with(begin) && line.ends_with(end);
        lines.iter().filter(is_this).count()
    };
    assert_eq!(count("levels 1 1", ""), 5, "{lines:#?}");
    assert_eq!(count("named made at run time", ""), 5, "{lines:#?}");
    assert_eq!(count("caller calls", ""), 5, "{lines:#?}");
    // Of code without symbols it is the instruction behind, but where each is looked at.
    let place = if engine_name() == "step" { "+0x4" } else { "+0x7" };
    let made = format!("made at run time{place}/0x9 [[jit]]");
    assert_eq!(count(" 0x", &made), 5, "{lines:#?}");
    assert_eq!(lines.iter().filter(|line| line.contains(" : calls+0x")).count(), 5);
}
