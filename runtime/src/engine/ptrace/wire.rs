//! What hwtrace and its guardian say to each other: words, in frames that begin with
//! their number of words. Both are the same program, so there are no versions.

use crate::engine::{Account, ArmError, Shortfall};
use crate::event::{Trigger, Watch};
use crate::kernel::Errno;
use crate::plan::StackCapture;

/// What the guardian is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// What is captured at the hits of each watch from now on.
    Capture(Vec<Capture>),
    /// A process is about to be stopped for us (SIGSTOP), by its parent, who may die
    /// before it is continued: then the guardian continues it.
    Expect { pid: u32 },
    /// As [`Engine::attach`](crate::engine::Engine::attach).
    Attach { pid: u32, watches: Vec<Option<Watch>> },
    /// As [`Engine::arm_thread`](crate::engine::Engine::arm_thread).
    ArmThread { pid: u32, tid: u32, number: usize, watch: Watch },
    /// As [`Engine::retarget`](crate::engine::Engine::retarget).
    Retarget { pid: u32, watch: usize, address: Option<u64> },
    /// As [`Engine::switch`](crate::engine::Engine::switch).
    Switch { watch: usize, on: bool },
    /// As [`Engine::detach`](crate::engine::Engine::detach).
    Detach { pid: u32 },
    /// A process that waits after its exec, to be armed, may go on.
    Proceed { pid: u32 },
    /// A report of nothing, which wakes who waits for reports.
    Echo,
    /// Everybody is to be let go.
    Disarm,
    /// What was counted.
    Account,
}

/// What is captured at the hits of a watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Capture {
    /// The CPU, which has to be asked for.
    pub(super) cpu: bool,
    /// Whether the user's stack is needed at all, and what of it.
    pub(super) stack: Option<StackCapture>,
    /// Whether the acts are done with which the guardian was forked.
    pub(super) acts: bool,
}

/// What comes of a command, as words.
pub(super) type Answer = Result<Vec<u64>, ArmError>;

impl Command {
    /// As words.
    pub(super) fn words(&self) -> Vec<u64> {
        match self {
            Self::Capture(captures) => {
                let word = |it: &Capture| {
                    let stack = it.stack.map_or(0, |stack| {
                        u64::from(stack.bytes) << 8 | 4 | u64::from(stack.callers) << 1
                    });
                    stack | u64::from(it.acts) << 3 | u64::from(it.cpu)
                };
                [0].into_iter().chain(captures.iter().map(word)).collect()
            }
            Self::Expect { pid } => vec![1, (*pid).into()],
            Self::Attach { pid, watches } => {
                let mut words = vec![2, (*pid).into()];
                words.extend(watches.iter().flat_map(|watch| watch_words(*watch)));
                words
            }
            Self::ArmThread { pid, tid, number, watch } => {
                let mut words = vec![3, (*pid).into(), (*tid).into(), *number as u64];
                words.extend(watch_words(Some(*watch)));
                words
            }
            Self::Retarget { pid, watch, address } => {
                vec![4, (*pid).into(), *watch as u64, address.unwrap_or(Watch::PENDING)]
            }
            Self::Switch { watch, on } => vec![5, *watch as u64, (*on).into()],
            Self::Detach { pid } => vec![6, (*pid).into()],
            Self::Proceed { pid } => vec![7, (*pid).into()],
            Self::Echo => vec![8],
            Self::Disarm => vec![9],
            Self::Account => vec![10],
        }
    }

    /// From words; none where they are no command.
    pub(super) fn of(words: &[u64]) -> Option<Self> {
        Some(match *words {
            [0, ref captures @ ..] => {
                let capture = |word: &u64| Capture {
                    cpu: word & 1 != 0,
                    acts: word & 8 != 0,
                    stack: (word & 4 != 0).then_some(StackCapture {
                        callers: word & 2 != 0,
                        bytes: (word >> 8) as u32,
                    }),
                };
                Self::Capture(captures.iter().map(capture).collect())
            }
            [1, pid] => Self::Expect { pid: pid as u32 },
            [2, pid, ref watches @ ..] => {
                let (watches, _) = watches.as_chunks::<2>();
                let watches = watches.iter().map(|words| watch_of(*words)).collect();
                Self::Attach { pid: pid as u32, watches }
            }
            [3, pid, tid, number, address, shape] => Self::ArmThread {
                pid: pid as u32,
                tid: tid as u32,
                number: number as usize,
                watch: watch_of([address, shape])?,
            },
            [4, pid, watch, address] => Self::Retarget {
                pid: pid as u32,
                watch: watch as usize,
                address: Some(address).filter(|address| *address != Watch::PENDING),
            },
            [5, watch, on] => Self::Switch { watch: watch as usize, on: on != 0 },
            [6, pid] => Self::Detach { pid: pid as u32 },
            [7, pid] => Self::Proceed { pid: pid as u32 },
            [8] => Self::Echo,
            [9] => Self::Disarm,
            [10] => Self::Account,
            _ => return None,
        })
    }

