//! What other languages call the things of hwt, and what hwt will have later.

/// Names that other languages have as variables, with hwt's form.
#[rustfmt::skip]
static VARIABLES: &[(&str, &str)] = &[
    ("comm", "write `execname()`"),
    ("pid", "it is a function: write `pid()`"),
    ("tid", "it is a function: write `tid()`"),
    ("cpu", "it is a function: write `cpu()`"),
    ("execname", "it is a function: write `execname()`"),
    ("probe", "write `pp()`"),
    ("nsecs", "write `ktime_get_ns()`"),
    ("elapsed", "write `ktime_get_ns()` and subtract what it was before"),
    ("timestamp", "write `ktime_get_ns()`"),
    ("walltimestamp", "write `gettimeofday_ns()`"),
    ("arg0", "data probes know `$new` and `$old`"),
    ("retval", "data probes know `$new` and `$old`"),
    ("cpid", "write `target()`"),
    ("NULL", "write `0`"),
    ("null", "write `0`"),
    ("true", "write `1`"),
    ("false", "write `0`"),
    ("True", "write `1`"),
    ("False", "write `0`"),
];

/// Functions of other languages, with hwt's form.
#[rustfmt::skip]
static FUNCTIONS: &[(&str, &str)] = &[
    ("trace", "write `println(x)`"),
    ("fprintf", "write `printf(\"…\\n\", …)`: output goes where -o says"),
    ("puts", "write `println(\"…\")`"),
    ("echo", "write `println(\"…\")`"),
    ("snprintf", "write `sprintf(\"…\", …)`, which gives a string"),
    ("count", "count with `n[key]++`"),
    ("sum", "add up with `n[key] += value`"),
    ("quantize", "count with `n[key]++`"),
    ("hist", "count with `n[key]++`"),
    ("clear", "write `delete n`"),
    ("len", "write `strlen(text)`"),
    ("length", "write `strlen(text)`"),
    ("strcmp", "compare with `==`"),
    ("strcontains", "write `isinstr(text, part)`"),
    ("strcat", "join strings with `.`"),
    ("strjoin", "join strings with `.`"),
    ("str", "strings of the target are not available yet"),
    ("usym", "write `usymname(addr())`"),
    ("ksym", "kernel symbols are not available yet; `usymname(addr())` names user code"),
    ("atoi", "write `strtol(text, 10)`"),
    ("sizeof", "write `data_len()` for the watched data"),
    ("defined", "use only `$` variables that the probe point has"),
];

/// Functions of the language that are not available yet.
#[rustfmt::skip]
static LATER: &[&str] = &[
    "ppid", "uid", "euid", "gid", "egid", "pn", "ppfunc", "probefunc", "user_mode", "register", "u_register",
    "print_regs", "cmdline_str", "env_var", "ctime", "usymfileline", "usymline", "umodname", "symname",
    "symdata", "symfileline", "modname", "print_ubacktrace", "sprint_ubacktrace", "ubacktrace",
    "print_backtrace", "sprint_backtrace", "backtrace", "callers", "ucallers", "caller", "print_usyms",
    "print_syms", "user_char", "user_short", "user_int", "user_long", "user_int8", "user_int16",
    "user_int32", "user_int64", "user_uint8", "user_uint16", "user_uint32", "user_uint64", "user_string",
    "user_string_n", "user_buffer_quoted", "kernel_char", "kernel_short", "kernel_int", "kernel_long",
    "kernel_string", "kernel_string_n", "stringat", "strpos", "tokenize", "str_replace", "text_str", "log", "warn",
    "error", "abort", "assert", "thread_indent", "randint", "system", "stop", "signal", "watch",
    "unwatch", "rearm",
];

/// hwt's form of a variable of another language.
pub(super) fn variable(name: &str) -> Option<&'static str> {
    VARIABLES.iter().find(|(other, _)| *other == name).map(|(_, help)| *help)
}

/// hwt's form of a function of another language.
pub(super) fn function(name: &str) -> Option<&'static str> {
    FUNCTIONS.iter().find(|(other, _)| *other == name).map(|(_, help)| *help)
}

/// Whether a function belongs to the language but is not available yet.
pub(super) fn comes_later(name: &str) -> bool {
    LATER.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtins;

    #[test]
    fn what_exists_is_not_foreign() {
        for name in builtins::names() {
            assert!(function(name).is_none() && !comes_later(name), "{name} exists");
        }
    }
}
