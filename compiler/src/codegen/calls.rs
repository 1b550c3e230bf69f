//! Calls: of helpers, and of functions of the script.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self as clif, InstBuilder};
use cranelift_module::FuncId;
use hwtrace_runtime::abi::{FaultCode, Helper};

use super::Translator;
use super::instruction::Outcome;
use crate::ir::Value;

impl<M: cranelift_module::Module> Translator<'_, M> {
    /// Calls a helper of the table; goes where faults go if it faulted.
    pub(super) fn call(
        &mut self,
        name: &'static str,
        args: &[clif::Value],
        site: u32,
    ) -> Outcome {
        let Some(helper) = self.helpers.by_name.get(name).copied() else {
            unreachable!(
                "no helper called `{name}`; the code generator's tests call each"
            )
        };
        self.call_helper(helper, args, site)
    }

    pub(super) fn call_helper(
        &mut self,
        helper: &'static Helper,
        args: &[clif::Value],
        site: u32,
    ) -> Outcome {
        let function = self.helpers.import(self.target, helper)?;
        let reference = self.reference(function);
        let args: Vec<_> =
            [self.context].into_iter().chain(args.iter().copied()).collect();
        let call = self.builder.ins().call(reference, &args);
        let result = self.builder.inst_results(call).first().copied();
        if helper.fallible {
            self.leave_if_faulted(Some(site));
        }
        Ok(result)
    }

    fn reference(&mut self, function: FuncId) -> clif::FuncRef {
        *self.references.entry(function).or_insert_with(|| {
            self.target.declare_func_in_func(function, self.builder.func)
        })
    }

    /// Calls a function of the script: one level deeper, with what is left of
    /// the fuel.
    pub(super) fn call_function(
        &mut self,
        number: u32,
        args: &[Value],
        site: u32,
    ) -> Outcome {
        let depth = match self.depth {
            None => self.long(1),
            Some(depth) => {
                let most = i64::from(self.module.nesting_max);
                let condition = IntCC::SignedGreaterThanOrEqual;
                let too_deep = self.builder.ins().icmp_imm_s(condition, depth, most);
                self.fault_if(too_deep, FaultCode::NestedTooDeep, site);
                self.builder.ins().iadd_imm_s(depth, 1)
            }
        };
        let fuel = self.builder.use_var(self.fuel);
        let mut all = vec![self.context, self.record, fuel, depth];
        for arg in args {
            all.push(self.get(*arg));
        }
        let reference = self.reference(self.functions[number as usize]);
        let call = self.builder.ins().call(reference, &all);
        let results = self.builder.inst_results(call).to_vec();
        self.builder.def_var(self.fuel, results[0]);
        self.leave_if_faulted(None);
        Ok(results.get(1).copied())
    }
}
