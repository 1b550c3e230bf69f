//! The command `hwtrace`.
//!
//! Output of scripts and tables goes to standard output, everything else to
//! standard error. Exit status: 0; 1 for a failure at run time; 2 for wrong
//! usage and scripts that do not compile.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;

use anstream::AutoStream;
use clap::Parser;
use hwtrace::cli::{
    self, Cli, Color, Command, Common, DemoArgs, ModeChoice, ScriptArgs, Stage, WatchArgs,
};
use hwtrace::handlers::Handlers;
use hwtrace::output::Output;
use hwtrace::pipeline::{Compiled, InternalError, Parsed, Refused};
use hwtrace::session::{Consumer, Failure, Options, Session, Summary};
use hwtrace::target::Target;
use hwtrace::watch::{Watched, Watcher};
use hwtrace::{demo, environment, render, report};
use hwtrace_lang::code::Code;
use hwtrace_lang::diagnostic::Diagnostic;
use hwtrace_lang::span::Source;
use hwtrace_lang::suggest;
use hwtrace_probes::expr::Expression;
use hwtrace_probes::spec::Mode;
use hwtrace_runtime::kernel::linux::Linux;

/// A failure at run time.
const RUN_TIME: u8 = 1;
/// Wrong usage, or a script that does not compile.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let status = match cli.command {
        Some(Command::Watch(args)) => run_watch(&args),
        Some(Command::Demo(args)) => run_demo(&args),
        Some(Command::DemoTarget) => {
            demo::run_target();
            Ok(())
        }
        None => run_script(&cli.script),
    };
    match status {
        Ok(()) => ExitCode::SUCCESS,
        Err(status) => ExitCode::from(status),
    }
}

/// Standard error, and how it is written.
struct Messages<'a> {
    common: &'a Common,
    source: Source,
}

impl<'a> Messages<'a> {
    fn new(common: &'a Common, source: Source) -> Self {
        Self { common, source }
    }

    fn styled(&self) -> bool {
        match self.common.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
            }
        }
    }

    fn line(&self, text: &str) {
        // Standard error is the last resort: where it fails nobody listens.
        let _ = writeln!(io::stderr(), "hwtrace: {text}");
    }

    fn diagnostics(&self, diagnostics: &[Diagnostic]) {
        let styled = self.styled();
        let texts: Vec<_> = diagnostics
            .iter()
            .map(|diagnostic| render::diagnostic(diagnostic, &self.source, styled))
            .collect();
        let _ = writeln!(io::stderr(), "{}", texts.join("\n\n"));
    }

    fn failure(&self, failure: &Failure) {
        match failure {
            Failure::Diagnosed(diagnostics) => self.diagnostics(diagnostics),
            other => self.line(&format!("error: {other}")),
        }
    }

    fn usage(&self, text: &str) -> u8 {
        self.line(&format!("error: {text}"));
        self.line("try `hwtrace --help`");
        USAGE
    }

    fn end(&self, summary: &Summary) {
        if self.common.quiet {
            return;
        }
        for remark in report::remarks(summary) {
            self.line(&remark);
        }
        self.line(&report::summary_line(summary));
    }
}

fn run_script(args: &ScriptArgs) -> Result<(), u8> {
    let (source, arguments) = read_script(args)?;
    let messages = Messages::new(&args.common, source.clone());
    let limits = cli::limits(&args.defines).map_err(|text| messages.usage(&text))?;
    let refused = |refused: Refused| {
        if let Some(text) = misplaced(&refused.diagnostics, &arguments) {
            return messages.usage(&text);
        }
        messages.diagnostics(&refused.diagnostics);
        USAGE
    };
    let internal = |error: InternalError| {
        messages.line(&format!("error: {error}"));
        RUN_TIME
    };
    let parsed = Parsed::parse(source, &arguments).map_err(refused)?;
    if args.dump == Some(Stage::Ast) {
        return dump(&parsed.script().to_string());
    }
    let checked = parsed.check(&args.globals).map_err(refused)?;
    if args.dump == Some(Stage::Typed) {
        return dump(&checked.program().to_string());
    }
    let lowered = checked.lower(&limits).map_err(internal)?;
    if args.dump == Some(Stage::Ir) {
        return dump(&lowered.module().to_string());
    }
    let compiled = lowered.compile(args.dump.is_some()).map_err(internal)?;
    if let Some(stage) = args.dump {
        return dump(&listing(&compiled, stage));
    }
    if args.check {
        return Ok(());
    }
    let target = target_of_script(args).map_err(|text| messages.usage(&text))?;
    let out = open_output(&args.common).map_err(|text| messages.usage(&text))?;
    let mut handlers = Handlers::new(&compiled, Box::new(out.clone()));
    run(&mut handlers, &target, &out, &messages)
}

