//! Which hits the modifiers of a probe let through: who, where, and by how many there were.

use std::path::PathBuf;

use hwtrace_probes::spec::{Maker, Only};
use hwtrace_runtime::engine::bpf::Tickets;
use hwtrace_runtime::plan::{Filter, Gate, Input};
use hwtrace_runtime::schema::{AccessKind, HitRecord};

/// The gates of all requests, by number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gates {
    all: Vec<Own>,
    /// Whether the hit that comes next was let through when it happened.
    let_through: bool,
}

/// The gate of one.
#[derive(Clone, Debug)]
struct Own {
    only: Only,
    /// None where nobody counts.
    gate: Option<Gate>,
    /// Of what engine and we count together.
    tickets: Option<Tickets>,
    /// Else we alone.
    taken: u64,
    fired: u64,
    /// Its thread, which is not there yet.
    missing: Option<u32>,
}

impl Gates {
    pub(crate) fn of(all: impl Iterator<Item = Only>) -> Self {
        let own = |only| Own {
            only,
            gate: gate(only, None),
            tickets: None,
            taken: 0,
            fired: 0,
            missing: None,
        };
        Self { all: all.map(own).collect(), let_through: false }
    }

    /// The session begins; `tickets` has by request what the engine counts with.
    pub(crate) fn begin(&mut self, tickets: &[Option<Tickets>]) {
        for (own, tickets) in self.all.iter_mut().zip(tickets) {
            own.tickets.clone_from(tickets);
            let there = |tid: &u32| PathBuf::from(format!("/proc/{tid}")).exists();
            own.missing = own.only.thread.filter(|tid| !there(tid));
        }
    }

    /// Tells of the hit that comes next.
    pub(crate) fn captured(&mut self, let_through: bool) {
        self.let_through = let_through;
    }

    /// Whether a hit goes on for which nothing but modes and modifiers is asked; `fires`
    /// says whether its mode does, and is not asked where that was decided at the hit.
    pub(crate) fn pass(
        &mut self,
        request: usize,
        record: &HitRecord,
        fires: impl FnOnce() -> bool,
    ) -> bool {
        let own = &mut self.all[request];
        let limit = own.only.limit.map_or(u64::MAX, |limit| limit.get());
        let goes_on = own.fired < limit
            && match record.access == AccessKind::Away as u32 {
                true => own.is_for_anybody() && fires(),
                false => {
                    self.let_through || (fires() && own.is_at(record) && own.takes())
                }
            };
        own.fired += u64::from(goes_on);
        goes_on
    }

    /// Whether none will go on any more.
    pub(crate) fn is_closed(&self, request: usize) -> bool {
        let own = &self.all[request];
        let limit = own.only.limit.map_or(u64::MAX, |limit| limit.get());
        let taken = own.tickets.as_ref().map_or(own.taken, Tickets::taken);
        // What was let through and lost comes no more, either.
        let closed = own.gate.as_ref().is_some_and(|gate| gate.is_closed_after(taken));
        own.fired >= limit || closed
    }

    /// For the summary: threads that never came.
    pub(crate) fn remarks(&self) -> impl Iterator<Item = String> {
        let missing = self.all.iter().filter(|own| own.fired == 0);
        missing.filter_map(|own| own.missing).map(|tid| {
            format!(
                "thread {tid} was not there when the session began, and `.thread({tid})` \
                 never fired"
            )
        })
    }
}

impl Own {
    /// Whether it is one of the accesses that are asked for.
    fn is_at(&self, record: &HitRecord) -> bool {
        let Only { thread, cpu, maker, .. } = self.only;
        thread.is_none_or(|tid| tid == record.tid)
            && cpu.is_none_or(|cpu| cpu == record.cpu)
            && maker.is_none_or(|maker| (maker == Maker::User) == (record.user_mode != 0))
    }

    /// Whether it asks neither who made the access nor how many there were: of what changed
    /// while nobody saw it nobody knows.
    fn is_for_anybody(&self) -> bool {
        Only { limit: None, ..self.only } == Only::default()
    }

    /// Takes a number for it, and goes on by that.
    fn takes(&mut self) -> bool {
        let Some(gate) = &self.gate else { return true };
        self.taken = match &self.tickets {
            Some(tickets) => tickets.take(),
            None => self.taken + 1,
        };
        gate.lets_through(self.taken)
    }
}

