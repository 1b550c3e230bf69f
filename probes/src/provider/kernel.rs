//! Probe points in the kernel and of perf. None can be armed yet.

use super::Provider;

const WATCH_PROCESS: &str =
    "this version watches data of processes: process.data(\"EXPR\").write";

pub(super) const ROWS: &[Provider] = &[
    Provider::later(
        "kernel.data(\"SYM\"|ADDR)[.length(N)].write|change|read|rw",
        "at accesses to kernel data",
        WATCH_PROCESS,
    )
    .of_data(),
    Provider::later(
        "kernel.task(PID).data(\"FIELD\")[.length(N)].write|change|read|rw",
        "at accesses to a field of a task",
        WATCH_PROCESS,
    )
    .of_data(),
    Provider::later(
        "kernel.exec(ADDR|\"SYM\")",
        "when a kernel instruction runs, by a debug register",
        WATCH_PROCESS,
    ),
    Provider::later("kernel.trace(\"CATEGORY:EVENT\")", "at a tracepoint", WATCH_PROCESS),
    Provider::later(
        "kernel.function(\"F\")[.return]",
        "when a kernel function is entered or returns",
        WATCH_PROCESS,
    ),
    Provider::later(
        "syscall.NAME[.return]",
        "when a system call is entered or returns",
        WATCH_PROCESS,
    ),
    Provider::later(
        "perf.type(T).config(C)[.sample(N)]",
        "at each N-th occurrence of a perf event",
        WATCH_PROCESS,
    ),
];
