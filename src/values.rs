//! Values of watched data as people read them, by their type.

use std::cmp::Ordering;

use hwtrace_probes::types::{Type, TypeId, Types, is_bool, unwrapped};

/// How the values of some data are compared and shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values {
    kind: Kind,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Kind {
    /// Nothing is known but the bytes.
    #[default]
    Unknown,
    Unsigned,
    /// A number of so many bits.
    Signed(u32),
    /// A number of 4 or 8 bytes.
    Float(u32),
    Bool,
    Char,
    /// Values of so many bits, with their names.
    Named(u32, Vec<(i64, String)>),
    Pointer,
}

/// What needs more bits than this is an address or a mask, not a count.
const COUNT_BITS: u32 = 40;

impl Values {
    /// Of data of this type. Those of a bit-field are as wide as its type.
    pub fn of(types: &dyn Types, ty: TypeId) -> Self {
        if is_bool(types, ty) {
            return Self { kind: Kind::Bool };
        }
        let kind = match &*types.get(unwrapped(types, ty)) {
            Type::Integer { size, signed: true, .. } if *size <= 8 => {
                Kind::Signed(8 * size)
            }
            Type::Integer { size, .. } if *size <= 8 => Kind::Unsigned,
            Type::Char { size: 1, .. } => Kind::Char,
            Type::Char { .. } => Kind::Unsigned,
            Type::Float { size: size @ (4 | 8), .. } => Kind::Float(*size),
            Type::Enumeration(of) => {
                let named = |(name, value): &(String, i64)| (*value, name.clone());
                Kind::Named(
                    of.size.saturating_mul(8),
                    of.constants.iter().map(named).collect(),
                )
            }
            Type::Pointer { .. } => Kind::Pointer,
            _ => Kind::Unknown,
        };
        Self { kind }
    }

    /// Which of two values is the greater.
    pub fn compare(&self, left: u64, right: u64) -> Ordering {
        match self.kind {
            Kind::Signed(bits) => signed(left, bits).cmp(&signed(right, bits)),
            Kind::Float(size) => float(left, size).total_cmp(&float(right, size)),
            _ => left.cmp(&right),
        }
    }

    /// One value as a program reads it: a number, or `true` and `false`. What JSON has no
    /// number for (a float that is none) is a string.
    pub fn json(&self, value: u64) -> serde_json::Value {
        match &self.kind {
            Kind::Signed(bits) | Kind::Named(bits, _) => signed(value, *bits).into(),
            Kind::Float(4) => {
                // Its shortest text, not the nearest number of 8 bytes.
                let shortest = f32::from_bits(value as u32).to_string();
                number(shortest.parse().unwrap_or(f64::NAN))
            }
            Kind::Float(_) => number(f64::from_bits(value)),
            Kind::Bool if value <= 1 => (value == 1).into(),
            _ => value.into(),
        }
    }

    /// The lower and the higher one as text: `0..9`, `RED`, `-2.5..1`.
    pub fn range(
        &self,
        (low, high): (u64, u64),
        name: &mut dyn FnMut(u64) -> Option<String>,
    ) -> String {
        let wide = self.kind == Kind::Unknown && high >> COUNT_BITS != 0;
        let mut text = |value| match wide {
            true => format!("{value:#x}"),
            false => self.text(value, name),
        };
        let lowest = text(low);
        match low == high {
            true => lowest,
            false => format!("{lowest}..{}", text(high)),
        }
    }

    /// One value; `name` says what a pointer points to, where that has a name.
    pub fn text(
        &self,
        value: u64,
        name: &mut dyn FnMut(u64) -> Option<String>,
    ) -> String {
        match &self.kind {
            Kind::Unknown | Kind::Unsigned => value.to_string(),
            Kind::Signed(bits) => signed(value, *bits).to_string(),
            // As Rust prints them: the shortest that reads back as the same.
            Kind::Float(4) => f32::from_bits(value as u32).to_string(),
            Kind::Float(_) => f64::from_bits(value).to_string(),
            Kind::Bool => match value {
                0 => "false".to_owned(),
                1 => "true".to_owned(),
                other => other.to_string(),
            },
            Kind::Char => match u8::try_from(value) {
                Ok(byte) => format!("'{}'", byte.escape_ascii()),
                Err(_) => value.to_string(),
            },
            Kind::Named(bits, names) => names
                .iter()
                .find(|(known, _)| {
                    signed(value, *bits) == signed(known.cast_unsigned(), *bits)
                })
                .map_or_else(|| value.to_string(), |(_, name)| name.clone()),
            Kind::Pointer => match name(value) {
                Some(name) => format!("{value:#x} <{name}>"),
                None => format!("{value:#x}"),
            },
        }
    }
}

