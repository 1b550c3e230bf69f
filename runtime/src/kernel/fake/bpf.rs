//! The fake's BPF: maps are plain memory, and programs are kept but not run,
//! save the one that reads the kernel's memory.

use std::os::fd::RawFd;

use super::{Call, Fake, Open, PAGE};
use crate::bpf::shared::{RecordsMemory, Shared};
use crate::bpf::{self, Map, Program, Request};
use crate::kernel::{Bpf, Errno, Result};

impl Fake {
    /// Puts a record into the ring that the programs of a CPU write; false without
    /// room or ring.
    pub fn push_record(&self, cpu: u32, record: &[u64]) -> bool {
        let records = self.records.borrow();
        records.get(cpu as usize).is_some_and(|ring| ring.push(record))
    }

    /// Sets in which page of physical memory all of ours is; none where we may not know.
    pub fn set_own_frame(&self, number: Option<u64>) {
        self.own_frame.set(number);
    }

    fn expect_program(
        &self,
        program: RawFd,
        fits: impl Fn(bpf::Role) -> bool,
    ) -> Result<()> {
        match self.open.borrow().get(&program) {
            Some(Open::Program(program)) if fits(program.role) => Ok(()),
            Some(_) => Err(Errno::EINVAL),
            None => Err(Errno::EBADF),
        }
    }
}

impl Bpf for Fake {
    fn bpf_load(&self, program: &Program, log: &mut [u8]) -> Result<RawFd> {
        const SAID: &[u8] = b"R2 is invalid\nprocessed 3 insns\n\0";
        self.call(Call::BpfLoad).inspect_err(|_| {
            if let Some(log) = log.get_mut(..SAID.len()) {
                log.copy_from_slice(SAID);
            }
        })?;
        self.give(Open::Program(program.clone()))
    }

    /// Reads the kernel's memory: there is no other program that is called.
    fn bpf_run(&self, program: RawFd, context: &mut [u8]) -> Result<u32> {
        self.call(Call::BpfRun)?;
        self.expect_program(program, |role| role == bpf::Role::Call)?;
        let (address, out) = Request::asked(context).ok_or(Errno::EINVAL)?;
        let memory = self.kernel_memory.borrow();
        let there = out.iter_mut().zip(address..).all(|(to, at)| {
            memory.get(&at).is_some_and(|byte| {
                *to = *byte;
                true
            })
        });
        Ok(if there { 0 } else { (-(Errno::EFAULT as i32)).cast_unsigned() })
    }

    fn bpf_iterate(&self, program: RawFd, tid: u32) -> Result<RawFd> {
        self.call(Call::BpfIterate)?;
        self.expect_program(program, |role| role != bpf::Role::Call)?;
        let tasks = self.tasks.borrow();
        let wanted = tasks.iter().filter(|task| tid == 0 || task.tid == tid).copied();
        self.give(Open::Iterator(wanted.collect()))
    }

    fn bpf_map(&self, _: &Map) -> Result<RawFd> {
        self.call(Call::BpfMap)?;
        self.give(Open::Map)
    }

    fn bpf_map_put(&self, array: RawFd, _: u32, what: RawFd) -> Result<()> {
        self.call(Call::BpfMapPut)?;
        let open = self.open.borrow();
        match (open.get(&array), open.get(&what)) {
            (Some(Open::Map), Some(Open::Map | Open::Program(_))) => Ok(()),
            _ => Err(Errno::EBADF),
        }
    }

    fn map_shared(&self, _: RawFd, bytes: usize) -> Result<Shared> {
        self.call(Call::MapShared)?;
        self.mappings.set(self.mappings.get() + 1);
        Ok(Shared::plain(bytes))
    }

    fn unmap_shared(&self, _: Shared) {
        self.mappings.set(self.mappings.get() - 1);
    }

    fn map_records(&self, _: RawFd, data_bytes: usize) -> Result<RecordsMemory> {
        self.call(Call::MapRecords)?;
        let (memory, writer) = RecordsMemory::plain(PAGE, data_bytes);
        self.records.borrow_mut().push(writer);
        self.mappings.set(self.mappings.get() + 1);
        Ok(memory)
    }

    fn unmap_records(&self, _: RecordsMemory) {
        self.mappings.set(self.mappings.get() - 1);
    }

    fn perf_set_program(&self, event: RawFd, program: RawFd) -> Result<()> {
        self.call(Call::PerfSetProgram)?;
        self.expect_program(program, |role| role == bpf::Role::Hit)?;
        self.with_event(event, |_| ())
    }

    fn group(&self, _: &[RawFd]) -> Result<RawFd> {
        self.call(Call::Group)?;
        self.give(Open::Other)
    }

    fn quiet(&self, _: RawFd) {}

    fn pid_namespace(&self) -> Result<(u64, u64)> {
        self.call(Call::PidNamespace)?;
        Ok((4, bpf::INITIAL_PID_NAMESPACE))
    }

    fn own_frame(&self, _: u64) -> Result<u64> {
        self.call(Call::OwnFrame)?;
        self.own_frame.get().ok_or(Errno::EPERM)
    }
}
