//! Data of the kernel by name: `kernel.data("…")` and `kernel.task(PID).data("…")`.
//!
//! Addresses come from `/proc/kallsyms` ([`KernelData`]), types and offsets from
//! BTF ([`Btf`]); pointers on the way are read from the kernel's memory, by whoever
//! can do that. A variable that each CPU has is found once for each of them.

use crate::address::AbsAddr;
use crate::btf::{Btf, BtfVariable};
use crate::spec::KernelObject;
use crate::symbols::KernelData;
use crate::symbols::kernel_data::KernelVariable;
use crate::types::{Bits, Type, TypeId};

pub mod path;
mod percpu;
mod walk;

pub use path::{Path, PathError, Step};
pub use percpu::CpuArea;
use walk::{Spot, Walker};

/// Reads the kernel's memory from an address on; gives how many of the first bytes
/// could be read.
pub type ReadKernel<'a> = dyn Fn(AbsAddr, &mut [u8]) -> usize + 'a;

/// What is to be known of the kernel to find data in it.
pub struct KernelNames<'a> {
    /// Its types, if it has any.
    pub types: Option<&'a Btf>,
    /// Its symbols.
    pub symbols: &'a KernelData,
    /// Reads its memory.
    pub read: &'a ReadKernel<'a>,
    /// The numbers of the CPUs that are online.
    pub cpus: &'a [u32],
    /// Addresses of `task_struct`s of threads on all CPUs, asked for only where no
    /// symbol tells where each CPU has its variables.
    pub tasks: &'a dyn Fn() -> Vec<AbsAddr>,
}

/// Data of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelLocation {
    /// As it is written, without blanks: `runqueues.cfs.nr_queued`.
    pub name: String,
    /// Where it lies: one place, or one of each CPU.
    pub places: Vec<KernelPlace>,
    /// Its bytes; none where that is not known. Of a variable without a type, up to
    /// the symbol that follows.
    pub size: Option<u64>,
    /// Its type, if that is known.
    pub ty: Option<TypeId>,
    /// Of a bit-field: which bits.
    pub bits: Option<Bits>,
}

/// Where data of the kernel lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelPlace {
    /// Whose it is, if each CPU has its own.
    pub cpu: Option<u32>,
    /// Where it starts.
    pub address: AbsAddr,
    /// Where the pointers lie that were followed, in their order: when one of them
    /// changes, the data is elsewhere.
    pub links: Vec<AbsAddr>,
}

/// Why data of the kernel is not found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// The kernel shows no addresses.
    #[error(
        "the kernel hides where its data is: that takes root (CAP_SYSLOG) and \
         `sysctl kernel.kptr_restrict=1`"
    )]
    Hidden,
    /// There is no such variable.
    #[error("the kernel has no variable `{name}`")]
    NoVariable {
        /// The name.
        name: String,
        /// Names that are spelt like it, nearest first.
        nearest: Vec<String>,
    },
    /// The kernel does not tell of its variables.
    #[error(
        "this kernel tells of few variables, and not of `{name}`: it was built \
         without CONFIG_KALLSYMS_ALL"
    )]
    NotListed {
        /// The name.
        name: String,
        /// Names that are spelt like it, nearest first.
        nearest: Vec<String>,
    },
    /// Several variables have the name.
    #[error("there are several `{name}`: {}", listed(.places))]
    Ambiguous {
        /// The name.
        name: String,
        /// Where each of them starts, and in which module.
        places: Vec<(AbsAddr, String)>,
    },
    /// It is not known where each CPU has its variables.
    #[error("each CPU has a `{name}`, and where is not to be found out on this kernel")]
    NoAreas {
        /// The name.
        name: String,
    },
    /// The kernel has no types.
    #[error(
        "`{what}` takes the kernel's types, which one built with \
         CONFIG_DEBUG_INFO_BTF has in /sys/kernel/btf/vmlinux"
    )]
    NoTypes {
        /// What takes them.
        what: String,
    },
    /// The kernel's types are there, but not this one's.
    #[error("the type of `{what}` is not known")]
    NoType {
        /// What has no type.
        what: String,
    },
    /// A record has no such member.
    #[error("{record} has no member `{name}`")]
    NoMember {
        /// The record's type.
        record: String,
        /// The name.
        name: String,
        /// Members that are spelt like it, nearest first.
        nearest: Vec<String>,
    },
    /// A step does not fit the type.
    #[error("`{what}` is {}: {help}", article(.ty))]
    Unfit {
        /// What was reached.
        what: String,
        /// Its type.
        ty: String,
        /// What fits, as a clause.
        help: &'static str,
    },
    /// An index is past the end.
    #[error("`{what}` has {length} elements, none with the index {index}")]
    OutOfRange {
        /// The array.
        what: String,
        /// Its elements.
        length: u64,
        /// The index.
        index: u64,
    },
    /// A pointer leads nowhere.
    #[error("`{what}` is a null pointer at the moment")]
    Null {
        /// The pointer.
        what: String,
    },
    /// A pointer does not lead to memory of the kernel.
    #[error("`{what}` is {value}, which is no address of the kernel")]
    Astray {
        /// The pointer.
        what: String,
        /// Where it points.
        value: AbsAddr,
    },
    /// A pointer cannot be read.
    #[error("`{what}` at {address} cannot be read")]
    Unreadable {
        /// The pointer.
        what: String,
        /// Where it lies.
        address: AbsAddr,
    },
}

