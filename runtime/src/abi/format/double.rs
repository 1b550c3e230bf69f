//! Doubles, as C's printf writes them.

use super::{Conversion, Directive, WIDEST, pad};

/// The digits behind the point where no precision is given.
const PRECISION: usize = 6;

/// Writes `value` as C's printf does for `%f`, `%e` or `%g`, by the directive;
/// other directives are taken as `%g`. The precision is at most [`WIDEST`].
pub fn double(
    out: &mut Vec<u8>,
    directive: Directive,
    width: i64,
    precision: i64,
    value: f64,
) {
    let sign = match (value.is_sign_negative(), directive.plus, directive.space) {
        (true, _, _) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        (false, false, false) => "",
    };
    if !value.is_finite() {
        let body = if value.is_nan() { "nan" } else { "inf" };
        return pad(out, directive, width, sign.as_bytes(), body.as_bytes(), false);
    }
    let precision = usize::try_from(precision).unwrap_or(PRECISION).min(WIDEST);
    let body = match directive.conversion {
        Conversion::Fixed => fixed(value.abs(), precision, directive.alternate),
        Conversion::Exponent => exponent(value.abs(), precision, directive.alternate),
        _ => general(value.abs(), precision, directive.alternate),
    };
    pad(out, directive, width, sign.as_bytes(), body.as_bytes(), directive.zero);
}

/// Writes the shortest decimal number that reads back as `value`, as `print`
/// and `println` do: at least one digit behind the point, so that it is not
/// taken for a long, an exponent below 1e-5 and from 1e16; `inf`, `-inf` and
/// `nan`.
pub fn shortest(out: &mut Vec<u8>, value: f64) {
    if value.is_nan() {
        return out.extend_from_slice(b"nan");
    }
    let text = format!("{value:?}");
    match text.split_once('e') {
        Some((digits, power)) if !digits.contains('.') => {
            out.extend_from_slice(format!("{digits}.0e{power}").as_bytes());
        }
        _ => out.extend_from_slice(text.as_bytes()),
    }
}

/// Digits, and those behind the point; with `point` one also where none
/// follow it.
fn fixed(value: f64, precision: usize, point: bool) -> String {
    let mut text = format!("{value:.precision$}");
    if point && precision == 0 {
        text.push('.');
    }
    text
}

/// One digit, those behind the point, and the exponent with at least two.
fn exponent(value: f64, precision: usize, point: bool) -> String {
    let (digits, power) = scientific(value, precision);
    let point = if point && precision == 0 { "." } else { "" };
    format!("{digits}{point}{}", power_suffix(power))
}

/// So many significant digits, with an exponent where it is below -4 or there
/// are not as many digits; zeros at the end only with `keep`.
fn general(value: f64, precision: usize, keep: bool) -> String {
    let significant = precision.max(1);
    let (digits, power) = scientific(value, significant - 1);
    if power < -4 || power >= significant as i32 {
        let digits = if keep { with_point(digits) } else { trimmed(digits) };
        return digits + &power_suffix(power);
    }
    let behind = (significant as i32 - 1 - power) as usize;
    let text = format!("{value:.behind$}");
    if keep { with_point(text) } else { trimmed(text) }
}

/// The digits of the scientific form and its exponent.
fn scientific(value: f64, precision: usize) -> (String, i32) {
    let text = format!("{value:.precision$e}");
    match text.split_once('e') {
        Some((digits, power)) => (digits.to_owned(), power.parse().unwrap_or(0)),
        None => (text, 0),
    }
}

fn power_suffix(power: i32) -> String {
    let sign = if power < 0 { '-' } else { '+' };
    format!("e{sign}{:02}", power.unsigned_abs())
}

fn with_point(mut text: String) -> String {
    if !text.contains('.') {
        text.push('.');
    }
    text
}

fn trimmed(text: String) -> String {
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
