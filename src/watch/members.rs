//! Members of watched data: what tables call them, and how their values are shown.

use std::collections::HashMap;

use hwtrace_probes::resolve::{Location, Part};
use hwtrace_probes::types::{Type, Types};

use crate::names::Names;
use crate::values::Values;

/// Shown where it is not told which member was touched.
const UNTOLD: &str = "?";

/// The members of all that is watched.
#[derive(Default)]
pub(super) struct Members {
    /// Handles of names: their places here.
    handles: HashMap<Vec<u8>, u64>,
    /// By what is watched, and there by handle; none of what has no members.
    of: Vec<HashMap<u64, Member>>,
    /// By what is watched: its name.
    wholes: Vec<String>,
}

/// A member.
pub(super) struct Member {
    /// What to write to name it: `cfg.limits[2].max`.
    name: String,
    /// Of an element of a text: the handle of the text, which has one row.
    row: Option<u64>,
    /// How its values are shown.
    pub(super) values: Values,
}

impl Members {
    /// The handle of a name.
    pub(super) fn handle(&mut self, name: &[u8]) -> u64 {
        let next = self.handles.len() as u64;
        *self.handles.entry(name.to_owned()).or_insert(next)
    }

    /// The members of the next that is watched.
    pub(super) fn add(&mut self, location: &Location, names: &Names) {
        let parts = || location.pieces.iter().flat_map(|piece| &piece.parts);
        let mut members = HashMap::new();
        if parts().any(|part| part.name != location.name) {
            for part in parts() {
                let row = self.text(part, names);
                let handle = self.handle(part.name.as_bytes());
                for handle in row.as_ref().map(|it| it.1).into_iter().chain([handle]) {
                    let name = row.as_ref().map_or(&*part.name, |it| it.0);
                    members.insert(
                        handle,
                        Member {
                            name: name.to_owned(),
                            row: row.as_ref().map(|it| it.1),
                            values: part.ty.map_or_else(Values::default, |ty| {
                                Values::of(names.types(), ty)
                            }),
                        },
                    );
                }
            }
        }
        self.of.push(members);
        self.wholes.push(location.name.clone());
    }

    /// The next is not watched.
    pub(super) fn skip(&mut self) {
        self.of.push(HashMap::new());
        self.wholes.push(String::new());
    }

    /// The text that a character is one of: its name and handle.
    fn text<'p>(&mut self, part: &'p Part, names: &Names) -> Option<(&'p str, u64)> {
        let types: &dyn Types = names.types();
        let is_char = matches!(&*types.plain(part.ty?).1, Type::Char { size: 1, .. });
        let (text, _) = part.name.rsplit_once('[').filter(|_| is_char)?;
        part.name.ends_with(']').then(|| (text, self.handle(text.as_bytes())))
    }

    /// A member by the handle of its name; none where it is not told which.
    pub(super) fn of(&self, watched: usize, name: u64) -> Option<&Member> {
        self.of.get(watched)?.get(&name)
    }

    /// By which name hits on a member are counted.
    pub(super) fn row(&self, watched: usize, name: u64) -> u64 {
        self.of(watched, name).and_then(|member| member.row).unwrap_or(name)
    }

    /// What was touched of what is watched: `.limits[2].max`; empty of what has no members.
    pub(super) fn shown(&self, watched: usize, name: u64) -> String {
        match self.of(watched, name) {
            Some(member) => below(&member.name, &self.wholes[watched]).to_owned(),
            None if self.of.get(watched).is_none_or(HashMap::is_empty) => String::new(),
            None => UNTOLD.to_owned(),
        }
    }

    /// The same of an element, as it is told from others: `[3].refs`. `range` is what the
    /// range is of.
    pub(super) fn element(&self, watched: usize, name: u64, range: &str) -> String {
        let member = self.of(watched, name).map(|member| &member.name);
        below(member.unwrap_or(&self.wholes[watched]), range).to_owned()
    }
}

/// What the name of a member adds to that of the whole.
fn below<'n>(member: &'n str, whole: &str) -> &'n str {
    member.strip_prefix(whole).unwrap_or(member)
}
