//! `hwtrace completions SHELL`: what a shell needs to complete the command line. The
//! options are clap's; names of data come from `hwtrace list` itself.

use clap::CommandFactory;
use clap_complete::{Shell, generate};
use hwtrace::cli::{Cli, CompletionsArgs, ShellChoice};

use super::put;

/// Completes names of data; stands behind what clap writes.
const BASH: &str = include_str!("completions/data.bash");
const ZSH: &str = include_str!("completions/data.zsh");
const FISH: &str = include_str!("completions/data.fish");

pub(crate) fn run(args: &CompletionsArgs) -> Result<(), u8> {
    let (shell, data) = match args.shell {
        ShellChoice::Bash => (Shell::Bash, BASH),
        ShellChoice::Zsh => (Shell::Zsh, ZSH),
        ShellChoice::Fish => (Shell::Fish, FISH),
    };
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "hwtrace", &mut script);
    put(&format!("{}\n{data}", String::from_utf8_lossy(&script)))
}
