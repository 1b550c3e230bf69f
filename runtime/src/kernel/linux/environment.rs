//! The environment that we had at our start, for what we start.

use std::ffi::{CStr, c_char};

use super::{Linux, is_secure};
use crate::kernel::Kernel;

/// The environment with which we were started, each entry with a zero byte behind it, where
/// it is not ours any more: from that of a program with capabilities of its file the C
/// library takes some out (ld.so(8), "Secure-execution mode"). What we start has no such
/// capabilities, and is to have them.
pub(super) fn first() -> Option<Vec<u8>> {
    is_secure().then(at_start).flatten()
}

/// It stays where the kernel has put it. `/proc/self/environ` can not be opened by those that
/// are nobody's to trace, but one's own memory can be read.
fn at_start() -> Option<Vec<u8>> {
    let stat = std::fs::read("/proc/self/stat").ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // Behind the name are the third field and the others: `env_start` and `env_end` are
    // the 50th and 51st (proc_pid_stat(5)).
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(50 - 3);
    let mut number = || fields.next()?.parse::<u64>().ok();
    let (start, end) = (number()?, number()?);
    let mut bytes = vec![0; usize::try_from(end.checked_sub(start)?).ok()?];
    let read = Linux.read_memory(std::process::id(), start, &mut bytes).ok()?;
    (read == bytes.len()).then_some(bytes)
}

/// Pointers to the strings, each of which ends with a zero byte, and a null pointer.
pub(super) fn strings_of(text: &[u8]) -> Vec<*const c_char> {
    let strings = text.split_inclusive(|byte| *byte == 0);
    let whole = strings.filter_map(|text| CStr::from_bytes_with_nul(text).ok());
    whole.map(CStr::as_ptr).chain([std::ptr::null()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_end_with_zeros_and_the_list_with_null() {
        let text = b"A=1\0B=\0cut";
        let [first, second, last] = strings_of(text)[..] else { panic!("two and null") };
        assert_eq!(first, text.as_ptr().cast());
        assert_eq!(second, text[4..].as_ptr().cast());
        assert!(last.is_null());
    }

    #[test]
    fn the_first_environment_is_that_of_proc() {
        let told = std::fs::read("/proc/self/environ").expect("we may be traced");
        assert_eq!(at_start(), Some(told));
    }
}
