//! Code of the kernel, for the decoder of its accesses: as it is in memory, where it
//! differs from that of any file.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::rc::Rc;

use hwtrace_runtime::kernel::Kernel;

use crate::surroundings::KernelSource;

/// So many functions are kept; one more empties what is kept.
const FUNCTIONS_MAX: usize = 256;
/// Longer ones are not read.
const BYTES_MAX: u64 = 1 << 16;

/// Functions by their first address, read when they are first asked for.
#[derive(Default)]
pub(super) struct KernelCode {
    /// None where nobody wants it.
    kernel: Option<Rc<dyn Kernel>>,
    /// None where the kernel's memory can not be read.
    source: OnceCell<Option<KernelSource>>,
    functions: HashMap<u64, Box<[u8]>>,
}

impl KernelCode {
    /// Opened when it is first asked for, or prepared.
    pub(super) fn of(kernel: &Rc<dyn Kernel>) -> Self {
        Self { kernel: Some(Rc::clone(kernel)), ..Self::default() }
    }

    /// Opens it; what can not be read is not known.
    pub(super) fn prepare(&self) -> Option<&KernelSource> {
        let open = || KernelSource::open(self.kernel.as_ref()?).ok();
        self.source.get_or_init(open).as_ref()
    }

    /// The code of the function of this length that begins here.
    pub(super) fn function(&mut self, start: u64, length: u64) -> Option<&[u8]> {
        if !self.functions.contains_key(&start) {
            let source = self.prepare()?;
            let mut bytes = vec![0; usize::try_from(length.min(BYTES_MAX)).ok()?];
            let read = source.read(start, &mut bytes);
            bytes.truncate(read);
            if self.functions.len() == FUNCTIONS_MAX {
                self.functions.clear();
            }
            self.functions.insert(start, bytes.into());
        }
        self.functions.get(&start).map(|bytes| &**bytes)
    }
}
