//! What people write who come from bpftrace, DTrace or C, and what hwt will
//! have but has not yet: one table, matched on tokens before the grammar sees
//! an item. A row's message and help may name the matched tokens: `{0}`, `{1}`.

use super::scan::{Item, ItemKind, Kind, Token};
use crate::builtins::operator_names;
use crate::code::Code;
use crate::diagnostic::Diagnostic;

/// Part of an item in which a row applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Outside of probes.
    Top,
    /// Between `probe` and its block.
    Header,
    /// In a `global` declaration.
    Global,
    /// Between `function` or `private` and a block.
    Signature,
    /// In a handler.
    Body,
    Anywhere,
}

/// What must stand before the first token of the pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Anything,
    /// The end of a value: what follows is an operator.
    Operand,
    /// No value: what follows begins one.
    NoOperand,
    /// The end of a statement, or a line break.
    Statement,
}

/// One token of a pattern.
#[derive(Clone, Copy, Debug)]
enum Pattern {
    Is(&'static str),
    /// Any name that is no keyword.
    Word,
    Number,
    Quoted,
    /// `%{ … %}`
    Embedded,
    Target,
    /// `$$vars`: all of a kind
    Every,
    /// `@name`, which is no word of hwt.
    At,
    Any,
}

struct Row {
    place: Place,
    after: After,
    pattern: &'static [Pattern],
    code: Code,
    message: &'static str,
    help: &'static str,
}

use After::{Anything, NoOperand, Operand, Statement};
use Pattern::{Any, At, Embedded, Every, Is, Number, Quoted, Target, Word};
use Place::{Anywhere, Body, Global, Header, Top};

const fn foreign(
    place: Place,
    after: After,
    pattern: &'static [Pattern],
    message: &'static str,
    help: &'static str,
) -> Row {
    Row { place, after, pattern, code: Code::ForeignSyntax, message, help }
}

const fn missing(
    place: Place,
    after: After,
    pattern: &'static [Pattern],
    message: &'static str,
    help: &'static str,
) -> Row {
    Row { place, after, pattern, code: Code::Unsupported, message, help }
}

const BPF_PROBE: &str = "this is how bpftrace and DTrace name a probe";
const BPF_MAP: &str = "`{0}` is a bpftrace map; in hwt variables have no `@`";
const PREDICATE: &str = "a predicate between slashes is bpftrace's and DTrace's";
const PREDICATE_IF: &str = "begin the handler with `if (!(predicate)) next`";
const DECLARED: &str = "variables are not declared; their type follows from their use";
const JUST_ASSIGN_2: &str = "write `{2} = …` without a type; declare with `global {2}` what must outlive the handler";
const JUST_ASSIGN: &str = "write `{1} = …` without a type; declare with `global {1}` what must outlive the handler";

#[rustfmt::skip]
static ROWS: &[Row] = &[
    // bpftrace and DTrace: probes.
    foreign(Top, Anything, &[Is("BEGIN"), Is("{")], "`BEGIN` is spelled `begin`, behind `probe`", "write `probe begin { … }`"),
    foreign(Top, Anything, &[Is("END"), Is("{")], "`END` is spelled `end`, behind `probe`", "write `probe end { … }`"),
    foreign(Top, Anything, &[Is("begin"), Is("{")], "`probe` is missing", "write `probe begin { … }`"),
    foreign(Top, Anything, &[Is("end"), Is("{")], "`probe` is missing", "write `probe end { … }`"),
    foreign(Header, Anything, &[Is("BEGIN")], "`BEGIN` is spelled `begin`", "write `probe begin { … }`"),
    foreign(Header, Anything, &[Is("END")], "`END` is spelled `end`", "write `probe end { … }`"),
    foreign(Anywhere, Anything, &[Is("watchpoint"), Is(":"), Any, Is(":"), Number, Is(":"), Is("w")], BPF_PROBE, "write `probe process.data({2}).length({4}).write { … }`"),
    foreign(Anywhere, Anything, &[Is("watchpoint"), Is(":"), Any, Is(":"), Number, Is(":"), Is("rw")], BPF_PROBE, "write `probe process.data({2}).length({4}).rw { … }`"),
    foreign(Anywhere, Anything, &[Is("watchpoint"), Is(":"), Any, Is(":"), Number, Is(":"), Is("r")], BPF_PROBE, "write `probe process.data({2}).length({4}).read { … }`"),
    foreign(Anywhere, Anything, &[Is("watchpoint"), Is(":")], BPF_PROBE, "write `probe process.data(ADDRESS).length(8).write { … }`"),
    foreign(Anywhere, Anything, &[Is("asyncwatchpoint"), Is(":")], BPF_PROBE, "write `probe process.data(ADDRESS).length(8).write { … }`"),
    foreign(Anywhere, Anything, &[Is("interval"), Is(":"), Any, Is(":"), Number], BPF_PROBE, "write `probe timer.{2}({4}) { … }`"),
    foreign(Top, Anything, &[Is("profile"), Is(":"), Is("hz"), Is(":"), Number], BPF_PROBE, "write `probe timer.hz({4}) { … }`"),
    foreign(Top, Anything, &[Is("w"), Is(":"), Any, Is(":"), Number], BPF_PROBE, "write `probe process.data({2}).length({4}).write { … }`"),
    foreign(Top, Anything, &[Word, Is(":")], BPF_PROBE, "write `probe NAME { … }`, its parts joined by dots: `probe process.data(\"counter\").write { … }`"),
    foreign(Header, Anything, &[Word, Is(":")], BPF_PROBE, "join its parts by dots: `probe process.data(\"counter\").write { … }`"),
    foreign(Header, Anything, &[Is("/")], PREDICATE, PREDICATE_IF),
    foreign(Top, Anything, &[Is("/")], PREDICATE, PREDICATE_IF),
    foreign(Body, Anything, &[Is("/"), Is("{")], PREDICATE, PREDICATE_IF),
    foreign(Body, Anything, &[Is("/"), Is("}")], PREDICATE, "write `if (predicate) printf(…)`"),
    foreign(Body, Anything, &[Is("/"), Is(";")], PREDICATE, "write `if (predicate) printf(…)`"),

    // Statistics and the other @ words of hwt, then bpftrace's maps.
    missing(Body, Anything, &[Is("@entry")], "`@entry` is not available yet", "keep the value in a global"),
    missing(Body, Anything, &[Is("@const")], "`@const` is not available yet", "write the number; a constant of an enumeration is `@enum(\"NAME\")`"),
    foreign(Body, Anything, &[At, Is("="), Is("count"), Is("("), Is(")")], BPF_MAP, "declare `global n` at the top and count with `n++`"),
    foreign(Body, Anything, &[At, Is("[")], BPF_MAP, "declare `global n` at the top and use `n[…]`"),
    foreign(Body, Anything, &[Is("@median"), Is("(")], "there is no `@median`", "write `@p50(s)`"),
    foreign(Body, Anything, &[Is("@p95"), Is("(")], "there is no `@p95`", "write `@percentile(s, 95)`"),
    foreign(Body, Anything, &[Is("@p75"), Is("(")], "there is no `@p75`", "write `@percentile(s, 75)`"),
    foreign(Body, Anything, &[At, Is("(")], "there is no macro `{0}`", "define it before its first use: `@define NAME(a) %( … %)`"),
    foreign(Anywhere, Anything, &[At], BPF_MAP, "declare `global n` at the top and use `n`"),
    foreign(Body, Operand, &[Is("="), Is("count"), Is("("), Is(")")], "`count()` is bpftrace's", "count with `x++`"),

    // DTrace.
    foreign(Body, Anything, &[Is("self"), Is("->"), Word], "`self->{2}` is DTrace's thread-local variable", "declare `global {2}` at the top and use `{2}[tid()]`"),
    foreign(Body, Anything, &[Is("this"), Is("->"), Word], "`this->{2}` is DTrace's clause-local variable", "variables of a handler are local: write `{2}`"),

    // C and others.
    foreign(Body, Statement, &[Is("unsigned"), Is("long"), Word], DECLARED, JUST_ASSIGN_2),
    foreign(Body, Statement, &[Is("unsigned"), Is("int"), Word], DECLARED, JUST_ASSIGN_2),
    foreign(Body, Statement, &[Is("long"), Is("long"), Word], DECLARED, JUST_ASSIGN_2),
    foreign(Body, Statement, &[Is("int"), Word], DECLARED, JUST_ASSIGN),
    foreign(Body, Statement, &[Is("long"), Word], DECLARED, JUST_ASSIGN),
    foreign(Body, Statement, &[Is("short"), Word], DECLARED, JUST_ASSIGN),
    foreign(Body, Statement, &[Is("unsigned"), Word], DECLARED, JUST_ASSIGN),
    foreign(Body, Statement, &[Is("char"), Word], DECLARED, JUST_ASSIGN),
    foreign(Body, Statement, &[Is("double"), Word], DECLARED, JUST_ASSIGN),
    foreign(Body, Statement, &[Is("float"), Word], DECLARED, JUST_ASSIGN),
    foreign(Body, Statement, &[Is("bool"), Word], DECLARED, JUST_ASSIGN),
    foreign(Body, Statement, &[Is("uint64_t"), Word], DECLARED, JUST_ASSIGN),
    foreign(Body, Statement, &[Is("uint64"), Word], DECLARED, JUST_ASSIGN),
    foreign(Body, Statement, &[Is("int64"), Word], DECLARED, JUST_ASSIGN),
    foreign(Body, Statement, &[Is("let"), Word], DECLARED, JUST_ASSIGN),
    foreign(Body, Statement, &[Is("var"), Word], DECLARED, JUST_ASSIGN),
    foreign(Body, Statement, &[Is("local"), Word], DECLARED, JUST_ASSIGN),
    foreign(Body, Statement, &[Is("string"), Word], DECLARED, "write `{1} = \"\"`; declare with `global {1}` what must outlive the handler"),
    foreign(Body, Statement, &[Is("let"), Target], DECLARED, "write a plain name: `x = 0`"),
    foreign(Body, Statement, &[Is("char"), Is("*"), Word], DECLARED, "write `{2} = \"\"`: strings are values here"),
    foreign(Body, Statement, &[Is("void"), Is("*"), Word], DECLARED, "write `{2} = 0`: an address is a long"),
    foreign(Header, Anything, &[Quoted], "strings stand in double quotes", "write `\"…\"` in place of {0}"),
    foreign(Body, Anything, &[Quoted], "strings stand in double quotes", "write `\"…\"` in place of {0}"),
    foreign(Body, Operand, &[Is("and")], "`and` is spelled `&&`", "write `a && b`"),
    foreign(Body, Operand, &[Is("or")], "`or` is spelled `||`", "write `a || b`"),
    foreign(Body, Operand, &[Is("===")], "`===` is spelled `==`", "write `a == b`"),
    foreign(Body, Operand, &[Is("!==")], "`!==` is spelled `!=`", "write `a != b`"),
    foreign(Body, NoOperand, &[Is("not"), Word], "`not` is spelled `!`", "write `!{1}`"),
    foreign(Body, Anything, &[Is("elif")], "`elif` is spelled `else if`", "write `else if (…)`"),
    foreign(Body, Anything, &[Is("elsif")], "`elsif` is spelled `else if`", "write `else if (…)`"),
    foreign(Body, Anything, &[Is("elseif")], "`elseif` is spelled `else if`", "write `else if (…)`"),
    foreign(Body, Anything, &[Is("switch"), Is("(")], "there is no `switch`", "write `if (…) { … } else if (…) { … }`"),
    foreign(Body, Statement, &[Is("do"), Is("{")], "there is no `do` loop", "write `while (…) { … }`"),
    foreign(Body, Anything, &[Is("unless"), Is("(")], "there is no `unless`", "write `if (!(…))`"),

    // Of hwt, but later.
    missing(Anywhere, Anything, &[Embedded], "embedded C is not part of hwt", "say what it computed with the functions of hwt"),
    missing(Body, Anything, &[Every], "`{0}` is not available yet", "name the variables: `printf(\"%s %s\\n\", $old$, $new$)`"),
];

/// At most so many findings of one item are reported.
const FOUND_MAX: usize = 10;

/// Everything foreign or not yet available in one item, in order.
pub(super) fn find(text: &str, item: &Item, tokens: &[Token]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut places = Places::new(item.kind);
    let mut at = 0;
    while at < tokens.len() && found.len() < FOUND_MAX {
        let place = places.place();
        let matcher = Matcher { text, tokens, at, place };
        let step = match ROWS.iter().find(|row| matcher.matches(row)) {
            Some(row) => {
                let finding = matcher.diagnostic(row);
                // A predicate has two slashes, and bpftrace's probes several colons;
                // one of them will do.
                let second = found.last().is_some_and(|before: &Diagnostic| {
                    [PREDICATE, BPF_PROBE].contains(&&*finding.message)
                        && before.message == finding.message
                });
                if !second {
                    found.push(finding);
                }
                row.pattern.len()
            }
            None => 1,
        };
        for place in at..(at + step).min(tokens.len()) {
            let word = |at: usize| &text[tokens[at].span.range()];
            places.advance(word(place), place > 0 && word(place - 1) == ".");
        }
        at += step;
    }
    found
}

/// Follows which part of an item the tokens are in.
struct Places {
    item: ItemKind,
    braces: usize,
    body_seen: bool,
    /// In a `{a,b}` of a probe point.
    choice: bool,
    /// In the `if (…)` of a probe point, within so many parentheses.
    condition: Option<usize>,
}

impl Places {
    fn new(item: ItemKind) -> Self {
        Self { item, braces: 0, body_seen: false, choice: false, condition: None }
    }

