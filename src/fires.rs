//! Which hits fire a probe: what its mode says beyond what a debug register can.

pub(crate) mod gates;

use hwtrace_probes::spec::Mode;
use hwtrace_runtime::schema::{AccessKind, HitRecord};

use crate::report::counted;

/// Decides, and counts what it could not decide.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fires {
    /// Hits of which nobody knows whether they were loads.
    unknown: u64,
}

impl Fires {
    /// Whether a probe of this mode fires.
    pub(crate) fn at(&mut self, mode: Mode, record: &HitRecord) -> bool {
        if record.access == AccessKind::Away as u32 {
            return mode == Mode::Change;
        }
        match mode {
            Mode::Write | Mode::ReadWrite => true,
            // What is in doubt may have changed: rather once too often.
            Mode::Change => record.old != record.new || record.doubts != 0,
            // x86 has no register for loads alone.
            Mode::Read => {
                let unknown = record.access == AccessKind::Unknown as u32;
                self.unknown += u64::from(unknown);
                record.access == AccessKind::Read as u32
            }
        }
    }

    /// For the summary: what it could not decide.
    pub(crate) fn remark(self) -> Option<String> {
        (self.unknown > 0).then(|| {
            format!(
                "{} of which nobody knows whether they were loads: `.read` did not fire; \
                 `.rw` shows them",
                counted(self.unknown, "hit")
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_alone_fire_read_and_what_is_not_known_is_said() {
        let mut fires = Fires::default();
        let mut fired = Vec::new();
        for kind in AccessKind::ALL.into_iter().filter(|kind| *kind != AccessKind::Away) {
            let record = HitRecord { access: kind as u32, ..HitRecord::default() };
            assert!(fires.at(Mode::Write, &record) && fires.at(Mode::ReadWrite, &record));
            if fires.at(Mode::Read, &record) {
                fired.push(kind);
            }
        }
        assert_eq!(fired, [AccessKind::Read]);
        assert!(fires.remark().is_some_and(|text| text.starts_with("1 hit of which")));
        assert_eq!(Fires::default().remark(), None);
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
