//! Typed hwt program to native handlers.
//!
//! Stages, one type each: [`ir::Module`] (lowered), [`jit::Program`] (native).
//! [`capture`] tells of a lowered module what can be done at a hit itself.
//! [`ir::eval`] runs a lowered module in safe code: the oracle that native
//! code is tested against, never a stand-in for it.

pub mod capture;
pub mod codegen;
pub mod ir;
pub mod jit;
