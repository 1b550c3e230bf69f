//! What Rust adds to the types of C, stored to with values that the test knows. Says
//! that it has finished by a store, and then waits for a line.

use std::cell::Cell;
use std::hint::black_box;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI16, AtomicU64, Ordering};

#[derive(Clone, Copy)]
#[repr(u8)]
enum Light {
    Off,
    Dim = 7,
    On,
}

#[derive(Clone, Copy)]
enum Shape {
    Nothing,
    Circle(u32),
    Side { wide: u16, high: i16 },
}

struct Meter<T> {
    value: Cell<T>,
    max: T,
}

static mut LIGHT: Light = Light::Off;
static mut SHAPE: Shape = Shape::Nothing;
static mut MAYBE: Option<u32> = None;
static mut NEXT: Option<&u64> = None;
static mut PAIR: (i16, bool) = (-1, false);
static mut TEXT: &str = "one";
static mut OWNED: String = String::new();
static mut SOME: &[u16] = &[1, 2];
static TURNS: AtomicU64 = AtomicU64::new(5);
static LEVEL: AtomicI16 = AtomicI16::new(-5);
static OPEN: AtomicBool = AtomicBool::new(false);
static UNIT: u64 = 42;
static mut METER: Meter<i32> = Meter { value: Cell::new(-3), max: 4 };
static mut LETTER: char = 'a';
static mut NESTED: Option<Option<bool>> = None;
static mut HUGE: i128 = 1;
static mut FINISHED: u32 = 0;

fn store<T>(to: *mut T, value: T) {
    // SAFETY: there is one thread, and all of these are statics.
    unsafe { to.write_volatile(black_box(value)) }
}

fn main() {
    store(&raw mut LIGHT, Light::On);
    store(&raw mut LIGHT, Light::Dim);
    store(&raw mut SHAPE, Shape::Circle(70000));
    store(&raw mut SHAPE, Shape::Side { wide: 3, high: -4 });
    store(&raw mut MAYBE, Some(9));
    store(&raw mut NEXT, Some(&UNIT));
    store(&raw mut PAIR, (300, true));
    store(&raw mut TEXT, "a longer one");
    store(&raw mut OWNED, "owned text".to_owned());
    store(&raw mut SOME, &[7, 8, 9]);
    TURNS.store(6, Ordering::Relaxed);
    TURNS.fetch_add(10, Ordering::SeqCst);
    LEVEL.store(-300, Ordering::Relaxed);
    OPEN.store(true, Ordering::Relaxed);
    // SAFETY: as in `store`.
    unsafe { store((*(&raw const METER)).value.as_ptr(), -30) };
    store(&raw mut LETTER, 'z');
    store(&raw mut NESTED, Some(None));
    store(&raw mut NESTED, Some(Some(true)));
    store(&raw mut HUGE, -1);
    store(&raw mut FINISHED, 1);
    let statics = [
        ptr::from_ref(&LEVEL).addr(),
        ptr::from_ref(&OPEN).addr(),
        (&raw const METER).addr(),
    ];
    black_box(statics);
    // SAFETY: as in `store`.
    black_box(unsafe { (*(&raw const METER)).max });
    let mut line = String::new();
    if std::io::stdin().read_line(&mut line).is_ok_and(|length| length > 0) {
        println!("bye");
    }
}
