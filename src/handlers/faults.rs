//! A fault of a handler as a diagnostic.

use hwtrace_lang::code::Code;
use hwtrace_lang::diagnostic::Diagnostic;
use hwtrace_lang::span::Span;
use hwtrace_runtime::abi::FaultCode;

/// What went wrong at `span`; `text` is what the fault itself has to say, where
/// it has a text of its own; `ended`: the process that had no memory any more.
pub(super) fn explain(
    fault: FaultCode,
    span: Option<Span>,
    text: &[u8],
    ended: Option<u32>,
) -> Diagnostic {
    let text = String::from_utf8_lossy(text);
    let message = match fault {
        FaultCode::UserError if !text.is_empty() => text.clone().into_owned(),
        _ => fault.message().to_owned(),
    };
    let diagnostic = Diagnostic::new(code(fault), span, message);
    let diagnostic = match fault {
        FaultCode::BadAddress if !text.is_empty() => diagnostic.note(text),
        _ => diagnostic,
    };
    let Some(pid) = ended else { return diagnostic.help(fault.help()) };
    diagnostic
        .note(format!("process {pid} had ended by then, and its memory is gone"))
        .help(
            "keep what is needed in a global at an earlier hit, or `try { … } catch { … }`",
        )
        .help(
            "`hwtrace --dump plan` tells what is read at the hit itself, and why other memory \
             is read later",
        )
}

fn code(fault: FaultCode) -> Code {
    match fault {
        FaultCode::DivisionByZero => Code::DivisionByZero,
        FaultCode::OutOfFuel => Code::OutOfFuel,
        FaultCode::ArrayFull => Code::ArrayFull,
        FaultCode::ArenaFull => Code::ArenaFull,
        FaultCode::TooManyStrings => Code::TooManyStrings,
        FaultCode::TooManyStacks => Code::TooManyStacks,
        FaultCode::OutputFull => Code::OutputFull,
        FaultCode::NestedTooDeep => Code::RecursionTooDeep,
        FaultCode::EmptyAggregate => Code::EmptyStatistics,
        FaultCode::BadBucket => Code::BucketOutOfRange,
        FaultCode::UserError => Code::Raised,
        FaultCode::BadAddress => Code::BadAddress,
    }
}
