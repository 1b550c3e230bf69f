//! The command line: what can be said, and what it means.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Arg, ArgGroup, Args, CommandFactory, Parser, Subcommand, ValueEnum};
use hwtrace_lang::suggest;
use hwtrace_runtime::abi::Limits;
use hwtrace_runtime::plan::StackCapture;
use hwtrace_runtime::slots::CAPACITY;

use crate::engines::{self, Choice};
use crate::sharing::Sharing;
use crate::unwinding::{self, By};

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
                     hwtrace watch [OPTIONS] EXPR... (-p PID | -c CMD | -- CMD [ARGS]...)\n       \
                     hwtrace demo\n       \
                     hwtrace doctor [--json]\n       \
                     hwtrace fmt [--check] [FILE]...\n       \
                     hwtrace explain CODE\n       \
                     hwtrace list (-p PID|PATH [--locals FUNCTION] | -k | --functions) [PATTERN]\n       \
                     hwtrace completions SHELL";

const WATCH_USAGE: &str =
    "hwtrace watch [OPTIONS] EXPR... (-p PID | -c CMD | -- CMD [ARGS]...)";

const LIST_USAGE: &str = "hwtrace list [OPTIONS] -p PID|PATH [PATTERN]\n       \
                          hwtrace list [OPTIONS] -p PID|PATH --locals FUNCTION [PATTERN]\n       \
                          hwtrace list [OPTIONS] -k [PATTERN]\n       \
                          hwtrace list [OPTIONS] --functions [PATTERN]";

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
    /// Tries what works on this machine, and says what would make the rest work.
    Doctor(DoctorArgs),
    /// Writes scripts in the house style.
    Fmt(FmtArgs),
    /// Explains an error of hwtrace by its code.
    Explain(ExplainArgs),
    /// Lists what scripts can use: data of programs and of the kernel, functions.
    List(ListArgs),
    /// Writes what makes a shell complete hwtrace's command line.
    Completions(CompletionsArgs),
}

/// What every way of running takes.
#[derive(Debug, Args)]
pub struct Common {
    /// Writes the output to FILE instead of standard output.
    #[arg(short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Ends after this many seconds.
    #[arg(short = 'T', value_name = "SECONDS", value_parser = seconds, allow_hyphen_values = true)]
    pub duration: Option<Duration>,
    /// What to take hits from.
    #[arg(long, value_name = "ENGINE", default_value = "auto", env = "HWTRACE_ENGINE")]
    #[arg(value_parser = engine(), hide_env = true)]
    pub engine: Choice,
    /// KiB of each CPU's ring; rounded up to a power of two of pages.
    #[arg(long, value_name = "KIB")]
    pub ring_size: Option<usize>,
    /// By what the stacks of the target's threads are walked.
    #[arg(long, value_enum, default_value_t = By::Auto, value_name = "HOW")]
    pub stacks: By,
    /// Bytes of a stack that are copied at a hit at most, where it is walked by them.
    #[arg(long, value_name = "BYTES", default_value_t = unwinding::BYTES)]
    #[arg(value_parser = stack_bytes, allow_hyphen_values = true)]
    pub stack_bytes: u32,
    /// What is done where there are more watches than registers.
    #[command(flatten)]
    pub sharing: SharingArgs,
    /// Prints errors only, not the line at the end.
    #[arg(short, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Says what is armed, and where.
    #[arg(short)]
    pub verbose: bool,
    /// Whether messages are coloured.
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
    /// The form of messages: for people, or a JSON object a line for programs.
    #[arg(long, value_enum, default_value_t = MessageFormat::Human, value_name = "FORMAT")]
    pub message_format: MessageFormat,
}

