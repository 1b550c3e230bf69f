//! hwtrace: who touches my data?
//!
//! The facade over the four crates: a script goes through [`pipeline`] to
//! native handlers, which a [`session`] runs at the hits of an engine.

mod arming;
pub mod cli;
pub mod demo;
pub mod environment;
mod events;
pub mod handlers;
pub mod output;
pub mod pipeline;
pub mod render;
pub mod report;
pub mod session;
mod sink;
mod surroundings;
pub mod symbols;
pub mod target;
mod types;
pub mod values;
pub mod watch;
