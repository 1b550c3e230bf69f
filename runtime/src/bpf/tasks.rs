//! Where the kernel keeps each thread: the addresses of `task_struct`s.
//!
//! An iterator over tasks (Documentation/bpf/bpf_iterators.rst) writes one record
//! of each into a file, which is read to its end.

use std::rc::Rc;

use super::insn::{
    FRAME, Helper, Instruction, R0, R1, R2, R3, R6, R7, Test, Width, add, call, copy,
    exit, load, set, skip_if, store,
};
use super::{BpfError, Loaded, Program, Role};
use crate::kernel::{Errno, Kernel};

/// What has to be known of this kernel, from its BTF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskLayout {
    /// The number of the function `bpf_iter_task`.
    pub function: u32,
    /// Where in `struct task_struct` `pid` is, in bytes.
    pub pid: u16,
    /// Where in `struct task_struct` `tgid` is, in bytes.
    pub tgid: u16,
}

/// A thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Task {
    /// Where its `task_struct` is.
    pub address: u64,
    /// Its id in the outermost pid namespace.
    pub tid: u32,
    /// The id of its process, likewise.
    pub tgid: u32,
}

const WHAT: &str = "finds tasks";
/// Bytes of a record: address, tid, tgid.
const RECORD: usize = 16;
/// A machine has 2²² threads at most (`PID_MAX_LIMIT` in include/linux/threads.h).
const MAX_TASKS: usize = 1 << 22;

/// Finds tasks.
#[derive(Debug)]
pub struct Tasks {
    program: Loaded,
}

impl Tasks {
    /// Gets ready to find tasks of the kernel of this layout.
    ///
    /// # Errors
    ///
    /// Every [`BpfError`].
    pub fn open(kernel: &Rc<dyn Kernel>, layout: TaskLayout) -> Result<Self, BpfError> {
        let (Ok(pid), Ok(tgid)) = (i16::try_from(layout.pid), i16::try_from(layout.tgid))
        else {
            return Err(BpfError::Failed { what: WHAT, errno: Errno::ERANGE });
        };
        let program = Program {
            role: Role::Iterator { function: layout.function },
            instructions: program(pid, tgid),
        };
        Ok(Self { program: Loaded::new(kernel, &program, WHAT)? })
    }

    /// The thread with this id, as we see it; none where there is no such thread.
    /// A process has the id of its first thread.
    ///
    /// # Errors
    ///
    /// [`BpfError::Failed`].
    pub fn find(&self, tid: u32) -> Result<Option<Task>, BpfError> {
        if tid == 0 {
            return Ok(None);
        }
        let tasks = self.read(tid)?;
        // Before Linux 6.1 all tasks are there, whoever is asked for.
        Ok(match tasks.as_slice() {
            [only] => Some(*only),
            several => several.iter().find(|task| task.tid == tid).copied(),
        })
    }

    /// All threads of the pid namespace that we are in.
    ///
    /// # Errors
    ///
    /// [`BpfError::Failed`].
    pub fn all(&self) -> Result<Vec<Task>, BpfError> {
        self.read(0)
    }

    fn read(&self, tid: u32) -> Result<Vec<Task>, BpfError> {
        let kernel = &self.program.kernel;
        let failed = |errno| match errno {
            Errno::EPERM => BpfError::NotPermitted,
            errno => BpfError::Failed { what: WHAT, errno },
        };
        let file = match kernel.bpf_iterate(self.program.descriptor, tid) {
            // Where only one thread is asked for, the kernel looks for it first.
            Err(Errno::ESRCH) => return Ok(Vec::new()),
            file => file.map_err(failed)?,
        };
        let bytes = read_all(kernel.as_ref(), file);
        kernel.close(file);
        let bytes = bytes.map_err(failed)?;
        let (records, _) = bytes.as_chunks::<RECORD>();
        Ok(records.iter().map(task).collect())
    }
}

fn read_all(kernel: &dyn Kernel, file: i32) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    while bytes.len() < MAX_TASKS * RECORD {
        match kernel.read(file, &mut piece) {
            Ok(0) => break,
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
            // The kernel looked at many tasks and wants to be asked again
            // (`bpf_seq_read` in kernel/bpf/bpf_iter.c).
            Err(Errno::EAGAIN) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(bytes)
}

fn task(record: &[u8; RECORD]) -> Task {
    let [a, b, c, d, e, f, g, h, rest @ ..] = *record;
    let address = u64::from_ne_bytes([a, b, c, d, e, f, g, h]);
    let [a, b, c, d, e, f, g, h] = rest;
    let (tid, tgid) =
        (u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h]));
    Task { address, tid, tgid }
}

/// The context is `struct bpf_iter__task { struct bpf_iter_meta *meta; struct
/// task_struct *task; }`, of which `meta` begins with the `seq_file` to write to,
/// and `task` is null at the end.
fn program(pid: i16, tgid: i16) -> Vec<Instruction> {
    const META: i16 = 0;
    const TASK: i16 = 8;
    const SEQ: i16 = 0;
    const RECORD_AT: i16 = -(RECORD as i16);
    let record = |at: i16| RECORD_AT + at;
    vec![
        copy(R6, R1),
        load(Width::Double, R7, R6, TASK),
        skip_if(Test::Equal, R7, 0, 11),
        store(Width::Double, FRAME, record(0), R7),
        load(Width::Word, R2, R7, pid),
        store(Width::Word, FRAME, record(8), R2),
        load(Width::Word, R2, R7, tgid),
        store(Width::Word, FRAME, record(12), R2),
        load(Width::Double, R1, R6, META),
        load(Width::Double, R1, R1, SEQ),
        copy(R2, FRAME),
        add(R2, i32::from(RECORD_AT)),
        set(R3, RECORD as i32),
        call(Helper::SeqWrite),
        set(R0, 0),
        exit(),
    ]
}
