//! Finds the files that debug information was moved to: by build-id, by debug
//! link, and the supplementary file that dwz makes of what several have in common.
//!
//! Where they are looked for, and in which order, is as in gdb ("Debugging
//! Information in Separate Files" in its manual), all below the root folder that the
//! program sees.

use std::path::{Path, PathBuf};

use super::NoDebugInfo;
use super::sections::Sections;

/// Where systems keep debug information of what they install.
const DEBUG_FOLDER: &str = "usr/lib/debug";

/// A program's own place, below which everything else is looked for.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// The program's path as it is seen from the root.
    pub(super) path: &'a Path,
    /// The root folder.
    pub(super) root: &'a Path,
}

impl Place<'_> {
    /// A path that starts at the root.
    pub(super) fn below(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The folder that the program is in.
    pub(super) fn folder(&self) -> PathBuf {
        self.below(self.path).parent().map(Path::to_path_buf).unwrap_or_default()
    }

    fn debug_folder(&self) -> PathBuf {
        self.root.join(DEBUG_FOLDER)
    }

    fn by_build_id(&self, id: &[u8]) -> PathBuf {
        let hex = hex(id);
        let (folder, file) = hex.split_at(2.min(hex.len()));
        self.debug_folder().join(format!(".build-id/{folder}/{file}.debug"))
    }
}

/// The file with the debug information of `program`, which has none itself.
pub(super) fn find(
    program: &Sections,
    place: Place<'_>,
) -> Result<Sections, NoDebugInfo> {
    let id = program.build_id();
    let build_id = id.map(hex);
    let by_id = id.map(|id| place.by_build_id(id));
    let same_id = |found: &Sections| found.build_id() == id && holds(found);
    let found = by_id.as_deref().and_then(Sections::of_file).filter(same_id);
    if let Some(found) = found {
        return Ok(found);
    }
    let Some((name, crc)) = debug_link(program) else {
        return Err(NoDebugInfo::Nothing { build_id });
    };
    let mut looked: Vec<PathBuf> = by_id.into_iter().collect();
    let mut other = None;
    for path in linked(&name, place) {
        let Some(found) = Sections::of_file(&path) else {
            looked.push(path);
            continue;
        };
        let same = match (id, found.build_id()) {
            (Some(id), Some(its)) => id == its,
            _ => crc32(found.bytes()) == crc,
        };
        match same && holds(&found) {
            true => return Ok(found),
            false => other = Some(path),
        }
    }
    match other {
        Some(path) => Err(NoDebugInfo::OtherFile { path }),
        None => Err(NoDebugInfo::Missing { name, looked, build_id }),
    }
}

/// Is there debug information in it?
pub(super) fn holds(file: &Sections) -> bool {
    file.has(".debug_info")
}

/// Where a file of that name can be.
fn linked(name: &str, place: Place<'_>) -> [PathBuf; 3] {
    let folder = place.folder();
    let seen = place.path.parent().unwrap_or(Path::new(""));
    let seen = seen.strip_prefix("/").unwrap_or(seen);
    [
        folder.join(name),
        folder.join(".debug").join(name),
        place.debug_folder().join(seen).join(name),
    ]
}

/// The name and checksum of the file that `.gnu_debuglink` names.
fn debug_link(file: &Sections) -> Option<(String, u32)> {
    let link = file.get(".gnu_debuglink");
    let end = memchr::memchr(0, link)?;
    let at = (end + 1).next_multiple_of(4);
    let crc = link.get(at..at + 4)?.try_into().ok()?;
    let name = std::str::from_utf8(&link[..end]).ok()?;
    // A name, and no way to anywhere else.
    let plain = !name.is_empty() && !name.contains('/');
    plain.then(|| (name.to_owned(), u32::from_le_bytes(crc)))
}

/// The supplementary file of one that dwz went over. `None` if there is none, or
/// it is not there.
pub(super) fn supplement(file: &Sections, place: Place<'_>) -> Option<Sections> {
    let (name, id) = gnu_link(file).or_else(|| standard_link(file))?;
    let name = Path::new(std::str::from_utf8(name).ok()?);
    let base = name.file_name()?;
    let named = match name.is_absolute() {
        true => place.below(name),
        false => place.folder().join(name),
    };
    let shared = place.debug_folder().join(".dwz").join(base);
    let paths = [named, place.by_build_id(id), shared];
    let fits = |found: &Sections| found.build_id().is_none_or(|its| its == id);
    paths.iter().filter_map(|path| Sections::of_file(path)).find(fits)
}

/// GNU's form: a name, and the build-id.
fn gnu_link(file: &Sections) -> Option<(&[u8], &[u8])> {
    let link = file.get(".gnu_debugaltlink");
    let end = memchr::memchr(0, link)?;
    Some((&link[..end], &link[end + 1..]))
}

/// DWARF 5's form (7.3.6): a version, whether this file is the supplement, a
/// name, and a checksum with its length.
fn standard_link(file: &Sections) -> Option<(&[u8], &[u8])> {
    let link = file.get(".debug_sup");
    let (&[5, 0, 0], rest) = link.split_first_chunk::<3>()? else { return None };
    let end = memchr::memchr(0, rest)?;
    let (&length, checksum) = rest[end + 1..].split_first()?;
    Some((&rest[..end], checksum.get(..usize::from(length))?))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The checksum of debug links (IEEE 802.3).
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut index = 0;
        while index < 256 {
            let mut value = index as u32;
            let mut bit = 0;
            while bit < 8 {
                value = value >> 1 ^ if value & 1 == 1 { 0xedb8_8320 } else { 0 };
                bit += 1;
            }
            table[index] = value;
            index += 1;
        }
        table
    };
    let step =
        |crc: u32, &byte: &u8| crc >> 8 ^ TABLE[usize::from(crc.to_le_bytes()[0] ^ byte)];
    !bytes.iter().fold(!0, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums() {
        // The check value of the catalogue of CRCs.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }
}
