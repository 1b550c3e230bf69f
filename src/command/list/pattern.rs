//! Which data is asked for: `cfg.*`, `state@main.c`, `libz.so*:*`.

use std::path::Path;

use hwtrace_probes::listing;
use hwtrace_probes::symbols::split_file;
use hwtrace_probes::types::Variable;

/// What of which file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted<'a> {
    /// The libraries, by their names; the executable without.
    pub(super) module: Option<&'a str>,
    /// The names.
    pub(super) data: &'a str,
}

impl<'a> Wanted<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        if let Some((module, data)) =
            text.strip_prefix('"').and_then(|text| text.split_once("\":"))
        {
            return Self { module: Some(module), data };
        }
        let single =
            |at: &usize| !text[at + 1..].starts_with(':') && !text[..*at].ends_with(':');
        let mut colons = text.match_indices(':').map(|(at, _)| at);
        match colons.find(single) {
            Some(at) => Self { module: Some(&text[..at]), data: &text[at + 1..] },
            None => Self { module: None, data: text },
        }
    }

    /// The one variable that is meant, unless stars leave it open.
    pub(super) fn variable(&self) -> Option<One<'a>> {
        let (name, file, parts) = match self.data.split_once('@') {
            Some((name, tail)) if !name.is_empty() => {
                let end = file_end(tail)?;
                (name, Some(&tail[..end]), &tail[end..])
            }
            _ => {
                let end = self.data.find(['.', '[']).unwrap_or(self.data.len());
                (&self.data[..end], None, &self.data[end..])
            }
        };
        (!name.contains(['*', '?'])).then_some(One { name, file, parts })
    }
}

/// Where the name of a source file ends: `u1.c` of `u1.c.limits[*]`.
fn file_end(text: &str) -> Option<usize> {
    let borders = text.match_indices(['.', '[']).map(|(at, _)| at).chain([text.len()]);
    let mut ends = borders.filter(|end| *end > 0);
    ends.find(|end| split_file(&format!("x@{}", &text[..*end])).1.is_some())
}

/// A variable that is named, and what of it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct One<'a> {
    pub(super) name: &'a str,
    /// The source file that has it.
    pub(super) file: Option<&'a str>,
    /// `.limits[*]`
    pub(super) parts: &'a str,
}

impl One<'_> {
    /// Is it of the source file? `symbol` is the one that the symbol table names.
    pub(super) fn is_in(&self, variable: &Variable, symbol: Option<&str>) -> bool {
        let Some(file) = self.file else { return true };
        let declared = variable.declared.as_ref().map(|line| &*line.file);
        let mut files = symbol.into_iter().chain(declared);
        files.any(|own| Path::new(own).ends_with(file))
    }

    /// The pattern for a variable that it means, which may have a longer name.
    pub(super) fn pattern(&self, variable: &str) -> listing::Pattern {
        listing::Pattern::new(&format!("{variable}{}", self.parts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_names() {
        let wanted = |text| {
            let Wanted { module, data } = Wanted::new(text);
            (module, data)
        };
        assert_eq!(wanted("cfg.*"), (None, "cfg.*"));
        assert_eq!(wanted("app::Pool::*"), (None, "app::Pool::*"));
        assert_eq!(wanted("libz.so*:*"), (Some("libz.so*"), "*"));
        assert_eq!(wanted("liba.so:a::b"), (Some("liba.so"), "a::b"));
        assert_eq!(wanted("\"/a b/c:d.so\":x"), (Some("/a b/c:d.so"), "x"));
        assert_eq!(wanted("::"), (None, "::"));
    }

    #[test]
    fn names_without_stars() {
        let one = |text| {
            let one = Wanted { module: None, data: text }.variable();
            one.map(|One { name, file, parts }| (name, file, parts))
        };
        assert_eq!(one("cfg"), Some(("cfg", None, "")));
        assert_eq!(one("cfg.*"), Some(("cfg", None, ".*")));
        assert_eq!(one("cfg[*].max"), Some(("cfg", None, "[*].max")));
        assert_eq!(one("app::cfg"), Some(("app::cfg", None, "")));
        assert_eq!(one("state@u1.c"), Some(("state", Some("u1.c"), "")));
        assert_eq!(one("state@a.b.c.x"), Some(("state", Some("a.b.c"), ".x")));
        assert_eq!(one("c*"), None);
        assert_eq!(one("?.x"), None);
        assert_eq!(one("*@u1.c"), None);
    }
}