    /// Whether it has an answer.
    pub(super) fn is_asked(&self) -> bool {
        !matches!(self, Self::Proceed { .. } | Self::Echo | Self::Capture(_))
    }
}

fn watch_words(watch: Option<Watch>) -> [u64; 2] {
    watch.map_or([0, 0], |watch| {
        let loads = u64::from(watch.trigger == Trigger::ReadWrite);
        [watch.address, u64::from(watch.length) << 1 | loads]
    })
}

fn watch_of([address, shape]: [u64; 2]) -> Option<Watch> {
    let trigger = if shape & 1 == 0 { Trigger::Write } else { Trigger::ReadWrite };
    (shape != 0).then_some(Watch { address, length: (shape >> 1) as u32, trigger })
}

/// Names of the calls that errors are of.
const CALLS: [&str; 4] = ["ptrace", "waitpid", "reading /proc", "the guardian"];

/// The words of an answer.
pub(super) fn answer_words(answer: &Answer) -> Vec<u64> {
    let error = match answer {
        Ok(words) => return [0].into_iter().chain(words.iter().copied()).collect(),
        Err(error) => error,
    };
    let pid = |pid: u32| u64::from(pid);
    match *error {
        ArmError::Gone { pid: of } => vec![1, pid(of)],
        ArmError::NoFreeRegister { tid, watch, free, ref short } => {
            let head = [2, pid(tid), watch as u64, u64::from(free)];
            head.into_iter().chain(short_words(short)).collect()
        }
        ArmError::PtracePermission { pid: of, errno } => vec![3, pid(of), errno as u64],
        ArmError::Traced { pid: of, tracer } => vec![8, pid(of), pid(tracer)],
        ArmError::Armed { pid: of } => vec![4, pid(of)],
        ArmError::BadWatch { watch } => vec![5, watch as u64],
        ArmError::Unstable { pid: of } => vec![6, pid(of)],
        ArmError::System { call, ref error } => {
            let number = CALLS.iter().position(|name| *name == call).unwrap_or(0);
            vec![7, number as u64, error.raw_os_error().unwrap_or(libc::EIO) as u64]
        }
        // The guardian has no others.
        _ => vec![7, 0, libc::EIO as u64],
    }
}

/// The answer of words.
///
/// # Errors
/// What the guardian's work failed with; EIO for words that are no answer.
pub(super) fn answer_of(words: &[u64]) -> Answer {
    Err(match *words {
        [0, ref words @ ..] => return Ok(words.to_vec()),
        [1, pid] => ArmError::Gone { pid: pid as u32 },
        [2, tid, watch, free, ref short @ ..] => ArmError::NoFreeRegister {
            tid: tid as u32,
            watch: watch as usize,
            free: free as u32,
            short: short_of(short),
        },
        [3, pid, errno] => {
            ArmError::PtracePermission { pid: pid as u32, errno: errno as i32 }
        }
        [8, pid, tracer] => ArmError::Traced { pid: pid as u32, tracer: tracer as u32 },
        [4, pid] => ArmError::Armed { pid: pid as u32 },
        [5, watch] => ArmError::BadWatch { watch: watch as usize },
        [6, pid] => ArmError::Unstable { pid: pid as u32 },
        [7, call, errno] => {
            let call = CALLS.get(call as usize).copied().unwrap_or(CALLS[0]);
            system(call, Errno::from_raw(errno as i32))
        }
        _ => system("the guardian", Errno::EIO),
    })
}

/// What arming a process achieved: threads that are armed, and those that are left out.
pub(super) fn attached_words((threads, short): (u32, Shortfall)) -> Vec<u64> {
    [threads.into()].into_iter().chain(short_words(&short)).collect()
}

