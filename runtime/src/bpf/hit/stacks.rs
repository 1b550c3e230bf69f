//! Stacks in records.
//!
//! How long they are nobody knows before. So a record that has them is put together in
//! a draft on the board, and copied into the ring when it is whole: it takes no more room
//! there than it has bytes.
//!
//! The stack's memory is read page by page, from the stack pointer upwards, until as much
//! is there as was asked for, or a page is not: a function of the kernel that reads over
//! the stack's end reads nothing. A page of a frame that nobody has touched yet, as of a
//! buffer that is filled later, is not there either, while those of the callers above are:
//! it is taken as the zeros that it would be. No more is read than the stack has, where that is known:
//! the first thread's begins where the kernel put the arguments, that of others below what
//! the C library keeps of them, to which their FS segment begins.
//!
//! While debug registers are on, processors copy strings byte by byte, half a microsecond
//! a KiB, and a read of a user's memory by its own address takes 170 ns besides. So it is
//! read by way of the direct mapping where that is known ([`Walk`]), which the kernel does
//! word by word; and the draft is read into the ring likewise, into room of a few sizes,
//! as room for a record can only be taken by a size that the verifier knows.
//!
//! Without a walk, what reports loads would report ours: where the watch itself does,
//! memory is read up to the watched bytes, and callers are not looked for where the frame
//! is at them; where that of another register does, the stack's memory is left alone.

use super::Hit;
use crate::attr::CALLS_MAX;
use crate::bpf::assembler::Label;
use crate::bpf::board::{self, READ_AT_ONCE, frame};
use crate::bpf::insn::{
    Alu, FRAME, Helper, R0, R1, R2, R3, R4, R6, R7, R8, R9, Register, Test, Width, add,
    alu, alu_constant, call, copy, load, set, set_address, store, store_constant,
};
use crate::bpf::steps::at;
use crate::bpf::walk::{self, Missing, Walk};
use crate::plan::{Plan, StackCapture};

/// What of the stacks records have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stacks {
    user: StackCapture,
    /// Of hits in the kernel, the calls there.
    kernel: bool,
}

/// Bytes of a chain of calls at most.
const CALLS_BYTES: usize = CALLS_MAX * 8;
/// No frame of a function has more bytes: what is further above is no frame.
const FRAME_BYTES_MAX: i32 = 16 << 20;
/// By index in a frame.
const FRAME_POINTER: usize = 6;
const STACK_POINTER: usize = 7;
const INSTRUCTION_POINTER: usize = frame::REGISTER_COUNT - 1;

/// Within the word that says how long they are: where the length of each is, in bytes:
const CALLERS: i16 = 0;
const KERNEL: i16 = 2;
/// In words: those of the stack's memory, and of the whole record, if that is known.
const WORDS: i16 = 4;
const WHOLE: i16 = 6;

/// On BPF's stack, below what a walk uses: the frame pointer, and then what is read there,
/// two words,
const LINK: i16 = -32;
/// where the next can be at the lowest,
const LOWEST: i16 = -40;
/// which caller it is that is looked for,
const NUMBER: i16 = -48;
/// the number of the page that was found last,
const PAGE: i16 = -56;
/// and how far its bytes are from where the direct mapping has them.
const FAR: i16 = -64;
/// Later: what is left to be read,
const LEFT: i16 = -24;
/// from where,
const FROM: i16 = -32;
/// how much of it is read now,
const NOW: i16 = -40;
/// and how long the record was before.
const BEFORE: i16 = -48;
/// Later, when nothing is left to be read: how long the record is.
const LENGTH: i16 = FROM;

/// A page's bits of an address.
const PAGE_SHIFT: i32 = 12;
const PAGE_MASK: i32 = (1 << PAGE_SHIFT) - 1;
/// Room for records that are not of whole pages is taken by these sizes, bytes.
const ROOMS: [u32; 8] = [256, 384, 512, 768, 1024, 1536, 2048, 3072];

impl Stacks {
    /// What a plan asks for; none where it does not.
    pub(super) fn of(plan: &Plan) -> Option<Self> {
        let StackCapture { callers, bytes } = plan.stack;
        let bytes = bytes.min(StackCapture::BYTES_MAX) & !7;
        let user = match plan.needs.user_stack {
            true => StackCapture { callers, bytes },
            false => StackCapture::default(),
        };
        let kernel = plan.needs.kernel_stack;
        (plan.needs.user_stack || kernel).then_some(Self { user, kernel })
    }
}

