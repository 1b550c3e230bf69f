//! Prints addresses of instructions with the lines that they are of.
use std::arch::asm;
use std::io::Read;

struct Pool(u32);

impl Pool {
    #[inline(always)]
    fn inner(&self) -> u32 {
        let at: usize;
        // A macro of our own would be where the line is.
        unsafe { asm!("lea {}, [rip - 1]", out(reg) at) };
        println!("inner:{} {at:#x}", line!() - 1);
        self.0
    }

    #[inline(never)]
    fn outer(&self) -> u32 {
        self.inner() * 2 // inner is called
    }
}

fn main() {
    let pool = Pool(3);
    println!("sum {:#x}", pool.outer());
    println!("ready");
    let _ = std::io::stdin().read(&mut [0]);
}
