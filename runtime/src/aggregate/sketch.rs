//! Where percentiles come from: counters that are as fine as the values are
//! large.

/// Buckets an octave, a power of two; twice as many are the bound on the
/// relative error of the middle of one.
const STEPS: usize = 64;
/// Octaves on each side of 0: one for what is below 64, one for each number
/// of bits from 7 to 64.
const OCTAVES: usize = 59;

/// How often values occurred, with an error of at most 1/128 of the value and
/// none below 128. Memory is taken for the octaves that occur.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sketch {
    /// Ascending: the negative octaves, the largest first, then the others.
    octaves: [Option<Box<[u64; STEPS]>>; 2 * OCTAVES],
}

impl Default for Sketch {
    fn default() -> Self {
        Self { octaves: [const { None }; 2 * OCTAVES] }
    }
}

impl Sketch {
    /// What a sketch takes when all octaves occur.
    pub(super) const BYTES_MAX: usize =
        size_of::<Self>() + 2 * OCTAVES * size_of::<[u64; STEPS]>();

    pub(super) fn add(&mut self, value: i64) {
        let (octave, step) = place(value.unsigned_abs());
        let octave = if value < 0 { OCTAVES - 1 - octave } else { OCTAVES + octave };
        let counts = self.octaves[octave].get_or_insert_with(|| Box::new([0; STEPS]));
        counts[step] += 1;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (ours, theirs) in self.octaves.iter_mut().zip(&other.octaves) {
            match (ours, theirs) {
                (Some(ours), Some(theirs)) => {
                    for (ours, theirs) in ours.iter_mut().zip(theirs.iter()) {
                        *ours += theirs;
                    }
                }
                (ours @ None, Some(theirs)) => *ours = Some(theirs.clone()),
                (_, None) => {}
            }
        }
    }

    /// The value with the given rank, from 1; the largest where there are not
    /// as many.
    pub(super) fn at(&self, rank: u64) -> i64 {
        let mut seen = 0;
        let mut last = 0;
        for (index, counts) in self.octaves.iter().enumerate() {
            let Some(counts) = counts else { continue };
            for step in 0..STEPS {
                let negative = index < OCTAVES;
                let step = if negative { STEPS - 1 - step } else { step };
                if counts[step] == 0 {
                    continue;
                }
                let octave = if negative { OCTAVES - 1 - index } else { index - OCTAVES };
                last = middle(octave, step, negative);
                seen += counts[step];
                if seen >= rank {
                    return last;
                }
            }
        }
        last
    }
}

/// The octave of a magnitude, and the step in it.
fn place(magnitude: u64) -> (usize, usize) {
    let bits = 64 - magnitude.leading_zeros() as usize;
    let octave = bits.saturating_sub(6);
    let step = magnitude >> octave.saturating_sub(1);
    (octave, step as usize % STEPS)
}

/// The middle of a step.
fn middle(octave: usize, step: usize, negative: bool) -> i64 {
    let magnitude = if octave == 0 {
        step as u64
    } else {
        let width = 1u64 << (octave - 1);
        (STEPS + step) as u64 * width + width / 2
    };
    if negative {
        0i64.saturating_sub_unsigned(magnitude)
    } else {
        0i64.saturating_add_unsigned(magnitude)
    }
}