    fn place(&self) -> Place {
        match self.item {
            _ if self.braces > 0 || self.condition.is_some() => Body,
            _ if self.body_seen => Top,
            ItemKind::Probe => Header,
            ItemKind::Global => Global,
            ItemKind::Function | ItemKind::Private => Place::Signature,
            ItemKind::Stray => Top,
        }
    }

    fn advance(&mut self, token: &str, after_dot: bool) {
        match (token, self.condition) {
            ("(", Some(open)) => self.condition = Some(open + 1),
            (")", Some(open)) => self.condition = (open > 1).then(|| open - 1),
            _ => {}
        }
        match token {
            "if" if !after_dot && self.place() == Header => self.condition = Some(0),
            // `{a,b}` in a probe point is no block.
            "{" if after_dot && self.braces == 0 => self.choice = true,
            "}" if self.choice => self.choice = false,
            "{" => {
                self.braces += 1;
                self.body_seen = true;
            }
            "}" => self.braces = self.braces.saturating_sub(1),
            _ => {}
        }
    }
}

/// The tokens at one place, to be compared with the rows.
struct Matcher<'a> {
    text: &'a str,
    tokens: &'a [Token],
    at: usize,
    place: Place,
}

impl<'a> Matcher<'a> {
    fn word(&self, at: usize) -> &'a str {
        self.tokens.get(at).map_or("", |token| &self.text[token.span.range()])
    }

    fn matches(&self, row: &Row) -> bool {
        // The first token rules out nearly every row, so it is looked at first.
        let place = row.place == Anywhere
            || row.place == self.place
            || (row.place == Top && self.place == Global);
        place
            && self.token_matches(row.pattern[0], self.at)
            && row
                .pattern
                .iter()
                .enumerate()
                .skip(1)
                .all(|(offset, pattern)| self.token_matches(*pattern, self.at + offset))
            && self.context_matches(row.after)
    }

    fn token_matches(&self, pattern: Pattern, at: usize) -> bool {
        let Some(token) = self.tokens.get(at) else {
            return false;
        };
        let text = self.word(at);
        match pattern {
            Is(expected) => text == expected,
            Word => token.kind == Kind::Word && !is_keyword(text),
            Number => token.kind == Kind::Number,
            Embedded => token.kind == Kind::Embedded,
            Quoted => token.kind == Kind::Quoted,
            Target => token.kind == Kind::Target,
            Every => token.kind == Kind::Target && text.starts_with("$$") && text != "$$",
            At => token.kind == Kind::At && !is_at_word(text.trim_start_matches('@')),
            Any => true,
        }
    }

    fn context_matches(&self, after: After) -> bool {
        let Some(before) = self.at.checked_sub(1) else {
            return after != Operand;
        };
        let (word, kind) = (self.word(before), self.tokens[before].kind);
        let operand = match kind {
            Kind::Word => !is_keyword(word),
            Kind::Punctuation => matches!(word, ")" | "]" | "++" | "--"),
            _ => true,
        };
        match after {
            Anything => true,
            Operand => operand,
            NoOperand => !operand,
            Statement => matches!(word, "{" | "}" | ";" | ")") || self.line_break(before),
        }
    }

    fn line_break(&self, before: usize) -> bool {
        let gap =
            self.tokens[before].span.range().end..self.tokens[self.at].span.range().start;
        self.text[gap].contains('\n')
    }

    fn diagnostic(&self, row: &Row) -> Diagnostic {
        let last = self.tokens[self.at + row.pattern.len() - 1];
        let span = self.tokens[self.at].span.to(last.span);
        let label = match row.code {
            Code::Unsupported => "not available yet",
            _ => "not hwt",
        };
        Diagnostic::new(row.code, span, self.fill(row.message))
            .label(label)
            .help(self.fill(row.help))
    }

    /// Puts the matched tokens in place of `{0}`, `{1}`…
    fn fill(&self, template: &str) -> String {
        let mut filled = template.to_owned();
        for offset in 0..8 {
            let mark = format!("{{{offset}}}");
            if template.contains(&mark) {
                filled = filled.replace(&mark, self.word(self.at + offset));
            }
        }
        filled
    }
}

