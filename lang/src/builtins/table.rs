//! The rows of the builtin functions.

use super::Available::{self, DataProbes, Everywhere, NotYet};
use super::Body::{Field, Helper};
use super::{Builtin, Param, Topic};
use crate::types::Type::{Double, Long, Stack, String};

/// Probes are not armed from handlers yet.
const REARMS: Available = NotYet(
    "a condition arms and disarms at run time: `probe process.data(\"x\").write if (on) { … }`",
);

/// Makes the table of topics and their rows:
/// `name(parameters) -> result, where available, what computes it,
/// documentation, example, flags`.
macro_rules! builtins {
    ($($topic:ident {
        $($name:ident($($param:ident: $ty:ident),*) $(-> $returns:ident)?,
          $available:expr, $body:expr, $doc:literal, $example:literal
          $(, $flag:ident($($argument:literal)?))?;)*
    })*) => {
        /// Every builtin function, those of one topic together.
        pub static BUILTINS: &[Builtin] = &[$($(
            Builtin {
                name: stringify!($name),
                topic: Topic::$topic,
                params: &[$(Param { name: stringify!($param), ty: $ty }),*],
                required: <[&str]>::len(&[$(stringify!($param)),*]),
                returns: builtins!(@result $($returns)?),
                available: $available,
                pure: false,
                needs_unsafe: false,
                body: $body,
                doc: $doc,
                example: $example,
            }$(.$flag($($argument)?))?
        ),*),*];
    };
    (@result $returns:ident) => { Some($returns) };
    (@result) => { None };
}

