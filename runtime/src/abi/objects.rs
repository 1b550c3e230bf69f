//! The objects that handlers watch: which there are, and what of them the session does
//! not know yet.

use std::collections::{BTreeMap, BTreeSet};

/// So many objects are watched at once.
pub const OBJECTS_MAX: usize = 1024;

/// An object has at most so many bytes.
pub const OBJECT_BYTES_MAX: i64 = 64;

/// Stands for all objects of a name where `unwatch()` takes an address: no object is
/// there, as it would have no second byte.
pub const ALL_OBJECTS: i64 = -1;

/// Above this no process has memory (Documentation/arch/x86/x86_64/mm.rst).
const ADDRESS_END: u64 = 0x7fff_ffff_f000;

/// An object of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its number, which no other object has or had.
    pub id: u64,
    /// The name that it is watched by: index into
    /// [`Layout::objects`](crate::world::Layout::objects).
    pub name: u32,
    /// The process whose it is.
    pub pid: u32,
    /// Where it is.
    pub address: u64,
    /// Its bytes, 1 to 64.
    pub length: u32,
    /// When the handler was called that named it: nanoseconds of CLOCK_MONOTONIC.
    pub since: u64,
}

impl Object {
    /// Where the cells of so many bytes begin, aligned, that it has bytes in.
    pub fn cells(&self, bytes: u64) -> impl Iterator<Item = u64> + use<> {
        let end = self.address + u64::from(self.length);
        let first = self.address - self.address % bytes.max(1);
        (first..end).step_by(bytes.max(1) as usize)
    }
}

/// How many objects a process can have at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// So many registers it has for them.
    pub registers: usize,
    /// Each covers so many aligned bytes.
    pub bytes: u64,
}

/// What handlers want since the session asked last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Objects that it knows, and that are not to be watched any more.
    pub gone: Vec<Gone>,
    /// Those that are to be watched, the oldest first; of those that it knows already the
    /// length is another.
    pub come: Vec<Object>,
    /// Those that came and went meanwhile.
    pub missed: Vec<Missed>,
}

/// An object that is not to be watched any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone {
    /// Its number, as [`Object::id`].
    pub id: u64,
    /// Until when it was to be watched, nanoseconds of CLOCK_MONOTONIC; `u64::MAX` where
    /// nobody said so, and it is over all the same.
    pub until: u64,
}

/// Objects of a name that nobody learned of while they were to be watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missed {
    /// The name, as [`Object::name`].
    pub name: u32,
    /// How many.
    pub objects: u64,
    /// For how many nanoseconds they were to be watched, together.
    pub wanted_ns: u64,
}

impl Wishes {
    /// Whether nothing is wanted.
    pub fn is_empty(&self) -> bool {
        self.gone.is_empty() && self.come.is_empty() && self.missed.is_empty()
    }
}

/// Name, process and address of an object.
type Key = (u32, u32, u64);

/// The objects that are watched, as handlers see it.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    all: BTreeMap<Key, Object>,
    ids: BTreeSet<u64>,
    /// The number of the next one.
    next: u64,
    /// Those from this number on the session does not know yet.
    told: u64,
    gone: Vec<Gone>,
    /// Those that went before it knew them, by name.
    missed: BTreeMap<u32, Missed>,
    /// Those that it knows with another length.
    resized: BTreeSet<u64>,
    refused: u64,
    /// None: they take turns.
    room: Option<Room>,
    short: u64,
}

impl Objects {
    /// `watch()` at a time in nanoseconds of CLOCK_MONOTONIC: whether the object is watched
    /// from now on, or is already. One that is watched with another length has the new one.
    pub fn watch(
        &mut self,
        (name, pid): (u32, u32),
        address: i64,
        length: i64,
        since: u64,
    ) -> bool {
        let key = (name, pid, address as u64);
        let known = self.all.get(&key);
        if known.is_some_and(|known| i64::from(known.length) == length) {
            return true;
        }
        let end = key.2.checked_add(length as u64);
        let has_room = known.is_some() || self.all.len() < OBJECTS_MAX;
        let possible = (1..=OBJECT_BYTES_MAX).contains(&length)
            && pid != 0
            && address > 0
            && end.is_some_and(|end| end <= ADDRESS_END)
            && has_room;
        if !possible {
            self.refused += 1;
            return false;
        }
        // With another length it is the same: hits that are on their way are its own.
        let id = known.map_or(self.next, |known| known.id);
        let length = length as u32;
        let object = Object { id, name, pid, address: key.2, length, since };
        if !self.finds_room(key, &object) {
            self.short += 1;
            return false;
        }
        self.all.insert(key, object);
        if self.ids.insert(id) {
            self.next += 1;
        } else if id < self.told {
            self.resized.insert(id);
        }
        true
    }

