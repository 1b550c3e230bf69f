//! SQLite. Each round inserts a row, and all of them are counted again at the
//! end of the work. Answers with what it changed, and with the bytes that the
//! library has in use.
#![allow(unsafe_code)] // Calls C.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::null_mut;

use hwtrace_real::{say, serve};
use libsqlite3_sys as ffi;

/// The connection, found by its name in C.
#[unsafe(no_mangle)]
static mut connection: *mut ffi::sqlite3 = null_mut();

/// Rows that the last `SELECT` found.
static mut FOUND: i64 = 0;

const CREATE: &CStr = c"CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)";
const INSERT: &CStr = c"INSERT INTO t (text) VALUES ('a row like any other')";
const COUNT: &CStr = c"SELECT id FROM t WHERE text LIKE '%row%'";

fn main() {
    // A file, so that the library's list of files has an entry.
    let file = std::env::temp_dir().join(format!("real_sqlite-{}", std::process::id()));
    open(file.to_str().expect("a plain path"));
    serve(|rounds| {
        for _ in 0..rounds {
            execute(INSERT);
        }
        // SAFETY: one thread, and the connection is open.
        let (found, changes) = unsafe {
            FOUND = 0;
            execute(COUNT);
            (FOUND, ffi::sqlite3_total_changes64(connection))
        };
        format!("rows {found} changes {changes} used {}", used())
    });
    close();
    let _ = std::fs::remove_file(file);
    say("bye");
}

/// Switches statistics of memory on, opens a new file and makes the table.
fn open(file: &str) {
    let _ = std::fs::remove_file(file);
    let file = format!("{file}\0");
    // SAFETY: nothing uses the library yet, the path ends with NUL, and one
    // thread is all there is.
    unsafe {
        check(ffi::sqlite3_config(ffi::SQLITE_CONFIG_MEMSTATUS, 1));
        check(ffi::sqlite3_open(file.as_ptr().cast::<c_char>(), &raw mut connection));
    }
    execute(c"PRAGMA synchronous = OFF");
    execute(c"PRAGMA journal_mode = MEMORY");
    execute(CREATE);
}

/// Closes it all, and switches the statistics off.
fn close() {
    // SAFETY: no statement is left, and nobody uses the library any more.
    unsafe {
        check(ffi::sqlite3_close(connection));
        check(ffi::sqlite3_shutdown());
        check(ffi::sqlite3_config(ffi::SQLITE_CONFIG_MEMSTATUS, 0));
    }
}

fn execute(sql: &CStr) {
    // SAFETY: the connection is open, and `count` needs no argument.
    check(unsafe {
        ffi::sqlite3_exec(connection, sql.as_ptr(), Some(count), null_mut(), null_mut())
    });
}

extern "C" fn count(
    _: *mut c_void,
    _: c_int,
    _: *mut *mut c_char,
    _: *mut *mut c_char,
) -> c_int {
    // SAFETY: one thread.
    unsafe { FOUND += 1 };
    0
}

/// Bytes in use.
fn used() -> i64 {
    let (mut now, mut most) = (0, 0);
    // SAFETY: both places are there for the call.
    check(unsafe {
        ffi::sqlite3_status64(ffi::SQLITE_STATUS_MEMORY_USED, &mut now, &mut most, 0)
    });
    now
}

fn check(code: c_int) {
    // SAFETY: as above; the message is copied at once.
    let message = || unsafe {
        let message = ffi::sqlite3_errmsg(connection);
        if message.is_null() { c"no message" } else { CStr::from_ptr(message) }.to_owned()
    };
    assert_eq!(code, ffi::SQLITE_OK, "{:?}", message());
}