/// The same from words.
pub(super) fn attached_of(words: &[u64]) -> (u32, Shortfall) {
    match words {
        [threads, short @ ..] => (*threads as u32, short_of(short)),
        [] => (0, Shortfall::default()),
    }
}

fn short_words(short: &Shortfall) -> impl Iterator<Item = u64> {
    let Shortfall { needed, threads, of, listed } = short;
    let listed = listed.iter().flat_map(|(tid, free)| [*tid, *free]);
    [*needed, *threads, *of].into_iter().chain(listed).map(u64::from)
}

fn short_of(words: &[u64]) -> Shortfall {
    let [needed, threads, of, listed @ ..] = words else { return Shortfall::default() };
    let (listed, _) = listed.as_chunks::<2>();
    let listed = listed.iter().map(|[tid, free]| (*tid as u32, *free as u32)).collect();
    let [needed, threads, of] = [needed, threads, of].map(|it| *it as u32);
    Shortfall { needed, threads, of, listed }
}

/// Any other failure.
pub(super) fn system(call: &'static str, errno: Errno) -> ArmError {
    ArmError::System { call, error: errno.into() }
}

/// What was counted, as words: `late` is never, and filters are not run.
pub(super) fn account_words(account: &Account, steps: u64) -> Vec<u64> {
    let Account { counted, lost, lost_sideband, dropped, unarmed, .. } = account;
    let head = [*lost, *lost_sideband, *dropped, *unarmed, steps];
    head.into_iter().chain(counted.iter().copied()).collect()
}

/// The same from words, with the number of steps that were made.
pub(super) fn account_of(words: &[u64]) -> Option<(Account, u64)> {
    let [lost, lost_sideband, dropped, unarmed, steps, counted @ ..] = words else {
        return None;
    };
    let account = Account {
        counted: counted.to_vec(),
        lost: *lost,
        lost_sideband: *lost_sideband,
        dropped: *dropped,
        unarmed: *unarmed,
        ..Account::default()
    };
    Some((account, *steps))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_come_as_they_were_sent() {
        let watch = Watch { address: 0x1000, length: 8, trigger: Trigger::ReadWrite };
        let store = Watch { address: 0x2004, length: 4, trigger: Trigger::Write };
        let stack = Some(StackCapture { callers: true, bytes: 0xfff8 });
        for command in [
            Command::Capture(vec![
                Capture { cpu: true, stack: None, acts: false },
                Capture { cpu: false, stack, acts: true },
            ]),
            Command::Expect { pid: 7 },
            Command::Attach { pid: 7, watches: vec![Some(watch), None, Some(store)] },
            Command::ArmThread { pid: 7, tid: 8, number: 3, watch },
            Command::Retarget { pid: 7, watch: 1, address: None },
            Command::Retarget { pid: 7, watch: 1, address: Some(5) },
            Command::Switch { watch: 2, on: true },
            Command::Detach { pid: 7 },
            Command::Proceed { pid: 7 },
            Command::Echo,
            Command::Disarm,
            Command::Account,
        ] {
            assert_eq!(Command::of(&command.words()), Some(command.clone()));
        }
        assert_eq!(Command::of(&[99]), None);
        assert_eq!(Command::of(&[]), None);
    }

    #[test]
    fn answers_come_as_they_were_given() {
        for error in [
            ArmError::Gone { pid: 1 },
            ArmError::NoFreeRegister {
                tid: 1,
                watch: 2,
                free: 3,
                short: Shortfall {
                    needed: 3,
                    threads: 2,
                    of: 5,
                    listed: vec![(7, 1), (8, 2)],
                },
            },
            ArmError::PtracePermission { pid: 1, errno: 13 },
            ArmError::Traced { pid: 1, tracer: 5 },
            ArmError::Armed { pid: 1 },
            ArmError::BadWatch { watch: 4 },
            ArmError::Unstable { pid: 1 },
            system("waitpid", Errno::EIO),
        ] {
            let said = format!("{error:?}");
            let came = answer_of(&answer_words(&Err(error))).expect_err("an error");
            assert_eq!(format!("{came:?}"), said);
        }
        assert_eq!(answer_of(&[0, 5, 6]).expect("words"), [5, 6]);
        let short = Shortfall { needed: 2, threads: 1, of: 4, listed: vec![(9, 1)] };
        let attached = (3, short);
        assert_eq!(attached_of(&attached_words(attached.clone())), attached);
        assert!(answer_of(&[1]).is_err());
    }
}
