//! The decoder and its plans against a table of instruction forms, the values
//! worked out by hand. `access_live.rs` puts the same question to the CPU.

#![allow(missing_docs)]

use hwtrace_runtime::access::{CodeSource, Decoder, Function, Recovered};
use hwtrace_runtime::event::Registers;
use hwtrace_runtime::schema::AccessKind::{self, Read, Unknown, Update, Write};
use hwtrace_runtime::schema::ByteRange;

use self::Expected::{Hit, Missed};

/// What a row expects.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// This outcome, by the instruction itself: kind, old, new, exact.
    Hit(AccessKind, Option<u64>, Option<u64>, bool),
    /// It was not this instruction.
    Missed,
}

/// Where the code of a row begins.
const CODE: u64 = 0x55_5555_5000;

/// Before each row's instruction: `push rbp; mov rbp, rsp; nop dword ptr
/// [rax+rax]`.
const LEAD: &[u8] = b"\x55\x48\x89\xe5\x0f\x1f\x44\x00\x00";

/// What the watched bytes held.
const OLD: u64 = 0x1122_3344_5566_7788;

/// Registers after the instruction, in perf's order (no segments): AX BX CX DX
/// SI DI BP SP IP FLAGS, R8 … R15. Flags: ZF PF IF.
const REGISTERS: [u64; 18] = [
    0xa0a1_a2a3_a4a5_a6a7,
    0xb0b1_b2b3_b4b5_b6b7,
    0xc0c1_c2c3_c4c5_c6c7,
    0xd0d1_d2d3_d4d5_d6d7,
    0x3000,
    0x2000,
    0x1800,
    0x7000,
    0,
    0x246,
    0x8081_8283_8485_8687,
    0x9091_9293_9495_9697,
    0x3031_3233_3435_3637,
    0x4041_4243_4445_4647,
    0x5051_5253_5455_5657,
    0x6061_6263_6465_6667,
    0x7071_7273_7475_7677,
    0xf0f1_f2f3_f4f5_f6f7,
];

/// Those of AX … FLAGS and R8 … R15.
const MASK: u64 = 0xff_03ff;

/// Code at [`CODE`] in every process but 0; counts the questions.
struct Code {
    bytes: Vec<u8>,
    asked: usize,
}

impl Code {
    fn new(parts: &[&[u8]]) -> Self {
        Self { bytes: parts.concat(), asked: 0 }
    }
}

impl CodeSource for Code {
    fn function(&mut self, pid: u32, _address: u64) -> Option<Function<'_>> {
        self.asked += 1;
        let size = self.bytes.len() as u64;
        (pid != 0).then_some(Function { start: CODE, size, bytes: &self.bytes })
    }
}

