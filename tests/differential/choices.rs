//! A program is a list of choices: numbers, of which the generator takes one
//! wherever it could go on in several ways.
//!
//! 0 is the simplest way, and behind the end of the list all are 0; so a list
//! that is shorter, or whose numbers are smaller, is a simpler program, and a
//! counterexample is shrunk without knowing anything of the language.

/// Choices, from the first on.
#[derive(Clone, Debug)]
pub(crate) struct Choices {
    list: Vec<u32>,
    at: usize,
}

impl Choices {
    pub(crate) fn new(list: Vec<u32>) -> Self {
        Self { list, at: 0 }
    }

    /// The next choice among so many.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let choice = self.list.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        choice as usize % end
    }

    /// One of these.
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// An index, each as likely as its weight says.
    pub(crate) fn weighted(&mut self, weights: &[usize]) -> usize {
        let mut choice = self.below(weights.iter().sum());
        weights
            .iter()
            .position(|weight| {
                let found = choice < *weight;
                choice = choice.wrapping_sub(*weight);
                found
            })
            .unwrap()
    }

    /// Once in so many times.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == times - 1
    }

    /// Any 64 bits.
    pub(crate) fn word(&mut self) -> u64 {
        (self.below(1 << 32) as u64) << 32 | self.below(1 << 32) as u64
    }
}

/// xorshift64*
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        // Neighbouring seeds are far apart, and none is 0.
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    }

    /// A list of choices: mostly a short one, whose program is compiled fast.
    pub(crate) fn choices(&mut self) -> Vec<u32> {
        let most = [60, 120, 120, 250, 250, 600][self.next() as usize % 6];
        let length = 20 + self.next() % most;
        (0..length).map(|_| self.next()).collect()
    }
}

/// Tries, while a counterexample is shrunk.
const TRIES_MAX: usize = 4_000;

/// The simplest list found for which `fails` holds, as it does for `list`.
pub(crate) fn shrink(
    mut list: Vec<u32>,
    mut fails: impl FnMut(&[u32]) -> bool,
) -> Vec<u32> {
    let mut tries = 0;
    let mut try_it = |candidate: Vec<u32>, list: &mut Vec<u32>| {
        tries += 1;
        let better = tries <= TRIES_MAX && candidate != *list && fails(&candidate);
        if better {
            *list = candidate;
        }
        better
    };
    loop {
        let mut progress = false;
        let mut length = list.len().max(1);
        while length > 0 {
            let mut at = 0;
            while at < list.len() {
                let end = (at + length).min(list.len());
                let without = [&list[..at], &list[end..]].concat();
                if try_it(without, &mut list) {
                    progress = true;
                    continue;
                }
                let mut zeros = list.clone();
                zeros[at..end].fill(0);
                progress |= try_it(zeros, &mut list);
                at = end;
            }
            length /= 2;
        }
        for at in 0..list.len() {
            for smaller in
                [list[at] % 8, list[at] % 64, list[at] / 2, list[at].saturating_sub(1)]
            {
                let mut candidate = list.clone();
                candidate[at] = smaller;
                progress |= smaller < list[at] && try_it(candidate, &mut list);
            }
        }
        if !progress {
            return list;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_shrunk_to_what_matters() {
        let list = Random::new(7).choices();
        let list = [&list[..], &[4_321 * 8 + 1], &list[..]].concat();
        let fails = |list: &[u32]| list.iter().any(|choice| *choice % 8 == 1);
        assert_eq!(shrink(list, fails), [1]);
    }
}
