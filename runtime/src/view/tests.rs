//! Views against a plain model of bytes and bits.

use proptest::prelude::*;

use super::*;
use crate::schema::UNSURE_NEW;

fn range(start: u8, end: u8) -> ByteRange {
    ByteRange { start, end }
}

fn record(old: u64, new: u64, touched: ByteRange) -> HitRecord {
    let all = HitRecord { data_address: 0x1000, data_length: 8, old, new, ..default() };
    HitRecord { touched, told: touched, exact: (touched.length() == 8).into(), ..all }
}

fn default() -> HitRecord {
    HitRecord::default()
}

fn part(offset: u8, length: u8, name: u64) -> Part {
    Part { offset, length, name, ..Part::default() }
}

/// Two `int`s in one register.
fn pair() -> View {
    let parts = [part(0, 4, 1), part(4, 4, 2)];
    View { window: range(0, 8), whole: false, parts: parts.into(), name: 9 }
}

#[test]
fn the_member_that_was_stored_is_the_one_that_is_seen() {
    let hit = record(0x2_0000_0001, 0x3_0000_0001, range(4, 8));
    let seen = pair().narrow(&hit).expect("its own");
    assert_eq!((seen.old, seen.new, seen.data_name), (2, 3, 2));
    assert_eq!((seen.data_address, seen.data_length), (0x1004, 4));
    assert_eq!((seen.exact, seen.touched), (1, range(0, 4)), "told by the instruction");
    // The same value again: the bytes that were accessed tell.
    let again = pair().narrow(&record(7, 7, range(4, 8))).expect("its own");
    assert_eq!((again.data_name, again.old), (2, 0));
}

#[test]
fn without_the_instruction_the_change_tells_else_it_is_the_first() {
    let seen = |old, new| pair().narrow(&record(old, new, range(0, 0)));
    assert_eq!(seen(0, 1 << 32).map(|it| (it.data_name, it.exact)), Some((2, 0)));
    assert_eq!(seen(5, 5).map(|it| it.data_name), Some(1));
    // Both were stored, the second alone changed.
    let both = pair().narrow(&record(5, 5 | 1 << 40, range(0, 8)));
    assert_eq!(both.map(|it| it.data_name), Some(2));
}

#[test]
fn all_that_changed_while_nobody_watched_is_seen() {
    let away = |old, new| HitRecord {
        access: AccessKind::Away as u32,
        ..record(old, new, ByteRange::differing(old, new))
    };
    let seen = |old, new| {
        let (view, change) = (pair(), away(old, new));
        let seen = view.seen(&change).map(|it| (it.data_name, it.old, it.new));
        seen.collect::<Vec<_>>()
    };
    assert_eq!(seen(0x2_0000_0001, 0x5_0000_0004), [(1, 1, 4), (2, 2, 5)]);
    assert_eq!(seen(0x2_0000_0001, 0x5_0000_0001), [(2, 2, 5)]);
    // A store of both is one hit, of a member; and who wants all of it has it once.
    let both = record(0x2_0000_0001, 0x5_0000_0004, range(0, 8));
    assert_eq!(pair().seen(&both).count(), 1);
    let whole = View::identity(8, 7);
    assert_eq!(whole.seen(&away(1, 1 << 40 | 2)).count(), 1);
    // Sides of a union.
    let sides = [part(0, 8, 1), part(0, 4, 2), part(4, 4, 3)];
    let sides = View { parts: sides.into(), ..pair() };
    let change = away(0x2_0000_0001, 0x5_0000_0004);
    assert_eq!(sides.seen(&change).map(|it| it.data_name).collect::<Vec<_>>(), [1]);
    // Between the members.
    let apart = View { parts: [part(0, 2, 1), part(4, 4, 2)].into(), ..pair() };
    let between = away(0, 1 << 24);
    let seen: Vec<_> = apart.seen(&between).map(|it| it.data_name).collect();
    assert_eq!(seen, [9]);
}

#[test]
fn accesses_to_the_neighbour_are_not_seen() {
    let view = View { window: range(0, 4), ..View::identity(8, 7) };
    assert_eq!(view.narrow(&record(1, 1, range(4, 8))), None);
    let seen = view.narrow(&record(1, 2, range(3, 5))).expect("one byte of it");
    assert_eq!((seen.old, seen.new, seen.data_length, seen.exact), (1, 2, 4, 0));
    assert!(view.narrow(&record(0, 1 << 40, range(0, 0))).is_some(), "not for certain");
}

