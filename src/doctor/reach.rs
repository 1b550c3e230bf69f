//! Whose data can be watched, besides one's own.

use std::rc::Rc;

use hwtrace_probes::btf::Btf;
use hwtrace_probes::process::facts::identity;
use hwtrace_probes::symbols::kallsyms::addresses_are_shown;
use hwtrace_runtime::attr::{EventSpec, Features, Role, Sampled};
use hwtrace_runtime::event::{Trigger, Watch};
use hwtrace_runtime::kernel::rights::number;
use hwtrace_runtime::kernel::{EVERY, Errno, Kernel};

use super::{Finding, Group, State, takes};

pub(super) fn findings(kernel: &Rc<dyn Kernel>) -> Vec<Finding> {
    vec![
        others(&**kernel),
        starts(&**kernel),
        kernel_accesses(&**kernel),
        loads(&**kernel),
        kernel_data(&**kernel),
        kernel_symbols(),
        kernel_types(),
    ]
}

fn finding(name: &'static str, what_for: &'static str) -> Finding {
    Finding::new(Group::Reach, name, what_for)
}

/// Opens an event and closes it again.
fn opens(
    kernel: &dyn Kernel,
    role: Role,
    features: Features,
    tid: u32,
) -> Result<(), Errno> {
    let cpus = kernel.online_cpus()?;
    let cpu = *cpus.first().ok_or(Errno::ENODEV)?;
    let event = kernel.perf_event_open(&EventSpec { role, features }, tid, cpu)?;
    kernel.close(event);
    Ok(())
}

/// Tried on a process of another user, where there is one.
fn others(kernel: &dyn Kernel) -> Finding {
    let finding = finding("other users' processes", "`-p` with their number");
    let help = takes(kernel, &["sys_ptrace"]);
    let Some((pid, user)) = process_of_another(kernel.effective_user()) else {
        let own = kernel.capabilities().unwrap_or_default();
        let finding = finding.because("no other user runs anything here");
        return match own.has(number::SYS_PTRACE) {
            true => finding,
            false => finding.but(State::No, help),
        };
    };
    let text = |can| format!("process {pid} of user {user} {can} be looked into");
    match kernel.robust_list(pid) {
        Ok(_) => finding.because(text("can")),
        Err(_) => finding.because(text("can not")).but(State::No, help),
    }
}

/// A process that is not this user's, and whose that is.
fn process_of_another(own: u32) -> Option<(u32, u32)> {
    let entries = std::fs::read_dir("/proc").ok()?;
    entries.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let user = identity(pid)?.user;
        (user != own).then_some((pid, user))
    })
}

fn starts(kernel: &dyn Kernel) -> Finding {
    let what_for = "`process(\"/path\")` of programs that others start";
    let finding = finding("programs that start", what_for);
    match opens(kernel, Role::SystemSideband, Features::NONE, EVERY) {
        Ok(()) => finding.because("the kernel reports them as they start"),
        Err(errno) => finding
            .because(format!("not reported ({}): looked for every 100 ms", errno.desc()))
            .but(State::Part, takes(kernel, &["perfmon"])),
    }
}

fn kernel_accesses(kernel: &dyn Kernel) -> Finding {
    let what_for = "hits of read(2) and the like, into the data of a process";
    let finding = finding("accesses by the kernel", what_for);
    let features = Features { kernel_hits: true, ..Features::NONE };
    match opens(kernel, Role::Probe, features, 0) {
        Ok(()) => finding.because("reported"),
        Err(errno) => finding
            .because(format!("not reported: {}", errno.desc()))
            .but(State::No, takes(kernel, &["perfmon"])),
    }
}

/// What programs read there they read by way of page tables.
fn loads(kernel: &dyn Kernel) -> Finding {
    let what_for = "the values of watches on loads, exact in engine bpf";
    let finding = finding("memory at the hit of a load", what_for);
    let here = 0u64;
    match kernel.own_frame((&raw const here) as u64) {
        Ok(_) => finding.because("can be read unseen"),
        Err(errno) => finding
            .because(format!(
                "read a moment later, as page frames are not told: {}",
                errno.desc()
            ))
            .but(State::Part, takes(kernel, &["sys_admin"])),
    }
}

/// Of an address that the kernel has on x86-64, and reads and writes there nothing.
fn kernel_data(kernel: &dyn Kernel) -> Finding {
    let watch =
        Watch { address: 0xffff_ffff_ff00_0000, length: 8, trigger: Trigger::Write };
    let finding =
        finding("data of the kernel", "`kernel.data(\"…\")` and `kernel.task(PID)`");
    let role = Role::KernelBreakpoint { watch, sampled: Sampled::ALL.in_kernel() };
    match opens(kernel, role, Features::NONE, EVERY) {
        Ok(()) => finding.because("can be watched"),
        Err(errno) => finding
            .because(format!("can not be watched: {}", errno.desc()))
            .but(State::No, takes(kernel, &["sys_admin"])),
    }
}

fn kernel_symbols() -> Finding {
    let finding =
        finding("symbols of the kernel", "names of its functions and variables");
    match addresses_are_shown() {
        true => finding.because("/proc/kallsyms tells addresses"),
        false => finding.because("/proc/kallsyms tells no addresses").but(
            State::No,
            "run hwtrace with `sudo`, and with `sudo sysctl kernel.kptr_restrict=1` where \
             root does not see them either",
        ),
    }
}

fn kernel_types() -> Finding {
    let finding = finding("types of the kernel", "members of its data, and tasks");
    match Btf::running(0) {
        Ok(_) => finding.because("/sys/kernel/btf/vmlinux is there"),
        Err(error) => finding
            .because(error.to_string())
            .but(State::No, "use a kernel with CONFIG_DEBUG_INFO_BTF"),
    }
}
