//! `indent` and `thread_indent` (tapset/indent.stp).

use crate::abi::format::{self, Conversion, Directive, NONE, WIDEST};

/// How deep one thread is; of `indent`, which has one for all, how deep all
/// are. Starts at 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Indent {
    depth: i64,
    since: i64,
}

impl Indent {
    /// `thread_indent_depth(delta)`: goes so many levels deeper, and gives the
    /// level of this call: the one after stepping in, the one before stepping
    /// out, from 0.
    pub fn depth(&mut self, delta: i64) -> i64 {
        let here = self.depth.wrapping_add(delta.max(0));
        self.depth = self.depth.wrapping_add(delta);
        here.saturating_sub(1).max(0)
    }

    /// `thread_indent(delta)`: the microseconds since this thread was at level
    /// 0, the name and number of the thread, a colon, and a space a level:
    /// `  1159 ftp(7223): `.
    pub fn thread_indent(
        &mut self,
        out: &mut Vec<u8>,
        microseconds: i64,
        name: &[u8],
        thread: i64,
        delta: i64,
    ) {
        let mut who = name.to_vec();
        who.push(b'(');
        let number = Directive::plain(Conversion::Signed);
        format::long(&mut who, number, NONE, NONE, thread);
        who.push(b')');
        self.line(out, microseconds, &who, delta);
    }

    /// `indent(delta)`: as [`Indent::thread_indent`], but without the thread:
    /// `  1159 : `, whose two blanks are SystemTap's.
    pub fn indent(&mut self, out: &mut Vec<u8>, microseconds: i64, delta: i64) {
        self.line(out, microseconds, b"", delta);
    }

    fn line(&mut self, out: &mut Vec<u8>, microseconds: i64, who: &[u8], delta: i64) {
        if self.depth == 0 {
            self.since = microseconds;
        }
        let elapsed = microseconds.wrapping_sub(self.since);
        let depth = self.depth(delta);
        let number = Directive::plain(Conversion::Signed);
        format::long(out, number, 6, NONE, elapsed);
        out.push(b' ');
        out.extend_from_slice(who);
        out.push(b':');
        let spaces = usize::try_from(depth).unwrap_or(WIDEST).min(WIDEST);
        out.extend(std::iter::repeat_n(b' ', spaces));
    }
}
