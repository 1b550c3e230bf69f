//! Programs of all sorts: C and Rust, position-independent and not, static;
//! with and without privilege; from the first instruction on; where the
//! storing instruction is.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::process::Command;

use common::{
    Ended, Hwtrace, Scratch, Target, c, c_with, despite_lost_traps, live, live_as_root,
    nobody, rust,
};

/// Counts stores and says whether each followed the one before.
const IN_ORDER: &str = r#"
    global n, bad
    probe begin { println("armed") }
    probe process.data("counter").write {
        if ($new != n++ || !exact()) bad++
    }
    probe end { printf("stores %d %d\n", n, bad) }"#;

/// Runs obey.c with hwtrace started by `hwtrace`.
fn stores_of_command(hwtrace: impl Fn() -> Command, program: &Path) -> Ended {
    let command = program.to_str().unwrap();
    let ended = despite_lost_traps(|| {
        Hwtrace::by(hwtrace(), &["-e", IN_ORDER, "-c", command])
            .run_with("store 1000")
            .done("bye, counter is 999 of 1000")
    });
    assert_eq!(ended.numbers("stores "), [[1000, 0]], "{ended:#?}");
    ended.expect_figures(1000, 1, 1);
    ended
}

/// Attaches to obey.c, both started as the caller wants them.
fn stores_of_process(hwtrace: impl Fn() -> Command, target: impl Fn() -> Command) {
    let ended = despite_lost_traps(|| {
        let mut target = Target::start_command(target());
        let pid = target.pid().to_string();
        let tracing = Hwtrace::by(hwtrace(), &["-e", IN_ORDER, "-p", &pid]).start();
        tracing.out().until("armed");
        target.say("store 1000");
        let last = target.finish()?.pop().unwrap();
        assert_eq!(last, "bye, counter is 999 of 1000");
        Some(tracing.finish().expect(0))
    });
    assert_eq!(ended.numbers("stores "), [[1000, 0]], "{ended:#?}");
    ended.expect_figures(1000, 1, 1);
}

fn own() -> Command {
    Command::new(env!("CARGO_BIN_EXE_hwtrace"))
}

/// How a C program may be linked.
const LINKED: [&[&str]; 4] =
    [&["-pie", "-fPIE"], &["-no-pie"], &["-static"], &["-static-pie"]];

#[test]
fn c_programs_however_they_are_linked() {
    if !live() {
        return;
    }
    for flags in LINKED {
        let program = c_with("obey", flags);
        stores_of_command(own, &program);
        stores_of_process(own, || Command::new(&program));
    }
}

#[test]
fn an_unprivileged_user_watches_own_programs() {
    if !live_as_root() {
        return;
    }
    let scratch = Scratch::new();
    let hwtrace = scratch.copy(env!("CARGO_BIN_EXE_hwtrace"));
    for flags in [LINKED[0], LINKED[1]] {
        let program = scratch.copy(c_with("obey", flags));
        stores_of_command(|| nobody(&hwtrace), &program);
        stores_of_process(|| nobody(&hwtrace), || nobody(&program));
    }
}

#[test]
fn an_unprivileged_user_watches_eight_threads() {
    if !live_as_root() {
        return;
    }
    let scratch = Scratch::new();
    let hwtrace = scratch.copy(env!("CARGO_BIN_EXE_hwtrace"));
    let command = format!("{} 4 4", scratch.copy(c("threads")).display());
    let script = r#"global n; probe process.data("counter").write { n[tid()]++ }
        probe end { foreach (t in n) printf("hits %d\n", n[t]) }"#;
    let ended = despite_lost_traps(|| {
        let hwtrace = Hwtrace::by(nobody(&hwtrace), &["-e", script, "-c", &command]);
        hwtrace.run_with("go").done("done")
    });
    // Nobody's rings are small, as the kernel has it: what is lost is counted.
    let figures = ended.figures();
    assert_eq!((figures.hits + figures.lost, figures.threads), (80_000, 9));
    let hits = ended.numbers("hits ");
    assert_eq!(hits.len(), 8);
    assert_eq!(hits.iter().map(|line| line[0]).sum::<u64>(), figures.hits);
}