/// What has to be known of this kernel, from its BTF, to find where the stack of the
/// thread that runs ends. Members are told by where they are, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackEnds {
    /// `thread.fsbase` in `struct task_struct`.
    pub segment: u16,
    /// `mm` there.
    pub mm: u16,
    /// `start_stack` in `struct mm_struct`.
    pub arguments: u16,
}

/// Bytes of a draft in which what the plan asks for has room; 0 where it takes none.
pub fn draft_bytes(plan: &Plan) -> u32 {
    let Some(stacks) = Stacks::of(plan) else { return 0 };
    let words = super::BODY + 2 + plan.reads.words() + 2 * frame::REGISTER_COUNT;
    (words * 8 + stacks.longest()) as u32
}

impl Stacks {
    /// How many bytes they have at most.
    fn longest(self) -> usize {
        2 * CALLS_BYTES + self.user.bytes as usize
    }
}

impl Hit<'_> {
    /// [`R9`] = the draft of this CPU.
    pub(super) fn draft(&mut self, lost: Label) {
        let cpus = self.maps.cpus;
        let drafts = board::drafts(cpus as usize);
        self.asm.put([load(Width::Double, R1, R7, at(frame::CPU))]);
        self.asm.jump_if(Test::Above, R1, cpus.saturating_sub(1) as i32, lost);
        self.asm.put([alu_constant(Alu::Multiply, R1, self.maps.draft_bytes as i32)]);
        self.asm.put(set_address(R9, self.maps.board, drafts));
        self.asm.put([
            alu(Alu::Add, R9, R1),
            store_constant(Width::Double, R9, at(super::BODY), 0),
        ]);
    }

    /// Appends the stacks to a draft of which [`R8`] bytes are written, and puts it into
    /// the ring.
    pub(super) fn put(&mut self, stacks: Stacks) {
        let user = self.asm.label();
        if stacks.user.callers {
            self.callers();
        }
        if stacks.kernel {
            self.asm.put([load(Width::Double, R1, R7, at(frame::USER_MODE))]);
            self.asm.jump_if(Test::NotEqual, R1, 0, user);
            self.kernel_calls();
        }
        self.asm.place(user);
        if stacks.user.bytes > 0 && self.reads_stack() {
            self.bytes(stacks.user.bytes);
        }
        self.asm.put([store(Width::Double, FRAME, LENGTH, R8)]);
        match self.maps.insight.walk {
            Some(_) => self.read_into_ring(),
            None => self.copy_into_ring(),
        }
    }

    /// Has the kernel copy the draft into the ring.
    fn copy_into_ring(&mut self) {
        let lost = self.labels.lost;
        self.asm.put([copy(R1, R8)]);
        self.filled();
        self.ring(lost);
        self.wakes(self.maps.draft_bytes as usize + super::HEAD_BYTES);
        self.asm.put([copy(R4, R2), load(Width::Double, R3, FRAME, LENGTH)]);
        self.asm.jump_if(Test::Above, R3, self.maps.draft_bytes as i32, lost);
        self.asm.put([copy(R1, R8), copy(R2, R9), call(Helper::RecordPut)]);
        self.asm.jump_if(Test::NotEqual, R0, 0, lost);
        self.asm.jump(self.labels.end);
    }

    /// Reads the draft into room in the ring in which it fits, and says there how much
    /// of that it takes.
    fn read_into_ring(&mut self) {
        let lost = self.labels.lost;
        let [taken, wasted] = [(); 2].map(|()| self.asm.label());
        self.asm.put([
            alu_constant(Alu::ShiftRight, R8, 3),
            store(Width::Half, R9, at(super::BODY) + WHOLE, R8),
        ]);
        self.ring(lost);
        let longest = self.maps.draft_bytes;
        let pages = (4096..longest).step_by(READ_AT_ONCE);
        let rooms = ROOMS.into_iter().chain(pages).filter(|it| *it < longest);
        for room in rooms.chain([longest]) {
            self.room(room, taken, wasted);
        }
        self.asm.jump(lost);
        self.asm.place(wasted);
        self.asm.put([copy(R1, R9), set(R2, 0), call(Helper::RecordDiscard)]);
        self.asm.jump(lost);
        self.asm.place(taken);
        self.filled();
        self.wakes(longest as usize + super::HEAD_BYTES);
        self.asm.put([copy(R1, R9), call(Helper::RecordSubmit)]);
        self.asm.jump(self.labels.end);
    }

    /// Where the draft fits into so many bytes: takes room for them in the ring, reads it
    /// into them and goes on at `taken`, with the room in [`R9`] and its bytes in R1.
    fn room(&mut self, bytes: u32, taken: Label, wasted: Label) {
        let longer = self.asm.label();
        self.asm.put([load(Width::Double, R2, FRAME, LENGTH)]);
        self.asm.jump_if(Test::Above, R2, bytes as i32, longer);
        self.asm.put([
            copy(R1, R8),
            set(R2, bytes as i32),
            set(R3, 0),
            call(Helper::RecordReserve),
        ]);
        self.asm.jump_if(Test::Equal, R0, 0, self.labels.lost);
        self.asm.put([
            copy(R3, R9),
            copy(R9, R0),
            copy(R1, R0),
            load(Width::Double, R2, FRAME, LENGTH),
            alu_constant(Alu::And, R2, 0xffff),
        ]);
        self.asm.jump_if(Test::Above, R2, bytes as i32, wasted);
        self.asm.put([call(Helper::ProbeReadKernel)]);
        self.asm.jump_if(Test::NotEqual, R0, 0, wasted);
        self.asm.put([set(R1, bytes as i32)]);
        self.asm.jump(taken);
        self.asm.place(longer);
    }

    /// Appends the user's callers: where it is, and what is above each frame pointer. The
    /// kernel can do that too (`bpf_get_stack`), but goes on until it faults, which takes
    /// longer than all else.
    fn callers(&mut self) {
        let done = self.asm.label();
        self.asm.put([load(
            Width::Double,
            R1,
            R7,
            at(frame::USER + INSTRUCTION_POINTER),
        )]);
        self.append(R1);
        self.asm.put([
            load(Width::Double, R1, R7, at(frame::USER + STACK_POINTER)),
            store(Width::Double, FRAME, LOWEST, R1),
            load(Width::Double, R1, R7, at(frame::USER + FRAME_POINTER)),
            store(Width::Double, FRAME, LINK, R1),
            set(R1, 8),
            store(Width::Half, R9, at(super::BODY) + CALLERS, R1),
        ]);
        if self.reads_stack() {
            self.more_callers(done);
        }
        self.asm.place(done);
        self.as_written();
    }

    /// [`R8`] = what has been written, however much that is: the verifier goes on once,
    /// and not for each number.
    fn as_written(&mut self) {
        let lost = self.labels.lost;
        self.asm.put([load(Width::Double, R8, R7, at(frame::WRITTEN))]);
        self.asm.jump_if(Test::Above, R8, self.maps.draft_bytes as i32, lost);
    }

    /// Appends those that frames tell of.
    fn more_callers(&mut self, done: Label) {
        let next = self.asm.label();
        self.asm.put([
            store_constant(Width::Double, FRAME, NUMBER, 1),
            store_constant(Width::Double, FRAME, PAGE, -1),
            store_constant(Width::Double, FRAME, FAR, 0),
        ]);
        self.asm.place(next);
        self.link(done);
        self.asm.put([load(Width::Double, R1, FRAME, LINK + 8)]);
        self.asm.jump_if(Test::Equal, R1, 0, done);
        self.append(R1);
        self.asm.put([
            load(Width::Double, R1, FRAME, NUMBER),
            add(R1, 1),
            store(Width::Double, FRAME, NUMBER, R1),
            copy(R2, R1),
            alu_constant(Alu::ShiftLeft, R2, 3),
            store(Width::Half, R9, at(super::BODY) + CALLERS, R2),
        ]);
        self.asm.jump_if(Test::Below, R1, CALLS_MAX as i32, next);
    }

    /// Reads the frame that the link leads to: the next link, and the caller. Frames are
    /// above each other, not far.
    fn link(&mut self, done: Label) {
        let [own, read] = [(); 2].map(|()| self.asm.label());
        self.asm.put([
            load(Width::Double, R3, FRAME, LINK),
            load(Width::Double, R1, FRAME, LOWEST),
            copy(R2, R3),
            alu(Alu::Subtract, R2, R1),
        ]);
        self.asm.jump_if(Test::Above, R2, FRAME_BYTES_MAX, done);
        self.asm.jump_if(Test::AnyBit, R3, 7, done);
        self.asm.put([
            copy(R1, R3),
            add(R1, 16),
            store(Width::Double, FRAME, LOWEST, R1),
        ]);
        if let Some(walk) = self.maps.insight.walk {
            // What goes on on another page is rare.
            self.asm.put([copy(R1, R3), alu_constant(Alu::And, R1, PAGE_MASK)]);
            self.asm.jump_if(Test::Above, R1, PAGE_MASK - 15, own);
            self.on_page(&walk, done);
            self.asm.put([copy(R1, FRAME), add(R1, LINK.into()), set(R2, 16)]);
            self.asm.put([call(Helper::ProbeReadKernel)]);
            self.asm.jump(read);
        }
        self.asm.place(own);
        if let Some(length) = self.forbidden() {
            // Link and caller are read there.
            self.asm.put([
                load(Width::Double, R2, R7, at(frame::ADDRESS)),
                copy(R1, R3),
                alu(Alu::Subtract, R1, R2),
                add(R1, 15),
            ]);
            self.asm.jump_if(Test::Below, R1, 15 + length as i32, done);
        }
        if self.blind {
            self.asm.jump(done);
        }
        self.asm.put([copy(R1, FRAME), add(R1, LINK.into()), set(R2, 16)]);
        self.asm.put([call(Helper::ProbeReadUser)]);
        self.asm.place(read);
        self.asm.jump_if(Test::NotEqual, R0, 0, done);
    }

    /// R3 = where in the direct mapping the link leads to; it is in R3 already.
    fn on_page(&mut self, walk: &Walk, done: Label) {
        let known = self.asm.label();
        self.asm.put([
            copy(R1, R3),
            alu_constant(Alu::ShiftRight, R1, PAGE_SHIFT),
            load(Width::Double, R2, FRAME, PAGE),
        ]);
        self.asm.jump_if_both(Test::Equal, R1, R2, known);
        self.asm.put([store(Width::Double, FRAME, PAGE, R1)]);
        walk::find(&mut self.asm, walk, R3, Missing { untouched: done, other: done });
        self.asm.put([
            load(Width::Double, R1, FRAME, LINK),
            alu(Alu::Subtract, R3, R1),
            store(Width::Double, FRAME, FAR, R3),
        ]);
        self.asm.place(known);
        self.asm.put([
            load(Width::Double, R3, FRAME, LINK),
            load(Width::Double, R1, FRAME, FAR),
            alu(Alu::Add, R3, R1),
        ]);
    }

    /// Whether the stack's memory is read: not where that could be a hit of another
    /// register.
    fn reads_stack(&self) -> bool {
        !self.blind || self.maps.insight.walk.is_some()
    }

    /// Appends a word.
    fn append(&mut self, word: Register) {
        self.append_to(R2);
        self.asm.put([
            store(Width::Double, R2, 0, word),
            add(R8, 8),
            store(Width::Double, R7, at(frame::WRITTEN), R8),
        ]);
    }

    /// Appends the calls in the kernel.
    fn kernel_calls(&mut self) {
        let done = self.asm.label();
        self.append_to(R2);
        self.asm.put([copy(R1, R6), set(R3, CALLS_BYTES as i32), set(R4, 0)]);
        self.asm.put([call(Helper::Stack)]);
        // None, or why there are none: a negative number.
        self.asm.jump_if(Test::LessOrEqual, R0, 0, done);
        self.asm.jump_if(Test::Above, R0, CALLS_BYTES as i32, done);
        self.asm.put([
            store(Width::Half, R9, at(super::BODY) + KERNEL, R0),
            alu(Alu::Add, R8, R0),
        ]);
        self.asm.place(done);
    }

    /// Appends so many bytes of the user's stack, as far as they are there.
    fn bytes(&mut self, bytes: u32) {
        let done = self.asm.label();
        self.asm.put([
            store(Width::Double, FRAME, BEFORE, R8),
            store(Width::Double, R7, at(frame::WRITTEN), R8),
        ]);
        if self.maps.insight.stack_ends.is_some() {
            self.asm.put([call(Helper::Task)]);
        }
        self.asm.put([
            load(Width::Double, R3, R7, at(frame::USER + STACK_POINTER)),
            store(Width::Double, FRAME, FROM, R3),
            set(R4, bytes as i32),
        ]);
        if let Some(ends) = self.maps.insight.stack_ends {
            self.up_to_its_end(ends);
        }
        if self.forbidden().is_some() && self.maps.insight.walk.is_none() {
            self.asm.put([load(Width::Double, R1, R7, at(frame::ADDRESS))]);
            self.up_to();
        }
        self.asm.put([store(Width::Double, FRAME, LEFT, R4)]);
        // The first is a part of a page, so that the last may be, too.
        for _ in 0..=bytes.div_ceil(READ_AT_ONCE as u32) {
            self.page(done);
        }
        self.asm.place(done);
        self.as_written();
        self.asm.put([
            load(Width::Double, R1, FRAME, BEFORE),
            alu(Alu::Subtract, R8, R1),
            // Only whole words.
            alu_constant(Alu::ShiftRight, R8, 3),
            store(Width::Half, R9, at(super::BODY) + WORDS, R8),
            alu_constant(Alu::ShiftLeft, R8, 3),
            alu(Alu::Add, R8, R1),
        ]);
    }

    /// R4 = at most the bytes from R3 on to the end of the stack of the thread in R0.
    fn up_to_its_end(&mut self, ends: StackEnds) {
        let none = self.asm.label();
        let StackEnds { segment, mm, arguments } = ends;
        self.asm.put([load(Width::Double, R1, R0, segment.cast_signed())]);
        self.up_to();
        self.asm.put([load(Width::Double, R1, R0, mm.cast_signed())]);
        self.asm.jump_if(Test::Equal, R1, 0, none);
        self.asm.put([load(Width::Double, R1, R1, arguments.cast_signed())]);
        self.up_to();
        self.asm.place(none);
    }

    /// R4 = at most the bytes from R3 on to R1, if that is above.
    fn up_to(&mut self) {
        let far = self.asm.label();
        self.asm.put([alu(Alu::Subtract, R1, R3)]);
        self.asm.jump_if_both(Test::AboveOrEqual, R1, R4, far);
        self.asm.put([copy(R4, R1)]);
        self.asm.place(far);
    }

    /// Appends what is left on the page.
    fn page(&mut self, done: Label) {
        let rest = self.asm.label();
        let last = READ_AT_ONCE as i32 - 1;
        self.asm.put([
            load(Width::Double, R3, FRAME, FROM),
            load(Width::Double, R4, FRAME, LEFT),
            copy(R2, R3),
            alu_constant(Alu::And, R2, last),
            alu_constant(Alu::Xor, R2, last),
            add(R2, 1),
        ]);
        self.asm.jump_if_both(Test::AboveOrEqual, R4, R2, rest);
        self.asm.put([copy(R2, R4)]);
        self.asm.place(rest);
        // What the verifier sees already, or not.
        self.asm.jump_if(Test::Above, R2, READ_AT_ONCE as i32, done);
        self.asm.jump_if(Test::Equal, R2, 0, done);
        let longest = self.maps.draft_bytes as i32;
        self.asm.jump_if(Test::Above, R8, longest, done);
        self.asm.put([store(Width::Double, FRAME, NOW, R2)]);
        let [untouched, next] = [(); 2].map(|()| self.asm.label());
        let mut helper = Helper::ProbeReadUser;
        if let Some(walk) = self.maps.insight.walk {
            walk::find(&mut self.asm, &walk, R3, Missing { untouched, other: done });
            self.asm.put([load(Width::Double, R2, FRAME, NOW)]);
            self.asm.jump_if(Test::Above, R2, READ_AT_ONCE as i32, done);
            helper = Helper::ProbeReadKernel;
        }
        self.append_to(R1);
        self.asm.put([call(helper)]);
        self.asm.jump_if(Test::NotEqual, R0, 0, done);
        self.asm.put([
            load(Width::Double, R2, FRAME, NOW),
            alu(Alu::Add, R8, R2),
            store(Width::Double, R7, at(frame::WRITTEN), R8),
        ]);
        if helper == Helper::ProbeReadKernel {
            self.asm.jump(next);
            self.asm.place(untouched);
            self.zeros(done);
            self.asm.place(next);
        }
        for (word, operator) in [(FROM, Alu::Add), (LEFT, Alu::Subtract)] {
            self.asm.put([
                load(Width::Double, R1, FRAME, word),
                alu(operator, R1, R2),
                store(Width::Double, FRAME, word, R1),
            ]);
        }
    }

    /// Appends zeros for what is left on a page, if something follows above.
    fn zeros(&mut self, done: Label) {
        self.asm.put([load(Width::Double, R2, FRAME, NOW)]);
        self.asm.jump_if(Test::Above, R2, READ_AT_ONCE as i32, done);
        self.append_to(R1);
        self.asm.put([
            // What can not be read the kernel fills with zeros.
            set(R3, 0),
            call(Helper::ProbeReadKernel),
            load(Width::Double, R2, FRAME, NOW),
            alu(Alu::Add, R8, R2),
        ]);
    }

    /// A register = where the draft goes on.
    fn append_to(&mut self, register: Register) {
        self.asm.put([copy(register, R9), alu(Alu::Add, register, R8)]);
    }
}
