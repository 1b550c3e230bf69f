//! Lists data by pattern, as `hwtrace list` shows it: variables, and members where
//! the pattern asks for them.

use crate::types::{
    Bits, Line, NESTING_MAX, Place, Record, Type, TypeId, Types, Variable,
};
use crate::types::{type_name, unwrapped};

/// A pattern for data: `cfg`, `cfg.*`, `limits[*].max`, `app::*`.
///
/// `*` stands for anything within one name, `?` for one character, and `**` for
/// anything at all: it goes into members and elements, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Token>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Byte(u8),
    /// `?`
    One,
    /// `*`
    Name,
    /// `**`
    All,
}

/// Data that was listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What names it in a script.
    pub name: String,
    /// Its type, as its source writes it.
    pub ty: String,
    /// Its bytes; none where that is not known.
    pub size: Option<u64>,
    /// Where it lies.
    pub place: Place,
    /// Of a bit-field: which bits.
    pub bits: Option<Bits>,
    /// Where its variable is declared.
    pub declared: Option<Line>,
}

/// Members and elements of one variable that are looked at; more are left out.
pub const PARTS_MAX: usize = 20_000;

impl Pattern {
    /// A pattern from its text; every text is one.
    pub fn new(text: &str) -> Self {
        let mut tokens = Vec::with_capacity(text.len());
        for byte in text.bytes() {
            match (byte, tokens.last()) {
                (b'*', Some(Token::Name)) => {
                    tokens.pop();
                    tokens.push(Token::All);
                }
                (b'*', Some(Token::All)) => {}
                (b'*', _) => tokens.push(Token::Name),
                (b'?', _) => tokens.push(Token::One),
                (byte, _) => tokens.push(Token::Byte(byte)),
            }
        }
        Self(tokens)
    }

    /// Whether it stands for this whole text.
    pub fn matches(&self, text: &str) -> bool {
        self.at(text).last() == Some(&true)
    }

    /// Whether it may stand for a text that begins like this.
    fn may_begin(&self, text: &str) -> bool {
        self.at(text).contains(&true)
    }

    /// The only element that it can mean of an array of this name, where it gives its
    /// number.
    fn only_element(&self, array: &str) -> Option<u64> {
        let here = self.at(&format!("{array}["));
        let mut positions = here.iter().enumerate().filter(|(_, is_here)| **is_here);
        let (first, _) = positions.next().filter(|_| positions.next().is_none())?;
        let mut digits = String::new();
        for token in &self.0[first..] {
            match token {
                Token::Byte(digit @ b'0'..=b'9') => digits.push(char::from(*digit)),
                Token::Byte(b']') => return digits.parse().ok(),
                _ => return None,
            }
        }
        None
    }

    /// Whether it asks for elements of arrays.
    fn has_elements(&self) -> bool {
        self.0.iter().any(|token| matches!(token, Token::Byte(b'[') | Token::All))
    }

    /// By position in the pattern, its end among them: whether it can be reached
    /// with this text.
    fn at(&self, text: &str) -> Vec<bool> {
        let mut here = vec![false; self.0.len() + 1];
        here[0] = true;
        self.skip(&mut here);
        for byte in text.bytes() {
            let mut next = vec![false; here.len()];
            for (position, token) in self.0.iter().enumerate() {
                match token {
                    _ if !here[position] => {}
                    Token::Byte(own) => next[position + 1] |= *own == byte,
                    Token::One => next[position + 1] |= !divides(byte),
                    Token::Name => next[position] |= !divides(byte),
                    Token::All => next[position] = true,
                }
            }
            self.skip(&mut next);
            here = next;
        }
        here
    }

    /// Stars may stand for nothing.
    fn skip(&self, here: &mut [bool]) {
        for (position, token) in self.0.iter().enumerate() {
            if matches!(token, Token::Name | Token::All) {
                here[position + 1] |= here[position];
            }
        }
    }
}

/// Divides a name from a member's, or an element's number.
fn divides(byte: u8) -> bool {
    matches!(byte, b'.' | b'[')
}

/// Hands on what the pattern stands for of a variable: itself, its members, its
/// elements. Gives whether some were left out, as they are too many.
pub fn entries(
    types: &dyn Types,
    variable: &Variable,
    pattern: &Pattern,
    each: &mut dyn FnMut(Entry),
) -> bool {
    let mut lister = Lister { types, pattern, variable, each, left: PARTS_MAX };
    let part = Part { ty: variable.ty, offset: 0, bits: None };
    lister.list(&variable.name, part, NESTING_MAX);
    lister.left == 0
}

