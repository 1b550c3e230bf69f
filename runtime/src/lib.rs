//! Engines, rings, merge, access decoding, maps and output of hwtrace.
//!
//! A hit's way through this crate: an [`engine`] takes it from the kernel and
//! hands it on, merged by time, as an [`event`].

pub mod abi;
pub mod access;
pub mod aggregate;
pub mod attr;
pub mod bpf;
mod call;
pub mod engine;
pub mod event;
mod helpers;
pub mod kernel;
pub mod launch;
pub mod map;
pub mod merge;
pub mod plan;
pub mod record;
pub mod ring;
pub mod schema;
pub mod signalling;
pub mod slots;
pub mod strings;
pub mod tracker;
pub mod view;
pub mod world;
