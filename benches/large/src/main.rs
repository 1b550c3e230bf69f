//! Compiles a function and waits: what it is for is its debug information.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use clap::Parser;
use cranelift_codegen::ir::{AbiParam, InstBuilder, types::I64};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{Linkage, Module, default_libcall_names};

mod till {
    use super::AtomicU64;

    /// The global that is watched.
    pub static TAKINGS: AtomicU64 = AtomicU64::new(0);
}

#[derive(Parser)]
struct Arguments {
    /// Lines that are counted.
    #[arg(default_value = "^[0-9]+$")]
    pattern: String,
}

fn main() {
    let arguments = Arguments::parse();
    let pattern = regex::Regex::new(&arguments.pattern).expect("a pattern");
    let builder = JITBuilder::new(default_libcall_names()).expect("a machine we know");
    let bytes = compile(&mut JITModule::new(builder));
    println!("{}", serde_json::json!({ "ready": bytes }));
    for line in std::io::stdin().lines().map_while(Result::ok) {
        if pattern.is_match(&line) {
            till::TAKINGS.fetch_add(1, SeqCst);
        }
    }
    let endian = gimli::RunTimeEndian::Little;
    let section = gimli::DebugInfo::new(&[], endian);
    println!("{:?} {}", section.units().next().is_ok(), till::TAKINGS.load(SeqCst));
}

/// Compiles a function of one instruction; gives the length of its code.
fn compile(module: &mut JITModule) -> u32 {
    let mut context = module.make_context();
    context.func.signature.returns.push(AbiParam::new(I64));
    let mut own = FunctionBuilderContext::new();
    let mut builder = FunctionBuilder::new(&mut context.func, &mut own);
    let block = builder.create_block();
    builder.switch_to_block(block);
    let value = builder.ins().iconst(I64, 42);
    builder.ins().return_(&[value]);
    builder.seal_all_blocks();
    builder.finalize(module.target_config());
    let name = module.declare_function("f", Linkage::Export, &context.func.signature);
    module.define_function(name.expect("a name"), &mut context).expect("sound");
    context.compiled_code().map_or(0, |code| code.code_info().total_size)
}
