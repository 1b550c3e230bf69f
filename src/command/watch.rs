//! `hwtrace watch` and `hwtrace demo`: a table of who touched the data.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::rc::Rc;

use hwtrace::cli::{Common, DemoArgs, ModeChoice, ReportFormat, WatchArgs};
use hwtrace::engines::Choice;
use hwtrace::names::Names;
use hwtrace::target::Target;
use hwtrace::watch::{Form, Watcher};
use hwtrace::{demo, environment};
use hwtrace_lang::span::Source;
use hwtrace_probes::expr::Expression;
use hwtrace_probes::spec::{DataSpec, Mode, Only, ProcessRef};

use terminal_size::{Width, terminal_size_of};

use super::started::started;
use super::{RUN_TIME, USAGE, trace};
use crate::messages::Messages;

pub(crate) fn run(args: &WatchArgs) -> Result<(), u8> {
    let messages = Messages::new(&args.common, Source::new("<command line>", ""));
    let mode = match args.mode {
        ModeChoice::Write => Mode::Write,
        ModeChoice::Change => Mode::Change,
        ModeChoice::Rw => Mode::ReadWrite,
        ModeChoice::Read => Mode::Read,
    };
    let mut watched = Vec::new();
    for text in &args.expressions {
        match Expression::parse(text) {
            Ok(expression) => {
                let WatchArgs { length, follow, .. } = *args;
                let process = ProcessRef::Target;
                let (only, pinned) = (Only::default(), false);
                watched.push(DataSpec {
                    process,
                    expression,
                    length,
                    mode,
                    only,
                    pinned,
                    follow,
                });
            }
            Err(error) => {
                let diagnostic = environment::explain_expression(&error, None);
                let mut diagnostic = diagnostic.note(format!("in `{text}`"));
                if Path::new(text).is_file() {
                    let help =
                        format!("if this is the program, put `--` before it: -- {text}");
                    diagnostic = diagnostic.help(help);
                }
                messages.diagnostics(&[diagnostic]);
                return Err(USAGE);
            }
        }
    }
    let target = target(args).map_err(|text| messages.usage(&text))?;
    watch(&watched, &target, args.format, &messages)
}

fn target(args: &WatchArgs) -> Result<Target, String> {
    match (args.pid, &args.line) {
        (Some(pid), _) => Ok(Target::Process(pid)),
        (None, Some(line)) => started(line),
        (None, None) if args.command.is_empty() => {
            let text = "watch needs a process: name one that runs with `-p PID`, or start \
                        one with `-- CMD` behind the expressions";
            Err(text.to_owned())
        }
        (None, None) => Ok(Target::Command(args.command.clone())),
    }
}

pub(crate) fn demo(args: &DemoArgs) -> Result<(), u8> {
    let messages = Messages::new(&args.common, Source::new("<command line>", ""));
    let own = std::env::current_exe().map_err(|error| {
        messages.error(&format!("cannot find the program itself: {error}"));
        RUN_TIME
    })?;
    if matches!(args.common.engine, Choice::Only(row) if row.name == "step")
        && !args.common.quiet
    {
        messages.line(
            "the program's instructions are executed one by one: this takes a minute",
        );
    }
    let own = own.to_string_lossy().into_owned();
    let target = Target::Command(vec![own, demo::TARGET_ARGUMENT.to_owned()]);
    watch(&[demo::watched()], &target, args.format, &messages)
}

fn watch(
    watched: &[DataSpec],
    target: &Target,
    format: ReportFormat,
    messages: &Messages<'_>,
) -> Result<(), u8> {
    let names = Rc::new(Names::of(target));
    let out =
        trace::open_output(messages.common).map_err(|text| messages.usage(&text))?;
    let form = match format {
        ReportFormat::Human => Form::Tables { width: table_width(messages.common) },
        ReportFormat::Json => Form::Json,
    };
    let watcher = Watcher::new(watched, &names, form, Box::new(out.clone()));
    let mut watcher = watcher.map_err(|refused| {
        messages.diagnostics(&[*refused]);
        USAGE
    })?;
    trace::run(&mut watcher, (target, names), &out, messages)
}

/// Columns of a table: the terminal's; elsewhere what COLUMNS says, or what holds most tables
/// without cuts.
fn table_width(common: &Common) -> usize {
    const TERMINAL: usize = 80;
    const ELSEWHERE: usize = 160;
    let shown = common.output.is_none() && io::stdout().is_terminal();
    let told = || std::env::var("COLUMNS").ok()?.parse().ok();
    let terminal = terminal_size_of(io::stdout()).filter(|_| shown);
    let columns = terminal.map(|(Width(columns), _)| columns.into()).or_else(told);
    columns.unwrap_or(if shown { TERMINAL } else { ELSEWHERE })
}
