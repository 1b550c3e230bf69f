//! Four threads, two variables, and names too long for a table.

use std::sync::atomic::{AtomicU64, Ordering};

static BUSY: AtomicU64 = AtomicU64::new(0);
static QUIET: AtomicU64 = AtomicU64::new(0);
static UNUSED: AtomicU64 = AtomicU64::new(0);

mod a_module_with_a_rather_long_name {
    pub mod within_another_one_that_is_no_shorter {
        use std::sync::atomic::Ordering;

        #[inline(never)]
        pub fn a_function_whose_name_would_fill_the_line_alone(value: u64) {
            crate::BUSY.store(value, Ordering::Relaxed);
        }
    }
}

#[inline(never)]
fn look() -> u64 {
    BUSY.load(Ordering::Relaxed)
}

#[inline(never)]
fn rarely(value: u64) {
    QUIET.fetch_add(value, Ordering::Relaxed);
}

fn main() {
    use a_module_with_a_rather_long_name::within_another_one_that_is_no_shorter as long;
    println!("ready");
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line);
    assert!(read.is_ok_and(|length| length > 0));
    // The compiler is to leave the statics as they are.
    std::hint::black_box([&BUSY, &QUIET, &UNUSED]);
    let work = || {
        for value in 0..500 {
            long::a_function_whose_name_would_fill_the_line_alone(value);
            if value % 2 == 0 {
                std::hint::black_box(look());
            }
        }
        rarely(1 << 50);
    };
    std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(work))));
    println!("done");
}
