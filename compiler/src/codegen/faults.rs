//! Faults: on to the innermost `try`, or out.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self as clif, InstBuilder, types};
use hwtrace_runtime::abi::{ENDED, FaultCode, UNCATCHABLE};

use super::{Translator, layout};

/// Ways out are shared, which keeps the code small, but by so many at most: to
/// find what dominates a block costs the allocator of registers the distance
/// between its predecessors, and for each of them.
const FAULTS_OF_AN_EXIT: usize = 64;

impl<M: cranelift_module::Module> Translator<'_, M> {
    /// Faults where `condition` holds.
    pub(super) fn fault_if(
        &mut self,
        condition: clif::Value,
        code: FaultCode,
        site: u32,
    ) {
        let (fault, go_on) = (self.builder.create_block(), self.builder.create_block());
        self.builder.set_cold_block(fault);
        self.builder.ins().brif(condition, fault, &[], go_on, &[]);
        self.builder.switch_to_block(fault);
        self.note(code as u32);
        match self.on_fault {
            Some(caught) if code.is_catchable() => {
                self.builder.ins().jump(caught, &[]);
            }
            _ => self.leave_at(Some(site)),
        }
        self.builder.switch_to_block(go_on);
    }

    /// Goes on to the `try`, or out, where a fault was noted: by a helper, or
    /// by a function of the script, which noted its site, too.
    pub(super) fn leave_if_faulted(&mut self, site: Option<u32>) {
        let (faulted, go_on) = (self.builder.create_block(), self.builder.create_block());
        self.builder.set_cold_block(faulted);
        let flags = layout::trusted();
        let fault =
            self.builder.ins().load(types::I32, flags, self.context, layout::FAULT);
        self.builder.ins().brif(fault, faulted, &[], go_on, &[]);
        self.builder.switch_to_block(faulted);
        if let Some(caught) = self.on_fault {
            let out = self.builder.create_block();
            self.builder.set_cold_block(out);
            let last = self.builder.ins().iconst(types::I32, i64::from(UNCATCHABLE));
            let ends =
                self.builder.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, fault, last);
            self.builder.ins().brif(ends, out, &[], caught, &[]);
            self.builder.switch_to_block(out);
        }
        self.leave_at(site);
        self.builder.switch_to_block(go_on);
    }

    /// Ends the handler from whatever function, without a fault.
    pub(super) fn leave_handler(&mut self) {
        self.note(ENDED);
        self.give_back(None);
    }

    fn note(&mut self, fault: u32) {
        let fault = self.builder.ins().iconst(types::I32, i64::from(fault));
        self.builder.ins().store(layout::trusted(), fault, self.context, layout::FAULT);
    }

    fn leave_at(&mut self, site: Option<u32>) {
        let Some(site) = site else {
            return self.give_back(None);
        };
        let exit = match self.exits.last_mut() {
            Some((exit, faults)) if *faults < FAULTS_OF_AN_EXIT => {
                *faults += 1;
                *exit
            }
            _ => {
                let exit = self.builder.create_block();
                self.builder.append_block_param(exit, types::I32);
                self.exits.push((exit, 1));
                exit
            }
        };
        let site = self.builder.ins().iconst(types::I32, i64::from(site));
        self.builder.ins().jump(exit, &[site.into()]);
    }

    /// Where faults leave that are not caught, each with its site.
    pub(super) fn finish_exits(&mut self) {
        for (exit, _) in std::mem::take(&mut self.exits) {
            self.builder.set_cold_block(exit);
            self.builder.switch_to_block(exit);
            let site = self.builder.block_params(exit)[0];
            self.builder.ins().store(layout::trusted(), site, self.context, layout::SITE);
            self.give_back(None);
        }
    }
}
