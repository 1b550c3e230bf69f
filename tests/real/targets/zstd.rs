//! zstd. Each round compresses the same text in one context. Answers with the
//! bytes that went in and came out in the last round.
#![allow(unsafe_code)] // Calls C.

use std::ptr::null_mut;

use hwtrace_real::serve;
use zstd_sys as ffi;

/// The compressor, found by its name in C.
#[unsafe(no_mangle)]
static mut compressor: *mut ffi::ZSTD_CCtx = null_mut();

fn main() {
    let text: String = (0..20_000).map(|line| format!("line {}\n", line * 7)).collect();
    // SAFETY: one thread.
    let mut packed = unsafe {
        compressor = ffi::ZSTD_createCCtx();
        assert!(!compressor.is_null());
        vec![0_u8; ffi::ZSTD_compressBound(text.len())]
    };
    let mut length = compress(&text, &mut packed);
    serve(|rounds| {
        for _ in 0..rounds {
            length = compress(&text, &mut packed);
        }
        format!("in {} out {length}", text.len())
    });
}

/// Bytes that the text takes when packed.
fn compress(text: &str, packed: &mut [u8]) -> usize {
    // SAFETY: the context is open, and both buffers are there for the call.
    unsafe {
        let length = ffi::ZSTD_compress2(
            compressor,
            packed.as_mut_ptr().cast(),
            packed.len(),
            text.as_ptr().cast(),
            text.len(),
        );
        assert_eq!(ffi::ZSTD_isError(length), 0);
        length
    }
}