struct Lister<'a> {
    types: &'a dyn Types,
    pattern: &'a Pattern,
    variable: &'a Variable,
    each: &'a mut dyn FnMut(Entry),
    left: usize,
}

#[derive(Clone, Copy)]
struct Part {
    ty: TypeId,
    offset: u64,
    bits: Option<Bits>,
}

impl Lister<'_> {
    fn list(&mut self, name: &str, part: Part, depth: u32) {
        let Some(depth) = depth.checked_sub(1) else { return };
        if self.left == 0 || !self.pattern.may_begin(name) {
            return;
        }
        self.left -= 1;
        if self.pattern.matches(name) {
            let entry = Entry {
                name: name.to_owned(),
                ty: type_name(self.types, part.ty),
                size: self.types.size(part.ty),
                place: self.place(part.offset),
                bits: part.bits,
                declared: self.variable.declared.clone(),
            };
            (self.each)(entry);
        }
        match &*self.types.get(unwrapped(self.types, part.ty)) {
            Type::Record(record) => self.members(name, record, part.offset, depth),
            Type::Array { of, length } if self.pattern.has_elements() => {
                let Some(size) = self.types.size(*of) else { return };
                let all = 0..length.unwrap_or(0);
                let only = self.pattern.only_element(name);
                let only = only.map(|only| only..only.saturating_add(1).min(all.end));
                for index in only.unwrap_or(all) {
                    if self.left == 0 {
                        return;
                    }
                    let offset = part.offset.wrapping_add(index.wrapping_mul(size));
                    let part = Part { ty: *of, offset, bits: None };
                    self.list(&format!("{name}[{index}]"), part, depth);
                }
            }
            _ => {}
        }
    }

    /// Those of nameless members and base classes are named as if they were its own.
    fn members(&mut self, name: &str, record: &Record, offset: u64, depth: u32) {
        let Some(inner) = depth.checked_sub(1) else { return };
        for member in &record.members {
            let offset = offset.wrapping_add(member.offset);
            match &member.name {
                Some(own) => {
                    let part = Part { ty: member.ty, offset, bits: member.bits };
                    self.list(&format!("{name}.{own}"), part, depth);
                }
                None => {
                    if let Type::Record(nameless) = &*self.types.plain(member.ty).1 {
                        self.members(name, nameless, offset, inner);
                    }
                }
            }
        }
    }

    fn place(&self, offset: u64) -> Place {
        match self.variable.place {
            Place::Fixed(start) => {
                let address = start.checked_add(offset);
                address.map_or(Place::Elsewhere, Place::Fixed)
            }
            Place::ThreadLocal(start) => Place::ThreadLocal(start.wrapping_add(offset)),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stay_within_a_name() {
        let matches = |pattern, text| Pattern::new(pattern).matches(text);
        assert!(matches("cfg.*", "cfg.limit"));
        assert!(!matches("cfg.*", "cfg.limits[2]"));
        assert!(!matches("cfg.*", "cfg.limits.max"));
        assert!(matches("cfg.**", "cfg.limits[2].max"));
        assert!(matches("*[*].max", "limits[12].max"));
        assert!(matches("app::*", "app::stats::HITS"));
        assert!(matches("c?g", "cfg") && !matches("c?g", "c.g") && !matches("c?g", "cg"));
        assert!(matches("*", "counter") && matches("**", "") && !matches("", "x"));
        assert!(Pattern::new("cfg.limits[*].max").may_begin("cfg.limits"));
        assert!(!Pattern::new("cfg.limits[*].max").may_begin("cfg.names"));
    }

    #[test]
    fn a_number_means_one_element() {
        let only = |pattern, array| Pattern::new(pattern).only_element(array);
        assert_eq!(only("huge[12345678]", "huge"), Some(12_345_678));
        assert_eq!(only("cfg.limits[2].*", "cfg.limits"), Some(2));
        assert_eq!(only("huge[1?]", "huge"), None);
        assert_eq!(only("huge[*].max", "huge"), None);
        assert_eq!(only("**", "huge"), None);
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = Pattern::new(&"*a".repeat(500));
        assert!(!pattern.matches(&"a".repeat(499)));
    }
}
