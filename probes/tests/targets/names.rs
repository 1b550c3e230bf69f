//! Statics of Rust; see data.c.
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};

mod stats {
    pub static HITS: super::AtomicU64 = super::AtomicU64::new(3);
    pub static mut RAW: u32 = 0;
}

#[unsafe(no_mangle)]
pub static PLAIN: AtomicU64 = AtomicU64::new(1);

#[inline(never)]
fn bump() -> *const AtomicU64 {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    CALLS.fetch_add(1, Ordering::Relaxed);
    &CALLS
}

fn main() {
    stats::HITS.fetch_add(1, Ordering::Relaxed);
    PLAIN.fetch_add(1, Ordering::Relaxed);
    unsafe { stats::RAW += 1 };
    println!("names::stats::HITS {:p}", &stats::HITS);
    println!("crate::stats::HITS {:p}", &stats::HITS);
    println!("stats::HITS {:p}", &stats::HITS);
    println!("HITS {:p}", &stats::HITS);
    println!("stats::RAW {:p}", &raw const stats::RAW);
    println!("PLAIN {:p}", &PLAIN);
    println!("names::bump::CALLS {:p}", bump());
    println!("names::bump {:p}", bump as *const ());
    println!("ready");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