builtins! {
    Context {
        pid() -> Long, Everywhere, Field("pid"),
            "number of the process", r#"printf("%d\n", pid())"#;
        tid() -> Long, Everywhere, Field("tid"),
            "number of the thread", "hits[tid()]++";
        ppid() -> Long, Everywhere, Helper("ppid"),
            "number of the process's parent", "hits[ppid()]++";
        uid() -> Long, Everywhere, Helper("uid"),
            "number of the user that the process runs for", "hits[uid()]++";
        euid() -> Long, Everywhere, Helper("euid"),
            "number of the user whose rights the process has", "hits[euid()]++";
        gid() -> Long, Everywhere, Helper("gid"),
            "number of the group that the process runs for", "hits[gid()]++";
        egid() -> Long, Everywhere, Helper("egid"),
            "number of the group whose rights the process has", "hits[egid()]++";
        execname() -> String, Everywhere, Field("execname"),
            "name of the thread, at most 15 bytes", r#"printf("%s\n", execname())"#;
        cmdline_str() -> String, Everywhere, Helper("cmdline_str"),
            "command line of the process, a blank between words", "println(cmdline_str())";
        env_var(name: String) -> String, Everywhere, Helper("env_var"),
            "value of a variable in the environment that the process was started with, \"\" where it is not set", r#"println(env_var("HOME"))"#;
        cpu() -> Long, Everywhere, Field("cpu"),
            "number of the CPU that the thread ran on", "hits[cpu()]++";
        target() -> Long, Everywhere, Helper("target"),
            "number of the process given by -p or started by -c, else 0", "if (pid() != target()) next";
        pp() -> String, Everywhere, Helper("pp"),
            "the probe point as written", "println(pp())";
        pn() -> String, Everywhere, Helper("pp"),
            "the probe point as written", "println(pn())";
        ppfunc() -> String, Everywhere, Helper("probefunc"),
            "name of the function that made the access, \"\" outside of data probes", "how[ppfunc()]++";
        probefunc() -> String, Everywhere, Helper("probefunc"),
            "name of the function that made the access, \"\" outside of data probes", "how[probefunc()]++";
        user_mode() -> Long, DataProbes, Field("user_mode"),
            "1 where the process itself made the access, 0 where the kernel made it on its behalf", "if (!user_mode()) next";
        register(name: String) -> Long, DataProbes, Helper("register"),
            "value of a register of the process at the hit; one of 32 bits is extended with its sign", r#"printf("%x\n", register("rax"))"#;
        u_register(name: String) -> Long, DataProbes, Helper("u_register"),
            "value of a register of the process at the hit; one of 32 bits is extended with zeros", r#"printf("%x\n", u_register("eax"))"#;
        print_regs(), DataProbes, Helper("print_regs"),
            "prints the registers of the process at the hit", "print_regs()";
    }
    Access {
        access() -> String, DataProbes, Helper("access"),
            "how the data was accessed: \"read\", \"write\" or \"update\"; \"unknown\" where the instruction could not be decoded", "how[access()]++";
        addr() -> Long, DataProbes, Field("address"),
            "address of the instruction that made the access; in code without symbols of the one behind it", "hits[addr()]++";
        uaddr() -> Long, DataProbes, Field("address"),
            "address of the instruction that made the access; in code without symbols of the one behind it", "hits[uaddr()]++";
        data_addr() -> Long, DataProbes, Field("data_address"),
            "address of the watched data", r#"printf("%p\n", data_addr())"#;
        data_len() -> Long, DataProbes, Field("data_length"),
            "length of the watched data in bytes", r#"printf("%d\n", data_len())"#;
        data_name() -> String, DataProbes, Field("data_name"),
            "name of the watched data", "println(data_name())";
        exact() -> Long, DataProbes, Field("exact"),
            "1 where $new is the value that this very instruction stored or loaded, else 0", "if (!exact()) next";
        access_count() -> Long, DataProbes, Field("count"),
            "how often the instruction accessed the data: once, but for string instructions with a rep prefix, which are one access", "bytes += access_count()";
        syscall_name() -> String, DataProbes, Helper("syscall_name"),
            "name of the system call in which the kernel made the access, \"\" for the process's own accesses and where it is not known", "how[syscall_name()]++";
    }
    Counts {
        seen(name: String) -> Long, Everywhere, Helper("seen"),
            "how often the probe with this `data(\"…\")` has fired, whatever its handler did then; of several the first", "println(seen(\"counter\"))";
        estimated(name: String) -> Long, Everywhere, Helper("estimated"),
            "how often it would have fired, had its data been watched all the time: what was seen, and what that stands for", "println(estimated(\"counter\"))";
        estimated_error(name: String) -> Long, Everywhere, Helper("estimated_error"),
            "by how much estimated() is off at most, in 95 of 100 cases; -1 where too little was seen to tell", r#"printf("%d +- %d\n", estimated("counter"), estimated_error("counter"))"#;
        coverage(name: String) -> Double, Everywhere, Helper("coverage"),
            "the share of the time in which its data was watched, 0 to 1; without a name of the data of the hit, outside of data probes of all", r#"printf("%.1f %%\n", 100.0 * coverage("counter"))"#, required(0);
        weight() -> Double, DataProbes, Helper("weight"),
            "how many hits this one stands for: 1 / coverage()", "total += weight()";
    }
    Time {
        gettimeofday_ns() -> Long, Everywhere, Helper("gettimeofday_ns"),
            "time of the hit in nanoseconds since 1970", r#"printf("%d\n", gettimeofday_ns())"#;
        gettimeofday_us() -> Long, Everywhere, Helper("gettimeofday_us"),
            "time of the hit in microseconds since 1970", r#"printf("%d\n", gettimeofday_us())"#;
        gettimeofday_ms() -> Long, Everywhere, Helper("gettimeofday_ms"),
            "time of the hit in milliseconds since 1970", r#"printf("%d\n", gettimeofday_ms())"#;
        gettimeofday_s() -> Long, Everywhere, Helper("gettimeofday_s"),
            "time of the hit in seconds since 1970", r#"printf("%d\n", gettimeofday_s())"#;
        ktime_get_ns() -> Long, Everywhere, Field("time"),
            "time of the hit in nanoseconds of the monotonic clock", "last = ktime_get_ns()";
        ctime(seconds: Long) -> String, Everywhere, Helper("ctime"),
            "a time in seconds since 1970 as text, in UTC", "println(ctime(gettimeofday_s()))", pure();
    }
    Symbols {
        usymaddr(expression: String) -> Long, Everywhere, Helper("usymaddr"),
            "address of data of the process, named as in `data(\"…\")`; 0 where there is none", "println(usymaddr(\"counter\"))";
        usymname(address: Long) -> String, Everywhere, Helper("usymname"),
            "name of the function or object at an address of the process", "println(usymname(addr()))";
        usymdata(address: Long) -> String, Everywhere, Helper("usymdata"),
            "name, offset, size and file of what is at an address of the process", "println(usymdata(addr()))";
        usymptr(address: Long) -> String, Everywhere, Helper("usymptr"),
            "an address of the process as text, with what is there, as pointers are printed: `0x404080 <&cache.slots[4]>`, `0x40113a <main+0x14>`; the number alone where nothing is known", "println(usymptr(data_addr()))";
        usymfileline(address: Long) -> String, Everywhere, Helper("usymfileline"),
            "source file, as the compiler was given it, and line of the code at an address of the process, `src/demo.c:12`; the address as text where it is not known", "println(usymfileline(addr()))";
        usymfile(address: Long) -> String, Everywhere, Helper("usymfile"),
            "source file, as the compiler was given it, of the code at an address of the process; the address as text where it is not known", "println(usymfile(addr()))";
        usymline(address: Long) -> String, Everywhere, Helper("usymline"),
            "line, as text, of the code at an address of the process; the address as text where it is not known", "println(usymline(addr()))";
        umodname(address: Long) -> String, Everywhere, Helper("umodname"),
            "name of the file, without directories, that is mapped at an address of the process, \"<unknown>\" where none is", "println(umodname(addr()))";
        symname(address: Long) -> String, Everywhere, Helper("symname"),
            "name of the function at an address of the kernel; the address as text where it is not known", "println(symname(addr()))";
        symdata(address: Long) -> String, Everywhere, Helper("symdata"),
            "name, offset, size and module of the function at an address of the kernel; the address as text where it is not known", "println(symdata(addr()))";
        symptr(address: Long) -> String, Everywhere, Helper("symptr"),
            "an address of the kernel as text, with the function or variable that is there; the number alone where none is known", "println(symptr(addr()))";
        symfileline(address: Long) -> String, Everywhere, Helper("symfileline"),
            "source file and line of the code at an address of the kernel; the address as text where they are not known", "println(symfileline(addr()))";
        symfile(address: Long) -> String, Everywhere, Helper("symfile"),
            "source file of the code at an address of the kernel; the address as text where it is not known", "println(symfile(addr()))";
        symline(address: Long) -> String, Everywhere, Helper("symline"),
            "line, as text, of the code at an address of the kernel; the address as text where it is not known", "println(symline(addr()))";
        modname(address: Long) -> String, Everywhere, Helper("modname"),
            "name of the kernel module at an address, \"kernel\" for the kernel itself, \"<unknown>\" where no function is known", "println(modname(addr()))";
    }
    Stacks {
        ubacktrace() -> Stack, Everywhere, Helper("ubacktrace"),
            "stack of the process at the hit; of an access that the kernel made, as the process entered it", "stacks[ubacktrace()]++";
        backtrace() -> Stack, Everywhere, Helper("backtrace"),
            "stack of the kernel at the hit, of an access that the kernel made; else empty", "stacks[backtrace()]++";
        ucallers(levels: Long) -> Stack, Everywhere, Helper("ucallers"),
            "the innermost part of the stack of the process: the function of the hit and so many that called one another, all where the argument is -1", "stacks[ucallers(2)]++";
        callers(levels: Long) -> Stack, Everywhere, Helper("callers"),
            "the innermost part of the stack of the kernel: the function of the hit and so many that called one another, all where the argument is -1", "stacks[callers(2)]++";
        ustack(level: Long) -> Long, Everywhere, Helper("ustack"),
            "address at a level of the stack of the process, from 0 for the innermost; 0 where there is none", "println(usymname(ustack(1)))";
        stack(level: Long) -> Long, Everywhere, Helper("stack"),
            "address at a level of the stack of the kernel, from 0 for the innermost; 0 where there is none", "println(symname(stack(1)))";
        caller() -> String, Everywhere, Helper("caller"),
            "name of the function that called the one of the access, and the address in it to which the call returns, as text", "how[caller()]++";
        caller_addr() -> Long, Everywhere, Helper("caller_addr"),
            "address to which the call of the function of the access returns, 0 where it is not known", "hits[caller_addr()]++";
        probemod() -> String, Everywhere, Helper("probemod"),
            "name of the file, or of the kernel's module, that has the instruction that made the access, \"\" outside of data probes", "how[probemod()]++";
        print_ubacktrace(), Everywhere, Helper("print_ubacktrace"),
            "prints the stack of the process at the hit, a line for each address with what usymdata says of it", "print_ubacktrace()";
        print_ubacktrace_brief(), Everywhere, Helper("print_ubacktrace_brief"),
            "prints the stack of the process at the hit, a line with name and offset for each address", "print_ubacktrace_brief()";
        print_ubacktrace_fileline(), Everywhere, Helper("print_ubacktrace_fileline"),
            "prints the stack of the process at the hit as print_ubacktrace does, with source file and line", "print_ubacktrace_fileline()";
        print_backtrace(), Everywhere, Helper("print_backtrace"),
            "prints the stack of the kernel at the hit, a line for each address with what symdata says of it; where the process itself made the access, the line of that instruction", "print_backtrace()";
        print_backtrace_fileline(), Everywhere, Helper("print_backtrace_fileline"),
            "prints what print_backtrace does, with source file and line", "print_backtrace_fileline()";
        sprint_ubacktrace() -> String, Everywhere, Helper("sprint_ubacktrace"),
            "stack of the process at the hit as text: a line with name, offset and file for each address", "println(sprint_ubacktrace())";
        sprint_backtrace() -> String, Everywhere, Helper("sprint_backtrace"),
            "stack of the kernel at the hit as text: a line with name, offset and module for each address", "println(sprint_backtrace())";
        print_usyms(addresses: Stack), Everywhere, Helper("print_syms"),
            "prints a stack, or the addresses of the process in a string, as print_ubacktrace does", "print_usyms(ubacktrace())";
        print_syms(addresses: Stack), Everywhere, Helper("print_syms"),
            "prints a stack, or the addresses of the kernel in a string, as print_backtrace does", "print_syms(backtrace())";
        print_ustack(addresses: Stack), Everywhere, Helper("print_syms"),
            "prints what print_usyms does", "print_ustack(ubacktrace())";
        print_stack(addresses: Stack), Everywhere, Helper("print_syms"),
            "prints what print_syms does", "print_stack(backtrace())";
        sprint_usyms(addresses: Stack) -> String, Everywhere, Helper("sprint_syms"),
            "a stack, or the addresses of the process in a string, as text like that of sprint_ubacktrace", "println(sprint_usyms(ucallers(2)))";
        sprint_syms(addresses: Stack) -> String, Everywhere, Helper("sprint_syms"),
            "a stack, or the addresses of the kernel in a string, as text like that of sprint_backtrace", "println(sprint_syms(callers(2)))";
        sprint_ustack(addresses: Stack) -> String, Everywhere, Helper("sprint_syms"),
            "what sprint_usyms gives", "println(sprint_ustack(ubacktrace()))";
        sprint_stack(addresses: Stack) -> String, Everywhere, Helper("sprint_syms"),
            "what sprint_syms gives", "println(sprint_stack(backtrace()))";
    }
    Memory {
        user_char(address: Long) -> Long, Everywhere, Helper("user_char"),
            "8-bit number, with its sign, that is at an address of the process", "n = user_char(data_addr())";
        user_short(address: Long) -> Long, Everywhere, Helper("user_short"),
            "16-bit number, with its sign, that is at an address of the process", "n = user_short(data_addr())";
        user_int(address: Long) -> Long, Everywhere, Helper("user_int"),
            "32-bit number, with its sign, that is at an address of the process", "n = user_int(data_addr())";
        user_long(address: Long) -> Long, Everywhere, Helper("user_long"),
            "64-bit number that is at an address of the process", "n = user_long(data_addr())";
        user_pointer(address: Long) -> Long, Everywhere, Helper("user_pointer"),
            "64-bit pointer that is at an address of the process", "n = user_pointer(data_addr())";
        user_int8(address: Long) -> Long, Everywhere, Helper("user_int8"),
            "8-bit number, with its sign, that is at an address of the process", "n = user_int8(data_addr())";
        user_int16(address: Long) -> Long, Everywhere, Helper("user_int16"),
            "16-bit number, with its sign, that is at an address of the process", "n = user_int16(data_addr())";
        user_int32(address: Long) -> Long, Everywhere, Helper("user_int32"),
            "32-bit number, with its sign, that is at an address of the process", "n = user_int32(data_addr())";
        user_int64(address: Long) -> Long, Everywhere, Helper("user_int64"),
            "64-bit number, with its sign, that is at an address of the process", "n = user_int64(data_addr())";
        user_uint8(address: Long) -> Long, Everywhere, Helper("user_uint8"),
            "8-bit number, without sign, that is at an address of the process", "n = user_uint8(data_addr())";
        user_uint16(address: Long) -> Long, Everywhere, Helper("user_uint16"),
            "16-bit number, without sign, that is at an address of the process", "n = user_uint16(data_addr())";
        user_uint32(address: Long) -> Long, Everywhere, Helper("user_uint32"),
            "32-bit number, without sign, that is at an address of the process", "n = user_uint32(data_addr())";
        user_uint64(address: Long) -> Long, Everywhere, Helper("user_uint64"),
            "64-bit number that is at an address of the process", "n = user_uint64(data_addr())";
        user_string(address: Long) -> String, Everywhere, Helper("user_string"),
            "text from an address of the process up to a zero byte", "println(user_string(data_addr()))";
        user_string2(address: Long, otherwise: String) -> String, Everywhere, Helper("user_string2"),
            "text from an address of the process up to a zero byte, the second argument where it can not be read", r#"println(user_string2(data_addr(), "?"))"#;
        user_string_n(address: Long, length: Long) -> String, Everywhere, Helper("user_string_n"),
            "text from an address of the process up to a zero byte, at most so many bytes of it", "println(user_string_n(data_addr(), 8))";
        user_string_quoted(address: Long) -> String, Everywhere, Helper("user_string_quoted"),
            "text from an address of the process up to a zero byte, in quotes and with escapes", "println(user_string_quoted(data_addr()))";
        user_buffer_quoted(address: Long, bytes: Long, length: Long) -> String, Everywhere, Helper("user_buffer_quoted"),
            "so many bytes from an address of the process, in quotes and with escapes, as text of at most so many bytes", "println(user_buffer_quoted(data_addr(), 16, 80))";
        kernel_char(address: Long) -> Long, Everywhere, Helper("kernel_char"),
            "8-bit number, with its sign, that is at an address of the kernel", "n = kernel_char(data_addr())";
        kernel_short(address: Long) -> Long, Everywhere, Helper("kernel_short"),
            "16-bit number, with its sign, that is at an address of the kernel", "n = kernel_short(data_addr())";
        kernel_int(address: Long) -> Long, Everywhere, Helper("kernel_int"),
            "32-bit number, with its sign, that is at an address of the kernel", "n = kernel_int(data_addr())";
        kernel_long(address: Long) -> Long, Everywhere, Helper("kernel_long"),
            "64-bit number that is at an address of the kernel", "n = kernel_long(data_addr())";
        kernel_pointer(address: Long) -> Long, Everywhere, Helper("kernel_pointer"),
            "64-bit pointer that is at an address of the kernel", "n = kernel_pointer(data_addr())";
        kernel_int8(address: Long) -> Long, Everywhere, Helper("kernel_int8"),
            "8-bit number, with its sign, that is at an address of the kernel", "n = kernel_int8(data_addr())";
        kernel_int16(address: Long) -> Long, Everywhere, Helper("kernel_int16"),
            "16-bit number, with its sign, that is at an address of the kernel", "n = kernel_int16(data_addr())";
        kernel_int32(address: Long) -> Long, Everywhere, Helper("kernel_int32"),
            "32-bit number, with its sign, that is at an address of the kernel", "n = kernel_int32(data_addr())";
        kernel_int64(address: Long) -> Long, Everywhere, Helper("kernel_int64"),
            "64-bit number, with its sign, that is at an address of the kernel", "n = kernel_int64(data_addr())";
        kernel_uint8(address: Long) -> Long, Everywhere, Helper("kernel_uint8"),
            "8-bit number, without sign, that is at an address of the kernel", "n = kernel_uint8(data_addr())";
        kernel_uint16(address: Long) -> Long, Everywhere, Helper("kernel_uint16"),
            "16-bit number, without sign, that is at an address of the kernel", "n = kernel_uint16(data_addr())";
        kernel_uint32(address: Long) -> Long, Everywhere, Helper("kernel_uint32"),
            "32-bit number, without sign, that is at an address of the kernel", "n = kernel_uint32(data_addr())";
        kernel_uint64(address: Long) -> Long, Everywhere, Helper("kernel_uint64"),
            "64-bit number that is at an address of the kernel", "n = kernel_uint64(data_addr())";
        kernel_string(address: Long) -> String, Everywhere, Helper("kernel_string"),
            "text from an address of the kernel up to a zero byte", "println(kernel_string(data_addr()))";
        kernel_string2(address: Long, otherwise: String) -> String, Everywhere, Helper("kernel_string2"),
            "text from an address of the kernel up to a zero byte, the second argument where it can not be read", r#"println(kernel_string2(data_addr(), "?"))"#;
        kernel_string_n(address: Long, length: Long) -> String, Everywhere, Helper("kernel_string_n"),
            "text from an address of the kernel up to a zero byte, at most so many bytes of it", "println(kernel_string_n(data_addr(), 8))";
        kernel_string_quoted(address: Long) -> String, Everywhere, Helper("kernel_string_quoted"),
            "text from an address of the kernel up to a zero byte, in quotes and with escapes", "println(kernel_string_quoted(data_addr()))";
        kernel_buffer_quoted(address: Long, bytes: Long, length: Long) -> String, Everywhere, Helper("kernel_buffer_quoted"),
            "so many bytes from an address of the kernel, in quotes and with escapes, as text of at most so many bytes", "println(kernel_buffer_quoted(data_addr(), 16, 80))";
    }
    Strings {
        strlen(text: String) -> Long, Everywhere, Helper("strlen"),
            "length of a text in bytes", "n = strlen(execname())", pure();
        substr(text: String, start: Long, length: Long) -> String, Everywhere, Helper("substr"),
            "part of a text: from this byte on, so many bytes", r#"println(substr("watch", 0, 2))"#, pure();
        stringat(text: String, position: Long) -> Long, Everywhere, Helper("stringat"),
            "number of the byte at a position of a text, from 0; an error beyond its end", r#"n = stringat("watch", 0)"#, pure();
        strpos(text: String, part: String) -> Long, Everywhere, Helper("strpos"),
            "position in bytes where a text has this part first, -1 where it does not", r#"n = strpos(execname(), "sh")"#, pure();
        isinstr(text: String, part: String) -> Long, Everywhere, Helper("isinstr"),
            "1 where a text has this part, else 0", r#"if (isinstr(execname(), "sh")) next"#, pure();
        strtol(text: String, base: Long) -> Long, Everywhere, Helper("strtol"),
            "number that a text begins with, written to a base, 0 where it begins with none", r#"n = strtol("2a", 16)"#, pure();
        str_replace(text: String, part: String, replacement: String) -> String, Everywhere, Helper("str_replace"),
            "a text with each occurrence of a part replaced", r#"println(str_replace(execname(), "-", "_"))"#, pure();
        text_str(text: String) -> String, Everywhere, Helper("text_str"),
            "a text with escapes for what can not be printed", "println(text_str(execname()))", pure();
        text_strn(text: String, length: Long, quoted: Long) -> String, Everywhere, Helper("text_strn"),
            "at most so many bytes of a text with escapes for what can not be printed, in quotes where the last argument is not 0", "println(text_strn(execname(), 8, 1))", pure();
        tokenize(text: String, delimiters: String) -> String, Everywhere, Helper("tokenize"),
            "next part of a text between any of the delimiters: give the text first, then \"\" to go on", r#"println(tokenize("a,b", ","))"#;
        matched(group: Long) -> String, Everywhere, Helper("matched"),
            "what the last =~ of this handler met: 0 for all of it, from 1 for what a parenthesis met", r#"if (execname() =~ "^(.*)sh$") println(matched(1))"#;
    }
    Printing {
        log(line: String), Everywhere, Helper("log"),
            "prints a line", r#"log("armed")"#;
        warn(line: String), Everywhere, Helper("warn"),
            "prints a warning to standard error", r#"warn("strange")"#;
        error(message: String), Everywhere, Helper("error"),
            "raises an error with this message, which a try can catch", r#"error("not expected")"#;
        assert(holds: Long, message: String), Everywhere, Helper("assert"),
            "raises an error with this message where the first argument is 0", r#"assert(n > 0, "n is counted")"#, required(1);
        thread_indent(change: Long) -> String, Everywhere, Helper("thread_indent"),
            "time in microseconds, thread and blanks for nested calls, whose depth in this thread changes by so much", r#"printf("%s->\n", thread_indent(1))"#;
        thread_indent_depth(change: Long) -> Long, Everywhere, Helper("thread_indent_depth"),
            "depth of thread_indent in this thread, changed by so much", "n = thread_indent_depth(0)";
        indent(change: Long) -> String, Everywhere, Helper("indent"),
            "time in microseconds and blanks for nested calls, whose depth changes by so much", r#"printf("%s->\n", indent(1))"#;
        indent_depth(change: Long) -> Long, Everywhere, Helper("indent_depth"),
            "depth of indent, changed by so much", "n = indent_depth(0)";
    }
    Session {
        exit(), Everywhere, Helper("exit"),
            "ends the session after this handler; end probes still run", "exit()";
        abort(), Everywhere, Helper("abort"),
            "ends the handler and the session at once; end probes still run", "if (n > 10) abort()";
        randint(below: Long) -> Long, Everywhere, Helper("randint"),
            "random number from 0 to below the argument", "n = randint(10)";
        system(command: String), Everywhere, Helper("system"),
            "runs a command of the shell after this handler", r#"system("date")"#, needs_unsafe();
        stop(), Everywhere, Helper("stop"),
            "stops the process with SIGSTOP before its next instruction, where the engine can and what leads to it is known at the hit (`--dump plan` tells); else as soon as the handler sees the hit, some milliseconds later", "if ($new == 0) stop()";
        signal(number: Long), Everywhere, Helper("signal"),
            "sends the process a signal, when `stop()` would stop it; at an instruction that has not been seen before it is some milliseconds later", "if ($new == 0) signal(10)";
        watch(name: String, address: Long, length: Long) -> Long, Everywhere, Helper("watch"),
            "watches an object of the process, `&` before data of it or address and length, for the probes `process.watch(name)`; 1 where it is watched then, else 0", r#"watch("field", n, 4)"#, required(2);
        unwatch(name: String, address: Long) -> Long, Everywhere, Helper("unwatch"),
            "ends to watch an object, without an address all objects of the name; how many that were", r#"unwatch("field")"#, required(1);
        rearm(), REARMS, Helper("rearm"),
            "arms the probe again", "rearm()";
    }
}
