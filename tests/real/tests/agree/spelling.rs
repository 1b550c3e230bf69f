//! One spelling of a type for both: each writes some types as the other does not.

/// Words that hwtrace's types do not have, or gdb's in the words of C++.
const DROPPED: [&str; 6] = ["struct", "union", "class", "enum", "const", "volatile"];

/// Words of C's integers: `long unsigned int` and `unsigned long` are the same.
const INTEGER: [&str; 6] = ["unsigned", "signed", "long", "short", "int", "char"];

/// The type's name without what may differ:
/// - keywords of records, qualifiers, blanks, and the order of an integer's words;
/// - the end of a reference, which to hwtrace is what it refers to;
/// - what a function takes and gives, which hwtrace does not read, and what a pointer
///   to a member is one of.
pub(crate) fn common(name: &str) -> String {
    let name = name.replace("...", "…");
    let name = name.trim_end_matches('&');
    let name = match name {
        _ if name.contains("(*)(") => "void *",
        _ if name.contains("::*") => "pointer to member",
        _ => name,
    };
    let mut out = Out::default();
    for word in words(name) {
        out.add(word);
    }
    out.end_of_integer();
    out.text
}

/// Identifiers, and other characters one by one; no blanks.
fn words(name: &str) -> impl Iterator<Item = &str> {
    let within = |char: char| char.is_alphanumeric() || char == '_';
    let mut rest = name;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let first = rest.chars().next()?;
        let length = rest.find(|char| !within(char)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(length.max(first.len_utf8()));
        rest = after;
        Some(word)
    })
}

#[derive(Default)]
struct Out {
    text: String,
    integer: Vec<String>,
}

impl Out {
    fn add(&mut self, word: &str) {
        if INTEGER.contains(&word) {
            self.integer.push(word.to_owned());
        } else if !DROPPED.contains(&word) {
            self.end_of_integer();
            self.text.push_str(word);
        }
    }

    /// Writes an integer's words in one order, without an `int` that needs not be.
    fn end_of_integer(&mut self) {
        let mut words = std::mem::take(&mut self.integer);
        if words.iter().any(|word| word != "int") {
            words.retain(|word| word != "int");
        }
        words.sort_unstable();
        self.text.extend(words);
    }
}

#[test]
fn what_may_differ_is_dropped_and_nothing_else() {
    assert_eq!(common("const struct node *"), common("node*"));
    assert_eq!(common("long unsigned int [3]"), common("unsigned long [3]"));
    assert_eq!(common("Ring<char, 2> &"), common("Ring<char,2>"));
    assert_eq!(common("int (*)(const void *)"), common("void *"));
    assert_eq!(common("union {…}"), common("union {...}"));
    assert_ne!(common("unsigned int"), common("int"));
    assert_ne!(common("int *"), common("int"));
    assert_ne!(common("signed char"), common("char"));
    assert_ne!(common("int [2][3]"), common("int [3][2]"));
    assert_eq!(common("&str"), "&str");
}
