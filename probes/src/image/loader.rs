//! Which libraries a file needs, and where ld.so(8) would find them.

use std::collections::HashSet;
use std::env;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::files::{Files, SourceFile};
use crate::symbols::{Dynamic, ElfKind, file};

/// Finds libraries as the dynamic loader of glibc does.
#[derive(Debug, Default)]
pub struct Loader {
    /// `LD_LIBRARY_PATH`.
    paths: Vec<PathBuf>,
    /// `/etc/ld.so.cache`: names with the paths of their files.
    cache: Vec<(String, PathBuf)>,
}

/// Where the loader looks last. Debian has the first two.
const DEFAULTS: [&str; 6] = [
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
];

/// So many libraries of a program are looked for.
const MAX_LIBRARIES: usize = 1024;

impl Loader {
    /// As it would be for a program that we start: with our environment.
    pub fn of_this_system() -> Self {
        let cache = file::load(Path::new("/etc/ld.so.cache"));
        Loader {
            paths: split(&env::var_os("LD_LIBRARY_PATH").unwrap_or_default(), None),
            cache: cache.map(|bytes| parse_cache(&bytes)).unwrap_or_default(),
        }
    }

    /// Adds the libraries that the first file needs, and those that they need, in
    /// the loader's order: breadth first.
    pub(super) fn add_needed(&self, all: &mut Vec<Rc<SourceFile>>, files: &Rc<Files>) {
        let mut seen = HashSet::new();
        let mut next = 0;
        // Those who need a library pass their DT_RPATH on to it.
        let mut inherited: Vec<Vec<PathBuf>> = vec![Vec::new()];
        while let Some(file) = all.get(next).map(Rc::clone) {
            let dynamic = file.elf.dynamic();
            let origin = file.path.parent();
            let mut rpath = inherited[next].clone();
            if dynamic.runpath.is_empty() {
                rpath.splice(0..0, split(&dynamic.rpath, origin));
            }
            for name in &dynamic.needed {
                if all.len() < MAX_LIBRARIES
                    && seen.insert(name.clone())
                    && let Some(found) = self.find(name, &rpath, &dynamic, origin, files)
                    && !all.iter().any(|known| Rc::ptr_eq(known, &found))
                {
                    all.push(found);
                    inherited.push(rpath.clone());
                }
            }
            next += 1;
        }
    }

    /// A library that a program loads by this name: with `.so` or without.
    pub(super) fn library(
        &self,
        name: &str,
        program: Option<&Rc<SourceFile>>,
        files: &Rc<Files>,
    ) -> Option<Rc<SourceFile>> {
        let (dynamic, origin) = match program {
            Some(program) => (program.elf.dynamic(), program.path.parent()),
            None => (Dynamic::default(), None),
        };
        let rpath = split(&dynamic.rpath, origin);
        let find = |name: &str| self.find(name, &rpath, &dynamic, origin, files);
        find(name).or_else(|| find(&format!("{name}.so")))
    }

    fn find(
        &self,
        name: &str,
        rpath: &[PathBuf],
        dynamic: &Dynamic,
        origin: Option<&Path>,
        files: &Rc<Files>,
    ) -> Option<Rc<SourceFile>> {
        let open = |path: PathBuf| {
            let file = files.open(&path, Path::new("/")).ok()?;
            (file.elf.kind() == ElfKind::Relocatable).then_some(file)
        };
        if name.contains('/') {
            return open(PathBuf::from(name));
        }
        let runpath = split(&dynamic.runpath, origin);
        // With DT_RUNPATH, what DT_RPATH says is not looked at.
        let rpath = if runpath.is_empty() { rpath } else { &[] };
        let cached = self.cache.iter().filter(|(known, _)| known == name);
        let folders = rpath.iter().chain(&self.paths).chain(&runpath);
        let mut before = folders.map(|folder| folder.join(name));
        let mut after = DEFAULTS.iter().map(|folder| Path::new(folder).join(name));
        before
            .find_map(open)
            .or_else(|| cached.map(|(_, path)| path.clone()).find_map(open))
            .or_else(|| after.find_map(open))
    }
}

/// `$ORIGIN/../lib:/opt/lib` as folders. `origin` is the folder of the file that says
/// so.
fn split(paths: &OsString, origin: Option<&Path>) -> Vec<PathBuf> {
    let folder = |path: PathBuf| {
        let mut parts = path.components();
        let first = parts.next().map(|first| first.as_os_str().to_owned());
        match (first.as_deref().and_then(|first| first.to_str()), origin) {
            (Some("$ORIGIN" | "${ORIGIN}"), Some(origin)) => origin.join(parts.as_path()),
            _ => path,
        }
    };
    let given = env::split_paths(paths).filter(|path| !path.as_os_str().is_empty());
    given.map(folder).collect()
}

/// How the cache starts, since glibc 2.2 (`struct cache_file_new` in
/// sysdeps/generic/dl-cache.h).
const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const HEADER: usize = 48;
const ENTRY: usize = 24;
/// The file is for ELF libraries of x86-64 (`FLAG_ELF_LIBC6 | FLAG_X8664_LIB64`).
const X86_64: u32 = 0x0303;

/// Reads `/etc/ld.so.cache`; damaged entries are left out.
fn parse_cache(bytes: &[u8]) -> Vec<(String, PathBuf)> {
    let word = |at: usize| -> Option<u32> {
        let bytes = bytes.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let text = |at: u32| -> Option<&[u8]> {
        const MAX_PATH: usize = 4096;
        let tail = bytes.get(usize::try_from(at).ok()?..)?;
        let end = tail.iter().take(MAX_PATH).position(|&byte| byte == 0)?;
        Some(&tail[..end])
    };
    if !bytes.starts_with(MAGIC) {
        return Vec::new();
    }
    let count = word(MAGIC.len()).and_then(|count| usize::try_from(count).ok());
    let count = count.unwrap_or(0).min(bytes.len() / ENTRY);
    let entry = |number: usize| {
        let at = HEADER + number * ENTRY;
        let (name, path) = (text(word(at + 4)?)?, text(word(at + 8)?)?);
        let name = String::from_utf8(name.to_vec()).ok()?;
        let path = PathBuf::from(OsString::from_vec(path.to_vec()));
        (word(at)? == X86_64).then_some((name, path))
    };
    (0..count).filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        let paths = OsString::from("$ORIGIN/../lib::/opt/lib:${ORIGIN}");
        let origin = Path::new("/usr/bin");
        let folders = split(&paths, Some(origin));
        let expected = ["/usr/bin/../lib", "/opt/lib", "/usr/bin"];
        assert_eq!(folders, expected.map(PathBuf::from));
    }

    #[test]
    fn the_cache_of_this_system_and_damaged_ones() {
        let Ok(bytes) = std::fs::read("/etc/ld.so.cache") else {
            println!("SKIPPED: there is no /etc/ld.so.cache");
            return;
        };
        let found = parse_cache(&bytes);
        let libc = found.iter().find(|(name, _)| name == "libc.so.6").expect("libc");
        assert!(libc.1.exists(), "{libc:?}");
        for end in (0..bytes.len()).step_by(997) {
            assert!(parse_cache(&bytes[..end]).len() <= found.len());
        }
        let mut damaged = bytes;
        for at in (20..damaged.len()).step_by(499) {
            damaged[at] ^= 0xff;
            let _ = parse_cache(&damaged);
        }
    }
}
