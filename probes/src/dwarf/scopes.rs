//! What the entries of a unit are within.

use std::sync::Arc;

use super::parts::Entry;
use super::unit::{ATTRIBUTES_MAX, Unit};
use super::walk::Outer;

/// The entries of a unit that have others within them.
#[derive(Debug, Default)]
pub(super) struct Scopes(Vec<Scope>);

#[derive(Debug)]
struct Scope {
    outer: Outer,
    /// Where what is within it ends.
    end: u32,
    /// Which scope it is itself within.
    parent: Option<u32>,
}

impl Scopes {
    /// What an entry is within, outermost first.
    pub(super) fn around(&self, offset: u32) -> Vec<Outer> {
        let before = self.0.partition_point(|scope| scope.outer.offset < offset);
        let mut next = before.checked_sub(1);
        let mut around = Vec::new();
        while let Some(scope) = next.and_then(|index| self.0.get(index)) {
            if offset < scope.end {
                around.push(scope.outer);
            }
            next = scope.parent.map(|parent| parent as usize);
        }
        around.reverse();
        around
    }
}

impl Unit<'_> {
    /// What the entries of the unit are within.
    pub(super) fn scopes(&self) -> Arc<Scopes> {
        let key = Entry { part: self.part, offset: self.at.start };
        if let Some(scopes) = self.dwarf.scopes.get(&key) {
            return scopes;
        }
        let scopes = Arc::new(self.read_scopes());
        self.dwarf.scopes.insert(key, Arc::clone(&scopes));
        scopes
    }

    fn read_scopes(&self) -> Scopes {
        let mut scopes = Scopes::default();
        let mut open: Vec<u32> = Vec::new();
        let end = |scopes: &mut Scopes, index: Option<u32>, at| {
            let scope = index.and_then(|index| scopes.0.get_mut(index as usize));
            if let Some(scope) = scope {
                scope.end = at;
            }
        };
        let Ok(mut raw) = self.unit.entries_raw(None) else { return scopes };
        while !raw.is_empty() {
            let offset = self.entry(raw.next_offset()).offset;
            let depth = raw.next_depth();
            match raw.read_abbreviation() {
                Ok(None) => end(&mut scopes, open.pop(), offset),
                Ok(Some(entry)) if entry.attributes().len() <= ATTRIBUTES_MAX => {
                    if raw.skip_attributes(entry.attributes()).is_err() {
                        break;
                    }
                    if entry.has_children() {
                        let outer = Outer { offset, tag: entry.tag(), depth };
                        let parent = open.last().copied();
                        open.push(scopes.0.len() as u32);
                        scopes.0.push(Scope { outer, end: self.at.end, parent });
                    }
                }
                _ => break,
            }
        }
        scopes
    }
}