/// An atomic in a module, by the ways to name it, and a static of four bytes.
fn rust_program(hwtrace: impl Fn() -> Command, program: &Path) {
    for name in ["TAKINGS", "till::TAKINGS", "takings::shop::till::TAKINGS"] {
        let script = format!(
            r#"global n, m, bad
            probe process.data("{name}").write {{
                if (data_len() != 8 || usymname(addr()) != "takings::sell") bad++
                if (exact() && $new != n) bad++
                n++
            }}
            probe process.data("PLAIN_TOTAL").write {{
                if (data_len() != 4 || usymname(addr()) != "takings::count") bad++
                if (!exact() || $new != 2 * m) bad++
                m++
            }}
            probe end {{ printf("stores %d %d %d\n", n, m, bad) }}"#
        );
        let ended = despite_lost_traps(|| {
            let arguments = ["-e", &script, "-c", program.to_str().unwrap()];
            Hwtrace::by(hwtrace(), &arguments).run_with("go").done("done")
        });
        assert_eq!(ended.numbers("stores "), [[500, 500, 0]], "{name}: {ended:#?}");
        ended.expect_figures(1000, 1, 2);
    }
}

#[test]
fn rust_programs_however_they_are_linked() {
    if live() {
        rust_program(own, &rust("takings", &[]));
        rust_program(own, &rust("takings", &["-Crelocation-model=static"]));
        rust_program(own, &rust("takings", &["-Ctarget-feature=+crt-static"]));
    }
}

#[test]
fn an_unprivileged_user_watches_a_rust_program() {
    if !live_as_root() {
        return;
    }
    let scratch = Scratch::new();
    let hwtrace = scratch.copy(env!("CARGO_BIN_EXE_hwtrace"));
    rust_program(|| nobody(&hwtrace), &scratch.copy(rust("takings", &[])));
}

/// Who writes `pointer` of early.c: value, function, whether exact.
fn writers_of_pointer(program: &Path) -> (Vec<[String; 3]>, Vec<String>) {
    let script = r#"probe process.data("pointer").write {
        printf("writes 0x%x %s %d\n", $new, usymdata(addr()), exact())
    }"#;
    let ended =
        despite_lost_traps(|| Hwtrace::script(script, program).run().done("done"));
    let writes = ended.out.iter().filter_map(|line| line.strip_prefix("writes "));
    let writes = writes.map(|line| {
        let words: Vec<_> = line.split(' ').collect();
        let [value, function, .., exact] = words[..] else { panic!("{line}") };
        [value, function, exact].map(str::to_owned)
    });
    let is_addresses = |line: &&String| line.starts_with("0x");
    let addresses = ended.out.iter().find(is_addresses).unwrap();
    (writes.collect(), addresses.split(' ').map(str::to_owned).collect())
}

#[track_caller]
fn assert_constructor_and_main(writes: &[[String; 3]], addresses: &[String]) {
    let [construct, main] = writes else { panic!("{writes:?}") };
    assert_eq!((&construct[0], &main[0]), (&addresses[1], &addresses[2]));
    assert!(construct[1].starts_with("construct+0x"), "{construct:?}");
    assert!(main[1].starts_with("main+0x"), "{main:?}");
    assert_eq!([&*construct[2], &*main[2]], ["1", "1"]);
}

/// The first instruction that writes is the loader's own.
#[test]
fn a_command_is_armed_before_its_first_instruction() {
    if !live() {
        return;
    }
    let (writes, addresses) = writers_of_pointer(&c_with("early", &["-pie", "-fPIE"]));
    let [loader, rest @ ..] = &writes[..] else { panic!("no writes") };
    let own = ["construct+", "main+"].iter().any(|own| loader[1].starts_with(own));
    assert!(!own, "not the loader's: {loader:?}");
    assert_constructor_and_main(rest, &addresses);
}

#[test]
fn what_needs_no_relocation_is_first_written_by_its_constructor() {
    if live() {
        let (writes, addresses) = writers_of_pointer(&c_with("early", &["-no-pie"]));
        assert_constructor_and_main(&writes, &addresses);
    }
}

