//! Runs a session for a consumer, and tells how it went.

use std::fs::OpenOptions;
use std::io;
use std::rc::Rc;

use hwtrace::cli::Common;
use hwtrace::names::Names;
use hwtrace::output::Output;
use hwtrace::report;
use hwtrace::session::{Consumer, Failure, Options, Session};
use hwtrace::target::{Fate, Target};
use hwtrace::unwinding::Unwinding;
use hwtrace_lang::code::Code;
use hwtrace_lang::diagnostic::Diagnostic;
use hwtrace_runtime::kernel::Kernel;
use hwtrace_runtime::kernel::linux::Linux;

use super::{RUN_TIME, USAGE};
use crate::messages::Messages;

/// Arms, runs and ends a session.
pub(crate) fn run<C: Consumer>(
    consumer: &mut C,
    (target, names): (&Target, Rc<Names>),
    out: &Output,
    messages: &Messages<'_>,
) -> Result<(), u8> {
    let options = Options {
        duration: messages.common.duration,
        engine: messages.common.engine,
        ring_bytes: messages.common.ring_size.map(|kib| kib.saturating_mul(1024)),
        stacks: Unwinding {
            by: messages.common.stacks,
            bytes: messages.common.stack_bytes,
        },
        sharing: messages.common.sharing.sharing(),
        names: Some(names),
        gives_up_rights: true,
    };
    let session = Session::arm(consumer, target, options).map_err(|failure| {
        messages.failure(&failure);
        status_of(&failure)
    })?;
    out.begin().map_err(|error| {
        messages.error(&format!("cannot write the output: {error}"));
        RUN_TIME
    })?;
    for location in session.locations().filter(|location| !location.mapped) {
        messages.warning(&format!(
            "nothing is mapped at {}: it is watched, should memory come there",
            location.address
        ));
    }
    for text in session.left_out().iter().chain(session.unserved()) {
        messages.warning(text);
    }
    let is_news = messages.common.verbose || session.is_second_best();
    if is_news && !messages.common.quiet && !session.engine().is_empty() {
        messages.line(session.engine());
    }
    if messages.common.verbose {
        for location in session.locations() {
            messages
                .line(&format!("watching {}", report::title(location, session.types())));
        }
        messages.line(&report::armed_line(session.armed()));
    }
    let (mut summary, ended) = session.run();
    summary.remarks.extend(out.remark());
    if out.silences_messages() {
        wait_for_stopped(summary.fate);
        return ended.map_err(|_| RUN_TIME);
    }
    if let Err(failure) = &ended {
        messages.failure(failure);
    }
    if messages.common.verbose && summary.filtered > 0 {
        let filtered = report::counted(summary.filtered, "hit");
        messages
            .line(&format!("{filtered} left out at the source: no handler acts on them"));
    }
    messages.end(&summary);
    wait_for_stopped(summary.fate);
    ended.map_err(|_| RUN_TIME)
}

/// A program of ours that is stopped would end with us.
fn wait_for_stopped(fate: Fate) {
    if let Fate::Stopped { pid } = fate {
        // Where it is no child of ours, nothing is to be waited for.
        let _ = Linux.wait_continued(pid);
    }
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

pub(crate) fn open_output(common: &Common) -> Result<Output, String> {
    let unusable = |name: &dyn std::fmt::Display, error: io::Error| {
        format!("cannot write {name}: {error}")
    };
    let Some(path) = &common.output else {
        return Output::standard(Rc::new(Linux))
            .map_err(|error| unusable(&"standard output", error));
    };
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
    file.and_then(|file| Output::replacing(Rc::new(Linux), file))
        .map_err(|error| unusable(&format!("`{}`", path.display()), error))
}