/// What is done where there are more watches than registers.
#[derive(Debug, Args)]
pub struct SharingArgs {
    /// How long a watch has a register at least, where they take turns: milliseconds, from
    /// 0.5 on.
    #[arg(long, value_name = "MS", default_value = "10", value_parser = slice, allow_hyphen_values = true)]
    pub slice: Duration,
    /// Fails where there are more watches than registers, instead of taking turns.
    #[arg(long)]
    pub no_rotate: bool,
    /// Takes no more than so many debug registers of each thread, 1 to 4, and leaves the
    /// rest to a debugger or another hwtrace.
    #[arg(long, value_name = "N", value_parser = registers, allow_hyphen_values = true)]
    pub registers: Option<usize>,
    /// Leaves threads out that have no free register, instead of failing.
    #[arg(long)]
    pub partial: bool,
    /// Watches what is hit too often part of the time, so that hits take no more than
    /// this share of a processor's time: 5%, and 0.1% at least.
    #[arg(long, value_name = "PERCENT", value_parser = percent, allow_hyphen_values = true)]
    pub max_overhead: Option<f64>,
}

impl SharingArgs {
    /// What they mean.
    pub fn sharing(&self) -> Sharing {
        Sharing {
            rotate: !self.no_rotate,
            slice: self.slice,
            registers: self.registers,
            partial: self.partial,
            max_overhead: self.max_overhead,
        }
    }
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
    /// Allows functions that act on the system: `system()`.
    #[arg(long = "unsafe")]
    pub allow_unsafe: bool,
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
    /// What to watch: a variable, a member or element, elements from one to another as in
    /// 'table[0..64].refs', variable+offset, or an address.
    #[arg(required = true, value_name = "EXPR")]
    pub expressions: Vec<String>,
    /// Watches a process that runs.
    #[arg(short, visible_short_alias = 'x', value_name = "PID", value_parser = process)]
    pub pid: Option<u32>,
    /// Which accesses are counted.
    #[arg(long, value_enum, default_value_t = ModeChoice::Rw)]
    pub mode: ModeChoice,
    /// Bytes to watch, where not the variable's own.
    #[arg(long, value_name = "BYTES")]
    pub length: Option<u32>,
    /// Moves the watch when a pointer on the way to the data changes.
    #[arg(long)]
    pub follow: bool,
    /// The form of what is printed at the end.
    #[arg(short, long, value_enum, default_value_t = ReportFormat::Human)]
    #[arg(value_name = "FORMAT")]
    pub format: ReportFormat,
    /// What every way of running takes.
    #[command(flatten)]
    pub common: Common,
    /// Starts CMD, one argument as for a script, and watches it.
    #[arg(short = 'c', value_name = "CMD", conflicts_with_all = ["pid", "command"])]
    pub line: Option<String>,
    /// Starts CMD and watches it.
    #[arg(last = true, value_name = "CMD", conflicts_with = "pid")]
    pub command: Vec<String>,
}

/// `hwtrace demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// The form of what is printed at the end.
    #[arg(short, long, value_enum, default_value_t = ReportFormat::Human)]
    #[arg(value_name = "FORMAT")]
    pub format: ReportFormat,
    /// What every way of running takes.
    #[command(flatten)]
    pub common: Common,
}

/// `hwtrace doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Prints a JSON object: `usable`, and `findings` with `group`, `name`, `state` (ok,
    /// part or no), `why`, `what_for` and `help`.
    #[arg(long)]
    pub json: bool,
}

/// `hwtrace fmt`
#[derive(Debug, Args)]
pub struct FmtArgs {
    /// Changes nothing; fails where a file is not in the house style.
    #[arg(long)]
    pub check: bool,
    /// The scripts, changed in place; without any, or with `-`, standard input
    /// goes to standard output.
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// `hwtrace explain`
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The code, as E0101.
    #[arg(value_name = "CODE")]
    pub code: String,
}

