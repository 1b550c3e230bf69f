//! "Did you mean": the known names that are nearest to an unknown one.

/// At most this many names are offered.
const OFFERED_MAX: usize = 3;

/// Names longer than this are no typos, and comparing them costs time.
const NAME_LEN_MAX: usize = 64;

/// The names nearest to `name`, best first, at most three; none where nothing
/// is near.
///
/// ```
/// use hwtrace_lang::suggest::nearest;
/// assert_eq!(nearest("execnam", ["pid", "execname"]), ["execname"]);
/// assert!(nearest("zzz", ["pid", "execname"]).is_empty());
/// ```
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    if name.len() > NAME_LEN_MAX {
        return Vec::new();
    }
    let lower = name.to_lowercase();
    let allowed = (name.chars().count() / 3).max(1);
    let mut found: Vec<(usize, usize, &str)> = known
        .into_iter()
        .filter(|candidate| candidate.len() <= NAME_LEN_MAX && *candidate != name)
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&lower, &candidate.to_lowercase());
            // Of two that are equally near, the one of the same length.
            (distance, candidate.len().abs_diff(name.len()), candidate)
        })
        .filter(|(distance, _, candidate)| {
            *distance <= allowed && *distance < candidate.chars().count()
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found.truncate(OFFERED_MAX);
    found.into_iter().map(|(_, _, candidate)| candidate).collect()
}

/// The names in a sentence, quoted: `` `a`, `b` or `c` ``; none where there
/// are none.
///
/// ```
/// use hwtrace_lang::suggest::list;
/// assert_eq!(list(["a", "b", "c"]).as_deref(), Some("`a`, `b` or `c`"));
/// ```
pub fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let quoted: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    join(&quoted)
}

/// Words in a sentence: `a, b or c`; none where there are none.
pub(crate) fn join(words: &[String]) -> Option<String> {
    match words {
        [] => None,
        [only] => Some(only.clone()),
        [head @ .., last] => Some(format!("{} or {last}", head.join(", "))),
    }
}

/// A help line with the names nearest to `name`, where there are any:
/// ``did you mean `execname`?``
pub fn did_you_mean<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    list(nearest(name, known)).map(|names| format!("did you mean {names}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swapped_letters_and_case_are_near() {
        assert_eq!(nearest("whlie", ["while", "for"]), ["while"]);
        assert_eq!(nearest("PID", ["tid", "pid"])[0], "pid");
        assert!(nearest("x", ["y"]).is_empty(), "one letter is never a typo");
    }

    #[test]
    fn lists_read_as_english() {
        assert_eq!(list([]), None);
        assert_eq!(list(["a"]).as_deref(), Some("`a`"));
        assert_eq!(list(["a", "b"]).as_deref(), Some("`a` or `b`"));
        assert_eq!(did_you_mean("tdi", ["tid"]).as_deref(), Some("did you mean `tid`?"));
    }
}
