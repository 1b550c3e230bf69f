//! From text to tree.
//!
//! ```text
//! whole   := unary { ("+" | "-") NUMBER }
//! unary   := "*" unary | "&" unary | "(" TYPE stars ")" unary | postfix
//! postfix := primary { "." NAME | "->" NAME | "[" constant "]"
//!                    | "[" [ constant ] ".." [ constant ] "]" }
//! primary := NUMBER | [ MODULE ":" ] NAME | "(" whole ")"
//! ```

use super::scan::{self, ANONYMOUS};
use super::{Constant, ExprError, ExprErrorKind, Expression, Operator};

/// Longer texts are refused: no name is, and work stays bounded.
pub(super) const MAX_LENGTH: usize = 16 * 1024;

/// So many operators and operands; the tree is no deeper.
const MAX_PARTS: u32 = 200;

pub(super) fn parse(text: &str) -> Result<Expression, ExprError> {
    if text.len() > MAX_LENGTH {
        let kind = ExprErrorKind::TooLong { max: MAX_LENGTH };
        return Err(ExprError::new(MAX_LENGTH, kind));
    }
    let mut parser = Parser { text, at: 0, parts: 0 };
    parser.skip_blanks();
    if parser.rest().is_empty() {
        return Err(ExprError::new(0, ExprErrorKind::Empty));
    }
    let start = parser.at;
    let expression = parser.whole()?;
    if !parser.rest().is_empty() {
        return Err(parser.unexpected("nothing"));
    }
    let mut data = &expression;
    while let Expression::Offset { of, .. } = data {
        data = of;
    }
    match data {
        Expression::Reference(of) => {
            let kind = ExprErrorKind::AddressOf { of: of.to_string() };
            Err(ExprError::new(start, kind))
        }
        _ => Ok(expression),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    parts: u32,
}

type Parsed<T = Expression> = Result<T, ExprError>;

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// Goes on by so many bytes, and gives them.
    fn take(&mut self, length: usize) -> &'a str {
        let taken = &self.rest()[..length];
        self.at += length;
        self.skip_blanks();
        taken
    }

    fn takes(&mut self, token: &str) -> bool {
        let there = self.rest().starts_with(token);
        if there {
            self.take(token.len());
        }
        there
    }

    fn error<T>(&self, kind: ExprErrorKind) -> Parsed<T> {
        Err(ExprError::new(self.at, kind))
    }

    /// The next character cannot stand here.
    fn unexpected(&self, expected: &'static str) -> ExprError {
        let kind = match self.rest().chars().next() {
            Some('/') if self.at == 0 => ExprErrorKind::RegularExpression,
            Some(found) => {
                // A blank is seen where it is, not what comes behind it.
                let before = self.text[..self.at].trim_end();
                let at = if before.ends_with(|c: char| c.is_alphanumeric())
                    && found.is_alphanumeric()
                {
                    before.len()
                } else {
                    self.at
                };
                let found = self.text[at..].chars().next().unwrap_or(found);
                return ExprError::new(at, ExprErrorKind::Syntax { at, found });
            }
            None => ExprErrorKind::Incomplete { expected },
        };
        ExprError::new(self.at, kind)
    }

    /// Counts the parts: the tree's depth, and that of the recursion, are no greater.
    fn part(&mut self) -> Parsed<()> {
        self.parts += 1;
        match self.parts > MAX_PARTS {
            true => self.error(ExprErrorKind::TooManyParts { max: MAX_PARTS }),
            false => Ok(()),
        }
    }

    fn whole(&mut self) -> Parsed {
        let start = self.at;
        let of = self.unary()?;
        let mut sum = 0_i64;
        while let Some(sign @ ('+' | '-')) = self.rest().chars().next() {
            if self.rest().starts_with("->") {
                break;
            }
            self.take(1);
            let at = self.at;
            if !self.rest().starts_with(|c: char| c.is_ascii_digit()) {
                return self.error(ExprErrorKind::MissingOffset);
            }
            let digits = self.number_text();
            let bad = || {
                let text = digits.to_owned();
                ExprError::new(at, ExprErrorKind::BadNumber { text })
            };
            let value = i64::try_from(number(digits, at)?).map_err(|_| bad())?;
            let value = if sign == '-' { -value } else { value };
            sum = sum.checked_add(value).ok_or_else(bad)?;
        }
        let text = self.text[start..self.at].trim_end();
        let bad = || ExprErrorKind::BadNumber { text: text.to_owned() };
        offset(of, sum).ok_or_else(|| ExprError::new(start, bad()))
    }

    fn unary(&mut self) -> Parsed {
        self.part()?;
        if self.takes("*") {
            return Ok(Expression::Dereference(Box::new(self.unary()?)));
        }
        if self.takes("&") {
            return Ok(Expression::Reference(Box::new(self.unary()?)));
        }
        if let Some((to, stars)) = self.cast()? {
            let of = Box::new(self.unary()?);
            return Ok(Expression::Cast { to, stars, of });
        }
        self.postfix()
    }

    /// `(TYPE *)`, where there is one.
    fn cast(&mut self) -> Parsed<Option<(String, u32)>> {
        let rest = self.rest();
        if !rest.starts_with('(') || scan::name(rest) > 0 {
            return Ok(None);
        }
        let Some(length) = scan::bracketed(rest) else {
            return self.error(ExprErrorKind::Unclosed { bracket: '(' });
        };
        let inner = rest[1..length - 1].trim();
        let behind = rest[length..].trim_start();
        let (to, stars) = pointer_type(inner);
        let is_type = !to.is_empty() && to.starts_with(|c: char| !c.is_ascii_digit());
        if stars > 0 && is_type && scan_type(&to) {
            self.take(length);
            return Ok(Some((to, stars)));
        }
        let operand = |c: char| c.is_alphanumeric() || "_(*&\"".contains(c);
        if stars == 0 && is_type && scan_type(inner) && behind.starts_with(operand) {
            let kind = ExprErrorKind::NotAPointer { to };
            return self.error(kind);
        }
        Ok(None)
    }

    fn postfix(&mut self) -> Parsed {
        let mut of = self.primary()?;
        loop {
            if self.takes("->") {
                let name = self.member()?;
                of = Expression::Arrow { of: Box::new(of), name };
            } else if self.takes(".") {
                let name = self.member()?;
                of = Expression::Member { of: Box::new(of), name };
            } else if self.rest().starts_with('[') {
                let open = self.at;
                self.take(1);
                of = self.elements(of)?;
                if !self.takes("]") {
                    let unclosed = ExprErrorKind::Unclosed { bracket: '[' };
                    return match self.rest().is_empty() {
                        true => Err(ExprError::new(open, unclosed)),
                        false => Err(self.unexpected("`]`")),
                    };
                }
            } else {
                return Ok(of);
            }
            self.part()?;
        }
    }

    fn member(&mut self) -> Parsed<String> {
        let rest = self.rest();
        // A tuple's fields are numbers, and names have no blanks here.
        let length = match rest.starts_with(|c: char| c.is_ascii_digit()) {
            true => scan::word(rest),
            false => scan::name(rest),
        };
        match length {
            0 => Err(self.unexpected("a member's name")),
            _ => Ok(self.take(length).trim_end().to_owned()),
        }
    }

    fn primary(&mut self) -> Parsed {
        let rest = self.rest();
        if let Some(tail) = rest.strip_prefix('"') {
            let unclosed = ExprErrorKind::Unclosed { bracket: '"' };
            let Some(end) = tail.find('"') else { return self.error(unclosed) };
            self.take(end + 2);
            if end == 0 || !self.takes(":") {
                return Err(self.unexpected("`:` and a name"));
            }
            return self.name(Some(tail[..end].to_owned()));
        }
        if let Some(length) = scan::module(rest) {
            let module = self.take(length).to_owned();
            self.takes(":");
            return self.name(Some(module));
        }
        if rest.starts_with(|c: char| c.is_ascii_digit()) {
            return self.address();
        }
        if rest.starts_with('(') && !rest.starts_with(ANONYMOUS) {
            let open = self.at;
            self.take(1);
            let whole = self.whole()?;
            if self.takes(")") {
                return Ok(whole);
            }
            return match self.rest().is_empty() {
                true => {
                    let kind = ExprErrorKind::Unclosed { bracket: '(' };
                    Err(ExprError::new(open, kind))
                }
                false => Err(self.unexpected("`)`")),
            };
        }
        self.name(None)
    }

    fn name(&mut self, module: Option<String>) -> Parsed {
        let length = scan::name(self.rest());
        // Not `::x`-less colons, nor a number where a name must be.
        if length == 0 {
            return Err(self.unexpected("the name of a variable"));
        }
        let name = self.take(length).trim_end().to_owned();
        Ok(Expression::Name { module, name })
    }

    fn number_text(&mut self) -> &'a str {
        let length = scan::word(self.rest());
        self.take(length)
    }

    fn address(&mut self) -> Parsed {
        let at = self.at;
        let digits = self.number_text();
        let address = number(digits, at)?;
        let as_hex = u64::from_str_radix(digits, 16).ok();
        Ok(match as_hex.filter(|&as_hex| as_hex != address) {
            Some(as_hex) => Expression::Decimal { address, as_hex },
            None => Expression::Address(address),
        })
    }

    /// What is in `[…]`: an element, or some of them.
    fn elements(&mut self, of: Expression) -> Parsed {
        if self.takes("..") {
            return self.range(of, None);
        }
        let index = self.sum()?;
        match self.takes("..") {
            true => self.range(of, Some(index)),
            false => Ok(Expression::Index { of: Box::new(of), index }),
        }
    }

    /// What is behind the dots of a range.
    fn range(&mut self, of: Expression, from: Option<Constant>) -> Parsed {
        let to = match self.rest().starts_with(']') {
            true => None,
            false => Some(self.sum()?),
        };
        Ok(Expression::Range { of: Box::new(of), from, to })
    }

    /// A constant.
    fn sum(&mut self) -> Parsed<Constant> {
        let mut left = self.product()?;
        loop {
            let operator = match self.rest().chars().next() {
                Some('+') => Operator::Add,
                Some('-') => Operator::Subtract,
                _ => return Ok(left),
            };
            self.take(1);
            let right = self.product()?;
            left = self.binary(operator, left, right)?;
        }
    }

    fn product(&mut self) -> Parsed<Constant> {
        let mut left = self.factor()?;
        while self.takes("*") {
            let right = self.factor()?;
            left = self.binary(Operator::Multiply, left, right)?;
        }
        Ok(left)
    }

    fn factor(&mut self) -> Parsed<Constant> {
        self.part()?;
        if self.takes("-") {
            let of = self.factor()?;
            return self.binary(Operator::Subtract, Constant::Number(0), of);
        }
        if self.takes("(") {
            let inner = self.sum()?;
            return match self.takes(")") {
                true => Ok(inner),
                false => Err(self.unexpected("`)`")),
            };
        }
        let at = self.at;
        if self.rest().starts_with(|c: char| c.is_ascii_digit()) {
            let digits = self.number_text();
            let value = i64::try_from(number(digits, at)?);
            let bad = |_| {
                let text = digits.to_owned();
                ExprError::new(at, ExprErrorKind::BadNumber { text })
            };
            return value.map(Constant::Number).map_err(bad);
        }
        match scan::name(self.rest()) {
            0 => Err(self.unexpected("an index")),
            length => Ok(Constant::Named(self.take(length).trim_end().to_owned())),
        }
    }

    fn binary(
        &self,
        operator: Operator,
        left: Constant,
        right: Constant,
    ) -> Parsed<Constant> {
        Constant::binary(operator, left.clone(), right.clone()).ok_or_else(|| {
            let whole = Constant::Binary(operator, Box::new(left), Box::new(right));
            let kind = ExprErrorKind::BadNumber { text: whole.to_string() };
            ExprError::new(self.at, kind)
        })
    }
}

