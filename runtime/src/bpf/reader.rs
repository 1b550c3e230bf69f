//! Reads memory of the kernel, wherever there is some.
//!
//! A program that reads a piece into its context is run for each piece. A piece
//! lies within one page, so that it can be read as a whole or not at all. A read
//! of 8 bytes takes a microsecond or two.

use std::rc::Rc;

use super::insn::{
    FRAME, Helper, Instruction, R0, R1, R2, R3, R6, Test, Width, add, call, copy, exit,
    load, set, skip, skip_if, store, store_constant,
};
use super::{BpfError, Loaded, Program, Role};
use crate::kernel::{Errno, Kernel};

/// Bytes that one run reads at most.
const PIECE: usize = 256;
/// Memory is there or not a page at a time, of this size at least.
const PAGE: u64 = 4096;
const WHAT: &str = "reads kernel memory";

/// What a run is given and gives: the program's context.
#[derive(Debug)]
pub(crate) struct Request {
    bytes: [u8; Self::BYTES],
}

impl Request {
    /// First come the bytes read.
    const ADDRESS: usize = PIECE;
    const LENGTH: usize = PIECE + 8;
    const BYTES: usize = PIECE + 16;

    fn new(address: u64, length: usize) -> Self {
        let mut bytes = [0; Self::BYTES];
        bytes[Self::ADDRESS..Self::LENGTH].copy_from_slice(&address.to_ne_bytes());
        let length = length.min(PIECE) as u64;
        bytes[Self::LENGTH..].copy_from_slice(&length.to_ne_bytes());
        Self { bytes }
    }

    /// Which addresses a context asks for, and where its answer goes.
    pub(crate) fn asked(context: &mut [u8]) -> Option<(u64, &mut [u8])> {
        let (answer, rest) = context.split_at_mut_checked(PIECE)?;
        let (words, _) = rest.as_chunks::<8>();
        let [address, length] = words else { return None };
        let length = usize::try_from(u64::from_ne_bytes(*length)).ok()?;
        Some((u64::from_ne_bytes(*address), answer.get_mut(..length)?))
    }
}

/// The kernel's memory.
#[derive(Debug)]
pub struct KernelReader {
    program: Loaded,
}

impl KernelReader {
    /// Gets ready to read.
    ///
    /// # Errors
    ///
    /// Every [`BpfError`]; also where the kernel is locked down, as then it gives
    /// its memory to nobody.
    pub fn open(kernel: &Rc<dyn Kernel>) -> Result<Self, BpfError> {
        let program = Program { role: Role::Call, instructions: program() };
        let program = Loaded::new(kernel, &program, WHAT)?;
        let reader = Self { program };
        // One run shows whether the kernel lets this program be run: a read of
        // nothing, which fails nowhere.
        let mut nothing = Request::new(0, 0);
        reader.run(&mut nothing).map_err(|errno| match errno {
            Errno::EPERM => BpfError::NotPermitted,
            errno => BpfError::Failed { what: WHAT, errno },
        })?;
        Ok(reader)
    }

    /// Reads from `address` on; gives how many of the first bytes of `out` could be
    /// read.
    pub fn read(&self, address: u64, out: &mut [u8]) -> usize {
        let mut done = 0;
        while done < out.len() {
            let at = address.wrapping_add(done as u64);
            let to_page_end = (PAGE - at % PAGE) as usize;
            let length = (out.len() - done).min(PIECE).min(to_page_end);
            let mut request = Request::new(at, length);
            if self.run(&mut request) != Ok(0) {
                break;
            }
            out[done..done + length].copy_from_slice(&request.bytes[..length]);
            done += length;
        }
        done
    }

    /// Runs the program; gives what it gives, 0 where all could be read.
    fn run(&self, request: &mut Request) -> Result<u32, Errno> {
        self.program.kernel.bpf_run(self.program.descriptor, &mut request.bytes)
    }
}

/// Reads to the stack, as no function of the kernel may write to the context, and
/// copies it from there.
fn program() -> Vec<Instruction> {
    const STACK: i16 = -(PIECE as i16);
    let words = || (0..PIECE as i16).step_by(8);
    let mut program = vec![
        copy(R6, R1),
        load(Width::Double, R2, R6, Request::LENGTH as i16),
        load(Width::Double, R3, R6, Request::ADDRESS as i16),
        skip_if(Test::Above, R2, PIECE as i32, 1),
        skip(2),
        set(R0, -1),
        exit(),
    ];
    // Of unknown length, what is read may leave a part as it was.
    program.extend(words().map(|at| store_constant(Width::Double, FRAME, STACK + at, 0)));
    program.extend([
        copy(R1, FRAME),
        add(R1, i32::from(STACK)),
        call(Helper::ProbeReadKernel),
    ]);
    program.extend(words().flat_map(|at| {
        [load(Width::Double, R1, FRAME, STACK + at), store(Width::Double, R6, at, R1)]
    }));
    program.push(exit());
    program
}
