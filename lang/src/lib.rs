//! The hwt probe language: text to typed program.
//!
//! The stages, one type each: [`ast::Script`] (parsed), [`typed::Program`]
//! (names resolved, types known). This crate knows no kernel, no terminal and
//! no machine code; what `$x` or a probe point means it asks an
//! [`environment::Environment`].

pub mod ast;
pub mod builtins;
pub mod code;
pub mod data;
pub mod diagnostic;
pub mod environment;
pub mod format;
pub mod overrides;
pub mod parse;
pub mod printf;
pub mod sema;
pub mod span;
pub mod suggest;
pub mod typed;
pub mod types;

// The environment of the tests is written from outside, as tests/ sees it.
#[cfg(test)]
extern crate self as hwtrace_lang;