fn read_script(args: &ScriptArgs) -> Result<(Source, Vec<String>), u8> {
    let nowhere = Messages::new(&args.common, Source::new("", ""));
    if let Some(program) = &args.program {
        return Ok((
            Source::new("<command line>", program.clone()),
            args.arguments.clone(),
        ));
    }
    let Some((name, arguments)) = args.arguments.split_first() else {
        return Err(
            nowhere.usage("there is no script: give a file, or a program with -e")
        );
    };
    if name.len() > 1 && name.starts_with('-') {
        return Err(nowhere.usage(&format!("there is no option `{name}`")));
    }
    let mut bytes = Vec::new();
    let read = match name.as_str() {
        "-" => io::stdin().read_to_end(&mut bytes).map(|_| "<standard input>"),
        file => File::open(file)
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .map(|_| file),
    };
    let unusable = |text: String| {
        nowhere.line(&format!("error: {text}"));
        USAGE
    };
    let name = read.map_err(|error| {
        unusable(format!("cannot read `{name}`: {error}{}", not_a_file(name)))
    })?;
    let text = String::from_utf8(bytes)
        .map_err(|error| unusable(format!("`{name}` is no text: {error}")))?;
    Ok((Source::new(name, text), arguments.to_vec()))
}

/// What is wrong where arguments are left over that were not meant for the
/// script.
fn misplaced(diagnostics: &[Diagnostic], arguments: &[String]) -> Option<String> {
    if !diagnostics.iter().all(|diagnostic| diagnostic.code == Code::LeftOverArgument) {
        return None;
    }
    if let Some(option) = arguments.iter().find(|argument| argument.starts_with('-')) {
        return Some(format!(
            "`{option}` stands behind the script, where its arguments are: put options before it"
        ));
    }
    let first = arguments.first().filter(|first| Path::new(first).is_file())?;
    Some(format!("the script has no use for `{first}`: to start it, write -c '{first}'"))
}

/// Why a script's name may be no file.
fn not_a_file(name: &str) -> String {
    const COMMANDS: [&str; 2] = ["watch", "demo"];
    if COMMANDS.contains(&name) {
        return format!("; options of `{name}` go behind it: `hwtrace {name} …`");
    }
    match suggest::nearest(name, COMMANDS).first() {
        Some(nearest) => format!("; did you mean `hwtrace {nearest}`?"),
        None => String::new(),
    }
}

fn target_of_script(args: &ScriptArgs) -> Result<Target, String> {
    if let Some(pid) = args.pid {
        return Ok(Target::Process(pid));
    }
    let Some(command) = &args.command else {
        return Ok(Target::None);
    };
    match shlex::split(command) {
        Some(words) => Ok(Target::Command(words)),
        None => Err(format!("the quotes in `-c {command}` are not closed")),
    }
}

