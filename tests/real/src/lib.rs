//! What the programs share: they say `ready`, then do so many rounds of their
//! work for each number they read, and answer each with a line of facts.

use std::io::{BufRead, Write, stdin, stdout};

/// Serves until the input ends. Lines that are no number are rounds of none.
pub fn serve(mut work: impl FnMut(u64) -> String) {
    say("ready");
    for line in stdin().lock().lines().map_while(Result::ok) {
        say(&work(line.trim().parse().unwrap_or(0)));
    }
}

/// Prints a line at once. Who listens may have gone.
pub fn say(line: &str) {
    let mut out = stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
