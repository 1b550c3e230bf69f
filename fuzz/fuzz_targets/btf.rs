//! Any bytes are either types that can all be asked for, or refused; and so are
//! they when they go on where others end.
#![no_main]

use std::sync::LazyLock;

use hwtrace_probes::btf::Btf;
use hwtrace_probes::types::{TypeId, Types, type_name};
use libfuzzer_sys::fuzz_target;

static BASE: LazyLock<Btf> = LazyLock::new(|| {
    let small = include_bytes!("../seeds/btf/small.btf");
    Btf::parse(small.to_vec(), 1).expect("BTF")
});

fn ask_all(btf: &Btf) {
    let types: &dyn Types = btf;
    for id in 0..=btf.len() as u64 {
        let id = TypeId::new(2, id);
        assert!(!type_name(types, id).contains('\0'));
        let _ = types.size(id);
    }
    for name in ["struct node", "union u", "int", "color", "this_node", ""] {
        let _ = (types.named(name), types.constant(name), btf.function(name));
        if let Some(variable) = btf.variable(name) {
            assert_eq!(variable.name, name);
        }
    }
    assert!(btf.variables().count() <= 1 << 20);
}

fuzz_target!(|bytes: &[u8]| {
    for btf in [Btf::parse(bytes.to_vec(), 2), Btf::split(bytes.to_vec(), &BASE, 2)] {
        if let Ok(btf) = btf {
            ask_all(&btf);
        }
    }
});
