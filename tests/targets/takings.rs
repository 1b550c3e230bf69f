//! A Rust program that stores into an atomic in a module and into a
//! `#[no_mangle]` static.

use std::sync::atomic::Ordering;

mod shop {
    pub mod till {
        use std::sync::atomic::AtomicU64;

        pub static TAKINGS: AtomicU64 = AtomicU64::new(7);
    }
}

#[unsafe(no_mangle)]
pub static mut PLAIN_TOTAL: u32 = 1;

#[inline(never)]
fn sell(amount: u64) {
    shop::till::TAKINGS.store(amount, Ordering::SeqCst);
}

#[inline(never)]
fn count(amount: u32) {
    // SAFETY: this program has one thread.
    unsafe { (&raw mut PLAIN_TOTAL).write_volatile(amount) };
}

fn main() {
    println!("ready");
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line);
    assert!(read.is_ok_and(|length| length > 0));
    // The compiler is to leave the static as it is.
    std::hint::black_box(&shop::till::TAKINGS);
    for amount in 0..500 {
        sell(amount);
        count(amount as u32 * 2);
    }
    println!("done");
}
