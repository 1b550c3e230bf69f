//! Lua. Each round stops the collector and lets it go on, and fills a table.
//! Answers with the script's own count and with the bytes of its heap.
#![allow(unsafe_code)] // Calls C.

use std::ptr::null_mut;

use hwtrace_real::serve;
use mlua_sys as ffi;

/// The interpreter, found by its name in C.
#[unsafe(no_mangle)]
static mut interpreter: *mut ffi::lua_State = null_mut();

const SCRIPT: &str = r#"
    count, kept = 0, {}
    function round()
        collectgarbage("stop")
        count = count + 1
        kept[count % 100 + 1] = { name = "entry " .. count, value = count * 1.5 }
        collectgarbage("restart")
        return count
    end
"#;

fn main() {
    // SAFETY: one thread, and the state is made here.
    unsafe {
        interpreter = ffi::luaL_newstate();
        ffi::luaL_openlibs(interpreter);
        let loaded = ffi::luaL_loadbuffer(
            interpreter,
            SCRIPT.as_ptr().cast(),
            SCRIPT.len(),
            c"round".as_ptr(),
        );
        assert_eq!(loaded, ffi::LUA_OK);
        assert_eq!(ffi::lua_pcall(interpreter, 0, 0, 0), ffi::LUA_OK);
    }
    let mut count = 0;
    serve(|rounds| {
        for _ in 0..rounds {
            count = round();
        }
        // SAFETY: the state is open.
        let kib = unsafe { ffi::lua_gc(interpreter, ffi::LUA_GCCOUNT, 0) };
        format!("count {count} kib {kib}")
    });
}

/// Calls the function of the script.
fn round() -> i64 {
    // SAFETY: the state is open, and its stack is left as it was found.
    unsafe {
        ffi::lua_getglobal(interpreter, c"round".as_ptr());
        assert_eq!(ffi::lua_pcall(interpreter, 0, 1, 0), ffi::LUA_OK);
        let count = ffi::lua_tointeger(interpreter, -1);
        ffi::lua_pop(interpreter, 1);
        count
    }
}