/// Adds to addresses and to other offsets at once. `None` where the sum does not
/// fit.
fn offset(of: Expression, count: i64) -> Option<Expression> {
    Some(match of {
        _ if count == 0 => of,
        Expression::Address(address) => {
            Expression::Address(address.checked_add_signed(count)?)
        }
        Expression::Decimal { address, as_hex } => {
            let address = address.checked_add_signed(count)?;
            match as_hex.checked_add_signed(count) {
                Some(as_hex) => Expression::Decimal { address, as_hex },
                None => Expression::Address(address),
            }
        }
        Expression::Offset { of, count: before } => {
            let count = before.checked_add(count)?;
            match count {
                0 => *of,
                i64::MIN => return None,
                count => Expression::Offset { of, count },
            }
        }
        // There is no text for the least number.
        _ if count == i64::MIN => return None,
        of => Expression::Offset { of: Box::new(of), count },
    })
}

/// Reads `0x…` or a decimal number. A leading zero is refused, as C and debuggers
/// disagree about it.
fn number(text: &str, at: usize) -> Parsed<u64> {
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (digits, radix) = hex.map_or((text, 10), |digits| (digits, 16));
    let octal = radix == 10 && digits.len() > 1 && digits.starts_with('0');
    // `from_str_radix` would accept a sign of its own.
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    match u64::from_str_radix(digits, radix) {
        Ok(number) if plain && !octal => Ok(number),
        _ => {
            let text = text.to_owned();
            Err(ExprError::new(at, ExprErrorKind::BadNumber { text }))
        }
    }
}

/// A type's name without its stars and qualifiers, and how many stars it has: as C
/// has them, behind it, or as Rust does: `*mut T`.
fn pointer_type(text: &str) -> (String, u32) {
    let mut rest = text;
    let mut stars = 0;
    for front in ["*mut ", "*const "] {
        while let Some(tail) = rest.strip_prefix(front) {
            stars += 1;
            rest = tail.trim_start();
        }
    }
    loop {
        rest = rest.trim_end();
        if let Some(front) = rest.strip_suffix('*') {
            stars += 1;
            rest = front;
        } else if let Some(front) = QUALIFIERS
            .iter()
            .find_map(|qualifier| rest.strip_suffix(qualifier))
            .filter(|front| front.ends_with([' ', '*']))
        {
            rest = front;
        } else {
            break;
        }
    }
    let words = rest.split_whitespace().filter(|word| !QUALIFIERS.contains(word));
    (words.collect::<Vec<_>>().join(" "), stars)
}

const QUALIFIERS: [&str; 3] = ["const", "volatile", "restrict"];

/// Is all of it the name of a type: words and paths?
fn scan_type(text: &str) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        match scan::name(rest) {
            0 => return false,
            length => rest = rest[length..].trim_start(),
        }
    }
    true
}
