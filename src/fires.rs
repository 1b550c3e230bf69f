//! Which hits fire a probe: what its mode says beyond what a debug register can.

pub(crate) mod gates;

use hwtrace_probes::spec::Mode;
use hwtrace_runtime::schema::{AccessKind, HitRecord};

use crate::report::counted;

/// Decides, and counts what it could not decide.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fires {
    /// Hits of which nobody knows whether they were loads: where these are asked for, and
    /// where stores are and the register reports both.
    unknown: u64,
    perhaps_loads: u64,
}

impl Fires {
    /// Whether a probe of this mode fires.
    pub(crate) fn at(&mut self, mode: Mode, record: &HitRecord) -> bool {
        if record.access == AccessKind::Away as u32 {
            return mode == Mode::Change;
        }
        let is_load = record.access == AccessKind::Read as u32;
        let unknown = u64::from(record.access == AccessKind::Unknown as u32);
        match mode {
            Mode::ReadWrite => true,
            // Of a register that reports stores alone all are known.
            Mode::Write => {
                self.perhaps_loads += unknown;
                !is_load
            }
            // What is in doubt may have changed: rather once too often.
            Mode::Change => !is_load && (record.old != record.new || record.doubts != 0),
            // x86 has no register for loads alone.
            Mode::Read => {
                self.unknown += unknown;
                is_load
            }
        }
    }

    /// For the summary: what it could not decide.
    pub(crate) fn remarks(self) -> impl Iterator<Item = String> {
        let all = [
            (self.unknown, "`.read` did not fire; `.rw` shows them"),
            (self.perhaps_loads, "`.write` fired all the same"),
        ];
        all.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| {
            let hits = counted(count, "hit");
            format!("{hits} of which nobody knows whether they were loads: {what}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_fires_at_its_accesses_and_what_is_not_known_is_said() {
        let fired = |mode: Mode| -> (Vec<AccessKind>, Vec<String>) {
            let mut fires = Fires::default();
            let seen =
                AccessKind::ALL.into_iter().filter(|kind| *kind != AccessKind::Away);
            let fired = seen.filter(|kind| {
                let record = HitRecord { access: *kind as u32, ..HitRecord::default() };
                fires.at(mode, &HitRecord { new: 1, ..record })
            });
            (fired.collect(), fires.remarks().collect())
        };
        let stores = [
            AccessKind::Unknown,
            AccessKind::Write,
            AccessKind::Update,
            AccessKind::Exec,
        ];
        assert_eq!(fired(Mode::ReadWrite), (AccessKind::ALL[..5].to_vec(), vec![]));
        assert_eq!(fired(Mode::Change), (stores.to_vec(), vec![]));
        let (kinds, remarks) = fired(Mode::Write);
        assert_eq!(kinds, stores);
        assert!(remarks[0].starts_with("1 hit of which") && remarks[0].contains("fired"));
        let (kinds, remarks) = fired(Mode::Read);
        assert_eq!(kinds, [AccessKind::Read]);
        assert!(remarks.len() == 1 && remarks[0].contains("did not fire"), "{remarks:?}");
    }

    #[test]
    fn what_differs_or_may_differ_fires_change() {
        let fires = |new, doubts| {
            let record = HitRecord { old: 1, new, doubts, ..HitRecord::default() };
            Fires::default().at(Mode::Change, &record)
        };
        assert!(fires(2, 0) && fires(1, 1) && !fires(1, 0));
    }

    #[test]
    fn of_changes_that_nobody_saw_only_change_hears() {
        let away = HitRecord { access: AccessKind::Away as u32, ..HitRecord::default() };
        let all = [Mode::Write, Mode::Change, Mode::ReadWrite, Mode::Read];
        let fired = all.map(|mode| Fires::default().at(mode, &away));
        assert_eq!(fired, [false, true, false, false]);
    }
}
