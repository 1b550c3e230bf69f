//! hwtrace: who touches my data?
//!
//! The facade over the four crates: a script goes through [`pipeline`] to
//! native handlers, which a [`session`] runs at the hits of an engine.

mod armed;
mod arming;
pub mod cli;
pub mod counts;
pub mod demo;
pub mod doctor;
pub mod engines;
pub mod environment;
mod events;
mod fires;
pub mod handlers;
mod instances;
mod joins;
mod kernel_data;
pub mod names;
pub mod output;
pub mod pipeline;
mod plans;
mod registers;
pub mod render;
pub mod report;
mod request;
pub mod rights;
pub mod session;
pub mod sharing;
mod sink;
pub mod stacks;
mod surroundings;
mod survey;
pub mod symbols;
pub mod target;
mod types;
pub mod unwinding;
pub mod values;
pub mod watch;
