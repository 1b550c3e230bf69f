//! `hwtrace explain CODE`: what an error means, at length.

use hwtrace::cli::ExplainArgs;
use hwtrace_lang::code::Code;
use hwtrace_lang::suggest;

use super::{USAGE, put};

pub(crate) fn run(args: &ExplainArgs) -> Result<(), u8> {
    let Some(code) = Code::named(&args.code) else {
        eprintln!("hwtrace: error: {}", unknown(&args.code));
        return Err(USAGE);
    };
    let explanation = code.explanation();
    let mut text = format!("{code}: {}\n\n{}\n", code.title(), wrapped(explanation.text));
    for (heading, script) in
        [("This script has it", explanation.wrong), ("Put right", explanation.right)]
    {
        if let Some(script) = script {
            text += &format!("\n{heading}:\n\n{}", indented(script));
        }
    }
    put(&text)
}

fn unknown(text: &str) -> String {
    let upper = text.to_ascii_uppercase();
    let codes = Code::ALL.iter().map(|code| code.as_str());
    let nearest = suggest::nearest(&upper, codes);
    let nearest = nearest.first().map(|nearest| format!("; did you mean {nearest}?"));
    let first = Code::ALL.first().map_or("", |code| code.as_str());
    format!(
        "there is no code `{text}`{}; codes look like {first}, in brackets behind `error`",
        nearest.unwrap_or_default()
    )
}

fn indented(script: &str) -> String {
    script.lines().map(|line| format!("    {line}\n")).collect()
}

/// Lines of a width that reads well.
fn wrapped(text: &str) -> String {
    const WIDTH: usize = 78;
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line > 0 && line + 1 + word.chars().count() > WIDTH {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n")
}