#[test]
fn each_storing_function_is_named() {
    if !live() {
        return;
    }
    let script = r#"global n; probe process.data("counter").write {
        n[usymname(addr()), $new]++
        if (!isinstr(usymdata(addr()), usymname(addr()) . "+0x")) n["wrong", 0]++
    }
    probe end { foreach ([f, v] in n) printf("%s %d %d\n", f, v, n[f, v]) }"#;
    for flags in [["-pie"], ["-no-pie"]] {
        let program = c_with("functions", &flags);
        let ended =
            despite_lost_traps(|| Hwtrace::script(script, &program).run().done("done"));
        assert_eq!(ended.numbers("deposit "), [[100, 3]]);
        assert_eq!(ended.numbers("withdraw "), [[90, 1], [80, 1]]);
        assert_eq!(ended.numbers("audit "), [[7, 1]]);
        assert_eq!(ended.numbers("wrong "), [[0u64; 0]; 0]);
        ended.expect_figures(7, 1, 1);
    }
}

#[test]
fn a_label_within_a_function_does_not_hide_it() {
    if !live() {
        return;
    }
    let script = r#"probe process.data("counter").write {
        if ($new == 9) println(usymname(addr()))
    }"#;
    let ended =
        despite_lost_traps(|| Hwtrace::script(script, c("functions")).run().done("done"));
    assert!(ended.out.iter().any(|line| line == "labelled"), "{ended:#?}");
}

#[test]
fn addr_is_the_storing_instruction_itself() {
    if !live() {
        return;
    }
    let script = r#"probe process.data("counter").write {
        if ($new == 9) printf("store_here is 0x%x\n", addr())
    }"#;
    for flags in [["-pie"], ["-no-pie"]] {
        let program = c_with("functions", &flags);
        let ended =
            despite_lost_traps(|| Hwtrace::script(script, &program).run().done("done"));
        let said: Vec<_> =
            ended.out.iter().filter(|line| line.contains("_here is")).collect();
        assert_eq!(said.len(), 2, "{ended:#?}");
        assert_eq!(said[0], said[1], "the target's own and hwtrace's");
    }
}

#[test]
fn input_reaches_a_command_and_its_output_is_untouched() {
    if !live() {
        return;
    }
    let program = c("functions");
    let script = r#"global n; probe process.data("counter").write { n++ }
        probe end { printf("%d\n", n) }"#;
    let scratch = Scratch::new();
    let file = scratch.file("out", b"", 0o644);
    let ended = despite_lost_traps(|| {
        let hwtrace = Hwtrace::script(script, &program).writing_to(&file);
        hwtrace.run_with("a line for the target").done("done")
    });
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "7\n");
    assert!(ended.out[0].starts_with("store_here is 0x"), "{ended:#?}");
    assert_eq!(ended.out[1..], ["input was a line for the target", "done"]);
    assert_eq!(ended.messages.len(), 1, "the line at the end alone: {ended:#?}");
}

/// handed.c, and the table of `hwtrace watch counter`, line by line.
fn handed(program: &Path, arguments: &[&str]) -> Ended {
    let program = program.to_str().unwrap();
    despite_lost_traps(|| {
        let hwtrace = Hwtrace::new(&["watch", "counter", "--", program]);
        hwtrace.with(arguments).run_with("1234567").done("done")
    })
}

/// The line of the table of these many hits with this in it.
#[track_caller]
fn row(ended: &Ended, hits: u64, part: &str) {
    let start = format!("{hits} ");
    let found = |line: &&String| line.trim_start().starts_with(&start);
    let mut rows = ended.out.iter().filter(found);
    assert!(rows.any(|row| row.contains(part)), "no {hits} of `{part}`: {ended:#?}");
}

/// The table is made when the program has long been another.
#[test]
fn what_was_hit_before_an_exec_has_its_name() {
    if live() {
        row(&handed(&c("handed"), &["exec"]), 10, "store_own+0x");
        row(&handed(&c_with("handed", &["-no-pie"]), &["exec"]), 10, "store_own+0x");
    }
}

