//! How much of the time an object has a register, compared to others that take turns with
//! it: those that came lately and those that are hit often have more.

/// Who came less than so long ago is new, in nanoseconds; for four times as long it is still
/// a little.
const NEW_NS: u64 = 1_000_000_000;

/// The most that activity counts.
const ACTIVE_MAX: u32 = 8;

/// The weight of an object that came so long ago, in nanoseconds, and had so many hits in its
/// last turns: between 1 and 13.
pub const fn weight(age_ns: u64, hits: u64) -> u32 {
    let new = match age_ns / NEW_NS {
        0 => 4,
        1..4 => 2,
        _ => 0,
    };
    // One more for each time that there are twice as many.
    let active = u64::BITS - hits.leading_zeros();
    1 + new + if active < ACTIVE_MAX { active } else { ACTIVE_MAX }
}

/// What is left of the hits of turns before once another is over: a half, so that those of
/// long ago are forgotten.
pub fn faded(hits: u64) -> u64 {
    hits / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_and_more_active_ones_have_more() {
        let (old, hits) = (60 * NEW_NS, 100);
        assert_eq!(weight(old, 0), 1, "nobody has nothing");
        assert!(weight(0, 0) > weight(2 * NEW_NS, 0));
        assert!(weight(2 * NEW_NS, 0) > weight(old, 0));
        assert!(weight(old, hits) > weight(old, 3) && weight(old, 3) > weight(old, 1));
        assert!(weight(0, hits) > weight(old, hits));
    }

    #[test]
    fn weights_have_a_bound_and_grow_with_hits() {
        for age in [0, NEW_NS, 5 * NEW_NS, u64::MAX] {
            let weights: Vec<_> = (0..64).map(|log| weight(age, 1 << log)).collect();
            assert!(
                weights.is_sorted() && weights.iter().all(|it| (1..=13).contains(it))
            );
        }
        assert_eq!(weight(0, u64::MAX), 13);
    }

    #[test]
    fn activity_of_long_ago_is_forgotten() {
        let mut hits = u64::MAX;
        (0..64).for_each(|_| hits = faded(hits));
        assert_eq!(hits, 0);
    }
}