/// `hwtrace list`
#[derive(Debug, Args)]
#[command(override_usage = LIST_USAGE)]
#[command(group = ArgGroup::new("what").required(true))]
pub struct ListArgs {
    /// The data of a process that runs, or of a program or library.
    #[arg(short, visible_short_alias = 'x', value_name = "PID|PATH", group = "what")]
    pub process: Option<String>,
    /// The parameters and local variables of functions, and where they are.
    #[arg(long, value_name = "FUNCTION", requires = "process")]
    #[arg(conflicts_with_all = ["kernel", "functions"])]
    pub locals: Option<String>,
    /// The data of the kernel; `task.…` are the members that kernel.task(PID) has.
    #[arg(short, group = "what")]
    pub kernel: bool,
    /// The functions that scripts can call.
    #[arg(long, group = "what")]
    pub functions: bool,
    /// Says what was left out.
    #[arg(short)]
    pub verbose: bool,
    /// The form of what is listed.
    #[arg(long, value_enum, default_value_t = ListFormat::Human, value_name = "FORMAT")]
    pub format: ListFormat,
    /// Only names that match: `*` stands for anything within a name, `**` also goes
    /// into members and elements. 'libz.so*:*' is data of libraries.
    #[arg(value_name = "PATTERN")]
    pub pattern: Option<String>,
}

/// `hwtrace completions`
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: ShellChoice,
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

/// The form of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MessageFormat {
    /// Text with the marked lines of the script.
    Human,
    /// A JSON object a line.
    Json,
}

/// The form of what `watch` prints at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// Tables.
    Human,
    /// One JSON object.
    Json,
}

/// The form of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// Columns.
    Human,
    /// A JSON object a line.
    Json,
    /// A name a line.
    Names,
}

/// A shell that can complete command lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ShellChoice {
    /// GNU Bash.
    Bash,
    /// The Z shell.
    Zsh,
    /// The friendly interactive shell.
    Fish,
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
    /// Loads.
    Read,
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
    /// What is done at the hit itself.
    Plan,
    /// Cranelift's.
    Clif,
    /// The machine's instructions.
    Asm,
}

/// The arguments with values that are stuck to options (`-DMAXACTION=9`, as
/// SystemTap's users write) taken apart. The positional arguments may begin
/// with a hyphen, so that clap takes such a one for the script.
pub fn apart(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let command = Cli::command();
    let takes_value = |wanted: &dyn Fn(&Arg) -> bool| {
        let option = command.get_arguments().find(|arg| wanted(arg));
        option.map(|option| option.get_action().takes_values())
    };
    let short = |letter: u8| {
        let letters = |arg: &Arg| arg.get_short_and_visible_aliases().unwrap_or_default();
        takes_value(&|arg| letters(arg).contains(&char::from(letter)))
    };
    let long = |name: &[u8]| {
        takes_value(&|arg| arg.get_long().is_some_and(|own| own.as_bytes() == name))
    };
    let mut arguments = arguments.into_iter();
    let mut out: Vec<_> = arguments.next().into_iter().collect();
    while let Some(argument) = arguments.next() {
        match argument.as_bytes() {
            [b'-', option, rest @ ..] if short(*option) == Some(true) => {
                out.push(OsStr::from_bytes(&[b'-', *option]).to_owned());
                let value = OsStr::from_bytes(rest).to_owned();
                let stuck = Some(value).filter(|value| !value.is_empty());
                out.extend(stuck.or_else(|| arguments.next()));
            }
            [b'-', flags @ ..]
                if !flags.is_empty()
                    && flags.iter().all(|flag| short(*flag) == Some(false)) =>
            {
                out.extend(
                    flags.iter().map(|flag| OsStr::from_bytes(&[b'-', *flag]).into()),
                );
            }
            [b'-', b'-', name @ ..] if !name.is_empty() => {
                // A long option's value stands behind it, unless behind `=`.
                let takes = long(name) == Some(true);
                out.push(argument);
                out.extend(takes.then(|| arguments.next()).flatten());
            }
            // A script, a command, or `--`: what follows is not hwtrace's.
            _ => {
                out.push(argument);
                break;
            }
        }
    }
    out.extend(arguments);
    out
}

/// The engines by name, and `auto`, the best that works.
fn engine() -> impl TypedValueParser<Value = Choice> {
    let of = |row: &engines::Row| PossibleValue::new(row.name).help(row.what);
    let auto = PossibleValue::new("auto").help("The best that works");
    let all = std::iter::once(auto).chain(engines::ENGINES.iter().map(of));
    PossibleValuesParser::new(all)
        .try_map(|name| Choice::named(&name).ok_or_else(|| format!("no engine `{name}`")))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: Option<f64> = text.parse().ok();
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "give seconds, as in 10 or 0.5".to_owned())
}