/// Words that begin with `@` besides the operators.
static AT_WORDS: &[&str] = &["define", "entry", "const"];

/// Whether `@name` belongs to hwt.
pub(crate) fn is_at_word(name: &str) -> bool {
    AT_WORDS.contains(&name) || operator_names().any(|operator| operator == name)
}

/// The reserved words, as in the grammar.
pub(crate) static KEYWORDS: &[&str] = &[
    "probe", "global", "function", "private", "if", "else", "while", "foreach", "for",
    "in", "limit", "break", "continue", "next", "return", "delete", "try", "catch",
];

fn is_keyword(text: &str) -> bool {
    KEYWORDS.contains(&text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::scan;
    use super::*;

    fn findings(text: &str) -> Vec<String> {
        let tokens = scan::tokens(text).unwrap();
        let items = scan::items(text, &tokens);
        let found = |item: &Item| find(text, item, &tokens[item.tokens.clone()]);
        items.iter().flat_map(found).map(|found| found.help.join(" ")).collect()
    }

    #[test]
    fn help_names_what_was_written() {
        assert_eq!(
            findings("watchpoint:0x10:8:w { }"),
            ["write `probe process.data(0x10).length(8).write { … }`"]
        );
        assert_eq!(
            findings("probe begin { self->depth = 1 }"),
            ["declare `global depth` at the top and use `depth[tid()]`"]
        );
    }

    #[test]
    fn what_is_hwt_is_left_alone() {
        for text in [
            "probe begin { x = a & b; y = a && b; z = a / b; q = ~a }",
            "probe begin { n[1] = -1; foreach (k in n) print(k) }",
            "probe process.function(\"f\") { x = 0x1e5 . \"\" }",
            "global a[10], b = 3",
            "probe begin { x = !a; x = c ? y : z }",
            "function f:long (a) { return a }",
            "probe a.b if (n / (x ? y : z) / 2), c.d { }",
            "probe syscall.{open,close}? if (x) { s <<< 1; print(@count(s)) }",
        ] {
            assert_eq!(findings(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn a_predicate_behind_a_condition_is_one() {
        assert_eq!(findings("probe a if ((b)) /c/ { x = 1 }").len(), 1);
    }

    #[test]
    fn several_findings_of_one_item() {
        assert_eq!(findings("probe begin { int x; y = 'a'; z = a and b }").len(), 3);
    }

    #[test]
    fn rows_keep_the_house_style() {
        for row in ROWS {
            assert!(!row.message.ends_with('.') && !row.help.is_empty());
            assert!(!row.pattern.is_empty());
        }
    }
}