impl KernelError {
    /// What to do or to write instead; none where the message says all.
    pub fn help(&self) -> Option<String> {
        let near = |nearest: &[String]| {
            let quoted: Vec<_> = nearest.iter().map(|name| format!("`{name}`")).collect();
            (!quoted.is_empty()).then(|| format!("did you mean {}?", quoted.join(", ")))
        };
        match self {
            Self::NoVariable { nearest, .. } | Self::NoMember { nearest, .. } => {
                near(nearest)
            }
            Self::NotListed { nearest, .. } => {
                let instead = "write its address, which the kernel's System.map may \
                               tell (kernel.data(0xffff…)), or go by a task: \
                               kernel.task(PID).data(\"signal->oom_score_adj\")";
                let near = near(nearest).map_or(String::new(), |near| near + " else ");
                Some(near + instead)
            }
            Self::Ambiguous { .. } => {
                Some("write its address: kernel.data(0xffff…)".to_owned())
            }
            _ => None,
        }
    }
}

fn listed(places: &[(AbsAddr, String)]) -> String {
    let shown = places.iter().map(|(at, module)| format!("{at} in {module}"));
    shown.collect::<Vec<_>>().join(", ")
}

fn article(ty: &str) -> String {
    if ty == "void" { "of no type".to_owned() } else { format!("of type {ty}") }
}

impl KernelNames<'_> {
    /// Finds a variable, or what a path from it leads to.
    ///
    /// # Errors
    ///
    /// Every [`KernelError`].
    pub fn data(&self, name: &str, path: &Path) -> Result<KernelLocation, KernelError> {
        let object = self.object(name)?;
        let spot = |place: KernelPlace| Spot { place, ty: object.ty, bits: None };
        let spots = object.places.into_iter().map(spot).collect();
        let mut location = self.walk(name.to_owned(), spots, path)?;
        // What has no type has a size all the same, if nothing in it is meant.
        if path.0.is_empty() && location.size.is_none() {
            location.size = Some(object.size);
        }
        Ok(location)
    }

    /// Finds what a path leads to from the thread whose `task_struct` is at an
    /// address.
    ///
    /// # Errors
    ///
    /// Every [`KernelError`] that has to do with types and pointers.
    pub fn task(
        &self,
        task: AbsAddr,
        path: &Path,
    ) -> Result<KernelLocation, KernelError> {
        let types = self.types(&path.to_string())?;
        let ty = walk::named(types, TASK)?;
        let place = KernelPlace { cpu: None, address: task, links: Vec::new() };
        self.walk(String::new(), vec![Spot { place, ty: Some(ty), bits: None }], path)
    }

    fn types(&self, what: &str) -> Result<&Btf, KernelError> {
        self.types.ok_or_else(|| KernelError::NoTypes { what: what.to_owned() })
    }

    /// Goes the same way from each of the places, which are of one type.
    fn walk(
        &self,
        start: String,
        spots: Vec<Spot>,
        path: &Path,
    ) -> Result<KernelLocation, KernelError> {
        let types = match self.types {
            Some(types) => types,
            None if path.0.is_empty() => return Ok(location(start, spots, None)),
            None => return Err(KernelError::NoTypes { what: start }),
        };
        let walker = Walker { types, read: self.read };
        let (mut name, mut reached) = (start.clone(), Vec::new());
        for spot in spots {
            let (end, shown) = walker.walk(spot, start.clone(), path)?;
            name = shown;
            reached.push(end);
        }
        let ty = reached.first().and_then(|spot| spot.ty);
        let size = ty.and_then(|ty| walker.types().size(ty));
        Ok(location(name, reached, size))
    }

    /// Finds a variable: by its symbol, else as one that each CPU has.
    fn object(&self, name: &str) -> Result<Object, KernelError> {
        if self.symbols.is_hidden() {
            return Err(KernelError::Hidden);
        }
        let known = self.types.and_then(|types| types.variable(name));
        let found: Vec<_> = self.symbols.named(name).collect();
        match (found.as_slice(), &known) {
            ([], Some(known)) if known.is_per_cpu() => {
                let size = u64::from(known.size);
                self.per_cpu(name, u64::from(known.offset), Some(known.ty), size)
            }
            ([], _) => Err(self.missing(name)),
            ([symbol], known) => self.symbol(symbol, known.as_ref()),
            (several, _) => {
                let place = |it: &KernelVariable<'_>| (it.start, it.module.to_owned());
                let places = several.iter().map(place).collect();
                Err(KernelError::Ambiguous { name: name.to_owned(), places })
            }
        }
    }

    fn symbol(
        &self,
        symbol: &KernelVariable<'_>,
        known: Option<&BtfVariable>,
    ) -> Result<Object, KernelError> {
        // Another variable of a module may have the same name.
        let known = known.filter(|_| symbol.module == KERNEL);
        let ty = known.map(|known| known.ty);
        let size = known.map_or(symbol.size, |known| u64::from(known.size));
        if let Some(offset) = percpu::offset(self.symbols, symbol.start) {
            return self.per_cpu(symbol.name, offset, ty, size);
        }
        let place = KernelPlace { cpu: None, address: symbol.start, links: Vec::new() };
        Ok(Object { places: vec![place], ty, size })
    }

    fn per_cpu(
        &self,
        name: &str,
        offset: u64,
        ty: Option<TypeId>,
        size: u64,
    ) -> Result<Object, KernelError> {
        let areas = self.areas();
        let place = |area: &CpuArea| KernelPlace {
            cpu: Some(area.cpu),
            address: AbsAddr(area.start.0.wrapping_add(offset)),
            links: Vec::new(),
        };
        match areas.as_slice() {
            [] => Err(KernelError::NoAreas { name: name.to_owned() }),
            areas => Ok(Object { places: areas.iter().map(place).collect(), ty, size }),
        }
    }

    /// Where each CPU that is online has its variables; none where that is not to
    /// be found out of one of them.
    pub fn areas(&self) -> Vec<CpuArea> {
        percpu::by_symbols(self.symbols, self.read, self.cpus)
            .or_else(|| percpu::by_tasks(self.types?, self.read, self.cpus, self.tasks))
            .unwrap_or_default()
    }

    fn missing(&self, name: &str) -> KernelError {
        let mut nearest = self.symbols.nearest(name);
        if nearest.is_empty()
            && let Some(types) = self.types
        {
            let all: Vec<_> = types.variables().map(|known| known.name).collect();
            let all = all.iter().map(String::as_str);
            nearest = crate::symbols::nearest::nearest(name, all);
        }
        let name = name.to_owned();
        match self.symbols.is_complete() {
            true => KernelError::NoVariable { name, nearest },
            false => KernelError::NotListed { name, nearest },
        }
    }
}

