//! Debug information that the compiler put into files of its own
//! (`-gsplit-dwarf`): a `.dwo` file for each unit, or all of them in a `.dwp` file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gimli::UnitType;
use gimli::constants as dw;

use super::Dwarf;
use super::parts::{BUILTIN, INFO, Part, UnitAt};
use super::sections::Sections;
use super::separate::Place;
use super::unit::Unit;

/// What was split off.
#[derive(Debug, Default)]
pub(super) struct Split {
    pub(super) parts: Vec<Part>,
    /// The units of part 0 that stand for units in other files, by their numbers.
    skeletons: HashMap<u64, usize>,
    pub(super) missing: Vec<PathBuf>,
}

impl Dwarf {
    pub(super) fn split(&self) -> &Split {
        self.split.get_or_init(|| self.find_split().unwrap_or_default())
    }

    /// The unit that stands in the program's own file for one of a `.dwo` file.
    pub(super) fn skeleton_of(
        &self,
        part: &Part,
        at: &UnitAt,
        dwo_id: Option<u64>,
    ) -> Option<Unit<'_>> {
        let index = match (at.kind, dwo_id) {
            _ if !part.dwo => None,
            _ if !part.package => part.skeleton,
            (UnitType::SplitCompilation(id), _) => {
                self.split().skeletons.get(&id.0).copied()
            }
            (_, id) => self.split().skeletons.get(&id?).copied(),
        };
        self.unit(INFO, index?)
    }

    fn find_split(&self) -> Option<Split> {
        let main = self.main()?;
        let part = self.parts[usize::from(INFO)].as_ref()?;
        let mut split = Split::default();
        // Split units refer to addresses by number, which are in this section.
        if !main.has(".debug_addr") {
            return None;
        }
        let mut files = Vec::new();
        for (index, at) in part.units().all.iter().enumerate() {
            let id = match at.kind {
                UnitType::Skeleton(id) => Some(id.0),
                _ if at.version >= 5 => None,
                _ => self.unit_unkept(INFO, index).and_then(|unit| unit.facts.dwo_id),
            };
            if let Some(id) = id {
                split.skeletons.insert(id, index);
                files.push(index);
            }
        }
        if files.is_empty() {
            return None;
        }
        match self.package() {
            Some(package) => split.add(package, None),
            None => files.into_iter().for_each(|index| self.add_dwo(&mut split, index)),
        }
        Some(split)
    }

    /// The `.dwp` file beside the program.
    fn package(&self) -> Option<Sections> {
        let place = Place { path: &self.path, root: &self.root };
        let mut name = place.below(&self.path).into_os_string();
        name.push(".dwp");
        Sections::of_file(Path::new(&name)).filter(|file| file.has(".debug_cu_index"))
    }

    /// The `.dwo` file of a unit: where it was made, or beside the program.
    fn add_dwo(&self, split: &mut Split, index: usize) {
        let Some(unit) = self.unit_unkept(INFO, index) else { return };
        let Some(name) = unit.dwo_name() else { return };
        let place = Place { path: &self.path, root: &self.root };
        let folder = unit.facts.folder.as_deref().unwrap_or("");
        let made = place.below(&Path::new(folder).join(&name));
        let beside = place.folder().join(name.file_name().unwrap_or_default());
        match Sections::of_file(&made).or_else(|| Sections::of_file(&beside)) {
            Some(file) => split.add(file, Some(index)),
            None => split.missing.push(made),
        }
    }
}

impl Split {
    fn add(&mut self, file: Sections, skeleton: Option<usize>) {
        let count = |name| file.named(name).count();
        let counts = [count(".debug_info.dwo"), count(".debug_types.dwo")];
        let file = Arc::new(file);
        for (types, count) in [(false, counts[0]), (true, counts[1])] {
            for nth in 0..count {
                // More parts have no number.
                if self.parts.len() + 3 < usize::from(BUILTIN) {
                    let part = Part::split(Arc::clone(&file), types, nth, skeleton);
                    self.parts.push(part);
                }
            }
        }
    }
}

impl Unit<'_> {
    fn dwo_name(&self) -> Option<PathBuf> {
        let root = self.root()?;
        let name = self.text(&root, dw::DW_AT_dwo_name);
        let name = name.or_else(|| self.text(&root, dw::DW_AT_GNU_dwo_name))?;
        Some(PathBuf::from(String::from_utf8_lossy(name).into_owned()))
    }
}
