//! Where scripts and tables print to. A pipe that nobody reads must not keep
//! the signals waiting that end a session: hwtrace would have to be killed.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::rc::Rc;

use hwtrace_runtime::kernel::Kernel;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::events::ENDING;
use crate::report::counted;

/// A file, terminal, pipe or socket; clones are the same one.
#[derive(Clone)]
pub struct Output(Rc<Shared>);

struct Shared {
    kernel: Rc<dyn Kernel>,
    file: File,
    /// Readable when a signal is to end the session. Only where a write may
    /// wait for somebody else: pipes and sockets.
    signals: Option<RawFd>,
    /// Bytes that were given up.
    unwritten: Cell<u64>,
    /// Whether the file has still what it had before us.
    old: Cell<bool>,
}

impl Output {
    /// Standard output.
    ///
    /// # Errors
    /// As dup(2), fstat(2) and signalfd(2).
    pub fn standard(kernel: Rc<dyn Kernel>) -> io::Result<Self> {
        let file = io::stdout().as_fd().try_clone_to_owned()?;
        Self::new(kernel, file.into())
    }

    /// A file that was opened.
    ///
    /// # Errors
    /// As fstat(2) and signalfd(2).
    pub fn new(kernel: Rc<dyn Kernel>, file: File) -> io::Result<Self> {
        let kind = file.metadata()?.file_type();
        let waits = kind.is_fifo() || kind.is_socket();
        let signals = waits.then(|| kernel.watch_signals(&ENDING)).transpose()?;
        let unwritten = Cell::default();
        let old = Cell::default();
        Ok(Self(Rc::new(Shared { kernel, file, signals, unwritten, old })))
    }

    /// The same, where what the file had before goes with the first write, or when
    /// output [begins](Output::begin): who is refused has lost nothing.
    ///
    /// # Errors
    /// As fstat(2) and signalfd(2).
    pub fn replacing(kernel: Rc<dyn Kernel>, file: File) -> io::Result<Self> {
        let output = Self::new(kernel, file)?;
        output.0.old.set(output.0.file.metadata()?.is_file());
        Ok(output)
    }

    /// From now on the file has what is written, and nothing else.
    ///
    /// # Errors
    /// As ftruncate(2).
    pub fn begin(&self) -> io::Result<()> {
        if self.0.old.take() { self.0.file.set_len(0) } else { Ok(()) }
    }

    /// What became of bytes that a signal had us give up, for the session's
    /// summary.
    pub fn remark(&self) -> Option<String> {
        let unwritten = self.0.unwritten.get();
        (unwritten > 0).then(|| {
            let bytes = counted(unwritten, "byte");
            format!(
                "{bytes} of output not written: a signal came while nobody read the pipe"
            )
        })
    }

    /// Whether messages on standard error would wait for the reader that we
    /// have given up: where it is the same pipe, say.
    pub fn silences_messages(&self) -> bool {
        let stderr = io::stderr();
        let mut entry = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
        self.0.unwritten.get() > 0 && poll(&mut entry, PollTimeout::ZERO) == Ok(0)
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begin()?;
        let Shared { kernel, file, signals, unwritten, .. } = &*self.0;
        let Some(signals) = *signals else {
            return (&*file).write(bytes);
        };
        if bytes.is_empty() {
            return Ok(0);
        }
        // Once a signal has come nothing more is tried: what came next would
        // wait just as well, and stand behind a gap.
        let written = match unwritten.get() {
            0 => kernel.write_unless(file.as_raw_fd(), bytes, signals)?,
            _ => 0,
        };
        if written > 0 {
            return Ok(written);
        }
        unwritten.set(unwritten.get().saturating_add(bytes.len() as u64));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(signals) = self.signals {
            self.kernel.close(signals);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hwtrace_runtime::kernel::fake::{Call, Fake, Holdings};
    use nix::libc::SIGTERM;
    use std::os::fd::OwnedFd;

    #[test]
    fn a_signal_ends_writing_for_good_and_what_is_left_is_counted() {
        let fake = Rc::new(Fake::new(1, &[]));
        let (_reader, writer) = io::pipe().expect("a pipe");
        let mut output =
            Output::new(fake.clone(), OwnedFd::from(writer).into()).expect("an output");
        output.write_all(b"written").expect("room");
        assert_eq!(output.remark(), None);
        fake.set_signals(&[SIGTERM]);
        output.write_all(b"lost").expect("no error");
        // The session has read the signal, and prints what is left.
        fake.set_signals(&[]);
        output.clone().write_all(b"this, too").expect("no error");
        let remark = output.remark().expect("a remark");
        assert!(remark.starts_with("13 bytes of output not written"), "{remark}");
        drop(output);
        assert_eq!(fake.holdings(), Holdings::default());
    }

    #[test]
    fn a_file_is_written_to_whatever_comes() {
        let fake = Rc::new(Fake::new(1, &[]));
        let file = tempfile::tempfile().expect("a file");
        let copy = file.try_clone().expect("a copy");
        let mut output = Output::new(fake.clone(), file).expect("an output");
        fake.set_signals(&[SIGTERM]);
        output.write_all(b"all of it").expect("written");
        assert_eq!(copy.metadata().expect("a file").len(), 9);
        assert_eq!((output.remark(), fake.calls(Call::Write)), (None, 0));
    }

    #[test]
    fn what_a_file_had_goes_when_something_comes() {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"the results of yesterday").expect("written");
        io::Seek::rewind(&mut file).expect("a file");
        let copy = file.try_clone().expect("a copy");
        let length = || copy.metadata().expect("a file").len();
        let fake = Rc::new(Fake::new(1, &[]));
        let mut output = Output::replacing(fake, file).expect("an output");
        assert_eq!(length(), 24);
        output.write_all(b"new").expect("written");
        output.begin().expect("nothing to be done");
        output.write_all(b"er").expect("written");
        assert_eq!(length(), 5);
    }

    #[test]
    fn a_reader_that_has_gone_is_told() {
        let fake = Rc::new(Fake::new(1, &[]));
        let (reader, writer) = io::pipe().expect("a pipe");
        let mut output =
            Output::new(fake.clone(), OwnedFd::from(writer).into()).expect("an output");
        drop(reader);
        fake.fail(Call::Write, 0, hwtrace_runtime::kernel::Errno::EPIPE);
        let error = output.write_all(b"for nobody").expect_err("no reader");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