fn number(value: f64) -> serde_json::Value {
    serde_json::Number::from_f64(value)
        .map_or_else(|| value.to_string().into(), Into::into)
}

fn signed(value: u64, bits: u32) -> i64 {
    let unused = 64u32.saturating_sub(bits).min(63);
    (value << unused).cast_signed() >> unused
}

fn float(bits: u64, size: u32) -> f64 {
    match size {
        4 => f64::from(f32::from_bits(bits as u32)),
        _ => f64::from_bits(bits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(kind: Kind, low: u64, high: u64) -> String {
        let mut name = |value| (value == 0x4000).then(|| "&table[2]".to_owned());
        Values { kind }.range((low, high), &mut name)
    }

    #[test]
    fn values_are_shown_by_their_type() {
        assert_eq!(shown(Kind::Unknown, 0, 9), "0..9");
        assert_eq!(shown(Kind::Unknown, 9, 1 << 40), "0x9..0x10000000000");
        assert_eq!(shown(Kind::Unsigned, 1 << 40, 1 << 40), "1099511627776");
        assert_eq!(shown(Kind::Signed(32), 0xffff_fffe, 3), "-2..3");
        assert_eq!(
            shown(Kind::Float(8), 2.5f64.to_bits(), 1e10f64.to_bits()),
            "2.5..10000000000"
        );
        assert_eq!(
            shown(Kind::Float(4), 0.1f32.to_bits().into(), 0.1f32.to_bits().into()),
            "0.1"
        );
        assert_eq!(shown(Kind::Bool, 0, 1), "false..true");
        assert_eq!(shown(Kind::Char, 65, 10), "'A'..'\\n'");
        let colors = vec![(-1, "NONE".to_owned()), (2, "BLUE".to_owned())];
        assert_eq!(shown(Kind::Named(32, colors), 2, 0xffff_ffff), "BLUE..NONE");
        assert_eq!(shown(Kind::Named(8, vec![(200, "C8".to_owned())]), 3, 200), "3..C8");
        assert_eq!(shown(Kind::Pointer, 0, 0x4000), "0x0..0x4000 <&table[2]>");
    }

    #[test]
    fn programs_are_given_numbers() {
        let json = |kind, value| Values { kind }.json(value).to_string();
        assert_eq!(json(Kind::Unknown, u64::MAX), "18446744073709551615");
        assert_eq!(json(Kind::Signed(16), 0xfffe), "-2");
        assert_eq!(json(Kind::Named(8, vec![(-1, "NONE".to_owned())]), 0xff), "-1");
        assert_eq!(json(Kind::Float(8), 2.5f64.to_bits()), "2.5");
        assert_eq!(json(Kind::Float(4), 0.1f32.to_bits().into()), "0.1");
        assert_eq!(json(Kind::Float(8), f64::NAN.to_bits()), "\"NaN\"");
        assert_eq!(json(Kind::Float(8), f64::NEG_INFINITY.to_bits()), "\"-inf\"");
        assert_eq!(
            (json(Kind::Bool, 1), json(Kind::Bool, 2)),
            ("true".into(), "2".into())
        );
        assert_eq!(json(Kind::Char, 65), "65");
    }

    #[test]
    fn signs_and_floats_are_compared_as_such() {
        let compare = |kind, left, right| Values { kind }.compare(left, right);
        assert_eq!(compare(Kind::Signed(8), 0xff, 1), Ordering::Less);
        assert_eq!(compare(Kind::Unsigned, 0xff, 1), Ordering::Greater);
        let (minus, plus) = ((-2.0f64).to_bits(), 1.0f64.to_bits());
        assert_eq!(compare(Kind::Float(8), minus, plus), Ordering::Less);
    }
}
