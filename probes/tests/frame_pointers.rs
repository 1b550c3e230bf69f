//! Which files keep frame pointers, judged by what their compiler was told.

mod common;

use common::build;
use hwtrace_probes::stack::keeps_frame_pointers;
use hwtrace_probes::symbols::{Elf, load};

#[test]
fn files_keep_frame_pointers_where_their_compiler_was_told_to() {
    for (compiler, sources, options, keeps) in [
        ("cc", &["data.c", "other.c"][..], &["-O2"][..], false),
        ("cc", &["data.c", "other.c"], &["-O2", "-fno-omit-frame-pointer"], true),
        ("cc", &["data.c", "other.c"], &["-O2", "-static"], false),
        ("c++", &["names.cpp"], &["-O1"], false),
        ("c++", &["names.cpp"], &["-O1", "-fno-omit-frame-pointer"], true),
        (
            "cc",
            &["data.c", "other.c"],
            &["-O2", "-fno-asynchronous-unwind-tables"],
            false,
        ),
    ] {
        let name = format!("frame_pointers-{compiler}{}", options.concat());
        let program = build(compiler, &name, sources, options);
        let elf = Elf::parse(load(&program).expect("built")).expect("a program");
        assert_eq!(keeps_frame_pointers(&elf), keeps, "{name}");
    }
}
