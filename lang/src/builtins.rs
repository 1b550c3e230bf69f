//! The builtin functions: one table, from which the type checker, the code
//! generator and the reference are made.

use crate::types::Type::{self, Long, String};

/// A builtin function.
#[derive(Debug, PartialEq, Eq)]
pub struct Builtin {
    /// Name in scripts.
    pub name: &'static str,
    /// Types of the arguments.
    pub params: &'static [Type],
    /// Type of the result; none for functions called for their effect.
    pub returns: Option<Type>,
    /// Where it may be called.
    pub available: Available,
    /// What computes it.
    pub body: Body,
    /// One sentence: what it gives, with unit.
    pub doc: &'static str,
    /// A line of hwt that uses it.
    pub example: &'static str,
}

/// Where a builtin may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Available {
    /// In every handler.
    Everywhere,
    /// Only where data was accessed.
    DataProbes,
}

/// What computes a builtin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// A field of the hit's record, by its name in the runtime's schema.
    Field(&'static str),
    /// A helper function, by its name in the runtime's helper table.
    Helper(&'static str),
}

use Available::{DataProbes, Everywhere};
use Body::{Field, Helper};

/// A row of the table.
macro_rules! builtin {
    ($name:ident($($param:ident),*) -> $returns:expr, $available:ident, $body:expr,
     $doc:literal, $example:literal) => {
        Builtin {
            name: stringify!($name),
            params: &[$($param),*],
            returns: $returns,
            available: $available,
            body: $body,
            doc: $doc,
            example: $example,
        }
    };
}

/// Every builtin function, those of one subject together.
#[rustfmt::skip]
pub static BUILTINS: &[Builtin] = &[
    // Who made the access.
    builtin!(pid() -> Some(Long), Everywhere, Field("pid"),
        "number of the process", r#"printf("%d\n", pid())"#),
    builtin!(tid() -> Some(Long), Everywhere, Field("tid"),
        "number of the thread", r#"hits[tid()]++"#),
    builtin!(cpu() -> Some(Long), Everywhere, Field("cpu"),
        "number of the CPU that the thread ran on", r#"hits[cpu()]++"#),
    builtin!(execname() -> Some(String), Everywhere, Field("execname"),
        "name of the thread, at most 15 bytes", r#"printf("%s\n", execname())"#),
    builtin!(target() -> Some(Long), Everywhere, Helper("target"),
        "number of the process given by -p or started by -c, else 0", r#"if (pid() != target()) next"#),
    builtin!(pp() -> Some(String), Everywhere, Helper("pp"),
        "the probe point as written", r#"println(pp())"#),

    // The access.
    builtin!(addr() -> Some(Long), DataProbes, Field("address"),
        "address of the instruction that made the access", r#"hits[addr()]++"#),
    builtin!(uaddr() -> Some(Long), DataProbes, Field("address"),
        "address of the instruction that made the access, in user mode", r#"hits[uaddr()]++"#),
    builtin!(data_addr() -> Some(Long), DataProbes, Field("data_address"),
        "address of the watched data", r#"printf("%p\n", data_addr())"#),
    builtin!(data_len() -> Some(Long), DataProbes, Field("data_length"),
        "length of the watched data in bytes", r#"printf("%d\n", data_len())"#),
    builtin!(data_name() -> Some(String), DataProbes, Helper("data_name"),
        "name of the watched data", r#"println(data_name())"#),
    builtin!(access() -> Some(String), DataProbes, Helper("access"),
        "how the data was accessed: \"read\", \"write\" or \"update\"", r#"how[access()]++"#),
    builtin!(exact() -> Some(Long), DataProbes, Field("exact"),
        "1 where $new is the value that this very instruction stored or loaded, else 0", r#"if (!exact()) next"#),

    // Time.
    builtin!(gettimeofday_ns() -> Some(Long), Everywhere, Helper("gettimeofday_ns"),
        "nanoseconds since 1970", r#"printf("%d\n", gettimeofday_ns())"#),
    builtin!(gettimeofday_us() -> Some(Long), Everywhere, Helper("gettimeofday_us"),
        "microseconds since 1970", r#"printf("%d\n", gettimeofday_us())"#),
    builtin!(gettimeofday_ms() -> Some(Long), Everywhere, Helper("gettimeofday_ms"),
        "milliseconds since 1970", r#"printf("%d\n", gettimeofday_ms())"#),
    builtin!(gettimeofday_s() -> Some(Long), Everywhere, Helper("gettimeofday_s"),
        "seconds since 1970", r#"printf("%d\n", gettimeofday_s())"#),
    builtin!(ktime_get_ns() -> Some(Long), Everywhere, Field("time"),
        "time of the hit in nanoseconds of the monotonic clock", r#"last = ktime_get_ns()"#),

    // Symbols.
    builtin!(usymname(Long) -> Some(String), Everywhere, Helper("usymname"),
        "name of the function or object at an address of the target", r#"println(usymname(addr()))"#),
    builtin!(usymdata(Long) -> Some(String), Everywhere, Helper("usymdata"),
        "the same with offset, size and module", r#"println(usymdata(addr()))"#),

    // Strings.
    builtin!(strlen(String) -> Some(Long), Everywhere, Helper("strlen"),
        "length of a string in bytes", r#"n = strlen(execname())"#),
    builtin!(substr(String, Long, Long) -> Some(String), Everywhere, Helper("substr"),
        "part of a string: from byte, number of bytes", r#"println(substr("watch", 0, 2))"#),
    builtin!(isinstr(String, String) -> Some(Long), Everywhere, Helper("isinstr"),
        "1 where the first string contains the second, else 0", r#"if (isinstr(execname(), "sh")) next"#),
    builtin!(strtol(String, Long) -> Some(Long), Everywhere, Helper("strtol"),
        "the number in a string, to a base", r#"n = strtol("2a", 16)"#),

    // The session.
    builtin!(exit() -> None, Everywhere, Helper("exit"),
        "ends the session after this handler; end probes still run", r#"exit()"#),
];

/// The builtin called `name`.
///
/// ```
/// use hwtrace_lang::builtins::lookup;
/// assert_eq!(lookup("strlen").unwrap().params.len(), 1);
/// assert!(lookup("strelen").is_none());
/// ```
pub fn lookup(name: &str) -> Option<&'static Builtin> {
    BUILTINS.iter().find(|builtin| builtin.name == name)
}

/// The functions of the print family, which are no rows: their arguments
/// depend on their format.
pub static PRINT_FUNCTIONS: &[&str] = &[
    "print",
    "println",
    "printf",
    "printd",
    "printdln",
    "sprint",
    "sprintln",
    "sprintf",
    "sprintd",
    "sprintdln",
];

/// Names of all functions that a script can call.
pub fn names() -> impl Iterator<Item = &'static str> {
    let rows = BUILTINS.iter().map(|builtin| builtin.name);
    rows.chain(PRINT_FUNCTIONS.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_complete_and_unique() {
        for (at, row) in BUILTINS.iter().enumerate() {
            assert!(row.example.contains(row.name), "{} lacks in its example", row.name);
            assert!(!row.doc.is_empty() && !row.doc.ends_with('.'), "{}", row.name);
            assert!(BUILTINS[..at].iter().all(|other| other.name != row.name));
        }
    }
}
