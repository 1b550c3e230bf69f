//! What the programs know of instructions: a table that they read while we write it.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering;

use foldhash::fast::RandomState;

use crate::bpf::board::{
    NO_REGISTER, PROBES, RULE_DISPLACEMENT, RULE_IP, RULE_NUMBER, RULE_OWNER,
    RULE_PACKED, RULES, Way, packed, register_index, rule_key,
};
use crate::bpf::shared::Shared;
use crate::plan::{Lesson, Rule, RuleValue};
use crate::schema::AccessKind;

/// Of so many lessons it is remembered what they were of: records name them by
/// number. Those of older ones come without.
const LESSONS_MAX: usize = 1 << 16;
/// Bytes of an operand that a rule can say.
const SIZE_MAX: u32 = 255;

/// The table's other side.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// The owner of each entry; [`NOBODY`] where it is free. Empty until the first.
    owners: Vec<u32>,
    /// The last lessons: address of the instruction, and what it does.
    lessons: VecDeque<(u64, AccessKind)>,
    /// Number of the next lesson.
    next: u32,
    /// By process: lessons with numbers below this were of other code than it has now.
    void: HashMap<u32, u32, RandomState>,
    /// The highest of them.
    last_void: u32,
}

const NOBODY: u32 = u32::MAX;

impl Rules {
    /// What the lesson with this number was of, by which a hit of a process was told;
    /// none where its code is another since.
    pub(super) fn lesson(&self, pid: u32, number: u32) -> Option<(u64, AccessKind)> {
        let is_before = |bound: u32| (number.wrapping_sub(bound) as i32) < 0;
        if is_before(self.last_void)
            && self.void.get(&pid).copied().is_some_and(is_before)
        {
            return None;
        }
        let back = self.next.wrapping_sub(number) as usize;
        self.lessons.get(self.lessons.len().checked_sub(back)?).copied()
    }

    /// Writes a rule, unless it stands there already, or can not be written.
    pub(super) fn teach(&mut self, memory: &Shared, lesson: &Lesson) {
        let Some(words) = encode(&lesson.rule).filter(|_| lesson.ip != 0) else { return };
        let Some(at) = self.place(memory, lesson, words) else { return };
        if self.owners.is_empty() {
            self.owners = vec![NOBODY; RULES.all().count()];
        }
        if let Some(owner) = self.owners.get_mut(RULES.index(at)) {
            *owner = lesson.pid;
        }
        // Each store is seen before those that follow: first the address goes, so
        // that nobody begins to read; then the owner's word changes, by which who
        // reads already sees it.
        let store = |field, word| memory.word(at + field).store(word, Ordering::Release);
        store(RULE_IP, 0);
        store(RULE_OWNER, u64::from(self.next) << 32 | u64::from(lesson.pid));
        let fields = [RULE_DISPLACEMENT, RULE_PACKED, RULE_NUMBER];
        fields.iter().zip(words).for_each(|(field, word)| store(*field, word));
        store(RULE_IP, lesson.ip);
        self.next = self.next.wrapping_add(1);
        if self.lessons.len() == LESSONS_MAX {
            self.lessons.pop_front();
        }
        self.lessons.push_back((lesson.rule.instruction, lesson.rule.kind));
    }

    /// The entry that the rule is written to: its own, a free one, or one that has to
    /// go. None where it stands there already.
    fn place(&self, memory: &Shared, lesson: &Lesson, words: [u64; 3]) -> Option<usize> {
        let load = |at, field| memory.word(at + field).load(Ordering::Relaxed);
        let places: Vec<_> = RULES.places(rule_key(lesson.pid, lesson.ip)).collect();
        let same = |at: &&usize| {
            load(**at, RULE_IP) == lesson.ip
                && load(**at, RULE_OWNER) as u32 == lesson.pid
        };
        if let Some(at) = places.iter().find(same) {
            let there = [RULE_DISPLACEMENT, RULE_PACKED, RULE_NUMBER];
            let is_there = there.map(|field| load(*at, field)) == words;
            // Of one that is forgotten records tell nothing any more.
            let number = (load(*at, RULE_OWNER) >> 32) as u32;
            let is_known = self.lesson(lesson.pid, number).is_some();
            return (!(is_there && is_known)).then_some(*at);
        }
        let free = places.iter().find(|at| load(**at, RULE_IP) == 0);
        free.or_else(|| places.get(self.next as usize % PROBES)).copied()
    }

    /// A process has ended.
    pub(super) fn end(&mut self, memory: &Shared, pid: u32) {
        self.forget(memory, pid);
        self.void.remove(&pid);
    }

    /// The rules of an owner are void.
    pub(super) fn forget(&mut self, memory: &Shared, pid: u32) {
        self.void.insert(pid, self.next);
        self.last_void = self.next;
        for (owner, at) in self.owners.iter_mut().zip(RULES.all()) {
            if *owner == pid {
                *owner = NOBODY;
                memory.word(at + RULE_IP).store(0, Ordering::Release);
                memory.word(at + RULE_OWNER).store(0, Ordering::Release);
            }
        }
    }
}