/// A variable.
struct Object {
    places: Vec<KernelPlace>,
    ty: Option<TypeId>,
    size: u64,
}

/// Where in each CPU's area a variable is, in bytes, given the address of its symbol;
/// none for what the CPUs share.
pub fn per_cpu_offset(symbols: &KernelData, symbol: AbsAddr) -> Option<u64> {
    percpu::offset(symbols, symbol)
}

/// The record that the kernel keeps of each thread.
pub const TASK: &str = "struct task_struct";
const KERNEL: &str = crate::symbols::kallsyms::KERNEL;

fn location(name: String, spots: Vec<Spot>, size: Option<u64>) -> KernelLocation {
    let first = spots.first();
    let (ty, bits) = first.map_or((None, None), |spot| (spot.ty, spot.bits));
    let places = spots.into_iter().map(|spot| spot.place).collect();
    KernelLocation { name, places, size, ty, bits }
}

/// Type and bytes of data, as far as types tell them without any memory.
pub fn typed(types: &Btf, object: &KernelObject) -> Option<(TypeId, u64)> {
    let (ty, path) = match object {
        KernelObject::Variable { name, path } => (types.variable(name)?.ty, path),
        KernelObject::Task { path, .. } => (walk::named(types, TASK).ok()?, path),
        KernelObject::Address(_) => return None,
    };
    // Pointers are taken to lead somewhere in the kernel.
    let read = |_: AbsAddr, bytes: &mut [u8]| {
        bytes.fill(0xff);
        bytes.len()
    };
    let place = KernelPlace { cpu: None, address: AbsAddr(0), links: Vec::new() };
    let spot = Spot { place, ty: Some(ty), bits: None };
    let (end, _) = Walker { types, read: &read }.walk(spot, String::new(), path).ok()?;
    let ty = end.ty?;
    Some((ty, (types as &dyn crate::types::Types).size(ty)?))
}

/// Where in `struct task_struct` a member is, in bytes: `pid`, `tgid`.
pub fn task_offset(types: &Btf, member: &str) -> Option<u64> {
    offset(types, TASK, member)
}

/// Where in a structure, which is named as in `struct mm_struct`, a member is, in
/// bytes; none where there is no such structure or member.
pub fn offset(types: &Btf, structure: &str, member: &str) -> Option<u64> {
    let found = walk::named(types, structure).ok()?;
    let found = (types as &dyn crate::types::Types).plain(found).1;
    let Type::Record(record) = &*found else { return None };
    walk::find_member(types, record, member).map(|(offset, _)| offset)
}

#[cfg(test)]
mod tests;
