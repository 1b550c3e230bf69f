//! The process or file whose data is listed.

use std::path::{Path, PathBuf};

use hwtrace_lang::parse::glob;
use hwtrace_probes::image::{Module, debug_package};
use hwtrace_probes::{
    AbsAddr, Dwarf, Files, Image, Loader, NoDebugInfo, Process, VirtOffset,
};

use super::Refused;

/// A process or file.
pub(super) struct Program {
    pub(super) image: Image,
    /// Below which folder its paths are seen.
    root: PathBuf,
}

impl Program {
    /// Opens a process by its number, or a file by its path; with the libraries that the
    /// file needs, if they are asked for.
    pub(super) fn open(text: &str, libraries: bool) -> Result<Self, Refused> {
        let files = Files::new(|elf, path, root, number| {
            match Dwarf::open(elf, path, root, number) {
                Ok(dwarf) => Ok(Box::new(dwarf)),
                Err(none) => Err(none.to_string()),
            }
        });
        if let Ok(pid) = text.parse::<u32>() {
            let refused = |error: &dyn std::fmt::Display| {
                let help = "`pgrep NAME` finds the number of a process".to_owned();
                Refused::new(error.to_string()).help(help)
            };
            let process = Process::open(pid).map_err(|error| refused(&error))?;
            let image = Image::of_process(&process, &files);
            let image = image.map_err(|error| refused(&error))?;
            return Ok(Self { image, root: format!("/proc/{pid}/root").into() });
        }
        let loader = libraries.then(Loader::of_this_system);
        let image = Image::of_file(Path::new(text), loader.as_ref(), &files);
        let image = image.map_err(|error| {
            let help = "-p takes the number of a process, or the path of a program or \
                        library";
            Refused::new(error.to_string()).help(help.to_owned())
        })?;
        Ok(Self { image, root: "/".into() })
    }

    /// The executable, or the libraries that a pattern names.
    pub(super) fn chosen(&self, pattern: Option<&str>) -> Result<Vec<&Module>, Refused> {
        let Some(pattern) = pattern else {
            return Ok(self.image.modules().iter().take(1).collect());
        };
        let fits = |module: &Module| {
            let path = module.path().to_string_lossy();
            let name = file_name(module.path());
            let text = if pattern.contains('/') { &*path } else { &*name };
            glob(pattern.as_bytes(), text.as_bytes())
        };
        let mut found: Vec<_> =
            self.image.modules_named(pattern).map(|it| it.1).collect();
        if found.is_empty() {
            found.extend(self.image.modules().iter().filter(|module| fits(module)));
        }
        if found.is_empty() {
            let known =
                self.image.modules().iter().map(|module| file_name(module.path()));
            let known = known.collect::<Vec<_>>().join(", ");
            return Err(Refused::new(format!("no library is called `{pattern}`"))
                .help(format!("there are {known}")));
        }
        Ok(found)
    }

    /// The debug information of one of the files, which has this number.
    pub(super) fn debug(&self, module: &Module) -> Result<Dwarf, NoDebugInfo> {
        let Some(elf) = module.elf() else {
            return Err(NoDebugInfo::Nothing { build_id: None });
        };
        Dwarf::open(elf, module.path(), &self.root, 0)
    }
}

/// The last part of a path.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// The address in the process of one of a file; the same, where it is not loaded.
pub(super) fn address(module: &Module, address: VirtOffset) -> AbsAddr {
    module.bias().map_or(AbsAddr(address.0), |bias| bias.to_abs(address))
}

/// What to do where there is no debug information.
pub(super) fn without_debug_information(module: &Module, why: &NoDebugInfo) -> Refused {
    let help = match debug_package(module.path()) {
        Some(install) => format!("install its debug information: {install}"),
        None => "build it with `-g`".to_owned(),
    };
    Refused::new(format!("{}: {why}", module.path().display())).help(help)
}
