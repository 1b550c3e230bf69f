//! Everything a handler can reach: globals, strings, arrays, output.
//!
//! One world a session; handlers run one after the other on one thread, so
//! each is atomic with regard to the globals.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::abi::{FaultCode, Limits};
use crate::map::{Array, Shape, Walk};
use crate::schema::AccessKind;
use crate::strings::{StringHandle, Strings};

/// What a compiled script needs to be there: the compiler writes it, the
/// world is made from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Initial values of the scalar longs, in slot order.
    pub longs: Vec<i64>,
    /// Initial values of the scalar strings, in slot order.
    pub texts: Vec<String>,
    /// Shapes of the arrays, in order.
    pub arrays: Vec<Shape>,
    /// The script's string constants: distinct, none empty. Constant `i` is
    /// the string handle `i + 1`.
    pub constants: Vec<String>,
    /// Names of the handlers' probe points, for `pp()`.
    pub probes: Vec<String>,
}

/// Things that the helpers of one run of a handler may walk over, move or
/// compare: about a second.
const WORK_MAX: usize = 50_000_000;
/// Bytes that a run of a handler may print; the session puts them out between
/// runs.
const OUTPUT_BYTES_MAX: usize = 16 << 20;

/// Turns addresses of the traced processes into names.
pub trait Symbols {
    /// Appends the name of what lies at `address`, as `usymname()` gives it.
    fn name(&mut self, pid: u32, address: u64, out: &mut Vec<u8>);
    /// Appends name, offset and module, as `usymdata()` gives it.
    fn data(&mut self, pid: u32, address: u64, out: &mut Vec<u8>);
}

/// Names nothing: every address prints as a number.
struct NoSymbols;

impl Symbols for NoSymbols {
    fn name(&mut self, _: u32, address: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{address:#x}").as_bytes());
    }

    fn data(&mut self, pid: u32, address: u64, out: &mut Vec<u8>) {
        self.name(pid, address, out);
    }
}

/// Which symbol text is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SymbolForm {
    Name,
    Data,
}

/// The state of a session that handlers see.
pub struct World {
    layout: Arc<Layout>,
    longs: Box<[i64]>,
    pub(crate) texts: Vec<Vec<u8>>,
    pub(crate) arrays: Vec<Array>,
    pub(crate) strings: Strings,
    access_names: [StringHandle; AccessKind::ALL.len()],
    work_left: usize,
    pub(crate) walks: Vec<Walk>,
    pub(crate) walks_open: usize,
    pub(crate) out: Vec<u8>,
    pub(crate) capture: usize,
    pub(crate) exit: bool,
    pub(crate) target: i64,
    pub(crate) time_of_day_offset_ns: i64,
    pub(crate) probe: StringHandle,
    probes: Vec<StringHandle>,
    pub(crate) data_names: Vec<StringHandle>,
    symbols: Box<dyn Symbols>,
    symbol_texts: HashMap<(SymbolForm, u32, u64), StringHandle, RandomState>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("longs", &self.longs).finish_non_exhaustive()
    }
}

impl World {
    /// A world for a script with this layout; addresses have no names until
    /// [`World::set_symbols`].
    pub fn new(layout: &Arc<Layout>, limits: &Limits) -> Self {
        let mut strings = Strings::new(limits.string_bytes as usize);
        let mut intern = |text: &String| {
            strings.intern(text.as_bytes()).unwrap_or(StringHandle::EMPTY)
        };
        for constant in &layout.constants {
            intern(constant);
        }
        let probes = layout.probes.iter().map(&mut intern).collect();
        let access_names = AccessKind::ALL.map(|kind| intern(&kind.name().to_owned()));
        Self {
            layout: Arc::clone(layout),
            longs: layout.longs.clone().into(),
            texts: layout.texts.iter().map(|text| text.clone().into_bytes()).collect(),
            arrays: layout.arrays.iter().cloned().map(Array::new).collect(),
            strings,
            access_names,
            work_left: 0,
            walks: Vec::new(),
            walks_open: 0,
            out: Vec::new(),
            capture: 0,
            exit: false,
            target: 0,
            time_of_day_offset_ns: 0,
            probe: StringHandle::EMPTY,
            probes,
            data_names: Vec::new(),
            symbols: Box::new(NoSymbols),
            symbol_texts: HashMap::default(),
        }
    }

