//! What other languages call the things of hwt.

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
    ("new", "write `$new`"),
    ("old", "write `$old`"),
    ("arg0", "data probes know `$new` and `$old`"),
    ("retval", "data probes know `$new` and `$old`"),
    ("cpid", "write `target()`"),
    ("ustack", "write `ubacktrace()`"),
    ("kstack", "write `backtrace()`"),
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
    ("count", "count with `n[key]++`, or `n[key] <<< 1` and `@count(n[key])`"),
    ("sum", "write `n[key] <<< value` and `@sum(n[key])`"),
    ("avg", "write `n[key] <<< value` and `@avg(n[key])`"),
    ("min", "write `n[key] <<< value` and `@min(n[key])`"),
    ("max", "write `n[key] <<< value` and `@max(n[key])`"),
    ("stats", "write `n[key] <<< value`, and `@count`, `@avg` and `@sum` of `n[key]`"),
    ("lhist", "write `s <<< value` and `print(@hist_linear(s, low, high, step))`"),
    ("lquantize", "write `s <<< value` and `print(@hist_linear(s, low, high, step))`"),
    ("quantize", "write `s <<< value` and `print(@hist_log(s))`"),
    ("hist", "write `s <<< value` and `print(@hist_log(s))`"),
    ("clear", "write `delete n`"),
    ("len", "write `strlen(text)`"),
    ("length", "write `strlen(text)`"),
    ("strcmp", "compare with `==`"),
    ("strcontains", "write `isinstr(text, part)`"),
    ("strcat", "join strings with `.`"),
    ("strjoin", "join strings with `.`"),
    ("str", "write `user_string(address)`"),
    ("kstack", "write `backtrace()`"),
    ("join", "write `cmdline_str()` for the words of the command line"),
    ("time", "write `println(ctime(gettimeofday_s()))`"),
    ("strftime", "write `ctime(gettimeofday_s())`"),
    ("kaddr", "name it in the probe point: `kernel.data(\"name\")`"),
    ("usym", "write `usymname(addr())`"),
    ("ksym", "kernel symbols are not available yet; `usymname(addr())` names user code"),
    ("int", "numbers are longs; the number in a string is `strtol(text, 10)`"),
    ("strncmp", "compare with `==`, parts with `substr(text, 0, length)`"),
    ("unroll", "write `for (i = 0; i < n; i++) …`"),
    ("ucaller", "write `caller()`, which asks the stack of whoever made the access"),
    ("ucaller_addr", "write `caller_addr()`, or `ustack(n)` for other levels"),
    ("sprint_ubacktrace_brief", "write `sprint_ubacktrace()`"),
    ("sprint_ubacktrace_fileline", "write `sprint(ubacktrace())`"),
    ("task_backtrace", "hwtrace knows the stacks of the thread that made the access: `backtrace()`"),
    ("print_ubacktrace_current", "write `print_ubacktrace()`"),
    ("is_return", "data probes fire at accesses; `access()` tells reads from writes"),
    ("backtrace_depth", "count the words of `tokenize(ubacktrace(), \" \")`"),
    ("stack_size", "the kernel's stack is not measured; `register(\"rsp\")` is the process's stack pointer"),
    ("stack_used", "the kernel's stack is not measured; `register(\"rsp\")` is the process's stack pointer"),
    ("stack_unused", "the kernel's stack is not measured; `register(\"rsp\")` is the process's stack pointer"),
    ("stacktrace", "write `ubacktrace()`"),
    ("jstack", "write `ubacktrace()`"),
    ("get_cycles", "write `ktime_get_ns()`"),
    ("cpuid", "write `cpu()`"),
    ("ansi_clear_screen", "write `print(\"\\033[2J\\033[H\")`"),
    ("cat", "read files outside; `env_var(name)` and `@1` bring text in"),
    ("atoi", "write `strtol(text, 10)`"),
    ("sizeof", "write `data_len()` for the watched data"),
    ("defined", "write `@defined($x)`"),
];

/// hwt's form of a variable of another language.
pub(super) fn variable(name: &str) -> Option<&'static str> {
    VARIABLES.iter().find(|(other, _)| *other == name).map(|(_, help)| *help)
}

/// hwt's form of a function of another language.
pub(super) fn function(name: &str) -> Option<&'static str> {
    FUNCTIONS.iter().find(|(other, _)| *other == name).map(|(_, help)| *help)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtins;

    #[test]
    fn what_exists_is_not_foreign() {
        for name in builtins::names() {
            assert!(function(name).is_none(), "{name} exists");
        }
    }
}
