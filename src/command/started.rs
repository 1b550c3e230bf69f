//! The program that `-c` starts: without a shell, by words that are quoted as for one.

use hwtrace::target::Target;

/// What a command starts.
///
/// # Errors
/// A sentence, where the command takes a shell, or its quotes are not closed.
pub(super) fn started(command: &str) -> Result<Target, String> {
    if let Some(what) = shell_syntax(command) {
        return Err(format!(
            "`-c` starts a program without a shell, for which `{what}` is one more argument; quote \
             it if that is meant, else start the program yourself and name it with -p"
        ));
    }
    match shlex::split(command) {
        Some(words) => Ok(Target::Command(words)),
        None => Err(format!("the quotes in `-c {command}` are not closed")),
    }
}

/// What in a command is not quoted and means something to a shell alone.
fn shell_syntax(command: &str) -> Option<&str> {
    let mut quote = None;
    let mut escaped = false;
    for (at, char) in command.char_indices() {
        match (char, quote) {
            _ if escaped => escaped = false,
            ('\\', None | Some('"')) => escaped = true,
            (open @ ('"' | '\''), None) => quote = Some(open),
            (close, Some(open)) if close == open => quote = None,
            ('|' | '&' | ';' | '<' | '>' | '`' | '$', None) => {
                return Some(&command[at..at + 1]);
            }
            _ => {}
        }
    }
    // `NAME=value prog`
    let first = command.split_whitespace().next()?;
    let (name, _) = first.split_once('=')?;
    (!name.contains('/')).then_some(first)
}