    /// `unwatch()` at a time in nanoseconds of CLOCK_MONOTONIC: how many were watched; of
    /// all processes where no address is given.
    pub fn unwatch(&mut self, (name, pid): (u32, u32), address: i64, until: u64) -> i64 {
        if address != ALL_OBJECTS {
            let gone = self.remove((name, pid, address as u64));
            return gone.map_or(0, |object| self.went(&object, until));
        }
        let gone = self.remove_all(|object| object.name == name);
        gone.iter().map(|object| self.went(object, until)).sum()
    }

    /// Nobody wants an object any more; gives that it was one. Of one that came and went in
    /// between the session learns that there was one.
    fn went(&mut self, object: &Object, until: u64) -> i64 {
        let wanted_ns = until.saturating_sub(object.since);
        if object.id < self.told {
            self.gone.push(Gone { id: object.id, until });
        } else if wanted_ns > 0 {
            let none = Missed { name: object.name, ..Missed::default() };
            let missed = self.missed.entry(object.name).or_insert(none);
            missed.objects += 1;
            missed.wanted_ns += wanted_ns;
        }
        1
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// Whether an object is watched still.
    pub fn is_watched(&self, id: u64) -> bool {
        self.ids.contains(&id)
    }

    /// What handlers want since it was last asked for.
    pub fn take_wishes(&mut self) -> Wishes {
        let gone = std::mem::take(&mut self.gone);
        let resized = std::mem::take(&mut self.resized);
        let missed = std::mem::take(&mut self.missed).into_values().collect();
        if self.told == self.next && resized.is_empty() {
            return Wishes { gone, come: Vec::new(), missed };
        }
        let new = |it: &&Object| it.id >= self.told || resized.contains(&it.id);
        let mut come: Vec<_> = self.all.values().filter(new).copied().collect();
        come.sort_unstable_by_key(|object| object.id);
        self.told = self.next;
        Wishes { gone, come, missed }
    }

    /// Objects of a process are to have registers of their own, of which there are so many.
    pub fn set_room(&mut self, room: Option<Room>) {
        self.room = room;
    }

    /// Whether there are registers for an object in place of what has its key.
    fn finds_room(&self, key: Key, object: &Object) -> bool {
        let Some(Room { registers, bytes }) = self.room else { return true };
        let others = self.all.iter().filter(|(own, _)| own.1 == key.1 && **own != key);
        let others = others.flat_map(|(_, other)| other.cells(bytes));
        let cells: BTreeSet<_> = others.chain(object.cells(bytes)).collect();
        cells.len() <= registers
    }

    /// An object can not be watched after all; who says so tells of it.
    pub fn refuse(&mut self, id: u64) {
        self.remove_all(|object| object.id == id);
        self.gone.retain(|gone| gone.id != id);
    }

    /// A process has ended, or executes another image: it has none of them any more.
    pub fn forget(&mut self, pid: u32) {
        let told = self.told;
        let gone = self.remove_all(|object| object.pid == pid);
        let known = gone.iter().filter(|object| object.id < told);
        self.gone.extend(known.map(|object| Gone { id: object.id, until: u64::MAX }));
    }

    /// How many could not be watched.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// How many found no register.
    pub fn short(&self) -> u64 {
        self.short
    }

    fn remove_all(&mut self, which: impl Fn(&Object) -> bool) -> Vec<Object> {
        let keys: Vec<_> =
            self.all.iter().filter(|(_, it)| which(it)).map(|(key, _)| *key).collect();
        keys.iter().filter_map(|key| self.remove(*key)).collect()
    }

    fn remove(&mut self, key: Key) -> Option<Object> {
        let object = self.all.remove(&key)?;
        self.ids.remove(&object.id);
        Some(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(come: &[Object]) -> Vec<u64> {
        come.iter().map(|object| object.id).collect()
    }

    #[test]
    fn the_same_object_twice_is_one() {
        let mut objects = Objects::default();
        assert!(objects.watch((0, 7), 0x1000, 4, 9));
        assert!(objects.watch((0, 7), 0x1000, 4, 9));
        assert!(objects.watch((1, 7), 0x1000, 4, 9), "by another name it is another");
        assert_eq!(ids(&objects.take_wishes().come), [0, 1]);
        assert!(objects.take_wishes().is_empty());
        assert!(objects.watch((0, 7), 0x1000, 8, 9), "longer than before");
        let wishes = objects.take_wishes();
        assert_eq!((wishes.gone, ids(&wishes.come)), (vec![], vec![0]), "and the same");
        assert_eq!(wishes.come[0].length, 8);
        assert!(objects.is_watched(0) && objects.count() == 2);
        assert!(
            objects.watch((0, 7), 0x1000, 2, 9)
                && objects.unwatch((0, 7), 0x1000, 12) == 1
        );
        let wishes = objects.take_wishes();
        let gone = vec![Gone { id: 0, until: 12 }];
        assert_eq!((wishes.gone, ids(&wishes.come)), (gone, vec![]));
    }

    #[test]
    fn what_can_not_be_is_refused_and_counted() {
        let mut objects = Objects::default();
        for (pid, address, length) in [
            (0, 0x1000, 4),
            (7, 0, 4),
            (7, -8, 4),
            (7, 0x7fff_ffff_efff, 2),
            (7, i64::MAX, 64),
            (7, 0x1000, 0),
            (7, 0x1000, -1),
            (7, 0x1000, 65),
        ] {
            assert!(
                !objects.watch((0, pid), address, length, 9),
                "{address:#x} {length}"
            );
        }
        assert_eq!((objects.refused(), objects.count()), (8, 0));
        for at in 0..OBJECTS_MAX as i64 {
            assert!(objects.watch((0, 7), 0x1000 + 8 * at, 8, 9));
        }
        assert!(!objects.watch((0, 7), 0x10_0000, 8, 9), "too many");
        assert!(objects.watch((0, 7), 0x1000, 4, 9), "takes the place of itself");
        assert_eq!(objects.refused(), 9);
    }

    #[test]
    fn what_goes_is_told_once_and_only_where_it_was_told_of() {
        let mut objects = Objects::default();
        objects.watch((0, 7), 0x1000, 4, 9);
        assert_eq!(objects.unwatch((0, 7), 0x1000, 9), 1);
        assert_eq!(objects.unwatch((0, 7), 0x1000, 9), 0);
        assert!(objects.take_wishes().is_empty());
        objects.watch((0, 7), 0x1000, 4, 9);
        objects.watch((0, 8), 0x1000, 4, 9);
        objects.watch((1, 7), 0x1000, 4, 9);
        objects.take_wishes();
        assert_eq!(objects.unwatch((0, 9), ALL_OBJECTS, 9), 2, "of all processes");
        assert!(!objects.is_watched(1) && objects.is_watched(3));
        let gone = |id, until| Gone { id, until };
        assert_eq!(objects.take_wishes().gone, [gone(1, 9), gone(2, 9)]);
        objects.forget(7);
        assert_eq!(objects.take_wishes().gone, [gone(3, u64::MAX)]);
        objects.watch((0, 7), 0x1000, 4, 9);
        objects.take_wishes();
        objects.refuse(4);
        assert!(objects.take_wishes().is_empty(), "the session knows");
        assert_eq!((objects.refused(), objects.count()), (0, 0));
    }

    #[test]
    fn of_what_comes_and_goes_in_between_it_is_told_how_long_it_was_wanted() {
        let mut objects = Objects::default();
        objects.watch((0, 7), 0x1000, 4, 10);
        objects.take_wishes();
        objects.watch((0, 7), 0x1008, 4, 20);
        objects.watch((1, 7), 0x1008, 4, 20);
        objects.watch((1, 7), 0x1010, 4, 25);
        objects.watch((1, 7), 0x1018, 4, 90);
        assert_eq!(objects.unwatch((0, 7), 0x1000, 30), 1, "known");
        assert_eq!(objects.unwatch((0, 7), 0x1008, 20), 1, "at once: no time to miss");
        assert_eq!(objects.unwatch((1, 7), 0x1008, 60), 1);
        assert_eq!(objects.unwatch((1, 7), 0x1010, 80), 1);
        let wishes = objects.take_wishes();
        let missed = Missed { name: 1, objects: 2, wanted_ns: 95 };
        assert_eq!((wishes.missed, ids(&wishes.come)), (vec![missed], vec![4]));
        assert!(objects.take_wishes().is_empty());
    }

    #[test]
    fn without_turns_there_are_as_many_as_registers() {
        let mut objects = Objects::default();
        objects.set_room(Some(Room { registers: 2, bytes: 8 }));
        assert!(
            objects.watch((0, 7), 0x1000, 4, 9) && objects.watch((0, 7), 0x1008, 8, 9)
        );
        assert!(
            objects.watch((0, 7), 0x1004, 4, 9) && objects.watch((1, 7), 0x1000, 4, 9),
            "shared"
        );
        assert!(!objects.watch((0, 7), 0x1010, 1, 9));
        assert!(!objects.watch((0, 7), 0x1008, 9, 9), "longer than there is room for");
        assert!(objects.watch((0, 7), 0x1008, 8, 9), "it has the length that it had");
        assert!(objects.watch((0, 8), 0x1010, 16, 9), "another process");
        assert_eq!(objects.unwatch((0, 7), 0x1008, 9), 1);
        assert!(objects.watch((0, 7), 0x1010, 1, 9));
        assert_eq!((objects.short(), objects.refused()), (2, 0));
    }
}
