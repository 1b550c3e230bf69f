//! The way from an object to what is meant in it: `signal->oom_score_adj`,
//! `se.vruntime`, `cpus_mask.bits[0]`.

use std::fmt;

/// One step on the way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// `.name`: a member.
    Field(String),
    /// `[number]`: an element of an array, or of what a pointer points to.
    Index(u64),
    /// `->` or `*`: what a pointer points to.
    Deref,
}

/// The way from an object to what is meant in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Path(pub Vec<Step>);

/// Why a text is no path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` does not name data of the kernel: {expected}")]
pub struct PathError {
    /// The text.
    pub text: String,
    /// Where in it something else was expected, in bytes.
    pub at: usize,
    /// What was expected.
    pub expected: &'static str,
}

/// More steps lead nowhere.
const MAX_STEPS: usize = 64;

impl Path {
    /// Reads a path whose first step is a member: `signal->oom_score_adj`.
    ///
    /// # Errors
    ///
    /// [`PathError`] with the place of what fits no path.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let (first, Path(mut steps)) = split(text)?;
        steps.insert(0, Step::Field(first));
        Ok(Path(steps))
    }
}

/// Reads a name and the path that follows it: `runqueues.cfs.nr_queued`.
///
/// # Errors
///
/// [`PathError`] with the place of what fits no path.
pub fn split(text: &str) -> Result<(String, Path), PathError> {
    let mut rest = Rest { text, at: 0 };
    rest.blanks();
    let mut stars = 0;
    while rest.take("*") {
        stars += 1;
        rest.blanks();
    }
    let name = rest.name()?;
    let mut steps = Vec::new();
    while !rest.is_empty() && steps.len() < MAX_STEPS {
        if rest.take("->") {
            steps.extend([Step::Deref, Step::Field(rest.name()?)]);
        } else if rest.take(".") {
            steps.push(Step::Field(rest.name()?));
        } else if rest.take("[") {
            steps.push(Step::Index(rest.index()?));
        } else {
            return Err(rest.expected("a `.`, a `->` or a `[` follows a name"));
        }
    }
    // In C, what is behind a name binds more tightly than a star before it.
    steps.extend(std::iter::repeat_n(Step::Deref, stars));
    if !rest.is_empty() || steps.len() > MAX_STEPS {
        return Err(rest.expected("the path is too long"));
    }
    Ok((name, Path(steps)))
}

/// What is left of a text.
struct Rest<'a> {
    text: &'a str,
    at: usize,
}

impl Rest<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn is_empty(&self) -> bool {
        self.rest().is_empty()
    }

    fn expected(&self, expected: &'static str) -> PathError {
        PathError { text: self.text.to_owned(), at: self.at, expected }
    }

    fn blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Takes the word if it comes next, and the blanks behind it.
    fn take(&mut self, word: &str) -> bool {
        let found = self.rest().starts_with(word);
        if found {
            self.at += word.len();
            self.blanks();
        }
        found
    }

    /// Takes letters and digits, and the blanks behind them.
    fn word(&mut self) -> String {
        let rest = self.rest();
        let is_word = |char: char| char.is_ascii_alphanumeric() || char == '_';
        let length = rest.find(|char| !is_word(char)).unwrap_or(rest.len());
        let word = rest.get(..length).unwrap_or_default().to_owned();
        self.at += length;
        self.blanks();
        word
    }

    fn name(&mut self) -> Result<String, PathError> {
        if self.rest().starts_with(|char: char| char.is_ascii_digit()) {
            return Err(self.expected("a name does not begin with a digit"));
        }
        let at = self.at;
        let word = self.word();
        if word.is_empty() {
            return Err(Rest { at, ..*self }.expected("a name is missing"));
        }
        // Statics of functions have a number behind their names.
        if self.rest().starts_with('.')
            && self.rest()[1..].starts_with(|char: char| char.is_ascii_digit())
        {
            self.at += 1;
            return Ok(format!("{word}.{}", self.word()));
        }
        Ok(word)
    }

    fn index(&mut self) -> Result<u64, PathError> {
        let at = self.at;
        let word = self.word();
        let number = match word.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => word.parse(),
        };
        match number {
            Ok(number) if self.take("]") => Ok(number),
            Ok(_) => Err(self.expected("a `]` is missing")),
            Err(_) => Err(Rest { at, ..*self }.expected("an index is a number")),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps = self.0.as_slice();
        let last = steps.iter().rposition(|step| *step != Step::Deref);
        let (way, stars) = steps.split_at(last.map_or(0, |last| last + 1));
        let mut before: Option<&Step> = None;
        f.write_str(&"*".repeat(stars.len()))?;
        for step in way {
            match (before, step) {
                (_, Step::Deref) => {}
                (_, Step::Index(index)) => write!(f, "[{index}]")?,
                (None, Step::Field(name)) => f.write_str(name)?,
                (Some(Step::Deref), Step::Field(name)) => write!(f, "->{name}")?,
                (Some(_), Step::Field(name)) => write!(f, ".{name}")?,
            }
            before = Some(step);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths() {
        use Step::{Deref, Field, Index};
        let field = |name: &str| Field(name.to_owned());
        for (text, steps, shown) in [
            ("comm", vec![field("comm")], "comm"),
            ("a -> b", vec![field("a"), Deref, field("b")], "a->b"),
            (" *a.b[0x10] ", vec![field("a"), field("b"), Index(16), Deref], "*a.b[16]"),
            ("count.12", vec![field("count.12")], "count.12"),
        ] {
            let path = Path::parse(text).expect(text);
            assert_eq!(path, Path(steps), "{text}");
            assert_eq!(path.to_string(), shown);
        }
        assert_eq!(split("x.y"), Ok(("x".to_owned(), Path(vec![field("y")]))));
    }

    #[test]
    fn what_is_no_path_says_where() {
        for (text, at) in [
            ("", 0),
            ("a.", 2),
            ("a->", 3),
            ("a[", 2),
            ("a[b]", 2),
            ("a[1", 3),
            ("a[-1]", 2),
            ("a b", 2),
            ("1a", 0),
            ("a.b c", 4),
            ("ä", 0),
        ] {
            assert_eq!(Path::parse(text).expect_err(text).at, at, "{text}");
        }
        let long = format!("a{}", ".b".repeat(100));
        assert!(Path::parse(&long).is_err());
        assert!(Path::parse(&format!("{}a", "*".repeat(100))).is_err());
    }

    proptest! {
        #[test]
        fn what_is_shown_means_the_same(text in r"[ab*.>\[\]01-]{0,12}") {
            if let Ok(path) = Path::parse(&text) {
                prop_assert_eq!(Path::parse(&path.to_string()), Ok(path));
            }
        }

        #[test]
        fn hostile_text_never_panics(text in "\\PC{0,20}") {
            let _ = Path::parse(&text);
        }
    }
}