fn slice(text: &str) -> Result<Duration, String> {
    let milliseconds: Option<f64> = text.parse().ok();
    let slice = milliseconds.map(|it| Duration::try_from_secs_f64(it / 1000.0));
    let slice = slice.and_then(Result::ok).filter(|slice| SLICES.contains(slice));
    slice.ok_or_else(|| "give milliseconds, from 0.5 to 60000".to_owned())
}

fn registers(text: &str) -> Result<usize, String> {
    let registers = text.parse().ok().filter(|it| (1..=CAPACITY).contains(it));
    registers.ok_or_else(|| format!("give a number of registers, from 1 to {CAPACITY}"))
}

/// Shorter turns are taken up by passing registers on.
const SLICES: std::ops::RangeInclusive<Duration> =
    Duration::from_micros(500)..=Duration::from_secs(60);

/// What hits may be kept to: a few of them, and looking at how many there are, take some.
const PERCENTS: std::ops::RangeInclusive<f64> = 0.1..=100.0;

/// A share, given in percent.
fn percent(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.trim_end_matches('%').parse().ok();
    let is_allowed = |percent: &f64| PERCENTS.contains(percent);
    if let Some(share) = number.filter(|share| *share < 1.0 && !text.ends_with('%')) {
        // Of 0.5 nobody knows what it is.
        let ways = [share, (share * 1e6).round() / 1e4].into_iter().filter(is_allowed);
        let ways: Vec<_> = ways.map(|percent| format!("{percent}%")).collect();
        if !ways.is_empty() {
            let ways = ways.join(" or ");
            return Err(format!("{share} may be a share or percent: write {ways}"));
        }
    }
    let percent = number.filter(is_allowed).ok_or_else(|| {
        format!(
            "give {} percent at least, and {} at most, as in 5%",
            PERCENTS.start(),
            PERCENTS.end()
        )
    });
    percent.map(|percent| percent / 100.0)
}

fn stack_bytes(text: &str) -> Result<u32, String> {
    let most = StackCapture::BYTES_MAX;
    let bytes = text.parse().ok();
    let fits = |bytes: &u32| (8..=most).contains(bytes) && bytes.is_multiple_of(8);
    bytes.filter(fits).ok_or_else(|| {
        format!("give bytes, a multiple of 8 from 8 to {most}, which a sample can hold")
    })
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
        let most = match name.as_str() {
            "MAXSTRINGLEN" => 1 << 20,
            "MAXNESTING" => 1000,
            _ => 1 << 30,
        };
        let range = 1..=most;
        *limit = value.parse().ok().filter(|value| range.contains(value)).ok_or_else(
            || format!("{name} is a number from 1 to {most}, not `{value}`"),
        )?;
    }
    Ok(limits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn apart_is(given: &str, wanted: &str) {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert_eq!(apart(words(given)), words(wanted));
    }

    #[test]
    fn values_are_taken_from_their_options() {
        apart_is("h -DMAXACTION=5 -e x -T0.5", "h -D MAXACTION=5 -e x -T 0.5");
        apart_is("h -D MAXACTION=5 -qv -c./a s", "h -D MAXACTION=5 -q -v -c ./a s");
        apart_is("h --dump ir -p7 s", "h --dump ir -p 7 s");
        apart_is("h --color=never --unsafe -Gn=1 s", "h --color=never --unsafe -G n=1 s");
    }

    #[test]
    fn what_is_not_hwtraces_stays_as_it_is() {
        apart_is("h s.hwt -DX=1 -p7", "h s.hwt -DX=1 -p7");
        apart_is("h -e -DX=1 -T5", "h -e -DX=1 -T 5");
        apart_is("h watch x -- -p7", "h watch x -- -p7");
        apart_is("h - -p7", "h - -p7");
        apart_is("h -e", "h -e");
    }
}