/// Displacement, everything small, and number; none for a rule that can not be
/// written.
fn encode(rule: &Rule) -> Option<[u64; 3]> {
    let place = rule.place;
    let (way, value, number) = match rule.value {
        RuleValue::Memory => (Way::Memory, None, 0),
        RuleValue::Register(of, shift) => (Way::Register, Some((of, shift)), 0),
        RuleValue::Immediate(number) => (Way::Immediate, None, number),
        RuleValue::AddImmediate(number) => (Way::AddImmediate, None, number),
        RuleValue::AddRegister(of, shift) => (Way::AddRegister, Some((of, shift)), 0),
        RuleValue::CompareExchange(of, shift) => {
            (Way::CompareExchange, Some((of, shift)), 0)
        }
        RuleValue::Exchange(of, shift) => (Way::Exchange, Some((of, shift)), 0),
    };
    let size_max = if way == Way::Memory { SIZE_MAX } else { 8 };
    if rule.size > size_max {
        return None;
    }
    let word = |number: Option<u8>| match number {
        Some(number) => register_index(number),
        None => Some(NO_REGISTER),
    };
    let (of, shift) = value.map_or((None, 0), |(of, shift)| (Some(of), shift));
    let scale = place.scale;
    if !scale.is_power_of_two() || scale > 8 || shift > 63 {
        return None;
    }
    let small = [
        (word(place.base)?, packed::BASE),
        (word(place.index)?, packed::INDEX),
        (scale.trailing_zeros() as usize, packed::SCALE),
        (way as usize, packed::WAY),
        (word(of)?, packed::VALUE),
        (shift.into(), packed::SHIFT),
        (rule.size as usize, packed::SIZE),
        (rule.kind as usize, packed::KIND),
    ];
    let small = small.iter().fold(0, |all, (part, at)| all | (*part as u64) << at);
    Some([place.displacement, small, number])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf::board;
    use crate::plan::Linear;

    fn lesson(pid: u32, ip: u64, number: u64) -> Lesson {
        let place = Linear { base: Some(0), index: None, scale: 1, displacement: 8 };
        let rule = Rule {
            instruction: ip - 4,
            kind: AccessKind::Write,
            size: 8,
            place,
            value: RuleValue::Immediate(number),
        };
        Lesson { pid, ip, rule }
    }

    fn known(memory: &Shared) -> Vec<(u64, u64)> {
        let load = |at, field| memory.word(at + field).load(Ordering::Relaxed);
        let there = RULES.all().filter(|at| load(*at, RULE_IP) != 0);
        there.map(|at| (load(at, RULE_IP), load(at, RULE_NUMBER))).collect()
    }

    #[test]
    fn a_rule_is_written_once_and_written_over() {
        let memory = Shared::plain(board::bytes(1, 0));
        let mut rules = Rules::default();
        rules.teach(&memory, &lesson(10, 0x401000, 7));
        rules.teach(&memory, &lesson(10, 0x401000, 7));
        assert_eq!((known(&memory), rules.next), (vec![(0x401000, 7)], 1));
        rules.teach(&memory, &lesson(10, 0x401000, 8));
        assert_eq!((known(&memory), rules.next), (vec![(0x401000, 8)], 2));
        assert_eq!(rules.lesson(10, 1), Some((0x400ffc, AccessKind::Write)));
        assert_eq!(rules.lesson(10, 2), None, "not given yet");
    }

    #[test]
    fn each_owner_has_its_own_and_loses_all() {
        let memory = Shared::plain(board::bytes(1, 0));
        let mut rules = Rules::default();
        for pid in [10, 11] {
            (1..100).for_each(|ip| rules.teach(&memory, &lesson(pid, 64 + ip, ip)));
        }
        let before = known(&memory).len();
        assert!((190..=198).contains(&before), "{before}");
        rules.forget(&memory, 10);
        assert!((95..=99).contains(&known(&memory).len()));
        rules.forget(&memory, 11);
        assert_eq!(known(&memory), []);
    }

    #[test]
    fn a_full_table_goes_on_learning() {
        let memory = Shared::plain(board::bytes(1, 0));
        let mut rules = Rules::default();
        for ip in 1..70_000 {
            rules.teach(&memory, &lesson(10, 0x1000 + ip * 3, ip));
            let last = known_last(&memory, 10, 0x1000 + ip * 3);
            assert_eq!(last, Some(ip));
        }
        assert_eq!((rules.lesson(10, 0), rules.lessons.len()), (None, LESSONS_MAX));
    }

    fn known_last(memory: &Shared, pid: u32, ip: u64) -> Option<u64> {
        let load = |at, field| memory.word(at + field).load(Ordering::Relaxed);
        let mut places = RULES.places(rule_key(pid, ip));
        places.find(|at| load(*at, RULE_IP) == ip).map(|at| load(at, RULE_NUMBER))
    }

    #[test]
    fn what_can_not_be_said_is_not() {
        let rule = lesson(10, 0x401000, 7).rule;
        assert!(encode(&rule).is_some());
        let place = rule.place;
        for place in [Linear { base: Some(33), ..place }, Linear { scale: 3, ..place }] {
            assert_eq!(encode(&Rule { place, ..rule }), None);
        }
        assert_eq!(encode(&Rule { size: 16, ..rule }), None);
        let memory = Rule { size: 64, value: RuleValue::Memory, ..rule };
        assert!(encode(&memory).is_some());
        assert_eq!(encode(&Rule { size: 512, ..memory }), None);
    }
}
