//! What hwtrace says of the same expressions.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::ptr::null_mut;

use hwtrace_probes::dwarf::Dwarf;
use hwtrace_probes::resolve::resolve_for_thread;
use hwtrace_probes::types::{Bits, DebugInfo, Type, Types, type_name};
use hwtrace_probes::{AbsAddr, Expression, Files, Image, Memory, Process};

/// What hwtrace says of one expression.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) address: u64,
    /// In bytes.
    pub(crate) size: u64,
    pub(crate) ty: String,
    /// The value of a bit-field.
    pub(crate) of_bits: Option<i128>,
}

/// Resolves all of them in the process, thread-locals in its first thread.
pub(crate) fn ask(pid: u32, expressions: &[&str]) -> Vec<Result<Answer, String>> {
    let files = Files::new(|elf, path, root, source| {
        let dwarf = Dwarf::open(elf, path, root, source);
        dwarf
            .map(|dwarf| Box::new(dwarf) as Box<dyn DebugInfo>)
            .map_err(|error| error.to_string())
    });
    let process = Process::open(pid).unwrap();
    let image = Image::of_process(&process, &files).unwrap();
    let mut memory = Of(File::open(format!("/proc/{pid}/mem")).unwrap());
    let answers = expressions.iter().map(|text| answer(&image, &mut memory, pid, text));
    answers.collect()
}

fn answer(
    image: &Image,
    memory: &mut Of,
    pid: u32,
    text: &str,
) -> Result<Answer, String> {
    let expression = Expression::parse(text).map_err(|error| error.to_string())?;
    let found = resolve_for_thread(image, memory, &expression, None, pid);
    let found = found.map_err(|error| error.to_string())?;
    let ty = found.ty.ok_or("no type")?;
    let signed = match &*<dyn Types>::plain(image, ty).1 {
        Type::Integer { signed, .. } | Type::Char { signed, .. } => *signed,
        Type::Enumeration(enumeration) => enumeration.signed,
        _ => false,
    };
    let of_bits =
        found.bits.map(|bits| memory.bits(found.address, found.size, bits, signed));
    let ty = type_name(image, ty);
    Ok(Answer { address: found.address.0, size: found.size, ty, of_bits })
}

/// The memory of a process.
struct Of(File);

impl Of {
    /// The number in these bits of an object.
    fn bits(&mut self, address: AbsAddr, size: u64, bits: Bits, signed: bool) -> i128 {
        let mut bytes = [0; 16];
        let read = self.read(address, &mut bytes[..size as usize]);
        assert_eq!(read as u64, size);
        let above = i128::BITS - bits.offset - bits.width;
        let top = i128::from_le_bytes(bytes) << above;
        let unused = i128::BITS - bits.width;
        if signed { top >> unused } else { (top as u128 >> unused) as i128 }
    }
}

impl Memory for Of {
    fn read(&mut self, address: AbsAddr, bytes: &mut [u8]) -> usize {
        self.0.read_at(bytes, address.0).unwrap_or(0)
    }

    #[allow(unsafe_code)] // The C library has no function for it.
    fn robust_list(&mut self, tid: u32) -> Option<AbsAddr> {
        let (mut head, mut length) = (null_mut::<u8>(), 0_usize);
        // SAFETY: both places are there for the call, which writes no more.
        let status = unsafe {
            libc::syscall(libc::SYS_get_robust_list, tid, &raw mut head, &raw mut length)
        };
        (status == 0 && !head.is_null()).then(|| AbsAddr(head.addr() as u64))
    }
}
