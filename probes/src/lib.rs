//! Probe points and data expressions of hwtrace to addresses, and addresses back
//! to names.
//!
//! - [`provider::parse`] turns the components of a probe point into a [`Spec`];
//!   [`provider::providers`] lists all there are.
//! - [`Expression::parse`] reads what is watched, [`type_of`] says of which type that is,
//!   and [`resolve()`] finds where it is in the [`Image`] of a [`Process`].
//! - [`Symbolizer`] names the function or variable at an address, also of a process
//!   that has exited, and gives the code around an instruction.
//!
//! ```
//! use hwtrace_probes::provider;
//! use hwtrace_probes::spec::{ArgumentRef, Component, Spec, Timer};
//!
//! let timer = Component { name: "timer", argument: None };
//! let second = Component { name: "s", argument: Some(ArgumentRef::Long(1)) };
//! let spec = provider::parse(&[timer, second])?;
//! assert_eq!(spec, Spec::Timer(Timer { period_ns: 1_000_000_000, random_ns: 0 }));
//! # Ok::<(), hwtrace_probes::SpecError>(())
//! ```
//!
//! Input is never trusted: hostile ELF files, maps and probe points give errors or
//! fewer names. This crate knows nothing of terminals, perf or the language's
//! grammar; its errors carry what a message needs.

pub mod address;
pub mod btf;
pub mod dwarf;
pub mod expr;
pub mod image;
pub mod kcore;
pub mod kernel;
pub mod listing;
pub mod machine;
pub mod maps;
pub mod process;
pub mod provider;
pub mod resolve;
pub mod spec;
pub mod stack;
pub mod symbolize;
pub mod symbols;
pub mod types;

pub use address::{AbsAddr, FileOffset, LoadBias, VirtOffset};
pub use dwarf::{Dwarf, NoDebugInfo};
pub use expr::{ExprError, ExprErrorKind, Expression};
pub use image::{Files, Image, Loader};
pub use maps::{AddressSpace, Mapping};
pub use process::{Executable, Process, ProcessError};
pub use resolve::{Location, Memory, ResolveError, resolve, resolve_for_thread, type_of};
pub use spec::{DataSpec, Mode, ProcessRef, Spec, SpecError, SpecErrorKind};
pub use symbolize::{Named, Symbol, Symbolizer};
