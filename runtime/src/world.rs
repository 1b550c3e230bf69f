//! Everything a handler can reach: globals, strings, arrays, output.
//!
//! One world a session; handlers run one after the other on one thread, so
//! each is atomic with regard to the globals.

mod acted;
mod captured;
mod outside;
mod session;
pub mod stacks;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::abi::objects::Objects;
use crate::abi::registers::RegisterFile;
use crate::abi::text::{Groups, Indent, Regexes, Tokenizer};
use crate::abi::{FaultCode, Limits};
use crate::aggregate::{Aggregate, Shape as Statistics};
use crate::map::{Array, Shape, Walk};
use crate::schema::{AccessKind, HitRecord};
use crate::strings::{StringHandle, Strings};
pub(crate) use outside::Outside;
pub use outside::{
    Counts, Credentials, ProcessInfo, Signals, SymbolForm, Symbols, UserMemory,
};
pub use session::Random;
use stacks::AllStacks;

/// What a compiled script needs to be there: the compiler writes it, the
/// world is made from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Initial values of the scalar longs and, by their bits, doubles, in slot
    /// order.
    pub longs: Vec<i64>,
    /// Initial values of the scalar strings, in slot order.
    pub texts: Vec<String>,
    /// What the scalar statistics keep, in slot order.
    pub statistics: Vec<Statistics>,
    /// Shapes of the arrays, in order.
    pub arrays: Vec<Shape>,
    /// The script's string constants: distinct, none empty. Constant `i` is
    /// the string handle `i + 1`.
    pub constants: Vec<String>,
    /// The script's regular expressions: distinct, checked by the language.
    pub regexes: Vec<String>,
    /// Names of the handlers' probe points, for `pp()`.
    pub probes: Vec<String>,
    /// Whether a handler asks for registers.
    pub registers: bool,
    /// Whether a handler asks how much was seen.
    pub counts: bool,
    /// Whether a handler asks for the stacks at a hit.
    pub stacks: bool,
    /// What the values of the target's enumerations are called, each by value,
    /// ascending.
    pub enumerations: Vec<Vec<(i64, String)>>,
    /// Names of the objects that handlers watch: distinct, and constants of the script.
    pub objects: Vec<String>,
}

/// Things that the helpers of one run of a handler may walk over, move or
/// compare: about a second.
const WORK_MAX: usize = 50_000_000;
/// Bytes that a run of a handler may print; the session puts them out between
/// runs.
const OUTPUT_BYTES_MAX: usize = 16 << 20;

/// The state of a session that handlers see.
pub struct World {
    layout: Arc<Layout>,
    longs: Box<[i64]>,
    pub(crate) texts: Vec<Vec<u8>>,
    pub(crate) statistics: Vec<Aggregate>,
    /// What was added up last, and of which array.
    pub(crate) merged: Option<(usize, Aggregate)>,
    pub(crate) arrays: Vec<Array>,
    pub(crate) strings: Strings,
    access_names: [StringHandle; AccessKind::ALL.len()],
    work_left: usize,
    pub(crate) walks: Vec<Walk>,
    pub(crate) walks_open: usize,
    pub(crate) out: Vec<u8>,
    /// Where the string began that is being printed, while there is one.
    pub(crate) capture: Option<usize>,
    pub(crate) messages: Vec<u8>,
    pub(crate) commands: Vec<Vec<u8>>,
    pub(crate) fault_text: Vec<u8>,
    pub(crate) unread: Option<u32>,
    pub(crate) exit: bool,
    pub(crate) target: i64,
    pub(crate) time_of_day_offset_ns: i64,
    pub(crate) probe: StringHandle,
    probes: Vec<StringHandle>,
    enumerations: Vec<Vec<(i64, StringHandle)>>,
    pub(crate) regexes: Regexes,
    pub(crate) groups: Groups,
    /// The text that the groups are parts of, of this run.
    pub(crate) matched: Option<StringHandle>,
    pub(crate) tokens: Tokenizer,
    pub(crate) indent: Indent,
    pub(crate) thread_indents: HashMap<u32, Indent, RandomState>,
    pub(crate) random: Random,
    pub(crate) outside: Outside,
    pub(crate) acted: acted::Acted,
    pub(crate) object_names: Vec<StringHandle>,
    pub(crate) objects: Objects,
    /// The registers at the hit, where the layout says that they are wanted.
    pub(crate) registers: RegisterFile,
    pub(crate) stacks: AllStacks,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("longs", &self.longs).finish_non_exhaustive()
    }
}