    /// The layout it was made from.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// Sets who names addresses from now on.
    pub fn set_symbols(&mut self, symbols: Box<dyn Symbols>) {
        self.symbols = symbols;
    }

    /// Sets what `target()` gives: the process of `-c` or `-p`.
    pub fn set_target(&mut self, pid: u32) {
        self.target = i64::from(pid);
    }

    /// Sets what is added to a record's time to get the time of day, in
    /// nanoseconds: CLOCK_REALTIME less CLOCK_MONOTONIC.
    pub fn set_time_of_day_offset(&mut self, offset_ns: i64) {
        self.time_of_day_offset_ns = offset_ns;
    }

    /// Sets what `data_name()` gives, by watch index.
    pub fn set_data_names(&mut self, names: &[String]) {
        let intern = |name: &String| {
            self.strings.intern(name.as_bytes()).unwrap_or(StringHandle::EMPTY)
        };
        self.data_names = names.iter().map(intern).collect();
    }

    /// A handle for a name that records carry (`execname`). Names beyond the
    /// bound on kept text read as empty.
    pub fn intern(&mut self, text: &[u8]) -> u64 {
        self.strings.intern(text).unwrap_or(StringHandle::EMPTY).0
    }

    /// The text behind a handle from [`World::intern`] or a record.
    pub fn text(&self, handle: u64) -> &[u8] {
        self.strings.get(StringHandle(handle))
    }

    /// Forgets the names of addresses of a process: they may mean others now.
    pub fn forget_symbols(&mut self, pid: u32) {
        self.symbol_texts.retain(|(_, owner, _), _| *owner != pid);
    }

    /// Whether a handler called `exit()`.
    pub fn exit_requested(&self) -> bool {
        self.exit
    }

    /// What handlers have printed and nobody has taken yet.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// How many strings were cut at the limit.
    pub fn truncated_strings(&self) -> u64 {
        self.strings.truncated()
    }

    /// The scalar longs, in slot order.
    pub fn longs(&self) -> &[i64] {
        &self.longs
    }

    /// Makes ready for a run of handler `probe`; gives the scalar longs.
    pub(crate) fn begin_run(&mut self, probe: usize) -> *mut i64 {
        self.strings.reset();
        self.walks_open = 0;
        self.work_left = WORK_MAX;
        self.probe = self.probes.get(probe).copied().unwrap_or(StringHandle::EMPTY);
        self.longs.as_mut_ptr()
    }

    /// Takes from what one run of a handler may do beyond its own steps: walk
    /// over, move or compare so many things.
    pub(crate) fn work(&mut self, things: usize) -> Result<(), FaultCode> {
        self.work_left =
            self.work_left.checked_sub(things).ok_or(FaultCode::OutOfFuel)?;
        Ok(())
    }

    /// Whether what waits to be put out is within its bound.
    pub(crate) fn output_fits(&self) -> Result<(), FaultCode> {
        if self.out.len() > OUTPUT_BYTES_MAX {
            Err(FaultCode::OutputFull)
        } else {
            Ok(())
        }
    }

    pub(crate) fn access_name(&self, kind: AccessKind) -> StringHandle {
        self.access_names[kind as usize]
    }

    /// The text of a symbol, made once an address.
    pub(crate) fn symbol(
        &mut self,
        form: SymbolForm,
        pid: u32,
        address: u64,
    ) -> Result<StringHandle, FaultCode> {
        if let Some(handle) = self.symbol_texts.get(&(form, pid, address)) {
            return Ok(*handle);
        }
        let mut text = Vec::new();
        match form {
            SymbolForm::Name => self.symbols.name(pid, address, &mut text),
            SymbolForm::Data => self.symbols.data(pid, address, &mut text),
        }
        let handle = self.strings.intern(&text)?;
        self.symbol_texts.insert((form, pid, address), handle);
        Ok(handle)
    }
}