/// Assembler, machine code, watched address and length, what is expected.
type Row = (&'static str, &'static [u8], u64, u32, Expected);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    // stores of registers.
    ("mov byte ptr [rdi], al", b"\x88\x07", 0x2000, 1, Hit(Write, None, Some(0xa7), true)),
    ("mov byte ptr [rdi], ah", b"\x88\x27", 0x2000, 1, Hit(Write, None, Some(0xa6), true)),
    ("mov byte ptr [rdi], bh", b"\x88\x3f", 0x2000, 1, Hit(Write, None, Some(0xb6), true)),
    ("mov byte ptr [rdi], ch", b"\x88\x2f", 0x2000, 1, Hit(Write, None, Some(0xc6), true)),
    ("mov byte ptr [rdi], dh", b"\x88\x37", 0x2000, 1, Hit(Write, None, Some(0xd6), true)),
    ("mov byte ptr [rdi], sil", b"\x40\x88\x37", 0x2000, 1, Hit(Write, None, Some(0x0), true)),
    ("mov byte ptr [rdi], r9b", b"\x44\x88\x0f", 0x2000, 1, Hit(Write, None, Some(0x97), true)),
    ("mov word ptr [rdi], cx", b"\x66\x89\x0f", 0x2000, 2, Hit(Write, None, Some(0xc6c7), true)),
    ("mov dword ptr [rdi], edx", b"\x89\x17", 0x2000, 4, Hit(Write, None, Some(0xd4d5d6d7), true)),
    ("mov qword ptr [rdi], rbx", b"\x48\x89\x1f", 0x2000, 8, Hit(Write, None, Some(0xb0b1b2b3b4b5b6b7), true)),
    ("mov qword ptr [rdi], rsp", b"\x48\x89\x27", 0x2000, 8, Hit(Write, None, Some(0x7000), true)),
    ("mov qword ptr [rdi], rdi", b"\x48\x89\x3f", 0x2000, 8, Hit(Write, None, Some(0x2000), true)),
    ("mov dword ptr [rdi], r8d", b"\x44\x89\x07", 0x2000, 4, Hit(Write, None, Some(0x84858687), true)),
    ("mov word ptr [rdi], r15w", b"\x66\x44\x89\x3f", 0x2000, 2, Hit(Write, None, Some(0xf6f7), true)),
    ("mov qword ptr [rdi], r12", b"\x4c\x89\x27", 0x2000, 8, Hit(Write, None, Some(0x5051525354555657), true)),
    ("movnti qword ptr [rdi], rax", b"\x48\x0f\xc3\x07", 0x2000, 8, Hit(Write, None, Some(0xa0a1a2a3a4a5a6a7), true)),
    ("movabs [0x2000], eax", b"\xa3\x00\x20\x00\x00\x00\x00\x00\x00", 0x2000, 4, Hit(Write, None, Some(0xa4a5a6a7), true)),
    // stores of immediates.
    ("mov byte ptr [rdi], 0x80", b"\xc6\x07\x80", 0x2000, 1, Hit(Write, None, Some(0x80), true)),
    ("mov word ptr [rdi], 0xfffe", b"\x66\xc7\x07\xfe\xff", 0x2000, 2, Hit(Write, None, Some(0xfffe), true)),
    ("mov dword ptr [rdi], 0x89abcdef", b"\xc7\x07\xef\xcd\xab\x89", 0x2000, 4, Hit(Write, None, Some(0x89abcdef), true)),
    ("mov qword ptr [rdi], -2", b"\x48\xc7\x07\xfe\xff\xff\xff", 0x2000, 8, Hit(Write, None, Some(0xfffffffffffffffe), true)),
    ("mov qword ptr [rdi], 0x7fffffff", b"\x48\xc7\x07\xff\xff\xff\x7f", 0x2000, 8, Hit(Write, None, Some(0x7fffffff), true)),
    // places.
    ("mov dword ptr [rsi+rbp*4+0x10], eax", b"\x89\x44\xae\x10", 0x9010, 4, Hit(Write, None, Some(0xa4a5a6a7), true)),
    ("mov dword ptr [rsi+rbp*4+0x10], eax", b"\x89\x44\xae\x10", 0x9014, 4, Missed),
    ("mov dword ptr [rsi-0x1000], eax", b"\x89\x86\x00\xf0\xff\xff", 0x2000, 4, Hit(Write, None, Some(0xa4a5a6a7), true)),
    ("mov dword ptr [rip+0x100], eax", b"\x89\x05\x00\x01\x00\x00", CODE + LEAD.len() as u64 + 6 + 0x100, 4, Hit(Write, None, Some(0xa4a5a6a7), true)),
    ("mov dword ptr [0x2000], eax", b"\x89\x04\x25\x00\x20\x00\x00", 0x2000, 4, Hit(Write, None, Some(0xa4a5a6a7), true)),
    ("mov dword ptr [edi+ebx], eax", b"\x67\x89\x04\x1f", 0xb4b5d6b7, 1, Hit(Write, None, Some(0xa7), true)),
    ("mov qword ptr [rsp+8], rax", b"\x48\x89\x44\x24\x08", 0x7008, 8, Hit(Write, None, Some(0xa0a1a2a3a4a5a6a7), true)),
    ("mov dword ptr fs:[0x10], eax", b"\x64\x89\x04\x25\x10\x00\x00\x00", 0x2000, 4, Hit(Write, None, Some(0xa4a5a6a7), false)),
    ("mov dword ptr fs:[rdi], eax", b"\x64\x89\x07", 0x2000, 8, Hit(Write, None, None, false)),
    ("mov qword ptr gs:[0], rax", b"\x65\x48\x89\x04\x25\x00\x00\x00\x00", 0x2000, 8, Hit(Write, None, Some(0xa0a1a2a3a4a5a6a7), false)),
    // narrower, wider, beside.
    ("mov byte ptr [rdi+3], al", b"\x88\x47\x03", 0x2000, 8, Hit(Write, None, Some(0x11223344a7667788), false)),
    ("mov word ptr [rdi-1], ax", b"\x66\x89\x47\xff", 0x2000, 4, Hit(Write, None, Some(0x556677a6), false)),
    ("mov qword ptr [rdi-4], rax", b"\x48\x89\x47\xfc", 0x2000, 4, Hit(Write, None, Some(0xa0a1a2a3), true)),
    ("mov qword ptr [rdi-3], rax", b"\x48\x89\x47\xfd", 0x2000, 2, Hit(Write, None, Some(0xa3a4), true)),
    ("mov dword ptr [rdi+6], eax", b"\x89\x47\x06", 0x2000, 8, Hit(Write, None, Some(0xa6a7334455667788), false)),
    ("mov dword ptr [rdi+8], eax", b"\x89\x47\x08", 0x2000, 8, Missed),
    ("mov qword ptr [rdi-8], rax", b"\x48\x89\x47\xf8", 0x2000, 8, Missed),
    // loads.
    ("mov eax, dword ptr [rdi]", b"\x8b\x07", 0x2000, 4, Hit(Read, Some(0xa4a5a6a7), Some(0xa4a5a6a7), true)),
    ("mov ah, byte ptr [rdi]", b"\x8a\x27", 0x2000, 1, Hit(Read, Some(0xa6), Some(0xa6), true)),
    ("movzx eax, byte ptr [rdi]", b"\x0f\xb6\x07", 0x2000, 1, Hit(Read, Some(0xa7), Some(0xa7), true)),
    ("movzx ecx, word ptr [rdi]", b"\x0f\xb7\x0f", 0x2000, 2, Hit(Read, Some(0xc6c7), Some(0xc6c7), true)),
    ("movsx rax, byte ptr [rdi]", b"\x48\x0f\xbe\x07", 0x2000, 1, Hit(Read, Some(0xa7), Some(0xa7), true)),
    ("movsxd rdx, dword ptr [rdi]", b"\x48\x63\x17", 0x2000, 4, Hit(Read, Some(0xd4d5d6d7), Some(0xd4d5d6d7), true)),
    ("mov eax, dword ptr [rdi-2]", b"\x8b\x47\xfe", 0x2000, 2, Hit(Read, Some(0xa4a5), Some(0xa4a5), true)),
    ("mov rdi, qword ptr [rdi]", b"\x48\x8b\x3f", 0x2000, 8, Hit(Read, None, Some(0x2000), false)),
    ("mov rdi, qword ptr [rdi]", b"\x48\x8b\x3f", 0x2000, 4, Hit(Read, None, None, false)),
    ("mov rax, qword ptr [rdi+rax*8]", b"\x48\x8b\x04\xc7", 0x2000, 8, Hit(Read, None, Some(0xa0a1a2a3a4a5a6a7), false)),
    ("add rax, qword ptr [rdi]", b"\x48\x03\x07", 0x2000, 8, Hit(Read, None, None, false)),
    ("cmp byte ptr [rdi], 3", b"\x80\x3f\x03", 0x2000, 1, Hit(Read, None, None, false)),
    ("test byte ptr [rdi], 3", b"\xf6\x07\x03", 0x2000, 1, Hit(Read, None, None, false)),
    ("bt dword ptr [rdi], 3", b"\x0f\xba\x27\x03", 0x2000, 4, Hit(Read, None, None, false)),
    ("movbe eax, dword ptr [rdi]", b"\x0f\x38\xf0\x07", 0x2000, 4, Hit(Read, Some(0xa7a6a5a4), Some(0xa7a6a5a4), true)),
    ("movbe word ptr [rdi], cx", b"\x66\x0f\x38\xf1\x0f", 0x2000, 2, Hit(Write, None, Some(0xc7c6), true)),
    ("cmove eax, dword ptr [rdi]", b"\x0f\x44\x07", 0x2000, 4, Hit(Read, Some(0xa4a5a6a7), Some(0xa4a5a6a7), true)),
    ("cmovne eax, dword ptr [rdi]", b"\x0f\x45\x07", 0x2000, 4, Hit(Read, None, None, false)),
    ("cvtsi2sd xmm0, dword ptr [rdi]", b"\xf2\x0f\x2a\x07", 0x2000, 4, Hit(Read, None, None, false)),
    // the stack.
    ("push rax", b"\x50", 0x7000, 8, Hit(Write, None, Some(0xa0a1a2a3a4a5a6a7), true)),
    ("push r13", b"\x41\x55", 0x7000, 8, Hit(Write, None, Some(0x6061626364656667), true)),
    ("push rsp", b"\x54", 0x7000, 8, Hit(Write, None, Some(0x7008), true)),
    ("push -3", b"\x6a\xfd", 0x7000, 8, Hit(Write, None, Some(0xfffffffffffffffd), true)),
    ("push 0x12345678", b"\x68\x78\x56\x34\x12", 0x7000, 8, Hit(Write, None, Some(0x12345678), true)),
    ("push ax", b"\x66\x50", 0x7000, 2, Hit(Write, None, Some(0xa6a7), true)),
    ("push qword ptr [rdi]", b"\xff\x37", 0x7000, 8, Hit(Write, None, None, false)),
    ("push qword ptr [rdi]", b"\xff\x37", 0x2000, 8, Hit(Read, None, None, false)),
    ("push qword ptr [rsp+8]", b"\xff\x74\x24\x08", 0x7010, 8, Hit(Read, None, None, false)),
    ("push fs", b"\x0f\xa0", 0x7000, 8, Hit(Write, None, None, false)),
    ("pushfq", b"\x9c", 0x7000, 8, Hit(Write, None, None, false)),
    ("pop rax", b"\x58", 0x6ff8, 8, Hit(Read, Some(0xa0a1a2a3a4a5a6a7), Some(0xa0a1a2a3a4a5a6a7), true)),
    ("pop rsp", b"\x5c", 0x2000, 8, Hit(Read, None, Some(0x7000), false)),
    ("pop qword ptr [rdi]", b"\x8f\x07", 0x2000, 8, Hit(Write, None, None, false)),
    ("pop qword ptr [rdi]", b"\x8f\x07", 0x6ff8, 8, Hit(Read, None, None, false)),
    ("pop qword ptr [rsp+8]", b"\x8f\x44\x24\x08", 0x7008, 8, Hit(Write, None, None, false)),
    ("leave", b"\xc9", 0x6ff8, 8, Hit(Read, Some(0x1800), Some(0x1800), true)),
    ("enter 16, 0", b"\xc8\x10\x00\x00", 0x7010, 8, Hit(Write, None, None, false)),
    ("enter 16, 3", b"\xc8\x10\x00\x03", 0x7010, 8, Hit(Unknown, None, None, false)),
    // read, modify, write.
    ("inc dword ptr [rdi]", b"\xff\x07", 0x2000, 4, Hit(Update, None, Some(0x55667789), false)),
    ("lock inc qword ptr [rdi]", b"\xf0\x48\xff\x07", 0x2000, 8, Hit(Update, None, Some(0x1122334455667789), false)),
    ("dec byte ptr [rdi]", b"\xfe\x0f", 0x2000, 1, Hit(Update, None, Some(0x87), false)),
    ("lock add dword ptr [rdi], eax", b"\xf0\x01\x07", 0x2000, 4, Hit(Update, None, Some(0xfa0c1e2f), false)),
    ("add byte ptr [rdi+1], 0xff", b"\x80\x47\x01\xff", 0x2000, 8, Hit(Update, None, Some(0x1122334455667688), false)),
    ("add qword ptr [rdi], -1", b"\x48\x83\x07\xff", 0x2000, 8, Hit(Update, None, Some(0x1122334455667787), false)),
    ("add qword ptr [rdi], -1", b"\x48\x83\x07\xff", 0x2000, 4, Hit(Update, None, None, false)),
    ("sub word ptr [rdi], 0x100", b"\x66\x81\x2f\x00\x01", 0x2000, 2, Hit(Update, None, Some(0x7688), false)),
    ("lock and dword ptr [rdi], 0xf0", b"\xf0\x81\x27\xf0\x00\x00\x00", 0x2000, 4, Hit(Update, None, Some(0x80), false)),
    ("or dword ptr [rdi], r8d", b"\x44\x09\x07", 0x2000, 4, Hit(Update, None, Some(0xd5e7f78f), false)),
    ("lock xor byte ptr [rdi], ah", b"\xf0\x30\x27", 0x2000, 1, Hit(Update, None, Some(0x2e), false)),
    ("not word ptr [rdi]", b"\x66\xf7\x17", 0x2000, 2, Hit(Update, None, Some(0x8877), false)),
    ("neg dword ptr [rdi]", b"\xf7\x1f", 0x2000, 4, Hit(Update, None, Some(0xaa998878), false)),
    ("shl dword ptr [rdi], 4", b"\xc1\x27\x04", 0x2000, 4, Hit(Update, None, Some(0x56677880), false)),
    ("shl dword ptr [rdi], 1", b"\xd1\x27", 0x2000, 4, Hit(Update, None, Some(0xaaccef10), false)),
    ("shl dword ptr [rdi], cl", b"\xd3\x27", 0x2000, 4, Hit(Update, None, Some(0xb33bc400), false)),
    ("shr qword ptr [rdi], 8", b"\x48\xc1\x2f\x08", 0x2000, 8, Hit(Update, None, Some(0x11223344556677), false)),
    ("sar byte ptr [rdi], 1", b"\xd0\x3f", 0x2000, 1, Hit(Update, None, Some(0xc4), false)),
    ("rol word ptr [rdi], 4", b"\x66\xc1\x07\x04", 0x2000, 2, Hit(Update, None, Some(0x7887), false)),
    ("ror dword ptr [rdi], 8", b"\xc1\x0f\x08", 0x2000, 4, Hit(Update, None, Some(0x88556677), false)),
    ("rcl dword ptr [rdi], 1", b"\xd1\x17", 0x2000, 4, Hit(Update, None, None, false)),
    ("adc dword ptr [rdi], eax", b"\x11\x07", 0x2000, 4, Hit(Update, None, None, false)),
    ("sbb dword ptr [rdi], 1", b"\x83\x1f\x01", 0x2000, 4, Hit(Update, None, None, false)),
    ("lock bts dword ptr [rdi], 1", b"\xf0\x0f\xba\x2f\x01", 0x2000, 4, Hit(Update, None, Some(0x5566778a), false)),
    ("btr dword ptr [rdi], 3", b"\x0f\xba\x37\x03", 0x2000, 4, Hit(Update, None, Some(0x55667780), false)),
    ("btc dword ptr [rdi], 33", b"\x0f\xba\x3f\x21", 0x2000, 4, Hit(Update, None, Some(0x5566778a), false)),
    ("bts dword ptr [rdi], r9d", b"\x44\x0f\xab\x0f", 0x2000, 4, Hit(Update, None, Some(0x55e67788), false)),
    ("xchg dword ptr [rdi], eax", b"\x87\x07", 0x2000, 4, Hit(Update, Some(0xa4a5a6a7), None, false)),
    ("xchg byte ptr [rdi], bh", b"\x86\x3f", 0x2000, 1, Hit(Update, Some(0xb6), None, false)),
    ("lock xadd qword ptr [rdi], rcx", b"\xf0\x48\x0f\xc1\x0f", 0x2000, 8, Hit(Update, Some(0xc0c1c2c3c4c5c6c7), None, false)),
    ("xadd qword ptr [rdi], rdi", b"\x48\x0f\xc1\x3f", 0x2000, 8, Hit(Update, None, None, false)),
    ("lock cmpxchg dword ptr [rdi], ebx", b"\xf0\x0f\xb1\x1f", 0x2000, 4, Hit(Update, Some(0xa4a5a6a7), Some(0xb4b5b6b7), true)),
    ("lock cmpxchg16b xmmword ptr [rdi]", b"\xf0\x48\x0f\xc7\x0f", 0x2000, 8, Hit(Update, Some(0xa0a1a2a3a4a5a6a7), Some(0xb0b1b2b3b4b5b6b7), true)),
    ("lock cmpxchg16b xmmword ptr [rdi]", b"\xf0\x48\x0f\xc7\x0f", 0x2008, 8, Hit(Update, Some(0xd0d1d2d3d4d5d6d7), Some(0xc0c1c2c3c4c5c6c7), true)),
    ("lock cmpxchg8b qword ptr [rdi]", b"\xf0\x0f\xc7\x0f", 0x2000, 8, Hit(Update, Some(0xd4d5d6d7a4a5a6a7), Some(0xc4c5c6c7b4b5b6b7), true)),
    ("sete byte ptr [rdi]", b"\x0f\x94\x07", 0x2000, 1, Hit(Write, None, Some(0x1), true)),
    ("setg byte ptr [rdi]", b"\x0f\x9f\x07", 0x2000, 1, Hit(Write, None, Some(0x0), true)),
    ("setbe byte ptr [rdi+1]", b"\x0f\x96\x47\x01", 0x2000, 2, Hit(Write, None, Some(0x188), false)),
    // SIMD, x87 and state.
    ("movups xmmword ptr [rdi], xmm0", b"\x0f\x11\x07", 0x2000, 8, Hit(Write, None, None, false)),
    ("movdqu xmm0, xmmword ptr [rdi-8]", b"\xf3\x0f\x6f\x47\xf8", 0x2000, 8, Hit(Read, None, None, false)),
    ("movaps xmmword ptr [rdi-16], xmm0", b"\x0f\x29\x47\xf0", 0x2000, 8, Missed),
    ("movq qword ptr [rdi], xmm0", b"\x66\x0f\xd6\x07", 0x2000, 8, Hit(Write, None, None, false)),
    ("movss dword ptr [rdi], xmm0", b"\xf3\x0f\x11\x07", 0x2000, 4, Hit(Write, None, None, false)),
    ("vmovdqu ymmword ptr [rdi-0x18], ymm1", b"\xc5\xfe\x7f\x4f\xe8", 0x2000, 8, Hit(Write, None, None, false)),
    ("vmaskmovps ymmword ptr [rdi], ymm0, ymm1", b"\xc4\xe2\x7d\x2e\x0f", 0x2000, 8, Hit(Write, None, None, false)),
    ("vpgatherdd ymm0, dword ptr [rdi+ymm1*4], ymm2", b"\xc4\xe2\x6d\x90\x04\x8f", 0x2000, 4, Hit(Read, None, None, false)),
    ("vmovups zmmword ptr [rdi-0x30]{k1}, zmm0", b"\x62\xf1\x7c\x49\x11\x87\xd0\xff\xff\xff", 0x2000, 8, Hit(Write, None, None, false)),
    ("fstp qword ptr [rdi]", b"\xdd\x1f", 0x2000, 8, Hit(Write, None, None, false)),
    ("fxsave [rdi-0x100]", b"\x0f\xae\x87\x00\xff\xff\xff", 0x2000, 8, Hit(Write, None, None, false)),
    ("fxsave [rdi+8]", b"\x0f\xae\x47\x08", 0x2000, 8, Missed),
    ("xsave [rdi-0x100]", b"\x0f\xae\xa7\x00\xff\xff\xff", 0x2000, 8, Hit(Write, None, None, false)),
    ("xsave [rdi-0x200]", b"\x0f\xae\xa7\x00\xfe\xff\xff", 0x2000, 8, Hit(Update, None, None, false)),
    ("xsavec [rdi-0x300]", b"\x0f\xc7\xa7\x00\xfd\xff\xff", 0x2000, 8, Hit(Write, None, None, false)),
    // strings.
    ("stosb", b"\xaa", 0x1fff, 1, Hit(Write, None, Some(0xa7), true)),
    ("stosq", b"\x48\xab", 0x1ff8, 8, Hit(Write, None, Some(0xa0a1a2a3a4a5a6a7), true)),
    ("stosd", b"\xab", 0x1ff8, 8, Hit(Write, None, Some(0xa4a5a6a755667788), false)),
    ("stosq", b"\x48\xab", 0x2000, 8, Missed),
    ("lodsw", b"\x66\xad", 0x2ffe, 2, Hit(Read, Some(0xa6a7), Some(0xa6a7), true)),
    ("movsd", b"\xa5", 0x1ffc, 4, Hit(Write, None, None, false)),
    ("movsd", b"\xa5", 0x2ffc, 4, Hit(Read, None, None, false)),
    ("movsd", b"\xa5", 0x2000, 4, Missed),
    ("cmpsb", b"\xa6", 0x1fff, 1, Hit(Read, None, None, false)),
    ("scasq", b"\x48\xaf", 0x1ff8, 8, Hit(Read, None, None, false)),
    ("rep stosq", b"\xf3\x48\xab", 0x1ff8, 8, Hit(Write, None, None, false)),
    ("rep stosb", b"\xf3\xaa", 0x1fc0, 8, Hit(Write, None, None, false)),
    ("rep stosb", b"\xf3\xaa", 0x1fb8, 8, Missed),
    ("rep movsb", b"\xf3\xa4", 0x1ff8, 8, Hit(Write, None, None, false)),
    ("rep movsb", b"\xf3\xa4", 0x2ff8, 8, Hit(Read, None, None, false)),
    ("repne scasb", b"\xf2\xae", 0x1ff8, 8, Hit(Read, None, None, false)),
    // no access, or not this one.
    ("nop", b"\x90", 0x2000, 8, Missed),
    ("lea rax, [rdi]", b"\x48\x8d\x07", 0x2000, 8, Missed),
    ("prefetcht0 byte ptr [rdi]", b"\x0f\x18\x0f", 0x2000, 8, Missed),
    ("nop dword ptr [rdi]", b"\x0f\x1f\x07", 0x2000, 8, Missed),
    ("mov rax, rbx", b"\x48\x89\xd8", 0x2000, 8, Missed),
    ("call qword ptr [rdi]", b"\xff\x17", 0x2000, 8, Missed),
    ("call .+5", b"\xe8\x00\x00\x00\x00", 0x7000, 8, Missed),
    ("jmp qword ptr [rdi]", b"\xff\x27", 0x2000, 8, Missed),
    ("ret", b"\xc3", 0x6ff8, 8, Missed),
    ("syscall", b"\x0f\x05", 0x2000, 8, Missed),
];

