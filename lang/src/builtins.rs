//! The builtin functions: one table, from which the type checker, the code
//! generator and the reference are made.

use crate::types::Type::{self, Long, String};

/// A builtin function.
#[derive(Debug, PartialEq, Eq)]
pub struct Builtin {
    /// Name in scripts.
    pub name: &'static str,
    /// Types of the arguments.
    pub params: &'static [Type],
    /// So many arguments must be given; those left out are 0 or "".
    pub required: usize,
    /// Type of the result; none for functions called for their effect.
    pub returns: Option<Type>,
    /// Where it may be called.
    pub available: Available,
    /// It depends on its arguments alone and changes nothing, so that the
    /// condition of a probe point may call it.
    pub pure: bool,
    /// It acts on the system and needs `--unsafe`.
    pub needs_unsafe: bool,
    /// What computes it.
    pub body: Body,
    /// One sentence: what it gives, with unit.
    pub doc: &'static str,
    /// A line of hwt that uses it.
    pub example: &'static str,
}

/// Where a builtin may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Available {
    /// In every handler.
    Everywhere,
    /// Only where data was accessed.
    DataProbes,
    /// It belongs to the language, but nothing computes it yet.
    NotYet,
}

/// What computes a builtin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// A field of the hit's record, by its name in the runtime's schema.
    Field(&'static str),
    /// A helper function, by its name in the runtime's helper table.
    Helper(&'static str),
}

use Available::{DataProbes, Everywhere, NotYet};
use Body::{Field, Helper};

impl Builtin {
    /// The same, with so many arguments that must be given.
    const fn required(self, required: usize) -> Self {
        Self { required, ..self }
    }

    /// The same, depending on its arguments alone.
    const fn pure(self) -> Self {
        Self { pure: true, ..self }
    }

    /// The same, only with `--unsafe`.
    const fn needs_unsafe(self) -> Self {
        Self { needs_unsafe: true, ..self }
    }
}

/// A row of the table.
macro_rules! builtin {
    ($name:ident($($param:ident),*) -> $returns:expr, $available:ident, $body:expr,
     $doc:literal, $example:literal) => {
        Builtin {
            name: stringify!($name),
            params: &[$($param),*],
            required: {
                const PARAMS: &[Type] = &[$($param),*];
                PARAMS.len()
            },
            returns: $returns,
            available: $available,
            pure: false,
            needs_unsafe: false,
            body: $body,
            doc: $doc,
            example: $example,
        }
    };
}

/// Every builtin function, those of one subject together.
#[rustfmt::skip]
pub static BUILTINS: &[Builtin] = &[
    // Who made the access.
    builtin!(pid() -> Some(Long), Everywhere, Field("pid"),
        "number of the process", r#"printf("%d\n", pid())"#),
    builtin!(tid() -> Some(Long), Everywhere, Field("tid"),
        "number of the thread", r#"hits[tid()]++"#),
    builtin!(cpu() -> Some(Long), Everywhere, Field("cpu"),
        "number of the CPU that the thread ran on", r#"hits[cpu()]++"#),
    builtin!(execname() -> Some(String), Everywhere, Field("execname"),
        "name of the thread, at most 15 bytes", r#"printf("%s\n", execname())"#),
    builtin!(target() -> Some(Long), Everywhere, Helper("target"),
        "number of the process given by -p or started by -c, else 0", r#"if (pid() != target()) next"#),
    builtin!(pp() -> Some(String), Everywhere, Helper("pp"),
        "the probe point as written", r#"println(pp())"#),

    // The access.
    builtin!(addr() -> Some(Long), DataProbes, Field("address"),
        "address of the instruction that made the access", r#"hits[addr()]++"#),
    builtin!(uaddr() -> Some(Long), DataProbes, Field("address"),
        "address of the instruction that made the access, in user mode", r#"hits[uaddr()]++"#),
    builtin!(data_addr() -> Some(Long), DataProbes, Field("data_address"),
        "address of the watched data", r#"printf("%p\n", data_addr())"#),
    builtin!(data_len() -> Some(Long), DataProbes, Field("data_length"),
        "length of the watched data in bytes", r#"printf("%d\n", data_len())"#),
    builtin!(data_name() -> Some(String), DataProbes, Helper("data_name"),
        "name of the watched data", r#"println(data_name())"#),
    builtin!(access() -> Some(String), DataProbes, Helper("access"),
        "how the data was accessed: \"read\", \"write\" or \"update\"", r#"how[access()]++"#),
    builtin!(exact() -> Some(Long), DataProbes, Field("exact"),
        "1 where $new is the value that this very instruction stored or loaded, else 0", r#"if (!exact()) next"#),

    // Time.
    builtin!(gettimeofday_ns() -> Some(Long), Everywhere, Helper("gettimeofday_ns"),
        "nanoseconds since 1970", r#"printf("%d\n", gettimeofday_ns())"#),
    builtin!(gettimeofday_us() -> Some(Long), Everywhere, Helper("gettimeofday_us"),
        "microseconds since 1970", r#"printf("%d\n", gettimeofday_us())"#),
    builtin!(gettimeofday_ms() -> Some(Long), Everywhere, Helper("gettimeofday_ms"),
        "milliseconds since 1970", r#"printf("%d\n", gettimeofday_ms())"#),
    builtin!(gettimeofday_s() -> Some(Long), Everywhere, Helper("gettimeofday_s"),
        "seconds since 1970", r#"printf("%d\n", gettimeofday_s())"#),
    builtin!(ktime_get_ns() -> Some(Long), Everywhere, Field("time"),
        "time of the hit in nanoseconds of the monotonic clock", r#"last = ktime_get_ns()"#),

    builtin!(ctime(Long) -> Some(String), Everywhere, Helper("ctime"),
        "a time in seconds since 1970 as text, in UTC", r#"println(ctime(gettimeofday_s()))"#).pure(),

    // The thread, its process and its surroundings.
    builtin!(ppid() -> Some(Long), Everywhere, Helper("ppid"),
        "number of the parent of the process", r#"parents[ppid()]++"#),
    builtin!(uid() -> Some(Long), Everywhere, Helper("uid"),
        "number of the user that the thread runs for", r#"hits[uid()]++"#),
    builtin!(euid() -> Some(Long), Everywhere, Helper("euid"),
        "number of the user whose rights the thread has", r#"hits[euid()]++"#),
    builtin!(gid() -> Some(Long), Everywhere, Helper("gid"),
        "number of the group that the thread runs for", r#"hits[gid()]++"#),
    builtin!(egid() -> Some(Long), Everywhere, Helper("egid"),
        "number of the group whose rights the thread has", r#"hits[egid()]++"#),
    builtin!(cmdline_str() -> Some(String), Everywhere, Helper("cmdline_str"),
        "command line of the process, words separated by spaces", r#"println(cmdline_str())"#),
    builtin!(env_var(String) -> Some(String), Everywhere, Helper("env_var"),
        "a variable of the environment of the process, \"\" where it is not set", r#"println(env_var("HOME"))"#),
    builtin!(pn() -> Some(String), Everywhere, Helper("pp"),
        "the probe point as written", r#"println(pn())"#),
    builtin!(ppfunc() -> Some(String), NotYet, Helper("ppfunc"),
        "name of the function that the probe point is in", r#"println(ppfunc())"#),
    builtin!(probefunc() -> Some(String), NotYet, Helper("probefunc"),
        "name of the function that the probe point is in", r#"println(probefunc())"#),
    builtin!(user_mode() -> Some(Long), NotYet, Helper("user_mode"),
        "1 where the hit was in user mode, else 0", r#"if (!user_mode()) next"#),
    builtin!(register(String) -> Some(Long), NotYet, Helper("register"),
        "a register of the hit, with its sign", r#"printf("%x\n", register("rax"))"#),
    builtin!(u_register(String) -> Some(Long), NotYet, Helper("u_register"),
        "a register of the hit, without sign", r#"printf("%x\n", u_register("eax"))"#),
    builtin!(print_regs() -> None, NotYet, Helper("print_regs"),
        "prints the registers of the hit", r#"print_regs()"#),

    // Symbols.
    builtin!(usymname(Long) -> Some(String), Everywhere, Helper("usymname"),
        "name of the function or object at an address of the target", r#"println(usymname(addr()))"#),
    builtin!(usymdata(Long) -> Some(String), Everywhere, Helper("usymdata"),
        "the same with offset, size and module", r#"println(usymdata(addr()))"#),
    builtin!(usymfileline(Long) -> Some(String), NotYet, Helper("usymfileline"),
        "file and line of an address of the target", r#"println(usymfileline(addr()))"#),
    builtin!(usymline(Long) -> Some(String), NotYet, Helper("usymline"),
        "line of an address of the target", r#"println(usymline(addr()))"#),
    builtin!(umodname(Long) -> Some(String), NotYet, Helper("umodname"),
        "name of the file that an address of the target belongs to", r#"println(umodname(addr()))"#),
    builtin!(symname(Long) -> Some(String), NotYet, Helper("symname"),
        "name of the function or object at an address of the kernel", r#"println(symname(addr()))"#),
    builtin!(symdata(Long) -> Some(String), NotYet, Helper("symdata"),
        "the same with offset, size and module", r#"println(symdata(addr()))"#),
    builtin!(symfileline(Long) -> Some(String), NotYet, Helper("symfileline"),
        "file and line of an address of the kernel", r#"println(symfileline(addr()))"#),
    builtin!(modname(Long) -> Some(String), NotYet, Helper("modname"),
        "name of the kernel module that an address belongs to", r#"println(modname(addr()))"#),

    // Stacks.
    builtin!(print_backtrace() -> None, Everywhere, Helper("print_backtrace"),
        "prints the stack in the kernel at the hit", r#"print_backtrace()"#),
    builtin!(print_ubacktrace() -> None, NotYet, Helper("print_ubacktrace"),
        "prints the stack in the target at the hit", r#"print_ubacktrace()"#),
    builtin!(sprint_backtrace() -> Some(String), NotYet, Helper("sprint_backtrace"),
        "the stack in the kernel at the hit, as print_backtrace() prints it", r#"stacks[sprint_backtrace()]++"#),
    builtin!(sprint_ubacktrace() -> Some(String), NotYet, Helper("sprint_ubacktrace"),
        "the stack in the target at the hit, as print_ubacktrace() prints it", r#"stacks[sprint_ubacktrace()]++"#),
    builtin!(backtrace() -> Some(String), NotYet, Helper("backtrace"),
        "addresses of the stack in the kernel", r#"stacks[backtrace()]++"#),
    builtin!(ubacktrace() -> Some(String), NotYet, Helper("ubacktrace"),
        "addresses of the stack in the target", r#"stacks[ubacktrace()]++"#),
    builtin!(callers(Long) -> Some(String), NotYet, Helper("callers"),
        "addresses of the innermost so many functions of the stack in the kernel", r#"println(callers(3))"#),
    builtin!(ucallers(Long) -> Some(String), NotYet, Helper("ucallers"),
        "addresses of the innermost so many functions of the stack in the target", r#"println(ucallers(3))"#),
    builtin!(caller() -> Some(String), NotYet, Helper("caller"),
        "name and address of the function that called the probed one", r#"println(caller())"#),
    builtin!(print_syms(String) -> None, NotYet, Helper("print_syms"),
        "prints the symbols of addresses of the kernel", r#"print_syms(backtrace())"#),
    builtin!(print_usyms(String) -> None, NotYet, Helper("print_usyms"),
        "prints the symbols of addresses of the target", r#"print_usyms(ubacktrace())"#),

    // Memory: a fault where it can not be read.
    builtin!(user_char(Long) -> Some(Long), Everywhere, Helper("user_char"),
        "the 8-bit number, with its sign at an address of the target", r#"n = user_char(data_addr())"#),
    builtin!(user_short(Long) -> Some(Long), Everywhere, Helper("user_short"),
        "the 16-bit number, with its sign at an address of the target", r#"n = user_short(data_addr())"#),
    builtin!(user_int(Long) -> Some(Long), Everywhere, Helper("user_int"),
        "the 32-bit number, with its sign at an address of the target", r#"n = user_int(data_addr())"#),
    builtin!(user_long(Long) -> Some(Long), Everywhere, Helper("user_long"),
        "the 64-bit number at an address of the target", r#"n = user_long(data_addr())"#),
    builtin!(user_pointer(Long) -> Some(Long), Everywhere, Helper("user_pointer"),
        "the pointer at an address of the target", r#"n = user_pointer(data_addr())"#),
    builtin!(user_int8(Long) -> Some(Long), Everywhere, Helper("user_int8"),
        "the 8-bit number, with its sign at an address of the target", r#"n = user_int8(data_addr())"#),
    builtin!(user_int16(Long) -> Some(Long), Everywhere, Helper("user_int16"),
        "the 16-bit number, with its sign at an address of the target", r#"n = user_int16(data_addr())"#),
    builtin!(user_int32(Long) -> Some(Long), Everywhere, Helper("user_int32"),
        "the 32-bit number, with its sign at an address of the target", r#"n = user_int32(data_addr())"#),
    builtin!(user_int64(Long) -> Some(Long), Everywhere, Helper("user_int64"),
        "the 64-bit number, with its sign at an address of the target", r#"n = user_int64(data_addr())"#),
    builtin!(user_uint8(Long) -> Some(Long), Everywhere, Helper("user_uint8"),
        "the 8-bit number, without sign at an address of the target", r#"n = user_uint8(data_addr())"#),
    builtin!(user_uint16(Long) -> Some(Long), Everywhere, Helper("user_uint16"),
        "the 16-bit number, without sign at an address of the target", r#"n = user_uint16(data_addr())"#),
    builtin!(user_uint32(Long) -> Some(Long), Everywhere, Helper("user_uint32"),
        "the 32-bit number, without sign at an address of the target", r#"n = user_uint32(data_addr())"#),
    builtin!(user_uint64(Long) -> Some(Long), Everywhere, Helper("user_uint64"),
        "the 64-bit number, without sign at an address of the target", r#"n = user_uint64(data_addr())"#),
    builtin!(user_string(Long) -> Some(String), Everywhere, Helper("user_string"),
        "the string at an address of the target", r#"println(user_string(data_addr()))"#),
    builtin!(user_string2(Long, String) -> Some(String), Everywhere, Helper("user_string2"),
        "the string at an address of the target, the second argument where it can not be read", r#"println(user_string2(data_addr(), "?"))"#),
    builtin!(user_string_n(Long, Long) -> Some(String), Everywhere, Helper("user_string_n"),
        "the string at an address of the target, at most so many bytes of it", r#"println(user_string_n(data_addr(), 8))"#),
    builtin!(user_string_quoted(Long) -> Some(String), Everywhere, Helper("user_string_quoted"),
        "the string at an address of the target, in quotes and with escapes", r#"println(user_string_quoted(data_addr()))"#),
    builtin!(user_buffer_quoted(Long, Long, Long) -> Some(String), Everywhere, Helper("user_buffer_quoted"),
        "bytes at an address of the target in quotes and with escapes: address, number of bytes, longest text", r#"println(user_buffer_quoted(data_addr(), 16, 80))"#),
    builtin!(kernel_char(Long) -> Some(Long), NotYet, Helper("kernel_char"),
        "the 8-bit number, with its sign at an address of the kernel", r#"n = kernel_char(data_addr())"#),
    builtin!(kernel_short(Long) -> Some(Long), NotYet, Helper("kernel_short"),
        "the 16-bit number, with its sign at an address of the kernel", r#"n = kernel_short(data_addr())"#),
    builtin!(kernel_int(Long) -> Some(Long), NotYet, Helper("kernel_int"),
        "the 32-bit number, with its sign at an address of the kernel", r#"n = kernel_int(data_addr())"#),
    builtin!(kernel_long(Long) -> Some(Long), NotYet, Helper("kernel_long"),
        "the 64-bit number at an address of the kernel", r#"n = kernel_long(data_addr())"#),
    builtin!(kernel_pointer(Long) -> Some(Long), NotYet, Helper("kernel_pointer"),
        "the pointer at an address of the kernel", r#"n = kernel_pointer(data_addr())"#),
    builtin!(kernel_int8(Long) -> Some(Long), NotYet, Helper("kernel_int8"),
        "the 8-bit number, with its sign at an address of the kernel", r#"n = kernel_int8(data_addr())"#),
    builtin!(kernel_int16(Long) -> Some(Long), NotYet, Helper("kernel_int16"),
        "the 16-bit number, with its sign at an address of the kernel", r#"n = kernel_int16(data_addr())"#),
    builtin!(kernel_int32(Long) -> Some(Long), NotYet, Helper("kernel_int32"),
        "the 32-bit number, with its sign at an address of the kernel", r#"n = kernel_int32(data_addr())"#),
    builtin!(kernel_int64(Long) -> Some(Long), NotYet, Helper("kernel_int64"),
        "the 64-bit number, with its sign at an address of the kernel", r#"n = kernel_int64(data_addr())"#),
    builtin!(kernel_uint8(Long) -> Some(Long), NotYet, Helper("kernel_uint8"),
        "the 8-bit number, without sign at an address of the kernel", r#"n = kernel_uint8(data_addr())"#),
    builtin!(kernel_uint16(Long) -> Some(Long), NotYet, Helper("kernel_uint16"),
        "the 16-bit number, without sign at an address of the kernel", r#"n = kernel_uint16(data_addr())"#),
    builtin!(kernel_uint32(Long) -> Some(Long), NotYet, Helper("kernel_uint32"),
        "the 32-bit number, without sign at an address of the kernel", r#"n = kernel_uint32(data_addr())"#),
    builtin!(kernel_uint64(Long) -> Some(Long), NotYet, Helper("kernel_uint64"),
        "the 64-bit number, without sign at an address of the kernel", r#"n = kernel_uint64(data_addr())"#),
    builtin!(kernel_string(Long) -> Some(String), NotYet, Helper("kernel_string"),
        "the string at an address of the kernel", r#"println(kernel_string(data_addr()))"#),
    builtin!(kernel_string2(Long, String) -> Some(String), NotYet, Helper("kernel_string2"),
        "the string at an address of the kernel, the second argument where it can not be read", r#"println(kernel_string2(data_addr(), "?"))"#),
    builtin!(kernel_string_n(Long, Long) -> Some(String), NotYet, Helper("kernel_string_n"),
        "the string at an address of the kernel, at most so many bytes of it", r#"println(kernel_string_n(data_addr(), 8))"#),
    builtin!(kernel_string_quoted(Long) -> Some(String), NotYet, Helper("kernel_string_quoted"),
        "the string at an address of the kernel, in quotes and with escapes", r#"println(kernel_string_quoted(data_addr()))"#),
    builtin!(kernel_buffer_quoted(Long, Long, Long) -> Some(String), NotYet, Helper("kernel_buffer_quoted"),
        "bytes at an address of the kernel in quotes and with escapes: address, number of bytes, longest text", r#"println(kernel_buffer_quoted(data_addr(), 16, 80))"#),

    // Strings.
    builtin!(strlen(String) -> Some(Long), Everywhere, Helper("strlen"),
        "length of a string in bytes", r#"n = strlen(execname())"#).pure(),
    builtin!(substr(String, Long, Long) -> Some(String), Everywhere, Helper("substr"),
        "part of a string: from byte, number of bytes", r#"println(substr("watch", 0, 2))"#).pure(),
    builtin!(isinstr(String, String) -> Some(Long), Everywhere, Helper("isinstr"),
        "1 where the first string contains the second, else 0", r#"if (isinstr(execname(), "sh")) next"#).pure(),
    builtin!(strtol(String, Long) -> Some(Long), Everywhere, Helper("strtol"),
        "the number in a string, to a base", r#"n = strtol("2a", 16)"#).pure(),
    builtin!(stringat(String, Long) -> Some(Long), Everywhere, Helper("stringat"),
        "the byte at a position of a string, from 0", r#"n = stringat("watch", 0)"#).pure(),
    builtin!(strpos(String, String) -> Some(Long), Everywhere, Helper("strpos"),
        "where the second string begins in the first, -1 where it does not", r#"n = strpos(execname(), "sh")"#).pure(),
    builtin!(str_replace(String, String, String) -> Some(String), Everywhere, Helper("str_replace"),
        "a string with each occurrence of the second replaced by the third", r#"println(str_replace(execname(), "-", "_"))"#).pure(),
    builtin!(text_str(String) -> Some(String), Everywhere, Helper("text_str"),
        "a string with escapes for what can not be printed", r#"println(text_str(execname()))"#).pure(),
    builtin!(text_strn(String, Long, Long) -> Some(String), Everywhere, Helper("text_strn"),
        "the same, at most so many bytes of it, in quotes where the last argument is not 0", r#"println(text_strn(execname(), 8, 1))"#).pure(),
    builtin!(tokenize(String, String) -> Some(String), Everywhere, Helper("tokenize"),
        "the next part of a string between the delimiters: a string to begin with, \"\" to go on", r#"println(tokenize("a,b", ","))"#),
    builtin!(matched(Long) -> Some(String), Everywhere, Helper("matched"),
        "what the last =~ met: 0 for all, from 1 for what a parenthesis met", r#"if (execname() =~ "^(.*)sh$") println(matched(1))"#),

    // Messages.
    builtin!(log(String) -> None, Everywhere, Helper("log"),
        "prints a line", r#"log("armed")"#),
    builtin!(warn(String) -> None, Everywhere, Helper("warn"),
        "prints a warning to standard error", r#"warn("strange")"#),
    builtin!(error(String) -> None, Everywhere, Helper("error"),
        "raises an error with this message, which a try can catch", r#"error("not expected")"#),
    builtin!(assert(Long, String) -> None, Everywhere, Helper("assert"),
        "raises an error where the first argument is 0: with the message, where one is given", r#"assert(n > 0, "n is counted")"#).required(1),
    builtin!(thread_indent(Long) -> Some(String), Everywhere, Helper("thread_indent"),
        "time, thread and spaces for nested calls: changes the depth of the thread by so much", r#"printf("%s->\n", thread_indent(1))"#),
    builtin!(indent(Long) -> Some(String), Everywhere, Helper("indent"),
        "time and spaces for nested calls: changes the depth by so much", r#"printf("%s->\n", indent(1))"#),
    builtin!(thread_indent_depth(Long) -> Some(Long), Everywhere, Helper("thread_indent_depth"),
        "changes the depth of thread_indent() by so much and gives it", r#"n = thread_indent_depth(0)"#),
    builtin!(indent_depth(Long) -> Some(Long), Everywhere, Helper("indent_depth"),
        "changes the depth of indent() by so much and gives it", r#"n = indent_depth(0)"#),

    // The session.
    builtin!(exit() -> None, Everywhere, Helper("exit"),
        "ends the session after this handler; end probes still run", r#"exit()"#),
    builtin!(abort() -> None, Everywhere, Helper("abort"),
        "ends the handler and the session at once; end probes still run", r#"if (n > 10) abort()"#),
    builtin!(randint(Long) -> Some(Long), Everywhere, Helper("randint"),
        "a random number from 0, below the argument", r#"n = randint(10)"#),
    builtin!(system(String) -> None, Everywhere, Helper("system"),
        "runs a command of the shell", r#"system("date")"#).needs_unsafe(),
    builtin!(stop() -> None, NotYet, Helper("stop"),
        "stops the target at the hit, as SIGSTOP does", r#"if ($new == 0) stop()"#),
    builtin!(signal(Long) -> None, NotYet, Helper("signal"),
        "sends a signal to the target", r#"if ($new == 0) signal(10)"#),
    builtin!(watch(String, Long) -> None, NotYet, Helper("watch"),
        "begins to watch data at an address", r#"watch("field", n)"#),
    builtin!(unwatch(String, Long) -> None, NotYet, Helper("unwatch"),
        "ends to watch data at an address", r#"unwatch("field", n)"#),
    builtin!(rearm() -> None, NotYet, Helper("rearm"),
        "arms the probe again", r#"rearm()"#),
];

/// The builtin called `name`.
///
/// ```
/// use hwtrace_lang::builtins::lookup;
/// assert_eq!(lookup("strlen").unwrap().params.len(), 1);
/// assert!(lookup("strelen").is_none());
/// ```
pub fn lookup(name: &str) -> Option<&'static Builtin> {
    BUILTINS.iter().find(|builtin| builtin.name == name)
}

/// The functions of the print family, which are no rows: their arguments
/// depend on their format.
pub static PRINT_FUNCTIONS: &[&str] = &[
    "print",
    "println",
    "printf",
    "printd",
    "printdln",
    "sprint",
    "sprintln",
    "sprintf",
    "sprintd",
    "sprintdln",
];

/// Names of all functions that a script can call.
pub fn names() -> impl Iterator<Item = &'static str> {
    let rows = BUILTINS.iter().map(|builtin| builtin.name);
    rows.chain(PRINT_FUNCTIONS.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_complete_and_unique() {
        for (at, row) in BUILTINS.iter().enumerate() {
            assert!(row.example.contains(row.name), "{} lacks in its example", row.name);
            assert!(!row.doc.is_empty() && !row.doc.ends_with('.'), "{}", row.name);
            assert!(BUILTINS[..at].iter().all(|other| other.name != row.name));
            assert!(row.required <= row.params.len());
        }
    }
}
