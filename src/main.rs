//! The command `hwtrace`.
//!
//! Output of scripts and tables goes to standard output, everything else to
//! standard error. Exit status: 0; 1 for a failure at run time; 2 for wrong
//! usage and scripts that do not compile.

mod command;
mod messages;

use std::process::ExitCode;

use clap::Parser;
use command::{completions, doctor, explain, fmt, list, script, watch};
use hwtrace::cli::{self, Cli, Command};
use hwtrace::rights;
use hwtrace_runtime::kernel::linux::Linux;

/// The programs of our own that are watched, by the argument that makes hwtrace one.
const TARGETS: [(&str, fn()); 2] = [
    (hwtrace::demo::TARGET_ARGUMENT, hwtrace::demo::run_target),
    (hwtrace::doctor::TARGET_ARGUMENT, hwtrace::doctor::run_target),
];

fn main() -> ExitCode {
    // Before anything is read that is not ours.
    if let Err(errno) = rights::keep_useful(&Linux) {
        eprintln!("hwtrace: error: capabilities can not be given up: {errno}");
        return ExitCode::from(command::RUN_TIME);
    }
    // Before anything that takes long where its instructions are executed one by one.
    if let Some(argument) = std::env::args_os().nth(1)
        && let Some((_, run)) = TARGETS.iter().find(|(name, _)| argument == *name)
    {
        run();
        return ExitCode::SUCCESS;
    }
    let cli = Cli::parse_from(cli::apart(std::env::args_os()));
    let status = match cli.command {
        Some(Command::Watch(args)) => watch::run(&args),
        Some(Command::Demo(args)) => watch::demo(&args),
        Some(Command::Doctor(args)) => doctor::run(&args),
        Some(Command::Fmt(args)) => fmt::run(&args),
        Some(Command::Explain(args)) => explain::run(&args),
        Some(Command::List(args)) => list::run(&args),
        Some(Command::Completions(args)) => completions::run(&args),
        None => script::run(&cli.script),
    };
    match status {
        Ok(()) => ExitCode::SUCCESS,
        Err(status) => ExitCode::from(status),
    }
}
