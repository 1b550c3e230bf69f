//! The memory of processes as it is known, under numbers that outlive them.
//!
//! A process that is forked has its parent's image until one of the two maps something. A
//! number that was given out keeps its meaning: what would give another to the addresses
//! that it was given out for begins a new one.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::sync::Arc;

use super::Symbol;
use super::jit::PerfMap;
use super::modules::NameKind;
use super::stack::Effect;
use crate::dwarf::Frame;
use crate::maps::{AddressSpace, Mapping};
use crate::stack::Rule;

/// One image's mappings, and what was found in them.
#[derive(Debug, Default)]
pub(super) struct Space {
    /// The process by which its files are reached, one that has it.
    pub(super) pid: u32,
    pub(super) maps: AddressSpace,
    pub(super) answers: Answers,
    /// Addresses on stacks to which no call returns: signals came there.
    pub(super) interrupted: HashSet<u64>,
    /// Names of code that the process made.
    pub(super) made: PerfMap,
    /// Processes that have it now.
    users: u32,
    /// Whether its number was given out.
    given: bool,
}

/// Answers, by address.
#[derive(Debug, Default)]
pub(super) struct Answers {
    functions: HashMap<u64, Option<Symbol>>,
    data: HashMap<u64, Option<Symbol>>,
    pub(super) frames: HashMap<u64, Arc<[Frame]>>,
    /// What pointers are said to point to.
    pub(super) pointees: HashMap<u64, Option<Arc<str>>>,
    pub(super) effects: HashMap<u64, Effect>,
    /// How frames are left; by the address, and whether it is exact.
    pub(super) rules: HashMap<(u64, bool), Option<Arc<Rule>>>,
}

impl Answers {
    pub(super) fn symbols(
        &mut self,
        kind: NameKind,
    ) -> &mut HashMap<u64, Option<Symbol>> {
        match kind {
            NameKind::Function => &mut self.functions,
            NameKind::Data => &mut self.data,
        }
    }
}

/// So many answers of a kind are kept for an image; then it starts anew.
const MAX_ANSWERS: usize = 65_536;

/// Keeps an answer.
pub(super) fn keep<K: Eq + Hash, V>(answers: &mut HashMap<K, V>, key: K, answer: V) {
    if answers.len() >= MAX_ANSWERS {
        answers.clear();
    }
    answers.insert(key, answer);
}

/// All images. Those that no process has any more are kept where their number was
/// given out, the newest [`ENDED_MAX`] of them; of what processes told of the code that
/// they made, the newest [`MADE_MAX`] bytes.
#[derive(Debug, Default)]
pub(super) struct Spaces {
    images: HashMap<u32, Space>,
    of: HashMap<u32, u32>,
    next: u32,
    ended: VecDeque<u32>,
    /// Bytes of what those that ended know of code that was made.
    made: usize,
}

/// So many images without a process are kept: some KiB each, but for [`MADE_MAX`].
const ENDED_MAX: usize = 8192;
/// So many bytes of names of code that was made are kept for all of these.
const MADE_MAX: usize = 64 << 20;

impl Spaces {
    /// The image of a process.
    pub(super) fn of(&self, pid: u32) -> Option<u32> {
        self.of.get(&pid).copied()
    }

    pub(super) fn get(&self, image: u32) -> Option<&Space> {
        self.images.get(&image)
    }

    pub(super) fn get_mut(&mut self, image: u32) -> Option<&mut Space> {
        self.images.get_mut(&image)
    }

    /// Answers of an image; none are kept of one that is gone.
    pub(super) fn answers(&mut self, image: u32) -> Option<&mut Answers> {
        self.images.get_mut(&image).map(|space| &mut space.answers)
    }

    /// Gives a process a new image.
    pub(super) fn put(&mut self, pid: u32, maps: AddressSpace) -> u32 {
        self.forget(pid);
        let image = self.next;
        // Four thousand million of them are not lived through.
        self.next = self.next.wrapping_add(1);
        self.images.insert(image, Space { pid, maps, users: 1, ..Space::default() });
        self.of.insert(pid, image);
        image
    }

    /// Gives a forked child its parent's image.
    pub(super) fn fork(&mut self, parent: u32, child: u32) {
        let Some(image) = self.of(parent).filter(|_| parent != child) else { return };
        self.forget(child);
        if let Some(space) = self.images.get_mut(&image) {
            space.users += 1;
            self.of.insert(child, image);
        }
    }

    /// Takes over a mapping that a process has made.
    pub(super) fn note_mapping(&mut self, pid: u32, mapping: Mapping) {
        let space = self.of(pid).and_then(|image| self.images.get(&image));
        let image = match space {
            None => self.put(pid, AddressSpace::default()),
            // What others have, and what was named, stays as it was.
            Some(space) if space.users > 1 || space.given && space.replaces(&mapping) => {
                let maps = space.maps.clone();
                self.put(pid, maps)
            }
            Some(_) => self.of[&pid],
        };
        if let Some(space) = self.images.get_mut(&image) {
            // Answers in other mappings stay right, but these are few and rare.
            space.answers = Answers::default();
            space.maps.note_mapping(mapping);
        }
    }

    /// Gives out the number of an image.
    pub(super) fn give(&mut self, image: u32) {
        if let Some(space) = self.images.get_mut(&image) {
            space.given = true;
        }
    }

