//! Which watch goes into which debug register: a pure function of the
//! requests.

use crate::event::Watch;

/// Debug registers of a CPU: DR0 to DR3 on x86-64 (Intel SDM volume 3,
/// chapter 19, "Debug Registers"). Others may hold some of them.
pub const CAPACITY: usize = 4;

/// A register and who looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register {
    /// What it watches.
    pub watch: Watch,
    /// Indices of the requests that it serves, ascending.
    pub subscribers: Vec<usize>,
}

/// What to arm: one register each.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Plan {
    /// The registers, in the order in which they were first asked for.
    pub registers: Vec<Register>,
}

impl Plan {
    /// The watches to arm, in the order of the registers.
    pub fn watches(&self) -> Vec<Watch> {
        self.registers.iter().map(|register| register.watch).collect()
    }
}

/// More is asked for than there are registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{needed} different watches for {capacity} debug registers")]
pub struct TooMany {
    /// Registers that would be needed.
    pub needed: usize,
    /// Registers there are.
    pub capacity: usize,
}

/// Gives each distinct watch a register; equal ones share it.
///
/// # Errors
/// [`TooMany`] for more distinct watches than `capacity`.
pub fn plan(requests: &[Watch], capacity: usize) -> Result<Plan, TooMany> {
    let mut registers: Vec<Register> = Vec::new();
    for (index, &watch) in requests.iter().enumerate() {
        match registers.iter_mut().find(|register| register.watch == watch) {
            Some(register) => register.subscribers.push(index),
            None => registers.push(Register { watch, subscribers: vec![index] }),
        }
    }
    if registers.len() > capacity {
        return Err(TooMany { needed: registers.len(), capacity });
    }
    Ok(Plan { registers })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::Trigger;

    fn watch(address: u64, length: u32) -> Watch {
        Watch { address, length, trigger: Trigger::Write }
    }

    #[test]
    fn equal_watches_share_and_others_do_not() {
        let read = Watch { trigger: Trigger::ReadWrite, ..watch(8, 4) };
        let requests = [watch(8, 4), watch(8, 8), watch(8, 4), read];
        let plan = plan(&requests, CAPACITY).expect("three registers");
        let subscribers: Vec<_> =
            plan.registers.iter().map(|register| register.subscribers.clone()).collect();
        assert_eq!(subscribers, [vec![0, 2], vec![1], vec![3]]);
        assert_eq!(plan.watches(), [watch(8, 4), watch(8, 8), read]);
    }

    #[test]
    fn the_fifth_is_refused_with_figures() {
        let requests: Vec<_> = (0..5).map(|index| watch(index * 8, 8)).collect();
        let refused = TooMany { needed: 5, capacity: 4 };
        assert_eq!(plan(&requests, CAPACITY), Err(refused));
        assert_eq!(plan(&[], CAPACITY), Ok(Plan::default()));
    }

    proptest! {
        #[test]
        fn each_request_is_served_once_by_its_own_watch(
            picks in proptest::collection::vec((0u64..4, 0usize..2), 0..30),
        ) {
            let requests: Vec<_> =
                picks.iter().map(|&(at, length)| watch(at * 8, [4, 8][length])).collect();
            let Ok(plan) = plan(&requests, 8) else {
                return Err(TestCaseError::fail("eight suffice"));
            };
            let mut served = vec![0; requests.len()];
            for register in &plan.registers {
                for &index in &register.subscribers {
                    served[index] += 1;
                    prop_assert_eq!(requests[index], register.watch);
                }
            }
            prop_assert!(served.iter().all(|&count| count == 1));
        }
    }
}