impl World {
    /// A world for a script with this layout. Until others are set, addresses
    /// have no names ([`World::set_symbols`]), memory can not be read
    /// ([`World::set_memory`]) and nothing is known of processes
    /// ([`World::set_process_info`]).
    pub fn new(layout: &Arc<Layout>, limits: &Limits) -> Self {
        let mut strings = Strings::new(limits.string_bytes as usize);
        let mut intern = |text: &String| {
            strings.intern(text.as_bytes()).unwrap_or(StringHandle::EMPTY)
        };
        for constant in &layout.constants {
            intern(constant);
        }
        let probes = layout.probes.iter().map(&mut intern).collect();
        let object_names = layout.objects.iter().map(&mut intern).collect();
        let mut names = |names: &Vec<(i64, String)>| {
            names.iter().map(|(value, name)| (*value, intern(name))).collect()
        };
        let enumerations = layout.enumerations.iter().map(&mut names).collect();
        let access_names = AccessKind::ALL.map(|kind| intern(&kind.name().to_owned()));
        Self {
            layout: Arc::clone(layout),
            longs: layout.longs.clone().into(),
            texts: layout.texts.iter().map(|text| text.clone().into_bytes()).collect(),
            statistics: layout.statistics.iter().map(Aggregate::new).collect(),
            merged: None,
            arrays: layout.arrays.iter().cloned().map(Array::new).collect(),
            strings,
            access_names,
            work_left: 0,
            walks: Vec::new(),
            walks_open: 0,
            out: Vec::new(),
            capture: None,
            messages: Vec::new(),
            commands: Vec::new(),
            fault_text: Vec::new(),
            unread: None,
            exit: false,
            target: 0,
            time_of_day_offset_ns: 0,
            probe: StringHandle::EMPTY,
            probes,
            enumerations,
            // The language refuses scripts with others.
            regexes: Regexes::new(&layout.regexes).unwrap_or_default(),
            groups: Groups::default(),
            matched: None,
            tokens: Tokenizer::default(),
            indent: Indent::default(),
            thread_indents: HashMap::default(),
            random: Random::from_clock(),
            outside: Outside::default(),
            acted: acted::Acted::default(),
            object_names,
            objects: Objects::default(),
            registers: RegisterFile::default(),
            stacks: AllStacks::default(),
        }
    }

    /// Makes ready for a run of handler `probe`; gives the scalar longs.
    pub(crate) fn begin_run(&mut self, probe: usize) -> *mut i64 {
        self.strings.reset();
        self.walks_open = 0;
        self.matched = None;
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
        if self.out.len() + self.messages.len() > OUTPUT_BYTES_MAX {
            Err(FaultCode::OutputFull)
        } else {
            Ok(())
        }
    }

    /// Whose memory and names are meant: the process's that made the hit, and
    /// outside of hits the target's.
    pub(crate) fn asked_of(&self, record: &HitRecord) -> u32 {
        if record.data_length == 0 { self.target as u32 } else { record.pid }
    }

    /// The name of an enumeration's value, where it has one.
    pub(crate) fn enumeration_name(
        &self,
        table: usize,
        value: i64,
    ) -> Option<StringHandle> {
        let names = self.enumerations.get(table)?;
        let at = names.binary_search_by_key(&value, |(value, _)| *value).ok()?;
        names.get(at).map(|(_, name)| *name)
    }

    pub(crate) fn access_name(&self, kind: AccessKind) -> StringHandle {
        self.access_names[kind as usize]
    }

    /// Tidies up after a run that did not come to its end.
    pub(crate) fn end_run_early(&mut self) {
        if let Some(start) = self.capture.take() {
            self.out.truncate(start);
        }
    }

    /// The text of a symbol, made once an address.
    pub(crate) fn symbol(
        &mut self,
        form: SymbolForm,
        pid: u32,
        address: u64,
    ) -> Result<StringHandle, FaultCode> {
        self.outside.symbol(&mut self.strings, form, pid, address)
    }

    /// Where data of a process lies.
    pub(crate) fn address_of(
        &mut self,
        thread: (u32, u32),
        expression: StringHandle,
    ) -> Result<u64, FaultCode> {
        self.outside.address_of(&mut self.strings, thread, expression)
    }

    /// Adds to a scalar aggregate.
    pub(crate) fn accumulate(&mut self, slot: usize, value: i64) {
        let shape = self.layout.statistics.get(slot);
        if let (Some(aggregate), Some(shape)) = (self.statistics.get_mut(slot), shape) {
            aggregate.add(shape, value);
        }
    }

    /// A fault with a text of its own.
    pub(crate) fn fail<T>(
        &mut self,
        code: FaultCode,
        text: &[u8],
    ) -> Result<T, FaultCode> {
        self.fault_text.clear();
        self.fault_text.extend_from_slice(text);
        Err(code)
    }
}
