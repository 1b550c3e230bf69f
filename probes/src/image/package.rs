//! Which package of a distribution has the debug information of a file.

use std::fs;
use std::path::Path;

/// Lists of packages longer than that are not read.
const MAX_LIST: u64 = 16 << 20;

/// What installs the debug information of a file that a Debian package brought:
/// `apt-get install zlib1g-dbgsym`. None of files that no package brought.
pub fn debug_package(path: &Path) -> Option<String> {
    let name = owner(Path::new("/var/lib/dpkg/info"), path)?;
    Some(format!("`apt-get install {name}-dbgsym`"))
}

/// The package whose list of files has this one. Since directories of / are links to
/// those of /usr, a list may have either.
fn owner(lists: &Path, path: &Path) -> Option<String> {
    let path = path.to_str()?;
    let other = match path.strip_prefix("/usr") {
        Some(tail) => tail.to_owned(),
        None => format!("/usr{path}"),
    };
    let has = |list: &Path| {
        let small = fs::metadata(list).is_ok_and(|list| list.len() <= MAX_LIST);
        let text = if small { fs::read(list).unwrap_or_default() } else { Vec::new() };
        let mut lines = text.split(|&byte| byte == b'\n');
        lines.any(|line| line == path.as_bytes() || line == other.as_bytes())
    };
    for list in fs::read_dir(lists).ok()?.flatten() {
        let list = list.path();
        if list.extension().is_some_and(|end| end == "list") && has(&list) {
            // `libc6:amd64.list` where a package is there for several machines.
            let name = list.file_stem()?.to_str()?;
            return Some(name.split(':').next().unwrap_or(name).to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_packages() {
        let folder = tempfile::tempdir().expect("a folder");
        let list = |name: &str, text: &str| {
            fs::write(folder.path().join(name), text).expect("written");
        };
        list("bash.list", "/.\n/bin/bash\n");
        list("libc6:amd64.list", "/usr/lib/x86_64-linux-gnu/libc.so.6\n");
        list("libc6:amd64.md5sums", "/opt/prog\n");
        for (path, name) in [
            ("/usr/bin/bash", Some("bash")),
            ("/bin/bash", Some("bash")),
            ("/lib/x86_64-linux-gnu/libc.so.6", Some("libc6")),
            ("/opt/prog", None),
            ("/bin/bas", None),
        ] {
            assert_eq!(owner(folder.path(), Path::new(path)).as_deref(), name, "{path}");
        }
    }
}
