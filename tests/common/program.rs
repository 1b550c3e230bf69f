//! Targets, compiled when they are first needed.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};

/// The C program `tests/targets/NAME.c`.
pub(crate) fn c(name: &str) -> PathBuf {
    c_with(name, &[])
}

/// The same, compiled with these flags too.
pub(crate) fn c_with(name: &str, flags: &[&str]) -> PathBuf {
    build(&format!("{name}{}", flags.concat()), |program| {
        let mut cc = Command::new("cc");
        cc.args(["-O1", "-pthread"]).args(flags).arg("-o").arg(program);
        cc.arg(source(&format!("{name}.c")));
        cc
    })
}

/// The same as a library, `NAME.so`.
pub(crate) fn library(name: &str) -> PathBuf {
    library_with(name, &[])
}

/// The same, compiled with these flags too.
pub(crate) fn library_with(name: &str, flags: &[&str]) -> PathBuf {
    build(&format!("{name}{}.so", flags.concat()), |library| {
        let mut cc = Command::new("cc");
        cc.args(["-g", "-O1", "-shared", "-fPIC"]).args(flags).arg("-o").arg(library);
        cc.arg(source(&format!("{name}.c")));
        cc
    })
}

/// The C program that needs a library, which is found beside it.
pub(crate) fn c_needing(name: &str, library: &Path) -> PathBuf {
    c_needing_with(name, library, &[])
}

/// The same, compiled with these flags too.
pub(crate) fn c_needing_with(name: &str, library: &Path, flags: &[&str]) -> PathBuf {
    build(&format!("{name}{}", flags.concat()), |program| {
        let mut cc = Command::new("cc");
        cc.args(["-g", "-O1", "-pthread"]).args(flags).arg("-o").arg(program);
        cc.arg(source(&format!("{name}.c"))).arg("-L").arg(library.parent().unwrap());
        cc.arg(format!("-l:{}", library.file_name().unwrap().display()));
        cc.arg("-Wl,-rpath,$ORIGIN");
        cc
    })
}

/// The Rust program `tests/targets/NAME.rs`, compiled with these flags too.
pub(crate) fn rust(name: &str, flags: &[&str]) -> PathBuf {
    build(&format!("{name}{}", flags.concat()), |program| {
        let mut rustc = Command::new("rustc");
        rustc.args(["--edition", "2024", "-O", "--crate-name", name]).args(flags);
        rustc.arg("-o").arg(program).arg(source(&format!("{name}.rs")));
        rustc
    })
}

/// The C++ program `tests/real/targets/NAME.cpp`.
pub(crate) fn cpp(name: &str) -> PathBuf {
    build(name, |program| {
        let mut cpp = Command::new("c++");
        cpp.args(["-std=c++17", "-g", "-O1", "-pthread", "-o"]).arg(program);
        cpp.arg(root().join(format!("tests/real/targets/{name}.cpp")));
        cpp
    })
}

fn source(file: &str) -> PathBuf {
    root().join("tests/targets").join(file)
}

/// The folder of the workspace, of whose packages two have such tests.
fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().find(|folder| folder.join("Cargo.lock").exists()).unwrap()
}

/// Once in each test process, and under the final name only when complete:
/// another test process may run the same program now.
fn build(name: &str, command: impl Fn(&Path) -> Command) -> PathBuf {
    static BUILT: OnceLock<Mutex<HashMap<String, PathBuf>>> = OnceLock::new();
    let built = BUILT.get_or_init(Mutex::default);
    let mut built = built.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(program) = built.get(name) {
        return program.clone();
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(env!("CARGO_CRATE_NAME"));
    let own = folder.join(format!("making-{}", std::process::id()));
    fs::create_dir_all(&own).unwrap();
    let (making, program) = (own.join(name), folder.join(name));
    let output = command(&making).output().expect("a compiler");
    assert!(
        output.status.success(),
        "{name}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    fs::rename(&making, &program).unwrap();
    fs::remove_dir(&own).unwrap();
    built.insert(name.to_owned(), program.clone());
    program
}

/// A folder that everybody may enter and read, removed when dropped.
pub(crate) struct Scratch(tempfile::TempDir);

impl Scratch {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        Self(folder)
    }

    /// A copy of the program that everybody may read and execute.
    pub(crate) fn copy(&self, program: impl AsRef<Path>) -> PathBuf {
        let program = program.as_ref();
        let copy = self.0.path().join(program.file_name().unwrap());
        // By a process of its own: what another thread forks meanwhile would have the file
        // open for writing, too, and it could not be executed (ETXTBSY).
        let copied = Command::new("cp").arg("--").arg(program).arg(&copy).status();
        assert!(copied.unwrap().success(), "{}", program.display());
        fs::set_permissions(&copy, PermissionsExt::from_mode(0o755)).unwrap();
        copy
    }

    /// A file with these bytes and permissions.
    pub(crate) fn file(&self, name: &str, bytes: &[u8], mode: u32) -> PathBuf {
        let file = self.0.path().join(name);
        fs::write(&file, bytes).unwrap();
        fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        file
    }
}
