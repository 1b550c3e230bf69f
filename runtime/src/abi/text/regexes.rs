//! `=~`, `!~` and `matched`.

use std::ops::Range;

use regex::bytes::{CaptureLocations, Regex, RegexBuilder};

/// The most memory one compiled expression takes; a larger one is refused.
const BYTES_MAX: usize = 1 << 20;
/// What small expressions take at most.
const BYTES_LEAST: usize = 1 << 11;
/// At worst, where an expression is in many states at once, each byte of a text
/// takes about a step of a handler for so many bytes of the expression.
const BYTES_A_STEP: usize = 256;

/// The regular expressions of a script, compiled.
///
/// Matching takes time linear in the text, whatever the expression; how long a
/// byte takes depends on how large that is ([`Regexes::cost`]). Text is bytes,
/// not characters, and what is said of letters is said of ASCII ones.
///
/// Expressions are SystemTap's, that is POSIX extended ones, except that
/// - of several ways to match at the same place the first alternative is taken
///   and not the longest match: `a|ab` finds `a` in `ab`, which `matched(0)`
///   tells, but `=~` does not;
/// - `*?`, `+?` and `??` repeat as little as possible;
/// - in brackets `[`, `&&`, `--`, `~~` and a backslash are special: write
///   `\[` and `\\`; outside, a `{` that begins no repetition is an error;
/// - `\d \s \w \b \xHH (?:…) (?i:…)` are known beyond POSIX;
/// - there are no back references, as in SystemTap.
///
/// As in POSIX, `.` is any byte, a newline as well, and `^` and `$` are the
/// ends of the text.
#[derive(Clone, Debug, Default)]
pub struct Regexes(Vec<Compiled>);

#[derive(Clone, Debug)]
struct Compiled {
    regex: Regex,
    /// The steps that a byte of a text takes at worst.
    steps: usize,
}

impl Regexes {
    /// Compiles `expressions`.
    ///
    /// # Errors
    /// The index of the first that is not one or is too large, and why, in a
    /// line.
    pub fn new(expressions: &[String]) -> Result<Self, (usize, String)> {
        let compiled = expressions
            .iter()
            .enumerate()
            .map(|(index, expression)| compile(expression).map_err(|why| (index, why)));
        compiled.collect::<Result<_, _>>().map(Self)
    }

    /// Whether a part of `text` matches the expression with this index, and
    /// in `groups` where; an index that does not exist matches nothing.
    pub fn is_match(&self, index: usize, text: &[u8], groups: &mut Groups) -> bool {
        let Some(Compiled { regex, .. }) = self.0.get(index) else {
            *groups = Groups::default();
            return false;
        };
        if groups.of != Some(index) {
            groups.locations = Some(regex.capture_locations());
            groups.of = Some(index);
        }
        let locations = groups.locations.as_mut();
        groups.found = locations.and_then(|to| regex.captures_read(to, text)).is_some();
        groups.found
    }

    /// As [`Regexes::is_match`], but faster: for scripts that do not call
    /// `matched`.
    pub fn is_found(&self, index: usize, text: &[u8]) -> bool {
        self.0.get(index).is_some_and(|it| it.regex.is_match(text))
    }

    /// How many steps of a handler it is worth at worst to match `length` bytes.
    pub fn cost(&self, index: usize, length: usize) -> usize {
        self.0.get(index).map_or(0, |it| length.saturating_mul(it.steps))
    }
}

fn compile(expression: &str) -> Result<Compiled, String> {
    let mut builder = RegexBuilder::new(expression);
    builder.unicode(false).dot_matches_new_line(true);
    // Nothing else tells how large it is.
    let mut limit = BYTES_LEAST;
    loop {
        match builder.size_limit(limit).build() {
            Ok(regex) => return Ok(Compiled { regex, steps: limit / BYTES_A_STEP }),
            Err(regex::Error::CompiledTooBig(_)) if limit < BYTES_MAX => limit *= 2,
            Err(regex::Error::CompiledTooBig(most)) => {
                return Err(format!("takes more than {most} bytes when compiled"));
            }
            Err(error) => return Err(last_line(&error.to_string())),
        }
    }
}

/// The reason, which the crate puts into the last line behind a drawing.
fn last_line(message: &str) -> String {
    let line = message.lines().last().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// Where the last match and its groups are. Used with one [`Regexes`] only.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    /// The expression that was matched last, whose groups these are.
    of: Option<usize>,
    locations: Option<CaptureLocations>,
    found: bool,
}

impl Groups {
    /// The place of group `number` in the text that matched, 0 being the whole
    /// match; nothing where the last `=~` failed or the group took no part.
    pub fn get(&self, number: usize) -> Option<Range<usize>> {
        let locations = self.locations.as_ref().filter(|_| self.found)?;
        let (start, end) = locations.get(number)?;
        Some(start..end)
    }
}
