//! The one place where Rust enters a compiled handler.
#![allow(unsafe_code)] // Calls machine code that another crate made.

use crate::abi::{Fault, FaultCode, HandlerContext, HandlerFn};
use crate::schema::HitRecord;
use crate::world::World;

impl World {
    /// Runs a handler for a record; `probe` is its index in the layout.
    ///
    /// # Errors
    /// The fault that ended it early. What it did up to there stays done.
    ///
    /// # Safety
    /// `handler` must have been compiled for this world's layout, and its
    /// code must still be mapped.
    pub unsafe fn run(
        &mut self,
        handler: HandlerFn,
        probe: usize,
        record: &HitRecord,
    ) -> Result<(), Fault> {
        let globals = self.begin_run(probe);
        let mut context =
            HandlerContext { globals, fault: 0, site: 0, record, world: self };
        // SAFETY: the caller vouches for the code; context and record live
        // until it returns.
        unsafe { handler(&raw mut context, record) };
        match FaultCode::from_number(context.fault) {
            Some(code) => Err(Fault { code, site: context.site }),
            None => Ok(()),
        }
    }
}