    /// A process has its image no more.
    pub(super) fn forget(&mut self, pid: u32) {
        let Some(image) = self.of.remove(&pid) else { return };
        let Some(space) = self.images.get_mut(&image) else { return };
        space.users -= 1;
        if space.users > 0 {
            let other = self.of.iter().find(|(_, its)| **its == image);
            space.pid = other.map_or(space.pid, |(pid, _)| *pid);
            return;
        }
        if !space.given {
            self.images.remove(&image);
            return;
        }
        space.answers = Answers::default();
        self.made += space.made.size();
        self.ended.push_back(image);
        self.bound(MADE_MAX);
    }

    /// Forgets of the oldest images without a process what is too much.
    fn bound(&mut self, made_max: usize) {
        if self.ended.len() > ENDED_MAX
            && let Some(oldest) = self.ended.pop_front()
            && let Some(space) = self.images.remove(&oldest)
        {
            self.made -= space.made.size();
        }
        for image in &self.ended {
            if self.made <= made_max {
                break;
            }
            if let Some(space) = self.images.get_mut(image) {
                self.made -= std::mem::take(&mut space.made).size();
            }
        }
    }
}

impl Space {
    /// The process that can tell more of it; none when that is gone, and another may have
    /// its number.
    pub(super) fn living(&self) -> Option<u32> {
        (self.users > 0).then_some(self.pid)
    }

    /// Whether a mapping gives addresses of code another meaning.
    fn replaces(&self, new: &Mapping) -> bool {
        let place = |it: &Mapping| it.start.0.wrapping_sub(it.offset.0);
        let overlaps = |old: &&Mapping| old.start < new.end && new.start < old.end;
        let mut old = self.maps.mappings().iter().filter(overlaps);
        old.any(|old| {
            let other = old.path != new.path || place(old) != place(new);
            old.executable && old.path.is_some() && other
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::{AbsAddr, FileOffset};

    fn mapping(start: u64, path: &str) -> Mapping {
        let start = AbsAddr(start);
        Mapping::new(start, 0x1000, FileOffset(0), true, 0, path.as_bytes())
    }

    fn path(spaces: &Spaces, image: u32, address: u64) -> Option<String> {
        let mapping = spaces.get(image)?.maps.find(AbsAddr(address))?;
        mapping.path.as_ref().map(|path| path.display().to_string())
    }

    #[test]
    fn a_child_has_its_parents_image_until_one_of_them_maps() {
        let mut spaces = Spaces::default();
        let image = spaces.put(1, AddressSpace::new(vec![mapping(0x1000, "/a")]));
        spaces.fork(1, 2);
        assert_eq!(spaces.of(2), Some(image));
        assert_eq!(spaces.get(image).map(|it| it.pid), Some(1));
        spaces.note_mapping(2, mapping(0x5000, "/b"));
        let own = spaces.of(2).expect("the child's");
        assert_ne!(own, image);
        assert_eq!(path(&spaces, own, 0x5000).as_deref(), Some("/b"));
        assert_eq!(path(&spaces, own, 0x1000).as_deref(), Some("/a"));
        assert_eq!(path(&spaces, image, 0x5000), None);
        // It is the only one again.
        spaces.note_mapping(1, mapping(0x6000, "/c"));
        assert_eq!(spaces.of(1), Some(image));
        spaces.fork(1, 3);
        spaces.forget(1);
        assert_eq!(spaces.get(image).map(|it| it.pid), Some(3));
    }

    #[test]
    fn a_number_that_was_given_out_keeps_its_meaning() {
        let mut spaces = Spaces::default();
        let image = spaces.put(1, AddressSpace::new(vec![mapping(0x1000, "/a")]));
        spaces.give(image);
        spaces.note_mapping(1, mapping(0x3000, "/b"));
        assert_eq!(spaces.of(1), Some(image), "that adds to it");
        spaces.note_mapping(1, mapping(0x1000, "/c"));
        let next = spaces.of(1).expect("it lives");
        assert_ne!(next, image);
        spaces.forget(1);
        assert_eq!(path(&spaces, image, 0x1000).as_deref(), Some("/a"));
        assert!(spaces.get(next).is_none(), "nobody can ask for it");
    }

    #[test]
    fn so_many_ended_images_are_kept() {
        let mut spaces = Spaces::default();
        for pid in 0..ENDED_MAX as u32 + 5 {
            let image = spaces.put(pid, AddressSpace::default());
            spaces.give(image);
            spaces.forget(pid);
        }
        assert_eq!(spaces.images.len(), ENDED_MAX);
        assert!(spaces.get(4).is_none() && spaces.get(5).is_some());
    }

    #[test]
    fn names_of_made_code_are_kept_of_the_newest() {
        let mut spaces = Spaces::default();
        let end = |spaces: &mut Spaces, pid: u32| {
            let image = spaces.put(pid, AddressSpace::default());
            let space = spaces.get_mut(image).expect("its own");
            space.made.add(format!("1000 10 made{pid}\n").as_bytes());
            assert_eq!(space.living(), Some(pid));
            spaces.give(image);
            spaces.forget(pid);
            image
        };
        let images = [1, 2, 3].map(|pid| end(&mut spaces, pid));
        let each = spaces.made / 3;
        spaces.bound(2 * each);
        assert_eq!(spaces.made, 2 * each);
        let names = images.map(|image| {
            let space = spaces.get_mut(image).expect("kept");
            assert_eq!(space.living(), None);
            space.made.find(None, 0x1001).map(|it| it.name.to_string())
        });
        let kept = [None, Some("made2".to_owned()), Some("made3".to_owned())];
        assert_eq!(names, kept);
        spaces.bound(2 * each - 1);
        assert_eq!(spaces.made, each);
        for pid in 0..ENDED_MAX as u32 {
            end(&mut spaces, pid + 10);
        }
        let held = spaces.images.values().map(|it| it.made.size()).sum();
        assert_eq!(spaces.made, held);
    }
}
