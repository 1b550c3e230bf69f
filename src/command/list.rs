//! `hwtrace list`: what scripts can use.

use hwtrace::cli::ListArgs;
use hwtrace_lang::builtins::{BUILTINS, Builtin};

use super::put;

pub(crate) fn run(args: &ListArgs) -> Result<(), u8> {
    let matches = |row: &&Builtin| {
        args.pattern.as_deref().is_none_or(|pattern| row.name.contains(pattern))
    };
    let rows: Vec<_> = BUILTINS.iter().filter(matches).collect();
    put(&rows.iter().map(|row| line(row)).collect::<String>())
}

fn line(row: &Builtin) -> String {
    format!("{}\n", row.name)
}
