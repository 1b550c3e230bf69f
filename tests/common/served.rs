//! What engines can not do by their nature: tests of that are left out with them, aloud.
//! That is no failure, also where live tests are required.

/// Engines, a test, and why it can not be served by them.
type Row = (&'static [&'static str], &'static str, &'static str);

const BOTH: &[&str] = &["ptrace", "step"];
const REGISTERS: &[&str] = &["ptrace"];

const KERNEL_DATA: &str = "the kernel's data is no process's memory";
const KERNEL_ACCESSES: &str = "the kernel's accesses send no signal";
const WHOLE_SYSTEM: &str = "it sees whom it traces, and nobody else start";
const ONE_TRACER: &str = "a process has one tracer";

const UNSERVED: &[Row] = &[
    (REGISTERS, "system_calls_have_names", KERNEL_ACCESSES),
    (
        &["step"],
        "system_calls_have_names",
        "what the kernel stores is found if it differs",
    ),
    (REGISTERS, "the_kernel_stores_for_the_process", KERNEL_ACCESSES),
    (
        BOTH,
        "the_kernels_part_of_an_access",
        "the stack of the kernel is shown to nobody else",
    ),
    (BOTH, "data_at_an_address_for_a_while", KERNEL_DATA),
    (BOTH, "a_number_behind_a_pointer_and_the_calls_that_stored_it", KERNEL_DATA),
    (BOTH, "the_name_of_a_task_with_who_changes_it", KERNEL_DATA),
    (BOTH, "without_privileges_it_says_which_it_takes", KERNEL_DATA),
    (BOTH, "functions_of_the_kernel_are_named", KERNEL_DATA),
    (BOTH, "all_that_run_a_program_and_those_that_come", WHOLE_SYSTEM),
    (BOTH, "who_holds_the_registers_is_named_and_gives_them_back", ONE_TRACER),
    (BOTH, "two_sessions_share_a_thread_two_registers_each", ONE_TRACER),
    (BOTH, "a_full_ring_loses_no_count", "a target waits until its hits are read"),
    (
        BOTH,
        "programs_with_another_users_rights",
        "who traces as root sees what they do, which perf does not",
    ),
];

/// Whether the engine of this run can serve the test that asks; libtest names its
/// thread so.
pub(crate) fn is_served() -> bool {
    let engine = super::engine_name();
    let thread = std::thread::current();
    let test = thread.name().and_then(|name| name.rsplit("::").next());
    let unserved = |row: &&Row| row.0.contains(&engine) && Some(row.1) == test;
    match UNSERVED.iter().find(unserved) {
        Some((_, test, why)) => {
            eprintln!("NOT SERVED by {engine}: {test}: {why}");
            false
        }
        None => true,
    }
}
