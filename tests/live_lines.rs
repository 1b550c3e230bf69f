//! Lines of the source behind hits: of C and of Rust, inlined, of processes and files
//! that are gone, and of programs whose debug information is elsewhere.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{
    Ended, Hwtrace, Scratch, Target, c_with, despite_lost_traps, engine_name, live, rust,
};

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/targets").join(name)
}

/// The number of the line of a target's source that has this text.
fn line_of(name: &str, text: &str) -> usize {
    let source = fs::read_to_string(source(name)).unwrap();
    1 + source.lines().position(|line| line.contains(text)).unwrap()
}

/// Runs a script with a program to its end.
fn ended(script: &str, program: &Path) -> Ended {
    despite_lost_traps(|| {
        Hwtrace::script(script, program).run_with("letters!").done("done")
    })
}

#[test]
fn the_line_of_a_store_in_c() {
    if !live() {
        return;
    }
    let script = r#"probe process.data("counter").write {
        if (user_mode()) lines[usymfileline(addr()), usymfile(addr()), usymline(addr())]++
    }
    probe end { foreach ([both, file, line] in lines)
        printf("%s|%s|%s|%d\n", both, file, line, lines[both, file, line]) }
    global lines"#;
    let file = source("handed.c").display().to_string();
    let line = line_of("handed.c", "counter = i;");
    let expected = format!("{file}:{line}|{file}|{line}|10");
    for flags in [&["-g", "-O0"][..], &["-g", "-O2"]] {
        let ended = ended(script, &c_with("handed", flags));
        assert!(ended.out.contains(&expected), "{flags:?}: {ended:#?}");
    }
}

/// The store is of another file, inlined; the call is what it was replaced in.
#[test]
fn the_line_of_a_store_that_is_inlined() {
    if !live() {
        return;
    }
    let scratch = Scratch::new();
    let header = b"static inline __attribute__((always_inline)) void put(long value) {
            *(volatile long *)&counter = value;
        }";
    scratch.file("put.h", header, 0o644);
    let main = b"long counter;
        #include \"put.h\"
        int puts(const char *);
        int main(void) { put(7); puts(\"done\"); return 0; }";
    let main = scratch.file("main.c", main, 0o644);
    let program = main.with_file_name("program");
    let mut cc = Command::new("cc");
    cc.args(["-g", "-O2"]).arg(&main).arg("-o").arg(&program);
    assert!(cc.status().unwrap().success());
    let program = program.to_str().unwrap();
    let watch = ["watch", "counter", "--", program];
    let ended = despite_lost_traps(|| Hwtrace::new(&watch).run().done("done"));
    let row = ended.out.iter().find(|line| line.contains("write"));
    let row: Vec<_> = row.unwrap().split_whitespace().collect();
    assert!(row[3].starts_with("main+0x"), "{row:?}");
    assert_eq!(row[4..], ["put.h:2", "7", "1"]);
}

#[test]
fn the_line_of_a_store_in_rust() {
    if !live() {
        return;
    }
    let script = r#"probe process.data("PLAIN_TOTAL").write {
        printf("%s at %s\n", usymname(addr()), usymfileline(addr())) exit()
    }"#;
    let ended = ended(script, &rust("takings", &["-g"]));
    let found = ended.out.iter().find(|line| line.contains(" at ")).unwrap();
    // The store itself is in the standard library's `write_volatile`.
    assert!(found.starts_with("takings::count at "), "{found}");
    let (file, line) = found.split_once(" at ").unwrap().1.rsplit_once(':').unwrap();
    assert!(file.ends_with(".rs") && line.parse::<u32>().unwrap() > 0, "{found}");
}

/// Stripped, and its debug information in a file beside it: functions and the
/// instruction itself are found by that.
#[test]
fn the_line_in_a_stripped_program() {
    if !live() {
        return;
    }
    let scratch = Scratch::new();
    let program = scratch.copy(c_with("handed", &["-g"]));
    let debug = program.with_extension("debug");
    let objcopy = |options: &[&str], to: Option<&Path>| {
        let mut command = Command::new("objcopy");
        let status = command.args(options).arg(&program).args(to).status();
        assert!(status.unwrap().success());
    };
    objcopy(&["--only-keep-debug"], Some(&debug));
    // hwtrace finds the variable by its symbol.
    objcopy(&["--strip-all", "--keep-symbol=counter"], None);
    objcopy(&[&format!("--add-gnu-debuglink={}", debug.display())], None);
    let script = r#"probe process.data("counter").write {
        if (user_mode()) printf("%s %s\n", usymname(addr()), usymline(addr())) exit()
    }"#;
    let line = line_of("handed.c", "counter = i;");
    let script = script.replace("exit()", "");
    let ended = ended(&script, &program);
    let expected = format!("store_own {line}");
    assert_eq!(
        ended.out.iter().filter(|line| **line == expected).count(),
        10,
        "{ended:#?}"
    );
}

/// Its file is deleted before hwtrace comes, and it has ended when lines are asked.
#[test]
fn the_line_in_a_program_that_is_gone() {
    if !live() {
        return;
    }
    let line = format!("obey.c:{}", line_of("obey.c", "counter = next + i;"));
    let ended = despite_lost_traps(|| {
        let scratch = Scratch::new();
        let program = scratch.copy(c_with("obey", &["-g"]));
        let mut target = Target::start(&program, &[]);
        fs::remove_file(&program).unwrap();
        let pid = target.pid().to_string();
        let watch = ["watch", "counter", "-v", "--mode", "write", "-p", &pid];
        let tracing = Hwtrace::new(&watch).start();
        let slots = if engine_name() == "step" { "1" } else { "1/4" };
        tracing.messages().until(&format!("hwtrace: armed 1 thread, slots {slots}"));
        assert_eq!(target.ask("store 5").as_deref(), Some("stored 5"));
        target.finish()?;
        Some(tracing.finish().expect(0))
    });
    let row = ended.out.iter().find(|row| row.contains("store+0x")).unwrap();
    assert!(row.contains(&format!(" {line} ")), "{ended:#?}");
}

/// Pointers are printed with what they point to.
#[test]
fn what_pointers_point_to() {
    if !live() {
        return;
    }
    let script = r#"probe process.data("counter").write {
        println(usymptr(data_addr())) println(usymptr(addr())) println(usymptr(0))
        println(usymptr(8)) println(symptr(0)) exit()
    }"#;
    let ended = ended(script, &c_with("handed", &["-g"]));
    let shown: Vec<_> = ended.out.iter().filter(|line| *line != "done").collect();
    assert!(shown[0].starts_with("0x") && shown[0].ends_with(" <&counter>"), "{shown:?}");
    assert!(shown[1].contains(" <"), "{shown:?}");
    assert_eq!(shown[2..], ["0x0", "0x8", "0x0"]);
}
