//! Variables of every kind of type that Rust has.
#![allow(dead_code, static_mut_refs)]

use std::cell::Cell;

pub mod shapes {
    #[repr(u8)]
    #[derive(Clone, Copy)]
    pub enum Level {
        Low = 1,
        High = 200,
    }

    pub enum Shape {
        Circle { radius: f64 },
        Square(i32, u8),
        Nothing,
    }

    pub struct Point<T> {
        pub x: T,
        pub y: T,
    }

    pub static mut SHAPE: Shape = Shape::Square(3, 4);
    pub static mut LEVEL: Level = Level::High;
}

static mut COUNT: u64 = 3;
static mut BYTE: u8 = b'a';
static mut LETTER: char = 'ß';
static mut YES: bool = true;
static mut TEXT: &str = "hello";
static mut SLICE: &[u16] = &[1, 2, 3];
static mut PAIR: (i8, u32) = (1, 2);
static mut SOME: Option<&'static u64> = None;
static mut NUMBER: Option<u32> = Some(5);
static mut GRID: [[u16; 3]; 2] = [[0; 3]; 2];
static mut POINT: shapes::Point<i64> = shapes::Point { x: 1, y: 2 };

thread_local! {
    static LOCAL: Cell<u32> = const { Cell::new(7) };
}

#[inline(never)]
fn bump() -> u64 {
    static mut CALLS: u64 = 0;
    unsafe {
        CALLS += 1;
        CALLS
    }
}

fn main() {
    LOCAL.set(LOCAL.get() + 1);
    unsafe {
        COUNT += bump();
        std::hint::black_box((&raw mut BYTE, &raw mut LETTER, &raw mut YES, &raw mut TEXT));
        std::hint::black_box((&raw mut SLICE, &raw mut PAIR, &raw mut SOME, &raw mut NUMBER));
        std::hint::black_box((&raw mut GRID, &raw mut POINT));
        std::hint::black_box((&raw mut shapes::SHAPE, &raw mut shapes::LEVEL));
    }
}