/// What is counted, and asked of those who go on; none where all of them do.
pub(crate) fn gate(only: Only, then: Option<Filter>) -> Option<Gate> {
    let Only { every, limit, .. } = only;
    let counts = every.is_some() || limit.is_some();
    counts.then(|| Gate { every: every.unwrap_or(Gate::OPEN.every), limit, then })
}

/// The hits that are asked for, as an engine can tell them; none for all.
pub(crate) fn filter(only: Only) -> Option<Filter> {
    let Only { thread, cpu, maker, .. } = only;
    let user = maker.map(|maker| i64::from(maker == Maker::User));
    [
        thread.map(|tid| (Input::Tid, i64::from(tid))),
        cpu.map(|cpu| (Input::Cpu, i64::from(cpu))),
        user.map(|user| (Input::UserMode, user)),
    ]
    .into_iter()
    .flatten()
    .map(|(input, value)| Filter::of(input, value))
    .reduce(Filter::and)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use hwtrace_runtime::plan::eval::Hit;

    use super::*;

    struct Seen(HitRecord);

    impl Hit for Seen {
        fn input(&self, input: Input) -> i64 {
            match input {
                Input::Tid => self.0.tid.into(),
                Input::Cpu => self.0.cpu.into(),
                _ => self.0.user_mode.into(),
            }
        }

        fn memory(
            &mut self,
            _: hwtrace_runtime::plan::Space,
            _: u64,
            _: &mut [u8],
        ) -> bool {
            false
        }
    }

    fn gates(only: Only) -> Gates {
        Gates::of([only].into_iter())
    }

    #[test]
    fn who_and_where_is_the_same_here_and_at_the_hit() {
        let user = Some(Maker::User);
        let all = [
            Only::default(),
            Only { thread: Some(5), ..Only::default() },
            Only { cpu: Some(1), ..Only::default() },
            Only { maker: user, ..Only::default() },
            Only { maker: Some(Maker::Kernel), ..Only::default() },
            Only { thread: Some(5), cpu: Some(1), maker: user, ..Only::default() },
        ];
        let mut fired = [0; 6];
        for (only, fired) in all.into_iter().zip(&mut fired) {
            let filter = filter(only);
            for number in 0..8 {
                let (tid, cpu, user_mode) =
                    (4 + (number & 1), number >> 1 & 1, number >> 2);
                let record = HitRecord { tid, cpu, user_mode, ..HitRecord::default() };
                let here = gates(only).pass(0, &record, || true);
                let at_hit =
                    filter.as_ref().is_none_or(|it| it.passes(&mut Seen(record)));
                assert_eq!(here, at_hit, "{only:?} {record:?}");
                *fired += u32::from(here);
            }
        }
        assert_eq!(fired, [8, 4, 4, 4, 4, 1]);
    }

    #[test]
    fn only_what_fires_is_counted() {
        let every = NonZeroU64::new(3);
        let limit = NonZeroU64::new(2);
        let mut gates = gates(Only { every, limit, thread: Some(1), ..Only::default() });
        let mut fired = Vec::new();
        for number in 0..40 {
            // Each second is of the thread, each second of those is of the mode.
            let record = HitRecord { tid: number & 1, ..HitRecord::default() };
            assert_eq!(gates.is_closed(0), fired.len() == 2);
            if gates.pass(0, &record, || number & 2 == 0) {
                fired.push(number);
            }
        }
        assert_eq!(fired, [9, 21]);
    }

    #[test]
    fn what_changed_unseen_is_of_nobody() {
        let away = HitRecord { access: AccessKind::Away as u32, ..HitRecord::default() };
        let limit = NonZeroU64::new(2);
        let mut all = gates(Only { limit, ..Only::default() });
        let fired = [(); 3].map(|()| all.pass(0, &away, || true));
        assert_eq!(fired, [true, true, false]);
        for only in [
            Only { every: NonZeroU64::new(1), ..Only::default() },
            Only { thread: Some(0), ..Only::default() },
            Only { maker: Some(Maker::Kernel), ..Only::default() },
        ] {
            assert!(!gates(only).pass(0, &away, || true), "{only:?}");
        }
    }

    #[test]
    fn what_was_let_through_at_the_hit_takes_no_number() {
        let limit = NonZeroU64::new(3);
        let mut gates = gates(Only { limit, ..Only::default() });
        gates.captured(true);
        let record = HitRecord::default();
        assert!(gates.pass(0, &record, || false) && gates.pass(0, &record, || false));
        gates.captured(false);
        assert!(!gates.pass(0, &record, || false) && gates.pass(0, &record, || true));
        assert!(!gates.pass(0, &record, || true) && gates.is_closed(0));
    }
}
