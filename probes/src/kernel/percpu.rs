//! Where each CPU has its variables.
//!
//! Variables that each CPU has lie in one section of the kernel, of which each CPU
//! has a copy: its area. An array `__per_cpu_offset` tells where
//! (include/asm-generic/percpu.h). On a kernel that tells of no variables, a task
//! helps: its scheduling entity leads to the run queue of its CPU, which is such a
//! variable itself, and BTF says where in the section it lies.

use super::walk::{Spot, Walker, named, read_word};
use super::{KernelPlace, Path, ReadKernel};
use crate::address::AbsAddr;
use crate::btf::Btf;
use crate::symbols::KernelData;

/// Where a CPU has its variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuArea {
    /// The CPU.
    pub cpu: u32,
    /// Where its copy of the section starts.
    pub start: AbsAddr,
}

/// Where the section starts in the kernel: 0 before Linux 6.15, where symbols in it
/// are offsets.
fn section_start(symbols: &KernelData) -> Option<u64> {
    let start = symbols.named("__per_cpu_start").next()?;
    Some(start.start.0)
}

/// Where in the section a symbol lies; none for one outside of it.
pub(super) fn offset(symbols: &KernelData, address: AbsAddr) -> Option<u64> {
    if !address.is_kernel() {
        return Some(address.0);
    }
    let start = section_start(symbols)?;
    let end = symbols.named("__per_cpu_end").next()?.start.0;
    let offset = address.0.checked_sub(start)?;
    (address.0 < end).then_some(offset)
}

/// The areas of these CPUs, as symbols tell.
pub(super) fn by_symbols(
    symbols: &KernelData,
    read: &ReadKernel<'_>,
    cpus: &[u32],
) -> Option<Vec<CpuArea>> {
    let start = section_start(symbols)?;
    let offsets = symbols.named("__per_cpu_offset").next()?.start;
    let area = |cpu: &u32| {
        let offset = read_word(read, offsets.checked_add(8 * u64::from(*cpu))?)?;
        let start = AbsAddr(start.wrapping_add(offset.0));
        start.is_kernel().then_some(CpuArea { cpu: *cpu, start })
    };
    cpus.iter().map(area).collect()
}

/// The areas of these CPUs, as threads of theirs tell; none where one is missing.
pub(super) fn by_tasks(
    types: &Btf,
    read: &ReadKernel<'_>,
    cpus: &[u32],
    tasks: &dyn Fn() -> Vec<AbsAddr>,
) -> Option<Vec<CpuArea>> {
    let queues = types.variable("runqueues").filter(|found| found.is_per_cpu())?;
    let task_type = named(types, super::TASK).ok()?;
    let walker = Walker { types, read };
    let (to_queue, to_cpu) = (Path::parse(TO_QUEUE).ok()?, Path::parse("cpu").ok()?);
    let area = |task: AbsAddr| {
        let place = KernelPlace { cpu: None, address: task, links: Vec::new() };
        let task = Spot { place, ty: Some(task_type), bits: None };
        let go = |from, path| walker.walk(from, String::new(), path).ok();
        let (queue, _) = go(task, &to_queue)?;
        let start = queue.place.address.0.checked_sub(u64::from(queues.offset))?;
        let (number, _) = go(queue, &to_cpu)?;
        let mut cpu = [0; 4];
        let whole = read(number.place.address, &mut cpu) == cpu.len();
        whole.then(|| CpuArea { cpu: u32::from_le_bytes(cpu), start: AbsAddr(start) })
    };
    let mut areas: Vec<CpuArea> = Vec::new();
    for area in tasks().into_iter().filter_map(area) {
        if cpus.contains(&area.cpu) && areas.iter().all(|known| known.cpu != area.cpu) {
            areas.push(area);
        }
    }
    areas.sort_by_key(|area| area.cpu);
    (areas.len() == cpus.len()).then_some(areas)
}

/// From a thread to the run queue of the CPU that it is on.
const TO_QUEUE: &str = "*se.cfs_rq->rq";
