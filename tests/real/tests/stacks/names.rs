//! Names of functions as both sides can tell them.
//!
//! gdb tells them by debug information, `{impl#3}::poll<T>` and `run(int)`; hwtrace as the
//! linker has them, `<T as Future>::poll`. The last word of the path is the same.

/// The last word of a function's path, without parameters.
pub(crate) fn common(name: Option<&str>) -> String {
    let Some(name) = name else { return "?".to_owned() };
    // What is in a table of virtual functions in place of one that takes itself whole.
    let name = without_groups(name.trim_end_matches("{{vtable.shim}}"));
    let last = name.rsplit("::").find(|part| !part.is_empty()).unwrap_or(&name);
    let last = last.trim().trim_end_matches(" const");
    // A compiler's copies: `step.constprop.0`, `run.cold`.
    let whole = last.split('.').next().unwrap_or(last);
    match whole {
        "{closure}" | "{{closure}}" => "closure".to_owned(),
        // Its parentheses were taken for parameters.
        "operator" => "operator()".to_owned(),
        closure if closure.starts_with("{closure") || closure.starts_with("{async") => {
            "closure".to_owned()
        }
        // Functions of the C library, and of the kernel, have several.
        other => {
            let start =
                ["__vdso_", "__GI_"].into_iter().find_map(|it| other.strip_prefix(it));
            let name = start.unwrap_or(other).trim_start_matches('_');
            // One function has both names.
            name.replace("memcpy", "memmove")
        }
    }
}

/// Without what is in `<>` and `()`.
fn without_groups(name: &str) -> String {
    let (mut depth, mut out) = (0_u32, String::new());
    let operator = name.find("operator").map_or(usize::MAX, |at| at + "operator".len());
    let mut chars = name.char_indices().peekable();
    let mut before = ' ';
    while let Some((at, char)) = chars.next() {
        match char {
            // `operator()`, `operator<`.
            _ if at == operator && depth == 0 && !char.is_alphanumeric() => {
                out.push(char);
                while let Some((_, next)) =
                    chars.next_if(|(_, next)| "<>=)".contains(*next))
                {
                    out.push(next);
                }
            }
            '<' | '(' | '[' => depth += 1,
            '>' if before == '-' => {}
            '>' | ')' | ']' => depth = depth.saturating_sub(1),
            char if depth == 0 => out.push(char),
            _ => {}
        }
        before = char;
    }
    out
}

#[test]
fn names_have_a_common_form() {
    for (name, expected) in [
        ("main", "main"),
        ("stock::Box<std::pair<int, int> >::open(int) const", "open"),
        ("<core::iter::Map<I,F> as core::iter::Iterator>::next", "next"),
        ("alloc::vec::{impl#3}::drop<u8, F>", "drop"),
        ("tokio::park::run::{{closure}}", "closure"),
        ("tokio::park::run::{closure#0}", "closure"),
        ("real_tokio::task::{async_fn#0}", "closure"),
        ("Less::operator()(int, int)", "operator()"),
        ("main::{lambda(int)#1}::operator()(int) const", "operator()"),
        ("step.constprop.0", "step"),
        ("__vdso_clock_gettime", "clock_gettime"),
        ("__GI___clock_gettime", "clock_gettime"),
    ] {
        assert_eq!(common(Some(name)), expected, "{name}");
    }
}
