//! The command line: what can be said, and what it means.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use hwtrace_lang::suggest;
use hwtrace_runtime::abi::Limits;

/// Who touches my data? Watches variables of running programs with the
/// processor's debug registers, and runs a script at each access.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, override_usage = USAGE)]
#[command(after_help = EXAMPLES)]
pub struct Cli {
    /// A subcommand, or else a script to run.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// A script to run.
    #[command(flatten)]
    pub script: ScriptArgs,
}

const USAGE: &str = "hwtrace [OPTIONS] SCRIPT.hwt [ARGS]...\n       \
                     hwtrace [OPTIONS] -e 'PROGRAM' [ARGS]...\n       \
                     hwtrace watch [OPTIONS] EXPR... (-p PID | -- CMD [ARGS]...)\n       \
                     hwtrace demo";

const WATCH_USAGE: &str = "hwtrace watch [OPTIONS] EXPR... (-p PID | -- CMD [ARGS]...)";

const EXAMPLES: &str = "Examples:
  hwtrace demo
  hwtrace watch counter -- ./prog
  hwtrace -e 'probe process.data(\"counter\").change { printf(\"%d -> %d\\n\", $old, $new) }' -c ./prog";

/// What to do when it is not to run a script.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watches variables and prints a table of who touched them.
    Watch(WatchArgs),
    /// Watches a small program with several threads that hwtrace brings along.
    Demo(DemoArgs),
    /// The program that `demo` watches.
    #[command(name = crate::demo::TARGET_ARGUMENT, hide = true)]
    DemoTarget,
}

/// What every way of running takes.
#[derive(Debug, Args)]
pub struct Common {
    /// Writes the output to FILE instead of standard output.
    #[arg(short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Ends after this many seconds.
    #[arg(short = 'T', value_name = "SECONDS", value_parser = seconds)]
    pub duration: Option<Duration>,
    /// What to take hits from.
    #[arg(long, value_enum, default_value_t = EngineChoice::Auto)]
    pub engine: EngineChoice,
    /// KiB of each CPU's ring; rounded up to a power of two of pages.
    #[arg(long, value_name = "KIB")]
    pub ring_size: Option<usize>,
    /// Prints errors only, not the line at the end.
    #[arg(short, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Says what is armed, and where.
    #[arg(short)]
    pub verbose: bool,
    /// Whether messages are coloured.
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
}

/// `hwtrace SCRIPT`
#[derive(Debug, Args)]
pub struct ScriptArgs {
    /// The script's text instead of a file.
    #[arg(short = 'e', value_name = "PROGRAM")]
    pub program: Option<String>,
    /// Starts CMD and watches it.
    #[arg(short, value_name = "CMD", conflicts_with = "pid")]
    pub command: Option<String>,
    /// Watches a process that runs.
    #[arg(short, visible_short_alias = 'x', value_name = "PID", value_parser = process)]
    pub pid: Option<u32>,
    /// Gives a global variable of the script another value.
    #[arg(short = 'G', value_name = "NAME=VALUE", value_parser = assignment)]
    pub globals: Vec<(String, String)>,
    /// Changes a limit: MAXACTION, MAXMAPENTRIES, MAXNESTING or MAXSTRINGLEN.
    #[arg(short = 'D', value_name = "NAME=VALUE", value_parser = assignment)]
    pub defines: Vec<(String, String)>,
    /// Prints a stage of the compiler and ends.
    #[arg(long, value_enum, value_name = "STAGE")]
    pub dump: Option<Stage>,
    /// Checks the script and ends.
    #[arg(long)]
    pub check: bool,
    /// What every way of running takes.
    #[command(flatten)]
    pub common: Common,
    /// The script's file (`-`: standard input), then its arguments.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "SCRIPT")]
    pub arguments: Vec<String>,
}

/// `hwtrace watch`
#[derive(Debug, Args)]
#[command(override_usage = WATCH_USAGE)]
pub struct WatchArgs {
    /// What to watch: a variable, variable+offset, or an address.
    #[arg(required = true, value_name = "EXPR")]
    pub expressions: Vec<String>,
    /// Watches a process that runs.
    #[arg(short, visible_short_alias = 'x', value_name = "PID", value_parser = process)]
    pub pid: Option<u32>,
    /// Which accesses are counted.
    #[arg(long, value_enum, default_value_t = ModeChoice::Rw)]
    pub mode: ModeChoice,
    /// Bytes to watch, where not the variable's own: 1, 2, 4 or 8.
    #[arg(long, value_name = "BYTES")]
    pub length: Option<u32>,
    /// What every way of running takes.
    #[command(flatten)]
    pub common: Common,
    /// Starts CMD and watches it.
    #[arg(last = true, value_name = "CMD", conflicts_with = "pid")]
    pub command: Vec<String>,
}

/// `hwtrace demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// What every way of running takes.
    #[command(flatten)]
    pub common: Common,
}

/// What to take hits from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EngineChoice {
    /// The best that works.
    Auto,
    /// Samples of perf's hardware breakpoints.
    Perf,
}

/// Whether messages are coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal.
    Auto,
    /// Yes.
    Always,
    /// No.
    Never,
}

/// Which accesses `watch` counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ModeChoice {
    /// Stores.
    Write,
    /// Stores that change the value.
    Change,
    /// Loads and stores.
    Rw,
}

/// A stage of the compiler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Stage {
    /// The script as parsed.
    Ast,
    /// The script with names and types.
    Typed,
    /// hwtrace's intermediate representation.
    Ir,
    /// Cranelift's.
    Clif,
    /// The machine's instructions.
    Asm,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: Option<f64> = text.parse().ok();
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "give seconds, as in 10 or 0.5".to_owned())
}

fn process(text: &str) -> Result<u32, String> {
    text.parse()
        .map_err(|_| "give the number of a process, as `pgrep NAME` finds it".to_owned())
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it has the form NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

const LIMITS: [&str; 4] = ["MAXACTION", "MAXMAPENTRIES", "MAXNESTING", "MAXSTRINGLEN"];

/// The limits that `-D` asks for.
///
/// # Errors
/// What is wrong with a name or value, and what would be right.
pub fn limits(defines: &[(String, String)]) -> Result<Limits, String> {
    let mut limits = Limits::default();
    for (name, value) in defines {
        let limit = match name.as_str() {
            "MAXACTION" => &mut limits.steps,
            "MAXMAPENTRIES" => &mut limits.array_entries,
            "MAXNESTING" => &mut limits.nesting,
            "MAXSTRINGLEN" => &mut limits.string_bytes,
            _ => {
                let nearest = suggest::nearest(name, LIMITS);
                let nearest = nearest.first().map_or(String::new(), |nearest| {
                    format!("; did you mean `{nearest}`?")
                });
                return Err(format!(
                    "-D knows the limits {}, not `{name}`{nearest}",
                    LIMITS.join(", ")
                ));
            }
        };
        let most = if name == "MAXSTRINGLEN" { 1 << 20 } else { 1 << 30 };
        let range = 1..=most;
        *limit = value.parse().ok().filter(|value| range.contains(value)).ok_or_else(
            || format!("{name} is a number from 1 to {most}, not `{value}`"),
        )?;
    }
    Ok(limits)
}
