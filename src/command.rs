//! What the command line asks for, a file each.

pub(crate) mod completions;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod fmt;
pub(crate) mod list;
pub(crate) mod script;
mod started;
pub(crate) mod trace;
pub(crate) mod watch;

use std::io::{self, Write};

/// A failure at run time.
pub(crate) const RUN_TIME: u8 = 1;
/// Wrong usage, or a script that does not compile.
pub(crate) const USAGE: u8 = 2;

/// Puts text out that was asked for.
fn put(text: &str) -> Result<(), u8> {
    let end = if text.ends_with('\n') || text.is_empty() { "" } else { "\n" };
    write!(io::stdout(), "{text}{end}").map_err(|_| RUN_TIME)
}
