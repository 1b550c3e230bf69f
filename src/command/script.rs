//! `hwtrace SCRIPT`: compiles a script, and runs it or shows what it became.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

use hwtrace::cli::{self, ScriptArgs, Stage};
use hwtrace::handlers::Handlers;
use hwtrace::names::Names;
use hwtrace::pipeline::{Compiled, InternalError, Parsed, Refused};
use hwtrace::target::Target;
use hwtrace_lang::code::Code;
use hwtrace_lang::diagnostic::Diagnostic;
use hwtrace_lang::span::Source;
use hwtrace_lang::{sema, suggest};
use hwtrace_runtime::kernel::Kernel;
use hwtrace_runtime::kernel::linux::Linux;

use super::started::started;
use super::{RUN_TIME, USAGE, put, trace};
use crate::messages::Messages;

pub(crate) fn run(args: &ScriptArgs) -> Result<(), u8> {
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
        messages.error(&error.to_string());
        RUN_TIME
    };
    let parsed = Parsed::parse(source, &arguments).map_err(refused)?;
    if args.dump == Some(Stage::Ast) {
        return put(&parsed.script().to_string());
    }
    let options = sema::Options { allow_unsafe: args.allow_unsafe };
    let target = target_of_script(args).map_err(|text| messages.usage(&text))?;
    let names = Rc::new(Names::of(&target));
    let checked = parsed.check_with(&args.globals, options, &names).map_err(refused)?;
    if !checked.warnings().is_empty() && !args.common.quiet {
        messages.diagnostics(checked.warnings());
    }
    if args.dump == Some(Stage::Typed) {
        return put(&checked.program().to_string());
    }
    let lowered = checked.lower(&limits).map_err(internal)?;
    if args.dump == Some(Stage::Ir) {
        return put(&lowered.module().to_string());
    }
    if args.dump == Some(Stage::Plan) {
        let kernel: Rc<dyn Kernel> = Rc::new(Linux);
        return put(&lowered.plans(args.common.engine.works_at_hits(&kernel)));
    }
    let compiled = lowered.compile(args.dump.is_some()).map_err(internal)?;
    if let Some(stage) = args.dump {
        return put(&listing(&compiled, stage));
    }
    if args.check {
        return Ok(());
    }
    let out = trace::open_output(&args.common).map_err(|text| messages.usage(&text))?;
    let mut handlers = Handlers::new(&compiled, Box::new(out.clone()));
    trace::run(&mut handlers, (&target, names), &out, &messages)
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
        nowhere.error(&text);
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
    match (args.pid, &args.command) {
        (Some(pid), _) => Ok(Target::Process(pid)),
        (None, Some(command)) => started(command),
        (None, None) => Ok(Target::None),
    }
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
