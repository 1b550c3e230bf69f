//! What a busy machine can spoil though hwtrace is right: it is done again, and aloud.

use std::time::Duration;

use super::run::Ended;

/// So often at most.
const TRIES: usize = 4;

/// Calls `attempt` again where it gives a reason for it, and tells the reason. A value that is
/// wrong is none: of that the attempt itself panics.
#[track_caller]
pub(crate) fn again<T>(mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let mut reasons = Vec::new();
    while reasons.len() < TRIES {
        match attempt() {
            Ok(done) => return done,
            Err(reason) => {
                eprintln!("AGAIN: {reason}");
                reasons.push(reason);
            }
        }
    }
    panic!("each of {TRIES} times: {reasons:#?}");
}

/// Runs again where hwtrace tells that it was armed so late that a target, which waits for so
/// long, may have gone on without it.
#[track_caller]
pub(crate) fn armed_within(pause: Duration, mut run: impl FnMut() -> Ended) -> Ended {
    again(|| {
        let ended = run();
        match ended.armed_after() {
            late if late > pause * 4 / 5 => Err(format!("armed {late:?} late")),
            _ => Ok(ended),
        }
    })
}

/// Whether everything came that was to come, in this order. Not where some of it is missing;
/// but nothing may be wrong, or too much.
#[track_caller]
pub(crate) fn all_came<T>(came: &[T], expected: &[T]) -> bool
where
    T: PartialEq + std::fmt::Debug,
{
    let mut left = expected.iter();
    let is_part = came.iter().all(|one| left.any(|other| other == one));
    assert!(is_part, "{came:?} is no part of {expected:?}");
    came.len() == expected.len()
}