#[test]
fn a_bit_field_is_seen_when_it_changes_or_may_have() {
    let bits = Some(Bits { low: 3, width: 4 });
    let field = Part { bits, signed: true, ..part(2, 2, 1) };
    let view = View { parts: [field].into(), window: range(2, 4), ..View::default() };
    let stored = |value: u64| value << 16;
    let hit = record(stored(0b0011_1111), stored(0b0100_0111), range(2, 4));
    let seen = view.narrow(&hit).expect("it changed");
    assert_eq!((seen.old, seen.new.cast_signed(), seen.data_length), (7, -8, 2));
    let other = record(stored(0b0011_1111), stored(0b0011_1000), range(2, 4));
    assert_eq!(view.narrow(&other), None);
    let doubtful = HitRecord { doubts: UNSURE_NEW, ..other };
    assert!(view.narrow(&doubtful).is_some());
    let whole = View { whole: true, ..view };
    assert_eq!(whole.narrow(&other).map(|it| it.data_name), Some(1));
    let neighbour = Part { bits: Some(Bits { low: 7, width: 9 }), name: 2, ..field };
    let several = View { parts: [field, neighbour].into(), ..whole };
    assert_eq!(several.narrow(&other).map(|it| it.data_name), Some(0), "of neither");
    assert_eq!(several.narrow(&hit).map(|it| it.data_name), Some(1));
    let apart = View { whole: false, ..several };
    let seen = apart.narrow(&other).map(|it| (it.data_name, it.new));
    assert_eq!(seen, Some((0, 0b0011_1000)), "a store to one of them");
}

#[test]
fn signs_reach_into_all_bits_but_not_of_what_is_torn() {
    let byte = Part { signed: true, ..part(7, 1, 1) };
    let view = View { window: range(7, 8), parts: [byte].into(), ..View::default() };
    let hit = record(0, 0xfe << 56, range(0, 8));
    let seen = view.narrow(&hit).expect("its own");
    assert_eq!((seen.new.cast_signed(), seen.exact), (-2, 1));
    let torn = [Part { partial: true, ..byte }].into();
    let seen = View { parts: torn, ..view }.narrow(&hit).expect("its own");
    assert_eq!((seen.new, seen.exact), (0xfe, 0));
}

fn any_range() -> impl Strategy<Value = ByteRange> {
    (0u8..8, 0u8..9).prop_map(|(start, end)| range(start, end))
}

fn any_part() -> impl Strategy<Value = Part> {
    let bits = proptest::option::of((0u8..70, 0u8..70));
    (0u8..9, 0u8..9, bits, any::<bool>(), 1u64..9).prop_map(
        |(offset, length, bits, signed, name)| {
            let bits = bits.map(|(low, width)| Bits { low, width });
            Part { offset, length, bits, signed, partial: false, name }
        },
    )
}

/// The bytes of a value in a range, as an integer.
fn of_bytes(value: u64, bytes: ByteRange) -> u64 {
    let all = value.to_le_bytes();
    let mut out = [0; 8];
    for (to, at) in out.iter_mut().zip(bytes.start..bytes.end) {
        *to = all.get(usize::from(at)).copied().unwrap_or(0);
    }
    u64::from_le_bytes(out)
}

proptest! {
    #[test]
    fn nothing_is_seen_of_what_is_not_its_own(
        old: u64, new: u64, window in any_range(), touched in any_range(),
    ) {
        let view = View { window, ..View::identity(8, 3) };
        let hit = record(old, new, touched);
        match view.narrow(&hit) {
            None => {
                let inside = |at: u8| (window.start..window.end).contains(&at);
                prop_assert!(!touched.is_empty());
                prop_assert!(!(touched.start..touched.end).any(inside));
            }
            Some(seen) => {
                prop_assert_eq!(seen.old, of_bytes(old, window));
                prop_assert_eq!(seen.new, of_bytes(new, window));
                prop_assert_eq!(seen.data_address, 0x1000 + u64::from(window.start));
                prop_assert_eq!(seen.data_name, 3);
                let covered = !window.is_empty()
                    && (window.start..window.end).all(|at| touched.as_range().contains(&at.into()));
                prop_assert_eq!(seen.exact, u32::from(covered));
            }
        }
    }

    /// Whatever the parts, however wrong: no panic, and a bit-field's value is of
    /// its width.
    #[test]
    fn parts_of_any_kind(
        old: u64, new: u64, window in any_range(), touched in any_range(),
        parts in proptest::collection::vec(any_part(), 0..6),
        whole: bool,
    ) {
        let view = View { window, whole, parts: parts.clone().into(), name: 0 };
        let Some(seen) = view.narrow(&record(old, new, touched)) else { return Ok(()) };
        let Some(part) = parts.iter().find(|part| part.name == seen.data_name) else {
            prop_assert_eq!(seen.data_name, 0, "none of the parts");
            return Ok(());
        };
        if parts.len() == 1 && !whole {
            let stored = of_bytes(new, range(part.offset, part.offset + part.length));
            let expected = match part.bits {
                None => stored,
                Some(Bits { low, width }) => (0..width.min(64)).fold(0, |value, bit| {
                    let at = u32::from(low) + u32::from(bit);
                    value | (stored.checked_shr(at).unwrap_or(0) & 1) << bit
                }),
            };
            let low = part.bits.map_or(64, |bits| bits.width);
            let mask = 1u64.checked_shl(low.into()).map_or(u64::MAX, |bit| bit - 1);
            let stored_bits = u32::from(part.length) * 8;
            let storage = 1u64.checked_shl(stored_bits).map_or(u64::MAX, |bit| bit - 1);
            prop_assert_eq!(seen.new & mask & storage, expected & storage & mask);
        }
    }
}