fn run_watch(args: &WatchArgs) -> Result<(), u8> {
    let messages = Messages::new(&args.common, Source::new("<command line>", ""));
    let mode = match args.mode {
        ModeChoice::Write => Mode::Write,
        ModeChoice::Change => Mode::Change,
        ModeChoice::Rw => Mode::ReadWrite,
    };
    let mut watched = Vec::new();
    for text in &args.expressions {
        match Expression::parse(text) {
            Ok(expression) => {
                watched.push(Watched { expression, length: args.length, mode });
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
    let target = match args.pid {
        Some(pid) => Target::Process(pid),
        None if args.command.is_empty() => {
            let text = "watch needs a process: name one that runs with `-p PID`, or start \
                        one with `-- CMD` behind the expressions";
            return Err(messages.usage(text));
        }
        None => Target::Command(args.command.clone()),
    };
    watch(watched, &target, &messages)
}

fn run_demo(args: &DemoArgs) -> Result<(), u8> {
    let messages = Messages::new(&args.common, Source::new("<command line>", ""));
    let own = std::env::current_exe().map_err(|error| {
        messages.line(&format!("error: cannot find the program itself: {error}"));
        RUN_TIME
    })?;
    let own = own.to_string_lossy().into_owned();
    let target = Target::Command(vec![own, demo::TARGET_ARGUMENT.to_owned()]);
    watch(vec![demo::watched()], &target, &messages)
}

fn watch(
    watched: Vec<Watched>,
    target: &Target,
    messages: &Messages<'_>,
) -> Result<(), u8> {
    let out = open_output(messages.common).map_err(|text| messages.usage(&text))?;
    let width = table_width(messages.common);
    let mut watcher = Watcher::new(watched, width, Box::new(out.clone()));
    run(&mut watcher, target, &out, messages)
}

fn run<C: Consumer>(
    consumer: &mut C,
    target: &Target,
    out: &Output,
    messages: &Messages<'_>,
) -> Result<(), u8> {
    let options = Options {
        duration: messages.common.duration,
        ring_bytes: messages.common.ring_size.map(|kib| kib.saturating_mul(1024)),
    };
    let session = Session::arm(consumer, target, options).map_err(|failure| {
        messages.failure(&failure);
        status_of(&failure)
    })?;
    for location in session.locations().iter().filter(|location| !location.mapped) {
        messages.line(&format!(
            "warning: nothing is mapped at {}: it is watched, should memory come there",
            location.address
        ));
    }
    if messages.common.verbose {
        for location in session.locations() {
            messages.line(&format!("watching {}", report::title(location)));
        }
        messages.line(&report::armed_line(session.armed()));
    }
    let (mut summary, ended) = session.run();
    summary.remarks.extend(out.remark());
    if out.silences_messages() {
        return ended.map_err(|_| RUN_TIME);
    }
    if let Err(failure) = &ended {
        messages.failure(failure);
    }
    messages.end(&summary);
    ended.map_err(|_| RUN_TIME)
}

/// The exit status where nothing could be armed: wrong usage, unless it is the
/// machine that refuses what is rightly asked.
fn status_of(failure: &Failure) -> u8 {
    let refused = |diagnostic: &Diagnostic| {
        matches!(
            diagnostic.code,
            Code::PermissionDenied
                | Code::NoFreeRegister
                | Code::TargetExited
                | Code::LimitReached
                | Code::UnsupportedMachine
                | Code::ArmingFailed
        )
    };
    match failure {
        Failure::Diagnosed(diagnostics) if !diagnostics.iter().any(refused) => USAGE,
        _ => RUN_TIME,
    }
}

fn open_output(common: &Common) -> Result<Output, String> {
    let unusable = |name: &dyn std::fmt::Display, error: io::Error| {
        format!("cannot write {name}: {error}")
    };
    let Some(path) = &common.output else {
        return Output::standard(Rc::new(Linux))
            .map_err(|error| unusable(&"standard output", error));
    };
    File::create(path)
        .and_then(|file| Output::new(Rc::new(Linux), file))
        .map_err(|error| unusable(&format!("`{}`", path.display()), error))
}

/// Columns of a table: the terminal's, and 80 in a pipe or a file.
fn table_width(common: &Common) -> usize {
    const USUAL: usize = 80;
    if common.output.is_some() || !io::stdout().is_terminal() {
        return USUAL;
    }
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    columns.unwrap_or(USUAL)
}

fn listing(compiled: &Compiled, stage: Stage) -> String {
    let listings = compiled.program().listings();
    let names = &compiled.program().layout().probes;
    let text = |(name, listing): (&String, &hwtrace_compiler::codegen::Listing)| {
        let code = if stage == Stage::Asm { &listing.assembly } else { &listing.clif };
        format!("; {name}\n{code}\n")
    };
    names.iter().zip(listings).map(text).collect()
}

fn dump(text: &str) -> Result<(), u8> {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    write!(io::stdout(), "{text}{end}").map_err(|_| RUN_TIME)
}