fn recover(bytes: &[u8], at: usize, flags: u64, watch: (u64, u32)) -> Option<Recovered> {
    let mut values = REGISTERS;
    values[9] = flags;
    let registers = Registers { mask: MASK, values: &values };
    let mut code = Code::new(&[LEAD, bytes, b"\x90"]);
    let ip = CODE + (LEAD.len() + at) as u64;
    let mut decoder = Decoder::new();
    let access = decoder.decode(1, ip, &mut code)?;
    Some(access.recover(&registers, watch.0, watch.1, OLD))
}

/// What is exact is told of all bytes, and what is told was touched.
fn check_bytes(exact: bool, length: u32, touched: ByteRange, told: ByteRange) {
    assert_eq!(exact, u32::from(told.length()) == length, "{told:?}");
    assert!(told.is_empty() || told == touched, "{told:?} of {touched:?}");
    assert!(u32::from(touched.end) <= length);
}

/// Which of the watched bytes an operand covers.
#[test]
fn the_bytes_that_are_touched() {
    // mov byte ptr [rdi], bl
    let range = |start, end| ByteRange { start, end };
    for (watch, touched) in [
        ((0x2000, 1), range(0, 1)),
        ((0x2000, 8), range(0, 1)),
        ((0x1ff8, 8), range(0, 0)),
        ((0x1ffe, 2), range(0, 0)),
    ] {
        let got = recover(b"\x88\x1f", 2, 0x246, watch).expect("a plan");
        assert_eq!((got.touched, got.told), (touched, touched), "{watch:?}");
    }
    // mov dword ptr [rdi + 2], ebx
    let got = recover(b"\x89\x5f\x02", 3, 0x246, (0x2004, 4)).expect("a plan");
    assert_eq!((got.touched, got.told, got.exact), (range(0, 2), range(0, 2), false));
    // add dword ptr [rdi], ebx: leans on what was there
    let got = recover(b"\x01\x1f", 2, 0x246, (0x2000, 8)).expect("a plan");
    assert_eq!((got.touched, got.told), (range(0, 4), range(0, 0)));
    // rep stosb: somewhere before the pointer
    let got = recover(b"\xf3\xaa", 2, 0x246, (0x1fc0, 8)).expect("a plan");
    assert_eq!(got.touched, range(0, 0));
}

