//! Memory as it was at the hit, for the handlers of that hit.

use crate::event::Captured;

/// What was read at a hit.
#[derive(Debug, Default)]
pub(super) struct AtHit {
    /// The process that made the hit.
    pid: u32,
    /// Entries, as [`Captured`] has them.
    words: Vec<u64>,
}

/// Whether an address is the kernel's: the upper half of all.
fn is_kernel(address: u64) -> bool {
    address >> 63 == 1
}

impl AtHit {
    pub(super) fn set(&mut self, pid: u32, captured: Captured<'_>) {
        self.pid = pid;
        self.words.clear();
        self.words.extend_from_slice(captured.words);
    }

    /// What was read of a process, of the kernel where none; nothing where the
    /// address is not theirs.
    fn of(&self, pid: Option<u32>, address: u64) -> Captured<'_> {
        let own = pid.is_none_or(|pid| pid == self.pid);
        let fits = own && is_kernel(address) == pid.is_none();
        Captured { words: if fits { &self.words } else { &[] } }
    }

    /// The bytes from an address on; none where not all of them were read.
    pub(super) fn bytes(
        &self,
        pid: Option<u32>,
        address: u64,
        length: usize,
    ) -> Option<&[u8]> {
        self.of(pid, address).find(address, length)
    }

    /// The text from an address on, without its NUL, at most `most` bytes; none
    /// where it was not read that far.
    pub(super) fn text(
        &self,
        pid: Option<u32>,
        address: u64,
        most: usize,
    ) -> Option<&[u8]> {
        self.of(pid, address).entries().find_map(|(start, bytes)| {
            let offset = usize::try_from(address.checked_sub(start)?).ok()?;
            let bytes = bytes.get(offset..)?;
            let bytes = &bytes[..bytes.len().min(most)];
            let end = bytes.iter().position(|byte| *byte == 0);
            let end = end.or_else(|| (bytes.len() == most).then_some(most))?;
            Some(&bytes[..end])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries of `bytes` at each of the addresses.
    fn at_hit(addresses: &[u64], bytes: &[u8; 8]) -> AtHit {
        let mut words = Vec::new();
        for address in addresses {
            words.extend([*address, Captured::extent(8, 1), u64::from_ne_bytes(*bytes)]);
        }
        let mut kept = AtHit::default();
        kept.set(7, Captured { words: &words });
        kept
    }

    #[test]
    fn bytes_are_those_of_the_process_that_made_the_hit() {
        let kept = at_hit(&[0x1000, 1 << 63 | 0x1000], b"12345678");
        assert_eq!(kept.bytes(Some(7), 0x1002, 3), Some(&b"345"[..]));
        assert_eq!(kept.bytes(Some(7), 0x1002, 7), None);
        assert_eq!(kept.bytes(Some(8), 0x1002, 3), None);
        assert_eq!(kept.bytes(None, 0x1002, 3), None);
        assert_eq!(kept.bytes(None, 1 << 63 | 0x1002, 3), Some(&b"345"[..]));
        assert_eq!(kept.bytes(Some(7), 1 << 63 | 0x1002, 3), None);
    }

    #[test]
    fn text_ends_where_it_is_known_to() {
        let kept = at_hit(&[0x1000], b"ab\0defgh");
        assert_eq!(kept.text(Some(7), 0x1000, 4096), Some(&b"ab"[..]));
        assert_eq!(kept.text(Some(7), 0x1001, 1), Some(&b"b"[..]));
        assert_eq!(kept.text(Some(7), 0x1003, 5), Some(&b"defgh"[..]));
        assert_eq!(kept.text(Some(7), 0x1003, 6), None);
        assert_eq!(kept.text(Some(7), 0x1008, 6), None);
    }

    #[test]
    fn the_next_hit_knows_nothing_of_the_last() {
        let mut kept = at_hit(&[0x1000], b"12345678");
        kept.set(7, Captured::default());
        assert_eq!(kept.bytes(Some(7), 0x1000, 1), None);
    }
}
