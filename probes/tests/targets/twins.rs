//! Two statics of one name, of which LLVM takes one apart where it optimises: its
//! symbol ends in `.0`; see data.c.
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};

mod a {
    pub static COUNT: super::AtomicU64 = super::AtomicU64::new(0);
}

mod b {
    pub static mut COUNT: (u32, u64) = (0, 0);
}

#[inline(never)]
fn bump(by: u32) {
    a::COUNT.fetch_add(by.into(), Ordering::Relaxed);
    unsafe { b::COUNT.0 += by };
}

fn main() {
    bump(std::env::args().count() as u32);
    println!("a::COUNT {:p}", &a::COUNT);
    println!("twins::a::COUNT {:p}", &a::COUNT);
    println!("sum {:#x}", unsafe { b::COUNT.0 });
    println!("ready");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