#[test]
fn every_form_of_the_table() {
    let mut wrong = Vec::new();
    for &(name, bytes, address, length, expected) in ROWS {
        let got = recover(bytes, bytes.len(), 0x246, (address, length));
        let want = match expected {
            Hit(kind, old, new, exact) => {
                let address = Some(CODE + LEAD.len() as u64);
                let (touched, told) =
                    got.map_or_else(Default::default, |got| (got.touched, got.told));
                check_bytes(exact, length, touched, told);
                // A load leaves there what was there.
                let shadow =
                    (kind == Read).then_some(OLD & (u64::MAX >> (64 - 8 * length)));
                let new = new.or(shadow);
                Some(Recovered {
                    address,
                    kind,
                    old,
                    new,
                    exact,
                    touched,
                    told,
                    leans: got.is_some_and(|got| got.leans),
                    goes_on: false,
                    beyond: got.map_or_else(Default::default, |got| got.beyond),
                })
            }
            Missed => Some(Recovered::default()),
        };
        if got != want {
            wrong.push(format!("{name}: {got:x?}\n    expected {want:x?}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(ROWS.len() >= 60);
}

#[test]
fn compare_exchange_that_fails_stores_what_was_there() {
    // lock cmpxchg dword ptr [rdi], ebx; ZF clear
    let got = recover(b"\xf0\x0f\xb1\x1f", 4, 0x206, (0x2000, 4)).expect("a plan");
    assert_eq!(got.kind, Update);
    assert_eq!((got.old, got.new), (Some(0xa4a5_a6a7), Some(0xa4a5_a6a7)));
    assert!(got.exact);
}

#[test]
fn strings_step_down_with_the_direction_flag() {
    // stosd; DF set: RDI was 4 more
    let got = recover(b"\xab", 1, 0x646, (0x2004, 4)).expect("a plan");
    assert_eq!((got.kind, got.new, got.exact), (Write, Some(0xa4a5_a6a7), true));
    let got = recover(b"\xab", 1, 0x646, (0x1ffc, 4)).expect("a plan");
    assert_eq!(got, Recovered::default());
}

#[test]
fn all_conditions() {
    // setcc byte ptr [rdi], at each flag alone and none: CF PF ZF SF OF
    let flags = [0, 1, 1 << 2, 1 << 6, 1 << 7, 1 << 11];
    let truth: [&[u64]; 8] = [
        &[1 << 11],
        &[1],
        &[1 << 6],
        &[1, 1 << 6],
        &[1 << 7],
        &[1 << 2],
        &[1 << 7, 1 << 11],
        &[1 << 6, 1 << 7, 1 << 11],
    ];
    for code in 0..16u8 {
        for flag in flags {
            let got = recover(&[0x0f, 0x90 + code, 0x07], 3, flag, (0x2000, 1));
            let holds = truth[usize::from(code / 2)].contains(&flag) != (code % 2 == 1);
            assert_eq!(
                got.and_then(|got| got.new),
                Some(holds.into()),
                "{code:x} with {flag:x}"
            );
        }
    }
}

#[test]
fn a_repeated_string_instruction_traps_at_itself() {
    // mov dword ptr [rdx], eax; rep stosb
    let bytes = b"\x89\x02\xf3\xaa";
    let start = CODE + LEAD.len() as u64;
    let of_rep = recover(bytes, 2, 0x246, (0x1ff8, 8)).expect("a plan");
    assert_eq!((of_rep.address, of_rep.kind), (Some(start + 2), Write));
    assert_eq!((of_rep.new, of_rep.exact), (None, false));
    let of_mov = recover(bytes, 2, 0x246, (REGISTERS[3], 4)).expect("a plan");
    // EAX may have been overwritten, were it `rep lods`: not exact, no value.
    assert_eq!((of_mov.address, of_mov.kind), (Some(start), Write));
    assert!(!of_mov.exact);
    // mov dword ptr [rdi], 5; rep stosb: RDI no longer tells where the first
    // one stored, and it may be either.
    let bytes = b"\xc7\x07\x05\x00\x00\x00\xf3\xaa";
    let first = recover(bytes, 6, 0x246, (0x2000, 4)).expect("a plan");
    assert_eq!((first.address, first.kind), (Some(start), Write));
    assert_eq!((first.new, first.exact), (Some(5), false));
    let either = recover(bytes, 6, 0x246, (0x1fc8, 8)).expect("a plan");
    assert_eq!((either.address, either.kind), (None, Write));
    // movs: the source is read, the destination written
    let copy = recover(b"\xf3\xa4", 0, 0x246, (0x2ff8, 8)).expect("a plan");
    assert_eq!(copy.kind, Read);
}

#[test]
fn boundaries_that_do_not_meet_are_no_answer() {
    // mov dword ptr [rdi], 5
    let bytes = b"\xc7\x07\x05\x00\x00\x00";
    for inside in 1..bytes.len() {
        assert_eq!(recover(bytes, inside, 0x246, (0x2000, 4)), None, "{inside}");
    }
    // (bad) mov [rdi], eax
    assert_eq!(recover(b"\x06\x89\x07", 3, 0x246, (0x2000, 4)), None);
}

#[test]
fn the_start_of_a_function_and_beyond_its_end_are_no_answer() {
    let mut code = Code::new(&[LEAD, b"\x89\x07"]);
    let mut decoder = Decoder::new();
    let end = CODE + code.bytes.len() as u64;
    assert!(decoder.decode(1, CODE, &mut code).is_none());
    assert!(decoder.decode(1, CODE - 1, &mut code).is_none());
    assert!(decoder.decode(1, end, &mut code).is_some());
    assert!(decoder.decode(1, end + 1, &mut code).is_none());
    assert!(decoder.decode(1, u64::MAX, &mut code).is_none());
    assert!(decoder.decode(0, end, &mut code).is_none());
}

#[test]
fn answers_are_cached_none_too_until_forgotten() {
    let mut code = Code::new(&[LEAD, b"\x89\x07\x90"]);
    let ip = CODE + LEAD.len() as u64 + 2;
    let mut decoder = Decoder::new();
    for _ in 0..3 {
        assert!(decoder.decode(1, ip, &mut code).is_some());
        assert!(decoder.decode(2, ip, &mut code).is_some());
        assert!(decoder.decode(1, ip - 1, &mut code).is_none());
        assert!(decoder.decode(0, ip, &mut code).is_none());
    }
    assert_eq!((code.asked, decoder.cached()), (4, 4));
    decoder.forget(1);
    assert_eq!(decoder.cached(), 2);
    assert!(decoder.decode(2, ip, &mut code).is_some());
    assert_eq!(code.asked, 4);
    assert!(decoder.decode(1, ip, &mut code).is_some());
    assert_eq!(code.asked, 5);
}

#[test]
fn the_cache_stays_bounded() {
    let mut code = Code::new(&[b"\x90"]);
    let mut decoder = Decoder::new();
    for ip in 0..100_000 {
        decoder.decode(1, ip, &mut code);
        assert!(decoder.cached() <= hwtrace_runtime::access::MAX_CACHED);
    }
}

#[test]
fn walks_into_huge_functions_are_bounded() {
    let limit = hwtrace_runtime::access::MAX_WALK as usize;
    let mut code = Code::new(&[&vec![0x90; limit - 2], b"\x89\x07\x89\x07"]);
    let mut decoder = Decoder::new();
    assert!(decoder.decode(1, CODE + limit as u64, &mut code).is_some());
    assert!(decoder.decode(1, CODE + limit as u64 + 2, &mut code).is_none());
}

#[test]
fn without_registers_the_kind_is_left() {
    let mut code = Code::new(&[LEAD, b"\x89\x07"]);
    let mut decoder = Decoder::new();
    let access =
        decoder.decode(1, CODE + LEAD.len() as u64 + 2, &mut code).expect("a plan");
    let got = access.recover(&Registers::default(), 0x2000, 4, 1);
    assert_eq!((got.kind, got.old, got.new, got.exact), (Write, None, None, false));
    for length in [0, 9, u32::MAX] {
        let got = access.recover(&Registers::default(), 0x2000, length, 1);
        assert_eq!(got, Recovered::default());
    }
}
