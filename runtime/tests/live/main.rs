//! The perf engine on the live kernel: real breakpoints on real programs.
//!
//! Where the machine has no hardware breakpoints each test says "SKIPPED";
//! with HWTRACE_REQUIRE_LIVE=1 it fails.

mod births;
mod common;
mod hits;
mod kernel;
mod limits;
mod moves;
mod processes;
mod programs;
mod programs_elsewhere;
mod stacks;
mod starting;
mod threads;
mod turns;
#[path = "../types/mod.rs"]
mod types;
