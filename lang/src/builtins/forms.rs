//! What looks like a function and is none to the type checker: the print
//! family, whose arguments depend on a format, and the `@` operators, whose
//! argument is no value. Here for the listing and the reference.

use super::Available::{self, Everywhere};

/// A print function or an `@` operator.
#[derive(Debug, PartialEq, Eq)]
pub struct Form {
    /// Name in scripts, with its `@`.
    pub name: &'static str,
    /// How it is written.
    pub signature: &'static str,
    /// Whether it is there, and if not, what works instead.
    pub available: Available,
    /// What it gives or does: a part of a sentence.
    pub doc: &'static str,
    /// A line of hwt that uses it. It may use the globals `s`, statistics, and
    /// `n`, a long.
    pub example: &'static str,
}

const fn form(
    name: &'static str,
    signature: &'static str,
    doc: &'static str,
    example: &'static str,
) -> Form {
    Form { name, signature, available: Everywhere, doc, example }
}

/// The functions of the print family.
#[rustfmt::skip]
pub static PRINT_FUNCTIONS: &[Form] = &[
    form("print", "print(value, …)",
        "prints values one behind the other, or a histogram", "print(n)"),
    form("println", "println([value, …])",
        "prints values one behind the other, or a histogram, and ends the line", "println(execname())"),
    form("printf", "printf(format, value, …)",
        "prints values as the format, a literal, has it; each directive is checked against its value",
        r#"printf("%s: %5d\n", execname(), n)"#),
    form("printd", "printd(delimiter, value, …)",
        "prints values with the delimiter, a literal, between them", r#"printd(",", pid(), n)"#),
    form("printdln", "printdln(delimiter, value, …)",
        "prints values with the delimiter, a literal, between them, and ends the line", r#"printdln(",", pid(), n)"#),
    form("sprint", "sprint(value, …) : string",
        "what print would print, as a string", "log(sprint(n))"),
    form("sprintln", "sprintln([value, …]) : string",
        "what println would print, as a string", "print(sprintln(n))"),
    form("sprintf", "sprintf(format, value, …) : string",
        "what printf would print, as a string", r#"log(sprintf("%08x", n))"#),
    form("sprintd", "sprintd(delimiter, value, …) : string",
        "what printd would print, as a string", r#"log(sprintd(",", pid(), n))"#),
    form("sprintdln", "sprintdln(delimiter, value, …) : string",
        "what printdln would print, as a string", r#"print(sprintdln(",", pid(), n))"#),
];

/// The `@` operators.
#[rustfmt::skip]
pub static OPERATORS: &[Form] = &[
    form("@count", "@count(statistics) : long",
        "number of values that were added with `<<<`", "println(@count(s))"),
    form("@sum", "@sum(statistics) : long",
        "sum of the values", "println(@sum(s))"),
    form("@min", "@min(statistics) : long",
        "least value; an error where there is none", "if (@count(s)) println(@min(s))"),
    form("@max", "@max(statistics) : long",
        "greatest value; an error where there is none", "if (@count(s)) println(@max(s))"),
    form("@avg", "@avg(statistics) : long",
        "average of the values, rounded towards 0; an error where there is none", "if (@count(s)) println(@avg(s))"),
    form("@variance", "@variance(statistics [, shift]) : long",
        "variance of the values; with a shift computed on values scaled up by so many bits", "if (@count(s)) println(@variance(s))"),
    form("@p50", "@p50(statistics) : long",
        "median: half of the values are at most this", "if (@count(s)) println(@p50(s))"),
    form("@p90", "@p90(statistics) : long",
        "90 of 100 values are at most this", "if (@count(s)) println(@p90(s))"),
    form("@p99", "@p99(statistics) : long",
        "99 of 100 values are at most this", "if (@count(s)) println(@p99(s))"),
    form("@percentile", "@percentile(statistics, percentage) : long",
        "so many of 100 values are at most this", "if (@count(s)) println(@percentile(s, 99.9))"),
    form("@hist_log", "@hist_log(statistics)",
        "histogram with buckets of powers of 2: to print, to index, to walk", "print(@hist_log(s))"),
    form("@hist_linear", "@hist_linear(statistics, low, high, width)",
        "histogram with buckets of one width, which are literals: to print, to index, to walk", "print(@hist_linear(s, 0, 100, 10))"),
    form("@defined", "@defined(expression)",
        "1 where the variable or function is known at this probe point, else 0; decided when the script is checked", "if (@defined($new)) n = $new"),
    form("@cast", "@cast(value, \"type\" [, \"module\"])",
        "a value as of a type of the target; of a structure's type a pointer to one", r#"n = @cast(data_addr(), "struct node")->key"#),
    form("@var", "@var(\"name\" [, \"module\"])",
        "a global variable of the target, as it is now", r#"n = @var("counter")"#),
    form("@enum", "@enum(\"name\" [, \"module\"])",
        "the value of an enumerator of the target", r#"n = @enum("RED")"#),
];

/// Names of the operators without their `@`.
pub(crate) fn operator_names() -> impl Iterator<Item = &'static str> {
    OPERATORS.iter().map(|form| form.name.trim_start_matches('@'))
}

/// Whether a function is of the print family.
pub fn is_print(name: &str) -> bool {
    PRINT_FUNCTIONS.iter().any(|form| form.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_complete() {
        for row in PRINT_FUNCTIONS.iter().chain(OPERATORS) {
            let call = format!("{}(", row.name);
            assert!(row.signature.starts_with(&call), "{}", row.name);
            assert!(row.example.contains(&call), "{}", row.name);
            assert!(!row.doc.is_empty() && !row.doc.ends_with('.'), "{}", row.name);
        }
    }
}
