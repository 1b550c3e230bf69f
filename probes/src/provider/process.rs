//! Probe points in the code and the life of processes. None can be armed yet.

use super::Provider;

const WATCH_DATA: &str = "this version watches data: process.data(\"EXPR\").write";
const USE_BEGIN: &str = "write `probe begin` or `probe end`, for the session's own";

pub(super) const ROWS: &[Provider] = &[
    Provider::later(
        "process[(\"PATH\"|PID)].function(\"PAT\")[.call]",
        "when a function is entered",
        WATCH_DATA,
    ),
    Provider::later(
        "process[(\"PATH\"|PID)].function(\"PAT\").return",
        "when a function returns",
        WATCH_DATA,
    ),
    Provider::later(
        "process[(\"PATH\"|PID)].statement(\"F@FILE:LINE\"|ADDR)",
        "when a line or an instruction is reached",
        WATCH_DATA,
    ),
    Provider::later(
        "process[(\"PATH\"|PID)].mark(\"NAME\")",
        "at a static probe (USDT)",
        WATCH_DATA,
    ),
    Provider::later(
        "process[(\"PATH\"|PID)].exec(ADDR|\"SYM\")",
        "when an instruction runs, by a debug register",
        WATCH_DATA,
    ),
    Provider::later(
        "process[(\"PATH\"|PID)].begin|end",
        "when a process starts or ends",
        USE_BEGIN,
    ),
    Provider::later(
        "process[(\"PATH\"|PID)].thread.begin|end",
        "when a thread starts or ends",
        USE_BEGIN,
    ),
];
