//! From an address to what debug information tells of it: lines and members.

use std::cell::OnceCell;
use std::path::Path;
use std::sync::Arc;

use super::kernel::KernelDebug;
use super::spaces::keep;
use super::{Symbol, Symbolizer};
use crate::address::AbsAddr;
use crate::dwarf::Frame;
use crate::resolve::path_at;
use crate::symbols::kallsyms::KERNEL;
use crate::symbols::{KernelData, KernelSymbols};
use crate::types::{Line, Place};

/// What paths of libraries have in them whose functions are small and inlined: those of
/// Rust, as it was built and as its sources are installed, and of C++.
const LIBRARIES: [&str; 3] = ["/rustc/", "/rustlib/src/rust/", "/include/c++/"];

impl Symbolizer {
    /// As [`Symbolizer::with_kernel`], with the kernel's debug information from this
    /// file. None is used where the file has none.
    pub fn with_kernel_file(symbols: KernelSymbols, file: &Path) -> Self {
        let debug = OnceCell::from(KernelDebug::open(file, &symbols));
        Self { kernel_debug: debug, ..Self::with_kernel(symbols) }
    }

    /// The functions that an instruction of a process, or of the kernel, is of: the
    /// innermost first, and behind it those that the compiler inlined it into. The
    /// address is that of the instruction itself. Empty where no debug information
    /// tells of it.
    pub fn source(&mut self, pid: u32, address: AbsAddr) -> Arc<[Frame]> {
        let image = self.image_of(pid);
        self.source_in(image, address)
    }

    pub(super) fn source_in(&mut self, image: u32, address: AbsAddr) -> Arc<[Frame]> {
        if let Some(answers) = self.spaces.answers(image)
            && let Some(known) = answers.frames.get(&address.0)
        {
            return known.clone();
        }
        let frames: Arc<[Frame]> = match address.is_kernel() {
            true => self.kernel_source(address),
            false => self.user_source(image, address),
        }
        .unwrap_or_default()
        .into();
        if let Some(answers) = self.spaces.answers(image) {
            keep(&mut answers.frames, address.0, frames.clone());
        }
        frames
    }

    /// The line of an instruction, as the compiler was given its file; otherwise as
    /// [`Symbolizer::source`].
    pub fn line(&mut self, pid: u32, address: AbsAddr) -> Option<Line> {
        self.source(pid, address).first()?.place()
    }

    /// The line that people look for: as [`Symbolizer::line`], but of code that was inlined
    /// from a language's own library the line that called for it. It is the line of the
    /// library where all is of that.
    pub fn own_line(&mut self, pid: u32, address: AbsAddr) -> Option<Line> {
        let frames = self.source(pid, address);
        let is_own = |line: &Line| !LIBRARIES.iter().any(|part| line.file.contains(part));
        let own = frames.iter().filter_map(Frame::place).find(is_own);
        own.or_else(|| frames.first()?.place())
    }

    fn user_source(&mut self, image: u32, address: AbsAddr) -> Option<Vec<Frame>> {
        let place = self.in_file(image, address)?;
        Some(self.modules.dwarf(place.module)?.frames_at(place.virt))
    }

    fn kernel_source(&self, address: AbsAddr) -> Option<Vec<Frame>> {
        let symbol = self.kernel(address).filter(|symbol| &*symbol.module == KERNEL)?;
        let symbols = self.kernel.get_or_init(KernelSymbols::running);
        let debug = self.kernel_debug.get_or_init(|| KernelDebug::running(symbols));
        Some(debug.as_ref()?.frames(address, symbol.offset))
    }

    /// The data at an address of a process: variable and member, `cache.slots[4].next`;
    /// `+2` behind it where the address is not its first byte. Without debug information
    /// the variable's symbol alone, as also of the kernel's data. `None` for what is in no
    /// variable.
    pub fn data_path(&mut self, pid: u32, address: AbsAddr) -> Option<String> {
        if address.is_kernel() {
            let data = self.kernel_data.get_or_init(KernelData::running);
            let variable = data.at(address)?;
            let offset = address.0.checked_sub(variable.start.0)?;
            return Some(with_rest(variable.name.to_owned(), offset));
        }
        self.typed_path(pid, address).or_else(|| {
            let Symbol { name, offset, .. } = self.data(pid, address)?;
            Some(with_rest(name.to_string(), offset))
        })
    }

    fn typed_path(&mut self, pid: u32, address: AbsAddr) -> Option<String> {
        let image = self.image_of(pid);
        let place = self.in_file(image, address)?;
        let dwarf = self.modules.dwarf(place.module)?;
        let variable = dwarf.variable_at(place.virt)?;
        let Place::Fixed(start) = variable.place else { return None };
        let offset = place.virt.0.checked_sub(start.0)?;
        let at = path_at(dwarf, variable.ty, offset);
        Some(with_rest(format!("{}{}", variable.name, at.path), at.rest))
    }

    /// A pointer as text, with what it points to: `0x404080 <&cache.slots[4]>`,
    /// `0x401156 <main+0x14>`, `0x401142 <main>` for the start of a function;
    /// the number alone where nothing is known of the place.
    pub fn pointer(&mut self, pid: u32, address: AbsAddr) -> String {
        if address.0 == 0 {
            return "0x0".into();
        }
        let number = self.number(address);
        match self.pointee(pid, address) {
            Some(known) => format!("{number} <{known}>"),
            None => number,
        }
    }

    fn pointee(&mut self, pid: u32, address: AbsAddr) -> Option<Arc<str>> {
        let image = self.image_of(pid);
        if let Some(answers) = self.spaces.answers(image)
            && let Some(known) = answers.pointees.get(&address.0)
        {
            return known.clone();
        }
        let code = self.function(pid, address).map(|symbol| match symbol {
            Symbol { name, offset: 0, .. } => name,
            Symbol { name, offset, .. } => format!("{name}+{offset:#x}").into(),
        });
        let data = || self.data_path(pid, address).map(|path| format!("&{path}").into());
        let pointee = code.or_else(data);
        if let Some(answers) = self.spaces.answers(image) {
            keep(&mut answers.pointees, address.0, pointee.clone());
        }
        pointee
    }
}

fn with_rest(path: String, rest: u64) -> String {
    match rest {
        0 => path,
        rest => format!("{path}+{rest}"),
    }
}