/// Nothing has a symbol but the variable: as code in stripped libraries.
#[test]
fn code_without_a_symbol_has_its_file_and_offset() {
    if !live() {
        return;
    }
    for flags in [["-pie"], ["-no-pie"]] {
        let scratch = Scratch::new();
        let program = scratch.copy(c_with("handed", &flags));
        let nm = Command::new("nm").arg("-S").arg(&program).output().unwrap();
        let nm = String::from_utf8(nm.stdout).unwrap();
        let line = nm.lines().find(|line| line.ends_with(" store_own")).unwrap();
        let numbers = line.split(' ').take(2);
        let numbers = numbers.map(|digits| u64::from_str_radix(digits, 16).unwrap());
        let [start, size] = numbers.collect::<Vec<_>>()[..] else { panic!("{line}") };
        let stripped = ["-K", "counter"];
        assert!(
            Command::new("strip")
                .args(stripped)
                .arg(&program)
                .status()
                .unwrap()
                .success()
        );

        let ended = handed(&program, &[]);
        let name = program.file_name().unwrap().to_str().unwrap();
        let mark = format!("{name}+0x");
        let offset = ended.out.iter().find_map(|line| line.split_once(&mark)).unwrap().1;
        let offset = offset.split(' ').next().unwrap();
        let offset = u64::from_str_radix(offset, 16).unwrap();
        assert!((start..start + size).contains(&offset), "{line}: {ended:#?}");
    }
}

/// A read(2) into the variable: the kernel stores, and root sees it.
#[test]
fn functions_of_the_kernel_are_named() {
    if !live_as_root() {
        return;
    }
    let script = r#"probe process.data("counter").write {
        printf("by %s, %s\n", usymname(addr()), usymdata(addr()))
    }"#;
    let ended = despite_lost_traps(|| {
        Hwtrace::script(script, c("handed")).run_with("1234567").done("done")
    });
    let by = |line: &String| {
        let (name, data) = line.strip_prefix("by ")?.split_once(", ")?;
        data.ends_with(" [kernel]").then(|| (name.to_owned(), data.to_owned()))
    };
    let (name, data) = ended.out.iter().find_map(by).expect("the kernel's");
    let symbols = std::fs::read_to_string("/proc/kallsyms").unwrap();
    if symbols.starts_with("0000000000000000 ") {
        // The kernel does not tell even root.
        assert!(name.starts_with("[kernel] 0xffff"), "{name}");
        return;
    }
    assert!(symbols.contains(&format!(" {name}\n")), "{name}");
    assert!(data.starts_with(&format!("{name}+0x")), "{data}");
    let table = handed(&c("handed"), &[]);
    let mark = format!("[kernel] {name}+0x");
    assert!(table.out.iter().any(|line| line.contains(&mark)), "{table:#?}");
}

/// Each of two variables of one name, by what the message offers.
#[test]
fn a_variable_that_two_files_have() {
    if !live() {
        return;
    }
    let scratch = Scratch::new();
    let own = b"static long state; void NAME(long n) { *(volatile long *)&state = n; }";
    let own = String::from_utf8_lossy(own);
    let first = scratch.file("u1.c", own.replace("NAME", "one").as_bytes(), 0o644);
    let second = scratch.file("u2.c", own.replace("NAME", "two").as_bytes(), 0o644);
    let main = b"void one(long), two(long); int puts(const char *);
        int main(void) { one(1); two(1); two(2); puts(\"done\"); return 0; }";
    let main = scratch.file("main.c", main, 0o644);
    let program = main.with_file_name("program");
    let mut cc = Command::new("cc");
    cc.arg("-O1").args([&main, &first, &second]).arg("-o").arg(&program);
    assert!(cc.status().unwrap().success());

    let watch = |name: &str| {
        Hwtrace::new(&["watch", name, "--", program.to_str().unwrap()]).run()
    };
    let ended = watch("state").expect(2);
    ended.says(&["error[E0305]", "`state@u1.c` and `state@u2.c`"]);
    for (name, hits, function) in
        [("state@u1.c", 1, "one+0x"), ("state@u2.c", 2, "two+0x")]
    {
        let ended = despite_lost_traps(|| watch(name).done("done"));
        ended.expect_figures(hits, 1, 1);
        row(&ended, hits, function);
    }
}

#[test]
fn an_address_without_0x_is_recognised() {
    if !live() {
        return;
    }
    // Programs at fixed addresses begin at 0x400000.
    let program = c_with("handed", &["-no-pie"]);
    let hwtrace = Hwtrace::new(&["watch", "400000", "--", program.to_str().unwrap()]);
    hwtrace.run().expect(2).says(&["did you mean 0x400000?"]);
}
